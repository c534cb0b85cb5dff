# %% [markdown]
# # 203 · Higher derivatives
#
# Torch returns a slope as a number. Ask for the slope of that number, and it answers
# that there is none. Yet there are losses made of slopes, and step lengths that depend
# on curvature. When does torch record its own differentiating, what does the record
# cost, and who would notice if the result were wrong?

# %% [markdown]
# **You will be able to**
#
# - differentiate more than once, and choose between `retain_graph` and `create_graph`;
# - predict what two walks leave in `.grad`, cleared and not cleared;
# - check a derivative by finite differences, with a step length that you can defend;
# - carry a slope forwards with dual numbers, and choose between forward and reverse;
# - put a slope into a loss, and multiply by a Hessian that is too large to build.
#
# **You need** [201](201_gradients_and_graphs.ipynb) for graphs and walks, and
# [202](202_leaves_and_their_gradients.ipynb) for `torch.autograd.grad`.
# **Time** 60 minutes.

# %% tags=["setup"]
import warnings

import torch

from helpers import draw, exercise, expect_error, expect_warning, pick_device, table

torch.set_default_device(pick_device())
# While torch loads its forward mode, it warns of something old that it uses itself:
warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated")

# %% [markdown]
# ## Can a gradient have a gradient?
#
# From school, $z = x^2 y$ has the slope $2xy$ in $x$, which is 12 at $x = 2$, $y = 3$,
# and the second derivative (二阶导数) $2y$, which is 6. **Predict** the numbers that these
# two walks over one graph return, and which of them require grad:

# %% tags=["predict"]
x, y = torch.tensor(2.0, requires_grad=True), torch.tensor(3.0, requires_grad=True)
z = x * x * y
(retained,) = torch.autograd.grad(z, x, retain_graph=True)
(created,) = torch.autograd.grad(z, x, create_graph=True)
[(slope.item(), slope.requires_grad) for slope in (retained, created)]

# %% [markdown]
# One number, twice; only the second knows where it came from. `retain_graph` keeps what
# was recorded while `z` was computed. `create_graph` keeps that as well, and records
# the walk itself. The notes say that a second walk needs it, and it does:

# %% tags=["claim:C268"]
assert retained == created == 12 and not retained.requires_grad
with expect_error(RuntimeError, "does not have a grad_fn"):
    torch.autograd.grad(retained, x)
(second,) = torch.autograd.grad(created, x, retain_graph=True)
assert second == 6 and torch.autograd.grad(z, x)[0] == 12

# %% [markdown]
# What was recorded can be drawn. Behind `z` are two multiplications, behind its slope
# others, made by their rules:

# %%
told = "The graph of a slope: `x * x` led to `x` twice, so two products are added."
draw.graph(created, caption=told, names={"x": x, "y": y, "slope": created})

# %% [markdown]
# The notes' other example, a power, ends the same way. The second walk is not recorded,
# so the second derivative has no graph:

# %% tags=["claim:C447"]
x = torch.tensor([3.0], requires_grad=True)
first = torch.autograd.grad(torch.pow(x, 2), x, create_graph=True)
last = torch.autograd.grad(first[0], x)
assert first[0].tolist() == [6] and first[0].grad_fn.name() == "MulBackward0"
assert last[0].tolist() == [2] and last[0].grad_fn is None

# %% [markdown]
# Record each walk, and the next can start where it ended. These are higher derivatives
# (高阶导数) at many places at once; the sum makes a scalar of them:


# %%
def orders(f, x, n):
    """f and its first n derivatives at each x; f must work element by element."""
    x = x.detach().requires_grad_()
    found = [f(x)]
    for _ in range(n):
        found += torch.autograd.grad(found[-1].sum(), x, create_graph=True)
    return found


# %% [markdown]
# How large is such a graph? We count its nodes:


# %%
def nodes(tensor):
    """How many nodes there are in the graph behind a tensor."""
    found, waiting = set(), [tensor.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in found:
            found.add(node)
            waiting += [before for before, _ in node.next_functions]
    return len(found)


# %% [markdown]
# `exp`, `sin` and `tanh` are one operation each. **Predict** whose graph grows, order
# by order, up to the seventh derivative:

# %% tags=["predict"]
at = torch.tensor([0.5], dtype=torch.float64)
counts = {f.__name__: [] for f in (torch.exp, torch.sin, torch.tanh)}
for name, sizes in counts.items():
    sizes += [nodes(y) for y in orders(getattr(torch, name), at, 7)]
counts

# %% [markdown]
# `exp` is its own derivative, and torch's rule for it uses that. `sin` comes round
# again after four. But the second derivative of `tanh` is a product, $-2\tanh\tanh'$,
# whose slope has two terms, and so on: from here the graph more than doubles every
# time:

# %%
from itertools import pairwise

assert max(counts["exp"]) == 3 and max(counts["sin"]) == 4
late = counts["tanh"][2:]
assert all(after > 2 * before for before, after in pairwise(late))

# %%
from helpers import canvas, show

places = torch.linspace(-1, 3, 81, dtype=torch.float64)
figure, (left, right) = canvas(7, 2.6, cols=2)
for n, values in enumerate(orders(torch.tanh, places, 4)):
    rounded = [round(value, 3) for value in values.tolist()]
    left.plot(places.tolist(), rounded, label="tanh" if n == 0 else f"order {n}")
left.legend(fontsize=7, loc="lower right")
for name, marker in zip(counts, "os^", strict=True):
    right.semilogy(counts[name], marker + "-", label=name)
right.set(xlabel="order", ylabel="nodes in the graph")
right.legend()
told = "A harmless curve and its derivatives, and beside them what recording takes."
alt = "Derivatives of tanh swing to 4 and beyond; its graph grows from 2 to 550 nodes."
show(figure, told, alt)

# %% [markdown]
# **Rule.** A derivative is a calculation like any other. Torch records it if you say
# `create_graph=True`, and the record of a record can grow fast.

# %% [markdown]
# ## Do three ways give one answer?
#
# Besides `grad` after `grad`, the notes list three ways that involve `backward`. First:
# `grad`, then `backward`. **Predict** what the two leaves hold:


# %%
def fresh(a=2.0, b=3.0):
    x, y = torch.tensor(a, requires_grad=True), torch.tensor(b, requires_grad=True)
    return x, y, x * x * y


# %% tags=["predict"]
x, y, z = fresh()
(slope,) = torch.autograd.grad(z, x, create_graph=True)
slope.backward()
x.grad.item(), y.grad.item()

# %% [markdown]
# `x` has its 6. But `backward` serves every leaf behind `slope`, and `y` is one of
# them. Is its 4 the slope of `z`, which is $x^2$, or that of $2xy$, which is $2x$? At
# $x = 2$ nobody can tell, so we ask at 5:

# %% tags=["claim:C270"]
assert x.grad == 6 and y.grad == 4
x, y, z = fresh(a=5.0)
torch.autograd.grad(z, x, create_graph=True)[0].backward()
assert x.grad == 6 and y.grad == 2 * 5 != 5**2

# %% [markdown]
# It is the mixed derivative, in $x$ and then in $y$.
#
# Second way: `backward`, recorded, then `grad` of `x.grad`. It works, and torch
# protests:

# %% tags=["claim:C271"]
torch.set_warn_always(True)  # so that it also warns when you run this cell again
x, y, z = fresh()
with expect_warning(UserWarning, "reference cycle"):
    z.backward(create_graph=True)
assert x.grad == 12 and torch.autograd.grad(x.grad, x)[0] == 6
warnings.filterwarnings("ignore", "Using backward")  # once seen is enough

# %% [markdown]
# A cycle, because `x` holds `x.grad`, whose graph holds `x`. This drops every name,
# runs Python's garbage collector, and looks whether `x` still exists:

# %%
import gc
import weakref


def survives(walk):
    x = torch.tensor(2.0, requires_grad=True)
    walk(x)
    watch = weakref.ref(x)
    del x
    gc.collect()
    return watch() is not None


# %% [markdown]
# **Predict** which of three walks leaves an `x` behind that nobody can reach:


# %% tags=["predict"]
def cut(x):
    (x * x).backward(create_graph=True)
    x.grad = None


kept = {"grad": survives(lambda x: torch.autograd.grad(x * x, x, create_graph=True))}
kept["backward"] = survives(lambda x: (x * x).backward(create_graph=True))
kept["backward, then x.grad = None"] = survives(cut)
kept

# %% [markdown]
# The warning means it. Here `backward` leaks, unless you cut the cycle while you still
# can; `grad` has nothing to leak.

# %%
assert list(kept.values()) == [False, True, False]

# %% [markdown]
# Third way: two calls of `backward`. The second adds to what the first has left, unless
# we clear in between. **Predict** what `x.grad` is in the end, for three manners of
# clearing:


# %%
def twice(clear):
    x, _, z = fresh()
    z.backward(create_graph=True)
    clear(x.grad)
    x.grad.backward()
    return x.grad.item()


# %% tags=["predict"]
ends = {"not at all": twice(lambda grad: None)}
ends["grad.data.zero_()"] = twice(lambda grad: grad.data.zero_())
ends["grad.zero_()"] = twice(lambda grad: grad.zero_())
ends

# %% [markdown]
# 12 + 6 and 0 + 6, as the notes say. The third is the trap. `x.grad` is a recorded
# tensor here, so zeroing it is recorded, too; and the slope of a constant 0 is 0.
# `.data` goes behind the record's back, and so does `torch.no_grad()`:


# %% tags=["claim:C272"]
def unrecorded(grad):
    with torch.no_grad():
        grad.zero_()


assert list(ends.values()) == [18, 6, 0] and twice(unrecorded) == 6

# %% tags=["claim:C272"]
x, y, z = fresh()
z.backward(create_graph=True)
x.grad.data.zero_()
x.grad.backward()
assert x.grad == 6 and x.grad.grad_fn.name().endswith("CopyBackwards")

# %% [markdown]
# In the notes the three ways stand one below the other, after a single forward.
# **Predict** `x.grad` after the first, and after the `backward` of the second:

# %% tags=["predict"]
x, y, z = fresh()
torch.autograd.grad(z, x, create_graph=True)[0].backward()
after_first = x.grad.item()
z.backward(create_graph=True)
after_first, x.grad.item()

# %% [markdown]
# The 12 came on top of the 6, so `x.grad` is no longer the slope. Its derivative is
# still 6, because the old 6 has no graph: luck. In the third way one more walk over `z`
# succeeds. But `x.grad` is now the sum of two recorded walks, and the record of one is
# used up:

# %% tags=["claim:C273"]
assert after_first == 6 and x.grad == 18
assert torch.autograd.grad(x.grad, x)[0] == 6
z.backward(create_graph=True)
assert x.grad == 6 + 12 + 12
x.grad.data.zero_()
with expect_error(RuntimeError, "Trying to backward through the graph a second time"):
    x.grad.backward()

# %% [markdown]
# So the notes' block stops there. Retain that graph, and it is worse: no error, and not
# the 6 that they print. Zeroing the number left both slopes in the record:

# %%
x, y, z = fresh()
z.backward(create_graph=True)
torch.autograd.grad(x.grad, x, retain_graph=True)
z.backward(create_graph=True)
x.grad.data.zero_()
x.grad.backward()
assert x.grad == 6 + 6

# %% [markdown]
# **Rule.** For second derivatives prefer `torch.autograd.grad`: it returns what you
# asked for, adds nothing to a leaf, and leaks nothing.

# %% [markdown]
# ## Who checks the derivative?
#
# A referee must not use the rules of the player. Finite differences (有限差分) need only
# values: step forwards, step backwards, divide. Our test case has only products; at 1
# its slope is 5:


# %%
def quintic(x):
    return x * x * x * x * x


def central(f, x, h):
    return (f(x + h) - f(x - h)) / (2 * h)


# %% [markdown]
# In the limit of small `h` this *is* the derivative. We try 1, a tenth, a hundredth,
# down to $10^{-14}$. **Predict** at which power of ten the error is smallest:

# %% tags=["predict"]
h = torch.tensor([10.0**-power for power in range(15)], dtype=torch.float64)
one = torch.ones_like(h)
error = (central(quintic, one, h) - 5).abs()
error.argmin().item()

# %% [markdown]
# Far from the last. A long step is wrong where a curve bends more on one side than on
# the other: here by $10\,h^2$, so a tenth of `h` buys two digits. A short step is wrong
# since its two values agree in nearly all digits, and what is left is rounding, divided
# by `h`:

# %%
assert torch.allclose(error[2:5], 10 * h[2:5] ** 2, rtol=0.01)
assert central(lambda x: x * x, 1.0, 64.0) == 2  # bends alike: no step is too long
assert torch.allclose(quintic(1 + h[-1]), quintic(1 - h[-1]), rtol=1e-12)
assert error[-1] > 1e4 * error.min() and 3 <= error.argmin() <= 8
f"{error[1]:.0e}", f"{error[2]:.0e}", f"{error.min():.0e}", f"{error[-1]:.0e}"

# %% [markdown]
# The error is a valley. We draw it for two precisions, and for a difference that only
# steps forwards:


# %%
def magnitude(error):
    """The nearest power of ten; no error counts as the smallest of all."""
    return error.double().clamp(min=1e-16).log10().round().tolist()


one_sided = ((quintic(one + h) - quintic(one)) / h - 5).abs()
coarse = (central(quintic, one.float(), h.float()) - 5).abs()
figure, axes = canvas(7, 2.6)
axes.plot(magnitude(coarse), "s-", label="central, float32")
axes.plot(magnitude(one_sided), "^-", label="one-sided, float64")
axes.plot(magnitude(error), "o-", label="central, float64")
axes.set(xlabel="k, for a step h = 10 to the minus k", ylabel="error, power of ten")
axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
told = "Too long a step on the left, too short on the right, and a valley between."
alt = "Errors fall and rise again; central float64 is lowest, near 1e-10 at k = 6."
show(figure, told, alt)

# %% [markdown]
# Where do central differences do best here? Near the cube root of `eps`, the relative
# size of a rounding: about 6e-6 in float64. In float32 it is 5e-3, and their best is
# too poor for a referee:

# %%
for dtype, found in {torch.float64: error, torch.float32: coarse}.items():
    guess = torch.finfo(dtype).eps ** (1 / 3)
    assert guess / 10 < h[found.argmin()] < guess * 10
assert coarse.min() > 1e4 * error.min()

# %% [markdown]
# So for inputs around 1: float64, central, `h` near $10^{-5}$. With several inputs we
# step along each in turn, and every step gives one column:


# %%
def by_differences(f, x, h=1e-5):
    """The derivative of f at a vector x in float64: a column for each input."""
    steps = h * torch.eye(len(x), dtype=x.dtype)
    return torch.stack([(f(x + s) - f(x - s)) / (2 * h) for s in steps], dim=-1)


# %% [markdown]
# Was section one right? Each order must be the difference of the order before:

# %%
for n in range(4):
    judged = central(lambda x, n=n: orders(torch.tanh, x, n)[n], places, 1e-5)
    assert torch.allclose(judged, orders(torch.tanh, places, n + 1)[n + 1], atol=1e-7)

# %% [markdown]
# And does the referee whistle? A detached factor is a constant to the walk, though not
# to the value, so torch's slope of $x^2$ is half of it:


# %%
def half_detached(x):
    return x * x.detach()


two = torch.tensor([2.0], dtype=torch.float64)
assert orders(half_detached, two, 1)[1] == 2
assert torch.allclose(central(half_detached, two, 1e-5), 2 * two)

# %% [markdown]
# **Rule.** Finite differences are not exact, but they find a wrong slope. A smaller
# step need not be a better one. (Torch's own referee, `gradcheck`, is for
# [207](207_your_own_gradient.ipynb).)

# %% [markdown]
# ## Can the slope travel with the value?
#
# Differences fail because `h` is a number. Let it be a symbol: compute with
# $a + b\varepsilon$ and strike out $\varepsilon^2$. Then
# $(a + b\varepsilon)(c + d\varepsilon) = ac + (ad + bc)\,\varepsilon$, which is the
# product rule. These are dual numbers (对偶数):


# %%
class Dual:
    """A value and its slope, moving through a calculation together."""

    def __init__(self, value, slope):
        self.value, self.slope = value, slope

    def __add__(self, other):
        return Dual(self.value + other.value, self.slope + other.slope)

    def __mul__(self, other):
        changed = self.slope * other.value + self.value * other.slope
        return Dual(self.value * other.value, changed)


# %% [markdown]
# The slope of the input with respect to itself is 1:

# %%
result = quintic(Dual(1.0, 1.0))
assert (result.value, result.slope) == (1.0, 5.0)
result.value, result.slope

# %% [markdown]
# Exact, in one pass, with no step to choose and nothing to walk back. And nothing in
# the class says that its two parts are plain numbers. **Predict** the four that come
# out of a dual number of dual numbers:

# %% tags=["predict"]
result = quintic(Dual(Dual(1.0, 1.0), Dual(1.0, 0.0)))
inner, outer = result.value, result.slope
inner.value, inner.slope, outer.value, outer.slope

# %% [markdown]
# Value, slope, slope again, and the second derivative:

# %%
assert (inner.value, inner.slope, outer.value, outer.slope) == (1, 5, 5, 20)

# %% [markdown]
# Torch has these numbers, too. `make_dual` pairs a tensor with its slope, which is
# called a tangent (切向量), and operations carry the pair along. They need no graph, so
# `no_grad` cannot hinder them:

# %%
import torch.autograd.forward_ad as forward

at = torch.tensor(1.0, dtype=torch.float64)
with forward.dual_level():
    pair = forward.make_dual(at, torch.ones_like(at))
    assert quintic(pair).grad_fn is None
    with torch.no_grad():
        value, tangent = forward.unpack_dual(quintic(pair))
assert value == 1 and tangent == 5

# %% [markdown]
# This is forward mode (前向模式); `backward` is reverse mode (反向模式). With several
# inputs, the tangent says in which direction they move. The function `jvp` makes the
# pairs for you. **Predict** what comes back for these three outputs when only the first
# input moves:


# %%
from torch.func import jvp


def mixed(x):
    return torch.stack([x[0] * x[1], x[0] + x[1], x[0] ** 2])


# %% tags=["predict"]
x, first_moves = torch.tensor([1.0, 2.0]), torch.tensor([1.0, 0.0])
values, column = jvp(mixed, (x,), (first_moves,))
column.tolist()

# %% [markdown]
# A *column* of the table of slopes, the Jacobian (雅可比矩阵): what one input does to
# all outputs. `backward` gave a row of it in 201. Two columns make the table:

# %%
_, other = jvp(mixed, (x,), (torch.tensor([0.0, 1.0]),))
jacobian = torch.stack([column, other], dim=1)
assert column.tolist() == [2, 1, 2] and other.tolist() == [1, 1, 0]
judged = by_differences(mixed, x.double())
assert torch.allclose(judged, jacobian.double(), atol=1e-8)

# %% [markdown]
# **Rule.** Forward mode answers "what does this input do?", reverse mode "who did this
# to the output?".

# %% [markdown]
# ## Row by row, or column by column?
#
# `torch.func` holds functions that take a function and return its derivative. No leaf,
# no `.grad`, nothing to clear. Six times in a row; **predict** the list:

# %%
from torch.func import grad, hessian, jacfwd, jacrev, vmap

# %% tags=["predict"]
derivative, found = quintic, []
for _ in range(6):
    derivative = grad(derivative)
    found.append(derivative(at).item())
found

# %% [markdown]
# Down to a slope of zero, without an error. `grad` wants one number out; for many
# places at once, `vmap` turns a function of one into a function of a batch:

# %%
assert found == [5, 20, 60, 120, 120, 0] and at.grad is None
with expect_error(RuntimeError, "return a scalar Tensor"):
    grad(quintic)(torch.tensor([1.0, 2.0]))
assert vmap(grad(quintic))(torch.tensor([1.0, 2.0])).tolist() == [5.0, 80.0]

# %% [markdown]
# `in_dims` says which arguments come as a batch. So each example gets a gradient of its
# own. Their mean is the usual one:

# %%
data, goals = torch.arange(1.0, 9.0).reshape(4, 2), torch.ones(4)
weight = torch.tensor([1.0, 1.0])


def miss(weight, example, goal):
    return (example @ weight - goal) ** 2


# %%
each = vmap(grad(miss), in_dims=(None, 0, 0))(weight, data, goals)
usual = grad(lambda w: ((data @ w - goals) ** 2).mean())(weight)
alone = [grad(miss)(weight, *pair) for pair in zip(data, goals, strict=True)]
assert torch.allclose(each, torch.stack(alone))
assert torch.allclose(each.mean(0), usual)
each.tolist()

# %% [markdown]
# `jacrev` makes the whole Jacobian by rows, `jacfwd` by columns. The results agree, the
# bills need not. Here is a counter of the arithmetic in matrix products, and a function
# with two of them:

# %%
from torch.utils.flop_counter import FlopCounterMode


def cost(f, x):
    with FlopCounterMode(display=False) as counter:
        f(x)
    return counter.get_total_flops()


def mixer(inputs, outputs):
    a, b = torch.ones(inputs, 20), torch.ones(20, outputs)
    return lambda x: (x @ a / inputs).tanh() @ b


assert cost(mixer(2, 50), torch.ones(1, 2)) == 2 * (2 * 20 + 20 * 50)

# %% [markdown]
# **Predict** which is the cheap one for two inputs and fifty outputs, and which for the
# opposite. The bill is in calls of the function:

# %% tags=["predict"]
rows, bills = [], []
for inputs, outputs in ((2, 50), (50, 2)):
    f, x = mixer(inputs, outputs), torch.ones(1, inputs)
    bill = [cost(tool(f), x) / cost(f, x) for tool in (jacrev, jacfwd)]
    bills.append(bill)
    row = {"inputs": inputs, "outputs": outputs}
    rows.append(row | {"jacrev": f"{bill[0]:.3g}", "jacfwd": f"{bill[1]:.3g}"})
table(rows)

# %% [markdown]
# One run forward and one row for each output, or about one column for each input. Fewer
# of them is cheaper. A loss has a single output, so its gradient is a single row:

# %%
assert bills[0][0] == 51 and bills[1][0] == 3
assert bills[0][1] < 6 and bills[1][1] > 45
assert torch.allclose(jacrev(f)(x), jacfwd(f)(x))
assert cost(grad(lambda x: f(x).sum()), x) / cost(f, x) == 2

# %% [markdown]
# The Jacobian of a gradient is the table of all second derivatives, the Hessian (海森矩阵).
# `hessian` takes the columns of the rows. A banana-shaped valley, judged at its lowest
# point:


# %%
def banana(w):
    return (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2


# %%
lowest = torch.ones(2, dtype=torch.float64)
bends = hessian(banana)(lowest)
judged = by_differences(grad(banana), lowest)
assert bends.tolist() == [[802, -400], [-400, 200]]
assert torch.equal(bends, jacfwd(jacrev(banana))(lowest))
assert torch.allclose(judged, bends, rtol=1e-6)
bends.tolist()

# %% [markdown]
# Its eigenvalues are the curvatures (曲率) in the flattest and in the steepest direction,
# here along the valley and across it:

# %%
along, across = torch.linalg.eigvalsh(bends)
valley = torch.tensor([1.0, 2.0]).double() / 5**0.5  # w[1] = w[0] ** 2, seen from 1
assert torch.isclose(valley @ bends @ valley, along, rtol=0.01)
assert 2000 < across / along < 3000
f"{across / along:.2g}"

# %% [markdown]
# **Rule.** Many inputs and few outputs: reverse. Few inputs and many outputs: forward.

# %% [markdown]
# ## What are second derivatives good for?
#
# First, for what a Hessian *does*. The Hessian-vector product (海森-向量积) says how
# the gradient changes along `v`: forward mode through a gradient. No table is made.
# **Predict** how its bill, in calls of the function, grows with the number of inputs:


# %%
def hvp(f, w, v):
    return jvp(grad(f), (w,), (v,))[1]


# %% tags=["predict"]
def bills_of(inputs):
    """Of a product and of the whole Hessian, in calls of the function."""
    f, x = mixer(inputs, 2), torch.ones(1, inputs)

    def total(x):
        return (f(x) ** 2).sum()

    product, whole = cost(lambda x: hvp(total, x, x), x), cost(hessian(total), x)
    return {"product": product / cost(f, x), "Hessian": whole / cost(f, x)}


rows = [{"inputs": inputs} | bills_of(inputs) for inputs in (5, 50, 500)]
table([{k: f"{v:.4g}" for k, v in row.items()} for row in rows])

# %% [markdown]
# Not at all. So it also runs for a million inputs, whose Hessian would fill four
# terabytes:

# %%
assert [row["product"] for row in rows] == [6, 6, 6]
assert rows[2]["Hessian"] > 1000


# %%
def chain(w):
    return ((w[1:] - w[:-1] ** 2) ** 2).sum()


few, many = torch.ones(5), torch.ones(1_000_000)
assert torch.equal(hvp(chain, few, few), hessian(chain)(few) @ few)
product = hvp(chain, many, many)
assert many.numel() ** 2 * many.element_size() == 4 * 10**12
assert product[0] == 4 and (product[1:-1] == 2).all() and product[-1] == -2

# %% [markdown]
# Second, a slope may be part of a loss. Suppose that a score, where it rises most
# steeply, is to rise as fast as its input moves: then its slope has length 1. A
# gradient penalty (梯度惩罚) is the squared distance from that. For `w @ x` the slope in
# `x` is `w`, here of length 5, and the penalty is $(5 - 1)^2$. **Predict** the signs of
# `w.grad`: is `w` to grow or to shrink?

# %% tags=["predict"]
w = torch.tensor([3.0, 4.0], requires_grad=True)
x = torch.tensor([1.0, -2.0], requires_grad=True)
(slope,) = torch.autograd.grad(w @ x, x, create_graph=True)
penalty = (slope.norm() - 1) ** 2
penalty.backward()
penalty.item(), [f"{g:.3g}" for g in w.grad.tolist()]

# %% [markdown]
# Downhill is against the gradient, so `w` shrinks: a tenth of the gradient takes it
# from length 5 to 4.2.

# %%
by_hand = 2 * (5 - 1) * w.detach() / 5
assert torch.allclose(w.grad, by_hand)
after = (w - 0.1 * w.grad).norm()
assert torch.isclose(after, torch.tensor(4.2))

# %% [markdown]
# Third, both together. Wanted is a curve that starts at 1 and whose slope is minus its
# height. We take a polynomial of six coefficients, all zero, and a loss that says so
# and names no other point of the curve:


# %%
def curve(w, x):
    height = 0.0
    for coefficient in w.flip(0):
        height = height * x + coefficient
    return height


# %%
slopes = vmap(grad(curve, argnums=1), in_dims=(None, 0))
spots = torch.linspace(0, 1, 20, dtype=torch.float64)


def loss(w):
    return ((slopes(w, spots) + curve(w, spots)) ** 2).mean() + (curve(w, 0.0) - 1) ** 2


# %% [markdown]
# This loss is quadratic in `w`, so one step of Newton's method (牛顿法), gradient divided
# by curvature, is enough. **Predict** the first three coefficients (which curve is
# it?):

# %% tags=["predict"]
start = torch.zeros(6, dtype=torch.float64)
found = start - torch.linalg.solve(hessian(loss)(start), grad(loss)(start))
[f"{c:.2g}" for c in found.tolist()]

# %% [markdown]
# The curve is $e^{-x}$, and the first four coefficients are nearly those of its series,
# 1, -1, 1/2, -1/6. The last two make up for the terms left out.

# %%
assert (curve(found, spots) - torch.exp(-spots)).abs().max() < 1e-5
series = torch.tensor([1, -1, 1 / 2, -1 / 6, 1 / 24, -1 / 120]).double()
assert ((found / series - 1).abs() < 0.03).tolist() == [True] * 4 + [False] * 2

# %% [markdown]
# Plain gradient descent must live with the largest curvature: on a quadratic loss, a
# step above 2 divided by it overshoots by more than it gains. To find it we need no
# Hessian. Multiply again and again, and the steepest direction takes over (power
# iteration, 幂迭代):


# %%
def largest_curvature(f, w, rounds=30):
    """Of a loss that nowhere bends downwards; power iteration sees no signs."""
    v = torch.ones_like(w)
    for _ in range(rounds):
        v = hvp(f, w, v / v.norm())
    return v.norm()


# %%
limit = 2 / largest_curvature(loss, start)
assert torch.allclose(limit, 2 / torch.linalg.eigvalsh(hessian(loss)(start))[-1])

# %% [markdown]
# Five percent below that limit, and above:


# %%
def descent(step, rounds=60):
    w, losses = start, []
    for _ in range(rounds):
        losses.append(loss(w).log10().item())
        w = w - step * grad(loss)(w)
    return losses


# %%
below, above = descent(0.95 * limit), descent(1.05 * limit)
assert all(later < now for now, later in pairwise(below)) and below[-1] < -1.5
assert above[10] < above[0] < above[-1] - 1

# %% [markdown]
# At first both fall. Then one of them rises:

# %%
figure, (left, right) = canvas(7, 2.6, cols=2)
for style, heights in {".": torch.exp(-spots), "-": curve(found, spots)}.items():
    rounded = [round(height, 3) for height in heights.tolist()]
    left.plot(spots.tolist(), rounded, style)
left.legend(["exp(-x)", "found"])
left.set(xlabel="x")
right.plot([round(v, 2) for v in below], label="5 % below the limit")
right.plot([round(v, 2) for v in above], label="5 % above the limit")
floor = round(loss(found).log10().item())
right.axhline(floor, linestyle=":", color="#009e73", label="one Newton step")
right.set(xlabel="step", ylabel="loss, power of ten")
right.legend(fontsize=7)
told = "One Newton step meets a curve it never saw; for descent, five percent decide."
alt = "The found line runs through the dots; only above the limit does descent turn up."
show(figure, told, alt)

# %% [markdown]
# **Rule.** A slope in a loss needs a recorded slope. Of a Hessian, ask for products.

# %% [markdown]
# ## Where it goes wrong
#
# **A penalty that pulls at nothing.** Forget `create_graph`, and no error comes, since
# the loss itself requires grad. The penalty is added as a constant:


# %%
def pull(create):
    w = torch.tensor([3.0, 4.0], requires_grad=True)
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    score = w @ x
    (slope,) = torch.autograd.grad(score, x, retain_graph=True, create_graph=create)
    (score**2 + (slope.norm() - 1) ** 2).backward()
    return w.grad.tolist()


# %%
wrong, right = pull(create=False), pull(create=True)
assert wrong == [-10, 20]
assert torch.allclose(torch.tensor(right), torch.tensor([-5.2, 26.4]))

# %% [markdown]
# The wrong gradient is that of `score**2` alone.
#
# **No graph, although you asked.** The slope of `3 * x` is the number 3: nothing is
# recorded, and the message is that of section one. The slope of `y * x` is recorded,
# but leads to `y` alone. `torch.func` answers 0 both times:

# %%
x = torch.tensor(2.0, requires_grad=True)
(slope,) = torch.autograd.grad(3 * x, x, create_graph=True)
with expect_error(RuntimeError, "does not have a grad_fn"):
    torch.autograd.grad(slope, x)
y = torch.tensor(3.0, requires_grad=True)
(slope,) = torch.autograd.grad(y * x, x, create_graph=True)
assert slope.requires_grad
assert torch.autograd.grad(slope, x, allow_unused=True)[0] is None
assert grad(grad(lambda x: 3 * x))(x) == grad(grad(lambda x: y * x))(x) == 0

# %% [markdown]
# **Curvature of a network of straight pieces.** ReLU is a line on either side of its
# kink. Torch finds no curvature there, nor at the kink, so a loss made of it moves no
# weight. `tanh` has some to offer:


# %%
def curved(w, act):
    second = vmap(grad(grad(lambda x: (w * act(w * x)).sum())))
    return (second(torch.linspace(-2, 2, 9)) ** 2).mean()


w = torch.tensor([0.5, -1.0, 2.0])
assert curved(w, torch.relu) == 0 < curved(w, torch.tanh)
assert (grad(curved)(w, torch.relu) == 0).all()
assert (grad(curved)(w, torch.tanh) != 0).all()

# %% [markdown]
# **The root of nothing.** Where the slope is zero, its length has a corner, and the
# root written out gives NaN (不是数字). `norm` chooses 0; a penalty on the square has no
# corner:

# %%
flat = torch.zeros(2)
assert grad(lambda s: (s**2).sum().sqrt())(flat).isnan().all()
assert grad(lambda s: s.norm())(flat).tolist() == [0, 0]
assert grad(lambda s: (s**2).sum())(flat).tolist() == [0, 0]

# %% [markdown]
# ## In practice
#
# In a training loop, say `create_graph=True` only for the slope that enters the loss,
# assert that it requires grad, and call one `backward` at the end. Where curvature
# enters, take smooth activations.
#
# Do not believe a derivative of your own making before finite differences in float64
# have agreed, at an odd point: at $x = 2$, $2x$ and $x^2$ looked the same.

# %% [markdown]
# ## Summary
#
# - `retain_graph` keeps the graph of the value, `create_graph` makes one of the slope;
#   it can grow with each order ([shown](#Can-a-gradient-have-a-gradient?)).
# - Walks add up in `.grad`, in number and in record; `backward(create_graph=True)`
#   leaks a leaf, `autograd.grad` does not ([tried](#Do-three-ways-give-one-answer?)).
# - Central differences were best near the cube root of `eps`; a short step is worse
#   ([measured](#Who-checks-the-derivative?)).
# - Dual numbers carry slopes forwards, one direction at a time; reverse mode serves one
#   output at a time ([built](#Can-the-slope-travel-with-the-value?),
#   [billed](#Row-by-row,-or-column-by-column?)).
# - A recorded slope can be trained on, and a Hessian-vector product costs the same
#   multiple of a call for 5 inputs as for 500
#   ([shown](#What-are-second-derivatives-good-for?)).

# %% [markdown]
# ## Exercises
#
# ### Exercise 203.1 · Who receives what?
# *predict · ●●○ · 5 minutes*
#
# ```python
# x = torch.tensor(3.0, requires_grad=True)
# y = torch.tensor(2.0, requires_grad=True)
# (slope,) = torch.autograd.grad(x * x * y, x, create_graph=True)
# (slope * y).backward()
# ```
#
# What are `x.grad` and `y.grad`? Work it out on paper.

# %% tags=["exercise"]
answer = ...  # TODO: a pair of numbers, first for x, then for y

# %%
exercise("203.1").check(answer)

# %% [markdown]
# ### Exercise 203.2 · Once more?
# *predict · ●●○ · 5 minutes*
#
# Let `x = torch.tensor(2.0, requires_grad=True)`, and for each `y` below
# `(slope,) = torch.autograd.grad(y, x, create_graph=True)`. For which of them does
# `torch.autograd.grad(slope, x)` return a number, where the others raise an error?
#
# **a** `x * x`, **b** `5 * x + 1`, **c** `x.exp()`, **d** `x * x.detach()`,
# **e** `x.detach() * x * x`, **f** `x - x.sin()`

# %% tags=["exercise"]
answer = ...  # TODO: a list of letters, such as ["a", "b"]

# %%
exercise("203.2").check(answer)

# %% [markdown]
# ### Exercise 203.3 · The penalty that never worked
# *repair · ●●○ · 8 minutes*
#
# This penalty is the mean, over a batch of inputs, of the squared length of the slope
# of `f`. Its value is right. But trained on, it has no effect on what `f` is made of;
# and once that is repaired, it sometimes yields NaN. `f` takes a batch of rows and
# returns one number for each.


# %% tags=["exercise"]
def slope_penalty(f, x):
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(f(x).sum(), x)  # TODO: repair; see also below
    length = (slope**2).sum(dim=1).sqrt()
    return (length**2).mean()


# %%
exercise("203.3").check(slope_penalty)

# %% [markdown]
# ### Exercise 203.4 · Bent along a line
# *write · ●●○ · 10 minutes*
#
# Walk from `x` in the direction `v`: after time `t` you are at `x + t * v`. Write a
# function that returns the second derivative of `f(x + t * v)` in `t`, at `t = 0`. `f`
# takes a vector and returns a scalar; it may also be a straight line.


# %% tags=["exercise"]
def bend(f, x, v):
    return ...  # TODO: a scalar tensor


# %%
exercise("203.4").check(bend)

# %% [markdown]
# ### Exercise 203.5 · The longest stride
# *measure · ●●○ · 6 minutes*
#
# For this loss, find the step length above which plain gradient descent moves away from
# the minimum instead of towards it. Three digits are enough.
#
# ```python
# def squares(w):
#     return (w[0] + 2 * w[1]) ** 2 + (w[1] - 3 * w[2]) ** 2 + w[2] ** 2
# ```

# %% tags=["exercise"]
answer = ...  # TODO: a number

# %%
exercise("203.5").check(answer)

# %% [markdown]
# ### Exercise 203.6 · A series of your own
# *write · ●●● · 12 minutes*
#
# Write a function that returns the first `n` coefficients of the Taylor series of `f`
# around `at`, a scalar tensor: coefficient `k` is the derivative of order `k` at `at`,
# divided by `k` factorial. Return a tensor of shape `(n,)`. Polynomials count as
# functions, too.


# %% tags=["exercise"]
def taylor(f, at, n):
    return ...  # TODO: f(at), its slope, half its second derivative, ...


# %%
exercise("203.6").check(taylor)

# %% [markdown]
# ## Next
#
# [204 · Detach, data and clone](204_detach_data_clone.ipynb) asks what `.data` and
# `detach` cut, and what they leave tied.
#
# - [torch.func](https://docs.pytorch.org/docs/stable/func.html): all transforms, and
#   what they do not allow inside a function.
# - [The autodiff cookbook](https://docs.jax.dev/en/latest/notebooks/autodiff_cookbook.html):
#   Jacobians and Hessians both ways, in the library that `torch.func` is modelled on.
