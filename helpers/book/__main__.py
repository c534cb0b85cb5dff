"""The commands behind the Makefile: ``python -m helpers.book COMMAND``."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

COMMANDS = {
    "lab": "make or update the reader's own copy of the chapters and open JupyterLab there",
    "build": "run every chapter whose source changed and write its notebook",
    "adopt": "bring an edit made in Jupyter back into a chapter's source",
    "suite": "re-execute every chapter and run everything else that CI runs",
    "doctor": "check this machine and this copy of the book; name the cure of what is wrong",
    "bench": "measure what the suite, the chapters and the start cost on this machine",
}


def main(argv: list[str] | None = None) -> int:
    """Run one command; what follows its name goes to the command's own ``main``.

    Returns:
        The command's exit status; 130 where Ctrl-C stopped it.
    """
    width = max(map(len, COMMANDS))
    parser = argparse.ArgumentParser(
        prog="python -m helpers.book",
        description="The book's own machinery.",
        epilog="\n".join(f"  {name:{width}}  {what}" for name, what in COMMANDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of those below")
    parser.add_argument("options", nargs=argparse.REMAINDER, help="COMMAND --help lists them")
    asked = parser.parse_args(argv)
    # Only the command asked for is imported: `lab` must not wait for what `build` needs.
    command = import_module(f"helpers.book.{asked.command}")
    try:
        return command.main(asked.options)
    except KeyboardInterrupt:
        print("book: stopped.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
