"""Fixtures: one sink, one browser, and pages of it that note what must not happen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from browser import ARGUMENTS, need
from playwright.sync_api import Browser, Page, Response, sync_playwright
from sink import DEADLINE_SECONDS, TOKEN, Database, Sink

PHONE = {"width": 360, "height": 740}
DESKTOP = {"width": 1280, "height": 900}


@pytest.fixture(scope="session")
def database() -> Iterator[Database]:
    database = Database()
    yield database
    database.stop()


@pytest.fixture(scope="session")
def sink(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sink]:
    sink = Sink(tmp_path_factory.mktemp("sink"), database.url())
    yield sink
    sink.stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=need("chromium"), args=ARGUMENTS)
        yield browser
        browser.close()


class Seen:
    """A page of the sink, with every answer that it got."""

    def __init__(self, page: Page, sink: Sink) -> None:
        self.page, self.sink = page, sink
        self.answers: dict[str, Any] = {}
        # What must not be: words in the console, errors of the script, requests to others.
        self.faults: list[str] = []
        page.on("console", lambda message: self.faults.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("request", lambda request: self.note_request(request.url))
        page.on("response", self.note_response)
        page.goto(sink.url)
        self.wait_for("document.querySelector('#seen time')", "the first numbers")

    def note_request(self, url: str) -> None:
        if not url.startswith(self.sink.url):
            self.faults.append(f"request to {url}")

    def note_response(self, response: Response) -> None:
        if response.url.endswith("/stats.json") and response.ok:
            answer = response.json()
            self.answers[f"{answer['now']:.3f}"] = answer

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Waits, and lets the browser tell what happens in the meantime."""
        end = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            assert time.monotonic() < end, f"not in time: {what}"
            self.page.wait_for_timeout(50)

    def wait_for(self, condition: str, what: str) -> None:
        # Not by wait_for_function, which needs eval, which the page's policy forbids.
        self.until(lambda: self.page.evaluate(f"() => Boolean({condition})"), what)

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)

    def wait_for_text(self, selector: str, text: str) -> None:
        self.until(lambda: text in self.text(selector), f"{selector} says {text!r}")


@pytest.fixture
def look(chromium: Browser, sink: Sink) -> Iterator[Callable[..., Seen]]:
    """Opens the page as a user would: a browser that is asked for the token."""
    contexts = []

    def look(**options: Any) -> Seen:
        credentials = {"username": "any", "password": TOKEN}
        context = chromium.new_context(**{"viewport": DESKTOP, "http_credentials": credentials, **options})
        contexts.append(context)
        return Seen(context.new_page(), sink)

    yield look
    for context in contexts:
        context.close()


