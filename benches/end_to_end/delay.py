"""A TCP proxy with a set delay: bytes that come in at one end go out at the other one later."""

from __future__ import annotations

import queue
import socket
import threading
import time


class DelayedPort:
    """A port of 127.0.0.1 behind which `target` seems to be, with `seconds` of delay each way."""

    def __init__(self, target: int, seconds: float) -> None:
        self.seconds = seconds
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self) -> None:
        """Takes no further connection."""
        self.listener.close()

    def accept(self) -> None:
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.target))
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connect(near, far)
            self.connect(far, near)

    def connect(self, source: socket.socket, sink: socket.socket) -> None:
        """One way. The queue holds what is on its way; it ends with an empty piece, as the connection does."""
        under_way: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()

        def receive() -> None:
            piece = b"..."
            while piece:
                try:
                    piece = source.recv(256 * 1024)
                except OSError:
                    piece = b""
                under_way.put((time.monotonic() + self.seconds, piece))

        def send() -> None:
            while True:
                due, piece = under_way.get()
                time.sleep(max(0.0, due - time.monotonic()))
                try:
                    if not piece:
                        sink.shutdown(socket.SHUT_WR)
                        return
                    sink.sendall(piece)
                except OSError:
                    return

        for work in (receive, send):
            threading.Thread(target=work, daemon=True).start()
