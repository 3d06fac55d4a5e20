"""The leases that calls are made under, read from the journal once."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

from remit.bus import subject
from remit.contracts.errors import GrantDeniedError
from remit.contracts.lease import Lease
from remit.contracts.message import decode

if TYPE_CHECKING:
    from remit.bus.journal import Journal
    from remit.contracts.tool import CallTool

_KEPT: Final = 4096


class HeldLease(NamedTuple):
    """A lease and its place in the journal, which fences every intent under it."""

    lease: Lease
    seq: int


class Leases:
    """Leases by run, step and epoch.

    An entry never changes, so what was read once stays true; what is newer is found by the fence of the intent.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._found: OrderedDict[tuple[str, str, int], HeldLease] = OrderedDict()

    async def find(self, call: CallTool) -> HeldLease:
        """Give the lease that a call names.

        Raises:
            GrantDeniedError: there is none.
            BusUnavailableError: the journal could not be read.
        """
        key = (call.run_id, call.step, call.epoch)
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = await self._read(call)
            if len(self._found) > _KEPT:
                self._found.popitem(last=False)
        return found

    async def _read(self, call: CallTool) -> HeldLease:
        entry = await self._journal.get(subject.lease(call.run_id, call.step, call.epoch))
        if entry is None:
            where = f"{call.run_id} {call.step} epoch {call.epoch}"
            raise GrantDeniedError("nobody holds this step", where=where, expected="a lease in the journal")
        return HeldLease(decode(Lease, entry.data), entry.seq)
