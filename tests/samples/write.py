"""Write a sample of every contract that has none: `python -m tests.samples.write`. What is there is never overwritten.

A sample stands for a version that was released. A version that was not may still change: remove its sample, and write
it again.
"""

from __future__ import annotations

import sys

import msgspec

from tests.samples.stored import CONTRACTS, every_message, sample_of


def main() -> None:
    """Every contract has a sample."""
    for tag, kind in every_message().items():
        path = CONTRACTS / f"{tag}.json"
        if not path.exists():
            path.write_bytes(msgspec.json.format(msgspec.json.encode(sample_of(kind)), indent=1) + b"\n")
            sys.stdout.write(f"wrote {path.name}\n")


if __name__ == "__main__":
    main()
