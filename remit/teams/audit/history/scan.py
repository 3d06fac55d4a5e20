"""One pass over what git remembers: how often files change, who knew them, and which change together."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from remit.teams.audit.code.complexity import seen
from remit.teams.audit.code.untested import code_lines
from remit.teams.audit.history import churn, coupling, ownership
from remit.teams.audit.history.commit_log import HISTORY, MAX_COMMITS, History, history
from remit.teams.audit.sighting import Scan, Sighting, Skipped
from remit.teams.audit.source import Source, UnreadableError, load
from remit.teams.audit.tools.git_reader import HistoryError
from remit.teams.audit.tools.tally import summed

TOOL = "git"
OWNERS = "who knows which file"
LINES = 50
"""Lines of code from which a file is worth a word: a version number or a list of names changes often, too."""


def scan(root: Path, files: tuple[str, ...]) -> Scan:
    """Give what the history of the files shows, or why it shows nothing."""
    try:
        past = history(root, files)
    except HistoryError as error:
        return summed([], {}, [Skipped(what=HISTORY, cause=error.cause)], files=len(files), lines=0)
    counts = churn.commits_of(past)
    sources = _Sources(root)
    found = [*_sightings(past, files, sources)]
    return summed(found, sources.blobs, _skipped(past), files=len(files), lines=0, measures=churn.measures(counts))


class _Sources:
    """The files that a finding may cite."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs: dict[str, str] = {}

    def worth_a_word(self, path: str) -> Source | None:
        """Give a file that can be read and has enough in it."""
        try:
            source = load(self.root, path)
        except UnreadableError:  # the code view says so
            return None
        self.blobs[path] = source.digest
        return source if code_lines(source) >= LINES else None


def _sightings(past: History, files: tuple[str, ...], sources: _Sources) -> Iterator[Sighting]:
    for path, count in churn.busiest(churn.commits_of(past)):
        if source := sources.worth_a_word(path):
            yield _at_head(source, "high-churn", measure=count)
    for orphan in ownership.orphans(past):
        if source := sources.worth_a_word(orphan.path):
            yield _at_head(source, "absent-owner", measure=orphan.commits, detail=orphan.away)
    for pair in coupling.hidden(sources.root, files, coupling.pairs(past)):
        source, other = sources.worth_a_word(pair.one), sources.worth_a_word(pair.other)
        if source and other:
            yield _at_head(source, "hidden-coupling", measure=pair.commits, detail=f"`{pair.other}`")


def _at_head(source: Source, rule: str, *, measure: int, detail: str = "") -> Sighting:
    return msgspec.structs.replace(seen(source, rule, 1, measure=measure, detail=detail), tool=TOOL)


def _skipped(past: History) -> list[Skipped]:
    older = Skipped(what="older history", cause=f"one pass reads the newest {MAX_COMMITS} commits")
    few = Skipped(
        what=OWNERS,
        cause=f"fewer than {ownership.PEOPLE} people made {ownership.SHARE_OF_PERSON} commits and more",
    )
    return [*([older] if past.is_cut else []), *([] if ownership.is_team(past) else [few])]
