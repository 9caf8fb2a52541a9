# %% [markdown]
# # Train a network to undo the noise
#
# So far the denoiser was given: for a mixture of Gaussians it is a formula. For photographs nobody has a formula, and a
# network must learn it from examples. In this notebook you train your first one, on points in the plane, where the
# formula is still there to judge the network by.
#
# You will be able to
#
# - **compute** a gradient with autograd, and check it,
# - **convert** between the four things a network may predict: $\varepsilon$, $x_0$, $v$ and the score,
# - **build** a network that knows the time, and train it,
# - **tell** from theory how low the loss can go, and see whether yours gets there,
# - **explain** why one big step gives a blur, and why a perfect denoiser of a training set is useless.
#
# **You need** notebook 02 (the jump), notebook 03 (`ddpm`, the exact denoiser). **Time to read** 70 minutes · **to run**
# about a minute. **Paper sections**: Ho et al. 2020, sections 3.2 and 3.4, appendix B; Salimans & Ho 2022, section 4.
#
# ## Set-up
#
# One cell of imports, and then the data: six round clouds on a ring, of very different weight. Figure 1 shows them at
# three times of the chain. Its arrows are the **score** $\nabla\log q(x_t)$: from each place, the direction in which the
# density rises fastest. The network of this notebook will have to find these arrows, at all 1,000 times, from samples
# alone.

# %%
from time import perf_counter

import numpy as np
import torch
from torch import nn

from diffusion_lab.exercises.denoiser import (
    check_eps_from_v,
    check_from_memory,
    check_gradient,
    check_training_example,
)
from diffusion_lab.sampling.chain import last, spaced
from diffusion_lab.sampling.ddpm import ddpm
from diffusion_lab.theory.denoiser import Denoiser
from diffusion_lab.theory.forward import q_sample
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.schedule import at, cosine
from diffusion_lab.view.frames import beside, drawn, with_marker
from diffusion_lab.view.plots import clouds, curves
from diffusion_lab.view.scrubber import Scrubber
from diffusion_lab.view.show import show
from diffusion_lab.view.style import POINTS, ROLES, figure

torch.set_num_threads(1)  # the network is small: more threads would only wait for each other
generator = torch.Generator().manual_seed(0)
schedule = cosine()

# %%
angle = torch.arange(6, dtype=torch.float64) * torch.pi / 3
centres = 1.35 * torch.stack([angle.cos(), angle.sin()], dim=1)
data = GaussianMixture([0.25, 0.05, 0.2, 0.15, 0.25, 0.1], centres, [0.03] * 6)
places = torch.cartesian_prod(*[torch.linspace(-2.4, 2.4, 13, dtype=torch.float64)] * 2)

# %% tags=["figure"]
fig, axes = figure(columns=3, width=8.4, height=3.1)
for ax, t in zip(axes, (1, 300, 700)):
    q_t = data.marginal(t, schedule)
    score = q_t.score(places)
    arrows = score / score.norm(dim=1).max()
    ax.scatter(*q_t.sample(600, generator).T, **POINTS["data"])
    ax.quiver(*places.T, *arrows.T, color="black", scale=9, width=0.005)
    ax.set(title=f"t = {t}", xlim=(-2.6, 2.6), ylim=(-2.6, 2.6), aspect="equal")
show(fig, alt="Three clouds of points with arrows: "
               "six blobs with arrows to each, then blurred, then one round cloud.")

# %% [markdown]
# **Figure 1.** The axes are the two coordinates of a point. Blue: draws of $q(x_t)$. Arrows: the exact score, each panel
# with a scale of its own. Early in the chain each arrow points to the nearest cloud; at $t = 300$ the clouds have
# melted into a ring; late, all arrows point to the middle.
#
# ## Predict first
#
# A network sees a noisy point and guesses what was added to it. Its loss is the mean square of its error. With a
# network as large as you like, and as much data and time as you like, will the loss go to 0? If not, to what?
# (From section 2 on we ask for $v$, a mixture of noise and data; the answer is of the same kind.)
#
# ## 1 · Tensors and autograd in ten lines
#
# A **tensor** is an array of numbers that can remember how it was computed. If you set `requires_grad=True`, each
# operation is recorded, and `loss.backward()` walks the record backwards by the chain rule: it puts the slope of the
# loss with respect to `w` into `w.grad`. That is **autograd**, and it is all that training needs. Below is a loss with
# one weight, its slope by autograd, and the same slope twice more: by hand, and by moving $w$ a little both ways.

# %% tags=["check"]
x = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
y = torch.tensor([2.0, 3.0, 7.0], dtype=torch.float64)
w = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
loss = ((w * x - y) ** 2).mean()
loss.backward()
by_hand = (2 * x * (1.5 * x - y)).mean()
up, down = (((u * x - y) ** 2).mean() for u in (1.5 + 1e-5, 1.5 - 1e-5))
after_a_step = (((w - 0.05 * w.grad) * x - y) ** 2).mean()
assert abs(w.grad - by_hand) < 1e-12
assert abs(w.grad - (up - down) / 2e-5) < 1e-8
print(f"loss {loss:.4f}, slope {w.grad:.4f}, after a step downhill {after_a_step:.4f}")

# %% [markdown]
# Compute the loss anew and call `backward` again, and the new slope is *added* to `w.grad`; a training loop must clear it
# first. And the brackets stay empty:
# `loss.backward(loss)`, seen in the wild, multiplies the slope by the loss.
#
# ## 2 · Four names of one thing
#
# A noisy point is made of two parts. Write $\varepsilon$ for the noise:
#
# $$ x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\varepsilon \tag{1} $$
#
# You are given $x_t$ and $t$. If someone tells you $\varepsilon$, you can solve for $x_0$; if they tell you $x_0$, you
# can solve for $\varepsilon$. A third choice, of Salimans & Ho (2022), mixes the two the other way round:
#
# $$ v = \sqrt{\bar\alpha_t}\,\varepsilon - \sqrt{1-\bar\alpha_t}\,x_0 \tag{2} $$
#
# As $\bar\alpha_t + (1-\bar\alpha_t) = 1$, the pair $(x_t, v)$ is the pair $(x_0, \varepsilon)$ turned by an angle. The
# fourth is the score. Its tie to the others is **Tweedie's formula**, and its proof is three lines. The density of
# $x_t$ is an average of Gaussians, $q(x_t) = \int q(x_0)\,\mathcal N(x_t; \sqrt{\bar\alpha_t}x_0, (1-\bar\alpha_t) I)\,dx_0$.
# The gradient of each Gaussian is itself times $(\sqrt{\bar\alpha_t}x_0 - x_t)/(1-\bar\alpha_t)$. Divide by $q(x_t)$,
# and Bayes' rule turns the average into one over $q(x_0 \mid x_t)$:
#
# $$ \nabla\log q(x_t) = \frac{\sqrt{\bar\alpha_t}\;\mathbb E[x_0\mid x_t] - x_t}{1-\bar\alpha_t}
#    = -\frac{\mathbb E[\varepsilon\mid x_t]}{\sqrt{1-\bar\alpha_t}} \tag{3} $$
#
# In words: the score points against the expected noise. Solved for $x_0$, the equations are
# three functions; a second cell has the way back, from $x_0$ to each of the others. (The package's functions also refuse
# two tensors of different shapes, which PyTorch would stretch to fit without a word.)

# %% tags=["export:diffusion_lab.theory.parameterization"]
def x_0_from_eps(x_t, eps, t, schedule):
    """Equation (1), solved for x_0. x_t, eps: (n, …); t: int or int64 (n,)."""
    alpha_bar_t = at(schedule.alpha_bar, t, like=x_t)
    return ((x_t - (1 - alpha_bar_t).sqrt() * eps) / alpha_bar_t.sqrt()).to(x_t.dtype)


def x_0_from_v(x_t, v, t, schedule):
    """Turn (x_t, v) back by the angle of equations (1) and (2)."""
    alpha_bar_t = at(schedule.alpha_bar, t, like=x_t)
    return (alpha_bar_t.sqrt() * x_t - (1 - alpha_bar_t).sqrt() * v).to(x_t.dtype)


def x_0_from_score(x_t, score, t, schedule):
    """Tweedie's formula, equation (3), solved for x_0."""
    alpha_bar_t = at(schedule.alpha_bar, t, like=x_t)
    return ((x_t + (1 - alpha_bar_t) * score) / alpha_bar_t.sqrt()).to(x_t.dtype)


# %% tags=["export:diffusion_lab.theory.parameterization"]
def eps_from_x_0(x_t, x_0, t, schedule):
    """Equation (1), solved for ε. t from 1: at time 0 there is no noise to solve for."""
    alpha_bar_t = at(schedule.alpha_bar, t, like=x_t)
    return ((x_t - alpha_bar_t.sqrt() * x_0) / (1 - alpha_bar_t).sqrt()).to(x_t.dtype)


def v_from_x_0(x_t, x_0, t, schedule):
    """Equation (2), with ε from equation (1)."""
    alpha_bar_t = at(schedule.alpha_bar, t, like=x_t)
    return ((alpha_bar_t.sqrt() * x_t - x_0) / (1 - alpha_bar_t).sqrt()).to(x_t.dtype)


def score_from_x_0(x_t, x_0, t, schedule):
    """Equation (3)."""
    alpha_bar_t = at(schedule.alpha_bar, t, like=x_t)
    return ((alpha_bar_t.sqrt() * x_0 - x_t) / (1 - alpha_bar_t)).to(x_t.dtype)


# %% [markdown]
# Two checks. First the round trip: to each of the three and back to $x_0$, at 500 random times. Then Tweedie, with
# autograd as the judge: it differentiates $\log q(x_t)$ without knowing equation (3), and from its gradient must come
# the exact denoiser of notebook 03.

# %% tags=["check"]
x_0 = data.sample(500, generator)
t = torch.randint(1, schedule.T + 1, (500,), generator=generator)
eps = torch.randn(500, 2, generator=generator, dtype=torch.float64)
x_t = q_sample(x_0, t, eps, schedule)
there = {x_0_from_eps: eps_from_x_0, x_0_from_v: v_from_x_0, x_0_from_score: score_from_x_0}
for back, forth in there.items():
    again = back(x_t, forth(x_t, x_0, t, schedule), t, schedule)
    assert torch.allclose(again, x_0, atol=1e-9, rtol=0)

exact = data.denoiser(schedule)
for time in (1, 100, 500, 1000):
    x = x_t.clone().requires_grad_()
    data.marginal(time, schedule).log_prob(x).sum().backward()
    tweedie = x_0_from_score(x_t, x.grad, time, schedule)
    assert torch.allclose(tweedie, exact(x_t, time), atol=1e-9, rtol=0)

print("three round trips and Tweedie's formula hold to nine digits")
for time in (500, 1000):
    print(f"1/√ᾱ_t at t = {time}: {schedule.alpha_bar[time] ** -0.5:.1f}")

# %% [markdown]
# At a given $x_t$ each conversion is a straight line, so it may be applied to means as well: a network that has learned
# $\mathbb E[\varepsilon\mid x_t]$ has learned $\mathbb E[x_0\mid x_t]$, too. Which of the four it is trained to output is a
# choice of convenience, and this function makes it forgettable. It turns any network into the course's common currency,
# a **denoiser**: `x_0_hat = denoiser(x_t, t)`, with a `schedule`. (`label` stays None in this notebook.)

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
# Convenience is not nothing, though. To get $x_0$ from $\varepsilon$ you divide by $\sqrt{\bar\alpha_t}$; from $v$ you
# divide by nothing. The last line printed before it says what that means: at the end of the cosine schedule, an error in
# $\varepsilon$ is multiplied by some 20,000. So we predict $v$. (Ho et al. predict $\varepsilon$, with the linear schedule,
# whose end is less extreme.)
#
# ## 3 · A network that knows the time
#
# What a network should do depends on $t$: at $t = 10$ hardly touch the point, at $t = 900$ nearly ignore it. So $t$ is
# an input. As a bare number from 1 to 1,000 it is a poor one: far larger than all others, and if you scale it down to
# their size, $t$ and $t+1$ hardly differ. The **time embedding** turns it into a vector of sines and cosines of many
# speeds $\omega_i$, from fast to slow, like the hands of a clock:
#
# $$ e(t) = [\sin\omega_1 t, \dots, \sin\omega_m t,\; \cos\omega_1 t, \dots, \cos\omega_m t],
#    \qquad \omega_i = 10000^{-2(i-1)/\mathrm{dim}}, \quad i = 1, \dots, m = \mathrm{dim}/2 \tag{4} $$

# %% tags=["export:diffusion_lab.networks.embedding"]
def time_embedding(t, dim, max_period=10_000):
    """Equation (4). t: shape (n,). dim: even. Returns float64, shape (n, dim)."""
    i = torch.arange(dim // 2, dtype=torch.float64, device=t.device)
    angle = t[:, None] * max_period ** (-2 * i / dim)
    return torch.cat([angle.sin(), angle.cos()], dim=1)


# %% [markdown]
# Since $\sin a \sin b + \cos a\cos b = \cos(a-b)$, the inner product of two embeddings is $\sum_i \cos\omega_i(t-t')$. It
# depends on the *distance* of the two times alone: near times look alike, wherever they are. That holds for near times
# only; farther off, the likeness goes up and down.

# %% tags=["check"]
table = time_embedding(torch.arange(1001), 32)
alike = table @ table.T / 16
assert torch.allclose(alike.diagonal(7), alike[0, 7].expand(994), atol=1e-9)
for apart in (1, 3, 10, 50, 100):
    print(f"likeness of two times that are {apart} apart: {alike[300, 300 + apart]:.2f}")

# %% tags=["claim"]
assert alike[300, 301] > alike[300, 310] > alike[300, 350] < alike[300, 400]

# %% tags=["figure"]
fig, (left, right) = figure(columns=2, width=8.4, height=2.9)
left.imshow(table.T, aspect="auto", cmap="cividis", interpolation="nearest")
left.set(xlabel="t", ylabel="entry of e(t)", title="the embedding")
left.grid(False)
curves(right, [(torch.arange(1001), alike[500], "data", None)], "t", "inner product / 16",
       "likeness to t = 500", xlim=(400, 600))
show(fig, alt="Left: stripes, dense at the top of each half and wide below. "
               "Right: a curve with a sharp peak of 1 at 500.")

# %% [markdown]
# **Figure 2.** Left: each column is one time, sixteen sines above sixteen cosines (yellow: 1, grey: 0, dark: -1). The
# first hands turn fast, the last ones hardly move. (The finest stripes flicker because the picture has fewer pixels
# than there are times.) Right: how much other times look like $t = 500$. The sharp peak comes from the fast hands, its
# broad foot from the slow ones. The ripples are fast hands that have come round to the same place.
#
# The network is a **multilayer perceptron** (MLP): layers of weights with a bend (SiLU, $u/(1+e^{-u})$) between them.
# Point and embedding go in side by side, and something of the shape of the point comes out. It knows nothing of a
# schedule, and nothing of what its output means.

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
# ## 4 · How low can the loss go?
#
# The loss is $\mathbb E\|v - f(x_t, t)\|^2$, averaged over data, noise and time, and divided by the number of coordinates
# $d = 2$. Many pairs $(x_0, \varepsilon)$ lead to the same $x_t$, and the network cannot know which it was. The best it
# can do is to answer the mean, $\hat v = \mathbb E[v\mid x_t]$. Write $v - f = (v - \hat v) + (\hat v - f)$ and square:
# given
# $x_t$, the first bracket has mean 0 and the second is fixed, so the mixed term vanishes.
#
# $$ \mathbb E\|v - f\|^2 = \underbrace{\mathbb E\|v - \hat v\|^2}_{\text{irreducible}} + \underbrace{\mathbb E\|\hat v - f\|^2}_{\text{excess}} \tag{5} $$
#
# The **irreducible loss**, the *floor* for short, is not 0, and no network gets below it. (Like the loss, it will be
# divided by $d$.) For our data we can compute it. Put $\varepsilon$ from (1) into (2):
# $v = (\sqrt{\bar\alpha_t}\,x_t - x_0)/\sqrt{1-\bar\alpha_t}$. So at a given $x_t$ the variance of $v$ is that of $x_0$, divided by $1-\bar\alpha_t$.
# And a variance is the mean of the square less the square of the mean, and the mean of $x_0$ at a given $x_t$ is
# $\hat x_0 = \mathbb E[x_0\mid x_t]$. Averaged over all $x_t$, and over the $d$ coordinates:
#
# $$ \text{irreducible loss at } t = \frac{\mathbb E\|x_0\|^2 - \mathbb E\|\hat x_0(x_t)\|^2}{d\,(1-\bar\alpha_t)} \tag{6} $$
#
# The first term follows from weights, means and variances of the clouds (`second_moment`, set before `irreducible` is
# called). The second is an integral over $q(x_t)$, six Gaussians; **Gauss–Hermite quadrature** replaces each by a grid
# of points with weights, chosen so that polynomials come out exactly, with 18 nodes up to degree 35 in each coordinate.
# ($\|\hat x_0\|^2$ is not one, but smooth.)
#
# How far can that be trusted? With 12 instead of 18 nodes the average must hardly move. And a second derivation, with
# no quadrature and no equation (6): draw $x_0$, $t$ and $\varepsilon$, and average $\|v - \hat v\|^2$. It must agree
# within four standard errors. We keep these 100,000 draws: they will judge the network.
#
# For comparison, `guess_0`: a network that always answers 0 pays
# $\mathbb E\|v\|^2/d = \bar\alpha_t + (1-\bar\alpha_t)\,\mathbb E\|x_0\|^2/d$
# by (2), averaged over $t$.

# %%
def irreducible(nodes):
    """Equation (6) for t = 1…T, float64 (T,), with nodes × nodes points for each component."""
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
alpha_bar = schedule.alpha_bar[1:]
floor_t = irreducible(18)
floor = floor_t.mean().item()
guess_0 = (alpha_bar + (1 - alpha_bar) * second_moment / 2).mean().item()

n = 100_000
x_0 = data.sample(n, generator)
t = torch.randint(1, 1001, (n,), generator=generator)
eps = torch.randn(n, 2, generator=generator, dtype=torch.float64)
x_t = q_sample(x_0, t, eps, schedule)
v = v_from_x_0(x_t, x_0, t, schedule)
v_exact = v_from_x_0(x_t, exact(x_t, t), t, schedule)
squares = (v - v_exact).square().mean(dim=1)
assert abs(squares.mean() - floor) < 4 * squares.std() / n**0.5
print(f"irreducible loss {floor:.4f}, by drawing {squares.mean():.2f}")
print(f"a network that always answers 0 has {guess_0:.4f}")

# %% tags=["claim"]
assert abs(irreducible(12).mean() - floor) < 5e-5
assert 100 < floor_t.argmin() < 200
assert abs(v.square().mean() - guess_0) < 4 * v.square().mean(dim=1).std() / n**0.5

# %% tags=["figure"]
fig, ax = figure(width=7, height=2.8)
times = torch.arange(1, 1001)
doubt = floor_t * (1 - alpha_bar)
curves(ax, [(times, floor_t, "exact", "v"), (times, doubt, "data", "$x_0$"),
            (times, doubt * alpha_bar / (1 - alpha_bar), "noise", "ε")],
       "t", "irreducible loss", ylim=(0, 1.1))
show(fig, alt="Three curves over t: the loss of x_0 rises from 0, that of epsilon falls from 1, "
               "v is their sum.")

# %% [markdown]
# **Figure 3.** What no network can know, for three targets. Early, $x_0$ is plain to see and the noise is a riddle;
# late, it is the other way round. In between, near $t = 150$, the noise is wider than each cloud and the clouds are
# still apart: a point shows which cloud it comes from, and so how far it was moved. The curve of $v$ is the sum of the
# two others: at a given $x_t$, by (1), the variance of $\varepsilon$ is $\bar\alpha_t/(1-\bar\alpha_t)$ times that of
# $x_0$, and the two add up to $1/(1-\bar\alpha_t)$ times that of $x_0$, which is the variance of $v$. So a loss on $v$
# watches both ends. (Up to about $t = 100$ the curve of $\varepsilon$ lies nearly on that of $v$.)
#
# ## 5 · Train
#
# One step of training: draw a **batch**, here 1,024 examples, a time for each, and noise; jump to $x_t$; compare the
# network's answer with $v$; go a step downhill. The rule that turns slopes into a step is the **optimiser**; its
# `zero_grad` clears the old slopes, as section 1 asked. **Adam** is a rule for the size of the step that adapts to each
# weight, and the **learning rate** `lr` that scales it falls to 0 along a cosine (not that of the noise schedule).
# `torch.randint` leaves its upper end out, so $T+1$ it must be. The loop is a generator: it yields at each step, and
# what to watch or plot is the caller's business.
#
# The loss of a batch is a noisy judge: by chance alone it moves by a few per cent from one batch to the next, more than
# what we want to see. Equation (5) has a better one. The irreducible part is known, so `excess` measures the rest,
# $\|\hat v - f\|^2$: nothing random is left in the target, and a perfect network gets 0.
#
# The claim to test: within 2 % of the irreducible loss. As nearly all of the loss is irreducible, that alone says little,
# so the cell after the training asks for more: of what *can* be learned, the way from "always 0" down to the floor, at
# least 90 % is learned. And equation (5) itself is checked on the same draws: loss = floor + excess, within four
# standard errors.

# %%
def train(network, data, steps, generator, batch=1024, lr=4e-3):
    """Train a network to predict v. Yields (step, loss of this batch) for step = 1…steps."""
    optimiser = torch.optim.Adam(network.parameters(), lr)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(1, steps + 1):
        x_0 = data.sample(batch, generator).float()
        t = torch.randint(1, schedule.T + 1, (batch,), generator=generator)
        x_t = q_sample(x_0, t, torch.randn(x_0.shape, generator=generator), schedule)
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


def excess(network, m=None):
    """E‖v̂ - f‖² per coordinate over the draws of section 4, the first m of them, or all."""
    with torch.no_grad():  # record nothing: there will be no backward
        return (network(x_t[:m].float(), t[:m]) - v_exact[:m]).square().mean().item()


def answer(network, t):
    """The network's x̂_0 at time t at the places of Figure 1, float64."""
    with torch.no_grad():
        return as_denoiser(network, schedule)(places.float(), t).double()


# %% tags=["nbval-ignore-output"]
network = new_network()
losses = []
watched = {0: excess(network, 5000)}
answers = {0: answer(network, 300)}
started = perf_counter()
for step, loss in train(network, data, 2000, generator):
    losses.append(loss)
    if step % 50 == 0:
        watched[step] = excess(network, 5000)
        answers[step] = answer(network, 300)
print(f"{perf_counter() - started:.0f} s; excess {excess(network):.4f}; "
      f"mean of the last 200 batches {np.mean(losses[-200:]):.3f}")

# %% tags=["check"]
assert excess(network) < 0.02 * floor
assert excess(network) < 0.1 * (guess_0 - floor)
print("within 2 % of the irreducible loss, and over 90 % of what can be learned is learned")

# %% tags=["claim"]
squares = (network(x_t.float(), t).detach() - v).square().mean(dim=1)
assert abs(squares.mean() - floor - excess(network)) < 4 * squares.std() / n**0.5
assert 0.01 < np.std(losses[-200:]) / floor < 0.06  # a batch's loss moves by a few per cent

# %% tags=["figure"]
fig, (left, right) = figure(columns=2, width=8.4, height=3)
pale = {"color": ROLES["model"]["color"], "linewidth": 0.5, "alpha": 0.4}
left.plot(range(1, 2001), losses, label="each batch", **pale)
mean_of_50 = np.convolve(losses, np.full(50, 1 / 50), "valid")
curves(left, [(range(50, 2001), mean_of_50, "model", "mean of 50")],
       "step", "loss", ylim=(0.65, 1.1))
left.axhline(floor, **ROLES["exact"], label="irreducible", zorder=3)
left.legend()
curves(right, [(list(watched), list(watched.values()), "model", "excess")],
       "step", "excess loss", yscale="log")
right.axhline(0.02 * floor, **ROLES["exact"], label="2 % of the irreducible loss")
right.legend()
show(fig, alt="Left: a jagged loss that settles around a dashed line at 0.81. "
               "Right: the excess falls below a dashed line.")

# %% [markdown]
# **Figure 4.** The answer to "predict first". Left: the loss falls for some hundred steps and then only jitters around
# the dashed line (pale: each batch; strong: the mean of the last 50), which is theory's and not the training's. Many a
# practitioner would now look for a bug. Right: the excess tells that the network was learning all the time, long after
# the left picture went flat.
#
# ## 6 · Look at what it learned
#
# A network that predicts $v$ knows the denoised mean and the score, by `as_denoiser` and `score_from_x_0`. **Try it:**
# scrub through time. The arrows are the exact score and the network's, at the same scale; long ones are cut. Pale ones
# stand where
# $q(x_t)$ is less than $e^{-8}$ of its highest value, where the network has hardly ever been. On the right, each place of the
# same grid is sent to its $\hat x_0$: rings by the exact denoiser, orange by the network. At which times do the two
# differ? And at which time do the clouds appear among the orange points?

# %%
denoiser = as_denoiser(network.requires_grad_(False), schedule)


def learned_score(x_t, t):
    """The network's score at points x_t, float64."""
    return score_from_x_0(x_t, denoiser(x_t.float(), t).double(), t, schedule)


# %% tags=["nbval-ignore-output"]
off = {}
for time in (700, 300, 100, 20, 1):
    q_t = data.marginal(time, schedule)
    x = q_t.sample(20_000, generator)
    score = q_t.score(x)
    off[time] = ((learned_score(x, time) - score).square().mean() / score.square().mean()).sqrt()
    print(f"relative error of the learned score at t = {time}: {off[time]:.2f}")

# %% tags=["claim"]
assert off[700] < 0.02
assert off[300] < off[100] < 0.25 < off[20] < 0.5
assert 4 < off[1] < 8
assert (denoiser(x.float(), 1) - exact(x.float(), 1)).square().mean().sqrt() < 0.01

# %% tags=["figure"]
def field_frames(moments):
    """A frame for each pair (t, the network's answer at the places).

    It shows the exact and the learned score, and both denoised means.
    """
    fig, axes = figure(columns=3, width=8.1, height=3)
    for ax, title in zip(axes, ("exact score", "learned score", "$\\hat x_0$ of each place")):
        ax.set(title=title, aspect="equal", xlim=(-2.7, 2.7), ylim=(-2.7, 2.7))
    fields = [ax.quiver(*places.T, *places.T, color=ROLES[role]["color"], scale=16, width=0.006)
              for ax, role in zip(axes, ("exact", "model"))]
    rings = {"s": 36, "facecolors": "none", "edgecolors": "black", "linewidths": 0.5, "alpha": 0.6}
    dots = POINTS["model"] | {"s": 16, "alpha": 0.9}
    sent = [axes[2].scatter([], [], **rings), axes[2].scatter([], [], **dots)]

    def update(moment):
        t, learned = moment
        q_t = data.marginal(t, schedule)
        longest = q_t.score(places).norm(dim=1).median()
        often = q_t.log_prob(places) > q_t.log_prob(q_t.mean).max() - 8
        for field, points, x_0_hat in zip(fields, sent, (exact(places, t), learned)):
            score = score_from_x_0(places, x_0_hat, t, schedule)
            cut = (longest / score.norm(dim=1, keepdim=True)).clamp(max=1)
            field.set_UVC(*(score * cut / longest).T)
            field.set_alpha(torch.where(often, 1.0, 0.25).numpy())
            points.set_offsets(x_0_hat)

    return drawn(fig, [*fields, *sent], update, moments)


shown = [*range(1000, 100, -50), *range(100, 0, -20), 1]
Scrubber(
    field_frames([(t, answer(network, t)) for t in shown]),
    labels=[f"t = {t}" for t in shown],
    caption="The exact score, the learned score, and where both denoisers send a grid of places.",
    alt="Two fields of arrows and a grid of points. Late in the chain all point to the middle; "
        "early, to the nearest cloud.",
)

# %% [markdown]
# What to have seen: at $t = 1000$ every place is sent to the middle. Near $t = 300$ the places gather at the six
# clouds. The smaller $t$, the less a far-off place is moved: at $t = 100$ you see six blocks of the grid, and at
# $t = 20$ each place stays where it is, since there is hardly any noise to take away. For most of the chain the two fields
# are hard to tell apart; at $t = 20$ they differ more, and at $t = 1$ the error of the network's score is several times
# as large as the score. The cause is a division. An error $\delta$ in $v$ becomes
# $\sqrt{\bar\alpha_t}\,\delta/\sqrt{1-\bar\alpha_t}$ in the score and $\sqrt{1-\bar\alpha_t}\,\delta$ in $\hat x_0$,
# but for the sign. At $t = 1$, where $\sqrt{1-\bar\alpha_t}$ is about $1/156$, it is 156 times larger in the one and
# 156 times smaller in the other. A sampler uses $\hat x_0$, and there the network is right to within 0.01. Near the
# data, an error in the score is an error in the finest detail only.
#
# And how did it get there? The training loop kept the network's answers at $t = 300$, every 50 steps. **Try it:** what
# does the network learn first, and what last? The curve on the right says how much is left to learn.

# %% tags=["figure"]
fig, ax = figure(width=2.5, height=3)
curves(ax, [(list(watched), list(watched.values()), "model", None)],
       "step", "excess loss", yscale="log")
fields = field_frames([(300, learned) for learned in answers.values()])
Scrubber(
    beside(fields, with_marker(fig, ax, list(watched))),
    labels=[f"after {step} steps" for step in answers],
    caption="The same at t = 300, over training; right: the excess loss.",
    alt="Learned arrows that at first all point to the middle and end like the exact ones; "
        "orange points that settle into their rings.",
)

# %% [markdown]
# What to have seen: before the first step, the network sends each place near to where it is, and its arrows all point
# to the middle. It needs only a few hundred steps for the ring and its six corners. The many steps after that move the
# orange points by so little that you hardly see it, and yet they divide the excess loss by several times more. Last to
# come right are the outermost places, where few examples fall.
#
# ## 7 · One big step, or many small ones
#
# Many a first program denoises with a single `model.predict(noisy)`. Why does everyone else take
# dozens of steps? At $t = T$ nothing of the data is left in $x_T$, and the best guess $\mathbb E[x_0\mid x_T]$ is the
# mean of
# *all* data. For points that is one spot in the middle of the ring, where there is no data at all. For images it is
# the **blur**: the average of all of them. A step to a slightly earlier time asks for much less; then the network
# guesses again, from a point that has begun to decide.

# %%
def sample(denoiser, n, steps, generator):
    """n samples by ancestral sampling in so many steps; float32 (n, 2)."""
    x_T = torch.randn(n, 2, generator=generator)
    return last(ddpm(denoiser, x_T, spaced(schedule.T, steps), generator=generator))


def energy_distance(a, b):
    """Unbiased estimate of the energy distance (below) of the samples a (n, d) and b (m, d)."""
    return (2 * torch.cdist(a, b).mean() - torch.pdist(a).mean() - torch.pdist(b).mean()).item()


# %%
made = {steps: sample(denoiser, 2000, steps, generator) for steps in (1, 5, 50)}
direct = data.sample(2000, generator).float()

# %% tags=["figure"]
panels = [(made[1], "model", "1 step"), (made[5], "model", "5 steps"),
          (made[50], "model", "50 steps"), (direct, "data", "drawn directly")]
show(clouds(panels, lim=2.2, size=2.1),
     alt="One spot in the middle after 1 step; a hexagon, densest at its corners, after 5; "
         "six round clouds after 50, as in the data.")

# %% [markdown]
# **Figure 5.** The same network, 2,000 samples each. One step: the mean of the data, 2,000 times. Five steps: the ring has
# closed to a hexagon, densest at its corners, with points left inside. Fifty: nearly as the data, but for a few strays.
#
# Is the network to blame for the blur? The exact denoiser answers: it does the same. To compare more sharply than by
# eye, take the **energy distance**, $2\,\mathbb E\|X-Y\| - \mathbb E\|X-X'\| - \mathbb E\|Y-Y'\|$: zero if and only if
# the two distributions are equal. $X$ and $X'$ are two draws from one of them, $Y$ and $Y'$ from the other. Two direct
# sets of samples are not at 0 exactly: by chance they are up to some thousandths apart.

# %% tags=["nbval-ignore-output"]
rivals = [data.sample(2000, generator).float() for _ in range(5)]
by_chance = max(abs(energy_distance(direct, rival)) for rival in rivals)
far = {steps: energy_distance(points, direct) for steps, points in made.items()}
by_exact = {steps: energy_distance(sample(exact, 2000, steps, generator), direct)
            for steps in (1, 5)}
for steps in (1, 5):
    print(f"energy distance to the data in {steps} steps: "
          f"network {far[steps]:.3f}, exact denoiser {by_exact[steps]:.3f}")
print(f"50 steps of the network {far[50]:.4f}; between direct sets at most {by_chance:.4f}")

# %% tags=["claim"]
at_once = sample(exact, 2000, 1, torch.Generator().manual_seed(2))
assert (at_once - data.weight @ data.mean).abs().max() < 1e-3
assert by_chance < 0.005 < min(far[5], by_exact[5])
assert max(far[5], by_exact[5]) < 0.02 < 0.5 < far[1]
assert abs(far[1] - by_exact[1]) < 0.1
assert far[50] < 0.005

# %% tags=["nbval-ignore-output"]
def to_centre(x):
    """The distance of each point to the nearest centre of a cloud, float64 (n,)."""
    return torch.cdist(x.double(), data.mean).min(dim=1).values


by_exact_50 = sample(exact, 2000, 50, torch.Generator().manual_seed(1))
in_50 = {"network": made[50], "exact denoiser": by_exact_50}
strays = {name: (to_centre(x) > 3 * 0.03**0.5).sum().item() for name, x in in_50.items()}
expected = 2000 * np.exp(-4.5)  # the share of a round cloud in the plane beyond 3 deviations
print(f"of 2,000, beyond 3 deviations from every centre: data {expected:.0f}, 50 steps of {strays}")

# %% tags=["claim"]
nearest = torch.cdist(made[50].double(), data.mean).argmin(dim=1)
shares = torch.bincount(nearest, minlength=6) / 2000
by_chance_4 = 4 * (data.weight * (1 - data.weight) / 2000).sqrt()
assert ((shares - data.weight).abs() < 0.02 + by_chance_4).all()
assert strays["exact denoiser"] < expected < 1.5 * expected < strays["network"] < 4 * expected
assert to_centre(in_50["exact denoiser"]).square().mean() / 2 < 0.9 * 0.03  # narrower than data

# %% [markdown]
# By the energy distance, 50 steps are over a hundred times nearer to the data than one; direct sets came nearer still.
# Each of the six clouds has about its share, the rare one included. The eye is sharper: some 60 points are farther than
# 3 deviations from every centre, where data have 22 and the exact denoiser leaves 16. (Fifty steps make each cloud a
# little too narrow, hence fewer than in data.) So most of these strays are the network's. With one step or five,
# network and exact denoiser are about equally far off. The blur belongs to the step, not to the network.
#
# ## 8 · Perfect, and useless: memorisation
#
# All this time we drew fresh data for each batch. In life there is a **training set** of $N$ points $x_i$, and the loss
# is an average over those. What is the exact answer now? The same formula as ever, for a mixture of $N$ Gaussians of
# variance 0:
#
# $$ \mathbb E[x_0\mid x_t] = \sum_i r_i\,x_i, \qquad r = \mathrm{softmax}_i\Big(\!-\frac{\|x_t - \sqrt{\bar\alpha_t}\,x_i\|^2}{2(1-\bar\alpha_t)}\Big) \tag{7} $$
#
# Beginners propose a formula that looks much like it: weigh each candidate $x$ by $\exp(\theta_1 x + \theta_2 x')$, where
# $x'$ is the noisy number. But there $\theta_2x'$ is the same for all candidates and cancels in the softmax: the noisy number
# does not matter. In equation (7) it enters by its *distance* to the candidate. The first cell below tries both on five noisy
# numbers, with 21 candidates from $-1$ to $1$. (Equation (7) needs a time, and $t = 300$ is as good as any.)
#
# The second takes 25 points for a training set and samples with its exact denoiser, all 1,000 steps. Near the end,
# $1-\bar\alpha_t$ is tiny, the softmax picks one point, and the chain lands on it. The samples are copies:
# **memorisation**. (A few may stop between two training points that nearly coincide.) The denoiser with the *lowest
# possible* training loss has learned nothing about where data could also be. Then the cell trains a network on the same
# 25 points, by the same loop.

# %%
noisy = torch.tensor([[0.5], [-0.5], [0.2], [-0.8], [0.1]], dtype=torch.float64)
candidates = torch.linspace(-1, 1, 21, dtype=torch.float64)[:, None]
by_sum = torch.softmax(2 * candidates.T + 1 * noisy, dim=1) @ candidates
exact_of_21 = GaussianMixture([1 / 21] * 21, candidates, torch.zeros(21)).denoiser(schedule)
by_distance = exact_of_21(noisy, 300)
print("the sum:               ", by_sum[:, 0].numpy().round(2))
print("equation (7), t = 300: ", by_distance[:, 0].numpy().round(2))

# %% tags=["claim"]
assert torch.allclose(by_sum, by_sum[0].expand(5, 1))

# %% tags=["check"]
points = data.sample(25, generator)
training_set = GaussianMixture(torch.full((25,), 1 / 25), points, torch.zeros(25))
copies = sample(training_set.denoiser(schedule), 400, 1000, generator)
to_nearest = torch.cdist(copies.double(), points).min(dim=1).values
assert (to_nearest < 1e-3).double().mean() > 0.95
print("exact denoiser: more than 95 % of the samples are copies, to 0.001")

# %%
student = new_network()
for _ in train(student, training_set, 2000, generator):
    pass
blurred = sample(as_denoiser(student.requires_grad_(False), schedule), 400, 50, generator)
fresh = data.sample(400, generator)

# %% tags=["figure"]
panels = [(copies, "model", "exact denoiser of 25"),
          (blurred, "model", "network trained on them"),
          (fresh, "data", "fresh data")]
fig = clouds(panels, lim=2.2, size=2.6)
for ax in fig.axes:
    ax.scatter(*points.T, s=26, facecolors="none", edgecolors="black", linewidths=0.8)
show(fig, alt="Rings mark 25 training points. Left: all samples sit in the rings. "
               "Middle: a halo around them. Right: full clouds.")

# %% [markdown]
# **Figure 6.** Rings: the 25 training points. Left: the exact denoiser, in 1,000 steps, gives nothing but copies.
# Middle, in 50 steps: the network cannot bend sharply enough to sit on each point, so it smears them, and the samples lie
# nearer to the training points than fresh data do, but not on them. Right: what we wished for.

# %% tags=["claim"]
assert to_nearest.max() < torch.pdist(points).min()
typical = {name: torch.cdist(cloud.double(), points).min(dim=1).values.median()
           for name, cloud in (("student", blurred), ("fresh", fresh))}
assert 1e-2 < typical["student"] < 0.9 * typical["fresh"]

# %% [markdown]
# A network *generalises* by failing to reach the optimum of its training set in a fortunate way: it is smooth, and a
# smooth function that fits 25 points says something about their surroundings. Make it larger, train it longer, give it
# fewer points, and it will memorise (Gu et al. 2023 measure when). So the floor to aim for is that of the data, not of
# the training set.
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
# ### Exercise 1 (warm-up): a slope
#
# Return the slope of the mean of $(w x - y)^2$ with respect to $w$, by autograd. Your function will be called twice with
# the same `w`; it computes the loss anew each time, and must return the same slope both times.

# %% tags=["exercise"]
def gradient(w, x, y):
    """d/dw of the mean of (w x - y)².

    w: float64 (), with requires_grad=True. x, y: float64 (n,). Returns float64 ().
    """
    raise NotImplementedError


# %% tags=["check"]
check_gradient(gradient)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# What is in `w.grad` when your function is called for the second time?
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def gradient(w, x, y):
#     w.grad = None
#     ((w * x - y) ** 2).mean().backward()
#     return w.grad
# ```
# </details>

# %% [markdown]
# ### Exercise 2 (core): from v to the noise
#
# Your network predicts $v$, and a friend's sampler wants $\varepsilon$. Convert, without dividing, so that it works at
# $\bar\alpha_t = 1$ and $\bar\alpha_t = 0$, too.

# %% tags=["exercise"]
def eps_from_v(x_t, v, alpha_bar_t):
    """The noise ε from x_t and v: float64 (n,) each; alpha_bar_t: a float. Returns float64 (n,)."""
    raise NotImplementedError


# %% tags=["check"]
check_eps_from_v(eps_from_v)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# Multiply equation (1) by $\sqrt{1-\bar\alpha_t}$ and equation (2) by $\sqrt{\bar\alpha_t}$, and add.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def eps_from_v(x_t, v, alpha_bar_t):
#     return alpha_bar_t**0.5 * v + (1 - alpha_bar_t) ** 0.5 * x_t
# ```
# </details>

# %% [markdown]
# ### Exercise 3 (core): what a network trains on
#
# Make one batch of training examples: noisy points, their times, and the $v$ that belongs to them, in this
# order. It is a few lines, and there are many ways to get them wrong in silence.

# %% tags=["exercise"]
def training_example(x_0, schedule, generator):
    """One batch: x_t (n, d), t int64 (n,) uniform on 1…T, v (n, d), drawn with the generator.

    x_0: float64 (n, d).
    """
    raise NotImplementedError


# %% tags=["check"]
check_training_example(training_example)

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
# ### Exercise 4 (hard): a denoiser from memory
#
# Write equation (7): the exact denoiser of a training set, for a batch of noisy points.

# %% tags=["exercise"]
def from_memory(points, x_t, alpha_bar_t):
    """E[x_0 given x_t] for a training set.

    points: float64 (N, d); x_t: (n, d); alpha_bar_t: a float. Returns (n, d).
    """
    raise NotImplementedError


# %% tags=["check"]
check_from_memory(from_memory)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# `torch.cdist(a, b)` gives the distances of all pairs, shape (n, N). Over which axis must the weights add up to 1?
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
# ## A common mistake
#
# Many write the embedding with sines and cosines in turn: even entries sine, odd entries cosine.
# (These are the entries of equation (4), in another order.) The mask must act on
# the *columns* of the table (entries), `[:, 0::2]`. Written `[0::2]`, it acts on the *rows* (times): even times get
# sines only, odd times cosines only. The shapes fit, the values lie in $[-1, 1]$, nothing crashes.

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
    likeness = nn.functional.cosine_similarity(e[:-1], e[1:]).mean()
    print(f"likeness of neighbouring times, on average: {name} {likeness:.2f}")

# %% tags=["claim"]
in_our_order = torch.cat([right[:, 0::2], right[:, 1::2]], dim=1)
assert torch.allclose(in_our_order, time_embedding(times, 32).float(), atol=1e-3)
assert nn.functional.cosine_similarity(right[:-1], right[1:]).mean() > 0.9
assert nn.functional.cosine_similarity(wrong[:-1], wrong[1:]).mean() < 0.3

# %% tags=["figure"]
fig, axes = figure(columns=2, width=8.4, height=3)
for ax, e, title in zip(axes, (right, wrong), ("columns masked: right", "rows masked: wrong")):
    ax.imshow(e[:60], aspect="auto", cmap="cividis", interpolation="nearest")
    ax.set(xlabel="entry of e(t)", ylabel="t", title=title)
    ax.grid(False)
show(fig, alt="Left: smooth vertical stripes that differ little from row to row. "
               "Right: every second row looks different.")

# %% [markdown]
# **Figure 7.** Sixty times, one in each row (here time runs downwards; the colours are those of Figure 2). Left,
# neighbouring rows look alike. Right, they alternate between two unrelated patterns. *The symptom*: the likeness of
# neighbouring times is low, and the network has to learn each time nearly by itself. (In code that embeds a batch
# instead of a table, it is worse: the same $t$ gets a different vector depending on its place in the batch.) *The
# test*: embed $t$ and $t+1$ and print their likeness.
#
# ## Summary
#
# - Autograd records what you compute and returns slopes; clear them before each step.
# - $\varepsilon$, $x_0$, $v$ and the score are one piece of knowledge, and convert into each other by (1) to (3).
# - The time goes in as sines and cosines; near times look alike.
# - The loss ends at the irreducible loss, not at 0. Measure the excess, not the loss.
# - One big step lands on the mean of all that is possible. And a perfect denoiser of a training set returns the
#   training set.
#
# ## Check yourself
#
# <details><summary>Your loss has stood still at 0.81 for an hour. What do you do?</summary>
#
# First find out how low it can be. On real data there is no formula, so look at samples, or at the loss of a held-out
# set at fixed times and noise, which jitters less.
# </details>
#
# <details><summary>Why is the mean of $x_0$ given $x_t$ enough to know the score, though it is only a mean?</summary>
#
# Because the score of a Gaussian is linear in $x_0$, and the score of the mixture is an average of those scores,
# equation (3).
# </details>
#
# <details><summary>A network reaches a training loss below the irreducible loss of the data. Is that good news?</summary>
#
# No, if it stays below when averaged over many batches (one batch may be, by chance). It is below what is possible for
# fresh data, so it uses knowledge of the particular training points: it memorises.
# </details>
#
# ## Further reading
#
# - Ho, Jain & Abbeel (2020), *Denoising Diffusion Probabilistic Models*: our (1) is their eq. 4, in section 2, and the
#   unweighted loss on $\varepsilon$ is their eq. 14, in section 3.4.
# - Salimans & Ho (2022), *Progressive Distillation for Fast Sampling of Diffusion Models*, section 4 and appendix D: $v$.
# - Efron (2011), *Tweedie's Formula and Selection Bias*: our (3) before there were diffusion models.
# - Vincent (2011), *A Connection Between Score Matching and Denoising Autoencoders*: why denoising learns the score.
# - Vaswani et al. (2017), *Attention Is All You Need*, section 3.5: the sinusoidal embedding, there for places in a text.
# - Karras et al. (2022), *Elucidating the Design Space of Diffusion-Based Generative Models*, appendix B.3: equation (7).
# - Gu et al. (2023), *On Memorization in Diffusion Models*: how large a set a network of a given size still memorises.
#
# ## Next
#
# Notebook 06 builds a network for images: a small U-Net, block by block.
