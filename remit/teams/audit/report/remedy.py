"""What to do about a file, said as the verb of its leading finding: remove, add, extract, name."""

from collections.abc import Iterable, Mapping
from typing import Final

from remit.teams.audit.finding import Finding
from remit.teams.audit.judge.judgement import is_unused
from remit.teams.audit.memory import PATCHED, Action

_REMEDIES: Final[Mapping[str, str]] = {
    "complex-function": "split the function",
    "long-function": "split the function",
    "long-file": "split the file",
    "syntax-error": "mend the syntax",
    "undecodable-file": "save the file in the encoding that it declares",
    "huge-file": "move its data out of the code",
    "F541": "remove the f",
    "missing-f-prefix": "add the f",
    "W605": "double the backslash, or make the text a raw one",
    "duplicate-code": "extract the {measure} lines",
    "import-cycle": "break the import cycle",
    "untested-module": "delete the module, or wire it up with a test",
    "shell-injection": "pass the arguments as a list, without a shell",
    "dynamic-code": "parse the text instead of executing it",
    "unsafe-deserialisation": "read a format that holds data only",
    "missing-timeout": "name a timeout",
    "swallowed-exception": "log the exception or raise it",
    "secret-in-source": "take the secret out and revoke it",
    "weak-password-hash": "hash passwords with a slow hash",
    "insecure-temp-file": "let tempfile create the file",
    "tls-check-off": "check certificates again",
    "assert-validation": "raise an error instead of asserting",
    "broken-snippet": "mend the snippet",
    "broken-doctest": "mend the example",
    "broken-link": "mend the link",
    "broken-anchor": "mend the link",
    "unknown-name": "correct the name",
    "unknown-import": "correct the import",
    "high-churn": "find out why it changes so often",
    "absent-owner": "have somebody else learn it",
    "hidden-coupling": "make the coupling plain, or end it",
    "stale-todo": "do what the comment says, or delete it",
    "undeclared-dependency": "declare the requirement",
    "unused-dependency": "remove the requirement",
    "unpinned-dependency": "name the versions that will do",
    "lock-drift": "lock the requirements anew",
    "no-licence": "add a licence",
    "licence-mismatch": "name one licence",
    "url-dependency": "pin the address to a release",
    "insecure-index": "fetch it over HTTPS",
    "B006": "make the default None",
    "B018": "remove the expression, or use what it gives",
    "B023": "bind the loop's variable",
    "F811": "remove or rename one of the two",
    "F821": "define or import the name",
    "F822": "define the name, or take it out of `__all__`",
    "F823": "assign the name before it is used",
}
_COUNTED = ("the requirement", "the function", "the snippet", "the example", "the link", "the name", "the import")
_DELETE = "delete it, or say who uses it"
_APPLY = "apply the patch"
_TESTS_FIRST: Action = "test first"


def remedy(finding: Finding) -> str:
    """Say in a few words how a finding is mended; empty if its rule has no words of its own."""
    return _REMEDIES.get(finding.rule, "").replace("{measure}", str(finding.measure))


def to_do(cited: Iterable[Finding], action: Action | None, *, is_several: bool = False) -> str:
    """Say what to do about a file: what its first finding asks for, otherwise what the team said of the file.

    `is_several` is whether the file holds more findings of the first one's rule.
    """
    if action == PATCHED:
        return _APPLY
    leading = next(iter(cited), None)
    if leading is not None and is_unused(leading):
        return _DELETE
    verb = remedy(leading) if leading is not None else ""
    verb += "s" if is_several and verb.endswith(_COUNTED) else ""
    if verb and leading is not None and action == _TESTS_FIRST and leading.rule != "untested-module":
        return f"write a test, then {verb}"
    return verb or action or ""
