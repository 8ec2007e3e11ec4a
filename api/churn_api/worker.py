"""gunicorn's threaded worker with two bounds of its own: on callers who send slowly, and on its end.

Told to end, it takes who has connected already, listens no more, and answers what comes on the connections that it has,
each for the last time (`Connection: close`), until they have been silent for the seconds of `keepalive`. No request
that it was sent is cut off.

A request is read by a thread that waits for its bytes; gunicorn itself bounds the wait for the first byte only, so a
caller who sends one byte a second would hold the thread for ever. Here the reading side of such a connection is shut:
the thread sees the end of the request, answers that it was too slow, and is free. Each worker has few threads, so a
flood of slow callers still costs others up to READ_SECONDS: towards the internet a buffering proxy stands in front.
"""

import os
import select
import selectors
import socket
import time
from concurrent.futures import Future
from functools import partial
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

READ_SECONDS = float(os.environ.get("CHURN_API_READ_SECONDS") or 10)
HOLD_SECONDS = 60.0  # after which a caller who does not take the answer is cut off
LOOK_SECONDS = 0.5


class BoundedWorker(ThreadWorker):
    """A threaded worker in which no connection holds a thread for long without getting on."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._began: dict[TConn, float] = {}  # connections in a thread, and since when

    def handle(self, conn: TConn) -> Any:
        """Handle a request; runs in a thread."""
        self._began[conn] = time.monotonic()
        try:
            return super().handle(conn)
        finally:
            del self._began[conn]

    def set_accept_enabled(self, enabled: bool) -> None:
        """Accept connections or not, as gunicorn says; at the end those that have been made are accepted first."""
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            for listener in self.sockets:
                while self.nr_conns < self.worker_connections and _has_caller(listener):
                    self.accept(listener)
                listener.close()  # or the kernel would go on taking connections that nobody answers

    def finish_request(self, conn: TConn, fs: "Future[Any]") -> None:
        """Go on with a connection as gunicorn does, but for one whose answer promised that it stays open while the
        worker was told to end: its caller may have sent the next request by now, so it is answered too."""
        promised = not self.alive and not fs.cancelled() and fs.exception() is None and fs.result() is True
        if not promised:
            super().finish_request(conn, fs)
            return
        conn.sock.setblocking(False)
        conn.set_timeout()
        self.keepalived_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_client_socket_readable, conn))

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for less long than gunicorn would, so that what follows each wait is in time: also at the end, where a
        worker with an idle connection would otherwise wait until it is killed, with its log unwritten."""
        super().wait_for_and_dispatch_events(min(timeout, LOOK_SECONDS))

    def murder_pending(self) -> None:
        """Close connections without a request, as gunicorn does, and end the reading of those that are too slow."""
        super().murder_pending()
        now = time.monotonic()
        for conn, began in list(self._began.items()):
            if now - began > HOLD_SECONDS:
                _shut(conn, socket.SHUT_RDWR)
            elif now - began > READ_SECONDS:
                _shut(conn, socket.SHUT_RD)


def _has_caller(listener: Any) -> bool:
    return bool(select.select([listener], (), (), 0)[0])


def _shut(conn: TConn, how: int) -> None:
    try:
        conn.sock.shutdown(how)
    except OSError:
        return  # the caller was faster
