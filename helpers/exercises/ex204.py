"""Exercises of chapter 204: which ties are kept, and what a write does to a walk."""

from __future__ import annotations

import torch

from helpers.exercises import Exercise, Wrong
from helpers.memory import shares_storage


def who_reads_the_zero():
    ways = {
        "a": lambda t: t.detach()[1:],
        "b": lambda t: t.clone().detach(),
        "c": lambda t: t.data,
        "d": lambda t: t * 1,
        "e": lambda t: torch.nn.Parameter(t),
        "f": lambda t: t.to(torch.float32),
    }
    reached = set()
    for letter, way in ways.items():
        t = torch.ones(3, requires_grad=True).exp()
        with torch.no_grad():
            way(t)[-1] = 0
        if t[-1] == 0:
            reached.add(letter)
    return reached


def half_detached():
    x = torch.tensor(3.0, requires_grad=True)
    y = x * x.detach() + x.clone() ** 2 + x.detach().clone() * 7
    y.backward()
    return x.grad


def what_becomes_of_it():
    programs = [
        (torch.exp, lambda s: s.detach()),
        (torch.exp, lambda s: s.data),
        (lambda x: x + 1, lambda s: s.data),
        (torch.exp, lambda s: s.clone()),
    ]
    words = []
    for compute, way in programs:
        x = torch.tensor([1.0, 2.0], requires_grad=True)
        (right,) = torch.autograd.grad(compute(x).sum(), x)
        s = compute(x)
        way(s).add_(1)
        try:
            s.sum().backward()
        except RuntimeError:
            words.append("refused")
        else:
            words.append("unharmed" if torch.equal(x.grad, right) else "silently wrong")
    return words


def best_on_the_way(w, steps):
    w = w.clone().requires_grad_()
    best, lowest = None, float("inf")
    for _ in range(steps):
        loss = (w - 1).abs().sum()
        if loss < lowest:
            best, lowest = w.detach().clone(), loss.item()
        (slope,) = torch.autograd.grad(loss, w)
        with torch.no_grad():
            w -= 0.6 * slope
    return best


def _walk(w, steps, keep):
    best, lowest = None, float("inf")
    for _ in range(steps):
        loss = (w - 1).abs().sum()
        if loss < lowest:
            best, lowest = keep(w), loss.item()
        (slope,) = torch.autograd.grad(loss, w)
        with torch.no_grad():
            w -= 0.6 * slope
    return best


def _best_as_given(w, steps):
    return _walk(w.detach().requires_grad_(), steps, lambda w: w.detach())


def _best_of_the_caller(w, steps):
    return _walk(w.detach().requires_grad_(), steps, lambda w: w.detach().clone())


def _best_is_the_last(w, steps):
    return _walk(w.clone().requires_grad_(), steps, lambda w: w.detach())


def _best_on_record(w, steps):
    return _walk(w.detach().clone().requires_grad_(), steps, lambda w: w.clone())


def _best_as_list(w, steps):
    w = w.detach().clone().requires_grad_()
    return torch.tensor(_walk(w, steps, lambda w: w.tolist()))


def soft_sign(x):
    soft = x.tanh()
    repair = (x.sign() - soft).detach()
    return soft + repair


class _Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sign()

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * (1 - x.tanh() ** 2)


def _sign_by_function(x):
    return _Sign.apply(x)


def _sign_around_the_sign(x):
    return x.sign() + x.tanh() - x.tanh().detach()


def _sign_alone(x):
    return x.sign()


def _sign_written_through_data(x):
    soft = x.tanh()
    soft.data.sign_()
    return soft


def _sign_written_through_detach(x):
    soft = x.tanh()
    soft.detach().sign_()
    return soft


def _sign_all_detached(x):
    soft = x.tanh()
    return (soft + x.sign() - soft).detach()


def counts(t, new):
    before = t._version
    with torch.no_grad():
        new.add_(0)
    return t._version > before


def _counts_by_copy(t, new):
    before = t._version
    new.detach().copy_(new.detach().clone())
    return t._version != before


def _counts_compared(t, new):
    return t._version == new._version


def _counts_by_storage(t, new):
    return shares_storage(t, new)


def _counts_by_zeros(t, new):
    before = t._version
    with torch.no_grad():
        new.zero_()
    return t._version > before


def _counts_while_recording(t, new):
    before = t._version
    new.add_(0)
    return t._version > before


def _counts_through_data(t, new):
    before = t._version
    new.data.add_(0)
    return t._version > before


def _pairs():
    def fresh():
        return torch.tensor([1.0, 2.0, 3.0], requires_grad=True).exp()

    ways = [
        lambda t: t,
        lambda t: t[1:],
        lambda t: t.detach(),
        lambda t: t.data,
        lambda t: t.clone(),
        lambda t: torch.nn.Parameter(t),
        lambda t: torch.nn.Parameter(t.data),
        lambda t: t.detach().clone(),
    ]
    pairs = [(t, way(t)) for way in ways for t in [fresh()]]
    leaf = torch.tensor([1.0, 2.0], requires_grad=True)
    written = fresh()
    written.detach().add_(1)
    return [*pairs, (leaf, leaf), (leaf, leaf.view(2, 1)), (written, written.data.view(-1))]


EXERCISES = [
    Exercise(
        id="204.1",
        name="Who reads the zero?",
        kind="predict",
        key=who_reads_the_zero,
        wrong=[
            Wrong(
                lambda answer: "b" in answer,
                "In b the detached tensor stands on the memory of the clone, not of t.",
                example=["a", "b", "c", "e", "f"],
            ),
            Wrong(
                lambda answer: "d" in answer,
                "Arithmetic writes its result into memory of its own.",
                example=["d", "a", "c", "e", "f"],
            ),
            Wrong(
                lambda answer: "f" not in answer,
                "to hands back t itself when there is nothing to convert.",
                example=["a", "c", "e"],
            ),
            Wrong(
                lambda answer: "e" not in answer,
                "A Parameter is a new leaf, but look whose memory it is on.",
                example=["f", "c", "a"],
            ),
            Wrong(
                lambda answer: "a" not in answer,
                "The last element of a slice is an element of t, too.",
                example=["c", "e", "f"],
            ),
        ],
        hints=[
            "Only the memory matters here: not the graph, and not the counter.",
            "b and d write new numbers somewhere. Do any of the others?",
        ],
        explanation="clone and arithmetic copy; the other four stand on the memory of t.",
    ),
    Exercise(
        id="204.2",
        name="Half detached",
        kind="predict",
        key=half_detached,
        wrong=[
            Wrong(12, "x times a detached x: only one of the two factors has a slope."),
            Wrong(3, "A clone is in the graph: its square has a slope."),
            Wrong(16, "In the last term x is detached, so its slope is 0."),
            Wrong(6, "The first term has a slope, too: that of the factor still attached."),
        ],
        hints=[
            "Put 3 for everything that is detached, then differentiate.",
            "The slopes of x * 3, of x ** 2 and of 3 * 7.",
        ],
        explanation="Detached parts are constants, clones are not: 3 + 6 + 0.",
    ),
    Exercise(
        id="204.3",
        name="Refused, wrong or unharmed",
        kind="predict",
        key=what_becomes_of_it,
        wrong=[
            Wrong(
                ["refused", "silently wrong", "silently wrong", "unharmed"],
                "An addition saves nothing. What could a write through .data spoil?",
            ),
            Wrong(
                ["refused", "refused", "unharmed", "unharmed"],
                "Who counts a write through .data?",
            ),
            Wrong(
                ["refused", "wrong", "unharmed", "unharmed"],
                "All are right if you mean silently wrong: write it in full.",
            ),
            Wrong(
                ["refused", "refused", "refused", "unharmed"],
                "Who counts a write through .data? And what did the addition save?",
            ),
            Wrong(
                ["unharmed", "silently wrong", "unharmed", "unharmed"],
                "detach shares the memory that exp saved, and the counter.",
            ),
            Wrong(
                ["refused", "silently wrong", "unharmed", "refused"],
                "The clone has memory of its own, so exp keeps what it saved.",
            ),
        ],
        hints=[
            "Ask three things: was s saved, is its memory shared, is its counter shared?",
            "Nothing saved, or no memory shared: unharmed. Else the counter decides.",
        ],
        explanation="Saved and shared: refused if it is counted, silently wrong if it is not.",
    ),
    Exercise(
        id="204.4",
        name="The night's best",
        kind="repair",
        model=best_on_the_way,
        cases=lambda: [
            (torch.tensor([0.0]), 1),
            (torch.tensor([-1.0]), 6),
            (torch.tensor([0.0, 2.5]), 4),
            (torch.tensor([[-0.1, 0.3], [3.0, 1.7]]), 7),
            (torch.tensor([-0.5, 2.0], requires_grad=True), 5),
        ],
        also={"aliasing", "gradient"},
        right=[_best_as_list],
        wrong=[
            Wrong(
                _best_as_given,
                "Both lines detach without a clone: you walk on the caller's numbers, and what "
                "you keep walks with you.",
                shows="aliasing",
            ),
            Wrong(
                _best_of_the_caller,
                "The best is kept, but you still walk on the caller's numbers.",
                shows="input",
            ),
            Wrong(
                _best_is_the_last,
                "The caller's w is safe, but what you keep shares memory with your own w.",
                shows="values",
            ),
            Wrong(
                _best_on_record,
                "A clone alone is still in the graph: a record free of ties is detached, too.",
                shows="gradient",
            ),
        ],
        hints=[
            "Which two tensors stand on the memory of another that will be written to?",
            "Clone where the walk begins, and clone what is kept.",
        ],
        explanation="Whatever must survive an in-place write needs memory of its own.",
        equivalent_mutants={
            "if loss < lowest: => if loss <= lowest:": "Of equal losses, either w is right.",
            "loss = (w - 1).abs().sum() => loss = (w - 1).abs_().sum()": (
                "The difference is a tensor of its own, which nobody saved."
            ),
        },
    ),
    Exercise(
        id="204.5",
        name="A sign with a slope",
        kind="write",
        model=soft_sign,
        cases=lambda: [
            (torch.tensor([-2.0, -0.5, 0.0, 0.5, 2.0], requires_grad=True),),
            (torch.tensor(0.3, requires_grad=True),),
            (torch.tensor([[1.0, -1.0, 0.2], [0.1, -3.0, 4.0]], requires_grad=True),),
        ],
        also={"gradient"},
        right=[_sign_by_function, _sign_around_the_sign],
        wrong=[
            Wrong(
                _sign_alone,
                "torch gives sign the slope 0. If you added tanh and took it away again, "
                "detach the part that is taken away.",
                shows="gradient",
            ),
            Wrong(
                _sign_written_through_data,
                "tanh computes its slope from its result, and you have written into that.",
                shows="gradient",
            ),
            Wrong(
                _sign_written_through_detach,
                "tanh saved its result, and you have written into that: backward refuses.",
                shows="gradient",
            ),
            Wrong(
                _sign_all_detached,
                "Everything is detached, so no gradient gets through.",
                shows="gradient",
            ),
        ],
        hints=[
            "A sum has the value of all its parts, and the slope of the recorded ones.",
            "Begin with x.tanh(), and add what is missing to the sign, detached.",
        ],
        explanation="The detached difference repairs the value and leaves the slope alone.",
        equivalent_mutants={
            "repair = (x.sign() - soft).detach() => repair = (x.sign() - soft).detach_()": (
                "The difference is a tensor of its own."
            ),
        },
    ),
    Exercise(
        id="204.6",
        name="Is it counted?",
        kind="write",
        model=counts,
        cases=_pairs,
        right=[_counts_by_copy],
        wrong=[
            Wrong(
                _counts_compared,
                "Two counters may be equal by chance: 0 and 0, or each raised once.",
                shows="values",
            ),
            Wrong(
                _counts_by_storage,
                ".data shares the memory, but brings a counter of its own.",
                shows="values",
            ),
            Wrong(
                _counts_by_zeros,
                "The answer is right, but the numbers are gone: write what changes nothing.",
                shows="input",
            ),
            Wrong(
                _counts_while_recording,
                "new may be a leaf that requires grad: write without recording.",
                shows="raised",
            ),
            Wrong(
                _counts_through_data,
                "A write through new.data is counted by neither of them.",
                shows="values",
            ),
        ],
        hints=[
            "Only a write shows whose counter it raises. Which write changes no number?",
            "new.add_(0) under torch.no_grad(), with t._version read before and after.",
        ],
        explanation="Adding 0 changes nothing but the counter.",
    ),
]
