"""The records of a CSV text, byte for byte, divided as PostgreSQL's COPY divides them.

Every quote opens or closes a quotation, wherever it stands (a doubled one does both), and a line end inside a quotation
belongs to the record. The first line end outside decides which kind ends the records: LF, CRLF or CR.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import chain

_QUOTE = b'"'
_FIRST_RECORD = re.compile(rb'(?:[^"\r\n]++|"[^"]*+")*+(\r\n|\r|\n)')


def pick_records(chunks: Iterable[bytes], numbers: Iterable[int]) -> Iterator[tuple[int, bytes]]:
    """The records of these ascending numbers (the header is 1), each without its line end.

    Reads the chunks to their end, in the memory of one chunk and the longest record.
    """
    wanted = iter(numbers)
    number, first = next(wanted, None), 1
    for records in _records(chunks):
        while number is not None and number < first + len(records):
            yield number, records[number - first].removesuffix(b"\r")  # of CRLF; no record ends with one of its own
            number = next(wanted, None)
        first += len(records)


def _records(chunks: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Lists of whole records in order; those of a CRLF text still end with CR."""
    rest = iter(chunks)
    head, line_end = _with_line_end(rest)
    begun: list[bytes] = []  # pieces of the record that is not whole yet
    in_quotation = False
    for chunk in chain([head], rest):
        *lines, tail = chunk.split(line_end)
        if not in_quotation and _QUOTE not in chunk:
            whole = lines
            if lines:
                lines[0] = b"".join((*begun, lines[0]))
                begun = []
        else:
            whole = []
            for line in lines:
                begun.append(line)
                in_quotation ^= line.count(_QUOTE) % 2 == 1
                if in_quotation:
                    begun.append(line_end)
                else:
                    whole.append(b"".join(begun))
                    begun = []
            in_quotation ^= tail.count(_QUOTE) % 2 == 1
        begun.append(tail)
        if whole:
            yield whole
    last = b"".join(begun)
    if last:
        yield [last]


def _with_line_end(chunks: Iterator[bytes]) -> tuple[bytes, bytes]:
    """As much of the text as shows its first line end, and what to split the text at."""
    head = b""
    for chunk in chunks:
        head += chunk
        found = _FIRST_RECORD.match(head)
        if found and (found[1] != b"\r" or found.end() < len(head)):  # LF may follow in the next chunk
            return head, found[1][-1:]
    return head, b"\r" if _FIRST_RECORD.match(head) else b"\n"
