"""Make the weights "style": the shipped network goes on learning, with a second label, for some minutes.

    python tools/train_style.py runs/style

The digits are the 4,000 training digits in nine styles, three of thickness by three of slant, thirds within each digit
(style 3 · thickness + slant), and 2,000 printed ones (style 9). One in ten is shown without its digit, one in ten
without its style, one in ten without both. Writes the run, then diffusion_lab/weights/style, without measures.
"""

import sys
from functools import partial

import torch
from tqdm import tqdm

from diffusion_lab.data.digits import load_digits
from diffusion_lab.data.printed import load_printed
from diffusion_lab.evaluation.strokes import edges, slant, thickness, third
from diffusion_lab.networks.styled import ANY, StyledUNet, both
from diffusion_lab.theory.schedule import cosine
from diffusion_lab.training.batches import batches_of
from diffusion_lab.training.loop import start, train
from diffusion_lab.training.objective import objective
from diffusion_lab.training.recipe import Recipe
from diffusion_lab.training.runs import save_run
from diffusion_lab.weights.pretrained import HERE, load_network, save_weights

RECIPE = Recipe(steps=1200, batch=64, width=48, lr=0.01, lr_rest=0.002, warm_up=50, decay=0.99, augment=0.5)
PRINTED = 9  # the style
DROP = 0.1


def styled_digits():
    """Images and their `both` labels: handwritten ones in nine styles, and printed ones."""
    written, digits = load_digits("train")
    thick, lean = thickness(written), slant(written)
    styles = 3 * third(thick, digits, edges(thick, digits)) + third(lean, digits, edges(lean, digits))
    printed, names = (part[:2000] for part in load_printed("train"))
    return torch.cat([written, printed]), torch.cat([both(digits, styles), both(names, PRINTED)])


def build():
    """The shipped network, which knows styles, but not yet what they are."""
    network = StyledUNet()
    missing, unknown = network.load_state_dict(load_network("mnist").state_dict(), strict=False)
    assert (missing, unknown) == (["condition.style.weight"], [])
    return network


def loss(network, batch, generator, schedule):
    """The objective, which drops both labels of some; before that, some lose one of the two."""
    x_0, label = batch
    u = torch.rand(len(label), generator=generator)
    digit, style = label % (ANY + 1), label // (ANY + 1)
    label = torch.where(u < DROP, both(ANY, style), torch.where(u < 2 * DROP, both(digit, ANY), label))
    return objective(network, (x_0, label), generator, schedule, drop=DROP)


def main(folder):
    images, labels = styled_digits()
    run = start(RECIPE, build, data="digits in styles")
    for _ in tqdm(train(run, batches_of(images, labels, RECIPE), partial(loss, schedule=cosine())),
                  total=RECIPE.steps):
        pass
    save_run(folder, run)
    save_weights(HERE / "style", run)


if __name__ == "__main__":
    main(*sys.argv[1:2])
