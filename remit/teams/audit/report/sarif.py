"""Findings as SARIF 2.1.0, the format that editors and code hosts open."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Literal
from urllib.parse import quote

import msgspec

from remit.teams.audit.finding import Finding, Severity
from remit.teams.audit.judge.opinion import Opinion
from remit.teams.audit.judge.rules import rule_named
from remit.teams.audit.report.baseline import Known
from remit.teams.audit.report.since import Comparison

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVEL: dict[Severity, str] = {"high": "error", "medium": "warning", "low": "note", "note": "note"}
Json = dict[str, object]


# What the standard requires of the parts that we write, by its own names.


class _Rule(msgspec.Struct):
    id: str


class _Driver(msgspec.Struct):
    name: str
    rules: list[_Rule]


class _Tool(msgspec.Struct):
    driver: _Driver


class _Text(msgspec.Struct):
    text: str


class _Region(msgspec.Struct):
    startLine: Annotated[int, msgspec.Meta(ge=1)]  # noqa: N815  # the standard's name


class _Artifact(msgspec.Struct):
    uri: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._~!$&'()*+,;=:@/%-]+$")]
    uriBaseId: str  # noqa: N815  # the standard's name


class _Physical(msgspec.Struct):
    artifactLocation: _Artifact  # noqa: N815  # the standard's name
    region: _Region | None = None


class _Location(msgspec.Struct):
    physicalLocation: _Physical  # noqa: N815  # the standard's name


class _Suppression(msgspec.Struct):
    kind: Literal["inSource", "external"]


class _Result(msgspec.Struct):
    ruleId: str  # noqa: N815  # the standard's name
    ruleIndex: int  # noqa: N815  # the standard's name
    level: Literal["none", "note", "warning", "error"]
    message: _Text
    locations: list[_Location]
    partialFingerprints: dict[str, str]  # noqa: N815  # the standard's name
    suppressions: list[_Suppression] = []
    baselineState: Literal["new", "unchanged", "updated", "absent", ""] = ""  # noqa: N815  # the standard's name


class _Run(msgspec.Struct):
    tool: _Tool
    results: list[_Result]


class _Log(msgspec.Struct):
    version: Literal["2.1.0"]
    runs: list[_Run]


def document(opinions: Iterable[Opinion], since: Comparison | None = None) -> Json:
    """Give a log with what was kept at its level, and what was demoted as a suppressed note with its reason.

    Compared with an earlier audit, every result says its state, and those that are there no more follow.
    """
    shown = [opinion for opinion in opinions if opinion.decision in {"keep", "demote"}]
    gone = _gone(shown, since) if since is not None else []
    then = _states(since)
    names = sorted({opinion.finding.rule for opinion in shown} | {known.rule for known in gone})
    driver = {
        "name": "remit audit",
        "rules": [_rule(name) for name in names],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"SRCROOT": {"description": {"text": "The audited repository."}}},
        "results": [
            *(_result(opinion, names) | (_state(opinion, then) if since is not None else {}) for opinion in shown),
            *(_absent(known, names) for known in gone),
        ],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def text(opinions: Iterable[Opinion], since: Comparison | None = None) -> str:
    """Give the document as JSON, one result a line, so that two of them can be compared."""
    return msgspec.json.format(msgspec.json.encode(document(opinions, since)), indent=1).decode() + "\n"


def problems(body: str) -> list[str]:
    """Say what makes a document unfit for its readers: what the standard requires of the parts that we write."""
    try:
        log = msgspec.json.decode(body, type=_Log)
    except msgspec.DecodeError as error:
        return [str(error)]
    return [problem for run in log.runs for problem in _problems_of(run)]


def _problems_of(run: _Run) -> Iterator[str]:
    rules = run.tool.driver.rules
    if len({rule.id for rule in rules}) != len(rules):
        yield "two rules have one id"
    for result in run.results:
        if not 0 <= result.ruleIndex < len(rules) or rules[result.ruleIndex].id != result.ruleId:
            yield f"a result names a rule that is not there: {result.ruleId}"


def _rule(name: str) -> Json:
    rule = rule_named(name)
    return {
        "id": rule.name,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why},
        "defaultConfiguration": {"level": _LEVEL[rule.severity]},
    }


def _result(opinion: Opinion, names: Sequence[str]) -> Json:
    finding = opinion.finding
    result: Json = {
        "ruleId": finding.rule,
        "ruleIndex": names.index(finding.rule),
        "level": _LEVEL[finding.severity] if opinion.decision == "keep" else "note",
        "message": {"text": _said(finding)},
        "locations": [_location(finding)],
        "partialFingerprints": {"remit/v1": finding.fingerprint},
        "properties": {"skill": finding.skill, "tools": list(finding.tools), "score": opinion.score},
    }
    if opinion.decision == "demote":
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": opinion.reason}]
    return result


def _states(since: Comparison | None) -> dict[str, bool]:
    """Give the results of the last audit by fingerprint, and whether each was kept under just this one."""
    if since is None:
        return {}
    changed = dict.fromkeys([*since.last.demoted, *since.changed], False)
    return changed | {item.fingerprint: True for item in since.last.kept}


def _state(opinion: Opinion, then: Mapping[str, bool]) -> Json:
    """Say how a result compares with the same one then."""
    name, is_kept = opinion.finding.fingerprint, opinion.decision == "keep"
    if name not in then:
        return {"baselineState": "new"}
    return {"baselineState": "unchanged" if then[name] == is_kept else "updated"}


def _gone(shown: Iterable[Opinion], since: Comparison) -> list[Known]:
    """Give what was kept then and is no result now; what nobody looked for may be there still."""
    there = {opinion.finding.fingerprint for opinion in shown}
    there |= {item.fingerprint for item in (*since.unseen, *since.changed.values())}
    then = {known.fingerprint: known for known in since.last.kept}
    return [known for name, known in then.items() if name not in there]


def _absent(known: Known, names: Sequence[str]) -> Json:
    artifact = {"uri": quote(known.path), "uriBaseId": "SRCROOT"}
    return {
        "ruleId": known.rule,
        "ruleIndex": names.index(known.rule),
        "level": _LEVEL[known.severity],
        "message": {"text": f"{rule_named(known.rule).title}: found by the last audit, and not by this one"},
        "locations": [{"physicalLocation": {"artifactLocation": artifact}}],
        "partialFingerprints": {"remit/v1": known.fingerprint},
        "baselineState": "absent",
    }


def _said(finding: Finding) -> str:
    return f"{rule_named(finding.rule).title}: {finding.message}"


def _location(finding: Finding) -> Json:
    region: Json = {"startLine": max(1, finding.line)}
    if finding.snippet:
        region["snippet"] = {"text": finding.snippet}
    artifact = {"uri": quote(finding.path), "uriBaseId": "SRCROOT"}
    return {"physicalLocation": {"artifactLocation": artifact, "region": region}}
