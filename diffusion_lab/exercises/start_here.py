"""The check for the practice exercise of notebooks/00_start_here.ipynb."""

import torch

from diffusion_lab.exercises.feedback import Wrong, answers, close, tensor_like


@answers
def check_to_pixels(attempt):
    x = torch.tensor([[-1.0, -0.5, 0.0], [0.5, 1.0, 0.2]], dtype=torch.float64)
    expected = 127.5 + 127.5 * x
    given = tensor_like(attempt(x), x)
    if given.dtype != torch.float64:
        raise Wrong(f"x is float64, but you returned {str(given.dtype).removeprefix('torch.')}: change no types yet.")
    if close(given, expected.round()):
        raise Wrong(f"grey, 0, should become 127.5, but yours is {given[0, 2]:.4g}: do not round yet.")
    if close(given, (x * 255).clamp(min=0)):
        raise Wrong("you cut off all that is darker than grey: -0.5 became 0. Shift, do not clamp.")
    if close(given, x * 255):
        raise Wrong("black, -1, became -255. Shift first, so that the values run from 0 to 2.")
    if close(given, (x + 1) * 255):
        raise Wrong("white became 510: after the shift the values run from 0 to 2, so the factor is 127.5.")
    if close(given, x + 1 * 127.5):
        raise Wrong("without brackets, the multiplication comes first: write (x + 1) * 127.5.")
    if close(given, (x + 1) / 2):
        raise Wrong("that is the range from 0 to 1; pixels go up to 255.")
    if close(given, x * 127.5):
        raise Wrong("the factor is right, but black became -127.5: shift by 1 before you multiply.")
    if not close(given, expected):
        raise Wrong("black (-1) should become 0 and white (1) 255, but yours are "
                    f"{given[0, 0]:.4g} and {given[1, 1]:.4g}.")
    return "Black is 0, grey 127.5, white 255. This is how all checks of the course answer."
