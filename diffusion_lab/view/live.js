// The picture of a `Live`. The browser keeps the one before on the screen until the next is decoded, so none is blank.

export default {
  render({ model, el }) {
    const picture = Object.assign(document.createElement("img"), { className: "live-picture", alt: model.get("_alt") });
    Object.assign(picture.style, { display: "block", maxWidth: "100%", background: "white" });
    const show = () => { picture.src = "data:image/png;base64," + model.get("_png"); };
    show();
    el.append(picture);
    model.on("change:_png", show);
    return () => model.off("change:_png", show);
  },
};
