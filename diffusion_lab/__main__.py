"""The commands: python -m diffusion_lab train … | sample … | restore … | judge … | doctor

Each is a module of `commands`, and imports what it needs when it runs: `doctor` must run where packages are missing,
and `sample` needs few of them.
"""

import os
import re
import signal
import sys
from importlib import import_module

from diffusion_lab.commands import arguments


def main(argv=None):
    """Run a command. Returns its exit status; 2, with one line about it, for what cannot be done."""
    argv = sys.argv[1:] if argv is None else argv
    if argv == ["doctor"]:  # before anything is imported that may be missing
        from diffusion_lab.course.doctor import report

        report()
        return 0
    try:
        args = arguments.parser().parse_args(argv)  # here, for it imports torch, which may be missing
        args.words = argv
        return import_module(f"diffusion_lab.commands.{args.command}").run(args)
    except KeyboardInterrupt:  # before there is anything to save, or for the second time
        return 130
    except ModuleNotFoundError as error:
        remedy = f". The remedy is told by: {arguments.command_line('doctor')}" if error.name else ""
        return refused(argv, f"{error}{remedy}")
    except (ValueError, OSError) as error:
        return refused(argv, error)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not re.search("allocate|out of memory", str(error)):
            raise
        smaller = {"train": "--batch or --width", "sample": "--n", "restore": "picture",
                   "judge": "number of images"}[argv[0]]
        return refused(argv, f"there is not enough memory for this. Choose a smaller {smaller}.")


def refused(argv, why):
    """Say in one line what cannot be done. Returns the exit status, 2."""
    print(f"{argv[0] if argv else 'diffusion_lab'}: {why}", file=sys.stderr)
    return 2


def open_streams():
    """Standard output and error, where the caller closed them: what is said is lost, and no file takes its place."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115


if __name__ == "__main__":
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))  # until `Stop`: imports make errors of their own of Ctrl-C
    open_streams()
    sys.exit(main())
