# %% [markdown]
# # Describe noise with the Gaussian density
#
# A diffusion model adds noise to data and learns to take it away again. The noise is always the same kind: Gaussian.
# Everything that follows in this course is built from the few facts about it that you meet here.
#
# You will be able to
#
# - **read** a density, and say why it may be larger than 1,
# - **draw** Gaussian noise of any mean and variance, and say what scaling and adding do to it,
# - **combine** two Gaussians: sum, product, and what one number tells you about another,
# - **measure** how far one Gaussian is from another (the KL divergence),
# - **explain** why a sample in 784 dimensions never looks like the most likely point.
#
# **You need** school calculus (the integral as an area), and Python. **Time to read** 60 minutes · **to run** 10 seconds.
# **Paper sections**: background for all of Ho et al. 2020 (*Denoising Diffusion Probabilistic Models*); Bishop 2006,
# sections 1.2.4 and 2.3.
#
# ## Set-up
#
# Numbers live in **tensors**: PyTorch's arrays. A tensor has a *shape*, such as `(5,)` for five numbers in a row or
# `(1, 1, 28, 28)` for one image with one grey channel and 28 × 28 pixels, and arithmetic acts on all its numbers at
# once, as in NumPy. We ask for double precision (`float64`, some 16 digits) where we check mathematics. Notebook 05
# shows what tensors can do beyond that. A **generator** is a source of random numbers; we give it a fixed seed, so that
# you see what we saw. Unless a legend says otherwise, colours mean the same throughout the course: data is blue and
# solid, noise grey and dotted, a model orange, an exact answer black and dashed.

# %%
import ipywidgets as widgets
import numpy as np
import torch
from scipy import integrate, stats

from diffusion_lab.data.digits import load_digits
from diffusion_lab.exercises.gaussian_pdf import (
    check_conditional,
    check_draw,
    check_kl_to_standard,
    check_sum,
)
from diffusion_lab.view.frames import painter
from diffusion_lab.view.live import Live
from diffusion_lab.view.pictures import mosaic
from diffusion_lab.view.plots import curves, gallery, histogram
from diffusion_lab.view.show import show
from diffusion_lab.view.style import POINTS, ROLES, figure

generator = torch.Generator().manual_seed(0)

# %% [markdown]
# Here is one picture of what is coming: 784 draws from a Gaussian, laid out as an image, and how often each value came
# up. The draws are *independent*: to know some of them tells nothing of the others.

# %%
noise = torch.randn(1, 1, 28, 28, generator=generator, dtype=torch.float64)

# %% tags=["figure"]
fig, ax = figure(width=6, height=2.6)
histogram(ax, noise.flatten(), "noise", "784 draws", bins=30, xlabel="value", ylabel="density")
show(fig, alt="A histogram of 784 values, highest around 0 and falling off towards -3 and 3.")
show(mosaic(noise / 3, scale=8),
     alt="A square of grey specks without any pattern: the same 784 values as pixels.")

# %% [markdown]
# **Figure 1.** Above: most of the values are near 0, few are beyond 2, hardly any beyond 3. Below: the same 784
# values as the pixels of a 28 × 28 image, black at -3 and below, white at 3 and above. This is what a diffusion model starts from.
#
# ## Predict first
#
# You measure the heights of 1,000 people and draw a histogram whose total area is 1. In metres, it peaks at about 4.
# Can that be right, when a probability is never above 1? Decide before you read on; section 1 answers, and Figure 2
# shows it.
#
# ## 1 · A density is a height, a probability is an area
#
# A **random variable** is a number that comes out differently each time: a height, a pixel of noise. A **density** says
# where the values fall: the probability of landing between $a$ and $b$ is the *area* under the density from $a$ to $b$.
# So a density is never negative, and its whole area is 1. Draw many $x$ from a density $p(x)$ and average some function
# $f(x)$ of them: that tends to $\int f(x)\,p(x)\,dx$, in which each value counts as much as its density says. When we
# speak of an average without naming the draws, we mean this integral.
#
# The **Gaussian** (or **normal**) density has two settings. The **mean** $\mu$ says where its middle is. The
# **variance** $\sigma^2$ says how wide it is: it is the average squared distance from the mean. Its root $\sigma$ is
# the **standard deviation**, **deviation** for short, in the same unit as the values.
#
# $$ \mathcal N(x;\, \mu, \sigma^2) = \frac{1}{\sqrt{2\pi\sigma^2}}\,
#    \exp\!\Big(-\frac{(x-\mu)^2}{2\sigma^2}\Big) \tag{1} $$
#
# In code we keep its logarithm. The density of several independent draws together is the product of their densities.
# For a noise image that is a product of 784 small factors, which is too small for a computer; a sum of 784 logarithms
# is no trouble. Natural logarithms of probabilities and of densities are measured in **nats**. The logarithm of a
# density can be positive, because a density can exceed 1. In the code, `torch.as_tensor` turns numbers into
# double-precision tensors.

# %% tags=["export:diffusion_lab.theory.gaussian"]
def log_prob(x, mean, var):
    """log N(x; mean, var), in nats: the logarithm of equation (1)."""
    x, mean, var = (torch.as_tensor(value, dtype=torch.float64) for value in (x, mean, var))
    return -0.5 * ((x - mean) ** 2 / var + torch.log(2 * torch.pi * var))

# %% [markdown]
# Does it agree with scipy, which others have tested for many years? Is the area 1, and the average of $(x-\mu)^2$ the
# variance? (`quad` computes an integral numerically: that is called **quadrature**.) And is the product of the 784
# densities of Figure 1 really too small?

# %% tags=["check"]
x = torch.linspace(-4, 4, 401, dtype=torch.float64)
scipys = torch.from_numpy(stats.norm.logpdf(x, 0.5, 2.0**0.5))
assert torch.allclose(log_prob(x, 0.5, 2.0), scipys, atol=1e-12)

# %%
area, _ = integrate.quad(lambda x: log_prob(x, 0.5, 2.0).exp().item(), -20, 20)
square, _ = integrate.quad(lambda x: (x - 0.5) ** 2 * log_prob(x, 0.5, 2.0).exp().item(), -20, 20)
print(f"area under the density: {area:.6f};  "
      f"average squared distance from the mean: {square:.6f}")

# %%
log_density = log_prob(noise, 0, 1)
print(f"product of 784 densities: {log_density.exp().prod():.0f};  "
      f"sum of their logarithms: {log_density.sum():.0f} nats")

# %% tags=["claim"]
assert abs(area - 1) < 1e-9
assert abs(square - 2.0) < 1e-9
assert log_density.exp().prod() == 0

# %% [markdown]
# Note the call to scipy: its `norm` takes the *deviation* $\sqrt 2$, ours takes the *variance* 2. Both habits
# are common, and they are easily mixed up.
#
# Now the heights. People's heights have a deviation of about 0.1 m, so the density at its top is
# $1/\sqrt{2\pi \cdot 0.01}$.

# %%
top = log_prob(1.7, 1.7, 0.1**2).exp().item()
within, _ = integrate.quad(lambda x: log_prob(x, 1.7, 0.1**2).exp().item(), 1.6, 1.8)
print(f"density at 1.70 m: {top:.2f} per metre;  probability of 1.60 m to 1.80 m: {within:.3f}")

# %% tags=["claim"]
assert abs(within - (stats.norm.cdf(1) - stats.norm.cdf(-1))) < 1e-9

# %% [markdown]
# The density is 3.99 *per metre*. Change the unit, and the height of the curve changes; the area does not.

# %% tags=["figure"]
fig, axes = figure(columns=2, width=7.5, height=2.8)
for ax, unit, scale in zip(axes, ["metres", "centimetres"], [1, 100]):
    height = scale * torch.linspace(1.3, 2.1, 201, dtype=torch.float64)
    density = log_prob(height, scale * 1.7, (scale * 0.1) ** 2).exp()
    near = (height - scale * 1.7).abs() < scale * 0.1001
    curves(ax, [(height, density, "exact", None)],
           f"height in {unit}", "density", f"top at {density.max():.2f}")
    ax.fill_between(height[near], density[near], alpha=0.25, color=ROLES["data"]["color"])
show(fig, alt="The same bell curve twice: over metres its top is at 3.99, "
              "over centimetres at 0.04. The middle is shaded.")

# %% [markdown]
# **Figure 2.** The same people, measured in metres and in centimetres. The pictures look alike because their axes are
# scaled: the curve in metres is a hundred times as high and a hundredth as wide. The shaded area, from 1.60 m to 1.80 m, is 0.68 in both. A density may be as high as it
# likes, as long as it is narrow.
#
# **Try it.** Where does the curve go when you change $\mu$? How high does it get when you halve $\sigma$?

# %% tags=["figure"]
def density_picture():
    """A function that draws the density for a mean and a deviation: a uint8 array for each call."""
    fig, ax = figure(width=7, height=2.8)
    lines = [(x, x, "exact", None), (x, log_prob(x, 0, 1).exp(), "noise", None)]
    curves(ax, lines, "x", "density", " ", xlim=(-4, 4), ylim=(0, 2.1))
    shade, = ax.fill([0], [0], alpha=0.25, color=ROLES["data"]["color"])
    paint = painter(fig, [shade, *ax.lines, ax.title])

    def draw(mean, std):
        inside = torch.linspace(mean - std, mean + std, 201, dtype=torch.float64)
        density = log_prob(inside, mean, std**2).exp()
        area = torch.trapezoid(density, inside)
        outline = torch.stack([inside, density], dim=1).tolist()
        ax.lines[0].set_ydata(log_prob(x, mean, std**2).exp())
        shade.set_xy([(mean - std, 0), *outline, (mean + std, 0)])
        ax.title.set_text(f"top at {density.max():.2f}; shaded area {area:.2f}")
        return paint()

    return draw


Live(
    density_picture(),
    mean=widgets.FloatSlider(value=0.0, min=-2.0, max=2.0, step=0.1, description="μ"),
    std=widgets.FloatSlider(value=0.5, min=0.2, max=2.0, step=0.1, description="σ"),
    caption="Dotted: μ = 0, σ = 1. "
            "Between μ - σ and μ + σ lies 68 % of the area, whatever the two are.",
    alt="A bell curve, shaded within one deviation of its mean, "
        "and a dotted one of deviation 1 behind it.",
)

# %% [markdown]
# What to have seen: $\mu$ moves the curve and leaves its shape alone. Halving $\sigma$ doubles the height: with
# $\sigma = 0.5$ the curve is twice as high as the dotted one, whose $\sigma$ is 1. The shaded
# share stays 68 %, because it depends only on how many deviations you go to each side.
#
# ## 2 · Drawing: shift and scale
#
# We ask the generator for one thing only: numbers from $\mathcal N(0, 1)$, the **standard normal**. We call such a draw
# $\varepsilon$. Here are five of them. (This course grew out of a Chinese article, *Principles of diffusion models*, which
# begins with five draws, too. We call it the article.)

# %%
eps = torch.randn(5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
print([round(value, 2) for value in eps.tolist()])

# %% [markdown]
# Two positive, three negative, none far beyond 2. Every other Gaussian comes from these by an **affine map**: multiply
# by the deviation, then add the mean.
#
# $$ x = \mu + \sigma\,\varepsilon, \qquad \varepsilon \sim \mathcal N(0, 1)
#    \quad\Longrightarrow\quad x \sim \mathcal N(\mu, \sigma^2) \tag{2} $$
#
# Read $\sim$ as "is drawn from". $\mathcal N(\mu, \sigma^2)$ is a distribution; $\mathcal N(x;\, \mu, \sigma^2)$, as in
# (1), is its density at $x$. Why is it true? A value $x$ comes from $\varepsilon = (x-\mu)/\sigma$, so the bell
# $e^{-\varepsilon^2/2}$ becomes $e^{-(x-\mu)^2/(2\sigma^2)}$: the same curve, moved by $\mu$ and $\sigma$ times as
# wide. To keep its area at 1 it must be $\sigma$ times lower, and that is (1).
#
# For the mean and the variance alone there is a rule that holds for all random variables, Gaussian or not: if $x$ has
# mean $\mu$ and variance $\sigma^2$, then $a x + b$ has mean $a\mu + b$ and variance $a^2\sigma^2$. Adding $b$ moves
# every value, so it moves the mean; the factor $a$ multiplies each distance from the mean by $a$, and the average *squared*
# distance by $a^2$.
#
# The article has a setting that it calls `noise_level`, and hands it to NumPy as `normal(0, noise_level)`. NumPy's
# second argument is a *deviation*: `noise_level = 0.5` adds noise of variance 0.25. The first lines below show it.
#
# A check by experiment needs to know how wrong it may be. The average of $n$ draws misses the mean by about
# $\sigma/\sqrt n$, and the variance of Gaussian draws misses $\sigma^2$ by about $\sigma^2\sqrt{2/n}$: these are
# **standard errors**. (The first follows from (3) in the next section: $n$ draws have a sum of variance $n\sigma^2$,
# and an average of variance $\sigma^2/n$. The second follows in the same way, once section 6 has found that
# $\varepsilon^2$ has variance 2.) We allow four of them; chance exceeds that once in 16,000 times. And two averages
# cannot tell a bell from another shape, so the **Kolmogorov–Smirnov test** compares the whole distribution of the draws
# with the one that we claim. Its p-value is the chance of a difference at least this large if the claim is true; a tiny
# one would be bad news.

# %% tags=["check"]
noise_level = 0.5
article = np.random.default_rng(0).normal(0, noise_level, 5)
ours = noise_level * np.random.default_rng(0).normal(0, 1, 5)
assert np.allclose(article, ours)  # it multiplies by noise_level: so that is the deviation

# %% tags=["check"]
n, mean, var = 100_000, 3.0, 4.0
x_n = mean + var**0.5 * torch.randn(n, generator=generator, dtype=torch.float64)
print(f"mean {x_n.mean():.1f} (should be 3), variance {x_n.var():.1f} (should be 4)")
assert abs(x_n.mean() - mean) < 4 * (var / n) ** 0.5
assert abs(x_n.var() - var) < 4 * var * (2 / n) ** 0.5

# %% tags=["check"]
p_value = stats.kstest(x_n.numpy(), "norm", args=(mean, var**0.5)).pvalue
assert p_value > 0.001

# %% [markdown]
# ## 3 · Two Gaussians: sum and product
#
# **Sum.** Draw $x$ and $y$ independently and add them. Means add. The squared distance of $x + y$ from its mean is
# $(x-\mu_1)^2 + (y-\mu_2)^2 + 2\,(x-\mu_1)(y-\mu_2)$. The first two average to the two variances, and the last to 0:
# for each value of $x$, the factor $y-\mu_2$ averages to 0. So variances add; deviations do *not*. The sum is again
# Gaussian, which we do not prove but check below:
#
# $$ x \sim \mathcal N(\mu_1, \sigma_1^2),\; y \sim \mathcal N(\mu_2, \sigma_2^2)
#    \;\Longrightarrow\; x + y \sim \mathcal N(\mu_1+\mu_2,\; \sigma_1^2+\sigma_2^2) \tag{3} $$
#
# The density of a sum is an integral over all ways to make it: $p(s) = \int p_1(u)\, p_2(s-u)\, du$. That gives a
# check that draws nothing.

# %% tags=["check"]
def density_of_sum(s):
    def integrand(u):
        return (log_prob(u, 1.0, 9.0) + log_prob(s - u, -2.0, 16.0)).exp().item()

    return integrate.quad(integrand, -60, 60, epsabs=1e-12)[0]


for s in (-6.0, -1.0, 4.0):
    assert abs(density_of_sum(s) - log_prob(s, -1.0, 25.0).exp()) < 1e-9
print("deviations 3 and 4 make a sum of deviation", 25**0.5)

# %% [markdown]
# The squares add, 9 + 16 = 25, as for the sides of a right-angled triangle. Every step of a diffusion model is such a
# sum: a scaled signal plus fresh noise.
#
# **Product.** Now multiply two *densities* of the same $x$. That happens whenever two sources speak about one
# unknown: a guess before a measurement and the measurement itself. Their product is in general not a density (its
# area is not 1), but it has the shape of one, and that shape is Gaussian:
#
# $$ \mathcal N(x; \mu_1, \sigma_1^2)\,\mathcal N(x; \mu_2, \sigma_2^2) \;\propto\; \mathcal N(x; \mu, \sigma^2),
#    \qquad \frac1{\sigma^2} = \frac1{\sigma_1^2} + \frac1{\sigma_2^2},
#    \qquad \mu = \sigma^2\Big(\frac{\mu_1}{\sigma_1^2} + \frac{\mu_2}{\sigma_2^2}\Big) \tag{4} $$
#
# ($\propto$ means "equal up to a factor that does not contain $x$".) To see it, multiply out the exponent of (1): it is
# $-\tfrac12 x^2/\sigma^2 + x\,\mu/\sigma^2$ plus a number without $x$. In the product the exponents add, so the factors of
# $x^2$ add, which gives $1/\sigma^2$, and the factors of $x$ add, which gives $\mu/\sigma^2$. One over a
# variance is called **precision**: precisions add, and the mean is an average weighted by precision.

# %% tags=["export:diffusion_lab.theory.gaussian"]
def product(mean_1, var_1, mean_2, var_2):
    """Mean and variance of the Gaussian in equation (4)."""
    mean_1, mean_2 = (torch.as_tensor(mean, dtype=torch.float64) for mean in (mean_1, mean_2))
    var_1, var_2 = (torch.as_tensor(var, dtype=torch.float64) for var in (var_1, var_2))
    var = 1 / (1 / var_1 + 1 / var_2)
    mean = var * (mean_1 / var_1 + mean_2 / var_2)
    return mean, var

# %% [markdown]
# The check: multiply the two on a fine grid, divide by the area, and compare with equation (4).

# %% tags=["check"]
both = (log_prob(x, -1.0, 1.0) + log_prob(x, 1.5, 0.25)).exp()
by_hand = both / torch.trapezoid(both, x)
mean, var = product(-1.0, 1.0, 1.5, 0.25)
by_formula = log_prob(x, mean, var).exp()
assert torch.allclose(by_hand, by_formula, atol=1e-5)
print(f"mean {mean:.2f}, variance {var:.2f}")

# %% tags=["figure"]
fig, ax = figure(width=7, height=2.8)
lines = [(x, log_prob(x, -1.0, 1.0).exp(), "noise", "N(-1, 1): vague"),
         (x, log_prob(x, 1.5, 0.25).exp(), "data", "N(1.5, 0.25): sharp"),
         (x, by_formula, "exact", "product, rescaled")]
curves(ax, lines, "x", "density")
show(fig, alt="Three bell curves: a low one at -1, a higher one at 1.5, and their product at 1, "
              "the highest of all.")

# %% [markdown]
# **Figure 3.** The product lies between the two, nearer to the sharp one, and is narrower than both: two sources
# together know more than either. In notebook 03 the two will be "what $x_t$ says" and "what $x_0$ says" about the
# step between them.
#
# ## 4 · What one number tells you about another
#
# Two pixels side by side are seldom independent: where one is ink, the other often is. For two numbers of mean 0 and
# variance 1, the **correlation** $\rho$ is the average of $x_1 x_2$; it lies between -1 and 1, and is 0 for
# independent ones. Here is a recipe for such a pair: draw $x_2$, multiply it by $\rho$ (which keeps
# the share $\rho^2$ of its variance), and fill up with fresh noise.
#
# $$ x_1 = \rho\, x_2 + \sqrt{1-\rho^2}\;\varepsilon, \qquad x_2, \varepsilon \sim \mathcal N(0, 1) \text{ independent} \tag{5} $$
#
# By (2) and (3) the variance of $x_1$ is $\rho^2 + (1-\rho^2) = 1$, and the average of $x_1 x_2$ is $\rho$. Now suppose
# that you learn the value of $x_2$. Then only $\varepsilon$ is still random in (5), so by (2) what remains for $x_1$ is
# a Gaussian. It is written $p(x_1 \mid x_2)$, the density of $x_1$ **given** $x_2$:
#
# $$ x_1 \mid x_2 \;\sim\; \mathcal N(\rho\, x_2,\; 1-\rho^2) \tag{6} $$
#
# The mean moves from 0 to $\rho$ times what you learned. Unless $\rho = 0$, the variance shrinks, and by how much does
# not depend on the value. For a pair with other means and deviations, put $(x_1-\mu_1)/\sigma_1$ and
# $(x_2-\mu_2)/\sigma_2$ in place of the two (what we call the correlation of the pair is that of these two):
#
# $$ x_1 \mid x_2 \;\sim\; \mathcal N\Big(\mu_1 + \rho\,\frac{\sigma_1}{\sigma_2}\,(x_2-\mu_2),\; (1-\rho^2)\,\sigma_1^2\Big) \tag{7} $$
#
# For the check, take scipy's density of the pair $(x_1, x_2)$, their *joint* density: a hill above the plane. scipy
# asks for the **covariance matrix**. It has the two variances on its diagonal, and beside it, twice, the
# **covariance**: the average of $(x_1-\mu_1)(x_2-\mu_2)$, which is $\rho\,\sigma_1\sigma_2$. Fixing $x_2$ cuts a slice
# through the hill. Rescaled to area 1, it must be (7).
#
# The slice can be read the other way round, too. A joint density is that of the one number times that of the other
# given the first, here $p(x_1)\,p(x_2 \mid x_1)$. So for a fixed $x_2$, as functions of $x_1$,
# $p(x_1 \mid x_2) \propto p(x_1)\,p(x_2 \mid x_1)$: what was known before, times what the measurement says. This is
# **Bayes' rule**. It is why the two sources of (4) are multiplied, and notebook 03 is built on it.

# %% tags=["check"]
rho, std_1, std_2, x_2 = 0.8, 0.9, 2.0, -3.0
covariance = [[std_1**2, rho * std_1 * std_2], [rho * std_1 * std_2, std_2**2]]
joint = stats.multivariate_normal([1.0, -1.0], covariance)
a_slice = torch.from_numpy(joint.pdf(torch.stack([x, torch.full_like(x, x_2)], dim=1)))
rescaled = a_slice / torch.trapezoid(a_slice, x)
mean = 1.0 + rho * std_1 / std_2 * (x_2 + 1.0)
var = (1 - rho**2) * std_1**2
assert torch.allclose(rescaled, log_prob(x, mean, var).exp(), atol=1e-6)

# %% tags=["check"]
mean_given_x_1 = -1.0 + rho * std_2 / std_1 * (x - 1.0)  # (7) for x_2 given x_1
measured = log_prob(x_2, mean_given_x_1, (1 - rho**2) * std_2**2)
assert torch.allclose(a_slice, (log_prob(x, 1.0, std_1**2) + measured).exp(), atol=1e-12)

# %%
pixels = load_digits("train")[0][:, 0, 14, 13:15].double()
correlation = torch.corrcoef(pixels.T)[0, 1]
print(f"two pixels in the middle of our digits have correlation {correlation:.2f}")

# %% [markdown]
# **Try it.** Both sliders move the curve on the right. Which of them makes it narrow, too? How far does it go when $x_2$
# grows by 1? What does the cloud look like when $\rho = 0$?

# %% tags=["figure"]
def slice_picture(eps, second):
    """A function that draws the pairs and the slice through them, for ρ and x₂."""
    fig, (left, right) = figure(columns=2, width=7.5, height=3.2)
    cloud = left.scatter(eps, second, **POINTS["data"])
    line = left.axhline(0, **ROLES["exact"])
    left.set(xlim=(-4, 4), ylim=(-4, 4), xlabel="$x_1$", ylabel="$x_2$",
             title="600 pairs by (5), and the line")
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
    slice_picture(*torch.randn(2, 600, generator=generator, dtype=torch.float64)),
    rho=widgets.FloatSlider(value=0.8, min=-0.95, max=0.95, step=0.05, description="ρ"),
    x_2=widgets.FloatSlider(value=1.5, min=-3.0, max=3.0, step=0.1, description="x₂"),
    caption="Left: pairs with correlation ρ, and the line on which we look. "
            "Right: the density along it.",
    alt="A tilted cloud of points with a horizontal line, "
        "and beside it the bell curve of points on that line.",
)

# %% [markdown]
# What to have seen: $x_2$ moves the curve by $\rho$ times its own move. $\rho$ moves it, too, since the mean is
# $\rho\,x_2$, and $\rho$ alone changes the width. At $\rho = 0$ the cloud is round and the two curves lie on each other: an independent number tells you nothing.
#
# ## 5 · How far apart are two Gaussians?
#
# You believe $q$, but the numbers come from $p$. Call $-\log q(x)$ your **surprise** at $x$: large where you expected
# little. Someone who knows $p$ is surprised by $-\log p(x)$, so you are surprised by $\log p(x) - \log q(x)$ more (for
# some $x$ by less). The average of that over numbers from $p$ is the **Kullback–Leibler divergence**, KL for short:
#
# $$ \mathrm{KL}(p\,\|\,q) = \mathbb E_{x\sim p}\big[\log p(x) - \log q(x)\big] \tag{8} $$
#
# ($\mathbb E_{x\sim p}$ is the average over draws from $p$, the **expectation**.) It is 0 if the two are the same and
# positive otherwise: on average nobody does better than the one who knows $p$. The reason is that $\log u < u - 1$ for
# all $u > 0$ but 1. Put $u = q(x)/p(x)$: the average of $\log q - \log p$ over draws from $p$ is below that of
# $q/p - 1$, and that is $\int p\,(q/p - 1)\,dx = \int q\,dx - \int p\,dx = 0$. And KL is not symmetric. For two
# Gaussians put (1) into (8):
#
# $$ \log p(x) - \log q(x) = \tfrac12\Big[\frac{(x-\mu_q)^2}{\sigma_q^2} - \frac{(x-\mu_p)^2}{\sigma_p^2}
#    - \log\frac{\sigma_p^2}{\sigma_q^2}\Big] $$
#
# The average of $(x-\mu_p)^2$ is $\sigma_p^2$, and that of $(x-\mu_q)^2$ is $\sigma_p^2 + (\mu_p-\mu_q)^2$. What remains
# is
#
# $$ \mathrm{KL} = \tfrac12\Big[\frac{\sigma_p^2}{\sigma_q^2} + \frac{(\mu_p-\mu_q)^2}{\sigma_q^2} - 1
#    - \log\frac{\sigma_p^2}{\sigma_q^2}\Big] \tag{9} $$

# %% tags=["export:diffusion_lab.theory.gaussian"]
def kl(mean_p, var_p, mean_q, var_q):
    """KL(p‖q) of two Gaussians, in nats: equation (9)."""
    mean_p, mean_q = (torch.as_tensor(mean, dtype=torch.float64) for mean in (mean_p, mean_q))
    var_p, var_q = (torch.as_tensor(var, dtype=torch.float64) for var in (var_p, var_q))
    ratio = var_p / var_q
    return 0.5 * (ratio + (mean_p - mean_q) ** 2 / var_q - 1 - torch.log(ratio))

# %% [markdown]
# An average over random draws, like (8), can be computed by drawing: that is the **Monte Carlo** method. Its standard
# error is the deviation of the averaged values over $\sqrt n$.

# %% tags=["check"]
x_p = 1.0 + 0.25**0.5 * torch.randn(200_000, generator=generator, dtype=torch.float64)
extra = log_prob(x_p, 1.0, 0.25) - log_prob(x_p, 0.0, 1.0)
standard_error = extra.std() / len(extra) ** 0.5
exact = kl(1.0, 0.25, 0.0, 1.0)
print(f"closed form {exact:.2f} nats, Monte Carlo {extra.mean():.2f} "
      f"with a standard error of {standard_error:.3f}")
assert abs(extra.mean() - exact) < 4 * standard_error
print(f"the other way round: {kl(0.0, 1.0, 1.0, 0.25):.2f} nats")

# %% [markdown]
# The two directions differ widely. A narrow $p$ inside a wide $q$ costs 0.82 nats; a wide $p$ against a narrow $q$
# costs more, since many of its values fall where $q$ expects almost none. In notebook 04 the bound behind the training
# of a diffusion model turns out to be a sum of such KLs and of one surprise; the training loss weighs its terms anew.
#
# ## 6 · Many dimensions: the shell
#
# An image of 28 × 28 pixels of noise is 784 independent draws of $\mathcal N(0, 1)$. We write $x$ for all of them
# together, and $x \sim \mathcal N(0, I)$, where the identity matrix $I$ says "variance 1 each, no correlations". Its
# density is the product of 784 equal bells, and so it is highest at $x = 0$: a square of even grey. Do samples look
# like that? Figure 1 says no. Look at the **norm**, the distance from the origin
# $\|x\| = \sqrt{x_1^2 + \dots + x_d^2}$. Each $x_i^2$ has average 1. Its square $x_i^4$ averages 3 (the density $p$ of
# one pixel has the slope $-x\,p$; integrate by parts: $\int x^3\, x\,p\,dx = 3\int x^2\,p\,dx = 3$). So the variance of
# $x_i^2$ is $3 - 1 = 2$, and $\|x\|^2$ has average $d$ and variance $2d$. Near $d$ a square root changes by
# $1/(2\sqrt d)$ for each unit, which turns the deviation $\sqrt{2d}$ of $\|x\|^2$ into $1/\sqrt 2$:
#
# $$ \|x\| \approx \sqrt d \;\pm\; \tfrac{1}{\sqrt2}\,, \qquad d = 784:\; 28 \pm 0.7 \tag{10} $$
#
# The norm grows with the dimension; its spread does not. The exact law of the norm is known, too: scipy calls it `chi`.

# %% tags=["claim"]
assert abs(stats.norm.moment(4) - 3) < 1e-9  # the average of x⁴

# %%
norms = {d: torch.randn(5_000, d, generator=generator, dtype=torch.float64).norm(dim=1)
         for d in (1, 10, 100, 784)}
mean = norms[784].mean()
std = norms[784].std()
print(f"784 dimensions: average norm {mean:.1f}, deviation {std:.1f}; "
      f"of 5,000 draws {(norms[784] < 25).sum()} are below 25")

# %% tags=["claim"]
for d, norm in norms.items():
    assert stats.kstest(norm.numpy(), "chi", args=(d,)).pvalue > 0.001
assert abs(mean - 784**0.5) < 0.01 + 4 * std / 5_000**0.5  # (10) is an approximation: allow it 0.01

# %% tags=["figure"]
fig, ax = figure(width=7.5, height=2.8)
r = torch.linspace(0.01, 32, 800)
for d, norm in norms.items():
    ax.hist(norm, bins=40, density=True, alpha=0.5, color=ROLES["noise"]["color"])
    law = stats.chi.pdf(r, d)
    ax.plot(r, law, **ROLES["exact"] | {"linewidth": 1})
    ax.text(d**0.5, law.max() + 0.05, f"d = {d}", ha="center")
ax.set(xlabel="distance from the origin", ylabel="density", xlim=(0, 32), ylim=(0, 0.95))
show(fig, alt="Four histograms of the norm: near 0 for d = 1, around 3 for 10, around 10 for 100, "
              "around 28 for 784.")

# %% [markdown]
# **Figure 4.** Histograms of 5,000 norms for each dimension, and the exact law (dashed). In one dimension most draws
# are near the origin, the top of the density. In 784 dimensions nearly all of them lie in a thin **shell**, between 26 and
# 30 from the origin, and none is anywhere near the origin.
#
# How can the density be highest where nobody lives? Probability is density *times volume*. Go from norm 28 inwards to 14:
# the density grows by a factor of $e^{(28^2-14^2)/2} = e^{294}$, about $10^{128}$. But the volume of a ball grows like
# $r^{784}$, so the room shrinks by $2^{784}$, about $10^{236}$. Room wins by more than a hundred powers of ten. The next
# cells check that with the exact law, and walk from one noise image to another.

# %%
print(f"chance of a norm below 14: 10^{stats.chi.logcdf(14, 784) / np.log(10):.0f}")

# %%
first, last = torch.randn(2, 784, generator=generator, dtype=torch.float64)
w = torch.linspace(0, 1, 51, dtype=torch.float64)[:, None]
straight = (1 - w) * first + w * last
rooted = (1 - w).sqrt() * first + w.sqrt() * last

# %% tags=["claim"]
advantage = log_prob(torch.zeros(784), 0.0, 1.0).sum() - log_prob(first, 0.0, 1.0).sum()
assert torch.isclose(advantage, first.norm() ** 2 / 2)  # it grows by exp(½ ‖x‖²) towards the origin
assert abs(straight[25].norm() - 392**0.5) < 4 * 0.5  # variance ½: the norm has a deviation of ½

# %% tags=["figure"]
fig, ax = figure(width=7, height=2.8)
lines = [(w, straight.norm(dim=1), "noise", "weights 1-w and w"),
         (w, rooted.norm(dim=1), "data", "weights √(1-w) and √w")]
ax.axhspan(26, 30, alpha=0.25, color=ROLES["noise"]["color"], label="the shell")
curves(ax, lines, "w: from one noise image to another", "norm", ylim=(15, 32))
show(fig, alt="The norm along two paths between two noise images: one sags from 28 to 20, "
              "the other stays at 28.")

# %% [markdown]
# **Figure 5.** The straight line between two noise images (dotted) leaves the shell (grey: 28 ± 2, about three deviations to each side); the average of the two
# is no noise image. The path whose *squared* weights add up to 1 (solid) stays inside.
#
# The reason is equation (3). Halfway along the straight line, each pixel has variance $\tfrac14 + \tfrac14 = \tfrac12$,
# so the norm is $\sqrt{784/2} \approx 20$. With weights $\sqrt{1-w}$ and $\sqrt w$ the variance is $(1-w) + w = 1$
# throughout. Two consequences that you will meet again:
#
# - "The most likely image" is a bad sample. A sampler must end among the samples, not at the top of the density.
# - To mix signal with noise and keep the variance at 1, take the *roots* of two shares that add up to 1. That is how
#   the forward step of notebook 02 is made.
#
# From now on: `from diffusion_lab.theory.gaussian import log_prob, product, kl`.
#
# ## Exercises
#
# Write your answer in place of `raise NotImplementedError`, run the cell, then run the check below it. It tells you
# what is wrong, not only that something is.
#
# ### Exercise 1 (warm-up): draw
#
# Turn standard normal draws into draws of a given mean and variance.

# %% tags=["exercise"]
def draw(mean, var, eps):
    """Draws of N(mean, var).

    mean, var: floats. eps: standard normal, float64 (n,). Returns float64 (n,).
    """
    raise NotImplementedError


# %% tags=["check"]
check_draw(draw)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# Equation (2) multiplies by the deviation. You are given the variance.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def draw(mean, var, eps):
#     return mean + var**0.5 * eps
# ```
# </details>

# %% [markdown]
# ### Exercise 2 (core): a weighted sum
#
# Let $x \sim \mathcal N(\mu_1, \sigma_1^2)$ and $y \sim \mathcal N(\mu_2, \sigma_2^2)$ be independent. What are the mean
# and the variance of $a x + b y$?

# %% tags=["exercise"]
def weighted_sum(a, mean_1, var_1, b, mean_2, var_2):
    """Mean and variance of a x + b y. All arguments are floats. Returns two floats."""
    raise NotImplementedError


# %% tags=["check"]
check_sum(weighted_sum)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# First the affine map (what does a factor $a$ do to a variance?), then equation (3).
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def weighted_sum(a, mean_1, var_1, b, mean_2, var_2):
#     return a * mean_1 + b * mean_2, a**2 * var_1 + b**2 * var_2
# ```
# </details>

# %% [markdown]
# ### Exercise 3 (core): how far from the standard normal?
#
# How far is $\mathcal N(\mu, \sigma^2)$ from $\mathcal N(0, 1)$? Start from equation (9) and simplify it; use
# `torch.log`. You will use the result in notebook 02, to see whether $x_T$ is noise.

# %% tags=["exercise"]
def kl_to_standard(mean, var):
    """KL(N(mean, var) ‖ N(0, 1)), in nats. mean, var: float64 (n,). Returns float64 (n,)."""
    raise NotImplementedError


# %% tags=["check"]
check_kl_to_standard(kl_to_standard)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# Put $\mu_q = 0$ and $\sigma_q^2 = 1$ into (9). The denominators become 1, and the difference of the means is $\mu_p$.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def kl_to_standard(mean, var):
#     return 0.5 * (var + mean**2 - 1 - torch.log(var))
# ```
# </details>

# %% [markdown]
# ### Exercise 4 (hard): a noisy measurement
#
# An unknown $x$ is drawn from $\mathcal N(0, v)$. You see $y = a x + \sqrt{w}\,\varepsilon$ with known $a$ and $w > 0$,
# where $\varepsilon$ is standard normal and independent of $x$. What do you know about $x$ now? This is one pixel of a
# noisy image: $x$ is the clean pixel, $y$ the noisy one.

# %% tags=["exercise"]
def conditional(y, a, v, w):
    """Mean and variance of x given y.

    y: float64 (n,); a, v, w: floats. Returns float64 (n,) and a float.
    """
    raise NotImplementedError


# %% tags=["check"]
check_conditional(conditional)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# As a function of $x$, the density of $y$ given $x$ is, up to a factor, a Gaussian around $y/a$ with variance $w/a^2$.
# The density of $x$ given $y$ is proportional to that times $\mathcal N(x; 0, v)$ (section 4): use (4).
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def conditional(y, a, v, w):
#     var = 1 / (1 / v + a**2 / w)
#     return var * a * y / w, var
# ```
# </details>

# %% [markdown]
# ## A common mistake
#
# Two slips that are easily made and hard to see in code: multiplying by the *variance* where the deviation
# belongs, and drawing with `rand` (uniform between 0 and 1) where `randn` (normal) is meant. Here noise of variance 0.25
# is to be added to a digit: once right, once with each slip.

# %%
digit = load_digits("test")[0][:1].double()
eps = torch.randn(digit.shape, generator=generator, dtype=torch.float64)
right = digit + 0.25**0.5 * eps
variance_as_deviation = digit + 0.25 * eps
uniform = digit + 0.25**0.5 * torch.rand(digit.shape, generator=generator, dtype=torch.float64)

copies = {"right": right, "variance as deviation": variance_as_deviation, "rand for randn": uniform}
for name, noisy in copies.items():
    added = noisy - digit
    print(f"{name:22} mean {added.mean():5.2f}  variance {added.var():.2f}  "
          f"smallest {added.min():5.2f}")

# %% tags=["claim"]
for noisy, var in [(right, 0.25), (variance_as_deviation, 0.25**2)]:
    assert abs((noisy - digit).var() - var) < 4 * var * (2 / 784) ** 0.5
assert (uniform - digit).min() >= 0

# %% tags=["figure"]
row = torch.cat([digit, *copies.values()])
show(gallery({"": row / 2.5}, ["clean", *copies], size=2),
     alt="Four pictures of one digit: clean, grainy, a little grainy, and with the faintest grain.")

# %% [markdown]
# **Figure 6.** A digit and its three noisy copies, black at -2.5 and below, white at 2.5 and above, so that hardly any noise
# is cut off. *The symptom*: both mistakes look harmless, like less noise than on the right copy. Only the numbers above
# give them away: a variance of 0.06 is 0.25 squared, so the variance was used as a deviation; a mean of 0.25 and nothing
# below 0 come from `rand`, whose noise is never negative and brightens the whole picture. Print the mean, the variance and
# the smallest value of what you added.
#
# ## Summary
#
# - A density is a height and may exceed 1; areas under it are probabilities.
# - $\mu + \sigma\varepsilon$ draws from any Gaussian; factors act on deviations, their squares on variances.
# - Independent sums add variances; products of densities add precisions; a slice of a joint Gaussian is Gaussian.
# - KL measures in nats how wrong it is to believe $q$ when $p$ is true, and it has a direction.
# - In 784 dimensions nearly every sample lies in a thin shell of radius 28, far from the most likely point.
#
# ## Check yourself
#
# <details><summary>Can a Gaussian with deviation 0.001 have a density of 300?</summary>
#
# Yes: its top is $1/(0.001\sqrt{2\pi}) \approx 399$, so it is 300 at some point near the mean.
# </details>
#
# <details><summary>You add noise of deviation 0.6 to a signal of deviation 0.8, independent of it. What is the deviation of the sum?</summary>
#
# $\sqrt{0.64 + 0.36} = 1$. A sum like this keeps the variance at 1; notebook 02 lives on it.
# </details>
#
# <details><summary>A program returns the point of highest density as its "sample" of a 784-dimensional standard normal. How do you find out?</summary>
#
# Compute its norm. That of a sample is nearly always between 26 and 30; the top of the density has norm 0.
# </details>
#
# ## Further reading
#
# - Bishop (2006), *Pattern Recognition and Machine Learning*, sections 1.2.4 and 2.3: equation (1) is his 1.46, the
#   product (4) is his 2.141–2.142 with one observation, and (7) is a case of 2.81–2.82. Free as a PDF from its author.
# - MacKay (2003), *Information Theory, Inference, and Learning Algorithms*, section 2.6 for KL, which he calls relative
#   entropy. Free on its author's page.
# - Vershynin (2018), *High-Dimensional Probability*, section 3.1: why norms concentrate, with proof.
#
# ## Next
#
# Notebook 02 takes a digit and mixes it with noise, a little at each step, until nothing of the digit is left. Every
# step is equation (2) and equation (3).
