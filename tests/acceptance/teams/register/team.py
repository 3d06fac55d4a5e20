"""Four processes that swap registers, and add to what they share; each writes down what it asked and heard."""

import random
import time
from pathlib import Path
from typing import Annotated

import msgspec

from remit import Change, Context, Message, Role, StateBatch, StateCommitted, Team, policy, state


class Session(Message, tag="register.session.v1"):
    client: int
    operations: int
    registers: int
    log: str


class Done(Message, tag="register.done.v1"):
    client: int


class Shared(Message, tag="register.shared.v1"):
    total: Annotated[int, policy.counter()] = 0
    marks: Annotated[tuple[int, ...], policy.union()] = ()


class Line(msgspec.Struct, omit_defaults=True):
    """One operation as its client saw it; without an answer if none came."""

    register: str
    client: int
    kind: str
    called_ns: int
    expected: int = 0
    value: str = ""
    returned_ns: int = 0
    is_done: bool = False
    version: int = 0
    seen: str = ""


class Swapper(Role[Session, Done]):
    """Reads and swaps registers at random; every operation is written down when it begins and when it ended."""

    pool = 4
    isolated = True

    async def handle(self, work: Session, ctx: Context) -> Done:
        dice, known = random.Random(work.client), dict[str, int]()  # noqa: S311  # the same operations every time
        # Opened in the loop: the file is there at once, and nobody else runs in this process.
        with Path(work.log, f"{work.client}-{ctx.epoch}.jsonl").open("ab", buffering=0) as log:  # noqa: ASYNC230
            for number in range(work.operations):
                register = f"register.{dice.randrange(work.registers)}"
                is_swap = register in known and dice.random() < 0.5
                line = Line(register, work.client, "cas" if is_swap else "read", time.monotonic_ns())
                if is_swap:
                    line.expected, line.value = known[register], f"{work.client}-{number}"
                log.write(msgspec.json.encode(line) + b"\n")
                await (self._swap if is_swap else self._read)(line, ctx)
                line.returned_ns = time.monotonic_ns()
                log.write(msgspec.json.encode(line) + b"\n")
                known[register] = line.version
        return Done(client=work.client)

    async def _read(self, line: Line, ctx: Context) -> None:
        found = await ctx.state.read(line.register, str)
        line.version, line.seen = found.version, found.value or ""

    async def _swap(self, line: Line, ctx: Context) -> None:
        answer = await ctx.state.propose(line.register, line.value, base=line.expected)
        line.is_done = isinstance(answer, StateCommitted)
        line.version = answer.version if not hasattr(answer, "dispute") else 0


class Adder(Role[Session, Done]):
    """Adds one to a total, and one mark to a set, again and again; others do the same."""

    pool = 4
    isolated = True

    async def handle(self, work: Session, ctx: Context) -> Done:
        found = await ctx.state.read("shared", Shared)
        version, value = found.version, found.value or Shared()
        for number in range(work.operations):
            mark = work.client * 1_000_000 + number
            wished = Shared(total=value.total + 1, marks=(*value.marks, mark))
            answer = await ctx.state.propose_all(Change("shared", wished, base=version))
            assert isinstance(answer, StateBatch), answer  # a lost update fails the step
            version, value = answer.versions[0].version, wished_of(answer)
        return Done(client=work.client)


def wished_of(answer: StateBatch) -> Shared:
    return msgspec.json.decode(answer.versions[0].value, type=Shared)


team = Team(
    "register",
    roles=[Swapper, Adder],
    workflows={"swap": Swapper, "add": Adder},
    state=[state("register.{name}", str, scope="team"), state("shared", Shared, scope="team", limit_bytes=1024 * 1024)],
)
