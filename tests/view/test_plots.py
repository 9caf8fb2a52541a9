"""The recurring pictures show the numbers that they are given, in the look of their role."""

import numpy as np
import pytest

from diffusion_lab.view.plots import clouds, curves, gallery, histogram
from diffusion_lab.view.style import BLUE, POINTS, ROLES, figure

X = np.linspace(-1, 1, 5)


def test_curves_are_drawn_in_the_look_of_their_role():
    _, ax = figure()
    curves(ax, [(X, X**2, role, role) for role in ROLES], "x", "y", xlim=(-2, 2))
    for line, role in zip(ax.lines, ROLES, strict=True):
        assert (line.get_xydata() == np.stack([X, X**2], axis=1)).all()
        assert {name: getattr(line, f"get_{name}")() for name in ROLES[role]} == ROLES[role]
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_xlim()) == ("x", "y", (-2, 2))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(ROLES)


def test_curves_without_names_have_no_legend():
    _, ax = figure()
    curves(ax, [(X, X, "data", None)], "x", "y")
    assert ax.get_legend() is None


def test_no_two_roles_differ_in_colour_alone():
    assert len({(role["linestyle"], role.get("linewidth")) for role in ROLES.values()}) == len(ROLES)
    assert len({role["marker"] for role in POINTS.values()}) == len(POINTS)


def test_the_area_of_a_histogram_is_one():
    _, ax = figure()
    histogram(ax, 3 * np.random.default_rng(0).standard_normal(500), "data", "samples", bins=20)
    assert sum(bar.get_width() * bar.get_height() for bar in ax.patches) == pytest.approx(1)


def test_clouds_show_each_point_where_it_is():
    points = np.array([[0.0, 1.0], [2.0, -1.0]])
    fig = clouds([(points, "data", "one"), (points[:1], "model", "other")], lim=4)
    one, other = fig.axes
    assert (one.collections[0].get_offsets() == points).all()
    assert (other.collections[0].get_offsets() == points[:1]).all()
    assert [ax.get_title() for ax in fig.axes] == ["one", "other"]
    assert one.get_xlim() == one.get_ylim() == (-4, 4)


def test_numbers_that_a_picture_would_hide_are_refused():
    with pytest.raises(ValueError, match="histogram must be finite"):
        histogram(figure()[1], [0.0, 1.0, np.nan], "data", "samples")
    with pytest.raises(ValueError, match=r"shape \(n, 2\), but those of 'deep' have \(4, 3\)"):
        clouds([(np.zeros((4, 2)), "data", "flat"), (np.zeros((4, 3)), "data", "deep")])


def test_a_figure_has_the_look_of_the_course():
    _, ax = figure()
    assert not ax.spines["top"].get_visible()
    assert not ax.spines["right"].get_visible()
    assert ax.plot(X, X)[0].get_color() == BLUE


def test_a_gallery_shows_its_images_row_by_row_with_their_names():
    images = np.linspace(-1, 1, 6).reshape(6, 1, 1, 1).repeat(28, 2).repeat(28, 3)
    ax, = gallery({"above": images[:3], "below": images[3:]}, ["a", "b", "c"]).axes
    shown = ax.images[0].get_array()
    middles = [[shown[int(y), int(x)] for x in ax.get_xticks()] for y in ax.get_yticks()]
    assert middles == [[0, 51, 102], [153, 204, 255]]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b", "c"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["above", "below"]
