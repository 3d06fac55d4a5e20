"""The rules: what each means, how bad it is, and whether a measure alone is enough to believe it."""

import msgspec

from remit.teams.audit.finding import Severity


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule, whoever applies it."""

    name: str
    severity: Severity
    title: str
    why: str
    phrase: str
    """Says it about one file: `{symbol}`, `{line}`, `{measure}`, `{detail}` are filled in."""
    certain: bool = True
    """A measure or a fact. What is not certain is a guess, which needs a second look."""
    raises: tuple[tuple[int, Severity], ...] = ()
    """From which measure on it is worse."""
    floor: int = 0
    """Below this measure nothing is said."""


_RULES = (
    # --- code ---
    Rule(
        name="complex-function",
        severity="medium",
        title="Function with many paths",
        why="Every path needs a test and a reader; most defects of a code base gather in such functions.",
        phrase="`{symbol}` has complexity {measure}",
        certain=False,
        floor=12,
        raises=((25, "high"),),
    ),
    Rule(
        name="long-function",
        severity="low",
        title="Long function",
        why="What does not fit on a screen is changed without being understood.",
        phrase="`{symbol}` is {measure} lines long",
        floor=80,
        raises=((200, "medium"),),
    ),
    Rule(
        name="long-file",
        severity="low",
        title="Long file",
        why="A file that holds many things is changed by everybody at once.",
        phrase="the file has {measure} lines",
        floor=1000,
        raises=((2500, "medium"),),
    ),
    Rule(
        name="syntax-error",
        severity="high",
        title="File does not parse",
        why="It fails when it is imported.",
        phrase="it does not parse at line {line}",
    ),
    Rule(
        name="undecodable-file",
        severity="medium",
        title="File does not decode",
        why="Python refuses a source file whose bytes do not fit its declared encoding.",
        phrase="its bytes do not decode",
    ),
    Rule(
        name="huge-file",
        severity="low",
        title="Huge file",
        why="It is above the read limit, so nothing in it was checked.",
        phrase="it is too large to be read",
    ),
    Rule(
        name="F541",
        severity="note",
        title="f-string without placeholders",
        why="Either a placeholder is missing, or the `f` says something that is not so.",
        phrase="line {line}: an f-string without placeholders",
    ),
    Rule(
        name="W605",
        severity="low",
        title="Backslash that escapes nothing",
        why="Python warns of it, and a later version refuses the file.",
        phrase="line {line}: a backslash that escapes nothing",
    ),
    # --- structure ---
    Rule(
        name="duplicate-code",
        severity="low",
        title="Code that stands twice",
        why="A defect mended in one copy lives on in the other.",
        phrase="{measure} lines from line {line} stand again in {detail}",
        certain=False,
        floor=10,
        raises=((30, "medium"),),
    ),
    Rule(
        name="import-cycle",
        severity="medium",
        title="Modules that import one another",
        why="None of them can be imported, tested or moved alone.",
        phrase="it is in an import cycle of {measure} modules ({detail})",
        floor=2,
    ),
    Rule(
        name="untested-module",
        severity="low",
        title="Module that no test mentions",
        why="Nothing notices when it breaks.",
        phrase="no test mentions it",
        certain=False,
        floor=20,
        raises=((200, "medium"),),
    ),
    # --- security ---
    Rule(
        name="shell-injection",
        severity="high",
        title="Command run by a shell",
        why="Text that reaches the command line is executed.",
        phrase="`{symbol}` runs a shell at line {line}",
        certain=False,
    ),
    Rule(
        name="dynamic-code",
        severity="high",
        title="Text executed as code",
        why="Whoever controls the text controls the process.",
        phrase="text is executed as code at line {line}",
        certain=False,
    ),
    Rule(
        name="unsafe-deserialisation",
        severity="high",
        title="Bytes that may run code when they are read",
        why="Pickle, marshal and unsafe YAML build any object that the bytes ask for.",
        phrase="`{detail}` at line {line} builds any object its bytes ask for",
        certain=False,
    ),
    Rule(
        name="missing-timeout",
        severity="medium",
        title="Waits for ever",
        why="A peer that does not answer stops the caller.",
        phrase="`{detail}` at line {line} has no timeout",
        certain=False,
    ),
    Rule(
        name="swallowed-exception",
        severity="medium",
        title="Exception swallowed",
        why="The failure happens and nobody learns of it.",
        phrase="the exception swallowed at line {line} hides its failures",
        certain=False,
    ),
    Rule(
        name="secret-in-source",
        severity="medium",
        title="Secret-like text",
        why="Whoever can read the repository has it.",
        phrase="line {line} holds what looks like a secret",
        certain=False,
        raises=((100, "high"),),
    ),
    Rule(
        name="weak-password-hash",
        severity="high",
        title="Password hashed with a fast hash",
        why="MD5 and SHA-1 of passwords are reversed by guessing.",
        phrase="a password is hashed with `{detail}` at line {line}",
        certain=False,
    ),
    Rule(
        name="insecure-temp-file",
        severity="medium",
        title="Temporary name that others can take first",
        why="Between naming and opening, somebody else may create the file.",
        phrase="`{detail}` at line {line} names a file that others can take first",
    ),
    Rule(
        name="tls-check-off",
        severity="high",
        title="Certificates are not checked",
        why="Anybody between the two ends can read and change everything.",
        phrase="certificates are not checked at line {line}",
        certain=False,
    ),
    Rule(
        name="assert-validation",
        severity="low",
        title="Input validated by assert",
        why="`python -O` removes it.",
        phrase="line {line} validates input by an assert, which `python -O` removes",
        certain=False,
    ),
)
RULES = {rule.name: rule for rule in _RULES}


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
