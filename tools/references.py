"""What a lesson mentions becomes a link on its page: “Figure 3”, “equation (5)”, “notebook 02”."""

import re

from render import HOLE

QUIET = {"a", "pre", "code", "h1", "h2", "h3", "h4", "summary", "script", "style", "button"}  # they get no links
NAMED = re.compile(r"\b([Nn]otebook) (\d\d)\b|\bFigure (D?\d+)\b|\bequation \((\d+)\)(?! (?:of|in) notebook)")


def with_anchors(body, formulas):
    """The page with an anchor for each caption and each equation that has a number."""
    def equation(match):
        tag = re.search(r"\\tag\{(\w+)\}", formulas.found[int(match[1])][0])
        return f'<span class="equation" id="equation-{tag[1]}">{match[0]}</span>' if tag else match[0]

    body = re.sub(r"<p><strong>Figure (D?\d+)\.</strong>", r'<p id="figure-\1"><strong>Figure \1.</strong>', body)
    return HOLE.sub(equation, body)


def linked(body, names, here=""):
    """The page with links. names: {number of a lesson: its page's name}; here: the number of this one."""
    known, found, depth = set(re.findall(r' id="([^"]+)"', body)), [], 0

    def link(match):
        _, number, figure, equation = match.groups()
        if number:
            target = f"{names[number]}.html" if number in names and number != here else None
        else:
            place = f"figure-{figure}" if figure else f"equation-{equation}"
            target = f"#{place}" if place in known else None
        return f'<a class="ref" href="{target}">{match[0]}</a>' if target else match[0]

    own = ""
    for part in re.split(r"(<[^>]*>)", body):
        if tag := re.match(r"<(/?)(\w+)", part):
            if tag[2] in QUIET:
                depth += -1 if tag[1] else 1
            own = "caption" if part.startswith('<p id="figure-') else "" if tag[2] == "p" else own
            found.append(part)
        else:  # a caption does not link to itself
            is_name = own == "caption" and re.fullmatch(r"Figure D?\d+\.", part)
            found.append(part if depth or is_name else NAMED.sub(link, part))
    return "".join(found)
