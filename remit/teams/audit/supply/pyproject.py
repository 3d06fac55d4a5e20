"""pyproject.toml and Pipfile: what they declare, in the forms in use (PEP 621 and 735, poetry, pdm, hatch)."""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import PurePosixPath

from remit.teams.audit.source import Source
from remit.teams.audit.supply.import_names import normal
from remit.teams.audit.supply.need import MOST, UNREAD, Group, Index, Label, Manifest, Need, needs
from remit.teams.audit.supply.toml_text import Lines, Values, table, text_of, texts, values

DYNAMIC = "its dependencies are dynamic"
_LONGEST = 200
"""Characters of a range."""
_VERSION = r"\d+(?:\.\d+)*"
_CARET, _TILDE = re.compile(rf"^\^\s*({_VERSION})$"), re.compile(rf"^~\s*({_VERSION})$")
_PLAIN = re.compile(r"^(?:===?|!=|~=|>=?|<=?)\s*[\w.*+!-]+$")
_EXACT = re.compile(rf"^{_VERSION}(?:\.\*)?$")


def pyproject(source: Source) -> Manifest:
    """Read pyproject.toml.

    Raises:
        UnreadableError: it does not parse.
    """
    data, lines = values(source.text), Lines(source.text)
    project, poetry = table(data, "project"), table(data, "tool", "poetry")
    tool = table(data, "tool")
    found = [*_listed(data, lines), *_poetry(poetry, lines), *_tools(tool, lines)]
    includes = [
        *texts(table(tool, "setuptools", "dynamic", "dependencies").get("file")),
        *texts(table(tool, "hatch", "metadata", "hooks", "requirements_txt").get("files")),
    ]
    is_open = "dependencies" in texts(project.get("dynamic")) and not includes and "dependencies" not in poetry
    licence = project.get("license") or poetry.get("license")
    return Manifest(
        source=source,
        needs=(*found, *_sources(tool, lines)),
        is_package=bool(project) or (bool(poetry) and poetry.get("package-mode") is not False),
        name=_name(project, poetry, lines),
        licences=tuple(_licences(project, poetry, lines)),
        has_licence_text=bool(table(licence).get("file")) or "license-files" in project or "\n" in _said(licence),
        gaps=(DYNAMIC,) if is_open else (),
        includes=tuple(beside(source.path, name) for name in includes),
        indexes=tuple(_indexes(tool, lines)),
    )


def pipfile(source: Source) -> Manifest:
    """Read a Pipfile.

    Raises:
        UnreadableError: it does not parse.
    """
    data, lines = values(source.text), Lines(source.text)
    found = [
        *_keyed(table(data, "packages"), "runtime", where="packages", lines=lines),
        *_keyed(table(data, "dev-packages"), "dev", where="dev-packages", lines=lines),
    ]
    return Manifest(source=source, needs=tuple(found), indexes=tuple(_urls(data.get("source"), lines, "source")))


def beside(path: str, name: str) -> str:
    """Give the path of a file that another one names relative to itself; outside the root it keeps its `..`."""
    parts: list[str] = []
    for part in (PurePosixPath(path).parent / name).parts:
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def _name(project: Values, poetry: Values, lines: Lines) -> Label | None:
    name = text_of(project.get("name")) or text_of(poetry.get("name"))
    return Label(line=lines.of_key("name", "project", "tool.poetry"), text=normal(name)) if name else None


def _said(licence: object) -> str:
    return text_of(licence) or text_of(table(licence).get("text"))


def _licences(project: Values, poetry: Values, lines: Lines) -> Iterator[Label]:
    for values_, name in ((project, "project"), (poetry, "tool.poetry")):
        if said := _said(values_.get("license")):
            yield Label(line=lines.of_key("license", name), text=said)
        for text in texts(values_.get("classifiers")):
            if text.startswith("License ::"):
                yield Label(line=lines.of_text(text, name), text=text)


def _listed(data: Values, lines: Lines) -> Iterator[Need]:
    """Give what stands in lists of PEP 508 texts."""
    tool = table(data, "tool")
    flit = table(tool, "flit", "metadata")
    lists: list[tuple[object, Group, str]] = [
        (table(data, "project").get("dependencies"), "runtime", "project"),
        (flit.get("requires"), "runtime", "tool.flit.metadata"),
        (table(data, "build-system").get("requires"), "build", "build-system"),
        (table(tool, "uv").get("dev-dependencies"), "dev", "tool.uv"),
        *((item, "extra", "project") for item in table(data, "project", "optional-dependencies").values()),
        *((item, "extra", "tool.flit.metadata") for item in table(flit, "requires-extra").values()),
        *((item, "dev", "dependency-groups") for item in table(data, "dependency-groups").values()),
        *((item, "dev", "tool.pdm") for item in table(tool, "pdm", "dev-dependencies").values()),
    ]
    for environment in table(tool, "hatch", "envs").values():
        keys = ("dependencies", "extra-dependencies")
        lists.extend((table(environment).get(key), "dev", "tool.hatch") for key in keys)
    for value, group, where in lists:
        yield from needs(
            [Label(line=lines.of_text(text, where), text=text) for text in texts(value)[: MOST + 1]], group
        )


def _poetry(poetry: Values, lines: Lines) -> Iterator[Need]:
    yield from _keyed(table(poetry, "dependencies"), "runtime", where="tool.poetry.dependencies", lines=lines)
    yield from _keyed(table(poetry, "dev-dependencies"), "dev", where="tool.poetry.dev-dependencies", lines=lines)
    for name, group in table(poetry, "group").items():
        yield from _keyed(
            table(group, "dependencies"), "dev", where=f"tool.poetry.group.{name}.dependencies", lines=lines
        )


def _tools(tool: Values, lines: Lines) -> Iterator[Need]:
    """Give what is needed to build, where a tool of its own says so."""
    yield from _keyed(
        table(tool, "pixi", "pypi-dependencies"), "runtime", where="tool.pixi.pypi-dependencies", lines=lines
    )
    yield from _keyed(table(tool, "pixi", "dependencies"), "dev", where="tool.pixi.dependencies", lines=lines)


def _keyed(found: Values, group: Group, *, where: str, lines: Lines) -> Iterator[Need]:
    """Give what stands in a table of names, as poetry and pipenv write it."""
    for name, value in islice(found.items(), MOST + 1):
        if normal(name) == "python":
            continue
        options = value[0] if isinstance(value, list) and len(value) == 1 else value
        said = options if isinstance(options, str) else text_of(table(options).get("version"))
        is_optional = table(options).get("optional") is True
        yield Need(
            name=normal(name),
            line=lines.of_key(name, where),
            group="extra" if is_optional and group == "runtime" else group,
            range=UNREAD if isinstance(options, list) else pep440(said),
            url=_fetched(table(options)),
            is_conditional=isinstance(options, list) or bool({"markers", "python", "platform"} & table(options).keys()),
        )


def _sources(tool: Values, lines: Lines) -> Iterator[Need]:
    """Give where uv fetches from what is declared elsewhere; as groups of its own, so nothing is declared twice."""
    for name, value in islice(table(tool, "uv", "sources").items(), MOST):
        if url := _fetched(table(value)):
            yield Need(name=normal(name), line=lines.of_key(name, "tool.uv.sources"), group="build", url=url)


def _fetched(options: Values) -> str:
    """Give where a dependency comes from, as PEP 508 would write it; `local:` if it lies beside the project."""
    if git := text_of(options.get("git")):
        ref = next((said for key in ("rev", "ref", "tag", "branch") if (said := text_of(options.get(key)))), "")
        return f"git+{git}" + (f"@{ref}" if ref else "")
    if url := text_of(options.get("url")) or text_of(options.get("file")):
        return url
    return "local:" if "path" in options or "workspace" in options else ""


def _indexes(tool: Values, lines: Lines) -> Iterator[Index]:
    yield from _urls(table(tool, "poetry").get("source"), lines, "tool.poetry.source")
    yield from _urls(table(tool, "pdm").get("source"), lines, "tool.pdm.source")
    yield from _urls(table(tool, "uv").get("index"), lines, "tool.uv.index")
    for key in ("index-url", "extra-index-url", "find-links"):
        for url in texts(table(tool, "uv").get(key)):
            yield Index(line=lines.of_text(url, "tool.uv"), url=url)


def _urls(value: object, lines: Lines, where: str) -> Iterator[Index]:
    for item in value if isinstance(value, list) else []:
        if url := text_of(table(item).get("url")):
            yield Index(line=lines.of_text(url, where), url=url)
        if isinstance(item, Mapping) and item.get("verify_ssl") is False:
            yield Index(line=lines.of_key("verify_ssl", where), url=f"trusted:{url}")


def pep440(text: str) -> str:
    """Give a range of poetry or pipenv as PEP 440 writes it; `UNREAD` if that is not plain."""
    if len(text) > _LONGEST:
        return UNREAD
    parts = [part.strip() for part in text.split(",") if part.strip() not in {"", "*"}]
    return ",".join(filter(None, map(_part, parts))) if all(map(_part, parts)) else UNREAD


def _part(text: str) -> str:
    if found := _CARET.match(text):
        numbers = [int(part) for part in found[1].split(".")]
        at = next((index for index, number in enumerate(numbers) if number), len(numbers) - 1)
        return f">={found[1]},<{_next(numbers, at)}"
    if found := _TILDE.match(text):
        numbers = [int(part) for part in found[1].split(".")]
        return f">={found[1]},<{_next(numbers, min(1, len(numbers) - 1))}"
    if _EXACT.match(text):
        return f"=={text}"
    return text.replace(" ", "") if _PLAIN.match(text) else ""


def _next(numbers: list[int], at: int) -> str:
    return ".".join(map(str, [*numbers[:at], numbers[at] + 1]))
