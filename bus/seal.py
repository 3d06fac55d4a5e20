"""Runs as a file that anybody can verify, offline: entries as lines, a hash chain over each run, signed heads.

The file is gzip over lines of JSON. The first says whose it is; then come, run by run, the entries and a line that
ends the run with the head of its chain, signed; the last line ends the file with the head of the chain over the runs.
The chain of a run starts from its name, and each link is the SHA-256 of the link before and the line as it stands. So
an entry that is changed, cut, added or moved is another head, and a run that is missing is another end.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import io
import zlib
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec
import nkeys  # type: ignore[import-untyped]  # ships no types

from remit.bus.stream import Entry
from remit.contracts.errors import EvidenceBrokenError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from remit.bus.identity import NKey

LIMIT_BYTES: Final = 1024 * 1024 * 1024
"""Of the lines of one file; what unpacks to more is none of ours."""
_GZIP_HEAD: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"
"""No name, no time: the same runs, sealed by the same key at the same time, are the same bytes."""
_RUN, _FILE = b"remit.archive.run.v1\n", b"remit.archive.file.v1\n"
_KEY_BYTES: Final = 35


class Opening(msgspec.Struct, frozen=True, kw_only=True, tag="archive.opened.v1"):
    """The first line: whose runs these are, and who sealed them."""

    team: str
    deployment: str
    key: str
    """Public nkey of the archivist."""
    sealed_at: datetime


class Line(msgspec.Struct, frozen=True, kw_only=True, tag="archive.entry.v1", omit_defaults=True):
    """One entry of the journal."""

    seq: int
    subject: str
    at: datetime | None = None
    headers: dict[str, str] | None = None
    data: str = ""
    base64: str = ""
    """Instead of `data`, where it is no text."""


class RunSeal(msgspec.Struct, frozen=True, kw_only=True, tag="archive.run.v1"):
    """The end of a run."""

    run: str
    entries: int
    head: str
    signature: str


class FileSeal(msgspec.Struct, frozen=True, kw_only=True, tag="archive.sealed.v1"):
    """The last line."""

    runs: int
    entries: int
    head: str
    signature: str


class SealedRun(msgspec.Struct, frozen=True):
    """A run as it was in the journal, and what it was sealed with."""

    run: str
    entries: tuple[Entry, ...]
    seal: RunSeal


class Sealed(msgspec.Struct, frozen=True):
    """A file that holds together."""

    opening: Opening
    seal: FileSeal
    runs: tuple[SealedRun, ...]


_line = msgspec.json.Decoder(Opening | Line | RunSeal | FileSeal)


def pack(runs: Sequence[tuple[str, Sequence[Entry]]], *, opening: Opening, key: NKey) -> bytes:
    """Give the file of these runs."""
    lines, file_head = [_spelled(opening)], b""
    file_head = _link(_digest(_FILE), lines[0])
    total = 0
    for run, entries in runs:
        head = _digest(_RUN + run.encode())
        for entry in entries:
            lines.append(_spelled(_line_of(entry)))
            head = _link(head, lines[-1])
        seal = RunSeal(run=run, entries=len(entries), head=head.hex(), signature=_signature(key, _RUN, head))
        lines.append(_spelled(seal))
        file_head, total = _link(file_head, lines[-1]), total + len(entries)
    end = FileSeal(runs=len(runs), entries=total, head=file_head.hex(), signature=_signature(key, _FILE, file_head))
    lines.append(_spelled(end))
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as file:
        file.write(b"".join(line + b"\n" for line in lines))
    return packed.getvalue()


def read(path: Path, *, key: str = "") -> Sealed:
    """Give what a file holds, verified; with `key`, sealed by that key and no other.

    Raises:
        EvidenceBrokenError: it is no archive, or was changed, cut or sealed by somebody else: the line is named.
        OSError: it cannot be read.
    """
    return _Reader(path.name, key).read(path.read_bytes())


class _Reader:
    """One pass over the lines of a file."""

    def __init__(self, name: str, key: str) -> None:
        self._name, self._key = name, key
        self._number = 0
        self._runs: list[SealedRun] = []
        self._entries: list[Entry] = []
        self._lines: list[bytes] = []
        self._head = b""
        self._opening: Opening | None = None
        self._seal: FileSeal | None = None

    def read(self, data: bytes) -> Sealed:
        for line in self._unpacked(data):
            self._number += 1
            if self._seal is not None:
                raise self._broken("something stands behind the end")
            self._take(line)
        if self._opening is None or self._seal is None:
            raise self._broken("the file was cut", expected="the line that ends it")
        return Sealed(self._opening, self._seal, tuple(self._runs))

    def _unpacked(self, data: bytes) -> Iterator[bytes]:
        if not data.startswith(_GZIP_HEAD):
            raise self._broken("this is no archive of runs", expected="gzip, as `remit run archive` writes it")
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            text = unpacker.decompress(data, LIMIT_BYTES)
        except zlib.error as error:
            raise self._broken("the file is damaged", got=str(error)) from error
        if not unpacker.eof or unpacker.unused_data:
            raise self._broken("the file was cut or added to")
        if not text.endswith(b"\n"):
            raise self._broken("the last line was cut")
        yield from text[:-1].split(b"\n")

    def _take(self, line: bytes) -> None:
        try:
            found = _line.decode(line)
        except msgspec.MsgspecError as error:
            raise self._broken("this line is none of an archive", got=str(error)) from error
        if isinstance(found, Opening) is not (self._opening is None):
            raise self._broken("the first line says whose it is, and no other")
        match found:
            case Opening():
                self._open(found, line)
            case Line():
                self._entries.append(self._entry(found))
                self._lines.append(line)
            case RunSeal():
                self._end_run(found, line)
            case FileSeal():
                self._end(found)

    def _open(self, opening: Opening, line: bytes) -> None:
        if self._key and opening.key != self._key:
            raise self._broken("it was sealed by another key", expected=self._key, got=opening.key)
        self._opening = opening
        self._head = _link(_digest(_FILE), line)

    def _entry(self, line: Line) -> Entry:
        try:
            data = base64.b64decode(line.base64, validate=True) if line.base64 else line.data.encode()
        except (binascii.Error, ValueError) as error:
            raise self._broken("this is no base64", got=str(error)) from error
        return Entry(line.subject, line.seq, data, line.headers, line.at)

    def _end_run(self, seal: RunSeal, line: bytes) -> None:
        head = _digest(_RUN + seal.run.encode())
        for link in self._lines:
            head = _link(head, link)
        if (seal.entries, seal.head) != (len(self._entries), head.hex()):
            raise self._broken(
                f"the entries of {seal.run} are not what was sealed",
                expected=f"{seal.entries} entries, head {seal.head}",
                got=f"{len(self._entries)} entries, head {head.hex()}",
            )
        self._check(seal.signature, _RUN, head)
        self._runs.append(SealedRun(seal.run, tuple(self._entries), seal))
        self._entries, self._lines = [], []
        self._head = _link(self._head, line)

    def _end(self, seal: FileSeal) -> None:
        found = (len(self._runs), sum(len(run.entries) for run in self._runs), self._head.hex())
        if self._entries or (seal.runs, seal.entries, seal.head) != found:
            raise self._broken("the runs are not those that were sealed", expected=str(seal.runs), got=str(found[0]))
        self._check(seal.signature, _FILE, self._head)
        self._seal = seal

    def _check(self, signature: str, what: bytes, head: bytes) -> None:
        public = self._opening.key if self._opening is not None else ""
        try:
            _verifier(public).verify(what + head, base64.b64decode(signature, validate=True))
        except (nkeys.nacl.exceptions.CryptoError, binascii.Error, ValueError, TypeError) as error:
            raise self._broken("the signature does not hold", expected=f"one by {public}") from error

    def _broken(self, why: str, *, expected: str = "", got: str = "") -> EvidenceBrokenError:
        where = f"{self._name}:{self._number}" if self._number else self._name
        return EvidenceBrokenError(
            why, where=where, expected=expected, got=got, fix="take the file from another copy; do not rely on this one"
        )


def _line_of(entry: Entry) -> Line:
    try:
        text, binary = entry.data.decode(), ""
    except UnicodeDecodeError:
        text, binary = "", base64.b64encode(entry.data).decode()
    return Line(
        seq=entry.seq, subject=entry.subject, at=entry.stored_at, headers=entry.headers, data=text, base64=binary
    )


def _spelled(value: msgspec.Struct) -> bytes:
    return msgspec.json.encode(value)


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _link(head: bytes, line: bytes) -> bytes:
    return _digest(head + line)


def _signature(key: NKey, what: bytes, head: bytes) -> str:
    return base64.b64encode(key.sign(what + head)).decode()


def _verifier(public: str) -> nkeys.nacl.signing.VerifyKey:
    """Give what verifies signatures of an nkey; raises ValueError if it is none."""
    raw = base64.b32decode(public + "=" * (-len(public) % 8))
    if len(raw) != _KEY_BYTES or nkeys.crc16(raw[:-2]) != int.from_bytes(raw[-2:], "little"):
        raise ValueError(public)
    return nkeys.nacl.signing.VerifyKey(raw[1:-2])
