"""The simulator from Python: options of Python's types, the events themselves, and a report that adds up."""

from __future__ import annotations

import itertools
import json
from datetime import timedelta
from pathlib import Path

import cxsink
import pytest


def test_options_have_types_of_python() -> None:
    with cxsink.Simulator(
        events="endless",
        invalid_percent=12.5,
        invalid_kinds=["bad_date", "not_json"],
        close_at_end=False,
        ping_interval=timedelta(seconds=1),
        token_failures=[429, 503],
        seed=7,
    ) as simulator:
        some = list(itertools.islice(simulator.events(), 80))
    assert sum(b"timestamp" not in each or each.endswith(b"}") is False for each in some) <= 20
    valid = [json.loads(each)["idempotencyKey"] for each in some if each.endswith(b"}")]
    assert len(valid) >= 70


def test_the_same_seed_gives_the_same_events() -> None:
    def events(seed: int) -> list[bytes]:
        with cxsink.Simulator(events=50, seed=seed) as simulator:
            return list(simulator.events())

    assert events(1) == events(1) != events(2)


def test_a_profile_has_its_settings_and_its_events(tmp_path: Path) -> None:
    with cxsink.Simulator(profile="8x8", events=20, token_file=tmp_path / "token") as simulator:
        config = cxsink.Config({**simulator.options, "destination.url": "sqlite:events.db"})
        assert config["stream.ack"] == '{"type":"ack","id":{/id}}'
        assert (tmp_path / "token").read_text().startswith("simulated-")
        validator = cxsink.Validator(config)
        for event in simulator.events():
            validator.validate(event)
    with pytest.raises(cxsink.ArgumentError, match="token_file"):
        cxsink.Simulator(profile="8x8")


@pytest.mark.parametrize("bad", [{"evnts": 1}, {"events": "many"}, {"invalid_percent": 101}, {"port": 70000}])
def test_a_bad_option_is_an_argument_error(bad: dict[str, int]) -> None:
    with pytest.raises(cxsink.ArgumentError, match=next(iter(bad))):
        cxsink.Simulator(**bad)


def test_the_wait_for_its_end_returns_at_its_end() -> None:
    simulator = cxsink.Simulator(events=10)
    assert simulator.wait_finished(0.01) is False
    simulator.stop()
    simulator.stop()
    assert simulator.wait_finished() is False
    assert simulator.report() == simulator.report() and not simulator.report().finished
