"""The book's own rules, each for every chapter. What a rule asks is in its docstring."""

from __future__ import annotations

from functools import cache

import pytest

from helpers.book import ledger
from helpers.book.chapters import NOTEBOOKS, SOURCES, Chapter, chapters
from helpers.exercises.registry import chapters_with_exercises, exercises_of
from tests.rules import claims, code, drift, exercises, figures, links, rhythm, template
from tests.rules.text import Text

CHAPTERS = chapters()
OF_THE_TEXT = [
    template.opening,
    template.parts,
    template.heading_letters,
    template.known_tags,
    template.summary,
    template.next_link,
    rhythm.cell_length,
    rhythm.alternation,
    rhythm.width,
    rhythm.words,
    rhythm.proofs,
    rhythm.voice,
    rhythm.predictions,
    code.plain_cells,
    code.imports,
    code.calls,
    links.local_links,
    links.alt_texts,
    exercises.layout,
    exercises.enough,
    exercises.unsolved,
]
OF_THE_NOTEBOOK = [drift.in_step, figures.said, exercises.unsolved_outputs]

every_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.number)
text_of = cache(Text.of)


def named(rule) -> str:
    return f"{rule.__module__.rsplit('.', 1)[-1]}.{rule.__name__}"


def require_none(problems: list[str]) -> None:
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


def declarations(chapter: Chapter) -> list:
    known = chapter.number in chapters_with_exercises()
    return exercises_of(chapter.number) if known else []


@every_chapter
@pytest.mark.parametrize("rule", OF_THE_TEXT, ids=named)
def test_text(rule, chapter):
    require_none(rule(text_of(chapter)))


@every_chapter
@pytest.mark.parametrize("rule", OF_THE_NOTEBOOK, ids=named)
def test_notebook(rule, chapter):
    require_none(rule(chapter))


@every_chapter
def test_the_exercises_are_those_declared(chapter):
    require_none(exercises.declared(text_of(chapter), declarations(chapter)))


@every_chapter
def test_no_solution_is_in_the_chapter(chapter):
    require_none(exercises.no_solution(text_of(chapter), declarations(chapter)))


@every_chapter
def test_cells_tagged_with_a_claim_prove_it(chapter):
    require_none(claims.tagged_cells(text_of(chapter), ledger.claims()))


def test_finished_chapters_show_all_their_claims_and_topics():
    there = {chapter.number: chapter for chapter in CHAPTERS}
    problems = claims.finished_chapters(ledger.finished(), there)
    for number in ledger.finished():
        if number in there:
            text = text_of(there[number])
            problems += claims.complete(text, ledger.claims(), ledger.topics())
    require_none(problems)


def test_notebooks_and_sources_come_in_pairs():
    require_none(drift.orphans(SOURCES, NOTEBOOKS))


def test_every_module_of_exercises_has_its_chapter():
    written = {chapter.number for chapter in CHAPTERS}
    require_none(
        [
            f"ex{number}.py has no chapter"
            for number in chapters_with_exercises()
            if number not in written
        ]
    )
