# %% [markdown]
# # Build a U-Net, block by block
#
# The network of notebook 05 took points of two numbers. A digit has 784, and most of what makes it a picture was never
# asked for: that neighbouring pixels belong together, and that a stroke is a stroke wherever it is. In this notebook you
# build a network that knows both, from six small parts. It is the one that notebook 07 trains, and Figure 1 shows what
# it can do when it is trained.
#
# You will be able to
#
# - **compute** a convolution by hand: its values, its size, its parameters, and how far it sees,
# - **write** the block that nearly all diffusion networks are made of, and tell it time and label,
# - **write** attention, and check it against the library's,
# - **trace** the shape of a picture through a U-Net, and count the weights without running it,
# - **judge** what a part is for, by taking it away.
#
# **You need** notebook 05 (the time embedding, $v$, `as_denoiser`). **Time to read** 60 minutes · **to run** 15 seconds.
# **Paper sections**: Ho et al. 2020, appendix B; Ronneberger et al. 2015, section 2; Dhariwal & Nichol 2021, section 3.
#
# ## Set-up
#
# One cell of imports, and then ten real digits that no network of this course was trained on, one of each kind. The
# `trained` network has the weights that come with the course. `figure`, `show` and `mosaic` draw, as ever.

# %%
import math

import torch
import torch.nn.functional as F
from scipy import signal, stats
from torch import nn

from diffusion_lab.data.digits import load_digits
from diffusion_lab.exercises.unet import (
    check_attend,
    check_convolution,
    check_join,
    check_modulate,
)
from diffusion_lab.networks.embedding import time_embedding
from diffusion_lab.results.files import read
from diffusion_lab.sampling.denoiser import as_denoiser
from diffusion_lab.theory.forward import q_sample
from diffusion_lab.theory.schedule import cosine
from diffusion_lab.view.pictures import mosaic
from diffusion_lab.view.plots import curves, gallery
from diffusion_lab.view.scrubber import Scrubber
from diffusion_lab.view.show import show
from diffusion_lab.view.style import BLACK, ORANGE, POINTS, ROLES, figure
from diffusion_lab.weights.pretrained import load_network

generator = torch.Generator().manual_seed(0)
schedule = cosine()
trained = load_network("mnist")
denoiser = as_denoiser(trained, schedule, predicts="v")
images, labels = load_digits("test")
digits = torch.stack([images[labels == k][0] for k in range(10)])
noised = q_sample(digits, 700, torch.randn(digits.shape, generator=generator), schedule)

# %%
rows = {
    "digits": digits,
    "noised, t = 700": noised,
    "answer": denoiser(noised, 700),
    "answer, told the digit": denoiser(noised, 700, torch.arange(10)),
}

# %% tags=["figure"]
show(gallery(rows), alt="Four rows of ten: digits; digits under heavy noise; digits, some blurred "
                        "or wrong; ten mostly clear digits, each of its kind.")

# %% [markdown]
# **Figure 1.** From top to bottom: ten digits; the same at $t = 700$; the trained network's answer $\hat x_0$ to that
# noise, in one call; its answer when it is told which digit it is. Where the noise leaves room for doubt, the label
# decides. Most visibly at the 8. Both rows are soft, since $\hat x_0$ is a mean.
#
# ## Predict first
#
# One layer that turns a digit into a picture of the same size could connect each of the 784 pixels to each of the 784
# results. That takes 614,656 weights. A layer that uses a picture's two habits (neighbours belong together, and all
# places are alike) needs far fewer. How many?
#
# ## 1 · Convolution
#
# A **convolution** slides a small table of numbers, the **kernel** $w$, over the picture. At each place it multiplies
# the kernel with the pixels under it, and adds up:
#
# $$ y_{ij} = \sum_{a=0}^{2}\sum_{b=0}^{2} w_{ab}\; x_{i+a-1,\,j+b-1} \tag{1} $$
#
# The kernel below subtracts what is on the left from what is on the right, so it answers where the picture gets
# brighter from left to right. Around the picture lies a rim of zeros, the **padding**, so that the result is as large
# as the picture. (The cell adds 1 to the digit, so that its black is 0 like the rim. In the network black is −1: there
# the rim differs from it, and the network can see where the picture ends.) The cell computes one place by equation (1),
# and scipy computes all of them. (What mathematicians call a convolution turns the kernel around first; without the
# turn, as here, they call it a correlation. Where the kernel is learned, it is all the same.)

# %% tags=["check"]
ink = digits[4:5] + 1  # black is 0 now, as the rim is
kernel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
edges = F.conv2d(ink, kernel[None, None], padding=1)
i, j = 12, 11
patch = ink[0, 0, i - 1 : i + 2, j - 1 : j + 2]
by_hand = sum(kernel[a, b] * ink[0, 0, i + a - 1, j + b - 1] for a in range(3) for b in range(3))
scipys = torch.from_numpy(signal.correlate2d(ink[0, 0], kernel, mode="same"))
assert abs(edges[0, 0, i, j] - by_hand) < 1e-5
assert abs(edges[0, 0] - scipys).max() < 1e-5
print(f"the nine pixels\n{patch.numpy().round(1)}\ntimes the kernel, added up: {by_hand:.2f}")

# %% tags=["figure"]
fig, axes = figure(columns=3, width=8.4, height=3, width_ratios=[1, 0.6, 1])
tables = [
    (ink[0, 0], "gray", 0, 2, "the picture x"),
    (kernel, "PuOr", -4, 4, "the kernel w"),
    (edges[0, 0], "PuOr", -8, 8, "the result y"),
]
for ax, (table, colours, low, high, title) in zip(axes, tables):
    ax.imshow(table, cmap=colours, vmin=low, vmax=high, interpolation="nearest")
    ax.set(title=title)
    ax.set_axis_off()
for a in range(3):
    for b in range(3):
        number = f"{kernel[a, b]:+.0f}" if kernel[a, b] else "0"
        axes[1].text(b, a, number, ha="center", va="center", fontsize=12)
for ax, r, colour in ((axes[0], 1.5, ORANGE), (axes[2], 0.5, BLACK)):
    ax.plot([j - r, j + r, j + r, j - r, j - r], [i - r, i - r, i + r, i + r, i - r], color=colour)
show(fig, alt="A digit four with a frame of nine pixels; a kernel of nine numbers; "
              "the four's edges, purple and orange.")

# %% [markdown]
# **Figure 2.** The kernel multiplies the nine framed pixels, and their sum is the one framed pixel of the result.
# Purple: it gets brighter to the right, as on the left side of a stroke. Orange: it gets darker.
#
# So the answer to the question is 9. The same nine numbers serve at every place, and a layer that is trained to find
# an edge in one corner knows edges everywhere: shift the digit, and the result is shifted.
#
# One kernel finds one kind of thing. A network wants many, so a picture has **channels**: several tables of the same
# size, each the answer of another kernel. Channel $o$ of the result looks at all channels $m$ of the input, and adds a
# number of its own, the **bias** $b_o$:
#
# $$ y_o = b_o + \sum_m w_{om} * x_m, \qquad
#    \text{parameters} = \underbrace{C_\text{out}\,C_\text{in}\,k^2}_{\text{kernels}} + \underbrace{C_\text{out}}_{\text{biases}} \tag{2} $$
#
# where $*$ is (1), for a kernel of $k \times k$ numbers. With padding $p$ and with the kernel moving on by $s$ places
# at a time (the **stride**), a picture of $n$ rows becomes one of $\lfloor (n + 2p - k)/s \rfloor + 1$ rows, where
# $\lfloor\;\rfloor$ rounds down. The cell compares PyTorch's layer with these formulas, and the result of a shifted
# digit with the shifted result.

# %% tags=["check"]
shifted = F.conv2d(ink.roll((2, 3), dims=(2, 3)), kernel[None, None], padding=1)
assert torch.allclose(shifted, edges.roll((2, 3), dims=(2, 3)), atol=1e-5)
layer = nn.Conv2d(16, 24, 3, stride=2, padding=1)
assert layer(torch.zeros(1, 16, 28, 28)).shape == (1, 24, (28 + 2 - 3) // 2 + 1, 14)
assert sum(p.numel() for p in layer.parameters()) == 24 * 16 * 9 + 24
print(f"16 → 24 channels, 3×3: {24 * 16 * 9 + 24:,} parameters, however large the picture is")

# %% [markdown]
# ### How far does it see?
#
# One result of a 3×3 convolution depends on 3×3 pixels. A result of the *next* one depends on 3×3 of those, and so on
# 5×5 pixels: the **receptive field** grows by 2 with each layer. After a stride of 2 it grows by 4, for one place is now
# two pixels. In general, layer $l$ adds $k_l - 1$ times the product of the strides of all layers before it:
#
# $$ r = 1 + \sum_l (k_l - 1)\prod_{l'<l} s_{l'} \tag{3} $$
#
# Autograd can check it: a pixel belongs to the field of a result if the result has a slope with respect to it.

# %%
def sees(layers, size=64):
    """The number of rows that the place in the middle of the result depends on, by autograd."""
    x = torch.ones(1, 1, size, size, requires_grad=True)
    y = layers(x)
    y[0, 0, y.shape[2] // 2, y.shape[3] // 2].backward()
    return int((x.grad[0, 0] != 0).any(dim=1).sum())


def convolutions(strides):
    """3×3 convolutions, one after the other, with weights that cannot cancel each other out."""
    layers = [nn.Conv2d(1, 1, 3, stride=stride, padding=1) for stride in strides]
    for layer in layers:
        nn.init.ones_(layer.weight)
    return nn.Sequential(*layers)


# %% tags=["check"]
for strides in ([1], [1, 1], [1] * 6, [1, 1, 1, 2, 1, 1]):
    by_formula = 1 + sum(2 * math.prod(strides[:place]) for place in range(len(strides)))
    assert sees(convolutions(strides)) == by_formula
    print(f"strides {strides}: one place sees {by_formula}×{by_formula}")

# %% [markdown]
# Six convolutions see 13 places in a row; with a stride of 2 in the fourth, 17. The last line is the way down of the
# network that you will put together in section 8; its places are squares of 2×2 pixels (next section). So at its end
# the place in the middle sees 34 pixels in a row, and that is the whole digit. (The normalisation of section 3 lets in
# a little of everything, by way of a mean and a variance.) This is the first reason for the shape of a U-Net: *from far
# away, few steps are enough to look around*. The second is that a picture of half the height and width has a quarter of
# the places, and with as many channels it costs a quarter. (With twice the channels, as in our network, it costs as
# much as before.)
#
# ## 2 · Pixels into channels
#
# The same saving is to be had at the entrance. Cut the picture into squares of 2×2 pixels and make each square *one*
# place with four channels: `pixel_unshuffle`. No number is lost or mixed, and `pixel_shuffle` puts all back. But every
# layer after it, with as many channels as before, has a quarter of the work. (Networks made of attention alone, section
# 7, cut pictures into squares such as 16×16 pixels, and call them patches.)

# %% tags=["check"]
four = digits[4:5]
channels = F.pixel_unshuffle(four, 2)
assert torch.equal(channels[:, 1], four[:, 0, 0::2, 1::2])
assert torch.equal(F.pixel_shuffle(channels, 2), four)

# %% tags=["figure"]
fig, ax = figure(width=8.6, height=2)
grown = F.interpolate(channels.transpose(0, 1), scale_factor=2)
ax.imshow(mosaic(torch.cat([four, grown]), scale=4), cmap="gray")
frames = torch.tensor([[40], [48], [48], [40], [40]]) + 120 * torch.arange(5) - 0.5
ax.plot(frames, [24, 24, 32, 32, 24], color=ORANGE)
ax.set_xticks(range(56, 600, 120), ["digit", *(f"channel {c}" for c in range(4))])
ax.set_yticks([])
ax.tick_params(length=0)
ax.grid(False)
ax.spines[:].set_visible(False)
show(fig, alt="A four of 28 by 28 pixels with a frame of four, "
              "and four coarser fours with a frame of one pixel each.")

# %% [markdown]
# **Figure 3.** A digit, and the same as four channels of 14×14: the upper left, upper right, lower left and lower right
# pixel of each square. The four pixels in the frame on the left are the one framed pixel of each channel. The channels
# look alike, as neighbours do.
#
# ## 3 · Keeping the numbers in bounds
#
# Between two convolutions stand two things that have no weights worth mentioning. **SiLU**, $u/(1+e^{-u})$, is the bend
# of notebook 05: without it, two convolutions would be no more than one larger one. **Normalisation** takes care that
# numbers neither grow nor fade on their way through many layers. **Group normalisation** takes the channels in groups,
# and in each group $G$ of *one* picture sets the mean to 0 and the variance to 1, over all its channels and places; then
# every channel gets a factor $\gamma$ and a shift $\delta$ that are learned:
#
# $$ h = \gamma\, \frac{x - \mathrm{mean}_G}{\sqrt{\mathrm{var}_G + 10^{-5}}} + \delta \tag{4} $$
#
# The check takes 16 channels in 8 groups, so two in each. (At the start, $\gamma = 1$ and $\delta = 0$.)

# %% tags=["check"]
x = 5 + 3 * torch.randn(2, 16, 7, 7, generator=generator)
groups = x.reshape(2, 8, 2 * 7 * 7)
mean = groups.mean(dim=2, keepdim=True)
var = groups.var(dim=2, keepdim=True, correction=0)
by_hand = ((groups - mean) / (var + 1e-5).sqrt()).reshape(x.shape)
assert torch.allclose(nn.GroupNorm(8, 16)(x), by_hand, atol=1e-5)
print(f"before: mean {x.mean():.0f}, deviation {x.std():.0f}; "
      f"after: {abs(by_hand.mean()):.0f} and {by_hand.std():.0f}")

# %% [markdown]
# ## 4 · What time is it, and which digit?
#
# All blocks need to know the time, and perhaps the label. `Condition` makes one vector of both. The time goes through
# the embedding of notebook 05, $e(t)$, and two layers of weights (`nn.Linear`: each result is a sum of all inputs, each
# times a weight, and a bias). A label is looked up in an **embedding table** $E$ with one learned row for each digit,
# and the two are added:
#
# $$ c = \mathrm{SiLU}\big(W_2\,\mathrm{SiLU}(W_1 e(t)) + E_\text{label}\big) \tag{5} $$
#
# (biases left out). The table has an eleventh row, the **null label**: it stands for "any digit". Training shows it now
# and then in place of the true label, and so one network learns both jobs, with a label and without. Notebook 08 will
# play them off against each other.

# %% tags=["export:diffusion_lab.networks.unet"]
class Condition(nn.Module):
    """Equation (5): time and label → one vector (n, dim)."""

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


# %% tags=["check"]
condition = Condition(labels=10, dim=128)
t = torch.tensor([10, 500, 990])
first, _, second = condition.time
by_hand = second(F.silu(first(time_embedding(t, 64).float()))) + condition.label.weight[3]
assert torch.allclose(condition(t, 3), by_hand / (1 + (-by_hand).exp()), atol=1e-6)
assert torch.equal(condition(t), condition(t, torch.tensor([10, 10, 10])))
print("equation (5) for the label 3; no label is the null label, number", condition.null_label)

# %% [markdown]
# ## 5 · The residual block
#
# The work is done in blocks of two convolutions. Two ideas make them trainable, even when there are many in a row. The
# first: a block does not replace its input, it *adds* to it. The path around the block is the **shortcut**, and what is
# added is the **residual**:
#
# $$ \text{block}(x, c) = x + f(x, c) \tag{6} $$
#
# The second: the last layer of $f$ begins with all weights 0, so that at the start a block passes on its shortcut and
# nothing else (the identity, where the number of channels stays). A deep
# network then begins as a shallow one, and grows deep as it learns. `zeroed` does that to any layer.
#
# The condition comes in between the two convolutions. One layer of weights turns $c$ into two numbers for each channel,
# and these **scale and shift** the normalised channel: $h \leftarrow (1 + \text{scale})\,h + \text{shift}$. So at each
# time the block can turn some channels up and others off. If the block changes the number of channels, the shortcut
# needs a 1×1 convolution, which mixes the channels of each place and looks at no neighbour.
#
# The layer that makes scale and shift begins with zeros, too: at first, $(1 + 0)\,h + 0 = h$. So the last layer reads an
# $h$ that is not 0, and gets a slope.

# %% tags=["export:diffusion_lab.networks.unet"]
def zeroed(layer):
    """The layer, with all weights 0: a block that ends in it begins by changing nothing."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class ResidualBlock(nn.Module):
    """Equation (6). x: (n, channels_in, h, w); condition: (n, dim). Returns (n, channels, h, w)."""

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
# Four checks. A new block changes nothing. Its last layer has a slope all the same (`scale_and_shift`, before it, has
# none until that layer has left zero). A chain of twenty new blocks passes the slope through untouched, where twenty
# plain convolutions with SiLU let it fade to nearly nothing. (How far depends on the first weights; these are PyTorch's
# usual ones.) And when the zeros are replaced by random weights, the condition makes a difference.

# %% tags=["check"]
x = torch.randn(3, 16, 7, 7, generator=generator, requires_grad=True)
c = condition(t).detach()
block = ResidualBlock(16, 16, dim=128)
assert torch.equal(block(x, c), x)

# %% tags=["check"]
loss = block(x, c).square().sum()
last, before = torch.autograd.grad(loss, [block.conv_2.weight, block.scale_and_shift.weight])
assert last.abs().max() > 0
assert before.abs().max() == 0

# %% tags=["check"]
blocks = plain = x
for _ in range(20):
    blocks = ResidualBlock(16, 16, dim=128)(blocks, c)
    plain = F.silu(nn.Conv2d(16, 16, 3, padding=1)(plain))
slope, faded = (torch.autograd.grad(y.sum(), x)[0].abs().mean() for y in (blocks, plain))
assert slope == 1
assert faded < 0.01
print("slope after twenty new residual blocks: 1; after twenty plain convolutions: below 0.01")

# %% tags=["check"]
nn.init.normal_(block.conv_2.weight)
nn.init.normal_(block.scale_and_shift.weight)
assert (block(x, c) - block(x, c.roll(1, 0))).abs().mean() > 0.1

# %% [markdown]
# ## 6 · Down, up, and across
#
# To look from far away, the network shrinks the picture: a 3×3 convolution with stride 2 leaves 7×7 places of the
# 14×14, with more channels each. On the way back, a 1×1 convolution reduces the channels and each place is repeated
# 2×2 times (**nearest** upsampling). That is all.
#
# One place at 7×7 now stands for 4×4 pixels of the digit. Its channels might remember them all, but then they would be
# busy with memory, and that is not what the coarse level is for. The cell shows what is at stake: what is left of a
# digit if each of the 7×7 places keeps the average of its pixels, and no more.

# %% tags=["check"]
x = digits[[2, 4, 5, 8]]
small = F.avg_pool2d(x, 4)
grown = nn.Upsample(scale_factor=4)(small)
assert torch.equal(grown, small.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3))

# %% tags=["figure"]
show(mosaic(torch.cat([x, grown, x - grown]), columns=4, scale=3),
     alt="Three rows: four digits; the same as coarse squares; what is missing, "
         "all edges and fine strokes.")

# %% [markdown]
# **Figure 4.** Top: digits. Middle: each square of 4×4 pixels replaced by its mean. Bottom: the difference (grey is 0),
# which is all of the detail.

# %% tags=["claim"]
assert F.avg_pool2d(x - grown, 4).abs().max() < 1e-6

# %% [markdown]
# A denoiser must return detail in its right place, to the pixel. It is still there, in the channels that were made on
# the way down. So the way up fetches them: they are laid beside the new ones, `torch.cat` along the channels, and the
# next block sees both. That is a **skip connection**. The coarse level says *what* is there, the skip says *where*
# exactly. Drawn with the coarse level below, the network looks like a U:
#
# ```
#   x_t  1×28×28                                              v  1×28×28
#     │ unshuffle                                                 ▲ shuffle
#   enter ─── fine_down ───────── skip ───────── fine_up ─── leave           14×14
#                 │ shrink                          ▲ grow
#            coarse_down ──────── skip ──────── coarse_up                     7×7
#                 │                                 ▲
#                 └───── attention ──── middle ─────┘
# ```
#
# (`fine_down`, `coarse_down`, `middle`, `coarse_up` and `fine_up` are residual blocks. Each is told the condition.
# `enter` and `leave` are convolutions at 14×14.)
#
# ## 7 · Attention
#
# A convolution carries news by one place per layer (3×3). **Attention** lets every place look at every other at once.
# Each place sends out a **query** $q$ (what am I looking for?), a **key** $k$ (what have I got?) and a **value** $v$
# (what do I tell?), three vectors of $d$ numbers, made from its channels by one layer of weights. A place compares its
# query with all keys, turns the likenesses into shares that add up to 1, and takes that mixture of the values:
#
# $$ \mathrm{attention}(q, k, v) = \mathrm{softmax}\!\Big(\frac{q\,k^\top}{\sqrt d}\Big)\,v \tag{7} $$
#
# The softmax runs over each row of $q\,k^\top$: one row for each place that asks.
#
# Why $\sqrt d$? If the entries of $q$ and $k$ are independent with mean 0 and variance 1, their inner product is a sum of
# $d$ terms of variance 1, and so has variance $d$. Undivided, its large values would leave the softmax with one winner,
# and little slope to learn from. (This $v$ has nothing to do with the $v$ that the network predicts.) First by hand,
# against the library:

# %% tags=["check"]
q, k, v = torch.randn(3, 49, 24, generator=generator)
by_hand = torch.softmax(q @ k.T / 24**0.5, dim=1) @ v
librarys = F.scaled_dot_product_attention(q[None], k[None], v[None])[0]
assert torch.allclose(by_hand, librarys, atol=1e-6)

# %%
divided = torch.softmax(q @ k.T / 24**0.5, dim=1).amax(dim=1).mean()
undivided = torch.softmax(q @ k.T, dim=1).amax(dim=1).mean()
print(f"the largest of 49 shares, on average: "
      f"{divided:.1f} with √d, {undivided:.1f} without")

# %% tags=["claim"]
assert abs((q @ k.T).var() / 24 - 1) < 0.26  # four standard errors, for 49 queries and keys
assert divided < 0.25 < 0.6 < undivided

# %% [markdown]
# The module does it in four **heads**: four groups of channels, each with queries, keys and values of its own, so that
# a place can ask four questions at once. The $d$ in (7) is now the number of channels of one head, a quarter of all.
# It, too, adds to its input and begins with zeros.

# %% tags=["export:diffusion_lab.networks.unet"]
class Attention(nn.Module):
    """x + equation (7), d = channels / heads. x: (n, channels, h, w). Returns the same shape."""

    def __init__(self, channels, heads=4):
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(8, channels)
        self.to_qkv = nn.Linear(channels, 3 * channels)
        self.leave = zeroed(nn.Linear(channels, channels))

    def forward(self, x):
        n, channels, height, width = x.shape
        places = self.norm(x).flatten(2).transpose(1, 2)  # (n, places, channels): a row for each
        q, k, v = self.to_qkv(places).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        # q, k and v: (n, heads, places, d) each; found: (n, places, channels)
        found = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return x + self.leave(found).transpose(1, 2).reshape(n, channels, height, width)


# %% [markdown]
# The library has a whole attention layer, too, `nn.MultiheadAttention`. With the same weights it must say the same. And
# what attention does not know is where a place lies: shuffle the places, and the result is shuffled likewise. In our
# network the convolutions before it know that (their padding shows them the edge).

# %% tags=["check"]
attention = Attention(32)
library = nn.MultiheadAttention(32, 4, batch_first=True)
nn.init.eye_(attention.leave.weight)
nn.init.eye_(library.out_proj.weight)
library.in_proj_weight.data.copy_(attention.to_qkv.weight)
library.in_proj_bias.data.copy_(attention.to_qkv.bias)
x = torch.randn(2, 32, 7, 7, generator=generator)
places = attention.norm(x).flatten(2).transpose(1, 2)
expected = x + library(places, places, places)[0].transpose(1, 2).reshape(x.shape)
assert torch.allclose(attention(x), expected, atol=1e-5)

# %% tags=["check"]
order = torch.randperm(49, generator=generator)
shuffled = attention(x.flatten(2)[:, :, order].reshape(x.shape))
expected = attention(x).flatten(2)[:, :, order].reshape(x.shape)
assert torch.allclose(shuffled, expected, atol=1e-5)
print(f"pairs of places to compare: {49**2:,} at 7×7, {784**2:,} at 28×28")

# %% [markdown]
# The last line tells why attention stands at the lowest level: its cost grows with the square of the number of places.
#
# ## 8 · The whole
#
# Now the parts are put together, as in the drawing of section 6. Two choices are left: the number of channels at each
# level, `fine` and `coarse`.

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
# ### Every shape
#
# PyTorch lets you listen to a part of a network: a **hook** is a function that is called with the part's output each
# time it runs. `outputs_of` hangs one on each part, runs the network once, and takes them off again. The sizes follow
# from the sentence below equation (2) and from what you know of the blocks. `weights` counts the parameters without
# running anything: convolutions by (2), two numbers per channel for each normalisation, and (inputs + 1) × outputs for
# each layer of weights.
#
# The second cell prints both, and the third checks three things more. `trained` is the package's network, and yours is
# the same: with its weights put into your classes, it gives the same answers. A *new* network answers 0, for its last
# layer is zeroed: a modest first guess of $v$. And each picture is treated by itself, whatever else is in the batch.

# %%
def outputs_of(network, *inputs):
    """{name of a part: its output}, for all parts of a network in the order in which they run."""
    found = {}
    hooks = []
    for name, part in network.named_children():
        def keep(part, inputs, output, name=name):
            found[name] = output

        hooks.append(part.register_forward_hook(keep))
    with torch.no_grad():
        found["answer"] = network(*inputs)
    for hook in hooks:
        hook.remove()
    return found


def weights(fine, coarse, dim, labels=10):
    """The number of parameters of each part of the U-Net, counted by hand."""
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


# %% tags=["check"]
counted = weights(**trained.arguments)
found = outputs_of(trained, digits, torch.full((10,), 700))
shapes = {name: "×".join(map(str, output.shape[1:])) for name, output in found.items()}
for name, part in trained.named_children():
    assert sum(p.numel() for p in part.parameters()) == counted[name]
    print(f"{name:12} {shapes[name]:10} {counted[name]:9,} parameters")
print(f"{'answer':12} {shapes['answer']:10} {sum(counted.values()):9,} in all")

# %% tags=["claim"]
smaller = UNet(fine=16, coarse=32, dim=64).named_children()
of_smaller = {name: sum(p.numel() for p in part.parameters()) for name, part in smaller}
assert of_smaller == weights(16, 32, 64)
coarse_parts = ("shrink", "coarse_down", "attention", "middle", "coarse_up")
assert sum(counted[name] for name in coarse_parts) > 0.6 * sum(counted.values())

# %% tags=["check"]
yours = UNet().requires_grad_(False)
yours.load_state_dict(trained.state_dict())
t = torch.arange(100, 1100, 100)
label = torch.arange(10)
alone = torch.cat([trained(noised[i : i + 1], t[i : i + 1]) for i in range(10)])
assert torch.allclose(yours(noised, t, label), trained(noised, t, label), atol=1e-4)
assert UNet()(noised, t).abs().max() == 0
assert torch.allclose(trained(noised, t), alone, atol=1e-4)

# %% [markdown]
# Follow the shapes down and up. Two of the parts are given twice the channels that they return: `coarse_up` and
# `fine_up`, in which what comes from below and what the skip brings lie side by side. And see where the weights are: most
# of them at 7×7, where a kernel has 49 places to visit and not 196.
#
# ## 9 · Watch a digit pass through
#
# What goes in is a seven at $t = 400$, without a label. What comes out is $v$. Before you look: at which stage will the
# noise be gone?
#
# There are two ways to look at a stage. `channels_of` makes pictures of its channels, each stretched to the full range
# from black to white. And a table tells what the stage is about. Ten digits, each under the same ten noises, go through
# the network. At each stage the mean of all hundred outputs, what they have in common, is taken off. What is left is
# compared in pairs by the cosine: 1 if both point the same way, 0 if they have nothing to do with each other. There are
# pairs of the *same digit* under two noises, of two digits under the *same noise*, and, to compare with, of two digits
# under two noises: *neither*. Which pairs are the more alike?

# %%
def cosines(outputs):
    """(n, n): the cosines of all pairs of n outputs, when their mean is taken off."""
    own = F.normalize((outputs - outputs.mean(dim=0)).flatten(1))
    return own @ own.T


# %%
eps = torch.randn(10, 1, 28, 28, generator=generator)
x_t = q_sample(digits.repeat_interleave(10, dim=0), 400, eps.repeat(10, 1, 1, 1), schedule)
number = torch.arange(100)  # input 10 a + b: digit a, noise b
digit = number[:, None] // 10 == number // 10  # (100, 100): has this pair the same?
noise = number[:, None] % 10 == number % 10
kinds = {
    "same digit": digit & ~noise,
    "same noise": noise & ~digit,
    "neither": ~digit & ~noise,
}
seen = {"x_t": x_t} | outputs_of(trained, x_t, torch.full((100,), 400))
stages = ["x_t", "fine_down", "shrink", "coarse_down", "middle", "coarse_up", "fine_up", "leave"]
alike = {}
for stage in stages:
    likeness = cosines(seen[stage])
    alike[stage] = [likeness[pairs].mean().item() for pairs in kinds.values()]
print(f"{'':12}", *(f"{kind:>11}" for kind in kinds))
for stage, values in alike.items():
    print(f"{stage:12}", *(f"{value:11.2f}" for value in values))

# %% tags=["claim"]
for _, _, neither in alike.values():
    assert abs(neither + 1 / 9) < 0.03
assert all(alike[stage][1] > alike[stage][0] + 0.2 for stage in ("x_t", "leave"))
assert abs(alike["fine_down"][0] - alike["fine_down"][1]) < 0.15
assert all(alike[stage][0] > alike[stage][1] + 0.5
           for stage in ("shrink", "coarse_down", "middle", "coarse_up"))
assert alike["shrink"][1] > alike["middle"][1] > alike["coarse_up"][1] > alike["coarse_up"][2]
assert alike["leave"][1] > 0.7 > alike["fine_up"][1] > alike["coarse_up"][1] + 0.2

# %% [markdown]
# **Try it:** scrub through stages of the trained network, from what goes in to what comes out. The frames between have
# 24 channels of one stage each; of the stages at 7×7 you see the first and the last.

# %% tags=["figure"]
def channels_of(output, most=24):
    """The first channels of an output (1, c, h, w), each stretched to [-1, 1], as 28×28."""
    maps = F.interpolate(output, size=28).squeeze(0)[:most, None]
    low = maps.amin(dim=(2, 3), keepdim=True)
    high = maps.amax(dim=(2, 3), keepdim=True)
    return 2 * (maps - low) / (high - low).clamp(min=1e-6) - 1


def one_large(picture):
    """A picture (1, 1, 28, 28) as a frame of the size that 24 channels have."""
    return mosaic(F.pad(F.interpolate(picture, scale_factor=3), (77, 77, 2, 2), value=1.0))


frames = {"x_t, what goes in": one_large(x_t[70:71])}
for stage in ("fine_down", "shrink", "coarse_up", "fine_up"):
    output = seen[stage][70:71]
    _, many, height, width = output.shape
    text = f"{stage}: {many} channels of {height} by {width}"
    frames[text] = mosaic(channels_of(output), columns=8)
frames["leave: v, the network's answer"] = one_large(seen["answer"][70:71])
frames["the estimate of x_0 that v gives"] = one_large(denoiser(x_t[70:71], 400))
Scrubber(
    list(frames.values()),
    list(frames),
    "A noised seven on its way through the U-Net: 24 channels of each stage.",
    "A noisy seven; many channels of it; then coarse squares at 7 by 7; "
    "then noisy channels again; noise with a faint dark seven; last a clean seven.",
)

# %% [markdown]
# What to have seen: `fine_down` shows strokes, edges and noise. From `shrink` to `coarse_up`, a channel has 49 places,
# and to the eye little is left of the seven. The table says what these places are about. Read it against its last
# column: pairs with nothing in common have −0.1, and not 0, since the deviations of the ten digits from their mean add
# up to 0, and so do those of the ten noises. What goes in is more alike under the same noise than for the same digit.
# (Around their mean the ten digits have a variance of 0.16 in $x_t$, the ten noises one of 0.33. In $v$ the factors of
# digit and noise change places, and the noise is further ahead.) After `fine_down` the two are level. From `shrink` to
# `coarse_up`, a shared digit makes two outputs alike, and shared noise hardly does, less from stage to stage.
#
# So at which stage is the noise gone? At none. It is faintest at `coarse_up`, just above the last column. At `fine_up` it
# is coming back, and at `leave` it has won! That is no failure. The network was trained to answer $v$, in which the noise
# has the larger share at this time, and it must say where each grain lies, to the pixel. Only the skip can tell it.
# `as_denoiser` then takes this $v$ off $x_t$, each with its factor, and the last frame is what remains.

# %% tags=["claim"]
around = (x_t - x_t.mean(dim=0)).unflatten(0, (10, 10))  # digits, noises
assert round(around.mean(dim=1).square().mean().item(), 2) == 0.16
assert round(around.mean(dim=0).square().mean().item(), 2) == 0.33

# %% [markdown]
# ## 10 · What each part is for, by taking it away
#
# You have been told what each part is good for. Is it true? An **ablation** finds out: take one part away, train
# again, and see what is worse. Six networks, each trained by the same recipe for the same number of steps, on the same
# digits, three times from different seeds:
#
# - **whole**: the network as it is,
# - **no skips**: in place of the earlier channels, the way up gets zeros,
# - **no attention**: it is left out,
# - **no time**: the network is told $t = 0$, whatever the time is,
# - **no shortcut**: $f(x, c)$ in place of $x + f(x, c)$ in each block, which begins with ordinary first weights (with
#   zeros in every block nothing would flow, and nothing would be learned),
# - **no coarse level**: what happens at 7×7 is left out, attention included, and most of the weights with it;
#   `fine_up` gets the skip twice, since nothing comes from below.
#
# Three measures, all taken with a running mean of the weights over the steps (notebook 07 tells why). The first is the
# loss on $v$, as in notebook 05, on the 1,000 test digits, at fixed times and with fixed noise. For the second, a
# separate network, the *judge*, reads 250 generated digits; the measure is the share read as what was asked for. The
# third is the **Fréchet distance**. The judge boils down each digit to 64 numbers, and the distance compares their mean
# and covariance for those 250 and for the test digits (notebook 07 has the formula). It is divided by the distance that
# 250 real digits (25 of each kind) have from the test digits, the floor. So 1 is as good as real digits. Eighteen
# trainings take some ten minutes on two cores. They were made beforehand by `python benchmarks/ablation.py`, in the
# course's repository, and the cell reads the results.
#
# Before you look: put the five parts in the order of how much you expect to lose with each.

# %%
ablation = read("ablation")
networks = list(dict.fromkeys(run["network"] for run in ablation["runs"]))


def results(measure):
    """{name of a network: what was measured with each seed}."""
    return {name: [run[measure] for run in ablation["runs"] if run["network"] == name]
            for name in networks}


def spread(values, places):
    """Mean, lowest and highest of some numbers, as text."""
    mean = sum(values) / len(values)
    return f"{mean:.{places}f} ({min(values):.{places}f}…{max(values):.{places}f})"


# %%
parameters = results("parameters")
loss = results("loss")
accuracy = results("label_accuracy")
distance = results("times_floor")
print(f"{ablation['steps']} steps of {ablation['batch']} digits; "
      f"mean of {len(ablation['seeds'])} seeds (lowest…highest)")
print(f"{'network':16}{'parameters':>11}{'held-out loss':>24}"
      f"{'label accuracy':>22}{'distance / floor':>22}")
for name in networks:
    print(f"{name:16}{parameters[name][0]:11,}{spread(loss[name], 3):>24}"
          f"{spread(accuracy[name], 2):>22}{spread(distance[name], 1):>22}")

# %%
behind = {}
print("held-out loss minus that of the whole network, for each seed")
for name in networks[1:]:
    behind[name] = [own - whole for own, whole in zip(loss[name], loss["whole"])]
    print(f"{name:16}", *(f"{difference:+.4f}" for difference in behind[name]))
for name in ("no attention", "no time"):
    p_value = stats.ttest_1samp(behind[name], 0).pvalue
    print(f"{name}: chance would do that once in {1 / p_value:.0f} times")

# %% tags=["claim"]
measured = {"loss": loss, "label_accuracy": accuracy, "times_floor": distance}
whole = {measure: found["whole"] for measure, found in measured.items()}
for name in ("no skips", "no shortcut", "no coarse level"):
    assert min(loss[name]) > max(whole["loss"])
    assert max(accuracy[name]) < min(whole["label_accuracy"])
for name in ("no skips", "no shortcut"):
    for measure in ("loss", "times_floor"):
        scatter = max(whole[measure]) - min(whole[measure])
        assert min(measured[measure][name]) - max(whole[measure]) > 2 * scatter
for name, share, once_in in (("no attention", 0.005, 100), ("no time", 0.01, 200)):
    more = torch.tensor(behind[name])
    assert abs(more.mean() / (sum(whole["loss"]) / 3) - share) < 0.001
    assert abs(once_in * stats.ttest_1samp(behind[name], 0).pvalue - 1) < 0.1
    assert more.max() < 0.25 * (max(whole["loss"]) - min(whole["loss"]))
assert 0.28 < sum(whole["label_accuracy"]) / 3 < 0.3
for measure in ("label_accuracy", "times_floor"):  # on both sides of the dashed line
    assert all(min(measured[measure][name]) < sum(whole[measure]) / 3 < max(measured[measure][name])
               for name in ("no attention", "no time"))
coarseless = distance["no coarse level"]
assert min(coarseless) < max(whole["times_floor"]) < max(coarseless)

# %% tags=["figure"]
fig, axes = figure(columns=3, width=8.6, height=3.2, sharey=True)
# one place for each seed
height = {name: [place - 0.2, place, place + 0.2] for place, name in enumerate(networks)}
panels = [
    (behind, "loss minus the whole's", "← better"),
    (accuracy, "label accuracy", "better →"),
    (distance, "distance / floor", "← better"),
]
for ax, (values, title, better) in zip(axes, panels):
    for name in values:
        ax.scatter(values[name], height[name], **POINTS["model"] | {"s": 40})
    ax.set(title=title, xlabel=better)
for ax, values in zip(axes[1:], (accuracy, distance)):
    ax.axvline(sum(values["whole"]) / len(values["whole"]), **ROLES["exact"])
axes[0].set(xscale="log", xlim=(5e-4, 0.5), ylim=(5.6, -0.6))
axes[0].set_yticks(range(len(networks)), networks)
show(fig, alt="Three panels with three triangles for each network: "
              "how far its loss is above the whole network's; label accuracy; distance.")

# %% [markdown]
# **Figure 5.** Each triangle is one run; from top to bottom, the three seeds. Left: how far its loss is above that of
# the whole network *of the same seed*; from mark to mark it is ten times as much. (The row "whole" is empty there: its
# difference is 0.) Middle and right: the dashed line is
# the mean of the whole network. There, a distance from the line that is no larger than the scatter of the triangles may
# be chance.
#
# The runs are 100 steps long, and even the whole network's digits are mostly unreadable: the judge reads 0.29 of them as
# asked, and blind guessing gives 0.10. Skips and shortcuts are what this network can least do without: they stand apart
# in loss and distance by far more than the scatter; in accuracy no run of theirs reaches those of the whole network.
# Without its coarse level it is behind, too, in loss and in accuracy; in the last panel its triangles overlap with those
# of the whole network, and three runs are too few to tell them apart there.
#
# Now look at the other two, attention and time. In accuracy and distance their triangles lie on both sides of the line.
# The losses can be compared in pairs, since runs of the same seed share first weights, order of the digits and noise.
# The whole network is ahead in each pair. The differences are small: 0.5 % and 1 % of the loss, less than a quarter of
# what lies between one seed and another. But they are nearly the same in all three pairs. If there were no difference,
# chance would make three pairs agree so well about once in a hundred times (attention) and once in two hundred (time):
# that is what scipy's *t-test*, in the cell, asks. So chance is an unlikely cause. With three pairs one cannot say more.
#
# Why so small? The likeliest reason is the length of training. What attention adds begins with zeros, and so does the
# layer by which a block is told the time. In 100 steps they may hardly have begun to work. The trained network is another
# matter: told $t = 0$ in place of 700, it answers the digits of Figure 1 quite differently.
#
# Does a network have to be told the time at all? The picture itself tells much about it: in the black margin around a
# digit lies the bare noise, and its deviation is $\sqrt{1-\bar\alpha_t}$.

# %% tags=["claim"]
told = trained(noised, torch.full((10,), 700))
told_0 = trained(noised, torch.zeros(10, dtype=torch.int64))
assert (told_0 - told).norm() > told.norm()
margin = noised[:, :, :2]  # 560 pixels: four standard errors
assert abs(margin.std() / (1 - schedule.alpha_bar[700]).sqrt() - 1) < 0.12

# %% [markdown]
# An ablation answers for one recipe, one set of data and one length of training, and no further. That a part hardly
# shows here does not mean that it never will.
#
# From now on: `from diffusion_lab.networks.unet import zeroed, Condition, ResidualBlock, Attention, UNet`.
#
# ## Exercises
#
# ### Exercise 1 (warm-up): size and weights of a convolution
#
# Return `(rows, parameters)`: the number of rows of the result, and the number of parameters of a convolution with bias.

# %% tags=["exercise"]
def convolution(rows, channels_in, channels_out, kernel, stride, padding):
    """Rows of the result and number of parameters, two ints, for a picture of rows×rows.

    All arguments are ints.
    """
    raise NotImplementedError


# %% tags=["check"]
check_convolution(convolution)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# Equation (2) and the sentence below it. `//` rounds down.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def convolution(rows, channels_in, channels_out, kernel, stride, padding):
#     result = (rows + 2 * padding - kernel) // stride + 1
#     return result, channels_out * channels_in * kernel**2 + channels_out
# ```
# </details>

# %% [markdown]
# ### Exercise 2 (core): scale and shift
#
# This is how a block hears of the time. Scale and shift each channel of each picture, so that zeros change nothing.

# %% tags=["exercise"]
def modulate(h, scale, shift):
    """(1 + scale) h + shift. h: float64 (n, c, height, width). scale, shift: float64 (n, c).

    Returns the shape of h.
    """
    raise NotImplementedError


# %% tags=["check"]
check_modulate(modulate)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# Broadcasting aligns shapes at their right ends: (n, c) meets (height, width). `[:, :, None, None]` adds two axes.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def modulate(h, scale, shift):
#     return (1 + scale[:, :, None, None]) * h + shift[:, :, None, None]
# ```
# </details>

# %% [markdown]
# ### Exercise 3 (core): up and across
#
# Take one step up the U: make the coarse channels twice as large, each place repeated 2×2, and lay the fine channels
# of the way down behind them.

# %% tags=["exercise"]
def up_and_across(coarse, fine):
    """coarse: float64 (n, a, h, w). fine: float64 (n, b, 2h, 2w).

    Returns (n, a + b, 2h, 2w), coarse channels first.
    """
    raise NotImplementedError


# %% tags=["check"]
check_join(up_and_across)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# `repeat_interleave` repeats each entry in its place; `repeat` lays whole copies side by side.
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def up_and_across(coarse, fine):
#     grown = coarse.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
#     return torch.cat([grown, fine], dim=1)
# ```
# </details>

# %% [markdown]
# ### Exercise 4 (hard): attention
#
# Write equation (7) for a batch, one head, without the library's function.

# %% tags=["exercise"]
def attend(q, k, v):
    """softmax(q kᵀ / √d) v for each example. q, k, v: float64 (n, places, d).

    Returns (n, places, d).
    """
    raise NotImplementedError


# %% tags=["check"]
check_attend(attend)

# %% [markdown] tags=["solution"]
# <details><summary>Hint</summary>
#
# `k.transpose(1, 2)` has shape (n, d, places). The shares that one place gives must add up to 1: which axis runs over
# the places it looks at?
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def attend(q, k, v):
#     likeness = q @ k.transpose(1, 2) / q.shape[2] ** 0.5
#     return torch.softmax(likeness, dim=2) @ v
# ```
# </details>

# %% [markdown]
# ## A common mistake
#
# Many take **batch normalisation**, which serves well in networks that name pictures. It, too, sets means to 0 and
# variances to 1, but over the whole *batch*. In the batch of a diffusion network, clean pictures lie beside pure noise,
# and now each one's numbers depend on how noisy the others happen to be. Below, a seven at $t = 100$ goes
# through the first layer with 31 companions, and then through either normalisation. Only the time of the *companions*
# changes.

# %%
seven = q_sample(digits[7:8], 100, torch.randn(1, 1, 28, 28, generator=generator), schedule)
eps = torch.randn(31, 1, 28, 28, generator=generator)
times = [1, *range(50, 1001, 50)]
batches = [torch.cat([seven, q_sample(images[:31], t, eps, schedule)]) for t in (100, *times)]
channels = trained.enter.out_channels
changes = {}
for name, norm in (("batch", nn.BatchNorm2d(channels)), ("group", nn.GroupNorm(8, channels))):
    usual, *others = [norm(trained.enter(F.pixel_unshuffle(batch, 2)))[0] for batch in batches]
    changes[name] = [((h - usual).norm() / usual.norm()).item() for h in others]

# %% tags=["claim"]
assert max(changes["group"]) < 1e-5
assert changes["batch"][-1] > 0.2

# %% tags=["figure"]
fig, ax = figure(width=6.4, height=2.8)
curves(ax, [(times, changes["batch"], "model", "batch normalisation"),
            (times, changes["group"], "exact", "group normalisation")],
       "time t of the 31 companions", "relative change")
show(fig, alt="One curve falls to zero at t = 100 and rises to its right; "
              "the other one is zero everywhere.")

# %% [markdown]
# **Figure 6.** How much the channels of *one and the same* picture change, relative to companions at its own time. With
# group normalisation: not at all. With batch normalisation, the more the further away in time the companions are.
# *The symptom*: one and the same picture gets another answer in other company, and samples change with the number that
# is drawn at once. In training, clean and noisy pictures share a batch; in sampling all are at the same time, which the
# network has never met. *The test*: in training mode, the answer to a batch must be the answers to its pictures one by one,
# as checked in section 8. (After `eval()`, batch normalisation passes it, and is still wrong: it takes averages that it has
# kept from the whole training, a mixture of all times that fits none.)
#
# ## Summary
#
# - A convolution is nine numbers that serve at all places; (2) has its size and its weights, (3) how far it sees.
# - A block adds to its input, begins as its shortcut alone, and is told time and label by a scale and a shift per channel.
# - Attention takes a mixture of what all places say, with shares from the likeness of queries and keys.
# - Down to see the whole, up to draw, skips for the detail: the shapes follow from the parts, and so do the weights.
# - What a part is for is a question for an ablation, with more than one seed.
#
# ## Check yourself
#
# <details><summary>You double the channels of every layer. What happens to the number of weights, and to the number of places?</summary>
#
# The weights of a convolution grow about fourfold, by equation (2): twice as many results, each looking at twice as many
# channels. The places stay as they are; their number depends on strides alone.
# </details>
#
# <details><summary>Why may all blocks begin with zeros, and yet not all layers of a network?</summary>
#
# A block with a zeroed last layer still passes on its input, and that layer gets a slope: it leaves zero at the first
# steps, and then the layers before it get slopes, too. If two layers in a row were zero, one directly behind the other,
# the weights of neither would get a slope, and they would stay 0. (`scale_and_shift` is zeroed and `conv_2` comes after
# it, but 1 + 0 passes on the normalised channel between them.)
# </details>
#
# <details><summary>Your network is to be used on pictures of 30×30 pixels. What goes wrong?</summary>
#
# Unshuffled, they have 15×15 places; the stride of 2 leaves 8×8 (equation 2), and grown again these are 16×16: the skip
# of 15×15 does not fit beside them. The size must be a multiple of 4, or be padded to one.
# </details>
#
# ## Further reading
#
# - Ronneberger, Fischer & Brox (2015), *U-Net: Convolutional Networks for Biomedical Image Segmentation*, figure 1: the U.
# - He et al. (2016), *Deep Residual Learning for Image Recognition*: our (6) is their eq. 1.
# - Wu & He (2018), *Group Normalization*: our (4), and what it has over batch normalisation in small batches.
# - Vaswani et al. (2017), *Attention Is All You Need*: our (7) is their eq. 1; the footnote there explains $\sqrt d$.
# - Ho, Jain & Abbeel (2020), *Denoising Diffusion Probabilistic Models*, appendix B: the first U-Net of diffusion models.
# - Sun et al. (2025), *Is Noise Conditioning Necessary for Denoising Generative Models?*: how far one gets without $t$.
# - Dhariwal & Nichol (2021), *Diffusion Models Beat GANs on Image Synthesis*, section 3: what each part buys, measured
#   at scale; the scale and shift as "adaptive group normalization".
# - Ho & Salimans (2022), *Classifier-Free Diffusion Guidance*, section 3.2: the null label.
# - Odena, Dumoulin & Olah (2016), *Deconvolution and Checkerboard Artifacts*: why to repeat and then convolve, on the way up.
#
# ## Next
#
# Notebook 07 trains this network, from nothing to digits, on your own CPU while you watch.
