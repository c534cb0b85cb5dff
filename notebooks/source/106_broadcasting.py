# %% [markdown]
# # 106 · Broadcasting
#
# A model predicts twenty numbers, there are twenty targets, and the error is their
# difference. Training runs without a message, the loss falls, and at the end the model
# answers every question with the same number. Nothing was wrong but one pair of
# brackets in a shape. By which rules do two shapes meet, and how do you see when they
# meet as you did not mean?

# %% [markdown]
# **You will be able to**
#
# - say the shape of the result for any two shapes, or that there is none;
# - put a dimension of length 1 where a tensor needs it;
# - compute what a broadcast costs in memory, and where it costs nothing;
# - say which shape the gradient of a stretched tensor has;
# - find the silent broadcast behind a loss or an accuracy that cannot be.
#
# **You need** [103 · Storage and views](103_storage_and_views.ipynb).
# **Time** 40 minutes.

# %% tags=["setup"]
import itertools

import torch

from helpers import canvas, draw, exercise, expect_error, pick_device, show
from helpers.errors import expect_warning

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
# In torch it does, and this is broadcasting (广播): before an operation that goes element
# by element, shapes that differ are made equal, by two rules.
#
# 1. Write the shapes one under the other, **flush right**. Where one has no length, put
#    a 1.
# 2. In each column the lengths must be equal, or one of them must be 1. A 1 is
#    **stretched** to the other length.
#
# With `(2, 3)` and `(3,)` the row is missing one length, it counts as `(1, 3)`, and its
# 1 is stretched to 2. The same by hand:

# %%
by_hand = row.unsqueeze(0).expand(2, 3)
assert (x + row).equal(x + by_hand)
by_hand.tolist()

# %% [markdown]
# Both sides may be stretched in one operation. Use the rules on the shapes `(4, 1, 3)`
# and `(5, 1)`. **Predict** the shape:

# %% tags=["predict"]
wide, tall = torch.zeros(4, 1, 3), torch.zeros(5, 1)
(wide + tall).shape

# %% [markdown]
# Written flush right, column by column:

# %% tags=["claim:C419"]
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
axes.set(xlim=(-3, 2.6), ylim=(-2.5, 0.5))
axes.set_axis_off()
told = "Each column has a 1 that is stretched; the one in brackets was put in front."
show(figure, told, "wide 4 1 3; tall (1) 5 1; the sum 4 5 3. The ones are orange.")
assert (wide + tall).shape == torch.broadcast_shapes((4, 1, 3), (5, 1)) == (4, 5, 3)

# %% [markdown]
# `torch.broadcast_shapes` answers for shapes alone, without any tensor. The rules are
# short enough to write down, and then they can be checked. This function returns the
# shape or `None`:


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
# Every shape of up to four dimensions with lengths from 0 to 3: there are 341 of them,
# and more than a hundred thousand pairs.

# %%
shapes = [s for rank in range(5) for s in itertools.product(range(4), repeat=rank)]
pairs = list(itertools.product(shapes, shapes))
assert len(shapes) == 341 and len(pairs) == 116_281
assert all(meet(a, b) == meet_in_torch(a, b) for a, b in pairs)

# %% [markdown]
# Not one exception. `broadcast_shapes` could itself be wrong about addition, so let a
# smaller set of real tensors add up:

# %%
for a, b in itertools.product(shapes[:85], shapes[:85]):
    if meet(a, b) is not None:
        assert (torch.zeros(a) + torch.zeros(b)).shape == meet(a, b)

# %% [markdown]
# How forgiving are the rules? For lengths from 1 to 3, here is the share of pairs that
# meet, by their numbers of dimensions:

# %%
ranks = {r: list(itertools.product((1, 2, 3), repeat=r)) for r in range(5)}
share = torch.zeros(5, 5, device="cpu")
for r, s in itertools.product(ranks, ranks):
    fits = [meet(a, b) is not None for a in ranks[r] for b in ranks[s]]
    share[r, s] = 100 * sum(fits) / len(fits)
figure, axes = canvas(3.6, 3.2)
axes.imshow(share, cmap="Blues", vmin=0, vmax=160)
for r, s in itertools.product(ranks, ranks):
    axes.text(s, r, f"{share[r, s]:.0f}", ha="center", va="center")
axes.set(
    xlabel="dimensions of b", ylabel="dimensions of a", xticks=range(5), yticks=range(5)
)
told = "Percent of shape pairs that meet: any shape meets a number; at rank 4, a third."
show(
    figure,
    told,
    "A 5 by 5 table from 100 in the first row and column down to 37 at rank 4.",
)

# %%
assert share[0].tolist() == [100] * 5
assert all(
    abs(share[r, s] - 100 * (7 / 9) ** min(r, s)) < 0.01 for r in ranks for s in ranks
)

# %% [markdown]
# With three possible lengths, seven of nine pairs of lengths fit: the three equal ones,
# and the four others with a 1 in them. Each further shared dimension is one more chance
# to be refused. So a broadcast that you did not mean is refused less often, the fewer
# dimensions your tensors have: vectors and columns are the dangerous ones.
#
# One corner of the rules surprises. A length of 0 is a length like the others.
# **Predict** the shape:

# %% tags=["predict"]
nothing, something = torch.zeros(0), torch.zeros(1)
(nothing + something).shape

# %% [markdown]
# "Stretched" was the wrong word here: the 1 takes the other length, even if that is 0,
# and the one element is gone. An empty batch plus a bias is an empty batch.

# %%
assert (nothing + something).shape == (0,)
assert (torch.zeros(0, 3) + torch.ones(3)).shape == (0, 3)
assert meet_in_torch((0,), (2,)) is None

# %% [markdown]
# ## Where does the 1 go?
#
# Flush right is good for the last dimension, and channels are not last. Feature maps of
# shape `(4, 32, 14, 14)`, one bias for each of the 32 channels:

# %%
maps, bias = torch.zeros(4, 32, 14, 14), torch.arange(32.0)
with expect_error(RuntimeError, "The size of tensor a (14) must match"):
    maps + bias

# %% [markdown]
# The message reads: of the two operands, `a` is the left one and `b` the right; the
# column that does not fit is dimension 3, counted from the left in the result; and
# "non-singleton" says that none of the two lengths is 1. The 32 landed under the width.
# The missing ones are put in front by rule 1, never behind. So you put them there, by
# `None` in an index or by `unsqueeze` or `view`:

# %% tags=["claim:C420"]
column = bias[:, None, None]
assert column.shape == (32, 1, 1) and column.equal(bias.view(32, 1, 1))
shifted = maps + column
assert shifted.shape == (4, 32, 14, 14)
assert all((shifted[:, channel] == channel).all() for channel in range(32))

# %% [markdown]
# The loop is not for show. Had the maps been 32 wide, `maps + bias` would have run, and
# added the bias of channel 5 to column 5 of every channel:

# %%
square = torch.zeros(4, 32, 32, 32)
wrong = square + bias
assert (wrong[..., 5] == 5).all() and not (wrong[:, 5] == 5).all()

# %% [markdown]
# A shape that fits by accident passes. **Rule.** When the lengths that meet are not the
# ones you mean, no message comes; say which dimension you mean with `None`.
#
# The same trick makes tables. One vector as a column, the other as a row, and every
# element of one meets every element of the other:

# %%
a, b = torch.tensor([10, 20, 30]), torch.tensor([1, 2, 3, 4])
table = a[:, None] + b
told = "A column and a row are stretched over each other: a table of all sums."
draw.grid(
    a[:, None], b, table, caption=told, titles=["a[:, None]", "b", "a[:, None] + b"]
)
assert table.shape == (3, 4) and table[2, 1] == 30 + 2

# %% [markdown]
# ## What does it cost?
#
# The stretched tensor costs nothing. `torch.broadcast_tensors` shows what an operation
# works on: views with stride 0, in which one element stands for many
# ([103](103_storage_and_views.ipynb) builds them with `expand`).

# %%
x_seen, row_seen = torch.broadcast_tensors(x, row)
assert row_seen.shape == (2, 3) and row_seen.stride() == (0, 1)
assert row_seen.data_ptr() == row.data_ptr()
row_seen.stride()

# %% [markdown]
# The result is another matter. It is a tensor of its own, at full size. A thousand
# points against a thousand, in 16 dimensions, all differences. **Predict** how many
# times as many numbers the result has as both inputs together:

# %% tags=["predict"]
points, centres = torch.zeros(1000, 16), torch.zeros(1000, 16)
differences = points[:, None] - centres
differences.numel() / (points.numel() + centres.numel())

# %% [markdown]
# Inputs of 32 thousand numbers became 16 million, 64 megabytes. If all you want is the
# distances, a table of 1000 by 1000 is enough, and `torch.cdist` returns it:

# %%
assert differences.shape == (1000, 1000, 16)
assert differences.untyped_storage().nbytes() == 64_000_000
few, others = torch.arange(6.0).reshape(3, 2), torch.tensor([[0.0, 1.0], [3.0, 5.0]])
by_broadcast = (few[:, None] - others).pow(2).sum(-1).sqrt()
assert by_broadcast.allclose(torch.cdist(few, others))
assert torch.cdist(points, centres).numel() * 16 == differences.numel()

# %% [markdown]
# In place, there is no new tensor, and the left side has only the memory that it has.
# The right side may be stretched, the left side may not:

# %%
y = x.clone()
y += row
assert y.equal(x + row)
with expect_error(RuntimeError, "doesn't match the broadcast shape"):
    row += x

# %% [markdown]
# `row = row + x` would run, and give the name `row` to a tensor of another shape.
#
# Backward, each element that was stretched has worked in several places, and the
# gradient adds up what comes back from them. So the gradient has the shape of the
# tensor, not of the result. **Predict** `slope.grad` after this:

# %% tags=["predict"]
inputs = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
slope = torch.ones(3, requires_grad=True)
(inputs * slope).sum().backward()
slope.grad.tolist()

# %% [markdown]
# Each of the three slopes multiplied two inputs; the sum of the two is its gradient:

# %%
assert slope.grad.equal(inputs.sum(dim=0))
assert slope.grad.shape == slope.shape

# %% [markdown]
# ## Which operations do it?
#
# An operator in Python is a method call: for `a * 2` Python asks `a`, and torch's
# answer is `torch.mul` (运算符重载, operator overloading). The notes name two such pairs,
# and both hold:

# %% tags=["claim:C122"]
v = torch.tensor([1.0, 2.0, 3.0])
assert (v**2).equal(torch.pow(v, 2)) and (v * 2).equal(torch.mul(v, 2))

# %% [markdown]
# With the number on the left, Python asks the number first, which knows nothing of
# tensors; then it asks the tensor for the operation from the right. So `2 ** v` works
# as well, and every operator of two operands follows the two rules, comparisons and bit
# operations among them:

# %%
assert (2**v).tolist() == [2, 4, 8] and (2 - v).tolist() == [1, 0, -1]
signs = (
    "add sub mul truediv floordiv mod pow eq ne lt le gt ge and or xor lshift rshift"
)
for name in signs.split():
    method = getattr(torch.Tensor, f"__{name}__")
    result = method(torch.ones(3, 1).int(), torch.ones(4).int())
    assert result.shape == (3, 4), name

# %% [markdown]
# One operator is different: `@` is a matrix product, which has rules of its own for the
# last two dimensions and broadcasts only those before them
# ([108](108_reductions_and_products.ipynb)). And
# Python's `and` is no operator of tensors: it asks for one truth value.

# %%
assert (torch.ones(5, 1, 2, 3) @ torch.ones(4, 3, 2)).shape == (5, 4, 2, 2)
with expect_error(RuntimeError, "Boolean value of Tensor with more than one value"):
    v > 1 and v < 3
assert ((v > 1) & (v < 3)).tolist() == [False, True, False]

# %% [markdown]
# ## Where it goes wrong
#
# **The loss of all against all.** This is the model of the first paragraph. Its layer
# returns a column, `(20, 1)`, the targets are a vector, `(20,)`, and by the rules their
# difference is a square. Each prediction is compared with every target:


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
target = 3 * torch.linspace(0, 1, 20) - 1
flat, right = fitted(target), fitted(target[:, None])
assert (torch.zeros(20, 1) - target).shape == (20, 20)
assert flat.allclose(target.mean().expand(20), atol=1e-3)
assert right.allclose(target, atol=1e-3)
all_pairs = [(p[:, None] - target).pow(2).mean() for p in (target, flat)]
assert all_pairs[1].allclose(target.var(correction=0)) and all_pairs[1] < all_pairs[0]

# %% [markdown]
# The best answer to all targets at once is their mean, so the line is flat. By this
# loss it is better than the perfect line, as the last two lines show. Drawn together:

# %%
figure, axes = canvas(5.6, 2.7)
position = torch.linspace(0, 1, 20).tolist()
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
# Give both sides one shape. A loss written by hand says nothing; torch's own warns:

# %%
with expect_warning(UserWarning, "is different to the input size"):
    torch.nn.functional.mse_loss(torch.zeros(20, 1), target)

# %% [markdown]
# **An accuracy of two hundred percent.** The same pair of shapes, with `==`:

# %%
guess, label = torch.tensor([[0], [1], [1], [1]]), torch.tensor([0, 1, 1, 1])
assert (guess == label).sum().item() / len(label) == 2.5
assert (guess.squeeze(1) == label).float().mean() == 1

# %% [markdown]
# An accuracy above 1 you notice. Now a batch with each of four classes once, and every
# guess wrong:

# %%
label = torch.tensor([0, 1, 2, 3])
guess = label.roll(1)[:, None]
assert (guess == label).sum().item() / len(label) == 1
assert (guess.squeeze(1) == label).float().mean() == 0

# %% [markdown]
# **The square that hides it.** Subtract from each row its mean. For most matrices the
# wrong line fails, and for a square one it subtracts from each column the mean of a
# row:

# %%
oblong, even = torch.arange(6.0).reshape(2, 3), torch.arange(9.0).reshape(3, 3)
with expect_error(RuntimeError, "The size of tensor a (3) must match"):
    oblong - oblong.mean(dim=1)
assert (even - even.mean(dim=1)).mean(dim=1).tolist() == [-3, 0, 3]
assert (even - even.mean(dim=1, keepdim=True)).mean(dim=1).tolist() == [0, 0, 0]

# %% [markdown]
# `keepdim=True` leaves a 1 where the reduced dimension was, and the 1 is what
# broadcasting needs. Test code with lengths that all differ, so that no accident can
# fit.

# %% [markdown]
# ## In practice
#
# Let one side be stretched freely: biases, masks and scales cost nothing extra. Be
# careful where both sides are: the result has the product of their lengths. Write `x[:,
# None]` where you mean it, since rule 1 never will. In a loss or a metric compare
# shapes first; `assert prediction.shape == target.shape` is one line. For shapes alone
# ask `torch.broadcast_shapes`. Test code with lengths that all differ.

# %% [markdown]
# ## Summary
#
# - Shapes meet flush right, missing lengths are 1, a 1 takes the other length
#   ([checked on 116,281 pairs](#How-do-two-shapes-meet?)).
# - The 1 behind a length is yours to put, by `None` or `unsqueeze`
#   ([shown](#Where-does-the-1-go?)).
# - Stretching is free, the result is not; in place the left side cannot grow
#   ([counted](#What-does-it-cost?)).
# - A gradient has the shape of its tensor, summed over what was stretched
#   ([shown](#What-does-it-cost?)).
# - `(n, 1)` against `(n,)` makes a square: compare shapes before values
#   ([cases](#Where-it-goes-wrong)).

# %% [markdown]
# ## Exercises
#
# ### Exercise 106.1 · Do they meet?
# *predict · ●○○ · 4 minutes*
#
# Give the shape of the sum, as a tuple, or the word `"error"`: **a** `(3, 4)` and
# `(4,)` **b** `(3, 4)` and `(3,)` **c** `(3, 1)` and `(3,)` **d** `(2, 1, 5)` and `(3,
# 1)` **e** `()` and `(2, 0)` **f** `(6, 2)` and `(3, 2)`

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
# ### Exercise 106.3 · Rows to the same scale
# *repair · ●●○ · 5 minutes*
#
# Each row of a matrix shall be divided by its own largest value. The matrices may be
# square. All values are above zero.


# %% tags=["exercise"]
def scaled_rows(x):
    return x / x.amax(dim=1)  # TODO: repair this line


# %%
exercise("106.3").check(scaled_rows)

# %% [markdown]
# ### Exercise 106.4 · City blocks
# *write · ●●○ · 7 minutes*
#
# The distance of two points in a city with straight streets is the sum of the absolute
# differences of their coordinates. From `a` of shape `(n, d)` and `b` of shape `(m, d)`
# compute the table of all distances, `(n, m)`, with one subtraction and no loop.


# %% tags=["exercise"]
def city_blocks(a, b):
    return ...  # TODO: a table of n times m distances


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
# In forward, a tensor of shape `shape` was broadcast to the shape of `gradient`. Return
# the gradient that belongs to it: sum over what was put in front, and over what was
# stretched, keeping its 1. Do not call backward.


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
