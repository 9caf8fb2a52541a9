"""What a lesson mentions becomes a link on its page: “Figure 3”, “(5)”, “notebook 02”, a term, a paper."""

import re
from dataclasses import dataclass, field

from render import HOLE, plain

QUIET = {"a", "pre", "code", "em", "h1", "h2", "h3", "h4", "summary", "script", "style", "button"}  # no links in them
NAMED = re.compile(r"\b([Nn]otebook) (\d\d)\b|\bFigure (D?\d+)\b"
                   r"|(?:\b[Ee]quation )?(?<![\w.)’'])(?<!eq\. )(?<!['’]s )\((\d\d?)\)(?! (?:of|in) notebook)")
SEVERAL = re.compile(r"\b([Nn]otebooks|Figures) (D?\d+(?:(?:, | and | to )D?\d+)+)")
NAME = r"(?:(?:van den|de|Van|Ver) )?[A-Z][\w’-]+"
CITED = re.compile(rf"({NAME}(?:, {NAME})*(?: &amp; {NAME}| et al\.)?),? (\()?((?:19|20)\d\d)(?(2)\)?)")
PAPER = re.compile(rf"({NAME}(?:, {NAME})*(?: &amp; {NAME}| et al\.)?) \(((?:19|20)\d\d)\), (<em>.*?</li>)",
                   flags=re.DOTALL)
SHORT = 7  # letters; a term that is shorter, and one word, is often no term: head, law, path, given
EVERYDAY = {"deviation", "generator", "precision", "process", "surprise", "way back"}


@dataclass
class Paper:
    """An entry of the reading list: its authors' names, year, anchor and words, and the notebooks that it goes with."""

    authors: list
    year: str
    anchor: str
    words: str
    notebooks: list

    @property
    def cited(self):
        return f"{', '.join(self.authors[:-1])} & {self.authors[-1]}".replace("& al.", "et al.").lstrip(" &")

    def is_meant(self, names, year):
        """Whether a citation by the first of the names, or by all of them, can be of this paper."""
        same = self.authors == names if names[-1] != "al." else self.authors[:len(names) - 1] == names[:-1]
        return same and self.year == year


@dataclass
class Known:
    """What the pages of a course can link to.

    lessons: {number: (page, what its reader leaves with)}; terms: {term: (address, number of its lesson)}; papers: a
    list of Paper; reading: the page where they are.
    """

    lessons: dict = field(default_factory=dict)
    terms: dict = field(default_factory=dict)
    papers: list = field(default_factory=list)
    reading: str = "reading.html"

    def paper(self, authors, year, here):
        """The address of the paper that a lesson cites; None if there is none, or more than one that goes with it."""
        fits = [paper for paper in self.papers if paper.is_meant(authors_of(authors), year)]
        if len(fits) > 1:
            fits = [paper for paper in fits if here in paper.notebooks]
        return f"{self.reading}#{fits[0].anchor}" if len(fits) == 1 else None


def authors_of(text):
    """The names in “Ho, Jain &amp; Abbeel” or “Ho et al.”, with “al.” as the last name of the latter."""
    return re.split(r", | &amp; | et (?=al\.)", text)


def with_papers(body):
    """The page of the reading list with an anchor at each paper; and its papers, a paper named twice once."""
    papers = {}

    def paper(match):
        authors, year, rest = match.groups()
        notebooks = re.search(r"(?<!After )<em>Notebooks?\s([\d,\s]+)", rest)
        words = re.split(rf"(?:; and|\.)\s(?={NAME}[^<]*\((?:19|20)\d\d\), <em>)|<em>(?:After n|N)otebook", rest)[0]
        words = re.sub(r" ([.,;:)])", r"\1", plain(words)).strip()
        anchor = f"paper-{authors_of(authors)[0].lower()}-{year}"
        anchor += "-2" if anchor in {taken.anchor for taken in papers.values()} else ""
        title = words.partition(".")[0]
        if (authors, title) in papers:
            return match[0]
        numbers = re.findall(r"\d\d", notebooks[1]) if notebooks else []
        papers[authors, title] = Paper(authors_of(authors), year, anchor, words, numbers)
        return f'<span id="{anchor}">{authors}</span> ({year}), {PAPER.sub(paper, rest)}'

    return PAPER.sub(paper, body), list(papers.values())


def with_anchors(body, formulas):
    """The page with an anchor for each caption and each equation that has a number."""
    def equation(match):
        tag = re.search(r"\\tag\{(\w+)\}", formulas.found[int(match[1])][0])
        return f'<span class="equation" id="equation-{tag[1]}">{match[0]}</span>' if tag else match[0]

    body = re.sub(r"<p><strong>Figure (D?\d+)\.</strong>", r'<p id="figure-\1"><strong>Figure \1.</strong>', body)
    return HOLE.sub(equation, body)


def linked(body, known, here=""):
    """The page of lesson number `here` with links.

    A term of an earlier lesson is a link where it stands first, in the open text and in what is folded.
    """
    anchors, found, depth, folds = set(re.findall(r' id="([^"]+)"', body)), [], 0, 0
    terms = {name.lower(): address for name, (address, number) in known.terms.items() if number < here}
    words = "|".join(map(re.escape, sorted(terms, key=len, reverse=True)))
    words = re.compile(rf"(?<![\w/-])({words})(?![\w/-])", re.IGNORECASE)
    left = [dict(terms), dict(terms)]  # those that have no link yet: in the open text, and in what is folded

    def anchor(target, words, more=""):
        return f'<a class="ref" href="{target}"{more}>{words}</a>'

    def notebook(number, words):
        page, leaves = known.lessons.get(number, ("", ""))
        return anchor(f"{page}.html", words, f' data-card="{leaves}"') if page and number != here else words

    def this(place, words):
        """A place of this page; but where a paper is told of, a figure is the paper's."""
        theirs = further and place.startswith("figure")
        return anchor(f"#{place}", words) if place in anchors and not theirs else words

    def link(match):
        _, number, figure, equation = match.groups()
        if number:
            return notebook(number, match[0])
        return this(f"figure-{figure}" if figure else f"equation-{equation}", match[0])

    def several(match):
        kind, numbers = match.groups()
        return kind + " " + re.sub(r"D?\d+", lambda one: this(f"figure-{one[0]}", one[0]) if kind == "Figures"
                                   else notebook(one[0], one[0]), numbers)

    def cite(match):
        authors, _, year = match.groups()
        before, after, target = "", "", known.paper(authors, year, here)
        if "(" in match[0] and ")" not in match[0]:  # the bracket goes on: "Lin et al. (2024, section 3)"
            after = match[0].removeprefix(authors)
        if not target and ", " in authors:  # a word with a capital may stand before it: "SNR, Hang et al. 2023"
            before, _, authors = authors.partition(", ")
            before, target = f"{before}, ", known.paper(authors, year, here)
        words = match[0].removeprefix(before).removesuffix(after)
        return before + anchor(target, words) + after if target else match[0]

    def term(match):
        address = left[folds > 0].pop(match[0].lower(), None)
        return anchor(address, match[0], ' data-term=""') if address else match[0]

    def with_links(text):
        """Between links, one kind after the other, so that no link is made in a link."""
        for pattern, make in ((SEVERAL, several), (NAMED, link), (CITED, cite), (words, term)):
            if make is term and not terms:
                continue
            parts = re.split(r"(<a .*?</a>)", text)
            text = "".join(part if part.startswith("<a ") else pattern.sub(make, part) for part in parts)
        return text

    own, further = "", False
    for part in re.split(r"(<[^>]*>)", body):
        if tag := re.match(r"<(/?)(\w+)", part):
            further = 'id="further-reading"' in part if part.startswith("<h2") else further
            folds += (-1 if tag[1] else 1) * (tag[2] == "details")
            if tag[2] in QUIET:
                depth += -1 if tag[1] else 1
            own = "caption" if part.startswith('<p id="figure-') else "" if tag[2] == "p" else own
            found.append(part)
        else:  # a caption does not link to itself
            is_name = own == "caption" and re.fullmatch(r"Figure D?\d+\.", part)
            found.append(part if depth or is_name else with_links(part))
    return "".join(found)


def terms_of(rows):
    """{term: (address, number of its lesson)} of (address, names, number).

    Left out is what is often no term: a short word, and one to which the glossary must add what it is said of.
    """
    named = [(name, (address, number)) for address, names, number in rows for name in names.split(", ")]
    return {name: told for name, told in named if name not in EVERYDAY and " (" not in name
            and re.search(r"[A-Za-z]{2}", name) and (len(name) >= SHORT or not re.fullmatch(r"[a-z]+", name))}
