# %% [markdown]
# # 102 · Dtype, device and printing
#
# `torch.tensor(0.1) == 0.1` is true, `torch.tensor(0.1).item() == 0.1` is false, and
# `print` shows `tensor(0.1000)` and takes no side. The numbers of a tensor are of a
# kind, lie in a place, and reach your eye through a printer that rounds. Nobody asked
# you about any of the three. Who decided, and where does it show?

# %% [markdown]
# **You will be able to**
#
# - predict the dtype of a result, also where Python numbers take part;
# - say where integers wrap around and where floats stop counting;
# - read a printed tensor without believing more than it says;
# - set and restore the default dtype and device;
# - tell which calls must wait for a device, and cure errors of dtype and device.
#
# **You need** Python and a first idea of what a tensor is. **Time** 60 minutes.

# %% tags=["setup"]
import torch
import torch.nn.functional as F
from torch import nn

from helpers import canvas, draw, exercise, expect_error, pick_device, show, table

device = pick_device()
torch.set_default_device(device)

# %% [markdown]
# ## What does a tensor know about itself?
#
# Twelve numbers as three rows of four, and three questions:

# %%
x = torch.arange(12.0).reshape(3, 4)
x.shape, x.numel(), x.dtype

# %% [markdown]
# `shape` and `size()` are two spellings of one tuple. The dtype (数据类型) settles how
# many bytes a number takes:

# %% tags=["claim:C080"]
assert x.numel() == torch.numel(x) == 12
assert x.shape == x.size() == (3, 4) and isinstance(x.shape, tuple)
assert x.nbytes == x.numel() * x.dtype.itemsize == 48

# %% [markdown]
# The third fact is the device (设备). One of them needs no hardware: tensors on `meta`
# have a shape, a dtype, a device, and no numbers. We multiply two matrices of 160
# gigabytes:

# %%
ghost = torch.empty(200_000, 200_000, device="meta")
assert (ghost @ ghost).shape == ghost.shape
ghost.nbytes, str((ghost @ ghost).device)

# %% [markdown]
# So torch works out shape, dtype and device without a single number. More facts serve
# differentiation. The notes (the study notes from which this book grew) count seven
# attributes, and the class gives them to each tensor:

# %% tags=["claim:C394"]
names = ["data", "grad", "grad_fn", "requires_grad", "is_leaf", "dtype", "device"]
assert all(hasattr(torch.Tensor, name) for name in names)
[getattr(ghost, name) for name in names[1:5]]

# %% [markdown]
# The four in the middle, for a tensor that asks for a gradient and for a result
# ([202](202_leaves_and_their_gradients.ipynb) explains them):

# %% tags=["claim:C263"]
w = torch.ones(2, requires_grad=True)
loss = (w * 2).sum()
loss.backward()
assert w.requires_grad and w.is_leaf and w.grad_fn is None and w.grad.tolist() == [2, 2]
assert loss.requires_grad and not loss.is_leaf and loss.grad_fn.name() == "SumBackward0"

# %% [markdown]
# "`dtype` is a type such as `torch.FloatTensor` or `torch.cuda.FloatTensor`", says one
# note. Those are older names, and they mix two facts:

# %% tags=["claim:C397"]
here, nowhere = torch.zeros(1, device="cpu"), torch.zeros(1, device="meta")
assert here.dtype is nowhere.dtype is torch.float32
assert not isinstance(torch.FloatTensor, torch.dtype)
here.type(), nowhere.type()

# %% [markdown]
# **Rule.** A dtype says nothing about the device. The old names say both, and the words
# in them turn up in messages until today.

# %% [markdown]
# ## How far do the numbers reach?
#
# Those words beside the dtypes, and the least and greatest number of each:

# %%
kinds = [torch.uint8, torch.int8, torch.int32, torch.int64]
kinds += [torch.float16, torch.bfloat16, torch.float32, torch.float64]
rows = []
for dtype in kinds:
    limits = torch.finfo(dtype) if dtype.is_floating_point else torch.iinfo(dtype)
    word = torch.zeros(1, dtype=dtype, device="cpu").type()[6:-6]
    row = {"dtype": str(dtype)[6:], "in messages": word, "bytes": dtype.itemsize}
    rows.append(row | {"least": f"{limits.min:.3g}", "greatest": f"{limits.max:.3g}"})
table(rows)

# %% [markdown]
# The notes know three groups: three floats, five integers, and `bool`. There are more
# by now, and not all can do as much: a `uint16` cannot be added to an `int64`.

# %% tags=["claim:C398"]
newer = [torch.bfloat16, torch.complex64, torch.complex128, torch.float8_e4m3fn]
newer += [torch.float8_e5m2, torch.uint16, torch.uint32, torch.uint64]
assert all(type(dtype) is torch.dtype for dtype in newer)
with expect_error(RuntimeError, "Promotion for uint16"):
    torch.tensor([1], dtype=torch.uint16) + torch.tensor([1])

# %% [markdown]
# Now go beyond a limit. A `uint8` ends at 255. **Predict** the two sums:

# %% tags=["predict"]
light = torch.tensor([200, 100], dtype=torch.uint8)
(light + light).tolist()

# %% [markdown]
# 400 is too many, and 256 are gone. Integer overflow (溢出) raises nothing; counting
# begins again at the other end. We ask all 65,536 pairs, and the longest integer:

# %%
every = torch.arange(256)
sums = every.to(torch.uint8)[:, None] + every.to(torch.uint8)
assert torch.equal(sums.long(), (every[:, None] + every) % 256)

# %%
long = torch.iinfo(torch.int64)
assert (torch.tensor([long.max]) + 1).item() == long.min

# %% [markdown]
# Converting to a smaller integer dtype wraps in the same way:

# %%
count = torch.arange(-300, 601)
figure, axes = canvas(7, 2.2)
for dtype in (torch.uint8, torch.int8):
    least = torch.iinfo(dtype).min
    assert torch.equal(count.to(dtype).long(), (count - least) % 256 + least)
    axes.plot(count.cpu(), count.to(dtype).cpu(), label=str(dtype)[6:])
axes.set(xlabel="number before", ylabel="number after")
axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
told = "`count.to(dtype)`: what does not fit begins again at the other end."
show(figure, told, "Two sawtooth curves: uint8 from 0 to 255, int8 from -128 to 127.")

# %% [markdown]
# Comparing looks harmless. **Predict** whether one of these numbers equals 300:

# %% tags=["predict"]
small = torch.tensor([43, 44, 45], dtype=torch.uint8)
(small == 300).tolist()

# %% [markdown]
# The 300 became a `uint8` first, and as such it is 44. When a Python number is to be
# stored *in* a tensor, torch does check, but lets -1 pass:

# %%
assert (small == 300).tolist() == [False, True, False]
with expect_error(RuntimeError, "without overflow"):
    torch.tensor([300], dtype=torch.uint8)
assert torch.tensor([-1], dtype=torch.uint8).item() == 255

# %% [markdown]
# Floats do not wrap: what is too large becomes `inf`. But a `float16` has two bytes for
# all that lies up to 65,504, fractions included. **Predict** the sum:

# %% tags=["predict"]
big = torch.tensor([2048.0], dtype=torch.float16)
(big + 1).item()

# %% [markdown]
# Among the numbers of `float16` there is no 2049. Two bytes have 65,536 patterns, few
# enough to look at each one. `view` with a dtype reads the same bits as numbers of
# another kind:

# %%
patterns = torch.arange(2**16).to(torch.int16)
rows = []
for dtype in (torch.float16, torch.bfloat16):
    v = patterns.view(dtype)
    v = v[v.isfinite()].double()
    row = {"dtype": str(dtype)[6:], "finite": len(v)}
    row |= {"from -1 to 1": int((v.abs() <= 1).sum())}
    row |= {"from 1, below 2": int(((v >= 1) & (v < 2)).sum())}
    rows.append(row | {"above 65,504": int((v > 65504).sum())})
table(rows)

# %% [markdown]
# Both spend about half of their patterns between -1 and 1. Beyond that they differ:
# `float16` is eight times as fine, `bfloat16` reaches much further.

# %%
assert all(0.48 < row["from -1 to 1"] / row["finite"] < 0.5 for row in rows)
assert rows[0]["from 1, below 2"] == 8 * rows[1]["from 1, below 2"]
assert rows[0]["above 65,504"] == 0 < rows[1]["above 65,504"] and (big * 32).isinf()

# %% [markdown]
# The last integer before the first gap follows from `eps`, the step from 1 to the next
# number. For `float32`, the last line says, counting ends at 16,777,216:

# %%
for dtype, last in ((torch.float16, 2**11), (torch.bfloat16, 2**8)):
    integers = torch.arange(last + 2)
    kept = integers.to(dtype).long() == integers
    assert last == 2 / torch.finfo(dtype).eps and kept[:-1].all() and not kept[-1]
assert torch.tensor([2.0**24]) + 1 == 2.0**24 == 2 / torch.finfo(torch.float32).eps

# %% [markdown]
# Why is one finer, on the same two bytes? A float is a sign, an exponent (指数), and the
# digits behind the leading 1, the mantissa (尾数). The bits of 0.1 as `float32`,
# `bfloat16` and `float16`:


# %%
def bits(number):
    size = 8 * number.dtype.itemsize
    pattern = number.view(torch.int32 if size == 32 else torch.int16).item()
    return f"{pattern % 2**size:0{size}b}"


# %%
tenth = torch.tensor(0.1)
bits(tenth), bits(tenth.bfloat16()), bits(tenth.half())

# %% [markdown]
# `bfloat16` is the first half of `float32`, rounded. Between the two stands a format
# without a dtype: TF32, a `float32` with 10 bits of mantissa, to which newer GPUs can
# shorten the factors of a product. We imitate the rounding, and test the imitation with
# 7 bits, where `bfloat16` is the judge:


# %%
def shortened(x, kept):
    drop = 23 - kept
    pattern = x.view(torch.int32)
    nearly_half = 2 ** (drop - 1) - 1 + ((pattern >> drop) & 1)  # a tie goes to even
    return (((pattern + nearly_half) >> drop) << drop).view(torch.float32)


# %%
g = torch.Generator("cpu").manual_seed(0)
numbers = torch.randn(1000, generator=g, device="cpu").to(device)
assert torch.equal(shortened(numbers, 7), numbers.bfloat16().float())

# %% [markdown]
# With 10 bits it has the steps of `float16`, and the range of `float32`:

# %%
inside = numbers[numbers.abs() > 2**-14]
assert torch.equal(shortened(inside, 10), inside.half().float())
huge = torch.tensor(1e30)
assert shortened(huge, 10).isfinite() and huge.half().isinf()

# %%
short, half = bits(shortened(tenth, 10)), bits(tenth.half())
assert short[19:] == 13 * "0"
formats = {
    "float32": bits(tenth),
    "tf32": short[:19],
    "bfloat16": bits(tenth.bfloat16()),
}
formats["float16"] = half[0] + "   " + half[1:]

# %% [markdown]
# The four formats of 0.1, part below part:

# %%
figure, axes = canvas(7.4, 1.5)
for row, pattern in enumerate(formats.values()):
    for place, bit in enumerate(pattern):
        tint = draw.TINTS[(place > 0) + (place > 8)]
        box = {"facecolor": tint, "edgecolor": "none", "pad": 2.5}
        if bit != " ":
            axes.text(place, row, bit, ha="center", va="center", size=8, bbox=box)
axes.set(xlim=(-1, 32), ylim=(3.6, -0.6), xticks=[])
axes.set_yticks(range(4), formats)
told = "0.1 in bits: sign (blue), exponent (yellow) and mantissa (green)."
show(
    figure,
    told,
    "Bits in four rows: 8 of exponent, in float16 5; mantissas of 23, 10, 7, 10.",
)

# %% [markdown]
# The exponent decides how far a format reaches, the mantissa how close its numbers
# stand. Here are the positive numbers of both two-byte dtypes, and powers of two in the
# other formats, each with the gap to its next neighbour:

# %%
figure, axes = canvas(7, 2.8)
for dtype in (torch.bfloat16, torch.float16):
    v = patterns.view(dtype)
    v = v[v.isfinite() & (v > 0)].double().cpu()
    axes.loglog(v[:-1], v.diff(), label=str(dtype)[6:])
powers = 2.0 ** torch.arange(-23, 20, device="cpu")
for name, step, style in (("tf32", 2**13, "--"), ("float32", 1, "-")):
    after = (powers.view(torch.int32) + step).view(torch.float32)
    axes.step(powers, after - powers, style, where="post", label=name)
axes.set(xlabel="number", ylabel="gap to the next", xlim=(1e-7, 1e6), ylim=(1e-14, 1e5))
axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
told = "Gaps grow with the numbers; `float16` has those of TF32, down to about 0.0001."
show(
    figure,
    told,
    "Four rising stairs: bfloat16 on top, float16 on TF32, float32 lowest.",
)

# %% [markdown]
# What does this rounding do to a matrix product? The judge is `float64`:

# %%
a, b = torch.randn(2, 64, 64, generator=g, device="cpu")
exact = a.double() @ b.double()
rough = (shortened(a, 10) @ shortened(b, 10) - exact).abs().max() / exact.abs().max()
fine = (a @ b - exact).abs().max() / exact.abs().max()
assert fine < 1e-6 and 1e-4 < rough < 1e-3

# %% [markdown]
# About three digits instead of six. The real thing needs such a GPU, but its switches
# are everywhere: for matrix products it is off, for the convolutions of cuDNN (NVIDIA's
# library of layers) on.

# %%
assert torch.get_float32_matmul_precision() == "highest"
torch.set_float32_matmul_precision("high")
assert torch.backends.cuda.matmul.allow_tf32
torch.set_float32_matmul_precision("highest")
torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32

# %% [markdown]
# ## Which dtype comes out?
#
# You can ask for one. `type` takes a dtype, some have a short cut, and `to` is
# today's spelling. On the way to an integer, digits behind the point are cut off:

# %% tags=["claim:C140"]
f = torch.tensor([1.7, -1.7])
assert f.type(torch.int32).dtype == torch.int32 and f.long().dtype == torch.int64
assert f.half().dtype == torch.float16 and f.to(torch.bfloat16).dtype == torch.bfloat16
f.type(torch.int32).tolist(), f.long().tolist()

# %% [markdown]
# The notes call `a.float()` and `a.type(torch.FloatTensor)` equal. On the CPU they are.
# But the old name means a device, too, as `meta` reveals: `float()` stays there, the
# other one wants numbers for the CPU that do not exist.

# %% tags=["claim:C143"]
a = torch.zeros(2, dtype=torch.float64, device="cpu")
assert a.float().dtype == a.type(torch.FloatTensor).dtype == torch.float32
assert a.to("meta").float().device.type == "meta"
with expect_error(NotImplementedError, "Cannot copy out of meta tensor"):
    a.to("meta").type(torch.FloatTensor)

# %% [markdown]
# Mostly you do not ask. Two dtypes meet, and type promotion (类型提升) chooses. **Predict**
# four times:


# %% tags=["predict"]
def meet(one, other):
    return str((torch.ones(1, dtype=one) + torch.ones(1, dtype=other)).dtype)[6:]


print("uint8 and int8:", meet(torch.uint8, torch.int8))
print("float16 and bfloat16:", meet(torch.float16, torch.bfloat16))
print("int64 and int32:", meet(torch.int64, torch.int32))
print("int64 and float16:", meet(torch.int64, torch.float16))

# %% [markdown]
# Here is the table for twelve dtypes, from `torch.promote_types`. Each belongs to a
# category, and those have an order: `bool`, integer, float, complex.


# %%
def category(dtype):
    if dtype.is_complex:
        return 3
    return 2 if dtype.is_floating_point else int(dtype != torch.bool)


# %%
dtypes = [torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]
dtypes += [torch.float16, torch.bfloat16, torch.float32, torch.float64]
dtypes += [torch.complex64, torch.complex128]
promoted = [[torch.promote_types(one, other) for other in dtypes] for one in dtypes]

# %% [markdown]
# We draw the category as a colour, and print bold what was not there before:


# %%
def paint(axes, rows, results, before):
    names = [str(dtype)[6:] for dtype in dtypes]
    for i, line in enumerate(results):
        for j, dtype in enumerate(line):
            box = {"facecolor": draw.TINTS[category(dtype)], "edgecolor": "none"}
            axes.bar(j, 0.94, 0.96, i - 0.47, **box)
            bold = "normal" if dtype in before(i, j) else "bold"
            word = str(dtype)[6:]
            axes.text(j, i, word, ha="center", va="center", size=5.2, weight=bold)
    axes.set_xticks(range(len(names)), names, rotation=45, size=7)
    axes.set_yticks(range(len(rows)), rows, size=7)
    axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(rows) - 0.5, -0.5))


# %%
figure, axes = canvas(7.4, 3.4)
names = [str(dtype)[6:] for dtype in dtypes]
paint(axes, names, promoted, lambda i, j: (dtypes[i], dtypes[j]))
told = "Where two dtypes meet; bold is a result that is neither of the two."
show(
    figure,
    told,
    "A symmetric table of 12 by 12 dtypes in four blocks; six entries are bold.",
)

# %% [markdown]
# A table may be wrong, so we add 144 pairs of real tensors:

# %%
for i, one in enumerate(dtypes):
    for j, other in enumerate(dtypes):
        total = torch.ones(1, dtype=one) + torch.ones(1, dtype=other)
        assert total.dtype == promoted[i][j] == promoted[j][i]

# %% [markdown]
# Among integers, and among floats, the result is the first in the table with room for
# both sides, in range and in fineness. For two pairs that is a third dtype. Where an
# integer meets a float, the result is that float:


# %%
def holds(wide, narrow):
    if wide.is_floating_point:
        a, b = torch.finfo(wide), torch.finfo(narrow)
        return a.max >= b.max and a.eps <= b.eps
    a, b = torch.iinfo(wide), torch.iinfo(narrow)
    return a.min <= b.min and a.max >= b.max


# %%
integers, floats = dtypes[1:6], dtypes[6:10]
for family in (integers, floats):
    for one in family:
        for other in family:
            room = [d for d in family if holds(d, one) and holds(d, other)]
            assert torch.promote_types(one, other) == room[0]
assert all(torch.promote_types(i, f) == f for i in integers for f in floats)

# %% [markdown]
# However large the integer:

# %%
(torch.tensor([70_000]) + torch.tensor([1.0], dtype=torch.float16)).item()

# %% [markdown]
# 70,000 is beyond `float16`. And if one side has no dimensions? **Predict** the dtypes
# of the three sums:

# %% tags=["predict"]
single, tiny = torch.ones(1), torch.ones(1, dtype=torch.int8)
alone = torch.tensor(2.0, dtype=torch.float64)
[str(total.dtype)[6:] for total in (single + alone, tiny + 300, tiny + 2.0)]

# %% [markdown]
# All combinations, from real additions. The last row is for comparison: the same
# `float64`, with one dimension.

# %%
scalars = {"True": True, "2": 2, "2.0": 2.0, "0-d int64": torch.tensor(2)}
scalars |= {"0-d float64": alone, "1-d float64": alone.reshape(1)}
given = [torch.ones(1, dtype=dtype) for dtype in dtypes]
sums = [[(one + value).dtype for one in given] for value in scalars.values()]

# %%
figure, axes = canvas(7.4, 2.2)
paint(axes, list(scalars), sums, lambda i, j: (dtypes[j],))
told = "A tensor of one dimension (columns) meets a value (rows); bold: a new dtype."
show(figure, told, "A table of 6 by 12 dtypes; the last row changes most columns.")

# %% [markdown]
# **Rule.** Beside a tensor with dimensions, a bool, integer or float in Python, or in a
# tensor without dimensions, can raise the category, never the size within it. If it
# raises it, its own dtype comes out; for a Python float that is the default one. Beside
# a tensor without dimensions, Python's numbers behave alike. (A complex number leaves a
# `float64` its width.)

# %%
for value in [True, 2, 2.0] + [torch.ones((), dtype=dtype) for dtype in dtypes[:10]]:
    own = value.dtype if torch.is_tensor(value) else torch.tensor(value).dtype
    for dtype in dtypes:
        result = own if category(own) > category(dtype) else dtype
        assert (torch.ones(1, dtype=dtype) + value).dtype == result
        if not torch.is_tensor(value):
            assert (torch.ones((), dtype=dtype) + value).dtype == result
assert (torch.ones(1, dtype=torch.float64) + 2j).dtype == torch.complex128

# %% [markdown]
# This explains the two answers at the beginning. Beside `tenth`, 0.1 is taken for a
# `float32`. `item()` makes a Python float, which has the digits of a `float64`, and
# there the rounded number shows. It also does between two tensors without dimensions:

# %%
assert tenth == 0.1 and tenth.item() != 0.1
precise = torch.tensor(0.1, dtype=torch.float64)
assert precise.item() == 0.1 and precise != tenth
tenth.item()

# %% [markdown]
# In place there is no choice, since the tensor on the left keeps its dtype. A larger
# float is squeezed in without a word; a higher category is refused:

# %%
squeezed = torch.ones(1, dtype=torch.float16)
squeezed += torch.ones(1, dtype=torch.float64)
assert squeezed.dtype == torch.float16
with expect_error(RuntimeError, "can't be cast to the desired output type"):
    count += 0.5

# %% [markdown]
# ## What does printing hide?
#
# A printed tensor is a summary. **Predict** how two numbers look that differ in the
# fifth digit behind the point:

# %% tags=["predict"]
pair = torch.tensor([1.0, 1.00001], device="cpu")
print(pair)

# %% [markdown]
# Alike, although they differ. "The precision is 8 by default", say the notes. It is 4;
# with 8 you see more:

# %% tags=["claim:C081"]
assert pair[0] != pair[1] and str(pair) == "tensor([1.0000, 1.0000])"
torch.set_printoptions(precision=8)
print(pair)
torch.set_printoptions(profile="default")

# %% [markdown]
# The notes' other defaults are right: beyond 1,000 elements, three at each end are
# shown, and lines hold 80 characters.

# %% tags=["claim:C082"]
row = torch.arange(1001, device="cpu")
assert "..." not in str(row[:1000]) and "..." in str(row)
assert [part.count(",") for part in str(row).split("...")] == [3, 3]
longest = max(len(line) for line in str(row[:100]).splitlines())
assert longest + len(" ") == 80  # lines drop the space at their end
print(row)

# %% [markdown]
# One option is missing in their list, `sci_mode`. Numbers this far apart make torch
# write both with an exponent, unless you forbid it:

# %% tags=["claim:C083"]
import inspect

noted = {"precision", "threshold", "edgeitems", "linewidth", "profile"}
assert {*inspect.signature(torch.set_printoptions).parameters} == noted | {"sci_mode"}
mixed = torch.tensor([1e-7, 1e5], device="cpu")
print(mixed)

# %%
torch.set_printoptions(sci_mode=False)
print(mixed)

# %% [markdown]
# The small number is gone. Now another option. **Predict** what is printed:

# %% tags=["predict"]
torch.set_printoptions(linewidth=60)
print(mixed)

# %% [markdown]
# A call that does not repeat `sci_mode` takes it back. `profile="default"` takes all
# back:

# %%
assert str(mixed) == "tensor([1.0000e-07, 1.0000e+05])"
torch.set_printoptions(profile="default")
assert len(str(row[:100]).splitlines()[0]) + 1 == 80

# %% [markdown]
# Behind the numbers stand the dtype, unless it is one that you would get unasked, and
# the device, unless it is the CPU.

# %%
assert "dtype" not in str(pair) + str(row) and "device" not in str(pair)
print(pair.double(), pair.to("meta"), sep="\n")

# %% [markdown]
# To have numbers without the printer, take them out. `tolist()` gives lists, nested
# like the tensor; `item()` gives one Python number, and insists on one:

# %% tags=["claim:C163"]
assert type(torch.ones(1, 1).item()) is float and type(row[0].item()) is int
assert torch.ones(2, 2).tolist() == [[1.0, 1.0], [1.0, 1.0]]
with expect_error(RuntimeError, "cannot be converted to Scalar"):
    torch.ones(2, 2).item()

# %% [markdown]
# ## Who decides when you say nothing?
#
# A Python float becomes a `float32` because that is the default dtype. We change it,
# and change it back in the same cell. **Predict** which of the five follow:

# %% tags=["predict"]
torch.set_default_dtype(torch.float64)
made = {"ones(1)": torch.ones(1), "tensor([1])": torch.tensor([1])}
made["tensor([1]) / 2"] = torch.tensor([1]) / 2
made["float32 + 1.5"] = single + 1.5
made["Linear(1, 1).weight"] = nn.Linear(1, 1).weight
torch.set_default_dtype(torch.float32)
table([{"made by": name, "dtype": str(t.dtype)[6:]} for name, t in made.items()])

# %% [markdown]
# The three follow that make floats where there were none; the integer and the existing
# float do not. The notes use an older function, `set_default_tensor_type`, and hold
# that its argument must be a string. A type will do, and torch asks you to leave the
# function:

# %% tags=["claim:C078", "claim:C142", "claim:C079"]
from helpers import expect_warning

torch.set_warn_always(True)
with expect_warning(UserWarning, "deprecated as of PyTorch 2.1"):
    torch.set_default_tensor_type("torch.DoubleTensor")
    assert torch.Tensor(2, 3).dtype == torch.float64
    if device.type == "cuda":
        torch.set_default_device(None)
        torch.set_default_tensor_type(torch.cuda.FloatTensor)
        assert torch.randn(3, 3).type() == "torch.cuda.FloatTensor"
    torch.set_default_tensor_type(torch.FloatTensor)
torch.set_warn_always(False)
torch.set_default_device(device)

# %% [markdown]
# (Of some warnings torch issues only the first; `set_warn_always` asks for all.)
# Through an old name the notes also put new tensors on the GPU. Where there is one, our
# cell did the same. Today that is `set_default_device`, or for a few lines
# `with torch.device`:

# %% tags=["claim:C079"]
with torch.device("meta"):
    vast = nn.Linear(100_000, 100_000)
    assert torch.randn(3, 3).device.type == "meta"
    assert torch.randn(3, 3, device="cpu").device.type == "cpu"
vast.weight.nbytes, str(vast.weight.device)

# %% [markdown]
# A layer of 40 gigabytes, without one of them. What you name yourself wins: in this
# chapter `device="cpu"` stands where the output must not depend on your machine.

# %% [markdown]
# ## What does a move cost?
#
# `to(device)` copies, unless the tensor is there already. For a GPU the notes find
# `cuda()` and `to(device)` equal and prefer `to`, which runs on any machine.
# `complaint` keeps an error as text, so the cell suits both kinds of machine:


# %%
def complaint(call, *arguments):
    try:
        call(*arguments)
    except (RuntimeError, TypeError, AssertionError) as error:
        return str(error).splitlines()[0]


# %% tags=["claim:C141", "claim:C154"]
x = torch.ones(2, 3)
assert x.to(device) is x and x.to("meta") is not x and x.cpu().device.type == "cpu"
assert (complaint(x.cuda) is None) == torch.cuda.is_available()
if device.type == "cuda":
    assert x.cpu().cuda(device).device == x.cpu().to(device).device == x.device

# %% [markdown]
# The notes also print what `torch.cuda` says: `True`, device 0, a stream, 1 device.
# Without a GPU, two of these calls raise an error:

# %% tags=["claim:C170"]
gpu = torch.cuda.is_available()
assert gpu == (torch.cuda.device_count() > 0)
for call in (torch.cuda.current_device, torch.cuda.current_stream):
    assert (complaint(call) is None) == gpu
assert complaint(torch.cuda.device, 0) is complaint(torch.cuda.device_of, x) is None

# %% [markdown]
# A copy moves bytes. So move a picture as `uint8`, and make it a float where it
# arrives, with a quarter of them:

# %%
photo = torch.zeros(3, 480, 640, dtype=torch.uint8, device="cpu")
there = photo.to(device).float() / 255
assert there.dtype == torch.float32 and there.device.type == device.type
photo.nbytes, photo.float().nbytes

# %% [markdown]
# Waiting costs, too. A GPU is asynchronous (异步): Python puts work into a queue and goes
# on, until it needs a *number*. Which calls need one? Ask `meta`, which has none.
# **Predict** which of these cannot be done there:

# %%
calls = {"x + 1": lambda x: x + 1, "x.sum()": torch.sum, "x[x > 0]": lambda x: x[x > 0]}
calls["x.masked_fill(x > 0, 0)"] = lambda x: x.masked_fill(x > 0, 0)
calls["x.nonzero()"] = torch.nonzero
calls["if x.sum() > 0:"] = lambda x: bool(x.sum() > 0)
calls |= {"x.sum().item()": lambda x: x.sum().item(), "x.cpu()": torch.Tensor.cpu}

# %% tags=["predict"]
needs = {
    name: complaint(call, x.to("meta")) is not None for name, call in calls.items()
}
table([{"call": name, "needs the numbers": need} for name, need in needs.items()])

# %% [markdown]
# `x[x > 0]` needs them, since they decide the shape of the result; `masked_fill` keeps
# the shape. On a GPU, the calls that say *yes* make Python wait. Torch can report each
# wait as an error, and the next cell compares, if you have one:

# %%
import warnings

free = [name for name in needs if not needs[name]]
assert free == ["x + 1", "x.sum()", "x.masked_fill(x > 0, 0)"]
if device.type == "cuda":
    for name, call in calls.items():
        with warnings.catch_warnings(action="ignore"):  # it calls itself a prototype
            torch.cuda.set_sync_debug_mode("error")
        waits = complaint(call, x) is not None
        torch.cuda.set_sync_debug_mode("default")
        assert waits == needs[name]

# %% [markdown]
# What you read without waiting can be staged on any machine. Our queue has one worker,
# and each piece of work is logged when it is done:

# %%
from concurrent.futures import ThreadPoolExecutor
from threading import Event


def work(name, action):
    action()
    log.append(("queue", f"{name} done"))


# %% [markdown]
# Earlier work holds the worker up until we open a gate, and behind it stands a copy.
# **Predict** what `target` holds when we look at once:

# %% tags=["predict"]
queue, gate, log = ThreadPoolExecutor(max_workers=1), Event(), []
source, target = torch.ones(2, device="cpu"), torch.zeros(2, device="cpu")
queue.submit(work, "earlier work", gate.wait)
copied = queue.submit(work, "copy", lambda: target.copy_(source))
log += [("Python", "submits both"), ("Python", f"reads {target.tolist()}")]
target.tolist()

# %% [markdown]
# Zeros: the call has returned, the copy has not begun. To wait for it is called to
# synchronize:

# %%
assert target.tolist() == [0, 0] and not copied.done()
gate.set()
copied.result()
assert target.tolist() == [1, 1]

# %%
log.append(("Python", f"reads {target.tolist()}"))
draw.timeline(log, "Python reads too early, and once more after waiting for the copy.")

# %% [markdown]
# On a GPU the worker is the device, and the wait is `torch.cuda.synchronize()`, or
# hidden in `item()` and `cpu()`. The same stage there, if there is one:

# %%
if device.type == "cuda":
    done = torch.cuda.Event()
    torch.cuda._sleep(200_000_000)  # earlier work, in clock cycles
    done.record()
    assert not done.query()
    torch.cuda.synchronize()
    assert done.query()

# %% [markdown]
# A copy to the GPU can join the queue as well, if you say `non_blocking=True` and the
# tensor lies in pinned memory (锁页内存), which the operating system leaves in its place.
# Without an accelerator `pin_memory` is refused, and on the CPU `non_blocking` changes
# nothing:

# %%
batch = torch.arange(6.0, device="cpu").reshape(2, 3)
assert (complaint(batch.pin_memory) is None) == torch.accelerator.is_available()
ready = batch.pin_memory() if device.type == "cuda" else batch
there = ready.to(device, non_blocking=True)
assert ready.is_pinned() == (there is not ready) == (device.type == "cuda")
there.sum().item()

# %% [markdown]
# ## Where it goes wrong
#
# **Expected scalar type.** NumPy's floats are `float64`, a layer's weights `float32`. A
# sum would promote. These products do not, and each has words of its own:

# %%
import numpy as np

data = torch.from_numpy(np.ones((1, 2, 2)))
layer, conv = nn.Linear(2, 2, device="cpu"), nn.Conv1d(2, 2, 1, device="cpu")
weight = layer.weight.detach()
asked = {"data[0] @ weight": lambda: data[0] @ weight}
asked |= {"layer(data)": lambda: layer(data), "conv(data)": lambda: conv(data)}

# %%
table([{"call": name, "message": complaint(call)} for name, call in asked.items()])
assert (data + weight).dtype == data.dtype == torch.float64

# %% [markdown]
# A product in batches has the famous words:

# %%
with expect_error(RuntimeError, "expected scalar type Float but found Double"):
    weight[None] @ data
assert complaint(torch.bmm, data, weight[None]).startswith(
    "expected scalar type Double"
)

# %% [markdown]
# Our table of words translates it: the first factor is `float32`, so that was expected,
# and a `float64` came. Convert the data once, where they enter:

# %%
data = data.float()
assert (weight[None] @ data).dtype == layer(data).dtype == torch.float32
assert complaint(conv, data) is None

# %% [markdown]
# Data and weights are mostly `float32` and labels `int64`, say the notes. About labels
# `cross_entropy` is strict: of five integer dtypes it takes two.

# %% tags=["claim:C399"]
assert layer.weight.dtype == torch.float32 and torch.tensor([1]).dtype == torch.int64
scores, labels = torch.zeros(2, 3, device="cpu"), torch.tensor([0, 1], device="cpu")
taken = [d for d in dtypes[1:6] if not complaint(F.cross_entropy, scores, labels.to(d))]
assert taken == [torch.uint8, torch.int64]

# %% [markdown]
# **Expected all tensors to be on the same device.** For this you need two devices, and
# `meta` will do. The words depend on the operation; those of the title come here from
# the step that leads `backward` through the function SiLU:

# %%
one, other = torch.ones(2, 2, device="cpu"), torch.ones(2, 2, device="meta")
asked = {"one + other": lambda: one + other}
asked["torch.cat([one, other])"] = lambda: torch.cat([one, other])
asked["torch.block_diag(one, other)"] = lambda: torch.block_diag(one, other)
asked["silu_backward(one, other)"] = lambda: torch.ops.aten.silu_backward(one, other)
asked |= {
    "one @ other": lambda: one @ other,
    "one.add_(other)": lambda: one.add_(other),
}

# %%
said = [{"call": name, "message": complaint(call)} for name, call in asked.items()]
table(said)

# %% [markdown]
# Between two devices that compute, the sum says it too; a machine with a GPU checks
# that here. The cure is to find the tensor that was made without a thought of the
# device, and make it where the others are:

# %%
assert "Expected all tensors to be on the same device" in said[3]["message"]
if device.type == "cuda":
    assert "Expected all tensors" in complaint(lambda: one + torch.ones(2, 2))
fresh = torch.ones(2, 2, device=one.device)
assert (one + fresh).device == torch.ones_like(one).device == one.device

# %% [markdown]
# Two rows have no message, which is worse. The sum in place did nothing. The product is
# a tensor on the CPU that nobody has filled, which shows if torch is told to mark such
# memory with NaN:

# %%
assert one.add_(other) is one and one.tolist() == [[1, 1], [1, 1]]
torch.use_deterministic_algorithms(True)
unfilled = one @ other
torch.use_deterministic_algorithms(False)
assert unfilled.device.type == "cpu" and unfilled.isnan().all()

# %% [markdown]
# **NumPy refuses.** It knows the CPU, no gradients, and no `bfloat16`:

# %% tags=["claim:C155"]
w = torch.ones(2, device="cpu", requires_grad=True)
with expect_error(RuntimeError, "Can't call numpy() on Tensor that requires grad"):
    w.numpy()
with expect_error(TypeError, "can't convert meta device type tensor to numpy"):
    torch.ones(2, device="meta").numpy()
with expect_error(TypeError, "unsupported ScalarType BFloat16"):
    torch.ones(2, device="cpu", dtype=torch.bfloat16).numpy()
assert (complaint(torch.ones(2).numpy) is None) == (device.type == "cpu")

# %% [markdown]
# An array could not carry the graph ([204](204_detach_data_clone.ipynb)). The notes
# cure that with `detach`, "to copy the data". It cures, but nothing is copied:

# %% tags=["claim:C156"]
array = w.detach().cpu().numpy()
array[0] = 5
assert w.tolist() == [5, 1]
w.detach().cpu().numpy().copy()[0] = 7
assert w.tolist() == [5, 1] and w.detach().bfloat16().float().numpy().sum() == 6

# %% [markdown]
# **The average of two pictures.** Silent: the sum wraps before it is halved.

# %%
day = torch.tensor([[200, 90], [30, 250]], dtype=torch.uint8)
night = torch.tensor([[100, 10], [20, 240]], dtype=torch.uint8)
wrong, right = (day + night) // 2, (day.int() + night.int()) // 2
assert (wrong < night).any() and ((night <= right) & (right <= day)).all()
assert ((right - wrong == 128) == (day.int() + night.int() > 255)).all()

# %%
pictures, plain = [day, night, wrong, right], torch.zeros_like(day, dtype=torch.bool)
draw.grid(
    *pictures,
    titles=["day", "night", "wrong", "right"],
    highlight=[plain, plain, wrong != right, plain],
    caption="Where the sum is above 255, the average comes out 128 too dark.",
)

# %% [markdown]
# ## In practice
#
# Set default dtype and device once, in the first lines of a program, never in a
# library. Use `float32` unless memory or speed asks for less; then prefer `bfloat16`,
# whose range is that of `float32`, and keep sums and trained weights in `float32`.
# `float64` is for referees.
#
# On a GPU, log a loss every hundred steps and not at each, since `item()` waits. Let
# the loader pin its batches ([606](606_dataloader.ipynb)), move them with
# `non_blocking=True`, and synchronize before you stop a clock, or read what was copied
# to the CPU in this way.

# %% [markdown]
# ## Summary
#
# - Among integers and among floats, promotion finds room for both; an integer gives way
#   to a float, the size of a scalar to a tensor ([measured](#Which-dtype-comes-out?)).
# - Integers wrap around; `float16` stops counting at 2048, `bfloat16` at 256, `float32`
#   at 16,777,216 ([shown](#How-far-do-the-numbers-reach?)).
# - The printer shows four digits behind the point and hides the middle of what is long;
#   `item` and `tolist` hide nothing ([shown](#What-does-printing-hide?)).
# - The default dtype reaches what makes floats where there were none; a device that you
#   name wins over the default ([shown](#Who-decides-when-you-say-nothing?)).
# - A call that needs the numbers waits for them ([shown](#What-does-a-move-cost?)).
#   Errors of dtype and device have many wordings, and some come without one
#   ([cases](#Where-it-goes-wrong)).

# %% [markdown]
# ## Exercises
#
# ### Exercise 102.1 · Five sums
# *predict · ●○○ · 4 minutes*
#
# Let `i8`, `i32` and `f16` be tensors of shape `(3,)` of these dtypes, and `s` a
# `float64` tensor of shape `()`. Give the dtypes of `i8 + i32`, `i32 * f16`, `f16 + s`,
# `i8 * s` and `i32 / 2`, as five names.

# %% tags=["exercise"]
answer = ...  # TODO: a list of five names, such as ["int8", ...]

# %%
exercise("102.1").check(answer)

# %% [markdown]
# ### Exercise 102.2 · Around the clock
# *predict · ●●○ · 4 minutes*
#
# What are `(torch.tensor([3, 250], dtype=torch.uint8) - 10).tolist()` and
# `(-torch.tensor([-128, 127], dtype=torch.int8)).tolist()`?

# %% tags=["exercise"]
answer = ...  # TODO: a list of two lists

# %%
exercise("102.2").check(answer)

# %% [markdown]
# ### Exercise 102.3 · A brighter picture
# *repair · ●●○ · 5 minutes*
#
# This function should add `by` (an integer, also a negative one) to a `uint8` picture,
# and stop at 0 and at 255. The result is `uint8` again. Bright sky turns black.


# %% tags=["exercise"]
def brighter(picture, by):
    return (picture + by).clamp(0, 255)  # TODO: repair this line


# %%
exercise("102.3").check(brighter)

# %% [markdown]
# ### Exercise 102.4 · Who waits?
# *predict · ●●○ · 5 minutes*
#
# `x` is a `float32` tensor of shape `(4, 4)`. Which of these need its numbers, so that
# on a GPU Python waits? **a** `x.T @ x` **b** `x.tolist()` **c** `x.argmax()` **d**
# `torch.unique(x)` **e** `x.sort()` **f** `int(x.argmax())`

# %% tags=["exercise"]
answer = ...  # TODO: a list of letters, such as ["a", "b"]

# %%
exercise("102.4").check(answer)

# %% [markdown]
# ### Exercise 102.5 · One in how many
# *measure · ●●○ · 6 minutes*
#
# Take all integers from 0 to 65,504. How many of them does `float16` hold exactly, and
# how many `bfloat16`?

# %% tags=["exercise"]
answer = ...  # TODO: {"float16": ..., "bfloat16": ...}

# %%
exercise("102.5").check(answer)

# %% [markdown]
# ### Exercise 102.6 · The smallest that fits
# *write · ●●○ · 8 minutes*
#
# Write a function that converts an `int64` tensor, not empty, to the first of `uint8`,
# `int8`, `int16`, `int32` and `int64` which holds all of its numbers.


# %% tags=["exercise"]
def packed(x):
    return ...  # TODO: the same numbers, in fewer bytes where possible


# %%
exercise("102.6").check(packed)

# %% [markdown]
# ### Exercise 102.7 · An array from any tensor
# *write · ●●● · 10 minutes*
#
# Make a NumPy array from a tensor: on any device that has numbers, with or without a
# gradient, of any dtype of the promotion table. `bfloat16` becomes `float32`, others
# keep their dtype. Writing to the array must not change the tensor.


# %% tags=["exercise"]
def to_array(x):
    return ...  # TODO: an array with a memory of its own


# %%
exercise("102.7").check(to_array)

# %% [markdown]
# ## Next
#
# [103 · Storage and views](103_storage_and_views.ipynb) looks at the memory in which
# the numbers lie, and at who shares it.
#
# - [Type promotion](https://docs.pytorch.org/docs/stable/tensor_attributes.html):
#   torch's own account of dtype, device and their rules.
# - [Numerical accuracy](https://docs.pytorch.org/docs/stable/notes/numerical_accuracy.html):
#   what else makes equal computations differ.
# - [CUDA semantics](https://docs.pytorch.org/docs/stable/notes/cuda.html): queues,
#   synchronization and pinned memory at length.
