# %% [markdown]
# # Turn data into noise, one step at a time
#
# This is the **forward process** of a diffusion model: it takes data and adds noise until nothing of the data is left.
# It is fixed; nothing in it is learned. The learned part, the way back, starts in notebook 03 and needs every formula
# that you meet here.
#
# You will be able to
#
# - **take** one forward step so that the overall variance stays put,
# - **jump** to any time in one go, and prove that the jump equals all the single steps,
# - **choose** a schedule of noise, and read its signal-to-noise ratio,
# - **measure**, in nats, whether the end of the chain really is noise.
#
# **You need** notebook 01: affine maps, sums of Gaussians, KL. **Time to read** 60 minutes · **to run** 15 seconds.
# **Paper sections**: Ho et al. 2020, section 2 (eqs. 2 and 4) and section 4; Nichol & Dhariwal 2021, section 3.2.
#
# ## Set-up
#
# One cell. Everything imported here is either plumbing (pictures, data, checks) or was taught in notebook 01, with one
# exception: `GaussianMixture(weights, means, variances)`, a density that is a sum of Gaussian peaks, arrives in notebook
# 03. We borrow it early; its `.marginal(t, schedule)` is the density $q(x_t)$ of this notebook, when the data have that density.

# %%
import ipywidgets as widgets
import torch

from diffusion_lab.data.digits import load_digits
from diffusion_lab.data.toy import two_moons
from diffusion_lab.exercises.forward_markov_chain import (
    check_betas,
    check_first_time,
    check_forward_step,
    check_jump_between,
)
from diffusion_lab.theory.gaussian import kl, log_prob
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.schedule import at
from diffusion_lab.view.frames import beside, drawn, painter, with_marker
from diffusion_lab.view.live import Live
from diffusion_lab.view.plots import clouds, curves, gallery
from diffusion_lab.view.scrubber import Scrubber
from diffusion_lab.view.show import show
from diffusion_lab.view.style import POINTS, figure

generator = torch.Generator().manual_seed(0)


def normal(*shape):
    """Standard normal draws, float64."""
    return torch.randn(*shape, generator=generator, dtype=torch.float64)

# %%
digit = load_digits("test")[0][7:8].double()
eps_digit = normal(1, 1, 28, 28)

# %% tags=["figure"]
shares = [1.0, 0.9, 0.7, 0.5, 0.3, 0.1, 0.0]
row = [share**0.5 * digit + (1 - share) ** 0.5 * eps_digit for share in shares]
show(gallery({"": torch.cat(row)}, [f"{share:.0%}" for share in shares], size=1.1),
     alt="Seven pictures of the digit 0, from clean on the left to pure grey noise on the right.")

# %% [markdown]
# **Figure 1.** What is coming: a digit gives way to noise. Beneath each picture stands how much of the signal's variance is
# left; noise fills the rest.
#
# ## Predict first
#
# A chain of 1,000 steps (of the cosine kind, section 2) turns a handwritten digit into noise. After which step would
# you no longer recognise it: 100, 300, 600, 900? Write your guess down; a slider further below has the answer.
#
# ## 1 · One step
#
# Take five numbers, as the article does from which this course grew: $x = [0.12, -0.34, 0.89, -0.76, 0.45]$. To make
# them noisier, the article adds a draw of `normal(0, noise_level)` to each, and calls that the diffusion process. Here
# is one such step, with a deviation of 0.1, and then a thousand of them on 2,000 copies, to watch the size of the
# numbers.

# %%
x_0 = torch.tensor([0.12, -0.34, 0.89, -0.76, 0.45], dtype=torch.float64)
eps = normal(5)
print("one step of adding:", (x_0 + 0.1 * eps).numpy().round(3))

x = x_0.expand(2000, 5)
for _ in range(1000):
    x = x + 0.1 * normal(2000, 5)
print(f"after 1000 steps:   variance {x.var():.0f}")

# %% [markdown]
# One step looks harmless. But each adds 0.01 to the variance, so a thousand add 10, and so on without end. The numbers
# run away, and where they end depends on how many steps you took. The mend is to shrink the numbers before adding noise:
#
# $$ x_t = \sqrt{1-\beta_t}\; x_{t-1} + \sqrt{\beta_t}\;\varepsilon_t, \qquad \varepsilon_t \sim \mathcal N(0, I) \tag{1} $$
#
# Here $t$ counts the steps, $x_0$ is the data, and $\beta_t$, a small number between 0 and 1, is the *variance* of the
# noise added at step $t$. (Ho et al. 2020 write the same as a density, their eq. 2:
# $q(x_t \mid x_{t-1}) = \mathcal N(x_t; \sqrt{1-\beta_t}\,x_{t-1}, \beta_t I)$. The letter $q$ stands for what is
# fixed.) Why these two roots? If $x_{t-1}$ has variance 1, then by the rules of notebook 01 $x_t$ has variance
# $(1-\beta_t)\cdot 1 + \beta_t = 1$. The step is **variance preserving**. Below, $\beta = 0.01$, so that the noise has the
# same deviation 0.1 as before; the first line even uses the same five draws. The two `assert` lines are the check: over
# 10,000 numbers, the mean must be 0 and the variance 1 to within four standard errors.

# %% tags=["check"]
x_1 = (1 - 0.01) ** 0.5 * x_0 + 0.01**0.5 * eps
print("one step of shrinking and adding:", x_1.numpy().round(3))

x = x_0.expand(2000, 5)
for _ in range(1000):
    x = (1 - 0.01) ** 0.5 * x + 0.01**0.5 * normal(2000, 5)
print(f"after 1000 steps:                 mean {abs(x.mean()):.1f}, variance {x.var():.1f}")
assert abs(x.mean()) < 4 * (1 / x.numel()) ** 0.5
assert abs(x.var() - 1) < 4 * (2 / x.numel()) ** 0.5

# %% [markdown]
# After one step the two recipes differ by less than 0.005. After a thousand, the right one ends at $\mathcal N(0, 1)$,
# whatever the five numbers were. That is what a model needs: to generate, it starts from the end of the chain, so the
# end must be known.
#
# Adding without shrinking is a legitimate process as well, the **variance-exploding** chain of Song et al. (2021), on
# which Karras et al. (2022) build. But then $x_T$ is close to $\mathcal N(0, \sigma_{\max}^2 I)$, where
# $\sigma_{\max}^2$ is all the variance that was added (10 above). One must start from that, and the network's input is
# usually rescaled at each time. The article does neither.
#
# Three words that you will meet. A **process** is a sequence of random states, here $x_0, x_1, \dots, x_T$. It is
# **Markov** if each state is drawn by looking at the one before it and at nothing older: in the loop above, the line
# that makes the next `x` reads only the present `x`. Such a process is called a **Markov chain**, since each link holds on
# to its neighbour alone. The density of the whole chain is then a product with one factor for each step,
# $q(x_1, \dots, x_T \mid x_0) = q(x_1 \mid x_0)\, q(x_2 \mid x_1) \cdots q(x_T \mid x_{T-1})$, and a thousand
# steps are described by a thousand numbers $\beta_1, \dots, \beta_T$.
#
# ### One step, seen as a density
#
# What does a step do to a whole distribution? The article adds a "mean function" and a "variance function", gets the
# "density" $p(x_2 \mid x_1) = 3x_2 + 1.5$, and finds $p(0.5) = 1/3$. You know from notebook 01 what a density must do:
# be nowhere negative, and have area 1. Two tests are enough.

# %%
grid = torch.linspace(-8, 8, 1601, dtype=torch.float64)
article = 3 * grid + 1.5
print(f"at 0.5: {3 * 0.5 + 1.5}; smallest value: {article.min():.1f}")
middle = slice(400, 1201)  # the part of the grid from -4 to 4
print(f"area over -8…8: {torch.trapezoid(article, grid):.0f}; "
      f"over -4…4: {torch.trapezoid(article[middle], grid[middle]):.0f}")

# %% tags=["claim"]
assert article.min() < 0

# %% [markdown]
# It takes negative values, its area depends on where you stop, and at 0.5 it is 3, not 1/3. It is no density. (A mean
# and a variance are two *settings* of a density; their sum is not a density.) The right way: every starting point $u$
# sends out a little Gaussian, called the **kernel** of the step, weighted by how likely $u$ is.
#
# $$ q(x_t) = \int q(x_{t-1}{=}u)\; \mathcal N\big(x_t;\, \sqrt{1-\beta_t}\,u,\, \beta_t\big)\, du \tag{2} $$
#
# We do the integral on a grid, for a curve with two peaks and one large step, and test the result three times: its area,
# its sign, and against the rule for Gaussians. By that rule each peak, on its own, has its mean multiplied by
# $\sqrt{1-\beta}$ and its variance $v$ turned into $(1-\beta)\,v + \beta$.

# %%
start = GaussianMixture([0.3, 0.7], [[-1.5], [1.0]], [0.05, 0.05])
q_before = start.log_prob(grid[:, None]).exp()
kernel = log_prob(grid[:, None], (1 - 0.3) ** 0.5 * grid[None, :], 0.3).exp()
q_after = torch.trapezoid(kernel * q_before, grid, dim=1)

# %% tags=["check"]
by_rule = GaussianMixture(start.weight, 0.7**0.5 * start.mean, 0.7 * start.var + 0.3)
assert abs(torch.trapezoid(q_after, grid) - 1) < 1e-9
assert q_after.min() >= 0
assert torch.allclose(q_after, by_rule.log_prob(grid[:, None]).exp(), rtol=0, atol=1e-12)
print("area 1, nowhere negative, and equal to the closed form")

# %% tags=["figure"]
fig, ax = figure(width=7, height=2.8)
lines = [(grid, q_before, "data", "before the step"),
         (grid, q_after, "noise", "after a step with β = 0.3")]
curves(ax, lines, "x", "density", xlim=(-4, 4))
show(fig, alt="A curve with two sharp peaks, and a second curve with two low broad ones, "
              "moved towards the middle.")

# %% [markdown]
# **Figure 2.** One large step. Both peaks move towards 0 (the signal shrinks) and get wider (noise is added). The area
# is still 1 and nothing is negative, as the cell above asserts.
#
# ## 2 · The schedule: how much noise at which time
#
# The table of all $\beta_t$ is the **schedule**. Two more tables follow from it:
#
# $$ \alpha_t = 1-\beta_t, \qquad \bar\alpha_t = \alpha_1\,\alpha_2 \cdots \alpha_t \tag{3} $$
#
# $\alpha_t$ is the share of the signal's variance that survives step $t$, and $\bar\alpha_t$ ("alpha bar") is the share
# that survives all steps up to $t$. If the data has variance 1, so has $x_t$; what is not signal is noise, and has the
# variance $1-\bar\alpha_t$ (section 3 proves it). The ratio of the two variances is the **signal-to-noise ratio**:
#
# $$ \mathrm{SNR}_t = \frac{\bar\alpha_t}{1-\bar\alpha_t} \tag{4} $$
#
# Times are the paper's: $t = 1 \dots T$, and $t = 0$ is the data. So the tables have $T+1$ entries, with
# $\beta_0 = 0$, $\bar\alpha_0 = 1$ and infinite SNR at time 0. (The table is copied, so that
# nobody can change it from outside.)

# %% tags=["export:diffusion_lab.theory.schedule"]
class Schedule:
    """The tables of one forward chain: float64, shape (T+1,), index t = 0…T."""

    def __init__(self, beta):
        beta = torch.as_tensor(beta, dtype=torch.float64)
        self.T = len(beta) - 1
        self.beta = beta.clone()
        self.alpha = 1 - self.beta
        self.alpha_bar = torch.cumprod(self.alpha, dim=0)
        self.snr = self.alpha_bar / (1 - self.alpha_bar)
        self.log_snr = torch.log(self.snr)

# %% [markdown]
# Two schedules are in wide use. Ho et al. let $\beta_t$ rise in a straight line from 0.0001 to 0.02 over 1,000 steps.
# Nichol & Dhariwal found that this destroys small images too early, and chose $\bar\alpha_t$ itself, as a squared
# cosine (their eq. 17, with $s = 0.008$); $\beta_t$ follows from the ratio of neighbours.

# %% tags=["export:diffusion_lab.theory.schedule"]
def linear(T=1000):
    """β_t in a straight line from 1e-4 to 0.02, times 1000/T; at most 0.999."""
    beta = torch.linspace(1e-4, 0.02, T, dtype=torch.float64) * 1000 / T
    return Schedule(torch.cat([torch.zeros(1), beta.clamp(max=0.999)]))


def cosine(T=1000):
    """ᾱ_t ∝ cos²(a_t) with a_t = (t/T + s)/(1 + s) · π/2 and s = 0.008; β_t at most 0.999."""
    a = (torch.arange(T + 1, dtype=torch.float64) / T + 0.008) / 1.008 * torch.pi / 2
    beta = 1 - torch.cos(a[1:]) ** 2 / torch.cos(a[:-1]) ** 2
    return Schedule(torch.cat([torch.zeros(1), beta.clamp(max=0.999)]))


# %% [markdown]
# The factor $1000/T$ keeps the total amount of noise when you take fewer, larger steps; section 4 shows what happens
# without it. The limit 0.999 matters at the very end of the cosine: there $\bar\alpha_T$ would be 0 and $\beta_T$ would
# be 1, a last step that erases everything and through which no formula can walk back. (With 20 steps or fewer the
# straight line, too, would rise above 0.999.)
#
# Two checks. The first: the cosine's $\bar\alpha_t$, multiplied up from its $\beta_t$, must be the cosine again. The
# second shows why the tables are in double precision. Single precision keeps some seven digits of 0.9999. In $1 -
# 0.9999$ the first four of them cancel, so only three or four digits of the difference are right: $1-\bar\alpha_1$
# comes out wrong by two parts in ten thousand.

# %% tags=["check"]
t = torch.arange(1000, dtype=torch.float64)
a_t = (t / 1000 + 0.008) / 1.008 * torch.pi / 2
squared_cosine = torch.cos(a_t) ** 2 / torch.cos(a_t[0]) ** 2
assert torch.allclose(cosine().alpha_bar[:1000], squared_cosine, rtol=1e-11, atol=0)

# %%
in_single = 1 - (1 - linear().beta.float()).cumprod(0)[1].item()
print(f"1 - ᾱ_1: exactly 0.0001, in single precision {in_single:.8f}")

# %% tags=["claim"]
assert 1e-4 < abs(in_single / 1e-4 - 1) < 3e-4

# %%
for name, s in {"linear": linear(), "cosine": cosine()}.items():
    half = int((s.alpha_bar < 0.5).nonzero()[0])
    print(f"{name}: more noise than signal from t = {half}; "
          f"left at t = 667: {s.alpha_bar[667]:.3f}")

# %% tags=["figure"]
fig, (left, right) = figure(columns=2, width=8, height=3)
times = torch.arange(1001)
both = [("linear", linear(), "noise"), ("cosine", cosine(), "data")]
curves(left, [(times, s.alpha_bar, role, name) for name, s, role in both],
       "t", "$\\bar\\alpha_t$: what is left of the signal")
curves(right, [(times[1:], s.log_snr[1:], role, name) for name, s, role in both],
       "t", "$\\log\\,\\mathrm{SNR}_t$")
right.axhline(0, color="#bbbbbb", linewidth=1)
show(fig, alt="Left: alpha bar falls from 1 to 0, for linear early, for cosine evenly. "
              "Right: log SNR falls from 9 to -10, "
              "for cosine from 10 to -20 with a plunge at the end.")

# %% [markdown]
# **Figure 3.** Left: with the linear schedule, half of the signal's variance is gone at $t = 260$, and the last third of
# the chain has one percent left to destroy. The cosine spreads the work. Right: the (natural) logarithm of the SNR; at
# the grey line, signal and noise are equally strong. The plunge at the end of the cosine, from -5 to -20, is made by its last
# fifty steps; the very last, with $\beta = 0.999$, makes nearly half of it.

# %% tags=["claim"]
assert linear().alpha_bar[667] < 0.02 < 0.2 < cosine().alpha_bar[667]
before, last_but_one, end = cosine().log_snr[[950, 999, 1000]]
assert 0.4 < (last_but_one - end) / (before - end) < 0.5  # the last step's part of the plunge

# %% [markdown]
# **Try it.** Choose a schedule and a number of steps $T$. How many steps can you take away before the curve changes its
# shape? And what happens to its first point?

# %% tags=["figure"]
def snr_picture():
    """A function that draws log SNR over the chain, for a schedule's name and T."""
    fig, ax = figure(width=7, height=3)
    curves(ax, [([], [], "data", None)], "t / T", "log SNR", " ", ylim=(-40, 11), xlim=(0, 1.02))
    paint = painter(fig, [*ax.lines, ax.title])

    def draw(schedule, T):
        s, role = {"linear": (linear(T), "noise"), "cosine": (cosine(T), "data")}[schedule]
        share = torch.arange(1, T + 1) / T
        ax.lines[0].set_data(share.numpy(), s.log_snr[1:].numpy())  # faster than tensors
        ax.lines[0].set(marker="." if T <= 50 else "", color=POINTS[role]["color"])
        ax.title.set_text(f"{schedule}, T = {T}: $\\bar\\alpha_T$ = {s.alpha_bar[-1]:.1e}, "
                          f"largest β = {s.beta.max():.3f}")
        return paint()

    return draw


Live(
    snr_picture(),
    schedule=widgets.Dropdown(options=["linear", "cosine"], value="cosine", description="schedule"),
    T=widgets.SelectionSlider(options=[5, 10, 20, 50, 100, 200, 500, 1000], value=1000,
                              description="T"),
    caption="Log signal-to-noise ratio over the chain. Every dot is one step where there are few.",
    alt="A falling curve: the logarithm of the signal-to-noise ratio against t/T.",
)

# %% [markdown]
# What to have seen: down to about 50 steps the curve nearly keeps its shape over $t/T$. What moves is the start (the
# first of few steps is a large one, so the curve begins lower) and the end: the linear curve ($T = 50$) ends 1.7 lower,
# and the cosine's plunge is shorter. With 20 steps the straight line breaks at its end, where $\beta$ reaches the limit
# 0.999. With 10 or fewer, half of its $\beta$ or more sit at that limit, and from the middle on the curve falls off a
# cliff (the picture leaves space for it below). The cosine still holds. The next cell puts numbers to that.

# %%
for T in (1000, 50, 20, 10):
    late = 6 * T // 10
    print(f"T = {T:4}, log SNR at t/T = 0.6: linear {linear(T).log_snr[late]:5.1f}, "
          f"cosine {cosine(T).log_snr[late]:.1f}")

# %% tags=["claim"]
low, lower, lowest = (linear(T).log_snr[-1] for T in (1000, 50, 20))
assert 1.6 < low - lower < 1.7 < 13 < low - lowest
assert [int((linear(T).beta == 0.999).sum()) for T in (50, 20, 10, 5)] == [0, 1, 5, 4]
assert abs(linear(50).log_snr[30] - linear().log_snr[600]) < 0.3
assert abs(linear(10).log_snr[6] - linear().log_snr[600]) > 7
assert abs(cosine(10).log_snr[6] - cosine().log_snr[600]) < 1e-9

# %% [markdown]
# ## 3 · The jump
#
# To train a network we need $x_t$ for random $t$, for tens of thousands of images, over and over. Walking there step by
# step would be hundreds of times too slow. There is a short cut, and the whole course uses it (Ho et al. 2020, eq. 4):
#
# $$ x_t = \sqrt{\bar\alpha_t}\; x_0 + \sqrt{1-\bar\alpha_t}\;\varepsilon, \qquad \varepsilon\sim\mathcal N(0, I) \tag{5} $$
#
# As a density, $q(x_t \mid x_0) = \mathcal N(x_t;\, \sqrt{\bar\alpha_t}\,x_0,\, (1-\bar\alpha_t) I)$. One draw of
# $\varepsilon$ stands for all $t$ draws of the single steps, for any *one* time $t$. Two jumps to different times with the
# same $\varepsilon$ are no path of the chain: between the two times the chain adds fresh noise.
#
# **Proof**, by induction. For $t = 1$, equation (5) is equation (1), since $\bar\alpha_1 = \alpha_1 = 1-\beta_1$.
# Suppose that it holds at $t-1$, with some noise $\varepsilon'$. Take one more step, equation (1):
#
# $$ x_t = \sqrt{\alpha_t}\,\big(\sqrt{\bar\alpha_{t-1}}\,x_0 + \sqrt{1-\bar\alpha_{t-1}}\,\varepsilon'\big) + \sqrt{1-\alpha_t}\;\varepsilon_t $$
#
# Multiply out. The first product is $\sqrt{\alpha_t\bar\alpha_{t-1}}\,x_0 = \sqrt{\bar\alpha_t}\,x_0$, by (3):
#
# $$ x_t = \sqrt{\bar\alpha_t}\,x_0 + \underbrace{\sqrt{\alpha_t(1-\bar\alpha_{t-1})}\;\varepsilon' + \sqrt{1-\alpha_t}\;\varepsilon_t}_{\text{two independent Gaussians}} $$
#
# They are independent because the new step draws its $\varepsilon_t$ afresh. So they add up to one Gaussian whose
# variance is the sum of theirs (notebook 01, eq. 3):
#
# $$ \alpha_t(1-\bar\alpha_{t-1}) + (1-\alpha_t) \;=\; \alpha_t - \bar\alpha_t + 1 - \alpha_t \;=\; 1-\bar\alpha_t $$
#
# That is (5) at $t$. It holds at 1, and each time hands it to the next, so it holds at all. ∎
#
# Both formulas in code. `at(table, t, like)` looks up `table[t]` and shapes it to fit the data: with one $t$ for each
# image, it returns shape $(n, 1, 1, 1)$. It also refuses a $t$ outside $0 \dots T$.

# %% tags=["export:diffusion_lab.theory.forward"]
def q_step(x_s, t, eps, schedule):
    """One step, from s = t-1 to t: equation (1)."""
    beta_t = at(schedule.beta, t, like=x_s)
    x_t = (1 - beta_t).sqrt() * x_s + beta_t.sqrt() * eps
    return x_t.to(x_s.dtype)


def q_sample(x_0, t, eps, schedule):
    """The jump from the data to time t: equation (5)."""
    alpha_bar_t = at(schedule.alpha_bar, t, like=x_0)
    x_t = alpha_bar_t.sqrt() * x_0 + (1 - alpha_bar_t).sqrt() * eps
    return x_t.to(x_0.dtype)

# %% [markdown]
# The check, in two ways. First exactly: follow the factor of $x_0$ and the variance of the noise through a thousand
# single steps, with no random number at all.

# %% tags=["check"]
schedule = linear()
factor = 1.0
noise_var = 0.0
for t in range(1, 1001):
    beta_t = schedule.beta[t]
    factor = factor * (1 - beta_t) ** 0.5
    noise_var = noise_var * (1 - beta_t) + beta_t
    assert torch.allclose(factor, schedule.alpha_bar[t].sqrt(), rtol=1e-11, atol=0)
    assert torch.allclose(noise_var, 1 - schedule.alpha_bar[t], rtol=1e-11, atol=0)
print("at every t = 1…1000, the single steps and the jump agree in eleven digits")

# %% [markdown]
# Then by experiment: 10,000 copies of one of the five numbers, 0.89, walk a thousand single steps. We look in at three
# times. Mean and variance must be those of the jump, to within four standard errors. At the end we compare the walks'
# states at 100 and at 1000: two jumps with one $\varepsilon$ would have the correlation 1, but here next to nothing is
# left of the earlier noise.

# %% tags=["check"]
x_t = torch.full((10_000, 1), 0.89, dtype=torch.float64)
seen = {}
for t in range(1, 1001):
    x_t = q_step(x_t, t, normal(10_000, 1), schedule)
    if t in (100, 300, 1000):
        seen[t] = x_t

for t, x_t in seen.items():
    mean = schedule.alpha_bar[t].sqrt() * 0.89
    var = 1 - schedule.alpha_bar[t]
    print(f"t = {t:4}: steps, mean {abs(x_t.mean()):.2f}, variance {x_t.var():.2f}; "
          f"jump, {mean:.2f} and {var:.2f}")
    assert abs(x_t.mean() - mean) < 4 * (var / 10_000) ** 0.5
    assert abs(x_t.var() - var) < 4 * var * (2 / 10_000) ** 0.5

# %% tags=["check"]
early_and_late = torch.cat([seen[100], seen[1000]], dim=1)
assert abs(torch.corrcoef(early_and_late.T)[0, 1]) < 0.05

# %% [markdown]
# Here is the jump at work on a cloud of points, two moons, at four times. (`two_moons` comes standardised: mean 0 and
# variance 1 in each coordinate. Data should have about that scale. Otherwise their variance drifts to 1 along the
# chain, and (4) is the ratio of signal to noise only up to the data's own variance. Our digits, with mean -0.7 and
# variance 0.4 over all pixels together, on average 0.27 in each, are close enough.)

# %% tags=["claim"]
digits = load_digits("train")[0].double()
moments = (digits.mean(), digits.var(), digits.var(dim=0).mean())
assert [round(x.item(), 2) for x in moments] == [-0.74, 0.38, 0.27]

# %%
moons = two_moons(1500).double()
noisy = {t: q_sample(moons, t, normal(1500, 2), cosine()) for t in (0, 100, 300, 1000)}

# %% tags=["figure"]
panels = [(x_t, "noise" if t else "data", f"t = {t}") for t, x_t in noisy.items()]
show(clouds(panels, size=2.2),
     alt="Two crescents of points, blurred at t = 100, hardly visible at 300, "
         "a round cloud at 1000.")

# %% [markdown]
# **Figure 4.** Two moons under the cosine schedule. At $t = 300$ most of the signal's variance is still there
# ($\bar\alpha_{300} \approx 0.79$), and yet the shape is nearly gone: fine detail drowns first. At $t = 1000$ the cloud
# is round. (Blue dots: data. Grey crosses: with noise.)

# %% tags=["claim"]
assert abs(cosine().alpha_bar[300] - 0.79) < 0.005

# %% [markdown]
# **Try it.** One schedule (cosine, $T = 1000$) at work on a density, a cloud and a digit, and where on the curve of the SNR
# you are. (Each frame is a jump from $x_0$, all with the same $\varepsilon$, so that the picture does not flicker. The
# chain itself would; the jagged lines at the start of notebook 03 show it. The cloud is blue throughout.) Which of the
# three loses its character first? Where do you stop recognising the digit?

# %%
def peaks(t):
    """How many peaks the density has at time t."""
    q_t = start.marginal(t, cosine()).log_prob(grid[:, None])
    return int(((q_t[1:-1] > q_t[:-2]) & (q_t[1:-1] > q_t[2:])).sum())

# %% tags=["figure"]
def density_cloud_digit(eps, times):
    """Frames of the mixture's density, the two moons and a digit at the given times."""
    fig, (density, cloud, image) = figure(columns=3, width=7.9, height=2.7)
    curves(density, [(grid, grid, "data", None)], "x", "density", "a density",
           xlim=(-3.5, 3.5), ylim=(0, 1.3))
    dots = cloud.scatter(*moons.T, **POINTS["data"])
    cloud.set(xlim=(-3.5, 3.5), ylim=(-3.5, 3.5), aspect="equal", title="a cloud")
    pixels = image.imshow(digit[0, 0], cmap="gray", vmin=-1, vmax=1)
    image.set(xticks=[], yticks=[], title="a digit")

    def update(t):
        q_t = start.marginal(t, cosine()).log_prob(grid[:, None]).exp()
        density.lines[0].set_ydata(q_t)
        dots.set_offsets(q_sample(moons, t, eps, cosine()))
        pixels.set_data(q_sample(digit, t, eps_digit, cosine())[0, 0])

    return drawn(fig, [*density.lines, dots, pixels], update, times)


chain = list(range(0, 1001, 25))
fig, ax = figure(width=2.6, height=2.7)
curves(ax, [(torch.arange(1, 1001), cosine().log_snr[1:], "data", None)],
       "t", "log SNR", "where you are", ylim=(-12, 11))
Scrubber(
    beside(density_cloud_digit(normal(1500, 2), chain), with_marker(fig, ax, chain)),
    [f"t = {t} · SNR {cosine().snr[t]:.2g} · peaks of the density: {peaks(t)}" for t in chain],
    caption="One schedule: the density of a mixture, two moons, a digit, "
            "and the logarithm of the SNR.",
    alt="A two-peaked curve, two moons and a digit turn into a bell, a round cloud and noise; "
        "a line moves along the SNR.",
)

# %% [markdown]
# What to have seen: the crescents are gone by $t = 400$, and a slanted cloud is left. The density loses its second peak
# between 450 and 500, and leans to one side for two hundred steps more. The digit, with its 784 pixels that all tell the
# same story, can be made out until about 600. How did your guess do? (The linear schedule
# has the same SNR already at $t = 324$.) Two things make a structure live long: to be
# coarse, and to be told by many numbers at once. Going back, a model will therefore settle such structure first, and fine
# detail last.

# %% tags=["claim"]
assert (peaks(450), peaks(500)) == (2, 1)
top = grid[start.marginal(650, cosine()).log_prob(grid[:, None]).argmax()]
mean = cosine().alpha_bar[650].sqrt() * (start.weight @ start.mean)
assert top > 2 * mean  # at 650 the top is still far off the mean
assert int((linear().snr < cosine().snr[600]).nonzero()[0]) == 324

# %% [markdown]
# ## 4 · Is the end really noise?
#
# Generation starts from $\mathcal N(0, I)$. If the chain ends elsewhere, the model starts from states that it never
# met in training. In many tutorials that is so: they keep $\beta$ from 0.0001 to 0.02 but shrink $T$ to save time.

# %%
trap = Schedule(torch.cat([torch.zeros(1), torch.linspace(1e-4, 0.02, 50, dtype=torch.float64)]))
ends = {"linear, T = 1000": linear(), "linear, T = 50": linear(50), "trap, T = 50": trap}
for name, s in ends.items():
    print(f"{name:17} ᾱ_T = {s.alpha_bar[-1]:.1g}")

# %% tags=["claim"]
assert 0.59 < trap.alpha_bar[-1] < 0.61

# %% [markdown]
# With 50 small steps, 60 % of the signal's variance is left at the end: $\bar\alpha_T = 0.6$. Our `linear(50)` takes
# steps that are twenty times larger and ends in noise.
#
# How far from noise, in nats? There are two different questions, and papers mix them up. Both are a KL from what the
# chain really gives, $q$, to $\mathcal N(0, I)$, for short $\mathcal N$. (In notebook 01, section 5, the letter $q$
# stood for what you believe. Here it is the truth, and it stands first.)
#
# - How far is *one* noisy image from noise, on average? $\;\mathbb E_{x_0}\,\mathrm{KL}\big(q(x_T\mid x_0)\,\|\,\mathcal N(0, I)\big)$. This is the
#   term $L_T$ of the bound in notebook 04.
# - How far is the *whole collection* of noisy images, of density $q(x_T)$, from noise? $\;\mathrm{KL}\big(q(x_T)\,\|\,\mathcal N(0, I)\big)$. This is the
#   mistake that you make by starting from noise.
#
# The first is larger. The difference is the **mutual information**
# $I(x_0; x_T) = \mathbb E\big[\log q(x_T\mid x_0) - \log q(x_T)\big]$: how much $x_T$ still tells you about $x_0$, in nats. Here
# $\mathbb E$ averages over $x_0$, and over $x_T$ given $x_0$. For a fixed $x_0$ the average over $x_T$ is the KL from
# $q(x_T\mid x_0)$ to $q(x_T)$, which is never negative; so neither is $I$.
#
# $$ \mathbb E_{x_0}\,\mathrm{KL}\big(q(x_T\mid x_0)\,\|\,\mathcal N\big) \;=\; \mathrm{KL}\big(q(x_T)\,\|\,\mathcal N\big) \;+\; I(x_0; x_T) \tag{6} $$
#
# To see it, write the first as the average of $\log q(x_T\mid x_0) - \log\mathcal N(x_T)$, and add and subtract
# $\log q(x_T)$. For the two-peaked mixture of Figure 2 all three can be computed, each by its own route: the first in
# closed form (by notebook 01, eq. 9, the KL of two Gaussians is linear in $x_0^2$), the second as an area on a grid, and
# the third as a difference of two entropies.
#
# The **entropy** of a density, $-\int q \log q$, is the average of minus its logarithm. It measures, in nats, how
# spread out the density is. For a Gaussian of variance $\sigma^2$ it is $\tfrac12\log(2\pi\sigma^2) + \tfrac12 =
# \tfrac12\log(2\pi e\,\sigma^2)$, the average of minus equation (1) of notebook 01. Now $I(x_0; x_T)$ is an average of
# two terms. That of $-\log q(x_T)$ is the entropy of $x_T$. That of $\log q(x_T\mid x_0)$ is minus the entropy for a
# known $x_0$, which is that of the noise alone, with $\sigma^2 = 1-\bar\alpha_T$. So the information is the first
# entropy less the second.

# %%
def nats_from_noise(schedule):
    """The three terms of (6) for the mixture `start`, in nats."""
    alpha_bar_T = schedule.alpha_bar[-1]
    mean_of_square = (start.weight * (start.mean[:, 0] ** 2 + start.var)).sum()
    average = kl(0.0, 1 - alpha_bar_T, 0.0, 1.0) + 0.5 * alpha_bar_T * mean_of_square
    log_q = start.marginal(schedule.T, schedule).log_prob(grid[:, None])
    marginal = torch.trapezoid(log_q.exp() * (log_q - log_prob(grid, 0.0, 1.0)), grid)
    entropy = -torch.trapezoid(log_q.exp() * log_q, grid)
    information = entropy - 0.5 * torch.log(2 * torch.pi * torch.e * (1 - alpha_bar_T))
    return average, marginal, information

# %% tags=["check"]
chains = {"linear, T = 1000": linear(), "cosine, T = 1000": cosine(), "trap, T = 50": trap}
print("schedule            one image   collection  information")
for name, s in chains.items():
    average, marginal, information = nats_from_noise(s)
    print(f"{name:17} {average:11.1e} {marginal:12.1e} {information:12.1e}")
    assert abs(average - marginal - information) < 1e-13

# %% tags=["claim"]
for s in chains.values():
    average, marginal, _ = nats_from_noise(s)
    assert average > 6 * marginal

# %% [markdown]
# The first column is the sum of the other two, to twelve decimals. After 1,000 steps the collection is about a
# millionth of a nat from noise, or less. In the trap it is 0.1 nats away, and that for a single number: an image has
# 784, and where they are independent such distances add up. The first column is at least six times the second. It asks
# whether you could tell $x_T$ from noise if you knew $x_0$. A sampler, which starts from noise, does not know $x_0$;
# for it the second column counts.
#
# From now on: `from diffusion_lab.theory.schedule import Schedule, linear, cosine` and
# `from diffusion_lab.theory.forward import q_step, q_sample`.
#
# ## Exercises
#
# ### Exercise 1 (warm-up): one step
#
# Write equation (1) yourself, for a single $\beta$: $x_t$ from $x_{t-1}$.

# %% tags=["exercise"]
def forward_step(x, beta, eps):
    """One step of the chain.

    x, eps: float64 (n,), eps standard normal; beta: a float. Returns the next x.
    """
    raise NotImplementedError


# %% tags=["check"]
check_forward_step(forward_step)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# $\beta$ is a variance. Both factors are roots.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def forward_step(x, beta, eps):
#     return (1 - beta) ** 0.5 * x + beta**0.5 * eps
# ```
# </details>

# %% [markdown]
# ### Exercise 2 (core): from ᾱ back to β
#
# Someone gives you a table of $\bar\alpha_t$ for $t = 0 \dots T$. Recover $\beta_t$, with $\beta_0 = 0$, and never above
# 0.999.

# %% tags=["exercise"]
def betas(alpha_bar):
    """beta for t = 0…T from alpha_bar: float64 (T+1,), alpha_bar[0] = 1.

    Returns float64 (T+1,), at most 0.999.
    """
    raise NotImplementedError


# %% tags=["check"]
check_betas(betas)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# $\bar\alpha_t = \alpha_t\,\bar\alpha_{t-1}$. Divide neighbours: `alpha_bar[1:] / alpha_bar[:-1]`.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def betas(alpha_bar):
#     beta = 1 - alpha_bar[1:] / alpha_bar[:-1]
#     return torch.cat([torch.zeros(1, dtype=torch.float64), beta.clamp(max=0.999)])
# ```
# </details>

# %% [markdown]
# ### Exercise 3 (core): when does the signal drown?
#
# Find the first time at which the SNR is below a given value.

# %% tags=["exercise"]
def first_time(alpha_bar, snr):
    """The smallest t with SNR_t < snr, as an int.

    alpha_bar: float64 (T+1,); snr: a float above SNR_T.
    """
    raise NotImplementedError


# %% tags=["check"]
check_first_time(first_time)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# Compute the SNR by equation (4) for all $t$ at once. `(condition).nonzero()[0]` is the first index at which a
# condition holds; index 0 is time 0.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def first_time(alpha_bar, snr):
#     return int((alpha_bar / (1 - alpha_bar) < snr).nonzero()[0])
# ```
# </details>

# %% [markdown]
# ### Exercise 4 (hard): a jump between two times
#
# You have $x_s$ and want $x_t$ for some later $t > s$, in one go. Repeat the proof of equation (5), starting at $s$.

# %% tags=["exercise"]
def jump_between(x_s, alpha_bar_s, alpha_bar_t, eps):
    """A draw of q(x_t given x_s).

    x_s, eps: float64 (n,), eps standard normal; the others floats. Returns (n,).
    """
    raise NotImplementedError


# %% tags=["check"]
check_jump_between(jump_between)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# The steps from $s$ to $t$ keep the share $\alpha_{s+1}\cdots\alpha_t = \bar\alpha_t/\bar\alpha_s$ of the variance.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def jump_between(x_s, alpha_bar_s, alpha_bar_t, eps):
#     alpha = alpha_bar_t / alpha_bar_s
#     return alpha**0.5 * x_s + (1 - alpha) ** 0.5 * eps
# ```
# </details>

# %% [markdown]
# ## A common mistake
#
# $\beta_t$ is a variance; many have used it as a deviation, `x = sqrt(1 - beta) * x + beta * eps`. Nothing crashes.
# Here is the variance of standardised data along the chain, computed exactly from the recursion, with the mistake and
# with its mend.

# %%
var_right = [1.0]
var_wrong = [1.0]
for beta_t in linear().beta[1:].tolist():
    var_right.append((1 - beta_t) * var_right[-1] + beta_t)
    var_wrong.append((1 - beta_t) * var_wrong[-1] + beta_t**2)
print(f"variance at the end: right {var_right[-1]:.2f}, β as deviation {var_wrong[-1]:.2f}")

# %% tags=["claim"]
assert abs(var_right[-1] - 1) < 1e-12
assert 40 < 1 / var_wrong[-1] < 60

# %% tags=["figure"]
fig, ax = figure(width=7, height=2.8)
lines = [(torch.arange(1001), var_right, "exact", "right"),
         (torch.arange(1001), var_wrong, "model", "β as a deviation")]
curves(ax, lines, "t", "variance of $x_t$", ylim=(0, 1.1))
show(fig, alt="A flat line at 1, and a curve that falls from 1 to nearly 0 along the chain.")

# %% [markdown]
# **Figure 5.** Black: the variance stays 1. Orange: the signal is shrunk, and the noise that should fill the gap is
# missing, so $x_T$ is a nearly grey image. *The symptom*: print the variance of $x_T$ over a batch. If it is not about
# 1, the forward step is wrong, and no training will mend that: sampling would start from noise whose variance is some
# fifty times larger than what the network saw.
#
# ## Summary
#
# - A step shrinks the signal by $\sqrt{1-\beta_t}$ and adds noise of variance $\beta_t$; the variance stays 1.
# - The jump (5) reaches any time at once; it is a thousand steps, by induction.
# - A schedule is judged by its SNR: where it falls, the chain does its work. The cosine spreads that evenly.
# - The end is noise if $\bar\alpha_T$ is near 0; shrinking $T$ alone leaves $\bar\alpha_T = 0.6$. In nats, what counts is
#   the KL of the whole collection; the average over single images is larger by the mutual information.
#
# ## Check yourself
#
# <details><summary>Is anything in this notebook learned from data?</summary>
#
# No. The forward process is fixed once the schedule is chosen. Only the way back has parameters.
# </details>
#
# <details><summary>The data has variance 0.25 in each pixel. What is the variance of $x_t$?</summary>
#
# $0.25\,\bar\alpha_t + 1 - \bar\alpha_t$: it rises from 0.25 to 1. "Variance preserving" holds for data of variance 1.
# </details>
#
# <details><summary>Why does a model not need the states in between to be trained at t = 700?</summary>
#
# Because equation (5) draws $x_{700}$ from $x_0$ directly, with the same distribution as 700 steps.
# </details>
#
# ## Further reading
#
# - Ho, Jain & Abbeel (2020), *Denoising Diffusion Probabilistic Models*: eq. 2 is our (1), eq. 4 our (5).
# - Nichol & Dhariwal (2021), *Improved Denoising Diffusion Probabilistic Models*, section 3.2: eq. 17 is the cosine.
# - Kingma et al. (2021), *Variational Diffusion Models*: the whole theory told by the SNR alone.
# - Lin et al. (2024), *Common Diffusion Noise Schedules and Sample Steps Are Flawed*: what an end that is not noise does
#   to the brightness of well-known models.
#
# ## Next
#
# Notebook 03 turns the chain around: given $x_t$, where did it come from?
