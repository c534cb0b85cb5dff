"""A small chapter for the suite's own tests: it runs in two seconds and without torch."""

from __future__ import annotations

import hashlib
from pathlib import Path

import nbclient
import nbformat

from helpers.book.chapters import Chapter, read_source
from helpers.book.kernel import kernel_environment
from tests.strict.outputs import normal

SOURCE = """\
# %% [markdown]
# # 900 · Sample

# %% tags=["setup"]
from helpers import expect_error, table

# %%
total = sum(range(12))
total

# %%
for row in ([1, 2], [3, 4]):
    print(row)

# %% tags=["claim:C144"]
assert total == 66
with expect_error(ZeroDivisionError, "division"):
    total / 0

# %%
print("before")
table([{"name": "a", "size": 1}, {"name": "b", "size": 2}])
print("after")

# %% tags=["predict"]
total + 1
"""

DRAWN = """\
# %% tags=["setup"]
from helpers import canvas, show

# %%
figure, axes = canvas(4, 2)
axes.plot([0, 1, 2], [0, 1, 4])
axes.set_xlabel("n")
show(figure, "Squares grow.", "A curve that rises faster and faster to the right.")

# %%
figure, axes = canvas(4, 2)
axes.bar([0, 1, 2], [3, 2, 1])
axes.set_xlabel("n")
show(figure, "Bars shrink.", "Three bars, each shorter than the one before.")
"""


def build(folder: Path, text: str = SOURCE) -> Chapter:
    """Lay a chapter out under ``folder`` as the book is laid out, run it, and return it."""
    source = folder / "notebooks" / "source" / "900_sample.py"
    source.parent.mkdir(parents=True)
    source.write_text(text, encoding="utf-8")
    notebook = read_source(text)
    notebook.metadata["book"] = {"source": hashlib.sha256(text.encode()).hexdigest()}
    environment = {
        name: value
        for name, value in kernel_environment(str(folder / "home")).items()
        if not name.startswith("PYTEST_")
    }
    client = nbclient.NotebookClient(notebook, timeout=60, record_timing=False)
    client.execute(cwd=str(source.parent.parent), env=environment)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [nbformat.from_dict(output) for output in normal(cell.outputs)]
    chapter = Chapter("900", source.stem, source, source.parents[1] / f"{source.stem}.ipynb")
    write(notebook, chapter.notebook)
    return chapter


def write(notebook: nbformat.NotebookNode, path: Path) -> None:
    path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
