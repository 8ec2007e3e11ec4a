"""How much a key may ask of this worker.

A token bucket for each key, in the worker's own memory: nothing is asked over the network, and nothing is shared. A
key whose connections are spread over N workers can therefore have up to N times its limit.
"""

import threading
import time
from collections.abc import Callable

BURST_SECONDS = 10.0  # of its limit may be asked at once


class TokenBucket:
    """Fills by `per_minute` tokens a minute up to BURST_SECONDS of them; a request takes one, and may take more later.

    Not safe by itself under threads: RateLimits holds a lock.
    """

    def __init__(self, per_minute: int, now: float) -> None:
        self.per_minute = per_minute
        self._per_second = per_minute / 60
        self._room = max(1.0, self._per_second * BURST_SECONDS)
        self._tokens, self._at = self._room, now

    def take(self, now: float) -> float:
        """Take a token: 0.0, or the seconds until there is one, where none was taken."""
        self._fill(now)
        if self._tokens < 1.0:
            return (1.0 - self._tokens) / self._per_second
        self._tokens -= 1.0
        return 0.0

    def charge(self, count: int, now: float) -> None:
        """Take tokens for what was answered already; the bucket may owe them."""
        self._fill(now)
        self._tokens -= count

    def _fill(self, now: float) -> None:
        self._tokens = min(self._room, self._tokens + (now - self._at) * self._per_second)
        self._at = now


class RateLimits:
    """The buckets of one worker, by key id; `clock` gives seconds that only grow."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, TokenBucket] = {}
        self._lock = threading.Lock()

    def take(self, key_id: str, per_minute: int) -> float:
        """Take one token of a key: 0.0, or the seconds to wait. Keys are few: those that the database holds."""
        with self._lock:
            now = self._clock()
            bucket = self._buckets.get(key_id)
            if bucket is None or bucket.per_minute != per_minute:
                bucket = self._buckets[key_id] = TokenBucket(per_minute, now)
            return bucket.take(now)

    def charge(self, key_id: str, count: int) -> None:
        """Take tokens of a key for the further rows of a batch that was answered."""
        with self._lock:
            if key_id in self._buckets:
                self._buckets[key_id].charge(count, self._clock())
