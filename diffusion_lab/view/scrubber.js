// The player of a `Scrubber`: in a notebook, and in a page of its own for site and slides. It needs no kernel: all frames
// are in the browser before the first one is shown, so nothing stands between a key press and its picture.

const SPEEDS = { "½ ×": 200, "1 ×": 100, "2 ×": 50, "4 ×": 25 }; // milliseconds for each frame
const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches; // then Play starts at the slowest speed

// Icons are drawn, not typed: many fonts lack the signs.
const ICONS = {
  back: "M3 2h2v10H3zM12 2v10L5 7z", play: "M3 2v10l9-5z", pause: "M3 2h3v10H3zM8 2h3v10H8z", on: "M2 2v10l7-5zM9 2h2v10H9z",
};
const icon = (name) => `<svg viewBox="0 0 14 14" width="14" height="14" aria-hidden="true"><path fill="currentColor" d="${ICONS[name]}"/></svg>`;

// The name of what the slider moves: "t" for labels such as "t = 700".
const moved = (labels) => /^([^=]+?) = /.exec(labels[0])?.[1] ?? "picture";

function mount(root, { frames, scale, labels, caption, alt, value, note }) {
  const last = frames.length - 1;
  // Held in memory, so that the browser has each one decoded when it is asked for.
  const images = frames.map((frame) => Object.assign(new Image(), { src: `data:image/${frame.startsWith("UklG") ? "webp" : "png"};base64,${frame}` }));

  begin(root, "scrubber", caption);
  const picture = element(root, "img", { className: "scrubber-picture", alt });
  if (scale > 1) { // its pixels are to be seen
    picture.classList.add("scrubber-pixels");
    picture.onload = () => { picture.width = scale * picture.naturalWidth; };
  }
  const bar = element(root, "div", { className: "scrubber-bar" });
  const button = (name, title, onclick) =>
    element(bar, "button", { type: "button", innerHTML: icon(name), onclick }, { "aria-label": title, title });
  button("back", "One step back", () => stop() || go(value - 1));
  const play = button("play", "Play", () => (timer ? stop() : start()));
  button("on", "One step on", () => stop() || go(value + 1));
  const { slider, show: showLabel } = track(bar, moved(labels), labels, "scrubber");
  const speed = element(bar, "select", {}, { "aria-label": "Speed", title: "Speed" });
  for (const name of Object.keys(SPEEDS)) element(speed, "option", { textContent: name, selected: name === (calm() ? "½ ×" : "1 ×") });
  const loopBox = element(bar, "label", { className: "scrubber-loop" });
  const loop = element(loopBox, "input", { type: "checkbox" });
  loopBox.append(" loop");
  element(root, "p", { className: "scrubber-caption", textContent: caption });
  if (note) element(root, "p", { className: "scrubber-note", textContent: note });

  let timer = 0;

  function namePlay(name, title) {
    play.innerHTML = icon(name);
    play.setAttribute("aria-label", title);
    play.title = title;
  }

  function show(index) {
    value = index;
    picture.src = images[index].src;
    showLabel(index);
  }

  const go = (index) => { if (index !== value && index >= 0 && index <= last) show(index); };

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
    const place = led(event.key, value, last);
    if (place !== null) {
      stop();
      go(place);
    } else if (event.key === " " && event.target === slider) {
      timer ? stop() : start();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });

  show(value);
}
