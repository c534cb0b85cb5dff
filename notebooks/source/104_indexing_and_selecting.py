# %% [markdown]
# # 104 · Indexing and selecting
#
# `a[mask] = -1` writes into `a`. `a[mask][1:] = -1` changes nothing that you will ever
# see, and says nothing about it. One pair of brackets stands for two machines: one
# moves a window over the memory, the other walks to the elements one by one and brings
# them home. Which of them answers you, and what does it do when you write?

# %% [markdown]
# **You will be able to**
#
# - say the shape of an indexed tensor, and whether it is a view, before you run it;
# - pick pairs or a whole block with lists, and say where the new dimension stands;
# - choose between a mask, `masked_fill` and `where`;
# - read `gather` and `scatter_` as one line of index arithmetic;
# - find writes and gradients that get lost without a message.
#
# **You need** [103 · Storage and views](103_storage_and_views.ipynb).
# **Time** 50 minutes.

# %% tags=["setup"]
import itertools

import torch

from helpers import draw, exercise, expect_error, expect_warning, pick_device
from helpers.memory import shares_storage

torch.set_default_device(pick_device())

# %% [markdown]
# ## What does an index do to a dimension?
#
# Two ways to ask a matrix for the first two numbers of its first row. **Predict** both
# shapes:

# %% tags=["predict"]
d = torch.arange(12).reshape(3, 4)
d[0:1, :2].shape, d[0, :2].shape

# %% [markdown]
# A slice (切片) keeps its dimension, be it of length 1; an integer takes one element of
# the dimension, and the dimension is gone.

# %% tags=["claim:C104"]
assert d[0:1, :2].shape == (1, 2) and d[0, :2].shape == (2,)
assert d[0:1, :2].tolist() == [d[0, :2].tolist()]

# %% [markdown]
# The numbers in `d` are their own places, so a result can tell where it was taken. A
# column by slice stays a column; by integer it has one dimension, drawn as a row:

# %%
by_slice, by_integer = d[:, 1:2], d[:, 1]
names = ["d", "d[:, 1:2]  (3, 1)", "d[:, 1]  (3,)"]
told = "The same three places, once with two dimensions and once with one."
results = [by_slice, by_integer]
draw.moves(d, results, taken=results, titles=names, caption=told)

# %% [markdown]
# Two more things may stand between the brackets. `None` makes a dimension of length 1;
# `...` stands for as many `:` as are missing. **Predict** the shape:

# %% tags=["predict"]
cube = torch.arange(24).reshape(2, 3, 4)
cube[1, ..., None, ::2].shape

# %% [markdown]
# The 2 is gone, the 3 is kept by `...`, `None` adds a 1, and a step of two leaves two
# of four. Those are all the rules there are for integers, slices, `None` and `...`,
# which together are called basic indexing (基本索引). As a program:


# %%
def shape_of(key, shape):
    missing = len(shape) - sum(part not in (None, ...) for part in key)
    at = key.index(...) if ... in key else len(key)
    lengths, result = iter(shape), []
    for part in key[:at] + (slice(None),) * missing + key[at + 1 :]:
        length = 1 if part is None else next(lengths)
        if isinstance(part, slice):
            length = len(range(length)[part])
        if not isinstance(part, int):
            result.append(length)
    return tuple(result)


# %% [markdown]
# We hold it against torch for every way to put one, two or three of six parts together,
# `...` once at most:

# %%
parts = (1, -1, slice(1, None), slice(0, 2, 2), None, ...)
keys = [key for n in (1, 2, 3) for key in itertools.product(parts, repeat=n)]
keys = [key for key in keys if key.count(...) <= 1]
for key in keys:
    assert cube[key].shape == shape_of(key, cube.shape)
    assert shares_storage(cube, cube[key])
len(keys)

# %% [markdown]
# The last assertion is the reason why basic indexing is cheap: each of these results is
# a view (视图) of `cube`. Nothing was copied.
#
# A slice is patient and an integer is not. Where a slice reaches beyond the end you get
# what there is, if only an empty tensor:

# %%
assert d[1:100].shape == (2, 4) and d[7:9].shape == (0, 4)
with expect_error(IndexError, "index 7 is out of bounds for dimension 0 with size 3"):
    d[7]

# %% [markdown]
# Negative integers count from the end, negative steps are refused
# ([103](103_storage_and_views.ipynb) shows why):

# %%
assert d[-1, -1] == 11 and d[:, -2:].equal(d[:, 2:])
with expect_error(ValueError, "step must be greater than zero"):
    d[::-1]

# %% [markdown]
# ## When is the answer a copy?
#
# Rows 0 and 2, once by slice and once by a list of indices. The numbers agree. The
# memory does not:

# %%
assert d[[0, 2]].equal(d[::2])
assert shares_storage(d, d[::2]) and not shares_storage(d, d[[0, 2]])

# %% [markdown]
# A list of integers, an index tensor (索引张量) or a mask (掩码, a tensor of truth values)
# anywhere between the brackets makes it advanced indexing (高级索引), and the result has
# memory of its own. Into the same game we put a list or an index tensor, and try three
# masks:

# %%
collecting = ([0, 1], torch.tensor([1]))
mixed = [k for n in (1, 2, 3) for k in itertools.product(parts + collecting, repeat=n)]
mixed = [k for k in mixed if sum(part is ... for part in k) <= 1]
mixed = [k for k in mixed if any(part is c for part in k for c in collecting)]
assert not any(shares_storage(cube, cube[key]) for key in mixed)
masked = [cube[cube > 5], cube[:, cube[0] > 5], cube[1, cube[1] > 14]]
assert not any(shares_storage(cube, result) for result in masked) and len(mixed) > 300

# %% [markdown]
# One kind of index tensor is an exception. An integer of 32 or 64 bits that happens to
# be a tensor without dimensions counts as the integer that it holds:

# %%
one = torch.tensor(1)
for index in (one, one.int()):
    assert shares_storage(d, d[index]) and not shares_storage(d, d[index[None]])
d[one].shape, d[one[None]].shape

# %% [markdown]
# Reading, you may not mind a copy. Writing, you do. Here are three writes, one after
# the other. **Predict** the numbers at the end:

# %% tags=["predict"]
a = torch.arange(6)
a[2:][1:] = -1
a[[0, 1]][1] = 70
a[a == 0] += 50
a.tolist()

# %% [markdown]
# The first and the third arrive, the second is lost. To see why, write the brackets as
# the calls that Python makes of them. The last pair before `=` is a `__setitem__`; each
# pair before that is a `__getitem__`:

# %%
assert a.tolist() == [50, 1, 2, -1, -1, -1]
chained = torch.arange(6)
chained.__getitem__([0, 1]).__setitem__(1, 70)  # [[0, 1]][1] = 70
assert chained.equal(torch.arange(6))
chained.__setitem__([0, 1], 70)  # [[0, 1]] = 70
chained.tolist()

# %% [markdown]
# So the lost write went into a copy that nobody keeps. Two slices in a row are two
# views. And `+=` behind one pair of brackets gets, adds, and sets again. Give the copy
# a name, and the set does not happen:

# %%
picked = a[a < 0]
picked += 1000
assert picked.tolist() == [999] * 3 and a.tolist() == [50, 1, 2, -1, -1, -1]

# %% [markdown]
# Back to the first lines of this chapter. To write into a part of what a mask picks,
# use the mask on the places, and then write with one pair of brackets:

# %%
b = torch.arange(6)
b[b > 2][1:] = -1
assert b.equal(torch.arange(6))
places = torch.arange(6)[b > 2]
b[places[1:]] = -1
assert b.tolist() == [0, 1, 2, 3, -1, -1]

# %% [markdown]
# **Rule.** Reading by list, mask or index tensor (of one dimension or more) copies. A
# write reaches the tensor if everything before the last pair of brackets is a view of
# it.

# %% [markdown]
# ## What do several lists pick?
#
# One list picks along one dimension; `index_select` does the same by the number of the
# dimension:

# %% tags=["claim:C106"]
columns = d.index_select(1, torch.tensor([0, 2]))
assert columns.equal(d[:, [0, 2]]) and not shares_storage(d, columns)
columns.tolist()

# %% [markdown]
# The notes (the study notes from which this book grew) warn that its index may not be
# float. That is so; 32 or 64 bit integers are welcome. We ask on the CPU:

# %% tags=["claim:C425"]
on_cpu, index = d.cpu(), torch.tensor([0, 2], device="cpu")
assert on_cpu.index_select(0, index).tolist() == [[0, 1, 2, 3], [8, 9, 10, 11]]
assert on_cpu.index_select(0, index.int()).equal(on_cpu.index_select(0, index))
with expect_error(RuntimeError, "Expected dtype int32 or int64 for index"):
    on_cpu.index_select(0, index.float())

# %% [markdown]
# Brackets refuse a float tensor as well. A *list* of floats they take, and cut off the
# fractions without a word:

# %%
with expect_error(
    IndexError, "tensors used as indices must be long, int, byte or bool"
):
    d[torch.tensor([0.9, 2.9])]
assert d[[0.9, 2.9]].equal(d[[0, 2]])

# %% [markdown]
# And several lists? **Predict** how many numbers the notes' example picks out of
# twenty-seven:

# %% tags=["predict"]
x = torch.arange(27).view(3, 3, 3)
x[[1, 2], [1, 2], [2, 0]].numel()

# %% [markdown]
# Two: the lists walk side by side, one element for each step. A shorter list of length
# 1 is stretched, by the rules of [broadcasting (广播)](106_broadcasting.ipynb):

# %% tags=["claim:C117"]
assert x[[1, 2], [1, 2], [2, 0]].tolist() == [x[1, 1, 2], x[2, 2, 0]] == [14, 24]
assert x[[2, 1, 0], [0], [1]].tolist() == [x[2, 0, 1], x[1, 0, 1], x[0, 0, 1]]
assert x[[0, 2], ...].equal(torch.stack([x[0], x[2]]))
with expect_error(IndexError, "could not be broadcast together with shapes [2], [3]"):
    x[[0, 1], [0, 1, 2]]

# %% [markdown]
# So two lists for a matrix give pairs, not a block. For the block, stand one of them up
# as a column, and let broadcasting make all pairs:

# %%
rows, cols = torch.tensor([0, 2]), torch.tensor([1, 3])
pairs, block = d[rows, cols], d[rows[:, None], cols]
assert pairs.tolist() == [1, 11] and block.equal(d[rows][:, cols])
told = "Lists side by side pick pairs; a column and a row pick a block."
names = ["d", "d[rows, cols]", "d[rows[:, None], cols]"]
draw.moves(d, [pairs, block], taken=[pairs, block], titles=names, caption=told)

# %% [markdown]
# And a list of lists? As an index tensor, its four numbers would pick four rows. Alone
# between the brackets it is read as two lists, and a warning says that this is to change:

# %%
nested = [[0, 1], [1, 2]]
with expect_warning(UserWarning, "Using a non-tuple sequence"):
    assert d[nested].equal(d[[0, 1], [1, 2]]) and d[nested].shape == (2,)
assert d[torch.tensor(nested)].shape == d[nested, :].shape == (2, 2, 4)

# %% [markdown]
# The shape of the result is the shape that the lists broadcast to. It takes the place
# of the dimensions that the lists stand for, and slices keep theirs. But what if a
# slice stands *between* the lists? **Predict** the two shapes:

# %% tags=["predict"]
together = cube[:, [0, 1, 2, 2], [3, 3, 1, 0]]
apart = cube[[0, 1], :, [1, 3]]
together.shape, apart.shape

# %% [markdown]
# Together, the lists leave their one dimension where they stood. Apart, there is no one
# place, and it goes to the front. The two picks below are columns of a page, and arrive
# as rows:

# %%
assert together.tolist() == [[3, 7, 9, 8], [15, 19, 21, 20]] and apart.shape == (2, 3)
marks = torch.zeros_like(cube, dtype=torch.bool)
marks[[0, 1], :, [1, 3]] = True
told = "Lists on both sides of a slice: each picked column becomes a row."
names = ["cube", "cube[[0, 1], :, [1, 3]]"]
draw.grid(cube, apart, highlight=[marks, None], titles=names, caption=told)

# %% [markdown]
# Here is the rule for two lists, in each two of four dimensions:

# %%
four = torch.zeros(3, 4, 5, 6)
for i, j in itertools.combinations(range(4), 2):
    key = tuple([0, 1] if dim in (i, j) else slice(None) for dim in range(4))
    rest = [length for dim, length in enumerate(four.shape) if dim not in (i, j)]
    place = i if j == i + 1 else 0
    assert four[key].shape == (*rest[:place], 2, *rest[place:])

# %% [markdown]
# An integer beside a list is where torch and NumPy part. NumPy treats the integer as
# one more list; torch takes it first, and one list is left, which stays where it is:

# %%
torch_says = cube[0, :, [1, 3]].shape
array = cube.cpu().numpy()
numpy_says = array[0, :, [1, 3]].shape
assert torch_says == (3, 2) and numpy_says == array[[0], :, [1, 3]].shape == (2, 3)
assert cube[0][:, [1, 3]].shape == array[0][:, [1, 3]].shape == (3, 2)
tuple(torch_says), numpy_says

# %% [markdown]
# As the last assertion says, two pairs of brackets leave no doubt.

# %% [markdown]
# ## What does a mask keep?
#
# A comparison makes a mask, and a mask in brackets keeps the elements where it is true.
# One of the notes calls the function `torch.mask_select`, and comments `mask = t.le(5)`
# with "pick out the numbers greater than 5". **Predict** what comes out:

# %% tags=["predict"]
t = torch.tensor([[4, 5, 0], [5, 7, 1], [2, 5, 8]])
mask = t.le(5)
t.masked_select(mask).tolist()

# %% [markdown]
# `le` is less or equal, and a mask keeps what it marks. The numbers greater than 5 need
# `gt`, and the function is `masked_select`:

# %% tags=["claim:C426", "claim:C428"]
assert t.masked_select(mask).tolist() == t[mask].tolist() == [4, 5, 0, 5, 1, 2, 5]
assert t.masked_select(t.gt(5)).tolist() == t[~mask].tolist() == [7, 8]
assert not hasattr(torch, "mask_select")

# %% [markdown]
# The result has one dimension, for what a mask marks need not be a rectangle. Must the
# mask have the shape of the input, as the same note says? `masked_select` broadcasts.
# Brackets do not: there the mask stands for as many dimensions as it has, from where it
# stands.

# %% tags=["claim:C427"]
ends = torch.tensor([True, False, True])
assert t.masked_select(ends).tolist() == [4, 0, 5, 1, 2, 8]
assert t.masked_select(ends[:, None]).equal(t[ends].flatten())
assert t[ends].equal(t[[0, 2]]) and t[:, ends].equal(t[:, [0, 2]])
assert t[[True, False, True]].equal(t[ends])
assert cube[cube[..., 0] > 4].shape == (4, 4)
with expect_error(IndexError, "The shape of the mask [3, 1] at index 1 does not match"):
    t[ends[:, None]]

# %% [markdown]
# The mask for `cube` stands for the first two of three dimensions, and its four true
# places are four rows. A list of truth values is a mask, too. Of `ends`, here are three
# readings:

# %%
by_row, by_column = ends[:, None].expand(3, 3), ends.expand(3, 3)
readings = {
    "masked_select(ends)": by_column,
    "t[ends]": by_row,
    "t[:, ends]": by_column,
}
results = [t.masked_select(ends), t[ends], t[:, ends]]
draw.grid(
    *(drawn for result in results for drawn in (t, result)),
    highlight=[mark for places in readings.values() for mark in (places, None)],
    titles=[name for reading in readings for name in ("t", reading)],
    caption="Broadcast, the mask marks what `t[:, ends]` picks, and the shape is lost.",
    columns=2,
)

# %% [markdown]
# Another asks for a `ByteTensor`. Today a mask is Boolean. Brackets still understand
# bytes, with a warning; `masked_select` refuses. So indices that are stored as bytes
# mark places when they should name them:

# %% tags=["claim:C107"]
signs = torch.tensor([-1, 2, 3])
assert (signs > 0).dtype == torch.bool and signs[signs > 0].tolist() == [2, 3]
with expect_warning(UserWarning, "torch.uint8 is now deprecated"):
    assert signs[(signs > 0).byte()].tolist() == [2, 3]
    assert signs[torch.tensor([2, 1, 0]).byte()].tolist() == [-1, 2]
assert signs[torch.tensor([2, 1, 0])].tolist() == [3, 2, -1]
with expect_error(RuntimeError, "expected BoolTensor for mask"):
    signs.masked_select((signs > 0).byte())

# %% [markdown]
# Under the mask are indices. `nonzero` (`non_zero` in one of the notes) lists the
# places of all elements that are not zero, in a mask those that are true: one row for
# each, one column for each dimension. `as_tuple=True` gives one tensor for each
# dimension instead, as brackets want them.

# %% tags=["claim:C108"]
big = t > 5
assert not hasattr(torch, "non_zero")
for y in (t, big):
    places = itertools.product(range(3), range(3))
    assert torch.nonzero(y).tolist() == [[i, j] for i, j in places if y[i, j] != 0]
for y in (t, d, cube):
    assert y[(y > 5).nonzero(as_tuple=True)].equal(y[y > 5])
big.nonzero().tolist()

# %% [markdown]
# A mask answers with as many elements as it finds. Often you want the shape kept and
# the marked elements replaced: `masked_fill` puts one number there, `where` chooses
# between two tensors, element by element, and its three arguments broadcast:

# %%
assert t.masked_fill(t > 5, -1).equal(torch.where(t > 5, -1, t))
assert t.max() == 8
column, row = torch.tensor([[True], [False]]), torch.tensor([1, 2, 3])
torch.where(column, row, 0).tolist()

# %% [markdown]
# With a mask and a number the two seem to be one. Put a half where the integers of
# `row` exceed 1. **Predict** both results:

# %% tags=["predict"]
torch.where(row > 1, 0.5, row).tolist(), row.masked_fill(row > 1, 0.5).tolist()

# %% [markdown]
# `where` promotes, as a sum of the two would
# ([102](102_dtype_device_and_printing.ipynb) has the table); `masked_fill` keeps the
# type of its tensor, and among integers cuts off the fraction. (`masked_fill_`, with
# the underscore, writes into the tensor.)

# %%
dtypes = (torch.bool, torch.uint8, torch.int64, torch.float16, torch.float64)
for kind, number in itertools.product(dtypes, (1, 0.5)):
    values = row.to(kind)
    assert torch.where(row > 1, number, values).dtype == (values + number).dtype
    assert values.masked_fill(row > 1, number).dtype == kind
assert row.masked_fill(row > 1, 0.5).tolist() == [1, 0, 0]
assert row.masked_fill_(row > 1, 9) is row and row.tolist() == [1, 9, 9]

# %% [markdown]
# ## How do gather and scatter walk?
#
# `gather` picks along one dimension, a different element in each row. Its index is a
# tensor with as many dimensions as the input. Along dimension 1, `out[i][j]` is
# `input[i][index[i][j]]`. **Predict** the six numbers:

# %% tags=["predict"]
index = torch.tensor([[0, 2], [3, 1], [1, 0]])
got = d.gather(1, index)
got.tolist()

# %% [markdown]
# The row stays, and the column is read from `index`. Again each number is the place
# that it came from:

# %%
told = "`gather` along dimension 1: each arrow stays in its row of `d`."
draw.moves(d, got, taken=got, titles=["d", "d.gather(1, index)"], caption=told)

# %% [markdown]
# Along dimension 0 the column stays and the row is read. One index for each column:

# %%
row_of = torch.tensor([[2, 0, 1, 2]])
down = d.gather(0, row_of)
names = ["d", "d.gather(0, row_of)"]
told = "`gather` along dimension 0: each arrow stays in its column."
draw.moves(d, down, taken=down, titles=names, caption=told, below=True)

# %% [markdown]
# In both cases the result has the shape of the index, as the notes say. In three
# dimensions the rule is the line that makes `read`, and we check each element. `noise`
# holds 0 to 23 in another order:

# %% tags=["claim:C109"]
noise = cube * 7 % 24
assert sorted(noise.flatten().tolist()) == list(range(24))
for dim in range(3):
    order = noise.argsort(dim)
    for place in itertools.product(range(2), range(3), range(4)):
        read = (*place[:dim], order[place], *place[dim + 1 :])
        assert noise.gather(dim, order)[place] == noise[read]
assert got.shape == index.shape and down.shape == (1, 4)

# %% [markdown]
# **Rule.** `gather` copies a position and replaces one coordinate, that of `dim`, by
# the number in `index`.
#
# `scatter_` walks the same arrows backwards: it *writes* to `out[i][index[i][j]]` the
# element `src[i][j]`. The places are those that `gather` has found:

# %%
src = torch.tensor([[10, 20], [30, 40], [50, 60]])
out = torch.zeros_like(d).scatter_(1, index, src)
assert out.gather(1, index).equal(src) and out.count_nonzero() == 6
told = "`scatter_` along dimension 1 puts each element of `src` into its row."
names = ["src", "zeros.scatter_(1, index, src)"]
draw.moves(src, out, put=got, titles=names, caption=told)

# %% [markdown]
# If the index names each place once, as a sorting order does, `scatter_` undoes
# `gather`:

# %%
for dim in range(3):
    order = noise.argsort(dim)
    in_order = noise.gather(dim, order)
    assert in_order.equal(noise.sort(dim).values)
    assert torch.zeros_like(noise).scatter_(dim, order, in_order).equal(noise)

# %% [markdown]
# Everyday work for `gather` is one score from each row, that of the right class. The
# labels stand up as a column, so that there is one for each row:

# %% tags=["claim:C444"]
scores = torch.tensor([[1, 2, 7], [5, 3, 2], [3, 6, 1]])
labels = torch.tensor([2, 0, 0])
own = scores.gather(1, labels[:, None])
assert own.equal(scores[torch.arange(3), labels][:, None])
hit = torch.where(scores.argmax(1) == labels, 1, 0)
assert hit.bool().equal(own[:, 0] == scores.amax(1))
own.tolist(), hit.tolist()

# %% [markdown]
# (One of the notes names `where` and `gather` without a word on either.)
#
# `take_along_dim` reads like `gather`: an index and a dimension. Give both of them one
# row of index, for a matrix of three. **Predict** the two shapes:

# %% tags=["predict"]
pair = torch.tensor([[1, 2]])
d.gather(1, pair).shape, d.take_along_dim(pair, 1).shape

# %% [markdown]
# `gather` stops where the index stops; `take_along_dim` broadcasts the index to all
# rows. Both want it with as many dimensions as the input has, which `keepdim=True`
# provides:

# %%
assert d.gather(1, pair).equal(d[:1, 1:3])
assert d.take_along_dim(pair, 1).equal(d[:, 1:3])
best = scores.argmax(1, keepdim=True)
assert scores.take_along_dim(best, 1).equal(scores.amax(1, keepdim=True))
with expect_error(RuntimeError, "same number of dimensions as input tensor"):
    scores.gather(1, labels)
with expect_error(RuntimeError, "should have the same number of dimensions"):
    scores.take_along_dim(labels, 1)

# %% [markdown]
# ## What if a place is named twice?
#
# Three visitors, two of them at door 0, and each raises the count of the door.
# **Predict** the counts:

# %% tags=["predict"]
doors = torch.tensor([0, 0, 2])
counts = torch.zeros(4, dtype=torch.int64)
counts[doors] += 1
counts.tolist()

# %% [markdown]
# One visitor is lost. `+=` gets `[0, 0, 0]`, makes `[1, 1, 1]` of it, and sets: door 0
# is set to 1, twice. As a function the write is called `index_put`, and it takes the
# indices as a tuple. Told to accumulate (累加), it adds each value to what is there:

# %%
visits = torch.ones(3, dtype=torch.int64)
zeros = torch.zeros(4, dtype=torch.int64)
assert counts.tolist() == [1, 0, 1, 0]
assert zeros.index_put((doors,), visits).equal(counts)
total = zeros.index_put((doors,), visits, accumulate=True)
assert total.tolist() == [2, 0, 1, 0]
told = "With `accumulate=True` both arrows into door 0 count."
draw.moves(visits, total, put=doors, titles=["visits", "total"], caption=told)

# %% [markdown]
# `index_put_`, with the underscore, writes into its tensor. Three others accumulate as
# well, and agree:

# %%
again = zeros.clone()
assert again.index_put_((doors,), visits, accumulate=True) is again
assert again.equal(total)
assert zeros.index_add(0, doors, visits).equal(total)
assert zeros.scatter_add(0, doors, visits).equal(total)
assert doors.bincount(minlength=4).equal(total)

# %% [markdown]
# And a write of *different* values to one place, without adding? Torch keeps one of
# them. Which one is left open, so this cell accepts both:

# %%
left_open = torch.zeros(4, dtype=torch.int64)
left_open[doors] = torch.tensor([5, 6, 7])
assert left_open[0] in (5, 6) and left_open[2] == 7

# %% [markdown]
# Gradients ([201](201_gradients_and_graphs.ipynb) introduces them) need no reminder. An
# element that was read twice gets its gradient twice, added up. For `gather`, that
# makes backward a `scatter_add`:

# %%
price = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
price[doors].sum().backward()
assert price.grad.tolist() == [2, 0, 1]
upstream = torch.tensor([0.5, 2.0, 4.0])
(slope,) = torch.autograd.grad(price.gather(0, doors), price, upstream)
assert slope.equal(torch.zeros(3).scatter_add(0, doors, upstream))
slope.tolist()

# %% [markdown]
# ## Where it goes wrong
#
# **A mask that became numbers.** Multiplied by 1, a mask is a tensor of integers.
# Brackets read its zeros and ones as *indices*, and here no error comes:

# %%
ages = torch.tensor([12, 35, 70])
adult = (ages > 17) * 1
wrong = ages[adult]
assert adult.tolist() == [0, 1, 1] and wrong.tolist() == [12, 35, 35]
assert ages[adult.bool()].tolist() == [35, 70]

# %% [markdown]
# The child is in, the oldest out, and the result is as long as the input: that is the
# symptom. Make it Boolean again.
#
# **Labels that lie down.** `labels[:, None]` stood up, one row of index for each row of
# scores. Lying down, as `labels[None]`, they are one row of index:

# %%
wrong = scores.gather(1, labels[None])
assert wrong.numel() == own.numel() and wrong.equal(scores[:1, labels])
assert own.shape == (3, 1) and not wrong.flatten().equal(own.flatten())
wrong.tolist(), own.tolist()

# %% [markdown]
# So the first row of scores is asked three times. As many numbers come as there are
# labels, and they are scores, so a mean of them looks plausible. Check the shape: with
# `dim=1`, the index needs as many rows as the scores.
#
# **NaN from the branch not taken.** `where` picks the good number in the forward pass.
# Backward, the other branch gets the gradient 0, times the slope of the root:

# %%
v = torch.tensor([0.0, 4.0], requires_grad=True)
assert torch.where(v > 0, v.sqrt(), 0).tolist() == [0, 2]
torch.where(v > 0, v.sqrt(), 0).sum().backward()
for risky in (torch.sqrt, torch.log, torch.reciprocal):
    (chosen,) = torch.autograd.grad(torch.where(v > 0, risky(v), 0).sum(), v)
    (slope,) = torch.autograd.grad(risky(v).sum(), v)
    assert chosen[0].isnan() and slope[0].isinf() and chosen[1] == slope[1]
v.grad.tolist()

# %% [markdown]
# At 0 that slope is infinite, and zero times infinity is not a number. Logarithm and
# quotient do the same. The cure is to keep the bad value out of the root, by another
# `where` before it or by a mask:

# %%
safe = torch.where(v > 0, v, 1.0)
(by_where,) = torch.autograd.grad(torch.where(v > 0, safe.sqrt(), 0).sum(), v)
(by_mask,) = torch.autograd.grad(v[v > 0].sqrt().sum(), v)
assert by_where.tolist() == by_mask.tolist() == [0, 0.25]

# %% [markdown]
# **An index beyond the end.** For lists, the message needs a careful reader. We ask on
# the CPU for column 4 of four, in a matrix and in `cube`:

# %%
with expect_error(IndexError, "index 4 is out of bounds for dimension 0 with size 4"):
    on_cpu[:, [4]]
with expect_error(IndexError, "index 4 is out of bounds for dimension 1 with size 4"):
    cube.cpu()[[0], :, [4]]

# %% [markdown]
# Dimension 0 of the matrix has three rows and is innocent: for brackets the message
# counts the lists, not the dimensions. The size is right in both. `gather` counts the
# dimensions, and refuses negative indices, which brackets count from the end:

# %%
last = torch.tensor([[-1]], device="cpu")
with expect_error(
    RuntimeError, "index -1 is out of bounds for dimension 1 with size 4"
):
    on_cpu.gather(1, last)
assert on_cpu[0, last].tolist() == [[3]]

# %% [markdown]
# A check of your own, before the index is used, costs one line:

# %%
wanted = torch.tensor([1, 4])
bad = (wanted < 0) | (wanted >= d.shape[1])
assert wanted[bad].tolist() == [4]

# %% [markdown]
# ## In practice
#
# If a slice can say it, use a slice: it is a view. Where the number of results depends
# on the data, shapes do too, and on a GPU Python has to wait for them
# ([102](102_dtype_device_and_printing.ipynb) lets torch report it); `where` and
# `masked_fill` keep the shape. Write to a selection with one pair of brackets. Give
# `gather` an index made with `keepdim=True` or `[:, None]`, and look at its shape.
# Count with `bincount`, sum groups with `index_add_`. Guard the argument of a root, a
# logarithm or a quotient before `where`, not after. And in code that may meet NumPy,
# keep integers and lists in separate brackets.

# %% [markdown]
# ## Summary
#
# - An integer drops a dimension, a slice keeps it, `None` adds one, and all these are
#   views ([each way tried](#What-does-an-index-do-to-a-dimension?)).
# - Lists, index tensors and masks copy; a write reaches home through views only
#   ([shown](#When-is-the-answer-a-copy?)).
# - Lists pick pairs, a column and a row a block; lists apart send their dimension to
#   the front ([drawn](#What-do-several-lists-pick?)).
# - A mask keeps what it marks and makes one dimension of those that it covers;
#   `masked_fill` and `where` keep the shape ([shown](#What-does-a-mask-keep?)).
# - `gather` reads and `scatter_` writes with one coordinate replaced
#   ([checked](#How-do-gather-and-scatter-walk?)); repeated places need `accumulate`
#   ([counted](#What-if-a-place-is-named-twice?)).
# - Zeros and ones are indices, and a branch not taken can still send back NaN
#   ([cases](#Where-it-goes-wrong)).

# %% [markdown]
# ## Exercises
#
# ### Exercise 104.1 · Five shapes
# *predict · ●○○ · 4 minutes*
#
# `c = torch.zeros(4, 5, 6)`. Give the shapes of `c[1:2, 0]`, `c[..., None, 2]`, `c[[0,
# 1], [0, 1]]`, `c[[0, 1], :, [0, 1]]` and `c[:, [[0, 2, 4]]]`.

# %% tags=["exercise"]
answer = ...  # TODO: a list of five tuples

# %%
exercise("104.1").check(answer)

# %% [markdown]
# ### Exercise 104.2 · Who is written to?
# *predict · ●●○ · 5 minutes*
#
# Each line starts from a fresh `a = torch.arange(6).reshape(2, 3)`. After which of them
# does `a` hold other numbers than before? **a** `a[0][1] = 9` **b** `a[[0]][0, 1] = 9`
# **c** `a[:, [1]] += 9` **d** `a.masked_fill(a > 2, 9)` **e** `a[1:][a[1:] > 3] = 9`
# **f** `a[torch.tensor(1)][0] = 9` **g** `a[a > 2].fill_(9)`

# %% tags=["exercise"]
answer = ...  # TODO: a list of letters, such as ["a", "b"]

# %%
exercise("104.2").check(answer)

# %% [markdown]
# ### Exercise 104.3 · Gather on paper
# *predict · ●●○ · 5 minutes*
#
# `m = torch.tensor([[1, 2, 3], [4, 5, 6], [7, 8, 9]])` and `i = torch.tensor([[2, 0],
# [1, 1]])`. Give `m.gather(0, i).tolist()`, `m.gather(1, i).tolist()` and `m[i].shape`.

# %% tags=["exercise"]
answer = ...  # TODO: a list of two nested lists and a tuple

# %%
exercise("104.3").check(answer)

# %% [markdown]
# ### Exercise 104.4 · The score of each pixel
# *repair · ●●○ · 7 minutes*
#
# `scores` has the shape `(n, classes, height, width)`, `labels` the shape `(n, height,
# width)`: a class for each pixel of `n` pictures. The function should return, in the
# shape of `labels`, the score that each pixel gives to its own class. For one picture
# it works.


# %% tags=["exercise"]
def own_scores(scores, labels):
    return scores.gather(1, labels[None])[0]  # TODO: repair this line


# %%
exercise("104.4").check(own_scores)

# %% [markdown]
# ### Exercise 104.5 · Sums by group
# *write · ●●○ · 8 minutes*
#
# `values` has the shape `(n, k)`; `groups`, of shape `(n,)`, holds the number of each
# row's group, from 0 to `count - 1`. Return a tensor of shape `(count, k)` with the sum
# of each group's rows, zero for a group without rows. No loop; the result has the dtype
# of `values`, the inputs stay as they are, and gradients flow.


# %% tags=["exercise"]
def sums_by_group(values, groups, count):
    return ...  # TODO: a tensor with one row for each group


# %%
exercise("104.5").check(sums_by_group)

# %% [markdown]
# ### Exercise 104.6 · Only the best
# *write · ●●● · 10 minutes*
#
# From a matrix of floats return one of the same shape, in which each row keeps its `k`
# largest numbers where they stand, and all others are `-inf`. `x.topk(k, dim)` returns
# the values and their places. No two numbers of a row are equal; `x` stays as it is.


# %% tags=["exercise"]
def only_the_best(x, k):
    return ...  # TODO: a tensor of the shape of x


# %%
exercise("104.6").check(only_the_best)

# %% [markdown]
# ## Next
#
# [105 · Joining and cutting](105_joining_and_cutting.ipynb): from parts of a tensor to
# tensors made of parts, and again the question whose memory it is.
#
# - [NumPy: indexing on ndarrays](https://numpy.org/doc/stable/user/basics.indexing.html):
#   the model for torch's rules; integers beside lists and negative steps differ.
# - [torch.Tensor.scatter_](https://docs.pytorch.org/docs/stable/generated/torch.Tensor.scatter_.html):
#   the three lines of index arithmetic, and the warning about repeated places.
