"""``make bench``: what the suite, the chapters and the start cost on this machine, from one run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SERVE = (
    "import sys; from pathlib import Path; from helpers.book import lab;"
    "sys.exit(lab.main(['--no-browser', *sys.argv[3:]],"
    " notebooks=Path(sys.argv[1]), workbook=Path(sys.argv[2])))"
)


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
    notebooks: Path, workbook: Path, home: Path, *options: str, **environment: str
) -> Iterator[Server]:
    """JupyterLab as ``make lab`` starts it, on a free port, with nothing of the reader's own.

    Args:
        notebooks: the chapters.
        workbook: the copy to make or update.
        home: an empty folder in the place of the reader's home, settings and progress.
        options: more options of ``make lab``.
        environment: more variables for it.

    Raises:
        RuntimeError: it does not come up; the message ends with the end of its log.
    """
    runtime, log = home / "runtime", home / "lab.log"
    environ = {
        **os.environ,
        "HOME": str(home),
        "BOOK_HOME": str(home / "book"),
        "JUPYTER_RUNTIME_DIR": str(runtime),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        **environment,
    }
    command = [sys.executable, "-c", _SERVE, str(notebooks), str(workbook), *options]
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
