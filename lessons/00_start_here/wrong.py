"""Wrong answers to the exercise of notebook 00, each with words that the check's message must contain."""

import torch

from diffusion_lab.exercises.start_here import check_to_pixels

WRONG = {
    check_to_pixels: [
        (lambda x: x * 255, "Shift first"),
        (lambda x: (x + 1) * 255, "the factor is 127.5"),
        (lambda x: x + 1 * 127.5, "without brackets"),
        (lambda x: (x + 1) / 2, "range from 0 to 1"),
        (lambda x: x * 127.5, "shift by 1"),
        (lambda x: ((x + 1) * 127.5).round(), "do not round"),
        (lambda x: ((x + 1) * 127.5).to(torch.uint8), "cut the fractions off"),
        (lambda x: x.clamp(0, 1) * 255, "do not clamp"),
        (lambda x: x.add_(1).mul_(127.5), "changed x itself"),
        (lambda x: 255 - (x + 1) * 127.5, "your image is a negative"),
        (lambda x: ((x + 1) * 127.5).float(), "should be float64, but yours is float32"),
        (lambda x: (x + 1) * 128, "white became 256"),
        (lambda x: (x + 1) / 2 * 256, "white became 256"),
        (lambda x: (x + 1) * 127, "white became 254"),
        (lambda x: x * 127.5 + 128, "black became 0.5"),
        (lambda x: x * 127.5 + 1, "after you multiplied"),
        (lambda x: x * 255 + 127.5, "white 382.5"),
        (lambda x: x.abs() * 255, "absolute values"),
        (lambda x: (x - x.min()) / (x.max() - x.min()) * 255, "not all images hold black and white"),
        (lambda x: [int(value) for value in ((x + 1) * 127.5).flatten()], "the shape should be (2, 3)"),
        (lambda x: (x + 0.5) * 255, "white 382.5"),
        (lambda x: torch.sigmoid(x) * 255, "Black, -1, should become 0"),
        (lambda x: [value * 127.5 for value in x], "shift by 1"),
        (lambda x: torch.where(x < 0, 0.0, (x + 1) * 127.5), "should be 63.75, but yours is 0"),
    ],
}
