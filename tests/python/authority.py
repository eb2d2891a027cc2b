"""An authorization server that this project did not write: Authlib, over real sockets. It is the oracle for token requests.

Beside it: an openid-configuration, and the JSON endpoint for access keys, which is in no RFC.
"""

from __future__ import annotations

import json
import threading
import urllib.parse
import urllib.request
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, OAuth2Request
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant, ResourceOwnerPasswordCredentialsGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc6750 import BearerTokenGenerator

SPECIAL = "=+%41 :&ü"
"""Characters that each encoding treats in its own way; a decoder that runs once too often turns %41 into A."""
CLIENT_ID = f"client{SPECIAL}"
CLIENT_SECRET = f"the-client's-{SPECIAL}"
USERNAME = f"user{SPECIAL}"
PASSWORD = f"the-user's-{SPECIAL}"
SCOPE = "data-actions:read"

METHODS = ["client_secret_post", "client_secret_basic", "none"]


class Client(ClientMixin):  # type: ignore[misc]
    """The one client; it authenticates itself by one method only."""

    def __init__(self, client_id: str, method: str) -> None:
        self.client_id = client_id
        self.method = "client_secret_basic" if method == "raw_basic" else method

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == CLIENT_SECRET

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        return method == self.method

    def check_grant_type(self, _grant_type: str) -> bool:
        return True

    def get_allowed_scope(self, scope: str | None) -> str:
        return scope or ""


class FormRequest(OAuth2Request):  # type: ignore[misc]
    def __init__(self, headers: Message[str, str], form: dict[str, str]) -> None:
        super().__init__("POST", "https://authority.example/token", headers=headers)
        self.payload = BasicOAuth2Payload(form)

    @property
    def form(self) -> Any:
        return self.payload.data


class ClientGrant(ClientCredentialsGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = METHODS


class UserGrant(ResourceOwnerPasswordCredentialsGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = METHODS

    def authenticate_user(self, username: str, password: str) -> str | None:
        return username if (username, password) == (USERNAME, PASSWORD) else None


Answer = tuple[int, dict[str, Any], dict[str, str]]


class Server(AuthorizationServer):  # type: ignore[misc]
    """Authlib's server without a web framework."""

    def __init__(self, client_id: str, method: str, token: Callable[[], str]) -> None:
        super().__init__(scopes_supported=[SCOPE])
        self.client = Client(client_id, method)
        self.register_grant(ClientGrant)
        self.register_grant(UserGrant)
        if method == "raw_basic":
            self.register_client_auth_method("client_secret_basic", raw_basic)
        self.register_token_generator("default", BearerTokenGenerator(lambda **_: token(), expires_generator=3600))

    def query_client(self, client_id: str) -> Client | None:
        return self.client if client_id == self.client.client_id else None

    def save_token(self, token: object, request: object) -> None:
        pass

    def send_signal(self, name: str, *_: object, **__: object) -> None:
        pass

    def create_oauth2_request(self, request: FormRequest) -> FormRequest:
        return request

    def handle_response(self, status: int, body: dict[str, Any], headers: list[tuple[str, str]]) -> Answer:
        return status, body, dict(headers)


def raw_basic(query_client: Callable[[str], Client | None], request: FormRequest) -> Client | None:
    """As servers do that know HTTP and not OAuth: nothing is decoded after Base64. Authlib's own method decodes."""
    _, _, credentials = request.headers.get("Authorization", "").partition(" ")
    client_id, _, secret = b64decode(credentials).decode().partition(":")
    client = query_client(client_id)
    return client if client and client.check_client_secret(secret) else None


class Authority:
    """The requests that the server got, and the answers that it gives."""

    def __init__(self, url: str, method: str, client_id: str, token: Callable[[], str]) -> None:
        self.url = url
        self.oauth = Server(client_id, method, token)
        self.token = token
        self.requests: list[str] = []
        self.forms: list[dict[str, str]] = []
        self.answers: dict[str, Any] = {}
        """Members that replace those of a token response; ``None`` leaves them out."""

    def answer(self, line: str, headers: Message[str, str], body: str) -> Answer:
        self.requests.append(line)
        if line == "GET /.well-known/openid-configuration":
            return 200, {"issuer": self.url, "token_endpoint": f"{self.url}/token"}, {}
        if line == "POST /token":
            assert headers["Content-Type"] == "application/x-www-form-urlencoded"
            form = dict(urllib.parse.parse_qsl(body, keep_blank_values=True, strict_parsing=True, errors="strict"))
            self.forms.append(form)
            status, members, more = self.oauth.create_token_response(FormRequest(headers, form))
            members = {**members, **self.answers} if status == 200 else members
            return status, {name: value for name, value in members.items() if value is not None}, more
        assert line == "POST /access-key" and headers["Content-Type"] == "application/json", line
        if json.loads(body) != {"accessKeyId": USERNAME, "accessKeySecret": PASSWORD}:
            return 401, {"message": "Unauthorized"}, {}
        return 200, {"access_token": self.token(), "token_type": "Bearer", "expires_in": 3600, "id_token": "x"}, {}


def simulated_token(options: Mapping[str, str]) -> str:
    """A token that a simulator's stream takes."""
    form = {
        "grant_type": "client_credentials",
        "client_id": options["oauth.client_id"],
        "client_secret": options["oauth.client_secret"],
        "scope": SCOPE,
    }
    with urllib.request.urlopen(options["oauth.url"], urllib.parse.urlencode(form).encode()) as response:
        token: str = json.load(response)["access_token"]
    return token


@contextmanager
def authority(method: str, client_id: str = CLIENT_ID, token: Callable[[], str] = lambda: "a-token") -> Iterator[Authority]:
    """Serves on a loopback port of its own. ``method`` is the one by which the client must authenticate itself."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_request(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            status, members, headers = served.answer(f"{self.command} {self.path}", self.headers, body)
            content = json.dumps(members).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Type": "application/json; charset=utf-8"}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = handle_request

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = Authority(f"http://127.0.0.1:{server.server_port}", method, client_id, token)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
