"""What a code cell may not hold, since nbval or a reader would be misled by it."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from itertools import pairwise

from nbformat import NotebookNode
from nbval.plugin import comment_markers, metadata_tags

from tests.strict import outputs

_TAG = re.compile(r"setup|exercise|predict|claim:C\d{3}")
_INLINE = re.compile(r"^%matplotlib inline[ \t]*$", re.MULTILINE)
_MAGIC = re.compile(r"^\s*(?:\w+\s*=\s*)?(%%?\w+|!.*|\?.*|\w[\w.]*\?\??)\s*", re.MULTILINE)
_ENDS = {tokenize.NEWLINE, tokenize.NL, tokenize.COMMENT, tokenize.ENDMARKER}


def source_problems(source: str) -> list[str]:
    """What is wrong with a code cell's source, whatever it puts out."""
    found = [
        f"the comment {marker} would hide this cell from the comparison"
        for marker in comment_markers
        if re.search(rf"#\s*{marker}\b", source)
    ]
    if not source.strip():
        return [*found, "the cell is empty"]
    plain = _INLINE.sub("pass", source)
    try:
        tree = ast.parse(plain)
    except SyntaxError as error:
        if match := _MAGIC.search(plain):
            return [
                *found,
                f"{match[0].strip()!r} is no Python: only %matplotlib inline is allowed",
            ]
        return [*found, f"line {error.lineno} is no Python: {error.msg}"]
    if any(isinstance(node, ast.Name) and node.id == "get_ipython" for node in ast.walk(tree)):
        found.append("get_ipython() reaches magics and the shell: the book uses neither")
    tokens = list(tokenize.generate_tokens(io.StringIO(plain).readline))
    for token, after in pairwise(tokens):
        if token.string == ";" and token.type == tokenize.OP and after.type in _ENDS:
            found.append(f"line {token.start[0]} ends with ';': write `_ = …` to silence a result")
    last = tree.body[-1] if tree.body else None
    if isinstance(last, ast.Expr) and isinstance(last.value, ast.Call):
        called = ast.unparse(last.value.func)
        if called.split(".")[-1] == "manual_seed":
            found.append(
                f"a bare {called}(…) as last line prints a memory address: write `_ = {called}(…)`"
            )
    return found


def tag_problems(tags: object) -> list[str]:
    """What is wrong with the tags of a cell."""
    if not isinstance(tags, list):
        return [f"the tags are {tags!r}, not a list"]
    found = []
    for tag in tags:
        if tag in metadata_tags or str(tag).startswith("nbval-"):
            found.append(f"the tag {tag!r} would hide this cell from the comparison")
        elif not _TAG.fullmatch(str(tag)):
            found.append(f"unknown tag {tag!r}: there are setup, exercise, predict and claim:C123")
    return found


def stored_problems(cell: NotebookNode, count: int) -> list[str]:
    """What is wrong with a code cell as it is stored in a notebook.

    Args:
        cell: the cell.
        count: the execution count it must have, being the ``count``-th code cell.
    """
    found = tag_problems(cell.metadata.get("tags", [])) + source_problems(cell.source)
    if cell.execution_count is None:
        found.append("never run, or stripped: it has no execution count; run make notebooks")
    elif cell.execution_count != count:
        found.append(
            f"execution count {cell.execution_count} instead of {count}: run in another order"
        )
    for output in outputs.normal(cell.outputs):
        found += outputs.problems(output)
        if output.get("execution_count", cell.execution_count) != cell.execution_count:
            found.append(f"the result is of run {output['execution_count']}, not of this one")
    return found
