"""python -m diffusion_lab restore: what a picture is taken for, what is answered, and what is refused in one line."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from diffusion_lab.__main__ import main
from diffusion_lab.commands import arguments
from diffusion_lab.commands import restore as command
from diffusion_lab.commands.restore import estimated_noise, grid_of, read_broken, restored
from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation.judge import load_judge, read_digits
from diffusion_lab.theory.denoiser import Denoiser
from diffusion_lab.theory.schedule import cosine

DIGITS, LABELS = load_digits("train")
DIGIT, LABEL = DIGITS[0, 0], LABELS[0].item()
PIXELS = ((DIGIT + 1) * 127.5).round().to(torch.uint8).numpy()
HOLE = np.zeros((28, 28), dtype=bool)
HOLE[6:20, 13:22] = True


def noisy(std, cut_off=True, n=1):
    x = DIGITS[:n, 0] + std * torch.randn(n, 28, 28, generator=torch.Generator().manual_seed(0))
    x = x.clamp(-1, 1) if cut_off else x / x.abs().max()
    return ((x + 1) * 127.5).round().to(torch.uint8).numpy()


def pooled(pixels, factor):
    side = 28 // factor
    return pixels.reshape(side, factor, side, factor).mean(axis=(1, 3)).round().astype(np.uint8)


def enlarged(pixels, factor):
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)


def with_alpha(pixels, opaque):
    return np.stack([pixels, np.where(opaque, 255, 0).astype(np.uint8)], axis=-1)


@pytest.fixture
def file(tmp_path):
    """Save an array, or write bytes, as a picture of this name; returns its path."""
    def write(content, name="picture.png"):
        if isinstance(content, bytes):
            (tmp_path / name).write_bytes(content)
        else:
            Image.fromarray(content).save(tmp_path / name)
        return tmp_path / name
    return write


@pytest.fixture
def restore(tmp_path, capsys):
    """Run the command on a file; returns its exit status, the ten pictures of its grid or None, and what it printed."""
    def run(picture, *words):
        out = tmp_path / "grid.png"
        out.unlink(missing_ok=True)
        try:
            status = main(["restore", "--in", str(picture), "--out", str(out), *map(str, words)])
        except SystemExit as ended:
            status = ended.code
        said = capsys.readouterr()
        return status, tiles_of(out) if out.exists() else None, said.out, said.err
    return run


def tiles_of(out):
    """The pictures in a row, with white lines of 2 between them, each pixel 3 × 3: (10, 28, 28) in [-1, 1]."""
    with Image.open(out) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "L", ((10 * 30 - 2) * 3, 28 * 3))
        fine = np.asarray(image)[::3, ::3]
    return torch.tensor(np.stack([fine[:, i * 30 :][:, :28] for i in range(10)]) / 127.5 - 1)


def error(picture):
    return (picture - DIGIT).square().mean()


BROKEN = {"inpaint": with_alpha(PIXELS, ~HOLE), "sr4": pooled(PIXELS, 4), "denoise": noisy(0.5)[0]}


@pytest.mark.parametrize("task", BROKEN)
def test_a_broken_digit_is_repaired(restore, file, task):
    """The mean is nearer to the truth than what was given, by far; the answers are read as the digit that it is."""
    status, tiles, out, err = restore(file(BROKEN[task]), "--task", task, "--digit", LABEL)
    assert (status, err.count("\n")) == (0, 1 if task == "denoise" else 0)
    assert out.startswith(f"{task} in ")
    assert out.splitlines()[0].endswith("grid.png")
    assert error(tiles[1]) < 0.5 * error(tiles[0])
    assert (tiles[1] - tiles[2:].mean(dim=0)).abs().max() < 0.01, "rounding"
    assert (tiles[2:].std(dim=0) > 0).any(), "the answers are not all the same"
    assert (read_digits(load_judge(), tiles[2:, None].float()) == LABEL).sum() >= 6


def test_a_blurred_digit_is_repaired(restore, file):
    from PIL import ImageFilter

    blurred = np.asarray(Image.fromarray(PIXELS).filter(ImageFilter.GaussianBlur(1.5)))
    status, tiles, _, err = restore(file(blurred), "--task", "deblur")
    assert (status, err) == (0, "")
    assert error(tiles[1]) < 0.5 * error(tiles[0])


def test_the_answers_agree_with_what_was_given(restore, file):
    """But for its noise: outside the hole, and in the means of 4×4 pixels."""
    _, tiles, _, _ = restore(file(BROKEN["inpaint"]), "--task", "inpaint")
    assert ((tiles[2:] - DIGIT)[:, ~HOLE]).square().mean().sqrt() < 0.1
    assert (tiles[0][HOLE].abs() < 0.01).all(), "missing pixels are shown grey"
    _, tiles, _, _ = restore(file(BROKEN["sr4"]), "--task", "sr4")
    coarse = tiles[:, ::4, ::4][0]
    means = tiles[2:].reshape(8, 7, 4, 7, 4).mean(dim=(2, 4))
    assert torch.equal(tiles[0], coarse.repeat_interleave(4, 0).repeat_interleave(4, 1))
    assert (means - coarse).square().mean().sqrt() < 0.1


@pytest.mark.parametrize("noise", [0.5, 1.0])
def test_denoising_draws_from_the_posterior(noise):
    """Of a Gaussian with mean 0 and variance v, from pixels y: mean y v / (v + σ²), variance v σ² / (v + σ²)."""
    v, schedule = 0.1, cosine(1000)

    def answer(x_t, t, label):
        a = schedule.alpha_bar[t]
        return (a.sqrt() * v / (a * v + 1 - a)).float() * x_t

    y = torch.linspace(-1, 1, 784).reshape(28, 28)
    broken = command.Broken(y, torch.ones(28, 28, dtype=torch.bool), [])
    answers = restored(Denoiser(answer, schedule), "denoise", broken, noise, steps=1000)[:, 0]
    off = answers - y * v / (v + noise**2)
    var = v * noise**2 / (v + noise**2)
    assert off.mean().abs() < 4 * (var / off.numel()) ** 0.5
    assert off.square().mean() == pytest.approx(var, rel=0.1)  # a chain of finite steps is a little too sure
    assert abs((off * y).mean() / y.square().mean()) < 0.02, "the share of y is right"


@pytest.mark.parametrize("cut_off", [True, False])
@pytest.mark.parametrize("std", [0.1, 0.25, 0.5, 1.0])
def test_the_noise_is_estimated(std, cut_off):
    """Within a third: whether the file cuts off what is darker than black, or was scaled so that all noise fits."""
    x = DIGITS[100:140, 0] + std * torch.randn(40, 28, 28, generator=torch.Generator().manual_seed(1))
    scale = 1.0 if cut_off else x.abs().max()
    ratio = torch.tensor([estimated_noise((x / scale).clamp(-1, 1)) for x in x]) / (std / scale)
    assert ratio.mean() == pytest.approx(1, abs=0.3)
    assert 0.67 < ratio.min() < ratio.max() < 1.5


def test_a_clean_picture_has_little_noise():
    assert estimated_noise(DIGIT) == 0.05


GREY = (255 - PIXELS.astype(float) * 0.6).round().astype(np.uint8) - 60  # ink on grey paper
DARK = "is dark on light, and so inverted: the network has learned white on black"


@pytest.mark.parametrize(("content", "name", "task", "told"), [
    (PIXELS, "a.png", "denoise", []),
    (np.stack([PIXELS] * 3, axis=-1), "a.png", "denoise", []),
    (with_alpha(PIXELS, np.ones_like(HOLE)), "a.png", "denoise", []),
    (PIXELS.astype(np.uint16) * 256, "a.png", "denoise", []),
    (255 - PIXELS, "a.png", "denoise", [DARK]),
    (GREY, "a.png", "denoise", [DARK, "its ground is grey, and made black"]),
    (enlarged(PIXELS, 10), "a.png", "deblur", ["it is 280×280, and resized to 28×28"]),
    (255 - enlarged(PIXELS, 10), "a.jpg", "denoise", [DARK, "it is 280×280, and resized to 28×28"]),
    (enlarged(PIXELS, 4)[:, 8:-8], "a.png", "denoise", ["it is 96×112, and resized to 28×28"]),
    (enlarged(PIXELS, 4)[8:-8], "a.png", "denoise", ["it is 112×96, and resized to 28×28"]),
    (with_alpha(np.full_like(PIXELS, 255), PIXELS > 127), "a.png", "denoise",
     ["its transparent pixels are taken for black"]),
    (with_alpha(np.full_like(PIXELS, 0), PIXELS > 127), "a.png", "denoise",
     ["its transparent pixels are taken for white", DARK]),
])
def test_a_picture_is_taken_for_white_on_black(file, content, name, task, told):
    broken = read_broken(file(content, name), task)
    assert broken.told == [what.replace("is dark", "it is dark", 1) if what is DARK else what for what in told]
    assert (broken.pixels.dtype, broken.pixels.shape, broken.known.all()) == (torch.float32, (28, 28), True)
    expected = DIGIT if "transparent" not in str(told) else torch.from_numpy(np.where(PIXELS > 127, 1.0, -1.0))
    bright = content is not GREY  # whose ink is not quite black
    assert (broken.pixels - expected).abs().mean() < (0.02 if bright else 0.1)
    assert broken.pixels.min() == pytest.approx(-1, abs=0.02)


@pytest.mark.parametrize("factor", [1, 2, 10])
def test_sr4_begins_with_the_means_of_what_falls_on_a_pixel(file, factor):
    broken = read_broken(file(enlarged(PIXELS, factor)), "sr4")
    assert torch.allclose(broken.pixels, torch.nn.functional.avg_pool2d(DIGIT[None], 4)[0], atol=0.01)
    assert broken.told == [f"it is {28 * factor}×{28 * factor}, and resized to 7×7"]
    assert read_broken(file(pooled(PIXELS, 4)), "sr4").told == []


def test_what_is_missing(file):
    """White in the mask, or transparent, or else a box in the middle; once resized, all that holds some of it."""
    picture, mask = file(PIXELS), file((HOLE * 255).astype(np.uint8), "mask.png")
    for broken in (read_broken(picture, "inpaint", mask), read_broken(file(BROKEN["inpaint"]), "inpaint")):
        assert torch.equal(~broken.known, torch.from_numpy(HOLE))
        assert broken.told == []
    broken = read_broken(file(PIXELS), "inpaint")
    assert (~broken.known).sum() == 144 == (~broken.known[8:20, 8:20]).sum()
    assert "a box in its middle is taken away" in broken.told[0]

    large = np.zeros((280, 280), dtype=np.uint8)
    large[99:101, 45] = 255
    broken = read_broken(file(enlarged(PIXELS, 10)), "inpaint", file(large, "mask.png"))
    assert (~broken.known).nonzero().tolist() == [[9, 4], [10, 4]]


def test_with_a_mask_a_drawing_may_be_transparent(file):
    drawn = with_alpha(np.zeros_like(PIXELS), PIXELS > 127)
    broken = read_broken(file(drawn), "inpaint", file((HOLE * 255).astype(np.uint8), "mask.png"))
    assert torch.equal(~broken.known, torch.from_numpy(HOLE))
    assert torch.equal(broken.pixels > 0, torch.from_numpy(PIXELS > 127))


def test_the_first_of_the_grid_is_what_was_given(tmp_path):
    broken = command.Broken(DIGIT, torch.from_numpy(~HOLE), [])
    out = tmp_path / "grid.png"
    out.write_bytes(grid_of(broken, DIGITS[1:9]))
    tiles = tiles_of(out)
    assert torch.allclose(tiles[0], torch.where(broken.known, DIGIT, 0.0).double(), atol=0.005)
    assert torch.allclose(tiles[1], DIGITS[1:9, 0].mean(dim=0).double(), atol=0.005)
    assert torch.allclose(tiles[2:], DIGITS[1:9, 0].double(), atol=0.005)


def test_a_seed_fixes_the_grid_and_leaves_the_global_generator_alone(restore, file):
    before = torch.get_rng_state()
    picture = file(BROKEN["sr4"])
    a, b, c = (restore(picture, "--task", "sr4", "--steps", 2, "--seed", seed)[1] for seed in (4, 4, 5))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert torch.equal(torch.get_rng_state(), before)


def test_noise_steps_and_digit_change_the_answers(restore, file):
    for task in ("sr4", "denoise"):
        picture = file(BROKEN[task])
        plain = restore(picture, "--task", task, "--steps", 5)[1]
        for words in (("--steps", 6), ("--steps", 5, "--noise", 0.9), ("--steps", 5, "--digit", 3)):
            assert not torch.equal(restore(picture, "--task", task, *words)[1], plain)


def test_the_picture_itself_is_not_overwritten(file, capsys):
    picture = file(PIXELS)
    before = picture.read_bytes()
    assert main(["restore", "--task", "denoise", "--in", str(picture), "--out", str(picture)]) == 2
    assert "it would be overwritten. Give another --out." in capsys.readouterr().err
    assert picture.read_bytes() == before


@pytest.mark.parametrize(("words", "said"), [
    (("--task", "sharpen"), "restore: --task has an invalid choice: 'sharpen' (choose from "),
    ((), "restore: the following arguments are required: --task"),
    (("--task", "sr4", "--digit", 10), "restore: --digit has an invalid choice: 10 (choose from "),
    (("--task", "sr4", "--steps", 0), "restore: --steps must be a whole number from 1 to"),
    (("--task", "sr4", "--noise", "much"), "restore: --noise has an invalid float value: 'much'"),
    (("--task", "sr4", "--mask", ""), 'restore: --mask must be a path, but got ""'),
])
def test_wrong_arguments_are_refused(restore, file, words, said):
    status, tiles, out, err = restore(file(PIXELS), *words)
    assert (status, tiles, out, err.count("\n")) == (2, None, "", 1)
    assert err.startswith(said)
    assert err.endswith(f". All there is: {arguments.command_line('restore')} --help\n")


@pytest.mark.parametrize(("words", "said"), [
    (("--task", "sr4", "--steps", 1001), "--steps must be at most 1000 (the chain has no more times), but got 1001."),
    *((("--task", "denoise", "--noise", noise), "--noise must lie within 0.02…10.0 (black is -1, white is 1), but got")
      for noise in (0, -1, 11, "nan", "inf")),
    (("--task", "sr4", "--mask", "mask.png"), "--mask says which pixels are missing: it goes with --task inpaint, but"),
    (("--task", "sr4", "--out", "grid.jpg"), "--out must end in .png, but got grid.jpg."),
    (("--task", "sr4", "--out", "no/such/grid.png"), "cannot be written: it is a folder, or lies in one that does not"),
    (("--task", "sr4", "--seed", -1), "--seed must be a whole number from 0"),
    (("--task", "sr4", "--checkpoint", "nothing"), "there is no folder nothing. Give one with"),
    (("--task", "inpaint", "--mask", "nothing.png"), "there is no file nothing.png."),
])
def test_what_cannot_be_done_is_said_in_one_line(restore, file, words, said):
    status, tiles, out, err = restore(file(PIXELS), *words)
    assert (status, tiles, out, err.count("\n")) == (2, None, "", 1)
    assert said in err


@pytest.mark.parametrize(("content", "said"), [
    (b"these are words", "cannot be read as a picture. Give a PNG or a JPEG that a viewer shows."),
    (b"", "cannot be read as a picture"),
    ("half", "cannot be read as a picture"),
    (np.full((28, 28), 128, dtype=np.uint8), "holds one grey alone: there is nothing to restore."),
    (with_alpha(PIXELS, HOLE & ~HOLE), "is transparent all over: there is nothing to see."),
    (np.zeros((8000, 8000), dtype=bool), "has more than 50 million pixels, the most that are read. Make it smaller"),
    (np.zeros((14_000, 14_000), dtype=bool), "has more than 50 million pixels"),  # an attack, to Pillow
])
def test_what_is_no_picture_of_a_digit_is_refused(restore, file, content, said):
    if isinstance(content, str):
        content = file(noisy(1.0)[0]).read_bytes()[:400]
    status, tiles, out, err = restore(file(content), "--task", "denoise")
    assert (status, tiles, out, err.count("\n")) == (2, None, "", 1)
    assert said in err


def test_a_folder_and_nothing_are_refused(restore, tmp_path):
    nothing = tmp_path / "nothing.png"
    assert restore(nothing, "--task", "sr4")[3] == f"restore: there is no file {nothing}.\n"
    assert restore(tmp_path, "--task", "sr4")[3].startswith(f"restore: {tmp_path} is no file.")


@pytest.mark.parametrize(("mask", "said"), [
    (np.zeros((28, 28), dtype=np.uint8), "has no white pixel: white says what is missing."),
    (np.full((28, 28), 255, dtype=np.uint8), "is left: "),
    (np.full((20, 28), 255, dtype=np.uint8), "the mask must be as large as the picture, 28×28, but "),
])
def test_a_mask_that_says_nothing_is_refused(restore, file, mask, said):
    status, tiles, out, err = restore(file(PIXELS), "--task", "inpaint", "--mask", file(mask, "mask.png"))
    assert (status, tiles, out, err.count("\n")) == (2, None, "", 1)
    assert said in err


def test_a_picture_that_fits_no_memory(restore, file, monkeypatch):
    def fails(*_, **__):
        raise MemoryError

    monkeypatch.setattr(command, "read_grey", fails)
    said = "restore: there is not enough memory for this. Choose a smaller picture.\n"
    assert restore(file(PIXELS), "--task", "sr4") == (2, None, "", said)


def test_a_restoration_that_diverges_is_refused(restore, file, monkeypatch):
    monkeypatch.setattr(command, "last", lambda _: torch.full((8, 1, 28, 28), float("nan")))
    status, tiles, out, err = restore(file(BROKEN["sr4"]), "--task", "sr4")
    assert (status, tiles, out) == (2, None, "")
    assert err == "restore: the restoration has diverged. Give a larger --noise.\n"


LIGHT = """
import sys
from diffusion_lab.__main__ import main
status = main(["restore", "--task", "denoise", "--in", sys.argv[1], "--steps", "1"])
print(status, [name for name in ("matplotlib", "sklearn", "pandas", "IPython", "ipywidgets") if name in sys.modules])
"""


def test_from_a_terminal(tmp_path, file):
    """As a program of its own: what it says of the picture goes to stderr; and it imports little."""
    words = [sys.executable, "-c", LIGHT, str(file(enlarged(PIXELS, 2)))]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, env=os.environ)
    assert done.stdout.splitlines()[1] == "From the left: what was given, the mean of 8 answers, and these answers."
    assert done.stdout.splitlines()[-1] == "0 []", done.stderr
    assert done.stderr.count("restore: ") == done.stderr.count("\n") == 2
    assert len(tiles_of(tmp_path / "grid.png")) == 10


def test_help(capsys):
    """Usage in one line; no default that is none."""
    with pytest.raises(SystemExit):
        main(["restore", "--help"])
    told = capsys.readouterr().out
    assert told.split("\n\n")[0] == f"usage: {arguments.command_line('restore')} --task TASK --in PICTURE [options]"
    assert "(default: 50)" in told
    assert "default: None" not in told
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "    restore " in capsys.readouterr().out
