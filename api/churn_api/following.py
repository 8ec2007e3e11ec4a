"""A background look at something that changes, again and again: what the followers of model and database share."""

import threading
from abc import ABC, abstractmethod
from secrets import SystemRandom

SECONDS_BETWEEN_LOOKS = 5.0
JITTER = 0.2  # of the pause, either way, so that workers do not ask all at once


class Follower(ABC):
    """Calls `look` once and then again after each pause, in a thread of its own, until it is stopped."""

    def __init__(self, name: str, seconds_between_looks: float = SECONDS_BETWEEN_LOOKS) -> None:
        self._pause = seconds_between_looks
        self._looked = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=f"{name}-follower", daemon=True)

    @abstractmethod
    def look(self) -> None:
        """Look once. Must raise nothing that is expected to happen."""

    def follow(self, wait_seconds: float = 0.0) -> None:
        """Start following; return after the first look, or after `wait_seconds` where that takes longer.

        Call it once, in the process that answers requests: a thread does not survive a fork.
        """
        self._thread.start()
        self._looked.wait(wait_seconds)

    @property
    def is_followed(self) -> bool:
        """Whether a change would still be noticed."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Stop following; what was found stays. Returns when a look that is under way has ended."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _follow(self) -> None:
        random = SystemRandom()
        while True:
            self.look()
            self._looked.set()
            if self._stopping.wait(self._pause * random.uniform(1 - JITTER, 1 + JITTER)):
                return
