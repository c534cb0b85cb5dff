"""Exercises of chapter 206: what is recorded, what is kept, and what stays frozen."""

from __future__ import annotations

import copy

import torch
from torch import nn

from helpers.exercises import Exercise, Wrong


def who_says_yes():
    w = torch.ones(2, requires_grad=True)
    layer = nn.Linear(2, 2).requires_grad_(False)
    with torch.no_grad():
        a = w * 2
        b = torch.ones(2, requires_grad=True)
        with torch.enable_grad():
            c = w * 2
    with torch.inference_mode(), torch.enable_grad():
        d = w * 2
    made = {"a": a, "b": b, "c": c, "d": d}
    made |= {"e": layer(torch.ones(2)), "f": layer(w), "g": a + w}
    return {letter for letter, t in made.items() if t.requires_grad}


def half_off_half_frozen():
    a, b, c, d = (nn.Linear(2, 2) for _ in range(4))
    b.requires_grad_(False)
    x = torch.ones(2, requires_grad=True)
    with torch.no_grad():
        h = d(x)
    y = c(b(a(h))) + d(h)
    y.sum().backward()
    asked = {"a": a.weight, "b": b.weight, "c": c.weight, "d": d.weight, "x": x}
    return {letter for letter, t in asked.items() if t.grad is not None}


def bytes_behind_a_frozen_front():
    net = nn.Sequential(*(nn.Sequential(nn.Linear(100, 100), nn.Tanh()) for _ in range(5)))
    net[:3].requires_grad_(False)
    own = {p.untyped_storage().data_ptr() for p in net.parameters()}
    kept = {}

    def pack(t):
        storage = t.untyped_storage()
        kept[storage.data_ptr()] = storage
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        net(torch.ones(32, 100))
    return sum(storage.nbytes() for place, storage in kept.items() if place not in own)


def validate(net, x, goal):
    modes = {module: module.training for module in net.modules()}
    net.eval()
    with torch.no_grad():
        loss = (net(x) - goal).square().mean()
    for module, mode in modes.items():
        module.training = mode
    return loss.item()


def _validate_as_given(net, x, goal):
    torch.set_grad_enabled(False)
    net.eval()
    loss = (net(x) - goal).square().mean()
    net.train()
    torch.set_grad_enabled(True)
    return loss.item()


def _validate_and_train_all(net, x, goal):
    net.eval()
    with torch.no_grad():
        loss = (net(x) - goal).square().mean()
    net.train()
    return loss.item()


def _validate_by_the_outermost(net, x, goal):
    mode = net.training
    net.eval()
    with torch.no_grad():
        loss = (net(x) - goal).square().mean()
    net.train(mode)
    return loss.item()


def _validate_and_stay(net, x, goal):
    net.eval()
    with torch.no_grad():
        return (net(x) - goal).square().mean().item()


def _validate_in_training(net, x, goal):
    with torch.no_grad():
        return (net(x) - goal).square().mean().item()


def _validate_on_record(net, x, goal):
    modes = {module: module.training for module in net.modules()}
    loss = (net.eval()(x) - goal).square().mean()
    for module, mode in modes.items():
        module.training = mode
    return loss.item()


def _validate_with_recording_on(net, x, goal):
    modes = {module: module.training for module in net.modules()}
    torch.set_grad_enabled(False)
    loss = (net.eval()(x) - goal).square().mean()
    torch.set_grad_enabled(True)
    for module, mode in modes.items():
        module.training = mode
    return loss.item()


def _validate_a_copy(net, x, goal):
    with torch.inference_mode():
        return (copy.deepcopy(net).eval()(x) - goal).square().mean().item()


@torch.no_grad()
def _validate_decorated(net, x, goal):
    modes = [module.training for module in net.modules()]
    try:
        return (net.eval()(x) - goal).square().mean().item()
    finally:
        for module, mode in zip(net.modules(), modes, strict=True):
            module.training = mode


def _visit(answer, house, recording):
    """The loss, and what the caller finds afterwards."""
    net = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 1))
    net.train(house != "in evaluation mode")
    net[1].train(house == "in training mode")
    x, goal = torch.arange(6.0).reshape(3, 2), torch.ones(3, 1)
    before, saved = torch.is_grad_enabled(), []
    try:
        torch.set_grad_enabled(recording)
        with torch.autograd.graph.saved_tensors_hooks(saved.append, lambda kept: kept):
            loss = answer(net, x, goal)
        if loss is ...:
            return loss
        after = torch.is_grad_enabled()
    finally:
        torch.set_grad_enabled(before)
    modes = {name or "net": module.training for name, module in net.named_modules()}
    found = {"loss": loss, "training": modes, "recording": after}
    found["statistics"] = [b.clone() for b in net.buffers()]
    return found | {"tensors saved for backward": len(saved)}


def _houses():
    """In which mode the network is found, and whether recording is on."""
    return [
        ("in training mode, its batch norm at rest", True),
        ("in training mode", True),
        ("in evaluation mode", True),
        ("in training mode", False),
    ]


def input_slope(net, x):
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(net(x).sum(), x)
    return slope


def _slope_unless_off(net, x):
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(net(x).sum(), x)
    return slope


def _slope_with_backward(net, x):
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        net(x).sum().backward()
    return x.grad


def _slope_of_a_frozen_net(net, x):
    net.requires_grad_(False)
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        net(x).sum().backward()
    return x.grad


def _slope_for_those_that_ask(net, x):
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(net(x).sum(), x)
    return slope


def _slope_asked_of_the_caller(net, x):
    x.requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(net(x).sum(), x)
    return slope


def _slope_left_with_x(net, x):
    asked = x.requires_grad
    with torch.enable_grad():
        net(x.requires_grad_()).sum().backward(inputs=[x])
    x.requires_grad_(asked)
    return x.grad.clone()


def _slope_to_x_alone(net, x):
    x = x.detach().clone().requires_grad_(True)
    with torch.set_grad_enabled(True):
        net(x).sum().backward(inputs=[x])
    return x.grad


def _slope_at_home(answer, net, x, recording):
    """The gradient, and what became of net and x."""
    with torch.set_grad_enabled(recording):
        slope = answer(net, x)
    if slope is ...:
        return slope
    asks = {name: p.requires_grad for name, p in net.named_parameters()}
    grads = {name: p.grad for name, p in net.named_parameters()}
    found = {"slope": slope, "parameters ask": asks, "their .grad": grads}
    return found | {"x asks": x.requires_grad, "x.grad": x.grad}


def _slopes():
    def net(frozen):
        made = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
        made[0].requires_grad_(not frozen)
        return made

    busy = net(False)
    for p in busy.parameters():
        p.grad = torch.ones_like(p)
    x = torch.arange(6.0).reshape(2, 3)
    return [
        (net(False), x, True),
        (net(True), x, False),
        (net(False), (x.T.contiguous() / 4).T.requires_grad_(), True),
        (busy, torch.ones(3), False),
        (nn.Linear(3, 1).requires_grad_(False), x, True),
    ]


class Frozen(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body.requires_grad_(False).eval()

    def forward(self, x):
        return self.body(x)

    def train(self, mode=True):
        super().train(mode)
        self.body.eval()
        return self


class _FrozenWeights(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body.requires_grad_(False)

    def forward(self, x):
        return self.body(x)


class _FrozenUntilTrain(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body.requires_grad_(False).eval()

    def forward(self, x):
        return self.body(x)


class _FrozenOffTheRecord(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body.requires_grad_(False).eval()

    @torch.no_grad()
    def forward(self, x):
        return self.body(x)

    def train(self, mode=True):
        super().train(mode)
        self.body.eval()
        return self


class _FrozenAtRest(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body.eval()

    def forward(self, x):
        return self.body(x)

    def train(self, mode=True):
        super().train(mode)
        self.body.eval()
        return self


class _FrozenAndDeaf(nn.Module):
    def __init__(self, body):
        super().__init__()
        for p in body.parameters():
            p.requires_grad = False
        self.body = body.eval()

    def forward(self, x):
        return self.body(x)

    def train(self, mode=True):
        return self


class _FrozenInForward(nn.Module):
    def __init__(self, body):
        super().__init__()
        for p in body.parameters():
            p.requires_grad = False
        self.body = body.eval()

    def forward(self, x):
        self.body.eval()
        return self.body(x)


def _train_around(answer, x):
    """A frozen body in a network that trains: what it answers, and what has moved."""
    body = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Tanh())
    frozen = answer(body)
    before = frozen(x)
    if before is ...:
        return before
    net = nn.Sequential(nn.Linear(2, 2), frozen, nn.Linear(3, 1))
    net.train()
    net(x).sum().backward()
    again = frozen.train()
    asleep = not any(module.training for module in frozen.body.modules())
    return {
        "output": before,
        "output after training": frozen(x),
        "body in evaluation mode": asleep,
        "parameters ask": [p.requires_grad for p in frozen.parameters()],
        "gradient before the body": net[0].weight.grad,
        "statistics": [b.clone() for b in body.buffers()],
        "train() returns the module": again is frozen,
    }


EXERCISES = [
    Exercise(
        id="206.1",
        name="Who says yes?",
        kind="predict",
        key=who_says_yes,
        wrong=[
            Wrong(
                ["c", "f", "g"],
                "A tensor that is made to require grad does so wherever it is made.",
            ),
            Wrong(
                ["b", "c", "d", "f", "g"],
                "In inference mode enable_grad says that recording is on, and nothing is recorded.",
            ),
            Wrong(["b", "f", "g"], "Of nested blocks the innermost decides."),
            Wrong(["b", "c", "g"], "A frozen layer records for an input that asks."),
            Wrong(
                ["b", "c", "f"],
                "In g one of the two inputs asks, and recording is on: that is enough.",
            ),
            Wrong(
                ["b", "c", "e", "f", "g"],
                "In e neither the weights nor the input ask.",
            ),
        ],
        hints=[
            "For each: is recording on while it is computed, and does an input ask?",
            "b is not computed from anything. d has two switches; one of them is stronger.",
        ],
        explanation="Recording on and an input that asks, or asked for at birth: four letters.",
    ),
    Exercise(
        id="206.2",
        name="Half off, half frozen",
        kind="predict",
        key=half_off_half_frozen,
        wrong=[
            Wrong(["a", "b", "c", "d"], "b is frozen: it passes gradients and gets none."),
            Wrong(["c", "d"], "A frozen layer lets gradients through to what is before it."),
            Wrong(["a", "c"], "d is used twice, and the second time recording is on."),
            Wrong(
                ["a", "c", "d", "x"],
                "The only way from y to x leads through the block, where nothing was recorded.",
            ),
        ],
        hints=[
            "Walk back from y along both terms of the sum. What stops a walk?",
            "Frozen weights do not stop it; h, which was computed off the record, does.",
        ],
        explanation="Both walks end at h; d met one of them before that.",
    ),
    Exercise(
        id="206.3",
        name="A frozen front, in bytes",
        kind="measure",
        key=bytes_behind_a_frozen_front,
        tolerance=0.001,
        wrong=[
            Wrong(
                lambda answer: answer == 2 * 32 * 100 * 4,
                "Block 3 needs its input for the slope of its weights, too.",
                example=2 * 32 * 100 * 4,
            ),
            Wrong(
                lambda answer: answer == 6 * 32 * 100 * 4,
                "That is what five trained blocks keep; the frozen front is not recorded.",
                example=6 * 32 * 100 * 4,
            ),
            Wrong(
                lambda answer: answer == 3 * 32 * 100,
                "These are numbers; each takes four bytes.",
                example=3 * 32 * 100,
            ),
            Wrong(
                lambda answer: answer == 60_000,
                "There are 32 rows now, not 50.",
                example=60_000,
            ),
        ],
        hints=[
            "Which tensors do the last two blocks need: inputs, results, or both?",
            "kept(f, net) from the first section returns the result of f() and the bytes.",
        ],
        explanation="The input of the first trained block, and the results of both.",
    ),
    Exercise(
        id="206.4",
        name="A guest in the house",
        kind="repair",
        model=validate,
        cases=_houses,
        run=_visit,
        right=[_validate_a_copy, _validate_decorated],
        wrong=[
            Wrong(
                _validate_as_given,
                "train() sends every module into training mode, those that were at rest, too; and "
                "recording is on afterwards, whatever it was before.",
                shows="training",
            ),
            Wrong(
                _validate_and_train_all,
                "Recording is left as it was. But train() sends every module into training mode, "
                "those that were at rest, too.",
                shows="training",
            ),
            Wrong(
                _validate_by_the_outermost,
                "The mode of the outermost module is not the mode of all: a layer that was at "
                "rest in a network that trains is sent into training.",
                shows="training",
            ),
            Wrong(
                _validate_and_stay,
                "The network stays in evaluation mode, though it was training when you came.",
                shows="training",
            ),
            Wrong(
                _validate_in_training,
                "A validation needs evaluation mode, for dropout and for batch normalization.",
                shows="loss",
            ),
            Wrong(
                _validate_on_record,
                "All is left as it was, but the loss was computed with a graph that nobody needs.",
                shows="saved for backward",
            ),
            Wrong(
                _validate_with_recording_on,
                "The modes are right; but recording is on afterwards, whatever it was before.",
                shows="recording",
            ),
        ],
        hints=[
            "A with block restores the switch. Who restores the modes?",
            "Note module.training for every module in net.modules(), and set it again at the end.",
        ],
        explanation="The block restores recording; the modes are noted one by one.",
        equivalent_mutants={
            "loss = (net(x) - goal).square().mean() => loss = (net(x) - goal).square_().mean()": (
                "The difference is a tensor of its own, and nothing is recorded."
            ),
        },
    ),
    Exercise(
        id="206.5",
        name="The slope of the input",
        kind="write",
        model=input_slope,
        cases=_slopes,
        run=_slope_at_home,
        right=[_slope_to_x_alone],
        wrong=[
            Wrong(
                _slope_unless_off,
                "Under no_grad nothing is recorded: turn recording on for your own calculation.",
                shows="raised",
            ),
            Wrong(
                _slope_with_backward,
                "backward fills the .grad of the parameters as well.",
                shows=".grad",
            ),
            Wrong(
                _slope_of_a_frozen_net,
                "You froze the network of the caller, and it stays frozen.",
                shows="ask",
            ),
            Wrong(
                _slope_for_those_that_ask,
                "An x that does not require grad has no gradient: make a leaf of your own from it.",
                shows="raised",
            ),
            Wrong(
                _slope_left_with_x,
                "The slope is right, and the caller finds it in x.grad as well.",
                shows="x.grad",
            ),
            Wrong(
                _slope_asked_of_the_caller,
                "The caller's x requires grad afterwards: ask with a tensor of your own.",
                shows="asks",
            ),
        ],
        hints=[
            "Make a leaf of your own from x, and turn recording on around the calculation.",
            "Which way to walk leaves the parameters' .grad alone? Chapter 202 has two.",
        ],
        explanation="An own leaf, an own switch, and a walk that stores nothing.",
    ),
    Exercise(
        id="206.6",
        name="Frozen for good",
        kind="write",
        model=Frozen,
        cases=lambda: [
            (torch.arange(8.0).reshape(4, 2),),
            (torch.arange(6.0).reshape(2, 3).T,),
        ],
        run=_train_around,
        right=[_FrozenAndDeaf],
        wrong=[
            Wrong(
                _FrozenWeights,
                "The weights rest, but dropout and the running statistics do not: eval().",
                shows="output",
            ),
            Wrong(
                _FrozenUntilTrain,
                "train() on the wrapper reaches the body as well, and wakes it.",
                shows="output after training",
            ),
            Wrong(
                _FrozenOffTheRecord,
                "No gradient reaches what stands before the body: no_grad, and detach too, cut "
                "the way back.",
                shows="gradient before",
            ),
            Wrong(
                _FrozenInForward,
                "train() wakes the body, and it stays awake until it is called the next time.",
                shows="evaluation mode",
            ),
            Wrong(
                _FrozenAtRest,
                "The body is in evaluation mode, but its parameters still require grad. (Assigning "
                "requires_grad to a module does nothing.)",
                shows="parameters ask",
            ),
        ],
        hints=[
            "Freezing is done in __init__. What does net.train() do to every module inside?",
            "It calls train(mode) of each. Write your own: first super().train(mode), then what "
            "the body needs.",
            "train() must return self, like that of nn.Module.",
        ],
        explanation="train is a method like any other, and may be replaced by one that knows.",
        equivalent_mutants={
            "super().train(mode) => pass": "The wrapper's own flag is read by nobody.",
            "def train(self, mode=True): => def train(self, mode=False):": (
                "The mode concerns the wrapper's own flag alone, which nobody reads."
            ),
        },
    ),
]
