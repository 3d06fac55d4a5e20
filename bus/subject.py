"""The only place that builds or parses subjects."""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode
from functools import lru_cache
from typing import NamedTuple

from remit.contracts.ids import LANE

TASKS, JOURNAL, RESULTS, DEAD, SNAPSHOT = "TASKS", "JOURNAL", "RESULTS", "DEAD", "SNAPSHOT"
BLOBS, STATE_CACHE = "blobs", "state"

TASK_SUBJECTS = ("remit.task.*",)
JOURNAL_SUBJECTS = ("remit.run.>", "remit.state.*.*.*", "remit.effect.*.*.*")
DEAD_SUBJECTS = ("remit.dead.>",)
SNAPSHOT_SUBJECTS = ("remit.snapshot.*",)
FINISHED_FILTER = "remit.run.*._.*.finished"
RESULT_TARGET = "remit.result.{{wildcard(1)}}"
SETTLED_FILTERS = (
    "remit.run.*.*.*.*.completed",
    "remit.run.*.*.*.*.failed",
    "remit.run.*.*.*.*.in_doubt",
)
"""What the supervisor consumes from the journal."""

_DEAD_BYTES = 2_000
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")


@lru_cache(maxsize=4096)
def token(text: str) -> str:
    """Give any text as one subject token; `untoken` gives it back."""
    return _UNSAFE.sub(lambda hit: "".join(f"={byte:02x}" for byte in hit[0].encode()), text)


def untoken(text: str) -> str:
    """Give the text of a token."""
    raw = re.sub(rb"=([0-9a-f]{2})", lambda hit: bytes([int(hit[1], 16)]), text.encode())
    return raw.decode()


def tool_token(name: str) -> str:
    """Give a tool's name as one token: dots become hyphens, which no tool's name holds."""
    return name.replace(".", "-")


def tool_name(text: str) -> str:
    """Give the tool's name of a token."""
    return text.replace("-", ".")


# --- what is stored ------------------------------------------------------------------------------


def task(workflow: str) -> str:
    """Where tasks of a workflow are published."""
    return f"remit.task.{workflow}"


def run_all(run: str) -> str:
    """Every entry of a run."""
    return f"remit.run.{run}.>"


def step_all(run: str, step: str) -> str:
    """Every entry of a step: leases, calls, what agents recorded."""
    return f"remit.run.{run}.{step}.>"


def lane(run: str) -> str:
    """The supervisor's own lane of a run; its appends are fenced on this."""
    return f"remit.run.{run}.{LANE}.>"


def decision(run: str, number: int, kind: str) -> str:
    """A numbered decision of the supervisor."""
    return f"remit.run.{run}.{LANE}.{number}.{kind}"


def work(run: str, *, role: str, step: str, epoch: int) -> str:
    """A dispatched step."""
    return f"remit.run.{run}.{LANE}.work.{role}.{step}.{epoch}"


def work_filter(role: str) -> str:
    """What a role's pool consumes."""
    return f"remit.run.*.{LANE}.work.{role}.>"


def lease(run: str, step: str, epoch: int) -> str:
    """The lease of one epoch of a step."""
    return f"remit.run.{run}.{step}.lease.{epoch}"


def lease_revoked(run: str, step: str, epoch: int) -> str:
    """Where it stands that the lease of one epoch of a step is revoked."""
    return f"remit.run.{run}.{step}.lease.{epoch}x"


def lease_lane(run: str, step: str) -> str:
    """All leases of a step, and what revoked them; intents are fenced on this."""
    return f"remit.run.{run}.{step}.lease.>"


def call(run: str, step: str, position: str, kind: str) -> str:  # noqa: PLR0917  # the order of the tokens
    """Intent or outcome of a call."""
    return f"remit.run.{run}.{step}.call.{position}.{kind}"


def calls(run: str) -> str:
    """Intents and outcomes of all calls of a run."""
    return f"remit.run.{run}.*.call.>"


def agent_entry(run: str, step: str, *, agent: str, index: str, kind: str) -> str:
    """An entry that an agent writes itself: recorded, reflected, completed, failed."""
    return f"remit.run.{run}.{step}.{agent}.{index}.{kind}"


def state(scope: str, key: str, version: int) -> str:
    """One version of a state key."""
    return f"remit.state.{token(scope)}.{token(key)}.{version}"


def state_filter(scope: str, key: str = "") -> str:
    """All versions of a key, or of every key of a scope."""
    return f"remit.state.{token(scope)}.{token(key) if key else '*'}.*"


def proposal_record(run: str, step: str, position: str, kind: str) -> str:  # noqa: PLR0917  # the order of the tokens
    """A proposal that changed nothing: rejected, or refused."""
    return f"remit.run.{run}.{step}.state.{position}.{kind}"


def result(run: str) -> str:
    """Where the outcome of a run appears."""
    return f"remit.result.{run}"


def dead(subject: str) -> str:
    """Where the pointer of a delivery that no run can own is kept; a very long subject is told by its digest."""
    if len(spelled := subject.encode()) <= _DEAD_BYTES:
        return f"remit.dead.{subject}"
    return f"remit.dead.cut.{hashlib.sha256(spelled).hexdigest()}"


def snapshot(part: str) -> str:
    """Where the newest snapshot of the journal is kept: `head`, and the numbers of its parts."""
    return f"remit.snapshot.{part}"


# --- requests, not stored ------------------------------------------------------------------------


def claim(role: str, agent: str) -> str:
    """An agent asks for a step's lease."""
    return f"remit.claim.{role}.{agent}"


def ask(role: str, agent: str) -> str:
    """An agent asks a role."""
    return f"remit.ask.{role}.{agent}"


def propose(agent: str) -> str:
    """An agent proposes a state change."""
    return f"remit.propose.{agent}"


def review(agent: str) -> str:
    """An agent asks for a person's decision."""
    return f"remit.review.{agent}"


def sleep(agent: str) -> str:
    """An agent asks to be parked until a time."""
    return f"remit.sleep.{agent}"


def checkpoint(agent: str) -> str:
    """An agent asks for a checkpoint of its run."""
    return f"remit.checkpoint.{agent}"


def state_read(agent: str) -> str:
    """An agent reads state."""
    return f"remit.state.read.{agent}"


def tool(gateway: str, name: str, agent: str) -> str:
    """An agent calls a tool through a gateway."""
    return f"remit.tool.{gateway}.{tool_token(name)}.{agent}"


def tool_filter(gateway: str) -> str:
    """Every call that a gateway serves."""
    return f"remit.tool.{gateway}.*.*"


def registry(agent: str) -> str:
    """Heartbeats of an agent."""
    return f"remit.registry.{agent}"


def control(verb: str, operator: str) -> str:
    """A wish of an operator."""
    return f"remit.ctl.{verb}.{operator}"


def stop(run: str) -> str:
    """Gateways are told that leases of a run are revoked; core NATS only."""
    return f"remit.stop.{run}"


def live(run: str, agent: str) -> str:
    """Progress of a run; core NATS only."""
    return f"remit.live.{run}.{agent}"


CLAIMS, ASKS, PROPOSALS, REVIEWS = "remit.claim.*.*", "remit.ask.*.*", "remit.propose.*", "remit.review.*"
SLEEPS, CHECKPOINTS = "remit.sleep.*", "remit.checkpoint.*"
STATE_READS, REGISTRY, CONTROLS = "remit.state.read.*", "remit.registry.*", "remit.ctl.*.*"
RESULT_ALL, STOPS = "remit.result.*", "remit.stop.*"

# --- what NATS itself listens on -----------------------------------------------------------------

_UNDELIVERABLE = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES"


def api(verb: str, *names: str) -> str:
    """A request to JetStream, such as `STREAM.INFO` with a stream's name."""
    return ".".join(("$JS.API", verb, *names))


def pull(stream: str, durable: str) -> str:
    """Where the next deliveries of a consumer are asked for."""
    return f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"


def direct_get(stream: str, subject: str = "") -> str:
    """Where a stream is read without a consumer; with a subject its last message is named."""
    return f"$JS.API.DIRECT.GET.{stream}.{subject}" if subject else f"$JS.API.DIRECT.GET.{stream}"


def undeliverable(stream: str, durable: str = "*") -> str:
    """Where the server says that a consumer gave a message up."""
    return f"{_UNDELIVERABLE}.{stream}.{durable}"


SERVER_STORE = "$SYS.REQ.SERVER.PING.JSZ"
"""Where a server is asked about its store; for the system account."""


def state_cache(scope: str, key: str) -> str:
    """Where the current value of a state key is cached; `nats kv get state <scope>.<key>` reads it."""
    return f"$KV.{STATE_CACHE}.{token(scope)}.{token(key)}"


def blob_part(object_id: str) -> str:
    """Where the parts of a blob are stored."""
    return f"$O.{BLOBS}.C.{object_id}"


def blob_meta(name: str) -> str:
    """Where the description of a blob is stored; the object store of NATS spells it so."""
    return f"$O.{BLOBS}.M.{urlsafe_b64encode(name.encode()).decode()}"


PROBE = blob_part("remit_probe")
"""Where a server's durability is measured; no blob has this name."""
STATE_STREAM, STATE_CACHE_SUBJECTS = f"KV_{STATE_CACHE}", (f"$KV.{STATE_CACHE}.>",)
BLOB_STREAM, BLOB_SUBJECTS = f"OBJ_{BLOBS}", (f"$O.{BLOBS}.C.>", f"$O.{BLOBS}.M.>")
UNDELIVERABLE_SUBJECTS = (undeliverable(JOURNAL), undeliverable(TASKS))

# --- parsing -------------------------------------------------------------------------------------


class RunSubject(NamedTuple):
    """The parts of a journal subject below `remit.run`.

    `lane`: `_` or the step. `author`: number or `work` in the lane `_`, else `lease`, `call` or the agent.
    `place`: number of a decision, role of a work entry, epoch of a lease, position or number of the rest.
    `kind`: decision kind, `work`, `lease`, `revoked`, or the last token.
    """

    run: str
    lane: str
    author: str
    index: str  # type: ignore[assignment]  # hides tuple.index, which nobody needs here
    kind: str


def parse_run(subject: str) -> RunSubject | None:
    """Give the parts of a journal subject, or None if it is none.

    `remit.run.r1._.2.planned` · `remit.run.r1._.work.clerk.s.1` · `remit.run.r1.s.lease.1` ·
    `remit.run.r1.s.lease.1x` · `remit.run.r1.s.call.0.called` · `remit.run.r1.s.clerk-ab.0.recorded`
    """
    match subject.split("."):
        case ["remit", "run", run, "_", "work", role, _step, _epoch]:
            return RunSubject(run, LANE, "work", role, "work")
        case ["remit", "run", run, "_", number, kind]:
            return RunSubject(run, LANE, number, number, kind)
        case ["remit", "run", run, step, "lease", epoch]:
            if epoch.endswith("x"):
                return RunSubject(run, step, "lease", epoch.removesuffix("x"), "revoked")
            return RunSubject(run, step, "lease", epoch, "lease")
        case ["remit", "run", run, step, author, index, kind]:
            return RunSubject(run, step, author, index, kind)
        case _:
            return None


class StateSubject(NamedTuple):
    """The parts of a state subject."""

    scope: str
    key: str
    version: int


def parse_state(subject: str) -> StateSubject | None:
    """Give the parts of a state subject, or None if it is none."""
    match subject.split("."):
        case ["remit", "state", scope, key, version] if version.isdigit():
            return StateSubject(untoken(scope), untoken(key), int(version))
        case _:
            return None


def last_token(subject: str) -> str:
    """Give the last token: the sender's name in every request."""
    return subject.rsplit(".", 1)[1]


class AckSubject(NamedTuple):
    """What the reply subject of a delivery says about it."""

    stream: str
    consumer: str
    num_delivered: int
    stream_seq: int
    consumer_seq: int
    stored_ns: int
    """When it was stored, in nanoseconds since 1970."""
    pending: int
    """How many more wait for this consumer."""


_ACK_TOKENS, _ACK_TOKENS_OF_A_DOMAIN = 9, 11


def parse_ack(reply: str) -> AckSubject | None:
    """Give what a delivery's reply subject says, or None if it is none; newer servers put a domain before it."""
    parts = reply.split(".")
    if parts[:2] != ["$JS", "ACK"]:
        return None
    if len(parts) >= _ACK_TOKENS_OF_A_DOMAIN:
        parts = parts[2:]
    if len(parts) < _ACK_TOKENS:
        return None
    return AckSubject(parts[2], parts[3], *map(int, parts[4:9]))
