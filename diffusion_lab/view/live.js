// The front of a `Live`: its controls, and a picture that the kernel draws anew. In JupyterLab the output of its cell is
// HTML that finds it by its id: an output that named the widget itself would be an error message once the kernel has gone.

const LIVES = (window.diffusionLabLives ??= {}); // id: what puts the live picture into an element

function mountLive(root, model) {
  const get = (name) => model.get(name), caption = get("_caption");
  begin(root, "live", caption);
  const controls = Object.entries(get("_told")), followers = [], ends = [];
  const send = (name, place) => {
    model.set("_places", { ...get("_places"), [name]: place });
    model.save_changes(); // while the kernel computes, ipywidgets keeps only the last value for it: no queue grows
  };

  for (const [name, { description, _examples, _pen }] of controls.filter(([, told]) => told._examples)) {
    const known = { value: get("_places")[name], description, _examples, _pen };
    const tell = [];
    ends.push(canvas.render({ el: element(root, "div"), model: {
      get: (key) => known[key], set: (key, value) => { known[key] = value; }, save_changes: () => send(name, known.value),
      on: (_, call) => tell.push(call), off: () => {},
    } }));
    followers.push((places) => {
      if (JSON.stringify(places[name]) === JSON.stringify(known.value)) return;
      known.value = places[name];
      tell.forEach((call) => call());
    });
  }

  const picture = element(root, "img", { className: "live-picture", alt: get("_alt") });
  // The browser keeps the picture before on the screen until the next is decoded, so none is blank.
  const draw = () => { picture.src = "data:image/png;base64," + get("_png"); };
  draw();

  for (const [name, { description, labels, list }] of controls.filter(([, told]) => !told._examples)) {
    const row = element(root, "div", { className: "live-bar" });
    element(row, "span", { className: "live-name", textContent: description }, { "aria-hidden": "true" });
    if (!labels) {
      const text = element(row, "input", { type: "text", className: "live-text" }, { "aria-label": description });
      text.oninput = () => send(name, text.value);
      followers.push((places) => { if (text.value !== places[name]) text.value = places[name]; });
      continue;
    }
    if (list) {
      const select = element(row, "select", {}, { "aria-label": description });
      labels.forEach((label, place) => element(select, "option", { textContent: label, value: place }));
      select.onchange = () => send(name, select.selectedIndex);
      followers.push((places) => { select.selectedIndex = places[name]; });
      continue;
    }
    const { slider, show } = track(row, description, labels, "live");
    const go = (place) => { show(place); send(name, place); };
    slider.oninput = () => go(Number(slider.value));
    slider.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const at = Number(slider.value), place = led(event.key, at, labels.length - 1);
      if (place === null && event.key !== " ") return; // the space bar must not turn the page
      if (place !== null && place !== at) go(place);
      event.preventDefault();
      event.stopPropagation();
    });
    followers.push((places) => show(places[name]));
  }
  element(root, "p", { className: "live-caption", textContent: caption });

  const follow = () => followers.forEach((each) => each(get("_places")));
  follow();
  model.on("change:_places", follow);
  model.on("change:_png", draw);
  return () => {
    model.off("change:_places", follow);
    model.off("change:_png", draw);
    ends.forEach((end) => end());
  };
}

export default {
  initialize({ model }) {
    const id = model.get("_id");
    LIVES[id] = (root) => mountLive(root, model);
    document.dispatchEvent(new CustomEvent("diffusion-lab-live", { detail: id }));
    return () => { delete LIVES[id]; };
  },
  render: ({ model, el }) => mountLive(el, model),
};
