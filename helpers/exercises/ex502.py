"""Exercises of chapter 502: hooks that watch, replace, scale, and are removed again."""

from __future__ import annotations

import contextlib

import torch
from torch import nn

from helpers.exercises import Exercise, Wrong


def hooks_in_a_row():
    m = nn.Identity()
    m.register_forward_hook(lambda m, a, out: out + 1)
    m.register_forward_hook(lambda m, a, out: out * 10)
    m.register_forward_hook(lambda m, a, out: None, prepend=True)
    return m(torch.tensor(2.0)).item()


def brackets():
    fired = []
    a, b = nn.Identity(), nn.Identity()
    outer = nn.Sequential(a, b)
    for name, module in {"outer": outer, "a": a, "b": b}.items():
        module.register_forward_pre_hook(lambda m, args, name=name: fired.append(f"{name} pre"))
        module.register_forward_hook(lambda m, args, out, name=name: fired.append(f"{name} hook"))
    outer(torch.ones(1))
    return fired


def hooks_called_on_error():
    class Fails(nn.Module):
        def forward(self, x):
            raise ValueError("no")

    module, called = Fails(), []
    module.register_forward_hook(lambda *args: called.append("ordinary"))
    module.register_full_backward_hook(lambda *args: called.append("backward"))
    module.register_forward_hook(lambda *args: called.append("always"), always_call=True)
    try:
        module(torch.ones(1))
    except ValueError:
        return len(called)


class _Failing(nn.Module):
    """A model whose second layer cannot take what the first one gives."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(2, 3), nn.Linear(4, 1)

    def forward(self, x):
        return self.second(self.first(x))


class _Turned(nn.Module):
    """A model that calls its children in another order than it names them."""

    def __init__(self):
        super().__init__()
        self.head, self.body = nn.Linear(3, 1), nn.Linear(2, 3)

    def forward(self, x):
        return self.head(self.body(x).relu())


def _models():
    return [
        (nn.Sequential(nn.Linear(2, 3), nn.ReLU()), torch.ones(4, 2)),
        (
            nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 1)),
            torch.ones(2, 2, 3),
        ),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2)), torch.ones(1, 1, 6, 6)),
        (_Turned(), torch.ones(4, 2)),
        (_Failing(), torch.ones(1, 2)),
    ]


def _shapes_and_left_over(answer, model, x):
    """What the answer returns, and how many hooks it leaves behind."""
    try:
        shapes = answer(model, x)
    except RuntimeError:
        shapes = "an error, let through"
    if shapes is ...:
        return ...
    left = sum(len(module._forward_hooks) for module in model.modules())
    return {"shapes": shapes, "hooks left": left}


def shapes_of(model, x):
    shapes, handles = {}, []
    for name, child in model.named_children():

        def note(module, args, output, name=name):
            shapes[name] = tuple(output.shape)

        handles.append(child.register_forward_hook(note))
    try:
        model(x)
    finally:
        for handle in handles:
            handle.remove()
    return shapes


def _shapes_left_on(model, x):
    shapes = {}
    for name, child in model.named_children():

        def note(module, args, output, name=name):
            shapes[name] = tuple(output.shape)

        child.register_forward_hook(note)
    model(x)
    return shapes


def _shapes_without_finally(model, x):
    shapes, handles = {}, []
    for name, child in model.named_children():

        def note(module, args, output, name=name):
            shapes[name] = tuple(output.shape)

        handles.append(child.register_forward_hook(note))
    model(x)
    for handle in handles:
        handle.remove()
    return shapes


def _shapes_error_kept(model, x):
    shapes, handles = {}, []
    for name, child in model.named_children():

        def note(module, args, output, name=name):
            shapes[name] = tuple(output.shape)

        handles.append(child.register_forward_hook(note))
    with contextlib.suppress(RuntimeError):
        model(x)
    for handle in handles:
        handle.remove()
    return shapes


def _shapes_in_a_row(model, x):
    shapes = {}
    for name, child in model.named_children():
        x = child(x)
        shapes[name] = tuple(x.shape)
    return shapes


def _shapes_with_a_stack(model, x):
    shapes = {}
    with contextlib.ExitStack() as stack:
        for name, child in model.named_children():

            def note(module, args, output, name=name):
                shapes[name] = tuple(output.shape)

            stack.enter_context(child.register_forward_hook(note))
        model(x)
    return shapes


def _shapes_late_binding(model, x):
    shapes, handles = {}, []
    for name, child in model.named_children():
        handles.append(
            child.register_forward_hook(
                lambda m, args, out: shapes.update({name: tuple(out.shape)})  # noqa: B023
            )
        )
    try:
        model(x)
    finally:
        for handle in handles:
            handle.remove()
    return shapes


def _features():
    for _ in range(2):
        first = nn.Identity()
        yield nn.Sequential(first, nn.ReLU(inplace=True)), first, torch.tensor([-1.0, 2.0, -3.0])
        linear = nn.Linear(2, 2)
        nn.init.constant_(linear.weight, -1.0)
        nn.init.zeros_(linear.bias)
        yield nn.Sequential(linear, nn.ReLU(inplace=True)), linear, torch.ones(1, 2)


def _kept(answer, model, layer, x):
    feature = answer(model, layer, x)
    if not isinstance(feature, torch.Tensor):
        return feature
    left = len(layer._forward_hooks)
    return {"feature": feature, "keeps the graph": feature.requires_grad, "hooks left": left}


def feature_of(model, layer, x):
    found = []
    handle = layer.register_forward_hook(lambda m, args, out: found.append(out.detach().clone()))
    model(x)
    handle.remove()
    return found[0]


def _feature_by_reference(model, layer, x):
    found = []
    handle = layer.register_forward_hook(lambda m, args, out: found.append(out))
    model(x)
    handle.remove()
    return found[0]


def _feature_detached(model, layer, x):
    found = []
    handle = layer.register_forward_hook(lambda m, args, out: found.append(out.detach()))
    model(x)
    handle.remove()
    return found[0]


def _feature_cloned_with_graph(model, layer, x):
    found = []
    handle = layer.register_forward_hook(lambda m, args, out: found.append(out.clone()))
    model(x)
    handle.remove()
    return found[0]


class _Times(nn.Module):
    """A module with an argument that is no tensor."""

    def forward(self, x, times):
        return x * times


def _scaled_modules():
    torch.manual_seed(0)
    return [
        (nn.Linear(2, 2), (torch.ones(1, 2, requires_grad=True),), 0.5),
        (_Times(), (torch.ones(1, 2, requires_grad=True), 4), 3.0),
        (nn.Identity(), (torch.arange(3.0, requires_grad=True),), 0.0),
    ]


def _gradients(answer, module, inputs, factor):
    """The gradients of inputs and parameters after the answer has hooked the module."""
    handle = answer(module, factor)
    if handle is ...:
        return ...
    module(*inputs).sum().backward()
    return {
        "inputs": [x.grad for x in inputs if isinstance(x, torch.Tensor)],
        "parameters": [p.grad for p in module.parameters()],
        "handle": hasattr(handle, "remove"),
    }


def scale_gradient(module, factor):
    def scale(module, grad_input, grad_output):
        return tuple(None if g is None else g * factor for g in grad_input)

    return module.register_full_backward_hook(scale)


def _scale_outputs(module, factor):
    def scale(module, grad_output):
        return tuple(None if g is None else g * factor for g in grad_output)

    return module.register_full_backward_pre_hook(scale)


def _scale_first_only(module, factor):
    def scale(module, grad_input, grad_output):
        return tuple(g * factor for g in grad_input)

    return module.register_full_backward_hook(scale)


def _scale_and_forget(module, factor):
    def scale(module, grad_input, grad_output):
        grad_input = tuple(None if g is None else g * factor for g in grad_input)

    return module.register_full_backward_hook(scale)


EXERCISES = [
    Exercise(
        id="502.1",
        name="What comes back?",
        kind="predict",
        key=hooks_in_a_row,
        wrong=[
            Wrong(
                21.0, "Each hook gets what the one before it returned: add first, then multiply."
            ),
            Wrong(20.0, "All hooks count, not only the last one that returns something."),
            Wrong(None, "A hook that returns None leaves the output as it is."),
        ],
        hints=["Which hook runs first?", "None changes nothing; then 2 becomes 3, then 30."],
        explanation="The prepended hook watches; the others replace the output, one after another.",
    ),
    Exercise(
        id="502.2",
        name="Brackets",
        kind="order",
        key=brackets,
        wrong=[
            Wrong(
                ["outer pre", "a pre", "b pre", "a hook", "b hook", "outer hook"],
                "b begins only when a is done: a's hook comes before b's pre-hook.",
            ),
            Wrong(
                ["a pre", "a hook", "b pre", "b hook", "outer pre", "outer hook"],
                "The layers run inside outer's forward, between its two hooks.",
            ),
            Wrong(
                lambda answer: answer.index("outer hook") < answer.index("b hook"),
                "outer's hook gets outer's output, so both layers must be done before.",
                example=["outer pre", "outer hook", "a pre", "a hook", "b pre", "b hook"],
            ),
        ],
        hints=[
            "Write a bracket for each module and close it when its forward is done.",
            "outer( a( ) b( ) )",
        ],
        explanation="Pre-hooks go from outside in, hooks come from inside out.",
    ),
    Exercise(
        id="502.3",
        name="Shapes of every layer",
        kind="write",
        model=shapes_of,
        cases=_models,
        run=_shapes_and_left_over,
        ignore={"input changed"},
        right=[_shapes_with_a_stack],
        wrong=[
            Wrong(
                _shapes_error_kept,
                "The caller should hear that the model failed: remove your hooks in a finally.",
                shows="an error, let through",
            ),
            Wrong(
                _shapes_in_a_row,
                "Only the model knows in which order it calls its children: call the model.",
                shows="an error, let through",
            ),
            Wrong(_shapes_left_on, "Your hooks stay on the model: keep each handle and remove it."),
            Wrong(
                _shapes_without_finally,
                "When the model raises, the lines that remove the hooks are not reached.",
            ),
            Wrong(
                _shapes_late_binding,
                "All your hooks share one variable, and at the call it holds the last name.",
            ),
        ],
        hints=[
            "Each hook must know its own name: bind it as a default argument, name=name.",
            "Collect the handles in a list.",
            "try: model(x), then finally: remove every handle.",
        ],
        explanation="finally runs whether or not the call raises.",
    ),
    Exercise(
        id="502.4",
        name="Features that stay",
        kind="repair",
        model=feature_of,
        cases=lambda: list(_features()),
        run=_kept,
        ignore={"input changed"},
        wrong=[
            Wrong(
                _feature_by_reference,
                "The next layer writes into the tensor that you kept; keep a copy.",
            ),
            Wrong(
                _feature_detached, "detach shares the memory, and the in-place layer writes there."
            ),
            Wrong(_feature_cloned_with_graph, "clone alone is recorded and keeps the whole graph."),
        ],
        hints=[
            "When does the in-place layer write: before or after your hook?",
            "Take a copy inside the hook, without its graph.",
        ],
        explanation="detach leaves the graph, clone leaves the memory; you need both.",
        equivalent_mutants={
            "return found[0] => return found[-1]": "The layer is called once.",
            "handle = layer.register_forward_hook(lambda m, args, out: "
            "found.append(out.detach().clone())) => handle = layer.register_forward_hook("
            "lambda m, args, out: found.append(out.detach_().clone()))": (
                "What the model itself returns is thrown away."
            ),
        },
    ),
    Exercise(
        id="502.5",
        name="Who was called?",
        kind="predict",
        key=hooks_called_on_error,
        wrong=[
            Wrong(3, "No backward ran, and an ordinary forward hook needs an output."),
            Wrong(2, "An ordinary forward hook is skipped when forward raises."),
            Wrong(0, "One of the three was registered to run in any case."),
        ],
        hints=["Which of them wait for an output?", "always_call=True means what it says."],
        explanation="Only the hook with always_call=True runs when forward raises.",
    ),
    Exercise(
        id="502.6",
        name="A gradient that goes back smaller",
        kind="write",
        model=scale_gradient,
        cases=_scaled_modules,
        run=_gradients,
        ignore={"input changed"},
        wrong=[
            Wrong(
                _scale_outputs,
                "A backward pre-hook scales what arrives, so the parameters' gradients change too.",
            ),
            Wrong(
                _scale_first_only,
                "grad_input holds None for an argument that is no tensor.",
            ),
            Wrong(_scale_and_forget, "Nothing changes unless the hook returns the new tuple."),
        ],
        hints=[
            "register_full_backward_hook(hook), with hook(module, grad_input, grad_output).",
            "Return a tuple of the same length; leave None as None.",
        ],
        explanation="The full hook stands at the entrance, behind the module's own parameters.",
    ),
]
