"""What importing each module of ``helpers`` loads: no package that the module does not need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.book.chapters import ROOT
from helpers.book.suite import command

# Packages that take long to load. What torch itself loads is not counted beside torch.
HEAVY = [
    "torch",
    "torch._dynamo",
    "torch._inductor",
    "torch.distributed.tensor",
    "torchvision",
    "numpy",
    "PIL",
    "matplotlib",
    "matplotlib.pyplot",
    "networkx",
    "scipy",
    "sympy",
    "pandas",
    "imagehash",
    "yaml",
    "IPython",
    "ipykernel",
    "ipywidgets",
    "jupyter_client",
    "jupyter_server",
    "jupyterlab",
    "jupytext",
    "nbclient",
    "nbformat",
    "nbval",
    "filelock",
    "platformdirs",
    "pytest",
    "rfc3987_syntax",
]

EXERCISES = "helpers.exercises.ex"
# Loaded by every process of the suite, before any test.
PLUGIN = "tests.nbval_strict"
DRAWING = {"numpy", "PIL", "matplotlib"}
JUPYTEXT = {"jupytext", "nbformat", "jupyter_client", "jupyter_server", "platformdirs", "yaml"}
BUILDING = {*JUPYTEXT, "filelock", "IPython", "ipykernel", "nbclient"}
# Who may load which of them when it is imported; a module that is not named may load none.
MAY = {
    "helpers.device": {"torch"},
    "helpers.draw": {"torch", "matplotlib", "PIL"},
    "helpers.figures": DRAWING,
    "helpers.memory": {"torch"},
    **{
        f"helpers.exercises.{name}": {"torch"}
        for name in ("check", "compare", "guess", "picture", "reader", "run", "values")
    },
    "helpers.book.adopt": BUILDING,
    "helpers.book.build": BUILDING,
    "helpers.book.ledger": {"yaml"},
    "helpers.book.percent": {*JUPYTEXT, "IPython"},
    "helpers.book.provisioner": {"ipykernel", "jupyter_client", "platformdirs"},
    "helpers.book.readme": {"nbformat"},
    PLUGIN: {"ipykernel", "jupyter_client", "nbformat", "nbval", "PIL", "platformdirs", "pytest"},
}

# The modules are imported one by one, each in a fork of its own, so that all of them together
# load torch once: first where nothing is loaded and whoever asks for torch is stopped, then
# those who asked for it, where torch is loaded already.
PROBE = """
import importlib, json, os, sys, time

heavy, names = json.loads(sys.argv[1])


class NoTorch(Exception):
    pass


class Gate:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise NoTorch


def probe(name):
    read, write = os.pipe()
    if not os.fork():
        before = {*sys.modules}
        found = {"torch": "torch" in before, "error": ""}
        began = time.process_time()
        try:
            importlib.import_module(name)
        except NoTorch:
            found["torch"] = True
        except BaseException as error:
            found["error"] = repr(error)
        found["seconds"] = time.process_time() - began
        new = [one for one in heavy if one not in before]
        # One that is kept from loading stands there as None.
        found["loaded"] = [one for one in new if sys.modules.get(one) is not None]
        os.write(write, json.dumps(found).encode())
        os._exit(0)
    os.close(write)
    with open(read) as answer:
        said = answer.read()
    os.wait()
    return json.loads(said or '{"error": "its process ended without a word"}')


gate = Gate()
sys.meta_path.insert(0, gate)
found = {name: probe(name) for name in names}
sys.meta_path.remove(gate)
began = time.process_time()
import torch
seconds = time.process_time() - began
for name in names:
    if found[name].get("torch"):
        found[name] = probe(name)
print(json.dumps([seconds, found]))
"""


def modules(folder: Path = ROOT / "helpers") -> list[str]:
    """Every module of the package ``helpers``, by its full name."""
    found = []
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder.parent).with_suffix("").parts
        found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


def probed(names: list[str], *roots: Path) -> tuple[float, dict[str, dict]]:
    """How many seconds torch takes to load, and what each module loads beside it."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps([HEAVY, names])],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, roots))},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    seconds, found = json.loads(done.stdout)
    for name, one in found.items():
        assert not one["error"], f"importing {name}: {one['error']}"
        one["loaded"] = {*one["loaded"], *(("torch",) if one["torch"] else ())}
    return seconds, found


PLANTED = {
    "heavy": ("import yaml\n", {"yaml"}),
    "with_torch": ("import torch\nimport yaml\n", {"torch", "yaml"}),
    "by_another": ("from planted import heavy\n", {"yaml"}),
    "later": ("def later():\n    import torch, yaml\n", set()),
}


@pytest.fixture(scope="module")
def everything(tmp_path_factory) -> tuple[float, dict[str, dict]]:
    folder = tmp_path_factory.mktemp("imports")
    (folder / "planted").mkdir()
    for name, (text, _) in PLANTED.items():
        (folder / "planted" / f"{name}.py").write_text(text)
    return probed([*modules(), PLUGIN, *modules(folder / "planted")], ROOT, folder)


def test_no_module_loads_what_it_does_not_need(everything):
    wrong = []
    for name in (*modules(), PLUGIN):
        loaded = everything[1][name]["loaded"]
        may = MAY.get(name, {"torch"} if name.startswith(EXERCISES) else set())
        if extra := loaded - may:
            wrong.append(f"{name} loads {', '.join(sorted(extra))}: import it where it is used")
        if name in MAY and (spare := may - loaded):
            wrong.append(f"{name} no longer loads {', '.join(sorted(spare))}: say so in MAY")
    assert not wrong, "\n".join(wrong)


def test_whoever_may_load_something_exists():
    assert {*MAY} <= {*modules(), PLUGIN}


def test_importing_the_package_costs_next_to_nothing_beside_torch(everything):
    seconds, found = everything
    assert found["helpers"]["seconds"] <= 0.03 * seconds


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_import_is_seen(everything, name):
    assert everything[1][f"planted.{name}"]["loaded"] == PLANTED[name][1]


LOOK = """
import json, sys
from pathlib import Path

def pytest_sessionfinish(session):
    worker = getattr(session.config, "workerinput", {}).get("workerid", "the first")
    Path(__file__).with_name(worker + ".json").write_text(json.dumps([*sys.modules]))
"""


def test_the_processes_of_the_suite_load_no_plugin_that_it_does_not_use(tmp_path):
    (tmp_path / "look.py").write_text(LOOK)
    chapters = [str(path) for path in sorted((ROOT / "notebooks").glob("0*.ipynb"))]
    # Two files: for one there would be no other process.
    argv = [*chapters, "tests/test_book_chapters.py", "-k", "nothing", "-n1", "-p", "look"]
    done = subprocess.run(
        command(argv),
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        timeout=120,
    )
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stdout + done.stderr
    loaded = {path.stem: {*json.loads(path.read_text())} for path in tmp_path.glob("*.json")}
    assert loaded.keys() == {"the first", "gw0"}
    # The last is the parser of a grammar that nobody here needs, 1.2 s in each process.
    unused = {"nbmake", "anyio.pytest_plugin", "platformdirs.pytest_plugin", "lark"}
    for there in loaded.values():
        assert {"nbval.plugin", PLUGIN, "xdist.plugin"} <= there
        assert not unused & there
