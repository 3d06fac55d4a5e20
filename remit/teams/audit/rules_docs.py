"""Rules of the documentation analyst."""

from remit.teams.audit.rule import Rule

RULES: tuple[Rule, ...] = ()
