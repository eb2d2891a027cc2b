"""A deployment is checked from Python, each step for real."""

from __future__ import annotations

import cxsink
import pytest


def test_a_good_deployment_passes_and_a_bad_one_has_hints(any_settings: dict[str, str]) -> None:
    with cxsink.Simulator() as simulator:
        good = cxsink.check({**any_settings, **simulator.options})
        wrong = cxsink.check({**any_settings, **simulator.options, "oauth.client_secret": "hunter2"}, areas=["oauth"])
    assert good.ok and {step.name.split(".")[0] for step in good.steps} >= {"spool", "oauth", "stream", "destination"}
    failed = [step for step in wrong.steps if step.status == "failed"]
    assert not wrong.ok and failed and all(step.name.startswith("oauth.") and step.hint for step in failed)
    assert "hunter2" not in str(wrong) and failed[0].message in str(wrong)


def test_an_unknown_area_is_an_error() -> None:
    with pytest.raises(ValueError, match="no area is named \"spoon\"; the areas are spool"):
        cxsink.check({}, areas=["spoon"])
