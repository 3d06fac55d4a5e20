"""What is said to be on the disk was synced, with the names that lead to it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from remit.bus import private_file

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Inodes that were synced."""
    seen, sync = set[int](), os.fsync

    def note(handle: int) -> None:
        sync(handle)
        seen.add(os.fstat(handle).st_ino)

    monkeypatch.setattr(os, "fsync", note)
    return seen


def test_a_directory_is_kept_with_all_that_were_made_for_it(tmp_path: Path, synced: set[int]) -> None:
    private_file.kept_directory(tmp_path / "a" / "b")
    private_file.kept_directory(tmp_path / "a" / "b")

    assert {tmp_path.stat().st_ino, (tmp_path / "a").stat().st_ino} <= synced


def test_a_tree_is_synced_to_its_last_file(tmp_path: Path, synced: set[int]) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "key").write_text("seed")

    private_file.sync_tree(tmp_path)

    assert {path.stat().st_ino for path in (tmp_path, *tmp_path.rglob("*"))} <= synced
