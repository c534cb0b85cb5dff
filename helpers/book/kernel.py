"""The environment a chapter's kernel runs in, the same for the builder and for the suite."""

from __future__ import annotations

import os

# One thread each: on two cores, two torch processes with two threads each run tens of times
# slower than with one, and sums come out in one order only.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# With it Python leaves assertions out, and every proof of the book passes.
WITHOUT_PROOFS = "PYTHONOPTIMIZE"
# So that a chapter is the same everywhere: a file to be run first may import what it forgot to,
# and other filters show other warnings.
UNWANTED = (WITHOUT_PROOFS, "PYTHONSTARTUP", "PYTHONWARNINGS")


def kernel_environment(home: str, threads: int | None = None) -> dict[str, str]:
    """The environment variables to start a kernel with.

    Args:
        home: an empty folder that takes the place of the reader's own progress (BOOK_HOME); it
            lies in a temporary folder, since IPython gets one beside it.
        threads: the number of threads torch may use; by default BOOK_THREADS, else 1.
    """
    count = str(threads or os.environ.get("BOOK_THREADS") or 1)
    return {
        **{name: value for name, value in os.environ.items() if name not in UNWANTED},
        **dict.fromkeys(THREADS, count),
        "BOOK_HOME": home,
        # The reader's own IPython profile may run anything at start.
        "IPYTHONDIR": f"{home}-ipython",
        "PYTHONHASHSEED": "0",
        "NO_COLOR": "1",
    }


def session_of(pid: int) -> int | None:
    """The session of a process, which has its leader's number; None where there is none to ask.

    A kernel leads a session of its own: what it started is in it, also when the kernel is gone.
    """
    try:
        return os.getsid(pid)
    except (AttributeError, ProcessLookupError, PermissionError):  # no sessions on Windows
        return None


def cores() -> int:
    """How many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1
