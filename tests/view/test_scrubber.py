"""The scrubber shows the frame that its value says, and refuses frames that do not fit."""

from base64 import b64decode, b64encode
from io import BytesIO

import ipywidgets as widgets
import numpy as np
import pytest
from PIL import Image

from diffusion_lab.view.live import Live
from diffusion_lab.view.pictures import png
from diffusion_lab.view.scrubber import Scrubber

FRAMES = [np.full((20, 30), shade, dtype=np.uint8) for shade in (0, 100, 200)]
LABELS = ["t = 2", "t = 1", "t = 0"]


def scrubber(**changes):
    return Scrubber(**{"frames": FRAMES, "labels": LABELS, "caption": "A caption.", "alt": "An alt text."} | changes)


def frame(widget):
    """The picture that the browser shows for the widget's value."""
    return b64decode(widget._frames[widget.value])


def test_value_picks_the_frame():
    widget = scrubber(value=1)
    assert frame(widget) == png(FRAMES[1])
    widget.value = 2
    assert frame(widget) == png(FRAMES[2])
    assert widget._labels[widget.value] == "t = 0"


def test_all_that_the_browser_needs_is_synced_with_it():
    state = scrubber(value=1).get_state()
    assert state["value"] == 1
    assert state["_labels"] == LABELS
    assert [b64decode(data) for data in state["_frames"]] == [png(array) for array in FRAMES]
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
    assert still[10, 10] < 10
    assert abs(int(still[10, still.shape[1] - 130]) - 200) < 10


def test_png_bytes_are_frames_too():
    assert frame(scrubber(frames=[png(array) for array in FRAMES])) == png(FRAMES[0])


def test_the_page_is_self_contained_and_the_same_each_time():
    page = scrubber(caption="</script> & more").to_html()
    assert page == scrubber(caption="</script> & more").to_html()
    assert page.count("</script>") == 1, "text from the caption must not end the script"
    assert "http" not in page
    assert all(b64encode(png(array)).decode() in page for array in FRAMES)


def test_a_value_that_is_no_frame_is_refused_later_too():
    widget = scrubber()
    with pytest.raises(ValueError, match="0…2"):
        widget.value = 3
    assert widget.value == 0


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
    before = picture.value
    control.value = 99
    assert picture.value == png(np.full((5, 5), 99, dtype=np.uint8)) != before
    data, metadata = live._repr_mimebundle_()
    assert data["text/plain"] == "Live(shade=99)"
    assert metadata["image/png"]["alt"] == "An alt text."
