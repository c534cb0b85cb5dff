"""A running JupyterLab and its kernels, spoken to as a browser does it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from helpers.book.bench.alone import code_cells

SERVE = (
    "import sys; from pathlib import Path; from helpers.book import lab;"
    "sys.exit(lab.main(['--no-browser', *sys.argv[3:]],"
    " notebooks=Path(sys.argv[1]), workbook=Path(sys.argv[2])))"
)
OUTPUTS = ("stream", "display_data", "execute_result", "error")


@dataclass(frozen=True)
class Server:
    """A running JupyterLab: its process id, address (with a slash at its end), token and log."""

    pid: int
    url: str
    token: str
    log: Path

    def ask(self, path: str, method: str = "GET", body: dict | None = None) -> Any:
        """What the server answers, as JSON (None for an empty answer).

        Raises:
            OSError: it does not answer, or refuses.
        """
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {self.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.loads(response.read() or b"null")


@contextmanager
def serving(
    notebooks: Path, workbook: Path, home: Path, *options: str, **environment: str | None
) -> Iterator[Server]:
    """JupyterLab as ``make lab`` starts it, on a free port, with nothing of the reader's own.

    Args:
        notebooks: the chapters.
        workbook: the copy to make or update.
        home: an empty folder in the place of the reader's home, settings and progress.
        options: more options of ``make lab``.
        environment: more variables for it; None takes one away.

    Raises:
        RuntimeError: it does not come up; the message ends with the end of its log.
    """
    runtime, log = home / "runtime", home / "lab.log"
    changed = {
        **os.environ,
        "HOME": str(home),
        "BOOK_HOME": str(home / "book"),
        "JUPYTER_RUNTIME_DIR": str(runtime),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        **environment,
    }
    environ = {name: value for name, value in changed.items() if value is not None}
    command = [sys.executable, "-c", SERVE, str(notebooks), str(workbook), *options]
    with log.open("wb") as output:
        lab = subprocess.Popen(command, env=environ, stdout=output, stderr=output)
    try:
        info = runtime / f"jpserver-{lab.pid}.json"
        yield _wait_for(lab, info, log)
    finally:
        lab.send_signal(signal.SIGINT)
        try:
            lab.wait(15)
        except subprocess.TimeoutExpired:
            lab.kill()
            lab.wait()


def _wait_for(lab: subprocess.Popen, info: Path, log: Path) -> Server:
    end = time.monotonic() + 60
    while lab.poll() is None and time.monotonic() < end:
        try:
            known = json.loads(info.read_text(encoding="utf-8"))
            server = Server(lab.pid, known["url"], known["token"], log)
            # The file is written a moment before the server answers.
            server.ask("api/status")
            return server
        except (FileNotFoundError, ValueError, OSError):
            time.sleep(0.05)
    tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
    raise RuntimeError(f"JupyterLab did not come up:\n{tail}")


class Kernel:
    """A kernel of a running server, spoken to as a browser does it.

    Args:
        server: what starts it.
        chapter: the notebook it is opened for, a path below the server's folder; without one
            it is a kernel of its own.
    """

    def __init__(self, server: Server, chapter: str | None = None) -> None:
        import websocket

        self._server = server
        if chapter is None:
            self._id = server.ask("api/kernels", "POST", {"name": "python3"})["id"]
            self._end = f"api/kernels/{self._id}"
        else:
            asked = {"path": chapter, "name": chapter, "type": "notebook"}
            made = server.ask("api/sessions", "POST", {**asked, "kernel": {"name": "python3"}})
            self._id = made["kernel"]["id"]
            self._end = f"api/sessions/{made['id']}"
        self._session = uuid.uuid4().hex
        address = server.url.replace("http", "ws", 1)
        try:
            self._socket = websocket.create_connection(
                f"{address}api/kernels/{self._id}/channels?session_id={self._session}",
                header=[f"Authorization: token {server.token}"],
                timeout=300,
            )
            self._talk("kernel_info_request", {})
        except BaseException:
            server.ask(self._end, "DELETE")
            raise

    @cached_property
    def process(self) -> Any:
        """The kernel's process, from psutil.

        It is asked for its own number, by a request that runs no code: one that was forked is no
        child of the server and has its parent's command line.
        """
        import psutil

        return psutil.Process(self._talk("usage_request", {}, "control")["content"]["pid"])

    @property
    def forked(self) -> bool:
        """Whether it came from a parent that serves others too: a warm kernel."""
        return self._id not in " ".join(self.process.cmdline())

    def run(self, code: str) -> float | None:
        """Execute ``code`` and wait until the kernel is idle again.

        Returns:
            When the first output came, on the clock of ``time.perf_counter``; None if none did.

        Raises:
            RuntimeError: it fails; the message is the error's name and value.
        """
        request = {"code": code, "silent": False, "allow_stdin": False, "stop_on_error": True}
        request |= {"store_history": True, "user_expressions": {}}
        return self._talk("execute_request", request)["first_output"]

    def _talk(self, kind: str, content: dict, channel: str = "shell") -> dict[str, Any]:
        """The content of the reply to a request, and when its first output came."""
        id = uuid.uuid4().hex
        header = {"msg_id": id, "msg_type": kind, "session": self._session, "username": "bench"}
        message = {"header": {**header, "version": "5.3"}, "parent_header": {}, "metadata": {}}
        self._socket.send(json.dumps({**message, "content": content, "channel": channel}))
        error, idle = "", False
        heard: dict[str, Any] = {"content": None, "first_output": None}
        while heard["content"] is None or not idle:
            answer = json.loads(self._socket.recv())
            if answer["parent_header"].get("msg_id") != id:
                continue
            said = answer["content"]
            if answer["msg_type"] in OUTPUTS and heard["first_output"] is None:
                heard["first_output"] = time.perf_counter()
            if answer["msg_type"] == "error":
                error = f"{said['ename']}: {said['evalue']}"
            if answer["channel"] == channel:
                heard["content"] = said
            idle |= said.get("execution_state") == "idle"
        if error:
            raise RuntimeError(error)
        return heard

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._server.ask(self._end, "DELETE")


def in_kernel(server: Server, path: Path) -> tuple[float, int]:
    """Run a chapter from a new kernel: the seconds it takes, and its peak memory in bytes.

    Raises:
        RuntimeError: a cell fails; the message names the cell.
    """
    begun = time.perf_counter()
    with Kernel(server) as kernel, Peak(kernel.process) as peak:
        for number, cell in enumerate(code_cells(path), 1):
            try:
                kernel.run(cell)
            except RuntimeError as error:
                raise RuntimeError(f"code cell {number}: {error}") from None
        return time.perf_counter() - begun, peak.now()


def first_output(server: Server, path: Path) -> float:
    """Seconds from opening a chapter until its first output arrives, the server being up.

    That is: a session for the chapter and its new kernel, the connection, and its cells from the
    top, the setup cell first, up to the one that shows something.

    Raises:
        RuntimeError: a cell fails, or none has an output.
    """
    begun = time.perf_counter()
    with Kernel(server, path.name) as kernel:
        for cell in code_cells(path):
            came = kernel.run(cell)
            if came is not None:
                return came - begun
    raise RuntimeError("no cell has an output")


class Peak:
    """The most memory that a process and its children held at once, in bytes.

    Pages that they share count once, where the system tells (Linux): a worker forked from a
    kernel would otherwise count all of torch again.
    """

    def __init__(self, process: Any, pause: float = 0.1) -> None:
        self._process, self._pause, self._most = process, pause, 0
        self._stop = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def now(self) -> int:
        """Look once more; returns the most so far."""
        import psutil

        held = 0
        try:
            family = [self._process, *self._process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return self._most
        for one in family:
            try:
                memory = one.memory_full_info()
            except psutil.Error:
                continue
            held += getattr(memory, "pss", memory.rss)
        self._most = max(self._most, held)
        return self._most

    def _watch(self) -> None:
        while not self._stop.wait(self._pause):
            self.now()

    def __enter__(self) -> Peak:
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._watcher.join()
