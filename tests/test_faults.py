"""Planted faults: each of them, on a copy of a green notebook, must turn the suite red.

Faults of a single cell are planted together, each in a copy of that cell at the end of one long
notebook; a fault of the order, the file or the kernel has a notebook to itself. One pytest
process runs them all, as ``make test`` would, and its report is judged: the right cell fails, with
words that name it and say what is wrong, and no other cell does.
"""

from __future__ import annotations

import base64
import copy
import io
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from PIL import Image, ImageDraw

from helpers.book import warm
from helpers.book.chapters import ROOT
from helpers.book.kernel import kernel_environment
from tests import sample

# The limit that the endless loop runs into: long enough for every other cell on a busy machine.
CELL_SECONDS = 8


@dataclass(frozen=True)
class Fault:
    """A way to spoil a notebook, which code cell must fail, and a part of what must be said."""

    plant: Callable[[NotebookNode], object]
    cell: int | None
    says: str
    drawn: bool
    alone: bool


FAULTS: dict[str, Fault] = {}


def fault(cell: int | None, says: str, drawn: bool = False, alone: bool = False) -> Callable:
    """Register a function that plants a fault; ``cell`` None means the notebook as a whole."""

    def register(plant: Callable[[NotebookNode], object]) -> Callable:
        FAULTS[plant.__name__] = Fault(plant, cell, says, drawn, alone or cell is None)
        return plant

    return register


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def code(notebook: NotebookNode, count: int) -> NotebookNode:
    return code_cells(notebook)[count - 1]


def append(notebook: NotebookNode, source: str, *outputs: NotebookNode, tags: tuple = ()) -> None:
    """A seventh code cell, which would be green but for what it holds."""
    metadata = {"tags": list(tags)} if tags else {}
    cell = new_code_cell(
        source, id="planted", metadata=metadata, execution_count=7, outputs=list(outputs)
    )
    notebook.cells.append(cell)


def printed(text: str, name: str = "stdout") -> NotebookNode:
    return new_output("stream", name=name, text=text)


def result(text: str, count: int = 7) -> NotebookNode:
    return new_output("execute_result", data={"text/plain": text}, execution_count=count)


# Outputs that are not those of the code.


@fault(2, "+66")
def changed_digit(notebook):
    code(notebook, 2).outputs[0].data["text/plain"] = "67"


@fault(3, "+[3, 4]")
def dropped_line(notebook):
    code(notebook, 3).outputs[0].text = "[1, 2]\n"


@fault(3, "no line end")
def dropped_line_end(notebook):
    code(notebook, 3).outputs[0].text = "[1, 2]\n[3, 4]"


@fault(6, "+67")
def stale_output(notebook):
    code(notebook, 6).outputs[0].data["text/plain"] = "66"


@fault(6, "+68")
def edited_source(notebook):
    code(notebook, 6).source = "total + 2"


@fault(2, "0 outputs are stored, 1 came; extra: a result (66)")
def stripped_output(notebook):
    code(notebook, 2).outputs = []


@fault(1, "1 outputs are stored, 0 came; missing: stdout (hello)")
def extra_output(notebook):
    code(notebook, 1).outputs = [printed("hello\n")]


@fault(5, "2 outputs are stored, 3 came; extra: stdout (after)")
def missing_output(notebook):
    code(notebook, 5).outputs.pop()


@fault(5, "output 1 of 2: a display (name")
def outputs_in_another_order(notebook):
    outputs = code(notebook, 5).outputs
    outputs[0], outputs[1] = outputs[1], outputs[0]


@fault(5, "output 1 of 2: stdout differs")
def streams_joined_over_a_display(notebook):
    first, table, last = code(notebook, 5).outputs
    first.text += last.text
    code(notebook, 5).outputs = [first, table]


@fault(5, "text/html differs")
def changed_table(notebook):
    data = code(notebook, 5).outputs[1].data
    data["text/html"] = data["text/html"].replace("size", "sizes")


@fault(5, "stored as text/plain; came as text/html, text/plain")
def table_without_markup(notebook):
    del code(notebook, 5).outputs[1].data["text/html"]


@fault(2, "a display (66) was stored, a result (66) came")
def result_as_display(notebook):
    code(notebook, 2).outputs = [new_output("display_data", data={"text/plain": "66"})]


# Cells that were not run, or not in this order.


@fault(1, "never run, or stripped", alone=True)
def stripped_notebook(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None


@fault(3, "never run, or stripped")
def stripped_cell(notebook):
    code(notebook, 3).outputs, code(notebook, 3).execution_count = [], None


@fault(2, "execution count 3 instead of 2", alone=True)
def swapped_cells(notebook):
    cells = notebook.cells
    cells[2], cells[3] = cells[3], cells[2]


@fault(3, "execution count 4 instead of 3", alone=True)
def deleted_cell(notebook):
    notebook.cells.remove(code(notebook, 3))


@fault(4, "execution count 9 instead of 4", alone=True)
def wrong_execution_count(notebook):
    code(notebook, 4).execution_count = 9


@fault(2, "the result is of run 5")
def wrong_result_count(notebook):
    code(notebook, 2).outputs[0].execution_count = 5


@fault(7, "the cell is empty")
def empty_cell(notebook):
    append(notebook, " ")


# Cells that end otherwise than they did.


@fault(4, "no ZeroDivisionError was raised", alone=True)
def exception_no_longer_comes(notebook):
    code(notebook, 4).source = code(notebook, 4).source.replace("total / 0", "total / 1")


@fault(3, "an exception: NameError", alone=True)
def exception_comes(notebook):
    code(notebook, 3).source = "print(unknown)"


@fault(4, "an exception: AssertionError", alone=True)
def assertion_fails(notebook):
    code(notebook, 4).source = code(notebook, 4).source.replace("== 66", "== 65")


@fault(7, "an error as output: ValueError: no", alone=True)
def stored_error(notebook):
    error = new_output("error", ename="ValueError", evalue="no", traceback=[])
    append(notebook, "raise ValueError('no')", error)


@fault(3, "the kernel died: its process ended with status 3", alone=True)
def kernel_exits(notebook):
    code(notebook, 3).source = "import os\nos._exit(3)"


@fault(3, "the kernel died: killed by SIGKILL", alone=True)
def kernel_killed(notebook):
    code(notebook, 3).source = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"


@fault(3, f"the cell took more than {CELL_SECONDS} s", alone=True)
def endless_loop(notebook):
    code(notebook, 3).source = (
        "import subprocess, sys\n"
        "endless = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(987)'])\n"
        "while True:\n    pass"
    )


@fault(7, "processes outlive the chapter", alone=True)
def process_left_behind(notebook):
    append(
        notebook,
        "import subprocess, sys\n"
        "left = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(986)'])",
    )


# Files that are no notebooks.


@fault(None, "this is no JSON")
def corrupt_json(notebook):
    return nbformat.writes(notebook).replace('"cells"', '"cells', 1)


@fault(None, "this is no JSON")
def truncated_file(notebook):
    return nbformat.writes(notebook)[:-300]


@fault(None, "this is no JSON")
def empty_file(notebook):
    return ""


@fault(None, "this is no notebook")
def another_file(notebook):
    return "[1, 2]"


@fault(None, "its format is 4.4, not 4.5")
def old_format(notebook):
    raw = json.loads(nbformat.writes(notebook))
    return json.dumps({**raw, "nbformat_minor": 4})


@fault(None, "this is no valid notebook")
def invalid_cell(notebook):
    raw = json.loads(nbformat.writes(notebook))
    del raw["cells"][1]["outputs"]
    return json.dumps(raw)


@fault(None, "several cells have the id")
def repeated_id(notebook):
    raw = json.loads(nbformat.writes(notebook))
    raw["cells"][2]["id"] = raw["cells"][1]["id"]
    return json.dumps(raw)


@fault(None, "it has no code cell")
def nothing_to_run(notebook):
    notebook.cells = [new_markdown_cell("Words only.", id="words")]


# What would hide something, or differ from machine to machine.


@fault(7, "line 1 ends with ';'")
def semicolon(notebook):
    append(notebook, "total + 1;  # quiet", result("67"))


@fault(7, "a bare torch.manual_seed(…) as last line")
def bare_seed(notebook):
    source = "class torch:\n    manual_seed = staticmethod(int)\ntorch.manual_seed(0)"
    append(notebook, source, result("0"))


@fault(7, "'!true' is no Python")
def shell_command(notebook):
    append(notebook, "!true")


@fault(7, "'%config' is no Python")
def magic(notebook):
    append(notebook, "%config InlineBackend.figure_formats = ['png']")


@fault(7, "get_ipython() reaches magics")
def magic_in_disguise(notebook):
    append(notebook, "get_ipython().run_line_magic('pylab', 'inline')")


@fault(2, "the comment NBVAL_SKIP would hide this cell")
def skip_comment(notebook):
    code(notebook, 2).source = "# NBVAL_SKIP\ntotal = 66\ntotal"


@fault(2, "the tag 'nbval-ignore-output' would hide this cell")
def ignoring_tag(notebook):
    code(notebook, 2).metadata["tags"] = ["nbval-ignore-output"]


@fault(2, "the tag 'raises-exception' would hide this cell")
def raises_exception_tag(notebook):
    code(notebook, 2).metadata["tags"] = ["raises-exception"]


@fault(2, "unknown tag 'remove-input'")
def unknown_tag(notebook):
    code(notebook, 2).metadata["tags"] = ["remove-input"]


@fault(7, "stderr in the output: careful")
def stderr(notebook):
    append(
        notebook, "import sys\nprint('careful', file=sys.stderr)", printed("careful\n", "stderr")
    )


@fault(7, "now: stderr in the output: from C")
def stderr_of_compiled_code(notebook):
    # A thread of the kernel carries it: it may come after a cell that ends at once.
    append(notebook, "import os, time\n_ = os.write(2, b'from C')\ntime.sleep(0.3)")


@fault(7, "a memory address in the output: 0x7f")
def memory_address(notebook):
    append(notebook, "print('<object at 0x7f12d7cefb00>')", printed("<object at 0x7f12d7cefb00>\n"))


@fault(7, "a path of this machine in the output: /home/")
def absolute_path(notebook):
    append(notebook, "print('see /home/ann/x.py')", printed("see /home/ann/x.py\n"))


@fault(7, "a path of this machine in the output")
def path_of_the_book(notebook):
    append(notebook, "import helpers\nprint(helpers.__file__)", printed(f"{ROOT}/helpers\n"))


@fault(7, "a control character in the output: '\\x1b'")
def colour_codes(notebook):
    append(notebook, "print('\\x1b[31mred\\x1b[0m')", printed("\x1b[31mred\x1b[0m\n"))


@fault(7, "clear_output: this output changes with time")
def cleared_output(notebook):
    append(notebook, "from IPython.display import clear_output\nclear_output()")


# Figures.


def figure(notebook: NotebookNode, count: int = 2) -> NotebookNode:
    return code(notebook, count).outputs[0]


def replace(output: NotebookNode, old: str, new: str) -> None:
    """Change a figure's words everywhere at once, as a stale build would have them."""
    metadata = json.dumps(output.metadata, ensure_ascii=False)
    for mime, text in output.data.items():
        output.data[mime] = text.replace(old, new)
    output.metadata = nbformat.from_dict(json.loads(metadata.replace(old, new)))


def repaint(output: NotebookNode, change: Callable[[Image.Image], Image.Image]) -> None:
    """Put another picture in a figure, all words left as they are."""
    found = re.search(r'base64,([^"]*)', output.data["text/html"])
    picture = Image.open(io.BytesIO(base64.b64decode(found[1]))).convert("RGB")
    file = io.BytesIO()
    change(picture).save(file, format="PNG")
    payload = base64.b64encode(file.getvalue()).decode()
    output.data["text/html"] = output.data["text/html"].replace(found[1], payload)


@fault(2, "another picture", drawn=True)
def swapped_pictures(notebook):
    markup = figure(notebook, 3).data["text/html"]
    other = re.search(r'base64,([^"]*)', markup)[1]
    data = figure(notebook).data
    data["text/html"] = re.sub(r'base64,[^"]*', f"base64,{other}", data["text/html"])


@fault(2, "the picture is blank", drawn=True)
def blank_picture(notebook):
    repaint(figure(notebook), lambda old: Image.new("RGB", old.size, "white"))


@fault(2, "the picture is missing", drawn=True)
def missing_picture(notebook):
    data = figure(notebook).data
    data["text/html"] = re.sub(r'base64,[^"]*', "base64,", data["text/html"])


@fault(2, "the picture cannot be read", drawn=True)
def broken_picture(notebook):
    data = figure(notebook).data
    data["text/html"] = re.sub(r'(base64,.{800})[^"]*', r"\1", data["text/html"])


@fault(2, "the figure has no picture", drawn=True)
def figure_without_picture(notebook):
    data = figure(notebook).data
    data["text/html"] = re.sub(r"<img[^>]*>", "", data["text/html"])


@fault(3, "another picture: a part of it differs", drawn=True)
def another_colour(notebook):
    def swap(old: Image.Image) -> Image.Image:
        red, green, blue = old.split()
        return Image.merge("RGB", (blue, green, red))

    repaint(figure(notebook, 3), swap)


@fault(2, "another picture", drawn=True)
def something_more_in_the_picture(notebook):
    def scribble(old: Image.Image) -> Image.Image:
        ImageDraw.Draw(old).line([(60, 40), (300, 200)], fill="black", width=8)
        return old

    repaint(figure(notebook), scribble)


@fault(2, "the picture was", drawn=True)
def another_size(notebook):
    repaint(figure(notebook), lambda old: old.resize((old.width, old.height - 10)))


@fault(2, "the figure's caption differs", drawn=True)
def changed_caption(notebook):
    replace(figure(notebook), "Squares grow.", "Cubes grow.")


@fault(2, "the caption shown is not the figure's", drawn=True)
def caption_changed_in_one_place(notebook):
    data = figure(notebook).data
    data["text/html"] = data["text/html"].replace("Squares grow.", "Cubes grow.")


@fault(2, '+  "xlabel": "n"', drawn=True)
def changed_axis_label(notebook):
    figure(notebook).metadata["figure"]["facts"][0]["xlabel"] = "m"


@fault(3, "the figure's facts differs", drawn=True)
def changed_data(notebook):
    code(notebook, 3).source = code(notebook, 3).source.replace("[3, 2, 1]", "[3, 2, 1.1]")


@fault(2, "a figure without alt in its metadata", drawn=True)
def missing_alt(notebook):
    del figure(notebook).metadata["figure"]["alt"]


@fault(2, "the picture's alt text is not the figure's", drawn=True)
def alt_changed_in_one_place(notebook):
    data = figure(notebook).data
    data["text/html"] = data["text/html"].replace("A curve", "A line")


@fault(2, "a bare image/png", drawn=True)
def bare_picture(notebook):
    output = figure(notebook)
    payload = re.search(r'base64,([^"]*)', output.data["text/html"])[1]
    output.data = nbformat.from_dict({"image/png": payload, "text/plain": "<Figure>"})
    output.metadata = nbformat.from_dict({})


@fault(2, "a picture without its facts", drawn=True)
def figure_without_facts(notebook):
    figure(notebook).metadata = nbformat.from_dict({})


def _together(built: NotebookNode, drawn: bool) -> NotebookNode:
    """A notebook with a spoilt copy of a cell for each fault that spoils only one."""
    notebook = copy.deepcopy(built)
    for name, one in FAULTS.items():
        if one.alone or one.drawn != drawn:
            continue
        spoilt = copy.deepcopy(built)
        one.plant(spoilt)
        cell, count = code(spoilt, one.cell), len(code_cells(notebook)) + 1
        cell.id = name
        for counted in (cell, *cell.outputs):
            if counted.get("execution_count") == one.cell:
                counted.execution_count = count
        notebook.cells.append(cell)
    return notebook


@dataclass(frozen=True)
class Run:
    """What the suite made of the spoilt notebooks: by notebook and cell, "" or what was said."""

    said: dict[str, dict[str, str]]
    output: str
    status: int

    def red(self, notebook: str) -> dict[str, str]:
        return {cell: said for cell, said in self.said[notebook].items() if said}


@pytest.fixture(scope="module", params=["warm", "ordinary"])
def run(request, tmp_path_factory) -> Run:
    """The run with kernels of one kind; every fault must be found with either."""
    if request.param == "warm" and (why := warm.obstacle({})):
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("faults")
    planted = folder / "planted"
    planted.mkdir()
    for drawn, text in ((False, sample.SOURCE), (True, sample.DRAWN)):
        kind = "drawn" if drawn else "plain"
        path = sample.build(folder / kind, text).notebook
        built = nbformat.read(path, as_version=4)
        sample.write(built, planted / f"untouched_{kind}.ipynb")
        sample.write(_together(built, drawn), planted / f"together_{kind}.ipynb")
        for name, one in FAULTS.items():
            if one.alone and one.drawn == drawn:
                spoilt = copy.deepcopy(built)
                text = one.plant(spoilt)
                path = planted / f"{name}.ipynb"
                if one.cell is None and isinstance(text, str):
                    path.write_text(text, encoding="utf-8")
                else:
                    sample.write(spoilt, path)
    report = folder / "report.xml"
    command = [sys.executable, "-m", "pytest", "-c", "/dev/null", "-p", "tests.nbval_strict"]
    command += ["-p", "no:cacheprovider", "--nbval", f"--nbval-cell-timeout={CELL_SECONDS}"]
    environment = kernel_environment(str(folder / "home"))
    if request.param == "ordinary":
        environment = {**warm.without(environment), warm.SETTING: "0"}
    elif not warm.folder_of(environment):
        environment.pop(warm.SETTING, None)
    with warm.kernels(environment) as environment:
        done = subprocess.run(
            [*command, f"--junitxml={report}", str(planted)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
    assert report.exists(), done.stdout + done.stderr
    assert "in an ordinary kernel, not a warm one" not in done.stdout
    return Run(_said(report), done.stdout, done.returncode)


def _said(report: Path) -> dict[str, dict[str, str]]:
    notebooks: dict[str, dict[str, str]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = case.get("classname").removesuffix(".ipynb").rsplit(".", 1)[-1]
        said = [node.text or "" for node in case if node.tag in ("failure", "error", "skipped")]
        notebooks.setdefault(name, {})[case.get("name")] = "\n".join(said)
    return notebooks


@pytest.mark.parametrize(("kind", "cells"), [("plain", 6), ("drawn", 3)])
def test_the_untouched_copy_is_green(run, kind, cells):
    assert list(run.said[f"untouched_{kind}"].values()) == [""] * cells


@pytest.mark.parametrize("kind", ["plain", "drawn"])
def test_no_cell_is_red_without_a_fault(run, kind):
    assert all(
        "(" in cell and cell.split("(")[1][:-1] in FAULTS for cell in run.red(f"together_{kind}")
    )


@pytest.mark.parametrize("name", FAULTS)
def test_the_fault_is_found_and_named(run, name):
    planted = FAULTS[name]
    notebook = name if planted.alone else f"together_{'drawn' if planted.drawn else 'plain'}"
    red = run.red(notebook)
    if planted.cell is None:
        assert list(red) == ["notebook"]
        said = red["notebook"]
        assert said.startswith(f"{notebook}: ")
    elif planted.alone:
        cell, said = next(iter(red.items()), ("no cell", ""))
        assert cell.startswith(f"cell {planted.cell} (")
        assert said.startswith(f"{notebook}, code cell {planted.cell} (cell ")
    else:
        (said,) = (said for cell, said in red.items() if cell.endswith(f" ({name})"))
        assert said.startswith(f"{notebook}, code cell ")
        assert f"id {name})" in said.splitlines()[0]
    assert planted.says in said, said


@pytest.mark.parametrize(
    "name", ["kernel_exits", "kernel_killed", "endless_loop", "exception_comes"]
)
def test_what_follows_the_end_of_a_kernel_is_red_in_one_clear_way(run, name):
    red = run.red(name)
    assert len(red) == 4
    for said in list(red.values())[1:]:
        assert "not run: stopped at cell 3 (" in said
        assert FAULTS[name].says in said


def test_a_killed_kernel_leaves_no_process(run):
    endless = [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if any("time.sleep(98" in part for part in process.info["cmdline"] or ())
    ]
    assert not endless


def test_the_session_says_what_it_compared_and_what_not(run):
    assert re.search(r"\d+ cells compared, \d+ ignored, \d+ figures compared", run.output)
    assert "ignored: not run: stopped at cell 3 (" in run.output
    assert run.status == 1
