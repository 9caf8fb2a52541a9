"""Boxes where the answer is known: a few places, areas by hand, precision by hand and by scikit-learn."""

import math

import pytest
import torch
from sklearn.metrics import average_precision_score

from diffusion_lab.data.canvases import canvases
from diffusion_lab.networks.boxes import BoxNetwork
from diffusion_lab.results import files as results
from diffusion_lab.sampling.chain import last, spaced
from diffusion_lab.sampling.ddim import ddim
from diffusion_lab.theory.denoiser import Denoiser
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.schedule import cosine, linear
from diffusion_lab.vision.detection import (
    alone,
    as_boxes,
    as_states,
    average_precision,
    components,
    detect,
    detection_loss,
    exact_boxes,
    finder,
    iou,
    judged,
    sight,
    walked,
)
from diffusion_lab.weights.pretrained import HERE, load_network, read_facts

SCHEDULE = cosine()
THREE = torch.tensor([[6.0, 8, 20, 28], [32, 10, 44, 30], [18, 34, 34, 53]], dtype=torch.float64)
ALL_THERE = torch.ones(1, 3, dtype=torch.bool)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def made():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return BoxNetwork(8, 16)


# States

def test_a_box_is_its_state_and_back():
    assert torch.allclose(as_boxes(as_states(THREE)), THREE)
    assert as_states(torch.tensor([20.5, 18.5, 35.5, 37.5])).tolist() == [0, 0, 0, 0]


def test_no_box_is_smaller_than_a_pixel():
    box = as_boxes(torch.tensor([0.0, 0.0, -9.0, -9.0]))
    assert (box[2:] - box[:2]).tolist() == [1, 1]


# The exact answer

@pytest.mark.parametrize("schedule", [cosine(), linear()], ids=["cosine", "linear"])
@pytest.mark.parametrize("t", [1000, 700, 400, 100, 1])
def test_the_exact_answer_is_the_denoiser_of_a_mixture_of_points(t, schedule):
    states = as_states(THREE)
    mixture = GaussianMixture([1 / 3] * 3, states, [0.0] * 3).denoiser(schedule)
    x_t = torch.randn(1, 50, 4, generator=seeded(), dtype=torch.float64)
    expected = mixture(x_t[0], t)
    assert torch.allclose(exact_boxes(x_t, t, states[None], ALL_THERE, schedule)[0], expected, atol=1e-10)


def test_boxes_that_are_not_there_have_no_weight_and_canvases_have_times_of_their_own():
    states = as_states(THREE)
    x_t = torch.randn(2, 6, 4, generator=seeded(), dtype=torch.float64)
    there = torch.tensor([[True, True, False], [True, True, True]])
    both = exact_boxes(x_t, torch.tensor([600, 300]), states.expand(2, -1, -1), there, SCHEDULE)
    assert torch.allclose(both[:1], exact_boxes(x_t[:1], 600, states[None, :2], there[:1, :2], SCHEDULE))
    assert torch.allclose(both[1:], exact_boxes(x_t[1:], 300, states[None], ALL_THERE, SCHEDULE))


def test_walks_from_noise_end_on_each_box_equally_often():
    states = as_states(THREE)[None]
    exact = Denoiser(lambda x_t, t, _: exact_boxes(x_t, t, states, ALL_THERE, SCHEDULE), SCHEDULE)
    n = 3000
    ends = last(ddim(exact, torch.randn(1, n, 4, generator=seeded(), dtype=torch.float64), spaced(1000, 50)))[0]
    apart, which = torch.cdist(ends, states[0]).min(dim=1)
    assert apart.max() < 1e-6
    std = math.sqrt(n * 1 / 3 * 2 / 3)
    assert all(abs(count - n / 3) < 4 * std for count in torch.bincount(which, minlength=3).tolist())


def test_in_noise_the_answer_is_the_mean_of_all_boxes_and_near_the_data_the_nearest():
    states = as_states(THREE)
    x_t = torch.randn(1, 20, 4, generator=seeded(), dtype=torch.float64)
    mean = states.mean(dim=0).expand(1, 20, 4)
    assert torch.allclose(exact_boxes(x_t, 1000, states[None], ALL_THERE, SCHEDULE), mean, atol=1e-2)
    nearest = states[torch.cdist(x_t[0], states * SCHEDULE.alpha_bar[5].sqrt()).argmin(dim=1)]
    assert torch.allclose(exact_boxes(x_t, 5, states[None], ALL_THERE, SCHEDULE)[0], nearest, atol=1e-6)


# Overlap

def test_overlaps_that_can_be_counted():
    a = torch.tensor([[0.0, 0, 10, 10]])
    b = torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10], [5, 5, 15, 15], [10, 0, 20, 10], [30, 30, 40, 40],
                      [2, 2, 4, 7]])
    assert iou(a, b)[0].tolist() == pytest.approx([1, 50 / 150, 25 / 175, 0, 0, 10 / 100])


def test_overlap_by_counting_pixels():
    """Boxes with whole corners, drawn as masks."""
    corner = torch.randint(0, 30, (40, 2), generator=seeded())
    box = torch.cat([corner, corner + torch.randint(1, 20, (40, 2), generator=seeded(1))], dim=1)
    mask = torch.zeros(40, 50, 50, dtype=torch.bool)
    for i, (x_0, y_0, x_1, y_1) in enumerate(box.tolist()):
        mask[i, y_0:y_1, x_0:x_1] = True
    mask = mask.flatten(1)
    both = (mask[:, None] & mask).sum(dim=2)
    expected = both / (mask[:, None] | mask).sum(dim=2)
    assert torch.allclose(iou(box.float(), box.float()), expected, atol=1e-6)


def test_of_boxes_that_overlap_the_best_stays():
    box = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [30, 30, 40, 40], [2, 0, 12, 10]])
    score = torch.tensor([0.6, 0.9, 0.5, 0.7])
    assert alone(box, score).tolist() == [1, 2]
    assert alone(box, score, 1.0).tolist() == [1, 3, 0, 2]
    assert alone(box[:0], score[:0]).tolist() == []


# Average precision

def test_average_precision_by_hand():
    """Right, wrong, right, wrong, of three digits: precision 1 up to recall 1/3, 2/3 up to recall 2/3, then nothing."""
    right = torch.tensor([True, False, True, False])
    assert average_precision(right, 3) == pytest.approx(1 / 3 + 2 / 9)
    assert average_precision(torch.tensor([False, True, True]), 2) == pytest.approx(2 / 3)  # the precision rises
    assert average_precision(torch.tensor([True, True]), 2) == 1
    assert average_precision(torch.tensor([], dtype=torch.bool), 4) == 0


def test_average_precision_by_scikit_learn_where_the_precision_only_falls():
    """scikit-learn does not make the precision fall; where it does so anyway, both agree."""
    right = torch.tensor([True, True, True, False, True, False, False, True])
    hits = right.cumsum(0) / torch.arange(1, 9)
    assert hits[right].diff().max() <= 0
    expected = average_precision_score(right.numpy(), torch.arange(8, 0, -1).numpy())
    assert average_precision(right, 5) == pytest.approx(expected)


def test_it_is_never_below_scikit_learns():
    for seed in range(5):
        right = torch.rand(30, generator=seeded(seed)) < 0.5
        expected = average_precision_score(right.numpy(), torch.arange(30, 0, -1).numpy())
        assert average_precision(right, int(right.sum())) >= expected - 1e-12


def test_a_digit_that_is_found_twice_counts_once():
    truth = [torch.tensor([[0.0, 0, 10, 10], [20, 20, 30, 30]]), torch.tensor([[5.0, 5, 15, 15]])]
    found = [(torch.tensor([[1.0, 0, 11, 10], [0, 0, 10, 10], [40, 40, 50, 50]]), torch.tensor([0.9, 0.8, 0.3])),
             (torch.tensor([[5.0, 5, 15, 15]]), torch.tensor([0.85]))]
    right, score = judged(found, truth)
    assert right.tolist() == [True, True, False, False]
    assert score.tolist() == pytest.approx([0.9, 0.85, 0.8, 0.3])


def test_where_nothing_is_to_be_found_nothing_is_right():
    right, _ = judged([(torch.tensor([[0.0, 0, 9, 9]]), torch.tensor([0.9]))], [torch.zeros(0, 4)])
    assert right.tolist() == [False]


# Connected components

def test_components_are_boxes_around_what_touches():
    canvas = torch.full((1, 56, 56), -1.0)
    canvas[0, 5:24, 8:20] = 1.0
    canvas[0, 40:43, 40:43] = 1.0  # too small
    canvas[0, 24, 20] = 1.0  # touches the first by a corner
    box, score = components(canvas)
    assert box.tolist() == [[8, 5, 21, 25]]
    assert score.tolist() == [1.0]
    assert len(components(canvas, 0, 56)[0]) == 2
    assert components(torch.full((1, 56, 56), -1.0))[0].shape == (0, 4)


# The network's walk

def test_the_window_is_as_large_as_the_doubt():
    x_t = torch.ones(1, 1, 4)
    middle, half = sight(x_t, 1000, SCHEDULE)
    assert middle.abs().max() < 0.01
    assert half.item() == pytest.approx(38, abs=0.1)
    middle, half = sight(x_t, 1, SCHEDULE)
    assert middle.min() > 0.99
    assert half.item() == pytest.approx(14, abs=0.3)


def test_any_number_of_boxes_walks_and_each_by_itself():
    network, canvas = made(), torch.randn(2, 1, 56, 56, generator=seeded())
    with torch.no_grad():
        denoiser = finder(network, network.look(canvas), SCHEDULE)
        x_t = torch.randn(2, 9, 4, generator=seeded(1))
        assert torch.allclose(denoiser(x_t, 500)[:, 3:5], denoiser(x_t[:, 3:5], 500), atol=1e-5)
    box, score = walked(network, canvas, SCHEDULE, 30, spaced(1000, 3), seeded())
    assert (box.shape, score.shape) == ((2, 30, 4), (2, 30))
    found = detect(network, canvas, SCHEDULE, 30, spaced(1000, 3), seeded())
    for box, score in found:
        assert (score.diff() <= 0).all()
        assert (iou(box, box) - torch.eye(len(box))).max() <= 0.5


def test_the_loss_is_finite_and_reaches_every_weight():
    network = made()
    truth = as_states(THREE.float()).expand(2, -1, -1)
    batch = torch.randn(2, 1, 56, 56, generator=seeded()), truth, torch.tensor([[True, False, False], [True] * 3])
    detection_loss(network, batch, seeded(), SCHEDULE).backward()
    assert all(torch.isfinite(weight.grad).all() and weight.grad.abs().max() > 0 for weight in network.parameters())


# The shipped weights

def test_the_shipped_network_finds_digits_among_clutter():
    made = canvases(40, 7)
    found = detect(load_network("find"), made.image, SCHEDULE, generator=seeded())
    right, _ = judged(found, [box[:count] for box, count in zip(made.box, made.count)])
    assert average_precision(right, int(made.count.sum())) > 0.85


def test_the_card_says_what_was_shipped_and_the_results_are_of_these_weights():
    facts, card = read_facts("find"), (HERE / "find" / "README.md").read_text(encoding="utf-8")
    assert f"{sum(p.numel() for p in load_network('find').parameters()):,} weights" in card
    assert f"{facts['recipe']['steps']:,} steps" in card
    assert facts["step"] == facts["recipe"]["steps"]
    assert (HERE / "find" / "weights.safetensors").stat().st_size < 400_000
    assert results.read("vision_find")["weights"] == facts["sha256"]


# Refusals

def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"a must be float, four numbers a box"):
        iou(torch.zeros(2, 3), torch.zeros(1, 4))
    with pytest.raises(ValueError, match="at least one true box"):
        exact_boxes(torch.zeros(1, 2, 4), 5, torch.zeros(1, 3, 4), torch.zeros(1, 3, dtype=torch.bool), SCHEDULE)
    with pytest.raises(ValueError, match="right must be a bool tensor"):
        average_precision(torch.ones(3), 2)
    with pytest.raises(ValueError, match="2 canvases were searched, but 1 have a truth"):
        judged([1, 2], [1])
    with pytest.raises(ValueError, match="a score for each are due"):
        alone(torch.zeros(2, 4), torch.zeros(3))
