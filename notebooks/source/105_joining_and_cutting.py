# %% [markdown]
# # 105 · Joining and cutting
#
# Ask torch to cut six rows into four chunks. It returns three, and no message. Ask it
# to join two vectors "horizontally" and you get a longer vector; join two columns by
# the same call and you get a matrix. How many pieces, along which dimension, in whose
# memory: those three questions decide every call in this chapter.

# %% [markdown]
# **You will be able to**
#
# - choose between `cat` and `stack` and say the shape of the result;
# - say how many pieces `chunk`, `split` and `tensor_split` return, and how long each
#   is;
# - tell which side of a cut and of a join shares memory;
# - collect results in a loop without copying them again and again.
#
# **You need** [103 · Storage and views](103_storage_and_views.ipynb).
# **Time** 30 minutes.

# %% tags=["setup"]
import math

import torch

from helpers import canvas, draw, exercise, expect_error, pick_device, show
from helpers.memory import shares_storage

torch.set_default_device(pick_device())

# %% [markdown]
# ## An old dimension or a new one?
#
# Two pieces, one with two rows and one with a single row. `torch.cat` joins tensors
# along a dimension that they already have (拼接):

# %%
top = torch.tensor([[0, 1, 2], [3, 4, 5]])
low = torch.tensor([[6, 7, 8]])
joined = torch.cat([top, low], dim=0)
assert joined.tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
joined.shape

# %% [markdown]
# Numbered from 0 to 8, each value is its own place among the inputs. So the result
# itself can say where each of its cells was taken from:

# %%
told = "`cat` along dimension 0 lays the rows of its inputs one under the other."
draw.moves(
    [top, low], joined, taken=joined, caption=told, titles=["top", "low", "joined"]
)

# %% [markdown]
# Along the joined dimension the lengths add up; all others must agree. Here `top` and
# `low` have 2 and 1 rows, which did not matter. Along dimension 1 the rows must agree,
# and they do not:

# %% tags=["claim:C421"]
assert torch.cat([top, top, low], dim=0).shape == (2 + 2 + 1, 3)
with expect_error(RuntimeError, "must match except in dimension 1"):
    torch.cat([top, low], dim=1)

# %% [markdown]
# The message counts the inputs from 0: number 1 is `low`. Matrices of one shape can be
# joined either way, and there is a third way. `torch.stack` (堆叠) lays them on top of
# each other along a dimension that none of them has. **Predict** the shape:

# %% tags=["predict"]
sheets = [torch.ones(2, 3) for _ in range(4)]
torch.stack(sheets, dim=1).shape

# %% [markdown]
# Four matrices, so a new length of 4, and `dim=1` says where in the shape it goes. A
# matrix offers three places for it. In the picture the cells that came from the second
# tensor are marked:

# %%
a, b = torch.arange(6).reshape(2, 3), torch.arange(10, 16).reshape(2, 3)
ways = [torch.stack([a, b], dim) for dim in range(3)]
draw.grid(
    *ways,
    caption="The same twelve numbers, stacked along dimension 0, 1 and 2.",
    titles=[f"dim={dim}  {tuple(way.shape)}" for dim, way in enumerate(ways)],
    highlight=[way >= 10 for way in ways],
    columns=1,
)

# %% [markdown]
# Along 0 the matrices stay whole, along 1 their rows pair up, along 2 their elements
# do. Under `stack` is nothing new: give every input a dimension of length 1 there, and
# `cat`:

# %% tags=["claim:C422"]
assert torch.stack(sheets, dim=1).shape == (2, 4, 3)
for dim in (-3, -2, -1, 0, 1, 2):
    longer = [part.unsqueeze(dim) for part in (a, b)]
    assert torch.stack([a, b], dim).equal(torch.cat(longer, dim))
with expect_error(RuntimeError, "stack expects each tensor to be equal size"):
    torch.stack([top, low])

# %% [markdown]
# **Rule.** `cat` keeps the number of dimensions and adds up one length; `stack` adds a
# dimension, as long as the list, and wants equal shapes.
#
# ## How many pieces do you get?
#
# Cutting (切分) has two questions, and a call for each. `split` is told how *long* a
# piece shall be, `chunk` how *many* there shall be. Seven elements, first by length:

# %% tags=["claim:C424"]
seven = torch.arange(7)
assert [part.tolist() for part in seven.split(3)] == [[0, 1, 2], [3, 4, 5], [6]]
assert [part.tolist() for part in seven.split([2, 5])] == [[0, 1], [2, 3, 4, 5, 6]]
with expect_error(RuntimeError, "split_sizes to sum exactly to 7"):
    seven.split([2, 2])

# %% [markdown]
# A number gives pieces of that length and a remainder; a list gives each length and
# must use up everything. Then by number: the notes cut a matrix of two rows into two
# chunks, and get two matrices of one row.

# %% tags=["claim:C105"]
square = torch.ones(2, 2)
assert torch.cat((square, square), dim=0).shape == (4, 2)
wide = torch.cat((square, square), dim=1)
assert wide.shape == (2, 4)
assert [tuple(part.shape) for part in wide.chunk(2, dim=0)] == [(1, 4), (1, 4)]

# %% [markdown]
# Another note adds: `chunk` gives the number of pieces asked for, the last one shorter
# if the division is not even. Try it where the division is not even. **Predict** the
# lengths:

# %% tags=["predict"]
six = torch.arange(6)
[len(part) for part in six.chunk(4)]

# %% [markdown]
# Three pieces, all of one length, none shorter. `chunk` first turns the number into a
# length, six divided by four and rounded up, and then cuts by that length. Once two
# rows are taken three times, nothing is left for a fourth. The number that you give is
# a limit, and we can check that for each length and each number up to thirty:

# %% tags=["claim:C423"]
for n in range(1, 31):
    for count in range(1, 31):
        length = math.ceil(n / count)
        parts = torch.arange(n).chunk(count)
        assert [len(p) for p in parts] == [
            len(p) for p in torch.arange(n).split(length)
        ]
        assert len(parts) == math.ceil(n / length) <= count
assert len(six.chunk(4)) == 3

# %% [markdown]
# `tensor_split` is the call that keeps its word: exactly the number asked for, and
# lengths that differ by at most one. If there are not enough elements, the last pieces
# are empty:

# %%
lengths = [len(part) for part in six.tensor_split(4)]
assert lengths == [2, 2, 1, 1]
assert [len(part) for part in six.tensor_split(8)] == [1, 1, 1, 1, 1, 1, 0, 0]
lengths

# %% [markdown]
# Twelve elements, and each number of pieces from 1 to 12:

# %%
twelve, asked = torch.arange(12), range(1, 13)
figure, axes = canvas(6.5, 2.9)
for name, mark in (("tensor_split", "o"), ("chunk", "s")):
    got = [len(getattr(twelve, name)(count)) for count in asked]
    axes.plot(asked, got, mark, linestyle="-", label=name, markersize=7)
axes.set(xlabel="pieces asked for", ylabel="pieces returned", xticks=asked)
axes.legend()
told = "`tensor_split` returns what was asked for; `chunk` fewer for 5 and 7 to 11."
show(
    figure,
    told,
    "A diagonal for tensor_split; chunk stays at 4 for 5 and at 6 from 6 to 11.",
)

# %%
assert [len(twelve.tensor_split(count)) for count in asked] == list(asked)
assert [k for k in asked if len(twelve.chunk(k)) < k] == [5, 7, 8, 9, 10, 11]

# %% [markdown]
# One more difference hides in the list. To `split`, a list names lengths. To
# `tensor_split` it names the places where to cut, as in numpy. **Predict** the lengths
# that the second one gives:

# %% tags=["predict"]
by_lengths, by_places = seven.split([2, 5]), seven.tensor_split([2, 5])
[len(part) for part in by_places]

# %% [markdown]
# Two places to cut make three pieces: up to 2, from 2 to 5, the rest. Read as lengths,
# the same list makes two.

# %%
assert by_places[1].equal(seven[2:5]) and by_places[2].equal(seven[5:])
assert len(by_lengths) == 2 and by_lengths[1].equal(seven[2:])

# %% [markdown]
# To take a dimension apart completely there is `unbind`: one piece for each index, and
# the dimension is gone. It undoes `stack`, as `cat` undoes the other three:

# %%
for dim in range(3):
    cube = torch.arange(24).reshape(2, 3, 4)
    assert torch.stack(cube.unbind(dim), dim).equal(cube)
    for parts in (cube.chunk(2, dim), cube.split(2, dim), cube.tensor_split(3, dim)):
        assert torch.cat(parts, dim).equal(cube)

# %% [markdown]
# ## Whose memory is it?
#
# The way there and back gives equal numbers. Does it give the same memory? Cut a strip
# of six, and write into the first piece. **Predict** what the last line shows:

# %% tags=["predict"]
strip = torch.arange(6)
left, right = strip.split(3)
back = torch.cat([left, right])
left[0] = 100
strip[0].item(), back[0].item()

# %% [markdown]
# The write shows in `strip` and not in `back`. A piece is a slice, and a slice is a
# view: cutting moves nothing. Joining has to bring the pieces into one row of memory,
# so it copies, even where the pieces lie side by side already:

# %%
told = "Both pieces are views of the strip: the same storage, another offset."
draw.storage(told, strip=strip, left=left, right=right)

# %% [markdown]
# That holds for each of the cuts and each of the joins here, also for a join of one:

# %%
cuts = (strip.split(2), strip.chunk(2), strip.tensor_split(4), strip.unbind())
assert all(shares_storage(strip, part) for parts in cuts for part in parts)
joins = (torch.cat, torch.stack, torch.hstack, torch.vstack)
assert not any(shares_storage(strip, join([strip])) for join in joins)

# %% [markdown]
# **Rule.** Cutting is free and shares; joining costs a copy and does not.
#
# The copy has a price when you join in a loop. Below, 64 rows come in one at a time.
# One way appends each to what is there, the other collects them in a list and joins
# once. We count each element that a join has to write:

# %%
rows = [torch.full((1, 8), i) for i in range(64)]
grown, written = rows[0], [8]
for row in rows[1:]:
    grown = torch.cat([grown, row])
    written.append(written[-1] + grown.numel())
once = torch.cat(rows)
assert grown.equal(once) and once.numel() == 512 and written[-1] == 16_640

# %% [markdown]
# Equal results; 16,640 elements written where 512 are enough. Twice the rows make the
# appending four times as expensive, the joining twice:

# %%
figure, axes = canvas(6.5, 2.7)
counts = range(1, 65)
axes.plot(counts, written, label="append to the tensor each time")
axes.plot(counts, [8 * n for n in counts], label="append to a list, cat once")
axes.set(xlabel="rows of 8 elements", ylabel="elements written")
axes.legend()
told = "Appending by `cat` in a loop copies everything again at every step."
show(
    figure,
    told,
    "One curve bends upwards to 16,640; the other stays nearly flat, at 512.",
)

# %%
assert written[-1] == sum(8 * n for n in range(1, 65)) == 32.5 * once.numel()
assert 3.9 < written[63] / written[31] < 4

# %% [markdown]
# If you know the final size, you need no join at all: make the tensor first and write
# each row where it belongs. Or hand that tensor to the join, as `out`:

# %%
ready = torch.empty(64, 8, dtype=torch.int64)
place = ready.data_ptr()
torch.cat(rows, out=ready)
assert ready.equal(once) and ready.data_ptr() == place

# %% [markdown]
# Gradients go the other way: backward through a join is a cut. Each input receives its
# part of the gradient:

# %%
u, v = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
torch.cat([u, v]).backward(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]))
assert u.grad.tolist() == [1, 2] and v.grad.tolist() == [3, 4, 5]

# %% [markdown]
# ## What is horizontal?
#
# `hstack` and `vstack` come from numpy, and their names paint a picture: side by side,
# one above the other. For matrices the picture is right. **Predict** the two shapes:

# %% tags=["predict"]
columns, vectors = [torch.ones(3, 1)] * 2, [torch.ones(3)] * 2
torch.hstack(columns).shape, torch.hstack(vectors).shape

# %% [markdown]
# Two columns side by side are a matrix; two vectors end to end are a longer vector. A
# vector has no dimension 1, so `hstack` takes its only one. `vstack` turns vectors into
# rows first. Spelt out as what they do, for tensors of rank 0 to 4:

# %%
for rank in range(5):
    pair = [torch.arange(2**rank).reshape([2] * rank) + k for k in (0, 50)]
    flat, tall = map(torch.atleast_1d, pair), map(torch.atleast_2d, pair)
    assert torch.hstack(pair).equal(torch.cat(list(flat), dim=1 if rank > 1 else 0))
    assert torch.vstack(pair).equal(torch.cat(list(tall), dim=0))

# %% [markdown]
# In spite of their names neither of them adds a dimension to a matrix: both are `cat`.
# The one that puts vectors side by side as columns is `column_stack`, or `stack` with
# `dim=1`:

# %%
x, y = torch.tensor([1, 2, 3]), torch.tensor([4, 5, 6])
assert torch.column_stack([x, y]).equal(torch.stack([x, y], dim=1))
told = "Two vectors, three calls: end to end, as rows, as columns."
joined = (torch.hstack([x, y]), torch.vstack([x, y]), torch.column_stack([x, y]))
draw.grid(*joined, caption=told, titles=["hstack", "vstack", "column_stack"])

# %% [markdown]
# ## Where it goes wrong
#
# **An empty tensor to begin with.** Many loops start from `torch.empty(0)` and append.
# It runs, because `cat` passes over an empty vector whatever the other shapes are. But
# the empty tensor brings its type, and the result takes the wider one
# ([102](102_dtype_device_and_printing.ipynb) has the table). Two identifiers come back,
# and one of them is another customer:

# %%
ids = [torch.tensor([16_777_217]), torch.tensor([42])]
found = torch.empty(0)
for some in ids:
    found = torch.cat([found, some])
assert found.dtype == torch.float32 and found.tolist() == [16_777_216, 42]

# %% [markdown]
# From 16,777,216 on, a float of 32 bits has no room for odd numbers. The right way is
# shorter. Collect, and join what was collected:

# %%
assert torch.tensor([16_777_217.0]).item() == 16_777_216
found = torch.cat(ids)
assert found.dtype == torch.int64 and found.tolist() == [16_777_217, 42]

# %% [markdown]
# **A worker without work.** Ten rows for six workers, `chunk`, `zip`: `zip` stops at
# the shorter list, so nobody notices that the last worker never starts.

# %%
workers = ["a", "b", "c", "d", "e", "f"]
ten = torch.arange(10)
busy = [worker for worker, _ in zip(workers, ten.chunk(len(workers)), strict=False)]
assert busy == ["a", "b", "c", "d", "e"]
fair = dict(zip(workers, ten.tensor_split(len(workers)), strict=True))
assert [len(part) for part in fair.values()] == [2, 2, 2, 2, 1, 1]

# %% [markdown]
# `strict=True` would have told. With `tensor_split` there is nothing to tell.
#
# **A vector among the batches.** One batch arrives without its first dimension, as a
# single sample does. `cat` does not guess:

# %%
batch, sample = torch.ones(4, 3), torch.ones(3)
with expect_error(
    RuntimeError, "Tensors must have same number of dimensions: got 2 and 1"
):
    torch.cat([batch, sample])
assert torch.cat([batch, sample.unsqueeze(0)]).shape == (5, 3)

# %% [markdown]
# **A piece changed in place while gradients are recorded.** `unbind` returns several
# views from one call, and autograd refuses a write into one of them:

# %%
weights = torch.ones(3, 2, requires_grad=True) * 2
first, *others = weights.unbind()
with expect_error(RuntimeError, "returns multiple views"):
    first.mul_(10)

# %% [markdown]
# `split` and `chunk` refuse as well. Do as the message says and make a new piece, then
# join again. Or take a single view by its index, which may be written to:

# %%
for pieces in (weights.split(1), weights.chunk(3)):
    with expect_error(RuntimeError, "returns multiple views", lines=1):
        pieces[0].mul_(10)
scaled = torch.stack([first * 10, *others])
weights[0].mul_(10)
assert weights.equal(scaled) and weights[:, 0].tolist() == [20, 2, 2]

# %% [markdown]
# ## In practice
#
# Collect results in a Python list and join once, after the loop. Where the final size
# is known, and memory is short, write into a tensor made beforehand: while a join runs,
# pieces and result exist together. Skip connections that join feature maps pay that
# copy in every forward pass. Cutting costs nothing, so cut late and as finely as you
# like, but clone a piece that will outlive the whole, or it keeps the whole alive. Cut
# by `tensor_split` when the number matters, by `split` when the length does, and leave
# `chunk` to those cases where the division is known to be even.

# %% [markdown]
# ## Summary
#
# - `cat` adds up one length, `stack` adds a dimension, and `stack` is `unsqueeze` and
#   `cat` ([shown](#An-old-dimension-or-a-new-one?)).
# - `split` takes lengths, `chunk` a limit, `tensor_split` an exact number or places
#   ([counted](#How-many-pieces-do-you-get?)).
# - Pieces are views, joins are copies; in a loop the copies add up
#   ([measured](#Whose-memory-is-it?)).
# - `hstack` and `vstack` are `cat`, with vectors treated specially
#   ([by rank](#What-is-horizontal?)).
# - A join starts from a list, never from an empty tensor
#   ([cases](#Where-it-goes-wrong)).

# %% [markdown]
# ## Exercises
#
# ### Exercise 105.1 · Four shapes
# *predict · ●○○ · 3 minutes*
#
# `p` and `q` have the shape `(3, 5)`. Give the shapes of `torch.cat([p, q], 1)`,
# `torch.stack([p, q], 1)`, `torch.stack([p, q], -1)` and `torch.vstack([p[0], q[0]])`.

# %% tags=["exercise"]
answer = ...  # TODO: a list of four tuples

# %%
exercise("105.1").check(answer)

# %% [markdown]
# ### Exercise 105.2 · Eleven, cut four ways
# *predict · ●●○ · 4 minutes*
#
# `x = torch.arange(11)`. Give the lengths of the pieces of `x.chunk(5)`, `x.split(5)`,
# `x.tensor_split(5)` and `x.tensor_split([5])`.

# %% tags=["exercise"]
answer = ...  # TODO: a list of four lists of integers

# %%
exercise("105.2").check(answer)

# %% [markdown]
# ### Exercise 105.3 · The list of winners
# *repair · ●●○ · 6 minutes*
#
# The function gets batches of labels, a list of at least one vector, and returns all
# labels in one vector. It changes their type, and it copies far too much.


# %% tags=["exercise"]
def all_labels(batches):
    labels = torch.empty(0)
    for batch in batches:
        labels = torch.cat([labels, batch])  # TODO: repair the loop
    return labels


# %%
exercise("105.3").check(all_labels)

# %% [markdown]
# ### Exercise 105.4 · How often is chunk short?
# *measure · ●●○ · 5 minutes*
#
# For how many lengths `n` from 1 to 100 does `torch.arange(n).chunk(8)` return fewer
# than eight pieces?

# %% tags=["exercise"]
answer = ...  # TODO: a number, counted by a loop

# %%
exercise("105.4").check(answer)

# %% [markdown]
# ### Exercise 105.5 · Like a zip
# *write · ●●○ · 7 minutes*
#
# Two tensors of the same shape, of rank 1 or more. Return one that has their rows
# alternately: the first of `a`, the first of `b`, the second of `a`, and so on. One
# join, no loop.


# %% tags=["exercise"]
def interleave(a, b):
    return ...  # TODO: a tensor with twice as many rows


# %%
exercise("105.5").check(interleave)

# %% [markdown]
# ### Exercise 105.6 · Rows of unequal length
# *write · ●●● · 10 minutes*
#
# A list of at least one vector, of different lengths and one type. Return a matrix with
# one row for each, filled up with zeros on the right to the longest. `stack` wants
# equal shapes; how you get there is up to you. The type of the vectors stays.


# %% tags=["exercise"]
def padded(vectors):
    return ...  # TODO: a matrix of as many rows as there are vectors


# %%
exercise("105.6").check(padded)

# %% [markdown]
# ## Next
#
# [106 · Broadcasting](106_broadcasting.ipynb): tensors of different shapes meet without
# being joined, and nothing is copied to make them fit.
#
# -
#   [torch.tensor_split](https://docs.pytorch.org/docs/stable/generated/torch.tensor_split.html):
#   the exact lengths, as a formula.
# - [torch.cat](https://docs.pytorch.org/docs/stable/generated/torch.cat.html): the
#   exception for empty tensors of one dimension, in one line.
