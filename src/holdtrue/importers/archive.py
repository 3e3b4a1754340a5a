"""Members of a zip archive that a stranger wrote, read within limits.

Inspect compresses with zstandard, which Python's zipfile reads only from 3.14 on; such members
are found by their local header and decompressed here. Sizes told by the archive are not believed:
every member is read through a bound, and so is their sum.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from holdtrue.errors import TranscriptError
from holdtrue.importers.source import Place, read_bytes

ZSTANDARD = 93
MAX_MEMBER = 50_000_000
MAX_TOTAL = 500_000_000
MAX_MEMBERS = 20_000
MAX_WINDOW = 2**27
PIECE = 1 << 20
LOCAL_HEADER = struct.Struct("<4s5HIIIHH")
BROKEN = (zipfile.BadZipFile, EOFError, OSError, zlib.error, struct.error, RuntimeError, ValueError)


class Archive:
    """An open archive of at most MAX_MEMBERS members."""

    def __init__(self, raw: bytes, opened: zipfile.ZipFile, file: str) -> None:
        self._raw = raw
        self._opened = opened
        self._file = file
        self._left = MAX_TOTAL
        self.names = opened.namelist()

    def read(self, name: str) -> bytes:
        """The bytes of a member. Raises TranscriptError: broken, too large, or unreadable here."""
        place = Place(self._file, member=name)
        try:
            info = self._opened.getinfo(name)
        except KeyError:
            raise place.fail("is missing from the log") from None
        if info.flag_bits & 0x1:
            raise place.fail("is encrypted")
        limit = min(MAX_MEMBER, self._left)
        stream = self._zstandard(info, place) if info.compress_type == ZSTANDARD else None
        try:
            with stream or self._opened.open(info) as member:
                data = member.read(limit + 1)
        except NotImplementedError:
            raise place.fail(f"compression {info.compress_type} cannot be read") from None
        except BROKEN as error:
            raise place.fail(f"is broken: {error}") from None
        if len(data) > limit:
            raise place.fail(f"holds more than {limit:,} bytes once unpacked")
        self._left -= len(data)
        return data

    def _zstandard(self, info: zipfile.ZipInfo, place: Place) -> _Bounded:
        header = self._raw[info.header_offset : info.header_offset + LOCAL_HEADER.size]
        if len(header) < LOCAL_HEADER.size:
            raise place.fail("is broken: no local header")
        fields = LOCAL_HEADER.unpack(header)
        start = info.header_offset + LOCAL_HEADER.size + fields[-2] + fields[-1]
        return _Bounded(self._raw[start : start + info.compress_size])


class _Bounded(io.RawIOBase):
    """Unpacks zstandard bytes; ``read(n)`` goes on until n bytes are there or all is read.

    Damage is an OSError, as it is for zipfile's own readers.
    """

    def __init__(self, packed: bytes) -> None:
        import zstandard

        self._damage = zstandard.ZstdError
        self._reader = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).stream_reader(
            io.BytesIO(packed), read_across_frames=True
        )

    def read(self, size: int = -1) -> bytes:
        parts: list[bytes] = []
        left = size
        try:
            while left > 0 and (part := self._reader.read(min(left, PIECE))):
                parts.append(part)
                left -= len(part)
        except self._damage as error:
            raise OSError(str(error)) from None
        return b"".join(parts)


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """The archive at ``path``. Raises TranscriptError when it is none."""
    raw = read_bytes(path)
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as opened:
            if len(opened.namelist()) > MAX_MEMBERS:
                raise TranscriptError(f"more than {MAX_MEMBERS:,} members", where=str(path))
            yield Archive(raw, opened, str(path))
    except BROKEN as error:
        raise TranscriptError(f"not a zip archive: {error}", where=str(path)) from None
