"""How a conflict is told in words: the values that met, and what the rule that decided means."""

from collections.abc import Mapping

DEEPEST = 5
MEANS: Mapping[str, str] = {
    "reject": "who came later was turned away, and begins again from what stands",
    "write_once": "the first value stands for good",
    "union": "what every side brought is kept, each item once",
    "max": "the larger number stands: of two judgements of a risk the graver one",
    "min": "the smaller number stands",
    "counter": "what each side added is added up",
    "append": "every item of either side is kept",
    "owner": "the role that owns the field has the last word",
    "last_writer": "what was written last stands",
    "evidence": "the side that more independent tools saw stands; of equals the one with more points; then in an order"
    " that is the same every time",
    "arbitrate": "a role was asked to decide",
    "escalate": "a person was asked to decide",
    "most_urgent": "the more urgent action stands: mend before test first, simplify, watch and leave",
}
"""By the name of the rule; the last is this team's own."""


def means(rule: str) -> str:
    """Say what a rule does, in one sentence."""
    return MEANS.get(rule, "a rule of the team's own decided")


def in_words(value: object, deepest: int = DEEPEST) -> str:
    """Give a value of the shared state in words; of lists in lists no more than anybody writes."""
    match value:
        case None:
            return "nothing"
        case {"text": text, "tools": [*tools], "score": score}:
            return f"{text} ({', '.join(map(str, tools))}; {score})"
        case {"level": level, "tools": [*tools]}:
            return f"{level} ({', '.join(map(str, tools))})"
        case {"skill": skill, "risk": risk, "action": action}:
            return f"{skill}: {action}, risk {risk}"
        case {"skill": skill, "tool": tool}:
            return f"{skill} with {tool}"
        case [*items]:
            return ("; ".join(in_words(item, deepest - 1) for item in items) if deepest else "…") or "nothing"
        case _:
            return str(value)
