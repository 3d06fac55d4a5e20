"""What a module and a class bind, read from their source alone."""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from remit.teams.audit.source import Source, children

_DYNAMIC = re.compile(
    r"\bglobals\(\)|\bvars\(\)|sys\.modules\[|\bexec\(|^def __getattr__|[,( ]__getattr__[,) ]|^__getattr__\b|__path__"
    r"|recreate_module|[Ll]azy_?(?:[Ll]oader|[Ii]mport|[Mm]odule|load)|import_structure|apipkg",
    re.MULTILINE,
)
"""Ways in which names come into a module that its statements do not show."""
_PLAIN_DECORATORS = frozenset(
    {"dataclass", "dataclasses.dataclass", "final", "typing.final", "runtime_checkable", "total_ordering"}
    | {"functools.total_ordering", "typing.runtime_checkable"}
)
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class ClassFacts:
    """What one class binds."""

    node: ast.ClassDef

    @cached_property
    def names(self) -> frozenset[str]:
        """Every name that the class defines, sets on an object, or spells out."""
        found: set[str] = set()
        waiting: list[ast.AST] = [self.node]
        for item in waiting:
            match item:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    found.add(name)
                case ast.Attribute(attr=name, ctx=ast.Store()):
                    found.add(name)
                case _:
                    found.update(_spelled(item))
            waiting += children(item)
            waiting += [name for name in getattr(item, "names", ()) if isinstance(name, ast.alias)]
        return frozenset(found)

    @property
    def is_plain(self) -> bool:
        """Whether no metaclass, decorator or attribute hook of its own puts names into it."""
        decorators = {said(item) for item in self.node.decorator_list}
        hooks = (item for item in self.node.body if isinstance(item, _Function) and item.name.startswith("__getattr"))
        return not self.node.keywords and decorators <= _PLAIN_DECORATORS and next(hooks, None) is None


@dataclass
class Facts:
    """What one module binds when it is imported."""

    module: str
    source: Source
    names: set[str] = field(default_factory=set)
    classes: dict[str, ClassFacts | None] = field(default_factory=dict)
    """None where a name is bound more than once."""
    imported: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What a name was imported from, in full."""
    stars: list[str] = field(default_factory=list)

    @cached_property
    def is_dynamic(self) -> bool:
        """Whether names may come into the module in ways that its statements do not show."""
        return _DYNAMIC.search(self.source.text) is not None

    @property
    def package(self) -> str:
        """The package that relative imports count from."""
        return self.module if self.source.path.endswith("/__init__.py") else self.module.rpartition(".")[0]


def facts_of(source: Source, module: str) -> Facts:
    """Read what a module binds.

    Raises:
        UnreadableError: it does not parse.
    """
    facts = Facts(module=module, source=source)
    for node in bound(source.tree):
        match node:
            case ast.ClassDef(name=name):
                facts.classes[name] = None if name in facts.classes else ClassFacts(node)
            case ast.ImportFrom():
                _take_import(facts, node)
            case ast.Import(names=aliases):
                for alias in aliases:
                    name = alias.asname or alias.name.partition(".")[0]
                    facts.imported[name] = tuple((alias.name if alias.asname else name).split("."))
            case _:
                facts.names.update(_names(node))
    return facts


def bound(module: ast.Module) -> Iterator[ast.stmt]:
    """Give the statements of a module, those in its branches too, but not those of functions and classes."""
    waiting: list[ast.AST] = [*reversed(module.body)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.stmt):
            yield node
        if not isinstance(node, _Function | ast.ClassDef):
            waiting.extend(item for name in _BLOCKS for item in reversed(getattr(node, name, ())))


def _take_import(facts: Facts, node: ast.ImportFrom) -> None:
    parts = facts.package.split(".")
    base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
    base = ".".join(filter(None, (base, node.module)))
    for alias in node.names:
        if alias.name == "*":
            facts.stars.append(base)
        else:
            facts.imported[alias.asname or alias.name] = (*base.split("."), alias.name)


def _names(node: ast.stmt) -> set[str]:
    """Give the names that a statement binds; functions may declare names of the module."""
    if isinstance(node, _Function):
        declared = (item for item in ast.walk(node) if isinstance(item, ast.Global))
        return {node.name, *(name for item in declared for name in item.names)}
    return {name for item in ast.walk(node) for name in _spelled(item)}


def _spelled(node: ast.AST) -> Sequence[str]:
    """Give the name that a node binds or spells out as a text: `setattr`, `__slots__` and `__all__` do the latter."""
    match node:
        case ast.Name(id=name, ctx=ast.Store()):
            return (name,)
        case ast.Constant(value=str(name)) if name.isidentifier():
            return (name,)
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            return (name,)
        case ast.alias(name=name, asname=asname):
            return (asname or name,)
        case _:
            return ()


def said(node: ast.expr) -> str:
    """Give a base class or a decorator as a dotted name, without its arguments."""
    while isinstance(node, ast.Subscript | ast.Call):
        node = node.value if isinstance(node, ast.Subscript) else node.func
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join(reversed([*parts, node.id])) if isinstance(node, ast.Name) else ""
