"""What each identity may say and hear, compiled to the lists that nats-server enforces."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

import msgspec

from remit.bus import subject
from remit.bus.subject import BLOBS, DEAD, JOURNAL, RESULTS, SNAPSHOT, STATE_CACHE, TASKS
from remit.contracts.errors import UsageError
from remit.contracts.ids import LANE, RESERVED_ROLES, role_of

if TYPE_CHECKING:
    from collections.abc import Sequence

# --- the subjects of NATS itself, in one table -----------------------------------------------------

API = "$JS.API"
PULL = f"{API}.CONSUMER.MSG.NEXT"
DIRECT_GET = f"{API}.DIRECT.GET"
ACKS, FLOW = "$JS.ACK.>", "$JS.FC.>"
ADVISORIES = "$JS.EVENT.ADVISORY.>"
SNAPSHOT_ACKS, RESTORED = "$JS.SNAPSHOT.ACK.>", "$JS.SNAPSHOT.RESTORE.>"
SERVICE_REPLIES = "_R_.>"
"""How the server spells, inside CORE, the reply subject of a request from another account."""
CORE_INBOXES = "_I.*.>"
PLAIN_INBOXES = "_INBOX.>"
STATE_STREAM, BLOB_STREAM = f"KV_{STATE_CACHE}", f"OBJ_{BLOBS}"
STATE_KEYS, BLOB_PARTS = f"$KV.{STATE_CACHE}.>", f"$O.{BLOBS}.>"

AGENT_KINDS = ("recorded", "reflected", "completed", "failed")
CALL_KINDS = ("called", "returned", "in_doubt")
PROPOSAL_KINDS = ("rejected", "refused")

REQUESTS = (
    "remit.claim.>",
    "remit.ask.>",
    "remit.propose.>",
    "remit.review.>",
    "remit.sleep.>",
    "remit.checkpoint.>",
    "remit.state.read.>",
    "remit.registry.>",
)
"""What EDGE asks the supervisor."""
RESULT_GET = f"{DIRECT_GET}.{RESULTS}"

AccountName = Literal["core", "edge", "public", "system"]
"""CORE holds the streams and the trusted planes, EDGE the agents, PUBLIC the publishers."""


class Door(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that another account may send into CORE; whoever is there still needs a permission to knock."""

    subject: str
    has_many_answers: bool = False
    answer_within_s: int = 120
    """The server forgets the way back after this time; a later answer goes nowhere, without an error."""


SLOW_ANSWER_S = 3600
"""For tools, children and people; askers repeat their question, with a new way back, well before."""
BEAT_ANSWER_S = 15
"""Every heartbeat opens a way back, on which its agent hears at once that it lost a step: some are remembered."""
PULL_ANSWER_S = 120
"""A pull must expire well before this, or its work is delivered to nobody and waits for `ack_wait`."""
_TURNS = ("remit.sleep.>", "remit.checkpoint.>")
_SLOW = ("remit.ask.>", "remit.review.>", "remit.tool.>")
_QUICK = ("remit.claim.>", "remit.propose.>", "remit.state.read.>", "remit.live.>", *_TURNS)

EDGE_DOORS = (
    Door(subject="remit.run.*.*.*.*.*"),
    *(Door(subject=name) for name in _QUICK),
    *(Door(subject=name, answer_within_s=SLOW_ANSWER_S) for name in _SLOW),
    Door(subject="remit.registry.>", has_many_answers=True, answer_within_s=BEAT_ANSWER_S),
    Door(subject=f"{PULL}.{JOURNAL}.*", has_many_answers=True, answer_within_s=PULL_ANSWER_S),
    Door(subject=ACKS),
)
PUBLIC_DOORS = (Door(subject="remit.task.>"), Door(subject=f"{RESULT_GET}.>"))
PUBLIC_FEEDS = (subject.RESULT_ALL, "remit.live.>")
"""What CORE lets PUBLIC hear. Publishers are not in EDGE, because whoever may send a request chooses where in its
own account the answer appears: an agent could name `remit.result.r7` and hand every publisher a false outcome."""

_TOKEN = re.compile(r"^[A-Za-z0-9_=-]+$")


class Permissions(msgspec.Struct, frozen=True, kw_only=True):
    """Where one identity lives and what it may say and hear; an empty list means nothing, never everything."""

    account: AccountName
    publish_allow: tuple[str, ...] = ()
    publish_deny: tuple[str, ...] = ()
    subscribe_allow: tuple[str, ...] = ()
    allow_responses: bool = False
    """May answer on the reply subject of what was delivered to this very connection: acks."""

    def claims(self) -> dict[str, object]:
        """Give the permissions as a user JWT states them."""
        claims: dict[str, object] = {
            "pub": _side(self.publish_allow, self.publish_deny),
            "sub": _side(self.subscribe_allow, ()),
        }
        if self.allow_responses:
            claims["resp"] = {"max": -1, "ttl": 0}
        return claims


def _side(allow: tuple[str, ...], deny: tuple[str, ...]) -> dict[str, list[str]]:
    # nats-server reads an empty allow list as "everything".
    if not allow:
        return {"deny": [">"]}
    return {"allow": list(allow), "deny": list(deny)} if deny else {"allow": list(allow)}


# --- who lives outside -----------------------------------------------------------------------------


def agent_permissions(role: str, agent: str, *, tools: Sequence[str], asks: Sequence[str]) -> Permissions:
    """Give what an agent of a role may do: its role's work, its own name everywhere else.

    Raises:
        UsageError: a name is no subject token, or the agent's name is not of its role.
    """
    _check_agent(role, agent)
    return Permissions(
        account="edge",
        publish_allow=(
            f"{PULL}.{JOURNAL}.{role}",
            *(subject.agent_entry("*", "*", agent=agent, index="*", kind=kind) for kind in AGENT_KINDS),
            subject.claim(role_of(agent), agent),
            *(subject.ask(_token(target), agent) for target in asks),
            subject.propose(agent),
            subject.review(agent),
            subject.sleep(agent),
            subject.checkpoint(agent),
            subject.state_read(agent),
            *(subject.tool("*", _token(subject.tool_token(name)), agent) for name in tools),
            subject.registry(agent),
            subject.live("*", agent),
        ),
        publish_deny=(subject.lane("*"),),
        subscribe_allow=(inbox(agent),),
        allow_responses=True,
    )


def publisher_permissions(name: str) -> Permissions:
    """Give what a publisher may do: tasks in, outcomes out; foreign clients use plain inboxes."""
    return Permissions(
        account="public",
        publish_allow=("remit.task.>", f"{RESULT_GET}.{subject.RESULT_ALL}"),
        subscribe_allow=(PLAIN_INBOXES, inbox(name), subject.RESULT_ALL),
    )


# --- who lives in CORE -----------------------------------------------------------------------------


def supervisor_permissions() -> Permissions:
    """Give what the supervisor may do: hear every request, keep consumers, append its own entries."""
    return Permissions(
        account="core",
        publish_allow=(
            subject.lane("*"),
            "remit.run.*.*.lease.*",
            subject.STOPS,
            "remit.state.*.*.*",
            *(subject.proposal_record("*", "*", "*", kind) for kind in PROPOSAL_KINDS),
            *subject.DEAD_SUBJECTS,
            *subject.TASK_SUBJECTS,  # redrive
            subject.live("*", "supervisor"),
            STATE_KEYS,
            *subject.SNAPSHOT_SUBJECTS,
            f"{API}.STREAM.CREATE.{STATE_STREAM}",  # a cache that somebody deleted comes back
            BLOB_PARTS,
            *_READING,
            *_CONSUMERS,
            f"{API}.CONSUMER.DELETE.>",
            f"{PULL}.>",
            ACKS,
            FLOW,
        ),
        subscribe_allow=(*REQUESTS, "remit.ctl.>", "remit.live.>", ADVISORIES, inbox("supervisor")),
    )


def supervisor_answer_permissions() -> Permissions:
    """Give what the supervisor's answering connection may do: hear requests, write on reply subjects only."""
    return Permissions(
        account="core",
        publish_allow=(SERVICE_REPLIES, CORE_INBOXES),
        subscribe_allow=(*REQUESTS, "remit.ctl.>", inbox("supervisor-answer")),
    )


def gateway_permissions(gateway: str) -> Permissions:
    """Give what a gateway may do: hear its calls, append intents and outcomes, read the journal."""
    _token(gateway)
    return Permissions(
        account="core",
        publish_allow=(
            *(subject.call("*", "*", "*", kind) for kind in CALL_KINDS),
            "remit.effect.*.*.*",
            subject.live("*", gateway),
            subject.registry(gateway),
            BLOB_PARTS,
            *_reading_by_get(JOURNAL),
            *_reading_by_get(BLOB_STREAM),
        ),
        publish_deny=(subject.lane("*"),),
        subscribe_allow=(f"remit.tool.{gateway}.>", subject.STOPS, inbox(gateway)),
    )


def gateway_answer_permissions(gateway: str) -> Permissions:
    """Give what a gateway's answering connection may do: hear its calls, write on reply subjects only."""
    return Permissions(
        account="core",
        publish_allow=(SERVICE_REPLIES, CORE_INBOXES),
        subscribe_allow=(f"remit.tool.{_token(gateway)}.>", inbox(f"{gateway}-answer")),
    )


def operator_permissions(name: str) -> Permissions:
    """Give what an operator may do: read everything, ask for control under its own name, publish no entry."""
    # Not closed by a permission: in CORE an operator may name a journal subject as the reply of a read, and the
    # server answers there. An operator is trusted not to; whoever is not belongs into an account of its own.
    return Permissions(
        account="core",
        publish_allow=(
            subject.control("*", _token(name)),
            *_READING,
            # Without a name in the subject the server only makes ephemerals: a role's durable is out of reach.
            *(f"{API}.CONSUMER.CREATE.{stream}" for stream in READABLE),
            FLOW,
        ),
        subscribe_allow=("remit.run.>", subject.RESULT_ALL, "remit.live.>", inbox(name)),
    )


def archivist_permissions() -> Permissions:
    """Give what the archivist may do: purge what was sealed and exported, and nothing else."""
    return Permissions(
        account="core",
        publish_allow=(f"{API}.STREAM.PURGE.{JOURNAL}", f"{API}.STREAM.INFO.{JOURNAL}"),
        subscribe_allow=(inbox("archivist"),),
    )


def topology_permissions() -> Permissions:
    """Give what makes streams and consumers, and ships code, at start only; it cannot purge or delete."""
    return Permissions(
        account="core",
        publish_allow=(f"{API}.STREAM.CREATE.*", f"{API}.STREAM.UPDATE.*", BLOB_PARTS, *_READING, *_CONSUMERS),
        subscribe_allow=(inbox("topology"),),
    )


def backup_permissions() -> Permissions:
    """Give what a backup may do: have every stream sent to it whole; change nothing."""
    return Permissions(
        account="core",
        publish_allow=(f"{API}.STREAM.SNAPSHOT.*", f"{API}.STREAM.INFO.*", SNAPSHOT_ACKS),
        subscribe_allow=(inbox("backup"),),
    )


def restore_permissions() -> Permissions:
    """Give what puts a backup back may do: make whole streams where there are none, and mark the names that are lost.

    Who has this could give an empty account any past: it is issued for one restore, and kept nowhere.
    """
    return Permissions(
        account="core",
        publish_allow=(
            f"{API}.STREAM.RESTORE.*",
            f"{API}.STREAM.CREATE.{SNAPSHOT}",
            RESTORED,
            *subject.SNAPSHOT_SUBJECTS,
            *subject.TASK_SUBJECTS,
            subject.decision("*", 1, "finished"),
            *_READING,
            f"{API}.CONSUMER.CREATE.{JOURNAL}",
            FLOW,
        ),
        subscribe_allow=(inbox("restore"),),
    )


def monitor_permissions(name: str) -> Permissions:
    """Give what looks at the server itself: its version, store and durability, for the doctor."""
    return Permissions(
        account="system",
        publish_allow=tuple(f"$SYS.REQ.SERVER.PING.{what}" for what in ("VARZ", "JSZ", "HEALTHZ")),
        subscribe_allow=(inbox(name),),
    )


def inbox(name: str) -> str:
    """Give the inboxes of one identity; its connections use the prefix `_I.<name>`.

    Raises:
        UsageError: the name is no subject token.
    """
    return f"_I.{_token(name)}.>"


READABLE = (TASKS, JOURNAL, RESULTS, DEAD, SNAPSHOT, STATE_STREAM, BLOB_STREAM)
_READING = (
    f"{API}.INFO",
    f"{API}.STREAM.INFO.*",
    f"{API}.STREAM.LIST",
    f"{API}.STREAM.NAMES",
    f"{API}.STREAM.MSG.GET.*",
    f"{API}.CONSUMER.INFO.*.*",
    f"{API}.CONSUMER.LIST.*",
    f"{API}.CONSUMER.NAMES.*",
    f"{DIRECT_GET}.>",
)
_CONSUMERS = (f"{API}.CONSUMER.CREATE.>", f"{API}.CONSUMER.DURABLE.CREATE.>")


def _reading_by_get(stream: str) -> tuple[str, ...]:
    return (
        f"{API}.STREAM.INFO.{stream}",
        f"{API}.STREAM.MSG.GET.{stream}",  # in a cluster, from the leader
        f"{DIRECT_GET}.{stream}",
        f"{DIRECT_GET}.{stream}.>",
    )


def _check_agent(role: str, agent: str) -> None:
    _token(role)
    _token(agent)
    if not agent.startswith(f"{role}-") or agent == f"{role}-" or role in RESERVED_ROLES or role == LANE:
        raise UsageError("the agent's name is not of its role", expected=f"{role}-<random>", got=agent)


def _token(name: str) -> str:
    if not _TOKEN.match(name):
        raise UsageError(
            "this cannot be one token of a subject",
            expected="letters, digits, '_', '-', '='",
            got=repr(name),
        )
    return name
