"""Say what is missing before a virtual environment is made; `make` runs this with the Python that it is to be made of.

    python3 tools/check_python.py

Any Python must be able to read this file, old ones too: no f-strings, nothing imported that they lack.
"""

import sys

NEEDED = (3, 11)


def problem(version, has_ensurepip):
    """What keeps a Python of `version` (major, minor, micro) from making the environment, as a sentence, or None."""
    dotted = ".".join(str(part) for part in version[:3])
    if tuple(version[:2]) < NEEDED:
        return ("Python 3.11 or newer is needed, but this is " + dotted + ". If a newer one is installed under "
                "another name, say so: make lab PYTHON=python3.12")
    if not has_ensurepip:
        return ("This Python " + dotted + " cannot make virtual environments: its module ensurepip is missing. "
                "On Debian and Ubuntu, install it with: sudo apt install python" + str(version[0]) + "."
                + str(version[1]) + "-venv. Then run the same command again.")
    return None


def has_ensurepip():
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(problem(tuple(sys.version_info[:3]), has_ensurepip()))
