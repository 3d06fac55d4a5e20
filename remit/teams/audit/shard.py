"""Cut files into shards of about equal bytes, the same way every time."""

from collections.abc import Sequence

FILES = 150
BYTES = 1_500_000
SPLIT_FROM = 16
"""From so many files on there are two shards at least: one for each core."""


def cut(files: Sequence[tuple[str, int]]) -> list[list[str]]:
    """Give shards of paths, each sorted; the largest file goes first to the lightest shard."""
    count = shards_for(len(files), sum(size for _path, size in files))
    weights = [0] * count
    shards: list[list[str]] = [[] for _shard in range(count)]
    for path, size in sorted(files, key=lambda item: (-item[1], item[0])):
        lightest = min(range(count), key=lambda index: (weights[index], len(shards[index]), index))
        weights[lightest] += size
        shards[lightest].append(path)
    return [sorted(shard) for shard in shards if shard]


def shards_for(files: int, size_bytes: int) -> int:
    """Say into how many shards so many files are cut."""
    wanted = max(-(-files // FILES), -(-size_bytes // BYTES), 2 if files >= SPLIT_FROM else 1)
    return max(1, min(wanted, files))
