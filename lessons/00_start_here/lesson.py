# %% [markdown]
# # Watch noise become a digit
#
# Eight squares of pure noise are about to become eight digits. Click into the first grey cell, press **Shift + Enter**
# until a slider appears, and drag it. *At which time $t$ can you first tell which digits they will be?*

# %%
import torch

from diffusion_lab.sampling.chain import last, spaced
from diffusion_lab.sampling.ddpm import ddpm
from diffusion_lab.view.pictures import mosaic
from diffusion_lab.view.scrubber import Scrubber
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
# For a long time there is nothing. Then come faint strokes, at about $t = 700$. Between 600 and 400 one digit after the
# other can be read, and the last grains go at the very end.
#
# A small network did this. It was told which digit to draw in which square, 0 to 7, and nothing else. In notebook 07 you
# will train one like it, and by then you will know why it works.
#
# You will be able to
#
# - **say** in four sentences why a picture can be made from noise,
# - **explain** why the network's answer is now a digit, now a grey cloud,
# - **test** whether a picture was copied, and say what the test cannot show,
# - **find** your way: notebooks, map, exercises that answer back.
#
# **You need**, for the course, first-year linear algebra, calculus and probability, and to read Python with PyTorch. This
# notebook asks for less. **Time to read** 30 minutes · with the core exercises 60 · with everything 65 · **to run** 30
# seconds. **Paper sections**: Ho et al. 2020, section 1 and figure 2.
#
# ## Predict first
#
# In a moment you will draw a digit, bury it in noise, and ask the network to give it back. Guess now:
#
# 1. At $t = 700$ you see nothing but grain. Will the network find your digit in it?
# 2. You draw a house. The network has never seen one. What comes back?
# 3. The network was trained on 4,000 digits. The eight above: did it **compose** them, or are they **copies**?
#
# ## Draw your own digit
#
# None of the 4,000 was written by you, so the network has to deal with something new. And nobody tells it which digit you
# drew: at the top it was asked for 0 to 7, here it only sees pixels. `as_digit` treats your drawing as
# the data set's makers did theirs: fitted into 20 by 20 pixels, with its centre of mass in the middle of 28 by 28.
#
# The rest is these lines. Cover the drawing with noise up to time $t$. Ask the network *once* what is under it. Then walk
# back in ten steps, asking at each, and do so three times with other noise.

# %%
from diffusion_lab.data.digits import load_digits
from diffusion_lab.sampling.dpm_solver import dpm_solver
from diffusion_lab.theory.forward import q_sample
from diffusion_lab.theory.schedule import cosine
from diffusion_lab.view.canvas import EXAMPLES, as_digit


# %%
def finish(drawing, t):
    """A drawing; three times the same, noised to t; one guess for the first; three walks back."""
    x_0 = torch.from_numpy(as_digit(drawing))
    x_t = q_sample(x_0.expand(3, -1, -1, -1), t, noise[:3], cosine())
    with torch.no_grad():
        guess = denoiser(x_t[:1], t)
        walked = last(dpm_solver(denoiser, x_t, spaced(t, min(t, 10))))
    return x_0, x_t, guess, walked


# %% tags=["figure"]
import ipywidgets as widgets

from diffusion_lab.view.canvas import Canvas
from diffusion_lab.view.frames import painter
from diffusion_lab.view.live import Live
from diffusion_lab.view.style import figure

fig, axes = figure(columns=6, width=8.6, height=1.7)
panels = [ax.imshow(noise[0, 0], cmap="gray", vmin=-1, vmax=1) for ax in axes]
for ax, title in zip(axes, ["your drawing", "under noise", "one guess", "walked back", "… again", "… and again"]):
    ax.set(title=title, xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.grid(False)
paint = painter(fig, panels)


def redraw(drawing, t):
    x_0, x_t, guess, walked = finish(drawing, t)
    for panel, image in zip(panels, torch.cat([x_0, x_t[:1], guess, walked])):
        panel.set_data(image[0])
    return paint()


Live(
    redraw,
    caption="Your drawing, covered by noise up to time t, and what the network makes of it: in one guess, which is an "
            "average, and in three walks back, which are pictures.",
    alt="Six squares: a drawing; the same under noise; the network's one guess, which blurs as the noise grows; "
        "and three walks back, which end in sharp digits.",
    drawing=Canvas("your drawing"),
    t=widgets.IntSlider(value=700, min=1, max=1000, description="t", layout={"width": "36em"}),
)

# %% [markdown]
# Draw something, then move $t$ slowly from left to right.
#
# **One guess** answers one question: which clean image is under this noise? Many images could be, and the
# network answers with their *average*, in which the likelier ones count more. Where one digit fits, the answer is that
# digit. Where several fit, it has soft edges. Where many are possible, their average is grey.
#
# **Walked back** is a whole way from there: a small step towards the guess, then a new guess from where we are now. Each
# step rules some possibilities out, until one is left. At small $t$ all three walks end in your digit. At large $t$ little
# of it shows through, and each may end in another one.
#
# Did you guess that nothing can be found at $t = 700$? You see grain, but a stroke runs through many pixels, and the network
# adds up what each of them whispers. From the pad's three at $t = 700$ nearly every walk ends in a three.
#
# And the house?

# %%
house = EXAMPLES["a house"]
covered = [150, 350, 550, 700, 800, 900]
finished = [finish(house, t) for t in covered]

# %% tags=["figure"]
from diffusion_lab.view.plots import gallery
from diffusion_lab.view.show import show

house_rows = {
    "under noise": torch.cat([x_t[:1] for _, x_t, _, _ in finished]),
    "one guess": torch.cat([guess for _, _, guess, _ in finished]),
    "walked back": torch.cat([walked[:1] for _, _, _, walked in finished]),
}
show(gallery(house_rows, below=[f"t = {t}" for t in covered], size=1.05),
     alt="A drawn house under more and more noise. The guess blurs; what is walked back is a house at first, "
         "and later a shape of a digit's kind.")

# %% [markdown]
# **Figure 1.** A house, covered up to six times. Look at the lowest row, from left to right: where does it stop being a house?
#
# With little noise it stays one. With more, the roof is under the grain, and something with the same walls comes back. The
# network pulls what it is given towards digits, since digits are all it knows, and the harder the less it sees. Ten steps from
# $t=900$ may miss, as here. Try half a digit, too. (To bury a picture in noise and walk back from there is the idea of SDEdit,
# notebook 12.)

# %% tags=["claim"]
# checks what the text says: the guess blurs, walks part, the three is found at t = 700, the house is lost
from diffusion_lab.evaluation.judge import load_judge, read_digits

three = EXAMPLES["a three"]
wrong_by, apart = [], []
for t in (300, 700, 1000):
    x_0, _, guess, walked = finish(three, t)
    wrong_by.append((guess - x_0).square().mean().sqrt())
    apart.append(walked.std(dim=0).square().mean().sqrt())
assert wrong_by[0] < wrong_by[1] < wrong_by[2]
assert wrong_by[0] < 0.25
assert apart[0] < apart[2] / 2
x_700 = q_sample(torch.from_numpy(as_digit(three)).expand(8, -1, -1, -1), 700, noise, cosine())
with torch.no_grad():
    ends = last(dpm_solver(denoiser, x_700, spaced(700, 10))).clamp(-1, 1)
assert (read_digits(load_judge(), ends) == 3).sum() >= 6
changed = [(finish(house, t)[3] - torch.from_numpy(as_digit(house))).square().mean().sqrt() for t in (200, 800)]
assert changed[0] < changed[1] / 2

# %% [markdown]
# ## Why it works, in four sentences
#
# A **diffusion model** is a **generative model**: a program that makes new examples like those that it was shown. You have
# just used all of it. The course is about why it works, and for that it needs one word and two symbols.
#
# The **law** of something random is its probability distribution: what can come out, and how often. $q(x_t)$ names the law of
# $x_t$, a picture noised up to time $t$ when the clean one could be any of the data. $q(x_s \mid x_t)$, with the bar read as
# "given", names the law of $x_s$ once $x_t$ is known. These are different functions under one letter; what stands in the
# bracket tells them apart. And $\mathbb E[x_0 \mid x_t]$ is the average of $x_0$ over the law given $x_t$.
#
# 1. **Noise the data by a rule that you know.** Then you can draw from the law $q(x_t)$ of the noised data at every time
#    $t$, and at the last time it is pure noise.
# 2. **If $x_t$ has the law $q(x_t)$, and you draw $x_s$ from $q(x_s \mid x_t)$ for an earlier time $s$, then $x_s$ has the
#    law $q(x_s)$.** So start from noise, step back again and again, and you end in the data.
# 3. **The only thing missing for a small step is $\mathbb E[x_0 \mid x_t]$**, the pad's one guess: the average of all clean
#    images that could be under the noise. A network learns it by regression: show it noisy digits, ask for the clean ones.
# 4. **The same average fixes a path without randomness whose states have the same laws.** Few steps can follow it.
#    (Notebook 03 shows such a path, 08 explains it.)
#
# The second is the heart. Notice what it does *not* say: that we find back to the image that was there. Nobody can. We draw
# one that *could* have been there, with the right probability, and end in images as varied as the data.
#
# The eight at the top went by the second sentence: fifty steps, fresh noise in each. Your pad goes by the fourth. Once
# its noise is drawn, nothing more is left to chance, and ten steps do.
#
# Notebooks 01 and 02 are about the first sentence, and 03 proves the second in two lines. 04 asks how good such a model is:
# the errors of the regression in the third, weighted and added up, bound the bits that a digit costs. 05 to 07 train its
# network, and 08 walks the path of the fourth.

# %%
kept_aside, kept_labels = load_digits("test")
times = [0, 120, 240, 380, 500, 620, 760, 880, 1000]
forward = torch.cat([q_sample(kept_aside[1:2], t, noise[3:4], cosine()) for t in times])
back = torch.cat([noise[2:3]] + [step.x_s[2:3] for step in steps if step.s in times])

# %% tags=["figure"]
rows = [("the forward chain: add noise  →", forward, times), ("the way back: denoise  →", back, times[::-1])]
fig, axes = figure(rows=2, width=8.6, height=3.3)
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
# **Figure 2.** Above, the **forward chain**: a real digit drowns in noise. Nothing in it is learned. Below, the **way back**, in
# which one thing is learned: the **denoiser**, which gives the average of the clean images that fit. Look at the ends: the
# lower row does not undo the upper one. It has noise of its own, and ends in a digit of its own.
#
# ## Composed, or copied?
#
# There is also something that the network should *not* learn. For the 4,000 training digits the best possible denoiser is
# known; you will write it down in notebook 05. It is perfect at home and useless abroad, because all that it ever draws is
# those 4,000 digits. A network that became perfect would be a copying machine.
#
# If the exact denoiser only copies, where does anything new come from? From what a network does *between* the digits that it
# was shown, where it cannot be exact. Notebook 05 has a section about it. First a simpler question: is ours a copier?
#
# The obvious test looks for the nearest training digit: square the differences of the 784 pixels, add them up, take the
# root. A copy has distance 0.
#
# But before you trust a test, try it on a case whose answer you know: a positive control, as a laboratory says. So plant
# copies: turn a hundred training digits by
# seven degrees, and shift them by one pixel. You would call them copies. Does the test? And does it if it searches over
# small turns and shifts as well?

# %%
from diffusion_lab.evaluation.memorisation import TURNS, moved, nearest
from diffusion_lab.sampling.chain import draw

images, labels = load_digits("train")
sets = {
    "planted copies": moved(images[:100], turn=7, right=1, down=-1),
    "fresh digits, kept aside": kept_aside[:100],
    "drawn by the network": draw(denoiser, torch.arange(100) % 10, dpm_solver, spaced(1000, 10)),
}
pixel_by_pixel = {name: nearest(some, images) for name, some in sets.items()}
searched = {name: nearest(some, images, shift=2, turns=TURNS) for name, some in sets.items()}

# %% tags=["nbval-ignore-output"]
print("distance to the nearest, median     pixel by pixel   with small moves")
for name in sets:
    distances = [found[name].distance.median() for found in (pixel_by_pixel, searched)]
    print(f"{name:<34} {distances[0]:>14.0f} {distances[1]:>18.0f}")

# %% tags=["claim"]
medians = [[found[name].distance.median() for name in sets] for found in (pixel_by_pixel, searched)]
assert medians[0][0] > 0.9 * medians[0][1], "pixel by pixel, copies are as far away as fresh digits"
assert medians[1][0] < 0.65 * medians[1][1], "with moves, they are much nearer"
assert (searched["planted copies"].index == torch.arange(100)).double().mean() > 0.9
assert (pixel_by_pixel["planted copies"].index == torch.arange(100)).double().mean() < 0.5
for before_and_after in medians:
    assert 0.8 < before_and_after[2] / before_and_after[1] < 1.25, "drawn ones lie as fresh ones do"

# %% tags=["figure"]
import numpy as np

from diffusion_lab.view.style import BLACK, BLUE, ORANGE

looks = {"planted copies": (BLACK, "s"), "fresh digits, kept aside": (BLUE, "o"), "drawn by the network": (ORANGE, "^")}
jitter = np.random.default_rng(0).uniform(-0.26, 0.26, 100)
fig, axes = figure(columns=2, width=8.6, height=2.9, sharex=True, sharey=True)
for ax, title, found in zip(axes, ["pixel by pixel", "with small shifts and turns"], [pixel_by_pixel, searched]):
    for row, (name, (color, marker)) in enumerate(looks.items()):
        distance = found[name].distance
        ax.scatter(distance, 2 - row + jitter, s=13, color=color, marker=marker, alpha=0.55, linewidths=0)
        ax.plot([distance.median()] * 2, [1.62 - row, 2.38 - row], color=color, linewidth=3)
    ax.set(title=title, xlabel="distance to the nearest training digit", xlim=(0, 17.5), ylim=(-0.55, 2.55))
    ax.set_xticks([0, 5, 10, 15])
    ax.set_yticks([2, 1, 0], list(looks))
    ax.tick_params(axis="y", length=0)
show(fig, alt="Two panels of three rows of points. Left, pixel by pixel, planted copies lie as far away as fresh digits. "
              "Right, with small moves, the copies move far to the left, and the drawn digits stay with the fresh ones.")

# %% [markdown]
# **Figure 3.** Each point is one digit, each bar a median. Left: the planted copies lie as far away as digits that somebody
# else wrote. To a pixel, its neighbour is a stranger. Right: the search undoes the move, and the copies stand out. They are not
# at 0, since it tries turns of 0, 5 and 10 degrees, and we turned by 7; a copy that is only shifted has exactly 0. The
# network's digits stay where the fresh ones are. (The fresh ones at 3 to 4 are nearly all 1s, and all 1s are alike.)
#
# So the left test would have called anything "composed". The right one can find copies, and ours do not look like any.
#
# Is it rigged, when we plant only moves that it searches for? A little: it is shown to find such copies, and no others. A copy
# that is stretched, or has bolder strokes, slips through.

# %%
made = steps[-1].x_s.clamp(-1, 1)
index = nearest(made, images, shift=2, turns=TURNS).index

# %% tags=["figure"]
show(gallery({"drawn": made, "nearest known": images[index]}, size=0.86),
     alt="Above, the eight drawn digits. Below each, the nearest of the training digits: alike, and not the same.")

# %% [markdown]
# **Figure 4.** The eight from the top of the page. Below each, the nearest of the 4,000, moves included: alike, and not the
# same.
#
# Three more limits. A picture pieced together from two digits is near to neither. For a 1 the test says next to nothing.
# And a hundred digits say little about a copy that turns up once in a thousand.
#
# A better question is not about pictures at all. *Does the network denoise its training digits better than digits it has
# never seen?* Whoever knows them by heart does. One digit proves nothing, as ones are easy and eights are hard. But on average over
# many from the same source, nothing else makes the known ones easier than fresh ones. Notebook
# 05 asks this of the perfect copying machine, 07 of the network.
#
# ## The map

# %% tags=["figure"]
from diffusion_lab.course.map import course_map, described

show(course_map(), alt=described())

# %% [markdown]
# **Figure 5.** The course, in the order of the arrows.
#
# <!-- every lesson -->
#
# In a hurry? [Four routes](../docs/routes.md): two hours, an afternoon, a weekend, a month. A word you do not know?
# [The glossary](../docs/glossary.md) has it, with the Chinese term and the notebook that defines it.
#
# ## How to use the notebooks
#
# **Alone.** Run each cell with Shift + Enter, in order; answer each question before you look. Sections headed *Deeper* are
# closed. They hold proofs and fine points; read on without them, and come back when a later page sends you there. `make lab` opens *your own copy* in the folder `my-notebooks`, so that no
# update overwrites your answers. If something looks odd, choose *Kernel → Restart Kernel and Run All Cells*.
#
# **In class.** *Predict first* is meant for the room. *View → Appearance → Presentation Mode* makes the text larger.
#
# **On Binder.** One slow processor and 2 GB of memory: keep one notebook open at a time. After ten idle minutes the session
# ends, and **your answers go with it**: save them with *File → Download*.
#
# **Sliders.** Drag, or click and use the arrow keys; the space bar plays. On GitHub or in print you see stills.
#
# ## Is your computer ready?
#
# If you drew a digit and something happened, it is. If you saw only stills, open the notebook with `make lab`. If the first
# cell stopped with `ModuleNotFoundError`, run `.venv/bin/python -m diffusion_lab doctor` in the folder of the course. It says
# the same as the next cell: with `->` what must be put right, with `--` what only makes the course slower.

# %% tags=["nbval-ignore-output"]
from diffusion_lab.course.doctor import examine, report

report()

# %% tags=["claim"]
assert all(finding.ok for finding in examine() if finding.needed), "see the lines marked -> above"

# %% [markdown]
# ## Exercises
#
# An exercise has three cells: one for your answer, one that checks it, and one with a hint and a solution, folded. The
# check says what went wrong, and not only that something did. Give it a wrong answer first, to see how it talks.
#
# ### Exercise 1 (warm-up): images and pixels
#
# In this course the values of an image run from -1 (black) to 1 (white). A screen wants 0 (black) to 255 (white). Do
# not round yet, and leave `x` as it is.

# %%
from diffusion_lab.exercises.start_here import (
    check_average_of_walks,
    check_copies,
    check_repaired,
    check_to_pixels,
)


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
# ### Exercise 2 (core): many walks, on average
#
# An experiment. One guess is a grey average; one walk ends in a sharp digit. What is the average of *many* walks from the
# same noisy image? Guess, then build it, with fifty steps of `ddpm`, which draws fresh noise at each step, from the `generator`
# that it is given.
# `last(ddpm(denoiser, x_t, timesteps, generator=generator))` walks with each row of `x_t` by itself; `timesteps` begin at
# the time that `x_t` belongs to.

# %% tags=["exercise"]
def average_of_walks(denoiser, x_t, t, n, generator):
    """The average of the ends of n walks back from the same x_t.

    x_t: float, shape (1, …), noisy as at time t (an int, at least 50). n: how many walks.
    Returns the shape of x_t.
    """
    raise NotImplementedError


# %% tags=["check"]
check_average_of_walks(average_of_walks)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# `x_t.expand(n, *x_t.shape[1:])` is n rows, all alike. `spaced(t, 50)` is fifty times from t down.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def average_of_walks(denoiser, x_t, t, n, generator):
#     many = x_t.expand(n, *x_t.shape[1:])
#     with torch.no_grad():
#         ends = last(ddpm(denoiser, many, spaced(t, 50), generator=generator))
#     return ends.mean(dim=0, keepdim=True)
# ```
#
# The average is the one guess again, or nearly. With an exact denoiser and many small steps it must be: the guess is the average
# of all clean images that could be under the noise, and each walk ends in one of them, drawn with the right probability.
# With the trained network something is left over: chance, since 32 walks are few, and then the network's error and that of
# fifty steps. See for yourself, with the three of the pad:
#
#     from diffusion_lab.view.show import show
#
#     x_0, x_t, guess, walked = finish(EXAMPLES["a three"], 800)
#     average = average_of_walks(denoiser, x_t[:1], 800, 32, generator)
#     show(mosaic(torch.cat([guess, average]), scale=6), alt="Two smudges, much alike.")
# </details>

# %% [markdown]
# ### Exercise 3 (core): a test that cannot fail
#
# A colleague looks for copies, too, with the lines below. The training digits came as pixels, 0 to 255, "so I divided by
# 255". The test finds no copies, whatever it is given. Then he tries it on three training digits themselves:

# %%
def no_copies(made, pixels):
    """Distance of each image in [-1, 1] to the nearest training digit, pixels from 0 to 255."""
    known = pixels / 255
    differences = made[:, None] - known[None]
    return differences.square().sum(dim=(2, 3, 4)).sqrt().min(dim=1).values


pixels = ((images[:50] + 1) * 127.5).round()
found = no_copies(images[:3], pixels)
print("distance of three plain copies:", [round(d) for d in found.tolist()])

# %% [markdown]
# They should be 0. Find the fault, and write the function anew. It must also work for images of another size.

# %% tags=["exercise"]
def repaired(made, pixels):
    """Distance of each image to the nearest of the training digits: 0 for a copy.

    made: float64 (n, 1, h, w) in [-1, 1]. pixels: float64 (m, 1, h, w) from 0 to 255. Returns (n,).
    """
    raise NotImplementedError


# %% tags=["check"]
check_repaired(repaired)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# What is black in `made`, and what is black in `known`? Exercise 1 went the other way.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def repaired(made, pixels):
#     known = pixels / 127.5 - 1
#     differences = made[:, None] - known[None]
#     return differences.square().sum(dim=(2, 3, 4)).sqrt().min(dim=1).values
# ```
#
# In one set black was -1, in the other 0. Every black pixel added 1 to the squared distance, so that nothing was ever near.
# The lesson is larger than the bug: a test for copies that has never found a copy has not been tested.
# </details>

# %% [markdown]
# ### Exercise 4 (core): what does the picture prove?
#
# A paper trains a network on 50,000 photographs. It shows twelve generated ones, and below each the training photograph
# that is nearest pixel by pixel. No pair is equal. The caption: "Our model does not copy." Which of these are right?
#
# - **A.** A copy that is moved by two pixels can be further away than a photograph of something else.
# - **B.** Twelve pictures say little about a photograph that is copied once in a thousand.
# - **C.** Without the distances of fresh photographs nobody can say whether these are large or small.
# - **D.** No pair is equal, so the network has composed these twelve, at least.
# - **E.** The larger the distances, the better the model.
# - **F.** If it denoises its training photographs much better than fresh ones, it knows some by heart, whatever the
#   pictures show.

# %% tags=["exercise"]
def right_ones():
    """The letters of all right statements, as a set like {"X", "Y"} or a text like "XY"."""
    raise NotImplementedError


# %% tags=["check"]
check_copies(right_ones)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# For each one, try to imagine a copying machine that passes the paper's test, or an honest network that fails it.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def right_ones():
#     return {"A", "B", "C", "F"}
# ```
#
# D falls with A. As for E: noise is far from all photographs, and so is any ruined picture.
# </details>

# %% [markdown]
# ## A common mistake
#
# Many a first program asks once, and takes the guess for a sample. Here is that guess, from pure noise, and what fifty
# small steps make of the same noise. The network is not told which digit to draw.

# %%
with torch.no_grad():
    at_once = denoiser(noise, 1000).clamp(-1, 1)
    in_fifty = last(ddpm(denoiser, noise, spaced(1000, 50), generator=generator)).clamp(-1, 1)

# %% tags=["figure"]
show(gallery({"one step": at_once, "fifty steps": in_fifty}, size=0.86),
     alt="Above, eight times the same blurred grey smudge. Below, eight sharp images, most of them clear digits.")

# %% [markdown]
# **Figure 6.** The same eight noises, in one step and in fifty. Under pure noise every digit is about equally likely, so
# the guess is the average of them all. *The symptom*: samples are blurred, and all alike. *The fix*: many small steps,
# each told its time $t$.

# %% tags=["claim"]
mean_digit = images.mean(dim=0)
contrast = [pictures.std(dim=(1, 2, 3)).mean() for pictures in (at_once, in_fifty)]
assert contrast[0] < 0.7 * contrast[1]
assert (at_once - mean_digit).square().mean() < 0.1 * (in_fifty - mean_digit).square().mean()

# %% [markdown]
# ## Summary
#
# - Noise the data by a known rule. Draw each earlier state from its law given the later one, and you walk from noise to
#   data. All that is missing for a small step is $\mathbb E[x_0 \mid x_t]$, the average of the clean images that fit, and a
#   network learns it. The same average fixes a path without randomness.
# - One guess is an average, and grey where much is possible. A walk decides, step by step, and ends in a picture.
# - A test for copies is worth something once it has found copies that you planted. To ours, the network's digits look like
#   fresh ones.
#
# ## Check yourself
#
# <details><summary>A walk starts from your three under much noise, and ends in an eight. Did the network make a mistake?</summary>
#
# No. Under so much noise an eight fits as well, or nearly so. The walk promises an image that could have been there, and
# not the one that was.
# </details>
#
# <details><summary>Which of the two directions is learned?</summary>
#
# The reverse one, and in it one thing alone: the denoiser, which gives the average of the clean images that fit. The
# forward direction is a rule that we choose.
# </details>
#
# <details><summary>A generated digit has a distance of 10 to the nearest training digit, pixel by pixel. Is it a copy?</summary>
#
# Nobody can say. A fresh digit has about 10, and so has a copy that was shifted by one pixel. Search over small moves, and
# compare with planted copies and with fresh digits.
# </details>
#
# ## Further reading
#
# - Ho, Jain & Abbeel (2020), *Denoising Diffusion Probabilistic Models*: the paper that this course follows. Look at its
#   figure 2 now; equations 1 to 7 come in notebooks 02 to 04.
# - Sohl-Dickstein et al. (2015), *Deep Unsupervised Learning using Nonequilibrium Thermodynamics*: where the idea comes
#   from. Its figure 1 is ours, with a spiral in place of a digit.
# - Meng et al. (2022), *SDEdit*: your drawing pad, with photographs.
# - Carlini et al. (2023), *Extracting Training Data from Diffusion Models*: copies that were found, and how.
#
# ## Next
#
# [Notebook 01](01_gaussian_pdf.ipynb) is about the noise itself: the Gaussian density.
# Where all this leads, up to the large systems, is told in
# [from these digits to the systems of 2026](../docs/landscape.md).
