"""The scrubber shows the frame that its value says, and refuses frames that do not fit."""

from base64 import b64decode
from html.parser import HTMLParser
from io import BytesIO

import ipywidgets as widgets
import numpy as np
import pytest
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

from diffusion_lab.view.live import Live
from diffusion_lab.view.pictures import mosaic, png
from diffusion_lab.view.scrubber import Scrubber
from diffusion_lab.view.still import film_strip
from diffusion_lab.view.style import figure

FRAMES = [np.full((20, 30), shade, dtype=np.uint8) for shade in (0, 100, 200)]
LABELS = ["t = 2", "t = 1", "t = 0"]


def scrubber(**changes):
    return Scrubber(**{"frames": FRAMES, "labels": LABELS, "caption": "A caption.", "alt": "An alt text."} | changes)


def frame(widget):
    """The pixels that the browser shows for the widget's value."""
    return pixels_of(b64decode(widget._frames[widget.value]))


def pixels_of(data):
    return np.asarray(Image.open(BytesIO(data)))


def test_value_picks_the_frame():
    widget = scrubber(value=1)
    assert (frame(widget) == FRAMES[1]).all()
    widget.value = 2
    assert (frame(widget) == FRAMES[2]).all()
    assert widget._labels[widget.value] == "t = 0"


def test_all_that_the_browser_needs_is_synced_with_it():
    state = scrubber(value=1).get_state()
    assert state["value"] == 1
    assert state["_labels"] == LABELS
    assert (np.stack([pixels_of(b64decode(data)) for data in state["_frames"]]) == np.stack(FRAMES)).all()
    assert (state["_caption"], state["_alt"]) == ("A caption.", "An alt text.")


def test_value_can_be_observed_and_linked():
    widget, slider = scrubber(), widgets.IntSlider(max=2)
    widgets.link((widget, "value"), (slider, "value"))
    slider.value = 2
    assert widget.value == 2


def test_two_scrubbers_do_not_disturb_each_other():
    one, other = scrubber(), scrubber()
    one.value = 2
    assert other.value == 0


def test_its_text_is_fixed_and_its_still_shows_first_and_last_frame():
    data, metadata = scrubber()._repr_mimebundle_()
    assert data["text/plain"] == "Scrubber(3 frames)"
    assert metadata["image/png"]["alt"] == "An alt text."
    still = np.asarray(Image.open(BytesIO(b64decode(data["image/png"]))).convert("L"))
    shades = still[10]
    assert np.abs(shades[:30].astype(int) - 0).max() < 10, "the first frame, at the left"
    assert shades[30] > 250
    assert (np.abs(shades.astype(int) - 200) < 10).sum() == 30, "the last one, in its own size"


def test_png_bytes_are_frames_too():
    widget = scrubber(frames=[png(array) for array in FRAMES])
    assert b64decode(widget._frames[0]) == png(FRAMES[0])
    assert widget._still == scrubber()._still


def test_the_page_is_self_contained_and_the_same_each_time():
    widget = scrubber(caption="</script> & more")
    page = widget.to_html()
    assert page == scrubber(caption="</script> & more").to_html()
    assert page.count("</script>") == 1, "text from the caption must not end the script"
    assert "http" not in page
    assert all(data in page for data in widget._frames)


def test_a_value_that_is_no_frame_is_refused_later_too():
    widget = scrubber()
    with pytest.raises(ValueError, match="0…2"):
        widget.value = 3
    assert widget.value == 0


def test_its_player_comes_along_where_pages_are_made_and_nowhere_else(monkeypatch):
    class Attributes(HTMLParser):
        def handle_starttag(self, tag, attributes):
            self.tag, self.attributes = tag, dict(attributes)

    widget, parser = scrubber(caption='Quotes " and </script> & more'), Attributes()
    monkeypatch.delenv("DIFFUSION_LAB_PLAYER", raising=False)
    without, metadata = widget._repr_mimebundle_()
    assert "text/html" not in without
    monkeypatch.setenv("DIFFUSION_LAB_PLAYER", "1")
    data, same = widget._repr_mimebundle_()
    assert same == metadata
    parser.feed(data.pop("text/html"))
    assert parser.tag == "iframe"
    assert parser.attributes["srcdoc"] == widget.to_html(), "the whole player, unharmed by its way through HTML"
    assert parser.attributes["title"] == 'Quotes " and </script> & more'
    assert data == without


def test_a_hundred_frames_of_a_digit_are_small():
    generator = np.random.default_rng(0)
    chain = generator.standard_normal((100, 1, 1, 28, 28))  # noise in every frame: nothing is harder to compress
    widget = Scrubber([mosaic(x_t) for x_t in chain], [str(t) for t in range(100)], "A digit.", "A digit.")
    assert len(widget.to_html()) < 500_000, "the whole player, frames included"


@pytest.mark.parametrize(("changes", "words"), [
    ({"frames": [], "labels": []}, "at least one frame"),
    ({"frames": [FRAMES[0], FRAMES[1], FRAMES[2].T]}, "same size"),
    ({"labels": LABELS[:2]}, "3 frames and 2 labels"),
    ({"value": 3}, "0…2"),
    ({"value": -1}, "0…2"),
])
def test_what_does_not_fit_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        scrubber(**changes)


def test_live_draws_anew_when_a_control_moves():
    control = widgets.IntSlider(value=10, max=200)
    live = Live(lambda shade: np.full((5, 5), shade, dtype=np.uint8), "A caption.", "An alt text.", shade=control)
    picture = live.children[1]
    before = picture.get_state()["_png"]
    control.value = 99
    after = picture.get_state()
    assert (pixels_of(b64decode(after["_png"])) == 99).all()
    assert after["_png"] != before
    assert after["_alt"] == "An alt text.", "what a screen reader says for the picture"
    data, metadata = live._repr_mimebundle_()
    assert data["text/plain"] == "Live(shade=99)"
    assert metadata["image/png"]["alt"] == "An alt text."
    still = pixels_of(b64decode(data["image/png"]))
    assert still.shape[0] > 2 * 17, "a line for the values and one for the caption"


def test_the_still_of_a_live_picture_tells_its_values_and_its_caption(monkeypatch):
    written = []
    monkeypatch.setattr("diffusion_lab.view.still.ImageDraw.Draw", lambda image: Pen(written))
    Live(lambda mean, w: np.zeros((50, 400), dtype=np.uint8), "Look at the width.", "An alt text.",
         mean=widgets.FloatSlider(value=0.5, description="μ"), w=widgets.IntSlider(value=3))._repr_mimebundle_()
    assert written == ["Drawn for μ = 0.5, w = 3. Run the notebook to change it.", "Look at the width."]


class Pen:
    def __init__(self, written):
        self.written = written

    def text(self, place, text, **style):
        self.written.append(text)


def test_a_film_strip_has_room_for_long_labels_and_captions():
    strip = pixels_of(film_strip(FRAMES, ["a label that is much longer than the picture"] * 3, "A caption. " * 30))
    assert strip.shape[1] <= 900
    assert strip.shape[0] > 20 + 17 + 3 * 17, "the caption goes on in further lines"


def test_live_leaves_the_layout_of_a_figure_that_comes_back():
    control, (fig, ax) = widgets.IntSlider(value=1, max=9), figure(width=2, height=1)
    line, = ax.plot([0, 1], [0, 0])

    def draw(height):
        line.set_ydata([0, height])
        return fig

    live = Live(draw, "A caption.", "An alt text.", height=control)
    before = live._array
    control.value = 9
    assert not isinstance(fig.get_layout_engine(), ConstrainedLayoutEngine)
    assert (live._array != before).any()
