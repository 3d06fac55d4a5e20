"""Calls that a step makes again and again, counted where its agent cannot talk it away."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from remit.contracts.errors import RepetitionError

if TYPE_CHECKING:
    from remit.tools.policy import Request

_HOLDERS_KEPT: Final = 4096
_REQUESTS_KEPT: Final = 4096


class Repetition:
    """The positions at which each holder of a step asked for the same. Of this process alone: a new one begins anew.

    What is kept is bounded: of the holders, and of what one asked for, the oldest is forgotten.
    """

    def __init__(self) -> None:
        self._holders: OrderedDict[tuple[str, str, int], OrderedDict[str, set[str]]] = OrderedDict()

    def check(self, request: Request, *, most: int) -> None:
        """The call is counted; asked again at the same place, it is the same one.

        Raises:
            RepetitionError: the step made it at as many places as it may; nothing was called.
        """
        call = request.call
        asked = self._holders.setdefault((call.run_id, call.step, call.epoch), OrderedDict())
        self._holders.move_to_end((call.run_id, call.step, call.epoch))
        places = asked.setdefault(request.digest, set())
        asked.move_to_end(request.digest)
        _forget(self._holders, _HOLDERS_KEPT)
        _forget(asked, _REQUESTS_KEPT)
        if call.position in places:
            return
        if len(places) >= most:
            raise RepetitionError(
                f"the step makes the same call again and again: {request.tool.name}",
                where=f"charter.yaml: roles.{request.lease.role}.limits.repeats",
                expected=f"at most {most} times",
                got=f"position {call.position} of {call.step}",
            )
        places.add(call.position)


def _forget(
    kept: OrderedDict[str, set[str]] | OrderedDict[tuple[str, str, int], OrderedDict[str, set[str]]], most: int
) -> None:
    while len(kept) > most:
        kept.popitem(last=False)
