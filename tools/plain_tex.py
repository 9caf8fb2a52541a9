"""Formulas as plain text, for excerpts of the search and for titles: ᾱₜ for \\bar\\alpha_t, and no sign of TeX."""

import re
import unicodedata

TABLE = """
alpha α beta β gamma γ delta δ epsilon ε varepsilon ε zeta ζ eta η theta θ kappa κ lambda λ mu μ nu ν xi ξ pi π rho ρ
sigma σ tau τ varphi φ phi φ chi χ psi ψ omega ω Gamma Γ Delta Δ Theta Θ Lambda Λ Xi Ξ Pi Π Sigma Σ Phi Φ Psi Ψ Omega Ω
cdot · times × pm ± le ≤ leq ≤ ge ≥ geq ≥ ne ≠ neq ≠ ll ≪ gg ≫ approx ≈ sim ∼ propto ∝ equiv ≡ to → longrightarrow →
rightarrow → leftarrow ← mapsto ↦ Longrightarrow ⇒ Rightarrow ⇒ iff ⇔ in ∈ notin ∉ infty ∞ partial ∂ nabla ∇ sum ∑
prod ∏ int ∫ dots … cdots … ldots … | ‖ lVert ‖ rVert ‖ Vert ‖ vert | top ᵀ odot ⊙ otimes ⊗ ast ∗ star ⋆ circ ∘ angle ∠
perp ⊥ cup ∪ cap ∩ subset ⊂ lfloor ⌊ rfloor ⌋ lceil ⌈ rceil ⌉ langle ⟨ rangle ⟩ ell ℓ prime ′ varnothing ∅ { { } }
% % _ _ & & # # $ $
""".split()  # noqa: SIM905
SIGNS = dict(zip(TABLE[::2], TABLE[1::2])) | {"mid": " | ", "bmod": " mod "}
SPACES = {",", ";", ":", " ", "quad", "qquad", "\\", "!", ">", "hspace", "enspace"}
DROPPED = {"left", "right", "big", "Big", "bigg", "Bigg", "bigl", "bigr", "Bigl", "Bigr", "displaystyle", "textstyle",
           "limits", "nolimits", "middle", "mathstrut", "scriptstyle"}
WRAPPERS = {"text", "mathrm", "mathbf", "mathbb", "mathcal", "mathsf", "mathit", "mathop", "boldsymbol", "operatorname",
            "textit", "textbf", "boxed"}
ACCENTS = {"hat": "\u0302", "widehat": "\u0302", "tilde": "\u0303", "widetilde": "\u0303", "bar": "\u0304",
           "overline": "\u0304", "dot": "\u0307", "vec": "\u20d7"}
LOW = dict(zip("0123456789+-=()aehijklmnoprstuvxβγρφχ", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ"))
HIGH = dict(zip("0123456789+-=()abcdefghijklmnoprstuvwxyz∗ᵀ′", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ*ᵀ′"))
TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[^\\\s]|\s+", flags=re.DOTALL)


def plain_tex(tex):
    """A formula as plain text."""
    tokens = TOKEN.findall(tex)[::-1]
    return unicodedata.normalize("NFC", re.sub(r"\s+", " ", _until(tokens, None)).strip())


def _length(text):
    """How many signs wide a text is: accents that stand above a letter take no room."""
    return len(re.sub("[\u0300-\u0307\u20d7]", "", text))


def _until(tokens, end):
    parts = []
    while tokens:
        if tokens[-1] == end:
            tokens.pop()
            break
        parts.append(_next(tokens, parts))
    return "".join(parts)


def _argument(tokens):
    """The next group in braces, or the next sign."""
    while tokens and tokens[-1].isspace():
        tokens.pop()
    return _next(tokens, []) if tokens else ""


def _next(tokens, before):
    token = tokens.pop()
    if token == "{":
        return _until(tokens, "}")
    if token in "_^":
        inside = _argument(tokens).strip()
        table = LOW if token == "_" else HIGH
        raised = [table.get(sign) for sign in inside.replace("−", "-").replace(" ", "")]
        if inside and all(raised):
            return "".join(raised)
        return inside if token == "_" else f"^({inside})" if len(inside) > 1 else f"^{inside}"
    if token == "&" or token == "~":
        return " "
    if not token.startswith("\\"):
        return " " if token.isspace() else token
    name = token[1:]
    if name in SIGNS:
        return SIGNS[name]
    if name in SPACES:
        return " " if name != "!" else ""
    if name in DROPPED:
        if tokens and tokens[-1] == ".":  # a bracket that is not drawn
            tokens.pop()
        return ""
    if name in ACCENTS:
        inside = _argument(tokens).strip()
        return inside[:1] + ACCENTS[name] + inside[1:]
    if name in ("frac", "tfrac", "dfrac"):
        parts = [_argument(tokens).strip(), _argument(tokens).strip()]
        return "/".join(part if _length(part) < 2 else f"({part})" for part in parts)
    if name == "sqrt":
        inside = _argument(tokens).strip()
        return f"√{inside}" if _length(inside) < 3 else f"√({inside})"
    if name == "tag":
        return f" ({_argument(tokens)})"
    if name in ("begin", "end"):
        _argument(tokens)
        return " "
    if name in ("underbrace", "overbrace"):
        inside = _argument(tokens)
        if tokens and tokens[-1] in "_^":
            tokens.pop()
            return f"{inside} [{_argument(tokens)}] "
        return inside
    if name in WRAPPERS:
        return _argument(tokens)
    return f" {name} "  # log, exp, min: words already
