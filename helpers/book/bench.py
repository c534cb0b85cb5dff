"""``make bench``: what the suite, the chapters and the start cost on this machine, from one run.

The measure of the suite is the code alone: all chapters as plain scripts, one after the other in
one process that imported torch once. What a chapter takes beyond that is its overhead.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.book.kernel import THREADS, kernel_environment
from helpers.book.workbook import NOTEBOOKS, ROOT, Problem, read

SERVE = (
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


def main(argv: list[str], *, notebooks: Path = NOTEBOOKS) -> int:
    """Measure and print; 1 when something could not be measured."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.split("\n")[0])
    parser.add_argument("--chapters", metavar="NNN,NNN", help="only these (else all)")
    parser.add_argument("--quick", action="store_true", help="leave the whole suite out")
    options = parser.parse_args(argv)
    try:
        paths = _paths(notebooks, options.chapters)
        with tempfile.TemporaryDirectory(prefix="bench ") as folder:
            return 0 if _measure(paths, Path(folder), options.quick) else 1
    except (Problem, RuntimeError, OSError) as error:
        print(f"book: {error}", file=sys.stderr)
        return 1


def _paths(notebooks: Path, wanted: str | None) -> list[Path]:
    built = {path.name[:3]: path for path in sorted(notebooks.glob("[0-9][0-9][0-9]_*.ipynb"))}
    numbers = wanted.split(",") if wanted else list(built)
    missing = [number for number in numbers if number not in built]
    if missing or not built:
        raise Problem(
            f"no built chapter {', '.join(missing)}. There is: {', '.join(built) or 'none'}; "
            "make notebooks builds the others"
        )
    return [built[number] for number in numbers]


def _measure(paths: list[Path], home: Path, quick: bool) -> bool:
    """Measure and print; whether all could be measured."""
    environment = kernel_environment(str(home / "book"))
    print(f"On {os.cpu_count()} cores, {environment['OMP_NUM_THREADS']} thread a process.\n")

    alone, failed = plain_apart(paths, environment)
    verified = {path: timed(_verify(path), environment) for path in paths}
    runs, starts = _opened(paths, home / "lab", environment, failed)

    rows = [("chapter", "code alone", "verified", "overhead", "in a kernel", "peak memory")]
    for path in paths:
        wall, status = verified[path]
        if status:
            failed[f"{path.stem}, verified"] = f"pytest ended with status {status}"
        code, run = alone.get(path.name), runs.get(path)
        rows.append(
            (
                path.stem,
                f"{code:.2f} s" if code is not None else "failed",
                f"{wall:.2f} s" if not status else "failed",
                f"{wall - code:.2f} s" if code is not None and not status else "",
                f"{run[0]:.2f} s" if run else "failed",
                f"{run[1] / 1e9:.2f} GB" if run else "",
            )
        )
    _table(rows)

    total = sum(alone.values())
    print(f"\nall cells, code alone           {total:.2f} s")
    if not quick:
        wall, status = timed([sys.executable, "-m", "helpers.book", "suite"], environment)
        if status:
            failed["the suite"] = f"it ended with status {status}"
        print(f"the whole suite                 {wall:.2f} s")
        if total:
            print(f"suite / code alone              {wall / total:.1f}")
    for name, seconds in import_times(environment, 1 if quick else 5).items():
        print(f"{name:31} {seconds:.3f} s")
    print("\nfrom make lab, nothing to set up:")
    own, _ = timed([sys.executable, "-I", str(ROOT / "helpers/book/bootstrap.py")], environment)
    print(f"  the set-up finds nothing to do  {own:.2f} s")
    for what, seconds in starts:
        print(f"  {what:30}  {own + seconds:.2f} s")
    for name, why in failed.items():
        print(f"book: {name}: {why}", file=sys.stderr)
    return not failed


def _opened(
    paths: list[Path], home: Path, environment: dict[str, str], failed: dict[str, str]
) -> tuple[dict[Path, tuple[float, int]], list[tuple[str, float]]]:
    """Open the book: each chapter's seconds and bytes in a kernel, and when what was reached."""
    home.mkdir()
    runs, starts = {}, []
    threads = {name: environment[name] for name in THREADS}
    begun = time.perf_counter()
    with serving(paths[0].parent, home / "workbook", home, **threads) as server:
        starts.append(("JupyterLab answers", time.perf_counter() - begun))
        with Kernel(server) as kernel:
            starts.append(("a kernel is ready", time.perf_counter() - begun))
            kernel.run(_code(paths[0])[0])
            starts.append(("the first cell is done", time.perf_counter() - begun))
        for path in paths:
            try:
                runs[path] = in_kernel(server, path)
            except RuntimeError as error:
                failed[f"{path.stem}, in a kernel"] = str(error)
    return runs, starts


def _table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        print("  ".join(cells))


def _verify(path: Path) -> list[str]:
    quiet = ["-q", "-p", "no:cacheprovider", "-p", "tests.nbval_strict", "--nbval"]
    return [sys.executable, "-m", "pytest", *quiet, str(path)]


def timed(command: Sequence[str], environment: dict[str, str]) -> tuple[float, int]:
    """How many seconds ``command`` takes in the book's folder, and its exit status."""
    begun = time.perf_counter()
    done = subprocess.run(
        command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return time.perf_counter() - begun, done.returncode


def _code(path: Path) -> list[str]:
    return ["".join(c["source"]) for c in read(path)["cells"] if c["cell_type"] == "code"]


def plain_apart(
    paths: Sequence[Path], environment: dict[str, str]
) -> tuple[dict[str, float], dict[str, str]]:
    """``plain`` in a process of its own: the seconds by file name, and what failed, by file name.

    Raises:
        RuntimeError: the process ended without an answer.
    """
    code = "import sys; from helpers.book.bench import plain; plain(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, paths)],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"the plain run ended with {done.returncode}: {done.stderr[-300:]}")
    answer = json.loads(done.stdout.splitlines()[-1])
    return answer["seconds"], answer["failed"]


def plain(paths: Sequence[str]) -> None:
    """Run the code cells of ``paths`` in this process; print the seconds of each as JSON.

    A chapter that fails has no seconds but the error's first line.
    """
    import torch
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell.instance(config=config)
    answer: dict[str, dict] = {"seconds": {}, "failed": {}}
    for path in map(Path, paths):
        cells = _code(path)
        shell.reset(new_session=True)
        # Spawned processes ask the main module for it, as they would in a script.
        shell.user_ns["__spec__"] = None
        begun = time.perf_counter()
        with capture_output():
            results = (shell.run_cell(cell) for cell in cells)
            error = next((result.error_in_exec for result in results if not result.success), None)
        seconds = time.perf_counter() - begun
        if error is None:
            answer["seconds"][path.name] = seconds
        else:
            said = (str(error).splitlines() or [""])[0]
            answer["failed"][path.name] = f"{type(error).__name__}: {said}"
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)
        torch.set_grad_enabled(True)
    print(json.dumps(answer))


def import_times(environment: dict[str, str], repeats: int) -> dict[str, float]:
    """Seconds that the helpers' imports take once torch is imported; the median of ``repeats``."""
    code = (
        "import time, torch; a = time.perf_counter(); import helpers; b = time.perf_counter();"
        "all_of_it = [getattr(helpers, name) for name in helpers.__all__];"
        "print(b - a, time.perf_counter() - a)"
    )
    pairs = []
    for _ in range(repeats):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        pairs.append([float(word) for word in done.stdout.split()])
    names = ("import helpers, beyond torch", "  and every name it offers")
    return dict(zip(names, map(statistics.median, zip(*pairs, strict=True)), strict=True))


class Kernel:
    """A kernel of a running server, spoken to as a browser does it."""

    def __init__(self, server: Server) -> None:
        import psutil
        import websocket

        self._server = server
        self._id = server.ask("api/kernels", "POST", {"name": "python3"})["id"]
        self.process = next(
            psutil.Process(one.pid)
            for one in psutil.process_iter(["cmdline", "ppid"])
            if one.info["ppid"] == server.pid and self._id in " ".join(one.info["cmdline"] or [])
        )
        self._session = uuid.uuid4().hex
        address = server.url.replace("http", "ws", 1)
        self._socket = websocket.create_connection(
            f"{address}api/kernels/{self._id}/channels?session_id={self._session}",
            header=[f"Authorization: token {server.token}"],
            timeout=300,
        )
        self._talk("kernel_info_request", {})

    def run(self, code: str) -> None:
        """Execute ``code`` and wait until the kernel is idle again.

        Raises:
            RuntimeError: it fails; the message is the error's name and value.
        """
        request = {"code": code, "silent": False, "allow_stdin": False, "stop_on_error": True}
        self._talk("execute_request", {**request, "store_history": True, "user_expressions": {}})

    def _talk(self, kind: str, content: dict) -> None:
        id = uuid.uuid4().hex
        header = {"msg_id": id, "msg_type": kind, "session": self._session, "username": "bench"}
        message = {"header": {**header, "version": "5.3"}, "parent_header": {}, "metadata": {}}
        self._socket.send(json.dumps({**message, "content": content, "channel": "shell"}))
        error, replied, idle = "", False, False
        while not (replied and idle):
            answer = json.loads(self._socket.recv())
            if answer["parent_header"].get("msg_id") != id:
                continue
            said = answer["content"]
            if answer["msg_type"] == "error":
                error = f"{said['ename']}: {said['evalue']}"
            replied |= answer["channel"] == "shell"
            idle |= said.get("execution_state") == "idle"
        if error:
            raise RuntimeError(error)

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._server.ask(f"api/kernels/{self._id}", "DELETE")


def in_kernel(server: Server, path: Path) -> tuple[float, int]:
    """Run a chapter from a cold kernel: the seconds it takes, and its peak memory in bytes.

    Raises:
        RuntimeError: a cell fails; the message names the cell.
    """
    begun = time.perf_counter()
    with Kernel(server) as kernel, Peak(kernel.process) as peak:
        for number, cell in enumerate(_code(path), 1):
            try:
                kernel.run(cell)
            except RuntimeError as error:
                raise RuntimeError(f"code cell {number}: {error}") from None
        return time.perf_counter() - begun, peak.now()


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
