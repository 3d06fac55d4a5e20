"""Rules of the supply analyst."""

from remit.teams.audit.judge.rule import Rule

RULES: tuple[Rule, ...] = (
    Rule(
        name="undeclared-dependency",
        severity="medium",
        title="Imported, but not declared",
        why="Whoever installs the project gets it only if something else happens to bring it along.",
        phrase="{detail} is imported at line {line}, and no manifest declares it",
        certain=False,
    ),
    Rule(
        name="unused-dependency",
        severity="low",
        title="Declared, but not used",
        why="Everybody installs it, updates it and trusts it for nothing.",
        phrase="{detail} is required at line {line}, and nothing imports or names it",
        certain=False,
    ),
    Rule(
        name="unpinned-dependency",
        severity="low",
        title="Any version will do",
        why="The same commit runs with other code tomorrow.",
        phrase="{detail}",
    ),
    Rule(
        name="lock-drift",
        severity="medium",
        title="Lock file and manifest disagree",
        why="What is installed is not what is declared, or the next installation fails.",
        phrase="{detail}",
    ),
    Rule(
        name="no-licence",
        severity="low",
        title="No licence",
        why="Without one, nobody but its authors may use the code.",
        phrase="nothing says under which licence it may be used",
    ),
    Rule(
        name="licence-mismatch",
        severity="medium",
        title="Two licences for one thing",
        why="Those who use the code do not know which holds.",
        phrase="{detail}",
    ),
    Rule(
        name="url-dependency",
        severity="low",
        title="Dependency from an address that moves",
        why="What is fetched is whatever stands there that day, or what somebody on the way puts in its place.",
        phrase="{detail}",
        raises=((1, "medium"),),
    ),
    Rule(
        name="insecure-index",
        severity="medium",
        title="Index that anybody on the way can change",
        why="What is installed runs with all rights of whoever installs it.",
        phrase="{detail}",
    ),
)
