# %% [markdown]
# # Measure a model in nats: the bound
#
# How good is a model that turns noise into data? One answer is a number: how much probability it gives to data that it
# has not seen. For a diffusion model that number can in general not be computed, but a **bound** on it can. This
# notebook derives the bound, and then computes it where the truth is known to many digits.
#
# You will be able to
#
# - **derive** the evidence lower bound (ELBO) of a diffusion model, line by line,
# - **compute** each of its terms, exactly and by Monte Carlo with honest error bars,
# - **say** where the gap between bound and truth lies, and what moves it,
# - **turn** nats into bits per dimension, for pixels,
# - **recognise** the usual training loss as a reweighted bound.
#
# **You need** notebooks 01 (KL), 02 (the jump) and 03 (posterior, denoised mean). **Time to read** 75 minutes ·
# **to run** 20 seconds. **Paper sections**: Ho et al. 2020, sections 2 and 3 (eqs. 3, 5, 8–14).
#
# ## Set-up

# %%
import gzip
import lzma
import math
from typing import NamedTuple

import ipywidgets as widgets
import torch
from scipy.special import ndtr

from diffusion_lab.data.digits import load_digits
from diffusion_lab.exercises import elbo
from diffusion_lab.theory.denoiser import Denoiser
from diffusion_lab.theory.forward import noise_like, q_sample
from diffusion_lab.theory.gaussian import kl, log_prob
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.parameterization import eps_from_x_0
from diffusion_lab.theory.posterior import posterior_mean, posterior_var, reverse_var, weight_of
from diffusion_lab.theory.schedule import cosine, linear
from diffusion_lab.view.frames import beside, drawn, painter, with_marker
from diffusion_lab.view.live import Live
from diffusion_lab.view.plots import curves
from diffusion_lab.view.scrubber import Scrubber
from diffusion_lab.view.show import show
from diffusion_lab.view.style import ROLES, figure

generator = torch.Generator().manual_seed(0)
grid = torch.linspace(-8, 8, 8001, dtype=torch.float64)

# %% [markdown]
# The idea in one picture: what a density makes likely is cheap, what it makes unlikely is expensive.

# %%
two = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [0.05, 0.05])
log_q = two.log_prob(grid[:, None])
entropy = -torch.trapezoid(log_q.exp() * log_q, grid)

# %% tags=["figure"]
fig, (left, right) = figure(columns=2, width=8, height=2.6)
lines = [(grid, log_q.exp(), "data", None)]
curves(left, lines, "$x_0$", "density $q(x_0)$", xlim=(-2.2, 2.2))
lines = [
    (grid, -log_q, "data", "$-\\log q(x_0)$"),
    (grid, torch.full_like(grid, entropy), "exact", "average: the entropy"),
]
curves(right, lines, "$x_0$", "surprise, nats", xlim=(-2.2, 2.2), ylim=(-1, 16))
show(
    fig,
    alt="Left two peaks at -1 and 1. Right the negative logarithm: two valleys, with a dashed line "
    "at 0.6 across.",
)

# %% [markdown]
# **Figure 1.** Left: data that is near -1 or near 1. Right: the **surprise** $-\log q$, low where data is common. Its average
# over the data is the **entropy** $H$ (dashed). A model $p$ that is not the truth is surprised by more than that, on average;
# the excess is its price.
#
# ## Predict first
#
# Data at -1 or +1, slightly blurred. Two models walk back from noise with the *exact* denoiser, one in 10 steps, one in
# 1,000. Is either of them a perfect model of the data? Which one is nearer, and where in the chain does it lose: near
# the noise, in the middle, or near the data?
#
# ## 1 · The bound, line by line
#
# The model draws $x_T$ from $\mathcal N(0, I)$ and then steps back; we write $p(x_T)$ and $p(x_{t-1}\mid x_t)$ for what
# it draws from. Each step is that of notebook 03,
# $p(x_{t-1}\mid x_t) = \mathcal N\big(\tilde\mu(\hat x_0(x_t), x_t),\, \sigma_t^2 I\big)$, where the model's variance
# $\sigma_t^2$ is $\beta_t$, $\tilde\beta_t$ or between. (The letter $p$ stands for what is or could be learned, $q$ for
# what is fixed.) The probability of a whole chain is the product, and that of the data is the sum over all chains that
# end in it (Ho et al., eq. 1):
#
# $$ p(x_0) = \int p(x_T) \prod_{t=1}^T p(x_{t-1}\mid x_t)\; dx_1\cdots dx_T \tag{1} $$
#
# In general nobody can do this integral. $p(x_0)$ is called the model's **likelihood** of $x_0$ (in notebook 03 the
# word stood for what $x_t$ says about an earlier state). **First**, multiply and divide by $q(x_1,\dots,x_T\mid x_0)$,
# the product of the forward steps, so that the integral becomes an average over chains that we can draw; we write
# $\mathbb E_q$ for it:
#
# $$ -\log p(x_0) = -\log \mathbb E_q\Big[\, p(x_T) \prod_{t=1}^T \frac{p(x_{t-1}\mid x_t)}{q(x_t\mid x_{t-1})} \Big] $$
#
# **Jensen, once.** The curve $-\log$ bends upwards, so the average of $-\log$ is never below $-\log$ of the average (Ho et
# al., eq. 3):
#
# $$ -\log p(x_0) \;\le\; \mathbb E_q\Big[ -\log p(x_T) - \sum_{t=1}^T \log \frac{p(x_{t-1}\mid x_t)}{q(x_t\mid x_{t-1})} \Big] \tag{2} $$
#
# **Bayes, once.** Both factors should be about $x_{t-1}$. The forward chain forgets, so we may add $x_0$ to what is given,
# and then turn the step around; for $t \ge 2$:
#
# $$ q(x_t\mid x_{t-1}) = q(x_t\mid x_{t-1}, x_0) = q(x_{t-1}\mid x_t, x_0)\,\frac{q(x_t\mid x_0)}{q(x_{t-1}\mid x_0)} $$
#
# **Telescoping, once.** In (2) these forward steps are the denominators, so their logarithms enter with a plus. Added
# up over $t = 2\dots T$, those of the last fraction cancel in pairs, and $\log q(x_T\mid x_0) - \log q(x_1\mid x_0)$ is
# left. The step $t = 1$ brings $+\log q(x_1\mid x_0)$, which cancels too. So the right side of (2) is
#
# $$ \mathbb E_q\Big[ \log\frac{q(x_T\mid x_0)}{p(x_T)} + \sum_{t=2}^T \log\frac{q(x_{t-1}\mid x_t, x_0)}{p(x_{t-1}\mid x_t)} - \log p(x_0\mid x_1) \Big] $$
#
# and each average of a logarithm of $q$ over $p$ is a KL (Ho et al., eq. 5):
#
# $$ -\log p(x_0) \;\le\; \underbrace{\mathrm{KL}\big(q(x_T\mid x_0)\,\|\,p(x_T)\big)}_{L_T}
#    + \sum_{t=2}^T \underbrace{\mathbb E_q\,\mathrm{KL}\big(q(x_{t-1}\mid x_t, x_0)\,\|\,p(x_{t-1}\mid x_t)\big)}_{L_{t-1}}
#    + \underbrace{\mathbb E_q\big[-\log p(x_0\mid x_1)\big]}_{L_0} \tag{3} $$
#
# Three kinds of terms. $L_T$, the **prior term**, asks whether the chain ends in noise; nothing in it is learned. The
# **step terms** compare two Gaussians each; the $\mathbb E_q$ in front averages over $x_t$, and `kl_t` below is for one
# $x_t$. $L_0$, the **reconstruction term**, is the last step, to the data. The negative of the right side is called the
# **evidence lower bound**, ELBO ("evidence" is $\log p(x_0)$); we keep the sign in which smaller is better.
#
# Every term is a function of one example $x_0$. Together they make a record:

# %% tags=["export:diffusion_lab.theory.elbo"]
class Terms(NamedTuple):
    """The bound's terms, in nats: kl_prior (n,), kl_t (n, T-1) for t = 2…T, nll_recon (n,)."""

    kl_prior: torch.Tensor
    kl_t: torch.Tensor
    nll_recon: torch.Tensor


# %% tags=["export:diffusion_lab.theory.elbo"]
def kl_prior(x_0, schedule):
    """L_T: KL(q(x_T given x_0) ‖ N(0, I)), per example."""
    alpha_bar_T = schedule.alpha_bar[-1]
    return kl(alpha_bar_T.sqrt() * x_0.double(), 1 - alpha_bar_T, 0.0, 1.0).flatten(1).sum(dim=1)


# %% tags=["export:diffusion_lab.theory.elbo"]
def kl_t(x_0, x_t, t, denoiser, variance="small"):
    """L_{t-1}: KL(q(x_{t-1} given x_t, x_0) ‖ p(x_{t-1} given x_t)), per example, t from 2 to T."""
    schedule = denoiser.schedule
    q_var = posterior_var(t, schedule)
    p_var = reverse_var(t, schedule, variance)
    q_mean = posterior_mean(x_0.double(), x_t.double(), t, schedule)
    p_mean = posterior_mean(denoiser(x_t, t).double(), x_t.double(), t, schedule)
    return kl(q_mean, q_var, p_mean, p_var).flatten(1).sum(dim=1)


# %% [markdown]
# Note the shape of `kl_t`: the same function `posterior_mean` twice, once with the true $x_0$ and once with the
# denoised mean. The model differs from the posterior in that one replacement and, with β, in the variance. (That is no
# error yet: even the best model does not know $x_0$. Section 3 tells apart what must be paid and what is lost.) In
# `Terms`, each field is named after the function that computes it, and column 0 of `kl_t` is $t = 2$, that is $L_1$.
#
# ## 2 · The last step: density or pixels
#
# The step to $t = 0$ needs a variance of its own, because $\tilde\beta_1 = 0$. We take $\tilde\beta_2$ with the small
# variances and $\beta_1$ with the large ones. (DDPM's published code takes $\tilde\beta_2$ for both.) What the last
# step gives is called the **decoder**: a Gaussian around $\tilde\mu = \hat x_0(x_1)$. The sampler of notebook 03 shows
# its mean, without noise; the bound counts its width, too. For continuous data it is a density, `"gaussian"`. For 8-bit
# pixels it should be a *probability*: the area under the Gaussian over the pixel's bin, which reaches $1/255$ to each
# side; the bins at -1 and 1 are open to the outside (Ho et al., eq. 13):
#
# $$ p(x_0\mid x_1) = \Phi(b) - \Phi(a), \qquad a = \frac{x_0 - 1/255 - \hat x_0}{\sigma}, \quad b = \frac{x_0 + 1/255 - \hat x_0}{\sigma} \tag{4} $$
#
# $\sigma$ is the root of `decoder_var`, and $\Phi$ the area under the standard normal up to a point. Far from the mean
# both values round to 1, and their difference to 0, so its logarithm is lost. Two tricks keep the digits: by symmetry,
# always work in the lower tail; and take $\log\Phi$ from a library, so that
# $\log(\Phi(b)-\Phi(a)) = \log\Phi(b) + \log(1 - e^{\log\Phi(a)-\log\Phi(b)})$.

# %% tags=["export:diffusion_lab.theory.elbo"]
def decoder_var(schedule, variance="small"):
    """Variance of the last step: β_1 for "large", beta_tilde_2 for "small", or between."""
    w = weight_of(variance)
    return schedule.beta[1] ** w * posterior_var(2, schedule) ** (1 - w)


# %% tags=["export:diffusion_lab.theory.elbo"]
def discretised_log_prob(x, mean, var):
    """Logarithm of (4) for pixel values x = -1 + k/127.5."""
    x = torch.as_tensor(x).double()
    std = torch.as_tensor(var, dtype=torch.float64).sqrt()
    a = torch.where(x < -0.999, -math.inf, (x - 1 / 255 - mean) / std)
    b = torch.where(x > 0.999, math.inf, (x + 1 / 255 - mean) / std)
    upper = a + b > 0
    log_a = torch.special.log_ndtr(torch.where(upper, -b, a))
    log_b = torch.special.log_ndtr(torch.where(upper, -a, b))
    return log_b + torch.log(-torch.expm1(log_a - log_b))


# %% [markdown]
# The check: 256 probabilities add up to 1, and the plain difference of two $\Phi$ from scipy agrees where it has
# digits. Far out in the upper tail it has none, and is 0. (The course's tests compare all 256 with a computation in 60
# digits.)

# %% tags=["check"]
pixels = torch.arange(256, dtype=torch.float64) / 127.5 - 1
log_p = discretised_log_prob(pixels, torch.tensor(-0.5), 0.004)
assert abs(log_p.exp().sum() - 1) < 1e-12

edges = torch.cat([torch.tensor([-math.inf]), pixels[:-1] + 1 / 255, torch.tensor([math.inf])])
plain = torch.from_numpy(ndtr(((edges + 0.5) / 0.004**0.5).numpy())).diff()
assert torch.allclose(log_p[:100].exp(), plain[:100], rtol=1e-9, atol=0)
print(f"pixel 254: plain probability {plain[-2]:.0f}, log-probability {log_p[-2]:.0f} nats")

# %% tags=["claim"]
assert plain[-2] == 0

# %% [markdown]
# Now the reconstruction term, the draw of all terms, and the unit in which images are compared. One nat is $1/\log 2$
# bits;
# **bits per dimension** are the bits for one image over the number of its pixels.

# %% tags=["export:diffusion_lab.theory.elbo"]
def nll_recon(x_0, x_1, denoiser, variance="small", decoder="gaussian"):
    """L_0: -log p(x_0 given x_1), per example; decoder "gaussian" or "discretised"."""
    log_p = log_prob if decoder == "gaussian" else discretised_log_prob
    mean = denoiser(x_1, 1).double()
    log_p_x_0 = log_p(x_0.double(), mean, decoder_var(denoiser.schedule, variance))
    return -log_p_x_0.flatten(1).sum(dim=1)


# %% tags=["export:diffusion_lab.theory.elbo"]
def elbo_terms(denoiser, x_0, variance="small", decoder="gaussian", generator=None):
    """Every term of (3), with one draw of x_t for each t and example."""
    schedule = denoiser.schedule

    def draw(t):
        return q_sample(x_0, t, noise_like(x_0, generator), schedule)

    recon = nll_recon(x_0, draw(1), denoiser, variance, decoder)
    steps = [kl_t(x_0, draw(t), t, denoiser, variance) for t in range(2, schedule.T + 1)]
    return Terms(kl_prior(x_0, schedule), torch.stack(steps, dim=1), recon)


# %% tags=["export:diffusion_lab.theory.elbo"]
def bits_per_dim(nats, d):
    """Nats for an example of d dimensions, as bits per dimension."""
    return nats / (d * math.log(2))


# %% [markdown]
# ## 3 · Where truth is known
#
# For which model can we tell whether the bound is right? For data with a known density and the exact denoiser. Average
# (3) over the data as well. Then the left side is at least the **entropy** of the data, $H = \mathbb E[-\log q(x_0)]$,
# since no model gives data a higher log-density, on average, than the truth does. And on the right, in one dimension
# and with a Gaussian decoder, the averages need only the average of $x_0^2$ and, for each $t$, the error of the
# denoiser, $\mathrm{mse}_t = \mathbb E\,(x_0-\hat x_0(x_t))^2$. (It is $\mathbb E\,x_0^2 - \mathbb E\,\hat x_0^2$: as
# $\hat x_0$ is the mean of $x_0$ given $x_t$, $\mathbb E\,x_0\hat x_0 = \mathbb E\,\hat x_0^2$.) For, with
# $A_t = \sqrt{\bar\alpha_{t-1}}\,\beta_t/(1-\bar\alpha_t)$, the factor of $x_0$ in $\tilde\mu$, the two means of a step
# term differ by $A_t(x_0-\hat x_0)$. By equation (9) of notebook 01 their KL is that of the widths plus
# $A_t^2(x_0-\hat x_0)^2/2\sigma_t^2$, with $\sigma_t^2$ the model's variance; now average:
#
# $$ \mathbb E\,L_{t-1} = \mathrm{KL}\big(\mathcal N(0,\tilde\beta_t)\,\|\,\mathcal N(0,\sigma_t^2)\big) + \frac{A_t^2\,\mathrm{mse}_t}{2\sigma_t^2} \tag{5} $$

# %%
def expected_terms(square, mse, schedule, variance):
    """The terms of (3) averaged over 1-D data, from E[x_0²] and mse (T+1,); Gaussian decoder."""
    alpha_bar = schedule.alpha_bar
    prior = kl(0.0, 1 - alpha_bar[-1], 0.0, 1.0) + 0.5 * alpha_bar[-1] * square

    t = torch.arange(2, schedule.T + 1)
    A = alpha_bar[t - 1].sqrt() * schedule.beta[t] / (1 - alpha_bar[t])
    p_var = reverse_var(t, schedule, variance)
    steps = kl(0.0, posterior_var(t, schedule), 0.0, p_var) + 0.5 * A**2 * mse[t] / p_var

    last_var = decoder_var(schedule, variance)
    recon = 0.5 * torch.log(2 * torch.pi * last_var) + 0.5 * mse[1] / last_var
    return Terms(prior, steps, recon)


# %%
def mse_by_quadrature(data, schedule):
    """E(x_0 - x̂_0)² = E x_0² - E x̂_0² for t = 0…T, by an integral over x_t on the grid."""
    square = (data.weight * (data.mean[:, 0] ** 2 + data.var)).sum()
    mse = [torch.zeros_like(square)]
    for t in range(1, schedule.T + 1):
        q = data.marginal(t, schedule).log_prob(grid[:, None]).exp()
        x_0_hat = data.denoiser(schedule)(grid[:, None], t)[:, 0]
        mse.append(square - torch.trapezoid(q * x_0_hat**2, grid))
    return square, torch.stack(mse)


def information(data, schedule):
    """Mutual information of x_0 and x_t, t = 1…T, nats: entropy of x_t less that of its noise."""
    times = range(1, schedule.T + 1)
    log_q = torch.stack([data.marginal(t, schedule).log_prob(grid[:, None]) for t in times])
    noise = 0.5 * torch.log(2 * math.pi * math.e * (1 - schedule.alpha_bar[1:]))
    return -torch.trapezoid(log_q.exp() * log_q, grid) - noise


def total(terms):
    return terms.kl_prior + terms.kl_t.sum(-1) + terms.nll_recon


# %% [markdown]
# First for Gaussian data $\mathcal N(0, v)$, where
# $\mathrm{mse}_t = v(1-\bar\alpha_t)/(\bar\alpha_t v + 1-\bar\alpha_t)$ and $H = \tfrac12\log(2\pi e v)$ are known in
# closed form. (Precisions add: $1/\mathrm{mse}_t = 1/v + \mathrm{SNR}_t$.) Quadrature must agree.

# %% tags=["check"]
schedule = cosine(100)
v = 0.25
gaussian = GaussianMixture([1.0], [[0.0]], [v])
alpha_bar = schedule.alpha_bar
mse_closed = v * (1 - alpha_bar) / (alpha_bar * v + 1 - alpha_bar)
square, mse = mse_by_quadrature(gaussian, schedule)
assert torch.allclose(mse, mse_closed, atol=1e-9, rtol=0)

# %%
gaussian_entropy = 0.5 * math.log(2 * math.pi * math.e * v)
print("data N(0, 0.25), cosine, T = 100, exact denoiser, Gaussian decoder; nats")
for variance in ("small", "large"):
    bound = total(expected_terms(v, mse_closed, schedule, variance))
    print(f"variance {variance}: bound {bound:.4f}, entropy {gaussian_entropy:.4f}, "
          f"gap {bound - gaussian_entropy:.4f}")

# %% tags=["claim"]
for variance in ("small", "large"):
    bound = total(expected_terms(v, mse_closed, schedule, variance))
    assert abs(bound - total(expected_terms(square, mse, schedule, variance))) < 1e-9
    assert bound > gaussian_entropy

# %% [markdown]
# The bound holds; with β it is close. Where does the gap come from? Averaged over the data, (2) says that bound minus
# entropy is a KL between whole chains, $\mathrm{KL}\big(q(x_0,\dots,x_T)\,\|\,p(x_0,\dots,x_T)\big)$. Read both chains
# backwards, from $x_T$ down ($q$, too, is then a product of steps, $q(x_{t-1}\mid x_t)$), and the logarithm of each is
# a sum over steps. So the gap is a sum, too: how far is the noise that we start with from $q(x_T)$, and how far is each
# step of the model from the true step back *without* $x_0$? This is all that is lost. (It is the KL between data and
# model, plus what Jensen's line lost.)
#
# $$ \text{gap} = \mathrm{KL}\big(q(x_T)\,\|\,p(x_T)\big) + \sum_{t=1}^T \mathbb E\,\mathrm{KL}\big(q(x_{t-1}\mid x_t)\,\|\,p(x_{t-1}\mid x_t)\big) \tag{6} $$
#
# A term of (3) is not its part here. Put $q(x_{t-1}\mid x_t)$ between the two densities of a step term: the step from
# $q(x_{t-1}\mid x_t, x_0)$ to it is what $x_{t-1}$ tells about $x_0$ and $x_t$ does not, a difference of two mutual
# informations (notebook 02, whose equation (6) is the middle one); the rest is the part of (6). In the same way for
# the ends:
#
# $$ \mathbb E\,L_{t-1} = \text{part} + I(x_0;x_{t-1}) - I(x_0;x_t), \qquad \mathbb E\,L_T = \text{part} + I(x_0;x_T),
#    \qquad \mathbb E\,L_0 = \text{part} + H - I(x_0;x_1) $$
#
# In the sum all informations cancel, and $H$ is left. So a large step term is no fault of the model; a large part of
# (6) is.
#
# For Gaussian data the true step back is a Gaussian with the model's mean and the variance
# $\tilde\beta_t + A_t^2\,\mathrm{mse}_t$ (what would stay uncertain even if $x_0$ were known, plus what is uncertain
# because it is not). So each part of (6) is the KL of two Gaussians with equal means. The next cell checks the sum and
# these three equations. For data $\mathcal N(0, 1)$ and β nothing is lost at all.

# %% tags=["check"]
def gap_by_steps(mse, schedule, variance, square):
    """The parts of (6) for Gaussian data: prior, then t = 1…T."""
    alpha_bar = schedule.alpha_bar
    prior = kl(0.0, alpha_bar[-1] * square + 1 - alpha_bar[-1], 0.0, 1.0)

    t = torch.arange(1, schedule.T + 1)
    A = alpha_bar[t - 1].sqrt() * schedule.beta[t] / (1 - alpha_bar[t])
    true_var = posterior_var(t, schedule) + A**2 * mse[t]
    last_var = decoder_var(schedule, variance)
    p_var = torch.cat([last_var[None], reverse_var(t[1:], schedule, variance)])
    return prior, kl(0.0, true_var, 0.0, p_var)


information_t = information(gaussian, schedule)
for variance in ("small", "large"):
    prior, steps = gap_by_steps(mse_closed, schedule, variance, v)
    terms = expected_terms(v, mse_closed, schedule, variance)
    assert abs(prior + steps.sum() - (total(terms) - gaussian_entropy)) < 1e-9
    assert torch.allclose(terms.kl_t, steps[1:] - information_t.diff(), atol=1e-9, rtol=0)
    assert abs(terms.kl_prior - (prior + information_t[-1])) < 1e-9
    assert abs(terms.nll_recon - (steps[0] + gaussian_entropy - information_t[0])) < 1e-9
print("the gap is the sum of (6), to nine digits")

# %% tags=["claim"]
lost = gap_by_steps(1 - schedule.alpha_bar, schedule, "large", 1.0)  # data N(0, 1)
assert sum(part.sum() for part in lost) < 1e-12

# %% tags=["figure"]
fig, ax = figure(width=7.5, height=2.9)
_, small = gap_by_steps(mse_closed, schedule, "small", v)
_, large = gap_by_steps(mse_closed, schedule, "large", v)
lines = [
    (torch.arange(1, 101), small, "model", "$\\tilde\\beta_t$ (small)"),
    (torch.arange(1, 101), large, "data", "$\\beta_t$ (large)"),
]
curves(ax, lines, "t", "part of the gap, nats", yscale="log", ylim=(1e-8, 1))
show(
    fig,
    alt="The small variance is highest at t = 2 and falls; the large one is low at both ends, "
    "highest near t = 30.",
)

# %% [markdown]
# **Figure 2.** Where the gap lies, for $\mathcal N(0, 0.25)$ in 100 steps. With $\tilde\beta$ (orange) nearly all of it is near
# the data: the first five $t$ hold four fifths of the 0.79 nats. There the true step back is almost as wide as β, and
# $\tilde\beta$ is the wrong variance by the largest factor. (The first point is lower, because the decoder has $\tilde\beta_2$ in
# place of $\tilde\beta_1 = 0$.) With β (blue) the whole gap is 0.006 nats, spread over the middle of the chain.

# %% tags=["claim"]
_, steps = gap_by_steps(mse_closed, schedule, "small", v)
assert steps[:5].sum() > 0.8 * steps.sum()

# %% [markdown]
# Now data that is no Gaussian: two narrow peaks. Entropy, errors and information come from quadrature; all else is the
# same code, and the parts of (6) come from these three equations, read backwards. A second, independent way to the same
# number is **Monte Carlo**: draw data, draw noise, average `elbo_terms`.

# %%
print("data ½N(-1, 0.05) + ½N(1, 0.05), cosine, exact denoiser, Gaussian decoder; "
      "nats; small variance, then large")
parts = {}
for T in (10, 100, 1000):
    square, mse = mse_by_quadrature(two, cosine(T))
    information_t = information(two, cosine(T))
    bounds = []
    for variance in ("small", "large"):
        terms = expected_terms(square, mse, cosine(T), variance)
        bounds.append(total(terms))
        part_1 = terms.nll_recon - entropy + information_t[0]
        parts[T, variance] = torch.cat([part_1[None], terms.kl_t + information_t.diff()])
    small, large = bounds
    print(f"T = {T:4}: bound {small:.3f} and {large:.3f}; above the entropy {entropy:.3f} "
          f"by {small - entropy:.4f} and {large - entropy:.4f}")

small = parts[1000, "small"]
large = parts[1000, "large"]
near = 100 * small[:100].sum() / small.sum()
middle = 100 * large[100:500].sum() / large.sum()
print(f"T = 1000: {near:.0f} % of the gap lie at t = 1…100 with the small variance; "
      f"{middle:.0f} % at t = 101…500 with the large")

# %% tags=["claim"]
assert min(part.min() for part in parts.values()) > -1e-9  # each is the average of a KL

# %% tags=["check"]
n = 100
runs = 200
covered = 0
denoiser = two.denoiser(cosine(10))
truth = total(expected_terms(*mse_by_quadrature(two, cosine(10)), cosine(10), "large"))
for _ in range(runs):
    draws = total(elbo_terms(denoiser, two.sample(n, generator), "large", generator=generator))
    covered += int(abs(draws.mean() - truth) < 2 * draws.std() / n**0.5)
print(f"the error bar of two standard errors covers the truth in {covered} of {runs} runs; "
      "191 are expected")
assert abs(covered - 191) < 4 * (runs * 0.954 * 0.046) ** 0.5

# %% [markdown]
# **Try it.** $T = 20$ steps, with β, for data $x_0 = 1$. So that the pictures follow each other smoothly, every $x_t$
# is a jump with the same noise, $\varepsilon = -1.3$; a real chain would draw afresh. Dashed is the posterior, which
# knows $x_0$; orange is the model's step, which does not. Their KL is what this $x_t$ adds to $L_{t-1}$: a price, not
# yet a loss. Scrub from the noise ($t = 20$) towards the data. Where do the two differ in place, and where in width?
# Where are the most nats paid?

# %%
schedule = cosine(20)
denoiser_20 = two.denoiser(schedule)
x_0 = torch.ones(1, 1, dtype=torch.float64)
eps = torch.full((1, 1), -1.3, dtype=torch.float64)
x_t = {t: q_sample(x_0, t, eps, schedule) for t in range(20, 1, -1)}
here = {t: kl_t(x_0, x_t[t], t, denoiser_20, "large").item() for t in x_t}
average = expected_terms(*mse_by_quadrature(two, schedule), schedule, "large").kl_t.flip(0)


# %% tags=["figure"]
def step_frames(chain, clean, states):
    """Frames for {t: x_t}: the posterior, in units of its own deviation, and the model's step."""
    fig, ax = figure(width=4, height=2.8)
    u = torch.linspace(-5, 5, 401, dtype=torch.float64)
    lines = [
        (u, log_prob(u, 0, 1).exp(), "exact", "posterior, $x_0$ known"),
        (u, u, "model", "the model's"),
    ]
    xlabel = "distance from $\\tilde\\mu_t$, in deviations $\\sqrt{\\tilde\\beta_t}$"
    curves(ax, lines, xlabel, "density", xlim=(-5, 5), ylim=(0, 0.7))

    def update(t):
        q_std = posterior_var(t, chain).sqrt()
        p_std = reverse_var(t, chain, "large").sqrt()
        q_mean = posterior_mean(clean, states[t], t, chain)
        p_mean = posterior_mean(denoiser_20(states[t], t), states[t], t, chain)
        density = log_prob(u, (p_mean - q_mean)[0] / q_std, (p_std / q_std) ** 2).exp()
        ax.lines[1].set_ydata(density)

    return drawn(fig, ax.lines[1:], update, states)


fig, ax = figure(width=2.8, height=2.8)
lines = [(list(x_t), average, "model", None)]
curves(ax, lines, "t", "$L_{t-1}$ on average, nats", yscale="log", xlim=(21, 1))
Scrubber(
    beside(step_frames(schedule, x_0, x_t), with_marker(fig, ax, list(x_t))),
    labels=[f"t = {t} · x_t = {x_t[t].item():.2f} · {here[t]:.3f} nats" for t in x_t],
    caption="Left: the posterior and the model's step. Right: the term that this step adds to the "
    "bound, on average.",
    alt="Two bell curves that move apart and together again as t falls, and beside them a line "
    "that moves along a curve.",
)

# %% [markdown]
# What to have seen: at $t = 20$ the two lie on each other. The model knows nothing of $x_0$, but $x_0$ hardly matters
# for that step. Then the model leans to the wrong side: this noise has pushed $x_t$ to the left, and at $t = 9$
# ($x_t = -0.09$) it might come from either peak. The model's step stands 0.8 deviations from the posterior, and pays 0.28 nats.
# Three steps later it is fairly sure of the side (88 %) and pays 0.09. From $t = 4$ on (over 99 %), what is left to
# guess is where within the peak $x_0$ lies, in units of an ever smaller $\sqrt{\tilde\beta_t}$. At $t = 2$ the model
# stands 1.3 deviations off (0.25 nats) and is almost twice as wide, since β is not $\tilde\beta$ (another 0.27). It is
# the dearest step here, 0.52 nats, and on average over data and noise, 0.50.

# %% tags=["claim"]
# the probability of the peak at +1, given x_t
side = {t: torch.softmax(two.marginal(t, schedule).log_joint(x_t[t]), dim=1)[0, 1] for t in (6, 4)}
assert 0.875 < side[6] < 0.885 < 0.998 < side[4]
assert here[6] < 0.09 < here[9] == max(here[t] for t in range(3, 21)) < 0.285 < here[2] < 0.525
assert 0.5 < average[-1] == average.max() < 0.51
assert 0.265 < kl(0.0, posterior_var(2, schedule), 0.0, schedule.beta[2]) < 0.275  # the width's

# %% [markdown]
# So much for the *bound*: it is above the entropy, and how far depends on the variance. With β the gap shrinks from
# 0.28 nats in 10 steps to 0.0034 in 1,000, and most of it lies in the middle (for $T = 1000$, 83 % at
# $t = 101\dots500$). With $\tilde\beta$ it is 0.56, 0.72 and 0.52 nats for $T = 10$, 100 and 1,000, near the data (for
# $T = 1000$, 99 % at $t \le 100$): at $t = 2$ the ratio $\tilde\beta_t/\beta_t$ is 0.28, 0.36 and 0.47. As $T$ grows it
# tends to $(t-1)/t$ and not to 1, so smaller steps do not mend it.

# %% tags=["claim"]
ratios = [posterior_var(2, cosine(T)) / cosine(T).beta[2] for T in (10, 100, 1000)]
assert [round(ratio.item(), 2) for ratio in ratios] == [0.28, 0.36, 0.47]

# %% [markdown]
# The question at the top was about the *model*. Is the one with $\tilde\beta$ that much worse? The bound compares whole
# chains; the data that come out of them are another matter, and what Jensen's line lost may be most of the gap. In one
# dimension we can look, decoder included. For data $\mathcal N(0, 0.25)$ the model's own $p(x_0)$ is a Gaussian, with a
# variance in closed form. For any data, put the density of $x_T$ on a grid and do the integral (1) one step at a time:
# each step is a product of a matrix, $p(x_{t-1}\mid x_t)$ at all pairs of grid points, with the density so far. For the
# Gaussian both ways must agree.

# %%
def density_of_data(data, schedule, variance, x):
    """The model's p(x_0), decoder included, on an even grid x (n,), for data's exact denoiser."""
    p = log_prob(x, 0.0, 1.0).exp()
    denoiser = data.denoiser(schedule)
    for t in range(schedule.T, 0, -1):
        mean = posterior_mean(denoiser(x[:, None], t), x[:, None], t, schedule)[:, 0]
        p_var = reverse_var(t, schedule, variance) if t > 1 else decoder_var(schedule, variance)
        p = log_prob(x[:, None], mean, p_var).exp() @ p * (x[1] - x[0])
    return p


# %%
coarse = grid[::10]
density = {}
price = {}
print("the model's own -log p, above the entropy")
for T, variance in ((10, "small"), (10, "large"), (100, "small"), (100, "large")):
    for data in (gaussian, two):
        log_q = data.log_prob(coarse[:, None])
        p = density_of_data(data, cosine(T), variance, coarse)
        density[data, T, variance] = p
        price[data, T, variance] = torch.trapezoid(log_q.exp() * (log_q - p.log()), coarse)
    print(f"T = {T:3}, variance {variance}: N(0, 0.25) {price[gaussian, T, variance]:.4f} nats, "
          f"two peaks {price[two, T, variance]:.4f}")

# %% tags=["check"]
def variance_of_data(v, schedule, variance):
    """Variance of the model's x_0, decoder included, for data N(0, v) and its exact denoiser."""
    V = torch.tensor(1.0, dtype=torch.float64)
    one = torch.ones(1, dtype=torch.float64)
    for t in range(schedule.T, 0, -1):
        alpha_bar_t = schedule.alpha_bar[t]
        gain = alpha_bar_t.sqrt() * v / (alpha_bar_t * v + 1 - alpha_bar_t)
        factor = posterior_mean(gain * one, one, t, schedule)[0]
        p_var = reverse_var(t, schedule, variance) if t > 1 else decoder_var(schedule, variance)
        V = factor**2 * V + p_var
    return V


for T in (10, 100):
    for variance in ("small", "large"):
        closed = kl(0.0, v, 0.0, variance_of_data(v, cosine(T), variance))
        assert abs(price[gaussian, T, variance] - closed) < 1e-6

# %% tags=["claim"]
assert all(abs(torch.trapezoid(p, coarse) - 1) < 1e-6 for p in density.values())

# %% [markdown]
# For the two peaks in 10 steps, the model with $\tilde\beta$ is 0.023 nats from the data and the one with β 0.077,
# although the bound said 0.56 and 0.28. A bound can be loose without the model being bad, and it can rank two models
# wrongly. In 100 steps they cost 0.0035 and 0.0010 nats: neither model is perfect, and more steps are nearer, with
# either variance. (In 1,000 steps the model with β can cost no more than the gap of its bound, 0.0034.) That is why the
# *samples* of a long chain (notebook 03) hardly care. Those of a short one do, and which variance is the better one
# depends on the data: for $\mathcal N(0, 0.25)$ in 10 steps $\tilde\beta$ costs 0.040 nats, and β 0.008.

# %% tags=["claim"]
assert price[two, 100, "large"] < price[two, 100, "small"] < price[two, 10, "small"]
assert price[two, 10, "small"] < price[two, 10, "large"] / 3

# %% [markdown]
# **Try it.** How does the gap of the bound move with the number of steps, and with the variance, which the slider $w$
# moves from $\tilde\beta$ (at 0) to β (at 1), decoder included? Where between the two is the bound lowest? And what if you choose
# the decoder's variance freely? Read that off the right curve.

# %% tags=["figure"]
def gap_picture(known):
    """Draws terms and bound for T and the variance. known: {T: (E x_0², mse)}."""
    fig, (left, right) = figure(columns=2, width=8.2, height=2.9)
    limits = {"yscale": "log", "xlim": (0, 1.02), "ylim": (1e-5, 3)}
    curves(left, [([], [], "model", None)], "t / T", "$L_{t-1}$, nats", " ", **limits)
    widths = torch.logspace(-5, 0, 200, dtype=torch.float64)
    limits = {"xscale": "log", "ylim": (entropy - 0.2, entropy + 3)}
    lines = [(widths, widths, "data", None)]
    curves(right, lines, "variance of the decoder", "bound, nats", **limits)
    used = right.axvline(1, **ROLES["model"])
    right.axhline(entropy, **ROLES["exact"])
    paint = painter(fig, [left.lines[0], left.title, right.lines[0], used])

    def draw(T, w):
        chain = cosine(T)
        square, mse = known[T]
        terms = expected_terms(square, mse, chain, w)
        left.lines[0].set_data(torch.arange(2, T + 1) / T, terms.kl_t)
        left.title.set_text(f"bound {total(terms):.3f}, entropy {entropy:.3f}")
        recon = 0.5 * torch.log(2 * torch.pi * widths) + 0.5 * mse[1] / widths
        right.lines[0].set_ydata(total(terms) - terms.nll_recon + recon)
        used.set_xdata([decoder_var(chain, w)] * 2)
        return paint()

    return draw


choices = [5, 10, 20, 50, 100]
Live(
    gap_picture({T: mse_by_quadrature(two, cosine(T)) for T in choices}),
    caption="Left: the step terms over t. Right: the bound against the decoder's variance; "
    "orange: the one in use, dashed: the entropy.",
    alt="Left the step terms over t, right the bound, a valley over the variance.",
    T=widgets.SelectionSlider(options=choices, value=20, description="T"),
    w=widgets.FloatSlider(value=1.0, min=0.0, max=1.0, step=0.1, description="w"),
)

# %% [markdown]
# What to have seen: with β ($w = 1$) the bound falls towards the entropy as $T$ grows; with $\tilde\beta$ ($w = 0$) it
# stays more than half a nat above. So of the two the bound prefers β; but best is a variance between, for $T = 20$ at
# $w = 0.7$ (0.706 nats against 0.770). On the right, the valley: too small a decoder variance is punished without limit
# (the model is certain and wrong), too large a one by half a nat for every factor of $e$. The best is $\mathrm{mse}_1$,
# the true uncertainty.

# %% tags=["claim"]
twenty = mse_by_quadrature(two, cosine(20))
best = total(expected_terms(*twenty, cosine(20), 0.7))
assert best < 0.71 < total(expected_terms(*twenty, cosine(20), "large")) - 0.06

# %% [markdown]
# ## 4 · Bits per dimension: a yardstick
#
# For images, a bound in nats is divided by $784\log 2$. To know what such a number means, here are models that
# everybody has: uniform pixels, the histogram of all training pixels, and two programs that compress files. (Compressed
# size in bits is a log-probability in disguise: a good compressor gives short codes to likely data.)

# %%
def pixels_of(part):
    """The digits' pixels as whole numbers, 0 to 255."""
    images, _ = load_digits(part)
    return ((images + 1) * 127.5).round().to(torch.uint8)


train = pixels_of("train")
test = pixels_of("test")
counts = torch.bincount(train.flatten().int(), minlength=256).double() + 1
histogram = -(counts / counts.sum()).log()[test.flatten().int()].mean()
raw = test.numpy().tobytes()
sizes = {"gzip": len(gzip.compress(raw, 9)), "xz": len(lzma.compress(raw, preset=9))}
packed = ", ".join(f"{name} {8 * size / test.numel():.1f}" for name, size in sizes.items())
print(f"uniform {bits_per_dim(math.log(256), 1):.1f}, histogram {bits_per_dim(histogram, 1):.2f}, "
      f"{packed} bits per dimension")

# %% tags=["claim"]
assert sizes["xz"] < sizes["gzip"] < bits_per_dim(histogram, 1) * test.numel() / 8

# %% [markdown]
# A diffusion model of these digits is worth its name as a compressor if its bound, with the discretised decoder, is below
# what xz reaches. Notebook 08 will put ours to that test.
#
# ## 5 · From the bound to the loss that everybody trains
#
# Let the network predict the noise: $\hat x_0 = (x_t - \sqrt{1-\bar\alpha_t}\,\hat\varepsilon)/\sqrt{\bar\alpha_t}$.
# The true noise gives the true $x_0$ in the same way, so
#
# $$ x_0 - \hat x_0 = \sqrt{\frac{1-\bar\alpha_t}{\bar\alpha_t}}\;(\hat\varepsilon - \varepsilon) $$
#
# Multiply by $A_t$ to get the distance of the two means, square, and divide by $2\sigma_t^2$, as in (5). With
# $\bar\alpha_t = \alpha_t\,\bar\alpha_{t-1}$ the roots cancel. For one $x_t$, before the average (Ho et al., eqs. 8 to
# 12):
#
# $$ L_{t-1} = \text{const} + w_t\,\|\varepsilon - \hat\varepsilon\|^2, \qquad w_t = \frac{\beta_t^2}{2\sigma_t^2\,\alpha_t\,(1-\bar\alpha_t)} \tag{7} $$
#
# where "const" is the KL of the widths in (5), once for each coordinate. Ho et al. then drop $w_t$ and train
# $L_{\text{simple}} = \mathbb E\,\|\varepsilon-\hat\varepsilon\|^2$ (their eq. 14), averaged over $t = 1\dots T$, too;
# at $t = 1$ it stands for $L_0$. The check takes the ten-step denoiser of section 3 and halves it, wrong on purpose;
# `eps_from_x_0` is the first formula solved for $\hat\varepsilon$ (notebook 05 defines it).

# %% tags=["check"]
def weight_of_step(t, schedule, variance):
    """w_t: equation (7)."""
    alpha_t = schedule.alpha[t]
    alpha_bar_t = schedule.alpha_bar[t]
    p_var = reverse_var(t, schedule, variance)
    return schedule.beta[t] ** 2 / (2 * p_var * alpha_t * (1 - alpha_bar_t))


schedule = denoiser.schedule
half_right = Denoiser(lambda x_t, t, label: 0.5 * denoiser(x_t, t), schedule)
x_0 = two.sample(500, generator)
eps = torch.randn(500, 1, generator=generator, dtype=torch.float64)
for t in range(2, 11):
    x_t = q_sample(x_0, t, eps, schedule)
    eps_hat = eps_from_x_0(x_t, half_right(x_t, t), t, schedule)
    squared_error = (eps - eps_hat)[:, 0] ** 2
    const = kl(0.0, posterior_var(t, schedule), 0.0, reverse_var(t, schedule, "large"))
    expected = const + weight_of_step(t, schedule, "large") * squared_error
    assert torch.allclose(kl_t(x_0, x_t, t, half_right, "large"), expected)
print("the step terms are weighted squared errors of the noise")

# %% tags=["figure"]
fig, ax = figure(width=7.5, height=2.8)
after_1 = torch.arange(2, 1001)
small = weight_of_step(after_1, linear(), "small")
large = weight_of_step(after_1, linear(), "large")
lines = [
    (after_1, small, "model", "$w_t$ with $\\tilde\\beta_t$"),
    (after_1, large, "data", "$w_t$ with $\\beta_t$"),
    (after_1, torch.ones(999), "exact", "$L_{simple}$: 1"),
]
curves(ax, lines, "t", "weight of the squared error", xscale="log", yscale="log")
show(
    fig,
    alt="Both weights fall, from 0.6 and 0.3 at t = 2, together from t = 50 on, to 0.005 near "
    "t = 350, then rise to 0.01; a flat line at 1.",
)

# %% [markdown]
# **Figure 3.** What the bound asks for, and what everybody trains, for the linear schedule of the paper. Only the shape
# matters, since a factor common to all $t$ changes nothing. From $t = 50$ or so on the two variances ask for the same.
# The bound cares most about the first steps, where the finest grain is at stake. A constant weight cares about all $t$
# alike, and so relatively more about the later ones, where the shape of the image is decided. Better pictures, a
# slightly worse likelihood: that is the trade that Ho et al. report (their Table 1).
#
# ### The paper beside the code
#
# | Ho et al. 2020 | here |
# |---|---|
# | eq. 1, the model $p$ | `ddpm` (notebook 03); equation (1) above |
# | eq. 2, a forward step; eq. 4, the jump | `q_step`, `q_sample` (notebook 02) |
# | eq. 3, Jensen; eq. 5, the three kinds of terms | (2), (3); `Terms`, `elbo_terms` |
# | eqs. 6 and 7, the posterior | `posterior_mean`, `posterior_var` (notebook 03) |
# | eqs. 8 to 10, the step term as a distance of means | `kl_t` |
# | eq. 11, the mean from the noise | `x_0_from_eps` (notebook 05), then `posterior_mean` |
# | eq. 12, the weight | `weight_of_step`, in the cell above |
# | eq. 13, the discretised decoder | `discretised_log_prob` |
# | eq. 14, $L_{\text{simple}}$ | weight 1 in Figure 3 |
#
# From now on: `from diffusion_lab.theory.elbo import kl_prior, kl_t, nll_recon, elbo_terms, bits_per_dim`.
#
# ## Exercises
#
# ### Exercise 1 (warm-up): bits per dimension
#
# A model gives each of $n$ images of $d$ pixels a bound in nats. Turn these $n$ numbers into bits per dimension.

# %% tags=["exercise"]
def to_bits(nats, d):
    """Bits per dimension: float64 (n,). nats: float64 (n,), for a whole image each; d: an int."""
    raise NotImplementedError


# %% tags=["check"]
elbo.check_to_bits(to_bits)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# $256 = 2^8$ equally likely values are 8 bits, and $\log 256$ nats.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def to_bits(nats, d):
#     return nats / (d * math.log(2))
# ```
# </details>

# %% [markdown]
# ### Exercise 2 (core): a step term
#
# Write $L_{t-1}$ in one dimension from the two means and variances. Mind the letters: equation (9) of
# notebook 01 has $\mathrm{KL}(p\,\|\,q)$; here the first is $q$, the posterior, and the second $p$, the model.

# %% tags=["exercise"]
def step_term(q_mean, q_var, p_mean, p_var):
    """KL(N(q_mean, q_var) ‖ N(p_mean, p_var)), nats. All float64 (n,). Returns float64 (n,)."""
    raise NotImplementedError


# %% tags=["check"]
elbo.check_step_term(step_term)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# Equation (9) of notebook 01: the average is over $q$, so $q$'s variance stands above, $p$'s below.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def step_term(q_mean, q_var, p_mean, p_var):
#     return 0.5 * (q_var / p_var + (q_mean - p_mean) ** 2 / p_var - 1 - torch.log(q_var / p_var))
# ```
# </details>

# %% [markdown]
# ### Exercise 3 (core): the weight of the noise
#
# Write $w_t$ of equation (7) from $\beta_t$, $\bar\alpha_t$ and the model's variance.

# %% tags=["exercise"]
def eps_weight(beta_t, alpha_bar_t, p_var):
    """w_t. All float64 (n,). Returns float64 (n,)."""
    raise NotImplementedError


# %% tags=["check"]
elbo.check_eps_weight(eps_weight)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# $\alpha_t = 1-\beta_t$. There is no root anywhere.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def eps_weight(beta_t, alpha_bar_t, p_var):
#     return beta_t**2 / (2 * p_var * (1 - beta_t) * (1 - alpha_bar_t))
# ```
# </details>

# %% [markdown]
# ### Exercise 4 (hard): the probability of a pixel
#
# Write equation (4) in its plain form, with the open bins. Pixel $k$ lies at $x = k/127.5 - 1$. `torch.special.ndtr` is
# $\Phi$.

# %% tags=["exercise"]
def pixel_prob(k, mean, std):
    """Equation (4) for pixels k: the area of N(mean, std²) over each bin, the outer ones open.

    k: int64 (n,), 0…255; mean, std: floats. Returns float64 (n,).
    """
    raise NotImplementedError


# %% tags=["check"]
elbo.check_pixel_prob(pixel_prob)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# The bin of pixel $k$ reaches from $(2k-1)/255 - 1$ to $(2k+1)/255 - 1$. Use `torch.where` to open the first and the
# last.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def pixel_prob(k, mean, std):
#     below = torch.special.ndtr(((2 * k - 1) / 255 - 1 - mean).double() / std)
#     above = torch.special.ndtr(((2 * k + 1) / 255 - 1 - mean).double() / std)
#     return torch.where(k == 255, 1.0, above) - torch.where(k == 0, 0.0, below)
# ```
# </details>

# %% [markdown]
# ## A common mistake
#
# Treating $t = 1$ like any other step. The posterior's variance is 0 there, and a loop that starts at 1 takes its
# logarithm. Here for the ten steps, the data and the noise of section 5.

# %%
log_vars = posterior_var(torch.arange(1, 11), cosine(10)).log()
print("log β tilde for t = 1, 2, 3:", [round(value, 2) for value in log_vars[:3].tolist()])
recon = nll_recon(x_0, q_sample(x_0, 1, eps, cosine(10)), denoiser).mean()
print("the KL of a point from a Gaussian would be infinite; "
      f"the decoder's term instead: {recon:.1f} nats")

# %% tags=["claim"]
assert log_vars[0] == -math.inf

# %% [markdown]
# *The symptom*: a loss that is `inf` or `nan` from the start, or only now and then, when a random $t$ happens
# to be 1. *The mend*: the last step is a decoder, with a variance of its own. (Clipping the logarithm at some small
# number hides the symptom and leaves a number that means nothing. What DDPM's code calls
# `posterior_log_variance_clipped` is another thing: it puts $\tilde\beta_2$ in the first place, as we do for the
# decoder.)
#
# ## Summary
#
# - Jensen, Bayes and a telescoping sum turn $-\log p(x_0)$ into prior, step and reconstruction terms.
# - Each is a KL of Gaussians or a log-probability; Monte Carlo agrees with quadrature, and its error bars are honest.
# - The bound is above the entropy by the sum (6), not by the step terms, which even the best model pays. With β more steps
#   shrink it; with $\tilde\beta$ about half a nat is left, most of it near the data.
# - The model may be far better than its bound, and of two models the one with the worse bound may be the better one.
# - Bits per dimension compare a model with gzip and xz; pixels need the discretised decoder.
# - $L_{\text{simple}}$ is the bound with every weight set to 1.
#
# ## Check yourself
#
# <details><summary>The prior term is the same for every model. Why is it in the bound?</summary>
#
# It is the price of starting from $\mathcal N(0, I)$ although $x_T$ still knows a little about $x_0$. Only the schedule
# can lower it.
# </details>
#
# <details><summary>With the exact denoiser, can the gap be 0?</summary>
#
# Only if $q(x_T)$ is exactly standard normal and every true step back is a Gaussian with the model's variance. Data
# $\mathcal N(0, 1)$ with β are such a case (checked in section 3); real data in finitely many steps are not.
# </details>
#
# <details><summary>A paper reports a negative bound in nats. Is that a mistake?</summary>
#
# Not for continuous data: densities exceed 1, and so $-\log p$ may be negative. For pixels with the discretised decoder
# it is.
# </details>
#
# ## Further reading
#
# - Ho, Jain & Abbeel (2020), sections 2 and 3, and appendix A for the derivation of their eq. 5.
# - Kingma et al. (2021), *Variational Diffusion Models*: the bound for continuous time, by the SNR alone.
# - Nichol & Dhariwal (2021), section 3.1: learning the variance for a better bound; section 3.3 on the noise in its estimate.
# - Theis, van den Oord & Bethge (2016), *A note on the evaluation of generative models*: what likelihood says about images,
#   and what it does not.
#
# ## Next
#
# Notebook 05 replaces the exact denoiser by a network, and trains it until its loss reaches what theory allows.
