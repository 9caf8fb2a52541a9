// A live picture on a page, without a kernel: its frames, made beforehand, are fetched when the reader comes near. What
// moves it are the sliders of a notebook's live picture, with the same keys. CONTROLS stand before this script.

function mountMoves(root, { axes, order, frames, caption, alt, fixed }) {
  const images = frames.map((frame) => Object.assign(new Image(), { src: "data:image/webp;base64," + frame }));
  const box = element(root, "div"), at = axes.map((axis) => axis.value);
  begin(box, "moves-box", caption);
  const picture = element(element(box, "div", { className: "moves-frame" }), "img", { className: "moves-picture", alt });
  const show = () => {
    const place = axes.reduce((sum, axis, i) => sum * axis.labels.length + at[i], 0);
    picture.src = images[order[place]].src;
  };

  axes.forEach(({ description, labels, list }, i) => {
    const row = element(box, "div", { className: "moves-bar" });
    element(row, "span", { className: "moves-name", textContent: description }, { "aria-hidden": "true" });
    const go = (place) => { at[i] = place; show(); };
    if (list) {
      const select = element(row, "select", {}, { "aria-label": description });
      labels.forEach((label, place) => element(select, "option", { textContent: label, value: place }));
      select.selectedIndex = at[i];
      select.onchange = () => go(select.selectedIndex);
      return;
    }
    const { slider, show: tell } = track(row, description, labels, "moves");
    tell(at[i]);
    slider.oninput = () => { tell(Number(slider.value)); go(Number(slider.value)); };
    slider.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const place = led(event.key, at[i], labels.length - 1);
      if (place === null && event.key !== " ") return; // the space bar must not turn the page
      if (place !== null) { tell(place); go(place); }
      event.preventDefault();
      event.stopPropagation();
    });
  });
  element(box, "p", { className: "moves-caption", textContent: caption });
  const thinned = axes.some((axis) => axis.labels.length < axis.of);
  const more = [thinned && "every slider has more places", fixed.length && `${fixed.join(" and ")} can be moved, too`].filter(Boolean);
  if (more.length) element(box, "p", { className: "moves-note", textContent: `In the notebook ${more.join(", and ")}.` });
  show();
  root.classList.add("on");
}

{
  window.FRAMES = {};
  const near = new IntersectionObserver((seen) => {
    for (const { target } of seen.filter((entry) => entry.isIntersecting)) {
      near.unobserve(target);
      const name = target.dataset.frames, script = document.createElement("script");
      script.src = `frames/${name}.js`;
      script.onload = () => mountMoves(target, window.FRAMES[name]);
      document.head.append(script); // where it cannot be had, the still stays
    }
  }, { rootMargin: "600px" });
  document.querySelectorAll(".moves").forEach((place) => near.observe(place));
}
