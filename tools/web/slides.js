// A deck, and the keys that lead into the player of a slide. The player's own keys stay inside its frame.
(() => {
  const inPlayer = (slide, selector) => slide?.querySelector("iframe")?.contentDocument.querySelector(selector);

  Reveal.initialize({
    width: 1280, height: 720, margin: 0, minScale: 0.1, maxScale: 4, center: false, hash: true, transition: "none",
    slideNumber: "c/t", controlsTutorial: false, plugins: [RevealNotes],
  });
  Reveal.addKeyBinding({ keyCode: 84, key: "T", description: "To the player (Esc: back)" }, () => {
    const slider = inPlayer(Reveal.getCurrentSlide(), ".scrubber-slider");
    if (!slider) return;
    slider.ownerDocument.defaultView.focus();
    slider.focus();
  });
  Reveal.on("slidechanged", ({ previousSlide }) => {
    inPlayer(previousSlide, '[aria-label="Pause"]')?.click();
    document.activeElement.blur();
    window.focus();
  });
})();
