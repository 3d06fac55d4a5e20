"""Serve a team until standard input closes, in a process of its own: prints where it is."""

from __future__ import annotations

import sys

from remit import loader, logs
from remit.embedded import Embedded


def main(folder: str) -> None:
    """Bring the team of a folder up, wait for the end of the input, take it down."""
    logs.configure()
    loaded = loader.load(loader.resolve(folder))
    with Embedded(loaded, name=loaded.team.name, port=None, durability="embedded"):
        print("ready", flush=True)  # noqa: T201  # the parent reads it
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1])
