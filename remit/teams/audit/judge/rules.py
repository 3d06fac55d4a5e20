"""All rules by name, those of ruff included."""

from remit.teams.audit.code import rules as rules_code
from remit.teams.audit.code import rules_security
from remit.teams.audit.docs import rules as rules_docs
from remit.teams.audit.history import rules as rules_history
from remit.teams.audit.judge.rule import Rule
from remit.teams.audit.supply import rules as rules_supply

_TABLES = (rules_code.RULES, rules_security.RULES, rules_history.RULES, rules_supply.RULES, rules_docs.RULES)
RULES = {rule.name: rule for table in _TABLES for rule in table}


def rule_named(name: str) -> Rule:
    """Give a rule; one of ruff's own is named by its code."""
    return RULES.get(name) or Rule(
        name=name,
        severity="high" if name in FATAL else "medium",
        title=f"ruff {name}",
        why=f"See `ruff rule {name}`.",
        phrase="line {line}: {detail}",
        certain=name not in GUESSES,
    )


FATAL = frozenset({"F821", "F823", "F701", "F702", "F706", "F704", "PLE0604", "F502", "F509", "F524"})
"""Findings of ruff that raise when the line runs."""
GUESSES = frozenset({"F821", "F822", "F811", "B018", "B023", "B006"})
"""Findings of ruff that a second look may talk out."""
