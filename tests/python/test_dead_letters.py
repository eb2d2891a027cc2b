"""Dead letters in Python: listed, exported, replayed and purged, with and without a sink."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import cxsink
import pytest
from conftest import event


def make(settings: dict[str, str], *bad: bytes) -> None:
    with cxsink.Sink(settings) as sink:
        sink.import_lines(bad)
    assert sink.stats().dead_lettered == len(bad)


def test_they_have_every_detail_and_their_repr_shows_no_event(settings: dict[str, str]) -> None:
    before = datetime.now(timezone.utc) - timedelta(seconds=1)
    make(settings, b"{", json.dumps(event(secret="hunter2")).encode(), b"\xff\xfe")
    letters = list(cxsink.DeadLetters(settings))
    assert [letter.stage for letter in letters] == ["json", "schema", "json"]
    assert [letter.event for letter in letters] == [b"{", json.dumps(event(secret="hunter2")).encode(), b"\xff\xfe"]
    assert [violation.keyword for violation in letters[1].violations] == ["additionalProperties"]
    assert before < letters[0].received_at <= letters[0].rejected_at <= datetime.now(timezone.utc)
    assert "hunter2" not in repr(letters)


def test_a_summary_groups_them_with_the_change_that_would_accept_them(settings: dict[str, str]) -> None:
    make(settings, b"{", *[json.dumps(event(type="hunter2", more=1)).encode()] * 3)
    letters = cxsink.DeadLetters(settings)
    summary = letters.summary()
    assert (summary.dead_letters, summary.accepted_now, summary.ungrouped) == (4, 0, 0)
    groups = {group.keyword: group for group in summary.groups}
    assert {keyword: group.dead_letters for keyword, group in groups.items()} == {"additionalProperties": 3, "enum": 3, None: 1}
    assert groups["additionalProperties"].patch == ({"op": "add", "path": "/properties/more", "value": {}},)
    assert groups["enum"].pointer == "/type" and not groups["enum"].patch and "hunter2" not in repr(summary)
    assert groups["enum"].first_at <= groups["enum"].last_at <= datetime.now(timezone.utc)
    values = {group.keyword: group for group in letters.summary(values=True).groups}
    assert values["enum"].patch == ({"op": "add", "path": "/properties/type/enum/-", "value": "hunter2"},)
    keeping = cxsink.DeadLetters({**settings, "schema.inline": "{}"})
    assert keeping.summary().accepted_now == 3


def test_they_are_read_page_by_page(settings: dict[str, str]) -> None:
    make(settings, *[b"{"] * 1203)
    letters = cxsink.DeadLetters(settings)
    offsets = [letter.offset for letter in letters]
    assert len(letters) == len(offsets) == 1203 and offsets == sorted(set(offsets))
    assert [letter.offset for letter in letters.list(offsets[500], 502)] == offsets[500:1002]
    assert letters.get(offsets[700]).offset == offsets[700]
    with pytest.raises(KeyError):
        letters.get(offsets[-1] + 1)
    with cxsink.Sink(settings) as sink:
        assert [letter.offset for letter in sink.dead_letters(limit=3)] == offsets[:3]


def test_a_running_sink_replays_those_that_are_valid_now(settings: dict[str, str], tmp_path: Path) -> None:
    make(settings, json.dumps(event("k-1", more=1)).encode(), b"{")
    keeping = {**settings, "schema.additional_properties": "keep"}
    assert cxsink.replay(keeping, dry_run=True).replayed == 1
    with cxsink.Sink(keeping) as sink:
        replayed = sink.replay()
    assert (replayed.replayed, replayed.rejected, replayed.by) == (1, 1, None)
    good, bad = replayed.fates
    assert (good.fate, bad.fate, bad.stage) == ("replayed", "rejected", "json")
    stats = sink.stats()
    assert (stats.replayed, stats.inserted, stats.is_balanced) == (1, 1, True)
    letter = cxsink.DeadLetters(settings).get(good.offset)
    assert letter.replayed_at and letter.replayed_as == good.replayed_as


def test_without_a_sink_they_are_replayed_too(any_settings: dict[str, str]) -> None:
    make(any_settings, *[json.dumps(event(f"k-{number}", more=1)).encode() for number in range(3)])
    offsets = [letter.offset for letter in cxsink.DeadLetters(any_settings)]
    keeping = {**any_settings, "schema.additional_properties": "keep"}
    replayed = cxsink.replay(keeping, offsets=[offsets[1], 10_000])
    assert (replayed.replayed, replayed.skipped) == (1, 1)
    assert cxsink.replay(keeping).replayed == 2
    assert len(cxsink.peek(any_settings).rows) == 3


def test_purging_leaves_unseen_ones(settings: dict[str, str]) -> None:
    make(settings, *[b"{"] * 4)
    letters = cxsink.DeadLetters(settings)
    offsets = [letter.offset for letter in letters]
    letters.mark_exported(offsets[:2])
    assert letters.get(offsets[0]).exported_at and letters.get(offsets[2]).exported_at is None
    with pytest.raises(cxsink.ArgumentError, match="none are selected"):
        letters.purge()
    long_ago = datetime(2020, 1, 1, tzinfo=timezone.utc)
    assert letters.purge(exported=True, before=long_ago) == cxsink.PurgeReport(deleted=0, unseen=0, unfinished=0)
    assert letters.purge(exported=True) == cxsink.PurgeReport(deleted=2, unseen=2, unfinished=0)
    assert letters.purge(unseen=True, before=datetime.now() + timedelta(hours=1)).deleted == 2
    assert len(letters) == 0


def test_without_a_spool_opening_is_an_error() -> None:
    with pytest.raises(cxsink.SpoolError, match="no such file"):
        cxsink.DeadLetters({"spool.path": "nowhere.db"})
    with pytest.raises(cxsink.SpoolError, match="no such file"):
        cxsink.replay({"spool.path": "nowhere.db", "destination.url": "sqlite:x.db"})


def test_negative_numbers_are_argument_errors(settings: dict[str, str]) -> None:
    make(settings, b"{")
    letters = cxsink.DeadLetters(settings)
    wrong: list[Callable[[], object]] = [
        lambda: cxsink.peek(settings, -1),
        lambda: letters.list(-1),
        lambda: letters.list(limit=-1),
        lambda: letters.mark_exported([-1]),
        lambda: cxsink.replay(settings, offsets=[0, -1]),
        lambda: cxsink.replay(settings, offsets=[1 << 64], dry_run=True),
    ]
    with cxsink.Sink(settings) as sink:
        wrong += [lambda: sink.dead_letters(-1), lambda: sink.dead_letters(0, -1), lambda: sink.replay([-1])]
        for call in wrong:
            with pytest.raises(cxsink.ArgumentError, match="a whole number from 0 on, not"):
                call()
    with pytest.raises(KeyError):
        letters.get(-1)
    assert cxsink.peek(settings, 0).rows == []
