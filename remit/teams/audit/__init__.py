"""The shipped team: audits a Python repository, offline, and publishes a report when a person agrees."""

from remit.teams.audit.team import team

__all__ = ["team"]
