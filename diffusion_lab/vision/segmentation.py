"""Segmenting with a denoiser: what its U-Net computes on the way, read at each pixel by a linear classifier.

Taught in: lessons/13_vision
"""

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from diffusion_lab.guard import check_count, check_data, check_generator, check_schedule, require, same_shape
from diffusion_lab.theory.forward import noise_like, q_sample

LAYERS = ("fine_down", "coarse_down", "attention", "middle", "coarse_up", "fine_up")


def activations(network, x_t, t):
    """What the U-Net of the course computes on the way from x_t to its answer, asked without a label.

    It is `UNet.forward` up to the last layer, and takes pictures of any size: a convolution does not ask how large a
    picture is, and the attention looks at all positions that there are. x_t: float32 (n, 1, h, w), h and w multiples of
    4. t: int64 (n,). Returns {layer: float32 (n, channels, h/2, w/2)}, or h/4 and w/4 for the four in the middle:
    fine_down, coarse_down, attention, middle, coarse_up, fine_up (Baranchuk et al. 2022, section 3.1, take some).
    """
    check_data(x_t)
    require(x_t.ndim == 4 and x_t.shape[1] == 1 and x_t.shape[2] % 4 == x_t.shape[3] % 4 == 0,
            f"x_t must have shape (n, 1, h, w) with h and w multiples of 4, but got {tuple(x_t.shape)}.")
    condition = network.condition(t)
    found = {}
    found["fine_down"] = network.fine_down(network.enter(F.pixel_unshuffle(x_t, 2)), condition)
    found["coarse_down"] = network.coarse_down(network.shrink(found["fine_down"]), condition)
    found["attention"] = network.attention(found["coarse_down"])
    found["middle"] = network.middle(found["attention"], condition)
    both = torch.cat([found["middle"], found["coarse_down"]], dim=1)
    found["coarse_up"] = network.coarse_up(both, condition)
    both = torch.cat([network.grow(found["coarse_up"]), found["fine_down"]], dim=1)
    found["fine_up"] = network.fine_up(both, condition)
    return found


def features(network, image, t, schedule, layers, draws=4, generator=None):
    """For each pixel, what some layers of the U-Net say of it when the picture is covered with noise up to t.

    x_t = √ᾱ_t x_0 + √(1-ᾱ_t) ε; the layers are brought to the size of the picture by bilinear interpolation, and
    averaged over draws of the noise (Baranchuk et al. 2022, section 3.2). In each draw the picture lies elsewhere on
    the grid of the network, by 0 to 3 pixels: a coarse layer has one position for 4×4 pixels. t: int. layers: names of
    `activations`. image: float32 (n, 1, h, w). Returns float32 (n, channels, h, w).
    """
    check_schedule(schedule)
    check_count(draws, "draws")
    check_generator(generator)
    require(len(layers) > 0 and set(layers) <= set(LAYERS),
            f"layers must be some of {', '.join(LAYERS)}, but got {layers!r}.")
    n, _, height, width = image.shape
    times = torch.full((n,), t)
    total = 0
    for draw in range(draws):
        down = draw % 4
        right = 3 * draw % 4
        x_0 = F.pad(image, [right, 4 - right, down, 4 - down], value=-1)
        x_t = q_sample(x_0, times, noise_like(x_0, generator), schedule)
        with torch.no_grad():
            found = activations(network, x_t, times)
        size = x_0.shape[2:]
        large = [F.interpolate(found[layer], size=size, mode="bilinear") for layer in layers]
        total = total + torch.cat(large, dim=1)[:, :, down : down + height, right : right + width]
    return total / draws


def patches(image, side):
    """For each pixel, the side × side pixels around it: float32 (n, side², h, w). Outside of the picture is black."""
    check_data(image)
    require(isinstance(side, int) and side > 0 and side % 2 == 1,
            f"side must be an odd whole number, but got {side!r}.")
    n, _, height, width = image.shape
    padded = F.pad(image, [side // 2] * 4, value=-1)
    return F.unfold(padded, side).reshape(n, side**2, height, width)


def fit_pixels(features, image, mask, strength=0.001):
    """A linear classifier of the pixels that have ink: standardised features, then logistic regression.

    All classes count alike, however many pixels they have. features: float32 (n, c, h, w). image: (n, 1, h, w); ink is
    what is brighter than 0. mask: int64 (n, h, w). strength: scikit-learn's C; smaller holds the weights down more.
    """
    require(torch.is_tensor(mask) and mask.dtype == torch.int64 and mask.shape == features[:, 0].shape,
            f"a mask must hold an int64 class for each pixel, (n, h, w), but got {tuple(mask.shape)} for features "
            f"{tuple(features.shape)}.")
    ink = image[:, 0] > 0
    regression = LogisticRegression(C=strength, class_weight="balanced", max_iter=300)
    classifier = make_pipeline(StandardScaler(), regression)
    return classifier.fit(features.movedim(1, -1)[ink].numpy(), mask[ink].numpy())


def segment(classifier, features, image):
    """The class of each pixel: 0 where there is no ink, elsewhere what the classifier says. int64 (n, h, w)."""
    ink = image[:, 0] > 0
    predicted = torch.zeros(ink.shape, dtype=torch.int64)
    predicted[ink] = torch.from_numpy(classifier.predict(features.movedim(1, -1)[ink].numpy()))
    return predicted


def voted(predicted):
    """Each piece of connected ink gets the class that most of its pixels have.

    Ink is what is not background, class 0; pixels are connected at sides and corners. predicted: int64 (n, h, w).
    Returns int64 (n, h, w).
    """
    decided = predicted.clone()
    for image in decided.numpy():
        pieces, n = ndimage.label(image > 0, structure=np.ones((3, 3)))
        for i in range(1, n + 1):
            image[pieces == i] = np.bincount(image[pieces == i]).argmax()
    return decided


def pixel_iou(predicted, mask, classes=3):
    """Intersection over union of each class, over all pixels of all pictures together.

    |predicted as k and truly k| / |predicted as k or truly k|; NaN for a class that is in neither. predicted, mask:
    int64, of one shape. Returns float64 (classes,).
    """
    same_shape(predicted=predicted, mask=mask)
    check_count(classes, "classes")
    found = []
    for k in range(classes):
        both = ((predicted == k) & (mask == k)).sum()
        either = ((predicted == k) | (mask == k)).sum()
        found.append(both.double() / either)
    return torch.stack(found)
