"""The shipped digits are what they are said to be, and a damaged file is refused."""

import io
import zipfile
from collections import Counter

import numpy as np
import pytest
import torch

from diffusion_lab.data import digits
from diffusion_lab.data.digits import FILE, as_images, load_digits

SIZES = {None: 5000, "train": 4000, "test": 1000}


@pytest.mark.parametrize("split", SIZES)
def test_form(split):
    images, labels = load_digits(split)
    assert images.shape == (SIZES[split], 1, 28, 28)
    assert images.dtype == torch.float32
    assert labels.shape == (SIZES[split],)
    assert labels.dtype == torch.int64
    assert (images.min(), images.max()) == (-1, 1)
    assert Counter(labels.tolist()) == dict.fromkeys(range(10), SIZES[split] // 10)


def test_train_and_test_make_the_whole_and_share_no_digit():
    (train, train_labels), (test, test_labels), (images, labels) = map(load_digits, ("train", "test", None))
    assert torch.equal(torch.cat([train, test]), images)
    assert torch.equal(torch.cat([train_labels, test_labels]), labels)
    seen = {image.numpy().tobytes() for image in train}
    assert not any(image.numpy().tobytes() in seen for image in test)


def test_they_are_digits_the_right_way_up():
    """A nearest-class-mean rule from "train" reads most of "test"; it would read none of shuffled labels."""
    (train, train_labels), (test, test_labels) = load_digits("train"), load_digits("test")
    means = torch.stack([train[train_labels == label].mean(dim=0) for label in range(10)])
    guess = torch.cdist(test.flatten(1), means.flatten(1)).argmin(dim=1)
    assert (guess == test_labels).double().mean() > 0.75
    one = means[1, 0]
    assert one[:, 12:16].mean() > one[12:16].mean(), "a one stands upright"
    seven = means[7, 0]
    assert seven[:14].mean() > seven[14:].mean(), "a seven has its bar on top"


def test_pixels_become_minus_one_to_one():
    pixels = np.array([[[0, 51, 255]]], dtype=np.uint8)
    images = as_images(pixels)
    assert images.shape == (1, 1, 1, 3)
    assert images.flatten().tolist() == pytest.approx([-1, 2 * 51 / 255 - 1, 1], abs=1e-7)
    assert ((load_digits()[0] + 1) * 127.5 - ((load_digits()[0] + 1) * 127.5).round()).abs().max() < 1e-4


def test_the_file_is_small_and_holds_plain_arrays_only():
    assert FILE.stat().st_size < 1_200_000
    with zipfile.ZipFile(FILE) as archive:
        assert sorted(archive.namelist()) == ["images.npy", "labels.npy"]
        for name, shape in (("images.npy", (5000, 28, 28)), ("labels.npy", (5000,))):
            member = io.BytesIO(archive.read(name))
            assert np.lib.format.read_magic(member) == (1, 0)
            found, _, dtype = np.lib.format.read_array_header_1_0(member)
            assert (found, dtype) == (shape, np.uint8), "no Python objects, so no pickles"


@pytest.mark.parametrize("damage", [lambda raw: raw[:-1], lambda raw: b"", lambda raw: raw[:5000] + b"?" + raw[5001:]],
                         ids=["cut short", "empty", "one byte changed"])
def test_a_damaged_file_is_refused(damage, tmp_path, monkeypatch):
    copy = tmp_path / "digits.npz"
    copy.write_bytes(damage(FILE.read_bytes()))
    monkeypatch.setattr(digits, "FILE", copy)
    with pytest.raises(OSError, match="is damaged .*git checkout") as refused:
        load_digits()
    assert str(copy) in str(refused.value)


@pytest.mark.parametrize("folder", [False, True], ids=["missing", "a folder"])
def test_a_missing_file_is_told(folder, tmp_path, monkeypatch):
    path = tmp_path / "digits.npz"
    if folder:
        path.mkdir()
    monkeypatch.setattr(digits, "FILE", path)
    with pytest.raises(OSError, match="is missing, or no file. .*git checkout"):
        load_digits()


def test_an_intact_copy_is_not_refused(tmp_path, monkeypatch):
    copy = tmp_path / "digits.npz"
    copy.write_bytes(FILE.read_bytes())
    monkeypatch.setattr(digits, "FILE", copy)
    assert len(load_digits()[0]) == 5000
