"""The ledger: what the notes claim about PyTorch, the verdicts, and which chapters are finished.

It lies in three files of ``data/``, made to be edited by hand:

- ``claims.yml``: every claim with its verdict and one sentence on what torch does;
- ``topics.yml``: every topic with its chapter, and the plan of the chapters;
- ``finished.yml``: the numbers of the finished chapters.

>>> claims()[0].id, claims()[0].verdict
('C001', 'partly')
>>> check()
[]
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, fields
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import yaml

from helpers.book.chapters import ROOT

DATA = ROOT / "data"
VERDICTS = ("true", "partly", "false", "outdated")


@dataclass(frozen=True)
class Claim:
    """A statement of the notes, and what torch does.

    Attributes:
        id: "C" and three digits; a cell that shows the claim is tagged ``claim:C123``.
        chapter: number of the chapter that shows it ("103").
        topics: ids of its topics, the best fit first.
        verdict: one of VERDICTS.
        claim: one sentence, what the notes say.
        torch: one sentence, what torch does.
    """

    id: str
    chapter: str
    topics: tuple[str, ...]
    verdict: str
    claim: str
    torch: str


@dataclass(frozen=True)
class Topic:
    """Something the notes speak of.

    Attributes:
        id: its short name.
        chapter: number of the chapter that treats it ("103").
        title: what it is about.
        zh: the notes' own terms for it, Chinese or mixed.
        apis: the names of torch, torchvision, Python and others that it is about.
        claims: ids of the claims that name it.
    """

    id: str
    chapter: str
    title: str
    zh: str
    apis: tuple[str, ...]
    claims: tuple[str, ...]


Record = TypeVar("Record", Claim, Topic)


def claims(folder: Path = DATA) -> tuple[Claim, ...]:
    """Every claim, in the order of its id.

    Raises:
        ValueError: the file is missing, or is not a ledger of claims; the message says where.
    """
    return _records(Claim, folder / "claims.yml", "claims")


def topics(folder: Path = DATA) -> tuple[Topic, ...]:
    """Every topic, in the order of the book.

    Raises:
        ValueError: the file is missing, or is not a ledger of topics; the message says where.
    """
    return _records(Topic, folder / "topics.yml", "topics")


def plan(folder: Path = DATA) -> dict[str, str]:
    """Every chapter of the book's plan, written or not: its name by its number.

    Raises:
        ValueError: topics.yml is missing, or has no plan.
    """
    path = folder / "topics.yml"
    chapters = _part(path, "chapters", dict)
    for number, name in chapters.items():
        if not isinstance(number, str) or not isinstance(name, str):
            raise ValueError(f"{path.name}: chapter {number!r}: quote it, as in '001': name")
    return dict(chapters)


def finished(folder: Path = DATA) -> tuple[str, ...]:
    """The numbers of the finished chapters, whose claims must all be shown by cells.

    Raises:
        ValueError: the file is missing, or is not a list of quoted numbers.
    """
    path = folder / "finished.yml"
    numbers = _part(path, "finished", list)
    for number in numbers:
        if not isinstance(number, str):
            raise ValueError(f"{path.name}: quote the number, '{number}', so that it stays text")
    return tuple(numbers)


def check(folder: Path = DATA) -> list[str]:
    """What is wrong with the ledger, one line each; empty when nothing is.

    Args:
        folder: where claims.yml, topics.yml and finished.yml lie.
    """
    try:
        all_claims, all_topics = claims(folder), topics(folder)
        numbers, done = plan(folder), finished(folder)
    except ValueError as error:
        return [str(error)]
    problems = [
        *_order(all_claims),
        *_repeated("claims.yml", [claim.id for claim in all_claims]),
        *_repeated("topics.yml", [topic.id for topic in all_topics]),
        *_repeated("finished.yml", done),
    ]
    for number in done:
        if number not in numbers:
            problems.append(f"finished.yml: {number}: no such chapter in topics.yml's plan")
    topic_by_id = {topic.id: topic for topic in all_topics}
    claim_by_id = {claim.id: claim for claim in all_claims}
    for topic in all_topics:
        problems += _check_topic(topic, claim_by_id, numbers)
    for claim in all_claims:
        problems += _check_claim(claim, topic_by_id)
    return problems


def sentences(text: str) -> int:
    """How many sentences ``text`` holds; a fragment without a full stop at its end counts as none.

    >>> sentences("A view, e.g. x.t(), shares its storage."), sentences("One. Two.")
    (1, 2)
    """
    plain = re.sub(r"\b(?:e\.g|i\.e|cf|vs)\.", "", text.strip())
    return len(re.findall(r"[.!?](?=\s+[A-Z`(\"']|$)", plain)) if plain.endswith(".") else 0


def _check_topic(topic: Topic, claims: dict[str, Claim], numbers: dict[str, str]) -> list[str]:
    where = f"topics.yml: {topic.id}"
    problems = []
    if topic.chapter not in numbers:
        problems.append(f"{where}: chapter {topic.chapter} is not in the plan")
    problems += [
        f"{where}: {twice} is listed twice" for twice, n in Counter(topic.claims).items() if n > 1
    ]
    for name in dict.fromkeys(topic.claims):
        if name not in claims:
            problems.append(f"{where}: {name} is no claim of claims.yml")
        elif topic.id not in claims[name].topics:
            problems.append(f"{where}: lists {name}, whose topics do not name {topic.id}")
    return problems


def _check_claim(claim: Claim, topics: dict[str, Topic]) -> list[str]:
    where = f"claims.yml: {claim.id}"
    problems = []
    if not re.fullmatch(r"C\d{3}", claim.id):
        problems.append(f"{where}: an id is C and three digits")
    if claim.verdict not in VERDICTS:
        problems.append(f"{where}: verdict {claim.verdict!r} is none of {', '.join(VERDICTS)}")
    for name, text in (("claim", claim.claim), ("torch", claim.torch)):
        if (count := sentences(text)) != 1:
            problems.append(f"{where}: {name} holds {count} sentences, not one with a full stop")
    if not claim.topics:
        problems.append(f"{where}: has no topic")
    problems += [
        f"{where}: {twice} is named twice" for twice, n in Counter(claim.topics).items() if n > 1
    ]
    for name in dict.fromkeys(claim.topics):
        if name not in topics:
            problems.append(f"{where}: {name} is no topic of topics.yml")
        elif claim.id not in topics[name].claims:
            problems.append(f"{where}: names {name}, whose claims do not list {claim.id}")
    first = topics.get(claim.topics[0]) if claim.topics else None
    if first and claim.chapter != first.chapter:
        problems.append(
            f"{where}: stands in chapter {claim.chapter}, its first topic in {first.chapter}"
        )
    return problems


def _order(claims: tuple[Claim, ...]) -> list[str]:
    return [
        f"claims.yml: {later.id} stands after {earlier.id}; keep the order of the ids"
        for earlier, later in pairwise(claims)
        if later.id < earlier.id
    ]


def _repeated(name: str, ids: list[str] | tuple[str, ...]) -> list[str]:
    return [f"{name}: {twice} stands {n} times" for twice, n in Counter(ids).items() if n > 1]


@cache
def _parse(text: str) -> Any:
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _part(path: Path, key: str, kind: type) -> Any:
    """The value of ``key`` in a YAML file, of the kind it must have."""
    try:
        content = _parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name}: cannot be read ({error})") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{path.name}: is not YAML: {error}") from None
    if not isinstance(content, dict) or not isinstance(content.get(key), kind):
        raise ValueError(f"{path.name}: needs `{key}:`, a {kind.__name__}")
    return content[key]


def _records(kind: type[Record], path: Path, key: str) -> tuple[Record, ...]:
    """The entries under ``key`` as dataclasses, each field of the type it must have."""
    records = []
    for place, entry in enumerate(_part(path, key, list), start=1):
        name = entry.get("id", f"entry {place}") if isinstance(entry, dict) else f"entry {place}"
        where = f"{path.name}: {name}"
        expected = {field.name: field.type for field in fields(kind)}
        if not isinstance(entry, dict) or set(entry) != set(expected):
            raise ValueError(f"{where}: needs exactly the fields {', '.join(expected)}")
        for field, annotation in expected.items():
            value, of_list = entry[field], annotation != "str"
            texts = value if of_list and isinstance(value, list) else [value]
            if of_list != isinstance(value, list) or not all(isinstance(t, str) for t in texts):
                wanted = "a list of texts" if of_list else "text"
                raise ValueError(
                    f"{where}: {field} is {value!r}, not {wanted}; quote what YAML reads otherwise"
                )
        records.append(
            kind(**{f: tuple(v) if isinstance(v, list) else v for f, v in entry.items()})
        )
    return tuple(records)
