# %% [markdown]
# # 101 · Creating tensors
#
# `torch.tensor(3)`, `torch.tensor([3])`, `torch.Tensor(3)`, `torch.Tensor([3])`: one
# capital letter and one pair of brackets lie between these calls. How many different
# tensors do they make? Each way of making a tensor settles its shape, its type, its
# memory and its numbers, and what you leave open is decided for you. In this chapter we
# ask each of them what it has decided.

# %% [markdown]
# **You will be able to**
#
# - predict shape and type of a tensor made from numbers, lists, arrays or lengths;
# - tell whether a tensor shares its memory with what it was made from;
# - choose the maker that fills a shape with what you mean, and distrust `empty`;
# - place the last element of `arange`, `linspace` and `logspace`;
# - draw random numbers from the law you want, and draw the same ones again.
#
# **You need** [000](000_start_here.ipynb) and a little NumPy. **Time** 50 minutes.

# %% tags=["setup"]
import warnings

import numpy as np
import torch

from helpers import draw, exercise, expect_error, expect_warning, pick_device, table
from helpers.figures import BLUE, ORANGE, canvas, show

device = pick_device()
torch.set_default_device(device)

# %% [markdown]
# ## What does the data decide?
#
# The direct way to a tensor (张量) is to write its numbers down, with brackets around
# what belongs together:

# %%
nested = [[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [10, 11, 12]]]
box = torch.tensor(nested)
box.ndim, box.shape, box.numel()

# %% [markdown]
# It has three dimensions (维度), a length for each, and twelve elements. The notes read
# this off the brackets: a "big dimension" is how many brackets there are, a "small
# dimension" how many elements stand inside. The first is right, and its name is `ndim`.
# The second is not one number, since each depth has a count of its own. Those counts
# are the `shape`, from the outside in:

# %% tags=["claim:C026"]
assert str(nested).startswith("[" * box.ndim + "1")
assert box.shape == (len(nested), len(nested[0]), len(nested[0][0]))
draw.grid(box, caption="Shape (2, 2, 3): two pages, two rows on each, three numbers.")

# %% [markdown]
# Brackets give the shape; the numbers give their type, the dtype (数据类型). Five times
# nobody names one. **Predict** the five:

# %% tags=["predict"]
samples = [1, 2], [1, 2.5], [True, False], [True, 2], np.array([1.0, 2.0])
[torch.tensor(data).dtype for data in samples]

# %% [markdown]
# Python's integers become `int64`, and a single float among them turns all into
# `float32`. A boolean beside an integer becomes an integer. NumPy's floats keep the
# type that they have. The notes are right here, and so are they about what happens to
# the data: lists, tuples, arrays and scalars are copied.

# %% tags=["claim:C086", "claim:C094"]
expected = [torch.int64, torch.float32, torch.bool, torch.int64, torch.float64]
assert [torch.tensor(data).dtype for data in samples] == expected
for source in [1, 2], np.array([1, 2]):
    made = torch.tensor(source)
    source[0] = 9
    assert made.tolist() == [1, 2]
assert torch.tensor((1, 2)).tolist() == [1, 2] and torch.tensor(7).shape == ()
assert torch.tensor(np.float16(7)).dtype == torch.float16

# %% [markdown]
# You may overrule it: the type, the device and whether gradients are wanted. (`meta` is
# a device without memory, there on every machine.)

# %% tags=["claim:C400"]
assert torch.tensor(np.array([1, 2]), dtype=torch.float16).dtype == torch.float16
assert torch.tensor([1, 2], device="meta").device.type == "meta"
assert torch.tensor([1.0, 2.0], requires_grad=True).requires_grad

# %% [markdown]
# All of them have to be named. Only the data goes without a name:

# %% tags=["claim:C400"]
with expect_error(TypeError, "takes 1 positional argument"):
    torch.tensor([1, 2], torch.float16)

# %% [markdown]
# ## A shape, or data?
#
# Back to the question at the top. **Predict** the four shapes:

# %% tags=["predict"]
four = torch.tensor(3), torch.tensor([3]), torch.Tensor(3), torch.Tensor([3])
[tuple(t.shape) for t in four]

# %% [markdown]
# The second and the fourth agree in shape but not in type. So they are four different
# tensors, and one of them, `torch.Tensor(3)`, took its 3 for a length:

# %%
assert [tuple(t.shape) for t in four] == [(), (1,), (3,), (1,)]
assert [t.dtype == torch.float32 for t in four] == [False, False, True, True]

# %% [markdown]
# Which arguments are lengths, and which are data? Let us put the same ones to both:


# %%
def outcome(make, arguments):
    try:
        made = make(*arguments)
    except TypeError:
        return "TypeError"
    return f"{tuple(made.shape)} of {made.dtype}"


# %%
puzzles = {"2, 3": (2, 3), "[2, 3]": ([2, 3],), "(2, 3)": ((2, 3),)}
puzzles["torch.Size([2, 3])"] = (torch.Size([2, 3]),)
rows = []
for said, put in puzzles.items():
    capital, small = outcome(torch.Tensor, put), outcome(torch.tensor, put)
    rows.append({"arguments": said, "torch.Tensor": capital, "torch.tensor": small})
table(rows, "What comes back: shape and dtype.")

# %% [markdown]
# Loose integers and a `torch.Size` are lengths to `torch.Tensor`; a list or a plain
# tuple is data. So the notes are right twice: brackets or parentheses give the same
# tensor, and `torch.Tensor(a.size())` has the shape of `a`, although a `torch.Size`
# *is* a tuple:

# %% tags=["claim:C095", "claim:C096"]
a = torch.zeros(2, 3)
assert torch.Tensor([2, 3]).tolist() == torch.Tensor((2, 3)).tolist() == [2, 3]
assert isinstance(a.size(), tuple) and torch.Tensor(a.size()).shape == (2, 3)
assert torch.Tensor(tuple(a.size())).tolist() == [2, 3]

# %% [markdown]
# `torch.tensor` read none of them as a shape. So when the notes advise against it, as
# easily mistaken for creation by shape, they name the right danger and the wrong
# function:

# %% tags=["claim:C087"]
for data in ([2, 3], (2, 3), torch.Size([2, 3])):
    assert torch.tensor(data).tolist() == [2, 3]
assert rows[0]["torch.tensor"] == "TypeError"

# %% [markdown]
# What is `torch.Tensor`, then? A Python class, say the notes, and an alias of
# `torch.FloatTensor`. A class it is, but that of all tensors, integers among them.
# Given numbers it takes the default dtype, which is `float32` until somebody changes
# it:

# %% tags=["claim:C093"]
assert isinstance(torch.Tensor, type) and not isinstance(torch.tensor, type)
assert isinstance(torch.arange(3), torch.Tensor)
assert not isinstance(torch.arange(3), torch.FloatTensor)
assert torch.Tensor([1, 2]).dtype == torch.float32
torch.set_default_dtype(torch.float64)
assert torch.Tensor([1, 2]).dtype == torch.float64
torch.set_default_dtype(torch.float32)

# %% [markdown]
# To a default device it pays no heed:

# %%
with torch.device("meta"):
    made = torch.Tensor([1, 2]), torch.tensor([1, 2])
assert [t.device.type for t in made] == ["cpu", "meta"]

# %% [markdown]
# As old is `new`, which by the notes makes a tensor of the same type and device,
# without content. It still does, and without content means no elements at all. Its
# successors say in their names what they put in. (This one lies on `meta`, which no
# default would hit by chance.)

# %% tags=["claim:C110"]
like = torch.zeros(2, 3, dtype=torch.float64, device="meta")
for made in like.new(), torch.Tensor.new(like), like.new_zeros(2), like.new_tensor([5]):
    assert (made.dtype, made.device) == (like.dtype, like.device)
assert like.new().shape == torch.Tensor.new(like).shape == (0,)

# %% [markdown]
# **Rule.** Data goes into `torch.tensor`, lengths into a function that says with what
# they are filled. `torch.Tensor` is for `isinstance`.

# %% [markdown]
# ## Who copies, and who shares?
#
# Somebody hands you a NumPy array. Five makers take it, and some of the tensors stay
# tied to the array. The test is a write: make the tensor, change the source, look. All
# stays on the CPU, where NumPy's memory is:


# %%
def fate(make, source):
    with warnings.catch_warnings(), torch.device("cpu"):
        warnings.simplefilter("ignore")
        try:
            made = make(source)
        except TypeError:
            return "refuses"
    source[0] = 9
    return "shares" if made[0] == 9 else "copies"


# %% [markdown]
# **Predict** the column of `torch.tensor`, and then, with more courage, that of
# `torch.Tensor`:

# %% tags=["predict"]
names = "tensor", "as_tensor", "asarray", "from_numpy", "Tensor"
rows = []
for said, source in {
    "list of floats": lambda: [1.0, 2.0],
    "float32 array": lambda: np.array([1, 2], dtype=np.float32),
    "float64 array": lambda: np.array([1, 2], dtype=np.float64),
    "int64 tensor": lambda: torch.tensor([1, 2], device="cpu"),
}.items():
    fates = {name: fate(getattr(torch, name), source()) for name in names}
    rows.append({"source": said} | fates)
table(rows, "Measured: does a later write to the source reach the tensor?")

# %% [markdown]
# The first column is what the notes promise: copies. `from_numpy` shares the arrays and
# refuses what is none. `as_tensor` and `asarray` share all but the list. And with
# `torch.Tensor` the fate of your memory hangs on the type of the array: `float32` is
# shared, `float64` has to be converted, hence copied.

# %% tags=["claim:C094", "claim:C401"]
columns = {name: [row[name] for row in rows] for name in names}
assert columns["tensor"] == ["copies"] * 4
assert columns["as_tensor"] == columns["asarray"] == ["copies"] + ["shares"] * 3
assert columns["from_numpy"] == ["refuses", "shares", "shares", "refuses"]
assert columns["Tensor"] == ["copies", "shares", "copies", "shares"]

# %% [markdown]
# The last row is another point for the notes, who warn that a change of
# `c = torch.Tensor(b)` changes `b`. So it does, and not even the type is converted:

# %% tags=["claim:C097"]
b = torch.tensor([1, 2])
c = torch.Tensor(b)
c[0] = 7
assert c is not b and b.tolist() == [7, 2] and c.dtype == torch.int64

# %% [markdown]
# `torch.tensor` copies, and recommends a better way of doing it:

# %%
with expect_warning(UserWarning, "detach().clone()"):
    torch.tensor(b)

# %% [markdown]
# `from_numpy` also keeps the type of the array:

# %%
for kind in "bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float64":
    assert str(torch.from_numpy(np.zeros(4, dtype=kind)).dtype) == f"torch.{kind}"

# %% [markdown]
# So when the notes got `int32` from `np.array([1, 2, 3, 4])`, it was their array that
# held `int32`. With the NumPy of today it holds `int64`:

# %% tags=["claim:C085"]
tied = torch.from_numpy(np.array([1, 2, 3, 4]))
assert tied.tolist() == [1, 2, 3, 4] and tied.dtype == torch.int64

# %% [markdown]
# A new dtype forces a copy on `as_tensor` too, and so does a new device, be it only the
# default one. If you must know, ask `asarray`: it copies with `copy=True`, shares with
# `copy=False`, and fails where it cannot do as you say:

# %%
numbers = np.array([1.0, 2.0])
with torch.device("cpu"):
    converted = torch.as_tensor(numbers, dtype=torch.float32)
    copied, tied = (torch.asarray(numbers, copy=wish) for wish in (True, False))
    numbers[0] = 9
assert (converted[0], copied[0], tied[0]) == (1, 1, 9)
with torch.device("meta"):
    moved, stayed = torch.as_tensor(numbers), torch.from_numpy(numbers)
assert (moved.device.type, stayed.device.type) == ("meta", "cpu")

# %%
with expect_error(ValueError, "can't alias tensor"):
    torch.asarray(numbers, dtype=torch.float32, device="cpu", copy=False)

# %% [markdown]
# **Rule.** `torch.tensor` when the tensor must be yours, `from_numpy` when it must be
# the array's, `asarray` with `copy=` when you want to see the choice written down.

# %% [markdown]
# ## What fills a new shape?
#
# Often you know the lengths and one number. Again the dtype is left open. **Predict**
# the four:

# %% tags=["predict"]
filled = [torch.zeros(2), *(torch.full((2,), fill) for fill in (7, 7.0, True))]
[t.dtype for t in filled]

# %% [markdown]
# `zeros` takes the default dtype. `full` goes by the kind of Python number it gets,
# boolean, integer or float. NumPy's types it does not keep: `np.float64(7)` makes a
# `float32`. So `torch.full([2, 2], 1)` holds integers, as the notes show, and cannot be
# divided by three in place:

# %% tags=["claim:C089", "claim:C405"]
kinds = [torch.float32, torch.int64, torch.float32, torch.bool]
assert [t.dtype for t in filled] == kinds
assert torch.full((2,), np.float64(7)).dtype == torch.float32
assert torch.full((2,), np.int8(7)).dtype == torch.int64
ones = torch.full([2, 2], 1)
assert ones.tolist() == [[1, 1], [1, 1]] and ones.dtype == torch.int64
with expect_error(RuntimeError, "can't be cast"):
    ones /= 3

# %% [markdown]
# `eye` puts ones on the diagonal. One length gives a square, two give rows and columns:

# %% tags=["claim:C090", "claim:C411"]
shown = torch.zeros(2, 2), torch.ones(3, 4), torch.full((2, 2), 7), torch.eye(3, 2)
assert shown[0].sum() == 0 and (shown[1] == 1).all() and (shown[2] == 7).all()
assert torch.eye(3).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
assert shown[3].tolist() == [[1, 0], [0, 1], [0, 0]]
titles = ["zeros(2, 2)", "ones(3, 4)", "full((2, 2), 7)", "eye(3, 2)"]
draw.grid(*shown, titles=titles, caption="Four shapes, filled with what is named.")

# %% [markdown]
# A name that ends in `_like` asks for the look of another tensor: its shape, dtype and
# device. `zeros_like` also keeps the layout (布局), the way in which elements are stored.
# The wish for a gradient is left behind:

# %% tags=["claim:C404"]
look = torch.ones(2, 3, dtype=torch.float64, requires_grad=True)
fresh = torch.zeros_like(look)
assert fresh.tolist() == [[0, 0, 0], [0, 0, 0]] and fresh.dtype == torch.float64
assert not fresh.requires_grad
for make in torch.zeros_like, torch.ones_like, torch.empty_like, torch.rand_like:
    far = make(look.to("meta"))
    assert (far.shape, far.dtype, far.device.type) == ((2, 3), torch.float64, "meta")
    assert not far.requires_grad
assert torch.zeros_like(torch.eye(2).to_sparse()).layout == torch.sparse_coo

# %% [markdown]
# And `empty`? It reserves memory and writes nothing, so you read what was left there.
# The notes make tensors by shape in three more ways, and elsewhere speak of "random
# numbers in memory". With deterministic algorithms switched on, torch fills newly
# reserved memory with NaN, or with the largest integer. Where that filling is still
# there, nobody has written since:

# %% tags=["claim:C084", "claim:C088"]
torch.use_deterministic_algorithms(True)
makers = torch.empty, torch.Tensor, torch.FloatTensor, torch.IntTensor
raw = [make(2, 3) for make in makers]
zeroed = torch.zeros(2, 3)
torch.use_deterministic_algorithms(False)
assert all(t.shape == (2, 3) and t.isnan().all() for t in raw[:3])
assert raw[3].shape == (2, 3) and (raw[3] == torch.iinfo(torch.int32).max).all()
assert (zeroed == 0).all()

# %% [markdown]
# `zeros` has two arguments more. With `out=` it writes into a tensor that is there
# already, and you get that very object back:

# %% tags=["claim:C402"]
out = torch.ones(2, 3)
where = out.data_ptr()
result = torch.zeros(2, 3, out=out)
assert result is out and out.data_ptr() == where and (out == 0).all()

# %% [markdown]
# `zeros` does not ask for a shape that fits. `out` takes on the new one, without a
# word:

# %%
assert torch.zeros(4, out=out) is out and out.shape == (4,)

# %% [markdown]
# With `layout=torch.sparse_coo` only the elements that are not zero are kept, each with
# its indices. That saves memory, say the notes, for a sparse matrix (稀疏矩阵). How
# sparse must it be? An identity matrix has one element in `n` that is not zero. In
# `float32` it takes four bytes, and each of its two indices eight. **Predict** from
# which row on the last column is smaller:

# %% tags=["predict"]
rows = []
for n in 2, 5, 6, 100:
    sparse = torch.eye(n).to_sparse()
    kept = sparse.indices().nbytes + sparse.values().nbytes
    rows.append({"n": n, "bytes, strided": torch.eye(n).nbytes, "bytes, sparse": kept})
table(rows, "An identity matrix, stored in full and stored sparsely.")

# %% [markdown]
# The two indices and the value make twenty bytes, where the usual, strided layout takes
# four. So the notes are right only of matrices sparse enough: here, once fewer than one
# element in five is not zero:

# %% tags=["claim:C403"]
for row in rows:
    n, full, kept = row.values()
    assert full == 4 * n * n and kept == 20 * n and (kept < full) == (n > 5)
nothing = torch.zeros(1000, 1000, layout=torch.sparse_coo)
assert nothing.layout == torch.sparse_coo and nothing._nnz() == 0

# %% [markdown]
# ## Where does a range end?
#
# `arange` walks in steps and stops before its end, like Python's `range`. `linspace`
# divides a stretch, and both ends belong to it:

# %% tags=["claim:C090", "claim:C406"]
assert torch.arange(10).tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
assert torch.arange(1, 10, 4).tolist() == list(range(1, 10, 4)) == [1, 5, 9]
assert torch.arange(0, 1, 0.25).tolist() == [0, 0.25, 0.5, 0.75]

# %% tags=["claim:C092", "claim:C408"]
evenly = torch.linspace(start=1, end=10, steps=6)
torch.testing.assert_close(evenly, torch.tensor([1, 2.8, 4.6, 6.4, 8.2, 10]))
assert torch.linspace(0, 10, 6).tolist() == [0, 2, 4, 6, 8, 10]
assert torch.linspace(1, 10, 5).diff().tolist() == [2.25] * 4

# %% [markdown]
# Side by side, with the same step in the two upper rows:

# %%
lanes = {
    "linspace(1, 10, 5)": torch.linspace(1, 10, 5),
    "linspace(1, 10, 6)": evenly,
    "arange(1, 10, 1.8)": torch.arange(1, 10, 1.8),
}
figure, axes = canvas(7, 1.7)
for lane, places in enumerate(lanes.values()):
    ends = {"markevery": [-1], "markerfacecolor": ORANGE, "markeredgecolor": ORANGE}
    axes.plot(places.cpu(), [lane] * len(places), "o-", color=BLUE)
    axes.plot(places.cpu(), [lane] * len(places), "o", **ends)
axes.set_yticks(range(3), lanes)
axes.set_xticks(range(1, 11))
told = "The last element, in orange: `linspace` reaches its end, `arange` stops short."
alt = "Three rows of dots from 1: those of linspace end at 10, that of arange at 8.2."
show(figure, told, alt)

# %% [markdown]
# Five points leave four gaps, so the step of `linspace` is
# `(end - start) / (steps - 1)`. By the notes `steps` may be left out, and is 100 then.
# Today torch finds no form of the function without it:

# %% tags=["claim:C407", "claim:C409"]
for make in torch.linspace, torch.logspace:
    with expect_error(TypeError, "invalid combination of arguments", lines=1):
        make(0, 2)

# %% [markdown]
# `logspace` is for stretches on which ratios count, such as learning rates. Its ends
# look like those of `linspace`. **Predict** three numbers from 1 to 100:

# %% tags=["predict"]
[f"{number:.3g}" for number in torch.logspace(1, 100, 3).tolist()]

# %% [markdown]
# They are exponents: the range leads from 10 over 10 to the power of 50.5 to 10 to the
# power of 100, and `float32` has no numbers for the last two. The notes have it right,
# and `base` changes what is raised:

# %% tags=["claim:C409"]
assert torch.logspace(1, 100, 3)[1:].isinf().all()
assert torch.finfo(torch.float32).max < 10.0**50
for base in 10, 2:
    powers = torch.tensor([1.0, base, base**2, base**3])
    torch.testing.assert_close(torch.logspace(0, 3, 4, base=base), powers)
torch.testing.assert_close(torch.logspace(0, 2, 9), 10 ** torch.linspace(0, 2, 9))

# %%
figure, axes = canvas(7, 2.2, rows=2)
for ax, scale in zip(axes, ("linear", "log"), strict=True):
    ax.plot(torch.logspace(0, 2, 9).cpu(), [0] * 9, "o", color=BLUE)
    ax.set(xscale=scale, yticks=[], xticks=[1, 10, 100])
    ax.set_title(f"{scale} axis", loc="left", size=10)
    ax.set_xticklabels(["1", "10", "100"])
told = "`logspace(0, 2, 9)`: equal ratios are equal steps on a logarithmic axis."
alt = "Nine dots from 1 to 100, crowded at the left above, evenly spaced below."
show(figure, told, alt)

# %% [markdown]
# A fourth function, `torch.range`, drew the curves in the notes. It is on its way out,
# and the reason is its end:

# %% tags=["claim:C352"]
with expect_warning(UserWarning, "deprecated"):
    old = torch.range(1, 20, 0.01)
assert len(old) == 1901 and len(torch.arange(1, 20, 0.01)) == 1900
assert abs(old[-1] - 20) < 0.001

# %% [markdown]
# ## What is drawn, and can it be repeated?
#
# The notes file `logspace` and `eye` under creation from a distribution. Who draws can
# be measured. Random numbers come from a generator (随机数生成器), whose state moves on with
# each draw. Call a function, and compare the state before and after:

# %%
half = torch.full((4,), 0.5, device="cpu")
calls = {"zeros": (4,), "empty": (4,), "eye": (4,), "logspace": (0, 1, 4)}
calls |= {"rand": (4,), "randn": (4,), "randint": (9, (4,)), "randperm": (4,)}
calls |= {"normal": (0.0, 1.0, (4,)), "bernoulli": (half,), "rand_like": (half,)}


def draws(name):
    before = torch.get_rng_state()
    with torch.device("cpu"):
        getattr(torch, name)(*calls[name])
    return not torch.equal(before, torch.get_rng_state())


# %% [markdown]
# **Predict** which of the eleven draw:

# %% tags=["predict"]
drawing = [name for name in calls if draws(name)]
drawing

# %% [markdown]
# The first four do not. So `logspace` and `eye` stand in the wrong list, and what
# `empty` shows is left over, not drawn: nothing random has happened.

# %% tags=["claim:C410"]
assert drawing == list(calls)[4:]
assert torch.equal(torch.logspace(0, 1, 5), torch.logspace(0, 1, 5))
assert torch.equal(torch.eye(2), torch.eye(2))

# %% [markdown]
# Now for the numbers themselves: five laws, a hundred thousand draws each. The third is
# the `normal` of the notes, which they call a discrete normal distribution (离散正态分布). A
# discrete law, such as that of a die, draws from separate values, and they come again
# and again. **Predict** which of the five draw more than five different values:

# %%
g = torch.Generator("cpu").manual_seed(0)
n = 100_000
with torch.device("cpu"):
    laws = {
        "rand": torch.rand(n, generator=g),
        "randn": torch.randn(n, generator=g),
        "normal(1, 0.1)": torch.normal(mean=1, std=0.1, size=[n], generator=g),
        "randint(2, 5)": torch.randint(2, 5, (n,), generator=g),
        "bernoulli(0.3)": torch.bernoulli(torch.full((n,), 0.3), generator=g),
    }

# %% tags=["predict"]
{said: len(drawn.unique()) > 5 for said, drawn in laws.items()}

# %% [markdown]
# `normal` is as continuous as floating-point numbers can be: nearly every draw is new.
# It has the mean and the spread that were asked for and follows the bell, on which
# about 68 in a hundred lie within one standard deviation:

# %% tags=["claim:C091", "claim:C414"]
normal, another = laws["normal(1, 0.1)"], torch.randn_like(torch.zeros(n))
for drawn, mean, std in (normal, 1, 0.1), (laws["randn"], 0, 1), (another, 0, 1):
    assert len(drawn.unique()) > 0.9 * n
    assert abs(drawn.mean() - mean) < 0.02 * std and abs(drawn.std() / std - 1) < 0.02
    assert abs(((drawn - mean).abs() < std).float().mean() - 0.683) < 0.01

# %%
figure, axes = canvas(7, 1.9, cols=5)
for ax, (said, drawn) in zip(axes, laws.items(), strict=True):
    ax.hist(drawn.float(), bins=40, color=BLUE)
    ax.set_title(said, loc="left", size=8)
    ax.set_yticks([])
told = "How often each value came: a plain, two bells, and two laws of a few values."
alt = "Five histograms: flat from 0 to 1, a bell at 0, a narrow bell at 1, then bars."
show(figure, told, alt)

# %% [markdown]
# The other three keep to what the notes say. Each tenth of `rand` gets its tenth of the
# draws, and none reaches 1; `randint` leaves out its upper end; `bernoulli` says 1 as
# often as its argument tells it, element by element:

# %% tags=["claim:C090", "claim:C415", "claim:C416", "claim:C418"]
uniform, dice, coin = laws["rand"], laws["randint(2, 5)"], laws["bernoulli(0.3)"]
for drawn in uniform, torch.rand_like(torch.zeros(n)), torch.rand([n]):
    tenths = (drawn * 10).long().bincount()
    assert drawn.min() >= 0 and drawn.max() < 1 and len(tenths) == 10
    assert ((tenths / n - 0.1).abs() < 0.01).all()
assert ((dice.bincount()[2:] / n - 1 / 3).abs() < 0.01).all()
assert dice.unique().tolist() == [2, 3, 4] and coin.unique().tolist() == [0, 1]
assert torch.randint(3, (n,)).unique().tolist() == [0, 1, 2]
assert abs(coin.mean() - 0.3) < 0.01
assert torch.bernoulli(torch.tensor([0.0, 1.0, 1.0])).tolist() == [0, 1, 1]

# %% [markdown]
# `normal` has four forms. Two plain numbers leave open how many to draw; a tensor on
# either side, or on both, gives each element a law of its own:

# %% tags=["claim:C412", "claim:C413"]
with expect_error(TypeError, "invalid combination of arguments", lines=1):
    torch.normal(0.0, 1.0)
mean = torch.tensor([0.0, 4.0, 8.0, 12.0], device="cpu")
std = torch.tensor([0.1, 0.3, 1.0, 2.0], device="cpu")
for m, s in (mean, std), (mean, 0.5), (4.0, std):
    many = torch.stack([torch.normal(m, s, generator=g) for _ in range(1000)])
    assert many.shape == (1000, 4) and ((many.mean(0) - m) / s).abs().max() < 0.15
    assert (many.std(0) / s - 1).abs().max() < 0.15

# %%
many = torch.stack([torch.normal(mean, std, generator=g) for _ in range(100)])
figure, axes = canvas(7, 1.8)
for place in range(4):
    axes.plot(many[:, place], [place] * 100, ".", color=BLUE, alpha=0.4)
axes.set_yticks(range(4), [f"element {place}" for place in range(4)])
told = "A hundred calls of `normal(mean, std)`: each element has a law of its own."
alt = "Four rows of dots round 0, 4, 8 and 12, each row wider than the last."
show(figure, told, alt)

# %% [markdown]
# Given plain numbers, `normal` passes over the default device, like `torch.Tensor` and
# unlike `randn`. Name the device:

# %%
with torch.device("meta"):
    assert torch.randn(3).device.type == "meta"
    assert torch.normal(0.0, 1.0, (3,)).device.type == "cpu"
    assert torch.normal(0.0, 1.0, (3,), device="meta").device.type == "meta"

# %% [markdown]
# `randperm` draws an order, and all six orders of three come up. As an index it
# shuffles alike what belongs together:

# %% tags=["claim:C090", "claim:C417"]
order = torch.randperm(5)
assert order.sort().values.tolist() == [0, 1, 2, 3, 4]
assert len({tuple(torch.randperm(3).tolist()) for _ in range(300)}) == 6
pictures, labels = torch.arange(5) * 10, torch.arange(5)
assert torch.equal(pictures[order], labels[order] * 10)

# %% [markdown]
# Now for the second half of the question. A generator of your own belongs to one
# device, and takes a seed (随机种子). **Predict** which pairs are equal:

# %% tags=["predict"]
g = torch.Generator(device).manual_seed(0)
first, second = torch.rand(3, generator=g), torch.rand(3, generator=g)
g.manual_seed(0)
again = torch.rand(3, generator=g)
torch.equal(first, second), torch.equal(first, again)

# %% [markdown]
# A seed sets the state, and each draw moves it. You may also keep a state and come back
# to it. The generator that torch uses where none is named is left alone:

# %%
assert g.device.type == device.type
assert not torch.equal(first, second) and torch.equal(first, again)

# %%
kept, common = g.get_state(), torch.get_rng_state()
assert torch.equal(torch.rand(3, generator=g), second)
g.set_state(kept)
assert torch.equal(torch.rand(3, generator=g), second)
assert torch.equal(torch.get_rng_state(), common)

# %% [markdown]
# That does not mean that more draws begin like fewer. Here are the first eight of
# `count` normal numbers on the CPU, always from seed 0. **Predict** for which counts
# from 8 to 20 they are the same eight:


# %% tags=["predict"]
def eight(count):
    seeded = torch.Generator("cpu").manual_seed(0)
    return torch.randn(count, generator=seeded, device="cpu")[:8]


[count for count in range(8, 21) if torch.equal(eight(count), eight(8))]

# %% [markdown]
# At sixteen the numbers change, all eight of them. So a seed repeats a program, not a
# number: change a size, and you may change them all.

# %%
same = [torch.equal(eight(count), eight(8)) for count in range(8, 21)]
assert same == [count < 16 for count in range(8, 21)]
assert not (eight(16) == eight(8)).any()

# %% [markdown]
# ## Where it goes wrong
#
# **One number too many.** The end of `arange` is left out, the notes say, and it seems
# to be. But a tenth is no binary fraction, and the division that counts the steps comes
# out a little above 3:

# %% tags=["claim:C406"]
wrong = torch.arange(1, 1.3, 0.1)
assert (1.3 - 1) / 0.1 > 3 and len(wrong) == 4
torch.testing.assert_close(wrong[-1], torch.tensor(1.3))
pairs = [(a, b) for a in range(20) for b in range(a + 1, 21)]
lengths = [len(torch.arange(a / 10, b / 10, 0.1)) for a, b in pairs]
extra = [length - (b - a) for (a, b), length in zip(pairs, lengths, strict=True)]
sum(extra), len(pairs)

# %% [markdown]
# Of all 210 ranges in steps of a tenth between 0 and 2, 36 hold one number too many. No
# error comes; the length is the rounded-up quotient, which neither a narrower nor a
# wider float changes. Count in integers, or say how many:

# %%
assert (sum(extra), len(pairs)) == (36, 210) and set(extra) == {0, 1}
assert lengths == [np.ceil((b / 10 - a / 10) / 0.1) for a, b in pairs]
for kind in torch.float16, torch.bfloat16, torch.float64:
    assert len(torch.arange(1, 1.3, 0.1, dtype=kind, device="cpu")) == 4
for right in torch.arange(10, 13) / 10, torch.linspace(1, 1.2, 3):
    torch.testing.assert_close(right, torch.tensor([1, 1.1, 1.2]))

# %% [markdown]
# **One buffer, three frames.** Somebody fills the same array again and again, and you
# collect:

# %%
buffer, wrong, right = np.zeros(2), [], []
for frame in range(3):
    buffer[:] = frame
    wrong.append(torch.from_numpy(buffer))
    right.append(torch.tensor(buffer))
assert [t.tolist() for t in wrong] == [[2, 2], [2, 2], [2, 2]]
assert [t.tolist() for t in right] == [[0, 0], [1, 1], [2, 2]]

# %% [markdown]
# Three tensors, one memory, and the last frame in all of them. What outlives its source
# has to be copied.
#
# **The seed inside the loop.** Meant to make a run repeatable, it makes every step
# repeat the first:

# %%
wrong = []
for _ in range(3):
    torch.manual_seed(0)
    wrong.append(torch.rand(4))
right = [torch.rand(4) for _ in range(3)]
assert torch.equal(wrong[0], wrong[1]) and torch.equal(wrong[0], wrong[2])
assert not torch.equal(right[0], right[1])

# %% [markdown]
# Seed once, before the loop. And since `torch.manual_seed` sets the generator of all
# who name none, a function that needs numbers of its own should bring a generator of
# its own.
#
# **Rows of different lengths.** This one is loud, since a tensor has one length for
# each dimension. The message says where, and which length it met:

# %%
with expect_error(ValueError, "expected sequence of length 3 at dim 1 (got 2)"):
    torch.tensor([[1, 2, 3], [4, 5]])

# %% [markdown]
# Fill up what is short. With `batch_first=True` each list becomes a row:

# %%
ragged = [torch.tensor([1, 2, 3]), torch.tensor([4, 5])]
padded = torch.nn.utils.rnn.pad_sequence(ragged, batch_first=True)
assert padded.tolist() == [[1, 2, 3], [4, 5, 0]]

# %% [markdown]
# ## In practice
#
# Name `dtype` and `device` in the call that makes the tensor: a reader sees them, and
# nothing has to be converted. Keep `empty` for where the next line writes all of it.
# Use `from_numpy` or `as_tensor` for large arrays that you only read, `torch.tensor`
# for the rest. Draw test data, initial weights and noise from generators of their own,
# so that a change to one leaves the others alone.

# %% [markdown]
# ## Summary
#
# - Brackets decide the shape and the numbers the dtype; `torch.tensor` takes what it
#   gets as data ([data](#What-does-the-data-decide?), [shape](#A-shape,-or-data?)).
# - `torch.tensor` copies, `from_numpy` shares, `as_tensor` and `asarray` share when
#   they can ([measured](#Who-copies,-and-who-shares?)).
# - `full` takes its dtype from the kind of its number, `_like` from its model, and
#   `empty` writes nothing ([shown](#What-fills-a-new-shape?)).
# - `linspace` reaches its end, `arange` stops before it unless rounding interferes, and
#   the ends of `logspace` are exponents ([drawn](#Where-does-a-range-end?), [the
#   trap](#Where-it-goes-wrong)).
# - A generator's state decides each draw; the seed sets the state
#   ([shown](#What-is-drawn,-and-can-it-be-repeated?)).

# %% [markdown]
# ## Exercises
#
# ### Exercise 101.1 · Brackets and numbers
# *predict · ●○○ · 3 minutes*
#
# `t = torch.tensor([[[1], [2.5]], [[True], [3]]])`. Which shape and which dtype has
# `t`?

# %% tags=["exercise"]
answer = ...  # TODO: a tuple and a dtype, as in ((3,), torch.int32)

# %%
exercise("101.1").check(answer)

# %% [markdown]
# ### Exercise 101.2 · Who sees the write?
# *predict · ●●○ · 4 minutes*
#
# From `n = np.array([1.0, 2.0, 3.0])` six tensors are made, all on the CPU. Then comes
# `n[0] = 9`. Which of them hold the 9? **a** `torch.tensor(n)` **b**
# `torch.as_tensor(n)` **c** `torch.from_numpy(n)` **d** `torch.Tensor(n)` **e**
# `torch.as_tensor(n, dtype=torch.float64)` **f** `torch.from_numpy(n + 0)`

# %% tags=["exercise"]
answer = ...  # TODO: a list of letters, such as ["a", "f"]

# %%
exercise("101.2").check(answer)

# %% [markdown]
# ### Exercise 101.3 · Rates between two values
# *write · ●●○ · 6 minutes*
#
# Learning rates are tried out at equal ratios. Return a tensor of `count` numbers, at
# least two, that begins at the value `low`, ends at the value `high`, and in which each
# number is the same multiple of the one before. From 1 to 100 in three: 1, 10, 100.


# %% tags=["exercise"]
def rates(low, high, count):
    return ...  # TODO: low and high are positive floats, not exponents


# %%
exercise("101.3").check(rates)

# %% [markdown]
# ### Exercise 101.4 · Noise that keeps to itself
# *repair · ●●○ · 6 minutes*
#
# This function adds the same standard normal noise to `x` whenever it gets the same
# seed. That is wanted. But everybody who draws after it gets the same numbers, too.
# Mend it.


# %% tags=["exercise"]
def noisy(x, seed):
    torch.manual_seed(seed)  # TODO: repair; x may be on any device
    return x + torch.randn_like(x)


# %%
exercise("101.4").check(noisy)

# %% [markdown]
# ### Exercise 101.5 · What sparse saves
# *measure · ●●○ · 5 minutes*
#
# Store the identity matrix of 64 rows in `float64`, in full and sparsely. How many
# times as many bytes does the full one take?

# %% tags=["exercise"]
full = torch.eye(64, dtype=torch.float64)
answer = ...  # TODO: bytes of the full one, divided by bytes of the sparse one

# %%
exercise("101.5").check(answer)

# %% [markdown]
# ### Exercise 101.6 · Both ends, and no more
# *write · ●●● · 8 minutes*
#
# Return the ticks of an axis as a tensor: `start`, then on in steps of `step`, and
# `end` as the last. All three are floats, `step` may be negative, and `end` lies a
# whole number of steps from `start`, but for rounding. Never one tick too many, never
# one too few.


# %% tags=["exercise"]
def ticks(start, end, step):
    return ...  # TODO: ticks(1.0, 1.3, 0.1) has four elements, ticks(2.0, 2.0, 1.0) one


# %%
exercise("101.6").check(ticks)

# %% [markdown]
# ## Next
#
# [102 · Dtype, device and printing](102_dtype_device_and_printing.ipynb) takes up what
# was left open here: what a dtype can hold, and what it costs to move to a device.
#
# - [Creation ops](https://docs.pytorch.org/docs/stable/torch.html#creation-ops):
#   torch's own list of makers.
# - [Reproducibility](https://docs.pytorch.org/docs/stable/notes/randomness.html): what
#   a seed does and does not promise.
