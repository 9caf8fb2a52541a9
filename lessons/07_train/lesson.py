# %% [markdown]
# # Train a U-Net on handwritten digits
#
# In this notebook a network of nearly half a million weights learns to draw digits, on your own processor, while you
# watch. It takes about two and a half minutes on two cores. Everything around those minutes is here as well: what the
# loss measures, which steps the weights take, how a run is saved and continued, and how it looks when something goes
# wrong.
#
# You will be able to
#
# - **write** the loss of one batch, with labels that are sometimes left out,
# - **say** what an optimiser, a learning-rate schedule and an average of the weights do,
# - **train** a U-Net and judge its digits with numbers,
# - **stop and resume** a run without losing a bit,
# - **recognise** three failures by how they look, and find out where the time goes.
#
# **You need** notebook 05 (the loss on $v$, `as_denoiser`) and notebook 06 (the U-Net). **Time to read** 60 minutes ·
# **to run** 4 minutes. **Paper sections**: Ho et al. 2020, section 3.4 and appendix B; Kingma et al. 2021, appendix I.1;
# Ho & Salimans 2022, section 3.
#
# ## Set-up
#
# If you are in a hurry, or on a slow machine such as Binder's, change the line `TRAIN = …`, right below the
# imports, to `TRAIN = False`, or start Jupyter with `DIFFUSION_LAB_SHIPPED=1`. The notebook then takes
# twenty steps only, so that its pictures of the training show little, and uses the weights that come with the course
# for what follows. On two cores it then runs in about a minute.

# %%
import copy
import math
import os
import sys
import tempfile
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import NamedTuple

import torch
from torch.profiler import profile
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from diffusion_lab.data.augment import shifted
from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation.distances import (
    distance_to_test,
    floor_distance,
    frechet_distance,
    label_accuracy,
)
from diffusion_lab.evaluation.judge import in_batches, load_judge
from diffusion_lab.exercises.train import (
    check_average,
    check_drop_labels,
    check_stratified_times,
    check_train_step,
)
from diffusion_lab.networks.unet import UNet
from diffusion_lab.sampling.chain import draw, spaced
from diffusion_lab.sampling.ddim import ddim
from diffusion_lab.sampling.denoiser import Denoiser, as_denoiser
from diffusion_lab.sampling.dpm_solver import dpm_solver
from diffusion_lab.sampling.guidance import guided
from diffusion_lab.theory.forward import noise_like, q_sample
from diffusion_lab.theory.parameterization import v_from_x_0
from diffusion_lab.theory.schedule import cosine
from diffusion_lab.training.runs import load_run, save_run
from diffusion_lab.view.pictures import mosaic
from diffusion_lab.view.plots import curves
from diffusion_lab.view.scrubber import Scrubber
from diffusion_lab.view.show import Watch, show
from diffusion_lab.view.style import figure
from diffusion_lab.weights.pretrained import load_network, load_pretrained

# %%
TRAIN = os.environ.get("DIFFUSION_LAB_SHIPPED") != "1"

schedule = cosine()
generator = torch.Generator().manual_seed(0)
images, labels = load_digits("train")
test_images, test_labels = load_digits("test")
judge = load_judge()
shipped = load_network("mnist")

# %% tags=["figure"]
first_of_each = torch.stack([images[labels == digit][:2] for digit in range(10)], dim=1)
show(mosaic(first_of_each.flatten(0, 1), columns=10),
     alt="Two rows of ten handwritten digits, 0 to 9, white on black.")

# %% [markdown]
# **Figure 1.** Two of each kind from the 4,000 training digits. The network has never seen a rule for drawing them. It
# sees these images with noise on them, and is asked to tell the two apart.
#
# ## Predict first
#
# You will watch the same ten noise images turn into digits at several moments of the training. What appears first: the
# black background, the strokes, or shapes that one can read? And how long does it take until most of them are readable:
# 10 seconds, one minute, two?
#
# ## 1 · The loss of one batch
#
# One training example is made as in notebook 05: take an image $x_0$, draw a time $t$ and noise $\varepsilon$, make
# $x_t$, and ask the network for $v$. Two things are new.
#
# **The times of a batch are spread.** Drawn one by one, the 32 times of a batch may crowd at one end of the chain. The
# loss at early times is far from that at late ones, so the loss of the batch then jumps about. Kingma et al. (2021)
# draw a single number $u$ instead, and place the $n$ times at equal distances from it, around a circle:
#
# $$ t_i = 1 + \Big\lfloor T\big((u + i/n) \bmod 1\big) \Big\rfloor, \qquad u \sim \mathrm{uniform}(0, 1),\quad i = 0, \dots, n-1 \tag{1} $$
#
# Each $t_i$ on its own is still uniform on $1 \dots T$, so the average loss is unchanged.
#
# **Labels are sometimes left out.** The network is told which digit it looks at. In one example out of ten it is not:
# the label is replaced by the **null label**, a number that stands for "any digit" (notebook 06 has given it a row in
# the table of labels). So one network learns two things, the digits of each kind and digits at large. Notebook 08 uses
# the difference of the two, which is called guidance.
#
# The loss is the mean square error over all $d = 784$ pixels:
#
# $$ L = \mathbb E\,\tfrac1d\,\big\| v - v_\theta(x_t, t, \mathrm{label}) \big\|^2 \tag{2} $$
#
# (In the code, `predicts` can ask for $\varepsilon$ or $x_0$ in place of $v$; the course does not. And `clamp` keeps a
# rounding error from making a time of $T + 1$.)

# %% tags=["export:diffusion_lab.training.objective"]
def uniform_times(n, schedule, generator):
    """n times, each drawn from 1…T by itself. Returns int64 (n,)."""
    return torch.randint(1, schedule.T + 1, (n,), generator=generator)


def spread_times(n, schedule, generator):
    """Equation (1): one draw shifts them all. Returns int64 (n,)."""
    T = schedule.T
    u = torch.rand(1, generator=generator, dtype=torch.float64)
    u = u + torch.arange(n, dtype=torch.float64) / n
    return (T * (u % 1)).long().clamp(max=T - 1) + 1


def objective(network, batch, generator, schedule, predicts="v", times=spread_times, drop=0.1):
    """Equation (2). batch: x_0, float32 (n, 1, 28, 28), and label, int64 (n,). Returns shape ()."""
    x_0, label = batch
    t = times(len(x_0), schedule, generator).to(x_0.device)
    eps = noise_like(x_0, generator)
    x_t = q_sample(x_0, t, eps, schedule)
    target = {"eps": eps, "v": v_from_x_0(x_t, x_0, t, schedule), "x_0": x_0}[predicts]
    dropped = torch.rand(len(label), generator=generator) < drop
    label = label.masked_fill(dropped.to(label.device), network.null_label)
    answer = network(x_t, t, label)
    return (answer - target).square().mean()


# %% [markdown]
# Three checks. First the times: over 5,000 draws, each of 8 places in a batch must meet each of $T = 10$ times equally
# often, and (for $T = 1{,}000$) neighbours must be $T/n$ apart, up to rounding. Then the loss, against a number known
# beforehand. The U-Net of notebook 06 begins by answering 0 everywhere, so its loss is the mean of $v^2$. As
# $v = \sqrt{\bar\alpha_t}\,\varepsilon - \sqrt{1-\bar\alpha_t}\,x_0$, and the noise has mean 0 and variance 1 and is
# independent of the image, that is $\mathbb E[\bar\alpha_t] + \mathbb E[1-\bar\alpha_t]\,\mathbb E[x_0^2]$. Last, the
# two ways to draw times. How much does a mean over 32 times jump from batch to batch? We take $\bar\alpha_t$ for that,
# which this loss depends on. (The loss of a batch also jumps because its images and its noise differ. That remains.)

# %% tags=["check"]
many = torch.stack([spread_times(8, cosine(10), generator) for _ in range(5000)])
share = torch.stack([(many == t).double().mean(dim=0) for t in range(1, 11)])
assert abs(share - 0.1).max() < 5 * (0.1 * 0.9 / 5000) ** 0.5  # 80 shares: five standard errors
assert abs(spread_times(8, schedule, generator).sort().values.diff() - 125).max() <= 1

# %% tags=["check"]
untrained = UNet()
batches = torch.randint(4000, (40, 64), generator=generator)
mean_alpha_bar = schedule.alpha_bar[1:].mean().item()
expected = mean_alpha_bar + (1 - mean_alpha_bar) * images.square().mean().item()
found = torch.tensor([objective(untrained, (images[i], labels[i]), generator, schedule).item()
                      for i in batches])
assert abs(found.mean() - expected) < 4 * found.std() / 40**0.5
print(f"the loss of a network that answers 0: expected {expected:.2f}, found {found.mean():.2f}")

# %% tags=["check"]
jitter = {}
for times in (uniform_times, spread_times):
    means = [schedule.alpha_bar[times(32, schedule, generator)].mean() for _ in range(500)]
    jitter[times] = torch.stack(means).std().item()
assert jitter[uniform_times] > 5 * jitter[spread_times]
print("with spread times the mean over a batch is steadier by a factor of more than five")

# %% [markdown]
# ## 2 · Steps for matrices
#
# The gradient says in which direction the loss falls, but not how far to go. Plain descent takes one number for that, the
# **learning rate**. For a deep network that is slow: along some directions the loss is steep, and they set the limit, while
# along most it is shallow, and they hardly move. An **optimiser** is a rule that evens this out. *Adam*, the usual one,
# divides each weight's gradient by its typical size.
#
# A weight matrix $W$ multiplies vectors. Whatever the matrix is, this amounts to three steps: turn the vector, stretch
# it along each axis by a factor of its own, turn (or mirror) it once more. For example, the matrix with the rows $(0,
# 2)$ and
# $(1, 0)$ swaps the two coordinates and doubles one: the circle of radius 1 becomes an ellipse with half-axes 2 and 1. The factors, here
# 2 and 1, are the **singular values**. Written as a product,
# $W = U S V^\top$: $S$ has the factors on its diagonal, $V^\top$ and $U$ only turn (or mirror). The gradient $G$ of $W$
# is a matrix, too. Typically it has a few large singular values and a long tail of small ones: a step along $G$ changes
# $W$ in a few directions only. **Muon** (Jordan et al. 2024) replaces $G = U S V^\top$ by $U V^\top$. The directions
# stay as they are; all singular values become about 1, and all directions learn at the same speed.
#
# To find $U$, $S$ and $V$ at each step would take long. It is not needed. Begin with $X = G/\|G\|$, where $\|G\|$ is the
# root of the sum of all squares, so that no singular value is above 1, and repeat five times
#
# $$ X \leftarrow aX + \big(b\,XX^\top + c\,(XX^\top)^2\big)X, \qquad a, b, c = 3.4445,\ -4.7750,\ 2.0315 \tag{3} $$
#
# Put $X = U S V^\top$ in: as $U^\top U$ and $V^\top V$ are the identity, each round applies the polynomial $as + bs^3 +
# cs^5$ to every singular value $s$, and leaves $U$ and $V$ alone. It is chosen so that all values between 0.002 and 1
# are driven into a band around 1. (What multiplies $X$ is made of the small, square matrix $XX^\top$ alone. So the code
# works on that one in all five rounds, and multiplies with the long $X$ twice, at the start and at the end, in place of
# ten times. For the $X$ of Figure 2, whose rows are nine times as long as its columns, two fifths of the multiplications
# are left. For a square $X$ there would be more of them, not fewer.)
#
# The optimiser around it keeps a running mean of the gradients, the **momentum**, so that the noise of single batches
# cancels. In the mean the newest gradient has the weight 0.05, and in the step itself nearly twice as much, $0.05 +
# 0.95 \cdot 0.05$. `a.lerp(b, w)` is $(1-w)\,a + w\,b$. After (3) each row has a length of about 1 if $m \le n$. If a
# matrix has more rows than columns, $m > n$, it is about $\sqrt{n/m}$ on average, for then there are only $n$
# directions for $m$ rows. The step is made longer by $\sqrt{m/n}$, which makes up for that.
#
# After the two definitions we take the gradient of one batch for a convolution at 7×7, the first one of `middle`
# (as a matrix: one row for each output channel), and do the same twice: by (3), and with the polynomial applied to the
# singular values of PyTorch's own decomposition.

# %% tags=["export:diffusion_lab.training.muon"]
def orthogonalised(matrix, rounds=5):
    """Equation (3): nearly U Vᵀ. matrix: float (m, n). Returns the same shape."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    gram = x @ x.T  # of X in each round; `product` is all that X has been multiplied with
    one = product = torch.eye(len(x), dtype=x.dtype, device=x.device)
    for _ in range(rounds):
        factor = 3.4445 * one - 4.7750 * gram + 2.0315 * gram @ gram
        gram = factor @ gram @ factor
        product = factor @ product
    x = product @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """W ← W - lr √max(1, m/n) orthogonalised(momentum).

    Weights of more than two axes count as matrices (out, rest).
    """

    def __init__(self, parameters, lr, momentum=0.95):
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for weight in group["params"]:
                memory = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
                memory.lerp_(weight.grad, 1 - group["momentum"])
                # The newest gradient counts once more (Nesterov).
                update = weight.grad.lerp(memory, group["momentum"]).flatten(1)
                scale = max(1, update.shape[0] / update.shape[1]) ** 0.5
                weight.add_(orthogonalised(update).reshape(weight.shape),
                            alpha=-group["lr"] * scale)


# %%
with torch.random.fork_rng(devices=[]):
    torch.manual_seed(0)
    network = UNet()
for weight in network.parameters():  # away from the start, where many gradients are exactly 0
    weight.data += 0.02 * torch.randn(weight.shape, generator=generator)
batch = images[batches[0]], labels[batches[0]]
objective(network, batch, generator, schedule).backward()
gradient = network.middle.conv_1.weight.grad.flatten(1).double()

# %% tags=["check"]
U, S, Vh = torch.linalg.svd(gradient, full_matrices=False)
s = S / S.norm()
for _ in range(5):
    s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
found = orthogonalised(gradient)
assert torch.allclose(found, U @ torch.diag(s) @ Vh, atol=1e-5)
print("five rounds of (3): the polynomial, applied to each singular value")

# %% tags=["claim"]
m, n = gradient.shape
with FlopCounterMode(display=False) as counter:  # counts two for each product, which has a sum
    orthogonalised(gradient)
flops = counter.get_total_flops()
assert flops == 2 * (2 * m**2 * n + 20 * m**3)  # with X, and four small products in each round
assert 5 * flops == 2 * 2 * (10 * m**2 * n + 5 * m**3)  # (3) as it stands

# %% tags=["figure"]
rank = torch.arange(1, len(S) + 1)
after = torch.linalg.svdvals(found)
fig, ax = figure(width=7, height=2.8)
curves(ax, [(rank, S / S[0], "data", "gradient"), (rank, after, "model", "after five rounds")],
       "number of the singular value, largest first", "singular value", yscale="log")
show(fig, alt="One curve falls by orders of magnitude; "
              "the other stays near 1 and falls at its end only.")

# %% [markdown]
# **Figure 2.** The singular values of one gradient, the largest set to 1, before and after (3). Before, the second is already
# far below the first, and the last ones are less than a two-hundredth of it: a step would hardly move the weights in those
# directions. After, all lie between 0.68 and 1.21.

# %% tags=["claim"]
assert S[1] < 0.5 * S[0]
assert S[-1] < 0.005 * S[0]
assert 0.68 < s.min() < s.max() < 1.21

# %% [markdown]
# What has no matrix, the vectors of biases and norms, and what sits at the network's two ends (its method
# `ends` names them), is left to Adam (to `AdamW`, which also shrinks the weights a little). How much does Muon gain? `python benchmarks/training.py` trains the same
# network with Adam alone beside it, and prints both.
#
# ## 3 · The loop
#
# Four small parts are left, a function for each. `optimizers` hands the weights to Muon and Adam. The **learning rate**
# starts small, because the first gradients come from random weights, and ends small, so that the weights come to rest:
# a straight line up (the *warm-up*), then half a cosine down. The **order** of the images is drawn anew in each
# **epoch**, one pass over all of them, and depends on the epoch's number alone. (`shifted` moves some of
# the images by a pixel. Here `augment` is 0. The shipped weights were trained for longer, with it, and with half of the times spread over $\log\mathrm{SNR}$.) And beside the weights we keep their
# **exponential moving average** (EMA). With each step $k$, counted from 0,
#
# $$ \bar\theta \leftarrow \mu\,\bar\theta + (1-\mu)\,\theta, \qquad \mu = \min\!\Big(\mu_{\max},\ \frac{1+k}{10+k}\Big) \tag{4} $$
#
# Single steps jitter, and an average jitters less. With $\mu_{\max} = 0.99$ it reaches back about $1/(1-\mu) = 100$
# steps; before step 890 it is shorter, about a ninth of the steps so far. So the random weights of the start are soon
# forgotten. It is $\bar\theta$ that we sample with.
#
# All that decides how the weights move stands in one small object, the **recipe**; it comes first, with the rate. The
# batches and the average follow, each in a cell, and then the optimisers and the **run**: a recipe, the weights, and
# all the rest that is needed to go on: the average, the optimisers' memory, the random generator, the number of steps
# done. Its `facts` say what it is trained on, and for which question; whoever draws with it later reads them.
#
# One number in the recipe is about the network: its `width`, the channels at 14×14, is 32. Notebook 06 had 48, and so
# has the network that comes with the course, which was trained for an hour. With 32 it has fewer than half as many
# weights, and a step takes less time. In two or three minutes the additional steps gain more than the additional
# channels (`benchmarks/training.py` prints both).

# %% tags=["export:diffusion_lab.training.recipe"]
@dataclass(frozen=True)
class Recipe:
    """Numbers of steps and of images in a batch; channels at 14×14; peak rates of Muon and of Adam;
    steps of warm-up; μ_max; share of images shifted by a pixel; seed."""

    steps: int = 1400
    batch: int = 32
    width: int = 32
    lr: float = 0.02
    lr_rest: float = 6e-3
    warm_up: int = 20
    decay: float = 0.99
    augment: float = 0.0
    seed: int = 0


def rate(step, recipe):
    """Share of the peak learning rate: up in a straight line, down along half a cosine."""
    return min(1, (step + 1) / recipe.warm_up) * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))


# %% tags=["export:diffusion_lab.training.batches"]
def batch_at(step, n, recipe):
    """The indices of a step's batch, from a fresh order of the n images in each epoch: int64."""
    epoch, place = divmod(step, n // recipe.batch)
    generator = torch.Generator().manual_seed(1_000_003 * recipe.seed + epoch)
    order = torch.randperm(n, generator=generator)
    return order[place * recipe.batch:(place + 1) * recipe.batch]


def batches_of(images, labels, recipe):
    """The batches of a run: a function, called with a step, that returns the pair (x_0, label)."""
    def batch(step):
        index = batch_at(step, len(images), recipe)
        x_0 = images[index]
        if recipe.augment > 0:
            generator = torch.Generator().manual_seed(2**60 + 1_000_003 * recipe.seed + step)
            chosen = torch.rand(len(x_0), 1, 1, 1, generator=generator) < recipe.augment
            x_0 = torch.where(chosen, shifted(x_0, generator), x_0)
        return x_0, labels[index]

    return batch


# %% tags=["export:diffusion_lab.training.average"]
@torch.no_grad()
def update_average(average, network, step, decay):
    """Equation (4), for all weights at once."""
    mu = min(decay, (1 + step) / (10 + step))
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - mu)


# %% tags=["export:diffusion_lab.training.loop"]
def optimizers(network, recipe):
    """Muon for the weight matrices inside the network; AdamW for its ends and all vectors."""
    modules = network.ends() if hasattr(network, "ends") else []
    ends = {weight for module in modules for weight in module.parameters()}
    inside = [weight for weight in network.parameters() if weight.ndim > 1 and weight not in ends]
    rest = [weight for weight in network.parameters() if weight.ndim <= 1 or weight in ends]
    return [Muon(inside, recipe.lr),
            torch.optim.AdamW(rest, recipe.lr_rest, betas=(0.9, 0.99), fused=True)]


# %% tags=["export:diffusion_lab.training.loop"]
FACTS = {"data": "digits", "schedule": "cosine", "T": 1000, "predicts": "v", "times": "spread"}


@dataclass
class Run:
    """A training run at some step: all that is needed to go on as if it had never stopped."""

    recipe: Recipe
    network: torch.nn.Module
    facts: dict = field(default_factory=FACTS.copy)
    step: int = 0

    def __post_init__(self):
        # The order in memory that CPUs convolve fastest.
        self.network.to(memory_format=torch.channels_last)
        self.device = next(self.network.parameters()).device
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.optimizers = optimizers(self.network, self.recipe)
        self.generator = torch.Generator().manual_seed(self.recipe.seed)


def start(recipe, build=None, device="cpu", **facts):
    """A new run; its first weights depend on the seed. Its network: the recipe's, or build()."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = build() if build else UNet(recipe.width, 2 * recipe.width)
    return Run(recipe, network.to(device), FACTS | facts)


# %% [markdown]
# And this is the loop. It takes a run, a function that gives the batch of each step, and the loss. It is a generator:
# after each step it hands out a `Progress` and waits until it is asked for the next. Plots, progress bars and files are
# the business of the one who asks. Each optimiser remembers its peak rate; the loop sets the rate of the step, the share
# of the peak that `rate` gives. Between `backward` and the step the gradient is **clipped**: if all its numbers together have a length over 1, it is shortened to 1. The first steps are
# shortened, those in the second half of the training hardly ever (section 4 prints how many). Muon's steps have a fixed
# length, clipped or not; there clipping limits the share that one batch has in the momentum.

# %% tags=["export:diffusion_lab.training.loop"]
class Progress(NamedTuple):
    """Steps done, loss, the gradient's length before clipping, share of the peak rate."""

    step: int
    loss: float
    gradient_norm: float
    rate: float


def train(run, batches, loss):
    """Take the run to its last step. Yields Progress after each step; `run` is up to date then."""
    while run.step < run.recipe.steps:
        batch = [part.to(run.device) for part in batches(run.step)]
        value = loss(run.network, batch, run.generator)
        value.backward()
        gradient_norm = torch.nn.utils.clip_grad_norm_(run.network.parameters(), 1.0)
        share = rate(run.step, run.recipe)
        for optimizer in run.optimizers:
            optimizer.param_groups[0]["lr"] = optimizer.defaults["lr"] * share
            optimizer.step()
            optimizer.zero_grad()
        update_average(run.average, run.network, run.step, run.recipe.decay)
        run.step += 1
        yield Progress(run.step, value.item(), gradient_norm.item(), share)


# %% [markdown]
# In this notebook each run is trained on the 4,000 digits, with the loss (2).

# %%
def train_on_digits(run):
    """Take the run to its last step, as `train` does."""
    batches = batches_of(images, labels, run.recipe)
    return train(run, batches, partial(objective, schedule=schedule))


# %% [markdown]
# ## 4 · Two and a half minutes
#
# To watch the training we need samples. `drawn_by` uses the sampler DPM-Solver++ in ten steps, and guidance; notebook 08
# explains both. The noise is the same each time, so that you see the same ten digits grow. `held_out_loss` is the loss of
# digits that are not trained on, with times and noise fixed beforehand, so that two networks can be compared.
#
# The learning rate comes down along a curve whose end must be known before the start. So `steps_that_fit` takes twenty
# steps of a trial run by the clock, and says how many of them fit into some seconds: at most 2,000, and at least 300,
# for with fewer there would be little to look at.
#
# Run the next cells, and watch the one that trains. Its bar tells the steps done, the time left and the loss; below it are the ten
# digits as the network draws them now.

# %%
def drawn_by(network, n=10, seed=1):
    """n digits with the labels 0, 1, …, 9, 0, …: float32 (n, 1, 28, 28)."""
    denoiser = guided(as_denoiser(network, schedule), guidance_weight=0.5)
    return draw(denoiser, torch.arange(n) % 10, dpm_solver, spaced(schedule.T, 10), seed)


@torch.no_grad()
def held_out_loss(network, n=500):
    """The loss on n test digits, always with the same times and noise."""
    fixed = torch.Generator().manual_seed(9)
    held_out = test_images[:n], test_labels[:n]
    return objective(network, held_out, fixed, schedule, drop=0.0).item()


def steps_that_fit(seconds, least=300, most=2000, trial=20):
    """How many steps of the recipe this machine takes in so many seconds, within least…most."""
    steps = train_on_digits(start(Recipe()))
    for _ in range(3):  # the first steps also set things up
        next(steps)
    begin = perf_counter()
    for _ in range(trial):
        next(steps)
    return max(least, min(most, round(seconds * trial / (perf_counter() - begin))))


# %% tags=["nbval-ignore-output"]
run = start(Recipe(steps=steps_that_fit(130) if TRAIN else 20))
every = 1 if TRAIN else 5
watched = {round(run.recipe.steps * (k / 20) ** 2) for k in range(0, 21, every)}  # close at first
losses = []
lengths = []
grown = [drawn_by(run.average)]
moments = [(0, 0.0)]
watch = Watch("Ten digits, drawn by the network in its present state.")
bar = tqdm(train_on_digits(run), total=run.recipe.steps, file=sys.stdout, leave=False)
for progress in bar:
    losses.append(progress.loss)
    lengths.append(progress.gradient_norm)
    bar.set_postfix(loss=f"{progress.loss:.3f}", refresh=False)
    if progress.step in watched:
        grown.append(drawn_by(run.average))
        moments.append((progress.step, bar.format_dict["elapsed"]))
        watch.show(mosaic(grown[-1]))
trained = run.average if TRAIN else shipped
clipped = [length > 1 for length in lengths]
late = clipped[run.step // 2 :]
print(f"{run.step} steps in {moments[-1][1]:.0f} seconds, with the time to draw")
print(f"clipped: {sum(clipped[:20])} of the first 20 steps, {sum(late)} of the last {len(late)}")

# %% [markdown]
# **Figure 3.** The digits 0 to 9 as the network draws them at the end of its training. While the cell runs, the picture is
# replaced at twenty moments, which lie close together at first.
#
# **Try it.** Scrub through the training. At which step, and after how many seconds, can you read the first digit? Which one
# is the last to become readable? Look at the background, too.

# %% tags=["figure", "nbval-ignore-output"]
Scrubber(
    [mosaic(digits) for digits in grown],
    labels=[f"after {step} steps, {seconds:.0f} s" for step, seconds in moments],
    caption="Ten digits over training, always from the same noise.",
    alt="Ten squares that hold grey noise at first, then blurred strokes on black, "
        "then digits from 0 to 9.",
)

# %% [markdown]
# What to have seen: the background is black early, since it is the same in all images. Strokes come next, white lines
# of the right width in no order. Readable shapes come last. The network learns first what all digits share, and then
# what tells one from the other.
#
# How long did it take until most of them, say eight of ten, were readable for the first time? To answer with a number,
# ask a reader who does not get tired: a
# **judge**, a small network that was trained to read the training digits. The next cell prints its answer, and Figure 4
# has it beside the loss.
# Notebook 05 knew the *irreducible* loss that a perfect network would have. Here nobody knows that number. So we compare with
# the loss of held-out digits.

# %% tags=["nbval-ignore-output"]
readable = [10 * label_accuracy(judge, digits, torch.arange(10)) for digits in grown]
times_of_eight = [seconds for (_, seconds), n in zip(moments, readable) if n >= 8]
print(f"eight of ten are readable after {min(times_of_eight, default=math.inf):.0f} s")

# %% tags=["figure", "nbval-ignore-output"]
fig, (left, right) = figure(columns=2, width=8.6, height=2.8)
test_loss = held_out_loss(trained)
curves(left, [(range(1, len(losses) + 1), losses, "data", "each batch"),
              ([1, len(losses)], [test_loss] * 2, "model", "test digits, in the end")],
       "step", "loss", yscale="log")
curves(right, [([seconds for _, seconds in moments], readable, "model", None)],
       "seconds", "readable digits of ten", ylim=(0, 10.5))
show(fig, alt="Left: a ragged curve that falls fast, then ever slower, to a horizontal line. "
              "Right: a curve that rises, then levels off near ten.")

# %% [markdown]
# **Figure 4.** Left: the loss of each batch (blue), and of held-out digits at the end (orange). The orange one is measured with
# averaged weights and with all labels, so it may lie lower. For a network that had learned its training digits by heart it
# would lie far above the blue curve. Right: of the ten digits of Figure 3, how many the judge reads as what they should
# be. Half-way, nearly all of the fall of the loss is done, and most digits are readable. What comes after that looks like
# little in both pictures: scrub over it in Figure 3, and compare the strokes. Neither ten digits nor a loss curve can say
# when to stop. Section 5 has the numbers that can.

# %% tags=["claim"]
assert held_out_loss(trained) < 0.25
assert all(clipped[:4])
weights_of_yours = sum(p.numel() for p in run.network.parameters())
assert 2 * weights_of_yours < sum(p.numel() for p in shipped.parameters())
at_first = sum(losses[:10]) / 10
middle = len(losses) // 2
half_way = sum(losses[middle - 5 : middle + 5]) / 10
at_last = sum(losses[-10:]) / 10
background = [(digits[:, :, :3] + 1).abs().mean().item() for digits in grown]  # three upper rows
if TRAIN:
    assert at_first - half_way > 0.85 * (at_first - at_last)
    assert sum(clipped[run.step // 2 :]) < 0.05 * run.step
    assert background[10] < 0.25 * background[0]  # half-way
    assert readable[-1] >= 5

# %% [markdown]
# ## 5 · Numbers for pictures
#
# Is a set of digits good? Ten pictures are few, and a look is no measure. Three numbers, all from the judge. It reads
# 99 % of the test digits rightly, and was trained on none of them.
#
# - **Label accuracy**: of the digits that were asked for, how many does the judge read as such?
# - **Fréchet distance**: inside the judge, each digit is 64 numbers, its *features*. Describe those of the drawn digits by
#   their mean $m_a$ and covariance $C_a$, and those of the 1,000 test digits by $m_b$ and $C_b$. The squared distance of the
#   two Gaussians, printed below as *distance*, sees wrong shapes, and missing variety, too:
#
# $$ F = \|m_a - m_b\|^2 + \operatorname{tr}\big(C_a + C_b - 2\,(C_aC_b)^{1/2}\big) \tag{5} $$
#
#   Here $\operatorname{tr}$ adds up the diagonal of a matrix, and $M^{1/2}$ gives $M$ when multiplied by itself (of
#   the matrices that do, it is the one with the largest $\operatorname{tr}$). For one feature, with deviations $s_a$
#   and $s_b$, (5) is $(m_a-m_b)^2 + (s_a-s_b)^2$.
#
# - **The floor**: the same distance, measured on *real* training digits in place of the drawn ones: as many of them, and
#   equally many of each kind. We draw them five times, and print the mean and, after a ±, the deviation of the five. The
#   floor is not 0, since a few hundred digits are only a sample. Digits that are as good as real ones lie at about the
#   floor. A distance means nothing without it. (The ± covers the floor only. Another 500 drawn digits would have another
#   distance, too.)
#
# None of these numbers notices a network that copies its training digits; the package's `memorisation_ratio` does.
#
# Two values of (5) are known beforehand. If all features are moved by 1, only the first term is left, and $F = 64$. If
# all are doubled, the covariance is four times as large, and $F = \|m\|^2 + \operatorname{tr} C$.

# %% tags=["check"]
features = in_batches(judge.features, test_images).double()
doubled = features.mean(dim=0).square().sum() + torch.cov(features.T).trace()
assert abs(frechet_distance(features + 1, features) - 64) < 1e-3
assert abs(frechet_distance(2 * features, features) / doubled - 1) < 1e-6

# %% tags=["nbval-ignore-output"]
n = 500
drawn = drawn_by(trained, n, seed=2)
accuracy = label_accuracy(judge, drawn, torch.arange(n) % 10)
distance = distance_to_test(drawn, judge, test_images)
floor, spread = floor_distance(judge, (images, labels), test_images, n=n)
times_floor = distance / floor
print(f"label accuracy {accuracy:.2f}; distance {distance:.2f}, "
      f"which is {times_floor:.1f} times the floor")
print(f"floor {floor:.2f} ± {spread:.2f} (mean and deviation of five sets of {n} real digits)")

# %% tags=["claim"]
assert label_accuracy(judge, test_images, test_labels) > 0.985
enough = run.step >= 800 or not TRAIN  # a slow machine takes fewer steps: worse digits
assert accuracy > (0.85 if enough else 0.6)
assert distance < (10 if enough else 25) * floor

# %% [markdown]
# `python -m diffusion_lab train --out my-run` trains from a terminal, by the same recipe, in 1,400 steps, and
# `python -m diffusion_lab sample --checkpoint my-run` draws with it. Longer training brings the distance further down:
# `--steps 14000` takes ten times as long.
#
# ## 6 · Stop and go on
#
# A run that cannot be stopped is one that you do not dare to start. `save_run` writes all of it into one file in a
# folder, `run.safetensors`, a **checkpoint**: the tensors in the *safetensors* format, and in the file's header the rest
# as JSON, which is plain text, so that nothing in it can ever run as a program (in a pickle, Python's own format for
# objects, it can). It writes beside the old file and replaces it in one step at the end, so that a crash in between
# leaves the old one. In a terminal, Ctrl-C ends the training with a checkpoint, and the same command with `--resume` goes on.
#
# Below, a run is saved after three steps and goes on to five; then it is loaded and goes on from the third. The weights
# must be equal, not nearly: bit by bit. For that, the random state, the order of the data and the momentum have to be
# the same. (`load_run` takes a run that has just been started, and puts into it what was saved.) And a run with another
# seed is another run: to go on with it is refused. The last lines save *your* run, load it as a run that could go on,
# and load its averaged weights as a denoiser.

# %%
folder = tempfile.mkdtemp()
short = Recipe(steps=5, batch=16)
uninterrupted = start(short)
for progress in train_on_digits(uninterrupted):
    if progress.step == 3:
        save_run(folder, uninterrupted)

# %% tags=["check"]
resumed = load_run(folder, start(short))
assert resumed.step == 3
assert len(list(train_on_digits(resumed))) == 2
for part in ("network", "average"):
    whole = getattr(uninterrupted, part).state_dict()
    for name, weight in getattr(resumed, part).state_dict().items():
        assert torch.equal(weight, whole[name])
print("three steps, a file, and two more steps: the same weights, bit by bit, as five steps")

# %%
try:
    load_run(folder, start(Recipe(steps=5, batch=16, seed=1)))
except ValueError as error:
    print(str(error).replace(folder, "…"))

# %%
save_run(folder, run)
loaded = load_run(folder, start(run.recipe))
kept = load_pretrained(folder)

# %% tags=["claim"]
assert loaded.step == run.step
x_t = torch.randn(10, 1, 28, 28, generator=torch.Generator().manual_seed(8))
yours = as_denoiser(run.average, schedule)
assert torch.allclose(kept(x_t, 500, label=3), yours(x_t, 500, label=3), atol=1e-5)

# %% [markdown]
# The folder above is a temporary one. To keep a network that you have trained (not with `TRAIN = False`) for notebook
# 08, run
# `save_run("my-run", run)` in a cell of your own. There, write `"my-run"` in place of `"mnist"`.
#
# ## 7 · What goes wrong, and how it looks
#
# Three failures. The first two are shown on a tiny model, so that each takes seconds. `followed` trains it and notes the
# held-out loss of both the weights and their average.
#
# **A learning rate that is too high**: the same model, the same data, and steps twenty times as long. **No average**: the
# tiny model that was trained at the good rate goes on for 100 steps, now at the full rate to the end, and we compare its
# weights with their average.
#
# **A time that is off by one.** A sampler goes from $t$ to $s$, and the denoiser must be told $t$, the amount of noise that is
# in its input. Told $s$, the next entry of the list, it expects less noise than there is. Among 1,000 steps the next entry
# is a thousandth of the chain away; among 20, as here, a twentieth. For this one, the digits are drawn with the network that
# you have trained. Which of the three failures would you see in a curve of the loss?

# %%
def tiny():
    """A U-Net with a fraction of the channels."""
    return UNet(fine=16, coarse=16, dim=32)


def followed(run, until, every=10):
    """Train to a step. Returns step numbers, held-out losses of weights, and of their average."""
    notes = []
    for progress in train_on_digits(run):
        if progress.step % every == 0:
            both = [held_out_loss(network, 100) for network in (run.network, run.average)]
            notes.append((progress.step, *both))
        if progress.step == until:
            return [list(column) for column in zip(*notes)]
    return None


def told_too_early(denoiser, step=50):
    """The denoiser, told the time of the next step of the sampler instead of this one."""
    def mistaken(x_t, t, label):
        return denoiser(x_t, max(t - step, 1), label)

    return Denoiser(mistaken, denoiser.schedule)


# %%
good = start(Recipe(steps=120, batch=32, lr=0.05, lr_rest=8e-3), tiny)
right = followed(good, 120)
hasty = followed(start(Recipe(steps=120, batch=32, lr=1.0, lr_rest=0.16), tiny), 120)
at_full_rate = Recipe(steps=100_000, batch=32, lr=0.05, lr_rest=8e-3)
again = Run(at_full_rate, copy.deepcopy(good.average).requires_grad_(True))
further, raw, averaged = followed(again, 100)

# %% tags=["nbval-ignore-output"]
print(f"held-out loss after 120 steps: {right[1][-1]:.2f} at peak rate 0.05, "
      f"{hasty[1][-1]:.2f} at 1")

# %% tags=["figure", "nbval-ignore-output"]
fig, axes = figure(columns=2, width=8.4, height=2.8)
curves(axes[0], [(right[0], right[1], "data", "peak rate 0.05"),
                 (hasty[0], hasty[1], "model", "peak rate 1")],
       "step", "held-out loss", "rate too high", ylim=(0, 1))
curves(axes[1], [(further, raw, "noise", "the weights themselves"),
                 (further, averaged, "model", "their average")],
       "further steps", "held-out loss", "no average")
show(fig, alt="Left: a falling curve, and one that turns flat far above it. "
              "Right: the average lies below the weights.")

# %% [markdown]
# **Figure 5.** Left: the high rate (orange) is no disaster at first sight. Then it stays flat, far above the other.
# *The symptom*: a loss that stops falling early. Right (mind the axis, it is stretched): the tiny model is far from finished, and both curves
# fall. But at the full rate the weights jump about with every step, and their average (orange) has the lower loss.
# At the end of a full schedule the rate is nearly 0, and the difference vanishes. *The symptom*: none, in the loss of the
# weights alone. You see what is lost only if you plot the average, too.

# %% tags=["claim"]
assert hasty[1][-1] > max(1.5 * right[1][-1], 0.9 * hasty[1][-4])  # far above, and flat
assert sum(averaged[2:]) < sum(raw[2:])
assert abs(right[1][-1] - right[2][-1]) < 0.05 * right[1][-1]  # at the end of a schedule

# %% [markdown]
# The wrong time comes next: fifty digits with the labels 0, 1, …, 9, 0, …, by the sampler DDIM of notebook 08.

# %% tags=["nbval-ignore-output"]
right_time = guided(as_denoiser(trained, schedule), guidance_weight=0.5)
wrong_time = told_too_early(right_time)
made = {name: draw(denoiser, torch.arange(50) % 10, ddim, spaced(1000, 20), seed=3)
        for name, denoiser in {"right": right_time, "off by one": wrong_time}.items()}
grey = {name: (digits[:, :, :4] + 1).abs().mean().item() for name, digits in made.items()}
print(f"mean grey in the four rows above the digits, which should be black: "
      f"{grey['right']:.3f} and {grey['off by one']:.3f}")

# %% tags=["figure", "nbval-ignore-output"]
show(mosaic(torch.cat([made["right"][:10], made["off by one"][:10]]), columns=10),
     alt="Two rows of ten digits; the upper row is nearly free of grains, "
         "the lower one is covered with them.")

# %% [markdown]
# **Figure 6.** Above, the denoiser is told the right time; below, the time of the next step. *The symptom*: grains that stay. What
# the network does not know to be noise, it takes for a part of the image, and keeps. No loss shows this failure: the training was
# right, and only the sampler is wrong.

# %% tags=["claim"]
assert grey["off by one"] > 1.5 * grey["right"]

# %% [markdown]
# ## 8 · Where the time goes
#
# Before you make something faster, measure. PyTorch's **profiler** notes each operation of a step and how long it took.
# We add up the time of those that belong to convolution, forward and backward, and compare.

# %% tags=["nbval-ignore-output"]
probe = train_on_digits(start(Recipe(steps=100)))
for _ in range(3):  # the first steps also set things up
    next(probe)
os.environ["KINETO_LOG_LEVEL"] = "99"  # the profiler writes notes to itself
with profile() as measured:
    next(probe)
operations = sorted(measured.key_averages(), key=lambda operation: -operation.self_cpu_time_total)
total = sum(operation.self_cpu_time_total for operation in operations)
for operation in operations[:6]:
    share = operation.self_cpu_time_total / total
    print(f"{operation.key[:44]:44} {share:5.0%} {operation.count:5} calls")

# %% tags=["claim"]
spent = {operation.key: operation.self_cpu_time_total / total for operation in operations}
convolution = sum(share for key, share in spent.items() if "convolution" in key)
assert convolution > max(share for key, share in spent.items() if "convolution" not in key)

# %% [markdown]
# How to read the table: convolutions take the largest part, and of them mostly the backward pass, which has twice the
# work to do. That is as it should be: the processor spends its time on what the network is made of. (`aten::mm`, matrix
# products in hundreds of calls, is mostly equation (3).) If the first line were copies or conversions (`aten::copy_`),
# or thousands of calls that take little each, there would be something to gain. Several parts of this course's code are
# there for speed, among them memory in the order "channels last", four pixels in the channels of one place, and one
# call that averages all weights.
#
# ## Exercises
#
# ### Exercise 1 (warm-up): one step of the average
#
# Return the new average by equation (4), and leave the old one as it is.

# %% tags=["exercise"]
def new_average(average, weight, step, decay):
    """Equation (4). average, weight: tensors of one shape; step: int; decay: μ_max.

    Returns a new tensor.
    """
    raise NotImplementedError


# %% tags=["check"]
check_average(new_average)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# Compute $\mu$ first. It is the share of the *old* average.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def new_average(average, weight, step, decay):
#     mu = min(decay, (1 + step) / (10 + step))
#     return mu * average + (1 - mu) * weight
# ```
# </details>

# %% [markdown]
# ### Exercise 2 (core): leave out labels
#
# Replace each label, by a draw of its own, with the null label.

# %% tags=["exercise"]
def drop_labels(label, null_label, p, generator):
    """label: int64 (n,). Returns a copy: each label is null_label with probability p, by itself."""
    raise NotImplementedError


# %% tags=["check"]
check_drop_labels(drop_labels)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# `torch.rand(n, generator=generator) < p` is true with probability p, for each entry alone. `masked_fill` returns a copy.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def drop_labels(label, null_label, p, generator):
#     dropped = torch.rand(len(label), generator=generator) < p
#     return label.masked_fill(dropped, null_label)
# ```
# </details>

# %% [markdown]
# ### Exercise 3 (core): one time in each stretch
#
# There is another way to spread times: cut the chain $1 \dots T$ into $n$ stretches of equal length, and draw one time
# in each, with a random number of its own: $t_i = 1 + \lfloor T\,(i + u_i)/n \rfloor$ for $i = 0, \dots, n-1$. When you
# have it, draw 500 batches of 32 times as the cell with `jitter` in section 1 does, and look at the standard deviation of
# the means of $\bar\alpha_t$. Are they as steady as with (1)?

# %% tags=["exercise"]
def stratified_times(n, T, generator):
    """Times from 1…T, the i-th in the i-th of n equal stretches. Returns int64 (n,)."""
    raise NotImplementedError


# %% tags=["check"]
check_stratified_times(stratified_times)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# `torch.arange(n) + torch.rand(n, generator=generator, dtype=torch.float64)` is one number in each of $[0, 1), [1, 2), \dots$
# `.long()` rounds positive numbers down.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def stratified_times(n, T, generator):
#     u = torch.rand(n, generator=generator, dtype=torch.float64)
#     return (T * (torch.arange(n) + u) / n).long().clamp(max=T - 1) + 1
# ```
#
# The mean is steadier still than with (1): about 0.0018 against 0.0090 (and 0.062 if each is drawn by itself). With one
# $u$ all times move the same way; with many, the moves cancel. The course stays with (1) all the same: what jumps in
# the loss of a batch is then mostly its images and its noise, which neither can steady.
# </details>

# %% [markdown]
# ### Exercise 4 (hard): one training step, in the right order
#
# Two weights in one tensor, one optimiser, and a function that computes the loss. The tensor may carry a gradient from
# before. So clear it first, and not last as in section 3.

# %% tags=["exercise"]
def train_step(weight, loss_of, optimizer):
    """Take one step with the gradient clipped to length 1. weight: (2,).

    loss_of: a function without arguments that returns the loss, a tensor of shape ().
    Returns the loss as a float.
    """
    raise NotImplementedError


# %% tags=["check"]
check_train_step(train_step)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# Four calls between computing the loss and returning it: `optimizer.zero_grad()`, `loss.backward()`,
# `torch.nn.utils.clip_grad_norm_([weight], 1.0)`, `optimizer.step()`. What does each need to have happened before?
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def train_step(weight, loss_of, optimizer):
#     loss = loss_of()
#     optimizer.zero_grad()
#     loss.backward()
#     torch.nn.utils.clip_grad_norm_([weight], 1.0)
#     optimizer.step()
#     return loss.item()
# ```
# </details>

# %% [markdown]
# ## A common mistake
#
# `average = network` makes no second network. It gives the first one a second name. All goes well: no error, samples,
# a falling loss. But the "average" is at each moment the network itself, and `update_average` averages it with itself.

# %%
network = tiny()
right = copy.deepcopy(network)
wrong = network
for weight in network.parameters():  # a training step, of a kind
    weight.data += 1.0
for average in (right, wrong):
    update_average(average, network, step=1000, decay=0.99)
behind = {name: (network.leave[0].weight - average.leave[0].weight).mean().item()
          for name, average in {"deepcopy": right, "same object": wrong}.items()}
print(f"after the weights moved by 1, the average is behind by "
      f"{behind['deepcopy']:.2f} (deepcopy), {behind['same object']:.2f} (same object)")

# %% tags=["claim"]
assert abs(behind["deepcopy"] - 0.99) < 1e-4
assert behind["same object"] == 0

# %% [markdown]
# *The symptom*: weights and average are equal, to the last bit, in the middle of training. *The test*: compare them after ten
# steps; they must differ. The remedy is `copy.deepcopy`.
#
# ## Summary
#
# - The loss of a batch is the mean square error of $v$, at times spread over the chain, with one label in ten left out.
# - The optimiser decides how far each direction goes; the rate warms up and comes down; the average smooths what is left.
# - A set of digits is judged by label accuracy and by a distance that is read beside its floor.
# - A run is its weights and all the state around them. Saved whole, it goes on bit by bit.
# - Too high a rate: a flat loss. No average: at the full rate, more loss. A wrong time: grains. And measure before you speed up.
#
# From now on: `from diffusion_lab.training.loop import start, train`, and `Recipe` from
# `diffusion_lab.training.recipe`.
#
# ## Check yourself
#
# <details><summary>Your loss has not changed for half of the run. Should you stop?</summary>
#
# Not for that reason. The curve in Figure 4 is nearly flat for half of its length, and that alone says nothing about
# the digits. Look at many samples, or at the distance beside its floor.
# </details>
#
# <details><summary>A friend reports a Fréchet distance of 1.6. Is that good?</summary>
#
# Nobody can say without the floor, which depends on the judge and on the number of images. Ask for both.
# </details>
#
# <details><summary>Why must the random generator be part of a checkpoint?</summary>
#
# Because times and noise come from it. A resumed run that starts it anew sees the noise of the first steps again. It
# would train, but it would not be the same run.
# </details>
#
# ## Further reading
#
# - Ho, Jain & Abbeel (2020), *Denoising Diffusion Probabilistic Models*, appendix B: what they trained, with what, how long.
# - Kingma et al. (2021), *Variational Diffusion Models*, appendix I.1: our (1), and how much it steadies the loss.
# - Ho & Salimans (2022), *Classifier-Free Diffusion Guidance*, algorithm 1: training with labels left out.
# - Jordan et al. (2024), *Muon: An optimizer for hidden layers in neural networks*: our (3), and where its numbers come from.
# - Karras et al. (2024), *Analyzing and Improving the Training Dynamics of Diffusion Models*, section 3: how long an average
#   should be, found out after training.
# - Heusel et al. (2017), *GANs Trained by a Two Time-Scale Update Rule*, eq. 6: the Fréchet distance.
#
# ## Next
#
# Notebook 08 takes your network and asks how few steps it takes to draw with it.
