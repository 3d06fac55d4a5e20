"""Text and bytes that look dangerous to read, and are a literal or the program's own: told by the code around them."""

import ast
import re
from collections.abc import Iterable, Iterator

from remit.teams.audit.code.callee import Names, names_of
from remit.teams.audit.source import Function, Source, unparsed

_DUMPS = frozenset({"dump", "dumps", "to_pickle"})
_LOADS = frozenset({"load", "Unpickler", "read_pickle"})
_PACKAGED = ("pkgutil.get_data", "importlib.resources.", "importlib_resources.")
_QUOTED = re.compile(r"""(?P<q>["'])(?:\\[wd\\]|\w|\(\?:|[)*+?{},]|\[\^(?P=q)\])*(?P=q)|\d+|\\d\+?""")
"""An alternative of a pattern that matches a literal and nothing else: no quote can stand inside it."""
_MATCHERS = frozenset({"match", "fullmatch", "search"})


def is_quoted(source: Source, function: Function, line: int) -> bool:
    """Say whether what is evaluated on a line is asserted to be a quoted literal, or matched one."""
    read = _evaluated(source, function, line)
    return bool(read) and all(_is_matched(function, item) or _is_asserted(function, item) for item in read)


def begins_quoted(source: Source, function: Function, line: int) -> bool:
    """Say whether what is evaluated on a line is asserted above it to begin with a quote, as a literal does."""
    read = _evaluated(source, function, line)
    asserted = [node.test for node in ast.walk(function) if isinstance(node, ast.Assert) and node.lineno < line]
    return bool(read) and all(any(_begins(test, unparsed(item)) for test in asserted) for item in read)


def _evaluated(source: Source, function: Function, line: int) -> list[ast.expr]:
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call) and node.lineno == line]
    return [call.args[0] for call in calls if names_of(source).callee(call) in {"eval", "exec"} and call.args]


def _begins(test: ast.expr, text: str) -> bool:
    match test:
        case (
            ast.Compare(
                left=ast.Subscript(value=value, slice=ast.Constant(value=0)),
                ops=[ast.In() | ast.Eq()],
                comparators=[marks],
            )
            | ast.Call(func=ast.Attribute(attr="startswith", value=value), args=[marks])
        ):
            return unparsed(value) == text and _are_quotes(marks)
        case ast.BoolOp(op=ast.And(), values=parts):
            return any(_begins(part, text) for part in parts)
        case _:
            return False


def _are_quotes(marks: ast.expr) -> bool:
    items = marks.elts if isinstance(marks, ast.Tuple | ast.List | ast.Set) else [marks]
    texts = [item.value for item in items if isinstance(item, ast.Constant) and isinstance(item.value, str)]
    return len(texts) == len(items) > 0 and all(text and not text.strip("'\"") for text in texts)


def _is_asserted(function: Function, text: ast.expr) -> bool:
    """Say whether both ends of a text are asserted to be quotes before it is read."""
    said = [unparsed(node.test) for node in ast.walk(function) if isinstance(node, ast.Assert)]
    name = re.escape(unparsed(text))
    ends = [rf"\b{name}\[{at}\] (?:in|==) .*['\"]" for at in ("0", "-1")]
    return all(any(re.search(end, test) for test in said) for end in ends)


def _is_matched(function: Function, text: ast.expr) -> bool:
    match, number = _group(function, text)
    pattern = _pattern(function, match, text.lineno) if match else ""
    groups = dict(enumerate(captured(pattern), 1))
    return number in groups and all(_QUOTED.fullmatch(part) for part in groups[number].split("|"))


def _group(function: Function, text: ast.expr) -> tuple[str, int]:
    """Give the name of a match, and the number of the group of it that a text is; no name if it is none."""
    match text:
        case ast.Call(
            func=ast.Attribute(attr="group", value=ast.Name(id=name)), args=[ast.Constant(value=int(number))]
        ):
            return name, number
        case ast.Name(id=wanted):
            return next(_unpacked(function, wanted, text.lineno), ("", 0))
        case _:
            return "", 0


def _unpacked(function: Function, wanted: str, line: int) -> Iterator[tuple[str, int]]:
    for node in ast.walk(function):
        match node:
            case ast.Assign(
                targets=[ast.Tuple(elts=names)],
                value=ast.Call(func=ast.Attribute(attr="groups", value=ast.Name(id=name))),
            ) if node.lineno < line:
                yield from ((name, at) for at, item in enumerate(names, 1) if unparsed(item) == wanted)
            case ast.Assign(targets=[ast.Name(id=target)], value=ast.Call() as call) if node.lineno < line:
                found = _group(function, call) if target == wanted else ("", 0)
                yield from [found] if found[0] else []
            case _:
                pass


def _pattern(function: Function, name: str, line: int) -> str:
    """Give the pattern that was matched last, above a line, under a name."""
    found: dict[int, str] = {}
    for node in ast.walk(function):
        match node:
            case ast.Assign(
                targets=[ast.Name(id=target)],
                value=ast.Call(func=ast.Attribute(attr=how), args=[ast.Constant(value=str(pattern)), *_]),
            ) if target == name and how in _MATCHERS and node.lineno <= line:
                found[node.lineno] = pattern
            case _:
                pass
    return found[max(found)] if found else ""


def captured(pattern: str) -> list[str]:
    """Give what stands in the groups of a pattern that are numbered, in the order of their numbers."""
    starts, found, is_set = list[int](), dict[int, str](), False
    at = 0
    while at < len(pattern):
        mark = pattern[at]
        if mark == "\\":
            at += 1
        elif is_set:
            is_set = mark != "]" or pattern[at - 1] in "[^"
        elif mark == "[":
            is_set = True
        elif mark == "(":
            starts.append(at)
        elif mark == ")" and starts:
            first = starts.pop()
            if not pattern.startswith("(?", first) or pattern.startswith("(?P<", first):
                found[first] = pattern[first + 1 : at]
        at += 1
    return [found[first] for first in sorted(found)]


def is_written_here(source: Source, function: Function, line: int) -> bool:
    """Say whether the same class, or else the same module, writes what a line reads, and to a path of one name."""
    names = names_of(source)
    reads = [names.callee(call) for call in ast.walk(function) if isinstance(call, ast.Call) and call.lineno == line]
    makers = {callee.rpartition(".")[0] for callee in reads if callee.rpartition(".")[2] in _LOADS}
    opened = {name for name in map(_opened, ast.walk(function)) if name}
    owners = [node for node in source.nodes(ast.ClassDef) if function in node.body]
    around: ast.AST = owners[0] if owners else source.tree
    for writer in (node for node in ast.walk(around) if isinstance(node, Function) and node is not function):
        callees = [names.callee(call) for call in ast.walk(writer) if isinstance(call, ast.Call)]
        writes = any(callee.rpartition(".")[0] in makers and callee.rpartition(".")[2] in _DUMPS for callee in callees)
        if writes and opened & _words(writer):
            return True
    return False


def is_packaged(source: Source, function: Function, line: int, *, callers: Iterable[Source]) -> bool:
    """Say whether a method reads bytes beside a pair of its class that loads and dumps, and gets only its own.

    `callers` are the files that may call it; every call there passes package data, or what was dumped there.
    """
    names = names_of(source)
    owner = next((node for node in source.nodes(ast.ClassDef) if function in node.body), None)
    reads = [names.callee(call) for call in ast.walk(function) if isinstance(call, ast.Call) and call.lineno == line]
    makers = {callee.rpartition(".")[0] for callee in reads if callee.endswith(".loads")}
    if owner is None or not makers:
        return False
    others = [node for node in owner.body if isinstance(node, Function) and node is not function]
    calls = [call for node in others for call in ast.walk(node) if isinstance(call, ast.Call)]
    paired = {names.callee(call) for call in calls}
    if not any({f"{maker}.load", f"{maker}.dump"} <= paired for maker in makers):
        return False
    passed = [own for caller in callers for own in _passes_own(caller, function.name)]
    return bool(passed) and all(passed)


def _passes_own(source: Source, name: str) -> Iterator[bool]:
    """Say of each call of a method in a file whether its only argument is package data or was dumped there."""
    names = names_of(source)
    for call in source.nodes(ast.Call):
        is_method = isinstance(call.func, ast.Attribute) and call.func.attr == name
        if not is_method or names.callee(call) not in {f".{name}", f"self.{name}"}:
            continue  # a function of a module that is imported, such as `json.loads`
        around = [node for node in source.functions if node.lineno <= call.lineno <= (node.end_lineno or 0)]
        given = [call.args[0]] if len(call.args) == 1 else []
        if given and isinstance(given[0], ast.Name) and around:
            given = _values(max(around, key=lambda node: node.lineno), given[0].id)
        yield bool(given) and all(_is_own(names, value) for value in given)


def _values(function: Function, name: str) -> list[ast.expr]:
    assigned = [node for node in ast.walk(function) if isinstance(node, ast.Assign)]
    return [node.value for node in assigned if any(unparsed(target) == name for target in node.targets)]


def _is_own(names: Names, value: ast.expr) -> bool:
    callees = [names.callee(call) for call in ast.walk(value) if isinstance(call, ast.Call)]
    return any(callee.startswith(_PACKAGED) or callee.endswith(".dumps") for callee in callees)


def _opened(node: ast.AST) -> str:
    """Give the last name of the path that a call opens; empty if it opens none."""
    match node:
        case (
            ast.Call(func=ast.Name(id="open"), args=[path, *_]) | ast.Call(func=ast.Attribute(attr="open", value=path))
        ):
            return path.attr if isinstance(path, ast.Attribute) else path.id if isinstance(path, ast.Name) else ""
        case _:
            return ""


def _words(function: Function) -> set[str]:
    nodes = [*ast.walk(function)]
    plain = {node.id for node in nodes if isinstance(node, ast.Name)}
    return plain | {node.attr for node in nodes if isinstance(node, ast.Attribute)}
