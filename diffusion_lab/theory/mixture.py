"""Data whose every answer is known: a mixture of Gaussians stays one at every time of the chain.

Taught in: lessons/03_reverse_posterior
"""

import torch

from diffusion_lab.guard import (
    check_count,
    check_density,
    check_generator,
    check_mixture,
    check_no_label,
    check_number,
    check_points,
    check_positive,
    check_schedule,
    check_times,
    require,
)
from diffusion_lab.theory.denoiser import Denoiser
from diffusion_lab.theory.schedule import at


class GaussianMixture:
    """p(x) = Σ_k w_k N(x; m_k, v_k I) in d dimensions, float64   (Bishop 2006, eq. 2.188, isotropic).

    weight: (K,), positive, sums to 1. mean: (K, d). var: (K,), not negative; 0 is a point (it has samples and a
    denoiser, but no density). Or var: (K, d, d), a covariance for each component; that makes a `FullMixture`.
    Points x: float, (n, d). Tables and points are on the CPU; a denoiser takes x_t from any device, and answers there.
    Raises ValueError for tables or points that do not fit.
    """

    def __new__(cls, weight=(), mean=(), var=()):  # copy and pickle call it without tables
        return super().__new__(FullMixture if torch.as_tensor(var).ndim == 3 else cls)

    def __init__(self, weight, mean, var):
        weight, mean, var = (torch.as_tensor(table, dtype=torch.float64).clone() for table in (weight, mean, var))
        check_mixture(weight, mean, var)
        self.weight = weight / weight.sum()
        self.mean = mean
        self.var = var

    def log_joint(self, x, noise_var=0.0):
        """log w_k + log N(x; m_k, (v_k + noise_var) I), shape (n, K), in nats: the parts that Bayes' rule weighs."""
        check_points(x, self.mean.shape[1])
        d = self.mean.shape[1]
        var = self.var + noise_var
        check_density(var)
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
        check_count(n, "n")
        check_generator(generator)
        k = torch.multinomial(self.weight, n, replacement=True, generator=generator)
        eps = torch.randn(n, self.mean.shape[1], generator=generator, dtype=torch.float64)
        return self.mean[k] + self.var[k, None].sqrt() * eps

    def marginal(self, t, schedule):
        """The marginal q(x_t), itself a mixture: means √ᾱ_t m_k, variances ᾱ_t v_k + 1 - ᾱ_t. t: int, 0…T."""
        check_schedule(schedule)
        require(isinstance(t, int), f"t must be one time, an int, but got {t!r}.")
        alpha_bar_t = at(schedule.alpha_bar, t)
        return GaussianMixture(self.weight, alpha_bar_t.sqrt() * self.mean, alpha_bar_t * self.var + (1 - alpha_bar_t))

    def expected_x_0(self, x_t, t, schedule):
        """The denoised mean E[x_0 given x_t], exactly.

        y = x_t/√ᾱ_t is x_0 plus noise of variance 1/SNR_t. Given component k, E[x_0] = (1-g_k) m_k + g_k y with
        g_k = v_k/(v_k + 1/SNR_t)   (Bishop 2006, eqs. 2.116 and 2.117); the components are weighed by Bayes' rule.

        x_t: float, (n, …) with d numbers an example. t: int or int64 (n,), 1…T. Returns shape and dtype of x_t.
        Raises ValueError for t out of range or another number of dimensions.
        """
        check_schedule(schedule)
        check_times(t, schedule.T, first=1, like=x_t)
        x = x_t.reshape(len(x_t), -1).to(self.mean)
        y = x / at(schedule.alpha_bar, t, like=x).sqrt()
        noise_var = 1 / at(schedule.snr, t, like=x)
        r = torch.softmax(self.log_joint(y, noise_var), dim=1)
        gain = self.var / (self.var + noise_var)
        x_0_hat = (r * (1 - gain)) @ self.mean + (r * gain).sum(dim=1, keepdim=True) * y
        return x_0_hat.reshape(x_t.shape).to(x_t)

    def posterior(self, x_t, t, schedule):
        """Mean (n, d) and covariance (n, d, d) of x_0 given x_t, exactly, float64: what is known, and how well.

        Given component k, x_0 is a Gaussian with a mean μ_k and a covariance S_k   (Bishop 2006, eqs. 2.116 and 2.117).
        Weighed by Bayes' rule, E[x_0] = Σ_k r_k μ_k, and by the law of total covariance (Bishop 2006, exercise 2.8)
        Cov[x_0] = Σ_k r_k S_k + Σ_k r_k (μ_k - E[x_0])(μ_k - E[x_0])ᵀ. Here S_k = g_k/SNR_t I, with g_k as above.

        x_t, t: as in `expected_x_0`. Takes n K d numbers of memory, and n d² for the answer.
        """
        y, noise_var, r = self._seen(x_t, t, schedule)
        means = self._means(y, noise_var)
        mean = (r[:, :, None] * means).sum(dim=1)
        apart = r[:, :, None].sqrt() * (means - mean[:, None])
        return mean, self._within(r, noise_var) + apart.mT @ apart

    def _seen(self, x_t, t, schedule):
        """y = x_t/√ᾱ_t (n, d), the variance 1/SNR_t of its noise (1, 1) or (n, 1), and Bayes' weights r (n, K)."""
        check_schedule(schedule)
        check_times(t, schedule.T, first=1, like=x_t)
        x = x_t.reshape(len(x_t), -1).to(self.mean)
        y = x / at(schedule.alpha_bar, t, like=x).sqrt()
        noise_var = 1 / at(schedule.snr, t, like=x)
        return y, noise_var, torch.softmax(self.log_joint(y, noise_var), dim=1)

    def _means(self, y, noise_var):
        """μ_k = E[x_0 given y, k], (n, K, d)."""
        gain = (self.var / (self.var + noise_var))[:, :, None]
        return (1 - gain) * self.mean + gain * y[:, None]

    def _within(self, r, noise_var):
        """Σ_k r_k S_k, (n, d, d)."""
        left = self.var / (self.var + noise_var) * noise_var
        return (r * left).sum(dim=1)[:, None, None] * torch.eye(self.mean.shape[1], dtype=torch.float64)

    def given(self, A, y, std):
        """p(x_0 | y) for a measurement y = A x_0 + std ε, ε ~ N(0, I): again a mixture, exactly.

        With S_k = A C_k Aᵀ + std² I and the gain G_k = C_k Aᵀ S_k⁻¹, its means are m_k + G_k (y - A m_k), its
        covariances C_k - G_k A C_k, its weights proportional to w_k N(y; A m_k, S_k)   (Bishop 2006, eqs. 2.113–2.117).
        A: float (m, d). y: float (m,). std: positive. Raises ValueError for another shape or std.
        """
        A, y = (torch.as_tensor(table, dtype=torch.float64) for table in (A, y))
        d = self.mean.shape[1]
        require(A.ndim == 2 and A.shape[1] == d and y.shape == A.shape[:1],
                f"a measurement of points in {d} dimensions needs A (m, {d}) and y (m,), but got {tuple(A.shape)} and "
                f"{tuple(y.shape)}.")
        check_number(std, "std")
        check_positive(std=std)
        C = self.var if self.var.ndim == 3 else self.var[:, None, None] * torch.eye(d, dtype=torch.float64)
        S = A @ C @ A.mT + std**2 * torch.eye(len(A), dtype=torch.float64)
        gain = torch.linalg.solve(S, A @ C).mT
        surprise = y - self.mean @ A.mT
        evidence = torch.distributions.MultivariateNormal(torch.zeros_like(y), S).log_prob(surprise)
        weight = torch.softmax(self.weight.log() + evidence, dim=0)
        mean = self.mean + (gain @ surprise[..., None])[..., 0]
        var = C - gain @ A @ C
        return GaussianMixture(weight.clamp(min=torch.finfo(torch.float64).tiny), mean, (var + var.mT) / 2)

    def denoiser(self, schedule):
        """`expected_x_0` as a Denoiser. A mixture has no labels: one that is not None raises ValueError."""

        check_schedule(schedule)

        def answer(x_t, t, label):
            check_no_label(label)
            return self.expected_x_0(x_t, t, schedule)

        return Denoiser(answer, schedule)


class FullMixture(GaussianMixture):
    """p(x) = Σ_k w_k N(x; m_k, C_k) in d dimensions, float64   (Bishop 2006, eq. 2.188): GaussianMixture makes it.

    var: C, (K, d, d), symmetric, no eigenvalue negative; 0 is a direction without width. C_k = U_k diag(λ_k) U_kᵀ is
    computed once: along the `axes` U_k the coordinates are independent, with the variances λ_k, `var_along`. Noise of
    variance n then turns λ_k into λ_k + n.
    """

    def __init__(self, weight, mean, var):
        super().__init__(weight, mean, var)
        eigenvalue, self.axes = torch.linalg.eigh((self.var + self.var.mT) / 2)
        rounding = eigenvalue.amax(dim=1, keepdim=True) * self.mean.shape[1] * torch.finfo(torch.float64).eps
        self.var_along = torch.where(eigenvalue > rounding, eigenvalue, 0.0)

    def log_joint(self, x, noise_var=0.0):
        """log w_k + log N(x; m_k, C_k + noise_var I), shape (n, K), in nats   (Bishop 2006, eq. 2.56)."""
        var = self.var_along + torch.as_tensor(noise_var)[..., None]
        check_density(var)
        return self.weight.log() - 0.5 * (self._along(x) ** 2 / var + torch.log(2 * torch.pi * var)).sum(dim=-1)

    def score(self, x):
        """∇ log p(x) = Σ_k r_k(x) C_k⁻¹ (m_k - x), shape (n, d), with r = softmax(log_joint)."""
        r = torch.softmax(self.log_joint(x), dim=1)
        return -self._back(r[:, :, None] * self._along(x) / self.var_along).sum(dim=1)

    def sample(self, n, generator=None):
        """n points, shape (n, d): first choose a component, then draw from it."""
        check_count(n, "n")
        check_generator(generator)
        k = torch.multinomial(self.weight, n, replacement=True, generator=generator)
        eps = torch.randn(n, self.mean.shape[1], generator=generator, dtype=torch.float64)
        x = self.mean[k]
        for j, axes in enumerate(self.axes):
            x[k == j] += eps[k == j] * self.var_along[j].sqrt() @ axes.T
        return x

    def marginal(self, t, schedule):
        """The marginal q(x_t): means √ᾱ_t m_k, covariances ᾱ_t C_k + (1 - ᾱ_t) I. t: int, 0…T   (Bishop, eq. 2.115)."""
        check_schedule(schedule)
        require(isinstance(t, int), f"t must be one time, an int, but got {t!r}.")
        alpha_bar_t = at(schedule.alpha_bar, t)
        noise = (1 - alpha_bar_t) * torch.eye(self.mean.shape[1], dtype=torch.float64)
        return GaussianMixture(self.weight, alpha_bar_t.sqrt() * self.mean, alpha_bar_t * self.var + noise)

    def expected_x_0(self, x_t, t, schedule):
        """The denoised mean E[x_0 given x_t], exactly.

        Given component k, E[x_0] = m_k + G_k (y - m_k), G_k = C_k (C_k + I/SNR_t)⁻¹, of the covariance
        S_k = G_k/SNR_t   (Bishop 2006, eqs. 2.116 and 2.117). Arguments, answer and errors as for one variance.
        """
        y, noise_var, r = self._seen(x_t, t, schedule)
        x_0_hat = (r[:, :, None] * self._means(y, noise_var)).sum(dim=1)
        return x_0_hat.reshape(x_t.shape).to(x_t)

    def _along(self, x):
        """U_kᵀ (x - m_k), (n, K, d): each point from each centre, in coordinates along the axes."""
        check_points(x, self.mean.shape[1])
        return torch.einsum("nkd,kde->nke", x.double()[:, None] - self.mean, self.axes)

    def _back(self, along):
        """U_k along, (n, K, d): from coordinates along the axes to the space's own."""
        return torch.einsum("nke,kde->nkd", along, self.axes)

    def _means(self, y, noise_var):
        gain = self.var_along / (self.var_along + noise_var[..., None])
        return self.mean + self._back(gain * self._along(y))

    def _within(self, r, noise_var):
        left = self.var_along / (self.var_along + noise_var[..., None]) * noise_var[..., None]
        weighed = r[:, :, None] * left
        return sum(axes * weighed[:, k, None] @ axes.T for k, axes in enumerate(self.axes))
