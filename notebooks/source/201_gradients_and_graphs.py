# %% [markdown]
# # 201 · Gradients and graphs
#
# `loss.backward()` is given no formula, no data and no model, and still every weight
# receives its slope. So somebody took notes while you computed. Who, in which form, and
# how long are they kept? We find out by writing the machine ourselves, in plain Python
# and for single numbers, and then opening torch's beside it.

# %% [markdown]
# **You will be able to**
#
# - write a small autograd engine, and walk torch's own graph by hand;
# - tell, before running it, which results are recorded and which are not;
# - call `backward` on any shape, and say which vector-Jacobian product comes back;
# - explain and cure three errors that `backward` is known for;
# - say what is still there after `backward`, and clear what must be cleared.
#
# **You need** the chain rule from school, [101](101_creating_tensors.ipynb) for making
# tensors and [102](102_dtype_device_and_printing.ipynb) for dtypes. **Time** 60 minutes.

# %% tags=["setup"]
import math

import torch
from torch import nn

from helpers import draw, exercise, expect_error, expect_warning, pick_device, table

torch.set_default_device(pick_device())

# %% [markdown]
# ## Can we write autograd ourselves?
#
# The slope of a long calculation is made of the slopes of its steps. So for every step
# we keep one node: a rule for the way back, the numbers that the rule will need, and
# the nodes that come before it.


# %%
class Node:
    """One step back: its rule, what the rule saved, and the nodes that come before."""

    def __init__(self, name, parents, rule, *saved):
        self.name, self.parents, self.rule, self.saved = name, parents, rule, saved


class Value:
    """A number and its node. Without a node it is a leaf, which collects gradients."""

    def __init__(self, data, node=None):
        self.data, self.grad = data, None
        self.node = node or Node("Accumulate", [], self.accumulate)

    def accumulate(self, g):
        self.grad = g if self.grad is None else self.grad + g
        return []


# %% [markdown]
# A leaf (叶子张量) is a value that you made yourself. Every operation makes another kind:
# it computes the number and, in the same breath, records the node. Plain numbers among
# the inputs have no node, so they leave `None`:


# %%
def number(v):
    return v.data if isinstance(v, Value) else v


def record(name, data, inputs, rule, *saved):
    parents = [v.node if isinstance(v, Value) else None for v in inputs]
    return Value(data, Node(name, parents, rule, *saved))


# %% [markdown]
# A rule takes the gradient (梯度) `g` that arrives at its output and returns one for each
# input. Addition passes `g` on to both. Multiplication gives each side `g`
# times the *other* factor, and therefore has to save both factors:


# %%
def add(a, b):
    return record("Add", number(a) + number(b), (a, b), lambda g: (g, g))


def mul(a, b):
    x, y = number(a), number(b)
    return record("Mul", x * y, (a, b), lambda g, x, y: (g * y, g * x), x, y)


Value.__add__ = Value.__radd__ = add
Value.__mul__ = Value.__rmul__ = mul

# %% [markdown]
# Now compute $y = (x + 1)(x + 2)$ at $x = 2$, and see what was left behind:

# %%
x = Value(2.0)
y = (x + 1) * (x + 2)
assert y.data == 12.0 and y.node.saved == (3.0, 4.0)
y.node.name, [parent.name for parent in y.node.parents]

# %% [markdown]
# These nodes and their links are the computation graph (计算图). To walk it, hand `g` to
# a node, apply its rule, and push each part on to the parent it belongs to. Our
# function also counts its visits:


# %%
def push(node, g):
    parts = zip(node.parents, node.rule(g, *node.saved), strict=True)
    return 1 + sum(push(parent, part) for parent, part in parts if parent)


# %% [markdown]
# From school, the slope is $2x + 3$. **Predict** what the leaf holds after we push a 1
# into the last node, and how many visits it takes; there are four nodes:

# %% tags=["predict"]
visits = push(y.node, 1.0)
x.grad, visits

# %% [markdown]
# Two paths lead from `y` to `x`. One brought 4, the other 3, and the leaf added them.
# That is the whole chain rule: multiply along a path, add where paths meet. Walking it
# from the result to the leaves is backpropagation (反向传播).

# %%
assert x.grad == 4 + 3 == 2 * x.data + 3
assert visits == 4 + 1

# %% [markdown]
# Correct, but the leaf was visited twice. Now use each value twice, twelve times in a
# row. There are thirteen nodes; **predict** the number of visits:

# %% tags=["predict"]
x = Value(1.0)
y = x
for _ in range(12):
    y = y + y
visits = push(y.node, 1.0)
visits

# %% [markdown]
# The paths double at every step: one visit, two, four, up to 4,096 for the leaf.

# %%
assert visits == sum(2**step for step in range(13)) == 8191
assert x.grad == 2**12 == 4096

# %% [markdown]
# The cure is patience: a node waits until everything that leads to it has arrived. List
# the nodes with parents first, then go through that list from its end:


# %%
def ordered(node, listed):
    """A dict with every node once, after all its parents, and a gradient of 0."""
    for parent in node.parents:
        if parent and parent not in listed:
            ordered(parent, listed)
    listed[node] = 0.0
    return listed


def backward(root, keep=False):
    arrived = ordered(root.node, {})
    arrived[root.node] = 1.0
    for node in reversed(arrived):
        if node.saved is None:
            raise RuntimeError(f"{node.name}: what it saved is gone")
        parts = node.rule(arrived[node], *node.saved)
        for parent, part in zip(node.parents, parts, strict=True):
            if parent:
                arrived[parent] += part
        if node.saved and not keep:
            node.saved = None
    return len(arrived)


# %% [markdown]
# The last two lines of the loop throw the saved numbers away once they are used; a
# famous error message will lead back to them. First the visits:

# %%
depths, every_path, every_node = range(1, 13), [], []
for depth in depths:
    y = Value(1.0)
    for _ in range(depth):
        y = y + y
    every_path.append(push(y.node, 1.0))
    every_node.append(backward(y))
assert every_path[-1] == 8191 and every_node[-1] == 13

# %%
from helpers import canvas, show

figure, axes = canvas(6, 2.4)
axes.semilogy(depths, every_path, "o-", label="path by path")
axes.semilogy(depths, every_node, "s-", label="node by node, in order")
axes.set(xlabel="how often y = y + y", ylabel="visits")
axes.legend()
told = "Both walks give the same gradient; only one of them can be afforded."
show(figure, told, "Visits on a log scale: path by path reaches 8191, in order 13.")

# %% [markdown]
# A few more rules ([207](207_your_own_gradient.ipynb) writes such for torch). `exp` and
# `tanh` save their *result*, because their slope can be read off it:


# %%
def exp(a):
    e = math.exp(a.data)
    return record("Exp", e, (a,), lambda g, e: (g * e,), e)


def tanh(a):
    t = math.tanh(a.data)
    return record("Tanh", t, (a,), lambda g, t: (g * (1 - t * t),), t)


Value.exp, Value.tanh = exp, tanh
Value.__neg__ = lambda a: a * -1
Value.__sub__ = lambda a, b: a + -b

# %% [markdown]
# The engine is complete. We count the lines of its functions:

# %%
import inspect

parts = [Node.__init__, Value.__init__, Value.accumulate, number, record]
parts += [add, mul, exp, tanh, ordered, backward]
lines = sum(len(inspect.getsource(part).splitlines()) for part in parts)
assert lines < 60
lines

# %% [markdown]
# Are they right? Our methods have the names that torch uses, so one Python function
# runs on both makes of number. This one puts together a random calculation:

# %%
import random

moves = [lambda a, b: a + b, lambda a, b: a * b, lambda a, b: (a - b).exp()]


def program(seed, values):
    """A random calculation of nine steps, for numbers of any make."""
    dice, pool = random.Random(seed), list(values)
    for _ in range(8):
        a, b = dice.choices(pool, k=2)
        pool.append(dice.choice(moves)(a, b).tanh())
    return pool[-1] * pool[-2]


# %% [markdown]
# A hundred of them, differentiated by our engine and by torch. Some of the inputs
# are never drawn, and there both must say `None`:

# %%
compared, leaf = 0, {"dtype": torch.float64, "requires_grad": True}
for seed in range(100):
    ours = [Value(0.3), Value(-0.7), Value(1.1)]
    theirs = [torch.tensor(v.data, **leaf) for v in ours]
    backward(program(seed, ours))
    program(seed, theirs).backward()
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine.grad is None) == (other.grad is None)
        if mine.grad is not None:
            assert math.isclose(mine.grad, other.grad.item(), rel_tol=1e-6)
            compared += 1
assert compared < 300
compared

# %% [markdown]
# Of 300 gradients, so many exist; not one differs, and the rest are `None` on both sides.
#
# **Rule.** Computing records the graph; `backward` walks it once, from the result to
# the leaves, multiplying along paths and adding where they meet.

# %% [markdown]
# ## Is torch the same machine?
#
# Equal results do not prove an equal mechanism. Torch's tensors have a `grad_fn` where
# our values have a `node`, and its nodes have `next_functions` for our `parents`:

# %%
x = torch.tensor(2.0, requires_grad=True)
a, b = x + 1, x + 2
y = a * b
y.grad_fn.name(), [node.name() for node, _ in y.grad_fn.next_functions]

# %% [markdown]
# We follow the links of both graphs down to the end:


# %%
def outline(node, read, depth=0):
    """The names of a node and of all before it, indented by depth."""
    name, parents = read(node)
    lines = ["· " * depth + name]
    for parent in parents:
        lines += outline(parent, read, depth + 1) if parent else []
    return lines


def read_torch(node):
    return node.name(), [parent for parent, _ in node.next_functions]


# %% tags=["claim:C280"]
v = Value(2.0)
ours = outline(((v + 1) * (v + 2)).node, lambda node: (node.name, node.parents))
theirs = outline(y.grad_fn, read_torch)
assert [line.count("·") for line in ours] == [line.count("·") for line in theirs]
assert isinstance(y.grad_fn, torch.autograd.graph.Node)
assert isinstance(x, torch.autograd.Variable) and type(x) is torch.Tensor
table([{"ours": o, "torch": t} for o, t in zip(ours, theirs, strict=True)])

# %% [markdown]
# One shape, line for line. The notes call the tensors of such a graph Variables and
# its steps Functions. The steps are `Node` objects now, and what is left of `Variable`
# is a name to which every tensor answers.
#
# The last line of each branch is the node of a leaf, AccumulateGrad, so called for the
# reason that the notes give: gradients are added up there. It knows its tensor. The
# leaf has no `grad_fn`, the constant 1 left a `None`, and both branches end in one and
# the same node:

# %% tags=["claim:C281"]
collect = a.grad_fn.next_functions[0][0]
assert collect.name() == "torch::autograd::AccumulateGrad"
assert collect.variable is x and x.grad_fn is None
assert a.grad_fn.next_functions[1][0] is None
assert b.grad_fn.next_functions[0][0] is collect

# %% [markdown]
# These nodes can be called like our rules, so you can be the engine yourself. `no_grad`
# keeps torch from recording that as well, which is for
# [203](203_higher_derivatives.ipynb). **Predict** `to_a` and `to_b`:

# %% tags=["predict"]
with torch.no_grad():
    to_a, to_b = y.grad_fn(torch.tensor(1.0))
    through_a, _ = a.grad_fn(to_a)
    through_b, _ = b.grad_fn(to_b)
    collect(through_a + through_b)
to_a.item(), to_b.item()

# %% [markdown]
# `a` received the value of `b` and the other way round, as in our `mul`. Nobody called
# `backward`, and `x.grad` is 7:

# %%
assert to_a == b and to_b == a
assert x.grad == 7

# %% [markdown]
# Here is the whole walk. The coloured numbers travel from right to left:

# %%
names = {"x": x, "a": a, "b": b, "y": y}
told = "Values went along the arrows; the coloured gradients come back against them."
draw.graph(y, caption=told, names=names, gradients=True)

# %% [markdown]
# The notes work through the same example and report that everything requires grad, that
# only `x` is a leaf, and that the gradients are 7, None, None, None. They are right,
# and torch adds a warning for those who look for a gradient where none is kept
# ([202](202_leaves_and_their_gradients.ipynb) knows four ways to get it):

# %% tags=["claim:C265"]
x.grad = None
y.backward()
assert all(t.requires_grad for t in (x, a, b, y))
assert [t.is_leaf for t in (x, a, b, y)] == [True, False, False, False]
with expect_warning(UserWarning, "not a leaf"):
    assert x.grad == 7 and a.grad is None and b.grad is None and y.grad is None

# %% [markdown]
# Does torch wait at the meeting points, too? Sixty doublings make $2^{60}$ paths, more
# than anyone could walk:

# %%
x = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
y = x
for _ in range(60):
    y = y + y
y.backward()
assert x.grad == 2**60

# %% [markdown]
# The graph is written while Python runs, which the notes call a dynamic graph (动态图):
# a value may decide what gets recorded. **Predict** the two names and slopes:

# %% tags=["predict"]
met = []
for start in (1.0, -1.0):
    x = torch.tensor(start, requires_grad=True)
    y = x**2 if x > 0 else x * 5
    y.backward()
    met.append((y.grad_fn.name(), x.grad.item()))
met

# %% [markdown]
# Only the branch that ran was recorded:

# %% tags=["claim:C396"]
assert met == [("PowBackward0", 2.0), ("MulBackward0", 5.0)]

# %% [markdown]
# ## When is an operation recorded?
#
# Our engine records everything, torch on request. A new tensor makes no such request
# unless you say so, at its birth or later; `nn.Parameter` says so for you:

# %% tags=["claim:C147", "claim:C264"]
assert not torch.ones(2).requires_grad
assert torch.ones(2, requires_grad=True).requires_grad
assert torch.ones(2).requires_grad_().requires_grad
assert nn.Parameter(torch.ones(2)).requires_grad

# %% [markdown]
# Whole numbers cannot ask:

# %%
with expect_error(RuntimeError, "floating point and complex"):
    torch.tensor([1, 2], requires_grad=True)

# %% [markdown]
# What do results inherit? The notes have three sentences on it. One: an output requires
# grad (需要求导) if at least one input does. Two: a node that depends on leaf nodes
# requires grad by default. Three: once a node requires grad, everything that depends on
# it does.
#
# Here are six results. The new word among them is `detach`, which hands out the same
# numbers without their node ([204](204_detach_data_clone.ipynb)). **Predict** which of
# the six require grad, and which of the three sentences survive:

# %% tags=["predict"]
data, w = torch.ones(2), torch.ones(2, requires_grad=True)
with torch.no_grad():
    unrecorded = w * 2
made = {"data + data": data + data, "data + w": data + w, "w > 0": w > 0}
made |= {"zeros_like(w)": torch.zeros_like(w)}
made |= {"w.detach() * 2": w.detach() * 2, "w * 2 under no_grad": unrecorded}
table([{"result": k, "requires grad": t.requires_grad} for k, t in made.items()])

# %% [markdown]
# None survives whole. The second fails in the first row: `data` is a leaf like any
# other, but nobody asked. The third fails in the last four: a comparison gives no
# floating-point numbers, `zeros_like` takes the shape and no number, `detach` cuts the
# tie, and `no_grad` stops the recording. Three of those had an input that does require
# grad, so the first sentence needs conditions as well.

# %% tags=["claim:C148", "claim:C452", "claim:C283"]
asks = [result.requires_grad for result in made.values()]
assert asks == [False, True, False, False, False, False]
assert data.is_leaf and w.requires_grad

# %% [markdown]
# What was not recorded has no node behind it, and that is what torch calls a leaf. Our
# engine's leaves were values that you made; torch's may be results, too (202):

# %%
leaves = [result.is_leaf for result in made.values()]
assert leaves == [True, False, True, True, True, True]

# %% [markdown]
# Once, the flag says too much: no gradient passes a view taken under `no_grad`, a trap
# of [206](206_switching_gradients_off.ipynb).

# %%
with torch.no_grad():
    view = w[:1]
(view * 3).sum().backward()
assert view.requires_grad and view.is_leaf and view.grad is None and w.grad is None

# %% [markdown]
# In a network, only the parameters ask. That is enough for the output:

# %% tags=["claim:C149"]
layer, inputs = nn.Linear(2, 4), torch.ones(3, 2)
output = layer(inputs)
assert not inputs.requires_grad and all(p.requires_grad for p in layer.parameters())
assert output.requires_grad

# %% [markdown]
# The data, which did not ask, are not in the graph:

# %%
reached = outline(output.grad_fn, read_torch)
assert sum("AccumulateGrad" in line for line in reached) == 2

# %%
names = {"weight": layer.weight, "bias": layer.bias, "output": output}
told = "The graph of a linear layer ends at two parameters; the input is not in it."
draw.graph(output, caption=told, names=names)

# %% [markdown]
# Old code has two more things. `Variable` was there to wrap tensors. Calling it still
# works and hands back a plain tensor:

# %%
batch = torch.zeros(20, 16, 50, 100)
wrapped = torch.autograd.Variable(batch)
assert type(wrapped) is torch.Tensor

# %% [markdown]
# So the notes' convolution does as well without it:

# %% tags=["claim:C564"]
conv = nn.Conv2d(16, 33, (3, 5), stride=(2, 1), padding=(4, 2), dilation=(3, 1))
assert type(wrapped) is type(batch)
assert conv(wrapped).shape == conv(batch).shape == (20, 33, 26, 100)

# %% [markdown]
# `volatile=True` was the switch that turned differentiation off for all that depends on
# a tensor, and the notes say that it beats `requires_grad`. Now it beats nothing:

# %% tags=["claim:C282"]
with expect_warning(UserWarning, "Variable.volatile is always False"):
    assert w.volatile is False
with expect_warning(UserWarning, "now has no effect"):
    old = torch.autograd.Variable(torch.ones(2), volatile=True)
assert (old * w).requires_grad and not unrecorded.requires_grad

# %% [markdown]
# **Rule.** A floating-point result is recorded when it is computed from an input that
# requires grad and recording is on. `no_grad` switches recording off, `detach` cuts one
# tensor out.

# %% [markdown]
# ## What flows along an edge?
#
# With tensors for numbers, an edge carries a whole tensor. The notes' example, and it
# is right:

# %% tags=["claim:C275"]
x = torch.tensor([1.0, 2.0], requires_grad=True)
(x * x).sum().backward()
assert x.grad.tolist() == [2.0, 4.0]
x.grad.tolist()

# %% [markdown]
# Leave the sum out, and you meet the first of three famous errors:

# %%
y = x * x
with expect_error(RuntimeError, "can be implicitly created only for scalar"):
    y.backward()

# %% [markdown]
# A walk must be given something to start with. For one number that is 1, as in our
# engine; for two there is no obvious choice. The notes conclude that `y` must be a
# scalar. It need not: say what to start with, and any shape will do:

# %% tags=["claim:C274"]
x.grad = None
y.backward(gradient=torch.tensor([1.0, 10.0]))
assert y.shape == (2,) and x.grad.tolist() == [2.0, 40.0]
x.grad.tolist()

# %% [markdown]
# You can watch your choice travel, here as a factor of the loss:

# %%
x = torch.tensor([1.0, 2.0], requires_grad=True)
loss = (x**2 * torch.tensor([1.0, 10.0])).sum()
told = "`sum` repeats its 1, the factor weighs it, and the power multiplies by 2 `x`."
draw.graph(loss, caption=told, names={"x": x, "loss": loss}, gradients=True)

# %% [markdown]
# What does the vector compute when outputs mix their inputs? Take three outputs of two
# inputs. Their slopes fill a table of three rows and two columns, the Jacobian.
# Starting the walk with a one at a single output reads off one row:


# %%
def f(x):
    return torch.stack([x[0] * x[1], x[0] + x[1], x[0] ** 2])


rows = []
for one in torch.eye(3):
    x.grad = None
    f(x).backward(gradient=one)
    rows.append(x.grad)
jacobian = torch.stack(rows)
assert jacobian.tolist() == [[2.0, 1.0], [1.0, 1.0], [2.0, 0.0]]

# %% [markdown]
# **Predict** the two numbers that arrive when the walk starts with 1, 10 and 100:

# %% tags=["predict"]
x.grad, v = None, torch.tensor([1.0, 10.0, 100.0])
f(x).backward(gradient=v)
x.grad.tolist()

# %% [markdown]
# The first is 1 * 2 + 10 * 1 + 100 * 2:

# %%
assert torch.equal(x.grad, v @ jacobian) and x.grad.tolist() == [212.0, 11.0]
told = "The start `v` weighs the rows of the Jacobian; `x.grad` is their sum."
draw.grid(v, jacobian, x.grad, titles=["v", "Jacobian", "v @ Jacobian"], caption=told)

# %% [markdown]
# So `backward` computes a vector-Jacobian product (向量-雅可比积). The table itself is
# never needed. For a million inputs and outputs it would fill four
# terabytes, yet this cell runs at once:

# %%
x = torch.ones(1_000_000, requires_grad=True)
(x * x).backward(gradient=torch.ones(1_000_000))
assert (x.grad == 2).all() and x.numel() ** 2 * x.element_size() == 4 * 10**12

# %% [markdown]
# The same vector weighs several losses in one walk, which `torch.autograd.backward`
# offers under the name `grad_tensors`. 1 times 2 and 10 times 3:

# %% tags=["claim:C446"]
w = torch.tensor(1.0, requires_grad=True)
weights = [torch.tensor(1.0), torch.tensor(10.0)]
torch.autograd.backward([2 * w, 3 * w], grad_tensors=weights)
assert w.grad == 32

# %% [markdown]
# In the notes this argument is called `grad_variables`. One function still takes the
# name, under protest; the method does not:

# %% tags=["claim:C287"]
with expect_warning(FutureWarning, "`grad_variables` is deprecated"):
    torch.autograd.backward(2 * w, grad_variables=torch.tensor(5.0))
assert w.grad == 32 + 5 * 2
with expect_error(TypeError, "unexpected keyword argument 'grad_variables'"):
    (2 * w).backward(grad_variables=torch.tensor(1.0))

# %% [markdown]
# Its signature in the notes reads
# `(tensors, grad_tensors=None, retain_graph=False, create_graph=None)`. The last two
# defaults are interchanged, and `inputs` is missing:

# %% tags=["claim:C445"]
takes = inspect.signature(torch.autograd.backward).parameters
assert takes["retain_graph"].default is None and takes["create_graph"].default is False
assert takes["grad_tensors"].default is None and "inputs" in takes

# %% [markdown]
# ## What is left after backward?
#
# Three things could be: the leaf's gradient, the numbers that the nodes saved, and the
# gradients of everything in between. First the leaf. `retain_graph=True` is our `keep`.
# **Predict** `a.grad` after each of two walks:

# %% tags=["predict"]
a = torch.tensor(3.0, requires_grad=True)
y = a * a
y.backward(retain_graph=True)
first = a.grad.item()
y.backward()
first, a.grad.item()

# %% [markdown]
# The gradient stays, and the next one is added (梯度累加), as the notes say. The
# second walk threw the saved numbers away, so a third fails:

# %% tags=["claim:C284"]
assert first == 6 and a.grad == 6 + 6
with expect_error(RuntimeError, "Trying to backward through the graph a second time"):
    y.backward()

# %% [markdown]
# That is the second famous error. The notes say that the graph is released, so two
# walks in a row fail. Our engine releases what was *saved*. **Predict** what it says to
# a second walk of `v * v` and of `v + 1`:


# %% tags=["predict"]
def second_walk(y):
    backward(y)
    try:
        return f"{backward(y)} visits"
    except RuntimeError as error:
        return str(error)


v = Value(3.0)
product, shifted = second_walk(v * v), second_walk(v + 1)
product, shifted

# %% [markdown]
# The product misses its factors; the sum, which saved nothing, misses nothing.

# %%
assert product == "Mul: what it saved is gone"
assert shifted == "2 visits"

# %% [markdown]
# Torch agrees. The node is still there, its saved factor is not (the words in brackets
# mean this very access):

# %%
assert y.grad_fn.name() == "MulBackward0"
with expect_error(RuntimeError, "after they have already been freed"):
    y.grad_fn._saved_self

# %% [markdown]
# An addition has saved nothing that could be missed, and is walked twice:

# %% tags=["claim:C450"]
y, a.grad = a + 1, None
y.backward()
y.backward()
assert a.grad == 2

# %% [markdown]
# (A node that no walk has visited is not emptied either: see 202.)
#
# Third, the gradients in between. The notes believe that `retain_graph=True` keeps
# them, too. It keeps the saved numbers only. A gradient in between is kept if you ask
# that tensor, with `retain_grad`:

# %% tags=["claim:C269"]
x = torch.tensor(2.0, requires_grad=True)
a = x * x
(a * 3).backward(retain_graph=True)
with expect_warning(UserWarning, "not a leaf"):
    assert a.grad is None
a.retain_grad()
(a * 3).backward()
assert a.grad == 3

# %% [markdown]
# So what piles up is the leaf's gradient, and clearing it is your task. The notes' two
# ways leave different things behind:

# %% tags=["claim:C451"]
p = nn.Parameter(torch.tensor(2.0))
(p * 3).backward()
(p * 3).backward()
assert p.grad == 6
p.grad.zero_()
assert p.grad == 0
torch.optim.SGD([p], lr=0.1).zero_grad()
assert p.grad is None

# %% [markdown]
# Does that matter? With weight decay, a step shrinks a parameter on top of its gradient.
# **Predict** which of these two steps moves `p`:

# %% tags=["predict"]
optimizer = torch.optim.SGD([p], lr=0.1, weight_decay=0.5)
optimizer.step()
with_none = p.item()
p.grad = torch.ones(())
optimizer.zero_grad(set_to_none=False)
optimizer.step()
with_none, round(p.item(), 2)

# %% [markdown]
# An optimizer passes over a parameter whose gradient is `None`, and takes a zero at its
# word:

# %%
assert with_none == 2.0
assert p.grad == 0 and math.isclose(p.item(), 1.9, rel_tol=1e-6)

# %% [markdown]
# Adding up has its use: a batch too large for the memory can be walked in halves.

# %%
w = torch.tensor(1.0, requires_grad=True)
for half in (torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])):
    ((w * half).mean() / 2).backward()
assert w.grad == torch.tensor([1.0, 2.0, 3.0, 4.0]).mean()

# %% [markdown]
# **Rule.** After `backward`, gradients of leaves stay and add up, numbers saved on the
# way are gone, and gradients in between are kept on demand only. `None` is not 0.

# %% [markdown]
# ## Where it goes wrong
#
# **Half of the calculation stands outside the loop.** `exp` saved its result once, for
# one walk. The first round uses it and throws it away; the second asks for it again:

# %%
w = torch.tensor(0.5, requires_grad=True)
scale = w.exp()
with expect_error(RuntimeError, "Trying to backward through the graph a second time"):
    for target in (2.0, 3.0):
        ((scale - target) ** 2).backward()

# %% [markdown]
# Two cures: compute in the loop what the loop walks, or add up the losses and walk once.

# %%
w.grad = None
for target in (2.0, 3.0):
    ((w.exp() - target) ** 2).backward()
anew, w.grad, scale = w.grad, None, w.exp()
((scale - 2.0) ** 2 + (scale - 3.0) ** 2).backward()
assert torch.allclose(anew, w.grad)

# %% [markdown]
# The message recommends a third, `retain_graph=True`, which keeps *old* numbers. Here
# `w` changes between two walks, and the slope of `exp` stays where it was:

# %%
scale, slopes = w.exp(), []
for _ in range(2):
    w.grad = None
    scale.backward(retain_graph=True)
    slopes.append(w.grad.item())
    with torch.no_grad():
        w += 1
assert slopes[0] == slopes[1]
[f"{slope:.3g}" for slope in slopes]

# %% [markdown]
# No error, and a wrong gradient: `exp` saved its own result, which nobody touched. (Had
# it saved `w`, torch would have refused: [205](205_in_place_and_versions.ipynb).) So
# once a weight has moved, only the first cure helps:

# %%
w.grad = None
w.exp().backward()
assert math.isclose(w.grad.item(), math.exp(w.item()), rel_tol=1e-5)
f"{w.grad.item():.3g}"

# %% [markdown]
# A state carried from round to round brings its old graph along, and the same error.
# There, `detach` makes each round begin anew:


# %%
def carry(cut):
    h, w = torch.tensor(1.0), torch.tensor(0.5, requires_grad=True)
    for _ in range(2):
        h = ((h.detach() if cut else h) * w).tanh()
        h.backward()
    return w.grad.item()


with expect_error(RuntimeError, "a second time", lines=1):
    carry(cut=False)
first = math.tanh(0.5)
by_round = 1 - first**2, first * (1 - math.tanh(first * 0.5) ** 2)
assert math.isclose(carry(cut=True), sum(by_round), rel_tol=1e-5)

# %% [markdown]
# **Nothing was recorded.** The third famous error counts the tensors that you start
# from, beginning with 0:

# %%
w = torch.tensor([0.5, -1.0], requires_grad=True)
score = w * 2
accuracy = (score > 0).float().mean()
with expect_error(RuntimeError, "element 0 of tensors does not require grad"):
    accuracy.backward()
with expect_error(RuntimeError, "element 1 of tensors"):
    torch.autograd.backward([score.sum(), accuracy])

# %% [markdown]
# A comparison gives bools, and stops the record. (206 has six more causes, and three
# questions that tell them apart.) Put a smooth function in its place:

# %%
score.sigmoid().mean().backward()
assert (w.grad > 0).all()

# %% [markdown]
# **The gradient of yesterday.** A loop without clearing raises nothing. We look for
# the minimum at 3:


# %%
def descend(clear):
    w, path = torch.tensor(0.0, requires_grad=True), []
    for _ in range(15):
        ((w - 3) ** 2).backward()
        with torch.no_grad():
            w -= 0.1 * w.grad
        path.append(w.item())
        if clear:
            w.grad = None
    return path


wrong, right = descend(clear=False), descend(clear=True)
assert max(wrong) > 5.5 and max(right) < 3 and abs(right[-1] - 3) < 0.2

# %%
figure, axes = canvas(6, 2.4)
axes.plot(wrong, "o-", label="never cleared")
axes.plot(right, "s-", label="cleared each round")
axes.axhline(3, linestyle=":", color="#8a8a8a")
axes.set(xlabel="round", ylabel="w")
axes.legend()
told = "Old gradients add up, and the weight swings past its goal and back."
show(figure, told, "Weight by round: cleared, it nears 3; never cleared, it swings.")

# %% [markdown]
# **A sum that remembers.** Adding up losses for a report adds up their graphs as well:

# %%
total, report = 0.0, 0.0
for _ in range(4):
    loss = (w**2).sum()
    total, report = total + loss, report + loss.item()
kept = outline(total.grad_fn, read_torch)
assert sum("PowBackward0" in line for line in kept) == 4
assert type(report) is float and math.isclose(report, total.item(), rel_tol=1e-6)

# %% [markdown]
# All four rounds are alive behind `total`. `loss.item()` is a Python float, and so is
# the sum: it remembers nothing.

# %% [markdown]
# ## In practice
#
# Compute, clear, walk, step, in every round. Clear with `zero_grad()` as it is; choose
# `set_to_none=False` only if code of yours relies on zeros. To collect gradients over
# several small batches, divide each loss by their number.
#
# Before you write `retain_graph=True`, ask why anything must be walked twice. Log
# `loss.item()`, never `loss`.

# %% [markdown]
# ## Summary
#
# - An engine is a node for each step, a rule for each node, and one ordered walk
#   ([built](#Can-we-write-autograd-ourselves?)); torch's nodes can be walked by hand
#   ([shown](#Is-torch-the-same-machine?)).
# - Recorded is what is floating point, computed from an input that requires grad, and
#   computed while recording was on; `detach` cuts the tie
#   ([measured](#When-is-an-operation-recorded?)).
# - `backward(gradient=v)` gives `v @ Jacobian` without the Jacobian; for a scalar,
#   `v` is 1 ([shown](#What-flows-along-an-edge?)).
# - Leaf gradients stay and add up, saved numbers go where the walk went, `None` is not 0
#   ([shown](#What-is-left-after-backward?)).
# - A second walk, no recording, no scalar: three errors and their cures
#   ([two](#Where-it-goes-wrong), [the third](#What-flows-along-an-edge?)).

# %% [markdown]
# ## Exercises
#
# ### Exercise 201.1 · What was recorded?
# *predict · ●○○ · 3 minutes*
#
# With `w = torch.ones(2, requires_grad=True)` and `x = torch.ones(2)`, which of these
# require grad? Give their letters.
#
# **a** `x * 2`, **b** `w * x`, **c** `w >= 1`, **d** `(w * x).detach() + x`,
# **e** `nn.Linear(2, 2)(x)`, **f** `w.sum() + (w > 0).sum()`

# %% tags=["exercise"]
answer = ...  # TODO: a list of letters, such as ["a", "b"]

# %%
exercise("201.1").check(answer)

# %% [markdown]
# ### Exercise 201.2 · Three walks
# *predict · ●●○ · 4 minutes*
#
# ```python
# a = torch.tensor(3.0, requires_grad=True)
# y = a * a
# y.backward(retain_graph=True)
# a.grad = None
# (2 * y).backward()
# (a + 1).backward()
# ```
#
# What is `a.grad`? Work it out on paper.

# %% tags=["exercise"]
answer = ...  # TODO: a number

# %%
exercise("201.2").check(answer)

# %% [markdown]
# ### Exercise 201.3 · One round
# *order · ●●○ · 5 minutes*
#
# One round of training consists of five lines, each here with a label: *output*
# (`output = w * 2`), *loss* (`loss = (output - 6) ** 2`), *clear*
# (`optimizer.zero_grad()`), *backward* (`loss.backward()`) and *step*
# (`optimizer.step()`). Put them in an order in which every round moves `w`
# by the gradient of that round alone. Several orders are right.

# %% tags=["exercise"]
answer = ...  # TODO: a list of the five labels, such as ["step", "output", ...]

# %%
exercise("201.3").check(answer)

# %% [markdown]
# ### Exercise 201.4 · The rule of division
# *write · ●●○ · 6 minutes*
#
# Our engine cannot divide. Write the rule of `a / b`: given the gradient `g` that
# arrives and the two saved numbers, return the gradients for `a` and for `b`. The check
# asks torch for the same.


# %% tags=["exercise"]
def divide_rule(g, a, b):
    return ...  # TODO: a pair, first for a, then for b


# %%
exercise("201.4").check(divide_rule)

# %% [markdown]
# ### Exercise 201.5 · The stubborn loop
# *repair · ●●○ · 6 minutes*
#
# This function should take `steps` steps downhill, each with the gradient at the
# current `w`. It breaks down in the second step, and that is not its only fault.


# %% tags=["exercise"]
def fit(w, steps):
    w = w.clone().requires_grad_()
    loss = ((w.exp() - 2) ** 2).sum()  # TODO: repair the order of these lines
    for _ in range(steps):
        loss.backward()
        with torch.no_grad():
            w -= 0.1 * w.grad
    return w.detach()


# %%
exercise("201.5").check(fit)

# %% [markdown]
# ### Exercise 201.6 · All rows
# *write · ●●● · 12 minutes*
#
# Write a function that returns the Jacobian of `f` at `x`, of shape
# `(outputs, inputs)`. `f` takes and returns a tensor of one dimension and is expensive:
# call it once. Leave the caller's `x` as it is, whether or not it requires grad.


# %% tags=["exercise"]
def jacobian_of(f, x):
    return ...  # TODO: one walk for each output


# %%
exercise("201.6").check(jacobian_of)

# %% [markdown]
# ## Next
#
# [202 · Leaves and their gradients](202_leaves_and_their_gradients.ipynb) asks which
# tensors are leaves, and how to get a gradient where none is kept.
#
# - [Autograd mechanics](https://docs.pytorch.org/docs/stable/notes/autograd.html): on
#   saved tensors, and on switching recording off.
# - [micrograd](https://github.com/karpathy/micrograd): the best-known small engine; it
#   keeps the rule in the value, where we keep it in a node.
