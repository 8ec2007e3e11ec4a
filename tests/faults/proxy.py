"""A proxy between a client and PostgreSQL that loses the server's answer to one COMMIT."""

import socket
import threading
from types import TracebackType
from typing import Self

from churn.platform.ports import LOOPBACK

COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"  # the message of the protocol, whole


class Proxy:
    """Relays connections; the first COMMIT of a connection that sent `statement` arrives, its answer does not.

    The connection is cut when the server has answered, so what was committed is committed.
    """

    def __init__(self, server_port: int, statement: str) -> None:
        self._server_port, self._statement = server_port, statement.encode()
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self._links: list[_Link] = []
        self.has_cut = False

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for link in self._links:
            link.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed: the proxy is at its end
                return
            link = _Link(client, socket.create_connection((LOOPBACK, self._server_port)))
            self._links.append(link)
            threading.Thread(target=self._ask, args=(link,), daemon=True).start()
            threading.Thread(target=link.answer, daemon=True).start()

    def _ask(self, link: "_Link") -> None:
        """Hand on what the client says, and notice the COMMIT."""
        said, meant = b"", False
        while data := link.receive(link.client):
            said = said[-len(self._statement) - len(COMMIT) :] + data
            meant = meant or self._statement in said
            if meant and said.endswith(COMMIT) and not self.has_cut:
                self.has_cut = link.loses_answer = True
            link.send(link.server, data)
        link.cut()


class _Link:
    """The two ends of one connection."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        self.loses_answer = False

    def answer(self) -> None:
        """Hand on what the server says until its answer is to be lost."""
        while (data := self.receive(self.server)) and not self.loses_answer:
            self.send(self.client, data)
        self.cut()

    def receive(self, end: socket.socket) -> bytes:
        try:
            return end.recv(1 << 16)
        except OSError:
            return b""

    def send(self, end: socket.socket, data: bytes) -> None:
        try:
            end.sendall(data)
        except OSError:
            self.cut()

    def cut(self) -> None:
        for end in (self.client, self.server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:  # cut already
                end.close()
