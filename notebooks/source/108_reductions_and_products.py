# %% [markdown]
# # 108 · Reductions and products
#
# Does `dim=0` add up the rows of a matrix, or its columns? Both answers can be defended,
# which is why the question never ends. A better one is: which dimension will be gone?
# It settles sums and means and then, with a letter for each dimension, matrix products.

# %% [markdown]
# **You will be able to**
#
# - predict the shape of a reduction over any dimensions, with and without `keepdim`;
# - say which median, variance and norm torch computes, and compute the other one;
# - find the shape of `a @ b` from two shapes, or the reason why it is refused;
# - read and write products as letters, with `einsum`;
# - solve a linear system without an inverse, and take the names in `torch.linalg`.
#
# **You need** [103](103_storage_and_views.ipynb) for `expand` and `unsqueeze`, and from
# [106](106_broadcasting.ipynb) how shapes are stretched to fit. **Time** 60 minutes.

# %% tags=["setup"]
import itertools

import numpy as np
import torch

from helpers import draw, exercise, expect_error, expect_warning, pick_device, table
from helpers.figures import RED, canvas, show

torch.set_default_device(pick_device())

# %% [markdown]
# ## Which dimension disappears?
#
# Two pages of three rows of four numbers. Each length occurs once, so the shape of a
# result tells which dimension it has lost:

# %%
x = torch.arange(24.0).reshape(2, 3, 4)
x.shape, x.sum().shape

# %% [markdown]
# `x.sum()` is a reduction (归并): many numbers in, one out. With `dim` it works along
# one dimension. **Predict** the three shapes:

# %% tags=["predict"]
[tuple(x.sum(dim).shape) for dim in range(3)]

# %% [markdown]
# `dim` names the dimension that disappears. One element of each result is marked below,
# beside the elements that were added up for it:

# %%
drawn, marks = [], []
for dim in range(3):
    spot = torch.zeros_like(x.sum(dim), dtype=torch.bool)
    spot[1, 2] = True
    assert x.sum(dim)[spot] == x[spot.unsqueeze(dim).expand_as(x)].sum()
    drawn += [x, x.sum(dim)]
    marks += [spot.unsqueeze(dim).expand_as(x), spot]
names = ["x", "x.sum(0)", "x", "x.sum(1)", "x", "x.sum(2)"]
told = "Summing over dimension 0 runs through the pages, over 1 down, over 2 across."
draw.grid(*drawn, titles=names, highlight=marks, columns=2, caption=told)

# %% [markdown]
# Hence the quarrel: in a matrix, `sum(0)` runs down through the rows and leaves one
# number for each column.
#
# The notes (the study notes from which this book grew) put it as a pattern: for `dim=0`,
# `(m, n, k)` becomes `(1, n, k)` or `(n, k)`, depending on `keepdim`, and so on. It holds
# for these nine functions. Some return a pair, with indices as its second part:

# %% tags=["claim:C127", "claim:C129"]
names = ["sum", "mean", "prod", "amax", "std", "median", "mode", "max", "logsumexp"]
for name, dim, keep in itertools.product(names, range(3), (False, True)):
    result = getattr(torch, name)(x, dim, keepdim=keep)
    result = result[0] if isinstance(result, tuple) else result
    kept = [1] if keep else []
    assert list(result.shape) == [*x.shape[:dim], *kept, *x.shape[dim + 1 :]]
assert torch.ones(3, 2).sum(dim=0, keepdim=True).tolist() == [[3, 3]]

# %% [markdown]
# Why keep a dimension of length 1? For what comes next. To turn each row into shares,
# divide by its total. A row of totals does not fit; a column is stretched:

# %%
counts = torch.tensor([[1.0, 3.0], [2.0, 2.0], [9.0, 1.0]])
with expect_error(RuntimeError, "must match the size of tensor b (3)"):
    counts / counts.sum(1)
shares = counts / counts.sum(1, keepdim=True)
assert (shares.sum(1) == 1).all()

# %%
draw.grid(
    counts,
    counts.sum(1),
    counts.sum(1, keepdim=True),
    shares,
    titles=["counts", "sum(1)", "keepdim=True", "shares"],
    caption="With `keepdim=True` each total stands beside the row that it belongs to.",
)

# %% [markdown]
# And if `dim` is left out, or names two dimensions? We ask the nine, and two more that
# the notes file beside them. **Predict** in which rows the first column will not be `()`:


# %% tags=["predict"]
def shape_or_refusal(call, *given):
    try:
        result = call(*given)
    except (RuntimeError, TypeError, IndexError):
        return "refused"
    return tuple((result[0] if isinstance(result, tuple) else result).shape)


rows = []
for name in [*names, "cumsum", "cumprod"]:
    asked = {"f(x)": (x,), "f(x, 1)": (x, 1), "f(x, (0, 2))": (x, (0, 2))}
    shapes = {k: shape_or_refusal(getattr(torch, name), *v) for k, v in asked.items()}
    rows.append({"f": name, **shapes})
table(rows, "Measured: the shape of the result for x of shape (2, 3, 4).")

# %% [markdown]
# `mode` without `dim` takes the last dimension only, and `logsumexp` and the two
# cumulative functions insist on being told. Nor does each of them take two dimensions at
# once: `sum` does, `prod` does not.

# %% tags=["claim:C128", "claim:C440"]
measured = {row["f"]: list(row.values())[1:] for row in rows}
unlike = [name for name, given in measured.items() if given[0] != ()]
assert unlike == ["mode", "logsumexp", "cumsum", "cumprod"]
assert measured["mode"][0] == (2, 3)
assert measured["sum"][2] == (3,) and measured["prod"][2] == "refused"
assert measured["cumsum"][1] == measured["cumprod"][1] == (2, 3, 4)

# %% [markdown]
# The notes count `cumsum` and `cumprod` (累加, 累乘) among the reductions, and call `prod`
# an accumulation. It is the other way about: `prod` reduces, and the cumulative ones
# reduce nothing. They keep each step on the way:

# %% tags=["claim:C128", "claim:C440"]
m = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
assert m.prod() == 24 and m.prod(1).tolist() == [2, 12]
assert torch.equal(x.cumsum(1)[:, -1], x.sum(1))
m.cumsum(1).tolist(), m.cumprod(1).tolist()

# %% [markdown]
# A sum of floats can depend on the order of adding.

# %%
big = torch.tensor(1e8)
assert (big + 1) - big == 0 and (big - big) + 1 == 1

# %% [markdown]
# **Rule.** `dim` is what you lose; `keepdim=True` leaves a 1 in its place; without `dim`,
# look it up.

# %% [markdown]
# ## Which number stands for many?
#
# Mean (均值), median (中位数) and mode (众数) are the average, the middle and the most
# frequent value, say the notes. But six numbers have no middle one. **Predict** the
# median of these waiting times:

# %% tags=["predict"]
waits = torch.tensor([5.0, 1.0, 2.0, 11.0, 1.0, 4.0])
waits.median().item()

# %% [markdown]
# Sorted, they are 1, 1, 2, 4, 5, 11. Torch takes the lower of the two in the middle.
# NumPy goes halfway between them, as `quantile` does in torch:

# %% tags=["claim:C124"]
assert waits.mean() == 4 and waits.mode().values == 1
assert waits.median() == 2
assert waits.quantile(0.5) == 3 == np.median(waits.cpu().numpy())

# %% [markdown]
# The mean of integers is refused, unless you choose a float type for the answer:

# %% tags=["claim:C124"]
whole = torch.tensor([1, 2])
try:
    refusal = ""
    whole.mean()
except RuntimeError as error:
    refusal = str(error)
assert "could not infer output dtype" in refusal
assert whole.mean(dtype=torch.float32) == 1.5
print(refusal.split(". ")[0])

# %% [markdown]
# A sum of integers chooses for itself: 64 bits. So here summing survives where adding
# overflows. A sum of half-precision floats keeps their type, unless you ask:

# %%
small = torch.tensor([200, 200], dtype=torch.uint8)
assert small[0] + small[1] == 400 - 256
assert small.sum() == 400
for kind in (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32):
    assert small.to(kind).sum().dtype == torch.int64
halves = torch.tensor([60000.0, 60000.0], dtype=torch.float16)
assert halves.sum().isinf() and halves.sum(dtype=torch.float32) == 120000

# %% [markdown]
# And of no numbers at all? **Predict** the sum, the product and the mean of nothing:

# %% tags=["predict"]
nothing = torch.zeros(0)
nothing.sum().item(), nothing.prod().item(), nothing.mean().item()

# %% [markdown]
# Nothing added leaves 0, nothing multiplied 1, and 0 / 0 is `nan`. `max` refuses, and
# naming a `dim`, as the message asks, does not help:

# %%
assert nothing.sum() == 0 and nothing.prod() == 1 and nothing.mean().isnan()
with expect_error(RuntimeError, "Expected reduction dim to be specified", lines=1):
    nothing.max()
with expect_error(IndexError, "Expected reduction dim 0 to have non-zero size"):
    nothing.max(0)

# %% [markdown]
# Variance (方差) is the mean squared distance from the mean, and the standard deviation
# (标准差) is its root. A die shows 1 to 6, and we divide by six:

# %%
die = torch.arange(1.0, 7.0)
true_variance = ((die - die.mean()) ** 2).mean()
f"{true_variance:.3g}"

# %% [markdown]
# **Predict** what torch answers: the same, less, or more?

# %% tags=["predict"]
f"{die.var():.3g}"

# %% [markdown]
# More: by default it divides by n - 1, so here by five. `correction=0` divides by n, and
# so does NumPy:

# %% tags=["claim:C125"]
assert torch.allclose(die.var(), true_variance * 6 / 5)
assert torch.allclose(die.var(correction=0), true_variance)
assert abs(die.cpu().numpy().var() - true_variance.item()) < 1e-5
assert torch.allclose(die.std(), die.var().sqrt())

# %% [markdown]
# Which is right? If these six numbers are all there is, divide by six. In a sample,
# you measure distances from the sample's own mean, which lies closer to it than the true
# one, and n - 1 is to make that good. We need not believe it. Roll the die two to six
# times, take *every* sequence of rolls there is, and average their variances:


# %%
def average_variance(rolls, correction):
    every = torch.cartesian_prod(*[die] * rolls)
    return every.var(1, correction=correction).mean().item()


rolls = range(2, 7)
unbiased = [average_variance(n, 1) for n in rolls]
biased = [average_variance(n, 0) for n in rolls]

# %%
figure, axes = canvas(6, 2.6)
axes.axhline(true_variance.item(), color="0.7", label="the die itself")
axes.plot(rolls, unbiased, "o-", label="correction=1, the default")
axes.plot(rolls, biased, "s-", label="correction=0")
axes.set(xticks=rolls, ylim=(0, 3.5), xlabel="rolls in a sample", ylabel="variance")
axes.legend(loc="lower right")
told = "Averaged over every possible sample, dividing by n - 1 meets the true variance."
alt = "A flat line at 2.92 for correction 1; for 0 a curve from 1.46 up to 2.43."
show(figure, told, alt)

# %% [markdown]
# The default is unbiased (无偏): averaged over all samples of a size it is the variance
# of the die. With `correction=0`, two rolls find half of it. But this is true of the
# variance, not of its root, which comes out too small, here for two rolls:

# %%
pairs = torch.cartesian_prod(die, die)
assert torch.allclose(torch.tensor(unbiased), true_variance)
assert abs(biased[0] - true_variance / 2) < 1e-4
assert pairs.std(1).mean() < 0.9 * true_variance.sqrt()
own = ((pairs - pairs.mean(1, keepdim=True)) ** 2).sum(1)
assert (own <= ((pairs - die.mean()) ** 2).sum(1)).all()

# %% [markdown]
# One number alone gives `nan`, with a warning:

# %%
with expect_warning(UserWarning, "degrees of freedom is <= 0"):
    alone = die[:1].std()
assert alone.isnan() and die[:1].std(correction=0) == 0

# %% [markdown]
# **Rule.** `correction=0` for all there is; the default for a sample that speaks for
# more.

# %% [markdown]
# ## How large is a vector?
#
# A norm (范数) is a reduction as well. The p-norm is the p-th root of the sum of
# $|v_i|^p$. For (3, -4), p = 1 gives 7 and p = 2 gives 5. **Predict** where it goes as p
# grows without end:

# %% tags=["predict"]
v = torch.tensor([3.0, -4.0])
[f"{torch.linalg.vector_norm(v, p):.3g}" for p in (1, 2, 4, 16, torch.inf)]

# %% [markdown]
# To the largest magnitude. The notes have `norm` for the norm and `dist` for the
# distance (距离), and so it is: `dist` is the norm of a difference. It returns one number;
# for a distance per row, subtract and use `vector_norm`:

# %% tags=["claim:C126"]
p, q = torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.zeros(2, 2)
assert v.norm() == 5 and torch.dist(v, torch.zeros(2)) == 5
assert torch.dist(p, q, 1) == 7 and torch.dist(p, q).shape == ()
assert torch.linalg.vector_norm(p - q, dim=1).tolist() == [5, 0]

# %% [markdown]
# `torch.norm(x, p, dim)` works as the notes say. Its documentation calls it deprecated,
# and for a good reason: what is the 2-norm of a *matrix*? **Predict** both numbers:

# %% tags=["predict"]
stretch = torch.tensor([[3.0, 0.0], [0.0, 4.0]])
f"{torch.norm(stretch, 2):.3g}", f"{torch.linalg.norm(stretch, 2):.3g}"

# %% [markdown]
# With a 2, the old function reads the matrix as one long vector; `torch.linalg.norm`
# asks how far this matrix can stretch a vector (the last section draws it). Two names
# leave no doubt:

# %% tags=["claim:C439"]
assert "deprecated" in torch.norm.__doc__
for power in (1, 2, 3, torch.inf):
    by_name = torch.linalg.vector_norm(x, power, dim=1)
    assert torch.allclose(torch.norm(x, power, dim=1), by_name)
assert torch.norm(stretch, 2) == torch.linalg.vector_norm(stretch, 2) == 5
two = torch.linalg.norm(stretch, 2), torch.linalg.matrix_norm(stretch, 2)
assert torch.allclose(torch.stack(two), torch.tensor(4.0))

# %% [markdown]
# Another answer to "how large" is the logarithm of the sum of exponentials. It is more
# than the largest number, by log n at most. We look at all triples of -4 to 4:

# %%
triples = torch.cartesian_prod(*[torch.arange(-4.0, 5.0)] * 3)
more = triples.exp().sum(1).log() - triples.amax(1)
assert (more > 0).all() and (more < torch.tensor(3.0).log() + 1e-5).all()

# %% [markdown]
# For two equal numbers a the answer is a + log 2. **Predict** what the formula gives
# for two times 1000, and for two times -1000:

# %% tags=["predict"]
large = torch.tensor([[1000.0, 1000.0], [-1000.0, -1000.0]])
large.exp().sum(1).log().tolist()

# %% [markdown]
# Both wrong. A float32 cannot hold the exponential of 1000, and that of -1000 becomes 0.
# On paper one may take out the largest number first; then no exponent is above 0, and one
# is 0. `logsumexp` gives the same:

# %%
assert large.exp()[:, 0].tolist() == [torch.inf, 0]
top = large.amax(1, keepdim=True)
by_hand = (large - top).exp().sum(1).log() + top.squeeze(1)
assert torch.allclose(by_hand, large.logsumexp(1))
assert torch.allclose(by_hand, large[:, 0] + torch.tensor(2.0).log())

# %% [markdown]
# It also knows a case that our line does not. If all numbers are minus infinity, so is
# the answer, but taking out the largest gives `nan`.

# %%
never = torch.full((2,), -torch.inf)
assert never.logsumexp(0) == -torch.inf and (never - never.max()).isnan().all()
a = torch.arange(-200.0, 201.0, 40.0)
twice = torch.stack([a, a], dim=1)
plain, safe = twice.exp().sum(1).log(), twice.logsumexp(1)

# %%
lost = plain.isinf()
figure, axes = canvas(6, 2.6)
axes.plot(a.tolist(), (safe - a).tolist(), label="logsumexp")
axes.plot(a[~lost].tolist(), (plain - a)[~lost].tolist(), "o", label="plain formula")
axes.plot([120, 160, 200], [1] * 3, "^", color=RED, label="plain formula: inf")
axes.plot([-120, -160, -200], [0.4] * 3, "v", color=RED, label="plain formula: -inf")
axes.set(xlabel="a", ylabel="answer minus a", ylim=(0.35, 1.05))
axes.legend(loc="upper left", fontsize=8)
assert plain[lost].tolist() == [-torch.inf] * 3 + [torch.inf] * 3
told = "For two equal numbers a, the plain formula leaves the picture where a is large."
alt = (
    "A flat line at 0.693; dots on it from -80 to 80, red triangles at 120 and beyond."
)
show(figure, told, alt)

# %% [markdown]
# **Rule.** Where `exp`, `sum` and `log` would meet, call `logsumexp`.

# %% [markdown]
# ## Which product is meant?
#
# The notes list four products side by side: `mul`, `mm`, `bmm`, `matmul`. The first is
# `*`, the last is `@`. **Predict** both results:

# %% tags=["predict"]
a, b = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[0.0, 1.0], [1.0, 0.0]])
(a * b).tolist(), (a @ b).tolist()

# %% [markdown]
# `*` multiplies place by place. `@` multiplies rows with columns and adds up: a product
# with a reduction inside. Who accepts what? We hand six products all pairs of ranks (阶,
# the number of dimensions) from 0 to 4, with each length 2, so that only the rank can be
# at fault:

# %%
names, boards = ["mul", "dot", "mv", "mm", "bmm", "matmul"], []
for name in names:
    board = torch.zeros(5, 5, dtype=torch.bool)
    for i, j in itertools.product(range(5), repeat=2):
        factors = torch.ones([2] * i), torch.ones([2] * j)
        board[i, j] = shape_or_refusal(getattr(torch, name), *factors) != "refused"
    boards.append(board)
told = "Ranks that are accepted: rows for the left factor, columns for the right."
ranks = ("01234", "01234")
draw.grid(
    *boards, titles=names, highlight=boards, columns=3, labels=ranks, caption=told
)

# %% [markdown]
# Four of the six accept one pair of ranks each. `mm` is for two matrices, as the notes
# say, and `bmm` for two batches of them; `matmul` refuses only a lone number:

# %% tags=["claim:C135", "claim:C139"]
accepted = [board.nonzero().tolist() for board in boards]
assert accepted[1:5] == [[[1, 1]], [[2, 1]], [[2, 2]], [[3, 3]]]
assert boards[0].all() and boards[5][1:, 1:].all()
assert not boards[5][0].any() and not boards[5][:, 0].any()

# %% [markdown]
# `bmm` is strict about the batch, too: it does not stretch a 1, as `matmul` does.

# %% tags=["claim:C135", "claim:C139"]
with expect_error(RuntimeError, "Expected size for first two dimensions of batch2"):
    torch.bmm(torch.ones(1, 2, 3), torch.ones(5, 3, 4))
assert torch.matmul(torch.ones(1, 2, 3), torch.ones(5, 3, 4)).shape == (5, 2, 4)
assert torch.equal(torch.mm(a, b), a @ b)
assert torch.equal(torch.bmm(a[None], b[None]), (a @ b)[None])

# %% [markdown]
# The notes translate `dot` and `cross` as inner and outer product (内积, 外积). The first
# is right. But 外积 names two things: the cross product, a vector at right angles to both,
# and the outer product, a matrix of all products. For the latter there is `outer`:

# %% tags=["claim:C133"]
s, t = torch.tensor([1.0, 2.0, 0.0]), torch.tensor([3.0, 4.0, 0.0])
normal = torch.linalg.cross(s, t)
assert torch.dot(s, t) == 11 and normal.tolist() == [0, 0, -2]
assert torch.dot(normal, s) == torch.dot(normal, t) == 0
torch.outer(s, t).tolist()

# %% [markdown]
# What comes out of `@`? Some shapes to guess the rule from:

# %%
lefts = [(3,), (2, 3), (5, 2, 3), (6, 1, 2, 3)]
rights = [(3,), (3, 4), (5, 3, 4), (6, 5, 3, 4)]
rows = []
for left in lefts:
    row = {"left @ right": left}
    for right in rights:
        factors = torch.zeros(left), torch.zeros(right)
        row[str(right)] = str(shape_or_refusal(torch.matmul, *factors))
    rows.append(row)
table(rows, "The shape of a product by `@`.")

# %% [markdown]
# The last length of the left factor meets the last but one of the right (a vector's
# only one). The two must be equal, and disappear. What stands before the last two is
# broadcast. As a program:


# %%
def matmul_shape(left, right):
    if not left or not right or left[-1] != right[-2:][0]:
        return "refused"
    try:
        batch = torch.broadcast_shapes(left[:-2], right[:-2])
    except RuntimeError:
        return "refused"
    columns = right[-1:] if len(right) > 1 else ()
    return (*batch, *left[-2:-1], *columns)


# %% [markdown]
# Is that all? We try all pairs among the shapes of up to three dimensions with lengths 0
# to 3, and of four dimensions with lengths 1 and 2:

# %%
shapes = [s for rank in range(4) for s in itertools.product(range(4), repeat=rank)]
shapes += itertools.product((1, 2), repeat=4)
zeros = {shape: torch.zeros(shape) for shape in shapes}
for left, right in itertools.product(shapes, repeat=2):
    got = shape_or_refusal(torch.matmul, zeros[left], zeros[right])
    assert got == matmul_shape(left, right), (left, right)
len(shapes) ** 2

# %% [markdown]
# No exception.
#
# `addmm(c, a, b)` is `c + a @ b`, and its relatives do it for other ranks. The notes
# misspell the last of them as `badbmm`; it is `baddbmm`. **Predict** which of the two
# for batches returns a matrix:

# %% tags=["predict"]
A, B, w = torch.stack([a, b, a]), torch.stack([b, b, a]), torch.tensor([1.0, 10.0])
torch.addbmm(a, A, B).shape, torch.baddbmm(A, A, B).shape

# %% [markdown]
# `addbmm` adds up the batch as well. All five against their formulas, and what `beta` and
# `alpha` do:

# %% tags=["claim:C138"]
assert torch.equal(torch.addmm(a, a, b), a + a @ b)
assert torch.equal(torch.addmv(w, a, w), w + a @ w)
assert torch.equal(torch.addr(a, w, w), a + torch.outer(w, w))
assert torch.equal(torch.addbmm(a, A, B), a + (A @ B).sum(0))
assert torch.equal(torch.baddbmm(A, A, B), A + A @ B)
assert torch.equal(torch.addmm(a, a, b, beta=2, alpha=3), 2 * a + 3 * (a @ b))
assert not hasattr(torch, "badbmm")

# %% [markdown]
# **Rule.** In `a @ b` the last length of `a` and the last but one of `b` meet and
# disappear; what stands before is broadcast.

# %% [markdown]
# ## What do the letters of einsum say?
#
# Give each dimension a letter. Of a matrix `ik` and a matrix `kj` the product is a matrix
# `ij`, and `k` is summed over. `einsum` (爱因斯坦求和) takes this as it stands. If we keep
# `k`, it shows the product before the sum:

# %%
a = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
b = torch.tensor([[1.0, 10.0], [1.0, 20.0], [2.0, 10.0]])
terms = torch.einsum("ik,kj->kij", a, b)
product = torch.einsum("ik,kj->ij", a, b)
assert torch.equal(terms.sum(0), product) and torch.equal(product, a @ b)

# %%
draw.grid(
    a,
    b,
    terms,
    product,
    titles=["a: ik", "b: kj", "terms: kij, one page for each k", "product: ij"],
    columns=2,
    caption="Add the three pages, and k is gone: that is the matrix product.",
)

# %% [markdown]
# Each page is an outer product, a column of `a` times a row of `b`:

# %%
for k in range(3):
    assert torch.equal(terms[k], torch.outer(a[:, k], b[k]))

# %% [markdown]
# So: multiply, then sum over each letter that is missing on the right. A letter twice in
# one factor walks its diagonal. Much of this chapter, in letters:

# %%
v, sq, A, B = a[0], a @ b, torch.stack([a, a]), torch.stack([b, b])
said = [
    ("a.sum()", "ij->", a.sum(), a),
    ("a.sum(0)", "ij->j", a.sum(0), a),
    ("a.t()", "ij->ji", a.t(), a),
    ("a * a", "ij,ij->ij", a * a, a, a),
    ("torch.dot(v, v)", "i,i->", torch.dot(v, v), v, v),
    ("torch.outer(v, v)", "i,j->ij", torch.outer(v, v), v, v),
    ("torch.mv(a, v)", "ij,j->i", torch.mv(a, v), a, v),
    ("torch.bmm(A, B)", "nik,nkj->nij", torch.bmm(A, B), A, B),
    ("A @ b", "nik,kj->nij", A @ b, A, b),
    ("sq.trace()", "ii->", sq.trace(), sq),
    ("sq.diag()", "ii->i", sq.diag(), sq),
]
for call, letters, result, *factors in said:
    assert torch.equal(torch.einsum(letters, *factors), result), call
table([{"call": call, "einsum": letters} for call, letters, *_ in said])

# %% [markdown]
# `trace` (迹) is the sum of the diagonal and `diag` the diagonal itself, as the notes say,
# unless you hand `diag` a vector. **Predict** what it does then:

# %% tags=["predict"]
torch.diag(torch.tensor([1, 2, 3])).tolist()

# %% [markdown]
# It builds a matrix around it. `triu` and `tril` keep the upper and the lower triangle
# (上三角, 下三角), from the diagonal that the offset names:

# %% tags=["claim:C134"]
m = torch.arange(1, 10).reshape(3, 3)
assert m.trace() == 15 and m.diag().tolist() == [1, 5, 9]
assert torch.diag(torch.tensor([1, 2])).tolist() == [[1, 0], [0, 2]]
assert m.triu(1).tolist() == [[0, 2, 3], [0, 0, 6], [0, 0, 0]]
line = torch.arange(3) - torch.arange(3)[:, None]  # column minus row
for offset in range(-3, 4):
    assert torch.equal(m.triu(offset), m * (line >= offset))
    assert torch.equal(m.tril(offset), m * (line <= offset))

# %%
ones = torch.ones_like(m, dtype=torch.bool)
draw.grid(
    *(m, m.triu(1), m.tril(), m.tril(-1)),
    titles=["m", "triu(1)", "tril()", "tril(-1)"],
    highlight=[None, ones.triu(1), ones.tril(), ones.tril(-1)],
    caption="Offset 0 is the diagonal, 1 the line above it, -1 the line below.",
)

# %% [markdown]
# `trace` wants one matrix; letters do not mind a batch. And without an arrow, `einsum`
# makes up the right side itself. **Predict** the second shape:

# %% tags=["predict"]
batch = torch.ones(5, 2, 2)
torch.einsum("nii->n", batch).shape, torch.einsum("ba", torch.ones(2, 3)).shape

# %% [markdown]
# Letters that occur once come out in the order of the alphabet, so `ba` transposes, and
# those that occur more often are summed over. Write the arrow:

# %%
assert shape_or_refusal(torch.trace, batch) == "refused"
assert torch.equal(torch.einsum("ba", a), a.t())
assert torch.equal(torch.einsum("ik,kj", a, b), a @ b)
assert torch.einsum("iii", torch.ones(2, 2, 2)) == 2

# %% [markdown]
# **Rule.** Left of the arrow stands what is multiplied; a letter missing on the right is
# summed over.

# %% [markdown]
# ## Why solve when there is an inverse?
#
# 2x + y = 5 and x + 3y = 10. As matrices, A times the unknown is b, and on paper the
# answer is the inverse (逆矩阵) of A, times b:

# %%
A, b = torch.tensor([[2.0, 1.0], [1.0, 3.0]]), torch.tensor([5.0, 10.0])
by_solve, by_inverse = torch.linalg.solve(A, b), torch.linalg.inv(A) @ b
assert torch.allclose(by_solve, torch.tensor([1.0, 3.0]))
assert torch.allclose(by_inverse, by_solve)

# %% [markdown]
# Two equations are no test. The next matrix, of ten rows, is notorious (it is Hilbert's),
# and b is chosen so that the unknowns are ten ones. We put each answer back into the
# equations. **Predict** which of the two fulfils them to ten decimals:

# %% tags=["predict"]
i = torch.arange(10, dtype=torch.float64)
H = 1 / (i[:, None] + i + 1)
b = H.sum(1)
answers = torch.linalg.solve(H, b), torch.linalg.inv(H) @ b
[torch.allclose(H @ x, b, rtol=0, atol=1e-10) for x in answers]

# %% [markdown]
# `solve` fulfils them almost to the last digit; the inverse misses by a million times as
# much at least:

# %%
by_solve, by_inverse = [(H @ x - b).abs().max().item() for x in answers]
assert by_solve < 1e-13 and by_inverse > 1e6 * by_solve
assert all((x - 1).abs().max() > 1e-8 for x in answers)
assert torch.linalg.cond(H) > 1e12

# %% [markdown]
# Is it the size? The same for 3, 6, 9 and 12 rows:

# %%
i, errors = torch.arange(12, dtype=torch.float64), []
for n in (3, 6, 9, 12):
    M = 1 / (i[:n, None] + i[:n] + 1)
    found = torch.linalg.solve(M, M.sum(1)), torch.linalg.inv(M) @ M.sum(1)
    errors.append([(M @ x - M.sum(1)).abs().max().item() for x in found])
limits = torch.tensor([[1e-4], [1e-8], [1e-12]])
boards = [limits > torch.tensor(some) for some in zip(*errors, strict=True)]
assert boards[0].all()
assert boards[1].int().tolist() == [[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0]]

# %%
told = "Whether all errors are below the limit of the row, for 3, 6, 9, 12 equations."
marks = (["1e-4", "1e-8", "1e-12"], ["3", "6", "9", "12"])
titles = ["solve", "inverse"]
draw.grid(*boards, titles=titles, highlight=boards, labels=marks, caption=told)

# %% [markdown]
# Yet neither found the ten ones to eight decimals, since such equations hardly tell one
# answer from another. Add a billionth to the last number of b, and the answer moves by
# more than a hundred:

# %%
nudged = b.clone()
nudged[-1] += 1e-9
assert (torch.linalg.solve(H, nudged) - answers[0]).abs().max() > 100

# %% [markdown]
# The condition number (条件数) bounds this magnification, in proportion; here it is above
# 10<sup>12</sup>. The next matrix has no inverse at all, and both say so:

# %%
flat = torch.tensor([[1.0, 2.0], [2.0, 4.0]])
with expect_error(torch.linalg.LinAlgError, "singular"):
    torch.linalg.inv(flat)
with expect_error(torch.linalg.LinAlgError, "singular"):
    torch.linalg.solve(flat, torch.ones(2))

# %% [markdown]
# Silence proves little. Here the second row is seven times the first, but the decimals
# are rounded in binary, and torch inverts:

# %%
sevens = torch.tensor([[0.1, 0.7], [0.7, 4.9]], dtype=torch.float64)
assert torch.linalg.inv(sevens).abs().max() > 1e15
assert torch.linalg.cond(sevens) > 1e15

# %% [markdown]
# The notes list `inverse` and `svd`. The first still agrees with `torch.linalg.inv`. The
# second, the singular value decomposition (奇异值分解), takes a matrix apart into U, a
# diagonal S and V. The columns of U and V have length 1 and stand at right angles.
# `torch.svd` is deprecated; its successor hands over V transposed, as `Vh`:

# %% tags=["claim:C136"]
assert torch.allclose(torch.inverse(A), torch.linalg.inv(A))
assert torch.allclose(torch.inverse(A) @ A, torch.eye(2), atol=1e-6)
A = torch.tensor([[5.0, 4.0], [0.0, 3.0]])
U, S, Vh = torch.linalg.svd(A)
old = torch.svd(A)
assert "deprecated" in torch.svd.__doc__ and torch.allclose(old.S, S)
assert torch.allclose(U @ S.diag() @ Vh, A, atol=1e-5)
assert torch.allclose(old.U @ old.S.diag() @ old.V.t(), A, atol=1e-5)
for turn in (U, Vh):
    assert torch.allclose(turn @ turn.t(), torch.eye(2), atol=1e-5)

# %% [markdown]
# What S means can be seen. The vectors of length 1 form a circle, and A makes an
# ellipse of it. The singular values are its half axes, so the first is the most that A
# stretches any of them: the matrix norm from above.

# %%
angle = torch.linspace(0, 2 * torch.pi, 73)
circle = torch.stack([angle.cos(), angle.sin()])
length = torch.linalg.vector_norm(A @ circle, dim=0)
assert torch.allclose(torch.stack([length.max(), length.min()]), S, rtol=0.01)
assert (length < S[0] + 1e-4).all() and (length > S[1] - 1e-4).all()
assert torch.allclose(torch.linalg.norm(A, 2), S[0])

# %%
figure, axes = canvas(7, 2.9)
axes.plot(*circle.tolist(), label="length 1")
axes.plot(*(A @ circle).tolist(), label="A @ those")
for axis, size, text in zip(
    U.t() * U[0].sign()[:, None], S, ["first", "second"], strict=True
):
    end = (axis * size).tolist()
    axes.plot([0, end[0]], [0, end[1]], lw=2, label=f"{text}: {size:.3g}")
axes.set(aspect="equal", xlim=(-7, 14), xticks=range(-6, 7, 2))
axes.legend(loc="right")
told = "The singular values are the half axes of the ellipse that A makes of a circle."
alt = "A circle of radius 1 in a slanted ellipse with half axes 6.71 and 2.24 marked."
show(figure, told, alt)

# %% [markdown]
# Other old names are gone, and say where to go:

# %%
with expect_error(RuntimeError, "in favor of `torch.linalg.solve`"):
    torch.solve(b, A)
for name in ("eig", "matrix_rank"):
    with expect_error(RuntimeError, f"`torch.linalg.{name}`", lines=2):
        getattr(torch, name)(A)

# %% [markdown]
# **Rule.** If an inverse would be multiplied by something, solve instead.

# %% [markdown]
# ## Where it goes wrong
#
# **`keepdim` forgotten on a square matrix.** Dividing by a row of totals was refused
# above, because 3 and 2 do not fit. In a square they do:

# %%
square = torch.tensor([[1.0, 3.0], [7.0, 1.0]])
wrong = square / square.sum(1)
right = square / square.sum(1, keepdim=True)
assert wrong.sum(1).tolist() != [1, 1]
assert right.sum(1).tolist() == [1, 1]
wrong.tolist(), right.tolist()

# %% [markdown]
# Each column was divided by a row's total. Test with lengths that differ.
#
# **Shapes that cannot be multiplied.** The message ends with both shapes. Are the two
# numbers in the middle equal? If a factor lies the wrong way, turn it:

# %%
data, weight = torch.ones(8, 3), torch.ones(5, 3)
with expect_error(RuntimeError, "shapes cannot be multiplied (8x3 and 5x3)"):
    data @ weight
assert (data @ weight.t()).shape == (8, 5)

# %% [markdown]
# **A batch of vectors taken for a matrix.** Three matrices, and a vector for each. By the
# rule for `@`, the second factor is one matrix, for all three:

# %%
matrices = torch.stack([torch.eye(3) * scale for scale in (1.0, 10.0, 100.0)])
vectors = torch.arange(1.0, 10.0).reshape(3, 3)
wrong = matrices @ vectors
right = (matrices @ vectors.unsqueeze(-1)).squeeze(-1)
assert wrong.shape == (3, 3, 3)
assert torch.equal(right, torch.einsum("nij,nj->ni", matrices, vectors))
right.tolist()

# %% [markdown]
# `solve` undoes the product, yet it reads the same shape (3, 3) as three vectors:

# %%
assert torch.allclose(torch.linalg.solve(matrices, right), vectors)

# %% [markdown]
# **V for Vh.** Old code under the new name transposes V once too often. For a square
# matrix nothing complains:

# %%
M = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 10.0]])
U, S, V = torch.linalg.svd(M)
wrong, right = U @ S.diag() @ V.t(), U @ S.diag() @ V
assert (wrong - M).abs().max() > 1 and torch.allclose(right, M, atol=1e-4)

# %% [markdown]
# ## In practice
#
# Write the shape beside each line that reduces or multiplies. Use `keepdim=True` where
# a result goes back to its source. Prefer `@` for matrices and `einsum` for more
# letters, always with the arrow. Sum half-precision data in a wider type, and compare
# float sums with a tolerance. State `correction` where a reader could wonder. In new
# code take linear algebra from `torch.linalg`, and compute an inverse only if you want
# to look at it.

# %% [markdown]
# ## Summary
#
# - `dim` names what disappears, and `keepdim=True` leaves a length of 1; cumulative
#   functions keep the shape ([shown](#Which-dimension-disappears?)).
# - `median` takes the lower middle and `var` divides by n - 1, which meets the true
#   variance on average over all samples ([counted](#Which-number-stands-for-many?)).
# - A norm of a matrix can mean two things; `logsumexp` is finite where the formula is not
#   ([shown](#How-large-is-a-vector?)).
# - In `a @ b`, the last length meets the last but one, and the batch is broadcast
#   ([10201 pairs](#Which-product-is-meant?)).
# - `einsum` sums over the letters that are missing on the right
#   ([drawn](#What-do-the-letters-of-einsum-say?)).
# - `solve` fulfils the equations where the inverse misses them
#   ([measured](#Why-solve-when-there-is-an-inverse?)).

# %% [markdown]
# ## Exercises
#
# ### Exercise 108.1 · What is left
# *predict · ●○○ · 4 minutes*
#
# `x = torch.zeros(2, 3, 4, 5)`. Give the shapes of `x.sum((1, 3))`, of
# `x.mean(-1, keepdim=True).amax(0)`, and of `x.cumsum(2).median(1).values`.

# %% tags=["exercise"]
answer = ...  # TODO: a list of three tuples

# %%
exercise("108.1").check(answer)

# %% [markdown]
# ### Exercise 108.2 · Five products
# *predict · ●●○ · 5 minutes*
#
# What is the shape of `torch.zeros(a) @ torch.zeros(b)` for each pair of shapes? **1**
# `(3,)` and `(3,)` **2** `(4, 3)` and `(3,)` **3** `(3,)` and `(5, 3, 2)` **4**
# `(5, 1, 2, 3)` and `(4, 3, 2)` **5** `(5, 2, 3)` and `(5, 3)`. Give a tuple for each, or
# the word `"refused"`.

# %% tags=["exercise"]
answer = ...  # TODO: a list of five, such as [(1, 2), "refused", …]

# %%
exercise("108.2").check(answer)

# %% [markdown]
# ### Exercise 108.3 · Where the formula ends
# *measure · ●○○ · 5 minutes*
#
# In float64 the plain formula lasts longer. Which is the largest whole number a for which
# `torch.tensor([a, a], dtype=torch.float64).exp().sum().log()` is finite?

# %% tags=["exercise"]
answer = ...  # TODO: a whole number

# %%
exercise("108.3").check(answer)

# %% [markdown]
# ### Exercise 108.4 · Log-probabilities
# *repair · ●●○ · 8 minutes*
#
# Scores become log-probabilities if the logarithm of the sum of their exponentials is
# subtracted, along the last dimension. The input has any number of dimensions from 1 up.
# This program fails for some shapes, is silently wrong for others, and knows no large
# scores.


# %% tags=["exercise"]
def log_probabilities(scores):
    total = scores.exp().sum(dim=-1)
    return scores - total.log()  # TODO: repair this program


# %%
exercise("108.4").check(log_probabilities)

# %% [markdown]
# ### Exercise 108.5 · One score a pair
# *write · ●●○ · 8 minutes*
#
# `x` has shape `(n, i)`, `w` `(i, j)` and `y` `(n, j)`. Return the n numbers
# $x_n^\top w\, y_n$: row n of `x`, times `w`, times row n of `y`.


# %% tags=["exercise"]
def pair_scores(x, w, y):
    return ...  # TODO: a tensor of shape (n,)


# %%
exercise("108.5").check(pair_scores)

# %% [markdown]
# ### Exercise 108.6 · No inverse needed
# *write · ●●● · 12 minutes*
#
# `A` is a batch of n square matrices and `b` a batch of n vectors, of shapes `(n, k, k)`
# and `(n, k)`. Return the n numbers $b^\top A^{-1} b$. Some of the matrices are as
# notorious as those above.


# %% tags=["exercise"]
def inverse_forms(A, b):
    return ...  # TODO: a tensor of shape (n,)


# %%
exercise("108.6").check(inverse_forms)

# %% [markdown]
# ## Next
#
# [201 · Gradients and graphs](201_gradients_and_graphs.ipynb) records sums and products
# like these, and walks them backwards.
#
# - [torch.linalg](https://docs.pytorch.org/docs/stable/linalg.html): its decompositions
#   and solvers.
# - [torch.einsum](https://docs.pytorch.org/docs/stable/generated/torch.einsum.html): the
#   rules in full, with the ellipsis for any number of batch dimensions.
