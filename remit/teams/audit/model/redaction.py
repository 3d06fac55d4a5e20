"""Takes out what looks like a secret before a text leaves the machine, with the detector that finds secrets in code."""

from remit.teams.audit.code.secret import assigned, literals, shaped
from remit.teams.audit.source import Source, UnreadableError

TAKEN_OUT = "[taken out]"
_SHORTEST = 8
"""Of a line of a secret that has several: shorter ones stand everywhere."""
_KEY_BEGINS, _KEY_ENDS = "PRIVATE KEY-----", "-----END"


def redacted(source: Source) -> list[str]:
    """Give the lines of a file without what looks like a secret; there are as many as before.

    Where the file parses, every literal that the detector reports is out, wherever it stands. In any text, what has
    the known shape of a secret is, and what a line gives to a name that speaks of one.
    """
    secrets = {part for text in _literals(source) for part in _parts(text)}
    longest_first = sorted(secrets, key=lambda text: (-len(text), text))
    found: list[str] = []
    is_key = False
    for line in source.lines:
        is_key = is_key or (_KEY_BEGINS in line and _KEY_ENDS not in line)
        found.append(TAKEN_OUT if is_key else _without(line, longest_first))
        is_key = is_key and _KEY_ENDS not in line
    return found


def scrubbed(text: str) -> str:
    """Give a text without what has the known shape of a secret."""
    return shaped(text, TAKEN_OUT)


def _literals(source: Source) -> list[str]:
    try:
        return list(literals(source))
    except (UnreadableError, RecursionError):
        return []


def _parts(text: str) -> list[str]:
    """Give a secret as it may stand on lines: as it is, and as Python writes it."""
    lines = [line.strip() for line in text.splitlines()]
    written = [repr(line)[1:-1] for line in lines]
    return [line for line in (*lines, *written) if len(line) >= _SHORTEST]


def _without(line: str, secrets: list[str]) -> str:
    for secret in (*secrets, *assigned(line)):
        line = line.replace(secret, TAKEN_OUT)
    return scrubbed(line)
