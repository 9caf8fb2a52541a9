"""The check for the practice exercise of notebooks/00_start_here.ipynb."""

import torch

from diffusion_lab.exercises.feedback import answers, diagnosed

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
