"""Make the weights NAME of a finished run: float16 weights, facts with measures of 1,000 digits, and the model card.

    python -m diffusion_lab train --out runs/mnist --steps 7000 --batch 64 --width 48 --lr-rest 0.002 --warm-up 50 \
        --augment 0.25 --decay 0.999
    python tools/ship_weights.py NAME runs/mnist MINUTES "MACHINE"

Writes diffusion_lab/weights/NAME. What was measured with the weights of this name before is to be measured again.
"""

import sys
from pathlib import Path

import torch

from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation.distances import report
from diffusion_lab.evaluation.judge import load_judge
from diffusion_lab.sampling.chain import draw, spaced
from diffusion_lab.sampling.ddim import ddim
from diffusion_lab.sampling.guidance import guided
from diffusion_lab.training.loop import start
from diffusion_lab.training.recipe import Recipe
from diffusion_lab.training.runs import load_run, read_run
from diffusion_lab.weights.pretrained import HERE, load_pretrained, save_weights

CARD = """\
# Model card: the shipped weights

A class-conditional U-Net (`diffusion_lab/networks/unet.py`, {parameters:,} weights, predicting v) that draws
handwritten digits, 28×28. `load_pretrained("{name}")` loads it. It is made for this course, and good for nothing else.

- **Data**: the 4,000 training digits shipped in `diffusion_lab/data/` (from MNIST), and nothing else. Of the images of
  each batch a share of {augment} is turned, stretched and shifted a little.
- **Command**: `python -m diffusion_lab train --data {data} --out runs/{name} --steps {steps} --batch {batch}
  --width {width} --lr {lr} --lr-rest {lr_rest} --warm-up {warm_up} --augment {augment} --decay {decay} --seed {seed}`,
  then `python tools/ship_weights.py {name} runs/{name}`. One label in ten is dropped in training.
- **Time**: {minutes} minutes on {machine}.
- **Files**: the average of the weights in float16, `weights.safetensors`, {size:.1f} MB.
- **Licence**: CC BY-SA 3.0, as the digits that it was trained on.

## Measures

1,000 digits, a hundred of each kind: DDIM, 25 steps, guidance 0.5, noise of seed 0. The judge is a small network
(`diffusion_lab/evaluation/judge.py`) trained on the same 4,000 digits.

| measure | value |
|---|---|
| label accuracy, as the judge reads them | {label_accuracy:.3f} |
| Fréchet distance to the 1,000 test digits, features of the judge | {distance:.2f} |
| the same for 1,000 training digits, a hundred of each kind, five draws (the floor) | {floor:.2f} ± {floor_std:.2f} |
| distance as a multiple of the floor | {times_floor:.2f} |
| accuracy of a reader trained on them, as a share of one trained on as many real digits | {share_of_real:.3f} |
| distance to the nearest training digit, as a multiple of that of the test digits | {memorisation_ratio:.2f} |
"""


def main(name, folder, minutes, machine):
    facts = read_run(folder)[1]
    run = load_run(folder, start(Recipe(**facts["recipe"]), data=facts["data"]))
    target = HERE / name
    save_weights(target, run)  # in float16, in which they are measured
    label = torch.arange(1000) % 10
    digits = draw(guided(load_pretrained(target), 0.5), label, ddim, spaced(1000, 25), batch=250)
    measured = report(digits, label, load_judge(), load_digits("train"), load_digits("test"))
    save_weights(target, run, minutes=minutes, machine=machine, measures=measured)
    card = CARD.format(name=name, data=facts["data"], parameters=sum(p.numel() for p in run.network.parameters()),
                       minutes=minutes, machine=machine, size=(target / "weights.safetensors").stat().st_size / 1e6,
                       **facts["recipe"], **measured)
    Path(target, "README.md").write_text(card, encoding="utf-8")
    print(card)


if __name__ == "__main__":
    main(*sys.argv[1:5])
