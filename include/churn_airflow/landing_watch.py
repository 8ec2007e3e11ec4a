"""What wakes `validate_customers` between its hours: the triggerer looks at the landing place."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

EVERY_SECONDS = 10.0
_NAMED_COUNT = 20


class LandingTrigger(BaseEventTrigger):
    """Fires when a file has landed whole that was not there before, or not with this content.

    What lies there when it starts fires once: whatever was decided about already is a no-op. A landing place that
    cannot be listed is logged and looked at again: a watcher that ends is not started anew by itself.
    """

    def __init__(self, every_seconds: float = EVERY_SECONDS) -> None:
        super().__init__()
        self.every_seconds = every_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Its class and arguments, for the triggerer."""
        return "churn_airflow.landing_watch.LandingTrigger", {"every_seconds": self.every_seconds}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look for ever; each event names the files that are new."""
        from botocore.exceptions import BotoCoreError

        from churn.errors import ChurnError
        from churn_airflow.doors import landing

        place = await asyncio.to_thread(landing)
        seen: dict[str, str] = {}
        while True:
            try:
                found = await asyncio.to_thread(place.versions)
            except (OSError, BotoCoreError, ChurnError) as error:
                self.log.warning("The landing place cannot be listed, trying again: %s", error)
            else:
                new = sorted(url for url, version in found.items() if seen.get(url) != version)
                seen = found
                if new:
                    yield TriggerEvent({"files": new[-_NAMED_COUNT:], "count": len(new)})
            await asyncio.sleep(self.every_seconds)
