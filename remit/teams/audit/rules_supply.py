"""Rules of the supply analyst."""

from remit.teams.audit.rule import Rule

RULES: tuple[Rule, ...] = ()
