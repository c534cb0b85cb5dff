"""Run an answer on cases that are made afresh, from one known state, and note what came of it."""

from __future__ import annotations

import contextlib
import copy
import inspect
import io
import random
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch

from helpers.errors import steady

from .declare import Exercise
from .values import is_tensor, shorten, tensors_in

# What an answer may change for all of torch: how to read it, how to set it, and what a check
# starts from (None: whatever the reader has).
SETTINGS: dict[str, tuple[Callable, Callable, object]] = {
    "torch's default dtype": (torch.get_default_dtype, torch.set_default_dtype, torch.float32),
    "torch's default device": (
        torch.get_default_device,
        lambda device: torch.set_default_device(None if device.type == "cpu" else device),
        torch.device("cpu"),
    ),
    "gradient recording": (torch.is_grad_enabled, torch.set_grad_enabled, True),
    "anomaly detection": (torch.is_anomaly_enabled, torch.set_anomaly_enabled, False),
    "the use of deterministic algorithms": (
        torch.are_deterministic_algorithms_enabled,
        torch.use_deterministic_algorithms,
        None,
    ),
    "the number of threads": (torch.get_num_threads, torch.set_num_threads, None),
}


@dataclass
class Run:
    """What one program did on one case.

    ``sharing`` maps each tensor of the result to the inputs (and earlier parts of the result)
    whose storage it uses; ``gradient`` maps each input that requires a gradient to what a
    backward pass through the result brings it.
    """

    arguments: tuple
    names: list[str]
    result: object = None
    raised: BaseException | None = None
    sharing: dict[str, list[str]] = field(default_factory=dict)
    gradient: dict[str, torch.Tensor | None] = field(default_factory=dict)
    gradient_raised: BaseException | None = None


@dataclass
class Outcome:
    """What one program did on all cases; settings it left changed, warnings it caused."""

    runs: list[Run] = field(default_factory=list)
    changed: dict[str, object] = field(default_factory=dict)
    warned: list[str] = field(default_factory=list)


@contextlib.contextmanager
def standard_state(changed: dict[str, object] | None = None) -> Iterator[None]:
    """Run the body in torch's standard state; afterwards everything is as the reader had it.

    Args:
        changed: filled with the settings that the body left other than it found them.
    """
    before = {name: read() for name, (read, _, _) in SETTINGS.items()}
    randomness = _randomness()
    warn_always = torch.is_warn_always_enabled()
    start = {
        name: before[name] if standard is None else standard
        for name, (_, _, standard) in SETTINGS.items()
    }
    try:
        _set(start)
        torch.set_warn_always(True)
        # Not torch.manual_seed: before CUDA's first use it queues a seed over the reader's own.
        torch.default_generator.manual_seed(0)
        if torch.cuda.is_initialized():
            torch.cuda.manual_seed_all(0)
        random.seed(0)
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed(0)
        yield
    finally:
        after = {name: read() for name, (read, _, _) in SETTINGS.items()}
        if changed is not None:
            changed |= {name: value for name, value in after.items() if value != start[name]}
        _set(before)
        torch.set_warn_always(warn_always)
        for restore in randomness:
            restore()


def _set(settings: dict[str, object]) -> None:
    for name, value in settings.items():
        read, write, _ = SETTINGS[name]
        if read() != value:
            write(value)


def _randomness() -> list[Callable[[], object]]:
    """Functions that bring back the random state of now."""
    cpu, python = torch.get_rng_state(), random.getstate()
    restore = [lambda: torch.set_rng_state(cpu), lambda: random.setstate(python)]
    if torch.cuda.is_initialized():
        cuda = torch.cuda.get_rng_state_all()
        restore.append(lambda: torch.cuda.set_rng_state_all(cuda))
    if "numpy" in sys.modules:
        generator = sys.modules["numpy"].random
        numpy = generator.get_state()
        restore.append(lambda: generator.set_state(numpy))
    return restore


def make_cases(exercise: Exercise) -> list[tuple]:
    """The cases of a *write* or *repair* exercise, new objects with the same contents each time."""
    with standard_state(), _silence():
        made = exercise.cases() if callable(exercise.cases) else copy.deepcopy(exercise.cases)
        made = list(made)
    for case in made:
        if not isinstance(case, tuple):
            raise ValueError(
                f"exercise {exercise.id!r}: a case is a tuple of arguments; "
                f"{type(case).__name__} given"
            )
    return made


def argument_names(exercise: Exercise, case: tuple) -> list[str]:
    """How the arguments of a case are called: the model answer's parameters."""
    try:
        if exercise.run:
            parameters = list(inspect.signature(exercise.run).parameters.values())[1:]
        else:
            parameters = list(inspect.signature(exercise.model).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return names[: len(case)] + [f"argument {k + 1}" for k in range(len(names), len(case))]


def run_program(exercise: Exercise, program: Callable, *, quiet: bool = False) -> Outcome:
    """Run a program on every case.

    Args:
        quiet: swallow what the program prints.

    Raises:
        KeyboardInterrupt: the reader interrupted it; the state is restored all the same.
    """
    outcome = Outcome()
    use = exercise.run or (lambda answer, *case: answer(*case))
    for case in make_cases(exercise):
        with (
            standard_state(outcome.changed),
            warnings.catch_warnings(record=True) as caught,
            _silence() if quiet else contextlib.nullcontext(),
        ):
            warnings.simplefilter("always")
            names = argument_names(exercise, case)
            inputs = dict(tensors_in(dict(zip(names, case, strict=True)), bare=True))
            run = Run(case, names)
            try:
                run.result = use(program, *case)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                run.raised = error
            else:
                _note_sharing(run, inputs)
                if "gradient" in exercise.aspects:
                    _note_gradient(run, inputs)
        outcome.runs.append(run)
        for warning in caught:
            line = f"{warning.category.__name__}: {first_lines(str(warning.message), 1)}"
            if line not in outcome.warned:
                outcome.warned.append(line)
    return outcome


def call_key(function: Callable, *arguments: object) -> object:
    """What a key (or a checker of orders) returns when it runs now, in torch's standard state."""
    with standard_state(), _silence(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arguments)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def storage_of(tensor: torch.Tensor) -> tuple | None:
    """What identifies a tensor's storage; None when it has none, or an empty one."""
    try:
        storage = tensor.untyped_storage()
        return (tensor.device, storage.data_ptr()) if storage.data_ptr() else None
    except (NotImplementedError, RuntimeError):
        return None


def _note_sharing(run: Run, inputs: dict[str, torch.Tensor]) -> None:
    known = {name: storage_of(tensor) for name, tensor in inputs.items()}
    for path, tensor in tensors_in(run.result, "result"):
        mine = storage_of(tensor)
        run.sharing[path] = [name for name, other in known.items() if mine and other == mine]
        known[path] = mine


def _note_gradient(run: Run, inputs: dict[str, torch.Tensor]) -> None:
    """Backward through the result's sum with fixed weights, to the inputs that require it."""
    targets = {name: tensor for name, tensor in inputs.items() if tensor.requires_grad}
    parts = [tensor for _, tensor in tensors_in(run.result, "result") if tensor.requires_grad]
    run.gradient = dict.fromkeys(targets)
    if not targets or not parts:
        return
    try:
        with torch.enable_grad():
            total = sum(_weighted(part) for part in parts)
        found = torch.autograd.grad(total, list(targets.values()), allow_unused=True)
    except Exception as error:
        run.gradient_raised = error
    else:
        run.gradient = dict(zip(targets, found, strict=True))


def _weighted(tensor: torch.Tensor) -> torch.Tensor:
    flat = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    weights = torch.arange(flat.numel(), device=flat.device).reshape(flat.shape) % 7 + 1
    return (flat * weights.to(flat.dtype)).sum().to(torch.float64)


def is_hole(value: object) -> bool:
    """Whether a value is the starter's ``...``, or still holds one."""
    if value is ...:
        return True
    if isinstance(value, dict):
        return any(is_hole(part) for part in value.values())
    return isinstance(value, list | tuple) and any(is_hole(part) for part in value)


def left_open(run: Run) -> bool:
    """Whether a run met the starter's ``...``: it came back, or was computed with."""
    if run.raised is not None:
        return isinstance(run.raised, TypeError | AttributeError) and "ellipsis" in str(run.raised)
    return not is_tensor(run.result) and is_hole(run.result)


def first_lines(text: str, count: int) -> str:
    """The first lines of a message, without what differs from machine to machine."""
    return "\n".join([line.rstrip() for line in steady(text).splitlines() if line.strip()][:count])


def describe_error(error: BaseException, program: object = None) -> str:
    """An exception in one or a few lines, with the line of the program that caused it."""
    message = first_lines(str(error), 3)
    said = type(error).__name__ + (f": {message}" if message else "")
    code = getattr(program, "__code__", None)
    if code is None:
        return said
    frames = traceback.extract_tb(error.__traceback__)
    mine = [frame for frame in frames if frame.filename == code.co_filename and frame.line]
    return f"{said}\n  in the line: {shorten(mine[-1].line, 100)}" if mine else said
