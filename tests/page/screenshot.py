"""Makes the picture of the page for the documents: light and dark, half each.

Usage: scripts/with-postgres .venv/bin/python tests/page/screenshot.py FILE.png
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from browser import ARGUMENTS, need
from playwright.sync_api import Browser, sync_playwright
from sink import TOKEN, Database, Sink

# So that the plots have something to show.
MINUTES = 3
SIZE = {"width": 1180, "height": 830}


def shoot(browser: Browser, url: str, scheme: str) -> bytes:
    context = browser.new_context(viewport=SIZE, color_scheme=scheme, http_credentials={"username": "any", "password": TOKEN})  # type: ignore[arg-type]
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
            time.sleep(MINUTES * 60 / 3)
            database.kill()
            time.sleep(12)
            database.start()
            time.sleep(MINUTES * 60 * 2 / 3)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=need("chromium"), args=ARGUMENTS)
                for scheme in ("light", "dark"):
                    name = file if scheme == "light" else file.replace(".png", "-dark.png")
                    Path(name).write_bytes(shoot(browser, sink.url, scheme))
                browser.close()
        finally:
            sink.stop()
            database.stop()


if __name__ == "__main__":
    main(sys.argv[1])
