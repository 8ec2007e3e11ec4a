"""How an answer leaves in one piece."""

import socket
from typing import Any

PIECE = 65_536  # bytes that are held back before they are sent


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
