"""Exercises of chapter 602: sizes, crops in step, and what a random crop leaves of a picture."""

from __future__ import annotations

from itertools import permutations

import torch

from helpers.exercises import Exercise, Wrong


def shape_after_three_steps():
    from torchvision import transforms as T

    f = T.Compose([T.Resize(100), T.CenterCrop((80, 120)), T.Pad((5, 0, 10, 20))])
    return f(torch.zeros(3, 200, 400)).shape


def count_of_crops():
    from torchvision import transforms as T

    padded = T.Pad(4)(torch.zeros(1, 28, 28))
    return len({T.RandomCrop.get_params(padded, (28, 28)) for _ in range(3000)})


def turn_both(picture, mask, limit):
    from torchvision import transforms as T
    from torchvision.transforms import functional as TF

    mode = T.InterpolationMode
    angle = T.RandomRotation.get_params([-limit, limit])
    return TF.rotate(picture, angle, mode.BILINEAR), TF.rotate(mask, angle, fill=255)


def _turn_seeded_back(picture, mask, limit):
    from torchvision import transforms as T

    before = torch.get_rng_state()
    turned = T.RandomRotation(limit, T.InterpolationMode.BILINEAR)(picture)
    torch.set_rng_state(before)
    return turned, T.RandomRotation(limit, fill=255)(mask)


def _turn_with_v2(picture, mask, limit):
    from torchvision import transforms as T
    from torchvision import tv_tensors
    from torchvision.transforms import v2

    fill = {tv_tensors.Image: 0, tv_tensors.Mask: 255}
    turn = v2.RandomRotation(limit, T.InterpolationMode.BILINEAR, fill=fill)
    both = turn(tv_tensors.Image(picture), tv_tensors.Mask(mask))
    return tuple(one.as_subclass(torch.Tensor) for one in both)


def _turn_twice(picture, mask, limit):
    from torchvision import transforms as T

    turn = T.RandomRotation(limit, T.InterpolationMode.BILINEAR)
    return turn(picture), turn(mask)


def _turn_mixing_classes(picture, mask, limit):
    from torchvision import transforms as T
    from torchvision.transforms import functional as TF

    mode = T.InterpolationMode.BILINEAR
    angle = T.RandomRotation.get_params([-limit, limit])
    return TF.rotate(picture, angle, mode), TF.rotate(mask, angle, mode, fill=255)


def _turn_both_blocky(picture, mask, limit):
    from torchvision import transforms as T
    from torchvision.transforms import functional as TF

    angle = T.RandomRotation.get_params([-limit, limit])
    return TF.rotate(picture, angle), TF.rotate(mask, angle, fill=255)


def _turn_without_fill(picture, mask, limit):
    from torchvision import transforms as T
    from torchvision.transforms import functional as TF

    angle = T.RandomRotation.get_params([-limit, limit])
    return TF.rotate(picture, angle, T.InterpolationMode.BILINEAR), TF.rotate(mask, angle)


def _turn_one_way_only(picture, mask, limit):
    from torchvision import transforms as T
    from torchvision.transforms import functional as TF

    angle = T.RandomRotation.get_params([0, limit])
    turned = TF.rotate(picture, angle, T.InterpolationMode.BILINEAR)
    return turned, TF.rotate(mask, angle, fill=255)


def order_without_black():
    from torchvision import transforms as T

    step = {
        "crop": T.CenterCrop(200),
        "pad": T.Pad(120, padding_mode="reflect"),
        "shrink": T.Resize(100),
        "turn": T.RandomRotation((30, 30)),
    }
    for order in permutations(step):
        try:
            result = T.Compose([step[name] for name in order])(torch.ones(1, 240, 240))
        except RuntimeError:
            continue  # a mirror cannot be wider than the picture
        if result.shape[1:] == (100, 100) and result.min() > 0.99:
            return list(order)
    return None


def letterbox(picture, size):
    from torchvision.transforms import functional as TF

    height, width = picture.shape[1:]
    scale = size / max(picture.shape[1:])
    inside = TF.resize(picture, [round(height * scale), round(width * scale)])
    return TF.center_crop(inside, [size, size])


def _letterbox_padded(picture, size):
    from torchvision import transforms as T

    _, height, width = picture.shape
    longer = max(height, width)
    inside = T.Resize((height * size // longer, width * size // longer))(picture)
    down, across = size - inside.shape[1], size - inside.shape[2]
    return T.Pad((across // 2, down // 2, across - across // 2, down - down // 2))(inside)


def _letterbox_squashed(picture, size):
    from torchvision import transforms as T

    return T.Resize((size, size))(picture)


def _letterbox_cut(picture, size):
    from torchvision import transforms as T

    return T.CenterCrop(size)(T.Resize(size)(picture))


def _letterbox_extra_first(picture, size):
    from torchvision import transforms as T

    _, height, width = picture.shape
    longer = max(height, width)
    inside = T.Resize((height * size // longer, width * size // longer))(picture)
    down, across = size - inside.shape[1], size - inside.shape[2]
    return T.Pad((across - across // 2, down - down // 2, across // 2, down // 2))(inside)


def _letterbox_not_padded(picture, size):
    from torchvision import transforms as T

    _, height, width = picture.shape
    longer = max(height, width)
    return T.Resize((height * size // longer, width * size // longer))(picture)


def mean_share():
    from torchvision import transforms as T

    crop, banner = T.RandomResizedCrop(224), torch.zeros(1, 100, 300)
    boxes = [crop.get_params(banner, crop.scale, crop.ratio) for _ in range(4000)]
    return sum(height * width for _, _, height, width in boxes) / len(boxes) / banner.numel()


def _ramp(*shape):
    return torch.arange(torch.Size(shape).numel(), dtype=torch.float32).reshape(shape)


def _pairs():
    # The pictures end in a row of zeros, so that fill=0 and no fill agree (bilinear, they
    # differ where a pixel is half outside).
    sides = [((12, 20), 30), ((40, 30), 90), ((25, 60), 160)]
    return [
        (
            torch.nn.functional.pad(_ramp(3, height, width) + 1, (1, 1, 1, 1)),
            (_ramp(1, height + 2, width + 2) % 7 * 20).to(torch.uint8),
            limit,
        )
        for (height, width), limit in sides
    ]


def _letters():
    return [
        (_ramp(1, 3, 6), 6),
        (_ramp(1, 8, 4), 6),
        (_ramp(1, 12, 20), 5),
        (_ramp(3, 10, 20), 14),
        (_ramp(3, 32, 8), 12),
        (_ramp(9, 3, 6), 12),
    ]


EXERCISES = [
    Exercise(
        id="602.1",
        name="Three steps",
        kind="predict",
        key=shape_after_three_steps,
        wrong=[
            Wrong((3, 135, 100), "You gave the width first; a shape ends with height, width."),
            Wrong((3, 80, 120), "The padding is still to come."),
            Wrong((3, 95, 140), "Pad counts left, top, right, bottom."),
            Wrong((3, 100, 130), "Four numbers pad four sides: left 5 and right 10."),
        ],
        hints=[
            "After Resize(100) the picture is 100 by 200; after the crop, 80 by 120.",
            "Left 5 and right 10 go to the width, top 0 and bottom 20 to the height.",
        ],
        explanation="The short side becomes 100, the crop is 80 by 120, and each side is padded.",
    ),
    Exercise(
        id="602.2",
        name="How many crops?",
        kind="predict",
        key=count_of_crops,
        wrong=[
            Wrong(64, "Eight steps of one pixel have nine positions."),
            Wrong(9, "There are that many rows to begin at, and as many columns."),
            Wrong(25, "The padding is on both sides: the padded side is 36."),
            Wrong(1, "The padding comes before the crop."),
            Wrong(784, "Not every pixel can be the upper left corner of a whole crop."),
        ],
        hints=[
            "With the padding the picture is 36 by 36.",
            "The first row of a crop may be 0 to 36 - 28; the columns are drawn apart from it.",
        ],
        explanation="Nine rows times nine columns to begin at.",
    ),
    Exercise(
        id="602.3",
        name="Turn the mask too",
        kind="repair",
        model=turn_both,
        cases=_pairs,
        right=[_turn_seeded_back, _turn_with_v2],
        wrong=[
            Wrong(
                _turn_twice,
                "Each call draws anew, the mask's classes are mixed, and its corners are 0.",
                shows="values",
            ),
            Wrong(
                _turn_mixing_classes,
                "The angle is shared now, but BILINEAR mixes class numbers into new ones.",
                shows="values",
            ),
            Wrong(
                _turn_both_blocky,
                "The mask is right; the picture was to be turned with BILINEAR.",
                shows="values",
            ),
            Wrong(
                _turn_without_fill,
                "The mask's empty corners are 0 now, as if class 0 had been seen there.",
                shows="values",
            ),
            Wrong(
                _turn_one_way_only,
                "At most limit degrees either way: the range begins at -limit.",
                shows="values",
            ),
        ],
        hints=[
            "One shared angle mends one fault of three. What else does the mask need?",
            "T.RandomRotation.get_params([-limit, limit]) draws one angle; TF.rotate uses it.",
            "TF.rotate takes interpolation, NEAREST by default, and fill.",
        ],
        explanation="Share the angle; mode and fill are for picture and mask apart.",
    ),
    Exercise(
        id="602.4",
        name="No black corners",
        kind="order",
        key=order_without_black,
        wrong=[
            Wrong(
                ["turn", "pad", "crop", "shrink"],
                "The turn has made black corners before there is anything to fill them.",
            ),
            Wrong(
                ["pad", "turn", "shrink", "crop"],
                "CenterCrop(200) of a picture of 100 adds a black frame.",
            ),
            Wrong(
                ["pad", "crop", "turn", "shrink"],
                "The crop throws the reflected margin away before the turn needs it.",
            ),
            Wrong(
                ["shrink", "pad", "turn", "crop"],
                "A mirror of 120 pixels needs a picture of more than 120.",
            ),
            Wrong(
                ["crop", "pad", "turn", "shrink"],
                "Nothing cuts the corners off that the turn leaves black.",
            ),
        ],
        hints=[
            "Corners turn in from outside: there must be something outside.",
            "The black corners of the large picture must be cut off before the size is final.",
        ],
        explanation="The mirrored margin fills what the turn uncovers; the crop removes the rest.",
    ),
    Exercise(
        id="602.5",
        name="Letterbox",
        kind="write",
        model=letterbox,
        cases=_letters,
        right=[_letterbox_padded],
        wrong=[
            Wrong(
                _letterbox_squashed,
                "Two numbers force height and width: the ratio is lost.",
                shows="values",
            ),
            Wrong(
                _letterbox_cut,
                "Resize with one number fits the short side; then the long side is cut off.",
                shows="values",
            ),
            Wrong(
                _letterbox_extra_first,
                "Where the number of zeros is odd, the extra one goes to the bottom or right.",
                shows="values",
            ),
            Wrong(_letterbox_not_padded, "The padding to a square is missing.", shows="shape"),
        ],
        hints=[
            "The factor is size / max(height, width), for both sides.",
            "Which crop pads with zeros when the picture is too small?",
            "TF.center_crop(resized, [size, size]) puts the odd zero at the bottom or right.",
        ],
        explanation="center_crop of a picture that is too small pads it, in the middle.",
    ),
    Exercise(
        id="602.6",
        name="What is left of a banner",
        kind="measure",
        key=mean_share,
        tolerance=0.05,
        wrong=[
            Wrong(0.54, "That is the middle of the range asked for; here large boxes do not fit."),
            Wrong(lambda answer: answer > 1, "Divide by the picture's area.", example=6750),
            Wrong(
                lambda answer: 0.42 < answer < 0.46,
                "That is the largest share; the mean is asked for.",
                example=0.44,
            ),
        ],
        hints=[
            "T.RandomResizedCrop.get_params(banner, (0.08, 1.0), (3 / 4, 4 / 3)) returns "
            "top, left, height, width.",
            "Add up height * width over the draws; divide by their number and by 100 * 300.",
        ],
        explanation="A box no wider than 4:3 can cover at most 44 % of a picture of 3:1.",
    ),
]
