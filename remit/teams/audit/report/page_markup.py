"""Elements of a page. What comes from a repository is text: it is escaped, cut, and hides and reorders nothing."""

import html
import re

Value = str | int | None
_VOID = frozenset({"meta", "link", "input", "br", "wbr"})
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U000e0000-\U000e0fff]"
)
"""Characters that a reader does not see although they are there: controls, those that turn the direction of
writing, blanks without a width, halves of characters, and letters that are drawn as nothing. HTML forbids some."""
_JOINT = re.compile(r"(?<=[/._])(?=[A-Za-z])")
LONGEST = 160
"""Of one text from the repository; the files beside the page have all of it."""


class Markup(str):
    """HTML that may stand in a page as it is."""

    __slots__ = ()


def text(value: str, limit: int = LONGEST) -> Markup:
    """Give a text as HTML: nothing in it is markup, and what cannot be seen is written as its escape."""
    return Markup(html.escape(clipped(visible(value), limit), quote=True))


def visible(value: str) -> str:
    """Give a text in which every character that cannot be seen is written as Python would."""
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode("ascii"), value)


def clipped(value: str, limit: int = LONGEST) -> str:
    """Give a text that is no longer than `limit`: of a longer one the middle is left out, and the dots say so."""
    if len(value) <= limit:
        return value
    head = limit // 2
    return f"{value[:head]}…{value[len(value) - (limit - head - 1) :]}"


def element(tag: str, /, *children: str, **attributes: Value) -> Markup:
    """Give an element; `class_` is `class`, `stroke_width` is `stroke-width`, and an attribute that is None is none."""
    told = "".join(f' {_name(key)}="{_whole(str(value))}"' for key, value in attributes.items() if value is not None)
    if tag in _VOID:
        return Markup(f"<{tag}{told}>")
    return Markup(f"<{tag}{told}>{join(*children)}</{tag}>")


def join(*children: str, by: str = "") -> Markup:
    """Give parts one after the other: markup as it is, and everything else as text."""
    parts = (child if isinstance(child, Markup) else _whole(child) for child in children)
    return Markup((by if isinstance(by, Markup) else _whole(by)).join(parts))


def code(value: str, limit: int = LONGEST) -> Markup:
    """Give something that stands so in the repository; a line may break between the parts of a name."""
    return element("code", Markup(_JOINT.sub("<wbr>", text(value, limit))))


def prose(value: str, limit: int = 2 * LONGEST) -> Markup:
    """Give a sentence: what stands between two backticks is code."""
    parts = clipped(visible(value), limit).split("`")
    if len(parts) % 2 == 0:  # one is left over: which of them it is, nobody knows
        return text(value, limit)
    return join(*(code(part) if index % 2 else part for index, part in enumerate(parts)))


def anchor(fingerprint: str) -> str:
    """Give the name under which a finding's row is linked to."""
    return "f-" + re.sub(r"[^A-Za-z0-9-]", lambda found: f"_{ord(found[0]):x}_", fingerprint)


def table(caption: str, heads: tuple[str, ...], rows: list[Markup], **attributes: Value) -> Markup:
    """Give a table with the roles that it keeps on a narrow screen, where its rows are drawn as blocks."""
    head = element("tr", *(element("th", name, scope="col", role="columnheader") for name in heads), role="row")
    return element(
        "table",
        element("caption", caption),
        element("thead", head, role="rowgroup"),
        element("tbody", *rows, role="rowgroup"),
        role="table",
        **attributes,
    )


def row(*cells: Markup, heads: tuple[str, ...], **attributes: Value) -> Markup:
    """Give a row of a table; each cell knows the head of its column. What has no head is the row's own head."""
    made = (element("td", cell, role="cell", data_head=head) for cell, head in zip(cells, heads, strict=True))
    return element("tr", *made, role="row", **attributes)


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _whole(value: str) -> Markup:
    return Markup(html.escape(visible(value), quote=True))
