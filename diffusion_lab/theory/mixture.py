"""Data whose every answer is known: a mixture of Gaussians stays one at every time of the chain.

Taught in: lessons/03_reverse_posterior
"""

import torch

from diffusion_lab.guard import check_mixture, check_no_label, check_times, require
from diffusion_lab.theory.denoiser import Denoiser
from diffusion_lab.theory.schedule import at


class GaussianMixture:
    """p(x) = Σ_k w_k N(x; m_k, v_k I) in d dimensions, float64   (Bishop 2006, eq. 2.188, isotropic).

    weight: (K,), positive, sums to 1. mean: (K, d). var: (K,), not negative; 0 is a point (it has samples and a
    denoiser, but no density). Points x: float, (n, d). Raises ValueError for tables or points that do not fit.
    """

    def __init__(self, weight, mean, var):
        weight, mean, var = (torch.as_tensor(table, dtype=torch.float64).clone() for table in (weight, mean, var))
        check_mixture(weight, mean, var)
        self.weight = weight / weight.sum()
        self.mean = mean
        self.var = var

    def log_joint(self, x, noise_var=0.0):
        """log w_k + log N(x; m_k, (v_k + noise_var) I), shape (n, K), in nats: the parts that Bayes' rule weighs."""
        require(x.ndim == 2 and x.shape[1] == self.mean.shape[1],
                f"points must have shape (n, {self.mean.shape[1]}), but got {tuple(x.shape)}.")
        d = self.mean.shape[1]
        var = self.var + noise_var
        # the other way to compute distances, by a product of matrices, loses digits
        distance = torch.cdist(x.double(), self.mean, compute_mode="donot_use_mm_for_euclid_dist")
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

    def marginal(self, t, schedule):
        """The marginal q(x_t), itself a mixture: means √ᾱ_t m_k, variances ᾱ_t v_k + 1 - ᾱ_t. t: int, 0…T."""
        require(isinstance(t, int), f"t must be one time, an int, but got {t!r}.")
        alpha_bar_t = at(schedule.alpha_bar, t)
        return GaussianMixture(self.weight, alpha_bar_t.sqrt() * self.mean, alpha_bar_t * self.var + 1 - alpha_bar_t)

    def expected_x_0(self, x_t, t, schedule):
        """The denoised mean E[x_0 given x_t], exactly.

        y = x_t/√ᾱ_t is x_0 plus noise of variance 1/SNR_t. Given component k, E[x_0] = (1-g_k) m_k + g_k y with
        g_k = v_k/(v_k + 1/SNR_t)   (Bishop 2006, eqs. 2.116 and 2.117); the components are weighed by Bayes' rule.

        x_t: float, (n, …) with d numbers an example. t: int or int64 (n,), 1…T. Returns shape and dtype of x_t.
        Raises ValueError for t out of range or another number of dimensions.
        """
        check_times(t, schedule.T, first=1)
        x = x_t.flatten(1).double()
        y = x / at(schedule.alpha_bar, t, like=x).sqrt()
        noise_var = 1 / at(schedule.snr, t, like=x)
        r = torch.softmax(self.log_joint(y, noise_var), dim=1)
        gain = self.var / (self.var + noise_var)
        x_0_hat = (r * (1 - gain)) @ self.mean + (r * gain).sum(dim=1, keepdim=True) * y
        return x_0_hat.reshape(x_t.shape).to(x_t.dtype)

    def denoiser(self, schedule):
        """`expected_x_0` as a Denoiser. A mixture has no labels: one that is not None raises ValueError."""

        def answer(x_t, t, label):
            check_no_label(label)
            return self.expected_x_0(x_t, t, schedule)

        return Denoiser(answer, schedule)
