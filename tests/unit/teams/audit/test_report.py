"""The pure parts behind the report: shards, conflicts, hotspots, score, SARIF, and the charter around it all."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from remit.contracts.charter import Charter
from remit.supervisor import plan
from remit.teams import audit
from remit.teams.audit import sarif, team
from remit.teams.audit.conflict import by_rule, conflicts
from remit.teams.audit.finding import Finding, Severity, Skill
from remit.teams.audit.hotspot import hotspots
from remit.teams.audit.judgement import Judgement, Said
from remit.teams.audit.opinion import Opinion
from remit.teams.audit.score import score
from remit.teams.audit.shard import FILES, cut


def finding(path: str, rule: str, severity: Severity = "medium", *, skill: Skill = "code", line: int = 1) -> Finding:
    return Finding(
        fingerprint=f"{rule}{line:x}",
        rule=rule,
        severity=severity,
        path=path,
        line=line,
        symbol="",
        snippet="x = 'a b'",
        message=f"{rule} says so",
        skill=skill,
        tools=("ast",),
        blob="sha256:1",
    )


@given(st.lists(st.tuples(st.text(min_size=1), st.integers(0, 300_000)), unique_by=lambda item: item[0], min_size=1))
def test_shards_hold_every_file_once_and_are_the_same_in_any_order(files: list[tuple[str, int]]) -> None:
    shards = cut(files)

    assert sorted(path for shard in shards for path in shard) == sorted(path for path, _size in files)
    assert cut(files[::-1]) == shards


def test_shards_are_balanced_by_bytes() -> None:
    shards = cut([(f"f{n:04}.py", n) for n in range(600)])

    weights = [sum(int(path[1:5]) for path in shard) for shard in shards]
    assert len(shards) == 600 // FILES
    assert max(weights) - min(weights) <= 600


def test_sides_are_told_in_one_order_and_the_rule_gives_the_result() -> None:
    code = Judgement(skill="code", risk=8, reason="a")
    security = Judgement(skill="security", risk=12, reason="b")
    said = (Said(skill="code", tool="ruff", severity="high"), Said(skill="security", tool="ast", severity="low"))

    one = conflicts({"a.py": 12}, {"a.py": (code, security)}, findings={"f": said}, severities={"f": "low"})
    two = conflicts({"a.py": 12}, {"a.py": (security, code)}, findings={"f": said[::-1]}, severities={"f": "low"})

    assert one == two
    assert [(item.rule, item.result) for item in one] == [
        ("union", "all 2 reasons stand; the first is security's"),
        ("max", "12"),
        ("evidence", "low, seen by 2 tools"),
    ]
    assert {item.rule: item.count for item in by_rule(one)} == {"evidence": 1, "max": 1, "union": 1}


def test_a_value_that_the_rule_did_not_give_is_an_open_conflict() -> None:
    sides = (Judgement(skill="code", risk=8, reason="a"), Judgement(skill="security", risk=12, reason="b"))

    found = conflicts({"a.py": 8}, {"a.py": sides}, findings={}, severities={})

    assert [item.rule for item in found if not item.decided] == ["max"]


def test_one_analyst_on_a_file_is_no_conflict() -> None:
    alone = {"a.py": (Judgement(skill="code", risk=8, reason="a"),)}

    assert conflicts({"a.py": 8}, alone, findings={}, severities={}) == []


def test_a_file_on_which_analysts_meet_comes_before_a_heavier_one() -> None:
    kept = [
        finding("heavy.py", "complex-function", "high"),
        finding("heavy.py", "syntax-error", "high"),
        finding("joined.py", "complex-function"),
        finding("joined.py", "untested-module", skill="structure"),
        finding("joined.py", "missing-timeout", "low", skill="security"),
    ]

    first, second = hotspots(kept)

    assert first.path == "joined.py"
    assert first.sentence() == (
        "joined.py: complex-function says so, missing-timeout says so, and untested-module says so"
    )
    assert (second.path, second.is_joined) == ("heavy.py", False)


def test_the_score_falls_with_weight_and_rises_with_size() -> None:
    two = [finding("a.py", "r", "high")] * 2

    assert score([], 10) == 100
    assert score(two, 1000) == 50
    assert score(two, 10_000) == 91


def opinion(item: Finding, decision: str = "keep") -> Opinion:
    return Opinion(finding=item, decision=decision, reason="r", place="shipped", score=90, cited=True)  # type: ignore[arg-type]  # drawn


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)


@given(st.lists(st.builds(finding, names, st.sampled_from(["complex-function", "F821", "r"]), line=st.integers(0))))
def test_whatever_was_found_the_log_has_no_problem(found: list[Finding]) -> None:
    opinions = [opinion(item, "demote" if item.line % 2 else "keep") for item in found]

    assert sarif.problems(sarif.text(opinions)) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda run: run["results"][0].update(level="bad"),
        lambda run: run["results"][0].update(ruleIndex=7),
        lambda run: run["results"][0].update(ruleId="other"),
        lambda run: run["results"][0]["locations"][0]["physicalLocation"]["region"].update(startLine=0),
        lambda run: run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"].update(uri="a b"),
        lambda run: run["tool"]["driver"]["rules"].append(run["tool"]["driver"]["rules"][0]),
        lambda run: run.pop("tool"),
    ],
)
def test_a_spoiled_log_is_noticed(spoil: "object") -> None:
    log = json.loads(sarif.text([opinion(finding("a.py", "complex-function"))]))
    assert callable(spoil)
    spoil(log["runs"][0])

    assert sarif.problems(json.dumps(log))


def charter() -> Charter:
    text = (Path(audit.__file__).parent / "charter.yaml").read_text()
    return Charter.model_validate_json(json.dumps(yaml.safe_load(text)))


def test_the_charter_and_the_team_name_the_same_roles_tools_and_risks() -> None:
    rules = charter()

    assert set(rules.roles) == set(team.roles)
    assert set(rules.tools) == set(team.tools) == {tool for role in rules.roles.values() for tool in role.tools}
    assert {name: item.risk for name, item in rules.tools.items()} == {
        name: item.risk for name, item in team.tools.items()
    }
    assert [name for name, item in rules.tools.items() if item.review == "person"] == ["fs.publish"]


def test_the_plan_holds_together_and_every_criterion_names_a_field_of_a_reply() -> None:
    spec = team.spec(charter())
    nodes = {node.name: spec.roles[node.role].gives for node in spec.workflows["audit"].nodes}

    plan.check("audit", spec.workflows["audit"], spec.roles)

    for check in charter().completion:
        if check.check == "reply_field":
            assert check.field in nodes[check.node].__struct_fields__, check.name


def test_the_package_gives_the_team_and_nothing_else() -> None:
    assert audit.__all__ == ["team"]
    assert audit.team is team
