"""Planted faults against the book's own rules: on a copy of a chapter, each must be named.

What is spoilt is a copy of chapter 103, or of the files that install the book. A fault counts as
found when its rule says something that it did not say of the untouched copy.
"""

from __future__ import annotations

import ast
import inspect
import re
import shutil
from collections.abc import Callable, Iterator
from functools import reduce
from pathlib import Path

import nbformat
import pytest

from helpers.book import ledger
from helpers.book.chapters import ROOT, Chapter, find
from helpers.exercises.registry import exercises_of
from tests.rules import claims, code, drift, exercises, figures, links, packaging, rhythm, template
from tests.rules.text import Text
from tests.strict.outputs import is_figure

NUMBER = "103"
Rule = Callable[[Text], list[str]]


def every_text_rule(text: Text) -> Iterator[str]:
    """What all rules about a chapter's text say."""
    for module in (template, rhythm, code, links, exercises):
        for name, rule in vars(module).items():
            hints = getattr(rule, "__annotations__", {})
            if hints == {"text": "Text", "return": "list[str]"} and not name.startswith("_"):
                yield from rule(text)
    declared = exercises_of(NUMBER)
    yield from exercises.declared(text, declared)
    yield from exercises.no_solution(text, declared)
    yield from claims.tagged_cells(text, ledger.claims())
    yield from claims.complete(text, ledger.claims(), ledger.topics())


def sub(pattern: str, new: str) -> Callable[[str], str]:
    """Replace the first match, which must be there."""

    def change(source: str) -> str:
        changed, times = re.subn(
            pattern, lambda match: match.expand(new), source, count=1, flags=re.S | re.M
        )
        assert times, f"{pattern!r} is not in the chapter: plant another fault"
        return changed

    return change


def cell(source: str, tags: str = "") -> Callable[[str], str]:
    """Put one more code cell before the section "Where it goes wrong", after a sentence."""
    head = f"# %% tags=[{tags}]" if tags else "# %%"
    new = f"# %% [markdown]\n# **Predict** it:\n\n{head}\n{source}\n\n"
    return lambda text: text.replace(
        "# %% [markdown]\n# ## Where it", f"{new}# %% [markdown]\n# ## Where it", 1
    )


def prose(said: str) -> Callable[[str], str]:
    """One more text cell before the section "Where it goes wrong"."""
    lines = "".join(f"# {line}".rstrip() + "\n" for line in said.splitlines())
    return lambda text: text.replace(
        "# %% [markdown]\n# ## Where it",
        f"# %% [markdown]\n{lines}\n# %% [markdown]\n# ## Where it",
        1,
    )


def both(*changes: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: reduce(lambda so_far, change: change(so_far), changes, text)


def _many_long_cells(text: str) -> str:
    long = cell("\n".join(f"a{i} = {i}" for i in range(13)))
    return both(*[long] * 21)(text)


TEXT_FAULTS: dict[str, tuple[Callable[[str], str], str]] = {
    # template
    "title of another number": (
        sub(r"\A(# %% \[markdown\]\n# # )103", r"\g<1>104"),
        "begins with '# 103",
    ),
    "no needs": (sub(r"\*\*You need\*\*", "You need"), "**You need** is missing"),
    "no time": (sub(r"\*\*Time\*\* \d+ minutes", "**Time** an hour"), "written **Time** N minutes"),
    "two objectives": (
        sub(r"(will be able to\*\*\n#\n)(?:# [- ] .*?\n)+#", r"\1# - read;\n# - write.\n#"),
        "2 objectives",
    ),
    "setup not tagged": (
        sub(r'# %% tags=\["setup"\]', "# %%"),
        "the first code cell is the setup cell",
    ),
    "setup too long": (
        sub(r'(# %% tags=\["setup"\]\n)', r"\1" + "import io\n" * 9),
        "lines of setup, not 8",
    ),
    "second setup": (cell("assert True", '"setup"'), "only the third cell is the setup cell"),
    "section missing": (
        sub(r"# ## In practice\n", "# ### In practice\n"),
        "no section 'In practice'",
    ),
    "sections swapped": (
        sub(r"# ## (In practice)\n(.*?)# ## (Summary)\n", r"# ## \3\n\2# ## \1\n"),
        "ends with",
    ),
    "section after the last": (lambda text: text + "\n# %% [markdown]\n# ## More\n", "ends with"),
    "section twice": (
        sub(r"# ## View or copy\?", "# ## Where it goes wrong"),
        "two sections are called",
    ),
    "two titles": (prose("# Another title"), "one heading of the first level"),
    "heading with code": (sub(r"# ## View or copy\?", "# ## `view` or copy?"), "holds '`'"),
    "unknown tag": (sub(r'tags=\["predict"\]', 'tags=["hide"]'), "unknown tag 'hide'"),
    "raises-exception": (
        sub(r'tags=\["predict"\]', 'tags=["raises-exception"]'),
        "'raises-exception' would hide",
    ),
    "text with a tag": (
        sub(r"# %% \[markdown\]\n# ## View", '# %% [markdown] tags=["predict"]\n# ## View'),
        "a text cell carries",
    ),
    "fact without link": (
        sub(r"\(\[shown\]\(#Where-do[^)]*\)\)", "(shown)"),
        "no link to a section in",
    ),
    "two next chapters": (
        lambda text: text + "#\n# [103](103_storage_and_views.ipynb)\n",
        "2 chapters linked",
    ),
    "code after the end": (lambda text: text + "\n# %%\nassert True\n", "nothing is run after"),
    # rhythm
    "cell too long": (
        cell("\n".join(f"a{i} = {i}" for i in range(25)) + "\nassert True"),
        "26 lines, not 25",
    ),
    "many long cells": (_many_long_cells, "have more than 12 lines"),
    "three cells in a row": (
        cell("assert 1\n\n# %%\nassert 2\n\n# %%\nassert 3"),
        "the third code cell without",
    ),
    "wide line": (prose("word " * 18), "a line of 89 characters"),
    "too many words": (
        prose("\n".join(["ten words in one line make the text too long"] * 200)),
        "words, not 900 to 2500",
    ),
    "long practice": (
        sub(
            r"(# ## In practice\n)",
            r"\1" + "#\n" + "# many words of good advice that nobody reads\n" * 10,
        ),
        "words, not 150",
    ),
    "section without proof": (
        both(prose("## Is it so?"), cell("x.shape")),
        "'Is it so?' asserts nothing",
    ),
    "simply": (prose("You simply call it."), "'simply' in"),
    "just": (prose("It is Just a view."), "'Just' in"),
    "exclamation": (prose("What a surprise!"), "'!' in"),
    "emoji": (prose("Well done 🎉."), "'🎉' in"),
    "prediction that tells its answer": (
        cell("answer = 2\nassert answer == 2", '"predict"'),
        "a predict cell asserts its own answer",
    ),
    "unannounced prediction": (
        both(cell("assert True", '"predict"'), sub(r"# \*\*Predict\*\* it:", "# Run it:")),
        "nothing before it asks to predict",
    ),
    # code
    "star import": (cell("from torch import *"), "from torch import *"),
    "network import": (cell("import urllib.request"), "urllib.request reaches the network"),
    "machinery": (cell("from helpers.book import chapters"), "the machinery, not for chapters"),
    "download": (cell("data = MNIST('x', download=True)"), "download=True may download"),
    "pretrained": (cell("net = resnet18(weights='DEFAULT')"), "weights='DEFAULT' may download"),
    "hub": (cell("net = torch.hub.load('a', 'b')"), "load reaches the network"),
    "clock": (cell("import time\nprint(time.time())"), "time.time reads the clock"),
    "semicolon": (cell("x.shape;"), "ends with ';'"),
    "bare seed": (cell("torch.manual_seed(0)"), "a bare torch.manual_seed"),
    "skip comment": (cell("# NBVAL_SKIP\nassert True"), "NBVAL_SKIP would hide"),
    # links
    "broken link": (
        prose("See [there](999_nowhere.ipynb)."),
        "leads to no file: 999_nowhere.ipynb",
    ),
    "broken anchor": (prose("See [there](#No-such-part)."), "leads to #No-such-part: none here"),
    "broken anchor elsewhere": (
        prose("See [it](000_start_here.ipynb#No-part)."),
        "none in 000_start_here",
    ),
    "open link": (prose("See [it](http://pytorch.org)."), "is not https"),
    "local address": (prose("See [it](https://localhost:8888/lab)."), "is no public address"),
    "picture without alt": (prose("![](cover.png)"), "has no real alt text"),
    "missing picture": (
        prose("![A picture that is described well](none.png)"),
        "none.png is not there",
    ),
    "picture in HTML": (prose('<img src="cover.png">'), "a picture in HTML"),
    # exercises
    "card without level": (sub(r"(### Exercise 103\.1.*?)●○○", r"\1easy"), "a card is '###"),
    "exercises misnumbered": (
        sub(r"Exercise 103\.2 ·", "Exercise 103.7 ·"),
        "its exercises are numbered",
    ),
    "filled hole": (
        sub(r"answer = \.\.\.  # TODO", "answer = (1, 12, 4)  # TODO"),
        "no hole `...`",
    ),
    "no TODO": (sub(r"answer = \.\.\.  # TODO: ", "answer = ...  # "), "no TODO says what"),
    "check of another": (
        sub(r'exercise\("103\.1"\)\.check', 'exercise("103.2").check'),
        'not exercise("103.1")',
    ),
    "check of nothing": (
        sub(r'(exercise\("103\.1"\)\.check)\(answer\)', r"\1(result)"),
        "asks for result",
    ),
    "starter not tagged": (
        sub(r'# %% tags=\["exercise"\]', "# %%"),
        "its starter is not tagged exercise",
    ),
    "starter without card": (
        cell("answer = ...  # TODO", '"exercise"'),
        "a starter without its card",
    ),
    "another kind": (sub(r"\*repair · ", "*write · "), "declares ('103.4'"),
    "nothing to repair": (sub(r"\*repair · ", "*write · "), "nothing to repair"),
    "four exercises": (
        sub(r"# %% \[markdown\]\n# ### Exercise 103\.5.*?(?=# %% \[markdown\]\n# ## Next)", ""),
        "4 exercises, not five",
    ),
    "leaked solution": (lambda text: cell(_solution("103.3"))(text), "is the solution of 103.3"),
    "leaked prediction": (
        lambda text: cell(f"answer = {_value('103.1')}", '"exercise"')(text),
        "it holds the solution of 103.1",
    ),
    # claims
    "unknown claim": (cell("assert True", '"claim:C999"'), "claim C999 is not in data/claims.yml"),
    "claim not asserted": (
        cell("x.shape", '"claim:C144"'),
        "tagged claim:C144 but asserts nothing",
    ),
    "claim not shown": (sub(r' tags=\["claim:C145"\]', ""), "no cell shows claim C145"),
}


def _solution(name: str) -> str:
    """The model answer of an exercise, its names changed."""
    (one,) = (one for one in exercises_of(NUMBER) if one.id == name)
    argument = next(iter(inspect.signature(one.answer).parameters))
    source = inspect.getsource(one.answer).replace(one.answer.__name__, "mine")
    return re.sub(rf"\b{argument}\b", "other_name", source)


def _value(name: str) -> str:
    """What the key of a predict exercise returns, as code."""

    (one,) = (one for one in exercises_of(NUMBER) if one.id == name)
    return ast.unparse(ast.parse(inspect.getsource(one.answer)).body[0].body[-1].value)


@pytest.fixture(scope="module")
def untouched() -> tuple[Text, set[str]]:
    text = Text.of(find(NUMBER))
    return text, set(every_text_rule(text))


@pytest.mark.parametrize("name", TEXT_FAULTS)
def test_a_fault_in_a_text_is_found_and_named(untouched, name):
    text, before = untouched
    plant, says = TEXT_FAULTS[name]
    spoilt = Text(text.chapter, plant(text.source))
    assert spoilt.source != text.source
    new = [problem for problem in every_text_rule(spoilt) if problem not in before]
    found = [problem for problem in new if says in problem]
    assert found, "\n".join(new) or "no rule says anything"
    assert text.chapter.name in found[0]


@pytest.fixture
def copy(tmp_path) -> Chapter:
    """Chapter 103 as it is committed, copied into folders of its own."""
    chapter = find(NUMBER)
    if not chapter.notebook.exists():
        pytest.fail(f"{chapter.name} was never built: run make notebooks NB={NUMBER}")
    sources = tmp_path / "notebooks" / "source"
    sources.mkdir(parents=True)
    source = shutil.copy(chapter.source, sources)
    notebook = shutil.copy(chapter.notebook, sources.parent)
    return Chapter(NUMBER, chapter.name, Path(source), Path(notebook))


def edit(chapter: Chapter, change: Callable[[nbformat.NotebookNode], object]) -> None:
    notebook = nbformat.read(chapter.notebook, as_version=4)
    change(notebook)
    text = nbformat.writes(notebook, indent=1) + "\n"
    chapter.notebook.write_text(text, encoding="utf-8")


def _first_figure(notebook: nbformat.NotebookNode) -> dict:
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", []))
    return next(output for output in outputs if is_figure(output)).metadata["figure"]


def _say_pass(notebook: nbformat.NotebookNode) -> None:
    for one in notebook.cells:
        if one.source.startswith('exercise("103.1").check'):
            one.outputs = [nbformat.v4.new_output("stream", text="103.1 · pass · Right.\n")]


NOTEBOOK_FAULTS = {
    "edited cell": (drift.in_step, lambda n: n.cells[4].update(source="x"), "another text than"),
    "retagged cell": (
        drift.in_step,
        lambda n: n.cells[2].metadata.clear(),
        "another metadata than",
    ),
    "edited id": (drift.in_step, lambda n: n.cells[3].update(id="by-hand"), "another id than"),
    "deleted cell": (drift.in_step, lambda n: n.cells.pop(), "cells in the notebook"),
    "deleted cell within": (drift.in_step, lambda n: n.cells.pop(5), "than in the source"),
    "kernel of one's own": (
        drift.in_step,
        lambda n: n.metadata.kernelspec.update(name="mine"),
        "its metadata are not those",
    ),
    "no alt text": (
        figures.said,
        lambda n: _first_figure(n).update(alt=""),
        "alt text '' is missing",
    ),
    "alt is caption": (
        figures.said,
        lambda n: _first_figure(n).update(alt=_first_figure(n)["caption"]),
        "repeats the caption",
    ),
    "caption without period": (
        figures.said,
        lambda n: _first_figure(n).update(caption="Four headers"),
        "is not one sentence",
    ),
    "two sentences": (
        figures.said,
        lambda n: _first_figure(n).update(caption="One storage. Four headers."),
        "is not one sentence",
    ),
    "solved exercise": (exercises.unsolved_outputs, _say_pass, "exercise 103.1 is solved"),
}


@pytest.mark.parametrize("name", NOTEBOOK_FAULTS)
def test_a_fault_in_a_notebook_is_found_and_named(copy, name):
    rule, plant, says = NOTEBOOK_FAULTS[name]
    before = rule(copy)
    edit(copy, plant)
    found = [problem for problem in rule(copy) if problem not in before]
    assert any(says in problem and copy.name in problem for problem in found), found


def test_a_source_edited_after_the_build_is_found(copy):
    text = copy.source.read_text(encoding="utf-8")
    copy.source.write_text(text.replace("assert", "assert  ", 1), encoding="utf-8")
    assert any("another text" in problem for problem in drift.in_step(copy))
    assert any("metadata are not" in problem for problem in drift.in_step(copy))


def test_a_notebook_written_by_another_tool_is_found(copy):
    notebook = nbformat.read(copy.notebook, as_version=4)
    copy.notebook.write_text(nbformat.writes(notebook, indent=2), encoding="utf-8")
    assert any("not written by the builder" in problem for problem in drift.in_step(copy))


def test_an_unbuilt_chapter_and_an_orphan_are_found(copy):
    sources, notebooks = copy.source.parent, copy.notebook.parent
    assert drift.orphans(sources, notebooks) == []
    copy.notebook.rename(notebooks / "104_other.ipynb")
    (sources / "notes.txt").touch()
    assert drift.orphans(sources, notebooks) == [
        "notebooks/104_other.ipynb has no source",
        f"notebooks/source/{copy.name}.py has no notebook",
        "notebooks/source/notes.txt is no chapter",
    ]
    assert drift.in_step(copy) == [f"{copy.name}: was never built; run make notebooks NB=103"]


def test_a_topic_without_claims_must_be_used_by_a_cell():
    text = Text.of(find(NUMBER))
    topic = ledger.Topic("fft", NUMBER, "t", "z", ("torch.fft.fft",), ())
    (said,) = claims.complete(text, [], [topic])
    assert "no cell uses torch.fft.fft" in said
    assert (
        claims.complete(
            text, [], [ledger.Topic("v", NUMBER, "t", "z", ("torch.Tensor.view(*s)",), ())]
        )
        == []
    )


def test_a_finished_chapter_must_be_written():
    assert claims.finished_chapters(["103", "999"], ["103"]) == [
        "data/finished.yml: chapter 999 is not written"
    ]


PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
ENVIRONMENT = (ROOT / "environment.yml").read_text(encoding="utf-8")


def test_a_spoilt_lock_is_found():
    def says(change: Callable[[str], str]) -> str:
        return "\n".join(packaging.lock_is_whole(change(LOCK)))

    assert "numpy" in says(sub(r"(^numpy==[^\\]*)\\\n(?:    --hash\S+(?: \\)?\n)+", r"\1\n"))
    assert "the option --extra-index-url" in says(lambda lock: "--extra-index-url x\n" + lock)
    assert "names an address" in says(lambda lock: "# from https://example.org\n" + lock)
    assert "is not pinned" in says(sub(r"^numpy==", "numpy>="))


def test_a_lock_that_does_not_satisfy_pyproject_is_found():
    old = sub(r"^torch==\S+", "torch==2.5.0")(LOCK)
    assert packaging.lock_satisfies(PYPROJECT, old) == [
        "requirements.lock: torch 2.5.0 is not >=2.11"
    ]
    more = PYPROJECT.replace('"pillow>=11"', '"pillow>=11", "seaborn"')
    assert packaging.lock_satisfies(more, LOCK) == ["requirements.lock: seaborn is missing"]


@pytest.mark.parametrize(
    ("old", "new"),
    [("- pip\n", "- pip\n  - scipy\n"), ("[test,bench,setup]", "[test]"), (">=3.11", ">=3.9")],
)
def test_another_conda_environment_is_found(old, new):
    assert old in ENVIRONMENT
    assert packaging.environment_agrees(PYPROJECT, ENVIRONMENT.replace(old, new))


def test_a_tracked_workbook_is_found(tmp_path):
    (tmp_path / ".gitignore").write_text(".venv/ .cache/ __pycache__/ .pytest_cache/")
    assert packaging.ignored(tmp_path) == [".gitignore: workbook/ is missing"]
