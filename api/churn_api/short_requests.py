"""Which requests are short: one customer's whole request, plainly written, that came in one piece."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

LARGEST = 8_192  # bytes of a request, head and body: what gunicorn's parser takes from the socket at once
# RFC 9110's field names and values, without what is legal and rare: gunicorn judges that.
_HEAD = re.compile(rb"POST (/v1/predict|/predict) HTTP/1\.1\r\n((?:[!#$%&'*+.^`|~0-9A-Za-z-]+:[\t -~]*\r\n){1,50})\r\n")
_LENGTH = re.compile(rb"[0-9]{1,4}")
_MEANS_MORE = (b"transfer-encoding", b"expect", b"upgrade")


@dataclass(frozen=True, slots=True)
class ShortRequest:
    """One request for one customer; `fields` are its headers, names in lower case, `size` its bytes in all."""

    route: str
    fields: Mapping[bytes, bytes]
    body: bytes
    size: int

    def field(self, name: bytes) -> str | None:
        """The value of a header, None where it was not sent."""
        value = self.fields.get(name)
        return None if value is None else value.decode("ascii")


def read_short(came: bytes) -> ShortRequest | None:
    """The one short request that `came` is, all of its bytes and nothing after them; None where it is anything else."""
    head = _HEAD.match(came) if len(came) < LARGEST else None
    if head is None:
        return None
    lines = head[2].split(b"\r\n")[:-1]
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    length, body = fields.get(b"content-length", b""), came[head.end() :]
    is_plain = len(fields) == len(lines) and not any(name in fields for name in _MEANS_MORE)
    if not is_plain or _LENGTH.fullmatch(length) is None or int(length) != len(body):
        return None
    return ShortRequest(head[1].decode("ascii"), fields, body, len(came))
