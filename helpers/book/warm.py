"""Warm kernels: kernels forked from a parent that has imported torch and its like once.

The parent (:mod:`helpers.book.parent`) belongs to the command that starts it, and ends with it.
The commands name it to :class:`helpers.book.provisioner.WarmProvisioner` in the environment
variable ``BOOK_WARM``. The same variable is the way out: ``BOOK_WARM=0`` means ordinary kernels.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

SETTING = "BOOK_WARM"
PROVISIONER = "book-warm"
GROUP = "jupyter_client.kernel_provisioners"
# jupyter_client's own setting: the provisioner of the kernels whose specification names none.
DEFAULT = "JUPYTER_DEFAULT_PROVISIONER_NAME"
SCRIPT = Path(__file__).with_name("parent.py")
SOCKET, LOG = "socket", "log"
_OFF = ("0", "no", "off", "false")
_ON = ("", "1", "yes", "on", "true")


class Cold(Exception):
    """Why a kernel is an ordinary one; empty where nobody asked for another."""


def wanted(environment: Mapping[str, str]) -> bool:
    """Whether ``environment`` asks for a parent: not when it is off, nor when there is one.

    Raises:
        ValueError: ``BOOK_WARM`` is neither a switch nor a parent's folder.

    >>> wanted({}), wanted({"BOOK_WARM": "0"})
    (True, False)
    """
    value = environment.get(SETTING, "").strip().lower()
    if value in _ON:
        return True
    if value in _OFF or os.path.isabs(environment[SETTING]):
        return False
    raise ValueError(
        f"{SETTING}={environment[SETTING]!r} means nothing. "
        f"{SETTING}=0 is for ordinary kernels; leave it out for warm ones"
    )


def folder_of(environment: Mapping[str, str]) -> Path | None:
    """The folder of the parent that ``environment`` names, or None where it names none."""
    value = environment.get(SETTING, "")
    return Path(value) if os.path.isabs(value) else None


@cache
def registered() -> bool:
    """Whether jupyter_client finds the provisioner of warm kernels."""
    return bool(entry_points(group=GROUP, name=PROVISIONER))


def obstacle(environment: Mapping[str, str]) -> str | None:
    """Why there can be no warm kernels on this system, with the cure if there is one, or None."""
    if not hasattr(os, "fork") or sys.platform == "darwin":
        return "this system cannot fork a process that has loaded torch"
    if not registered():
        return "the installed book is older than this one; make setup brings it up to date"
    other = environment.get(DEFAULT, PROVISIONER)
    return None if other == PROVISIONER else f"{DEFAULT} asks for {other}"


def start(environment: Mapping[str, str]) -> tuple[subprocess.Popen, dict[str, str]]:
    """Start a parent; returns at once, while it still imports.

    Args:
        environment: what the kernels' environment will be, but for what differs from one to the
            next (their own names and homes).

    Returns:
        The process, and ``environment`` with the parent named in it. The parent ends when the
        other end of its stdin is closed, which it is when this process ends.

    Raises:
        OSError: it cannot be started.
    """
    folder = Path(tempfile.mkdtemp(prefix="book-kernels-"))
    try:
        with socket.socket(socket.AF_UNIX) as listener, open(folder / LOG, "ab") as log:
            listener.bind(str(folder / SOCKET))
            listener.listen(64)
            process = subprocess.Popen(
                [sys.executable, str(SCRIPT), str(folder), str(listener.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=without(environment),
                cwd=folder,
                pass_fds=[listener.fileno()],
                # Ctrl-C is for the command, which then ends the parent.
                start_new_session=True,
            )
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return process, {**environment, SETTING: str(folder), DEFAULT: PROVISIONER}


def start_if_wanted(
    environment: Mapping[str, str],
) -> tuple[subprocess.Popen | None, dict[str, str]]:
    """As :func:`start`; without a process, and with ``environment`` as it is, where there is none.

    Raises:
        ValueError: ``BOOK_WARM`` means nothing.
    """
    if wanted(environment):
        try:
            if why := obstacle(environment):
                raise Cold(why)
            return start(environment)
        except (Cold, OSError) as reason:
            say(reason)
    return None, dict(environment)


def without(environment: Mapping[str, str]) -> dict[str, str]:
    """``environment`` without what the book puts there to name a parent."""
    if folder_of(environment) is None:
        return dict(environment)
    ours = (SETTING, DEFAULT)
    return {name: value for name, value in environment.items() if name not in ours}


@contextmanager
def kernels(environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The environment in which the kernels of a command are warm, as far as they can be.

    Yields ``environment`` as it is where it says so (``BOOK_WARM=0``), names a parent already, or
    where there can be none; then one line on stderr says why.

    Raises:
        ValueError: ``BOOK_WARM`` means nothing.
    """
    process, ready = start_if_wanted(environment)
    try:
        yield ready
    finally:
        if process is not None:
            stop(process)
            shutil.rmtree(ready[SETTING], ignore_errors=True)


@contextmanager
def own_kernels(environment: Mapping[str, str]) -> Iterator[None]:
    """As :func:`kernels`, for the kernels that this process starts itself, with ``os.environ``."""
    with kernels(environment) as ready:
        before = {name: os.environ.get(name) for name in (SETTING, DEFAULT)}
        os.environ.update({name: ready[name] for name in before if name in ready})
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


def stop(process: subprocess.Popen) -> None:
    """End a parent. Kernels that still run end with the process that asked for them."""
    process.stdin.close()
    try:
        process.wait(1)
    except subprocess.TimeoutExpired:
        # Still importing: it looks at its stdin afterwards.
        process.kill()
        process.wait()


_said: set[str] = set()


def say(why: object) -> None:
    """One line that says why kernels are ordinary ones; each reason once in a process."""
    if str(why) and str(why) not in _said:
        _said.add(str(why))
        print(f"book: an ordinary kernel, not a warm one: {why}", file=sys.stderr, flush=True)
