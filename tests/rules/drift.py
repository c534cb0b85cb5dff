"""Whether the notebooks are what the builder makes of the sources, and nothing else."""

from __future__ import annotations

import hashlib
from pathlib import Path

import nbformat

from helpers.book.chapters import METADATA, Chapter, read_source


def in_step(chapter: Chapter) -> list[str]:
    """The notebook holds the cells of its source, in order, with their tags and ids."""
    if not chapter.notebook.exists():
        return [f"{chapter.name}: was never built; run make notebooks NB={chapter.number}"]
    text = chapter.source.read_text(encoding="utf-8")
    stored = chapter.notebook.read_text(encoding="utf-8")
    try:
        notebook = nbformat.reads(stored, as_version=4)
        there = [_cell(cell) for cell in notebook.cells]
    except (ValueError, AttributeError, KeyError) as error:
        return [f"{chapter.name}: its notebook cannot be read: {error}"]
    cure = f"run make notebooks NB={chapter.number}, or make adopt NB={chapter.number}"
    found = []
    wanted = [_cell(cell) for cell in read_source(text).cells]
    for place, (has, needs) in enumerate(zip(there, wanted, strict=False), 1):
        parts = [name for name in needs if has[name] != needs[name]]
        if parts:
            where = f"{chapter.name}, cell {place} of the notebook (id {has['id']})"
            found.append(f"{where}: another {' and '.join(parts)} than in the source; {cure}")
            break
    if not found and len(there) != len(wanted):
        counts = f"{len(there)} cells in the notebook, {len(wanted)} in the source"
        found.append(f"{chapter.name}: {counts}; {cure}")
    digest = hashlib.sha256(text.encode()).hexdigest()
    if notebook.metadata != {**METADATA, "book": {"source": digest}}:
        found.append(f"{chapter.name}: its metadata are not those of a built notebook; {cure}")
    if stored != nbformat.writes(notebook, indent=1) + "\n":
        found.append(f"{chapter.name}: its notebook was not written by the builder; {cure}")
    return found


def built(chapter: Chapter) -> list[tuple[str, nbformat.NotebookNode]]:
    """The cells of a chapter's notebook, each with its place; none where it was never built."""
    if not chapter.notebook.exists():
        return []
    cells = nbformat.read(chapter.notebook, as_version=4).cells
    return [
        (f"{chapter.name}, cell {place} of the notebook (id {cell.id})", cell)
        for place, cell in enumerate(cells, 1)
    ]


def orphans(sources: Path, notebooks: Path) -> list[str]:
    """Every notebook has its source, every source its notebook, and no other file is beside."""
    names = {path.stem for path in sources.glob("*.py")}
    there = {path.stem for path in notebooks.glob("*.ipynb")}
    return [
        *(f"notebooks/{name}.ipynb has no source" for name in sorted(there - names)),
        *(f"notebooks/source/{name}.py has no notebook" for name in sorted(names - there)),
        *(
            f"notebooks/source/{path.name} is no chapter"
            for path in sorted(sources.iterdir())
            if path.is_file() and path.suffix != ".py"
        ),
    ]


def _cell(cell: nbformat.NotebookNode) -> dict[str, object]:
    return {
        "kind": cell.cell_type,
        "text": cell.source,
        "metadata": dict(cell.metadata),
        "id": cell.get("id"),
    }
