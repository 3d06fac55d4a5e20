"""The only place that builds or parses subjects."""

from __future__ import annotations

import re
from typing import NamedTuple

from remit.contracts.ids import LANE

TASKS, JOURNAL, RESULTS, DEAD = "TASKS", "JOURNAL", "RESULTS", "DEAD"
BLOBS, STATE_CACHE = "blobs", "state"

TASK_SUBJECTS = ("remit.task.*",)
JOURNAL_SUBJECTS = ("remit.run.>", "remit.state.*.*.*", "remit.effect.*.*.*")
DEAD_SUBJECTS = ("remit.dead.>",)
FINISHED_FILTER = "remit.run.*._.*.finished"
RESULT_TARGET = "remit.result.{{wildcard(1)}}"
SETTLED_FILTERS = (
    "remit.run.*.*.*.*.completed",
    "remit.run.*.*.*.*.failed",
    "remit.run.*.*.*.*.in_doubt",
)
"""What the supervisor consumes from the journal."""

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")


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


def lease_lane(run: str, step: str) -> str:
    """All leases of a step; intents are fenced on this."""
    return f"remit.run.{run}.{step}.lease.>"


def call(run: str, step: str, position: str, kind: str) -> str:
    """Intent or outcome of a call."""
    return f"remit.run.{run}.{step}.call.{position}.{kind}"


def agent_entry(run: str, step: str, *, agent: str, index: str, kind: str) -> str:
    """An entry that an agent writes itself: recorded, reflected, completed, failed."""
    return f"remit.run.{run}.{step}.{agent}.{index}.{kind}"


def state(scope: str, key: str, version: int) -> str:
    """One version of a state key."""
    return f"remit.state.{token(scope)}.{token(key)}.{version}"


def state_filter(scope: str, key: str = "") -> str:
    """All versions of a key, or of every key of a scope."""
    return f"remit.state.{token(scope)}.{token(key) if key else '*'}.*"


def result(run: str) -> str:
    """Where the outcome of a run appears."""
    return f"remit.result.{run}"


def dead(subject: str) -> str:
    """Where the pointer of a delivery that no run can own is kept."""
    return f"remit.dead.{subject}"


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


def live(run: str, agent: str) -> str:
    """Progress of a run; core NATS only."""
    return f"remit.live.{run}.{agent}"


CLAIMS, ASKS, PROPOSALS, REVIEWS = "remit.claim.*.*", "remit.ask.*.*", "remit.propose.*", "remit.review.*"
STATE_READS, REGISTRY, CONTROLS = "remit.state.read.*", "remit.registry.*", "remit.ctl.*.*"
RESULT_ALL = "remit.result.*"

# --- parsing -------------------------------------------------------------------------------------


class RunSubject(NamedTuple):
    """The parts of a journal subject below `remit.run`.

    `lane`: `_` or the step. `author`: number or `work` in the lane `_`, else `lease`, `call` or the agent.
    `index`: kind of a decision, role of a work entry, epoch of a lease, position or number of the rest.
    `kind`: decision kind, `work`, `lease`, or the last token.
    """

    run: str
    lane: str
    author: str
    index: str
    kind: str


def parse_run(subject: str) -> RunSubject | None:
    """Give the parts of a journal subject, or None if it is none.

    `remit.run.r1._.2.planned` · `remit.run.r1._.work.clerk.s.1` · `remit.run.r1.s.lease.1` ·
    `remit.run.r1.s.call.0.called` · `remit.run.r1.s.clerk-ab.0.recorded`
    """
    match subject.split("."):
        case ["remit", "run", run, "_", "work", role, _step, _epoch]:
            return RunSubject(run, LANE, "work", role, "work")
        case ["remit", "run", run, "_", number, kind]:
            return RunSubject(run, LANE, number, number, kind)
        case ["remit", "run", run, step, "lease", epoch]:
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
