"""The ledger is whole, and each fault planted in a copy of it is named."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from helpers.book import ledger

SMALL = {
    "claims": [
        {
            "id": "C001",
            "chapter": "103",
            "topics": ["view", "resize"],
            "verdict": "false",
            "claim": "view is the same thing as resize().",
            "torch": "view re-reads the same elements, e.g. as (3, 2), and resize_ may add some.",
        },
        {
            "id": "C002",
            "chapter": "201",
            "topics": ["backward"],
            "verdict": "true",
            "claim": "backward fills .grad.",
            "torch": "backward adds to the .grad of each leaf.",
        },
    ],
    "topics": [
        {
            "id": "view",
            "chapter": "103",
            "title": "view",
            "zh": "",
            "apis": ["torch.Tensor.view"],
            "claims": ["C001"],
        },
        {
            "id": "resize",
            "chapter": "103",
            "title": "resize_",
            "zh": "",
            "apis": [],
            "claims": ["C001"],
        },
        {
            "id": "backward",
            "chapter": "201",
            "title": "backward",
            "zh": "反向传播",
            "apis": [],
            "claims": ["C002"],
        },
    ],
    "chapters": {"001": "plots", "103": "storage_and_views", "201": "gradients_and_graphs"},
    "finished": ["103"],
}

Edit = Callable[[dict[str, Any]], object]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Edit], Path]:
    """Writes the small ledger, after an edit, and gives its folder."""

    def write(edit: Edit) -> Path:
        content = yaml.safe_load(yaml.safe_dump(SMALL))
        edit(content)
        parts = {
            "claims": ["claims"],
            "topics": ["topics", "chapters"],
            "finished": ["finished"],
        }
        for name, keys in parts.items():
            text = yaml.safe_dump({key: content[key] for key in keys}, allow_unicode=True)
            (tmp_path / f"{name}.yml").write_text(text, encoding="utf-8")
        return tmp_path

    return write


def test_the_book_s_own_ledger_is_whole():
    assert ledger.check() == []
    assert len(ledger.claims()) == 572
    assert len(ledger.topics()) == 242


def test_every_chapter_has_its_number_once_and_its_claims():
    plan = ledger.plan()
    assert list(plan) == sorted(plan)
    assert plan["103"] == "storage_and_views"
    assert sum(claim.chapter == "103" for claim in ledger.claims()) == 24


def test_no_line_of_the_ledger_is_longer_than_a_reviewer_s_window():
    for name in ("claims.yml", "topics.yml", "finished.yml"):
        for line in (ledger.DATA / name).read_text(encoding="utf-8").splitlines():
            assert len(line) <= 100, f"{name}: {line}"


def test_the_small_ledger_is_whole(write: Callable[[Edit], Path]):
    folder = write(lambda content: None)
    assert ledger.check(folder) == []
    assert ledger.finished(folder) == ("103",)
    assert ledger.topics(folder)[2].zh == "反向传播"


FAULTS: dict[str, tuple[Edit, str]] = {
    "claim twice": (
        lambda c: c["claims"].append(c["claims"][1]),
        "claims.yml: C002 stands 2 times",
    ),
    "topic twice": (
        lambda c: c["topics"].append(c["topics"][2]),
        "topics.yml: backward stands 2 times",
    ),
    "finished twice": (
        lambda c: c["finished"].append("103"),
        "finished.yml: 103 stands 2 times",
    ),
    "finished unknown": (
        lambda c: c["finished"].append("999"),
        "finished.yml: 999: no such chapter in topics.yml's plan",
    ),
    "out of order": (
        lambda c: c["claims"].reverse(),
        "claims.yml: C001 stands after C002; keep the order of the ids",
    ),
    "misshapen id": (
        lambda c: c["claims"][1].update(id="C2") or c["topics"][2].update(claims=["C2"]),
        "claims.yml: C2: an id is C and three digits",
    ),
    "unknown verdict": (
        lambda c: c["claims"][0].update(verdict="maybe"),
        "claims.yml: C001: verdict 'maybe' is none of true, partly, false, outdated",
    ),
    "two sentences": (
        lambda c: c["claims"][0].update(torch="A view. It shares."),
        "claims.yml: C001: torch holds 2 sentences, not one with a full stop",
    ),
    "no full stop": (
        lambda c: c["claims"][0].update(claim="a view"),
        "claims.yml: C001: claim holds 0 sentences, not one with a full stop",
    ),
    "empty sentence": (
        lambda c: c["claims"][0].update(claim=""),
        "claims.yml: C001: claim holds 0 sentences, not one with a full stop",
    ),
    "unknown topic": (
        lambda c: c["claims"][0]["topics"].append("vue"),
        "claims.yml: C001: vue is no topic of topics.yml",
    ),
    "topic named twice": (
        lambda c: c["claims"][0]["topics"].append("view"),
        "claims.yml: C001: view is named twice",
    ),
    "claim's other chapter": (
        lambda c: c["claims"][0].update(chapter="201"),
        "claims.yml: C001: stands in chapter 201, its first topic in 103",
    ),
    "unknown claim": (
        lambda c: c["topics"][0]["claims"].append("C777"),
        "topics.yml: view: C777 is no claim of claims.yml",
    ),
    "claim listed twice": (
        lambda c: c["topics"][0]["claims"].append("C001"),
        "topics.yml: view: C001 is listed twice",
    ),
    "topic lists too much": (
        lambda c: c["topics"][0]["claims"].append("C002"),
        "topics.yml: view: lists C002, whose topics do not name view",
    ),
    "topic lists too little": (
        lambda c: c["topics"][1]["claims"].clear(),
        "claims.yml: C001: names resize, whose claims do not list C001",
    ),
    "unknown chapter": (
        lambda c: c["topics"][2].update(chapter="299") or c["claims"][1].update(chapter="299"),
        "topics.yml: backward: chapter 299 is not in the plan",
    ),
    # What cannot be read at all stops the check, so these are its only line.
    "unquoted verdict": (
        lambda c: c["claims"][0].update(verdict=False),
        "claims.yml: C001: verdict is False, not text; quote what YAML reads otherwise",
    ),
    "unquoted chapter": (
        lambda c: c["claims"][0].update(chapter=103),
        "claims.yml: C001: chapter is 103, not text; quote what YAML reads otherwise",
    ),
    "one topic, not a list": (
        lambda c: c["claims"][0].update(topics="view"),
        "claims.yml: C001: topics is 'view', not a list of texts; quote what YAML reads otherwise",
    ),
    "field missing": (
        lambda c: c["claims"][1].pop("torch"),
        "claims.yml: C002: needs exactly the fields id, chapter, topics, verdict, claim, torch",
    ),
    "field unknown": (
        lambda c: c["topics"][1].update(note="x"),
        "topics.yml: resize: needs exactly the fields id, chapter, title, zh, apis, claims",
    ),
    "not an entry": (
        lambda c: c["topics"].append("view"),
        "topics.yml: entry 4: needs exactly the fields id, chapter, title, zh, apis, claims",
    ),
    "unquoted number in the plan": (
        lambda c: c["chapters"].update({1: "plots"}),
        "topics.yml: chapter 1: quote it, as in '001': name",
    ),
    "unquoted finished chapter": (
        lambda c: c["finished"].append(201),
        "finished.yml: quote the number, '201', so that it stays text",
    ),
    "no list": (
        lambda c: c.update(finished=None),
        "finished.yml: needs `finished:`, a list",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_named(write: Callable[[Edit], Path], fault: str):
    edit, problem = FAULTS[fault]
    assert problem in ledger.check(write(edit))


def test_a_claim_without_a_topic_is_named(write: Callable[[Edit], Path]):
    def orphan(content: dict[str, Any]) -> None:
        content["claims"][1]["topics"] = []
        content["topics"].pop()

    assert ledger.check(write(orphan)) == ["claims.yml: C002: has no topic"]


@pytest.mark.parametrize("name", ["claims.yml", "topics.yml", "finished.yml"])
def test_a_missing_or_unreadable_file_is_named(tmp_path: Path, name: str):
    folder = shutil.copytree(ledger.DATA, tmp_path / "data")
    (folder / name).write_text("claims: [", encoding="utf-8")
    [problem] = ledger.check(folder)
    assert problem.startswith(f"{name}: is not YAML")
    (folder / name).unlink()
    [problem] = ledger.check(folder)
    assert problem.startswith(f"{name}: cannot be read")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("One sentence.", 1),
        ("It reads torch 2.15, e.g. x.view(2, 3), and .grad; nothing more.", 1),
        ("First. Second.", 2),
        ("Is it? Yes.", 2),
        ("The default is `None`. `dim` may be a tuple.", 2),
        ("no full stop", 0),
        ("", 0),
    ],
)
def test_sentences_are_counted(text: str, count: int):
    assert ledger.sentences(text) == count
