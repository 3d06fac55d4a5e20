"""Whatever is done to a sealed file is noticed, by anybody who has the public key."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import pytest

from remit.bus import seal
from remit.bus.identity import NKey
from remit.bus.stream import Entry
from remit.contracts.errors import EvidenceBrokenError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = NKey.generate()
RUNS = [
    (
        run,
        [
            Entry(f"remit.run.{run}._.{number}.planned", seq + number, data, headers, NOW)
            for number, (data, headers) in enumerate(
                [(b'{"a":1}', None), ("päck".encode(), {"X": "1"}), (b"\xff\0", None)]
            )
        ],
    )
    for run, seq in (("r1", 10), ("r2", 20), ("r3", 30))
]


def packed(key: NKey = KEY, runs: list[tuple[str, list[Entry]]] = RUNS) -> bytes:
    return seal.pack(runs, opening=seal.Opening(team="t", deployment="d", key=key.public, sealed_at=NOW), key=key)


def lines() -> list[bytes]:
    return gzip.decompress(packed()).splitlines()


def again(text: list[bytes]) -> bytes:
    """Pack lines as `seal` does."""
    made = gzip.compress(b"".join(line + b"\n" for line in text), mtime=0)
    return made[:9] + b"\xff" + made[10:]


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], seal.Sealed]:
    def read(data: bytes) -> seal.Sealed:
        (tmp_path / "a.jsonl.gz").write_bytes(data)
        return seal.read(tmp_path / "a.jsonl.gz", key=KEY.public)

    return read


def test_what_was_sealed_is_read_as_it_was(read: Callable[[bytes], seal.Sealed]) -> None:
    found = read(packed())

    assert [(run.run, [*run.entries]) for run in found.runs] == RUNS
    assert read(again(lines())) == found


def test_every_byte_counts(read: Callable[[bytes], seal.Sealed]) -> None:
    text = b"".join(line + b"\n" for line in lines())

    for place in range(len(text)):
        changed = text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :]
        with pytest.raises(EvidenceBrokenError):
            read(again(changed.split(b"\n")[:-1]) if changed.endswith(b"\n") else packed()[:-1])


def test_every_byte_of_the_file_counts(read: Callable[[bytes], seal.Sealed]) -> None:
    data, whole = packed(), read(packed())

    for place in range(len(data)):
        changed = data[:place] + bytes([data[place] ^ 0x41]) + data[place + 1 :]
        try:
            assert read(changed) == whole, "bits that fill up the last byte of a block mean nothing"
        except EvidenceBrokenError:
            continue


def test_nothing_is_left_out_moved_or_repeated(read: Callable[[bytes], seal.Sealed]) -> None:
    whole = lines()

    for place in range(len(whole)):
        for changed in (
            whole[:place] + whole[place + 1 :],
            [*whole[:place], whole[place], *whole[place:]],
            whole[:place],
            [*whole[:place], *whole[place + 1 : place + 2], whole[place], *whole[place + 2 :]],
        ):
            if changed != whole:
                with pytest.raises(EvidenceBrokenError):
                    read(again(changed))


def test_a_run_is_not_left_out_or_moved(read: Callable[[bytes], seal.Sealed]) -> None:
    head, *rest, end = lines()
    runs = [rest[at : at + 4] for at in range(0, len(rest), 4)]
    order = (2, 0, 1)

    for changed in (runs[1:], runs[:-1], [runs[0], runs[2]], [runs[place] for place in order], runs * 2):
        with pytest.raises(EvidenceBrokenError):
            read(again([head, *(line for run in changed for line in run), end]))


def test_who_chains_anew_without_the_key_is_found_out(read: Callable[[bytes], seal.Sealed]) -> None:
    other = NKey.generate()
    forged = seal.pack(
        [("r1", [msgspec.structs.replace(RUNS[0][1][0], data=b"{}")])],
        opening=seal.Opening(team="t", deployment="d", key=KEY.public, sealed_at=NOW),
        key=other,
    )

    for data in (forged, packed(other)):
        with pytest.raises(EvidenceBrokenError):
            read(data)


def test_what_unpacks_without_end_is_refused(
    read: Callable[[bytes], seal.Sealed], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seal, "LIMIT_BYTES", 100)

    with pytest.raises(EvidenceBrokenError, match="cut or added to"):
        read(packed())
