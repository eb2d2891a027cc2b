"""Makes the picture of the page for the documents.

Usage: scripts/with-postgres .venv/bin/python tests/page/screenshot.py FILE.png
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Literal

from browser import ARGUMENTS, need
from playwright.sync_api import Browser, HttpCredentials, ViewportSize, sync_playwright
from sink import TOKEN, Database, Sink

# So that the plots have something to show.
BEFORE_SECONDS = 300
OUTAGE_SECONDS = 40
AFTER_SECONDS = 200
SIZE: ViewportSize = {"width": 1180, "height": 830}


def shoot(browser: Browser, url: str, scheme: Literal["light", "dark"]) -> bytes:
    credentials: HttpCredentials = {"username": "any", "password": TOKEN}
    context = browser.new_context(viewport=SIZE, color_scheme=scheme, http_credentials=credentials)
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector("#seen time")
    image = page.screenshot()
    context.close()
    return image


def main(file: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Database()
        sink = Sink(Path(folder), database.url())
        try:
            time.sleep(BEFORE_SECONDS)
            database.kill()
            time.sleep(OUTAGE_SECONDS)
            database.start()
            time.sleep(AFTER_SECONDS)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=need("chromium"), args=ARGUMENTS)
                Path(file).write_bytes(shoot(browser, sink.url, "light"))
                browser.close()
        finally:
            sink.stop()
            database.stop()


if __name__ == "__main__":
    main(sys.argv[1])
