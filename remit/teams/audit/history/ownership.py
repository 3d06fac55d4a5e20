"""Files that one person knew who does not commit any more, while others still do."""

from collections import Counter
from typing import NamedTuple

from remit.teams.audit.history.commit_log import DAY_S, YEAR_S, Commit, History
from remit.teams.audit.place import place_of

LEFT_S = YEAR_S
"""Without a commit for so long, a person is away."""
PEOPLE, SHARE_OF_PERSON = 3, 5
"""A team: so many people with so many commits each. Fewer, and it is said of the project, not of its files."""
ALIVE = 10
"""Commits of others since then: in a project at rest everybody is away."""
COMMITS, NEARLY_ALL, HEIRS = 10, 0.9, 1
"""Of a file: enough commits to speak of knowing it; the owner's share; commits of others since the owner left."""
FILES_OF_PERSON = 5
_MONTH_S = YEAR_S // 12
_TWO_YEARS = 24


class Orphan(NamedTuple):
    """A file whose owner is away."""

    path: str
    commits: int
    away: str
    """How long, in words."""


def is_team(history: History) -> bool:
    """Say whether enough people work here to ask who knows what."""
    counts = Counter(commit.person for commit in history.commits)
    return sum(count >= SHARE_OF_PERSON for count in counts.values()) >= PEOPLE


def orphans(history: History) -> list[Orphan]:
    """Give the files that only somebody knows who is away; of one person the most important few."""
    if not is_team(history):
        return []
    last = _last_seen(history)
    by_file: dict[str, list[Commit]] = {}
    for commit in history.narrow:
        for path in commit.paths:
            if place_of(path) == "shipped":
                by_file.setdefault(path, []).append(commit)
    by_owner: dict[str, list[Orphan]] = {}
    for path, commits in by_file.items():
        if owner := _owner(commits, last, history.now):
            found = Orphan(path, len(commits), _in_words(history.now - last[owner]))
            by_owner.setdefault(owner, []).append(found)
    alive = [owner for owner in by_owner if _goes_on(history, last[owner])]
    return sorted(item for owner in alive for item in _foremost(by_owner[owner]))


def _owner(commits: list[Commit], last: dict[str, int], now: int) -> str:
    """Give the person who made nearly all commits of a file and is away; nobody else took it over."""
    owner, count = Counter(commit.person for commit in commits).most_common(1)[0]
    if len(commits) < COMMITS or count < NEARLY_ALL * len(commits) or now - last[owner] < LEFT_S:
        return ""
    heirs = [commit for commit in commits if commit.person != owner and commit.at > last[owner]]
    return owner if len(heirs) <= HEIRS else ""


def _last_seen(history: History) -> dict[str, int]:
    last: dict[str, int] = {}
    for commit in history.commits:
        last[commit.person] = max(last.get(commit.person, 0), commit.at)
    return last


def _goes_on(history: History, since: int) -> bool:
    return sum(commit.at > since + 90 * DAY_S for commit in history.commits) >= ALIVE


def _foremost(found: list[Orphan]) -> list[Orphan]:
    return sorted(found, key=lambda item: (-item.commits, item.path))[:FILES_OF_PERSON]


def _in_words(seconds: int) -> str:
    months = seconds // _MONTH_S
    return f"{months} months" if months < _TWO_YEARS else f"{months // 12} years"
