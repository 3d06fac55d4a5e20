"""Earlier audits of the same repository, as the trend tells them."""

import msgspec


class TrendPoint(msgspec.Struct, frozen=True, kw_only=True):
    """One audit: of which commit, and what came of it."""

    commit: str
    committed_at: str
    """Date and time of the commit as ISO 8601 has it; the audit's own time is told nowhere."""
    score: int
    kept: int
