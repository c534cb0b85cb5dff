"""The cells' own compute: every chapter's code in one process, and nothing else.

All that the chapters import is imported before the clock starts, also what they import late or by
way of something else (matplotlib with the first figure, torch._dynamo with the first optimizer):
the first chapter that needs it would otherwise pay for all.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from helpers.book.workbook import ROOT, read


@dataclass(frozen=True)
class Alone:
    """One run of the code alone.

    Attributes:
        seconds: what each chapter took, by its file's name; those that failed are left out.
        failed: the error of each chapter that failed, by its file's name.
        modules: all that was imported in the end.
    """

    seconds: dict[str, float]
    failed: dict[str, str]
    modules: list[str]


def code_cells(path: Path) -> list[str]:
    """The code cells of a notebook, in order."""
    return ["".join(c["source"]) for c in read(path)["cells"] if c["cell_type"] == "code"]


def plain_apart(
    paths: Sequence[Path], environment: dict[str, str], modules: Sequence[str] = ()
) -> Alone:
    """``plain`` in a process of its own.

    Raises:
        RuntimeError: the process ended without an answer.
    """
    code = (
        "import json, sys; from helpers.book.bench.alone import plain;plain(**json.load(sys.stdin))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps({"paths": [*map(str, paths)], "modules": [*modules]}),
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"the plain run ended with {done.returncode}: {done.stderr[-300:]}")
    return Alone(**json.loads(done.stdout.splitlines()[-1]))


def plain(paths: Sequence[str], modules: Sequence[str] = ()) -> None:
    """Run the code cells of ``paths`` in this process; print an ``Alone`` as JSON.

    Args:
        paths: notebooks.
        modules: what to import before the clock starts; what cannot be imported is passed over,
            as a module that a chapter writes itself.
    """
    import torch
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output
    from traitlets.config import Config

    for module in modules:
        with suppress(Exception):
            import_module(module)
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell.instance(config=config)
    seconds: dict[str, float] = {}
    failed: dict[str, str] = {}
    for path in map(Path, paths):
        cells = code_cells(path)
        shell.reset(new_session=True)
        # Spawned processes ask the main module for it, as they would in a script.
        shell.user_ns["__spec__"] = None
        begun = time.perf_counter()
        with capture_output():
            results = (shell.run_cell(cell) for cell in cells)
            wrong = next((result for result in results if not result.success), None)
        took = time.perf_counter() - begun
        if wrong is None:
            seconds[path.name] = took
        else:
            error = wrong.error_before_exec or wrong.error_in_exec
            said = (str(error).splitlines() or [""])[0]
            failed[path.name] = f"{type(error).__name__}: {said}"
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)
        torch.set_grad_enabled(True)
    print(json.dumps({"seconds": seconds, "failed": failed, "modules": list(sys.modules)}))
