"""Who is who among the authors: one person may write under several names and addresses.

Whoever shares a name or an address with somebody is that person. Two people taken for one are a smaller mistake here
than one taken for two: it would be said of somebody that they have left, who only has a new address.
"""


class People:
    """Authors, joined by what they share."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def add(self, name: bytes, address: bytes) -> str:
        """Give a key of the author; `who` says later which person that is."""
        keys = [mark + text for mark, text in (("n", _plain(name)), ("a", _plain(address))) if text]
        first, *others = keys or ["nobody"]
        for other in others:
            self._parent[self.who(other)] = self.who(first)
        return self.who(first)

    def who(self, key: str) -> str:
        """Give the person behind an author's key."""
        above = self._parent.setdefault(key, key)
        while above != key:
            self._parent[key] = self._parent.setdefault(above, above)
            key, above = above, self._parent[above]
        return key


def is_bot(name: bytes, address: bytes) -> bool:
    """Say whether an author is a program."""
    return name.endswith(b"[bot]") or b"[bot]@" in address


def _plain(text: bytes) -> str:
    return " ".join(text.decode(errors="replace").casefold().split())
