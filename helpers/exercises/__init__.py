"""Exercises that are checked where they stand: what a reader calls, and how an author declares.

A reader's cells hold ``exercise("103.2").check(answer)``, ``.hint()``, ``.solution()`` and
``progress()``. An author writes ``helpers/exercises/exNNN.py`` with a list ``EXERCISES``. Every
exercise has ``id``, ``name``, ``kind``, two or more ``hints`` and two or more ``wrong`` answers;
``explanation`` (shown above the solution's source), ``right`` (other right answers) and ``skip``
(such as ``no_cuda``) as needed. Import what is slow, such as torchvision, inside the functions.

**write** and **repair**: the answer is a function. It and the ``model`` run on the same ``cases``,
made afresh for each; every difference counts. Compared are, in this order: raised, None, type,
device, dtype, shape, strides, aliasing, gradient, values, input changed. Ask for strides,
aliasing and gradient with ``also={...}``; leave one out with ``ignore={"dtype"}``. Lists and
tuples agree, and so do numbers of any kind (but not True and 1, not a number and a tensor). Give
cases that differ in shape, and transposed, sliced or expanded ones, so that only a right answer
passes::

    def rows_swapped(x):
        return x.flip(0)

    def _swap_in_place(x):
        x[[0, -1]] = x[[-1, 0]]
        return x

    def _columns_swapped(x):
        return x.flip(1)

    Exercise(
        id="103.1",
        name="Upside down",
        kind="write",                       # or "repair": the chapter's starter is a broken program
        model=rows_swapped,                 # written with def: its source is the solution
        cases=lambda: [(torch.arange(6).reshape(2, 3),), (torch.arange(12).reshape(3, 4).T,)],
        also={"aliasing"},
        right=[lambda x: x[list(range(len(x)))[::-1]]],
        wrong=[
            Wrong(_swap_in_place, "Writing into x changes the caller's tensor.", shows="aliasing"),
            Wrong(_columns_swapped, "Dimension 0 counts the rows.", shows="values"),
        ],
        hints=["Which dimension counts the rows?", "torch.flip takes the dimensions to turn."],
        explanation="flip copies, so the input stays as it is.",
        equivalent_mutants={},              # "OLD => NEW" as a failing test names it: the reason
    )

An exercise whose answer is a class has a class as ``model``, and says with
``run=lambda answer, *case: answer(3)(*case)`` how it is used. A ``run`` that does not return what
the answer returns passes a starter's ``...`` on, so that it is seen to be unsolved.

A case's tensors may require a gradient; a list of tuples is deep-copied (strides and sharing
survive), anything that cannot be copied is made by a function. Random numbers are seeded alike for
every case of every program.
A result may hold tensors, numbers, strings, None, modules, numpy arrays and Pillow's pictures, in
lists, tuples and dicts. A function, hook or iterator is not looked into: use it in ``run``.

**predict**: the answer is a value. There is no stored answer: ``key`` runs torch, now. A wrong
answer is a value, or a function of the answer with an ``example`` for which it is true::

    def strides_of_transpose():
        return torch.zeros(2, 3).T.stride()

    Exercise(
        id="103.2", name="Strides, transposed", kind="predict", key=strides_of_transpose,
        wrong=[
            Wrong((3, 1), "These are the strides before: T swaps them."),
            Wrong(lambda answer: len(answer) != 2, "One stride a dimension.", example=(1,)),
        ],
        hints=["T moves no element.", "It swaps sizes and strides."],
    )

Tuples, lists and torch.Size agree, so do 2 and 2.0 and a 0-d tensor, strings in any case, a dtype
and its name, an exception and its name; True and 1 do not. Where the key is a set, order does not
count. Of floats three digits are enough. A
wrong prediction is told where it differs, never what is right: that is what running a cell is for.

**order**: the answer is a list of labels; ``key`` runs the thing and returns the right list. If
several orders are right, ``accepts`` takes the list, runs it, and returns True or one sentence on
what goes wrong. ``labels`` names all that may stand there when some must be left out::

    def firing_order():
        fired = []
        ...                                 # register hooks that append to it, then run the module
        return fired

    Exercise(id="502.1", name="...", kind="order", key=firing_order, labels=["pre", "forward"],
             wrong=[Wrong(["forward", "pre"], "A pre-hook runs before."), ...], hints=[...])

**measure**: the answer is a number (or a dict of numbers); ``key`` measures now, and ``tolerance``
is relative to it (0 where the number is a count)::

    Exercise(id="103.5", name="...", kind="measure", key=bytes_of_the_storage, tolerance=0.01,
             wrong=[Wrong(lambda answer: answer == 6, "These are elements.", example=6), ...],
             hints=[...])

The tests run each declaration in every state: todo (``...``, or a function that returns it), wrong,
error, pass and skipped; each ``wrong`` must get its message and what it ``shows``; mutants of the
model must be caught or be named in ``equivalent_mutants``.
"""

from .declare import ASPECTS, KINDS, Exercise, Wrong, no_cuda

__all__ = ["ASPECTS", "KINDS", "Exercise", "Wrong", "exercise", "no_cuda", "progress"]


def __getattr__(name: str) -> object:
    # What reads and compares answers needs torch; declaring an exercise does not.
    if name == "exercise":
        from .reader import exercise

        return exercise
    if name == "progress":
        from .store import progress

        return progress
    raise AttributeError(f"helpers.exercises has no {name!r}; it has: {', '.join(__all__)}")
