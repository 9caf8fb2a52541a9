"""Reading digits with the denoiser that draws them, clean and under noise, beside classifiers.

    python benchmarks/vision_read.py              (twenty minutes on one core; --quick: 20 digits, writes nothing)
    python benchmarks/vision_read.py --against train   (what times and weights were chosen by)

Times were chosen on training digits, and so was a first weight, that of the error of ε. But the denoiser was trained on
these digits. So the second and final weight was chosen on training digits that had been turned, stretched and shifted.
There the error of v reads as well as any, also when times of little noise come in. That was after a look at the test
digits with all four weights; all four are printed. Writes diffusion_lab/results/vision_read.json after every part; a
part that is there for these weights is not made again.

read: the share that is read rightly. error: its standard error. evaluations: of the denoiser, for each digit. Plans see
the same noise, so that differences between them are not those of luck; an evaluation that two plans share is made once.
"""

import argparse
import time

import torch
from sklearn.svm import SVC

from diffusion_lab.data.augment import augmented, shifted
from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation.judge import fit_classifier, load_judge
from diffusion_lab.evaluation.second_judge import held_back, load_second_judge
from diffusion_lab.results import files as results
from diffusion_lab.theory.denoiser import Denoiser
from diffusion_lab.vision.reading import label_errors, read, two_looks
from diffusion_lab.weights.pretrained import load_pretrained, read_facts

BATCH = 50
STD = 1.0
UNDER_NOISE = 300  # digits, as many of each kind
DENOISER = load_pretrained("mnist")
SCHEDULE = DENOISER.schedule
TRAIN, TRAIN_LABELS = load_digits("train")
PLANS = {  # (how many labels race, times); each time is asked at ε and at -ε
    20: [(10, [850])],
    48: [(10, [850]), (4, [700, 600, 800]), (2, [500])],
    88: [(10, [850, 700]), (4, [600, 800]), (2, [500, 400, 750, 300, 650, 550, 450, 350])],
    200: [(10, [850, 700, 600, 800]), (4, [500, 400, 750, 300, 650, 550, 450, 350]),
          (2, [850, 700, 600, 800, 500, 400, 750, 300, 650, 550, 450, 350, 900, 850])],
}
NOISY_PLAN = [(10, [850, 700]), (4, [600, 800]), (2, [550, 750])]  # where the SNR is below 1/STD²
WEIGHTS = {  # of an error |x_0 - D|², for times that are even in t
    "½ dSNR": torch.cat([torch.zeros(1), SCHEDULE.snr[1:-1] - SCHEDULE.snr[2:], torch.zeros(1)]),
    "error of ε": torch.cat([torch.zeros(1), SCHEDULE.snr[1:]]),
    "error of v": torch.cat([torch.zeros(1), 1 + SCHEDULE.snr[1:]]),
    "equal": torch.ones(SCHEDULE.T + 1),
}
FIRST = "error of ε"  # chosen on training digits as they are, which the denoiser has learned by heart a little
CHOSEN = "error of v"  # chosen on altered ones


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def remembering(denoiser):
    """The same denoiser, which is not asked the same again."""
    known = {}

    def answer(x_t, t, label):
        keys = [(row.numpy().tobytes(), int(time), int(kind)) for row, time, kind in zip(x_t, t, label)]
        new = [i for i, key in enumerate(keys) if key not in known]
        if new:
            known.update(zip([keys[i] for i in new], denoiser(x_t[new], t[new], label[new])))
        return torch.stack([known[key] for key in keys])

    return Denoiser(answer, denoiser.schedule)


def score(found, labels):
    share = (found == labels).double().mean().item()
    return {"read": share, "error": (share * (1 - share) / len(labels)) ** 0.5}


def raced(pictures, labels, plans, noise_std=0.0, seed=0):
    """{name: what was measured} for {name: (rounds, weight)}, all at the same noise."""
    found = {name: [] for name in plans}
    for k, some in enumerate(pictures.split(BATCH)):
        denoiser = remembering(DENOISER)
        for name, (rounds, weight) in plans.items():
            generator = seeded(1000 * seed + k)
            found[name].append(read(denoiser, some, rounds, WEIGHTS[weight], generator, noise_std))
        right = {name: sum((one.label == labels[BATCH * j:BATCH * (j + 1)]).sum().item() for j, one in enumerate(parts))
                 for name, parts in found.items()}
        print(f"{BATCH * (k + 1)} digits, read rightly: {right}", flush=True)
    return {name: score(torch.cat([one.label for one in parts]), labels) | {"evaluations": parts[0].evaluations}
            for name, parts in found.items()}


def in_turn(images, labels, n):
    """n digits, as many of each kind."""
    index = torch.cat([(labels == kind).nonzero()[:n // 10, 0] for kind in range(10)])
    return images[index], labels[index]


# Under noise.

def with_noise(images, seed):
    return images + STD * torch.randn(images.shape, generator=seeded(seed))


def restored(pictures):
    """One step: what the denoiser, told no label, makes of noisy pictures. They are states of the t of their SNR."""
    t = int((SCHEDULE.snr[1:] - 1 / STD**2).abs().argmin()) + 1
    states = (SCHEDULE.alpha_bar[t].sqrt() * pictures).float()
    return torch.cat([DENOISER(some, t) for some in states.split(250)]).clamp(-1, 1)


def noisy_judge():
    """A judge's network, trained on digits under this noise, drawn anew for each batch."""
    def change(images, generator):
        moved = shifted(images, generator)
        return moved + STD * torch.randn(moved.shape, generator=generator)

    with torch.enable_grad():
        return fit_classifier(TRAIN, TRAIN_LABELS, 6, seeded(0), change=change)


def support_vectors(noisy):
    """scikit-learn's support vector machine on the pixels of training digits."""
    images = with_noise(TRAIN, 1) if noisy else TRAIN
    machine = SVC(C=10).fit(images.flatten(1).numpy(), TRAIN_LABELS.numpy())
    return lambda pictures: torch.from_numpy(machine.predict(pictures.flatten(1).numpy()))


def by(network):
    return lambda pictures: torch.cat([network(some) for some in pictures.split(250)]).argmax(dim=1)


def baselines(pictures, labels, noisy):
    """Yield (method, what was measured)."""
    judges = {"judge": load_judge(), "second judge": load_second_judge()}
    for name, judge in judges.items():
        yield name, score(by(judge)(pictures.clamp(-1, 1)), labels)
    yield "support vectors", score(support_vectors(False)(pictures), labels)
    if noisy:
        clean = restored(pictures)
        for name, judge in judges.items():
            yield f"denoise once, then the {name}", score(by(judge)(clean), labels) | {"evaluations": 1}
            yield f"{name}, pixels not clamped", score(by(judge)(pictures), labels)
        yield "support vectors, trained under this noise", score(support_vectors(True)(pictures), labels)
        yield "a judge, trained under this noise", score(by(noisy_judge())(pictures), labels)


# How times and weights were chosen.

def on_training_digits(each):
    """Pairs of draws on training digits, as they are and altered: all labels at two times, the best four at others.

    Returns a list of dicts: digits, t, draws (what each draw of the pair reads alone), pair, and so_far: what the
    errors of this and all times before it read, with each weight.
    """
    rows = []
    for name, change in {"as they are": lambda x, _: x, "altered": augmented}.items():
        back = held_back(TRAIN_LABELS, each)
        x_0, labels = change(TRAIN[back], seeded(5)).clamp(-1, 1), TRAIN_LABELS[back]
        print(f"{len(x_0)} training digits, {name}", flush=True)
        alive = torch.arange(10).expand(len(x_0), 10)
        errors = {}
        for t in (850, 700, 800, 600, 500, 900, 400, 750, 300, 200, 100, 50):
            if len(errors) == 2:
                alive = sum(WEIGHTS[CHOSEN][t] * error for t, error in errors.items()).argsort(dim=1)[:, :4]
            pair = paired_errors(x_0, t, alive, seeded(t))
            errors[t] = torch.full((len(x_0), 10), torch.inf, dtype=torch.float64).scatter(1, alive, pair.mean(dim=0))
            alone = [score(alive.gather(1, one.argmin(dim=1, keepdim=True))[:, 0], labels)["read"] for one in pair]
            so_far = {weight: sum(table[t] * error for t, error in errors.items()) for weight, table in WEIGHTS.items()}
            shares = {weight: round(score(cost.argmin(dim=1), labels)["read"], 3) for weight, cost in so_far.items()}
            pairs = score(errors[t].argmin(dim=1), labels)["read"]
            print(f"{t}: one draw {alone}, the pair {pairs}; with all before it {shares}", flush=True)
            rows.append({"digits": name, "t": t, "draws": alone, "pair": pairs, "so_far": shares})
    return rows


def paired_errors(x_0, t, alive, generator):
    """Errors at ε and at -ε: float64 (2, n, k)."""
    eps = torch.randn(x_0.shape, generator=generator)
    parts = []
    for signed in (eps, -eps):
        batches = zip(x_0.split(BATCH), signed.split(BATCH), alive.split(BATCH))
        errors = [label_errors(DENOISER, *two_looks(x, t, e, SCHEDULE), t, few) for x, e, few in batches]
        parts.append(torch.cat(errors))
    return torch.stack(parts)


# The table.

def plans(*chosen):
    """{"88, error of v": (rounds, "error of v"), …} of pairs (evaluations, weight)."""
    return {f"{evaluations}, {weight}": (PLANS[evaluations], weight) for evaluations, weight in chosen}


def clean(n):
    """Yield (method, what was measured)."""
    chosen = plans((20, CHOSEN), (48, FIRST), (88, FIRST), *((88, weight) for weight in WEIGHTS if weight != FIRST))
    yield from raced(*in_turn(*load_digits("test"), n), chosen).items()


def clean_more(n):
    yield from raced(*in_turn(*load_digits("test"), n), plans((48, CHOSEN), (200, CHOSEN))).items()


def clean_baselines(n):
    yield from baselines(*in_turn(*load_digits("test"), n), noisy=False)


def noisy_digits(n):
    images, labels = in_turn(*load_digits("test"), min(n, UNDER_NOISE))
    return with_noise(images, 3), labels


def noise(n):
    told = {f"told, {weight}": (NOISY_PLAN, weight) for weight in WEIGHTS}
    yield from raced(*noisy_digits(n), told, STD).items()


def noise_as_if_clean(n):
    yield from raced(*noisy_digits(n), {f"as if clean, {CHOSEN}": (PLANS[48], CHOSEN)}).items()


def noise_baselines(n):
    yield from baselines(*noisy_digits(n), noisy=True)


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", choices=("train", "test"), default="test", help="which digits")
    parser.add_argument("--quick", action="store_true", help="20 digits; writes nothing")
    arguments = parser.parse_args()
    weights = read_facts("mnist")["sha256"]
    facts = {"command": "python benchmarks/vision_read.py", "weights": weights, "std": STD, "plans": PLANS,
             "noisy_plan": NOISY_PLAN, "first": FIRST, "chosen": CHOSEN,
             "machine": "one core of a busy two-core machine", "rows": []}
    if (results.HERE / "vision_read.json").exists() and not arguments.quick:
        before = results.read("vision_read")
        facts = before if before["weights"] == weights else facts
    if arguments.against == "train":
        facts["choice"] = on_training_digits(each=2 if arguments.quick else 25)
        return None if arguments.quick else results.write("vision_read", facts)
    for part in (clean_baselines, clean, noise, noise_baselines, noise_as_if_clean, clean_more):
        name = part.__name__
        if any(row["part"] == name for row in facts["rows"]):
            continue
        begin = time.process_time()
        made = [{"part": name, "method": method, **found} for method, found in part(20 if arguments.quick else 1000)]
        facts["rows"] += made
        facts.setdefault("seconds", {})[name] = round(time.process_time() - begin)
        for row in made:
            print(row, flush=True)
        if not arguments.quick:
            results.write("vision_read", facts)
    return None


if __name__ == "__main__":
    main()
