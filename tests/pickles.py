"""Where pickles hide: as files, behind compression, in zip members (.skops, .npz), in arrays of Python objects."""

import bz2
import gzip
import io
import lzma
import pickletools
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

SUFFIXES = (".pkl", ".pickle", ".p", ".joblib", ".cloudpickle", ".dill", ".pt", ".pth")
PROTOCOL_HEADERS = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))
COMPRESSIONS: tuple[Callable[[bytes], bytes], ...] = (gzip.decompress, zlib.decompress, bz2.decompress, lzma.decompress)


def pickles_under(folder: Path) -> list[str]:
    """Every file below a folder that is a pickle, holds one, or is named like one."""
    return [
        f"{path.relative_to(folder).as_posix()}{where}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        for where in pickles_in(path.name, path.read_bytes())
    ]


def pickles_in(name: str, content: bytes) -> Iterator[str]:
    """Where a file of this name holds pickles: "" is the file itself, "!member" a member of the archive it is."""
    if name.lower().endswith(SUFFIXES) or is_pickle(content) or is_array_of_objects(content):
        yield ""
    for inner in decompressed(content):
        yield from (f"!decompressed{where}" for where in pickles_in("", inner))
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                yield from (f"!{member}{where}" for where in pickles_in(member, archive.read(member)))


def is_pickle(content: bytes) -> bool:
    """Whether the bytes start as a pickle of protocol 2 to 5, or run as one of any protocol up to its STOP.

    `pickletools.dis` runs the opcodes on a symbolic stack, and reads no further than STOP, as unpickling does.
    """
    if content.startswith(PROTOCOL_HEADERS):
        return True
    try:
        pickletools.dis(content, out=io.StringIO())
    except (ValueError, IndexError, KeyError, UnicodeDecodeError, OverflowError):
        return False
    return True


def is_array_of_objects(content: bytes) -> bool:
    """Whether the bytes are a .npy file whose elements numpy would unpickle."""
    if not content.startswith(b"\x93NUMPY"):
        return False
    header = io.BytesIO(content)
    version = np.lib.format.read_magic(header)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return bool(read(header)[2].hasobject)


def decompressed(content: bytes) -> Iterator[bytes]:
    """The content behind each compression that it is in."""
    for decompress in COMPRESSIONS if content else ():
        try:
            yield decompress(content)
        except (OSError, zlib.error, EOFError, ValueError, lzma.LZMAError):
            continue
