"""``make lab``: bring the reader's copy up to date and open JupyterLab on it."""

from __future__ import annotations

import argparse
import errno
import os
import socket
import sys
from importlib.util import find_spec
from pathlib import Path

from helpers.book import warm
from helpers.book.kernel import WITHOUT_PROOFS, cores
from helpers.book.workbook import NOTEBOOKS, WORKBOOK, Problem, update

HOST = "127.0.0.1"
# Defaults below the reader's own settings: no question about news, no look for newer versions.
SETTINGS = Path(__file__).with_name("jupyter")


def main(argv: list[str], *, notebooks: Path = NOTEBOOKS, workbook: Path = WORKBOOK) -> int:
    """Update the workbook and become JupyterLab; returns only when that cannot be.

    Args:
        argv: the options, as in ``["--port", "8890", "--no-browser"]``.
        notebooks: the book's chapters.
        workbook: the reader's own copy, and the folder JupyterLab shows.
    """
    parser = argparse.ArgumentParser(prog="make lab", description=__doc__)
    parser.add_argument("--port", type=_port, help="serve on this port (else 8888 or the next)")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    options = parser.parse_args(argv)
    try:
        if find_spec("jupyterlab") is None:
            raise Problem(f"JupyterLab is not installed for {sys.executable}. Run: make lab")
        if options.port and (taken := port_problem(options.port)):
            raise Problem(taken)
        warm.wanted(os.environ)
        done = update(notebooks, workbook)
        if not done.chapters:
            raise Problem(f"every chapter is damaged. {done.notes[0]}")
    except (Problem, ValueError) as problem:
        print(f"book: {problem}", file=sys.stderr)
        return 1
    for note in done.notes:
        print(f"book: {note}")
    print(f"book: {len(done.chapters)} chapters in {workbook}. Ctrl-C here stops JupyterLab.")
    sys.stdout.flush()
    command = lab_command(workbook, done.chapters[0].name, options.port, options.no_browser)
    # It imports while JupyterLab starts, and lives as long as that: JupyterLab keeps the pipe.
    parent, environment = warm.start_if_wanted(lab_environment(os.environ))
    if parent is not None:
        os.set_inheritable(os.dup(parent.stdin.fileno()), True)
    os.execve(command[0], command, environment)


def lab_command(workbook: Path, first: str, port: int | None, no_browser: bool) -> list[str]:
    """How to start JupyterLab in ``workbook`` with the chapter ``first`` open.

    The token is the one Jupyter draws itself, so that it never stands in the list of processes.
    """
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.ip={HOST}",
        f"--ServerApp.root_dir={workbook}",
        f"--LabApp.default_url=/lab/tree/{first}",
        # The reader's own workspace would reopen tabs of other projects.
        f"--LabApp.workspaces_dir={workbook / '.jupyter' / 'workspaces'}",
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly",
        # Ctrl-C stops at once: no question that nobody can answer behind make.
        "--ServerApp.answer_yes=True",
        # What a kernel says is for the reader, not for everybody who works on this machine.
        "--KernelManager.transport_encryption=auto",
        "--Application.log_level=ERROR",
    ]
    if port:
        command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    if no_browser:
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    return command


def lab_environment(environ: dict[str, str]) -> dict[str, str]:
    """The environment of JupyterLab and of the kernels it starts.

    The kernel called python3 is this environment's, whatever the reader has registered under that
    name. Each kernel may use half of the cores: two open chapters then share the machine, where
    with all cores each they would fight for it and both run tens of times slower. Assertions hold
    in any case.
    """
    ours = Path(sys.prefix, "share", "jupyter")
    threads = environ.get("BOOK_THREADS") or str(max(1, cores() // 2))
    return {
        "OMP_NUM_THREADS": threads,
        **{name: value for name, value in environ.items() if name != WITHOUT_PROOFS},
        "JUPYTER_PATH": _first(ours, environ.get("JUPYTER_PATH")),
        "JUPYTER_CONFIG_PATH": _first(SETTINGS, environ.get("JUPYTER_CONFIG_PATH")),
    }


def port_problem(port: int) -> str | None:
    """Why nobody can serve on ``port`` of this machine now, with the cure; None when one can."""
    with socket.socket() as probe:
        # As the server will do: an address that has only just been left is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            why = "is taken by another program" if error.errno == errno.EADDRINUSE else "is refused"
            cure = "Leave --port out to get the next free one, or name another"
            other = port + 1 if 1024 <= port < 65535 else 8899
            return f"port {port} {why} ({error.strerror}). {cure}: make lab ARGS='--port {other}'"
    return None


def _first(folder: Path, others: str | None) -> str:
    return os.pathsep.join([str(folder), *([others] if others else [])])


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give a number from 1 to 65535")
    return int(text)
