"""Serves the team of a folder until standard input is closed; says its context in one line once tasks are taken."""

from __future__ import annotations

import sys

from remit import loader, logs
from remit.contracts.message import encode
from remit.embedded import Embedded


def main(folder: str) -> None:
    logs.configure()
    loaded = loader.load(loader.resolve(folder))
    deployment = Embedded(loaded, name=loaded.team.name, port=None, durability="embedded")
    try:
        place = deployment.start()
        sys.stdout.write(encode(place).decode() + "\n")
        sys.stdout.flush()
        sys.stdin.read()  # whoever started us is gone, or wants us to be
    finally:
        deployment.stop()


if __name__ == "__main__":
    main(sys.argv[1])
