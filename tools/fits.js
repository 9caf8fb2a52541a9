// What does not fit, as sentences: of the slide that a deck shows, in its own pixels, or of a page of the site.
async (onSlide) => {
  await document.fonts.ready;
  const root = onSlide ? Reveal.getCurrentSlide().querySelector(".slide") : document.body, wrong = [];
  await Promise.all([...root.querySelectorAll("img")].map((image) => image.decode()));
  const settled = (frame) => frame.clientHeight === frame.contentDocument.documentElement.offsetHeight;
  while (onSlide && ![...root.querySelectorAll("iframe")].every(settled)) // a player that was out of sight
    await new Promise(requestAnimationFrame);
  const edge = onSlide ? root.getBoundingClientRect() : { left: 0, top: 0 }, scale = onSlide ? 1280 / edge.width : 1;
  const room = onSlide ? { left: 40, top: 0, right: 1241, bottom: 690 }
    : { left: -Infinity, top: -Infinity, right: document.documentElement.clientWidth + 1, bottom: Infinity };
  const box = (node) => {
    const { left, top, right, bottom } = node.getBoundingClientRect();
    return { left: (left - edge.left) * scale, top: (top - edge.top) * scale,
             right: (right - edge.left) * scale, bottom: (bottom - edge.top) * scale };
  };
  const name = (node) => `<${node.tagName.toLowerCase()}> “${node.textContent.trim().slice(0, 30)}”`;
  const scrolls = (node) => node && node !== document.documentElement
    && (/auto|scroll/.test(getComputedStyle(node).overflowX) || scrolls(node.parentElement));
  const hidden = onSlide ? ".katex-mathml, svg, .katex-html .vlist-t, .live, .still" : ".katex-mathml, svg, .still";
  for (const node of root.querySelectorAll("*")) {
    if (node.closest(hidden)) continue;
    const { left, top, right, bottom } = box(node);
    if ((left < room.left || right > room.right || top < room.top || bottom > room.bottom) && (onSlide || !scrolls(node)))
      wrong.push(`${name(node)} leaves the ${onSlide ? "slide" : "page"}: ${[left, top, right, bottom].map(Math.round)}`);
    if (onSlide && /^(PRE|DIV)$/.test(node.tagName) && node.scrollWidth > node.clientWidth + 1)
      wrong.push(`${name(node)} is ${node.scrollWidth - node.clientWidth} px too wide`);
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    if (onSlide && own && !node.closest(".katex, code") && parseFloat(getComputedStyle(node).fontSize) < 28)
      wrong.push(`${name(node)} is set in ${getComputedStyle(node).fontSize}`);
  }
  const parts = onSlide ? [...root.querySelectorAll(":scope > h1, :scope > h2, .body > *")] : [];
  for (const [i, one] of parts.entries()) for (const other of parts.slice(i + 1)) {
    const a = box(one), b = box(other);
    const [across, down] = [["left", "right"], ["top", "bottom"]].map(([from, to]) =>
      Math.min(a[to], b[to]) - Math.max(a[from], b[from]));
    if (across > 1 && down > 1) wrong.push(`${name(one)} overlaps ${name(other)}`);
  }
  for (const frame of onSlide ? root.querySelectorAll("iframe") : []) {
    const inside = frame.contentDocument, page = inside.documentElement;
    const [bar, label] = ["bar", "label"].map((part) =>
      inside.querySelector(`.scrubber-${part}`).getBoundingClientRect());
    if (bar.right > page.clientWidth || bar.bottom > page.clientHeight || label.height > 40)
      wrong.push("the player's controls do not fit");
    if (inside.querySelector(".scrubber-picture").getBoundingClientRect().height < 230)
      wrong.push("the player's picture is less than 230 px high");
  }
  return wrong;
}
