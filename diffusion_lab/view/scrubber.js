// One player for two places: the widget in a live notebook, and the self-contained HTML page of `to_html()`.
// All frames are in the browser before the first one is shown, so no message to a kernel stands between a key press
// and its picture.

const SPEEDS = { "½ ×": 200, "1 ×": 100, "2 ×": 50, "4 ×": 25 }; // milliseconds for each frame
const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches; // then Play starts at the slowest speed
const JUMP = 0.1; // how far Page Up and Page Down go, as a share of all frames

// Icons are drawn, not typed: many fonts lack the signs.
const ICONS = {
  back: "M3 2h2v10H3zM12 2v10L5 7z", play: "M3 2v10l9-5z", pause: "M3 2h3v10H3zM8 2h3v10H8z", on: "M2 2v10l7-5zM9 2h2v10H9z",
};
const icon = (name) => `<svg viewBox="0 0 14 14" width="14" height="14" aria-hidden="true"><path fill="currentColor" d="${ICONS[name]}"/></svg>`;

function element(parent, tag, properties = {}, attributes = {}) {
  const node = Object.assign(document.createElement(tag), properties);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  parent.append(node);
  return node;
}

export function mount(root, { frames, labels, caption, alt, value, onValue }) {
  const last = frames.length - 1;
  // Held in memory, so that the browser has each one decoded when it is asked for.
  const images = frames.map((frame) => Object.assign(new Image(), { src: "data:image/png;base64," + frame }));

  root.classList.add("scrubber");
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", caption);
  // JupyterLab's command mode takes the arrow keys for itself unless it is told not to.
  root.setAttribute("data-lm-suppress-shortcuts", "true");

  const picture = element(root, "img", { className: "scrubber-picture", alt });
  const bar = element(root, "div", { className: "scrubber-bar" });
  const button = (name, title, onclick) =>
    element(bar, "button", { type: "button", innerHTML: icon(name), onclick }, { "aria-label": title, title });
  button("back", "One step back", () => stop() || go(value - 1));
  const play = button("play", "Play", () => (timer ? stop() : start()));
  button("on", "One step on", () => stop() || go(value + 1));
  const slider = element(bar, "input", { type: "range", min: 0, max: last, step: 1, className: "scrubber-slider" }, { "aria-label": "Time: " + caption });
  const label = element(bar, "output", { className: "scrubber-label" }, { "aria-live": "off" }); // the slider says it
  const words = element(label, "span");
  // Room for the longest label, so that nothing is moved to another line, and back, while time passes.
  label.dataset.longest = labels.reduce((a, b) => (b.length > a.length ? b : a));
  const speed = element(bar, "select", {}, { "aria-label": "Speed", title: "Speed" });
  for (const name of Object.keys(SPEEDS)) element(speed, "option", { textContent: name, selected: name === (calm() ? "½ ×" : "1 ×") });
  const loopBox = element(bar, "label", { className: "scrubber-loop" });
  const loop = element(loopBox, "input", { type: "checkbox" });
  loopBox.append(" loop");
  element(root, "p", { className: "scrubber-caption", textContent: caption });

  let timer = 0;

  function namePlay(name, title) {
    play.innerHTML = icon(name);
    play.setAttribute("aria-label", title);
    play.title = title;
  }

  function show(index) {
    value = index;
    picture.src = images[index].src;
    slider.value = index;
    slider.setAttribute("aria-valuetext", labels[index]);
    words.textContent = labels[index];
  }

  function go(index) {
    const next = Math.max(0, Math.min(last, index));
    if (next === value) return;
    show(next);
    onValue(next);
  }

  function start() {
    if (value === last) go(0);
    const tick = () => {
      if (value === last && !loop.checked) return stop();
      go(value === last ? 0 : value + 1);
      timer = setTimeout(tick, SPEEDS[speed.value]);
    };
    timer = setTimeout(tick, SPEEDS[speed.value]);
    namePlay("pause", "Pause");
  }

  function stop() {
    clearTimeout(timer);
    timer = 0;
    namePlay("play", "Play");
  }

  slider.oninput = () => stop() || go(Number(slider.value));
  root.addEventListener("keydown", (event) => {
    if (event.target === speed || event.ctrlKey || event.metaKey || event.altKey) return;
    const jump = Math.max(1, Math.round(JUMP * last));
    const targets = { ArrowLeft: value - 1, ArrowDown: value - 1, ArrowRight: value + 1, ArrowUp: value + 1, PageDown: value - jump, PageUp: value + jump, Home: 0, End: last };
    if (event.key in targets) {
      stop();
      go(targets[event.key]);
    } else if (event.key === " " && event.target === slider) {
      timer ? stop() : start();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });

  show(value);
  return { show, stop };
}

export default {
  render({ model, el }) {
    const get = (name) => model.get(name);
    const player = mount(el, {
      frames: get("_frames"), labels: get("_labels"), caption: get("_caption"), alt: get("_alt"), value: get("value"),
      onValue: (index) => { model.set("value", index); model.save_changes(); },
    });
    const follow = () => player.show(model.get("value"));
    model.on("change:value", follow);
    return () => { player.stop(); model.off("change:value", follow); };
  },
};
