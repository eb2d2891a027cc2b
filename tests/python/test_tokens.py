"""Every flow of a token against Authlib, with secrets that hold every character that some encoding treats in its own way."""

from __future__ import annotations

import functools
from pathlib import Path

import cxsink
import pytest
from authority import CLIENT_ID, CLIENT_SECRET, PASSWORD, SCOPE, SPECIAL, USERNAME, Authority, authority, simulated_token

CLIENT = {"oauth.client_id": CLIENT_ID, "oauth.client_secret": CLIENT_SECRET}
USER = {"oauth.grant": "password", "oauth.username": USERNAME, "oauth.password": PASSWORD}
ACCESS_KEY = {**USER, "oauth.grant": "access_key"}
# A colon in the id would end it (RFC 7617).
RAW_ID = CLIENT_ID.replace(":", ";")
RAW = {"oauth.client_auth": "basic_raw", "oauth.client_id": RAW_ID, "oauth.client_secret": CLIENT_SECRET}
BASIC = {**CLIENT, "oauth.client_auth": "basic"}
PUBLIC = {"oauth.client_auth": "none", "oauth.client_id": CLIENT_ID}

FLOWS: dict[str, tuple[str, dict[str, str]]] = {
    "client in the body": ("client_secret_post", CLIENT),
    "client in the head": ("client_secret_basic", BASIC),
    "client in the head, raw": ("raw_basic", RAW),
    "public client": ("none", PUBLIC),
    "user, client in the body": ("client_secret_post", {**USER, **CLIENT}),
    "user, client in the head": ("client_secret_basic", {**USER, **BASIC}),
    "user, client in the head, raw": ("raw_basic", {**USER, **RAW}),
    "user, public client": ("none", {**USER, **PUBLIC}),
    "access key": ("none", ACCESS_KEY),
}

# The keys that a hint must name after a wrong secret, and the secret that is wrong.
WRONG = {
    "client in the body": ("oauth.client_secret", ["oauth.client_id and oauth.client_secret"]),
    "client in the head": ("oauth.client_secret", ["oauth.client_secret", '"basic_raw" or "body"']),
    "client in the head, raw": ("oauth.client_secret", ["oauth.client_secret", '"basic" or "body"']),
    "user, client in the body": ("oauth.password", ["oauth.username, oauth.password, oauth.client_id"]),
    "user, client in the head": ("oauth.client_secret", ["oauth.client_id and oauth.client_secret", "basic_raw"]),
    "user, client in the head, raw": ("oauth.password", ["oauth.username, oauth.password"]),
    "user, public client": ("oauth.password", ["oauth.username, oauth.password"]),
    "access key": ("oauth.password", ["oauth.username and oauth.password"]),
}


def endpoint(served: Authority, flow: dict[str, str]) -> dict[str, str]:
    path = "access-key" if flow.get("oauth.grant") == "access_key" else "token"
    return {"oauth.url": f"{served.url}/{path}", "stream.id": "s"}


def client_id(flow: dict[str, str]) -> str:
    return flow.get("oauth.client_id", CLIENT_ID)


@pytest.mark.parametrize("name", FLOWS)
def test_each_flow_opens_the_stream(settings: dict[str, str], name: str) -> None:
    method, flow = FLOWS[name]
    with cxsink.Simulator(events=50, close_at_end=True) as simulator:
        options = simulator.options
        token = functools.partial(simulated_token, options)
        stream = {key: value for key, value in options.items() if key.startswith("stream.")}
        with authority(method, client_id(flow), token) as served:
            found = {**settings, **stream, **endpoint(served, flow), **flow, "stream.on_normal_close": "stop"}
            stats = cxsink.Sink(found).run()
    assert stats.received == 50 and stats.is_balanced
    assert len(served.requests) == 1


@pytest.mark.parametrize("name", FLOWS)
def test_the_endpoint_is_found_by_its_issuer(settings: dict[str, str], name: str) -> None:
    method, flow = FLOWS[name]
    if flow.get("oauth.grant") == "access_key":
        flow = {**flow, "oauth.grant": "password", **PUBLIC}
    with authority(method, client_id(flow)) as served:
        report = cxsink.check({**settings, **flow, "oauth.discovery": served.url, "stream.id": "s"}, areas=["oauth"])
    assert report.ok, str(report)
    steps = {step.name: step.message for step in report.steps}
    assert steps["oauth.discovery"] == f"the token endpoint is {served.url}/token"
    assert steps["oauth.token"] == f"a token for 3600 s, with the scope {SCOPE}"
    assert served.requests == ["GET /.well-known/openid-configuration", "POST /token"]


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_secret_is_refused_with_the_fix(settings: dict[str, str], name: str) -> None:
    (method, flow), (wrong, expected) = FLOWS[name], WRONG[name]
    with authority(method, client_id(flow)) as served:
        sink = cxsink.Sink({**settings, **endpoint(served, flow), **flow, wrong: f"{flow[wrong]}x"})
        with pytest.raises(cxsink.AuthError) as raised:
            sink.run()
    error = raised.value
    assert error.http_status in (400, 401)
    for part in expected:
        assert part in (error.hint or ""), error.hint
    assert SPECIAL not in f"{error} {error.hint}"


def test_a_client_that_authenticates_itself_in_another_way_is_refused(settings: dict[str, str]) -> None:
    for name, (method, flow) in FLOWS.items():
        if method == "none":
            continue
        other = "client_secret_post" if method != "client_secret_post" else "client_secret_basic"
        with authority(other, client_id(flow)) as served:
            report = cxsink.check({**settings, **endpoint(served, flow), **flow}, areas=["oauth"])
        assert not report.ok, name


def test_every_secret_may_come_from_a_file(settings: dict[str, str], tmp_path: Path) -> None:
    def file(name: str, text: str) -> str:
        path = tmp_path / name
        path.write_text(f"{text}\n", encoding="utf-8")
        return str(path)

    files = {
        "oauth.client_secret_file": file("client", CLIENT_SECRET),
        "oauth.password_file": file("user", PASSWORD),
        "oauth.params_file": f'{{ "tenant id" = "{file("tenant", SPECIAL)}" }}',
    }
    flow = {
        "oauth.grant": "password",
        "oauth.username": USERNAME,
        "oauth.client_id": CLIENT_ID,
        "oauth.client_auth": "basic",
        "oauth.params": f'{{ audience = "{SPECIAL}" }}',
    }
    with authority("client_secret_basic") as served:
        report = cxsink.check({**settings, **endpoint(served, flow), **flow, **files}, areas=["oauth"])
    assert report.ok, str(report)
    (form,) = served.forms
    assert form == {
        "grant_type": "password",
        "username": USERNAME,
        "password": PASSWORD,
        "scope": SCOPE,
        "audience": SPECIAL,
        "tenant id": SPECIAL,
    }


@pytest.mark.parametrize(
    "answers",
    [
        {"scope": None},
        {"expires_in": "3600"},
        {"expires_in": None},
        {"token_type": "bearer"},
        {"token_type": "BEARER"},
        {"token_type": None},
    ],
    ids=str,
)
def test_answers_as_they_come_in_the_wild_are_taken(settings: dict[str, str], answers: dict[str, str | None]) -> None:
    with authority("client_secret_post") as served:
        served.answers = answers
        report = cxsink.check({**settings, **endpoint(served, CLIENT), **CLIENT}, areas=["oauth"])
    assert report.ok, str(report)
    assert "a token for 3600 s" in str(report)


def test_a_token_in_a_file_opens_the_stream(settings: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "token"
    with cxsink.Simulator(events=50, close_at_end=True) as simulator:
        options = simulator.options
        file.write_text(simulated_token(options))
        stream = {key: value for key, value in options.items() if key.startswith("stream.")}
        found = {**settings, **stream, "oauth.grant": "none", "oauth.token_file": str(file)}
        stats = cxsink.Sink({**found, "stream.on_normal_close": "stop"}).run()
    assert stats.received == 50 and stats.is_balanced


def test_a_colon_in_a_raw_id_is_a_configuration_error(settings: dict[str, str]) -> None:
    with pytest.raises(cxsink.ConfigError, match=r"oauth\.client_id holds a colon"):
        cxsink.Sink({**settings, **RAW, "oauth.client_id": CLIENT_ID, "stream.id": "s"})
