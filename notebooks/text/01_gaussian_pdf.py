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
# Numbers live in **tensors**: PyTorch's arrays. They behave like NumPy's, and notebook 05 will show what they can do
# beyond that. A **generator** is a source of random numbers; we give it a fixed seed, so that you see what we saw.

# %%
import ipywidgets as widgets
import torch
from scipy import integrate, stats

from diffusion_lab.data.digits import load_digits
from diffusion_lab.exercises.gaussian_pdf import check_conditional, check_draw, check_kl_to_standard, check_sum
from diffusion_lab.theory.check import double, positive
from diffusion_lab.view.live import Live
from diffusion_lab.view.pictures import mosaic, show
from diffusion_lab.view.plots import curves, histogram
from diffusion_lab.view.style import POINTS, ROLES, figure

generator = torch.Generator().manual_seed(0)

# %% [markdown]
# Here is one picture of what is coming: 784 independent draws from a Gaussian, laid out as an image, and how often
# each value came up.

# %%
noise = torch.randn(1, 1, 28, 28, generator=generator, dtype=torch.float64)
fig, ax = figure(width=6, height=2.6)
_ = histogram(ax, noise.flatten(), "noise", "784 draws", bins=30, xlabel="value", ylabel="density")
show(fig, alt="A histogram of 784 values, highest around 0 and falling off towards -3 and 3.")
show(mosaic(noise / 3, scale=5), alt="A square of grey specks without any pattern: the same 784 values as pixels.")

# %% [markdown]
# **Figure 1.** Above: most of the values are near 0, few are beyond 2, hardly any beyond 3. Below: the same 784
# values as the pixels of a 28 × 28 image. This is what a diffusion model starts from.
#
# ## Predict first
#
# You measure the heights of 1,000 people and draw a histogram whose total area is 1. In metres, the curve peaks at
# about 4. Can that be right, when a probability is never above 1? Decide before you read on.
#
# ## 1 · A density is a height, a probability is an area
#
# A **random variable** is a number that comes out differently each time: a height, a pixel of noise. A **density**
# says where the values fall: the probability of landing between $a$ and $b$ is the *area* under the density from $a$
# to $b$. So a density is never negative, and its whole area is 1.
#
# The **Gaussian** (or **normal**) density has two settings. The **mean** $\mu$ says where its middle is. The
# **variance** $\sigma^2$ says how wide it is: it is the average squared distance from the mean. Its root $\sigma$ is
# the **standard deviation**, **deviation** for short, in the same unit as the values.
#
# $$ \mathcal N(x;\, \mu, \sigma^2) = \frac{1}{\sqrt{2\pi\sigma^2}}\,
#    \exp\!\Big(-\frac{(x-\mu)^2}{2\sigma^2}\Big) \tag{1} $$
#
# In code we keep its logarithm. Densities of images are products of hundreds of small factors, and such products are
# too small for a computer; sums of logarithms are not. A natural logarithm of a probability is measured in **nats**.
# (`double` and `positive` turn their argument into a double-precision tensor, and `positive` refuses a variance that
# is not above 0.)

# %% tags=["export:diffusion_lab.theory.gaussian"]
def log_prob(x, mean, var):
    """log N(x; mean, var), in nats: the logarithm of equation (1)."""
    x, mean, var = double(x), double(mean), positive(var, "var")
    return -0.5 * ((x - mean) ** 2 / var + torch.log(2 * torch.pi * var))


# %% [markdown]
# Does it agree with a library that others have tested for twenty years? And is the area 1?

# %%
x = torch.linspace(-4, 4, 401, dtype=torch.float64)
assert torch.allclose(log_prob(x, 0.5, 2.0), torch.from_numpy(stats.norm.logpdf(x, 0.5, 2.0**0.5)), atol=1e-12)
area, _ = integrate.quad(lambda x: log_prob(x, 0.5, 2.0).exp().item(), -20, 20)
print(f"area under the density: {area:.6f}")

# %% [markdown]
# Note the call to scipy: its `norm` takes the *deviation* $\sqrt 2$, ours takes the *variance* 2. Half of the mistakes
# in published diffusion code are a mix-up of these two.
#
# Now the heights. People's heights have a deviation of about 0.1 m, so the density at its top is
# $1/\sqrt{2\pi \cdot 0.01}$.

# %%
top = log_prob(1.7, 1.7, 0.1**2).exp().item()
within, _ = integrate.quad(lambda x: log_prob(x, 1.7, 0.1**2).exp().item(), 1.6, 1.8)
assert abs(within - (stats.norm.cdf(1) - stats.norm.cdf(-1))) < 1e-9
print(f"density at 1.70 m: {top:.2f} per metre;  probability of 1.60 m to 1.80 m: {within:.3f}")

# %% [markdown]
# The density is 3.99 *per metre*; over 0.2 m that makes an area of about 0.68. In centimetres, the same people have a
# density of 0.04 per centimetre. A density may be as high as it likes, as long as it is narrow.

# %%
fig, ax = figure(width=7, height=2.8)
wide, narrow = log_prob(x, 0.0, 1.0).exp(), log_prob(x, 0.0, 0.04).exp()
_ = curves(ax, [(x, wide, "exact", "variance 1"), (x, narrow, "model", "variance 0.04")], "x", "density")
_ = ax.axhline(1, color="#bbbbbb", linewidth=1)
show(fig, alt="Two bell curves around 0: a low wide one with its top at 0.4, and a narrow one that rises to 2.")

# %% [markdown]
# **Figure 2.** Two Gaussians with the same mean. The narrow one is five times as high and a fifth as wide: both areas
# are 1. The grey line marks height 1; nothing forbids crossing it.
#
# **Try it.** Where does the curve go when you change $\mu$? How high does it get when you halve $\sigma$?

# %%
def draw_density(mean, std):
    fig, ax = figure(width=7, height=2.8)
    inside = x[(x >= mean - std) & (x <= mean + std)]
    ax.fill_between(inside, log_prob(inside, mean, std**2).exp(), alpha=0.25, color=ROLES["data"]["color"])
    curves(ax, [(x, log_prob(x, mean, std**2).exp(), "data", None)], "x", "density", ylim=(0, 2.1))
    ax.set_title(f"top at {log_prob(mean, mean, std**2).exp():.2f}; shaded area 0.68")
    return fig


# %%
mean_slider = widgets.FloatSlider(value=0.0, min=-2.0, max=2.0, step=0.1, description="μ")
std_slider = widgets.FloatSlider(value=1.0, min=0.2, max=2.0, step=0.1, description="σ")
Live(draw_density, caption="Between μ - σ and μ + σ lies 68 % of the area, whatever the two are.",
     alt="A bell curve with the part within one deviation of its mean shaded.", mean=mean_slider, std=std_slider)

# %% [markdown]
# What to have seen: $\mu$ moves the curve and does not change it. Halving $\sigma$ doubles the height. The shaded
# share stays 68 %, because it depends only on how many deviations you go to each side.
#
# ## 2 · Drawing: shift and scale
#
# The generator can draw one thing only: numbers from $\mathcal N(0, 1)$, the **standard normal**. We call such a draw
# $\varepsilon$. Here are five of them; the article that this course grew out of begins with five draws, too.

# %%
eps = torch.randn(5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
print([round(value, 2) for value in eps.tolist()])

# %% [markdown]
# Some are negative, some positive; none is far from 0. Every other Gaussian comes from these by an **affine map**:
# multiply by the deviation, then add the mean.
#
# $$ x = \mu + \sigma\,\varepsilon, \qquad \varepsilon \sim \mathcal N(0, 1)
#    \quad\Longrightarrow\quad x \sim \mathcal N(\mu, \sigma^2) \tag{2} $$
#
# Read $\sim$ as "is drawn from". Why is it true? Adding $\mu$ moves every value, so it moves the mean. Multiplying by
# $\sigma$ multiplies each distance from the mean by $\sigma$, and the average *squared* distance by $\sigma^2$. The
# same argument gives the general rule: if $x$ has mean $\mu$ and variance $\sigma^2$, then $a x + b$ has mean
# $a\mu + b$ and variance $a^2\sigma^2$.
#
# A check by experiment needs to know how wrong it may be. The average of $n$ draws misses the mean by about
# $\sigma/\sqrt n$: the **standard error**. We allow four of them; chance exceeds that once in 16,000 times. And two
# averages cannot tell a bell from another shape, so the **Kolmogorov–Smirnov test** compares the whole distribution
# of the draws with the one that we claim. Its p-value is the chance of a difference this large if the claim is true;
# a tiny one would be bad news.

# %%
n, mean, var = 100_000, 3.0, 4.0
x_n = mean + var**0.5 * torch.randn(n, generator=generator, dtype=torch.float64)
standard_error_of_mean, standard_error_of_var = (var / n) ** 0.5, var * (2 / n) ** 0.5
assert abs(x_n.mean() - mean) < 4 * standard_error_of_mean
assert abs(x_n.var() - var) < 4 * standard_error_of_var
print(f"mean {x_n.mean():.2f} (should be 3), variance {x_n.var():.1f} (should be 4)")

p_value = stats.kstest(x_n.numpy(), "norm", args=(mean, var**0.5)).pvalue
assert p_value > 0.001

# %% [markdown]
# ## 3 · Two Gaussians: sum and product
#
# **Sum.** Draw $x$ and $y$ independently (knowing one tells nothing of the other) and add them. Means add. And
# variances add, because the average of $(x-\mu_1)(y-\mu_2)$ is 0 when the two are independent. Deviations do *not* add.
# The sum is again Gaussian:
#
# $$ x \sim \mathcal N(\mu_1, \sigma_1^2),\; y \sim \mathcal N(\mu_2, \sigma_2^2)
#    \;\Longrightarrow\; x + y \sim \mathcal N(\mu_1+\mu_2,\; \sigma_1^2+\sigma_2^2) \tag{3} $$
#
# The density of a sum is an integral over all ways to make it: $p(s) = \int p_1(u)\, p_2(s-u)\, du$. That gives a
# check that draws nothing.

# %%
def density_of_sum(s):
    def integrand(u):
        return (log_prob(u, 1.0, 9.0) + log_prob(s - u, -2.0, 16.0)).exp().item()

    return integrate.quad(integrand, -60, 60, epsabs=1e-12)[0]


for s in (-6.0, -1.0, 4.0):
    assert abs(density_of_sum(s) - log_prob(s, -1.0, 25.0).exp()) < 1e-9
print("deviations 3 and 4 make a sum of deviation", 25**0.5)

# %% [markdown]
# Three and four make five, as in a right-angled triangle. Every step of a diffusion model is such a sum: a scaled
# signal plus fresh noise.
#
# **Product.** Now multiply two *densities* of the same $x$. That happens whenever two sources speak about one
# unknown: a guess before a measurement and the measurement itself. Their product is not a density (its area is not
# 1), but it has the shape of one, and that shape is Gaussian:
#
# $$ \mathcal N(x; \mu_1, \sigma_1^2)\,\mathcal N(x; \mu_2, \sigma_2^2) \;\propto\; \mathcal N(x; \mu, \sigma^2),
#    \qquad \frac1{\sigma^2} = \frac1{\sigma_1^2} + \frac1{\sigma_2^2},
#    \qquad \mu = \sigma^2\Big(\frac{\mu_1}{\sigma_1^2} + \frac{\mu_2}{\sigma_2^2}\Big) \tag{4} $$
#
# ($\propto$ means "equal up to a factor that does not contain $x$".) To see it, add the two exponents: each is a
# parabola in $x$, a sum of parabolas is a parabola, and its steepness $1/\sigma^2$ is the sum of theirs. One over a
# variance is called **precision**: precisions add, and the mean is an average weighted by precision.

# %% tags=["export:diffusion_lab.theory.gaussian"]
def product(mean_1, var_1, mean_2, var_2):
    """Mean and variance of the Gaussian in equation (4)."""
    mean_1, mean_2 = double(mean_1), double(mean_2)
    var_1, var_2 = positive(var_1, "var_1"), positive(var_2, "var_2")
    var = 1 / (1 / var_1 + 1 / var_2)
    return var * (mean_1 / var_1 + mean_2 / var_2), var


# %% [markdown]
# The check: multiply the two on a fine grid, divide by the area, and compare with equation (4).

# %%
both = (log_prob(x, -1.0, 1.0) + log_prob(x, 1.5, 0.25)).exp()
by_hand = both / torch.trapezoid(both, x)
by_formula = log_prob(x, *product(-1.0, 1.0, 1.5, 0.25)).exp()
assert torch.allclose(by_hand, by_formula, atol=1e-5)
mean, var = product(-1.0, 1.0, 1.5, 0.25)
print(f"mean {mean:.2f}, variance {var:.2f}")

fig, ax = figure(width=7, height=2.8)
lines = [(x, log_prob(x, -1.0, 1.0).exp(), "noise", "N(-1, 1): vague"),
         (x, log_prob(x, 1.5, 0.25).exp(), "data", "N(1.5, 0.25): sharp"), (x, by_formula, "exact", "product, rescaled")]
_ = curves(ax, lines, "x", "density")
show(fig, alt="Three bell curves: a low one at -1, a higher one at 1.5, and their product at 1, the highest of all.")

# %% [markdown]
# **Figure 3.** The product lies between the two, nearer to the sharp one, and is narrower than both: two sources
# together know more than either. In notebook 03 the two will be "what $x_t$ says" and "what $x_0$ says" about the
# step between them.
#
# ## 4 · What one number tells you about another
#
# Two pixels side by side are seldom independent. Take two standard normal numbers with **correlation** $\rho$: the
# average of $x_1 x_2$, between -1 and 1. Their joint density is a hill above a plane. Suppose that you learn the value
# of $x_2$. What is left is a slice through the hill, rescaled to area 1: the density of $x_1$ **given** $x_2$, written
# $p(x_1 \mid x_2)$. The slice is Gaussian, too:
#
# $$ x_1 \mid x_2 \;\sim\; \mathcal N(\rho\, x_2,\; 1-\rho^2) \tag{5} $$
#
# The mean moves towards what you learned; the variance shrinks, and by how much does not depend on the value. (In
# general: Bishop 2006, eqs. 2.81–2.82.) For the check we take scipy's two-dimensional Gaussian and slice it.

# %%
rho, x_2 = 0.8, 1.5
joint = stats.multivariate_normal([0, 0], [[1, rho], [rho, 1]])
a_slice = torch.from_numpy(joint.pdf(torch.stack([x, torch.full_like(x, x_2)], dim=1)))
assert torch.allclose(a_slice / torch.trapezoid(a_slice, x), log_prob(x, rho * x_2, 1 - rho**2).exp(), atol=1e-5)
print(f"given x_2 = 1.5: mean {rho * x_2:.2f}, variance {1 - rho**2:.2f}")

# %% [markdown]
# **Try it.** Which of the two sliders moves the slice, and which one makes it narrow? What is left of the hill when
# $\rho = 0$?

# %%
cloud = torch.randn(600, 2, generator=generator, dtype=torch.float64)


def draw_slice(rho, x_2):
    fig, (left, right) = figure(columns=2, width=7.5, height=3.2)
    left.scatter(rho * cloud[:, 1] + (1 - rho**2) ** 0.5 * cloud[:, 0], cloud[:, 1], **POINTS["data"])
    left.axhline(x_2, **ROLES["model"])
    left.set(xlim=(-3.5, 3.5), ylim=(-3.5, 3.5), xlabel="$x_1$", ylabel="$x_2$", title="600 pairs and the line $x_2$")
    lines = [(x, log_prob(x, 0, 1).exp(), "noise", "before"), (x, log_prob(x, rho * x_2, 1 - rho**2).exp(), "model", "given $x_2$")]
    curves(right, lines, "$x_1$", "density", title="what is known of $x_1$", ylim=(0, 1.3))
    return fig


# %%
rho_slider = widgets.FloatSlider(value=0.8, min=-0.95, max=0.95, step=0.05, description="ρ")
line_slider = widgets.FloatSlider(value=1.5, min=-3.0, max=3.0, step=0.1, description="x_2")
Live(draw_slice, caption="Left: pairs with correlation ρ, and the line on which we look. Right: the density along it.",
     alt="A tilted cloud of points with a horizontal line, and beside it the bell curve of points on that line.",
     rho=rho_slider, x_2=line_slider)

# %% [markdown]
# What to have seen: $x_2$ moves the slice by $\rho$ times its own move; only $\rho$ changes the width. At $\rho = 0$
# the two curves lie on each other: an independent number tells you nothing.
#
# ## 5 · How far apart are two Gaussians?
#
# You believe $q$, but the numbers come from $p$. For each number $x$ you are surprised by $\log p(x) - \log q(x)$ more
# than someone who knows $p$. The average of that over numbers from $p$ is the **Kullback–Leibler divergence**, KL for
# short:
#
# $$ \mathrm{KL}(p\,\|\,q) = \mathbb E_{x\sim p}\big[\log p(x) - \log q(x)\big] \tag{6} $$
#
# ($\mathbb E_{x\sim p}$ is the average over draws from $p$, the **expectation**.) It is 0 if the two are the same and
# positive otherwise, and it is not symmetric. For two Gaussians put (1) into (6). The average of $(x-\mu_p)^2$ is
# $\sigma_p^2$, and that of $(x-\mu_q)^2$ is $\sigma_p^2 + (\mu_p-\mu_q)^2$. What remains is
#
# $$ \mathrm{KL} = \tfrac12\Big[\frac{\sigma_p^2}{\sigma_q^2} + \frac{(\mu_p-\mu_q)^2}{\sigma_q^2} - 1
#    - \log\frac{\sigma_p^2}{\sigma_q^2}\Big] \tag{7} $$

# %% tags=["export:diffusion_lab.theory.gaussian"]
def kl(mean_p, var_p, mean_q, var_q):
    """KL(p‖q) of two Gaussians, in nats: equation (7)."""
    mean_p, mean_q = double(mean_p), double(mean_q)
    var_p, var_q = positive(var_p, "var_p"), positive(var_q, "var_q")
    ratio = var_p / var_q
    return 0.5 * (ratio + (mean_p - mean_q) ** 2 / var_q - 1 - torch.log(ratio))


# %% [markdown]
# An average over random draws, like (6), can be computed by drawing: that is the **Monte Carlo** method. Its standard
# error is the deviation of the averaged values over $\sqrt n$.

# %%
x_p = 1.0 + 0.5 * torch.randn(200_000, generator=generator, dtype=torch.float64)
surprise = log_prob(x_p, 1.0, 0.25) - log_prob(x_p, 0.0, 1.0)
exact, standard_error = kl(1.0, 0.25, 0.0, 1.0), surprise.std() / len(surprise) ** 0.5
assert abs(surprise.mean() - exact) < 4 * standard_error
print(f"closed form {exact:.2f} nats, Monte Carlo {surprise.mean():.2f}; the other way round {kl(0.0, 1.0, 1.0, 0.25):.2f}")

# %% [markdown]
# The two directions differ widely. A narrow $p$ inside a wide $q$ costs 0.82 nats; a wide $p$ against a narrow $q$
# costs more, since many of its values fall where $q$ expects almost none. In notebook 04 the training loss of a
# diffusion model turns out to be a sum of such KLs.
#
# ## 6 · Many dimensions: the shell
#
# An image of 28 × 28 pixels of noise is 784 independent draws of $\mathcal N(0, 1)$; we write
# $x \sim \mathcal N(0, I)$. Its density is the product of 784 equal bells, and it is highest at $x = 0$: a grey
# square. So do samples look like grey squares? Look at the **norm**, the distance from the origin
# $\|x\| = \sqrt{x_1^2 + \dots + x_d^2}$. Each $x_i^2$ averages 1, so $\|x\|^2$ averages $d$, and it varies little:
# its variance is $2d$. Hence
#
# $$ \|x\| \approx \sqrt d \;\pm\; \tfrac{1}{\sqrt2}\,, \qquad d = 784:\; 28 \pm 0.7 \tag{8} $$

# %%
norms = {d: torch.randn(5_000, d, generator=generator, dtype=torch.float64).norm(dim=1) for d in (1, 10, 100, 784)}
for d, norm in norms.items():
    assert stats.kstest(norm.numpy(), "chi", args=(d,)).pvalue > 0.001
print(f"norms in 784 dimensions: {norms[784].mean():.1f} on average, deviation {norms[784].std():.1f}")

# %%
fig, ax = figure(width=7.5, height=2.8)
for d, norm in norms.items():
    _ = ax.hist(norm, bins=40, density=True, alpha=0.5, label=f"d = {d}")
_ = ax.set(xlabel="distance from the origin", ylabel="density", xlim=(0, 31))
_ = ax.legend(loc="upper center", ncols=4)
show(fig, alt="Four histograms of the norm: near 0 for d = 1, around 3 for 10, around 10 for 100, around 28 for 784.")

# %% [markdown]
# **Figure 4.** In one dimension most draws are near the origin, the top of the density. In 784 dimensions all of them
# lie in a thin **shell** of radius 28, and none is anywhere near the origin. (The histograms agree with the exact law
# of the norm, scipy's `chi`.)
#
# Both facts hold at once: the density is highest at the origin, and nobody lives there, because there is so little
# room. Probability is density times volume, and volume grows like $r^{784}$. Two consequences that you will meet:
#
# - "The most likely image" is a bad sample. A sampler must end in the right shell, not at the top of the density.
# - The average of two noise images is no noise image: it falls inside the shell.

# %%
first, second = torch.randn(2, 784, generator=generator, dtype=torch.float64)
halfway = (first + second) / 2
assert abs(halfway.norm() - (784 / 2) ** 0.5) < 4 * 0.5
print(f"norms: {first.norm():.0f} and {second.norm():.0f}, halfway between them {halfway.norm():.0f}")

# %% [markdown]
# By equation (3) the sum has variance 2 in each pixel, and half the sum has variance $2/4 = 1/2$: its norm is
# $\sqrt{392} \approx 20$. To mix two noises and stay in the shell, the *squares* of the weights must add up to 1. That
# is exactly how the forward step of notebook 02 is made.
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
    """Draws of N(mean, var). mean, var: floats. eps: standard normal, float64 (n,). Returns float64 (n,)."""
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
# How far is $\mathcal N(\mu, \sigma^2)$ from $\mathcal N(0, 1)$? Start from equation (7) and simplify it; use
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
# Put $\mu_q = 0$ and $\sigma_q^2 = 1$ into (7). Three of the four terms keep their form.
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
# An unknown $x$ is drawn from $\mathcal N(0, v)$. You see $y = a x + \sqrt{w}\,\varepsilon$ with known $a$ and $w$.
# What do you know about $x$ now? This is one pixel of a noisy image: $x$ is the clean pixel, $y$ the noisy one.

# %% tags=["exercise"]
def conditional(y, a, v, w):
    """Mean and variance of x given y. y: float64 (n,); a, v, w: floats. Returns float64 (n,) and a float."""
    raise NotImplementedError


# %% tags=["check"]
check_conditional(conditional)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# As a function of $x$, the density of $y$ given $x$ is a Gaussian around $y/a$ with variance $w/a^2$. Multiply it by
# $\mathcal N(x; 0, v)$ with equation (4).
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
# Two slips of one word each, both found in published course code: multiplying by the *variance* where the deviation
# belongs, and drawing with `rand` (uniform between 0 and 1) where `randn` (normal) is meant. Here they add noise of
# variance 0.25 to a digit, beside the mend.

# %%
digit = load_digits("test")[0][:1].double()
eps = torch.randn(digit.shape, generator=generator, dtype=torch.float64)
right = digit + 0.25**0.5 * eps
variance_as_deviation = digit + 0.25 * eps
uniform = digit + 0.25**0.5 * torch.rand(digit.shape, generator=generator, dtype=torch.float64)

for name, noisy in [("right", right), ("variance as deviation", variance_as_deviation), ("rand for randn", uniform)]:
    added = noisy - digit
    print(f"{name:22} mean {added.mean():5.2f}  variance {added.var():.2f}  smallest {added.min():5.2f}")
assert abs((right - digit).var() - 0.25) < 4 * 0.25 * (2 / 784) ** 0.5
assert (uniform - digit).min() >= 0

# %%
show(mosaic(torch.cat([digit, right, variance_as_deviation, uniform]), scale=5),
     alt="Four pictures of one digit: clean, grainy, a little grainy, and brightened with faint grain.")

# %% [markdown]
# **Figure 5.** Clean, right, variance used as a deviation, `rand` for `randn`. *The symptom*: the second mistake is
# seen at once, because the noise is never negative and the whole picture turns lighter. The first looks harmless, and
# only a number gives it away: print the variance of what you added.
#
# ## Summary
#
# - A density is a height and may exceed 1; areas under it are probabilities.
# - $\mu + \sigma\varepsilon$ draws from any Gaussian; factors act on deviations, their squares on variances.
# - Independent sums add variances; products of densities add precisions; a slice of a joint Gaussian is Gaussian.
# - KL measures in nats how wrong it is to believe $q$ when $p$ is true, and it has a direction.
# - In 784 dimensions every sample lies in a thin shell of radius 28, far from the most likely point.
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
# Compute its norm. A sample has norm 28 ± 0.7; the top of the density has norm 0.
# </details>
#
# ## Further reading
#
# - Bishop (2006), *Pattern Recognition and Machine Learning*, sections 1.2.4 and 2.3: equation (1) is his 1.46, the
#   conditional (5) is a case of 2.81–2.82. Free as a PDF from its author.
# - MacKay (2003), *Information Theory, Inference, and Learning Algorithms*, chapter 2 for KL, and the exercises of
#   chapter 1 for sums. Free on its author's page.
# - Vershynin (2018), *High-Dimensional Probability*, section 3.1: why norms concentrate, with proof.
#
# ## Next
#
# Notebook 02 takes a digit and mixes it with noise, a little at each step, until nothing of the digit is left. Every
# step is equation (2) and equation (3).
