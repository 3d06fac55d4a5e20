"""Rules of the history analyst. None of them is a defect alone: each makes worse what others find in the file."""

from remit.teams.audit.judge.rule import Rule

RULES = (
    Rule(
        name="high-churn",
        severity="note",
        title="File that changes far more often than the others",
        why="Whatever is wrong in it is met again with every change, and every change may break it.",
        phrase="{measure} commits changed it within a year",
    ),
    Rule(
        name="absent-owner",
        severity="low",
        title="File that one person knew, who is not here any more",
        why="Nobody who still commits has worked on it, so the next change is made without knowing why it is so.",
        phrase="one person, who last committed {detail} ago, made nearly all of its {measure} commits",
        raises=((30, "medium"),),
    ),
    Rule(
        name="hidden-coupling",
        severity="low",
        title="Files that change together without an import between them",
        why="Whoever changes one must know of the other, and nothing in the code says so.",
        phrase="{measure} commits changed it together with {detail}, though neither imports the other",
        certain=False,
    ),
    Rule(
        name="stale-todo",
        severity="note",
        title="Forgotten note in a comment",
        why="What has waited for years is either wrong by now or a defect that everybody steps over.",
        phrase="the {detail} at line {line} has waited for more than {measure} years",
        certain=False,
        floor=2,
    ),
)
