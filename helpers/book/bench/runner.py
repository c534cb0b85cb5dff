"""Run notebooks with nbclient or papermill, several processes side by side.

Called as a script, ``runner.py TOOL PROCESSES FOLDER NAME...``: both tools run one notebook at a
time, so what they take on several cores needs this much around them. The tool is imported before
the processes are forked, which is more than their users have. Prints the notebooks that failed,
with the error of each, as JSON.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path


def with_nbclient(folder: Path, name: str) -> None:
    """Execute one notebook with nbclient, as ``jupyter execute`` does."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(folder / name, as_version=4)
    NotebookClient(notebook, resources={"metadata": {"path": str(folder)}}).execute()
    nbformat.write(notebook, folder / f"done-{name}")


def with_papermill(folder: Path, name: str) -> None:
    """Execute one notebook with papermill."""
    import papermill

    papermill.execute_notebook(
        folder / name, folder / f"done-{name}", cwd=folder, progress_bar=False
    )


RUNNERS = {"nbclient": with_nbclient, "papermill": with_papermill}


def attempt(tool: str, folder: Path, name: str) -> str | None:
    """Execute one notebook; the error's first line, or None."""
    try:
        RUNNERS[tool](folder, name)
    except Exception as error:
        # Both put the whole traceback of the cell into the message; its end says what is wrong.
        said = str(error).strip().splitlines() or [type(error).__name__]
        return said[-1]
    return None


def main(tool: str, processes: str, folder: str, *names: str) -> None:
    """Execute all and print what failed."""
    __import__(tool)
    with ProcessPoolExecutor(int(processes)) as pool:
        waiting = [pool.submit(attempt, tool, Path(folder), name) for name in names]
        errors = dict(zip(names, [one.result() for one in waiting], strict=True))
    print(json.dumps({name: error for name, error in errors.items() if error}))


if __name__ == "__main__":
    main(*sys.argv[1:])
