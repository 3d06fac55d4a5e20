"""The second look: what a first pass only guessed, held against the whole file and the tests."""

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from remit.teams.audit.module_graph import ModuleGraph, unit
from remit.teams.audit.place import place_of
from remit.teams.audit.secret import masked
from remit.teams.audit.sighting import Doubt, Look
from remit.teams.audit.source import Function, Source, UnreadableError, load
from remit.teams.audit.untested import Tests

CLEANUP = frozenset(
    {"close", "aclose", "shutdown", "stop", "kill", "terminate", "unlink", "rmtree", "remove", "cancel", "disconnect"}
    | {"cleanup", "release", "join", "wait", "flush", "quit", "unsubscribe", "rmdir", "detach", "__exit__", "dispose"}
)
_TELLS = re.compile(r"#\s*\S")


class Again:
    """The repository as a second look sees it: files are read once, the tests only if somebody asks."""

    def __init__(self, root: Path, files: Sequence[str]) -> None:
        self.root = root
        self.files = files
        self._sources: dict[str, Source] = {}

    def source(self, path: str) -> Source:
        """Give one parsed file.

        Raises:
            UnreadableError: it cannot be read or parsed.
        """
        if path not in self._sources:
            source = load(self.root, path)
            _ = source.tree
            self._sources[path] = source
        return self._sources[path]

    @cached_property
    def tests(self) -> Tests:
        """What the tests of the tree say."""
        units = [unit(source) for path in self.files if place_of(path) == "test" and (source := self._maybe(path))]
        return Tests(ModuleGraph(units))

    def _maybe(self, path: str) -> Source | None:
        try:
            return self.source(path)
        except UnreadableError:
            return None


Verdict = tuple[bool, str]


def looks(root: Path, files: Sequence[str], doubts: Sequence[Doubt]) -> tuple[Look, ...]:
    """Look at every doubt again: does it still stand where it was seen, and does it hold?"""
    repository = Again(root, files)
    return tuple(_look(repository, doubt) for doubt in doubts)


def _look(repository: Again, doubt: Doubt) -> Look:
    try:
        source = repository.source(doubt.path)
    except UnreadableError as error:
        return Look(fingerprint=doubt.fingerprint, holds=False, line=doubt.line, reason=error.cause)
    line = _found_at(source, doubt)
    if not line:
        return Look(fingerprint=doubt.fingerprint, holds=False, line=doubt.line, reason="the cited text is not there")
    holds, reason = SECOND_LOOKS.get(doubt.rule, _stands)(repository, source, line)
    return Look(fingerprint=doubt.fingerprint, holds=holds, line=line, reason=reason)


def _found_at(source: Source, doubt: Doubt) -> int:
    """Give the line of the cited text that is nearest to the cited line, or 0."""
    said = [
        number
        for number in range(1, len(source.lines) + 1)
        if doubt.snippet in {source.line(number), _safe(source, number)}
    ]
    return min(said, key=lambda number: abs(number - doubt.line), default=0)


def _safe(source: Source, number: int) -> str:
    return masked(source.line(number))


def _stands(_repository: Again, _source: Source, _line: int) -> Verdict:
    return True, "it stands as cited"


def _complexity(_repository: Again, source: Source, line: int) -> Verdict:
    function = _function_at(source, line)
    if function is not None and _is_dispatch(function.body):
        return False, "a flat dispatch: one short branch per case reads at a glance"
    return True, "the paths nest or combine"


def _is_dispatch(body: list[ast.stmt]) -> bool:
    """Say whether most of a body is one chain of cases, none of which holds more than two plain statements."""
    chains = [node for node in body if isinstance(node, ast.Match | ast.If)]
    branches = [branch for node in chains for branch in _branches(node)]
    flat = all(len(branch) <= 2 and not any(map(_nests, branch)) for branch in branches)  # noqa: PLR2004
    return flat and len(branches) >= 8 and len(body) - len(chains) <= 4  # noqa: PLR2004


def _branches(node: ast.Match | ast.If) -> Iterator[list[ast.stmt]]:
    if isinstance(node, ast.Match):
        yield from (case.body for case in node.cases)
        return
    while True:
        yield node.body
        if len(node.orelse) != 1 or not isinstance(node.orelse[0], ast.If):
            break
        node = node.orelse[0]
    if node.orelse:
        yield node.orelse


def _nests(statement: ast.stmt) -> bool:
    return any(isinstance(node, ast.If | ast.For | ast.While | ast.Try | ast.With) for node in ast.walk(statement))


def _duplicate(_repository: Again, source: Source, line: int) -> Verdict:
    inside = [node for node in ast.walk(source.tree) if isinstance(node, ast.stmt) and node.lineno >= line]
    near = [node for node in inside if node.lineno < line + 30]
    working = [node for node in near if not _is_declaration(node)]
    if len(working) < 4:  # noqa: PLR2004
        return False, "signatures, data or documentation, not code that works"
    return True, f"{len(working)} statements that work stand in both places"


def _is_declaration(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign | ast.AnnAssign):
        return node.value is None or not any(isinstance(item, ast.Call) for item in ast.walk(node.value))
    kinds = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Pass
    return isinstance(node, kinds) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _untested(repository: Again, source: Source, _line: int) -> Verdict:
    public = unit(source).public
    used = sorted(public & repository.tests.words)
    if used:
        return False, f"tests use {used[0]}, which it defines"
    if not public:
        return False, "it defines no function and no class for others"
    return True, "no test uses any of its names either"


def _swallowed(_repository: Again, source: Source, line: int) -> Verdict:
    if _explained(source, line):
        return False, "a comment says why nothing is done"
    body = _guarded(source, line)
    if body and all(isinstance(node, ast.Import | ast.ImportFrom) for node in body):
        return False, "an optional import"
    called = [_called(node) for node in body]
    if body and all(name in CLEANUP for name in called):
        return False, "a last attempt to clean up"
    if source.symbol(line).endswith(("__del__", "__exit__", "__aexit__")):
        return False, "nothing can be raised from there"
    return True, "nothing is logged, raised or explained"


def _explained(source: Source, line: int) -> bool:
    around = source.lines[line - 1 : line + 2]
    return any(_TELLS.search(text) and "noqa" not in text and "pragma" not in text for text in around)


def _guarded(source: Source, line: int) -> list[ast.stmt]:
    """Give the statements whose failure is swallowed at a line."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Try) and any(handler.lineno == line for handler in node.handlers):
            return node.body
        if isinstance(node, ast.With | ast.AsyncWith) and node.lineno == line:
            return node.body
    return []


def _called(statement: ast.stmt) -> str:
    value = statement.value if isinstance(statement, ast.Expr) else None
    value = value.value if isinstance(value, ast.Await) else value
    if not isinstance(value, ast.Call):
        return ""
    return value.func.attr if isinstance(value.func, ast.Attribute) else getattr(value.func, "id", "")


def _timeout(_repository: Again, source: Source, line: int) -> Verdict:
    if "setdefaulttimeout" in source.text:
        return False, "the file sets a default timeout for its sockets"
    function = _function_at(source, line, around=True)
    if function is not None and re.search(
        r"wait_for\(|asyncio\.timeout|fail_after|move_on_after", ast.unparse(function)
    ):
        return False, "a timeout stands around it"
    return True, "no timeout is set in this file or around the call"


def _dynamic(_repository: Again, source: Source, line: int) -> Verdict:
    around = "\n".join(source.lines[max(0, line - 4) : line + 2])
    if re.search(r"__version__|version|about", around) and re.search(r"read|open", around):
        return False, "it reads the project's own version file"
    if _explained(source, line):
        return False, "a comment says why"
    return True, "the text is not a literal"


def _shell(_repository: Again, source: Source, line: int) -> Verdict:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and node.lineno == line and node.args and isinstance(node.args[0], ast.Constant):
            return True, "the command is a constant, but a shell reads it"
    return True, "the command is not a constant"


def _secret(_repository: Again, source: Source, line: int) -> Verdict:
    around = " ".join(source.lines[max(0, line - 3) : line + 1]).lower()
    if re.search(r"example|dummy|fake|for tests?|not a secret|public|sample|checksum|sha\d|md5|integrity", around):
        return False, "the lines around it say that it is none"
    return True, "nothing around it says that it is an example"


def _undefined(_repository: Again, source: Source, _line: int) -> Verdict:
    stars = [node for node in ast.walk(source.tree) if isinstance(node, ast.ImportFrom) and node.names[0].name == "*"]
    if stars or "globals()" in source.text or source.path.endswith("conf.py"):
        return False, "names are put into this module in ways that no linter sees"
    return True, "nothing defines the name"


def _late(_repository: Again, source: Source, _line: int) -> Verdict:
    if re.search(r"^\s*#\s*%%|get_ipython\(", source.text, re.MULTILINE):
        return False, "a notebook's cell shows its last value"
    return True, "it stands as cited"


def _bound_in_loop(_repository: Again, source: Source, line: int) -> Verdict:
    """A closure over a loop's variable is harmless where it is called before the next turn."""
    text = source.line(line)
    if re.search(r"\b(sorted|sort|min|max|map|filter|any|all|sum|sub|next|groupby|reduce)\(", text):
        return False, "the closure is called before the loop goes on"
    return True, "the closure may outlive the turn of the loop"


def _validates(_repository: Again, source: Source, line: int) -> Verdict:
    if _explained(source, line):
        return False, "a comment says what it is for"
    return True, "it is the only check of this argument"


def _function_at(source: Source, line: int, *, around: bool = False) -> Function | None:
    found = source.functions
    if around:
        inside = [node for node in found if node.lineno <= line <= (node.end_lineno or 0)]
        return max(inside, key=lambda node: node.lineno, default=None)
    return next((node for node in found if node.lineno == line), None)


SECOND_LOOKS: dict[str, Callable[[Again, Source, int], Verdict]] = {
    "complex-function": _complexity,
    "duplicate-code": _duplicate,
    "untested-module": _untested,
    "swallowed-exception": _swallowed,
    "missing-timeout": _timeout,
    "dynamic-code": _dynamic,
    "shell-injection": _shell,
    "secret-in-source": _secret,
    "assert-validation": _validates,
    "F821": _undefined,
    "F822": _undefined,
    "B018": _late,
    "B023": _bound_in_loop,
}
