"""Text from a repository in a report of Markdown: on one line, and nothing in it is a link, a tag or a heading."""

import re

from remit.teams.audit.report.page_markup import visible

_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_ESCAPE = re.compile(r"\\(?=[!-/:-@\[-`{-~]|$)")
_TICKS = re.compile(r"`+")


def code(value: str) -> str:
    """Give something that stands so in the repository."""
    said = one_line(value)
    longest = max((len(hit[0]) for hit in _TICKS.finditer(said)), default=0)
    marks, gap = "`" * (longest + 1), " " if longest else ""
    return f"{marks}{gap}{said}{gap}{marks}"


def prose(value: str) -> str:
    """Give a sentence: what stands between two backticks is code."""
    said = one_line(value)
    parts = said.split("`")
    # One is left over, and nobody knows which; or readers would pair runs of several in another way than we do.
    if len(parts) % 2 == 0 or "``" in said:
        return "\\`".join(map(_plain, parts))
    return "`".join(part if index % 2 else _plain(part) for index, part in enumerate(parts))


def one_line(value: str) -> str:
    """Give a text on one line, in which every character that cannot be seen is written as Python would."""
    return visible(value).replace("\n", "\\n").replace("\t", "\\t")


def _plain(text: str) -> str:
    escaped = _ESCAPE.sub(
        r"\\\\", text
    )  # a backslash would take the meaning of what follows it, our own marks included
    return _TAG.sub(r"\\<", escaped).replace("](", "]\\(")
