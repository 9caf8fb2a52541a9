"""python -m diffusion_lab sample: a picture of digits, or one line that says what is wrong."""

import json
import os
import shutil
import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from diffusion_lab.__main__ import main
from diffusion_lab.commands import arguments
from diffusion_lab.commands import sample as command
from diffusion_lab.commands.sample import columns_for
from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation.judge import load_judge, read_digits
from diffusion_lab.weights.pretrained import HERE


@pytest.fixture
def sample(tmp_path, capsys):
    """Run the command; returns its exit status, its picture (bytes, or None), and what it printed."""
    def run(*words):
        out = tmp_path / "grid.png"
        out.unlink(missing_ok=True)
        try:
            status = main(["sample", "--out", str(out), *map(str, words)])
        except SystemExit as ended:
            status = ended.code
        said = capsys.readouterr()
        return status, out.read_bytes() if out.exists() else None, said.out, said.err
    return run


def digits_in(picture, n, columns=10):
    """The n digits of a picture, with white lines of 2 between them, each pixel 3 × 3: (n, 1, 28, 28)."""
    pixels = np.asarray(Image.open(BytesIO(picture)))
    fine = pixels[::3, ::3]
    assert np.array_equal(pixels, fine.repeat(3, axis=0).repeat(3, axis=1))
    squares = [fine[i // columns * 30 :, i % columns * 30 :][:28, :28] for i in range(n)]
    return torch.tensor(np.stack(squares)[:, None] / 127.5 - 1, dtype=torch.float32)


@pytest.mark.parametrize(("n", "rows", "columns"), [(1, 1, 1), (7, 1, 7), (10, 1, 10), (12, 2, 6), (23, 3, 8)])
def test_the_picture_has_the_size_of_its_digits(sample, n, rows, columns):
    status, picture, out, err = sample("--n", n, "--steps", 2, "--guidance", 0)
    image = Image.open(BytesIO(picture))
    assert (status, err, image.format, image.mode) == (0, "", "PNG", "L")
    assert image.size == ((columns * 30 - 2) * 3, (rows * 30 - 2) * 3)
    assert out.startswith(f"{n} digits in " if n > 1 else "1 digit in ")
    assert out.rstrip().endswith("grid.png")
    assert out.count("\n") == 1


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpm_solver"])
def test_it_draws_0_to_9_in_order(sample, sampler):
    """As the judge reads them, with 20 steps: at least 17 of 20 are what was asked for."""
    status, picture, _, _ = sample("--n", 20, "--steps", 20, "--sampler", sampler)
    assert status == 0
    digits = digits_in(picture, 20)
    assert (read_digits(load_judge(), digits) == torch.arange(20) % 10).sum() >= 17
    real = load_digits("test")[0]
    assert abs(digits.mean() - real.mean()) < 0.1, "neither too bright nor too dark"


def test_a_grid_is_as_full_as_it_can_be():
    """Without empty places wherever rows of 6 to 10 allow it, and the picture is never wider than ten digits."""
    for n in range(1, 500):
        columns = columns_for(n)
        assert n / 2 < columns <= 10 if n <= 10 else 6 <= columns <= 10
        assert -n % columns == min(-n % other for other in range(6, 11)) or n < 6
    assert [columns_for(n) for n in (3, 10, 48, 60, 64, 100)] == [3, 10, 8, 10, 8, 10]


@pytest.mark.parametrize(("asked", "expected"), [
    ("7", [7] * 6), ("1,3,5", [1, 3, 5, 1, 3, 5]), ("0-9", [0, 1, 2, 3, 4, 5]), ("8-9, 2", [8, 9, 2, 8, 9, 2]),
])
def test_it_draws_the_digits_that_it_is_asked_for(sample, asked, expected):
    status, picture, _, _ = sample("--n", 6, "--digits", asked)
    assert status == 0
    read = read_digits(load_judge(), digits_in(picture, 6, columns=6)).tolist()
    assert sum(a == b for a, b in zip(read, expected)) >= 5


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpm_solver"])
def test_a_seed_fixes_the_picture_and_leaves_the_global_generator_alone(sample, sampler):
    before = torch.get_rng_state()
    pictures = [sample("--n", 3, "--steps", 3, "--sampler", sampler, "--seed", seed)[1] for seed in (4, 4, 5)]
    assert pictures[0] == pictures[1] != pictures[2]
    assert torch.equal(torch.get_rng_state(), before)


def test_guidance_and_steps_change_the_picture(sample):
    plain = sample("--n", 3, "--steps", 3)[1]
    for words in (("--steps", 4), ("--steps", 3, "--guidance", 4), ("--steps", 3, "--sampler", "ddpm"),
                  ("--steps", 3, "--sampler", "ddim")):
        assert sample("--n", 3, *words)[1] not in (None, plain)
    told = ("--guidance", 0.4, "--sampler", "dpm_solver", "--seed", 0)
    assert sample("--n", 3, "--steps", 3, *told)[1] == plain, "defaults"


@pytest.mark.parametrize(("words", "said"), [
    (("--n", 0), "sample: --n must be a whole number from 1 to 10000, but got 0"),
    (("--n", "many"), "sample: --n must be a whole number from 1 to 10000, but got many"),
    (("--steps", -3), "sample: --steps must be a whole number from 1 to 10¹⁸ - 1, but got -3"),
    (("--steps", 2.5), "sample: --steps must be a whole number from 1 to 10¹⁸ - 1, but got 2.5"),
    *((("--digits", words), f"sample: --digits must be digits as in 7, 0-9 or 1,3,7-9, but got {words}")
      for words in ("10", "9-0", "seven", "1,,2", "")),
    (("--sampler", "euler"), "sample: --sampler has an invalid choice: 'euler' (choose from "),
    (("--guidance", "much"), "sample: --guidance has an invalid float value: 'much'"),
    (("--seed", "x"), "sample: --seed has an invalid int value: 'x'"),
    (("--size", 3), "sample: unrecognized arguments: --size 3"),
])
def test_wrong_arguments_are_refused(sample, words, said):
    """By argparse, and in one line, which says what is wrong, and how to see all that is allowed."""
    status, picture, out, err = sample(*words)
    assert (status, picture, out, err.count("\n")) == (2, None, "", 1)
    assert err.startswith(said)
    assert err.endswith(f". All there is: {arguments.command_line('sample')} --help\n")


@pytest.mark.parametrize(("words", "said"), [
    (("--steps", 1001), "sample: --steps must be at most 1000 (the chain has no more times), but got 1001."),
    *((("--guidance", w), "sample: --guidance must lie within 0…100 (more of it only distorts the digits), but got")
      for w in (-1.0, 100.1, 1e30, "nan", "inf")),
    (("--n", 10_001), "sample: --n must be a whole number from 1 to 10000, but got 10001. All there is: "),
    *((("--out", name), f"sample: --out must end in .png, for a picture, or in .npz, for numbers, but got {name}.")
      for name in ("grid.jpg", "grid")),
    (("--checkpoint", "no-such-folder"), "sample: there is no folder no-such-folder. Give one with"),
    (("--seed", 2**70), "sample: --seed must"),
])
def test_what_cannot_be_done_is_said_in_one_line(sample, words, said):
    status, picture, out, err = sample("--n", 1, *words)
    assert (status, picture, out) == (2, None, "")
    assert err.startswith(said)
    assert err.count("\n") == 1


@pytest.mark.parametrize("where", ["no/such/folder/grid.png", "."])
def test_a_picture_that_cannot_be_written_is_refused_before_it_is_drawn(sample, tmp_path, monkeypatch, where):
    def never(*_, **__):
        raise AssertionError("this would have been in vain")

    monkeypatch.setattr("diffusion_lab.commands.sample.drawn", never)
    status, _, out, err = sample("--n", 1, "--steps", 1, "--out", tmp_path / where)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert str(tmp_path) in err


def one_byte(folder):
    content = bytearray((folder / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "weights.safetensors").write_bytes(content)


def half_the_facts(folder):
    file = folder / "facts.json"
    file.write_text(file.read_text()[:20])


def another_schedule(folder):
    file = folder / "facts.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"schedule": "square"}))


@pytest.mark.parametrize(("damage", "said"), [
    (one_byte, "weights.safetensors is damaged: its content is not what facts.json says"),
    (half_the_facts, "facts.json is damaged"), (another_schedule, "must be one of 'cosine', 'linear'"),
    (lambda folder: (folder / "facts.json").unlink(), "holds no weights"),
])
def test_damaged_weights_are_refused(sample, tmp_path, damage, said):
    damage(shutil.copytree(HERE / "mnist", tmp_path / "run"))
    status, picture, out, err = sample("--checkpoint", tmp_path / "run")
    assert (status, picture, out, err.count("\n")) == (2, None, "", 1)
    assert said in err


def test_a_full_disk_leaves_the_picture_that_was_there(tmp_path, monkeypatch, capsys):
    def full(_):
        raise OSError(28, "No space left on device")

    out = tmp_path / "grid.png"
    out.write_bytes(b"the picture of before")
    monkeypatch.setattr(os, "fsync", full)
    assert main(["sample", "--n", "1", "--steps", "1", "--out", str(out)]) == 2
    assert "No space left" in capsys.readouterr().err
    assert out.read_bytes() == b"the picture of before"


def test_a_picture_that_fits_no_memory(sample, monkeypatch):
    def failing(error):
        def fails(*_, **__):
            raise error
        return fails

    for error in (MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9")):
        monkeypatch.setattr(command, "drawn", failing(error))
        said = "sample: there is not enough memory for this. Choose a smaller --n.\n"
        assert sample("--n", 2) == (2, None, "", said)
    monkeypatch.setattr(command, "drawn", failing(RuntimeError("a fault of the program")))
    with pytest.raises(RuntimeError, match="a fault"):
        sample("--n", 2)


def test_a_picture_may_be_in_capitals(tmp_path):
    assert main(["sample", "--n", "1", "--steps", "1", "--out", str(tmp_path / "GRID.PNG")]) == 0
    assert Image.open(tmp_path / "GRID.PNG").format == "PNG"


def test_numbers_are_the_digits_of_the_picture(sample, tmp_path):
    """What `judge` reads: uint8 (n, 28, 28) and the labels that were asked for."""
    told = ("--n", 4, "--digits", "7,1", "--steps", 2)
    picture = sample(*told)[1]
    out = tmp_path / "digits.npz"
    assert main(["sample", "--out", str(out), *map(str, told)]) == 0
    with np.load(out) as content:
        images, labels = content["images"], content["labels"]
    assert (images.dtype, images.shape, labels.tolist()) == (np.uint8, (4, 28, 28), [7, 1, 7, 1])
    assert torch.equal(torch.tensor(images[:, None] / 127.5 - 1, dtype=torch.float32), digits_in(picture, 4, 4))


LIGHT = """
import sys
from diffusion_lab.__main__ import main
status = main(["sample", "--n", "1", "--steps", "1"])
print(status, [name for name in ("matplotlib", "sklearn", "pandas", "IPython", "ipywidgets") if name in sys.modules])
"""


def test_it_imports_little(tmp_path):
    """A picture needs neither matplotlib nor scikit-learn, pandas or IPython."""
    done = subprocess.run([sys.executable, "-c", LIGHT], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "0 []", done.stderr


def test_from_a_terminal(tmp_path):
    """As a program of its own: the exit status reaches the shell, and no traceback the reader."""
    def command(*words):
        return subprocess.run([sys.executable, "-m", "diffusion_lab", "sample", *words], cwd=tmp_path,
                              capture_output=True, text=True, check=False, env=os.environ)

    done = command("--n", "2", "--steps", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert Image.open(tmp_path / "grid.png").size == (58 * 3, 28 * 3)
    refused = command("--checkpoint", "nothing")
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)


@pytest.mark.skipif(os.name != "posix", reason="there is no pseudo-terminal")
def test_a_terminal_shows_the_progress(tmp_path):
    import pty
    import termios

    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    os.set_blocking(ours, False)
    process = subprocess.Popen([sys.executable, "-m", "diffusion_lab", "sample", "--n", "65", "--steps", "2"],
                               cwd=tmp_path, stdout=subprocess.PIPE, stderr=theirs, text=True)
    told = process.communicate()[0]
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    os.close(theirs)
    assert process.returncode == 0
    assert "drawing: " in shown
    assert "/4 [" in shown, "65 digits are two batches of at most 64, in 2 steps each"
    assert told.startswith("65 digits in ")
