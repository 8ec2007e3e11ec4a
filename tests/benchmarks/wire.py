"""One kept-alive HTTP/1.1 connection, as little of it as a measuring caller needs: no library's work in the numbers.

A request is bytes that were made before. An answer must say its length, which Flask and uvicorn do for JSON.
"""

import socket
from dataclasses import dataclass

Address = tuple[str, int]
_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Answer:
    """A whole answer. `is_last`: the server closes the connection after it."""

    status: int
    body: bytes
    is_last: bool


class CutOff(ConnectionError):
    """The connection ended. `began`: within an answer, of which some bytes had come."""

    def __init__(self, began: bool) -> None:
        super().__init__("the connection ended within an answer" if began else "the connection ended")
        self.began = began


class Wire:
    """A connection that does not block once it is made. Raises OSError where there is nobody to connect to."""

    def __init__(self, address: Address) -> None:
        self.socket = socket.create_connection(address, timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.port: int = self.socket.getsockname()[1]
        self._received = b""

    def fileno(self) -> int:
        """For select."""
        return self.socket.fileno()

    def send(self, request: bytes) -> None:
        """Send a request whole. Raises CutOff where the connection has ended."""
        try:
            sent = self.socket.send(request)
        except OSError as error:
            raise CutOff(began=False) from error
        if sent != len(request):
            raise RuntimeError("a request larger than the socket's buffer")

    def receive(self) -> Answer | None:
        """What has come: an answer, or None where some of it is still to come. Raises CutOff."""
        try:
            came = self.socket.recv(65_536)
        except BlockingIOError:
            return None
        except OSError as error:
            raise CutOff(began=bool(self._received)) from error
        if not came:
            raise CutOff(began=bool(self._received))
        self._received += came
        answer = read_answer(self._received)
        if answer is not None:
            self._received = b""
        return answer

    def close(self) -> None:
        """End the connection."""
        self.socket.close()


def read_answer(received: bytes) -> Answer | None:
    """The answer that `received` is, None where it is not whole yet. Raises ValueError where it tells no length."""
    head, found, body = received.partition(_HEAD_END)
    if not found:
        return None
    first, *lines = head.split(b"\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    if b"content-length" not in headers:
        raise ValueError("an answer without Content-Length")
    if len(body) < int(headers[b"content-length"]):
        return None
    return Answer(int(first.split(b" ", 2)[1]), body, headers.get(b"connection", b"").lower() == b"close")


def request_of(address: Address, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """A POST of JSON as bytes."""
    named = {
        "Host": f"{address[0]}:{address[1]}",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body
