"""The one currency of the course: what every sampler asks, and what a mixture, a network or guidance gives.

Taught in: lessons/03_reverse_posterior
"""

from collections.abc import Callable
from dataclasses import dataclass

from diffusion_lab.theory.schedule import Schedule


@dataclass(frozen=True)
class Denoiser:
    """x_0_hat = denoiser(x_t, t, label=None): the guess E[x_0 given x_t] for states of one schedule.

    answer: called as answer(x_t, t, label) with x_t float (n, …), t an int or int64 (n,), 1…T, and label None, an int
    or int64 (n,); returns shape and dtype of x_t.
    """

    answer: Callable
    schedule: Schedule

    def __call__(self, x_t, t, label=None):
        return self.answer(x_t, t, label)
