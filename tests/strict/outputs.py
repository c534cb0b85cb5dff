"""What a cell may store as output, and the first difference to what it puts out now.

nbval compares each kind of output by itself, so it misses their order; it strips terminal codes,
skips pictures and metadata, and compares nothing where nothing is stored. Here an output is
compared whole and in its place.
"""

from __future__ import annotations

import difflib
import json
import re
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from helpers.book.chapters import ROOT
from tests.strict import pictures

Output = dict[str, Any]

_PICTURE = re.compile(r'(?<=src="data:image/png;base64,)[^"]*')
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}")
_FOLDERS = re.compile(
    r"(?<![\w.<~])/(?:home|work|root|tmp|Users|var/folders)/|\b[A-Z]:\\|\bsite-packages\b"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_WIDGET = "application/vnd.jupyter.widget-view+json"
_KINDS = {"stream", "display_data", "execute_result", "error"}


def normal(outputs: list[Output]) -> list[Output]:
    """The outputs as the builder stores them.

    Neighbouring pieces of one stream are joined, for where a stream is cut is chance; a widget's
    view is left out, for it is the number of a model that only this kernel knows.
    """
    kept: list[Output] = []
    for output in outputs:
        before = kept[-1] if kept else {}
        if output["output_type"] == "stream" and before.get("name") == output["name"]:
            kept[-1] = {**before, "text": before["text"] + output["text"]}
            continue
        output = dict(output)
        if "data" in output:
            output["data"] = {k: v for k, v in output["data"].items() if k != _WIDGET}
            if not output["data"]:
                continue
        kept.append(output)
    return kept


def is_figure(output: Output) -> bool:
    return "figure" in output.get("metadata", {})


def problems(output: Output) -> list[str]:
    """What makes an output unfit to be stored, or to be compared at all."""
    kind = output["output_type"]
    if kind not in _KINDS:
        return [f"{kind}: this output changes with time and cannot be compared"]
    if kind == "error":
        return [f"an error as output: {output['ename']}: {output['evalue']}"]
    found = []
    if kind == "stream" and output["name"] != "stdout":
        found.append(f"{output['name']} in the output: {_short(output['text'])}")
    data = output.get("data", {})
    found += [
        f"a bare {mime}: show it with helpers.show, which adds caption and alt text"
        for mime in data
        if mime.startswith("image/")
    ]
    markup = data.get("text/html", "")
    if is_figure(output):
        found += _figure_problems(output)
    elif "<figure" in markup or "data:image/" in markup:
        found.append("a picture without its facts: show it with helpers.show")
    text = _words(output)
    if match := _ADDRESS.search(text):
        found.append(f"a memory address in the output: {match[0]}")
    if place := _path_in(text):
        found.append(f"a path of this machine in the output: {place}")
    if match := _CONTROL.search(text):
        found.append(f"a control character in the output: {match[0]!r}")
    return found


def difference(stored: list[Output], fresh: list[Output]) -> str | None:
    """The first difference between stored and fresh outputs, in words; None where there is none."""
    stored, fresh = normal(stored), normal(fresh)
    for number, (before, now) in enumerate(zip(stored, fresh, strict=False), 1):
        if found := _first_difference(before, now):
            return f"output {number} of {len(stored)}: {found}"
    if len(stored) == len(fresh):
        return None
    counts = f"{len(stored)} outputs are stored, {len(fresh)} came"
    if len(stored) > len(fresh):
        return f"{counts}; missing: {_named(stored[len(fresh)])}"
    return f"{counts}; extra: {_named(fresh[len(stored)])}"


def _first_difference(before: Output, now: Output) -> str | None:
    if _kind(before) != _kind(now):
        return f"{_named(before)} was stored, {_named(now)} came"
    if before["output_type"] == "stream":
        return _text_difference(before["name"], before["text"], now["text"])
    if is_figure(before) != is_figure(now):
        return f"{_named(before)} was stored, {_named(now)} came"
    if found := _metadata_difference(before["metadata"], now["metadata"]):
        return found
    old, new = before["data"], now["data"]
    if sorted(old) != sorted(new):
        return f"stored as {', '.join(sorted(old))}; came as {', '.join(sorted(new))}"
    for mime in sorted(old):
        found = (
            _figure_difference(old[mime], new[mime])
            if mime == "text/html" and is_figure(before)
            else _value_difference(mime, old[mime], new[mime])
        )
        if found:
            return found
    return None


def _metadata_difference(before: dict[str, Any], now: dict[str, Any]) -> str | None:
    old, new = dict(before.get("figure", {})), dict(now.get("figure", {}))
    for part in sorted({*old, *new}):
        if old.get(part) != new.get(part):
            return _value_difference(f"the figure's {part}", old.get(part), new.get(part))
    return _value_difference("metadata", before, now)


def _figure_difference(before: str, now: str) -> str | None:
    old, new = _PICTURE.findall(before), _PICTURE.findall(now)
    if len(old) != len(new):
        return f"{len(old)} pictures in the stored figure, {len(new)} in the new one"
    for stored, fresh in zip(old, new, strict=True):
        if found := pictures.difference(stored, fresh):
            return found
    return _text_difference("text/html", _PICTURE.sub("…", before), _PICTURE.sub("…", now))


def _value_difference(name: str, before: object, now: object) -> str | None:
    if before == now:
        return None
    if isinstance(before, str) and isinstance(now, str):
        return _text_difference(name, before, now)
    old, new = (json.dumps(value, indent=1, sort_keys=True) for value in (before, now))
    return _text_difference(name, old, new)


def _text_difference(name: str, before: str, now: str) -> str | None:
    if before == now:
        return None
    old, new = before.splitlines(), now.splitlines()
    if before.endswith("\n") != now.endswith("\n"):
        # A missing line end is a difference like any other, but would look like none.
        for lines, text in ((old, before), (new, now)):
            if lines and not text.endswith("\n"):
                lines[-1] += " (no line end)"
    lines = list(difflib.unified_diff(old, new, "stored", "now", lineterm="", n=1))[2:]
    shown = [line[:160] for line in lines[:14]]
    if len(lines) > len(shown):
        shown.append(f"… and {len(lines) - len(shown)} lines more")
    return "\n".join([f"{name} differs (- stored, + now)", *shown])


class _Markup(HTMLParser):
    """The pictures and the caption of a figure's HTML."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.images: list[dict[str, str | None]] = []
        self.caption = ""
        self.tags: list[str] = []
        self._in_caption = False
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))
        self._in_caption = self._in_caption or tag == "figcaption"

    def handle_endtag(self, tag: str) -> None:
        if tag == "figcaption":
            self._in_caption = False

    def handle_data(self, data: str) -> None:
        if self._in_caption:
            self.caption += data


def _figure_problems(output: Output) -> list[str]:
    """Whether caption, alt text and picture say the same in HTML, text and metadata."""
    said = output["metadata"]["figure"]
    data = output["data"]
    missing = [part for part in ("alt", "caption", "facts") if part not in said]
    if missing:
        return [f"a figure without {' and '.join(missing)} in its metadata"]
    if set(data) != {"text/html", "text/plain"}:
        return [f"a figure holds text/html and text/plain, this one {', '.join(sorted(data))}"]
    markup = _Markup(data["text/html"])
    found = []
    if "figure" not in markup.tags or not markup.images:
        return ["the figure has no picture"]
    if markup.images[0].get("alt") != said["alt"]:
        found.append(f"the picture's alt text is not the figure's: {_short(said['alt'])}")
    if markup.caption != said["caption"].replace("`", ""):
        found.append(f"the caption shown is not the figure's: {_short(markup.caption)}")
    if data["text/plain"] != f"Figure: {said['caption']}":
        found.append(f"the figure in plain text is not its caption: {_short(data['text/plain'])}")
    sources = [image.get("src") or "" for image in markup.images]
    for source in sources:
        head, _, payload = source.partition(",")
        if head != "data:image/png;base64":
            found.append(f"the figure's picture is no PNG in the notebook: {_short(source)}")
            continue
        try:
            if pictures.is_blank(pictures.decode(payload)):
                found.append("the picture is blank")
        except ValueError as error:
            found.append(str(error))
    return found


def _kind(output: Output) -> tuple[str, str]:
    return output["output_type"], output.get("name", "")


def _named(output: Output) -> str:
    if output["output_type"] == "stream":
        return f"{output['name']} ({_short(output['text'])})"
    if output["output_type"] == "error":
        return f"an error ({output['ename']})"
    if is_figure(output):
        return f"a figure ({_short(output['metadata']['figure'].get('caption', ''))})"
    what = "a result" if output["output_type"] == "execute_result" else "a display"
    return f"{what} ({_short(str(output.get('data', {}).get('text/plain', '')))})"


def _short(text: str, length: int = 70) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"


def _words(output: Output) -> str:
    """Everything in an output that is written in words: pictures left out."""
    if output["output_type"] == "stream":
        return output["text"]
    values = [*output.get("data", {}).values(), *output.get("metadata", {}).values()]
    texts = (v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in values)
    return _PICTURE.sub("", "\n".join(texts))


def _path_in(text: str) -> str | None:
    if match := _FOLDERS.search(text):
        return _short(text[match.start() :], 50)
    own = {str(ROOT), str(Path.home()), tempfile.gettempdir()} - {"/", ""}
    return next(
        (folder for folder in sorted(own) if re.search(rf"(?<![\w.]){re.escape(folder)}\b", text)),
        None,
    )
