"""Restoration: a denoiser that knows a measurement y = A x_0 + std ε, and so draws what fits it.

Taught in: lessons/11_restoration
"""

import torch

from diffusion_lab.guard import (
    check_choice,
    check_count,
    check_data,
    check_denoiser,
    check_generator,
    check_number,
    check_positive,
    check_times,
    require,
)
from diffusion_lab.sampling.chain import Step, pairs
from diffusion_lab.theory.denoiser import Denoiser
from diffusion_lab.theory.forward import noise_like, q_sample
from diffusion_lab.theory.posterior import posterior_mean, posterior_var

METHODS = ("ddnm", "pigdm", "tmpd", "dps")
CG_STEPS = 5  # more of them meet rounding, and a network's Jacobian that is no covariance


def given(denoiser, A, y, std, method="pigdm", cov=None):
    """A denoiser that knows y: one Kalman update of the answer   (Bishop 2006, eqs. 2.113–2.117).

    x̂_0 + N Aᵀ (A M Aᵀ + std² I)⁻¹ (y - A x̂_0), where M and N model Cov[x_0 given x_t]:

    "ddnm"   M = N = cov(t)              no gradient     (Wang et al. 2023, DDNM+)
    "pigdm"  M = cov(t), N = C           one gradient    (Song, Vahdat et al. 2023, ΠGDM)
    "tmpd"   M = N = C                   some gradients  (Boys et al. 2024; exact if the data is one Gaussian)
    "dps"    M = 0, N = C                one gradient    (Chung et al. 2023, with its own gradient as the step)

    C = (1-ᾱ_t)/√ᾱ_t ∂x̂_0/∂x_t is that covariance by Tweedie's second formula. It is symmetric, so C v takes one pass
    backwards. "tmpd" solves by a few conjugate gradients.
    A: float (m, d). y: float (m,), or (n, m), one for each example of x_t. std: positive. cov: called as cov(t),
    returns a number r² for r² I, or a matrix (d, d); None is 1 - ᾱ_t, which fits data of unit variance.
    Works where gradients are switched off. t: one int for all. Raises ValueError for what does not fit.
    """
    check_denoiser(denoiser)
    check_choice(method, "method", METHODS)
    require(*is_measurement(A, y))
    check_number(std, "std")
    check_positive(std=std)
    schedule = denoiser.schedule
    cov = cov or (lambda t: 1 - schedule.alpha_bar[t].item())

    def answer(x_t, t, label):
        check_data(x_t)
        require(isinstance(t, int), f"t must be one time for all, an int, but got {t!r}.")
        check_times(t, schedule.T, first=1)
        require(*is_state_of(x_t, A, y))
        with torch.enable_grad():
            x_t = x_t.detach().requires_grad_(method != "ddnm")
            x_0_hat = denoiser(x_t, t, label).flatten(1)
        rows = A.to(x_0_hat)
        innovation = y.to(x_0_hat) - x_0_hat.detach() @ rows.mT

        def C(v):
            (pulled,) = torch.autograd.grad(x_0_hat, x_t, v, retain_graph=True)
            alpha_bar_t = schedule.alpha_bar[t].item()
            return (1 - alpha_bar_t) / alpha_bar_t**0.5 * pulled.flatten(1)

        if method == "dps":
            u = innovation / std**2
        elif method == "tmpd":
            u = conjugate_gradients(lambda v: C(v @ rows) @ rows.mT + std**2 * v, innovation)
        else:
            S = cov_of_y(A, cov(t), std)
            u = torch.linalg.solve(S, innovation.to(S).mT).mT.to(x_0_hat)
        back = u @ rows
        update = applied(cov(t), back) if method == "ddnm" else C(back)
        return (x_0_hat.detach() + update).reshape(x_t.shape)

    return Denoiser(answer, schedule)


def applied(M, v):
    """M v for each row of v (n, d); M: a number r² for r² I, or a matrix (d, d), symmetric."""
    return v @ M.to(v) if torch.is_tensor(M) else M * v


def cov_of_y(A, M, std):
    """A M Aᵀ + std² I, float64 (m, m): how the measurement varies. M: as for `applied`."""
    A = A.double()
    return applied(M, A) @ A.mT + std**2 * torch.eye(len(A)).to(A)


def conjugate_gradients(apply, b, steps=CG_STEPS):
    """u with apply(u) = b for each row of b (n, m), after a few steps   (Hestenes & Stiefel 1952). Exact after m.

    apply: a symmetric positive matrix, on rows. A row along which it is not positive stops there.
    """
    u = torch.zeros_like(b)
    left = b
    direction = b
    squares = left.square().sum(dim=1, keepdim=True)
    for _ in range(min(steps, b.shape[1])):
        applied = apply(direction)
        curve = (direction * applied).sum(dim=1, keepdim=True)
        length = torch.where((curve > 0) & (squares > 0), squares / curve, 0.0)
        u = u + length * direction
        left = left - length * applied
        now = left.square().sum(dim=1, keepdim=True)
        direction = left + torch.where(length > 0, now / squares, 0.0) * direction
        squares = now
    return u


def measured_cov(denoiser, x_0, times, generator=None):
    """cov(t) = E[(x_0 - x̂_0)(x_0 - x̂_0)ᵀ], float64 (d, d), measured at some times on examples x_0, and between them on
    a straight line in log SNR. It is the covariance of x_0 given x_t, averaged over x_t.

    x_0: float (n, …), from the training data. times: ints within 1…T, rising, the last of them T.
    """
    check_denoiser(denoiser)
    check_data(x_0)
    check_generator(generator)
    schedule = denoiser.schedule
    check_times(torch.tensor(times), schedule.T, first=1)
    require(list(times) == sorted(set(times)) and times[-1] == schedule.T,
            f"times must rise, up to T = {schedule.T}, but got {times}.")
    tables = {}
    for t in times:
        with torch.no_grad():
            x_0_hat = denoiser(q_sample(x_0, t, noise_like(x_0, generator), schedule), t)
        off = (x_0 - x_0_hat).flatten(1).double()
        tables[t] = off.mT @ off / len(off)

    def cov(t):
        after = next(time for time in times if time >= t)
        before = max((time for time in times if time <= t), default=after)
        if before == after:
            return tables[after]
        span = schedule.log_snr[before] - schedule.log_snr[after]
        share = ((schedule.log_snr[before] - schedule.log_snr[t]) / span).item()
        return (1 - share) * tables[before] + share * tables[after]

    return cov


def repaint(denoiser, A, y, x_T, timesteps=None, repeats=5, label=None, generator=None):
    """Yield each step of RePaint (Lugmayr et al. 2022, algorithm 1): what is measured is pasted into each state.

    After a step of `ddpm` to s, the part of x_s that A sees is replaced by that of the measurement, made as noisy as s
    is. Then the state is made as noisy as t again, and the step is taken anew, `repeats` times in all: so the rest can
    come to fit what was pasted. The measurement counts as exact.
    x_T: float (n, …), standard normal. Yields the last Step of each time.
    """
    check_denoiser(denoiser)
    check_data(x_T)
    require(*is_measurement(A, y))
    check_count(repeats, "repeats")
    schedule = denoiser.schedule
    x_t = x_T
    rows = A.to(x_T)
    inverse = torch.linalg.pinv(rows)
    for t, s in pairs(timesteps, schedule.T):
        alpha = schedule.alpha_bar[t] / schedule.alpha_bar[s]
        for again in reversed(range(repeats if s > 0 else 1)):
            # A step of ddpm.
            x_0_hat = denoiser(x_t, t, label)
            mean = posterior_mean(x_0_hat, x_t, t, schedule, s)
            x_s = mean + posterior_var(t, schedule, s).sqrt() * noise_like(x_t, generator)

            # Paste the measurement, as noisy as s is.
            seen = schedule.alpha_bar[s].sqrt() * y.to(x_T)
            noise = noise_like(x_t, generator).flatten(1)
            seen = seen + (1 - schedule.alpha_bar[s]).sqrt() * noise @ rows.mT
            pasted = (seen - x_s.flatten(1).to(x_T) @ rows.mT) @ inverse.mT
            x_s = (x_s + pasted.reshape(x_t.shape)).to(x_T.dtype)
            if again:
                noise = noise_like(x_t, generator)
                x_t = (alpha.sqrt() * x_s + (1 - alpha).sqrt() * noise).to(x_T.dtype)
        yield Step(t, s, x_t, x_0_hat, mean, x_s)
        x_t = x_s


def twisted(denoiser, A, y, std, x_T, timesteps=None, label=None, generator=None, cov=None):
    """Yield each step of a twisted particle filter, for one measurement   (Wu et al. 2023, algorithm 1).

    All K states x_t are guesses of one picture. Each takes a step of `ddpm` with the answers of `given`, "pigdm", its
    guide. It is weighed by how well its answer fits y, and by how probable its step was without the guide; where the
    weights have become uneven, the states are drawn anew by them. As K grows, the law of the last states tends to that
    of the chain given y, however poor the guide is.
    A: float (m, d). y: float (m,). x_T: float (K, …), standard normal. cov: as in `given`.
    """
    check_denoiser(denoiser)
    check_data(x_T)
    require(*is_measurement(A, y))
    check_number(std, "std")
    check_positive(std=std)
    require(y.ndim == 1, f"the particles share one measurement, y (m,), but got {tuple(y.shape)}.")
    schedule = denoiser.schedule
    cov = cov or (lambda t: 1 - schedule.alpha_bar[t].item())
    guide = given(denoiser, A, y, std, "pigdm", cov)

    def fit(x_0_hat, M):
        """log N(y; A x̂_0, A M Aᵀ + std² I) for each state."""
        S = cov_of_y(A, M, std)
        off = y.to(S) - x_0_hat.flatten(1).to(S) @ A.to(S).mT
        return torch.distributions.MultivariateNormal(0 * off[0], S).log_prob(off)

    x_t = x_T
    fitted = 0.0
    log_weight = torch.zeros(len(x_T), dtype=torch.float64)
    for t, s in pairs(timesteps, schedule.T):
        # Weigh the states; where a few hold most of the weight, draw them anew.
        x_0_hat = denoiser(x_t, t, label)
        fits = fit(x_0_hat, cov(t))
        log_weight = log_weight + fits - fitted
        chosen, log_weight = drawn_anew(log_weight, generator)
        x_t = x_t[chosen]
        x_0_hat = x_0_hat[chosen]
        fitted = fits[chosen]

        # A step of ddpm with the guide's answer, and its price. The last is not guided.
        var = posterior_var(t, schedule, s)
        mean = posterior_mean(x_0_hat, x_t, t, schedule, s)
        x_s = mean.to(x_t.dtype)
        if s > 0:
            guided = posterior_mean(guide(x_t, t, label), x_t, t, schedule, s)
            x_s = (guided + var.sqrt() * noise_like(x_t, generator)).to(x_t.dtype)
            squares = (x_s - guided).square() - (x_s - mean).square()
            log_weight = log_weight + squares.flatten(1).to(log_weight).sum(dim=1) / (2 * var)
        else:
            log_weight = log_weight + fit(x_s, 0.0) - fitted
            x_s = x_s[drawn_anew(log_weight, generator, always=True)[0]]
        yield Step(t, s, x_t, x_0_hat, mean, x_s)
        x_t = x_s


def drawn_anew(log_weight, generator=None, always=False):
    """Which states go on, int64 (K,), and their new log-weights: drawn by systematic resampling (Kitagawa 1996) where
    the weights are worth less than half as many equal ones, 1/Σw² < K/2.
    """
    n = len(log_weight)
    weight = torch.softmax(log_weight, dim=0)
    if not always and 1 / weight.square().sum() >= n / 2:
        return torch.arange(n), log_weight
    places = (torch.arange(n) + torch.rand(1, generator=generator)) / n
    chosen = torch.searchsorted(weight.cumsum(dim=0), places.double()).clamp(max=n - 1)
    return chosen, torch.zeros_like(log_weight)


def is_measurement(A, y):
    """Whether A (m, d) and y (m,) or (n, m) make a measurement, and what to say if not: the arguments of `require`."""
    tensors = torch.is_tensor(A) and torch.is_tensor(y) and A.is_floating_point() and y.is_floating_point()
    fits = tensors and A.ndim == 2 and y.ndim in (1, 2) and y.shape[-1] == len(A)
    got = (f"{tuple(A.shape)} and {tuple(y.shape)}" if tensors else f"{type(A).__name__} and {type(y).__name__}")
    return fits, f"a measurement needs float tensors A (m, d) and y (m,) or (n, m), but got {got}."


def is_state_of(x_t, A, y):
    """Whether states x_t have as many numbers as A has columns, and what to say if not: the arguments of `require`."""
    states = "any number of" if y.ndim == 1 else len(y)
    return (x_t[0].numel() == A.shape[1] and (y.ndim == 1 or len(y) == len(x_t)),
            f"A is for {A.shape[1]} numbers and y for {states} states, but x_t is {tuple(x_t.shape)}.")
