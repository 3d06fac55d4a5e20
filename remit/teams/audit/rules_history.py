"""Rules of the history analyst."""

from remit.teams.audit.rule import Rule

RULES: tuple[Rule, ...] = ()
