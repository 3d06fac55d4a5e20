"""The pages say what the code is: blocks run, tables name every contract, error and key, links lead somewhere."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import types
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, get_args

import pytest
from pydantic import BaseModel

import remit.bus
import remit.contracts
from remit.agents.context import Context
from remit.bus import permission, subject
from remit.check.target import check
from remit.contracts import errors
from remit.contracts.charter import Charter
from remit.contracts.errors import RemitError
from remit.contracts.lane import DECISIONS
from remit.contracts.message import Message, tag_of
from remit.contracts.task import TaskRequest
from remit.supervisor import control, fold
from tests.page import ROOT, Block, Page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEMPLATE = "docs/adr/0000-template.md"
FOLDERS = [*ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md")]
PAGES = ["README.md", "CONTRIBUTING.md", *sorted(str(path.relative_to(ROOT)) for path in FOLDERS)]
GUIDE, GLOSSARY, ERRORS = Page("docs/writing-a-team.md"), Page("docs/glossary.md"), Page("docs/errors.md")


# --- blocks run ----------------------------------------------------------------------------------


def execute(block: Block, names: dict[str, object], page: Page) -> None:
    """Run a block; what it raises points into the page."""
    code = compile("\n" * (block.line - 1) + block.text, page.name, "exec")
    exec(code, names)  # noqa: S102  # our own page, which says that it runs


@pytest.fixture
def team(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The team of the guide, importable as `team`."""
    module = types.ModuleType("team")
    monkeypatch.setitem(sys.modules, "team", module)
    for block in GUIDE.blocks("python"):
        if block.file == "team.py":
            execute(block, vars(module), GUIDE)
    return module


def write_guide(folder: Path) -> None:
    team = [block.text for block in GUIDE.blocks("python") if block.file == "team.py"]
    (charter,) = GUIDE.blocks("yaml")
    (folder / "team.py").write_text("\n\n".join(team))
    (folder / "charter.yaml").write_text(charter.text)


@pytest.mark.parametrize("block", [block for block in GUIDE.blocks("python") if not block.file], ids=lambda it: it.line)
def test_a_block_of_the_guide_runs_beside_its_team(team: types.ModuleType, block: Block) -> None:
    execute(block, dict(vars(team)), GUIDE)


def test_the_tests_of_the_guide_pass(team: types.ModuleType, tmp_path: Path) -> None:
    (block,) = [block for block in GUIDE.blocks("python") if block.file == "test_team.py"]
    names: dict[str, object] = {"__name__": "test_team"}

    execute(block, names, GUIDE)

    tests = [item for name, item in names.items() if name.startswith("test_") and inspect.isfunction(item)]
    assert len(tests) == 2
    for test in tests:
        test(**({"tmp_path": tmp_path} if inspect.signature(test).parameters else {}))


def test_the_charter_of_the_guide_fits_its_team(tmp_path: Path) -> None:
    write_guide(tmp_path)

    assert check(str(tmp_path)).mistakes == ()


def test_the_guide_names_every_operation_and_fact_of_a_context() -> None:
    public = {name for name in dir(Context) if not name.startswith("_")} - {"recorded"}
    documented = set(re.findall(r"`(\w+)[`(.]", " ".join(cell for row in GUIDE.rows("Roles") for cell in row)))

    assert public - documented == set()


# --- tables are whole ----------------------------------------------------------------------------


def keys_of(model: type[BaseModel], at: str = "") -> Iterator[str]:
    """Give every key of a charter as the guide spells it: `roles.<role>.tools`, `completion[].name`."""
    for name, field in model.model_fields.items():
        inner = [kind for kind in _kinds(field.annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not inner:
            yield at + name
            continue
        shown = str(field.annotation)
        mark = f".<{_one(name)}>" if shown.startswith("dict") else "[]" if shown.startswith("tuple") else ""
        yield from keys_of(inner[0], f"{at}{name}{mark}.")


def _kinds(annotation: object) -> Iterator[object]:
    yield annotation
    for argument in get_args(annotation):
        yield from _kinds(argument)


def _one(name: str) -> str:
    return {"roles": "role", "tools": "tool", "data_sources": "name"}[name]


def test_the_guide_names_every_key_of_a_charter_once() -> None:
    documented = [key.strip("`") for key, *_ in GUIDE.rows("The charter")]

    assert sorted(documented) == sorted(keys_of(Charter))


def test_the_page_for_foreign_clients_names_every_key_of_a_task() -> None:
    documented = [key.strip("`") for key, *_ in Page("docs/foreign-clients.md").rows("The task")]

    assert documented == list(TaskRequest.__struct_fields__)


def contracts() -> dict[str, type[Message]]:
    """Give every message of `contracts/` and `bus/` by its tag."""
    modules = [
        import_module(f"{package.__name__}.{item.name}")
        for package in (remit.contracts, remit.bus)
        for item in iter_modules(package.__path__)
    ]
    kinds = [kind for module in modules for kind in vars(module).values() if isinstance(kind, type)]
    return {tag_of(kind): kind for kind in kinds if issubclass(kind, Message) and kind is not Message}


def test_the_glossary_names_every_contract_with_its_tag_once() -> None:
    documented = [(name.strip("`"), tag.strip("`")) for name, tag, *_ in GLOSSARY.rows("Contracts")]

    assert sorted(documented) == sorted((kind.__name__, tag) for tag, kind in contracts().items())


def templates() -> list[list[str]]:
    """Give the subjects that `bus/subject.py` builds, token by token; `*` stands for what is put in."""
    tree = ast.parse(inspect.getsource(subject))
    built = [
        node.value for node in ast.walk(tree) if isinstance(node, ast.Return) and isinstance(node.value, ast.JoinedStr)
    ]
    return ["".join(_part(part) for part in text.values).split(".") for text in built]


def _part(part: ast.expr) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    assert isinstance(part, ast.FormattedValue)
    named = part.value.id if isinstance(part.value, ast.Name) else ""
    return str(getattr(subject, named)) if named.isupper() else "*"


def kinds_of(row: tuple[str, ...]) -> Iterator[list[str]]:
    """Give the subjects that a row of the glossary names, token by token."""
    for text in re.findall(r"`(remit\.[^`]*|\$KV\.[^`]*)`", row[2]):
        yield text.split(".")


def fits(said: list[str], template: list[str]) -> bool:
    pairs = zip(said, template, strict=False)
    return len(said) == len(template) and all(built in {"*", word} for word, built in pairs)


def test_every_subject_of_the_glossary_is_one_that_the_bus_builds() -> None:
    said = [tokens for row in GLOSSARY.rows("Contracts") for tokens in kinds_of(row)]

    assert len(said) > 20
    assert [".".join(tokens) for tokens in said if not any(fits(tokens, known) for known in templates())] == []


def test_the_kinds_of_entries_in_the_glossary_are_the_ones_that_are_read() -> None:
    known: dict[tuple[str, str], object] = {("_", kind): item for kind, item in DECISIONS.items()}
    known |= {("<step>", kind): item for kind, item in fold.SETTLED.items()}
    wishes: dict[str, object] = dict(control.WISHES)
    agent_kinds = {*permission.AGENT_KINDS, *permission.CALL_KINDS, *permission.PROPOSAL_KINDS}
    by_tag = contracts()
    for row in GLOSSARY.rows("Contracts"):
        kind = by_tag[row[1].strip("`")]
        for tokens in kinds_of(row):
            match tokens:
                case ["remit", "run", "<run>", lane, _, word] | ["remit", "run", "<run>", lane, _, _, word] if (
                    "<" not in word
                ):
                    assert known.get((lane, word), kind) is kind
                    assert (lane, word) in known or word in agent_kinds
                case ["remit", "ctl", verb, _]:
                    assert wishes[verb] is kind


def test_every_log_event_of_the_glossary_is_written_somewhere() -> None:
    code = "\n".join(path.read_text() for plane in ("agents", "bus", "supervisor", "tools") for path in _files(plane))
    events = re.findall(r"`([a-z]+\.[a-z_]+)`", " ".join(row[3] for row in GLOSSARY.rows("Contracts")))

    assert len(events) >= 5
    assert [event for event in events if f'"{event}"' not in code] == []


def _files(plane: str) -> Iterator[Path]:
    return (ROOT / plane).rglob("*.py")


def coded() -> list[tuple[str, str]]:
    """Give code and name of every error."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, RemitError)]
    return [(kind.code, kind.__name__) for kind in kinds]


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [code for code, _ in coded()]

    assert len(codes) == len(set(codes))


def test_the_page_of_errors_names_every_error_with_its_code_once() -> None:
    rows = [row for row in ERRORS.rows() if row[0].startswith("`RM-")]
    documented = [(code.strip("`"), name.strip("`")) for code, name, *_ in rows]

    assert sorted(documented) == sorted(coded())
    assert [row for row in rows if len(row) != 5 or not all(row)] == []


# --- links lead ----------------------------------------------------------------------------------


def anchors(text: str) -> set[str]:
    """Give the anchors that headings make, as GitHub spells them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", [name for name in PAGES if name != TEMPLATE])
def test_every_link_of_a_page_leads_somewhere(name: str) -> None:
    text = Page(name).text
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    broken = []
    for link in links:
        file, _, anchor = link.partition("#")
        target = (ROOT / name).parent / file if file else ROOT / name
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            broken.append(link)

    assert broken == []


def test_every_decision_has_its_number_and_the_parts_of_the_template() -> None:
    pages = sorted((ROOT / "docs/adr").glob("[0-9]*.md"))

    assert [int(page.name[:4]) for page in pages] == list(range(len(pages)))
    for number, page in enumerate(pages):
        text = page.read_text()
        assert text.startswith(f"# {number}. ")
        assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]
