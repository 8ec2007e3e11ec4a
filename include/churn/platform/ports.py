"""Free TCP ports on loopback."""

import socket
from collections.abc import Callable

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether nothing listens on this port of loopback."""
    if listens(port):
        return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def listens(port: int) -> bool:
    """Whether something accepts connections on this port of loopback."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0


def free_port(first: int, taken: frozenset[int] = frozenset(), usable: Callable[[int], bool] = is_free) -> int:
    """The first usable port at or after `first` that is not in `taken`."""
    return next(port for port in range(first, 65536) if port not in taken and usable(port))
