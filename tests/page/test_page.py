"""The page shows what stats.json says, to everybody, and follows the database and the process."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from browser import axe
from conftest import DESKTOP, PHONE, Seen
from playwright.sync_api import Browser, Error
from sink import PASSWORD, TOKEN, Database, Sink

Look = Callable[..., Seen]

# The texts of the page at one moment, and the answer that they are made of.
SNAPSHOT = """() => {
  const texts = {};
  for (const found of document.querySelectorAll("[id]")) texts[found.id] = found.textContent.trim();
  const cells = (id) => [...document.querySelectorAll(`#${id} tr`)].map((row) => [...row.children].map((cell) => cell.textContent));
  const points = (id) => document.querySelector(`#${id} path.one`).getAttribute("d").split(/[ML]/).length - 1;
  return {
    now: document.querySelector("#seen time").dataset.now,
    texts,
    dead: cells("dead"), gaps: cells("gaps"),
    errors: [...document.querySelectorAll("#errors li")].map((item) => [...item.querySelectorAll("p")].map((p) => p.textContent)),
    plots: [...document.querySelectorAll("svg[role=img]")].map((plot) => plot.getAttribute("aria-label")),
    points: points("plot-lag"),
    title: document.title,
  };
}"""


def grouped(number: float) -> str:
    return f"{number:,.0f}"


def rate(number: float) -> str:
    # As the browser rounds: halves away from zero.
    return f"{number + 1e-9:,.1f}".removesuffix(".0") if number < 10 else f"{int(number + 0.5):,}"


def snapshot(seen: Seen) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the page shows, and the answer of which it is made."""
    found: dict[str, Any] = seen.page.evaluate(SNAPSHOT)
    seen.until(lambda: found["now"] in seen.answers, "the answer that is shown")
    return found, seen.answers[found["now"]]


def check_equal(seen: Seen) -> dict[str, Any]:
    shown, answer = snapshot(seen)
    (stream,) = answer["streams"]
    stats, texts = stream["stats"], shown["texts"]
    for counter in stream["counters"]:
        assert counter["count"] == stats[counter["key"]]
        name = counter["name"] + (counter["words"] if counter["count"] else "")
        assert texts[f"count-{counter['key']}"] == name + grouped(counter["count"])
    accepted = sum(stats[name] for name in ("received", "recovered", "replayed"))
    assert texts["accepted-sum"] == grouped(accepted)
    done = "inserted updated unchanged confirmed coalesced dead_lettered superseded pending".split()
    assert texts["done-sum"] == grouped(sum(stats[name] for name in done))
    assert ("Every event is accounted for." in texts["balance"]) == stream["is_balanced"]
    words = stream["words"]
    expected = {
        "sink": words["sink"]["text"],
        "word-spool": words["spool"]["text"],
        "line": stream["line"],
        "stream": stream["stream"],
        "table": stream["table"],
        "pending": grouped(stats["pending"]),
        "stored": grouped(stream["stored"]),
        "reconnects": grouped(stats["reconnects"]),
        "rate-in": rate(stream["history"]["received_per_s_now"]),
        "rate-out": rate(stream["history"]["finished_per_s_now"]),
        "why": stream["health"]["why"] or stream["readiness"]["why"] or "",
        "version": answer["version"],
        "dead-count": grouped(stats["dead_lettered"]),
        "errors-count": grouped(sum(stream["errors"].values())),
        "gaps-count": grouped(stream["gaps"]),
        "config-file": answer["configuration"]["file"],
        "names-environment": ", ".join(answer["configuration"]["environment_variables"]),
        "names-changed": ", ".join(answer["configuration"]["changed_keys"]),
    }
    assert {name: texts[name] for name in expected} == expected
    for side in ("stream", "destination"):
        assert ", ".join(filter(None, (texts[f"word-{side}"], texts[f"next-{side}"]))) == words[side]["text"]
    letters = [
        [group["stage"], group["reason"], grouped(group["count"]), f"cxsink dead-letters show {group['last_offset']}"]
        for group in stream["rejections"]["groups"]
    ]
    assert [[row[0], row[1], row[2], row[4]] for row in shown["dead"]] == letters
    assert [row[2] for row in shown["gaps"]] == [gap["cause"] for gap in stream["latest_gaps"]]
    errors = [[error["message"], *([error["hint"]] if error["hint"] else [])] for error in stream["latest_errors"]]
    assert shown["errors"] == errors
    pending = [value for value in stream["history"]["pending"] if value is not None]
    assert shown["points"] == len(pending)
    if pending:
        assert f"now {grouped(pending[-1])}, highest {grouped(max(pending))}" in shown["plots"][1]
    assert shown["title"] == f"{words['sink']['text']} · {stream['stream']} · cxsink"
    return answer


def test_it_shows_what_stats_json_says(look: Look, sink: Sink) -> None:
    seen = look()
    seen.wait_for_text("#dead", "schema")
    seen.wait_for_text("#gaps", "closed")
    seen.wait_for("document.querySelector('#plot-rate path.one').getAttribute('d').length > 20", "a line")
    for _ in range(3):
        answer = check_equal(seen)
        seen.until(lambda: snapshot(seen)[1]["now"] > answer["now"], "the next answer")
    (stream,) = answer["streams"]
    assert stream["words"]["sink"] == {"text": "running", "tone": "good"}
    assert len(stream["rejections"]["groups"]) >= 4 and stream["gaps"] == 1
    assert seen.text("#line").startswith("running · stream connected · destination connected · ")
    assert json.loads(sink.run("status", "--json"))["process"]["streams"][0]["words"] == stream["words"]
    assert sink.run("status").splitlines()[0].startswith("running · stream connected · destination connected · ")
    assert seen.faults == []


def test_no_answer_holds_a_secret_or_a_part_of_an_event(look: Look, sink: Sink, database: Database) -> None:
    seen = look()
    seen.wait_for_text("#dead", "schema")
    answers = {path: sink.get(path).decode() for path in ("", "stats.json", "metrics", "healthz", "readyz")}
    answers["page"] = seen.page.content()
    exported = [json.loads(line) for line in sink.run("dead-letters", "export", "-").splitlines()]
    assert len(exported) >= 4
    keys = {found for letter in exported for found in re.findall(r'"(?:idempotencyKey|interactionId)":"([^"]{6,})"', letter["event"])}
    assert len(keys) >= 4
    secrets = {TOKEN, PASSWORD, database.server.password}
    for path, text in answers.items():
        assert [value for value in keys | secrets if value in text] == [], path


def violations(seen: Seen) -> list[str]:
    """Faults that axe calls serious or critical."""
    # Not as a script of the page, which its policy forbids.
    seen.page.evaluate(axe())
    found = seen.page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
    assert len(found["passes"]) > 10, "axe has looked"
    grave = (fault for fault in found["violations"] if fault["impact"] in ("serious", "critical"))
    return [f"{fault['id']}: {fault['nodes'][0]['html']}: {fault['nodes'][0]['failureSummary']}" for fault in grave]


@pytest.mark.parametrize(("scheme", "viewport"), list(product(("light", "dark"), (DESKTOP, PHONE))))
def test_everybody_can_read_it(look: Look, scheme: str, viewport: dict[str, int]) -> None:
    seen = look(color_scheme=scheme, viewport=viewport)
    seen.wait_for_text("#dead", "schema")
    seen.page.click("summary")
    assert violations(seen) == []
    width = seen.page.evaluate("() => document.scrollingElement.scrollWidth")
    assert width <= viewport["width"], "nothing is cut at the side"
    paper = seen.page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    red = int(re.findall(r"\d+", paper)[0])
    assert red > 200 if scheme == "light" else red < 60
    assert seen.faults == []


def test_the_keyboard_reaches_everything(look: Look) -> None:
    seen = look()
    seen.wait_for_text("#dead", "schema")
    seen.wait_for_text("#gaps", "closed")
    reached = []
    for _ in range(7):
        seen.page.keyboard.press("Tab")
        focused = "() => { const e = document.activeElement; return [e.id || e.textContent, getComputedStyle(e).outlineStyle]; }"
        name, outline = seen.page.evaluate(focused)
        assert outline == "solid", f"{name}: the focus is not seen"
        reached.append(name)
        if name.startswith("Where"):
            seen.page.keyboard.press("Enter")
            assert seen.page.is_visible("#names-environment")
    expected = ["dead-box", "gaps-box", "Where the configuration comes from", "metrics", "healthz", "readyz", "stats.json"]
    assert reached == expected
    headings = seen.page.evaluate("() => [...document.querySelectorAll('h1, h2, h3')].map((e) => e.tagName).join('')")
    assert headings.startswith("H1H2H3H3H3H2H3H3H3H2H2")
    # The list of streams is hidden where there is one.
    landmarks = seen.page.evaluate(
        "() => ['header', 'main', 'footer', 'nav'].map((e) => document.querySelectorAll(`${e}:not([hidden])`).length)"
    )
    assert landmarks == [1, 1, 1, 1]


def test_it_follows_an_outage_of_the_database_and_its_end(look: Look, sink: Sink, database: Database) -> None:
    seen = look()
    seen.wait_for_text("#sink", "running")
    assert seen.text("#said") == "", "nothing is said of the first numbers"
    database.kill()
    seen.wait_for_text("#word-destination", "not connected")
    seen.wait_for_text("#sink", "stalled")
    seen.wait_for_text("#why", "events wait in the spool: the destination does not take them")
    seen.wait_for_text("#said", "The sink is stalled, stream connected, spool accepting events, destination not connected")
    seen.wait_for_text("#errors", "127.0.0.1")
    seen.until(lambda: int(seen.text("#pending").replace(",", "")) > 100, "events wait")
    assert check_equal(seen)["streams"][0]["words"]["destination"]["tone"] == "warning"
    assert violations(seen) == []
    database.start()
    seen.wait_for_text("#word-destination", "connected")
    seen.wait_for_text("#sink", "running")
    seen.wait_for_text("#said", "The sink is running, stream connected, spool accepting events, destination connected")
    seen.until(lambda: int(seen.text("#pending").replace(",", "")) < 100, "events are written")
    assert not seen.page.is_visible("#why")
    check_equal(seen)
    assert seen.faults == []


def test_it_says_when_the_process_is_gone_and_when_it_is_back(look: Look, sink: Sink) -> None:
    seen = look()
    sink.end(signal.SIGKILL)
    seen.wait_for("!document.querySelector('#gone').hidden", "the process is gone")
    assert "The process does not answer" in seen.text("#gone") and "The numbers are those of" in seen.text("#gone")
    assert "The process does not answer" in seen.text("#said") and seen.page.title() == "no answer · cxsink"
    assert violations(seen) == []
    # The browser itself notes each request that fails.
    assert all("ERR_CONNECTION_REFUSED" in fault or "ERR_EMPTY" in fault for fault in seen.faults), seen.faults
    seen.wait_for_text("#gone-next", "Next try in ")
    sink.start()
    seen.wait_for("document.querySelector('#gone').hidden", "the process is back")
    seen.wait_for_text("#sink", "running")
    check_equal(seen)


def test_a_browser_without_the_token_sees_nothing(chromium: Browser, sink: Sink) -> None:
    context = chromium.new_context()
    try:
        page = context.new_page()
        # That of a browser whose user gives none.
        with pytest.raises(Error, match="ERR_INVALID_AUTH_CREDENTIALS"):
            page.goto(sink.url)
        for path in ("", "stats.json", "icon.svg"):
            assert page.request.get(sink.url + path).status == 401, path
    finally:
        context.close()
