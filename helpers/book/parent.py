"""The parent of warm kernels: imports once what chapters import, and forks a kernel per request.

Run as a script by :mod:`helpers.book.warm`, never imported: the kernels must find ``helpers`` on
disk as it is when they start, so nothing of it may be loaded here. It runs no operation, starts no
thread and touches no CUDA; where an import did, it says so and forks nothing.

What a chapter imports is *parked*: out of ``sys.modules`` until it is imported in the kernel, which
then takes no time. So a kernel starts with the modules of an ordinary one, a missing import fails
as it does there, and the warning filters of a package come when it is imported.

A request is one connection to the socket: the length of a JSON text, with four file descriptors
(stdin, stdout, stderr, and a pipe whose end means that the kernel's owner is gone), then the text.
The answer is a line with the kernel's ``pid``, or with ``no`` and the reason; and when the kernel
has ended, a line with its ``status``.
"""

import gc
import json
import os
import re
import selectors
import shutil
import signal
import socket
import struct
import sys
import threading
import time
import warnings
from importlib import import_module
from importlib.machinery import ModuleSpec

# What an ordinary kernel has loaded when it is ready.
KERNEL = (
    "ipykernel.kernelapp",
    "ipykernel.debugger",
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.logger",
    "IPython.core.oinspect",
    "IPython.extensions.storemagic",
    "faulthandler",
    "psutil",
    "sqlite3",
    "tornado.platform.asyncio",
    "tornado.queues",
)
# What chapters import. Each is parked with what it brings; one that brings another comes later.
CHAPTERS = (
    "numpy",
    "PIL.Image",
    "torch",
    "torch.utils.data",
    "torch._dynamo",
    "torchvision",
    "torchvision.transforms.v2",
    "matplotlib",
    "matplotlib.pyplot",
    "matplotlib.backends.backend_agg",
    "matplotlib_inline.backend_inline",
)
# This one looks for the running shell when it is imported, so each kernel imports it itself.
FRESH = ("matplotlib_inline.backend_inline",)
# What a kernel's environment may hold that its parent's did not: nothing that is read by an import.
FREE = (
    *("BOOK_HOME", "BOOK_WARM", "CHANGED", "IPYTHONDIR"),
    *("COLUMNS", "LINES", "OLDPWD", "PWD", "SHLVL", "_"),
)
FREE_STARTS = ("JPY_", "JUPYTER_", "MAKE", "MFLAGS", "PYTEST_")
SECONDS = 10
# ZeroMQ comes back to an address after 0.1 to 0.2 s. A reply before that would be heard by nobody;
# an ordinary kernel needs longer than that between its first and its last step.
RECONNECTED = 0.25


class Group:
    """Modules that were loaded together, and what else their import did."""

    def __init__(self, modules, needs=()):
        self.modules, self.needs = modules, needs
        self.filters, self.environment = [], {}
        self.parked = False

    def attributes(self):
        """Where a module of this group is an attribute of a package that is not of the group."""
        for name, module in self.modules.items():
            package, _, child = name.rpartition(".")
            if package and package not in self.modules:
                yield package, child, module


class Park:
    """Holds modules until they are imported; a finder, first in ``sys.meta_path``."""

    def __init__(self):
        self.groups = []
        self.taken = []
        # What to call when a module is given out.
        self.then = {}
        # Threads that import at the same time must get the same modules.
        self._lock = threading.RLock()
        self._of = {}
        self._packages = {}
        self._filters = list(warnings.filters)

    def load(self, root):
        """Import ``root`` and park what that loaded beyond the standard library."""
        before, environment = set(sys.modules), dict(os.environ)
        self.taken = []
        try:
            import_module(root)
        except ImportError:
            # A chapter that needs it will say so.
            self.park()
            return
        taken = list(self.taken)
        known = {name for group in taken for name in group.modules}
        inherited = [entry for group in taken for entry in group.filters]
        packages = {}
        for name in sys.modules.keys() - before - known:
            package = name.partition(".")[0]
            if package not in (*sys.stdlib_module_names, "__mp_main__"):
                packages.setdefault(package, {})[name] = sys.modules[name]
        # Another package that was brought along can also be imported by itself.
        own = packages.pop(root.partition(".")[0], {})
        for modules in packages.values():
            taken.append(Group(modules))
        group = Group(own, taken)
        group.filters = [
            f for f in warnings.filters if f not in self._filters and f not in inherited
        ]
        group.environment = _news(environment)
        for made in (*taken, group):
            if made not in self.groups:
                self.groups.append(made)
                for module in made.modules.values():
                    spec = getattr(module, "__spec__", None)
                    if isinstance(spec, ModuleSpec):
                        spec.loader = Taker(self, made, spec.loader)
                self._of.update(dict.fromkeys(made.modules, made))
                self._packages.update(made.modules)
        self.park()

    def park(self):
        """Put every group back, as if nothing had been imported."""
        for group in reversed(self.groups):
            if group.parked:
                continue
            for name in group.modules:
                sys.modules.pop(name, None)
            for package, child, module in group.attributes():
                holder = vars(self._holder(package))
                if holder.get(child) is module:
                    del holder[child]
            group.parked = True
        warnings.filters[:] = self._filters
        warnings._filters_mutated()

    def take(self, group):
        """Give a group's modules out, and those of the groups that it needs before them."""
        with self._lock:
            if group.parked:
                group.parked = False
                self._give(group)

    def _give(self, group):
        for needed in group.needs:
            self.take(needed)
        self.taken.append(group)
        os.environ.update(group.environment)
        sys.modules.update(group.modules)
        for package, child, module in group.attributes():
            vars(self._holder(package)).setdefault(child, module)
        for entry in reversed(group.filters):
            if entry in warnings.filters:
                warnings.filters.remove(entry)
            warnings.filters.insert(0, entry)
        warnings._filters_mutated()
        for name in self.then.keys() & group.modules.keys():
            self.then[name]()

    def _holder(self, package):
        return self._packages.get(package) or sys.modules[package]

    def module(self, name):
        """A module that was loaded, parked or not; None where it could not be."""
        return self._packages.get(name)

    def forget(self, name):
        """Drop one module of a group: it is then imported anew, from its file."""
        if group := self._of.pop(name, None):
            module = group.modules.pop(name)
            package, _, child = name.rpartition(".")
            holder = vars(self._holder(package))
            if holder.get(child) is module:
                del holder[child]

    def find_spec(self, name, path=None, target=None):
        group = self._of.get(name)
        with self._lock:
            # Another thread may have taken it a moment ago. To reload it, its file is read.
            there = group is not None and (group.parked or name in sys.modules)
        if not there or target is not None:
            return None
        # Its own one, whose loader is a Taker: importlib itself asks for that where another thread
        # was faster.
        return getattr(group.modules[name], "__spec__", None) or ModuleSpec(
            name, Taker(self, group, None)
        )


class Taker:
    """The loader of a parked module: importing it takes its whole group.

    For all else it is the loader that it stands for.
    """

    def __init__(self, park, group, loader):
        self._park, self._group, self._loader = park, group, loader

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        self._park.take(self._group)
        # In the place of the empty module that importlib has made for it.
        name = module.__spec__.name
        sys.modules[name] = self._group.modules[name]


class Preloaded:
    """All that is imported, and when it would no longer be what an ordinary kernel imports."""

    def __init__(self):
        self.environment = dict(os.environ)
        for name in KERNEL:
            import_module(name)
        self.news = _news(self.environment)
        own = {name.partition(".")[0] for name in sys.modules}
        # A pool of threads would start here; a kernel that wants one starts it when it is there.
        pool = {"OPENBLAS_NUM_THREADS": "1"}
        backend = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
        os.environ.update({**backend, **self.environment, **pool})
        self.park = Park()
        sys.meta_path.insert(0, self.park)
        loaded = set(sys.modules)
        for name in CHAPTERS:
            self.park.load(name)
        os.environ.clear()
        os.environ.update(self.environment)
        brought = {*self.park._of, *(sys.modules.keys() - loaded)}
        self.names = {name.partition(".")[0] for name in brought} - own
        everything = [*sys.modules.values(), *self.park._packages.values()]
        files = {getattr(module, "__file__", None) for module in everything}
        self.files = {path: _signature(path) for path in files if path}
        # Whoever has imported torch hands on what that has put into the environment.
        self.set_anyway = dict(self.news)
        for group in self.park.groups:
            self.set_anyway.update(group.environment)
        for name in FRESH:
            self.park.forget(name)

    def trouble(self):
        """Why no kernel may be forked from this process at all, or None."""
        tasks = "/proc/self/task"
        if os.path.isdir(tasks) and len(os.listdir(tasks)) > 1:
            return "an import started a thread"
        torch = self.park.module("torch")
        if torch is None:
            return "torch cannot be imported"
        if torch.cuda.is_initialized() or torch.cuda._is_in_bad_fork() or _holds("/dev/nvidia"):
            return "an import touched CUDA"
        return None

    def objection(self, request):
        """Why this request needs an ordinary kernel (in words, or none at all), or None."""
        argv, environment, folder = request["argv"], request["env"], request["cwd"]
        if argv[0] != sys.executable:
            # Another Python's kernel: nobody takes it for a warm one.
            return ""
        if argv[1:3] != ["-m", "ipykernel_launcher"]:
            return f"it is started with {argv[1]}"
        for name in sorted(self.environment.keys() | environment.keys()):
            value, known = environment.get(name), self.environment.get(name)
            same = value == known or (known is None and value == self.set_anyway.get(name))
            if not same and name not in FREE and not name.startswith(FREE_STARTS):
                return f"the environment variable {name} has changed since the parent started"
        for path, known in self.files.items():
            if _signature(path) != known:
                return f"{path} has changed since the parent read it"
        try:
            for name in os.listdir(folder):
                stem = name.partition(".")[0]
                if name == "matplotlibrc" or (stem in self.names and _importable(folder, name)):
                    return f"{name} in the kernel's folder changes what an import gives"
        except OSError as error:
            return f"{folder}: {error.strerror}"
        return None


def _news(environment):
    """What an import has put into the environment."""
    return {name: value for name, value in os.environ.items() if environment.get(name) != value}


def _holds(start, descriptors="/proc/self/fd"):
    """Whether this process has a file open whose name begins with ``start``, as far as one can see.

    CUDA's driver opens its device as soon as anybody counts the cards, and is of no use after a
    fork; torch itself takes no note of that.
    """
    if not os.path.isdir(descriptors):
        return False
    for name in os.listdir(descriptors):
        try:
            if os.readlink(os.path.join(descriptors, name)).startswith(start):
                return True
        except OSError:
            # The one by which the folder itself was read.
            continue
    return False


def _signature(path):
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _importable(folder, name):
    return name.endswith((".py", ".so", ".pyc")) or os.path.isdir(os.path.join(folder, name))


class Request:
    """A kernel to be: in the parent only read, in the forked process carried out."""

    def __init__(self, connection):
        self.connection = connection
        connection.settimeout(SECONDS)
        head, self.descriptors, _, _ = socket.recv_fds(connection, 4, 4)
        (length,) = struct.unpack("!I", head)
        text = b""
        while len(text) < length:
            part = connection.recv(length - len(text))
            if not part:
                raise ValueError("the request broke off")
            text += part
        asked = json.loads(text)
        self.argv, self.environment, self.folder = asked["argv"], asked["env"], asked["cwd"]
        self.asked = asked
        if len(self.descriptors) != 4:
            raise ValueError("a request comes with four file descriptors")

    def answer(self, **words):
        try:
            self.connection.sendall(json.dumps(words).encode() + b"\n")
        except OSError:
            # Whoever asked is gone.
            self.connection.close()

    def close(self):
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors = []


def serve(listener, preloaded):
    """Fork a kernel for each request. Returns its request in a kernel, None when the owner is gone.

    The owner holds the other end of stdin: at its end there is nobody left to serve.
    """
    woken, waker = socket.socketpair()
    for end in (woken, waker):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker.fileno())
    kernels = {}
    trouble = preloaded.trouble()
    selector = selectors.PollSelector()
    for source in (0, listener, woken):
        selector.register(source, selectors.EVENT_READ)
    while True:
        ready = {key.fileobj for key, _ in selector.select()}
        if 0 in ready:
            return None
        if woken in ready:
            woken.recv(4096)
            _reap(kernels)
        if listener not in ready:
            continue
        connection, _ = listener.accept()
        try:
            if not _mine(connection):
                raise ValueError("another user asks")
            request = Request(connection)
        except (OSError, ValueError, KeyError, TypeError, struct.error):
            connection.close()
            continue
        no = trouble or preloaded.objection(request.asked)
        if no is not None:
            request.answer(no=no)
            request.close()
            connection.close()
            continue
        try:
            pid = os.fork()
        except OSError as error:
            request.answer(no=f"the parent cannot fork: {error.strerror}")
            request.close()
            connection.close()
            continue
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for other in (listener, woken, waker, *(r.connection for r in kernels.values())):
                other.close()
            return request
        request.close()
        kernels[pid] = request


def _mine(connection):
    """Whether the same user asks: a second lock, since the socket's folder is closed to others."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    size = struct.calcsize("3i")
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    return struct.unpack("3i", found)[1] == os.getuid()


def _reap(kernels):
    """Tell who asked for them how the kernels that have ended did so."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        request = kernels.pop(pid)
        request.answer(status=os.waitstatus_to_exitcode(status))
        request.connection.close()


def become(request, preloaded):
    """Be the kernel that was asked for, in a process that was forked for it, until it ends."""
    try:
        os.setsid()
        os.chdir(request.folder)
        *streams, owner = request.descriptors
        for number, descriptor in enumerate(streams):
            os.dup2(descriptor, number, inheritable=True)
            os.close(descriptor)
        os.set_inheritable(owner, False)
        os.environ.clear()
        os.environ.update({**preloaded.news, **request.environment})
    except OSError as error:
        request.answer(no=f"{error.filename or 'the forked process'}: {error.strerror}")
        return
    _own_chance(preloaded.park)
    preloaded.park.then["numpy"] = _own_threads
    gc.enable()

    from ipykernel.kernelapp import IPKernelApp

    launcher = os.path.join(os.path.dirname(sys.modules["ipykernel"].__path__[0]), request.argv[2])
    sys.argv = [f"{launcher}.py", *request.argv[3:]]
    # Its default was read from the environment when the class was imported.
    app = IPKernelApp.instance(parent_handle=int(os.environ.get("JPY_PARENT_PID") or 0))
    app.initialize()
    # What multiprocessing takes for the main module, since it was imported before that was there.
    sys.modules["__mp_main__"] = sys.modules["__main__"]
    # Not before it listens: a client that knocks too early comes back after 0.1 s or later.
    request.answer(pid=os.getpid())
    request.connection.close()
    if request.asked["again"]:
        # It listens where the last one did, and whoever was connected comes back on their own time.
        time.sleep(RECONNECTED)
    if app.poller is not None:
        app.poller = _owner_watch(owner)
    app.start()


def _own_chance(park):
    """Draw new seeds: what was drawn before the fork, all kernels would share."""
    import multiprocessing

    multiprocessing.current_process().authkey = os.urandom(32)
    if random := park.module("numpy.random"):
        random.seed()
    park.module("torch").default_generator.seed()


def _own_threads():
    """Let NumPy's OpenBLAS have the threads that it would have started when it was loaded."""
    own = "OPENBLAS_NUM_THREADS"
    first = own if own in os.environ else "OPENBLAS_DEFAULT_NUM_THREADS"
    cores = len(os.sched_getaffinity(0))
    count = cores
    for name in (first, "GOTO_NUM_THREADS", "OMP_NUM_THREADS"):
        # As C reads a number: what is none counts as zero, and zero as nothing said.
        if found := re.match(r"\s*\+?0*([1-9]\d*)", os.environ.get(name, "")):
            count = min(int(found[1]), cores)
            break
    if count > 1:
        from threadpoolctl import ThreadpoolController

        ThreadpoolController().select(internal_api="openblas").limit(limits=count)


def _owner_watch(descriptor):
    """The thread that ends the kernel when the process that asked for it is gone."""
    from ipykernel.parentpoller import ParentPollerUnix
    from traitlets.log import get_logger

    class OwnerWatch(ParentPollerUnix):
        def run(self):
            while True:
                try:
                    os.read(descriptor, 1)
                except InterruptedError:
                    continue
                get_logger().warning("Parent appears to have exited, shutting down.")
                os._exit(1)

    return OwnerWatch()


def main():
    folder, listening = sys.argv[1], int(sys.argv[2])
    # The folder of this script is on the path of no kernel.
    del sys.path[0]
    gc.disable()
    listener = socket.socket(fileno=listening)
    preloaded = Preloaded()
    # What the imports had to say is not why this process may end one day.
    os.ftruncate(2, 0)
    gc.collect()
    # What is here now is garbage in no kernel: no kernel need look at it, nor copy its pages.
    gc.freeze()
    request = serve(listener, preloaded)
    if request is None:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        become(request, preloaded)


if __name__ == "__main__":
    main()
