"""The bytes of an extract as they were delivered: hashed while they are read, and unpacked where they are gzip."""

import gzip
import hashlib
import zlib
from typing import BinaryIO

from churn.core.extract_text import DELIVER_AGAIN
from churn.errors import ExtractRefused


class Delivered:
    """A stream that knows the hash of what was read from it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()

    @property
    def content_hash(self) -> str:
        """SHA-256 of what has been read so far, in hex."""
        return self._digest.hexdigest()

    def read(self, byte_count: int = -1) -> bytes:
        """The next bytes; none at the end."""
        chunk = self._stream.read(byte_count)
        self._digest.update(chunk)
        return chunk


class Unzipped:
    """The content of a gzip stream, unpacked as it is asked for, so that its size never matters to memory."""

    def __init__(self, delivered: Delivered) -> None:
        # GzipFile only ever calls read; it reads on to the end of the file, so that the hash covers every byte.
        self._stream = gzip.GzipFile(fileobj=delivered, mode="rb")  # type: ignore[call-overload]

    def read(self, byte_count: int) -> bytes:
        """The next unpacked bytes. Raises ExtractRefused where the file is no gzip, damaged or cut off."""
        try:
            content: bytes = self._stream.read(byte_count)
        except EOFError as error:
            raise ExtractRefused("The gzip file ends before its end.", DELIVER_AGAIN) from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise ExtractRefused(f"The gzip file is damaged: {error}.", DELIVER_AGAIN) from error
        return content
