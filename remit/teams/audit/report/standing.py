"""Whether what an audit cited stands now: held against the file as it is, whatever happened since."""

from pathlib import Path
from typing import Literal

import msgspec

from remit.teams.audit.code.secret import masked
from remit.teams.audit.finding import Finding
from remit.teams.audit.source import TEXT_LIMIT, Source, UnreadableError, blob_digest, content, load

_NEAR = 50
"""Of lines that say the same; to name the function around each takes time."""
State = Literal["stands", "moved", "gone", "changed", "unreadable"]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a cited line."""

    state: State
    """`changed`: the file is another one, and the finding cites no text by which to find it again."""
    line: int = 0
    """Where it stands now; 0 if nowhere."""
    is_same_file: bool = False
    """The file is the very one that was audited."""
    problem: str = ""

    def sentence(self) -> str:
        """Say it in a few words."""
        since = "the file is the one that was audited" if self.is_same_file else "the file changed since"
        match self.state:
            case "stands":
                return f"stands; {since}"
            case "moved":
                return f"moved to line {self.line}; {since}"
            case "gone":
                return f"gone; {since}"
            case "changed":
                return since
            case "unreadable":
                return f"gone: {self.problem}"


def standing(root: Path, finding: Finding) -> Standing:
    """Look for the cited line in the file now. Nothing outside the root is read."""
    try:
        data = content(root, finding.path)
    except UnreadableError as error:
        return Standing(state="unreadable", problem=error.cause)
    is_same = blob_digest(data) == finding.blob
    if not finding.snippet:
        line = finding.line if is_same else 0
        return Standing(state="stands" if is_same else "changed", line=line, is_same_file=is_same)
    line = _nearest(_source(root, finding.path, data), finding)
    state: State = "stands" if line == finding.line else "moved" if line else "gone"
    return Standing(state=state, line=line, is_same_file=is_same)


def _source(root: Path, path: str, data: bytes) -> Source:
    try:
        return load(root, path)
    except UnreadableError:  # its encoding is not what it says
        return Source(path, data.decode(errors="replace"), blob_digest(data))


def _nearest(source: Source, finding: Finding) -> int:
    """Give the line with the cited text: in the same function first, then the nearest; 0 if there is none."""
    found = [
        number
        for number, line in enumerate(source.lines, 1)
        if finding.snippet in {line.strip()[:TEXT_LIMIT], masked(line.strip()[:TEXT_LIMIT])}
    ]
    near = sorted(found, key=lambda number: abs(number - finding.line))[:_NEAR]
    return min(near, key=lambda number: source.symbol(number) != finding.symbol, default=0)
