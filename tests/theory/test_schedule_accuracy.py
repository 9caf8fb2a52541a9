"""Every table and coefficient is right to a relative error of 1e-11, for both schedules and any T from 1 to 1000."""

import pytest
import torch
from exact import CAP, alpha_bar, beta, logarithm, posterior, relative_error, square_root, table
from hypothesis import given, settings
from hypothesis import strategies as st

from diffusion_lab.sampling.chain import pairs, spaced
from diffusion_lab.theory.forward import q_sample, q_step
from diffusion_lab.theory.posterior import posterior_mean, posterior_var, reverse_var
from diffusion_lab.theory.schedule import cosine, linear

TOLERANCE = 1e-11
KINDS = {"linear": linear, "cosine": cosine}
SPREAD = (1, 2, 3, 4, 5, 7, 10, 19, 20, 21, 50, 100, 333, 693, 956, 976, 999, 1000)  # the cap, and the hardest T's
kinds = pytest.mark.parametrize("kind", KINDS)


def coefficients(schedule, t, s):
    """What the package says of the steps from t to s (int64 tensors): α, β, β̃, and the weights of x_0 and x_t."""
    one, zero = torch.ones(len(t), dtype=torch.float64), torch.zeros(len(t), dtype=torch.float64)
    return {
        "alpha": schedule.alpha_bar[t] / schedule.alpha_bar[s],
        "beta": reverse_var(t, schedule, "large", s),
        "beta_tilde": posterior_var(t, schedule, s),
        "geometric mean of the two": reverse_var(t, schedule, 0.5, s),
        "weight of x_0": posterior_mean(one, zero, t, schedule, s),
        "weight of x_t": posterior_mean(zero, one, t, schedule, s),
    }


def exact_coefficients(kind, T, t, s):
    alpha_bar_t, alpha_bar_s = table(alpha_bar, kind, t, T), table(alpha_bar, kind, s, T)
    alpha = alpha_bar_t / alpha_bar_s
    beta_tilde, weight_x_0, weight_x_t = posterior(alpha_bar_s, alpha_bar_t)
    return {
        "alpha": alpha,
        "beta": 1 - alpha,
        "beta_tilde": beta_tilde,
        "geometric mean of the two": square_root((1 - alpha) * beta_tilde),
        "weight of x_0": weight_x_0,
        "weight of x_t": weight_x_t,
    }


def assert_steps_accurate(kind, T, steps):
    t, s = (torch.tensor(times) for times in zip(*steps, strict=True))
    package, exact = coefficients(KINDS[kind](T), t, s), exact_coefficients(kind, T, t.tolist(), s.tolist())
    errors = {name: relative_error(package[name], exact[name]) for name in exact}
    assert max(errors.values()) < TOLERANCE, errors


@kinds
@pytest.mark.parametrize("T", SPREAD)
def test_tables(kind, T):
    schedule, times = KINDS[kind](T), range(1, T + 1)
    exact = table(alpha_bar, kind, times, T)
    exact_beta = table(beta, kind, times, T)
    errors = {
        "beta": relative_error(schedule.beta[1:], exact_beta),
        "alpha": relative_error(schedule.alpha[1:], 1 - exact_beta),
        "alpha_bar": relative_error(schedule.alpha_bar[1:], exact),
        "1 - alpha_bar": relative_error(1 - schedule.alpha_bar[1:], 1 - exact),
        "snr": relative_error(schedule.snr[1:], exact / (1 - exact)),
    }
    assert max(errors.values()) < TOLERANCE, errors
    # log SNR passes through 0, where no relative error exists: measure it against max(1, |log SNR|).
    log_snr = logarithm(exact / (1 - exact))
    error = max(float(abs(a - b) / max(1, abs(b))) for a, b in zip(schedule.log_snr[1:].tolist(), log_snr, strict=True))
    assert error < TOLERANCE


@kinds
@pytest.mark.parametrize("T", SPREAD)
def test_neighbours_the_step_to_the_data_and_the_step_from_T(kind, T):
    steps = {*((t, t - 1) for t in range(1, T + 1)), *((t, 0) for t in range(1, T + 1)), *((T, s) for s in range(T))}
    assert_steps_accurate(kind, T, sorted(steps))


@kinds
def test_the_start_of_every_chain(kind):
    """1-ᾱ_t is smallest, and so hardest, at the smallest t: look there for all T."""
    for T in range(1, 1001):
        times = range(1, min(T, 3) + 1)
        schedule, exact = KINDS[kind](T), table(alpha_bar, kind, times, T)
        assert relative_error(1 - schedule.alpha_bar[1:4], 1 - exact) < TOLERANCE, T
        assert relative_error(schedule.beta[1:4], table(beta, kind, times, T)) < TOLERANCE, T
        if T > 1:
            assert relative_error(posterior_var(2, schedule), posterior(*exact[:2])[0]) < TOLERANCE, T


@kinds
@settings(deadline=None, derandomize=True, max_examples=150)
@given(data=st.data())
def test_any_pair_of_any_chain(kind, data):
    T = data.draw(st.integers(1, 1000), label="T")
    t = data.draw(st.integers(1, T), label="t")
    s = data.draw(st.integers(0, t - 1), label="s")
    assert_steps_accurate(kind, T, [(t, s)])


@kinds
@pytest.mark.parametrize("n", [1, 2, 3, 7, 10, 20, 50, 250, 999])
def test_strided_chains(kind, n):
    assert_steps_accurate(kind, 1000, pairs(spaced(1000, n), 1000))


@kinds
@pytest.mark.parametrize("T", [1, 2, 20, 1000])
def test_coefficients_of_the_forward_kernels(kind, T):
    """Fed with ones and zeros, a kernel shows its two coefficients."""
    schedule, t = KINDS[kind](T), torch.arange(1, T + 1)
    one, zero = torch.ones(T, dtype=torch.float64), torch.zeros(T, dtype=torch.float64)
    exact, exact_beta = table(alpha_bar, kind, t, T), table(beta, kind, t, T)
    errors = {
        "√ᾱ": relative_error(q_sample(one, t, zero, schedule), square_root(exact)),
        "√(1-ᾱ)": relative_error(q_sample(zero, t, one, schedule), square_root(1 - exact)),
        "√(1-β)": relative_error(q_step(one, t, zero, schedule), square_root(1 - exact_beta)),
        "√β": relative_error(q_step(zero, t, one, schedule), square_root(exact_beta)),
    }
    assert max(errors.values()) < TOLERANCE, errors


def test_the_reference_agrees_with_its_own_definitions():
    """The closed forms are the products they stand for, and only the cosine's last step meets the cap."""
    for T in (1, 2, 3, 7, 40):
        product = 1
        for t in range(1, T + 1):
            product *= 1 - beta("linear", t, T)
            assert abs(alpha_bar("linear", t, T) / product - 1) < 1e-30
            assert (beta("cosine", t, T) < CAP.numerator / CAP.denominator - 0.1) == (t < T)
