# %% [markdown]
# # 105 · Joining and cutting
#
# One worker of six never starts. A customer's number turns into somebody else's. Four
# of the rows that you test on are rows that you trained on. All three happen in this
# chapter, and none leaves a message. Before you join or cut, you have to know: how many
# pieces, along which dimension, in whose memory?

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
# **Time** 45 minutes.

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
# Along the joined dimension the lengths add up; all others must agree (one
# exception comes [at the end](#Where-it-goes-wrong)). `top` has two rows and `low` one,
# which did not matter here. It does when we join along dimension 1, for a length of 1
# is not stretched to fit:

# %% tags=["claim:C421"]
assert torch.cat([top, top, low], dim=0).shape == (2 + 2 + 1, 3)
with expect_error(RuntimeError, "must match except in dimension 1"):
    torch.cat([top, low], dim=1)

# %% [markdown]
# The message counts the inputs from 0: number 1 is `low`. Matrices of one shape can be
# joined along either dimension, and there is a third way. `torch.stack` (堆叠) lines
# them up along a dimension that none of them has; `dim` is the place of the new one in
# the shape of the result. **Predict** that shape for four matrices:

# %% tags=["predict"]
sheets = [torch.ones(2, 3) for _ in range(4)]
torch.stack(sheets, dim=1).shape

# %% [markdown]
# Four matrices, so the new length is 4, and it stands between the 2 and the 3. There
# are two more places for it, before and after. In the picture the cells that came from
# the second tensor are marked:

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
# do. `stack` is `cat` in disguise: give each input a dimension of length 1 at that
# place, then join along it. But it is stricter. No length may differ, not even the one
# along which `cat` has joined `top` and `low`:

# %% tags=["claim:C422"]
assert torch.stack(sheets, dim=1).shape == (2, 4, 3)
for dim in (-3, -2, -1, 0, 1, 2):
    longer = [part.unsqueeze(dim) for part in (a, b)]
    assert torch.stack([a, b], dim).equal(torch.cat(longer, dim))
with expect_error(RuntimeError, "stack expects each tensor to be equal size"):
    torch.stack([top, low])

# %% [markdown]
# Single numbers, one loss per step, say, are tensors of rank 0. They have no dimension
# along which to join them, so a list of them wants `stack`:

# %%
losses = [torch.tensor(0.5), torch.tensor(0.25), torch.tensor(0.125)]
assert torch.stack(losses).tolist() == [0.5, 0.25, 0.125]
with expect_error(RuntimeError, "zero-dimensional tensor"):
    torch.cat(losses)

# %% [markdown]
# **Rule.** `cat` keeps the number of dimensions and adds up one length; `stack` adds a
# dimension, as long as the list, and wants equal shapes.
#
# ## How many pieces do you get?
#
# Cutting (切分) has two questions, and a call for each. `split` is told how *long* a
# piece shall be, `chunk` how *many* there shall be. Like the joins, both go along
# dimension 0 unless you name another. Seven elements, first by length:

# %% tags=["claim:C424"]
seven = torch.arange(7)
assert [part.tolist() for part in seven.split(3)] == [[0, 1, 2], [3, 4, 5], [6]]
assert [part.tolist() for part in seven.split([2, 5])] == [[0, 1], [2, 3, 4, 5, 6]]
with expect_error(RuntimeError, "split_sizes to sum exactly to 7"):
    seven.split([2, 2])

# %% [markdown]
# A number gives pieces of that length, and a shorter one at the end if something is
# left over; a list gives each length and must use up everything. Then by number. The
# notes double a square matrix downwards and sideways, cut the wide one into two chunks
# along its rows, and get two matrices of one row:

# %% tags=["claim:C105"]
square = torch.ones(2, 2)
assert torch.cat((square, square), dim=0).shape == (4, 2)
wide = torch.cat((square, square), dim=1)
assert wide.shape == (2, 4)
assert [tuple(part.shape) for part in wide.chunk(2, dim=0)] == [(1, 4), (1, 4)]

# %% [markdown]
# Another note says that `chunk` returns as many pieces as you ask for, the last one
# smaller if the division is not even. So let us divide unevenly. **Predict** the
# lengths:

# %% tags=["predict"]
six = torch.arange(6)
[len(part) for part in six.chunk(4)]

# %% [markdown]
# Three pieces, and none of them shorter: the note is wrong on both counts. `chunk`
# turns the number into a length, six divided by four and rounded up, and cuts by that
# length. After three times two elements nothing is left for a fourth piece. So the
# number that you give is a limit. We check that for each length and each number from 1
# to 30:

# %% tags=["claim:C423"]
for n in range(1, 31):
    for count in range(1, 31):
        length = math.ceil(n / count)
        parts = torch.arange(n).chunk(count)
        assert [len(p) for p in parts] == [
            len(p) for p in torch.arange(n).split(length)
        ]
        assert len(parts) == math.ceil(n / length) <= count
assert [len(part) for part in six.chunk(4)] == [2, 2, 2]

# %% [markdown]
# `tensor_split` keeps its word: exactly the number asked for. All pieces get an equal
# share, and the elements that remain are dealt out one by one from the front. Where
# there are too few, the last pieces are empty:

# %%
for n in range(31):
    for count in range(1, 31):
        fair = [n // count + (k < n % count) for k in range(count)]
        assert [len(p) for p in torch.arange(n).tensor_split(count)] == fair
[[len(part) for part in six.tensor_split(count)] for count in (4, 8)]

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
# `tensor_split` it names the places where to cut, as indices. **Predict** the lengths
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
# `split` adds up its lengths and complains if they do not fit. Places are not checked.
# Seven rows to train on and three to test, by someone who takes places for lengths, and
# the last piece for the test set:

# %%
pieces = torch.arange(10).tensor_split([7, 3])
train, test = pieces[0].tolist(), pieces[-1].tolist()
assert train == [0, 1, 2, 3, 4, 5, 6] and test == [3, 4, 5, 6, 7, 8, 9]
sorted(set(train) & set(test))

# %% [markdown]
# Places are bounds of slices: up to 7, from 7 to 3, from 3 on. The middle one is empty,
# and four rows are in both sets.
#
# To take a dimension apart completely there is `unbind`: one piece for each index, and
# the dimension is gone. `stack` puts these together again, and `cat` puts together what
# the other three have cut by a number:

# %%
cube = torch.arange(24).reshape(2, 3, 4)
assert [tuple(part.shape) for part in cube.unbind(1)] == [(2, 4)] * 3
for dim in range(3):
    assert torch.stack(cube.unbind(dim), dim).equal(cube)
    for parts in (cube.chunk(2, dim), cube.split(2, dim), cube.tensor_split(3, dim)):
        assert torch.cat(parts, dim).equal(cube)

# %% [markdown]
# ## Whose memory is it?
#
# The way there and back gives equal numbers. Does it give the same memory? We cut a
# strip of six, join the pieces again, and then write into the first one. **Predict**
# what the last line shows:

# %% tags=["predict"]
strip = torch.arange(6)
left, right = strip.split(3)
back = torch.cat([left, right])
left[0] = 100
strip[0].item(), back[0].item()

# %% [markdown]
# The write shows in `strip` and not in `back`. A piece is a slice, and a slice is a
# view ([103](103_storage_and_views.ipynb)): cutting moves nothing.

# %%
told = "Both pieces are views: `left` begins where the strip does, `right` at place 3."
draw.storage(told, strip=strip, left=left, right=right)

# %% [markdown]
# Joining copies the pieces into new memory, even where they lie side by side already,
# even when there is a single piece to join. That holds for each cut and each join
# that we had, along each dimension:

# %%
for dim in range(3):
    for cut in (cube.split, cube.chunk, cube.tensor_split):
        parts = cut(2, dim=dim)
        assert all(shares_storage(cube, part) for part in parts)
        assert not shares_storage(cube, torch.cat(parts, dim))
    assert all(shares_storage(cube, part) for part in cube.unbind(dim))
    assert not shares_storage(cube, torch.cat([cube], dim))
    assert not shares_storage(cube, torch.stack([cube], dim))

# %% [markdown]
# **Rule.** A cut shares and copies nothing; a join copies everything and shares
# nothing.
#
# The copy has a price when you join in a loop. Below, 64 rows come in one at a time.
# One way appends each to what is there, the other collects them in a list and joins
# once. A join writes each element of its result, so we add these up:

# %%
rows = [torch.full((1, 8), i) for i in range(64)]
grown, written = rows[0], [0]
for row in rows[1:]:
    grown = torch.cat([grown, row])
    written.append(written[-1] + grown.numel())
once = torch.cat(rows)
assert grown.equal(once)
written[-1], once.numel()

# %% [markdown]
# Equal results; 16,632 elements written where 512 are enough. Twice as many rows make
# the single join twice as expensive, and the appending almost four times:

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
    "One curve bends upwards to 16,632; the other ends at 512 and looks almost flat.",
)

# %%
assert once.numel() == 8 * 64 and written[63] == sum(8 * n for n in range(2, 65))
assert 3.9 < written[63] / written[31] < 4

# %% [markdown]
# If you know the final size, you need no join at all: make the tensor first, and write
# each row where it belongs. Rows that are at hand already can be joined into such a
# tensor, the `out` of the join:

# %%
ready, filled = torch.empty_like(once), torch.empty_like(once)
for place, row in enumerate(rows):
    ready[place] = row[0]
address = filled.data_ptr()
torch.cat(rows, out=filled)
assert ready.equal(once) and filled.equal(once) and filled.data_ptr() == address

# %% [markdown]
# Gradients ([201](201_gradients_and_graphs.ipynb) introduces them) travel backwards,
# and backwards a join is a cut. We hand `backward` five numbers, one for each element
# of the result, and each input receives its part:

# %%
u, v = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
torch.cat([u, v]).backward(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]))
assert u.grad.tolist() == [1, 2] and v.grad.tolist() == [3, 4, 5]
u.grad.tolist(), v.grad.tolist()

# %% [markdown]
# ## What is horizontal?
#
# `hstack` and `vstack` paint a picture by their names: side by side, one above the
# other. For matrices the picture is right. **Predict** the two shapes:

# %% tags=["predict"]
columns, vectors = [torch.ones(3, 1)] * 2, [torch.ones(3)] * 2
torch.hstack(columns).shape, torch.hstack(vectors).shape

# %% [markdown]
# Two columns side by side are a matrix; two vectors end to end are a longer vector. A
# vector has no dimension 1, so `hstack` takes its only one. `vstack` turns vectors into
# rows first. Below, both are spelt out by `cat`, for tensors of rank 0 to 4.
# `atleast_1d` and `atleast_2d` put dimensions of length 1 in front until there are
# enough:

# %%
for rank in range(5):
    pair = [torch.arange(2**rank).reshape([2] * rank) + k for k in (0, 50)]
    flat, tall = map(torch.atleast_1d, pair), map(torch.atleast_2d, pair)
    assert torch.hstack(pair).equal(torch.cat(list(flat), dim=1 if rank > 1 else 0))
    assert torch.vstack(pair).equal(torch.cat(list(tall), dim=0))

# %% [markdown]
# So in spite of their names they do not stack matrices: both are `cat`. (For vectors,
# `vstack` does the same as `stack`.) The one that puts vectors side by side as columns
# is `column_stack`, or `stack` with `dim=1`:

# %%
x, y = torch.tensor([1, 2, 3]), torch.tensor([4, 5, 6])
assert torch.column_stack([x, y]).equal(torch.stack([x, y], dim=1))
assert torch.vstack([x, y]).equal(torch.stack([x, y]))
told = "Two vectors, three calls: end to end, as rows, as columns."
joined = (torch.hstack([x, y]), torch.vstack([x, y]), torch.column_stack([x, y]))
draw.grid(*joined, caption=told, titles=["hstack", "vstack", "column_stack"])

# %% [markdown]
# ## Where it goes wrong
#
# **An empty tensor to begin with.** Here is the exception: `cat` passes over an empty
# vector, a shape of `(0,)`, whatever the other shapes are. So you can start from
# `torch.empty(0)` and append in a loop. But `cat` looks for one type that suits all its
# inputs ([102](102_dtype_device_and_printing.ipynb) shows how), and the empty one is
# asked as well: it is float. Two customers go in, and somebody else comes out:

# %%
ids = [torch.tensor([16_777_217]), torch.tensor([42])]
found = torch.empty(0)
for some in ids:
    found = torch.cat([found, some])
assert found.dtype == torch.float32 and found.tolist() == [16_777_216, 42]
assert torch.cat([torch.empty(0), top, top], dim=1).shape == (2, 6)

# %% [markdown]
# Above 16,777,216, odd numbers do not fit into a float of 32 bits. The right way is
# shorter. The list is there already, so join it:

# %%
assert not (torch.arange(2**24 + 1, 2**24 + 999, 2).float() % 2).any()
found = torch.cat(ids)
assert found.dtype == torch.int64 and found.tolist() == [16_777_217, 42]

# %% [markdown]
# **A worker without work.** Ten rows for six workers: cut by `chunk`, hand out by
# `zip`. But `zip` stops at the shorter list, and nobody notices that worker `f` never
# starts.

# %%
workers = ["a", "b", "c", "d", "e", "f"]
ten = torch.arange(10)
busy = [worker for worker, _ in zip(workers, ten.chunk(6), strict=False)]
assert busy == ["a", "b", "c", "d", "e"]

# %% [markdown]
# `strict=True` would have told. With `tensor_split` there is nothing to tell:

# %%
with expect_error(ValueError, "argument 2 is shorter than argument 1"):
    dict(zip(workers, ten.chunk(6), strict=True))
shares = dict(zip(workers, ten.tensor_split(6), strict=True))
assert [len(part) for part in shares.values()] == [2, 2, 2, 2, 1, 1]

# %% [markdown]
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
# **A piece changed in place while gradients are recorded.** Here `weights` is computed
# from something that requires a gradient, so autograd keeps account of it. `unbind`
# returns all its views from one call, and autograd refuses a write into one of them:

# %%
weights = torch.ones(3, 2, requires_grad=True) * 2
first, *others = weights.unbind()
with expect_error(RuntimeError, "returns multiple views"):
    first.mul_(10)

# %% [markdown]
# The message goes on to ask for a new piece instead. Join that with the others. Or
# write through a view that has a call of its own, such as an index:

# %%
scaled = torch.stack([first * 10, *others])
weights[0].mul_(10)
assert weights.equal(scaled) and weights[:, 0].tolist() == [20, 2, 2]

# %% [markdown]
# `split` and `chunk` refuse as well. `tensor_split` does not: inside, it takes one
# slice after the other. `grad_fn`, where autograd notes how a tensor was made, gives it
# away:

# %%
for pieces in (weights.split(1), weights.chunk(3)):
    assert pieces[0].grad_fn.name() == "SplitBackward0"
    with expect_error(RuntimeError, "returns multiple views", lines=1):
        pieces[0].mul_(10)
piece = weights.tensor_split(3)[0]
assert piece.grad_fn.name() == "SliceBackward0"
piece.mul_(10)
assert weights[:, 0].tolist() == [200, 2, 2]

# %% [markdown]
# ## In practice
#
# Collect results in a Python list and join once, after the loop. While a join runs, the
# pieces and the result exist together; where memory is short and the final size known,
# write into a tensor made beforehand. A cut copies nothing, but each piece is a Python
# object of its own: cut into batches, not into a million elements. `clone` a piece that
# will outlive the whole, or it keeps all of it in memory
# ([103](103_storage_and_views.ipynb) shows that). Cut by `tensor_split` when the number
# matters, by `split` when the lengths do, and leave `chunk` to divisions that you know
# to be even. Where you mean a dimension, name it: `cat` with `dim=` says what `hstack`
# leaves to the shape.

# %% [markdown]
# ## Summary
#
# - `cat` adds up one length, `stack` adds a dimension, and `stack` is `unsqueeze` and
#   `cat` ([shown](#An-old-dimension-or-a-new-one?)).
# - `split` takes lengths, `chunk` a limit, `tensor_split` an exact number or places
#   ([counted](#How-many-pieces-do-you-get?)).
# - Pieces are views, joins are copies; in a loop the copies add up, so join once
#   ([added up](#Whose-memory-is-it?)).
# - `hstack` and `vstack` are `cat` from rank 2 on; of vectors, one runs them on, the
#   other makes rows ([by rank](#What-is-horizontal?)).
# - An empty tensor to begin with gives its type to the result; a list has none to give
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
# ### Exercise 105.3 · Labels, batch by batch
# *repair · ●●○ · 6 minutes*
#
# The function gets batches of labels, a list of at least one vector, all of one type,
# and returns all labels in one vector. It changes their type, and it copies most labels
# more than once. Repair both.


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
# - [torch.tensor_split](https://docs.pytorch.org/docs/stable/generated/torch.tensor_split.html):
#   the exact lengths, as a formula.
# - [torch.cat](https://docs.pytorch.org/docs/stable/generated/torch.cat.html): the
#   exception for empty tensors of one dimension, in one line.
