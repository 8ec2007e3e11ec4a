"""Notices to people, through one adapter: Apprise where an address is set, the log where none is."""

import logging

import apprise

from churn.errors import ConfigurationError
from churn.records import Notice

log = logging.getLogger(__name__)


class Notifier:
    """Sends notices to e-mail, Slack, webhooks or whatever else the Apprise URLs name.

    `urls` are separated by spaces. Raises ConfigurationError naming the position of a URL that Apprise does not
    understand (never the URL itself: it holds a secret).
    """

    def __init__(self, urls: str = "") -> None:
        self._channels = apprise.Apprise()
        for position, url in enumerate(urls.split(), start=1):
            if not self._channels.add(url):
                raise ConfigurationError(
                    f"Address {position} in CHURN_NOTIFY_URLS is not one that Apprise understands.", "Correct it."
                )

    def send(self, notice: Notice) -> bool:
        """Send one notice; return whether every address took it.

        It is always logged as well, and an address that fails never fails the work that the notice is about.
        """
        body = f"{notice.happened}\n\nWhat it means: {notice.meaning}\nWhat to do: {notice.next_step}"
        log.warning("NOTICE %s: %s", notice.title, body.replace("\n", " "))
        if not len(self._channels):
            return True
        delivered = bool(self._channels.notify(title=notice.title, body=body))
        if not delivered:
            log.error("The notice %r did not reach every address in CHURN_NOTIFY_URLS.", notice.title)
        return delivered
