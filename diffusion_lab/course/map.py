"""The map of the course as a picture, drawn from the list of its lessons."""

from matplotlib.patches import FancyBboxPatch

from diffusion_lab.course.lessons import read
from diffusion_lab.view.style import BLACK, BLUE, ORANGE, figure

COLUMNS = 5
COLOURS = [BLUE, ORANGE, "#009E73", "#CC79A7"]  # in turn, a new one with new words above a row
QUIET = "#555555"
ACROSS, DOWN = 1.9, 1.7  # from one box to the next


def rows(course):
    """The rows of the map, [(words above it, lessons)]: of five lessons at most, and new where course.toml says so."""
    found = []
    for part in course.parts:
        for place, lesson in enumerate(part.lessons):
            words = part.rows.get(lesson.number, part.title if place == 0 else None)
            if words is not None or len(found[-1][1]) == COLUMNS:
                found.append((words or "", []))
            found[-1][1].append(lesson)
    return found


def course_map(course=None):
    """A figure with a box for each lesson, in the order of the arrows."""
    lines = rows(course or read())
    fig, ax = figure(width=8.6, height=0.35 + 1.3 * len(lines))
    titles = 0
    for row, (words, lessons) in enumerate(lines):
        titles += bool(words)
        colour = COLOURS[(titles - 1) % len(COLOURS)]
        y = -DOWN * row
        ax.text(0, y + 1.1, words, color=colour, fontsize=10)
        for column, lesson in enumerate(lessons):
            draw_box(ax, ACROSS * column, y, lesson, colour)
        for column in range(len(lessons) - 1):
            draw_arrow(ax, ACROSS * column + 1.56, ACROSS * (column + 1) - 0.06, y + 0.45)
        if row + 1 < len(lines):
            end = ACROSS * (len(lessons) - 1) + 0.75
            below = y - DOWN + 0.45
            ax.plot([end, end, -0.4, -0.4], [y - 0.08, y - 0.25, y - 0.25, below], color=QUIET, linewidth=1)
            draw_arrow(ax, -0.4, -0.06, below)
    ax.set(xlim=(-0.5, ACROSS * COLUMNS - 0.2), ylim=(-DOWN * (len(lines) - 1) - 0.15, 1.35))
    ax.set_axis_off()
    return fig


def draw_box(ax, x, y, lesson, colour):
    """A box with the number of a lesson and its label, its lower left corner at (x, y)."""
    name, what = lesson.label
    ax.add_patch(FancyBboxPatch((x, y), 1.5, 0.95, boxstyle="round,pad=0.04", facecolor="white", edgecolor=colour,
                                linewidth=2))
    ax.text(x + 0.06, y + 0.68, lesson.number, color=colour, weight="bold", fontsize=11)
    ax.text(x + 0.75, y + 0.45, name, ha="center", va="center", fontsize=9.5, color=BLACK)
    ax.text(x + 0.75, y + 0.15, what, ha="center", va="center", fontsize=8, color=QUIET)


def draw_arrow(ax, start, end, y):
    """An arrow to the right."""
    ax.annotate("", (end, y), (start, y), arrowprops={"arrowstyle": "->", "color": QUIET, "shrinkA": 0, "shrinkB": 0})


def described(course=None):
    """The map in words, for those who do not see it."""
    told = []
    for words, lessons in rows(course or read()):
        told.append((f"{words}: " if words else "") + ", ".join(f"{each.number} {each.label[0]}" for each in lessons))
    return f"A box for each lesson, in rows. {'; '.join(told)}."
