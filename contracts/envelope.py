"""Who, why and until when around a body: carried as NATS headers, never inside the body."""

from __future__ import annotations

from datetime import UTC, datetime

from remit.contracts.message import Message

RUN, STEP, SENDER = "Remit-Run", "Remit-Step", "Remit-Sender"
CAUSATION, DEADLINE, CONTRACT = "Remit-Causation", "Remit-Deadline", "Remit-Contract"
TRACE = "traceparent"


class Envelope(Message, frozen=True, kw_only=True, tag="envelope.header.v1"):
    """The headers of one message."""

    run_id: str = ""
    step: str = ""
    sender: str = ""
    causation_id: str = ""
    """Subject or sequence of the entry that caused this message."""
    deadline_at: datetime | None = None
    contract: str = ""
    """Tag of the body."""
    trace: str = ""
    """W3C traceparent, passed on unchanged."""

    def headers(self) -> dict[str, str]:
        """Give the non-empty fields as NATS headers."""
        pairs = (
            (RUN, self.run_id),
            (STEP, self.step),
            (SENDER, self.sender),
            (CAUSATION, self.causation_id),
            (DEADLINE, self.deadline_at.astimezone(UTC).isoformat() if self.deadline_at else ""),
            (CONTRACT, self.contract),
            (TRACE, self.trace),
        )
        return {name: value for name, value in pairs if value}


def envelope_of(headers: dict[str, str] | None) -> Envelope:
    """Read an envelope from NATS headers; what is absent is empty, what does not parse is absent."""
    got = headers or {}
    return Envelope(
        run_id=got.get(RUN, ""),
        step=got.get(STEP, ""),
        sender=got.get(SENDER, ""),
        causation_id=got.get(CAUSATION, ""),
        deadline_at=_instant(got.get(DEADLINE, "")),
        contract=got.get(CONTRACT, ""),
        trace=got.get(TRACE, ""),
    )


def _instant(text: str) -> datetime | None:
    try:
        instant = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return instant if instant is not None and instant.tzinfo is not None else None
