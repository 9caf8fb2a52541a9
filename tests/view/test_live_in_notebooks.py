"""The live pictures of the notebooks still work when all cells have run, whatever names later cells have used again."""

import pytest
from build_notebooks import twins
from lives import ends_of, has_live, lives_of

TWINS = [twin for twin in twins() if has_live(twin)]


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.stem)
def test_every_control_changes_the_picture_and_back_again(twin):
    for caption, controls, live in lives_of(twin):
        first = live._array
        for name, control in controls.items():
            before, seen = control.value, []
            for value in ends_of(control):
                control.value = value
                assert live._array.shape == first.shape, (caption, name, value)
                seen.append(live._array)
            assert (seen[0] != seen[1]).any(), f"{name} changes nothing: {caption}"
            control.value = before
            assert (live._array == first).all(), f"{name} moved there and back: {caption}"
