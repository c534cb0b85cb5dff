"""The book in a real browser, as a reader meets it: JupyterLab in Chromium, nothing simulated."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from helpers.book.bench import Server, serving
from helpers.book.workbook import NOTEBOOKS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# As root, and without a word to the net.
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
# Milliseconds: a shared machine may need half a minute to start a kernel and import torch.
PATIENCE = 90_000
ERRORS = '.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.error"]'

pytestmark = pytest.mark.timeout(300)

RIGHT = """def channels_first(picture):
    return picture.permute(2, 0, 1)
"""
WRONG = """def channels_first(picture):
    height, width, channels = picture.shape
    return picture.reshape(channels, height, width)
"""


@dataclass
class Lab:
    """JupyterLab on its own copy of the book, and the reader's folders behind it."""

    server: Server
    workbook: Path
    home: Path
    browser: Browser
    beyond: list[str] = field(default_factory=list)

    def open(self, name: str = "") -> Page:
        """A fresh page with the notebook ``name``, or with what JupyterLab opens by itself."""
        page = self.browser.new_page(viewport={"width": 1200, "height": 1400})
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: self._note(request.url))
        where = f"lab/tree/{name}" if name else ""
        page.goto(f"{self.server.url}{where}?token={self.server.token}{'&reset' if name else ''}")
        panel(page).locator(".jp-Cell").first.wait_for()
        self._wait_for_kernel(page)
        return page

    def _wait_for_kernel(self, page: Page) -> None:
        # Whoever runs a cell before the page is connected to a kernel is asked to choose one.
        front = page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab.lm-mod-current").text_content()
        end = time.monotonic() + PATIENCE / 1000
        while time.monotonic() < end:
            kernels = {one["name"]: one["kernel"] for one in self.server.ask("api/sessions")}
            kernel = kernels.get(front, {})
            if kernel.get("connections") and kernel["execution_state"] == "idle":
                return
            page.wait_for_timeout(200)
        raise AssertionError(f"no kernel for {front}")

    def _note(self, url: str) -> None:
        if not url.startswith(("data:", "blob:", "http://127.0.0.1:", "http://localhost:", "ws:")):
            self.beyond.append(url)

    def progress(self) -> dict[str, str]:
        """The state of every exercise that was tried."""
        try:
            saved = json.loads((self.home / "book" / "progress.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return {id: entry["state"] for id, entry in saved["exercises"].items()}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    if CHROMIUM is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no chromium on this machine, and here no test may be skipped")
        pytest.skip("no chromium on this machine: the book is not tested in a browser")
    home, work = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("work book é")
    with sync_playwright() as playwright, serving(NOTEBOOKS, work, home) as server:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield Lab(server, work, home, browser)
        browser.close()


def panel(page: Page) -> Locator:
    """The notebook in front."""
    return page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")


def cell(page: Page, text: str) -> Locator:
    """The one code cell whose source holds ``text``."""
    return (
        panel(page).locator(".jp-CodeCell").filter(has=page.locator(".cm-content", has_text=text))
    )


def menu(page: Page, name: str, entry: str) -> None:
    page.locator(".lm-MenuBar-itemLabel", has_text=re.compile(f"^{name}$")).click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{entry}$")).click()


def run_all(page: Page) -> None:
    """Run All, and wait until every code cell has its number."""
    menu(page, "Run", "Run All Cells")
    page.wait_for_function(
        """() => {
            const cells = [...document.querySelectorAll(
                '.jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell .jp-InputPrompt')];
            return cells.length > 0 && cells.every(p => /\\d/.test(p.textContent));
        }"""
    )


def ready(page: Page) -> None:
    expect(
        panel(page).locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]')
    ).to_be_visible(timeout=PATIENCE)


def write(page: Page, text: str, source: str) -> None:
    """Replace the source of the cell that holds ``text`` and run it."""
    editor = cell(page, text).locator(".cm-content")
    editor.scroll_into_view_if_needed()
    editor.click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(source)
    run(page, text)


def run(page: Page, text: str) -> Locator:
    """Run the cell that holds ``text``; returns its output once it is done."""
    one = cell(page, text)
    prompt = one.locator(".jp-InputPrompt")
    before = prompt.text_content()
    one.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    expect(prompt).not_to_have_text(before, timeout=PATIENCE)
    expect(prompt).to_have_text(re.compile(r"\[\d+\]"), timeout=PATIENCE)
    ready(page)
    return one.locator(".jp-OutputArea")


def shot(page: Page, folder: Path, name: str) -> None:
    page.screenshot(path=folder / f"{name}.png")


def test_the_first_chapter_opens_and_runs_from_top_to_bottom(lab, tmp_path):
    page = lab.open()
    title = page.locator(".lm-TabBar-tab.lm-mod-current", has_text="000_start_here.ipynb")
    expect(title).to_be_visible()
    run_all(page)
    shot(page, tmp_path, "000")
    assert page.locator(ERRORS).count() == 0
    figures = panel(page).locator("figure")
    assert figures.count() >= 1
    assert all(alt for alt in figures.locator("img").evaluate_all("all => all.map(i => i.alt)"))
    assert page.locator("text=official Jupyter news").count() == 0
    page.close()


def test_links_lead_to_headings_and_to_other_chapters(lab, tmp_path):
    page = lab.open("000_start_here.ipynb")
    link = panel(page).locator('a[href^="#"]:not(.jp-InternalAnchorLink)').last
    heading = link.get_attribute("href").removeprefix("#").replace("-", " ")
    link.click()
    expect(panel(page).locator("h2", has_text=heading)).to_be_in_viewport()
    panel(page).locator("a", has_text="101 · Creating tensors").last.click()
    expect(
        page.locator(".lm-TabBar-tab.lm-mod-current", has_text="101_creating_tensors.ipynb")
    ).to_be_visible()
    shot(page, tmp_path, "links")
    page.close()


def test_a_wrong_answer_teaches_and_the_right_one_counts(lab, tmp_path):
    page = lab.open("103_storage_and_views.ipynb")
    run_all(page)
    assert page.locator(ERRORS).count() == 0

    write(page, "def channels_first(picture)", WRONG)
    output = run(page, 'exercise("103.4").check(channels_first)')
    output.scroll_into_view_if_needed()
    shot(page, tmp_path, "wrong")
    expect(output).to_contain_text("103.4 wrong · strides")
    expect(output).to_contain_text("The result: strides are")
    expect(output.locator("figure img")).to_be_visible()
    assert output.locator("figure img").evaluate("i => i.complete && i.naturalWidth > 0")
    assert output.locator("figure img").get_attribute("alt")
    assert "Traceback" not in output.inner_text()
    assert page.locator(ERRORS).count() == 0
    assert lab.progress()["103.4"] == "wrong"

    write(page, "def channels_first(picture)", RIGHT)
    output = run(page, 'exercise("103.4").check(channels_first)')
    output.scroll_into_view_if_needed()
    shot(page, tmp_path, "right")
    expect(output).to_contain_text("103.4 pass")
    assert output.locator("figure").count() == 0
    assert lab.progress()["103.4"] == "pass"

    page.keyboard.press("Control+S")
    kept = lab.workbook / "103_storage_and_views.ipynb"
    expect_saved(page, kept, "permute(2, 0, 1)")
    page.close()


def expect_saved(page: Page, path: Path, text: str) -> None:
    for _ in range(50):
        if text in path.read_text(encoding="utf-8"):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"{path.name} was not saved with {text!r} in it")


def test_a_notebook_that_is_not_trusted_shows_every_figure(lab, tmp_path):
    # As it was committed, with outputs nobody ran here: JupyterLab cleans their HTML.
    name = "103_storage_and_views.ipynb"
    committed = json.loads((NOTEBOOKS / name).read_text(encoding="utf-8"))
    outputs = [o for c in committed["cells"] for o in c.get("outputs", [])]
    pictures = [o["metadata"]["figure"] for o in outputs if o.get("metadata", {}).get("figure")]
    assert pictures
    shutil.copy(NOTEBOOKS / name, lab.workbook / "untrusted.ipynb")
    page = lab.open("untrusted.ipynb")
    figures = panel(page).locator(".jp-RenderedHTMLCommon figure")
    expect(figures).to_have_count(len(pictures), timeout=PATIENCE)
    figures.first.scroll_into_view_if_needed()
    shot(page, tmp_path, "untrusted")
    for number, picture in enumerate(pictures):
        figure = figures.nth(number)
        figure.scroll_into_view_if_needed()
        expect(figure.locator("figcaption")).to_be_visible()
        # Back quotes of a caption are shown as code.
        expect(figure.locator("figcaption")).to_have_text(picture["caption"].replace("`", ""))
        image = figure.locator("img")
        assert image.get_attribute("alt") == picture["alt"]
        assert image.evaluate("i => i.complete && i.naturalWidth > 0 && i.width > 0")
        assert figure.get_attribute("style")
    assert panel(page).locator(".jp-OutputArea script").count() == 0
    page.close()


def test_nothing_was_asked_of_the_net(lab):
    assert lab.beyond == []
