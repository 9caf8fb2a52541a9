"""Formulas as plain text, as the search and titles show them."""

import re

import pytest
from course import NOTEBOOKS, ROOT, cells
from plain_tex import plain_tex


@pytest.mark.parametrize(("tex", "text"), [
    (r"x_t=\sqrt{\bar\alpha_t}\;x_0+\sqrt{1-\bar\alpha_t}\;\varepsilon\tag{5}", "xₜ=√ᾱₜ x₀+√(1-ᾱₜ) ε (5)"),
    (r"\mathbb E[x_0\mid x_{t-1}]", "E[x₀ | xₜ₋₁]"),
    (r"\tfrac12\log\mathrm{SNR}", "1/2 log SNR"),
    (r"\hat x_0^{\,w}", "x̂₀ʷ"),
    (r"e^{-\mathrm{SNR}}", "e^(-SNR)"),
    (r"\underbrace{a+b}_{\text{excess}}", "a+b [excess]"),
    (r"\left.f\right|_a", "f|ₐ"),
    (r"\{1, 2\}", "{1, 2}"),
])
def test_formulas_as_text(tex, text):
    assert plain_tex(tex) == text


def test_no_formula_of_the_course_leaves_a_sign_of_tex():
    texts = [cell.source for path in NOTEBOOKS for cell in cells(path, "markdown")]
    texts += [path.read_text(encoding="utf-8") for path in [*ROOT.glob("docs/*.md"), ROOT / "NOTATION.md"]]
    formula = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+)\$", flags=re.DOTALL)
    found = [shown or inline for text in texts for shown, inline in formula.findall(text)]
    assert len(found) > 1000
    left = re.compile(r"\\[a-zA-Z]|\$|\b(mathcal|mathbb|mathrm|text|frac|tfrac|sqrt|bar|hat|tilde|quad|tag)\b")
    assert [tex for tex in found if left.search(plain_tex(tex))] == []
