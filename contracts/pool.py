"""How the pool of a role is sized: its bounds, its objective, what a host needs, and when a host is replaced."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from remit.contracts.message import Message

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class PoolChanged(Message, frozen=True, kw_only=True, tag="pool.changed.v1"):
    """How many hosts a role is to have, who says so, and why: the value of the state key `pool.<role>`."""

    hosts: int
    was: int
    by: str
    """Name of an operator, or `supervisor`."""
    reason: str
    is_pinned: bool = False
    """An operator's wish, which stands until it is given back."""
    waiting: int = 0
    """Steps that nobody had in hand."""
    oldest_wait_s: float = 0.0
    busy: int = 0
    slots: int = 0
    """Of all hosts that were there."""


@dataclass(frozen=True, kw_only=True)
class Pool:
    """The pool of a role, as its class says it: `pool = Pool(min=0, max=8, wait_s=2)`.

    A pool whose `min` is not its `max` is scaled by the supervisor between the two.
    """

    min: int = 1
    """Hosts at least; 0 lets the pool go when nothing has waited for `idle_s`."""
    max: int = 16
    start: int | None = None
    """Hosts at the start; None is `min`."""
    slots: int = 0
    """Steps at once in a host, at most what the charter allows; 0 is what it allows."""
    wait_s: float = 5.0
    """The objective: how long the oldest work may wait before the pool grows."""
    idle_s: float = 60.0
    """How long nothing may wait or run before a pool with `min=0` is let go."""
    warm: int = 0
    """Hosts beyond those wished for which nodes are kept, where Ray adds nodes by itself."""
    isolated: bool = False
    """Never share a host with other roles."""
    num_cpus: float = 0.0
    """What a host asks Ray for, on a cluster."""
    memory_mb: int = 0
    resources: Mapping[str, float] = field(default_factory=dict)
    price: float = 0.0
    """What a host costs in an hour, in the unit of the charter's `capacity.price_per_hour`."""
    max_age_s: float = 0.0
    """A host that is older is replaced; 0 is no bound."""
    max_memory_mb: int = 0
    """A host whose process holds more is replaced; 0 is no bound."""

    @property
    def first(self) -> int:
        """Hosts at the start."""
        return self.min if self.start is None else self.start

    @property
    def is_scaled(self) -> bool:
        """Whether the supervisor changes the number of hosts by itself."""
        return self.min != self.max

    def mistakes(self, slots_most: int) -> Iterator[tuple[str, str, str]]:
        """Give what does not hold together: the argument, what is expected of it, and what it is."""
        for name in ("min", "slots", "warm", "memory_mb", "max_memory_mb"):
            yield from _whole(name, getattr(self, name), least=0)
        yield from _whole("max", self.max, least=1)
        for name in ("num_cpus", "price", "max_age_s"):
            yield from _number(name, getattr(self, name), is_positive=False)
        for name in ("wait_s", "idle_s"):
            yield from _number(name, getattr(self, name), is_positive=True)
        if self.start is not None:
            yield from _whole("start", self.start, least=0)
        yield from self._bounds(slots_most)
        yield from self._asked_of_ray()

    def _bounds(self, slots_most: int) -> Iterator[tuple[str, str, str]]:
        if not all(isinstance(value, int) for value in (self.min, self.max, self.first, self.slots)):
            return
        if self.min > self.max:
            yield "min", f"at most max={self.max}", str(self.min)
        elif not self.min <= self.first <= self.max:
            yield "start", f"{self.min} to {self.max}", str(self.first)
        if self.slots > slots_most:
            yield "slots", f"at most {slots_most}, as the charter's limits.slots says", str(self.slots)

    def _asked_of_ray(self) -> Iterator[tuple[str, str, str]]:
        for name, amount in self.resources.items():
            if name in _OWN_ARGUMENT:
                yield f"resources[{name!r}]", f"the argument {_OWN_ARGUMENT[name]}", f"{name}={amount}"
            elif name.startswith("role_") or name == "remit_trusted":
                yield f"resources[{name!r}]", "a name that Remit does not use itself", name
            else:
                yield from _number(f"resources[{name!r}]", amount, is_positive=True)


_OWN_ARGUMENT = {"CPU": "num_cpus", "memory": "memory_mb"}


def _whole(name: str, value: object, *, least: int) -> Iterator[tuple[str, str, str]]:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        yield name, f"a whole number from {least}", repr(value)


def _number(name: str, value: object, *, is_positive: bool) -> Iterator[tuple[str, str, str]]:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and value < float("inf")
    if not is_number or not (value > 0 if is_positive else value >= 0):  # type: ignore[operator]  # it is a number
        yield name, "a number above 0" if is_positive else "a number from 0", repr(value)
