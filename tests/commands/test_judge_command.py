"""python -m diffusion_lab judge: what a file of samples is understood as, what is said of it, and what is refused."""

import numpy as np
import pytest
import torch

from diffusion_lab import __main__ as program
from diffusion_lab.commands import judge
from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation.second_judge import held_back

EVERY = load_digits("train")
BACK = held_back(EVERY[1])
CHOSEN = torch.cat([(BACK & (EVERY[1] == kind)).nonzero()[:20, 0] for kind in range(10)])
IMAGES, LABELS = EVERY[0][CHOSEN], EVERY[1][CHOSEN]  # twenty of each kind, which the second judge has not seen
PIXELS = ((IMAGES[:, 0] + 1) * 127.5).round().to(torch.uint8).numpy()
SIGNED = "numbers from -1, black, to 1, white"


def saved(path, **arrays):
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize(("images", "told"), [
    (PIXELS, "numbers from 0, black, to 255, white"),
    (PIXELS[:, None], "numbers from 0, black, to 255, white"),
    (PIXELS.astype(np.float32), "numbers from 0, black, to 255, white"),
    (IMAGES.numpy(), SIGNED),
    (IMAGES[:, 0].double().numpy(), SIGNED),
    (PIXELS / 255, "numbers from 0, black, to 1, white"),
])
def test_images_are_understood_and_it_says_how(tmp_path, images, told):
    samples = judge.read_samples(saved(tmp_path / "file.npz", images=images, labels=LABELS.numpy()))
    assert samples.told == told
    assert (samples.images.dtype, samples.images.shape) == (torch.float32, (200, 1, 28, 28))
    assert torch.allclose(samples.images, IMAGES, atol=1e-6)
    assert torch.equal(samples.labels, LABELS)


def with_one(value):
    images = IMAGES.numpy().copy()
    images[3, 0, 5, 5] = value
    return images


@pytest.mark.parametrize(("arrays", "said"), [
    ({"x": PIXELS}, "holds no array `images`, but x. Name it"),
    ({"images": PIXELS[:, :27]}, "must have the shape (n, 28, 28) or (n, 1, 28, 28), but theirs is (200, 27, 28)."),
    ({"images": PIXELS[:, :, :, None]}, "but theirs is (200, 28, 28, 1)."),
    ({"images": PIXELS[0]}, "but theirs is (28, 28)."),
    ({"images": PIXELS[:99]}, "at least 100 images are needed, better 1000, but there are 99."),
    ({"images": PIXELS.astype(np.int64)}, "or floats, from -1 or 0 to 1, but these are int64."),
    ({"images": with_one(np.nan)}, "the images hold NaN or infinite values."),
    ({"images": with_one(-np.inf)}, "the images hold NaN or infinite values."),
    ({"images": with_one(1.5)}, "but these run from -1 to 1.5. Clip them first."),
    ({"images": PIXELS * 2.0}, "the largest number of the images is 510, and not within 0…255."),
    ({"images": PIXELS, "labels": LABELS.numpy()[:9]}, "labels must be 200 whole numbers, one for each image"),
    ({"images": PIXELS, "labels": LABELS.numpy() + 1}, "labels must lie within 0…9, but these run from 1 to 10."),
    ({"images": PIXELS, "labels": LABELS.numpy() * 1.0}, "labels must be 200 whole numbers"),
    ({"images": PIXELS, "labels": LABELS.numpy() * 0}, "all ten kinds are needed, at least 2 of each, but there are"),
])
def test_what_cannot_be_judged_is_refused_before_any_work(tmp_path, capsys, monkeypatch, arrays, said):
    monkeypatch.setattr(judge, "rows_of", None)
    assert program.main(["judge", str(saved(tmp_path / "file.npz", **arrays))]) == 2
    told = capsys.readouterr().err
    assert told.startswith("judge: ")
    assert said in told
    assert told.count("\n") == 1


def test_what_is_no_such_file_is_refused(tmp_path, capsys):
    np.save(tmp_path / "one.npy", PIXELS)
    np.savez(tmp_path / "objects.npz", images=np.array([{}], dtype=object))
    (tmp_path / "text.npz").write_text("digits")
    (tmp_path / "cut.npz").write_bytes(saved(tmp_path / "whole.npz", images=PIXELS).read_bytes()[:5000])
    for name in ("one.npy", "objects.npz", "text.npz", "cut.npz"):
        assert program.main(["judge", str(tmp_path / name)]) == 2
        assert "is no NPZ file of plain arrays" in capsys.readouterr().err
    for name in ("nothing.npz", "."):
        assert program.main(["judge", str(tmp_path / name)]) == 2
        assert "there is no file" in capsys.readouterr().err


@pytest.mark.parametrize("labelled", [True, False])
def test_the_report(tmp_path, capsys, monkeypatch, labelled):
    """Real digits are near the floor; without labels, nothing is said of what was asked for."""
    monkeypatch.setattr(judge, "share_of_real", lambda *_: 0.5)
    names = {"labels": LABELS.numpy()} if labelled else {}
    assert program.main(["judge", str(saved(tmp_path / "file.npz", images=PIXELS, **names))]) == 0
    told = capsys.readouterr().out
    rows = {line[:36].strip(): line[36:].split() for line in told.splitlines() if line[36:].split()}
    assert 0.7 < float(rows["distance / floor, first judge"][0]) < 1.4
    assert 0.7 < float(rows["distance / floor, second judge"][0]) < 1.4
    assert rows["a reader trained on them / on real"][0] == "0.500"
    assert rows["distance to nearest training image"][0] == "0.00", "these are copies"
    assert ("label accuracy, first judge" in rows) == labelled
    assert ("They have no labels" in told) != labelled
    assert "compare with as many" in told


@pytest.mark.parametrize("labelled", [True, False])
def test_bad_digits_get_their_report_too(tmp_path, capsys, monkeypatch, labelled):
    """Where too few are read rightly, variety cannot be taken: a dash there, and all other rows."""
    monkeypatch.setattr(judge, "share_of_real", lambda *_: 0.5)
    noise = torch.randint(256, (200, 28, 28), generator=torch.Generator().manual_seed(0), dtype=torch.uint8).numpy()
    names = {"labels": LABELS.numpy()} if labelled else {}
    assert program.main(["judge", str(saved(tmp_path / "noise.npz", images=noise, **names))]) == 0
    told = capsys.readouterr().out
    rows = {line[:36].strip(): line[36:].split() for line in told.splitlines() if line[36:].split()}
    assert float(rows["distance / floor, first judge"][0]) > 10
    assert rows["variety within a kind, features"][0] == rows["variety within a kind, shapes"][0] == "–"
    assert "distance to nearest training image" in rows
    assert "–: of some kind the second judge reads fewer than two" in told


def test_clothes_are_held_against_clothes(tmp_path, capsys, monkeypatch):
    """The judges read digits, so that they say nothing here; what needs no judge is told."""
    real = {"train": (-IMAGES.roll(1, dims=3), LABELS), "test": (-IMAGES, LABELS)}
    monkeypatch.setattr(judge.openml, "load_fashion_mnist", real.get)
    monkeypatch.setattr(judge, "share_of_real", lambda *_: 0.5)
    file = saved(tmp_path / "file.npz", images=-IMAGES.numpy(), labels=LABELS.numpy())
    assert program.main(["judge", str(file), "--data", "fashion-mnist"]) == 0
    told = capsys.readouterr().out
    assert "judge" not in told
    assert [line.split()[-2:] for line in told.splitlines() if "most" in line] == [["1.00", "1.03"]]
    assert program.main(["judge", str(saved(tmp_path / "b.npz", images=PIXELS)), "--data", "fashion-mnist"]) == 2
    assert "without labels, only digits can be judged" in capsys.readouterr().err
