"""Whether two PNG pictures show the same thing, however they were rasterised."""

from __future__ import annotations

import base64
import binascii
import io

from PIL import Image, ImageChops

# Fonts are shaped and lines smoothed a little differently from machine to machine: that moves
# a few of the hash's 256 bits. Another curve or another label of the same size moves dozens.
_HASH_SIDE = 16
_BITS_APART = 10
# The hash sees shapes but no colours, so a coarse copy of both pictures is compared as well.
_COARSE = (48, 32)
_SHADES_APART = 40


def decode(payload: str) -> Image.Image:
    """The picture in a base64 text, in RGB.

    Raises:
        ValueError: the text is empty, is not base64 or holds no whole PNG.
    """
    if not payload.strip():
        raise ValueError("the picture is missing")
    try:
        picture = Image.open(io.BytesIO(base64.b64decode(payload, validate=False)))
        if picture.format != "PNG":
            raise ValueError(f"the picture is {picture.format}, not PNG")
        if not picture.has_transparency_data:
            return picture.convert("RGB")
        paper = Image.new("RGBA", picture.size, (128, 128, 128, 255))
        paper.alpha_composite(picture.convert("RGBA"))
    except (binascii.Error, OSError, SyntaxError) as error:
        raise ValueError(f"the picture cannot be read ({error})") from error
    return paper.convert("RGB")


def is_blank(picture: Image.Image) -> bool:
    """Whether every pixel has (nearly) the same colour."""
    return all(high - low < 8 for low, high in picture.getextrema())


def difference(stored: str, fresh: str) -> str | None:
    """How the picture stored in a notebook differs from the one drawn now; None where it does not.

    Args:
        stored, fresh: PNG files in base64.
    """
    if stored == fresh:
        return None
    pictures = []
    for name, payload in (("stored", stored), ("new", fresh)):
        try:
            picture = decode(payload)
        except ValueError as error:
            return f"{name}: {error}"
        if is_blank(picture):
            return f"{name}: the picture is blank"
        pictures.append(picture)
    before, now = pictures
    if before.size != now.size:
        return f"the picture was {_size(before)} pixels, now it is {_size(now)}"
    # Imported where needed: pictures are mostly equal, and imagehash brings scipy.
    import imagehash

    bits = imagehash.phash(before, _HASH_SIDE) - imagehash.phash(now, _HASH_SIDE)
    if bits > _BITS_APART:
        return f"another picture: {bits} of {_HASH_SIDE**2} bits of its hash differ"
    coarse = [picture.resize(_COARSE, Image.Resampling.BOX) for picture in (before, now)]
    shades = max(high for _, high in ImageChops.difference(*coarse).getextrema())
    if shades > _SHADES_APART:
        return f"another picture: a part of it differs by {shades} of 255 shades"
    return None


def _size(picture: Image.Image) -> str:
    return f"{picture.width} x {picture.height}"
