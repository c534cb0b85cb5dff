# %% [markdown]
# # 107 · Elementwise operations and order
#
# What is 2.5, rounded? How many times does a tenth fit into one? Which is the smallest
# of four readings if one of them is broken? School has an answer to each, and torch,
# for good reasons, has another. Code that follows the school's answer runs without an
# error.

# %% [markdown]
# **You will be able to**
#
# - predict what `floor`, `ceil`, `trunc`, `frac` and `round` make of halves and
#   negatives;
# - choose between `fmod` and `remainder`, and between the rounding modes of `div`;
# - say through which elements a slope passes `clamp`;
# - predict what NaN does to a comparison, a maximum and a sort;
# - compare floats with `isclose`, and sort so that ties keep their order.
#
# **You need** [101](101_creating_tensors.ipynb) for making tensors and
# [102](102_dtype_device_and_printing.ipynb) for their dtypes. **Time** 45 minutes.

# %% tags=["setup"]
from math import inf, nan

import torch

from helpers import canvas, draw, exercise, expect_error, pick_device, show, table
from helpers.figures import BLUE, GREEN, ORANGE, QUIET, RED

torch.set_default_device(pick_device())

# %% [markdown]
# ## Which whole number?
#
# An elementwise operation (逐元素运算) computes each element of its result from the elements
# in the same place of its arguments. Three of these operations make 1.7 and -1.7 whole.
# **Predict** the six numbers:

# %% tags=["predict"]
x = torch.tensor([1.7, -1.7])
{"floor": x.floor().tolist(), "ceil": x.ceil().tolist(), "trunc": x.trunc().tolist()}

# %% [markdown]
# Down, up, and towards zero. What `trunc` cuts off is what `frac` keeps, with its sign:

# %% tags=["claim:C436"]
assert x.floor().tolist() == [1, -2] and x.ceil().tolist() == [2, -1]
assert x.trunc().tolist() == [1, -1]
assert torch.equal(x.frac(), x - x.trunc())
[f"{part:.3g}" for part in x.frac().tolist()]

# %% [markdown]
# For `round`, the notes (the study notes from which this book grew) give the school
# rule (四舍五入): to the nearest, halves up. **Predict** these six:

# %% tags=["predict"]
halves = torch.tensor([-1.5, -0.5, 0.5, 1.5, 2.5, 3.5])
halves.round().tolist()

# %% [markdown]
# None of these halves goes to an odd number (and -0.0 is a zero that keeps a sign; the
# two zeros are equal). What the notes say of `ceil`, `floor` and `trunc` holds, but a
# half goes to the even neighbour (四舍六入五成双):

# %% tags=["claim:C120", "claim:C437"]
assert halves.round().tolist() == [-2, 0, 0, 2, 2, 4]
many = torch.arange(-1000, 1000) + 0.5
assert (many.round() % 2 == 0).all() and ((many.round() - many).abs() == 0.5).all()
assert (many.ceil() - many == 0.5).all() and (many - many.floor() == 0.5).all()
assert (many.abs() - many.trunc().abs() == 0.5).all()

# %%
fig, ax = canvas(7, 1.5)
ax.plot([-2.3, 4.3], [0, 0], color=QUIET, linewidth=1)
ax.plot(range(-2, 5), [0] * 7, "o", color=BLUE)
for half, to in zip(halves.tolist(), halves.round().tolist(), strict=True):
    bend = f"arc3,rad={-0.6 if to > half else 0.6}"
    arrow = {"arrowstyle": "-|>", "color": RED, "connectionstyle": bend}
    ax.annotate("", (to, 0.15), (half, 0.05), arrowprops=arrow)
    ax.text(half, -0.4, f"{half:g}", ha="center", color=RED)
ax.set(ylim=(-0.5, 0.9), yticks=[], xticks=range(-2, 5))
ax.spines["left"].set_visible(False)
told = "A number line from -2 to 4; arrows lead from six halves to even whole numbers."
show(fig, "Each half jumps to the even whole number beside it.", told)

# %% [markdown]
# Why not up? Because then every half errs in the same direction, and a sum of many
# drifts. Half to even errs both ways. A thousand halves, and their mean error:

# %%
prices = torch.arange(1000) + 0.5
fair, school = prices.round() - prices, (prices + 0.5).floor() - prices
assert fair.mean() == 0 and school.mean() == 0.5
fair.mean().item(), school.mean().item()

# %% [markdown]
# All four side by side, each dot a value at a multiple of one half. The line is the
# same function, asked at 1,281 points:

# %%
steps, dense = torch.arange(-5, 6) / 2, torch.arange(-640, 641) / 256
fig, axes = canvas(7.4, 2.3, 1, 4, sharey=True)
four = (torch.floor, torch.ceil, torch.trunc, torch.round)
for ax, f in zip(axes, four, strict=True):
    ax.plot(dense.tolist(), f(dense).tolist(), ".", markersize=1.5, color=QUIET)
    ax.plot(steps.tolist(), f(steps).tolist(), "o", markersize=4, color=BLUE)
    ax.set(title=f.__name__, xticks=range(-2, 3), yticks=range(-3, 4))
told = "Four staircases: floor, ceil, trunc with a double tread at zero, and round."
show(fig, "Four staircases; the dots show to which tread a jump belongs.", told)

# %% [markdown]
# Read off `round`: the dots at -2.5 and -1.5 stand on one tread, at -2. `trunc` has one
# tread of double length, around zero. Converting to `int64` cuts in the same way:

# %%
assert torch.equal(dense.long(), dense.trunc().long())
torch.tensor([1.7, -1.7, 2.9]).long().tolist()

# %% [markdown]
# `round` can keep decimals, again with halves to the even digit; negative decimals
# round to tens:

# %%
cents = torch.tensor([0.125, 0.375]).round(decimals=2)
assert [f"{c:.3g}" for c in cents.tolist()] == ["0.12", "0.38"]
assert torch.tensor([25.0, 35.0]).round(decimals=-1).tolist() == [20, 40]

# %% [markdown]
# **Rule.** `floor` goes down, `ceil` up, `trunc` towards zero, `round` to the nearest,
# and from a half to the even one.

# %% [markdown]
# ## What is left over?
#
# The notes list `div` for division (除法) and `fmod` for the remainder (求余). In both
# cases there is more than one. **Predict** three quotients of -7 and 7:

# %% tags=["predict"]
a = torch.tensor([-7, 7])
(a / 2).tolist(), (a // 2).tolist(), torch.div(a, 2, rounding_mode="trunc").tolist()

# %% [markdown]
# Integers divide to floats. `//` rounds down and `rounding_mode="trunc"` towards zero;
# these two stay integers:

# %% tags=["claim:C119"]
assert (a / 2).tolist() == [-3.5, 3.5] and (a / 2).is_floating_point()
assert torch.div(a, 2, rounding_mode="floor").tolist() == (a // 2).tolist() == [-4, 3]
assert torch.div(a, 2, rounding_mode="trunc").tolist() == [-3, 3]
assert (a // 2).dtype == torch.div(a, 2, rounding_mode="trunc").dtype == torch.int64

# %% [markdown]
# If -7 divided by 3 may be -2 or -3, then what is left over may be -1 or 2. **Predict**
# which operation gives which:

# %% tags=["predict"]
torch.fmod(a, 3).tolist(), torch.remainder(a, 3).tolist(), (a % 3).tolist()

# %% [markdown]
# `fmod` takes the sign of the dividend, `remainder` and `%` that of the divisor. Each
# belongs to one way of dividing: quotient times divisor plus remainder must give the
# number back. We let 25 numbers, as a column, meet eight divisors (each meets each;
# [106](106_broadcasting.ipynb) explains why):

# %% tags=["claim:C118"]
n, d = torch.arange(-12, 13).unsqueeze(1), torch.tensor([-5, -3, -2, -1, 1, 2, 3, 5])
down, cut = (torch.div(n, d, rounding_mode=mode) for mode in ("floor", "trunc"))
assert torch.equal(down * d + torch.remainder(n, d), n.expand(25, 8))
assert torch.equal(cut * d + torch.fmod(n, d), n.expand(25, 8))
assert (torch.remainder(n, d) * d >= 0).all() and (torch.fmod(n, d) * n >= 0).all()
assert torch.equal(torch.remainder(n + d, d), torch.remainder(n, d))
assert torch.fmod(a, 3).tolist() == [-1, 1] and (a % 3).tolist() == [2, 1]

# %%
dense, whole = torch.arange(-448, 449) / 64, torch.arange(-7, 8)
fig, axes = canvas(7.4, 2.2, 1, 2, sharey=True)
for ax, f in zip(axes, (torch.fmod, torch.remainder), strict=True):
    ax.plot(dense.tolist(), f(dense, 3).tolist(), ".", markersize=1.5, color=QUIET)
    ax.plot(whole.tolist(), f(whole, 3).tolist(), "o", markersize=4, color=BLUE)
    ax.set(title=f"{f.__name__}(x, 3)", xticks=range(-6, 7, 3), xlabel="x")
told = "Two saw-tooth curves; left of 0, fmod lies below the axis, remainder above."
show(fig, "`fmod` has the sign of `x`; `remainder` repeats every 3.", told)

# %% [markdown]
# For hours, angles or places on a ring, you want the one that repeats.
#
# Now floats. How many times does a tenth fit into one? **Predict**:

# %% tags=["predict"]
one, tenth = torch.tensor(1.0), torch.tensor(0.1)
modes = ("floor", "trunc")
[torch.div(one, tenth, rounding_mode=mode).item() for mode in modes]

# %% [markdown]
# Two answers for one positive quotient. The `float32` next to 0.1 is a little too
# large. In `float64`, which holds both exactly, nine of it fit into one, with a rest.
# But the `float32` quotient is rounded, to 10, before `trunc` or `floor()` sees it:

# %%
rest = (one % tenth).double()
assert 9 * tenth.double() + rest == 1 and 0 < rest < tenth.double()
assert one.double() / tenth.double() < 10 and one / tenth == 10
assert torch.div(one, tenth, rounding_mode="floor") == 9
assert torch.div(one, tenth, rounding_mode="trunc") == (one / tenth).floor() == 10

# %% [markdown]
# Nor does a remainder always stay below its divisor. A billionth back from zero should
# be a little less than 3, on a ring of length 3. That is rounded, to 3:

# %%
assert torch.tensor(-1e-9) % 3 == 3

# %% [markdown]
# **Rule.** `//` and `%` belong together, by `floor`, and what is left has the divisor's
# sign; `trunc` goes with `fmod`, and what is left has the dividend's. On floats, expect
# surprises where a quotient should be whole.

# %% [markdown]
# ## What does clamp do to a slope?
#
# `clamp` (截断) moves what lies outside of a range to its nearest bound. Either bound may
# be left out:

# %% tags=["claim:C123", "claim:C438"]
x = torch.tensor([-2.0, 0.5, 3.0])
assert x.clamp(-1, 1).tolist() == torch.clamp(x, -1, 1).tolist() == [-1, 0.5, 1]
assert x.clamp(max=1).tolist() == [-2, 0.5, 1]
x.clamp(min=0).tolist()

# %% [markdown]
# One note says that `pytorch.clamp()` turns what is below 0 into 0. The package is
# called `torch`, it takes `min=0` to do that, and with no bound there is an error:

# %% tags=["claim:C021"]
assert x.clamp(min=0).tolist() == [0, 0.5, 3] and x.clamp(min=-9).tolist() == x.tolist()
with expect_error(RuntimeError, "At least one of 'min' or 'max' must not be None"):
    torch.clamp(x)

# %% [markdown]
# Bounds may be tensors, one for each element. **Predict** also what happens when the
# bounds are crossed:

# %% tags=["predict"]
lower = torch.tensor([0.0, 1.0, 2.0])
x.clamp(min=lower).tolist(), x.clamp(min=2, max=1).tolist()

# %% [markdown]
# With crossed bounds there is no error, and `max` wins for all elements:

# %%
assert x.clamp(min=lower).tolist() == [0, 1, 3]
assert x.clamp(min=2, max=1).tolist() == [1, 1, 1]

# %% [markdown]
# Training asks more of an operation than its value: the slope (斜率), that is, how far
# the result moves for a small move of the input. [201](201_gradients_and_graphs.ipynb)
# explains how torch finds it; here a helper of two lines will do. **Predict** the
# slopes of `clamp` at -2, 0.5 and 3:


# %% tags=["predict"]
def slope(f, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(f(x).sum(), x)[0]


slope(lambda t: t.clamp(-1, 1), x).tolist()

# %% [markdown]
# One inside, where the result follows the input; zero outside, where it cannot move:

# %%
near = (torch.arange(-20, 20) + 0.5) / 8
flat = slope(lambda t: t.clamp(-1, 1), near)
assert torch.equal(flat, (near.abs() < 1).float())
fig, ax = canvas(6, 2.4)
ramp = torch.arange(-5, 6) / 2
ax.plot(ramp.tolist(), ramp.clamp(-1, 1).tolist(), color=BLUE, label="clamp(-1, 1)")
ax.plot(near.tolist(), flat.tolist(), ".", color=RED, label="slope")
ax.legend(loc="lower right")
told = "A ramp from -1 to 1 with flat ends, and dots for its slope: 0, then 1, then 0."
show(fig, "Outside of its bounds, `clamp` is flat, and its slope is 0.", told)

# %% [markdown]
# A flat place is a trap. Suppose `w` should make `clamp(w)` zero, and we follow the
# slope downhill from 3:

# %%
w = torch.tensor(3.0)
for _ in range(100):
    w = w - 0.1 * slope(lambda t: t.clamp(-1, 1) ** 2, w)
assert w == 3
w.item()

# %% [markdown]
# A hundred steps, and it has not moved. Started inside, at 0.9, it would have arrived:

# %%
w = torch.tensor(0.9)
for _ in range(100):
    w = w - 0.1 * slope(lambda t: t.clamp(-1, 1) ** 2, w)
assert w.abs() < 1e-6

# %% [markdown]
# And exactly at a bound? There the curve has a kink, and any slope from 0 to 1 can be
# defended. Three ways to turn negatives into zero agree wherever we ask:

# %%
ways = {
    "relu": torch.relu,
    "maximum": lambda t: torch.maximum(t, torch.zeros_like(t)),
    "clamp": lambda t: t.clamp(min=0),
}
assert all(torch.equal(f(near), torch.relu(near)) for f in ways.values())
at_zero = {name: slope(f, torch.zeros(1)).item() for name, f in ways.items()}

# %% [markdown]
# Their slopes at 0 differ. `relu` says 0, and `maximum` shares between its two
# arguments. For `clamp` we accept 0 or 1, because versions of torch do not agree: look
# at `at_zero` on yours.

# %%
assert at_zero["relu"] == 0 and at_zero["maximum"] == 0.5
assert at_zero["clamp"] in (0, 1)

# %% [markdown]
# A staircase is flat between its jumps, so rounding stops a slope everywhere we look;
# [207](207_your_own_gradient.ipynb) shows a way around:

# %%
for f in four:
    assert (slope(f, dense) == 0).all()
assert (slope(torch.frac, dense) == 1).all()

# %% [markdown]
# ## Are two numbers equal?
#
# Six comparisons (比较), six short names: `ge` is greater or equal, `lt` less than, and
# so on. The other side may be a number or a tensor:

# %% tags=["claim:C429"]
x, names = torch.tensor([1, 2, 3]), ("lt", "le", "eq", "ne", "ge", "gt")
found = {name: getattr(x, name)(2).tolist() for name in names}
assert found["ge"] == (x >= 2).tolist() == [False, True, True]
assert found["gt"] == [False, False, True] and found["lt"] == [True, False, False]
assert found["le"] == [True, True, False]
assert found["eq"] == [False, True, False] and found["ne"] == [True, False, True]
table([{"comparison": f"x.{name}(2)", "result": found[name]} for name in names])

# %% [markdown]
# The result is Boolean. One note still calls it a ByteTensor, but rightly uses it to
# choose elements ([104](104_indexing_and_selecting.ipynb) has more). Another note
# counts `nonzero` among the Boolean ones. It returns places, as integers:

# %% tags=["claim:C130", "claim:C430"]
for kind in (x >= 2, x > 2, x != 2, x == 2, torch.le(x, torch.tensor([0, 9, 3]))):
    assert kind.dtype == torch.bool
assert (x > 2).type().endswith("BoolTensor") and x[x >= 2].tolist() == [2, 3]
assert torch.nonzero(x > 1).dtype == torch.int64
torch.nonzero(x > 1).tolist()

# %% [markdown]
# Now questions that have no number for an answer (school answers one of them: the third
# root of -8 is -2). Asked of floats, none raises an error:

# %%
rows = [
    {"asked": "log(0)", "answer": torch.tensor(0.0).log().item()},
    {"asked": "sqrt(-1)", "answer": torch.tensor(-1.0).sqrt().item()},
    {"asked": "asin(2)", "answer": torch.tensor(2.0).asin().item()},
    {"asked": "(-8) ** (1/3)", "answer": torch.tensor(-8.0).pow(1 / 3).item()},
    {"asked": "1 / 0", "answer": (torch.tensor(1.0) / 0).item()},
    {"asked": "0 / 0", "answer": (torch.tensor(0.0) / 0).item()},
    {"asked": "inf - inf", "answer": (torch.tensor(inf) - inf).item()},
]
assert [row["answer"] for row in rows if row["answer"] == row["answer"]] == [-inf, inf]
table(rows, "Two infinities, five NaN.")

# %% [markdown]
# Look at the filter in the assertion: NaN (非数), *not a number*, is not equal to itself.
# Let each of 1, 2 and NaN be compared with each of 1, 2 and NaN, in all six ways.
# **Predict** how many of the 54 answers are true:

# %% tags=["predict"]
v = torch.tensor([1.0, 2.0, nan])
pairs = [getattr(v.unsqueeze(1), name)(v) for name in names]
sum(pair.sum().item() for pair in pairs)

# %%
told = "Each row compared with each column: NaN is only ever unequal."
assert sum(pair.sum() for pair in pairs) == 17
labels = (["1", "2", "NaN"], ["1", "2", "NaN"])
draw.grid(*pairs, titles=names, highlight=pairs, columns=3, labels=labels, caption=told)

# %% [markdown]
# With NaN on either side `ne` holds and the other five do not. So the opposite of
# *less* is no longer *greater or equal*, and the usual test finds nothing:

# %%
met = v.isnan().unsqueeze(1) | v.isnan()
for name, pair in zip(names, pairs, strict=True):
    assert pair[met].all() if name == "ne" else not pair[met].any()
assert (~(v < 2)).tolist() == [False, True, True] and (v >= 2).tolist()[2] is False
assert not torch.equal(v, v.clone()) and (v == nan).sum() == 0 and v.isnan().sum() == 1

# %% [markdown]
# Ordinary floats have a milder trouble. **Predict** whether 0.1 + 0.2 is 0.3, in
# `float32` and in `float64`:

# %% tags=["predict"]
sums = [torch.tensor([0.1, 0.2, 0.3], dtype=t) for t in (torch.float32, torch.float64)]
[(s[0] + s[1] == s[2]).item() for s in sums]

# %% [markdown]
# Luck in one, bad luck in the other, and the lucky one has fewer digits. So ask whether
# they are close. Of finite numbers, `isclose` tests `|a - b| <= atol + rtol * |b|`, by
# default with `rtol=1e-5` and `atol=1e-8`:

# %%
assert [(s[0] + s[1] == s[2]).item() for s in sums] == [True, False]
assert all(torch.isclose(s[0] + s[1], s[2]) for s in sums)
b = torch.arange(-64, 65) / 16
a = b.unsqueeze(1)
bound = 0.5 + 0.5 * b.abs()
assert torch.equal(a.isclose(b, rtol=0.5, atol=0.5), (a - b).abs() <= bound)

# %% [markdown]
# `a` and `b` run over a square grid there. An infinity is close to itself alone, and
# the defaults show their size next to 0 and next to 1000:

# %%
ends = torch.tensor([inf, -inf, 1.0])
assert torch.equal(ends.unsqueeze(1).isclose(ends), ends.unsqueeze(1) == ends)
zero, thousand = torch.tensor([0.0, 1000.0], dtype=torch.float64)
assert zero.add(0.99e-8).isclose(zero) and not zero.add(1.01e-8).isclose(zero)
assert thousand.add(0.0099).isclose(thousand)
assert not thousand.add(0.0101).isclose(thousand)

# %% [markdown]
# The formula has `|b|` and no `|a|`. **Predict** whether 10 is close to 9, and 9 to 10,
# when `rtol` allows 10.5 percent:

# %% tags=["predict"]
nine, ten = torch.tensor(9.0), torch.tensor(10.0)
said = [p.isclose(q, rtol=0.105, atol=0).item() for p, q in ((ten, nine), (nine, ten))]
said

# %%
assert said == [False, True]
fig, ax = canvas(3.4, 3)
close = a.isclose(b, rtol=0.5, atol=0.5).float().tolist()
ax.imshow(close, origin="lower", extent=(-4, 4, -4, 4), cmap="Blues", vmax=1.5)
ax.plot([-4, 4], [-4, 4], color=RED, linewidth=1)
ax.set(xlabel="b, the reference", ylabel="a")
told = "A bow tie along the diagonal, narrow at 0; not symmetric about the diagonal."
show(fig, "Where `a` is close to `b` for `rtol` 0.5 and `atol` 0.5.", told)

# %% [markdown]
# The band is as wide as `b` allows, so put the reference second. `allclose` asks
# whether all elements are close, and gives a Python bool. That is how to check the
# identities of school, here that an angle comes back from its sine and cosine (`atan2`
# knows the quadrant, `atan` of the quotient does not). NaN is close to NaN only if you
# say so:

# %%
angle = torch.tensor([0.5, 2.5, -2.5])
assert torch.allclose(angle.sin() ** 2 + angle.cos() ** 2, torch.ones(3))
assert torch.allclose(torch.atan2(angle.sin(), angle.cos()), angle)
assert not torch.allclose((angle.sin() / angle.cos()).atan(), angle)
assert torch.allclose(v, v) is False and torch.allclose(v, v, equal_nan=True) is True

# %% [markdown]
# In the same sense `exp` undoes `log`, `pow(0.5)` is `sqrt`, the root of a square is
# `abs`, and `cosh` is the mean of two `exp`. For integers a negative power is an error,
# since one half is no integer:

# %%
p = torch.tensor([0.25, 1.0, 9.0])
assert torch.allclose(p.log().exp(), p) and torch.allclose(p.pow(0.5), p.sqrt())
assert torch.allclose((-p).pow(2).sqrt(), (-p).abs())
assert torch.allclose(p.cosh(), (p.exp() + (-p).exp()) / 2)
with expect_error(RuntimeError, "Integers to negative integer powers"):
    torch.tensor([1, 2]) ** -1

# %% [markdown]
# **Rule.** Compare floats with `isclose`, look for NaN with `isnan`, and use `==` for
# integers.

# %% [markdown]
# ## Who is the largest?
#
# `max` is three operations, told apart by what comes second: nothing, a dimension, or a
# tensor. The notes have them right, and `min` is built alike:

# %% tags=["claim:C131"]
m = torch.tensor([[1, 9, 4], [7, 3, 8]])
values, indices = torch.max(m, 1)
assert torch.max(m) == 9
assert values.tolist() == [9, 8] and indices.tolist() == [1, 2]
other = torch.tensor([[4, 9, 1], [8, 3, 7]])
assert torch.max(m, other).tolist() == [[4, 9, 4], [8, 3, 8]]
assert torch.equal(torch.max(m, other), torch.maximum(m, other))
assert torch.min(m) == 1 and torch.min(m, 1).indices.tolist() == [0, 1]
assert torch.min(m, other).tolist() == [[1, 9, 1], [7, 3, 7]]

# %% [markdown]
# With a dimension, each row (here) has one winner, and you get its value and its place.
# The places alone are `argmax`. **Predict** `argmax` and `argmin` of `m` without a
# dimension:

# %% tags=["predict"]
m.argmax().item(), m.argmin().item(), m.argmax(dim=1).tolist()

# %% tags=["claim:C441"]
assert m.argmax() == 1 and m.flatten()[m.argmax()] == m.max()
assert m.argmin() == 0 and m.flatten()[m.argmin()] == m.min()
assert torch.equal(m.argmax(dim=1), m.max(dim=1).indices)
ties = torch.arange(10_000) * 7 % 5
for place, best in ((ties.argmax(), 4), (ties.argmin(), 0)):
    assert ties[place] == best and (ties[:place] != best).all()

# %% [markdown]
# Without a dimension they count in the flattened tensor. Of equals, the first is named.
#
# `topk` gives the k largest in order, `largest=False` the k smallest; along the last
# dimension unless you name another, and the others stay as they are. `kthvalue` counts
# from the other end, and from 1: the k-th *smallest*. Its `keepdim=True` keeps the
# dimension in which it counted, with one element.

# %% tags=["claim:C132", "claim:C442", "claim:C443"]
x = torch.arange(1.0, 6.0)
best = x.topk(3)
assert best.values.tolist() == [5, 4, 3] and best.indices.tolist() == [4, 3, 2]
assert x.topk(2, largest=False).values.tolist() == [1, 2]
assert torch.zeros(4, 5).topk(2).values.shape == (4, 2)
assert torch.zeros(4, 5).topk(2, 0).values.shape == (2, 5)
assert [part.item() for part in x.kthvalue(4)] == [4, 3]
least = torch.arange(1.0, 7.0).reshape(2, 3).kthvalue(2, 0, keepdim=True)
assert least.values.tolist() == [[4, 5, 6]] and least.indices.tolist() == [[1, 1, 1]]

# %%
row_max, top = m >= m.topk(1).values, m >= m.kthvalue(2, 1, keepdim=True).values
told = "The winner of each row, its two largest, and the one largest of all."
titles = ["max(m, 1)", "topk(m, 2)", "max(m)"]
draw.grid(m, m, m, titles=titles, highlight=[row_max, top, m == m.max()], caption=told)

# %% [markdown]
# Now the four readings of which one is broken. **Predict** the place of the largest, by
# `argmax` and by `topk`, and of the smallest, by `argmin` and by `kthvalue`:

# %% tags=["predict"]
x = torch.tensor([3.0, nan, 1.0, 2.0])
(
    x.argmax().item(),
    x.topk(1).indices.item(),
    x.argmin().item(),
    x.kthvalue(1).indices.item(),
)

# %% [markdown]
# For `argmax` and `argmin`, the largest and the smallest are the same element. There
# are two customs. `max` and `min` hand NaN on, so that a broken number cannot hide.
# What sorts must put it somewhere, and puts it above all numbers, infinity too:

# %%
assert x.max().isnan() and x.min().isnan() and x.argmax() == x.argmin() == 1
assert x.topk(1).values.isnan() and x.topk(1, largest=False).values == 1
assert x.kthvalue(1).values == 1 and x.kthvalue(4).values.isnan()
assert torch.tensor([nan, inf]).topk(2).indices.tolist() == [0, 1]
y = torch.tensor([5.0, 0.0, nan, 1.0])
torch.maximum(x, y).tolist(), torch.fmax(x, y).tolist(), x.clamp(0, 2).tolist()

# %% [markdown]
# `maximum`, `minimum` and `clamp` hand it on as well; `fmax` and `fmin` prefer a
# number. With a dimension, `max` gives NaN for those rows that hold one. Python's own
# `max` goes by `>`, so that NaN wins only if it comes first:

# %%
for f in (torch.maximum, torch.minimum):
    assert f(x, y).isnan().tolist() == [False, True, True, False]
assert torch.fmax(x, y).tolist() == [5, 0, 1, 2]
assert torch.fmin(x, y).tolist() == [3, 0, 1, 1]
assert x.clamp(0, 2).isnan().tolist() == x.isnan().tolist()
by_row = x.reshape(2, 2).max(1)
assert by_row.values[0].isnan() and by_row.values[1] == 2
assert by_row.indices.tolist() == [1, 1]
assert max(torch.tensor([1.0, nan])) == 1 and max(torch.tensor([nan, 1.0])).isnan()

# %% [markdown]
# **Rule.** One NaN makes `max` and `min` NaN; `sort`, `topk` and `kthvalue` treat it as
# the largest.

# %% [markdown]
# ## In which order?
#
# `sort` returns values and the places they came from. Those places are the sort: with
# them you can reorder anything else, and sorting them in turn leads back:

# %% tags=["claim:C132"]
scores = torch.tensor([30, 10, 20])
values, order = scores.sort()
assert values.tolist() == [10, 20, 30] and order.tolist() == [1, 2, 0]
assert torch.equal(scores[order], values) and torch.equal(scores.argsort(), order)
assert torch.equal(values[order.argsort()], scores)
assert scores.sort(descending=True).values.tolist() == [30, 20, 10]

# %% [markdown]
# NaN goes last; with `descending=True`, **predict** where it goes:

# %% tags=["predict"]
x.sort().values.tolist(), x.sort(descending=True).values.tolist()

# %% [markdown]
# First. And equal elements? A stable sort (稳定排序) keeps them in the order in which they
# stood, and torch promises that only if asked. Of ten thousand keys we count those that
# overtook an equal one (`diff` is each element minus the one before):

# %%
assert x.sort().values[3].isnan() and x.sort(descending=True).values[0].isnan()
dice = torch.Generator("cpu").manual_seed(0)
keys = torch.randint(0, 4, (10_000,), generator=dice, device="cpu").to(pick_device())


def overtaken(sort):
    return ((sort.values.diff() == 0) & (sort.indices.diff() < 0)).sum()


kept, anyhow = keys.sort(stable=True), keys.sort()
assert overtaken(kept) == 0 and torch.equal(kept.values, anyhow.values)

# %% [markdown]
# The values agree; only the places may differ. How many were overtaken in `anyhow` is
# nobody's promise: look at `overtaken(anyhow)` on your machine.
#
# Stability is what lets you sort by two keys: first by the second key, then by the
# first.

# %%
grade, age = torch.tensor([2, 1, 2, 1, 2, 1]), torch.tensor([9, 8, 7, 9, 8, 7])
by_age = age.argsort(stable=True)
order = by_age[grade[by_age].argsort(stable=True)]
assert grade[order].tolist() == [1, 1, 1, 2, 2, 2]
assert age[order].tolist() == [7, 8, 9, 7, 8, 9]

# %%
fig, ax = canvas(6, 2)
order = grade.argsort(stable=True).tolist()
for to, start in enumerate(order):
    tint = {1: ORANGE, 2: GREEN}[grade[start].item()]
    ax.annotate(
        "", (to, 0.1), (start, 0.9), arrowprops={"arrowstyle": "-|>", "color": tint}
    )
    ax.text(start, 1, f"{grade[start]}{'abcdef'[start]}", ha="center")
    ax.text(to, -0.1, f"{grade[start]}{'abcdef'[start]}", ha="center")
ax.set(xlim=(-0.5, 5.5), ylim=(-0.25, 1.2))
ax.set_axis_off()
told = "Six labelled items before and after; arrows of one colour never cross."
show(fig, "A stable sort by number: letters of equal numbers stay in order.", told)

# %% [markdown]
# Descending and stable is not the ascending order backwards. **Predict** both lists of
# places for three grades:

# %% tags=["predict"]
three = torch.tensor([2, 1, 2])
backwards = three.argsort(stable=True).flip(0)
three.argsort(descending=True, stable=True).tolist(), backwards.tolist()

# %% [markdown]
# Turning the list around turns the equals around too:

# %%
assert three.argsort(descending=True, stable=True).tolist() == [0, 2, 1]
assert backwards.tolist() == [2, 0, 1]

# %% [markdown]
# ## Where it goes wrong
#
# **A number taken for a dimension.** You want no element below 0, and the message
# speaks of tuples:

# %%
x = torch.tensor([-1.0, 2.0])
with expect_error(TypeError, "can only concatenate tuple"):
    torch.max(x, 0) + 1
assert (x.clamp(min=0) + 1).tolist() == [1, 3]

# %% [markdown]
# In `torch.max(x, 0)` the 0 is a dimension, and the result a pair of values and
# indices.
#
# **The school rule by hand.** `floor(x + 0.5)` looks right. The sum is rounded before
# `floor` sees it, so it is wrong below a half, and among large numbers it changes what
# was whole already:

# %%
x = torch.tensor([0.49999997, 8388609.0])
wrong, right = (x + 0.5).floor(), x.round()
assert wrong.tolist() == [1, 8388610]
assert right.tolist() == [0, 8388609]

# %% [markdown]
# **A table torn apart.** Each row is a person, with age and height. Sorting along
# dimension 0 sorts each column on its own:

# %%
people = torch.tensor([[30, 160], [20, 190], [40, 170]])
wrong = people.sort(dim=0).values
right = people[people[:, 0].argsort()]
assert wrong.tolist() == [[20, 160], [30, 170], [40, 190]]
assert right.tolist() == [[20, 190], [30, 160], [40, 170]]

# %% [markdown]
# Nobody is 20 and 160 tall. Sort one column, and reorder whole rows by its places.
#
# **Two comparisons in one.** Python reads `0 < x < 2` as `(0 < x) and (x < 2)`, and
# `and` wants one truth value:

# %%
x = torch.tensor([-1, 1, 3])
with expect_error(RuntimeError, "Boolean value of Tensor with more than one value"):
    inside = 0 < x < 2
inside = (x > 0) & (x < 2)
assert inside.tolist() == [False, True, False]

# %% [markdown]
# The parentheses are needed. `&` binds tighter than `>` and `<`, so without them there
# are two comparisons in one again:

# %%
with expect_error(RuntimeError, "Boolean value of Tensor with more than one value"):
    inside = x > 0 & x < 2

# %% [markdown]
# ## In practice
#
# In tests, `torch.testing.assert_close` beats `allclose`. It takes its tolerances from
# the dtype (a thousandth is much for `float32` and passes in `float16`), and it says
# where two tensors differ, and by how much:

# %%
a, b = torch.tensor([1.0, 2.0, 1.0]), torch.tensor([1.0, 2.0, 1 + 2**-10])
torch.testing.assert_close(a.half(), b.half())
with expect_error(AssertionError, "Mismatched elements: 1 / 3"):
    torch.testing.assert_close(a, b)

# %% [markdown]
# The `atol` of `allclose` is made for numbers near 1. Small ones, such as gradients,
# need a smaller one; at 0, nothing but 0 is close to 0:

# %%
small, none = torch.tensor([1e-9, 2e-9]), torch.zeros(2)
assert torch.allclose(small, 2 * small) and torch.allclose(small, none)
assert not torch.allclose(small, 2 * small, atol=1e-12)
assert torch.allclose(small * 1e-6, none, atol=1e-12)
assert not torch.allclose(small * 1e-6, none, atol=0)

# %% [markdown]
# ## Summary
#
# - `round` takes halves to the even neighbour; `floor`, `ceil` and `trunc` go down, up
#   and towards zero ([drawn](#Which-whole-number?)).
# - `remainder`, `%` and `//` belong to `floor`, `fmod` to `trunc`
#   ([checked](#What-is-left-over?)).
# - `clamp` passes a slope inside its bounds and none outside
#   ([drawn](#What-does-clamp-do-to-a-slope?)).
# - NaN is unequal to itself, makes `max` and `min` NaN, and sorts as the largest
#   ([compared](#Are-two-numbers-equal?), [ranked](#Who-is-the-largest?)).
# - Close is within `atol + rtol * |b|`, so the order of arguments matters
#   ([drawn](#Are-two-numbers-equal?)); ties keep their order in a stable sort
#   ([sorted](#In-which-order?)).

# %% [markdown]
# ## Exercises
#
# ### Exercise 107.1 · Three whole numbers
# *predict · ●○○ · 3 minutes*
#
# `t = torch.tensor([-3.5, -2.5, 4.5])`. Write down three lists: `t.round()`,
# `t.trunc()` and `(t + 0.5).floor()`.

# %% tags=["exercise"]
answer = ...  # TODO: a list of three lists of three numbers

# %%
exercise("107.1").check(answer)

# %% [markdown]
# ### Exercise 107.2 · One broken reading
# *predict · ●●○ · 5 minutes*
#
# `t = torch.tensor([4.0, nan, 1.0, 6.0])`. Which of these are true? Any order will do.
# **a** `t.max() == 6` **b** `t.argmin() == 1` **c** `t.kthvalue(3).values == 6` **d**
# `(t < 5).sum() + (t >= 5).sum() == 4` **e** `t.clamp(max=5).max() == 5` **f**
# `t.topk(2).values[1] == 6` **g** `t.sort().values[0] == t.min()`

# %% tags=["exercise"]
answer = ...  # TODO: a list of letters, such as ["a", "b"]

# %%
exercise("107.2").check(answer)

# %% [markdown]
# ### Exercise 107.3 · Once around
# *write · ●●○ · 6 minutes*
#
# Compass needles turn on: 370 degrees is 10, -90 is 270, and 190 may be called -170.
# Return each angle as the equal one that is at least -180 and less than 180, in the
# dtype it came in. The input stays as it is.


# %% tags=["exercise"]
def wrapped(degrees):
    return ...  # TODO: one elementwise expression


# %%
exercise("107.3").check(wrapped)

# %% [markdown]
# ### Exercise 107.4 · How many stand still?
# *measure · ●●○ · 6 minutes*
#
# Through `clamp(-1, 1)`, what part of these hundred thousand normal numbers gets no
# slope? Measure it as a number from 0 to 1.

# %% tags=["exercise"]
noise = torch.randn(
    100_000, generator=torch.Generator("cpu").manual_seed(107), device="cpu"
)
answer = ...  # TODO: the part of the elements whose slope is 0

# %%
exercise("107.4").check(answer)

# %% [markdown]
# ### Exercise 107.5 · The race
# *repair · ●●○ · 8 minutes*
#
# Runners are listed in the order in which they signed up. Their places in the ranking
# go by points, most points first. Among equals, who signed up first comes first. A NaN
# means that a runner gave up, and belongs at the end. This program fails twice.


# %% tags=["exercise"]
def ranking(points):
    return points.argsort(stable=True).flip(0)  # TODO: repair this


# %%
exercise("107.5").check(ranking)

# %% [markdown]
# ### Exercise 107.6 · Close both ways
# *write · ●●● · 10 minutes*
#
# Write a comparison that does not care which tensor comes first: two numbers are close
# if they differ by at most `rtol` times the larger of their absolute values. Return a
# Boolean tensor. NaN is close to nothing. No infinities will come.


# %% tags=["exercise"]
def close_both_ways(a, b, rtol):
    return ...  # TODO: True where a and b are close


# %%
exercise("107.6").check(close_both_ways)

# %% [markdown]
# ## Next
#
# [108 · Reductions and products](108_reductions_and_products.ipynb): here each element
# stayed, or changed its place; there, dimensions disappear.
#
# - [torch.round](https://docs.pytorch.org/docs/stable/generated/torch.round.html): the
#   reference, with half to even and its decimals.
# - [Floating-point arithmetic](https://docs.python.org/3/tutorial/floatingpoint.html):
#   Python's tutorial on why a tenth is not a tenth.
# - [What every computer scientist should know about floating-point
#   arithmetic](https://docs.oracle.com/cd/E19957-01/806-3568/ncg_goldberg.html), by
#   David Goldberg: the long answer, NaN included.
