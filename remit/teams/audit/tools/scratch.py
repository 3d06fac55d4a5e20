"""The run's scratch folder: what is too large for a message is kept there and passed by name and digest."""

import os
from pathlib import Path
from typing import TypeVar

import msgspec

from remit import Context, RefusedError, ToolNotDoneError, ToolScope, tool
from remit.teams.audit.source import blob_digest

T = TypeVar("T")
PIECE_BYTES = 192 * 1024
"""A message holds at most 512 KB, and text may double when it is quoted."""


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """Names what is in the scratch folder; whoever reads it checks the digest."""

    name: str
    digest: str
    size_bytes: int


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a stored text, and the place of the next part; 0 after the last."""

    text: str
    next: int = 0


@tool(name="fs.scratch_write", risk="low", effect="idempotent")
def fs_scratch_write(name: str, text: str, at: int = 0, *, intent: str, scope: ToolScope) -> Stored:  # noqa: ARG001  # place and text are the key
    """The scratch file holds `text` from byte `at` on, and nothing after it; the same call leaves the same file."""
    file = scratch_file(scope.scratch, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as open_file:
        if open_file.seek(0, os.SEEK_END) < at:
            raise ToolNotDoneError("the scratch file is shorter than this piece's place", where=name, got=str(at))
        open_file.truncate(at)
        open_file.seek(at)
        open_file.write(text.encode())
    return stored(scope.scratch, name)


@tool(name="fs.scratch_remove", risk="low", effect="idempotent")
def fs_scratch_remove(names: tuple[str, ...], *, intent: str, scope: ToolScope) -> int:  # noqa: ARG001  # the names are the key
    """None of these scratch files is there; give how many still are, which is 0."""
    files = [scratch_file(scope.scratch, name) for name in names]
    for file in files:
        file.unlink(missing_ok=True)
    return sum(file.exists() for file in files)


@tool(name="fs.scratch_read", risk="low", effect="pure")
def fs_scratch_read(name: str, at: int = 0, *, scope: ToolScope) -> Piece:
    """Give a piece of a scratch file, cut between two characters."""
    data = scratch_file(scope.scratch, name).read_bytes()
    end = min(at + PIECE_BYTES, len(data))
    while end < len(data) and data[end] & 0xC0 == 0x80:  # noqa: PLR2004  # inside a UTF-8 character
        end -= 1
    return Piece(text=data[at:end].decode(), next=end if end < len(data) else 0)


def scratch_file(folder: Path, name: str) -> Path:
    """Give the file behind a name in the scratch folder.

    Raises:
        RefusedError: the name leads out of the folder.
    """
    file = (folder / name).resolve()
    if not name or not file.is_relative_to(folder.resolve()) or file == folder.resolve():
        raise RefusedError("the name leaves the scratch folder", where="name", got=name)
    return file


def stored(folder: Path, name: str) -> Stored:
    """Name a scratch file as it is now."""
    data = scratch_file(folder, name).read_bytes()
    return Stored(name=name, digest=blob_digest(data), size_bytes=len(data))


def fetched(folder: Path, item: Stored) -> bytes:
    """Give a scratch file's bytes, as a tool in the same folder reads them.

    Raises:
        RefusedError: it is not what its name says any more.
    """
    data = scratch_file(folder, item.name).read_bytes()
    if blob_digest(data) != item.digest:
        raise RefusedError("a scratch file changed", where=item.name, expected=item.digest, got=blob_digest(data))
    return data


# --- what roles call ---


async def put_text(ctx: Context, name: str, text: str) -> Stored:
    """The text is in the scratch folder, written in pieces that fit a message."""
    data = text.encode()
    at = 0
    while True:
        piece = data[at : at + PIECE_BYTES].decode(errors="ignore")
        written = await ctx.call(fs_scratch_write, name=name, text=piece, at=at)
        at = written.size_bytes
        if at >= len(data):
            return written


async def put(ctx: Context, name: str, value: object) -> Stored:
    """A value is in the scratch folder, as JSON."""
    return await put_text(ctx, name, msgspec.json.encode(value, order="deterministic").decode())


async def get(ctx: Context, item: Stored, kind: type[T]) -> T:
    """Give a stored value.

    Raises:
        RefusedError: it is not what was stored.
    """
    data = await _data(ctx, item.name)
    if blob_digest(data) != item.digest:
        raise RefusedError("a scratch file changed", where=item.name, expected=item.digest, got=blob_digest(data))
    return msgspec.json.decode(data, type=kind)


async def look_up(ctx: Context, name: str, kind: type[T]) -> T:
    """Give what stands under a name now, for one who was told no digest.

    Raises:
        ToolFailedError: there is no such file.
    """
    return msgspec.json.decode(await _data(ctx, name), type=kind)


async def _data(ctx: Context, name: str) -> bytes:
    parts: list[str] = []
    at = 0
    while True:
        piece = await ctx.call(fs_scratch_read, name=name, at=at)
        parts.append(piece.text)
        at = piece.next
        if not at:
            return "".join(parts).encode()
