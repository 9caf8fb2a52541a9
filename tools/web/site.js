// The search, a link beside each heading, sections that open when a link leads into them or the page is printed, dark and
// light colours, and the menu that stands open where there is room for it. No module and no fetch, so that the pages work from a file.
(() => {
  const box = document.getElementById("search"), list = document.getElementById("found");
  const MOST = 12, AROUND = 70;
  const fold = (text) => text.toLowerCase().normalize("NFD").replace(/[\u0300-\u036f]/g, "");
  const entries = window.SEARCH_INDEX.map((entry) => ({ ...entry, inTitle: fold(entry.title), inText: fold(entry.text) }));

  function find(words) {
    const score = ({ inTitle, inText }) => {
      let sum = 0;
      for (const word of words) {
        const hits = (inTitle.includes(word) ? 20 : 0) + Math.min(inText.split(word).length - 1, 9);
        if (!hits) return 0;
        sum += hits;
      }
      return sum;
    };
    return entries.map((entry) => [score(entry), entry]).filter(([points]) => points)
      .sort((a, b) => b[0] - a[0]).slice(0, MOST).map(([, entry]) => entry);
  }

  function excerpt(entry, words) {
    const phrase = words.join(" "), word = entry.inText.includes(phrase) ? phrase : words[0];
    const at = Math.max(0, entry.inText.indexOf(word)), from = Math.max(0, at - AROUND);
    const line = document.createElement("small"), mark = document.createElement("mark");
    mark.textContent = entry.text.slice(at, at + word.length);
    const before = (from ? "…" : "") + entry.text.slice(from, at);
    const after = entry.text.slice(at + word.length, at + word.length + AROUND) + "…";
    entry.inText.includes(word) ? line.append(before, mark, after) : line.append(entry.text.slice(0, 2 * AROUND));
    return line;
  }

  function show() {
    const words = fold(box.value).split(/\s+/).filter(Boolean);
    list.hidden = !words.length;
    if (!words.length) return;
    const found = find(words);
    list.replaceChildren(...found.map((entry) => {
      const item = document.createElement("li"), link = document.createElement("a");
      link.href = entry.url;
      link.append(Object.assign(document.createElement("b"), { textContent: entry.title }));
      if (entry.page !== entry.title) link.append(" · " + entry.page);
      link.append(excerpt(entry, words));
      item.append(link);
      return item;
    }));
    if (!found.length) list.append(Object.assign(document.createElement("li"), { textContent: "Nothing found." }));
  }

  box.addEventListener("input", show);
  box.addEventListener("keydown", (event) => { if (event.key === "Enter") list.querySelector("a")?.click(); });
  document.querySelector(".search").addEventListener("keydown", (event) => {
    if (event.key === "Escape") { box.value = ""; show(); box.focus(); }
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault(); // neither the page nor the list scrolls: the focus moves
    const places = [box, ...list.querySelectorAll("a")], here = places.indexOf(document.activeElement);
    places[here + (event.key === "ArrowDown" ? 1 : -1)]?.focus();
  });
  list.addEventListener("click", () => { list.hidden = true; });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) return;
    event.preventDefault();
    box.focus();
  });
  document.addEventListener("click", (event) => { if (!event.target.closest(".search")) list.hidden = true; });

  for (const heading of document.querySelectorAll("main :is(h2, h3)[id]")) {
    const link = Object.assign(document.createElement("a"), { className: "here", href: "#" + heading.id, textContent: "#" });
    link.setAttribute("aria-label", "Link to this place");
    heading.append(" ", link);
  }

  // The place that an address names may lie in closed sections: they open, and the browser's jump is made good.
  function reveal(hash) {
    const place = document.getElementById(decodeURIComponent(hash.slice(1)));
    const closed = [];
    for (let node = place; node; node = node.parentElement) if (node.matches("details:not([open])")) closed.push(node);
    for (const section of closed) section.open = true;
    if (closed.length) place.scrollIntoView();
  }
  addEventListener("hashchange", () => reveal(location.hash));
  document.addEventListener("click", (event) => { // also on a link to where the address is already
    const link = event.target.closest("a[href*='#']");
    if (link?.hash === location.hash && link.pathname === location.pathname) reveal(link.hash);
  });
  reveal(location.hash);

  // On paper nothing opens at a click, so deeper sections are printed open.
  let printed = [];
  addEventListener("beforeprint", () => {
    printed = [...document.querySelectorAll(".deeper:not([open])")];
    for (const section of printed) section.open = true;
  });
  addEventListener("afterprint", () => { for (const section of printed) section.open = false; });

  const theme = document.getElementById("theme"), root = document.documentElement;
  const paint = (name) => {
    root.dataset.theme = name;
    theme.setAttribute("aria-pressed", name === "dark");
  };
  paint(root.dataset.theme);
  theme.addEventListener("click", () => {
    paint(root.dataset.theme === "dark" ? "light" : "dark");
    try { localStorage.setItem("theme", root.dataset.theme); } catch {} // where nothing may be kept, it is for this page
  });

  const wide = matchMedia("(min-width: 1100px)"), menu = document.getElementById("menu");
  const fit = () => { menu.open = wide.matches; };
  wide.addEventListener("change", fit);
  fit();
})();
