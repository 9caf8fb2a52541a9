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

# %% slide [markdown]
# # Watch noise become a digit
#
# A trained network draws eight digits. It was told which digit goes where, and nothing else.
#
# {picture}
#
# *At which time can you first tell which digits they will be?*
#
# Note: Press T, then hold the right arrow, and let the room call "stop". For a long time nothing, then faint strokes at about t = 700, digits that can be read between 600 and 400, and the last grains go at the very end. The time t counts down: 1000 is pure noise, 0 is the picture.

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

# %% slide [markdown]
# ## Predict first: composed, or copied?
#
# The network was trained on 4,000 images of handwritten digits.
#
# *Did it **compose** these eight, or are they **copies** of images that it has seen?*
#
# *How would you find out?*
#
# Note: Vote, then collect tests. The one to steer to: look for the nearest of the 4,000 images. Then ask: near, compared with what? (With real digits that were kept aside.)

# %%
images, labels = load_digits("train")
kept_aside, kept_labels = load_digits("test")
made = steps[-1].x_s.clamp(-1, 1)
nearest = torch.cdist(made.flatten(1), images.flatten(1)).min(dim=1)
typical = torch.cdist(kept_aside[::5].flatten(1), images.flatten(1)).min(dim=1).values.median()
print(f"distance to the nearest training digit, median: drawn {nearest.values.median():.0f}, kept aside {typical:.0f}")
assert 0.6 < nearest.values.median() / typical < 1.6
assert nearest.values.min() > 0.3 * typical  # none of the eight is a copy, or nearly one
real_ones = torch.cdist(kept_aside[kept_labels == 1].flatten(1), images.flatten(1)).min(dim=1).values.median()
assert 0.6 < nearest.values[1] / real_ones < 1.6 < typical / real_ones  # all 1s are much alike
show(mosaic(torch.cat([made, images[nearest.indices]]), columns=8, scale=3),
     alt="Above, the eight drawn digits. Below each, the nearest of the training digits: alike, and never the same.")

# %% slide [markdown]
# ## They are composed
#
# {picture}
#
# Above the eight, below the nearest of the 4,000 training images. Median distance **10**; of real digits that were kept
# aside: **10**. A copy would be at 0.
#
# Note: Look for a pair that is the same; there is none. The numbers are the medians over the eight drawn digits and over 200 real ones; distance is the root of the summed squared differences of the pixels. Somebody will point at the 1, which is nearer. So are the real 1s that were kept aside, for 1s are much alike (checked). Notebook 05 shows a denoiser that does copy, the exact one, and why a network does not become it.

# %% [markdown]
# **Figure 1.** Above: the eight. Below each, the nearest of the 4,000: much alike, and in no case the same.
#
# They are composed. A copy would have a distance of about 0. These lie about as far from the nearest training digit as
# a real digit does that somebody else wrote. (The 1 is nearer. So are the real 1s that were kept aside, since all 1s
# are much alike.) Notebook 05 shows a denoiser that does copy, the exact one, and why a network does not become it.
#
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

# %% slide [markdown]
# ## Two directions, and only one is learned
#
# - **Forward**, from data to noise: add a little noise, again and again. Fixed, nothing is learned.
# - **Reverse**, from noise to data: a **denoiser** gives its best guess of the clean image; take a small step that way, add a little fresh noise, ask again.
#
# *Which of the two can you write down today, without any data?*
#
# Note: The forward one: it needs random numbers and a table of how much noise to add. In the reverse direction only the denoiser is learned; the rest is fixed, too. The article from which this course grew mixes the two directions up.

# %%
times = [0, 120, 240, 380, 500, 620, 760, 880, 1000]
forward = torch.cat([q_sample(kept_aside[1:2], t, noise[3:4], cosine()) for t in times])
back = torch.cat([noise[2:3]] + [step.x_s[2:3] for step in steps if step.s in times])
fig, axes = figure(rows=2, width=8, height=3.1)
for ax, row, visited, title in zip(axes, (forward, back), (times, times[::-1]), ("forward: add noise  →", "reverse: denoise  →")):
    picture = mosaic(row, scale=3)
    _ = ax.imshow(picture, cmap="gray", vmin=0, vmax=255)
    _ = ax.set_xticks([(k + 0.5) * picture.shape[1] / 9 for k in range(9)], [f"t = {t}" for t in visited])
    _ = ax.set(title=title, yticks=[])
    _ = ax.tick_params(length=0, grid_alpha=0)
    _ = ax.spines[:].set_visible(False)
show(fig, alt="Two rows of nine pictures. Above, a three fades into noise. Below, a two emerges from noise.")

# %% slide [markdown]
# ## The whole of it in one picture
#
# {picture}
#
# Above a real digit; $t$ rises. Below $t$ falls; the way back starts from **fresh** noise.
#
# Note: Above the diffusion process (扩散过程), below the denoising process (去噪过程), which ends in image generation (图像生成). Ask: does the lower row undo the upper one? (No. It starts from noise that has nothing to do with the digit, and makes a digit of its own.)

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


# %%
error = [(ask(t)[1] - made[2:3]).square().mean().sqrt() for t in (300, 600, 1000)]
assert error[0] < error[1] < error[2] / 2
Live(lambda t: mosaic(torch.cat([made[2:3], *ask(t)]), scale=6),
     caption="Left: a digit. Middle: the digit with noise. Right: what the denoiser takes it for.",
     alt="Three squares: a digit, the same digit under noise, and the denoiser's answer, which blurs as the noise grows.",
     t=widgets.IntSlider(value=600, min=1, max=1000, description="t"))

# %% slide [markdown]
# ## How much noise can the denoiser see through?
#
# {picture}
#
# *How far can $t$ go until the answer is no digit?*
#
# Note: Do this live in the notebook. At t = 600 the middle looks like grain, and still the answer is the digit, with softer edges. Towards 900 it becomes a smudge, and at 1000 a grey cloud is left, the same for every digit.

# %% [markdown]
# What to have seen: at $t = 600$ the middle looks like grain to you, and still the answer is the digit, with softer
# edges. Towards 900 it becomes a smudge, and at 1000 only a grey cloud is left, the same for every digit. The
# denoiser's best guess is an *average* of all clean images that could be under the noise, in which the likelier ones
# count more. Where many are possible, their average is grey.
#
# ## The map

# %% slide [markdown]
# ## The denoiser gives an average
#
# It says what the clean image was **on average**, given what it sees.
#
# - Little noise: one digit fits, and the answer is sharp.
# - More noise: several fit, and their average has soft edges.
# - Pure noise: all fit, and the average of all digits is a grey cloud.
#
# Note: The sentence to take home: an average of possibilities is blurred. It explains why one step is not enough, which comes at the end of the lesson. Ask: what would be the average of all faces?

# %%
show(course_map(written=[f"{number:02}" for number in range(9)]),
     alt="Nine boxes in two rows. Above, 00 to 04: what is true with pen and paper. Below, 05 to 08: what is learned.")

# %% slide [markdown]
# ## Nine notebooks, in two rows
#
# {picture}
#
# Above: what is true with pen and paper. Below: what is learned.
#
# Note: Follow the arrows. Each notebook begins with what you will be able to do and what you need for it. docs/routes.md has routes for two hours, a weekend and a month.

# %% [markdown]
# **Figure 3.** The course, in the order of the arrows. Each notebook begins with what you will be able to do and what
# you need for it, and ends with a summary. (Nats, in the box of 04, are a unit that notebook 01 introduces.)
#
# [01 Gaussian density](01_gaussian_pdf.ipynb) · [02 Forward chain](02_forward_markov_chain.ipynb) ·
# [03 Reverse posterior](03_reverse_posterior.ipynb) · [04 The bound](04_elbo.ipynb) · [05 Denoiser](05_denoiser.ipynb) ·
# [06 U-Net](06_unet.ipynb) · [07 Train](07_train.ipynb) · [08 Sample](08_sampling.ipynb)
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
# cell stopped with `ModuleNotFoundError`, run `python -m diffusion_lab.doctor` in a terminal, in the folder of the
# course: it needs no package, and says the same.
#
# The next cell looks at Python, the packages, the sliders, the processor, the memory and the internet connection. It
# marks with `->` what must be mended, with `--` what only makes the course slower or concerns no notebook, and says
# what to do. An internet connection is not needed, except to download the full MNIST data, which no notebook requires.

# %% slide [markdown]
# ## How to use the notebooks
#
# - **Shift + Enter** runs a cell. Run them all, in order.
# - Before a picture there is a question. Answer it first.
# - Sliders: drag, or use the arrow keys; space plays.
# - `make lab` opens *your own copy*. An update leaves your answers alone.
# - Looks odd? *Kernel → Restart Kernel and Run All Cells*.
#
# Note: Let everybody run the first cells of notebook 00 now, down to the slider. On Binder, a session that is idle for about ten minutes ends and the answers go with it: File → Download saves them.

# %% tags=["nbval-ignore-output"]
report()

# %%
assert all(finding.ok for finding in check() if finding.needed), "see the lines marked -> above"
print("Python and all packages are as the course needs them.")

# %% slide [markdown]
# ## Is your computer ready?
#
# ```python
# report()
# ```
#
# - The check looks at Python, packages, sliders, cores, memory, internet connection.
# - Where something is missing, it says what to do.
# - No notebook requires the internet.
#
# In a terminal: `python -m diffusion_lab.doctor`
#
# Note: Wait until every screen shows "All is well." Usual cases: no slider to be seen (start with make lab), and a kernel of another environment (ModuleNotFoundError in the first cell).

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

# %% slide [markdown]
# ## In class: images and pixels (5 minutes, alone)
#
# In this course an image runs from −1 (black) to 1 (white). A screen wants 0 (black) to 255 (white).
#
# - *Write the function that turns the one into the other.*
# - *Give a wrong answer first, and read what the check says.*
#
# Note: Answer: (x + 1) * 127.5. Usual wrong answers: x * 255 (black becomes -255), and (x + 1) * 255 (white becomes 510). This is exercise 1 of the notebook: one cell for the answer, one that checks it, one with hint and solution, folded.

# %% tags=["exercise"]
def to_pixels(x):
    """Values from 0 to 255, not rounded. x: float64, any shape, from -1 to 1. Returns a new tensor of that shape."""
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
    *_, last = ddpm(denoiser, noise, spaced(1000, 50), generator=generator)
in_fifty = last.x_s.clamp(-1, 1)
contrast = [pictures.std(dim=(1, 2, 3)).mean() for pictures in (at_once, in_fifty)]
assert contrast[0] < 0.7 * contrast[1]
assert (at_once - images.mean(dim=0)).square().mean() < 0.1 * (in_fifty - images.mean(dim=0)).square().mean()
print(f"contrast, how far the pixels spread around their mean: one step {contrast[0]:.1f}, fifty steps {contrast[1]:.1f}")
show(mosaic(torch.cat([at_once, in_fifty]), columns=8),
     alt="Above, eight times the same blurred grey smudge. Below, eight sharp images, most of them clear digits.")

# %% slide [markdown]
# ## A common mistake: asking only once
#
# {picture}
#
# Above: the denoiser's answer to pure noise, taken for a sample. Below: fifty small steps. **Symptom**: samples are
# blurred, and all alike.
#
# Note: The article has one call of model.predict(noisy). Ask why the upper row looks the same eight times. From pure noise every digit is about equally likely, so the one answer that errs least on average, in squared distance, is the average of them all. In the lower row not every image is a clear digit: the network is small, and was not told which to draw.

# %% [markdown]
# **Figure 4.** Above: one step. Below: fifty. From pure noise every digit is about equally likely, so the one answer
# that errs least on average, in squared distance, is the average of them all. *The symptom*: samples are blurred, and
# all alike. Many small steps, each told the time $t$, let the image settle on one possibility. (Not every image below
# is a clear digit: the network is small, and was not told which to draw.)
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

# %% slide [markdown]
# ## Why many small steps work
#
# 1. Pure noise: all digits are possible, the guess is their average.
# 2. A **small** step towards it, and fresh noise: some fit a little better now.
# 3. Ask again, with the new time $t$: the average is of fewer digits.
# 4. After some fifty rounds one is left.
#
# Note: The loop is the sampler of notebook 03. The image settles on coarse shape first and on detail last. Ask what the fresh noise is for, and leave the question open: notebooks 03 and 08 come back to it.

# %% slide [markdown]
# ## Summary
#
# - A diffusion model destroys data by a fixed forward process.
# - It learns the way back: a denoiser, asked again and again.
# - The denoiser's answer is an average; small steps make it a digit.
# - Its digits are composed, not copied.
#
# Next: the noise itself, the Gaussian density.
