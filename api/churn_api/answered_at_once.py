"""Which requests the worker's loop answers itself, and how an answer leaves in one piece."""

import re
import socket
from typing import Any

LARGEST = 8_192  # bytes of a request, head and body: what gunicorn's parser takes from the socket at once
PIECE = 65_536  # bytes that are held back before they are sent
# One customer each: a fraction of a millisecond, and nothing that waits for another service.
_SHORT = (b"POST /v1/predict HTTP/1.1\r\n", b"POST /predict HTTP/1.1\r\n")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,4})[ \t]*\r\n")
_WAITS = re.compile(rb"\r\n(?:transfer-encoding|expect|upgrade)")


def is_short(came: bytes) -> bool:
    """Whether `came` is one request for one customer, with all of its bytes and nothing after them.

    Whatever is unusual about it is not short: then a thread takes its time over it.
    """
    if not came.startswith(_SHORT) or len(came) >= LARGEST:
        return False
    head, found, body = came.partition(b"\r\n\r\n")
    head = head.lower() + b"\r\n"
    length = _LENGTH.search(head)
    if not found or length is None or head.count(b"\r\ncontent-length") > 1 or _WAITS.search(head):
        return False
    return len(body) == int(length[1])


class WholeAnswer:
    """A socket on which what gunicorn sends is held back and leaves in one piece: one system call, one packet.

    Everything else is the socket's own. `flush` sends what is held.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._held = bytearray()

    def sendall(self, data: bytes) -> None:
        """Hold `data` back, or send it with what is held where it becomes much."""
        self._held += data
        if len(self._held) > PIECE:
            self.flush()

    def flush(self) -> None:
        """Send what is held. Raises OSError where the caller is gone."""
        held, self._held = self._held, bytearray()
        if held:
            self.socket.sendall(held)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.socket, name)
