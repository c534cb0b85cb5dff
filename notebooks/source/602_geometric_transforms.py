# %% [markdown]
# # 602 · Geometric transforms
#
# A network that has met cups only upright and in the middle of the frame may have learned
# the frame along with the cup. So training code crops, turns and warps every picture at
# random (data augmentation, 数据增强), in a line or two copied from project to project.
# What do the numbers in those lines mean, and which part of your pictures does the
# network never get to see?

# %% [markdown]
# **You will be able to**
#
# - predict the size that a chain of resize, crop and pad returns;
# - choose interpolation and antialiasing, and recognise the damage without them;
# - read what a random transform draws with `get_params`, see its whole range, and
#   repeat a draw from a seed;
# - state the unit, direction and range of each argument of a rotation or an affine map;
# - keep a picture in step with its mask and its label.
#
# **You need** [103](103_storage_and_views.ipynb) for shapes. **Time** 60 minutes.

# %% tags=["setup"]
import torch
from torchvision import transforms as T
from torchvision.transforms import functional as TF

from helpers import canvas, draw, exercise, expect_error, pick_device, show

device = pick_device()

# %% [markdown]
# ## What goes in, and what comes out?
#
# Four photographs serve us. A PIL picture states its size as width, height:

# %%
from helpers import load_picture

cat, coffee = load_picture("cat"), load_picture("coffee")
astronaut, bricks = load_picture("astronaut"), load_picture("bricks")
cat.size

# %% [markdown]
# Transforms live in torchvision; one note looks for them in `torch.transforms`, which
# does not exist. `Compose` takes a list, as the notes say, and runs it in order:

# %% tags=["claim:C312", "claim:C502"]
steps = [T.Resize(64), T.CenterCrop(40)]
assert not hasattr(torch, "transforms")
assert T.Compose(steps)(cat).size == (40, 40)
assert T.Compose(steps[::-1])(cat).size == (64, 64)

# %% [markdown]
# A transform is built first and called later. The notes liken `Compose` to
# `nn.Sequential`, and rightly: our transforms are modules, so either can hold them.

# %% tags=["claim:C316"]
assert all(isinstance(step, torch.nn.Module) for step in steps)
assert torch.nn.Sequential(*steps)(cat) == T.Compose(steps)(cat)

# %% [markdown]
# To see what a random pipeline makes of one picture, we call it several times from a
# seed. `fork_rng` puts torch's generator back to where it was:


# %%
def draws(f, count, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return [f() for _ in range(count)]


# %%
parts = [T.RandomResizedCrop(112), T.RandomHorizontalFlip(), T.RandomRotation(15)]
pipeline = T.Compose(parts)
draw.pictures(
    [coffee, *draws(lambda: pipeline(coffee), 5)],
    "One photograph (left), and five training pictures made from it.",
    "A cup of coffee, and five square variants: closer, mirrored, slightly turned.",
    columns=6,
    width=5.4,
)

# %% [markdown]
# In the fourth picture hardly any cup is left, though the label still says cup. The
# sections below explain what is to be seen here: the blocks along the edges, the black
# corners, the lost cup.
#
# Pictures or tensors? The notes list `Scale` and `Pad` for PIL pictures, `Normalize`
# for tensors. That is still so for `Normalize`; the transforms of this chapter take
# both, and a tensor stays on its device:

# %% tags=["claim:C315"]
x = TF.pil_to_tensor(coffee).to(device)
for f in (T.Pad(9), T.Resize(64), T.CenterCrop(90), T.RandomVerticalFlip()):
    width, height = f(coffee).size
    assert f(x).shape == (3, height, width) and f(x).device == x.device
with expect_error(TypeError, "should be Tensor Image"):
    T.Normalize(0.5, 0.5)(coffee)

# %% [markdown]
# Mind the order: a PIL size is width, height; a shape ends in height, width.
#
# A long list in the notes of what the module holds is right but for one entry, adding
# noise. That came with `torchvision.transforms.v2`, the newer module, which has every
# class of the old one and more:

# %% tags=["claim:C471"]
from torchvision.transforms import v2

listed = "CenterCrop Normalize Resize RandomCrop RandomRotation RandomVerticalFlip Pad"
listed += " Grayscale LinearTransformation RandomAffine ColorJitter"
classes = [name for name in dir(T) if isinstance(getattr(T, name), type)]
assert set(listed.split()) <= set(classes)
assert all(hasattr(v2, name) for name in classes)
assert hasattr(v2, "GaussianNoise") and not hasattr(T, "GaussianNoise")

# %% [markdown]
# ## Which side does Resize measure?
#
# Resizing (缩放) with one number, `Resize(120)`: is that the width, the height, the long
# side or the short one? In many recipes `CenterCrop(120)` follows, and finds a full
# square in any picture. **Predict** the size of the cat, which was 320 wide and 213 high:

# %% tags=["predict"]
T.Resize(120)(cat).size

# %% [markdown]
# One number is for the short side, and the ratio stays; a pair is height and width, and
# is forced:

# %% tags=["claim:C320"]
assert T.Resize(120)(cat).size == (120 * 320 // 213, 120)
assert T.Resize((120, 200))(cat).size == (200, 120)

# %% [markdown]
# For a tall picture the notes promise (size × height / width, size), from `Scale`. That
# is right in height and width; only the name is gone:

# %% tags=["claim:C313", "claim:C321"]
tall = T.Resize(120)(TF.pil_to_tensor(astronaut))
assert tall.shape[1:] == (120 * 320 / 240, 120)
with expect_error(AttributeError, "no attribute 'Scale'"):
    T.Scale(120)

# %%
squash, fit = T.Resize((120, 120)), T.Compose([T.Resize(120), T.CenterCrop(120)])
draw.pictures(
    [astronaut, squash(astronaut), T.Resize(120)(astronaut), fit(astronaut)],
    "In one scale: to make a square, either the proportions go or the edges do.",
    "An astronaut: original; squashed to a square; half as large; cropped to a square.",
    titles=["original", "Resize((120, 120))", "Resize(120)", "then CenterCrop"],
    width=5.2,
    same_scale=True,
)

# %% [markdown]
# Where do new pixels come from when a picture grows? From interpolation (插值) between
# the old ones. The notes name PIL's constants. These still work, but the documented
# names are torchvision's own:

# %% tags=["claim:C483"]
from PIL import Image

M = T.InterpolationMode
eye = TF.crop(cat, top=62, left=92, height=40, width=60)
grown = [T.Resize(160, mode)(eye) for mode in (M.NEAREST, M.BILINEAR, M.BICUBIC)]
assert T.Resize(160, Image.BICUBIC)(eye) == grown[2]

# %%
draw.pictures(
    grown,
    "Four times larger, in three modes of interpolation.",
    "A cat's eye enlarged three times: in blocks, smooth, and smooth but crisper.",
    titles=["NEAREST", "BILINEAR", "BICUBIC"],
    width=4.6,
)

# %% [markdown]
# `NEAREST` copies pixels and invents no colour, which makes it the mode for masks that
# hold class numbers:


# %%
def colours(picture):
    return {colour for _, colour in picture.getcolors(picture.width * picture.height)}


near, mixed, cubic = (colours(picture) for picture in grown)
assert near <= colours(eye)
assert not mixed <= colours(eye) and not cubic <= colours(eye)

# %% [markdown]
# Shrinking asks the opposite question: which pixels may be ignored? Without
# antialiasing (抗锯齿), a new pixel looks only at the old ones next to its center. Take
# 36 columns, black and white in turn, and resize to 12. **Predict** a row of the result:

# %% tags=["predict"]
stripes = torch.tensor([0, 255] * 18, dtype=torch.uint8).expand(1, 12, 36)
coarse = T.Resize((12, 12), antialias=False)(stripes)
coarse[0, 0].tolist()

# %% [markdown]
# Six stripes, crisp and white, that nobody painted: every third column was read, the
# others ignored. This is aliasing (混叠). With `antialias=True`, the default, every old
# column counts, and what is too fine to draw turns grey:

# %%
assert torch.equal(coarse, stripes[:, :, 1::3])
smooth = T.Resize((12, 12))(stripes)
assert smooth.min() > 100 and smooth.max() < 150

# %% [markdown]
# That choice exists for tensors only. Unless the mode is `NEAREST`, a PIL picture is
# always smoothed, and asking otherwise earns a warning:

# %%
from helpers import expect_warning

with expect_warning(UserWarning, "always applied for PIL"):
    assert T.Resize(40, antialias=False)(bricks) == T.Resize(40)(bricks)
printed = TF.to_pil_image(stripes)
assert T.Resize((12, 12))(printed).getextrema()[1] < 160
assert T.Resize((12, 12), M.NEAREST)(printed).getextrema() == (0, 255)

# %%
wall = TF.pil_to_tensor(bricks)
draw.pictures(
    [T.Resize(40, antialias=False)(wall), T.Resize(40)(wall)],
    "A brick wall at an eighth of its size, without and with antialiasing.",
    "Left: the joints break up into bright dots. Right: they fade evenly to grey.",
    titles=["antialias=False", "antialias=True"],
    width=4.5,
)

# %% [markdown]
# **Rule.** One number keeps the ratio, a pair forces it; shrink with antialiasing, and
# masks with `NEAREST`.

# %% [markdown]
# ## Where does the crop fall?
#
# To crop (裁剪), name a height and a width, or one number for a square:

# %% tags=["claim:C322"]
for crop in (T.CenterCrop, T.RandomCrop):
    assert crop(128)(cat).size == (128, 128)
    assert crop((100, 200))(cat).size == (200, 100)

# %% [markdown]
# The two are alike until the picture is too small. Then one of them raises. **Predict**
# which, and what the other makes of two by two ones:


# %% tags=["predict"]
def outcome(f, picture):
    try:
        return f(picture).tolist()
    except Exception as error:
        return type(error).__name__


tiny = torch.ones(1, 2, 2)
{f.__name__: outcome(f(4), tiny) for f in (T.CenterCrop, T.RandomCrop)}

# %% [markdown]
# `CenterCrop` fills up with zeros, as the notes say, and never tells:

# %% tags=["claim:C474"]
framed = T.CenterCrop(4)(tiny)
assert framed.sum() == 4 and framed[0, 1:3, 1:3].all()
with expect_error(ValueError, "larger than input image size"):
    T.RandomCrop(4)(tiny)

# %% [markdown]
# `RandomCrop` pads (填充) on request. The notes spell that `pad_if_need`, and give it to
# `Pad` as well:

# %% tags=["claim:C476", "claim:C479"]
with expect_error(TypeError, "'pad_if_need'"):
    T.RandomCrop(4, pad_if_need=True)
with expect_error(TypeError, "'pad_if_needed'"):
    T.Pad(4, pad_if_needed=True)
assert T.RandomCrop(4, pad_if_needed=True)(tiny).shape == (1, 4, 4)
assert T.RandomCrop(4, padding=1)(tiny).shape == (1, 4, 4)

# %% [markdown]
# It ends in *ed*, and `Pad` has none. The last line shows that padding comes before
# cropping, where the notes are right: the other way round would have raised. `Pad`
# itself counts left, top, right, bottom:

# %% tags=["claim:C475"]
assert T.Pad(1)(tiny).shape == (1, 4, 4)
assert T.Pad((1, 5))(tiny).shape == (1, 12, 4)
padded = T.Pad((1, 2, 3, 4))(tiny)
assert padded.shape == (1, 2 + 2 + 4, 1 + 2 + 3) and padded[0, 2, 1] == 1

# %% [markdown]
# And with what? The notes know the modes `constant` and `edge`. There are two more:

# %% tags=["claim:C477"]
modes = ("constant", "edge", "reflect", "symmetric")
row = torch.tensor([[[1, 2, 3]]])
rims = {mode: T.Pad((2, 0), padding_mode=mode)(row)[0, 0].tolist() for mode in modes}
assert rims["reflect"] != rims["symmetric"]
rims

# %% [markdown]
# `reflect` does not repeat the edge pixel, `symmetric` does. A constant may be a
# colour, as they say; but not for a tensor:

# %% tags=["claim:C478"]
cup = T.Resize(107)(coffee)  # half as large, for the drawings
blue = T.Pad(45, fill=(0, 114, 178))
assert blue(cup).getpixel((0, 0)) == (0, 114, 178)
with expect_error(TypeError, "inappropriate fill"):
    blue(x)
edge, mirror = [T.Pad(45, padding_mode=mode)(cup) for mode in modes[1:3]]
assert edge.getpixel((0, 0)) == cup.getpixel((0, 0))

# %%
draw.pictures(
    [blue(cup), edge, mirror],
    "45 pixels on every side: a colour, the edge pixel, or a mirror.",
    "A cup of coffee with a blue frame, with streaked edges, and mirrored.",
    titles=modes[:3],
    width=4.8,
)

# %% [markdown]
# Now the random part. Crops, turns and warps draw their numbers in `get_params`, then
# call a plain function with them. For a crop these are top, left, height, width. One
# seed, one crop:

# %%
box = draws(lambda: T.RandomCrop.get_params(cat, (128, 128)), 1)[0]
assert draws(lambda: T.RandomCrop(128)(cat), 1)[0] == TF.crop(cat, *box)

# %% [markdown]
# The seed is torch's global one, since no transform here takes a generator. (But
# `RandomChoice` and `RandomOrder` leave torch's generator untouched: they ask Python's
# `random`, and `torch.manual_seed` does not repeat them.) The numbers are made on the
# default device; on one that holds no values, drawing fails:

# %%
import inspect

chancy = [getattr(T, name) for name in classes if name.startswith("Random")]
assert not any("generator" in inspect.signature(c).parameters for c in chancy)
state = torch.get_rng_state()
for chance in (T.RandomChoice, T.RandomOrder):
    chance([T.Pad(1), T.Pad(2)])(tiny)
assert torch.equal(torch.get_rng_state(), state)
with torch.device("meta"), expect_error(RuntimeError, "meta"):
    T.RandomCrop.get_params(cat, (128, 128))

# %% [markdown]
# So this chapter leaves the default device alone. Then a crop is the same wherever the
# picture lies:

# %%
here = draws(lambda: T.RandomCrop(99)(x), 1)[0]
assert torch.equal(here.cpu(), draws(lambda: T.RandomCrop(99)(x.cpu()), 1)[0])

# %% [markdown]
# A picture shows one sample; the range shows in 2,000. We count how often each pixel is
# inside the crop. **Predict** its share of the crops for every fortieth pixel of the
# middle row, from the left edge on:

# %% tags=["predict"]
boxes = draws(lambda: T.RandomCrop.get_params(cat, (128, 128)), 2000)
seen = torch.zeros(213, 320)
for i, j, h, w in boxes:
    seen[i : i + h, j : j + w] += 1 / 2000
[round(share, 1) for share in seen[106, ::40].tolist()]

# %% [markdown]
# Every position is as likely as any other, but not every pixel:

# %%
top, left = torch.tensor(boxes).T[:2]
assert (top.min(), top.max()) == (0, 213 - 128)
assert (left.min(), left.max()) == (0, 320 - 128)
assert abs(seen[106, 160] - 128 / 193) < 0.04 and seen[0, 0] < 0.002

# %%
figure, (a, b) = canvas(7, 2.3, cols=2)
a.plot(left, top, ".", ms=1.5)
a.set_title("upper left corners of 2,000 crops")
bands = b.contourf(seen, torch.arange(8) / 10, cmap="cividis")
for ax in (a, b):
    ax.set(xlim=(0, 320), ylim=(213, 0), aspect="equal")
figure.colorbar(bands, ax=b)
b.set_title("share of crops that see a pixel")
show(
    figure,
    "`RandomCrop(128)`: uniform positions, and a middle seen far more than the edges.",
    "Dots fill the upper left of a frame of 320 by 213; crops see the middle most.",
)

# %% [markdown]
# The middle is in two crops of three (128 of 193 columns to begin at), a corner in one of
# 86 × 193 = 16,598. What lies at the edges of your pictures is hardly ever trained on.
#
# **Rule.** Positions are uniform, attention is not. Draw it before you choose a size.

# %% [markdown]
# ## How much does a random crop show?
#
# `RandomResizedCrop` draws a share of the area (`scale`) and a ratio of width to
# height, cuts such a box and resizes it. The signature in the notes is old in two
# spots: the default mode has a name now (their 2 still works), and `antialias` was
# added:

# %% tags=["claim:C480"]
parameters = inspect.signature(T.RandomResizedCrop).parameters
assert parameters["interpolation"].default is M.BILINEAR
assert parameters["antialias"].default is True
assert T.RandomResizedCrop(4, interpolation=2).interpolation is M.BILINEAR
assert parameters["ratio"].default == (3 / 4, 4 / 3)
parameters["scale"].default

# %% [markdown]
# Are these the ranges? On a square picture, yes:


# %% tags=["claim:C481"]
def boxes_of(picture, scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3)):
    get = T.RandomResizedCrop.get_params
    return torch.tensor(draws(lambda: get(picture, scale, ratio), 2000)).T


*_, h, w = boxes_of(torch.zeros(1, 100, 100))
assert 700 < (h * w).min() < 900 and 9900 < (h * w).max() <= 10_000
assert 0.72 < (w / h).min() < 0.77 and 1.3 < (w / h).max() < 1.37

# %% [markdown]
# The ratio is drawn on a log scale, so that lying boxes are as frequent as upright
# ones:

# %%
assert abs((w > h).float().mean() - (w < h).float().mean()) < 0.05

# %% [markdown]
# With `scale=(0.5, 1.0)`, the notes say, a crop of a 100 by 100 picture has an area of
# 5,000 to 10,000. Nearly: sides are whole pixels, so an area can fall short by a
# rounding:

# %% tags=["claim:C323"]
*_, h, w = boxes_of(torch.zeros(1, 100, 100), scale=(0.5, 1.0))
assert 4900 < (h * w).min() < 5000 and 9900 < (h * w).max() <= 10_000

# %% [markdown]
# Now the cat, 320 by 213. **Predict** the largest share of it that the default ever
# shows:

# %% tags=["predict"]
i, j, h, w = found = boxes_of(cat)
share, ratio = h * w / (213 * 320), w / h
f"{share.max():.0%}"

# %% [markdown]
# Never more than 89 %: the cat is wider than 4:3, and the widest box allowed is 284 by
# 213. Boxes that do not fit are drawn again, so large ones are rare and the mean is not
# 54 % but under 42 %:

# %%
assert 0.85 < share.max() <= 284 / 320 < 0.89 and share.mean() < 0.42

# %%
figure, (a, b, c) = canvas(6.2, 1.9, cols=3, width_ratios=[1.2, 1, 1])
a.imshow(cat)
for i, j, h, w in found.T[:25].tolist():
    a.plot([j, j + w, j + w, j, j], [i, i, i + h, i + h, i], color="white", lw=0.8)
a.set_title("25 boxes")
b.hist(share, bins=23, range=(0.08, 1))
b.set_title("share of area")
c.hist(ratio, bins=20, color="#009e73")
c.set_title("width / height")
show(
    figure,
    "`RandomResizedCrop` on the cat: some boxes, and how 2,000 are distributed.",
    "Boxes over a cat. Shares thin out from 0.5 to 0.89; ratios fill 0.75 to 1.33.",
)

# %% [markdown]
# What if no box fits? For a panorama, 20 high and 400 wide, the notes' bound on the area
# is gone, and the crop is the same every time. **Predict** its top, left, height, width:

# %% tags=["predict"]
panorama = torch.zeros(1, 20, 400)
always = boxes_of(panorama, scale=(0.5, 1.0)).T
always.unique(dim=0).tolist()

# %% [markdown]
# It is as high as the picture, as wide as 4:3 allows, and lies in the middle:

# %% tags=["claim:C323"]
assert always.unique(dim=0).tolist() == [[0, 186, 20, 27]]
assert round(20 * 4 / 3) == 27 and (400 - 27) // 2 == 186
20 * 27 / (20 * 400)

# %% [markdown]
# It took ten tries at two random numbers each: the next number is the twenty-first.

# %%
get = T.RandomResizedCrop.get_params
tries = draws(lambda: (get(panorama, (0.5, 1.0), (3 / 4, 4 / 3)), torch.rand(1)), 1)
plain = draws(lambda: torch.rand(1), 21)
assert tries[0][1] == plain[20]

# %% [markdown]
# So we have a random crop that never moves, and 7 % where at least half was asked for.
# Last, the notes keep interpolation for crops smaller than `size`. But every crop is
# resized, up or down, in the mode that you choose. One box, two sizes:

# %% tags=["claim:C482"]
cut = TF.crop(cat, *draws(lambda: get(cat, (0.08, 1.0), (3 / 4, 4 / 3)), 1)[0])
for size in (8, 400):
    soft, rough = [TF.resize(cut, [size] * 2, m) for m in (M.BILINEAR, M.NEAREST)]
    crop = T.RandomResizedCrop(size, interpolation=M.BILINEAR)
    assert draws(lambda f=crop: f(cat), 1)[0] == soft != rough
cut.size

# %% [markdown]
# **Rule.** `scale` and `ratio` are wishes; the shape of the picture decides. Check
# `get_params` on your own sizes.

# %% [markdown]
# ## What turns, and about which point?
#
# A flip (翻转) comes with the probability that you give, or one half:

# %% tags=["claim:C484"]
square = torch.tensor([[[1, 2], [3, 4]]])
assert T.RandomHorizontalFlip(p=1)(square).tolist() == [[[2, 1], [4, 3]]]
assert T.RandomVerticalFlip(p=1)(square).tolist() == [[[3, 4], [1, 2]]]
fifth = draws(lambda: T.RandomVerticalFlip(0.2)(square)[0, 0, 0] == 3, 2000)
assert abs(sum(fifth) / 2000 - 0.2) < 0.03

# %% tags=["claim:C324"]
half = draws(lambda: T.RandomHorizontalFlip()(square)[0, 0, 0] == 2, 2000)
assert T.RandomHorizontalFlip().p == 0.5 and abs(sum(half) / 2000 - 0.5) < 0.03

# %% [markdown]
# For rotation (旋转) the notes give an old signature: `resample` is now `interpolation`,
# and `fill` is 0:

# %% tags=["claim:C325"]
with expect_error(TypeError, "'resample'"):
    T.RandomRotation(10, resample=False)
assert T.RandomRotation(10).fill == 0

# %% [markdown]
# They are right about the angle: one number means plus or minus, a pair is the range
# itself.

# %% tags=["claim:C485"]
near, far = T.RandomRotation(10).degrees, T.RandomRotation((30, 60)).degrees
assert (near, far) == ([-10, 10], [30, 60])
first = draws(lambda: T.RandomRotation.get_params(near), 2000)
second = draws(lambda: T.RandomRotation.get_params(far), 2000)
assert -10 <= min(first) < -9.9 and 9.9 < max(first) <= 10
assert 30 <= min(second) < 30.1 and 59.9 < max(second) <= 60

# %%
figure, axes = canvas(7, 1.7)
axes.hist(first, bins=20, label="10")
axes.hist(second, bins=20, label="(30, 60)")
axes.set_xlabel("angle in degrees")
axes.legend(loc="upper center", bbox_to_anchor=(0.44, 1))
show(
    figure,
    "2,000 angles each: uniform on the range, with no preference for small turns.",
    "Two flat histograms: one over -10 to 10 degrees, one over 30 to 60 degrees.",
)

# %% [markdown]
# About which point? One note offers the middle or the upper left corner, the other any
# coordinates counted from that corner. The second is right; the middle is only the
# default. **Predict** where half a turn brings the 1 in the corner, for three centers:

# %% tags=["predict"]
dot = torch.zeros(1, 4, 4, dtype=torch.int64)
dot[0, 0, 0] = 1
centers = (None, [1, 1], [2, 1])
turned = [TF.rotate(dot, 180, center=center)[0] for center in centers]
draw.grid(
    *turned,
    titles=[f"center={center}" for center in centers],
    highlight=[t == 1 for t in turned],
    caption="A 1 from the upper left corner, after half a turn about three centers.",
)

# %% [markdown]
# `[2, 1]` is x, then y, unlike every size in this chapter. And `[1, 1]` is not a pixel
# but the point where four meet: the first pixel changed places with its neighbour
# across it.

# %% tags=["claim:C326", "claim:C486"]
assert [t.nonzero()[0].tolist() for t in turned] == [[3, 3], [1, 1], [1, 3]]

# %% [markdown]
# Corners that turn out of the frame are lost, and `expand=True` enlarges the frame. We
# turn by 30°, without and with it, each about the middle and about the upper left
# corner. **Predict** which of the four keep the whole photograph:

# %% tags=["predict"]
settings = [(e, c) for e in (False, True) for c in (None, (0, 0))]
white = torch.ones(1, 213, 320)
sheets = [TF.rotate(white, 30, M.NEAREST, e, c) for e, c in settings]
kept = [float(sheet.sum() / white.sum()) for sheet in sheets]
[f"{part:.0%}" for part in kept]

# %% [markdown]
# One of four: the larger frame is worked out for a turn about the middle, as the notes
# warn. About the corner it is as large, to a pixel, and lies in the wrong place.

# %% tags=["claim:C487"]
assert kept[2] > 0.99 and max(kept[0], kept[1], kept[3]) < 0.9
for side in (1, 2):
    assert abs(sheets[2].shape[side] - sheets[3].shape[side]) <= 1

# %%
names = ["middle", "(0, 0)", "expand, middle", "expand, (0, 0)"]
draw.pictures(
    [TF.rotate(cup, 30, M.BILINEAR, e, c) for e, c in settings],
    "30° counter-clockwise, in one scale: of the four, one keeps all.",
    "Four turned pictures with black corners; three lose part of the photograph.",
    titles=[f"{name}\nkept {part:.0%}" for name, part in zip(names, kept, strict=True)],
    width=6,
    same_scale=True,
)

# %% [markdown]
# **Rule.** Rotation keeps the frame and cuts the corners; `expand=True` keeps the
# corners and changes the size.

# %% [markdown]
# ## What can an affine map do?
#
# Five things, say the notes of `RandomAffine` (仿射变换): flip, rotate, shift, scale and
# shear (错切). Count the numbers that it draws:

# %% tags=["claim:C489"]
with expect_error(ValueError, "should be positive"):
    T.RandomAffine(0, scale=(-1, -1))
numbers = list(inspect.signature(T.RandomAffine.get_params).parameters)
assert len(numbers) == 5 and "flip" not in str(numbers)
numbers

# %% [markdown]
# Four, besides the picture's size; none is a flip, and a scale that would mirror is
# refused. Two argument names in the notes have changed as well, to `interpolation` and
# `fill`:

# %% tags=["claim:C488"]
for old in ("resample", "fillcolor"):
    with expect_error(TypeError, f"'{old}'"):
        T.RandomAffine(0, **{old: 0})
assert {"interpolation", "fill"} <= set(inspect.signature(T.RandomAffine).parameters)

# %% [markdown]
# Each number has a unit and a direction. Scale, the notes hold, is about area.
# **Predict** how much of a white picture scale 0.5 leaves:

# %% tags=["predict"]
half = TF.affine(white, angle=0, translate=[0, 0], scale=0.5, shear=[0.0])
round(float(half.mean()), 2)

# %% [markdown]
# A quarter: it multiplies lengths, and half of the rows and columns remain:

# %% tags=["claim:C491"]
assert half[0].any(0).sum() == 320 / 2 and abs(half[0].any(1).sum() - 213 / 2) < 1
assert abs(half.mean() - 0.25) < 0.01

# %% [markdown]
# And the angle? `rotate` turns counter-clockwise, `affine` the other way:

# %%
base = {"angle": 0, "translate": [0, 0], "scale": 1.0, "shear": [0.0]}
clockwise = TF.affine(x, **{**base, "angle": 30})
assert torch.equal(clockwise, TF.rotate(x, -30))
assert TF.rotate(dot, 90)[0, 3, 0] == 1

# %%
ways = {"angle": 20, "translate": [30, 15], "scale": 0.6, "shear": [25.0, 0.0]}
draw.pictures(
    [TF.affine(cup, **{**base, way: ways[way]}, fill=[120]) for way in ways],
    "The four things an affine map does, one at a time.",
    "The cup turned clockwise, shifted right and down, made smaller, and slanted.",
    titles=[f"{way}={value}" for way, value in ways.items()],
    width=5.6,
)

# %% [markdown]
# Shear has three spellings. The notes are right about one number, plus or minus for x
# only, and about four numbers, a range for x and one for y:


# %% tags=["claim:C492", "claim:C494"]
def shears(given):
    ranges = T.RandomAffine(0, shear=given).shear
    get = T.RandomAffine.get_params
    found = draws(lambda: get([0, 0], None, None, ranges, [9, 9])[3], 2000)
    return torch.tensor(found).T


one, four = shears(10), shears((-20, -15, 30, 40))
assert one[0].min() < -9.9 and one[0].max() > 9.9 and not one[1].any()
assert four[0].min() >= -20 and four[0].max() <= -15
assert four[1].min() >= 30 and four[1].max() <= 40

# %% [markdown]
# With two numbers, they say, the first is for x and the second for y. **Predict** the
# ranges of both for `shear=(5, 10)`:

# %% tags=["predict"]
two = shears((5, 10))
[(round(min(angles)), round(max(angles))) for angles in two.tolist()]

# %% [markdown]
# A pair is a range for x, and y stays 0:

# %% tags=["claim:C493"]
assert two[0].min() >= 5 and two[0].max() <= 10 and not two[1].any()

# %% [markdown]
# But `translate=(a, b)` does give one number to each: shares of the width and the
# height, as the notes say, rounded to whole pixels:

# %% tags=["claim:C490"]
asked = ([-15, 15], (0.1, 0.5), (0.5, 1.5), None, [100, 40])
drawn = draws(lambda: T.RandomAffine.get_params(*asked), 2000)
dx, dy = torch.tensor([shift for _, shift, _, _ in drawn]).T
assert (dx.min(), dx.max()) == (-10, 10) and (dy.min(), dy.max()) == (-20, 20)

# %%
figure, axes = canvas(7.4, 2.3, cols=4)
axes[0].hist([angle for angle, _, _, _ in drawn], bins=20)
axes[1].plot(dx, dy, ".", ms=2)
axes[2].hist([scale for _, _, scale, _ in drawn], bins=20)
for pair, name in ((one, "10"), (two, "(5, 10)"), (four, "four")):
    axes[3].plot(*pair, ".", ms=3, label=name)
axes[3].legend(loc="center right", fontsize=7)
titles = ("angle", "translate (x, y)", "scale", "shear (x, y)")
for ax, title in zip(axes, titles, strict=True):
    ax.set_title(title)
show(
    figure,
    "2,000 draws of each parameter: uniform on its range, shifts on whole pixels.",
    "Flat histograms of angle and scale; a grid of shifts; two lines and a patch.",
)

# %% [markdown]
# An affine map keeps parallel lines parallel. As key points (关键点), the corners of a
# square show it: their opposite sides are still equal arrows.

# %%
from torchvision import tv_tensors

spots = torch.tensor([[100.0, 100], [200, 100], [200, 200], [100, 200]])
spots = tv_tensors.KeyPoints(spots, canvas_size=(320, 320))
a, b, c, d = v2.functional.affine(spots, 20, [30, 15], 0.6, [25.0, 0.0])
assert torch.allclose(b - a, c - d, atol=1e-3) and not torch.allclose(b - a, d - a)
assert torch.allclose(d - a, c - b, atol=1e-3)

# %% [markdown]
# The joints of our wall converge, so no affine map can make all of them upright;
# `perspective` can, given four corners and where they should go. It turns our square's
# left and right sides apart:

# %%
corners = [[40, 0], [279, 0], [319, 319], [0, 319]]
frame = [[0, 0], [319, 0], [319, 319], [0, 319]]
straight = TF.perspective(bricks, startpoints=corners, endpoints=frame)
before, after = (TF.pil_to_tensor(p)[0].float().mean(0) for p in (bricks, straight))
assert after.std() > 1.5 * before.std()
a, b, c, d = v2.functional.perspective(spots, corners, frame)
assert abs((d - a)[0] - (c - b)[0]) > 9 and abs((d - a)[1] - (c - b)[1]) < 1

# %% [markdown]
# Upright joints make some columns bright and others dark, so the means of the columns
# spread. `RandomPerspective` goes the opposite way, and draws a new place for each
# corner; its 0.5 below lets a corner move by up to half of half a side, 80 pixels of 320:

# %%
get = T.RandomPerspective.get_params
ends = torch.tensor(draws(lambda: get(320, 320, 0.5)[1], 500)).flatten(0, 1).T
assert ((ends <= 80) | (ends >= 319 - 80)).all()

# %%
figure, axes = canvas(4.9, 1.7, cols=3)
for ax, picture in zip(axes[:2], (bricks, straight), strict=True):
    ax.imshow(picture)
axes[0].plot(*torch.tensor([*corners, corners[0]]).T, color="#e69f00")
axes[2].plot(*ends, ".", ms=1.5)
axes[2].set(xlim=(0, 320), ylim=(320, 0), aspect="equal")
show(
    figure,
    "The trapezoid becomes the frame; right, where `RandomPerspective` puts corners.",
    "A brick wall whose joints converge; with upright joints; dots in four corners.",
)

# %% [markdown]
# **Rule.** Before you train, ask of each number: which unit, which direction, one range
# or two?

# %% [markdown]
# ## Where it goes wrong
#
# **One number for a batch.** `Resize(120)` fixes the short side only, so two pictures
# may still differ:

# %%
album = [TF.pil_to_tensor(picture) for picture in (cat, astronaut)]
with expect_error(RuntimeError, "stack expects each tensor to be equal size"):
    torch.stack([T.Resize(120)(picture) for picture in album])
assert torch.stack([fit(picture) for picture in album]).shape == (2, 3, 120, 120)

# %% [markdown]
# `fit` was the short side and then the square.
#
# **One draw for a batch.** A transform takes a whole batch without complaint, and cuts
# all of it at one place:

# %%
batch = x.expand(8, -1, -1, -1)
wrong = T.RandomCrop(128)(batch)
right = torch.stack(draws(lambda: T.RandomCrop(128)(x), 8))
assert (wrong == wrong[0]).all() and not (right == right[0]).all()

# %% [markdown]
# Transform pictures one by one, before they become a batch.
#
# **A picture and its mask, drawn twice.** Each call draws anew. Our mask marks the
# bright pixels, so that we can test whether it still fits:


# %%
def bright(picture):
    return TF.rgb_to_grayscale(picture) > 140


cut = T.RandomCrop(128)
lost = draws(lambda: (cut(x), cut(bright(x))), 1)[0]
assert not torch.equal(bright(lost[0]), lost[1])

# %% [markdown]
# Draw once, cut twice; or let `v2` do it, which takes both in one call:

# %%
box = draws(lambda: T.RandomCrop.get_params(x, (128, 128)), 1)[0]
fits = TF.crop(x, *box), TF.crop(bright(x), *box)
assert torch.equal(fits[0], lost[0]) and torch.equal(bright(fits[0]), fits[1])
both = v2.RandomCrop(128)(tv_tensors.Image(x), tv_tensors.Mask(bright(x)))
assert torch.equal(bright(both[0]), both[1])

# %%
draw.pictures(
    [lost[0], lost[1].float(), fits[1].float()],
    "Two calls give the mask of another place; one `get_params` serves both.",
    "A crop of the cup, a mask that does not fit it, and a mask that fits.",
    titles=["picture", "mask, second call", "mask, same numbers"],
    width=5,
)

# %% [markdown]
# **A transform that changes the answer.** Turn a handwritten 6 by 180° and read it. Our
# reader names the nearest of 900 other digits:


# %%
from helpers import load_digits

images, labels = load_digits()
known, sixes = images[:900].float(), images[900:][labels[900:] == 6].float()


def read(pictures):
    distance = torch.cdist(pictures.flatten(1), known.flatten(1), p=1)
    return labels[distance.argmin(1)]


# %%
assert (read(sixes) == 6).float().mean() > 0.9
upside_down = TF.rotate(sixes, 180)
assert (read(upside_down) == 9).float().mean() > 0.8

# %% [markdown]
# More than nine in ten are read as 6; turned, more than four in five as 9:

# %%
draw.pictures(
    [sixes[0] / 16, sixes[1] / 16, upside_down[0] / 16, upside_down[1] / 16],
    "Two sixes, and the same two after half a turn.",
    "Two handwritten sixes in white on black; upside down they read as nines.",
    width=4,
)

# %% [markdown]
# `RandomRotation(180)` with the old label would teach that a 9 is a 6. For every range
# ask: would I still give it the same label?

# %% [markdown]
# ## In practice
#
# Before you train, draw a dozen results of your pipeline and the histogram of each
# parameter, on the sizes of your own pictures. For evaluation use `Resize` and
# `CenterCrop`, which draw nothing. Ask rotations for `BILINEAR`, since their default is
# the blocky mode:

# %%
assert T.RandomRotation(10).interpolation is M.NEAREST
assert T.RandomAffine(10).interpolation is M.NEAREST
assert fit(cat) == fit(cat)

# %% [markdown]
# Turn before you crop, and the black corners can be cut away. New code may import the
# same names from `v2`. A crop there cuts the same boxes, seed for seed:

# %%
old, new = T.RandomResizedCrop(99), v2.RandomResizedCrop(99)
assert draws(lambda: old(cat), 3) == draws(lambda: new(cat), 3)

# %% [markdown]
# ## Summary
#
# - Shapes end in height and width; one number means the short side for `Resize` and a
#   square for a crop; padding comes before a crop
#   ([sizes](#Which-side-does-Resize-measure?), [crops](#Where-does-the-crop-fall?)).
# - `NEAREST` copies pixels, the others mix them; shrinking without antialiasing invents
#   patterns ([stripes](#Which-side-does-Resize-measure?)).
# - Crops, turns and warps draw in `get_params`, from torch's global generator; the shape
#   of your picture limits what `RandomResizedCrop` shows of it
#   ([positions](#Where-does-the-crop-fall?),
#   [shares](#How-much-does-a-random-crop-show?)).
# - Centers are (x, y), and `expand` assumes the middle; scale multiplies lengths, a
#   pair of shears is one range for x ([turns](#What-turns,-and-about-which-point?),
#   [affine maps](#What-can-an-affine-map-do?)).
# - Draw once for picture and mask, once per picture in a batch, and only what keeps the
#   label ([cases](#Where-it-goes-wrong)).

# %% [markdown]
# ## Exercises
#
# ### Exercise 602.1 · Three steps
# *predict · ●○○ · 3 minutes*
#
# `f = T.Compose([T.Resize(100), T.CenterCrop((80, 120)), T.Pad((5, 0, 10, 20))])` gets
# `torch.zeros(3, 200, 400)`. What shape comes out?

# %% tags=["exercise"]
answer = ...  # TODO: a tuple of three integers

# %%
exercise("602.1").check(answer)

# %% [markdown]
# ### Exercise 602.2 · How many crops?
# *predict · ●●○ · 3 minutes*
#
# `T.RandomCrop(28, padding=4)` on pictures of 28 by 28 is a classic. At how many
# different places can it cut?

# %% tags=["exercise"]
answer = ...  # TODO: an integer

# %%
exercise("602.2").check(answer)

# %% [markdown]
# ### Exercise 602.3 · Turn the mask too
# *repair · ●●○ · 7 minutes*
#
# `mask` holds class numbers. Both should turn by one angle from `get_params`, at most
# `limit` degrees either way: the picture bilinear, the mask without new classes, and 255
# (unknown) where it was not known.


# %% tags=["exercise"]
def turn_both(picture, mask, limit):
    turn = T.RandomRotation(limit, M.BILINEAR)
    return turn(picture), turn(mask)  # TODO: repair


# %%
exercise("602.3").check(turn_both)

# %% [markdown]
# ### Exercise 602.4 · No black corners
# *order · ●●○ · 6 minutes*
#
# A picture of 240 by 240 is to become 100 by 100, turned by 30°, without a black pixel.
# Order: `"crop"` `CenterCrop(200)`, `"pad"` `Pad(120, padding_mode="reflect")`,
# `"shrink"` `Resize(100)`, `"turn"` `RandomRotation((30, 30))`.

# %% tags=["exercise"]
answer = ...  # TODO: a list of the four labels

# %%
exercise("602.4").check(answer)

# %% [markdown]
# ### Exercise 602.5 · Letterbox
# *write · ●●● · 10 minutes*
#
# Scale a tensor of shape (C, H, W) with the default mode so that its longer side is
# `size`, with the ratio kept, and pad it with zeros to a square, the picture in the
# middle. An odd number of zeros leaves one more at the bottom or right.


# %% tags=["exercise"]
def letterbox(picture, size):
    return ...  # TODO: a tensor of shape (C, size, size)


# %%
exercise("602.5").check(letterbox)

# %% [markdown]
# ### Exercise 602.6 · What is left of a banner
# *measure · ●●○ · 6 minutes*
#
# A picture is 100 high and 300 wide. What share of its area does a default
# `RandomResizedCrop` see on average? Take 2,000 draws or more.

# %% tags=["exercise"]
banner = torch.zeros(1, 100, 300)
answer = ...  # TODO: a number between 0 and 1

# %%
exercise("602.6").check(answer)

# %% [markdown]
# ## Next
#
# [606 · DataLoader](606_dataloader.ipynb) calls these transforms for you, picture by
# picture, and makes batches of the results.
#
# - [Transforms](https://docs.pytorch.org/vision/stable/transforms.html): torchvision's
#   own list, v1 beside v2, with a gallery.
# - [On aliased resizing](https://arxiv.org/abs/2104.11222), by Parmar, Zhang and Zhu:
#   how libraries differ in shrinking, and what it does to measured results.
