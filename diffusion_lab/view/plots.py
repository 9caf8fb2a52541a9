"""The pictures that the course draws again and again: curves, histograms and clouds of points."""

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
    ax.hist(values, bins=bins, density=True, color=ROLES[role]["color"], alpha=0.35, label=label)
    ax.set(**limits)
    ax.legend()
    return ax


def clouds(panels, lim=3.0, size=2.6):
    """A figure of 2-D clouds side by side: a list of (points (n, 2), role, title), role from `POINTS`."""
    fig, axes = figure(columns=len(panels), width=size * len(panels), height=size + 0.3, squeeze=False)
    for ax, (points, role, title) in zip(axes[0], panels):
        ax.scatter(points[:, 0], points[:, 1], **POINTS[role])
        ax.set(xlim=(-lim, lim), ylim=(-lim, lim), aspect="equal", title=title)
    return fig
