# %% [markdown]
# # Build a U-Net, block by block
#
# Take a digit and bury it in noise until nobody can read it. Ask a network what was there. Then whisper into its ear:
# it was a 0. It was a 1. It was a 2.

# %%
import math

import ipywidgets as widgets
import torch
import torch.nn.functional as F
from torch import nn

from diffusion_lab.data.digits import load_digits
from diffusion_lab.exercises import unet as exercise
from diffusion_lab.networks.embedding import time_embedding
from diffusion_lab.results.files import read
from diffusion_lab.sampling.denoiser import as_denoiser
from diffusion_lab.theory.forward import noise_like, q_sample
from diffusion_lab.theory.schedule import cosine
from diffusion_lab.view.frames import painter
from diffusion_lab.view.live import Live
from diffusion_lab.view.pictures import mosaic
from diffusion_lab.view.plots import curves, gallery
from diffusion_lab.view.scrubber import Scrubber
from diffusion_lab.view.show import show
from diffusion_lab.view.style import BLACK, BLUE, GREY, ORANGE, ROLES, figure
from diffusion_lab.weights.pretrained import load_network

generator = torch.Generator().manual_seed(0)
schedule = cosine()
trained = load_network("mnist")  # the weights that come with the course
denoiser = as_denoiser(trained, schedule, predicts="v")
images, labels = load_digits("test")  # no network of the course was trained on these
digits = torch.stack([images[labels == k][0] for k in range(10)])
eps = noise_like(digits, generator)

# %%
x_t = q_sample(digits[8:9], 800, eps[8:9], schedule)
told = denoiser(x_t.expand(10, -1, -1, -1), 800, torch.arange(10))

# %% tags=["figure"]
# draws a digit, its noised copy, the answer without a label and the ten answers with one
row = torch.cat([digits[8:9], x_t, denoiser(x_t, 800), told])
show(gallery({"": row}, below=["digit", "$x_t$", "untold", *map(str, range(10))], size=0.85),
     alt="A row of thirteen pictures: an eight, noise, a blurred answer, and ten answers that look like a 0, a 1, and so on to 9.")

# %% [markdown]
# **Figure 1.** A digit, its noised copy at $t=800$, and what the trained network makes of that copy: without a hint, then told each
# of ten labels. Untold, it leans towards a 2, which the noise fits as well. Told, it fits the digit that you name to what the noise shows.
#
# What does such a thing look like inside? Here each part is written out, and in the end the trained weights fit into it.
#
# You will be able to
#
# - **draw** a U-Net, and say why it goes down, up and across,
# - **compute** a convolution by hand: values, size, weights,
# - **build** a block that adds and is told the time, and attention, which looks everywhere,
# - **judge** what a part is for, and what such a test does not show.
#
# **You need** notebook 05 (the time embedding, $v$, `as_denoiser`). **Time to read** 65 minutes, with core exercises 115,
# with everything 150 · **to run** 30 seconds. **Paper sections**: Ho et al. 2020, appendix B; Ronneberger et al. 2015,
# section 2; Peebles & Xie 2023, section 3.
#
# ## Predict first
#
# A layer that turns a digit into a picture of the same size could connect each of 784 pixels to each of 784 results: 614,656
# weights. But a picture has two habits. Neighbours belong together, and a stroke is a stroke wherever it is. How many weights
# does a layer need that uses both?
#
# ## 1 · The whole, from far away

# %% tags=["figure"]
# draws the U-Net with its sizes
from matplotlib.patches import FancyArrowPatch, Rectangle

GREEN = "#009E73"
KINDS = {"rearranged": "white", "residual": "#F6C9A8", "convolution": "#D9D9D9", "attention": "#A9DCCB"}
SIDE = {14: 1.5, 7: 0.8}  # heights of the slabs, one for each size of the picture
LEVEL = {28: 5.9, 14: 3.3, 7: 0.55}  # where their middles lie
DEPTH = {4: 0.16, 48: 0.75, 96: 1.25}  # widths, one for each number of channels
SLABS = [(1.0, 14, 4, "rearranged", ""), (1.75, 14, 48, "convolution", "enter"), (3.1, 14, 48, "residual", "fine_down"),
         (2.85, 7, 96, "convolution", "shrink"), (4.6, 7, 96, "residual", "coarse_down"), (6.35, 7, 96, "attention", "attention"),
         (8.1, 7, 96, "residual", "middle"), (9.85, 7, 96, "residual", "coarse_up"), (10.5, 14, 48, "convolution", "grow"),
         (11.85, 14, 48, "residual", "fine_up"), (13.2, 14, 48, "convolution", "leave"), (14.55, 14, 4, "rearranged", "")]
high = LEVEL[28]
middle = LEVEL[14]
low = LEVEL[7]
ARROWS = [((1.08, high - 1.1), (1.08, middle + 0.78), BLACK, 0), ((1.16, middle), (1.75, middle), BLACK, 0),
          ((2.5, middle), (3.1, middle), BLACK, 0), ((3.475, middle - 1.2), (3.475, low + 0.4), BLACK, 0),
          ((4.1, low), (4.6, low), BLACK, 0), ((5.85, low), (6.35, low), BLACK, 0), ((7.6, low), (8.1, low), BLACK, 0),
          ((9.35, low), (9.85, low), BLACK, 0), ((10.875, low + 0.4), (10.875, middle - 1.2), BLACK, 0),
          ((11.25, middle), (11.85, middle), BLACK, 0), ((12.6, middle), (13.2, middle), BLACK, 0),
          ((13.95, middle), (14.55, middle), BLACK, 0), ((14.63, middle + 0.78), (14.63, high - 1.1), BLACK, 0),
          ((3.7, middle + 0.77), (12.03, middle + 0.77), GREEN, -0.1), ((5.5, low + 0.5), (10.1, low + 0.45), GREEN, -0.2)]
WORDS = [(1.15, 4.5, "  unshuffle", BLACK, "left"), (14.5, 4.5, "shuffle  ", BLACK, "right"),
         (7.2, middle + 0.8, "skip: 48 channels, laid beside the 48 from below", GREEN, "center"),
         (7.8, low + 1.35, "skip: 96 beside 96", GREEN, "center"), (1.05, high + 1.25, "$x_t$    1×28×28", BLACK, "center"),
         (14.6, high + 1.25, "answer $v$    1×28×28", BLACK, "center"), (0.75, -1.33, "only rearranged", BLACK, "left"),
         (4.05, -1.33, "convolution", BLACK, "left"), (6.85, -1.33, "residual block", BLACK, "left"),
         (9.9, -1.33, "attention", BLACK, "left"), (12.4, -1.33, "is told $c$", BLACK, "left")]
fig, ax = figure(width=13, height=7)
ax.set(xlim=(-0.4, 16.1), ylim=(-1.75, 7.5), aspect="equal", xticks=[], yticks=[])
ax.spines[:].set_visible(False)
ax.grid(False)
for x, size, channels, kind, name in SLABS:
    w = DEPTH[channels]
    h = SIDE[size]
    y = LEVEL[size]
    ax.add_patch(Rectangle((x, y - h / 2), w, h, facecolor=KINDS[kind], edgecolor=BLACK, linewidth=1.1, zorder=3))
    ax.text(x + w / 2, y, name, rotation=90 if size == 14 else 0, ha="center", va="center", fontsize=8.5, zorder=4)
    ax.text(x + w / 2, y - h / 2 - 0.22, f"{channels}×{size}×{size}", ha="center", va="center", fontsize=9, color="#444444")
    if kind == "residual":
        ax.plot(x + w / 2, y + h / 2, "o", color=BLUE, markersize=8, zorder=5)
for start, end, colour, bend in ARROWS:
    ax.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=14, color=colour, linewidth=2.4 if colour == GREEN else 1.4,
                                 connectionstyle=f"arc3,rad={bend}", shrinkA=1, shrinkB=1, zorder=2))
for x, y, words, colour, align in WORDS:
    ax.text(x, y, words, ha=align, va="center", fontsize=10.5, color=colour, zorder=4,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5})
for x, size, channels, kind, _ in SLABS:
    if kind == "residual":
        ax.plot([7.5, x + DEPTH[channels] / 2], [high - 0.6, LEVEL[size] + SIDE[size] / 2], color=BLUE, alpha=0.3, linewidth=1, zorder=1)
goes_in = q_sample(digits[7:8], 400, eps[7:8], schedule)
for x, picture in ((0.0, goes_in), (13.58, trained(goes_in, torch.tensor([400])))):
    ax.imshow(picture[0, 0].clamp(-1, 1), cmap="gray", extent=(x, x + 2.1, high - 1.05, high + 1.05), zorder=3)
ax.text(7.5, high, "time $t$ and label\n→  condition $c$, 128 numbers  →\nevery block with a dot", ha="center", va="center", fontsize=11,
        color=BLUE, linespacing=1.6, bbox={"facecolor": "white", "edgecolor": BLUE, "boxstyle": "round,pad=0.5"})
for x, kind in ((0.2, "rearranged"), (3.5, "convolution"), (6.3, "residual"), (9.35, "attention")):
    ax.add_patch(Rectangle((x, -1.5), 0.35, 0.35, facecolor=KINDS[kind], edgecolor=BLACK, linewidth=0.8))
ax.plot(12.1, -1.33, "o", color=BLUE, markersize=8)
show(fig, alt="A diagram in the shape of a U. Upper left a noisy seven, upper right the answer. Down the left side blocks of 48 "
              "channels at 14 by 14, at the bottom blocks of 96 channels at 7 by 7 with attention, up the right side again; "
              "green arrows lead straight across.")

# %% [markdown]
# **Figure 2.** The network of Figure 1. Each box is a part; below it stands what it puts out, channels × height × width. Follow
# the arrows down, along the bottom, up, and the green short cuts across. The answer $v$ looks like noise; section 5 says why.
#
# Why go **down**? The patches of notebook 05 had to grow with the noise: who sees less must look further. Does the network? Ask
# PyTorch's autograd, which computes slopes. If pixel A makes a difference to the answer at pixel B, that answer has a slope with respect to A.
#
# **Try it.** Set $t=50$: little more than the framed pixel should stay lit. When does it begin to look around?

# %% tags=["figure"]
# draws a noised digit with a frame, and the slopes of the answer in the frame
def attention_of_a_pixel():
    """A picture for a row, a column and a time."""
    fig, axes = figure(columns=3, width=9.6, height=3.4)
    shown = [ax.imshow(torch.zeros(28, 28), cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
             for ax, cmap, low, high in zip(axes, ("gray", "gray", "magma"), (-1, -1, 0), (1, 1, 0.7))]
    frames = [ax.plot([], [], color=ORANGE, linewidth=3)[0] for ax in axes]
    for ax, title in zip(axes, ("what it sees: $x_t$", r"its answer $\hat x_0$", "where the framed pixel looks")):
        ax.set(title=title, xticks=[], yticks=[], xlim=(-0.5, 27.5), ylim=(27.5, -0.5))
        ax.grid(False)
    paint = painter(fig, [*shown, *frames])
    four, noise = digits[4:5], eps[4:5]

    def draw(row, column, t):
        x = q_sample(four, t, noise, schedule).requires_grad_()
        answer = denoiser(x, t)
        (slopes,) = torch.autograd.grad(answer[0, 0, row, column], x)
        size = slopes[0, 0].abs()
        for image, values in zip(shown, (x.detach()[0, 0], answer.detach()[0, 0], (size / size.max()).sqrt())):
            image.set_data(values)
        for frame in frames:
            frame.set_data(column + torch.tensor([-0.7, 0.7, 0.7, -0.7, -0.7]), row + torch.tensor([-0.7, -0.7, 0.7, 0.7, -0.7]))
        return paint()

    return draw


Live(
    attention_of_a_pixel(),
    caption="Where a pixel's answer comes from: the brighter, the steeper its slope, against the steepest (brightness is the root). "
    "Sliders: the pixel's row and column, and t.",
    alt="A four buried in noise, the network's answer, and a map that is bright around the framed pixel and lit along all strokes.",
    row=widgets.IntSlider(value=13, min=0, max=27, description="row"),
    column=widgets.IntSlider(value=17, min=0, max=27, description="column"),
    t=widgets.IntSlider(value=800, min=10, max=1000, step=10, description="t"),
)

# %% tags=["claim"]
# checks what the text says: with little noise a pixel looks near, with much noise far; near t = 1000 no slope is steep
def squares_of(t):
    """The squared slopes of the middle pixel's answer, for ten digits."""
    x = q_sample(digits, t, eps, schedule).requires_grad_()
    (slopes,) = torch.autograd.grad(denoiser(x, t)[:, 0, 14, 14].sum(), x)
    return slopes.square()


def near(t):
    """The share of the squared slopes that lies within three pixels of the middle."""
    squares = squares_of(t)
    return (squares[:, :, 11:18, 11:18].sum() / squares.sum()).item()


assert near(50) > 0.95
assert near(800) < near(500) < near(300) < near(50)
assert near(800) < 0.85
assert near(990) > near(800) + 0.1
assert squares_of(990).sum() < 0.01 * squares_of(800).sum()

# %% [markdown]
# With little noise a pixel looks at its neighbours. With more, the light spreads, most near $t=800$: whether there was ink *here*
# depends on strokes far away. To look far in few steps, shrink the picture. At 7×7 the next position is four pixels away.
#
# But why come **up** again, and why **across**? Look at what a coarse picture cannot hold.

# %% tags=["check"]
x = digits[[2, 4, 5, 8]]
small = F.avg_pool2d(x, 4)
grown = nn.Upsample(scale_factor=4)(small)
assert torch.equal(grown, small.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3))
assert F.avg_pool2d(x - grown, 4).abs().max() < 1e-6

# %% tags=["figure"]
# draws digits, their coarse copies, and the difference
show(gallery({"digit": x, "7×7 averages": grown, "what is missing": x - grown}, size=1.15),
     alt="Three rows: four digits; the same as coarse squares; what is missing, all edges and fine strokes.")

# %% [markdown]
# **Figure 3.** Four digits, the same as 7×7 averages, and the difference, grey being 0.
#
# A denoiser must return that detail to the pixel. It is still there, in the channels made on the way down. So the way up fetches
# them and lays them beside its own: a **skip connection**. The coarse level says *what* is there, the skip says *where* exactly.
#
# ## 2 · Nine numbers that serve everywhere
#
# Now open the boxes, the smallest first. (Can you do exercise 1 already? Go on to section 3.) A **convolution** slides a small table
# of numbers, the **kernel** $w$, over the picture, multiplies it with the pixels under it, and adds up:
#
# $$ y_{ij} = \sum_{a=0}^{2}\sum_{b=0}^{2} w_{ab}\; x_{i+a-1,\,j+b-1} \tag{1} $$
#
# A rim of zeros around the picture, the **padding**, keeps the size. One position by hand:

# %% tags=["check"]
ink = digits[4:5] + 1  # black is 0 now, as the rim is
kernel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
edges = F.conv2d(ink, kernel[None, None], padding=1)
i, j = 12, 11
by_hand = sum(kernel[a, b] * ink[0, 0, i + a - 1, j + b - 1] for a in range(3) for b in range(3))
assert abs(edges[0, 0, i, j] - by_hand) < 1e-5
print(f"the nine pixels\n{ink[0, 0, i - 1 : i + 2, j - 1 : j + 2].numpy().round(1)}")
print(f"times the kernel, added up: {by_hand:.2f}")

# %% [markdown]
# **Try it.** Choose *top to bottom*: now the strokes that lie flat should light up. Set *times* to 3: the large frame grows to 7×7.
# Then write nine of your own, row by row.

# %% tags=["figure"]
# draws a digit, a kernel, and the digit convolved with it
KERNELS = {
    "left to right": "-1 0 1  -2 0 2  -1 0 1",
    "top to bottom": "-1 -2 -1  0 0 0  1 2 1",
    "blur": "1 2 1  2 4 2  1 2 1",
    "outline": "-1 -1 -1  -1 8 -1  -1 -1 -1",
    "shift": "0 0 0  1 0 0  0 0 0",
    "my own": None,
}


def numbers_of(text):
    """Nine numbers in a text as a kernel, or None if they are not nine."""
    try:
        found = [float(word) for word in text.replace(",", " ").split()]
    except ValueError:
        return None
    return torch.tensor(found).reshape(3, 3) if len(found) == 9 else None


def sliding():
    """A picture for a kernel, nine numbers of one's own, a digit and how often the kernel is applied."""
    fig, axes = figure(columns=3, width=9.6, height=3.6, width_ratios=[1, 0.6, 1])
    shown = [ax.imshow(torch.zeros(size, size), cmap=cmap, vmin=low, vmax=1, interpolation="nearest")
             for ax, size, cmap, low in zip(axes, (28, 3, 28), ("gray", "PuOr", "PuOr"), (0, -1, -1))]
    shown[1].set_clim(-1.9, 1.9)
    field = axes[0].plot([], [], color=ORANGE, linewidth=2)
    place = axes[2].plot([], [], color=ORANGE, linewidth=2)
    words = [axes[1].text(b, a, "", ha="center", va="center", fontsize=13) for a in range(3) for b in range(3)]
    note = axes[1].set_xlabel("")
    for ax, title in zip(axes, ("the digit $x$", "the kernel $w$", "the result $y$")):
        ax.set(title=title, xticks=[], yticks=[])
        ax.grid(False)
    paint = painter(fig, [*shown, *field, *place, *words, note])

    def square(radius):
        corners = torch.tensor([-1.0, 1, 1, -1, -1]) * (radius + 0.5)
        return 11 + corners, 12 + corners.roll(1)

    def draw(table, own, digit, times):
        w = numbers_of(KERNELS[table] or own)
        note.set_text("" if w is not None else "nine numbers, please")
        w = torch.zeros(3, 3) if w is None else w
        w = w / 16 if table == "blur" else w
        x = (digits[digit : digit + 1] + 1) / 2
        y = x
        for _ in range(times):
            y = F.conv2d(y, w[None, None], padding=1)
        for image, values in zip(shown, (x[0, 0], w / w.abs().max().clamp(min=1e-9), y[0, 0] / y.abs().max().clamp(min=1e-9))):
            image.set_data(values)
        for word, number in zip(words, w.flatten()):
            word.set_text(f"{number:.2g}")
        field[0].set_data(*square(times))
        place[0].set_data(*square(0))
        return paint()

    return draw


Live(
    sliding(),
    caption="One kernel slides over a digit. The large frame holds all pixels that the small one depends on. Controls: the kernel, "
    "or nine numbers of your own; the digit; how often the kernel is applied.",
    alt="A digit four with an orange frame, a coloured table of nine numbers, and the result: purple where it gets brighter to "
    "the right, orange where it gets darker.",
    table=widgets.Dropdown(value="left to right", options=list(KERNELS), description="kernel"),
    own=widgets.Text(value="0 -1 0  -1 4 -1  0 -1 0", description="my own"),
    digit=widgets.IntSlider(value=4, min=0, max=9, description="digit"),
    times=widgets.IntSlider(value=1, min=1, max=6, description="times"),
)

# %% [markdown]
# So the answer to the prediction is nine, for one kind of thing. Whoever learns an edge in one corner knows edges in all.
#
# A **convolutional network** wants many, so its pictures have **channels**, each the answer of
# another kernel. Channel $o$ looks at all channels $m$ of the input and adds a number of its own, the **bias**:
#
# $$ y_o = b_o + \sum_m w_{om} * x_m, \qquad
#    \text{weights} = C_\text{out}\,C_\text{in}\,k^2 + C_\text{out}, \qquad
#    \text{rows} = \Big\lfloor\frac{n+2p-k}{s}\Big\rfloor+1 \tag{2} $$
#
# Here $*$ is (1) with $k\times k$ numbers, $n$ counts the rows that come in, $p$ is the padding, and the kernel moves on by $s$
# positions, the **stride**, 2 in `shrink`. New to this? The next deep section writes it out in loops.

# %% tags=["check"]
layer = nn.Conv2d(16, 24, 3, stride=2, padding=1)
assert layer(torch.zeros(1, 16, 28, 28)).shape == (1, 24, (28 + 2 - 3) // 2 + 1, 14)
assert sum(p.numel() for p in layer.parameters()) == 24 * 16 * 9 + 24
print(f"16 → 24 channels, 3×3: {24 * 16 * 9 + 24:,} weights, however large the picture is")

# %% [markdown]
# At the door, `pixel_unshuffle` makes each square of 2×2 pixels *one* position with four channels: a quarter of the work.
# Transformers use larger squares, called **patches**.

# %% tags=["check"]
channels = F.pixel_unshuffle(digits, 2)  # (10, 4, 14, 14)
assert torch.equal(channels[:, 1:2], digits[:, :, 0::2, 1::2])
assert torch.equal(F.pixel_shuffle(channels, 2), digits)

# %% [markdown]
# ### Deeper: convolution from nothing
#
# Here is a whole layer, all channels, padding and stride, in loops. (A mathematician turns the kernel around first and calls ours a *correlation*. Where the kernel
# is learned, it is all the same.)

# %% tags=["check"]
def convolve(x, weight, bias, stride, padding):
    """x: (channels_in, n, n); weight: (channels_out, channels_in, k, k). Equation (2), in loops."""
    channels_out, channels_in, k, _ = weight.shape
    n = x.shape[1]
    rim = torch.zeros(channels_in, n + 2 * padding, n + 2 * padding)
    rim[:, padding : padding + n, padding : padding + n] = x
    rows = (n + 2 * padding - k) // stride + 1
    y = torch.empty(channels_out, rows, rows)
    for o in range(channels_out):
        for i in range(rows):
            for j in range(rows):
                under = rim[:, i * stride : i * stride + k, j * stride : j * stride + k]
                y[o, i, j] = (weight[o] * under).sum() + bias[o]
    return y


x = torch.randn(16, 9, 9, generator=generator)
expected = layer(x[None])[0]
by_hand = convolve(x, layer.weight, layer.bias, stride=2, padding=1)
assert torch.allclose(by_hand, expected, atol=1e-5)
shifted = F.conv2d(ink.roll((2, 3), dims=(2, 3)), kernel[None, None], padding=1)
assert torch.allclose(shifted, edges.roll((2, 3), dims=(2, 3)), atol=1e-5)
print("the loops agree with the library; and a shifted digit has the shifted result")

# %% [markdown]
# Through convolutions alone, each number that is computed knows only a window of the picture, its **receptive field**. A second 3×3 layer adds one position
# on each side, a third one more; after a stride of 2 each of these positions is two pixels wide. In general
#
# $$ r = 1 + \sum_l (k_l - 1)\prod_{l'<l} s_{l'} . $$
#
# Six 3×3 layers see 13 positions in a row, and with a stride of 2 in the fourth 17. These are the layers of our way down to
# `coarse_down`, where a position of the picture is a square of 2×2: 34 pixels, from the middle the whole digit.

# %% tags=["check"]
def sees(strides, size=64):
    """Rows that the middle of the result depends on, by autograd: weights of 1 cannot cancel."""
    x = torch.ones(1, 1, size, size, requires_grad=True)
    y = x
    for stride in strides:
        y = F.conv2d(y, torch.ones(1, 1, 3, 3), stride=stride, padding=1)
    middle = y[0, 0, y.shape[2] // 2, y.shape[3] // 2]
    (slope,) = torch.autograd.grad(middle, x)
    return int((slope[0, 0] != 0).any(dim=1).sum())


for strides in ([1], [1, 1], [1] * 6, [1, 1, 1, 2, 1, 1]):
    by_formula = 1 + sum(2 * math.prod(strides[:place]) for place in range(len(strides)))
    assert sees(strides) == by_formula
    print(f"strides {strides}: one position sees {by_formula}×{by_formula}")

# %% [markdown]
# ## 3 · A block that adds, and listens
#
# More layers should never hurt: the new ones could hand on what they get. But plain layers must learn even that, and 56 of them
# did *worse* than 20 on the training pictures, too (He et al. 2016, figure 1). Two ideas help. The first: a block does not replace its input, it *adds* to it.
#
# $$ \text{block}(x, c) = x + f(x, c) \tag{3} $$
#
# The way past $f$ is the **shortcut**; what is added is the **residual**. The second: the last layer of $f$ begins with all weights
# 0, so a new block is the identity.
#
# And how does a block hear of the time? First, `Condition` makes one vector: the time embedding of notebook 05 through two
# layers (with SiLU between them, the non-linearity of that notebook), plus a row for the label from a learned **embedding
# table**. An eleventh row, the **null label**, means "any digit".
# Training shows it now and then, and so one network learns to answer with a hint and without.

# %% tags=["export:diffusion_lab.networks.unet"]
class Condition(nn.Module):
    """Time and label → one vector (n, dim)."""

    def __init__(self, labels, dim):
        super().__init__()
        self.null_label = labels
        self.time = nn.Sequential(nn.Linear(64, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.label = nn.Embedding(labels + 1, dim)

    def forward(self, t, label=None):
        """t: int64 (n,). label: int64 (n,), an int for all, or None: the null label for all."""
        label = self.null_label if label is None else label
        label = torch.as_tensor(label, device=t.device).expand(len(t))
        time = time_embedding(t, 64).to(self.label.weight.dtype)
        return F.silu(self.time(time) + self.label(label))


# %% [markdown]
# Then each block turns that vector into two numbers for each of its channels, and **scales and shifts** the channel with them:
#
# $$ h \leftarrow (1 + \text{scale})\,h + \text{shift} \tag{4} $$
#
# Think of a mixing desk: every channel has its faders, and the time moves them. The order in a block: norm, SiLU, convolution; norm,
# *faders*, SiLU, convolution, all 0 at first; then $x$ is added. The norm is **group normalisation**: it sorts the channels of a
# picture into eight groups and brings each to mean 0 and variance 1, a known level. SiLU stands between, since two convolutions in
# a row are no more than one larger one. Where the number of channels changes, as in `coarse_up`, a 1×1 convolution stands for the
# $x$ of (3), and there a new block is not quite the identity.

# %% tags=["export:diffusion_lab.networks.unet"]
def zeroed(layer):
    """The layer, with all weights 0: a block that ends in it begins by changing nothing."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class ResidualBlock(nn.Module):
    """Equations (3) and (4). x: (n, channels_in, h, w); condition: (n, dim)."""

    def __init__(self, channels_in, channels, dim):
        super().__init__()
        self.norm_1 = nn.GroupNorm(8, channels_in)
        self.norm_2 = nn.GroupNorm(8, channels)
        self.conv_1 = nn.Conv2d(channels_in, channels, 3, padding=1)
        self.conv_2 = zeroed(nn.Conv2d(channels, channels, 3, padding=1))
        self.scale_and_shift = zeroed(nn.Linear(dim, 2 * channels))
        self.shortcut = (nn.Identity() if channels_in == channels
                         else nn.Conv2d(channels_in, channels, 1))

    def forward(self, x, condition):
        h = self.conv_1(F.silu(self.norm_1(x)))  # (n, channels, h, w)
        # scale and shift: (n, channels, 1, 1) each
        scale, shift = self.scale_and_shift(condition)[:, :, None, None].chunk(2, dim=1)
        h = self.conv_2(F.silu(self.norm_2(h) * (1 + scale) + shift))  # (n, channels, h, w)
        return self.shortcut(x) + h


# %% [markdown]
# Do the zeros stop learning? No: the zeroed layer has a slope, leaves 0 at the first step of training, and then the
# layers before it learn, too.

# %% tags=["check"]
c = Condition(labels=10, dim=128)(torch.tensor([10, 500, 990])).detach()
x = torch.randn(3, 16, 7, 7, generator=generator)
blocks = [ResidualBlock(16, 16, dim=128) for _ in range(20)]
y = x
for block in blocks:
    y = block(y, c)
assert torch.equal(y, x)
(slope,) = torch.autograd.grad(y.square().sum(), blocks[0].conv_2.weight)
assert slope.abs().max() > 0
print("twenty new blocks: the identity; and the first has a slope")

# %% [markdown]
# **Try it.** Lie to the network. The digit stays at $t=500$; you decide what the network is *told*. Here it is told 100, and the
# grain stays. Tell it the truth, and the grain should go. What if you tell it 1000?

# %% tags=["figure"]
# draws the faders of one block, and the answer, for what the network is told
def lies():
    """A picture for the time and the label that the network is told."""
    x = q_sample(digits[4:5], 500, eps[4:5], schedule)
    block = trained.middle

    def faders(t, label):
        return block.scale_and_shift(trained.condition(torch.tensor([t]), label))[0].chunk(2)

    far = torch.cat([part for t in range(50, 1001, 50) for part in faders(t, None)]).abs().quantile(0.995).item()
    fig, axes = figure(columns=3, width=10.4, height=3.7, width_ratios=[1.25, 1, 1])
    scale, shift = faders(500, None)
    truth = axes[0].scatter(1 + scale, shift, color="#444444", marker="x", s=26, linewidth=1, label="told the truth: 500, any digit")
    moved = axes[0].plot([], [], "o", color=ORANGE, markersize=5, alpha=0.8, label="told now")
    axes[0].set(xlim=(1 - 1.1 * far, 1 + 1.1 * far), ylim=(-1.1 * far, 1.1 * far), xlabel="1 + scale", ylabel="shift",
                title="the faders of `middle`")
    axes[0].legend(loc="upper left", fontsize=8)
    axes[1].imshow(x[0, 0], cmap="gray", vmin=-1, vmax=1)
    answer = axes[2].imshow(x[0, 0], cmap="gray", vmin=-1, vmax=1)
    for ax, title in zip(axes[1:], ("what it sees, always at $t=500$", r"its answer $\hat x_0$")):
        ax.set(title=title, xticks=[], yticks=[])
        ax.grid(False)
    paint = painter(fig, [*moved, truth, answer])

    def draw(t, label):
        label = None if label == "any" else int(label)
        scale, shift = faders(t, label)
        moved[0].set_data(1 + scale, shift)
        answer.set_data(denoiser(x, t, label)[0, 0])
        return paint()

    return draw


Live(
    lies(),
    caption="The same noisy digit; only what the network is told changes. Left, each dot is a channel. Controls: the time and the label that it is told.",
    alt="A scatter of orange dots and, elsewhere, grey crosses; a noisy four; and the network's answer, a four full of grain.",
    t=widgets.IntSlider(value=100, min=1, max=1000, description="told t"),
    label=widgets.SelectionSlider(value="any", options=["any", *map(str, range(10))], description="told digit"),
)

# %% tags=["claim"]
# checks what the text says: told too small a time, it leaves the grain; told the last one, it hardly looks at the picture
x = q_sample(digits, 500, eps, schedule)
grain = [(denoiser(x, t) - digits).square().mean().item() for t in (50, 100, 500, 1000)]
assert min(grain[0], grain[1], grain[3]) > 3 * grain[2]

# %% [markdown]
# Told that there is little noise, it leaves the grain alone: that must be the digit, then. Told that all is noise, it forgets what
# it sees.
#
# ### Deeper: group normalisation by hand
#
# In each group $G$ of *one* picture, over all its channels and positions, with a factor $\gamma$ and a shift $\delta$ that are
# learned for each channel:
#
# $$ h = \gamma\, \frac{x - \mathrm{mean}_G}{\sqrt{\mathrm{var}_G + 10^{-5}}} + \delta . $$
#
# In a new layer $\gamma=1$ and $\delta=0$. No picture hears of the others in its batch; the common mistake below shows why that
# matters.

# %% tags=["check"]
x = 5 + 3 * torch.randn(2, 16, 7, 7, generator=generator)
groups = x.reshape(2, 8, 2 * 7 * 7)
mean = groups.mean(dim=2, keepdim=True)
var = groups.var(dim=2, keepdim=True, correction=0)
by_hand = ((groups - mean) / (var + 1e-5).sqrt()).reshape(x.shape)
assert torch.allclose(nn.GroupNorm(8, 16)(x), by_hand, atol=1e-5)
print(f"before: mean {x.mean():.0f}, standard deviation {x.std():.0f}; "
      f"after: {abs(by_hand.mean()):.0f} and {by_hand.std():.0f}")

# %% [markdown]
# ### Deeper: must a network be told the time at all?
#
# The picture itself tells much about it. In the black margin around a digit lies bare noise, and its standard deviation is
# $\sqrt{1-\bar\alpha_t}$. Sun et al. (2025) ask how far one gets without being told. Section 6 tries it.

# %% tags=["check"]
x_t = q_sample(digits, 700, eps, schedule)
margin = x_t[:, :, :2]  # the two upper rows of ten digits: 560 pixels
guess = margin.std()
truth = (1 - schedule.alpha_bar[700]).sqrt()
assert abs(guess / truth - 1) < 0.12  # four standard errors
print(f"standard deviation of the margin, over the right one: {guess / truth:.1f}")

# %% [markdown]
# ## 4 · Attention: ask everyone at once
#
# A convolution carries news one position per layer. With **attention** every position hears of every other at once. Each makes three
# vectors of its channels: a **query** $q$ (what it looks for), a **key** $k$ (what it has), a **value** $v$ (what it tells). It
# compares its query with all keys, by their inner products, and mixes the values, most from those that fit best:
#
# $$ \mathrm{attention}(q, k, v) = \mathrm{softmax}\!\Big(\frac{q\,k^\top}{\sqrt d}\Big)\,v \tag{5} $$
#
# The softmax makes **attention weights** of the similarities: from 2, 0, 0 it makes 0.79, 0.11, 0.11. They add up to 1 in each row,
# the row of one position that asks. (This
# $v$ has nothing to do with the $v$ that the network predicts.)

# %% tags=["check"]
q, k, v = torch.randn(3, 49, 24, generator=generator)
by_hand = torch.softmax(q @ k.T / 24**0.5, dim=1) @ v
librarys = F.scaled_dot_product_attention(q[None], k[None], v[None])[0]
assert torch.allclose(by_hand, librarys, atol=1e-6)
print(f"pairs of positions to compare: {49**2:,} at 7×7, {784**2:,} at 28×28")

# %% [markdown]
# The last line is why attention stands at the bottom of the U: its cost grows with the square of the positions. The module asks four
# questions at once, in four **heads**, groups of channels of their own. In its longest line, `unflatten` cuts what a position says into
# $q$, $k$ and $v$ for each head, and `permute` brings these three to the front. It, too, adds to its input and begins with zeros.

# %% tags=["export:diffusion_lab.networks.unet"]
class Attention(nn.Module):
    """x + equation (5), d = channels / heads. x: (n, channels, h, w). Returns the same shape."""

    def __init__(self, channels, heads=4):
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(8, channels)
        self.to_qkv = nn.Linear(channels, 3 * channels)
        self.leave = zeroed(nn.Linear(channels, channels))

    def forward(self, x):
        n, channels, height, width = x.shape
        positions = self.norm(x).flatten(2).transpose(1, 2)  # (n, positions, channels)
        q, k, v = self.to_qkv(positions).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        # q, k and v: (n, heads, positions, d) each; found: (n, positions, channels)
        found = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return x + self.leave(found).transpose(1, 2).reshape(n, channels, height, width)


# %% [markdown]
# What does the trained network look at? Take the softmax of (5) apart.

# %% tags=["check"]
def attention_weights(network, x_t, t):
    """The weights of all heads, (n, heads, 49, 49): in each row, where one position looks."""
    condition = network.condition(torch.full((len(x_t),), t))
    fine = network.fine_down(network.enter(F.pixel_unshuffle(x_t, 2)), condition)
    coarse = network.coarse_down(network.shrink(fine), condition)
    positions = network.attention.norm(coarse).flatten(2).transpose(1, 2)
    q, k, _ = network.attention.to_qkv(positions).unflatten(2, (3, 4, -1)).permute(2, 0, 3, 1, 4)
    return torch.softmax(q @ k.mT / q.shape[3] ** 0.5, dim=3)


looks = attention_weights(trained, q_sample(digits, 300, eps, schedule), 300)
assert looks.shape == (10, 4, 49, 49)
assert torch.allclose(looks.sum(dim=3), torch.ones(10, 4, 49), atol=1e-5)

# %% [markdown]
# **Try it.** A position on the stroke of a zero asks. Heads 1 and 4 look at strokes, 2 and 3 at the rim. Move the frame off the
# digit: all four should turn to the rim.

# %% tags=["figure"]
# draws a noised digit with the position that asks, and where each of its four heads looks
def asked():
    """A picture for a digit, the row and column of the position that asks, and a time."""
    fig, axes = figure(columns=5, width=12, height=2.9)
    shown = [axes[0].imshow(torch.zeros(28, 28), cmap="gray", vmin=-1, vmax=1)]
    shown += [ax.imshow(torch.zeros(7, 7), cmap="magma", vmin=0, vmax=1, extent=(-0.5, 27.5, 27.5, -0.5)) for ax in axes[1:]]
    frames = [ax.plot([], [], color=ORANGE, linewidth=2.4)[0] for ax in axes]
    for ax, title in zip(axes, ("who asks", "head 1", "head 2", "head 3", "head 4")):
        ax.set(title=title, xticks=[], yticks=[], xlim=(-0.6, 27.6), ylim=(27.6, -0.6))
        ax.grid(False)
    paint = painter(fig, [*shown, *frames])

    def draw(digit, row, column, t):
        x = q_sample(digits[digit : digit + 1], t, eps[digit : digit + 1], schedule)
        heads = attention_weights(trained, x, t)[0, :, 7 * row + column].reshape(4, 7, 7)
        shown[0].set_data(x[0, 0])
        for image, head in zip(shown[1:], heads):
            image.set_data(head / head.max())
        for frame in frames:
            frame.set_data(4 * column + torch.tensor([-0.4, 3.4, 3.4, -0.4, -0.4]), 4 * row + torch.tensor([-0.4, -0.4, 3.4, 3.4, -0.4]))
        return paint()

    return draw


Live(
    asked(),
    caption="Where one position looks, in each of the four heads: the brighter, the larger the weight. Sliders: the digit, the "
    "position's row and column, and t.",
    alt="A noisy zero with one of 49 squares framed, on its stroke, and four maps of 7 by 7 squares: two bright on other strokes, "
    "two along the rim.",
    digit=widgets.IntSlider(value=0, min=0, max=9, description="digit"),
    row=widgets.IntSlider(value=2, min=0, max=6, description="row"),
    column=widgets.IntSlider(value=3, min=0, max=6, description="column"),
    t=widgets.IntSlider(value=300, min=10, max=1000, step=10, description="t"),
)

# %% [markdown]
# So much light on the rim, where there is nothing to see. The weights must add up to 1, so a head with nothing to ask must still
# look somewhere: an **attention sink** (Xiao et al. 2023). Or the network keeps notes there: **registers** (Darcet et al. 2023).
# A map cannot tell which. Nor does it say whether attention is needed here; section 6 asks.

# %% tags=["claim"]
# checks what the text says: two heads look at strokes when a stroke asks; off the digit all four look at the rim
rim = torch.ones(7, 7, dtype=torch.bool)
rim[1:6, 1:6] = False
on_the_rim = looks[..., rim.flatten()].sum(dim=3).mean().item()
assert on_the_rim > 0.6 > 24 / 49
strokes = F.avg_pool2d((digits + 1) / 2, 4).flatten(1) > 0.3  # (10, 49)
first = looks[0, :, 7 * 2 + 3]  # the position of the picture as it starts
assert strokes[0, 7 * 2 + 3]
assert first[[0, 3]][:, strokes[0]].sum(dim=1).min() > 0.8
assert first[[1, 2]][:, rim.flatten()].sum(dim=1).min() > 0.8
to_rim = looks[..., rim.flatten()].sum(dim=3)  # (10, heads, 49)
assert min(to_rim[:, head][~strokes].mean() for head in range(4)) > 0.8
assert max(to_rim[:, head][strokes].mean() for head in (0, 3)) < 0.6
assert min(to_rim[:, head][strokes].mean() for head in (1, 2)) > 0.8

# %% [markdown]
# ### Deeper: why the root, and what attention does not know
#
# If the entries of $q$ and $k$ are independent with mean 0 and variance 1, their inner product has variance $d$. Undivided, its large
# values would leave the softmax with one winner, and little slope to learn from.

# %% tags=["check"]
divided = torch.softmax(q @ k.T / 24**0.5, dim=1).amax(dim=1).mean()
undivided = torch.softmax(q @ k.T, dim=1).amax(dim=1).mean()
assert abs((q @ k.T).var() / 24 - 1) < 0.26  # four standard errors, for 49 queries and keys
print(f"the largest of 49 weights, on average: {divided:.1f} with √d, {undivided:.1f} without")

# %% [markdown]
# The library has a whole attention layer, and with the same weights it says the same as ours. And attention does not know *where* a
# position lies: shuffle the positions, and the result is shuffled likewise. In our network the convolutions know, since their
# padding shows them the edge.

# %% tags=["check"]
attention = Attention(32)
library = nn.MultiheadAttention(32, 4, batch_first=True)
nn.init.eye_(attention.leave.weight)
nn.init.eye_(library.out_proj.weight)
library.in_proj_weight.data.copy_(attention.to_qkv.weight)
library.in_proj_bias.data.copy_(attention.to_qkv.bias)
x = torch.randn(2, 32, 7, 7, generator=generator)
positions = attention.norm(x).flatten(2).transpose(1, 2)
expected = x + library(positions, positions, positions)[0].transpose(1, 2).reshape(x.shape)
assert torch.allclose(attention(x), expected, atol=1e-5)

order = torch.randperm(49, generator=generator)
shuffled = attention(x.flatten(2)[:, :, order].reshape(x.shape))
expected = attention(x).flatten(2)[:, :, order].reshape(x.shape)
assert torch.allclose(shuffled, expected, atol=1e-5)

# %% [markdown]
# ## 5 · The whole, from close by
#
# All parts are there. Put them together by Figure 2.

# %% tags=["export:diffusion_lab.networks.unet"]
class UNet(nn.Module):
    """(x_t, t, label) → a tensor like x_t, by way of 14×14 and 7×7.

    fine, coarse: channels there, multiples of 8.
    """

    def __init__(self, fine=48, coarse=96, dim=128, labels=10):
        super().__init__()
        self.null_label = labels
        self.condition = Condition(labels, dim)
        self.enter = nn.Conv2d(4, fine, 3, padding=1)
        self.fine_down = ResidualBlock(fine, fine, dim)
        self.shrink = nn.Conv2d(fine, coarse, 3, stride=2, padding=1)
        self.coarse_down = ResidualBlock(coarse, coarse, dim)
        self.attention = Attention(coarse)
        self.middle = ResidualBlock(coarse, coarse, dim)
        self.coarse_up = ResidualBlock(2 * coarse, coarse, dim)
        self.grow = nn.Sequential(nn.Conv2d(coarse, fine, 1), nn.Upsample(scale_factor=2))
        self.fine_up = ResidualBlock(2 * fine, fine, dim)
        self.leave = nn.Sequential(nn.GroupNorm(8, fine), nn.SiLU(),
                                   zeroed(nn.Conv2d(fine, 4, 3, padding=1)))
        # A file of weights names what it takes to build its network:
        self.arguments = {"fine": fine, "coarse": coarse, "dim": dim, "labels": labels}

    def forward(self, x_t, t, label=None):
        """x_t: float32 (n, 1, 28, 28). t: int64 (n,). label: int64 (n,), an int, or None."""
        condition = self.condition(t, label)  # (n, dim)
        fine = self.fine_down(self.enter(F.pixel_unshuffle(x_t, 2)), condition)  # (n, fine, 14, 14)
        coarse = self.coarse_down(self.shrink(fine), condition)  # (n, coarse, 7, 7)
        x = self.middle(self.attention(coarse), condition)  # (n, coarse, 7, 7)
        x = self.coarse_up(torch.cat([x, coarse], dim=1), condition)  # 2 coarse → coarse channels
        x = self.fine_up(torch.cat([self.grow(x), fine], dim=1), condition)  # 14×14 again
        return F.pixel_shuffle(self.leave(x), 2)  # (n, 4, 14, 14) → (n, 1, 28, 28)


# %% [markdown]
# As promised, the trained weights fit into these classes. A new network answers 0, and each picture is answered by itself.

# %% tags=["check"]
built = UNet().requires_grad_(False)
built.load_state_dict(trained.state_dict())
x_t = q_sample(digits, 700, eps, schedule)
t = torch.arange(100, 1100, 100)
answer = built(x_t, t, torch.arange(10))
assert torch.allclose(answer, trained(x_t, t, torch.arange(10)), atol=1e-4)
assert UNet()(x_t, t).abs().max() == 0
alone = [built(x_t[i : i + 1], t[i : i + 1], i) for i in range(10)]
assert torch.allclose(answer, torch.cat(alone), atol=1e-4)

counted = {name: sum(w.numel() for w in part.parameters()) for name, part in built.named_children()}
for name, n in counted.items():
    print(f"{name:12}{n:9,}")
print(f"{'in all':12}{sum(counted.values()):9,}")

# %% tags=["claim"]
# checks what the text says: most weights are at 7×7
coarse_parts = ("shrink", "coarse_down", "attention", "middle", "coarse_up")
assert sum(counted[name] for name in coarse_parts) > 0.6 * sum(counted.values())
assert sum(counted.values()) > 900_000

# %% [markdown]
# Most of them are at 7×7, where a kernel visits only 49 positions.
#
# **Watch a digit pass through.** A seven at $t=400$ goes in, $v$ comes out. Before you look: at which stage will the noise be gone?

# %%
def outputs_of(network, *inputs):
    """{name of a part: its output}, in the order in which the parts run."""
    found = {}
    hooks = []
    for name, part in network.named_children():
        def keep(part, inputs, output, name=name):
            found[name] = output

        hooks.append(part.register_forward_hook(keep))  # called each time the part has run
    with torch.no_grad():
        found["answer"] = network(*inputs)
    for hook in hooks:
        hook.remove()
    return found


# %% tags=["figure"]
# draws the channels of each stage for a noised seven
def channels_of(output, most=24):
    """The first channels of an output (1, c, h, w), each stretched to [-1, 1], as 28×28."""
    maps = F.interpolate(output, size=28).squeeze(0)[:most, None]
    low = maps.amin(dim=(2, 3), keepdim=True)
    high = maps.amax(dim=(2, 3), keepdim=True)
    return 2 * (maps - low) / (high - low).clamp(min=1e-6) - 1


def one_large(picture):
    """A picture (1, 1, 28, 28) as a frame of the size that 24 channels have."""
    return mosaic(F.pad(F.interpolate(picture, scale_factor=3), (77, 77, 2, 2), value=1.0))


seven = q_sample(digits[7:8], 400, eps[7:8], schedule)
stages = outputs_of(trained, seven, torch.tensor([400]))
frames = {"x_t, what goes in": one_large(seven)}
for stage in ("fine_down", "middle", "fine_up"):
    _, many, height, width = stages[stage].shape
    frames[f"{stage}: {many} channels of {height} by {width}"] = mosaic(channels_of(stages[stage]), columns=8)
frames["leave: v, the network's answer"] = one_large(stages["answer"])
frames["the estimate of x_0 that v gives"] = one_large(denoiser(seven, 400))
Scrubber(
    list(frames.values()),
    list(frames),
    "A noised seven on its way through the U-Net: 24 channels of each stage.",
    "A noisy seven; many channels of it; then coarse squares at 7 by 7; then noisy channels again; v, noise with a faint dark "
    "seven; last a clean seven.",
)

# %% [markdown]
# At none. It is faintest at the bottom, and at the end it is back! That is no failure: at this time $v$ is mostly noise, and the
# network must say where each grain lies. Only the skip can tell it. Then `as_denoiser` takes $\sqrt{1-\bar\alpha_t}\,v$ off
# $\sqrt{\bar\alpha_t}\,x_t$, and a seven remains.
#
# ### Deeper: the weights, counted by hand
#
# Equation (2), part by part: a pencil finds the same numbers.

# %% tags=["check"]
def weights(fine, coarse, dim, labels=10):
    """The number of weights of each part of the U-Net, counted by hand with equation (2)."""
    def conv(a, b, k=3):
        return a * b * k * k + b

    def block(a, b):
        first = 2 * a + conv(a, b)  # norm_1, conv_1
        second = (dim + 1) * 2 * b + 2 * b + conv(b, b)  # scale_and_shift, norm_2, conv_2
        return first + second + (conv(a, b, k=1) if a != b else 0)  # the shortcut

    return {
        "condition": (64 + 1) * dim + (dim + 1) * dim + (labels + 1) * dim,
        "enter": conv(4, fine),
        "fine_down": block(fine, fine),
        "shrink": conv(fine, coarse),
        "coarse_down": block(coarse, coarse),
        "attention": 2 * coarse + (coarse + 1) * 4 * coarse,
        "middle": block(coarse, coarse),
        "coarse_up": block(2 * coarse, coarse),
        "grow": conv(coarse, fine, k=1),
        "fine_up": block(2 * fine, fine),
        "leave": 2 * fine + conv(fine, 4),
    }


assert weights(**trained.arguments) == counted
print("counted by hand: the same, part by part")

# %% [markdown]
# ### Deeper: what each stage is about
#
# `outputs_of` hangs a **hook** on each part, a function that is called with its output each time it runs. (`grow` repeats each
# position 2×2: **nearest** upsampling.) To the eye the coarse channels say little. So measure. Ten digits go
# through, each under the same ten noises. At each stage the mean
# of all hundred outputs is taken off, and what is left is compared in pairs by the cosine: pairs of the *same digit* under two
# noises, of two digits under the *same noise*, and of *neither* in common. (With neither, the cosine is −0.1 and not 0, since what is
# left of ten digits adds up to 0.)

# %% tags=["check"]
many_t = q_sample(digits.repeat_interleave(10, dim=0), 400, eps.repeat(10, 1, 1, 1), schedule)
number = torch.arange(100)  # input 10 a + b: digit a, noise b
digit = number[:, None] // 10 == number // 10  # (100, 100): has this pair the same?
noise = number[:, None] % 10 == number % 10
kinds = {"same digit": digit & ~noise, "same noise": noise & ~digit, "neither": ~digit & ~noise}
seen = {"x_t": many_t} | outputs_of(trained, many_t, torch.full((100,), 400))
alike = {}
print(f"{'':12}", *(f"{kind:>11}" for kind in kinds))
coarse = ["shrink", "coarse_down", "middle", "coarse_up"]
for stage in ["x_t", "fine_down", *coarse, "fine_up", "leave"]:
    own = F.normalize((seen[stage] - seen[stage].mean(dim=0)).flatten(1))
    alike[stage] = [(own @ own.T)[pairs].mean().item() for pairs in kinds.values()]
    print(f"{stage:12}", *(f"{value:11.1f}" for value in alike[stage]))
assert all(alike[stage][1] > alike[stage][0] for stage in ("x_t", "leave"))
assert all(alike[stage][0] > alike[stage][1] for stage in coarse)

# %% [markdown]
# What goes in is more alike under the same noise. From `shrink` to `coarse_up` it is the digit that makes two outputs alike. At the
# end the noise has won again, as it must.
#
# ## 6 · What is each part for? Take it away
#
# An **ablation** finds out: replace a part, train again, look what got
# worse. But was it the part, or fewer weights, or luck?
#
# So these five have the same number of weights within one per cent, and three seeds. They are a third as wide as
# ours, and trained briefly.
#
# - **whole**: the network of Figure 2,
# - **no time**: it is told $t=0$, whatever the time,
# - **no skips**: the way up sees only what comes from below,
# - **no attention**: in its place two layers that look at each position by itself,
# - **no coarse level**: nothing shrinks; the same weights work at 14×14.
#
# Each is judged by its loss on the test digits, and by 1,000 digits that it draws. Another network, the *judge*,
# reads them: the **accuracy**. The **distance** compares what the judge sees in them with what it sees in real
# digits; 1 is as good as real (notebook 07). A second judge was trained apart.
#
# Place a bet. Skips, time, attention, coarse level: which is missed most, which not at all?

# %% tags=["check"]
ablation = read("ablation")
runs = ablation["runs"]
networks = list(dict.fromkeys(run["network"] for run in runs))


def three(name, *keys, decimals):
    """A measure of a network for each seed, as text; keys lead to it: run["first"]["distance"]."""
    values = []
    for run in runs:
        if run["network"] == name:
            for key in keys:
                run = run[key]
            values.append(f"{run:.{decimals}f}")
    return " ".join(values)


print(f"{ablation['recipe']['steps']:,} steps of {ablation['recipe']['batch']} digits; "
      f"one number for each seed")
print(f"{'':34}accuracy")
print(f"{'':16}{'held-out loss':18}{'judge 1':15}judge 2")
for name in networks:
    print(f"{name:16}{three(name, 'loss', decimals=3):18}"
          f"{three(name, 'first', 'label_accuracy', decimals=2):15}"
          f"{three(name, 'second', 'label_accuracy', decimals=2)}")
counts = [run["parameters"] for run in runs]
assert max(counts) < 1.01 * min(counts)

# %% tags=["check"]
print(f"{'':16}distance / floor")
print(f"{'':16}{'judge 1':13}{'judge 2':13}ms per step")
for name in networks:
    print(f"{name:16}{three(name, 'first', 'times_floor', decimals=0):13}"
          f"{three(name, 'second', 'times_floor', decimals=0):13}"
          f"{three(name, 'cpu_milliseconds_per_step', decimals=0)}")
assert all(run[judge]["times_floor"] > 10 for run in runs for judge in ("first", "second"))

# %% tags=["figure"]
# draws ten digits of each network of the first seed, and where in time each loses
import base64
import io

import numpy as np
from PIL import Image

STYLES = {"whole": (BLACK, "--", "o"), "no time": (BLUE, ":", "v"), "no skips": (ORANGE, "-", "s"),
          "no attention": (GREY, "-.", "^"), "no coarse level": ("#CC79A7", "-", "D")}
fig, (left, right) = figure(columns=2, width=12.6, height=4.2, width_ratios=[1.2, 1])
strips = [np.asarray(Image.open(io.BytesIO(base64.b64decode(run["digits"])))) for run in runs if run["seed"] == 0]
gap = np.full((3, strips[0].shape[1]), 255, dtype=np.uint8)
left.imshow(np.concatenate([part for strip in strips for part in (strip, gap)])[:-3], cmap="gray", vmin=0, vmax=255)
left.set_yticks([31 * k + 14 for k in range(len(strips))], networks)
left.set_xticks([])
left.tick_params(length=0)
left.grid(False)
left.spines[:].set_visible(False)
whole = {run["seed"]: torch.tensor(run["losses"]) for run in runs if run["network"] == "whole"}
for name in networks[1:]:
    ratios = [torch.tensor(run["losses"]) / whole[run["seed"]] for run in runs if run["network"] == name]
    colour, line, marker = STYLES[name]
    right.plot(torch.arange(50, 1050, 100), torch.stack(ratios).mean(dim=0), color=colour, linestyle=line, marker=marker,
               label=name)
right.axhline(1, **ROLES["exact"], label="whole")
right.set(xlabel="t", ylabel="loss, over that of the whole", yscale="log")
right.set_yticks([1, 1.5, 2, 3, 4], ["1", "1.5", "2", "3", "4"])
right.minorticks_off()
right.legend()
show(fig, alt="Left: ten drawn digits of each of five networks. Right: for four networks, their loss over that of the whole "
              "network, along t.")

# %% [markdown]
# **Figure 4.** Left: ten digits of each network, asked for 0 to 9 from the same noise. Right: where in time each loses, averaged
# over seeds.
#
# First the whole: one digit in five cannot be read, and its distance is twenty to forty times the floor. So this says
# how small networks *begin* to draw. Now pay out the bets.
#
# - The **skips** are missed most, by every measure. Detail suffers, where a good part of the noise is gone.
# - The **time** is missed a little: the loss is higher at every $t$, fewer digits can be read. The first judge's distance grows, and
#   the second's does not: for two seeds of three it shrinks.
# - **Attention**: nothing to be seen. Without it, one seed does better and another worse.
# - Without the **coarse level** the loss and both distances are *better*, and as many can be read. But the same weights work at four
#   times as many positions, and a step takes twice the time.
#
# So here the coarse level buys time, not quality. What does not follow: that attention is useless (at 7×7 a few convolutions see most
# of a digit anyway), that one should not shrink (for equal *time*, the order may turn), or that longer training changes nothing.

# %% tags=["claim"]
# checks what the text says of the ablation, seed by seed and by both judges
by = {(run["network"], run["seed"]): run for run in runs}
seeds = ablation["seeds"]
assert set(by) == {(name, seed) for name in networks for seed in seeds}


def compared(name, *keys):
    """A measure without a part, over that of the whole network, for each seed."""
    def at(run):
        for key in keys:
            run = run[key]
        return run

    return [at(by[name, seed]) / at(by["whole", seed]) for seed in seeds]


def each_tenth(name):
    """The losses without a part, over those of the whole network, in each tenth of the times."""
    return torch.tensor([compared(name, "losses", tenth) for tenth in range(10)])


for seed in seeds:
    run = by["whole", seed]
    assert all(0.75 < run[judge]["label_accuracy"] < 0.85 for judge in ("first", "second"))
    assert all(17 < run[judge]["times_floor"] < 42 for judge in ("first", "second"))
for judge in ("first", "second"):
    accuracy = {name: compared(name, judge, "label_accuracy") for name in networks}
    distance = {name: compared(name, judge, "times_floor") for name in networks}
    assert max(accuracy["no skips"]) < min(accuracy[name][i] for name in networks if name != "no skips" for i in range(3))
    assert min(distance["no skips"]) > 3
    assert max(distance["no time"]) < 3
    assert max(accuracy["no time"]) < 0.97
    assert (min(distance["no time"]) > 1.2) == (judge == "first")  # the second judge's distance sees no harm
    assert min(distance["no attention"]) < 1 < max(distance["no attention"])
    assert max(abs(ratio - 1) for ratio in accuracy["no attention"]) < 0.03
    assert max(distance["no coarse level"]) < 0.9
assert sum(compared("no time", "second", "times_floor")) < 3
assert min(compared("no skips", "loss")) > 1.3
assert each_tenth("no skips")[1:4].min() > 1.7 > each_tenth("no skips")[9].max()
assert each_tenth("no time").min() > 1
assert max(compared("no time", "loss")) < 1.2
assert min(compared("no attention", "loss")) < 1 < max(compared("no attention", "loss"))
assert max(abs(ratio - 1) for ratio in compared("no attention", "loss")) < 0.02
assert max(compared("no coarse level", "loss")) < 0.95
assert all(1.7 < ratio < 3 for ratio in compared("no coarse level", "cpu_milliseconds_per_step"))

# %% [markdown]
# ## 7 · What lives on
#
# In 2021 nearly every diffusion network was a U-Net. Since DiT (Peebles & Xie 2023) most large systems for images and video are
# **transformers**: patches, as you made them at the door, then nothing but attention and small networks that look at each position by
# itself. But their blocks add, are told time and label by scale and shift, and begin by changing nothing:
#
# $$ x \leftarrow x + \text{gate}\cdot f\big((1 + \text{scale})\,\mathrm{norm}(x) + \text{shift}\big), \qquad
#    \text{gate} = 0 \text{ at the start} \tag{6} $$
#
# This is **adaLN-Zero**, your (3) and (4) with one fader more. Exercise 2 builds it.
#
# That neighbours belong together, a convolution knows beforehand; a transformer must learn it, from much data.
#
# ### Deeper: patches, and where they are
#
# The first layer of a transformer takes each patch of 4×4 pixels, 16 numbers, and makes $d$ of them. That is a convolution, with a
# kernel of 4 and a stride of 4:

# %% tags=["check"]
patches = F.pixel_unshuffle(digits, 4).flatten(2).transpose(1, 2)  # (10, 49, 16)
embed = nn.Linear(16, 32)
kernel_4 = embed.weight.reshape(32, 1, 4, 4)
as_convolution = F.conv2d(digits, kernel_4, embed.bias, stride=4).flatten(2).transpose(1, 2)
assert torch.allclose(embed(patches), as_convolution, atol=1e-5)
print("49 patches, one layer of weights: the same as a convolution with a stride of 4")

# %% [markdown]
# Attention does not know where a patch lies, and here no padding tells it. So a vector for each of the 49 positions is added at the
# start, of sines and cosines like those of $t$, or learned. Then come the blocks of exercise 2, one after the other, and at the
# end a zeroed layer from $d$ back to 16 numbers and `pixel_shuffle`.
#
# From now on: `from diffusion_lab.networks.unet import zeroed, Condition, ResidualBlock, Attention, UNet`.
#
# ## Exercises
#
# ### Exercise 1 (warm-up): size and weights of a convolution
#
# Return `(rows, weights)` of a convolution with biases. And what would the network of Figure 2 do with a picture of 30×30?

# %% tags=["exercise"]
def convolution(rows, channels_in, channels_out, kernel, stride, padding):
    """Rows of the result and number of weights, two ints, for a picture of rows×rows.

    All arguments are ints.
    """
    raise NotImplementedError


# %% tags=["check"]
exercise.check_convolution(convolution)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# Equation (2). `//` rounds down.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def convolution(rows, channels_in, channels_out, kernel, stride, padding):
#     result = (rows + 2 * padding - kernel) // stride + 1
#     return result, channels_out * channels_in * kernel**2 + channels_out
# ```
#
# 30×30 becomes 15×15 by `pixel_unshuffle`, 8×8 by `shrink`, 16×16 by `grow`: and then the skip of 15×15 does not fit beside it.
# The size must be a multiple of 4. (The package's own refuses all but 28×28 at once.)
# </details>

# %% [markdown]
# ### Exercise 2 (core): build a block of a transformer
#
# Build equation (6), twice in a row: first with attention for $f$, then with a small network. The norm runs over the channels of one
# position: `F.layer_norm(positions, (channels,))`.

# %% tags=["exercise"]
def transformer_block(x, modulation, attend, mlp):
    """Equation (6) with f = attend, then with f = mlp.

    x: float64 (n, channels, h, w). modulation: float64 (n, 6 * channels): scale, shift, gate, and
    once more. attend, mlp: functions from (n, h * w, channels) to the same shape.
    Returns the shape of x.
    """
    raise NotImplementedError


# %% tags=["check"]
exercise.check_transformer_block(transformer_block)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# `x.flatten(2).transpose(1, 2)` makes a row of each position. `modulation[:, None].chunk(6, dim=2)` gives six tensors that fit
# beside it. Undo the first line at the end.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def transformer_block(x, modulation, attend, mlp):
#     n, channels, height, width = x.shape
#     positions = x.flatten(2).transpose(1, 2)
#     parts = modulation[:, None].chunk(6, dim=2)
#     scale, shift, gate = parts[:3]
#     h = (1 + scale) * F.layer_norm(positions, (channels,)) + shift
#     positions = positions + gate * attend(h)
#     scale, shift, gate = parts[3:]
#     h = (1 + scale) * F.layer_norm(positions, (channels,)) + shift
#     positions = positions + gate * mlp(h)
#     return positions.transpose(1, 2).reshape(n, channels, height, width)
# ```
# </details>

# %% [markdown]
# ### Exercise 3 (core): find two faults
#
# Both have stood in public code, and all shapes fit. A network with the first of them drew as well as one without it.
# Repair the function.
#
# ```python
# def attend(q, k, v):
#     n, heads, positions, d = q.shape
#     weights = torch.softmax(q @ k.transpose(2, 3) / d**0.5, dim=2)
#     return (weights @ v).reshape(n, positions, heads * d)
# ```

# %% tags=["exercise"]
def attend(q, k, v):
    """Equation (5) in each head, then the heads side by side.

    q, k, v: float64 (n, heads, positions, d). Returns (n, positions, heads * d): each position's
    answer of head 0, then of head 1, and so on.
    """
    raise NotImplementedError


# %% tags=["check"]
exercise.check_attend(attend)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# Which axis runs over the positions that are looked at? And in which order does `reshape` read the numbers of
# (n, heads, positions, d)?
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def attend(q, k, v):
#     weights = torch.softmax(q @ k.transpose(2, 3) / q.shape[3] ** 0.5, dim=3)
#     return (weights @ v).transpose(1, 2).flatten(2)
# ```
#
# The wrong softmax makes the weights add up to 1 over those who *ask*. It stood in a popular annotated implementation of DDPM (labmlai,
# issue 146, 2022). Whoever found it trained both: the distances hardly differed. That a network trains proves little about its code. The
# `reshape` without `transpose` mixes positions and heads, and has been found in several teaching transformers.
# </details>

# %% [markdown]
# ### Exercise 4 (core): how far does it look?
#
# Of the *squared* slopes of the answer at row 14, column 14, which fraction lies at most `radius` rows and columns
# away? Then ask `denoiser` about `digits`, at little noise and at much. What do you expect?

# %% tags=["exercise"]
def reach(denoiser, x_t, t, radius):
    """The fraction, a float between 0 and 1, over all pictures together.

    denoiser: called as denoiser(x_t, t); each picture is answered by itself. x_t: (n, 1, 28, 28).
    t, radius: ints, radius at most 13.
    """
    raise NotImplementedError


# %% tags=["check"]
exercise.check_reach(reach)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# `torch.autograd.grad(answers.sum(), x)` gives the slopes of all pictures at once, since each picture's answer depends on itself
# alone. `x = x_t.clone().requires_grad_()`.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def reach(denoiser, x_t, t, radius):
#     x = x_t.clone().requires_grad_()
#     middle = denoiser(x, t)[:, 0, 14, 14]
#     (slopes,) = torch.autograd.grad(middle.sum(), x)
#     squares = slopes.square()
#     window = slice(14 - radius, 14 + radius + 1)
#     return (squares[:, 0, window, window].sum() / squares.sum()).item()
# ```
#
# Try `reach(denoiser, q_sample(digits, t, eps, schedule), t, 3)`. At $t=50$ nearly all of it lies within three pixels; at $t=800$ a
# good part lies outside. Notebook 05 found the same with patches.
# </details>

# %% [markdown]
# ### Exercise 5 (core): criticise an ablation
#
# Somebody reports, one run each, with the learning rate that is best for the whole:
#
# | network | weights | steps | distance / floor |
# |:--|--:|--:|--:|
# | whole | 920,000 | 10,000 | 1.3 |
# | no attention | 890,000 | 10,000 | 1.3 |
# | no coarse level | 160,000 | 10,000 | 2.9 |
# | no skips | 920,000 | 1,000 | 40 |
#
# "So diffusion models need skips and a coarse level, and attention is useless." Which objections are justified?
#
# - **A.** The third has a sixth of the weights; that may be the cause.
# - **B.** The fourth had a tenth of the steps.
# - **C.** Nobody knows how much two runs of one network differ.
# - **D.** The training loss would have been the better measure.
# - **E.** The second row is about attention at 7×7, with digits.
# - **F.** An ablation proves nothing: a network without a part is another network.
# - **G.** The learning rate suits the whole; others may want their own.

# %% tags=["exercise"]
def justified():
    """The letters of the objections that are justified, as a set of strings: {"A", …}."""
    raise NotImplementedError


# %% tags=["check"]
exercise.check_justified(justified)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# For each objection: could the number in the table come out the same if the part did not matter, or another if it did? Which measure
# says what the *drawn* digits are like?
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def justified():
#     return {"A", "B", "C", "E", "G"}
# ```
#
# (D) A training loss says nothing about new digits, and little about drawn ones. (F) goes too far: to compare networks that
# differ in one part is the point; all else must be equal. Our own table must hear E and G, too.
# </details>

# %% [markdown]
# ## A common mistake
#
# **Batch normalisation** sets mean and variance over the whole *batch*, all pictures that go through together. But a diffusion batch has clean pictures beside pure noise,
# and now each one's numbers depend on how noisy the others are. Below, one seven at $t=100$ goes through the first layer and either
# normalisation, with 31 companions. Only *their* time changes.

# %%
seven = q_sample(digits[7:8], 100, eps[7:8], schedule)
noise = noise_like(images[:31], generator)
times = [1, *range(50, 1001, 50)]
batches = [torch.cat([seven, q_sample(images[:31], t, noise, schedule)]) for t in (100, *times)]
changes = {}
for name, norm in (("batch", nn.BatchNorm2d(48)), ("group", nn.GroupNorm(8, 48))):
    usual, *others = [norm(trained.enter(F.pixel_unshuffle(batch, 2)))[0] for batch in batches]
    changes[name] = [((h - usual).norm() / usual.norm()).item() for h in others]

# %% tags=["claim"]
# checks what the text says: not at all with groups, and much with the batch
assert max(changes["group"]) < 1e-5
assert changes["batch"][-1] > 0.2

# %% tags=["figure"]
# draws how much one picture's channels change with its company
fig, ax = figure(width=8, height=3.2)
curves(ax, [(times, changes["batch"], "model", "batch normalisation"),
            (times, changes["group"], "exact", "group normalisation")],
       "time t of the 31 companions", "relative change")
show(fig, alt="One curve falls to zero at t = 100 and rises to its right; the other one is zero everywhere.")

# %% [markdown]
# **Figure 5.** How much the channels of *one and the same* picture change with its company. *Symptom*: samples depend on how many are
# drawn at once. *Test*: in training mode, the answer to a batch is the answers to its pictures one by one. *Fix*: group
# normalisation.
#
# Such networks draw, too, once `eval()` has put averages over all of training in place of the batch's.
#
# ## Summary
#
# - Down to see the whole cheaply, up to draw, across for the detail.
# - A block adds, begins by changing nothing, and has faders for time and label.
# - Attention mixes what all positions say, by similarity.
# - An ablation says what a part is for, where it was tried.
#
# ## Check yourself
#
# <details><summary>You double all channels. What becomes of the number of weights, and of positions?</summary>
#
# Nearly four times the weights: twice the results, each looking at twice the channels. The positions stay.
# </details>
#
# <details><summary>Why may all blocks begin with zeros, and yet not all layers?</summary>
#
# A zeroed *last* layer gets a slope and leaves 0. Of two zeroed layers directly in a row, the weights get none and stay 0; only
# the last bias learns. In our block the faders begin at 0, too, but the picture still reaches `conv_2`.
# </details>
#
# <details><summary>A colleague's network does as well without attention. Is attention useless?</summary>
#
# Not needed *there*, at this size, with these data; and the seeds scatter.
# </details>
#
# ## Further reading
#
# - Ronneberger, Fischer & Brox (2015), *U-Net*, figure 1: the U.
# - He et al. (2016), *Deep Residual Learning*: our (3) is their eq. 1.
# - Perez et al. (2018), *FiLM*: our (4).
# - Vaswani et al. (2017), *Attention Is All You Need*: our (5) is their eq. 1; a footnote explains $\sqrt d$.
# - Peebles & Xie (2023), *Scalable Diffusion Models with Transformers*, section 3: patches, adaLN-Zero.
#
# Latents, transformers, video: what large systems do otherwise is told in
# [from these digits to the systems of 2026](../docs/landscape.md).
#
# ## Next
#
# Notebook 07 trains this network, from nothing to digits, on your own CPU while you watch.
