"""The checks for the exercises of notebooks/00_start_here.ipynb."""

import re

import torch

from diffusion_lab.exercises.feedback import Wrong, answers, diagnosed, tensor_like
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.schedule import cosine

X = torch.tensor([[-1.0, -0.5, 0.0], [0.5, 1.0, 0.2]], dtype=torch.float64)
INNER = torch.tensor([0.7, -0.9, 0.35, -0.05], dtype=torch.float64)  # neither black nor white


@answers
def check_to_pixels(attempt):
    def right(x):
        return (x + 1) * 127.5

    causes = [
        ("grey, 0, should become 127.5: do not round yet.", lambda x: right(x).round()),
        ("grey, 0, should become 127.5: do not cut the fractions off, as whole numbers (int, uint8) do.",
         lambda x: right(x).floor()),
        ("you cut off all that is darker than grey: -0.5 became 0. Shift, do not clamp.",
         lambda x: (x * 255).clamp(min=0)),
        ("you made dark bright: -1 became 255, as 1 did. Shift, do not take absolute values.",
         lambda x: (x * 255).abs()),
        ("black, -1, became -255. Shift first, so that the values run from 0 to 2.", lambda x: x * 255),
        ("white became 510: after the shift the values run from 0 to 2, so the factor is 127.5.",
         lambda x: (x + 1) * 255),
        ("white became 256: the largest pixel is 255, half of that is the factor.", lambda x: (x + 1) * 128),
        ("white became 254: half of 255 is 127.5, and not 127.", lambda x: (x + 1) * 127),
        ("the factor is right, but black became 0.5: shift by 1 before you multiply, or by 127.5 after.",
         lambda x: x * 127.5 + 128),
        ("the factor is right, but black became -0.5: shift by 1 before you multiply, or by 127.5 after.",
         lambda x: x * 127.5 + 127),
        ("black became -127.5 and white 382.5: the factor is 127.5, and not 255.", lambda x: x * 255 + 127.5),
        ("that is x + 127.5; without brackets, the multiplication comes first: write (x + 1) * 127.5.",
         lambda x: x + 1 * 127.5),
        ("you shifted by 1 after you multiplied: shift first.", lambda x: x * 127.5 + 1),
        ("that is the range from 0 to 1; pixels go up to 255.", lambda x: (x + 1) / 2),
        ("the factor is right, but black became -127.5: shift by 1 before you multiply.", lambda x: x * 127.5),
        ("black became 255 and white 0: your image is a negative.", lambda x: (1 - x) * 127.5),
        ("you stretched from the darkest to the brightest value of x, but not all images hold black and white: the "
         "range that is shifted and scaled is always -1 to 1.", lambda x: (x - x.min()) / (x.max() - x.min()) * 255),
    ]
    diagnosed(attempt, right, causes, "Black, -1, should become 0 and white, 1, should become 255, evenly between.",
              [(X,), (INNER,)])
    return "Black is 0, grey 127.5, white 255. This is how all checks of the course answer."


# Exercise 2: points in the plane, of two kinds, whose denoiser is known exactly

TWO = GaussianMixture(torch.tensor([0.7, 0.3], dtype=torch.float64),
                      torch.tensor([[1.5, -1.0], [-1.5, 1.0]], dtype=torch.float64),
                      torch.tensor([0.02, 0.02], dtype=torch.float64)).denoiser(cosine())
TWO_ENDS = torch.tensor([[[1.5, -1.0]], [[-1.5, 1.0]]], dtype=torch.float64)
WALKS, NEAR = 500, 0.3  # the standard error of the average is about 0.06
STARTS = [(torch.tensor([[0.1, 0.3]], dtype=torch.float64), 700),
          (torch.tensor([[0.3, -0.4]], dtype=torch.float64), 850)]


@answers
def check_average_of_walks(attempt):
    asked = []

    def denoiser(x_t, t, label=None):
        asked.append((len(x_t), int(torch.as_tensor(t).flatten()[0])))
        return TWO(x_t, t, label)

    denoiser.schedule = TWO.schedule
    off = []
    for x_t, t in STARTS:
        asked.clear()
        given = attempt(denoiser, x_t, t, WALKS, torch.Generator().manual_seed(0))
        if torch.is_tensor(given) and given.shape == (WALKS, 2):
            raise Wrong("those are the ends of all {n} walks: average them, as in ends.mean(dim=0, keepdim=True).",
                        n=WALKS)
        if torch.is_tensor(given) and given.shape == (2,):
            raise Wrong("the numbers may be right, but the shape should be that of x_t, (1, 2): keepdim=True keeps the "
                        "first axis.")
        given = tensor_like(given, x_t)
        if not asked:
            raise Wrong("the denoiser was not asked once: walk with the `denoiser` that your function is given.")
        guess = TWO(x_t, t)
        if len(asked) == 1:
            raise Wrong("you asked the denoiser once. That is the one guess; the question is what the average of walks "
                        "is, so walk, with ddpm.")
        if asked[0][1] != t:
            raise Wrong("your walk begins at the time {first}, but x_t is noisy as at t = {t}: the first of the times "
                        "must be t, as in spaced(t, 50).", first=asked[0][1], t=t)
        if max(rows for rows, _ in asked) < WALKS and sum(time == t for _, time in asked) < WALKS:
            raise Wrong("you walked {n} times, but {all} walks were asked for: repeat x_t, as in "
                        "x_t.expand(n, *x_t.shape[1:]).",
                        n=sum(rows for rows, time in asked if time == t), all=WALKS)
        if asked[-1][1] > 0.5 * t:
            raise Wrong("your walk stops half-way, at t = {t}: go on to the end, and take the last state, as `last` "
                        "does.", t=asked[-1][1])
        off.append((given - guess, guess, given))
    if all(difference.abs().max() < NEAR for difference, *_ in off):
        return ("The average of many walks is the one guess: each walk ends in an image that could be under the noise, "
                "and the guess is the average of these.")
    if all((given - WALKS * guess).abs().max() < NEAR * WALKS for _, guess, given in off):
        raise Wrong("that is the sum of the ends: divide by their number, n.")
    if all(min((given - end).norm() for end in TWO_ENDS) < 0.6 for *_, given in off):
        raise Wrong("that is where single walks end, not between the ends: were your walks all alike? Each needs fresh "
                    "noise of its own at each step, as ddpm draws it for each row.")
    _, guess, given = off[0] if off[0][0].abs().max() >= NEAR else off[1]
    raise Wrong("for points in the plane whose answer is known, the average of {n} walks should be near {guess}, but "
                "yours is {given}. Is it the last state that you average, over the walks alone?",
                n=WALKS, guess=rounded(guess), given=rounded(given))


def rounded(point):
    return [round(value, 2) for value in point.flatten().tolist()]


# Exercise 3

def grey_images(n, height, width, seed):
    pixels = torch.randint(0, 256, (n, 1, height, width), generator=torch.Generator().manual_seed(seed))
    return pixels.double()


MADE = grey_images(3, 4, 4, 0) / 127.5 - 1
KNOWN = torch.cat([grey_images(4, 4, 4, 1), (MADE[:1] + 1) * 127.5])  # with a copy of the first
LARGER = grey_images(2, 5, 3, 2) / 127.5 - 1
LARGER_KNOWN = grey_images(4, 5, 3, 3)


@answers
def check_repaired(attempt):
    def squares(made, known):
        return (made[:, None] - known[None]).square().sum(dim=(2, 3, 4))

    def known(pixels):
        return pixels / 127.5 - 1

    def right(made, pixels):
        return squares(made, known(pixels)).sqrt().min(dim=1).values

    def spread(made, pixels):  # each set stretched to [0, 1] by its own extremes
        return squares((made - made.min()) / (made.max() - made.min()),
                       (pixels - pixels.min()) / (pixels.max() - pixels.min())).sqrt().min(dim=1).values

    causes = [
        ("that is the function as it was: in `made` black is -1, in `known` it is 0.",
         lambda made, pixels: squares(made, pixels / 255).sqrt().min(dim=1).values),
        ("now both run from 0 to 1, and a copy has distance 0; but the distances of all others are half as large as "
         "those of this notebook. Bring the pixels to [-1, 1].",
         lambda made, pixels: squares((made + 1) / 2, pixels / 255).sqrt().min(dim=1).values),
        ("now both run from 0 to 255, and a copy has distance 0; but all others are 127.5 times as far away as in this "
         "notebook. Bring the pixels to [-1, 1].",
         lambda made, pixels: squares((made + 1) * 127.5, pixels).sqrt().min(dim=1).values),
        ("the pixels now run from -1 to 0: the factor is 127.5, and not 255.",
         lambda made, pixels: squares(made, pixels / 255 - 1).sqrt().min(dim=1).values),
        ("the pixels now run from 0 to 2: after the division, shift by 1.",
         lambda made, pixels: squares(made, pixels / 127.5).sqrt().min(dim=1).values),
        ("the pixels now run from -0.5 to 0.5: stretch them, too.",
         lambda made, pixels: squares(made, pixels / 255 - 0.5).sqrt().min(dim=1).values),
        ("white became 0.992: 255 is the largest pixel, so the factor is 127.5, and not 128.",
         lambda made, pixels: squares(made, pixels / 128 - 1).sqrt().min(dim=1).values),
        ("the fault is repaired, but the root is missing: these are squared distances.",
         lambda made, pixels: squares(made, known(pixels)).min(dim=1).values),
        ("the fault is repaired, but you averaged over the pixels: add the squares up.",
         lambda made, pixels: (squares(made, known(pixels)) / made[0].numel()).sqrt().min(dim=1).values),
        ("the fault is repaired, but these are the distances to the *farthest* digits.",
         lambda made, pixels: squares(made, known(pixels)).sqrt().max(dim=1).values),
        ("the fault is repaired, but you took the nearest image for each training digit: it should be the nearest "
         "training digit for each image, so the minimum over the second axis.",
         lambda made, pixels: squares(made, known(pixels)).sqrt().min(dim=0).values),
        ("the fault is repaired, but you gave the numbers of the nearest digits, and not their distances.",
         lambda made, pixels: squares(made, known(pixels)).argmin(dim=1).double()),
        ("you stretched each set from its own darkest to its own brightest value; but not every set holds black and "
         "white. Bring the pixels to [-1, 1] by the same rule for all.", spread),
    ]
    diagnosed(attempt, right, causes, "An image that is among the training digits should have distance 0, and all "
              "others the distance that they have in [-1, 1].", [(MADE, KNOWN), (LARGER, LARGER_KNOWN)])
    return "The planted copy has distance 0, and the others are where they belong. Now the test can fail."


# Exercise 4

REASONS = {  # what to say to a reader who has left out a right statement, or taken a wrong one for right
    "A": "A is right: you have seen it in Figure 2, where copies that were moved lie as far away as fresh digits.",
    "B": "B is right: of twelve pictures, none need be that one in a thousand, even if there is one.",
    "C": "C is right: a distance says nothing by itself. Figure 2 has the fresh digits for that reason.",
    "D": "D does not follow: each of the twelve could be a training photograph moved by a pixel. Pixel by pixel, such "
         "a copy is not near, as the left of Figure 2 shows.",
    "E": "E does not follow: pure noise is far away from all photographs, and so is a ruined picture.",
    "F": "F is right: what has been learned by heart is denoised better than what is new, and no picture need show it.",
}
RIGHT = set("ABCF")


@answers
def check_copies(attempt):
    chosen = letters(attempt())
    if unknown := sorted(chosen - set(REASONS)):
        raise Wrong("the statements have the letters A to F, but yours has {unknown}.", unknown=", ".join(unknown))
    if chosen == set(REASONS):
        raise Wrong("not all of them are right: two do not follow from the picture, nor from anything else.")
    for letter in sorted(chosen ^ RIGHT):
        raise Wrong(REASONS[letter])
    return "A, B, C and F. The picture in such a paper is an illustration; the evidence is in the losses."


def letters(given):
    """The letters of an answer, capitals: from a set, a list, a tuple, or a text in which they stand."""
    parts = [given] if isinstance(given, str) else given
    if not isinstance(parts, (set, frozenset, list, tuple)) or not all(isinstance(part, str) for part in parts):
        raise Wrong('letters are expected, as a set like {{"X", "Y"}} or a text like "XY", but your function returned '
                    "{kind}.", kind="None" if given is None else type(given).__name__)
    return set(re.sub(r"[\s,;.]|\band\b", "", " ".join(parts)).upper())
