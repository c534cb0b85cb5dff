# %% [markdown]
# # 402 · Convolution arithmetic
#
# Show a convolution a picture of 223 rows, then one of 224. With a kernel of 3 and a
# stride of 2, both come out with 111 rows: the last row of the larger picture is never
# looked at, and no message says so. The formula for output sizes can be copied from any
# forum. Can you say what it counts, so that you also know which pixels are read often,
# which never, and which are made up?

# %% [markdown]
# **You will be able to**
#
# - derive the output size by counting the places where a window fits;
# - predict the shape for any kernel, stride, padding and dilation, and when torch
#   refuses;
# - choose the padding that keeps the size, for odd and for even kernels;
# - tell where the cells of a margin come from, in each padding mode;
# - find the input cells that no window reads.
#
# **You need** tensors and shapes, and a first idea of what `backward` computes.
# **Time** 50 minutes.

# %% tags=["setup"]
import torch
import torch.nn.functional as F
from torch import nn

from helpers import canvas, draw, exercise, expect_error, pick_device, show

torch.set_default_device(pick_device())
torch.set_default_dtype(torch.float64)

# %% [markdown]
# (The last line asks for double precision, so that the sums below come out exact and
# you can check each of them by hand.)
#
# ## How often does the window fit?
#
# A convolution (卷积) lays a window (窗口) on its input, multiplies each cell by the number
# of the kernel (卷积核) that lies on it, and writes down the sum. Then it moves the window
# on. `conv2d` wants four dimensions: batch, channel, row, column. With a kernel of
# ones, an output cell is the sum of nine input cells:

# %%
x = torch.arange(25.0).reshape(1, 1, 5, 5)
ones = torch.ones(1, 1, 3, 3)
sums = F.conv2d(x, ones)
assert sums[0, 0, 0, 1] == (1 + 2 + 3) + (6 + 7 + 8) + (11 + 12 + 13)
sums[0, 0].int().tolist()

# %%
window, cell = torch.zeros(5, 5).bool(), torch.zeros(3, 3).bool()
window[0:3, 1:4], cell[0, 1] = True, True
draw.grid(
    x[0, 0].int(),
    sums[0, 0].int(),
    titles=["input", "output"],
    highlight=[window, cell],
    caption="Nine cells of the input add up to one cell of the output.",
)

# %% [markdown]
# Another kernel gives other numbers in as many places:

# %%
kernel = torch.arange(9.0).reshape(1, 1, 3, 3)
weighted = F.conv2d(x, kernel)
assert weighted[0, 0, 2, 1] == (x[0, 0, 2:5, 1:4] * kernel[0, 0]).sum()
assert weighted.shape == sums.shape

# %% [markdown]
# So the size of the output is the number of places, and where only that matters, blank
# pages will do as input and as kernel:


# %%
def blank(*sizes):
    return torch.zeros(1, 1, *sizes)


# %%
assert F.conv2d(blank(5, 5), blank(3, 3)).shape == (1, 1, 3, 3)

# %% [markdown]
# Rows and columns do not mix, and we can count along one axis. A window may start
# wherever it still ends inside. From one start to the next is a stride (步长), which is 1
# unless you say otherwise:


# %%
def starts(cells, window, stride=1):
    return [first for first in range(0, cells, stride) if first + window <= cells]


# %%
starts(7, 3), starts(7, 3, stride=2)

# %% [markdown]
# Five places, or three. **Predict** the list for stride 2 when the input has one cell
# more:

# %% tags=["predict"]
starts(8, 3, stride=2)

# %% [markdown]
# Still three. A window that starts at 6 would end outside:

# %%
assert starts(8, 3, stride=2) == [0, 2, 4]
assert F.conv2d(blank(8, 8), ones, stride=2).shape == (1, 1, 3, 3)

# %%
draw.window(
    8,
    3,
    stride=2,
    outputs=[(0, 0), (2, 2)],
    caption="Stride 2: the first and the last place; crossed cells are never read.",
)

# %% [markdown]
# Now make the list into a formula. The window can move by at most `cells - window`:
# that is its room. The starts are the multiples of the stride from 0 to the room, so
# there are `room // stride` of them, and one more for the start at 0:

# %%
import itertools

for cells, window, stride in itertools.product(range(1, 30), range(1, 8), range(1, 6)):
    if window <= cells:
        assert len(starts(cells, window, stride)) == (cells - window) // stride + 1

# %% [markdown]
# One of the notes divides and does not round. For our 8 cells it promises three and a
# half places; there are three:

# %% tags=["claim:C523"]
import math

promised = (8 - 1 * (3 - 1) + 2 * 0 - 1) / 2 + 1
assert promised == 3.5
assert F.conv2d(blank(8, 8), ones, stride=2).shape[-1] == math.floor(promised) == 3

# %% [markdown]
# **Rule.** Places = room // stride + 1. What is rounded away is a window that does not
# fit.

# %% [markdown]
# ## What do padding and dilation change?
#
# Padding (填充) lays extra cells around the input before the window moves. How many rows
# does `padding=1` add to a picture? Three of the notes answer: one says that 3 by 3
# becomes 5 by 5, one that 32 by 32 becomes 34 by 34, and one that W becomes W + 1. They
# cannot all be right. `F.pad` takes a number for each side. **Predict** the list:

# %% tags=["predict"]
ring = F.pad(torch.ones(1, 1, 3, 3), (1, 1, 1, 1))
ring[0, 0].int().tolist()

# %% [markdown]
# Left and right, above and below: it is W + 2, for 32 as well:

# %% tags=["claim:C545", "claim:C216"]
assert ring.shape == nn.ZeroPad2d(1)(torch.ones(1, 1, 3, 3)).shape == (1, 1, 5, 5)
assert F.pad(blank(32, 32), (1, 1, 1, 1)).shape == (1, 1, 34, 34)

# %% [markdown]
# Does the layer itself do the same? A kernel of 1 by 1 has a place on every cell, so its
# output is as large as the padded input:

# %% tags=["claim:C039"]
layer = nn.Conv2d(1, 1, kernel_size=1, padding=1)
assert layer(blank(7, 7)).shape[2:] == (9, 9)

# %% [markdown]
# The note with W + 1 is wrong. Its formula, though, two lines below, has 2P in it and
# is right:

# %% tags=["claim:C040"]
for w, f, step, p in itertools.product(range(5, 12), (1, 2, 5), (1, 2, 3), (0, 1, 2)):
    out = F.conv2d(blank(w, w), blank(f, f), stride=step, padding=p)
    assert out.shape[-1] == math.floor((w - f + 2 * p) / step) + 1

# %%
draw.window(
    5,
    3,
    padding=1,
    outputs=[(0, 0), (2, 4)],
    caption="Padding 1 (dashed): as many places as there are cells.",
)

# %% [markdown]
# As a note says, the argument is a number, a pair (for rows and columns) or a word, and
# 0 by default. There are two words, to which we come below:

# %% tags=["claim:C038"]
seven = blank(7, 7)
choices = [1, (1, 2), "valid", "same"]
sizes = [tuple(nn.Conv2d(1, 1, 3, padding=p)(seven).shape[2:]) for p in choices]
assert sizes == [(7, 7), (7, 9), (5, 5), (7, 7)]
assert nn.Conv2d(1, 1, 3).padding == (0, 0)
dict(zip(map(str, choices), sizes, strict=True))

# %% [markdown]
# Dilation (空洞卷积) pulls the points of the kernel apart. To see which cells a window
# reads, ask for a gradient (梯度): with a kernel of ones, that of one output cell is 1 at
# each cell that it added up, and 0 elsewhere.


# %%
def cells_read(dilation):
    page = torch.zeros(1, 1, 7, 7, requires_grad=True)
    F.conv2d(page, ones, dilation=dilation)[0, 0, 0, 0].backward()
    return page.grad[0, 0].int()


# %% [markdown]
# The notes say that with `dilation=1` there is a gap between the points. **Predict**
# the picture:

# %% tags=["predict"]
maps = [cells_read(1), cells_read(2)]
draw.grid(
    *maps,
    titles=["dilation=1", "dilation=2"],
    highlight=[m > 0 for m in maps],
    caption="The nine cells that the first output cell adds up.",
)

# %% [markdown]
# With 1 the points touch. The picture in the notes, with a gap of one cell, belongs to
# 2. What dilation controls is the distance from point to point, as another note has it:

# %% tags=["claim:C548", "claim:C561"]
assert maps[0][:3, :3].sum() == maps[1][:5:2, :5:2].sum() == 9
for d in (1, 2, 3):
    assert cells_read(d)[0].nonzero().flatten().tolist() == [0, d, 2 * d]

# %% [markdown]
# A kernel of `k` points has `k - 1` distances of `d` cells, and one cell at the end. So
# its window covers `d * (k - 1) + 1` cells:

# %%
draw.window(
    9,
    3,
    dilation=3,
    outputs=[(0, 0), (1, 2)],
    caption="Dilation 3 makes 3 points cover 7 cells: there are 3 places on 9.",
)

# %% [markdown]
# A better note has 1 as the default and as the ordinary convolution; larger numbers
# widen the receptive field (感受野), which is what one output cell sees:

# %% tags=["claim:C521"]
layers = [nn.Conv2d(1, 1, 3, dilation=d) for d in (1, 2, 3)]
assert nn.Conv2d(1, 1, 3).dilation == (1, 1)
assert [layer(blank(9, 9)).shape[-1] for layer in layers] == [7, 5, 3]
assert all(layer.weight.numel() == 9 for layer in layers)

# %% [markdown]
# The output shrinks because the window covers more. The nine weights remain nine.
#
# **Rule.** Padding adds `2 * padding` cells; dilation makes the window longer. Then
# count places as before.

# %% [markdown]
# ## Does the formula hold for every setting?
#
# Put together, the three lines of reasoning are a function:


# %%
def out_size(cells, kernel, stride=1, padding=0, dilation=1):
    window = dilation * (kernel - 1) + 1
    room = cells + 2 * padding - window
    return room // stride + 1


# %% [markdown]
# A formula that works on five examples may fail on the sixth. Here are all settings of
# five small ranges, with a twin list that starts elsewhere: the first rules the rows of
# a picture, the second its columns.

# %%
ranges = range(1, 13), range(1, 6), range(1, 5), range(4), range(1, 4)
rows = list(itertools.product(*ranges))
columns = rows[1001:] + rows[:1001]
len(rows)


# %% [markdown]
# Some of these make no sense, such as a kernel of 5 on a single cell. What torch
# answers to those is part of the question:


# %%
def ask_torch(down, across):
    (h, w), kernel, *settings = zip(down, across, strict=True)
    try:
        return F.conv2d(blank(h, w), blank(*kernel), None, *settings).shape
    except RuntimeError as error:
        if "Kernel size can't be greater than actual input size" not in str(error):
            raise


# %% [markdown]
# **Predict** what the formula gives where torch refuses:

# %% tags=["predict"]
both = list(zip(rows, columns, strict=True))
formula = [tuple(out_size(*setting) for setting in pair) for pair in both]
answers = [ask_torch(*pair) for pair in both]
refused = [min(f) for f, a in zip(formula, answers, strict=True) if a is None]
sorted(set(refused))

# %% [markdown]
# Where the window is longer than the padded axis, the formula gives 0 or less and torch
# raises an error, and nowhere else. All 2,880 pictures agree:

# %% tags=["claim:C555"]
assert len(answers) == 2880
for sizes, answer in zip(formula, answers, strict=True):
    assert (answer is None) == (min(sizes) <= 0)
    assert answer is None or answer[2:] == sizes

# %% [markdown]
# The notes write the formula of the documentation, which adds 1 before it rounds down.
# For a whole number that is the same:

# %% tags=["claim:C555"]
for n, k, s, p, d in rows:
    assert math.floor((n + 2 * p - d * (k - 1) - 1) / s + 1) == out_size(n, k, s, p, d)

# %% [markdown]
# One axis is enough to see more. `conv1d` slides along the last of three dimensions
# (batch, channel, place) and is a picture of one row:

# %%
signal = torch.arange(12.0).reshape(1, 1, 12)
weight = torch.tensor([[[1.0, 0.0, -2.0]]])
line = F.conv1d(signal, weight, stride=2, padding=1, dilation=2)
flat = F.conv2d(signal[:, :, None], weight[:, :, None], None, (1, 2), (0, 1), (1, 2))
assert torch.equal(line, flat[:, :, 0])

# %%
for n, k, *settings in rows:
    if out_size(n, k, *settings) > 0:
        out = F.conv1d(blank(n), blank(k), None, *settings)
        assert out.shape == (1, 1, out_size(n, k, *settings))

# %% [markdown]
# So we can measure output size against input size, with a kernel of 3:


# %%
def staircase(stride):
    return [F.conv1d(blank(n), blank(3), stride=stride).shape[-1] for n in range(3, 16)]


stairs = [staircase(stride) for stride in (1, 2, 3)]
assert stairs[0] == list(range(1, 14))
assert stairs[2] == [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5]

# %%
fig, ax = canvas(6, 2.6)
for s in (1, 2, 3):
    ax.step(range(3, 16), stairs[s - 1], "o-", ms=4, where="post", label=f"stride {s}")
ax.set(xlabel="cells in", ylabel="cells out")
ax.legend()
show(
    fig,
    caption="A stride makes a staircase: at 3, three sizes in a row share an output.",
    alt="Output size against input sizes 3 to 15, in steps. Stride 1 rises at every "
    "size, to 13; stride 2 at every second, to 7; stride 3 at every third, to 5.",
)

# %% [markdown]
# A step of the staircase is as wide as the stride. From the output alone nobody can say
# which of the sizes came in.
#
# Some numbers are refused whatever the size:

# %%
with expect_error(RuntimeError, "non-positive stride"):
    F.conv2d(seven, ones, stride=0)
with expect_error(RuntimeError, "negative padding"):
    F.conv2d(seven, ones, padding=-1)

# %% [markdown]
# ## Which padding keeps the size?
#
# One of the notes says that padding is usually chosen so that the output is as large as
# the input. At stride 1 that asks for `2 * padding == dilation * (kernel - 1)`. For odd
# kernels there is always such a number:

# %% tags=["claim:C520"]
nine = blank(9, 9)
for k, d in itertools.product((1, 3, 5, 7), (1, 2, 3)):
    layer = nn.Conv2d(1, 1, k, padding=d * (k - 1) // 2, dilation=d)
    assert layer(nine).shape == nine.shape

# %% [markdown]
# You need not compute it. A note says that TensorFlow has the modes *same* and *valid*,
# and that PyTorch wants a number instead. It takes both words now: `"valid"` means
# none, `"same"` means what keeps the size. With a stride, "same" is refused:

# %% tags=["claim:C217"]
assert nn.Conv2d(1, 1, 5, padding="same")(nine).shape == nine.shape
assert nn.Conv2d(1, 1, 5, padding="valid", stride=2)(nine).shape[-1] == 3
with expect_error(ValueError, "not supported for strided convolutions"):
    nn.Conv2d(1, 1, 3, padding="same", stride=2)

# %% [markdown]
# And even kernels? Two ones on the cells 1, 2, 3, 4 need one extra cell, and padding
# comes in pairs:

# %%
four, pair = torch.tensor([[[1.0, 2.0, 3.0, 4.0]]]), torch.ones(1, 1, 2)
[F.conv1d(four, pair, padding=p).flatten().int().tolist() for p in (0, 1)]

# %% [markdown]
# Three sums or five. `"same"` gives four, and a warning:

# %%
from helpers import expect_warning

torch.set_warn_always(True)  # so that you can run this cell again
with expect_warning(UserWarning, "zero-padded copy of the input"):
    same = F.conv1d(four, pair, padding="same")
torch.set_warn_always(False)
assert same.shape == four.shape

# %% [markdown]
# It halves the extra cells between both ends; where that leaves an odd one, it goes to
# the end. **Predict** which of the five sums is left out:

# %% tags=["predict"]
same.flatten().int().tolist()

# %% [markdown]
# The first. The 4 at the end is 4 + 0: the one extra zero stands behind the last cell,
# for which torch may copy the input. The same rule for 18 kernels, even and odd:

# %%
import warnings

assert same.tolist() == [[[3, 5, 7, 4]]]
some = torch.arange(1.0, 21).reshape(1, 1, 20)
for k, d in itertools.product(range(1, 7), (1, 2, 3)):
    extra = d * (k - 1)
    before, after = extra // 2, extra - extra // 2
    kernel = torch.arange(1.0, k + 1)[None, None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        same = F.conv1d(some, kernel, padding="same", dilation=d)
    assert torch.equal(same, F.conv1d(F.pad(some, (before, after)), kernel, dilation=d))

# %% [markdown]
# That asymmetry is small and adds up. Let one bright cell pass through five layers of
# two ones, and through two layers of three ones. The size is kept everywhere:

# %%
triple = torch.ones(1, 1, 3)
spot = F.pad(torch.ones(1, 1, 1), (6, 6))
even, odd = [spot], [spot]
for _ in range(5):
    even.append(F.conv1d(F.pad(even[-1], (0, 1)), pair))
for _ in range(2):
    odd.append(F.conv1d(odd[-1], triple, padding=1))

# %%
layers = [torch.cat(passed)[:, 0].int() for passed in (even, odd)]
draw.grid(
    *layers,
    titles=["kernel 2, five layers", "kernel 3, two layers"],
    highlight=[layer > 0 for layer in layers],
    columns=1,
    caption="Below the input, one layer a row: the even kernel pulls it to the left.",
)

# %% [markdown]
# Pascal's triangle, leaning. Half a cell to the left each layer:

# %%
place = torch.arange(13.0)
centres = [((line * place).sum() / line.sum()).item() for line in even]
assert centres == [6.0, 5.5, 5.0, 4.5, 4.0, 3.5]
assert ((odd[-1] * place).sum() / odd[-1].sum()).item() == 6.0

# %% [markdown]
# **Rule.** Odd kernels with `dilation * (kernel - 1) // 2`. At dilation 1, an even
# kernel that keeps the size moves the picture.

# %% [markdown]
# ## What stands in the margin?
#
# A note says that padding surrounds a picture with zeros, and that `padding_mode` takes
# `"zeros"` and `"circular"` only. `"reflect"` and `"replicate"` have joined them. Each
# pads the same nine cells, numbered from 1, by two on every side. Of the row that
# begins with 1, 2, 3, **predict** the two cells in front:

# %% tags=["predict"]
modes = {"zeros": "constant"} | {m: m for m in ("reflect", "replicate", "circular")}
numbered = torch.arange(1.0, 10).reshape(1, 1, 3, 3)
margins = {m: F.pad(numbered, (2, 2, 2, 2), mode=modes[m]) for m in modes}
{m: margin[0, 0, 2].int().tolist() for m, margin in margins.items()}

# %% [markdown]
# `reflect` mirrors at the edge cell and does not repeat it: left of 1 stands 2.
# `replicate` repeats the edge, `circular` goes on at the far side. The layer does the
# same; a fifth name is refused:

# %% tags=["claim:C553"]
for name, margin in margins.items():
    layer = nn.Conv2d(1, 1, 3, padding=2, padding_mode=name, bias=False)
    assert torch.allclose(layer(numbered), F.conv2d(margin, layer.weight))
with expect_error(NotImplementedError, "edge"):
    F.pad(numbered, (1, 1, 1, 1), mode="edge")

# %%
fig, axes = canvas(7.4, 2.1, cols=4)
for ax, (name, margin) in zip(axes, margins.items(), strict=True):
    numbers = margin[0, 0].int().tolist()
    ax.imshow(numbers, cmap="YlGnBu", vmin=0, vmax=15)
    for i, j in itertools.product(range(7), range(7)):
        ax.text(j, i, numbers[i][j], ha="center", va="center", fontsize=8)
    ax.plot([1.5, 4.5, 4.5, 1.5, 1.5], [1.5, 1.5, 4.5, 4.5, 1.5], color="black")
    ax.set_title(name)
    ax.set_axis_off()
show(
    fig,
    caption="Number and colour tell where a cell was copied from; a 0 is made up.",
    alt="Four grids of 7 by 7 with the same framed 3 by 3 in the middle. Around it are "
    "zeros; mirrored cells; the nearest edge cell; the cells of the opposite side.",
)

# %% [markdown]
# The places that the three read are one line of arithmetic each, for places `i` inside
# and outside `0 … n - 1`:

# %%
n, p = 5, 4
i = torch.arange(-p, n + p)
source = {
    "replicate": i.clamp(0, n - 1),
    "circular": i % n,
    "reflect": (n - 1) - ((n - 1) - i.abs()).abs(),
}
five = torch.arange(5.0).reshape(1, 1, 5)
for mode, places in source.items():
    assert (F.pad(five, (p, p), mode=mode) == places).all()

# %% [markdown]
# A mirror needs something to show. `reflect` has one cell less to offer than the axis
# is long, `circular` goes round once at most, and `replicate` never runs out:

# %%
three = torch.arange(3.0).reshape(1, 1, 3)
with expect_error(RuntimeError, "less than the corresponding input dimension"):
    F.pad(three, (3, 3), mode="reflect")
with expect_error(RuntimeError, "wrapping around more than once"):
    F.pad(three, (4, 4), mode="circular")
assert F.pad(three, (3, 3), mode="circular").shape[-1] == 9
assert F.pad(three, (9, 9), mode="replicate").shape[-1] == 21

# %% [markdown]
# What is the use? Zeros are black, whatever the picture is. On a page of ones, sums
# over a zero margin fall off at the border; over a mirrored margin they do not:

# %% tags=["claim:C546", "claim:C235"]
white = torch.ones(1, 1, 3, 3)
zeros, mirror = F.pad(white, (1, 1, 1, 1)), nn.ReflectionPad2d(1)(white)
assert F.conv2d(zeros, ones)[0, 0, 0].tolist() == [4, 6, 4]
assert F.conv2d(mirror, ones)[0, 0, 0].tolist() == [9, 9, 9]
assert torch.equal(nn.ReflectionPad2d(2)(numbered), margins["reflect"])

# %% [markdown]
# So "padding always means zeros" is true of the default only, and a note that
# recommends `ReflectionPad2d` against the ring of zeros is right. Blur a photograph,
# and you can see the ring. (Its three colours go in as a batch of three.)

# %%
from helpers import load_picture

pixels = torch.tensor(list(load_picture("cat").tobytes())).reshape(213, 320, 3)
cat = pixels[::2, ::2].permute(2, 0, 1)[:, None] / 255
mean = torch.full((1, 1, 15, 15), 1 / 225)
dark = F.conv2d(cat, mean, padding=7)
kept = F.conv2d(F.pad(cat, (7, 7, 7, 7), mode="reflect"), mean)
assert dark.shape == kept.shape == cat.shape
assert dark[:, :, 0].sum() < 0.6 * kept[:, :, 0].sum()

# %%
draw.pictures(
    [each[:, 0].clamp(0, 1) for each in (cat, dark, kept)],
    titles=["photograph", "zeros", "reflect"],
    caption="A mean over 15 by 15 cells: zeros leave a dark frame, a mirror does not.",
    alt="A photograph of a cat and two blurs of it; the first blur has dark borders.",
)

# %% [markdown]
# ## Which cells does nobody read?
#
# The sum of all outputs has a gradient at every input cell. With a kernel of ones it
# counts the windows that read the cell:


# %%
def reads(cells, kernel, **settings):
    page = torch.zeros(1, 1, cells, cells, requires_grad=True)
    F.conv2d(page, torch.ones(1, 1, kernel, kernel), **settings).sum().backward()
    return page.grad[0, 0].int()


# %% [markdown]
# On 8 by 8 cells, **predict** the largest count for stride 1 and for stride 2:

# %% tags=["predict"]
once, twice = reads(8, 3), reads(8, 3, stride=2)
draw.grid(
    once,
    twice,
    titles=["stride 1", "stride 2"],
    highlight=[once == 0, twice == 0],
    caption="How many windows read each cell of 8 by 8; orange cells have gradient 0.",
)

# %% [markdown]
# A corner counts once, a cell in the middle nine times. With stride 2 four is the most,
# and a whole row and a whole column have no gradient.

# %%
assert once[0, 0] == 1 and once.max() == 9 and twice.max() == 4
assert not twice[-1].any() and not twice[:, -1].any()

# %% [markdown]
# How many rows are lost, while the stride is no longer than the kernel? The last window
# ends where the room was rounded down, so the remainder `room % stride` is left over at
# the end, and the padding there goes first:

# %%
for cells, k, s, p in itertools.product(range(5, 12), (2, 3, 5), (1, 2, 3), (0, 1, 2)):
    if s <= k:
        lost = (cells + 2 * p - k) % s
        unread = (reads(cells, k, stride=s, padding=p).sum(1) == 0).sum()
        assert unread == max(0, lost - p)

# %% [markdown]
# Here is the picture that we began with, 224 cells on one axis. Whatever you write into
# the last one, the output stays the same:

# %%
tall = torch.zeros(1, 1, 224, requires_grad=True)
out = F.conv1d(tall, triple, stride=2)
out.sum().backward()
assert out.shape[-1] == F.conv1d(tall[..., :223], triple, stride=2).shape[-1] == 111
assert tall.grad[0, 0].nonzero().max() == 222
loud = F.pad(blank(223), (0, 1), value=1e6)
assert torch.equal(F.conv1d(loud, triple, stride=2), out)

# %% [markdown]
# At the end at most `stride - 1` rows go missing. Holes inside are worse, and need no
# remainder: below, the last window ends on the last cell. **Predict** how many of 49
# cells are read by a kernel of 3 with stride 2 and dilation 2:

# %% tags=["predict"]
gaps = {
    "kernel 1, stride 2": reads(7, 1, stride=2),
    "kernel 3, stride 2, dilation 2": reads(7, 3, stride=2, dilation=2),
}
draw.grid(
    *gaps.values(),
    titles=list(gaps),
    highlight=[counts == 0 for counts in gaps.values()],
    caption="Orange cells are read by no window at all.",
)

# %% [markdown]
# Sixteen. In the right one every start is even and every step is even, so no window ever
# lands on an odd row or column. The shape of the output gives no hint. On a large
# picture nine weights look at little more than a quarter of it:

# %%
assert all(counts[-1, -1] > 0 for counts in gaps.values())
assert [int((counts > 0).sum()) for counts in gaps.values()] == [16, 16]
large = reads(63, 3, stride=2, dilation=2) > 0
assert 0.25 < large.double().mean() < 0.26

# %% [markdown]
# Away from the borders holes have two causes: a stride longer than the kernel, as on the
# left, or a factor common to stride and dilation, as on the right. For a kernel of 5 and
# strides up to 4, only the second remains:

# %%
for s, d in itertools.product(range(1, 5), repeat=2):
    inside = reads(41, 5, stride=s, dilation=d)[16:25, 16:25]
    assert (inside == 0).any() == (math.gcd(s, d) > 1)

# %% [markdown]
# While a model trains, the gradient need not tell. Behind `BatchNorm2d` that of the sum
# is 0 everywhere, since normalised outputs have the same sum whatever you put in:

# %%
photo = (torch.arange(64.0).reshape(1, 1, 8, 8) % 7).requires_grad_()
normed = nn.Sequential(nn.Conv2d(1, 1, 3, stride=2), nn.BatchNorm2d(1))
normed(photo).sum().backward()
assert photo.grad.abs().max() < 1e-9

# %% [markdown]
# **Rule.** If a pixel must count, look not at the shape but at the gradient of the sum,
# with all weights set to 1.

# %% [markdown]
# ## Where it goes wrong
#
# **`dilation=0` for "none".** One of the notes says that 0 is the ordinary convolution.
# The layer is built without complaint; the error comes when it is used (we run this one
# on the CPU, whose words are shown):

# %% tags=["claim:C547"]
layer = nn.Conv2d(1, 1, 3, dilation=0, device="cpu")
with expect_error(RuntimeError, "dilation should be greater than zero"):
    layer(seven.cpu())

# %% [markdown]
# **An even kernel in a residual block.** `kernel // 2` is a popular recipe for padding.
# It gives one cell too many if the kernel is even, and then the output cannot be added
# to the input:

# %%
wrong = F.conv2d(seven, torch.ones(1, 1, 4, 4), padding=4 // 2)
with expect_error(RuntimeError, "must match the size of tensor b"):
    wrong + seven
right = F.conv2d(F.pad(seven, (1, 2, 1, 2)), torch.ones(1, 1, 4, 4))
assert (right + seven).shape == seven.shape

# %% [markdown]
# **Rows and columns swapped.** `conv2d` takes the pair as rows, columns. `F.pad` begins
# with the last dimension: left, right, then top, bottom. Nothing complains:

# %%
meant = F.conv2d(seven, ones, padding=(1, 2))
wrong = F.conv2d(F.pad(seven, (1, 1, 2, 2)), ones)
right = F.conv2d(F.pad(seven, (2, 2, 1, 1)), ones)
assert meant.shape[2:] == right.shape[2:] == (7, 9) and wrong.shape[2:] == (9, 7)

# %% [markdown]
# **Rounding in another way.** Python's `round` goes to the nearest number and `int`
# towards zero. The first finds a fourth place that does not exist, the second a place
# where the window is longer than the input:

# %%
assert round((8 - 3) / 2 + 1) == 4 and out_size(8, 3, stride=2) == 3
assert int((2 - 3) / 2) + 1 == 1 and out_size(2, 3, stride=2) == 0
with expect_error(RuntimeError, "Kernel size can't be greater"):
    F.conv2d(blank(2, 2), ones, stride=2)

# %% [markdown]
# `//` rounds down on both sides of zero, which is what counting needs.

# %% [markdown]
# ## In practice
#
# Prefer odd kernels, and write the padding as a number, `dilation * (kernel - 1) // 2`:
# it is also accepted where a later edit adds a stride. With strides, choose input sizes
# that leave no remainder, or accept the loss knowingly. Keep stride and dilation free
# of a common factor, and the kernel no shorter than the stride. If borders matter,
# compare `reflect` or `replicate` with zeros on your own data; for panoramas and other
# periodic axes `circular` says the truth. In a real model, send one batch of zeros
# through and assert the shapes. To see what is read, chain copies of its convolutions,
# set their weights to 1, and ask for the gradient of the sum.

# %% [markdown]
# ## Summary
#
# - The output size is the number of places of a window: room // stride + 1
#   ([counted](#How-often-does-the-window-fit?)).
# - Padding adds twice its number, dilation makes `k` points cover `d * (k - 1) + 1`
#   cells ([shown](#What-do-padding-and-dilation-change?)). Where the formula gives 0 or
#   less, torch refuses ([2,880 times](#Does-the-formula-hold-for-every-setting?)).
# - Odd kernels keep the size with `d * (k - 1) // 2`; even ones at dilation 1 need one
#   cell more at the end, and shift the picture
#   ([drawn](#Which-padding-keeps-the-size?)).
# - Four modes fill the margin: with zeros, a mirror, the edge, or the far side
#   ([drawn](#What-stands-in-the-margin?)).
# - Rounding down loses up to stride - 1 rows, and a stride longer than the kernel, or
#   with a factor in common with the dilation, skips cells everywhere: with weights of 1
#   the gradient of the sum is 0 there ([counted](#Which-cells-does-nobody-read?)).
# - `dilation=0` raises when the layer is used; `kernel // 2` for an even kernel, the
#   order of `F.pad` and another rounding give wrong sizes
#   ([cases](#Where-it-goes-wrong)).

# %% [markdown]
# ## Exercises
#
# ### Exercise 402.1 · Two axes
# *predict · ●○○ · 3 minutes*
#
# A picture of 32 rows and 28 columns goes through this layer:
# `nn.Conv2d(1, 1, kernel_size=5, stride=(2, 3), padding=1)`. How many rows and columns
# come out? Work it out on paper and write both.

# %% tags=["exercise"]
answer = ...  # TODO: a tuple of two integers

# %%
exercise("402.1").check(answer)

# %% [markdown]
# ### Exercise 402.2 · The unread cells
# *predict · ●●○ · 4 minutes*
#
# A kernel of 2 points with stride 3 and dilation 1 moves along a signal of 10 cells,
# numbered from 0, without padding. Which cells does no window read?

# %% tags=["exercise"]
answer = ...  # TODO: a list of cell numbers, in rising order

# %%
exercise("402.2").check(answer)

# %% [markdown]
# ### Exercise 402.3 · From the output back
# *write · ●●○ · 8 minutes*
#
# A step of the staircase holds several input sizes. Return the smallest and the largest
# one for which a convolution gives `out` cells along an axis. (You are only asked about
# settings for which both are at least 1.)


# %% tags=["exercise"]
def sizes_for(out, kernel, stride, padding, dilation):
    return ...  # TODO: (smallest, largest), for example (7, 8) for out=3, 3, 2, 0, 1


# %%
exercise("402.3").check(sizes_for)

# %% [markdown]
# ### Exercise 402.4 · A size that will not stay
# *repair · ●●○ · 6 minutes*
#
# This function should keep height and width for every kernel with odd sides, square or
# not, and for every dilation. It was only ever tried on 3 by 3 with dilation 1.


# %% tags=["exercise"]
def filtered(picture, kernel, dilation):
    padding = kernel.shape[-1] // 2  # TODO: repair
    return F.conv2d(picture, kernel, padding=padding, dilation=dilation)


# %%
exercise("402.4").check(filtered)

# %% [markdown]
# ### Exercise 402.5 · Blind steps
# *measure · ●●○ · 8 minutes*
#
# Three convolutions of 3 by 3, each with dilation 2, follow one another. How many cells
# of the input can change one cell of the final output? Let a gradient count them.

# %% tags=["exercise"]
page = torch.zeros(1, 1, 21, 21, requires_grad=True)
answer = ...  # TODO: the number of input cells that the middle output cell depends on

# %%
exercise("402.5").check(answer)

# %% [markdown]
# ### Exercise 402.6 · The padding torch will not compute
# *write · ●●● · 12 minutes*
#
# TensorFlow's *same* works with strides: of `cells` it makes `cells / stride`, rounded
# up. Return how many extra cells that takes before and after an axis: as few as
# possible, never negative, halved, and an odd one goes to the end.


# %% tags=["exercise"]
def same_padding(cells, kernel, stride, dilation):
    return ...  # TODO: for example (0, 1) for 8 cells, kernel 3, stride 2, dilation 1


# %%
exercise("402.6").check(same_padding)

# %% [markdown]
# ## Next
#
# [502 · Module hooks](502_module_hooks.ipynb) lets you print the shape behind every
# layer of a model that somebody else wrote, and compare it with your count.
#
# - [A guide to convolution arithmetic](https://arxiv.org/abs/1603.07285), by Dumoulin
#   and Visin: padding, stride and dilation in drawings, and transposed convolutions.
# - [Mind the pad](https://arxiv.org/abs/2010.02178), by Alsallakh and others: what
#   unread rows and zero margins do to trained networks.
# - [Conv2d](https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv2d.html): the
#   formula as the documentation has it.
