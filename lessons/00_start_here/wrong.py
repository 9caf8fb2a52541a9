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
        (lambda x: ((x + 1) * 127.5).to(torch.uint8), "returned uint8"),
        (lambda x: x.clamp(0, 1) * 255, "do not clamp"),
        (lambda x: x.add_(1).mul_(127.5), "changed x itself"),
        (lambda x: 255 - (x + 1) * 127.5, "should become 0"),
    ],
}
