"""The pictures that the course draws again and again: curves, histograms, clouds of points, rows of images."""

import numpy as np

from diffusion_lab.view.pictures import mosaic
from diffusion_lab.view.style import POINTS, ROLES, figure


def curves(ax, lines, xlabel, ylabel, title=None, **limits):
    """Draw lines on an axis: a list of (x, y, role, label), role from `ROLES`. limits: xlim, ylim, xscale, yscale."""
    for x, y, role, label in lines:
        ax.plot(x, y, label=label, **ROLES[role])
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title, **limits)
    if any(label for *_, label in lines):
        ax.legend()
    return ax


def histogram(ax, values, role, label, bins=60, **limits):
    """Draw a histogram of 1-D samples as a density (its area is 1), to lay beside a curve."""
    values = np.asarray(values)
    if not np.isfinite(values).all():
        raise ValueError("the values of a histogram must be finite, but some are not.")
    ax.hist(values, bins=bins, density=True, color=ROLES[role]["color"], alpha=0.35, label=label)
    ax.set(**limits)
    ax.legend()
    return ax


def clouds(panels, lim=3.0, size=2.6):
    """A figure of 2-D clouds side by side: a list of (points (n, 2), role, title), role from `POINTS`."""
    for points, _, title in panels:
        if points.ndim != 2 or points.shape[1] != 2:
            raise ValueError(f"points must have shape (n, 2), but those of {title!r} have {tuple(points.shape)}.")
    fig, axes = figure(columns=len(panels), width=size * len(panels), height=size + 0.3, squeeze=False)
    for ax, (points, role, title) in zip(axes[0], panels):
        ax.scatter(points[:, 0], points[:, 1], **POINTS[role])
        ax.set(xlim=(-lim, lim), ylim=(-lim, lim), aspect="equal", title=title)
    return fig


def gallery(rows, below=(), size=0.75):
    """A figure of images in rows: {name of the row: float (n, 1, H, W) in [-1, 1]}, `size` inches each.

    below: a name for each column. Values beyond [-1, 1] are shown as black or white.
    """
    columns = len(next(iter(rows.values())))
    picture = mosaic(np.concatenate([np.asarray(row) for row in rows.values()]), columns=columns)
    fig, ax = figure(width=size * columns + 0.08 * max(map(len, rows)), height=size * len(rows) + 0.3 * bool(below))
    ax.imshow(picture, cmap="gray", vmin=0, vmax=255)
    ax.set_anchor("E")  # what room is left is for the names
    for axis, names, length in ((ax.xaxis, below, picture.shape[1] / columns),
                                (ax.yaxis, rows, picture.shape[0] / len(rows))):
        axis.set_ticks([(i + 0.5) * length for i in range(len(names))], list(names))
    ax.tick_params(length=0)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    return fig
