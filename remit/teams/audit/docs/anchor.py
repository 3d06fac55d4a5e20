"""The anchors of a Markdown document: what its headings are called in links, and what it names itself."""

import re
import unicodedata

from remit.teams.audit.docs.document import Document

_HEADING = re.compile(r"[ \t]{0,3}(?:>[ \t]?)?#{1,6}(?P<text>[ \t].*)?$")
_UNDERLINE = re.compile(r"[ ]{0,3}(?:=+|-+)[ \t]*$")
_NAMED = re.compile(r"""\b(?:id|name)[ \t]{0,3}=[ \t]{0,3}["']?(?P<name>[^\s"'<>{}]++)""")
_ATTRIBUTE = re.compile(r"\{(?=[^{}\n]*+\}):?[^{}\n]*?#(?P<name>[\w:.-]++)[^{}\n]*+\}|^\((?P<label>[\w:. -]++)\)=$")
_BUILT = re.compile(
    r":::|\{!|--8<--|\{%|\{\{|\.\. include|```\{|\[\[\[|~~~\{|^\[TOC\]|<!-- *(?:toc|include)", re.MULTILINE
)
_LINK = re.compile(r"!?\[(?P<text>[^\[\]]*+)\](?:\([^()]*+\)|\[[^\[\]]*+\])")
_TAG = re.compile(r"<[^<>]*+>")
_EMOJI = re.compile(r":[a-z0-9_+-]++:")
_KEPT = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Pc"})
_ALWAYS = frozenset({"", "top", "readme"})


class Anchors:
    """What links may name in a document, in lower case."""

    def __init__(self, names: set[str]) -> None:
        self._names = frozenset(name.lower() for name in names)
        self._squeezed = frozenset(map(squeezed, self._names))

    def has(self, name: str, *, exactly: bool) -> bool:
        """Say whether an anchor is there: as GitHub calls it, or as some generator would."""
        return name in self._names or (not exactly and squeezed(name) in self._squeezed)


def anchors(document: Document) -> Anchors | None:
    """Give every anchor of a document; None if some are made when it is built."""
    if _BUILT.search(document.source.text):
        return None
    found = {*_ALWAYS}
    counts: dict[str, int] = {}
    for heading in headings(document):
        found.update(_named(heading))
        for text in {heading, _EMOJI.sub("", heading), heading.replace("_", ""), heading.replace("*", "")}:
            name = slug(text)
            found.add(name)
            counts[name] = counts.get(name, -1) + 1
            found.add(f"{name}-{counts[name]}")
    for _number, line in document.prose:
        found.update(_named(line))
    return Anchors(found)


def headings(document: Document) -> list[str]:
    """Give the text of every heading."""
    found: list[str] = []
    last = (0, "")
    for number, line in document.prose:
        if (heading := _HEADING.match(line)) is not None:
            found.append((heading["text"] or "").strip().rstrip("#").rstrip())
        elif _UNDERLINE.match(line) and last[0] == number - 1 and last[1].strip():
            found.append(last[1].strip())
        last = (number, line)
    return found


def slug(heading: str) -> str:
    """Give the anchor that GitHub makes of a heading."""
    text = _TAG.sub("", _LINK.sub(r"\g<text>", heading)).replace("`", "")
    text = re.sub(r"[ \t]{0,4}\{[^{}]*+\}$", "", text).strip().lower()
    return "".join(char for char in text if char in " -" or unicodedata.category(char) in _KEPT).replace(" ", "-")


def squeezed(name: str) -> str:
    """Give an anchor as all generators would agree on it: letters and digits alone."""
    return re.sub(r"[\W_]+", "", name)


def _named(line: str) -> set[str]:
    if "=" not in line and "#" not in line:
        return set()
    found = {hit["name"] for hit in _NAMED.finditer(line)}
    return found | {hit["name"] or hit["label"] for hit in _ATTRIBUTE.finditer(line)}
