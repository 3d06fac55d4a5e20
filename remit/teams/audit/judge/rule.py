"""A rule: what it means, how bad it is, and whether a measure alone is enough to believe it."""

import msgspec

from remit.teams.audit.finding import Severity


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule, whoever applies it."""

    name: str
    severity: Severity
    title: str
    why: str
    phrase: str
    """Says it about one file: `{symbol}`, `{line}`, `{measure}`, `{detail}` are filled in."""
    certain: bool = True
    """A measure or a fact. What is not certain is a guess, which needs a second look."""
    raises: tuple[tuple[int, Severity], ...] = ()
    """From which measure on it is worse."""
    floor: int = 0
    """Below this measure nothing is said."""
