# %% [markdown]
# # Measure a model in bits: the bound
#
# Two models draw digits. Which one is better? Look and choose: your neighbour will choose the other. We
# want a number that does not depend on taste.
#
# Here is one: how many bits does it take to *store* a picture? If there are four, all equally likely, two yes-or-no
# questions find yours: two bits, and $-\log_2\tfrac14 = 2$. In general a picture of probability $p$ takes about
# $-\log_2 p$ bits, and nobody does better on average than with the true probabilities (MacKay, chapter 5).
#
# The walk with fresh noise cannot tell its $p$. (Its smooth cousin can, but that is another model.) But we can put a roof over the bits: the bound. You will try it on a coin and on one
# pixel of a digit; notebook 08 weighs whole digits. On the way, the third of the four sentences of notebook 00 finds its
# reason. Why should a *regression* make a model of probabilities? Because it *is* the bound.
#
# You will be able to
#
# - **derive** the bound on $-\log p(x_0)$, and say what each term pays for,
# - **compute** it, and compare it with an exact answer,
# - **explain** why the schedule hardly matters,
# - **recognise** the usual training loss in it,
# - **judge** which claims follow from a bound.
#
# **You need** notebooks 01 (KL), 02 (the jump, SNR) and 03 (posterior, exact denoiser). **Time to read** 80 minutes, with the core exercises 120, with everything 190 · **to run** 20 seconds.
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

generator = torch.Generator().manual_seed(0)
LOG_2 = math.log(2)

# %% [markdown]
# With natural logarithms the unit is the **nat**; a bit is $\log 2 = 0.693$ nats. The formulas below are in nats, the coin's
# bills in bits. Divided by the number of pixels, bits become **bits per dimension**.

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
# draws the picture below
from matplotlib.colors import to_rgba

from diffusion_lab.view.live import Live
from diffusion_lab.view.show import show
from diffusion_lab.view.style import BLACK, BLUE, GREY, ORANGE, ROLES, figure

fig, (left, right) = figure(columns=2, width=8.4, height=2.9, width_ratios=[1, 2.1])
rows = [np.hstack(list(test[i : i + 3, 0])) for i in (215, 435, 755)]
left.imshow(np.vstack(rows), cmap="gray", vmin=0, vmax=255)
left.set(xticks=[], yticks=[], title="test digits")
left.grid(False)
names = ["a byte for each pixel", "how often each grey occurs", "gzip", "xz", "a diffusion model"]
right.barh(range(4), list(bits.values()), color=GREY)
for i, value in enumerate(bits.values()):
    right.text(value + 0.1, i, f"{value:.1f}", va="center")
fade = np.full((1, 100, 4), to_rgba(ORANGE))
fade[..., 3] = np.linspace(0.9, 0, 100)  # a bar whose end is open
right.imshow(fade, extent=(0, 1.4, 4.4, 3.6), aspect="auto", zorder=2)
right.text(1.5, 4, "?", va="center", color=ORANGE, fontsize=14)
right.set_yticks(range(5), names)
right.set(xlabel="bits per pixel", xlim=(0, 9), ylim=(4.6, -0.6))
show(
    fig,
    alt="Nine digits, and beside them bars: a byte 8 bits, the histogram of greys 2.0, gzip 1.7, xz "
    "1.5, a diffusion model: a bar that fades out, and a question mark.",
)

# %% [markdown]
# **Figure 1.** What 1,000 test digits cost. A model that knows digits should do better than programs that look for
# repetitions. How long its bar is, nobody can compute exactly for the walk with fresh noise.
#
# ## Predict first
#
# The data is a coin: $x_0$ is $+1$ or $-1$, with even odds. One toss takes 1 bit. A model walks back from noise with the
# exact denoiser, in 20 steps.
#
# 1. Will our bound say 1 bit, less, or more?
# 2. Where is most of it charged: near the noise, in the middle, or near the data?
# 3. If the 20 steps lie elsewhere, does the bound change? And if there are infinitely many?
#
# ## 1 · The bound, in three moves
#
# The model draws $x_T$ from pure noise, $p(x_T) = \mathcal N(0, I)$, and steps back as in notebook 03,
# $p(x_{t-1}\mid x_t) = \mathcal N\big(\tilde\mu(\hat x_0(x_t), x_t),\, \sigma_t^2 I\big)$. The letter $p$ stands for the model,
# $q$ for the truth. What probability does the model give to one picture $x_0$? Every chain that ends in it counts:
#
# $$ p(x_0) = \int p(x_T) \prod_{t=1}^T p(x_{t-1}\mid x_t)\; dx_1\cdots dx_T \tag{1} $$
#
# This is the model's **likelihood**. With 1,000 steps it is an integral over 784,000 dimensions, and almost all chains end
# nowhere near our picture. But we know which ones do pass by: the *forward* chains that start in it.
#
# **First move: average over forward chains.** Multiply and divide by $q(x_1,\dots,x_T\mid x_0)$: the integral becomes an
# average $\mathbb E_q$ over chains that we can draw.
#
# **Second move: Jensen.** $-\log$ bends upwards. So its value at an average is at most the average of its values. Take the
# probabilities ½ and ⅛. They cost 1 bit and 3, on average 2; but their average, $\tfrac5{16}$, costs only 1.68.

# %% tags=["figure"]
# draws the picture below
fig, ax = figure(width=6.4, height=2.9)
u = np.linspace(0.07, 0.72, 200)
ax.plot(u, -np.log2(u), color=BLACK)
ax.text(0.1, 3.4, "$-\\log_2 p$", ha="left")
ax.plot([1 / 8, 1 / 2], [3, 1], color=GREY, linestyle="--", marker="o", markerfacecolor=BLUE, markersize=8)
ax.text(0.14, 3.05, "⅛ costs 3 bits", va="bottom")
ax.text(0.52, 1.02, "½ costs 1 bit", va="bottom")
ax.plot([5 / 16] * 2, [-math.log2(5 / 16), 2], color=ORANGE, marker="o", linewidth=2.4)
ax.text(0.325, 2.03, "the average of the bits: 2", va="bottom")
ax.text(0.295, 1.5, "the bits of the average: 1.68", ha="right", va="center")
ax.text(0.295, 1.15, "0.32 bits are lost between them", ha="right", va="center", color=ORANGE)
ax.set(xlabel="p", ylabel="bits", xlim=(0, 0.75), ylim=(0, 3.7))
show(
    fig,
    alt="The falling curve of -log p, and a straight line between two of its points. Half-way the line is "
    "at 2 bits, above the curve, which is at 1.68.",
)

# %% [markdown]
# **Figure 2.** Jensen with two numbers: the straight line lies above the curve. Equal numbers leave no gap.
#
# For us, the average is over chains:
#
# $$ -\log p(x_0) = -\log \mathbb E_q\Big[ p(x_T) \prod_{t=1}^T \frac{p(x_{t-1}\mid x_t)}{q(x_t\mid x_{t-1})} \Big]
#    \;\le\; \mathbb E_q\Big[ -\log p(x_T) - \sum_{t=1}^T \log \frac{p(x_{t-1}\mid x_t)}{q(x_t\mid x_{t-1})} \Big] \tag{2} $$
#
# Only here is anything lost. **Third move: turn the forward steps around.** In (2) the model walks back, and the truth walks
# forward. Bayes' rule turns a forward step; since the chain forgets, we may add $x_0$ to what is given. For $t\ge2$:
#
# $$ q(x_t\mid x_{t-1}) = q(x_t\mid x_{t-1}, x_0) = q(x_{t-1}\mid x_t, x_0)\,\frac{q(x_t\mid x_0)}{q(x_{t-1}\mid x_0)} $$
#
# Multiply over $t$, and the fractions **telescope**. With $T=3$ there are two of them, and $q(x_2\mid x_0)$ cancels:
#
# $$ q(x_2\mid x_1)\,q(x_3\mid x_2) = q(x_1\mid x_2,x_0)\,q(x_2\mid x_3,x_0)\;
#    \frac{q(x_2\mid x_0)}{q(x_1\mid x_0)}\cdot\frac{q(x_3\mid x_0)}{q(x_2\mid x_0)} $$
#
# And $q(x_1\mid x_0)$ cancels against the forward step of $t=1$. Now each $q$ has its $p$. Average $\log q/p$ over $x_{t-1}$
# with $x_t$ held fixed: that is a KL. The average over $x_t$ stays, as $\mathbb E_q$ (Ho et al., eq. 5):
#
# $$ -\log p(x_0) \;\le\; \underbrace{\mathrm{KL}\big(q(x_T\mid x_0)\,\|\,p(x_T)\big)}_{L_T}
#    + \sum_{t=2}^T \underbrace{\mathbb E_q\,\mathrm{KL}\big(q(x_{t-1}\mid x_t, x_0)\,\|\,p(x_{t-1}\mid x_t)\big)}_{L_{t-1}}
#    + \underbrace{\mathbb E_q\big[-\log p(x_0\mid x_1)\big]}_{L_0} \tag{3} $$

# %% tags=["figure"]
# draws the picture below
from matplotlib.patches import FancyArrowPatch

fig, ax = figure(width=8.6, height=2.9)
digit = load_digits("test")[0][215:216].double()
times = [0, 40, 350, 450, 1000]
names = ["$x_0$", "$x_1$", "$x_{t-1}$", "$x_t$", "$x_T$"]
places = [0.0, 2.6, 5.2, 7.8, 10.4]
noise = torch.randn(digit.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
for time, x, name in zip(times, places, names):
    picture = q_sample(digit, time, noise, cosine(1000))[0, 0]
    area = [x - 0.8, x + 0.8, -0.8, 0.8]
    ax.imshow(picture, cmap="gray", vmin=-1, vmax=1, extent=area, zorder=2)
    ax.text(x, -1.2, name, ha="center", fontsize=13)

look = {"connectionstyle": "arc3,rad=0.25", "arrowstyle": "-|>", "mutation_scale": 14, "linewidth": 1.8}
for x, after in ((places[0], places[1]), (places[2], places[3])):
    forth = [(x + 0.84, -0.4), (after - 0.84, -0.4)]
    back = [(after - 0.84, 0.4), (x + 0.84, 0.4)]
    ax.add_patch(FancyArrowPatch(*forth, color=GREY, linestyle="--", **look))
    ax.add_patch(FancyArrowPatch(*back, color=ORANGE, **look))
for x in (3.9, 9.1):
    ax.text(x, 0, "· · ·", ha="center", va="center", fontsize=16, color=GREY)
box = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": ORANGE}
says = [
    (1.3, 0.68, "$L_0$: which picture was it?"),
    (6.5, 0.68, "$L_{t-1}$: the step of one who knows $x_0$,\nbeside the model's, which has $\\hat x_0$"),
    (10.5, 0.84, "$L_T$: is it noise?"),
]
for x, start, words in says:
    ax.text(x, 1.65, words, ha="center", va="center", fontsize=10, bbox=box)
    ax.plot([x, x], [start, 1.35], color=ORANGE, linewidth=1, linestyle=":", zorder=1)
ax.text(1.3, -1.05, "$q$, known", ha="center", color=GREY)
ax.text(6.5, -1.05, "$q$, known", ha="center", color=GREY)
ax.text(1.3, 0.18, "$p$", ha="center", color=ORANGE, fontsize=12)
ax.text(6.5, 0.18, "$p$", ha="center", color=ORANGE, fontsize=12)
ax.set(xlim=(-0.9, 12.0), ylim=(-1.4, 2.1), aspect="equal")
ax.axis("off")
show(
    fig,
    alt="A digit and four ever noisier states of it in a row. Dashed grey arrows go to the right, "
    "orange ones back. Boxes hang on the orange arrows and on the last state: L_0, L_{t-1}, L_T.",
)

# %% [markdown]
# **Figure 3.** The chain with its bill: a term for each step back, and one for the start. (The noise in $x_1$ is not to
# scale.)
#
# The **prior term** $L_T$ is not learned. A **step term** $L_{t-1}$ compares the step of someone who has seen $x_0$ with that
# of the model, which has only the average $\hat x_0$. The **reconstruction term** $L_0$ is the last step, to the data. Minus
# the right side is the **evidence lower bound**, **ELBO**, where "evidence" means the likelihood. We keep the sign in which
# smaller is better.
#
# ### Deeper: a cousin, the variational autoencoder
#
# A variational autoencoder has the same bound: an encoder $q$ turns a picture into a hidden state, a decoder $p$ turns it
# back. A diffusion model is such an autoencoder with $T$ hidden layers and a *fixed* encoder, which adds noise and learns
# nothing. So the hidden states compress nothing. But the decoder's targets stand still while it learns, and each layer
# can be trained without the others.
#
# ## 2 · What a step costs
#
# Take one of the step terms. With the variance of the posterior, $\sigma_t^2 = \tilde\beta_t$ (`"small"`), two Gaussians of
# the same width are compared, and their KL is the squared distance of their means over twice the variance. Both means are
# $\tilde\mu$ of notebook 03, one with $x_0$ in it, one with $\hat x_0$. So the KL is $\|x_0-\hat x_0\|^2$ times a factor; and
# the factor, by the algebra in a closed section below, is half a difference of two signal-to-noise ratios!
#
# $$ L_{t-1} = \tfrac12\,\big(\mathrm{SNR}_{t-1} - \mathrm{SNR}_t\big)\;\mathbb E_q\,\|x_0 - \hat x_0(x_t)\|^2 \tag{4} $$
#
# A step costs *how far the answer is from $x_0$*, times *how much the signal gains in this step*. The chain enters by its
# SNR alone. In code, one function is called twice, with the truth and with the model's answer:

# %% tags=["export:diffusion_lab.theory.elbo"]
def kl_t(x_0, x_t, t, denoiser, variance="small"):
    """L_{t-1}: KL(q(x_{t-1} given x_t, x_0) ‖ p(x_{t-1} given x_t)), per example, t from 2 to T."""
    schedule = denoiser.schedule
    q_var = posterior_var(t, schedule).reshape(-1, 1).to(x_0.device)
    p_var = reverse_var(t, schedule, variance).reshape(-1, 1).to(x_0.device)
    q_mean = posterior_mean(x_0.double(), x_t.double(), t, schedule)
    p_mean = posterior_mean(denoiser(x_t, t).double(), x_t.double(), t, schedule)
    return kl(q_mean.flatten(1), q_var, p_mean.flatten(1), p_var).sum(dim=1)


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
# $L_T$ is the KL of two Gaussians that we know:

# %% tags=["export:diffusion_lab.theory.elbo"]
def kl_prior(x_0, schedule):
    """L_T: KL(q(x_T given x_0) ‖ N(0, I)), per example."""
    alpha_bar_T = schedule.alpha_bar[-1]
    return kl(alpha_bar_T.sqrt() * x_0.double(), 1 - alpha_bar_T, 0.0, 1.0).flatten(1).sum(dim=1)


# %% [markdown]
# In $L_0$ the state at time 0 is the data itself, a point, with which no Gaussian can be compared. So the last step is a
# **decoder**: it gives each possible $x_0$ a probability. A pixel's is in a closed section below. To the coin's model we
# lend the exact last step, $q(x_0\mid x_1)$.
#
# ### Deeper: two signal-to-noise ratios
#
# In $\tilde\mu$ the factor of $x_0$ is $A_t = \sqrt{\bar\alpha_{t-1}}\,\beta_t/(1-\bar\alpha_t)$. So the KL is
# $A_t^2\,\|x_0-\hat x_0\|^2/2\tilde\beta_t$. Put in $\tilde\beta_t = \beta_t(1-\bar\alpha_{t-1})/(1-\bar\alpha_t)$ and
# $\bar\alpha_{t-1}\beta_t = \bar\alpha_{t-1}-\bar\alpha_t$:
#
# $$ \frac{A_t^2}{\tilde\beta_t} = \frac{\bar\alpha_{t-1}\,\beta_t}{(1-\bar\alpha_t)(1-\bar\alpha_{t-1})}
#    = \frac{\bar\alpha_{t-1}-\bar\alpha_t}{(1-\bar\alpha_t)(1-\bar\alpha_{t-1})}
#    = \frac{\bar\alpha_{t-1}}{1-\bar\alpha_{t-1}} - \frac{\bar\alpha_t}{1-\bar\alpha_t}. $$
#
# ### Deeper: a decoder for pixels, and the whole bound in code
#
# For numbers on a line the decoder is a Gaussian around $\hat x_0(x_1)$. A pixel has one of 256 greys, and gets the *area*
# under that Gaussian over its own bin, $1/255$ to each side; the outermost bins are open to the outside (Ho et al., eq. 13):
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


# %% [markdown]
# Far from the mean both values of $\Phi$ round to 1, their difference to 0, and its logarithm is lost. Two tricks keep the
# digits. By symmetry, always work in the lower tail. And take $\log\Phi$ from a library, so that
# $\log(\Phi(b)-\Phi(a)) = \log\Phi(b) + \log(1 - e^{\log\Phi(a)-\log\Phi(b)})$.

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


# %% tags=["check"]
pixels = torch.arange(256, dtype=torch.float64) / 127.5 - 1
log_p = discretised_log_prob(pixels, torch.tensor(-0.5), 0.004)
edges = torch.cat([torch.tensor([-math.inf]), pixels[:-1] + 1 / 255, torch.tensor([math.inf])])
plain = torch.from_numpy(ndtr(((edges + 0.5) / 0.004**0.5).numpy())).diff()
assert abs(log_p.exp().sum() - 1) < 1e-12
assert torch.allclose(log_p[:100].exp(), plain[:100], rtol=1e-9, atol=0)
print(f"the probabilities of 256 greys add up to {log_p.exp().sum():.6f}")
print(f"pixel 254: plain probability {plain[-2]:.0f}, log-probability {log_p[-2]:.0f} nats")

# %% tags=["claim"]
# checks what the text says: the plain difference loses the far pixel
assert plain[-2] == 0

# %% [markdown]
# The whole of (3), for any denoiser and data, with one draw of $x_t$ for each term:

# %% tags=["export:diffusion_lab.theory.elbo"]
class Terms(NamedTuple):
    """Terms of (3), nats: kl_prior (n,), kl_t (n, T-1), its column t-2 for t, nll_recon (n,)."""

    kl_prior: torch.Tensor
    kl_t: torch.Tensor
    nll_recon: torch.Tensor


# %% tags=["export:diffusion_lab.theory.elbo"]
def nll_recon(x_0, x_1, denoiser, variance="small", decoder="gaussian"):
    """L_0: -log p(x_0 given x_1), per example; decoder "gaussian" or "discretised"."""
    log_p = {"gaussian": log_prob, "discretised": discretised_log_prob}[decoder]
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


# %% [markdown]
# ## 3 · The bill for a coin
#
# Is the bound any good? For the coin we know the answer: 1 bit, the **entropy** $H$ of the data. No model needs fewer on
# average. Rescale the noisy coin to $y = x_t/\sqrt{\bar\alpha_t} = x_0 + z/\sqrt{\mathrm{SNR}_t}$. How sure does it make us?
# Bayes divides two Gaussians, and the squares cancel:
#
# $$ \frac{q(+1\mid y)}{q(-1\mid y)} = \frac{e^{-\mathrm{SNR}\,(y-1)^2/2}}{e^{-\mathrm{SNR}\,(y+1)^2/2}} = e^{2\,\mathrm{SNR}\,y} $$
#
# Let $h = \mathrm{SNR}\,y$ be half the logarithm of these odds. The denoised mean, the chance of $+1$ less that of $-1$, is
# $\hat x_0 = \tanh h$; and $-\log q(+1\mid y) = \log(1+e^{-2h})$. The two sides are alike, so we take $x_0 = 1$, where
# $h = \mathrm{SNR} + \sqrt{\mathrm{SNR}}\,z$, and average over the noise $z$, with the normal density $\varphi$:
#
# $$ \mathrm{mse} = \int (1-\tanh h)^2\,\varphi(z)\,dz, \qquad \mathrm{unknown} = \int \log(1+e^{-2h})\,\varphi(z)\,dz $$
#
# The first is the error of the best denoiser. The second is what is **still unknown** about the coin when one sees $x_t$;
# at $t=1$ it is $L_0$, since the last step is exact.
#
# ### Deeper: the two averages, in code
#
# An integral over $z$ becomes a sum over a fine grid.

# %% tags=["check"]
z = torch.linspace(-9, 9, 1801, dtype=torch.float64)
weight_z = log_prob(z, 0.0, 1.0).exp() * (z[1] - z[0])  # for a sum in place of the integral


def half_log_odds(snr):
    """h of a coin that is +1, for each noise z: snr (…) -> (…, 1801)."""
    snr = torch.as_tensor(snr, dtype=torch.float64)[..., None]
    return snr + snr.sqrt() * z


def mse(snr):
    """E(x_0 - x̂_0)² of the coin's exact denoiser."""
    return (1 - torch.tanh(half_log_odds(snr))) ** 2 @ weight_z


def unknown(snr):
    """E[-log q(x_0 given x_t)] of the coin, in bits."""
    return torch.nn.functional.softplus(-2 * half_log_odds(snr)) @ weight_z / LOG_2


x_t = q_sample(torch.ones_like(z)[:, None], 8, z[:, None], schedule)
x_0_hat = torch.tanh(half_log_odds(schedule.snr[8]))
assert torch.allclose(denoiser(x_t, 8)[:, 0], x_0_hat)  # the mixture's denoiser agrees
print("the two averages are ready, and tanh h is the answer of the mixture's denoiser")

# %% [markdown]
# ### Add it up
#
# With `mse` and `unknown`, the bill takes a few lines:

# %% tags=["check"]
def coin_steps(schedule):
    """The step terms (4), averaged over the coin, in the order t = 2…T; bits."""
    snr = schedule.snr
    return (snr[1:-1] - snr[2:]) * mse(snr[2:]) / 2 / LOG_2


def coin_bound(schedule):
    """All of (3): L_T, steps, L_0, averaged over the coin; bits."""
    prior = kl_prior(torch.ones(1, 1), schedule)[0] / LOG_2
    return prior + coin_steps(schedule).sum() + unknown(schedule.snr[1])


steps = coin_steps(schedule)
bound = coin_bound(schedule)
assert bound > 1
print(f"one toss costs 1 bit; the bound says {bound:.3f} bits, "
      f"{steps.sum():.3f} of them in the steps")

# %% [markdown]
# More than 1 bit, although the denoiser is exact. Why?
#
# ## 4 · What is lost, and is the model bad?
#
# A step term compares the model with somebody who has *seen* $x_0$. Even the *true* step back, $q(x_{t-1}\mid x_t)$, would
# have to pay. How much, says Bayes' rule, since the chain forgets:
#
# $$ \frac{q(x_{t-1}\mid x_t, x_0)}{q(x_{t-1}\mid x_t)} = \frac{q(x_0\mid x_{t-1})}{q(x_0\mid x_t)} $$
#
# Take logarithms, and average. The left side becomes what the true step has to pay; the right side what is unknown at $t$, less
# what is unknown at $t-1$. This is the **price** of the step. The prices telescope, too: at first one bit is unknown, at last
# nothing, so they add up to 1 bit.
#
# What a term charges beyond its price is the **excess**: the KL of the true step and the model's. The model steps with the
# width $\tilde\beta$, as if the coin were known. The true step is a mixture of two such Gaussians, one for each side.

# %% tags=["check"]
def coin_excess(snr_s, snr_t):
    """KL(true step from t to s ‖ the model's), averaged over x_t; bits."""
    h = half_log_odds(snr_t)[:, None]  # a row for each x_t
    x_s = torch.linspace(-20, 20, 801, dtype=torch.float64)  # in units of the step's width
    side = (snr_s - snr_t).sqrt()  # A_t/√beta_tilde: how far the coin moves the mean
    true = torch.logaddexp(
        torch.nn.functional.logsigmoid(2 * h) + log_prob(x_s, side, 1.0),
        torch.nn.functional.logsigmoid(-2 * h) + log_prob(x_s, -side, 1.0),
    )
    model = log_prob(x_s, side * torch.tanh(h), 1.0)
    kl_of_steps = (true.exp() * (true - model)).sum(dim=1) * (x_s[1] - x_s[0])
    return kl_of_steps @ weight_z / LOG_2


snr = schedule.snr
price = unknown(snr[1:]).diff()  # t = 2…T
excess = torch.stack([coin_excess(snr[t - 1], snr[t]) for t in range(2, 21)])
assert torch.allclose(steps, price + excess, atol=1e-6)
print(f"the prices add up to {price.sum():.3f} bits, the excess to {excess.sum():.3f}; "
      "in each step they make the term")

# %% tags=["figure"]
# draws the picture below
fig, (left, right) = figure(columns=2, width=8.6, height=3.1)
times = np.arange(2, 21)
left.bar(times, price, color=BLUE, label="price: learned about the coin")
left.bar(times, excess, bottom=price, color=ORANGE, hatch="//", edgecolor="white", label="excess")
left.set(xlim=(21, 0.5), ylim=(0, 0.19), xlabel="t  (the model walks to the right)", ylabel="bits")
left.set_title("each step term")
left.legend(loc="upper left")
back = times[::-1]
right.step(back, price.flip(0).cumsum(0), where="post", color=BLUE, label="prices so far")
sums = steps.flip(0).cumsum(0)
right.step(back, sums, where="post", color=ORANGE, label="terms so far")
right.axhline(1, **ROLES["exact"], label="one bit, the entropy")
right.annotate("", (2.6, sums[-1]), (2.6, 1), arrowprops={"arrowstyle": "<->", "color": ORANGE})
right.text(1.4, 1.29, "excess", color=ORANGE, ha="right")
right.set(xlim=(21, 0.5), ylim=(0, 1.7), xlabel="t  (the model walks to the right)", ylabel="bits", title="added up")
right.legend(loc="upper left")
show(
    fig,
    alt="Left bars over t, highest at t = 8, blue with an orange top. Right two curves that rise in "
    "steps from noise to data: blue ends at 1 bit, orange at 1.22.",
)

# %% [markdown]
# **Figure 4.** The bill for one toss, in 20 steps. Left: little is charged near the noise, where nothing can be known, or
# near the data, where all is. Right: the terms end above the entropy, by the excess.
#
# **So is the model 0.22 bits bad?** No. Turn all its chains upside down, and nothing about it has changed. So it makes $+1$
# as often as $-1$, and *the model itself needs exactly 1 bit*. The 0.22 is lost in Jensen's line (2): the bound charges for
# the model's *chains*, which are not the true ones, though what comes out of them is a perfect coin. A bound is a roof.
# (The bound in Figure D1, in a closed section, ranks two models wrongly.)

# %% tags=["claim"]
# checks what the text says: this model's probability of +1 is one half, by carrying the density of x_t down the chain
def chance_of_plus_one(lean):
    x = torch.linspace(-8, 8, 1601, dtype=torch.float64)
    p = log_prob(x, 0.0, 1.0).exp() * (x[1] - x[0])
    for t in range(20, 1, -1):
        h = x * schedule.snr[t] / schedule.alpha_bar[t].sqrt()
        mean = posterior_mean(torch.tanh(h + lean), x, t, schedule)
        p = log_prob(x[:, None], mean, posterior_var(t, schedule)).exp() @ p * (x[1] - x[0])
    return (p * (1 + denoiser(x[:, None], 1)[:, 0]) / 2).sum().item()


assert abs(chance_of_plus_one(0.0) - 0.5) < 1e-9
assert abs(chance_of_plus_one(0.5) - 0.5) > 0.1  # a leaning model is not fair, so the sum above can tell

# %% [markdown]
# ### Deeper: price and excess, for any data
#
# Averaged over the data, (2) says that bound minus entropy is a KL between whole chains, the true one and the model's.
# Read both backwards, from $x_T$ down. Each is a product of steps, so the KL is a sum over steps:
#
# $$ \text{excess} = \mathrm{KL}\big(q(x_T)\,\|\,p(x_T)\big) + \sum_{t=1}^T \mathbb E\,\mathrm{KL}\big(q(x_{t-1}\mid x_t)\,\|\,p(x_{t-1}\mid x_t)\big) \tag{6} $$
#
# Here $q(x_{t-1}\mid x_t)$ does *not* know $x_0$: it is the true step back of notebook 03. The price
# is the rest of the term, the KL from $q(x_{t-1}\mid x_t, x_0)$ to $q(x_{t-1}\mid x_t)$: what $x_{t-1}$ tells about $x_0$ and
# $x_t$ does not, a difference of two mutual informations, $I(x_0;x_{t-1}) - I(x_0;x_t)$. Likewise
# $\mathbb E\,L_T = \text{excess} + I(x_0;x_T)$ and $\mathbb E\,L_0 = \text{excess} + H - I(x_0;x_1)$. In the sum all informations
# cancel, and $H$ is left. For a Gaussian, all of it is in closed form; and for the coin, random draws agree with the
# integrals:

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

tosses = coin.sample(20_000, generator)
draws = elbo_terms(denoiser, tosses, generator=generator).kl_t.sum(1) / LOG_2
assert abs(draws.mean() - steps.sum()) < 4 * draws.std() / 20_000**0.5
print("20,000 random tosses agree with the integral")

# %% [markdown]
# ### Deeper: a bound can rank two models wrongly
#
# Bound minus entropy has two parts: what Jensen's line loses, and $\mathrm{KL}(\text{data}\,\|\,\text{model})$, by which the
# model itself is wrong. For the coin the second was 0. In general we can look at it in one dimension. First the bound by
# integrals, for any variance of the steps:

# %%
grid = torch.linspace(-8, 8, 1601, dtype=torch.float64)


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


# %% [markdown]
# The variance of a step was ours to choose: $\tilde\beta_t$ or $\beta_t$. The *bound* has a clear opinion. With another
# variance than $\tilde\beta_t$, a step term is the KL of the widths plus $A_t^2\,\|x_0-\hat x_0\|^2/2\sigma_t^2$, and that
# can be less. But is the model with the better bound the better *model*? Put the density of $x_T$ on a grid, and do the
# integral (1) one step at a time:

# %%
coarse = grid[::2]


def density_of_data(data, schedule, variance, x):
    """The model's p(x_0), decoder included, on an even grid x (n,), for data's exact denoiser."""
    p = log_prob(x, 0.0, 1.0).exp()
    denoiser = data.denoiser(schedule)
    for t in range(schedule.T, 0, -1):
        mean = posterior_mean(denoiser(x[:, None], t), x[:, None], t, schedule)[:, 0]
        p_var = reverse_var(t, schedule, variance) if t > 1 else decoder_var(schedule, variance)
        p = log_prob(x[:, None], mean, p_var).exp() @ p * (x[1] - x[0])
    return p


def kl_of_model(data, p):
    """KL(data ‖ model) for the model's density p on the coarse grid; nats."""
    log_q = data.log_prob(coarse[:, None])
    return torch.trapezoid(log_q.exp() * (log_q - p.log()), coarse).item()


def above_entropy(data, schedule, variance):
    """Bound minus entropy; nats."""
    log_q = data.log_prob(grid[:, None])
    entropy = -torch.trapezoid(log_q.exp() * log_q, grid)
    return (expected_bound(data, schedule, variance) - entropy).item()


two = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [0.05, 0.05])
gaussian = GaussianMixture([1.0], [[0.0]], [0.25])
density = {}
bound_of = {}
kl_of = {}
trials = [("two peaks", two, 10), ("N(0, 0.25)", gaussian, 10), ("two peaks", two, 100)]
for name, data, T in trials:
    for variance in ("small", "large"):
        case = (name, T, variance)
        density[case] = density_of_data(data, cosine(T), variance, coarse)
        bound_of[case] = above_entropy(data, cosine(T), variance)
        kl_of[case] = kl_of_model(data, density[case])
        print(f"{name:10}, T = {T:3}, {variance}: nats above the entropy: "
              f"bound {bound_of[case]:.3f}, the model itself {kl_of[case]:.4f}")

# %% tags=["figure"]
# draws the picture below
from diffusion_lab.view.plots import curves

BROWN = "#8B5A2B"
fig, (left, right) = figure(columns=2, width=8.6, height=3.1, width_ratios=[1.7, 1])
small, large = ("two peaks", 10, "small"), ("two peaks", 10, "large")
lines = [
    (coarse, two.log_prob(coarse[:, None]).exp(), "data", "data"),
    (coarse, density[small], "model", "model with $\\tilde\\beta$"),
]
curves(left, lines, "$x_0$", "density", "what the two models make, in 10 steps", xlim=(-2.2, 2.2),
       ylim=(0, 1.35))
left.plot(coarse, density[large], color=BROWN, linestyle=":", linewidth=2.4, label="model with $\\beta$")
left.legend(loc="upper center")
bars = [bound_of[small], bound_of[large], kl_of[small], kl_of[large]]
drawn_bars = right.bar([0, 1, 2.6, 3.6], bars, color=[ORANGE, BROWN] * 2)
right.bar_label(drawn_bars, fmt="%.2f")
right.set_xticks([0, 1, 2.6, 3.6], ["$\\tilde\\beta$", "$\\beta$", "$\\tilde\\beta$", "$\\beta$"])
right.set(ylim=(0, 0.7), ylabel="nats above the entropy", title="the bound         the model")
show(
    fig,
    alt="Left two peaks of the data; the model with the small variance lies nearly on them, that "
    "with the large one is wider. Right bars: bound 0.56 and 0.28, model 0.02 and 0.08.",
)

# %% [markdown]
# **Figure D1.** Two models of two narrow peaks. The bound prefers $\beta$ by far; what the models make says the opposite.
#
# The bound compares whole chains. With $\tilde\beta$ the *chains* are too narrow, and the bound charges for it; the data that
# comes out of them is nearly right. So a loose bound is no bad model, and of two models the one with the worse bound may be
# the better one. Which variance is better in few steps depends on the data: for one broad Gaussian it is $\beta$, as the
# lines above say. In a hundred steps neither matters to the samples. The bound with $\tilde\beta$ is another matter: it stays
# half a nat or so too high however many steps there are, on the cosine as on linear. With many steps their first ones multiply the
# SNR by 2, 3/2, 4/3, and these factors never come near 1.

# %% tags=["check"]
stays = {T: above_entropy(two, cosine(T), "small") for T in (10, 100, 1000)}
assert min(stays.values()) > 0.4
print("two peaks, small:", ", ".join(f"T = {T:,} {value:.2f}" for T, value in stays.items()))
print("SNR at t = 1, 2, 3 of 1,000:", [round(value) for value in cosine(1000).snr[1:4].tolist()])

# %% tags=["claim"]
# checks what the text and the caption say
assert [round(value, 2) for value in bars] == [0.56, 0.28, 0.02, 0.08]
assert kl_of["two peaks", 100, "large"] < kl_of["two peaks", 100, "small"] < 0.004
assert kl_of["N(0, 0.25)", 10, "large"] < 0.01 < 0.03 < kl_of["N(0, 0.25)", 10, "small"]
assert cosine(1000).snr[1] > 2 * cosine(1000).snr[2] > 3 * cosine(1000).snr[3]

# %% [markdown]
# ### Deeper: a spoiled model, in code
#
# The next section asks what a wrong answer costs. Here it is computed: confidence multiplies the log-odds, lean shifts them.
# In notebook 01, too sure was the expensive side. Here it is the cheap one: the logarithm of a probability has no ceiling, a
# squared error has.

# %% tags=["check"]
def spoiled(confidence, lean):
    """Step terms of a wrong answer, and what it adds to them; t = 2…T, bits."""
    snr = schedule.snr
    half_gain = ((snr[1:-1] - snr[2:]) / 2)[:, None]
    h = half_log_odds(snr[2:])
    terms = []
    added = []
    for sign in (1, -1):  # the two sides of the coin
        answer = torch.tanh(confidence * h + sign * lean)
        terms.append(half_gain * (1 - answer) ** 2 @ weight_z / LOG_2)
        added.append(half_gain * (torch.tanh(h) - answer) ** 2 @ weight_z / LOG_2)
    return torch.stack(terms).mean(dim=0), torch.stack(added).mean(dim=0)


for confidence, lean in ((1.0, 0.0), (2.0, 0.0), (0.5, 0.0), (1.0, 1.0), (3.0, -0.7)):
    terms, added = spoiled(confidence, lean)
    assert torch.allclose(terms, steps + added, atol=1e-9)
print("a wrong answer costs what the exact one costs, plus the KL between their steps")


# %% [markdown]
# ## 5 · Why a regression is enough
#
# A network's answers will be wrong. What does that cost, and can it ever pay?
#
# **Try it: spoil the model.** Make its answers too sure, too timid, or biased towards one side. Is it worse to be twice as
# sure as you should be, or half as sure? Can you bring the bill below that of the exact denoiser?

# %% tags=["figure"]
# draws the picture below
from diffusion_lab.view.frames import painter


def spoiled_picture():
    """Draws bars of the step terms and the bill, for a spoiled model."""
    fig, (left, right) = figure(columns=2, width=8.6, height=3.2, width_ratios=[2.4, 1])
    hatched = {"color": ORANGE, "hatch": "//", "edgecolor": "white"}
    new = {"color": "white", "hatch": "xxx", "edgecolor": BLACK}
    left.bar(times, price, color=BLUE, label="price")
    left.bar(times, excess, bottom=price, label="excess of the exact denoiser", **hatched)
    extra = left.bar(times, 0 * times + 1e-9, bottom=steps, label="added by the wrong answer", **new)
    left.set(xlim=(21, 0.5), ylim=(0, 0.45), xlabel="t", ylabel="bits", title=" ")
    left.set_xticks([20, 15, 10, 5])
    left.legend(loc="upper left")
    right.bar([0], [1], color=BLUE)
    right.bar([0], [bound - 1], bottom=1, **hatched)
    tower = right.bar([0], [1e-9], bottom=bound, **new)
    right.axhline(1, **ROLES["exact"], label="one bit")
    right.set(xlim=(-0.8, 0.8), ylim=(0, 3), xticks=[], ylabel="bits", title=" ")
    right.legend(loc="upper left")
    paint = painter(fig, [*extra, *tower, left.title, right.title])

    def draw(confidence, lean):
        _, added = spoiled(confidence, lean)
        for bar, height in zip(extra, added.tolist()):
            bar.set_height(height)
        tower[0].set_height(added.sum().item())
        left.title.set_text(f"added in all: {added.sum():.2f} bits")
        right.title.set_text(f"the bound: {bound + added.sum():.2f} bits")
        return paint()

    return draw


Live(
    spoiled_picture(),
    caption="Confidence multiplies the log-odds of the answer, lean shifts them. Blue and orange: the bill of the exact "
    "denoiser, as in Figure 4. Black: what the wrong answer adds, the average KL between the two models' steps.",
    alt="Bars of the step terms over t, blue with orange tops and cross-hatched bars above them, and "
    "beside them one tower, the whole bound.",
    confidence=widgets.FloatLogSlider(value=0.5, base=2, min=-3, max=3, step=0.25,
                                      description="confidence"),
    lean=widgets.FloatSlider(value=0.4, min=0, max=3, step=0.1, description="lean"),  # ± are alike
)

# %% [markdown]
# Twice as sure costs 0.08 bits more, half as sure 0.14. A squared error has a ceiling: the answer is off by at most 2.
#
# And nothing goes below the bill of the exact denoiser, by Pythagoras: $\hat x_0$ is the mean of $x_0$ given $x_t$, so the
# squared error of another answer is that of $\hat x_0$, plus its own squared distance from $\hat x_0$. That, weighted as in
# (4), is the KL between the *steps* of the two models, averaged over $q(x_t)$.
#
# > **The third sentence, with its reason.** With steps and widths fixed, the bound is a constant plus the squared distance of the
# > denoiser from $\mathbb E[x_0\mid x_t]$, weighted over $t$. So the bound and a regression have the same best denoiser.

# %% tags=["claim"]
# checks what the text says
assert abs(spoiled(2.0, 0.0)[1].sum() - 0.08) < 0.005
assert abs(spoiled(0.5, 0.0)[1].sum() - 0.14) < 0.005
assert 7 <= steps.argmax() + 2 <= 9

# %% [markdown]
# ## 6 · Infinitely many steps
#
# The excess comes from large steps. So make them small.

# %% tags=["check"]
excess_of = {T: (coin_bound(cosine(T)) - 1).item() for T in (20, 200, 2000)}
for T, value in excess_of.items():
    print(f"T = {T:5,}: the bound is {value:.4f} bits above the entropy")
assert all(8 < excess_of[T] / excess_of[10 * T] < 13 for T in (20, 200))

# %% [markdown]
# Ten times as many steps, a tenth of the excess. To see why, look at (4) once more. Each term is a rectangle, of *width*
# $\mathrm{SNR}_{t-1}-\mathrm{SNR}_t$ and *height* half the error. The area of ever narrower rectangles is an integral (Kingma
# et al. 2021, eq. 18):
#
# $$ \sum_{t=2}^T L_{t-1} \;\longrightarrow\; \frac12 \int_{\mathrm{SNR}_T}^{\mathrm{SNR}_1} \mathrm{mse}\; d\,\mathrm{SNR}
#    = \frac12 \int_{\log\mathrm{SNR}_T}^{\log\mathrm{SNR}_1} \mathrm{SNR}\cdot\mathrm{mse}\;\, d\log\mathrm{SNR} \tag{7} $$
#
# *There is no $t$ in it.* The error depends on how much noise there is, not on when the chain arrives there. A schedule is
# only a timetable, and two of them with the same ends have the same bound.
#
# That is true where the steps get short, and the first few never do: from $t=2$ to $t=1$ the SNR at least doubles, however many steps you take.
# For the coin, long settled there, they cost nothing; for pixels they will (notebook 08).

# %% tags=["check"]
area = {}
for name, chain in (("linear", linear(4000)), ("cosine", cosine(4000))):
    area[name] = coin_bound(chain).item()
    print(f"{name}, 4,000 steps: {area[name]:.2f} bits")
log_snr = torch.linspace(-14, 6, 2001, dtype=torch.float64)
rate = log_snr.exp() * mse(log_snr.exp()) / 2 / LOG_2  # bits per unit of log SNR
integral = torch.trapezoid(rate, log_snr)
print(f"the integral (7): {integral:.4f} bits; the entropy: 1 bit")
assert abs(integral - 1) < 1e-4
assert abs(area["linear"] - area["cosine"]) < 2e-3

# %% tags=["figure"]
# draws the picture below
LOOKS = {"linear": {"color": "#CC79A7", "linestyle": "-", "linewidth": 2.6},
         "cosine": {"color": "#009E73", "linestyle": (0, (6, 1.5)), "linewidth": 2.6}}
fig, (left, right) = figure(columns=2, width=8.6, height=3.1)
over_time = np.arange(2, 1001) / 1000
for name, chain in (("linear", linear(1000)), ("cosine", cosine(1000))):
    terms = coin_steps(chain)
    left.plot(over_time, 1000 * terms, label=name, **LOOKS[name])
    left.fill_between(over_time, 1000 * terms, color=LOOKS[name]["color"], alpha=0.12)
    log_snr_t = chain.log_snr[1:]
    right.plot(log_snr_t[1:], terms / -log_snr_t.diff(), label=name, **LOOKS[name])
right.fill_between(log_snr_t[1:], terms / -log_snr_t.diff(), color=GREY, alpha=0.15)
left.set(xlabel="t / T", ylabel="bits per unit of t / T", xlim=(1, 0), title="over time")
right.set(xlabel="log SNR", ylabel="bits per unit of log SNR", xlim=(-9, 6), title="over the noise level")
left.text(0.62, 0.5, "1 bit", ha="center", fontsize=12, color="#00734F")
left.text(0.215, 1.9, "1 bit", ha="center", fontsize=12, color="#A0527F")
right.text(0.2, 0.08, "1 bit", ha="center", fontsize=12)
left.legend()
right.legend()
show(
    fig,
    alt="Left two different hills over time, linear late in the walk and sharp, cosine in the middle. "
    "Right the same two over log SNR: one hill, the curves lie on each other.",
)

# %% [markdown]
# **Figure 5.** The same coin, two schedules. Left: each charges at its own time. Right: per unit of log SNR there is one
# curve, of area one bit.
#
# So, your predictions. 1: more. 2: in the middle. 3: yes; in the limit, no.
#
# **Try it: bend the schedule.** With eight noise levels, which bend is best? With 256, which of the two pictures changes?

# %% tags=["figure"]
# draws the picture below
def bent_picture():
    """Draws the cost over time and the rectangles over log SNR, for T states and a bend."""
    fig, (left, right) = figure(columns=2, width=8.6, height=3.2)
    over_time = left.stairs([0, 0], [0, 0.5, 1], color=ORANGE, linewidth=1.8)
    left.set(xlim=(1, 0), ylim=(0, 12), xlabel="t / T", ylabel="bits per unit of t / T", title=" ")
    stairs = right.stairs([0, 0], [-5, 0, 5], color=ORANGE, linewidth=1.8, label="the sum")
    right.plot(log_snr, rate, **ROLES["exact"], label="the integral")
    right.set(xlim=(-5.5, 5.5), ylim=(0, 1), xlabel="log SNR", title=" ")
    right.set_ylabel("bits per unit of log SNR")
    right.legend(loc="upper left")
    right.text(0.2, 0.08, "1 bit", ha="center", fontsize=12)
    paint = painter(fig, [over_time, stairs, left.title, right.title])

    def draw(T, bend):
        u = torch.linspace(0, 1, T, dtype=torch.float64)
        log_snr_t = 5 - 10 * u ** (2**bend)
        snr = log_snr_t.exp()
        terms = (snr[:-1] - snr[1:]) * mse(snr[1:]) / 2 / LOG_2
        ends = unknown(snr[0]) + torch.log1p(snr[-1]) / 2 / LOG_2
        over_time.set_data(terms * (T - 1), u.numpy())
        stairs.set_data((terms / -log_snr_t.diff()).flip(0), log_snr_t.flip(0).numpy())
        left.title.set_text("what is charged when")
        right.title.set_text(f"T = {T}: bound {terms.sum() + ends:.3f} bits")
        return paint()

    return draw


Live(
    bent_picture(),
    caption="T noise levels from log SNR 5 to -5; bend > 0 spends more of them near the data, bend < 0 "
    "near the noise. Dashed: infinitely many.",
    alt="Left a stepped line over time, right rectangles over log SNR above a dashed hill.",
    T=widgets.SelectionSlider(options=[8, 16, 32, 64, 128, 256], value=8, description="T"),
    bend=widgets.FloatSlider(value=0.5, min=-1, max=1, step=0.1, description="bend"),
)

# %% [markdown]
# With eight, even spacing in log SNR is about the best *of these bends*; with 256 they agree to a hundredth of a bit. A
# schedule chooses where a few steps lie, and how noisy an estimate is that draws $t$ at random (exercise 4). It does not
# choose the bill.

# %% tags=["claim"]
# checks what the text says
def bent(T, bend):
    levels = (5 - 10 * torch.linspace(0, 1, T, dtype=torch.float64) ** (2**bend)).exp()
    terms = (levels[:-1] - levels[1:]) * mse(levels[1:]) / 2 / LOG_2
    return (terms.sum() + unknown(levels[0]) + torch.log1p(levels[-1]) / 2 / LOG_2).item()


assert 1 < bent(256, 0) < bent(64, 0) < bent(16, 0) < bent(8, 0)
assert max(bent(256, bend) for bend in (-1, -0.5, 0.5, 1)) - bent(256, 0) < 0.01
assert all(bent(8, bend) > bent(8, 0) for bend in (-1, -0.5, -0.2, 0.2, 0.5, 1))
for ends in (linear(1000).snr[[1, -1]], cosine(1000).snr[[1, -1]]):
    assert unknown(ends[0]) < 1e-4
    assert unknown(ends[1]) > 1 - 1e-4
assert all(1.9 < chain.snr[1] / chain.snr[2] < 2.2 for T in (1000, 4000) for chain in (linear(T), cosine(T)))

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
# ### Deeper: the error of a pixel's best denoiser
#
# A pixel of our training digits has 256 greys, with frequencies that we count. By Bayes' rule each grey gets a weight, as in
# notebook 03, and the average over the noise is a sum over the 20 nodes of a Gauss-Hermite rule.
#
# For a grey that could be anything, a unit of log SNR costs $1/(2\log2) = 0.72$ bits, which is *one bit for each halving of
# the noise*. Most pixels are plain black and pay nothing there, so the plateau in the next figure is low.

# %% tags=["check"]
nodes, node_weight = np.polynomial.hermite_e.hermegauss(20)
nodes = torch.from_numpy(nodes)
node_weight = torch.from_numpy(node_weight / node_weight.sum())


def mse_of_pixel(frequency, snr):
    """E(x_0 - x̂_0)² of the exact denoiser of a pixel with these frequencies of its 256 greys."""
    x = pixels[frequency > 0]
    q = frequency[frequency > 0]
    y = snr * x[:, None] + snr**0.5 * nodes  # for each grey and noise
    r = torch.softmax(q.log() + y[..., None] * x - snr * x**2 / 2, dim=-1)
    return q @ ((x[:, None] - r @ x) ** 2 @ node_weight)


log_snr_pixel = torch.linspace(-9, 14, 93, dtype=torch.float64)
frequency = counts / counts.sum()
frequency = torch.where(frequency > 1e-5, frequency, 0.0)
frequency = frequency / frequency.sum()
entropy_pixel = -torch.xlogy(frequency, frequency).sum() / LOG_2
in_nats = [snr * mse_of_pixel(frequency, snr) / 2 for snr in log_snr_pixel.exp()]
rate_pixel = torch.stack(in_nats) / LOG_2
area_pixel = torch.trapezoid(rate_pixel, log_snr_pixel)
print(f"a pixel: area {area_pixel:.2f} bits, entropy {entropy_pixel:.2f} bits")
assert abs(area_pixel - entropy_pixel) < 2e-3
for start in (4, 6, 8):
    beyond = log_snr_pixel >= start
    share = torch.trapezoid(rate_pixel[beyond], log_snr_pixel[beyond]) / area_pixel
    greys = 127.5 * math.exp(-start / 2)
    print(f"beyond log SNR {start}, noise of {greys:.0f} greys: {share:.0%} of the bits")

# %% [markdown]
# ### One pixel of a digit
#
# And a real digit? Take one of its pixels, with the frequencies of its 256 greys; Figure 1 has a bar for it. The closed section
# above computes the error of its best denoiser: no coding, no counting. The area is 1.98 bits, the entropy again.

# %% tags=["figure"]
# draws the picture below
fig, ax = figure(width=7.6, height=3.0)
ax.plot(log_snr_pixel, rate_pixel, color=BLUE, label="a pixel of a digit")
ax.fill_between(log_snr_pixel, rate_pixel, color=BLUE, alpha=0.15)
ax.plot(log_snr, rate, color=GREY, linestyle=":", label="the coin")
ax.axvline(math.log(255**2), color=BLACK, linewidth=1)
ax.text(math.log(255**2) - 0.15, 0.235, "noise as large as half a grey step", ha="right")
ax.text(0.1, 0.04, "ink or paper?", ha="center")
ax.text(7, 0.04, "which grey exactly?", ha="center")
ax.set(xlabel="log SNR", ylabel="bits per unit of log SNR", xlim=(-9, 14), ylim=(0, None))
ax.legend(loc="upper left")
show(
    fig,
    alt="A hill at log SNR 0, then a plateau that goes on up to log SNR 12 and drops to 0; the coin's "
    "hill for comparison ends at 4.",
)

# %% [markdown]
# **Figure 6.** Where the bits of a pixel are. First the coarse question is settled, as for the coin. Then a long plateau, until
# the noise is finer than a grey step. About a third of all the bits, those beyond log SNR 7, settle differences of a few
# greys in 256, finer than an eye sees.

# %% tags=["claim"]
# checks what the caption says
unseen = log_snr_pixel >= 7
assert 0.3 < torch.trapezoid(rate_pixel[unseen], log_snr_pixel[unseen]) / area_pixel < 0.38
assert abs(entropy_pixel - bits["histogram"]) < 0.05
assert abs(area_pixel - 1.98) < 0.005

# %% [markdown]
# ## 7 · From the bound to the loss that everybody trains
#
# Networks are often asked for the noise. One that answers $\hat\varepsilon$ means
# $\hat x_0 = (x_t - \sqrt{1-\bar\alpha_t}\,\hat\varepsilon)/\sqrt{\bar\alpha_t}$. The true $x_0$ and $\varepsilon$ are related
# alike; subtract, and $\|\varepsilon-\hat\varepsilon\|^2 = \mathrm{SNR}_t\,\|x_0-\hat x_0\|^2$. Put this into (4):
#
# $$ L_{t-1} = w_t\;\mathbb E_q\,\|\varepsilon - \hat\varepsilon\|^2, \qquad w_t = \frac12\Big(\frac{\mathrm{SNR}_{t-1}}{\mathrm{SNR}_t} - 1\Big)
#    \;\approx\; \frac12\,\big(\log\mathrm{SNR}_{t-1}-\log\mathrm{SNR}_t\big) \tag{8} $$
#
# The ≈ is $u - 1\approx\log u$ for $u$ near 1, that is, for short steps. Ho et al. drop $w_t$, and train
# $L_{\text{simple}} = \mathbb E\,\|\varepsilon-\hat\varepsilon\|^2$ with $t$ drawn evenly (eq. 14). By (8) the bound wants
# *every unit of log SNR to count alike*. $L_{\text{simple}}$ counts every *step* alike, so a noise level counts as much as the
# schedule dwells on it. The timetable becomes the weight.

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
# draws the picture below
fig, ax = figure(width=7.6, height=3.0)
ax.axvspan(-4, 4, color=BLUE, alpha=0.08, linewidth=0)
ax.text(0, 0.225, "the shape of a picture", ha="center", color=BLUE)
ax.text(7.2, 0.225, "fine grain", ha="center", color=GREY)
ax.text(-7.2, 0.225, "nothing to see yet", ha="center", color=GREY)
for name, chain in (("linear", linear(1000)), ("cosine", cosine(1000))):
    log_snr_t = chain.log_snr[1:]
    middle = (log_snr_t[1:] + log_snr_t[:-1]) / 2
    dwell = 1 / (-log_snr_t.diff() * 1000)
    ax.plot(middle, dwell, label=f"$L_{{simple}}$, {name}", **LOOKS[name])
ax.axhline(0.05, **ROLES["exact"], label="the bound (its height is free)")
ax.set(xlabel="log SNR", ylabel="weight of the error in ε", xlim=(-10, 10), ylim=(0, 0.25))
ax.legend(loc="center right")
show(
    fig,
    alt="Two hills over log SNR, the cosine's near 0 and the linear schedule's further to the left, "
    "and a flat dashed line: the bound.",
)

# %% [markdown]
# **Figure 7.** How much an error in $\varepsilon$ counts at each noise level. Twice a loss has the same minimum, so compare
# shapes, not heights. The cosine looks most where the shape of a picture is decided; the linear schedule takes half its
# steps below a log SNR of $-2.5$. Ho et al. report better pictures, and a slightly worse likelihood.

# %% tags=["claim"]
# checks what the caption says
assert abs(linear(1000).log_snr[1:].median() + 2.5) < 0.05
assert (cosine(1000).log_snr[1:].abs() < 4).double().mean() > 0.8
assert max((chain.log_snr[1:] > 4).double().mean() for chain in (linear(1000), cosine(1000))) < 0.1

# %% [markdown]
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
# ### Exercise 1 (core): the bound in two steps
#
# Take $T = 2$ and one chain $x_0, x_1, x_2$, whose seven logarithms you are given. Write down what stands in the brackets on
# the right of (2), and the parts of (3) before any averaging, with $\log q/p$ in place of each KL. Do the two agree on
# average, or for each chain?

# %% tags=["exercise"]
def two_steps(q_1, q_2, q_2_given_1, q_1_given_2, p_2, p_1_given_2, p_0_given_1):
    """The brackets of (2), and the parts L_T, L_1, L_0 of (3): four results, float64 (n,).

    All float64 (n,), logarithms: q_1 and q_2 of q(x_1 given x_0) and q(x_2 given x_0); q_2_given_1
    of the forward step; q_1_given_2 of q(x_1 given x_2 and x_0); p_… of the model.
    """
    raise NotImplementedError


# %% tags=["check"]
elbo.check_two_steps(two_steps)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# The brackets of (2) need the forward steps, `q_1` and `q_2_given_1`. In (3) the second of them is replaced, by Bayes:
# `q_2_given_1 = q_1_given_2 + q_2 - q_1`.
# </details>
#
# <details><summary>Solution</summary>
#
# $-p_2 - (p_{1|2} - q_{2|1}) - (p_{0|1} - q_1)$; put Bayes in, and $q_1$ cancels. So they agree for each chain, before any
# average: turning the steps around loses nothing.
#
# ```python
# def two_steps(q_1, q_2, q_2_given_1, q_1_given_2, p_2, p_1_given_2, p_0_given_1):
#     brackets = -p_2 - (p_1_given_2 - q_2_given_1) - (p_0_given_1 - q_1)
#     return brackets, q_2 - p_2, q_1_given_2 - p_1_given_2, -p_0_given_1
# ```
# </details>

# %% [markdown]
# ### Exercise 2 (core): derive the rate
#
# A chain runs in continuous time $u$ from data to noise; its log SNR falls with the slope $d\log\mathrm{SNR}/du < 0$. Let the
# step in (4) shrink: what does the bound cost *per unit of $u$*, in terms of the mean square error of $x_0$, and of that of
# $\varepsilon$?

# %% tags=["exercise"]
def cost_rates(log_snr, slope, mse_x_0, mse_eps):
    """Nats per unit of time, from the error of x_0, and from that of ε: two results.

    slope: the derivative of log_snr by u, negative; mse_x_0, mse_eps: errors. All float64 (n,).
    """
    raise NotImplementedError


# %% tags=["check"]
elbo.check_cost_rates(cost_rates)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# A short step of length $du$ has $\mathrm{SNR}_{t-1}-\mathrm{SNR}_t = -\frac{d\,\mathrm{SNR}}{du}\,du$, and $d\,\mathrm{SNR} =
# \mathrm{SNR}\;d\log\mathrm{SNR}$.
# </details>
#
# <details><summary>Solution</summary>
#
# By the chain rule $d\,\mathrm{SNR}/du$ is SNR times the slope, so the rate is $-\tfrac12\,\mathrm{SNR}\cdot\text{slope}\cdot\mathrm{mse}$.
# The error of $\varepsilon$ is SNR times that of $x_0$, so from it the rate is $-\tfrac12\,\text{slope}\cdot\mathrm{mse}_\varepsilon$.
# And slope times $du$ is $d\log\mathrm{SNR}$: integrated over $u$, the timetable cancels.
#
# ```python
# def cost_rates(log_snr, slope, mse_x_0, mse_eps):
#     return -0.5 * log_snr.exp() * slope * mse_x_0, -0.5 * slope * mse_eps
# ```
# </details>

# %% [markdown]
# ### Exercise 3 (hard): build an estimator
#
# Estimate the sum of a thousand step terms (4) from *one* call of the denoiser: for each example draw a time $t$ from
# $2\dots T$, every time alike, and a noise; return a number whose average is that sum.

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
# ### Exercise 4 (hard): which times to draw?
#
# Draw time $t$ with a chance $p_t$ of your own, and divide its term by $p_t$ in place of multiplying it by $T-1$. The average
# stays; the variance does not. For 784 coins, here are the average and the average *square* of the term at each $t$. Get the
# variance below a tenth of what even chances give. One's first idea is not good enough.

# %%
chain = cosine(100)
half_gain = (chain.snr[1:-1] - chain.snr[2:]) / 2
coin_error = 1 - torch.tanh(half_log_odds(chain.snr[2:]))  # x_0 - x̂_0; "@ weight_z" averages it
mean_term = half_gain * (coin_error**2 @ weight_z)  # of one coin
var_term = half_gain**2 * (coin_error**4 @ weight_z) - mean_term**2
mean_terms = 784 * mean_term
mean_squares = mean_terms**2 + 784 * var_term


def variance_of(p):
    """Variance of a one-call estimate that draws t = 2…T with the chances p."""
    return torch.where(mean_squares > 0, mean_squares / p, 0.0).sum() - mean_terms.sum() ** 2


even = torch.full((99,), 1 / 99, dtype=torch.float64)
print(f"the sum: {mean_terms.sum():.0f} nats; "
      f"one draw with even chances: ± {variance_of(even) ** 0.5:.0f}")


# %% tags=["exercise"]
def chances(mean_terms, mean_squares):
    """The chance of each t = 2…T: float64 (T-1,), sum 1, positive where mean_squares is."""
    raise NotImplementedError


# %% tags=["check"]
elbo.check_chances(chances)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# You want $\sum s_t/p_t$ small while $\sum p_t = 1$, with $s_t$ the mean squares. Lagrange or Cauchy & Schwarz says which
# power of $s_t$ it is.
# </details>
#
# <details><summary>Solution</summary>
#
# $\sum s_t/p_t$ is smallest for $p_t \propto \sqrt{s_t}$. Chances in proportion to the mean terms come to mind first. They
# hardly ever draw the times near the data, where nearly every coin is clear and costs nothing, but the rare doubtful one
# costs a lot. A network's squares are not known beforehand: Nichol & Dhariwal (2021, section 3.3) keep the last ten of each $t$.
#
# ```python
# def chances(mean_terms, mean_squares):
#     return mean_squares.sqrt() / mean_squares.sqrt().sum()
# ```
# </details>

# %% [markdown]
# ### Exercise 5 (core): what follows from a bound?
#
# Which of these sentences follow? The bound is on the average of $-\log_2 p$ over images; H is the entropy of the data.
# Return the letters, as in `{"A", "C"}`.
#
# - **A** "Our bound is 1.1 bits per dimension, theirs 1.3. So our model gives the images a higher likelihood."
# - **B** "Our bound is 1.1; xz needs 1.5 for the same images. So our average $-\log_2 p$ is below that."
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
# bound less H. A compares two roofs; theirs may be looser (Figure D1 has such a pair). C: the bound
# counts every bit alike, and about a third of a pixel's bits settle greys that no eye can tell apart (Figure 6). E: the sum falls
# with smaller steps while the denoiser stays as it is.
#
# ```python
# def which_follow():
#     return {"B", "D"}
# ```
# </details>

# %% [markdown]
# ### Exercise 6 (core): find the faults
#
# The prior term in bits per dimension, by log-variances. Write it without its three faults, which have stood in public
# code.
#
# ```python
# def normal_kl(mean_1, log_var_1, mean_2, log_var_2):
#     return 0.5 * (-1 + log_var_1 - log_var_2 + (log_var_1 - log_var_2).exp()
#                   + (mean_1 - mean_2) ** 2 * (-log_var_2).exp())
#
# def prior_bits(x_0, alpha_bar_T):
#     mean = alpha_bar_T**0.5 * x_0
#     log_var = x_0.new_tensor(1 - alpha_bar_T)
#     zero = x_0.new_tensor(0.0)
#     nats = normal_kl(mean, log_var, zero, zero)
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
# Treating $t = 1$ like any other step. The SNR at $t = 0$ is infinite, and so is the weight of the first term. The loss is
# `inf` or `nan`. The fix: steps from 2 on, then a decoder.

# %%
first = (schedule.snr[:-1] - schedule.snr[1:]) / 2  # wrong: it begins with t = 1
print("wrong: weights from t = 1:", [round(value, 1) for value in first[:3].tolist()])
print("right: weights from t = 2:", [round(value, 1) for value in first[1:4].tolist()],
      "and the decoder for t = 1")

# %% tags=["claim"]
# checks what the text says
assert first[0] == math.inf
assert first[1:].isfinite().all()

# %% [markdown]
# ## Summary
#
# - $-\log p(x_0)$ is at most prior term + step terms + reconstruction term.
# - A step term is ½ × gain in SNR × error: a price and an excess. The prices add up to the entropy.
# - A loose bound may belong to a perfect model.
# - The best answer is $\mathbb E[x_0\mid x_t]$; a wrong one adds the average KL between the steps.
# - In small steps the bound is $\tfrac12\int\mathrm{mse}\,d\,\mathrm{SNR}$, whatever the schedule.
# - $L_{\text{simple}}$ counts every step alike; so the schedule becomes the weight.
#
# From now on: `from diffusion_lab.theory.elbo import kl_prior, kl_t, nll_recon, elbo_terms, bits_per_dim`.
#
# ## Check yourself
#
# <details><summary>The denoiser is exact. Why is the bound in 20 steps still above the entropy?</summary>
#
# The model's steps are too narrow, and Gaussian. The coin that comes out is fair all the same.
# </details>
#
# <details><summary>The prior term is the same for every model. Why is it in the bound?</summary>
#
# It pays for starting from pure noise although $x_T$ still knows a little about $x_0$.
# </details>
#
# <details><summary>A paper reports a negative bound in nats. Is that a mistake?</summary>
#
# Not for continuous data, whose densities exceed 1. For the 256 greys of a pixel, which have probabilities, it is.
# </details>
#
# ## Further reading
#
# - Ho, Jain & Abbeel (2020), sections 2 and 3; appendix A derives their eq. 5.
# - Kingma et al. (2021), *Variational Diffusion Models*: eq. 13 is our (4), eq. 18 our (7).
# - Kingma & Gao (2023), *Understanding Diffusion Objectives as the ELBO*: every usual loss as a weight over log SNR.
# - MacKay (2003), *Information Theory, Inference, and Learning Algorithms*, chapter 5: why bits.
# - Theis et al. (2016), *A note on the evaluation of generative models*.
#
# ## Next
#
# Notebook 05 replaces the exact denoiser by a network, and trains it. Notebook 08 fills in the last bar of Figure 1.
