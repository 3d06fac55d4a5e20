"""Test a role like any class: a real context over scripted tools, replies and reviews; no server, milliseconds."""

from remit.testing.bench import Bench
from remit.testing.desk import Called
from remit.testing.policy import check_policy

__all__ = ["Bench", "Called", "check_policy"]
