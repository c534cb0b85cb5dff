# %% [markdown]
# # 206 · Switching gradients off
#
# The loss is a number, the model has weights, and `backward` answers that *element 0 of
# tensors does not require grad*. Yesterday it ran; since then somebody has added a
# validation pass, three files away. `no_grad`, `inference_mode`, `eval`, frozen
# weights: all of them promise to switch something off. What exactly, for how long, and
# for whom?

# %% [markdown]
# **You will be able to**
#
# - say of four switches what each turns off, and what its results are good for later;
# - measure the memory that a switch spares;
# - tell where recording is on: nested, decorated, in a generator, in another thread;
# - draw which gradients pass a half-frozen network, and keep frozen layers where they
#   are;
# - explain and cure `element 0 of tensors does not require grad`.
#
# **You need** [201](201_gradients_and_graphs.ipynb) for graphs, and
# [205](205_in_place_and_versions.ipynb) for saved tensors. **Time** 50 minutes.

# %% tags=["setup"]
import weakref
from contextlib import nullcontext

import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from helpers import canvas, draw, exercise, expect_error, pick_device, show, table

torch.set_default_device(pick_device())

# %% [markdown]
# ## What does switching off save?
#
# Four blocks of a linear layer and a tanh, and a batch of fifty rows:


# %%
def blocks(n):
    return [nn.Sequential(nn.Linear(100, 100), nn.Tanh()) for _ in range(n)]


net, x = nn.Sequential(*blocks(4)), torch.ones(50, 100)

# %% [markdown]
# For validation, the notes recommend the context manager (上下文管理器) `torch.no_grad()`, as
# it saves computing and memory. In its block, the network gives the same numbers, with
# no node behind them:

# %% tags=["claim:C153"]
y = net(x)
with torch.no_grad():
    z = net(x)
assert torch.allclose(y, z) and y.grad_fn is not None and z.grad_fn is None

# %% [markdown]
# What became of the results in between? A weak reference does not keep a thing alive,
# and tells whether it still is. We take one of the memory of each result, and count
# after every layer how many are still there:


# %%
def alive_after_each(switch):
    h, born, counts = x, [], []
    with switch:
        for layer in [part for block in net for part in block]:
            h = layer(h)
            born.append(weakref.ref(h.untyped_storage()))
            counts.append(sum(storage() is not None for storage in born))
    return counts


# %% [markdown]
# The eight layers are linear, tanh, linear, tanh and so on, and `nullcontext` switches
# nothing. **Predict** the two lists:

# %% tags=["predict"]
recorded = alive_after_each(nullcontext())
unrecorded = alive_after_each(torch.no_grad())
recorded, unrecorded

# %% [markdown]
# Off the record, each result goes as soon as the next layer has read it. On the record,
# four results stay: those of tanh, which computes its slope from them. The results of
# the linear layers go in both cases. A result takes 50 * 100 * 4 = 20,000 bytes:

# %%
assert recorded == [1, 1, 2, 2, 3, 3, 4, 4] and unrecorded == [1] * 8
figure, axes = canvas(6, 2.4)
for counts, label in ((recorded, "recorded"), (unrecorded, "under no_grad")):
    axes.step(range(1, 9), [20 * n for n in counts], where="mid", label=label)
axes.set(xlabel="layers passed", ylabel="kilobytes of results", ylim=(0, 90))
axes.legend()
told = "Recorded, every second result stays in memory; unrecorded, only the last one."
show(figure, told, "A staircase from 20 to 80 kilobytes, and a flat line at 20.")

# %% [markdown]
# Now the same from the other side, with the hooks of 205. What a node saves, we give to
# it in a box (detached, or a node and its own result would keep each other alive). When
# the calculation is done, we add up the boxes that still exist. Parameters do not
# count, as they are there anyway:


# %%
class Box:
    def __init__(self, t):
        self.t = t


def kept(f, net):
    """The result of f(), and the bytes that its graph keeps beside the parameters."""
    own = {p.untyped_storage().data_ptr() for p in net.parameters()}
    boxes = weakref.WeakSet()

    def pack(t):
        box = Box(t.detach())
        boxes.add(box)
        return box

    with saved_tensors_hooks(pack, lambda box: box.t):
        y = f()
    storages = [box.t.untyped_storage() for box in boxes]
    sizes = {storage.data_ptr(): storage.nbytes() for storage in storages}
    return y, sum(size for place, size in sizes.items() if place not in own)


# %% [markdown]
# **Predict** the bytes in three cases: as usual, in evaluation mode (评估模式), which
# `net.eval()` sets, and under `no_grad`:

# %% tags=["predict"]
usual = kept(lambda: net(x), net)[1]
in_eval = kept(lambda: net.eval()(x), net)[1]
with torch.no_grad():
    off = kept(lambda: net.train()(x), net)[1]
usual, in_eval, off

# %% [markdown]
# As usual, that is five times 20,000: the input, which the first layer needs for the
# slope of its weights, and four results. `eval()` spares nothing here. `no_grad` spares
# everything:

# %% tags=["claim:C153"]
assert usual == in_eval == 5 * x.numel() * x.element_size() == 100_000
assert off == 0

# %% [markdown]
# And computing? `Calls` is told of each operation that torch carries out:

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
# Matrix products with a bias are called `addmm`. **Predict** how many products and tanh
# are carried out, on the record and off:

# %% tags=["predict"]
with Calls() as on_record:
    net(x)
with torch.no_grad(), Calls() as off_record:
    net(x)
work = ["aten::addmm", "aten::tanh"]
[[calls.names.count(name) for name in work] for calls in (on_record, off_record)]

# %% [markdown]
# Here no arithmetic is spared. Off the record only a `detach` per tanh is missing, by
# which its node takes hold of the result: in this network, the computing that the notes
# save is bookkeeping.

# %% tags=["claim:C153"]
assert [off_record.names.count(name) for name in work] == [4, 4]
assert on_record.names.count("aten::detach") == 4
assert [n for n in on_record.names if n != "aten::detach"] == off_record.names

# %% [markdown]
# **Rule.** What `no_grad` spares is what nodes would have saved: here, one result more
# with each block.

# %% [markdown]
# ## Which switch does what?
#
# Is `no_grad` then the stronger `eval()`? Here are a dropout and a batch normalization,
# whose running mean begins at 0. **Predict** whether any number is dropped, and the
# running mean of the two columns of ones:

# %% tags=["predict"]
drop, norm = nn.Dropout(0.5), nn.BatchNorm1d(2)
with torch.no_grad():
    dropped = drop(torch.ones(1000))
    normed = norm(torch.ones(50, 2))
(dropped == 0).any().item(), [f"{mean:.3g}" for mean in norm.running_mean.tolist()]

# %% [markdown]
# Both behave as in training. About half of the ones are gone, and the running
# statistics (滑动统计量) have moved a tenth of the way to the mean of the batch. These
# layers ask for their own flag, `training`, and that is what `eval()` sets:

# %%
assert 300 < (dropped == 0).sum() < 700 and drop.training
assert torch.allclose(norm.running_mean, torch.tensor(0.1))
assert drop.eval()(torch.ones(1000)).tolist() == [1] * 1000 and not drop.training

# %% [markdown]
# Five ways side by side: as usual, `eval()`, frozen (冻结) weights, which do not require
# grad, `no_grad`, and its relative `inference_mode`. Each runs a network and takes a
# view of a leaf `w`:


# %%
def run(way, net, x, w):
    if way == "eval()":
        net.eval()
    if way == "frozen":
        net.requires_grad_(False)
    switches = {"no_grad": torch.no_grad, "inference_mode": torch.inference_mode}
    with switches.get(way, nullcontext)():
        return net(x), w[:2]


def allowed(f):
    try:
        f()
    except RuntimeError:
        return False
    return True


# %% [markdown]
# Afterwards, with recording on again, we ask what each has done and now allows:


# %%
def trial(way):
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    w = torch.ones(4, requires_grad=True)
    x = torch.arange(400.0).reshape(100, 4)
    y, view = run(way, net, x, w)
    found = {"output is recorded": y.grad_fn is not None}
    found["some outputs are dropped"] = bool((y == 0).any())
    found["running statistics move"] = bool(net[1].running_mean.any())
    asking = run(way, net, x.clone().requires_grad_(), w)[0]
    found["recorded if the input asks"] = asking.grad_fn is not None
    found["output counts its versions"] = allowed(lambda: y._version)
    found["a later node may save it"] = allowed(lambda: w * y)
    found["it may be written to later"] = allowed(lambda: y.add_(1))
    found["it may be made to ask"] = allowed(lambda: y.requires_grad_())
    found["the view says it asks"] = view.requires_grad
    (slope,) = torch.autograd.grad((view * 3).sum(), w, allow_unused=True)
    found["gradients pass the view"] = slope is not None
    return found


# %% [markdown]
# **Predict** at least the columns of `eval()` and of `no_grad`: where do they differ
# from the first?

# %% tags=["predict"]
ways = ["as usual", "eval()", "frozen", "no_grad", "inference_mode"]
trials = {way: trial(way) for way in ways}
table(
    [
        {"afterwards": q} | {way: trials[way][q] for way in ways}
        for q in trials["as usual"]
    ]
)

# %% [markdown]
# `eval()` and `no_grad` share no row: one changes layers, the other recording. A
# validation needs both.

# %%
changed = {
    way: {q for q in t if t[q] != trials["as usual"][q]} for way, t in trials.items()
}
assert changed["eval()"] == {"some outputs are dropped", "running statistics move"}
assert not changed["eval()"] & changed["no_grad"]
assert changed["frozen"] < changed["no_grad"] < changed["inference_mode"]

# %% [markdown]
# From `frozen` to `inference_mode`, each switch turns off more than the one before. A
# frozen network still records for an input that asks. The row before the last is a
# trap: under `no_grad`, a view *says* that it requires grad, and no gradient passes it.
#
# `inference_mode` (推理模式) has a price. What is made anew in its block is an inference
# tensor, which has no version counter, and stays so outside. Here one is added to a
# weight, and then multiplied by it. **Predict** which of the two is refused:

# %% tags=["predict"]
w = torch.tensor([1.0, 2.0], requires_grad=True)
with torch.inference_mode():
    seen = torch.ones(2) * 3
allowed(lambda: w + seen), allowed(lambda: w * seen)

# %% [markdown]
# An addition saves nothing. A product must save `seen` for the slope of `w`, and
# without a counter nobody could notice a later write.

# %%
assert seen.is_inference() and (w + seen).requires_grad
with expect_error(RuntimeError, "Inference tensors cannot be saved for backward"):
    w * seen

# %% [markdown]
# The cure stands in the message: a clone, made outside, is a normal tensor, and so is a
# product. A view is what its base is, in the block and outside:

# %%
(w * seen.clone()).sum().backward()
assert w.grad.tolist() == [3, 3]
made = {"clone": seen.clone(), "product": seen * 2, "view": seen[:1]}
with torch.inference_mode():
    made |= {"clone, inside": seen.clone(), "view of w, inside": w[:1]}
{name: t.is_inference() for name, t in made.items()}

# %%
assert [t.is_inference() for t in made.values()] == [False, False, True, True, False]

# %% [markdown]
# Two more refusals, of a write and of the counter:

# %%
with expect_error(RuntimeError, "Inplace update to inference tensor outside", lines=1):
    seen += 1
with expect_error(RuntimeError, "do not track version counter"):
    seen._version

# %% [markdown]
# **Rule.** `eval()` for the layers, `no_grad` for the graph, both for validation.
# `inference_mode` instead of `no_grad` if no result ever comes back to training.

# %% [markdown]
# ## How far does a switch reach?
#
# `torch.is_grad_enabled()` tells whether recording is on. Blocks may be nested, and
# `set_grad_enabled` takes a bool. **Predict** the six answers:

# %% tags=["predict"]
answers = [torch.is_grad_enabled()]
with torch.no_grad():
    answers.append(torch.is_grad_enabled())
    with torch.enable_grad():
        answers.append(torch.is_grad_enabled())
        with torch.set_grad_enabled(False):
            answers.append(torch.is_grad_enabled())
        answers.append(torch.is_grad_enabled())
answers.append(torch.is_grad_enabled())
answers

# %% [markdown]
# The innermost block decides, and leaving it restores what was before:

# %%
assert answers == [True, False, True, False, True, True]

# %% [markdown]
# So one function can serve training and validation:


# %%
def loss_of(net, x, training):
    with torch.set_grad_enabled(training):
        return net(x).square().mean()


# %%
assert loss_of(net, x, True).requires_grad and not loss_of(net, x, False).requires_grad

# %% [markdown]
# Called without `with`, it works too, and outlives the function that called it. So the
# story of the beginning may have gone:


# %%
def validate(net, x):
    torch.set_grad_enabled(False)
    return net(x).square().mean().item()


before, _, later = torch.is_grad_enabled(), validate(net, x), torch.is_grad_enabled()
with expect_error(RuntimeError, "element 0 of tensors does not require grad"):
    net(x).square().mean().backward()
torch.set_grad_enabled(True)
assert before and not later and net(x).requires_grad

# %% [markdown]
# A number will not do for its bool:

# %%
with expect_error(TypeError, "must be bool, not int"):
    torch.set_grad_enabled(0)

# %% [markdown]
# `no_grad` on a line of its own, however, is an object that nobody enters:

# %%
torch.no_grad()
assert torch.is_grad_enabled()

# %% [markdown]
# As a decorator (装饰器), a switch covers the body of a function. A generator leaves its
# body at each `yield` and comes back later. **Predict** the pairs, each of which asks
# inside and then outside:


# %% tags=["predict"]
@torch.no_grad()
def twice():
    for _ in range(2):
        yield torch.is_grad_enabled()


pairs = [(inside, torch.is_grad_enabled()) for inside in twice()]
pairs

# %% [markdown]
# Off inside, on outside, at each turn. The decorator sees to it. (A `with` in the
# body does not, as we shall see.)

# %%
assert pairs == [(False, True), (False, True)]

# %% [markdown]
# And what is within reach of a block? In this one a tensor is made that asks, then a
# layer, and a graph that was recorded before is walked. **Predict** the three answers:

# %% tags=["predict"]
w.grad, y = None, (w * 5).sum()
with torch.no_grad():
    born = torch.ones(2, requires_grad=True)
    layer = nn.Linear(2, 2)
    y.backward()
born.requires_grad, layer.weight.requires_grad, w.grad.tolist()

# %% [markdown]
# All three are out of reach: `no_grad` concerns what operations record. A tensor that
# asks by itself needs no record, and the graph has its own already. What is computed
# from `born` outside is recorded:

# %%
assert born.requires_grad and layer.weight.requires_grad and w.grad.tolist() == [5, 5]
assert (born * 2).grad_fn is not None

# %% [markdown]
# In inference mode, `enable_grad` says that recording is on, and records nothing. The
# way out is `inference_mode(False)`:

# %%
with torch.inference_mode():
    with torch.enable_grad():
        said, inner = torch.is_grad_enabled(), w * 2
    with torch.inference_mode(False):
        outer = w * 2
assert said and not inner.requires_grad and inner.is_inference()
assert outer.requires_grad and not outer.is_inference()

# %% [markdown]
# And a switch belongs to its thread. One that you start inside the block begins with
# recording on:

# %%
from concurrent.futures import ThreadPoolExecutor

with torch.no_grad(), ThreadPoolExecutor(1) as pool:
    here, there = torch.is_grad_enabled(), pool.submit(torch.is_grad_enabled).result()
assert (here, there) == (False, True)
here, there

# %% [markdown]
# **Rule.** A switch works where operations run: in its block and its thread, the
# innermost first, and inference mode before the others. It does not ask who made the
# tensors.

# %% [markdown]
# ## What flows through frozen layers?
#
# Take the four blocks again. In transfer learning (迁移学习), some keep their weights: we
# freeze them, or compute them under `no_grad`. This function does so, walks back, and
# notes where hooks on the results met a gradient, and which weights got one:


# %%
def walk(frozen=(), off=(), asks=False):
    net, met = nn.Sequential(*blocks(4)), set()
    start = torch.ones(50, 100, requires_grad=asks)
    for i in frozen:
        net[i].requires_grad_(False)

    def forward():
        h = start
        for i, block in enumerate(net):
            with torch.set_grad_enabled(i not in off):
                h = block(h)
            if h.requires_grad:
                h.register_hook(lambda g, i=i: met.add(i))
        return h.sum()

    loss, size = kept(forward, net)
    if loss.requires_grad:
        loss.backward()
    weights = [i for i in range(4) if net[i][0].weight.grad is not None]
    row = {"results met": sorted(met), "weights with .grad": weights}
    return row | {"bytes kept": size, "x has .grad": start.grad is not None}


# %% [markdown]
# Blocks are numbered from 0, and all of them trained keep 100,000 bytes. **Predict**
# all three columns for the other four plans:

# %% tags=["predict"]
plans = {"all train": {}, "0, 1 frozen": {"frozen": (0, 1)}}
plans |= {"2, 3 frozen": {"frozen": (2, 3)}, "0, 1 under no_grad": {"off": (0, 1)}}
plans |= {"2, 3 under no_grad": {"off": (2, 3)}}
walks = {plan: walk(**how) for plan, how in plans.items()}
heads = ["results met", "weights with .grad", "bytes kept"]
table([{"plan": p} | {head: row[head] for head in heads} for p, row in walks.items()])

# %% [markdown]
# With the *first* half frozen, nothing is recorded before block 2, and the walk ends
# there. With the *second* half frozen, gradients must pass it to reach the weights in
# front, and here not one byte is spared. And off the record, the second half cuts the
# first one off from the loss.

# %%
assert walks["0, 1 frozen"] == walks["0, 1 under no_grad"]
assert [row["bytes kept"] for row in walks.values()] == [100_000, 60_000] * 2 + [0]
found = [[row["results met"], row["weights with .grad"]] for row in walks.values()]
assert found[2:] == [[[0, 1, 2, 3], [0, 1]], [[2, 3], [2, 3]], [[], []]]

# %%
figure, axes = canvas(7, 3.2)
axes.set_axis_off()
said = []
for y, (plan, row) in enumerate(walks.items()):
    axes.text(-0.5, -y, plan, ha="right", va="center")
    for i in range(4):
        box = {"boxstyle": "round,pad=0.5", "ec": "#8a8a8a"}
        box["fc"] = "#c3e8da" if i in row["weights with .grad"] else "#e9e7e1"
        axes.text(i, -y, f"block {i}", ha="center", va="center", size=8, bbox=box)
        if i in row["results met"]:
            look = {"arrowstyle": "-|>", "color": "#d55e00", "lw": 1.5}
            axes.annotate("", (i + 0.32, -y), (i + 0.68, -y), arrowprops=look)
    axes.text(3.75, -y, "loss", va="center")
    axes.text(4.3, -y, f"{row['bytes kept']:,} bytes", va="center", size=8)
    said.append(f"{plan}: met {row['results met']}, {row['weights with .grad']} green.")
axes.set(xlim=(-2, 5.1), ylim=(-4.5, 0.5))
told = "Gradients go back along the arrows, and in green blocks the weights got one."
show(figure, told, " ".join(said))

# %% [markdown]
# Why is nothing spared in the third plan? A frozen linear layer no longer saves its
# input, but that is the result of a tanh, which has saved it already. Without tanh, a
# frozen rear keeps half:

# %%
chain = nn.Sequential(*(nn.Linear(100, 100) for _ in range(4)))
all_train = kept(lambda: chain(x), chain)[1]
chain[2:].requires_grad_(False)
assert (all_train, kept(lambda: chain(x), chain)[1]) == (80_000, 40_000)

# %% [markdown]
# The graph shows it on a small scale. One number is computed twice from two weights,
# `u` in front and `v` behind, and named after the frozen one:


# %%
def small(frozen):
    weights = {"u": torch.tensor(0.8), "v": torch.tensor(2.0)}
    for name, weight in weights.items():
        weight.requires_grad_(name != frozen)
    return weights, ((0.5 * weights["u"]).tanh() * weights["v"]).tanh()


one, other = small("v"), small("u")
names = {"u": one[0]["u"], "v frozen": one[1], "v": other[0]["v"], "u frozen": other[1]}
told = "With `v` frozen, gradients pass its product; with `u` frozen, all ends at `v`."
draw.graph(one[1], other[1], caption=told, names=names, gradients=True)

# %% [markdown]
# So is freezing in front the same as `no_grad` in front? In the table it is. Now let
# the input ask, as it does if we look for the gradient of an image, and train nothing.
# **Predict** whether it is found with all blocks frozen, and with all off the record:

# %% tags=["predict"]
everything = (0, 1, 2, 3)
frozen = walk(frozen=everything, asks=True)
unrecorded = walk(off=everything, asks=True)
frozen["x has .grad"], unrecorded["x has .grad"]

# %% [markdown]
# Frozen weights get no gradients and let them through:

# %%
assert frozen["x has .grad"] and frozen["results met"] == [0, 1, 2, 3]
assert not unrecorded["x has .grad"] and frozen["weights with .grad"] == []

# %% [markdown]
# **Rule.** Freezing keeps gradients from entering weights, `no_grad` from passing at
# all. Freeze in front and you save; freeze behind and gradients still come through.

# %% [markdown]
# ## Does a frozen layer stand still?
#
# The notes freeze a ResNet and give it a new last layer, so that only this one is
# trained. (Random weights will do for us.)

# %% tags=["claim:C151"]
from torchvision import models

model = models.resnet18(weights=None)
for param in model.parameters():
    param.requires_grad = False
model.fc = nn.Linear(512, 100)
asking = [name for name, p in model.named_parameters() if p.requires_grad]
assert asking == ["fc.weight", "fc.bias"]

# %% [markdown]
# That is right: the parameters of a new layer ask. With that, they go on, all layers
# before `fc` are frozen. Here is one step of training with their optimizer; it names
# the entries of the model's state that have changed:

# %%
images = torch.linspace(-1, 1, 2 * 3 * 64 * 64).reshape(2, 3, 64, 64)


def changed_by_a_step(model):
    optimizer = torch.optim.SGD(model.fc.parameters(), lr=1e-2, momentum=0.9)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    model(images).sum().backward()
    optimizer.step()
    after = model.state_dict()
    return [name for name in before if not torch.equal(before[name], after[name])]


# %% [markdown]
# The state has 122 entries. **Predict** how many change, and which:

# %% tags=["predict"]
from collections import Counter

changed = changed_by_a_step(model)
len(model.state_dict()), len(changed), Counter(name.split(".")[-1] for name in changed)

# %% [markdown]
# Weight and bias of `fc` are two. The other sixty belong to the twenty batch
# normalizations of the body: a mean, a variance and a count of batches each. These are
# buffers (缓冲区) and no parameters, so no gradient moves them; the forward pass does, in
# training mode. The body is frozen, and not at rest:

# %% tags=["claim:C152"]
norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
buffers = {name for name, _ in model.named_buffers()}
assert set(changed) - set(asking) == buffers and len(buffers) == 3 * len(norms) == 60
assert not any(p.requires_grad for m in norms for p in m.parameters())

# %% [markdown]
# So the answers of a frozen body drift. Here no weight changes at all:

# %%
with torch.no_grad():
    before = model.eval()(images)
    model.train()(images)
    after = model.eval()(images)
assert not torch.allclose(before, after)

# %% [markdown]
# In evaluation mode the body stays as it is, until somebody calls `model.train()`, as
# loops do in each epoch:

# %%
model.eval()
at_rest = changed_by_a_step(model)
model.train()
again = changed_by_a_step(model)
assert at_rest == ["fc.weight", "fc.bias"] and again == changed

# %% [markdown]
# So set the body to `eval()` after each `train()`.
#
# The second who moves what is frozen is the optimizer. The notes' optimizer cannot; it
# knows `fc` alone. But layers may be frozen in the middle of a training, when an
# optimizer already has them. Here is a weight with slope 1, frozen after four steps:


# %%
def path_of(clear, **options):
    p, path = nn.Parameter(torch.tensor(1.0)), [1.0]
    optimizer = torch.optim.SGD([p], lr=0.1, **options)
    for step in range(12):
        p.requires_grad_(step < 4)
        clear(p, optimizer)
        if p.requires_grad:
            p.sum().backward()
        optimizer.step()
        path.append(p.item())
    return path


# %% [markdown]
# We clear gradients in three ways: to `None`, to zeros, and only where a weight still
# asks. Momentum (动量) and weight decay (权重衰减) are options by which a step does more than
# follow its gradient. **Predict** which of the four paths are level after step 4:

# %% tags=["predict"]
zeros = {"set_to_none": False}
paths = {
    "to None": path_of(lambda p, o: o.zero_grad(), momentum=0.9, weight_decay=0.5),
    "to 0, momentum": path_of(lambda p, o: o.zero_grad(**zeros), momentum=0.9),
    "to 0, weight decay": path_of(lambda p, o: o.zero_grad(**zeros), weight_decay=0.5),
    "not cleared": path_of(lambda p, o: o.zero_grad() if p.requires_grad else None),
}
{name: len({f"{value:.4g}" for value in path[4:]}) == 1 for name, path in paths.items()}

# %%
figure, axes = canvas(7, 2.6)
for (name, path), style in zip(paths.items(), "o^sd", strict=True):
    axes.plot(path, style + "-", ms=4, label=name)
axes.axvline(4, color="#8a8a8a", ls=":")
axes.set(xlabel="steps", ylabel="weight, frozen after step 4")
axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
told = "Of these four frozen weights, only the one whose gradient is `None` rests."
show(figure, told, "Four paths; after step 4 one is level, the others go on falling.")

# %% [markdown]
# The first. SGD does not ask `requires_grad`; it looks at `.grad`, and passes over
# `None` alone (201). A zero is taken for a gradient, on which momentum and decay act,
# and a stale gradient is followed again and again.

# %%
moved = {name: abs(path[-1] - path[4]) for name, path in paths.items()}
assert moved["to None"] == 0 and min(sorted(moved.values())[1:]) > 0.1
assert abs(moved["not cleared"] - 8 * 0.1) < 1e-5

# %% [markdown]
# **Rule.** To freeze is three things: `requires_grad_(False)`, `eval()` for dropout and
# statistics, and `.grad = None`.

# %% [markdown]
# ## Where it goes wrong
#
# **Element 0 does not require grad.** Element 0 is the loss, and the message says that
# nobody has recorded it. Seven programs, one error:

# %%
programs = [
    "with torch.no_grad(): out = net(x); loss = out.mean()",
    "net.requires_grad_(False); out = net(x); loss = out.mean()",
    "out = net(x); loss = out.detach().mean()",
    "out = net(x); loss = torch.tensor(out.mean().item())",
    "out = net(x); loss = torch.no_grad()(out.mean)()",
    "out = net(x); loss = out.argmax(1).float().mean()",
    "out = net(x); loss = (out > 0).float().mean()",
]


def after(program):
    names = {"torch": torch, "net": nn.Linear(2, 3), "x": torch.ones(4, 2)}
    exec(program, names)
    return names["net"], names["out"], names["loss"]


def complaint(program):
    try:
        after(program)[-1].backward()
    except RuntimeError as error:
        return str(error)


with expect_error(RuntimeError, "element 0 of tensors does not require grad"):
    after(programs[0])[-1].backward()
assert len({complaint(program) for program in programs}) == 1

# %% [markdown]
# The message is the same, the cause is not. Three questions tell them apart: does a
# weight ask, does `out`, does the loss? **Predict** the answers for the first three:

# %% tags=["predict"]
rows = []
for program in programs:
    net, out, loss = after(program)
    row = {
        "program": program,
        "a weight asks": any(p.requires_grad for p in net.parameters()),
    }
    rows.append(row | {"out asks": out.requires_grad, "loss asks": loss.requires_grad})
table(rows)

# %% [markdown]
# No weight asks: all are frozen. Weights ask and `out` does not: look at how `out` was
# computed, here off the record. `out` asks and the loss does not: look between the two,
# for `detach`, `no_grad`, a Python number, or an operation that gives whole numbers or
# bools.

# %%
asked = [[row["a weight asks"], row["out asks"], row["loss asks"]] for row in rows]
assert asked[:2] == [[True, False, False], [False, False, False]]
assert asked[2:] == [[True, True, False]] * 5

# %% [markdown]
# The cures, in that order: compute the loss outside of the block, thaw what shall
# learn, compute with tensors up to the loss, and take smooth functions for choices:

# %%
cures = [
    "out = net(x); loss = out.mean()",
    "net.requires_grad_(False); net.bias.requires_grad_(); "
    "out = net(x); loss = out.mean()",
    "out = net(x); loss = out.softmax(1)[:, 0].mean()",
    "out = net(x); loss = out.sigmoid().mean()",
]
for cure in cures:
    net, _, loss = after(cure)
    loss.backward()
    assert net.bias.grad.any()

# %% [markdown]
# What does not help is to give `backward` what it asks for. The error goes, and so does
# the training:

# %%
net, _, loss = after(programs[2])
loss.requires_grad_().backward()
assert [p.grad for p in net.parameters()] == [None, None]

# %% [markdown]
# **The block that leaks.** A generator loads batches, and turns recording off while it
# does so. The loop that uses them computes nothing unusual:


# %%
def batches():
    with torch.no_grad():
        for number in (1.0, 2.0):
            yield torch.full((4, 2), number)


net = nn.Linear(2, 1)
with expect_error(RuntimeError, "element 0 of tensors"):
    for batch in batches():
        net(batch).mean().backward()
assert torch.is_grad_enabled()

# %% [markdown]
# At `yield`, the `with` is not left, so the body of your loop runs inside it. When the
# generator ends or nobody holds it any more, as here, all is well again, which makes
# the search no easier. If you hold it and stop early, recording stays off:

# %%
loader = batches()
_ = next(loader)
assert not torch.is_grad_enabled()
loader.close()

# %% [markdown]
# Decorate the generator instead:


# %%
@torch.no_grad()
def quiet_batches():
    for number in (1.0, 2.0):
        yield torch.full((4, 2), number)


assert all(net(batch).mean().requires_grad for batch in quiet_batches())

# %% [markdown]
# **A slice is taken under `no_grad`.** The last rows of our table, as a silent mistake.
# `head` requires grad, is a leaf, and `backward` runs; the symptom is that nobody gets
# anything:

# %%
w = torch.ones(4, requires_grad=True)
with torch.no_grad():
    head = w[:2]
loss = (head * 3).sum()
loss.backward()
assert head.requires_grad and head.is_leaf and loss.requires_grad
assert head.grad is None and w.grad is None

# %% [markdown]
# No way leads from the product to `head` or `w`. What `head` says about grad, it only
# repeats after `w`, whose view it is:

# %%
assert (head * 3).grad_fn.next_functions[0][0] is None
w.requires_grad_(False)
assert not head.requires_grad

# %% [markdown]
# Slice where recording is on:

# %%
w.requires_grad_()
(w[:2] * 3).sum().backward()
assert w.grad.tolist() == [3, 3, 0, 0]

# %% [markdown]
# **A module is frozen by assignment.** What works for a parameter gives a module a new
# attribute that nobody reads:

# %%
net.requires_grad = False
assert all(p.requires_grad for p in net.parameters())
net.requires_grad_(False)
assert not any(p.requires_grad for p in net.parameters())

# %% [markdown]
# ## In practice
#
# Validate with `net.eval()` and `torch.no_grad()`, as a decorator on the validation
# function, and call `net.train()` afterwards.
#
# Before fine-tuning (微调), print the names of the parameters that require grad. Give the
# optimizer these only, and the frozen body `eval()` after every `train()`. A frozen
# front that never changes may be computed once, under `no_grad`, and its results kept.
#
# Where `element 0` appears, print `torch.is_grad_enabled()` beside the three answers.

# %% [markdown]
# ## Summary
#
# - `no_grad` spares what nodes would save, of which `eval()` spared nothing here
#   ([measured](#What-does-switching-off-save?)).
# - `eval()` changes layers, `no_grad` recording; results of `inference_mode` count no
#   versions and are refused where a node must save them ([side by
#   side](#Which-switch-does-what?)).
# - The innermost switch of a thread decides, except that `enable_grad` does not lead
#   out of inference mode; a decorator covers a generator, and tensors made under
#   `no_grad` may still ask ([tried](#How-far-does-a-switch-reach?)).
# - A frozen front ends the walk and saves memory; a frozen rear passes gradients on
#   ([drawn](#What-flows-through-frozen-layers?)).
# - Statistics and the optimizer move what is frozen, unless `eval()` and `.grad = None`
#   stop them ([counted](#Does-a-frozen-layer-stand-still?)).
# - `element 0` has three kinds of causes, and three questions tell which
#   ([cured](#Where-it-goes-wrong)).

# %% [markdown]
# ## Exercises
#
# ### Exercise 206.1 · Who says yes?
# *predict · ●○○ · 4 minutes*
#
# ```python
# w = torch.ones(2, requires_grad=True)
# layer = nn.Linear(2, 2).requires_grad_(False)
# with torch.no_grad():
#     a, b = w * 2, torch.ones(2, requires_grad=True)
#     with torch.enable_grad():
#         c = w * 2
# with torch.inference_mode(), torch.enable_grad():
#     d = w * 2
# e, f, g = layer(torch.ones(2)), layer(w), a + w
# ```
#
# Which of a to g require grad? Give their letters.

# %% tags=["exercise"]
answer = ...  # TODO: a list of letters, such as ["a", "b"]

# %%
exercise("206.1").check(answer)

# %% [markdown]
# ### Exercise 206.2 · Half off, half frozen
# *predict · ●●○ · 5 minutes*
#
# ```python
# a, b, c, d = (nn.Linear(2, 2) for _ in range(4))
# b.requires_grad_(False)
# x = torch.ones(2, requires_grad=True)
# with torch.no_grad():
#     h = d(x)
# y = c(b(a(h))) + d(h)
# y.sum().backward()
# ```
#
# Which of a, b, c, d have a gradient in their weight, and has x one? Give the letters
# of those that have.

# %% tags=["exercise"]
answer = ...  # TODO: a list of letters, such as ["a", "x"]

# %%
exercise("206.2").check(answer)

# %% [markdown]
# ### Exercise 206.3 · A frozen front, in bytes
# *measure · ●●○ · 5 minutes*
#
# Five blocks as above, the first three of them frozen, and a batch of 32 rows of 100
# numbers. How many bytes does the graph keep, parameters not counted? Work it out, then
# measure.

# %% tags=["exercise"]
answer = ...  # TODO: a number of bytes

# %%
exercise("206.3").check(answer)

# %% [markdown]
# ### Exercise 206.4 · A guest in the house
# *repair · ●●○ · 8 minutes*
#
# This function returns a validation loss as a number. A good guest leaves everything as
# it was found: whether recording was on, and of each module whether it was in training
# mode. Some callers have frozen layers in `eval()`, some have recording off.


# %% tags=["exercise"]
def validate(net, x, goal):
    torch.set_grad_enabled(False)
    net.eval()
    loss = (net(x) - goal).square().mean()
    net.train()
    torch.set_grad_enabled(True)
    return loss.item()  # TODO: repair


# %%
exercise("206.4").check(validate)

# %% [markdown]
# ### Exercise 206.5 · The slope of the input
# *write · ●●○ · 8 minutes*
#
# Return the gradient of `net(x).sum()` with respect to `x`, whether or not `x` requires
# grad, and even if the caller has recording switched off by `no_grad`. The parameters
# of `net` and `x` itself must come out as they went in: what they ask, and their
# `.grad`.


# %% tags=["exercise"]
def input_slope(net, x):
    return ...  # TODO: a tensor of the shape of x


# %%
exercise("206.5").check(input_slope)

# %% [markdown]
# ### Exercise 206.6 · Frozen for good
# *write · ●●● · 10 minutes*
#
# Complete a module that wraps `body`: the parameters of the body do not require grad,
# it is in evaluation mode from the beginning and stays so when `train()` is called on
# the wrapper or on a network around it, and gradients flow through it to the input. As
# in any module, `train()` returns the module itself.


# %% tags=["exercise"]
class Frozen(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return ...  # TODO: here, above, and perhaps in a third method


# %%
exercise("206.6").check(Frozen)

# %% [markdown]
# ## Next
#
# [207 · Your own gradient](207_your_own_gradient.ipynb) goes the other way: instead of
# switching a gradient off, you write it.
#
# - [Locally disabling gradient
#   computation](https://docs.pytorch.org/docs/stable/notes/autograd.html#locally-disabling-gradient-computation):
#   torch's own comparison of the modes.
# - [torch.inference_mode](https://docs.pytorch.org/docs/stable/generated/torch.autograd.grad_mode.inference_mode.html):
#   what it promises.
