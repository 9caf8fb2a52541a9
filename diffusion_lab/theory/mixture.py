"""Data whose every answer is known: a mixture of Gaussians stays one at every time of the chain.

Taught in: notebooks/03_reverse_posterior.ipynb
"""

import torch

from diffusion_lab.theory.check import mixture_tables, no_label, points
from diffusion_lab.theory.schedule import at


def expected_x_0(mixture, x_t, t, schedule):
    """The denoised mean E[x_0 given x_t] of mixture data, exactly.

    y = x_t/√ᾱ_t is x_0 plus noise of variance 1/SNR_t. Given component k, E[x_0] = (1-g_k) m_k + g_k y with
    g_k = v_k/(v_k + 1/SNR_t)   (Bishop 2006, eqs. 2.116 and 2.117); the components are weighed by Bayes' rule.

    x_t: float, (n, …) with d numbers an example. t: int or int64 (n,), 1…T. Returns shape and dtype of x_t.
    Raises ValueError for t out of range or another number of dimensions.
    """
    x = x_t.reshape(len(x_t), -1)
    y, noise_var = x / at(schedule.alpha_bar, t, x, first=1).sqrt(), 1 / at(schedule.snr, t, x, first=1)
    r, gain = torch.softmax(mixture.log_joint(y, noise_var), dim=1), mixture.var / (mixture.var + noise_var)
    x_0_hat = (r * (1 - gain)) @ mixture.mean + (r * gain).sum(dim=1, keepdim=True) * y
    return x_0_hat.reshape(x_t.shape).to(x_t.dtype)


class GaussianMixture:
    """p(x) = Σ_k w_k N(x; m_k, v_k I) in d dimensions, float64   (Bishop 2006, eq. 2.188, isotropic).

    weight: (K,), positive, sums to 1. mean: (K, d). var: (K,), not negative; 0 is a point (it has samples and a
    denoiser, but no density). Points x: float, (n, d). Raises ValueError for tables or points that do not fit.
    """

    def __init__(self, weight, mean, var):
        self.weight, self.mean, self.var = mixture_tables(weight, mean, var)

    def log_joint(self, x, noise_var=0.0):
        """log w_k + log N(x; m_k, (v_k + noise_var) I), shape (n, K), in nats: the parts that Bayes' rule weighs."""
        x, d, var = points(x, self.mean), self.mean.shape[1], self.var + noise_var
        distance = torch.cdist(x, self.mean, compute_mode="donot_use_mm_for_euclid_dist")
        return self.weight.log() - 0.5 * (distance**2 / var + d * torch.log(2 * torch.pi * var))

    def log_prob(self, x):
        """log p(x) = log Σ_k exp(log_joint_k), shape (n,), in nats."""
        return torch.logsumexp(self.log_joint(x), dim=1)

    def score(self, x):
        """∇ log p(x) = Σ_k r_k(x) (m_k - x)/v_k, shape (n, d), with r = softmax(log_joint)."""
        pull = torch.softmax(self.log_joint(x), dim=1) / self.var
        return pull @ self.mean - pull.sum(dim=1, keepdim=True) * x

    def sample(self, n, generator=None):
        """n points, shape (n, d): first choose a component, then draw from it."""
        k = torch.multinomial(self.weight, n, replacement=True, generator=generator)
        eps = torch.randn(n, self.mean.shape[1], generator=generator, dtype=torch.float64)
        return self.mean[k] + self.var[k, None].sqrt() * eps

    def at(self, t, schedule):
        """The marginal q(x_t), itself a mixture: means √ᾱ_t m_k, variances ᾱ_t v_k + 1 - ᾱ_t. t: int, 0…T."""
        alpha_bar_t = at(schedule.alpha_bar, t)
        return GaussianMixture(self.weight, alpha_bar_t.sqrt() * self.mean, alpha_bar_t * self.var + (1 - alpha_bar_t))

    def denoiser(self, schedule):
        """`expected_x_0` as a callable denoiser(x_t, t, label=None) with `.schedule`: the course's common currency.

        The mixture has no labels: one that is not None raises ValueError.
        """

        def denoiser(x_t, t, label=None):
            no_label(label)
            return expected_x_0(self, x_t, t, schedule)

        denoiser.schedule = schedule
        return denoiser
