# %% [markdown]
# # Train a network that draws digits
#
# Further down is a cell that trains. When you start it, your computer holds a few hundred thousand random numbers; asked for
# a digit, they draw noise. Look at the clock. A while later you see digits that nobody has ever written. This notebook is
# about that while, and about finding out whether they are any good.

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

import ipywidgets as widgets
import torch
from torch import nn
from tqdm import tqdm

from diffusion_lab.data.augment import shifted
from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation.distances import distance_to_test
from diffusion_lab.evaluation.judge import load_judge, read_digits
from diffusion_lab.evaluation.memorisation import nearest
from diffusion_lab.evaluation.report import Rulers
from diffusion_lab.exercises import train as exercise
from diffusion_lab.networks.unet import UNet
from diffusion_lab.sampling.chain import draw, spaced, spaced_in_log_snr
from diffusion_lab.sampling.ddim import ddim
from diffusion_lab.sampling.denoiser import as_denoiser
from diffusion_lab.sampling.dpm_solver import dpm_solver
from diffusion_lab.sampling.guidance import guided
from diffusion_lab.theory.denoiser import Denoiser
from diffusion_lab.theory.forward import noise_like, q_sample
from diffusion_lab.theory.parameterization import v_from_x_0
from diffusion_lab.theory.schedule import at, cosine
from diffusion_lab.training.muon import Muon
from diffusion_lab.training.runs import load_run, save_run
from diffusion_lab.view.frames import painter
from diffusion_lab.view.live import Live
from diffusion_lab.view.pictures import mosaic
from diffusion_lab.view.plots import curves, gallery
from diffusion_lab.view.scrubber import Scrubber
from diffusion_lab.view.show import Watch, show
from diffusion_lab.view.style import BLACK, BLUE, GREY, ORANGE, ROLES, figure
from diffusion_lab.weights.pretrained import load_network

# %% [markdown]
# In a hurry, or on Binder? Write `TRAIN = False`, or start Jupyter with `DIFFUSION_LAB_SHIPPED=1`: the shipped weights then
# stand in for yours.

# %%
TRAIN = os.environ.get("DIFFUSION_LAB_SHIPPED") != "1"

schedule = cosine()
generator = torch.Generator().manual_seed(0)
images, labels = load_digits("train")
test_images, test_labels = load_digits("test")
judge = load_judge()
shipped = load_network("mnist")

# %% tags=["figure"]
# draws eight exercises of the network's homework, with the answers that are wanted
page = torch.stack([(labels == kind).nonzero()[0, 0] for kind in (5, 2, 8, 6, 0, 3, 1, 9)])
times_of_page = torch.tensor([60, 190, 310, 440, 570, 690, 820, 940])
clean = images[page]
seen_by_it = q_sample(clean, times_of_page, noise_like(clean, torch.Generator().manual_seed(4)), schedule)
wanted = v_from_x_0(seen_by_it, clean, times_of_page, schedule)
names = [f"{label}, t = {t}" for label, t in zip(labels[page].tolist(), times_of_page.tolist())]
names[3] = "any, t = 440"
fig = gallery({"what it sees": seen_by_it / 1.6, "what it should say": wanted / 1.6}, below=names, size=1.2)
show(
    fig,
    alt="Two rows of eight pictures. Upper: a digit with more and more noise from left to right. Lower: the answers, noise at "
    "the left, the negative of a digit at the right.",
)

# %% [markdown]
# **Figure 1.** A page of homework. Above: noisy digits, each with its label and its time. Below: the right answers, $v$. Under
# little noise the network is asked for the noise, under much for the digit in negative. In the fourth column it is not told which digit it is.
#
# You will be able to
#
# - **write** the loss of a batch, and the loop that lowers it,
# - **train** a U-Net, and watch its digits grow,
# - **judge** what it draws beside a floor, by more than one ruler,
# - **tell** a network that has learned from one that remembers,
# - **recognise** what usually goes wrong by how it looks.
#
# **You need** notebook 05. Notebook 06 built the network; here you may take it as given. **Time to read** 60 minutes, with core
# exercises 100, with everything 125 · **to run** 4 minutes. **Paper sections**: Ho et al. 2020, section 3.4, appendix B; Ho &
# Salimans 2022, section 3.
#
# ## Predict first
#
# You will draw ten digits again and again while the network learns. What comes first: the black background, the strokes, or shapes
# that one can read? How long until most can be read: ten seconds, one minute, two?
#
# Later the network practises on a hundred digits only. Will its training loss then end higher, or lower?
#
# ## 1 · One page of homework
#
# A **batch** is a page such as Figure 1. Draw images, times and noise, jump to $x_t$, ask for $v$, and take the mean square of the
# errors over all $d=784$ pixels. Notebook 05 did this with points. Two things are new.
#
# **The times are spread.** The loss is large at some times and small at others. If the times of a batch happen to crowd at
# one end, its loss is high or low for that alone. So draw one number $u$, and turn by it a clock with $n$ hands at equal distances:
#
# $$ t_i = 1 + \Big\lfloor T\big((u + i/n) \bmod 1\big) \Big\rfloor, \qquad u \sim \mathrm{uniform}(0, 1),\quad i = 0, \dots, n-1 \tag{1} $$
#
# Each hand alone still points anywhere, so the average loss is what it was.
#
# **Labels are sometimes left out.** In one example out of ten the network gets the **null label**, which means "any". So it
# learns two things: the digits of each kind, and digits at large. Notebook 08 uses the difference of the two, and calls it guidance.
#
# $$ L = \mathbb E\,\tfrac1d\,\big\| v - v_\theta(x_t, t, \mathrm{label}) \big\|^2 \tag{2} $$

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
# Before you train, know the first number that should appear. The U-Net, notebook 06's network from images to images, begins by answering 0 (its last layer starts at 0), so its loss is the mean of
# $v^2=(\sqrt{\bar\alpha_t}\,\varepsilon-\sqrt{1-\bar\alpha_t}\,x_0)^2$. The noise has variance 1 and knows nothing of the image.
# That leaves $\mathbb E[\bar\alpha_t]+\mathbb E[1-\bar\alpha_t]\,\mathbb E[x_0^2]$.

# %% tags=["check"]
untrained = UNet(fine=16, coarse=16)
pages = torch.randint(4000, (40, 64), generator=generator)
mean_alpha_bar = schedule.alpha_bar[1:].mean().item()
expected = mean_alpha_bar + (1 - mean_alpha_bar) * images.square().mean().item()
found = torch.stack([objective(untrained, (images[i], labels[i]), generator, schedule)
                     for i in pages]).detach()
assert abs(found.mean() - expected) < 4 * found.std() / 40**0.5
print(f"the loss of a network that answers 0: expected {expected:.2f}, found {found.mean():.2f}")

# %% tags=["check"]
jitter = {}
for times in (uniform_times, spread_times):
    means = [schedule.alpha_bar[times(32, schedule, generator)].mean() for _ in range(500)]
    jitter[times] = torch.stack(means).std().item()
assert jitter[uniform_times] > 5 * jitter[spread_times]
print("the mean of ᾱ over a batch: more than five times steadier with spread times")

# %% tags=["claim"]
# checks what the text says about times: each alone is uniform, and neighbours are T/n apart
many = torch.stack([spread_times(8, cosine(10), torch.Generator().manual_seed(k)) for k in range(5000)])
share = torch.stack([(many == t).double().mean(dim=0) for t in range(1, 11)])
assert abs(share - 0.1).max() < 5 * (0.1 * 0.9 / 5000) ** 0.5
assert abs(spread_times(8, schedule, torch.Generator().manual_seed(1)).sort().values.diff() - 125).max() <= 1

# %% [markdown]
# ## 2 · Many small steps
#
# The gradient says in which direction the loss falls, and not how far to go. That is the **learning rate**, and no
# other number spoils so many trainings.
#
# **Try it.** Two weights in a long valley, and a gradient that is a little wrong each time. Try small rates and large ones. Let the
# rate fall to 0. And look at the thick line, the *average* of the weights: what does it buy you, and when does it do harm?

# %% tags=["figure"]
# draws two weights on their way down a valley, and their average
def valley():
    """A picture for a rate, its fall, and the memory of the average."""
    steep = torch.tensor([1.0, 20.0])
    wrong_by = 3 * torch.randn(300, 2, generator=torch.Generator().manual_seed(5))
    fig, (ax, right) = figure(columns=2, width=11, height=4.4)
    x, y = torch.meshgrid(torch.linspace(-5, 2, 80), torch.linspace(-2, 2, 80), indexing="xy")
    ax.contour(x, y, (steep[0] * x**2 + steep[1] * y**2) / 2, levels=[0.3, 1, 3, 8, 20, 40], colors="#bbbbbb",
               linewidths=0.8)
    ax.plot(0, 0, "x", color=BLACK, markersize=11)
    path = ax.plot([], [], color=GREY, linewidth=0.9, label="the weights")[0]
    mean_path = ax.plot([], [], color=ORANGE, linewidth=2.6, label="their average")[0]
    ends = ax.plot([], [], "o", color=ORANGE, markersize=8, zorder=5)[0]
    ax.set(xlim=(-5, 2), ylim=(-2, 2), xlabel="one weight", ylabel="another")
    ax.legend(loc="lower right")
    loss = right.plot([], [], color=GREY, linewidth=0.9)[0]
    mean_loss = right.plot([], [], color=ORANGE, linewidth=2.6)[0]
    right.set(xlim=(0, 300), ylim=(1e-3, 1e2), yscale="log", xlabel="step", ylabel="loss")
    paint = painter(fig, [path, mean_path, ends, loss, mean_loss])

    def draw_valley(peak, falls, memory):
        w = torch.tensor([-4.2, 1.3])
        mean = w.clone()
        seen = [torch.stack([w, mean])]
        for k in range(300):
            now = peak * (0.5 * (1 + math.cos(math.pi * k / 300)) if falls else 1)
            w = (w - now * (steep * w + wrong_by[k])).clamp(-1e3, 1e3)
            mean = mean + (w - mean) / memory
            seen.append(torch.stack([w, mean]))
        ways = torch.stack(seen, dim=1)
        heights = (ways**2 * steep).sum(dim=2) / 2
        for line, way in ((path, ways[0]), (mean_path, ways[1])):
            line.set_data(*way.T)
        ends.set_data(ways[1, -1:, 0], ways[1, -1:, 1])
        for line, height in ((loss, heights[0]), (mean_loss, heights[1])):
            line.set_data(range(301), height)
        return paint()

    return draw_valley

Live(
    valley(),
    caption="Steps down a noisy valley. The controls move the learning rate, whether it falls to 0, and how many steps the "
    "average remembers.",
    alt="Left: grey jagged path and orange smooth path in a long valley of contour lines. Right: the loss of both over 300 "
    "steps, the orange one lower.",
    peak=widgets.SelectionSlider(value=0.06, options=[0.002, 0.006, 0.02, 0.04, 0.06, 0.09, 0.102], description="rate"),
    falls=widgets.Checkbox(value=False, description="it falls to 0"),
    memory=widgets.SelectionSlider(value=30, options=[1, 3, 10, 30, 100, 300], description="memory"),
)

# %% [markdown]
# Too small, and you never arrive. Too large, and you leap from wall to wall, or out of the valley. In between you arrive, and
# then jitter around the goal, unless the rate comes down or you take the average. And an average that remembers too long drags
# the start along.
#
# So we do three things. In the first steps, the **warm-up**, the rate rises in a straight line, since the first gradients come
# from random weights. Then it falls along half a cosine. And beside the weights $\theta$ we keep their **exponential moving
# average** (EMA) $\bar\theta$, with which we draw. At step $k=0,1,\dots$
#
# $$ \bar\theta \leftarrow \mu\,\bar\theta + (1-\mu)\,\theta, \qquad \mu = \min\!\Big(\mu_{\max},\ \frac{1+k}{10+k}\Big) \tag{3} $$
#
# At first $\mu$ is small, so that the random start is soon forgotten; while it grows, the average remembers about a ninth of the steps so
# far. All that decides how the weights move stands in one small
# object, the **recipe**.

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

# %% tags=["export:diffusion_lab.training.average"]
@torch.no_grad()
def update_average(average, network, step, decay):
    """Equation (3), for all weights at once."""
    mu = min(decay, (1 + step) / (10 + step))
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - mu)

# %% [markdown]
# Who takes the step? The usual **optimiser**, Adam, divides each weight's gradient by its typical size, so that steep directions
# and flat ones move alike. We use it for vectors and for both ends of the network. For the matrices in between there is another
# rule, *Muon*, which looks at a matrix as a whole and evens out its directions. Here it is a black box from the package.
# Notebook 09 opens it, and shows what it gains.
#
# A **run** is everything that training changes: weights, average, the optimisers' memory, the random generator, the step.

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
FACTS = {"data": "digits", "schedule": "cosine", "T": 1000, "predicts": "v"}

@dataclass
class Run:
    """A training run at some step: all that is needed to go on as if it had never stopped."""

    recipe: Recipe
    network: torch.nn.Module
    facts: dict = field(default_factory=FACTS.copy)
    step: int = 0

    def __post_init__(self):
        # An order in memory in which many machines convolve faster (notebook 09 measures it).
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
# And this is the loop, the heart of the notebook: loss, gradient, step, average. One thing stands in between. The gradient is
# **clipped**: a norm above 1, over all its numbers together, is shortened to 1, so that one odd batch does not
# outweigh the others. The loop is a generator. After each step it hands out what happened, and waits.

# %% tags=["export:diffusion_lab.training.loop"]
class Progress(NamedTuple):
    """Steps done, loss, the gradient's norm before clipping, share of the peak rate."""

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
# ### Deeper: which images a step sees
#
# In each **epoch**, one pass over all images, the order is drawn anew. Often one lets a data loader do this, and its state is
# then hidden somewhere. Here a batch is a function of the step alone: the epoch's number seeds the order. So a run that was
# stopped at step 700 goes on with the very images that it would have seen. `augment` moves some images by a pixel; here it
# is 0.

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

# %% [markdown]
# One epoch meets each image once; the next meets the same images in another order.

# %% tags=["check"]
one_epoch = [batch_at(step, 4000, Recipe()) for step in range(125)]
assert torch.equal(torch.cat(one_epoch).sort().values, torch.arange(4000))
assert not torch.equal(one_epoch[0], batch_at(125, 4000, Recipe()))
print("125 batches of 32: each of the 4,000 images once")

# %% [markdown]
# ## 3 · One minute
#
# `drawn_by` draws from the same noise each time, by ten steps along the smooth path of notebook 03; notebook 08 explains its sampler. (The
# guidance pushes
# towards the label: 0 is off, much is cleaner and less varied.) The rate comes down along a curve whose end must be
# known beforehand. So `steps_that_fit` tries twenty steps, and says how many fit into some seconds on your machine:
# at least 300, which a slow one may need some minutes for.

# %%
def drawn_by(network, labels, seed=1):
    """One digit for each label, always from the same noise: float32 (n, 1, 28, 28)."""
    denoiser = guided(as_denoiser(network, schedule), guidance_weight=0.5)
    return draw(denoiser, labels, dpm_solver, spaced_in_log_snr(schedule, 10), seed)

def train_on_digits(run):
    """Take the run to its last step on the 4,000 digits, as `train` does."""
    return train(run, batches_of(images, labels, run.recipe), partial(objective, schedule=schedule))

def steps_that_fit(seconds, least=300, most=2000, trial=20):
    """How many steps of the recipe this machine takes in so many seconds, within least…most."""
    steps = train_on_digits(start(Recipe()))
    for _ in range(3):  # the first steps also set things up
        next(steps)
    begin = perf_counter()
    for _ in range(trial):
        next(steps)
    return max(least, min(most, round(seconds * trial / (perf_counter() - begin))))

# %% [markdown]
# Now start the next cell, and watch: below the bar stand ten digits, as your network draws them at that moment.

# %% tags=["nbval-ignore-output"]
run = start(Recipe(steps=steps_that_fit(80) if TRAIN else 20))
every = 1 if TRAIN else 5
watched = {round(run.recipe.steps * (k / 20) ** 2) for k in range(0, 21, every)}  # close at first
kinds = torch.arange(10)
losses = []
grown = [drawn_by(run.average, kinds)]
moments = [(0, 0.0)]
stages = [copy.deepcopy(run.average)]
watch = Watch("Ten digits, drawn by the network in its present state.")
bar = tqdm(train_on_digits(run), total=run.recipe.steps, file=sys.stdout, leave=False)
for progress in bar:
    losses.append(progress.loss)
    bar.set_postfix(loss=f"{progress.loss:.3f}", refresh=False)
    if progress.step in watched:
        grown.append(drawn_by(run.average, kinds))
        moments.append((progress.step, bar.format_dict["elapsed"]))
        stages.append(copy.deepcopy(run.average))
        watch.show(mosaic(grown[-1]))
trained = run.average if TRAIN else shipped
readable = [(read_digits(judge, digits) == kinds).sum().item() for digits in grown]
first_eight = min((time for (_, time), n in zip(moments, readable) if n >= 8), default=math.inf)
print(f"{run.step} steps in {moments[-1][1]:.0f} seconds, with the time to draw")
print(f"eight of the ten could be read after {first_eight:.0f} seconds")

# %% [markdown]
# **Figure 2.** The digits 0 to 9 at the end of the training. Whether one can be read is said by a **judge**, a small network that was trained to read digits.
#
# **Try it.** Scrub through the training. When can you read the first digit? Which is the last? And look at the background.

# %% tags=["figure", "nbval-ignore-output"]
# draws the digits of all moments, to be scrubbed through
Scrubber(
    [mosaic(digits) for digits in grown],
    labels=[f"after {step} steps, {seconds:.0f} s" for step, seconds in moments],
    caption="Ten digits over training, always from the same noise.",
    alt="Ten squares that hold grey noise at first, then blurred strokes on black, then digits from 0 to 9.",
)

# %% [markdown]
# The background is black early, then come strokes, of the right width and in no order, and last the shapes. The
# network learns first what all digits share, and then what tells them apart.

# %% tags=["claim"]
# checks what the text says: the background is black half-way, the strokes long before the shapes
background = [(digits[:, :, :3] + 1).abs().mean().item() for digits in grown]  # three upper rows
if TRAIN:
    assert background[10] < 0.25 * background[0]
    assert readable[-1] >= 5

# %% [markdown]
# Keep it: `save_run("my-run", run)`, in a cell of your own, puts the whole run into one file, and `load_pretrained("my-run")` draws
# with it in notebook 08. A run that was stopped goes on from there, to the last bit; notebook 09 shows how.

# %% tags=["check"]
folder = tempfile.mkdtemp()
save_run(folder, run)
again = load_run(folder, start(run.recipe))
assert again.step == run.step
assert all(torch.equal(a, b) for a, b in zip(again.average.parameters(), run.average.parameters()))
print("saved and loaded: the same step, the same weights")

# %% [markdown]
# ## 4 · How low could the loss go?
#
# In notebook 05 theory drew a line under the loss curve. For all the digits that people might ever write, nobody knows that
# line. But for *these* 4,000 we do know the lowest loss there is. It belongs to the memoriser, equation (6) of notebook 05.
# (Told the label, it compares with the digits of that label alone.)

# %% tags=["check"]
class Memoriser(nn.Module):
    """The exact denoiser of a training set, asked like a network: (x_t, t, label) → v."""

    null_label = 10

    def __init__(self, known, names):
        super().__init__()
        self.known = known.flatten(1).double()
        self.names = names

    def forward(self, x_t, t, label=None):
        a = at(schedule.alpha_bar, t, like=x_t.flatten(1))
        x = x_t.flatten(1).double()
        half = self.known.square().sum(dim=1) / 2
        logits = (a.sqrt() * (x @ self.known.T) - a * half) / (1 - a)
        if label is not None:
            label = torch.as_tensor(label).expand(len(x))[:, None]
            logits = logits.masked_fill((label != self.names) & (label != 10), -torch.inf)
        x_0_hat = torch.softmax(logits, dim=1) @ self.known
        return v_from_x_0(x, x_0_hat, t, schedule).to(x_t.dtype).reshape(x_t.shape)

@torch.no_grad()
def loss_on(network, x_0, label):
    """The loss (2) on some digits, all with their labels, at the same times and noise each time."""
    fixed = torch.Generator().manual_seed(9)
    return objective(network, (x_0, label), fixed, schedule, drop=0.0).item()

memoriser = Memoriser(images, labels)
fixed = torch.Generator().manual_seed(0)
eight = [objective(memoriser, (images[i::8], labels[i::8]), fixed, schedule) for i in range(8)]
lowest = torch.stack(eight).mean().item()
assert 0.03 < lowest < 0.04
print(f"the lowest loss there is on the 4,000, measured as in training: {lowest:.3f}")

# %% tags=["nbval-ignore-output"]
yours = {"training": loss_on(trained, images[:500], labels[:500]),
         "test": loss_on(trained, test_images[:500], test_labels[:500])}
print(f"your network: {yours['training']:.3f} on training digits, "
      f"{yours['test']:.3f} on test digits")

# %% [markdown]
# And what is drawn meanwhile? Two judges say how far it is from real digits (section 5 tells how); 1 is what real ones have.

# %% tags=["nbval-ignore-output"]
of_100 = Rulers((test_images, test_labels), (images, labels), 100)

def floors_away(network):
    """The distances of 100 drawn digits, by both judges, over those of 100 real ones."""
    digits = drawn_by(network, torch.arange(100) % 10, seed=2)
    return [distance_to_test(digits, by, test_images) / of_100.floor[name][0]
            for name, by in of_100.judges.items()]

away = {moments[k][0]: floors_away(stages[k]) for k in range(0, len(stages), 4)}

# %% tags=["figure", "nbval-ignore-output"]
# draws the loss of each batch over the line of the memoriser, and the distance of the digits over the training
fig, (left, right) = figure(columns=2, width=11, height=4)
steps = range(1, len(losses) + 1)
left.plot(steps, losses, color="#E5A27A", linewidth=0.9, label="each batch")
width = min(30, len(losses))
smooth = torch.tensor(losses).unfold(0, width, 1).mean(dim=1)
left.plot(range(width, len(losses) + 1), smooth, label="mean of 30", **ROLES["model"])
left.plot(len(losses), yours["test"], "o", color=BLUE, markersize=9, label="test digits, at the end", clip_on=False, zorder=5)
left.axhline(lowest, **ROLES["exact"], label="the memoriser of the 4,000")
left.set(yscale="log", ylim=(0.02, 1.3), xlabel="step", ylabel="loss")
left.set_yticks([0.03, 0.1, 0.3, 1], ["0.03", "0.1", "0.3", "1"])
left.legend(loc="upper right")
for which, (name, marker, colour, style) in enumerate((("first judge", "o", ORANGE, "-"), ("second judge", "^", GREY, ":"))):
    right.plot(list(away), [both[which] for both in away.values()], color=colour, marker=marker, markersize=7, linestyle=style,
               linewidth=2.4, label=name)
right.axhline(1, **ROLES["exact"], label="real digits")
right.set(yscale="log", xlabel="step", ylabel="distance / floor")
right.set_yticks([1, 3, 10, 30, 100, 300, 1000], ["1", "3", "10", "30", "100", "300", "1000"])
right.minorticks_off()
right.legend()
show(
    fig,
    alt="Left: a ragged orange loss falls fast, then slowly, and stays well above a dashed line at 0.03; a blue dot for test digits "
    "lies on its end. Right: two distances fall from hundreds towards a dashed line at 1, and still do at the end.",
)

# %% [markdown]
# **Figure 3.** Left: the loss of each batch, and the dashed line that no denoiser can cross on these digits, both with one label in ten
# left out. The blue dot is the
# loss on digits that the network has never seen. Right: how far 100 drawn digits are from real ones.
#
# After a third of the time nearly all of the fall on the left is done. But look right: the digits still come nearer. A
# loss curve cannot tell you when to stop.
#
# And the dashed line is far below. Should you wish to get there? The blue dot says no: your network does as well on new digits as
# on those that it knows, for it has met each of these only some ten times.

# %% tags=["claim"]
# checks what the text says: most of the fall is early, the floor is far below, test as good as training
assert loss_on(trained, test_images[:500], test_labels[:500]) < 0.25
assert 2 * sum(p.numel() for p in run.network.parameters()) < sum(p.numel() for p in shipped.parameters())
if TRAIN:
    ends = [sum(losses[k : k + 20]) / 20 for k in (0, len(losses) // 3, len(losses) - 20)]
    assert ends[0] - ends[1] > 0.85 * (ends[0] - ends[2])
    a_third, at_the_end = (list(away.values())[k] for k in (3, 5))
    assert all(third > 1.3 * end for third, end in zip(a_third, at_the_end))
    assert yours["training"] > 2.5 * lowest
    assert yours["test"] < 1.15 * yours["training"]
assert 0.02 < loss_on(memoriser, images[:500], labels[:500]) < 0.045

# %% [markdown]
# ## 5 · Is it any good?
#
# Ten pictures are few. So let two judges look at a few hundred, since one ruler alone can be fooled. Each turns a digit into a list
# of numbers, its *features*. Four questions:
#
# - **Label accuracy**: how many does the judge read as what was asked for?
# - **Fréchet distance**: are the features distributed as those of real digits? Describe both sets by mean $m$ and covariance $C$,
#   and take the distance of the two Gaussians. It is 0 only if both agree; the last term compares the covariances:
#
# $$ F = \|m_a - m_b\|^2 + \operatorname{tr}\big(C_a + C_b - 2\,(C_aC_b)^{1/2}\big) \tag{4} $$
#
# - **Sharpness**: the power of the finest waves, over that of real digits.
# - **Variety**: how much digits of one kind differ, over real ones.
#
# A distance means nothing by itself. Even real digits have one, since a few hundred are only a sample: the **floor**. Read every
# distance as a multiple of it.

# %% tags=["nbval-ignore-output"]
n = 200
asked = torch.arange(n) % 10
rulers = Rulers((test_images, test_labels), (images, labels), n)
some = torch.stack([(labels == kind).nonzero()[: n // 10, 0] for kind in range(10)], dim=1)
sets = {"real digits": images[some.flatten()], "shipped weights": drawn_by(shipped, asked, seed=2)}
if TRAIN:
    sets["your network"] = drawn_by(trained, asked, seed=2)
table = {name: rulers.measure(digits, asked) for name, digits in sets.items()}
print("                   read as asked   distance / floor   sharpness   variety")
print("                   judge 1     2   judge 1     2")
for name, row in table.items():
    one, two = row["first"], row["second"]
    fine = sum(row["spectrum"][-5:]) / 5
    print(f"{name:17} {one['label_accuracy']:8.2f} {two['label_accuracy']:6.2f}"
          f" {one['times_floor']:9.1f} {two['times_floor']:6.1f}"
          f" {fine:10.2f} {one['variety_of_shapes']:9.2f}")

# %% tags=["claim"]
# checks what the text says: real digits lie at about the floor, and what is drawn above it
for name in ("first", "second"):
    assert 0.7 < table["real digits"][name]["times_floor"] < 1.4
    assert table["shipped weights"][name]["label_accuracy"] > 0.9
if TRAIN:
    enough = run.step >= 600  # a slow machine takes fewer steps: worse digits
    assert table["your network"]["first"]["label_accuracy"] > (0.8 if enough else 0.5)
    assert table["your network"]["first"]["times_floor"] < (15 if enough else 40)

# %% [markdown]
# Figure 3 found fewer floors, for with 100 digits the floor is higher: compare only at one number of digits. (All is drawn
# with guidance, which costs some variety.)
#
# The shipped weights had the same loop, a larger network, and far more time. In a terminal you can give yours more:
# `python -m diffusion_lab train --out my-run --steps 14000`.
#
# Who would win this table? Look at the first row. The memoriser draws training digits: it stands at the floor, and all it does is
# copy. No ruler here sees where a digit is from.
#
# **Try it.** Ask your own network for digits. Below each is the training digit most like it. Which kind does it draw best? Do you
# find a copy? What does a large guidance weight do?

# %% tags=["figure"]
# draws eight digits by the reader's network, and the nearest training digit of each
def on_demand():
    """A picture for a digit, a seed and a guidance weight."""
    fig, ax = figure(width=9.6, height=2.3)
    picture = ax.imshow(mosaic(torch.zeros(16, 1, 28, 28), columns=8), cmap="gray", vmin=0, vmax=255)
    ax.set(xticks=[])
    ax.set_yticks([45, 135], ["your network", "nearest\ntraining digit"])
    ax.tick_params(length=0)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    paint = painter(fig, [picture])

    def draw_some(digit, seed, weight):
        denoiser = guided(as_denoiser(trained, schedule), weight)
        kind = torch.full((8,), digit)
        made = draw(denoiser, kind, dpm_solver, spaced_in_log_snr(schedule, 10), seed)
        alike = images[nearest(made, images, shift=1).index]
        picture.set_data(mosaic(torch.cat([made, alike]), columns=8))
        return paint()

    return draw_some

Live(
    on_demand(),
    caption="Digits on demand, by your network. The sliders move the digit, the seed of the noise, and the guidance weight.",
    alt="Two rows of eight digits of one kind: drawn by the network above, and the nearest training digits below, which are "
    "similar and not the same.",
    digit=widgets.IntSlider(value=7, min=0, max=9, description="digit"),
    seed=widgets.IntSlider(value=1, min=0, max=50, description="seed"),
    weight=widgets.FloatSlider(value=0.5, min=0.0, max=4.0, step=0.5, description="guidance"),
)

# %% [markdown]
# ## 6 · Learned, or remembered?
#
# Only the loss on new digits can tell. Here is the exam of notebook 05, time by time, for *your* network.

# %% tags=["check"]
@torch.no_grad()
def loss_at(network, x_0, label, t):
    """The loss on v at one time t, always with the same noise: a float."""
    eps = noise_like(x_0, torch.Generator().manual_seed(t))
    x_t = q_sample(x_0, t, eps, schedule)
    v = v_from_x_0(x_t, x_0, t, schedule)
    answer = network(x_t, torch.full((len(x_0),), t), label)
    return (answer - v).square().mean().item()

exam_times = (50, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000)
known = images[:150], labels[:150]
new = test_images[:150], test_labels[:150]
exam = {(name, where): [loss_at(network, *pair, t) for t in exam_times]
        for name, network in {"memoriser": memoriser, "yours": trained}.items()
        for where, pair in {"known": known, "new": new}.items()}
k = exam_times.index(300)
assert exam["memoriser", "new"][k] > 100 * exam["memoriser", "known"][k]
assert abs(exam["yours", "new"][k] / exam["yours", "known"][k] - 1) < 0.25
print("at t = 300: the memoriser over a hundred times worse on new digits, your network not")

# %% tags=["figure", "nbval-ignore-output"]
# draws the loss over t of your network and of the memoriser, on known and on new digits
fig, ax = figure(width=8.6, height=4.2)
looks = {"yours": (ORANGE, "o", "your network"), "memoriser": (GREY, "s", "memoriser")}
for (name, where), values in exam.items():
    colour, marker, label = looks[name]
    ax.plot(exam_times, [max(value, 2e-3) for value in values], color=colour, marker=marker, markersize=5, linewidth=2.4,
            linestyle="-" if where == "known" else "--", label=f"{label}, {where} digits")
ax.set(yscale="log", ylim=(0.01, 20), xlabel="$t$", ylabel="loss on $v$")
ax.set_yticks([0.01, 0.1, 1, 10], ["0.01", "0.1", "1", "10"])
ax.legend(loc="upper right")
show(
    fig,
    alt="Loss over t. The two orange lines of the network lie together near 0.1. The grey lines of the memoriser part: below the "
    "frame on known digits, up to 10 on new ones for small t; all meet at t = 1000.",
)

# %% [markdown]
# **Figure 4.** Solid: training digits. Dashed: test digits. Your two lines lie together; the memoriser's part by factors of
# hundreds. Only where nearly all is noise are the four alike: there nobody knows much.

# %% tags=["claim"]
# checks what the text says: the network's lines together, the memoriser's apart, all alike at t = T
for k, t in enumerate(exam_times):
    if 100 <= t <= 500:
        assert exam["memoriser", "new"][k] > 100 * exam["memoriser", "known"][k]
        assert exam["memoriser", "new"][k] > 1.3 * exam["yours", "new"][k]
    assert 0.75 < exam["yours", "new"][k] / exam["yours", "known"][k] < 1.3
last_four = [values[-1] for values in exam.values()]
assert max(last_four) < 1.6 * min(last_four)

# %% [markdown]
# **Try it.** One test digit, noised. What do your network and the memoriser make of it? Set $t$ to 300 and go through the training:
# when is the guess as good as it will ever be? The same at 800. And when does the memoriser answer with somebody else's digit?

# %% tags=["figure"]
# draws a test digit, its noisy state, and two guesses, for a time, a moment of the training and a digit
def guesses():
    """A picture for a time, a moment of the training, and the number of a test digit."""
    asked = [as_denoiser(network, schedule) for network in stages]
    recall = as_denoiser(memoriser, schedule)
    noise = noise_like(test_images[:1], torch.Generator().manual_seed(6))
    fig, axes = figure(columns=4, width=10.4, height=3.3)
    pictures = []
    for ax, title in zip(axes, ("test digit", "with noise", "your network's guess", "the memoriser's guess")):
        pictures.append(ax.imshow(torch.zeros(28, 28), cmap="gray", vmin=-1, vmax=1))
        ax.set(xticks=[], yticks=[], title=title)
        ax.grid(False)
    for ax in axes:
        ax.set_xlabel(" ", fontsize=16)  # keeps room for the errors
    errors = [ax.text(0.5, -0.03, "", transform=ax.transAxes, ha="center", va="top", fontsize=11) for ax in axes[2:]]
    paint = painter(fig, [*pictures, *errors])

    def draw_guesses(t, stage, which):
        x_0, label = test_images[which][None], test_labels[which][None]
        x_t = q_sample(x_0, t, noise, schedule)
        with torch.no_grad():
            both = [asked[stage](x_t, t, label), recall(x_t, t, label)]
        for picture, image in zip(pictures, (x_0, x_t / x_t.abs().max() * 1.5, *both)):
            picture.set_data(image[0, 0])
        for text, guess in zip(errors, both):
            text.set_text(f"off by {(guess - x_0).norm():.1f}")
        return paint()

    return draw_guesses

Live(
    guesses(),
    caption="Two guesses of one test digit. The sliders move the time t, the moment of the training, and the digit.",
    alt="Four pictures: a test digit, the same under noise, the guess of the network, which is close to it, and the guess of the "
    "memoriser, which is another digit of the same kind.",
    t=widgets.IntSlider(value=500, min=20, max=1000, step=20, description="t"),
    stage=widgets.IntSlider(value=len(stages) - 1, min=0, max=len(stages) - 1, description="moment"),
    which=widgets.IntSlider(value=7, min=0, max=60, description="digit"),
)

# %% [markdown]
# So could a network become a memoriser, if it had to? Take the weights that come with the course, and begin a new run
# with them: the same loop, half the rate, and a hundred digits only, ten of each kind.

# %%
hundred = torch.cat([(labels == kind).nonzero()[:10, 0] for kind in range(10)])
few = images[hundred], labels[hundred]
floor_of_few = loss_on(Memoriser(*few), few[0].repeat(20, 1, 1, 1), few[1].repeat(20))
half_rate = Recipe(steps=200 if TRAIN else 20, lr=0.01, lr_rest=3e-3)

def practise(x_0, label):
    """Go on with these digits: the average, and {step: (loss on the hundred, on new digits)}."""
    pupil = Run(half_rate, copy.deepcopy(shipped).requires_grad_(True))
    found = {0: (loss_on(shipped, *few), loss_on(shipped, *new))}
    steps = train(pupil, batches_of(x_0, label, half_rate), partial(objective, schedule=schedule))
    for progress in tqdm(steps, total=half_rate.steps, file=sys.stdout, leave=False):
        if progress.step % 20 == 0:
            found[progress.step] = loss_on(pupil.average, *few), loss_on(pupil.average, *new)
    return pupil.average, found

# %% [markdown]
# To restart at such a rate shakes a finished network, whatever it practises on. So a second one practises on all 4,000, as a
# **control**.

# %% tags=["nbval-ignore-output"]
pupil, practice = practise(*few)
_, control = practise(images, labels)
before = practice[0]
after = practice[half_rate.steps]
of_the_control = control[half_rate.steps]
print(f"loss on the hundred: {before[0]:.3f} before, {after[0]:.3f} after; "
      f"on new digits: {before[1]:.3f} before, {after[1]:.3f} after")
print(f"the control, on new digits: {of_the_control[1]:.3f} after")

# %% tags=["figure", "nbval-ignore-output"]
# draws the two losses while the network practises on a hundred digits, and new digits for the control
fig, ax = figure(width=8.6, height=4.2)
further = list(practice)
ax.plot(further, [two[1] for two in practice.values()], label="new digits", **(ROLES["data"] | {"linewidth": 2.4}))
ax.plot(further, [two[1] for two in control.values()], color=BLUE, linestyle=":", linewidth=2.4, label="new digits, for the control")
ax.plot(further, [two[0] for two in practice.values()], label="the hundred digits", **ROLES["model"])
ax.annotate(f"far below: the memoriser of the hundred, {floor_of_few:.2f}", (0.6, 0.0), (0.6, 0.12), xycoords="axes fraction",
            arrowprops={"arrowstyle": "->"}, va="bottom", ha="center")
ax.set(xlabel="steps", ylabel="loss")
ax.margins(y=0.25)
ax.legend(loc="lower left")
show(
    fig,
    alt="Three curves that begin near the same height: that of the hundred digits falls; that of new digits rises, and for the "
    "control it rises less. An arrow points down to the memoriser, far below the frame.",
)

# %% [markdown]
# **Figure 5.** The two losses part, a little: the axis does not begin at 0. On the hundred the loss sinks, with far to go to their memoriser; on new digits it climbs.
# Dotted, the control: the restart alone explains a part of the climb, and not the rest. This is **overfitting**, and the answer
# to the second prediction: the lower training loss belongs to the worse network.

# %% tags=["claim"]
# checks what the text says: the losses part, one towards the memoriser, the other up, and more than the control
assert floor_of_few < lowest
if TRAIN:
    assert after[0] > floor_of_few
    assert after[0] < 0.95 * before[0]
    assert after[1] / after[0] > 1.1 * before[1] / before[0]
    assert after[1] > 1.02 * before[1]
    assert 0 < of_the_control[1] - before[1] < 0.7 * (after[1] - before[1])

# %% [markdown]
# And what does it draw now? From the same noise, before and after, with the nearest of the hundred below.

# %% tags=["nbval-ignore-output"]
forty = torch.arange(40) % 10
drawn = {"drawn before": drawn_by(shipped, forty, seed=5),
         "drawn after": drawn_by(pupil, forty, seed=5), "new digits": new[0]}
alike = {name: nearest(digits, few[0], shift=2) for name, digits in drawn.items()}
for name, found in alike.items():
    print(f"{name:13} mean distance to the nearest of the hundred {found.distance.mean():.1f}")

# %% tags=["figure", "nbval-ignore-output"]
# draws ten digits before and after, and the nearest of the hundred
rows = {"before": drawn["drawn before"], "after a hundred digits": drawn["drawn after"],
        "nearest of the hundred": few[0][alike["drawn after"].index]}
fig = gallery({name: digits[:10] for name, digits in rows.items()}, size=0.95)
show(
    fig,
    alt="Three rows of ten digits: drawn before, drawn after practice on a hundred digits, and the nearest of the hundred, which "
    "resemble the second row closely.",
)

# %% [markdown]
# **Figure 6.** The same noise, the same labels. Above, composed; in the middle, on average a little nearer to the hundred. That is a
# lean, and not yet a copy, whose distance would be 0. Only the loss on new digits, or the distance to the
# known ones, shows which way it goes.

# %% tags=["claim"]
# checks what the text says: what it draws afterwards lies nearer to the hundred
if TRAIN:
    assert alike["drawn after"].distance.mean() < alike["drawn before"].distance.mean()

# %% [markdown]
# ## 7 · What goes wrong, and how it looks
#
# A training that fails seldom says so.
#
# **A rate that is too high.** A tiny U-Net takes a hundred steps, once at a good rate, once at twenty times that.
#
# **A time that is off by one step of the sampler.** It goes from $t$ to $s$. The denoiser must be told $t$, the noise that is
# *in* its input. Here it is told $s$, 50 earlier.

# %%
def tiny():
    """A U-Net with a fraction of the channels."""
    return UNet(fine=16, coarse=16, dim=32)

def followed(lr):
    """A hundred steps of a tiny network: the loss of each batch."""
    recipe = Recipe(steps=100, lr=lr, lr_rest=0.16 * lr)
    return [progress.loss for progress in train_on_digits(start(recipe, tiny))]

def told_too_early(denoiser, step=50):
    """The denoiser, told the time of the next step of the sampler instead of this one."""
    def mistaken(x_t, t, label):
        return denoiser(x_t, max(t - step, 1), label)

    return Denoiser(mistaken, denoiser.schedule)

# %% tags=["nbval-ignore-output"]
good = followed(0.05)
hasty = followed(1.0)
print(f"mean loss of the last ten batches: {sum(good[-10:]) / 10:.2f} at rate 0.05, "
      f"{sum(hasty[-10:]) / 10:.2f} at 1")
asking = guided(as_denoiser(shipped, schedule), 0.5)
made = {name: draw(denoiser, kinds, ddim, spaced(1000, 20), seed=3)
        for name, denoiser in {"right": asking, "off by one": told_too_early(asking)}.items()}
grey = {name: (digits[:, :, :4] + 1).abs().mean().item() for name, digits in made.items()}

# %% tags=["figure", "nbval-ignore-output"]
# draws the losses at two rates, and digits with the right and the wrong time
fig, (left, right) = figure(columns=2, width=12, height=3.4, width_ratios=[1, 1.5])
batches_seen = range(1, 101)
curves(left, [(batches_seen, good, "data", "rate 0.05"), (batches_seen, hasty, "model", "rate 1")], "step", "loss",
       "a rate that is too high", ylim=(0, 1.1))
right.imshow(mosaic(torch.cat(list(made.values())), columns=10), cmap="gray", vmin=0, vmax=255)
right.set(xticks=[], title="a time that is off by one")
right.set_yticks([44, 134], ["right", "off by one"])
right.tick_params(length=0)
right.grid(False)
right.spines[:].set_visible(False)
show(
    fig,
    alt="Left: a falling loss and one that soon stays flat far above it. Right: two rows of ten digits, the upper clean, the lower "
    "covered with grain.",
)

# %% [markdown]
# **Figure 7.** Left: the high rate leaps, then falls, and then stays where it is. Right: grain that stays. What the
# network does not know to be noise it takes for a part of the image. No loss shows that one: the training was right,
# and the sampler is wrong.
#
# | what you see | what it often is | how to find out |
# |:--|:--|:--|
# | the first loss is not that of section 1 | a wrong target, images not in −1…1 | compute that number |
# | the loss falls, then stays flat far up | the rate is too high | a third of it, a hundred steps |
# | the loss becomes NaN | the rate is far too high | `gradient_norm` in the steps before |
# | training and test loss part | too few digits, too long | Figure 5 |
# | good at one step, bad at the next | drawn with the weights, not their average | draw with both |
# | grain that stays | the wrong time | the border, which must be black |

# %% tags=["claim"]
# checks what the text says: flat and far above; grain
assert sum(hasty[-10:]) > 1.4 * sum(good[-10:])
assert sum(hasty[-10:]) > 0.75 * sum(hasty[30:40])
assert sum(hasty[20:30]) < 8
assert grey["off by one"] > 1.5 * grey["right"]

# %% [markdown]
# From now on: `from diffusion_lab.training.loop import start, train`, and so with `Recipe`, `objective`, `batches_of` and
# `update_average` from their rooms in `diffusion_lab.training`.
#
# ## Exercises
#
# ### Exercise 1 (warm-up): what is left of the start
#
# Derive. The average begins as a copy of the random weights. Which fraction of it do they still make up after $n$ steps, if $\mu$
# is `decay` throughout? And by (3)?

# %% tags=["exercise"]
def left_of_the_start(n, decay):
    """The weight of the first weights in the average after n steps, k = 0, …, n-1.

    n: int. decay: a float, μ_max. Returns two floats: with μ = decay, and with μ by (3).
    """
    raise NotImplementedError

# %% tags=["check"]
exercise.check_left_of_the_start(left_of_the_start)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# Each step multiplies what is there by the μ of that step.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def left_of_the_start(n, decay):
#     warm = 1.0
#     for k in range(n):
#         warm *= min(decay, (1 + k) / (10 + k))
#     return decay**n, warm
# ```
#
# After 300 steps at 0.99 the random start still makes up 5 % of the plain average. By (3) it is less than
# $10^{-15}$: while $\mu=(1+k)/(10+k)$, the product is $n!\,9!/(n+9)!$.
# </details>

# %% tags=["claim"]
# checks what the text says of the two averages after 300 steps
assert abs(0.99**300 - 0.05) < 0.002
assert math.factorial(9) * math.factorial(300) / math.factorial(309) < 1e-15

# %% [markdown]
# ### Exercise 2 (hard): the loop, from a blank cell
#
# Build the loop of section 2 around one optimiser of PyTorch. In each step: the rate, the loss, its gradient, clipped to
# norm 1 over *all* weights together, the step, the averages by (3). `weights` may arrive with gradients of somebody
# else's in them: clear before `backward`, and not only after the step.

# %% tags=["exercise"]
def fit(weights, averages, loss_of, optimizer, recipe):
    """Take recipe.steps steps; return the loss of each, before its step, as a list of floats.

    weights: the tensors that the optimizer moves. averages: as many, to be changed in place.
    loss_of: loss_of(k) is the loss in step k = 0, 1, …, shape (). The peak rate is
    optimizer.defaults["lr"], its share in each step rate(k, recipe); μ_max is recipe.decay.
    """
    raise NotImplementedError

# %% tags=["check"]
exercise.check_fit(fit)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# The rate belongs into `optimizer.param_groups[0]["lr"]`. Three calls have to come in the right order between the loss and
# `optimizer.step()`. The averages move in place, by `lerp_`, and under `torch.no_grad()`.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def fit(weights, averages, loss_of, optimizer, recipe):
#     losses = []
#     for k in range(recipe.steps):
#         optimizer.param_groups[0]["lr"] = optimizer.defaults["lr"] * rate(k, recipe)
#         loss = loss_of(k)
#         optimizer.zero_grad()
#         loss.backward()
#         torch.nn.utils.clip_grad_norm_(weights, 1.0)
#         optimizer.step()
#         mu = min(recipe.decay, (1 + k) / (10 + k))
#         with torch.no_grad():
#             for average, weight in zip(averages, weights):
#                 average.lerp_(weight, 1 - mu)
#         losses.append(loss.item())
#     return losses
# ```
# </details>

# %% [markdown]
# ### Exercise 3 (core): three ways to draw times
#
# An experiment. A third way: cut $1\dots T$ into $n$ stretches and draw one time in each, with a random number of its own,
# $t_i=1+\lfloor T\,(i+u_i)/n\rfloor$. Guess which of the three gives the steadiest batches. Then measure: the standard deviation,
# over 1,000 batches, of the batch's mean of $\bar\alpha_t$.

# %% tags=["exercise"]
def jitters(schedule, n, generator):
    """Standard deviation, over 1,000 batches of n times, of the batch's mean of alpha_bar[t].

    Returns three floats: with uniform_times, with spread_times, with one time in each stretch.
    """
    raise NotImplementedError

# %% tags=["check"]
exercise.check_jitters(jitters)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# `torch.arange(n) + torch.rand(n, generator=generator)` is one number in each of $[0,1), [1,2), \dots$ The loop is the one of the
# cell with `jitter`.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def jitters(schedule, n, generator):
#     def stretches(n, schedule, generator):
#         u = torch.rand(n, generator=generator, dtype=torch.float64)
#         T = schedule.T
#         return (T * (torch.arange(n) + u) / n).long().clamp(max=T - 1) + 1
#
#     found = []
#     for times in (uniform_times, spread_times, stretches):
#         means = [schedule.alpha_bar[times(n, schedule, generator)].mean() for _ in range(1000)]
#         found.append(torch.stack(means).std().item())
#     return tuple(found)
# ```
#
# One number for all moves all times the same way; with one for each the moves cancel. So the third way is the steadiest, by a
# factor of five for 32 times. The course stays with (1) all the same: what is left of the jumps comes from images and noise,
# which no choice of times can steady.
# </details>

# %% [markdown]
# ### Exercise 4 (core): find two faults
#
# A batch does not fit into memory, so somebody takes it in parts and adds the gradients up. The step should be that of the whole
# batch. Both faults have stood in published code for diffusion models
# ([one](https://github.com/facebookresearch/nwm/issues/16), [the other](https://github.com/ByteDance-Seed/VeOmni/pull/963)).

# %%
def faulty_step(parts, loss_of, optimizer):
    """One step on a batch in parts: a list of tensors, whose first axis counts examples."""
    total = 0.0
    for part in parts:
        loss = loss_of(part)
        loss.backward()
        total += loss.item()
    optimizer.step()
    return total

# %% tags=["exercise"]
def repaired_step(parts, loss_of, optimizer):
    """One step on a batch in parts, as on the whole. Returns the loss of the whole batch, a float.

    parts: tensors (m, 2), not all of one length m. loss_of(part): the mean loss of its examples.
    """
    raise NotImplementedError

# %% tags=["check"]
exercise.check_step_in_parts(repaired_step)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# What is in the gradients when the second step begins? And the mean of a whole is made of the means of its parts: with which
# weights, if the parts are not equally large?
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def repaired_step(parts, loss_of, optimizer):
#     n = sum(len(part) for part in parts)
#     optimizer.zero_grad()
#     total = 0.0
#     for part in parts:
#         loss = loss_of(part) * len(part) / n
#         loss.backward()
#         total += loss.item()
#     optimizer.step()
#     return total
# ```
#
# Adam hides the second fault, as it divides by the size of the gradient. Clipping does not: with four parts everything is
# clipped four times as early.
# </details>

# %% [markdown]
# ### Exercise 5 (core): whom do you believe?
#
# "Both networks were trained on the course's 4,000 digits. *Ours* has a Fréchet distance of 1.1, from 5,000 drawn digits, *theirs*
# 1.6, from 500; same judge, same test digits. *Ours* has a loss of 0.020 on the training digits, measured as in section 4 over very many
# draws, and 0.40 on test digits. *Theirs* has 0.118 and 0.121." What follows?

# %% tags=["exercise"]
def what_follows():
    """The letters of the sentences that follow, as a set such as {"B", "C"}.

    A  With 500 digits in place of 5,000, the distance of ours would very likely be larger.
    B  Ours draws better digits, for its distance is lower.
    C  A distance near the floor would show that ours does not copy.
    D  Digits near the floor, and 0.40 on test digits: a sign that ours draws from memory.
    E  Theirs was trained too short: its loss is three times the lowest that there is.
    F  The 0.020 cannot be right.
    """
    raise NotImplementedError

# %% tags=["check"]
exercise.check_what_follows(what_follows)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# What is the floor of 500 digits, compared with that of 5,000? Who owns the dashed line of Figure 3, and what does he draw?
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def what_follows():
#     return {"A", "D", "F"}
# ```
#
# Fewer digits, a larger distance: the floor moves, too, so 1.1 and 1.6 cannot be compared (B). The memoriser sits at the floor and
# copies (C). Whoever draws well and fails on new digits has the old ones by heart, whatever the training loss (D). Nothing lies
# below the memoriser's loss on its own digits (F); and to come near it is no aim (E).
# </details>

# %% tags=["claim"]
# checks what the text says about distances: fewer digits of the same source lie further away
pick = torch.randperm(4000, generator=torch.Generator().manual_seed(2))
assert distance_to_test(images[pick[:300]], judge, test_images) > 1.3 * distance_to_test(images, judge, test_images)

# %% [markdown]
# ## A common mistake
#
# `average = network` makes no second network; it gives the first one a second name. No error, samples, a falling loss. But the
# "average" is at each moment the network itself.

# %%
network = tiny()
right = copy.deepcopy(network)
wrong = network
for weight in network.parameters():  # a training step, of a kind
    weight.data += 1.0
for average in (right, wrong):
    update_average(average, network, step=1000, decay=0.99)
for name, average in {"deepcopy": right, "same object": wrong}.items():
    behind = (network.leave[0].weight - average.leave[0].weight).mean().item()
    print(f"{name:12} behind the weights by {behind:.2f}, after they moved by 1")

# %% tags=["claim"]
# checks what the text says: the copy lags, the second name does not
assert abs((network.leave[0].weight - right.leave[0].weight).mean() - 0.99) < 1e-4
assert torch.equal(network.leave[0].weight, wrong.leave[0].weight)

# %% [markdown]
# *The symptom*: weights and average are equal, to the last bit, in the middle of training. *The test*: compare them after ten
# steps. The fix is `copy.deepcopy`. (`parameters()` leaves out buffers, such as the averages of batch normalisation; this network
# has none.)
#
# ## Summary
#
# - A batch is a page of homework: images, spread times, noise, and labels of which one in ten is left out.
# - The rate rises, then falls; the average smooths what is left, and draws.
# - A loss curve says that training works, not when to stop, nor what the digits are like.
# - A distance is read beside its floor, by more than one judge. Copies pass them all.
# - The lowest training loss belongs to the memoriser. Practise on few digits, and the network goes that way.
#
# ## Check yourself
#
# <details><summary>Your loss has hardly changed for half of the run. Should you stop?</summary>
#
# Not for that reason. In Figure 3 the distance still falls while the loss is nearly flat.
# </details>
#
# <details><summary>A friend reports a Fréchet distance of 1.6. Is that good?</summary>
#
# Ask for the floor, which depends on the judge and on the number of images.
# </details>
#
# <details><summary>How do you notice that a network copies, if its digits are perfect?</summary>
#
# By the loss on new digits: it is higher than on the known ones. Or by the nearest training digit, compared with how near
# fresh digits come.
# </details>
#
# ## Further reading
#
# - Ho, Jain & Abbeel (2020), *Denoising Diffusion Probabilistic Models*, appendix B: what they trained, with what, how long.
# - Kingma et al. (2021), *Variational Diffusion Models*, appendix I.1: our (1), and how much it steadies the loss.
# - Ho & Salimans (2022), *Classifier-Free Diffusion Guidance*, algorithm 1: training with labels left out.
# - Heusel et al. (2017), *GANs Trained by a Two Time-Scale Update Rule*, eq. 6: our (4).
# - Chong & Forsyth (2020), *Effectively Unbiased FID and Inception Score*: how the distance depends on the number of images.
#
# ## Next
#
# Notebook 08 takes your network and asks how few steps it takes to draw with it, and why.
