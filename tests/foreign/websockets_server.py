"""Streams of the profiles agent-assist and 8x8, by the package websockets, which this project did not write.

Usage: python websockets_server.py '{"profile": "agent-assist", "events": FILE, "deflate": null | {…}}'

FILE has one event a line. `deflate` has the parameters of ServerPerMessageDeflateFactory; null: no compression. A connection of agent-assist
gets the events from the first one on, one of 8x8 those that were not acknowledged, as far as they are allowed. Prints its ports as JSON,
then answers a line on the standard input with a line of JSON: `allow N` (send the first N events), `report`. Ends with the standard input.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.sync.server import ServerConnection, serve

OPTIONS = json.loads(sys.argv[1])
EVENTS = Path(OPTIONS["events"]).read_text().splitlines()
# The limit of 8x8's notifications that wait for their acknowledgement.
UNACKNOWLEDGED_MAX = 50


class State:
    """The state that all connections share."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.allowed = 0
        self.acknowledged = 0
        self.tokens: set[str] = set()
        self.report: dict[str, Any] = {"connections": 0, "heartbeats": 0, "refused": 0, "messages": 0, "acks": 0, "errors": []}

    def count(self, name: str) -> None:
        with self.changed:
            self.report[name] += 1

    def error(self, text: str) -> None:
        with self.changed:
            self.report["errors"].append(text)


STATE = State()


class Tokens(BaseHTTPRequestHandler):
    """The token endpoint."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        token = secrets.token_urlsafe(12) + '"\\='
        with STATE.changed:
            STATE.tokens.add(token)
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": 3600, "scope": "data-actions:read"}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: the standard error stream is for errors."""


class Conversation:
    """One connection: answers on its own thread, sends events on another."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.sending = threading.Lock()
        self.is_open = False
        self.is_over = False

    def run(self) -> None:
        STATE.count("connections")
        compresses = bool(self.socket.protocol.extensions)
        if compresses != (OPTIONS["deflate"] is not None):
            STATE.error(f"compression is {compresses}")
        sender = threading.Thread(target=self.send_events)
        sender.start()
        try:
            for text in self.socket:
                self.receive(json.loads(text))
        except ConnectionClosed:
            pass
        finally:
            with STATE.changed:
                self.is_over = True
                STATE.changed.notify_all()
            sender.join()

    def send(self, message: str | list[str]) -> None:
        # Two threads send; websockets refuses a message in the middle of a fragmented one.
        with self.sending:
            self.socket.send(message)

    def open(self) -> None:
        with STATE.changed:
            self.is_open = True
            STATE.changed.notify_all()

    def refuse(self) -> None:
        STATE.count("refused")
        self.socket.close(4001, "the token is not valid")

    def first(self) -> int:
        """The number of the first event for this connection."""
        return 0

    def may_send(self, number: int) -> bool:
        return self.is_open and number < STATE.allowed

    def receive(self, message: dict[str, Any]) -> None:
        raise NotImplementedError

    def wrap(self, number: int) -> str:
        raise NotImplementedError

    def send_events(self) -> None:
        number = -1
        while True:
            with STATE.changed:
                STATE.changed.wait_for(lambda: self.is_over or self.may_send(self.first() if number < 0 else number))
                if self.is_over:
                    return
                number = self.first() if number < 0 else number
                STATE.report["messages"] += 1
            text = self.wrap(number)
            try:
                # Some in fragments.
                self.send([text[:10], text[10:40], text[40:]] if number % 7 == 6 else text)
            except ConnectionClosed:
                return
            number += 1


class AgentAssist(Conversation):
    """CONNECT, SUBSCRIBE, HEARTBEAT, each with the token; events as text in an envelope."""

    is_connected = False

    def receive(self, message: dict[str, Any]) -> None:
        if message["headers"]["token"] not in STATE.tokens:
            self.refuse()
            return
        match message["command"]:
            case "CONNECT":
                self.is_connected = True
                self.send('{"command":"CONNECTED","headers":{}}')
            case "SUBSCRIBE" if self.is_connected and message["headers"]["topic"] == "interactions":
                self.send('{"command":"SUBSCRIBED","headers":{"topic":"interactions"}}')
                self.open()
            case "HEARTBEAT":
                STATE.count("heartbeats")
                self.send('{"command":"HEARTBEAT_ACK"}')
            case _:
                STATE.error(f"unexpected: {message['command']}")

    def wrap(self, number: int) -> str:
        envelope = {"command": "MESSAGE", "headers": {"topic": "interactions"}, "body": {"data": EVENTS[number]}}
        return json.dumps(envelope)


class EightByEight(Conversation):
    """A first message with the token; each notification waits for its acknowledgement, and comes again on the next connection."""

    def first(self) -> int:
        return STATE.acknowledged

    def may_send(self, number: int) -> bool:
        return super().may_send(number) and number < STATE.acknowledged + UNACKNOWLEDGED_MAX

    def receive(self, message: dict[str, Any]) -> None:
        if "ack" in message:
            with STATE.changed:
                if message["ack"] != f"e-{STATE.acknowledged}":
                    STATE.report["errors"].append(f"acknowledged {message['ack']} in place of e-{STATE.acknowledged}")
                STATE.acknowledged += 1
                STATE.report["acks"] = STATE.acknowledged
                STATE.changed.notify_all()
        elif message.get("authorization") in STATE.tokens:
            self.send('{"status":"connected","sessionKey":"s"}')
            self.open()
        else:
            self.refuse()

    def wrap(self, number: int) -> str:
        # By hand, so that the event's own bytes are sent.
        return f'{{"eventId":"e-{number}","notification":{EVENTS[number]}}}'


PROFILES: dict[str, Callable[[ServerConnection], Conversation]] = {"agent-assist": AgentAssist, "8x8": EightByEight}


def allow(count: str) -> dict[str, Any]:
    with STATE.changed:
        STATE.allowed = min(int(count), len(EVENTS))
        STATE.changed.notify_all()
        return {"allowed": STATE.allowed}


def report() -> dict[str, Any]:
    with STATE.changed:
        return dict(STATE.report)


def main() -> None:
    tokens = ThreadingHTTPServer(("127.0.0.1", 0), Tokens)
    threading.Thread(target=tokens.serve_forever, daemon=True).start()
    deflate = OPTIONS["deflate"]
    extensions = None if deflate is None else [ServerPerMessageDeflateFactory(**deflate)]
    profile = PROFILES[OPTIONS["profile"]]
    server = serve(lambda socket: profile(socket).run(), "127.0.0.1", 0, extensions=extensions, compression=None)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ports = {"port": server.socket.getsockname()[1], "token_port": tokens.server_address[1]}
    print(json.dumps(ports), flush=True)
    commands: dict[str, Callable[..., dict[str, Any]]] = {"allow": allow, "report": report}
    for line in sys.stdin:
        name, *arguments = line.split()
        print(json.dumps(commands[name](*arguments)), flush=True)
    # At once: the threads of open connections wait for their clients.
    os._exit(0)


main()
