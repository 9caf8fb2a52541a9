// The pad of a `Canvas`. What is drawn is kept as strokes, lists of points from 0 to 1; Python makes the image of them.

const canvas = {
  render({ model, el }) {
    const name = model.get("description"), examples = model.get("_examples");
    el.classList.add("canvas");
    el.setAttribute("role", "group");
    el.setAttribute("aria-label", name);
    el.setAttribute("data-lm-suppress-shortcuts", "true"); // keys on a button are not JupyterLab's

    const sharp = Math.max(2, Math.ceil(window.devicePixelRatio || 1)), side = 252 * sharp;
    const pad = element(el, "canvas", { className: "canvas-pad", width: side, height: side },
      { role: "img", "aria-label": "The pad to draw on: " + name });
    const beside = element(el, "div", { className: "canvas-side" });
    element(beside, "p", { textContent: "Draw on the black pad, with mouse, finger or pen." });
    const edits = element(beside, "div", { className: "canvas-buttons" });
    element(beside, "p", { textContent: "Or take:" });
    const ready = element(beside, "div", { className: "canvas-buttons" });
    const button = (parent, textContent, onclick) => element(parent, "button", { type: "button", textContent, onclick });
    button(edits, "Clear", () => put([]));
    button(edits, "Undo", () => put(strokes.slice(0, -1)));
    for (const [words, drawing] of Object.entries(examples)) button(ready, words, () => put(drawing));

    let strokes = structuredClone(model.get("value")), pen = null, waiting = false;

    function show() {
      const ink = pad.getContext("2d");
      ink.clearRect(0, 0, side, side);
      Object.assign(ink, { strokeStyle: "white", lineWidth: model.get("_pen") * side, lineCap: "round", lineJoin: "round" });
      for (const points of strokes) {
        ink.beginPath();
        ink.moveTo(points[0][0] * side, points[0][1] * side);
        for (const [x, y] of points) ink.lineTo(x * side, y * side);
        ink.stroke();
      }
    }

    function put(drawing) {
      strokes = structuredClone(drawing);
      show();
      send();
    }

    // While the kernel computes, ipywidgets keeps only the last value for it: no queue grows.
    function send() {
      model.set("value", structuredClone(strokes));
      model.save_changes();
    }

    function point(event) {
      const box = pad.getBoundingClientRect(), border = pad.clientLeft;
      const inside = (at, from, length) => Math.min(1, Math.max(0, Math.round(1000 * (at - from - border) / length) / 1000));
      return [inside(event.clientX, box.left, pad.clientWidth), inside(event.clientY, box.top, pad.clientHeight)];
    }

    const isExample = () => Object.values(examples).some((drawing) => JSON.stringify(drawing) === JSON.stringify(strokes));

    pad.addEventListener("pointerdown", (event) => {
      if (pen !== null || event.button !== 0) return; // a second finger, or another button
      if (isExample()) strokes = [];
      pen = event.pointerId;
      pad.setPointerCapture(pen);
      strokes.push([point(event)]);
      show();
      event.preventDefault();
    });
    pad.addEventListener("pointermove", (event) => {
      if (event.pointerId !== pen) return;
      const passed = event.getCoalescedEvents?.() ?? [];
      strokes.at(-1).push(...(passed.length ? passed : [event]).map(point));
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        show();
        send();
      });
    });
    const lift = (event) => {
      if (event.pointerId !== pen) return;
      pen = null;
      show();
      send();
    };
    pad.addEventListener("pointerup", lift);
    pad.addEventListener("pointercancel", lift);

    const follow = () => {
      if (pen !== null) return; // the hand is ahead of the kernel
      strokes = structuredClone(model.get("value"));
      show();
    };
    show();
    model.on("change:value", follow);
    return () => model.off("change:value", follow);
  },
};
