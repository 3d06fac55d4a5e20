"""A model that answers the questions of an audit as a test tells it to, and remembers what it was shown."""

from collections.abc import Callable, Mapping
from pathlib import Path

from remit import Completion, ModelMessage
from remit.contracts.message import encode
from remit.teams.audit.message import AuditRequest, Published
from remit.teams.audit.tools.model import model_complete
from remit.testing import Bench
from tests.unit.teams.audit.conftest import new_bench

QUESTIONS = {
    "survey": "Say in two sentences what this repository is",
    "risk": "These findings are in one file",
    "reach": "Can data that somebody outside controls",
    "argument": "Other tools found what follows",
    "mend": "Mend these findings",
    "prose": "Say to the owner of the repository",
}
GOOD: Mapping[str, object] = {
    "survey": {"summary": "A shop.", "components": [{"folder": "shop", "name": "the shop", "purpose": "it sells"}]},
    "risk": {"why": "Its branches hide which case is which."},
    "reach": {"reachable": "unclear", "why": "The caller is not shown."},
    "argument": {"arguments": []},
    "mend": {"edits": []},
    "prose": {"text": "Begin with the cart."},
}
Say = object | Callable[[str], object]


class Oracle:
    """Answers by the question; a function is given the prompt, an exception is raised by the tool."""

    def __init__(self, **says: Say) -> None:
        self._says: dict[str, Say] = {**GOOD, **says}
        self.asked: list[tuple[str, str]] = []
        """Every question by its name, with all that was shown."""

    def __call__(self, messages: tuple[ModelMessage, ...]) -> Completion:
        shown = "\n".join(item.content for item in messages)
        name = next(name for name, words in QUESTIONS.items() if words in shown)
        self.asked.append((name, shown))
        said = self._says[name]
        said = said(shown) if callable(said) else said
        if isinstance(said, Exception):
            raise said
        if isinstance(said, Completion):
            return said
        text = said if isinstance(said, str) else encode(said).decode()
        return Completion(text=text, model="oracle", tokens_in=100, tokens_out=20, cost=0.01)

    def count(self, name: str) -> int:
        return sum(asked == name for asked, _shown in self.asked)

    @property
    def shown(self) -> str:
        return "\n".join(shown for _name, shown in self.asked)


def advised(root: Path, oracle: Oracle) -> Bench:
    """Give a bench on which the whole team plays, and the oracle is its model."""
    bench = new_bench(root)
    bench.model(oracle, tool=model_complete)
    return bench


async def audited(bench: Bench, root: Path, **options: str) -> Published:
    reply = await bench.flow("audit", AuditRequest(path=str(root), model="small", **options))  # type: ignore[arg-type]  # as the test says
    assert isinstance(reply, Published)
    return reply
