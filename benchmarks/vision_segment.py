"""Segmenting canvases: features of the U-Net under a linear classifier, beside raw patches and an untrained network.

    python benchmarks/vision_segment.py                   (minutes on one core; --quick: 10 canvases, writes nothing)
    python benchmarks/vision_segment.py --against train   (how time, layer, C, draws and tiles were chosen)

The classes are background, digit and clutter. With --against train, 40 canvases of training digits are read, for each
t and each layer, and the rows of the map are written; the other rows read 200 canvases of test digits, once. 1, 5 or 20
labelled canvases hold training digits; three draws of them. Writes diffusion_lab/results/vision_segment.json.

iou: of background, digit and clutter, over all pixels of all canvases together. mean: of the three. ink: of digit and
clutter. voted: the same after the pixels of each piece of connected ink have voted. One value for each draw of the
labelled canvases.
"""

import argparse
import time

import numpy as np
import torch
from scipy import ndimage
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from diffusion_lab.data.canvases import canvases
from diffusion_lab.evaluation.judge import load_judge
from diffusion_lab.networks.unet import UNet
from diffusion_lab.results import files as results
from diffusion_lab.theory.schedule import cosine
from diffusion_lab.vision.segmentation import LAYERS, features, fit_pixels, patches, pixel_iou, segment, voted
from diffusion_lab.weights.pretrained import load_network, read_facts

SCHEDULE = cosine()
TIME, CHOSEN, DRAWS = 300, ("middle", "coarse_up"), 4  # chosen on training digits, as is C
TIMES = (10, 50, 100, 200, 300, 450, 600)
SEEDS = (100, 101, 102)  # of the labelled canvases
VALIDATION, TEST = 200, 300  # seeds of the canvases that are read


def untrained(network, blocks_of_zeros=True):
    """A network of the same shape before its first step. Some of its layers begin at zero; or all are drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        fresh = UNet(**network.arguments).requires_grad_(False)
        if not blocks_of_zeros:
            for module in fresh.modules():
                if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
                    module.reset_parameters()
    return fresh


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def of_network(network, t=TIME, layers=CHOSEN, draws=DRAWS):
    def made(image, seed):
        generator = seeded(seed)
        return torch.cat([features(network, part, t, SCHEDULE, layers, draws, generator) for part in image.split(20)])

    return made


def of_tiles(network, t=TIME, layers=CHOSEN, draws=DRAWS):
    """The 14×14 pixels in the middle of tiles of 28×28, the size that the network was trained on."""

    def made(image, seed):
        n = len(image)
        padded = torch.nn.functional.pad(image, [7] * 4, value=-1)
        tiles = torch.nn.functional.unfold(padded, 28, stride=14).transpose(1, 2).reshape(-1, 1, 28, 28)
        inner = of_network(network, t, layers, draws)(tiles, seed)[:, :, 7:21, 7:21]
        return inner.reshape(n, 4, 4, -1, 14, 14).permute(0, 3, 1, 4, 2, 5).reshape(n, -1, 56, 56)

    return made


def of_judge(image, _):
    """What the convolutions of the judge see, which was trained to read digits."""
    with torch.no_grad():
        seen = torch.cat([JUDGE.convolutions(part) for part in image.split(20)])
    return torch.nn.functional.interpolate(seen, size=(56, 56), mode="bilinear")


JUDGE = load_judge()
NETWORK = load_network("mnist")
METHODS = {
    "patches 5": lambda image, _: patches(image, 5),
    "patches 9": lambda image, _: patches(image, 9),
    "patches 15": lambda image, _: patches(image, 15),
    "untrained": of_network(untrained(NETWORK)),
    "untrained, no zeros": of_network(untrained(NETWORK, blocks_of_zeros=False)),
    "judge": of_judge,
    "trained": of_network(NETWORK),
    "trained, tiles": of_tiles(NETWORK),
}


def scores(predicted, mask):
    """IoU of the classes, their mean, and that of digit and clutter."""
    each = pixel_iou(predicted, mask)
    return {"iou": each.tolist(), "mean": each.mean().item(), "ink": each[1:].mean().item()}


def together(found):
    """A list of dicts with the same names as one dict of lists."""
    return {name: [one[name] for one in found] for name in found[0]}


def measured(method, labelled, read, strength=0.001):
    """Yield (number of labelled canvases, scores, scores after the vote), for the three draws. read: Canvases."""
    of_read = method(read.image, 1)
    of_labelled = [method(made.image, 2 + i) for i, made in enumerate(labelled)]
    for n in (1, 5, 20):
        found, after = [], []
        for made, its in zip(labelled, of_labelled):
            classifier = fit_pixels(its[:n], made.image[:n], made.mask[:n], strength)
            predicted = segment(classifier, of_read, read.image)
            found.append(scores(predicted, read.mask))
            after.append(scores(voted(predicted), read.mask))
        yield n, together(found) | {"voted": together(after)}


def pieces(made):
    """Connected ink: its size, height, width, brightness and thickness (k, 5), its class, and a map of the pieces."""
    facts, kinds, maps = [], [], []
    for image, mask in zip(made.image[:, 0].numpy(), made.mask.numpy()):
        labels, n = ndimage.label(mask > 0, structure=np.ones((3, 3)))
        for i, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
            here = labels == i
            depth = ndimage.distance_transform_edt(here)[here].mean()
            facts.append([here.sum(), rows.stop - rows.start, columns.stop - columns.start, image[here].mean(), depth])
            kinds.append(np.bincount(mask[here]).argmax())
        maps.append(np.where(labels > 0, labels + len(facts) - n, 0))
    return np.array(facts), np.array(kinds), np.stack(maps)


def mean_of_pieces(found, maps):
    """Features (n, c, h, w) averaged over each piece: (k, c)."""
    total = np.zeros((maps.max() + 1, found.shape[1]))
    np.add.at(total, maps, found.movedim(1, -1).numpy())
    return (total / np.bincount(maps.flatten())[:, None])[1:]


def by_size(labelled, read, method=None, strength=1.0):
    """Each piece of connected ink is a digit or clutter by its size, which needs no network. Yields as `measured`.

    method: features that are averaged over the piece, and known, too.
    """
    facts, _, maps = pieces(read)
    facts = facts if method is None else np.hstack([facts, mean_of_pieces(method(read.image, 1), maps)])
    for n in (1, 5, 20):
        found = []
        for i, made in enumerate(labelled):
            some = type(made)(*(value[:n] for value in vars(made).values()))
            known, kinds, its = pieces(some)
            if method is not None:
                known = np.hstack([known, mean_of_pieces(method(some.image, 2 + i), its)])
            regression = LogisticRegression(C=strength, class_weight="balanced", max_iter=300)
            classifier = make_pipeline(StandardScaler(), regression)
            predicted = np.concatenate([[0], classifier.fit(known, kinds).predict(facts)])[maps]
            found.append(scores(torch.from_numpy(predicted), read.mask))
        yield n, {"voted": together(found)}


def chosen_on_training_digits(n):
    """Yield rows on canvases of training digits: the map of times and layers, then C, draws and tiles."""
    labelled, read = [canvases(5, seed) for seed in SEEDS], canvases(n, VALIDATION)

    def mean(method, strength=0.001):
        of_read = method(read.image, 1)
        found = []
        for i, made in enumerate(labelled):
            classifier = fit_pixels(method(made.image, 2 + i), made.image, made.mask, strength)
            found.append(scores(segment(classifier, of_read, read.image), read.mask))
        return together(found)

    for t in TIMES:
        for layer in LAYERS:
            yield {"task": "map", "t": t, "layer": layer, "canvases": n}, lambda t=t, layer=layer: mean(
                of_network(NETWORK, t, (layer,), 1))
    for layers in (("coarse_up",), ("attention", "coarse_up"), ("middle", "coarse_up"),
                   ("coarse_up", "fine_up"),
                   ("middle", "coarse_up", "fine_up")):
        yield {"task": "layers", "layers": "+".join(layers), "canvases": n}, lambda layers=layers: mean(
            of_network(NETWORK, TIME, layers))
    for draws in (1, 2, 4, 8):
        yield {"task": "draws", "draws": draws, "canvases": n}, lambda draws=draws: mean(
            of_network(NETWORK, draws=draws))
    for strength in (0.0001, 0.001, 0.01, 0.1):
        for name in ("patches 9", "patches 15", "untrained", "judge", "trained"):
            yield {"task": "C", "method": name, "C": strength, "canvases": n}, lambda name=name, C=strength: mean(
                METHODS[name], C)


def on_test_digits(n, only):
    """Yield (key, make) for each method, or one, and number of labelled canvases, on canvases of test digits."""
    labelled, read = [canvases(20, seed) for seed in SEEDS], canvases(n, TEST, split="test")
    ways = {name: measured(method, labelled, read) for name, method in METHODS.items()}
    ways["pieces by size"] = by_size(labelled, read)
    ways["pieces by size and features"] = by_size(labelled, read, METHODS["trained"], 0.1)
    for name, way in ways.items():
        if only not in (None, name):
            continue
        for labels in (1, 5, 20):
            yield {"task": "segment", "method": name, "labels": labels, "canvases": n}, lambda way=way: next(way)[1]


def line(found):
    """The means over the draws of the labelled canvases, with their spread, for the log."""
    said = [f"{name} {np.mean(found[name]):.3f} ± {np.std(found[name], ddof=1):.3f}" for name in ("mean", "ink")
            if name in found]
    return ", ".join([*said, *(f"voted: {line(found['voted'])}" for _ in range("voted" in found))])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", choices=("train", "test"), default="test", help="which digits")
    parser.add_argument("--method", help="only this one, such as 'pieces by size'")
    parser.add_argument("--quick", action="store_true", help="10 canvases; writes nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    facts = {"command": "python benchmarks/vision_segment.py", "weights": read_facts("mnist")["sha256"],
             "t": TIME, "layers": list(CHOSEN), "draws": DRAWS, "machine": "one core of a two-core machine", "rows": []}
    if (results.HERE / "vision_segment.json").exists() and not arguments.quick:
        before = results.read("vision_segment")
        facts["rows"] = before["rows"] if before["weights"] == facts["weights"] else []
    if arguments.against == "train":
        made = chosen_on_training_digits(10 if arguments.quick else 40)
    else:
        made = on_test_digits(10 if arguments.quick else 200, arguments.method)
    for key, make in made:
        begin = time.process_time()
        row = key | make() | {"seconds": time.process_time() - begin}
        facts["rows"] = [other for other in facts["rows"] if {name: other.get(name) for name in key} != key] + [row]
        print(key, line(row), flush=True)
        if not arguments.quick:
            results.write("vision_segment", facts)


if __name__ == "__main__":
    main()
