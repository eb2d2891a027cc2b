"""Events by HTTP: a server of the standard library that puts what is posted to it into the sink.

    python ingest_webhook.py [PORT]
    curl --data '{"interactionId": …}' http://127.0.0.1:8080/
    curl --header 'Content-Type: application/x-ndjson' --data-binary @events.jsonl http://127.0.0.1:8080/

It answers 204 when every event is in the spool, so an event that was answered for is not lost; 422 with the reasons for one that is not
valid (of several lines, those before it are accepted); 503 when the sink accepts none. What the sink needs is in the environment or in
.env: `destination.url` at least (CXSINK_DESTINATION__URL). A server for the open wants authentication in front of it.
"""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cxsink

BODY_BYTES_MAX = 16 << 20


class Server(ThreadingHTTPServer):
    """Has the sink that its handlers, each on a thread of its own, put events into."""

    def __init__(self, port: int, sink: cxsink.Sink) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.sink = sink


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length") or ""
        if not length.isdecimal():
            self.answer(411, {"error": "the length of the body must be given: Content-Length"})
            return
        if int(length) > BODY_BYTES_MAX:
            self.answer(413, {"error": f"a body has at most {BODY_BYTES_MAX} bytes"})
            return
        body = self.rfile.read(int(length))
        is_lines = self.headers.get_content_type() == "application/x-ndjson"
        try:
            self.server.sink.ingest_many(body.splitlines() if is_lines else [body])
        except cxsink.SchemaError as error:
            violations = [{"pointer": each.pointer, "message": each.message} for each in error.violations]
            self.answer(422, {"error": error.message, "index": error.index, "violations": violations})
        except cxsink.Error as error:
            logging.warning("%s", error)
            self.answer(503, {"error": error.message, "index": error.index})
        else:
            self.answer(204, None)

    def answer(self, status: int, content: object) -> None:
        body = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        if body:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        logging.debug(format, *arguments)


def main(port: int) -> None:
    logging.basicConfig(level=logging.INFO)
    # Leaving the first `with` closes the sink: what was accepted is applied.
    with cxsink.Sink() as sink, Server(port, sink) as server:
        # Ends serve_forever, which must not be done on the thread that is in it.
        def stop(*_: object) -> None:
            threading.Thread(target=server.shutdown).start()

        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGTERM, stop)
        print(f"listening on http://127.0.0.1:{server.server_address[1]}/", flush=True)
        server.serve_forever()
    print(sink.stats())


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
