"""What starts and stops kernels: the provisioner of warm ones, and clients that do not wait idly.

``jupyter_client`` finds :class:`WarmProvisioner` by its entry point. A kernel that cannot be warm
is an ordinary one, and one line says why.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path
from queue import Empty
from typing import Any

from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.provisioning import LocalProvisioner
from jupyter_client.utils import ensure_async, run_sync

from helpers.book.warm import LOG, PROVISIONER, SOCKET, Cold, folder_of, registered, say, without

# A parent that was only just started imports torch first: from a cold disk this takes long.
READY = 60.0
# How long a kernel that was told to end may take before jupyter_client looks itself.
POLITE = 2.5
# The status of a kernel whose parent is gone: nobody can know it any more.
UNKNOWN = 255


class Forked:
    """A forked kernel, as :class:`subprocess.Popen` would present it; its parent tells its end."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int, connection: socket.socket, owned: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._connection, self._owned = connection, owned
        connection.setblocking(False)
        try:
            # Names this process and no later one of the same number.
            self._handle: int | None = os.pidfd_open(pid)
        except (AttributeError, OSError):
            self._handle = None

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        if self.returncode is not None:
            return self.returncode
        try:
            said = self._connection.recv(4096)
        except BlockingIOError:
            return None
        except OSError:
            said = b""
        if said:
            self._end(json.loads(said)["status"])
        elif not self._runs():
            self._end(UNKNOWN)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, as soon as there is one.

        Raises:
            subprocess.TimeoutExpired: there is none after ``timeout`` seconds.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                raise subprocess.TimeoutExpired(f"the kernel {self.pid}", timeout)
            select.select([self._connection], [], [], min(0.1, left or 0.1))
            if self._orphaned():
                time.sleep(0.01)
        return self.returncode

    async def ended(self, timeout: float) -> bool:
        """Wait for the end without holding up the loop; whether it came within ``timeout`` s."""
        end = time.monotonic() + timeout
        while self.poll() is None:
            left = end - time.monotonic()
            if left <= 0:
                return False
            if self._orphaned():
                await asyncio.sleep(0.02)
            else:
                await _readable(self._connection, left)
        return True

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _orphaned(self) -> bool:
        """Whether the parent is gone while the kernel still runs: nobody will tell its end."""
        if self.returncode is not None:
            return False
        try:
            return self._connection.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _runs(self) -> bool:
        if self._handle is not None:
            return not select.select([self._handle], [], [], 0)[0]
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def _end(self, status: int) -> None:
        self.returncode = status
        self._connection.close()
        for descriptor in (self._handle, self._owned):
            if descriptor is not None:
                os.close(descriptor)
        _ALIVE.discard(self)


# A kernel lives as long as the process that asked for it, not as long as some object there.
_ALIVE: set[Forked] = set()


async def _readable(source: socket.socket, timeout: float) -> bool:
    loop = asyncio.get_running_loop()
    came = loop.create_future()
    loop.add_reader(source, lambda: came.done() or came.set_result(None))
    try:
        await asyncio.wait_for(came, timeout)
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(source)
    return True


async def fork_kernel(
    folder: Path, command: list[str], options: dict[str, Any], again: bool = False
) -> Forked:
    """Ask the parent in ``folder`` for a kernel.

    Args:
        folder: the parent's folder.
        command: the kernel's command line.
        options: what :func:`jupyter_client.launcher.launch_kernel` takes besides it.
        again: whether it takes the place of one whose clients are still there.

    Raises:
        Cold: there is none to be had; the message says why.
    """
    unknown = options.keys() - {"env", "cwd", "stdin", "stdout", "stderr", "independent"}
    if unknown or options.get("independent"):
        raise Cold(f"it is started with {', '.join(sorted(unknown)) or 'independent'}")
    environment = {**options["env"], "JPY_PARENT_PID": str(os.getpid())}
    request = {
        "argv": command,
        "env": environment,
        "cwd": str(options.get("cwd") or os.getcwd()),
        "again": again,
    }
    text = json.dumps(request).encode()
    streams, ours = _streams(options)
    connection = socket.socket(socket.AF_UNIX)
    watched, owned = os.pipe()
    try:
        connection.connect(str(folder / SOCKET))
        socket.send_fds(connection, [struct.pack("!I", len(text))], [*streams, watched])
        connection.sendall(text)
        connection.setblocking(False)
        answer = await _answer(connection)
    except OSError as error:
        connection.close()
        os.close(owned)
        raise Cold(_why_gone(folder, error)) from None
    finally:
        for descriptor in (*ours, watched):
            os.close(descriptor)
    if "pid" not in answer:
        connection.close()
        os.close(owned)
        raise Cold(answer.get("no", "the forked process ended before it was a kernel"))
    kernel = Forked(answer["pid"], connection, owned)
    _ALIVE.add(kernel)
    return kernel


async def _answer(connection: socket.socket) -> dict[str, Any]:
    """The first line that the parent sends.

    Raises:
        OSError: it sends none.
    """
    line = b""
    while not line.endswith(b"\n"):
        if not await _readable(connection, READY):
            raise TimeoutError(f"it did not answer in {READY:g} s")
        # Byte by byte: what follows the line is for later.
        part = connection.recv(1)
        if not part:
            raise ConnectionError("it ended")
        line += part
    return json.loads(line)


def _why_gone(folder: Path, error: OSError) -> str:
    try:
        words = (folder / LOG).read_text(errors="replace").strip().splitlines()[-1:]
    except OSError:
        words = []
    last = f" (its last words: {words[0]})" if words else ""
    return f"the parent of warm kernels is gone or not well: {error.strerror or error}{last}"


def _streams(options: dict[str, Any]) -> tuple[list[int], list[int]]:
    """The descriptors to be the kernel's stdin, stdout and stderr, and those of them to close.

    Raises:
        Cold: a pipe is asked for, which only an ordinary process gives.
    """
    asked = [options.get(name) for name in ("stdin", "stdout", "stderr")]
    if subprocess.PIPE in asked:
        raise Cold("it is started with a pipe")
    streams: list[int] = []
    ours: list[int] = []
    for number, stream in enumerate(asked):
        if stream is None and number == 0:
            # As jupyter_client does it: a pipe that nobody writes to.
            descriptor, other = os.pipe()
            os.close(other)
            ours.append(descriptor)
        elif stream is None:
            descriptor = number
        elif stream == subprocess.DEVNULL:
            descriptor = os.open(os.devnull, os.O_RDWR)
            ours.append(descriptor)
        elif stream == subprocess.STDOUT:
            descriptor = streams[1]
        else:
            descriptor = stream if isinstance(stream, int) else stream.fileno()
        streams.append(descriptor)
    return streams, ours


class WarmProvisioner(LocalProvisioner):
    """Forks a kernel from the parent that ``BOOK_WARM`` names, or starts an ordinary one."""

    # Why the last kernel is an ordinary one; None when it is warm.
    why: str | None = None

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> dict[str, Any]:
        """Start the kernel; as :meth:`LocalProvisioner.launch_kernel`."""
        asked = kwargs.get("env") or dict(os.environ)
        options = LocalProvisioner._scrub_kwargs({**kwargs, "env": without(asked)})
        try:
            folder = folder_of(asked)
            if folder is None or "ipykernel_launcher" not in cmd:
                raise Cold
            self.process = await fork_kernel(folder, cmd, options, again=self.pid is not None)
        except Cold as reason:
            self.why = str(reason)
            say(reason)
            return await super().launch_kernel(cmd, **options)
        self.why = None
        self.pid = self.pgid = self.process.pid
        self.cwd = options.get("cwd") or Path.cwd()
        return self.connection_info

    async def kill(self, restart: bool = False) -> None:
        await super().kill(restart)
        await self._ended(1)

    async def shutdown_requested(self, restart: bool = False) -> None:
        """Wait for the end here, where it is told at once; the manager only looks now and then."""
        await self._ended(POLITE)

    async def _ended(self, seconds: float) -> None:
        if isinstance(self.process, Forked):
            await self.process.ended(seconds)


class OwnPython(KernelSpecManager):
    """Every kernel runs this interpreter, whatever kernels the user has installed."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        found = get_kernel_dict()
        if registered():
            found["metadata"]["kernel_provisioner"] = {"provisioner_name": PROVISIONER}
        return KernelSpec(resource_dir="", **found)


async def _ready(client: Any, timeout: float | None) -> None:
    """Wait until the kernel has answered and its outputs arrive, and not a moment longer.

    jupyter_client's own way looks for messages for 0.2 s more, at every start.
    """
    end = time.monotonic() + (timeout or float("inf"))
    while True:
        client.kernel_info()
        try:
            reply = await ensure_async(client.shell_channel.get_msg(timeout=1))
            while reply["msg_type"] == "kernel_info_reply":
                # What a kernel says before anybody listens is lost: then ask again.
                message = await ensure_async(client.iopub_channel.get_msg(timeout=0.2))
                idle = message["content"].get("execution_state") == "idle"
                if idle and message["parent_header"] == reply["parent_header"]:
                    client._handle_kernel_info_reply(reply)
                    return
        except Empty:
            pass
        if not await client._async_is_alive():
            raise RuntimeError("Kernel died before replying to kernel_info")
        if time.monotonic() > end:
            raise RuntimeError(f"Kernel didn't respond in {timeout:g} seconds")


class QuickClient(BlockingKernelClient):
    """A blocking client that is ready as soon as its kernel is."""

    async def _async_wait_for_ready(self, timeout: float | None = None) -> None:
        await _ready(self, timeout)

    wait_for_ready = run_sync(_async_wait_for_ready)


class AsyncQuickClient(AsyncKernelClient):
    """An asynchronous client that is ready as soon as its kernel is."""

    async def _async_wait_for_ready(self, timeout: float | None = None) -> None:
        await _ready(self, timeout)

    wait_for_ready = _async_wait_for_ready
