"""The tool that reads what a model may see of the repository: a few lines, without what looks like a secret."""

from pathlib import Path

from remit import ToolScope, tool
from remit.teams.audit.model.redaction import redacted
from remit.teams.audit.source import Source, UnreadableError, blob_digest, content, load
from remit.teams.audit.tools.files import Excerpt, Passage

LINES = 80
"""Of one excerpt."""
EXCERPTS = 8
LINE_LIMIT = 200
FILE_BYTES = 512 * 1024
"""A longer file is not shown at all: it is parsed in the gateway's own process to find its secrets."""


@tool(name="fs.excerpt", risk="low", effect="pure")
def fs_excerpt(passages: tuple[Passage, ...], *, scope: ToolScope) -> tuple[Excerpt, ...]:
    """Give at most 8 passages of at most 80 lines as a model may see them."""
    root = Path(scope.source("repository"))
    opened: dict[str, tuple[list[str], str]] = {}
    return tuple(_excerpt(root, passage, opened) for passage in passages[:EXCERPTS])


def _excerpt(root: Path, passage: Passage, opened: dict[str, tuple[list[str], str]]) -> Excerpt:
    """Give a passage; `opened` keeps files of which several passages are asked for."""
    first = max(passage.first, 1)
    try:
        if passage.path not in opened:
            source = _source(root, passage.path)
            opened[passage.path] = (redacted(source), source.digest)
    except UnreadableError as error:
        return Excerpt(path=passage.path, first=first, problem=error.cause)
    told, digest = opened[passage.path]
    lines = told[first - 1 : first - 1 + max(0, min(passage.count, LINES))]
    return Excerpt(path=passage.path, first=first, lines=tuple(line[:LINE_LIMIT] for line in lines), digest=digest)


def _source(root: Path, path: str) -> Source:
    """Read a file of any kind that is UTF-8, or Python in the encoding that it declares.

    Raises:
        UnreadableError: it is not, or it is too large.
    """
    data = content(root, path)
    if len(data) > FILE_BYTES:
        raise UnreadableError("", f"it is larger than the {FILE_BYTES} bytes of which a model is shown a part")
    if path.endswith((".py", ".pyw")):
        return load(root, path)
    try:
        return Source(path, data.decode("utf-8-sig"), blob_digest(data))
    except UnicodeDecodeError as error:
        raise UnreadableError("", "it is not UTF-8") from error
