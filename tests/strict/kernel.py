"""A kernel that says when it dies, keeps to a time limit, and leaves no process behind."""

from __future__ import annotations

import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from jupyter_client.manager import KernelManager
from nbval.kernel import RunningKernel

from helpers.book.kernel import kernel_environment, session_of
from helpers.book.provisioner import OwnPython, QuickClient

# How long no message may come before we look whether the kernel is still alive.
_LOOK = 0.5
_ATTEMPTS = 3
_TAKEN = "Address already in use"


class KernelDied(Exception):
    """The kernel's process ended while it ran a cell."""


class OutOfTime(Exception):
    """A cell took longer than it may."""


class StrictKernel(RunningKernel):
    """nbval's kernel in the book's environment: this Python, an empty home, one torch thread.

    Args:
        folder: the working folder of the kernel.
        startup_timeout: seconds.

    Raises:
        RuntimeError: the kernel does not answer in time; the message ends with its last words.
    """

    def __init__(self, folder: Path, startup_timeout: float = 60) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="book-home-", ignore_cleanup_errors=True)
        home = Path(self._home.name)
        environment = {
            # Under pytest, ipykernel would not catch what compiled code writes to stderr.
            name: value
            for name, value in kernel_environment(str(home / "book")).items()
            if not name.startswith("PYTEST_")
        }
        for attempt in range(_ATTEMPTS):
            words = self._start(home / "stderr", folder, environment, startup_timeout)
            if not words:
                break
            # Free ports are looked for before the kernel takes them; another may be faster.
            if _TAKEN not in words or attempt + 1 == _ATTEMPTS:
                self._home.cleanup()
                raise RuntimeError(words)
        self.pid: int = self.km.provisioner.pid
        # Why it is an ordinary kernel where a warm one was asked for; None when it is what it is.
        self.why: str | None = self.km.provisioner.why or None

    def _start(self, log: Path, folder: Path, environment: dict[str, str], timeout: float) -> str:
        """Start the kernel and wait until it answers; why it does not, or nothing."""
        with log.open("w+", encoding="utf-8", errors="replace") as stderr:
            self.km = KernelManager(kernel_spec_manager=OwnPython(), client_factory=QuickClient)
            try:
                self.km.start_kernel(
                    stderr=stderr,
                    cwd=str(folder),
                    env=environment,
                    # As the builder's kernels: no file to be written to after each cell.
                    extra_arguments=["--HistoryManager.hist_file=:memory:"],
                )
                self.kc = self.km.client()
                self.kc.start_channels()
                self.kc.wait_for_ready(timeout=timeout)
            except RuntimeError as error:
                self.kc.stop_channels()
                self.km.shutdown_kernel(now=True)
                stderr.seek(0)
                last = stderr.read().strip().splitlines()[-1:]
                return "\n".join([str(error), *last])
        return ""

    def run(self, source: str, limit: float) -> list[dict[str, Any]]:
        """Run one cell as JupyterLab does and collect its outputs, errors among them.

        Args:
            source: the cell's code.
            limit: seconds.

        Raises:
            KernelDied: the kernel's process ended; the message says how.
            OutOfTime: the limit has passed. The kernel still runs: stop it.
        """
        end = time.monotonic() + limit
        asked = self.kc.execute(source, store_history=True, allow_stdin=False, stop_on_error=False)
        outputs: list[dict[str, Any]] = []
        while True:
            message = self._message(min(_LOOK, max(0.01, end - time.monotonic())))
            if message is None and not self.is_alive():
                raise KernelDied(self._how_it_ended())
            if time.monotonic() > end:
                raise OutOfTime(f"more than {limit:g} s")
            if message is None:
                continue
            kind, content = message["msg_type"], message["content"]
            late = message["parent_header"].get("msg_id") != asked
            if kind == "status":
                if not late and content["execution_state"] == "idle":
                    return outputs
            elif kind == "execute_input" or kind.startswith("comm"):
                continue
            elif late and message["parent_header"].get("msg_type") == "execute_request":
                # A thread or a process of an earlier cell: at another time it lands elsewhere.
                outputs.append({"output_type": "late output", "text": str(content)})
            elif not late:
                outputs.append({"output_type": kind, **content})

    def _message(self, seconds: float) -> dict[str, Any] | None:
        """What the kernel publishes next; None when nothing comes in that time.

        Read from the socket itself: the client would start a loop of asyncio for each message.
        """
        socket = self.kc.iopub_channel.socket
        if not socket.poll(seconds * 1000):
            return None
        return self.kc.session.recv(socket)[1]

    def processes(self) -> list[psutil.Process]:
        """What the kernel started and still runs, the kernel itself left out."""
        try:
            found = psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            found = []
        known = {process.pid for process in found}
        for process in psutil.process_iter():
            # Children of a dead kernel are known only by the session that it led.
            if (
                process.pid not in known
                and process.pid != self.pid
                and session_of(process.pid) == self.pid
            ):
                found.append(process)
        return found

    def stop(self) -> None:
        """End the kernel and everything it started, now."""
        left = self.processes()
        self.kc.stop_channels()
        self.km.shutdown_kernel(now=True)
        for process in left:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        self._home.cleanup()

    def _how_it_ended(self) -> str:
        process = self.km.provisioner.process
        status = process.poll() if process else None
        if status is not None and status < 0:
            return f"killed by {signal.Signals(-status).name}"
        return "its process ended" + ("" if status is None else f" with status {status}")
