"""Warm kernels: to a reader the same as ordinary ones, whatever happens to whom."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import nbformat
import psutil
import pytest
from jupyter_client.manager import KernelManager

from helpers.book import parent as script
from helpers.book import warm
from helpers.book.chapters import NOTEBOOKS, ROOT
from helpers.book.kernel import THREADS, cores, kernel_environment
from helpers.book.provisioner import OwnPython, QuickClient
from tests.strict import outputs
from tests.strict.kernel import KernelDied, StrictKernel

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        warm.obstacle({}) is not None, reason="there are no warm kernels on this system"
    ),
]

THE_BOOKS = kernel_environment


def cold(environment: dict[str, str]) -> dict[str, str]:
    """The same environment, with warm kernels switched off."""
    return {**warm.without(environment), warm.SETTING: "0"}


@pytest.fixture(scope="module")
def book(tmp_path_factory) -> Iterator[dict[str, str]]:
    """The environment of a command that has started a parent, all imports done."""
    with parent_of_its_own(tmp_path_factory.mktemp("book")) as environment:
        yield environment


@contextmanager
def parent_of_its_own(home: Path) -> Iterator[dict[str, str]]:
    with mock.patch.dict(os.environ):
        os.environ.pop(warm.SETTING, None)
        with warm.kernels(kernel_environment(str(home / "home"))) as environment:
            yield environment


@contextmanager
def kernel(environment: dict[str, str], folder: Path) -> Iterator[StrictKernel]:
    """A kernel as the suite starts it, in the environment of a command."""
    with mock.patch.dict(os.environ, environment, clear=True):
        made = StrictKernel(folder)
        try:
            yield made
        finally:
            made.stop()


def say(made: StrictKernel, source: str) -> str:
    """What ``source`` prints in a kernel, or its error."""
    said = ""
    for output in made.run(source, 120):
        said += output.get("text", "") or f"{output['ename']}: {output['evalue']}"
    return said.strip()


def parent_of(environment: dict[str, str]) -> psutil.Process:
    folder = environment[warm.SETTING]
    (found,) = [
        process
        for process in psutil.process_iter(["cmdline"])
        if folder in (process.info["cmdline"] or []) and process.ppid() == os.getpid()
    ]
    return found


LOOK = """
import gc, json, locale, os, resource, signal, sys, threading, warnings

def look():
    ours = ("JPY_", "BOOK_", "IPYTHONDIR", "_")
    modules = {name.partition(".")[0] for name in sys.modules} - {*sys.stdlib_module_names}
    return {
        "path": sys.path, "argv": [word for word in sys.argv if ".json" not in word],
        "flags": repr(sys.flags),
        "folder": os.getcwd(), "umask": os.umask(0o22), "session": os.getsid(0) == os.getpid(),
        "environment": sorted((k, v) for k, v in os.environ.items() if not k.startswith(ours)),
        "signals": [str((s, signal.getsignal(s))) for s in sorted(signal.valid_signals())],
        "blocked": len(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "filters": [str(entry) for entry in warnings.filters],
        "modules": sorted(name for name in modules if not name.startswith("_")),
        "stdin": os.read(0, 1).decode(), "locale": locale.setlocale(locale.LC_ALL, None),
        "limits": [resource.getrlimit(n) for n in range(16)],
        "gc": [gc.isenabled(), gc.get_threshold()], "recursion": sys.getrecursionlimit(),
        "threads": len(threading.enumerate()), "main": repr(sys.modules["__main__"]),
        "hooks": [sys.excepthook.__name__, type(sys.displayhook).__name__],
        "daemon": threading.current_thread() is threading.main_thread(),
    }

states = [look()]
import matplotlib
try:
    matplotlib.pyplot
except AttributeError as error:
    states.append(str(error))
import torch
states.append("torch._dynamo" in sys.modules)
import torchvision, numpy
import matplotlib.pyplot as plt
from torch.utils.data import DataLoader
import torchvision.transforms.v2
_ = plt.figure()
plt.close()
states += [look(), matplotlib.get_backend(), {k: str(v) for k, v in matplotlib.rcParams.items()}]
states.append(repr(sys.modules["__mp_main__"]))
states += [torch.get_num_threads(), torch.get_num_interop_threads(), str(torch.get_default_dtype())]
states += [torch.is_grad_enabled(), torch.__config__.parallel_info()]
states += [sorted(n for n in sys.modules if n.startswith(("torch", "matplotlib", "numpy")))]
print(json.dumps(states))
"""


def test_it_is_an_ordinary_kernel_to_whoever_looks(book, tmp_path):
    seen = []
    for environment in (book, cold(book)):
        with kernel(environment, tmp_path) as made:
            is_warm = psutil.Process(made.pid).ppid() != os.getpid()
            assert is_warm == (warm.folder_of(environment) is not None)
            seen.append(json.loads(say(made, LOOK)))
    for part, other in zip(*seen, strict=True):
        if isinstance(part, dict):
            assert part.keys() == other.keys()
            for name, value in part.items():
                assert value == other[name], name
        else:
            assert part == other


@pytest.mark.parametrize("number", ["000", "103", "203", "502", "606"])
def test_a_chapter_gives_the_same_bytes(book, number):
    [path] = NOTEBOOKS.glob(f"{number}_*.ipynb")
    code = [c.source for c in nbformat.read(path, 4).cells if c.cell_type == "code"]
    runs = []
    for environment in (book, cold(book)):
        with kernel(environment, NOTEBOOKS) as made:
            # One text may come in two messages, if it takes long: that is time, not content.
            runs.append([outputs.normal(made.run(source, 120)) for source in code])
            assert made.why is None
    for number, (source, *came) in enumerate(zip(code, *runs, strict=True), 1):
        first, other = map(json.dumps, came)
        assert first == other, f"cell {number}\n{source}"


def test_every_kernel_draws_its_own_numbers(book, tmp_path):
    draw = (
        "import multiprocessing, random, numpy, torch\n"
        "key = multiprocessing.current_process().authkey.hex()\n"
        "print(torch.initial_seed(), torch.rand(1).item())\n"
        "print(numpy.random.rand(), random.random(), key)"
    )
    with kernel(book, tmp_path) as first, kernel(book, tmp_path) as second:
        drawn = [say(made, draw).split() for made in (first, second)]
        assert not {*drawn[0]} & {*drawn[1]}
        seeded = "_ = torch.manual_seed(0); numpy.random.seed(0); random.seed(0)\n" + draw
        drawn = [say(made, seeded).split()[:-1] for made in (first, second)]
        assert drawn[0] == drawn[1]


def test_nothing_is_shared_with_the_parent_but_memory(book, tmp_path):
    with kernel(book, tmp_path) as made:
        process = parent_of(book)
        links = [
            {os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir() if entry.exists()}
            for pid in (process.pid, made.pid)
        ]
        ours, theirs = links
        assert len(list(Path(f"/proc/{process.pid}/task").iterdir())) == 1
        assert not [
            link
            for link in ours
            if link.startswith("/") and link != os.devnull and not link.endswith(warm.LOG)
        ]
        assert not ours & theirs - {os.devnull}
        assert say(made, "import torch; print(torch.cuda._is_in_bad_fork())") == "False"
        names = (
            "print(*(n for n in __import__('os').environ if n.startswith(('BOOK_W', 'JUPYTER_D'))))"
        )
        assert say(made, names) == ""


TRAIN = """
import torch
from torch.utils.data import DataLoader, TensorDataset
from helpers import pick_device

device = pick_device()
_ = torch.manual_seed(0)
x = torch.randn(64, 1, 8, 8)
pairs = TensorDataset(x, x.sum((1, 2, 3)))
data = DataLoader(pairs, batch_size=16, num_workers=1, pin_memory=device.type == "cuda")
net = torch.nn.Sequential(
    torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 1)
).to(device)
optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
losses = []
for _ in range(10):
    for pictures, sums in data:
        out = net(pictures.to(device, non_blocking=True))[:, 0]
        loss = torch.nn.functional.mse_loss(out, sums.to(device, non_blocking=True))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
print(out.device == torch.zeros(1, device=device).device, losses[-1] < losses[0] / 2)
"""


def test_whatever_device_there_is_is_used_by_several_kernels(book, tmp_path):
    with kernel(book, tmp_path) as first, kernel(book, tmp_path) as second:
        assert [say(made, TRAIN) for made in (first, second)] == ["True True"] * 2
    with kernel(book, tmp_path) as later:
        assert say(later, TRAIN) == "True True"
        assert later.why is None


def test_cuda_begins_in_the_kernel(tmp_path):
    def asked(process: str) -> Counter[int]:
        """How often each process asked the linker for CUDA's driver, by what the linker tells."""
        logs = list(tmp_path.glob(f"{process}.*"))
        assert logs
        lines = [line for log in logs for line in log.read_text().splitlines()]
        return Counter(int(line.split(":")[0]) for line in lines if "library=libcuda.so" in line)

    def linker(process: str) -> dict[str, str]:
        return {"LD_DEBUG": "libs", "LD_DEBUG_OUTPUT": str(tmp_path / process)}

    # Some libraries look whether there is a driver when they are loaded, and use nothing of it.
    only_torch = [sys.executable, "-c", "import torch"]
    subprocess.run(only_torch, env={**os.environ, **linker("torch")}, check=True)
    anyway = asked("torch").total()
    with (
        mock.patch.dict(os.environ, linker("book")),
        parent_of_its_own(tmp_path) as book,
        kernel(book, tmp_path) as made,
    ):
        assert made.why is None
        parent = parent_of(book)
        built_for = say(made, "import torch; print(torch.version.cuda)")
        assert asked("book") == Counter({parent.pid: anyway})
        there = say(made, "print(torch.cuda.is_available())")
        assert not script._holds("/dev/nvidia", f"/proc/{parent.pid}/fd")
        if there == "True":
            assert script._holds("/dev/nvidia", f"/proc/{made.pid}/fd")
        elif built_for != "None":
            assert asked("book")[made.pid] > 0
        assert asked("book")[parent.pid] == anyway


def test_every_library_has_the_threads_that_it_would_have(tmp_path):
    (tmp_path / "home").mkdir()
    look = (
        "import numpy, torch, threadpoolctl, json\n"
        "from pathlib import Path\n"
        "found = [(one['internal_api'], one['num_threads'])"
        " for one in threadpoolctl.threadpool_info()]\n"
        "print(json.dumps([sorted(found), torch.get_num_threads()]))"
    )
    seen = []
    with (
        mock.patch("tests.strict.kernel.kernel_environment", several_threads),
        mock.patch("tests.test_warm.kernel_environment", several_threads),
        parent_of_its_own(tmp_path / "home") as book,
    ):
        for environment in (book, cold(book)):
            with kernel(environment, tmp_path) as made:
                assert made.why is None
                seen.append(json.loads(say(made, look)))
    assert seen[0] == seen[1]
    assert ["openblas", min(2, cores())] in seen[0][0]


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        ({"OMP_NUM_THREADS": "2"}, 1),
        ({}, 2),
        ({"OMP_NUM_THREADS": "1"}, 2),
        ({"OMP_NUM_THREADS": "99"}, 2),
        ({"OMP_NUM_THREADS": "-1"}, 2),
        ({"OMP_NUM_THREADS": "two"}, 2),
        ({"OMP_NUM_THREADS": "1,1"}, 2),
        ({"OPENBLAS_NUM_THREADS": "0", "OMP_NUM_THREADS": "2"}, 2),
        ({"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "1"}, 2),
        ({"OPENBLAS_DEFAULT_NUM_THREADS": "1"}, 2),
        ({"OPENBLAS_DEFAULT_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "2"}, 2),
        ({"GOTO_NUM_THREADS": "2", "OMP_NUM_THREADS": "1"}, 2),
    ],
)
def test_the_threads_asked_for_are_read_as_openblas_reads_them(asked, allowed):
    fewer = f"import os; os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:{allowed}])"
    threads = "import threadpoolctl; print(threadpoolctl.threadpool_info()[0]['num_threads'])"
    later = "; ".join(
        (
            "from helpers.book import parent",
            "os.environ.pop('OPENBLAS_NUM_THREADS')",
            f"os.environ.update({asked!r})",
            "parent._own_threads()",
        )
    )
    others = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    ordinary = [fewer, "import numpy", threads], {**others, **asked}
    forked = [fewer, "import numpy", later, threads], {**others, "OPENBLAS_NUM_THREADS": "1"}
    said = [
        subprocess.run(
            [sys.executable, "-c", "\n".join(lines)],
            env=environment,
            capture_output=True,
            check=True,
        ).stdout
        for lines, environment in (ordinary, forked)
    ]
    assert said[0] == said[1]


def several_threads(home: str) -> dict[str, str]:
    """As in JupyterLab on a machine of four cores, where only this one variable is set."""
    made = THE_BOOKS(home)
    for name in THREADS:
        made.pop(name, None)
    return {**made, "OMP_NUM_THREADS": "2"}


def test_what_torch_imports_late_works(book, tmp_path):
    late = (
        "import torch\n"
        "w = torch.ones(3, requires_grad=True)\n"
        "step = torch.optim.SGD([w], lr=0.1)\n"
        "(w * w).sum().backward()\n"
        "step.step()\n"
        "torch.set_num_threads(2)\n"
        "big = torch.ones(300, 300) @ torch.ones(300, 300)\n"
        "print(w.tolist(), big.sum().item(), 'torch._dynamo' in __import__('sys').modules)"
    )
    with kernel(book, tmp_path) as made:
        told = say(made, late)
        assert told == "[0.800000011920929, 0.800000011920929, 0.800000011920929] 27000000.0 True"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_start_by_every_method_and_end(book, tmp_path, method):
    load = (
        "import torch\n"
        "from torch.utils.data import DataLoader, TensorDataset\n"
        "import warnings\n"
        "warnings.filterwarnings('ignore', 'This DataLoader will create')\n"
        f"loader = DataLoader(TensorDataset(torch.arange(8)), 4, num_workers=2,"
        f" multiprocessing_context={method!r})\n"
        "print([batch.tolist() for batch, in loader])"
    )
    with kernel(book, tmp_path) as made:
        assert say(made, load) == "[[0, 1, 2, 3], [4, 5, 6, 7]]"
        assert say(made, "del loader") == ""
        helpers = ("resource_tracker", "forkserver")
        end = time.monotonic() + 10
        while left := [
            line
            for line in (" ".join(one.cmdline()) for one in made.processes() if one.is_running())
            if line and not any(name in line for name in helpers)
        ]:
            assert time.monotonic() < end, left
            time.sleep(0.1)
        started = made.processes()
    gone = psutil.wait_procs(started, timeout=5)[1]
    assert not gone


def test_it_can_be_interrupted(book, tmp_path):
    with kernel(book, tmp_path) as made:
        pid = made.pid
        threading.Timer(0.5, made.interrupt).start()
        assert say(made, "kept = 1\nimport time\ntime.sleep(60)") == "KeyboardInterrupt:"
        assert say(made, "print(kept, __import__('os').getpid())") == f"1 {pid}"


def test_fifty_restarts_leave_nothing_behind(book, tmp_path):
    process = parent_of(book)
    with mock.patch.dict(os.environ, book, clear=True):
        manager = KernelManager(kernel_spec_manager=OwnPython(), client_factory=QuickClient)
        manager.start_kernel(cwd=str(tmp_path), stderr=subprocess.DEVNULL)
        client = manager.client()
        client.start_channels()
        client.wait_for_ready(timeout=60)
        before = process.num_fds(), process.memory_info().rss, psutil.Process().num_fds()
        pids = {manager.provisioner.pid}
        for turn in range(50):
            manager.restart_kernel(now=turn % 10 != 0)
            client.wait_for_ready(timeout=60)
            assert manager.provisioner.why is None
            asked = {"old": "'mine' in dir()", "new": "torch.ones(2).sum().item()"}
            reply = client.execute("import torch", user_expressions=asked, reply=True, timeout=60)
            client.execute("mine = 1", reply=True, timeout=60)
            told = reply["content"]["user_expressions"]
            assert [told[name]["data"]["text/plain"] for name in asked] == ["False", "2.0"]
            pids.add(manager.provisioner.pid)
        assert len(pids) == 51
        assert [child.pid for child in process.children()] == [manager.provisioner.pid]
        assert process.num_fds() == before[0]
        assert process.memory_info().rss < before[1] + 2_000_000
        assert psutil.Process().num_fds() <= before[2] + 5
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert not process.children()


def test_a_killed_kernel_is_told_and_its_parent_goes_on(book, tmp_path):
    with kernel(book, tmp_path) as made, kernel(book, tmp_path) as other:
        with pytest.raises(KernelDied, match="killed by SIGKILL"):
            made.run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 30)
        assert not made.is_alive()
        assert say(other, "print(1)") == "1"
        with kernel(book, tmp_path) as third:
            assert third.why is None
    with kernel(book, tmp_path) as made, pytest.raises(KernelDied, match="with status 3"):
        made.run("import os; os._exit(3)", 30)


def test_with_the_parent_killed_kernels_go_on_and_new_ones_are_ordinary(tmp_path, capsys):
    (tmp_path / "book").mkdir()
    with parent_of_its_own(tmp_path / "book") as environment:
        with kernel(environment, tmp_path) as made:
            assert say(made, "kept = 1; print(kept)") == "1"
            parent = parent_of(environment)
            parent.kill()
            parent.wait(10)
            assert say(made, "print(kept)") == "1"
            assert made.is_alive()
            with kernel(environment, tmp_path) as cold:
                assert "the parent of warm kernels is gone" in cold.why
                assert psutil.Process(cold.pid).ppid() == os.getpid()
                assert say(cold, "print(2)") == "2"
            [line] = capsys.readouterr().err.splitlines()
            assert line.startswith("book: an ordinary kernel, not a warm one: the parent of")
            os.kill(made.pid, signal.SIGKILL)
            end = time.monotonic() + 10
            while made.is_alive():
                assert time.monotonic() < end
        assert not psutil.pid_exists(made.pid) or (
            psutil.Process(made.pid).status() == psutil.STATUS_ZOMBIE
        )


def test_two_books_at_once_have_a_parent_each(book, tmp_path):
    (tmp_path / "other").mkdir()
    with parent_of_its_own(tmp_path / "other") as other:
        parents = [parent_of(environment).pid for environment in (book, other)]
        assert parents[0] != parents[1]
        with kernel(book, tmp_path) as first, kernel(other, tmp_path) as second:
            assert [psutil.Process(made.pid).ppid() for made in (first, second)] == parents
            for made, number in ((first, 1), (second, 2)):
                say(made, f"import torch; mine = torch.full((2,), {number})")
            assert say(first, "print(mine.tolist())") == "[1, 1]"
            assert say(second, "print(mine.tolist())") == "[2, 2]"
        folder = Path(other[warm.SETTING])
    assert not psutil.pid_exists(parents[1])
    assert not folder.exists()


@contextmanager
def then_killed(code: str, environment: dict[str, str], folder: Path) -> Iterator[list[str]]:
    """The words of the first line that ``code`` prints in a process that is killed at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process.stdout.readline().split()
        finally:
            process.kill()


def test_when_the_owner_is_killed_nothing_stays(tmp_path):
    owner = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from helpers.book import warm\n"
        "from helpers.book.kernel import kernel_environment\n"
        "from tests.strict.kernel import StrictKernel\n"
        "process, ready = warm.start(kernel_environment(sys.argv[1]))\n"
        "os.environ.update(ready)\n"
        "made = StrictKernel(Path(sys.argv[1]))\n"
        "print(process.pid, made.pid, ready['BOOK_WARM'], made.why, flush=True)\n"
        "time.sleep(60)\n"
    )
    environment = {k: v for k, v in os.environ.items() if k not in (warm.SETTING, warm.DEFAULT)}
    with then_killed(owner, environment, tmp_path) as (parent, made, folder, why):
        assert why == "None"
        found = [psutil.Process(int(pid)) for pid in (parent, made)]
    _, left = psutil.wait_procs(found, timeout=10)
    assert not [one for one in left if one.status() != psutil.STATUS_ZOMBIE]
    assert not Path(folder).exists()


def test_a_kernel_ends_with_whoever_asked_for_it_though_its_parent_goes_on(book, tmp_path):
    asker = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from tests.strict.kernel import StrictKernel\n"
        "print(StrictKernel(Path(sys.argv[1])).pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with then_killed(asker, book, tmp_path) as [pid]:
        made = psutil.Process(int(pid))
        assert made.parent() == parent_of(book)
    psutil.wait_procs([made], timeout=10)
    assert not made.is_running()
    with kernel(book, tmp_path) as other:
        assert other.why is None


def test_the_socket_is_closed_to_everybody_else(book):
    folder = Path(book[warm.SETTING])
    assert folder.stat().st_mode & 0o077 == 0
    if os.getuid() == 0:
        knock = "import os, socket, sys; os.setuid(65534); socket.socket(1).connect(sys.argv[1])"
        asked = [sys.executable, "-c", knock, str(folder / warm.SOCKET)]
        done = subprocess.run(asked, capture_output=True, text=True)
        assert done.stderr.strip().splitlines()[-1].startswith("PermissionError")


def test_nonsense_at_the_socket_harms_nobody(book, tmp_path):
    for text in (b"", b"\0\0\0\2{}", b"\xff\xff\xff"):
        with socket.socket(socket.AF_UNIX) as knock:
            knock.connect(str(Path(book[warm.SETTING]) / warm.SOCKET))
            knock.sendall(text)
    with kernel(book, tmp_path) as made:
        assert made.why is None


@pytest.mark.parametrize(
    ("names", "more", "why"),
    [
        ((), {"OMP_NUM_THREADS": "2"}, "the environment variable OMP_NUM_THREADS has changed"),
        ((), {"TORCHINDUCTOR_CACHE_DIR": "/elsewhere"}, "variable TORCHINDUCTOR_CACHE_DIR has"),
        ((), {"A_NEW_ONE": "1"}, "the environment variable A_NEW_ONE has changed"),
        (("numpy.py",), {}, "numpy.py in the kernel's folder changes what an import gives"),
        (("sympy/__init__.py",), {}, "sympy in the kernel's folder changes"),
        (("matplotlibrc",), {}, "matplotlibrc in the kernel's folder changes"),
        (("torch.ipynb", "notes.py", "json.py"), {}, None),
    ],
)
def test_where_an_import_would_give_another_thing_it_is_ordinary(book, tmp_path, names, more, why):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    threads = mock.patch(
        "tests.strict.kernel.kernel_environment", lambda home: {**kernel_environment(home), **more}
    )
    with threads, kernel(book, tmp_path) as made:
        assert (made.why is None) == (why is None)
        assert why is None or why in made.why
        is_warm = psutil.Process(made.pid).ppid() == parent_of(book).pid
        assert is_warm == (why is None)


def test_what_torch_puts_into_the_environment_is_no_change(book, tmp_path):
    late = "import json, os, torch._dynamo; print(json.dumps(dict(os.environ)))"
    with kernel(book, tmp_path) as made:
        inside = json.loads(say(made, late))
    new = {name: value for name, value in inside.items() if name not in book}
    new = {name: value for name, value in new.items() if name.startswith("TORCH")}
    assert new
    with kernel({**book, **new}, tmp_path) as made:
        assert made.why is None
    gone = {name: value for name, value in book.items() if name != "NO_COLOR"}
    without = mock.patch("tests.strict.kernel.kernel_environment", return_value=gone)
    with without, kernel(book, tmp_path) as made:
        assert "NO_COLOR has changed" in made.why


def test_a_changed_file_is_seen(tmp_path):
    module = tmp_path / "loaded.py"
    module.write_text("1")
    known = script.Preloaded.__new__(script.Preloaded)
    known.environment, known.set_anyway, known.names = {}, {}, set()
    known.files = {str(module): script._signature(module)}
    asked = {"argv": [sys.executable, "-m", "ipykernel_launcher"], "env": {}, "cwd": str(tmp_path)}
    assert known.objection(asked) is None
    module.write_text("22")
    assert known.objection(asked) == f"{module} has changed since the parent read it"
    module.unlink()
    assert "has changed" in known.objection(asked)
    assert known.objection({**asked, "argv": ["/usr/bin/python3"]}) == ""


@pytest.mark.parametrize(
    ("planted", "why"),
    [
        (
            "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True)"
            ".start()",
            "an import started a thread",
        ),
        ("import torch\ntorch.cuda.is_initialized = lambda: True", "an import touched CUDA"),
    ],
)
def test_a_parent_that_did_more_than_import_forks_nothing(tmp_path, planted, why):
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "cycler.py").write_text(planted)
    with (
        mock.patch.dict(os.environ, {"PYTHONPATH": str(tmp_path / "path")}),
        parent_of_its_own(tmp_path) as environment,
        kernel(environment, tmp_path) as made,
    ):
        assert made.why == why
        assert say(made, "print(1)") == "1"


def test_an_open_device_is_seen(tmp_path):
    known = script.Preloaded.__new__(script.Preloaded)
    known.park = mock.Mock()
    known.park.module("torch").cuda.is_initialized.return_value = False
    known.park.module("torch").cuda._is_in_bad_fork.return_value = False
    (tmp_path / "0").symlink_to("/dev/null")
    assert not script._holds("/dev/nvidia", tmp_path)
    (tmp_path / "7").symlink_to("/dev/nvidiactl")
    assert script._holds("/dev/nvidia", tmp_path)
    assert not script._holds("/dev/nvidia", tmp_path / "nowhere")
    with mock.patch("os.listdir", return_value=["1"]):
        assert known.trouble() is None
        with mock.patch("os.readlink", return_value="/dev/nvidiactl"):
            assert known.trouble() == "an import touched CUDA"


def test_a_parent_that_cannot_start_leaves_its_last_words(tmp_path):
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "psutil.py").write_text("raise RuntimeError('planted')")
    with (
        mock.patch.dict(os.environ, {"PYTHONPATH": str(tmp_path / "path")}),
        parent_of_its_own(tmp_path) as environment,
    ):
        environment = {k: v for k, v in environment.items() if k != "PYTHONPATH"}
        with kernel(environment, tmp_path) as made:
            assert "its last words: RuntimeError: planted" in made.why
            assert say(made, "print(1)") == "1"


def test_a_module_is_parked_until_it_is_imported(tmp_path):
    (tmp_path / "mod_a.py").write_text(
        "import warnings\nwarnings.simplefilter('ignore', BytesWarning)"
    )
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("")
    (tmp_path / "pack" / "part.py").write_text("import mod_a, pack.other\nvalue = 1")
    (tmp_path / "pack" / "other.py").write_text("")
    code = f"""
import sys, warnings
sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]
from helpers.book.parent import Park
from importlib.util import find_spec
park = Park()
sys.meta_path.insert(0, park)
for name in ("mod_a", "pack", "pack.part", "no_such_module"):
    park.load(name)
filters = list(warnings.filters)
assert not {{"mod_a", "pack", "pack.part"}} & {{*sys.modules}}
assert find_spec("mod_a").origin.endswith("mod_a.py") and "mod_a" not in sys.modules
import pack
assert pack is park.module("pack") and not hasattr(pack, "part")
assert "mod_a" not in sys.modules and warnings.filters == filters
import pack.part
assert pack.part is park.module("pack.part") and pack.part.value == 1
assert pack.other is park.module("pack.other")
assert "mod_a" in sys.modules and len(warnings.filters) == len(filters) + 1
assert pack.part.__loader__.__class__.__name__ == "SourceFileLoader"
assert "value = 1" in pack.part.__spec__.loader.get_source("pack.part")
import importlib, threading
again = importlib.reload(pack.part)
assert again is pack.part and not hasattr(again, "left")
pack.part.left = 1
del sys.modules["pack.part"]
assert not hasattr(importlib.import_module("pack.part"), "left")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_threads_that_import_at_once_get_the_same_modules(tmp_path):
    for name in "abcdefgh":
        (tmp_path / f"many_{name}.py").write_text("")
    (tmp_path / "many.py").write_text("import many_" + ", many_".join("abcdefgh"))
    code = f"""
import sys, threading
from importlib import import_module
sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]
sys.setswitchinterval(1e-6)
from helpers.book.parent import Park
for _ in range(200):
    park = Park()
    sys.meta_path.insert(0, park)
    park.load("many")
    names = ["many", *("many_" + letter for letter in "abcdefgh")]
    got, start = {{}}, threading.Barrier(len(names))
    def fetch(name):
        start.wait()
        got[name] = import_module(name)
    threads = [threading.Thread(target=fetch, args=(name,)) for name in names]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert all(got[name] is park.module(name) is sys.modules[name] for name in names)
    sys.meta_path.remove(park)
    [sys.modules.pop(name) for name in names]
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("how", ["no fork", "macOS", "not installed", "another provisioner"])
def test_where_there_can_be_none_one_line_says_why(monkeypatch, capsys, how):
    environment = {"PATH": "/bin"}
    if how == "no fork":
        monkeypatch.delattr(os, "fork")
        words = "this system cannot fork"
    elif how == "macOS":
        monkeypatch.setattr(sys, "platform", "darwin")
        words = "this system cannot fork"
    elif how == "not installed":
        monkeypatch.setattr(warm, "registered", warm.registered.__wrapped__)
        monkeypatch.setattr(warm, "entry_points", lambda **_: ())
        words = "make setup"
    else:
        environment[warm.DEFAULT] = words = "gateway"
    monkeypatch.setattr(warm, "_said", set())
    monkeypatch.setattr(subprocess, "Popen", None)
    for _ in range(2):
        with warm.kernels(environment) as ready:
            assert ready == environment
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("book: an ordinary kernel, not a warm one: ")
    assert words in line


@pytest.mark.parametrize("value", ["0", "off", "no", " False "])
def test_it_can_be_switched_off(monkeypatch, value):
    monkeypatch.setattr(subprocess, "Popen", None)
    with warm.kernels({warm.SETTING: value}) as ready:
        assert ready == {warm.SETTING: value}


def test_a_setting_that_means_nothing_is_one_line(monkeypatch, capsys):
    from helpers.book import lab, suite

    monkeypatch.setenv(warm.SETTING, "perhaps")
    monkeypatch.setattr(subprocess, "run", None)
    for command in (suite.main, lab.main):
        assert command([]) != 0
        [line] = capsys.readouterr().err.splitlines()
        assert line == (
            "book: BOOK_WARM='perhaps' means nothing. "
            "BOOK_WARM=0 is for ordinary kernels; leave it out for warm ones"
        )
