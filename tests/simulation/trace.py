"""What happened, as a digest that two runs of one seed share, and as lines for who looks into one."""

from __future__ import annotations

import asyncio
import hashlib


class Trace:
    """Facts in order. Lines are kept only when somebody wants to read them."""

    def __init__(self, *, keeps_lines: bool = False) -> None:
        self.lines: list[str] = []
        self.events = 0
        self._keeps_lines = keeps_lines
        self._hash = hashlib.sha256()

    def note(self, who: str, what: str, body: bytes = b"") -> None:
        """Add a fact."""
        at = asyncio.get_running_loop().time()
        self.events += 1
        self._hash.update(f"{at:.6f} {who} {what} ".encode())
        self._hash.update(body)
        if self._keeps_lines:
            self.lines.append(f"{at:10.6f} {who:22} {what} {body[:300].decode('utf-8', 'replace')}")

    @property
    def digest(self) -> str:
        """Names everything that happened."""
        return self._hash.hexdigest()
