"""Build: run every chapter whose source changed and write its notebook, outputs included.

A chapter is run when its source is not the one its notebook was built from, or when what it leans
on (``helpers/``, ``data/``, the pins) is not what it was at its last build in this checkout. Of
``helpers/exercises`` a chapter leans on its own module and on what all share; ``helpers/book`` is
the machinery itself and does not count. A fresh clone trusts the notebooks that are committed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil
from filelock import FileLock, Timeout
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode

from helpers.book import percent, readme, warm
from helpers.book.chapters import ROOT, Chapter, chapters, read_source
from helpers.book.files import write_atomically
from helpers.book.inputs import leaned_on
from helpers.book.kernel import kernel_environment, session_of
from helpers.book.provisioner import AsyncQuickClient, OwnPython

LIMIT = 120
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_FRAME = re.compile(r"Cell In\[(\d+)\], line (\d+)")
# A view of a widget is a random number that means nothing without the kernel that drew it.
_LIVE_ONLY = "application/vnd.jupyter.widget-view+json"

# What reading a file that is no notebook raises, from broken JSON to cells that are none.
_UNREADABLE = (ValueError, nbformat.ValidationError, AttributeError, KeyError, TypeError)


class BuildError(Exception):
    """A chapter that could not be built, in words for its author."""


@dataclass(frozen=True)
class Book:
    """The folders of one checkout of the book."""

    root: Path = ROOT

    @property
    def notebooks(self) -> Path:
        return self.root / "notebooks"

    @property
    def cache(self) -> Path:
        return self.root / ".cache"

    def chapters(self, numbers: list[str]) -> list[Chapter]:
        """The chapters called ``numbers``, or all of them.

        Raises:
            LookupError: one of them does not exist.
            ValueError: a source is misnamed.
        """
        known = chapters(sources=self.notebooks / "source", notebooks=self.notebooks)
        named = {name: chapter for chapter in known for name in (chapter.number, chapter.name)}
        missing = [number for number in numbers if number not in named]
        if missing:
            there = ", ".join(chapter.number for chapter in known) or "none yet"
            raise LookupError(f"no chapter {', '.join(missing)}. There is: {there}")
        return [c for c in known if not numbers or {c.number, c.name} & {*numbers}]

    def shown(self, path: Path) -> str:
        """A path as an author would type it from the book's folder."""
        return str(path.relative_to(self.root) if path.is_relative_to(self.root) else path)


def main(argv: list[str], book: Book | None = None) -> int:
    """Build the chapters named in ``argv``, or all; returns 1 if one of them failed."""
    parser = argparse.ArgumentParser(prog="make notebooks", description=__doc__.split("\n")[0])
    parser.add_argument("numbers", nargs="*", metavar="NNN", help="only these chapters")
    parser.add_argument(
        "--force", action="store_true", help="run them even if nothing changed; drop edits"
    )
    parser.add_argument(
        "--limit", type=_seconds, default=LIMIT, help=f"seconds a chapter may take ({LIMIT})"
    )
    asked = parser.parse_args(argv)
    book = book or Book()
    try:
        wanted = book.chapters([number for word in asked.numbers for number in word.split(",")])
        with one_at_a_time(book):
            failed = _build_all(book, wanted, asked.force, asked.limit, orphans=not asked.numbers)
            if book == Book():
                readme.refresh()
            return failed
    except (LookupError, ValueError, OSError) as error:
        print(f"book: {words(error)}", file=sys.stderr)
        return 1


def build(book: Book, chapter: Chapter, text: str, limit: float) -> NotebookNode:
    """Run a chapter in a fresh kernel and write its notebook.

    Args:
        text: the content of the chapter's source.
        limit: seconds after which the kernel and all it started are killed.

    Raises:
        BuildError: the source is wrong, a cell fails, writes to stderr or takes too long, or the
            kernel dies; the notebook is left as it was.
    """
    try:
        percent.check(text)
    except percent.SourceError as error:
        raise BuildError(f"{book.shown(chapter.source)} {error}") from None
    notebook = read_source(text)
    notebook.metadata["book"] = {"source": percent.digest(text)}
    _execute(book, chapter, notebook, percent.first_lines(text), limit)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = _normal(cell.outputs)
    nbformat.validate(notebook)
    write_atomically(chapter.notebook, nbformat.writes(notebook, indent=1) + "\n")
    return notebook


def read_notebook(path: Path) -> NotebookNode | None:
    """A notebook, or None where there is none or none that can be read."""
    try:
        notebook = nbformat.read(path, as_version=4)
        percent.cells(notebook)
    except (OSError, *_UNREADABLE):
        return None
    return notebook


def untouched(book: Book, chapter: Chapter, notebook: NotebookNode) -> bool:
    """Whether a notebook's cells are those of the chapter's last build."""
    return _as_built(chapter, notebook, _Records(book.cache / "build.json").of(chapter))


def committed(path: Path) -> str | None:
    """A file's text in git's last commit, or None where git holds none."""
    command = ["git", "show", f"HEAD:./{path.name}"]
    try:
        shown = subprocess.run(command, cwd=path.parent, capture_output=True)
        return shown.stdout.decode() if shown.returncode == 0 else None
    except (OSError, ValueError):
        return None


@contextmanager
def one_at_a_time(book: Book) -> Iterator[None]:
    """Hold the lock on the sources and notebooks; wait, and say so, while another has it."""
    book.cache.mkdir(exist_ok=True)
    lock = FileLock(book.cache / "build.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print("waiting for another build or adopt in this folder to end", flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _build_all(book: Book, wanted: list[Chapter], force: bool, limit: float, orphans: bool) -> int:
    if orphans:
        _report_orphans(book)
    records = _Records(book.cache / "build.json")
    counts = dict.fromkeys(("built", "up to date", "failed"), 0)
    with ExitStack() as stack:
        # For a single chapter, a parent that imports what all of them do would cost more.
        if len(wanted) > 1 and (force or _several_stale(book, wanted, records)):
            stack.enter_context(warm.own_kernels(kernel_environment(tempfile.gettempdir())))
        for chapter in wanted:
            began = time.monotonic()
            try:
                # Seen before the run: what changes while it runs is built the next time.
                text = chapter.source.read_text(encoding="utf-8")
                inputs = leaned_on(book.root, chapter.number)
                notebook = read_notebook(chapter.notebook)
                record = records.of(chapter)
                if force or _stale(chapter, text, inputs, notebook, record):
                    notebook = build(book, chapter, text, limit)
                    counts["built"] += 1
                    ran = sum(cell.cell_type == "code" for cell in notebook.cells)
                    _line(f"{chapter.name}: {ran} cells, {time.monotonic() - began:.1f} s")
                else:
                    counts["up to date"] += 1
                records.keep(chapter, inputs=inputs, cells=_cells_digest(notebook))
            except (BuildError, OSError, ValueError) as error:
                counts["failed"] += 1
                _line()
                what = f"book: {chapter.number} not built: {words(error)}"
                print(what, file=sys.stderr, flush=True)
    print(", ".join(f"{count} {what}" for what, count in counts.items() if count) or "no chapters")
    return 1 if counts["failed"] else 0


def _several_stale(book: Book, wanted: list[Chapter], records: _Records) -> bool:
    """Whether more than one chapter will be run."""
    count = 0
    for chapter in wanted:
        try:
            text = chapter.source.read_text(encoding="utf-8")
            notebook = read_notebook(chapter.notebook)
            inputs = leaned_on(book.root, chapter.number)
            count += _stale(chapter, text, inputs, notebook, records.of(chapter))
            if count > 1:
                return True
        except (BuildError, OSError, ValueError):
            # Told when its turn comes.
            continue
    return False


def _stale(
    chapter: Chapter, text: str, inputs: str, notebook: NotebookNode | None, record: dict
) -> bool:
    """Whether a chapter must be run.

    Raises:
        BuildError: its notebook holds an edit that running it would lose.
    """
    if notebook is None:
        return True
    same_source = notebook.metadata.get("book", {}).get("source") == percent.digest(text)
    drifted = percent.cells(notebook) != percent.cells(read_source(text))
    if drifted and not _as_built(chapter, notebook, record, by_git=not same_source):
        raise BuildError(
            f"its notebook was edited in Jupyter. Keep the edit: make adopt NB={chapter.number}; "
            f"or drop it: make notebooks NB={chapter.number} FORCE=1"
        )
    unrun = any(
        cell.cell_type == "code" and cell.source.strip() and not cell.execution_count
        for cell in notebook.cells
    )
    return not same_source or drifted or unrun or record.get("inputs", inputs) != inputs


def _as_built(chapter: Chapter, notebook: NotebookNode, record: dict, by_git: bool = True) -> bool:
    """Whether nobody edited a notebook's cells since they were built, here or in what git holds."""
    if record.get("cells") == _cells_digest(notebook):
        return True
    try:
        kept = nbformat.reads((by_git and committed(chapter.notebook)) or "", as_version=4)
        return percent.cells(kept) == percent.cells(notebook)
    except _UNREADABLE:
        return False


def _cells_digest(notebook: NotebookNode) -> str:
    return percent.digest(repr(percent.cells(notebook)))


class _Records:
    """What is remembered of each chapter's last build in this checkout (never committed)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            known = {}
        self._known = known if isinstance(known, dict) else {}

    def of(self, chapter: Chapter) -> dict:
        record = self._known.get(chapter.number)
        return record if isinstance(record, dict) else {}

    def keep(self, chapter: Chapter, **record: str) -> None:
        if self._known.get(chapter.number) != record:
            self._known[chapter.number] = record
            write_atomically(self._path, json.dumps(self._known, indent=1, sort_keys=True) + "\n")


def _report_orphans(book: Book) -> None:
    named = {chapter.notebook for chapter in book.chapters([])}
    for path in sorted({*book.notebooks.glob("*.ipynb")} - named):
        print(
            f"book: {book.shown(path)} has no source in notebooks/source. "
            "Remove it, or put its source back",
            file=sys.stderr,
        )


def _execute(
    book: Book, chapter: Chapter, notebook: NotebookNode, starts: list[int], limit: float
) -> None:
    """Run the cells of ``notebook`` in place; ``starts`` are their first lines in the source."""
    with tempfile.TemporaryDirectory(prefix="book-", ignore_cleanup_errors=True) as scratch:
        run = _Run(book, chapter, notebook, starts, Path(scratch))
        try:
            asyncio.run(run.cells(limit))
        finally:
            run.end_all_processes()


class _Run:
    """One chapter, running."""

    def __init__(
        self, book: Book, chapter: Chapter, notebook: NotebookNode, starts: list[int], scratch: Path
    ) -> None:
        self._book, self._chapter, self._notebook = book, chapter, notebook
        self._starts, self._scratch = starts, scratch
        self._home = scratch / "home"
        self._home.mkdir()
        self._kernel: int | None = None
        self._index: int | None = None

    async def cells(self, limit: float) -> None:
        kernel = AsyncKernelManager(
            kernel_name="python3",
            kernel_spec_manager=OwnPython(),
            client_factory=AsyncQuickClient,
            connection_file=str(self._scratch / "kernel.json"),
        )
        client = NotebookClient(
            self._notebook,
            km=kernel,
            record_timing=False,
            store_widget_state=False,
            force_raise_errors=True,
            skip_cells_with_tag="",
        )
        politely = False
        try:
            async with asyncio.timeout(limit):
                await self._start(client)
                count = sum(cell.cell_type == "code" for cell in self._notebook.cells)
                for index, cell in enumerate(self._notebook.cells):
                    self._index = index
                    if cell.cell_type == "code":
                        _line(f"{self._chapter.name}: {self._here()} of {count} ...", passing=True)
                        await self._cell(client, cell)
            politely = True
        except TimeoutError:
            where = f" in {self._at()}" if self._index is not None else " at its kernel's start"
            raise BuildError(
                f"it took more than {limit:g} s and was stopped{where}. "
                "Make it quicker, or give it longer: make notebooks ARGS='--limit SECONDS'"
            ) from None
        finally:
            if not politely:
                self.end_all_processes()
            if kernel.has_kernel:
                await kernel.shutdown_kernel(now=not politely)
            if client.kc is not None:
                client.kc.stop_channels()

    async def _start(self, client: NotebookClient) -> None:
        # A profile of the user's own must not reach into a build.
        log = self._scratch / "kernel.log"
        try:
            with open(log, "wb") as said:
                await client.async_start_new_kernel(
                    cwd=str(self._book.notebooks),
                    env=kernel_environment(str(self._home)),
                    stdout=said,
                    stderr=said,
                )
            self._kernel = client.km.provisioner.pid
            await client.async_start_new_kernel_client()
        except (RuntimeError, OSError) as error:
            lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
            raise BuildError(
                f"its kernel did not start: {lines[-1] if lines else words(error)}. "
                "Find out why: make doctor"
            ) from None

    async def _cell(self, client: NotebookClient, cell: NotebookNode) -> None:
        count = client.code_cells_executed + 1
        # A task of its own, since nbclient takes being cancelled for the death of the kernel.
        task = asyncio.ensure_future(
            client.async_execute_cell(cell, self._index, execution_count=count)
        )
        try:
            await asyncio.wait({task})
            await task
        except CellExecutionError as error:
            raise BuildError(self._failure(cell, error)) from None
        except DeadKernelError:
            raise BuildError(f"the kernel died in {self._at()}") from None
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        said = "".join(o.text for o in cell.outputs if o.get("name") == "stderr")
        if said:
            raise BuildError(
                f"{self._at()} wrote to stderr. Show a warning on purpose with expect_warning:"
                + _indented(_tail(said))
            )

    def _here(self) -> str:
        return percent.place(self._notebook, self._index)

    def _at(self, line: int = 1) -> str:
        source = self._book.shown(self._chapter.source)
        return f"{self._here()}, {source} line {self._starts[self._index] + line - 1}"

    def _failure(self, cell: NotebookNode, error: CellExecutionError) -> str:
        """What a failed cell's author needs: where, which lines led there, and the error."""
        numbered = {
            other.execution_count: index
            for index, other in enumerate(self._notebook.cells)
            if other.cell_type == "code" and other.execution_count
        }
        failing = [out for out in cell.outputs if out.output_type == "error"]
        trace = _ANSI.sub("", "\n".join(failing[-1].traceback)) if failing else ""
        frames = [(numbered.get(int(n)), int(line)) for n, line in _FRAME.findall(trace)]
        own = [line for index, line in frames if index == self._index]
        through = []
        for index, line in frames:
            if index is not None:
                text = self._notebook.cells[index].source.splitlines()[line - 1].strip()
                through.append(f"line {self._starts[index] + line - 1}: {text}")
        what = f"{error.ename}: {error.evalue}" if error.evalue else error.ename
        return f"{self._at(own[0] if own else 1)}" + _indented(
            [*through, *_tail(_ANSI.sub("", what))]
        )

    def end_all_processes(self) -> None:
        """Kill the kernel and all that it started, also what left its process group.

        They are known by the BOOK_HOME they were started with, a folder that no other process has,
        or, since a forked process shows its parent's environment, by the kernel's session.
        """
        for _ in range(10):
            mine = [p for p in psutil.process_iter(["environ"]) if self._is_mine(p)]
            if not mine:
                return
            for process in mine:
                try:
                    process.kill()
                except psutil.NoSuchProcess:
                    continue
            psutil.wait_procs(mine, timeout=5)

    def _is_mine(self, process: psutil.Process) -> bool:
        if (process.info["environ"] or {}).get("BOOK_HOME") == str(self._home):
            return True
        return self._kernel is not None and session_of(process.pid) == self._kernel


def _normal(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Outputs as they are in every build: what a kernel happened to send in pieces is joined."""
    normal: list[NotebookNode] = []
    for output in outputs:
        before = normal[-1] if normal else {}
        if output.output_type == "stream" and before.get("name") == output.name:
            before.text += output.text
            continue
        if "data" in output:
            output.data.pop(_LIVE_ONLY, None)
            if not output.data:
                continue
        normal.append(output)
    return normal


def _line(text: str = "", passing: bool = False) -> None:
    """Print a line of progress; a passing one only on a terminal, where the next replaces it."""
    if sys.stdout.isatty():
        print(f"\r\x1b[K{text}", end="" if passing or not text else "\n", flush=True)
    elif text and not passing:
        print(text, flush=True)


def _tail(text: str, lines: int = 6) -> list[str]:
    return text.strip().splitlines()[-lines:]


def _indented(lines: list[str]) -> str:
    return "".join(f"\n    {line}" for line in lines)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError
    return value


def words(error: BaseException) -> str:
    """An error in one clause, without the quotes that ``str`` puts around a LookupError."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'a file'}: {error.strerror}"
    return str(error.args[0]) if isinstance(error, LookupError) and error.args else str(error)
