# %% [markdown]
# # Walk back from noise to data
#
# Forget the formulas for a minute, and look at a river. It has two sources, it widens, and it ends in a lake where nobody
# can tell the two waters apart. Everybody can float down. This notebook swims back up.

# %%
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from diffusion_lab.data.digits import load_digits
from diffusion_lab.exercises import reverse_posterior
from diffusion_lab.sampling.chain import Step, pairs
from diffusion_lab.sampling.ddim import ddim
from diffusion_lab.theory.forward import noise_like, q_sample, q_step
from diffusion_lab.theory.gaussian import log_prob, product
from diffusion_lab.theory.posterior import weight_of
from diffusion_lab.theory.schedule import Schedule, at, cosine

generator = torch.Generator().manual_seed(0)
schedule = cosine()
alpha_bar = schedule.alpha_bar
grid = torch.linspace(-6, 6, 1201, dtype=torch.float64)

# %% tags=["figure"]
# draws the river; its two paths back are made by what this notebook builds, and notebook 08
import ipywidgets as widgets
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patheffects import withStroke

from diffusion_lab.sampling.ddpm import ddpm as walk
from diffusion_lab.theory.mixture import GaussianMixture as Mixture
from diffusion_lab.view.frames import drawn, painter
from diffusion_lab.view.live import Live
from diffusion_lab.view.plots import clouds, curves, gallery
from diffusion_lab.view.scrubber import Scrubber
from diffusion_lab.view.show import show
from diffusion_lab.view.style import BLACK, BLUE, GREY, ORANGE, figure

WATER = LinearSegmentedColormap.from_list("water", ["#ffffff", "#d6e8f6", "#8cc1e3", "#3a8fc7", "#1c6ba5"])
shores = Mixture([0.5, 0.5], [[-1.0], [1.0]], [0.02, 0.02])
x = torch.linspace(-3.4, 3.4, 340, dtype=torch.float64)
fresh = torch.Generator().manual_seed(3)
bank = torch.tensor([-1.0, 1.0], dtype=torch.float64).repeat(5)[:, None]
down = [bank + 0.02**0.5 * torch.randn(10, 1, generator=fresh, dtype=torch.float64)]
for t in range(1, 1001):
    down.append(q_step(down[-1], t, noise_like(bank, fresh), schedule))
lake = torch.tensor([[0.6]], dtype=torch.float64)
jagged = [step.x_s.item() for step in walk(shores.denoiser(schedule), lake, generator=fresh)]
smooth = [step.x_s.item() for step in ddim(shores.denoiser(schedule), lake)]

fig, (left, ax, right) = figure(columns=3, width=10, height=5.2, width_ratios=[1, 9, 1], sharey=True)
for side, t, colour in ((left, 0, BLUE), (right, 1000, GREY)):
    p = shores.marginal(t, schedule).log_prob(x[:, None]).exp()
    side.fill_betweenx(x, 0, p, color=colour, alpha=0.35)
    side.plot(p, x, color=colour)
    side.set(xticks=[], xlim=(0, 1.05 * p.max()))
    side.grid(False)
    side.spines[:].set_visible(False)
    side.tick_params(left=False)
left.invert_xaxis()
left.set(title="data", ylabel="$x$")
right.set(title="noise")
levels = [0, 0.03, 0.07, 0.12, 0.17, 0.22, 0.27, 0.32, 0.37, 0.45, 0.6, 0.8, 1.1, 1.5]
colours = [WATER(i / 12) for i in range(13)]
times = range(0, 1001, 5)
depth = [shores.marginal(t, schedule).log_prob(x[:, None]).exp() for t in times]
ax.contourf(times, x, torch.stack(depth, dim=1), levels=levels, colors=colours)
ax.plot(torch.cat(down, dim=1)[:4].T, color="#444444", linewidth=0.6, alpha=0.6)
for path, colour, width in ((jagged, ORANGE, 1.7), (smooth, BLACK, 2.4)):
    halo = [withStroke(linewidth=width + 2, foreground="white")]
    ax.plot(range(1000, -1, -1), [0.6, *path], color=colour, linewidth=width, path_effects=halo)
ax.plot(1000, 0.6, "o", color=BLACK, markersize=9, clip_on=False, zorder=5)
for text, place, colour in (("fresh noise at each step", (585, 2.32), ORANGE), ("no fresh noise", (330, 1.14), BLACK)):
    ax.text(*place, text, color=colour, fontsize=12, ha="right", path_effects=[withStroke(linewidth=4, foreground="white")])
ax.set(xlim=(0, 1000), ylim=(-3.4, 3.4), xlabel="$t$", title="⟵ the way back          the way of the data ⟶")
ax.grid(False)
show(
    fig,
    alt="A river of blue seen from above: two narrow arms at t = 0 join into one broad band at t = 1000. "
    "Thin grey lines follow it to the right; from one black dot on the right an orange jagged line "
    "and a smooth black one lead back, to different arms.",
)

# %% [markdown]
# **Figure 1.** Each column is the density $q(x_t)$ at one time: deep blue where many numbers are. The data, on the left,
# is near -1 or near +1. Thin grey: four numbers on their way to noise. Thick: two ways *back* from the same noise, the black
# dot. Orange draws fresh noise at each step. (It leaps at once: the last $\beta_t$ is 0.999, and leaves next to nothing of
# what was before.) Black draws none. Look where the two end.
#
# The black line is a path without randomness, steered by the same average as the orange one. From many draws of noise, such
# paths give the right law at every time, as notebook 08 proves. And they are smooth, so few steps can follow them.
#
# You will be able to
#
# - **explain** why a walk back from noise ends in the data,
# - **derive** one step back, with the data known and unknown,
# - **compute** $\hat x_0$, the one thing it must know, and say what it averages,
# - **build** a sampler from a blank cell, and say what goes wrong in long steps.
#
# **You need** notebooks 01 (product of Gaussians), 02 (the jump) and first-year probability. **Time to read** 75 minutes,
# with core exercises 120, with everything 180 · **to run** 25 seconds. **Paper sections**: Ho et al. 2020, section 2.
#
# ## Predict first
#
# Start the orange walk again from the black dot, with other noise. Will it end at the same source? When is that decided?
#
# And you see a noisy $x_t=0$, at $t=500$. What was it one *small* step earlier? What was it at the start? Is each answer
# one number, give or take a little, or either of two?

# %% tags=["claim"]
# checks what the text says: the two ways back end at different sources
assert jagged[-1] < -0.7
assert smooth[-1] > 0.7

# %% [markdown]
# ## 1 · Why walking back works
#
# What must we do at each step back, so that we end with the law of the data? Less than you might fear. We need not find
# the very $x_s$ that our $x_t$ came from. We only have to draw one of those that it *may* have come from, each with its right
# probability, $q(x_s\mid x_t)$.
#
# > **The theorem.** If $x_t$ has the law $q(x_t)$, and you draw $x_s$ from $q(x_s\mid x_t)$, then $x_s$ has the law $q(x_s)$.
#
# The proof has two lines. What comes out is the average of $q(x_s\mid x_t)$ over the $x_t$ that went in; and a
# conditional law times the law of its condition is the joint law:
#
# $$\int q(x_s\mid x_t)\,q(x_t)\,dx_t=\int q(x_s,x_t)\,dx_t=q(x_s)\tag{1}$$
#
# Now walk. Start with pure noise: that is the law of $x_T$, up to very little. One step, and you have the law of an earlier
# state. Another, and another; the last gives the law of the data. You do not get *your* old $x_0$ back, but a new one from
# the same source. Even the path is right: a whole walk back is distributed as a walk forward (the deep section proves it).
#
# Notice what the theorem does not ask for: small steps, or Gaussians. It needs only $q(x_s\mid x_t)$, and Bayes' rule gives it:
#
# $$q(x_s\mid x_t)=\frac{q(x_t\mid x_s)\,q(x_s)}{q(x_t)}\tag{2}$$
#
# Let us try it with giant steps, on a grid. For our two peaks every law is known, so (2) is a table, with a column for
# each $x_t$. Its $q(x_t\mid x_s)$ is the jump between two times (notebook 02, section 3), with
# $\alpha=\bar\alpha_t/\bar\alpha_s$.

# %%
def law(t):
    """q(x_t) on the grid, for data near -1 or near +1, each peak of variance 0.02."""
    centre = alpha_bar[t].sqrt()
    var = 0.02 * alpha_bar[t] + 1 - alpha_bar[t]
    return (log_prob(grid, -centre, var).exp() + log_prob(grid, centre, var).exp()) / 2


def back(t, s):
    """Equation (2) on the grid: column j is the density of x_s if x_t = grid[j]."""
    alpha = alpha_bar[t] / alpha_bar[s]
    likelihood = log_prob(grid[None, :], alpha.sqrt() * grid[:, None], 1 - alpha).exp()
    joint = likelihood * law(s)[:, None]
    return joint / torch.trapezoid(joint, grid, dim=0)


# %% [markdown]
# Four giant steps, from noise to data; each is the integral (1), as a sum.

# %% tags=["check"]
def near_a_peak(p):
    """The probability of a number within 0.5 of a peak, if p is the density on the grid."""
    return torch.trapezoid(torch.where((grid.abs() - 1).abs() < 0.5, p, 0.0), grid)


p = log_prob(grid, 0.0, 1.0).exp()  # pure noise
print(f"pure noise:      {near_a_peak(p):3.0%} are within 0.5 of a peak")
for t, s in [(1000, 800), (800, 600), (600, 300), (300, 0)]:
    p = torch.trapezoid(back(t, s) * p, grid, dim=1)
    assert torch.trapezoid((p - law(s)).abs(), grid) < 1e-4
    print(f"from {t:4} to {s:3}: {near_a_peak(p):3.0%}")
print("and after each step the law is the one that it should be")

# %% tags=["figure"]
# draws the law at t = 700 in slices, and where each of them goes
p = law(700)
edges = torch.linspace(0, 1, 7, dtype=torch.float64)
below = torch.cumulative_trapezoid(p, grid)
slice_of = torch.cat([torch.zeros(1), (torch.bucketize(below, edges[1:-1])).double()])
sent = [torch.trapezoid(back(700, 250) * torch.where(slice_of == k, p, 0.0), grid, dim=1) for k in range(6)]
shades = ["#00224e", "#35456c", "#666970", "#948e77", "#c8b866", "#fee838"]
fig, (left, right) = figure(columns=2, width=10, height=4)
right.stackplot(grid, *[torch.where(slice_of == k, p, 0.0) for k in range(6)], colors=shades)
left.stackplot(grid, *sent, colors=shades)
left.plot(grid, law(250), color=BLACK, linestyle="--", linewidth=2, label="$q(x_s)$, the earlier law")
right.plot(grid, p, color=BLACK, linestyle="--", linewidth=2, label="$q(x_t)$, cut into six slices")
left.set(title="$s = 250$: … ⟵ and what they become", xlabel="$x_s$")
right.set(title="$t = 700$: six slices of equal weight …", xlabel="$x_t$")
for ax in (left, right):
    ax.legend(loc="upper center")
    ax.set(yticks=[], xlim=(-3, 3), ylim=(0, 0.6))
    ax.grid(False)
show(
    fig,
    alt="Right: a broad bell cut into six coloured slices of equal area. Left: the same six colours, each "
    "spread over both peaks, stacked on each other; together they fill a two-peaked curve exactly.",
)

# %% [markdown]
# **Figure 2.** The theorem as a picture; read it from right to left. Cut the law of $x_t$ into slices. Send each slice
# back by $q(x_s\mid x_t)$, and stack what arrives. Hardly a slice has the shape of the earlier law, and together they fill
# it to the line.

# %% tags=["claim"]
# checks what the text says: hardly a slice has the shape of the earlier law
off = [torch.trapezoid((6 * part - law(250)).abs(), grid) for part in sent]
assert min(off[0], off[1], off[4], off[5]) > 0.3
assert min(off) > 0.1

# %% [markdown]
# Then why go on? Because (2) contains $q(x_s)$, the very law that we are after. How little of it is enough?
#
# ### Deeper: the whole path has the right law, too
#
# The theorem speaks of one state at a time. More is true. After the first step back, the *pair* $(x_s, x_t)$ has the law
# $q(x_s\mid x_t)\,q(x_t) = q(x_s, x_t)$, that of the forward chain. Read backwards, the forward chain is again a Markov chain:
# given $x_s$, the past does not depend on the future. For $r < s < t$
#
# $$ q(x_r \mid x_s, x_t) = \frac{q(x_t\mid x_s)\, q(x_s\mid x_r)\, q(x_r)}{q(x_t \mid x_s)\, q(x_s)} = q(x_r \mid x_s). $$
#
# So the second step, which looks at $x_s$ alone, gives the right law of the triple, and so on: a whole walk back is
# distributed as a whole walk forward. Nobody who sees the path alone can tell in which direction it was made. In
# section 6 we use this: how soon the end of a walk back is decided, we compute from the forward chain. And a remark on
# the start: if the noise you start from has a law $p$ that differs a little from $q(x_T)$, the difference can only shrink
# on the way. For any kernel $k$, $\int \left|\int k(x\mid y)\,(p(y) - q(y))\,dy\right| dx \le \int |p(y) - q(y)|\,dy$, as the integral of $k$
# over $x$ is 1.

# %% [markdown]
# ## 2 · One step back, if the data is known
#
# Suppose somebody tells you the clean $x_0$ as well as the noisy $x_t$. Where was the state in between, at a time $s<t$?
# Two witnesses speak:
#
# - the **prior**, what $x_0$ says: the jump puts $x_s$ at $\mathcal N(\sqrt{\bar\alpha_s}\,x_0,\,1-\bar\alpha_s)$;
# - the **likelihood**, what $x_t$ says: from $x_s$ the chain went on to $x_t=\sqrt\alpha\,x_s+\sqrt\beta\,\varepsilon$,
#   with $\alpha=\bar\alpha_t/\bar\alpha_s$ and $\beta=1-\alpha$. For $s=t-1$ these are $\alpha_t$ and $\beta_t$.
#
# The names are those of notebook 01, but the unknown is now $x_s$. (In section 3 it will be $x_0$.) Given $x_s$, the chain does not look at $x_0$ again. So Bayes' rule multiplies the two, and the result is the **posterior**:
#
# $$q(x_s\mid x_t,x_0)\;\propto\;q(x_t\mid x_s)\;q(x_s\mid x_0)\tag{3}$$
#
# As functions of $x_s$ both factors are Gaussians, and notebook 01 multiplies Gaussians: precisions add, and the mean is the
# average of the two means, weighted by precision. What comes out (Ho et al. 2020, eq. 7) is a Gaussian with mean and
# variance
#
# $$\tilde\mu=\frac{\sqrt{\bar\alpha_s}\,\beta}{1-\bar\alpha_t}\,x_0+\frac{\sqrt\alpha\,(1-\bar\alpha_s)}{1-\bar\alpha_t}\,x_t\tag{4}$$
#
# $$\tilde\beta=\frac{1-\bar\alpha_s}{1-\bar\alpha_t}\,\beta\tag{5}$$

# %% tags=["export:diffusion_lab.theory.posterior"]
def posterior_mean(x_0, x_t, t, schedule, s=None):
    """Mean of q(x_s given x_t, x_0): equation (4). s defaults to t-1."""
    alpha_bar_t = at(schedule.alpha_bar, t, like=x_t)
    alpha_bar_s = at(schedule.alpha_bar, t - 1 if s is None else s, like=x_t)
    alpha = alpha_bar_t / alpha_bar_s
    beta = 1 - alpha
    mu_tilde_t = (
        alpha_bar_s.sqrt() * beta * x_0 + alpha.sqrt() * (1 - alpha_bar_s) * x_t
    ) / (1 - alpha_bar_t)
    return mu_tilde_t.to(x_t.dtype)


def posterior_var(t, schedule, s=None):
    """Variance of q(x_s given x_t, x_0): equation (5)."""
    alpha_bar_t = at(schedule.alpha_bar, t)
    alpha_bar_s = at(schedule.alpha_bar, t - 1 if s is None else s)
    beta = 1 - alpha_bar_t / alpha_bar_s
    return (1 - alpha_bar_s) / (1 - alpha_bar_t) * beta


# %% [markdown]
# The check multiplies the two witnesses on the grid.

# %% tags=["check"]
x_0 = torch.tensor([[1.0]], dtype=torch.float64)
x_t = torch.tensor([[-0.5]], dtype=torch.float64)
t = 500
s = 400
alpha = alpha_bar[t] / alpha_bar[s]
prior = log_prob(grid, alpha_bar[s].sqrt() * x_0[0], 1 - alpha_bar[s]).exp()
likelihood = log_prob(x_t[0], alpha.sqrt() * grid, 1 - alpha).exp()
posterior = prior * likelihood / torch.trapezoid(prior * likelihood, grid)

mean = posterior_mean(x_0, x_t, t, schedule, s)
var = posterior_var(t, schedule, s)
assert torch.allclose(posterior, log_prob(grid, mean[0], var).exp(), atol=1e-9)
print(f"mean {mean.item():.3f}, variance {var:.3f}, as on the grid")

# %% tags=["figure"]
# draws prior, likelihood and posterior of the state in between
fig, ax = figure(width=9, height=3.4)
lines = [
    (grid, prior, "data", "what $x_0 = 1$ says (prior)"),
    (grid, likelihood, "noise", "what $x_t = -0.5$ says (likelihood)"),
    (grid, posterior, "exact", "both (posterior)"),
]
curves(ax, lines, "$x_s$", "density", xlim=(-2.5, 2.5), ylim=(0, 1.15))
show(
    fig,
    alt="Three bell curves over x_s: the prior at 0.8, the likelihood at -0.6, and the posterior between the "
    "two, narrower than either.",
)

# %% [markdown]
# **Figure 3.** Two witnesses and the verdict, from $t=500$ to $s=400$: nearer to the witness that is surer of itself, and
# narrower than either.
#
# ### Deeper: the algebra of (4) and (5)
#
# As a function of $x_s$, the likelihood is a Gaussian around $x_t/\sqrt\alpha$ with variance $\beta/\alpha$. Precisions add:
# $1/\tilde\beta = \alpha/\beta + 1/(1-\bar\alpha_s)$. Put both on one fraction, and note that
# $\alpha(1-\bar\alpha_s) + \beta = 1-\bar\alpha_t$; this is (5). The mean is each mean times its precision,
#
# $$ \tilde\mu = \tilde\beta\left(\frac{\alpha}{\beta}\cdot\frac{x_t}{\sqrt\alpha} + \frac{1}{1-\bar\alpha_s}\cdot\sqrt{\bar\alpha_s}\,x_0\right), $$
#
# and (4) follows with (5) put in for $\tilde\beta$. The product formula of notebook 01 says the same:

# %% tags=["check"]
product_mean, product_var = product(
    alpha_bar[s].sqrt() * x_0, 1 - alpha_bar[s], x_t / alpha.sqrt(), (1 - alpha) / alpha
)
assert torch.allclose(mean, product_mean, atol=1e-12)
assert torch.allclose(var, product_var, atol=1e-12)
print("equations (4) and (5) are the product of two Gaussians")

# %% tags=["claim"]
# checks what the text says: narrower than either, and between the two
assert var < min(1 - alpha_bar[s], (1 - alpha) / alpha)
assert x_t.item() / alpha.sqrt() < mean.item() < alpha_bar[s].sqrt()

# %% [markdown]
# ## 3 · All that is missing is an average
#
# If we knew $x_0$, there would be nothing to generate. We do not, but many an $x_0$ may have led to $x_t$. Draw one that fits,
# then a state on its way:
#
# $$q(x_s\mid x_t)=\int q(x_s\mid x_t,x_0)\,q(x_0\mid x_t)\,dx_0$$
#
# And look at equation (4): in the mean of that step $x_0$ enters only linearly. So the mean of the step back is the same formula with
#
# $$\hat x_0(x_t)=\mathbb E[x_0\mid x_t]\tag{6}$$
#
# in the place of $x_0$. For a short step the mean is all that is missing: the rest of its law is known already (section 4).
#
# We call $\hat x_0$ the **denoised mean**, and a function that returns it a **denoiser**. It is the one thing
# that a network will learn, by regression: of all single numbers, the mean has the least squared error (notebook 05). Be
# the network.
#
# **Try it.** Set $t=600$ and drag $x_t$ slowly from left to right: where is the orange line when $x_t$ passes 0? Then the
# same at $t=200$, and at $t=1000$. When does what you see stop mattering?

# %% tags=["figure"]
# draws prior, likelihood, posterior and mean of x_0, on one axis
def peaks(gap):
    """Data near -gap or near +gap, one as likely as the other."""
    return Mixture([0.5, 0.5], [[-gap], [gap]], [0.02, 0.02])


def be_the_denoiser():
    """A picture for each x_t and t; every curve is scaled to its own height."""
    x_0 = torch.linspace(-2.5, 2.5, 1001, dtype=torch.float64)
    data = peaks(1.0)
    names = ["prior: how the data is spread", "likelihood: which $x_0$ fit what you see", "posterior: both, multiplied"]
    fig, axes = figure(rows=3, width=9, height=5.4, sharex=True)
    moving = []
    for ax, name, colour in zip(axes, names, (BLUE, GREY, BLACK)):
        moving += ax.plot(x_0, 0 * x_0, color=colour, linewidth=2)
        ax.set(yticks=[], ylim=(0, 1.12), xlim=(-2.5, 2.5))
        ax.set_title(name, loc="left")
        ax.set_ylabel("density" if colour != GREY else "fit", color=GREY)
    axes[2].set(xlabel="$x_0$")
    moving += axes[2].plot([0, 0], [0, 1.12], color=ORANGE, linewidth=2.5)
    label = axes[2].text(0, 0.86, "", color=ORANGE, fontsize=12)
    moving.append(label)
    paint = painter(fig, moving)

    def draw(x_t, t):
        fits = log_prob(torch.tensor(x_t, dtype=torch.float64), alpha_bar[t].sqrt() * x_0, 1 - alpha_bar[t])
        spread = data.log_prob(x_0[:, None])
        for line, log in zip(moving, (spread, fits, spread + fits)):
            line.set_ydata((log - log.max()).exp().numpy())
        x_0_hat = data.denoiser(schedule)(torch.tensor([[x_t]], dtype=torch.float64), t).item()
        moving[3].set_xdata([x_0_hat, x_0_hat])
        label.set_x(x_0_hat + 0.05)
        label.set_text(rf"$\hat x_0 = {x_0_hat:.2f}$")
        return paint()

    return draw


Live(
    be_the_denoiser(),
    caption="Be the denoiser: what may x_0 have been, if you see x_t? The sliders move what you see, and its time.",
    alt="Three curves over x_0, one below the other: two peaks at -1 and +1, a broad bell, and two peaks of unequal "
    "height; an orange line marks their mean between the peaks.",
    x_t=widgets.FloatSlider(value=0.3, min=-2.5, max=2.5, step=0.05, description="x_t"),
    t=widgets.IntSlider(value=600, min=20, max=1000, step=20, description="t"),
)

# %% [markdown]
# At $x_t=0$ the orange line stands at 0, where there is no data at all. It is no guess of what $x_0$ *was*. It is the
# average of two answers, each of which is possible. At $t=1000$ it is the average of the whole data, whatever you see.
#
# In code, a denoiser carries its schedule. The `label` is for models that can be told what to make.

# %% tags=["export:diffusion_lab.theory.denoiser"]
@dataclass(frozen=True)
class Denoiser:
    """x_0_hat = denoiser(x_t, t, label=None): equation (6), for states of one schedule."""

    answer: Callable
    schedule: Schedule

    def __call__(self, x_t, t, label=None):
        return self.answer(x_t, t, label)


# %% [markdown]
# Where can we get an exact one? From data that we know completely. Take the 4,000 training digits $d_1, d_2, \dots$ as *all* the
# data there is. Then $x_0$ is one of them. How well does digit $k$ fit a noisy image? As well as the noise between the two is
# likely: that is the density $q(x_t\mid x_0=d_k)$. Divide by the shrinking, and $y=x_t/\sqrt{\bar\alpha_t}$ is the digit plus noise of variance
# $1/\mathrm{SNR}_t$. So $\hat x_0$ is **an average of all the clean images, each weighted by how well it fits:**
#
# $$\hat x_0=\sum_k r_k\,d_k,\qquad r_k\propto\exp\Big(-\tfrac12\,\mathrm{SNR}_t\,\|y-d_k\|^2\Big)$$
#
# In code, a **softmax** makes the weights: exponentiate, then divide by the sum.

# %%
images, labels = load_digits("train")
n = len(images)
digits = images.flatten(1).double()


def weights(x_t, t):
    """r, (rows of x_t, n): how well each training digit fits each noisy image."""
    y = x_t.flatten(1) / alpha_bar[t].sqrt()
    distance = torch.cdist(y, digits)
    return torch.softmax(-0.5 * schedule.snr[t] * distance**2, dim=1)


# %% tags=["check"]
unseen, _ = load_digits("test")
four = unseen[20:21].double()
grain = noise_like(four, torch.Generator().manual_seed(0))
for t in (1000, 900, 700, 500, 300):
    x_t = q_sample(four, t, grain, schedule)
    r = weights(x_t, t)
    assert torch.allclose(r.sum(), torch.ones(()).double())
    a_four = r[0, labels == 4].sum()
    print(f"t = {t:4}: largest weight {r.max():3.0%}, all fours together {a_four:4.0%}")

# %% [markdown]
# **Try it.** Here are the six digits of largest weight, for one noisy four. Go down from $t = 1000$. When do you know
# what it is, and when does the denoiser? Is it ever led astray? And when does it know *which* four?

# %% tags=["figure"]
# draws one noisy digit, the six training digits of largest weight, and the average of all
def averaged(times):
    """A frame for each time."""
    fig, axes = figure(columns=4, rows=2, width=7.4, height=4.6)
    blank = torch.zeros(28, 28).numpy()
    pictures = []
    for ax in axes.flat:
        pictures.append(ax.imshow(blank, cmap="gray", vmin=-1, vmax=1))
        ax.axis("off")
    heads = [ax.text(13.5, -1.5, "", ha="center", va="bottom", fontsize=17) for ax in axes.flat]
    heads[0].set_text("you see $x_t$")
    heads[4].set_text(r"average $\hat x_0$")
    heads[4].set_color(ORANGE)
    places = [1, 2, 3, 5, 6, 7]

    def update(t):
        x_t = q_sample(four, t, grain, schedule)
        r = weights(x_t, t)[0]
        pictures[0].set_data(x_t[0, 0].numpy())
        pictures[4].set_data((r @ digits).reshape(28, 28).numpy())
        for place, k in zip(places, r.topk(6).indices):
            share = 100 * r[k].item()
            pictures[place].set_data(images[k, 0].numpy())
            heads[place].set_text(f"{share:.0f} %" if share >= 1 else "< 1 %")

    return drawn(fig, [*pictures, *heads], update, times)


moments = [1000, 975, 950, 925, 900, 875, 850, 825, 800, 775, 750, 725, 700, 650, 600, 550, 500, 450, 400, 350, 300]
Scrubber(
    averaged(moments),
    labels=[f"t = {t}" for t in moments],
    caption="What x̂_0 averages: the six training digits of largest weight, with their weights. The slider moves t.",
    alt="A noisy image, its denoised mean below it, and six digits with their weights. At t = 1000 all have the same small "
    "weight and the mean is a grey blot; at 900 threes and fives lead, from 800 on fours; at 500 two fours share the "
    "weight, and at 300 one of them has nearly all.",
)

# %% [markdown]
# At $t = 1000$ all digits have the same weight, and their average is a grey blot. At $t=900$ threes and fives lead: the noise happens to look like them. At 800 fours have taken over. By 700 it is
# a four, beyond doubt. But *which* four stays open until about 300: near 500 the lead changes hands once more.
#
# And the winner is not our four, which is from the test set. This denoiser is exact for its data, and knows no other digit
# in the world. What a network should *not* learn: notebooks 05 and 07 take it up.

# %% [markdown]
# ### Exact, and smooth
#
# Points that are known exactly make a poor model of data that varies. So give each point a width, and the data is a
# **mixture** of $K$ Gaussians:
#
# $$p(x)=\sum_k w_k\,\mathcal N(x;\,m_k,v_kI)\tag{7}$$
#
# Its $\hat x_0$ has a formula, too, which the next closed section builds. The package calls it `GaussianMixture`, here
# `Mixture` for short: the laboratory of the notebooks to come, where the exact denoiser is known. Our two peaks are such a mixture.
#
# The check: the means of the columns of `back`, which knows nothing of denoisers, must be (4) with $\hat x_0$ in it.

# %% tags=["check"]
two = Mixture([0.5, 0.5], [[-1.0], [1.0]], [0.02, 0.02])
denoiser = two.denoiser(schedule)
middle = grid[400:801, None]  # from -2 to 2
for t, s in [(900, 500), (600, 300), (300, 100)]:
    by_table = torch.trapezoid(grid[:, None] * back(t, s)[:, 400:801], grid, dim=0)
    by_x_0_hat = posterior_mean(denoiser(middle, t), middle, t, schedule, s)[:, 0]
    assert torch.allclose(by_table, by_x_0_hat, atol=1e-6)
print("the mean of every step back is equation (4) with the denoised mean in it")

# %% [markdown]
# ### Deeper: the mixture, in code
#
# With noise each component stays Gaussian, so $q(x_t)$ is a mixture, too. *If* $y$ came from component $k$, the best
# answer lies between $m_k$ and $y$, and a **gain** $g_k$ says how far to trust $y$. Which component it came from we do not
# know, so the answers are weighted by the probabilities $r_k$:
#
# $$\hat x_0=\sum_k r_k\big[(1-g_k)\,m_k+g_k\,y\big],\quad g_k=\frac{v_k}{v_k+1/\mathrm{SNR}_t},\quad r_k\propto w_k\,\mathcal N\big(y;\,m_k,(v_k+1/\mathrm{SNR}_t)I\big)\tag{8}$$
#
# Three lines of the class matter, `r`, `gain` and `x_0_hat`: the three parts of (8). `log_joint` is the logarithm of
# $w_k\,\mathcal N(\dots)$.

# %% tags=["export:diffusion_lab.theory.mixture"]
class GaussianMixture:
    """Equation (7). weight (K,), mean (K, d), var (K,); points x are (n, d)."""

    def __init__(self, weight, mean, var):
        weight, mean, var = (
            torch.as_tensor(table, dtype=torch.float64).clone() for table in (weight, mean, var)
        )
        self.weight = weight / weight.sum()
        self.mean = mean
        self.var = var

    def log_joint(self, x, noise_var=0.0):
        d = self.mean.shape[1]
        var = self.var + noise_var
        # the other way to compute distances, by a product of matrices, loses digits
        distance = torch.cdist(x.double(), self.mean, compute_mode="donot_use_mm_for_euclid_dist")
        return self.weight.log() - 0.5 * (distance**2 / var + d * torch.log(2 * torch.pi * var))

    def sample(self, n, generator=None):
        k = torch.multinomial(self.weight, n, replacement=True, generator=generator)
        eps = torch.randn(n, self.mean.shape[1], generator=generator, dtype=torch.float64)
        return self.mean[k] + self.var[k, None].sqrt() * eps

    def expected_x_0(self, x_t, t, schedule):
        """The denoised mean: equation (8)."""
        x = x_t.reshape(len(x_t), -1).to(self.mean)
        y = x / at(schedule.alpha_bar, t, like=x).sqrt()
        noise_var = 1 / at(schedule.snr, t, like=x)
        r = torch.softmax(self.log_joint(y, noise_var), dim=1)
        gain = self.var / (self.var + noise_var)
        x_0_hat = (r * (1 - gain)) @ self.mean + (r * gain).sum(dim=1, keepdim=True) * y
        return x_0_hat.reshape(x_t.shape).to(x_t)

    def denoiser(self, schedule):
        def answer(x_t, t, label):
            return self.expected_x_0(x_t, t, schedule)

        return Denoiser(answer, schedule)


# %% [markdown]
# The 4,000 digits are such a mixture. Its widths are 0, so every gain is 0, and the class gives the average of the picture
# above.

# %% tags=["check"]
finite = GaussianMixture(torch.full((n,), 1 / n), digits, torch.zeros(n)).denoiser(schedule)
for t in (1000, 700, 300):
    x_t = q_sample(four, t, grain, schedule)
    average = (weights(x_t, t) @ digits).reshape(four.shape)
    assert torch.allclose(average, finite(x_t, t), atol=1e-6)
print("equation (8) with variances 0 is the average of the digits")

# %% [markdown]
# ### Deeper: the rest of the class
#
# Python lets a class go on in a second cell, if it extends itself. `marginal` is the law of $x_t$, again a mixture. The
# **score**, $\nabla\log p$, points to where the density rises; notebook 05 is about it.

# %% tags=["export:diffusion_lab.theory.mixture"]
class GaussianMixture(GaussianMixture):
    def log_prob(self, x):
        return torch.logsumexp(self.log_joint(x), dim=1)

    def score(self, x):
        pull = torch.softmax(self.log_joint(x), dim=1) / self.var
        return pull @ self.mean - pull.sum(dim=1, keepdim=True) * x

    def marginal(self, t, schedule):
        alpha_bar_t = at(schedule.alpha_bar, t)
        return GaussianMixture(
            self.weight, alpha_bar_t.sqrt() * self.mean, alpha_bar_t * self.var + (1 - alpha_bar_t)
        )


# %% [markdown]
# ### Deeper: three ways to the same average
#
# Why does the mixture stay a mixture? The chain acts on each component by itself, as an affine map plus noise:
# $\sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\varepsilon$ has mean $\sqrt{\bar\alpha_t}\,m_k$ and variance $\bar\alpha_t v_k + 1-\bar\alpha_t$, as
# `marginal` says. And given $k$, the average of $x_0$ is the product rule of notebook 01 for a prior $\mathcal N(m_k, v_k)$ and a
# measurement $y$ with variance $1/\mathrm{SNR}_t$.
#
# A second way is to average $x_0$ over a grid, weighted by $p(x_0)\,q(x_t\mid x_0)$. A third knows nothing of components:
# **Tweedie's formula** gets the denoised mean from the score of the noisy data alone (notebook 05 derives it),
#
# $$ \hat x_0 = \frac{x_t + (1-\bar\alpha_t)\,\nabla\log q(x_t)}{\sqrt{\bar\alpha_t}}. $$
#
# PyTorch can differentiate what it computed. Here that gives the gradient of `log_prob`, and so tests `score` and
# `marginal` on the way.

# %% tags=["check"]
two = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [0.02, 0.02])
noisy = middle[::10].clone().requires_grad_()
for t in (50, 500, 900):
    fits = log_prob(noisy, alpha_bar[t].sqrt() * grid, 1 - alpha_bar[t])
    weight = (two.log_prob(grid[:, None]) + fits).exp()
    by_grid = torch.trapezoid(grid * weight, grid) / torch.trapezoid(weight, grid)
    assert torch.allclose(by_grid[:, None], denoiser(noisy, t), atol=1e-7)

    marginal = two.marginal(t, schedule)
    score = torch.autograd.grad(marginal.log_prob(noisy).sum(), noisy)[0]
    assert torch.allclose(score, marginal.score(noisy), atol=1e-9)
    by_tweedie = (noisy + (1 - alpha_bar[t]) * score) / alpha_bar[t].sqrt()
    assert torch.allclose(by_tweedie, denoiser(noisy, t), atol=1e-9)
print("the exact denoiser agrees with the average on a grid, and with Tweedie's formula")

# %% tags=["figure"]
# draws the denoised mean at three times
fig, ax = figure(width=8, height=3.4)
for t, style in ((100, "-"), (500, "--"), (900, ":")):
    ax.plot(grid, denoiser(grid[:, None], t)[:, 0], color=BLACK, linestyle=style, label=f"t = {t}")
for peak in (-1, 1):
    ax.axhline(peak, color=BLUE, linewidth=6, alpha=0.25)
ax.set(xlabel="$x_t$", ylabel="$\\hat x_0$", xlim=(-3, 3), ylim=(-2, 2))
ax.legend()
show(
    fig,
    alt="Three rising curves through 0, with pale blue bands at -1 and +1: a steep step at t = 100, a smooth bend at "
    "500, an almost flat line at 900.",
)

# %% [markdown]
# **Figure D1.** The denoised mean as a function of what is seen; the blue bands are where the data is. At $t = 900$ it
# hardly dares to leave the average, 0. At $t = 100$ it picks a side as soon as $x_t$ leans to it. Where does the bend come
# from? For two components of equal weight and variance the softmax has two entries, $e^a/(e^a+e^{-a})$ and
# $e^{-a}/(e^a+e^{-a})$, where $a$ is half the log-odds; their difference is $\tanh a$. Here $a = y/(v_k+1/\mathrm{SNR}_t)$.

# %% tags=["claim"]
# checks what the text says about the weights of the digits, and about tanh
of = {t: weights(q_sample(four, t, grain, schedule), t)[0] for t in (1000, 900, 800, 700, 550, 500, 450, 300)}
assert set(labels[of[900].topk(4).indices].tolist()) == {3, 5}
assert of[800][labels == 4].sum() > 0.5
assert of[800].max() < 0.5
assert of[700][labels == 4].sum() > 0.99
assert of[550].argmax() != of[450].argmax()
assert of[500].max() < 0.5
assert of[300].max() > 0.9
assert of[1000].max() < 2 / n
y = middle / alpha_bar[500].sqrt()
r = torch.softmax(two.log_joint(y, 1 / schedule.snr[500]), dim=1)
assert torch.allclose(r[:, 1:] - r[:, :1], torch.tanh(y / (0.02 + 1 / schedule.snr[500])))
assert torch.cdist(four.flatten(1), images.flatten(1).double()).min() > 3

# %% [markdown]
# ## 4 · The shape of a small step
#
# We know the mean of the step back. To draw, we need its shape. Look at one from $x_t=0.3$ to our two peaks as they are at
# $s=270$, once long and once short.

# %%
def step_back(beta, x_t=0.3, s=270):
    """Equation (2) on a grid: the density of x_s, if a step of size beta led from there to x_t."""
    centre = alpha_bar[s].sqrt()
    var = 0.02 * alpha_bar[s] + 1 - alpha_bar[s]
    reach = min(14 * (beta / (1 - beta)) ** 0.5, 4)  # 14 standard deviations of the likelihood
    x_s = x_t + torch.linspace(-reach, reach, 4001, dtype=torch.float64)
    # the logarithm of a sum of two exponentials: log q(x_s), up to a constant
    log_q_s = torch.logaddexp(log_prob(x_s, -centre, var), log_prob(x_s, centre, var))
    density = (log_q_s + log_prob(x_t, (1 - beta) ** 0.5 * x_s, beta)).exp()
    return x_s, density / torch.trapezoid(density, x_s)


# %% tags=["figure"]
# draws a long step back and a short one, each with the Gaussian of the same mean and variance
fig, axes = figure(columns=2, width=9.6, height=3.6)
for ax, beta, limit in zip(axes, (0.7, 0.02), (2.7, 0.9)):
    x_s, shape = step_back(beta)
    mu = torch.trapezoid(x_s * shape, x_s)
    gaussian = log_prob(x_s, mu, torch.trapezoid((x_s - mu) ** 2 * shape, x_s)).exp()
    ax.fill_between(x_s, shape, color=BLUE, alpha=0.25)
    ax.plot(x_s, shape, color=BLUE, label="$q(x_s | x_t)$")
    ax.plot(x_s, gaussian, color=ORANGE, label="a Gaussian of its mean and variance")
    ax.set(xlabel="$x_s$", title=f"a {'long' if beta > 0.5 else 'short'} step, β = {beta}", yticks=[])
    ax.set(xlim=(0.3 - limit, 0.3 + limit), ylim=(0, 1.55 * shape.max()))
    ax.legend(loc="upper left")
show(
    fig,
    alt="Left: a blue curve with two peaks and an orange Gaussian that misses both. Right: a bell curve, and the "
    "Gaussian lies on top of it.",
)

# %% [markdown]
# **Figure 4.** Left: after a long step $x_t$ may have come from either of two places. No Gaussian can say "either of two";
# its top lies where hardly anybody came from. Right, enlarged three times: after a short step the two curves agree. So close
# to $x_t$ the law $q(x_s)$ is nearly a straight line on a logarithmic scale, and a Gaussian times that is a Gaussian.
#
# So here is the bargain of Ho et al.: take many small steps, and each of them is nearly a Gaussian, whose mean needs
# $\hat x_0$ and nothing else. (How wide it is, section 5 asks.) It answers the last question at the top: one small step earlier, $x_t=0$ was near 0, one bell.
# At the start it was near -1 or near +1, either of two.
#
# Do the misfits of a thousand steps pile up? They add up, but each shrinks faster than their number grows: once steps are short, one of
# a tenth the size misfits by a hundredth or less, so all of them together by a tenth or less. (Notebook 04 measures it.)
#
# Mind what this does not say. Where the data is not Gaussian, *Gaussian* steps need to be small; steps as such need not, and
# the theorem took four. The smooth line of Figure 1 needs no Gaussian. Notebook 08 takes ten large steps along it.
#
# ### Deeper: how fast the misfit falls
#
# We measure the misfit by a KL (notebook 01) from the step to its nearest Gaussian, which is the one of the same mean and
# variance. And we predict it. What a straight line leaves out first is a curvature of $\log q(x_s)$; that alone still
# gives a Gaussian. The third derivative is the first that does not: it makes the curve lopsided, and costs
#
# $$ \mathrm{KL} \;\approx\; \tfrac{1}{12}\, \beta^3 \left(\frac{d^3}{dx^3} \log q(x_s)\right)^{\!2} \quad\text{at } x_s = x_t $$
#
# for small β. Where does it come from? Lopsidedness is measured by the **skewness**, the average of $(x - \text{mean})^3$ over
# the cubed standard deviation. For small β that average is about $\beta^3$ times the derivative, and the standard
# deviation about $\sqrt\beta$, so the skewness is about $\beta^{3/2}$ times the derivative. And the KL from the nearest
# Gaussian is about skewness²/12. (Both facts we take on trust, and check the outcome.) For our peaks at $\pm m$ with
# variance $V$, a common factor out of the two exponentials leaves $e^{mx/V}+e^{-mx/V}$: so $\log q(x_s)$ is a parabola plus
# $\log\cosh(m\,x_s/V)$, whose third derivative is known.

# %% tags=["check"]
def misfit_of(beta):
    """KL from the step back to the Gaussian of its mean and variance, in nats."""
    x_s, shape = step_back(beta)
    mu = torch.trapezoid(x_s * shape, x_s)
    spread = torch.trapezoid((x_s - mu) ** 2 * shape, x_s)
    excess = shape * (shape.clamp(min=1e-300).log() - log_prob(x_s, mu, spread))
    return torch.trapezoid(torch.where(shape > 0, excess, 0.0), x_s).item()


steep = alpha_bar[270].sqrt().item() / (1 - 0.98 * alpha_bar[270].item())  # m / V
tanh = math.tanh(steep * 0.3)
third_derivative = steep**3 * -2 * tanh * (1 - tanh**2)
betas = [0.9, 0.7, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001]
misfit = [misfit_of(beta) for beta in betas]
predicted = [beta**3 * third_derivative**2 / 12 for beta in betas]
assert abs(misfit[-1] / predicted[-1] - 1) < 0.02
some = [f"{misfit[betas.index(beta)]:.1g}" for beta in (0.5, 0.05, 0.005)]
print("KL at β = 0.5, 0.05, 0.005:", some)

# %% tags=["figure"]
# draws the misfit against the size of the step
fig, ax = figure(width=7, height=3.2)
lines = [
    (betas, misfit, "data", "measured"),
    (betas, predicted, "exact", "predicted for small β"),
]
limits = {"xscale": "log", "yscale": "log", "ylim": (1e-8, 10)}
curves(ax, lines, "β", "KL from a Gaussian, nats", **limits)
show(
    fig,
    alt="On logarithmic axes, the misfit is flat for large beta, then falls along a straight line of slope three.",
)

# %% [markdown]
# **Figure D2.** As steps get short, the misfit falls like $\beta^3$: a step of a tenth the size comes to be a thousand times closer to a
# Gaussian. Ten times as many of them misfit together by a hundredth. That is with the right width; with the simpler one that
# most samplers take, and section 5 tries, it is a tenth.

# %% tags=["claim"]
# checks what the text says: it falls with β, at last with its cube
assert misfit == sorted(misfit, reverse=True)
assert 2.8 < math.log(misfit[-3] / misfit[-1]) / math.log(betas[-3] / betas[-1]) < 3.2

# %% [markdown]
# ## 5 · Walk
#
# **Ancestral sampling** draws each state from the one after it (Ho et al. 2020, algorithm 2); in code it is usually called
# `ddpm`. Start with pure noise $x_T$, and repeat: ask the denoiser, compute the mean, add a little noise.
#
# $$x_s=\tilde\mu\big(\hat x_0(x_t),x_t\big)+\sqrt{\mathrm{var}}\;\varepsilon,\qquad\text{and no noise in the last step, to }s=0\tag{9}$$
#
# Which variance? If we knew $x_0$ it would be $\tilde\beta$. We know only its average, so the truth is a little wider; for
# data of variance 1 it is at most $\beta$, on average. The package calls these two "small" and "large"; a number in between
# blends their logarithms.

# %% tags=["export:diffusion_lab.theory.posterior"]
def reverse_var(t, schedule, variance="small", s=None):
    """Variance of a reverse step: "small" is β tilde, "large" is β, a number w lies between."""
    w = weight_of(variance)
    beta_tilde = posterior_var(t, schedule, s)
    beta = 1 - at(schedule.alpha_bar, t) / at(schedule.alpha_bar, t - 1 if s is None else s)
    return beta**w * beta_tilde ** (1 - w)


# %% [markdown]
# One step with numbers, for our two peaks, from $t=600$ to $s=500$:

# %% tags=["check"]
x_t = torch.tensor([[0.30]], dtype=torch.float64)
x_0_hat = denoiser(x_t, 600)
mean = posterior_mean(x_0_hat, x_t, 600, schedule, s=500)
std = reverse_var(600, schedule, "small", s=500).sqrt()
eps = -1.1  # a draw of noise
print(f"we see {x_t.item():.2f}, the denoised mean is {x_0_hat.item():.2f}")
print(f"mean of the step: 0.33 · {x_0_hat.item():.2f} + 0.64 · 0.30 = {mean.item():.2f}, by (4)")
print(f"with fresh noise: {mean.item():.2f} + {std:.2f} · {eps} = {(mean + std * eps).item():.2f}")
assert torch.allclose(mean, 0.33 * x_0_hat + 0.64 * x_t, atol=0.005)

# %% [markdown]
# Which times? All thousand, or $n$ of them. The first must be $T$, where the noise is pure; the last step ends at 0.

# %% tags=["export:diffusion_lab.sampling.chain"]
def spaced(T, n):
    """n times from T down: round(T (n-k)/n), k = 0, …, n-1. The step after the last goes to 0."""
    return torch.tensor([round(T * (n - k) / n) for k in range(n)])


# %% [markdown]
# The sampler is a Python generator: a function with `yield`, which makes each `Step` when somebody asks for it, so that you
# can watch. (So a `torch.no_grad()`, for a network, must stand around the loop that asks.) `pairs` makes pairs $(t,s)$ of
# the times; `last` keeps the final state.

# %% tags=["export:diffusion_lab.sampling.ddpm"]
def ddpm(denoiser, x_T, timesteps=None, variance="small", label=None, generator=None):
    """Ancestral sampling, equation (9): yields each Step; the last one's x_s is the sample."""
    schedule = denoiser.schedule
    x_t = x_T
    for t, s in pairs(timesteps, schedule.T):
        std = reverse_var(t, schedule, variance, s).sqrt()
        x_0_hat = denoiser(x_t, t, label)
        mean = posterior_mean(x_0_hat, x_t, t, schedule, s)

        # The last step adds no noise: its mean is the sample.
        eps = noise_like(x_t, generator) if s > 0 else torch.zeros_like(x_t)
        x_s = (mean + std * eps).to(x_t.dtype)
        yield Step(t, s, x_t, x_0_hat, mean, x_s)
        x_t = x_s


# %% tags=["export:diffusion_lab.sampling.chain"]
def last(steps):
    """The sample: the state in which a sampler's last step ends."""
    for step in steps:
        x_s = step.x_s
    return x_s


# %% [markdown]
# The test: three clouds of unequal weight. From noise alone, the walk must find all three, with their weights and widths.

# %% tags=["check"]
data = GaussianMixture(
    [0.2, 0.3, 0.5], [[-1.5, -0.5], [0.0, 1.2], [1.2, -0.8]], [0.02, 0.05, 0.1]
)
x_T = torch.randn(4000, 2, generator=generator, dtype=torch.float64)
chain = list(ddpm(data.denoiser(schedule), x_T, generator=generator))
samples = {
    "10 steps": last(ddpm(data.denoiser(schedule), x_T, spaced(1000, 10), generator=generator)),
    "1000 steps": chain[-1].x_s,
    "the data": data.sample(4000, generator),
}
for name, x in samples.items():
    k = data.log_joint(x).argmax(dim=1)  # the cloud that each point most likely belongs to
    weight = k.bincount(minlength=3) / len(x)
    var = torch.stack([x[k == i].var(dim=0).mean() for i in range(3)])
    print(f"{name:10}  weights {weight.numpy().round(2)}  variances {var.numpy().round(2)}")
    assert name == "10 steps" or torch.allclose(weight.double(), data.weight, atol=0.03)
    assert name == "10 steps" or torch.allclose(var, data.var, rtol=0.12)

# %% tags=["figure"]
# draws what ten steps make, what a thousand make, and the data
panels = [(x, "data" if name == "the data" else "model", name) for name, x in samples.items()]
show(
    clouds(panels, size=3.2),
    alt="Three pictures of the same three clouds; those after 10 steps are smaller, with a few points between them, the "
    "other two look alike.",
)

# %% [markdown]
# **Figure 5.** Nothing was learned, and yet data came out of noise. After a thousand steps the points cannot be told from
# the data. After ten, a price is paid twice. The clouds are too narrow: $\tilde\beta$ is the width for somebody who knows
# $x_0$. And a few points are stuck between the clouds, for a single Gaussian cannot say "here or there".
#
# **Try it.** Watch it walk. Colour and shape show, on both sides, in which cloud a point will end; four draw a tail. When
# do the clouds part? Do points still change sides after that?

# %% tags=["figure"]
# draws the walk of the three clouds: the state with four tails, and the denoised mean
def walking(chain, every):
    """A frame for each of the chosen steps; 900 points, in three colours and shapes by their final cloud."""
    ends = data.log_joint(chain[-1].x_s[:900]).argmax(dim=1)
    looks = [(BLUE, "o"), (ORANGE, "^"), ("#CC79A7", "s")]
    fig, axes = figure(columns=2, width=8.0, height=4.4)
    moving = []
    for ax, title in zip(axes, ("the state $x_t$", r"the denoised mean $\hat x_0$")):
        ax.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal", xticks=[-2, 0, 2], yticks=[-2, 0, 2])
        ax.set_title(title, fontsize=16)
        ax.tick_params(labelsize=14)
        ax.grid(False)
        moving += [ax.scatter([], [], color=c, marker=m, s=13, alpha=0.6, linewidths=0) for c, m in looks]
    followed = [i for k in range(3) for i in (ends == k).nonzero()[: 1 + k // 2, 0].tolist()]
    white = [withStroke(linewidth=4, foreground="white")]
    tails = [axes[0].plot([], [], color=BLACK, linewidth=2, path_effects=white)[0] for _ in followed]
    heads = axes[0].plot([], [], "o", color=BLACK, markersize=8, linestyle="")
    paths = torch.stack([step.x_t[followed] for step in chain] + [chain[-1].x_s[followed]])

    def update(i):
        now = chain[i] if i < len(chain) else None
        x_t = now.x_t if now else chain[-1].x_s
        x_0_hat = now.x_0_hat if now else chain[-1].x_s
        for k in range(3):
            moving[k].set_offsets(x_t[:900][ends == k])
            moving[3 + k].set_offsets(x_0_hat[:900][ends == k])
        for j, tail in enumerate(tails):
            tail.set_data(*paths[max(0, i - 25) : i + 1, j].T.numpy())
        heads[0].set_data(*paths[i].T.numpy())

    return drawn(fig, [*moving, *tails, *heads], update, every)


every = [*range(0, 1000, 40), 980, 1000]
Scrubber(
    walking(chain, every),
    labels=[f"t = {1000 - i}" for i in every],
    caption="The walk back of three clouds: the state, with four tails, and the denoised mean. The slider moves t.",
    alt="Left a round cloud of mixed colours that sorts itself and splits into three; right a triangle of points that "
    "spread from its centre to its corners.",
)

# %% [markdown]
# At $t=1000$ the colours are mixed, and every $\hat x_0$ is at the centre of the data. Then the triangle opens: points run
# along its edges while they hesitate between two clouds, and rest in its corners long before the states part. In the last
# 200 steps hardly a point changes sides.

# %% tags=["claim"]
# checks what the text says: too narrow after ten steps; the centre at first; settled in the last 200 steps
ten = samples["10 steps"]
cloud = data.log_joint(ten).argmax(dim=1)
assert all(ten[cloud == i].var(dim=0).mean() < 0.8 * data.var[i] for i in range(3))
assert (chain[0].x_0_hat - data.weight @ data.mean).abs().max() < 0.01
side = data.marginal(200, schedule).log_joint(chain[800].x_t).argmax(dim=1)
assert (side == data.log_joint(chain[-1].x_s).argmax(dim=1)).double().mean() > 0.98

# %% [markdown]
# ### Deeper: which variance, beta or beta tilde?
#
# $\tilde\beta$ is right where $x_t$ leaves no doubt about $x_0$; at all times that holds only for data that is a single point.
# Where there is doubt, $\tilde\mu$ varies with $x_0$, which makes $q(x_s\mid x_t)$ wider, in proportion to the mean squared error of
# the guess $\hat x_0$:
#
# $$ \text{variance of } q(x_s\mid x_t), \text{ averaged over } x_t \;=\; \tilde\beta + (\beta-\tilde\beta)\,\frac{\mathbb E\,(x_0-\hat x_0)^2}{1-\bar\alpha_t} $$
#
# To see it, add the variance of $\tilde\mu$, which is the squared factor of $x_0$ in (4) times the error, and note that the factor squared is
# $\bar\alpha_s\beta^2/(1-\bar\alpha_t)^2 = (\beta-\tilde\beta)/(1-\bar\alpha_t)$. If the data is $\mathcal N(0, I)$, that error is $1-\bar\alpha_t$ in each
# coordinate, and the variance is β. For other data whose coordinates have variance at most 1 the error is no larger,
# since even the best guess linear in $x_t$ does as well. So the truth lies between the two. Ho et al., section 3.2, have
# them as bounds on the entropy, for variance 1; Nichol & Dhariwal (2021, eq. 15) blend the logarithms. For data $\mathcal N(0, v)$, `product` has the exact variance:

# %% tags=["check"]
for v, t, s in ((0.0, 500, 400), (0.3, 900, 400), (0.3, 300, 100), (1.0, 500, 400)):
    small = reverse_var(t, schedule, "small", s)
    large = reverse_var(t, schedule, "large", s)
    prior_var = alpha_bar[s] * v + 1 - alpha_bar[s]
    _, exact = product(0.0, prior_var, 0.0, (alpha_bar[s] - alpha_bar[t]) / alpha_bar[t])
    error = v / (alpha_bar[t] * v + 1 - alpha_bar[t])  # over 1 - ᾱ_t
    assert torch.allclose(exact, small + (large - small) * error, rtol=1e-9)
print("β tilde is exact for a point, β for data N(0, 1), and for N(0, 0.3) the truth lies between")

# %% [markdown]
# What does the choice do to the samples? For data $\mathcal N(0, v)$ in one dimension no random number is needed: by (8),
# $\hat x_0 = c\,x_t$ with $c = \sqrt{\bar\alpha_t}\,v/(\bar\alpha_t v + 1-\bar\alpha_t)$, so each step multiplies the variance by a known factor and adds a
# known amount.

# %%
def variance_of_samples(v, n, variance):
    """Exact variance of ddpm's samples for data N(0, v), cosine schedule, n steps."""
    V = 1.0
    for t, s in pairs(spaced(1000, n), 1000):
        c = alpha_bar[t].sqrt() * v / (alpha_bar[t] * v + 1 - alpha_bar[t])
        factor = posterior_mean(c[None], torch.ones_like(c[None]), t, schedule, s)[0]
        V = factor**2 * V + (reverse_var(t, schedule, variance, s) if s > 0 else 0.0)
    return V.item()


found = {}
print("variance of the samples over the data's: steps, with β tilde, with β")
for v in (1.0, 0.1, 0.001, 0.0001):
    for n in (10, 100, 1000):
        small = variance_of_samples(v, n, "small") / v
        large = variance_of_samples(v, n, "large") / v
        print(f"v = {v:6} {n:7} {small:8.2f} {large:8.2f}")
        found[v, n] = small, large

# %% [markdown]
# With a thousand steps the choice does not matter for the first two. With ten it does: $\tilde\beta$ makes the samples too
# narrow, because it acts as if $x_0$ were known, and β makes those of $v = 0.1$ too wide. Data that is very narrow, and no
# point, needs β even with a thousand steps; and at last β falls short, too, since the last step adds no noise. Notebook 04
# asks which of the two the bound prefers.

# %% tags=["claim"]
# checks what the text says about the two variances
for v in (1.0, 0.1):
    assert all(found[v, n][0] < found[v, n][1] for n in (10, 100, 1000))
    assert all(abs(ratio - 1) < 0.02 for ratio in found[v, 1000])
assert found[1.0, 10][0] < 0.8
assert found[0.1, 10][0] < 0.8 < 1.05 < found[0.1, 10][1]
assert found[0.001, 1000][0] < 0.9 < 0.99 < found[0.001, 1000][1]
assert max(found[0.0001, 1000]) < 0.9

# %% [markdown]
# ### Deeper: other spacings
#
# `spaced` begins at $T$. Other choices are in use: **leading** spacing takes 901, 801, …, 1 for ten steps of a
# thousand. But a state of time 901 still carries some signal, and the pure noise that you start with has none. So the
# denoiser is asked about states that it would never meet.

# %%
print("ten times:", spaced(1000, 10).tolist())
print("and if n does not divide T:", spaced(10, 4).tolist())
for t in (901, 1000):
    print(f"the signal's size at t = {t} is {alpha_bar[t].sqrt():.2f} of the original")

# %% tags=["claim"]
# checks what the text says: signal is left at 901, none at 1000
assert alpha_bar[901].sqrt() > 0.1
assert alpha_bar[1000].sqrt() < 0.001

# %% [markdown]
# ## 6 · The river, and where its end is decided
#
# Back to Figure 1. Six walkers start from the same noise, and so does the black line.
#
# **Try it.** Change the seed a few times and watch where the orange lines end. Then move the start by a hair around 0: who
# notices? Take 10 steps in place of 200: who suffers? Push the peaks apart: does the river fork earlier or later?

# %% tags=["figure"]
# draws the river, six jagged walks and a smooth one, for the start, the steps, the seed and the distance of the peaks
def density(data, times, x):
    """q(x_t) for each of the times, in columns."""
    return torch.stack([data.marginal(t, schedule).log_prob(x[:, None]).exp() for t in times], dim=1)


def track(steps):
    """The times and the states of a walk that starts from one or more numbers."""
    steps = list(steps)
    times = [step.t for step in steps] + [0]
    return times, torch.cat([step.x_t for step in steps] + [steps[-1].x_s], dim=1)


def river():
    """A picture for each choice of the sliders."""
    limit = 3.2
    x = torch.linspace(-limit, limit, 260, dtype=torch.float64)
    times = range(0, 1001, 5)
    maps = {}
    fig, axes = figure(columns=3, width=10, height=5.2, width_ratios=[1, 9, 1], sharey=True)
    bell = log_prob(x, 0.0, 1.0).exp()
    axes[2].fill_betweenx(x, 0, bell, color=GREY, alpha=0.35)
    axes[2].plot(bell, x, color=GREY)
    axes[2].set(title="noise", xlim=(0, 0.42))
    axes[0].set(title="data", ylabel="$x$", xlim=(1.5, 0))
    for ax in (axes[0], axes[2]):
        ax.set(xticks=[])
        ax.grid(False)
        ax.spines[:].set_visible(False)
        ax.tick_params(left=False)
    ax = axes[1]
    water = ax.imshow(torch.zeros(260, 201), origin="lower", extent=(0, 1000, -limit, limit), aspect="auto",
                      cmap=WATER, vmin=0, vmax=12)
    source = axes[0].plot(0 * x, x, color=BLUE, linewidth=2)
    ends = axes[0].plot([0.1], [0], "<", color=ORANGE, markersize=9, linestyle="", clip_on=False)
    faint = [ax.plot([], [], color="#e8a06a", linewidth=0.9)[0] for _ in range(5)]
    halo = [withStroke(linewidth=4.5, foreground="white")]
    thick = ax.plot([], [], color=ORANGE, linewidth=2, path_effects=halo)
    black = ax.plot([], [], color=BLACK, linewidth=2.6, path_effects=halo)
    dot = ax.plot([1000], [0], "o", color=BLACK, markersize=9, clip_on=False)
    ax.set(xlim=(0, 1000), ylim=(-limit, limit), xlabel="$t$")
    ax.grid(False)
    paint = painter(fig, [water, *source, *faint, *thick, *black, *ends, *dot])

    def draw(start, steps, seed, gap):
        walks = peaks(gap).denoiser(schedule)
        if gap not in maps:
            q = density(peaks(gap), times, x)
            maps[gap] = torch.bucketize(q, torch.tensor(levels[1:-1], dtype=torch.float64)), q[:, 0]
        water.set_data(maps[gap][0])
        source[0].set_xdata(maps[gap][1].numpy())
        x_T = torch.full((6, 1), start, dtype=torch.float64)
        fresh = torch.Generator().manual_seed(seed)
        t, paths = track(ddpm(walks, x_T, spaced(1000, steps), generator=fresh))
        for line, path in zip([*thick, *faint], paths):
            line.set_data(t, path.numpy())
        t, path = track(ddim(walks, x_T[:1], spaced(1000, steps)))
        black[0].set_data(t, path[0].numpy())
        ends[0].set_data([0.1] * 6, paths[:, -1].numpy())
        dot[0].set_data([1000], [start])
        return paint()

    return draw


Live(
    river(),
    caption="The river: six walks with fresh noise (orange) and one without (black), from the same start. The sliders move "
    "the start, the number of steps, the seed of the noise and the distance of the peaks from 0.",
    alt="A blue river with two arms on the left. From one black dot on the right six jagged orange lines lead back to both "
    "arms, and one smooth black line to the upper one.",
    start=widgets.FloatSlider(value=0.4, min=-2.5, max=2.5, step=0.05, description="start x_T", continuous_update=True),
    steps=widgets.SelectionSlider(value=200, options=[1, 2, 5, 10, 20, 50, 100, 200, 500, 1000], description="steps"),
    seed=widgets.IntSlider(value=1, min=0, max=30, description="seed"),
    gap=widgets.FloatSlider(value=1.0, min=0.25, max=2.0, step=0.25, description="peaks at ±"),
)

# %% [markdown]
# <details><summary>What did you see?</summary>
#
# Only the black line notices the hair. Ten steps hurt the orange lines more: their long steps are Gaussian. And peaks
# farther apart need more noise to run together, so on the way back the river forks earlier, at a larger $t$.
# </details>
#
# The black line goes to the side on which it started. When do the orange ones decide? Let 2,000 walk, and count at each time
# which share $p$ of them is on the side of its end. Half would be so by chance. If a share $d$ has decided and the others split
# evenly, then $p = d + (1-d)/2$; so $d = 2p-1$.
#
# No walk is needed to predict $p$. A walk back is distributed as a walk forward, up to the small misfits of its steps, so
# count forwards: data at $+1$, with noise
# of time $t$ on it, is still above 0 with probability $\Phi(\sqrt{\bar\alpha_t}/\text{its standard deviation})$. $\Phi(z)$ is
# the area under the standard normal bell left of $z$; PyTorch calls it `ndtr`.

# %% tags=["check"]
starts = torch.randn(2000, 1, generator=generator, dtype=torch.float64)
walks = list(ddpm(denoiser, starts, generator=generator))
end = walks[-1].x_s.sign()
kept = [(step.x_t.sign() == end).double().mean().item() for step in walks]

times = torch.arange(1000, 0, -1)
spread = (0.02 * alpha_bar[times] + 1 - alpha_bar[times]).sqrt()
predicted = torch.special.ndtr(alpha_bar[times].sqrt() / spread)
assert (torch.tensor(kept) - predicted).abs().max() < 4 * (0.25 / 2000) ** 0.5

smooth = list(ddim(denoiser, starts))
assert all((step.x_t.sign() == smooth[-1].x_s.sign()).all() for step in smooth)
for t in (1000, 800, 600, 400, 200):
    p = predicted[1000 - t]
    print(f"t = {t:4}: {p:4.0%} are on the side of their end, so {2 * p - 1:3.0%} are decided")
print("and of the smooth paths 100 %, at every time")

# %% tags=["figure"]
# draws how many walks are on the side of their end, against t
fig, ax = figure(width=9, height=3.8)
ax.plot(times, kept, color=ORANGE, linewidth=3, label="2,000 walks back, with fresh noise")
ax.plot(times, predicted, color=BLACK, linestyle="--", label="computed from the forward chain")
ax.axhline(1, color=BLACK, linewidth=2.4, label="the smooth path")
ax.axhline(0.5, color=GREY, linestyle=":", label="a coin")
ax.set(xlabel="$t$", ylabel="on the side of its end", xlim=(0, 1000), ylim=(0.45, 1.03))
ax.legend(loc="lower left")
show(
    fig,
    alt="An orange curve falls from 1 at t = 0 to one half at t = 1000; a black dashed curve lies on it. A solid black "
    "line stays at 1.",
)

# %% [markdown]
# **Figure 6.** When is the end of an orange walk decided? At no one moment: gradually, between $t=1000$ and 200. The start
# decides nothing for the orange walks, and everything for the smooth path. Both are right: from a cloud of noise, both make
# two peaks of equal weight. They differ in what *one* start may become.

# %% tags=["claim"]
# checks what the text says: both make two peaks of equal weight
for x in (walks[-1].x_s, smooth[-1].x_s):
    assert abs((x > 0).double().mean() - 0.5) < 4 * (0.25 / 2000) ** 0.5
    assert abs(x.abs().mean() - 1) < 0.02
chosen = predicted[:701:100]  # t = 1000, 900, …, 300
assert (chosen.diff() - chosen.diff().mean()).abs().max() < 0.02
assert predicted[800] > 0.99
assert predicted[0] < 0.501

# %% [markdown]
# From now on: `from diffusion_lab.sampling.ddpm import ddpm`, and so with all that was taught here.
#
# ## Exercises
#
# ### Exercise 1 (core): the way back in a house of three rooms
#
# The theorem needs no Gaussians. Somebody starts in room $i$ with probability `law[i]`, and walks from there to room $j$ with
# probability `forward[i, j]`. You find them in room $j$. Where did they start? Derive the table of the way back.

# %% tags=["exercise"]
def table_back(forward, law):
    """Entry [j, i]: the probability of having started in room i, if the walk ended in room j.

    forward: float64 (K, K), each row sums to 1. law: float64 (K,). Returns float64 (K, K).
    """
    raise NotImplementedError


# %% tags=["check"]
reverse_posterior.check_table_back(table_back)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# First the joint law: `joint[i, j] = law[i] * forward[i, j]`. Its columns belong to one $j$ each. What do they have to sum to?
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def table_back(forward, law):
#     joint = law[:, None] * forward
#     return (joint / joint.sum(dim=0)).T
# ```
# </details>

# %% [markdown]
# ### Exercise 2 (warm-up): denoise a Gaussian
#
# The data is $\mathcal N(m, v)$. What is the denoised mean of
# $x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\varepsilon$?

# %% tags=["exercise"]
def denoised_mean(x_t, alpha_bar_t, m, v):
    """E[x_0 given x_t] for data N(m, v).

    x_t: float64 (n,); the others floats. Returns float64 (n,).
    """
    raise NotImplementedError


# %% tags=["check"]
reverse_posterior.check_denoised_mean(denoised_mean)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# $y = x_t/\sqrt{\bar\alpha_t}$ is $x_0$ plus noise of variance $(1-\bar\alpha_t)/\bar\alpha_t$. Then `product`, or one component of (8).
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def denoised_mean(x_t, alpha_bar_t, m, v):
#     y = x_t / alpha_bar_t**0.5
#     noise_var = (1 - alpha_bar_t) / alpha_bar_t
#     gain = v / (v + noise_var)
#     return (1 - gain) * m + gain * y
# ```
# </details>

# %% [markdown]
# ### Exercise 3 (core): a draw in the place of the average
#
# An experiment. What if the sampler is answered not with the average of all $x_0$ that fit, but with *one* of them, drawn
# from $q(x_0\mid x_t)$, as by `one_that_fits`? Guess first: will the samples be noisier, the same, or better? Then measure the variance of 20,000 samples both ways, for $n=1$, 2, 5 and 50 steps.

# %%
def one_that_fits(mixture, x_t, t, schedule, generator=None):
    """One x_0 for each row of x_t, drawn from q(x_0 given x_t). x_t: float64 (n, d)."""
    y = x_t / schedule.alpha_bar[t].sqrt()
    noise_var = 1 / schedule.snr[t]
    r = torch.softmax(mixture.log_joint(y, noise_var), dim=1)
    k = torch.multinomial(r, 1, generator=generator)[:, 0]
    gain = (mixture.var / (mixture.var + noise_var))[k, None]
    mean = (1 - gain) * mixture.mean[k] + gain * y
    return mean + (gain * noise_var).sqrt() * noise_like(y, generator)


# %% tags=["exercise"]
def two_variances(mixture, n):
    """Variance of 20,000 samples of a mixture on the line: n steps of ddpm, variance "small".

    mixture: GaussianMixture with d = 1. The schedule is cosine().
    Returns two floats: with x_0_hat, the average; with one x_0 that fits.
    """
    raise NotImplementedError


# %% tags=["check"]
reverse_posterior.check_two_variances(two_variances)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# `Denoiser(lambda x_t, t, label: one_that_fits(mixture, x_t, t, schedule), schedule)` is a denoiser like any other, as far as
# `ddpm` can tell.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def two_variances(mixture, n):
#     schedule = cosine()
#     x_T = torch.randn(20_000, 1, dtype=torch.float64)
#     drawing = Denoiser(lambda x_t, t, label: one_that_fits(mixture, x_t, t, schedule), schedule)
#     found = []
#     for denoiser in (mixture.denoiser(schedule), drawing):
#         found.append(last(ddpm(denoiser, x_T, spaced(1000, n))).var().item())
#     return tuple(found)
# ```
#
# With the average, long steps make the samples too narrow: after one step they are all at the same point. With a draw the
# variance is that of the data for *every* $n$, even for one step, and so is the whole law. For drawing $x_0$ from
# $q(x_0\mid x_t)$, and then $x_s$ from $q(x_s\mid x_t, x_0)$, *is* drawing $x_s$ from $q(x_s\mid x_t)$; the theorem does the rest. Then
# why does nobody do it? Because nobody can. A network trained by regression gives the average. Who could draw from
# $q(x_0\mid x_T)$ would have a sample of the data already.
# </details>

# %% [markdown]
# ### Exercise 4 (hard): the whole sampler, and a wrong start
#
# A blank cell, and no import: ancestral sampling with the variance $\tilde\beta$. The noise is handed to you, `noise[i]` for
# the $i$-th step, so that your result can be compared to the last digit.
#
# When it is right, start it *wrong*, for our two peaks: from noise of variance 4. Guess first what comes out. And what would
# come out of the smooth path?

# %% tags=["exercise"]
def sampler(denoise, x_T, times, alpha_bar, noise):
    """The sample, float64 (n,), at which a walk from x_T through the times arrives.

    denoise: called as denoise(x_t, t), returns x_0_hat (n,). x_T: float64 (n,), at times[0].
    times: list of ints, falling; the last step goes from times[-1] to 0.
    alpha_bar: float64 (T+1,), alpha_bar[0] = 1. noise: float64 (len(times), n), standard normal.
    """
    raise NotImplementedError


# %% tags=["check"]
reverse_posterior.check_sampler(sampler)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# The pairs $(t, s)$ are `zip(times, times[1:] + [0])`. In each: $\hat x_0$, then (4) with $\alpha = \bar\alpha_t/\bar\alpha_s$, then (5),
# then (9). What is $\tilde\beta$ for $s = 0$?
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def sampler(denoise, x_T, times, alpha_bar, noise):
#     x_t = x_T
#     for i, (t, s) in enumerate(zip(times, times[1:] + [0])):
#         x_0_hat = denoise(x_t, t)
#         alpha = alpha_bar[t] / alpha_bar[s]
#         of_x_0 = alpha_bar[s].sqrt() * (1 - alpha) / (1 - alpha_bar[t])
#         of_x_t = alpha.sqrt() * (1 - alpha_bar[s]) / (1 - alpha_bar[t])
#         var = (1 - alpha_bar[s]) / (1 - alpha_bar[t]) * (1 - alpha)
#         x_t = of_x_0 * x_0_hat + of_x_t * x_t + var.sqrt() * noise[i]
#     return x_t
# ```
#
# The wrong start does no harm: the two peaks come out, where and as wide as they should be. The first step back multiplies
# $x_T$ by a factor below 0.04, and all else in it is fresh noise of the right size. The smooth path draws nothing, so it
# carries the error to the end: there the average distance from 0 is 1.15 in place of 1. (Try it with
# `diffusion_lab.sampling.ddim`.) Fresh noise forgives; a path without randomness forgives nothing.
# </details>

# %% tags=["claim"]
# checks what the text says: after a wrong start the walk ends in the data, and the smooth path does not
fresh = torch.Generator().manual_seed(0)
wide = 2 * torch.randn(5000, 1, generator=fresh, dtype=torch.float64)
x = last(ddpm(denoiser, wide, generator=fresh))
assert abs(x.abs().mean() - 1) < 0.02
assert abs(x.abs().std() - 0.02**0.5) < 0.02
assert abs(last(ddim(denoiser, wide)).abs().mean() - 1.15) < 0.01
assert posterior_mean(0 * wide[:1], 1 + 0 * wide[:1], 1000, schedule) < 0.04

# %% [markdown]
# ### Exercise 5 (core): find two faults
#
# This step holds two bugs. One of them stood for months in a library that thousands use. With a thousand steps the samples
# look fine, only rather alike. With a hundred they are all grey. Write the step as it should be.

# %%
def faulty_step(x_t, x_0_hat, t, s, alpha_bar, eps):
    """From t back to s, with the variance β tilde."""
    alpha = alpha_bar[t] / alpha_bar[t - 1]
    beta = 1 - alpha
    of_x_0 = alpha_bar[s].sqrt() * beta / (1 - alpha_bar[t])
    of_x_t = alpha.sqrt() * (1 - alpha_bar[s]) / (1 - alpha_bar[t])
    beta_tilde = (1 - alpha_bar[s]) / (1 - alpha_bar[t]) * beta
    return of_x_0 * x_0_hat + of_x_t * x_t + beta_tilde * eps


# %% tags=["claim"]
# checks what the text says: alike after a thousand steps, all grey after a hundred
for n, size, spread in ((1000, 0.94, 0.03), (100, 0.0, 0.03)):
    fresh = torch.Generator().manual_seed(0)
    faulty = torch.randn(500, 1, generator=fresh, dtype=torch.float64)
    for t, s in pairs(spaced(1000, n), 1000):
        eps = noise_like(faulty, fresh)
        faulty = faulty_step(faulty, denoiser(faulty, t), t, s, alpha_bar, eps)
    assert abs(faulty.abs().mean() - size) < 0.03
    assert faulty[faulty > 0].std() < spread

# %% tags=["exercise"]
def repaired_step(x_t, x_0_hat, t, s, alpha_bar, eps):
    """From t back to s, with the variance β tilde.

    x_t, x_0_hat, eps: float64 (n,). t, s: ints, s < t. alpha_bar: float64 (T+1,).
    """
    raise NotImplementedError


# %% tags=["check"]
reverse_posterior.check_repaired_step(repaired_step)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# One fault cannot be seen while $s = t-1$. The other mixes up a variance and its root.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def repaired_step(x_t, x_0_hat, t, s, alpha_bar, eps):
#     alpha = alpha_bar[t] / alpha_bar[s]
#     beta = 1 - alpha
#     of_x_0 = alpha_bar[s].sqrt() * beta / (1 - alpha_bar[t])
#     of_x_t = alpha.sqrt() * (1 - alpha_bar[s]) / (1 - alpha_bar[t])
#     beta_tilde = (1 - alpha_bar[s]) / (1 - alpha_bar[t]) * beta
#     return of_x_0 * x_0_hat + of_x_t * x_t + beta_tilde.sqrt() * eps
# ```
#
# The first fault is the one that shipped: `diffusers` took $t-1$ for the end of every step until early 2023
# ([pull request 2076](https://github.com/huggingface/diffusers/pull/2076)). The second is easily made.
# </details>

# %% [markdown]
# ### Exercise 6 (core): which are true?
#
# "Our model draws in ten Gaussian steps with $\tilde\beta$. Its samples are a little too narrow, and a few lie between the
# clouds of the data. With a thousand steps neither happens." Which sentences are true?

# %% tags=["exercise"]
def what_follows():
    """The letters of the sentences that are true, as a set such as {"A", "B"}.

    A  The denoiser is badly trained: its x_0_hat is blurred.
    B  A long step can end in either of two places, and a Gaussian puts samples between them.
    C  β tilde acts as if x_0 were known; in long steps the missing spread makes samples too narrow.
    D  Ten steps start from noise of another law than a thousand do.
    E  With β in place of β tilde, both errors would go away.
    F  With one draw from q(x_0 given x_t) in place of x_0_hat, both errors would go away.
    """
    raise NotImplementedError


# %% tags=["check"]
reverse_posterior.check_what_follows(what_follows)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# The same model works with a thousand steps. What has changed, and what has not? Figure 5 shows both errors, with an exact
# denoiser.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def what_follows():
#     return {"B", "C", "F"}
# ```
#
# F is exercise 3. A and D cannot be: denoiser and start are the same for both. And E is half a cure for some data, a
# wrong one for other (see "which variance?"), and never moves the points that lie between.
# </details>

# %% [markdown]
# ## A common mistake
#
# Adding noise in the last step, too. With $\tilde\beta$ the formula forbids it: $\tilde\beta=0$ when $s=0$. With β it does not,
# and code without the `if s > 0` leaves grain on every sample.

# %% tags=["check"]
noise = torch.randn(5, 1, 28, 28, generator=generator)
ten_steps = ddpm(finite, noise, spaced(1000, 10), "large", generator=generator)
*_, end = ten_steps
std_of_last_step = reverse_var(end.t, schedule, "large", end.s).sqrt()
grainy = end.mean + std_of_last_step * noise_like(noise, generator)
for name, x in (("fixed", end.x_s), ("with noise in the last step", grainy)):
    distance = torch.cdist(x.flatten(1), images.flatten(1)).min(dim=1).values.mean()
    print(f"{name:28} distance to the nearest digit {distance:.1f}")
assert abs(distance - 28 * std_of_last_step) < 0.15

# %% tags=["figure"]
# draws the digits without and with noise in the last step
show(
    gallery({"fixed": end.x_s / 1.5, "with noise": grainy / 1.5}, size=1.1),  # so that grain below black is seen, too
    alt="Two rows of the same five digits: clean above, covered with grain below.",
)

# %% [markdown]
# **Figure 7.** Above: no noise in the last step. Below: with noise. (Black is shown as dark grey.) *The symptom*: even grain, equally strong in every
# sample, that goes away when you show $\hat x_0$ instead.
#
# ## Summary
#
# - Draw $x_s$ from $q(x_s\mid x_t)$, and the law of $x_t$ becomes the law of $x_s$. Step by step, noise becomes data.
# - With $x_0$ known, the step back is a product of two Gaussians: mean $\tilde\mu$, variance $\tilde\beta$.
# - $x_0$ enters $\tilde\mu$ only linearly. So the step needs only $\hat x_0$, the average of all clean data that fits $x_t$.
# - Given $x_t$ alone, a short step is nearly a Gaussian, of nearly the width $\tilde\beta$. That is why such steps are many.
# - A walk with fresh noise forgets its start; the smooth path never does. Both end in the data.
#
# ## Check yourself
#
# <details><summary>Explain to a friend why walking back works.</summary>
#
# If $x_t$ has its right law, and I draw $x_s$ from those that it may have come from, each with its right probability, then
# $x_s$ has its right law. Noise has the right law; I repeat until $x_0$.
# </details>
#
# <details><summary>Why can the sampler not jump to $\hat x_0$ at once?</summary>
#
# It is an average over all data that fits. From pure noise everything fits: a grey blot.
# </details>
#
# <details><summary>Which part of the sampler must be learned for real data?</summary>
#
# $\hat x_0$ only. The schedule, $\tilde\mu$, $\tilde\beta$ and the loop stay as they are.
# </details>
#
# ## Further reading
#
# - Ho, Jain & Abbeel (2020): eqs. 6 and 7 are our (4) and (5), algorithm 2 is (9); section 3.2 is on the two variances.
# - Sohl-Dickstein et al. (2015), section 2.2: small steps back have the form of steps forward, after Feller (1949).
# - Bao et al. (2022), *Analytic-DPM*: the best variance of each step, from the error of $\hat x_0$.
# - Prince (2023), *Understanding Deep Learning*, chapter 18: the same kernels drawn in one dimension.
#
# ## Next
#
# Notebook 04 asks how good such a model is, in bits.
