"""Find digits: boxes walk from noise onto them, and a score says which of them have arrived.

A box is (x_0, y_0, x_1, y_1) in pixels; the state of a box, which is noised, is its centre and size, standardised.

Taught in: lessons/13_vision
"""

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from diffusion_lab.guard import check_count, check_data, check_number, check_schedule, require
from diffusion_lab.sampling.chain import last, spaced
from diffusion_lab.sampling.ddim import ddim
from diffusion_lab.theory.denoiser import Denoiser
from diffusion_lab.theory.forward import noise_like, q_sample
from diffusion_lab.theory.schedule import at

MIDDLE = torch.tensor([28.0, 28.0, 15.0, 19.0])  # of centre and size, in pixels
SPREAD = torch.tensor([12.0, 12.0, 5.0, 5.0])
RIGHT = 0.5  # the overlap from which on a box counts as found


def as_states(box):
    """Boxes as (centre, size), minus MIDDLE, over SPREAD: float (…, 4), of the order of 1, as `q_sample` wants it."""
    check_boxes(box=box)
    centre = (box[..., :2] + box[..., 2:]) / 2
    size = box[..., 2:] - box[..., :2]
    return (torch.cat([centre, size], dim=-1) - MIDDLE.to(box)) / SPREAD.to(box)


def as_boxes(x):
    """The inverse of `as_states`. A size below one pixel becomes one pixel. float (…, 4) → (…, 4)."""
    check_boxes(x=x)
    centre, size = (x * SPREAD.to(x) + MIDDLE.to(x)).split(2, dim=-1)
    half = size.clamp(min=1) / 2
    return torch.cat([centre - half, centre + half], dim=-1)


def check_boxes(**boxes):
    """Raise ValueError unless all that is named is float, (…, 4)."""
    for name, box in boxes.items():
        given = f"{box.dtype}, {tuple(box.shape)}" if torch.is_tensor(box) else type(box).__name__
        require(torch.is_tensor(box) and torch.is_floating_point(box) and box.ndim > 0 and box.shape[-1] == 4,
                f"{name} must be float, four numbers a box, (…, 4), but got {given}.")


def iou(a, b):
    """Intersection over union of each box of a with each of b, from 0 to 1.

    a: float (…, n, 4), b: (…, m, 4), corners in pixels. Returns (…, n, m). Boxes without area have the overlap 0.
    (Everingham et al. 2010, eq. 4, without the pixel that it adds.)
    """
    check_boxes(a=a, b=b)
    a, b = a[..., :, None, :], b[..., None, :, :]
    side = torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])
    both = side.clamp(min=0).prod(dim=-1)
    area_a = (a[..., 2:] - a[..., :2]).prod(dim=-1)
    area_b = (b[..., 2:] - b[..., :2]).prod(dim=-1)
    return both / (area_a + area_b - both).clamp(min=1e-12)


def exact_boxes(x_t, t, truth, there, schedule):
    """E[x_0 given x_t] if x_0 is one of the true boxes of a canvas, each as likely as the others.

    x̂_0 = Σ_k r_k b_k,   r = softmax(-‖x_t - √ᾱ_t b_k‖² / 2(1-ᾱ_t))   (Bayes' rule; a mixture of points)

    x_t: float (n, m, 4), states of m boxes on each of n canvases. t: an int, or int64 (n,), 1…T. truth: (n, k, 4),
    states; there: bool (n, k), whether there is such a box; each canvas has one. Returns shape and dtype of x_t.
    """
    check_data(x_t)
    require(x_t.ndim == 3 and truth.ndim == 3 and truth.shape[::2] == x_t.shape[::2] == (len(there), 4)
            and there.shape == truth.shape[:2] and there.dtype == torch.bool,
            f"x_t (n, m, 4), truth (n, k, 4) and there, bool (n, k), are due, but got {tuple(x_t.shape)}, "
            f"{tuple(truth.shape)} and {there.dtype}, {tuple(there.shape)}.")
    require(bool(there.any(dim=1).all()), "each canvas needs at least one true box: else there is no x_0.")
    alpha_bar_t = at(schedule.alpha_bar, t, like=x_t).to(x_t.dtype)
    apart = x_t[:, :, None] - alpha_bar_t[..., None].sqrt() * truth[:, None]
    log_weight = -apart.square().sum(dim=-1) / (2 * (1 - alpha_bar_t))
    weight = log_weight.masked_fill(~there[:, None], -torch.inf).softmax(dim=-1)
    return weight @ truth


def sight(x_t, t, schedule):
    """Where to look: the middle of the window, a state, and half of its side in pixels, as large as the doubt.

    x_t: float (n, m, 4). t: an int or int64 (n,). Returns √ᾱ_t x_t, the mean of x_0 for x_0 ~ N(0, I), and
    14 + 24 √(1-ᾱ_t), (n, 1, 1) or (1, 1, 1): at t = 0 a square of 28 pixels, in noise the whole canvas.
    """
    check_schedule(schedule)
    alpha_bar_t = at(schedule.alpha_bar, t, like=x_t).to(x_t.dtype)
    return alpha_bar_t.sqrt() * x_t, 14 + 24 * (1 - alpha_bar_t).sqrt()


def answers(network, features, x_t, t, schedule):
    """x̂_0 of each box, (n, m, 4), and the logit of its being right, (n, m), as a network sees it through its window.

    network: a `BoxNetwork`. features: what it saw on n canvases, `network.look(canvas)`. x_t: float (n, m, 4).
    t: int64 (n,). The network's four numbers count from the middle of the window, in halves of its side.
    """
    middle, half = sight(x_t, t, schedule)
    centre = (MIDDLE + SPREAD * middle)[..., :2]
    out = network(x_t, t, features, torch.cat([centre - half, centre + half], dim=-1))
    return middle + half / SPREAD * out[..., :4], out[..., 4]


def finder(network, features, schedule):
    """A denoiser of boxes on n canvases: x_0_hat = denoiser(x_t, t), x_t float32 (n, m, 4) with any number m."""
    def answer(x_t, t, label=None):
        times = torch.as_tensor(t).expand(len(x_t))
        return answers(network, features, x_t, times, schedule)[0]

    return Denoiser(answer, schedule)


def alone(box, score, most=0.5):
    """Non-maximum suppression: from the best score down, keep a box unless it overlaps one that is kept.

    box: float (m, 4), pixels. score: float (m,). most: the largest IoU of two boxes that are kept. Returns int64 (k,),
    indices by falling score   (Felzenszwalb et al. 2010, section 5.2, who divide by one area in place of the union).
    """
    require(torch.is_tensor(box) and torch.is_tensor(score) and box.ndim == 2 and score.shape == box.shape[:1],
            f"boxes (m, 4) and a score for each are due, but got {getattr(box, 'shape', type(box).__name__)} and "
            f"{getattr(score, 'shape', type(score).__name__)}.")
    check_number(most, "most", 0, 1)
    overlap = iou(box, box)
    kept = []
    for i in score.argsort(descending=True, stable=True).tolist():
        if all(overlap[i, j] <= most for j in kept):
            kept.append(i)
    return torch.tensor(kept, dtype=torch.int64)


@torch.no_grad()
def walked(network, canvas, schedule, boxes=24, timesteps=None, generator=None):
    """Boxes walked from noise, all of them: float32 (n, boxes, 4) in pixels, and scores from 0 to 1, (n, boxes).

    canvas: float32 (n, 1, 56, 56) in [-1, 1]. timesteps: of `ddim`; None is 8 even ones. After the walk the network
    looks once more, at t = 1, for the score.
    """
    check_count(boxes, "boxes")
    features = network.look(canvas)
    x_T = torch.randn(len(canvas), boxes, 4, generator=generator)
    timesteps = spaced(schedule.T, 8) if timesteps is None else timesteps
    x_0 = last(ddim(finder(network, features, schedule), x_T, timesteps))
    one = torch.ones(len(canvas), dtype=torch.int64)
    x_0, logit = answers(network, features, x_0, one, schedule)
    return as_boxes(x_0), logit.sigmoid()


def detect(network, canvas, schedule, boxes=24, timesteps=None, generator=None):
    """What is found on each canvas: a list of pairs, boxes float32 (k, 4) in pixels and scores (k,), the best first.

    Arguments as for `walked`; of boxes that overlap, the best one stays.
    """
    found = []
    for box, score in zip(*walked(network, canvas, schedule, boxes, timesteps, generator)):
        kept = alone(box, score)
        found.append((box[kept], score[kept]))
    return found


def judged(found, truth, least=RIGHT):
    """Every box that was found, on all canvases, by falling score: bool (n,), whether it is right; and the scores.

    found: a list of pairs (box, score), one a canvas. truth: a list of float (k, 4). A box is right if the true box
    that it overlaps most, by at least `least`, has not been found before   (Everingham et al. 2010, section 4.2).
    """
    check_number(least, "least", 0, 1)
    require(len(found) == len(truth), f"{len(found)} canvases were searched, but {len(truth)} have a truth.")
    right, scores = [], []
    for (box, score), real in zip(found, truth):
        taken = set()
        for i in score.argsort(descending=True, stable=True).tolist():
            overlap, k = iou(box[i : i + 1], real)[0].max(dim=0) if len(real) else (torch.tensor(-1.0), None)
            hit = overlap >= least and k.item() not in taken
            if hit:
                taken.add(k.item())
            right.append(bool(hit))
            scores.append(score[i].item())
    order = torch.tensor(scores).argsort(descending=True, stable=True)
    return torch.tensor(right, dtype=torch.bool)[order], torch.tensor(scores)[order]


def average_precision(right, total):
    """Area under the precision, made to fall, over the recall   (Everingham et al. 2010, section 4.2, every point).

    AP = Σ_i (R_i - R_{i-1}) max_{j ≥ i} P_j

    right: bool (n,), by falling score. total: how many boxes there are to be found. Returns float, from 0 to 1.
    """
    check_count(total, "total")
    require(torch.is_tensor(right) and right.dtype == torch.bool and right.ndim == 1,
            "right must be a bool tensor, (n,), one entry a box that was found.")
    hits = right.double().cumsum(dim=0)
    precision = hits / torch.arange(1, len(right) + 1)
    best = precision.flip(0).cummax(dim=0).values.flip(0)
    return (best[right].sum() / total).item()


def detection_loss(network, batch, generator, schedule, boxes=16):
    """Squared distance of x̂_0 to the exact answer, in halves of the window, and the cross-entropy of the score.

    batch: canvas float32 (n, 1, 56, 56), truth (n, k, 4), states, there bool (n, k). On each canvas `boxes` true boxes,
    drawn with replacement, and as many random ones, which teach what is no digit, are noised. Where the exact answer
    lies outside of the window nothing is asked but the score: whether x̂_0 overlaps a true box by one half.
    Returns shape ().
    """
    check_schedule(schedule)
    canvas, truth, there = batch
    n = len(canvas)
    which = torch.multinomial(there.float(), boxes, replacement=True, generator=generator)
    real = truth.gather(1, which[..., None].expand(-1, -1, 4))
    x_0 = torch.cat([real, 1.2 * torch.randn(n, boxes, 4, generator=generator)], dim=1)
    t = torch.randint(1, schedule.T + 1, (n,), generator=generator)
    x_t = q_sample(x_0, t, noise_like(x_0, generator), schedule)
    due = exact_boxes(x_t, t, truth, there, schedule)
    x_0_hat, logit = answers(network, network.look(canvas), x_t, t, schedule)
    middle, half = sight(x_t, t, schedule)
    unit = half / SPREAD
    visible = ((due - middle) / unit)[..., :2].abs().amax(dim=-1) < 1
    error = ((x_0_hat - due) / unit).square().mean(dim=-1)
    overlap = iou(as_boxes(x_0_hat.detach()), as_boxes(truth)).masked_fill(~there[:, None], 0).amax(dim=-1)
    score = F.binary_cross_entropy_with_logits(logit, (overlap >= RIGHT).float())
    return 10 * (error * visible).mean() + 0.1 * score


def components(canvas, least=14, most=21):
    """The boxes of what hangs together: pixels above 0 that touch, also by corners, if their longer side fits.

    canvas: float (1, 56, 56) in [-1, 1]. least, most: of the longer side, in pixels. Returns a pair as `detect` does,
    boxes (k, 4) and scores (k,): 1 for a longer side of 20 pixels, as digits have it, less for each pixel off.
    """
    check_data(canvas)
    pieces, _ = ndimage.label(canvas[0].numpy() > 0, structure=np.ones((3, 3)))
    places = [(x.start, y.start, x.stop, y.stop) for y, x in ndimage.find_objects(pieces)]
    box = torch.tensor(places, dtype=torch.float32).reshape(-1, 4)
    longer = (box[:, 2:] - box[:, :2]).amax(dim=1)
    fits = (longer >= least) & (longer <= most)
    return box[fits], 1 / (1 + (longer[fits] - 20).abs())
