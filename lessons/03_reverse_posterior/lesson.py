# %% [markdown]
# # Walk back from noise to data
#
# Notebook 02 turned data into noise. Here you walk the same chain in the other direction. For data whose every answer
# is known with pen and paper, you end with a sampler that makes new data out of noise, and nothing in it is learned
# yet: it shows what a network will later have to supply, and what it will not.
#
# You will be able to
#
# - **derive** the step back when the data is known, with Bayes' rule,
# - **say** why the step back is nearly Gaussian when steps are small, and see how it fails when they are large,
# - **compute** the denoised mean of a mixture exactly,
# - **run** ancestral sampling from noise to data, in a thousand steps or in ten,
# - **choose** between the variances β and $\tilde\beta$, and say when it matters.
#
# **You need** notebook 01 (product of Gaussians) and 02 (the jump). **Time to read** 75 minutes · **to run** 20 seconds.
# **Paper sections**: Ho et al. 2020, section 2 (eqs. 6 and 7) and algorithm 2; Sohl-Dickstein et al. 2015, section 2.2.
#
# ## Set-up
#
# `at` and `pairs` look things up, `weight_of` reads the name of a variance, and `noise_like(x)` draws standard normal
# noise of the shape of `x`; no idea hides in them.

# %%
import math
from collections.abc import Callable
from dataclasses import dataclass

import ipywidgets as widgets
import torch

from diffusion_lab.data.digits import load_digits
from diffusion_lab.exercises import reverse_posterior
from diffusion_lab.sampling.chain import Step, pairs
from diffusion_lab.theory.forward import noise_like, q_step
from diffusion_lab.theory.gaussian import log_prob, product
from diffusion_lab.theory.posterior import weight_of
from diffusion_lab.theory.schedule import Schedule, at, cosine
from diffusion_lab.view.frames import drawn, painter
from diffusion_lab.view.live import Live
from diffusion_lab.view.pictures import mosaic
from diffusion_lab.view.plots import clouds, curves
from diffusion_lab.view.scrubber import Scrubber
from diffusion_lab.view.show import show
from diffusion_lab.view.style import POINTS, figure

generator = torch.Generator().manual_seed(0)
grid = torch.linspace(-6, 6, 2401, dtype=torch.float64)

# %% [markdown]
# Here is the chain of notebook 02 once more, for 40 numbers that start at -1 or +1. In notebook 02 we followed such
# lines from left to right. Now the question is how to walk from right to left.

# %% tags=["figure"]
schedule = cosine()
paths = [torch.tensor([-1.0, 1.0], dtype=torch.float64).repeat(20)[:, None]]
for t in range(1, 1001):
    eps = torch.randn(40, 1, generator=generator, dtype=torch.float64)
    paths.append(q_step(paths[-1], t, eps, schedule))
fig, ax = figure(width=8, height=2.8)
for first, role in ((0, "data"), (1, "model")):  # blue from -1, orange from +1
    bundle = torch.cat(paths, dim=1)[first::2].T
    ax.plot(bundle, color=POINTS[role]["color"], linewidth=0.5, alpha=0.6)
ax.set(xlabel="t", ylabel="$x_t$", xlim=(0, 1000))
show(
    fig,
    alt="Forty jagged lines: a blue bundle from -1 and an orange one from +1 mix into one "
    "broad band on the right.",
)

# %% [markdown]
# **Figure 1.** Two bundles on the left, blue from -1 and orange from +1; one band of noise on the right. Look at the
# last tenth: without the colours, could you tell where a line came from? (It is so jagged there because the last steps
# of the cosine schedule have a large β.)
#
# ## Predict first
#
# You see a noisy number, $x_t = 0$. It came from data that is either near -1 or near +1, one as likely as the other.
# What was it one *small* step earlier? And what was it at the start? Is the answer in both cases one number, give or
# take a little, or either of two?
#
# ## 1 · The step back when the data is known
#
# Suppose first that you know the clean $x_0$ as well as the noisy $x_t$, and ask for the state between them at an
# earlier time $s < t$. Two things speak about $x_s$:
#
# - the **prior**, what $x_0$ says: the jump puts $x_s$ at $\mathcal N(\sqrt{\bar\alpha_s}\,x_0,\; 1-\bar\alpha_s)$;
# - the **likelihood**, what $x_t$ says: from $x_s$ the chain went on to $x_t = \sqrt\alpha\,x_s + \sqrt\beta\,\varepsilon$,
#   where $\alpha = \bar\alpha_t/\bar\alpha_s$ and $\beta = 1-\alpha$ (exercise 4 of notebook 02). For $s = t-1$ these are
#   $\alpha_t$ and $\beta_t$.
#
# (A prior is whatever you believed of $x_s$ before you saw $x_t$. Section 2, where $x_0$ is not known, has another one.)
#
# **Bayes' rule** says: multiply the two, and rescale to area 1. The result is called the **posterior**:
#
# $$ q(x_s \mid x_t, x_0) \;\propto\; q(x_t \mid x_s)\; q(x_s \mid x_0) \tag{1} $$
#
# (Given $x_s$, the chain does not look at $x_0$ again: it is Markov. So $q(x_t \mid x_s, x_0) = q(x_t \mid x_s)$.) Let
# us do it with numbers, on a grid. Ten large steps make the picture readable.

# %%
schedule = cosine(10)
t, s = 5, 4
x_0 = torch.tensor([[1.0]], dtype=torch.float64)
x_t = torch.tensor([[-0.5]], dtype=torch.float64)
alpha_bar_s = schedule.alpha_bar[s]
alpha = schedule.alpha_bar[t] / alpha_bar_s

prior = log_prob(grid, alpha_bar_s.sqrt() * x_0[0], 1 - alpha_bar_s).exp()
likelihood = log_prob(x_t[0], alpha.sqrt() * grid, 1 - alpha).exp()
posterior = prior * likelihood / torch.trapezoid(prior * likelihood, grid)

# %% [markdown]
# As a function of $x_s$, the likelihood is a Gaussian around $x_t/\sqrt\alpha$ with variance $\beta/\alpha$. So (1) is a
# product of two Gaussians, and notebook 01 has its mean and variance: precisions add. Writing that out gives
# (Ho et al. 2020, eq. 7; they have $s = t-1$)
#
# $$ q(x_s \mid x_t, x_0) = \mathcal N(x_s;\, \tilde\mu,\, \tilde\beta I), \qquad
#    \tilde\mu = \frac{\sqrt{\bar\alpha_s}\,\beta}{1-\bar\alpha_t}\,x_0 + \frac{\sqrt\alpha\,(1-\bar\alpha_s)}{1-\bar\alpha_t}\,x_t \tag{2} $$
#
# $$ \tilde\beta = \frac{1-\bar\alpha_s}{1-\bar\alpha_t}\;\beta \tag{3} $$
#
# The algebra is short. For the variance, $1/\tilde\beta = \alpha/\beta + 1/(1-\bar\alpha_s)$: put both on one fraction,
# and note that $\alpha(1-\bar\alpha_s) + \beta = 1-\bar\alpha_t$. For the mean,
#
# $$ \tilde\mu = \tilde\beta\left(\frac{\alpha}{\beta}\cdot\frac{x_t}{\sqrt\alpha} + \frac{1}{1-\bar\alpha_s}\cdot\sqrt{\bar\alpha_s}\,x_0\right), $$
#
# each mean times its precision; put (3) in for $\tilde\beta$. After the definition, two checks by two routes: the
# curve on the grid, and the product formula.

# %% tags=["export:diffusion_lab.theory.posterior"]
def posterior_mean(x_0, x_t, t, schedule, s=None):
    """Mean of q(x_s given x_t, x_0): equation (2). s defaults to t-1."""
    alpha_bar_t = at(schedule.alpha_bar, t, like=x_t)
    alpha_bar_s = at(schedule.alpha_bar, t - 1 if s is None else s, like=x_t)
    alpha = alpha_bar_t / alpha_bar_s
    beta = 1 - alpha
    mu_tilde_t = (
        alpha_bar_s.sqrt() * beta * x_0 + alpha.sqrt() * (1 - alpha_bar_s) * x_t
    ) / (1 - alpha_bar_t)
    return mu_tilde_t.to(x_t.dtype)


def posterior_var(t, schedule, s=None):
    """Variance of q(x_s given x_t, x_0): equation (3)."""
    alpha_bar_t = at(schedule.alpha_bar, t)
    alpha_bar_s = at(schedule.alpha_bar, t - 1 if s is None else s)
    beta = 1 - alpha_bar_t / alpha_bar_s
    return (1 - alpha_bar_s) / (1 - alpha_bar_t) * beta


# %% tags=["check"]
mu_tilde_t = posterior_mean(x_0, x_t, t, schedule)
beta_tilde_t = posterior_var(t, schedule)
assert torch.allclose(posterior, log_prob(grid, mu_tilde_t[0], beta_tilde_t).exp(), atol=1e-10)

likelihood_var = (1 - alpha) / alpha
mean, var = product(alpha_bar_s.sqrt() * x_0, 1 - alpha_bar_s, x_t / alpha.sqrt(), likelihood_var)
assert torch.allclose(mu_tilde_t, mean, atol=1e-12)
assert torch.allclose(beta_tilde_t, var, atol=1e-12)
print(f"posterior mean {mu_tilde_t.item():.3f}, variance {beta_tilde_t:.3f}")

# %% [markdown]
# **Try it.** Move $x_t$: which of the three curves stay where they are? Move $t$ to 1, then to 10: who wins, prior or
# likelihood?

# %% tags=["figure"]
def bayes_picture(ten_steps, clean):
    """Draws prior, likelihood and posterior of the state before x_t, for x_t and t."""
    names = [
        ("data", "what $x_0 = 1$ says (prior)"),
        ("noise", "what $x_t$ says (likelihood)"),
        ("exact", "both (posterior)"),
    ]
    fig, ax = figure(width=7.5, height=3)
    lines = [(grid, 0 * grid, *name) for name in names]
    curves(ax, lines, "$x_{t-1}$", "density", xlim=(-3, 3), ylim=(0, 3.2))
    paint = painter(fig, ax.lines)

    def draw(x_t, t):
        x = torch.tensor([[x_t]], dtype=torch.float64)
        alpha_bar_s = ten_steps.alpha_bar[t - 1]
        alpha_t = ten_steps.alpha[t]
        mean = posterior_mean(clean, x, t, ten_steps)[0]
        # at t = 1 two variances are 0; the smallest that the grid can draw stands in for them
        prior_var = (1 - alpha_bar_s).clamp(min=1e-4)
        var = posterior_var(t, ten_steps).clamp(min=1e-4)
        says_x_0 = log_prob(grid, alpha_bar_s.sqrt(), prior_var).exp()
        says_x_t = log_prob(grid, x[0] / alpha_t.sqrt(), (1 - alpha_t) / alpha_t).exp()
        both = log_prob(grid, mean, var).exp()
        for line, density in zip(ax.lines, (says_x_0, says_x_t, both)):
            line.set_ydata(density.numpy())  # faster than a tensor
        return paint()

    return draw


Live(
    bayes_picture(schedule, x_0),
    caption="Bayes' rule for one step back, for a clean value of 1 and ten steps in all.",
    alt="Three bell curves: prior around the clean value, likelihood around x_t, and the narrower "
    "posterior between.",
    x_t=widgets.FloatSlider(value=-0.5, min=-2.5, max=2.5, step=0.1, description="x_t"),
    t=widgets.IntSlider(value=5, min=1, max=10, description="t"),
)

# %% [markdown]
# What to have seen: $x_t$ moves the likelihood and pulls the posterior along; the prior does not care. The prior wins
# at both ends. At $t = 1$ the question is about $x_0$ itself, so the prior is a spike. At $t = 10$ the last step has
# almost erased $x_s$: the likelihood is flat, and the posterior lies on the prior. For all $t$ in between, the
# posterior is the narrowest of the three curves. It gets wider as $t$ grows.

# %% tags=["claim"]
widths = [posterior_var(t, schedule) for t in range(1, 11)]
assert widths == sorted(widths)
assert widths[9] > 0.99 * (1 - schedule.alpha_bar[9])  # at t = 10 the prior decides

# %% [markdown]
# ### Deeper: what the article has instead
#
# For five noisy numbers $x' = [0.5, -0.5, 0.2, -0.8, 0.1]$ the article proposes
# $\hat p(x \mid x') \propto \exp(\theta_1 x + \theta_2 x')$, exponentials divided by their sum over candidate values $x$
# (a **softmax**; below with $\theta_1 = 2$, $\theta_2 = 1$). Look at the factor
# $\exp(\theta_2 x')$: it is the same for every candidate, so dividing by the sum removes it.
#
# The noisy value drops out: whatever you measured, this "denoiser" says the same. By Bayes' rule it does not drop out.
# If clean values are spread as $\mathcal N(0, 1)$ and half of the variance is left ($\bar\alpha = 0.5$), the product
# rule gives each number its own answer, $\sqrt{0.5} \approx 0.71$ times the number.

# %%
candidates = torch.linspace(-1, 1, 5, dtype=torch.float64)
noisy = torch.tensor([0.5, -0.5, 0.2, -0.8, 0.1], dtype=torch.float64)
article = torch.softmax(2.0 * candidates[None, :] + 1.0 * noisy[:, None], dim=1)
print("article: the same shares for all five,", [round(p, 2) for p in article[0].tolist()])

clean_mean, clean_var = product(0.0, 1.0, noisy / 0.5**0.5, (1 - 0.5) / 0.5)
guesses = [round(guess, 2) for guess in clean_mean.tolist()]
print(f"Bayes: best guess for each, {guesses} with variance {clean_var.item():.2f}")

# %% tags=["claim"]
assert torch.allclose(article, article[:1].expand(5, 5))
assert torch.allclose(clean_mean, 0.5**0.5 * noisy)

# %% [markdown]
# ## 2 · The step back when the data is not known
#
# At generation time there is no $x_0$; that is the point of generating. What we need is $q(x_s \mid x_t)$: (1) averaged
# over the data that could have led to $x_t$, that is, over $q(x_0 \mid x_t)$. Again by Bayes, now with the distribution
# of the states at time $s$ as prior:
#
# $$ q(x_s \mid x_t) \;\propto\; q(x_t \mid x_s)\; q(x_s) \tag{4} $$
#
# This prior, $q(x_s)$, is no Gaussian, and so the product need not be one. Suppose that it is a **mixture** of two
# Gaussians, $q(x_s) = \tfrac12\mathcal N(x_s;\, -1, 0.2) + \tfrac12\mathcal N(x_s;\, 1, 0.2)$: two peaks with a valley
# between. We hold this $q(x_s)$ fixed, whatever the length of the step, and step back from $x_t = 0.3$ twice: with a
# large $\beta$ and with a small one.

# %%
def step_back(beta, x_t=0.3):
    """The density (4) on a grid, for a two-peaked q(x_s)."""
    width = 14 * (beta / (1 - beta)) ** 0.5
    x_s = x_t + torch.linspace(-min(width, 4), min(width, 4), 4001, dtype=torch.float64)
    log_q_s = torch.logaddexp(log_prob(x_s, -1.0, 0.2), log_prob(x_s, 1.0, 0.2))
    density = (log_q_s + log_prob(x_t, (1 - beta) ** 0.5 * x_s, beta)).exp()
    return x_s, density / torch.trapezoid(density, x_s)


def nearest_gaussian(x_s, density):
    """The Gaussian of the same mean and variance, on the same grid; KL(density ‖ it) in nats."""
    mean = torch.trapezoid(x_s * density, x_s)
    var = torch.trapezoid((x_s - mean) ** 2 * density, x_s)
    log_gaussian = log_prob(x_s, mean, var)
    excess = density * (density.clamp(min=1e-300).log() - log_gaussian)
    misfit = torch.trapezoid(torch.where(density > 0, excess, 0.0), x_s)
    return log_gaussian.exp(), misfit


# %% tags=["figure"]
fig, axes = figure(columns=2, width=8, height=2.8)
for ax, beta, limit, top in zip(axes, (0.7, 0.02), (2.7, 0.9), (0.9, 4.5)):
    x_s, density = step_back(beta)
    gaussian, _ = nearest_gaussian(x_s, density)
    lines = [
        (x_s, density, "data", "$q(x_s | x_t)$"),
        (x_s, gaussian, "model", "nearest Gaussian"),
    ]
    limits = {"xlim": (0.3 - limit, 0.3 + limit), "ylim": (0, top)}
    curves(ax, lines, "$x_s$", "density", title=f"β = {beta}", **limits)
show(
    fig,
    alt="Left: a two-peaked curve and a Gaussian that misses both peaks. Right: a bell curve and "
    "a Gaussian on top of it.",
)

# %% [markdown]
# **Figure 2.** One step back from $x_t = 0.3$; the nearest Gaussian, by KL, is the one of the same mean and variance. Left, a
# large step: the state came from one of two places, and no Gaussian can say so; its top lies between the two peaks.
# Right, a small step, three times enlarged (see the axes): the two curves agree. In a small enough neighbourhood, the
# prior is nearly a straight line on a logarithmic scale, and a Gaussian times that is a Gaussian.
#
# How fast does the misfit vanish? We measure it as a KL (notebook 01), for smaller and smaller steps. And we predict
# it. What a straight line leaves out first is a bend in $\log q(x_s)$; that alone still gives a Gaussian. The third
# derivative is the first that does not: it makes the curve lopsided, and costs
#
# $$ \mathrm{KL} \;\approx\; \tfrac{1}{12}\, \beta^3 \left(\frac{d^3}{dx^3} \log q(x_s)\right)^{\!2} \quad\text{at } x_s = x_t $$
#
# for small β. (Lopsidedness is measured by the **skewness**, the average of $(x - \text{mean})^3$ over the cubed
# deviation. We take two facts on trust: for small β that average is about $\beta^3$ times the derivative, and the KL
# from the nearest Gaussian is about skewness²/12. The deviation is about $\sqrt\beta$, so the skewness is about
# $\beta^{3/2}$ times the derivative, and the formula follows. The next cell checks the outcome.) Our $\log q(x_s)$ is a
# parabola plus $\log\cosh(5x_s)$, whose third derivative is known.

# %% tags=["check"]
tanh = math.tanh(5 * 0.3)
third_derivative = 5**3 * -2 * tanh * (1 - tanh**2)
betas = [0.9, 0.7, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001]
misfit = [nearest_gaussian(*step_back(beta))[1].item() for beta in betas]
predicted = [beta**3 * third_derivative**2 / 12 for beta in betas]
assert abs(misfit[-1] / predicted[-1] - 1) < 0.02

some = [f"{misfit[betas.index(beta)]:.1g}" for beta in (0.5, 0.05, 0.005)]
slope = math.log(misfit[-3] / misfit[-1]) / math.log(betas[-3] / betas[-1])
print("KL at β = 0.5, 0.05, 0.005:", some, f"slope {slope:.1f}")

# %% tags=["figure"]
fig, ax = figure(width=6, height=2.8)
lines = [
    (betas, misfit, "data", "measured"),
    (betas, predicted, "exact", "predicted for small β"),
]
limits = {"xscale": "log", "yscale": "log", "ylim": (1e-8, 10)}
curves(ax, lines, "β", "KL from a Gaussian, nats", **limits)
show(
    fig,
    alt="On logarithmic axes, the misfit is flat for large beta, then falls along a straight line "
    "of slope three.",
)

# %% [markdown]
# **Figure 3.** From β = 0.9 down to 0.2 the misfit only halves. From 0.02 on, it falls like $\beta^3$, as predicted: a
# step of a tenth the size is a thousand times closer to a Gaussian. You need ten times as many of them, so their
# misfits add up to a hundredth. This is why diffusion models take many small steps: each one is then nearly a Gaussian,
# and a Gaussian needs only a mean and a variance.

# %% tags=["claim"]
assert misfit == sorted(misfit, reverse=True)
assert 2.8 < slope < 3.2

# %% [markdown]
# ## 3 · All that is missing is a guess of the data
#
# For a small step, then, $q(x_s\mid x_t)$ is nearly a Gaussian. Its mean, for a step of any size, is the average of
# $\tilde\mu$ over $q(x_0\mid x_t)$, and $\tilde\mu$ is linear in $x_0$. So the mean is (2) with $x_0$ replaced by its
# average given $x_t$:
#
# $$ \hat x_0(x_t) = \mathbb E[x_0 \mid x_t] \tag{5} $$
#
# We call it the **denoised mean**; a function that returns it is a **denoiser**. It is the one thing in the mean that
# depends on the data. (The variance depends on the data, too; section 4 brackets it between $\tilde\beta$ and β.) All
# samplers of this course ask for a denoiser and for nothing else. In code it carries the schedule for whose states it
# has an answer. (A `label` is for models that can be told what to make.)

# %% tags=["export:diffusion_lab.theory.denoiser"]
@dataclass(frozen=True)
class Denoiser:
    """x_0_hat = denoiser(x_t, t, label=None): equation (5), for states of one schedule."""

    answer: Callable
    schedule: Schedule

    def __call__(self, x_t, t, label=None):
        return self.answer(x_t, t, label)


# %% [markdown]
# In later notebooks a network learns it. Here we choose data for which it is known: a mixture of $K$ round Gaussians
# with weights $w_k$, means $m_k$, variances $v_k$.
#
# $$ p(x) = \sum_k w_k\, \mathcal N(x;\, m_k, v_k I) \tag{6} $$
#
# Why does everything stay known? The chain acts on each component by itself, as an affine map plus noise, so the
# noisy data is a mixture again (the method `marginal` below). And given the component, (5) is the product rule: with $y = x_t/\sqrt{\bar\alpha_t}$, which is $x_0$ plus noise of variance
# $1/\mathrm{SNR}_t$,
#
# $$ \mathbb E[x_0 \mid x_t, k] = (1-g_k)\,m_k + g_k\,y, \qquad g_k = \frac{v_k}{v_k + 1/\mathrm{SNR}_t} \tag{7} $$
#
# The components are then weighed by how likely each is given $x_t$, Bayes once more:
#
# $$ \hat x_0 = \sum_k r_k\,\mathbb E[x_0\mid x_t, k], \qquad
#    r_k \propto w_k\,\mathcal N(y;\, m_k, (v_k + 1/\mathrm{SNR}_t)\, I) $$
#
# Three more names in the class. `log_joint` gives, for each point $x$ and each $k$, the logarithm of
# $w_k\,\mathcal N(x;\, m_k, (v_k + n)I)$, where $n$ is its `noise_var`. For $x = y$ its softmax over $k$ (exponentials
# divided by their sum) is $r_k$; its largest entry names the component that $x$ most likely belongs to. The **score** is
# the gradient $\nabla\log p$, the slope of $\log p$ in each coordinate: it points to where the density rises, and the
# check below uses it. A mixture cannot be told what to make, so its denoiser has no use for a `label`.

# %% tags=["export:diffusion_lab.theory.mixture"]
class GaussianMixture:
    """Equation (6). weight (K,), mean (K, d), var (K,); points x are (n, d)."""

    def __init__(self, weight, mean, var):
        weight, mean, var = (
            torch.as_tensor(table, dtype=torch.float64).clone() for table in (weight, mean, var)
        )
        self.weight = weight / weight.sum()
        self.mean = mean
        self.var = var

    def log_joint(self, x, noise_var=0.0):
        d = self.mean.shape[1]
        var = self.var + noise_var
        # the other way to compute distances, by a product of matrices, loses digits
        distance = torch.cdist(x.double(), self.mean, compute_mode="donot_use_mm_for_euclid_dist")
        return self.weight.log() - 0.5 * (distance**2 / var + d * torch.log(2 * torch.pi * var))

    def log_prob(self, x):
        return torch.logsumexp(self.log_joint(x), dim=1)

    def score(self, x):
        pull = torch.softmax(self.log_joint(x), dim=1) / self.var
        return pull @ self.mean - pull.sum(dim=1, keepdim=True) * x

    def sample(self, n, generator=None):
        k = torch.multinomial(self.weight, n, replacement=True, generator=generator)
        eps = torch.randn(n, self.mean.shape[1], generator=generator, dtype=torch.float64)
        return self.mean[k] + self.var[k, None].sqrt() * eps

    def marginal(self, t, schedule):
        alpha_bar_t = at(schedule.alpha_bar, t)
        return GaussianMixture(
            self.weight, alpha_bar_t.sqrt() * self.mean, alpha_bar_t * self.var + (1 - alpha_bar_t)
        )

    def expected_x_0(self, x_t, t, schedule):
        """The denoised mean: equation (7), weighed by r."""
        x = x_t.reshape(len(x_t), -1).to(self.mean)
        y = x / at(schedule.alpha_bar, t, like=x).sqrt()
        noise_var = 1 / at(schedule.snr, t, like=x)
        r = torch.softmax(self.log_joint(y, noise_var), dim=1)
        gain = self.var / (self.var + noise_var)
        x_0_hat = (r * (1 - gain)) @ self.mean + (r * gain).sum(dim=1, keepdim=True) * y
        return x_0_hat.reshape(x_t.shape).to(x_t)

    def denoiser(self, schedule):
        def answer(x_t, t, label):
            return self.expected_x_0(x_t, t, schedule)

        return Denoiser(answer, schedule)


# %% [markdown]
# Three checks, in one dimension, with the data of the question at the top: near -1 or near +1. First, average $x_0$
# over a grid, weighed by $p(x_0)\, q(x_t\mid x_0)$.

# %% tags=["check"]
two = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [0.02, 0.02])
denoiser = two.denoiser(cosine())
alpha_bar = cosine().alpha_bar
noisy = grid[::100, None].clone().requires_grad_()
for t in (50, 500, 900):
    likelihood = log_prob(noisy, alpha_bar[t].sqrt() * grid, 1 - alpha_bar[t])
    weight = (two.log_prob(grid[:, None]) + likelihood).exp()
    by_grid = torch.trapezoid(grid * weight, grid) / torch.trapezoid(weight, grid)
    assert torch.allclose(by_grid[:, None], denoiser(noisy, t), atol=1e-9)
print("the exact denoiser agrees with averaging on a grid")

# %% [markdown]
# Second, a formula that knows nothing of components: **Tweedie's formula** gets the denoised mean from the score of the
# noisy data alone (notebook 05 derives it),
#
# $$ \hat x_0 = \frac{x_t + (1-\bar\alpha_t)\,\nabla\log q(x_t)}{\sqrt{\bar\alpha_t}} $$
#
# PyTorch can differentiate what it computed (`requires_grad_`, `torch.autograd.grad`; notebook 05 shows how). Here that
# is only a check: it gives the gradient of `log_prob`, and so tests `score` and `marginal` on the way.

# %% tags=["check"]
for t in (50, 500, 900):
    marginal = two.marginal(t, cosine())
    score = torch.autograd.grad(marginal.log_prob(noisy).sum(), noisy)[0]
    assert torch.allclose(score, marginal.score(noisy), atol=1e-9)
    by_tweedie = (noisy + (1 - alpha_bar[t]) * score) / alpha_bar[t].sqrt()
    assert torch.allclose(by_tweedie, denoiser(noisy, t), atol=1e-9)
print("and with Tweedie's formula")

# %% [markdown]
# Third, the mean of (4) on a grid must be (2) with $\hat x_0$ in it, also for a step back to half the time.

# %% tags=["check"]
for t in (50, 500, 900):
    s = t // 2
    alpha = alpha_bar[t] / alpha_bar[s]
    likelihood = log_prob(noisy, alpha.sqrt() * grid, 1 - alpha)
    weight = (two.marginal(s, cosine()).log_prob(grid[:, None]) + likelihood).exp()
    by_grid = torch.trapezoid(grid * weight, grid) / torch.trapezoid(weight, grid)
    by_x_0_hat = posterior_mean(denoiser(noisy, t), noisy, t, cosine(), s)
    assert torch.allclose(by_grid[:, None], by_x_0_hat, atol=1e-9)
print("the mean of a step back is equation (2) with the denoised mean in it")

# %% tags=["figure"]
fig, ax = figure(width=7, height=2.8)
for t, style in ((100, "-"), (500, "--"), (900, ":")):
    ax.plot(grid, denoiser(grid[:, None], t)[:, 0], linestyle=style, label=f"t = {t}")
ax.set(xlabel="$x_t$", ylabel="$\\hat x_0$", xlim=(-3, 3))
ax.legend()
show(
    fig,
    alt="Three rising curves through 0: a steep step at t = 100, a smooth bend at 500, an almost "
    "straight line at 900.",
)

# %% [markdown]
# **Figure 4.** The denoised mean. Late in the chain (900) it hardly dares to leave the average of the data, 0. Early
# (100) it picks a side as soon as $x_t$ leans to it; beyond that it still follows $x_t$, since each peak has a width. At
# $x_t = 0$ it is 0 at all times: an average of the two answers, where there is hardly any data. That is why one big jump
# to $\hat x_0$ gives a blur, and small steps do not.
#
# So the two questions at the top have different answers. One small step earlier, $x$ was near 0: one bell, of deviation
# $\sqrt\beta$. At the start it was near -1 or near +1, either of two, and 0 is only their average.
#
# ## 4 · Ancestral sampling
#
# Now walk. **Ancestral sampling** draws each state from the one after it, down to the data; in code it is usually called
# `ddpm`, after the paper. Start with pure noise $x_T$, and at each step draw from the Gaussian with mean $\tilde\mu(\hat x_0, x_t)$
# (Ho et al. 2020, algorithm 2):
#
# $$ x_s = \tilde\mu(\hat x_0(x_t),\, x_t) + \sqrt{\mathrm{var}}\;\varepsilon, \qquad
#    \text{and no noise in the last step, to } s = 0 \tag{8} $$
#
# Which variance? $\tilde\beta$ is right where $x_t$ leaves no doubt about $x_0$; at all times that holds only for data
# that is a single point. Where there is doubt, $\tilde\mu$ varies with $x_0$, which makes $q(x_s\mid x_t)$ wider, in
# proportion to the mean squared error of the guess $\hat x_0$:
#
# $$ \text{variance of } q(x_s\mid x_t), \text{ averaged over } x_t \;=\; \tilde\beta + (\beta-\tilde\beta)\,\frac{\mathbb E\,(x_0-\hat x_0)^2}{1-\bar\alpha_t} $$
#
# If the data is $\mathcal N(0, I)$, that error is $1-\bar\alpha_t$ in each coordinate, and the variance is $\beta$. For
# other data whose coordinates have variance at most 1 the error is no larger, since even the best guess linear in $x_t$
# does as well. So the truth lies between the two. (Ho et al., section 3.2, have them as bounds on the entropy, for
# variance 1.) The package calls them "small" and "large", and lets you blend their logarithms, by the weight $w$ of
# $\log\beta$: 0 for "small", 1 for "large", or a number between. (The cell after
# `reverse_var` checks the formula: for data $\mathcal N(0, v)$ the prior in (4) is
# $\mathcal N(0,\, \bar\alpha_s v + 1-\bar\alpha_s)$, `product` has the variance, and the error, divided by
# $1-\bar\alpha_t$, is $v/(\bar\alpha_t v + 1-\bar\alpha_t)$.)

# %% tags=["export:diffusion_lab.theory.posterior"]
def reverse_var(t, schedule, variance="small", s=None):
    """Variance of a reverse step: "small" is β tilde, "large" is β, a number w lies between."""
    w = weight_of(variance)
    beta_tilde = posterior_var(t, schedule, s)
    beta = 1 - at(schedule.alpha_bar, t) / at(schedule.alpha_bar, t - 1 if s is None else s)
    return beta**w * beta_tilde ** (1 - w)


# %% tags=["check"]
for v, t, s in ((0.0, 5, 4), (0.0, 10, 4), (0.3, 10, 4), (0.3, 3, 1), (1.0, 5, 4), (1.0, 3, 1)):
    small = reverse_var(t, schedule, "small", s)
    large = reverse_var(t, schedule, "large", s)
    alpha_bar_t = schedule.alpha_bar[t]
    alpha_bar_s = schedule.alpha_bar[s]
    prior_var = alpha_bar_s * v + 1 - alpha_bar_s
    _, exact = product(0.0, prior_var, 0.0, (alpha_bar_s - alpha_bar_t) / alpha_bar_t)
    error = v / (alpha_bar_t * v + 1 - alpha_bar_t)
    assert torch.allclose(exact, small + (large - small) * error, rtol=1e-9)
print("β tilde is exact for a point, β for data N(0, 1), and for N(0, 0.3) the truth lies between")

# %% [markdown]
# Which times? All of them, or $n$ evenly spaced ones; nothing above asked for $s = t-1$. The first must be $T$, and the
# last step must end at 0. Other spacings are in use: **leading** spacing takes $901, 801, …, 1$ for ten steps of a
# thousand. But a state of time 901 still carries some signal, and the pure noise that you start with has none. So the
# denoiser is asked about states that it would never meet. (Halves, below: Python's `round` takes 7.5 to 8 and 2.5 to 2,
# the even neighbour.)

# %% tags=["export:diffusion_lab.sampling.chain"]
def spaced(T, n):
    """n times from T down: round(T (n-k)/n), k = 0, …, n-1. The step after the last goes to 0."""
    return torch.tensor([round(T * (n - k) / n) for k in range(n)])


# %%
ten = spaced(1000, 10).tolist()
four = spaced(10, 4).tolist()
print(f"ten times: {ten}  and if n does not divide T: {four}")
left = [alpha_bar[t].sqrt().item() for t in (901, 1000)]
print(f"the signal's size at t = 901 is {left[0]:.2f} of the original, at t = 1000 {left[1]:.2f}")

# %% tags=["claim"]
assert left[0] > 0.1 > 0.001 > left[1]

# %% [markdown]
# The sampler is a Python generator (not related to the random `generator`): a function with `yield`, which hands out
# each step as it is made, so that you can look at the chain while it runs. A `Step` holds `t`, `s`, `x_t`, `x_0_hat`,
# `mean` and `x_s`. `pairs` turns the times into pairs $(t, s)$. `last` walks to the end: the sample is the state $x_s$
# of the last step.

# %% tags=["export:diffusion_lab.sampling.ddpm"]
def ddpm(denoiser, x_T, timesteps=None, variance="small", label=None, generator=None):
    """Ancestral sampling, equation (8): yields each Step; the last one's x_s is the sample."""
    schedule = denoiser.schedule
    x_t = x_T
    for t, s in pairs(timesteps, schedule.T):
        std = reverse_var(t, schedule, variance, s).sqrt()
        x_0_hat = denoiser(x_t, t, label)
        mean = posterior_mean(x_0_hat, x_t, t, schedule, s)

        # The last step adds no noise: its mean is the sample.
        eps = noise_like(x_t, generator) if s > 0 else torch.zeros_like(x_t)
        x_s = (mean + std * eps).to(x_t.dtype)
        yield Step(t, s, x_t, x_0_hat, mean, x_s)
        x_t = x_s


# %% tags=["export:diffusion_lab.sampling.chain"]
def last(steps):
    """The sample: the state in which a sampler's last step ends."""
    for step in steps:
        x_s = step.x_s
    return x_s


# %% [markdown]
# Three clouds of unequal weight make the test. From noise alone, the chain must find all three, with the right shares,
# centres and widths. A fair comparison counts in standard errors. Of $n$ points with variance $v$, the mean has the
# standard error $\sqrt{v/n}$, the variance $v\sqrt{2/n}$, the covariance of two independent coordinates $v/\sqrt n$,
# and a share $p$ of $N$ points $\sqrt{p(1-p)/N}$. A result that is more than 4 standard errors off is no accident.
#
# Ten steps are cheap, so 300,000 points take them: the more points, the smaller the error that shows. From the same
# noise, the first 4,000 walk all thousand steps, of which we keep every fortieth to look at. And 4,000 points are drawn
# from the data directly.

# %%
data = GaussianMixture(
    [0.2, 0.3, 0.5], [[-1.5, -0.5], [0.0, 1.2], [1.2, -0.8]], [0.02, 0.05, 0.1]
)
denoiser = data.denoiser(cosine())
x_T = torch.randn(300_000, 2, generator=generator, dtype=torch.float64)
after_10 = last(ddpm(denoiser, x_T, spaced(1000, 10), generator=generator))
chain = [
    step
    for step in ddpm(denoiser, x_T[:4000], generator=generator)
    if step.t % 40 == 0 or step.s == 0
]
samples = {
    "after 10 steps": after_10,
    "after 1000 steps": chain[-1].x_s,
    "drawn directly": data.sample(4000, generator),
}


# %%
def cloud(x, k):
    """The points that most likely belong to component k."""
    return x[data.log_joint(x).argmax(dim=1) == k]


def misses(x, k):
    """The errors of cloud k's share, centre and width (its covariance), in standard errors."""
    found = cloud(x, k)
    n = len(found)
    v = data.var[k]
    p = data.weight[k]
    eye = torch.eye(2, dtype=torch.float64)
    share = (n / len(x) - p) / (p * (1 - p) / len(x)).sqrt()
    centre = (found.mean(dim=0) - data.mean[k]) / (v / n).sqrt()
    width = (found.T.cov() - v * eye) / (v * ((1 + eye) / n).sqrt())
    return torch.stack([abs(share), centre.abs().max(), width.abs().max()])


# %%
print("largest error in:   share   centre    width   (standard errors)")
for name, x in samples.items():
    share, centre, width = torch.stack([misses(x, k) for k in range(3)]).amax(dim=0)
    shares = tuple(round(len(cloud(x, k)) / len(x), 2) for k in range(3))
    variances = tuple(round(cloud(x, k).var(dim=0).mean().item(), 2) for k in range(3))
    print(f"{name:16} {share:8.1f} {centre:8.1f} {width:8.1f}   "
          f"shares {shares}, variances {variances}")
shares = tuple(data.weight.tolist())
variances = tuple(data.var.tolist())
print(f"{'the data':45} shares {shares}, variances {variances}")

# %% tags=["figure"]
panels = [
    (x[:4000], "data" if "drawn" in name else "model", name) for name, x in samples.items()
]
show(
    clouds(panels),
    alt="Three pictures of the same three clouds; those after 10 steps are smaller, the other two "
    "look alike.",
)

# %% [markdown]
# **Figure 5.** Left: noise sent through ten steps. Middle: the same noise sent through a thousand. Right: the data
# itself; 4,000 points in each. By these measures a thousand steps cannot be told from the data. Ten come near, but not
# all the way: the smallest cloud gets 18 % of the points instead of 20 %, the largest 52 % instead of 50 %. The clouds
# are too narrow (why, you will see below), the centres are pulled inwards by 0.03 to 0.07, and a few points are stuck
# between them. Nothing was learned; the denoiser knew the data. But the sampler never looked at the data, only at
# $\hat x_0$.

# %% tags=["claim"]
errors = {name: torch.stack([misses(x, k) for k in range(3)]) for name, x in samples.items()}
assert errors["after 10 steps"].amax(dim=0).min() > 4
assert errors["after 1000 steps"].max() < 4
assert errors["drawn directly"].max() < 4
found = [cloud(after_10, k) for k in range(3)]
assert [round(len(each) / 300_000, 2) for each in found] == [0.18, 0.3, 0.52]
inwards = [mean.norm() - each.mean(dim=0).norm() for mean, each in zip(data.mean, found)]
assert 0.025 < min(inwards) < 0.035 < 0.065 < max(inwards) < 0.075

# %% [markdown]
# **Try it.** At which time do the three clouds part? Do points still change clouds after that? (The label says how
# many points are *settled*: given their $x_t$, one of the clouds has more than 90 % of the probability, the largest of
# the $r_k$ in section 3.)

# %%
settled = {}
for step in chain:
    r = torch.softmax(data.marginal(step.t, cosine()).log_joint(step.x_t), dim=1)
    settled[step.t] = (r.amax(dim=1) > 0.9).double().mean().item()


# %% tags=["figure"]
def chain_frames(steps):
    """A frame for each step of the chain: the state, and the denoised mean; 1,500 points."""
    fig, axes = figure(columns=2, width=6.6, height=3.3)
    for ax, title in zip(axes, ("$x_t$", "$\\hat x_0$: where it would go")):
        ax.set(xlim=(-3.2, 3.2), ylim=(-3.2, 3.2), aspect="equal", title=title)
    dots = [ax.scatter([], [], **POINTS[role]) for ax, role in zip(axes, ("noise", "model"))]

    def update(step):
        for points, x in zip(dots, (step.x_t, step.x_0_hat)):
            points.set_offsets(x[:1500])

    return drawn(fig, dots, update, steps)


Scrubber(
    chain_frames(chain),
    labels=[f"t = {t}, {share:.0%} settled" for t, share in settled.items()],
    caption="The reverse chain of a mixture: the state, and the denoised mean at each state.",
    alt="Left a round cloud that splits into three; right points that spread from the centre to "
    "three clouds.",
)

# %% [markdown]
# What to have seen: at $t = 1000$ every $\hat x_0$ is at the centre of the data, and no point is settled. As $t$ falls
# they fan out, long before the states themselves part: at $t = 600$ a fifth of the points are settled, at $t = 400$ two
# thirds. From $t = 200$ on it is more than 98 %, fewer than one point in a hundred still ends in another cloud than
# it leaned to at $t = 200$, and only detail is open.

# %% tags=["claim"]
assert settled[1000] == 0
assert 0.15 < settled[600] < 0.25 < 0.65 < settled[400] < 0.75
assert min(share for t, share in settled.items() if t <= 200) > 0.98
at_200 = next(step.x_t for step in chain if step.t == 200)
leaned = data.marginal(200, cosine()).log_joint(at_200).argmax(dim=1)
ended = data.log_joint(chain[-1].x_s).argmax(dim=1)
assert (leaned == ended).double().mean() > 0.99

# %% [markdown]
# ### Which variance: beta or beta tilde?
#
# For data $\mathcal N(0, v)$ in one dimension no random number is needed. The denoised mean is, by (7), $g\,y = c\,x_t$
# with $c = g/\sqrt{\bar\alpha_t} = \sqrt{\bar\alpha_t}\,v/(\bar\alpha_t v + 1-\bar\alpha_t)$. So each step multiplies
# the variance by a known factor and adds a known amount. Here is what comes out.

# %%
def variance_of_samples(v, n, variance):
    """Exact variance of ddpm's samples for data N(0, v), cosine schedule, n steps."""
    schedule = cosine()
    V = 1.0
    for t, s in pairs(spaced(1000, n), 1000):
        alpha_bar_t = schedule.alpha_bar[t]
        c = alpha_bar_t.sqrt() * v / (alpha_bar_t * v + 1 - alpha_bar_t)
        factor = posterior_mean(c[None], torch.ones_like(c[None]), t, schedule, s)[0]
        V = factor**2 * V + (reverse_var(t, schedule, variance, s) if s > 0 else 0.0)
    return V.item()


# %%
print("variance of the samples as a share of the data's, "
      "with the small variance and with the large one")
print("data variance   steps    small    large")
cases = [(v, n) for v in (1.0, 0.1) for n in (10, 20, 100, 1000)] + [(0.001, 1000), (0.0001, 1000)]
found = {}
for v, n in cases:
    small = variance_of_samples(v, n, "small") / v
    large = variance_of_samples(v, n, "large") / v
    print(f"{v:13} {n:7} {small:8.2f} {large:8.2f}")
    found[v, n] = small, large

# %% [markdown]
# With a thousand steps the choice does not matter for these two: both come within 2 % of the truth. With ten it does.
# $\tilde\beta$, the small one, makes the samples too narrow, because it acts as if $x_0$ were known. β, the large one, is right for $v = 1$, except in the last
# step, which adds no noise and costs 3 % here; for $v = 0.1$ it is too wide. The right variance of each step lies
# between the two, and depends on the data; notebook 04 asks which of the two the bound prefers. (Much narrower data is
# not yet a point, for which $\tilde\beta$ is right. With $v = 0.001$ even a thousand steps with $\tilde\beta$ leave
# only 0.87 of the data's own variance, where β leaves 1.00. With $v = 0.0001$, the last row, β falls short as well,
# since the last step adds no noise.)

# %% tags=["claim"]
for v in (1.0, 0.1):
    for n in (10, 20, 100, 1000):
        assert found[v, n][0] < found[v, n][1]
    assert all(abs(share - 1) < 0.02 for share in found[v, 1000])
assert found[0.001, 1000][0] < 0.9
assert abs(found[0.001, 1000][1] - 1) < 0.005
assert found[0.0001, 1000][0] < 0.9
assert found[0.0001, 1000][1] < 0.9

# %% [markdown]
# From now on: `from diffusion_lab.theory.posterior import posterior_mean, posterior_var, reverse_var`,
# `from diffusion_lab.theory.denoiser import Denoiser`, `from diffusion_lab.theory.mixture import GaussianMixture`,
# `from diffusion_lab.sampling.chain import last, spaced` and `from diffusion_lab.sampling.ddpm import ddpm`.
#
# ## Exercises
#
# ### Exercise 1 (warm-up): which times?
#
# Write `spaced` without looking: $n$ times from $T$ down, evenly spaced and each rounded to the nearest whole number
# (halves either way), such that one more step of the same length would end at 0.

# %% tags=["exercise"]
def times(T, n):
    """n times as a list of ints, falling from T; the step after the last goes to 0.

    T, n: ints, n <= T.
    """
    raise NotImplementedError


# %% tags=["check"]
reverse_posterior.check_times(times)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# The $k$-th time is $T(n-k)/n$. Round it; do not round the length of a step, or the error adds up.
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
# ### Exercise 2 (core): the posterior mean
#
# Write equation (2) from the table of $\bar\alpha$ alone, for any two times $s < t$, neighbours or not.

# %% tags=["exercise"]
def mean_between(x_0, x_t, t, s, alpha_bar):
    """Mean of x_s given x_t, x_0: float64 (n,), as x_0 and x_t are.

    t, s: ints, s < t. alpha_bar: float64 (T+1,).
    """
    raise NotImplementedError


# %% tags=["check"]
reverse_posterior.check_posterior_mean(mean_between)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# First $\alpha = \bar\alpha_t/\bar\alpha_s$ and $\beta = 1-\alpha$. If $s = 0$, the result must be $x_0$.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def mean_between(x_0, x_t, t, s, alpha_bar):
#     a_t, a_s, alpha = alpha_bar[t], alpha_bar[s], alpha_bar[t] / alpha_bar[s]
#     return (a_s**0.5 * (1 - alpha) * x_0 + alpha**0.5 * (1 - a_s) * x_t) / (1 - a_t)
# ```
# </details>

# %% [markdown]
# ### Exercise 3 (core): denoise a Gaussian
#
# The data is $\mathcal N(m, v)$. What is the denoised mean of
# $x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\varepsilon$?

# %% tags=["exercise"]
def denoised_mean(x_t, alpha_bar_t, m, v):
    """E[x_0 given x_t] for data N(m, v).

    x_t: float64 (n,); the others floats. Returns float64 (n,).
    """
    raise NotImplementedError


# %% tags=["check"]
reverse_posterior.check_denoised_mean(denoised_mean)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# $y = x_t/\sqrt{\bar\alpha_t}$ is $x_0$ plus noise of variance $(1-\bar\alpha_t)/\bar\alpha_t$. Then equation (7), or `product`.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def denoised_mean(x_t, alpha_bar_t, m, v):
#     y, noise_var = x_t / alpha_bar_t**0.5, (1 - alpha_bar_t) / alpha_bar_t
#     gain = v / (v + noise_var)
#     return (1 - gain) * m + gain * y
# ```
# </details>

# %% [markdown]
# ### Exercise 4 (hard): one step of the sampler
#
# Write equation (8) with the variance $\tilde\beta$, for any step, the last one included.

# %% tags=["exercise"]
def ancestral_step(x_t, x_0_hat, alpha_bar_t, alpha_bar_s, eps):
    """x_s by equation (8).

    x_t, x_0_hat, eps: float64 (n,), eps standard normal; the others floats. Returns (n,).
    """
    raise NotImplementedError


# %% tags=["check"]
reverse_posterior.check_ancestral_step(ancestral_step)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# Equation (2) with `x_0_hat`, equation (3), a root. What is $\tilde\beta$ when $\bar\alpha_s = 1$?
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def ancestral_step(x_t, x_0_hat, alpha_bar_t, alpha_bar_s, eps):
#     alpha = alpha_bar_t / alpha_bar_s
#     mean = (alpha_bar_s**0.5 * (1 - alpha) * x_0_hat + alpha**0.5 * (1 - alpha_bar_s) * x_t) / (1 - alpha_bar_t)
#     var = (1 - alpha_bar_s) / (1 - alpha_bar_t) * (1 - alpha)
#     return mean + var**0.5 * eps
# ```
# </details>

# %% [markdown]
# ## A common mistake
#
# Adding noise in the last step, too. With $\tilde\beta$ the formula itself forbids it, since $\tilde\beta = 0$ when $s = 0$. With
# β it does not, and code without the `if s > 0` leaves grain on every sample. We try it on digits, with the exact
# denoiser of 4,000 real ones (a mixture whose variances are 0), in 20 steps.

# %%
images, _ = load_digits("train")
digits = GaussianMixture(torch.full((4000,), 1 / 4000), images.flatten(1), torch.zeros(4000))
noise = torch.randn(8, 1, 28, 28, generator=generator)
*_, end = ddpm(
    digits.denoiser(cosine()), noise, spaced(1000, 20), variance="large", generator=generator
)
std_of_last_step = reverse_var(end.t, cosine(), "large", end.s).sqrt()
grainy = end.mean + std_of_last_step * torch.randn(noise.shape, generator=generator)


# %%
def to_data(x):
    """For each image, the distance to the nearest of the 4,000 digits."""
    return torch.cdist(x.flatten(1), images.flatten(1)).min(dim=1).values


for name, x in (("mended", end.x_s), ("with noise in the last step", grainy)):
    print(f"{name:28} distance to the nearest digit {to_data(x).mean():.1f}")
some = images[:400].flatten(1)
apart = torch.cdist(some, images.flatten(1)).kthvalue(2).values.mean()  # first: itself
length = 28 * std_of_last_step
print(f"{'two neighbours in the data':28} distance {apart:.0f}; "
      f"the noise has the length {length:.1f}")

# %% tags=["figure"]
show(
    mosaic(torch.cat([end.x_s, grainy]), columns=8),
    alt="Two rows of the same eight digits: clean above, covered with grain below.",
)

# %% [markdown]
# **Figure 6.** Above: no noise in the last step. Below: with noise. The distance of 2.5 is the length of that noise, 28
# times its deviation of 0.09 (28² pixels); a digit and its nearest neighbour are about 10 apart. *The symptom*: even
# grain on a flat background, equally strong in every sample, and it goes away when you show $\hat x_0$ instead. (The
# digits are copies of training digits: an exact denoiser of 4,000 images can make nothing else. Notebook 05 returns to it.)

# %% tags=["claim"]
assert abs(to_data(grainy).mean() - length) < 0.1 < 9 < apart < 11
assert to_data(end.x_s).max() < 0.5

# %% [markdown]
# ## Summary
#
# - Given $x_t$ and $x_0$, the step back is a product of two Gaussians: mean $\tilde\mu$, variance $\tilde\beta$.
# - Given $x_t$ alone it is nearly Gaussian if β is small; the misfit falls like β³.
# - Its mean needs one thing from the data, the denoised mean $\hat x_0 = \mathbb E[x_0\mid x_t]$, which a mixture gives exactly.
# - Ancestral sampling applies $\tilde\mu(\hat x_0, x_t)$ plus noise from $T$ down to 0, without noise at the end.
# - $\tilde\beta$ is right for data that is one point, β for data $\mathcal N(0, I)$; with many steps both will do, unless the
#   data is very narrow.
#
# ## Check yourself
#
# <details><summary>In the question at the top, what was $x$ one small step before $x_t = 0$, and what at the start?</summary>
#
# One small step before: near 0, give or take $\sqrt\beta$, a single bell. At the start: -1 or +1, never near 0.
# </details>
#
# <details><summary>Why can the sampler not jump to $\hat x_0$ at once?</summary>
#
# $\hat x_0$ is an average over all data that fits $x_t$. From pure noise everything fits, so it is the average of the data.
# </details>
#
# <details><summary>Which part of the sampler must be learned for real data?</summary>
#
# The denoised mean only, if the variance is fixed to β or $\tilde\beta$. The schedule, $\tilde\mu$, $\tilde\beta$ and
# the loop stay as they are.
# </details>
#
# ## Further reading
#
# - Ho, Jain & Abbeel (2020): eqs. 6 and 7 together are our (2) and (3), algorithm 2 is (8) written with the noise; section 3.2
#   is on the two variances.
# - Sohl-Dickstein et al. (2015), *Deep Unsupervised Learning using Nonequilibrium Thermodynamics*: they build on
#   the fact, from Feller (1949), that small steps back have the form of steps forward.
# - Nichol & Dhariwal (2021), section 3.1 and eq. 15: a variance between $\tilde\beta$ and β.
# - Prince (2023), *Understanding Deep Learning*, chapter 18: the same kernels drawn in one dimension.
#
# ## Next
#
# Notebook 04 asks how good such a model is, in nats: the bound on the likelihood, term by term.
