# %% [markdown]
# # Draw a digit in ten steps
#
# A trained denoiser is half of a diffusion model. The other half is the **sampler**: the rule by which noise becomes an
# image. The chain of notebook 03 asks the network a thousand times for one digit. In this notebook you build two samplers
# that ask it ten times, and you measure what is lost.
#
# You will be able to
#
# - **write** DDIM and DPM-Solver++, and say which idea each adds,
# - **measure** what a step buys, and choose how many to take,
# - **use** guidance, and say what it costs,
# - **recognise** a wrong spacing of the steps by its symptom,
# - **compute** how many bits per pixel the model needs for real digits.
#
# **You need** notebook 03 (`ddpm`), notebook 04 (the bound) and notebook 07 (the trained network). **Time to read** 65
# minutes · **to run** 50 seconds. **Paper sections**: Song et al. 2021 (DDIM), section 4; Lu et al. 2022 (DPM-Solver++),
# section 4; Ho & Salimans 2022, section 3.
#
# ## Set-up
#
# The network is the one that comes with the course. To use your own, write the folder of your run from notebook 07 in
# place of `"mnist"`.

# %%
import json
from pathlib import Path

import torch

from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation import judge as judges
from diffusion_lab.exercises.sampling import check_better_guess, check_ddim_step, check_guide, check_times
from diffusion_lab.sampling.ddpm import ddpm
from diffusion_lab.sampling.timesteps import Step, pairs, spaced
from diffusion_lab.theory.check import between_0_and_1
from diffusion_lab.theory.elbo import bits_per_dim, kl_prior, kl_t, nll_recon
from diffusion_lab.theory.forward import q_sample
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.parameterization import eps_from_x_0
from diffusion_lab.theory.posterior import posterior_var
from diffusion_lab.theory.schedule import cosine
from diffusion_lab.training.pretrained import load_pretrained
from diffusion_lab.view.pictures import mosaic, show
from diffusion_lab.view.plots import curves
from diffusion_lab.view.scrubber import Scrubber
from diffusion_lab.view.style import figure

# %%
denoiser, schedule = load_pretrained("mnist"), cosine()
eight = torch.arange(8)
x_T = torch.randn(8, 1, 28, 28, generator=torch.Generator().manual_seed(1))


def run(sampler, denoiser, timesteps, label=eight, x_T=x_T, **options):
    """All steps of a sampler, without recording gradients."""
    with torch.no_grad():
        return list(sampler(denoiser, x_T, timesteps, label=label, **options))


# %%
rows = [run(ddpm, denoiser, spaced(1000, n), generator=torch.Generator().manual_seed(2))[-1].x_s for n in (1, 5, 20, 1000)]
show(mosaic(torch.cat(rows), columns=8),
     alt="Four rows of eight digits: grey smudges, rough digits, good digits, and good digits.")

# %% [markdown]
# **Figure 1.** The chain of notebook 03, `ddpm`, from the same noise in 1, 5, 20 and 1,000 steps. The first row is what a
# first program tends to do, and what the article from which this course grew does: ask once, take the answer. It is the mean
# of all digits of that kind. In five steps there are digits, with faults. Between 20 and 1,000 you may have to look twice.
#
# ## Predict first
#
# The last row asked the network 1,000 times. How many questions does a better rule need, until a judge cannot tell its digits
# from those of 1,000 steps: 500, 100, or 10?
#
# ## 1 · DDIM: keep the noise that is there
#
# `ddpm` goes from $t$ to an earlier $s$ by adding fresh noise at each step. It must then remove that noise again later. Do we need
# it? All that the network was trained on is that $x_t$ has the right **marginal**, $\sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\varepsilon$
# with $\varepsilon$ standard normal, at each time alone. How the noise at $s$ is related to the noise at $t$ was never used.
#
# So choose the noise at $s$ to be made of two parts. One is the noise that is in $x_t$ already: the network's answer $\hat x_0$
# tells it, $\hat\varepsilon = (x_t - \sqrt{\bar\alpha_t}\,\hat x_0)/\sqrt{1-\bar\alpha_t}$. The other is fresh, with a variance $\sigma^2$ of our
# choice. If together they have the variance $1-\bar\alpha_s$, the marginal at $s$ is right:
#
# $$ x_s = \sqrt{\bar\alpha_s}\,\hat x_0 + \sqrt{1-\bar\alpha_s-\sigma^2}\;\hat\varepsilon + \sigma\,\varepsilon, \qquad \sigma^2 = \eta^2\tilde\beta_t \tag{1} $$
#
# This is **DDIM** (Song et al. 2021). The number $\eta$ goes from 0 to 1. At $\eta = 1$ the fresh noise has the variance $\tilde\beta_t$
# of the posterior, and the rule is that of `ddpm`. At $\eta = 0$ there is no fresh noise at all: the digit is a function of the
# noise at the start. (`pairs` lists the steps $(t, s)$, and `Step` is the tuple that every sampler yields.)

# %% tags=["export:diffusion_lab.sampling.ddim"]
def ddim(denoiser, x_T, timesteps=None, eta=0.0, label=None, generator=None):
    """Equation (1), from noise x_T to a sample. Yields a Step for each pair of times."""
    schedule, x_t = denoiser.schedule, x_T
    between_0_and_1(eta, "eta must be a number from 0 (no fresh noise) to 1 (as much as ddpm)")
    for t, s in pairs(timesteps, schedule.T):
        alpha_bar_s, var = schedule.alpha_bar[s], eta**2 * posterior_var(t, schedule, s)
        x_0_hat = denoiser(x_t, t, label)
        eps_hat = eps_from_x_0(x_t, x_0_hat, t, schedule)
        mean = alpha_bar_s.sqrt() * x_0_hat + (1 - alpha_bar_s - var).clamp(min=0).sqrt() * eps_hat
        noise = torch.randn(x_t.shape, generator=generator, dtype=x_t.dtype, device=x_t.device) if var > 0 else 0.0
        x_s = (mean + var.sqrt() * noise).to(x_t.dtype)
        yield Step(t, s, x_t, x_0_hat, mean, x_s)
        x_t = x_s


# %% [markdown]
# Two checks, with the exact denoiser of a mixture of two Gaussians. With $\eta = 1$ and the same random numbers, DDIM must equal
# `ddpm` at every step. And with $\eta = 0$ and many steps, a cloud of noise must become the mixture, though nothing random is added.

# %%
mixture = GaussianMixture([0.3, 0.7], [[-1.0], [1.0]], [0.05, 0.2])
exact, start = mixture.denoiser(schedule), torch.randn(4000, 1, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
one = list(ddim(exact, start, spaced(1000, 40), eta=1.0, generator=torch.Generator().manual_seed(4)))
other = list(ddpm(exact, start, spaced(1000, 40), generator=torch.Generator().manual_seed(4)))
assert all(torch.allclose(a.x_s, b.x_s, atol=1e-9) for a, b in zip(one, other))
*_, last = ddim(exact, start, spaced(1000, 200))
right = (last.x_s > 0).double().mean().item()
expected = 0.3 * torch.special.ndtr(torch.tensor(-1 / 0.05**0.5)) + 0.7 * torch.special.ndtr(torch.tensor(1 / 0.2**0.5))
assert abs(right - expected) < 4 * (0.7 * 0.3 / 4000) ** 0.5 + 0.01
print(f"DDIM with eta = 1 is ddpm, step by step; without noise, the share above 0 is {right:.1f}, as in the mixture")

# %% [markdown]
# Below, the same start is taken four times, with other fresh noise each time: once with $\eta = 0$, once with $\eta = 1$.

# %%
again = {eta: torch.stack([run(ddim, denoiser, spaced(1000, 20), eta=eta, generator=torch.Generator().manual_seed(k))[-1].x_s
                           for k in range(4)]) for eta in (0.0, 1.0)}
spread = {eta: digits.std(dim=0).mean().item() for eta, digits in again.items()}
assert spread[0.0] == 0
assert spread[1.0] > 0.1
show(mosaic(torch.cat([again[0.0].flatten(0, 1)[:16], again[1.0].flatten(0, 1)[:16]]), columns=8),
     alt="Four rows of eight digits. The first two rows are identical; the last two differ in shape.")

# %% [markdown]
# **Figure 2.** The same noise at the start, 20 steps. First and second row: $\eta = 0$ with two seeds. They are equal, pixel by pixel.
# Third and fourth row: $\eta = 1$ with two seeds. The kind of digit is the same, since that was asked for; the strokes differ. So with
# $\eta = 0$ the start *is* the digit. One can keep it, repeat it, or walk from one to another.
#
# ## 2 · DPM-Solver++: remember the last answer
#
# DDIM with $\eta = 0$ takes $\hat x_0$ at time $t$ and behaves as if it stayed the same until $s$. It does not stay the same: on the way
# from noise to digit the network becomes surer. Two answers in a row show where it is going.
#
# Measure time by the **log-SNR**, $\lambda_t = \tfrac12\log\mathrm{SNR}_t$, and let $h = \lambda_s - \lambda_t$ be the length of a step. Without fresh
# noise the path obeys a differential equation, and if $\hat x_0$ is a constant $D$ during the step, its solution is exact:
#
# $$ x_s = \sqrt{\frac{1-\bar\alpha_s}{1-\bar\alpha_t}}\;x_t + \sqrt{\bar\alpha_s}\,\big(1 - e^{-h}\big)\,D \tag{2} $$
#
# With $D = \hat x_0$ this is DDIM in other letters (put $\hat\varepsilon$ into (1) and compare). **DPM-Solver++(2M)** (Lu et al. 2022)
# draws a straight line in $\lambda$ through the last two answers, and takes its value in the middle of the step:
#
# $$ D = \hat x_0 + \frac{h}{2\,h_\mathrm{prev}}\,\big(\hat x_0 - \hat x_{0,\mathrm{prev}}\big) \tag{3} $$
#
# It costs nothing: no further question to the network, one tensor to remember. On the first step there is nothing to remember, and on
# the last one, to $s = 0$, $h$ is infinite; both take $D = \hat x_0$.

# %% tags=["export:diffusion_lab.sampling.dpm_solver"]
def dpm_solver(denoiser, x_T, timesteps=None, label=None):
    """Equations (2) and (3), from noise x_T to a sample. Yields a Step for each pair of times."""
    schedule, x_t, previous = denoiser.schedule, x_T, None
    alpha_bar = schedule.alpha_bar
    for t, s in pairs(timesteps, schedule.T):
        h = (schedule.log_snr[s] - schedule.log_snr[t]) / 2
        x_0_hat = denoiser(x_t, t, label)
        D = x_0_hat
        if previous is not None and s > 0:
            previous_x_0_hat, previous_h = previous
            D = x_0_hat + h / (2 * previous_h) * (x_0_hat - previous_x_0_hat)
        mean = ((1 - alpha_bar[s]) / (1 - alpha_bar[t])).sqrt() * x_t - alpha_bar[s].sqrt() * torch.expm1(-h) * D
        x_s = mean.to(x_t.dtype)
        yield Step(t, s, x_t, x_0_hat, mean, x_s)
        x_t, previous = x_s, (x_0_hat, h)


# %% [markdown]
# A check where the path is known. For data from one Gaussian $\mathcal N(m, v)$ the marginal at $t$ is $\mathcal N(\sqrt{\bar\alpha_t}\,m,\ c_t)$ with
# $c_t = \bar\alpha_t v + 1 - \bar\alpha_t$, and a path without noise keeps its place in it: $(x_t - \sqrt{\bar\alpha_t}m)/\sqrt{c_t}$ never changes.
# We go from $t = 900$ to $t = 100$ in $n$ steps and compare. If an error falls like $1/n$, the method has *order* 1; like $1/n^2$, order 2.

# %%
m, v = 0.7, 0.25
gauss = GaussianMixture([1.0], [[m]], [v]).denoiser(schedule)
mean_at = schedule.alpha_bar.sqrt() * m
std_at = (schedule.alpha_bar * v + 1 - schedule.alpha_bar).sqrt()
z = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
counts, errors = [10, 20, 40, 80, 160], {ddim: [], dpm_solver: []}
for n in counts:
    for sampler, found in errors.items():
        *_, last = sampler(gauss, mean_at[900] + std_at[900] * z, torch.linspace(900, 100, n + 1).long())
        found.append((last.x_t - mean_at[100] - std_at[100] * z).abs().max().item())
orders = {sampler.__name__: torch.log2(torch.tensor(found[-2] / found[-1])).item() for sampler, found in errors.items()}
assert abs(orders["ddim"] - 1) < 0.15
assert abs(orders["dpm_solver"] - 2) < 0.3
print("order:", {name: round(order) for name, order in orders.items()})

# %%
fig, ax = figure(width=6.4, height=3)
_ = curves(ax, [(counts, errors[ddim], "data", "DDIM"), (counts, errors[dpm_solver], "model", "DPM-Solver++(2M)")],
           "steps", "largest error", xscale="log", yscale="log")
show(fig, alt="Two straight lines going down; that of DPM-Solver++ starts lower and falls twice as steeply.")

# %% [markdown]
# **Figure 3.** Error against number of steps, both axes logarithmic. Twice the steps halve the error of DDIM, and quarter that of
# DPM-Solver++.
#
# ## 3 · What a step buys
#
# Figure 3 is about a Gaussian. What about digits? The command `python benchmarks/steps.py` draws 1,000 digits with each sampler and number
# of steps, from three seeds, and judges them as notebook 07 does: label accuracy, and the Fréchet distance as a multiple of its
# floor. It takes twenty minutes, so its results are kept in a file. (With 50 steps there is one seed. The whole chain of 1,000
# draws 400 digits; ten steps of DPM-Solver++ do the same once more, for comparison.)

# %%
evaluation = Path(judges.__file__).parent
table = {}
for row in json.loads((evaluation / "steps.json").read_text())["rows"]:
    key = row["sampler"], row["steps"], row["digits"]
    table.setdefault(key, []).append((row["times_floor"], row["label_accuracy"]))
table = {key: torch.tensor(values) for key, values in sorted(table.items())}
print("sampler        steps  digits   distance / floor    label accuracy")
for (sampler, n, digits), values in table.items():
    low, high = values[:, 0].min(), values[:, 0].max()
    print(f"{sampler:14} {n:5} {digits:7}   {values[:, 0].mean():5.2f} ({low:.2f}–{high:.2f})   {values[:, 1].mean():.3f}")

# %%
fig, ax = figure(width=7, height=3.2)
for sampler, role in (("DDPM", "noise"), ("DDIM", "data"), ("DPM-Solver++", "model")):
    points = [table[sampler, n, 1000][:, 0] for n in (5, 10, 20, 50)]
    _ = curves(ax, [((5, 10, 20, 50), [p.mean() for p in points], role, sampler)], "steps", "distance / floor", xscale="log")
    _ = ax.fill_between((5, 10, 20, 50), [p.min() for p in points], [p.max() for p in points], alpha=0.2, color=ax.lines[-1].get_color())
_ = ax.axhline(1, color="black", linestyle="--", label="real digits")
_ = ax.set_xticks([5, 10, 20, 50], ["5", "10", "20", "50"], minor=False), ax.set_xticks([], minor=True)
_ = ax.legend()
show(fig, alt="Three falling curves and a dashed horizontal line; the curve of DDPM starts highest.")

# %% [markdown]
# **Figure 4.** Distance to the test digits against the number of steps, with the range over three seeds shaded. Dashed: the distance of as
# many real digits, the floor. Look where each curve reaches the dashed line.

# %%
ten, whole_chain = (table[key][:, 0].mean().item() for key in (("DPM-Solver++", 10, 400), ("DDPM", 1000, 400)))
assert table["DPM-Solver++", 10, 1000][:, 0].mean() < table["DDPM", 10, 1000][:, 0].mean()
assert table["DPM-Solver++", 10, 1000][:, 0].mean() < 1.3
assert ten < 2 * whole_chain
print(f"ten steps of DPM-Solver++ have {ten / whole_chain:.2f} times the distance of the whole chain, at a hundredth of its cost")

# %% [markdown]
# So the answer to the question at the top depends on the judge. Ten steps bring the digits about as close to the test digits as real ones
# are. A thousand bring them a little closer still: digits from a network vary less than real ones, so that they can fall below the
# floor. Label accuracy is a little *lower* with more steps, since the digits become as odd as real ones. From a terminal:
# `python -m diffusion_lab sample --sampler dpm_solver --steps 10 --out grid.png`.
#
# **Try it.** Below are three samplers at work with the same noise and the same ten questions each. Before you move the slider: which
# of the three will look noisy longest?

# %%
chains = [run(ddpm, denoiser, spaced(1000, 10), generator=torch.Generator().manual_seed(2)),
          run(ddim, denoiser, spaced(1000, 10)), run(dpm_solver, denoiser, spaced(1000, 10))]
frames = [mosaic(torch.cat([steps[0].x_t for steps in chains]), columns=8)]
frames += [mosaic(torch.cat([step.x_s for step in moment]), columns=8) for moment in zip(*chains)]
Scrubber(frames, [f"t = {t}" for t in [1000] + [step.s for step in chains[0]]],
         "Rows: DDPM, DDIM, DPM-Solver++. The same noise, ten steps each.",
         "Three rows of eight squares of noise that become digits; the upper row stays grainy longest.")

# %% [markdown]
# What to have seen: the upper row keeps its grain until the last step, since it gets new noise each time. The two lower rows go the same
# way, and end in nearly the same digits, as both follow one path.
#
# The next slider shows what the network thinks meanwhile. Rows: $x_t$; the answer $\hat x_0$; the mean of the next state.
# Before you move it: at which SNR does $\hat x_0$ settle on a shape, before or after you can see it in $x_t$?

# %%
fine = run(ddim, denoiser, spaced(1000, 40))
Scrubber([mosaic(torch.cat([step.x_t, step.x_0_hat.clamp(-1, 1), step.mean]), columns=8) for step in fine],
         [f"t = {step.t} · log SNR {schedule.log_snr[step.t].item():+.1f}" for step in fine],
         "Rows: the state, what the network takes for the digit, and where the step leads.",
         "Three rows: noise that clears up; grey smudges that sharpen to digits early; the next state.")

# %% [markdown]
# What to have seen: $\hat x_0$ begins as the smudge of figure 1 and is a readable digit while $x_t$ still looks like noise. From then on
# it changes only in its edges. Where $\hat x_0$ hardly changes, large steps do no harm. That is why so few are enough.
#
# ## 4 · Guidance: ask for more of the same
#
# The network knows two things: digits of the kind asked for, and digits at large (notebook 07, labels left out). The difference of its two
# answers is what the label contributes. **Classifier-free guidance** (Ho & Salimans 2022) overdoes it by a weight $w$:
#
# $$ \hat x_0^{\,w} = (1+w)\,\hat x_0(x_t, \mathrm{label}) - w\,\hat x_0(x_t) \tag{4} $$
#
# With $w = 0$ nothing is added. For $w > 0$ each step asks the network twice.

# %% tags=["export:diffusion_lab.sampling.guidance"]
import math


def guided(denoiser, guidance_weight):
    """Equation (4): a denoiser that overdoes the label."""
    if not (isinstance(guidance_weight, (int, float)) and 0 <= guidance_weight < math.inf):
        raise ValueError(f"guidance_weight must be a finite number of at least 0, but got {guidance_weight!r}.")

    def guided_denoiser(x_t, t, label=None):
        x_0_hat = denoiser(x_t, t, label)
        if label is None or guidance_weight == 0:
            return x_0_hat
        return x_0_hat + guidance_weight * (x_0_hat - denoiser(x_t, t))

    guided_denoiser.schedule = denoiser.schedule
    return guided_denoiser


# %% [markdown]
# The code adds the difference, equation (4) subtracts a multiple; the first line below checks that they agree. Then 100 digits are drawn
# for each of four weights. The judge reads them, and we measure their **diversity**: within each kind of digit, the variance of the
# judge's 64 features, added up.

# %%
with torch.no_grad():
    formula = 3 * denoiser(x_T, 500, eight) - 2 * denoiser(x_T, 500)
    assert torch.allclose(guided(denoiser, 2.0)(x_T, 500, eight), formula, atol=1e-5)
judge, label = judges.load_judge(), torch.arange(100) % 10
noise, found, pictures = torch.randn(100, 1, 28, 28, generator=torch.Generator().manual_seed(5)), {}, []
for w in (0.0, 0.5, 2.0, 6.0):
    digits = run(dpm_solver, guided(denoiser, w), spaced(1000, 10), label, noise)[-1].x_s.clamp(-1, 1)
    features = judges.in_batches(judge.features, digits)
    diversity = torch.stack([features[label == k].var(dim=0).sum() for k in range(10)]).mean().item()
    found[w] = (judges.read_digits(judge, digits) == label).double().mean().item(), diversity
    pictures.append(digits[label == 4][:8])
assert found[6.0][1] < found[2.0][1] < found[0.0][1]
assert found[0.5][0] >= found[0.0][0] - 0.03
print("with w = 6 the digits of one kind vary less than with w = 2, and with w = 2 less than without guidance")
show(mosaic(torch.cat(pictures), columns=8), alt="Four rows of eight fours, more and more alike and cleaner from row to row.")

# %% [markdown]
# **Figure 5.** Eight fours from the same noise with $w = 0$, 0.5, 2 and 6. From row to row they become cleaner, and more alike. With a large
# weight they all approach one typical four.

# A little guidance makes digits easier to read. Much of it takes away the variety that the data has; the Fréchet distance would rise, as it
# sees both. Guidance also drives $\hat x_0$ beyond the values that pixels have, from $-1$ to $1$. The next state is then too far out, the network has never seen
# the like, and its next answer is further off. The usual remedy is to **clip** $\hat x_0$ to $[-1, 1]$ in every step.

# %%
def clipped(denoiser):
    """The denoiser with its answers clipped to the values of pixels."""
    def clipped_denoiser(x_t, t, label=None):
        return denoiser(x_t, t, label).clamp(-1, 1)
    clipped_denoiser.schedule = denoiser.schedule
    return clipped_denoiser


far = {name: run(ddim, change(guided(denoiser, 6.0)), spaced(1000, 20))
       for name, change in (("as it is", lambda same: same), ("clipped", clipped))}
beyond = {name: max(step.x_0_hat.abs().max().item() for step in steps) for name, steps in far.items()}
assert beyond["as it is"] > 1.3
assert beyond["clipped"] <= 1
print("with w = 6, the largest |x̂_0| on the way is more than 1.3 as it is, and 1 when clipped")

# %%
show(mosaic(torch.cat([far["as it is"][10].x_0_hat, far["clipped"][10].x_0_hat, far["as it is"][-1].x_s, far["clipped"][-1].x_s]), columns=8),
     alt="Four rows of eight digits: answers half-way and results, without and with clipping.")

# %% [markdown]
# **Figure 6.** Guidance $w = 6$. First two rows: the answer half-way, as it is and clipped. Last two: the results. Values beyond the range are
# shown as black or white, so that only their effect is visible: strokes that are heavier, with hard edges. With a network that predicts
# $\varepsilon$ clipping matters even without guidance: at the first step its error is divided by $\sqrt{\bar\alpha_T}$, which multiplied it by
# 20,000 in notebook 05. For the *likelihood* clipping is not allowed: the bound belongs to the chain without it.
#
# ## 5 · How many bits for a digit?
#
# Samples show what a model draws. The **likelihood** says how well it expects real digits, including those that it would rarely draw. Notebook 04 has
# the bound on it, and its unit, bits per dimension: the number of bits for one pixel, if the model were used to compress. Raw
# pixels take 8.
#
# The bound has 1,000 terms for each digit. To save time, draw a few: cut the times into strata, take one time at random in each, and
# let its term stand for all. The mean stays right. `python benchmarks/likelihood.py` does this with 50 strata for all 1,000 test digits; here are ten
# digits and wider strata.

# %%
test_images, _ = load_digits("test")
ten_digits, generator = test_images[::100], torch.Generator().manual_seed(6)
edges = [2, 3, 4, 5, 6, 8, 10, 14, 20, 30, 50, 90, 160, 300, 600, 1001]
with torch.no_grad():
    x_1 = q_sample(ten_digits, 1, torch.randn(ten_digits.shape, generator=generator), schedule)
    terms = {1: nll_recon(ten_digits, x_1, denoiser, decoder="discretised"), 1001: kl_prior(ten_digits, schedule)}
    for first, end in zip(edges, edges[1:]):
        t = int(torch.randint(first, end, (1,), generator=generator))
        x_t = q_sample(ten_digits, t, torch.randn(ten_digits.shape, generator=generator), schedule)
        terms[first] = (end - first) * kl_t(ten_digits, x_t, t, denoiser)
rough = bits_per_dim(sum(terms.values()), 784).mean().item()
early = sum(term.sum() for first, term in terms.items() if first < 50) / sum(term.sum() for term in terms.values())
assert early > 0.5
print(f"ten digits, 17 terms each: about {rough:.1f} bits per dimension; more than half of them from t below 50")

# %%
likelihood = json.loads((evaluation / "likelihood.json").read_text())
for name in ("bpd", "xz", "gzip"):
    print(f"{'this model, at most' if name == 'bpd' else name:20} {likelihood[name]:.3f} bits per dimension")
assert likelihood["xz"] < likelihood["gzip"] < likelihood["bpd"] < 8
assert abs(rough - likelihood["bpd"]) < 0.5

# %% [markdown]
# The standard error of the model's figure, from the choice of digits, times and noise, is in the file, too. `gzip` and `xz` are given all test
# digits in one file. They know nothing of digits, and yet they need fewer bits than the model's bound. That is no contradiction to
# its good samples. Most of the bits are in the last, faint levels of noise, where $t$ is small, as the first cell found. The loss of notebook 07 gives all times the
# same weight, and so the network was trained for the shapes, which hold few of the bits. The bound would weigh each time by how fast the SNR falls
# there (notebook 04). A network for compression is trained with those weights.
#
# ## Exercises
#
# ### Exercise 1 (warm-up): guidance

# %% tags=["exercise"]
def guide(with_label, without_label, w):
    """Equation (4). with_label, without_label: the two answers, tensors of one shape; w: float. Returns that shape."""
    raise NotImplementedError


# %% tags=["check"]
check_guide(guide)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# At $w = 0$ the answer with the label is left. The weights of the two add up to 1.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def guide(with_label, without_label, w):
#     return (1 + w) * with_label - w * without_label
# ```
# </details>

# %% [markdown]
# ### Exercise 2 (core): which times?

# %% tags=["exercise"]
def times(T, n):
    """n times at equal distances, as a list of ints: from T down; the step after the last one goes to 0."""
    raise NotImplementedError


# %% tags=["check"]
check_times(times)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# The step has length $T/n$, which need not be whole. Multiply first, then round.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def times(T, n):
#     return [round(T * (n - k) / n) for k in range(n)]
# ```
# </details>

# %% [markdown]
# ### Exercise 3 (core): one step of DDIM

# %% tags=["exercise"]
def ddim_step(x_t, x_0_hat, alpha_bar_t, alpha_bar_s):
    """Equation (1) with eta = 0. x_t, x_0_hat: float64 (n,); alpha_bar_t, alpha_bar_s: floats. Returns x_s, (n,)."""
    raise NotImplementedError


# %% tags=["check"]
check_ddim_step(ddim_step)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# First $\hat\varepsilon$, from $x_t$ and $\hat x_0$ at time $t$. Then mix $\hat x_0$ and $\hat\varepsilon$ as at time $s$.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def ddim_step(x_t, x_0_hat, alpha_bar_t, alpha_bar_s):
#     eps_hat = (x_t - alpha_bar_t**0.5 * x_0_hat) / (1 - alpha_bar_t) ** 0.5
#     return alpha_bar_s**0.5 * x_0_hat + (1 - alpha_bar_s) ** 0.5 * eps_hat
# ```
# </details>

# %% [markdown]
# ### Exercise 4 (hard): the guess in the middle of the step
#
# Equation (3), without looking. The last answer was given at $\lambda_\mathrm{prev}$, this one at $\lambda_t$, and the step goes to $\lambda_s$.

# %% tags=["exercise"]
def better_guess(previous, current, lambda_prev, lambda_t, lambda_s):
    """The straight line through the two answers, at the middle of the step. previous, current: tensors of one shape;
    lambda_prev < lambda_t < lambda_s: floats. Returns that shape."""
    raise NotImplementedError


# %% tags=["check"]
check_better_guess(better_guess)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# The slope is the difference of the answers over the difference of *their* times. How far is it from $\lambda_t$ to the middle?
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def better_guess(previous, current, lambda_prev, lambda_t, lambda_s):
#     slope = (current - previous) / (lambda_t - lambda_prev)
#     return current + slope * (lambda_s - lambda_t) / 2
# ```
# </details>

# %% [markdown]
# ## A common mistake
#
# Ten times out of 1,000: many programs take `range(0, 1000, 10)`-like numbers, 0, 100, …, 900, and turn them around. This is called *leading*
# spacing, and has been the default of a well-known library. The chain then starts at $t = 900$ (or 901), but its first state is pure noise,
# which belongs to $t = 1000$. The network is told that a tenth of the way is done, takes part of the noise for signal, and keeps
# it. Here with five steps, where it shows best.

# %%
leading = [int(t) + 1 for t in range(800, -1, -200)]
label = torch.arange(200) % 10
noise = torch.randn(200, 1, 28, 28, generator=torch.Generator().manual_seed(7))
ends = {name: run(ddim, denoiser, times, label, noise)[-1].x_s for name, times in (("spaced", spaced(1000, 5)), ("leading", leading))}
ends = {name: digits.clamp(-1, 1) for name, digits in ends.items()}
brightness = {name: digits.mean().item() for name, digits in ends.items()}
read = {name: (judges.read_digits(judge, digits) == label).double().mean().item() for name, digits in ends.items()}
assert brightness["leading"] > brightness["spaced"] + 0.05
assert read["leading"] < read["spaced"] - 0.1
show(mosaic(torch.cat([ends["spaced"][:8], ends["leading"][:8]]), columns=8),
     alt="Above, eight digits. Below, the same with thick, doubled strokes; some cannot be read.")

# %% [markdown]
# **Figure 7.** Five steps of DDIM: above from $t = 1000$, below with leading spacing, from $t = 801$. *The symptom*: strokes that the digit
# does not need, a picture that is too bright on the whole, and digits that the judge reads less often. *The test*: print the first time of your
# list. It must be $T$. And the step after the last one must go to 0.
#
# ## Summary
#
# - DDIM keeps the noise that is there and adds as much fresh noise as you ask for; DPM-Solver++ also uses the last answer.
# - Ten steps are enough for these digits. Measure it for your own, beside the floor.
# - Guidance makes samples more typical and less varied, and doubles the cost; clip $\hat x_0$ when you use much of it.
# - A list of times starts at $T$ and ends with the step to 0.
# - The bound, in bits per dimension, tells how well the model expects real digits.
#
# From now on: `from diffusion_lab.sampling.ddim import ddim`, and likewise `dpm_solver` and `guided`.
#
# ## Check yourself
#
# <details><summary>Why may DDIM leave out the fresh noise, though the network was trained with noise?</summary>
#
# The network has only seen single states $x_t$, each with the right marginal. Equation (1) gives every state that marginal, for any $\eta$.
# </details>
#
# <details><summary>Two programs sample with 5 steps. The digits of one are too bright, with strokes too many. Where do you look first?</summary>
#
# At the list of times: its first entry must be $T$.
# </details>
#
# <details><summary>Your samples are perfect, and your bits per dimension are poor. How can that be?</summary>
#
# Samples look at the large shapes, where few of the bits are. Most bits go into the last, nearly invisible levels of noise, at small $t$.
# And a model that has forgotten a kind of digit draws the others well.
# </details>
#
# ## Further reading
#
# - Song, Meng & Ermon (2021), *Denoising Diffusion Implicit Models*: our (1) is their eq. 12, with their eq. 16 for $\sigma$.
# - Lu et al. (2022), *DPM-Solver++*: algorithm 2 is ours; section 4 derives (2) and (3).
# - Ho & Salimans (2022), *Classifier-Free Diffusion Guidance*: our (4) is their eq. 6, written for $\varepsilon$.
# - Lin et al. (2024), *Common Diffusion Noise Schedules and Sample Steps are Flawed*: the leading spacing, and what it does to brightness.
# - Karras et al. (2022), *Elucidating the Design Space of Diffusion-Based Generative Models*: samplers as ways to solve one equation.
# - Kingma et al. (2021), *Variational Diffusion Models*: bits per dimension as the goal of training.
#
# ## Next
#
# You have walked the whole way, from the Gaussian density to digits of your own in ten steps. What is to come: guidance in depth, score and
# differential equations, flow matching.
