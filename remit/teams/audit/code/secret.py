"""Text in the source that looks like a secret: by a known shape, or by its name and how random it is."""

import ast
import math
import re
from collections import Counter
from collections.abc import Iterator

from remit.teams.audit.code.complexity import seen
from remit.teams.audit.sighting import Sighting
from remit.teams.audit.source import Source

KNOWN_SHAPE = 100
"""Measure of a secret whose shape its issuer documents; others are measured by their entropy x 10."""
_SHAPES = re.compile(
    r"\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}\b|\bgithub_pat_\w{60,}|\bxox[baprs]-[0-9A-Za-z-]{20,}"
    r"|\b[sr]k_live_[0-9A-Za-z]{20,}|\bAIza[0-9A-Za-z_-]{35}\b|\bglpat-[0-9A-Za-z_-]{20}\b|\bsk-ant-[\w-]{40,}"
    r"|-----BEGIN (?:RSA |EC |OPENSSH |DSA )?PRIVATE KEY-----(?=\s*[A-Za-z0-9+/])"
)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:(?!-----END)[\s\S])*(?:-----END [A-Z ]*PRIVATE KEY-----)?"
)
_ASSIGNED = re.compile(r"""(?P<name>[\w.-]+)["']?\s*[:=]\s*["']?(?P<value>[^\s"',;]{16,})""")
_NAME = re.compile(r"passw(?:or)?d|passphrase|secret|token|api_?key|private_?key|access_?key|credential", re.IGNORECASE)
_HARMLESS_NAME = re.compile(
    r"(?:type|name|id|url|uri|path|file|field|header|env|prefix|regex|pattern|param)s?$", re.IGNORECASE
)
_PLACEHOLDER = re.compile(
    r"example|change.?me|your|xxx|test|dummy|fake|sample|placeholder|insert|todo|foo|bar|secret|passw|[<>{}*$%]|\.\.\.|…",
    re.IGNORECASE,
)
_WORDS = re.compile(r"^[A-Za-z]+(?:[-_.: /][A-Za-z]+)*$|^\d+$|^[A-Z0-9_]+$|://|^[./~]")
_QUOTED = re.compile(r"""(["'])((?:(?!\1).){8,})\1""")
MIN_LENGTH = 16
MIN_ENTROPY = 3.5


def sightings(source: Source) -> Iterator[Sighting]:
    """Give every literal that looks like a secret; the cited text does not repeat it."""
    named = {id(value): name for name, value in _named_values(source)}
    for node in source.nodes(ast.Constant):
        if isinstance(node.value, str) and len(node.value) >= MIN_LENGTH:
            measure = _measure(named.get(id(node), ""), node.value)
            if measure:
                found = seen(source, "secret-in-source", node.lineno, measure=measure)
                yield Sighting(
                    rule=found.rule,
                    path=found.path,
                    line=found.line,
                    symbol=found.symbol,
                    text=masked(found.text),
                    measure=measure,
                    detail=named.get(id(node), ""),
                )


def literals(source: Source) -> Iterator[str]:
    """Give the text of every literal that looks like a secret."""
    named = {id(value): name for name, value in _named_values(source)}
    for node in source.nodes(ast.Constant):
        if (
            isinstance(node.value, str)
            and len(node.value) >= MIN_LENGTH
            and _measure(named.get(id(node), ""), node.value)
        ):
            yield node.value


def assigned(line: str) -> Iterator[str]:
    """Give what a line of any language sets to something that looks like a secret."""
    for hit in _ASSIGNED.finditer(line):
        if _measure(hit["name"], hit["value"]):
            yield hit["value"]


def shaped(text: str, instead: str) -> str:
    """Give a text in which everything of the known shape of a secret is another text."""
    return _SHAPES.sub(instead, _PRIVATE_KEY.sub(instead, text))


def masked(line: str) -> str:
    """Give a line whose long quoted texts are cut to their first characters."""
    return _QUOTED.sub(lambda hit: f"{hit[1]}{hit[2][:3]}…{hit[1]}", line)


def entropy(text: str) -> float:
    """Give the bits per character of a text."""
    counts = Counter(text)
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts.values())


def _measure(name: str, text: str) -> int:
    if _SHAPES.search(text) and not _PLACEHOLDER.search(text.removeprefix("-----BEGIN ")):
        return KNOWN_SHAPE
    if not _NAME.search(name) or _HARMLESS_NAME.search(name):
        return 0
    if " " in text or _PLACEHOLDER.search(text) or _WORDS.search(text):
        return 0
    bits = entropy(text)
    return round(bits * 10) if bits >= MIN_ENTROPY and any(char.isdigit() for char in text) else 0


def _named_values(source: Source) -> Iterator[tuple[str, ast.expr]]:
    """Give every value with the name that it is given: a variable, an attribute, a key, an argument."""
    kinds = (ast.Assign, ast.AnnAssign, ast.keyword, ast.Dict)
    for node in (node for kind in kinds for node in source.nodes(kind)):
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    yield _name(target), value
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                yield _name(target), value
            case ast.keyword(arg=str(name), value=value):
                yield name, value
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    yield (str(key.value) if isinstance(key, ast.Constant) else ""), value
            case _:
                pass


def _name(target: ast.expr) -> str:
    match target:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            return name
        case _:
            return ""
