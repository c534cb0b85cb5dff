"""Exercises of chapter 202: who is a leaf, who keeps a gradient, and how to ask for one."""

from __future__ import annotations

import warnings

import torch

from helpers.exercises import Exercise, Wrong


def which_are_leaves():
    w, x = torch.ones(2, requires_grad=True), torch.ones(2)
    made = {
        "a": w + x,
        "b": (w + x).detach(),
        "c": x * 3,
        "d": w.sum().item() * x,
        "e": torch.cat([x, w]),
        "f": torch.nn.Parameter(w[:1]),
        "g": w.reshape(2, 1),
        "h": w.float(),
        "i": (w > 0).float(),
    }
    return {letter for letter, t in made.items() if t.is_leaf}


def who_kept_what():
    a = torch.tensor(2.0, requires_grad=True)
    b = a * 3
    c = b.detach().requires_grad_()
    d = c * a
    d.retain_grad()
    (d + b).backward()
    with warnings.catch_warnings(action="ignore"):
        return [t.grad for t in (a, b, c, d)]


def number_nothing_or_refused():
    questions = [
        lambda y, x, w, u: torch.autograd.grad(y, u)[0],
        lambda y, x, w, u: torch.autograd.grad(y, w)[0],
        lambda y, x, w, u: torch.autograd.grad(y, [x, w], allow_unused=True)[1],
        lambda y, x, w, u: torch.autograd.grad(y, x * 1)[0],
        lambda y, x, w, u: torch.autograd.grad(y, y)[0],
    ]
    answers = []
    for ask in questions:
        x, w, u = (torch.tensor(v, requires_grad=True) for v in (3.0, 2.0, 1.4))
        try:
            got = ask(x * w.detach() + u.round(), x, w, u)
        except RuntimeError:
            answers.append("refused")
        else:
            answers.append("nothing" if got is None else "number")
    return answers


def _not(question, right):
    """Whether one of five answers, counted from 0, is another word than the right one."""
    return lambda answer: len(answer) == 5 and str(answer[question]).strip().casefold() != right


def fit_line(data, target, steps):
    w = torch.full((data.shape[1],), 0.1).to(data).requires_grad_()
    for _ in range(steps):
        loss = ((data @ w - target) ** 2).mean()
        loss.backward()
        with torch.no_grad():
            w -= 0.1 * w.grad
        w.grad = None
    return w.detach()


def _walk_down(w, data, target, steps):
    for _ in range(steps):
        loss = ((data @ w - target) ** 2).mean()
        loss.backward()
        with torch.no_grad():
            w -= 0.1 * w.grad
        w.grad = None
    return w.detach()


def _fit_born_right(data, target, steps):
    w = torch.full((data.shape[1],), 0.1, dtype=data.dtype, device=data.device, requires_grad=True)
    return _walk_down(w, data, target, steps)


def _fit_cut_from_the_nameless(data, target, steps):
    w = torch.full((data.shape[1],), 0.1, requires_grad=True).to(data).detach().requires_grad_()
    return _walk_down(w, data, target, steps)


def _fit_as_parameter(data, target, steps):
    w = torch.nn.Parameter(torch.full((data.shape[1],), 0.1).to(data))
    return _walk_down(w, data, target, steps)


def _fit_by_grad(data, target, steps):
    w = torch.full((data.shape[1],), 0.1).to(data).requires_grad_()
    for _ in range(steps):
        (slope,) = torch.autograd.grad(((data @ w - target) ** 2).mean(), w)
        with torch.no_grad():
            w -= 0.1 * slope
    return w.detach()


def _fit_as_given(data, target, steps):
    w = torch.full((data.shape[1],), 0.1, requires_grad=True).to(data)
    return _walk_down(w, data, target, steps)


def _fit_in_single(data, target, steps):
    w = torch.full((data.shape[1],), 0.1, requires_grad=True)
    return _walk_down(w, data.float(), target.float(), steps)


def _fit_never_asking(data, target, steps):
    w = torch.full((data.shape[1],), 0.1).to(data)
    return _walk_down(w, data, target, steps)


def _matrix():
    return torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])


def _fits():
    target = torch.tensor([1.0, 2.0, 2.0])
    three = torch.tensor([[1.0, 0.5, 0.0], [0.0, 1.0, 1.0]])
    return [
        (_matrix(), target, 3),
        (_matrix().double(), target.double(), 1),
        (_matrix().double(), target.double(), 4),
        (three.double(), torch.tensor([1.0, -1.0]).double(), 2),
    ]


def gradients_along(functions, x):
    results = [x.detach().requires_grad_()]
    for f in functions:
        results.append(f(results[-1]))
    return list(torch.autograd.grad(results[-1].sum(), results))


def _along_by_retaining(functions, x):
    results = [x.detach().clone().requires_grad_()]
    for f in functions:
        results.append(f(results[-1]))
    for t in results:
        t.retain_grad()
    results[-1].sum().backward()
    return [t.grad for t in results]


def _along_by_hooks(functions, x):
    x = x.detach().requires_grad_()
    heard = []
    x.register_hook(heard.append)
    for f in functions:
        x = f(x)
        x.register_hook(heard.append)
    x.sum().backward()
    return heard[::-1]


def _along_inputs(functions, x):
    results = [x.detach().requires_grad_()]
    for f in functions:
        results.append(f(results[-1]))
    results[-1].sum().backward(inputs=results)
    return [t.grad for t in results]


def _along_backwards(functions, x):
    return gradients_along(functions, x)[::-1]


def _along_without_x(functions, x):
    return gradients_along(functions, x)[1:]


def _along_without_sum(functions, x):
    results = [x.detach().requires_grad_()]
    for f in functions:
        results.append(f(results[-1]))
    return list(torch.autograd.grad(results[-1], results))


def _along_the_callers_x(functions, x):
    results = [x]
    for f in functions:
        results.append(f(results[-1]))
    return list(torch.autograd.grad(results[-1].sum(), results))


def _along_into_the_callers_grad(functions, x):
    results = [x if x.requires_grad else x.clone().requires_grad_()]
    for f in functions:
        results.append(f(results[-1]))
    for t in results:
        t.retain_grad()
    results[-1].sum().backward()
    return [t.grad.clone() for t in results]


def _along_unretained(functions, x):
    results = [x.detach().requires_grad_()]
    for f in functions:
        results.append(f(results[-1]))
    results[-1].sum().backward()
    return [t.grad for t in results]


def _ways_along():
    asking = torch.tensor([0.5, -1.0], requires_grad=True)
    asking.grad = torch.tensor([7.0, 7.0])
    return [
        ([torch.sin, torch.exp], torch.tensor([1.0, 2.0])),
        ([torch.exp, torch.square, torch.tanh], asking),
        ([], torch.tensor([1.0, 2.0, 3.0])),
        ([torch.square, torch.round, torch.exp], torch.tensor([[1.2, -0.7]]).T),
    ]


def gradients_for(loss, tensors):
    answers = []
    for t in tensors:
        g = torch.zeros_like(t)
        if t.requires_grad:
            (g,) = torch.autograd.grad(loss, t, retain_graph=True, materialize_grads=True)
        answers.append(g)
    return answers


def _for_all_at_once(loss, tensors):
    asking = [t for t in tensors if t.requires_grad]
    walk = {"retain_graph": True, "allow_unused": True}
    found = iter(torch.autograd.grad(loss, asking, **walk) if asking else ())
    filled = [next(found) if t.requires_grad else None for t in tensors]
    pairs = zip(tensors, filled, strict=True)
    return [torch.zeros_like(t) if g is None else g for t, g in pairs]


def _for_with_none(loss, tensors):
    answers = []
    for t in tensors:
        g = torch.zeros_like(t)
        if t.requires_grad:
            (g,) = torch.autograd.grad(loss, t, retain_graph=True, allow_unused=True)
        answers.append(g)
    return answers


def _for_the_used(loss, tensors):
    return list(torch.autograd.grad(loss, tensors, retain_graph=True))


def _for_the_asking(loss, tensors):
    walk = {"retain_graph": True, "materialize_grads": True}
    return list(torch.autograd.grad(loss, tensors, **walk))


def _for_the_last_time(loss, tensors):
    asking = [t for t in tensors if t.requires_grad]
    found = iter(torch.autograd.grad(loss, asking, materialize_grads=True))
    return [next(found) if t.requires_grad else torch.zeros_like(t) for t in tensors]


def _for_by_storing(loss, tensors):
    loss.backward(retain_graph=True)
    answers = []
    for t in tensors:
        stored = t.grad if t.is_leaf else None
        answers.append(torch.zeros_like(t) if stored is None else stored.clone())
    return answers


def _asked_then_walked(answer, case):
    """What is answered, and what a walk stores afterwards; on a fresh calculation."""
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    idle, data = torch.ones(2, 1, requires_grad=True), torch.tensor([3.0, -1.0])
    middle = (x * data).exp()
    loss = (middle * x).sum()
    named = {"x": x, "idle": idle, "data": data, "middle": middle}
    got = answer(loss, [named[name] for name in case])
    if got is ...:
        return got
    loss.backward()
    return got, x.grad, idle.grad


EXERCISES = [
    Exercise(
        id="202.1",
        name="Leaf or not",
        kind="predict",
        key=which_are_leaves,
        wrong=[
            Wrong(
                lambda answer: {"a", "e", "g"} & set(answer),
                "a, e or g: the result of a recorded operation has a grad_fn, views included.",
                example=["a", "b", "h"],
            ),
            Wrong(
                lambda answer: "h" not in answer,
                "w is float32 already, so float() has nothing to convert.",
                example=["b", "c", "d", "f", "i"],
            ),
            Wrong(
                lambda answer: "f" not in answer,
                "Parameter makes a leaf, of a result as well.",
                example=["b", "c", "d", "h", "i"],
            ),
            Wrong(
                lambda answer: not {"c", "d", "i"} <= set(answer),
                "A result that does not require grad is a leaf. item() gives a plain number.",
                example=["b", "f", "h"],
            ),
        ],
        hints=[
            "For each: was an operation recorded? Without a record there is no grad_fn.",
            "One of them hands back w itself. Which has nothing to do?",
        ],
        explanation="Without a grad_fn means leaf, whoever made the tensor.",
    ),
    Exercise(
        id="202.2",
        name="Who kept what",
        kind="predict",
        key=who_kept_what,
        wrong=[
            Wrong(
                lambda answer: len(answer) == 4 and answer[0] in (3, 6),
                "a is reached on two ways: through d and through b.",
                example=[6, None, 2, 1],
            ),
            Wrong(
                lambda answer: len(answer) == 4 and answer[1] is not None,
                "A gradient of 1 reaches b. What does b keep of it?",
                example=[9, 1, 2, 1],
            ),
            Wrong([15, None, 2, 1], "detach cuts: what arrives at c does not go on to a."),
            Wrong([9, None, None, 1], "c is a leaf, and it was told to require grad."),
            Wrong(
                lambda answer: len(answer) == 4 and answer[2] in (6, 12),
                "The gradient of c is the other factor, not a value of c or d.",
                example=[9, None, 6, 1],
            ),
            Wrong([9, None, 2, None], "d is not a leaf, but somebody asked it to keep."),
        ],
        hints=[
            "The numbers: a is 2, b and c are 6. Which ways lead from the sum back to a?",
            "Through d comes the value of c, through b comes 3. c gets the value of a.",
        ],
        explanation="6 + 3 for a, nothing kept at b, 2 for the leaf c, 1 for d on request.",
    ),
    Exercise(
        id="202.3",
        name="Number, nothing or refused",
        kind="predict",
        key=number_nothing_or_refused,
        wrong=[
            Wrong(
                _not(0, "number"),
                "Rounding is recorded. Its slope is 0, and 0 is a number.",
                example=["nothing", "refused", "nothing", "refused", "number"],
            ),
            Wrong(
                _not(1, "refused"),
                "Unless allow_unused is given, an unused input is an error.",
                example=["number", "nothing", "nothing", "refused", "number"],
            ),
            Wrong(
                _not(3, "refused"),
                "x * 1 is a new tensor, and y was not computed from it.",
                example=["number", "refused", "nothing", "number", "number"],
            ),
            Wrong(
                _not(2, "nothing"),
                "With allow_unused the third question is answered.",
                example=["number", "refused", "refused", "refused", "number"],
            ),
            Wrong(
                _not(4, "number"),
                "A result depends on itself, with slope 1.",
                example=["number", "refused", "nothing", "refused", "refused"],
            ),
        ],
        hints=[
            "From which of the named tensors does a recorded way lead to y?",
            "round is recorded, w is detached, and x * 1 is made after y.",
        ],
        explanation="A zero is an answer; no way is None if you allow it, and else an error.",
    ),
    Exercise(
        id="202.4",
        name="It worked with other data",
        kind="repair",
        model=fit_line,
        cases=_fits,
        also={"gradient"},
        right=[_fit_born_right, _fit_cut_from_the_nameless, _fit_as_parameter, _fit_by_grad],
        wrong=[
            Wrong(
                _fit_as_given,
                "w has no gradient. What is w when there is something to convert?",
                shows="NoneType",
            ),
            Wrong(
                _fit_in_single,
                "The weights should come in the dtype of the data.",
                shows="dtype",
            ),
            Wrong(
                _fit_never_asking,
                "Now nothing requires grad: ask after the conversion.",
                shows="does not require grad",
            ),
        ],
        hints=[
            "Which of the two calls in the first line makes w, if the dtypes differ?",
            "Convert first, and call requires_grad_() last.",
        ],
        explanation="Values, dtype and device first; the request for a gradient last.",
        equivalent_mutants={
            "return w.detach() => return w.detach_()": "w is the function's own tensor.",
        },
    ),
    Exercise(
        id="202.5",
        name="All along the way",
        kind="write",
        model=gradients_along,
        cases=_ways_along,
        right=[_along_by_retaining, _along_by_hooks, _along_inputs],
        wrong=[
            Wrong(
                _along_backwards,
                "backward visits the last result first, but x comes first in your list.",
                shows="values",
            ),
            Wrong(
                _along_without_x,
                "The gradient of x belongs into the list, too.",
                shows="2",
            ),
            Wrong(
                _along_without_sum,
                "The last result may have many numbers: ask for the gradient of their sum.",
                shows="scalar",
            ),
            Wrong(
                _along_the_callers_x,
                "x may not require grad: make a leaf of your own that does.",
                shows="raised",
            ),
            Wrong(
                _along_into_the_callers_grad,
                "backward adds to the .grad of the caller's x.",
                shows=".grad",
            ),
            Wrong(
                _along_unretained,
                "Results keep no gradient unless they are asked to.",
                shows="None",
            ),
        ],
        hints=[
            "Keep all results in a list that begins with x.detach().requires_grad_().",
            "autograd.grad takes many inputs at once and answers in their order.",
        ],
        explanation="autograd.grad does not care which of its inputs are leaves.",
    ),
    Exercise(
        id="202.6",
        name="An answer for everyone",
        kind="write",
        model=gradients_for,
        run=_asked_then_walked,
        cases=lambda: [
            (["x"],),
            (["idle", "x"],),
            (["x", "idle", "data"],),
            (["data", "middle", "idle", "x"],),
            (["data"],),
        ],
        right=[_for_all_at_once],
        wrong=[
            Wrong(
                _for_with_none,
                "allow_unused answers None where no way leads; here zeros are wanted.",
                shows="None",
            ),
            Wrong(
                _for_the_used,
                "One of the tensors is not used: see allow_unused and materialize_grads.",
                shows="not have been used",
            ),
            Wrong(
                _for_the_asking,
                "One of the tensors does not require grad: do not ask for it.",
                shows="does not require grad",
            ),
            Wrong(
                _for_the_last_time,
                "Your walk has freed what loss.backward() still needs: retain it.",
                shows="second time",
            ),
            Wrong(
                _for_by_storing,
                "backward stores in .grad, and results keep nothing.",
                shows="values",
            ),
        ],
        hints=[
            "Ask only for those that require grad, and put zeros in place of the others.",
            "materialize_grads fills in zeros; retain_graph leaves the walk to the caller.",
        ],
        explanation="autograd.grad stores nothing, so only the graph has to be kept.",
    ),
]
