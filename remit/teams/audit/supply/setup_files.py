"""setup.cfg and setup.py: what they declare, read as text; setup.py is never run."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from remit.teams.audit.source import Source, statements
from remit.teams.audit.supply.import_names import normal
from remit.teams.audit.supply.need import Group, Index, Label, Manifest, Need, needs
from remit.teams.audit.supply.paths import is_manifest
from remit.teams.audit.supply.pyproject import beside

COMPUTED = "it computes its dependencies"
_SECTION = re.compile(r"^\[(?P<name>[^\]]+)\]")
_KEY = re.compile(r"^(?P<key>[^\s=:#;\[][^=:]*+)[=:]\s*(?P<value>.*)$")
_FILE = re.compile(r"^file:\s*(?P<names>.+)$")
_LISTS: tuple[tuple[str, Group], ...] = (
    ("install_requires", "runtime"),
    ("setup_requires", "build"),
    ("tests_require", "dev"),
)
_DEEPEST, _LONGEST = 20, 2000
"""Names behind names, and characters of a line: beyond is nothing that a person wrote."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One key of an INI file with the lines of its value."""

    section: str
    key: str
    line: int
    values: tuple[Label, ...]

    @property
    def text(self) -> str:
        """The value, its lines joined."""
        return "\n".join(item.text for item in self.values)


def entries(source: Source) -> list[Entry]:
    """Read an INI file as setuptools does: a line that is indented goes on with the value above it."""
    found: list[Entry] = []
    section, key, line, values = "", "", 0, list[Label]()

    def close() -> None:
        if key:
            found.append(Entry(section=section, key=key, line=line, values=tuple(values)))

    for number, text in enumerate(source.lines, 1):
        if len(text) > _LONGEST:
            continue
        bare = re.sub(r"(?:^|\s)[#;].*$", "", text).strip()
        if text[:1].isspace() and key:
            values += [Label(line=number, text=bare)] if bare else []
        elif opens := _SECTION.match(text):
            close()
            section, key = opens["name"].strip(), ""
        elif sets := _KEY.match(text):
            close()
            key, line, values = sets["key"].strip(), number, list[Label]()
            values += [Label(line=number, text=sets["value"].strip())] if sets["value"].strip() else []
    close()
    return found


def setup_cfg(source: Source) -> Manifest:
    """Read setup.cfg."""
    found: list[Need] = []
    includes: list[str] = []
    said = {(entry.section, entry.key.replace("-", "_")): entry for entry in entries(source)}
    lists = [(said.get(("options", key)), group) for key, group in _LISTS]
    lists += [(entry, "extra") for (section, _key), entry in said.items() if section == "options.extras_require"]
    for entry, group in lists:
        for item in entry.values if entry else ():
            if listed := _FILE.match(item.text):
                includes += [name.strip() for name in listed["names"].split(",")]
            else:
                found += needs([Label(line=item.line, text=part) for part in item.text.split(";;")], group)
    name = said.get(("metadata", "name"))
    files = {("metadata", "license_file"), ("metadata", "license_files")}
    return Manifest(
        source=source,
        needs=tuple(found),
        is_package=name is not None or any(section == "options" for section, _key in said),
        name=Label(line=name.line, text=normal(name.text)) if name else None,
        licences=tuple(_licences(said)),
        has_licence_text=bool(files & said.keys()),
        includes=tuple(beside(source.path, name) for name in includes),
        indexes=tuple(
            Index(line=entry.line, url=entry.text) for (_section, key), entry in said.items() if key == "index_url"
        ),
    )


def _licences(said: Mapping[tuple[str, str], Entry]) -> Iterator[Label]:
    field, classifiers = said.get(("metadata", "license")), said.get(("metadata", "classifiers"))
    if field and field.text and "\n" not in field.text and not _FILE.match(field.text):
        yield Label(line=field.line, text=field.text)
    for item in classifiers.values if classifiers else ():
        if item.text.startswith("License ::"):
            yield item


def setup_py(source: Source) -> Manifest:
    """Read setup.py by its syntax: literals, names of literals, and sums of both.

    Raises:
        UnreadableError: it does not parse.
    """
    names = _constants(source)
    calls = [call for call in source.nodes(ast.Call) if _callee(call) == "setup"]
    keywords = {item.arg: item.value for call in calls for item in call.keywords if item.arg}
    has_more = any(item.arg is None for call in calls for item in call.keywords)
    found, gaps = list[Need](), list[str]()
    for key, group in _LISTS:
        read = _read(keywords[key], names) if key in keywords else []
        found += needs(read or [], group)
        gaps += [COMPUTED] if read is None and group == "runtime" else []
    for value in _extras(keywords.get("extras_require"), names):
        found += needs(_read(value, names) or [], "extra")
    listed = [node.value for node in source.nodes(ast.Constant) if isinstance(node.value, str)]
    includes = sorted({name for name in listed if _is_list(name)})
    is_open = bool(gaps) or (has_more and "install_requires" not in keywords)
    own = _read(keywords["name"], names) if "name" in keywords else None
    return Manifest(
        source=source,
        needs=tuple(found),
        is_package=bool(calls),
        name=Label(line=own[0].line, text=normal(own[0].text)) if own else None,
        licences=tuple(_said(keywords, names)),
        has_licence_text=bool({"license_file", "license_files"} & keywords.keys()),
        gaps=(COMPUTED,) if is_open and not includes else (),
        includes=tuple(beside(source.path, name) for name in includes) if is_open else (),
        indexes=tuple(
            Index(line=item.line, url=item.text)
            for item in (_read(keywords["dependency_links"], names) if "dependency_links" in keywords else None) or []
        ),
    )


def _is_list(name: str) -> bool:
    return name.endswith((".txt", ".in")) and len(name) < _LONGEST and is_manifest(name)


def _callee(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _said(keywords: Mapping[str, ast.expr], names: Mapping[str, ast.expr]) -> Iterator[Label]:
    if "license" in keywords:
        yield from (item for item in _read(keywords["license"], names) or [] if "\n" not in item.text)
    for item in (_read(keywords["classifiers"], names) if "classifiers" in keywords else None) or []:
        if item.text.startswith("License ::"):
            yield item


def _constants(source: Source) -> dict[str, ast.expr]:
    """Give what names stand for, if each is bound once and nobody adds to it."""
    found: dict[str, ast.expr] = {}
    changed: set[str] = set()
    for node in statements(source.tree):
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                changed.update({name} & found.keys())
                found[name] = value
            case ast.AugAssign(target=ast.Name(id=name)):
                changed.add(name)
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name)))):
                changed.add(name)
            case _:
                pass
    return {name: value for name, value in found.items() if name not in changed}


def _read(value: ast.expr, names: Mapping[str, ast.expr], depth: int = 0) -> list[Label] | None:
    """Give the texts of a value; None if they are computed."""
    if depth > _DEEPEST:
        return None
    match value:
        case ast.Constant(value=str() as text):
            lines = [line for line in text.splitlines() if line.strip()] if "\n" in text and depth == 0 else [text]
            return [Label(line=value.lineno, text=line) for line in lines]
        case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
            return _all(parts, names, depth)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _all([left, right], names, depth)
        case ast.Name(id=name) if name in names:
            return _read(names[name], names, depth + 1)
        case ast.Starred(value=inner):
            return _read(inner, names, depth + 1)
        case _:
            return None


def _all(parts: list[ast.expr], names: Mapping[str, ast.expr], depth: int) -> list[Label] | None:
    read = [_read(part, names, depth + 1) for part in parts]
    return None if None in read else [item for items in read for item in items or []]


def _extras(value: ast.expr | None, names: Mapping[str, ast.expr]) -> list[ast.expr]:
    if isinstance(value, ast.Name):
        value = names.get(value.id)
    return value.values if isinstance(value, ast.Dict) else []
