"""Exercises of chapter 205: what counters count, what nodes save, and cures for both errors."""

from __future__ import annotations

import torch
from torch.autograd.graph import saved_tensors_hooks

from helpers.exercises import Exercise, Wrong


def four_counters():
    a = torch.zeros(4)
    b, c, d = a[1:], a.detach(), a.data
    b[0] = 1
    c += 2
    d.mul_(3)
    a[2] *= 4
    a = a + 5
    return [a._version, b._version, c._version, d._version]


def _exp_then_input(b):
    y = b.exp()
    b += 1
    return y


def _exp_then_result(b):
    y = b.exp()
    y.detach()[0] = 1
    return y


def _log_of_a_slice(b):
    y = b[:1].log()
    b[1] = 5
    return y


def _log_then_data(b):
    y = b.log()
    b.data[0] = 5
    return y


def _log_of_a_sum(b):
    y = (b + 1).log()
    b.zero_()
    return y


def _write_before_use(b):
    b += 1
    return b * b


def _relu_then_result(b):
    y = b.relu()
    y *= 2
    return y


_PROGRAMS = {
    "a": _exp_then_input,
    "b": _exp_then_result,
    "c": _log_of_a_slice,
    "d": _log_then_data,
    "e": _log_of_a_sum,
    "f": _write_before_use,
    "g": _relu_then_result,
}


def refused_programs():
    refused = set()
    for letter, program in _PROGRAMS.items():
        b = torch.tensor([1.0, 2.0], requires_grad=True) * 2
        y = program(b)
        try:
            y.sum().backward()
        except RuntimeError:
            refused.add(letter)
    return refused


def bytes_kept():
    x = torch.linspace(-1, 1, 1000, requires_grad=True)
    memories = {}

    def pack(t):
        storage = t.untyped_storage()
        memories[storage.data_ptr()] = storage.nbytes()
        return t

    with saved_tensors_hooks(pack, lambda t: t):
        y = (x.sin().exp() * 2 + 1).relu()
    del y
    return sum(memories.values())


def smooth(x, w):
    state, out = x[0], [x[0]]
    for new in x[1:]:
        state = w * state + (1 - w) * new
        out.append(state)
    return torch.stack(out)


def _smooth_from_a_clone(x, w):
    state, out = x[0].clone(), [x[0]]
    for new in x[1:]:
        state.copy_(w * state.clone() + (1 - w) * new)
        out.append(state.clone())
    return torch.stack(out)


def _smooth_all_in_place(x, w):
    state, out = x[0].clone(), [x[0]]
    for new in x[1:]:
        state *= w
        state += (1 - w) * new
        out.append(state.clone())
    return torch.stack(out)


def _smooth_into_a_buffer(x, w):
    out = torch.zeros(len(x))
    out[0] = x[0]
    for i in range(1, len(x)):
        out[i] = w * out[i - 1].clone() + (1 - w) * x[i]
    return out


def _smooth_as_given(x, w):
    state, out = x[0].clone(), [x[0]]
    for new in x[1:]:
        state.copy_(w * state + (1 - w) * new)
        out.append(state.clone())
    return torch.stack(out)


def _smooth_detached(x, w):
    state, out = x[0].clone(), [x[0]]
    for new in x[1:]:
        state = w * state.detach() + (1 - w) * new
        out.append(state)
    return torch.stack(out)


def _smooth_through_data(x, w):
    state, out = x[0].clone(), [x[0]]
    for new in x[1:]:
        state.data.copy_(w * state + (1 - w) * new)
        out.append(state.clone())
    return torch.stack(out)


def _smooth_without_clones(x, w):
    state, out = x[0].clone(), [x[0]]
    for new in x[1:]:
        state *= w
        state += (1 - w) * new
        out.append(state)
    return torch.stack(out)


def writes(f, x):
    copy = x.clone()
    f(copy)
    return copy._version


def _writes_on_a_detached_clone(f, x):
    copy = x.detach().clone()
    before = copy._version
    f(copy)
    return copy._version - before


def _writes_and_puts_back(f, x):
    kept, before = x.detach().clone(), x._version
    with torch.no_grad():
        f(x)
        found = x._version - before
        x.copy_(kept)
    return found


def _writes_to_x_itself(f, x):
    x = x.detach()
    before = x._version
    f(x)
    return x._version - before


def _writes_by_numbers(f, x):
    copy = x.clone()
    f(copy)
    return int(not torch.equal(copy, x))


def _writes_with_history(f, x):
    kept = x.detach().clone()
    with torch.no_grad():
        f(x)
        found = x._version
        x.copy_(kept)
    return found


def _writes_of_the_result(f, x):
    return f(x.clone())._version


def _writes_through_data(f, x):
    before = x._version
    f(x.data)
    return x._version - before


def _an_empty_mask(t):
    t[t > 100] = 0
    return t


def _two_in_one(t):
    t[0] += 1
    return t + 1


def _two_lines(t):
    t.mul_(2)
    t.view(-1)[0] = 7
    return t.sum().add_(1)


def _through_a_detached_row(t):
    t.detach()[-1].zero_()
    return t.clone().add_(1)


def _calls():
    def with_history():
        x = torch.tensor([4.0, 5.0])
        x += 1
        x *= 2
        return x

    leaf = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    return [
        (torch.exp, torch.tensor([1.0, 2.0])),
        (torch.relu_, torch.tensor([-1.0, 2.0])),
        (_an_empty_mask, torch.tensor([1.0, 2.0, 3.0])),
        (_two_in_one, with_history()),
        (_two_lines, torch.ones(2, 3)),
        (_through_a_detached_row, leaf),
    ]


def frugal_gradient(f, x):
    def pack(t):
        return t.dtype, t.half() if t.is_floating_point() else t

    def unpack(kept):
        dtype, t = kept
        return t.to(dtype)

    with saved_tensors_hooks(pack, unpack):
        y = f(x).sum()
    (gradient,) = torch.autograd.grad(y, x)
    return gradient


def _frugal_in_one_block(f, x):
    def pack(t):
        if t.dtype in (torch.float32, torch.float64):
            return t.to(torch.float16), t.dtype
        return t, t.dtype

    with saved_tensors_hooks(pack, lambda kept: kept[0].type(kept[1])):
        return torch.autograd.grad(f(x).sum(), x)[0]


def _frugal_to_all(f, x):
    def pack(t):
        return t.dtype, t.half()

    with saved_tensors_hooks(pack, lambda kept: kept[1].to(kept[0])):
        y = f(x).sum()
    return torch.autograd.grad(y, x)[0]


def _frugal_one_way(f, x):
    with saved_tensors_hooks(lambda t: t.half() if t.is_floating_point() else t, lambda t: t):
        y = f(x).sum()
    return torch.autograd.grad(y, x)[0]


def _frugal_always_float(f, x):
    def pack(t):
        return t.half() if t.is_floating_point() else t

    def unpack(t):
        return t.float() if t.is_floating_point() else t

    with saved_tensors_hooks(pack, unpack):
        y = f(x).sum()
    return torch.autograd.grad(y, x)[0]


def _frugal_as_the_input(f, x):
    def pack(t):
        return t.half() if t.is_floating_point() else t

    def unpack(t):
        return t.to(x.dtype) if t.is_floating_point() else t

    with saved_tensors_hooks(pack, unpack):
        y = f(x).sum()
    return torch.autograd.grad(y, x)[0]


def _not_frugal(f, x):
    return torch.autograd.grad(f(x).sum(), x)[0]


def _frugal_input(f, x):
    half = x.detach().half().to(x.dtype).requires_grad_()
    return torch.autograd.grad(f(half).sum(), half)[0]


def _frugal_by_backward(f, x):
    def pack(t):
        return t.dtype, t.half() if t.is_floating_point() else t

    with saved_tensors_hooks(pack, lambda kept: kept[1].to(kept[0])):
        f(x).sum().backward()
    return x.grad


def _sines(x):
    return (x.sin() * x.cos()).exp()


def _sorted_product(x):
    return x.sort().values * torch.linspace(0, 1, len(x), dtype=x.dtype)


def _product_of_rows(x):
    return x.tanh() @ x.t()


def _product_in_float64(x):
    y = x.double()
    return (y.tanh() @ y.t()).to(x.dtype)


def _frugal_cases():
    return [
        (_sines, torch.linspace(0.1, 2.7, 5, requires_grad=True)),
        (_product_of_rows, torch.linspace(-1.3, 1.1, 6).reshape(2, 3).requires_grad_()),
        (_sines, torch.linspace(0.1, 1.7, 4, dtype=torch.float64, requires_grad=True)),
        (_product_of_rows, torch.linspace(-1.3, 1.1, 4).double().view(2, 2).requires_grad_()),
        (_product_in_float64, torch.linspace(-1.3, 1.1, 4).view(2, 2).requires_grad_()),
        # In float16, 2,049 becomes 2,048, which is still an index; 2,051 would become 2,052.
        (_sorted_product, torch.arange(2051.0, requires_grad=True)),
    ]


EXERCISES = [
    Exercise(
        id="205.1",
        name="Four counters",
        kind="predict",
        key=four_counters,
        wrong=[
            Wrong([0, 3, 3, 1], "Which calls does Python make of a[2] *= 4?"),
            Wrong([4, 4, 4, 1], "The last line hangs the name a on a new tensor."),
            Wrong([0, 1, 1, 1], "a, b and c are one family: each counts the writes of all."),
            Wrong([0, 5, 5, 5], "Writes through .data are counted by d alone."),
        ],
        hints=[
            "Three of the four tensors are one family. Which one is not?",
            "a[2] *= 4 counts like a[0] += 1. And what is a after the last line?",
        ],
        explanation="The family counts 1 + 1 + 2; d is alone; a names a new tensor at the end.",
    ),
    Exercise(
        id="205.2",
        name="Which are refused?",
        kind="predict",
        key=refused_programs,
        right=[["g", "c", "b"]],
        wrong=[
            Wrong(["a", "b", "c", "g"], "exp saves its result. Is its input still needed?"),
            Wrong(["b", "g"], "In c, log saved a view of b, and a family has one counter."),
            Wrong(["b", "c", "d", "g"], "In d the write goes through .data: who counts it?"),
            Wrong(["b", "c", "e", "g"], "In e, log saved b + 1, which is a tensor of its own."),
            Wrong(["b", "c", "f", "g"], "In f the write comes first: nothing was saved yet."),
            Wrong(["b", "c"], "In g, the table tells what relu saves."),
            Wrong(["c", "g"], "In b, detach shares the counter."),
        ],
        hints=[
            "For each: what was saved, and did its family count a write afterwards?",
            "exp and relu save their results, log and the product their inputs.",
        ],
        explanation="Refused is a counted write to the family of a saved tensor.",
    ),
    Exercise(
        id="205.3",
        name="What a chain keeps",
        kind="measure",
        key=bytes_kept,
        tolerance=0.001,
        wrong=[
            Wrong(20_000, "Not all five steps save. Which rule needs no number of its input?"),
            Wrong(3_000, "These are numbers; one of float32 takes four bytes."),
            Wrong(16_000, "A product with the number 2 does not save its input."),
            Wrong(8_000, "Three of the five steps save a tensor each."),
        ],
        hints=[
            "Which of sin, exp, * 2, + 1 and relu save, and what? 4 bytes a number.",
            "Let pack collect t.untyped_storage(), and add up nbytes() by data_ptr().",
        ],
        explanation="sin saves x, exp and relu save their results, and the others save nothing.",
    ),
    Exercise(
        id="205.4",
        name="Smooth, and differentiable",
        kind="repair",
        model=smooth,
        cases=lambda: [
            (torch.tensor([1.0, 4.0, 2.0]), torch.tensor(0.5, requires_grad=True)),
            (
                torch.tensor([3.0, -1.0, 2.0, 8.0], requires_grad=True),
                torch.tensor(0.25, requires_grad=True),
            ),
            (torch.tensor([7.0], requires_grad=True), torch.tensor(0.25)),
        ],
        also={"gradient"},
        right=[_smooth_from_a_clone, _smooth_all_in_place, _smooth_into_a_buffer],
        wrong=[
            Wrong(
                _smooth_as_given,
                "The product with w saves state, and the same line writes to state.",
                shows="gradient",
            ),
            Wrong(
                _smooth_detached,
                "The state before depends on w as well: cut off, by detach or item, it "
                "brings no slope.",
                shows="gradient",
            ),
            Wrong(
                _smooth_through_data,
                "A write through .data is not on record: the state loses its history.",
                shows="gradient",
            ),
            Wrong(
                _smooth_without_clones,
                "The list holds one tensor many times, and each write shows in all of them.",
                shows="values",
            ),
        ],
        hints=[
            "Which tensor does w * state save, and who writes to it?",
            "Let the name state stand for a new tensor in each round.",
        ],
        explanation="Each round makes a new tensor, so nobody writes to what a product saved.",
    ),
    Exercise(
        id="205.5",
        name="How often does it write?",
        kind="write",
        model=writes,
        cases=_calls,
        right=[_writes_on_a_detached_clone, _writes_and_puts_back],
        wrong=[
            Wrong(
                _writes_to_x_itself,
                "The number is right, but f has written to the x of the caller.",
                shows="input",
            ),
            Wrong(
                _writes_by_numbers,
                "Calls are to be counted: one may change nothing, and one line may make two.",
                shows="values",
            ),
            Wrong(
                _writes_with_history,
                "x may come with a count: only the difference belongs to f.",
                shows="values",
            ),
            Wrong(
                _writes_of_the_result,
                "What f returns may be a tensor of another family.",
                shows="values",
            ),
            Wrong(
                _writes_through_data,
                "x.data brings a counter of its own, and x does not hear of the writes.",
                shows="values",
            ),
        ],
        hints=[
            "Give f a copy, and ask the copy.",
            "x.clone() is no leaf, its memory is new, and its counter begins at 0.",
        ],
        explanation="A clone may be written to even if x is a leaf that requires grad.",
    ),
    Exercise(
        id="205.6",
        name="Half the memory",
        kind="write",
        model=frugal_gradient,
        cases=_frugal_cases,
        right=[_frugal_in_one_block],
        wrong=[
            Wrong(
                _frugal_to_all,
                "Not all integers survive float16: leave what is not floating point as it is.",
                shows="values",
            ),
            Wrong(
                _frugal_one_way,
                "unpack must give back the dtype that the tensor had.",
            ),
            Wrong(
                _frugal_always_float,
                "A tensor of float64 must come back as float64: let pack return its dtype, too.",
            ),
            Wrong(
                _frugal_as_the_input,
                "f may change the dtype on its way: x.dtype does not tell what a tensor had.",
            ),
            Wrong(
                _not_frugal,
                "The gradient is too good: nothing was rounded to float16 on its way.",
                shows="values",
            ),
            Wrong(
                _frugal_by_backward,
                "backward also stores the gradient in x.grad; torch.autograd.grad does not.",
            ),
            Wrong(
                _frugal_input,
                "Only what is saved is to be rounded: f itself computes with x as it is.",
                shows="values",
            ),
        ],
        hints=[
            "pack may return a pair: the dtype and the smaller tensor.",
            "Ask t.is_floating_point() in pack, and use .to(dtype) in unpack.",
        ],
        explanation="pack remembers the dtype, so that unpack can restore it.",
    ),
]
