// The search; a link beside each heading, figure and equation; buttons that copy code; cards that say where a link leads; sections
// that open when a link leads into them or the page is printed; dark and light colours; and the menu that stands open where there is
// room for it. No module and no fetch, so that the pages work from a file.
(() => {
  const box = document.getElementById("search"), list = document.getElementById("found");
  const MOST = 12, AROUND = 70;

  // Text as it is searched: small letters without accents, x₀ and x_0 as x0, α as alpha, with a dot before it: η is no part of β.
  const GREEK = { α: "alpha", β: "beta", γ: "gamma", δ: "delta", ε: "epsilon", ζ: "zeta", η: "eta", θ: "theta", κ: "kappa", λ: "lambda", μ: "mu",
    ν: "nu", ξ: "xi", π: "pi", ρ: "rho", σ: "sigma", τ: "tau", φ: "phi", χ: "chi", ψ: "psi", ω: "omega" };
  const fold = (text) => text.normalize("NFKD").toLowerCase().replace(/[\u0300-\u036f_]/g, "").replace(/[α-ω]/g, (letter) => "·" + (GREEK[letter] ?? letter));
  const entries = window.SEARCH_INDEX.map((entry) => (
    { ...entry, inTitle: fold(entry.title), inText: fold(entry.text), defines: entry.defines.map(fold) }));

  function find(words) {
    const phrase = words.join(" ");
    const score = ({ inTitle, inText, defines, term }) => {
      let sum = 0;
      for (const word of words) {
        const hits = (inTitle.includes(word) ? 20 : 0) + Math.min(inText.split(word).length - 1, 9);
        if (!hits) return 0;
        sum += hits;
      }
      // First the glossary's row, then the section that defines the term, then what is named like it.
      const defined = defines.some((each) => each === phrase) ? 2 : defines.some((each) => each.includes(phrase)) ? 1 : 0;
      return sum + defined * (term ? 300 : 100);
    };
    return entries.map((entry) => [score(entry), entry]).filter(([points]) => points)
      .sort((a, b) => b[0] - a[0]).slice(0, MOST).map(([, entry]) => entry);
  }

  // How many letters must be put in, left out, changed or swapped to make one word of the other; more than `most` is Infinity.
  function apart(a, b, most) {
    if (Math.abs(a.length - b.length) > most) return Infinity;
    let rows = [null, Array.from({ length: b.length + 1 }, (_, j) => j)];
    for (let i = 1; i <= a.length; i++) {
      const [older, before] = rows, row = [i];
      for (let j = 1; j <= b.length; j++) {
        row[j] = Math.min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a[i - 1] !== b[j - 1]));
        if (older && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) row[j] = Math.min(row[j], older[j - 2] + 1);
      }
      if (Math.min(...row) > most) return Infinity;
      rows = [before, row];
    }
    return rows[1][b.length];
  }

  // A word as the course spells it; one that stands nowhere in it is replaced by the word that is nearest, if any is near.
  let known = null; // word: how often it is there, those of the glossary before others
  function spelt(word) {
    if (word.length < 4 || entries.some(({ inTitle, inText }) => inTitle.includes(word) || inText.includes(word))) return word;
    if (!known) {
      known = new Map();
      for (const { inTitle, inText, term } of entries)
        for (const each of `${inTitle} ${inText}`.match(/[a-z]{4,}/g) ?? []) known.set(each, (known.get(each) ?? 0) + (term ? 50 : 1));
    }
    const most = word.length < 6 ? 1 : 2;
    let best = null, least = [Infinity, 0];
    for (const [each, often] of known) {
      const begun = word.length > 4 && each.length > word.length ? apart(word, each.slice(0, word.length), most) + 0.5 : Infinity; // still typing
      const distance = Math.min(apart(word, each, most), begun);
      if (distance < least[0] || (distance === least[0] && distance < Infinity && often > least[1])) [best, least] = [each, [distance, often]];
    }
    return best ?? word;
  }

  // Where a place in the folded text is in the text: before the sign that it lies in, or behind it.
  function place(text, folded, behind) {
    let seen = 0, at = 0;
    for (const sign of text) {
      const long = fold(sign).length;
      if (behind ? seen >= folded : seen + long > folded) break;
      seen += long;
      at += sign.length;
    }
    return at;
  }

  function excerpt(entry, words) {
    const phrase = words.join(" "), word = entry.inText.includes(phrase) ? phrase : words.find((each) => entry.inText.includes(each));
    const line = document.createElement("small"), mark = document.createElement("mark");
    if (!word) {
      line.append(entry.text.slice(0, 2 * AROUND));
      return line;
    }
    const found = entry.inText.indexOf(word), at = place(entry.text, found, false), end = place(entry.text, found + word.length, true);
    const from = at > AROUND ? entry.text.indexOf(" ", at - AROUND) + 1 : 0; // no word is cut in two
    const to = end + AROUND < entry.text.length ? entry.text.lastIndexOf(" ", end + AROUND) : entry.text.length;
    mark.textContent = entry.text.slice(at, end);
    line.append((from ? "… " : "") + entry.text.slice(Math.min(from, at), at), mark, entry.text.slice(end, Math.max(to, end)) + (to < entry.text.length ? " …" : ""));
    return line;
  }

  function show() {
    const typed = fold(box.value).split(/\s+/).filter(Boolean), words = typed.map(spelt);
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
    const line = (textContent) => Object.assign(document.createElement("li"), { textContent });
    if (!found.length) list.append(line("Nothing found."));
    else if (words.join() !== typed.join()) list.prepend(line(`Nothing has “${typed.join(" ")}”. This is “${words.join(" ")}”:`));
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

  for (const place of document.querySelectorAll("main :is(h2, h3, .equation, [id^=figure-])[id]")) {
    const link = Object.assign(document.createElement("a"), { className: "here", href: "#" + place.id, textContent: "#" });
    link.setAttribute("aria-label", "Link to this place");
    place.append(" ", link);
  }

  for (const block of document.querySelectorAll("main .code")) {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "copy", textContent: "Copy" });
    button.addEventListener("click", async () => {
      const code = block.querySelector("pre");
      try { await navigator.clipboard.writeText(code.textContent.trimEnd()); button.textContent = "Copied"; }
      catch { getSelection().selectAllChildren(code); button.textContent = "Press Ctrl+C"; } // where the clipboard is closed
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    block.append(button);
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

  // A card beside a link says what it leads to, while the pointer or the focus rests on it: a term's meaning, a paper, an equation.
  const card = Object.assign(document.createElement("div"), { id: "card", hidden: true });
  card.setAttribute("role", "tooltip");
  document.body.append(card);
  const places = new Map(window.SEARCH_INDEX.map((entry) => [entry.url, entry]));

  function copied(node) {
    const copy = node.cloneNode(true);
    for (const each of [copy, ...copy.querySelectorAll("[id]")]) each.removeAttribute("id");
    copy.querySelector(".here")?.remove();
    for (const link of copy.querySelectorAll("a")) link.replaceWith(...link.childNodes);
    return copy;
  }

  function told(link) {
    if (link.dataset.card) return [link.dataset.card];
    const href = link.getAttribute("href"), entry = places.get(href);
    if (entry) return [Object.assign(document.createElement("b"), { textContent: entry.title }), " " + entry.text];
    const place = href.startsWith("#") && document.getElementById(decodeURIComponent(href.slice(1)));
    if (!place || place.closest("details.covered:not([open])")) return []; // an answer waits here, too
    if (place.matches(".equation")) return [copied(place)];
    let above = place.previousElementSibling; // of a caption: its picture
    while (above && !above.querySelector("img") && !above.matches("p, h2, h3")) above = above.previousElementSibling;
    const picture = above && [...above.querySelectorAll("img")].find((image) => image.offsetWidth);
    return [...(picture ? [copied(picture)] : []), copied(place)];
  }

  let rests = 0, beside = null;
  function lay(link) {
    const inside = told(link);
    if (!inside.length) return;
    card.replaceChildren(...inside);
    card.hidden = false;
    beside = link;
    link.setAttribute("aria-describedby", "card");
    put();
  }
  function put() {
    const line = [...beside.getClientRects()].at(-1), wide = document.documentElement.clientWidth;
    card.style.left = `${Math.max(8, Math.min(line.left, wide - card.offsetWidth - 8))}px`;
    const below = line.bottom + 6, fits = below + card.offsetHeight < innerHeight;
    card.style.top = `${fits ? below : Math.max(8, line.top - card.offsetHeight - 6)}px`;
  }
  function take() {
    clearTimeout(rests);
    beside?.removeAttribute("aria-describedby");
    [card.hidden, beside] = [true, null];
  }
  const after = (time, act) => { clearTimeout(rests); rests = setTimeout(act, time); };
  for (const link of document.querySelectorAll("main a.ref")) {
    link.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && after(250, () => { take(); lay(link); }));
    link.addEventListener("pointerleave", () => after(200, take));
    link.addEventListener("focus", () => { if (link.matches(":focus-visible")) { take(); lay(link); } });
    link.addEventListener("blur", take);
  }
  card.addEventListener("pointerenter", () => clearTimeout(rests)); // it may be read, and its words copied
  card.addEventListener("pointerleave", () => after(200, take));
  addEventListener("keydown", (event) => event.key === "Escape" && take());
  addEventListener("scroll", () => beside && put(), { passive: true });

  // On paper nothing opens at a click, so all that is folded is printed open, but for code that draws.
  let printed = [];
  addEventListener("beforeprint", () => {
    printed = [...document.querySelectorAll("main details:not([open], .folded, .alive *)")];
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

  // The menu shows which section one is in.
  const anchors = [...document.querySelectorAll("nav ol ol a")];
  const sections = anchors.map((link) => [link, document.getElementById(decodeURIComponent(link.hash.slice(1)))]);
  let waits = false;
  const follow = () => {
    waits = false;
    const passed = sections.filter(([, heading]) => heading?.getBoundingClientRect().top < innerHeight / 3).pop();
    for (const [link] of sections) {
      if (passed && link === passed[0]) link.setAttribute("aria-current", "location");
      else link.removeAttribute("aria-current");
    }
  };
  const soon = () => { if (!waits) requestAnimationFrame(follow); waits = true; };
  addEventListener("scroll", soon, { passive: true });

  const wide = matchMedia("(min-width: 1100px)"), menu = document.getElementById("menu");
  const fit = () => { menu.open = wide.matches; };
  wide.addEventListener("change", fit);
  fit();
})();
