"""A lesson of a few cells, with every kind of cell that is folded or hidden: built as the course's are, but not run."""

from base64 import b64encode

import build_notebooks
import jupytext
import nbformat
import numpy as np

from diffusion_lab.view.pictures import png

NAME = "01_gaussian_pdf"  # the lesson of course.toml in whose place it stands
LESSON = next(lesson for lesson in build_notebooks.lessons() if lesson.name == NAME)
SOURCE = r'''# %% [markdown]
# # A tiny lesson
#
# Half of $x$ is what remains.
#
# ## 1 · Halves
#
# We take halves.

# %% tags=["export:diffusion_lab.theory.gaussian"]
def half(x):
    """Half of x."""
    return x / 2

# %% [markdown]
# Here is what they look like.

# %% tags=["figure"]
show(half(PICTURE), alt="A square of even grey.")

# %% [markdown]
# **Figure 1.** Even grey.

# %% tags=["claim"]
assert half(2) == 1, "guards a sentence"

# %% [markdown]
# ### Deeper: why a half is a half
#
# Quaternions are not needed. $$ \tfrac12 + \tfrac12 = 1 $$
#
# #### A lemma about crumbs
#
# Crumbs add up.

# %% tags=["figure"]
show(half(OTHER), alt="A square of darker grey.")

# %% [markdown]
# ### Deeper: thirds
#
# Thirds are left to the reader.
#
# ## 2 · Wholes
#
# Two halves make one. [Back to the crumbs](#a-lemma-about-crumbs).
#
# Half of Figure 1 is no darker.

# %%
print(half(2) + half(2))
'''


def notebook():
    """The lesson as a notebook, with the outputs that its cells would have."""
    made = jupytext.reads(SOURCE, fmt="py:percent")
    build_notebooks.add_navigation(made, LESSON)
    build_notebooks.add_cell_for_colab(made)
    build_notebooks.add_lines_under_taught_code(made)
    build_notebooks.close_deeper_sections(made)
    build_notebooks.fold(made)
    for cell in made.cells:
        if cell.cell_type == "code" and "alt=" in cell.source:
            cell.outputs = [picture(cell.source.split('"')[1])]
        elif cell.cell_type == "code" and "print" in cell.source:
            cell.outputs = [nbformat.v4.new_output("stream", text="2.0\n")]
    return made


def picture(alt):
    grey = np.full((40, 90), 128, dtype=np.uint8)
    return nbformat.v4.new_output("display_data", {"image/png": b64encode(png(grey)).decode()},
                                  metadata={"image/png": {"alt": alt}})
