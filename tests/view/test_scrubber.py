"""The scrubber shows the frame that its value says, and refuses frames that do not fit."""

from base64 import b64decode
from html.parser import HTMLParser
from io import BytesIO
from unittest.mock import patch

import numpy as np
import pytest
from PIL import Image

from diffusion_lab.view import player
from diffusion_lab.view.pages import SWITCH
from diffusion_lab.view.pictures import mosaic, png
from diffusion_lab.view.scrubber import Scrubber
from diffusion_lab.view.still import film_strip

FRAMES = [np.full((20, 30), shade, dtype=np.uint8) for shade in (0, 100, 200)]
LABELS = ["t = 2", "t = 1", "t = 0"]


def scrubber(**changes):
    return Scrubber(**{"frames": FRAMES, "labels": LABELS, "caption": "A caption.", "alt": "An alt text."} | changes)


def pixels_of(data):
    return np.asarray(Image.open(BytesIO(data)))


def shown(widget):
    """What a cell shows: the data of each of its outputs."""
    with patch("diffusion_lab.view.scrubber.display") as display:
        widget._ipython_display_()
    return [call.args[0] for call in display.call_args_list]


def test_a_cell_shows_the_still_and_the_whole_player_and_no_widget():
    still, html = shown(scrubber(value=1))
    assert set(still) == {"text/plain", "image/png"}
    assert set(html) == {"text/html"}
    data = player.data_of(html["text/html"])
    assert (data["value"], data["labels"], data["caption"], data["alt"]) == (1, LABELS, "A caption.", "An alt text.")
    frames = [pixels_of(b64decode(frame)).repeat(data["scale"], 0).repeat(data["scale"], 1) for frame in data["frames"]]
    assert (np.stack(frames) == np.stack(FRAMES)).all()


def test_enlarged_images_are_kept_small_and_shown_large():
    images = np.random.default_rng(0).uniform(-1, 1, (5, 1, 1, 28, 28))
    whole = player.data_of(shown(scrubber(frames=[mosaic(x, scale=3) for x in images[:3]]))[1]["text/html"])
    assert whole["scale"] == 3
    assert pixels_of(b64decode(whole["frames"][0])).shape == (28, 28)
    frames = [mosaic(images[0], scale=3), mosaic(images[1], scale=3), np.zeros((84, 84), dtype=np.uint8)]
    frames[2][5, 7] = 1
    assert scrubber(frames=frames)._data["scale"] == 1, "one of them is no enlarged image"


def test_what_is_thinned_keeps_its_ends_and_its_value_and_says_so():
    data = Scrubber([np.full((4, 5), i, dtype=np.uint8) for i in range(31)], [f"t = {i}" for i in range(31)], "", "", 7)
    thin = player.thinned(player.reduced(data._data), 10)
    assert thin["labels"] == ["t = 0", "t = 7", "t = 10", "t = 20", "t = 30"]
    assert thin["labels"][thin["value"]] == "t = 7"
    assert "5 of 31" in thin["note"]
    shades = [pixels_of(b64decode(frame))[0, 0] for frame in thin["frames"]]
    assert [shade[0] for shade in shades] == [0, 7, 10, 20, 30], "no grey is lost"
    assert "note" not in player.thinned(data._data, 1)


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
    assert b64decode(widget._data["frames"][0]) == png(FRAMES[0])
    assert widget._still == scrubber()._still


def test_the_page_is_self_contained_and_the_same_each_time():
    widget = scrubber(caption="</script> & more")
    page = widget.to_html()
    assert page == scrubber(caption="</script> & more").to_html()
    assert page.count("</script>") == 1, "text from the caption must not end the script"
    assert "http" not in page
    assert all(data in page for data in widget._data["frames"])


def test_its_player_comes_along_where_pages_are_made_and_nowhere_else(monkeypatch):
    class Attributes(HTMLParser):
        def handle_starttag(self, tag, attributes):
            self.tag, self.attributes = tag, dict(attributes)

    widget, parser = scrubber(caption='Quotes " and </script> & more'), Attributes()
    monkeypatch.delenv(SWITCH, raising=False)
    without, metadata = widget._repr_mimebundle_()
    assert "text/html" not in without
    monkeypatch.setenv(SWITCH, "1")
    assert [set(data) for data in shown(widget)] == [{"text/plain", "text/html", "image/png"}]
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


def test_a_label_of_two_lines_is_one_line_on_the_film_strip():
    one = film_strip(FRAMES, ["t = 1 clean"] * 3, "A caption.")
    assert film_strip(FRAMES, ["t = 1\nclean"] * 3, "A\ncaption.") == one
    assert Scrubber(FRAMES, ["t = 1\nclean"] * 3, "A caption.", "An alt text.")._data["labels"][0] == "t = 1\nclean"


def test_a_film_strip_has_room_for_long_labels_and_captions():
    strip = pixels_of(film_strip(FRAMES, ["a label that is much longer than the picture"] * 3, "A caption. " * 30))
    assert strip.shape[1] <= 900
    assert strip.shape[0] > 20 + 17 + 3 * 17, "the caption goes on in further lines"
