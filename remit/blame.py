"""Where the fields of a document come from, read from the journal: with what each replaced, and the entry behind it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from remit import dossier
from remit.bus import subject
from remit.contracts.ids import conflict_step
from remit.contracts.policy import MISSING
from remit.contracts.review import ReviewDecided, ReviewOpened
from remit.contracts.step import StepCompleted
from remit.provenance import Lineage, author_of, decider_of
from remit.words import message_of

if TYPE_CHECKING:
    from remit.client import Client
    from remit.contracts.proposal import StateCommitted
    from remit.provenance import Author, Origin, Ruled

_ATTEMPT: Final = "arbitrate"
"""A role that was asked and said nothing leaves this rung behind."""


async def origins(client: Client, found: list[StateCommitted], path: str = "") -> list[Origin]:
    """Give where the fields at and below a path of a key's newest document come from; `found` are its versions.

    Raises: as `dossier.value`.
    """
    lineage = Lineage(found)
    standing = lineage.origins(await dossier.document(client, found[-1]), path)
    wanted = {item.version.version - 1 for item in standing}
    before = {item.version: await dossier.document(client, item) for item in found if item.version in wanted}
    told = [item for item in (_with_replaced(lineage, item, before) for item in standing) if _is_known(item)]
    messages = {_cause(item): item for item in told}
    subjects = {cause: await _message(client, item) for cause, item in messages.items()}
    return [replace(item, message=subjects[_cause(item)]) for item in told]


def _with_replaced(lineage: Lineage, origin: Origin, before: dict[int, object]) -> Origin:
    number = origin.version.version - 1
    return lineage.replaced(origin, before[number]) if number in before else origin


def _is_known(origin: Origin) -> bool:
    """Whether the part is there, or somebody took it out."""
    return origin.value is not MISSING or (origin.replaced is not None and origin.replaced.value is not MISSING)


def _cause(origin: Origin) -> tuple[int, Author]:
    """What led to a field: fields of one cause have one message."""
    return (origin.ruled.version if origin.ruled is not None else origin.version).version, origin.by


async def _message(client: Client, origin: Origin) -> str:
    decider = decider_of(origin.ruled.decision) if origin.ruled is not None else None
    if origin.ruled is not None and decider is not None:
        is_person = decider.kind == "person"
        return await (_decision(client, origin.ruled) if is_person else _arbitration(client, origin.ruled, decider))
    version = origin.version
    if author_of(version).kind == "operator" or not version.epoch:
        return ""
    return subject.work(version.run_id, role=origin.by.role, step=version.step, epoch=version.epoch)


async def _decision(client: Client, ruled: Ruled) -> str:
    """Give the subject of the entry in which a person decided."""
    asked, place = "", (ruled.version.step, ruled.version.position, "conflict")
    async for entry in client.journal.read(f"remit.run.{ruled.version.run_id}._.*.*"):
        message = message_of(entry)
        if isinstance(message, ReviewOpened) and (message.step, message.position, message.kind) == place:
            asked = message.review_id
        if isinstance(message, ReviewDecided) and message.review_id == asked:
            return entry.subject
    return ""


async def _arbitration(client: Client, ruled: Ruled, decider: Author) -> str:
    """Give the subject of the dispatch in which a role decided."""
    run, rung = ruled.version.run_id, ruled.decision.rungs.count(_ATTEMPT)
    step = conflict_step(ruled.version.step, ruled.version.position, rung)
    async for entry in client.journal.read(subject.step_all(run, step)):
        parts, message = subject.parse_run(entry.subject), message_of(entry)
        if isinstance(message, StepCompleted) and parts is not None and parts.author == decider.name:
            return subject.work(run, role=decider.role, step=step, epoch=message.epoch)
    return ""
