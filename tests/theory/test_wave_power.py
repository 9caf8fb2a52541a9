"""The power of waves against waves and noise whose power is known."""

import pytest
import torch

from diffusion_lab.theory.spectrum import wave_power


def test_the_power_of_a_wave_is_all_in_its_own_k():
    across = torch.arange(28, dtype=torch.float64) / 28 * 2 * torch.pi
    wave = torch.cos(3 * across).expand(1, 1, 28, 28)
    power = wave_power(wave)
    assert power.shape == (15,)
    assert power.argmax() == 3
    assert float(power.sum() - power[3]) < 1e-12


def test_the_power_of_white_noise_is_its_variance_at_every_k():
    noise = 2 * torch.randn(2000, 1, 28, 28, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(wave_power(noise), torch.full((15,), 4.0, dtype=torch.float64), rtol=0.1)


@pytest.mark.parametrize("images", [torch.zeros(2, 28, 28), torch.zeros(2, 3, 28, 28), torch.zeros(2, 1, 28, 14),
                                    torch.zeros(0, 1, 28, 28), torch.zeros(2, 1, 28, 28, dtype=torch.int64)])
def test_other_pictures_are_refused(images):
    with pytest.raises(ValueError, match="shape \\(n, 1, H, H\\)"):
        wave_power(images)
