"""How often each file changes, and which ones change far more often than the others."""

from collections import Counter
from statistics import median

from remit.teams.audit.history.commit_log import YEAR_S, History
from remit.teams.audit.place import place_of
from remit.teams.audit.sighting import Measure

OFTEN = 12
"""Commits within a year: one a month."""
TIMES = 3
"""As many as the file in the middle has."""
SHARE = 0.03
MOST = 10


def commits_of(history: History) -> Counter[str]:
    """Count the commits of the newest year for every file that has a history, long ago or not."""
    counts: Counter[str] = Counter({path: 0 for commit in history.commits for path in commit.paths})
    for commit in history.since(YEAR_S):
        counts.update(commit.paths)
    return counts


def measures(counts: Counter[str]) -> list[Measure]:
    """Give the count of every file."""
    return [Measure(path=path, name="commits", value=counts[path]) for path in sorted(counts)]


def busiest(counts: Counter[str]) -> list[tuple[str, int]]:
    """Give the few files that change far more often than the others, busiest first."""
    shipped = {path: count for path, count in counts.items() if place_of(path) == "shipped"}
    enough = max(OFTEN, TIMES * median([*shipped.values(), 0]))
    room = min(MOST, max(1, round(SHARE * len(shipped))))
    ordered = sorted(shipped.items(), key=lambda item: (-item[1], item[0]))
    return [(path, count) for path, count in ordered[:room] if count >= enough]
