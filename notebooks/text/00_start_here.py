# %% [markdown]
# # Watch noise become a digit
#
# Click into the first grey cell below and press **Shift + Enter** three times. Each press runs one cell. Then drag the
# slider, or press the arrow keys. At which time $t$ can you first tell which digits they will be?
#
# You will be able to
#
# - **say** what a diffusion model does, forward and back,
# - **use** these notebooks: cells, sliders, exercises that answer back,
# - **check** that your computer has what the course needs,
# - **find** your way: the map, the glossary, what to read when.
#
# **You need** some Python. **Time to read** 20 minutes · **to run** 10 seconds. **Paper sections**: Ho et al. 2020,
# section 1 and figure 2.

# %%
import ipywidgets as widgets
import torch

from diffusion_lab.data.digits import load_digits
from diffusion_lab.doctor import check, report
from diffusion_lab.exercises.start_here import check_to_pixels
from diffusion_lab.sampling.ddpm import ddpm
from diffusion_lab.sampling.timesteps import spaced
from diffusion_lab.theory.forward import q_sample
from diffusion_lab.theory.schedule import cosine
from diffusion_lab.training.pretrained import load_pretrained
from diffusion_lab.view.course_map import course_map
from diffusion_lab.view.live import Live
from diffusion_lab.view.pictures import mosaic, show
from diffusion_lab.view.scrubber import Scrubber
from diffusion_lab.view.style import figure

# %%
denoiser, generator = load_pretrained("mnist"), torch.Generator().manual_seed(3)
noise = torch.randn(8, 1, 28, 28, generator=generator)
with torch.no_grad():
    steps = list(ddpm(denoiser, noise, spaced(1000, 50), label=torch.arange(8), generator=generator))

# %%
frames = [mosaic(noise)] + [mosaic(step.x_s) for step in steps]
Scrubber(frames, [f"t = {t}" for t in [1000] + [step.s for step in steps]],
         "Eight images on the way from noise (t = 1000) to digits (t = 0).",
         "Eight squares of grey noise in which, from left to right on the slider, eight handwritten digits appear.")

# %% [markdown]
# What to have seen: for a long time nothing, then faint strokes at about $t = 700$, a readable digit at 400, and the last
# grains go at the very end. A trained network did this. It was told which digit to draw in which place, 0 to 7, and
# nothing else. You will train the same network in notebook 07; these are the weights that come with the course.
#
# ## Predict first
#
# The network was trained on 4,000 images of digits. Are these eight *composed* by the network, or are they *copies* of
# images that it has seen? Decide before you go on. The next cell finds, for each of the eight, the nearest of the 4,000,
# and does the same for 200 digits that were kept aside.

# %%
images, labels = load_digits("train")
kept_aside, _ = load_digits("test")
made = steps[-1].x_s.clamp(-1, 1)
nearest = torch.cdist(made.flatten(1), images.flatten(1)).min(dim=1).values.median()
typical = torch.cdist(kept_aside[::5].flatten(1), images.flatten(1)).min(dim=1).values.median()
print(f"distance to the nearest training digit: drawn digits {nearest:.0f}, real digits kept aside {typical:.0f}")
assert 0.6 < nearest / typical < 1.6

# %% [markdown]
# They are composed. A copy would have a distance of 0. These lie about as far from the nearest training digit as a real
# digit does that somebody else wrote. (Notebook 05 shows a denoiser that does copy, the exact one, and why a network does
# not become it.)
#
# ## What a diffusion model is
#
# It has two directions (the article from which this course grew mixes them up; it says that diffusion takes data "from
# noise to the original state").
#
# - **Forward**, from data to noise: a little noise is added to an image, again and again, until nothing of the image is
#   left. This is fixed. Nothing is learned. (Notebook 02.)
# - **Reverse**, from noise to data: a **denoiser** looks at a noisy image and says what the clean one probably was. The
#   program takes a small step that way, adds a little fresh noise, and asks again. The denoiser is learned; the rest is
#   not. (Notebooks 03 to 08.)
#
# Time is counted by $t$: $t = 0$ is the clean image, $t = 1000$ pure noise.

# %%
forward_times = [0, 125, 250, 375, 500, 625, 750, 875, 1000]
forward = torch.cat([q_sample(made[2:3], t, noise[2:3], cosine()) for t in forward_times])
back = torch.cat([noise[2:3]] + [step.x_s[2:3] for step in steps if step.s in (880, 760, 620, 500, 380, 260, 120, 0)])
fig, axes = figure(rows=2, width=8, height=2.7)
for ax, row, title in zip(axes, (forward, back), ("forward: add noise, t = 0 to 1000", "reverse: denoise, t = 1000 to 0")):
    _ = ax.imshow(mosaic(row, scale=3), cmap="gray", vmin=0, vmax=255)
    _ = ax.set_title(title + "  →")
    ax.set_axis_off()
show(fig, alt="Two rows of nine pictures. Above, a digit fades into noise. Below, a digit emerges from noise.")

# %% [markdown]
# **Figure 1.** The whole of it. Above, the **diffusion process** (扩散过程): a digit drowns in noise drawn from the **noise
# distribution** (噪声分布). Below, the **denoising process** (去噪过程), which starts from fresh noise and ends in **image
# generation** (图像生成).
#
# **Try it.** Here is one question to the denoiser, with its answer. You choose how much noise covers the digit. How far can
# you go until the answer is another digit, or none? And what does it say at $t = 1000$, where nothing is left to see?

# %%
def ask(t):
    """A digit with noise as at time t, and the denoiser's answer."""
    noisy = q_sample(made[2:3], t, noise[3:4], cosine())
    with torch.no_grad():
        return noisy, denoiser(noisy, t)


# %%
error = [(ask(t)[1] - made[2:3]).square().mean().sqrt() for t in (300, 600, 1000)]
assert error[0] < error[1] < error[2] / 2
Live(lambda t: mosaic(torch.cat([made[2:3], *ask(t)]), scale=6),
     caption="Left: a digit. Middle: the digit with noise. Right: what the denoiser takes it for.",
     alt="Three squares: a digit, the same digit under noise, and the denoiser's answer, which blurs as the noise grows.",
     t=widgets.IntSlider(value=300, min=1, max=1000, description="t"))

# %% [markdown]
# What to have seen: at $t = 600$ the middle looks like grain to you, and still the answer is the digit, with softer edges.
# Towards 900 it becomes a smudge, and at 1000 only a grey cloud is left, the same for every digit. It never names a wrong
# digit boldly. The denoiser says what the clean digit was *on average*, and where many are possible, their average is grey.
#
# ## The map

# %%
show(course_map(written=[f"{number:02}" for number in range(9)]),
     alt="Nine boxes in two rows. Above, 00 to 04: what is true with pen and paper. Below, 05 to 08: what is learned.")

# %% [markdown]
# **Figure 2.** The course, in the order of the arrows. Each notebook begins with what you need for it, and ends with what
# you can do.
#
# [01 Gaussian density](01_gaussian_pdf.ipynb) · [02 Forward chain](02_forward_markov_chain.ipynb) ·
# [03 Reverse posterior](03_reverse_posterior.ipynb) · [04 The bound](04_elbo.ipynb) · [05 Denoiser](05_denoiser.ipynb) ·
# [06 U-Net](06_unet.ipynb) · [07 Train](07_train.ipynb) · [08 Sample](08_sampling.ipynb)
#
# In a hurry? Two hours: this notebook, sections 1 and 3 of 02, sections 3 and 4 of 03. A weekend: all, with the
# exercises marked *core*.
#
# ## How to use the notebooks
#
# **Alone.** Run each cell with Shift + Enter, in order. Before a picture there is a question: answer it first. `make lab`
# opens *your own copy* in the folder `my-notebooks`, so that an update of the course never overwrites your answers. If
# something looks odd, choose *Kernel → Restart Kernel and Run All Cells*.
#
# **In class.** The sliders are made to be shown: all frames are in the browser, and nothing waits. The questions headed
# *Predict first* are meant for the room. *View → Presentation Mode* makes the text larger.
#
# **On Binder.** The badge at the top opens the notebook on a free computer on the web, with one slow processor and 2 GB
# of memory. Keep one notebook open at a time. A session that is idle for about ten minutes ends, and **your answers go
# with it**: save them with *File → Download*.
#
# **Sliders.** Drag, or click on the slider and use the arrow keys (one step), Page Up and Page Down (many), Home and
# End, and the space bar to play. Where no program runs, on GitHub or in print, you see some of the pictures side by side.
#
# ## Is your computer ready?
#
# You should have seen a slider above. If you saw only pictures side by side, or text, your front end does not show
# widgets: start it with `make lab`, or see what the line *sliders* below says. If the first cell stopped with
# `ModuleNotFoundError`, run `python -m diffusion_lab.doctor` in a terminal: it needs no package, and says the same.
#
# The next cell looks at Python, the packages, the sliders, the processor, the memory and the network, and says what to do
# where something is missing. A network is not needed, except to download the full MNIST data, which no notebook requires.

# %% tags=["nbval-ignore-output"]
report()

# %%
assert all(finding.ok for finding in check() if finding.needed), "see the lines marked -> above"
print("Python and all packages are as the course needs them.")

# %% [markdown]
# ## Exercises
#
# An exercise has three cells: one for your answer, one that checks it, and one with a hint and a solution, folded. Try
# this one for practice. Give a wrong answer first, and read what the check says.
#
# ### Exercise 1 (warm-up): images and pixels
#
# In this course the values of an image run from -1 (black) to 1 (white). A screen wants 0 (black) to 255 (white).

# %% tags=["exercise"]
def to_pixels(x):
    """Values from 0 to 255. x: float64, any shape, from -1 to 1. Returns the shape of x."""
    raise NotImplementedError


# %% tags=["check"]
check_to_pixels(to_pixels)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# First shift the values so that they start at 0. Where do they end then?
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def to_pixels(x):
#     return (x + 1) * 127.5
# ```
# </details>

# %% [markdown]
# ## A common mistake
#
# Why fifty steps, if the denoiser can say what the clean image probably was? Many a first program asks it once and
# takes the answer for a sample; so does the article, with one call of `model.predict(noisy)`. Here is that answer, from
# pure noise, beside what fifty small steps make of the same noise.

# %%
with torch.no_grad():
    at_once = denoiser(noise, 1000).clamp(-1, 1)
contrast = at_once.std(dim=(1, 2, 3)).mean() / made.std(dim=(1, 2, 3)).mean()
assert contrast < 0.7
print("a one-step answer has less than 0.7 of the contrast of a digit")
show(mosaic(torch.cat([at_once, made]), columns=8),
     alt="Above, eight times the same blurred grey smudge. Below, eight clear digits.")

# %% [markdown]
# **Figure 3.** Above: one step. Below: fifty. From pure noise every digit is equally likely, so the best single answer is
# the average of them all. *The symptom*: samples are blurred, and all alike. Many small steps, each conditioned on the
# time $t$, let the image settle on one possibility.
#
# ## Summary
#
# - A diffusion model destroys data by a fixed forward process and learns the way back.
# - You ran cells, moved a slider, and had an exercise checked.
# - The environment check names what is missing, and the remedy.
# - The map shows nine notebooks; 01 is next.
#
# ## Check yourself
#
# <details><summary>Which of the two directions is learned?</summary>
#
# The reverse one, from noise to data; in it, the denoiser. The forward direction is fixed.
# </details>
#
# <details><summary>How can you tell a digit that was composed from one that was copied?</summary>
#
# By its distance to the nearest training digit. A copy has 0. A composed digit is as far away as a real one that was kept
# aside.
# </details>
#
# <details><summary>Where are your answers after a <code>git pull</code>?</summary>
#
# In `my-notebooks`, untouched. `make lab` tells you if a newer edition of a notebook has come.
# </details>
#
# ## Glossary
#
# | term | Chinese | in one sentence | notebook |
# |---|---|---|---|
# | diffusion model | 扩散模型 | a generative model that learns to undo the gradual addition of noise | 00 |
# | generative model | 生成模型 | a program that makes new examples like those that it was shown | 00 |
# | noise | 噪声 | random numbers without any pattern; here always Gaussian | 01 |
# | noise distribution | 噪声分布 | the law that the noise is drawn from | 01 |
# | density (PDF) | 概率密度函数 | a height whose area is a probability | 01 |
# | mean, variance | 均值, 方差 | the middle of a density; the average squared distance from it | 01 |
# | standard deviation | 标准差 | the root of the variance | 01 |
# | KL divergence | KL 散度 | how wrong it is to believe one density when another is true, in nats | 01 |
# | diffusion process, forward process | 扩散过程, 前向过程 | data to noise, step by step; fixed | 02 |
# | Markov chain | 马尔可夫链 | a sequence in which each state depends on the last one only | 02 |
# | noise schedule | 噪声调度 | how much noise is added at which step | 02 |
# | signal-to-noise ratio (SNR) | 信噪比 | variance of the signal over variance of the noise | 02 |
# | prior, likelihood, posterior | 先验, 似然, 后验 | what was believed, what a measurement says, and both together | 03 |
# | denoising process, reverse process | 去噪过程, 逆向过程 | noise to data, step by step; learned | 03 |
# | denoiser | 去噪器 | says what the clean datum was on average, given a noisy one | 03 |
# | ancestral sampling | 祖先采样 | drawing each state from the one after it, down to the data | 03 |
# | image generation | 图像生成 | running the reverse process from fresh noise | 00, 08 |
# | evidence lower bound (ELBO) | 证据下界 | a number that the log-probability of the data is never below | 04 |
# | deep learning, neural network (DNN) | 深度学习, 神经网络 | functions with many parameters, fitted to data | 05 |
# | convolutional network (CNN) | 卷积神经网络 | a network that looks at all places of an image in the same way | 06 |
#
# **Acronyms.** CNN: convolutional neural network. DDPM: denoising diffusion probabilistic model, the paper of Ho et al.
# DNN: deep neural network. ELBO: evidence lower bound. GAN (生成对抗网络): generative adversarial network, another kind of
# generative model (Goodfellow et al. 2014). KL: Kullback–Leibler. PDF: probability density function. SNR:
# signal-to-noise ratio. VAE (变分自编码器): variational autoencoder, a third kind.
#
# ## Further reading
#
# - Ho, Jain & Abbeel (2020), *Denoising Diffusion Probabilistic Models*: the paper that this course follows. Read its
#   figure 2 now, and its section 2 beside notebooks 02 to 04.
# - Sohl-Dickstein et al. (2015), *Deep Unsupervised Learning using Nonequilibrium Thermodynamics*: where the idea comes
#   from.
#
# ## Next
#
# [Notebook 01](01_gaussian_pdf.ipynb) is about the noise itself: the Gaussian density.
