"""Effects by intent: what was meant, who carries it out, what came of it; all of it in the journal."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Literal, TypeVar

import structlog

from remit.bus import subject
from remit.contracts.envelope import Envelope
from remit.contracts.errors import AlreadyStoredError, BusUnavailableError, RetryableError
from remit.contracts.message import Message, decode, encode, tag_of
from remit.contracts.tool import ToolCalled, ToolInDoubt, ToolReturned
from remit.tools.outcome import takeover_index

if TYPE_CHECKING:
    from remit.bus.journal import Fence, Journal
    from remit.tools.outcome import Outcome

log = structlog.get_logger(__name__)

Kind = TypeVar("Kind", bound=Message)
Entered = TypeVar("Entered", bound=ToolReturned | ToolInDoubt)

_UNSURE_S: Final = 10.0
"""How long a call waits to learn whether its intent was stored; later its agent asks again."""
_TAGS: Final = {kind: tag_of(kind) for kind in (ToolCalled, ToolReturned, ToolInDoubt)}
_PAUSE_S, _PAUSE_MOST_S = 0.05, 1.0


class Ledger:
    """The intents and outcomes of one gateway process.

    It remembers of its own open intents whether they are `unsure` (no answer came to the append: perhaps stored,
    certainly not begun) or `begun`. The memory is of this process alone, and a gateway's name is never used again:
    an intent in its name of which it remembers nothing counts as abandoned.
    """

    def __init__(self, journal: Journal, *, gateway: str) -> None:
        self._journal = journal
        self._gateway = gateway
        self._open: dict[str, Literal["unsure", "begun"]] = {}

    async def claim(self, intent: ToolCalled, *, fence: Fence) -> ToolCalled | None:
        """The intent is durable and ours to carry out now: None; or give the one that stands there already.

        Raises:
            FencedOutError: a newer lease exists; nothing was stored.
            BusUnavailableError: the intent may or may not be stored; nothing may be carried out. Claim it again.
            BusRefusedError: the server could not store it; nothing was stored.
        """
        place, give_up_at = _place(intent, "called"), asyncio.get_running_loop().time() + _UNSURE_S
        headers = self._headers(intent, cause=str(fence.seq))
        while True:
            try:
                await self._journal.append(place, encode(intent), fence=fence, headers=headers)
            except AlreadyStoredError:
                return await self._standing(place)
            except BusUnavailableError:
                self._open.setdefault(place, "unsure")
                if asyncio.get_running_loop().time() >= give_up_at:
                    raise
                await asyncio.sleep(_PAUSE_S)
            else:
                self.begin(intent)
                return None

    def begin(self, intent: ToolCalled) -> None:
        """From here on the intent's effect may have happened."""
        self._open[_place(intent, "called")] = "begun"

    def is_untouched(self, intent: ToolCalled) -> bool:
        """Say whether this process stored the intent without learning of it, and so never began."""
        return intent.gateway == self._gateway and self._open.get(_place(intent, "called")) == "unsure"

    async def outcome(self, intent: ToolCalled) -> Outcome | None:
        """Give what came of an intent, or None. What is known outweighs a doubt.

        Raises:
            BusUnavailableError: the journal could not be read.
        """
        known = await self._read(ToolReturned, _place(intent, "returned"))
        found = known or await self._read(ToolInDoubt, _place(intent, "in_doubt"))
        if found is not None:
            self._open.pop(_place(intent, "called"), None)
        return found

    async def performer(self, intent: ToolCalled) -> tuple[ToolCalled, int]:
        """Give the entry of the gateway that has an open intent now, and how often it was taken over.

        Raises:
            BusUnavailableError: the journal could not be read.
        """
        last, number = intent, 0
        while True:
            index = takeover_index(intent.position, number + 1)
            place = subject.call(intent.run_id, intent.step, index, "called")
            if (later := await self._read(ToolCalled, place)) is None:
                return last, number
            last, number = later, number + 1

    async def settle(self, outcome: Entered, *, performed: ToolCalled) -> Entered:
        """The outcome is durable: give it, or the one that stood there first. Ends only then, however long it takes."""
        place, pause_s = _place(outcome, _kind(outcome)), _PAUSE_S
        while True:
            try:
                stored = await self._store(place, outcome, performed)
            except RetryableError as error:
                log.warning("outcome.delayed", subject=place, code=error.code, pause_s=pause_s)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _PAUSE_MOST_S)
            else:
                self._open.pop(_place(performed, "called"), None)
                return stored

    async def _store(self, place: str, outcome: Entered, performed: ToolCalled) -> Entered:
        headers = self._headers(outcome, cause=_place(performed, "called"))
        try:
            await self._journal.append(place, encode(outcome), headers=headers)
        except AlreadyStoredError:
            return await self._read(type(outcome), place) or outcome
        return outcome

    def _headers(self, entry: ToolCalled | Outcome, *, cause: str) -> dict[str, str]:
        return Envelope(
            run_id=entry.run_id,
            step=entry.step,
            sender=self._gateway,
            causation_id=cause,
            contract=_TAGS[type(entry)],
        ).headers()

    async def _standing(self, place: str) -> ToolCalled:
        standing = await self._read(ToolCalled, place)
        if standing is None:  # a replica that lags
            raise BusUnavailableError("the journal does not show what it holds", where=place)
        return standing

    async def _read(self, kind: type[Kind], place: str) -> Kind | None:
        entry = await self._journal.get(place)
        return decode(kind, entry.data) if entry is not None else None


def _place(entry: ToolCalled | Outcome, kind: str) -> str:
    return subject.call(entry.run_id, entry.step, entry.position, kind)


def _kind(outcome: Outcome) -> str:
    return "returned" if isinstance(outcome, ToolReturned) else "in_doubt"
