# %% [markdown]
# # Watch noise become a digit
#
# Click into the first grey cell below and press **Shift + Enter**, again and again, until a slider appears. Each press
# runs one cell. Then drag the slider, or press the arrow keys. At which time $t$ can you first tell which digits they
# will be?
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

from diffusion_lab.course.doctor import examine, report
from diffusion_lab.course.map import course_map, described
from diffusion_lab.data.digits import load_digits
from diffusion_lab.exercises.start_here import check_to_pixels
from diffusion_lab.sampling.chain import last, spaced
from diffusion_lab.sampling.ddpm import ddpm
from diffusion_lab.theory.forward import q_sample
from diffusion_lab.theory.schedule import cosine
from diffusion_lab.view.live import Live
from diffusion_lab.view.pictures import mosaic
from diffusion_lab.view.scrubber import Scrubber
from diffusion_lab.view.show import show
from diffusion_lab.view.style import figure
from diffusion_lab.weights.pretrained import load_pretrained

# %%
denoiser = load_pretrained("mnist")
generator = torch.Generator().manual_seed(3)
noise = torch.randn(8, 1, 28, 28, generator=generator)
with torch.no_grad():
    chain = ddpm(denoiser, noise, spaced(1000, 50), label=torch.arange(8), generator=generator)
    steps = list(chain)

# %% tags=["figure"]
frames = [mosaic(noise)] + [mosaic(step.x_s) for step in steps]
times = [1000] + [step.s for step in steps]
Scrubber(
    frames,
    labels=[f"t = {t}" for t in times],
    caption="Eight images on the way from noise (t = 1000) to digits (t = 0).",
    alt="Eight squares of grey noise in which, along the slider, eight handwritten digits appear.",
)

# %% [markdown]
# What to have seen: for a long time nothing, then faint strokes at about $t = 700$. Between 600 and 400 one digit after
# the other can be read, and the last grains go at the very end. A trained network did this. It was told which digit to
# draw in which place, 0 to 7, and nothing else. You will train a network like it in notebook 07; these are the weights
# that come with the course.
#
# ## Predict first
#
# The network was trained on 4,000 images of digits. Are these eight *composed* by the network, or are they *copies* of
# images that it has seen? Decide before you go on. The next cell finds, for each of the eight, the nearest of the 4,000,
# and does the same for 200 digits that were kept aside. Nearest means that the 784 pixels differ least: we square the
# differences, add them up, and take the root.

# %%
images, labels = load_digits("train")
kept_aside, kept_labels = load_digits("test")
made = steps[-1].x_s.clamp(-1, 1)
nearest = torch.cdist(made.flatten(1), images.flatten(1)).min(dim=1)
typical = torch.cdist(kept_aside[::5].flatten(1), images.flatten(1)).min(dim=1).values.median()
print("distance to the nearest training digit, median:")
print(f"drawn {nearest.values.median():.0f}, kept aside {typical:.0f}")

# %% tags=["figure"]
show(mosaic(torch.cat([made, images[nearest.indices]]), columns=8, scale=3),
     alt="Above, the eight drawn digits. Below each, the nearest of the training digits: "
         "alike, and never the same.")

# %% [markdown]
# **Figure 1.** Above: the eight. Below each, the nearest of the 4,000: much alike, and in no case the same.
#
# They are composed. A copy would have a distance of about 0. These lie about as far from the nearest training digit as
# a real digit does that somebody else wrote. (The 1 is nearer. So are the real 1s that were kept aside, since all 1s
# are much alike.) Notebook 05 shows a denoiser that does copy, the exact one, and why a network does not become it.

# %% tags=["claim"]
ones = kept_aside[kept_labels == 1]
real_ones = torch.cdist(ones.flatten(1), images.flatten(1)).min(dim=1).values.median()
assert 0.6 < nearest.values.median() / typical < 1.6
assert nearest.values.min() > 0.3 * typical  # none of the eight is a copy, or nearly one
assert 0.6 < nearest.values[1] / real_ones < 1.6 < typical / real_ones  # all 1s are much alike

# %% [markdown]
# ## What a diffusion model is
#
# It is a **generative model** (生成模型): a program that makes new examples like those that it was shown. It has two
# directions. (This course grew out of a Chinese article, *Principles of diffusion models*; hence the Chinese words. It
# mixes the two up: diffusion, it says, takes data "from noise to the original state".)
#
# - **Forward**, from data to noise: a little noise is added to an image, again and again, until nothing of the image is
#   left. This is fixed. Nothing is learned. (Notebook 02.)
# - **Reverse**, from noise to data: a **denoiser** looks at a noisy image and gives its best guess of the clean one. The
#   program takes a small step that way, adds a little fresh noise, and asks again. The denoiser is learned; the rest is
#   not. (Notebooks 03 to 08.)
#
# Time is counted by $t$: $t = 0$ is the clean image, $t = 1000$ pure noise.

# %%
times = [0, 120, 240, 380, 500, 620, 760, 880, 1000]
forward = torch.cat([q_sample(kept_aside[1:2], t, noise[3:4], cosine()) for t in times])
back = torch.cat([noise[2:3]] + [step.x_s[2:3] for step in steps if step.s in times])

# %% tags=["figure"]
rows = [("forward: add noise  →", forward, times), ("reverse: denoise  →", back, times[::-1])]
fig, axes = figure(rows=2, width=8, height=3.1)
for ax, (title, row, visited) in zip(axes, rows):
    picture = mosaic(row, scale=3)
    ax.imshow(picture, cmap="gray", vmin=0, vmax=255)
    middles = [(k + 0.5) * picture.shape[1] / 9 for k in range(9)]
    ax.set_xticks(middles, [f"t = {t}" for t in visited])
    ax.set(title=title, yticks=[])
    ax.tick_params(length=0, grid_alpha=0)
    ax.spines[:].set_visible(False)
show(fig, alt="Two rows of nine pictures. "
               "Above, a three fades into noise. Below, a two emerges from noise.")

# %% [markdown]
# **Figure 2.** The whole of it. Above, the **diffusion process** (扩散过程): a real digit drowns in noise drawn from the
# **noise distribution** (噪声分布; it is a bell curve, and notebook 01 is about it). Below, the **denoising process**
# (去噪过程), which starts from fresh noise and ends in **image generation** (图像生成).
#
# **Try it.** Here is one question to the denoiser, with its answer. You choose how much noise covers the digit. How far can
# you go until the answer is another digit, or none? And what does it say at $t = 1000$, where nothing is left to see? (This
# time it is not told which digit to look for.)

# %%
def ask(t):
    """A digit with noise as at time t, and the denoiser's answer."""
    noisy = q_sample(made[2:3], t, noise[3:4], cosine())
    with torch.no_grad():
        return noisy, denoiser(noisy, t)


# %% tags=["figure"]
Live(
    lambda t: mosaic(torch.cat([made[2:3], *ask(t)]), scale=6),
    caption="Left: a digit. Middle: the digit with noise. Right: what the denoiser takes it for.",
    alt="Three squares: a digit, the same digit under noise, and the denoiser's answer, "
        "which blurs as the noise grows.",
    t=widgets.IntSlider(value=600, min=1, max=1000, description="t"),
)

# %% [markdown]
# What to have seen: at $t = 600$ the middle looks like grain to you, and still the answer is the digit, with softer
# edges. Towards 900 it becomes a smudge, and at 1000 only a grey cloud is left, the same for every digit. The
# denoiser's best guess is an *average* of all clean images that could be under the noise, in which the likelier ones
# count more. Where many are possible, their average is grey.

# %% tags=["claim"]
error = [(ask(t)[1] - made[2:3]).square().mean().sqrt() for t in (300, 600, 1000)]
assert error[0] < error[1] < error[2] / 2

# %% [markdown]
# ## The map

# %% tags=["figure"]
show(course_map(), alt=described())

# %% [markdown]
# **Figure 3.** The course, in the order of the arrows. Each notebook begins with what you will be able to do and what
# you need for it, and ends with a summary. (Nats, in the box of 04, are a unit that notebook 01 introduces.)
#
# <!-- every lesson -->
#
# In a hurry? [Three routes](../docs/routes.md): two hours, a weekend, a month.
#
# ## How to use the notebooks
#
# **Alone.** Run each cell with Shift + Enter, in order. Before a picture there is a question: answer it first. `make lab`
# opens *your own copy* in the folder `my-notebooks`, so that an update of the course never overwrites your answers. If
# something looks odd, choose *Kernel → Restart Kernel and Run All Cells*.
#
# **In class.** The sliders that play are made to be shown: all frames are in the browser, and nothing waits. The questions headed
# *Predict first* are meant for the room. *View → Appearance → Presentation Mode* makes the
# text larger.
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
# You should have seen a slider above. If you saw only pictures side by side, or text, the program in which you opened
# this notebook does not show sliders: open it with `make lab`, or see what the line *sliders* below says. If the first
# cell stopped with `ModuleNotFoundError`, run `.venv/bin/python -m diffusion_lab doctor` in a terminal, in the folder of
# the course: it needs no package, and says the same.
#
# The next cell looks at Python, the packages, the sliders, the processor and the memory. It marks with `->` what must be
# put right, with `--` what only makes the course slower, and says what to do.

# %% tags=["nbval-ignore-output"]
report()

# %% tags=["claim"]
assert all(finding.ok for finding in examine() if finding.needed), "see the lines marked -> above"

# %% [markdown]
# ## Exercises
#
# An exercise has three cells: one for your answer, one that checks it, and one with a hint and a solution, folded. Try
# this one for practice. Give a wrong answer first, and read what the check says.
#
# ### Exercise 1 (warm-up): images and pixels
#
# In this course the values of an image run from -1 (black) to 1 (white). A screen wants 0 (black) to 255 (white). Do
# not round yet, and leave `x` as it is.

# %% tags=["exercise"]
def to_pixels(x):
    """Values from 0 to 255, not rounded.

    x: float64, any shape, from -1 to 1. Returns a new tensor of that shape.
    """
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
# Why fifty steps, if the denoiser guesses the clean image in one? Many a first program asks it once and takes the
# answer for a sample; so does the article, with one call of `model.predict(noisy)`. Here is that answer, from pure
# noise, beside what fifty small steps make of the same noise. In both the network is not told which digit to draw.

# %%
with torch.no_grad():
    at_once = denoiser(noise, 1000).clamp(-1, 1)
    in_fifty = last(ddpm(denoiser, noise, spaced(1000, 50), generator=generator)).clamp(-1, 1)
contrast = [pictures.std(dim=(1, 2, 3)).mean() for pictures in (at_once, in_fifty)]
print("contrast, how far the pixels spread around their mean:")
print(f"one step {contrast[0]:.1f}, fifty steps {contrast[1]:.1f}")

# %% tags=["figure"]
show(mosaic(torch.cat([at_once, in_fifty]), columns=8),
     alt="Above, eight times the same blurred grey smudge. "
         "Below, eight sharp images, most of them clear digits.")

# %% [markdown]
# **Figure 4.** Above: one step. Below: fifty. From pure noise every digit is about equally likely, so the one answer
# that errs least on average, in squared distance, is the average of them all. *The symptom*: samples are blurred, and
# all alike. Many small steps, each told the time $t$, let the image settle on one possibility. (Not every image below
# is a clear digit: the network is small, and was not told which to draw.)

# %% tags=["claim"]
mean_digit = images.mean(dim=0)
assert contrast[0] < 0.7 * contrast[1]
assert (at_once - mean_digit).square().mean() < 0.1 * (in_fifty - mean_digit).square().mean()

# %% [markdown]
# ## Summary
#
# - A diffusion model destroys data by a fixed forward process and learns the way back.
# - You ran cells, moved a slider, and had an exercise checked.
# - The environment check names what is missing, and the remedy.
# - The map shows all notebooks; 01 is next.
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
# By its distance to the nearest training digit. A copy has about 0. A composed digit is as far away as a real one that
# was kept aside.
# </details>
#
# <details><summary>Where are your answers after a <code>git pull</code>?</summary>
#
# In `my-notebooks`, untouched. `make lab` tells you if a newer edition of a notebook has come.
# </details>
#
# ## Glossary
#
# [The words of the course, with the Chinese terms](../docs/glossary.md): what each means, and which notebook defines it.
#
# **Acronyms.** CNN: convolutional neural network. CPU: central processing unit, a computer's ordinary processor. DDPM:
# denoising diffusion probabilistic model, the paper of Ho et al. DNN: deep neural network. ELBO: evidence lower bound.
# GAN (生成对抗网络): generative adversarial network, another kind of generative model (Goodfellow et al. 2014). KL:
# Kullback–Leibler. PDF: probability density function. SNR: signal-to-noise ratio. VAE (变分自编码器): variational
# autoencoder, a third kind.
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
