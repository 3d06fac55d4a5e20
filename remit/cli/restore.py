"""`remit restore`: see `backup`, which knows both ways."""

from __future__ import annotations

from remit.cli.backup import restore as command

__all__ = ["command"]
