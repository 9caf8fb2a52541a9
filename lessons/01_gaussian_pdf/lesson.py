# %% [markdown]
# # Get to know the noise: the Gaussian density
#
# You know one pixel from many pictures: it is usually dark, about -0.5 on a scale from -1 (black) to 1 (white), give or
# take 0.5. Today a cheap camera says 0.7, and its noise has a standard deviation of 0.4.
#
# **What was the pixel?** You have two opinions, what you knew and what you just saw, and neither is certain. A diffusion
# model answers this question for all pixels of a picture together, a few dozen times in a row, and out comes a digit. For one
# pixel you will answer it in section 3. (A bell curve reaches below black; exercise 2 comes nearer to real pixels.)
#
# You will be able to
#
# - **read** a density, and say why it may be larger than 1,
# - **make** Gaussian noise of any mean and variance, and say what scaling and adding do,
# - **combine** what you believed with what you measured,
# - **measure** in nats how wrong a belief is, and say which beliefs are costly,
# - **explain** why no sample in 784 dimensions looks like the most likely point.
#
# Do you know all this? If you can do exercises 1, 4 and 5 cold, read section 5 and go on to 02.
#
# **You need** first-year linear algebra, calculus and probability; you read Python. **Time to read** 60 minutes · with the
# core exercises 110 · with everything 135 · **to run** 15 seconds. **Paper sections**: background for all of Ho et al.
# 2020; Bishop 2006, sections 1.2.4 and 2.3.
#
# ## Set-up
#
# Numbers live in **tensors**, PyTorch's arrays, with a *shape* such as `(1, 1, 28, 28)` for one grey image. A **generator** is a
# source of random numbers; ours has a fixed seed, and whoever draws is handed it. In the pictures of the course data is blue,
# noise grey, a model orange, an exact answer black and dashed.

# %%
import ipywidgets as widgets
import numpy as np
import torch
from scipy import stats

from diffusion_lab.data.digits import load_digits
from diffusion_lab.exercises.gaussian_pdf import (
    check_claims,
    check_equally_costly,
    check_fault,
    check_mixture,
    check_pooled,
)
from diffusion_lab.view.frames import painter
from diffusion_lab.view.live import Live
from diffusion_lab.view.plots import curves
from diffusion_lab.view.show import show
from diffusion_lab.view.style import POINTS, ROLES, figure

generator = torch.Generator().manual_seed(0)


def normal(generator, *shape):
    """Independent draws from the standard normal, float64."""
    return torch.randn(*shape, generator=generator, dtype=torch.float64)

# %% tags=["figure"]
# draws the two opinions below
fig, ax = figure(width=8, height=3.2)
value = np.linspace(-2, 2, 401)
curves(ax, [(value, stats.norm.pdf(value, -0.5, 0.5), "data", "what you knew: about -0.5"),
            (value, stats.norm.pdf(value, 0.7, 0.4), "noise", "what the camera says: about 0.7")],
       "the pixel: -1 is black, 1 is white", "how plausible", xlim=(-2, 2), ylim=(-0.15, 1.25))
ax.imshow(np.clip(value, -1, 1)[None], cmap="gray", vmin=-1, vmax=1, extent=(-2, 2, -0.15, -0.03), aspect="auto")
ax.text(0.12, 0.62, "?", fontsize=34, ha="center")
ax.set_yticks([])
ax.grid(False)
ax.legend(loc="upper left")
show(fig, alt="Two bell curves over a strip that goes from black to white: one around -0.5, one around 0.7, "
              "and a question mark between them.")

# %% [markdown]
# **Figure 1.** Two opinions about one pixel. Where would you put your own bell curve, and how wide would it be?
#
# ## Predict first
#
# 1. What was the pixel: -0.5, 0.7, or between? Are you now surer than before the reading, or less sure? (Section 3.)
# 2. A histogram of people's heights has total area 1. In metres, its top is at about 4. Can that be, when a probability is
#    never above 1? (Section 1.)
# 3. You average two pictures of pure noise. Is the average a picture of pure noise? (Section 5.)
#
# ## 1 · A density is a height, a probability is an area
#
# *Used in notebook 04, which scores a model by the density that it gives to real digits.*
#
# A **random variable** is a number that comes out differently each time, such as a pixel of noise. Its **density** says
# where: the probability of landing between $a$ and $b$ is the *area* under the density from $a$ to $b$. So a density is
# nowhere negative, and its whole area is 1.
#
# The **Gaussian**, or **normal**, density has two settings. The **mean** $\mu$ says where its middle is. The **variance**
# $\sigma^2$ is the average squared distance from the mean, and says how wide it is. The root $\sigma$ is the **standard
# deviation**, in the unit of the values.
#
# $$ \mathcal N(x;\, \mu, \sigma^2) = \frac{1}{\sqrt{2\pi\sigma^2}}\,
#    \exp\!\Big(-\frac{(x-\mu)^2}{2\sigma^2}\Big) \tag{1} $$
#
# In code we keep its logarithm. The density of a whole image of noise is a product of 784 small factors, too small for a
# computer; a sum of 784 logarithms is no trouble. The unit of such a logarithm is the **nat**.

# %% tags=["export:diffusion_lab.theory.gaussian"]
def log_prob(x, mean, var):
    """log N(x; mean, var), in nats: the logarithm of equation (1)."""
    x, mean, var = (torch.as_tensor(value, dtype=torch.float64) for value in (x, mean, var))
    return -0.5 * ((x - mean) ** 2 / var + torch.log(2 * torch.pi * var))

# %% [markdown]
# Does it agree with scipy, and is the area 1? Mind that scipy's `norm` takes the standard deviation $\sqrt 2$ where ours takes the
# variance 2.

# %% tags=["check"]
x = torch.linspace(-12, 12, 2401, dtype=torch.float64)
scipys = torch.from_numpy(stats.norm.logpdf(x, 0.5, 2.0**0.5))
assert torch.allclose(log_prob(x, 0.5, 2.0), scipys, atol=1e-12)

area = torch.trapezoid(log_prob(x, 0.5, 2.0).exp(), x)
assert abs(area - 1) < 1e-9
print(f"area under the density: {area:.6f}")

# %% [markdown]
# Now the heights: mean 1.70 m, standard deviation 0.1 m.

# %% tags=["figure"]
# draws the two densities of heights below
fig, axes = figure(columns=2, width=8.5, height=3.2)
for ax, unit, scale in zip(axes, ["metres", "centimetres"], [1, 100]):
    height = scale * torch.linspace(1.3, 2.1, 201, dtype=torch.float64)
    density = log_prob(height, scale * 1.7, (scale * 0.1) ** 2).exp()
    near = (height - scale * 1.7).abs() < scale * 0.1001
    curves(ax, [(height, density, "exact", None)],
           f"height in {unit}", "density", f"top at {density.max():.2f}")
    ax.fill_between(height[near], density[near], alpha=0.25, color=ROLES["data"]["color"])
    ax.text(scale * 1.7, density.max() / 4, "area\n0.68", ha="center")
show(fig, alt="The same bell curve twice: over metres its top is at 3.99, "
              "over centimetres at 0.04. The middle is shaded, with area 0.68 in both.")

# %% tags=["claim"]
# checks what the text says: the top, the shaded area, the product of 784 densities
assert round(log_prob(1.7, 1.7, 0.1**2).exp().item(), 2) == 3.99
assert round(stats.norm.cdf(1) - stats.norm.cdf(-1), 2) == 0.68
assert log_prob(torch.zeros(784), 0, 1).exp().prod() < 1e-300

# %% [markdown]
# **Figure 2.** The same people in two units. Look at the numbers on the axes: the left curve is a hundred times as high and a
# hundredth as wide. The shaded area, from 1.60 m to 1.80 m, is the same.
#
# So a top of 4 is fine: it is 4 *per metre*. A density may be as high as it likes, as long as it is narrow.
#
# ## 2 · Shift, scale, add
#
# *Used in notebook 02, where a step shrinks a picture and adds fresh noise.*
#
# A computer hands out draws from $\mathcal N(0, 1)$, the **standard normal**. We call such a draw $\varepsilon$. To get any
# other Gaussian, multiply by the standard deviation, then add the mean:
#
# $$ x = \mu + \sigma\,\varepsilon, \qquad \varepsilon \sim \mathcal N(0, 1)
#    \quad\Longrightarrow\quad x \sim \mathcal N(\mu, \sigma^2) \tag{2} $$
#
# Read $\sim$ as "is drawn from".

# %% tags=["figure"]
# draws the five draws below, before and after
fig, ax = figure(width=8, height=3.6)
eps = torch.randn(5, generator=torch.Generator().manual_seed(0), dtype=torch.float64).numpy()
line = np.linspace(-6, 10, 401)
ax.plot(line, 2 + 2.2 * stats.norm.pdf(line), **ROLES["noise"])
ax.plot(line, 2.2 * stats.norm.pdf(line, 3, 2), **ROLES["exact"])
for draw in eps:
    ax.annotate("", xy=(3 + 2 * draw, 0.03), xytext=(draw, 2.0),
                arrowprops={"arrowstyle": "->", "color": "black", "alpha": 0.6})
ax.plot(eps, 2 + 0 * eps, "o", color=ROLES["noise"]["color"])
ax.plot(3 + 2 * eps, 0 * eps, "o", color=ROLES["noise"]["color"])
ax.axhline(2, color="#bbbbbb", linewidth=0.8, zorder=0)
ax.axhline(0, color="#bbbbbb", linewidth=0.8, zorder=0)
ax.text(-5.8, 2.12, r"$\varepsilon \sim \mathcal{N}(0, 1)$")
ax.text(-5.8, 0.12, r"$x = 3 + 2\,\varepsilon \sim \mathcal{N}(3, 4)$")
ax.set(xlim=(-6, 10), ylim=(-0.1, 3.0), xlabel="value", yticks=[])
show(fig, alt="Five draws under a narrow bell curve at 0, with arrows to where they go: "
              "twice as far apart, around 3, under a bell curve twice as wide and half as high.")

# %% [markdown]
# **Figure 3.** Five draws of standard normal noise, and where $3 + 2\varepsilon$ takes them. The gaps double; the curve gets
# twice as wide and half as high.
#
# The means and variances follow a rule that holds for every random variable. Under the **affine map** $a x + b$, a mean $\mu$
# becomes $a\mu + b$, and a variance $\sigma^2$ becomes $a^2\sigma^2$.
#
# **Adding.** Now add two **independent** draws: to know one tells nothing about the other. The means add. The widths do not,
# because highs of $x$ meet lows of $y$ as often as highs, and partly cancel. What adds is the *variances*:
#
# $$ x \sim \mathcal N(\mu_1, \sigma_1^2),\; y \sim \mathcal N(\mu_2, \sigma_2^2) \text{ independent}
#    \;\Longrightarrow\; x + y \sim \mathcal N(\mu_1+\mu_2,\; \sigma_1^2+\sigma_2^2) \tag{3} $$
#
# How far may an experiment miss? By (3) the average of $n$ draws has variance $\sigma^2/n$. So it misses the mean by about
# $\sigma/\sqrt n$, its **standard error**. Our checks allow four; chance exceeds that once in 16,000 times. And do two numbers go
# together? Their **correlation** is the average of their product, once both have mean 0 and variance 1. For independent
# numbers it is 0, and over $n$ draws about $1/\sqrt n$ away from it.

# %% tags=["check"]
n = 100_000
one = 1 + 3 * normal(generator, n)
other = -2 + 4 * normal(generator, n)
total = one + other
assert abs(total.mean() - (-1)) < 4 * 5 / n**0.5
correlation = ((one - 1) / 3 * ((other + 2) / 4)).mean()
assert abs(correlation) < 4 / n**0.5
print(f"standard deviations 3 and 4 make {total.std():.1f}; correlation {abs(correlation):.2f}")

# %% tags=["figure"]
# draws the two triangles below
fig, axes = figure(columns=2, width=8.5, height=3.3)
for ax, across, up, names in [(axes[0], 4, 3, ("4", "3", "5")),
                              (axes[1], 0.9**0.5, 0.1**0.5, (r"$\sqrt{0.9}$: signal", r"$\sqrt{0.1}$: noise", "1"))]:
    ax.fill([0, across, across], [0, 0, up], color=ROLES["data"]["color"], alpha=0.1)
    ax.plot([0, across], [0, 0], color=ROLES["data"]["color"], linewidth=3)
    ax.plot([across, across], [0, up], color=ROLES["noise"]["color"], linewidth=3)
    ax.plot([0, across], [0, up], color="black", linewidth=3)
    corner = 0.05 * across
    ax.plot([across - corner, across - corner, across], [0, corner, corner], color="black", linewidth=0.8)
    ax.text(across / 2, -0.07 * across, names[0], ha="center", va="top", fontsize=13)
    ax.text(1.04 * across, up / 2, names[1], va="center", fontsize=13)
    ax.text(across / 2 - 0.03 * across, up / 2 + 0.05 * across, names[2], ha="right", fontsize=13)
    ax.set(aspect="equal", xlim=(-0.05 * across, 1.55 * across), ylim=(-0.22 * across, 0.8 * across))
    ax.axis("off")
axes[0].set_title("standard deviations 4 and 3 make 5")
axes[1].set_title("one step of notebook 02: the sum stays at 1")
show(fig, alt="Two right-angled triangles: legs 4 and 3 with hypotenuse 5, and legs √0.9 and √0.1 with hypotenuse 1.")

# %% [markdown]
# **Figure 4.** Standard deviations of independent parts add like the legs of a right-angled triangle. On the right, the
# trick of the whole forward chain: shrink the signal, add a little noise, and the sum is as wide as before.
#
# ### Deeper: why variances add, and is the sum a bell?
#
# Why variances add: the squared distance of $x+y$ from its mean is $(x-\mu_1)^2 + (y-\mu_2)^2 + 2(x-\mu_1)(y-\mu_2)$, and for
# independent draws the last term averages to 0.
#
# The variance of $n$ Gaussian draws misses $\sigma^2$ by about $\sigma^2\sqrt{2/n}$, its standard error, because
# $\varepsilon^2$ has variance 2 (the deeper section on the norm).
#
# Mean and variance cannot tell a bell from another shape. The **Kolmogorov–Smirnov test** compares all of the draws with
# the density that is claimed for them. Its p-value is the chance of a difference at least this large if the claim is true;
# a tiny one is bad news. And no draws at all are needed for the density of a sum, an integral over all ways to make it:
# $q(s) = \int q_1(u)\, q_2(s-u)\, du$. (Computing an integral by numbers, as `quad` does, is **quadrature**.)

# %% tags=["check"]
mean, var = 3.0, 4.0
x_n = mean + var**0.5 * normal(generator, n)
assert abs(x_n.mean() - mean) < 4 * (var / n) ** 0.5
assert abs(x_n.var() - var) < 4 * var * (2 / n) ** 0.5
assert stats.kstest(x_n.numpy(), "norm", args=(mean, var**0.5)).pvalue > 0.001
print(f"mean {x_n.mean():.1f} (should be 3), variance {x_n.var():.1f} (should be 4)")

# %% tags=["check"]
from scipy import integrate


def density_of_sum(s):
    """The density of x + y at s, for x from N(1, 9) and y from N(-2, 16), by quadrature."""
    def both(u):
        return (log_prob(u, 1.0, 9.0) + log_prob(s - u, -2.0, 16.0)).exp().item()

    return integrate.quad(both, -60, 60, epsabs=1e-12)[0]


for s in (-6.0, -1.0, 4.0):
    assert abs(density_of_sum(s) - log_prob(s, -1.0, 25.0).exp()) < 1e-9

# %% tags=["claim"]
# checks what the text says: four standard errors are exceeded once in 16,000 times
assert round(1 / (2 * stats.norm.sf(4)), -3) == 16_000

# %% [markdown]
# ## 3 · Two opinions, weighted by their precision
#
# *Used in notebook 03: a step back multiplies two Gaussians, what the noisy picture says and what the clean one says.*
#
# Call the true pixel $x$ and the reading $y$. The world draws $x$ from $\mathcal N(-0.5,\, 0.5^2)$, and the camera adds noise.
# Let this happen two million times, and keep the cases in which the camera said 0.7. What are the true values in what you kept?

# %%
pixel = -0.5 + 0.5 * normal(generator, 2_000_000)
reading = pixel + 0.4 * normal(generator, 2_000_000)
kept = pixel[(reading - 0.7).abs() < 0.05]
print(f"kept: mean {kept.mean():.2f}, standard deviation {kept.std():.2f}")

# %% tags=["figure"]
# draws the pairs and the kept ones below
fig, (left, right) = figure(columns=2, width=9, height=3.8)
left.scatter(pixel[:3000], reading[:3000], **POINTS["data"])
left.axhspan(0.65, 0.75, color="black", alpha=0.3, linewidth=0)
left.text(-2.1, 0.83, "the camera said 0.7")
left.set(xlabel="true pixel $x$", ylabel="reading $y$", xlim=(-2.2, 1.6), ylim=(-2.6, 2.0))
grid = torch.linspace(-2.2, 1.6, 400, dtype=torch.float64)
right.hist(kept, bins=40, density=True, color=ROLES["data"]["color"], alpha=0.3, label="kept pixels")
curves(right, [(grid, log_prob(grid, -0.5, 0.25).exp(), "data", "before"),
               (grid, log_prob(0.7, grid, 0.16).exp(), "noise", "what $y = 0.7$ says"),
               (grid, log_prob(grid, 0.232, 0.0976).exp(), "exact", "product, area 1")],
       "true pixel $x$", "density", xlim=(-2.2, 1.6), ylim=(0, 1.75))
right.legend(loc="upper left")
show(fig, alt="Left: a tilted cloud of true and measured values with a thin band at reading 0.7. Right: the pixels in "
              "the band make a narrow bell at 0.23, which lies on the rescaled product of two wider ones.")

# %% [markdown]
# **Figure 5.** Left: what happens in the world, and the band that you keep. Right: the true pixels in that band. The pile lies
# between the two opinions, and is *narrower than both*.
#
# Notebook 03 lives on three words for this picture. The cloud is the **joint** law $q(x, y)$ of pixel and reading. Its shadow on
# the $x$ axis is the **marginal** law $q(x)$: the pixel, whatever the reading was. A slice at one $y$, rescaled to area 1, is the
# **conditional** law $q(x \mid y)$, the bar read as **given**. (The world's laws are called $q$; a model's, from section 4 on, $p$.)
#
# $$ q(x) = \int q(x, y)\, dy, \qquad\quad q(x, y) = q(x)\; q(y \mid x) = q(y)\; q(x \mid y) $$
#
# The second says: draw the pixel, then the reading given the pixel, or the other way round. It is the same cloud. Solve it for
# the slice, where $y$ is fixed and $q(y)$ is a mere number:
#
# $$ q(x \mid y) \;\propto\; q(x)\; q(y \mid x). $$
#
# This is **Bayes' rule**; $\propto$ is "equal up to a factor without $x$". What you knew before, $q(x)$, is the *prior*; what
# the reading says, $q(y \mid x)$, the *likelihood*; what you know now, the *posterior*. The likelihood is a bell in $y$. But (1)
# holds only $(y-x)^2$, so seen as a function of $x$ it is a bell as well, around $y$. And a product of two bells in $x$ has a closed
# form:
#
# $$ \mathcal N(x; \mu_1, \sigma_1^2)\,\mathcal N(x; \mu_2, \sigma_2^2) \;\propto\; \mathcal N(x; \mu, \sigma^2),
#    \qquad \frac1{\sigma^2} = \frac1{\sigma_1^2} + \frac1{\sigma_2^2},
#    \qquad \mu = \sigma^2\Big(\frac{\mu_1}{\sigma_1^2} + \frac{\mu_2}{\sigma_2^2}\Big) \tag{4} $$
#
# Exercise 1 asks you to show it. One over a variance is called **precision**: precisions add, and the best guess is an average
# weighted by precision.

# %% tags=["export:diffusion_lab.theory.gaussian"]
def product(mean_1, var_1, mean_2, var_2):
    """Mean and variance of the Gaussian in equation (4)."""
    mean_1, mean_2 = (torch.as_tensor(mean, dtype=torch.float64) for mean in (mean_1, mean_2))
    var_1, var_2 = (torch.as_tensor(var, dtype=torch.float64) for var in (var_1, var_2))
    var = 1 / (1 / var_1 + 1 / var_2)
    mean = var * (mean_1 / var_1 + mean_2 / var_2)
    return mean, var

# %% tags=["check"]
posterior_mean, posterior_var = product(-0.5, 0.5**2, 0.7, 0.4**2)
assert abs(kept.mean() - posterior_mean) < 0.01
assert abs(kept.std() - posterior_var.sqrt()) < 0.01
print(f"by (4): mean {posterior_mean:.2f}, standard deviation {posterior_var.sqrt():.2f}")

# %% [markdown]
# That is your answer: the pixel was about 0.23, give or take 0.31.
#
# **Try it.** Let the camera get better and worse. Whom does the product believe when noise and prior are equally wide? When the
# camera is hopeless? And can any reading leave you *less* sure than before?

# %% tags=["figure"]
# draws the two opinions and their product, live
def opinions_picture():
    """A function that draws prior, likelihood and posterior for a reading and the camera's noise."""
    fig, ax = figure(width=8.5, height=3.8)
    before = log_prob(grid, -0.5, 0.25).exp()
    curves(ax, [(grid, before, "data", "prior: N(-0.5, 0.5²)"), (grid, before, "noise", "the reading"),
                (grid, before, "exact", "product: what you know now")],
           "true pixel $x$", "density", " ", xlim=(-2.2, 1.6), ylim=(0, 1.75))
    guess, = ax.plot([0, 0], [0, 0], color="black", linewidth=1)
    ax.legend(loc="upper left")
    paint = painter(fig, [ax.lines[1], ax.lines[2], guess, ax.title])

    def draw(reading, noise_std):
        mean, var = product(-0.5, 0.25, reading, noise_std**2)
        ax.lines[1].set_ydata(log_prob(reading, grid, noise_std**2).exp())
        ax.lines[2].set_ydata(log_prob(grid, mean, var).exp())
        guess.set_data([mean, mean], [0, log_prob(mean, mean, var).exp()])
        weight = var / noise_std**2
        ax.title.set_text(f"best guess {mean:.2f} ± {var.sqrt():.2f};   "
                          f"the prior counts {1 - weight:.0%}, the reading {weight:.0%}")
        return paint()

    return draw


Live(
    opinions_picture(),
    reading=widgets.FloatSlider(value=0.7, min=-2.0, max=1.5, step=0.1, description="reading"),
    noise_std=widgets.FloatSlider(value=0.4, min=0.3, max=3.0, step=0.1, description="noise σ"),
    caption="Two opinions: the sliders move what the camera says and how noisy it is. "
            "Whom does the product believe?",
    alt="Three bell curves: the prior at -0.5, the likelihood of the reading, and their narrower product between them.",
)

# %% tags=["claim"]
# checks what the text says: the best guess, and that equal widths meet halfway
assert round(posterior_mean.item(), 2) == 0.23
assert round(posterior_var.sqrt().item(), 2) == 0.31
assert torch.isclose(product(-0.5, 0.25, 0.7, 0.25)[0], torch.tensor(0.1, dtype=torch.float64))

# %% [markdown]
# With equal widths they meet halfway. With a hopeless camera you keep your prior, and that is the noisy end of a diffusion
# model: where the picture says nothing, the model answers with what it knows. And for Gaussians a second opinion, however bad,
# never makes you less sure.

# %% [markdown]
# ## 4 · How wrong is a belief?
#
# *Used in notebook 04: the loss of a diffusion model is derived as a sum of such numbers.*
#
# You believe $p$; the numbers come from $q$. Call $-\log p(x)$ your **surprise** at $x$: large where you expected little. Somebody who knows the truth is surprised,
# too, by $-\log q(x)$. What you pay for your belief is the difference, averaged over the numbers that really come: the
# **Kullback–Leibler divergence**, KL for short.
#
# $$ \mathrm{KL}(q\,\|\,p) = \mathbb E_{x\sim q}\big[\log q(x) - \log p(x)\big] \tag{5} $$
#
# $\mathbb E_{x\sim q}$ is the **expectation**: the average over draws from $q$. From here on and throughout the course $q$ is the
# truth and stands first; $p$ is a model of it. KL is 0 if the two agree and positive otherwise. For two Gaussians it is
#
# $$ \mathrm{KL} = \tfrac12\Big[\frac{\sigma_q^2}{\sigma_p^2} + \frac{(\mu_q-\mu_p)^2}{\sigma_p^2} - 1
#    - \log\frac{\sigma_q^2}{\sigma_p^2}\Big] \tag{6} $$

# %% tags=["export:diffusion_lab.theory.gaussian"]
def kl(mean_q, var_q, mean_p, var_p):
    """KL(q‖p) of two Gaussians, in nats: equation (6)."""
    mean_q, mean_p = (torch.as_tensor(mean, dtype=torch.float64) for mean in (mean_q, mean_p))
    var_q, var_p = (torch.as_tensor(var, dtype=torch.float64) for var in (var_q, var_p))
    ratio = var_q / var_p
    return 0.5 * (ratio + (mean_q - mean_p) ** 2 / var_p - 1 - torch.log(ratio))

# %% [markdown]
# The check draws from $q$ and averages, as (5) says. To compute an average by drawing is the **Monte Carlo** method.

# %% tags=["check"]
x_q = 1.0 + 0.5 * normal(generator, 400_000)
by_drawing = (log_prob(x_q, 1.0, 0.25) - log_prob(x_q, 0.0, 1.0)).mean()
exact = kl(1.0, 0.25, 0.0, 1.0)
assert abs(by_drawing - exact) < 0.01
print(f"truth narrow, belief wide: {exact:.2f} nats (by drawing {by_drawing:.2f})")
print(f"truth wide, belief narrow: {kl(0.0, 1.0, 1.0, 0.25):.2f} nats")

# %% [markdown]
# KL has a direction. A belief that is too wide is merely vague. One that is too narrow meets numbers that it held next to
# impossible, and each is a great surprise.
#
# **Try it.** Here is real data: the ink of each of our 4,000 training digits, in per cent of the page. Match it. Which costs
# more, a $\sigma$ half as large as the right one or twice as large? And what do the best settings remind you of?

# %% tags=["figure"]
# draws the ink of real digits and a belief about it, live
def belief_picture():
    """A function that draws the histogram of the ink, a Gaussian belief, and its KL from the histogram."""
    images, _ = load_digits("train")
    ink = 50 * (images.double().mean(dim=(1, 2, 3)) + 1)
    count, edges = np.histogram(ink, bins=40, range=(0, 32))
    width = edges[1]
    held = count > 0
    q = torch.from_numpy(count[held] / count.sum())
    middle = torch.from_numpy(edges[1:][held] - width / 2)
    stds = torch.linspace(1, 10, 91, dtype=torch.float64)
    fig, (left, right) = figure(columns=2, width=9.5, height=3.8)
    left.stairs(count / count.sum() / width, edges, fill=True, color=ROLES["data"]["color"], alpha=0.35,
                label="q: ink of 4,000 digits")
    percent = torch.linspace(0, 32, 321, dtype=torch.float64)
    curves(left, [(percent, percent, "model", "p: your belief")], "ink, per cent of the page", "density", " ",
           xlim=(0, 32), ylim=(0, 0.24))
    curves(right, [(stds, stds, "model", "for your μ and any σ")], "σ", "KL(q‖p), nats", " ",
           xlim=(1, 10), ylim=(0, 2))
    dot, = right.plot([2], [1], "o", color="black", markersize=8, clip_on=False)
    right.set_title("your belief is the dot")
    paint = painter(fig, [left.lines[0], left.title, right.lines[0], dot])

    def cost(mean, std):
        return (q * (torch.log(q / width) - log_prob(middle, mean, std**2))).sum().item()

    def draw(mean, std):
        left.lines[0].set_ydata(log_prob(percent, mean, std**2).exp())
        left.title.set_text(f"your belief costs {cost(mean, std):.2f} nats a digit")
        right.lines[0].set_ydata([cost(mean, std) for std in stds])
        dot.set_data([std], [min(cost(mean, std), 2)])
        return paint()

    return draw


Live(
    belief_picture(),
    mean=widgets.FloatSlider(value=17.0, min=6.0, max=24.0, step=0.5, description="μ"),
    std=widgets.FloatSlider(value=2.5, min=1.0, max=10.0, step=0.25, description="σ"),
    caption="Match this: the sliders move the mean and the standard deviation of your belief. "
            "Make KL as small as you can.",
    alt="Left: a histogram of ink with a bell curve beside it. Right: the KL as a function of σ, steep for a small σ "
        "and flat for a large one, with a dot at the belief.",
)

# %% tags=["check"]
images, _ = load_digits("train")
ink = 50 * (images.double().mean(dim=(1, 2, 3)) + 1)  # from -1 … 1 to per cent
best = -log_prob(ink, ink.mean(), ink.var(correction=0)).mean()
for mean, std in [(13, 4.2), (13.5, 4.2), (13, 4.5), (17, 2.5)]:
    assert -log_prob(ink, mean, std**2).mean() > best
print(f"the ink has mean {ink.mean():.1f} and standard deviation {ink.std():.1f}")

# %% [markdown]
# The best bell curve has the mean and the variance of the data. Remember it: to fit a Gaussian is to take averages. About 0.03
# nats remain, because the ink is a little lopsided.
#
# ### Deeper: why KL is never negative, and where (6) comes from
#
# For all $u > 0$ but 1, $\log u < u - 1$. Put $u = p(x)/q(x)$ and average over $q$: the average of $\log p - \log q$ is at
# most that of $p/q - 1$, which is $\int q\,(p/q - 1)\,dx = \int p\,dx - \int q\,dx = 0$. So KL is at least 0, and 0 only if
# the two are equal.
#
# For (6), put (1) into (5). The logarithms leave
# $\tfrac12\big[(x-\mu_p)^2/\sigma_p^2 - (x-\mu_q)^2/\sigma_q^2 - \log(\sigma_q^2/\sigma_p^2)\big]$. Over $q$, the average of
# $(x-\mu_q)^2$ is $\sigma_q^2$, and that of $(x-\mu_p)^2$ is $\sigma_q^2 + (\mu_q-\mu_p)^2$.
#
# And why is the best Gaussian the one with the right mean and variance, whatever $q$ is? Your average surprise is
# $\tfrac12\big[\log(2\pi\sigma_p^2) + (\sigma_q^2 + (\mu_q-\mu_p)^2)/\sigma_p^2\big]$. It is least in $\mu_p$ at
# $\mu_p = \mu_q$; then set the slope in $\sigma_p^2$ to 0.

# %% tags=["claim"]
# checks what the text says: what remains at the best bell curve, and that too narrow costs more than too wide
count, edges = np.histogram(ink, bins=40, range=(0, 32))
share = count[count > 0] / count.sum()
middle = (edges[:-1] + edges[1:])[count > 0] / 2
remains = (share * (np.log(share / edges[1]) - stats.norm.logpdf(middle, ink.mean(), ink.std()))).sum()
assert 0.025 < remains < 0.035
assert kl(0, 1, 0, 0.25) > 2 * kl(0, 1, 0, 4)

# %% [markdown]
# ## 5 · Many dimensions: the shell
#
# *Used wherever a picture is noise: notebook 02 ends there, and every sampler starts there.*
#
# An image of noise is 784 independent draws of $\mathcal N(0, 1)$, written $x \sim \mathcal N(0, I)$: the identity matrix $I$
# says that each pixel has variance 1 and no two go together. The density is a product of 784 equal bells, so it is highest at
# $x = 0$, an even grey. Do samples look like that?

# %%
noise = normal(generator, 1, 1, 28, 28)

# %% tags=["figure"]
# draws the noise image and the most likely point below
fig, axes = figure(columns=2, width=6.4, height=3.3)
for ax, image, title in zip(axes, [noise, 0 * noise], ["a sample", "the point of highest density"]):
    ax.imshow(image[0, 0], cmap="gray", vmin=-3, vmax=3)
    ax.set(title=title, xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.grid(False)
show(fig, alt="Two squares: a sample, full of grey specks without any pattern, and the point of highest density, an even grey.")

# %% [markdown]
# **Figure 6.** Left, a sample. Right, the point of highest density. You could draw samples until the end of the world and never
# see it, or anything near it.
#
# Near means distance, so look at the **norm**, the distance from the origin $\|x\| = \sqrt{x_1^2 + \dots + x_d^2}$. Each
# $x_i^2$ averages 1, so $\|x\|^2$ averages $d$. Its spread is worked out in the closed section below:
#
# $$ \|x\| \approx \sqrt d \;\pm\; \tfrac{1}{\sqrt2}\,, \qquad d = 784:\; 28 \pm 0.7 \tag{7} $$
#
# The norm grows with the dimension. Its spread does not.

# %% tags=["check"]
norms = {d: normal(generator, 5_000, d).norm(dim=1) for d in (1, 10, 100, 784)}
assert abs(norms[784].mean() - 784**0.5) < 0.05
assert abs(norms[784].std() - 0.5**0.5) < 0.05
print(f"784 dimensions: norm {norms[784].mean():.1f} ± {norms[784].std():.1f}; "
      f"of 5,000 draws {(norms[784] < 25).sum()} are below 25")

# %% tags=["claim"]
# checks what the text says: x² has variance 2; the exact law of the norm is scipy's chi
assert abs(stats.norm.moment(4) - 3) < 1e-9
for d, norm in norms.items():
    assert stats.kstest(norm.numpy(), "chi", args=(d,)).pvalue > 0.001
assert stats.chi.cdf(26, 784) + stats.chi.sf(30, 784) < 0.01

# %% tags=["figure"]
# draws the histograms of norms below
fig, ax = figure(width=8.5, height=3.4)
r = torch.linspace(0.01, 32, 800)
for d, norm in norms.items():
    ax.hist(norm, bins=40, density=True, alpha=0.5, color=ROLES["noise"]["color"])
    law = stats.chi.pdf(r, d)
    ax.plot(r, law, **ROLES["exact"] | {"linewidth": 1})
    ax.text(max(d**0.5, 0.9), law.max() + 0.12, f"d = {d}", ha="center")
ax.set(xlabel="distance from the origin", ylabel="density", xlim=(0, 32), ylim=(0, 1.05))
show(fig, alt="Four histograms of the norm: near 0 for d = 1, around 3 for 10, around 10 for 100, "
              "around 28 for 784.")

# %% [markdown]
# **Figure 7.** 5,000 norms for each dimension, and their exact law (dashed). In 784 dimensions nearly all lie in a thin
# **shell**, between 26 and 30, and none is anywhere near the origin.
#
# How can the density be highest where nobody lives? Probability is density *times volume*. Go from norm 28 inwards to 14:
# the density grows by a factor of $e^{294}$, about $10^{128}$. But the volume of a ball grows like $r^{784}$, so the room
# shrinks by $2^{784}$, about $10^{236}$. Room wins by more than a hundred powers of ten.
#
# Now walk from one noise image to another, along the straight line and with the *roots* of its weights.

# %%
first, last = normal(generator, 2, 784)
w = torch.linspace(0, 1, 51, dtype=torch.float64)[:, None]
straight = (1 - w) * first + w * last
rooted = (1 - w).sqrt() * first + w.sqrt() * last

# %% tags=["figure"]
# draws the norms along the two walks below
fig, ax = figure(width=8.5, height=3.4)
lines = [(w, straight.norm(dim=1), "noise", "weights 1-w and w"),
         (w, rooted.norm(dim=1), "noise", "weights √(1-w) and √w")]
ax.axhspan(26, 30, alpha=0.25, color=ROLES["noise"]["color"], label="the shell")
curves(ax, lines, "w: from one noise image to another", "norm", ylim=(15, 32))
ax.lines[1].set(linestyle="-", linewidth=2.4)
ax.legend(loc="lower left")
show(fig, alt="The norm along two paths between two noise images: one sags from 28 to 20, "
              "the other stays at 28.")

# %% tags=["claim"]
# checks what the text says: density and room, and the norm of an average
assert round((28**2 - 14**2) / 2) == 294
assert round(294 / np.log(10)) == 128
assert round(784 * np.log10(2)) == 236
assert abs(straight[25].norm() - 392**0.5) < 4 * 0.5  # variance ½: the norm has a standard deviation of ½

# %% [markdown]
# **Figure 8.** The straight line (dotted) leaves the shell and sags: the average of two noise images is no noise image. The path
# whose *squared* weights add up to 1 (solid) stays inside.
#
# The triangle says why. Halfway along the straight line each pixel has variance $\tfrac14 + \tfrac14 = \tfrac12$, so the norm
# is $\sqrt{784/2} \approx 20$. With roots the variance is $(1-w) + w = 1$ all the way.
#
# **Try it.** Start in few dimensions, where your intuition was made, and go up. From which $d$ on is the middle of the ball
# empty?

# %% tags=["figure"]
# draws norms and walks in d dimensions, live
def walked_norms(ones, others):
    """The norm along both walks, in units of √d: the root of the mean square over many pairs of draws."""
    v = w.flatten()
    one = ones.square().mean()
    other = others.square().mean()
    both = (ones * others).mean()
    plain = (1 - v) ** 2 * one + v**2 * other + 2 * v * (1 - v) * both
    roots = (1 - v) * one + v * other + 2 * (v * (1 - v)).sqrt() * both
    return plain.sqrt(), roots.sqrt()


def shell_picture(dimensions):
    """A function that draws the histogram of norms in d dimensions, and the two walks, over many pairs of draws."""
    mine = torch.Generator().manual_seed(3)
    laws = {d: torch.randn(2_000, d, generator=mine, dtype=torch.float64).norm(dim=1) for d in dimensions}
    pairs = torch.randn(2, 500, max(dimensions), generator=mine, dtype=torch.float64)
    sizes = {d: walked_norms(*pairs[..., :d]) for d in dimensions}
    radius = torch.linspace(0.01, 32, 800)
    fig, (left, right) = figure(columns=2, width=9.5, height=3.8)
    bars = left.stairs(np.zeros(96), np.linspace(0, 32, 97), fill=True, color=ROLES["noise"]["color"], alpha=0.5)
    curves(left, [(radius, radius, "exact", "exact law")], "distance from the origin", "density", " ",
           xlim=(0, 32), ylim=(0, 0.95))
    curves(right, [(w, w, "noise", "weights 1-w and w"), (w, w, "noise", "weights √(1-w) and √w")],
           "w: from one draw to another", "norm, in units of √d", " ", xlim=(0, 1), ylim=(0, 1.3))
    right.lines[1].set(linestyle="-", linewidth=2.4)
    right.legend(loc="lower left")
    paint = painter(fig, [bars, left.lines[0], left.title, *right.lines, right.title])

    def draw(d):
        count, edges = np.histogram(laws[d], bins=96, range=(0, 32))
        bars.set_data(count / count.sum() / edges[1], edges)
        left.lines[0].set_ydata(stats.chi.pdf(radius, d))
        near = (laws[d] < 0.75 * d**0.5).double().mean()
        left.title.set_text(f"d = {d}: {near:.0%} are well inside, below ¾ √d")
        for line, size in zip(right.lines, sizes[d]):
            line.set_ydata(size)
        right.title.set_text(f"half-way on the straight line: {sizes[d][0][25]:.2f} √d")
        return paint()

    return draw


DIMENSIONS = [1, 2, 3, 5, 10, 20, 50, 100, 200, 400, 784]
Live(
    shell_picture(DIMENSIONS),
    d=widgets.SelectionSlider(value=3, options=DIMENSIONS, description="dimension d"),
    caption="The shell: the slider moves the dimension d. Left, the norms of 2,000 draws; right, both walks, averaged over "
            "500 pairs of draws.",
    alt="Left: a histogram of norms with its exact law. Right: the norm along two walks, in units of √d.",
)

# %% [markdown]
# By forty dimensions hardly anything is left well inside. Two consequences will come back:
#
# - "The most likely image" is a bad sample. A sampler must end among the samples, not at the top of the density.
# - To mix signal and noise at variance 1, use the *roots* of weights that add up to 1: the step of notebook 02.
#
# From now on: `from diffusion_lab.theory.gaussian import log_prob, product, kl`.
#
# ### Deeper: why the spread of the norm does not grow
#
# $\varepsilon^4$ averages 3: the density $p$ of one pixel has the slope $-x\,p$, and by parts
# $\int x^3\, x\,p\,dx = 3\int x^2\,p\,dx = 3$. So $\varepsilon^2$ has variance $3 - 1 = 2$, and $\|x\|^2$, a sum of $d$ of them,
# has the standard deviation $\sqrt{2d}$. Near $d$ a square root changes by $1/(2\sqrt d)$ for each unit. The product of the two
# is $1/\sqrt2$, whatever $d$ is. The exact law of the norm is known, too: scipy calls it `chi`.
#
# ### Deeper: what one number tells about another
#
# The cloud of Figure 5 is a pair of Gaussians that depend on each other, and there is a formula for every such pair. It is
# used in the deeper parts of notebook 02, and for restoring pictures later on. Take two numbers of mean 0 and variance 1 with
# correlation $\rho$, which lies between -1 and 1. Here is a recipe for such a pair: draw $x_2$, multiply it by $\rho$, and fill up
# with fresh noise.
#
# $$ x_1 = \rho\, x_2 + \sqrt{1-\rho^2}\;\varepsilon, \qquad x_2, \varepsilon \sim \mathcal N(0, 1) \text{ independent} \tag{8} $$
#
# By (2) and (3) the variance of $x_1$ is $\rho^2 + (1-\rho^2) = 1$, and the average of $x_1 x_2$ is $\rho$. Suppose that you
# learn $x_2$. Then only $\varepsilon$ is still random, so what remains is a Gaussian:
#
# $$ x_1 \mid x_2 \;\sim\; \mathcal N(\rho\, x_2,\; 1-\rho^2) \tag{9} $$
#
# The mean moves by $\rho$ times what you learned. The variance shrinks unless $\rho = 0$, and by how much does not depend on
# the value. For other means and standard deviations, put $(x_1-\mu_1)/\sigma_1$ and $(x_2-\mu_2)/\sigma_2$ in place of the two:
#
# $$ x_1 \mid x_2 \;\sim\; \mathcal N\Big(\mu_1 + \rho\,\frac{\sigma_1}{\sigma_2}\,(x_2-\mu_2),\; (1-\rho^2)\,\sigma_1^2\Big) \tag{10} $$
#
# The **covariance** of the pair is the average of $(x_1-\mu_1)(x_2-\mu_2)$, which is $\rho\,\sigma_1\sigma_2$. The
# **covariance matrix** has the two variances on its diagonal and the covariance beside it, twice. Two checks: scipy's joint
# density of a pair, cut along a line and rescaled to area 1, is (10); and the pixel of Figure 5, taken as such a pair with
# its reading, has the same answer by (10) as by (4).

# %% tags=["check"]
rho, std_1, std_2, x_2 = 0.8, 0.9, 2.0, -3.0
covariance = [[std_1**2, rho * std_1 * std_2], [rho * std_1 * std_2, std_2**2]]
joint = stats.multivariate_normal([1.0, -1.0], covariance)
a_slice = torch.from_numpy(joint.pdf(torch.stack([x, torch.full_like(x, x_2)], dim=1)))
rescaled = a_slice / torch.trapezoid(a_slice, x)
slice_mean = 1.0 + rho * std_1 / std_2 * (x_2 + 1.0)
assert torch.allclose(rescaled, log_prob(x, slice_mean, (1 - rho**2) * std_1**2).exp(), atol=1e-6)

# %% tags=["check"]
reading_std = (0.25 + 0.16) ** 0.5  # variances add
rho = 0.25 / (0.5 * reading_std)  # the covariance of x and x + noise is the variance of x
assert abs(posterior_mean - (-0.5 + rho * 0.5 / reading_std * (0.7 + 0.5))) < 1e-12
assert abs(posterior_var - (1 - rho**2) * 0.25) < 1e-12

# %%
pixels = load_digits("train")[0][:, 0, 14, 13:15].double()
correlation = torch.corrcoef(pixels.T)[0, 1]
print(f"two neighbouring pixels in the middle of our digits have correlation {correlation:.2f}")

# %% [markdown]
# **Try it.** Both sliders move the curve on the right. Which of them makes it narrow, too? What does the cloud look like at
# $\rho = 0$?

# %% tags=["figure"]
# draws pairs and the slice through them, live
def slice_picture(eps, second):
    """A function that draws the pairs and the slice through them, for ρ and x₂."""
    fig, (left, right) = figure(columns=2, width=9, height=3.8)
    cloud = left.scatter(eps, second, **POINTS["data"])
    line = left.axhline(0, **ROLES["exact"])
    left.set(xlim=(-4, 4), ylim=(-4, 4), xlabel="$x_1$", ylabel="$x_2$",
             title="600 pairs by (8), and the line")
    before = log_prob(x, 0, 1).exp()
    curves(right, [(x, before, "noise", "before"), (x, before, "exact", "given $x_2$")],
           "$x_1$", "density", "what is known of $x_1$", xlim=(-4, 4), ylim=(0, 1.35))
    paint = painter(fig, [cloud, line, right.lines[1]])

    def draw(rho, x_2):
        first = rho * second + (1 - rho**2) ** 0.5 * eps
        cloud.set_offsets(torch.stack([first, second], dim=1))
        line.set_ydata([x_2, x_2])
        right.lines[1].set_ydata(log_prob(x, rho * x_2, 1 - rho**2).exp())
        return paint()

    return draw


Live(
    slice_picture(*torch.randn(2, 600, generator=torch.Generator().manual_seed(1), dtype=torch.float64)),
    rho=widgets.FloatSlider(value=0.8, min=-0.95, max=0.95, step=0.05, description="ρ"),
    x_2=widgets.FloatSlider(value=1.5, min=-3.0, max=3.0, step=0.1, description="x₂"),
    caption="A slice: pairs with correlation ρ, and the line x₂ on which we look. "
            "Right, the density along it.",
    alt="A tilted cloud of points with a horizontal line, "
        "and beside it the bell curve of points on that line.",
)

# %% [markdown]
# ## Exercises
#
# Put your answer in place of `raise NotImplementedError`; run its cell, then the check.
#
# ### Exercise 1 (core): derive what many opinions make
#
# Take paper. $n$ cameras measure the same pixel; camera $i$ says $m_i$, and its noise has variance $v_i$. Show that the product
# of the densities $\mathcal N(x; m_i, v_i)$, rescaled to area 1, is a Gaussian, and find its mean and variance. Can the
# variance be larger than the smallest $v_i$?

# %% tags=["exercise"]
def pooled(means, variances):
    """Mean and variance of the Gaussian that the product of N(x; means[i], variances[i]) makes.

    means, variances: float64 (n,). Returns two numbers.
    """
    raise NotImplementedError


# %% tags=["check"]
check_pooled(pooled)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# The exponent of one factor is $-\tfrac12 x^2/v_i + x\,m_i/v_i$ and a number without $x$. What are the factors of $x^2$ and of
# $x$ in the sum of $n$ such exponents? Compare with the exponent of one Gaussian.
# </details>
#
# <details><summary>Solution</summary>
#
# The factors of $x^2$ give $1/v = \sum_i 1/v_i$, those of $x$ give $\mu/v = \sum_i m_i/v_i$. Every term of the first sum is
# positive, so $1/v$ is larger than each $1/v_i$: the result is narrower than the sharpest of the cameras, even if they
# contradict each other.
#
# ```python
# def pooled(means, variances):
#     var = 1 / (1 / variances).sum()
#     return var * (means / variances).sum(), var
# ```
# </details>

# %% [markdown]
# ### Exercise 2 (core): build draws with two bumps
#
# Ink and paper make two bells, not one. Draw from a **mixture**: with probability `weights[k]` from
# $\mathcal N$(`means[k]`, `variances[k]`). Draw $i$ has a standard normal number `eps[i]`, and a uniform one, `u[i]`, that
# picks the bump: bump 0 where `u[i]` is below `weights[0]`, else bump 1 where it is below `weights[0] + weights[1]`, and so
# on; the last bump takes the rest.

# %% tags=["exercise"]
def draw_mixture(weights, means, variances, u, eps):
    """Draws of a mixture of Gaussians, one for each u[i] and eps[i].

    weights, means, variances: float64 (K,). u, eps: float64 (n,). Returns float64 (n,).
    """
    raise NotImplementedError


# %% tags=["check"]
check_mixture(draw_mixture)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# Start from an empty result. Go through the draws one by one, and add up weights until the sum is beyond `u[i]`: that is your
# bump. Then use equation (2).
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def draw_mixture(weights, means, variances, u, eps):
#     draws = torch.empty_like(eps)
#     for i in range(len(eps)):
#         k, below = 0, weights[0]
#         while u[i] >= below and k < len(weights) - 1:
#             k = k + 1
#             below = below + weights[k]
#         draws[i] = means[k] + variances[k] ** 0.5 * eps[i]
#     return draws
# ```
#
# Or, without a loop: `k = torch.searchsorted(weights.cumsum(0), u, right=True).clamp(max=len(weights) - 1)`, then
# `means[k] + variances[k] ** 0.5 * eps`. Both guard the last bump. In floating point ten weights of 0.1 add up to a little
# less than 1, and the largest $u$ below 1 is not below their sum.
# </details>

# %% [markdown]
# ### Exercise 3 (core): an experiment with beliefs that are too wide
#
# The truth is $\mathcal N(0, 1)$. Your belief has the right mean, but a $\sigma$ of only a half. A friend's $\sigma$ is too *large*, and
# costs as many nats. How large is it? Guess, then find out with `kl`, by trying, for any $\sigma$ that is too small. A quarter may
# surprise you.

# %% tags=["exercise"]
def equally_costly(narrow):
    """The standard deviation above 1 whose belief costs as many nats as one of `narrow`.

    The truth is N(0, 1), and both beliefs have mean 0. narrow: a float, from 0.2 to 1.
    Returns a float, right to within one per cent.
    """
    raise NotImplementedError


# %% tags=["check"]
check_equally_costly(equally_costly)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# The belief `narrow` costs `kl(0.0, 1.0, 0.0, narrow**2)`: the truth stands first, and `kl` takes variances. Let a $\sigma$ grow
# from 1, by a factor of 1.002 each time, until it costs as much.
# </details>
#
# <details><summary>Solution</summary>
#
# | too narrow: σ | costs, nats | just as costly: σ |
# |---:|---:|---:|
# | 0.8 | 0.06 | 1.3 |
# | 0.5 | 0.81 | 3.6 |
# | 0.25 | 6.1 | 740 |
#
# A belief that is four times too narrow is as bad as one that is 740 times too wide. Look at (6): with the right mean, a small
# $\sigma_p$ is punished by $1/\sigma_p^2$, a large one by its logarithm alone.
#
# ```python
# def equally_costly(narrow):
#     cost = kl(0.0, 1.0, 0.0, narrow**2)
#     wide = 1.0
#     while kl(0.0, 1.0, 0.0, wide**2) < cost:
#         wide = wide * 1.002
#     return wide
# ```
# </details>

# %% [markdown]
# ### Exercise 4 (core): find the fault; it runs, and the pictures look noisy
#
# A network hands out the *logarithm* of a variance. This function is to add noise of that variance.
#
# ```python
# def add_noise(x, log_var, generator):
#     """x plus Gaussian noise of mean 0 and variance exp(log_var)."""
#     eps = torch.randn(x.shape, generator=generator)
#     scale = torch.exp(log_var)
#     return x + scale * eps
# ```
#
# What does it do, and what should it do? Its author tested it with `log_var = 0` and was content. Why?

# %% tags=["exercise"]
def fault(log_var):
    """What add_noise does, and what it should do.

    log_var: float64 (n,). Returns the variance of the noise that it really adds, and the right
    scale: two float64 (n,).
    """
    raise NotImplementedError


# %% tags=["check"]
check_fault(fault)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# What is the variance of `scale * eps`? And which number multiplies $\varepsilon$ in equation (2)?
# </details>
#
# <details><summary>Solution</summary>
#
# The scale has to be the standard deviation $\sigma = \sqrt{e^{\ell}} = e^{\ell/2}$, with $\ell$ the log-variance. The code
# multiplies by $e^{\ell}$, the variance, so the noise gets the variance $e^{2\ell}$. At $\ell = 0$ variance and standard
# deviation are both 1, so that test could not see it. Test with a number that tells the two apart. A public instance:
# [rachtsingh/ibp_vae, issue 3](https://github.com/rachtsingh/ibp_vae/issues/3).
#
# ```python
# def fault(log_var):
#     return torch.exp(2 * log_var), torch.exp(log_var / 2)
# ```
# </details>

# %% [markdown]
# ### Exercise 5 (core): criticise a density of $10^{40}$
#
# A paper reports that its model gives a test image of 784 pixels, with values from 0 to 1, a density of $10^{40}$. What follows?
#
# - **A**: There is an error: a probability cannot be larger than 1.
# - **B**: With pixels from 0 to 255, the same model would have reported a far smaller density.
# - **C**: The model often draws this image, or one that looks the same.
# - **D**: That is a factor of about 1.12 for each pixel.
# - **E**: Another model that gives this image $10^{35}$, in the same units, was more surprised by it.
# - **F**: An image of density $10^{300}$ would be a more typical sample.

# %% tags=["exercise"]
def what_follows():
    """The letters of the statements that follow, as in {"A", "F"} or "AF"."""
    raise NotImplementedError


# %% tags=["check"]
check_claims(what_follows)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# Figure 2 is about A and B, Figure 6 about C and F. For D, take the 784th root. For E, look up what "surprise" means.
# </details>
#
# <details><summary>Solution</summary>
#
# B, D and E. A density is no probability. Where the numbers are 255 times as large, the density is $255^{-784}$ times as high, about
# $10^{-1887}$. The 784th root of $10^{40}$ is 1.12. The smaller density is the larger surprise. C and F confuse density with probability: the even grey of Figure 6 has the highest density of all,
# and is never drawn.
#
# ```python
# def what_follows():
#     return {"B", "D", "E"}
# ```
# </details>

# %% [markdown]
# ## A common mistake
#
# Noise is added in a hundred steps, and a careful programmer puts the seed *into* the function. Here it is beside its fix. After
# one step they agree.

# %%
def noisy_seeded(x):
    mine = torch.Generator().manual_seed(0)  # the mistake: the same noise at every call
    return x + torch.randn(x.shape, generator=mine, dtype=x.dtype)


def noisy(x, generator):
    return x + torch.randn(x.shape, generator=generator, dtype=x.dtype)


start = torch.zeros(2_000, dtype=torch.float64)
fresh = [start]
seeded = [start]
for _ in range(100):
    fresh.append(noisy(fresh[-1], generator))
    seeded.append(noisy_seeded(seeded[-1]))
for steps in (1, 100):
    print(f"{steps:3} steps: variance {fresh[steps].var():5.0f} with fresh noise, "
          f"{seeded[steps].var():5.0f} with the seed inside")

# %% tags=["figure"]
# draws the walks below
fig, axes = figure(columns=2, width=9, height=3.6, sharey=True)
root = torch.arange(101, dtype=torch.float64).sqrt()
for ax, walk, title in zip(axes, [fresh, seeded], ["fresh noise at each step", "the seed inside the function"]):
    ax.plot(torch.stack(walk)[:, :40], color=ROLES["noise"]["color"], linewidth=0.8, alpha=0.7)
    ax.plot(2 * root, **ROLES["exact"], label="±2√n: expected of independent steps")
    ax.plot(-2 * root, **ROLES["exact"])
    ax.set(title=title, xlabel="steps n", ylim=(-60, 60), xlim=(0, 100))
axes[0].set_ylabel("value")
axes[0].legend(loc="upper left")
show(fig, alt="Left: forty wandering lines that stay within a parabola on its side. "
              "Right: forty straight rays that fan out far beyond it.")

# %% tags=["claim"]
# checks what the text says: variance n with fresh noise, n² with the same noise
assert abs(fresh[100].var() / 100 - 1) < 4 * (2 / 2_000) ** 0.5
assert torch.isclose(seeded[100].var(), 100**2 * seeded[1].var())

# %% [markdown]
# **Figure 9.** Forty numbers, a hundred steps. Left, they wander. Right, each gets the same push again and again.
#
# *The symptom*: the variance grows like $n^2$ in place of $n$. *The fix*: make one generator, outside, and hand it in. The
# word "independent" stands in (3) for a reason.
#
# ## Summary
#
# - A density may exceed 1; areas under it are probabilities.
# - $\mu + \sigma\varepsilon$ makes any Gaussian; variances of independent parts add.
# - Prior times likelihood: precisions add, and the best guess is an average weighted by precision.
# - The cloud of two numbers is their joint law, its shadow the marginal, a slice the conditional.
# - KL(q‖p) is what it costs, in nats, to believe $p$ when $q$ is true. Too narrow is costly, too wide is cheap.
# - In 784 dimensions all samples live in a thin shell of radius 28.
#
# ## Check yourself
#
# <details><summary>Noise of standard deviation 0.6 is added to an independent signal of 0.8. How wide is the sum?</summary>
#
# $\sqrt{0.64 + 0.36} = 1$.
# </details>
#
# <details><summary>A pixel is from N(0, 1). A camera with noise of variance 1 says 2. What is your best guess, and how sure are you?</summary>
#
# Equal precisions, so halfway: 1. The precision is $1 + 1 = 2$, the variance $\tfrac12$.
# </details>
#
# <details><summary>A program returns the point of highest density as its sample of noise. How do you find out?</summary>
#
# By its norm: a sample has 26 to 30, this point has 0.
# </details>
#
# ## Further reading
#
# - Bishop (2006), *Pattern Recognition and Machine Learning*, sections 1.2.4 and 2.3: (1) is his 1.46, (4) his 2.141–2.142
#   with one observation, and (10) a case of 2.81–2.82. Free as a PDF from its author.
# - MacKay (2003), *Information Theory, Inference, and Learning Algorithms*, section 2.6: KL, as relative entropy. Free on its
#   author's page.
# - Vershynin (2018), *High-Dimensional Probability*, section 3.1: why norms concentrate, with proof.
#
# ## Next
#
# Notebook 02 mixes a digit with noise, a little at each step, until nothing of it is left. Every step is (2) and (3).
