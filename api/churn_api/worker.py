"""gunicorn's threaded worker with two bounds of its own: on callers who send slowly, and on its end.

A request is read by a thread that waits for its bytes; gunicorn itself bounds the wait for the first byte only, so a
caller who sends one byte a second would hold the thread for ever. Here the reading side of such a connection is shut:
the thread sees the end of the request, answers that it was too slow, and is free. Each worker has few threads, so a
flood of slow callers still costs others up to READ_SECONDS: towards the internet a buffering proxy stands in front.
"""

import os
import socket
import time
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


def _shut(conn: TConn, how: int) -> None:
    try:
        conn.sock.shutdown(how)
    except OSError:
        return  # the caller was faster
