# %% [markdown]
# # 204 · Detach, data and clone
#
# Keep this weight for later, plot that output, hold the target fixed: for each of them
# somebody recommends `detach`, somebody `.data`, and somebody `clone`, and all three
# appear to work. Then the best weights of the night turn out to be the last ones, or a
# gradient is wrong and nothing has complained. What exactly is still tied to what?

# %% [markdown]
# **You will be able to**
#
# - name the three ties between a tensor and what is made of it, and test each of them;
# - predict what `backward` makes of an in-place write: refused, silently wrong, unharmed;
# - measure for any expression which ties it keeps;
# - choose between `detach`, `clone` and both, and give the reason;
# - explain and cure three errors about in-place writes and NumPy.
#
# **You need** [103](103_storage_and_views.ipynb) for storage,
# [201](201_gradients_and_graphs.ipynb) for graphs, and
# [202](202_leaves_and_their_gradients.ipynb) for leaves and `autograd.grad`.
# **Time** 50 minutes.

# %% tags=["setup"]
import torch
from torch import nn

from helpers import draw, exercise, expect_error, pick_device, shares_storage, table

torch.set_default_device(pick_device())

# %% [markdown]
# ## What does detach cut?
#
# Three numbers, their sigmoid, and that result detached (分离). The notes say that `c`
# is a new tensor, cut off from the graph, on the memory of the old one. So it is:

# %% tags=["claim:C010"]
a = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
out = a.sigmoid()
c = out.detach()
assert c is not out and shares_storage(c, out)
assert not c.requires_grad and c.grad_fn is None

# %% [markdown]
# They go on to say that `requires_grad` is the only difference. **Predict** how many of
# these six columns differ:

# %% tags=["predict"]
rows = []
for name, t in {"out": out, "c": c}.items():
    row = {"tensor": name, "shape": tuple(t.shape), "strides": t.stride()}
    row |= {"offset": t.storage_offset(), "requires grad": t.requires_grad}
    rows.append(row | {"leaf": t.is_leaf, "node": t.grad_fn and t.grad_fn.name()})
table(rows)

# %% [markdown]
# Three. The arrangement in memory is the same; gone is all that belongs to the graph:

# %% tags=["claim:C011"]
differ = [key for key in rows[0] if rows[0][key] != rows[1][key]]
assert differ == ["tensor", "requires grad", "leaf", "node"]

# %% [markdown]
# And gone from `c` only. The notes print `out` with a `SigmoidBackward`, which now has
# a 0 at its end, and rightly find that its `backward` works as if nothing had happened:

# %% tags=["claim:C016", "claim:C017"]
assert a.grad is None and out.grad_fn.name() == "SigmoidBackward0"
out.sum().backward()
s = a.detach().sigmoid()
assert torch.allclose(a.grad, s * (1 - s))
assert torch.allclose(a.grad, torch.tensor([0.1966, 0.1050, 0.0452]), atol=1e-4)
[f"{g:.3g}" for g in a.grad.tolist()]

# %% [markdown]
# From `c` itself no way leads back:

# %% tags=["claim:C018"]
with expect_error(RuntimeError, "does not require grad"):
    c.sum().backward()

# %% [markdown]
# So a walk ends where `detach` was called. But a tensor may be used twice, and detached
# in one place only. The slope of $b^2$ at 2 is 4. **Predict** what is left of it here:

# %% tags=["predict"]
b = torch.tensor(2.0, requires_grad=True)
y = b * b.detach()
y.backward(retain_graph=True)
b.grad.item()

# %% [markdown]
# Half of it. Each factor has a slope of 2, and only one of the two slopes arrives:

# %% tags=["claim:C014"]
assert b.grad == 2
told = "`b` enters twice, but only one way leads back to it."
draw.graph(y, caption=told, names={"b": b, "y": y}, gradients=True)

# %% [markdown]
# In the eyes of `backward`, a detached tensor is a constant. For ever? The notes write
# that it never needs a gradient and has none. That is how it begins:

# %% tags=["claim:C012"]
out, a.grad = a.sigmoid(), None
c = out.detach()
assert not c.requires_grad and c.grad is None

# %% [markdown]
# Even if it is made to require grad again, they add, it will have none. We try:

# %% tags=["claim:C012", "claim:C013"]
c.requires_grad_()
(c * 5).sum().backward()
assert c.grad.tolist() == [5, 5, 5] and a.grad is None

# %% [markdown]
# It has one: `c` is a leaf (叶子张量) like any other. What never comes back is the link
# to `out`, so nothing reached `a`. You can carry the gradient across yourself, though.
# Hand what arrived at `c` to `out`, and the two half walks make a whole one:

# %%
out.backward(gradient=c.grad)
assert torch.allclose(a.grad, 5 * s * (1 - s))

# %% [markdown]
# **Rule.** `detach` gives a second header on the same memory, outside of the graph
# (计算图). The first header keeps everything.

# %% [markdown]
# ## Who notices a write?
#
# One memory and two headers: a write (原地操作) through either must show in both.

# %% tags=["claim:C015"]
base = torch.arange(4.0)
cut = base.detach()
cut[0] = 70
base[3] = 90
assert base.tolist() == cut.tolist() == [70, 1, 2, 90]

# %%
told = "`detach`, a slice of it and `.data` are three more headers on one memory."
draw.storage(told, base=base, cut=cut, part=cut[1:], data=base.data)

# %% [markdown]
# There is `.data`, too. The notes describe it as the same thing: shared memory, no
# graph, no `grad`, no `requires_grad`. So far, so true:

# %% tags=["claim:C157", "claim:C161"]
out = a.sigmoid()
for new in (out.data, out.detach(), a.data, a.detach()):
    assert new.grad_fn is None and new.grad is None and not new.requires_grad
assert shares_storage(out, out.data) and shares_storage(out, out.detach())
assert a.grad is not None

# %% [markdown]
# Still the notes recommend `detach`. The reason is a third tie, beside memory and
# graph: a tensor has a version counter (版本计数器), to which an in-place operation adds 1
# as a rule ([205](205_in_place_and_versions.ipynb) knows the exceptions). Here one
# `zero_()` goes through `detach`, another through `.data`. **Predict** what the two
# originals count:

# %% tags=["predict"]
first, second = a.sigmoid(), a.sigmoid()
cut, data = first.detach().zero_(), second.data.zero_()
first._version, second._version

# %% [markdown]
# Zeros were written into both. `detach` shares its counter with the original, `.data`
# brings one of its own, and there the write was counted:

# %% tags=["claim:C020", "claim:C158"]
assert first.tolist() == second.tolist() == [0, 0, 0]
assert first._version == cut._version == 1
assert second._version == 0 and data._version == 1
assert cut.grad_fn is None and data.grad_fn is None

# %% [markdown]
# The notes think that autograd follows the write. It follows nothing, for `cut` has no
# node; it compares two numbers, later. Here is why it must:

# %%
out = a.sigmoid()
assert shares_storage(out.grad_fn._saved_result, out)

# %% [markdown]
# The node of a sigmoid computes its slope from its own result, as `out * (1 - out)`, and
# what it saved for that is no copy. Whoever writes into `out` writes into the node's
# papers. So the node saved the version as well, and `backward` compares:

# %% tags=["claim:C160"]
out.detach().zero_()
with expect_error(RuntimeError, "is at version 1; expected version 0 instead"):
    out.sum().backward()

# %% [markdown]
# Refused, as the notes say. *Output 0 of Sigmoid* is `out`, and the two numbers are the
# version found and the version saved. Now the same through `.data`.
# **Predict** the gradient; the right one is 0.197, 0.105, 0.0452:

# %% tags=["predict"]
out, a.grad = a.sigmoid(), None
out.data.zero_()
out.sum().backward()
a.grad.tolist()

# %% [markdown]
# No error, and no gradient either. The slope `out * (1 - out)` was computed from zeros:

# %% tags=["claim:C159"]
assert out._version == 0 and a.grad.tolist() == [0, 0, 0]

# %% [markdown]
# With a leaf it is the same. A product saves its factors, and the slope of this one is
# 2. What arrives has the right shape, and is ten times as large:

# %% tags=["claim:C286"]
w = torch.tensor([1.0], requires_grad=True)
y = w * w
w.data.mul_(10)
y.backward()
assert w.grad.shape == w.data.shape and w.grad == 20

# %% [markdown]
# Such a write may look like good housekeeping. Here outputs are clipped to the range
# from 0.2 to 0.8, once as an operation and once through `.data`:

# %%
x = torch.linspace(-4, 4, 81, requires_grad=True)
(right,) = torch.autograd.grad(x.sigmoid().clamp(0.2, 0.8).sum(), x)
out = x.sigmoid()
out.data.clamp_(0.2, 0.8)
(wrong,) = torch.autograd.grad(out.sum(), x)
assert right[0] == 0 and torch.allclose(wrong[0], torch.tensor(0.2 * (1 - 0.2)))
assert x.grad is None

# %%
from helpers import canvas, show

figure, axes = canvas(6, 2.4)
for slope, style, label in ((right, "-", "recorded"), (wrong, "--", "through .data")):
    axes.plot(x.tolist(), slope.tolist(), style, label=label)
axes.set(xlabel="x", ylabel="slope of the clipped sigmoid")
axes.legend()
told = "Clipped values have slope 0, and through `.data` they get the slope 0.16."
show(figure, told, "Two curves that agree in the middle; outside one is 0, one 0.16.")

# %% [markdown]
# Is a write through `detach` always refused, then? The notes say so. But an
# addition saves nothing that a write could spoil:

# %% tags=["claim:C019"]
out, a.grad = a + 1, None
out.detach().zero_()
out.sum().backward()
assert out._version == 1 and a.grad.tolist() == [1, 1, 1]

# %% [markdown]
# There are three outcomes, and this function tells them apart. It writes zeros through
# `new` and looks at what becomes of the walk from `loss` to `source`:


# %%
def after_write(new, loss, source):
    (right,) = torch.autograd.grad(loss, source, retain_graph=True)
    with torch.no_grad():
        new[:] = 0
    try:
        (got,) = torch.autograd.grad(loss, source)
    except RuntimeError as error:
        if "modified by an inplace operation" in str(error):
            return "refused"
        raise
    return "unharmed" if torch.equal(got, right) else "silently wrong"


# %% [markdown]
# (It writes under `no_grad`, as an optimizer does; further down we see why one must.)
# The three programs from above:

# %%
out, late, plus = a.sigmoid(), a.sigmoid(), a + 1
outcomes = [
    after_write(out.detach(), out.sum(), a),
    after_write(late.data, late.sum(), a),
    after_write(plus.detach(), plus.sum(), a),
]
assert outcomes == ["refused", "silently wrong", "unharmed"]

# %% [markdown]
# **Rule.** A write to saved numbers is refused if the saved tensor counts it, and
# silently wrong if not.

# %% [markdown]
# ## What does a copy remember?
#
# `clone` (克隆) copies the numbers, into memory of its own:

# %% tags=["claim:C164"]
a = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
b = a.clone()
assert (b.shape, b.dtype, b.device) == (a.shape, a.dtype, a.device)
assert torch.equal(a, b) and not shares_storage(a, b)

# %% [markdown]
# Independent, one would think. **Predict** `a.grad` after each of these two walks, of
# which the second starts from the copy:

# %% tags=["predict"]
(a * 2).sum().backward()
first = a.grad.tolist()
(b * 3).sum().backward()
first, a.grad.tolist()

# %% [markdown]
# To the graph, copying is an operation, with a node and a slope of 1. (The node has got a
# 0 at its end since the notes were written.)

# %% tags=["claim:C166"]
assert b.grad_fn.name() == "CloneBackward0"
assert first == [2, 2, 2] and a.grad.tolist() == [5, 5, 5]

# %% [markdown]
# So a clone is the opposite of a detached tensor: new numbers in the old graph. A leaf it
# is not, and its own gradient is not kept unless you ask:

# %% tags=["claim:C167"]
from helpers import expect_warning

assert not b.is_leaf
with expect_warning(UserWarning, "not a leaf"):
    assert b.grad is None
b.retain_grad()
(b * 3).sum().backward()
assert b.grad.tolist() == [3, 3, 3]

# %% [markdown]
# The notes put it like this: the gradient of the clone accumulates on its source. If
# the source is a leaf that requires grad, yes. In general it flows through, to whatever
# lies behind:

# %% tags=["claim:C165"]
a.grad, middle = None, a * 10
middle.clone().sum().backward()
assert a.grad.tolist() == [10, 10, 10]

# %% [markdown]
# And nothing flows past a `detach`, or out of a clone of something that never asked:

# %% tags=["claim:C165"]
a.grad, alone = None, a.detach().clone().requires_grad_()
alone.sum().backward()
assert a.grad is None and alone.grad.tolist() == [1, 1, 1]
assert not torch.ones(2).clone().requires_grad

# %% [markdown]
# `copy_` fills a tensor that is already there, and returns it. The source is stretched
# to the target's shape ([106](106_broadcasting.ipynb)) and converted to its dtype; the
# target keeps its own:

# %% tags=["claim:C168"]
target = torch.zeros(2, 3)
assert target.copy_(torch.tensor([1, 2, 3])) is target
assert target.tolist() == [[1, 2, 3], [1, 2, 3]] and target.dtype == torch.float32
with expect_error(RuntimeError, "doesn't match the broadcast shape"):
    torch.zeros(3).copy_(torch.zeros(2, 3))

# %% [markdown]
# It is recorded, too. In the notes' example it does what `clone` did above, under the
# name of CopyBackwards:

# %% tags=["claim:C169"]
a.grad = None
b = torch.empty_like(a).copy_(a)
(a * 2).sum().backward()
first = a.grad.tolist()
(b * 3).sum().backward()
assert b.grad_fn.name().endswith("CopyBackwards")
assert first == [2, 2, 2] and a.grad.tolist() == [5, 5, 5]

# %% [markdown]
# And then there are the calls that copy if they must. **Predict** which of these leaves
# the caller's numbers alone:

# %% tags=["predict"]
single, double = torch.tensor([-1.0, 2.0]), torch.tensor([-1.0, 2.0]).double()
for given in (single, double):
    given.to(torch.float32).clamp_(min=0)
single.tolist(), double.tolist()

# %% [markdown]
# `to` hands back the very same object if there is nothing to convert, unless you insist.
# So does `cpu()`, and whether that copies depends on where your tensor lives:

# %%
assert single.tolist() == [0, 2] and double.tolist() == [-1, 2]
assert not shares_storage(single.to(torch.float32, copy=True), single)
assert single.to(torch.float32) is single and torch.as_tensor(single) is single
assert (single.cpu() is single) == single.is_cpu

# %% [markdown]
# **Rule.** `clone` and `copy_` cut the memory and keep the graph; `detach` keeps the
# memory and cuts the graph. To cut both takes both.

# %% [markdown]
# ## Which ties does each way keep?
#
# Enough of single cases. Here are fifteen ways to make `new` out of a tensor `t`, the
# first of them plain assignment. They are written as Python text, so that no name in the
# coming table can say anything but what ran:

# %%
ways = [
    "t",
    "t.view(-1)",
    "t.detach()",
    "t.data",
    "t.clone()",
    "t.detach().clone()",
    "t.clone().detach()",
    "torch.empty_like(t).copy_(t)",
    "t.to(t.dtype)",
    "t.to(torch.float64)",
    "t.numpy()",
    "t.detach().numpy()",
    "torch.from_numpy(t.detach().numpy())",
    "torch.as_tensor(t)",
    "nn.Parameter(t)",
]

# %% [markdown]
# Is the graph kept? We do not ask `new` whether it believes so. We start a walk there,
# and see whether anything arrives at the source of `t`:


# %%
def graph_kept(new, source):
    if not getattr(new, "requires_grad", False):
        return False
    walk = {"retain_graph": True, "allow_unused": True}
    (arrived,) = torch.autograd.grad(new.sum(), source, **walk)
    return arrived is not None


# %% [markdown]
# The rest takes a single write through `new`. Do the numbers of `t` change? Does `t`
# count it? What becomes of `backward`? Arrays live in the memory of the CPU, so their
# rows get a `t` that lives there as well. Where torch refuses to make `new`, the row
# stays empty:


# %%
def measure(code, begin=torch.sigmoid, end=torch.sum):
    device = "cpu" if "numpy" in code else pick_device()
    a = torch.tensor([1.0, 2.0, 3.0], device=device, requires_grad=True)
    t = begin(a)
    row = dict.fromkeys(["new =", "storage", "counter", "graph"]) | {"new =": code}
    row |= dict.fromkeys(["is_leaf", "requires_grad", "backward"])
    try:
        new = eval(code, globals(), {"t": t})
    except RuntimeError:
        return row
    row["is_leaf"] = getattr(new, "is_leaf", None)
    row["requires_grad"] = getattr(new, "requires_grad", None)
    row["graph"] = graph_kept(new, a)
    numbers, version = t.tolist(), t._version
    row["backward"] = after_write(new, end(t), a)
    row["storage"] = t.tolist() != numbers
    row["counter"] = t._version > version
    return row


# %% [markdown]
# Take a sheet of paper, and **predict** at least the last column: what does a write
# through `new` do to `backward`?

# %% tags=["predict"]
rows = [measure(code) for code in ways]
told = "Measured: yes where the tie is kept; a dash where there is nothing to ask."
table(rows, told)

# %% [markdown]
# Read it slowly; three rows are worth the chapter.
#
# `t.numpy()` has no entries. Torch refuses, for an array could not carry the graph. One
# line below, with `detach`, all is granted, and a write ends silently wrong: arrays
# know nothing of counters. And `nn.Parameter(t)` looks like a fresh start, a leaf that
# requires grad. It stands on the memory of `t`, counter included:

# %%
by_way = {row["new ="]: row for row in rows}
assert [way for way in ways if by_way[way]["storage"] is None] == ["t.numpy()"]
assert by_way["t.detach().numpy()"]["backward"] == "silently wrong"
fresh = by_way["nn.Parameter(t)"]
assert fresh["is_leaf"] and fresh["requires_grad"] and not fresh["graph"]
assert fresh["storage"] and fresh["counter"]

# %% [markdown]
# Is this a table of sigmoid, or of torch? We measure everything again with a leaf for
# `t`, which a product saves. **Predict** which columns change:

# %% tags=["predict"]
of_a_leaf = [measure(code, lambda a: a, lambda t: (t * t).sum()) for code in ways]
changed = {}
for row, again in zip(rows, of_a_leaf, strict=True):
    for column in row:
        if row[column] != again[column]:
            changed.setdefault(column, []).append(row["new ="])
changed

# %% [markdown]
# One column, in the three rows that return `t` itself: of course it is a leaf if `t`
# is.

# %%
assert changed == {"is_leaf": ["t", "t.to(t.dtype)", "torch.as_tensor(t)"]}

# %% [markdown]
# With an addition, which saves nothing, every outcome is harmless and every tie the same:

# %%
of_a_sum = [measure(code, lambda a: a + 1) for code in ways]
for row, again in zip(rows, of_a_sum, strict=True):
    assert again["backward"] in ("unharmed", None)
    assert row | {"backward": None} == again | {"backward": None}

# %% [markdown]
# ## What is the table good for?
#
# Three ties, each kept or cut, could make eight kinds of relation. We sort the rows:

# %%
kinds = {}
for row in rows:
    if row["storage"] is not None:
        ties = row["storage"], row["counter"], row["graph"]
        kinds.setdefault(ties, []).append(row["new ="])
assert len(kinds) == 5

# %%
import textwrap

figure, axes = canvas(7, 3.6)
axes.set_axis_off()
colours, said = {"storage": "#0072b2", "counter": "#d55e00", "graph": "#009e73"}, []
for y, (ties, members) in enumerate(kinds.items()):
    for lane, (kept, name) in enumerate(zip(ties, colours, strict=True)):
        height, colour = -y + 0.27 * (1 - lane), colours[name]
        axes.plot([0, 2.6], [height] * 2, color=colour if kept else "#e9e7e1", lw=1.5)
        look = {"size": 7.5, "color": colour, "backgroundcolor": "#fcfbf8"}
        axes.text(1.3, height, name if kept else "cut", look, ha="center", va="center")
    kept = [name for kept, name in zip(ties, colours, strict=True) if kept]
    said.append(f"{', '.join(members)}: {' and '.join(kept) or 'nothing'} kept.")
    axes.text(-0.15, -y, "t", ha="right", va="center", weight="bold")
    axes.text(2.75, -y, "new", va="center", weight="bold")
    axes.text(3.7, -y, textwrap.fill(", ".join(members), 42), va="center", size=8.5)
    axes.text(9.4, -y, by_way[members[0]]["backward"], va="center", style="italic")
axes.set(xlim=(-0.5, 11))
told = "Fourteen ways, five kinds: the ties that are kept decide what a write does."
show(figure, told, " ".join(said))

# %% [markdown]
# Five kinds, and the first two ties settle what a write does to saved numbers. No memory
# shared: unharmed. Memory and counter: refused. Memory without counter: silently wrong.

# %%
verdicts = {(False, False): "unharmed", (True, True): "refused"}
verdicts |= {(True, False): "silently wrong", (None, None): None}
assert all(row["backward"] == verdicts[row["storage"], row["counter"]] for row in rows)

# %% [markdown]
# **Rule.** Of anything that returns a tensor, ask: whose memory, whose counter,
# whose graph?
#
# You can ask torch, since `measure` takes any expression. **Predict** the kinds of these
# five. One is a view taken under `no_grad`, the last is Python's own shallow copy:

# %% tags=["predict"]
import copy

five = ["t.float()", "t + 0", "t.detach()[:]"]
five += ["torch.no_grad()(t.view)(-1)", "copy.copy(t)"]
more = [measure(code) for code in five]
table(more)

# %% [markdown]
# The last two say that they require grad, and no way leads back to `t` from either
# ([206](206_switching_gradients_off.ipynb) explains the first). That is why we asked a
# walk. `copy.copy` is the worse trap: it copied no number, stands on the memory of `t`,
# and has a counter of its own.

# %%
said = ["refused", "unharmed", "refused", "refused", "silently wrong"]
assert [row["backward"] for row in more] == said
assert all(row["is_leaf"] and row["requires_grad"] for row in more[3:])
assert not any(row["graph"] for row in more[2:])
assert more[3]["counter"] and more[4]["storage"] and not more[4]["counter"]

# %% [markdown]
# `deepcopy` does copy. It is meant for weights and refuses what has a node:

# %%
assert not shares_storage(copy.deepcopy(w), w) and copy.deepcopy(w).is_leaf
with expect_error(RuntimeError, "Only Tensors created explicitly by the user", lines=2):
    copy.deepcopy(a.sigmoid())

# %% [markdown]
# The table works backwards as well. Say what you want, and see which ways give it. A
# record of today that nothing may change tomorrow has no tie at all:

# %%
assert kinds[False, False, False] == ["t.detach().clone()", "t.clone().detach()"]

# %% [markdown]
# The order does not matter to the result. `torch.tensor` makes such a record, too, but
# it is meant for lists and numbers. Given a tensor, it sends you to the first of the two:

# %%
with expect_warning(UserWarning, "recommended to use sourceTensor.detach().clone()"):
    record = torch.tensor(a)
assert not shares_storage(record, a) and not record.requires_grad

# %% [markdown]
# Numbers of your own, gradients to the old one: that is `clone`, the place to scribble
# on a result that others still need:

# %%
out = a.sigmoid()
draft = out.clone()
draft[0] = 0
(got,) = torch.autograd.grad(draft.sum() + out.sum(), a)
assert torch.allclose(got, s * (1 - s) * torch.tensor([1.0, 2.0, 2.0]))

# %% [markdown]
# The same number without a slope: that is `detach`. A sum of detached and recorded parts
# has the value of all, and the slope of the recorded ones. So a step, which
# has slope 0 wherever it has one, can pass gradients on as if it were a straight line
# ([207](207_your_own_gradient.ipynb) writes such slopes as functions):

# %%
x = torch.linspace(-2.2, 2.2, 44, requires_grad=True)
stairs = x + (x.round() - x).detach()
(slope,) = torch.autograd.grad(stairs.sum(), x)
(flat,) = torch.autograd.grad(x.round().sum(), x)
assert torch.allclose(stairs, x.round()) and (slope == 1).all() and (flat == 0).all()

# %%
figure, axes = canvas(7, 2.4)
axes.step(x.tolist(), stairs.tolist(), where="mid", label="value of both")
axes.plot(x.tolist(), slope.tolist(), label="slope of stairs")
axes.plot(x.tolist(), flat.tolist(), ":", label="slope of x.round()")
axes.set(xlabel="x")
axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
told = "The value goes up in steps, and `backward` is told of a straight line."
show(figure, told, "Stairs from -2 to 2; one slope is 1 everywhere, the other 0.")

# %% [markdown]
# Rows can also be chained. An array becomes a tensor, the tensor a parameter, and the
# parameter takes one training step. **Predict** the array, which began with zeros:

# %% tags=["predict"]
array = torch.zeros(2, device="cpu").numpy()
p = nn.Parameter(torch.from_numpy(array))
((p - 3) ** 2).sum().backward()
torch.optim.SGD([p], lr=0.5).step()
array.tolist()

# %% [markdown]
# Every link keeps the storage, so the optimizer has trained your data. One `clone`
# breaks the chain:

# %%
assert array.tolist() == p.tolist() == [3, 3]
loose = nn.Parameter(torch.from_numpy(array).clone())
assert not shares_storage(loose, p) and loose.requires_grad

# %% [markdown]
# ## Where it goes wrong
#
# **A weight is updated in place.** The line says what you mean, and torch forbids it:

# %%
w = torch.tensor([1.0, 2.0], requires_grad=True)
(w * w).sum().backward()
with expect_error(RuntimeError, "a leaf Variable that requires grad"):
    w -= 0.1 * w.grad

# %% [markdown]
# Were this write recorded, `w` would be the result of a subtraction, and a leaf no more:
# that is what `w = w - …` makes of it, without a complaint. The cure is to write without
# recording. `w` stays a leaf, and the write is counted, which one through `.data` would
# not be:

# %%
lost = w - 0.1 * w.grad
with torch.no_grad():
    w -= 0.1 * w.grad
assert torch.equal(w, lost) and not lost.is_leaf
assert w.is_leaf and w.requires_grad and w._version == 1

# %% [markdown]
# **A result is improved in place.** Here nothing is detached, and the error comes
# late, from a line that is innocent:

# %%
out = a.sigmoid()
out[0] = 0
with expect_error(RuntimeError, "modified by an inplace operation", lines=6):
    out.sum().backward()

# %% [markdown]
# How to read it: *output 0 of Sigmoid* is the result that was hit. Between the version
# expected and the one found lie the writes to look for; the message does not name their
# lines, and [205](205_in_place_and_versions.ipynb) shows how to find them. Give them a
# copy:

# %%
out = a.sigmoid().clone()
out[0] = 0
(got,) = torch.autograd.grad(out.sum(), a)
assert got[0] == 0 and torch.allclose(got[1:], (s * (1 - s))[1:])

# %% [markdown]
# **NumPy is asked for a recorded tensor.** This is the empty row of the table:

# %%
u = torch.tensor([1.0, 2.0, 3.0], device="cpu", requires_grad=True)
out = u.sigmoid()
with expect_error(RuntimeError, "Can't call numpy() on Tensor that requires grad"):
    out.numpy()

# %% [markdown]
# The message offers a cure, and the notes call `detach` safe. It is where a write is
# counted. NumPy counts none:

# %% tags=["claim:C162"]
array = out.detach().numpy()
array[:] = 0
out.sum().backward()
assert out._version == 0 and u.grad.tolist() == [0, 0, 0]

# %% [markdown]
# Follow the message if you only read, with `cpu()` in between for tensors on a GPU. If
# you write, the array needs memory of its own:

# %%
out, u.grad = u.sigmoid(), None
out.detach().clone().numpy()[:] = 0
out.sum().backward()
assert (u.grad > 0).all()
assert a.detach().cpu().numpy().tolist() == [1, 2, 3]

# %% [markdown]
# **The best weights so far.** Steps that are too long swing around the minimum at 1. We
# keep the weight each time the loss is the lowest yet, once detached and once
# cloned as well:

# %%
w, lowest, path = nn.Parameter(torch.tensor(-2.0)), float("inf"), []
for _ in range(11):
    loss = (w - 1).abs()
    if loss < lowest:
        lowest, wrong, right = loss.item(), w.detach(), w.detach().clone()
    (slope,) = torch.autograd.grad(loss, w)
    with torch.no_grad():
        w -= 0.7 * slope
    path.append([w.item(), wrong.item(), right.item()])
assert wrong == w and abs(wrong - 1) > abs(right - 1)

# %%
figure, axes = canvas(7, 2.4)
labels = {"weight": "-", "kept by detach": "x", "kept by detach and clone": "o"}
for values, (label, style) in zip(zip(*path, strict=True), labels.items(), strict=True):
    axes.plot(values, style, label=label)
axes.set(xlabel="step", ylabel="weight")
axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
told = "What was kept by `detach` alone moves on with the weight, away from the best."
show(figure, told, "Weight by step: one record lies on it, the other stays at 0.8.")

# %% [markdown]
# The usual victim is `state_dict()`. Its tensors are detached, and no more than that:

# %%
layer = nn.Linear(2, 2)
best = layer.state_dict()
assert not best["weight"].requires_grad
assert shares_storage(best["weight"], layer.weight)
best = {name: t.clone() for name, t in layer.state_dict().items()}
assert not shares_storage(best["weight"], layer.weight)

# %% [markdown]
# ## In practice
#
# `detach` and `.data` cost a header, `clone` costs the memory and the time of a copy.
# Detach what you only read: logs, plots, fixed targets. Clone also what must survive
# the next step: snapshots, initial values, arrays that somebody writes to. Keep `.data`
# out of new code. Where it only reads, `detach` does the same; where it writes, a write
# under `no_grad` does, and is counted.
#
# A function that writes into its argument should say so, and one that converts first
# should know that `to` may not copy (`copy=True` makes sure). For NumPy on any
# machine, write `t.detach().cpu().numpy()`, and treat the array as read-only.

# %% [markdown]
# ## Summary
#
# - Storage, counter and graph are the three ties; `detach` cuts the graph alone
#   ([shown](#What-does-detach-cut?)).
# - A write to saved numbers is refused where the saved tensor counts it, silently wrong
#   where only the memory is shared, and else unharmed ([shown](#Who-notices-a-write?)).
# - One walk from the result of any expression and one write through it tell which ties
#   it keeps ([measured](#Which-ties-does-each-way-keep?)).
# - `clone` cuts the memory and keeps the graph ([shown](#What-does-a-copy-remember?));
#   what is wanted decides between `detach`, `clone` and both
#   ([used](#What-is-the-table-good-for?)).
# - Write to leaves under `no_grad`, to saved results after a `clone`, to arrays after
#   `detach` and `clone`
#   ([cured](#Where-it-goes-wrong)).

# %% [markdown]
# ## Exercises
#
# ### Exercise 204.1 · Who reads the zero?
# *predict · ●○○ · 4 minutes*
#
# `t = torch.ones(3, requires_grad=True).exp()`. Each of these makes a `new`, and under
# `no_grad` you set `new[-1] = 0`. In which cases does `t[-1]` become 0? Give their
# letters.
#
# **a** `t.detach()[1:]` **b** `t.clone().detach()` **c** `t.data` **d** `t * 1` **e**
# `nn.Parameter(t)` **f** `t.to(torch.float32)`

# %% tags=["exercise"]
answer = ...  # TODO: a list of letters, such as ["a", "b"]

# %%
exercise("204.1").check(answer)

# %% [markdown]
# ### Exercise 204.2 · Half detached
# *predict · ●●○ · 4 minutes*
#
# ```python
# x = torch.tensor(3.0, requires_grad=True)
# y = x * x.detach() + x.clone() ** 2 + x.detach().clone() * 7
# y.backward()
# ```
#
# What is `x.grad`? Work it out on paper.

# %% tags=["exercise"]
answer = ...  # TODO: a number

# %%
exercise("204.2").check(answer)

# %% [markdown]
# ### Exercise 204.3 · Refused, wrong or unharmed
# *predict · ●●○ · 5 minutes*
#
# Four programs begin with `x = torch.tensor([1.0, 2.0], requires_grad=True)` and end
# with `s.sum().backward()`. What becomes of the gradient in each? (`exp` saves
# its result.)
#
# - first: `s = x.exp()`, then `s.detach().add_(1)`
# - second: `s = x.exp()`, then `s.data.add_(1)`
# - third: `s = x + 1`, then `s.data.add_(1)`
# - fourth: `s = x.exp()`, then `s.clone().add_(1)`

# %% tags=["exercise"]
answer = ...  # TODO: a list; four times "refused", "silently wrong" or "unharmed"

# %%
exercise("204.3").check(answer)

# %% [markdown]
# ### Exercise 204.4 · The night's best
# *repair · ●●○ · 6 minutes*
#
# This function should walk downhill with steps of 0.6 and return the `w` of the lowest
# loss that it met, as a record free of ties. The caller's `w` must stay as it is. It
# fails at both.


# %% tags=["exercise"]
def best_on_the_way(w, steps):
    w = w.detach().requires_grad_()  # TODO: repair two lines
    best, lowest = None, float("inf")
    for _ in range(steps):
        loss = (w - 1).abs().sum()
        if loss < lowest:
            best, lowest = w.detach(), loss.item()
        (slope,) = torch.autograd.grad(loss, w)
        with torch.no_grad():
            w -= 0.6 * slope
    return best


# %%
exercise("204.4").check(best_on_the_way)

# %% [markdown]
# ### Exercise 204.5 · A sign with a slope
# *write · ●●○ · 6 minutes*
#
# Return the sign of `x`, as `torch.sign` computes it, with the gradient of `x.tanh()`.


# %% tags=["exercise"]
def soft_sign(x):
    return ...  # TODO: the value of torch.sign, the slope of tanh


# %%
exercise("204.5").check(soft_sign)

# %% [markdown]
# ### Exercise 204.6 · Is it counted?
# *write · ●●● · 10 minutes*
#
# Return whether a write through `new`, such as `add_`, is counted by `t`. Both are
# tensors; either may require grad. When you are done, all their numbers must be what
# they were. Beware of counters that are equal by chance.


# %% tags=["exercise"]
def counts(t, new):
    return ...  # TODO: True or False


# %%
exercise("204.6").check(counts)

# %% [markdown]
# ## Next
#
# [205 · In-place and versions](205_in_place_and_versions.ipynb) asks what the counter
# counts, what a node saves, and which line wrote.
#
# - [In-place operations with autograd](https://docs.pytorch.org/docs/stable/notes/autograd.html#in-place-operations-with-autograd):
#   what torch promises about version counters.
# - [Tensor.detach](https://docs.pytorch.org/docs/stable/generated/torch.Tensor.detach.html):
#   its note tells how `detach` came to differ from `.data`.
# - [Estimating or propagating gradients through stochastic neurons](https://arxiv.org/abs/1308.3432),
#   Bengio and others, 2013: where the stairs with a straight slope come from.
