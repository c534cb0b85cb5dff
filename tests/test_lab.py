"""Opening the book: the port, the token, the kernel, the threads, and what stays the reader's."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import psutil
import pytest
import zmq
from zmq.utils.monitor import recv_monitor_message

from helpers.book import lab, warm
from helpers.book.bench import SERVE, Kernel, serving


@pytest.fixture
def notebooks(tmp_path: Path) -> Path:
    folder = tmp_path / "note books é"
    folder.mkdir()
    for name in ("000_start_here", "103_storage_and_views"):
        cells = [nbformat.v4.new_code_cell("1 + 1", id="one")]
        notebook = nbformat.v4.new_notebook(
            cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}}
        )
        nbformat.write(notebook, folder / f"{name}.ipynb")
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def taken_port():
    with socket.socket() as other:
        other.bind((lab.HOST, 0))
        other.listen()
        yield other.getsockname()[1]


def test_it_serves_the_workbook_to_who_has_the_token(notebooks, home, tmp_path):
    rogue = home / "data" / "kernels" / "python3"
    rogue.mkdir(parents=True)
    (rogue / "kernel.json").write_text('{"argv": ["false"], "display_name": "another"}')
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "themes.jupyterlab-settings").write_text('{"theme": "JupyterLab Dark"}')

    mine = tmp_path / "work book"
    with serving(notebooks, mine, home) as server:
        assert "http://127.0.0.1:" in server.log.read_text(encoding="utf-8")
        assert len(server.token) > 20
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"{server.url}api/contents", timeout=20)
        names = {entry["name"] for entry in server.ask("api/contents")["content"]}
        assert names == {"000_start_here.ipynb", "103_storage_and_views.ipynb"}
        kernel = server.ask("api/kernelspecs")["kernelspecs"]["python3"]
        assert kernel["spec"]["display_name"] != "another"
        news = server.ask("lab/api/settings/@jupyterlab/apputils-extension:notification")
        assert news["schema"]["properties"]["fetchNews"]["default"] == "false"
        theme = server.ask("lab/api/settings/@jupyterlab/apputils-extension:themes")
        assert theme["settings"]["theme"] == "JupyterLab Dark"
        heard = psutil.Process(server.pid).net_connections()
        assert {one.laddr.ip for one in heard if one.status == psutil.CONN_LISTEN} == {lab.HOST}
        layout = {"data": {}, "metadata": {"id": "default"}}
        server.ask("lab/api/workspaces/default", "PUT", layout)
        assert list((mine / ".jupyter" / "workspaces").iterdir())  # not among the reader's own
        log = server.log.read_text(encoding="utf-8")
    assert "2 chapters in" in log
    assert server.token in log  # the address that a reader without a browser copies
    assert "/lab/tree/000_start_here.ipynb" in log
    with pytest.raises(ProcessLookupError):
        os.kill(server.pid, 0)


@pytest.mark.parametrize("setting", [None, "0"], ids=["warm", "ordinary"])
def test_nobody_else_hears_what_a_kernel_says(notebooks, home, tmp_path, setting):
    # Not the suite's own parent: its kernels have another home.
    kind = {warm.SETTING: setting, warm.DEFAULT: None}
    with (
        serving(notebooks, tmp_path / "mine", home, **kind) as server,
        Kernel(server) as kernel,
        zmq.Context() as context,
        context.socket(zmq.SUB) as other,
    ):
        assert kernel.forked == (setting is None and warm.obstacle({}) is None)
        events = other.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
        other.subscribe(b"")
        (known,) = (home / "runtime").glob("kernel-*.json")
        port = json.loads(known.read_text(encoding="utf-8"))["iopub_port"]
        other.connect(f"tcp://{lab.HOST}:{port}")
        assert events.poll(20_000)
        assert recv_monitor_message(events)["event"] == zmq.EVENT_DISCONNECTED
        other.disable_monitor()
        kernel.run("1 + 1")
        assert not other.poll(200)
        log = server.log.read_text(encoding="utf-8")
    assert "WARNING" not in log


def test_ctrl_c_at_a_terminal_stops_it_without_a_question(notebooks, home, tmp_path):
    pty = pytest.importorskip("pty", reason="this system has no terminals of this kind")
    ours, terminal = pty.openpty()
    command = [sys.executable, "-c", SERVE, str(notebooks), str(tmp_path / "mine")]
    environ = {**os.environ, "HOME": str(home), "JUPYTER_RUNTIME_DIR": str(home)}
    log = home / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(command, env=environ, stdin=terminal, stdout=output, stderr=output) as it,
    ):
        try:
            end = time.monotonic() + 60
            while b"?token=" not in log.read_bytes() and time.monotonic() < end:
                time.sleep(0.1)
            it.send_signal(signal.SIGINT)
            assert it.wait(20) == 0
        finally:
            it.kill()
            os.close(terminal)
            os.close(ours)
    assert "y/[n]" not in log.read_text(encoding="utf-8")


def test_a_port_that_is_asked_for_and_taken_is_one_line(notebooks, tmp_path, capsys, taken_port):
    options = ["--no-browser", "--port", str(taken_port)]
    assert lab.main(options, notebooks=notebooks, workbook=tmp_path / "mine") == 1
    said = capsys.readouterr().err
    assert said.startswith(f"book: port {taken_port} is taken by another program")
    assert said.count("\n") == 1
    assert "make lab ARGS=" in said


def test_a_port_that_is_free_is_no_problem(taken_port):
    with socket.socket() as other:
        other.bind((lab.HOST, 0))
        free = other.getsockname()[1]
    assert lab.port_problem(free) is None
    assert "is taken" in lab.port_problem(taken_port)


def test_a_port_that_is_refused_is_told_apart(monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    assert "is refused (Permission denied)" in lab.port_problem(80)


@pytest.mark.parametrize("port", ["0", "65536", "eighty", "-1", "²"])
def test_what_is_no_port_is_said(port, capsys):
    with pytest.raises(SystemExit):
        lab.main([f"--port={port}"])
    assert "give a number from 1 to 65535" in capsys.readouterr().err


def test_without_a_port_the_next_free_one_is_jupyters_choice(tmp_path):
    command = lab.lab_command(tmp_path, "000_a.ipynb", None, False)
    assert not any(word.startswith("--ServerApp.port") for word in command)
    assert "--no-browser" not in command
    asked = lab.lab_command(tmp_path, "000_a.ipynb", 9000, True)
    assert {"--ServerApp.port=9000", "--ServerApp.port_retries=0", "--no-browser"} <= set(asked)
    assert not any(".token" in word for word in asked)


@pytest.mark.parametrize(
    ("cores", "environ", "threads"),
    [
        (8, {}, "4"),
        (1, {}, "1"),
        (8, {"BOOK_THREADS": "3"}, "3"),
        (8, {"OMP_NUM_THREADS": "7"}, "7"),
    ],
)
def test_a_kernel_leaves_room_for_another(monkeypatch, cores, environ, threads):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert lab.lab_environment(environ)["OMP_NUM_THREADS"] == threads


def test_the_readers_own_jupyter_folders_come_after_the_books():
    environ = lab.lab_environment({"JUPYTER_PATH": "/mine", "JUPYTER_CONFIG_PATH": "/my config"})
    assert environ["JUPYTER_PATH"].split(os.pathsep) == [
        str(Path(sys.prefix, "share", "jupyter")),
        "/mine",
    ]
    assert environ["JUPYTER_CONFIG_PATH"].split(os.pathsep) == [str(lab.SETTINGS), "/my config"]


def test_assertions_hold_whatever_the_readers_python_leaves_out(notebooks, home, tmp_path):
    off = {warm.SETTING: "0", warm.DEFAULT: None, "PYTHONOPTIMIZE": "1"}
    with (
        serving(notebooks, tmp_path / "mine", home, **off) as server,
        Kernel(server) as kernel,
        pytest.raises(RuntimeError, match=r"^AssertionError: "),
    ):
        kernel.run("assert False")


def test_what_the_update_has_to_say_is_said(notebooks, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(os, "execve", lambda *_: None)
    lab.main([], notebooks=notebooks, workbook=tmp_path / "mine")
    (tmp_path / "mine" / "000_start_here.ipynb").write_text("{")
    lab.main([], notebooks=notebooks, workbook=tmp_path / "mine")
    assert "book: 000_start_here.ipynb: kept" in capsys.readouterr().out


def test_a_book_without_chapters_is_one_line(tmp_path, capsys):
    assert lab.main([], notebooks=tmp_path, workbook=tmp_path / "mine") == 1
    assert capsys.readouterr().err.startswith("book: no chapter is in")


def test_a_book_whose_chapters_are_all_damaged_is_one_line(notebooks, tmp_path, capsys):
    for path in notebooks.glob("*.ipynb"):
        path.write_text("{")
    assert lab.main([], notebooks=notebooks, workbook=tmp_path / "mine") == 1
    assert "every chapter is damaged" in capsys.readouterr().err


def test_an_environment_without_jupyterlab_is_one_line(notebooks, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(lab, "find_spec", lambda _: None)
    assert lab.main([], notebooks=notebooks, workbook=tmp_path / "mine") == 1
    assert "JupyterLab is not installed" in capsys.readouterr().err


def test_opening_the_book_waits_for_no_heavy_import():
    code = (
        "import sys, helpers.book.lab;"
        "print(*{'torch', 'numpy', 'nbformat', 'jupytext'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
