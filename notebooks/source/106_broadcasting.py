# %% [markdown]
# # 106 · Broadcasting
#
# A model predicts twenty numbers, there are twenty targets, and the error is their
# difference. Training runs without a message, the loss falls, and at the end the model
# answers every question with the same number. All that is wrong is a 1 missing in one
# shape. By which rules do two shapes meet, and how do you notice that they met in a way
# you did not mean?

# %% [markdown]
# **You will be able to**
#
# - say the shape of the result for any two shapes, or that there is none;
# - put a dimension of length 1 where a tensor needs it;
# - compute from the shapes alone what a broadcast costs in memory;
# - say which shape the gradient of a stretched tensor has;
# - find the silent broadcast behind a loss or an accuracy that cannot be.
#
# **You need** [103 · Storage and views](103_storage_and_views.ipynb), and for the
# paragraph and two exercises on gradients
# [201 · Gradients and graphs](201_gradients_and_graphs.ipynb). **Time** 40 minutes.

# %% tags=["setup"]
import itertools
import math
import warnings

import torch

from helpers import canvas, draw, exercise, expect_error, pick_device, show
from helpers.errors import expect_warning
from helpers.memory import shares_storage

torch.set_default_device(pick_device())

# %% [markdown]
# ## How do two shapes meet?
#
# Two rows of three numbers, and one row of three. In mathematics their sum does not
# exist:

# %%
x = torch.tensor([[0, 1, 2], [10, 11, 12]])
row = torch.tensor([100, 200, 300])
told = "The row is added to each row of `x`, as if it stood there twice."
draw.grid(
    x, row, x + row, caption=told, titles=["x  (2, 3)", "row  (3,)", "x + row  (2, 3)"]
)

# %% [markdown]
# In torch it does, and this is broadcasting (广播): before an operation such as `+`,
# which goes element by element, shapes that differ are made equal, by two rules.
#
# 1. Write the shapes one under the other so that they end at the right in one line
#    (**flush right**). Where the shorter one has no length, put a 1.
# 2. In each column the lengths must be equal, or one of them must be 1. That 1 is
#    **stretched** to the other length. If neither holds, there is no result.
#
# With `(2, 3)` and `(3,)` the row is missing one length, it counts as `(1, 3)`, and its
# 1 is stretched to 2. The same by hand:

# %%
by_hand = row.unsqueeze(0).expand(2, 3)
assert (x + row).equal(x + by_hand)
by_hand.tolist()

# %% [markdown]
# Nothing in the rules says that only one side may be stretched. Use them on the shapes
# `(4, 1, 3)` and `(5, 1)`. **Predict** the shape:

# %% tags=["predict"]
wide, tall = torch.zeros(4, 1, 3), torch.zeros(5, 1)
(wide + tall).shape

# %% [markdown]
# Written flush right, column by column:

# %%
aligned = {
    "wide": ["4", "1", "3"],
    "tall": ["", "5", "1"],
    "wide + tall": ["4", "5", "3"],
}
figure, axes = canvas(4.6, 1.7)
for line, (name, lengths) in enumerate(aligned.items()):
    axes.text(-0.8, -line, name, ha="right", va="center", weight="bold")
    for column, length in enumerate(lengths):
        colour = "#fbd38a" if length in ("", "1") else "#cfe4f3"
        axes.bar(column, 0.8, 0.9, -line - 0.4, color=colour, edgecolor="#8a8a8a")
        axes.text(column, -line, length or "(1)", ha="center", va="center")
axes.set(xlim=(-2.4, 2.6), ylim=(-2.5, 0.5))
axes.set_axis_off()
told = "Each orange 1 takes the length in blue; the one in brackets was put in front."
show(figure, told, "wide 4 1 3; tall (1) 5 1; the sum 4 5 3. The ones are orange.")
assert (wide + tall).shape == torch.broadcast_shapes((4, 1, 3), (5, 1)) == (4, 5, 3)

# %% [markdown]
# `torch.broadcast_shapes` answers for shapes alone, without any tensor, and raises an
# error where they do not meet. Are the two rules all that it does? `meet` is the rules
# in Python, line for line, with `None` where there is no result:


# %%
def meet(a, b):
    rank = max(len(a), len(b))
    a, b = (1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b
    if all(m == n or 1 in (m, n) for m, n in zip(a, b, strict=True)):
        return tuple(n if m == 1 else m for m, n in zip(a, b, strict=True))
    return None


def meet_in_torch(a, b):
    try:
        return tuple(torch.broadcast_shapes(a, b))
    except RuntimeError:
        return None


# %% [markdown]
# Take every shape of up to four dimensions with lengths from 0 to 3. There are 341 of
# them, the shape `()` of a single number included, and more than a hundred thousand
# pairs:

# %%
shapes = [s for rank in range(5) for s in itertools.product(range(4), repeat=rank)]
pairs = list(itertools.product(shapes, shapes))
assert len(shapes) == 341 and len(pairs) == 116_281
assert all(meet(a, b) == meet_in_torch(a, b) for a, b in pairs)

# %% [markdown]
# Not one exception. But that compared shapes; does `+` keep to them, and which numbers
# does it add? For the 85 shapes of up to three dimensions, let real tensors meet. Where
# the rules give no shape, `+` must fail; where they give one, the sum must be that of
# the two tensors stretched by hand.


# %%
def filled(shape):
    return torch.arange(math.prod(shape)).reshape(shape)


def obeys(a, b):
    shape, left, right = meet(a, b), filled(a), filled(b)
    try:
        total = left + right
    except RuntimeError:
        return shape is None
    return shape is not None and total.equal(left.expand(shape) + right.expand(shape))


# %% tags=["claim:C419"]
small = [shape for shape in shapes if len(shape) <= 3]
assert len(small) == 85
assert all(obeys(a, b) for a, b in itertools.product(small, small))

# %% [markdown]
# The rules are forgiving. How forgiving? For all shapes with lengths from 1 to 3, here
# is the share of pairs that meet, by their numbers of dimensions:

# %%
ranks = {r: list(itertools.product((1, 2, 3), repeat=r)) for r in range(5)}
share = torch.zeros(5, 5, device="cpu")
for r, s in itertools.product(ranks, ranks):
    fits = [meet(a, b) is not None for a in ranks[r] for b in ranks[s]]
    share[r, s] = 100 * sum(fits) / len(fits)
figure, axes = canvas(3.6, 3.2)
axes.imshow(share.numpy(), cmap="Blues", vmin=0, vmax=160)
for r, s in itertools.product(ranks, ranks):
    axes.text(s, r, f"{share[r, s]:.0f}", ha="center", va="center")
axes.set(
    xlabel="dimensions of b", ylabel="dimensions of a", xticks=range(5), yticks=range(5)
)
told = (
    "Percent of pairs that meet: 100 where one has no dimension, 37 at four and four."
)
show(
    figure,
    told,
    "A 5 by 5 table: 100 in the first row and column, falling to 37 at the corner.",
)

# %%
for r, s in itertools.product(ranks, ranks):
    assert abs(share[r, s] - 100 * (7 / 9) ** min(r, s)) < 0.01

# %% [markdown]
# With three possible lengths there are nine pairs of lengths, and seven fit: three
# equal ones, and four more with a 1 in them. In each column that both shapes reach, one
# of these pairs must turn up; where only one shape reaches, nothing can fail. So the
# shape with fewer dimensions decides how likely an accident is, and next to a vector
# there is one column in which torch can refuse.
#
# One corner of the rules surprises. A length may be 0, and for the rules 0 is a length
# like any other. **Predict** the shape:

# %% tags=["predict"]
nothing, something = torch.zeros(0), torch.zeros(1)
(nothing + something).shape

# %% [markdown]
# The 1 was "stretched" to 0, and its one element is gone: a 1 takes the other length,
# whatever that is. So an empty batch of rows plus a row is an empty batch, with no
# special case in your code. But 0 and 2 are two different lengths, and refused:

# %%
assert (nothing + something).shape == (0,)
assert (torch.zeros(0, 3) + torch.ones(3)).shape == (0, 3)
assert meet_in_torch((0,), (2,)) is None

# %% [markdown]
# ## Where does the 1 go?
#
# Flush right suits what belongs to the last dimension. Often something else is meant.
# Here are 4 pictures, each as 32 channels of 14 by 14 numbers, and one number (a bias)
# to be added to each channel:

# %%
maps, bias = torch.zeros(4, 32, 14, 14), torch.arange(32.0)
with expect_error(RuntimeError, "The size of tensor a (14) must match"):
    maps + bias
with expect_error(RuntimeError, "The size of tensor a (32) must match"):
    bias + maps

# %% [markdown]
# Read the message so: `a` is the left operand, `b` the right one. The column
# that does not fit is dimension 3 of the result that was wanted, counted from 0; in
# `bias` itself it is dimension 0. "Non-singleton" says that neither length is 1. The 32
# landed under the width. Rule 1 puts 1s in front, so a 1 behind a length is yours to
# put: with `None` in an index, `unsqueeze` or `view`.

# %% tags=["claim:C420"]
column = bias[:, None, None]
assert column.shape == (32, 1, 1) and column.equal(bias.view(32, 1, 1))
assert column.equal(bias.unsqueeze(1).unsqueeze(2))
shifted = maps + column
assert shifted.shape == (4, 32, 14, 14)
assert all((shifted[:, channel] == channel).all() for channel in range(32))

# %% [markdown]
# The last line looks at the numbers and not only at the shape, with good reason. Were
# the pictures 32 wide, `maps + bias` would run, and add the bias of channel 5 to column
# 5 of each channel:

# %%
square = torch.zeros(4, 32, 32, 32)
wrong = square + bias
assert (wrong[..., 5] == 5).all() and not (wrong[:, 5] == 5).all()

# %% [markdown]
# **Rule.** The error comes when lengths cannot meet. When they can, and are not the
# ones you mean, nothing comes. Say with `None` which dimension you mean, also where it
# would work without.
#
# The same trick makes tables. One vector as a column, the other as a row, and each
# element of one meets each element of the other:

# %%
a, b = torch.tensor([10, 20, 30]), torch.tensor([1, 2, 3, 4])
table = a[:, None] + b
told = "A column and a row are stretched over each other: a table of all sums."
draw.grid(
    a[:, None], b, table, caption=told, titles=["a[:, None]", "b", "a[:, None] + b"]
)
assert all(table[i, j] == a[i] + b[j] for i in range(3) for j in range(4))

# %% [markdown]
# ## What does it cost?
#
# Stretching takes no memory. `torch.broadcast_tensors` applies the two rules and
# nothing else, and returns the tensors as they are then: views with stride 0, in which
# one element stands for many ([103](103_storage_and_views.ipynb) builds them with
# `expand`).

# %%
x_seen, row_seen = torch.broadcast_tensors(x, row)
assert x_seen.shape == row_seen.shape == (2, 3)
assert shares_storage(row, row_seen) and row_seen.stride() == (0, 1)
row_seen.stride()

# %% [markdown]
# The result is another matter: it is a new tensor of full size. Take a thousand points
# and a thousand centres, 16 coordinates each, and subtract every centre from every
# point. How many numbers does the result have, compared with both inputs together?
# **Predict** the ratio:

# %% tags=["predict"]
points, centres = torch.zeros(1000, 16), torch.zeros(1000, 16)
differences = points[:, None] - centres
differences.numel() / (points.numel() + centres.numel())

# %% [markdown]
# Inputs of 32 thousand numbers became 16 million, or 64 megabytes. You can know that
# before it happens, from the shapes alone:

# %%
shape = torch.broadcast_shapes((1000, 1, 16), (1000, 16))
assert differences.shape == shape == (1000, 1000, 16)
assert differences.untyped_storage().nbytes() == math.prod(shape) * 4 == 64_000_000

# %% [markdown]
# **Rule.** The result takes the product of its lengths, times the bytes of one number.
# If you want only the straight-line distances, a table of 1000 by 1000 is enough.
# `torch.cdist` returns that table; it agrees with the long way, which sums the squares
# over the coordinates:

# %%
few, others = torch.arange(6.0).reshape(3, 2), torch.tensor([[0.0, 1.0], [3.0, 5.0]])
by_broadcast = (few[:, None] - others).pow(2).sum(dim=-1).sqrt()
assert by_broadcast.shape == (3, 2) and by_broadcast.allclose(torch.cdist(few, others))
assert torch.cdist(points, centres).shape == (1000, 1000)

# %% [markdown]
# In place, no new tensor is made: the result goes into the memory of the left side. The
# right side may be stretched for that, and assigning to a part of a tensor stretches it
# too:

# %%
y = x.clone()
kept = y.view(6)
y += row
assert y.equal(x + row) and shares_storage(kept, y)
y[:, 1:] = torch.tensor([7])
assert y.tolist() == [[100, 7, 7], [110, 7, 7]]

# %% [markdown]
# The left side may not, not even by a 1 in front, which would take no memory:

# %%
with expect_error(RuntimeError, "doesn't match the broadcast shape"):
    row += x
with expect_error(RuntimeError, "doesn't match the broadcast shape"):
    row += x[:1]

# %% [markdown]
# This message compares the left side with the shape that the rules give. Written out,
# as `row = row + x`, the addition runs: it makes a new tensor and gives it the old
# name.
#
# Stretching is also felt in the backward pass, which
# [201](201_gradients_and_graphs.ipynb) explains. A stretched element is used in several
# places of the result, and its gradient is the sum of what comes back from them.
# **Predict** `slope.grad`:

# %% tags=["predict"]
inputs = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
slope = torch.ones(3, requires_grad=True)
(inputs * slope).sum().backward()
slope.grad.tolist()

# %% [markdown]
# Each of the three slopes multiplied two inputs, and the sum of the two is its
# gradient. So a gradient has the shape of its tensor, not of the result:

# %%
assert slope.grad.equal(inputs.sum(dim=0))
assert slope.grad.shape == slope.shape

# %% [markdown]
# ## Which operations do it?
#
# An operator in Python is a method call: for `a * 2` Python asks `a` what `*` means.
# That is operator overloading (运算符重载), and torch answers with what `torch.mul` does.
# The notes (the study notes from which this book grew) name two such pairs, and both
# hold:

# %% tags=["claim:C122"]
v = torch.tensor([1.0, 2.0, 3.0])
assert (v**2).equal(torch.pow(v, 2)) and (v * 2).equal(torch.mul(v, 2))

# %% [markdown]
# With the number on the left, Python asks the number first, which knows nothing of
# tensors. Then it asks the tensor, which has a method for that too, so `2 ** v` and
# `2 - v` work. And do other operators stretch like `+`? Here are eighteen, by the names
# of their methods, among them comparisons and the operators `&`, `|`, `^`, `<<`, `>>`
# that work on bits:

# %%
assert (2**v).tolist() == [2, 4, 8] and (2 - v).tolist() == [1, 0, -1]
signs = (
    "add sub mul truediv floordiv mod pow eq ne lt le gt ge and or xor lshift rshift"
)
left, right = torch.tensor([[1], [2], [3]]), torch.tensor([1, 2, 3, 4])
for name in signs.split():
    method = getattr(torch.Tensor, f"__{name}__")
    by_hand = method(left.expand(3, 4), right.expand(3, 4))
    assert method(left, right).equal(by_hand), name

# %% [markdown]
# One operator is different. `@` is a matrix product
# ([108](108_reductions_and_products.ipynb)): the last two dimensions are matrices, with
# a rule of their own, and only the dimensions before them broadcast. Shapes that `+`
# refuses have a product, and shapes that `+` takes have none:

# %%
assert meet((5, 1, 2, 3), (4, 3, 2)) is None
assert (torch.ones(5, 1, 2, 3) @ torch.ones(4, 3, 2)).shape == (5, 4, 2, 2)
assert meet((2, 1), (2, 4)) == (2, 4)
with expect_error(RuntimeError, "mat1 and mat2 shapes cannot be multiplied"):
    torch.ones(2, 1) @ torch.ones(2, 4)

# %% [markdown]
# Python's `and` is no method of a tensor: it asks its left side for one truth value.
# Element by element, write `&`, with brackets, because `&` binds more tightly than `>`:

# %%
with expect_error(RuntimeError, "Boolean value of Tensor with more than one value"):
    v > 1 and v < 3
assert ((v > 1) & (v < 3)).tolist() == [False, True, False]

# %% [markdown]
# Functions differ. `torch.where` lets three shapes meet. `equal` does not stretch: it
# answers `False` for tensors of two shapes. `allclose` compares element by element,
# within a tolerance, as you may do to test your code. **Predict** its answer, the
# second one here:

# %% tags=["predict"]
expected, computed = torch.ones(3), torch.ones(2, 3)
computed.equal(expected), computed.allclose(expected)

# %% [markdown]
# `allclose` stretches, so a test with it can pass on a result of the wrong shape. To
# test, use `torch.testing.assert_close`, which compares shapes too:

# %%
assert not computed.equal(expected) and computed.allclose(expected)
with expect_error(AssertionError, "shape"):
    torch.testing.assert_close(computed, expected)
chosen = torch.where(torch.ones(4, 1) > 0, torch.ones(3), torch.ones(2, 1, 1))
assert chosen.shape == torch.broadcast_shapes((4, 1), (3,), (2, 1, 1)) == (2, 4, 3)

# %% [markdown]
# ## Where it goes wrong
#
# **The loss of all against all.** This is the model of the first paragraph. It returns
# a column, `(20, 1)`, and the targets are a vector, `(20,)`: by the rules their
# difference is a square, in which each prediction is compared with each target.
# Training by hand takes four lines: find the error, then move the two numbers of the
# line a little against the slope of its mean square, 400 times.


# %%
def fitted(target):
    t = torch.linspace(0, 1, 20)[:, None]
    weight, offset = torch.tensor([2.0, 0.0])
    for _ in range(400):
        error = weight * t + offset - target
        weight = weight - 0.5 * (error * t).mean()
        offset = offset - 0.5 * error.mean()
    return weight * t[:, 0] + offset


# %%
t = torch.linspace(0, 1, 20)
target = 3 * t - 1
flat, right = fitted(target), fitted(target[:, None])
assert (torch.zeros(20, 1) - target).shape == (20, 20)
assert flat.allclose(target.mean().expand(20), atol=1e-3)
assert right.shape == (20,) and right.allclose(target, atol=1e-3)

# %% [markdown]
# With `target[:, None]` the line finds the targets. Without, it becomes flat, at the
# mean of the targets. And yet its loss has fallen: by this loss the flat line is better
# than the first line, `2 * t`, and the perfect line is the worst of the three:

# %%
first, last, perfect = [
    (line[:, None] - target).pow(2).mean().item() for line in (2 * t, flat, target)
]
assert last < first < perfect

# %%
figure, axes = canvas(5.6, 2.7)
position = t.tolist()
axes.plot(position, target.tolist(), "o", label="targets")
axes.plot(position, right.tolist(), label="(20, 1) against (20, 1)")
axes.plot(position, flat.tolist(), "--", label="(20, 1) against (20,)")
axes.set(xlabel="input", ylabel="output")
axes.legend()
told = "One shape makes the difference between the line and the mean of the targets."
show(
    figure,
    told,
    "Twenty points on a rising line; one fit on it, one horizontal at 0.5.",
)

# %% [markdown]
# Give both sides one shape. A loss written by hand says nothing; `mse_loss` of torch
# warns. Do not count on that: `poisson_nll_loss`, a loss for counts, is torch's own
# too, and silent even where each warning is made an error:

# %%
losses = torch.nn.functional
with expect_warning(UserWarning, "is different to the input size"):
    losses.mse_loss(torch.zeros(20, 1), target)
with warnings.catch_warnings():
    warnings.simplefilter("error")
    losses.poisson_nll_loss(torch.zeros(20, 1), target)

# %% [markdown]
# **An accuracy of 250 percent.** The same pair of shapes, with `==`. Three of four
# guesses are 1, and so are three of four labels, so the square has nine hits there and
# one more at the 0:

# %%
guess, label = torch.tensor([[0], [1], [1], [1]]), torch.tensor([0, 1, 1, 1])
assert (guess == label).sum().item() / len(label) == 2.5
assert (guess == label).float().mean() == 0.625
assert (guess.squeeze(1) == label).float().mean() == 1

# %% [markdown]
# You notice 2.5. Would you notice 0.625, which `mean` makes of the same square? The
# truth is 1. It also goes the other way. Each of four classes comes once, and all
# guesses are wrong:

# %%
label = torch.tensor([0, 1, 2, 3])
guess = label.roll(1)[:, None]
assert (guess == label).sum().item() / len(label) == 1
assert (guess.squeeze(1) == label).float().mean() == 0

# %% [markdown]
# **The square that hides it.** From each row you want to subtract its mean. What
# `mean(dim=1)` returns is a vector, so the means of the rows land under the columns.
# Two rows of three are refused. A square runs, and takes the mean of row 0 from column
# 0:

# %%
oblong, even = torch.arange(6.0).reshape(2, 3), torch.arange(9.0).reshape(3, 3)
with expect_error(RuntimeError, "The size of tensor a (3) must match"):
    oblong - oblong.mean(dim=1)
assert (even - even.mean(dim=1)).mean(dim=1).tolist() == [-3, 0, 3]
assert (even - even.mean(dim=1, keepdim=True)).mean(dim=1).tolist() == [0, 0, 0]
assert (oblong - oblong.mean(dim=1, keepdim=True)).mean(dim=1).tolist() == [0, 0]

# %% [markdown]
# The rows of the wrong result have the means -3, 0 and 3, not 0. `keepdim=True` leaves
# a 1 where the reduced dimension was, and so cures the silent case and the loud one.

# %% [markdown]
# ## In practice
#
# Let one side be stretched freely: a bias, a mask or a scale takes no extra memory. Be
# careful where both sides are stretched, because the result can be far larger than
# both; find its size with `torch.broadcast_shapes` first. Write the `None` where you
# mean it, since rule 1 puts a 1 in front only. In a loss or a metric compare shapes
# before values: `assert prediction.shape == target.shape` is one line. Test with
# lengths that all differ, so that no accident can fit, and with a comparison that looks
# at shapes.

# %% [markdown]
# ## Summary
#
# - Shapes meet flush right, missing lengths count as 1, a 1 takes the other length, and
#   other differences are refused ([checked](#How-do-two-shapes-meet?)).
# - A 1 behind a length is yours to put, by `None`, `unsqueeze` or `view`
#   ([shown](#Where-does-the-1-go?)).
# - Stretching takes no memory, the result takes all of its own; in place the left side
#   is not stretched ([counted](#What-does-it-cost?)).
# - A gradient has the shape of its tensor, summed over what was stretched
#   ([shown](#What-does-it-cost?)).
# - Comparisons and `allclose` stretch as `+` does, `@` and `equal` do not
#   ([tried](#Which-operations-do-it?)).
# - `(n, 1)` against `(n,)` makes a square: compare shapes before values
#   ([cases](#Where-it-goes-wrong)).

# %% [markdown]
# ## Exercises
#
# ### Exercise 106.1 · Do they meet?
# *predict · ●○○ · 4 minutes*
#
# Give the shape of each sum, as a tuple, or the word `"error"`:
#
# - **a** `(3, 4)` and `(4,)`
# - **b** `(3, 4)` and `(3,)`
# - **c** `(3, 1)` and `(3,)`
# - **d** `(2, 1, 5)` and `(3, 1)`
# - **e** `()` and `(2, 0)`
# - **f** `(6, 2)` and `(3, 2)`

# %% tags=["exercise"]
answer = ...  # TODO: a list of six, such as [(3, 4), "error", ...]

# %%
exercise("106.1").check(answer)

# %% [markdown]
# ### Exercise 106.2 · The gradient of a stretched column
# *predict · ●●○ · 4 minutes*
#
# `scale` is a column of ones, of shape `(2, 1)`, that requires a gradient, and
# `x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])`. What is `scale.grad` after
# `(x * scale).sum().backward()`? Give it as a nested list.

# %% tags=["exercise"]
answer = ...  # TODO: a nested list in the shape of scale

# %%
exercise("106.2").check(answer)

# %% [markdown]
# ### Exercise 106.3 · The centre of mass
# *repair · ●●○ · 5 minutes*
#
# `points` has the shape `(n, d)`, one point in each row, and `masses` the shape `(n,)`.
# Each point is multiplied by its mass, the products are added up, and the sum is
# divided by the sum of the masses: a vector of shape `(d,)`. There may be as many
# points as coordinates.


# %% tags=["exercise"]
def centre(points, masses):
    return (points * masses).sum(dim=0) / masses.sum()  # TODO: repair this line


# %%
exercise("106.3").check(centre)

# %% [markdown]
# ### Exercise 106.4 · City blocks
# *write · ●●○ · 8 minutes*
#
# In a city with straight streets, the distance of two points is the sum of the absolute
# differences (`abs`) of their coordinates. There are `k` cities, with points `a` of
# shape `(k, n, d)` and points `b` of shape `(k, m, d)`, and both may hold integers. For
# each city compute the table of all distances from an `a` to a `b`. The result has the
# shape `(k, n, m)`. Use one subtraction and no loop.


# %% tags=["exercise"]
def city_blocks(a, b):
    return ...  # TODO: k tables of n times m distances


# %%
exercise("106.4").check(city_blocks)

# %% [markdown]
# ### Exercise 106.5 · How likely is an accident?
# *measure · ●●○ · 6 minutes*
#
# Someone draws two shapes of exactly two dimensions, each length one of 1, 2, 3, 4 and
# 5. All pairs are equally likely. In how many percent of them do the shapes meet?

# %% tags=["exercise"]
answer = ...  # TODO: a number between 0 and 100, counted by a loop

# %%
exercise("106.5").check(answer)

# %% [markdown]
# ### Exercise 106.6 · What backward does
# *write · ●●● · 12 minutes*
#
# A tensor of the shape `shape` was stretched by the two rules, and `gradient`, in the
# larger shape, is what comes back to its places. Return the gradient of the tensor, in
# the shape `shape`. Do not call `backward`.


# %% tags=["exercise"]
def unbroadcast(gradient, shape):
    return ...  # TODO: a tensor of the shape that is asked for


# %%
exercise("106.6").check(unbroadcast)

# %% [markdown]
# ## Next
#
# [107 · Elementwise and order](107_elementwise_and_order.ipynb): what the operations do
# with the elements, once the shapes have met.
#
# - [Broadcasting
#   semantics](https://docs.pytorch.org/docs/stable/notes/broadcasting.html): torch's
#   own page, with the rules in the same two steps.
# - [Broadcasting](https://numpy.org/doc/stable/user/basics.broadcasting.html): numpy's
#   pictures of rows and columns being stretched.
