# %% [markdown]
# # Turn data into noise, one step at a time
#
# Take a picture of a three and add a little noise to it. Do it again, and again, a thousand times. What is left tells
# nobody that there ever was a three.
#
# Destroying a picture is easy. The art is to destroy it *by a rule that we know*, so that at each moment we can say
# how much of the three is left, and how strong the noise is. Notebook 03 will need that to put it together again.
# Nothing in this **forward process** is learned.
#
# You will be able to
#
# - **take** one step that adds noise and keeps the variance where it was,
# - **jump** to any time in one line, and say why the jump equals all the single steps,
# - **explain** why fine detail drowns first,
# - **say** what a schedule can choose and what it cannot, and test whether its end is really noise.
#
# **You need** notebook 01 (shift and scale, sums of Gaussians); first-year linear algebra and probability.
# **Time to read** 65 minutes; with the core exercises 115, with everything 150 · **to run** 20 seconds.
# **Paper sections**: Ho et al. 2020, section 2; Nichol & Dhariwal 2021, section 3.2.
#
# ## Set-up

# %%
import ipywidgets as widgets
import torch
from matplotlib.patches import Circle, FancyArrowPatch

from diffusion_lab.data.digits import load_digits
from diffusion_lab.exercises.forward_markov_chain import (
    check_drowning,
    check_even_schedule,
    check_found_by,
    check_memory,
    check_what_follows,
)
from diffusion_lab.theory.gaussian import kl, log_prob
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.schedule import at
from diffusion_lab.theory.spectrum import wave_power as power_of
from diffusion_lab.view.frames import painter
from diffusion_lab.view.live import Live
from diffusion_lab.view.pictures import mosaic
from diffusion_lab.view.plots import curves, gallery
from diffusion_lab.view.show import show
from diffusion_lab.view.style import BLUE, GREY, figure

generator = torch.Generator().manual_seed(0)


def normal(*shape):
    """Standard normal draws, float64."""
    return torch.randn(*shape, generator=generator, dtype=torch.float64)

# %%
digit = load_digits("test")[0][27:28].double()
eps_digit = normal(1, 1, 28, 28)

# %% tags=["figure"]
fig, ax = figure(width=9.4, height=3.2)
names = ("$x_0$", "$x_1$", "$x_{t-1}$", "$x_t$", "$x_T$")
places = (0.0, 2.75, 5.5, 8.25, 11.0)
for left, name, x in zip((1.0, 0.985, 0.6, 0.45, 0.0), names, places):
    image = left**0.5 * digit[0, 0] + (1 - left) ** 0.5 * eps_digit[0, 0]
    shown = ax.imshow(image, cmap="gray", vmin=-1, vmax=1, extent=(x - 0.7, x + 0.7, -0.7, 0.7))
    rim = ax.add_patch(Circle((x, 0), 0.7, facecolor="none", edgecolor=GREY if x else BLUE, linewidth=2.5))
    shown.set_clip_path(rim)
    _ = ax.text(x, -0.82, name, ha="center", va="top", fontsize=15)
steps = [((x + 0.72, 0), (x + 2.03, 0)) for x in (places[0], places[2])]
for x in (places[1], places[3]):
    _ = ax.text(x + 1.375, 0.06, "…", ha="center", va="center", fontsize=24)
    steps += [((x + 0.72, 0), (x + 1.155, 0)), ((x + 1.595, 0), (x + 2.03, 0))]
look = {"arrowstyle": "-|>", "mutation_scale": 18}
for begin, end in steps:
    _ = ax.add_patch(FancyArrowPatch(begin, end, color="black", linewidth=2, **look))
_ = ax.add_patch(FancyArrowPatch((0.1, 0.78), (8.15, 0.78), connectionstyle="arc3,rad=-0.22", color=BLUE,
                                 linewidth=2, **look))
_ = ax.add_patch(FancyArrowPatch((10.8, -1.28), (0.2, -1.28), connectionstyle="arc3,rad=-0.1", color=GREY,
                                 linewidth=1.5, linestyle=(0, (4, 3)), **look))
for x, y, words, colour in ((1.375, 0.13, "$q(x_1|x_0)$", "black"), (6.875, 0.13, "$q(x_t|x_{t-1})$", "black"),
                            (4.1, 1.78, "the jump $\\;q(x_t|x_0)$", BLUE),
                            (5.5, -2.25, "the way back: notebook 03", GREY)):
    _ = ax.text(x, y, words, ha="center", va="bottom", fontsize=12.5, color=colour)
_ = ax.set(xlim=(-0.8, 11.8), ylim=(-2.3, 2.2), aspect="equal")
ax.set_axis_off()
show(fig, alt="Five round pictures of a three, clean at the left and pure noise at the right, joined "
              "by arrows; a long blue arrow jumps from the first to the fourth; a dashed one leads back.")

# %% [markdown]
# **Figure 1.** The forward chain, not to scale: each of a thousand small arrows adds a little noise. The blue arrow reaches
# any time at once: the whole course lives on it.
#
# ## Predict first
#
# A chain of 1,000 steps turns a three into noise. After which step would you no longer recognise it: 100, 300, 600, 900?
# And what drowns first: coarse things, such as its slant, or fine ones, such as the wobbles of a stroke's rim? Section 4
# has the answers.
#
# ## 1 · One step
#
# A model that generates begins at the *end* of the chain. So the end must be something that we can draw from, whatever
# the picture was. Does it do to add noise, and nothing else? Take 2,000 copies of a very small picture, five numbers, and
# add noise with a standard deviation of 0.1, a thousand times.

# %% tags=["check"]
x_0 = torch.tensor([0.12, -0.34, 0.89, -0.76, 0.45], dtype=torch.float64)
x = x_0.expand(2000, 5)
for _ in range(1000):
    x = x + 0.1 * normal(2000, 5)
print(f"adding alone: variance {(x - x_0).var():.0f} after 1000 steps")
assert abs((x - x_0).var() - 1000 * 0.1**2) < 4 * 10 * (2 / x.numel()) ** 0.5

# %% [markdown]
# Each step adds 0.01 to the variance, and it never stops. The fix: shrink the numbers a little before adding noise, so that
# the total variance stays the same.
#
# $$ x_t = \sqrt{1-\beta_t}\; x_{t-1} + \sqrt{\beta_t}\;\varepsilon_t, \qquad \varepsilon_t \sim \mathcal N(0, I) \tag{1} $$
#
# Here $x_0$ is the data. The small number $\beta_t$ is the *variance* of the noise that step $t$ adds. Why the two roots?
# Suppose that $x_{t-1}$ has variance 1. Shrinking leaves $1-\beta_t$ of it, and the noise brings $\beta_t$: together 1 again.
# We call such a step **variance preserving**.

# %% tags=["check"]
x = x_0.expand(2000, 5)
for _ in range(1000):
    x = (1 - 0.01) ** 0.5 * x + 0.01**0.5 * normal(2000, 5)
print(f"shrinking and adding: mean within {abs(x.mean()):.1f} of 0, variance {x.var():.1f}")
assert abs(x.mean()) < 4 * (1 / x.numel()) ** 0.5
assert abs(x.var() - 1) < 4 * (2 / x.numel()) ** 0.5

# %% [markdown]
# Now the crowd ends at $\mathcal N(0, 1)$, whatever the five numbers were. That is an end from which one can start.
#
# Random states $x_0, x_1, \dots, x_T$ are a **process**. If each is drawn by looking at the one before it and at
# nothing older, as in our loop, the process is a **Markov chain**: each link holds on to its neighbour. One density for each
# arrow of Figure 1 describes it all,
#
# $$q(x_1,\dots,x_T\mid x_0)=q(x_1\mid x_0)\;q(x_2\mid x_1)\cdots q(x_T\mid x_{T-1}),$$
#
# and each is a Gaussian: $q(x_t \mid x_{t-1}) = \mathcal N(x_t;\, \sqrt{1-\beta_t}\,x_{t-1},\, \beta_t I)$. The letter $q$
# stands for what is fixed.
#
# **Try it.** Forty walkers leave from the same place. Move the start: does the end remember it? Then make $\beta$
# smaller. How many steps does the chain need to forget?

# %% tags=["figure"]
def walkers_picture(n=40, steps=300):
    """A function that draws walks of (1) from one start, with their mean and a band of two standard deviations."""
    eps = normal(steps, n)
    fig, ax = figure(width=8, height=3.4)
    for _ in range(n):
        ax.plot([], [], color=GREY, linewidth=0.7, alpha=0.6)
    mean, = ax.plot([], [], color=BLUE, linewidth=2.5, label="what is left of the start, $\\sqrt{1-\\beta}^{\\;t}\\,x_0$")
    band = [ax.plot([], [], "k--", linewidth=1.5, label=label)[0]
            for label in ("mean ± two standard deviations", None)]
    ax.set(xlim=(0, steps), ylim=(-5.2, 6.8), xlabel="t", ylabel="$x_t$")
    ax.legend(loc="upper right", ncols=2)
    paint = painter(fig, ax.lines)
    times = torch.arange(steps + 1).double()

    def draw(start, beta):
        x = [torch.full((n,), start, dtype=torch.float64)]
        for noise in eps:
            x.append((1 - beta) ** 0.5 * x[-1] + beta**0.5 * noise)
        for line, walk in zip(ax.lines, torch.stack(x, dim=1)):
            line.set_data(times.numpy(), walk.numpy())
        centre = (1 - beta) ** (times / 2) * start
        spread = 2 * (1 - (1 - beta) ** times).sqrt()
        mean.set_data(times.numpy(), centre.numpy())
        for line, sign in zip(band, (1, -1)):
            line.set_data(times.numpy(), (centre + sign * spread).numpy())
        return paint()

    return draw


Live(
    walkers_picture(),
    start=widgets.FloatSlider(value=4.0, min=-4.0, max=4.0, step=0.5, description="start x_0"),
    beta=widgets.SelectionSlider(options=[0.001, 0.003, 0.01, 0.03, 0.1, 0.3], value=0.03, description="β"),
    caption="The sliders move the place from which forty walkers start, and the noise of each step.",
    alt="Forty jagged grey paths leave from one place and spread into a band of constant width around 0; "
        "a blue curve, their mean, falls to 0.",
)

# %% [markdown]
# The blue curve is what the crowd still remembers. It takes a few times $1/\beta$ steps to die out.
#
# ### Deeper: one step, seen as a density
#
# What does a step do to a whole distribution? Every starting point $u$ sends out a little Gaussian, called the **kernel**
# of the step, weighted by how likely $u$ is:
#
# $$ q(x_t) = \int q(x_{t-1}{=}u)\; \mathcal N\big(x_t;\, \sqrt{1-\beta_t}\,u,\, \beta_t\big)\, du \tag{2} $$
#
# We do the integral on a grid, for a density with two peaks and one large step. The result must have area 1. It must also
# be what the rules for Gaussians say: each peak has its mean multiplied by $\sqrt{1-\beta}$, and its variance $v$
# becomes $(1-\beta)\,v + \beta$. `GaussianMixture(weights, means, variances)`, a density made of Gaussian peaks, is borrowed
# from notebook 03.

# %%
grid = torch.linspace(-8, 8, 1601, dtype=torch.float64)
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
# **Figure D1.** One large step. Both peaks move towards 0, because the signal shrinks. They get wider, because noise is
# added. The area is still 1.
#
# ## 2 · The schedule: how much noise at which time
#
# Should every step add the same noise? While the picture is clean, a whisper of noise makes a difference. When it is
# nearly all noise, one has to shout. So $\beta_t$ grows along the chain. The table of all $\beta_t$ is the **schedule**, and
# two more tables follow from it:
#
# $$ \alpha_t = 1-\beta_t, \qquad \bar\alpha_t = \alpha_1\,\alpha_2 \cdots \alpha_t \tag{3} $$
#
# Of the signal's variance, step $t$ keeps the fraction $\alpha_t$, and all steps up to $t$ together keep $\bar\alpha_t$, read
# "alpha bar". If the data has variance 1, so has $x_t$, and what is not signal is noise. Their ratio is the
# **signal-to-noise ratio**:
#
# $$ \mathrm{SNR}_t = \frac{\bar\alpha_t}{1-\bar\alpha_t} \tag{4} $$
#
# It runs from infinity to nearly nothing, so one looks at its logarithm. Time $t = 0$ is the data. So each table has $T+1$
# entries, with $\beta_0 = 0$ and $\bar\alpha_0 = 1$. (Many libraries count from 0: `alphas_cumprod[0]` of diffusers is our
# $\bar\alpha_1$, and its timestep 999 our $t=1000$.)

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
# Two schedules are famous. Ho et al. let $\beta_t$ rise in a straight line. Nichol & Dhariwal
# found that small pictures are then noise too soon, and chose $\bar\alpha_t$ itself, a squared cosine.

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
# The check: the cosine's $\bar\alpha_t$, multiplied up from its $\beta_t$, must be the squared cosine again.

# %% tags=["check"]
t = torch.arange(1000, dtype=torch.float64)
a_t = (t / 1000 + 0.008) / 1.008 * torch.pi / 2
squared_cosine = torch.cos(a_t) ** 2 / torch.cos(a_t[0]) ** 2
assert torch.allclose(cosine().alpha_bar[:1000], squared_cosine, rtol=1e-11, atol=0)
print("the product of all α is the squared cosine, in eleven digits")

# %% tags=["figure"]
LOOKS = {"linear": {"color": "#CC79A7", "linestyle": "-", "linewidth": 2.6},
         "cosine": {"color": "#009E73", "linestyle": (0, (6, 1.5)), "linewidth": 2.6}}
fig, (left, right) = figure(columns=2, width=9, height=3.4)
times = torch.arange(1001)
for name, s in (("linear", linear()), ("cosine", cosine())):
    left.plot(times, s.alpha_bar, label=name, **LOOKS[name])
    right.plot(times[1:], s.log_snr[1:], label=name, **LOOKS[name])
right.axhline(0, color=GREY, linewidth=1)
_ = right.text(995, 0.5, "signal = noise", color=GREY, ha="right")
_ = left.set(xlabel="t", title="$\\bar\\alpha_t$: what is left of the signal's variance", xticks=range(0, 1001, 250))
_ = right.set(xlabel="t", title="$\\log\\,\\mathrm{SNR}_t$", xticks=range(0, 1001, 250))
_ = left.legend()
_ = right.legend()
show(fig, alt="Left: alpha bar falls from 1 to 0, for linear early, for cosine evenly in the middle. "
              "Right: log SNR falls from 9 to -10, for cosine from 10 to -20 with a plunge at the end.")

# %% [markdown]
# **Figure 2.** Left: under the linear schedule the last third of the chain has almost nothing left to destroy. Right:
# both curves plunge at the start, and the cosine once more at the end.

# %% tags=["claim"]
assert linear().alpha_bar[667] < 0.02 < 0.2 < cosine().alpha_bar[667]

# %% [markdown]
# ### Deeper: double precision, few steps, and the 0.999
#
# **Why the tables are in double precision.** Single precision keeps some seven digits of 0.9999. In $1 - 0.9999$ the
# first four of them cancel, so that only three or four digits of the difference are right:

# %%
in_single = 1 - (1 - linear().beta.float()).cumprod(0)[1].item()
print(f"1 - ᾱ_1: exactly 0.0001, in single precision {in_single:.8f}")

# %% tags=["claim"]
assert 1e-4 < abs(in_single / 1e-4 - 1) < 3e-4

# %% [markdown]
# **Why the factor $1000/T$.** It keeps the total amount of noise when you take fewer, larger steps. Down to some fifty steps
# the curve of log SNR keeps its shape over $t/T$. Then the straight line breaks, because its $\beta$ would rise above 1.
#
# **Why at most 0.999.** At the end of the cosine $\bar\alpha_T$ would be 0, and $\beta_T$ would be 1: a last step that erases
# everything, and through which no formula can walk back. The limit comes at a price that you can see in Figure 2: the last
# step alone takes a third of what log SNR falls in the cosine's second half.

# %%
for T in (1000, 50, 20, 10):
    late = 6 * T // 10
    print(f"T = {T:4}, log SNR at t/T = 0.6: linear {linear(T).log_snr[late]:5.1f}, "
          f"cosine {cosine(T).log_snr[late]:.1f}")

# %% tags=["claim"]
assert [int((linear(T).beta == 0.999).sum()) for T in (50, 20, 10, 5)] == [0, 1, 5, 4]
assert abs(linear(50).log_snr[30] - linear().log_snr[600]) < 0.3
assert abs(linear(10).log_snr[6] - linear().log_snr[600]) > 7
assert abs(cosine(10).log_snr[6] - cosine().log_snr[600]) < 1e-9
half_way, last_but_one, end = cosine().log_snr[[500, 999, 1000]]
assert 1 / 3 < (last_but_one - end) / (half_way - end) < 0.36

# %% [markdown]
# ## 3 · The jump
#
# To train a network we need $x_t$ at random times, over and over. Walking there step by step would be hundreds of times too
# slow. Happily, nobody has to walk. Take two steps, and put one into the other:
#
# $$x_2=\sqrt{\alpha_2}\,\big(\sqrt{\alpha_1}\,x_0+\sqrt{1-\alpha_1}\,\varepsilon_1\big)+\sqrt{1-\alpha_2}\;\varepsilon_2
# =\sqrt{\alpha_1\alpha_2}\;x_0+\underbrace{\sqrt{\alpha_2(1-\alpha_1)}\;\varepsilon_1+\sqrt{1-\alpha_2}\;\varepsilon_2}_{\text{two independent Gaussians}}$$
#
# Two independent Gaussians add up to one Gaussian, and their variances add. Look what happens:
#
# $$\alpha_2(1-\alpha_1)+(1-\alpha_2)\;=\;1-\alpha_1\alpha_2\;=\;1-\bar\alpha_2$$
#
# The middle terms cancel. Two steps have the form of one, with $\bar\alpha_2$ in place of $\alpha_1$. So have three, and a
# thousand:
#
# $$ x_t = \sqrt{\bar\alpha_t}\; x_0 + \sqrt{1-\bar\alpha_t}\;\varepsilon, \qquad \varepsilon\sim\mathcal N(0, I) \tag{5} $$
#
# As a density, $q(x_t \mid x_0) = \mathcal N(x_t;\, \sqrt{\bar\alpha_t}\,x_0,\, (1-\bar\alpha_t) I)$. This is what we were
# after: for every time and every picture, the law of the noisy picture is *known*. If you remember one line, let it be this.
#
# A warning. The jump stands for any *one* time. Two jumps to different times with the same $\varepsilon$ are no path of the
# chain, which adds fresh noise in between.
#
# Nothing in the argument needs the first state to be a clean picture. From any $s$ on to a later $t$, the factors that
# multiply are $\alpha_{s+1}\cdots\alpha_t = \bar\alpha_t/\bar\alpha_s$. Write $\alpha$ for this number, without an index, and
# $\beta = 1-\alpha$. Then the jump between two times is a single, longer step:
#
# $$x_t=\sqrt\alpha\;x_s+\sqrt\beta\;\varepsilon,\qquad q(x_t\mid x_s)=\mathcal N(x_t;\,\sqrt\alpha\,x_s,\,\beta I)$$
#
# In code, `at(table, t, like)` looks up `table[t]`, in a shape that multiplies with the pictures.

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
# We check it twice. First exactly, with no random number at all: follow the factor of $x_0$ and the variance of the noise
# through a thousand single steps.

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
# Then by experiment. Ten thousand copies of one number, 0.89, walk a thousand single steps. Mean and variance must be those
# of the jump. And a walker's state at 1000 must not correlate with that at 100; two jumps with one $\varepsilon$ would.

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
    seen_mean = x_t.mean().round(decimals=2) + 0.0  # the sum turns -0.00 into 0.00
    print(f"t = {t:4}: steps, mean {seen_mean:.2f}, variance {x_t.var():.2f}; "
          f"jump, {mean:.2f} and {var:.2f}")
    assert abs(x_t.mean() - mean) < 4 * (var / 10_000) ** 0.5
    assert abs(x_t.var() - var) < 4 * var * (2 / 10_000) ** 0.5

# %% tags=["check"]
early_and_late = torch.cat([seen[100], seen[1000]], dim=1)
assert abs(torch.corrcoef(early_and_late.T)[0, 1]) < 0.05

# %% [markdown]
# ### Deeper: the proof, by induction
#
# For $t = 1$, equation (5) is equation (1), since $\bar\alpha_1 = \alpha_1 = 1-\beta_1$. Suppose that (5) holds at $t-1$,
# with some noise $\varepsilon'$. Take one more step:
#
# $$ x_t = \sqrt{\alpha_t}\,\big(\sqrt{\bar\alpha_{t-1}}\,x_0 + \sqrt{1-\bar\alpha_{t-1}}\,\varepsilon'\big) + \sqrt{1-\alpha_t}\;\varepsilon_t $$
#
# Multiply out. The factor of $x_0$ is $\sqrt{\alpha_t\bar\alpha_{t-1}} = \sqrt{\bar\alpha_t}$, by (3). The two noises are
# independent, because the new step draws its $\varepsilon_t$ afresh. So they add up to one Gaussian, and its variance is
#
# $$ \alpha_t(1-\bar\alpha_{t-1}) + (1-\alpha_t) \;=\; \alpha_t - \bar\alpha_t + 1 - \alpha_t \;=\; 1-\bar\alpha_t $$
#
# That is (5) at $t$. It holds at 1, and each time hands it to the next, so it holds at all times. ∎
#
# ## 4 · Fine detail drowns first
#
# Which part of a picture goes under first? A model that walks back has to restore things in the opposite order.
#
# Think of a picture as a sum of waves, as a chord is a sum of tones. A wave with few crests across the picture is coarse;
# with $k = 14$ it changes at every pixel. Here are four waves, and below them a three, put together from all waves with
# at most so many crests.

# %% tags=["figure"]
# draws four waves, and a digit made of the waves up to each
shown_k = (1, 3, 6, 14)
across = torch.arange(28) * 2 * torch.pi / 28
one_wave = torch.stack([torch.cos(k * across).expand(1, 28, 28) for k in shown_k])
frequency = torch.fft.fftfreq(28, dtype=torch.float64) * 28
crests_of = torch.hypot(frequency[:, None], frequency[None, :])
in_waves = torch.fft.fft2(digit[0])
up_to = torch.stack([torch.fft.ifft2(in_waves * (crests_of <= (20 if k == 14 else k))).real for k in shown_k])
show(gallery({"one wave": one_wave, "all up to it": up_to}, [f"k = {k}" for k in shown_k], size=1.5),
     alt="Above, stripes: broad ones for 1 crest, the finest for 14. Below, a three: a smudge from the coarsest waves, "
         "soft from waves up to 3, readable with soft rims up to 6, sharp from all.")

# %% [markdown]
# **Figure 3.** Few waves say what it is; the many fine ones only sharpen its rims.
#
# How strong is each kind of wave in a digit? Take the strength of each wave, squared, and average over all waves with about
# $k$ crests and over 4,000 digits. That is the **power spectrum**. The mean digit is subtracted first: what remains is what
# makes one digit differ from another. The package's `wave_power`, here `power_of`, does it by a Fourier transform; you need not know one to
# go on.
#
# And noise? It has no taste: each pixel is drawn by itself, so no wave is preferred, and $\mathcal N(0, I)$ has the same power
# for every $k$, its variance. And the jump must turn the digits' power $P_k$ into $\bar\alpha_t P_k + (1-\bar\alpha_t)$. We
# check both.

# %% tags=["check"]
digits = load_digits("train")[0].double()
varied = digits - digits.mean(dim=0)
noise = normal(*varied.shape)
power = power_of(varied)
noise_power = power_of(noise)
assert torch.allclose(noise_power, torch.ones(15).double(), rtol=0.03)

kept = cosine().alpha_bar[300]
noisy_power = power_of(q_sample(varied, 300, noise, cosine()))
assert torch.allclose(noisy_power, kept * power + 1 - kept, rtol=0.05)
print("crests across  digits  noise")
for k in (2, 5, 8, 11, 14):
    print(f"{k:13} {power[k]:7.3f} {noise_power[k]:6.1f}")

# %% [markdown]
# The digits' coarse waves are two hundred times as strong as their finest. Now divide everything by $\bar\alpha_t$. The
# digits stay where they are, and the noise becomes a flat line at the height $1/\mathrm{SNR}_t$, which rises with $t$. It is
# a flood over a landscape.

# %% tags=["claim"]
assert 190 < power[2] / power[14] < 200
assert power[1:].argmax() + 1 == 2

# %% tags=["figure"]
crests = torch.arange(1, 15)
fig, ax = figure(width=9, height=4.2)
ax.fill_between(crests, power[1:], 1e-3, color=BLUE, alpha=0.18)
ax.plot(crests, power[1:], color=BLUE, marker="o", markersize=5, linewidth=2.8)
for t in (50, 100, 200, 300, 400, 500, 600, 700):
    level = 1 / cosine().snr[t]
    ax.plot([0.8, 14.2], [level, level], color=GREY, linewidth=1.6, linestyle=(0, (1, 1.5)))
    ax.text(14.3, level, f"t = {t}", color=GREY, va="center", fontsize=11)
ax.text(8.2, 2.45, "noise, $1/\\mathrm{SNR}_t$: flat, and rising with $t$", color=GREY, fontsize=12)
ax.text(2.1, 4.6, "digits, $P_k$", color=BLUE, fontsize=13)
ax.text(1.3, 0.0038, "coarse: slant, size, loops", fontsize=12, color=BLUE)
ax.text(10.6, 0.0038, "fine: rims, wobbles", fontsize=12, color=BLUE)
_ = ax.set(yscale="log", xlim=(0.8, 15.2), ylim=(2e-3, 8), xticks=range(1, 15),
           xlabel="k: crests across the picture", ylabel="power, over $\\bar\\alpha_t$")
ax.grid(False)
show(fig, alt="A curve, the power of digits, falls from left, coarse, to right, fine, by a factor of 200. "
              "Eight flat lines, the noise at eight times, lie one above the other; the lowest meets the curve "
              "at the far right, the highest at its top on the left.")

# %% [markdown]
# **Figure 4.** Blue: the power of digits without their mean, coarse on the left and fine on the right. Dotted: the noise,
# under the cosine schedule. Follow the flood upwards: it takes the fine waves first, and the coarse ones last.
# (The two coarsest change places.)
#
# When does each wave **drown**, in the sense that noise is stronger than the digits? Drowned is not lost: at $t=700$ each wave
# by itself is weaker than the noise, and still the network of notebook 00 found the three. It knows how the waves of digits go
# together.

# %%
print("crests across  linear  cosine")
for k in (14, 11, 8, 5, 2):
    drowned = [int((s.snr * power[k] < 1).nonzero()[0]) for s in (linear(), cosine())]
    print(f"{k:13} {drowned[0]:7} {drowned[1]:7}")

# %% [markdown]
# **Try it.** Let the water rise. Where do you stop recognising the digit, and how many waves still stand out then? Switch the
# schedule: does the order change, or only the clock?

# %% tags=["figure"]
def flood_picture():
    """A function that draws a digit at time t, beside the spectrum of digits and the flat one of the noise."""
    images, labels = load_digits("test")
    first = [images[(labels == kind).nonzero()[0, 0]].double() for kind in range(10)]
    first[3] = digit[0]
    fig, (left, right) = figure(columns=2, width=9, height=3.9, width_ratios=(1, 1.45))
    shown = left.imshow(digit[0, 0], cmap="gray", vmin=-1, vmax=1)
    left.set(xticks=[], yticks=[], title=" ")
    left.grid(False)
    right.fill_between(crests, power[1:], 1e-3, color=BLUE, alpha=0.18)
    right.plot(crests, power[1:], color=BLUE, marker="o", markersize=5, linewidth=2.6)
    right.text(2.2, 3.6, "digits", color=BLUE, fontsize=12)
    water = right.axhspan(1e-4, 1e-3, color=GREY, alpha=0.45)
    surface = right.axhline(1e-3, color="black", linewidth=2)
    right.set(yscale="log", xlim=(1, 14), ylim=(2e-3, 30), xticks=range(1, 15), title=" ",
              xlabel="k: crests across the picture", ylabel="power, over $\\bar\\alpha_t$")
    paint = painter(fig, [shown, water, surface, left.title, right.title])

    def draw(t, kind, schedule):
        s = {"linear": linear(), "cosine": cosine()}[schedule]
        level = min(max(1 / float(s.snr[t]), 1e-3), 1e4)
        shown.set_data(q_sample(first[kind][None], t, eps_digit, s)[0, 0])
        water.set_height(level - 1e-4)
        surface.set_ydata([level, level])
        above = int((power[1:] > level).sum())
        left.title.set_text(f"t = {t}: {s.alpha_bar[t]:.0%} of the variance is left")
        right.title.set_text(f"{above} of 14 kinds of wave stand above the noise")
        return paint()

    return draw


Live(
    flood_picture(),
    t=widgets.IntSlider(value=300, min=0, max=1000, step=10, description="t"),
    kind=widgets.Dropdown(options=range(10), value=3, description="digit"),
    schedule=widgets.Dropdown(options=["cosine", "linear"], value="cosine", description="schedule"),
    caption="The slider t moves along the chain: the digit drowns on the left, the noise rises on the right.",
    alt="Left: a noisy three. Right: the falling spectrum of digits, with noise as water up to a flat surface.",
)

# %% [markdown]
# How did your guesses do? Under the cosine the finest waves are weaker than the noise from $t = 100$ on. A single strong edge
# can be seen for longer, since all waves line up in it, the coarse ones, too. We could read the three until 500 or 600, when
# three or four kinds of wave have their heads above water. So a model that walks back settles slant and loops first, and
# the rims of strokes last.

# %% tags=["claim"]
assert all(cosine().snr[100] * power[k] < 1.0 for k in (13, 14))
assert int((power[1:] > 1 / cosine().snr[500]).sum()) == 4
assert int((power[1:] > 1 / cosine().snr[600]).sum()) == 3

# %% [markdown]
# ### Deeper: the power of a wave, in code
#
# A Fourier transform writes a picture as a sum of waves; the square of its size is the power. It only turns the space of all
# pictures, as a rotation does, and $\mathcal N(0, I)$ looks the same from every side: so the noise is flat.

# %% tags=["export:diffusion_lab.theory.spectrum"]
def wave_power(images):
    """Mean power of the waves in square pictures, by the number k of crests across the picture."""
    side = images.shape[-1]
    waves = torch.fft.fft2(images, norm="ortho")
    power = waves.abs().square().mean(dim=(0, 1))
    crests = torch.fft.fftfreq(side) * side
    k = torch.hypot(crests[:, None], crests[None, :]).round()
    rings = range(side // 2 + 1)
    return torch.stack([power[k == ring].mean() for ring in rings])

# %% [markdown]
# ## 5 · What a schedule can choose, and what it cannot
#
# People argue a great deal about schedules. What is there to choose? Here is one digit under both, with the same noise.

# %% tags=["figure"]
nine = range(0, 1001, 125)
rows = {name: torch.cat([q_sample(digit, t, eps_digit, s) for t in nine])
        for name, s in (("linear", linear()), ("cosine", cosine()))}
show(gallery(rows, [f"t = {t}" for t in nine], size=1.05),
     alt="Two rows of nine pictures of a three that turns into noise. Upper row, linear: nothing can be "
         "seen of it from the sixth picture on. Lower row, cosine: it can be made out in the sixth.")

# %% [markdown]
# **Figure 5.** Upper row: half of the pictures look alike, for the chain makes noise of noise. Lower row: the three fades step
# by step until $t = 750$ or so.
#
# A schedule is a timetable. It says *when* the train is where; it does not lay the rails. For the jump depends on $t$ only
# through $\bar\alpha_t$, so both schedules pass through the same pictures, in the same order.

# %% tags=["check"]
t_linear = int((linear().snr - cosine().snr[600]).abs().argmin())
by_cosine = q_sample(digit, 600, eps_digit, cosine())
by_linear = q_sample(digit, t_linear, eps_digit, linear())
print(f"the picture of cosine's t = 600 is that of linear's t = {t_linear}")
assert (by_cosine - by_linear).abs().max() < 0.01

# %% [markdown]
# So fine detail drowns first under *every* schedule. The timetable chooses how long the train stays in each region, and so
# how often training visits it.
#
# Does the cosine spread the work evenly, as is often said? That depends on what you count. Here is what each quarter takes.
# (The very last step has a column of its own.)

# %% tags=["check"]
stops = [1, 250, 500, 750, 999, 1000]
print("fall up to t =        ", "".join(f"{stop:6}" for stop in stops[1:]))
for name, s in {"linear": linear(), "cosine": cosine()}.items():
    of_signal = -s.alpha_bar[stops].diff()
    of_log_snr = -s.log_snr[stops].diff()
    print(f"{name}, of alpha bar  ", "".join(f"{fall:6.2f}" for fall in of_signal))
    print(f"{name}, of log SNR    ", "".join(f"{fall:6.1f}" for fall in of_log_snr))
    assert torch.allclose(of_log_snr.sum(), s.log_snr[1] - s.log_snr[1000])

# %% tags=["claim"]
for s, low, high in ((linear(), 0.94, 0.95), (cosine(), 0.93, 0.94)):
    assert low < 1 - s.snr[10] / s.snr[1] < high
assert abs((cosine().log_snr[999] - cosine().log_snr[1000]) - 6.9) < 0.05
assert abs((cosine().log_snr[750] - cosine().log_snr[999]) - 11.1) < 0.06
turns = torch.rad2deg(cosine().alpha_bar[[1, 250, 500, 750, 999]].sqrt().acos()).diff()
assert turns.min() > 22
assert turns.max() < 23.1

# %% [markdown]
# In $\bar\alpha_t$ the cosine is even over its middle half. From end to end it is even in an *angle*, the one whose cosine is
# $\sqrt{\bar\alpha_t}$: it turns by 22° or 23° in each quarter, from all signal to all noise. In $\log\mathrm{SNR}_t$ neither
# is even: the first quarter takes much, and so does the cosine's last. And of the SNR itself, more than nine tenths are
# gone between $t = 1$ and $t = 10$.
#
# Which count is the right one? None, it turns out, if the steps are small enough. Notebook 04 measures a model in bits, and
# that measure does not depend on the schedule between its two ends (Kingma et al. 2021). What does depend on it is how
# noisy the training is, and how well a sampler with few steps can do.
#
# Nor does one schedule suit every size: a large picture needs *more* noise at each $t$. Exercise 4 measures how much.
#
# **Try it.** Design your own. The first slider bends the cosine towards a schedule that is even in log SNR, and the second moves
# the curve up or down. Can you make nine pictures that all look different *and* a log SNR that is a straight line?

# %% tags=["figure"]
def designer_picture():
    """A function that draws nine pictures, ᾱ_t and log SNR_t of a schedule between cosine and even in log SNR."""
    fig, axes = figure(columns=2, rows=2, width=9, height=5.2, height_ratios=(1, 1.9))
    grid_of = axes[0, 0].get_gridspec()
    for ax in axes[0]:
        ax.remove()
    top = fig.add_subplot(grid_of[0, :])
    left, right = axes[1]
    strip = top.imshow(mosaic(digit.expand(9, 1, 28, 28), columns=9), cmap="gray", vmin=0, vmax=255)
    top.set(yticks=[], xticks=[(2 * i + 1) * 45 - 3 for i in range(9)])
    top.set_xticklabels([f"t = {t}" for t in nine])
    top.tick_params(length=0)
    top.grid(False)
    top.spines[:].set_visible(False)
    times = torch.arange(1, 1001)
    known = [ax.plot(times, table[1:], "k--", linewidth=1.5, zorder=3, label="cosine")[0]  # also where the two are one
             for ax, table in ((left, cosine().alpha_bar), (right, cosine().log_snr))]
    yours = [ax.plot([], [], color="#009E73", linewidth=3, label="yours")[0] for ax in (left, right)]
    left.set(xlabel="t", title="$\\bar\\alpha_t$", ylim=(-0.03, 1.03), xticks=range(0, 1001, 250))
    right.set(xlabel="t", title="log SNR", ylim=(-25, 15), xticks=range(0, 1001, 250))
    left.legend()
    right.legend()
    paint = painter(fig, [strip, *yours, *known])
    straight = torch.linspace(10, -10, 1000, dtype=torch.float64)

    def draw(even, shift):
        log_snr = (1 - even) * cosine().log_snr[1:] + even * straight + shift
        alpha_bar = torch.cat([torch.ones(1), torch.sigmoid(log_snr)])
        kept = alpha_bar[list(nine)].reshape(-1, 1, 1, 1)
        strip.set_data(mosaic(kept.sqrt() * digit + (1 - kept).sqrt() * eps_digit, columns=9))
        yours[0].set_data(times.numpy(), alpha_bar[1:].numpy())
        yours[1].set_data(times.numpy(), log_snr.numpy())
        return paint()

    return draw


Live(
    designer_picture(),
    even=widgets.FloatSlider(value=0.5, min=0.0, max=1.0, step=0.1, description="even in log SNR"),
    shift=widgets.FloatSlider(value=0.0, min=-4.0, max=4.0, step=0.5, description="shift"),
    caption="The sliders bend log SNR from the cosine (0) to a straight line (1), and move it up or down.",
    alt="Nine pictures of a three on its way to noise; below them two falling curves, alpha bar and log SNR, "
        "each beside that of the cosine.",
)

# %% [markdown]
# You cannot. With a straight log SNR the first third of the strip shows a clean digit, and the last third pure noise. Even to
# the eye and even in the logarithm are two different wishes.
#
# ### Deeper: adding without shrinking, and the digits' own variance
#
# One choice looks like physics and is none. The **variance-exploding** chains of Song et al. (2021) add noise and never
# shrink. Divide (5) by $\sqrt{\bar\alpha_t}$, and you have one: $x_0 + \sigma_t\,\varepsilon$ with
# $\sigma_t^2 = 1/\mathrm{SNR}_t$, the same picture in other units. Shrinking is a convention that keeps the numbers small.
#
# Equation (4) is a ratio of variances if the data has variance 1. Our digits have not:

# %%
print(f"mean of all pixels             {digits.mean():.2f}")
print(f"variance around the mean digit {digits.var(dim=0).mean():.2f}")
print(f"mean of the squares            {digits.square().mean():.2f}")

# %% tags=["claim"]
assert 3.6 < 1 / digits.var(dim=0).mean() < 3.8
assert 1.3 < -digits.var(dim=0).mean().log() < 1.33
assert 0.51 < digits.var(dim=0).mean().sqrt() < 0.53
assert abs(torch.fft.fft2(varied[:500], norm="ortho").abs().square().mean() - varied[:500].square().mean()) < 1e-9

# %% [markdown]
# Most pixels are black in every digit, so the mean of the squares, 0.92, is nearly 1, and the size of the numbers hardly
# changes along the chain. But a pixel that is always black tells nothing. What tells digits apart is the variance around the
# mean digit, 0.27 per pixel. The ratio of that signal to the noise is $0.27\,\bar\alpha_t/(1-\bar\alpha_t)$, smaller than (4)
# by a factor of almost 4. On the logarithmic axis of Figure 2, the curve should lie 1.3 lower.
#
# The spectrum knows this already: the power, averaged over all waves, is 0.27 as well, because the orthonormal Fourier
# transform keeps sums of squares. Papers deal with it by a constant. Karras et al. (2022) call the data's standard deviation
# $\sigma_{\text{data}}$, and measure noise against it. Their default, 0.5, would do for our digits, too, which have
# $\sqrt{0.27} = 0.52$.
#
# ## 6 · Is the end really noise?
#
# Generation starts from $\mathcal N(0, I)$. If the chain ends elsewhere, the model starts from states that it never met in
# training. In many tutorials that is so: to save time they keep $\beta$ from 0.0001 to 0.02, and cut $T$.

# %% tags=["check"]
cut_short = Schedule(torch.cat([torch.zeros(1), torch.linspace(1e-4, 0.02, 50)]))
ends = {"linear, T = 1000": linear(), "cosine, T = 1000": cosine(), "cut short, T = 50": cut_short}
for name, s in ends.items():
    print(f"{name:17} ᾱ_T = {s.alpha_bar[-1]:.1g}")
assert max(linear().alpha_bar[-1], cosine().alpha_bar[-1]) < 1e-4 < 0.5 < cut_short.alpha_bar[-1]

# %% [markdown]
# Fifty small steps leave 60 % of the signal's variance at the end, and nobody knows how to draw such half-noise. The test is
# one line: print $\bar\alpha_T$.
#
# ### Deeper: how far from noise, in nats
#
# There are two different questions, and papers mix them up. Both are a KL from what the chain really gives, $q$, to
# $\mathcal N(0, I)$, for short $\mathcal N$.
#
# - How far is *one* noisy picture from noise, on average?
#   $\;\mathbb E_{x_0}\,\mathrm{KL}\big(q(x_T\mid x_0)\,\|\,\mathcal N\big)$. This is the term $L_T$ of the bound in
#   notebook 04.
# - How far is the *whole collection* of noisy pictures from noise? $\;\mathrm{KL}\big(q(x_T)\,\|\,\mathcal N\big)$. This is
#   the mistake that you make by starting from noise.
#
# The first is larger. The difference is the **mutual information**
# $I(x_0; x_T) = \mathbb E\big[\log q(x_T\mid x_0) - \log q(x_T)\big]$: how much $x_T$ still tells you about $x_0$, in nats. For
# a fixed $x_0$ the average over $x_T$ is the KL from $q(x_T\mid x_0)$ to $q(x_T)$, which is never negative; so neither is $I$.
#
# $$ \mathbb E_{x_0}\,\mathrm{KL}\big(q(x_T\mid x_0)\,\|\,\mathcal N\big) \;=\; \mathrm{KL}\big(q(x_T)\,\|\,\mathcal N\big) \;+\; I(x_0; x_T) \tag{6} $$
#
# To see it, write the first as the average of $\log q(x_T\mid x_0) - \log\mathcal N(x_T)$, and add and subtract
# $\log q(x_T)$. For the two peaks of Figure D1 all three can be computed, each by its own route. The first has a closed form,
# since the KL of two Gaussians is linear in $x_0^2$ (notebook 01). The second is an area on a grid.
#
# The third is a difference of two entropies. The **entropy** of a density, $-\int q \log q$, is the average of minus its
# logarithm, and measures how spread out it is. For a Gaussian of variance $\sigma^2$ it is $\tfrac12\log(2\pi e\,\sigma^2)$.
# Now $I$ is an average of two terms. That of $-\log q(x_T)$ is the entropy of $x_T$. That of $\log q(x_T\mid x_0)$ is minus
# the entropy of the noise alone, with $\sigma^2 = 1-\bar\alpha_T$.

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
print("schedule            one image   collection  information")
for name, s in ends.items():
    average, marginal, information = nats_from_noise(s)
    print(f"{name:17} {average:11.1e} {marginal:12.1e} {information:12.1e}")
    assert abs(average - marginal - information) < 1e-13

# %% tags=["claim"]
for s in ends.values():
    average, marginal, _ = nats_from_noise(s)
    assert average > 6 * marginal

# %% [markdown]
# The first column is the sum of the other two. After 1,000 steps the collection is about a millionth of a nat from noise, or
# less. Cut short, it is 0.1 nats away, for a single number; an image has 784. The first column is at least six times the
# second. It asks whether you could tell $x_T$ from noise *if you knew $x_0$*. A sampler does not know it, so for a sampler
# the second column counts.
#
# Can $\bar\alpha_T = 4\cdot10^{-5}$ still be too much? It can, where every pixel tells the same story. The brightness of a
# whole picture is the average of its pixels, and averaging removes the noise. Lin et al. (2024) found that for this reason
# well-known models could draw neither very dark nor very bright pictures.
#
# ## Exercises
#
# ### Exercise 1 (core): derive how long the noise remembers
#
# Many walkers leave from the same picture $x_0$. Look at one pixel, at a time $s$ and at a later time $t$. How strongly are
# its two values *correlated* over the walkers? Two jumps with the same $\varepsilon$ would say: fully. Take a pencil and the
# jump between two times, and find out what the chain says.

# %% tags=["exercise"]
def memory(alpha_bar_s, alpha_bar_t):
    """Correlation of x_s and x_t over paths from one x_0, for s < t. Floats; returns a float."""
    raise NotImplementedError


# %% tags=["check"]
check_memory(memory)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# $x_t = \sqrt\alpha\,x_s + \sqrt\beta\,\varepsilon$, and this $\varepsilon$ is independent of $x_s$. So the covariance of $x_s$
# and $x_t$ is $\sqrt\alpha$ times the variance of $x_s$. With $x_0$ fixed, what is that variance? A correlation is a covariance
# divided by both standard deviations.
# </details>
#
# <details><summary>Solution</summary>
#
# With $x_0$ fixed, $x_s$ has the variance $1-\bar\alpha_s$ and $x_t$ has $1-\bar\alpha_t$. The covariance is
# $\sqrt\alpha\,(1-\bar\alpha_s)$. Divided by both standard deviations, that is
#
# $$ \sqrt{\frac{\bar\alpha_t}{\bar\alpha_s}\cdot\frac{1-\bar\alpha_s}{1-\bar\alpha_t}} = \sqrt{\mathrm{SNR}_t/\mathrm{SNR}_s}. $$
#
# So what counts is how far log SNR has fallen in between. After 4.6, which is $2\log 10$, the correlation is a tenth.
#
# ```python
# def memory(alpha_bar_s, alpha_bar_t):
#     alpha = alpha_bar_t / alpha_bar_s
#     covariance = alpha**0.5 * (1 - alpha_bar_s)
#     return covariance / ((1 - alpha_bar_s) * (1 - alpha_bar_t)) ** 0.5
# ```
# </details>

# %% [markdown]
# ### Exercise 2 (core): build a schedule that is even in log SNR
#
# Make the table of $\beta_t$ for which $\log\mathrm{SNR}_t$ runs in a straight line, from `first` at $t = 1$ to `last` at
# $t = T$. Nothing is clipped. Then put it into `Schedule`, and look: which $t$ does the eye notice?

# %% tags=["exercise"]
def even_schedule(first, last, T):
    """beta for t = 0…T of the schedule with log_snr[1] = first and log_snr[T] = last.

    first, last: floats; T: an int. Returns float64 (T+1,), with beta[0] = 0.
    """
    raise NotImplementedError


# %% tags=["check"]
check_even_schedule(even_schedule)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# Solve (4) for $\bar\alpha_t$: it is $\mathrm{SNR}_t/(1+\mathrm{SNR}_t)$. Put $\bar\alpha_0 = 1$ in front, and divide
# neighbours: $\bar\alpha_t = \alpha_t\,\bar\alpha_{t-1}$.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def even_schedule(first, last, T):
#     log_snr = torch.linspace(first, last, T, dtype=torch.float64)
#     snr = log_snr.exp()
#     alpha_bar = snr / (1 + snr)
#     alpha_bar = torch.cat([torch.ones(1, dtype=torch.float64), alpha_bar])
#     alpha = alpha_bar[1:] / alpha_bar[:-1]
#     beta = 1 - alpha
#     return torch.cat([torch.zeros(1, dtype=torch.float64), beta])
# ```
#
# Now look at it: `s = Schedule(even_schedule(10.0, -10.0, 1000))`, and the strip of Figure 5 with `s` in it. The eye notices
# the stretch from about $t = 300$ to $t = 600$, where $\log\mathrm{SNR}_t$ lies between 4 and $-2$. Before it nothing seems to
# happen, and after it nothing is left to happen.
# </details>

# %% [markdown]
# ### Exercise 3 (core): find the fault, or rather the test that finds it
#
# Three jumps. Each has a bug of a kind that is common in public code, and none crashes.

# %%
def q_sample_A(x_0, t, eps, schedule):
    alpha_bar_t = at(schedule.alpha_bar, t, like=x_0)
    return alpha_bar_t.sqrt() * x_0 + (1 - alpha_bar_t) * eps


def q_sample_B(x_0, t, eps, schedule):
    alpha_bar_t = schedule.alpha_bar[t - 1]
    return alpha_bar_t.sqrt() * x_0 + (1 - alpha_bar_t).sqrt() * eps


def q_sample_C(x_0, t, eps, schedule):
    alpha_bar_t = at(schedule.alpha_bar, t, like=x_0)
    return alpha_bar_t.sqrt() * x_0 + (1 - alpha_bar_t).sqrt() * eps[0]

# %% [markdown]
# Five tests, on 64 digits under `linear()`. Call $n_t = x_t - \sqrt{\bar\alpha_t}\,x_0$ what a jump has added. Variances are over
# all pixels of all pictures, and may be off by a quarter.
#
# 1. The variance of $n_{1000}$ is 1.
# 2. At $t = 0$ the jump hands back $x_0$.
# 3. The variance of $n_{300}$ is $1-\bar\alpha_{300}$.
# 4. The $n_{300}$ of two pictures have a correlation below 0.2.
# 5. At $t = 1$ the jump equals `q_step` with the same noise.
#
# Which tests find which bug? Think first, then run them.

# %% tags=["exercise"]
def found_by():
    """For each of A, B, C the tests that fail: {"A": {…}, "B": {…}, "C": {…}}, sets of 1…5."""
    raise NotImplementedError


# %% tags=["check"]
check_found_by(found_by)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# What is the bug in each? A uses a variance as a standard deviation. B is one step early. C gives all pictures one noise.
# For each test ask: what does this bug do *at this t*? At $t = 1000$, the number whose root is missing is nearly 1.
# </details>
#
# <details><summary>Solution</summary>
#
# The first test is the one that everybody writes, and it finds none of the three. Test 5 finds them all: it compares with
# something that you trust already, exactly, in the smallest case.
#
# ```python
# def found_by():
#     return {"A": {3, 5}, "B": {2, 5}, "C": {4, 5}}
# ```
# </details>

# %% [markdown]
# ### Exercise 4 (core): an experiment with pictures twice as large
#
# Turn each pixel of a digit into a block of four: the same picture, twice as large. Does it drown at the same time? Find the
# first $t$ at which the wave with $k$ crests is weaker than the noise, for small and for large. Guess first.

# %% tags=["exercise"]
def drowning(images, alpha_bar, k):
    """The first t with alpha_bar[t] P_k < 1 - alpha_bar[t], for images as given and twice as large.

    images: float64 (n, 1, 28, 28), their mean subtracted; alpha_bar: float64 (T+1,); k: an int.
    Returns (t_small, t_large), two ints.
    """
    raise NotImplementedError


# %% tags=["check"]
check_drowning(drowning)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# `images.repeat_interleave(2, dim=2)` repeats each row. `wave_power(images)[k]` is $P_k$; the wave with $k$ crests across the
# large picture is the same wave. `(condition).nonzero()[0]` is the first index at which a condition holds.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def drowning(images, alpha_bar, k):
#     large = images.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
#     times = []
#     for pictures in (images, large):
#         power = wave_power(pictures)[k]
#         drowned = alpha_bar * power < 1 - alpha_bar
#         times.append(int(drowned.nonzero()[0]))
#     t_small, t_large = times
#     return t_small, t_large
# ```
#
# Later. Four pixels now tell what one told before. Their average has a quarter of the noise, so a coarse wave stands out nearly
# four times as far. To have the large picture drown on the old timetable, lower log SNR by $\log 4 \approx 1.4$ for each
# doubling. That is the shifted cosine of Hoogeboom et al. (2023).
# </details>

# %% [markdown]
# ### Exercise 5 (core): criticise a claim
#
# "*Our cosine schedule destroys information evenly*", says a paper, and shows Figures 2 and 4. Which of these follow?
#
# - **A** In the middle half of the chain, each 250 steps take about the same from $\bar\alpha_t$.
# - **B** Each quarter of the chain takes about the same from $\log\mathrm{SNR}_t$.
# - **C** The cosine spends more of its chain on pictures in which one sees a digit than linear does.
# - **D** A model trained with it will draw better digits.
# - **E** Fine detail drowns first because the cosine starts slowly.
# - **F** The noisy pictures of its middle half also occur on the linear chain, at other times.
# - **G** It will make a picture of 512 × 512 pixels disappear as evenly to the eye.

# %% tags=["exercise"]
def what_follows():
    """The letters of the statements that follow, as a set: {"A", …}."""
    raise NotImplementedError


# %% tags=["check"]
check_what_follows(what_follows)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# For each statement, ask which figure or table shows it. Two of the seven speak of things that no schedule can choose.
# </details>
#
# <details><summary>Solution</summary>
#
# A is Figure 2, left; C is Figure 5; F is the timetable. B fails in the table of section 5. D confuses a schedule with a
# model. E takes the timetable for the rails. G is exercise 4.
#
# ```python
# def what_follows():
#     return {"A", "C", "F"}
# ```
# </details>

# %% [markdown]
# ## A common mistake
#
# $\beta_t$ is a variance. Many have used it as a standard deviation: `x = sqrt(1 - beta) * x + beta * eps`. Nothing crashes.
# Here is the variance along the chain, with the mistake and with its fix, and a digit that walks it.

# %% tags=["check"]
var_right = [1.0]
var_wrong = [1.0]
for beta_t in linear().beta[1:].tolist():
    var_right.append((1 - beta_t) * var_right[-1] + beta_t)
    var_wrong.append((1 - beta_t) * var_wrong[-1] + beta_t**2)
print(f"variance at the end: {var_right[-1]:.2f}, with β as standard deviation {var_wrong[-1]:.2f}")
assert abs(var_right[-1] - 1) < 1e-12
assert 40 < 1 / var_wrong[-1] < 60

# %%
def walked(power, seed=1):
    """The digit at nine times of a walk whose noise has the factor β to this power."""
    fresh = torch.Generator().manual_seed(seed)
    x = digit
    seen = [x]
    for t in range(1, 1001):
        beta_t = linear().beta[t]
        eps = torch.randn(x.shape, generator=fresh, dtype=x.dtype)
        x = (1 - beta_t).sqrt() * x + beta_t**power * eps
        if t % 125 == 0:
            seen.append(x)
    return torch.cat(seen)

# %% tags=["figure"]
rows = {"β as variance": walked(0.5), "as std. dev.": walked(1.0)}
show(gallery(rows, [f"t = {t}" for t in nine], size=1.05),
     alt="Two rows of a three on its way to noise. Upper row: it drowns in grain. "
         "Lower row: it fades into an even grey.")

# %% [markdown]
# **Figure 6.** The same digit on the linear chain. Below, the noise that should fill the gap is missing, and the digit fades
# into grey. *The symptom*: over a batch, the variance of $x_T$ is not about 1. No training will help, for sampling starts
# from noise of some fifty times the variance that the network saw.
#
# ## Summary
#
# - A step shrinks the signal a little and adds a little noise. The variance stays 1, so the end is known.
# - The jump (5) reaches any time at once. So every $q(x_t \mid x_0)$ is known.
# - Noise is flat and digits are not: fine detail drowns first, under every schedule.
# - A schedule is a timetable. The cosine turns evenly from signal to noise, and shows a digit for longer than linear. In
#   log SNR neither is even; and once the steps are small, what notebook 04 measures does not depend on the schedule.
# - The end is noise if $\bar\alpha_T$ is nearly 0. Cutting $T$ alone leaves 60 % of the signal's variance.
#
# | symbol | what it is |
# |---|---|
# | $\beta_t$ | variance of the noise that step $t$ adds |
# | $\alpha_t = 1-\beta_t$ | fraction of the signal's variance that step $t$ keeps |
# | $\bar\alpha_t$ | the same for all steps up to $t$; $1-\bar\alpha_t$ is noise |
# | $\mathrm{SNR}_t$ | $\bar\alpha_t/(1-\bar\alpha_t)$ |
# | $\alpha = \bar\alpha_t/\bar\alpha_s$, $\beta = 1-\alpha$ | of the jump from a time $s$ to a later $t$ |
#
# From now on: `from diffusion_lab.theory.schedule import Schedule, linear, cosine` and
# `from diffusion_lab.theory.forward import q_step, q_sample`.
#
# ## Check yourself
#
# <details><summary>Is anything in this notebook learned from data?</summary>
#
# No. All is fixed once the schedule is chosen. Only the way back is learned.
# </details>
#
# <details><summary>The data has variance 0.25 in each pixel. What is the variance of $x_t$?</summary>
#
# $0.25\,\bar\alpha_t + 1 - \bar\alpha_t$: it rises from 0.25 to 1. "Variance preserving" holds for data of variance 1.
# </details>
#
# <details><summary>Is there a schedule under which coarse structure drowns before fine detail?</summary>
#
# No. The noise is the same for every wave, and digits have more power in their coarse ones. It would take another kind of
# noise.
# </details>
#
# ## Further reading
#
# - Ho, Jain & Abbeel (2020), *Denoising Diffusion Probabilistic Models*: eq. 2 is our (1), eq. 4 our (5), Figure 2 our Figure 1.
# - Nichol & Dhariwal (2021), *Improved Denoising Diffusion Probabilistic Models*, section 3.2: eq. 17 is the cosine,
#   Figure 3 our Figure 5.
# - Kingma et al. (2021), *Variational Diffusion Models*, section 5: the bound and the ends of the SNR.
# - Hoogeboom, Heek & Salimans (2023), *simple diffusion*, and Chen (2023), *On the Importance of Noise Scheduling for Diffusion
#   Models*: large pictures.
# - Dieleman (2024), *Diffusion is spectral autoregression*: our Figure 4.
# - Lin et al. (2024), *Common Diffusion Noise Schedules and Sample Steps Are Flawed*: the end.
#
# ## Next
#
# Notebook 03 turns the chain around: given $x_t$, where did it come from?
