"""One look for every picture: the course's colours, line styles and figure sizes.

Data is blue, noise grey and dotted, a model orange and thick, an exact answer black and dashed: each role has a line of
its own as well, so that no picture depends on colour alone.
"""

import matplotlib
from matplotlib.figure import Figure

BLUE, GREY, ORANGE, BLACK = "#0072B2", "#767676", "#D55E00", "#000000"

ROLES = {
    "data": {"color": BLUE, "linestyle": "-"},
    "noise": {"color": GREY, "linestyle": ":"},
    "model": {"color": ORANGE, "linestyle": "-", "linewidth": 2.4},
    "exact": {"color": BLACK, "linestyle": "--"},
}
"""Keyword arguments for `ax.plot`, by the role of what is drawn: `ax.plot(x, y, **ROLES["data"])`."""

POINTS = {
    "data": {"color": BLUE, "marker": "o", "s": 6, "alpha": 0.5, "linewidths": 0},
    "noise": {"color": GREY, "marker": "x", "s": 8, "alpha": 0.6, "linewidths": 0.8},
    "model": {"color": ORANGE, "marker": "^", "s": 8, "alpha": 0.6, "linewidths": 0},
}
"""Keyword arguments for `ax.scatter`, by role."""

RC = {
    # for lines without a role: from Okabe & Ito's palette for colour-blind readers
    "axes.prop_cycle": matplotlib.cycler(color=[BLUE, ORANGE, "#009E73", "#CC79A7"]),
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "figure.dpi": 100,
}


def figure(columns=1, rows=1, width=8.0, height=3.0, **subplots):
    """A figure and its axes, in the course's style. Width and height in inches, of the whole figure.

    Further keywords go to `Figure.subplots` (sharex, sharey, width_ratios, …). Returns (fig, ax) for one panel,
    (fig, axes array) for several.
    """
    with matplotlib.rc_context(RC):
        fig = Figure(figsize=(width, height), layout="constrained")
        return fig, fig.subplots(rows, columns, **subplots)
