"""Exercises of chapter 101: what a maker decides, who shares, where a range ends, who draws."""

from __future__ import annotations

import numpy as np
import torch

from helpers.exercises import Exercise, Wrong


def shape_and_type():
    t = torch.tensor([[[1], [2.5]], [[True], [3]]])
    return tuple(t.shape), t.dtype


def who_sees_the_write():
    n = np.array([1.0, 2.0, 3.0])
    with torch.device("cpu"):
        made = {
            "a": torch.tensor(n),
            "b": torch.as_tensor(n),
            "c": torch.from_numpy(n),
            "d": torch.Tensor(n),
            "e": torch.as_tensor(n, dtype=torch.float64),
            "f": torch.from_numpy(n + 0),
        }
    n[0] = 9
    return {letter for letter, tensor in made.items() if tensor[0] == 9}


def rates(low, high, count):
    return low * (high / low) ** torch.linspace(0, 1, count)


def _rates_by_exponents(low, high, count):
    import math

    return torch.logspace(math.log10(low), math.log10(high), count)


def _rates_by_logarithms(low, high, count):
    ends = torch.tensor([low, high]).log().tolist()
    return torch.linspace(*ends, count).exp()


def _ends_as_exponents(low, high, count):
    return torch.logspace(low, high, count)


def _powers_of_the_wrong_base(low, high, count):
    import math

    return torch.logspace(math.log(low), math.log(high), count)


def _equal_steps(low, high, count):
    return torch.linspace(low, high, count)


def _end_left_out(low, high, count):
    return low * (high / low) ** (torch.arange(count) / count)


def noisy(x, seed):
    own = torch.Generator(x.device).manual_seed(seed)
    return x + torch.randn(x.shape, generator=own, device=x.device)


def _everybody_reseeded(x, seed):
    torch.manual_seed(seed)
    return x + torch.randn_like(x)


def _never_seeded(x, seed):
    return x + torch.randn_like(x)


def _own_but_unseeded(x, seed):
    own = torch.Generator(x.device)
    return x + torch.randn(x.shape, generator=own, device=x.device)


def _uniform_noise(x, seed):
    own = torch.Generator(x.device).manual_seed(seed)
    return x + torch.rand(x.shape, generator=own, device=x.device)


def _state_put_back(x, seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return x + torch.randn_like(x)


def _written_by_normal(x, seed):
    own = torch.Generator(x.device).manual_seed(seed)
    return x + torch.empty_like(x).normal_(generator=own)


def _added_in_place(x, seed):
    own = torch.Generator(x.device).manual_seed(seed)
    return x.add_(torch.randn(x.shape, generator=own, device=x.device))


def _noise_alone(x, seed):
    own = torch.Generator(x.device).manual_seed(seed)
    return torch.randn(x.shape, generator=own, device=x.device)


def _conduct(answer, x, seed):
    """What the task asks of an answer, whichever numbers it draws."""
    before, given = torch.get_rng_state(), x.clone()
    first = answer(given, seed)
    if first is ...:
        return ...
    untouched = torch.equal(before, torch.get_rng_state())
    noise = first - x
    return {
        "shape": tuple(first.shape),
        "x itself is left as it was": torch.equal(given, x),
        "the same seed gives the same noise": torch.equal(first, answer(x.clone(), seed)),
        "another seed gives other noise": not torch.equal(first, answer(x.clone(), seed + 1)),
        "the noise is standard normal": bool(
            abs(noise.mean()) < 0.1 and abs(noise.std() - 1) < 0.1
        ),
        "torch's own generator is left alone": untouched,
    }


def how_much_smaller():
    full = torch.eye(64, dtype=torch.float64)
    sparse = full.to_sparse()
    return full.nbytes / (sparse.indices().nbytes + sparse.values().nbytes)


def ticks(start, end, step):
    count = round((end - start) / step) + 1
    return torch.linspace(start, end, count)


def _ticks_counted(start, end, step):
    return start + step * torch.arange(round((end - start) / step) + 1)


def _ticks_half_a_step_on(start, end, step):
    return torch.arange(start, end + step / 2, step)


def _ticks_in_double(start, end, step):
    return torch.from_numpy(np.linspace(start, end, 1 + round((end - start) / step)))


def _ticks_without_end(start, end, step):
    return torch.arange(start, end, step)


def _ticks_a_step_on(start, end, step):
    return torch.arange(start, end + step, step)


def _ticks_cut_off(start, end, step):
    return torch.linspace(start, end, int((end - start) / step) + 1)


def _ticks_rounded_up(start, end, step):
    return torch.linspace(start, end, int(np.ceil((end - start) / step)) + 1)


def _gaps_for_points(start, end, step):
    return torch.linspace(start, end, round((end - start) / step))


EXERCISES = [
    Exercise(
        id="101.1",
        name="Brackets and numbers",
        kind="predict",
        key=shape_and_type,
        wrong=[
            Wrong(((2, 2, 1), torch.int64), "There is one float among the numbers."),
            Wrong(((2, 2, 1), torch.bool), "A boolean beside numbers becomes a number."),
            Wrong(((2, 2, 1), torch.float64), "Python's floats become the default dtype."),
            Wrong(((2, 2), torch.float32), "Brackets round a single number count as well."),
            Wrong(((1, 2, 2), torch.float32), "The outermost bracket comes first in the shape."),
        ],
        hints=[
            "How many brackets open before the first number? That many lengths you need.",
            "What do an integer, a float and a boolean become when they stand side by side?",
        ],
        explanation="Three brackets deep, with 2, 2 and 1 things inside; one float makes all "
        "numbers floats, of the default dtype.",
    ),
    Exercise(
        id="101.2",
        name="Who sees the write?",
        kind="predict",
        key=who_sees_the_write,
        wrong=[
            Wrong(
                lambda answer: "a" in answer,
                "torch.tensor copied whatever it was given.",
                example=["a", "b", "c", "e"],
            ),
            Wrong(
                lambda answer: "d" in answer,
                "Which dtype does torch.Tensor make, and which has the array?",
                example=["b", "c", "d", "e"],
            ),
            Wrong(
                lambda answer: "f" in answer,
                "n + 0 is a new array; the write goes to the old one.",
                example=["b", "c", "e", "f"],
            ),
            Wrong(["b", "c"], "A dtype forces a copy only where it differs from the array's."),
            Wrong(["c", "e"], "as_tensor shares an array that it can take as it is."),
            Wrong(["c"], "from_numpy is not alone: as_tensor shares when it can."),
        ],
        hints=[
            "Written with a point, the three numbers are float64 in NumPy.",
            "For each one: must a number be converted? Then it has to be copied.",
        ],
        explanation="b, c and e take the array as it is. d converts to float32 and so copies, a "
        "always copies, and f shares with an array that nobody writes to.",
    ),
    Exercise(
        id="101.3",
        name="Rates between two values",
        kind="write",
        model=rates,
        cases=[(1.0, 100.0, 3), (0.5, 8.0, 5), (0.001, 1.0, 4), (64.0, 1.0, 7), (2.0, 3.0, 2)],
        tolerance=1e-5,
        ignore={"dtype"},
        right=[_rates_by_exponents, _rates_by_logarithms],
        wrong=[
            Wrong(
                _ends_as_exponents,
                "logspace raises 10 to its ends; yours are the values themselves.",
                shows="values",
            ),
            Wrong(
                _powers_of_the_wrong_base,
                "logspace raises 10, and math.log gives powers of e.",
                shows="values",
            ),
            Wrong(
                _equal_steps,
                "linspace makes equal differences; the task asks for equal ratios.",
                shows="values",
            ),
            Wrong(
                _end_left_out,
                "The last one falls short of high: count points leave count - 1 gaps.",
                shows="values",
            ),
        ],
        hints=[
            "The ends of logspace are exponents: which power of 10 is low?",
            "math.log10 gives the exponent. Or raise high / low to powers that run from 0 to 1.",
        ],
        explanation="logspace from log10(low) to log10(high) does the same.",
    ),
    Exercise(
        id="101.4",
        name="Noise that keeps to itself",
        kind="repair",
        model=noisy,
        run=_conduct,
        cases=lambda: [
            (torch.zeros(2000), 0),
            (torch.arange(6000.0).reshape(60, 100) / 6000, 5),
            (torch.ones(40, 50, dtype=torch.float64).T, 1),
        ],
        right=[_state_put_back, _written_by_normal],
        wrong=[
            Wrong(
                _everybody_reseeded,
                "torch.manual_seed sets the generator of everybody who names none.",
                shows="values",
            ),
            Wrong(
                _never_seeded,
                "Without the seed, each call goes on where the last one stopped.",
                shows="values",
            ),
            Wrong(
                _own_but_unseeded,
                "A generator of its own is right; it has to be given the seed as well.",
                shows="values",
            ),
            Wrong(_uniform_noise, "The noise was normal, and has to stay so.", shows="values"),
            Wrong(_added_in_place, "x is the caller's: return a new tensor.", shows="values"),
            Wrong(_noise_alone, "x is missing: return x with its noise.", shows="values"),
        ],
        hints=[
            "Which object holds a state of its own?",
            "Make a torch.Generator on the device of x, seed it, and hand it to torch.randn.",
        ],
        explanation="A generator made, seeded and used inside the function leaves no trace.",
        equivalent_mutants={
            "return x + torch.randn(x.shape, generator=own, device=x.device) => "
            "return x - torch.randn(x.shape, generator=own, device=x.device)": "The normal law "
            "is symmetric.",
            "return x + torch.randn(x.shape, generator=own, device=x.device) => "
            "return x + torch.randn(x.shape, generator=own)": "The cases lie on the CPU.",
        },
    ),
    Exercise(
        id="101.5",
        name="What sparse saves",
        kind="measure",
        key=how_much_smaller,
        tolerance=0.01,
        wrong=[
            Wrong(25.6, "A float64 takes eight bytes here too, not four."),
            Wrong(32.0, "A matrix has two indices for each value: its row and its column."),
            Wrong(64.0, "These are the values alone; their indices take memory as well."),
            Wrong(12.8, "The full matrix is of float64 as well: eight bytes an element."),
            Wrong(
                lambda answer: 0 < answer < 1,
                "The other way round: how many times as large is the full one?",
                example=0.05,
            ),
        ],
        hints=[
            "The full matrix has .nbytes; so have .indices() and .values() of the sparse one.",
            "to_sparse() makes the sparse one.",
        ],
        explanation="64 * 64 * 8 bytes against 64 * (2 * 8 + 8).",
    ),
    Exercise(
        id="101.6",
        name="Both ends, and no more",
        kind="write",
        model=ticks,
        cases=[
            (0.0, 1.0, 0.25),
            (1.0, 1.3, 0.1),
            (0.0, 0.3, 0.1),
            (0.1, 0.4, 0.1),
            (1.0, -0.5, -0.25),
            (2.0, 2.0, 1.0),
            (1.4, 2.0, 0.1),
        ],
        tolerance=1e-5,
        ignore={"dtype"},
        right=[_ticks_counted, _ticks_half_a_step_on, _ticks_in_double],
        wrong=[
            Wrong(
                _ticks_without_end,
                "arange leaves its end out, or keeps it where rounding interferes.",
                shows="shape",
            ),
            Wrong(
                _ticks_a_step_on,
                "An end moved by a whole step is itself a tick when rounding interferes.",
                shows="shape",
            ),
            Wrong(
                _ticks_cut_off,
                "0.3 / 0.1 is a little less than 3, and int cuts off.",
                shows="shape",
            ),
            Wrong(
                _ticks_rounded_up,
                "(1.3 - 1.0) / 0.1 is a little more than 3, and ceil makes it 4.",
                shows="shape",
            ),
            Wrong(_gaps_for_points, "Three gaps need four points.", shows="shape"),
        ],
        hints=[
            "How many ticks are there? Let that number be exact, and the rest follows.",
            "round is safer than int, and linspace takes a count.",
        ],
        explanation="Count with round, and let linspace place both ends.",
    ),
]
