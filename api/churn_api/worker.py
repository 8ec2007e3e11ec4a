"""gunicorn's threaded worker, but for four things: short requests, slow callers, lingering callers and its end.

- **Short requests** on a kept connection are answered in the worker's own loop as soon as they are there as a whole: a
  prediction takes a fraction of a millisecond, less than it costs to hand it to a thread and back under the
  interpreter's lock. All that wait at one moment are scored together and without Flask (churn_api.at_once); those that
  cannot be simply answered go through Flask. What is not whole, or may take longer, goes to the threads.
- **Slow callers**: a request is read by a thread that waits for its bytes; gunicorn itself bounds the wait for the
  first byte only, so a caller who sends one byte a second would hold the thread for ever. Here the reading side of
  such a connection is shut: the thread sees the end of the request, answers that it was too slow, and is free. Each
  worker has few threads, so a flood of slow callers still costs others up to READ_SECONDS: towards the internet a
  buffering proxy stands in front.
- **Lingering callers**: gunicorn's loop waits up to two seconds for a caller to close; here a thread does.
- **The end**: told to end, the worker takes who has connected already, listens no more, and answers what comes on the
  connections that it has, each for the last time (`Connection: close`), until they have been silent for the seconds of
  `keepalive`. No request that it was sent is cut off.
"""

import os
import select
import selectors
import socket
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from gunicorn.workers.gthread import TConn, ThreadWorker

from churn_api.short_requests import LARGEST, ShortRequest, read_short
from churn_api.whole_answer import WholeAnswer

# The master imports this module before it says where the metrics of all workers meet, and before it forks.
if TYPE_CHECKING:
    from churn_api.at_once import AtOnce

READ_SECONDS = float(os.environ.get("CHURN_API_READ_SECONDS") or 10)
HOLD_SECONDS = 60.0  # after which a caller who does not take the answer is cut off
LOOK_SECONDS = 0.5


class BoundedWorker(ThreadWorker):
    """A threaded worker in which no connection holds a thread for long without getting on."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._began: dict[TConn, float] = {}  # connections in a thread, and since when
        self._short: list[tuple[TConn, ShortRequest]] = []  # found by the look at the sockets that is under way

    def handle(self, conn: TConn) -> Any:
        """Handle a request; runs in a thread, or in the loop for a short one."""
        self._began[conn] = time.monotonic()
        try:
            return super().handle(conn)
        finally:
            del self._began[conn]

    def handle_request(self, req: Any, conn: TConn) -> Any:
        """Answer a request: its head and body are sent together."""
        whole = conn.sock = WholeAnswer(conn.sock)
        try:
            return super().handle_request(req, conn)
        finally:
            conn.sock = whole.socket
            whole.flush()

    def on_client_socket_readable(self, conn: TConn, client: Any) -> None:
        """A kept connection has something to read: a short request, or work for a thread."""
        short = _peek_short_request(conn)
        if short is None:
            super().on_client_socket_readable(conn, client)
        else:
            self._short.append((conn, short))

    def _answer_short_requests(self, found: Sequence[tuple[TConn, ShortRequest]]) -> None:
        """Answer together what can be answered so, and the others one by one."""
        answers: Sequence[bytes | None] = [None] * len(found)
        if self.alive and len(self.keepalived_conns) < self.max_keepalived:
            at_once: AtOnce = self.wsgi.extensions["at_once"]
            try:
                answers = at_once.answer([short for _, short in found])
            except Exception:  # whatever it is, the framework answers: one by one, and each with its own error
                self.log.exception("Short requests could not be answered together.")
        for (conn, short), answer in zip(found, answers, strict=True):
            self.keepalived_conns.remove(conn)
            if self._handle_in_loop(conn) if answer is None else _send(conn, short, answer):
                conn.sock.setblocking(False)
                conn.set_timeout()
                self.keepalived_conns.append(conn)
            else:
                self.poller.unregister(conn.sock)
                self._leave(conn)

    def _handle_in_loop(self, conn: TConn) -> bool:
        """Whether the connection stays, after gunicorn and Flask have answered its request."""
        with suppress(Exception):  # as in a thread: what even gunicorn did not foresee costs its connection, no more
            return self.handle(conn) is True
        return False

    def set_accept_enabled(self, enabled: bool) -> None:
        """Accept connections or not, as gunicorn says; at the end those that have been made are accepted first."""
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            for listener in self.sockets:
                while self.nr_conns < self.worker_connections and _has_caller(listener):
                    self.accept(listener)
                listener.close()  # or the kernel would go on taking connections that nobody answers

    def finish_request(self, conn: TConn, fs: "Future[Any]") -> None:
        """Go on with a connection that a thread has answered.

        One whose answer promised that it stays open does so also where the worker was told to end meanwhile: its
        caller may have sent the next request by now.
        """
        result = fs.result() if not fs.cancelled() and fs.exception() is None else False
        if result is True:
            conn.sock.setblocking(False)
            conn.set_timeout()
            self.keepalived_conns.append(conn)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_client_socket_readable, conn))
        elif result is False:
            self._leave(conn)
        else:
            super().finish_request(conn, fs)

    def _leave(self, conn: TConn) -> None:
        """Close a connection after its last answer, beside the loop: its caller may take some time to close it too."""
        self.nr_conns -= 1
        self.tpool.submit(conn.close, graceful=True)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for less long than gunicorn would, so that what follows each wait is in time: also at the end, where a
        worker with an idle connection would otherwise wait until it is killed, with its log unwritten."""
        super().wait_for_and_dispatch_events(min(timeout, LOOK_SECONDS))
        found, self._short = self._short, []
        if found:
            self._answer_short_requests(found)

    def murder_pending(self) -> None:
        """Close connections without a request, as gunicorn does, and end the reading of those that are too slow."""
        super().murder_pending()
        now = time.monotonic()
        for conn, began in list(self._began.items()):
            if now - began > HOLD_SECONDS:
                _shut(conn, socket.SHUT_RDWR)
            elif now - began > READ_SECONDS:
                _shut(conn, socket.SHUT_RD)


def _peek_short_request(conn: TConn) -> ShortRequest | None:
    """The short request that waits on the socket, where the caller takes what is sent; it stays there."""
    try:
        came = conn.sock.recv(LARGEST, socket.MSG_PEEK)
        short = read_short(came) if not conn.parser.unreader.buf.tell() else None
        return short if short is not None and _takes_an_answer(conn.sock) else None
    except OSError:
        return None


def _send(conn: TConn, short: ShortRequest, answer: bytes) -> bool:
    """Take the request from the socket and send its answer; False where the caller is gone."""
    try:
        return len(conn.sock.recv(short.size)) == short.size and conn.sock.send(answer) == len(answer)
    except OSError:
        return False


def _has_caller(listener: Any) -> bool:
    return bool(select.select([listener], (), (), 0)[0])


def _takes_an_answer(sock: socket.socket) -> bool:
    """Whether the socket has room: a caller who reads nothing must not hold up the loop."""
    return bool(select.select((), [sock], (), 0)[1])


def _shut(conn: TConn, how: int) -> None:
    try:
        conn.sock.shutdown(how)
    except OSError:
        return  # the caller was faster
