# %% [markdown]
# # 606 · Batches, workers, order
#
# Behind `for images, labels in loader` stands a small factory. Somebody decides which
# pictures belong together, somebody fetches them, perhaps in another process and
# several batches before you ask. Which process holds the next batch now, what does it
# know of your program, and would the same pictures come again tomorrow? A loop that
# gets *some* batch runs on, so most loader bugs make no sound.

# %% [markdown]
# **You will be able to**
#
# - rebuild by hand what a loader does for one batch, and collate samples of different
#   sizes;
# - make the order of an epoch repeatable, and say which process decides it;
# - tell which process fetches a sample, how far ahead it runs, and when it ends;
# - give every worker random numbers of its own that you can repeat;
# - find out why a dataset from a notebook fails in a worker that is spawned.
#
# **You need** Python classes and a first training loop. **Time** 60 minutes.

# %% tags=["setup"]
import multiprocessing

import torch
from torch.utils.data import DataLoader, Dataset, default_collate, get_worker_info

from helpers import draw, exercise, expect_error, load_digits, pick_device, table

device = pick_device()

# %% [markdown]
# ## What is in a batch?
#
# A dataset (数据集) answers two questions: how many samples, and which is number
# `index`. Ours holds 1,797 handwritten digits, with ink from 0 to 16:


# %%
class Digits(Dataset):
    def __init__(self, images, labels):
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index] / 16, int(self.labels[index])


digits = Digits(*load_digits())

# %% [markdown]
# A loader (数据加载器) makes batches (批) of them:

# %%
images, labels = next(iter(DataLoader(digits, batch_size=8)))
draw.pictures(
    1 - images,
    titles=[str(label) for label in labels.tolist()],
    columns=8,
    caption="One batch: eight pictures and, above them, their eight labels.",
    alt="Eight handwritten digits in a row, from 0 to 7, each under its label.",
)

# %% [markdown]
# The notes open the loader's source and find two steps: fetch the list
# `[dataset[idx] for idx in batch]`, then collate (整理) it. By hand:

# %%
samples = [digits[index] for index in range(8)]
pictures, names = default_collate(samples)
assert torch.equal(pictures, images) and torch.equal(names, labels)
type(samples[0][1]).__name__, names.dtype, tuple(pictures.shape)

# %% [markdown]
# Tensors were stacked, and the integers became one tensor. The notes' first step is what
# happens, unless the dataset offers a method for many indices at once. **Predict** what
# this one is asked for in a batch of eight:


# %% tags=["predict"]
class Sliced(Digits):
    def __getitems__(self, indices):
        asked.append(indices)
        return list(zip(self.images[indices] / 16, self.labels[indices], strict=True))

    def __getitem__(self, index):
        asked.append(index)
        return super().__getitem__(index)


asked, sliced = [], Sliced(*load_digits())
at_once, _ = next(iter(DataLoader(sliced, batch_size=8)))
asked

# %% [markdown]
# For one list of eight; `__getitem__` is not called at all. So the notes' line is
# outdated: it describes only a dataset without `__getitems__`. What comes back is
# collated either way:

# %% tags=["claim:C470"]
assert asked == [list(range(8))] and torch.equal(at_once, images)

# %% [markdown]
# The notes also list the arguments with their defaults. We ask the signature:

# %% tags=["claim:C459"]
import inspect

said = {"batch_size": 1, "shuffle": False, "sampler": None, "batch_sampler": None}
said |= {"num_workers": 0, "drop_last": False}
found = {p.name: p.default for p in inspect.signature(DataLoader).parameters.values()}
assert {name for name in said if found[name] != said[name]} == {"shuffle"}
assert {"collate_fn", "worker_init_fn", "generator", "persistent_workers"} <= {*found}
assert type(DataLoader(digits).sampler).__name__ == "SequentialSampler"
assert len(found) - 1 >= len(said) + 10
{name: found[name] for name in said}

# %% [markdown]
# The list is half true. `shuffle` is None by default, which here means no shuffling,
# and ten arguments or more are missing; this chapter needs most of them. `drop_last`
# the notes describe rightly:

# %% tags=["claim:C464"]
kept = [len(labels) for _, labels in DataLoader(digits, 64)]
full = [len(labels) for _, labels in DataLoader(digits, 64, drop_last=True)]
assert kept == [64] * 28 + [5] and full == [64] * 28
sum(kept), sum(full)

# %% [markdown]
# **Ragged data** (长短不一) is where the default gives up. Cut the empty columns off each
# digit, and the pictures differ in width. (`sampler` names the six indices we want;
# the next section meets it.)


# %%
class Strips(Digits):
    def __getitem__(self, index):
        image, label = super().__getitem__(index)
        return image[0][:, image[0].amax(dim=0) > 0], label


# %%
strips = Strips(*load_digits())
six = {"batch_size": 6, "sampler": range(1626, 1632)}
with expect_error(RuntimeError, "stack expects each tensor to be equal size"):
    next(iter(DataLoader(strips, **six)))

# %% [markdown]
# `collate_fn` takes the list of samples and may return anything. This one pads to the
# widest strip *of the batch*, and keeps the widths:


# %%
def pad_right(samples):
    widths = torch.tensor([strip.shape[1] for strip, _ in samples])
    padded = torch.zeros(len(samples), 8, int(widths.max()))
    for row, (strip, _) in zip(padded, samples, strict=True):
        row[:, : strip.shape[1]] = strip
    return padded, widths, torch.tensor([label for _, label in samples])


# %%
padded, widths, _ = next(iter(DataLoader(strips, **six, collate_fn=pad_right)))
widths.tolist(), tuple(padded.shape)

# %% [markdown]
# From the widths comes a mask, which tells paper from padding:

# %%
padding = torch.arange(padded.shape[2]) >= widths[:, None]
for k, index in enumerate(six["sampler"]):
    assert torch.equal(padded[k][:, ~padding[k]], strips[index][0])
colours = (1 - padded).unsqueeze(1).repeat(1, 3, 1, 1)
colours[:, 2].masked_fill_(padding[:, None, :], 0.4)
draw.pictures(
    colours,
    titles=[f"width {width}" for width in widths.tolist()],
    columns=6,
    caption="Six strips in one batch; yellow is padding, which the mask knows.",
    alt="Six digits without empty columns, 2 to 6 wide, yellow where they are padded.",
)

# %% [markdown]
# **Rule.** A batch is `collate_fn` of a list of samples. What does not stack, you
# collate.

# %% [markdown]
# ## Who decides the order?
#
# Not the dataset, and not whoever fetches. A sampler (采样器) deals out indices, and
# another one bundles them:

# %%
loader = DataLoader(range(12), batch_size=4)
assert list(loader.sampler) == list(range(12))
list(loader.batch_sampler)

# %% [markdown]
# (A `range` has a length and answers to an index. That makes it a dataset.) With
# `shuffle=True` the sampler draws a new permutation for each epoch (轮), from the
# generator you give:

# %%
generator = torch.Generator("cpu").manual_seed(0)
loader = DataLoader(range(12), batch_size=4, shuffle=True, generator=generator)
epochs = torch.stack([torch.stack(list(loader)) for _ in range(4)])
draw.grid(
    epochs,
    highlight=epochs == 7,
    caption="Four epochs, a row for each batch: sample 7 comes once in each, anywhere.",
)

# %% [markdown]
# Each page holds all twelve samples, and no two pages agree. **Predict**: put the
# generator back to seed 0 and run one epoch. Which page comes?

# %% tags=["predict"]
generator.manual_seed(0)
again = torch.stack(list(loader))
[torch.equal(again, page) for page in epochs]

# %% [markdown]
# The first, and no other:

# %%
pages = [tuple(page.flatten().tolist()) for page in epochs]
assert all(sorted(page) == list(range(12)) for page in pages)
assert torch.equal(again, epochs[0]) and len(set(pages)) == 4

# %% [markdown]
# Without a generator of your own, the seed comes from torch's global one, and whoever
# draws from that in between changes your order:

# %%
unseeded, orders = DataLoader(range(12), batch_size=12, shuffle=True), []
for drawn_before in (0, 0, 1):
    torch.manual_seed(0)
    torch.rand(drawn_before)
    orders.append(next(iter(unseeded)).tolist())
assert orders[0] == orders[1] != orders[2]

# %% [markdown]
# **Rule.** The order is drawn where the loop runs, from one generator. Own it, and
# you can repeat the epoch.

# %% [markdown]
# ## Who fetches the samples?
#
# `num_workers` hires help; the notes call it the number of *threads*. To find out, we
# want samples that testify. This dataset makes each sample by calling a function:


# %%
class Samples(Dataset):
    def __init__(self, length, make):
        self.length, self.make = length, make

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        return self.make(index)


# %% [markdown]
# A witness names the process it was fetched by, the worker's number (-1 for none),
# and how many threads torch may use there:

# %%
import os


def testify(index):
    info = get_worker_info()
    worker = -1 if info is None else info.id
    return torch.tensor([index, os.getpid(), worker, torch.get_num_threads()])


witnesses = Samples(12, testify)

# %% [markdown]
# Workers can be started in several ways. We need `fork`, which copies the running
# program and with it the functions of a notebook. In a program of your own, ask for
# it loader by loader; only one without workers refuses:

# %%
with expect_error(ValueError, "num_workers=0"):
    DataLoader(witnesses, num_workers=0, multiprocessing_context="fork")
multiprocessing.set_start_method("fork", force=True)
assert multiprocessing.get_start_method() == "fork"

# %% [markdown]
# Our loops count from 0, so we set the default, for all loaders that name none. It
# holds for this kernel. (On macOS `fork` counts as unsafe: where a worker dies or hangs,
# the book's outputs show the rest.)

# %% [markdown]
# Already when a loader is made, torch warns of more workers than the processor cores we
# may use. Ours are here to be watched, not to be fast, so we switch the warning off:

# %%
import warnings

cores = os.cpu_count()
if hasattr(os, "sched_getaffinity"):
    cores = len(os.sched_getaffinity(0))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for workers in (cores, cores + 1):
        DataLoader(witnesses, num_workers=workers)
assert f"will create {cores + 1} worker processes" in str(caught.pop().message)
assert not caught and multiprocessing.active_children() == []
warnings.filterwarnings("ignore", "This DataLoader will create")
with warnings.catch_warnings(record=True) as caught:
    DataLoader(witnesses, num_workers=cores + 1)
assert not caught

# %% [markdown]
# **Predict**: with 0, 1 and 2 workers, how many processes fetch, and is ours one of
# them?

# %% tags=["predict"]
rows, reports = [], []
for workers in (0, 1, 2):
    seen = torch.cat(list(DataLoader(witnesses, num_workers=workers)))
    fetchers, ours = set(seen[:, 1].tolist()), os.getpid()
    count, among = len(fetchers), ours in fetchers
    rows.append({"workers": workers, "processes": count, "ours among them": among})
    reports.append(seen)
table(rows, "Counted: which processes fetched the twelve samples.")

# %% [markdown]
# With 0, the default, the main program does all the work, as the notes say. But
# workers (工作进程) are processes, not threads: threads would have shown our own process
# number.

# %% tags=["claim:C462", "claim:C463"]
assert [row["processes"] for row in rows] == [1, 1, 2]
assert [row["ours among them"] for row in rows] == [True, False, False]
assert [set(seen[:, 2].tolist()) for seen in reports] == [{-1}, {0}, {0, 1}]

# %% [markdown]
# With two workers, each lets torch use one thread, and the samples come in order:

# %%
assert set(seen[:, 3].tolist()) == {1} and seen[:, 0].tolist() == list(range(12))

# %% [markdown]
# The notes are right that the loader wraps Python's `multiprocessing`, which
# therefore counts its children. Two exist until the iterator is used up:

# %% tags=["claim:C328"]
iterator = iter(DataLoader(witnesses, num_workers=2))
staff = multiprocessing.active_children()
assert len(staff) == 2
assert all(isinstance(child, multiprocessing.process.BaseProcess) for child in staff)
assert len(list(iterator)) == 12 and multiprocessing.active_children() == []

# %% [markdown]
# Who fetched which batch? The witnesses remember:

# %%
rounds = [batch[0, 2].item() for batch in DataLoader(witnesses, 2, num_workers=2)]
assert rounds == [0, 1, 0, 1, 0, 1]
draw.timeline(
    [(f"worker {worker}", f"batch {k}") for k, worker in enumerate(rounds)],
    caption="Batches are dealt out in turn; a step is one batch taken by the loop.",
)

# %% [markdown]
# A process owns its memory. A forked one starts with a copy of everything we have,
# and what it writes there dies with it. **Predict** the length of *our* list after an
# epoch of eight samples, without and with workers:


# %%
def note(index):
    diary.append(index)
    return len(diary)


# %% tags=["predict"]
lengths = []
for workers in (0, 2):
    diary = []
    loader = DataLoader(Samples(8, note), num_workers=workers)
    counts = [count.item() for count in loader]
    lengths.append(len(diary))
lengths

# %% [markdown]
# Eight and none. Each worker counted to four in a diary of its own:

# %%
assert lengths == [8, 0] and counts == [1, 1, 2, 2, 3, 3, 4, 4]

# %% [markdown]
# Batches travel back in shared memory (共享内存):

# %%
for workers in (0, 1, 2):
    batch, _ = next(iter(DataLoader(digits, 8, num_workers=workers)))
    assert torch.equal(batch, images) and batch.is_shared() == (workers > 0)

# %% [markdown]
# Heavy work belongs in `__getitem__`, say the notes, where workers do it in parallel
# (并行). On a busy machine clocks are poor witnesses. A barrier is a better one: whoever
# comes waits there until *two* have come, or until patience ends.

# %%
import threading


def meet(index):
    try:
        return barrier.wait(patience) >= 0
    except threading.BrokenBarrierError:
        return False


# %% [markdown]
# **Predict** what four samples say, with two workers and with one:

# %% tags=["predict"]
met = {}
for workers in (2, 1):
    barrier, patience = multiprocessing.Barrier(2), 60 if workers == 2 else 0.2
    loader = DataLoader(Samples(4, meet), num_workers=workers)
    met[workers] = [batch.item() for batch in loader]
met

# %% [markdown]
# Two workers met twice: both were inside `__getitem__` at one moment. One worker waited
# in vain for another. The notes are right.

# %% tags=["claim:C329"]
assert met == {2: [True] * 4, 1: [False] * 4}

# %% [markdown]
# Whether workers *pay* is another question, and for that we do need the clock. Other
# programs can only lengthen an epoch, so we time again, five times at most, until one
# number of workers is clearly the fastest:


# %%
import time


def seconds(dataset, workers):
    start = time.perf_counter()
    list(DataLoader(dataset, num_workers=workers))
    return time.perf_counter() - start


def best_times(dataset):
    took = dict.fromkeys((0, 1, 2), float("inf"))
    for _ in range(5):
        took = {n: min(took[n], seconds(dataset, n)) for n in took}
        first, second, _ = sorted(took.values())
        if first < 0.8 * second:
            break
    return took


# %%
def slow(index):
    time.sleep(0.1)
    return index


# %% [markdown]
# `slow` waits like a disk. The other dataset is numbers in memory. **Predict** for
# each, which of 0, 1 and 2 workers has the shortest epoch:

# %% tags=["predict"]
rows = []
for name, dataset in {"waits 0.1 s": Samples(8, slow), "in memory": range(8)}.items():
    took = best_times(dataset)
    rows.append({"a sample": name, "fastest with": min(took, key=took.get)})
table(rows, "Measured on this machine: the number of workers with the shortest epoch.")

# %% [markdown]
# Print `took` in the loop to see your machine's seconds. Starting processes and
# sending batches has a price, and eight numbers in memory never earn it back.

# %%
assert [row["fastest with"] for row in rows] == [2, 0]

# %% [markdown]
# **Rule.** A worker is a process with a copy of your program. It pays when a sample
# takes longer to make than to send.

# %% [markdown]
# ## How far ahead do the workers run?
#
# A sampler that keeps a log shows when an index is dealt out, and the loop logs when
# it takes a batch:


# %%
class Logged:
    def __len__(self):
        return 8

    def __iter__(self):
        for index in range(8):
            log.append(("dealt", str(index)))
            yield index


# %%
def run_logged(**options):
    log.clear()
    for batch in DataLoader(range(8), sampler=Logged(), **options):
        log.append(("taken", str(batch.item())))
    return log[:]


# %% [markdown]
# Without workers the two alternate. With them, `prefetch_factor` says how many batches
# each worker is given in advance. **Predict** how many indices are dealt out before
# the first batch is taken, with two workers and `prefetch_factor=2`:

# %% tags=["predict"]
log = []
alone = run_logged()
events = run_logged(num_workers=2, prefetch_factor=2)
draw.timeline(events, caption="Two workers: what is dealt out and taken, in order.")

# %% [markdown]
# Five: two for each worker when the iterator is made, and one more as each batch is
# taken.

# %%
assert events.index(("taken", "0")) == 5
assert [what for what, _ in alone] == ["dealt", "taken"] * 8

# %% [markdown]
# Is the work done, too? Now every sample leaves a mark in memory that all processes
# share, and we take nothing at all:


# %%
def mark(index):
    done[index] = True
    return index


# %%
done = torch.zeros(20, dtype=torch.bool).share_memory_()
iterator = iter(DataLoader(Samples(20, mark), num_workers=2, prefetch_factor=3))
while done.sum() < 6:
    time.sleep(0.01)
time.sleep(0.2)
assert done.nonzero().flatten().tolist() == [0, 1, 2, 3, 4, 5]
del iterator
assert multiprocessing.active_children() == []

# %% [markdown]
# Six samples fetched, none asked for. So prefetching (预取) costs memory:
# `prefetch_factor * num_workers` batches lie ready. (`del` ends the workers of an
# iterator that you leave early.)
#
# Batches arrive in the order of the sampler, however long one of them takes. To see
# what that means, we hold sample 0 back behind a gate. `timeout` bounds the wait for
# a batch:


# %%
def pass_gate(index):
    closing_time = time.monotonic() + 60
    while index == 0 and not gate and time.monotonic() < closing_time:
        time.sleep(0.01)
    return index


# %%
gate, gated = torch.tensor(False).share_memory_(), Samples(6, pass_gate)
iterator = iter(DataLoader(gated, num_workers=2, timeout=2))
with expect_error(RuntimeError, "timed out after 2 seconds"):
    next(iterator)
gate.fill_(True)
assert [batch.item() for batch in iterator] == [0, 1, 2, 3, 4, 5]

# %% [markdown]
# One late sample kept the whole loop waiting. With `in_order=False`, whoever is ready
# comes first. **Predict** the order, if the gate opens after five batches:

# %% tags=["predict"]
gate.fill_(False)
loader = DataLoader(gated, num_workers=2, prefetch_factor=1, in_order=False)
iterator = iter(loader)
order = [next(iterator).item() for _ in range(5)]
gate.fill_(True)
order + [batch.item() for batch in iterator]

# %% [markdown]
# The other worker did everything else. The price is an order that depends on speed,
# which nobody can repeat.

# %%
assert order == [1, 2, 3, 4, 5]

# %% [markdown]
# Workers end with their epoch, and the next epoch starts new ones.
# `persistent_workers=True` keeps them, which saves the start:


# %%
def staff_of(loader):
    return {pid for batch in loader for pid in batch[:, 1].tolist()}


# %%
fresh = DataLoader(witnesses, num_workers=2)
kept = DataLoader(witnesses, num_workers=2, persistent_workers=True)
assert staff_of(fresh).isdisjoint(staff_of(fresh))
assert staff_of(kept) == staff_of(kept) and len(multiprocessing.active_children()) == 2

# %% [markdown]
# They live as long as the loader. Without it, they are gone:

# %%
del kept
assert multiprocessing.active_children() == []

# %% [markdown]
# The last stretch leads to the device. Workers hand out CPU tensors, and the loop
# moves them. `pin_memory` puts them into page-locked memory (锁页内存); we ask for it only
# where there is a GPU:

# %%
on_gpu = device.type == "cuda"
images, _ = next(iter(DataLoader(digits, 64, num_workers=1, pin_memory=on_gpu)))
moved = images.to(device, non_blocking=on_gpu)
assert images.device.type == "cpu" and images.is_pinned() == on_gpu
assert moved.device.type == device.type and torch.equal(moved.cpu(), images)

# %% [markdown]
# ## Which random numbers does a worker draw?
#
# Augmentation draws inside `__getitem__`, from torch, `random` or NumPy:

# %%
import random

import numpy as np


def roll(index):
    return index, torch.rand(()).item(), random.random(), np.random.rand()


# %% [markdown]
# We read eight such samples twice, each time with a loader whose own generator has
# seed 0. **Predict** which columns repeat, without and with workers:


# %%
def rolls(workers, seed=0):
    generator = torch.Generator("cpu").manual_seed(seed)
    options = {"shuffle": True, "num_workers": workers, "generator": generator}
    batches = list(DataLoader(Samples(8, roll), **options))
    return torch.tensor([[part.item() for part in batch] for batch in batches]).T


# %% tags=["predict"]
rows = []
for workers in (0, 1, 2):
    pairs = zip(rolls(workers), rolls(workers), strict=True)
    order, *drawn = [torch.equal(a, b) for a, b in pairs]
    rows.append({"workers": workers, "order": order})
    rows[-1] |= dict(zip(("torch", "random", "numpy"), drawn, strict=True))
table(rows, "Measured: what a second run with the same loader seed repeats.")

# %% [markdown]
# The order repeats always. The rest repeats only with workers: each one seeds all
# three libraries from one draw of the loader's generator and its own number. In the
# main program nobody seeds them but you. And another number of workers gives other
# draws, in the same order:

# %%
assert [list(row.values())[1:] for row in rows] == [
    [True] + [n > 0] * 3 for n in range(3)
]
one, two = rolls(1), rolls(2)
assert torch.equal(one[0], two[0]) and not torch.equal(one[1:], two[1:])
seeds = Samples(2, lambda index: get_worker_info().seed)
assert torch.cat(list(DataLoader(seeds, num_workers=2))).diff() == 1

# %% [markdown]
# What the workers do not know is a generator *of your own*. **Predict** how many
# different numbers eight samples hold when two workers inherit this one, and how many
# two epochs hold:


# %%
class OwnDice(Samples):
    def __init__(self):
        super().__init__(8, self.draw)
        self.rng = torch.Generator("cpu").manual_seed(0)

    def draw(self, index):
        return torch.rand((), generator=self.rng)


# %% tags=["predict"]
loader = DataLoader(OwnDice(), num_workers=2)
first, second = torch.cat(list(loader)), torch.cat(list(loader))
len(first.unique()), len(torch.cat([first, second]).unique())

# %% [markdown]
# Four, not eight: both workers copied the same generator in the same state. The next
# epoch forks the same copy again, so sixteen samples share four numbers, and no error
# comes.

# %%
assert torch.equal(first[0::2], first[1::2]) and torch.equal(first, second)
assert len(first.unique()) == 4

# %% [markdown]
# `worker_init_fn` is the place for the cure. It runs once in each new worker, after
# the seeding, where `get_worker_info()` knows the worker's seed and its copy of the
# dataset:


# %%
def own_seed(worker_id):
    info = get_worker_info()
    assert info.id == worker_id and info.seed == torch.initial_seed()
    info.dataset.rng.manual_seed(info.seed)


# %%
loader = DataLoader(OwnDice(), num_workers=2, worker_init_fn=own_seed)
both = torch.cat([torch.cat(list(loader)), torch.cat(list(loader))])
assert len(both.unique()) == 16

# %% [markdown]
# **Rule.** Seed the loader's generator for the order and the workers, seed the main
# program for `num_workers=0`, and reseed in `worker_init_fn` what you made yourself.

# %% [markdown]
# ## How does a worker start?
#
# `fork` copied our program, so every worker knew our classes. `spawn` starts an empty
# Python and sends it the dataset as a pickle (序列化). What does the pickle of a
# notebook's dataset say?

# %%
import pickle

parcel = pickle.dumps(witnesses)
assert b"__main__" in parcel and b"Samples" in parcel and b"testify" in parcel
assert b"__getitem__" not in parcel and b"getpid" not in parcel

# %% [markdown]
# The *names* of class, function and module; not their code. A new Python has a
# `__main__` of its own, without our cells, and a worker spawned for our witnesses
# dies. It says why on standard error, which we send to a file for once:

# %%
import tempfile

spawned = DataLoader(witnesses, num_workers=1, multiprocessing_context="spawn")
with tempfile.TemporaryFile() as heard:
    usual = os.dup(2)
    os.dup2(heard.fileno(), 2)
    try:
        with expect_error(RuntimeError, "exited unexpectedly"):
            next(iter(spawned))
    finally:
        os.dup2(usual, 2)
    heard.seek(0)
    last_line = heard.read().decode().splitlines()[-1]

# %%
assert "Can't get attribute 'Samples'" in last_line
last_line.partition(" on ")[0]

# %% [markdown]
# The loop hears only that somebody died; the reason stands above it in red, or in a
# log. Programs on macOS and Windows, and with Python 3.14 on Linux, meet this at once,
# for there `fork` is not the default (see the last link).
#
# The cure is a class that a new Python can import: one in a file. Ours holds a number
# in the module, and the dataset gets a number of its own:

# %%
import sys
from pathlib import Path

code = """\
import torch

module_number = 1

class Numbers(torch.utils.data.Dataset):
    def __len__(self): return 1
    def __getitem__(self, index): return module_number, self.own_number
"""

# %%
folder = tempfile.TemporaryDirectory()
Path(folder.name, "numbers_in_a_file.py").write_text(code)
sys.path.insert(0, folder.name)
import numbers_in_a_file as module

# %% [markdown]
# We set both numbers to 10 and let a worker of either kind read them. **Predict** the
# two rows:

# %% tags=["predict"]
dataset, rows = module.Numbers(), []
module.module_number = dataset.own_number = 10
for start in ("fork", "spawn"):
    loader = DataLoader(dataset, num_workers=1, multiprocessing_context=start)
    outside, inside = (part.item() for part in next(iter(loader)))
    rows.append({"start": start, "in the module": outside, "in the dataset": inside})
table(rows, "What a worker sees of two numbers that we set to 10 after the import.")

# %% [markdown]
# The spawned worker imported the file itself and found the 1 that stands there. What
# you set in a dataset travels with it; what you change elsewhere stays at home.
#
# **Rule.** Classes and functions for workers live in files, their settings live in
# the dataset; then the start method does not matter.

# %%
assert [row["in the module"] for row in rows] == [10, 1]
assert [row["in the dataset"] for row in rows] == [10, 10]
sys.path.remove(folder.name)
folder.cleanup()

# %% [markdown]
# ## Where it goes wrong
#
# **A setting that never arrives.** A dataset gets harder from epoch to epoch.
# Persistent workers have kept the copy of the first:


# %%
def stages(stage, **options):
    staged, seen = Samples(2, lambda index: stage.item()), []
    loader = DataLoader(staged, num_workers=1, **options)
    for epoch in range(3):
        stage.fill_(epoch)
        seen.append(next(iter(loader)).item())
    return seen


# %%
assert stages(torch.tensor(0), persistent_workers=True) == [0, 0, 0]
assert stages(torch.tensor(0)) == [0, 1, 2]
assert stages(torch.tensor(0).share_memory_(), persistent_workers=True) == [0, 1, 2]

# %% [markdown]
# The first line is wrong in silence. The second has new workers for each epoch; the
# third keeps the workers and puts the setting into shared memory.
#
# **An error far away.** An exception in a worker comes back with its own type, and
# with the worker's traceback as its text:


# %%
def read(index):
    if index == 2:
        raise ValueError("picture 2 is damaged")
    return index


# %%
iterator = iter(DataLoader(Samples(6, read), num_workers=2))
assert [next(iterator).item() for _ in range(2)] == [0, 1]
with expect_error(ValueError, "ValueError: picture 2 is damaged", lines=1):
    next(iterator)

# %% [markdown]
# The words required here stand in the text's last line, the one to read first. And
# the iterator is *not* dead. Catch the error, go on, and one batch is missing without
# a word:

# %%
assert [batch.item() for batch in iterator] == [3, 4, 5]

# %% [markdown]
# **A worker that dies** leaves no traceback at all. This is what a worker ended by
# the system, for want of memory, looks like:


# %%
import signal


def die(index):
    time.sleep(1)
    os.kill(os.getpid(), signal.SIGKILL)


# %%
with expect_error(RuntimeError, "DataLoader worker (pid"):
    next(iter(DataLoader(Samples(1, die), num_workers=1)))

# %% [markdown]
# **A default device.** The loader draws its numbers on torch's default device. We try
# the meta device, which every machine has:

# %%
with torch.device("meta"), expect_error(RuntimeError, "meta tensors"):
    next(iter(DataLoader(range(4), shuffle=True)))
with torch.device("meta"), torch.device("cpu"):
    assert len(list(DataLoader(range(4), shuffle=True))) == 4

# %% [markdown]
# Keep the default on the CPU around a loader, as the second statement does, and move
# the batches.
#
# A last look for survivors, among all children of our process. The first `spawn` left
# one helper of Python's own, which tracks the names of shared memory:

# %%
import psutil

children = psutil.Process().children(recursive=True)
assert all("resource_tracker" in " ".join(child.cmdline()) for child in children)
assert not multiprocessing.active_children()

# %% [markdown]
# ## In practice
#
# Start with 0 workers: errors are readable and small data is fastest. Raise the
# number while the training loop waits for data, up to the cores you have. Every
# worker costs memory: its copies, and the batches that it holds ready. Use
# `persistent_workers` when epochs are short and the dataset does not change. Leave
# moving to the GPU to the loop. Write datasets into files before the first worker.
# Record the number of workers with the seed, for random draws depend on both. Leave a
# loop early? Then drop the iterator.

# %% [markdown]
# ## Summary
#
# - A batch is its samples, fetched one by one or all at once by `__getitems__`, and
#   collated; ragged samples need a `collate_fn` ([rebuilt](#What-is-in-a-batch?)).
# - The order is drawn in the main process from one generator, whatever the number of
#   workers ([seen](#Who-decides-the-order?)).
# - Workers are processes with a copy of the dataset
#   ([counted](#Who-fetches-the-samples?)); they run `prefetch_factor` batches ahead
#   and end with the epoch, or with the loader
#   ([logged](#How-far-ahead-do-the-workers-run?)).
# - Each worker seeds torch, `random` and NumPy; your own generators need
#   `worker_init_fn` ([proved](#Which-random-numbers-does-a-worker-draw?)).
# - A spawned worker imports classes by name, and finds none that live in a notebook
#   ([shown](#How-does-a-worker-start?)).

# %% [markdown]
# ## Exercises
#
# ### Exercise 606.1 · Counting batches
# *predict · ●○○ · 3 minutes*
#
# `loader = DataLoader(range(50), batch_size=8)`. Give three numbers: `len(loader)`,
# the length of the last batch, and how many samples an epoch loses with
# `drop_last=True`.

# %% tags=["exercise"]
answer = ...  # TODO: a tuple of three integers

# %%
exercise("606.1").check(answer)

# %% [markdown]
# ### Exercise 606.2 · The third epoch
# *predict · ●●○ · 6 minutes*
#
# A dataset of four samples keeps a list, as `note` does in the text: fetching a
# sample appends to the list and returns its new length. It is read three times, in
# batches of one: by two forked workers, then by none, then by two again. Which four
# numbers does the third epoch return?

# %% tags=["exercise"]
answer = ...  # TODO: a list of four integers

# %%
exercise("606.2").check(answer)

# %% [markdown]
# ### Exercise 606.3 · Deal and take
# *order · ●●○ · 6 minutes*
#
# One worker, `prefetch_factor=2`, a sampler of four indices, batches of one. Put the
# eight events in order: "deal 0" to "deal 3" when the sampler gives out an index,
# "take 0" to "take 3" when the loop receives a batch.

# %% tags=["exercise"]
answer = ...  # TODO: a list of eight labels

# %%
exercise("606.3").check(answer)

# %% [markdown]
# ### Exercise 606.4 · Sentences of different lengths
# *write · ●●○ · 10 minutes*
#
# Write a `collate_fn` for samples that are 1-D tensors of word numbers. Return two
# tensors of shape `(batch, longest)`: the numbers, filled up with -1 at the end, and
# a boolean mask that is True where there is a word. 0 is a word, and a sentence may
# be empty.


# %% tags=["exercise"]
def collate_sentences(sentences):
    return ...  # TODO: the padded numbers and the mask


# %%
exercise("606.4").check(collate_sentences)

# %% [markdown]
# ### Exercise 606.5 · Loaded dice
# *repair · ●●○ · 8 minutes*
#
# This `worker_init_fn` gives the workers of `OwnDice` different numbers, but every
# epoch repeats the one before. Repair it so that no number comes twice, yet the same
# loader generator gives the same epochs.


# %% tags=["exercise"]
def reseed(worker_id):
    info = get_worker_info()
    info.dataset.rng.manual_seed(worker_id)  # TODO: repair this line


# %%
exercise("606.5").check(reseed)

# %% [markdown]
# ### Exercise 606.6 · Samples in flight
# *measure · ●●● · 10 minutes*
#
# Two workers, `prefetch_factor=3`, batches of four from `range(100)`. Measure with a
# sampler of your own how many indices it has given out when the body of the loop sees
# its first batch.

# %% tags=["exercise"]
answer = ...  # TODO: a number, measured

# %%
exercise("606.6").check(answer)

# %% [markdown]
# ## Next
#
# [602 · Geometric transforms](602_geometric_transforms.ipynb) fills `__getitem__`
# with random work: crops, flips and rotations.
#
# - [torch.utils.data](https://docs.pytorch.org/docs/stable/data.html): the reference,
#   with a section on each topic of this chapter.
# - [Reproducibility](https://docs.pytorch.org/docs/stable/notes/randomness.html):
#   torch's advice on seeds, the loader's among them.
# - [Contexts and start
#   methods](https://docs.python.org/3/library/multiprocessing.html#contexts-and-start-methods):
#   which system starts processes how, and since which Python.
