# %% [markdown]
# # Measure a model in bits: the bound
#
# Two models draw digits. Which one is better? You can look and choose, and your neighbour will choose the other one. We
# want a number that does not depend on taste.
#
# Here is one. How many bits does it take to *store* a digit? If you know nothing about digits, 8 for each pixel. If you
# know which pictures are likely, give those short names. A picture of probability $p$ can have a name of $-\log_2 p$ bits,
# and on average nothing is shorter than the names by the true probabilities. So the number of bits says how well a
# model knows digits.
#
# You will be able to
#
# - **derive** the bound on $-\log p(x_0)$ of a diffusion model, and say what each of its terms pays for,
# - **compute** it, and compare it with an exact answer,
# - **explain** why with many steps the schedule does not matter,
# - **recognise** the usual training loss as this bound with other weights,
# - **judge** which claims follow from a bound.
#
# **You need** notebooks 01 (KL), 02 (the jump, SNR) and 03 (posterior, exact denoiser); first-year probability and
# calculus. **Time to read** 70 minutes, with the core exercises 110, with everything 170 · **to run** 20 seconds.
# **Paper sections**: Ho et al. 2020, sections 2 and 3 (eqs. 3, 5, 8–14); Kingma et al. 2021, sections 3 to 5.
#
# ## Set-up

# %%
import gzip
import lzma
import math
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
import torch
from matplotlib.patches import FancyArrowPatch
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
from diffusion_lab.view.frames import painter
from diffusion_lab.view.live import Live
from diffusion_lab.view.plots import curves
from diffusion_lab.view.show import show
from diffusion_lab.view.style import BLACK, BLUE, GREY, ORANGE, ROLES, figure

generator = torch.Generator().manual_seed(0)
LOG_2 = math.log(2)

# %% [markdown]
# With natural logarithms the unit is the **nat**; a bit is $\log 2 = 0.693$ nats. Divided by the number of pixels, bits
# become **bits per dimension**.

# %% tags=["export:diffusion_lab.theory.elbo"]
def bits_per_dim(nats, d):
    """Nats for an example of d dimensions, as bits per dimension."""
    return nats / (d * math.log(2))


# %% tags=["check"]
def pixels_of(part):
    """The digits' pixels as whole numbers, 0 to 255."""
    images, _ = load_digits(part)
    return ((images + 1) * 127.5).round().to(torch.uint8)


counts = torch.bincount(pixels_of("train").flatten().int(), minlength=256).double()
levels = (counts + 1) / (counts + 1).sum()
test = pixels_of("test")
raw = test.numpy().tobytes()
bits = {
    "uniform": bits_per_dim(784 * math.log(256), 784),
    "histogram": bits_per_dim(-levels.log()[test.flatten().int()].mean().item(), 1),
    "gzip": 8 * len(gzip.compress(raw, 9)) / len(raw),
    "xz": 8 * len(lzma.compress(raw, preset=9)) / len(raw),
}
assert 8 == bits["uniform"] > bits["histogram"] > bits["gzip"] > bits["xz"]
print(", ".join(f"{name} {value:.1f}" for name, value in bits.items()), "bits per dimension")

# %% tags=["figure"]
fig, (left, right) = figure(columns=2, width=8.4, height=2.9, width_ratios=[1, 2.1])
rows = [np.hstack(list(test[i : i + 3, 0])) for i in (215, 435, 755)]
left.imshow(255 - np.vstack(rows), cmap="gray_r", vmin=0, vmax=255)
left.set(xticks=[], yticks=[], title="test digits")
left.grid(False)
names = ["a byte for each pixel", "how often each grey occurs", "gzip", "xz", "a diffusion model"]
right.barh(names[:4], list(bits.values()), color=GREY)
for i, value in enumerate(bits.values()):
    right.text(value + 0.1, i, f"{value:.1f}", va="center")
right.barh(names[4:], [1.2], color="none", edgecolor=ORANGE, hatch="///")
right.text(1.3, 4, "?", va="center", color=ORANGE, fontsize=14)
right.set(xlabel="bits per pixel", xlim=(0, 9))
right.invert_yaxis()
show(
    fig,
    alt="Nine digits, and beside them bars: a byte 8 bits, the histogram of greys 2.0, gzip 1.7, xz "
    "1.5, a diffusion model: a question mark.",
)

# %% [markdown]
# **Figure 1.** What 1,000 test digits cost. Programs that look for repetitions need 1.5 bits a pixel. A model that knows digits
# should do better. Its bar nobody can compute exactly, but we can put a roof over it.
#
# ## Predict first
#
# The data is a coin: $x_0$ is $+1$ or $-1$, with even odds. To store one toss takes 1 bit. A model walks back from noise
# with the exact denoiser, in 20 steps.
#
# 1. Will our bound say 1 bit, less, or more?
# 2. Where is most of it charged: near the noise, in the middle, or near the data?
# 3. If the 20 steps lie elsewhere, does the bound change? And with infinitely many steps?
#
# ## 1 · The bound, in three moves
#
# The model draws $x_T$ from pure noise, $p(x_T) = \mathcal N(0, I)$, and steps back as in notebook 03,
# $p(x_{t-1}\mid x_t) = \mathcal N\big(\tilde\mu(\hat x_0(x_t), x_t),\, \sigma_t^2 I\big)$. The letter $p$ stands for the model,
# $q$ for the truth. What probability does the model give to one picture $x_0$? Every chain that ends in it counts:
#
# $$ p(x_0) = \int p(x_T) \prod_{t=1}^T p(x_{t-1}\mid x_t)\; dx_1\cdots dx_T \tag{1} $$
#
# This is the **likelihood**, or **evidence**: in 1,000 steps an integral over 784,000 dimensions, and almost all chains end
# nowhere near our picture. But we know which ones do pass by: the *forward* chains that start in it.
#
# **First move: average over forward chains.** Multiply and divide by $q(x_1,\dots,x_T\mid x_0)$, and the integral becomes an
# average $\mathbb E_q$ over chains that we can draw. **Second move: Jensen.** The curve $-\log$ bends upwards, so its value at
# an average is at most the average of its values:
#
# $$ -\log p(x_0) = -\log \mathbb E_q\Big[ p(x_T) \prod_{t=1}^T \frac{p(x_{t-1}\mid x_t)}{q(x_t\mid x_{t-1})} \Big]
#    \;\le\; \mathbb E_q\Big[ -\log p(x_T) - \sum_{t=1}^T \log \frac{p(x_{t-1}\mid x_t)}{q(x_t\mid x_{t-1})} \Big] \tag{2} $$
#
# Only here is anything lost. **Third move: turn the forward steps around.** In (2) the model walks back and the truth walks
# forth. Bayes' rule turns a forward step; since the chain forgets, we may add $x_0$ to what is given. For $t\ge2$:
#
# $$ q(x_t\mid x_{t-1}) = q(x_t\mid x_{t-1}, x_0) = q(x_{t-1}\mid x_t, x_0)\,\frac{q(x_t\mid x_0)}{q(x_{t-1}\mid x_0)} $$
#
# The fractions **telescope**: multiplied over $t = 2\dots T$, everything cancels but $q(x_T\mid x_0)$ above and $q(x_1\mid x_0)$
# below, which cancels against the forward step of $t = 1$. Now each $q$ has its $p$, and the average of $\log q/p$ under $q$
# is a KL (Ho et al., eq. 5):
#
# $$ -\log p(x_0) \;\le\; \underbrace{\mathrm{KL}\big(q(x_T\mid x_0)\,\|\,p(x_T)\big)}_{L_T}
#    + \sum_{t=2}^T \underbrace{\mathbb E_q\,\mathrm{KL}\big(q(x_{t-1}\mid x_t, x_0)\,\|\,p(x_{t-1}\mid x_t)\big)}_{L_{t-1}}
#    + \underbrace{\mathbb E_q\big[-\log p(x_0\mid x_1)\big]}_{L_0} \tag{3} $$

# %% tags=["figure"]
fig, ax = figure(width=8.6, height=2.5)
digit = load_digits("test")[0][215:216].double()
times = [0, 60, 350, 450, 1000]
names = ["$x_0$", "$x_1$", "$x_{t-1}$", "$x_t$", "$x_T$"]
places = [0.0, 2.6, 5.2, 7.8, 10.4]
noise = torch.randn(digit.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
for t, x, name in zip(times, places, names):
    picture = q_sample(digit, t, noise, cosine(1000))[0, 0]
    area = [x - 0.6, x + 0.6, -0.6, 0.6]
    ax.imshow(picture, cmap="gray", vmin=-1.6, vmax=1.6, extent=area, zorder=2)
    ax.text(x, -0.95, name, ha="center", fontsize=13)

look = {"connectionstyle": "arc3,rad=0.25", "arrowstyle": "-|>", "mutation_scale": 14, "linewidth": 1.8}
for x, after in ((places[0], places[1]), (places[2], places[3])):
    forth = [(x + 0.65, -0.4), (after - 0.65, -0.4)]
    back = [(after - 0.65, 0.4), (x + 0.65, 0.4)]
    ax.add_patch(FancyArrowPatch(*forth, color=GREY, linestyle="--", **look))
    ax.add_patch(FancyArrowPatch(*back, color=ORANGE, **look))
for x in (3.9, 9.1):
    ax.text(x, 0, "· · ·", ha="center", va="center", fontsize=16, color=GREY)
box = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": ORANGE}
says = [
    (1.3, "$L_0$: which picture was it?", ORANGE),
    (6.5, "$L_{t-1}$: the step of one who knows $x_0$,\nbeside the model's, which guesses it", ORANGE),
]
for x, words, color in says:
    ax.text(x, 1.5, words, ha="center", va="center", fontsize=10, bbox=box)
    ax.plot([x, x], [0.72, 1.1], color=color, linewidth=1, linestyle=":")
ax.text(10.4, 1.5, "$L_T$: is it noise?", ha="center", va="center", fontsize=10, bbox=box)
ax.plot([10.4, 10.4], [0.65, 1.2], color=ORANGE, linewidth=1, linestyle=":")
ax.text(1.3, -1.05, "$q$, known", ha="center", color=GREY)
ax.text(6.5, -1.05, "$q$, known", ha="center", color=GREY)
ax.text(1.3, 0.28, "$p$", ha="center", color=ORANGE, fontsize=12)
ax.text(6.5, 0.28, "$p$", ha="center", color=ORANGE, fontsize=12)
ax.set(xlim=(-0.9, 11.7), ylim=(-1.3, 1.95), aspect="equal")
ax.axis("off")
show(
    fig,
    alt="A digit and four ever noisier states of it in a row. Dashed grey arrows go to the right, "
    "orange ones back. Boxes hang on the orange arrows and on the last state: L_0, L_{t-1}, L_T.",
)

# %% [markdown]
# **Figure 2.** The chain, with the bill hung on it: a term for each step back, and one for the start.
#
# The **prior term** $L_T$ asks whether the chain ends in noise; nothing in it is learned. A **step term** $L_{t-1}$ compares
# the step of someone who has seen $x_0$ with that of the model, who must guess it. The **reconstruction term** $L_0$ is the
# last step, to the data. Minus the right side is the **evidence lower bound**, or **ELBO**; we keep the sign in which
# smaller is better.
#
# Have you met the **variational autoencoder**? It has the same bound: an encoder $q$ turns a picture into a hidden
# state, a decoder $p$ turns it back. A diffusion model is such an autoencoder with $T$ hidden layers and a *fixed* encoder,
# which adds noise and learns nothing. So the hidden states compress nothing. But the decoder's targets stand still while
# it learns, and each layer can be trained without the others.
#
# ## 2 · What each term costs
#
# Every term belongs to one example. (In `Terms`, column 0 of `kl_t` is $t = 2$, that is $L_1$.) The prior term compares two
# Gaussians that we know:

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


# %% [markdown]
# A step term calls the same function `posterior_mean` twice, once with the true $x_0$ and once with the guess:

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
# Give the model the variance of the posterior, $\sigma_t^2 = \tilde\beta_t$ (`"small"`). Then only the means differ, and only
# because $\hat x_0$ is not $x_0$. Everything else collapses into one clean line:
#
# $$ L_{t-1} = \tfrac12\,\big(\mathrm{SNR}_{t-1} - \mathrm{SNR}_t\big)\;\mathbb E_q\,\|x_0 - \hat x_0(x_t)\|^2 \tag{4} $$
#
# A step costs *how wrong the guess is*, times *how much the signal gains in this step*. No $\beta$ is left: the
# chain enters by its SNR alone.

# %% tags=["check"]
coin = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [0.0, 0.0])
schedule = cosine(20)
denoiser = coin.denoiser(schedule)
x_0 = coin.sample(500, generator)
eps = torch.randn(500, 1, generator=generator, dtype=torch.float64)
for t in range(2, 21):
    x_t = q_sample(x_0, t, eps, schedule)
    squared_error = (x_0 - denoiser(x_t, t))[:, 0] ** 2
    gain = schedule.snr[t - 1] - schedule.snr[t]
    assert torch.allclose(kl_t(x_0, x_t, t, denoiser), gain * squared_error / 2, atol=1e-9)
print("equation (4) holds for each draw at every t")

# %% [markdown]
# The last step is another matter: the state at time 0 is $x_0$ itself, a point, and no Gaussian can be compared with it.
# So the last step is a **decoder**, which gives the data a probability. For numbers on a line we take a Gaussian around
# $\hat x_0(x_1)$. A pixel has one of 256 greys, and gets the *area* under that Gaussian over its own bin, $1/255$ to each
# side; the outermost bins are open to the outside (Ho et al., eq. 13):
#
# $$ p(x_0\mid x_1) = \Phi(b) - \Phi(a), \qquad a, b = \frac{x_0 \mp 1/255 - \hat x_0}{\sigma} \tag{5} $$
#
# $\Phi$ is the area under the standard normal up to a point. $\sigma^2$ is $\beta_1$ with the large variances, and with the small
# ones $\tilde\beta_2$, since $\tilde\beta_1 = 0$.

# %% tags=["export:diffusion_lab.theory.elbo"]
def decoder_var(schedule, variance="small"):
    """Variance of the last step: β_1 for "large", beta_tilde_2 for "small", or between."""
    w = weight_of(variance)
    return schedule.beta[1] ** w * posterior_var(2, schedule) ** (1 - w)


# %% tags=["export:diffusion_lab.theory.elbo"]
def discretised_log_prob(x, mean, var):
    """Logarithm of (5) for pixel values x = -1 + k/127.5."""
    x = torch.as_tensor(x).double()
    std = torch.as_tensor(var, dtype=torch.float64).sqrt()
    a = torch.where(x < -0.999, -math.inf, (x - 1 / 255 - mean) / std)
    b = torch.where(x > 0.999, math.inf, (x + 1 / 255 - mean) / std)
    upper = a + b > 0
    log_a = torch.special.log_ndtr(torch.where(upper, -b, a))
    log_b = torch.special.log_ndtr(torch.where(upper, -a, b))
    return log_b + torch.log(-torch.expm1(log_a - log_b))


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


# %% tags=["check"]
pixels = torch.arange(256, dtype=torch.float64) / 127.5 - 1
log_p = discretised_log_prob(pixels, torch.tensor(-0.5), 0.004)
assert abs(log_p.exp().sum() - 1) < 1e-12
print(f"the probabilities of 256 greys add up to {log_p.exp().sum():.6f}")

# %% [markdown]
# ### Deeper: equation (4) in three lines
#
# The mean $\tilde\mu$ contains $x_0$ with the factor $A_t = \sqrt{\bar\alpha_{t-1}}\,\beta_t/(1-\bar\alpha_t)$, so the two means
# differ by $A_t(x_0-\hat x_0)$. The KL of two Gaussians of equal variance is the squared distance of their means over
# twice that variance. And $\tilde\beta_t = \beta_t(1-\bar\alpha_{t-1})/(1-\bar\alpha_t)$, so
#
# $$ \frac{A_t^2}{\tilde\beta_t} = \frac{\bar\alpha_{t-1}\,\beta_t}{(1-\bar\alpha_t)(1-\bar\alpha_{t-1})}
#    = \frac{\bar\alpha_{t-1}-\bar\alpha_t}{(1-\bar\alpha_t)(1-\bar\alpha_{t-1})} = \mathrm{SNR}_{t-1}-\mathrm{SNR}_t . $$
#
# ### Deeper: far from the mean
#
# Far out, both values of $\Phi$ in (5) round to 1, their difference to 0, and its logarithm is lost. Two tricks keep the
# digits. By symmetry, always work in the lower tail. And take $\log\Phi$ from a library, so that
# $\log(\Phi(b)-\Phi(a)) = \log\Phi(b) + \log(1 - e^{\log\Phi(a)-\log\Phi(b)})$. Where the plain difference has digits,
# the two agree:

# %% tags=["check"]
edges = torch.cat([torch.tensor([-math.inf]), pixels[:-1] + 1 / 255, torch.tensor([math.inf])])
plain = torch.from_numpy(ndtr(((edges + 0.5) / 0.004**0.5).numpy())).diff()
assert torch.allclose(log_p[:100].exp(), plain[:100], rtol=1e-9, atol=0)
print(f"pixel 254: plain probability {plain[-2]:.0f}, log-probability {log_p[-2]:.0f} nats")

# %% tags=["claim"]
assert plain[-2] == 0

# %% [markdown]
# ## 3 · The sum, against the exact answer
#
# Is the bound any good? For the coin we know the exact answer: 1 bit, the **entropy** $H$ of the data. No model needs fewer
# on average. The exact denoiser is known, too, and its error is an integral over the noise. The two sides are alike, so
# take $x_0 = 1$. Then $x_t/\sqrt{\bar\alpha_t} = 1 + z/\sqrt{\mathrm{SNR}_t}$, and all depends on the SNR alone.
#
# The decoder of a coin is simple. If $\hat x_0$ is its average, the probability of $+1$ is $(1+\hat x_0)/2$. The surprise
# $-\log$ of that, averaged, is what is **still unknown** about the coin when one sees $x_t$.

# %% tags=["check"]
z = torch.linspace(-9, 9, 1801, dtype=torch.float64)
weight = log_prob(z, 0.0, 1.0).exp() * 0.01  # of z, for a sum in place of the integral


def log_odds(snr):
    """Half the log-odds of +1 against -1, if x_0 = 1, for each noise z: snr (…) -> (…, 1801)."""
    snr = torch.as_tensor(snr, dtype=torch.float64)[..., None]
    return snr + snr.sqrt() * z


def mse(snr):
    """E(x_0 - x̂_0)² of the coin's exact denoiser, x̂_0 = tanh(half the log-odds)."""
    return (1 - torch.tanh(log_odds(snr))) ** 2 @ weight


def unknown(snr):
    """E[-log q(x_0 given x_t)] of the coin, in nats."""
    return torch.nn.functional.softplus(-2 * log_odds(snr)) @ weight


x_t = q_sample(torch.ones_like(z)[:, None], 8, z[:, None], schedule)
x_0_hat = torch.tanh(log_odds(schedule.snr[8]))
assert torch.allclose(denoiser(x_t, 8)[:, 0], x_0_hat)  # the mixture's denoiser agrees


# %% tags=["check"]
def coin_terms(schedule):
    """The terms of (3), averaged over the coin, by (4); bits."""
    snr = schedule.snr
    prior = kl_prior(torch.ones(1, 1), schedule)[0]
    steps = (snr[1:-1] - snr[2:]) * mse(snr[2:]) / 2
    return Terms(prior / LOG_2, steps / LOG_2, unknown(snr[1]) / LOG_2)


def total(terms):
    """The bound: all terms added up."""
    return terms.kl_prior + terms.kl_t.sum(-1) + terms.nll_recon


terms = coin_terms(schedule)
tosses = coin.sample(20_000, generator)
draws = elbo_terms(denoiser, tosses, generator=generator).kl_t.sum(1) / LOG_2
assert abs(draws.mean() - terms.kl_t.sum()) < 4 * draws.std() / 20_000**0.5
assert total(terms) > 1
print(f"one toss costs 1 bit; the bound says {total(terms):.3f} bits "
      f"(L_T {terms.kl_prior:.5f}, steps {terms.kl_t.sum():.3f}, L_0 {terms.nll_recon:.5f})")

# %% [markdown]
# More than 1 bit, although the denoiser is perfect. Why?
#
# A step term mixes two things: a *price* that even a perfect model pays, because it does not know $x_0$, and a *loss*,
# because its step is not the true one. The price is the information about $x_0$ that is lost between $t-1$ and $t$. Added
# over all steps, the prices make the entropy of the data; the losses make the gap.
#
# For the coin we can see both. The price of a step is what is still unknown at $t$, less what is still unknown at $t-1$.
# At first one bit is unknown, at last nothing, so the prices add up to one bit. The rest of a term is loss: the true step
# back towards a coin has two humps, and the model takes a single Gaussian.

# %% tags=["check"]
unknown_t = unknown(schedule.snr[1:]) / LOG_2  # at t = 1…T
price = unknown_t.diff()
loss = terms.kl_t - price
assert abs(price.sum() - 1) < 1e-4
assert loss.min() >= 0
print(f"the prices add up to {price.sum():.3f} bits, the losses to {loss.sum():.3f}")

# %% tags=["figure"]
fig, (left, right) = figure(columns=2, width=8.6, height=3.1)
t = np.arange(2, 21)
left.bar(t, price, color=BLUE, label="price: what must be learned about the coin")
left.bar(t, loss, bottom=price, color=ORANGE, hatch="//", edgecolor="white", label="loss")
left.set(xlim=(21, 0.5), ylim=(0, 0.19), xlabel="t  (the model walks to the right)", ylabel="bits")
left.set_title("each step term")
left.legend(loc="upper left")
back = t[::-1]
right.step(back, price.flip(0).cumsum(0), where="post", color=BLUE, label="prices so far")
sums = terms.kl_t.flip(0).cumsum(0)
right.step(back, sums, where="post", color=ORANGE, label="terms so far")
right.axhline(1, **ROLES["exact"], label="one bit, the entropy")
right.annotate("", (2.6, sums[-1]), (2.6, 1), arrowprops={"arrowstyle": "<->", "color": ORANGE})
right.text(3.2, 1.07, "gap", color=ORANGE, ha="right")
right.set(xlim=(21, 0.5), ylim=(0, 1.7), xlabel="t", ylabel="bits", title="added up")
right.legend(loc="upper left")
show(
    fig,
    alt="Left bars over t, highest at t = 8, blue with an orange top. Right two stairs that rise "
    "from noise to data: blue ends at 1 bit, orange at 1.22.",
)

# %% [markdown]
# **Figure 3.** The bill for one toss, in 20 steps. Left: little is charged near the noise, where nothing can be known, or
# near the data, where all is. Right: the blue stairs end at the entropy; orange ends above it, by the gap.
#
# **Try it: spoil the model.** Make the perfect guess too sure of itself, or too timid, or biased towards one side of the
# coin. Which terms grow? Is it worse to be twice as sure as you should be, or half as sure? Can you bring the bill below
# what the perfect guess pays?

# %% tags=["check"]
def spoiled(confidence, lean):
    """Step terms of a wrong guess, and their KL from the right guess's, t = 2…T; bits."""
    snr = schedule.snr
    half_gain = ((snr[1:-1] - snr[2:]) / 2)[:, None]
    y = log_odds(snr[2:])
    costs = []
    excess = []
    for sign in (1, -1):  # the two sides of the coin
        guess = torch.tanh(confidence * y + sign * lean)
        costs.append(half_gain * (1 - guess) ** 2 @ weight / LOG_2)
        excess.append(half_gain * (torch.tanh(y) - guess) ** 2 @ weight / LOG_2)
    return torch.stack(costs).mean(dim=0), torch.stack(excess).mean(dim=0)


for confidence, lean in ((1.0, 0.0), (2.0, 0.0), (0.5, 0.0), (1.0, 1.0), (3.0, -0.7)):
    costs, excess = spoiled(confidence, lean)
    assert torch.allclose(costs, terms.kl_t + excess, atol=1e-9)
print("a wrong guess costs what the right one costs, plus the KL between the two models' steps")


# %% tags=["figure"]
def spoiled_picture():
    """Draws bars of the step terms and the bill, for a spoiled guess."""
    fig, (left, right) = figure(columns=2, width=8.6, height=3.2, width_ratios=[2.4, 1])
    left.bar(t, terms.kl_t, color=BLUE, label="the right guess")
    extra = left.bar(t, 0 * t + 1e-9, bottom=terms.kl_t, color=ORANGE, hatch="//", edgecolor="white",
                     label="added by the wrong one")
    left.set(xlim=(21, 0.5), ylim=(0, 0.45), xlabel="t", ylabel="bits", title=" ")
    left.set_xticks([20, 15, 10, 5])
    left.legend(loc="upper left")
    right.bar([0], [total(terms)], color=BLUE)
    tower = right.bar([0], [1e-9], bottom=total(terms), color=ORANGE, hatch="//", edgecolor="white")
    right.axhline(1, **ROLES["exact"], label="one bit")
    right.set(xlim=(-0.8, 0.8), ylim=(0, 3), xticks=[], ylabel="bits", title="the bound")
    right.legend(loc="upper left")
    paint = painter(fig, [*extra, *tower, left.title])

    def draw(confidence, lean):
        costs, excess = spoiled(confidence, lean)
        for bar, height in zip(extra, excess.tolist()):
            bar.set_height(height)
        tower[0].set_height(excess.sum().item())
        left.title.set_text(f"bound {total(terms):.2f} + KL {excess.sum():.2f} "
                            f"= {total(terms) + excess.sum():.2f} bits")
        return paint()

    return draw


Live(
    spoiled_picture(),
    caption="Confidence multiplies the log-odds of the guess, lean shifts them. Blue: what the right "
    "guess pays. Orange: what the wrong one adds, the KL between the two models.",
    alt="Blue bars of the step terms over t with orange bars on top of them, and beside them one "
    "tower, the whole bound.",
    confidence=widgets.FloatLogSlider(value=0.5, base=2, min=-3, max=3, step=0.25,
                                      description="confidence"),
    lean=widgets.FloatSlider(value=0.4, min=-2, max=2, step=0.1, description="lean"),
)

# %% [markdown]
# Twice as sure costs 0.08 bits more, half as sure 0.14. A lean costs most while the coin is still undecided. And nothing
# goes below the blue bars. The reason is Pythagoras': $\hat x_0$ is the mean of $x_0$ given $x_t$, so the squared error
# of another guess is that of $\hat x_0$, plus its own squared distance from $\hat x_0$. That, weighted as in (4), is the KL
# between the two models. So *whoever lowers the bound moves their denoiser towards $\mathbb E[x_0\mid x_t]$*. This is why the
# bound can train a network.

# %% tags=["claim"]
assert abs(spoiled(2.0, 0.0)[1].sum() - 0.08) < 0.005
assert abs(spoiled(0.5, 0.0)[1].sum() - 0.14) < 0.005
assert spoiled(1.0, 1.0)[1].argmax() in (5, 6, 7, 8, 9)
assert 7 <= terms.kl_t.argmax() + 2 <= 9

# %% [markdown]
# ### Deeper: price and loss, for any data
#
# Averaged over the data, (2) says that bound minus entropy is a KL between whole chains, the true one and the model's.
# Read both backwards, from $x_T$ down. Each is a product of steps, so the KL is a sum over steps:
#
# $$ \text{gap} = \mathrm{KL}\big(q(x_T)\,\|\,p(x_T)\big) + \sum_{t=1}^T \mathbb E\,\mathrm{KL}\big(q(x_{t-1}\mid x_t)\,\|\,p(x_{t-1}\mid x_t)\big) \tag{6} $$
#
# Here $q(x_{t-1}\mid x_t)$ does *not* know $x_0$: it is the true step back of notebook 03. These are the losses. The price
# is the rest of the term, the KL from $q(x_{t-1}\mid x_t, x_0)$ to $q(x_{t-1}\mid x_t)$: what $x_{t-1}$ tells about $x_0$ and
# $x_t$ does not, a difference of two mutual informations, $I(x_0;x_{t-1}) - I(x_0;x_t)$. Likewise
# $\mathbb E\,L_T = \text{loss} + I(x_0;x_T)$ and $\mathbb E\,L_0 = \text{loss} + H - I(x_0;x_1)$. In the sum all informations
# cancel, and $H$ is left. For a Gaussian, all of it is in closed form:

# %% tags=["check"]
v = 0.25  # data N(0, v)
chain = cosine(100)
alpha_bar = chain.alpha_bar
t = torch.arange(2, 101)
mse_t = v * (1 - alpha_bar) / (alpha_bar * v + 1 - alpha_bar)  # precisions add: 1/v + SNR
A = alpha_bar[t - 1].sqrt() * chain.beta[t] / (1 - alpha_bar[t])
step_var = posterior_var(t, chain) + A**2 * mse_t[t]  # of the true step back, x_0 unknown
true_step = kl(0.0, step_var, 0.0, posterior_var(t, chain))
terms_t = (chain.snr[t - 1] - chain.snr[t]) * mse_t[t] / 2
information = 0.5 * torch.log(1 + v * chain.snr[1:])
assert torch.allclose(terms_t, true_step - information.diff(), atol=1e-12)
print("each step term is the KL of the true step back, plus the information lost in the step")

# %% [markdown]
# ### Deeper: an honest error bar
#
# For a network there is no quadrature; one draws, and averages. Does the usual error bar of two standard errors say the
# truth? For two hundred estimates from a hundred draws each, count how often it covers the exact bound. The data are two
# narrow peaks here, with a Gaussian decoder.

# %%
grid = torch.linspace(-8, 8, 1601, dtype=torch.float64)
two = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [0.05, 0.05])
log_q = two.log_prob(grid[:, None])
entropy = -torch.trapezoid(log_q.exp() * log_q, grid)


def mse_by_quadrature(data, schedule):
    """E(x_0 - x̂_0)² = E x_0² - E x̂_0² for t = 0…T, by an integral over x_t on the grid."""
    square = (data.weight * (data.mean[:, 0] ** 2 + data.var)).sum()
    mse = [torch.zeros_like(square)]
    for t in range(1, schedule.T + 1):
        q = data.marginal(t, schedule).log_prob(grid[:, None]).exp()
        x_0_hat = data.denoiser(schedule)(grid[:, None], t)[:, 0]
        mse.append(square - torch.trapezoid(q * x_0_hat**2, grid))
    return square, torch.stack(mse)


def expected_bound(data, schedule, variance):
    """The bound averaged over 1-D data, exact denoiser, Gaussian decoder, any variance; nats."""
    square, mse = mse_by_quadrature(data, schedule)
    alpha_bar = schedule.alpha_bar
    prior = kl(0.0, 1 - alpha_bar[-1], 0.0, 1.0) + 0.5 * alpha_bar[-1] * square
    t = torch.arange(2, schedule.T + 1)
    A = alpha_bar[t - 1].sqrt() * schedule.beta[t] / (1 - alpha_bar[t])
    p_var = reverse_var(t, schedule, variance)
    steps = kl(0.0, posterior_var(t, schedule), 0.0, p_var) + 0.5 * A**2 * mse[t] / p_var
    last_var = decoder_var(schedule, variance)
    recon = 0.5 * torch.log(2 * torch.pi * last_var) + 0.5 * mse[1] / last_var
    return prior + steps.sum() + recon


# %% tags=["check"]
covered = 0
peaks = two.denoiser(cosine(10))
truth = expected_bound(two, cosine(10), "large")
for _ in range(200):
    draws = total(elbo_terms(peaks, two.sample(100, generator), "large", generator=generator))
    covered += int(abs(draws.mean() - truth) < 2 * draws.std() / 10)
print(f"covered in {covered} of 200 runs; 191 are expected")
assert abs(covered - 191) < 12

# %% [markdown]
# ### Deeper: a bound can rank two models wrongly
#
# The variance of a step was ours to choose: $\tilde\beta_t$ or $\beta_t$. The *bound* has a clear opinion. With another
# variance than $\tilde\beta_t$, a step term is the KL of the widths plus $A_t^2\,\|x_0-\hat x_0\|^2/2\sigma_t^2$, and that
# can be less. But is the model with the better bound the better *model*? In one dimension we can look: put the density
# of $x_T$ on a grid, and do the integral (1) one step at a time.

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


coarse = grid[::2]
log_q = two.log_prob(coarse[:, None])
density = {}
gap = {}
price_of = {}
for T, variance in ((10, "small"), (10, "large"), (100, "small"), (100, "large")):
    p = density_of_data(two, cosine(T), variance, coarse)
    gap[T, variance] = (expected_bound(two, cosine(T), variance) - entropy).item()
    price_of[T, variance] = torch.trapezoid(log_q.exp() * (log_q - p.log()), coarse).item()
    density[T, variance] = p
    print(f"T = {T:3}, {variance}: bound {gap[T, variance]:.3f} nats above the entropy, "
          f"the model itself {price_of[T, variance]:.4f}")

# %% tags=["figure"]
fig, (left, right) = figure(columns=2, width=8.6, height=3.1, width_ratios=[1.7, 1])
lines = [
    (coarse, log_q.exp(), "data", "data"),
    (coarse, density[10, "small"], "model", "model with $\\tilde\\beta$"),
]
curves(left, lines, "$x_0$", "density", "what the two models make, in 10 steps", xlim=(-2.2, 2.2),
       ylim=(0, 1.35))
left.plot(coarse, density[10, "large"], color="#009E73", linestyle=":", label="model with $\\beta$")
left.legend(loc="upper center")
bars = [gap[10, "small"], gap[10, "large"], price_of[10, "small"], price_of[10, "large"]]
drawn_bars = right.bar([0, 1, 2.6, 3.6], bars, color=[ORANGE, "#009E73"] * 2)
right.bar_label(drawn_bars, fmt="%.2f")
right.set_xticks([0, 1, 2.6, 3.6], ["$\\tilde\\beta$", "$\\beta$", "$\\tilde\\beta$", "$\\beta$"])
right.set(ylim=(0, 0.7), ylabel="nats above the entropy", title="the bound         the model")
show(
    fig,
    alt="Left two peaks of the data; the model with the small variance lies nearly on them, that "
    "with the large one is wider. Right bars: bound 0.56 and 0.28, model 0.02 and 0.08.",
)

# %% [markdown]
# **Figure 4.** Two models of two narrow peaks. The bound prefers $\beta$ by far; what the models make says the opposite.
#
# The bound compares whole chains. With $\tilde\beta$ the *chains* are too narrow, and the bound charges for it; the data that
# comes out of them is nearly right. What Jensen's line lost is most of the gap. So a loose bound is no bad model, and of
# two models the one with the worse bound may be the better one. Which variance is better in few steps depends on the
# data: for $\mathcal N(0, 0.25)$ in ten steps it is $\beta$, with 0.008 nats against 0.040. In a hundred steps neither matters to
# the samples, while with $\tilde\beta$ the bound of such data stays half a nat too high however many steps the cosine takes,
# because its first few steps each multiply the SNR by a large factor.

# %% tags=["claim"]
assert [round(value, 2) for value in bars] == [0.56, 0.28, 0.02, 0.08]
assert price_of[100, "large"] < price_of[100, "small"] < 0.004
gaussian = GaussianMixture([1.0], [[0.0]], [0.25])
log_g = gaussian.log_prob(coarse[:, None])
own = {}
for variance in ("small", "large"):
    p_g = density_of_data(gaussian, cosine(10), variance, coarse)
    own[variance] = torch.trapezoid(log_g.exp() * (log_g - p_g.log()), coarse).item()
assert round(own["small"], 3) == 0.040
assert round(own["large"], 3) == 0.008
for steps in (10, 100, 1000):
    assert expected_bound(two, cosine(steps), "small") - entropy > 0.5
assert cosine(1000).snr[1] > 2 * cosine(1000).snr[2] > 3 * cosine(1000).snr[3]

# %% [markdown]
# ## 4 · Infinitely many steps
#
# The losses come from large steps. So make them small, and look at (4) once more: each term is a *width*,
# $\mathrm{SNR}_{t-1}-\mathrm{SNR}_t$, times a *height*, half the error. These are the rectangles of a staircase, and the area of
# ever finer stairs is an integral. With $\lambda = \log\mathrm{SNR}$ (Kingma et al. 2021, section 5, eq. 18):
#
# $$ \sum_{t=2}^T L_{t-1} \;\longrightarrow\; \frac12 \int \mathrm{mse}\; d\,\mathrm{SNR}
#    = \frac12 \int \mathrm{SNR}\cdot\mathrm{mse}\; d\lambda \tag{7} $$
#
# *There is no $t$ in it.* The error depends on how much noise there is, not on when the chain arrives there. A schedule is
# a timetable: it says when you pass each noise level. The bill depends on the road. Two schedules with the same ends have
# the same bound, whatever they do between.

# %% tags=["check"]
area = {}
for name, chain in (("linear", linear(4000)), ("cosine", cosine(4000))):
    area[name] = total(coin_terms(chain)).item()
    print(f"{name}, 4,000 steps: {area[name]:.2f} bits")
lam = torch.linspace(-14, 6, 2001, dtype=torch.float64)
integral = torch.trapezoid(lam.exp() * mse(lam.exp()) / 2, lam) / LOG_2
print(f"the integral (7): {integral:.4f} bits; the entropy: 1 bit")
assert abs(integral - 1) < 1e-4
assert abs(area["linear"] - area["cosine"]) < 2e-3

# %% tags=["figure"]
fig, (left, right) = figure(columns=2, width=8.6, height=3.1)
looks = {"linear": {"color": "#009E73", "linestyle": "-", "linewidth": 4, "alpha": 0.55},
         "cosine": {"color": "#CC79A7", "linestyle": "-", "linewidth": 1.8}}
for name, chain in (("linear", linear(1000)), ("cosine", cosine(1000))):
    steps = coin_terms(chain).kl_t
    left.plot(np.arange(2, 1001) / 1000, 1000 * steps, label=name, **looks[name])
    left.fill_between(np.arange(2, 1001) / 1000, 1000 * steps, color=looks[name]["color"], alpha=0.12)
    lam_t = chain.log_snr[1:]
    right.plot(lam_t[1:], steps / -lam_t.diff(), label=name, **looks[name])
right.fill_between(lam_t[1:], steps / -lam_t.diff(), color="#CC79A7", alpha=0.15)
left.set(xlabel="t / T", ylabel="bits per unit of t / T", xlim=(1, 0), title="over time")
right.set(xlabel="log SNR", ylabel="bits per unit of log SNR", xlim=(-9, 6), title="over the noise level")
left.text(0.72, 0.35, "1 bit", ha="center", fontsize=12, color="#A0527F")
left.text(0.22, 1.9, "1 bit", ha="center", fontsize=12, color="#00734F")
right.text(0.2, 0.08, "1 bit", ha="center", fontsize=12)
left.legend()
right.legend()
show(
    fig,
    alt="Left two different hills over time, linear early and sharp, cosine in the middle. Right "
    "the same two over log SNR: one hill, the curves lie on each other.",
)

# %% [markdown]
# **Figure 5.** The same coin, two schedules. Left: each charges at its own time. Right: per unit of log SNR there is one
# curve, and the area under it is one bit.
#
# **Try it: bend the schedule.** Take 256 noise levels, and bend. Which of the two pictures changes? Then take eight: the
# stairs stick out above the curve. Which bend is best now?

# %% tags=["figure"]
def bent_picture():
    """Draws the cost over time and the staircase over log SNR, for T states and a bend."""
    fig, (left, right) = figure(columns=2, width=8.6, height=3.2)
    over_time = left.stairs([0, 0], [0, 0.5, 1], color=ORANGE, linewidth=1.8)
    left.set(xlim=(1, 0), ylim=(0, 7), xlabel="t / T", ylabel="bits per unit of t / T", title=" ")
    stairs = right.stairs([0, 0], [-5, 0, 5], color=ORANGE, linewidth=1.8, label="the sum")
    right.plot(lam, lam.exp() * mse(lam.exp()) / 2 / LOG_2, **ROLES["exact"], label="the integral")
    right.set(xlim=(-5.5, 5.5), ylim=(0, 0.6), xlabel="log SNR", title=" ")
    right.set_ylabel("bits per unit of log SNR")
    right.legend(loc="upper right")
    paint = painter(fig, [over_time, stairs, left.title, right.title])

    def draw(T, bend):
        u = torch.linspace(0, 1, T, dtype=torch.float64)
        lam_t = 5 - 10 * u ** (2**bend)
        snr = lam_t.exp()
        steps = (snr[:-1] - snr[1:]) * mse(snr[1:]) / 2 / LOG_2
        ends = (unknown(snr[0]) + torch.log1p(snr[-1]) / 2) / LOG_2
        over_time.set_data(steps * (T - 1), u.numpy())
        stairs.set_data((steps / -lam_t.diff()).flip(0), lam_t.flip(0).numpy())
        left.title.set_text("what is charged when")
        right.title.set_text(f"T = {T}: bound {steps.sum() + ends:.3f} bits")
        return paint()

    return draw


Live(
    bent_picture(),
    caption="T noise levels from log SNR 5 to -5; bend > 0 spends more of them near the data, bend < 0 "
    "near the noise. Dashed: infinitely many.",
    alt="Left stairs over time, right stairs over log SNR above a dashed hill.",
    T=widgets.SelectionSlider(options=[8, 16, 32, 64, 128, 256], value=16, description="T"),
    bend=widgets.FloatSlider(value=0.5, min=-1, max=1, step=0.1, description="bend"),
)

# %% [markdown]
# With 256 levels the bends agree to a hundredth of a bit; with eight, an even spacing in log SNR is about the best, and a
# strong bend towards the noise costs nine bits more. So what *does* a schedule choose? Its ends, where decoder
# and prior take over. Where a finite number of steps lies. And how noisy an estimate is that draws $t$ at random, which is
# exercise 3. What it cannot choose is the bill.

# %% tags=["claim"]
def bent(T, bend):
    levels = (5 - 10 * torch.linspace(0, 1, T, dtype=torch.float64) ** (2**bend)).exp()
    steps = (levels[:-1] - levels[1:]) * mse(levels[1:]) / 2
    return (steps.sum() + unknown(levels[0]) + torch.log1p(levels[-1]) / 2).item() / LOG_2


assert 1 < bent(256, 0) < bent(64, 0) < bent(16, 0) < bent(8, 0)
assert max(bent(256, bend) for bend in (-1, -0.5, 0.5, 1)) - bent(256, 0) < 0.01
assert all(bent(8, bend) > bent(8, 0) for bend in (-1, -0.5, -0.2, 0.2, 0.5, 1))
assert 9 < bent(8, -1) - bent(8, 0) < 10

# %% [markdown]
# ### Deeper: why the area is the entropy
#
# Why is nothing lost in the limit? The price of a small step is a difference of mutual informations. Let the SNR grow by
# $\delta$. To see $x_{t-1}$ as well as $x_t$ is to see one more, very noisy measurement of $x_0$, with signal-to-noise ratio
# $\delta$. A weak measurement of something with variance $V$ tells $\tfrac12\delta V$ nats, up to terms of order $\delta^2$,
# whatever its distribution; and the variance of $x_0$ given $x_t$ is, on average, the mse of the exact denoiser. So
# $dI/d\,\mathrm{SNR} = \tfrac12\,\mathrm{mse}$, the **I-MMSE** relation (Guo, Shamai & Verdú 2005, theorem 1). Integrated from no signal
# to all of it, the information is everything that there is to know: the entropy.
#
# ### Deeper: one pixel of a digit
#
# This works for anything that has an entropy. Take a pixel of our training digits, with its 256 greys and their
# frequencies; Figure 1 has a bar for it. No coding, no counting: only the error of the best denoiser of that pixel, at
# every noise level. The area must be the entropy again.

# %% tags=["check"]
nodes, node_weight = np.polynomial.hermite_e.hermegauss(20)
nodes = torch.from_numpy(nodes)
node_weight = torch.from_numpy(node_weight / node_weight.sum())


def mse_of_pixel(chance, snr):
    """E(x_0 - x̂_0)² of the exact denoiser of a pixel with these chances of its 256 greys."""
    x = pixels[chance > 0]
    chance = chance[chance > 0]
    y = snr * x[:, None] + snr**0.5 * nodes  # for each grey and noise
    r = torch.softmax(chance.log() + y[..., None] * x - snr * x**2 / 2, dim=-1)
    return chance @ ((x[:, None] - r @ x) ** 2 @ node_weight)


lam_pixel = torch.linspace(-9, 14, 93, dtype=torch.float64)
chance = counts / counts.sum()
chance = torch.where(chance > 1e-5, chance, 0.0)
chance = chance / chance.sum()
entropy_pixel = -torch.xlogy(chance, chance).sum() / LOG_2
rate = torch.stack([lam.exp() * mse_of_pixel(chance, lam.exp()) / 2 for lam in lam_pixel]) / LOG_2
area_pixel = torch.trapezoid(rate, lam_pixel)
print(f"a pixel: area {area_pixel:.2f} bits, entropy {entropy_pixel:.2f} bits")
assert abs(area_pixel - entropy_pixel) < 2e-3

# %% tags=["figure"]
fig, ax = figure(width=7.6, height=3.0)
ax.plot(lam_pixel, rate, color=BLUE, label="a pixel of a digit")
ax.fill_between(lam_pixel, rate, color=BLUE, alpha=0.15)
ax.plot(lam, lam.exp() * mse(lam.exp()) / 2 / LOG_2, color=GREY, linestyle=":", label="the coin")
ax.axvline(math.log(255**2), color=BLACK, linewidth=1)
ax.text(math.log(255**2) - 0.15, 0.235, "noise as large as half a grey step", ha="right")
ax.text(0.6, 0.06, "ink or paper?", ha="center")
ax.text(7, 0.06, "which grey exactly?", ha="center")
ax.set(xlabel="log SNR", ylabel="bits per unit of log SNR", xlim=(-9, 14))
ax.legend(loc="upper left")
show(
    fig,
    alt="A hill at log SNR 0, then a plateau that goes on up to log SNR 12 and drops to 0; the coin's "
    "hill for comparison ends at 4.",
)

# %% [markdown]
# **Figure 6.** Where the bits of a pixel are. First the coarse question is settled, as for the coin. Then a long plateau:
# for a grey that could be anything, each unit of log SNR costs $1/(2\log2) = 0.72$ bits, which is *one bit for each halving of
# the noise*, until the noise is finer than a grey step. Most pixels are plain black and pay nothing here, so the
# plateau is low. But more than half of all the bits lie in it, and they are spent on grain that no eye sees.

# %% tags=["claim"]
fine = torch.trapezoid(rate[lam_pixel >= 3], lam_pixel[lam_pixel >= 3])
assert 0.5 < fine / area_pixel < 0.9
assert abs(entropy_pixel - bits["histogram"]) < 0.05

# %% [markdown]
# ## 5 · From the bound to the loss that everybody trains
#
# Networks are often asked for the noise. With the same $x_t$ for truth and guess, the jump
# $x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\varepsilon$ gives
# $\|\varepsilon-\hat\varepsilon\|^2 = \mathrm{SNR}_t\,\|x_0-\hat x_0\|^2$. Put this into (4):
#
# $$ L_{t-1} = w_t\;\mathbb E_q\,\|\varepsilon - \hat\varepsilon\|^2, \qquad w_t = \frac12\Big(\frac{\mathrm{SNR}_{t-1}}{\mathrm{SNR}_t} - 1\Big)
#    \;\approx\; \frac12\,(\lambda_{t-1}-\lambda_t) \tag{8} $$
#
# Ho et al. drop $w_t$, and train $L_{\text{simple}} = \mathbb E\,\|\varepsilon-\hat\varepsilon\|^2$ with $t$ drawn evenly (their eqs. 12
# and 14). By (8) the bound wants *every unit of log SNR to count alike*. $L_{\text{simple}}$ counts every *step* alike, so a noise
# level counts as much as the schedule dwells on it. The timetable, which has no say in the
# bound, becomes the weight.

# %% tags=["check"]
half_right = Denoiser(lambda x_t, t, label: 0.5 * denoiser(x_t, t), schedule)  # wrong on purpose
for t in range(2, 21):
    x_t = q_sample(x_0, t, eps, schedule)
    eps_hat = eps_from_x_0(x_t, half_right(x_t, t), t, schedule)
    squared_error = (eps - eps_hat)[:, 0] ** 2
    w_t = (schedule.snr[t - 1] / schedule.snr[t] - 1) / 2
    assert torch.allclose(kl_t(x_0, x_t, t, half_right), w_t * squared_error, atol=1e-9)
    beta = schedule.beta[t]  # Ho et al., eq. 12, with the variance beta tilde
    paper = beta**2 / (2 * posterior_var(t, schedule) * (1 - beta) * (1 - schedule.alpha_bar[t]))
    assert torch.allclose(w_t, paper)
print("(8) holds for each draw, and w_t is the weight of Ho et al., eq. 12")

# %% tags=["figure"]
fig, ax = figure(width=7.6, height=2.9)
for name, chain in (("linear", linear(1000)), ("cosine", cosine(1000))):
    lam_t = chain.log_snr[1:]
    middle = (lam_t[1:] + lam_t[:-1]) / 2
    dwell = 1 / (-lam_t.diff() * 1000)
    ax.plot(middle, dwell, label=f"$L_{{simple}}$, {name}", **looks[name])
ax.axhline(0.05, **ROLES["exact"], label="the bound (its height is free)")
ax.set(xlabel="log SNR", ylabel="weight of the error in ε", xlim=(-10, 10), ylim=(0, 0.2))
ax.annotate("shape of the picture", (-1.5, 0.008), ha="center")
ax.annotate("fine grain", (7.5, 0.012), ha="center")
ax.legend(loc="upper left")
show(
    fig,
    alt="Two hills over log SNR, the cosine's near 0 and the linear schedule's further to the left, "
    "and a flat dashed line: the bound.",
)

# %% [markdown]
# **Figure 7.** How much an error in $\varepsilon$ counts at each noise level. The bound: everywhere alike. $L_{\text{simple}}$: where the
# schedule lingers, which is where the shape of a picture is decided; the fine grain on the right hardly counts. Better
# pictures, a slightly worse likelihood, report Ho et al.
#
# ### Deeper: the paper beside the code
#
# | Ho et al. 2020 | here |
# |---|---|
# | eq. 1, the model $p$ | `ddpm` (notebook 03); equation (1) above |
# | eq. 2, a forward step; eq. 4, the jump | `q_step`, `q_sample` (notebook 02) |
# | eq. 3, Jensen; eq. 5, the three kinds of terms | (2), (3); `Terms`, `elbo_terms` |
# | eqs. 6 and 7, the posterior | `posterior_mean`, `posterior_var` (notebook 03) |
# | eqs. 8 to 10, the step term as a distance of means | `kl_t`, equation (4) |
# | eq. 12, the weight; eq. 14, $L_{\text{simple}}$ | (8); Figure 7 |
# | eq. 13, the discretised decoder | `discretised_log_prob` |
#
# ## Exercises
#
# ### Exercise 1 (core): derive the rate
#
# A chain runs in continuous time $u$ from data to noise; its log SNR $\lambda$ changes at the rate $\lambda' = d\lambda/du < 0$.
# Start from (4), let the step shrink, and derive what the bound costs *per unit of $u$*: once from the mean square error of
# $x_0$, once from that of $\varepsilon$.

# %% tags=["exercise"]
def cost_rates(lam, slope, mse_x_0, mse_eps):
    """Nats per unit of time, from the error of x_0, and from that of ε: two results.

    lam: log SNR; slope: its derivative by u, negative; mse_x_0, mse_eps: errors. All float64 (n,).
    """
    raise NotImplementedError


# %% tags=["check"]
elbo.check_cost_rates(cost_rates)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# A short step of length $du$ has $\mathrm{SNR}_{t-1}-\mathrm{SNR}_t = -\frac{d\,\mathrm{SNR}}{du}\,du$, and $\mathrm{SNR} = e^\lambda$.
# </details>
#
# <details><summary>Solution</summary>
#
# By the chain rule $d\,\mathrm{SNR}/du = e^\lambda\lambda'$, so the rate is $-\tfrac12 e^\lambda\lambda'\,\mathrm{mse}$. The error of $\varepsilon$ is
# $e^\lambda$ times that of $x_0$, so from it the rate is $-\tfrac12\lambda'\,\mathrm{mse}_\varepsilon$. And $-\lambda'\,du$ is $d\lambda$ along the
# way: integrated over $u$, the timetable cancels.
#
# ```python
# def cost_rates(lam, slope, mse_x_0, mse_eps):
#     return -0.5 * lam.exp() * slope * mse_x_0, -0.5 * slope * mse_eps
# ```
# </details>

# %% [markdown]
# ### Exercise 2 (hard): build an estimator
#
# All step terms take a thousand calls of a network. Estimate their *sum* from one: for each example draw a time $t$ from
# $2\dots T$, every time alike, and a noise; return a number whose average is the sum of its step terms (4).

# %% tags=["exercise"]
def one_call(denoiser, x_0, generator):
    """An unbiased estimate of Σ L_{t-1} over t = 2…T for each example: float64 (n,), nats.

    denoiser: called once, as denoiser(x_t, t), t int64 (n,).
    x_0: float64 (n, d). Every draw comes from generator.
    """
    raise NotImplementedError


# %% tags=["check"]
elbo.check_one_call(one_call)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# `torch.randint(2, T + 1, (n,), generator=generator)`. A time comes up with the chance $1/(T-1)$, so its term has to stand
# for $T-1$ of them.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def one_call(denoiser, x_0, generator):
#     schedule = denoiser.schedule
#     t = torch.randint(2, schedule.T + 1, (len(x_0),), generator=generator)
#     eps = torch.randn(x_0.shape, generator=generator, dtype=x_0.dtype)
#     x_t = q_sample(x_0, t, eps, schedule)
#     squared_error = ((x_0 - denoiser(x_t, t)) ** 2).sum(dim=1)
#     gain = schedule.snr[t - 1] - schedule.snr[t]
#     return (schedule.T - 1) * 0.5 * gain * squared_error
# ```
# </details>

# %% [markdown]
# ### Exercise 3 (core): which times to draw?
#
# You may draw time $t$ with a chance $p_t$ of your own, if you divide its term by $p_t$ in place of multiplying it by $T-1$.
# The average stays; the variance does not. Experiment: the data is a picture of 784 coins, in 100 steps. Here are the
# average term and the average *squared* term at each $t$, and the variance of a choice. Get it below a tenth of what even
# chances give. One's first idea is not good enough.

# %%
chain = cosine(100)
half_gain = (chain.snr[1:-1] - chain.snr[2:]) / 2
miss = 1 - torch.tanh(log_odds(chain.snr[2:]))  # of one coin: x_0 - x̂_0
costs = 784 * half_gain * (miss**2 @ weight)
scatter = half_gain**2 * (miss**4 @ weight) - (costs / 784) ** 2  # one coin's variance
squares = costs**2 + 784 * scatter


def variance_of(chances):
    """Variance of a one-call estimate that draws t = 2…T with these chances."""
    return torch.where(squares > 0, squares / chances, 0.0).sum() - costs.sum() ** 2


even = torch.full((99,), 1 / 99, dtype=torch.float64)
print(f"the sum: {costs.sum():.0f} nats; "
      f"one draw with even chances: ± {variance_of(even) ** 0.5:.0f}")


# %% tags=["exercise"]
def chances(costs, squares):
    """The chance of each t = 2…T: float64 (T-1,), positive, sum 1. costs, squares: (T-1,)."""
    raise NotImplementedError


# %% tags=["check"]
elbo.check_chances(chances)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# You want $\sum s_t/p_t$ small while $\sum p_t = 1$, with $s_t$ the squares. Lagrange or Cauchy & Schwarz says which
# power of $s_t$ it is. Add a little to each chance, so that none is 0.
# </details>
#
# <details><summary>Solution</summary>
#
# $\sum s_t/p_t$ is smallest for $p_t \propto \sqrt{s_t}$. Chances in proportion to the costs come to mind first. They hardly
# ever draw the times near the data, where nearly every coin is clear and costs nothing, but the rare doubtful one costs a
# lot. A network's squares are not known beforehand: Nichol & Dhariwal (2021, section 3.3) keep a running average.
#
# ```python
# def chances(costs, squares):
#     p = squares.sqrt() + 1e-9 * squares.sqrt().sum()
#     return p / p.sum()
# ```
# </details>

# %% [markdown]
# ### Exercise 4 (core): what follows from a bound?
#
# Five sentences, such as one reads in papers. The bound is on the average of $-\log_2 p$ over images; H is the entropy of
# the data. Which of them follow? Return the letters, as in `{"A", "C"}`.
#
# - **A** "Our bound is 1.1 bits per dimension, theirs 1.3. So our model gives the images a higher likelihood."
# - **B** "Our bound is 1.1; xz needs 1.5 for the same images. So our average $-\log_2 p$ is lower than what xz needs."
# - **C** "Our bound is lower than theirs, so our samples look better."
# - **D** "Our bound is 0.2 bits above H, so the KL from data to model is at most 0.2 bits."
# - **E** "We took twice as many steps, and the bound fell. So the denoiser has become better."

# %% tags=["exercise"]
def which_follow():
    """The letters of the sentences that follow: a set of strings."""
    raise NotImplementedError


# %% tags=["check"]
elbo.check_which_follow(which_follow)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# A bound is a roof: the thing itself is somewhere below it. Draw two roofs and the two things.
# </details>
#
# <details><summary>Solution</summary>
#
# B: the roof is below 1.5, so what is under it is, too. D: the KL is the average $-\log p$ less H, at most the
# bound less H. A compares two roofs; theirs may be looser (the Deeper section of section 3 has such a pair). C: most bits are
# in grain that no eye sees. E: the sum falls with finer stairs while the denoiser stays as it is.
#
# ```python
# def which_follow():
#     return {"B", "D"}
# ```
# </details>

# %% [markdown]
# ### Exercise 5 (core): find the faults
#
# The prior term in bits per dimension, as many programs compute it, by log-variances. There are three faults in it, each of
# a kind that has stood in public code. Write it without them.
#
# ```python
# def normal_kl(mean_1, log_var_1, mean_2, log_var_2):
#     return 0.5 * (-1 + log_var_1 - log_var_2 + (log_var_1 - log_var_2).exp()
#                   + (mean_1 - mean_2) ** 2 * (-log_var_2).exp())
#
# def prior_bits(x_0, alpha_bar_T):
#     mean = alpha_bar_T**0.5 * x_0
#     log_var = torch.tensor(1 - alpha_bar_T)
#     nats = normal_kl(mean, log_var, torch.tensor(0.0), torch.tensor(0.0))
#     return nats.mean(dim=1) / (x_0.shape[1] * math.log(2))
# ```

# %% tags=["exercise"]
def prior_bits(x_0, alpha_bar_T):
    """L_T in bits per dimension: float64 (n,). x_0: float64 (n, d); alpha_bar_T: a float."""
    raise NotImplementedError


# %% tags=["check"]
elbo.check_prior_bits(prior_bits)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# Test `normal_kl` with two equal Gaussians, then with a narrow first one: a KL is never negative. Then count how often the
# program divides by $d$. What does the name `log_var` promise?
# </details>
#
# <details><summary>Solution</summary>
#
# The logarithms have the wrong sign: it is $-\log(\sigma_1^2/\sigma_2^2)$. `log_var` holds a variance. And the mean over pixels
# has divided by $d$ once already. For their relatives in the wild see FluxML/model-zoo, pull request 147 (a sign),
# tqch/ddpm-torch, issue 9 (a variance for its logarithm, in this very term), and maxhodak/keras-molecules, issue 59 (a mean
# for a sum).
#
# ```python
# def prior_bits(x_0, alpha_bar_T):
#     var = 1 - alpha_bar_T
#     nats = 0.5 * (var + alpha_bar_T * x_0**2 - 1 - math.log(var)).sum(dim=1)
#     return nats / (x_0.shape[1] * math.log(2))
# ```
# </details>

# %% [markdown]
# ## A common mistake
#
# Treating $t = 1$ like any other step. At $t = 0$ the SNR is infinite, and so is the weight of the first term. The loss is
# `inf` or `nan`, perhaps only now and then, when a random $t$ is 1. The fix: steps from 2 on, then a decoder.

# %%
first = (schedule.snr[:-1] - schedule.snr[1:]) / 2  # wrong: it begins with t = 1
print("wrong: weights from t = 1:", [round(value, 1) for value in first[:3].tolist()])
print("right: weights from t = 2:", [round(value, 1) for value in first[1:4].tolist()],
      "and the decoder for t = 1")

# %% tags=["claim"]
assert first[0] == math.inf
assert first[1:].isfinite().all()

# %% [markdown]
# ## Summary
#
# - $-\log p(x_0)$ is at most the sum of prior term, step terms and reconstruction term.
# - A step term is ½ × gain in SNR × error of the guess: a price and a loss. The prices add up to the entropy, the losses
#   to the gap.
# - A wrong guess adds the KL between the models; the best guess is $\mathbb E[x_0\mid x_t]$.
# - In small steps the bound is $\tfrac12\int\mathrm{mse}\,d\,\mathrm{SNR}$. Of the schedule only the ends enter.
# - $L_{\text{simple}}$ counts every step alike; so the schedule becomes the weight.
# - A bound is a roof.
#
# From now on: `from diffusion_lab.theory.elbo import kl_prior, kl_t, nll_recon, elbo_terms, bits_per_dim`.
#
# ## Check yourself
#
# <details><summary>The denoiser is exact. Why is the bound in 20 steps still above the entropy?</summary>
#
# The true step back has two humps, the model's one. With smaller steps this loss goes to 0.
# </details>
#
# <details><summary>The prior term is the same for every model. Why is it in the bound?</summary>
#
# It pays for starting from pure noise although $x_T$ still knows a little about $x_0$. Only the schedule's end can lower it.
# </details>
#
# <details><summary>A paper reports a negative bound in nats. Is that a mistake?</summary>
#
# Not for continuous data: densities exceed 1, and $-\log p$ may be negative. For pixels with the discretised decoder it is.
# </details>
#
# ## Further reading
#
# - Ho, Jain & Abbeel (2020), sections 2 and 3; appendix A derives their eq. 5.
# - Kingma et al. (2021), *Variational Diffusion Models*: eq. 13 is our (4), eq. 18 our (7).
# - Kingma & Gao (2023), *Understanding Diffusion Objectives as the ELBO*: every usual loss as a weight over log SNR.
# - Theis et al. (2016), *A note on the evaluation of generative models*: what likelihood leaves open.
#
# ## Next
#
# Notebook 05 replaces the exact denoiser by a network, and trains it. Notebook 08 fills in the last bar of Figure 1.
