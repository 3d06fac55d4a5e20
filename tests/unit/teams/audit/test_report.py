"""The pure parts behind the report: shards, conflicts, hotspots, score, SARIF, and the charter around it all."""

import json
from pathlib import Path

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from remit.contracts.charter import Charter
from remit.supervisor import plan
from remit.teams import audit
from remit.teams.audit import team
from remit.teams.audit.code.untested import UNUSED
from remit.teams.audit.finding import Finding, Severity, Skill
from remit.teams.audit.judge.judgement import action_of
from remit.teams.audit.judge.opinion import Opinion
from remit.teams.audit.judge.rules import RULES
from remit.teams.audit.memory import Action
from remit.teams.audit.report import page, sarif
from remit.teams.audit.report.conflict import Card, Side, by_rule, decided, judged
from remit.teams.audit.report.evidence import conflicts_file
from remit.teams.audit.report.gathered import gathered
from remit.teams.audit.report.hotspot import Hotspot, hotspots
from remit.teams.audit.report.markdown import Draft, sections
from remit.teams.audit.report.remedy import remedy, to_do
from remit.teams.audit.report.score import score
from remit.teams.audit.report.wording import ORDER, example
from remit.teams.audit.shard import FILES, cut
from remit.teams.audit.sighting import Skipped
from tests.unit.teams.audit import drafts


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


def risk_card(stands: int = 12, *, rungs: tuple[str, ...] = ()) -> Card:
    sides = (Side(by=("code",), value=8), Side(by=("security", "structure"), value=12))
    return Card(
        key="file.a.py", field="risk", base=None, sides=sides, rule="max", rungs=rungs, result=12, stands=stands
    )


def drafted(*found: Card) -> Draft:
    kept = drafts.opinion(finding("a.py", "complex-function"))
    return drafts.drafted(kept, conflicts=found, actions={"a.py": "test first"})


def test_a_conflict_is_a_card_with_its_base_its_sides_its_rule_and_its_result() -> None:
    lines = sections(drafted(risk_card()))["conflicts"].splitlines()

    assert "### `file.a.py`" in lines
    assert "| risk | nothing | code: 8; security and structure: 12 | max | 12 |" in lines
    assert lines[2] == (
        "Several roles wrote 1 field from the same base. Over 1 they contradict one another, decided by max 1;"
        " over 0 they do not."
    )


def test_a_card_says_what_the_critic_made_of_the_result() -> None:
    lines = sections(drafted(risk_card(4, rungs=("owner",))))["conflicts"].splitlines()

    assert (
        "| risk | nothing | code: 8; security and structure: 12 | owner, then max | 12; then the critic: 4 |" in lines
    )


def reason(skill: str, tools: list[str], text: str) -> Side:
    return Side(by=(skill,), value={"skill": skill, "tools": tools, "score": 8, "text": text})


def rating(skill: str, level: str) -> Side:
    return Side(by=(skill,), value={"skill": skill, "level": level, "tools": ["ruff"], "score": 1})


def card(*sides: Side, key: str = "finding.0") -> Card:
    return Card(key=key, field="f", base=None, sides=sides, rule="r", rungs=(), result=None, stands=None)


def test_values_of_the_shared_state_are_told_in_words() -> None:
    lines = sections(drafted(card(reason("code", ["ast", "ruff"], "a | b"), rating("security", "high"))))["conflicts"]

    assert "| f | nothing | code: a \\| b (ast, ruff; 8); security: high (ruff) | r | nothing |" in lines


def test_a_conflict_over_a_finding_says_where_the_finding_is() -> None:
    fingerprint = finding("a.py", "complex-function").fingerprint

    lines = sections(drafted(card(rating("code", "low"), rating("security", "high"), key=f"finding.{fingerprint}")))

    assert f"### `finding.{fingerprint}`: complex-function at `a.py:1`\n" in lines["conflicts"]


def test_sides_that_do_not_contradict_one_another_are_counted_and_make_no_card() -> None:
    same = [reason(skill, [skill], "both say so") for skill in ("code", "security")]
    brought = [Side(by=(skill,), value=[{"skill": skill, "tool": skill}]) for skill in ("code", "security")]

    lines = sections(drafted(card(*same), card(*brought, key="finding.1")))["conflicts"].splitlines()

    assert lines[2].endswith("from the same base. Over 0 they contradict one another; over 2 they do not.")
    assert lines[3] == "evidence/conflicts.json has all 2."
    assert len(lines) == 4


def action_card(**fields: object) -> Card:
    sides = (Side(by=("code", "security"), value="mend"), Side(by=("structure",), value="test first"))
    plain = Card(
        key="file.a.py",
        field="action",
        base=None,
        sides=sides,
        rule="most_urgent",
        rungs=("owner",),
        result="mend",
        stands="simplify",
    )
    return msgspec.structs.replace(plain, **fields)


def test_the_example_is_one_sentence_of_a_contradiction_in_words_that_stands() -> None:
    same = [reason(skill, [skill], "both say so") for skill in ("code", "security")]
    told = msgspec.structs.replace(card(*same, key="file.a.py"), field="primary_reason")

    assert example((risk_card(), told, action_card())) == (
        "a.py, action: code and security: mend; structure: test first; the rule most_urgent chose mend,"
        " then the critic said simplify"
    )
    assert example((risk_card(), told)) == ""
    assert example((risk_card(), action_card(is_thrown_out=True))) == ""


def test_the_verdict_the_record_and_the_section_count_the_same_contradictions() -> None:
    same = [reason(skill, [skill], "both say so") for skill in ("code", "security")]
    found = (risk_card(), action_card(), card(*same))

    record = json.loads(conflicts_file(found))

    said = sections(drafted(*found))
    assert [item["is_contested"] for item in record] == [True, True, False]
    assert "; 2 contradictions decided by rule, 1 agreement." in said["verdict"]
    assert "Several roles wrote 3 fields from the same base. Over 2 they contradict" in said["conflicts"]
    assert sum(item.count for item in decided(found)) == 2


def test_a_file_to_mend_first_says_what_to_do() -> None:
    said = sections(drafted())["fix-first"]

    assert "Seen by: code. To do: write a test, then split the function. Evidence: " in said


@pytest.mark.parametrize(
    ("rule", "action", "said"),
    [
        ("unused-dependency", "watch", "remove the requirement"),
        ("missing-f-prefix", "watch", "add the f"),
        ("duplicate-code", "simplify", "extract the 36 lines"),
        ("missing-timeout", "watch", "name a timeout"),
        ("untested-module", "test first", "delete the module, or wire it up with a test"),
        ("long-function", "simplify", "split the function"),
        ("broken-link", "watch", "mend the link"),
        ("complex-function", "patched", "apply the patch"),
        ("PLE9999", "mend", "mend"),
        ("PLE9999", None, ""),
    ],
)
def test_what_to_do_is_the_verb_of_the_leading_finding(rule: str, action: Action | None, said: str) -> None:
    leading = msgspec.structs.replace(finding("a.py", rule), measure=36)

    assert to_do([leading, finding("a.py", "stale-todo")], action) == said


def test_a_module_that_nothing_uses_is_to_be_deleted_and_leads_what_is_said_of_its_file() -> None:
    unused_module = msgspec.structs.replace(
        finding("a.py", "untested-module", "low", skill="structure"), message=UNUSED
    )
    found = [finding("a.py", "long-function", "medium"), unused_module, finding("a.py", "assert-validation", "low")]

    (spot,) = hotspots(found)

    assert spot.reasons[0] == UNUSED
    assert to_do([unused_module], "test first") == "delete it, or say who uses it"


def test_what_to_do_about_several_findings_of_one_rule_says_that_there_are_several() -> None:
    found = [drafts.opinion(unused(name, line)) for line, name in enumerate("abc", 1)]

    assert "To do: remove the requirements. " in sections(drafts.drafted(*found))["fix-first"]
    assert "To do: remove the requirement. " in sections(drafts.drafted(found[0]))["fix-first"]


def test_every_rule_of_our_own_says_what_to_do() -> None:
    assert [name for name in RULES if not remedy(finding("a.py", name))] == []


NEWER = "it does not parse with Python 3.11, which runs the audit; it is written for 3.12 and newer"


def test_what_was_not_read_is_said_up_front_and_what_is_alike_once() -> None:
    skipped = (
        Skipped(what="353 more hits of F811", cause="only some are judged"),
        *(Skipped(what=f"shop/m{n}.py", cause=NEWER, lines=1000 + n) for n in range(4)),
        Skipped(what="tests/test_m.py", cause=NEWER, lines=9),
        Skipped(what="114 more hits of F811", cause="only some are judged"),
    )
    draft = msgspec.structs.replace(drafted(), skipped=skipped)
    draft = msgspec.structs.replace(draft, inventory=msgspec.structs.replace(draft.inventory, shipped=7))

    said = sections(draft)
    seen = page.text(draft)

    assert "; 4 of 7 shipped files not parsed (4,006 lines); " in said["verdict"]
    whole = "4 of 7 shipped files not parsed (written for 3.12, audited with 3.11), 4,006 lines, among them "
    assert f"\n\nNot read: {whole}`shop/m3.py`.\n\n" in said["verdict"]
    assert whole in seen[: seen.index("</header>")]
    assert said["not-checked"].splitlines()[2:] == [
        "- 467 more hits of F811: only some are judged.",
        f"- 5 alike, such as shop/m0.py, shop/m1.py, shop/m2.py: {NEWER}.",
    ]


def test_a_value_that_the_rule_did_not_give_is_an_open_conflict_unless_the_owner_gave_it() -> None:
    assert not risk_card().is_open
    assert risk_card(8).is_open
    assert not risk_card(8, rungs=("owner",)).is_open


def test_conflicts_are_counted_by_rule_once_for_each_side_after_the_first() -> None:
    assert [(item.rule, item.count) for item in by_rule([risk_card(), risk_card()])] == [("max", 2)]


def test_a_file_on_which_analysts_meet_comes_before_a_heavier_one() -> None:
    kept = [
        finding("heavy.py", "complex-function", "high"),
        finding("heavy.py", "long-function", "high"),
        finding("joined.py", "complex-function"),
        finding("joined.py", "untested-module", skill="structure"),
        finding("joined.py", "missing-timeout", "low", skill="security"),
    ]

    first, second = hotspots(kept)

    assert first.path == "joined.py"
    assert first.sentence() == (
        "joined.py: missing-timeout says so, complex-function says so, and untested-module says so"
    )
    assert (second.path, second.is_joined) == ("heavy.py", False)


def test_a_heavy_file_goes_before_a_light_one_on_which_analysts_meet() -> None:
    heavy = [finding("heavy.py", "complex-function", "high", line=n) for n in range(2)]
    light = [finding("light.py", "high-churn", "note", skill="history"), finding("light.py", "untested-module", "low")]

    assert [spot.path for spot in hotspots([*light, *heavy])] == ["heavy.py", "light.py"]


def test_what_is_wrong_today_goes_before_what_makes_the_next_change_hard() -> None:
    tangled = finding("tangled.py", "complex-function", "high")
    unsafe = finding("unsafe.py", "unsafe-deserialisation", "high", skill="security")

    assert [spot.path for spot in hotspots([tangled, unsafe])] == ["unsafe.py", "tangled.py"]


def test_a_small_defect_goes_before_every_shape_however_heavy() -> None:
    shapes = [finding("tangled.py", "complex-function", "high", line=n) for n in range(9)]
    shapes += [finding("tangled.py", "untested-module", "high", skill="structure")]
    minor = [finding("minor.py", "missing-timeout", "low", skill="security")]
    minor += [finding("minor.py", "long-function", "high", line=n) for n in range(2)]
    message = finding("message.py", "missing-f-prefix", "medium")

    first, second, third = hotspots([*shapes, *minor, message])

    assert [first.path, second.path, third.path] == ["message.py", "minor.py", "tangled.py"]
    assert second.sentence() == "minor.py: missing-timeout says so, and long-function says so"


def test_a_child_process_without_a_timeout_leads_nothing_and_a_peer_without_one_does() -> None:
    plain = finding("child.py", "missing-timeout", "low", skill="security")
    child = msgspec.structs.replace(plain, message="`subprocess.run` at line 1 has no timeout")
    peer = finding("peer.py", "missing-timeout", "low", skill="security")
    tangled = finding("tangled.py", "complex-function", "medium")

    assert [spot.path for spot in hotspots([child, peer, tangled])] == ["peer.py", "tangled.py", "child.py"]


def test_the_list_of_what_is_kept_gives_defects_first_and_notes_with_the_shapes() -> None:
    said = (("complex-function", "high"), ("F541", "note"), ("unknown-name", "low"), ("missing-f-prefix", "medium"))
    draft = drafts.drafted(*(drafts.opinion(finding("a.py", rule, level)) for rule, level in said))  # type: ignore[arg-type]  # severities

    assert [item.rule for item in draft.kept] == ["missing-f-prefix", "unknown-name", "complex-function", "F541"]


def test_a_file_that_is_only_long_is_not_to_be_mended_first() -> None:
    long = finding("long.py", "long-file", "low")

    assert hotspots([long]) == []
    assert [spot.path for spot in hotspots([long, finding("long.py", "missing-timeout", "low")])] == ["long.py"]


def test_a_function_is_named_once_in_a_sentence() -> None:
    reasons = ("`f` has complexity 27", "`f` is 117 lines long", "`g` is 90 lines long", "line 3 says `f` is it")
    spot = Hotspot(path="a.py", weight=9, urgency=9, skills=("code",), reasons=reasons, findings=("1", "2", "3", "4"))

    assert spot.joined(frozenset({"2"})) == (
        "`f` has complexity 27, it is 117 lines long (new), `g` is 90 lines long, and line 3 says `f` is it"
    )


def told(*found: Finding) -> str:
    (spot,) = gathered(hotspots(found), found)
    return spot.joined()


def unused(name: str, line: int) -> Finding:
    plain = finding("pyproject.toml", "unused-dependency", "low", line=line)
    return msgspec.structs.replace(
        plain, message=f"`{name}` is required at line {line}, and nothing imports or names it"
    )


def test_requirements_that_nobody_uses_are_named_in_one_sentence() -> None:
    three = [unused(f"click-{name}", n) for n, name in enumerate(("log", "plugins", "repl"), 11)]
    many = [unused(f"p{n}", n) for n in range(1, 8)]

    assert told(*three) == (
        "`click-log`, `click-plugins` and `click-repl` are required, and nothing imports or names them"
    )
    assert told(*many).startswith("`p1`, `p2`, `p3` and 4 more are required, ")
    assert told(three[0]) == three[0].message


def test_findings_that_differ_by_their_lines_alone_are_one_reason_and_others_are_counted() -> None:
    evals = [
        msgspec.structs.replace(finding("a.py", "dynamic-code", line=n), message=f"text is executed at line {n}")
        for n in (212, 186)
    ]
    tangles = [
        msgspec.structs.replace(finding("a.py", "complex-function", line=n), message=f"`f{n}` has complexity 20")
        for n in (3, 9, 11)
    ]

    assert told(*evals) == "text is executed at lines 186 and 212"
    assert told(*tangles) == "`f3` has complexity 20 (and 2 more like it: lines 9, 11)"


def test_what_no_reason_of_a_file_speaks_of_is_counted_too() -> None:
    found = [finding("a.py", f"rule-{n}") for n in range(6)] + [finding("a.py", "rule-7", "note")]

    assert told(*found).endswith("rule-3 says so (and 2 more here)")


def test_a_conflict_whose_reason_the_critic_threw_out_says_so_and_one_about_nothing_kept_is_not_shown() -> None:
    told = {"skill": "code", "tools": ["ast"], "score": 8, "text": "no test mentions it"}
    sides = (Side(by=("code",), value=told), reason("security", ["ast"], "it waits for ever"))
    reasons = msgspec.structs.replace(card(*sides, key="file.a.py"), result=told, stands=told)
    cards = (risk_card(), reasons, msgspec.structs.replace(risk_card(), key="file.gone.py"), card(key="finding.gone"))

    found = judged(cards, {"a.py": {"it waits for ever"}}, {"other"})

    assert [item.is_thrown_out for item in found] == [False, True, True, True]
    lines = sections(drafted(*found))["conflicts"]
    assert "then the critic: thrown out |" in lines
    assert "gone.py" not in lines
    assert "Over 3 they contradict one another, decided by max 2, r 1; over 1 they do not." in lines
    assert "Of what 1 of these are about the critic kept nothing, so they are not shown." in lines


def test_what_is_to_be_done_depends_on_whether_tests_know_the_file() -> None:
    tangled, unknown = finding("a.py", "complex-function", "high"), finding("a.py", "untested-module", "low")

    assert action_of([tangled], sure=True) == "simplify"
    assert action_of([tangled, unknown], sure=True) == "test first"
    assert action_of([finding("a.py", "absent-owner", "medium")], sure=True) == "watch"
    assert action_of([finding("a.py", "shell-injection", "high")], sure=True) == "mend"


def test_the_order_and_the_points_are_explained_in_a_line_each() -> None:
    draft = drafted()
    said, seen = sections(draft), page.text(draft)

    assert "1.6 points per 1,000 lines; without any the score is 100, with 20 it is 50." in said["verdict"]
    assert "1.6 points per 1,000 lines" in seen
    assert ORDER in said["fix-first"].splitlines()
    assert ORDER in seen


def test_the_score_falls_with_weight_and_rises_with_size() -> None:
    five = [finding("a.py", "r", "high")] * 5

    assert score([], 10) == 100
    assert score(five, 10) == score(five, 2500) == 50
    assert score(five, 10_000) == 80


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
    assert [name for name, item in rules.tools.items() if item.review == "person"] == [
        "proc.tests",
        "fs.publish",
        "git.branch_commit",
    ]


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
