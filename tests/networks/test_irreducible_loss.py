"""What lesson 05 draws as a line: the irreducible loss, by quadrature, against two other derivations."""

import jupytext
import pytest
import torch
from course import ROOT

from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.schedule import cosine

LESSON = ROOT / "lessons" / "05_denoiser" / "lesson.py"


@pytest.fixture(scope="module")
def lesson():
    """The lesson's own data and quadrature, run as the lesson runs them."""
    sources = [cell.source for cell in jupytext.read(LESSON, fmt="py:percent").cells if cell.cell_type == "code"]
    space, threads = {}, torch.get_num_threads()
    wanted = ("from time import", "angle = torch.arange(6", "def irreducible")
    for start in wanted:
        source = next(source for source in sources if source.startswith(start))
        exec(source.split("places =")[0], space)
    torch.set_num_threads(threads)
    space["exact"] = space["data"].denoiser(space["schedule"])
    data = space["data"]
    space["second_moment"] = (data.weight * (data.mean.square().sum(dim=1) + 2 * data.var)).sum()
    return space


def test_against_the_trapezoid_rule(lesson):
    """Var[x_0 given x_t] from the parts of the mixture, over the whole plane: no equation (6), no Gauss-Hermite."""
    data, schedule, losses = lesson["data"], lesson["schedule"], lesson["irreducible"](18)
    line = torch.linspace(-6, 6, 241, dtype=torch.float64)
    grid, cell, differences = torch.cartesian_prod(line, line), (line[1] - line[0]) ** 2, []
    for t in range(20, 1001, 20):
        alpha_bar = schedule.alpha_bar[t]
        q_t = data.marginal(t, schedule)
        r = torch.softmax(q_t.log_joint(grid), dim=1)
        gain = alpha_bar.sqrt() * data.var / q_t.var
        means = data.mean + gain[:, None] * (grid[:, None] - q_t.mean)
        spread = (r * (means.square().sum(-1) + 2 * data.var * (1 - alpha_bar) / q_t.var)).sum(1)
        doubt = spread - (r[..., None] * means).sum(1).square().sum(-1)
        expected = (q_t.log_prob(grid).exp() * doubt).sum() * cell / 2 / (1 - alpha_bar)
        differences.append(losses[t - 1] - expected)
    differences = torch.stack(differences)
    assert differences.abs().max() < 2e-3
    assert differences.mean().abs() < 5e-5


def test_one_gaussian_in_closed_form(lesson):
    """For N(m, u I) the doubt about x_0 is u (1-ᾱ)/(ᾱ u + 1-ᾱ), at every x_t."""
    space = lesson.copy()
    schedule, u = cosine(), 0.4
    data = GaussianMixture([1.0], [[0.3, -1.0]], [u])
    function = space["irreducible"]
    kept = {name: function.__globals__[name] for name in ("data", "exact", "second_moment")}
    function.__globals__.update(data=data, exact=data.denoiser(schedule), second_moment=1.09 + 2 * u)
    alpha_bar = schedule.alpha_bar[1:]
    losses = function(6)
    function.__globals__.update(kept)
    assert torch.allclose(losses, u / (alpha_bar * u + 1 - alpha_bar), rtol=1e-8, atol=0)
