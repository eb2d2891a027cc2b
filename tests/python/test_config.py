"""A configuration comes from a mapping, keywords, a file or the environment, with the same keys and values of Python's types."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import cxsink
import pytest


def test_a_mapping_alone_is_the_whole_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CXSINK_BATCH__EVENTS_MAX", "7")
    (tmp_path / ".env").write_text("CXONE_STREAM_ID=calls\n")
    config = cxsink.Config({"spool.path": "x.db"})
    assert (config["spool.path"], config["batch.events_max"], config.get("stream.id")) == ("x.db", "5000", None)


def test_without_a_mapping_the_environment_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CXSINK_BATCH__EVENTS_MAX", "7")
    (tmp_path / ".env").write_text("CXONE_STREAM_ID=calls\n")
    config = cxsink.Config(spool__path="x.db")
    assert (config["spool.path"], config["batch.events_max"], config["stream.id"]) == ("x.db", "7", "calls")


def test_each_source_of_values_overrides_the_one_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "cxsink.toml"
    file.write_text("[batch]\nevents_max = 1\nbytes_max = 2000\n[retry]\ndelay_min = '3s'\n[spool]\npath = 'file.db'\n")
    monkeypatch.setenv("CXSINK_BATCH__EVENTS_MAX", "2")
    config = cxsink.Config({"batch.bytes_max": 3000, "retry.delay_min": "4s"}, path=file, retry__delay_min="5s")
    names = ("spool.path", "batch.events_max", "batch.bytes_max", "retry.delay_min")
    assert [config[name] for name in names] == ["file.db", "2", "3KB", "5s"]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("spool.path", Path("a") / "b.db", "a/b.db"),
        ("stream.idle_timeout", timedelta(minutes=2), "2m"),
        ("retry.delay_min", timedelta(milliseconds=1500), "1500ms"),
        ("batch.events_max", 12, "12"),
        ("spool.bytes_max", 1 << 30, "1GiB"),
        ("spool.bytes_max", "2GiB", "2GiB"),
        ("mapping.key", ["a", "b,c"], '["a", "b,c"]'),
        ("mapping.key", ("a",), "a"),
        ("mapping.columns", {"a": "/x", "b,c": "/y"}, '{"a" = "/x", "b,c" = "/y"}'),
        (
            "mapping.columns",
            {"a": ["/x", "/y"], "b": {"pointer": "/z", "default": 1.5, "trim": True}, "c": {"constant": {"d": [1]}}, "e": "offset"},
            '{"a" = ["/x", "/y"], "b" = { pointer = "/z", default = 1.5, trim = true }, "c" = { constant = { "d" = [1] } }, "e" = "offset"}',
        ),
        ("stream.id", None, None),
        ("retention.dead_letters", timedelta(days=30), "30d"),
    ],
)
def test_values_have_types_of_python(key: str, value: cxsink.ConfigValue, expected: str | None) -> None:
    section, name = key.split(".")
    forms = [cxsink.Config({key: value}), cxsink.Config({section: {name: value}})]
    forms += [cxsink.Config({}, **{f"{section}__{name}": value}), cxsink.Config({}, **{section: {name: value}})]  # type: ignore[arg-type]
    assert [form.get(key) for form in forms] == [expected] * 4


def test_rules_are_a_list_of_tables() -> None:
    rules = [{"pointer": "/a/*", "with": "mask"}, {"pointer": "/b", "with": "hmac", "key_file": "k"}]
    expected = '[{ pointer = "/a/*", with = "mask" }, { pointer = "/b", with = "hmac", key_file = "k" }]'
    forms = [cxsink.Config({"redact": rules}), cxsink.Config({}, redact=rules), cxsink.Config({"redact": expected})]
    assert [form.get("redact") for form in forms] == [expected] * 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"spool.pth": "x"}, 'unknown key "spool.pth"; the nearest known one is "spool.path"'),
        ({"path": "x"}, 'unknown key "path"'),
        ({"retry.delay_min": 30}, "retry.delay_min: 30 has no unit"),
        ({"retry.delay_min": timedelta(microseconds=1)}, "retry.delay_min: a duration is a whole number of milliseconds"),
        ({"batch.events_max": 1.5}, "batch.events_max: a value of type float"),
        ({"batch.events_max": 0}, "batch.events_max: 0 is out of range"),
    ],
)
def test_a_mistake_names_its_key(settings: dict[str, cxsink.ConfigValue], message: str) -> None:
    with pytest.raises(cxsink.ConfigError, match="(?s)^" + message.replace(".", r"\.")) as raised:
        cxsink.Config(settings)
    assert isinstance(raised.value, ValueError) and raised.value.status is cxsink.Status.CONFIG


def test_a_copy_differs_only_in_the_given_keys() -> None:
    config = cxsink.Config({"spool.path": "a.db", "batch.events_max": 5})
    copy = cxsink.Config(config, spool__path="b.db")
    assert (copy["spool.path"], copy["batch.events_max"], config["spool.path"]) == ("b.db", "5", "a.db")
    with pytest.raises(TypeError):
        cxsink.Config(config, path="cxsink.toml")


def test_secrets_are_neither_shown_nor_pickled() -> None:
    settings = {"oauth.client_secret": "hunter2", "destination.url": "postgresql://u:hunter2@h/d"}
    config = cxsink.Config(settings)
    assert "hunter2" not in repr(config) and config["oauth.client_secret"] == "***"
    with pytest.raises(TypeError, match="secrets"):
        pickle.dumps(config)


def test_a_missing_file_is_a_config_error() -> None:
    with pytest.raises(cxsink.ConfigError, match="nowhere.toml"):
        cxsink.Config(path=Path("nowhere.toml"))


def test_contradicting_values_are_an_error_before_the_sink_is_opened() -> None:
    config = cxsink.Config({"destination.url": "sqlite:x", "retry.delay_min": "10s", "retry.delay_max": "5s"})
    with pytest.raises(cxsink.ConfigError, match=r"retry\.delay_m"):
        config.validate()


def test_a_configuration_reads_like_a_mapping_of_every_key() -> None:
    config = cxsink.Config({"spool.path": "x.db", "oauth.client_secret": "hunter2"})
    assert list(config) == cxsink.Config.keys() and len(config) == len(cxsink.Config.keys())
    assert "spool.path" in config and "stream.id" in config and "spool.pth" not in config and 7 not in config
    values = dict(config)
    assert (values["spool.path"], values["stream.id"], values["oauth.client_secret"]) == ("x.db", None, "***")
    with pytest.raises(KeyError):
        config["spool.pth"]
    del values["oauth.client_secret"]
    assert dict(cxsink.Config(values)) == {**dict(config), "oauth.client_secret": None}


@pytest.mark.parametrize("wrong", ["cxsink.toml", Path("cxsink.toml"), b"cxsink.toml", ["spool.path"], 7])
def test_a_file_or_another_object_in_place_of_a_mapping_is_named(wrong: Any) -> None:
    calls: list[Callable[[Any], object]] = [cxsink.Config, cxsink.Sink, cxsink.Validator, cxsink.DeadLetters]
    calls += [cxsink.check, cxsink.peek, cxsink.init_db, cxsink.replay, cxsink.gaps]
    for call in calls:
        with pytest.raises(TypeError, match=f"a configuration is a Config or a mapping, not {type(wrong).__name__}") as raised:
            call(wrong)
        assert ("Config(path=…)" in str(raised.value)) == isinstance(wrong, (str, bytes, Path))
