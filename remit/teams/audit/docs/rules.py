"""Rules of the documentation analyst."""

from remit.teams.audit.judge.rule import Rule

RULES: tuple[Rule, ...] = (
    Rule(
        name="broken-snippet",
        severity="low",
        title="Snippet that does not parse",
        why="Who copies it gets a syntax error before anything else.",
        phrase="the snippet does not parse at line {line}: {detail}",
        certain=False,
        raises=((10, "medium"),),
    ),
    Rule(
        name="broken-doctest",
        severity="low",
        title="Example in a docstring that does not parse",
        why="It is shown wherever the documentation of the code is shown, and no test can run it.",
        phrase="the example in the docstring does not parse at line {line}: {detail}",
        certain=False,
    ),
    Rule(
        name="broken-link",
        severity="low",
        title="Link that leads to nothing",
        why="The reader was sent there for a reason.",
        phrase="line {line} links to `{detail}`, which is not in the repository",
        certain=False,
    ),
    Rule(
        name="broken-anchor",
        severity="note",
        title="Link to a heading that is not there",
        why="The reader lands at the top of a page and has to search.",
        phrase="line {line} links to `{detail}`, and no heading has this anchor",
    ),
    Rule(
        name="unknown-name",
        severity="low",
        title="Name that the code does not have",
        why="The text describes something that was renamed, moved or removed.",
        phrase="line {line} speaks of `{detail}`, which the code does not have",
        certain=False,
    ),
    Rule(
        name="unknown-import",
        severity="medium",
        title="Documented import that fails",
        why="Who copies the snippet gets an ImportError in its first line.",
        phrase="line {line} imports `{detail}`, which the code does not have",
        certain=False,
    ),
)
