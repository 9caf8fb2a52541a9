"""What the site and the decks take from the npm registry, bundled so that no page needs a network.

tools/web/package.json names the versions and package-lock.json their checksums; both are installed into build/web/,
once. KaTeX typesets the formulas while the pages are built, so that a formula with a mistake stops the build. wabt
makes WebAssembly of its text.
"""

import json
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
LISTS = ROOT / "tools" / "web"
INSTALLED = ROOT / "build" / "web"
FONTS = ("source-serif-4", "source-sans-3")  # a page's browser fetches of them what it needs, some 100 kB
KATEX = """
const katex = require("katex"), formulas = JSON.parse(require("fs").readFileSync(0, "utf-8"));
const strict = (code) => code === "unicodeTextInMathMode" ? "ignore" : "error";
const typeset = ([tex, displayMode]) => {
  try { return katex.renderToString(tex, { displayMode, strict }); }
  catch (error) { console.error(`${tex.trim()}\\n    ${error.message}`); process.exitCode = 1; return ""; }
};
process.stdout.write(JSON.stringify(formulas.map(typeset)));
"""
WABT = """
const text = require("fs").readFileSync(0, "utf-8");
require("wabt")().then((wabt) => process.stdout.write(wabt.parseWat("", text).toBinary({}).buffer))
  .catch((error) => { console.error(error.message); process.exitCode = 1; });
"""


def installed():
    """The folder node_modules; installs it first if it is not there or out of date. Exits if that cannot be done."""
    lists = [LISTS / "package.json", LISTS / "package-lock.json"]
    if all(_same(path, INSTALLED / path.name) for path in lists) and (INSTALLED / "node_modules" / "katex").exists():
        return INSTALLED / "node_modules"
    for command in ("node", "npm"):
        if shutil.which(command) is None:
            raise SystemExit(f"There is no command {command}. The site and the slides take KaTeX, reveal.js, wabt "
                             "and fonts from the npm registry: install Node.js 18 or newer (https://nodejs.org), which "
                             "brings npm.")
    INSTALLED.mkdir(parents=True, exist_ok=True)
    for path in lists:
        shutil.copy(path, INSTALLED)
    done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=INSTALLED,
                          capture_output=True, text=True, check=False)
    if done.returncode:
        (INSTALLED / "package.json").unlink()
        raise SystemExit("npm could not install KaTeX, reveal.js, wabt and the fonts. The first build needs a network; "
                         f"later ones do not. npm says:\n{done.stderr[-2000:]}")
    return INSTALLED / "node_modules"


def _same(one, other):
    return other.exists() and one.read_bytes() == other.read_bytes()


def typeset(formulas):
    """The formulas [(TeX, whether displayed)] as HTML, by KaTeX. Raises ValueError with those that it refuses."""
    done = in_node(KATEX, json.dumps(formulas))
    if done.returncode:
        raise ValueError(f"KaTeX refuses these formulas:\n{done.stderr.decode()}")
    return json.loads(done.stdout)


def assembled(text):
    """The bytes of a module of WebAssembly that is given as text, by wabt. Raises ValueError for a mistake in it."""
    done = in_node(WABT, text)
    if done.returncode:
        raise ValueError(f"wabt refuses this text:\n{done.stderr.decode()}")
    return done.stdout


def in_node(program, given):
    """A finished run of a program in Node.js, which finds what is installed; `given` is what it can read."""
    return subprocess.run(["node", "-e", program], cwd=installed().parent, input=given.encode(), capture_output=True,
                          check=False)


def copy_katex(folder):
    """Put KaTeX's stylesheet and the fonts that it names into `folder`/katex/."""
    source = installed() / "katex" / "dist"
    (folder / "katex" / "fonts").mkdir(parents=True, exist_ok=True)
    shutil.copy(source / "katex.min.css", folder / "katex")
    for font in (source / "fonts").glob("*.woff2"):
        shutil.copy(font, folder / "katex" / "fonts")


def copy_fonts(folder):
    """Put the fonts of the site's text into `folder`/fonts/, a folder each, with their licence."""
    for name in FONTS:
        source = installed() / "@fontsource-variable" / name
        (folder / "fonts" / name / "files").mkdir(parents=True, exist_ok=True)
        for file in ("wght.css", "wght-italic.css", "LICENSE"):
            shutil.copy(source / file, folder / "fonts" / name)
        for file in (source / "files").glob("*-wght-*.woff2"):
            shutil.copy(file, folder / "fonts" / name / "files")


def copy_reveal(folder):
    """Put what a deck needs of reveal.js into `folder`/reveal/: its font, and the licences of both, included."""
    source = installed() / "reveal.js"
    (folder / "reveal").mkdir(parents=True, exist_ok=True)
    for name in ("LICENSE", "dist/reset.css", "dist/reveal.css", "dist/reveal.js", "dist/plugin/notes.js"):
        shutil.copy(source / name, folder / "reveal")
    shutil.copytree(source / "css/theme/fonts/source-sans-pro", folder / "reveal" / "fonts", dirs_exist_ok=True)
