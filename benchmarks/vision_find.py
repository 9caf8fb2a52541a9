"""Finding digits by boxes that walk from noise, beside connected components and one step from proposals.

    python benchmarks/vision_find.py --train           (makes the weights "find": four minutes of one quiet core)
    python benchmarks/vision_find.py --against train   (how T_STAR was chosen; writes nothing)
    python benchmarks/vision_find.py                   (two minutes)

The last writes diffusion_lab/results/vision_find.json: 200 canvases of test digits, with clutter and without, looked at
once. What has a parameter was chosen on canvases of training digits that the network was not trained with.

ap50, ap75: average precision, where a box is right from an IoU of 0.5 or 0.75 on. recall: the share of the digits that
some box found, at IoU 0.5; extra: boxes with a score of at least 0.5 that are not right, per canvas. hit, due: the
share of the digits onto which at least one of m boxes walked, and 1 - (1 - 1/K)^m, what equal shares give. arrived: the
share of the boxes that walked onto a digit. error: root mean square distance of a centre from that of the exact answer,
in pixels; size_error: of the size; spread: of a centre from the middle of all.
"""

import argparse
import time
from functools import partial

import numpy as np
import torch
from tqdm import tqdm

from diffusion_lab.data.canvases import Canvases, box_of, canvases, cropped, paste
from diffusion_lab.data.digits import load_digits
from diffusion_lab.networks.boxes import BoxNetwork
from diffusion_lab.results import files as results
from diffusion_lab.sampling.chain import spaced
from diffusion_lab.theory.forward import q_sample
from diffusion_lab.theory.schedule import cosine
from diffusion_lab.training.batches import batch_at
from diffusion_lab.training.loop import start, train
from diffusion_lab.training.recipe import Recipe
from diffusion_lab.vision.detection import (
    RIGHT,
    SPREAD,
    alone,
    answers,
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
    walked,
)
from diffusion_lab.weights.pretrained import HERE, load_network, read_facts, save_weights

RECIPE = Recipe(steps=3000, batch=16, width=16, warm_up=50)
MADE = 6000  # canvases for training
TRAIN_SEED, CHOICE_SEED, TEST_SEED = 1, 2, 0
SCHEDULE = cosine()
T_STAR = {"random": 300, "grid": 100}  # what one step from proposals is told, chosen on training digits


def seeded(seed):
    return torch.Generator().manual_seed(seed)


# The network.

def states_of(made):
    """States of the true boxes, (n, k, 4), and whether there is one, bool (n, k)."""
    there = torch.arange(made.box.shape[1]) < made.count[:, None]
    return as_states(made.box).masked_fill(~there[..., None], 0), there


def training_batches():
    made = canvases(MADE, TRAIN_SEED)
    truth, there = states_of(made)

    def batch(step):
        index = batch_at(step, MADE, RECIPE)
        return made.image[index], truth[index], there[index]

    return batch


def train_finder():
    """Train by the course's loop, and write weights/find."""
    run = start(RECIPE, partial(BoxNetwork, RECIPE.width), data="canvases", predicts="x_0")
    losses = []
    steps = train(run, training_batches(), partial(detection_loss, schedule=SCHEDULE, boxes=16))
    for step in tqdm(steps, total=RECIPE.steps, mininterval=20):
        losses.append(step.loss)
        if step.step % 250 == 0:
            tqdm.write(f"{step.step} loss {sum(losses[-250:]) / 250:.4f}")
    save_weights(HERE / "find", run)


# Ways to find digits: each takes the network and images (n, 1, 56, 56), and gives a list of pairs (box, score).

def by_components(network, images):
    return [components(image) for image in images]


@torch.no_grad()
def by_scored_components(network, images):
    """All components of any size; the network says which are digits, and moves none."""
    found = []
    for image in images:
        box, _ = components(image, 0, 56)
        if len(box) == 0:  # nothing to score
            found.append((box, box[:, 0]))
            continue
        _, logit = answers(network, network.look(image[None]), as_states(box)[None], torch.tensor([1]), SCHEDULE)
        found.append((box, logit[0].sigmoid()))
    return found


@torch.no_grad()
def by_one_step(network, images, proposals, t):
    """One answer to proposals, states (m, 4) or (n, m, 4), as if they were noisy boxes at t; and a look at t = 1."""
    features = network.look(images)
    x_t = proposals.expand(len(images), -1, -1)
    x_0_hat = finder(network, features, SCHEDULE)(x_t, t)
    x_0_hat, logit = answers(network, features, x_0_hat, torch.ones(len(images), dtype=torch.int64), SCHEDULE)
    found = []
    for box, score in zip(as_boxes(x_0_hat), logit.sigmoid()):
        kept = alone(box, score)
        found.append((box[kept], score[kept]))
    return found


def grid(side=7):
    """Fixed proposals: side × side boxes of the usual size, evenly over the canvas. States (side², 4)."""
    centre = (torch.arange(side) + 0.5) * 56 / side
    y, x = torch.meshgrid(centre, centre, indexing="ij")
    centre = torch.stack([x, y], dim=-1).reshape(-1, 2)
    half = torch.tensor([7.5, 9.5])
    return as_states(torch.cat([centre - half, centre + half], dim=1))


def random_proposals(network, images, boxes, t):
    return by_one_step(network, images, torch.randn(len(images), boxes, 4, generator=seeded(3)), t)


def by_walking(network, images, boxes, steps, seed=3):
    return detect(network, images, SCHEDULE, boxes, spaced(SCHEDULE.T, steps), seeded(seed))


# Scores.

def scored(found, made):
    truth = [box[:count] for box, count in zip(made.box, made.count)]
    total = int(made.count.sum())
    right, score = judged(found, truth)
    strict, _ = judged(found, truth, 0.75)
    return {"ap50": average_precision(right, total), "ap75": average_precision(strict, total),
            "recall": right.sum().item() / total,
            "extra": (~right & (score >= 0.5)).sum().item() / len(found)}


@torch.no_grad()
def hits(network, made, boxes, seed=3):
    """The share of the digits that some box walked onto; all canvases have equally many digits."""
    box, _ = walked(network, made.image, SCHEDULE, boxes, generator=seeded(seed))
    k = int(made.count[0])
    hit = iou(box, made.box[:, :k]) >= RIGHT
    return {"hit": hit.any(dim=1).double().mean().item(), "due": 1 - (1 - 1 / k) ** boxes,
            "arrived": hit.any(dim=2).double().mean().item()}


@torch.no_grad()
def error_at(network, made, t, seed=3):
    """How far the network's answer is from the exact one, for true boxes under noise."""
    truth, there = states_of(made)
    which = torch.multinomial(there.float(), 16, replacement=True, generator=seeded(seed))
    x_0 = truth.gather(1, which[..., None].expand(-1, -1, 4))
    x_t = q_sample(x_0, t, torch.randn(x_0.shape, generator=seeded(seed + 1)), SCHEDULE)
    apart = finder(network, network.look(made.image), SCHEDULE)(x_t, t) - exact_boxes(x_t, t, truth, there, SCHEDULE)
    centre, size = ((apart * SPREAD).square().mean(dim=(0, 1)).split(2))
    return {"error": centre.sum().sqrt().item(), "size_error": size.sum().sqrt().item(),
            "spread": (x_0 * SPREAD)[..., :2].square().sum(dim=-1).mean().sqrt().item()}


def crowded(n, number, seed):
    """n canvases of test digits without clutter, and with more digits than `canvases` puts on one."""
    ink = (load_digits("test")[0][:, 0].numpy() + 1) / 2
    rng = np.random.default_rng(seed)
    image, mask = np.zeros((n, 56, 56), np.float32), np.zeros((n, 56, 56), np.int64)
    box = np.zeros((n, number, 4), np.float32)
    for i in range(n):
        placed = []
        while len(placed) < number:  # digits in turn, each where there is room; after 200 vain trials anew
            crop = cropped(ink[rng.integers(len(ink))])
            for _ in range(200):
                y, x = rng.integers(0, 57 - np.array(crop.shape))
                new = (y - 1, x - 1, y + crop.shape[0] + 1, x + crop.shape[1] + 1)
                if all(new[2] <= a[0] or a[2] <= new[0] or new[3] <= a[1] or a[3] <= new[1] for _, a in placed):
                    placed.append((crop, (y, x, y + crop.shape[0], x + crop.shape[1])))
                    break
            else:
                placed = []
        for j, (crop, place) in enumerate(placed):
            paste(crop, place[:2], image[i], mask[i], 1)
            box[i, j] = box_of(crop, place[:2])
    return Canvases(torch.from_numpy(2 * image - 1).unsqueeze(1), torch.from_numpy(mask), torch.from_numpy(box),
                    torch.full((n,), number), torch.zeros((n, number), dtype=torch.int64))


# The table.

def rows(n):
    """Yield (key, make), where make(network) gives what is measured."""
    made = {clutter: canvases(n, TEST_SEED, clutter=clutter, split="test") for clutter in (True, False)}
    ways = {"components": by_components, "components, scored by the network": by_scored_components}
    for boxes in (24, 96):
        ways[f"one step, {boxes} random proposals"] = partial(random_proposals, boxes=boxes, t=T_STAR["random"])
    ways["one step, 49 proposals on a grid"] = partial(by_one_step, proposals=grid(), t=T_STAR["grid"])
    for clutter, some in made.items():
        for name, way in ways.items():
            key = {"task": "found", "method": name, "clutter": clutter, "canvases": n}
            yield key, lambda network, way=way, some=some: scored(way(network, some.image), some)
        for boxes, steps, seed in [(24, steps, 3) for steps in (1, 2, 4, 8, 16)] + [
                (8, 8, 3), (16, 8, 3), (48, 8, 3), (96, 8, 3), (96, 2, 3), (96, 4, 3), (24, 8, 4), (24, 8, 5)]:
            key = {"task": "found", "method": "walk", "boxes": boxes, "steps": steps, "seed": seed,
                   "clutter": clutter, "canvases": n}
            yield key, lambda network, boxes=boxes, steps=steps, seed=seed, some=some: scored(
                by_walking(network, some.image, boxes, steps, seed), some)
    four = {clutter: canvases(n // 2, TEST_SEED + 100, (4, 4), clutter, "test") for clutter in (True, False)}
    for clutter, some in four.items():
        for boxes in (1, 2, 4, 8, 16, 24, 32, 64):
            key = {"task": "shares", "boxes": boxes, "clutter": clutter, "canvases": n // 2}
            yield key, lambda network, boxes=boxes, some=some: hits(network, some, boxes)
    for t in (50, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000):
        yield {"task": "error", "t": t, "canvases": n}, lambda network, t=t: error_at(network, made[True], t)
    for number in (5, 6):
        some = crowded(n // 2, number, TEST_SEED)
        for name, way in {"components": by_components, "walk, 24 boxes": partial(by_walking, boxes=24, steps=8),
                          "walk, 96 boxes": partial(by_walking, boxes=96, steps=8)}.items():
            yield {"task": "crowded", "digits": number, "method": name, "canvases": n // 2}, (
                lambda network, way=way, some=some: scored(way(network, some.image), some))


def on_training_digits(n=150):
    """T_STAR, and what walks give, on canvases of training digits."""
    network, made = load_network("find"), canvases(n, CHOICE_SEED)
    for name, way in {"components": by_components, "scored": by_scored_components,
                      "walk 24 boxes 8 steps": partial(by_walking, boxes=24, steps=8)}.items():
        print(name, line(scored(way(network, made.image), made)), flush=True)
    for t in (50, 100, 200, 300, 400, 500, 600):
        print("one step, t =", t, "random", line(scored(random_proposals(network, made.image, 24, t), made)),
              "grid", line(scored(by_one_step(network, made.image, grid(), t), made)), flush=True)


def line(found):
    return " ".join(f"{name} {value:.3f}" for name, value in found.items())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", action="store_true", help="make the weights")
    parser.add_argument("--against", choices=("train", "test"), default="test", help="which digits")
    parser.add_argument("--quick", action="store_true", help="20 canvases; writes nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.train:
        return train_finder()
    if arguments.against == "train":
        return on_training_digits()
    network = load_network("find")
    facts = {"command": "python benchmarks/vision_find.py", "weights": read_facts("find")["sha256"], "t_star": T_STAR,
             "machine": "one core of a two-core machine with AVX-512", "rows": []}
    for key, make in rows(20 if arguments.quick else 200):
        begin = time.process_time()
        found = make(network)
        facts["rows"].append(key | found | {"seconds": round(time.process_time() - begin, 2)})
        print(key, line(found), flush=True)
    if not arguments.quick:
        results.write("vision_find", facts)
    return None


if __name__ == "__main__":
    main()
