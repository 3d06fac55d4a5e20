"""A TOML manifest: its values, and the lines on which they stand, which a parser does not tell."""

import re
import tomllib
from collections.abc import Iterator, Mapping

from remit.teams.audit.source import UnreadableError

_HEADER = re.compile(r"^\s*\[\[?(?P<name>[^\[\]=]+)\]\]?\s*(?:#.*)?$")
_WORD = re.compile(r"\w(?:[\w.-]*\w)?")
_SAME_WORD = 200
"""Lines with one word that are told apart; nobody repeats one so often."""
_LIMIT_BYTES, _LIMIT_DOTS = 512 * 1024, 1000
"""A larger file, or a longer dotted key, costs the parser the square of its length."""

Values = Mapping[str, object]


def values(text: str) -> Values:
    """Parse a manifest.

    Raises:
        UnreadableError: it is no TOML, or not of a kind that a person writes.
    """
    if len(text) > _LIMIT_BYTES or any(line.count(".") > _LIMIT_DOTS for line in text.split("\n")):
        raise UnreadableError("", "it is too large to be a manifest that somebody wrote")
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError, OverflowError) as error:
        raise UnreadableError("", f"it does not parse: {type(error).__name__}") from error


def table(data: object, *names: str) -> Values:
    """Give the table under some keys; empty if there is none."""
    for name in names:
        data = data.get(name) if isinstance(data, Mapping) else None
    return data if isinstance(data, Mapping) else {}


def texts(value: object) -> list[str]:
    """Give the texts of a list; a text alone is a list of one."""
    if isinstance(value, str):
        return [value]
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def text_of(value: object) -> str:
    """Give a text; empty if it is none."""
    return value if isinstance(value, str) else ""


class Lines:
    """The lines of a manifest by the table in which they stand."""

    def __init__(self, text: str) -> None:
        self._by_word: dict[str, list[tuple[int, str, str]]] = {}
        for row in _rows(text):
            for word in dict.fromkeys(_WORD.findall(row[2].lower())):
                rows = self._by_word.setdefault(word, [])
                if len(rows) < _SAME_WORD:
                    rows.append(row)

    def of_text(self, value: str, *tables: str) -> int:
        """Give the line of a quoted text, in one of these tables if it is there."""
        name = _WORD.search(value)
        if name is None:
            return 1
        quoted = re.compile(f"[\"']{re.escape(value)}[\"']")
        return self._first(name[0], quoted, tables) or self.of_name(name[0], *tables)

    def of_key(self, key: str, *tables: str) -> int:
        """Give the line on which a key gets its value, or its table begins."""
        sets = re.compile(rf"^\s*[\"']?{re.escape(key)}[\"']?\s*=")
        return self._first(key, sets, tables) or self.of_name(key, *tables)

    def of_name(self, name: str, *tables: str) -> int:
        """Give the line of a word, in one of these tables if it is there; 1 if it is nowhere."""
        return self._first(name, None, tables) or self._first(name, None, ()) or 1

    def _first(self, word: str, wanted: re.Pattern[str] | None, tables: tuple[str, ...]) -> int:
        """Give the first line with a word that fits; in any table if none is named."""
        inside = tuple(f"{name}." for name in tables)
        for number, header, line in self._by_word.get(word.lower(), ()):
            if (not tables or f"{header}.".startswith(inside)) and (wanted is None or wanted.search(line)):
                return number
        return 0


def _rows(text: str) -> Iterator[tuple[int, str, str]]:
    """Give every line that says something, with its number and the table in which it stands."""
    header = ""
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        if found := _HEADER.match(line):
            header = re.sub(r"[\s\"']", "", found["name"])
        if not line.lstrip().startswith("#"):
            yield number, header, line
