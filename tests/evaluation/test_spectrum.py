"""Power by frequency: waves of known power, real digits beside real ones, and soft or grainy ones, which it sees."""

import math

import pytest
import torch
import torch.nn.functional as F

from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation.spectrum import power_ratio


def wave(k, amplitude):
    """A picture of k crests across, black elsewhere by no more than its amplitude."""
    x = torch.arange(28, dtype=torch.float64) / 28
    return (amplitude * torch.cos(2 * math.pi * k * x)).expand(1, 1, 28, 28)


def blurred(images, share=0.05):
    """Real digits, of which each pixel has given a share to each of its four neighbours."""
    ink = F.pad(images + 1, [1] * 4)
    around = ink[:, :, :-2, 1:-1] + ink[:, :, 2:, 1:-1] + ink[:, :, 1:-1, :-2] + ink[:, :, 1:-1, 2:]
    return (1 - 4 * share) * (images + 1) + share * around - 1


@pytest.mark.parametrize("k", [1, 7, 14])
def test_half_the_amplitude_is_a_quarter_of_the_power_at_its_own_frequency(k):
    noise = 0.1 * torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    both = noise + wave(k, 0.4), noise + wave(k, 0.8)
    ratio = power_ratio(*both)
    others = torch.arange(15) != k
    assert ratio[k] == pytest.approx(0.25, abs=0.02)
    assert torch.allclose(ratio[others], torch.ones(14).double())


def test_what_it_gives():
    images = load_digits("test")[0][:10]
    assert power_ratio(images, images).tolist() == [1.0] * 15
    assert power_ratio(images, images).dtype == torch.float64


def test_real_digits_agree_with_real_ones_to_three_in_a_hundred():
    images, test = load_digits("train")[0], load_digits("test")[0]
    for some in images.split(1000):
        assert (power_ratio(some, test)[3:] - 1).abs().max() < 0.05
        assert (power_ratio(some, test)[3:] - 1).square().mean().sqrt() < 0.03


def test_a_little_blur_is_seen_at_once():
    """5 % to each neighbour multiplies a wave of k crests along one axis by (0.8 + 0.1 + 0.1 cos(2πk/28)), at least."""
    images, test = load_digits("train")[0][:1000], load_digits("test")[0]
    five = power_ratio(blurred(images), test)[10:]
    assert (five > 0.52).all()
    assert (five < 0.7).all()
    assert power_ratio(blurred(images), test)[0] == pytest.approx(1, abs=0.05)


def test_a_little_grain_is_seen_at_once():
    images, test = load_digits("train")[0][:1000], load_digits("test")[0]
    grain = 0.1 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    assert (power_ratio((images + grain).clamp(-1, 1), test)[12:] > 1.1).all()


@pytest.mark.parametrize("bad", [torch.zeros(3, 1, 28, 27), torch.zeros(3, 1, 28, 28).byte(),
                                 3 * torch.ones(3, 1, 28, 28)])
def test_what_is_no_digit_is_refused(bad):
    images = load_digits("test")[0][:3]
    for sets in ((bad, images), (images, bad)):
        with pytest.raises(ValueError, match="digits must have|images must"):
            power_ratio(*sets)
