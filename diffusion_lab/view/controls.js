// What a `Scrubber` and a `Live` share: the making of elements, and a slider with its keys.

const JUMP = 0.1; // how far Page Up and Page Down go, as a share of the whole track

function element(parent, tag, properties = {}, attributes = {}) {
  const node = Object.assign(document.createElement(tag), properties);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  parent.append(node);
  return node;
}

// Where a key leads from a place on a track 0…last; null if it leads nowhere.
function led(key, at, last) {
  const jump = Math.max(1, Math.round(JUMP * last));
  const places = { ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1, PageDown: at - jump, PageUp: at + jump, Home: 0, End: last };
  return key in places ? Math.max(0, Math.min(last, places[key])) : null;
}

// A group with a name. JupyterLab's command mode takes the arrow keys for itself unless it is told not to.
function begin(root, className, caption) {
  root.replaceChildren();
  root.classList.add(className);
  for (const [name, value] of Object.entries({ role: "group", "aria-label": caption, "data-lm-suppress-shortcuts": "true" }))
    root.setAttribute(name, value);
}

// A track with one place for each label, and the label of the present one. Gives what shows a place.
function track(bar, name, labels, parts) {
  const slider = element(bar, "input", { type: "range", min: 0, max: labels.length - 1, step: 1, className: `${parts}-slider` }, { "aria-label": name });
  const label = element(bar, "output", { className: `${parts}-label` }, { "aria-live": "off" }); // the slider says it
  const words = element(label, "span");
  // Room for the longest label, so that nothing is moved to another line, and back, while time passes.
  label.dataset.longest = labels.reduce((a, b) => (b.length > a.length ? b : a));
  const show = (place) => {
    slider.value = place;
    slider.setAttribute("aria-valuetext", labels[place]);
    words.textContent = labels[place];
  };
  return { slider, show };
}
