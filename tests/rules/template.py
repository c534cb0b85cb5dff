"""What a chapter consists of, in which order, and which tags its cells carry."""

from __future__ import annotations

import re

from tests.rules.text import Text, headings, links, tags
from tests.strict.cells import tag_problems

CLOSING = ["Where it goes wrong", "In practice", "Summary", "Exercises", "Next"]
START = "000"
_SETUP_LINES = 8


def opening(text: Text) -> list[str]:
    """The title with a question or reason; what the reader gets and needs; the setup cell."""
    cells = text.cells
    kinds = [cell.cell_type for cell in cells[:3]]
    if kinds != ["markdown", "markdown", "code"]:
        return [f"{text.chapter.name}: begins with {kinds}, not title, objectives and setup cell"]
    found = []
    first, second, setup = (cell.source for cell in cells[:3])
    if not re.match(rf"# {text.number} · \S.*\n\n\S", first):
        found.append(
            text.problem(0, f"begins with '# {text.number} · Title' and, after a blank line, why")
        )
    for part in ("**You will be able to**", "**You need**", "**Time**"):
        if part not in second:
            found.append(text.problem(1, f"{part} is missing"))
    if not re.search(r"\*\*Time\*\* \d+ minutes", second):
        found.append(text.problem(1, "the time is written **Time** N minutes"))
    objectives = re.findall(r"^- ", second, re.MULTILINE)
    if not 3 <= len(objectives) <= 5:
        found.append(text.problem(1, f"{len(objectives)} objectives, not three to five"))
    if "setup" not in tags(cells[2]):
        found.append(text.problem(2, "the first code cell is the setup cell and tagged so"))
    lines = [line for line in setup.splitlines() if line.strip()]
    if len(lines) > _SETUP_LINES:
        found.append(text.problem(2, f"{len(lines)} lines of setup, not {_SETUP_LINES} at most"))
    return found


def parts(text: Text) -> list[str]:
    """Three to six sections, then the closing ones in their order; every title once."""
    titles = [section.title for section in text.sections]
    found = []
    if sum(level == 1 for cell in text.cells for level, _ in headings(cell)) != 1:
        found.append(f"{text.chapter.name}: a chapter has one heading of the first level")
    missing = [title for title in CLOSING if title not in titles]
    if missing:
        found.append(f"{text.chapter.name}: no section {', '.join(map(repr, missing))}")
    elif titles[-len(CLOSING) :] != CLOSING:
        found.append(f"{text.chapter.name}: ends with {titles[-5:]}, not with {CLOSING}")
    own = [title for title in titles if title not in CLOSING]
    if not 3 <= len(own) <= 6:
        found.append(f"{text.chapter.name}: {len(own)} sections of its own, not three to six")
    for title in sorted({title for title in titles if titles.count(title) > 1}):
        found.append(f"{text.chapter.name}: two sections are called {title!r}")
    return found


def heading_letters(text: Text) -> list[str]:
    """Titles of sections hold only what JupyterLab's anchors hold as well."""
    return [
        text.problem(i, f"the heading {title!r} holds {', '.join(map(repr, strange))}")
        for i, cell in text.markdown
        for level, title in headings(cell)
        if level == 2 and (strange := sorted(set(re.findall(r"[^\w ,'?()\-:]|_", title))))
    ]


def known_tags(text: Text) -> list[str]:
    """Only the tags that mean something, and one setup cell."""
    found = []
    for i, cell in enumerate(text.cells):
        own = tags(cell)
        found += [text.problem(i, problem) for problem in tag_problems(own)]
        if own and cell.cell_type == "markdown":
            found.append(text.problem(i, f"a text cell carries the tags {own}"))
        if "setup" in own and i != 2:
            found.append(text.problem(i, "only the third cell is the setup cell"))
    return found


def summary(text: Text) -> list[str]:
    """Every fact of the summary links to the section that proved it."""
    section = text.section("Summary")
    if section is None:
        return []
    found = []
    for i in section.cells:
        cell = text.cells[i]
        bullets = re.split(r"^- ", cell.source, flags=re.MULTILINE)[1:]
        if not bullets and i == section.cells[0]:
            found.append(text.problem(i, "a summary is a list of facts"))
        for bullet in bullets:
            if "](#" not in bullet:
                found.append(text.problem(i, f"no link to a section in: {bullet[:60]!r}"))
    return found


def next_link(text: Text) -> list[str]:
    """The last section leads on: one chapter first, then at most three references."""
    section = text.section("Next")
    if section is None:
        return []
    cells = [text.cells[i] for i in section.cells]
    if any(cell.cell_type == "code" for cell in cells):
        return [text.problem(section.cells[-1], "nothing is run after 'Next'")]
    addresses = [address for cell in cells for address, _ in links(cell)]
    chapters = [address for address in addresses if ".ipynb" in address]
    others = len(addresses) - len(chapters)
    found = []
    if len(chapters) != 1:
        found.append(text.problem(section.cells[0], f"{len(chapters)} chapters linked, not one"))
    if others > 3:
        found.append(text.problem(section.cells[0], f"{others} references, not three at most"))
    return found
