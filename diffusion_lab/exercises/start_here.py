"""The checks for the exercises of notebooks/00_start_here.ipynb."""

import torch

from diffusion_lab.exercises.feedback import Wrong, answers, diagnosed, require_letters, tensor_like
from diffusion_lab.theory.denoiser import Denoiser
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
STEPS = 50
STARTS = [(torch.tensor([[0.1, 0.3]], dtype=torch.float64), 700, 60),  # x_t, t, number of walks
          (torch.tensor([[[[0.3], [-0.4]]]], dtype=torch.float64), 850, 40)]  # shaped like an image of 2 by 1


def one_run(attempt, x_t, t, n):
    """The reader's average, what the denoiser was asked, and whether the generator was used."""
    asked = []  # (time, states, answers)

    def recorded(x, time, label):
        x_0_hat = TWO(x, time, label)
        asked.append((int(torch.as_tensor(time).flatten()[0]), x.flatten(1).clone(), x_0_hat.flatten(1).clone()))
        return x_0_hat

    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    given = attempt(Denoiser(recorded, cosine()), x_t, t, n, generator)
    shape = getattr(given, "shape", None)
    if shape == (n, *x_t.shape[1:]):
        raise Wrong("those are the ends of all {n} walks: average them, as in ends.mean(dim=0, keepdim=True).", n=n)
    if shape == x_t.shape[1:]:
        raise Wrong("the numbers may be right, but the shape should be that of x_t, {due}: keepdim=True keeps the "
                    "first axis.", due=tuple(x_t.shape))
    return tensor_like(given, x_t).to(x_t).flatten(1), asked, not torch.equal(before, generator.get_state())


@answers
def check_average_of_walks(attempt):
    judged, drawn_here = [], []
    for x_t, t, n in STARTS:
        given, asked, used = one_run(attempt, x_t, t, n)
        states, ends = require_walks(asked, x_t.flatten(1), t, n)
        judged.append((given, average_and_causes(states, ends, n), ends, TWO(x_t, t).flatten(1), n))
        drawn_here.append(used)
    if all(near(given, values[""]) for given, values, *_ in judged):
        again, *_ = one_run(attempt, x_t, t, n)
        if not all(drawn_here) or not near(again, given):
            raise Wrong("the average is right, but not all noise of your walks came from the `generator`, so that "
                        "nobody can repeat them: hand it on, as in ddpm(…, generator=generator).")
        for given, _, ends, guess, n in judged:
            if bool(((given - guess).abs() > 5 * ends.std(dim=0) / n**0.5).any()):
                raise Wrong("you averaged the ends of your walks, but they do not end where they should: the average "
                            "of "
                            "{n} should be near {guess}, and yours is {given}. Leave the steps to ddpm.",
                            n=n, guess=rounded(guess), given=rounded(given))
        return ("The denoiser of this check is exact, and the average of many walks is its one guess: each walk ends "
                "in "
                "a point that could be under the noise, and the guess is the average of these.")
    for cause in [cause for cause in judged[0][1] if cause]:
        if all(cause in values and near(given, values[cause]) for given, values, *_ in judged):
            raise Wrong(cause)
    given, values, *_, n = next(case for case in judged if not near(case[0], case[1][""]))
    raise Wrong("your {n} walks end in points whose average is {due}, but yours is {given}. Average the last states, "
                "over "
                "the walks alone, and add nothing.", n=n, due=rounded(values[""], 4), given=rounded(given, 4))


def require_walks(asked, x_t, t, n):
    """{time: the walks' states} and the ends, from what the denoiser was asked; raises Wrong if they are not n."""
    if not asked:
        raise Wrong("the denoiser was not asked once: walk with the `denoiser` that your function is given.")
    if len(asked) == 1:
        raise Wrong("you asked the denoiser once. That is the one guess; the question is what the average of walks "
                    "is, so "
                    "walk, with ddpm.")
    if asked[0][0] != t:
        raise Wrong("your walk begins at the time {first}, but x_t is noisy as at t = {t}: the first of the times "
                    "must be "
                    "t, as in spaced(t, 50).", first=asked[0][0], t=t)
    times = sorted({time for time, *_ in asked}, reverse=True)
    states = {time: torch.cat([x for other, x, _ in asked if other == time]) for time in times}
    if len(states[t]) != n:
        raise Wrong("you walked {n} times, but {all} walks were asked for: repeat x_t, as in "
                    "x_t.expand(n, *x_t.shape[1:]).", n=len(states[t]), all=n)
    astray = int((states[t] != x_t).any(dim=1).sum())
    if astray:
        raise Wrong("each walk begins at x_t itself, but {astray} of yours began elsewhere.", astray=astray)
    if times[-1] > 0.5 * t:
        raise Wrong("your walk stops half-way, at t = {t}: go on to the end, and take the last state, as `last` does.",
                    t=times[-1])
    ends = torch.cat([x_0_hat for time, _, x_0_hat in asked if time == times[-1]])  # the last step adds no noise
    if len(ends) == n and near(ends, ends[:1].expand_as(ends)):
        raise Wrong("your walks all end in one and the same point. Each needs fresh noise of its own at each step, "
                    "as ddpm "
                    "draws it for each row.")
    if len(times) != STEPS or any(len(state) != n for state in states.values()):
        raise Wrong("walk in fifty steps, all n walks to the end, as with spaced(t, 50): yours have {steps} times, "
                    "from "
                    "{first} down to {last}.", steps=len(times), first=times[0], last=times[-1])
    return states, ends


def average_and_causes(states, ends, n):
    """{"": the right average, cause: what a mistake would give}, each (1, 2)."""
    def over(points):
        return points.mean(dim=0, keepdim=True)

    values = {
        "": over(ends),
        "that is the sum of the ends: divide by their number, n.": n * over(ends),
        "you divided by n-1, as for a variance. An average divides by n.": n / (n - 1) * over(ends),
        "that is the median of the ends, coordinate by coordinate; asked is their average.":
            ends.median(dim=0, keepdim=True).values,
        "the sign is turned.": -over(ends),
        "that is where your first walk ends. Average over all of them.": ends[:1],
        "that is where your last walk ends. Average over all of them.": ends[-1:],
        "you clamped the ends to [-1, 1]. These are points in the plane, not pixels: leave them as they are.":
            over(ends.clamp(-1, 1)),
        "you averaged over all states on the way, too. Average the last states alone, where the walks end.":
            over(torch.cat([*list(states.values())[1:], ends])),
    }
    for k, state in enumerate(states.values()):
        values[f"that is the average of the states after {k} of the fifty steps. The walks end after the last: take "
               f"its x_s, "
               "as `last` does."] = over(state)
    return values


def near(given, due):
    return torch.allclose(given, due, rtol=1e-5, atol=1e-5)


def rounded(point, digits=2):
    return [round(value, digits) for value in point.flatten().tolist()]


# Exercise 3

def grey_images(n, height, width, seed):
    pixels = torch.randint(0, 256, (n, 1, height, width), generator=torch.Generator().manual_seed(seed))
    return pixels.double()


MADE = grey_images(3, 4, 4, 0) / 127.5 - 1
KNOWN = torch.cat([grey_images(4, 4, 4, 1), (MADE[:1] + 1) * 127.5])  # with a copy of the first
# off the pixels' grid
LARGER = 2 * torch.rand(2, 1, 5, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64) - 1
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
        ("the fault is repaired, but you rounded `made` to whole pixels. A network's values lie between them, too: "
         "leave them.",
         lambda made, pixels: right(((made + 1) * 127.5).round() / 127.5 - 1, pixels)),
        ("the fault is repaired, but you cut `made` down to whole pixels (int, uint8). A network's values lie "
         "between them, "
         "too: leave them.", lambda made, pixels: right(((made + 1) * 127.5).floor() / 127.5 - 1, pixels)),
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
    "A": "A is right: you have seen it in Figure 3, where copies that were moved lie as far away as fresh digits.",
    "B": "B is right: of twelve pictures, none need be that one in a thousand, even if there is one.",
    "C": "C is right: a distance says nothing by itself. Figure 3 has the fresh digits for that reason.",
    "D": "D does not follow: each of the twelve could be a training photograph moved by a pixel. Pixel by pixel, such "
         "a copy is not near, as the left of Figure 3 shows.",
    "E": "E does not follow: pure noise is far away from all photographs, and so is a ruined picture.",
    "F": "F is right: what has been learned by heart is denoised better than what is new, and no picture need show it.",
}


@answers
def check_copies(attempt):
    require_letters(attempt(), "ABCF", REASONS)
    return "A, B, C and F. The picture in such a paper is an illustration; the evidence is in the losses."
