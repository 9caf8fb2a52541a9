"""What holds for all samplers, whatever their settings: one chain from T to 0, repeatable, finite, in any shape."""

from itertools import islice

import pytest
import torch
from samplers import SAMPLERS, normal, seeded, waves

from diffusion_lab.sampling.chain import spaced, spaced_in_log_snr
from diffusion_lab.sampling.denoiser import Denoiser, as_denoiser
from diffusion_lab.theory.schedule import Schedule, cosine, linear

every = pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
PREDICTIONS = ("eps", "v", "x_0", "score")


@every
@pytest.mark.parametrize("timesteps", [None, [20], [20, 1], [17, 9, 4], spaced(20, 7), (20, 3)], ids=str)
def test_steps_make_one_chain_from_the_first_time_to_0(sampler, timesteps):
    x_T = normal(3, 4)
    steps = list(sampler(waves(linear(20)), x_T, timesteps, generator=seeded()))
    visited = list(range(20, 0, -1)) if timesteps is None else list(map(int, timesteps))
    assert [step.t for step in steps] == visited
    assert [step.s for step in steps] == visited[1:] + [0]
    assert all(type(time) is int for step in steps for time in step[:2])
    assert steps[0].x_t is x_T
    assert all(later.x_t is earlier.x_s for earlier, later in zip(steps, steps[1:]))


@every
@pytest.mark.parametrize("n", [1, 2, 7, 19, 20])
def test_spaced_chains_begin_at_T_and_end_at_0(sampler, n):
    steps = list(sampler(waves(cosine(20)), normal(2), spaced(20, n), generator=seeded()))
    assert (steps[0].t, steps[-1].s, len(steps)) == (20, 0, n)


@every
@pytest.mark.parametrize("schedule", [cosine(20), linear(20)], ids=["cosine", "linear"])
@pytest.mark.parametrize("n", [1, 2, 7, 19, 20])
def test_chains_spaced_in_log_snr_begin_at_T_and_end_at_0(sampler, schedule, n):
    times = spaced_in_log_snr(schedule, n)
    steps = list(sampler(waves(schedule), normal(2), times, generator=seeded()))
    assert (steps[0].t, steps[-1].s, len(steps)) == (20, 0, n)
    assert torch.isfinite(steps[-1].x_s).all()


@every
def test_a_last_step_gives_the_denoised_mean_without_noise(sampler):
    """ᾱ_0 = 1: on the step to 0 all of x_s is x̂_0, whatever the sampler, and nothing is drawn for it."""
    for times in ([1], [30], None):
        generator = seeded()
        *_, last = sampler(waves(cosine(30)), normal(4, 2), times, generator=generator)
        assert torch.allclose(last.x_s, last.x_0_hat, rtol=1e-12, atol=1e-12)
        if times is not None:
            assert torch.equal(generator.get_state(), seeded().get_state())


@every
def test_the_denoiser_is_asked_once_a_step_with_state_time_and_label(sampler):
    denoiser, label = waves(linear(5)), torch.tensor([[1], [2]])
    steps = list(sampler(denoiser, normal(2, 3), label=label, generator=seeded()))
    assert len(denoiser.calls) == 5
    for step, (x_t, t, given_label) in zip(steps, denoiser.calls):
        assert (x_t is step.x_t, t, given_label is label) == (True, step.t, True)
        assert torch.equal(step.x_0_hat, waves(linear(5))(x_t, t, label))


@every
def test_nothing_is_computed_before_it_is_asked_for(sampler):
    denoiser = waves(linear(5))
    chain = sampler(denoiser, normal(2, 3), generator=seeded())
    assert denoiser.calls == []
    list(islice(chain, 2))
    assert len(denoiser.calls) == 2


@every
def test_a_seed_fixes_the_sample_and_the_global_generator_is_left_alone(sampler):
    before = torch.get_rng_state()
    ends = []
    for seed in (5, 5, 6):
        *_, last = sampler(waves(cosine(9)), normal(4, 2), generator=seeded(seed))
        ends.append(last.x_s)
    assert torch.equal(ends[0], ends[1])
    without_noise = sampler is SAMPLERS["ddim 0.0"] or sampler is SAMPLERS["dpm_solver"]
    assert torch.equal(ends[0], ends[2]) == without_noise
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", ["ddim 0.0", "dpm_solver"])
def test_without_fresh_noise_no_random_number_is_drawn(name):
    """Not even from the global generator, when none is given."""
    before = torch.get_rng_state()
    list(SAMPLERS[name](waves(cosine(9)), normal(4, 2)))
    assert torch.equal(torch.get_rng_state(), before)


@every
@pytest.mark.parametrize("shape", [(4,), (4, 2), (3, 1, 2, 2), (1, 5), (2, 3, 4, 1, 2)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_any_shape_and_both_dtypes(sampler, shape, dtype):
    x_T = normal(*shape, dtype=dtype)
    kept = x_T.clone()
    for step in sampler(waves(cosine(6)), x_T, generator=seeded()):
        for tensor in (step.x_t, step.x_0_hat, step.mean, step.x_s):
            assert tensor.shape == shape
            assert tensor.dtype == dtype
    assert torch.equal(x_T, kept), "the start is left alone"


@every
def test_examples_of_a_batch_do_not_see_each_other(sampler):
    """Only through the order in which the noise is drawn; with the noise of the whole batch, alone gives the same."""
    x_T = normal(5)
    whole = [step.x_s for step in sampler(waves(cosine(8)), x_T, generator=seeded())]
    other = [step.x_s for step in sampler(waves(cosine(8)), torch.cat([x_T[:1], normal(4, seed=9)]),
                                          generator=seeded())]
    assert all(torch.equal(a[0], b[0]) for a, b in zip(whole, other))
    assert not torch.equal(whole[-1][1:], other[-1][1:])


@every
def test_float32_follows_float64(sampler):
    """From the same start, with the same noise (one seed means other numbers in float32 than in float64)."""
    def end(dtype):
        noise = iter(normal(50, 64, seed=3, dtype=torch.float32))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch, "randn", lambda shape, dtype, **_: next(noise).reshape(shape).to(dtype))
            *_, last = sampler(waves(cosine(1000)), start.to(dtype), spaced(1000, 50))
        return last.x_s

    start = normal(64, dtype=torch.float32)
    given, exact = end(torch.float32), end(torch.float64)
    assert given.dtype == torch.float32
    assert (given.double() - exact).abs().median() < 1e-5


@every
@pytest.mark.parametrize("predicts", PREDICTIONS)
@pytest.mark.parametrize("make", [linear, cosine])
@pytest.mark.parametrize("T", [1, 2, 10, pytest.param(1000, marks=pytest.mark.slow)])
def test_every_number_is_finite(sampler, predicts, make, T):
    """All of: schedule, T, number of steps, sampler with its variance or η, what the network predicts, both dtypes."""
    denoiser = as_denoiser(lambda x_t, t, label: torch.tanh(x_t - t[:, None] / T), make(T), predicts)
    for dtype in (torch.float32, torch.float64):
        whole = {T} if T < 1000 or dtype == torch.float32 else set()
        for n in whole | {n for n in (1, 2, 7, 50) if n <= T}:
            steps = list(sampler(denoiser, normal(2, 1, dtype=dtype), spaced(T, n), generator=seeded()))
            assert len(steps) == n
            numbers = torch.stack([torch.stack([step.x_0_hat, step.mean, step.x_s]) for step in steps])
            assert torch.isfinite(numbers).all(), (dtype, n)


@every
@pytest.mark.parametrize("predicts", PREDICTIONS)
@pytest.mark.parametrize("beta", [[0.5] * 199, [0.999] * 19, [1.2e-16, 0.1], [0.1, 1e-15, 0.1]],
                         ids=["nothing left", "fast", "little at first", "little between"])
def test_every_number_is_finite_over_the_hardest_tables_that_a_schedule_takes(sampler, predicts, beta):
    T = len(beta)
    denoiser = as_denoiser(lambda x_t, t, label: torch.tanh(x_t - t[:, None] / T), Schedule([0.0, *beta]), predicts)
    for dtype in (torch.float32, torch.float64):
        for step in sampler(denoiser, normal(2, 1, dtype=dtype), generator=seeded()):
            assert torch.isfinite(torch.stack([step.x_0_hat, step.mean, step.x_s])).all(), (dtype, step.t)


@every
def test_what_does_not_fit_is_refused_before_anything_is_computed(sampler):
    """5 is what someone passes who means five steps; states (2, 1) and (2, 3) would broadcast, and hide the mistake."""
    calls = []
    denoiser = as_denoiser(lambda x_t, t, label: calls.append(label) or x_t, linear(9))
    for changes, words in (({"timesteps": 5}, "in a list, falling strictly, within 1…9, but got 5"),
                           ({"timesteps": [5, 5]}, "within 1…9"), ({"timesteps": [10]}, "within 1…9"),
                           ({"label": "7"}, "label must be None"), ({"label": torch.tensor([1, 2, 3])}, "example .2."),
                           ({"x_T": torch.zeros(2, 3).long()}, "floating-point"),
                           ({"x_T": torch.tensor(0.5)}, "of shape .n, ….")):
        with pytest.raises(ValueError, match=words):
            next(sampler(**{"denoiser": denoiser, "x_T": normal(2, 3)} | changes))
    assert calls == []
    with pytest.raises(ValueError, match=r"same shape, but got .*\(2, 1\)"):
        next(sampler(Denoiser(lambda x_t, t, label: x_t[:, :1], linear(9)), normal(2, 3)))
