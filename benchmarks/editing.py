"""Editing digits: SDEdit, there and back, walks, style on request, handwriting and print, beside pixel operations.

    python benchmarks/editing.py                   (an hour on a busy core; --quick: 20 digits, writes nothing)
    python benchmarks/editing.py --against train   (how strength was chosen; writes nothing)

Test digits, as many of each kind, once; printed ones are in fonts that no training digit has. What has a parameter was
chosen on training digits. Writes diffusion_lab/results/editing.json after every row; a row that is there for these
weights is not made again. Every row names its digits and seed.

read_first, read_second: the share that a judge reads as the digit that it was. printed: the share that a judge of fonts
calls printed; it is trained here, on training digits, handwritten and printed. first, second: Fréchet distance in the
features of a judge to real digits of the kind that was asked for, as a multiple of that of as many other real ones.
away: mean absolute difference from the input, of pixels from -1 to 1. hit: in the third that was asked for. other_move:
mean absolute change of the other attribute, as a multiple of its standard deviation within a digit.
"""

import argparse
import time
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import grey_dilation, grey_erosion

from diffusion_lab.data.augment import shifted
from diffusion_lab.data.digits import load_digits
from diffusion_lab.data.printed import load_printed
from diffusion_lab.evaluation.distances import distance_to_test, floor_distance, label_accuracy
from diffusion_lab.evaluation.judge import fit_classifier, load_judge, read_digits
from diffusion_lab.evaluation.second_judge import load_second_judge
from diffusion_lab.evaluation.strokes import edges, slant, thickness, third
from diffusion_lab.networks.styled import both
from diffusion_lab.results import files as results
from diffusion_lab.sampling.chain import last, spaced_in_log_snr
from diffusion_lab.sampling.ddim import ddim
from diffusion_lab.sampling.denoiser import clipped
from diffusion_lab.sampling.editing import invert, sdedit, slerp
from diffusion_lab.sampling.guidance import guided
from diffusion_lab.theory.parameterization import eps_from_x_0
from diffusion_lab.weights.pretrained import load_pretrained, read_facts

PRINTED = 9  # the style
STEPS = 20
REPEATS = 2
WEIGHT = 2.0  # of guidance on the way back, chosen on training digits; on the way there it would break the inversion
BATCH = 100
JUDGES = {"first": load_judge(), "second": load_second_judge()}
TRAIN, TRAIN_LABELS = load_digits("train")
MEASURES = {"thickness": thickness, "slant": slant}


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def noise(x, seed):
    return torch.randn(x.shape, generator=seeded(seed))


def some(images, labels, n):
    """n digits, as many of each kind."""
    index = torch.cat([(labels == kind).nonzero()[:n // 10, 0] for kind in range(10)])
    return images[index], labels[index]


def read(images, labels):
    return {f"read_{name}": label_accuracy(judge, images, labels) for name, judge in JUDGES.items()}


def away(images, others):
    return (images.clamp(-1, 1) - others).abs().mean().item()


def times_floor(images, real, others):
    """Both judges' distances to real images, over that of as many other real ones. others: a pair."""
    found = {}
    for name, judge in JUDGES.items():
        floor, _ = floor_distance(judge, others, real, len(images))
        found[name] = distance_to_test(images, judge, real) / floor
    return found


def in_batches(function, *tensors):
    """function of a batch of each tensor, put together again."""
    return torch.cat([function(*batch) for batch in zip(*(tensor.split(BATCH) for tensor in tensors))])


# SDEdit: printed digits, made to look handwritten by a network that knows only handwriting.

def printed_by_sdedit(t_star, seed, n):
    x_0, labels = some(*load_printed("test"), n)
    denoiser = load_pretrained("mnist")
    timesteps = [t_star] + [t for t in spaced_in_log_snr(denoiser.schedule, STEPS).tolist() if t < t_star]
    fresh = seeded(seed)
    images = in_batches(lambda x: last(sdedit(denoiser, x, timesteps, generator=fresh)), x_0)
    images = images.clamp(-1, 1)
    half = [(TRAIN[k::2], TRAIN_LABELS[k::2]) for k in (0, 1)]
    return read(images, labels) | {"away": away(images, x_0)} | times_floor(images, half[0][0], half[1])


# There and back.

def there_and_back(x_0, labels, there, back, steps, repeats, grain):
    """there, back: from the denoiser to what is asked on either way."""
    denoiser = load_pretrained("mnist")
    timesteps = spaced_in_log_snr(denoiser.schedule, steps)
    *_, first = invert(there(denoiser), x_0, timesteps, labels, repeats, noise(x_0, 1) if grain else None)
    again = last(ddim(back(denoiser), first.x_t, timesteps, label=labels))
    return {"away": away(again, x_0), "noise_std": first.x_t.std().item()} | read(again.clamp(-1, 1), labels)


def relabelled(x_0, labels, grain):
    """The noise of a digit, walked back under the next digit's label: is it noise of which anything can be made?"""
    denoiser = load_pretrained("mnist")
    timesteps = spaced_in_log_snr(denoiser.schedule, STEPS)
    *_, first = invert(denoiser, x_0, timesteps, labels, REPEATS, noise(x_0, 1) if grain else None)
    other = last(ddim(denoiser, first.x_t, timesteps, label=(labels + 1) % 10)).clamp(-1, 1)
    return {"noise_std": first.x_t.std().item()} | read(other, (labels + 1) % 10)


def as_it_is(denoiser):
    return denoiser


WAYS = {  # name: (there, back, steps, repeats, grain)
    **{f"{steps} steps": (as_it_is, as_it_is, steps, 1, False) for steps in (25, 50, 100)},
    **{f"50 steps, {repeats} repeats": (as_it_is, as_it_is, 50, repeats, False) for repeats in (2, 4)},
    "50 steps, grain": (as_it_is, as_it_is, 50, 1, True),
    "50 steps, 2 repeats, grain": (as_it_is, as_it_is, 50, 2, True),
    "50 steps, guided both ways": (partial(guided, guidance_weight=2.0),) * 2 + (50, 1, False),
    "50 steps, guided back": (as_it_is, partial(guided, guidance_weight=2.0), 50, 1, False),
    "50 steps, clipped": (clipped, clipped, 50, 1, False),
    "50 steps, 4 repeats, clipped": (clipped, clipped, 50, 4, False),
}


# Walks: half-way between the noises of two digits of a kind.

def halfway(x_0, labels, along):
    denoiser = load_pretrained("mnist")
    timesteps = spaced_in_log_snr(denoiser.schedule, STEPS)

    def inverted(x, label, grain):
        return list(invert(denoiser, x, timesteps, label, REPEATS, grain))[-1].x_t

    x_T = in_batches(inverted, x_0, labels, noise(x_0, 1))
    a, b, labels = x_T[::2], x_T[1::2], labels[::2]
    middle = along(a, b)
    images = in_batches(lambda x, label: last(ddim(denoiser, x, timesteps, label=label)), middle, labels).clamp(-1, 1)
    half = [(TRAIN[k::2], TRAIN_LABELS[k::2]) for k in (0, 1)]
    ink = ((images + 1) / 2).mean() / ((x_0 + 1) / 2).mean()
    return read(images, labels) | {"noise_var": middle.var().item(), "ink": ink.item()} | times_floor(
        images, half[0][0], half[1])


# Style.

class Styles:
    """Thirds of thickness and slant, as the training digits have them, and the middle of each third."""

    def __init__(self):
        self.values = {name: measure(TRAIN) for name, measure in MEASURES.items()}
        self.edges = {name: edges(values, TRAIN_LABELS) for name, values in self.values.items()}
        self.thirds = {name: third(values, TRAIN_LABELS, self.edges[name]) for name, values in self.values.items()}
        self.middle = {}
        self.std = {}
        for name, values in self.values.items():
            kinds = [TRAIN_LABELS.eq(kind) for kind in range(10)]
            self.middle[name] = torch.tensor([[values[kind & (self.thirds[name] == k)].median() for k in range(3)]
                                               for kind in kinds])
            self.std[name] = torch.stack([values[kind].var() for kind in kinds]).mean().sqrt()

    def of(self, images, labels):
        return {name: third(measure(images), labels, self.edges[name]) for name, measure in MEASURES.items()}


def style_of(thirds):
    return 3 * thirds["thickness"] + thirds["slant"]


def noise_of(x_0, labels, style, grain=1, steps=STEPS):
    """The noise of digits in their styles, int64 (n,). grain: ε itself, or its seed; None is none."""
    denoiser = load_pretrained("style")
    timesteps = spaced_in_log_snr(denoiser.schedule, steps)

    def inverted(x, label, grain):
        return list(invert(denoiser, x, timesteps, label, REPEATS, grain))[-1].x_t

    if grain is None:
        return in_batches(partial(inverted, grain=None), x_0, both(labels, style))
    return in_batches(inverted, x_0, both(labels, style), noise(x_0, grain) if type(grain) is int else grain)


def drawn(x_T, labels, style, weight=WEIGHT, steps=STEPS):
    """From noise to digits in styles, guided by a weight, not clamped."""
    denoiser = guided(load_pretrained("style"), weight)  # which asks once where the weight is 0
    timesteps = spaced_in_log_snr(denoiser.schedule, steps)

    def back(x, label):
        return last(ddim(denoiser, x, timesteps, label=label))

    return in_batches(back, x_T, both(labels, style))


def sheared(images, by):
    """Each image sheared about its middle, by pixels to the right for each pixel up."""
    one, zero = torch.ones_like(by), torch.zeros_like(by)
    rows = torch.stack([one, by, zero, zero, one, zero], dim=1).float().reshape(-1, 2, 3)
    return F.grid_sample(images + 1, F.affine_grid(rows, images.shape, align_corners=False), align_corners=False) - 1


def grown(image, radius):
    """Ink dilated by a disk of radius/4 pixels, or eroded where that is negative. image: float32 (28, 28)."""
    large = F.interpolate(image[None, None], scale_factor=4, mode="bilinear")[0, 0].numpy()
    place = np.arange(-abs(radius), abs(radius) + 1)
    disk = place[:, None] ** 2 + place**2 <= radius**2
    change = grey_dilation if radius > 0 else grey_erosion
    return F.avg_pool2d(torch.from_numpy(change(large, footprint=disk))[None], 4)


def with_thickness(images, wanted):
    """Each image dilated or eroded until it is as thick as wanted, as nearly as radii in quarters of a pixel allow."""
    tried = []
    for radius in range(-5, 7):
        tried.append(images if radius == 0 else torch.stack([grown(image[0], radius) for image in images]))
    tried = [torch.where(one.amax(dim=(1, 2, 3), keepdim=True) > -0.5, one, images) for one in tried]  # not eroded away
    apart = torch.stack([(thickness(one) - wanted).abs() for one in tried])
    return torch.stack(tried)[apart.argmin(dim=0), torch.arange(len(images))]


def by_pixels(x_0, labels, name, asked, styles):
    wanted = styles.middle[name][labels, asked]
    return sheared(x_0, wanted - slant(x_0)) if name == "slant" else with_thickness(x_0, wanted)


def measured_style(images, x_0, labels, name, asked, styles):
    """How far what was asked for is there, and what else has changed."""
    other = "slant" if name == "thickness" else "thickness"
    got = MEASURES[name](images)
    move = (MEASURES[other](images) - MEASURES[other](x_0)) / styles.std[other]
    found = {"hit": (third(got, labels, styles.edges[name]) == asked).double().mean().item(),
             "off": ((got - styles.middle[name][labels, asked]).abs() / styles.std[name]).mean().item(),
             "other_move": move.abs().mean().item(), "other_shift": move.mean().item()}
    like = styles.thirds[name] == asked[0]
    half = [(TRAIN[like][k::2], TRAIN_LABELS[like][k::2]) for k in (0, 1)]
    return found | read(images, labels) | times_floor(images, half[0][0], half[1])


def on_request(x_0, labels, name, styles, change):
    """Yield (asked, images) for each third, and last the correlation of what was asked for with what came."""
    asked_values, got_values = [], []
    for k in range(3):
        asked = torch.full_like(labels, k)
        images = change(x_0, labels, name, asked)
        centre = styles.middle[name][labels].mean(dim=1)
        asked_values.append(styles.middle[name][labels, asked] - centre)
        got_values.append(MEASURES[name](images) - centre)
        yield k, measured_style(images, x_0, labels, name, asked, styles)
    pair = torch.stack([torch.cat(asked_values), torch.cat(got_values)])
    yield "all", {"correlation": torch.corrcoef(pair)[0, 1].item()}


def network_on_request(x_0, labels, styles, weight=WEIGHT):
    """A change on request, of these digits, whose noise is found once."""
    source = styles.of(x_0, labels)
    x_T = noise_of(x_0, labels, style_of(source))
    return lambda x_0, labels, name, asked: drawn(x_T, labels, style_of(source | {name: asked}), weight).clamp(-1, 1)


def own_grain(x_T, labels, style, steps):
    """The noise that the last step of `drawn` takes away: a picture does not show it, but its inverse needs it."""
    denoiser = load_pretrained("style")
    timesteps = spaced_in_log_snr(denoiser.schedule, steps)

    def grain(x, label):
        *_, step = ddim(denoiser, x, timesteps, label=label)
        return eps_from_x_0(step.x_t, step.x_s, step.t, denoiser.schedule)

    return in_batches(grain, x_T, both(labels, style))


# Pairs with a right answer: a change by pixels, to be undone.

def psnr(images, truth):
    return (10 * torch.log10(4 / (images.clamp(-1, 1) - truth).square().mean())).item()


def undone(x_0, labels, name, method, styles):
    """A test digit is changed by pixels; the right answer is the digit as it was written."""
    if name == "slant":
        changed = sheared(x_0, torch.full((len(x_0),), 0.4))
    else:
        changed = torch.stack([grown(image[0], 3) for image in x_0])
    was, now = styles.of(x_0, labels), styles.of(changed, labels)
    if method == "network":
        images = drawn(noise_of(changed, labels, style_of(now)), labels, style_of(now | {name: was[name]}))
        images = images.clamp(-1, 1)
    elif method == "as it is":
        images = changed
    elif method == "pixels, told the third":
        images = by_pixels(changed, labels, name, was[name], styles)
    else:  # told the amount
        images = sheared(changed, torch.full((len(x_0),), -0.4)) if name == "slant" else torch.stack(
            [grown(image[0], -3) for image in changed])
    return {"psnr": psnr(images, x_0)} | read(images, labels) | times_floor(
        images, TRAIN[::2], (TRAIN[1::2], TRAIN_LABELS[1::2]))


# Handwriting and print.

@torch.enable_grad()
def font_judge():
    """1 for printed, 0 for handwritten; trained on training digits of both, moved by whole pixels."""
    printed, _ = load_printed("train")
    kinds = torch.cat([torch.zeros(len(TRAIN)), torch.ones(len(printed))]).long()
    return fit_classifier(torch.cat([TRAIN, printed]), kinds, 2, seeded(0), change=partial(shifted, most=2))


def between(domain, judge, styles, n, method, seed):
    """domain: to which; the other is where the digits come from. Handwriting is asked for in the styles it has."""
    to_print = domain == "print"
    x_0, labels = some(*(load_digits("test") if to_print else load_printed("test")), n)
    printed_style = torch.full_like(labels, PRINTED)
    written_style = style_of(styles.of(x_0, labels))  # thickness and slant of print, too, have a third
    source, target = (written_style, printed_style) if to_print else (printed_style, written_style)
    if method == "as it is":
        images = x_0
    elif "there and back" in method:
        x_T = noise_of(x_0, labels, source, seed, 50)
        there = drawn(x_T, labels, target, 0.0, 50)
        grain = {"there and back": own_grain(x_T, labels, target, 50), "there and back, no grain": None,
                 "there and back, new grain": seed + 100}[method]
        images = drawn(noise_of(there, labels, target, grain, 50), labels, source, 0.0, 50).clamp(-1, 1)
        return {"away": away(images, x_0)} | read(images, labels)
    else:
        weight = 0.0 if "weight 0" in method else WEIGHT
        x_T = noise_of(x_0, labels, source, None if "no grain" in method else seed)
        images = drawn(x_T, labels, target, weight).clamp(-1, 1)
    real, names = load_printed("train") if to_print else (TRAIN, TRAIN_LABELS)
    order = torch.randperm(len(real), generator=seeded(0))
    half = [(real[index], names[index]) for index in (order[::2], order[1::2])]
    return {"printed": (read_digits(judge, images) == 1).double().mean().item(), "away": away(images, x_0)} | read(
        images, labels) | times_floor(images, half[0][0], half[1])


# The table.

def rows(n):
    """Yield (key, make), where make() gives what is measured."""
    test = load_digits("test")
    few = some(*test, max(10, n // 4 // 10 * 10))
    for name, way in WAYS.items():
        key = {"task": "there and back", "method": name, "digits": len(few[0])}
        yield key, partial(there_and_back, *few, *way)
    for grain in (False, True):
        key = {"task": "relabelled", "method": "grain" if grain else "no grain", "digits": len(few[0])}
        yield key, partial(relabelled, *few, grain)
    for name, along in {"arc": lambda a, b: slerp(a, b, 0.5), "straight line": lambda a, b: (a + b) / 2}.items():
        yield {"task": "half-way", "method": name, "digits": n}, partial(halfway, *some(*test, n), along)
    for t_star in (300, 500, 600, 700, 800, 900):
        for seed in range(3):
            key = {"task": "sdedit", "method": t_star, "digits": n, "seed": seed}
            yield key, partial(printed_by_sdedit, t_star, seed, n)


def styled_rows(n):
    test, styles, judge = load_digits("test"), Styles(), font_judge()
    few = max(10, n // 2 // 10 * 10)
    for domain in ("print", "handwriting"):
        for method in ("as it is", "bridge", "there and back", "there and back, no grain", "there and back, new grain",
                       "bridge, weight 0", "bridge, no grain"):
            many = n if method in ("as it is", "bridge") else few
            many = max(10, n // 4 // 10 * 10) if "there and back" in method else many
            key = {"task": f"to {domain}", "method": method, "digits": many, "seed": 1}
            yield key, partial(between, domain, judge, styles, many, method, 1)
    chosen = some(*test, n)
    changes = {"pixels": partial(by_pixels, styles=styles)}
    for weight in (WEIGHT, WEIGHT / 2):
        changes[f"weight {weight:g}"] = network_on_request(*chosen, styles, weight)
    for method, change in changes.items():
        for name in MEASURES:
            key = {"task": name, "method": method, "digits": n}
            yield key, lambda name=name, change=change: {
                str(k): found for k, found in on_request(*chosen, name, styles, change)}
    for name in MEASURES:
        for method in ("as it is", "pixels, told the third", "pixels, told the amount", "network"):
            key = {"task": f"{name} undone", "method": method, "digits": few}
            yield key, partial(undone, *some(*test, few), name, method, styles)
    for domain in ("print", "handwriting"):
        for seed in (2, 3):
            key = {"task": f"to {domain}", "method": "bridge", "digits": n, "seed": seed}
            yield key, partial(between, domain, judge, styles, n, "bridge", seed)


def on_training_digits(n=60):
    """Training digits by several weights of the style: what STYLE_WEIGHT is chosen by."""
    styles, chosen = Styles(), some(TRAIN, TRAIN_LABELS, n)
    for weight in (0.0, 1.0, 2.0):
        change = network_on_request(*chosen, styles, weight)
        for name in MEASURES:
            for k, found in on_request(*chosen, name, styles, change):
                print(f"weight {weight}, {name} {k}", line(found), flush=True)


def line(found):
    return " ".join(f"{name} {value:.3g}" if isinstance(value, float) else f"{name}: {line(value)};"
                    for name, value in found.items())


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", choices=("train", "test"), default="test", help="which digits")
    parser.add_argument("--part", choices=("mnist", "style"), help="only what asks these weights")
    parser.add_argument("--quick", action="store_true", help="20 digits; writes nothing")
    arguments = parser.parse_args()
    if arguments.against == "train":
        return on_training_digits()
    weights = {"weights": read_facts("mnist")["sha256"], "style": read_facts("style")["sha256"]}
    facts = {"command": "python benchmarks/editing.py", **weights, "steps": STEPS, "repeats": REPEATS,
             "weight": WEIGHT, "machine": "one core of a two-core machine with AVX-512", "rows": []}
    if (results.HERE / "editing.json").exists():
        before = results.read("editing")
        if {name: before[name] for name in weights} == weights:
            facts = before
    n = 20 if arguments.quick else 200
    made = {"mnist": rows, "style": styled_rows}
    for part in [arguments.part] if arguments.part else made:
        for key, make in made[part](n):
            done = [row for row in facts["rows"] if {name: row.get(name) for name in key} == key]
            if done and not arguments.quick:
                continue
            begin = time.process_time()
            row = key | make()
            row["seconds"] = time.process_time() - begin
            facts["rows"].append(row)
            if not arguments.quick:
                results.write("editing", facts)
            print(key, line({name: value for name, value in row.items() if name not in key}), flush=True)
    return None


if __name__ == "__main__":
    main()
