# %% [markdown]
# # 205 · In-place and versions
#
# `h = h + x` and `h += x` arrive at the same numbers. One of them may end a training
# run, in `backward`, far from the line itself, with a complaint about version 4 of
# something. Other lines write in place and do no harm. Who counts versions, when are
# they compared, and how do you find the line that is to blame?

# %% [markdown]
# **You will be able to**
#
# - tell what a statement adds to a tensor's version counter;
# - find out what an operation saves, and predict which writes `backward` refuses;
# - name the tensors that share a counter, and those that share the memory alone;
# - decide whether a result may be overwritten, and whether that spares memory;
# - explain and cure both in-place errors, and find the line that wrote.
#
# **You need** [201](201_gradients_and_graphs.ipynb) for nodes and leaves, and
# [204](204_detach_data_clone.ipynb) for `detach` and `.data`. **Time** 55 minutes.

# %% tags=["setup"]
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from helpers import draw, exercise, expect_error, pick_device, shares_storage, table

torch.set_default_device(pick_device())

# %% [markdown]
# ## What does the counter count?
#
# An in-place operation (原地操作) puts its result where its input was. The notes
# recognise it by the address of the numbers, and they are right: item assignment, `+=`
# and `add_` keep the place.

# %% tags=["claim:C288", "claim:C454"]
a = torch.ones(2)
place = a.data_ptr()
a[0] = 10
a += 1
a.add_(1)
assert a.data_ptr() == place and a.tolist() == [12, 3]

# %% [markdown]
# `a.add(1)`, `a + 1` and `a.exp()` make new tensors. An assignment hangs the old name
# on one of them, and writes to no number. (An equal address proves no write: `a = a[:]`
# keeps it, too.)

# %% tags=["claim:C288", "claim:C454"]
old, a = a, a + 1
assert a.data_ptr() != place != a.add(1).data_ptr() and old.tolist() == [12, 3]
old, a = a, a.exp()
assert a.data_ptr() != old.data_ptr()
old, a = a, a[:]
assert a.data_ptr() == old.data_ptr()

# %% [markdown]
# A tensor has a version counter (版本计数器), `_version`. This function runs one
# statement on a new tensor `a` and returns what its counter says afterwards:


# %%
def count(statement):
    a = torch.ones(4)
    exec(statement, {"torch": torch, "a": a})
    return a._version


# %% [markdown]
# **Predict** the second column:

# %% tags=["predict"]
statements = ["a += 1", "a.add_(0)", "a[a > 100] = 0", "a = a + 1", "a[0] += 1"]
statements += ["torch.add(a, 1, out=a)", "a.unsqueeze_(0)", "a.requires_grad_()"]
counts = [count(statement) for statement in statements]
table(
    [{"statement": s, "_version": n} for s, n in zip(statements, counts, strict=True)]
)

# %% [markdown]
# Counted are calls, not numbers that change: adding 0 counts, and so does a mask that
# selects nothing.

# %%
assert counts == [1, 1, 1, 0, 2, 1, 1, 0] and torch.ones(4)._version == 0

# %% [markdown]
# And `a[0] += 1` makes two calls. Python adds into the view `a[0]`, and then assigns
# that view to `a[0]`. Step by step:

# %%
a = torch.ones(4)
part = a[0]
part += 1
between = a._version
a[0] = part
assert (between, a._version) == (1, 2)

# %% [markdown]
# The notes say that the counter begins at 0 and rises by 1 each time. For each call? We
# try the methods whose names end in an underscore, with nine kinds of arguments, on
# three dtypes:

# %%
from contextlib import suppress
from itertools import product
from warnings import catch_warnings, simplefilter


def rises(name):
    found, half = set(), torch.full((2, 2), 0.5, device="cpu")
    given = [(), (1,), (0.5,), (half,), (0, 1), (half, half), (half > 0, 0.5)]
    given += [(abs,), (half, max)]
    for dtype, some in product((torch.float32, torch.int64, torch.bool), given):
        a = torch.ones((2, 2), dtype=dtype, device="cpu")
        with suppress(Exception):
            getattr(a, name)(*some)
            found.add(a._version)
    return found


# %% [markdown]
# Here are those that ever do otherwise. (Where no arguments fit, nothing is learnt;
# `share_memory_` is left out.)

# %%
named = {n for n in dir(torch.Tensor) if n.endswith("_") and not n.startswith("_")}
with catch_warnings():
    simplefilter("ignore")
    found = {name: rises(name) for name in sorted(named - {"share_memory_"})}
{name: sorted(rise) for name, rise in found.items() if rise - {1}}

# %% [markdown]
# More than a hundred methods add 1, and none that could be called adds more. Three
# found nothing to write here. But `apply_` and `map_`, which hand each number to a
# function of Python, did write, and were not counted. Among functions, `alpha_dropout_`
# counts twice. And you may meet a counter late: the weights of a layer were filled in
# place before you got them.

# %% tags=["claim:C289"]
assert sum(rise == {1} for rise in found.values()) > 100
assert max(set.union(*found.values())) == 1 and found["requires_grad_"] == {0}
assert count("a.add_(1)") == 1 and count("torch.alpha_dropout_(a, 0.5, True)") == 2
assert nn.Linear(2, 2).weight._version > 0

# %%
a = torch.ones(2, device="cpu")
assert a.apply_(lambda number: number + 1).tolist() == [2, 2] and a._version == 0

# %% [markdown]
# ## What does a node save?
#
# Who reads the counter? Here is the notes' example. `loss` is a mean, and one step
# behind it is the node of the product:

# %%
a = torch.tensor([1.0, 3.0], requires_grad=True)
b = a + 2
loss = (b * b).mean()
node = loss.grad_fn.next_functions[0][0]
node.name(), node._saved_self is b, b._version

# %% [markdown]
# To compute slopes later, the node keeps its factors as saved tensors (保存的张量).
# They are no copies: one is `b` itself. Now we write to `b`. That raises nothing, but
# then we ask the node for its factor, and `loss` for its gradient:

# %% tags=["claim:C289"]
assert node.name() == "MulBackward0" and b._version == 0
b[0] = 1000.0
assert b._version == 1
with expect_error(RuntimeError, "modified by an inplace operation", lines=1):
    node._saved_self
with expect_error(RuntimeError, "is at version 1; expected version 0", lines=6):
    loss.backward()

# %% [markdown]
# So the node also noted a version, and it is compared when a saved tensor is taken out,
# be it by `backward` or by you. (`CopySlices` in the message is torch's name for a
# write to a part of `b`.) A counter can be followed line by line:


# %%
def watch(lines, name, space):
    versions = []
    for line in lines:
        exec(line, space)
        versions.append(space[name]._version)
    return versions


# %%
lines = ["b = a + 2", "loss = (b * b).mean()", "b[0] = 1000", "b[1] += 5"]
versions = watch(lines, "b", {"a": a})
assert versions == [0, 0, 1, 3]

# %% [markdown]
# Between the version that was noted and the one that is found lie the writes that
# `backward` objects to:

# %%
from helpers import canvas, show

figure, axes = canvas(7, 2.4)
axes.step([*range(4), 4], [*versions, versions[-1]], where="post", lw=2)
axes.plot([1.5], [versions[1]], "o", color="#d55e00")
axes.text(1.45, 0.25, f"noted: {versions[1]}", color="#d55e00", ha="right")
axes.plot([4], [versions[3]], "o", color="#d55e00")
axes.text(3.95, 2.5, f"found: {versions[3]}", color="#d55e00", ha="right")
axes.set_xticks([0.5, 1.5, 2.5, 3.5], lines)
axes.set(ylabel="b._version", yticks=range(4))
told = "The product notes version 0 as it saves `b`; three calls later it would find 3."
show(figure, told, "A staircase: b's version is 0 for two lines, then 1, then 3.")

# %% [markdown]
# If `b` is changed after the loss was computed from it, the notes conclude, `backward`
# is bound to fail. We let the loss be the mean of any function of `b`:


# %%
def slope_after_write(f):
    a = torch.tensor([1.0, 3.0], requires_grad=True)
    b = a + 2
    loss = f(b).mean()
    b[0] = 1000.0
    (slope,) = torch.autograd.grad(loss, a)
    return slope.tolist()


# %% [markdown]
# **Predict** what happens with `b * 3` in place of `b * b`:

# %% tags=["predict"]
slope_after_write(lambda b: b * 3)

# %% [markdown]
# That is right, 3 / 2 for both. To differentiate `b * 3`, nobody needs `b`:

# %% tags=["claim:C290"]
assert slope_after_write(lambda b: b * 3) == [1.5, 1.5]
with expect_error(RuntimeError, "is at version 1; expected version 0"):
    slope_after_write(lambda b: b * b)

# %% [markdown]
# So all depends on what is saved, and we can watch. In a block with
# `saved_tensors_hooks(pack, unpack)`, each tensor to be saved is first handed to
# `pack`, and what that returns is kept. Before use it goes through `unpack`:


# %%
def watched(f):
    seen = []

    def pack(t):
        seen.append(t)
        return t

    with saved_tensors_hooks(pack, lambda kept: kept):
        return f(), seen


# %% [markdown]
# Operations are given as text. Is `x`, the input, among the saved tensors, or `y`, the
# result? And under which names with `_saved_` does the node keep them?


# %%
def start():
    a = torch.tensor([0.3, 0.5, 0.6], requires_grad=True)
    w = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    return a, {"torch": torch, "x": a + 0, "w": w}


# %%
def saves(code):
    names = start()[1]
    y, seen = watched(lambda: eval(code, names))
    kept = {k[7:]: getattr(y.grad_fn, k) for k in dir(y.grad_fn) if k[:7] == "_saved_"}
    kept = {k: t for k, t in kept.items() if isinstance(t, torch.Tensor)}
    row = {"y =": code, "the node keeps": ", ".join(kept) or None}
    for name, t in {"x": names["x"], "y": y}.items():
        row[f"{name} saved"] = any(shares_storage(s, t) for s in seen)
        assert row[f"{name} saved"] == any(shares_storage(s, t) for s in kept.values())
    return row


# %% [markdown]
# (The assertion holds both answers together.) `relu` and `clamp(0)` compute the same,
# and so do `sqrt` and `** 0.5`. **Predict** which of these save `x`, and which `y`:

# %% tags=["predict"]
pairs = ["x.relu()", "x.clamp(0)", "x.sqrt()", "x ** 0.5", "x.exp()", "x.log()"]
table([saves(code) for code in pairs])

# %% [markdown]
# Each keeps what its rule of differentiation reads. The slope of `exp` is its result,
# that of `log` is one over its input. Where the rule can be written either way, equal
# numbers came with different papers:

# %%
kept = [(row["x saved"], row["y saved"]) for row in map(saves, pairs)]
assert kept == [(False, True), (True, False)] * 3
x = torch.linspace(-2, 2, 9)
assert torch.equal(x.relu(), x.clamp(0))
assert torch.allclose(x.abs().sqrt(), x.abs() ** 0.5)

# %% [markdown]
# Now we write zeros into `x` or `y` after the operation, and compare the gradient with
# the right one:


# %%
def after_write(code, target):
    a, names = start()
    names["y"] = eval(code, names)
    (right,) = torch.autograd.grad(names["y"].sum(), a, retain_graph=True)
    names[target].detach().zero_()
    try:
        (got,) = torch.autograd.grad(names["y"].sum(), a)
    except RuntimeError as error:
        return "refused" if "modified by an inplace" in str(error) else "other"
    return "unharmed" if torch.equal(got, right) else "wrong"


# %%
more = ["x + 1", "x * 3", "x * w", "x / w", "w / x", "x ** 2", "x.reciprocal()"]
more += ["x.sin()", "x.tan()", "x.abs()", "x.sigmoid()", "x.tanh()", "x.softmax(0)"]
more += ["x @ w", "x.sum()", "x.mean()", "x.max()", "x.max(0).values", "x.std()"]
more += ["x.cumsum(0)", "x.clone()", "x[1:]", "torch.cat([x, x])", "x.where(w > 1, w)"]

# %% [markdown]
# Thirty operations, two writes to each:

# %%
rows = [saves(code) for code in pairs + more]
for row in rows:
    row |= {f"write to {name}": after_write(row["y ="], name) for name in "xy"}
table(rows)

# %% [markdown]
# Not one exception: refused are the writes to what was saved, unharmed are all others.

# %%
assert len(rows) == 30
for row, name in product(rows, "xy"):
    expected = "refused" if row[f"{name} saved"] else "unharmed"
    assert row[f"write to {name}"] == expected

# %%
from matplotlib.patches import Rectangle

figure, axes = canvas(7, 3.2)
for left, colour in ((1, "#cfe4f3"), (1.95, "#f7d3bf")):
    axes.add_patch(Rectangle((left, -0.6), 1.7, 12, facecolor=colour, alpha=0.7))
heads = {(False, False): ("neither", 0.05), (True, False): ("x saved", 1.1)}
heads |= {(True, True): ("both", 2.05), (False, True): ("y saved", 2.75)}
said = []
for kind, (head, left) in heads.items():
    group = [row["y ="] for row in rows if (row["x saved"], row["y saved"]) == kind]
    axes.text(left, -1.2, head, weight="bold")
    for line, code in enumerate(sorted(group, key=len)):
        axes.text(left, line + 0.6, code, family="monospace", size=8)
    said.append(f"{head}: {', '.join(group)}")
axes.set(xlim=(-0.05, 3.7), ylim=(11.5, -2.2))
axes.set_axis_off()
told = (
    "What thirty operations save: their input `x`, their result `y`, both or neither."
)
show(figure, told, "Two fields that overlap. " + "; ".join(said) + ".")

# %% [markdown]
# Wanted slopes decide, too. `x * w` saves `x` for the slope of `w`; if `w` needs none,
# `x` is not saved. (And the `other` of `x * 3` is the number 3, not handed to `pack`.)

# %%
x, w = (start()[1][name] for name in "xw")
(kept,) = watched(lambda: x * w.detach())[1]
assert shares_storage(kept, w) and not shares_storage(kept, x)
assert watched(lambda: x * 3)[1] == []

# %% [markdown]
# **Rule.** A node saves what its own rule reads for the slopes that are wanted, and
# `backward` refuses if the counter of a saved tensor has moved since.

# %% [markdown]
# ## How far does one counter reach?
#
# Six numbers, cut in two halves, one of which is written to. **Predict** the counters
# of all three tensors:

# %% tags=["predict"]
whole = torch.arange(6.0)
left, right = whole[:3], whole[3:]
right.add_(1)
whole._version, left._version, right._version

# %% [markdown]
# No number of `left` has changed, yet its counter has, for there is one counter for
# all three:

# %%
assert whole._version == left._version == right._version == 1

# %% [markdown]
# That is prudent, and may be a false alarm. The next loop saves each element
# before it writes to the one after it, and never writes to a saved one:


# %%
def decay_in_buffer(w):
    path = torch.ones(4)
    for i in range(1, 4):
        path[i] = path[i - 1] * w
    return path.sum()


# %%
w = torch.tensor(0.5, requires_grad=True)
with expect_error(RuntimeError, "is at version 3; expected version 2"):
    decay_in_buffer(w).backward()

# %% [markdown]
# The cure is to collect results in a list, and to join them once. The slope of
# 1 + w + w² + w³ at 0.5 is 1 + 1 + 0.75:


# %%
def decay_in_list(w):
    path = [torch.ones(())]
    for _ in range(3):
        path.append(path[-1] * w)
    return torch.stack(path).sum()


# %%
decay_in_list(w).backward()
assert w.grad == 2.75

# %% [markdown]
# Is there one counter for each storage, then? Here are sixteen ways to make `new` on
# the memory of `t`. (Arrays live on the CPU, so their row does, too.)

# %%
import copy

ways = ["t[1:]", "t.data[1:]", "t.view(2, 2).t()", "t.unsafe_chunk(2)[0]", "t.detach()"]
ways += ["t.unbind()[1]", "t.expand(3, 4)[0]", "t.view(torch.int32)", "nn.Parameter(t)"]
ways += ["t.data", "t.detach()[1:]", "torch.empty(0).set_(t.detach())", "t.chunk(2)[0]"]
ways += ["torch.from_numpy(t.detach().numpy())", "torch.from_dlpack(t.detach())"]
ways += ["copy.copy(t)"]


# %%
def write_through(code):
    device = "cpu" if "numpy" in code else pick_device()
    t = torch.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True, device=device).exp()
    new = eval(code, {"torch": torch, "nn": nn, "copy": copy, "t": t})
    new.detach().zero_()
    shared = bool((t == 0).any())
    return {"new =": code, "memory shared": shared, "write counted": t._version == 1}


# %% [markdown]
# We write through `new` and ask what `t` has counted. **Predict** the last column:

# %% tags=["predict"]
family = [write_through(code) for code in ways]
table(family)

# %% [markdown]
# A counter belongs to a family, and views, views of views, `detach` and `Parameter`
# stay in it. Six of our ways found a new family on the old memory, by `.data`, NumPy,
# DLPack, `set_` or Python's `copy`. The seventh, `unsafe_chunk`, earns its name:

# %%
apart = {row["new ="] for row in family if not row["write counted"]}
around = ["data", "unsafe", "set_", "numpy", "dlpack", "copy"]
assert apart == {code for code in ways if any(word in code for word in around)}
assert len(apart) == 7 and all(row["memory shared"] for row in family)

# %% [markdown]
# Nor does a counter stay with its memory. Give a tensor other numbers by assignment to
# `.data`, and its old views still share the counter, with nothing left to share:

# %%
t = torch.ones(4)
view = t[:]
t.data = torch.zeros(4)
t.add_(1)
assert not shares_storage(t, view) and t._version == view._version == 1

# %% [markdown]
# And tensors made in inference mode, a subject of
# [206](206_switching_gradients_off.ipynb), have no counter, so no node may save them:

# %%
with torch.inference_mode():
    t = torch.ones(2)
with expect_error(RuntimeError, "do not track version counter"):
    t._version
with expect_error(RuntimeError, "cannot be saved for backward", lines=1):
    torch.ones(2, requires_grad=True) * t

# %% [markdown]
# Here one write through `t[1:]` multiplied by 10, and five tensors were asked:

# %%
t = torch.tensor([1.0, 2.0, 3.0, 4.0])
heads = {"t": t, "t[1:]": t[1:], "t.detach()[:2]": t.detach()[:2]}
heads |= {"t.unsafe_chunk(2)[0]": t.unsafe_chunk(2)[0], "t.data": t.data}
t[1:].mul_(10)
assert [head._version for head in heads.values()] == [1, 1, 1, 0, 0]

# %%
figure, axes = canvas(7, 2.6)
for row, (name, head) in enumerate(heads.items()):
    colour = "#cfe4f3" if head._version else "#f7d3bf"
    for place, number in enumerate(head.tolist(), start=head.storage_offset()):
        axes.add_patch(Rectangle((place, row), 0.94, 0.8, facecolor=colour))
        axes.text(place + 0.47, row + 0.4, f"{number:g}", ha="center", va="center")
    axes.text(-0.2, row + 0.4, name, ha="right", va="center", family="monospace")
    axes.text(4.2, row + 0.4, f"_version {head._version}", va="center")
axes.set(xlim=(-2.6, 5.5), ylim=(5, -0.2))
axes.set_axis_off()
told = "One memory, three tensors that counted the write (blue), and two that did not."
said = ", ".join(
    f"{name} is at version {head._version}" for name, head in heads.items()
)
show(figure, told, f"Five tensors on one memory, drawn in their places: {said}.")

# %% [markdown]
# **Rule.** One counter for a tensor, its views and its detached tensors. Who shares the
# memory in another way may write unseen.
#
# What becomes of `backward` then is told in [204](204_detach_data_clone.ipynb).

# %% [markdown]
# ## When may you overwrite a result?
#
# Is a write lost to the graph, or is it a step of the calculation like others?
# **Predict** the gradient:

# %% tags=["predict"]
a = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
b = a * 2
b[0] = 0
b.sum().backward()
a.grad.tolist()

# %% [markdown]
# Torch knows that the first number of `b` no longer depends on `a`. The same tensor has
# got another node, with the old one behind it:

# %%
assert a.grad.tolist() == [0, 2, 2]
b = a * 2
first = b.grad_fn
b[0] = 0
assert b.grad_fn.name().endswith("CopySlices")
assert b.grad_fn.next_functions[0][0] is first

# %%
told = "A recorded write is a node: `b` is now the result of `CopySlices`."
draw.graph(b, caption=told, names={"a": a, "b": b}, gradients=True)

# %% [markdown]
# What do such nodes save? One that needs its result has it in place. One that
# needs its input is about to lose it.


# %%
def spare_copies(code):
    names = start()[1]
    y, seen = watched(lambda: eval(code, names))
    known = y, names["w"]
    return sum(not any(shares_storage(s, k) for k in known) for s in seen)


# %% [markdown]
# **Predict** which of these make a copy to save it:

# %% tags=["predict"]
codes = ["x.add_(1)", "x.mul_(2)", "x.exp_()", "x.relu_()", "x.sin_()", "x.mul_(w)"]
table([{"operation": code, "copies": spare_copies(code)} for code in codes])

# %% [markdown]
# `sin_` writes in place and clones its input first. Where `sin` makes one new tensor,
# the result, it makes one as well. Of these six, only the first four spare memory.

# %%
assert [spare_copies(code) for code in codes] == [0, 0, 0, 0, 1, 1]

# %% [markdown]
# The copy has its use. Two lines multiply the first number of `x` by one of `w`, by an
# operation in place, or by a product and an assignment:


# %%
def verdict(line):
    names = start()[1]
    exec(line, names)
    try:
        names["x"].sum().backward()
    except RuntimeError as error:
        return "refused" if "modified by an inplace" in str(error) else "other"
    return "accepted"


# %% [markdown]
# **Predict** which of the two `backward` refuses:

# %% tags=["predict"]
verdict("x[0] *= w[0]"), verdict("x[0] = x[0] * w[0]")

# %% [markdown]
# The product saves a view of `x`, and the assignment writes to the family. `*=` copies
# what it will overwrite. It can be fooled, though: if both factors are the same tensor,
# the second is saved as it is.

# %%
assert verdict("x[0] *= w[0]") == verdict("x *= w") == "accepted"
assert verdict("x[0] = x[0] * w[0]") == verdict("x *= x") == "refused"
assert verdict("x **= 2") == verdict("x[0] = x[0] + w[0]") == "accepted"

# %% [markdown]
# Layers offer all this as `nn.ReLU(inplace=True)`, which overwrites the result of the
# layer before it. So ask what that one saved:


# %%
def saves_result(layer, x):
    y, seen = watched(lambda: layer(x))
    return any(shares_storage(y, s) for s in seen)


# %%
def relu_after(layer, x):
    (right,) = torch.autograd.grad(layer(x).relu().sum(), x)
    loss = nn.ReLU(inplace=True)(layer(x)).sum()
    try:
        (got,) = torch.autograd.grad(loss, x)
    except RuntimeError as error:
        return "refused" if "modified by an inplace" in str(error) else "other"
    return "unharmed" if torch.allclose(got, right, atol=1e-5) else "wrong"


# %% [markdown]
# Ten layers, each followed by a ReLU that overwrites:

# %%
x = torch.linspace(-1, 1, 8).reshape(1, 2, 4).requires_grad_()
layers = [nn.Linear(4, 4), nn.Conv1d(2, 2, 1), nn.BatchNorm1d(2), nn.LayerNorm(4)]
layers += [nn.GELU(), nn.SiLU(), nn.ReLU(), nn.Sigmoid(), nn.Tanh(), nn.Softmax(-1)]
rows = [{"layer": type(layer).__name__} for layer in layers]
for row, layer in zip(rows, layers, strict=True):
    row |= {"result saved": saves_result(layer, x), "ReLU": relu_after(layer, x)}
table(rows)

# %%
assert [row["result saved"] for row in rows] == [False] * 6 + [True] * 4
assert [row["ReLU"] for row in rows] == ["unharmed"] * 6 + ["refused"] * 4

# %% [markdown]
# **Rule.** Overwrite a result if nobody saved it, and nobody else will read it.

# %% [markdown]
# ## Who guards what a hook keeps?
#
# `pack` may return anything of which `unpack` can make the tensor again. Here is a
# write to the saved result of `exp`, which would be refused, with hooks of your choice:


# %%
def with_hooks(pack, unpack=lambda kept: kept):
    a = torch.tensor([0.0, 1.0], requires_grad=True)
    with saved_tensors_hooks(pack, unpack):
        y = a.exp()
    y.detach().zero_()
    (slope,) = torch.autograd.grad(y.sum(), a)
    return [f"{number:.3g}" for number in slope.tolist()]


# %% [markdown]
# If `pack` returns a clone, the node has numbers of its own, and the write is harmless:

# %%
assert with_hooks(lambda t: t.clone()) == ["1", "2.72"]

# %% [markdown]
# Now two hooks that do nothing at all. **Predict** what comes back:

# %% tags=["predict"]
with_hooks(lambda t: t)

# %% [markdown]
# No error, and a wrong gradient. Torch cannot know what `pack` did, and with hooks it
# compares no versions. `save_on_cpu` is made of such hooks, and makes no copy of what
# is on the CPU already:

# %%
assert with_hooks(lambda t: t) == ["0", "0"]
a = torch.tensor([0.0, 1.0], requires_grad=True, device="cpu")
with torch.autograd.graph.save_on_cpu():
    y = a.exp()
y.detach().zero_()
y.sum().backward()
assert a.grad.tolist() == [0, 0]

# %% [markdown]
# With the guard away, we see that the loop with the buffer raised a false alarm:

# %%
w.grad = None
with saved_tensors_hooks(lambda t: t, lambda t: t):
    decay_in_buffer(w).backward()
assert w.grad == 2.75

# %% [markdown]
# A proof, not a cure: the next change to the loop may make it wrong in silence. Torch
# also has a block in which writes are allowed: they first save a copy for the node.
# We try it on the notes' example, where 3 and 5 are the slopes of the old `b`:

# %%
from torch.autograd.graph import allow_mutation_on_saved_tensors


def slopes_in(block, write):
    with block:
        a = torch.tensor([1.0, 3.0], requires_grad=True)
        b = a + 2
        loss = (b * b).mean()
        write(b)
        return torch.autograd.grad(loss, a)[0].tolist()


# %% [markdown]
# **Predict** the slopes after `b.zero_()`, after `b[0].zero_()` and after `b[1].zero_()`:

# %% tags=["predict"]
writes = [lambda b: b.zero_(), lambda b: b[0].zero_(), lambda b: b[1].zero_()]
[slopes_in(allow_mutation_on_saved_tensors(), write) for write in writes]

# %% [markdown]
# The last is wrong, in silence. The block looks for saved tensors by address, and
# `b[1]` begins at another. What protects from all these writes, and from NumPy's, is a
# `pack` that clones:

# %%
allowed = allow_mutation_on_saved_tensors
assert [slopes_in(allowed(), write) for write in writes] == [[3, 5], [3, 5], [3, 0]]
writes += [lambda b: b.data[1].zero_(), lambda b: b.detach().cpu().numpy().fill(0)]
for write in writes:
    hooks = saved_tensors_hooks(lambda t: t.clone(), lambda t: t)
    assert slopes_in(hooks, write) == [3, 5]

# %% [markdown]
# ## Where it goes wrong
#
# **A weight is set by hand.** You make a leaf that requires grad, and wish to change
# its numbers before it is ever used:

# %% tags=["claim:C291"]
w = torch.tensor([10.0, 5.0, 2.0, 3.0], requires_grad=True)
with expect_error(RuntimeError, "a leaf Variable that requires grad is being used"):
    w += 10
with expect_error(RuntimeError, "a leaf Variable that requires grad is being used"):
    w.add_(10)
with expect_error(RuntimeError, "a view of a leaf Variable that requires grad"):
    w[0] = 10

# %% [markdown]
# A recorded write, even through a view, would make the leaf a result. So write off the
# record. Each way of the notes leaves the tensor a leaf in its old place, and gives the
# slopes 2 * 10 / 4:


# %%
def under_no_grad(t):
    with torch.no_grad():
        t[:] = 10


# %% tags=["claim:C292"]
for change in (
    under_no_grad,
    lambda t: t.detach().fill_(10),
    lambda t: t.data.fill_(10),
):
    w = torch.tensor([10.0, 5.0, 2.0, 3.0], requires_grad=True)
    same, place = w, w.data_ptr()
    change(w)
    assert w is same and w.is_leaf and w.requires_grad and w.data_ptr() == place
    (w * w).mean().backward()
    assert w.grad.tolist() == [5, 5, 5, 5]

# %% [markdown]
# Elsewhere the notes have a law: leaves cannot be changed in place. But it binds only
# leaves that require grad, and only while recording is on. Optimizers live on that:

# %% tags=["claim:C453"]
plain, p = torch.ones(2), nn.Parameter(torch.ones(2))
plain += 1
p.sum().backward()
torch.optim.SGD([p], lr=0.5).step()
assert plain.is_leaf and plain.tolist() == [2, 2]
assert p.is_leaf and p.tolist() == [0.5, 0.5] and p._version == 1

# %% [markdown]
# **A step between two walks.** Two losses read one weight. The optimizer steps after
# the first:

# %%
p = nn.Parameter(torch.tensor([1.0, 2.0]))
first, second = (p**2).sum(), (p**3).sum()
first.backward()
torch.optim.SGD([p], lr=0.1).step()
with expect_error(RuntimeError, "is at version 1; expected version 0"):
    second.backward()

# %% [markdown]
# The refusal needs an optimizer whose writes are counted. We ask three, and again with
# `fused=True`, where one kernel updates all weights:


# %%
def second_after(kind, fused):
    p = nn.Parameter(torch.tensor([1.0, 2.0], device="cpu"))
    first, second = (p**2).sum(), (p**3).sum()
    first.backward()
    kind([p], lr=0.1, fused=fused).step()
    try:
        (got,) = torch.autograd.grad(second, p)
    except RuntimeError as error:
        return "refused" if "modified by an inplace" in str(error) else "other"
    return "wrong" if torch.allclose(got, 3 * p**2) else "right"


# %%
kinds = [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW]
assert {second_after(kind, fused=False) for kind in kinds} == {"refused"}
assert {second_after(kind, fused=True) for kind in kinds} == {"wrong"}

# %% [markdown]
# Fused steps go uncounted, and the slopes are those of the new weights. The cure: step
# after both walks, or compute the second loss after the step:

# %%
p.grad = None
(p**3).sum().backward()
assert torch.allclose(p, torch.tensor([0.8, 1.6])) and torch.allclose(p.grad, 3 * p**2)

# %% [markdown]
# That a leaf changed after use makes `backward` fail is in the notes, too. One adds
# that the graph remembers the address of the leaf. We change a `w` of 1 to 5 in three
# ways. The last gives it another memory:


# %%
def slope_after(change, f):
    w = torch.tensor([1.0], requires_grad=True)
    loss = f(w).sum()
    change(w)
    try:
        return torch.autograd.grad(loss, w)[0].item()
    except RuntimeError as error:
        return "refused" if "modified by an inplace" in str(error) else "other"


# %%
def move(w):
    w.data = torch.tensor([5.0])


# %% [markdown]
# **Predict** what becomes of the slope of w² in each case; 2 is right:

# %% tags=["predict"]
changes = [lambda w: w.detach().fill_(5), lambda w: w.data.fill_(5), move]
[slope_after(change, torch.square) for change in changes]

# %% [markdown]
# Counted writes are refused, uncounted ones are wrong in silence. In the third case,
# nothing at the old address was touched, and 10 comes out: the node holds the leaf, not
# its address. And if no leaf was saved, none of this matters:

# %% tags=["claim:C293", "claim:C455"]
assert [slope_after(change, torch.square) for change in changes] == ["refused", 10, 10]
assert slope_after(under_no_grad, torch.square) == "refused"
assert {slope_after(f, lambda w: w * 3) for f in (*changes, under_no_grad)} == {3}
w = torch.ones(1, requires_grad=True)
assert torch.square(w).grad_fn._saved_self is w

# %% [markdown]
# **The error names no line.** Here two lines write, and `backward` will fail:


# %%
def forward(a):
    b = a + 2
    loss = (b * b).mean()
    b[0] = 1000.0
    b.sub_(1)
    return loss


# %% [markdown]
# Anomaly detection (异常检测) records where each node was made, and reports it in a
# warning when one fails:

# %%
import inspect

with catch_warnings(record=True) as caught, torch.autograd.set_detect_anomaly(True):
    simplefilter("always")
    with expect_error(RuntimeError, "changed in there or anywhere later", lines=6):
        forward(torch.ones(2, requires_grad=True)).backward()
report = [line.strip() for w in caught for line in str(w.message).splitlines()]
source = [line.strip() for line in inspect.getsource(forward).splitlines()]
[line for line in report if "Error detected" in line or line in source]

# %% [markdown]
# Of the traceback we kept what stands in `forward`. It is the line that *saved*, and no
# line that wrote. The error admits as much in its end. To find the writes, read the
# counter:

# %%
assert [line for line in report if line in source] == ["loss = (b * b).mean()"]
lines = source[1:-1]
versions = watch(lines, "b", {"a": torch.ones(2, requires_grad=True)})
table([{"line": s, "b._version": n} for s, n in zip(lines, versions, strict=True)])

# %% [markdown]
# Both writes came after the product. Let them go to a copy:

# %%
assert versions == [0, 0, 1, 2]
a = torch.tensor([1.0, 3.0], requires_grad=True)
b = a + 2
loss, changed = (b * b).mean(), b.clone()
changed[0] = 1000.0
loss.backward()
assert a.grad.tolist() == [3, 5] and b.tolist() == [3, 5]

# %% [markdown]
# **A shortcut reads what was overwritten.** Nothing is refused here, for nobody had
# saved `x`. But `x +` waits for its second term, and that rewrites the first:

# %%
a = torch.tensor([-1.0, 2.0], requires_grad=True)
x, y = a * 1, a * 1
wrong, right = x + nn.ReLU(inplace=True)(x), y + nn.ReLU()(y)
assert wrong.tolist() == [0, 4] and right.tolist() == [-1, 4]

# %% [markdown]
# The symptom is a shortcut that never lets a negative number through, nor its slope:

# %%
assert torch.autograd.grad(wrong.sum(), a)[0].tolist() == [0, 2]
assert torch.autograd.grad(right.sum(), a)[0].tolist() == [1, 2]

# %% [markdown]
# No counter protects a forward pass.

# %% [markdown]
# ## In practice
#
# Write out of place by default. An underscore spares the memory of one result, and only
# where the operation needs no copy. Good places for it are updates under `no_grad`,
# and an in-place ReLU after a linear, convolution or normalisation layer.
#
# Met by the version error, read its two numbers first: they count the writes in
# between. Turn on anomaly detection for one batch to learn which line saved, then look
# for writes to that tensor, its views and its detached tensors. Turn it off again, for
# it keeps a record of every node. If the write is not yours to change, let a `pack`
# clone, and pay for the copies. No refusal is no proof: fused optimizers, `.data` and
# NumPy write uncounted.

# %% [markdown]
# ## Summary
#
# - As a rule, a call in place adds 1 to `_version`, whether numbers change or not;
#   `a[0] += 1` is two calls, `apply_` adds 0
#   ([counted](#What-does-the-counter-count?)).
# - A node saves its input, its result, both or neither, and `backward` refuses writes
#   to what was saved ([measured](#What-does-a-node-save?)).
# - Views and detached tensors share one counter; `.data`, NumPy, DLPack, `set_`,
#   `copy.copy` and `unsafe_chunk` share the memory alone; inference tensors have none
#   ([measured](#How-far-does-one-counter-reach?)).
# - A result may be overwritten if nobody saved it and nobody reads it again; `sin_` and
#   `mul_(w)` copy the input they need ([shown](#When-may-you-overwrite-a-result?)).
# - With hooks on saved tensors no versions are compared; safe is a `pack` that clones
#   ([shown](#Who-guards-what-a-hook-keeps?)).
# - Leaves are set under `no_grad`; a version error is cured by a copy, a list or
#   another order, after `_version` has told the line ([cured](#Where-it-goes-wrong)).

# %% [markdown]
# ## Exercises
#
# ### Exercise 205.1 · Four counters
# *predict · ●○○ · 4 minutes*
#
# ```python
# a = torch.zeros(4)
# b, c, d = a[1:], a.detach(), a.data
# b[0] = 1
# c += 2
# d.mul_(3)
# a[2] *= 4
# a = a + 5
# ```
#
# What are `[a._version, b._version, c._version, d._version]` now?

# %% tags=["exercise"]
answer = ...  # TODO: a list of four numbers

# %%
exercise("205.1").check(answer)

# %% [markdown]
# ### Exercise 205.2 · Which are refused?
# *predict · ●●○ · 6 minutes*
#
# Each program starts from a fresh `b = torch.tensor([1.0, 2.0], requires_grad=True) * 2`
# and ends with `y.sum().backward()`. Which are refused? Give their letters.
#
# **a** `y = b.exp()`, then `b += 1` **b** `y = b.exp()`, then `y.detach()[0] = 1`
# **c** `y = b[:1].log()`, then `b[1] = 5` **d** `y = b.log()`, then `b.data[0] = 5`
# **e** `y = (b + 1).log()`, then `b.zero_()` **f** `b += 1`, then `y = b * b`
# **g** `y = b.relu()`, then `y *= 2`

# %% tags=["exercise"]
answer = ...  # TODO: a list of letters, such as ["a", "b"]

# %%
exercise("205.2").check(answer)

# %% [markdown]
# ### Exercise 205.3 · What a chain keeps
# *measure · ●●○ · 6 minutes*
#
# `x` holds 1,000 numbers of float32 and requires grad. How many bytes of memory do all
# nodes of `(x.sin().exp() * 2 + 1).relu()` keep together for `backward`? Memory that
# two nodes save counts once. Guess from the table, then measure.

# %% tags=["exercise"]
answer = ...  # TODO: a number of bytes

# %%
exercise("205.3").check(answer)

# %% [markdown]
# ### Exercise 205.4 · Smooth, and differentiable
# *repair · ●●○ · 7 minutes*
#
# This function smooths the numbers of `x`: each result is `w` times the result before
# it, plus `1 - w` times the new number. The values are right; `backward` refuses.


# %% tags=["exercise"]
def smooth(x, w):
    state, out = x[0].clone(), [x[0]]
    for new in x[1:]:
        state.copy_(w * state + (1 - w) * new)  # TODO: repair
        out.append(state.clone())
    return torch.stack(out)


# %%
exercise("205.4").check(smooth)

# %% [markdown]
# ### Exercise 205.5 · How often does it write?
# *write · ●●○ · 6 minutes*
#
# Return how many in-place calls `f(x)` makes on the family of its argument. Afterwards
# the numbers of `x` must be what they were. `x` may require grad, and may have a
# history of writes.


# %% tags=["exercise"]
def writes(f, x):
    return ...  # TODO: a number


# %%
exercise("205.5").check(writes)

# %% [markdown]
# ### Exercise 205.6 · Half the memory
# *write · ●●● · 10 minutes*
#
# Return the gradient of `f(x).sum()` with respect to `x`, which requires grad, while
# floating-point tensors are kept for `backward` in `torch.float16`. Other tensors, such
# as indices, are kept as they are. Each must come back with the dtype that it had.
# Leave `x.grad` alone.


# %% tags=["exercise"]
def frugal_gradient(f, x):
    return ...  # TODO: pack, unpack, one walk


# %%
exercise("205.6").check(frugal_gradient)

# %% [markdown]
# ## Next
#
# [206 · Switching gradients off](206_switching_gradients_off.ipynb) turns to `no_grad`,
# and to what is gained where nothing is recorded and so nothing is saved.
#
# - [In-place correctness checks](https://docs.pytorch.org/docs/stable/notes/autograd.html#in-place-correctness-checks):
#   torch's own promise, in one paragraph.
# - [Hooks for saved tensors](https://docs.pytorch.org/tutorials/intermediate/autograd_saved_tensors_hooks_tutorial.html):
#   hooks that write to disk, and what `pack` must not do.
# - [Variable.data does not share version counters](https://github.com/pytorch/pytorch/issues/5396):
#   why `.data` was left as it is.
