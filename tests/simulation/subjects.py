"""Which subjects a filter covers, as nats-server says."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def is_literal(filter_: str) -> bool:
    """Say whether a filter names one subject."""
    return "*" not in filter_ and ">" not in filter_


@lru_cache(maxsize=4096)
def matcher(filter_: str) -> Callable[[str], bool]:
    """Give what says whether a subject is covered by a filter."""
    if filter_ == ">":
        return lambda _subject: True
    head, _, last = filter_.rpartition(".")
    head += "."
    if is_literal(filter_):
        return lambda subject: subject == filter_
    if last == ">" and is_literal(head):
        return lambda subject: subject.startswith(head) and len(subject) > len(head)
    if last == "*" and is_literal(head):
        return lambda subject: subject.startswith(head) and "." not in subject[len(head) :]
    words = [{"*": r"[^.]+", ">": r".+"}.get(word, re.escape(word)) for word in filter_.split(".")]
    pattern = re.compile(r"\.".join(words))
    return lambda subject: pattern.fullmatch(subject) is not None


def covers(filter_: str, subject: str) -> bool:
    """Say whether a filter covers a subject."""
    return matcher(filter_)(subject)


def transformed(subject: str, source: str, target: str) -> str:
    """Give a subject as a transform such as `remit.run.*._.*.finished` to `remit.result.{{wildcard(1)}}` names it."""
    pairs = zip(source.split("."), subject.split("."), strict=False)
    stars = [word for pattern, word in pairs if pattern == "*"]
    return re.sub(r"\{\{wildcard\((\d+)\)\}\}", lambda hit: stars[int(hit[1]) - 1], target)
