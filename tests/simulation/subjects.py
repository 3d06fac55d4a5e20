"""Which subjects a filter covers, as nats-server says."""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=4096)
def _pattern(filter_: str) -> re.Pattern[str]:
    words = [{"*": r"[^.]+", ">": r".+"}.get(word, re.escape(word)) for word in filter_.split(".")]
    return re.compile(r"\.".join(words))


def is_literal(filter_: str) -> bool:
    """Say whether a filter names one subject."""
    return "*" not in filter_ and ">" not in filter_


def covers(filter_: str, subject: str) -> bool:
    """Say whether a filter covers a subject."""
    if filter_ in {subject, ">"}:
        return True
    return not is_literal(filter_) and _pattern(filter_).fullmatch(subject) is not None


def transformed(subject: str, source: str, target: str) -> str:
    """Give a subject as a transform such as `remit.run.*._.*.finished` to `remit.result.{{wildcard(1)}}` names it."""
    pairs = zip(source.split("."), subject.split("."), strict=False)
    stars = [word for pattern, word in pairs if pattern == "*"]
    return re.sub(r"\{\{wildcard\((\d+)\)\}\}", lambda hit: stars[int(hit[1]) - 1], target)
