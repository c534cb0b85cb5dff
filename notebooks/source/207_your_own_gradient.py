# %% [markdown]
# # 207 · Your own gradient
#
# PyTorch has no cube root. NumPy has one, but its results have no graph behind them,
# and no gradient gets through. You may supply what is missing: one function for the way
# there, another for the way back. Torch believes both, so that a slip in your formula
# becomes a gradient like any other. Who will tell you?

# %% [markdown]
# **You will be able to**
#
# - write an operation with its own `backward`, and say which gradient belongs where;
# - decide what it keeps for the way back, and count what that takes;
# - prove a formula with `gradcheck`, and choose the dtype and the step for it;
# - tell whether a second derivative is right, refused or silently wrong;
# - give a wrong slope on purpose, and pack it as a function or a module.
#
# **You need** [201](201_gradients_and_graphs.ipynb) for graphs and rules, and
# [203](203_higher_derivatives.ipynb) for `create_graph`. **Time** 60 minutes.

# %% tags=["setup"]
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import Function, gradcheck, gradgradcheck

from helpers import draw, exercise, expect_error, expect_warning, pick_device

torch.set_default_device(pick_device())

# %% [markdown]
# ## What does torch ask of you?
#
# A power is no substitute: for a negative number it is NaN. NumPy's `cbrt` does better,
# at the price of the graph:


# %%
def numpy_root(x):
    return torch.as_tensor(np.cbrt(x.detach().cpu().numpy()), device=x.device)


# %%
x = torch.tensor([8.0, -8.0], requires_grad=True)
assert (x ** (1 / 3)).isnan().tolist() == [False, True]
assert torch.allclose(numpy_root(x) ** 3, x)
assert numpy_root(x).grad_fn is None and not hasattr(torch, "cbrt")

# %% [markdown]
# A `Function` (自定义函数) holds both ways. From $y^3 = x$ follows the slope
# $1 / (3y^2)$; `backward` multiplies it with the gradient `g` that arrives. The context
# `ctx` (上下文) carries what is saved from one way to the other:


# %%
class CubeRoot(Function):
    @staticmethod
    def forward(ctx, x):
        y = numpy_root(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g / (3 * y**2)


# %% [markdown]
# You call neither of the two. You call `apply`. **Predict** the name of the node that
# it leaves, and the slopes at 8 and at -8:

# %% tags=["predict"]
y = CubeRoot.apply(x)
y.sum().backward()
y.grad_fn.name(), [f"{slope:.3g}" for slope in x.grad.tolist()]

# %% [markdown]
# The square makes them equal, 1 / 12 on both sides. The node is named after your class:

# %%
assert y.grad_fn.name() == "CubeRootBackward"
assert torch.allclose(x.grad, torch.tensor(1 / 12))

# %%
from helpers import canvas, show

line = torch.tensor([k / 20 for k in range(-159, 160, 2)], requires_grad=True)
curve = CubeRoot.apply(line)
curve.sum().backward()
figure, axes = canvas(6, 2.4)
axes.plot(line.detach().cpu(), curve.detach().cpu(), label="forward, by NumPy")
axes.plot(line.cpu().detach(), line.grad.cpu(), label="backward, by our formula")
axes.set(xlabel="x")
axes.legend()
told = "NumPy computed the curve; the gradient of its sum is what our formula returned."
show(figure, told, "A cube root from -2 to 2, and its slope, which peaks near zero.")

# %% [markdown]
# The notes begin with a class `Mul`. As it is printed there, Python refuses it, for the
# docstring is indented by a tab and the rest by spaces:

# %% tags=["claim:C294"]
printed = 'class Mul(Function):\n\t"""Multiply."""\n    def forward(): ...\n'
with expect_error(IndentationError, "unindent does not match"):
    compile(printed, "notes", "exec")

# %% [markdown]
# Mended, and called as they call it, `mul(x, w, b)`:


# %%
class Mul(Function):
    @staticmethod
    def forward(ctx, w, x, b):
        ctx.save_for_backward(w, x)
        return w * x + b

    @staticmethod
    def backward(ctx, g):
        w, x = ctx.saved_tensors
        return g * x, g * w, g


# %%
x = torch.tensor([3.0])
w, b = (torch.tensor([v], requires_grad=True) for v in (5.0, 1.0))
out = Mul.apply(x, w, b)

# %% [markdown]
# **Predict** which number `forward` took for its `w`, and what the three gradients are:

# %% tags=["predict"]
taken_for_w = out.grad_fn.saved_tensors[0].item()
out.backward()
taken_for_w, x.grad, w.grad.tolist(), b.grad.tolist()

# %% [markdown]
# Positions count, not names: `x` went in as `w`. Nothing shows, for a product does not
# care which factor comes first:

# %% tags=["claim:C295"]
assert taken_for_w == x and w.grad == x and b.grad == 1
assert Mul.apply(x, w, b) == Mul.apply(w, x, b)

# %% [markdown]
# And `x.grad` is `None` although `backward` returned a number for its place: `x` never
# asked for one. In the notes x is 1, so they report 1 for both other gradients:

# %% tags=["claim:C296"]
w.grad = b.grad = None
out = Mul.apply(torch.ones(1), w, b)
out.backward()
assert x.grad is None and w.grad == b.grad == 1 and out.grad_fn.name() == "MulBackward"

# %% [markdown]
# No `__init__`, they add, and both methods static. That is the custom. `apply` itself
# takes the two functions from the class and makes no instance, so it minds neither an
# `__init__` nor a missing `staticmethod`:


# %% tags=["claim:C297"]
class Careless(Function):
    def __init__(self):
        raise RuntimeError("apply does not come here")

    def forward(ctx, x):
        return x * x

    def backward(ctx, g):
        return 7 * g


x = torch.tensor(3.0, requires_grad=True)
Careless.apply(x).backward()
assert x.grad == 7 != 2 * x

# %% [markdown]
# Nor did anybody mind that the slope of $x^2$ at 3 is 6. Torch does look at the count
# and the shape of what you return. This `forward` has two inputs, and its `backward`
# returns whatever we like:


# %%
def returning(*gradients):
    class Answer(Function):
        forward = staticmethod(lambda ctx, a, b: a * b)
        backward = staticmethod(lambda ctx, g: gradients)

    return Answer.apply


# %% [markdown]
# `a` holds three numbers, `b` one. **Predict** which of these six returns are refused:

# %% tags=["predict"]
one, three, verdicts = torch.tensor(1.0), torch.ones(3), {}
returns = {"three": (three,), "three, one": (three, one), "one, one": (one, one)}
returns |= {"three, three": (three, three), "None, None": (None, None)}
returns |= {"three, one, None": (three, one, None)}
for name, gradients in returns.items():
    a, b = torch.ones(3, requires_grad=True), torch.ones((), requires_grad=True)
    try:
        returning(*gradients)(a, b).sum().backward()
        verdicts[name] = [t.grad is not None and t.grad.tolist() for t in (a, b)]
    except RuntimeError as error:
        verdicts[name] = str(error).partition("Backward ")[2]
verdicts

# %% [markdown]
# One gradient for each input, as the notes say, with two liberties: a surplus `None` is
# dropped, and `b`, which broadcasts to three, may be given three, and receives their
# sum. `None` means no gradient, and it is your word alone: both inputs had asked.

# %% tags=["claim:C298", "claim:C299"]
refused = [name for name, said in verdicts.items() if isinstance(said, str)]
assert refused == ["three", "one, one"]
assert verdicts["three, three"] == [[1, 1, 1], 3] and a.grad.tolist() == [1, 1, 1]
assert verdicts["None, None"] == [False, False]

# %% [markdown]
# The other way round, `backward` receives one gradient for each output. An output that
# nobody used sends zeros:


# %%
received = []


class SinCos(Function):
    @staticmethod
    def forward(ctx, x):
        sin, cos = x.sin(), x.cos()
        ctx.save_for_backward(sin, cos)
        return sin, cos

    @staticmethod
    def backward(ctx, g_sin, g_cos):
        received.append([g_sin.item(), g_cos.item()])
        sin, cos = ctx.saved_tensors
        return g_sin * cos - g_cos * sin


# %% tags=["claim:C298"]
sin, cos = SinCos.apply(x)
(2 * sin + 5 * cos).backward(retain_graph=True)
sin.backward()
assert received == [[2, 5], [1, 0]]

# %% [markdown]
# Often one side needs no gradient, as data beside a weight. `ctx.needs_input_grad`
# knows, and spares us a matrix product:


# %%
class Product(Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a @ b

    @staticmethod
    def backward(ctx, g):
        a, b = ctx.saved_tensors
        for_a = g @ b.T if ctx.needs_input_grad[0] else None
        for_b = a.T @ g if ctx.needs_input_grad[1] else None
        return for_a, for_b


# %%
data, weight = torch.ones(4, 3), torch.ones(3, 2, requires_grad=True)
out = Product.apply(data, weight)
out.grad_fn.needs_input_grad

# %% [markdown]
# The product for `data` is not computed. That `data.grad` stays `None` would not prove
# it, so we call the node's own `apply` and see what our `backward` hands back:

# %% tags=["claim:C299"]
assert out.grad_fn.needs_input_grad == (False, True)
for_data, for_weight = out.grad_fn.apply(torch.ones(4, 2))
assert for_data is None and (for_weight == 4).all()

# %% [markdown]
# **Rule.** One gradient out for each input, one in for each output; `None` where none
# is needed. Count and shape are checked, the numbers are yours.

# %% [markdown]
# ## What is kept for the way back?
#
# The second example of the notes joins the four operations of a sigmoid into one
# `Function`. We write it in the newer style: `forward` is a plain function, and
# `setup_context` does the saving.


# %%
class Sigmoid(Function):
    @staticmethod
    def forward(x):
        return 1 / (1 + torch.exp(-x))

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * y * (1 - y)


# %% [markdown]
# `torch.func.grad` ([203](203_higher_derivatives.ipynb)) insists on this style:

# %%
zero = torch.tensor(0.0)
assert torch.func.grad(Sigmoid.apply)(zero) == 0.25
with expect_error(RuntimeError, "it must override the setup_context staticmethod"):
    torch.func.grad(CubeRoot.apply)(zero)

# %% [markdown]
# Beside it, the same formula in pieces, and torch's own. We collect the names of the
# nodes behind a result:


# %%
def pieces(x):
    return 1 / (1 + torch.exp(-x))


def names(node):
    return [node.name()] + [
        name for n, _ in node.next_functions if n for name in names(n)
    ]


# %%
x = torch.tensor(0.0, requires_grad=True)
made = {"pieces": pieces(x), "own": Sigmoid.apply(x), "torch's": torch.sigmoid(x)}
{way: names(result.grad_fn)[:-1] for way, result in made.items()}

# %% [markdown]
# Five nodes, or one (the leaf, which ends each list, is left out). The gradient at `x`
# is the same:

# %%
assert [len(names(result.grad_fn)) - 1 for result in made.values()] == [5, 1, 1]
assert all(
    torch.autograd.grad(out, x, retain_graph=True)[0] == 0.25 for out in made.values()
)

# %%
told = "The sigmoid in pieces: five nodes, each with a gradient to pass on."
draw.graph(made["pieces"], caption=told, names={"x": x} | made, gradients=True)

# %% [markdown]
# And in one piece:

# %%
told = "The sigmoid as one `Function`: one node, and the same gradient at `x`."
draw.graph(made["own"], caption=told, names={"x": x} | made, gradients=True)

# %% [markdown]
# Why one node? While `forward` runs, recording is off, so its operations leave no
# nodes. Nor tensors: what is not saved dies with the call, as a weak reference, which
# keeps nothing alive, reports. What `backward` needs has to be saved, as the notes say,
# or be computed once more:


# %%
import weakref

seen = {}


class Triple(Function):
    @staticmethod
    def forward(ctx, x):
        lost, kept = x * 1, x * 2
        ctx.save_for_backward(kept)
        seen.update(recording=torch.is_grad_enabled(), lost=weakref.ref(lost))
        return lost + kept

    @staticmethod
    def backward(ctx, g):
        return 3 * g


# %% tags=["claim:C300"]
y = Triple.apply(torch.tensor(1.0, requires_grad=True))
assert seen["recording"] is False and seen["lost"]() is None
assert y.grad_fn.saved_tensors[0] == 2

# %% [markdown]
# How much do the three graphs keep? The hooks of
# [205](205_in_place_and_versions.ipynb) see each tensor that is saved. **Predict** the
# count of numbers for an `x` of a thousand:


# %%
def kept(f):
    sizes, x = [], torch.zeros(1000, requires_grad=True)
    hooks = torch.autograd.graph.saved_tensors_hooks
    with hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
        f(x)
    return sum(sizes)


# %% tags=["predict"]
ways = {"pieces": pieces, "own": Sigmoid.apply, "torch's": torch.sigmoid}
{name: kept(f) for name, f in ways.items()}

# %% [markdown]
# Both keep their result, and the pieces keep two tensors:

# %% tags=["claim:C306"]
assert kept(pieces) == 2000 and kept(Sigmoid.apply) == kept(torch.sigmoid) == 1000

# %% [markdown]
# Half, then. And less to do? `Calls` ([206](206_switching_gradients_off.ipynb)) is told
# of each operation that torch carries out. We leave out `detach`, which computes
# nothing:

# %%
from torch.utils._python_dispatch import TorchDispatchMode


class Calls(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        self.names.append(operation.name())
        return operation(*args, **(kwargs or {}))


# %% [markdown]
# **Predict** the numbers for ours and for torch's, there and back:


# %% tags=["predict"]
def operations(f):
    x = torch.zeros(3, device="cpu", requires_grad=True)
    g = torch.ones(3, device="cpu")
    with Calls() as calls:
        torch.autograd.grad(f(x), x, g)
    return sum(name != "aten::detach" for name in calls.names)


{name: operations(f) for name, f in ways.items()}

# %% [markdown]
# Ours takes five operations there and three back, three fewer than the pieces:

# %% tags=["claim:C306"]
assert [operations(f) for f in ways.values()] == [11, 8, 2]

# %% [markdown]
# So it is faster, the notes conclude. Not so quickly: both of its ways lead through
# Python. What we can promise is that torch's own wins. On the CPU, we take the shortest
# of twenty times, for a single number and for ten thousand:

# %%
from timeit import timeit


def shortest(size, number):
    x = torch.zeros(size, device="cpu", requires_grad=True)
    g = torch.ones(size, device="cpu")
    calls = [lambda f=f: f(x).backward(g) for f in ways.values()]
    rounds = [[timeit(call, number=number) for call in calls] for _ in range(20)]
    return [min(times) for times in zip(*rounds, strict=True)]


# %% tags=["claim:C306"]
for size in (1, 10_000):
    in_pieces, own, ready_made = shortest(size, 20)
    assert ready_made < min(in_pieces, own)

# %% [markdown]
# Between the other two we assert no order: print them, at the sizes that you use. So
# look for a ready-made operation first; write a `Function` for memory, or for a slope
# that torch cannot find.

# %% [markdown]
# ## Who checks the formula?
#
# Suppose that we forget the square:


# %%
class Slip(CubeRoot):
    backward = staticmethod(lambda ctx, g: g / (3 * ctx.saved_tensors[0]))


# %%
x = torch.tensor([8.0, -8.0], dtype=torch.float64, requires_grad=True)
Slip.apply(x).sum().backward()
[f"{slope:.3g}" for slope in x.grad.tolist()]

# %% [markdown]
# No error, and a slope of the wrong size and, at -8, of the wrong sign. The judge is
# the definition: go a small step `h` to both sides and see how far the result moves,
# the finite difference (有限差分).


# %%
def slope(f, x, h):
    return (f(x + h) - f(x - h)).double() / (2 * h)


# %%
measured = slope(CubeRoot.apply, x, 1e-4)
assert torch.allclose(measured, torch.full_like(x, 1 / 12))
assert not torch.allclose(measured, x.grad)

# %% [markdown]
# `gradcheck` (梯度检查) does that with each element of an input that asks for a gradient,
# and compares with what `backward` returns:

# %% tags=["claim:C303"]
assert gradcheck(CubeRoot.apply, x)
with expect_error(RuntimeError, "Jacobian mismatch", lines=1):
    gradcheck(Slip.apply, x)

# %% [markdown]
# So far with 64 bits. **Predict** the verdict on the *right* formula in torch's usual
# 32, at the numbers 64 and -64:

# %% tags=["predict"]
single = torch.tensor([64.0, -64.0], requires_grad=True)
with expect_warning(UserWarning, "not a double precision"):
    verdict = gradcheck(CubeRoot.apply, single, raise_exception=False)
verdict

# %% [markdown]
# Rejected. The reason stands among its defaults, the step to the side and the errors,
# absolute and relative, that it lets pass:

# %%
import inspect

takes = inspect.signature(gradcheck).parameters
defaults = {name: takes[name].default for name in ("eps", "atol", "rtol")}
assert defaults == {"eps": 1e-6, "atol": 1e-5, "rtol": 1e-3}
defaults

# %% [markdown]
# A millionth to the side of 64, and the nearest number that 32 bits can hold is 64
# again. `gradcheck` never leaves its place, and measures a slope of 0:

# %%
assert verdict is False
assert torch.equal(single + 1e-6, single) and torch.equal(single - 1e-6, single)
assert slope(CubeRoot.apply, single, 1e-6).tolist() == [0, 0]
assert gradcheck(CubeRoot.apply, single.detach().double().requires_grad_())

# %% [markdown]
# Would a larger step do? We try some on $x^3$, whose slope $3x^2$ we know, and note the
# largest error among twenty points:


# %%
def worst_error(dtype, h):
    x = torch.tensor([k / 10 for k in range(1, 21)], dtype=dtype)
    return (slope(lambda x: x * x * x, x, h) - 3 * x.double() ** 2).abs().max().item()


# %% [markdown]
# Thirteen steps, from 1 down to a billionth of a thousandth:

# %%
steps = [10.0**-k for k in range(13)]
errors = {t: [worst_error(t, h) for h in steps] for t in (torch.float32, torch.float64)}

# %%
figure, axes = canvas(6, 2.8)
for dtype, marker in ((torch.float32, "o-"), (torch.float64, "s-")):
    axes.loglog(steps, errors[dtype], marker, label=str(dtype))
axes.axvline(1e-6, linestyle=":", color="#8a8a8a")
axes.text(1.4e-6, 1e-5, "gradcheck's step")
axes.set(xlabel="step h", ylabel="largest error")
axes.legend(loc="lower left")
told = "From right to left: the error falls with `h`, until rounding takes over."
show(figure, told, "Two V-shaped curves of error by step; float64 reaches far deeper.")

# %% [markdown]
# On the right the points are so far apart that the curve between them matters; this
# error falls with $h^2$. On the left two almost equal numbers are subtracted, and few
# digits remain. The best step lies near the cube root of the dtype's precision, and in
# 32 bits even that one errs by more than `atol`:

# %%
for dtype, found in errors.items():
    best = steps[found.index(min(found))]
    assert 0.1 < best / torch.finfo(dtype).eps ** (1 / 3) < 10

# %%
assert np.allclose(errors[torch.float64][:4], [1, 1e-2, 1e-4, 1e-6], rtol=1e-2)
assert min(errors[torch.float32]) > 1e-5 and errors[torch.float32][6] > 0.1
assert errors[torch.float64][6] < 1e-8

# %% [markdown]
# The notes pass `eps=1e-3` and 32 bits, and report `True` for their sigmoid and for
# torch's. For ten draws of `randn` that holds. **Predict** the same check for numbers
# from 6 to 10, and from -10 to -6:


# %% tags=["predict"]
def in_single(f, x):
    x = x.to(torch.get_default_device()).requires_grad_()
    return gradcheck(f, x, eps=1e-3, raise_exception=False)


chance, far = torch.Generator("cpu").manual_seed(0), torch.arange(60.0, 101.0) / 10
drawn = [torch.randn(4, generator=chance, device="cpu") for _ in range(10)]
with expect_warning(UserWarning, "not a double precision"):
    passed = [
        all(in_single(f, x) for x in drawn) for f in (Sigmoid.apply, torch.sigmoid)
    ]
    above, below = in_single(torch.sigmoid, far), in_single(torch.sigmoid, -far)
passed, above, below

# %% [markdown]
# Up there the sigmoid is almost 1, and from 1 down to the next number of 32 bits
# (`nextafter`) is a gap. One gap, divided by twice the step, is more error than the
# defaults let pass:

# %%
gap = 1 - torch.nextafter(torch.tensor(1.0), torch.tensor(0.0)).item()
true = torch.func.grad(torch.sigmoid)(torch.tensor(6.0)).item()
error, allowed = gap / 2e-3, 1e-5 + 1e-3 * true
assert error > allowed
f"{gap:.0e}, {error:.0e}, {allowed:.0e}"

# %% [markdown]
# From -6 downwards the sigmoid is almost 0, and there the gaps are far smaller. So the
# `True` of the notes depends on what `randn` draws. In 64 bits all is well, without any
# `eps`:

# %% tags=["claim:C302"]
assert passed == [True, True] and above is False and below is True
low = torch.sigmoid(torch.tensor(-6.0))
assert torch.nextafter(low, torch.tensor(1.0)) - low < gap / 100
for f in (Sigmoid.apply, torch.sigmoid):
    assert gradcheck(f, far.double().requires_grad_())

# %% [markdown]
# One thing `gradcheck` cannot do is choose the place. **Predict** what it says to
# `Slip` at 1:

# %% tags=["predict"]
at_one = torch.ones(1, dtype=torch.float64, requires_grad=True)
verdict = gradcheck(Slip.apply, at_one)
verdict

# %% [markdown]
# The root of 1 is 1, which equals its own square. One more place unmasks it:

# %%
places = torch.tensor([1.0, 8.0], dtype=torch.float64, requires_grad=True)
assert verdict is True and not gradcheck(Slip.apply, places, raise_exception=False)

# %% [markdown]
# **Rule.** Check each formula once, in `float64`, at several values that are not
# special; if it branches, on both sides of the edge.

# %% [markdown]
# ## Does it survive a second derivative?
#
# The values of `CubeRoot` come from NumPy, which knows nothing of graphs. **Predict**
# whether a second derivative exists nevertheless; at 8 it should be -1 / 144:


# %%
def second(f, x):
    (first,) = torch.autograd.grad(f(x), x, create_graph=True)
    return torch.autograd.grad(first, x)[0].item()


# %% tags=["predict"]
eight = torch.tensor(8.0, dtype=torch.float64, requires_grad=True)
bend = second(CubeRoot.apply, eight)
f"{bend:.3g}, {-1 / 144:.3g}"

# %% [markdown]
# It does. `backward` is written in torch, and under `create_graph` it is recorded. And
# what it reads there is the saved *output*, whose node is `CubeRoot` itself.
# `gradgradcheck` tests that by finite differences of `backward`:

# %%
assert abs(bend + 1 / 144) < 1e-12 and gradgradcheck(CubeRoot.apply, x)

# %% [markdown]
# Now we become thrifty, and compute the slope at once, in `forward`:


# %%
class Thrifty(Function):
    @staticmethod
    def forward(ctx, x):
        y = numpy_root(x)
        ctx.save_for_backward(1 / (3 * y**2))
        return y

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0]


assert gradcheck(Thrifty.apply, x)

# %% [markdown]
# The gradient is right. Square the root, $y^2 = x^{2/3}$, and **predict** how the two
# second derivatives at 8 compare:

# %% tags=["predict"]
squared = {f.__name__: lambda x, f=f: f.apply(x) ** 2 for f in (CubeRoot, Thrifty)}
bends = {name: second(f, eight) for name, f in squared.items()}
{name: f"{bend:.3g}" for name, bend in bends.items()}

# %% [markdown]
# The opposite, without a word. The truth is $2y'^2 + 2yy''$. The slope that `forward`
# computed, without recording, is a constant to autograd, so that $y''$ counts as 0 and
# the second half is lost:

# %%
assert np.allclose([*bends.values()], [-1 / 72, 1 / 72])
with expect_error(RuntimeError, "Jacobian mismatch", lines=1):
    gradgradcheck(Thrifty.apply, x)

# %%
where = [k / 4 for k in range(4, 41)]
figure, axes = canvas(6, 2.4)
for (name, f), look in zip(squared.items(), ("-", "--"), strict=True):
    points = [torch.full_like(eight, at).requires_grad_() for at in where]
    axes.plot(where, [second(f, point) for point in points], look, label=name)
h = 1e-3
bent = [
    ((u + h) ** (2 / 3) + (u - h) ** (2 / 3) - 2 * u ** (2 / 3)) / h**2 for u in where
]
axes.plot(where[::4], bent[::4], "o", color="#1d1d1f", label="finite differences")
axes.set(xlabel="x", ylabel="second derivative")
axes.legend()
told = "The squared root bends as the dots, which are measured, and `CubeRoot` say."
show(
    figure,
    told,
    "One curve below zero, on the measured dots, and its mirror image above.",
)

# %% [markdown]
# If second derivatives are none of your concern, say so with `once_differentiable`, and
# the attempt ends in an error:

# %%
from torch.autograd.function import once_differentiable


class Once(Thrifty):
    backward = staticmethod(once_differentiable(Thrifty.backward))


# %%
(first,) = torch.autograd.grad(Once.apply(eight) ** 2, eight, create_graph=True)
with expect_error(RuntimeError, "trying to differentiate twice"):
    first.backward()

# %% [markdown]
# Is that a guarantee? Add $x^2$ to the loss, so that the truth is $2 - 1/72$, and ask
# with `autograd.grad` in place of `backward`. **Predict** number or error:

# %% tags=["predict"]
unguarded = second(lambda x: Once.apply(x) ** 2 + x**2, eight)
unguarded

# %% [markdown]
# It answers 2, and the root has gone missing. The guard is a node that raises when a
# walk enters it. But no way leads on from it to `x`, and `autograd.grad` walks only
# where it can reach what it was asked for:

# %%
(first,) = torch.autograd.grad(Once.apply(eight) ** 2, eight, create_graph=True)
assert torch.autograd.grad(first, eight, allow_unused=True) == (None,)
assert unguarded == 2

# %% [markdown]
# `gradgradcheck` is not deceived:

# %%
with expect_error(RuntimeError, "Jacobian mismatch", lines=1):
    gradgradcheck(Once.apply, x)

# %% [markdown]
# **Rule.** Save inputs and outputs only, compute with them in `backward`, and let
# `gradgradcheck` confirm it.

# %% [markdown]
# ## Is the true slope always wanted?
#
# Rounding is a staircase: flat wherever it has a slope. A weight that must be a
# multiple of some step gets nothing to learn from:

# %%
w = torch.tensor(0.3, requires_grad=True)
(w.round() - 2.6).square().backward()
assert w.grad == 0

# %% [markdown]
# The straight-through estimator (直通估计器) rounds on the way there and acts on the way
# back as if nothing had happened. The step is a number and gets `None`:


# %%
class Rounding(Function):
    @staticmethod
    def forward(x, step):
        return torch.round(x / step) * step

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, g):
        return g, None


# %% [markdown]
# `gradcheck` must object, and this once we overrule it:

# %%
rough = torch.tensor([0.3, 1.7], dtype=torch.float64, requires_grad=True)
assert not gradcheck(lambda x: Rounding.apply(x, 1.0), rough, raise_exception=False)

# %% [markdown]
# We send the weight downhill to 2.6. It can be used as 2 or as 3, never as 2.6.
# **Predict** the mean of the last twenty rounded weights:


# %% tags=["predict"]
def descend(rounded):
    w, path = torch.tensor(0.3, requires_grad=True), []
    for _ in range(60):
        w.grad, q = None, rounded(w)
        (q - 2.6).square().backward()
        path.append((w.item(), q.item()))
        with torch.no_grad():
            w -= 0.07 * w.grad
    return path


path = descend(lambda w: Rounding.apply(w, 1.0))
f"{sum(q for _, q in path[-20:]) / 20:.3g}"

# %%
figure, axes = canvas(6, 2.4)
axes.plot([w for w, _ in path], label="weight")
axes.step(range(60), [q for _, q in path], where="mid", label="rounded, as used")
axes.plot([w for w, _ in descend(torch.round)], "--", label="with the true slope")
axes.axhline(2.6, linestyle=":", color="#8a8a8a")
axes.set(xlabel="update", ylabel="w")
axes.legend(loc=(0.6, 0.18))
told = "The weight wavers at 2.5, and its rounded value jumps between 2 and 3."
show(
    figure,
    told,
    "The weight climbs to 2.5; its rounded value goes 0, 1, 2, then jumps: 2 or 3.",
)

# %% [markdown]
# The weight stays at the edge, and tips over so often that the *mean* is right. With
# the true slope it never leaves its place:

# %%
used = [q for _, q in path[-20:]]
assert set(used) == {2.0, 3.0} and abs(sum(used) / 20 - 2.6) < 1e-6
assert {w for w, _ in descend(torch.round)} == {path[0][0]}

# %% [markdown]
# The same can be had without a `Function`: add to the weight its rounding error,
# detached ([204](204_detach_data_clone.ipynb)):

# %%
other = descend(lambda w: w + (w.round() - w).detach())
assert np.allclose(path, other)

# %% [markdown]
# ## Function, functional or module?
#
# A `Function` is the operation. Users are given a function around it, in which the step
# has a name and a default:


# %%
def rounding(x, step=1.0):
    return Rounding.apply(x, step)


assert rounding(torch.tensor(2.6)) == 3 and rounding(torch.tensor(2.6), step=0.5) == 2.5

# %% [markdown]
# The notes believe that with `nn.functional` you write the backward yourself. No:
# these two, a product and a clamp at 0, bring theirs along:

# %% tags=["claim:C305"]
inputs, weight = torch.ones(1, 2), torch.tensor([[0.4, 1.8]], requires_grad=True)
assert torch.allclose(F.linear(inputs, weight), inputs @ weight.T)
F.relu(F.linear(inputs, weight)).sum().backward()
assert weight.grad.tolist() == [[1.0, 1.0]]

# %% [markdown]
# A module adds what has to be kept from call to call: parameters and settings. It has a
# `forward` and no `backward`, as the notes say:


# %%
class RoundedLinear(nn.Module):
    def __init__(self, weight, step=1.0):
        super().__init__()
        self.weight, self.step = nn.Parameter(weight), step

    def forward(self, x):
        return F.linear(x, rounding(self.weight, self.step))


# %% tags=["claim:C304"]
layer = RoundedLinear(torch.tensor([[0.4, 1.8]]))
layer(inputs).sum().backward()
assert "backward" not in dir(layer) and layer.weight.grad.tolist() == [[1.0, 1.0]]

# %% [markdown]
# A `Function` without one (or a `vjp`, its other name) fails as soon as it is walked:


# %% tags=["claim:C304"]
class Half(Function):
    forward = staticmethod(lambda ctx, x: x / 2)


class OtherName(Half):
    vjp = staticmethod(lambda ctx, g: g / 2)


OtherName.apply(weight).sum().backward()
with expect_error(NotImplementedError, "must implement either the backward"):
    Half.apply(weight).sum().backward()

# %% [markdown]
# Three forms, one node. Going back from each result, we meet it every time:

# %%
forms = {"Function": F.linear(inputs, Rounding.apply(layer.weight, 1.0))}
forms["functional"] = F.linear(inputs, rounding(layer.weight))
forms["module"] = layer(inputs)
{form: "RoundingBackward" in names(out.grad_fn) for form, out in forms.items()}

# %%
assert all("RoundingBackward" in names(out.grad_fn) for out in forms.values())
assert all(torch.equal(out, forms["module"]) for out in forms.values())

# %% [markdown]
# **Rule.** A `Function` where torch has no slope or the wrong one, a function around
# it, and a module when there is something to own. For everything else, compose what
# torch has.

# %% [markdown]
# ## Where it goes wrong
#
# **The class is called.** That makes an object, and computes nothing:

# %% tags=["claim:C301"]
w = torch.tensor(2.6, requires_grad=True)
with expect_warning(DeprecationWarning, "should not be instantiated"):
    assert not torch.is_tensor(Rounding(w, 1.0))

# %% [markdown]
# **`forward` is called.** Its value is right. But this is an ordinary call: it records
# the ordinary operations, among them a `round` of slope 0, and your `backward` is left
# out. Only `apply` leaves your node:

# %% tags=["claim:C301"]
wrong, right = Rounding.forward(w, 1.0), Rounding.apply(w, 1.0)
assert wrong == right and "RoundingBackward" not in names(wrong.grad_fn)
slopes = [torch.autograd.grad(result, w)[0].item() for result in (wrong, right)]
assert slopes == [0.0, 1.0]

# %% [markdown]
# **A tensor kept as an attribute.** Torch does not watch attributes. If somebody writes
# into the tensor afterwards, the gradient is wrong:


# %%
class Square(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.x = x
        return x * x

    @staticmethod
    def backward(ctx, g):
        return 2 * ctx.x * g


w = torch.tensor(3.0, requires_grad=True)
x = w * 1
y = Square.apply(x)
x.add_(100)
y.backward()
assert w.grad == 206

# %% [markdown]
# `save_for_backward` notes the version ([205](205_in_place_and_versions.ipynb)), and
# refuses, here in `Product` above:

# %% tags=["claim:C300"]
data = torch.ones(3, 1)
out = Product.apply(data, weight)
data.add_(100)
with expect_error(RuntimeError, "modified by an inplace operation"):
    out.sum().backward()

# %% [markdown]
# **`backward` writes into `g`.** That tensor is not yours: an addition hands the same
# one to both of its inputs. The slope of $2x + x$ comes out as 4:


# %%
class Twice(Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, g):
        return g.mul_(2)


class TwiceRight(Twice):
    backward = staticmethod(lambda ctx, g: 2 * g)


w = torch.tensor(1.0, requires_grad=True)
slopes = [torch.autograd.grad(f.apply(w) + w, w)[0] for f in (Twice, TwiceRight)]
assert slopes == [4, 3]

# %% [markdown]
# ## In practice
#
# First look for a ready-made operation. Where you must write one, put `gradcheck` and
# `gradgradcheck` of it into your tests, with a few numbers in `float64`. Use
# `setup_context`, so that `torch.func` accepts it. Save inputs and outputs with
# `save_for_backward`; attributes of `ctx` are for plain numbers. Never write into the
# `g` that arrives.
#
# If your `backward` leaves torch, mark it `once_differentiable` and say so in the
# docstring: the guard has a hole.

# %% [markdown]
# ## Summary
#
# - `apply` records one node; `backward` gets one gradient for each output and returns
#   one for each input, of which torch checks count and shape
#   ([shown](#What-does-torch-ask-of-you?)).
# - A sigmoid in one piece keeps half as much as one in pieces and takes 8 operations
#   for 11; torch's own takes 2 ([counted](#What-is-kept-for-the-way-back?)).
# - `gradcheck` compares with finite differences, at the place you choose; 32 bits are
#   too few for its step ([drawn](#Who-checks-the-formula?)).
# - Slopes computed in `forward` are constants: second derivatives are wrong, and
#   `gradgradcheck` notices ([shown](#Does-it-survive-a-second-derivative?)).
# - A straight-through gradient lets a rounded weight learn
#   ([drawn](#Is-the-true-slope-always-wanted?)); functions and modules call the same
#   node ([shown](#Function,-functional-or-module?)).

# %% [markdown]
# ## Exercises
#
# ### Exercise 207.1 · What torch believes
# *predict · ●○○ · 3 minutes*
#
# ```python
# class Odd(Function):
#     @staticmethod
#     def forward(ctx, x):
#         return x**3
#
#     @staticmethod
#     def backward(ctx, g):
#         return g + 1
#
#
# x = torch.tensor(2.0, requires_grad=True)
# (2 * Odd.apply(x) + x).backward()
# ```
#
# What is `x.grad`?

# %% tags=["exercise"]
answer = ...  # TODO: a number

# %%
exercise("207.1").check(answer)

# %% [markdown]
# ### Exercise 207.2 · Six verdicts
# *predict · ●●○ · 5 minutes*
#
# `Abs` returns `x.abs()` from `forward`, and `g` as it came from `backward`. Which of
# these calls of `gradcheck` return `True`? Numbers are `float64`, except in b.
#
# - **a** `CubeRoot` at 1 and 27
# - **b** `CubeRoot` at 1000, in `float32`
# - **c** `Abs` at 1 and 2
# - **d** `Abs` at -1 and 2
# - **e** `Rounding` with step 1 at 0.3
# - **f** `torch.round` at 0.3

# %% tags=["exercise"]
answer = ...  # TODO: a list of letters, such as ["a", "b"]

# %%
exercise("207.2").check(answer)

# %% [markdown]
# ### Exercise 207.3 · One side only
# *measure · ●●○ · 6 minutes*
#
# `slope` steps to both sides. Step to one side instead, $(f(x + h) - f(x)) / h$, for
# the same $x^3$ at the same twenty points in `float64`. Which of the thirteen `steps`
# now has the smallest of the largest errors?

# %% tags=["exercise"]
answer = ...  # TODO: one of the steps, such as 1e-3

# %%
exercise("207.3").check(answer)

# %% [markdown]
# ### Exercise 207.4 · A blend
# *repair · ●●○ · 6 minutes*
#
# `Blend` computes $a k + b$ for two tensors and a plain number `k`. Its `backward` is
# refused; when you have cured that, look at the gradient of `b`.


# %% tags=["exercise"]
class Blend(Function):
    @staticmethod
    def forward(ctx, a, b, k):
        ctx.k = k
        return a * k + b

    @staticmethod
    def backward(ctx, g):
        return g.mul_(ctx.k), g  # TODO: repair


# %%
exercise("207.4").check(Blend)

# %% [markdown]
# ### Exercise 207.5 · Against the stream
# *write · ●●○ · 8 minutes*
#
# Two networks may pull a third in opposite directions if the gradient is turned round
# between them. Write `reverse(x, k)`: it returns the values of `x`, and the gradient
# that comes back is multiplied by `-k`, a plain number. `x` may have any shape.


# %% tags=["exercise"]
def reverse(x, k):
    return ...  # TODO: a Function of your own, applied


# %%
exercise("207.5").check(reverse)

# %% [markdown]
# ### Exercise 207.6 · Once more
# *repair · ●●● · 8 minutes*
#
# This softplus, $\log(1 + e^x)$, passes `gradcheck` and fails `gradgradcheck`. Repair
# it, so that it passes both.


# %% tags=["exercise"]
class Softplus(Function):
    @staticmethod
    def forward(ctx, x):
        e = torch.exp(x)
        ctx.save_for_backward(e)
        return torch.log(1 + e)

    @staticmethod
    def backward(ctx, g):
        (e,) = ctx.saved_tensors
        return g * e / (1 + e)  # TODO: repair, here and in forward


# %%
exercise("207.6").check(Softplus)

# %% [markdown]
# ## Next
#
# [502 · Module hooks](502_module_hooks.ipynb) changes gradients from outside, in layers
# that somebody else wrote.
#
# - [Extending PyTorch](https://docs.pytorch.org/docs/stable/notes/extending.html): all
#   that a `Function` may declare, `mark_dirty` and `set_materialize_grads` included.
# - [Gradcheck mechanics](https://docs.pytorch.org/docs/stable/notes/gradcheck.html):
#   what is compared with what, and how complex numbers are treated.
# - [Estimating or propagating gradients through stochastic
#   neurons](https://arxiv.org/abs/1308.3432): where the straight-through estimator is
#   described.
