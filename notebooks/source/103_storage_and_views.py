# %% [markdown]
# # 103 · Storage and views
#
# A transposed matrix, a slice, a row repeated a thousand times: how much memory do
# their numbers take? None that was not taken before. A tensor is a small label on a
# stretch of memory, and many surprises (a change that turns up in another tensor, a
# `view` that refuses, a file that is far too large) come from two labels on one
# stretch.

# %% [markdown]
# **You will be able to**
#
# - compute where any element of a tensor lies in memory, from its strides and offset;
# - tell, before running it, whether an operation returns a view or a copy;
# - choose between `view`, `reshape` and `contiguous`, and say what each one costs;
# - stretch, slide and reorder a tensor by strides alone;
# - find the silent bug when two tensors share one storage.
#
# **You need** [101](101_creating_tensors.ipynb), or an idea of what a tensor is.
# **Time** 50 minutes.

# %% tags=["setup"]
import io

import torch

from helpers import canvas, draw, exercise, expect_error, pick_device, show, table
from helpers.memory import shares_storage, sharing

torch.set_default_device(pick_device())

# %% [markdown]
# ## Where do the numbers live?
#
# Twelve numbers in three rows of four. The last line asks how they are arranged:

# %%
x = torch.arange(12).reshape(3, 4)
x.shape, x.stride(), x.storage_offset()

# %% [markdown]
# Together with the type of the numbers ([102](102_dtype_device_and_printing.ipynb)),
# that is the header: a shape, one stride (步长) for each dimension, and an offset, the
# place of the first element. The numbers themselves lie elsewhere, in a storage (存储区),
# which has no shape: it is one row of bytes. Twelve integers of eight bytes each:

# %%
memory = x.untyped_storage()
assert x.dtype == torch.int64 and memory.nbytes() == 12 * 8
memory.nbytes()

# %% [markdown]
# *Untyped*, for these bytes could be anything. What they mean is told by the header,
# and `view` with a dtype gives the same bytes another one:

# %%
assert memory.cpu().tolist()[8:16] == [1, 0, 0, 0, 0, 0, 0, 0]
x.view(torch.int32)[0].tolist()

# %% [markdown]
# A stride says how many elements of the storage to step over to get to the next element
# of that dimension. So row 1, column 2 lies at place `0 + 1 * 4 + 2 * 1 = 6`.
# Transposing exchanges rows and columns, and leaves the numbers where they are.
# **Predict** the strides of the transposed tensor:

# %% tags=["predict"]
turned = x.t()
turned.stride()

# %% [markdown]
# One row down in `turned` is one column on in `x`. With two more tensors that we make
# from `x`, here is what four headers say (the last column can wait):

# %% tags=["claim:C144"]
column, corner = x[:, 1], x[1:, 2:]
assert turned.stride() == (1, 4)
assert column.storage_offset() == 1 and column.stride() == (4,)
assert all(shares_storage(x, other) for other in (turned, column, corner))
sharing(x=x, turned=turned, column=column, corner=corner)

# %% [markdown]
# One letter in the column *storage*: four tensors, one memory. The notes (the study
# notes from which this book grew) are right to describe a tensor as a header and a flat
# array. Transposing swapped two strides; selecting a column kept one of them and moved
# the offset. Here is what each header points at; the small numbers are places in the
# storage:

# %%
told = "Four headers read one storage: the same place has the same colour."
draw.storage(told, x=x, turned=turned, column=column, corner=corner)

# %% [markdown]
# The rule fits in one line, and no element escapes it. Our storage holds the numbers 0
# to 11 in order, so each number has to equal its own place:

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
# So you can say where a write will turn up. **Predict** which element of `turned`
# becomes 60:

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
# the header. So let us ask some, written as lines that `eval` runs on a tensor `a`:


# %%
def lies(line, a):
    try:
        result = eval(line, {"a": a, "torch": torch})
    except RuntimeError:
        return "refuses"
    if result is a:
        return "itself"
    return "view" if shares_storage(a, result) else "copy"


# %% [markdown]
# First seventeen in which nothing is computed:

# %%
looking = ["a.t()", "a.permute(1, 0)", "a.movedim(0, 1)", "a[1]", "a[1:]", "a[:, ::2]"]
looking += ["a[..., None]", "a.select(0, 1)", "a.narrow(0, 1, 2)", "a.diagonal()"]
looking += ["a.chunk(2)[0]", "a.unbind()[0]", "a.unfold(0, 2, 1)", "a.unsqueeze(0)"]
looking += ["a.squeeze()", "a[:1].expand(5, -1)", "a.detach()"]
assert all(lies(line, x) == "view" for line in looking)

# %% [markdown]
# All of them are views, and you can tell why.
#
# **Rule.** An operation can return a view when one offset and one stride per dimension
# describe the result.
#
# *Can* does not mean that it will. Of the next twelve, which look as harmless, one
# alone is a view of `x`. **Predict** which:

# %% tags=["predict"]
making = ["a + 0", "a.exp()", "a.int()", "a[[0, 1]]", "a[a > 5]", "a.flip(0)"]
making += ["a.roll(0)", "a.repeat(1, 1)", "a.clone()", "a.diag()", "torch.cat([a])"]
making += ["a.flatten()"]
views = [line for line in making if lies(line, x) == "view"]
views

# %% [markdown]
# It is `flatten`, and not for every tensor. So we add four more and ask all 33 of three
# tensors: `x`, its transpose, and `x` without its first column, where each row is
# followed by a gap:

# %%
assert views == ["a.flatten()"]
asked = {"x": x, "x.t()": x.t(), "x[:, 1:]": x[:, 1:]}
first = ["a.view(-1)", "a.reshape(-1)", making.pop(), "a.contiguous()"]
making = [*first, "a.long()", *making]
answers = {line: [lies(line, a) for a in asked.values()] for line in looking + making}

# %%
tints = {"view": draw.TINTS[2], "copy": draw.TINTS[3]}
tints |= {"itself": draw.TINTS[0], "refuses": draw.TINTS[7]}
figure, axes = canvas(7.4, 4.2, cols=2)
for ax, part in zip(axes, (looking, making), strict=True):
    for row, line in enumerate(part):
        for column, word in enumerate(answers[line]):
            ax.bar(column, 0.92, 0.96, row - 0.46, color=tints[word])
            ax.text(column, row, word, ha="center", va="center", size=8)
    ax.set_yticks(range(len(part)), part)
    ax.set_xticks(range(3), asked)
    ax.set(xlim=(-0.5, 2.5), ylim=(len(part) - 0.5, -0.5))
    ax.xaxis.tick_top()
told = "Where a result lies: on the storage of `a` (view) or on its own (copy)."
alt = "Left 17 operations, all views. Right 4 that depend on a, 1 itself, 11 copies."
show(figure, told, alt)

# %% [markdown]
# The left half is of one colour. On the right four rows are mixed: these operations
# read the strides before they answer ([how](#When-does-reshape-copy?)). Where
# `contiguous` and `long` find nothing to do, they return the very tensor that they were
# given.

# %%
mixed = {line: answer for line, answer in answers.items() if len({*answer}) > 1}
assert [*mixed] == first and answers["a.long()"] == ["itself"] * 3
assert mixed["a.view(-1)"] == ["view", "refuses", "refuses"]
assert all(answers[line] == ["view"] * 3 for line in looking)
assert all(answers[line] == ["copy"] * 3 for line in making[5:])

# %% [markdown]
# What gradients make of a write through `detach` is told in
# [204](204_detach_data_clone.ipynb) and [205](205_in_place_and_versions.ipynb), what
# the copies of `cat` add up to in [105](105_joining_and_cutting.ipynb).
#
# Some had no choice: arithmetic makes new numbers, and a mask may pick a set that no
# strides describe. Others could have been views. A list of indices copies even where a
# slice finds the same numbers without ([104](104_indexing_and_selecting.ipynb) sorts
# all kinds of index):

# %%
assert torch.equal(x[[0, 1]], x[:2])
assert shares_storage(x, x[:2]) and not shares_storage(x, x[[0, 1]])

# %% [markdown]
# Operations that we picked ourselves cannot settle what *most* do. But torch keeps a
# list. Each operation is declared with a signature, in which a result that may share
# memory with an argument is marked `(a)`. (A mark `(a!)` is for an argument that is
# written to, as by `add_`.)

# %%
turn, flip = torch.ops.aten.t.default._schema, torch.ops.aten.flip.default._schema
str(turn), str(flip)

# %% [markdown]
# **Predict** how large a part of a tensor's methods carries the mark, those aside that
# work in place: more than half, more than a quarter, more than a tenth?


# %% tags=["predict"]
def may_be_view(schema):
    marks = [result.alias_info for result in schema.returns]
    return any(mark and not mark.is_write for mark in marks)  # a write: (a!)


declared = [s for s in torch._C._jit_get_all_schemas() if s.name.startswith("aten::")]
every = {s.name[6:] for s in declared}
marked = {s.name[6:] for s in declared if may_be_view(s)}
methods = {n for n in every if hasattr(torch.Tensor, n) and "_" not in (n[0], n[-1])}
part = len(methods & marked) / len(methods)
part > 0.5, part > 0.25, part > 0.1

# %% [markdown]
# Less than a quarter; of all that torch declares, steps of backward passes included,
# less than a tenth. (The list has gaps, such as `type_as`. Were half of the marks
# missing, it would still be no majority.) So the note is wrong: most operations do
# more.

# %% tags=["claim:C145"]
assert may_be_view(turn) and not may_be_view(flip)
assert 0.1 < part < 2 * part < 0.5 and len(marked) / len(every) < 0.1
assert "type_as" not in marked and x.type_as(x) is x

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
# The strides travelled with their dimensions.

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
# Read the message with the picture in mind. The six numbers of `tall`, read row by row,
# lie at the places 0, 3, 1, 4, 2, 5. No single stride walks that path: it goes three
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
# It copies only when there is something to put in order. Nor does a transposed matrix
# need it as often as the notes fear:

# %% tags=["claim:C137"]
assert not tall.is_contiguous()
assert tall.sum() == 15 and (tall @ flat).shape == (3, 3)
assert tall.contiguous().view(6).tolist() == [0, 3, 1, 4, 2, 5]

# %% [markdown]
# The sum and the product read `tall` as it lies. `view` alone insisted, and only
# because two dimensions were to become one. Cutting one in two needs no copy:

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
# In a dimension of length 1 the only index is 0, and 0 times the stride is 0, whatever
# the stride. To try that, write a header by hand: `as_strided` takes a shape, the
# strides, and an offset if it is not to stay the same.
# **Predict** what torch makes of a stride of 999 in a storage of six:

# %% tags=["predict"]
m = torch.arange(6).reshape(2, 3)
odd = m.as_strided((2, 1, 3), (3, 999, 1))
odd.tolist()

# %% [markdown]
# It is never stepped along, so it does no harm, and torch calls even this tensor
# contiguous. So a dimension of length 1 can stand anywhere at no cost. `unsqueeze` puts
# one in at the place that you name, from the end if negative:

# %% tags=["claim:C077", "claim:C434"]
assert torch.equal(odd, m.unsqueeze(1)) and odd.is_contiguous()
ways = {f"m.unsqueeze({dim})": m.unsqueeze(dim) for dim in (0, 1, -1)}
assert [w.shape for w in ways.values()] == [(1, 2, 3), (2, 1, 3), (2, 3, 1)]
assert torch.unsqueeze(m, 1).shape == (2, 1, 3) and not hasattr(m, "unsquzeeze")
sharing(m=m, **ways)

# %% [markdown]
# (`unsquzeeze`, in a heading of the notes, is a slip of the pen.) With an underscore at
# the end the tensor's own header changes:

# %% tags=["claim:C100"]
square = torch.ones(2, 2)
assert square.unsqueeze(1).shape == (2, 1, 2) and square.unsqueeze(0).shape == (1, 2, 2)
assert square.shape == (2, 2)
assert square.unsqueeze_(dim=1) is square and square.shape == (2, 1, 2)

# %% [markdown]
# What costs nothing to put in can be taken out. `squeeze` removes every dimension of
# length 1; if you name a dimension, it goes only if its length is 1. **Predict** the
# three shapes:

# %% tags=["predict"]
s = torch.ones(2, 1, 2, 1)
s.squeeze().shape, s.squeeze(1).shape, s.squeeze(0).shape

# %% [markdown]
# Dimension 0 is too long and is left alone, without an error. Name what you want to
# lose, one or several: from a batch of one, a bare `squeeze()` takes the batch as well.

# %% tags=["claim:C101", "claim:C433"]
assert s.squeeze().shape == (2, 2) and shares_storage(s, s.squeeze())
assert s.squeeze(1).shape == (2, 2, 1) and s.squeeze(0).shape == s.shape
assert s.squeeze((1, 3)).shape == (2, 2)
assert torch.ones(1, 3, 1).squeeze().shape == (3,)

# %% [markdown]
# A stride that never matters may as well be 0. But then the length does not matter
# either, since each index leads to the same place. So a length of 1 can become any
# other, and `expand` does that. **Predict** the strides of `wide`:

# %% tags=["predict"]
thin = torch.tensor([[1], [2], [3]])
wide = thin.expand(3, 4)
wide.stride()

# %% [markdown]
# Stride 0: to get to the next column, go nowhere. Twelve numbers are read from the
# memory of three:

# %% tags=["claim:C113"]
assert wide.stride() == (1, 0) and shares_storage(thin, wide)
draw.storage("`expand` reads each place again and again.", thin=thin, wide=wide)

# %% [markdown]
# The other way to the same twelve numbers is `repeat`. It writes them out, and its
# arguments are counts, not lengths:

# %%
repeated = thin.repeat(1, 4)
assert torch.equal(repeated, wide) and thin.repeat(2, 2).shape == (6, 2)
sharing(thin=thin, wide=wide, repeated=repeated)

# %% [markdown]
# For `expand`, -1 leaves a length as it is. `expand_as` takes the shape from another
# tensor. Neither changes `thin`:

# %% tags=["claim:C116"]
assert thin.expand(-1, 2).tolist() == [[1, 1], [2, 2], [3, 3]]
assert torch.tensor([1, 2, 3]).expand(2, -1).tolist() == [[1, 2, 3], [1, 2, 3]]
assert thin.expand_as(torch.zeros(3, 2)).shape == (3, 2) and thin.shape == (3, 1)

# %% [markdown]
# What may be stretched? By one note, only shapes `[1, n]` and `[n, 1]`. By our
# argument, any dimension of length 1, also one that you think in front of the others,
# and no other. **Predict** which of these are refused:

# %% tags=["predict"]
wishes = [((3, 1, 1), (3, 4, 5)), ((3,), (2, 7, 3)), ((2, 1), (-1, 4))]
wishes += [((2, 3), (4, 3)), ((1, 3), (3,)), ((1, 3), (0, 3)), ((3,), (-1, 3))]
rows = []
for shape, wish in wishes:
    try:
        said = f"strides {torch.ones(shape).expand(wish).stride()}"
    except RuntimeError as error:
        said = str(error).split("): ")[-1].split(".  ")[0]
    rows.append({"shape": shape, "expand to": wish, "torch says": said})
table(rows)

# %% [markdown]
# The first note is too narrow. Others have it right that a length other than 1 has to
# stay (the rows of `m`, as four, would begin at 0, 3, 0, 3, and that is no stride), and
# that no dimension is ever removed. One allows -1 and integers from 1 up. But 0 is a
# length too, and -1 has no meaning for a dimension that does not exist yet.

# %% tags=["claim:C111", "claim:C112", "claim:C114", "claim:C115"]
said = [row["torch says"] for row in rows]
assert said[:3] == ["strides (1, 0, 0)", "strides (0, 0, 1)", "strides (1, 0)"]
assert "must match the existing size (2)" in said[3]
assert "the number of sizes provided (1) must be greater" in said[4]
assert torch.ones(1, 3).expand(0, 3).shape == (0, 3)
assert "isn't allowed in a leading, non-existing dimension" in said[6]

# %% [markdown]
# Between tensors of different shapes, `+` stretches without being asked
# ([106](106_broadcasting.ipynb)). `narrow` goes the other way: it keeps a part of a
# dimension, as a view, from a start and for a length. A note reaches for
# `torch.expand()`. That does not exist:

# %% tags=["claim:C435"]
assert torch.narrow(x, 1, 1, 2).tolist() == x[:, 1:3].tolist()
assert not hasattr(torch, "expand") and not hasattr(torch, "repeat")
assert hasattr(torch, "narrow") and hasattr(torch.Tensor, "expand")

# %% [markdown]
# **Rule.** A dimension of length 1 is free. `expand` repeats it by stride 0 and shares;
# `repeat` repeats by copying.

# %% [markdown]
# ## What can strides say that shapes cannot?
#
# If a stride may be 0, it may also be smaller than the row that it steps along. Then
# rows overlap. `unfold(dimension, size, step)` uses this to list every window of a
# signal as a view. With windows of 4 that start 2 apart, **predict** the two strides:

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
# `as_strided` makes these windows as well. With two more strides a window moves over
# `x` in two directions, as in a convolution ([402](402_conv_arithmetic.ipynb)). One
# stride finds the anti-diagonal, a row down and a column left:

# %%
assert torch.equal(signal.as_strided((3, 4), (2, 1)), windows)
patches = x.as_strided((2, 3, 2, 2), (4, 1, 4, 1))
assert torch.equal(patches, x.unfold(0, 2, 1).unfold(1, 2, 1))
anti = x.as_strided((3,), (4 - 1,), 3)
anti.tolist(), patches[1, 2].tolist()

# %% [markdown]
# What stops it is the end of the storage, and not that of your tensor. `corner` had
# four elements, and can read all twelve:

# %%
assert anti.tolist() == [3, 6, 9] and patches[1, 2].tolist() == [[6, 7], [10, 11]]
assert torch.equal(corner.as_strided((12,), (1,), 0), x.flatten())
with expect_error(RuntimeError, "out of bounds for storage"):
    x.as_strided((3, 4), (4, 2))

# %% [markdown]
# Some convolution kernels want the channels of a pixel side by side, and strides can
# say that, too. Here is a batch of one picture, with two pixels and three channels:

# %%
batch = torch.tensor([[[[1, 2]], [[10, 20]], [[100, 200]]]])
last = batch.to(memory_format=torch.channels_last)
assert torch.equal(last, batch) and not shares_storage(batch, last)
draw.storage("In storage, the three channels of a pixel are neighbours.", last=last[0])

# %% [markdown]
# The numbers were copied into another order, and every index finds the same one. The
# strides of a larger batch, before and after:

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
# **Dimensions moved with `view`.** Layers take a picture as colour, height, width; what
# reads a file often gives height, width, colour. The shapes of both results agree, and
# no error comes:

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
# refused, since each place would be raised three times. The message names the cure:
# after `clone` every element has its own place:

# %%
with expect_error(RuntimeError, "more than one element of the written-to tensor"):
    wide.add_(1)
own = torch.tensor([[1], [2]]).expand(2, 3).clone()
own[0, 0] = 9
assert own.tolist() == [[9, 1, 1], [2, 2, 2]]

# %% [markdown]
# Do not count on the refusal. Overlapping windows are let through, and torch does not
# promise whether a place in two windows is raised once or twice:

# %%
signal = torch.arange(8)
signal.unfold(0, 4, 2).add_(1)
raised = signal - torch.arange(8)
assert raised[[0, 1, 6, 7]].tolist() == [1, 1, 1, 1]
assert ((raised == 1) | (raised == 2)).all()

# %% [markdown]
# **`resize_` mistaken for `view`.** One note calls them the same thing. `view` must
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
# The notes printed zeros for the three new numbers and took them for a promise. They
# are whatever the memory held before. Torch can mark such gaps, here with the largest
# integer:

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
# letters. **a** `q.reshape(4, 3)` **b** `q.t().reshape(12)` **c**
# `q[:, 1:].reshape(9)` **d** `q[1:].reshape(8)` **e** `q[[1, 2]]` **f**
# `q.t().contiguous().t()`

# %% tags=["exercise"]
answer = ...  # TODO: letters, such as {"a", "b"}

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
# [104 · Indexing and selecting](104_indexing_and_selecting.ipynb): square brackets,
# which return a view for one index and a copy for the next.
#
# - [Tensor views](https://docs.pytorch.org/docs/stable/tensor_view.html): torch's own
#   list of operations that return a view.
# - [PyTorch internals](https://blog.ezyang.com/2019/05/pytorch-internals/), by Edward
#   Yang: strides and dispatch, drawn by hand.
