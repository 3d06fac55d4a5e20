"""An error as data, and as one line."""

from __future__ import annotations

from remit.contracts.message import Message


class Fault(Message, frozen=True, kw_only=True, tag="error.fault.v1"):
    """An error as data: the same words in a reply, an outcome, the CLI and the log."""

    code: str
    """Stable code `RM-…`; documented in docs/errors.md."""
    message: str
    where: str = ""
    """Path into the message (`$.input.customer`), or `file:line`."""
    expected: str = ""
    got: str = ""
    fix: str = ""
    """What to do or the command to run next."""


def sentence(fault: Fault) -> str:
    """Say a fault in one line: code, what, where, expected and got, the next command."""
    parts = [f"{fault.code} {fault.message}"] + ([f"at {fault.where}"] if fault.where else [])
    told = (("expected", fault.expected), ("got", fault.got))
    parts += [said] if (said := ", ".join(f"{word} {value}" for word, value in told if value)) else []
    if fault.fix:
        parts.append(f"next: {fault.fix}")
    return "; ".join(parts)
