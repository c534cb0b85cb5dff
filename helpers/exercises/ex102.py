"""Exercises of chapter 102: dtypes predicted, overflow repaired, arrays taken out of tensors."""

from __future__ import annotations

import torch

from helpers.exercises import Exercise, Wrong


def five_sums():
    i8, i32 = torch.ones(3, dtype=torch.int8), torch.ones(3, dtype=torch.int32)
    f16, s = torch.ones(3, dtype=torch.float16), torch.tensor(1.0, dtype=torch.float64)
    return [str(t.dtype)[6:] for t in (i8 + i32, i32 * f16, f16 + s, i8 * s, i32 / 2)]


def around_the_clock():
    below = torch.tensor([3, 250], dtype=torch.uint8) - 10
    turned = -torch.tensor([-128, 127], dtype=torch.int8)
    return [below.tolist(), turned.tolist()]


def brighter(picture, by):
    return (picture.int() + by).clamp(0, 255).to(torch.uint8)


def _as_floats(picture, by):
    return (picture.float() + by).clamp(0, 255).byte()


def _clamped_too_late(picture, by):
    return (picture + by).clamp(0, 255)


def _never_back(picture, by):
    return (picture.int() + by).clamp(0, 255)


def _clamped_above(picture, by):
    return (picture.int() + by).clamp(max=255).to(torch.uint8)


def _in_int8(picture, by):
    return (picture.to(torch.int8) + by).clamp(0, 255).to(torch.uint8)


def who_waits():
    calls = {
        "a": lambda x: x.T @ x,
        "b": lambda x: x.tolist(),
        "c": lambda x: x.argmax(),
        "d": torch.unique,
        "e": lambda x: x.sort(),
        "f": lambda x: int(x.argmax()),
    }
    waiting = set()
    for letter, call in calls.items():
        try:
            call(torch.empty(4, 4, device="meta"))
        except RuntimeError:  # of which NotImplementedError is one
            waiting.add(letter)
    return waiting


def integers_held():
    integers = torch.arange(65_505)
    held = {}
    for dtype in (torch.float16, torch.bfloat16):
        same = integers.to(dtype).to(torch.int64) == integers
        held[str(dtype)[6:]] = int(same.sum())
    return held


def packed(x):
    for dtype in (torch.uint8, torch.int8, torch.int16, torch.int32):
        limits = torch.iinfo(dtype)
        if limits.min <= x.min() and x.max() <= limits.max:
            return x.to(dtype)
    return x


def _there_and_back(x):
    for dtype in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64):
        if torch.equal(x.to(dtype).to(torch.int64), x):
            return x.to(dtype)
    return x


def _largest_only(x):
    for dtype in (torch.uint8, torch.int8, torch.int16, torch.int32):
        if x.max() <= torch.iinfo(dtype).max:
            return x.to(dtype)
    return x


def _without_the_sign(x):
    for dtype in (torch.uint8, torch.int8, torch.int16, torch.int32):
        if x.abs().max() <= torch.iinfo(dtype).max and (x.min() >= 0 or dtype != torch.uint8):
            return x.to(dtype)
    return x


def _limits_left_out(x):
    for dtype in (torch.uint8, torch.int8, torch.int16, torch.int32):
        limits = torch.iinfo(dtype)
        if limits.min < x.min() and x.max() < limits.max:
            return x.to(dtype)
    return x


def _signed_first(x):
    for dtype in (torch.int8, torch.uint8, torch.int16, torch.int32):
        limits = torch.iinfo(dtype)
        if limits.min <= x.min() and x.max() <= limits.max:
            return x.to(dtype)
    return x


def to_array(x):
    x = x.detach().cpu()
    if x.dtype == torch.bfloat16:
        x = x.float()
    return x.numpy().copy()


def _cloned_first(x):
    widened = x.float() if x.dtype is torch.bfloat16 else x.clone()
    return widened.detach().cpu().numpy()


def _forced(x):
    widened = x.float() if x.dtype is torch.bfloat16 else x
    return widened.numpy(force=True).copy()


def _shared(x):
    x = x.detach().cpu()
    return (x.float() if x.dtype == torch.bfloat16 else x).numpy()


def _everything_float(x):
    return x.detach().cpu().float().numpy().copy()


def _gradient_kept(x):
    x = x.cpu().clone()
    return (x.float() if x.dtype == torch.bfloat16 else x).numpy()


def _no_bfloat(x):
    return x.detach().cpu().clone().numpy()


def _used(answer, x):
    """The array as it came; after that it is written to, as its owner may."""
    import numpy as np

    array = answer(x)
    if not isinstance(array, np.ndarray):
        return array
    kept = array.copy()
    if array.flags.writeable:
        array[...] = 0
    return kept


EXERCISES = [
    Exercise(
        id="102.1",
        name="Five sums",
        kind="predict",
        key=five_sums,
        wrong=[
            Wrong(
                ["int32", "float16", "float64", "float64", "float32"],
                "s has no dimensions, and float16 is a float already: can s raise its category?",
            ),
            Wrong(
                ["int32", "float16", "float16", "float32", "float32"],
                "s raises the category of i8. Whose dtype comes out then: the default one, or "
                "its own?",
            ),
            Wrong(
                ["int32", "float16", "float16", "float16", "float32"],
                "i8 meets s, and in this product there is no float16.",
            ),
            Wrong(
                ["int32", "float32", "float16", "float64", "float32"],
                "Where an integer meets a float, the result is that float, however small.",
            ),
            Wrong(
                ["int32", "float16", "float16", "float64", "int32"],
                "A division with / makes floats out of integers.",
            ),
            Wrong(
                ["int32", "float16", "float16", "float64", "float64"],
                "No float64 takes part in i32 / 2: which float does torch take on its own?",
            ),
        ],
        hints=[
            "First the categories: integer and integer, integer and float, float and float.",
            "s can raise a category, not a size. Two integers divided give the default float.",
        ],
        explanation="Only i8 * s raises a category by a scalar, and takes the scalar's own dtype.",
    ),
    Exercise(
        id="102.2",
        name="Around the clock",
        kind="predict",
        key=around_the_clock,
        wrong=[
            Wrong([[-7, 240], [128, -127]], "Neither -7 is a uint8 nor 128 an int8: they wrap."),
            Wrong([[249, 240], [127, -127]], "Torch does not stop at the end, it goes around."),
            Wrong([[0, 240], [-128, -127]], "Torch does not stop at 0, it goes around."),
            Wrong([[249, 240], [128, -127]], "The first is right. int8 ends at 127: what is 128?"),
            Wrong(
                [[248, 240], [-128, -127]],
                "One less than 0 is 255, the last number of uint8. Count on from there.",
            ),
        ],
        hints=[
            "uint8 has 256 numbers, from 0 to 255. Which of them is 7 below 0?",
            "int8 has as many, from -128 to 127. Where does 128 come to lie?",
        ],
        explanation="Numbers that differ by 256 are one number here. The most negative int8 is "
        "its own opposite.",
    ),
    Exercise(
        id="102.3",
        name="A brighter picture",
        kind="repair",
        model=brighter,
        cases=lambda: [
            (torch.tensor([[10, 100], [200, 250]], dtype=torch.uint8), 20),
            (torch.tensor([[10, 100, 254], [0, 19, 255]], dtype=torch.uint8), -20),
            (torch.arange(240, 256, dtype=torch.uint8).reshape(2, 2, 4).permute(2, 0, 1), 1),
            (torch.arange(0, 8, dtype=torch.uint8).reshape(2, 4), -1),
            (torch.tensor([0, 128, 255], dtype=torch.uint8), 300),
        ],
        right=[_as_floats],
        wrong=[
            Wrong(
                _clamped_too_late,
                "The sum is a uint8, which has wrapped before clamp can see that it is too large.",
                shows="values",
            ),
            Wrong(_never_back, "The numbers are right; the result is to be uint8.", shows="dtype"),
            Wrong(_clamped_above, "Going back to uint8 wraps as well, and below 0 too."),
            Wrong(_in_int8, "int8 ends at 127, where half of the picture does not fit."),
        ],
        hints=[
            "What is 250 + 20 as a uint8? At which point is it too late to stop at 255?",
            "Add in a dtype that has room, stop at 0 and 255 there, and go back.",
        ],
        explanation="Room first, then the limits, then the way back.",
        equivalent_mutants={
            "return (picture.int() + by).clamp(0, 255).to(torch.uint8) => "
            "return (picture.int() + by).clamp_(0, 255).to(torch.uint8)": "The sum is new memory."
        },
    ),
    Exercise(
        id="102.4",
        name="Who waits?",
        kind="predict",
        key=who_waits,
        wrong=[
            Wrong(["b", "f"], "One more has a result whose shape depends on the numbers."),
            Wrong(
                ["b", "c", "d", "f"],
                "argmax gives a tensor without dimensions, and that can stay on the device. Who "
                "takes the number out?",
            ),
            Wrong(
                ["b", "c", "d", "e", "f"],
                "Finding the greatest, or sorting, is work for the device: the shape of the "
                "result is known before.",
            ),
            Wrong(["b", "d"], "int() makes a Python number."),
            Wrong(["d", "f"], "A list holds Python numbers."),
        ],
        hints=[
            "Two questions: does Python get a number, does the shape depend on the numbers?",
            "You can ask torch: call each one with a tensor on meta.",
        ],
        explanation="b and f hand numbers to Python; how many unique numbers there are, d can "
        "only know by looking.",
    ),
    Exercise(
        id="102.5",
        name="One in how many",
        kind="measure",
        key=integers_held,
        tolerance=0,
        wrong=[
            Wrong(
                {"float16": 2049, "bfloat16": 257},
                "These come before the first gap. Behind it every second integer is held, then "
                "every fourth, and so on: count those too.",
            ),
            Wrong(
                lambda answer: answer == {"float16": 65_505, "bfloat16": 65_505},
                "Converting never fails. Convert back, and compare.",
                example={"float16": 65_505, "bfloat16": 65_505},
            ),
            Wrong(
                lambda answer: (
                    isinstance(answer, dict)
                    and answer.get("float16", 0) < answer.get("bfloat16", 0)
                ),
                "The dtype with the longer mantissa holds more of them.",
                example={"float16": 1281, "bfloat16": 7168},
            ),
        ],
        hints=[
            "torch.arange(65_505) holds them all; convert it to float16.",
            "What is held exactly is the same after converting there and back to int64.",
        ],
        explanation="Each doubling of the numbers halves how many are held: 1,024 for each power "
        "of two in float16, 128 in bfloat16.",
    ),
    Exercise(
        id="102.6",
        name="The smallest that fits",
        kind="write",
        model=packed,
        cases=lambda: [
            (torch.tensor([0, 7, 255]),),
            (torch.tensor([[0, 256], [1, 2]]),),
            (torch.tensor([-128, 127]),),
            (torch.tensor([-129, 5]),),
            (torch.tensor([-1, 128]),),
            (torch.tensor([32_767, -3]),),
            (torch.tensor([32_768, -3]),),
            (torch.tensor([-32_768, 0, 1]),),
            (torch.tensor([2**31 - 1, 0]),),
            (torch.tensor([-(2**31), 0]),),
            (torch.tensor([2**31, 0]),),
            (torch.tensor([-1, 256]),),
            (torch.tensor([-(2**31) - 1, 0]),),
            (torch.arange(12).reshape(3, 4).T,),
            (torch.tensor(-7),),
        ],
        right=[_there_and_back],
        wrong=[
            Wrong(
                _largest_only,
                "The least number must fit as well: negative ones wrap in a uint8.",
                shows="dtype",
            ),
            Wrong(
                _without_the_sign,
                "The limits are not symmetric: an int8 holds -128, but not 128.",
                shows="dtype",
            ),
            Wrong(_limits_left_out, "The limits themselves still fit.", shows="dtype"),
            Wrong(_signed_first, "The first that fits, in the order of the task.", shows="dtype"),
        ],
        hints=[
            "torch.iinfo(dtype) knows min and max.",
            "Compare both of them with x.min() and x.max(), for one dtype after the other.",
            "Another way: convert there and back, and see whether the numbers are the same.",
        ],
        explanation="What comes back unchanged from a dtype is what fits into it.",
    ),
    Exercise(
        id="102.7",
        name="An array from any tensor",
        kind="write",
        model=to_array,
        run=_used,
        cases=lambda: [
            (torch.arange(6.0).reshape(2, 3),),
            (torch.tensor([1.5, -2.0], requires_grad=True),),
            (torch.tensor([1.5, -2.0], dtype=torch.bfloat16),),
            (torch.tensor([0.1, 3.0], dtype=torch.float64).expand(3, 2),),
            (torch.tensor([2**53 + 1, 3]),),
            (torch.tensor([True, False]),),
            (torch.tensor([1 + 2j]),),
            (torch.tensor(3, dtype=torch.uint8),),
            (torch.tensor([0.5], dtype=torch.bfloat16, requires_grad=True),),
        ],
        right=[_cloned_first, _forced],
        wrong=[
            Wrong(
                _shared,
                "numpy() shares the memory of a tensor on the CPU: who writes to this array "
                "changes the tensor.",
                shows="changed",
            ),
            Wrong(_everything_float, "Only bfloat16 becomes float32.", shows="dtype"),
            Wrong(_gradient_kept, "A copy still requires grad: which call cuts it off?"),
            Wrong(_no_bfloat, "NumPy has no bfloat16: convert it first."),
        ],
        hints=[
            "Four refusals and traps: the gradient, the device, bfloat16, shared memory.",
            "detach, cpu, and float for a bfloat16, before numpy().",
            "Does numpy() copy? A copy of the array, or of the tensor, is needed.",
        ],
        explanation="Each step does nothing where there is nothing to do, but the copy.",
        equivalent_mutants={
            "x = x.detach().cpu() => x = x.detach()": "The cases are on the CPU, on any machine."
        },
    ),
]
