"""Why a finding is not worth a reader's time, whatever it says: its place, its author's word, or a template."""

import re

from remit.teams.audit.finding import Finding
from remit.teams.audit.place import Place, is_migration, is_templated, is_test_data
from remit.teams.audit.tools.ruff import SECOND_OPINIONS

_PLACES: dict[Place, str] = {
    "test": "in tests, where it is meant to be or harms nobody",
    "vendored": "in vendored code, which is mended elsewhere",
    "generated": "in generated code, which is mended in its generator",
    "template": "in a template, which is not Python yet",
}
_EVERYWHERE = frozenset({"syntax-error", "undecodable-file"})
"""Rules that matter in tests too."""
_WHOLE = frozenset({"long-file", "untested-module", "high-churn", "absent-owner", "hidden-coupling"})
"""Rules about a whole file: they cite its first line, and a comment there speaks of that line."""
_NEVER_MEANT = _WHOLE | {"missing-timeout", "secret-in-source"}
"""Rules that a comment silences only by name: who silences everything on a line means what linters usually say."""
_CODES = re.compile(r"#\s*noqa:\s*(?P<codes>[A-Z0-9, ]+)", re.IGNORECASE)
_BROAD_EXCEPT = frozenset({"BLE001", "E722", "W0703", "W0718", "BROAD-EXCEPT"})


def noise(finding: Finding, place: Place, line: str) -> str:
    """Give the reason to reject a finding unseen, or nothing."""
    if finding.rule in _EVERYWHERE:
        if place == "template" or is_templated(line):
            return "a template, which is not Python yet"
        if is_test_data(finding.path) or (place == "test" and "/fixtures/" in finding.path):
            return "in what tests work on, which may be broken on purpose"
        return _PLACES[place] if place == "vendored" else ""
    if is_migration(finding.path) and place == "generated":
        return "" if finding.skill == "security" else "in a migration, which is not changed once it has run"
    if place in _PLACES:
        return _PLACES[place]
    if finding.skill == "docs" and is_templated(line):
        return "templating syntax, which is filled in when the documentation is built"
    if accepted(finding.rule, line):
        return "its author accepted it in a comment on the line"
    return ""


def accepted(rule: str, line: str) -> bool:
    """Say whether a comment on the line names this finding, or everything that it may mean."""
    if "nosec" in line and "#" in line:
        return rule not in _WHOLE
    if codes := _CODES.search(line):
        named = {code.strip().upper() for code in codes["codes"].replace(" ", ",").split(",")}
        return bool(named & _codes_of(rule))
    if re.search(r"#\s*noqa\b(?!\s*:)", line, re.IGNORECASE):
        return rule not in _NEVER_MEANT
    return _pylint(rule, line)


def _codes_of(rule: str) -> frozenset[str]:
    """Give the codes under which linters know a rule."""
    own = {code for code, name in SECOND_OPINIONS.items() if name == rule}
    known = {"complex-function": {"C901", "PLR0912", "PLR0915"}, "long-function": {"PLR0915", "C901"}}
    known["stale-todo"] = {"FIX001", "FIX002", "FIX003", "FIX004", "TD002", "TD003", "W0511", "FIXME"}
    broad = _BROAD_EXCEPT if rule == "swallowed-exception" else frozenset()
    shells = {"S603", "S604", "S606", "S607"} if rule == "shell-injection" else set()
    return frozenset({rule.upper(), *own, *known.get(rule, ()), *broad, *shells})


def _pylint(rule: str, line: str) -> bool:
    said = re.search(r"#\s*pylint:\s*disable=(?P<names>[\w, -]+)", line)
    names = {name.strip().upper() for name in said["names"].split(",")} if said else set()
    return bool(names & (_codes_of(rule) | {"ALL"}))
