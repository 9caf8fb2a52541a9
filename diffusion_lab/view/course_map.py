"""The map of the course as a picture."""

from matplotlib.patches import FancyBboxPatch

from diffusion_lab.view.style import BLACK, BLUE, GREY, ORANGE, figure

STOPS = [
    ("00", "Start here", "what it is"),
    ("01", "Gaussian density", "the noise"),
    ("02", "Forward chain", "data to noise"),
    ("03", "Reverse posterior", "noise to data"),
    ("04", "The bound", "how good, in nats"),
    ("05", "Denoiser", "a first network"),
    ("06", "U-Net", "a network for images"),
    ("07", "Train", "real digits, your CPU"),
    ("08", "Sample", "good, in few steps"),
]
ROWS = {0: ("what is true with pen and paper", BLUE), 1: ("what is learned", ORANGE)}
PLACES = {f"{number:02}": (column, row) for number, (column, row) in enumerate(
    [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (1, 1), (2, 1), (3, 1), (4, 1)])}  # column, row


def course_map(written):
    """A figure with a box for each notebook; those not in `written` (numbers such as "03") are grey: still to come."""
    fig, ax = figure(width=8.6, height=3.0)
    for number, name, leaves in STOPS:
        column, row = PLACES[number]
        x, y = 1.9 * column, -1.5 * row
        colour = ROWS[row][1] if number in written else GREY
        ax.add_patch(FancyBboxPatch((x, y), 1.5, 0.95, boxstyle="round,pad=0.04", facecolor="white", edgecolor=colour,
                                    linewidth=2, linestyle="-" if number in written else ":"))
        ax.text(x + 0.06, y + 0.68, number, color=colour, weight="bold", fontsize=11)
        ax.text(x + 0.75, y + 0.45, name, ha="center", va="center", fontsize=9.5, color=BLACK)
        ax.text(x + 0.75, y + 0.15, leaves, ha="center", va="center", fontsize=8, color="#555555")
        if column < 4:
            ax.annotate("", (x + 1.84, y + 0.45), (x + 1.56, y + 0.45),
                        arrowprops={"arrowstyle": "->", "color": "#555555"})
    ax.plot([8.35, 8.35, 2.65], [-0.08, -0.27, -0.27], color="#555555", linewidth=1)
    ax.annotate("", (2.65, -0.5), (2.65, -0.26), arrowprops={"arrowstyle": "->", "color": "#555555"})
    ax.text(0, 1.15, ROWS[0][0], color=BLUE, fontsize=10)
    ax.text(0, -0.72, ROWS[1][0], color=ORANGE, fontsize=10)
    ax.set(xlim=(-0.1, 9.3), ylim=(-1.65, 1.4))
    ax.set_axis_off()
    return fig
