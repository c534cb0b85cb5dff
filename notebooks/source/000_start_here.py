# %% [markdown]
# # 000 · Start here
#
# Every book about code makes promises: this returns a copy, that raises an error. In
# this one you can hold each promise to account, because the sentence and the code that
# proves it stand side by side, and the code runs on your machine. The price is a habit,
# and it takes a quarter of an hour to learn. Can you say what a cell will do before it
# does it?

# %% [markdown]
# **You will be able to**
#
# - run a chapter cell by cell, and tell in which order its cells ran;
# - predict a result, and learn from the difference;
# - read an assertion as the proof of the sentence above it;
# - see which device and which versions you compute with;
# - get out of the three situations in which a chapter goes wrong.
#
# **You need** a little Python. **Time** 15 minutes.

# %% tags=["setup"]
import os

import torch
import torchvision

from helpers import draw, exercise, expect_error, pick_device, progress

device = pick_device()

# %% [markdown]
# You are reading cells. The one above is code: click it and press **Shift+Enter**. (On
# the web nothing runs: `make lab` opens this page on your machine.) The number that
# appears in brackets beside it counts the runs of all cells, so it tells you their
# order. The next cell is now selected: go on like that from top to bottom. The setup
# cell always comes first; it brings in what the chapter needs.

# %% [markdown]
# ## What does a cell give back?
#
# If the last line of a cell has a value, the value appears under it:

# %%
x = torch.arange(6, device=device).reshape(2, 3)
x.tolist()

# %% [markdown]
# A name made in one cell lives on in the kernel, the program behind the page, and every
# cell that you run later sees it:

# %%
doubled = x * 2
assert doubled.tolist() == [[0, 2, 4], [6, 8, 10]]
draw.grid(x, doubled, titles=["x", "x * 2"], caption="Each number of `x`, doubled.")

# %% [markdown]
# Under a picture stands its caption; whoever cannot see the picture gets a description
# instead. What the second line is for, you will read below.

# %% [markdown]
# ## Can you say it before it runs?
#
# Reading code that someone else has run feels like understanding. The test is whether you
# can say the result first. So when a sentence asks you to **predict**, stop, say your
# answer aloud or write it down, and only then press Shift+Enter.
#
# Here is one tensor of three numbers. **Predict** what `a` holds at the end:

# %% tags=["predict"]
a = torch.tensor([1, 2, 3], device=device)
b = a
b += 10
a.tolist()

# %% [markdown]
# If you said `[1, 2, 3]`, good: you have found something to learn, and it cost
# you a second. `b = a` gave the same tensor a second name, and `+=` wrote into it:

# %%
assert b is a
assert a.tolist() == [11, 12, 13]

# %% [markdown]
# Now the sum is written out in full. **Predict** both lists:

# %% tags=["predict"]
a = torch.tensor([1, 2, 3], device=device)
b = a
b = b + 10
a.tolist(), b.tolist()

# %% [markdown]
# `b + 10` made a new tensor, and `b` became its name. `a` still names the old one:

# %%
assert b is not a
assert a.tolist() == [1, 2, 3]

# %% [markdown]
# The third is about cells. Further up, `doubled` was made from `x`, as `x * 2`. Here `x`
# becomes another tensor. **Predict** what `doubled` holds:

# %% tags=["predict"]
x = torch.arange(100, 106, device=device).reshape(2, 3)
doubled.tolist()

# %% [markdown]
# A name holds a result, not the formula that made it. What counts is the order in which
# *you* run cells, not their order on the page. To double the new `x`, you have to run
# `x * 2` once more:

# %%
assert doubled.tolist() == [[0, 2, 4], [6, 8, 10]]
again = x * 2
assert again.tolist() == [[200, 202, 204], [206, 208, 210]]

# %% [markdown]
# ## How do you know that it is true?
#
# Most cells hold a line with `assert`. It is what makes them proofs: it does nothing when
# the statement behind it is true, and stops the cell when it is not. Here is one that
# fails, caught so that it cannot stop the chapter:

# %%
with expect_error(AssertionError, "not equal"):
    assert 0.1 + 0.2 == 0.3, "not equal"

# %% [markdown]
# `expect_error` runs code that must go wrong and prints what Python says last. It is a
# proof too. Should the code one day go well, then that is the error:

# %%
with expect_error(AssertionError, "no longer"), expect_error(ZeroDivisionError, "zero"):
    assert 1 / 1 == 1

# %% [markdown]
# As for the sum: binary fractions cannot hold a tenth exactly, in a tensor as little as
# in Python. So floating-point numbers are compared with a tolerance:

# %%
total = torch.tensor([0.1], dtype=torch.float64, device=device) + 0.2
assert total.item() != 0.3
torch.testing.assert_close(total, torch.full_like(total, 0.3))

# %% [markdown]
# **Rule.** A sentence about PyTorch in this book has a cell near it that asserts it. If
# you doubt one, change the cell and see.
#
# The book grew out of five people's study notes, and "the notes" in a chapter are
# theirs. They are honest, and now and then wrong. Where they are, you read what they
# say, run what torch does, and learn why.

# %% [markdown]
# ## What are you running on?
#
# Each chapter asks once for a device: the graphics card if PyTorch can use one, else the
# processor. You can choose by setting the environment variable `BOOK_DEVICE` to `cpu` or
# `cuda` before you open the book. The chapters are written to show the same on both.

# %%
default = "cuda" if torch.cuda.is_available() else "cpu"
assert device == torch.device(os.environ.get("BOOK_DEVICE") or default)
assert torch.ones(2, 2, device=device).device.type == device.type

# %% [markdown]
# This book needs PyTorch 2.11 or newer, and the torchvision that was made for it. Of two
# that do not match you hear when torchvision is imported: `operator torchvision::nms does
# not exist`. Here it exists, and of two overlapping boxes keeps the one with the better
# score:

# %%
boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 1.9]])
kept = torchvision.ops.nms(boxes, torch.tensor([0.9, 0.8]), iou_threshold=0.5)
assert kept.tolist() == [0]
assert torch.__version__ >= (2, 11)

# %% [markdown]
# The printed results of this book hold nothing that differs between machines, so your
# versions are not among them. Do it yourself: press **Esc**, then **B** for a new cell
# below, type `device, torch.__version__`, and run it.
#
# | Keys | Effect |
# |---|---|
# | Shift+Enter | run the cell and go on |
# | Ctrl+Enter | run the cell and stay |
# | Esc, then A or B | new cell above or below |
# | Esc, then D D | delete the cell (Esc, Z brings it back) |
# | Esc, then 0 0 | restart the kernel |
# | Shift+Tab | help for the name at the cursor |

# %% [markdown]
# ## Where it goes wrong
#
# **The cell above never ran.** You jumped into the middle of a chapter, and a name is
# missing:

# %%
with expect_error(NameError, "is not defined"):
    result_of_a_cell_you_skipped + 1

# %% [markdown]
# Go to the menu *Run* and choose *Run All Above Selected Cell*. To start from a
# clean state, choose *Restart Kernel and Run All Cells* in the menu *Kernel*.
#
# **The cell ran twice.** A line that changes a tensor in place does so each time. The
# loop stands for your second Shift+Enter, and no error tells you:

# %%
total = torch.zeros(2)
for _ in range(2):
    total += 5
assert total.tolist() == [10, 10]

# %% [markdown]
# The symptom is a number that grows with every run. Rerun the cell that
# makes `total` first, or write `total = total_before + 5`, which you may repeat:

# %%
total_before = torch.zeros(2)
for _ in range(2):
    total = total_before + 5
assert total.tolist() == [5, 5]

# %% [markdown]
# **The machine is not what you asked for.** A wrong device name is an error here, never a
# silent change to another device:

# %%
before = os.environ.get("BOOK_DEVICE", "")
os.environ["BOOK_DEVICE"] = "gpu"
with expect_error(ValueError, "use cpu, cuda"):
    pick_device()
os.environ["BOOK_DEVICE"] = before

# %% [markdown]
# When the cause is not in the chapter (a library does not load, the kernel does not
# start), run `make doctor` in a terminal. It checks the whole installation, and names
# for each fault one command that cures it.

# %% [markdown]
# ## In practice
#
# What `make lab` opens is your own copy, in the folder `workbook/`. Write in it as you
# like: remarks, wrong turns, cells of your own. An update of the book never overwrites a
# chapter that you have changed. The chapters can be read in any order, since each names
# what it needs; their first digit is their theme. If you have an error message at hand,
# start with the chapter that it belongs to.

# %% [markdown]
# ## Summary
#
# - A cell's last value appears under it, and names live in the kernel, in the order in
#   which you run ([shown](#What-does-a-cell-give-back?)).
# - A prediction that fails is where learning starts
#   ([three tries](#Can-you-say-it-before-it-runs?)).
# - `assert` proves the sentence above it; `expect_error` proves an error
#   ([shown](#How-do-you-know-that-it-is-true?)).
# - One line picks the device, and torch and torchvision must be a pair
#   ([shown](#What-are-you-running-on?)).
# - A missing name, a cell run twice, a wrong device: each has its cure
#   ([cases](#Where-it-goes-wrong)).

# %% [markdown]
# ## Exercises
#
# An exercise is three cells: the task, your answer, the check. Write your answer where it
# says TODO, run that cell, then the check. For a wrong answer it says what differs first.
# Beside `.check(answer)` there are `.hint()`, which gives one more hint each time, and
# `.solution()`.
#
# ### Exercise 000.1 · Once more, in place
# *predict · ●○○ · 2 minutes*
#
# After `a = torch.tensor([1, 2, 3])`, `b = a`, `a = a + 1` and `b *= 2`, what is
# `(a.tolist(), b.tolist())`?

# %% tags=["exercise"]
answer = ...  # TODO: two lists, as in ([0, 0, 0], [0, 0, 0])

# %%
exercise("000.1").check(answer)

# %% [markdown]
# ### Exercise 000.2 · Your device
# *predict · ●○○ · 3 minutes*
#
# Which type of device does this notebook compute on? Say what you expect of your machine,
# then add a cell below and look at `x.device.type`.

# %% tags=["exercise"]
answer = ...  # TODO: a string, "cpu" or "cuda"

# %%
exercise("000.2").check(answer)

# %% [markdown]
# What you have solved is kept in a small file in your user folder, across chapters and
# restarts. `progress()` lists the whole book; with a number, one chapter:

# %%
progress("000")

# %% [markdown]
# ## Next
#
# [101 · Creating tensors](101_creating_tensors.ipynb) asks each way of making a tensor
# what it decides for you, and carries the first prediction on: which of them share the
# numbers you give them, and which copy?
