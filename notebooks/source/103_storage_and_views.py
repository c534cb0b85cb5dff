# %% [markdown]
# # 103 · Storage and views
#
# A transposed matrix, a slice, a row repeated a thousand times: how much memory do their
# numbers take? None that was not taken before. A tensor is a small label on a stretch of
# memory, and many surprises (a change that turns up in another tensor, a `view` that
# refuses, a file that is far too large) come from two labels on one stretch.

# %% [markdown]
# **You will be able to**
#
# - compute where any element of a tensor lies in memory, from its strides and offset;
# - tell, before running it, whether an operation returns a view or a copy;
# - choose between `view`, `reshape` and `contiguous`, and say what each one costs;
# - stretch, slide and reorder a tensor by strides alone;
# - find the silent bug when two tensors share one storage.
#
# **You need** Python and a first idea of what a tensor is. **Time** 45 minutes.

# %% tags=["setup"]
import io

import torch

from helpers import draw, exercise, expect_error, pick_device, shares_storage, table
from helpers.memory import sharing

torch.set_default_device(pick_device())

# %% [markdown]
# ## Where do the numbers live?
#
# Twelve numbers, arranged as three rows of four. The last line asks the tensor how they
# are arranged:

# %%
x = torch.arange(12).reshape(3, 4)
x.shape, x.stride(), x.storage_offset()

# %% [markdown]
# Together with the type of the numbers, that is the header: a shape, one stride (步长)
# for each dimension, and an offset. The numbers themselves lie elsewhere, in a storage
# (存储区), which has no shape: it is one row of bytes. Twelve integers of eight bytes each:

# %%
memory = x.untyped_storage()
assert x.dtype == torch.int64 and memory.nbytes() == 12 * 8
memory.nbytes()

# %% [markdown]
# A stride says how many elements of the storage to step over to get to the next
# element of that dimension. So row 1, column 2 lies at place
# `0 + 1 * 4 + 2 * 1 = 6`. Transposing exchanges rows and columns, and leaves the numbers
# where they are. **Predict** the strides of the transposed tensor:

# %% tags=["predict"]
turned = x.t()
turned.stride()

# %% [markdown]
# One row down in `turned` is one column on in `x`. With two more tensors that we make
# from `x`, here is what four headers say (the last two columns can wait):

# %% tags=["claim:C144"]
column, corner = x[:, 1], x[1:, 2:]
assert turned.stride() == (1, 4)
assert column.storage_offset() == 1 and column.stride() == (4,)
assert all(shares_storage(x, other) for other in (turned, column, corner))
sharing(x=x, turned=turned, column=column, corner=corner)

# %% [markdown]
# One letter in the column *storage*: four tensors, one memory. The notes (the study notes
# from which this book grew) are right to describe a tensor as a header and a flat array.
# Transposing swapped two strides; selecting a column kept one of them and moved the
# offset. Here is what each header points at; the small numbers are places in the storage:

# %%
told = "Four headers read one storage: the same place has the same colour."
draw.storage(told, x=x, turned=turned, column=column, corner=corner)

# %% [markdown]
# The rule fits in one line, and no element escapes it. Our storage holds the numbers 0 to
# 11 in order, so each number has to equal its own place:

# %%
for seen in (x, turned, corner):
    for i in range(seen.shape[0]):
        for j in range(seen.shape[1]):
            place = seen.storage_offset() + i * seen.stride(0) + j * seen.stride(1)
            assert seen[i, j] == place

# %% [markdown]
# **Rule.** The element `[i, j]` lies at `offset + i * stride(0) + j * stride(1)`, with
# one more term for each further dimension.
#
# So you can say where a write will turn up. **Predict** which element of `turned` becomes
# 60:

# %% tags=["predict"]
corner[0, 0] = 60
turned.tolist()

# %% [markdown]
# `corner[0, 0]` is place 6, and so is `turned[2, 1]`: 2 * 1 + 1 * 4. Whoever looks at a
# place sees every write to it:

# %%
assert x[1, 2] == corner[0, 0] == turned[2, 1]
x[1, 2] = 6
assert corner[0, 0] == 6 and turned[2, 1] == 6

# %% [markdown]
# ## View or copy?
#
# A view (视图) is a tensor on the storage of another one; a copy brings a storage of its
# own. One of the notes says that *most* operations leave the data alone and change only
# the header. So let us ask some. Each of these gets the same `x`, and we look whether the
# result is on the storage of `x`:

# %%
ask = {
    "x.view(12)": x.view(12),
    "x.t()": x.t(),
    "x.permute(1, 0)": x.permute(1, 0),
    "x[1]": x[1],
    "x[:, ::2]": x[:, ::2],
    "x.narrow(0, 1, 2)": x.narrow(0, 1, 2),
    "x.chunk(2)[0]": x.chunk(2)[0],
    "x.diagonal()": x.diagonal(),
    "x.unsqueeze(0)": x.unsqueeze(0),
    "x[:1].expand(5, 4)": x[:1].expand(5, 4),
}
assert all(shares_storage(x, result) for result in ask.values())

# %% [markdown]
# All ten are views, and you can tell why.
#
# **Rule.** An operation can return a view when one offset and one stride per dimension
# describe the result.
#
# *Can* does not mean that it will. Of the next twelve, which look as harmless, one alone
# is a view. **Predict** which:

# %% tags=["predict"]
ask_again = {
    "x + 0": x + 0,
    "x.exp()": x.exp(),
    "x[[0, 1]]": x[[0, 1]],
    "x[x > 5]": x[x > 5],
    "x.flip(0)": x.flip(0),
    "x.roll(1)": x.roll(1),
    "x.repeat(1, 1)": x.repeat(1, 1),
    "x.clone()": x.clone(),
    "x.diag()": x.diag(),
    "x.flatten()": x.flatten(),
    "x.t().flatten()": x.t().flatten(),
    "torch.cat([x])": torch.cat([x]),
}
views = [name for name, result in ask_again.items() if shares_storage(x, result)]
views

# %% [markdown]
# It is `flatten`, and only as long as the strides allow it: of the transposed `x` it
# makes a copy. All the answers together:

# %%
assert views == ["x.flatten()"]
rows = [{"operation": name, "view": True} for name in ask]
rows += [{"operation": name, "view": name in views} for name in ask_again]
table(rows, "Measured: does the result look at the storage of x?")

# %% [markdown]
# Some had no choice: arithmetic makes new numbers, and a mask may pick a set that no
# strides describe. Others could have been views. A list of indices copies even where a
# slice finds the same numbers without:

# %%
assert torch.equal(x[[0, 1]], x[:2])
assert shares_storage(x, x[:2]) and not shares_storage(x, x[[0, 1]])

# %% [markdown]
# Twenty-two operations that we picked ourselves cannot settle what *most* do. But torch
# keeps a list. Each operation is declared with a signature, and a result that may share
# memory with an argument carries its mark, `(a)`. (A mark `(a!)` says that the argument
# is written to, as by `add_`; that is another matter.)

# %%
turn, flip = torch.ops.aten.t.default._schema, torch.ops.aten.flip.default._schema
str(turn), str(flip)

# %% [markdown]
# **Predict** how large a part of all operations carries the mark: more than half, less
# than half, less than a quarter, or less than a tenth?


# %% tags=["predict"]
def may_be_view(schema):
    marks = [result.alias_info for result in schema.returns]
    return any(mark and not mark.is_write for mark in marks)  # a write: (a!)


every = [s for s in torch._C._jit_get_all_schemas() if s.name.startswith("aten::")]
part = len({s.name for s in every if may_be_view(s)}) / len({s.name for s in every})
part > 0.5, part > 0.25, part > 0.1

# %% [markdown]
# Not one in ten, so the note is wrong: the operations that change only the header are
# few.

# %% tags=["claim:C145"]
assert part < 0.1
assert may_be_view(turn) and not may_be_view(flip)

# %% [markdown]
# And why did `flip` have to copy? A reversed row needs a negative stride. NumPy has
# those; torch has none:

# %%
backwards = x.cpu().numpy()[:, ::-1]
assert backwards.strides[1] < 0
with expect_error(ValueError, "negative"):
    torch.from_numpy(backwards)

# %% [markdown]
# Any number of dimensions may change places. `transpose` exchanges two of them,
# `permute` names them all, and neither touches the memory:

# %% tags=["claim:C432"]
video = torch.zeros(2, 3, 4)
moved = video.permute(2, 0, 1)
assert video.transpose(0, 2).shape == (4, 3, 2)
assert shares_storage(video, moved) and shares_storage(video, video.transpose(0, 2))
assert not moved.is_contiguous()
video.stride(), moved.shape, moved.stride()

# %% [markdown]
# The strides travelled with their dimensions, and that is all that happened.

# %% [markdown]
# ## When does reshape copy?
#
# `view` gives the same elements another shape. With `-1` torch works one length out,
# and because it is a view, a write goes through:

# %% tags=["claim:C098"]
a = torch.arange(6)
b = a.view(3, -1)
b[0, 0] = 99
assert b.shape == (3, 2)
assert a[0] == 99

# %% [markdown]
# Now the same on a transposed tensor. The notes hold that `view` can be used wherever
# a reshape is wanted:

# %% tags=["claim:C048"]
tall = torch.arange(6).view(2, 3).t()
with expect_error(RuntimeError, "view size is not compatible"):
    tall.view(6)

# %% [markdown]
# Read the message with the picture in mind. The six numbers of `tall`, read row by
# row, lie at the places 0, 3, 1, 4, 2, 5. No single stride walks that path: it goes three
# on, then two back.

# %%
told = "Row by row, this transposed tensor visits the places 0, 3, 1, 4, 2, 5."
draw.storage(told, tall=tall)

# %% [markdown]
# `reshape` does not refuse. It returns a view where strides allow it, and otherwise
# it writes the numbers out into new memory, without a word:

# %% tags=["claim:C099", "claim:C431"]
flat = torch.arange(6).view(2, 3)
assert shares_storage(flat, flat.reshape(6))
assert not shares_storage(tall, tall.reshape(6))
tall.reshape(6).tolist()

# %% [markdown]
# The notes prefer `reshape` to `view`. That is half of the truth. `reshape` always
# gives you the numbers, but whether a later write reaches the original depends on
# strides that you may not see. `view` is the version with a guarantee: memory is
# shared, or you get an error.
#
# A tensor whose elements follow one another in storage, row by row, is called
# contiguous (连续). `contiguous()` makes one, and the notes say that it copies:

# %% tags=["claim:C146"]
assert flat.contiguous() is flat
assert not shares_storage(tall, tall.contiguous())

# %% [markdown]
# It copies only when there is something to put in order; otherwise you get the very
# same object back. Nor does a transposed matrix need it as often as the
# notes fear:

# %% tags=["claim:C137"]
assert not tall.is_contiguous()
assert tall.sum() == 15 and (tall @ flat).shape == (3, 3)
assert tall.contiguous().view(6).tolist() == [0, 3, 1, 4, 2, 5]

# %% [markdown]
# Sums and matrix products read any strides. `view` alone insisted, and only because two
# dimensions were to become one. Cutting one in two needs no copy:

# %%
halves = x.t().view(2, 2, 3)
assert shares_storage(x, halves) and not halves.is_contiguous()
halves.stride()

# %% [markdown]
# **Rule.** Ask for `view` where sharing is part of what you mean, for `reshape` where
# only the numbers matter.

# %% [markdown]
# ## How can one row stand for many?
#
# A dimension of length 1 costs nothing and can stand anywhere. `unsqueeze` puts
# one in at the place you name, counting from the end if negative, and `squeeze` takes it
# away:

# %% tags=["claim:C077", "claim:C434"]
m = torch.ones(2, 3)
assert m.unsqueeze(0).shape == (1, 2, 3)
assert torch.unsqueeze(m, 1).shape == m.unsqueeze(1).shape == (2, 1, 3)
assert m.unsqueeze(-1).shape == (2, 3, 1) and not hasattr(m, "unsquzeeze")

# %% [markdown]
# (`unsquzeeze`, in a heading of the notes, is a slip of the pen.) The
# versions that end in an underscore change the tensor's own header:

# %% tags=["claim:C100"]
square = torch.ones(2, 2)
assert square.unsqueeze(1).shape == (2, 1, 2) and square.unsqueeze(0).shape == (1, 2, 2)
assert square.shape == (2, 2)
square.unsqueeze_(dim=1)
assert square.shape == (2, 1, 2)

# %% [markdown]
# `squeeze` without an argument removes every dimension of length 1. If you name a
# dimension, it goes only if its length is 1. **Predict** the three shapes:

# %% tags=["predict"]
s = torch.ones(2, 1, 2, 1)
s.squeeze().shape, s.squeeze(1).shape, s.squeeze(0).shape

# %% [markdown]
# Dimension 0 is too long and is left alone, without an error. Several can be named at
# once:

# %% tags=["claim:C101", "claim:C433"]
assert s.squeeze().shape == (2, 2) and shares_storage(s, s.squeeze())
assert s.squeeze(1).shape == (2, 2, 1) and s.squeeze(0).shape == s.shape
assert s.squeeze((1, 3)).shape == (2, 2)

# %% [markdown]
# A dimension of length 1 can also be stretched: `expand` makes it as long as you like.
# Three numbers in storage, twelve to be read. **Predict** the strides of `wide`:

# %% tags=["predict"]
thin = torch.tensor([[1], [2], [3]])
wide = thin.expand(3, 4)
wide.stride()

# %% [markdown]
# Stride 0: to get to the next column, go nowhere. No memory was taken:

# %% tags=["claim:C113"]
assert wide.stride() == (1, 0) and shares_storage(thin, wide)
draw.storage("`expand` reads each place again and again.", thin=thin, wide=wide)

# %% [markdown]
# `thin` itself is unchanged. `-1` leaves a length as it is, and `expand_as` takes the
# shape from another tensor:

# %% tags=["claim:C116"]
assert thin.expand(-1, 2).tolist() == [[1, 1], [2, 2], [3, 3]]
assert torch.tensor([1, 2, 3]).expand(2, -1).tolist() == [[1, 2, 3], [1, 2, 3]]
assert thin.expand_as(torch.zeros(3, 2)).shape == (3, 2) and thin.shape == (3, 1)

# %% [markdown]
# What may be stretched? One note allows only shapes `[1, n]` and `[n, 1]`.
# Torch is more generous: any dimensions of length 1, several at once, and new ones
# in front:

# %% tags=["claim:C111"]
assert torch.ones(3, 1, 1).expand(3, 4, 5).shape == (3, 4, 5)
assert torch.ones(3).expand(2, 7, 3).shape == (2, 7, 3)

# %% [markdown]
# A length other than 1 cannot be stretched:

# %% tags=["claim:C112"]
with expect_error(RuntimeError, "must match the existing size (2)"):
    torch.ones(2, 3).expand(4, 3)
assert torch.ones(2, 1).expand(-1, 4).shape == (2, 4)

# %% [markdown]
# Nor does `expand` ever remove a dimension:

# %% tags=["claim:C115"]
with expect_error(RuntimeError, "the number of sizes provided (1)"):
    torch.ones(1, 3).expand(3)

# %% [markdown]
# The notes allow -1 and every integer from 1 up. Two corrections: 0 is a length too,
# and -1 has no meaning for a dimension that does not exist yet.

# %% tags=["claim:C114"]
assert torch.ones(1, 3).expand(0, 3).shape == (0, 3)
with expect_error(RuntimeError, "leading, non-existing dimension"):
    torch.ones(3).expand(-1, 3)

# %% [markdown]
# When you need real copies, `repeat` makes them, and its arguments are counts, not
# lengths. `narrow` goes the other way: it keeps a part of a dimension, as a view, from a
# start and for a length. A note reaches for `torch.expand()`. That does not exist:

# %% tags=["claim:C435"]
assert thin.repeat(2, 2).shape == (6, 2)
assert not shares_storage(thin, thin.repeat(1, 1))
assert torch.narrow(x, 1, 1, 2).tolist() == x[:, 1:3].tolist()
assert not hasattr(torch, "expand") and not hasattr(torch, "repeat")

# %% [markdown]
# **Rule.** `expand` repeats by stride 0 and shares; `repeat` repeats by copying.

# %% [markdown]
# ## What can strides say that shapes cannot?
#
# If a stride may be 0, it may also be smaller than the row that it steps along. Then
# rows overlap. `unfold(dimension, size, step)` uses this to list every window of a signal
# as a view. With windows of 4 that start 2 apart, **predict** the two strides:

# %% tags=["predict"]
signal = torch.arange(8)
windows = signal.unfold(0, 4, 2)
windows.stride()

# %% [markdown]
# To the next window it is two places, within a window one:

# %%
assert windows.stride() == (2, 1) and shares_storage(signal, windows)
draw.storage("Three windows of four, two apart, share their overlap.", windows=windows)

# %% [markdown]
# `as_strided` lets you write the header yourself: shape, strides, offset. It can make the
# views that we have met, and new ones. It believes you as long as you stay inside the
# storage:

# %%
assert torch.equal(signal.as_strided((3, 4), (2, 1)), windows)
assert torch.equal(x.as_strided((4, 3), (1, 4)), turned)
anti = x.as_strided((3,), (3,), 3)
assert anti.tolist() == [3, 6, 9]
with expect_error(RuntimeError, "out of bounds for storage"):
    x.as_strided((3, 4), (4, 2))

# %% [markdown]
# The anti-diagonal of `x` took one stride: one row down and one column left is 4 - 1
# places on.
#
# Strides also tell apart tensors of equal shape. Some convolution kernels want the
# channels of a pixel side by side, so torch can store a batch that way. Here is a batch
# of one picture, with two pixels and three channels:

# %%
batch = torch.tensor([[[[1, 2]], [[10, 20]], [[100, 200]]]])
last = batch.to(memory_format=torch.channels_last)
assert torch.equal(last, batch) and not shares_storage(batch, last)
draw.storage("In storage, the three channels of a pixel are neighbours.", last=last[0])

# %% [markdown]
# The numbers were copied into another order, and every index finds the same one as
# before. A larger batch shows what became of the strides:

# %%
batch = torch.zeros(2, 3, 4, 5)
last = batch.to(memory_format=torch.channels_last)
assert last.shape == batch.shape and not last.is_contiguous()
assert last.is_contiguous(memory_format=torch.channels_last)
batch.stride(), last.stride()

# %% [markdown]
# The stride of dimension 1, the channels, fell from 20 to 1.

# %% [markdown]
# ## Where it goes wrong
#
# **Dimensions moved with `view`.** Layers take a picture as colour, height, width; a file
# holds height, width, colour. The shapes of both results agree, and no error comes:

# %%
picture = torch.tensor([[[1, 2]], [[10, 20]], [[100, 200]]])
wrong = picture.view(1, 2, 3)
right = picture.permute(1, 2, 0)
assert wrong.shape == right.shape and not torch.equal(wrong, right)
draw.grid(
    wrong,
    right,
    titles=["view: colours mixed", "permute"],
    caption="`permute` gives each row one pixel's colours; `view` mixes two pixels.",
)

# %% [markdown]
# `view` never reorders. If dimensions are to change places, the word is `permute`.
#
# **Writing through stride 0.** You mean one element and hit a whole row:

# %%
wide = torch.tensor([[1], [2]]).expand(2, 3)
wide[0, 0] = 9
assert wide.tolist() == [[9, 9, 9], [2, 2, 2]]

# %% [markdown]
# The symptom is a value in places that nobody wrote to. Adding to the whole tensor is
# refused, since each place would be raised three times. The message names the cure: after
# `clone` every element has its own place:

# %%
with expect_error(RuntimeError, "more than one element of the written-to tensor"):
    wide.add_(1)
own = torch.tensor([[1], [2]]).expand(2, 3).clone()
own[0, 0] = 9
assert own.tolist() == [[9, 1, 1], [2, 2, 2]]

# %% [markdown]
# Do not count on the refusal. Overlapping windows are let through, and torch does not
# promise whether a place in two windows is raised once or twice. Look at `raised` on your
# machine:

# %%
signal = torch.arange(8)
signal.unfold(0, 4, 2).add_(1)
raised = signal - torch.arange(8)
assert raised[[0, 1, 6, 7]].tolist() == [1, 1, 1, 1]
assert ((raised == 1) | (raised == 2)).all()

# %% [markdown]
# **`resize_` mistaken for `view`.** One note calls them the same thing. A view must
# account for every element; `resize_` need not:

# %% tags=["claim:C047"]
with expect_error(RuntimeError, "invalid for input of size 6"):
    torch.arange(6).view(2, 2)
assert torch.arange(6).resize_(2, 2).tolist() == [[0, 1], [2, 3]]

# %% [markdown]
# Shrinking keeps the storage, and growing again finds the old numbers, as the notes
# say. Beyond the old storage it takes new memory:

# %% tags=["claim:C102"]
r = torch.arange(6)
r.resize_(1, 3)
assert r.tolist() == [[0, 1, 2]] and r.untyped_storage().nbytes() == 48
assert r.resize_(3, 2).tolist() == [[0, 1], [2, 3], [4, 5]]
assert r.resize_(3, 3).untyped_storage().nbytes() == 72

# %% [markdown]
# What are the three new numbers? The notes printed zeros and took them for a
# promise. They are whatever the memory held before. Torch can be asked to make that
# visible, by filling such gaps with the largest number of their type:

# %% tags=["claim:C103"]
torch.use_deterministic_algorithms(True)
grown = torch.arange(6).resize_(3, 3)
torch.use_deterministic_algorithms(False)
assert grown[:2].flatten().tolist() == [0, 1, 2, 3, 4, 5]
assert (grown[2] == torch.iinfo(torch.int64).max).all()

# %% [markdown]
# **One row, four megabytes.** A view keeps its whole storage alive. Keep one row of a
# large table, delete the table, and nothing is freed:

# %%
row = torch.zeros(1000, 1000)[0]
kept, needed = row.untyped_storage().nbytes(), row.numel() * row.element_size()
assert (kept, needed) == (4_000_000, 4_000)
assert row.clone().untyped_storage().nbytes() == needed

# %% [markdown]
# The same holds for `torch.save`, which writes the storage and not the view. Clone what
# you keep:

# %%
saved_view, saved_clone = io.BytesIO(), io.BytesIO()
torch.save(row, saved_view)
torch.save(row.clone(), saved_clone)
assert saved_view.tell() > 4_000_000 and saved_clone.tell() < 10_000

# %% [markdown]
# ## In practice
#
# Views make slicing, transposing and stretching free, so do not avoid them; know them.
# In code that others call, say in the docstring whether the result shares memory with
# the argument. Where it must, use `view` and let it complain; where it must not,
# `clone`. A stray `contiguous()` after each `transpose` costs a full copy and, on a
# contiguous tensor, nothing: put it where an error or a profile asks for it. For
# convolutional networks on a GPU, `channels_last` is worth a measurement.

# %% [markdown]
# ## Summary
#
# - An element lies at the offset plus the sum of index times stride
#   ([shown](#Where-do-the-numbers-live?)).
# - Slices, transposes and stretched tensors are views; arithmetic, masks and lists of
#   indices copy ([measured](#View-or-copy?)).
# - `view` shares or refuses, `reshape` shares or copies, `contiguous` copies only when
#   it must ([shown](#When-does-reshape-copy?)).
# - Stride 0 repeats, a small stride overlaps, permuted strides reorder
#   ([stretching](#How-can-one-row-stand-for-many?),
#   [sliding](#What-can-strides-say-that-shapes-cannot?)).
# - When a value changes that nobody wrote, ask who shares its storage
#   ([cases](#Where-it-goes-wrong)).

# %% [markdown]
# ## Exercises
#
# ### Exercise 103.1 · Strides after permute
# *predict · ●○○ · 3 minutes*
#
# `t = torch.zeros(5, 2, 3).permute(1, 2, 0)`. What is `t.stride()`? Work it out on
# paper, then write the tuple.

# %% tags=["exercise"]
answer = ...  # TODO: a tuple of three integers

# %%
exercise("103.1").check(answer)

# %% [markdown]
# ### Exercise 103.2 · Who copies?
# *predict · ●●○ · 4 minutes*
#
# With `q = torch.arange(12).reshape(3, 4)`, which of these calls copy? Give their
# letters in alphabetical order. **a** `q.reshape(4, 3)` **b** `q.t().reshape(12)` **c**
# `q[:, 1:].reshape(9)` **d** `q[1:].reshape(8)` **e** `q[[1, 2]]` **f**
# `q.t().contiguous().t()`

# %% tags=["exercise"]
answer = ...  # TODO: a list of letters, such as ["a", "b"]

# %%
exercise("103.2").check(answer)

# %% [markdown]
# ### Exercise 103.3 · Strides from a shape
# *write · ●●○ · 8 minutes*
#
# Write the function that torch uses when it makes a new tensor: from a shape, the
# strides of a contiguous tensor of that shape, as a tuple. No length is 0;
# the shape may be `()`, which has no strides. Do not make a tensor.


# %% tags=["exercise"]
def strides_of(shape):
    return ...  # TODO: one stride for each length, for example (4, 1) for (3, 4)


# %%
exercise("103.3").check(strides_of)

# %% [markdown]
# ### Exercise 103.4 · The scrambled picture
# *repair · ●●○ · 5 minutes*
#
# This function should bring a picture from height, width, channel to channel, height,
# width, without copying. Its result has the right shape and wrong colours.


# %% tags=["exercise"]
def channels_first(picture):
    height, width, channels = picture.shape
    return picture.view(channels, height, width)  # TODO: repair this line


# %%
exercise("103.4").check(channels_first)

# %% [markdown]
# ### Exercise 103.5 · What a view keeps alive
# *measure · ●●○ · 5 minutes*
#
# `part = torch.zeros(64, 3, 32, 32)[:, 0]` keeps one channel of a batch. Its storage
# holds more bytes than its own elements need. Measure how many times as many.

# %% tags=["exercise"]
part = torch.zeros(64, 3, 32, 32)[:, 0]
answer = ...  # TODO: bytes of the storage, divided by the bytes of the elements

# %%
exercise("103.5").check(answer)

# %% [markdown]
# ### Exercise 103.6 · Every window, no copy
# *write · ●●● · 12 minutes*
#
# From a signal of shape `(n,)` return all windows of `size` neighbouring elements that
# start `step` apart, as a view of shape `(count, size)`. The signal may itself be a
# view with a stride and an offset of its own. Try `as_strided` before `unfold`.


# %% tags=["exercise"]
def windows_of(signal, size, step):
    return ...  # TODO: a view that shares the signal's storage


# %%
exercise("103.6").check(windows_of)

# %% [markdown]
# ## Next
#
# [204 · Detach, data and clone](204_detach_data_clone.ipynb) asks the same question,
# who shares memory, of tensors that record gradients.
#
# - [Tensor views](https://docs.pytorch.org/docs/stable/tensor_view.html): torch's own
#   list of operations that return a view.
# - [PyTorch internals](https://blog.ezyang.com/2019/05/pytorch-internals/), by Edward
#   Yang: strides and dispatch, drawn by hand.
