# %% [markdown]
# # Train a network to undo the noise
#
# Drop forty grains on a table, anywhere. Arrows push them, and they flow apart into six clouds. Who drew the arrows?
# Here a small network draws them, after a minute of practice. Nobody ever showed it an arrow. It saw only points,
# spoilt by noise, and was asked what they had been.

# %%
from time import perf_counter

import ipywidgets as widgets
import numpy as np
import torch
from torch import nn

from diffusion_lab.data.digits import load_digits
from diffusion_lab.exercises import denoiser as exercise
from diffusion_lab.sampling.chain import last, spaced
from diffusion_lab.sampling.ddim import ddim
from diffusion_lab.theory.denoiser import Denoiser
from diffusion_lab.theory.forward import noise_like, q_sample
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.schedule import at, cosine, linear
from diffusion_lab.view.frames import painter
from diffusion_lab.view.live import Live
from diffusion_lab.view.plots import curves
from diffusion_lab.view.show import show
from diffusion_lab.view.style import BLACK, BLUE, GREY, ORANGE, ROLES, figure
from diffusion_lab.weights.pretrained import load_pretrained

torch.set_num_threads(1)  # the network is small: more threads would only wait for each other
generator = torch.Generator().manual_seed(0)
schedule = cosine()
alpha_bar = schedule.alpha_bar

# %% [markdown]
# The data: six round clouds on a ring, of very different weight.

# %%
angle = torch.arange(6, dtype=torch.float64) * torch.pi / 3
centres = 1.35 * torch.stack([angle.cos(), angle.sin()], dim=1)
data = GaussianMixture([0.25, 0.05, 0.2, 0.15, 0.25, 0.1], centres, [0.03] * 6)
exact = data.denoiser(schedule)

# %% tags=["figure"]
# draws the density, the arrows and forty grains with their tails, at three times
from matplotlib.colors import LinearSegmentedColormap

WATER = LinearSegmentedColormap.from_list("water", ["#ffffff", "#d6e8f6", "#8cc1e3", "#3a8fc7", "#1c6ba5"])
line = torch.linspace(-2.7, 2.7, 110, dtype=torch.float64)
pixels_of_plane = torch.cartesian_prod(line, line)
places = torch.cartesian_prod(*[torch.linspace(-2.4, 2.4, 13, dtype=torch.float64)] * 2)
grains = noise_like(torch.zeros(40, 2, dtype=torch.float64), torch.Generator().manual_seed(2))
flow = list(ddim(exact, grains, spaced(1000, 200)))
path = torch.stack([grains] + [step.x_s for step in flow])
fig, axes = figure(columns=3, width=12, height=4.3)
for ax, t in zip(axes, (600, 250, 60)):
    q = data.marginal(t, schedule).log_prob(pixels_of_plane).exp().reshape(110, 110)
    extent = (-2.7, 2.7, -2.7, 2.7)
    ax.imshow(q.T, origin="lower", extent=extent, cmap=WATER, vmax=float(q.max()) * 1.2, interpolation="bilinear")
    a = schedule.alpha_bar[t]
    arrows = (exact(places, t) - a.sqrt() * places) / (1 - a).sqrt()
    arrows = arrows * (1.2 / arrows.norm(dim=1, keepdim=True)).clamp(max=1)
    ax.quiver(*places.T, *arrows.T, color=BLACK, scale=26, width=0.0045, alpha=0.55)
    now = (1000 - t) // 5
    ax.plot(*path[: now + 1].permute(2, 0, 1), color=ORANGE, linewidth=1.3, alpha=0.85)
    ax.scatter(*path[now].T, color=ORANGE, s=22, edgecolors="white", linewidths=0.6, zorder=5)
    ax.set(title=f"t = {t}", xlim=(-2.7, 2.7), ylim=(-2.7, 2.7), aspect="equal")
    ax.grid(False)
show(
    fig,
    alt="Three square panels with a blue density, a grid of arrows and orange dots with tails. At t = 600 one round blot; "
    "at 250 a ring begins to part; at 60 six blots, and nearly every dot lies in one.",
)

# %% [markdown]
# **Figure 1.** Blue: the density $q(x_t)$ at three times. Arrows: the push at each place; the longest are cut. Orange: the
# forty grains, with tails. Here the arrows are exact, since for six Gaussians they are a formula. For photographs nobody has one.
#
# You will be able to
#
# - **explain** why regression finds the one thing that is missing, and where its loss must end,
# - **convert** between the five targets in use, and say what each cares about,
# - **build** a network that knows the time, and train it down to the floor,
# - **tell** a network that has learned from one that remembers.
#
# **You need** notebooks 02 (the jump) and 03 (why an average is all that is missing). **Time to read** 75 minutes, with core
# exercises 125, with everything 170 · **to run** a minute or two. **Paper sections**: Ho et al. 2020, 3.2 to 3.4;
# Salimans & Ho 2022, 4.
#
# ## Predict first
#
# A network sees a noisy point and guesses what it was. Its loss is the mean square of its error. Give it any size, any amount
# of data, any time. Does the loss go to 0?
#
# Then let it practise on a hundred points only. On these its loss could be far lower. Would you want that?
#
# ## 1 · An average can be learned
#
# Notebook 03 left us with one unknown. Every step back needs $\hat x_0(x_t)=\mathbb E[x_0\mid x_t]$, the average of all
# data that fits $x_t$. How do you get an average that nobody can compute? You make examples, and fit a curve.
#
# Examples cost nothing. Take a data point, take noise, and jump:
#
# $$x_t=\sqrt{\bar\alpha_t}\,x_0+\sqrt{1-\bar\alpha_t}\,\varepsilon\tag{1}$$
#
# You have the question, $x_t$, and the answer, $x_0$. Many answers belong to nearly the same question. Whoever must
# give one for all, and pays the square of the error, should give their mean. So regression finds $\hat x_0$, though
# nobody shows it an average.
#
# **Try it.** Each dot is an example from the two peaks of notebook 03; the stairs average the dots in each strip. Start with
# few examples, then take many. At which $t$ does the curve jump, and at which is it nearly flat?

# %% tags=["figure"]
# draws examples (x_t, x_0) on a line, the average in each strip, and the exact curve
def strips():
    """A picture for a time and a number of examples."""
    two = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [0.02, 0.02])
    fresh = torch.Generator().manual_seed(4)
    x_0 = two.sample(20_000, fresh)
    eps = torch.randn(20_000, 1, generator=fresh, dtype=torch.float64)
    edges = torch.linspace(-3, 3, 31, dtype=torch.float64)
    x = torch.linspace(-3, 3, 300, dtype=torch.float64)
    fig, ax = figure(width=9.6, height=4.4)
    dots = ax.plot([], [], "o", color=BLUE, markersize=3, alpha=0.35, markeredgewidth=0, label="examples")
    steps = ax.plot([], [], color=ORANGE, linewidth=3, label="average of the dots in each strip")
    truth = ax.plot(x, 0 * x, label=r"exact $\hat x_0$", **ROLES["exact"])
    ax.set(xlabel="the question: $x_t$", ylabel="the answer: $x_0$", xlim=(-3, 3), ylim=(-1.7, 2.3))
    ax.legend(loc="upper left", ncols=3)
    paint = painter(fig, [*dots, *steps, *truth])

    def draw(t, examples):
        x_t = q_sample(x_0[:examples], t, eps[:examples], schedule)[:, 0]
        answers = x_0[:examples, 0]
        strip = torch.bucketize(x_t, edges)
        means = [answers[strip == k].mean() if (strip == k).any() else torch.nan for k in range(1, 31)]
        dots[0].set_data(x_t[:3000], answers[:3000])
        steps[0].set_data(edges.repeat_interleave(2)[1:-1], np.repeat(np.array(means), 2))
        truth[0].set_ydata(two.denoiser(schedule)(x[:, None], t)[:, 0])
        return paint()

    return draw


Live(
    strips(),
    caption="Regression finds the average. The sliders move the time t and the number of examples.",
    alt="Blue dots in two bands at x_0 = -1 and +1, an orange staircase of strip averages, and a dashed S-shaped curve "
    "that the staircase follows.",
    t=widgets.IntSlider(value=500, min=10, max=1000, step=10, description="t"),
    examples=widgets.SelectionSlider(value=2000, options=[30, 100, 300, 1000, 2000, 5000, 20_000], description="examples"),
)

# %% [markdown]
# In the middle no dot lies near the curve, and yet the curve is right.
#
# How far from the dots must it stay? Let $f(x_t)$ be anybody's answer. Write $x_0-f=(x_0-\hat x_0)+(\hat x_0-f)$ and square. At a given $x_t$ the first
# bracket has mean 0 and the second is fixed, so the mixed term vanishes:
#
# $$\mathbb E\|x_0-f\|^2=\underbrace{\mathbb E\|x_0-\hat x_0\|^2}_{\text{irreducible: the floor}}
#   +\underbrace{\mathbb E\|\hat x_0-f\|^2}_{\text{excess}}\tag{2}$$
#
# The **irreducible loss**, or **floor**, is what $x_t$ does not tell about $x_0$. No network gets below it; only the **excess**
# can be learned away.
#
# ## 2 · One thing, five names
#
# Open five papers, and their networks predict five things: the data $x_0$, the noise $\varepsilon$, something called $v$, the
# score, a velocity $u$. Do not be impressed. Once $x_t$ and $t$ are given, each is a straight-line function of any other. Whoever
# knows the mean of one knows the mean of all.
#
# Two of them you know, and (1) turns one into the other. The third mixes the two crosswise (Salimans & Ho 2022):
#
# $$v=\sqrt{\bar\alpha_t}\,\varepsilon-\sqrt{1-\bar\alpha_t}\,x_0\tag{3}$$
#
# Why this? Look at the pair $(x_0,\varepsilon)$ as a point in a plane.

# %% tags=["figure"]
# draws the point (x_0, eps), read off along two pairs of axes
from matplotlib.patches import Circle

phi = 0.62
turned = np.array([[np.cos(phi), np.sin(phi)], [-np.sin(phi), np.cos(phi)]])
point = np.array([0.62, 1.02])
fig, axes = figure(columns=2, width=10.4, height=5.2)
for ax, basis, names, colour in ((axes[0], np.eye(2), ("$x_0$", r"$\varepsilon$"), BLUE),
                                 (axes[1], turned, ("$x_t$", "$v$"), ORANGE)):
    ax.add_patch(Circle((0, 0), np.hypot(*point), fill=False, color="#cccccc"))
    for one in np.eye(2):
        ax.annotate("", 1.42 * one, -0.6 * one, arrowprops={"arrowstyle": "->", "color": "#bbbbbb"})
    for one, name in zip(basis, names):
        ax.annotate("", 1.42 * one, -0.6 * one, arrowprops={"arrowstyle": "->", "color": colour, "lw": 2.2})
        ax.text(*(1.52 * one), name, color=colour, fontsize=16, ha="center", va="center")
        foot = (point @ one) * one
        ax.plot(*zip(point, foot), color=colour, linestyle=":", linewidth=1.8)
        ax.plot(*zip((0, 0), foot), color=colour, linewidth=6, alpha=0.35, solid_capstyle="butt")
    ax.plot(*point, "o", color=BLACK, markersize=10, zorder=5)
    ax.set(xlim=(-1.3, 1.75), ylim=(-1.3, 1.75), aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
bow = np.linspace(0, phi, 30)
axes[1].plot(0.42 * np.cos(bow), 0.42 * np.sin(bow), color=BLACK, linewidth=1.2)
axes[1].text(0.56 * np.cos(phi / 2), 0.56 * np.sin(phi / 2), r"$\varphi$", fontsize=14, ha="center", va="center")
axes[0].set_title("what went in: data and noise")
axes[1].set_title("what you see, and what you do not")
show(
    fig,
    alt="Two copies of a black point in a plane. Left it is read off along blue axes x_0 and epsilon. Right the axes are "
    "turned by an angle phi, orange, and called x_t and v.",
)

# %% [markdown]
# **Figure 2.** The same point, read off along two pairs of axes. You see its $x_t$; you are asked for its $v$. The angle
# $\varphi$ has the cosine $\sqrt{\bar\alpha_t}$, and grows from 0 at the data to 90 degrees at pure noise.
#
# So $(x_t,v)$ is $(x_0,\varepsilon)$, turned. Nothing is stretched, and the way back needs no division. With the means, $\hat v=\mathbb E[v\mid x_t]$,
# it reads $\hat x_0=\sqrt{\bar\alpha_t}\,x_t-\sqrt{1-\bar\alpha_t}\,\hat v$. Let the angle grow, and the point's $x_t$ moves: $v=dx_t/d\varphi$ is its
# **velocity**. The arrows of Figure 1 are $-\hat v$, the way back.
#
# The **score** is $\nabla\log q(x_t)$: from each place, the direction in which the density rises fastest. What has that to do
# with denoising? **Tweedie's formula** says
#
# $$\nabla\log q(x_t)=\frac{\sqrt{\bar\alpha_t}\;\hat x_0-x_t}{1-\bar\alpha_t}
#   =-\frac{\mathbb E[\varepsilon\mid x_t]}{\sqrt{1-\bar\alpha_t}}\tag{4}$$
#
# The score points against the expected noise. Uphill, to where the points live, is where the noise came from. (The
# fifth, $u=x_0-\varepsilon$, is a velocity, too, along a straight line.)

# %% tags=["export:diffusion_lab.theory.parameterization"]
def x_0_from_eps(x_t, eps, t, schedule):
    """Equation (1), solved for x_0. x_t, eps: (n, …); t: int or int64 (n,)."""
    alpha_bar_t = at(schedule.alpha_bar, t, like=x_t)
    return ((x_t - (1 - alpha_bar_t).sqrt() * eps) / alpha_bar_t.sqrt()).to(x_t.dtype)


def x_0_from_v(x_t, v, t, schedule):
    """Turn (x_t, v) back by the angle of Figure 2."""
    alpha_bar_t = at(schedule.alpha_bar, t, like=x_t)
    return (alpha_bar_t.sqrt() * x_t - (1 - alpha_bar_t).sqrt() * v).to(x_t.dtype)


def x_0_from_score(x_t, score, t, schedule):
    """Tweedie's formula, equation (4), solved for x_0."""
    alpha_bar_t = at(schedule.alpha_bar, t, like=x_t)
    return ((x_t + (1 - alpha_bar_t) * score) / alpha_bar_t.sqrt()).to(x_t.dtype)


# %% tags=["export:diffusion_lab.theory.parameterization"]
def eps_from_x_0(x_t, x_0, t, schedule):
    """Equation (1), solved for ε. t from 1: at time 0 there is no noise to solve for."""
    alpha_bar_t = at(schedule.alpha_bar, t, like=x_t)
    return ((x_t - alpha_bar_t.sqrt() * x_0) / (1 - alpha_bar_t).sqrt()).to(x_t.dtype)


def v_from_x_0(x_t, x_0, t, schedule):
    """Equation (3), with ε from equation (1)."""
    alpha_bar_t = at(schedule.alpha_bar, t, like=x_t)
    return ((alpha_bar_t.sqrt() * x_t - x_0) / (1 - alpha_bar_t).sqrt()).to(x_t.dtype)


def score_from_x_0(x_t, x_0, t, schedule):
    """Equation (4)."""
    alpha_bar_t = at(schedule.alpha_bar, t, like=x_t)
    return ((alpha_bar_t.sqrt() * x_0 - x_t) / (1 - alpha_bar_t)).to(x_t.dtype)


# %% [markdown]
# Two checks: there and back again, and Tweedie against PyTorch, which differentiates $\log q(x_t)$ and has never heard of (4).

# %% tags=["check"]
x_0 = data.sample(500, generator)
t = torch.randint(1, schedule.T + 1, (500,), generator=generator)
eps = noise_like(x_0, generator)
x_t = q_sample(x_0, t, eps, schedule)
there = {x_0_from_eps: eps_from_x_0, x_0_from_v: v_from_x_0, x_0_from_score: score_from_x_0}
for back, forth in there.items():
    again = back(x_t, forth(x_t, x_0, t, schedule), t, schedule)
    assert torch.allclose(again, x_0, atol=1e-9, rtol=0)

for time in (1, 100, 500, 1000):
    x = x_t.clone().requires_grad_()
    data.marginal(time, schedule).log_prob(x).sum().backward()
    tweedie = x_0_from_score(x_t, x.grad, time, schedule)
    assert torch.allclose(tweedie, exact(x_t, time), atol=1e-9, rtol=0)
print("three round trips and Tweedie's formula hold to nine digits")

# %% [markdown]
# A network may be trained on any of them. This function lets you forget which; out comes a denoiser.

# %% tags=["export:diffusion_lab.sampling.denoiser"]
TO_X_0 = {
    "eps": x_0_from_eps,
    "v": x_0_from_v,
    "score": x_0_from_score,
    "x_0": lambda x_t, x_0, t, schedule: x_0,
}


def as_denoiser(network, schedule, predicts="v"):
    """A denoiser that asks a network, which predicts "eps", "v", "x_0" or "score"."""

    def answer(x_t, t, label):
        times = torch.as_tensor(t, device=x_t.device).expand(len(x_t))
        output = network(x_t, times, label)
        return TO_X_0[predicts](x_t, output, t, schedule).to(x_t.dtype)

    return Denoiser(answer, schedule)


# %% [markdown]
# ### Deeper: denoising score matching, in two lines
#
# Suppose you want a network $f$ to be the score. The honest loss, **explicit score matching**, compares with
# $\nabla\log q(x_t)$, which you do not have. Vincent (2011) compares with the score of *one* Gaussian instead,
# $\nabla\log q(x_t\mid x_0)=-\varepsilon/\sqrt{1-\bar\alpha_t}$, which you do have. That is **denoising score matching**.
# Why is it allowed?
#
# First line. Given $x_t$, the wrong target is right on average:
#
# $$ \nabla \log q(x_t) = \frac{\int \nabla q(x_t\mid x_0)\,q(x_0)\,dx_0}{q(x_t)}
#    = \int \nabla\log q(x_t\mid x_0)\; q(x_0\mid x_t)\,dx_0 = \mathbb E\big[\nabla\log q(x_t\mid x_0)\,\big|\,x_t\big]. $$
#
# Second line. So (2) holds with $\nabla\log q(x_t\mid x_0)$ in the place of $x_0$ and the score in the place of $\hat x_0$:
#
# $$ \underbrace{\mathbb E\|f-\nabla\log q(x_t\mid x_0)\|^2}_{\text{denoising}} =
#    \underbrace{\mathbb E\|f-\nabla\log q(x_t)\|^2}_{\text{explicit}} + \text{a constant without } f. $$
#
# The two losses have the same gradient and the same best $f$. The constant is a floor, as in section 1. And the first line,
# with the Gaussian's score written out, is Tweedie's formula. The check tries two very different $f$: the
# difference of the two losses must be the same.

# %% tags=["check"]
x_0 = data.sample(200_000, generator)
eps = noise_like(x_0, generator)
x_t = q_sample(x_0, 300, eps, schedule)
own = -eps / (1 - schedule.alpha_bar[300]).sqrt()  # the score of one Gaussian
score = data.marginal(300, schedule).score(x_t)
constants = []
for f in (-x_t, torch.sin(3 * x_t)):
    difference = (f - own).square().sum(dim=1) - (f - score).square().sum(dim=1)
    constants.append(difference.mean())
    error = difference.std() / 200_000**0.5
    assert abs(constants[-1] - (own - score).square().sum(dim=1).mean()) < 4 * error
print(f"denoising minus explicit: {constants[0]:.1f} for one f, {constants[1]:.1f} for the other")

# %% [markdown]
# ## 3 · What each target cares about
#
# If all five say the same, why does anybody care which? Because the *loss* differs. Let $\hat x_0$ be off by $e$. What does
# each target make of it?
#
# | the network predicts | which is | its error, if $\hat x_0$ is off by $e$ | weight on $\|e\|^2$ |
# |:--|:--|:-:|:-:|
# | $x_0$ | the data | $e$ | $1$ |
# | $\varepsilon$ | the noise | $-\sqrt{\mathrm{SNR}}\;e$ | $\mathrm{SNR}$ |
# | $v$ | the velocity on the circle | $-e/\sqrt{1-\bar\alpha_t}$ | $\mathrm{SNR}+1$ |
# | score | the slope of $\log q$ | $\sqrt{\bar\alpha_t}\,e/(1-\bar\alpha_t)$ | $\mathrm{SNR}\,(\mathrm{SNR}+1)$ |
# | $u=x_0-\varepsilon$ | the velocity on a straight line (flow matching) | $(1+\sqrt{\mathrm{SNR}})\,e$ | $(1+\sqrt{\mathrm{SNR}})^2$ |
#
# Read the line of $v$: its weight, $\mathrm{SNR}+1$, is that of $\varepsilon$ and that of $x_0$, added. A loss on $v$ watches both
# ends of the chain.

# %% tags=["check"]
def u_from_x_0(x_t, x_0, t, schedule):
    return x_0 - eps_from_x_0(x_t, x_0, t, schedule)


x_0 = data.sample(500, generator)
e = 0.1 * noise_like(x_0, generator)
for time in (100, 500, 900):
    snr = schedule.snr[time]
    x_t = q_sample(x_0, time, noise_like(x_0, generator), schedule)
    weights = [
        (eps_from_x_0, snr),
        (v_from_x_0, snr + 1),
        (score_from_x_0, snr * (snr + 1)),
        (u_from_x_0, (1 + snr.sqrt()) ** 2),
    ]
    for target, weight in weights:
        change = target(x_t, x_0 + e, time, schedule) - target(x_t, x_0, time, schedule)
        assert torch.allclose(change.square(), weight * e.square(), rtol=1e-6)
print("the table holds at three times")

# %% [markdown]
# A recipe makes **three separate choices**: the *weight* on the error, the *times* on which it trains, and the times at which
# it later *samples*. The last is for notebook 08. The first two act as a product: ten times the weight, or ten times as
# often, comes to the same. Figure 3 shows the product along $\lambda=\log\mathrm{SNR}$ for six recipes in use.

# %% [markdown]
# ### Deeper: six recipes on one axis
#
# | recipe | weight on $\|e\|^2$ | times are drawn | what counts in the end, divided by SNR |
# |:--|:-:|:--|:--|
# | the bound, notebook 04 | $\mathrm{SNR}$ | evenly in $\lambda$ | the same everywhere |
# | $L_\text{simple}$, Ho et al. 2020 | $\mathrm{SNR}$ | evenly in $t$, linear schedule | a hump |
# | $v$, this notebook | $\mathrm{SNR}+1$ | evenly in $t$, cosine schedule | $e^{-\lambda/2}$ |
# | flow matching | $(1+\sqrt{\mathrm{SNR}})^2$ | evenly on the straight line | $e^{-\lambda/2}$, too |
# | min-SNR, Hang et al. 2023 | $\min(\mathrm{SNR}, 5)$ | evenly in $t$, cosine schedule | a hump, cut off at low noise |
# | EDM, Karras et al. 2022 | $\mathrm{SNR}+1/\sigma_\text{data}^2$ | $\lambda\sim\mathcal N(2.4,\,2.4^2)$ | a broad hump |
#
# Two rows end alike! Under the cosine schedule the angle $\varphi$ grows almost evenly in $t$; and then a loss on $v$ is flow
# matching on straight lines, up to a factor. The check takes the angle as quite even:

# %% tags=["check"]
lam = torch.linspace(-8, 8, 81, dtype=torch.float64)
snr = lam.exp()
cosine_times = 1 / (2 * torch.pi * torch.cosh(lam / 2))  # density of lam, if the angle is uniform
straight_times = snr.sqrt() / (2 * (1 + snr.sqrt()) ** 2)  # density of lam on the straight line
as_v = (snr + 1) * cosine_times
as_flow = (1 + snr.sqrt()) ** 2 * straight_times
ratio = as_flow / as_v
assert torch.allclose(ratio, ratio[0])
assert torch.allclose(as_v / snr, (-lam / 2).exp() / torch.pi)
print(f"flow matching over v with the cosine: {ratio[0]:.4f} at every noise, which is π/2")

# %% [markdown]
# ### What counts in the end

# %% tags=["figure"]
# draws the weight of each target, and what counts in each recipe, over log SNR
fig, (left, right) = figure(columns=2, width=12, height=4.8)
styles = {"$x_0$": (0 * lam + 1, BLUE, "-"), r"$\varepsilon$": (snr, GREY, ":"), "$v$": (snr + 1, ORANGE, "-"),
          "score": (snr * (snr + 1), "#009E73", "-."), "$u$": ((1 + snr.sqrt()) ** 2, "#CC79A7", "--")}
for name, (weight, colour, style) in styles.items():
    left.plot(lam, weight, color=colour, linestyle=style, linewidth=2.6, label=name)
left.set(yscale="log", ylim=(1e-3, 1e4), xlim=(8, -8), xlabel=r"$\lambda=\log$ SNR:   data ⟵   ⟶ noise",
         title=r"weight on the same error of $\hat x_0$")
left.legend(ncols=2, loc="lower left")


times_of = {}  # the density of λ if t is uniform, on the grid lam
for name, of in (("linear", linear()), ("cosine", schedule)):
    known = of.log_snr[1:]
    dense = 1 / (1000 * -torch.gradient(known)[0])
    times_of[name] = torch.tensor(np.interp(-lam, -known, dense, left=0, right=0))
normal = torch.exp(-((lam - 2.4) ** 2) / (2 * 2.4**2))
recipes = {"the bound": (0 * lam + 1, BLACK, "--"), r"$L_\mathrm{simple}$": (times_of["linear"], GREY, ":"),
           "$v$, cosine = flow matching": (as_v / snr, ORANGE, "-"),
           "min-SNR": (times_of["cosine"] * snr.clamp(max=5) / snr, BLUE, "-"),
           "EDM": (normal * (snr + 4) / snr, "#009E73", "-.")}
for name, (weight, colour, style) in recipes.items():
    right.plot(lam, weight / weight[torch.argmin(lam.abs())], color=colour, linestyle=style, linewidth=2.6, label=name)
right.set(yscale="log", ylim=(1e-2, 1e2), xlim=(8, -8), xlabel=r"$\lambda=\log$ SNR:   data ⟵   ⟶ noise",
          title=r"weight × frequency, over the bound's (1 at $\lambda=0$)")
right.legend(loc="upper left")
show(
    fig,
    alt="Two panels over log SNR, data at the left. Left: five lines that fan out towards the data; x_0 is flat, the score "
    "steepest. Right: the bound is a flat line; v, which is flow matching, rises from the data to the noise; the other three rise and "
    "fall again.",
)

# %% [markdown]
# **Figure 3.** Left: one error of $\hat x_0$, as each target sees it. Right: weight times frequency, divided by that of the
# bound. Everybody turns away from the finest grain, at the left. The bound counts bits, and most bits are grain. Eyes do
# not. Our own recipe, $v$ with the cosine, is flow matching by another name: the
# [landscape](../docs/landscape.md) has the two lines of algebra.
#
# So why $v$, here? At pure noise a loss on $\varepsilon$ puts no weight on $\hat x_0$, and there $\hat x_0$ is the first thing that a
# sampler asks for.

# %% [markdown]
# ### Deeper: how much of the 20,000 arrives
#
# You will read another reason for $v$: an error in $\varepsilon$ is multiplied by some 20,000 on its way to $\hat x_0$. That is true
# at $t=T$ of this schedule, and of it much less arrives. From $t$ to $s$ the smooth step of notebook 08 is
# $x_s=\sqrt{\bar\alpha_s}\,\hat x_0+\sqrt{1-\bar\alpha_s}\,\hat\varepsilon$. Let $\hat\varepsilon$ be off by $\delta$ at $t=T$. Then $\hat x_0$ is
# off by $-\sqrt{1-\bar\alpha_T}\,\delta/\sqrt{\bar\alpha_T}$, and $x_s$ by nearly $\sqrt{\bar\alpha_s/\bar\alpha_T}$ times $\delta$. In the full
# chain, $s = T-1$, that is a factor of some 30; with twenty steps, some 1,600. Ho et al. had a linear schedule, whose end is
# less extreme; Nichol & Dhariwal trained $\varepsilon$ with this very cosine.

# %% tags=["check"]
error_in_x_0 = (1 - alpha_bar[1000]).sqrt() / alpha_bar[1000].sqrt()
arrives = {s: (alpha_bar[s] / alpha_bar[1000]).sqrt() for s in (999, 950)}
assert 15_000 < error_in_x_0 < 25_000
assert 25 < arrives[999] < 40
assert 1400 < arrives[950] < 1800
print(f"in x_0: {error_in_x_0:,.0f}; in the next state: {arrives[999]:.0f}, or {arrives[950]:,.0f}")

# %% [markdown]
# ## 4 · A network, trained until theory says stop
#
# At $t=10$ a network should hardly touch the point, at $t=900$ nearly ignore it. So $t$ is an input. As a bare number it is a
# poor one: scaled to the size of the others, $t$ and $t+1$ differ by 0.001. The **time embedding** turns it into sines and
# cosines of many speeds, like the hands of a clock. Fast hands tell neighbours apart, slow ones early from late:
#
# $$e(t)=[\sin\omega_1t,\dots,\sin\omega_mt,\;\cos\omega_1t,\dots,\cos\omega_mt],\qquad
#   \omega_i=10000^{-2(i-1)/\mathrm{dim}},\quad m=\mathrm{dim}/2\tag{5}$$

# %% tags=["export:diffusion_lab.networks.embedding"]
def time_embedding(t, dim, max_period=10_000):
    """Equation (5). t: shape (n,). dim: even. Returns float64, shape (n, dim)."""
    i = torch.arange(dim // 2, dtype=torch.float64, device=t.device)
    angle = t[:, None] * max_period ** (-2 * i / dim)
    return torch.cat([angle.sin(), angle.cos()], dim=1)


# %% [markdown]
# How alike are two times? Their inner product is $\sum_i\cos\omega_i(t-t')$: the distance alone decides.

# %% tags=["check"]
table = time_embedding(torch.arange(1001), 32)
similarity = table @ table.T / 16
assert torch.allclose(similarity.diagonal(7), similarity[0, 7].expand(994), atol=1e-9)
for apart in (1, 10, 100):
    print(f"similarity of two times that are {apart} apart: {similarity[300, 300 + apart]:.2f}")

# %% [markdown]
# The network is a **multilayer perceptron**: layers $h\mapsto\mathrm{SiLU}(Wh+b)$, whose weights $W$, $b$ are learned. SiLU bends:
# it is nearly 0 on the left and nearly $h$ on the right. Without a bend three layers would be one matrix, and could draw no
# staircase. The network knows nothing of a schedule, nor of what its output means.

# %% tags=["export:diffusion_lab.networks.mlp"]
class MLP(nn.Module):
    """(x_t, t) → [x_t, embedding of t] → `depth` hidden layers → a tensor like x_t."""

    def __init__(self, dim=2, hidden=64, depth=3, time_dim=32):
        super().__init__()
        self.time_dim = time_dim
        sizes = [dim + time_dim] + [hidden] * depth
        layers = [layer for a, b in zip(sizes, sizes[1:]) for layer in (nn.Linear(a, b), nn.SiLU())]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], dim))

    def forward(self, x_t, t, label=None):
        time = time_embedding(t, self.time_dim).to(x_t.dtype)
        return self.layers(torch.cat([x_t, time], dim=1))


# %% [markdown]
# One step of training: draw a **batch** of examples, each with a time of its own; jump; compare the answer with $v$; go a
# step downhill. `backward` finds the slope of the loss in every weight, `step` moves each a little against its slope, and
# `zero_grad` forgets the old slopes. The **optimiser**, here **Adam**, decides how far each weight moves. Its **learning rate** falls to 0
# towards the end. Mind `T + 1`: `randint` leaves its upper end out.

# %%
def train(network, data, steps, generator, batch=512, lr=4e-3):
    """Train a network to predict v. Yields (step, loss of this batch) for step = 1…steps."""
    optimiser = torch.optim.Adam(network.parameters(), lr)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(1, steps + 1):
        x_0 = data.sample(batch, generator).float()
        t = torch.randint(1, schedule.T + 1, (batch,), generator=generator)
        x_t = q_sample(x_0, t, noise_like(x_0, generator), schedule)
        v = v_from_x_0(x_t, x_0, t, schedule)
        loss = (network(x_t, t) - v).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        decay.step()
        yield step, loss.item()


def new_network():
    """An MLP with fixed first weights; the global random state is left as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return MLP()


def copy_of(network):
    """The network as it is now, in float64, no longer to be trained."""
    kept = new_network()
    kept.load_state_dict(network.state_dict())
    return kept.double().requires_grad_(False)


# %% [markdown]
# Before we start: where will the loss end? At the floor of $v$, by (2) with $v$ in the place of $x_0$. The exact denoiser knows
# $\hat v$. So draw examples, and take the mean of $\|v-\hat v\|^2$.

# %% tags=["check"]
n = 100_000
x_0 = data.sample(n, generator)
t = torch.randint(1, 1001, (n,), generator=generator)
x_t = q_sample(x_0, t, noise_like(x_0, generator), schedule)
v = v_from_x_0(x_t, x_0, t, schedule)
v_exact = v_from_x_0(x_t, exact(x_t, t), t, schedule)
floor = (v - v_exact).square().mean().item()
guess_0 = v.square().mean().item()
assert 0 < floor < guess_0
print(f"the floor is {floor:.2f}; a network that always answers 0 has {guess_0:.2f}")


# %%
def excess(network, m=None):
    """E‖v̂ - f‖² per coordinate over these examples, the first m of them, or all."""
    with torch.no_grad():  # record nothing: there will be no step downhill
        return (network(x_t[:m].float(), t[:m]) - v_exact[:m]).square().mean().item()


# %% tags=["nbval-ignore-output"]
network = new_network()
losses = []
watched = {0: excess(network, 5000)}
stages = {0: copy_of(network)}
started = perf_counter()
for step, loss in train(network, data, 2000, generator):
    losses.append(loss)
    if step % 50 == 0:
        watched[step] = excess(network, 5000)
    if step in (50, 100, 200, 500, 1000, 2000):
        stages[step] = copy_of(network)
print(f"{perf_counter() - started:.0f} s; excess {excess(network):.4f}")

# %% tags=["check"]
assert excess(network) < 0.02 * floor
assert excess(network) < 0.1 * (guess_0 - floor)
print("within 2 % of the floor, and over 90 % of what can be learned is learned")

# %% tags=["claim"]
# checks what the text says about the loss: (2), and that batches jitter by a few per cent
squares = (network(x_t.float(), t).detach() - v).square().mean(dim=1)
assert abs(squares.mean() - floor - excess(network)) < 4 * squares.std() / n**0.5
assert 0.01 < np.std(losses[-200:]) / floor < 0.06
assert excess(network, 5000) < watched[500] / 2

# %% tags=["figure"]
# draws the loss beside the floor, and the excess
fig, (left, right) = figure(columns=2, width=11, height=4)
left.plot(range(1, 2001), losses, color=ORANGE, linewidth=0.5, alpha=0.35, label="each batch")
mean_of_50 = np.convolve(losses, np.full(50, 1 / 50), "valid")
curves(left, [(range(50, 2001), mean_of_50, "model", "mean of 50")], "step", "loss", "the loss", ylim=(0.65, 1.1))
left.axhline(floor, **ROLES["exact"], label="the floor", zorder=3)
left.legend().legend_handles[0].set(linewidth=2.5, alpha=0.5)  # as thin as in the picture it could not be seen
curves(right, [(list(watched), list(watched.values()), "model", None)], "step", "excess", "the excess", yscale="log")
right.axhline(0.02 * floor, **ROLES["exact"], label="2 % of the floor")
right.legend()
show(
    fig,
    alt="Left: a jagged orange loss falls quickly and settles around a dashed line. Right: the excess keeps falling, on a "
    "logarithmic axis, below a dashed line.",
)

# %% [markdown]
# **Figure 4.** The answer to the first prediction. Left: the loss falls, then jitters around the dashed line, which
# theory drew. Right: the excess tells that the network was learning all the time, long after the left picture went
# flat. (The thick line may dip below the floor: means of 50 batches jitter, too.)
#
# ### Deeper: the floor without a random number
#
# From (1) and (3), $v=(\sqrt{\bar\alpha_t}\,x_t-x_0)/\sqrt{1-\bar\alpha_t}$. So at a given $x_t$ the variance of $v$ is that of $x_0$,
# divided by $1-\bar\alpha_t$. A variance is the mean of the square less the square of the mean; averaged over $x_t$ and over the $d$
# coordinates the floor at time $t$ is
#
# $$ \frac{\mathbb E\|x_0\|^2 - \mathbb E\|\hat x_0(x_t)\|^2}{d\,(1-\bar\alpha_t)}. $$
#
# The second mean is an integral over $q(x_t)$, six Gaussians. **Gauss–Hermite quadrature** replaces each by a grid of
# points with weights, chosen so that polynomials up to degree $2n-1$ come out exactly with $n$ nodes in each coordinate.
# With 12 nodes in place of 18 the result must hardly move.

# %%
def irreducible(nodes):
    """The floor for t = 1…T, float64 (T,), with nodes × nodes points for each component."""
    node, weight = (torch.tensor(table) for table in np.polynomial.hermite_e.hermegauss(nodes))
    grid = torch.cartesian_prod(node, node)
    weight = torch.outer(weight, weight).flatten() / weight.sum() ** 2
    losses = []
    for t in range(1, schedule.T + 1):
        q_t = data.marginal(t, schedule)
        x_t = q_t.mean[:, None] + q_t.var[:, None, None].sqrt() * grid
        x_0_hat = exact(x_t.reshape(-1, 2), t).reshape(x_t.shape)
        explained = (q_t.weight[:, None] * weight * x_0_hat.square().sum(dim=-1)).sum()
        losses.append((second_moment - explained) / 2 / (1 - schedule.alpha_bar[t]))
    return torch.stack(losses)


# %% tags=["check"]
second_moment = (data.weight * (data.mean.square().sum(dim=1) + 2 * data.var)).sum()
floor_t = irreducible(18)
squares = (v - v_exact).square().mean(dim=1)
assert abs(irreducible(12).mean() - floor_t.mean()) < 5e-5
assert abs(squares.mean() - floor_t.mean()) < 4 * squares.std() / n**0.5
print(f"the floor is {floor_t.mean():.4f}")

# %% tags=["figure"]
# draws the floor over t, for three targets
fig, ax = figure(width=9, height=3.6)
doubt = floor_t * (1 - alpha_bar[1:])
lines = [(range(1, 1001), floor_t, "exact", "$v$"), (range(1, 1001), doubt, "data", "$x_0$"),
         (range(1, 1001), doubt * schedule.snr[1:], "noise", "ε")]
curves(ax, lines, "$t$", "floor", ylim=(0, 1.1))
show(
    fig,
    alt="Three curves over t: the floor of x_0 rises from 0, that of epsilon falls from 1, and that of v is their sum.",
)

# %% [markdown]
# **Figure D1.** What no network can know. Early, $x_0$ is plain to see and the noise is a riddle; late, it is the other way
# round. The curve of $v$ is the sum of the other two, as $\mathrm{SNR}+1$ says. It dips near $t=150$: there the noise is wider than
# each cloud, and the clouds are still apart, so a point shows which cloud it is from and how far it was moved.
#
# ### Deeper: autograd in ten lines
#
# A tensor with `requires_grad=True` remembers how what follows was computed from it. `loss.backward()` walks that record back by the chain
# rule, and *adds* the slope to `w.grad`. Hence `zero_grad` in the loop. The same slope by hand, and by
# moving $w$ a little both ways:

# %% tags=["check"]
x = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
y = torch.tensor([2.0, 3.0, 7.0], dtype=torch.float64)
w = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
loss = ((w * x - y) ** 2).mean()
loss.backward()
by_hand = (2 * x * (1.5 * x - y)).mean()
up = (((1.5 + 1e-5) * x - y) ** 2).mean()
down = (((1.5 - 1e-5) * x - y) ** 2).mean()
assert abs(w.grad - by_hand) < 1e-12
assert abs(w.grad - (up - down) / 2e-5) < 1e-8
print(f"loss {loss:.4f}, slope {w.grad:.4f}")

# %% [markdown]
# ## 5 · The arrows
#
# The network knows $\hat v$ at every place and time, so it has an arrow everywhere: $-\hat v$, the way that a grain should go
# as the angle shrinks. Grains that follow the arrows run along the smooth path of notebook 03. One step turns the pair
# $(x_t,\hat v)$ a little way back.
#
# **Try it.** Left are the exact arrows, right the network's. Move $t$ from 1000 to 0, and watch. Then take one step in place
# of a hundred: where does everybody land, and why? How many steps do you need before you see no difference? And go back
# in training: what did the network learn first?

# %% tags=["figure"]
# draws density, arrows and grains with tails, by the exact denoiser and by the network, for steps, t and training
from matplotlib.collections import LineCollection

start = noise_like(torch.zeros(60, 2, dtype=torch.float64), torch.Generator().manual_seed(7))


def arrows_of(denoiser, t):
    """-v̂ at the places, float64; the longest are cut."""
    with torch.no_grad():
        arrows = -v_from_x_0(places, denoiser(places, t), t, schedule)
    return arrows * (1.2 / arrows.norm(dim=1, keepdim=True)).clamp(max=1)


def star():
    """A picture for each choice of the sliders."""
    asked = {step: as_denoiser(one, schedule) for step, one in stages.items()}
    walks = {}
    heat = {}
    fig, axes = figure(columns=2, width=11.6, height=6.1)
    artists = []
    for ax, title in zip(axes, ("exact", "the network")):
        water = ax.imshow(np.zeros((110, 110)), origin="lower", extent=(-2.7, 2.7, -2.7, 2.7), cmap=WATER, vmin=0,
                          vmax=1.2, interpolation="bilinear")
        tails = LineCollection([], colors=ORANGE, linewidths=1.3, alpha=0.85)
        ax.add_collection(tails)
        field = ax.quiver(*places.T, *places.T, color=BLACK, scale=27, width=0.0045, alpha=0.6)
        heads = ax.plot([], [], "o", color=ORANGE, markersize=6.5, markeredgecolor="white", markeredgewidth=0.7)[0]
        ax.set(title=title, xlim=(-2.7, 2.7), ylim=(-2.7, 2.7), aspect="equal")
        ax.grid(False)
        artists.append((water, tails, field, heads))
    paint = painter(fig, [artist for panel in artists for artist in panel])

    def walked(name, denoiser, steps):
        if (name, steps) not in walks:
            with torch.no_grad():
                made = list(ddim(denoiser, start, spaced(1000, steps)))
            walks[name, steps] = torch.stack([start] + [step.x_s for step in made])
        return walks[name, steps]

    def draw(t, steps, trained):
        if t not in heat:
            q = data.marginal(max(t, 1), schedule).log_prob(pixels_of_plane).exp().reshape(110, 110).T
            heat[t] = (q / q.max()).sqrt()
        times = np.array([*spaced(1000, steps).tolist(), 0])
        whole = int((times > t).sum())  # steps that are finished, or begun
        for (water, tails, field, heads), (name, denoiser) in zip(artists, (("exact", exact), (trained, asked[trained]))):
            path = walked(name, denoiser, steps)
            seen = path[: max(whole, 1)]
            now = path[0]
            if whole:
                share = (times[whole - 1] - t) / (times[whole - 1] - times[whole])
                now = path[whole - 1] + share * (path[whole] - path[whole - 1])
            water.set_data(heat[t])
            tails.set_segments(torch.cat([seen, now[None]]).transpose(0, 1).numpy())
            field.set_UVC(*(arrows_of(denoiser, t) if t else 0 * places).T)  # at t = 0 everybody has arrived
            heads.set_data(*now.T)
        return paint()

    return draw


Live(
    star(),
    caption="The arrows, exact and learned, and sixty grains that follow them. The sliders move the time t, the number of "
    "steps from t = 1000 to 0, and how many steps the network was trained.",
    alt="Two large square panels. On a blue density of six blots stand black arrows that point to the blots; orange dots "
    "with curved tails have arrived in them. The panels look alike.",
    t=widgets.IntSlider(value=150, min=0, max=1000, step=10, description="t"),
    steps=widgets.SelectionSlider(value=100, options=[1, 2, 3, 5, 8, 12, 20, 50, 100], description="steps"),
    trained=widgets.SelectionSlider(value=2000, options=[0, 50, 100, 200, 500, 1000, 2000], description="trained"),
)

# %% [markdown]
# With one step everybody lands in the middle, on both sides, and no data is there. In $x_T$ nothing is left of the
# data, and the best guess is the mean of *all* data. For images that mean is a **blur**. It belongs to the step, not
# to the network. With three steps the heaviest clouds have gathered; from twelve on nobody sees a difference.
#
# And in training? For 200 steps next to nothing happens, after 500 there are six clouds, and the rest is for the
# stragglers.

# %% [markdown]
# ### Deeper: how many steps, in numbers
#
# The **energy distance** compares the distances between two sets of points with those within each set, and is 0 only if they
# have the same law. A sample is not its law: two fresh sets of data have a distance, too, and no sampler can be asked for
# less. It stands in the last line.

# %%
def energy_distance(x, y):
    """2 E‖x - y‖ - E‖x - x'‖ - E‖y - y'‖, a float: 0 only for equal laws. x: (n, d); y: (m, d)."""
    within = torch.cdist(x, x).mean() + torch.cdist(y, y).mean()
    return (2 * torch.cdist(x, y).mean() - within).item()


# %% tags=["nbval-ignore-output"]
denoiser = as_denoiser(network.requires_grad_(False), schedule)
real = data.sample(2000, generator)
x_T = noise_like(real, generator)
far = {}
for steps in (1, 2, 3, 5, 12, 100):
    times = spaced(1000, steps)
    by_exact = energy_distance(last(ddim(exact, x_T, times)), real)
    by_network = energy_distance(last(ddim(denoiser, x_T.float(), times)).double(), real)
    far[steps] = (by_exact, by_network)
    print(f"{steps:3} steps: exact {by_exact:.3f}, network {by_network:.3f}")
others = [energy_distance(data.sample(2000, generator), real) for _ in range(5)]
print(f"fresh data: {np.mean(others):.3f} on average, {max(others):.3f} at most, of five sets")

# %% tags=["check"]
for by_exact, by_network in far.values():
    assert abs(by_network - by_exact) < 0.2 * by_exact + max(others)
assert max(far[100]) < 2 * max(others)
print("the network follows the exact denoiser at every number of steps; at 100 both draw data")

# %% tags=["claim"]
# checks what the text says: three steps and twelve; next to nothing after 200 steps of training, clouds after 500
assert far[1][0] > 10 * far[3][0]
assert max(far[12]) < 3 * max(others)
by_stage = {}
for step, one in stages.items():
    drawn = last(ddim(as_denoiser(one, schedule), x_T, spaced(1000, 100)))
    by_stage[step] = energy_distance(drawn, real)
assert by_stage[200] > 10 * by_stage[2000]
assert by_stage[200] > by_stage[0] / 3
assert by_stage[500] < by_stage[200] / 3

# %% [markdown]
# ## 6 · What the network must not learn
#
# So far each batch was fresh data. In life there is a **training set** of $N$ points $x_i$, and the loss is an average over
# those. Then section 1 holds for the set: the lowest loss *on it* belongs to the exact average *over it*. You met that one in
# notebook 03:
#
# $$\mathbb E[x_0\mid x_t]=\sum_ir_i\,x_i,\qquad
#   r=\mathrm{softmax}_i\Big(\!-\frac{\|x_t-\sqrt{\bar\alpha_t}\,x_i\|^2}{2(1-\bar\alpha_t)}\Big)\tag{6}$$
#
# Call it the **memoriser**. It needs no training; it is a softmax. Sample with it, and you get the training points back:
# **memorisation**. Now train a network on the same hundred points, and let both sit an exam: on the points that they know,
# and on fresh ones.

# %%
points = data.sample(100, generator)
training_set = GaussianMixture(torch.full((100,), 1 / 100), points, torch.zeros(100))
memoriser = training_set.denoiser(schedule)
student = new_network()
for _ in train(student, training_set, 2000, generator):
    pass
student = as_denoiser(student.double().requires_grad_(False), schedule)


def loss_at(denoiser, x_0, t, seed=0):
    """The loss on v at time t for the data x_0, per coordinate: a float. One seed, one noise."""
    x_t = q_sample(x_0, t, noise_like(x_0, torch.Generator().manual_seed(seed)), schedule)
    v_hat = v_from_x_0(x_t, denoiser(x_t, t), t, schedule)
    return (v_hat - v_from_x_0(x_t, x_0, t, schedule)).square().mean().item()


# %% tags=["check", "nbval-ignore-output"]
known = points.repeat(100, 1)
fresh = data.sample(10_000, generator)
exam = {}
print("            memoriser        network")
print("  t       known   fresh   known   fresh")
for time in (10, 20, 30, 50, 100, 200, 300, 500, 700, 1000):
    for who, one in (("memoriser", memoriser), ("network", student), ("exact", exact)):
        for name, x in (("known", known), ("fresh", fresh)):
            exam[who, name, time] = loss_at(one, x, time)
    columns = [(who, name) for who in ("memoriser", "network") for name in ("known", "fresh")]
    four = [exam[who, name, time] for who, name in columns]
    if time in (20, 50, 300, 1000):
        print(f"{time:5}   " + "   ".join(f"{loss:5.2f}" for loss in four))

assert exam["memoriser", "known", 20] < 0.7 * exam["network", "known", 20]
assert exam["memoriser", "fresh", 20] > 1.8 * exam["network", "fresh", 20]

# %% tags=["claim"]
# checks what the text says: late the network is the memoriser, early it is near the floor on both
for time in (200, 300, 500, 700, 1000):
    for name in ("known", "fresh"):
        assert abs(exam["memoriser", name, time] - exam["network", name, time]) < 0.04
for time in (20, 30, 50, 100):
    assert exam["network", "fresh", time] < 1.12 * exam["exact", "fresh", time]

# %% [markdown]
# The same with digits: the memoriser of the 4,000 training digits against the network that comes with the course, which was
# trained on these and has never seen the test digits.

# %% tags=["nbval-ignore-output"]
seen, _ = load_digits("train")
unseen, _ = load_digits("test")
equal = torch.full((4000,), 1 / 4000)
of_digits = GaussianMixture(equal, seen.flatten(1), torch.zeros(4000)).denoiser(schedule)
trained = load_pretrained()
pick = {"seen": seen[::63][:64], "unseen": unseen[::15][:64]}
digit_times = (100, 200, 300, 500, 700, 800, 1000)
table = {}
print("            memoriser        network")
print("  t        seen  unseen    seen  unseen")
for time in digit_times:
    for who, one in (("memoriser", of_digits), ("network", trained)):
        for name, x in pick.items():
            table[who, name, time] = loss_at(one, x, time, seed=time)
    four = [table[who, name, time] for who in ("memoriser", "network") for name in pick]
    print(f"{time:5}   " + "  ".join(f"{loss:6.3f}" for loss in four))

# %% tags=["claim"]
# checks what the text says about digits: perfect at home, useless abroad; the network does as well on both
for time in (100, 200, 300, 500):
    assert table["memoriser", "seen", time] < 0.02
    assert table["memoriser", "unseen", time] > 2 * table["network", "unseen", time]
    assert table["network", "unseen", time] < 1.5 * table["network", "seen", time]
assert table["memoriser", "unseen", 100] > 10 * table["network", "unseen", 100]
assert table["memoriser", "seen", 1000] > 0.1

# %% tags=["figure"]
# draws the loss over t of memoriser and network, at home and abroad, for points and for digits
fig, (left, right) = figure(columns=2, width=12, height=4.9)
looks = {("memoriser", 0): (GREY, "-", "memoriser, known"), ("memoriser", 1): (GREY, "--", "memoriser, new"),
         ("network", 0): (ORANGE, "-", "network, known"), ("network", 1): (ORANGE, "--", "network, new")}
arrow = {"arrowstyle": "->", "color": GREY, "lw": 1.8}
point_times = sorted({key[2] for key in exam})
for (who, k), (colour, style, label) in looks.items():
    on_points = [exam[who, ("known", "fresh")[k], time] for time in point_times]
    on_digits = [max(table[who, ("seen", "unseen")[k], time], 1e-3) for time in digit_times]
    marker = "s" if who == "memoriser" else "o"
    kind = {"color": colour, "linestyle": style, "linewidth": 2.6, "marker": marker, "markersize": 5}
    left.plot(point_times, on_points, label=label, **kind)
    right.plot(digit_times, on_digits, label=label, **kind)
left.plot(point_times, [exam["exact", "fresh", time] for time in point_times], label="the floor", **ROLES["exact"])
left.set(title="100 points in the plane", xlabel="$t$", ylabel="loss on $v$", yscale="log", ylim=(0.2, 8))
right.set(title="4,000 digits", xlabel="$t$", ylabel="loss on $v$", yscale="log", ylim=(0.01, 30))
left.set_yticks([0.2, 0.5, 1, 2, 5], ["0.2", "0.5", "1", "2", "5"])
left.minorticks_off()
right.annotate("to 0.000", (660, 0.0105), (520, 0.018), color=GREY, fontsize=12, arrowprops=arrow)
for ax in (left, right):
    ax.legend()
show(
    fig,
    alt="Two panels of the loss over t. In both the two orange lines of the network lie together, while the grey lines of "
    "the memoriser part towards small t: very low on known data, very high on new data.",
)

# %% [markdown]
# **Figure 5.** The exam. Solid: known data. Dashed: new data. The memoriser's two lines part: perfect at home, useless abroad.
# On digits it knows long before the noise is gone *which* digit it was. The network's two lines stay close.
#
# That answers the second prediction, and it is the test that notebook 00 promised: whoever copies does better on what he has
# seen.
#
# Look again at the left panel. From $t=200$ on the network *is* the memoriser, line upon line: noise has smoothed it, so a
# network can learn it, at little cost. Early the memoriser is a mosaic of a hundred tiles. The network stays smooth, misses
# the lowest loss, and is the better for it.
#
# **Try it.** Could the memoriser draw something new? Blur its memory: put a small Gaussian of width $h$ on every training
# point. At $h=0$ it copies. At which $h$ does it begin to draw fresh points, and when does it lose the clouds?

# %% tags=["figure"]
# draws samples of a memoriser whose points have a width, beside fresh data
def blurred():
    """A picture for a number of training points and a width."""
    many = data.sample(400, torch.Generator().manual_seed(11))
    noise = noise_like(torch.zeros(300, 2, dtype=torch.float64), torch.Generator().manual_seed(12))
    q = data.log_prob(pixels_of_plane).exp().reshape(110, 110).T
    fig, axes = figure(columns=2, width=11.6, height=6.0)
    for ax, title in zip(axes, ("the memoriser draws", "what we wished for: fresh data")):
        ax.imshow((q / q.max()).sqrt(), origin="lower", extent=(-2.4, 2.4, -2.4, 2.4), cmap=WATER, vmax=1.6)
        ax.set(title=title, xlim=(-2.4, 2.4), ylim=(-2.4, 2.4), aspect="equal")
        ax.grid(False)
    axes[1].plot(*data.sample(300, torch.Generator().manual_seed(13)).T, "o", color=BLUE, markersize=4.5, alpha=0.7)
    rings = axes[0].plot([], [], "o", color="none", markeredgecolor=BLACK, markersize=10, markeredgewidth=1)[0]
    drops = axes[0].plot([], [], "o", color=ORANGE, markersize=4.5, alpha=0.8)[0]
    paint = painter(fig, [rings, drops])

    def draw(training_points, width):
        memory = many[:training_points]
        n = len(memory)
        mixture = GaussianMixture(torch.full((n,), 1 / n), memory, torch.full((n,), max(width, 1e-3) ** 2))
        made = last(ddim(mixture.denoiser(schedule), noise, spaced(1000, 60)))
        rings.set_data(*memory.T)
        drops.set_data(*made.T)
        return paint()

    return draw


Live(
    blurred(),
    caption="A memoriser with a blurred memory. The sliders move the number of training points and the width h of each.",
    alt="Left: black rings mark training points, with orange samples in and around them. Right: blue points of fresh data fill "
    "six clouds.",
    training_points=widgets.SelectionSlider(value=25, options=[3, 10, 25, 50, 100, 200, 400], description="points"),
    width=widgets.FloatSlider(value=0.02, min=0.0, max=0.8, step=0.02, description="width h"),
)

# %% [markdown]
# ### Why does a network not become the memoriser?
#
# In the plane the answer is **smoothness**; the width $h$ does the same by hand. With a larger network, longer training or
# fewer points it would memorise, too (Gu et al. 2023). For images that is not the whole answer:
#
# - Kadkhodaie et al. (2024) trained two networks on *disjoint* sets of faces. With few faces each copied its own. With enough,
#   both drew nearly the same new face from the same noise. So it was not their training set that they had learned.
# - Kamb & Ganguli (2024) ask what a convolutional network *cannot* do. It sees neighbourhoods, and does the same everywhere:
#   **locality** and **equivariance**. The best denoiser so restricted predicts what trained networks draw.
#
# The second can be tried with our exact denoiser.

# %% [markdown]
# ### Deeper: a memoriser cut into patches
#
# Let each pixel see only a patch around it. The best answer is again a softmax over the training digits, now with the
# distance of the patches, and with weights of its own for each pixel. (That is locality alone. Equivariance would let a patch
# look for its like anywhere in a digit.) How large a patch should be grows with the noise, and we picked it by trying.

# %%
def local_memoriser(x_t, t, patch):
    """For each pixel the average over `seen`, weighted by how well a patch around it fits."""
    alpha_bar_t = schedule.alpha_bar[t].item()
    x_0_hat = torch.empty_like(x_t)
    pool = {"stride": 1, "divisor_override": 1}
    for i, image in enumerate(x_t):
        squares = (image - alpha_bar_t**0.5 * seen) ** 2
        for size in ((patch, 1), (1, patch)):  # sum over a patch: its rows, then its columns
            middle = (size[0] // 2, size[1] // 2)
            squares = nn.functional.avg_pool2d(squares, size, padding=middle, **pool)
        r = torch.softmax(-squares / (2 * (1 - alpha_bar_t)), dim=0)
        x_0_hat[i] = (r * seen).sum(dim=0)
    return x_0_hat


# %% tags=["check"]
patches = {100: 3, 200: 3, 300: 3, 500: 7, 700: 13}
few = pick["unseen"][::8]
local = {}
for time, patch in patches.items():
    small = Denoiser(lambda x_t, t, label, patch=patch: local_memoriser(x_t, t, patch), schedule)
    local[time] = loss_at(small, few, time, seed=time)
    whole = loss_at(of_digits, few, time, seed=time)
    print(f"t = {time}: whole image {whole:.2f}, patches of {patch} × {patch} {local[time]:.2f}")
    assert local[time] < whole

# %% tags=["claim"]
# checks what the text says: on unseen digits patches come much nearer to the network than to the memoriser
for time in (200, 300, 500):
    network_there = loss_at(trained, few, time, seed=time)
    assert local[time] < network_there + 0.2 * (loss_at(of_digits, few, time, seed=time) - network_there)
    assert local[time] < 2 * network_there

# %% [markdown]
# ### A new digit is made of known strokes
#
# Cut the memoriser into patches of 3 × 3 pixels. Each pixel asks only which training digits fit *there*.

# %% tags=["figure"]
# draws an unseen digit, noised, and the answers of memoriser, local memoriser and network
from diffusion_lab.view.plots import gallery

shown = few[[2, 4, 5, 7]]
noisy = q_sample(shown, 300, noise_like(shown, torch.Generator().manual_seed(3)), schedule)
rows = {"unseen digit": shown, "with noise, t = 300": noisy, "memoriser": of_digits(noisy, 300),
        "patches of 3 × 3": local_memoriser(noisy, 300, 3), "the network": trained(noisy, 300)}
fig = gallery(rows, size=1.15)
show(
    fig,
    alt="Five rows of four digits: clean, noisy, the memoriser's answers, which are other digits, the local memoriser's, which "
    "have the right shapes, and the network's.",
)

# %% [markdown]
# **Figure 6.** Four digits that nobody has trained on. The memoriser answers with whole digits of its own. Cut into patches, it
# gets the shapes of digits that it has never seen.
#
# But a patch does not know what a digit is. Notebook 06 builds a network that looks at strokes and at the whole.
#
# From now on:
#
# ```python
# from diffusion_lab.networks.embedding import time_embedding
# from diffusion_lab.networks.mlp import MLP
# from diffusion_lab.theory.parameterization import x_0_from_eps, x_0_from_v, x_0_from_score
# from diffusion_lab.theory.parameterization import eps_from_x_0, v_from_x_0, score_from_x_0
# from diffusion_lab.sampling.denoiser import as_denoiser
# ```
#
# ## Exercises
#
# ### Exercise 1 (core): Tweedie for counts
#
# Derive. A lamp sends on average $\lambda$ photons per second; lamps differ, and nobody knows how. You count $k$ photons from one
# lamp: $p(k\mid\lambda)=e^{-\lambda}\lambda^k/k!$. You know only the law $p(k)$ of the counts over all lamps. What is
# $\mathbb E[\lambda\mid k]$?

# %% tags=["exercise"]
def expected_rate(p):
    """E[λ given k] for k = 0, …, K-2. p: float64 (K,), p[k] the probability of k counts.

    Returns float64 (K-1,).
    """
    raise NotImplementedError


# %% tags=["check"]
exercise.check_expected_rate(expected_rate)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# $\lambda\,p(k\mid\lambda)$ is nearly $p(k+1\mid\lambda)$. What is missing?
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def expected_rate(p):
#     k = torch.arange(len(p) - 1, dtype=p.dtype)
#     return (k + 1) * p[1:] / p[:-1]
# ```
#
# $\lambda\,p(k\mid\lambda)=(k+1)\,p(k+1\mid\lambda)$. Multiply by the law of the lamps and integrate; then divide by $p(k)$. As with
# the Gaussian, the average of what you do not see follows from the law of what you see. Robbins found this in 1956.
# </details>

# %% [markdown]
# ### Exercise 2 (core): any target
#
# Derive. Somebody predicts $a\,x_0+b\,\varepsilon$, with factors $a$ and $b$ of their own. Which weight does that loss put on $\|e\|^2$?
# One formula gives all lines of the first table of section 3. Try them.

# %% tags=["exercise"]
def target_weight(a, b, alpha_bar_t):
    """The weight on ‖e‖² of the loss on a x_0 + b ε. All float64 (n,), ᾱ_t between 0 and 1."""
    raise NotImplementedError


# %% tags=["check"]
exercise.check_target_weight(target_weight)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# At a given $x_t$, put $x_0+e$ for $x_0$. By how much does $\varepsilon$ change in (1)? And the sum? Square it.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def target_weight(a, b, alpha_bar_t):
#     snr = alpha_bar_t / (1 - alpha_bar_t)
#     return (a - b * snr**0.5) ** 2
# ```
#
# By (1), $\varepsilon$ changes by $-\sqrt{\mathrm{SNR}}\,e$, so the target by $(a-b\sqrt{\mathrm{SNR}})\,e$. With $a=\sqrt{\bar\alpha_t}$
# and $b=\sqrt{1-\bar\alpha_t}$ the weight is 0: that target is $x_t$ itself, and whoever predicts what he sees learns nothing.
# $v$ has the factors turned by a right angle.
# </details>

# %% [markdown]
# ### Exercise 3 (core): what a network trains on
#
# Build one batch of training examples: noisy points, their times, and the $v$ that belongs to them, in this order. A few
# lines, and many ways to get them wrong in silence.

# %% tags=["exercise"]
def training_example(x_0, schedule, generator):
    """One batch: x_t (n, d), t int64 (n,) uniform on 1…T, v (n, d), drawn with the generator.

    x_0: float64 (n, d).
    """
    raise NotImplementedError


# %% tags=["check"]
exercise.check_training_example(training_example)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# `torch.randint(low, high, (n,))` never returns `high`. Noise is `torch.randn`, of the shape and dtype of the data.
# `q_sample` and `v_from_x_0` do the rest.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def training_example(x_0, schedule, generator):
#     t = torch.randint(1, schedule.T + 1, (len(x_0),), generator=generator)
#     eps = torch.randn(x_0.shape, generator=generator, dtype=x_0.dtype)
#     x_t = q_sample(x_0, t, eps, schedule)
#     return x_t, t, v_from_x_0(x_t, x_0, t, schedule)
# ```
# </details>

# %% [markdown]
# ### Exercise 4 (core): how wide should a memory be?
#
# Experiment. Put a Gaussian of standard deviation $h$ on each training point, as in the last slider. Which of the given
# widths is best, judged by the mean log-density of points that were held out? Try `points`, `fresh[:500]` and widths from
# 0.01 to 1. Then judge by the training points themselves. What do you get, and why?

# %% tags=["exercise"]
def best_width(points, held_out, widths):
    """That of the widths with the largest mean log-density of the held-out points, a float.

    points: float64 (N, d). held_out: float64 (m, d). widths: a list of floats, standard deviations.
    """
    raise NotImplementedError


# %% tags=["check"]
exercise.check_best_width(best_width)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# `GaussianMixture(weight, points, var)` has `log_prob`. It takes variances, one for each point.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def best_width(points, held_out, widths):
#     n = len(points)
#     found = {}
#     for h in widths:
#         mixture = GaussianMixture(torch.full((n,), 1 / n), points, torch.full((n,), h**2))
#         found[h] = mixture.log_prob(held_out).mean()
#     return max(found, key=found.get)
# ```
#
# Held-out points ask for a width somewhat below that of a cloud: there the memory begins to fill the clouds, and does not yet
# merge them. The training points ask for the smallest width that you offer, whatever it is. So nobody can tune how much to
# memorise by the training loss.
# </details>

# %% [markdown]
# ### Exercise 5 (core): find the fault
#
# Somebody wrote (6), and all shapes fit. Two lines are wrong. Repair them.
#
# ```python
# def from_memory(points, x_t, alpha_bar_t):
#     squared = torch.cdist(x_t, points) ** 2
#     weights = torch.softmax(-squared / (2 * (1 - alpha_bar_t)), dim=0)
#     return weights @ points
# ```

# %% tags=["exercise"]
def from_memory(points, x_t, alpha_bar_t):
    """E[x_0 given x_t] for a training set, equation (6).

    points: float64 (N, d); x_t: (n, d); alpha_bar_t: a float. Returns (n, d).
    """
    raise NotImplementedError


# %% tags=["check"]
exercise.check_from_memory(from_memory)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# Over which axis must the weights add up to 1? And what has the chain done to a training point by time $t$, apart from adding
# noise?
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def from_memory(points, x_t, alpha_bar_t):
#     squared = torch.cdist(x_t, alpha_bar_t**0.5 * points) ** 2
#     weights = torch.softmax(-squared / (2 * (1 - alpha_bar_t)), dim=1)
#     return weights @ points
# ```
# </details>

# %% [markdown]
# ### Exercise 6 (core): what follows?
#
# A friend trains on 25 points. The loss on $v$, averaged over all times, falls to 0.72 on these 25 and stays there. On new
# points it is far higher. What follows?
#
# - **A.** There is a bug: on 25 points a large network should reach 0.
# - **B.** The number 0.72 alone, with nothing to compare it with, does not tell whether the network memorises.
# - **C.** If 0.72 is what (6) gives on these 25, samples will be copies.
# - **D.** Predicting $\varepsilon$ in place of $v$ would make it generalise, because the weights differ.
# - **E.** The gap between known and new points, at the same times, is a sign of memorising.
# - **F.** A lower training loss would mean better samples.

# %% tags=["exercise"]
def what_follows():
    """The letters of the sentences that follow, as a set of strings: {"A", …}."""
    raise NotImplementedError


# %% tags=["check"]
exercise.check_what_it_learned(what_follows)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# Even the memoriser does not know which of the 25 it was while there is much noise. What is its loss at $t=1000$ in Figure 5?
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def what_follows():
#     return {"B", "C", "E"}
# ```
#
# The training set has a floor of its own, and it is not 0: at late times nobody knows which of the 25 it was. (C) The
# memoriser is the only denoiser that reaches it. (D) The best answer is the same for every weight that is nowhere 0.
# </details>

# %% [markdown]
# ## A common mistake
#
# Many write the embedding with sines and cosines in turn, which is (5) in another order. The mask must then act on the *columns*
# of the table, `[:, 0::2]`. Written `[0::2]`, it acts on the *rows*, the times: even times get sines only, odd times cosines
# only. The shapes fit, and nothing crashes.

# %%
times = torch.arange(1000)
angles = times[:, None] * 10_000.0 ** (-2 * (torch.arange(32) // 2) / 32)
right = torch.empty(1000, 32)
right[:, 0::2] = angles[:, 0::2].sin()
right[:, 1::2] = angles[:, 1::2].cos()
wrong = torch.empty(1000, 32)
wrong[0::2] = angles[0::2].sin()
wrong[1::2] = angles[1::2].cos()
for name, e in (("right", right), ("wrong", wrong)):
    neighbours = nn.functional.cosine_similarity(e[:-1], e[1:]).mean()
    print(f"similarity of neighbouring times, on average: {name} {neighbours:.2f}")

# %% tags=["claim"]
# checks what the text says: the same numbers in another order; the wrong one is unlike its neighbours
in_our_order = torch.cat([right[:, 0::2], right[:, 1::2]], dim=1)
assert torch.allclose(in_our_order, time_embedding(times, 32).float(), atol=1e-3)
assert nn.functional.cosine_similarity(right[:-1], right[1:]).mean() > 0.9
assert nn.functional.cosine_similarity(wrong[:-1], wrong[1:]).mean() < 0.3

# %% tags=["figure"]
# draws sixty times of both embeddings
fig, axes = figure(columns=2, width=10, height=3.8)
for ax, e, title in zip(axes, (right, wrong), ("columns masked: right", "rows masked: wrong")):
    ax.imshow(e[:60], aspect="auto", cmap="cividis", interpolation="nearest")
    ax.set(xlabel="entry of e(t)", ylabel="t", title=title)
    ax.grid(False)
show(fig, alt="Left: smooth vertical stripes that differ little from row to row. Right: every second row looks different.")

# %% [markdown]
# **Figure 7.** Sixty times, one in each row. Left, neighbouring rows look alike; right, they do not. *The symptom*: the loss
# falls slowly, whatever you do, since each time is learned nearly by itself. *The test*: print the similarity of $t$ and $t+1$.
#
# ## Summary
#
# - The one thing missing is an average, and the mean has the least squared error. So regression finds it.
# - $x_0$, $\varepsilon$, $v$, score and $u$ are one piece of knowledge. Their losses weigh the same error differently.
# - Weight, training times and the sampler's times are three separate choices.
# - The loss ends at a floor, not at 0. Watch the excess.
# - The lowest training loss belongs to the memoriser. A network that does as well on new data has learned something else.
#
# ## Check yourself
#
# <details><summary>Your loss has stood still at 0.81 for an hour. What do you do?</summary>
#
# First find out how low it can be. Real data have no formula for it; so look at samples, and at the loss of held-out data.
# </details>
#
# <details><summary>A friend predicts the noise, you predict v. Can you use each other's samplers?</summary>
#
# Yes, `as_denoiser` converts. You trained with different weights, though, so you will be good at different times.
# </details>
#
# <details><summary>A network reaches the lowest loss there is on 25 points. What will it draw?</summary>
#
# The 25 points: that loss belongs to (6) alone.
# </details>
#
# ## Further reading
#
# - Ho, Jain & Abbeel (2020): our (1) is their eq. 4, $L_\text{simple}$ is their eq. 14.
# - Salimans & Ho (2022), section 4: $v$. Vincent (2011): score matching. Efron (2011): Tweedie's formula.
# - Kingma & Gao (2023): all weights on one axis. Hang et al. (2023): min-SNR. Karras et al. (2022): EDM; their appendix B.3
#   has our (6).
# - Gu et al. (2023), Kadkhodaie et al. (2024), Kamb & Ganguli (2024): who memorises, who does not, and why.
#
# Titles and links: the [reading list](../docs/reading.md). What large systems use: [from these digits to the systems
# of 2026](../docs/landscape.md).
#
# ## Next
#
# A digit has 784 numbers, and neighbours among them belong together. Notebook 06 builds a network that knows this: a small
# U-Net, block by block.
