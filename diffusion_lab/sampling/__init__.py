"""From noise to data: each sampler is a generator that needs a denoiser and nothing else."""
