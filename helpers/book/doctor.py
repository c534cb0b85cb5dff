"""``make doctor``: check this machine and this copy of the book; name the cure of what is wrong.

A check is a function of what it looks at, so that a test can show it any fault. It returns one
line of fact when all is well and raises ``Trouble`` or ``Doubt`` when it is not.
"""

from __future__ import annotations

import argparse
import functools
import importlib.metadata
import json
import locale
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from helpers.book import warm
from helpers.book.kernel import cores as count_cores
from helpers.book.lab import HOST, lab_environment, port_problem
from helpers.book.workbook import MANIFEST, NOTEBOOKS, ROOT, WORKBOOK, read

OLDEST = (3, 11)
GIGA = 1e9
# A chapter's kernel is held under 1.2 GB; the rest is JupyterLab and the browser.
MEMORY_NEEDED, MEMORY_WANTED = 1.5, 3.0
DISK_NEEDED, DISK_WANTED = 0.2, 2.0
WIDGETS = "@jupyter-widgets/jupyterlab-manager"
REINSTALL = "make clean && make lab"

# Run apart, so that a crash inside a C++ library is a finding and not the end of the doctor.
_TORCH = """
import json, sys, warnings
said = {}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import torch
    said.update(torch=torch.__version__, built=torch.version.cuda, threads=torch.get_num_threads())
    said["devices"] = torch.cuda.device_count() if torch.cuda.is_available() else 0
    said["names"] = [torch.cuda.get_device_name(i) for i in range(said["devices"])]
    for i in range(said["devices"]):
        torch.ones(2, device=f"cuda:{i}").add(1).sum().item()
    said["warnings"] = [str(warning.message) for warning in caught]
print(json.dumps(said))
"""
_PAIR = """
import torch, torchvision
box = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 1.9]])
kept = torchvision.ops.nms(box, torch.tensor([0.5, 0.9]), 0.5).tolist()
print(torch.__version__, torchvision.__version__, kept)
"""
_KERNEL = """
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name="python3")
try:
    client.execute_interactive("import sys; print(sys.prefix)", timeout=60)
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
"""
# On the device that chapters use, which a forked process must be able to begin with by itself.
_COMPUTE = """
import torch
from helpers import pick_device
x = torch.ones(2, device=pick_device(), requires_grad=True)
(x * x).sum().backward()
assert x.grad.tolist() == [2, 2]
"""
_WARM = """
import os, sys, tempfile
from jupyter_client.manager import KernelManager
from helpers.book import warm
from helpers.book.provisioner import OwnPython, QuickClient
with tempfile.TemporaryDirectory() as home, warm.own_kernels({**os.environ, "BOOK_HOME": home}):
    manager = KernelManager(kernel_spec_manager=OwnPython(), client_factory=QuickClient)
    manager.start_kernel(cwd=home)
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        there = {"device": "x.device.type"}
        answer = client.execute(sys.argv[1], user_expressions=there, reply=True, timeout=60)
        said = answer["content"]
        if said["status"] == "error":
            sys.exit(f"{said['ename']}: {said['evalue']}")
        device = said["user_expressions"]["device"]["data"]["text/plain"].strip("'")
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    print(device)
    print(manager.provisioner.why or "")
"""


class Trouble(Exception):
    """What keeps the book from working: the fact, its cause, and the one command that cures it."""

    def __init__(self, fact: str, cause: str, cure: str) -> None:
        super().__init__(fact)
        self.fact, self.cause, self.cure = fact, cause, cure


class Doubt(Trouble):
    """What will get in the reader's way sooner or later, but not now."""


@dataclass(frozen=True)
class Finding:
    """What one check found: its state is "ok", "warn" or "fail"."""

    name: str
    state: str
    fact: str
    cause: str = ""
    cure: str = ""


@dataclass(frozen=True)
class Run:
    """How a command ended: its exit status (negative: killed by that signal) and its words."""

    status: int
    out: str
    err: str = ""

    @property
    def last(self) -> str:
        """The last line it said, which for Python names the error."""
        said = [line.strip() for line in (self.err or self.out).splitlines() if line.strip()]
        return said[-1] if said else f"it ended with status {self.status} and said nothing"


def run(command: Sequence[str], *, cwd: Path = ROOT, limit: float = 120, **more: str) -> Run:
    """Run ``command`` with ``more`` in its environment; one that does not end is stopped."""
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, **more},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limit,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        return Run(127, "", f"{command[0]} is not installed")
    except subprocess.TimeoutExpired:
        return Run(124, "", f"it had not ended after {limit:.0f} s")
    return Run(done.returncode, done.stdout, done.stderr)


def python(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> str:
    """Is Python new enough?"""
    text = ".".join(map(str, version))
    if version[:2] < OLDEST:
        raise Trouble(
            f"Python {text}",
            "the book needs Python 3.11 or newer",
            "make clean && make lab PYTHON=python3.12",
        )
    return f"Python {text}"


def environment(
    prefix: Path = Path(sys.prefix), root: Path = ROOT, environ: Mapping[str, str] = os.environ
) -> str:
    """Is this the environment that belongs to this copy of the book?"""
    conda = environ.get("CONDA_PREFIX")
    if conda and Path(conda).resolve() == prefix.resolve():
        return f"conda's environment {prefix}"
    if prefix.resolve() != (root / ".venv").resolve():
        raise Trouble(
            f"running in {prefix}",
            "this is not the environment that the book made for itself",
            "make doctor",
        )
    return str(prefix)


def helpers_elsewhere(
    imported: Run | None = None, root: Path = ROOT, environ: Mapping[str, str] = os.environ
) -> str:
    """Does a notebook in any folder get this copy's helpers?"""
    if imported is None:
        with tempfile.TemporaryDirectory() as folder:
            code = "import helpers; print(helpers.__file__)"
            imported = run([sys.executable, "-c", code], cwd=Path(folder))
    if imported.status:
        raise Trouble("cannot be imported from another folder", imported.last, REINSTALL)
    found = Path(imported.out.strip()).parent
    if found.resolve() != (root / "helpers").resolve():
        shadow = "PYTHONPATH" in environ and environ["PYTHONPATH"]
        raise Trouble(
            f"another helpers comes first: {found}",
            f"PYTHONPATH is set to {shadow}" if shadow else "it is installed from another copy",
            "unset PYTHONPATH" if shadow else REINSTALL,
        )
    return f"imported from {found}"


def pins(lock: str | None = None, installed: Mapping[str, str] | None = None) -> str:
    """Are the installed versions those of requirements.lock?"""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    text = lock if lock is not None else (ROOT / "requirements.lock").read_text(encoding="utf-8")
    if installed is None:
        installed = {
            canonicalize_name(found.name): found.version
            for found in importlib.metadata.distributions()
            if found.name
        }
    asked = [Requirement(line) for line in re.findall(r"(?m)^([\w.-]+==[^\\\n#]+)", text)]
    asked = [pin for pin in asked if pin.marker is None or pin.marker.evaluate()]
    if not asked:
        raise Trouble(
            "requirements.lock pins nothing",
            "the file is damaged",
            "git checkout -- requirements.lock",
        )
    wrong = [
        f"{pin.name} {installed.get(canonicalize_name(pin.name), 'missing')} ({pin.specifier})"
        for pin in asked
        if not pin.specifier.contains(
            installed.get(canonicalize_name(pin.name), "0"), prereleases=True
        )
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise Trouble(
            f"{len(wrong)} of {len(asked)} packages differ: {', '.join(wrong[:3])}{more}",
            "something was installed, upgraded or removed by hand",
            REINSTALL,
        )
    return f"{len(asked)} packages, each as requirements.lock pins it"


def torch_pair(tried: Run | None = None) -> str:
    """Do torch and torchvision load together, and does a C++ operator of the pair run?"""
    tried = tried or run([sys.executable, "-c", _PAIR])
    if tried.status:
        mismatch = "nms does not exist" in tried.err or "undefined symbol" in tried.err
        raise Trouble(
            f"torchvision.ops.nms does not run: {tried.last}",
            "torch and torchvision come from different builds"
            if mismatch
            else "torch or torchvision is damaged, or a library of the system is missing",
            REINSTALL,
        )
    words = tried.out.split(maxsplit=2)
    if len(words) != 3 or words[2].strip() != "[1]":
        raise Trouble(
            f"torchvision.ops.nms gives {tried.out.strip()!r}",
            "torch and torchvision do not belong together",
            REINSTALL,
        )
    return f"torch {words[0]}, torchvision {words[1]}; torchvision.ops.nms runs"


@functools.cache
def _torch_says() -> Run:
    return run([sys.executable, "-c", _TORCH])


def cuda(
    torch_says: Run | None = None,
    environ: Mapping[str, str] = os.environ,
    smi: Callable[[], Run] = lambda: run(
        ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"], limit=20
    ),
) -> str:
    """Is there a CUDA device that torch can use, where one is wanted or built in?"""
    wanted = environ.get("BOOK_DEVICE", "").strip()
    if not re.fullmatch(r"(cpu|cuda(:\d+)?)?", wanted):
        raise Trouble(
            f"BOOK_DEVICE is {wanted!r}",
            "it names no device: cpu, cuda, cuda:1",
            "unset BOOK_DEVICE",
        )
    torch_says = torch_says or _torch_says()
    # With a broken GPU the library may end the process: what it said is what there is to go by.
    known = json.loads(torch_says.out) if torch_says.status == 0 else {}
    devices = known.get("devices", 0)
    index = int(wanted.partition(":")[2] or 0)
    if known and wanted.startswith("cuda") and devices > index:
        return f"BOOK_DEVICE={wanted}: {known['names'][index]}, CUDA {known['built']}"
    card = smi()
    there = card.status == 0 and bool(card.out.strip())
    problem = None
    said = " ".join(known.get("warnings", [])) or torch_says.err
    if "driver" in said and "too old" in said:
        problem = ("the NVIDIA driver is too old for this torch", "update the driver to the newest")
    elif not known:
        problem = (f"torch cannot use it: {torch_says.last}", "BOOK_DEVICE=cpu make lab")
    elif there and not devices and not known["built"]:
        problem = ("torch was installed without CUDA", REINSTALL)
    elif there and not devices:
        why = (known["warnings"] or ["CUDA_VISIBLE_DEVICES may hide it"])[0]
        problem = (f"torch sees no device: {why}", "unset CUDA_VISIBLE_DEVICES")
    if wanted.startswith("cuda"):
        cause, cure = problem or (
            f"torch sees {devices} CUDA devices" if devices else "this machine has no NVIDIA GPU",
            "unset BOOK_DEVICE",
        )
        raise Trouble(f"BOOK_DEVICE={wanted} cannot be used", cause, cure)
    if problem and wanted != "cpu":
        what = card.out.strip().splitlines()[0] if there else "the GPU"
        raise Doubt(f"{what} is not used; chapters run on the CPU", *problem)
    if wanted == "cpu":
        return "BOOK_DEVICE=cpu"
    if devices:
        return f"{', '.join(known['names'])}, CUDA {known['built']}"
    return "no NVIDIA GPU; chapters run on the CPU"


def threads(
    torch_says: Run | None = None,
    environ: Mapping[str, str] = os.environ,
    cores: int = count_cores(),
) -> str:
    """Will two open chapters fight for the cores?"""
    for name in ("BOOK_THREADS", "OMP_NUM_THREADS"):
        value = environ.get(name, "")
        if value and not re.fullmatch(r"[1-9]\d*", value):
            raise Trouble(f"{name} is {value!r}", "it is no number from 1", f"unset {name}")
    asked = lab_environment(dict(environ))["OMP_NUM_THREADS"]
    if int(asked) > cores:
        name = "OMP_NUM_THREADS" if environ.get("OMP_NUM_THREADS") else "BOOK_THREADS"
        raise Doubt(
            f"{asked} threads on {cores} cores",
            f"{name} asks for more threads than there are cores, and all of them slow down",
            f"unset {name}",
        )
    torch_says = torch_says or _torch_says()
    if torch_says.status:
        raise Trouble("torch does not load", torch_says.last, REINSTALL)
    return f"each chapter takes {asked} of {cores} cores"


def lab_itself(tried: Run | None = None) -> str:
    """Is JupyterLab whole?"""
    tried = tried or run([sys.executable, "-m", "jupyterlab", "--version"])
    if tried.status:
        raise Trouble("JupyterLab does not start", tried.last, REINSTALL)
    return f"JupyterLab {tried.out.strip()}"


def kernel(tried: Run | None = None, prefix: str = sys.prefix) -> str:
    """Does a kernel start, run a cell, and belong to this environment?"""
    tried = tried or run(
        [sys.executable, "-c", _KERNEL], JUPYTER_PATH=lab_environment({})["JUPYTER_PATH"]
    )
    if tried.status:
        raise Trouble("no kernel ran a cell", tried.last, REINSTALL)
    if tried.out.strip() != prefix:
        raise Trouble(
            f"the kernel python3 is that of {tried.out.strip()}",
            "another kernel of this name comes first",
            REINSTALL,
        )
    return "a kernel started and ran a cell"


def warm_kernels(
    tried: Run | None = None,
    obstacle: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> str:
    """Is a kernel forked from one that has imported torch, so that a chapter opens in a moment?"""
    try:
        if warm.folder_of(environ) is None and not warm.wanted(environ):
            return f"switched off by {warm.SETTING}"
    except ValueError as error:
        raise Trouble(str(error), "the variable is set so", f"unset {warm.SETTING}") from None
    if why := obstacle or warm.obstacle(environ):
        return f"none, each kernel imports torch for itself: {why}"
    if tried is None:
        settings = {"OMP_NUM_THREADS": "1"}
        try:
            cuda(environ=environ)
        except Trouble:
            # A device that no process can use is that check's matter.
            settings["BOOK_DEVICE"] = "cpu"
        tried = run([sys.executable, "-c", _WARM, _COMPUTE], **settings)
    if tried.status:
        raise Trouble("a forked kernel cannot compute", tried.last, f"make lab {warm.SETTING}=0")
    used, _, why = tried.out.strip().partition("\n")
    if why:
        raise Doubt("kernels are ordinary ones and open slowly", why, REINSTALL)
    return f"a kernel was forked and computed on {used} at once"


def widgets(
    imported: Run | None = None, info: Callable[[], Mapping[str, object]] | None = None
) -> str:
    """Are ipywidgets and their part of JupyterLab installed and enabled?"""
    imported = imported or run(
        [sys.executable, "-c", "import ipywidgets; print(ipywidgets.__version__)"]
    )
    if imported.status:
        raise Trouble("ipywidgets cannot be imported", imported.last, REINSTALL)
    state = (info or _lab_page)()
    if WIDGETS not in {known["name"] for known in state["federated_extensions"]}:
        raise Trouble(
            "JupyterLab does not know the widgets",
            f"its extension {WIDGETS} is not installed",
            REINSTALL,
        )
    if any(name.split(":")[0] == WIDGETS for name in state["disabledExtensions"]):
        raise Trouble(
            "the widgets are switched off in JupyterLab",
            f"the extension {WIDGETS} is disabled",
            f".venv/bin/jupyter labextension enable {WIDGETS}",
        )
    return f"ipywidgets {imported.out.strip()}, its extension enabled"


def _lab_page() -> Mapping[str, object]:
    """What JupyterLab tells the browser: its extensions, and which of them are disabled."""
    from jupyter_core.paths import jupyter_path
    from jupyterlab_server.config import get_page_config

    return get_page_config(jupyter_path("labextensions"))


def chapters(notebooks: Path = NOTEBOOKS) -> str:
    """Is every chapter there, whole, and built from its source?"""
    import nbformat

    from helpers.book.percent import digest

    sources = {path.stem: path for path in (notebooks / "source").glob("[0-9]*.py")}
    built = {path.stem: path for path in notebooks.glob("[0-9]*.ipynb")}
    if not sources and not built:
        raise Trouble(
            "there are none", "the folder notebooks is empty", "git checkout -- notebooks"
        )
    if missing := sorted(set(sources) - set(built)):
        raise Trouble(
            f"not there: {', '.join(missing)}",
            "the notebooks were removed, or never built",
            f"git checkout -- notebooks/{missing[0]}.ipynb || make notebooks",
        )
    for name, path in sorted(built.items()):
        try:
            read(path)
            notebook = nbformat.read(path, as_version=4)
            nbformat.validate(notebook)
        except (nbformat.ValidationError, ValueError, OSError) as why:
            raise Trouble(
                f"{name}.ipynb is damaged",
                str(why).splitlines()[0][:160],
                f"git checkout -- notebooks/{name}.ipynb",
            ) from why
        if name in sources:
            text = sources[name].read_text(encoding="utf-8")
            if notebook.metadata.get("book", {}).get("source") != digest(text):
                raise Doubt(
                    f"{name}.ipynb is not the one its source makes",
                    "the source was edited after it was built",
                    f"make notebooks NB={name[:3]}",
                )
    return f"{len(built)} chapters, each whole and built from its source"


def data(verify: Callable[[], list[str]] | None = None) -> str:
    """Are the data files those that the book was written with?"""
    if verify is None:
        from helpers.data import verify
    if problems := verify():
        what, _, cure = problems[0].partition("; bring it back with: ")
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise Trouble(what + more, "a file changed after the download", cure or "git status data")
    return "every file has the digest in the manifest"


def workbook(folder: Path = WORKBOOK) -> str:
    """Can the reader's own copy be read and written?"""
    if not folder.exists():
        return "not made yet; make lab makes it"
    if why := _not_writable(folder):
        raise Trouble(f"{folder} cannot be written", why, f'chmod -R u+rwX "{folder}"')
    notebooks = sorted(folder.glob("*.ipynb"))
    for path in notebooks:
        try:
            read(path)
        except (ValueError, OSError) as error:
            raise Doubt(
                f"{path.name} cannot be read as a notebook",
                str(error),
                f'mv "{path}" "{path}.damaged" && make lab',
            ) from error
    if notebooks and not (folder / MANIFEST).exists():
        raise Doubt(
            f"{MANIFEST} is gone",
            "without it every chapter that differs from the book counts as changed by you",
            "make lab",
        )
    return f"{len(notebooks)} notebooks"


def shadows(folder: Path = WORKBOOK) -> str:
    """Does a file of the reader's stand in the way of a module that chapters import?"""
    names = {*sys.stdlib_module_names, "helpers"}
    names |= {name for name in importlib.metadata.packages_distributions() if name != "tests"}
    for path in sorted(folder.glob("*")):
        name = path.stem if path.suffix == ".py" else path.name
        if name in names and (path.suffix == ".py" or (path / "__init__.py").exists()):
            raise Trouble(
                f"{path.name} in the workbook hides the module {name}",
                "Python looks in a notebook's own folder first",
                f'mv "{path}" "{path.with_name("my_" + path.name)}"',
            )
    return "no file of the workbook hides a module"


def progress(home: Path | None = None) -> str:
    """Can the reader's progress be read and saved?"""
    from helpers.exercises import store

    home = home or store.home()
    path = home / store.FILE
    if why := _not_writable(home):
        raise Trouble(
            f"progress cannot be saved in {home}", why, f'chmod -R u+rwX "{_existing(home)}"'
        )
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        passed = sum(entry["state"] == "pass" for entry in saved["exercises"].values())
    except FileNotFoundError:
        return f"none yet; it will be saved in {home}"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Doubt(
            f"{path} cannot be read", f"it is damaged ({error})", f'mv "{path}" "{path}.damaged"'
        ) from error
    return f"{passed} exercises passed, in {path}"


def jupyter_folders(folders: Sequence[Path] | None = None) -> str:
    """Can Jupyter write what it must, and let kernels and servers find each other?"""
    if folders is None:
        from jupyter_core.paths import jupyter_data_dir, jupyter_runtime_dir

        folders = [Path(jupyter_data_dir()), Path(jupyter_runtime_dir())]
    for folder in folders:
        if why := _not_writable(folder):
            raise Trouble(
                f"Jupyter cannot write {folder}",
                why,
                f'sudo chown -R "$USER" "{_existing(folder)}"',
            )
    return f"writable: {', '.join(map(str, folders))}"


def port(problem: Callable[[int], str | None] = port_problem, ports: Sequence[int] = ()) -> str:
    """Which port will JupyterLab get?"""
    ports = ports or range(8888, 8939)
    free = next((number for number in ports if problem(number) is None), None)
    if free is None:
        raise Trouble(
            f"no port from {ports[0]} to {ports[-1]} is free on {HOST}",
            "other programs hold them, or this machine allows no servers",
            "make lab ARGS='--port 9999'",
        )
    return f"{free} is free" + ("" if free == ports[0] else f"; {ports[0]} is taken")


def disk(free: Callable[[Path], float] = lambda path: shutil.disk_usage(path).free / GIGA) -> str:
    """Is there room for the reader's work?"""
    left = free(ROOT)
    if left < DISK_WANTED:
        raise (Trouble if left < DISK_NEEDED else Doubt)(
            f"{left:.2f} GB free", f"the disk of {ROOT} is nearly full", "df -h ."
        )
    return f"{left:.0f} GB free"


def memory(available: Callable[[], float] | None = None) -> str:
    """Is there memory for a chapter's kernel, JupyterLab and the browser?"""
    if available is None:
        import psutil

        left = psutil.virtual_memory().available / GIGA
    else:
        left = available()
    if left < MEMORY_WANTED:
        raise (Trouble if left < MEMORY_NEEDED else Doubt)(
            f"{left:.1f} GB available",
            f"a chapter may take 1.2 GB; {MEMORY_WANTED:.0f} GB are comfortable",
            "ps aux --sort=-rss | head",
        )
    return f"{left:.1f} GB available"


def encoding(name: str | None = None, stdout: str | None = None) -> str:
    """Does this machine write text as UTF-8?"""
    for where, used in (
        ("files", name or locale.getpreferredencoding(False)),
        ("the terminal", stdout or sys.stdout.encoding or ""),
    ):
        if used.lower().replace("-", "").replace("_", "") != "utf8":
            raise Trouble(
                f"{where}: {used or 'no encoding'}",
                "chapters hold Chinese terms, and this locale has no letters for them",
                "export PYTHONUTF8=1 LC_ALL=C.UTF-8",
            )
    return "UTF-8"


def checkout(git: Callable[..., Run] | None = None) -> str:
    """Is this a whole checkout, with the line endings it was committed with?"""
    git = git or (lambda *words: run(["git", *words], limit=30))
    state = git("status", "--porcelain", "--untracked-files=no")
    if state.status:
        raise Doubt(
            f"git: {state.last}",
            "without git a damaged file cannot be brought back, and the book cannot be updated",
            "git --version && git status",
        )
    endings = git("ls-files", "--eol", "notebooks", "helpers", "data", "Makefile")
    crlf = [line.split("\t")[-1] for line in endings.out.splitlines() if "w/crlf" in line]
    if crlf:
        raise Trouble(
            f"{len(crlf)} files have Windows line endings, as {crlf[0]}",
            "git rewrote them at the checkout (core.autocrlf)",
            "git config core.autocrlf false && git ls-files -z | xargs -0 touch && git stash",
        )
    changed = [line[3:] for line in state.out.splitlines()]
    if changed:
        raise Doubt(
            f"{len(changed)} of the book's own files are changed, as {changed[0]}",
            "they were edited here; your own work belongs into workbook/",
            "git diff --stat",
        )
    return "every file as it was committed"


def _existing(folder: Path) -> Path:
    return folder if folder.exists() else _existing(folder.parent)


def _not_writable(folder: Path) -> str:
    """Why nothing can be written in ``folder`` (or made there); empty when it can."""
    try:
        with tempfile.TemporaryFile(dir=_existing(folder)):
            return ""
    except OSError as error:
        return error.strerror or str(error)


CHECKS: tuple[tuple[str, Callable[[], str]], ...] = (
    ("Python", python),
    ("Environment", environment),
    ("Encoding", encoding),
    ("Checkout", checkout),
    ("Pinned versions", pins),
    ("Helpers", helpers_elsewhere),
    ("Torch pair", torch_pair),
    ("CUDA", cuda),
    ("Threads", threads),
    ("JupyterLab", lab_itself),
    ("Kernel", kernel),
    ("Warm kernels", warm_kernels),
    ("Widgets", widgets),
    ("Jupyter's folders", jupyter_folders),
    ("Port", port),
    ("Chapters", chapters),
    ("Data", data),
    ("Workbook", workbook),
    ("Module names", shadows),
    ("Progress", progress),
    ("Disk", disk),
    ("Memory", memory),
)


def examine(name: str, check: Callable[[], str]) -> Finding:
    """Run one check; what it cannot cope with is a finding too, never a traceback."""
    try:
        return Finding(name, "ok", check())
    except Doubt as doubt:
        return Finding(name, "warn", doubt.fact, doubt.cause, doubt.cure)
    except Trouble as trouble:
        return Finding(name, "fail", trouble.fact, trouble.cause, trouble.cure)
    except Exception as error:
        said = " ".join(str(error).split())
        return Finding(
            name,
            "fail",
            f"the check itself failed: {type(error).__name__}: {said}",
            "something the check stands on is damaged or missing",
            REINSTALL,
        )


def main(argv: list[str], checks: Sequence[tuple[str, Callable[[], str]]] = CHECKS) -> int:
    """Run every check and print what it found; 1 if one of them failed, else 0."""
    parser = argparse.ArgumentParser(prog="make doctor", description=__doc__.split("\n")[0])
    parser.parse_args(argv)
    width = max(len(name) for name, _ in checks)
    states = []
    for name, check in checks:
        found = examine(name, check)
        states.append(found.state)
        lines = [f"{_MARKS[found.state]}  {name:{width}}  {found.fact}"]
        if found.cure:
            lines += [
                f"{'':{width + 8}}cause: {found.cause}",
                f"{'':{width + 8}}cure:  {found.cure}",
            ]
        print(*(_printable(line) for line in lines), sep="\n", flush=True)
    failed, doubtful = states.count("fail"), states.count("warn")
    print(f"{len(states)} checks: {states.count('ok')} ok, {doubtful} warnings, {failed} failed")
    return 1 if failed else 0


_MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}


def _printable(line: str) -> str:
    # A terminal without UTF-8 is one of the findings: it must not end the doctor.
    encoding = sys.stdout.encoding or "ascii"
    return line.encode(encoding, errors="replace").decode(encoding)
