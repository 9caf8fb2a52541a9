# %% [markdown]
# # Tell how far a mean can be trusted
#
# This lesson was made by `make lesson`. It is a small one that works, with a part of every kind; put yours in their
# places, one after the other. A lesson begins with a question or a picture that makes the reader want it: one noisy
# measurement says little. How many must be averaged until the mean says something?
#
# You will be able to
#
# - **compute** the variance of a mean,
# - **check** it by drawing,
# - **choose** how many draws an answer needs.
#
# **You need** the variance of a sum of independent numbers. **Time to read** 15 minutes · **to run** 5 seconds.
# **Paper sections**: none.

# %%
import torch

from diffusion_lab.exercises.your_lesson import (
    check_draws_needed,
    check_running_mean,
    check_std_of_mean,
)
from diffusion_lab.view.pictures import mosaic
from diffusion_lab.view.scrubber import Scrubber
from diffusion_lab.view.show import show
from diffusion_lab.view.style import ROLES, figure

generator = torch.Generator().manual_seed(0)

# %% [markdown]
# ## Predict first
#
# A measurement is off by 1 on average. You take the mean of 100 of them. By how much is it off: 1, 0.1 or 0.01?
#
# ## 1 · The variance of a mean
#
# A section begins with why one should care. Then comes the idea in words: errors of independent draws partly cancel.
# Then the equation. The variance of a sum of $n$ independent draws is $n$ times the variance $v$ of one. Dividing a number by
# $n$ divides its variance by $n^2$. So the mean has the variance
#
# $$ \operatorname{Var}\Big[\frac1n \sum_{i=1}^n x_i\Big] = \frac{v}{n} \tag{1} $$

# %% tags=["export:diffusion_lab.theory.your_lesson"]
def var_of_mean(var, n):
    """Equation (1)."""
    return var / n


# %% [markdown]
# Beside the code stands a number that confirms it: here, means of 16 draws, a hundred thousand times.

# %% tags=["check"]
means = torch.randn(100_000, 16, generator=generator, dtype=torch.float64).mean(dim=1)
print(f"equation (1): {var_of_mean(1.0, 16):.3f}, measured: {means.var():.3f}")
assert (means.var() - var_of_mean(1.0, 16)).abs() < 0.002

# %%
n = torch.arange(1, 101)
std = var_of_mean(1.0, n).sqrt()

# %% tags=["figure"]
fig, ax = figure(width=7, height=2.6)
_ = ax.plot(n, std, **ROLES["exact"], label="root of equation (1)")
_ = ax.set(xlabel="number of draws n", ylabel="deviation of the mean")
_ = ax.legend()
show(fig, alt="A curve that falls steeply from 1 at one draw, and is at 0.1 at a hundred.")

# %% [markdown]
# **Figure 1.** How far a mean is off. Look at the right end: a hundred draws for one more digit. So the answer to the
# question is 0.1.

# %% tags=["claim"]
assert (std[-1] - 0.1).abs() < 1e-6

# %% [markdown]
# **Try it.** Each picture below is the mean of $n$ pictures of noise. At which $n$ do you no longer see any?

# %% tags=["figure"]
noise = torch.randn(64, 1, 28, 28, generator=generator)
counts = [1, 2, 4, 8, 16, 32, 64]
frames = [mosaic(noise[:count].mean(dim=0, keepdim=True), scale=6) for count in counts]
Scrubber(
    frames,
    [f"n = {count}" for count in counts],
    "The mean of n pictures of noise.",
    "A square of grey noise, which fades to an even grey as n grows.",
)

# %% [markdown]
# From 16 on it looks even: the deviation is a quarter of what it was.
#
# ### Deeper: where independence is needed
#
# A section with such a heading is closed when the notebook opens. It holds proofs, numerics and edge cases, and ends at
# the next heading. Whoever does not open it misses no step of the story. Here: the variance of a sum is the sum of all
# covariances,
#
# $$ \operatorname{Var}\Big[\sum_i x_i\Big] = \sum_i \sum_j \operatorname{Cov}[x_i, x_j], \tag{2} $$
#
# and only if all those with $i \ne j$ are 0 does $nv$ remain.
#
# ## Exercises
#
# Four or five a lesson, of at least three kinds: derive, build, experiment, find the fault, criticise.
#
# ### Exercise 1 (core): how many draws?
#
# Derive from (1) how many draws a mean needs, so that its deviation is at most `std`.

# %% tags=["exercise"]
def draws_needed(var, std):
    """The fewest draws whose mean has a deviation of at most std. var, std: floats. Returns int."""
    raise NotImplementedError


# %% tags=["check"]
check_draws_needed(draws_needed)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# Solve $\sqrt{v/n} \le$ `std` for $n$. Then make it a whole number: which way must you round?
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# import math
#
#
# def draws_needed(var, std):
#     return math.ceil(var / std**2)
# ```
# </details>

# %% [markdown]
# ### Exercise 2 (core): the mean so far
#
# Build the list of the means of the first 1, 2, …, $n$ numbers, without going through the numbers again each time.

# %% tags=["exercise"]
def running_mean(x):
    """The means of the first 1, 2, …, n numbers. x: float64 (n,). Returns float64 (n,)."""
    raise NotImplementedError


# %% tags=["check"]
check_running_mean(running_mean)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# `x.cumsum(dim=0)` holds the sums.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def running_mean(x):
#     return x.cumsum(dim=0) / torch.arange(1, len(x) + 1)
# ```
# </details>

# %% [markdown]
# ### Exercise 3 (hard): find the fault
#
# This is meant to estimate from $n$ numbers the deviation of their mean, and gives too much. Mend it.
#
# ```python
# def std_of_mean(x):
#     return x.std() / len(x) ** 0.25
# ```

# %% tags=["exercise"]
def std_of_mean(x):
    """The estimated deviation of the mean of n draws. x: float64 (n,). Returns float64 ()."""
    raise NotImplementedError


# %% tags=["check"]
check_std_of_mean(std_of_mean)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# `x.std()` is the root of a variance already.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def std_of_mean(x):
#     return x.std() / len(x) ** 0.5
# ```
# </details>

# %% [markdown]
# ## A common mistake
#
# It runs beside its mend, with the symptom to recognise it by: to divide the *deviation* by $n$. Its error bars shrink far
# too fast, and three of four of them miss the truth.

# %%
off = means.abs()
print(f"within deviation / n: {(off < 1 / 16).double().mean():.0%}")
print(f"within deviation / √n: {(off < 1 / 4).double().mean():.0%}")

# %% tags=["claim"]
assert (off < 1 / 16).double().mean() < 0.25

# %% [markdown]
# ## Summary
#
# - The variance of a mean of $n$ independent draws is that of one, over $n$.
# - So an error a tenth the size costs a hundred times the draws.
#
# ## Check yourself
#
# 1. What if all draws are the same number?
#    <details><summary>Answer</summary>Then they are not independent, and the mean is as uncertain as one of them.</details>
# 2. Does (1) need Gaussian draws?
#    <details><summary>Answer</summary>No: independent ones with the same variance.</details>
# 3. How many draws halve the deviation?
#    <details><summary>Answer</summary>Four times as many.</details>
#
# ## Further reading
#
# Annotated, with equation numbers.
#
# ## Next
#
# [Contents](00_start_here.ipynb). From now on: `from diffusion_lab.theory.your_lesson import var_of_mean`.
