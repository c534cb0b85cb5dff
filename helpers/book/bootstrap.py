"""Set up the book's own environment in ``.venv``, with nothing but Python's standard library.

Run by the Makefile with whatever ``python3`` the reader has. What is installed is exactly what
``requirements.lock`` pins, each file checked against its hash. When nothing has changed since the
last time, it returns at once.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OLDEST = (3, 11)
# The environment takes 6 GB with the CUDA libraries, and the installer's cache as much again
# where it lies on another disk; this is what the environment alone needs, and some air.
GIGABYTES = 8
STAMP = "book-stamp.json"

# What an installer's last words mean, and what the reader can do about it.
CAUSES = (
    (
        r"no space left|disk quota|os error 28",
        "the disk is full",
        "free {gigabytes} GB and run it again",
    ),
    (
        r"hash mismatch|do not match the hashes",
        "a downloaded file is not the pinned one",
        "run it again; if it stays so, a proxy is changing downloads",
    ),
    (
        r"certificate|UnknownIssuer|CERTIFICATE_VERIFY_FAILED",
        "the registry's certificate is not trusted on this machine",
        "install your network's certificate, or name it in SSL_CERT_FILE, and run it again",
    ),
    (
        r"dns|failed to fetch|error sending request|connection|timed out|temporary failure|"
        r"network|could not find a version|tunnel",
        "the package registry cannot be reached",
        "check the network, a proxy (HTTPS_PROXY) or your index setting, and run it again",
    ),
    (
        r"no matching distribution|not compatible|no wheels|unsatisfiable",
        "a pinned package has no build for this Python and system",
        "use Python 3.11 to 3.13 on 64-bit Linux, macOS or WSL",
    ),
)


class SetupError(Exception):
    """A cause and a cure, in one line each."""


def main() -> int:
    try:
        check_python(sys.version_info[:2])
        with _alone(ROOT / ".cache"):
            if is_current(ROOT):
                return 0
            set_up(ROOT)
    except SetupError as error:
        print(f"book: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nbook: interrupted. Run the command again to go on.", file=sys.stderr)
        return 130
    return 0


def check_python(version: tuple[int, int]) -> None:
    """Refuse a Python that is too old, or one without the modules that make environments."""
    if version < OLDEST:
        raise SetupError(
            f"Python {version[0]}.{version[1]} is too old. "
            "Install Python 3.11 or newer, or name one: make lab PYTHON=python3.11"
        )
    for module in ("venv", "ensurepip"):
        try:
            __import__(module)
        except ImportError:
            raise SetupError(
                f"this Python has no {module} module. On Debian and Ubuntu: "
                f"sudo apt-get install python{version[0]}.{version[1]}-venv"
            ) from None


def stamp(root: Path) -> str:
    """What the environment depends on: the pins, the package's own settings, where it lies."""
    digest = hashlib.sha256()
    for name in ("requirements.lock", "pyproject.toml"):
        digest.update((root / name).read_bytes())
    return json.dumps(
        {"pins": digest.hexdigest(), "root": str(root), "python": list(sys.version_info[:2])}
    )


def is_current(root: Path) -> bool:
    """Whether the environment is there and nothing that it depends on has changed."""
    try:
        same = (root / ".venv" / STAMP).read_text(encoding="utf-8") == stamp(root)
    except (OSError, UnicodeDecodeError):
        return False
    return same and (root / ".venv" / "bin" / "python").exists()


def set_up(root: Path) -> None:
    """Make the environment, or bring the one that is there up to date."""
    venv = root / ".venv"
    python = venv / "bin" / "python"
    if venv.exists() and not (venv / "pyvenv.cfg").exists():
        raise SetupError(f"{venv} is not an environment of this book. Move it away and run again")
    if not _belongs(venv, root):
        _need_space(root)
        print("Making the book's own environment in .venv", flush=True)
        _run([sys.executable, "-m", "venv", "--clear", str(venv)], root)
    (venv / STAMP).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        pins = Path(folder) / "uv.txt"
        pins.write_text(lines_of("uv", (root / "requirements.lock").read_text("utf-8")), "utf-8")
        pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        _run([*pip, "--no-deps", "--require-hashes", "-r", str(pins)], root)
    count = len(re.findall(r"(?m)^[\w.-]+==", (root / "requirements.lock").read_text("utf-8")))
    print(f"Installing the pinned packages (about {count}; PyTorch is the large one)", flush=True)
    # A company's own certificate is in the system's store, not in the installer's.
    uv = [str(python), "-m", "uv", "--no-progress", "--system-certs", "pip"]
    here = ["--python", str(python)]
    # Compiled now, once: every start of torch takes half the time, also where Python is told to
    # write no bytecode.
    sync = [*uv, "sync", *here, "--compile-bytecode", "--require-hashes", "requirements.lock"]
    _run(sync, root, progress=True)
    _run([*uv, "install", *here, "--no-deps", "--no-build-isolation", "-e", "."], root)
    # Every kernel imports the book's own package anew.
    _run([str(python), "-m", "compileall", "-q", "helpers"], root)
    (venv / STAMP).write_text(stamp(root), encoding="utf-8")
    print("The environment is ready.", flush=True)


def lines_of(package: str, lock: str) -> str:
    """The pin of one package, with its hashes, out of a lock file.

    Raises:
        SetupError: the lock does not pin it.
    """
    found = re.search(rf"(?m)^{re.escape(package)}==.*(?:\n[ \t]+--hash=.*)+", lock)
    if not found:
        raise SetupError(f"requirements.lock does not pin {package}. Run: git checkout -- .")
    return found[0].rstrip("\\ \n") + "\n"


def explain(words: str) -> str:
    """One line for an installer's failure: its cause and the cure, or its own last line."""
    for pattern, cause, cure in CAUSES:
        if re.search(pattern, words, re.IGNORECASE):
            return f"{cause}. To mend it: {cure.format(gigabytes=GIGABYTES)}"
    said = [line.strip() for line in words.splitlines() if line.strip()]
    return f"the installation failed: {said[-1] if said else 'without a word'}"


def _belongs(venv: Path, root: Path) -> bool:
    """Whether the environment was finished here: it holds absolute paths and cannot be moved."""
    try:
        kept = json.loads((venv / STAMP).read_text(encoding="utf-8"))
        now = json.loads(stamp(root))
        same = all(kept[key] == now[key] for key in ("root", "python"))
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return same and (venv / "bin" / "python").exists()


def _need_space(root: Path) -> None:
    free = shutil.disk_usage(root).free / 1e9
    if free < GIGABYTES:
        raise SetupError(
            f"{free:.1f} GB are free on this disk and {GIGABYTES} are needed, most of them for "
            "PyTorch. Free some and run it again"
        )


@contextlib.contextmanager
def _alone(folder: Path):
    """Keep two set-ups of one checkout from running at once; the second one waits."""
    try:
        folder.mkdir(exist_ok=True)
        lock = open(folder / "setup.lock", "w")  # noqa: SIM115, closed below
    except OSError as error:
        raise SetupError(f"cannot write in {folder}: {error.strerror}. Make it writable") from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(command: list[str], root: Path, progress: bool = False) -> None:
    """Run an installer quietly; on failure raise its cause and cure."""
    started, free = time.monotonic(), shutil.disk_usage(root).free
    done = threading.Event()

    def report() -> None:
        while not done.wait(10):
            written = max(free - shutil.disk_usage(root).free, 0) / 1e9
            print(f"  {time.monotonic() - started:.0f} s, {written:.1f} GB written", flush=True)

    watcher = threading.Thread(target=report, daemon=True)
    if progress:
        watcher.start()
    try:
        # The reader's own settings for other environments must not leak into this one.
        clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
        result = subprocess.run(
            command, cwd=root, env=clean, capture_output=True, text=True, errors="replace"
        )
    finally:
        done.set()
    if result.returncode:
        raise SetupError(explain(result.stderr or result.stdout))


if __name__ == "__main__":
    sys.exit(main())
