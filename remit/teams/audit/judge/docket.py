"""The findings before the critic: which to look at again in which round, and what becomes of them in the end.

A first pass guesses widely and cheaply; a second look is dear. So a rule that found more than `CROWD` places in one
tree is not looked at place by place: in the first round a sample of it is. If nothing in the sample holds, the crowd
is noise (a templating syntax, a house idiom) and is demoted as one. If something holds, the second round looks at its
worst places, and these stand for the rest. Two rounds are all there is: what is still doubted then is demoted.

Where a second look costs no more than a glance at one syntax tree, nothing is sampled: every place is looked at, up to
`EACH`, and the crowd is what holds then.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from remit.teams.audit.finding import Finding, in_file_order, worst_first
from remit.teams.audit.judge.opinion import ENOUGH, Opinion, score
from remit.teams.audit.sighting import Look

ROUNDS = 2
CROWD = 20
SAMPLE = 5
EACH = 300
CHEAP = frozenset({"duplicate-code", "complex-function", "long-function", "long-file"})
"""Rules whose every place is looked at: what some of them are says nothing about the others."""

TANGLED = "complex-function"
Group = tuple[str, str]
"""A rule, and the top folder in which it found something."""


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """Give every fingerprint once.

    Two analysts may see one place with different severity. The evidence rule decides: a tool that read the
    arguments of a call is believed before one that knows its name; then the worse severity.
    """
    by_name: dict[str, list[Finding]] = {}
    for finding in findings:
        by_name.setdefault(finding.fingerprint, []).append(finding)
    return sorted((_best(group) for group in by_name.values()), key=in_file_order)


def _best(group: Sequence[Finding]) -> Finding:
    best = min(group, key=lambda item: (item.tools != ("ast",), worst_first(item)))
    tools = tuple(sorted({tool for item in group for tool in item.tools}))
    return msgspec.structs.replace(best, tools=tools)


def group_of(finding: Finding) -> Group:
    """Say in which crowd a finding would stand."""
    top, slash, _rest = finding.path.partition("/")
    return finding.rule, top if slash else ""


def crowds(opinions: Iterable[Opinion]) -> dict[Group, list[Opinion]]:
    """Give the groups that have more members than anybody reads, worst first; what is out already does not count."""
    groups: dict[Group, list[Opinion]] = {}
    for opinion in opinions:
        is_weighed = opinion.looked and opinion.finding.rule not in CHEAP
        if opinion.decision in {"keep", "doubt"} or is_weighed:
            groups.setdefault(group_of(opinion.finding), []).append(opinion)
    return {
        group: sorted(members, key=lambda item: worst_first(item.finding))
        for group, members in sorted(groups.items())
        if len(members) > CROWD
    }


def doubted(opinions: Sequence[Opinion], number: int) -> list[Finding]:
    """Give the findings that an analyst is asked to look at again in this round."""
    crowded = crowds(opinions)
    alone = [item for item in opinions if item.decision == "doubt" and group_of(item.finding) not in crowded]
    asked = [item.finding for item in alone if not item.looked]
    for members in crowded.values():
        asked.extend(_asked_of_crowd(members, number))
    return sorted(asked, key=in_file_order)


def _asked_of_crowd(members: Sequence[Opinion], number: int) -> list[Finding]:
    if members[0].finding.rule in CHEAP:
        return [item.finding for item in members[:EACH] if item.decision == "doubt" and not item.looked]
    if number == 1:
        sample = sorted(members, key=lambda item: item.finding.fingerprint)[:SAMPLE]
        return [item.finding for item in sample if item.decision == "doubt"]
    if is_noise(members):
        return []
    return [item.finding for item in members[:CROWD] if item.decision == "doubt" and not item.looked]


def is_noise(members: Sequence[Opinion]) -> bool:
    """Say whether everything that was looked at again fell through, and enough was."""
    looked = [item for item in members if item.looked]
    return len(looked) >= SAMPLE and all(item.decision == "reject" for item in looked)


def heard(opinions: Sequence[Opinion], looks: Iterable[Look]) -> list[Opinion]:
    """Give the opinions after a round: what held is scored again, what did not is rejected."""
    by_name: Mapping[str, Look] = {look.fingerprint: look for look in looks}
    return [
        _after(opinion, by_name[opinion.finding.fingerprint]) if opinion.finding.fingerprint in by_name else opinion
        for opinion in opinions
    ]


def _after(opinion: Opinion, look: Look) -> Opinion:
    if not look.holds:
        return msgspec.structs.replace(
            opinion, decision="reject", reason=f"looked at again: {look.reason}", looked=True
        )
    finding = msgspec.structs.replace(opinion.finding, line=look.line)
    if look.is_minor:
        reason = f"looked at again: {look.reason}"
        return msgspec.structs.replace(
            opinion, finding=finding, cited=True, looked=True, decision="demote", reason=reason
        )
    points = score(finding, opinion.place, cited=True, looked=True)
    return msgspec.structs.replace(
        opinion,
        finding=finding,
        cited=True,
        looked=True,
        score=points,
        decision="keep" if points >= ENOUGH else "doubt",
        reason=f"looked at again: {look.reason}",
    )


def settled(opinions: Sequence[Opinion]) -> list[Opinion]:
    """Give the final opinions: nothing is doubted any more."""
    crowded = crowds(opinions)
    final = {opinion.finding.fingerprint: _alone(opinion) for opinion in opinions}
    for (rule, top), members in crowded.items():
        where = f"{len(members)} findings of {rule} in {top or 'the top folder'}"
        for index, member in enumerate(members):
            name = member.finding.fingerprint
            if is_noise(members) and not member.looked:
                reason = f"none of those looked at again held: {where} are demoted together"
                final[name] = msgspec.structs.replace(member, decision="demote", reason=reason)
            elif index >= CROWD and member.decision != "reject":
                reason = f"one of {where}; the {CROWD} worst stand for all"
                final[name] = msgspec.structs.replace(member, decision="demote", reason=reason)
    return sorted(_once(final.values()), key=lambda item: in_file_order(item.finding))


def _once(opinions: Iterable[Opinion]) -> Iterator[Opinion]:
    """Let the complexity of a function stand for its length, too: both ask for the same."""
    opinions = tuple(opinions)
    tangled = {_function(item.finding) for item in opinions if item.finding.rule == TANGLED and item.decision == "keep"}
    for item in opinions:
        is_told = item.finding.rule == "long-function" and _function(item.finding) in tangled
        if is_told and item.decision == "keep":
            yield msgspec.structs.replace(
                item, decision="demote", reason="the complexity of the function says the same"
            )
        else:
            yield item


def _function(finding: Finding) -> tuple[str, str]:
    return finding.path, finding.symbol


def _alone(opinion: Opinion) -> Opinion:
    if opinion.decision != "doubt":
        return opinion
    if not opinion.cited:
        return msgspec.structs.replace(opinion, decision="reject", reason="the cited line does not say so")
    return msgspec.structs.replace(
        opinion, decision="demote", reason=f"still doubted: {opinion.score} of {ENOUGH} points"
    )
