"""What speaks against a finding: each function gives a reason why it does not hold, or nothing."""

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile

from remit.teams.audit.code.binding import bound
from remit.teams.audit.code.duplication import TWIN
from remit.teams.audit.code.flat import VERY_LARGE, is_dispatch, is_flat
from remit.teams.audit.code.own_limits import OwnLimits
from remit.teams.audit.code.waiting import PROGRAM, ends_soon
from remit.teams.audit.source import Function, Source, unparsed
from remit.teams.audit.supply.supply import Supply

CLEANUP = frozenset(
    {"close", "aclose", "shutdown", "stop", "kill", "terminate", "unlink", "rmtree", "remove", "cancel", "disconnect"}
    | {"cleanup", "release", "join", "wait", "flush", "quit", "unsubscribe", "rmdir", "detach", "__exit__", "dispose"}
)
MUTATORS = frozenset(
    {
        "append",
        "extend",
        "insert",
        "add",
        "update",
        "setdefault",
        "pop",
        "popitem",
        "remove",
        "discard",
        "clear",
        "sort",
    }
)
WORKING, MANY = 6, 4
"""Statements that make a copy worth mending; places at which even a declaration that calls something is."""
_LAST_ACTS = re.compile(r"(?:^|\.)(?:__del__|__exit__|__aexit__|_?(?:clean_?up|close|aclose|shutdown|stop|teardown))$")
_COMMENT = re.compile(r"#\s*\S")
_TRACKED = re.compile(r"#\d+|https?://|\b(?!UTF|ISO|SHA)[A-Z][A-Z0-9]+-\d+\b|\b(?i:issue|ticket|bug|gh)[- :#]*\d+")
_RELEASE = re.compile(r"\d\.\d|\b(?:next|major) (?:release|version)\b|\b(?i:python|py) ?[23]|deprecat", re.IGNORECASE)
_OTHER_FILE = re.compile(r"together with `(?P<path>[^`]+)`")
_CALLED_BY = re.compile(r"_?(?:asyncio|async|aio|sync|blocking)_?")
"""Words that tell a module from its counterpart for other callers."""
_LINTER = re.compile(r"#\s*(?:noqa|pragma|type:|pylint|nosec)", re.IGNORECASE)

_COMPUTED = (ast.Name, ast.Call, ast.JoinedStr, ast.BinOp)


@dataclass(frozen=True, kw_only=True)
class Spot:
    """A cited line in its file, with the tests for those who ask."""

    source: Source
    line: int
    message: str
    tested: Callable[[], set[str]]
    """Every word in the tests."""
    supply: Callable[[], Supply]
    """What the repository depends on."""
    shared: Callable[[], set[str]]
    """The names that several modules give to something of their own, such as `logger`."""
    limits: Callable[[], OwnLimits]
    """What the repository's own linters ask."""
    callers: Callable[[str], list[Source]]
    """The files, other than tests, that may call a method of a name."""

    @property
    def function(self) -> Function | None:
        """The innermost function around the line."""
        around = [node for node in self.source.functions if node.lineno <= self.line <= (node.end_lineno or 0)]
        return max(around, key=lambda node: node.lineno, default=None)

    def around(self, before: int, after: int) -> list[str]:
        """Give the lines around the cited one."""
        return self.source.lines[max(0, self.line - 1 - before) : self.line + after]


def flat_dispatch(spot: Spot) -> str:
    """Most of the function is one chain of cases, none of which holds more than two plain statements."""
    if spot.function is not None and is_dispatch(spot.function):
        return "a flat dispatch: one short branch per case reads at a glance"
    return ""


def own_limit(spot: Spot) -> str:
    """The project lets its functions be so complex."""
    limit, where = spot.limits().complexity
    if 0 < _measure(spot.message) <= limit:
        return f"the project's own limit is {limit}, set in {where}"
    return ""


def left_out(spot: Spot) -> str:
    """The project's own linters do not look at the file."""
    where = spot.limits().left_out(spot.source.path)
    return f"the project's own linters leave this file out, in {where}" if where else ""


def flat(spot: Spot) -> str:
    """The paths of the function follow one another and hardly nest."""
    if spot.function is not None and _measure(spot.message) < VERY_LARGE and is_flat(spot.function):
        return "its paths follow one another and hardly nest: one chain of cases, or guards that leave"
    return ""


def declarations(spot: Spot) -> str:
    """The lines that stand twice declare; they do not work."""
    block = range(spot.line, spot.line + _length(spot.message))
    inside = {node for function in spot.source.functions for node in ast.walk(function) if isinstance(node, ast.stmt)}
    working = [node for node in inside if node.lineno in block and not _is_declaration(node)]
    if len(working) >= WORKING or (_places(spot.message) >= MANY and _is_wired(spot.source.tree, block)):
        return ""
    return "signatures, data or documentation, not code that works"


def twin(spot: Spot) -> str:
    """The two copies serve callers that wait and callers that await."""
    return "one is the other's counterpart for callers that await" if TWIN in spot.message else ""


def tested_by_name(spot: Spot) -> str:
    """A test uses a name that the module defines, under which it reached the test by another way."""
    defined = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    names = {node.name for node in spot.source.tree.body if isinstance(node, defined)}
    public = {name for name in names if not name.startswith("_")}
    given = _assigned(spot.source.tree) & spot.tested()
    if public & spot.tested() or (given and given - spot.shared()):
        return "tests use names that it defines"
    return "" if public else "it defines no function and no class for others"


def harmless_silence(spot: Spot) -> str:
    """Nobody needs to learn of this failure."""
    body, silence = _guarded(spot)
    if _says_why(spot.source.lines[spot.line - 1 : silence]):
        return "a comment says why nothing is done"
    if body and all(isinstance(node, ast.Import | ast.ImportFrom) for node in body):
        return "an optional import"
    if body and all(_called(node) in CLEANUP for node in body):
        return "a last attempt to clean up"
    if any(isinstance(node, ast.Return) for node in body):
        return "what follows is the answer when this fails"
    if _LAST_ACTS.search(spot.source.symbol(spot.line)):
        return "a last act, after which nobody listens"
    return ""


def explained(spot: Spot) -> str:
    """A comment on the line or above it says why."""
    return "a comment beside it says why" if _says_why(spot.around(1, 1)) else ""


def invariant(spot: Spot) -> str:
    """The documentation of the function names the condition, or a comment says why it is asserted."""
    said = ast.get_docstring(spot.function) if spot.function is not None else None
    if re.search(r"\bpre-?conditions?\b|\binvariants?\b", said or "", re.IGNORECASE):
        return "the documentation of the function names it as a condition for its callers"
    return explained(spot)


def other_timeout(spot: Spot) -> str:
    """The wait is limited in another way."""
    if "setdefaulttimeout" in spot.source.text:
        return "the file sets a default timeout for its sockets"
    limits = r"wait_for\(|asyncio\.timeout|fail_after|move_on_after"
    if spot.function is not None and re.search(limits, unparsed(spot.function)):
        return "a timeout stands around it"
    calls = (node for node in spot.source.nodes(ast.Call) if node.lineno == spot.line)
    brief = (ends_soon(spot.source, call) for call in calls if f"`{PROGRAM}" in spot.message)
    return next((reason for reason in brief if reason), "")


def own_text(spot: Spot) -> str:
    """The text that is executed is the project's own."""
    around = "\n".join(spot.around(4, 1))
    if re.search(r"version|about", around) and re.search(r"read|open", around):
        return "it reads the project's own version file"
    if spot.function is not None and "PYTHONSTARTUP" in unparsed(spot.function):
        return "it runs the file that its user names in PYTHONSTARTUP, as Python itself does"
    return explained(spot)


def own_bytes(spot: Spot) -> str:
    """What is read was written a moment before, in the same expression."""
    line = spot.source.lines[spot.line - 1]
    read = re.search(r"loads\((self\.\w+)\)", line)
    if ".dumps(" in line or (read and re.search(rf"{re.escape(read[1])}\b.* = .*dumps\(", spot.source.text)):
        return "it reads back what it wrote itself"
    return ""


def no_secret(spot: Spot) -> str:
    """The lines around say what the text is."""
    around = " ".join(spot.around(2, 1)).lower()
    if re.search(r"example|dummy|fake|for tests?|not a secret|public|sample|checksum|sha\d|md5|integrity", around):
        return "the lines around it say that it is none"
    return ""


def tracked(spot: Spot) -> str:
    """The comment names an issue, so somebody knows of it, or the release that it waits for."""
    first, *below = spot.around(0, 5)
    more = takewhile(lambda line: line.lstrip().startswith("#"), below)
    comment = " ".join(line.partition("#")[2] for line in (first, *more))
    if _TRACKED.search(comment):
        return "it says where it is tracked"
    return "it says for which release it waits" if _RELEASE.search(comment) else ""


def counterpart(spot: Spot) -> str:
    """The two files say the same to callers that wait and to callers that await."""
    other = _OTHER_FILE.search(spot.message)
    names = {_CALLED_BY.sub("", path) for path in (spot.source.path, other["path"] if other else "")}
    return "one is the other's counterpart for callers that await" if len(names) == 1 else ""


def unseen_names(spot: Spot) -> str:
    """Names come into the module in ways that no linter sees."""
    stars = any(node.names[0].name == "*" for node in spot.source.nodes(ast.ImportFrom))
    if stars or "globals()" in spot.source.text or "exec(" in spot.source.text:
        return "names are put into this module in ways that no linter sees"
    name = re.search(r"`(\w+)`", spot.message)
    if name and spot.function is not None and _is_declared_first(spot.function, name[1]):
        return "the function declares its type first, and gives it a value afterwards"
    if _is_tried(spot) or (spot.function is not None and "NameError" in unparsed(spot.function)):
        return "whether the name is there is tried first"
    return ""


def chosen_at_import(spot: Spot) -> str:
    """One of two definitions is chosen when the module is imported, or by a decorator."""
    indented = spot.source.lines[spot.line - 1][:1].isspace() and spot.function is None
    above = spot.source.line(spot.line - 1)
    return "one of several definitions is chosen on purpose" if indented or above.startswith("@") else ""


def never_changed(spot: Spot) -> str:
    """The mutable default is only read."""
    if spot.function is None:
        return ""
    names = _mutable_defaults(spot.function)
    return "" if any(_may_change(node, names) for node in ast.walk(spot.function)) else "the default is only read"


def probe(spot: Spot) -> str:
    """An attribute is read to see whether it is there, or a notebook shows a value."""
    if _is_tried(spot):
        return "it is read to see whether it is there"
    is_notebook = re.search(r"^#\s*%%", spot.source.text, re.MULTILINE)
    return "a notebook's cell shows its last value" if is_notebook else ""


def called_at_once(spot: Spot) -> str:
    """A closure over a loop's variable is harmless where it is called before the next turn, or binds its own."""
    if re.search(
        r"\b(sorted|sort|min|max|map|filter|any|all|sum|sub|next|groupby|reduce)\(", spot.source.line(spot.line)
    ):
        return "the closure is called before the loop goes on"
    if spot.function is None:
        return ""
    name = re.search(r"`(\w+)`", spot.message)
    if name and name[1] in bound(spot.function):
        return "the name is the function's own"
    return "" if _escapes(spot.function.name, spot.source) else "the function is called at once and never kept"


# --- what the syntax says ---


def _is_tried(spot: Spot) -> bool:
    tries = spot.source.nodes(ast.Try)
    return any(node.lineno < spot.line <= (node.body[-1].end_lineno or 0) for node in tries)


def _is_declared_first(function: Function, name: str) -> bool:
    """Say whether a function both annotates a name without a value and assigns to it."""
    nodes = [*ast.walk(function)]
    bare = [node.target for node in nodes if isinstance(node, ast.AnnAssign) and node.value is None]
    stored = [node for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    named = [node for node in stored if node.id == name]
    return any(node in bare for node in named) and any(node not in bare for node in named)


def _escapes(name: str, source: Source) -> bool:
    """Say whether a function is used otherwise than by calling it."""
    called = {id(call.func) for call in source.nodes(ast.Call)}
    used = [node for node in source.nodes(ast.Name) if node.id == name and isinstance(node.ctx, ast.Load)]
    return any(id(node) not in called for node in used)


def _measure(message: str) -> int:
    found = re.search(r"` has complexity (\d+)$", message)
    return int(found[1]) if found else 0


def _assigned(tree: ast.Module) -> set[str]:
    """Name what a module gives a public name to, beside its functions and classes."""
    values = (node for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign))
    targets = [
        target for node in values for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    return {target.id for target in targets if isinstance(target, ast.Name) and not target.id.startswith("_")}


def _length(message: str) -> int:
    found = re.match(r"(\d+) lines", message)
    return int(found[1]) if found else 30


def _places(message: str) -> int:
    found = re.search(r"; (\d+) places$", message)
    return int(found[1]) if found else 2


def _is_wired(tree: ast.Module, block: range) -> bool:
    """Say whether a class or a module in the block is given something that is made by a call."""
    owners: list[ast.Module | ast.ClassDef] = [tree]
    for owner in owners:
        owners += [node for node in owner.body if isinstance(node, ast.ClassDef)]
    given = (node for owner in owners for node in owner.body if isinstance(node, ast.Assign | ast.AnnAssign | ast.Expr))
    wired = (node for node in given if node.lineno in block and node.value is not None)
    return any(isinstance(item, ast.Call) for node in wired for item in ast.walk(node.value or node))


def _is_declaration(node: ast.stmt) -> bool:
    """Say whether a statement in a function only declares: a literal is data, and what is computed is work."""
    if isinstance(node, ast.Assign | ast.AnnAssign):
        return node.value is None or not any(isinstance(item, _COMPUTED) for item in ast.walk(node.value))
    kinds = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Pass
    return isinstance(node, kinds) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _says_why(lines: list[str]) -> bool:
    return any(_COMMENT.search(line) and not _LINTER.search(line) for line in lines)


def _guarded(spot: Spot) -> tuple[list[ast.stmt], int]:
    """Give the statements whose failure is swallowed at the line, and the last line of the silence."""
    for node in spot.source.nodes(ast.Try):
        for handler in node.handlers:
            if handler.lineno == spot.line:
                return node.body, handler.end_lineno or spot.line
    blocks: list[ast.With | ast.AsyncWith] = [*spot.source.nodes(ast.With), *spot.source.nodes(ast.AsyncWith)]
    return next((node.body for node in blocks if node.lineno == spot.line), []), spot.line


def _called(statement: ast.stmt) -> str:
    value = statement.value if isinstance(statement, ast.Expr) else None
    value = value.value if isinstance(value, ast.Await) else value
    if not isinstance(value, ast.Call):
        return ""
    return value.func.attr if isinstance(value.func, ast.Attribute) else getattr(value.func, "id", "")


def _mutable_defaults(function: Function) -> set[str]:
    arguments = function.args
    plain = [*arguments.posonlyargs, *arguments.args]
    pairs = [*zip(reversed(plain), reversed(arguments.defaults), strict=False)]
    pairs += [(item, value) for item, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if value]
    return {item.arg for item, value in pairs if isinstance(value, ast.List | ast.Dict | ast.Set | ast.Call)}


def _may_change(node: ast.AST, names: set[str]) -> bool:
    """Say whether a node changes one of the names' objects, or lets it out of the function."""

    def is_ours(value: ast.AST | None) -> bool:
        return isinstance(value, ast.Name) and value.id in names

    match node:
        case ast.Call(func=ast.Attribute(attr=attr, value=value)):
            return attr in MUTATORS and is_ours(value)
        case ast.Subscript(value=value, ctx=ast.Store() | ast.Del()) | ast.AugAssign(target=value):
            return is_ours(value)
        case ast.Return(value=value) | ast.Yield(value=value) | ast.Assign(value=value):
            return is_ours(value)
        case _:
            return False
