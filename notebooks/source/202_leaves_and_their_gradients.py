# %% [markdown]
# # 202 · Leaves and their gradients
#
# `backward` ran without an error, and `w.grad` is `None`. The line to blame may stand far
# above: a harmless `* 0.1`, or a `.to(device)` that has worked for months on a machine
# without a GPU. "Because it is not a leaf", says the forum, and then one reads that data
# are leaves, that weights are leaves, and that both are so by convention. What is a leaf,
# who makes it one, and how do you get a gradient where none is kept?

# %% [markdown]
# **You will be able to**
#
# - tell of an expression whether it gives a leaf, and whether a `.grad` arrives there;
# - find the leaf that a conversion or a scaling has hidden, and avoid losing it;
# - get a gradient in between in four ways, and choose one;
# - ask `autograd.grad` for what you need, and deal with what the result does not use;
# - name the reason why a given `.grad` is `None`.
#
# **You need** [201](201_gradients_and_graphs.ipynb) for graphs and `backward`.
# **Time** 45 minutes.

# %% tags=["setup"]
import torch
from torch import nn

from helpers import draw, exercise, expect_error, expect_warning, pick_device, table

torch.set_default_device(pick_device())

# %% [markdown]
# ## Where did the gradient go?
#
# Weights should start small, so we write `* 0.1`. They should learn, so we write
# `requires_grad=True`:

# %%
w = torch.ones(2, requires_grad=True) * 0.1
y = (w * torch.tensor([1.0, 2.0])).sum()
y.backward(retain_graph=True)
with expect_warning(UserWarning, "is not a leaf Tensor"):
    assert w.requires_grad and w.grad is None

# %% [markdown]
# `w` requires grad, was used, and has nothing. The warning says why: it is not a leaf
# (叶子张量). The line has made two tensors. `torch.ones(2, requires_grad=True)` is one,
# and nobody has given it a name; `w` is the other, the result of a multiplication. The
# node of `w` still leads to the first. **Predict** the gradient that the walk has left
# there:

# %% tags=["predict"]
nameless = w.grad_fn.next_functions[0][0].variable
[f"{g:.3g}" for g in nameless.grad.tolist()]

# %% [markdown]
# Nothing was lost but the name. In the picture, for which we retained the graph, the
# gradients 1 and 2 go through `w` and are multiplied by the 0.1 on their way to the ones:

# %%
assert nameless.is_leaf and nameless.tolist() == [1, 1]
assert torch.allclose(nameless.grad, torch.tensor([0.1, 0.2]))
told = "The green oval is a leaf without a name; `w` is a result on the way from it."
draw.graph(y, caption=told, names={"w": w, "y": y}, gradients=True)

# %% [markdown]
# Scale first and ask afterwards, and the small numbers themselves are the leaf:

# %%
w = (torch.ones(2) * 0.1).requires_grad_()
(w * torch.tensor([1.0, 2.0])).sum().backward()
assert w.is_leaf and w.grad.tolist() == [1, 2]

# %% [markdown]
# Arithmetic is easy to suspect. A conversion is not. Here a leaf on the CPU is sent to
# two dtypes and to two devices (`meta` is a device without numbers, which every machine
# has). **Predict** the four answers:

# %% tags=["predict"]
home = torch.ones(2, device="cpu", requires_grad=True)
[home.to(goal).is_leaf for goal in (torch.float32, torch.float64, "cpu", "meta")]

# %% [markdown]
# The first and the third have nothing to convert, and `to` hands back the same object,
# leaf and all. In the others converting is an operation, and its result has a `grad_fn`:

# %%
assert home.to(torch.float32) is home and home.to("cpu") is home
assert home.to(torch.float64).grad_fn.name() == "ToCopyBackward0"
assert home.to("meta").grad_fn.name() == "ToCopyBackward0"

# %% [markdown]
# So one line, `.to(device)`, keeps the leaf where the tensor is at home already, and
# loses it on another machine. A module hides the mistake even better. It lists, for an
# optimizer, those of its attributes that are an `nn.Parameter`. **Predict** how many
# parameters each of these two has:


# %% tags=["predict"]
class Scaled(nn.Module):
    def __init__(self, dtype):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1)).to(dtype)


single, double = Scaled(torch.float32), Scaled(torch.float64)
len(list(single.parameters())), len(list(double.parameters()))

# %% [markdown]
# The converted parameter is a result, a plain tensor that the module does not list. An
# optimizer that is given `double.parameters()` will not hear of it:

# %%
assert type(single.scale) is nn.Parameter and type(double.scale) is torch.Tensor
assert not double.scale.is_leaf and list(double.parameters()) == []

# %% [markdown]
# Convert before you make the parameter, or convert the whole module. Its weight changes
# its dtype, and stays the same parameter and a leaf:

# %%
assert nn.Parameter(torch.ones(1).to(torch.float64)).is_leaf
layer = nn.Linear(2, 2)
weight = layer.weight
layer.to(torch.float64)
assert layer.weight is weight and weight.is_leaf and weight.dtype == torch.float64

# %% [markdown]
# **Rule.** Settle values, dtype and device first. Ask for the gradient last.

# %% [markdown]
# ## What makes a leaf?
#
# The notes have an example and a criterion. What the user made is a leaf, what an
# operation made is not:

# %% tags=["claim:C278"]
a = torch.ones(2, 2, requires_grad=True)
b = a + 2
assert a.is_leaf and not b.is_leaf

# %% [markdown]
# By that criterion, each of the next four is no leaf. **Predict** what torch says:

# %% tags=["predict"]
with torch.no_grad():
    unrecorded = a + 2
results = {"ones * 2": torch.ones(2) * 2, "a > 0": a > 0, "a.detach()": a.detach()}
results["a + 2 under no_grad"] = unrecorded
[t.is_leaf for t in results.values()]

# %% [markdown]
# All four are leaves, though an operation made each of them. They have in common that
# they do not require grad. The notes say that such tensors count as leaves by convention,
# and so it is, for tensors that you made and for results alike:

# %% tags=["claim:C277", "claim:C278"]
assert all(t.is_leaf and not t.requires_grad for t in results.values())
assert torch.ones(2).is_leaf and not torch.ones(2).requires_grad

# %% [markdown]
# So the origin does not decide. We collect ways to make a tensor, some of them out of a
# leaf `w`, and put three questions to each result: are you a leaf, do you require grad,
# and do you have a `grad_fn`? As in [204](204_detach_data_clone.ipynb), the ways are
# Python text, so that the table says what ran:

# %%
ways = [
    "torch.ones(2)",
    "torch.ones(2) * 2",
    "torch.ones(2, requires_grad=True)",
    "(torch.ones(2) * 2).requires_grad_()",
    "nn.Parameter(torch.ones(2))",
    "nn.Parameter(w * 2)",
    "w * 2",
    "w.round()",
    "w[0]",
    "w.view(1, 2)",
    "w.clone()",
    "torch.stack([w, w])",
    "torch.zeros(2).copy_(w)",
    "w.to(torch.float64)",
    "w.to(torch.float32)",
    "w.contiguous()",
    "w.detach()",
    "w.detach().requires_grad_()",
    "w > 0",
    "w.to(torch.int64)",
    "torch.zeros_like(w)",
    "torch.tensor(w.tolist())",
]

# %% [markdown]
# The fourth question, whether a gradient arrives, we put to `backward`. A
# companion `k`, which always requires grad, makes sure that every walk can start:

# %%
import warnings


def look(code):
    t = eval(code, globals(), {"w": torch.tensor([1.0, 2.0], requires_grad=True)})
    k = torch.tensor(1.0, requires_grad=True)
    (t.sum() * k).backward()
    node = t.grad_fn.name() if t.grad_fn else None
    with warnings.catch_warnings(action="ignore"):
        arrived = t.grad is not None
    row = {"t =": code, "leaf": t.is_leaf, "requires grad": t.requires_grad}
    return row | {"grad_fn": node, "grad arrives": arrived}


# %% [markdown]
# **Predict** the column *leaf* on paper, and then which of the 22 keep a gradient:

# %% tags=["predict"]
rows = [look(code) for code in ways]
table(rows)

# %% [markdown]
# Now the criterion can be read off. Two sentences of the notes hold in all 22 rows: a
# leaf has no `grad_fn`, and a non-leaf has one. And the gradient is kept by leaves that
# require grad, and by nobody else. (Nobody else has asked for it; further down, some do.)

# %% tags=["claim:C279", "claim:C276"]
for row in rows:
    assert row["leaf"] == (row["grad_fn"] is None)
    assert row["grad arrives"] == (row["leaf"] and row["requires grad"])
sum(row["leaf"] for row in rows), sum(row["grad arrives"] for row in rows)

# %%
from helpers import canvas, show

rooms = {}
for row in rows:
    rooms.setdefault((row["requires grad"], row["leaf"]), []).append(row["t ="])
figure, axes = canvas(7, 3.5)
axes.set(xlim=(0, 2), ylim=(0, 2), xticks=[0.5, 1.5], yticks=[0.5, 1.5])
axes.set_xticklabels(["leaf", "not a leaf"])
axes.set_yticklabels(["does not\nrequire grad", "requires\ngrad"])
for asks in (False, True):
    for leaf in (True, False):
        lines = "\n".join(rooms.get((asks, leaf), ["(nobody)"]))
        axes.text(1.04 - leaf, asks + 0.95, lines, va="top", size=8, family="monospace")
axes.axhline(1, color="#8a8a8a", lw=1)
axes.axvline(1, color="#8a8a8a", lw=1)
axes.axvspan(0, 1, ymin=0.5, color="#009e73", alpha=0.15)
told = "A gradient is kept in the green room only, and one room is empty."
said = {k: ", ".join(v) for k, v in rooms.items()}
alt = f"Leaves that require grad: {said[True, True]}. Leaves that do not: "
show(figure, told, alt + f"{said[False, True]}. Not leaves: {said[True, False]}.")

# %% [markdown]
# Look for `nn.Parameter(w * 2)`: a leaf made of a result, for `Parameter` drops the
# `grad_fn`. And for `w.contiguous()`: an operation by its name, which had nothing to do
# and handed back `w`. The conversion to whole numbers is a leaf, too, but one that never
# asked.

# %%
assert (False, False) not in rooms and len(rooms) == 3
assert w.contiguous() is w and nn.Parameter(w * 2).grad_fn is None
whole = w.to(torch.int64)
assert whole.is_leaf and not whole.requires_grad

# %% [markdown]
# **Rule.** A leaf is a tensor without a `grad_fn`. Unasked, a gradient is kept where a
# tensor is a leaf *and* requires grad *and* the walk gets there.

# %% [markdown]
# ## Can a leaf stop being one?
#
# If a leaf is what has no `grad_fn`, it need not stay one. We follow one object through
# three operations in place. **Predict** the second column:

# %% tags=["predict"]
w, t = torch.ones(2, requires_grad=True), torch.zeros(2)
life, same = [], True
for step in ("t", "t.add_(w)", "t.detach_()", "t.requires_grad_()"):
    same = same and eval(step) is t
    life.append({"step": step, "leaf": t.is_leaf, "requires grad": t.requires_grad})
table(life)

# %% [markdown]
# Born a leaf, then a result, then a leaf again, first one that gets no gradient and at
# last one that does. It was the same tensor all the time:

# %%
assert [row["leaf"] for row in life] == [True, False, True, True]
assert [row["requires grad"] for row in life] == [False, True, False, True]
assert same

# %% [markdown]
# It can even happen to a tensor that the line does not mention. `half` is a view of
# `board`, and what is written into `board` concerns it as well:

# %%
board = torch.zeros(4)
half = board[:2]
assert half.is_leaf
board.add_(torch.ones(4, requires_grad=True))
assert not board.is_leaf and not half.is_leaf and half.requires_grad

# %% [markdown]
# Such a write turns a leaf that never asked into a result. This one, to a leaf that has
# asked, is refused; [205](205_in_place_and_versions.ipynb) tells when and why:

# %%
with expect_error(RuntimeError, "a leaf Variable that requires grad"):
    torch.zeros(2, requires_grad=True).add_(w)

# %% [markdown]
# And the room that stayed empty? A result that was told to stop asking would enter it.
# Torch refuses, and sends you to `detach`, which makes a leaf:

# %%
t = w * 2
with expect_error(RuntimeError, "only change requires_grad flags of leaf variables"):
    t.requires_grad_(False)
assert t.detach().is_leaf

# %% [markdown]
# **Rule.** Being a leaf is a state, not a birthright. When in doubt, ask `is_leaf` where
# you need it, not where the tensor was made.

# %% [markdown]
# ## How do you see a gradient in between?
#
# A hook (钩子) is a function that a tensor calls with the gradient that arrives there.
# We put one on every tensor of a chain. **Predict** which of them are called, and in
# which order:

# %% tags=["predict"]
x = torch.tensor(2.0, requires_grad=True)
a = x * 3
b = a * 5
arrived = {}
for name, t in {"x": x, "a": a, "b": b}.items():
    t.register_hook(lambda g, name=name: arrived.update({name: g.item()}))
(b * b).backward()
arrived

# %% [markdown]
# All three, and `x` last; `backward` needs the gradient of `b` to compute that of `a`.
# Being a leaf does not decide who *gets* a gradient here, only who *keeps* it:

# %%
assert list(arrived.items()) == [("b", 60), ("a", 300), ("x", 900)]
with expect_warning(UserWarning, "not a leaf"):
    assert x.grad == 900 and a.grad is None and b.grad is None

# %% [markdown]
# What becomes of the others? The notes say that they are released, to save memory. We
# can watch that. A weak reference does not keep a thing alive, and tells whether it still
# is. Each hook takes one of the storage of its gradient:

# %%
import weakref

memory, chain = {}, [torch.ones(1000, requires_grad=True)]
for step in range(6):
    t = chain[-1]
    t.register_hook(
        lambda g, n=step: memory.update({n: weakref.ref(g.untyped_storage())})
    )
    chain.append((t * 1.5).sin())
chain[-1].sum().backward()

# %% [markdown]
# Six gradients of a thousand numbers each have been computed. **Predict** how many are
# still in memory:

# %% tags=["predict"]
alive = [step for step, storage in memory.items() if storage() is not None]
len(memory), alive

# %% [markdown]
# One: it is the memory of the leaf's `.grad`. The other five are gone, although `chain`
# keeps their tensors, and those have not kept a copy:

# %% tags=["claim:C395"]
assert len(memory) == 6 and alive == [0]
assert memory[0]() is chain[0].grad.untyped_storage()
with warnings.catch_warnings(action="ignore"):
    assert all(t.grad is None for t in chain[1:])

# %% [markdown]
# If you need one of the five, say so. Here are four ways to do it, tried on the `a` of
# `a * a`. The notes name the hook, `autograd.grad` and, elsewhere, `retain_grad`;
# `backward(inputs=...)`, which is told where to go, completes the list:


# %%
def calculation():
    x = torch.tensor(2.0, requires_grad=True)
    a = x * 3
    return x, a, a * a


x1, a1, y = calculation()
a1.retain_grad()
y.backward()
x2, a2, y = calculation()
heard = []
a2.register_hook(heard.append)
y.backward()

# %%
x3, a3, y = calculation()
(answer,) = torch.autograd.grad(y, a3)
x4, a4, y = calculation()
y.backward(inputs=[a4])

# %% [markdown]
# All four know the gradient of `a`, which is 12. **Predict** what they have left in
# `x.grad`:

# %% tags=["predict"]
found = {"retain_grad": (a1.grad, x1), "hook": (heard[0], x2)}
found |= {"autograd.grad": (answer, x3), "backward(inputs=[a])": (a4.grad, x4)}
rows = []
for way, (g, x) in found.items():
    stored = None if x.grad is None else x.grad.item()
    rows.append({"way": way, "gradient of a": g.item(), "x.grad": stored})
table(rows)

# %% [markdown]
# The first two listen in on an ordinary walk, which fills the leaves. The last two walk
# for `a` alone and leave `x` in peace. (`retains_grad` tells whether a tensor was asked
# to retain; the last way asks for you.)

# %% tags=["claim:C285", "claim:C395"]
assert all(g == 12 for g, _ in found.values())
assert x1.grad == x2.grad == 36 and x3.grad is None and x4.grad is None
assert a1.retains_grad and a4.retains_grad and not a2.retains_grad

# %% [markdown]
# A hook may do more than listen: what it returns takes the place of the gradient. Which
# of the two does `retain_grad` keep, the 12 that came or what the hook made of it?
# **Predict** `a.grad` and `x.grad`, for both orders of asking:


# %% tags=["predict"]
def both(order):
    x, a, y = calculation()
    requests = [a.retain_grad, lambda: a.register_hook(lambda g: g * 10)]
    for request in requests[::order]:
        request()
    y.backward()
    return a.grad.item(), x.grad.item()


pairs = both(1), both(-1)
pairs

# %% [markdown]
# The order does not matter. `retain_grad` keeps what leaves the hook and travels on
# to `x`:

# %%
assert pairs == ((120, 360), (120, 360))

# %% [markdown]
# Asking a whole chain shows what no leaf can show. Here are twelve sigmoids, one after
# the other, and the gradient at each step, from `x` to the last result:

# %%
import itertools

x = torch.tensor(0.5, requires_grad=True)
chain = [x]
for _ in range(12):
    chain.append(chain[-1].sigmoid())
slopes = [g.item() for g in torch.autograd.grad(chain[-1], chain)]
assert all(first < last / 4 for first, last in itertools.pairwise(slopes))

# %%
figure, axes = canvas(6, 2.4)
axes.semilogy(range(1, 13), slopes[1:], "o", label="results: nobody keeps these")
axes.semilogy([0], slopes[:1], "s", label="the leaf x")
axes.set(xlabel="sigmoids passed", ylabel="gradient")
axes.legend()
told = "Each sigmoid passes on less than a quarter, and little is left for the leaf."
show(figure, told, "Gradients on a log scale: 1 at the end, less each step, 2e-8 at x.")

# %% [markdown]
# **Rule.** To read one tensor later, `retain_grad`; to watch or change what passes, a
# hook; to leave the leaves alone, `autograd.grad`.

# %% [markdown]
# ## What does autograd grad give?
#
# The notes compare it with `backward` on $z = x^2 y$ at 2 and 3. It returns a tuple and
# stores nothing; `backward` returns nothing and stores in both leaves:

# %% tags=["claim:C266"]
x = torch.tensor(2.0, requires_grad=True)
y = torch.tensor(3.0, requires_grad=True)
answer = torch.autograd.grad(x * x * y, x)
assert answer == (12,) and x.grad is None and y.grad is None
assert (x * x * y).backward() is None
assert x.grad == 12 and y.grad == 4

# %% [markdown]
# It stores nothing in the leaves, to be exact. A tensor on the way that was asked to
# retain is served on this walk, too:

# %%
start, a, end = calculation()
a.retain_grad()
assert torch.autograd.grad(end, start) == (36,)
assert a.grad == 12 and start.grad is None

# %% [markdown]
# One entry for each input, in the order of the question. (In one of the notes the module
# is called `aotograd`, a name that torch does not know.)

# %% tags=["claim:C448"]
assert torch.autograd.grad(x * x * y, (y, x)) == (4, 12)
assert not hasattr(torch, "aotograd")

# %% [markdown]
# The notes ask one at a time, and run into an error that you know from 201:

# %% tags=["claim:C267"]
z = x * x * y
(to_x,) = torch.autograd.grad(z, x)
with expect_error(RuntimeError, "backward through the graph a second time", lines=1):
    torch.autograd.grad(z, y)

# %% [markdown]
# `retain_graph=True` in the first call helps, as they say. Asking for both at once, as
# above, is one walk instead of two:

# %% tags=["claim:C267"]
z = x * x * y
(to_x,) = torch.autograd.grad(z, x, retain_graph=True)
(to_y,) = torch.autograd.grad(z, y)
assert (to_x, to_y) == torch.autograd.grad(x * x * y, (x, y))

# %% [markdown]
# Their reason is that one `autograd.grad` releases the graph. All of it? Here is a sum of
# two branches, and `exp` saves its result. A hook sits on the branch of `y`.
# **Predict** whether the second call fails, and what `visited` shows between the calls:

# %% tags=["predict"]
left, right = x.exp(), y.exp()
visited = []
right.register_hook(lambda g: visited.append("right"))
z = left + right
(to_x,) = torch.autograd.grad(z, x)
between = list(visited)
(to_y,) = torch.autograd.grad(z, y)
between, visited

# %% [markdown]
# It succeeds. The first call went only where a way to `x` leads, and what it did not
# visit, it did not release. A third call, for `x` again, is too late:

# %% tags=["claim:C267"]
assert between == [] and visited == ["right"]
assert torch.equal(to_x, x.exp()) and torch.equal(to_y, y.exp())
with expect_error(RuntimeError, "a second time", lines=1):
    torch.autograd.grad(z, x)

# %% [markdown]
# The notes also write down the signature, with `retain_graph=False, create_graph=None`.
# The two defaults are interchanged, and these four arguments are missing:

# %% tags=["claim:C449"]
import inspect

takes = inspect.signature(torch.autograd.grad).parameters
assert takes["retain_graph"].default is None and takes["create_graph"].default is False
list(takes)[5:]

# %% [markdown]
# Two of the four are for inputs that the result does not use. Without them that is an
# error:

# %%
with expect_error(RuntimeError, "appears to not have been used in the graph"):
    torch.autograd.grad(x * 2, [x, y])

# %% [markdown]
# `allow_unused` lets such an input pass, and `materialize_grads` makes a gradient for it.
# Here are three inputs: one is used, one is rounded first and one is not used.
# **Predict** both lists:

# %% tags=["predict"]
u = torch.tensor(1.4, requires_grad=True)
z = x * 2 + u.round()
plain = torch.autograd.grad(z, [x, u, y], retain_graph=True, allow_unused=True)
filled = torch.autograd.grad(z, [x, u, y], materialize_grads=True)
[None if g is None else g.item() for g in plain], [g.item() for g in filled]

# %% [markdown]
# `allow_unused` says `None` for "no way leads there", which is not the 0 of a slope
# that is zero. `materialize_grads` fills in zeros. That is handy for sums, and the two
# cases can no longer be told apart. For a tensor that does not require grad neither
# helps:

# %%
assert plain == (2, 0, None) and filled == (2, 0, 0)
for way in ("allow_unused", "materialize_grads"):
    with expect_error(RuntimeError, "does not require grad"):
        torch.autograd.grad(x * 2, [x, torch.ones(1)], **{way: True})

# %% [markdown]
# **Rule.** `autograd.grad` does not care for leaves. It walks to the tensors
# that you name, answers in their order, and stores nothing in them unless asked.

# %% [markdown]
# ## Why is it None?
#
# Four questions find the usual reasons. For one of them we follow the nodes, as in 201,
# from the loss to those of the leaves, which know their `variable`. That works after
# `backward`, too, for only what the nodes have saved is gone then:


# %%
def reached(t, loss):
    """Whether a walk from loss gets to t."""
    seen, todo = {None}, [loss.grad_fn]
    while todo:
        node = todo.pop()
        if node in seen:
            continue
        if node is t.grad_fn or getattr(node, "variable", None) is t:
            return True
        seen.add(node)
        todo += [before for before, _ in node.next_functions]
    return False


# %%
def why_none(t, loss):
    with warnings.catch_warnings(action="ignore"):
        if t.grad is not None:
            return "it has one"
    if not t.requires_grad:
        return "does not require grad"
    if not t.is_leaf and not t.retains_grad:
        return "not a leaf, and not asked to keep it"
    if not reached(t, loss):
        return "no way leads there from the loss"
    return "not walked since it asked, or cleared"


# %% [markdown]
# Six tensors and a loss. **Predict** for which of them `.grad` is `None`, and why:

# %% tags=["predict"]
ask = {"requires_grad": True}
data, good, idle = torch.ones(2), torch.ones(2, **ask), torch.ones(2, **ask)
scaled, cut = torch.ones(2, **ask) * 0.1, torch.ones(2, **ask)
cleared = torch.ones(2, **ask)
loss = (data * good * scaled * cut.detach() * cleared).sum()
loss.backward()
cleared.grad = None
six = {"data": data, "good": good, "idle": idle, "scaled": scaled, "cut": cut}
six["cleared"] = cleared
table([{"tensor": name, "reason": why_none(t, loss)} for name, t in six.items()])

# %% [markdown]
# Five times `None`, and four reasons. `idle` and `cut` look different in the code and
# alike to the graph, though the value of the loss does depend on `cut`. The answer of
# the forum is right once:

# %%
reasons = {name: why_none(t, loss) for name, t in six.items()}
assert [name for name, reason in reasons.items() if reason == "it has one"] == ["good"]
assert reasons["idle"] == reasons["cut"] == "no way leads there from the loss"
assert reasons["cleared"] == "not walked since it asked, or cleared"
assert [name for name, t in six.items() if not t.is_leaf] == ["scaled"]
assert (data * good * scaled * (2 * cut) * cleared).sum() == 2 * loss

# %% [markdown]
# ## Where it goes wrong
#
# **The optimizer refuses.** It is given the scaled weights of our first section:

# %%
raw = torch.ones(3, requires_grad=True)
scaled = raw * 0.1
with expect_error(ValueError, "can't optimize a non-leaf Tensor"):
    torch.optim.SGD([scaled], lr=1.0)

# %% [markdown]
# `retain_grad` silences the error. But then the optimizer moves the result, the leaf
# stays, and the next time that the result is computed, the step is undone:

# %%
scaled.retain_grad()
optimizer = torch.optim.SGD([scaled], lr=1.0)
scaled.sum().backward()
optimizer.step()
assert torch.allclose(scaled, torch.tensor(-0.9))
assert torch.allclose(raw * 0.1, torch.tensor(0.1)) and raw.tolist() == [1, 1, 1]

# %% [markdown]
# The cure is that of the first section: make the small numbers the leaf, here in a single
# call. (Or give `raw` to the optimizer, and compute `raw * 0.1` in each round.)

# %%
small = torch.full((3,), 0.1, requires_grad=True)
optimizer = torch.optim.SGD([small], lr=1.0)
small.sum().backward()
optimizer.step()
assert small.is_leaf and torch.allclose(small, torch.tensor(-0.9))

# %% [markdown]
# **The optimizer does not refuse.** A line is fitted to points with shift 2. The shift is
# made without asking for a gradient; it is a leaf, so it passes the check:


# %%
def fit(shift):
    x, w = torch.tensor([1.0, 2.0, 3.0]), torch.zeros(1, requires_grad=True)
    optimizer, losses = torch.optim.SGD([w, shift], lr=0.1), []
    for _ in range(60):
        loss = ((w * x + shift - (x + 2)) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


silent, asking = torch.zeros(1), torch.zeros(1, requires_grad=True)
wrong, right = fit(silent), fit(asking)
assert silent.tolist() == [0] and wrong[-1] > 0.5
assert 1.5 < asking.item() < 2 and right[-1] < 0.05

# %%
figure, axes = canvas(6, 2.4)
axes.semilogy(wrong, label="shift does not require grad")
axes.semilogy(right, label="shift requires grad")
axes.set(xlabel="step", ylabel="loss")
axes.legend()
told = "Both losses fall, and one of them stops, because a weight never moves."
show(figure, told, "Loss by step: one curve levels off at 0.57, the other goes on.")

# %% [markdown]
# The loss falls, so nobody looks. A line before training finds it:

# %%
params = [torch.zeros(1, requires_grad=True), silent]
assert [p.is_leaf and p.requires_grad for p in params] == [True, False]

# %% [markdown]
# **`retain_grad` comes too late.** The gradient went by before anybody asked. And now
# that the tensor is asked to keep one, even the warning is gone:

# %%
x, a, y = calculation()
y.backward()
a.retain_grad()
with warnings.catch_warnings(action="error"):
    assert a.grad is None

# %% [markdown]
# Ask before `backward`, as above.
#
# **The question names another tensor.** Indexing makes a new tensor at each call, and
# nothing was ever computed from this one:

# %%
x = torch.tensor([1.0, 2.0], requires_grad=True)
with expect_error(RuntimeError, "not have been used in the graph", lines=1):
    torch.autograd.grad((x * x).sum(), x[0])

# %% [markdown]
# Index the gradient instead, or compute with the piece that you ask for:

# %%
(whole,) = torch.autograd.grad((x * x).sum(), x)
piece = x[0]
(part,) = torch.autograd.grad(piece * piece + x[1] ** 2, piece)
assert whole[0] == part == 2

# %% [markdown]
# ## In practice
#
# Write `torch.full(shape, 0.1, dtype=..., device=..., requires_grad=True)`: one call, one
# leaf. In a module, create the parameter plainly and move the module.
#
# Before training, check that everything you hand to the optimizer is a leaf and requires
# grad. After the first `backward`, list the parameters whose `.grad` is `None`: each of
# them is either meant to rest or a mistake.
#
# `retain_grad` is for debugging. For gradients with respect to inputs, in attacks or
# penalties, use `autograd.grad`: the parameters' `.grad` stays as it is.

# %% [markdown]
# ## Summary
#
# - A leaf is a tensor without a `grad_fn`; unasked, `.grad` arrives at leaves that
#   require grad and lie on a walk ([measured](#What-makes-a-leaf?)), and leaf or not is a
#   state that changes ([shown](#Can-a-leaf-stop-being-one?)).
# - `* 0.1`, and `.to()` where it converts, leave the leaf without a name; ask last
#   ([found](#Where-did-the-gradient-go?)).
# - Gradients reach every tensor of a chain, and results drop theirs; `retain_grad`, a
#   hook, `autograd.grad` and `backward(inputs=...)` give them to you
#   ([compared](#How-do-you-see-a-gradient-in-between?)).
# - `autograd.grad` answers in the order of the question, walks only where it must, and
#   has `None` or zeros for what is unused ([shown](#What-does-autograd-grad-give?)).
# - Not asking, not a leaf, not reached, not yet or no more: reasons for `None`
#   ([told apart](#Why-is-it-None?)).

# %% [markdown]
# ## Exercises
#
# ### Exercise 202.1 · Leaf or not
# *predict · ●○○ · 4 minutes*
#
# With `w = torch.ones(2, requires_grad=True)` and `x = torch.ones(2)`, which of these
# are leaves? Give their letters in any order.
#
# **a** `w + x` **b** `(w + x).detach()` **c** `x * 3` **d** `w.sum().item() * x`
# **e** `torch.cat([x, w])` **f** `nn.Parameter(w[:1])` **g** `w.reshape(2, 1)`
# **h** `w.float()` **i** `(w > 0).float()`

# %% tags=["exercise"]
answer = ...  # TODO: a list of letters, such as ["a", "b"]

# %%
exercise("202.1").check(answer)

# %% [markdown]
# ### Exercise 202.2 · Who kept what
# *predict · ●●○ · 5 minutes*
#
# ```python
# a = torch.tensor(2.0, requires_grad=True)
# b = a * 3
# c = b.detach().requires_grad_()
# d = c * a
# d.retain_grad()
# (d + b).backward()
# ```
#
# What are `a.grad`, `b.grad`, `c.grad` and `d.grad`? Work it out on paper.

# %% tags=["exercise"]
answer = ...  # TODO: a list of four, each a number or None

# %%
exercise("202.2").check(answer)

# %% [markdown]
# ### Exercise 202.3 · Number, nothing or refused
# *predict · ●●○ · 5 minutes*
#
# `x`, `w` and `u` are scalars that require grad, and `y = x * w.detach() + u.round()`.
# What does each question give, asked of a fresh `y`? Say *nothing* for `None`, and
# *refused* for an error.
#
# - first: `torch.autograd.grad(y, u)[0]`
# - second: `torch.autograd.grad(y, w)[0]`
# - third: `torch.autograd.grad(y, [x, w], allow_unused=True)[1]`
# - fourth: `torch.autograd.grad(y, x * 1)[0]`
# - fifth: `torch.autograd.grad(y, y)[0]`

# %% tags=["exercise"]
answer = ...  # TODO: a list; five times "number", "nothing" or "refused"

# %%
exercise("202.3").check(answer)

# %% [markdown]
# ### Exercise 202.4 · It worked with other data
# *repair · ●●○ · 5 minutes*
#
# This function walks downhill from 0.1 and returns the weights, in the dtype of the
# data. With float32 it does; with float64 it fails.


# %% tags=["exercise"]
def fit_line(data, target, steps):
    w = torch.full((data.shape[1],), 0.1, requires_grad=True).to(data)  # TODO: repair
    for _ in range(steps):
        loss = ((data @ w - target) ** 2).mean()
        loss.backward()
        with torch.no_grad():
            w -= 0.1 * w.grad
        w.grad = None
    return w.detach()


# %%
exercise("202.4").check(fit_line)

# %% [markdown]
# ### Exercise 202.5 · All along the way
# *write · ●●○ · 8 minutes*
#
# `x` passes through a list of functions, one after the other. Return a list of gradients
# of the sum of the last result: with respect to `x`, then to each result, the last one
# included. Leave the caller's tensors as they are: `.grad`, and whether they require
# grad. `x` may or may not require grad.


# %% tags=["exercise"]
def gradients_along(functions, x):
    return ...  # TODO: a list with one gradient more than there are functions


# %%
exercise("202.5").check(gradients_along)

# %% [markdown]
# ### Exercise 202.6 · An answer for everyone
# *write · ●●● · 10 minutes*
#
# Return a list with the gradient of `loss` for each of `tensors`, and zeros of the same
# shape where the loss does not depend on a tensor, or the tensor does not require grad.
# No `.grad` may change, and the caller still wants to call `loss.backward()`
# afterwards. `loss` itself requires grad.


# %% tags=["exercise"]
def gradients_for(loss, tensors):
    return ...  # TODO: one tensor for each


# %%
exercise("202.6").check(gradients_for)

# %% [markdown]
# ## Next
#
# [203 · Higher derivatives](203_higher_derivatives.ipynb) asks `autograd.grad` for the
# gradient of a gradient.
#
# - [torch.Tensor.is_leaf](https://docs.pytorch.org/docs/stable/generated/torch.Tensor.is_leaf.html):
#   the convention in torch's own words.
# - [Understanding requires_grad, retain_grad, leaf and non-leaf tensors](https://docs.pytorch.org/tutorials/beginner/understanding_leaf_vs_nonleaf_tutorial.html):
#   a small network walked by hand.
# - [torch.autograd.grad](https://docs.pytorch.org/docs/stable/generated/torch.autograd.grad.html):
#   its arguments, those of this chapter and the rest.
