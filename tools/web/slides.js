// A deck, and the keys that lead into the player of a slide. The player's own keys stay inside its frame.
(() => {
  const inPlayer = (slide, selector) => slide?.querySelector("iframe")?.contentDocument.querySelector(selector);

  Reveal.initialize({
    width: 1280, height: 720, margin: 0, minScale: 0.1, maxScale: 4, center: false, hash: true, transition: "none",
    slideNumber: "c/t", controlsTutorial: false, plugins: [RevealNotes],
  });
  Reveal.addKeyBinding({ keyCode: 84, key: "T", description: "To the player (Esc: back)" }, () => {
    const slide = Reveal.getCurrentSlide(), slider = inPlayer(slide, ".scrubber-slider") ?? slide.querySelector(".moves-slider");
    if (!slider) return;
    slider.ownerDocument.defaultView.focus();
    slider.focus();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !event.target.closest(".moves")) return;
    event.target.blur();
    event.stopPropagation(); // else all slides are shown at once
  }, true);
  Reveal.on("slidechanged", ({ previousSlide }) => {
    inPlayer(previousSlide, '[aria-label="Pause"]')?.click();
    document.activeElement.blur();
    window.focus();
  });
})();
