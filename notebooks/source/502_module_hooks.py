# %% [markdown]
# # 502 · Module hooks
#
# A network somebody else wrote, and you want one thing from its middle: a shape, an
# activation, a gradient. You could copy the class and edit its `forward`. Or you could
# ask the layer to call you. This chapter is about such calls: who is called, with
# what, in which order, and what happens when you answer.

# %% [markdown]
# **You will be able to**
#
# - fetch the output of any layer and leave the network as you found it;
# - change what goes into a layer, keyword arguments included;
# - write down the order in which hooks fire, forward and backward, before you run it;
# - read the gradients of a layer with the hook that tells the truth about them;
# - cure the in-place error, and three mistakes that make no error at all.
#
# **You need** to have written an `nn.Module` and called `backward`.
# **Time** 45 minutes.

# %% tags=["setup"]
import torch
from torch import nn
from torch.nn.modules import module as every_module

from helpers import draw, exercise, expect_error, expect_warning, pick_device, table

torch.set_default_device(pick_device())

# %% [markdown]
# ## What does a layer tell a forward hook?
#
# A hook (钩子) is a function that a module calls at a certain moment. A forward hook is
# called when the layer has computed its output, and it gets three things:

# %%
net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
seen = []


def look(module, args, output):
    seen.append((type(module).__name__, type(args).__name__, tuple(output.shape)))


# %% tags=["claim:C202"]
handle = net[1].register_forward_hook(look)
out = net(torch.ones(5, 4))
assert seen == [("ReLU", "tuple", (5, 3))]
seen

# %% [markdown]
# The module itself, its positional arguments as a tuple even if there is only one, and
# the output: that is how to fetch what a layer computes, as the notes say. Registering
# returned a handle, and its `remove` undoes it:

# %%
handle.remove()
net(torch.ones(5, 4))
assert len(seen) == 1

# %% [markdown]
# The notes give the form of such a hook as `hook(module, input, output) -> None`. What
# if it does return something? **Predict** the output of the network when a hook on its
# last layer answers with a tensor of sevens:

# %% tags=["predict"]
handle = net[2].register_forward_hook(lambda module, args, output: output * 0 + 7)
replaced = net(torch.ones(1, 4))
handle.remove()
replaced.tolist()

# %% [markdown]
# Whatever a forward hook returns takes the place of the output, unless it is `None`:

# %% tags=["claim:C258"]
assert replaced.tolist() == [[7, 7]]
quiet = nn.Identity()
quiet.register_forward_hook(lambda module, args, output: None)
assert quiet(torch.ones(2)).tolist() == [1, 1]

# %% [markdown]
# A hook that returns something by accident is therefore not a spectator any more.
#
# **Rule.** A hook that only watches returns nothing.

# %% [markdown]
# ## Can we change what goes in?
#
# A forward pre-hook runs before `forward` and sees the arguments. A tuple that
# it returns replaces them:

# %% tags=["claim:C203"]
echo = nn.Identity()
handle = echo.register_forward_pre_hook(lambda module, args: (args[0] * 10,))
assert echo(torch.ones(2)).tolist() == [10, 10]
handle.remove()

# %% [markdown]
# So does a single value, which torch wraps:

# %%
echo.register_forward_pre_hook(lambda module, args: args[0] * 100)
assert echo(torch.ones(2)).tolist() == [100, 100]

# %% [markdown]
# Here is a layer with an argument that is usually given by name:


# %%
class Scale(nn.Module):
    def forward(self, x, by=1):
        return x * by


# %% [markdown]
# **Predict** how many arguments the pre-hook counts in each of two calls:

# %% tags=["predict"]
scale, counted = Scale(), []
handle = scale.register_forward_pre_hook(lambda module, args: counted.append(len(args)))
scale(torch.ones(1), by=3)
scale(x=torch.ones(1), by=3)
handle.remove()
counted

# %% [markdown]
# Arguments given by name do not appear at all; in the second call there was nothing to
# see:

# %%
assert counted == [1, 0]

# %% [markdown]
# A hook registered with `with_kwargs=True` gets them as a dictionary and hands back
# both:


# %%
def tenfold(module, args, kwargs):
    return args, {**kwargs, "by": 10}


scale.register_forward_pre_hook(tenfold, with_kwargs=True)
assert scale(torch.ones(1), by=3).item() == 10

# %% [markdown]
# A forward hook takes the same option. It gets the dictionary before the output, as
# the pre-hook left it:


# %%
def look_by(module, args, kwargs, output):
    counted.append(kwargs["by"])


scale.register_forward_hook(look_by, with_kwargs=True)
scale(torch.ones(1), by=3)
assert counted[-1] == 10

# %% [markdown]
# **Rule.** Where callers may pass arguments by name, register with `with_kwargs=True`.

# %% [markdown]
# ## Who fires when?
#
# There are four kinds: a pre-hook and a hook for the way forward, and the same pair for
# the way back. A backward pre-hook is called when the gradient of the module's output
# has arrived, a backward hook when those of its inputs are known. We put all four on
# each module of a small net, three modules in all, and let each write one line into a
# diary. The net writes a line as well:


# %%
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin, self.act = nn.Linear(2, 2), nn.ReLU()

    def forward(self, x):
        diary.append(("net", "forward"))
        return self.act(self.lin(x))


# %% [markdown]
# Now the diary, and a maker of hooks that write into it. What it makes returns `None`, so
# it changes nothing:

# %%
net = Net()
names = {net: "net", net.lin: "lin", net.act: "act"}
diary, lanes = [], list(names.values())


# %%
def note(label):
    return lambda module, *rest: diary.append((names[module], label))


# %% [markdown]
# The word *full* in the names of two of them is explained in the next section:

# %%
handles = []
for module in names:
    handles += [
        module.register_forward_pre_hook(note("pre")),
        module.register_forward_hook(note("hook")),
        module.register_full_backward_pre_hook(note("back pre")),
        module.register_full_backward_hook(note("back hook")),
    ]

# %%
x = torch.ones(1, 2, requires_grad=True)
y = net(x)
forward_diary = list(diary)
told = "Forward: pre-hooks go from outside in, hooks come from inside out."
draw.timeline(forward_diary, told, lanes=lanes)

# %% [markdown]
# The net is told first that something begins and last that it is done; between lie its
# layers, one after the other. Think of brackets. **Predict** the order of the
# six backward entries before you look:

# %% tags=["predict"]
diary.clear()
y.sum().backward()
backward_diary = list(diary)
told = "Backward: the same three modules, on the way back."
draw.timeline(backward_diary, told, lanes=lanes)

# %% [markdown]
# The same nesting, with the layers in reverse. We can say so exactly. Leave out the
# net's own `forward`, read the forward diary from right to left and exchange begin and
# end, and you have the other one:

# %%
mirror = {"hook": "back pre", "pre": "back hook"}
brackets = [event for event in forward_diary if event[1] != "forward"]
said = [f"{who} {what}" for who, what in brackets]
assert said == ["net pre", "lin pre", "lin hook", "act pre", "act hook", "net hook"]
assert backward_diary == [(who, mirror[what]) for who, what in reversed(brackets)]

# %% [markdown]
# Global hooks are registered once and called for every module in the process. Do they
# come before a module's own hooks or after?

# %%
for register, label in (
    (every_module.register_module_forward_pre_hook, "global pre"),
    (every_module.register_module_forward_hook, "global hook"),
    (every_module.register_module_full_backward_pre_hook, "global back pre"),
    (every_module.register_module_full_backward_hook, "global back hook"),
):
    handles.append(register(note(label)))
diary.clear()
net(x).sum().backward()

# %%
of_lin = [label for who, label in diary if who == "lin"]
whose = ["global" if "global" in label else "own" for label in of_lin]
events = list(zip(whose, (t.removeprefix("global ") for t in of_lin), strict=True))
told = "What fires for the linear layer alone, forward and then backward."
draw.timeline(events, told, lanes=["global", "own"])

# %% [markdown]
# Each kind of global hook runs right before the module's own:

# %%
assert whose == ["global", "own"] * 4
assert of_lin[0::2] == [f"global {label}" for label in of_lin[1::2]]

# %% [markdown]
# Nobody asks whose module it is, so keep global hooks for debugging, and remove them:

# %%
for handle in handles:
    handle.remove()
diary.clear()
net(x).sum().backward()
assert diary == [("net", "forward")]

# %% [markdown]
# Hooks of one kind on one module run in the order of their registration. `prepend=True`
# goes to the head of the queue:

# %%
order = []
layer = nn.Identity()
layer.register_forward_hook(lambda *args: order.append("first"))
layer.register_forward_hook(lambda *args: order.append("second"))
layer.register_forward_hook(lambda *args: order.append("third"), prepend=True)
layer(torch.ones(1))
assert order == ["third", "first", "second"]

# %% [markdown]
# And when `forward` raises? An ordinary hook is skipped. One that was registered with
# `always_call=True` still runs, with `None` for an output, and can close what
# its pre-hook opened:

# %%
layer, called = nn.Unflatten(1, (2, 2)), []
layer.register_forward_hook(lambda m, args, out: called.append("ordinary"))
layer.register_forward_hook(lambda m, args, out: called.append(out), always_call=True)
with expect_error(RuntimeError, "don't multiply up"):
    layer(torch.ones(1, 3))
assert called == [None]

# %% [markdown]
# **Rule.** Pre-hooks from outside in, hooks from inside out; backward mirrors it, if
# the input requires grad; global before own; own in order of registration.

# %% [markdown]
# ## Why did the old backward hook lie?
#
# For gradients, the notes use `register_backward_hook`. It still exists, and its
# successor carries the word *full*. To see why, take a module whose gradient you can
# work out in your head: $3x + 5x$ has the slope 8.


# %%
class Eight(nn.Module):
    def forward(self, x):
        return x * 3 + x * 5


# %% [markdown]
# A backward hook of either make gets the module and two tuples of gradients: those of
# the inputs and those of the outputs. We keep what it is told about the input, and
# compare it with the gradient that the input really gets:


# %%
def gradients_seen(register, module):
    told = []
    register(module, lambda m, grad_input, grad_output: told.extend(grad_input))
    x = torch.ones(1, requires_grad=True)
    module(x).backward()
    return [g.item() for g in told], x.grad.item()


# %% tags=["claim:C204"]
with expect_warning(FutureWarning, "non-full backward hook"):
    old = gradients_seen(nn.Module.register_backward_hook, Eight())
    relu = gradients_seen(nn.Module.register_backward_hook, nn.ReLU())
full = gradients_seen(nn.Module.register_full_backward_hook, Eight())
assert old == ([1, 1], 8) and full == ([8], 8) and relu == ([1], 1)
table([{"hook": "old", "told": old[0]}, {"hook": "full", "told": full[0]}])

# %% [markdown]
# The gradient is 8, and the old hook was told twice 1. It hangs on one node of the
# graph, the last, and reports the gradients of that node's inputs: the two summands. On
# a ReLU, where one node is all there is, it told the truth.
#
# The full hook puts two nodes of its own around the module, one at the entrance and one
# at the exit, and reports what arrives there. You can see both when you draw the graph.
# Without a hook:

# %%
x = torch.ones(1, requires_grad=True)
told = "No hook: the module leaves only its arithmetic."
draw.graph(Eight()(x), names={"x": x}, caption=told)

# %% [markdown]
# With a full hook, the very same module:

# %%
hooked = Eight()
hooked.register_full_backward_hook(lambda *args: None)
y = hooked(x)
assert y.grad_fn.name() == "BackwardHookFunctionBackward"
told = "A full hook stands at the entrance and at the exit."
draw.graph(y, names={"x": x}, caption=told)

# %% [markdown]
# Data rarely require grad, and then nothing arrives at the entrance. Our net was called
# on an `x` that does. We hook the net and its first layer once more:

# %%
for module in (net, net.lin):
    module.register_full_backward_pre_hook(note("back pre"))
    module.register_full_backward_hook(note("back hook"))

# %%
reported = []
listen = net.lin.register_full_backward_hook(lambda m, ins, outs: reported.append(ins))

# %% [markdown]
# This time the net gets data. **Predict** the order of the four entries:

# %% tags=["predict"]
diary.clear()
with expect_warning(UserWarning, "since no inputs require gradients"):
    net(torch.ones(1, 2)).sum().backward()
fired = [f"{who} {label}" for who, label in diary if label != "forward"]
fired

# %% [markdown]
# The net's bracket closes before anything has happened inside it. A full hook that has
# no gradient to wait for at the entrance is called at the exit, under a warning. So the
# net's hook comes too early, and the hook of its first layer is told `None`:

# %%
assert fired == ["net back pre", "net back hook", "lin back pre", "lin back hook"]
assert reported == [(None,)]

# %% [markdown]
# A full hook may answer, too: a tuple returned, with one entry for each argument,
# replaces the gradients that go further down. The weights of the module itself are not
# affected, for their gradients were taken inside:

# %%
layer = nn.Linear(2, 2)
zero = layer.register_full_backward_hook(lambda m, inside, outside: (inside[0] * 0,))
x = torch.ones(1, 2, requires_grad=True)
layer(x).sum().backward()
assert x.grad.tolist() == [[0, 0]]
assert layer.weight.grad.tolist() == [[1, 1], [1, 1]]

# %% [markdown]
# If no input requires grad, nothing goes further down, and an answer has no place to
# go. Torch refuses it:

# %%
layer_of_data = nn.Linear(2, 2)
layer_of_data.register_full_backward_hook(lambda m, inside, outside: (outside[0] * 0,))
with expect_warning(UserWarning, "no inputs"), expect_error(RuntimeError, "None"):
    layer_of_data(torch.ones(1, 2)).sum().backward()

# %% [markdown]
# What a backward pre-hook returns replaces the gradient at the exit instead.
# **Predict** whether the weights notice:

# %% tags=["predict"]
zero.remove()
layer.register_full_backward_pre_hook(lambda m, outside: (outside[0] * 10,))
layer.weight.grad = None
layer(x).sum().backward()
layer.weight.grad.tolist()

# %% [markdown]
# They do: the pre-hook stands before the weights, on the way back.

# %%
assert layer.weight.grad.tolist() == [[10, 10], [10, 10]]

# %% [markdown]
# The old and the full hook cannot be mixed on one module:

# %%
layer.register_full_backward_hook(lambda *args: None)
with expect_error(RuntimeError, "Cannot use both regular backward hooks and full"):
    layer.register_backward_hook(lambda *args: None)

# %% [markdown]
# **Rule.** `register_full_backward_hook` is told the gradients of the module's own
# inputs and outputs, provided that an input requires grad; the old one, those of its
# last operation.

# %% [markdown]
# ## What fires outside of forward and backward?
#
# Saving and loading have hooks of their own, which is how libraries keep
# old checkpoints readable. Suppose a parameter was once called `w`:


# %%
def rename(module, state, prefix, *rest):
    if prefix + "w" in state:
        state[prefix + "weight"] = state.pop(prefix + "w")


# %%
layer = nn.Linear(2, 1, bias=False)
layer.register_load_state_dict_pre_hook(rename)
layer.load_state_dict({"w": torch.tensor([[5.0, 6.0]])})
assert layer.weight.tolist() == [[5, 6]]

# %% [markdown]
# The other three moments, in the order in which a save and a load pass them:

# %%
moments = []
layer.register_state_dict_pre_hook(lambda *args: moments.append("before saving"))
layer.register_state_dict_post_hook(lambda *args: moments.append("after saving"))
layer.register_load_state_dict_post_hook(lambda *args: moments.append("after loading"))
layer.load_state_dict(layer.state_dict())
assert moments == ["before saving", "after saving", "after loading"]

# %% [markdown]
# Hooks are part of a module and not of its state. They travel with a deep copy, and a
# state dict knows nothing of them:

# %%
import copy

parent, heard = nn.Linear(1, 1), []
parent.register_forward_hook(lambda *args: heard.append("hook"))
copy.deepcopy(parent)(torch.ones(1, 1))
assert heard == ["hook"]
assert list(parent.state_dict()) == ["weight", "bias"]

# %% [markdown]
# ## Where it goes wrong
#
# **A full hook beside an in-place layer.** The notes' example hooks a convolution that
# is followed by `nn.ReLU(inplace=True)`. With the old hook it runs, under a warning:


# %%
def run(register, inplace, at=0):
    net, ran = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(inplace=inplace)), []
    register(net[at], lambda *args: ran.append("hook"))
    picture = torch.ones(1, 1, 5, 5, requires_grad=True)
    net(picture).mean().backward()
    return ran


# %% tags=["claim:C207"]
with expect_warning(FutureWarning, "non-full backward hook"):
    assert run(nn.Module.register_backward_hook, inplace=True) == ["hook"]
with expect_error(RuntimeError, "is a view and is being modified inplace"):
    run(nn.Module.register_full_backward_hook, inplace=True)

# %% [markdown]
# The full hook's node hands the tensor on as a view, and torch does not let you write
# into it, for that would bypass the hook. A hook on the in-place layer itself fails in
# the same way, at its entrance. The cure is `inplace=False`:

# %%
for at in (0, 1):
    assert run(nn.Module.register_full_backward_hook, False, at) == ["hook"]
with expect_error(RuntimeError, "is a view and is being modified inplace", lines=1):
    run(nn.Module.register_full_backward_hook, True, at=1)

# %% [markdown]
# **Features that change after you kept them.** The same in-place layer, a forward
# hook, and no error:

# %%
pair = nn.Sequential(nn.Identity(), nn.ReLU(inplace=True))
kept, cloned = [], []
watch = pair[0].register_forward_hook(lambda m, args, out: kept.append(out))
clone = pair[0].register_forward_hook(lambda *a: cloned.append(a[2].detach().clone()))

# %%
pair(torch.tensor([-1.0, 2.0], requires_grad=True) * 1)
assert kept[0].tolist() == [0, 2] and cloned[0].tolist() == [-1, 2]
assert kept[0].requires_grad and not cloned[0].requires_grad

# %% [markdown]
# The first hook kept a reference, the next layer wrote into it, and the symptom is a
# feature without a single negative number. Clone inside the hook, and `detach` first,
# or what you keep drags its graph along.
#
# **Calling `forward` yourself.** Hooks live in `__call__`. Go around it, and they are
# silent:

# %%
layer, calls = nn.Linear(1, 1), []
layer.register_forward_hook(lambda *args: calls.append("hook"))
layer.forward(torch.ones(1, 1))
assert calls == []
layer(torch.ones(1, 1))
assert calls == ["hook"]

# %% [markdown]
# **Registered once per run of the cell.** Nothing stops you from registering the same
# function again, and it will be called that often. A handle removes its own hook only,
# and the others stay:

# %%
layer, calls = nn.Linear(1, 1), []
for _ in range(3):
    last = layer.register_forward_hook(lambda *args: calls.append("hook"))
layer(torch.ones(1, 1))
assert len(calls) == 3
last.remove()
layer(torch.ones(1, 1))
assert len(calls) == 5

# %% [markdown]
# A handle is a context manager as well. What it registered is gone at the end of the
# block, even if the block ends in an error, as after a `finally`:

# %%
layer, calls = nn.Linear(1, 1), []


def ring(*args):
    calls.append("hook")


# %%
with expect_error(ValueError, "stop"), layer.register_forward_hook(ring):
    layer(torch.ones(1, 1))
    raise ValueError("stop")
layer(torch.ones(1, 1))
assert calls == ["hook"]

# %% [markdown]
# ## In practice
#
# A hook runs Python in the middle of your model, so keep it short, and never let it
# hold outputs with their graphs longer than you need: `detach` what you store. Prefer a
# `with` block to a handle that you must remember. To change behaviour for good, write a
# module; hooks are for looking, for experiments, and for code that is not yours. In a
# loop that must be fast, no hook is the fastest hook.

# %% [markdown]
# ## Summary
#
# - A forward hook gets module, arguments and output, and its handle removes it
#   ([shown](#What-does-a-layer-tell-a-forward-hook?)).
# - A pre-hook replaces the arguments; those given by name need `with_kwargs=True`
#   ([shown](#Can-we-change-what-goes-in?)).
# - Pre-hooks fire from outside in, hooks from inside out, backward in the mirror
#   ([recorded](#Who-fires-when?)).
# - The full backward hook reports the module's gradients, if an input requires grad;
#   the old one those of its last operation
#   ([compared](#Why-did-the-old-backward-hook-lie?)).
# - Loading and saving call hooks of their own
#   ([shown](#What-fires-outside-of-forward-and-backward?)).
# - In-place layers break full hooks loudly and kept features silently; `forward` called
#   by hand skips all hooks, and a hook registered twice runs twice
#   ([cases](#Where-it-goes-wrong)).

# %% [markdown]
# ## Exercises
#
# ### Exercise 502.1 · What comes back?
# *predict · ●○○ · 3 minutes*
#
# `m = nn.Identity()` gets three forward hooks, in this order:
# `lambda m, a, out: out + 1`, `lambda m, a, out: out * 10`, and, with `prepend=True`,
# `lambda m, a, out: None`. What is `m(torch.tensor(2.0)).item()`?

# %% tags=["exercise"]
answer = ...  # TODO: a number

# %%
exercise("502.1").check(answer)

# %% [markdown]
# ### Exercise 502.2 · Brackets
# *order · ●●○ · 5 minutes*
#
# `outer = nn.Sequential(a, b)`, where `a` and `b` are layers. All three have a forward
# pre-hook and a forward hook. Put the six calls in order: `"outer pre"`,
# `"outer hook"`, `"a pre"`, `"a hook"`, `"b pre"`, `"b hook"`.

# %% tags=["exercise"]
answer = ...  # TODO: a list of the six strings

# %%
exercise("502.2").check(answer)

# %% [markdown]
# ### Exercise 502.3 · Shapes of every layer
# *write · ●●○ · 10 minutes*
#
# Return a dictionary from the name of each child of `model` (as in
# `model.named_children()`) to the shape of its output, as a tuple, when the model is
# called on `x`. If the call fails, let the error through. In either case, none of your
# hooks may be left on the model.


# %% tags=["exercise"]
def shapes_of(model, x):
    return ...  # TODO: register, call, remove


# %%
exercise("502.3").check(shapes_of)

# %% [markdown]
# ### Exercise 502.4 · Features that stay
# *repair · ●●○ · 5 minutes*
#
# This function should return what `layer` computes inside `model`. With in-place layers
# behind it, it returns something else. It should also not keep the graph alive.


# %% tags=["exercise"]
def feature_of(model, layer, x):
    found = []
    handle = layer.register_forward_hook(lambda m, args, out: found.append(out))
    model(x)
    handle.remove()
    return found[0]  # TODO: repair what the hook keeps


# %%
exercise("502.4").check(feature_of)

# %% [markdown]
# ### Exercise 502.5 · Who was called?
# *predict · ●●○ · 3 minutes*
#
# A module has a forward hook, a full backward hook, and a forward hook with
# `always_call=True`. Its `forward` raises an error, which the caller catches. How many
# of the three hooks have run?

# %% tags=["exercise"]
answer = ...  # TODO: a number

# %%
exercise("502.5").check(answer)

# %% [markdown]
# ### Exercise 502.6 · A gradient that goes back smaller
# *write · ●●● · 10 minutes*
#
# Make every gradient that leaves `module` towards its inputs `factor` times as large,
# and leave the gradients of its parameters alone. Modules with an argument that is no
# tensor, such as `Scale` above, must still work; the tuple that the hook is told holds
# `None` there, and so must yours. Return the handle.


# %% tags=["exercise"]
def scale_gradient(module, factor):
    return ...  # TODO: a full backward hook


# %%
exercise("502.6").check(scale_gradient)

# %% [markdown]
# ## Next
#
# [201 · Gradients and graphs](201_gradients_and_graphs.ipynb) shows the nodes that a
# full backward hook stands between.
#
# - [torch.nn.Module](https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html): every
#   registration method with its arguments.
# - [torch.nn.modules.module](https://docs.pytorch.org/docs/stable/nn.html#global-hooks-for-module):
#   the hooks for every module at once.
