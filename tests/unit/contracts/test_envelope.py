"""Who, why and until when: headers, and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from remit.contracts.envelope import Envelope, envelope_of

TEXT = st.text(max_size=20)


@given(
    st.builds(
        Envelope,
        run_id=TEXT,
        step=TEXT,
        sender=TEXT,
        causation_id=TEXT,
        contract=TEXT,
        trace=TEXT,
        deadline_at=st.none() | st.datetimes(datetime(2000, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001  # a bound
    )
)
def test_an_envelope_comes_back_from_its_headers(envelope: Envelope) -> None:
    assert envelope_of(envelope.headers()) == envelope


def test_what_is_empty_takes_no_header() -> None:
    assert Envelope().headers() == {}
    assert envelope_of(None) == envelope_of({}) == Envelope()


def test_a_deadline_travels_in_utc() -> None:
    east = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))

    assert Envelope(deadline_at=east).headers()["Remit-Deadline"] == "2026-01-01T10:00:00+00:00"


def test_a_deadline_that_names_no_instant_is_absent() -> None:
    for text in ("soon", "2026-01-01T10:00:00", "2026-13-01T10:00:00Z"):
        assert envelope_of({"Remit-Deadline": text}).deadline_at is None
    assert envelope_of({"Remit-Deadline": "2026-01-01T10:00:00Z"}).deadline_at == datetime(2026, 1, 1, 10, tzinfo=UTC)
