"""The links of a document, as they stand in its lines."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from remit.teams.audit.docs.code_span import literals, without_code
from remit.teams.audit.docs.document import Document

Kind = Literal["markdown", "tag", "image", "include", "doc", "download", "text"]
"""markdown: a link or an image · tag: one of HTML · the others are of reStructuredText."""

# No pattern here can read a character more than a few times: what repeats is possessive, and stops where the next
# attempt would start.
_INLINE = re.compile(
    r"\]\([ \t]{0,3}(?:<(?P<angle>[^<>\n]*+)>"
    r"|(?P<plain>[^\s()<>]*+(?:\([^\s()]*+\)[^\s()<>]*+)*+))(?=[ \t]*+(?:[\"')]))"
)
_DEFINED = re.compile(r"[ ]{0,3}\[(?!\^)(?P<name>[^\[\]\n]{1,200})\]:[ \t]*+<?(?P<plain>[^\s<>]++)>?")
_TAG = re.compile(r"""<(?:a|img|source)\b[^<>]*?\b(?:href|src|srcset)[ ]{0,3}=[ ]{0,3}["'](?P<plain>[^"'<>\s]*+)["']""")
_FILE = re.compile(
    r"[ \t]*(?:[-*][ \t]+)?\.\.[ \t]+(?:\|[^|]{1,80}\|[ \t]+)?(?P<name>image|figure|include|literalinclude)::"
    r"[ \t]+(?P<plain>\S.*)$"
)
_ROLE = re.compile(r"(?<!\w):(?P<name>doc|download):`(?:[^`<]*+<(?P<angle>[^`<>]*+)>|(?P<plain>[^`<>]*+))`")
_NAMED = re.compile(r"(?<![:\w])`[^`<>]*+<(?P<plain>[^`<>\s]*+)>`__?")
_TARGET = re.compile(r"[ \t]*\.\.[ \t]+_[^:`]{1,200}:[ \t]+(?P<plain>\S++)[ \t]*$")


@dataclass(frozen=True, kw_only=True)
class Link:
    """One link as it stands in a document."""

    line: int
    target: str
    kind: Kind


def links(document: Document) -> Iterator[Link]:
    """Give the links of a document in the order of its lines."""
    found = _markdown_links if document.is_markdown else _rst_links
    for number, line in document.prose:
        yield from found(number, line)


def _markdown_links(number: int, line: str) -> Iterator[Link]:
    if "](" not in line and "]:" not in line and "<" not in line:
        return
    text = without_code(line)
    for hit in _INLINE.finditer(text):
        yield Link(line=number, target=hit["angle"] or hit["plain"] or "", kind="markdown")
    if (defined := _DEFINED.match(text)) is not None:
        yield Link(line=number, target=defined["plain"], kind="markdown")
    for hit in _TAG.finditer(text):
        yield Link(line=number, target=hit["plain"], kind="tag")


def _rst_links(number: int, line: str) -> Iterator[Link]:
    if (file := _FILE.match(line)) is not None:
        kind: Kind = "image" if file["name"] in {"image", "figure"} else "include"
        yield Link(line=number, target=file["plain"].strip(), kind=kind)
    if "`" in line:
        line = without_code(line, literals)
        for hit in _ROLE.finditer(line):
            yield Link(
                line=number,
                target=(hit["angle"] or hit["plain"] or "").strip(),
                kind="doc" if hit["name"] == "doc" else "download",
            )
        for hit in _NAMED.finditer(line):
            yield Link(line=number, target=hit["plain"], kind="text")
    if (target := _TARGET.match(line)) is not None:
        yield Link(line=number, target=target["plain"], kind="text")
