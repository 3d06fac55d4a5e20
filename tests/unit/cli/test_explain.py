"""`remit explain`: of what an audit published, all about one finding or one conflict, and whether it stands now."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from remit.cli import fault
from remit.cli.explain import where
from remit.teams.audit import team
from remit.teams.audit.message import AuditRequest
from remit.teams.audit.tools.publication import fs_publish
from remit.testing import Bench

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.cli.conftest import Remit

CART = """\
import subprocess


def pack(name):
    try:
        subprocess.run("tar " + name, shell=True)
    except Exception:
        pass


def label(key):
    return f"label" if key is not "" else key
"""
LOGIN = "def login(text):\n    return eval(text)\n\n\ndef logout(text):\n    return eval(text)\n"


@pytest.fixture(scope="session")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that was audited once; tests take a copy."""
    root = tmp_path_factory.mktemp("audited")
    (root / "shop").mkdir()
    (root / "shop" / "cart.py").write_text(CART)
    (root / "shop" / "login.py").write_text(LOGIN)
    (root / "tests").mkdir()
    (root / "tests" / "test_login.py").write_text("def test_login(text):\n    assert eval(text)\n")
    subprocess.run(["git", "init", "--quiet", root], check=True, timeout=20)
    bench = Bench(team, data={"repository": str(root)}, reviewed=[fs_publish])
    bench.real(*team.tools.values())
    asyncio.run(bench.flow("audit", AuditRequest(path=str(root))))
    return root


@pytest.fixture
def shop(audited: Path, tmp_path: Path, remit: Remit, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "shop"
    subprocess.run(["cp", "-r", audited, root], check=True, timeout=20)
    monkeypatch.chdir(root)
    return root


def findings(root: Path) -> dict[tuple[str, str, int], str]:
    said = json.loads((root / ".remit" / "findings.json").read_text())
    found = [item["finding"] for item in said]
    return {(item["rule"], item["path"], item["line"]): item["fingerprint"] for item in found}


def facts(text: str) -> dict[str, list[str]]:
    told: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, _gap, value = line.strip().partition("  ")
        told.setdefault(name, []).append(value.strip())
    return told


def test_a_finding_is_told_with_its_rule_its_place_who_saw_it_and_what_the_critic_made_of_it(
    remit: Remit, shop: Path
) -> None:
    name = findings(shop)["shell-injection", "shop/cart.py", 6]

    said = remit("explain", name)

    told = facts(said.out)
    assert (said.code, said.err) == (0, "")
    assert told["finding"] == [f"{name}: Command run by a shell (shell-injection)"]
    assert told["severity"] == ["high"]
    assert told["place"] == ["shop/cart.py:6 in pack, shipped code"]
    assert told["cites"] == ['subprocess.run("tar " + name, shell=True)']
    assert told["now"] == ["stands; the file is the one that was audited"]
    assert told["why"][0].endswith(".")
    assert told["seen by"] == ["the security view with ast and ruff"]
    assert told["critic"] == ["kept: looked at again: nothing speaks against it"]
    assert told["points"][0].startswith("100: the cited line says so 40, code that ships 20")
    assert told["looked"] == ["a second look was taken"]
    assert told["beside"] == [findings(shop)["missing-timeout", "shop/cart.py", 6]]
    assert f"finding.{name}#severity, decided by evidence" in told["conflict"]
    assert said.out.splitlines()[-1] == f"next: remit explain finding.{name}"


def test_a_prefix_and_a_place_name_a_finding_as_its_whole_name_does(remit: Remit, shop: Path) -> None:
    name = findings(shop)["swallowed-exception", "shop/cart.py", 7]
    whole = remit("explain", name).out

    assert remit("explain", name[:8]).out == whole
    assert remit("explain", "shop/cart.py:7").out == whole
    assert remit("explain", "./shop/cart.py:7").out == whole
    assert remit("explain", f"{shop}/shop/cart.py:7").out == whole


def test_of_a_rejected_finding_the_reason_is_told(remit: Remit, shop: Path) -> None:
    said = remit("explain", "tests/test_login.py:2")

    assert facts(said.out)["critic"][0].startswith("rejected: ")


def test_the_patch_that_mends_a_finding_is_named_with_the_command_that_applies_it(remit: Remit, shop: Path) -> None:
    name = findings(shop)["F541", "shop/cart.py", 12]

    said = remit("explain", name)

    (patch,) = facts(said.out)["patch"]
    assert f"next: git apply .remit/{patch}" in said.out.splitlines()
    subprocess.run(["git", "apply", f".remit/{patch}"], cwd=shop, check=True, timeout=20)
    assert facts(remit("explain", name).out)["now"] == ["gone; the file changed since"]
    (shop / ".remit" / patch).unlink()
    without = remit("explain", name).out
    assert facts(without)["patch"] == [f"{patch}, which is not there"]
    assert "git apply" not in without


@pytest.mark.parametrize(
    ("change", "now"),
    [
        (lambda text: text + "\n# a line\n", "stands; the file changed since"),
        (lambda text: "# a line\n\n" + text, "moved to line 9; the file changed since"),
        (lambda text: text.replace("except Exception", "except OSError"), "gone; the file changed since"),
        (lambda _text: None, "gone: it is not there, or its links lead nowhere"),
    ],
)
def test_whether_the_cited_line_stands_is_seen_in_the_file_as_it_is_now(
    remit: Remit, shop: Path, change: Callable[[str], str | None], now: str
) -> None:
    name = findings(shop)["swallowed-exception", "shop/cart.py", 7]
    file = shop / "shop" / "cart.py"
    text = change(file.read_text())
    file.unlink() if text is None else file.write_text(text)

    said = remit("explain", name, "-o", "json")

    assert facts(remit("explain", name).out)["now"] == [now]
    assert isinstance(said.data, dict)
    assert said.data["now"] == now


def test_a_line_that_stands_twice_is_found_in_the_function_that_was_cited(remit: Remit, shop: Path) -> None:
    name = findings(shop)["dynamic-code", "shop/login.py", 6]
    (shop / "shop" / "login.py").write_text(LOGIN.replace("def logout", "\n\n\n\n\n\n\n\ndef logout"))

    assert facts(remit("explain", name).out)["now"] == ["moved to line 14; the file changed since"]


def test_a_finding_outside_git_or_before_a_commit_has_no_history(remit: Remit, shop: Path) -> None:
    assert "first kept" not in remit("explain", "shop/cart.py:7").out


def test_the_baseline_says_since_which_commit_a_finding_is_known(remit: Remit, shop: Path) -> None:
    name = findings(shop)["swallowed-exception", "shop/cart.py", 7]
    file = shop / ".remit" / "baseline.json"
    found = json.loads(file.read_text())
    old, new = "a" * 40, "b" * 40
    at = {old: "2024-01-01T10:00:00Z", new: "2024-02-01T10:00:00Z"}
    found["points"] = [{"commit": key, "committed_at": time, "score": 50, "kept": 1} for key, time in at.items()]
    found["last"] |= {"commit": new, "committed_at": at[new]}
    for item in found["last"]["kept"]:
        item["first"] = old
    file.write_text(json.dumps(found))

    told = facts(remit("explain", name).out)
    file.write_text("{")

    assert told["first kept"] == ["in the audit of commit aaaaaaaaaaaa of 2024-01-01"]
    assert told["last kept"] == ["in the audit of commit bbbbbbbbbbbb of 2024-02-01"]
    assert "first kept" not in facts(remit("explain", name).out)


def test_a_conflict_is_told_with_its_sides_its_rule_in_plain_words_and_where_the_record_is(
    remit: Remit, shop: Path
) -> None:
    said = remit("explain", "file.shop/cart.py")

    told = facts(said.out)
    assert (said.code, said.err) == (0, "")
    assert told["conflict"] == ["file.shop/cart.py"]
    assert "evidence: the side that more independent tools saw stands" in " ".join(told["rule"])
    assert "max: the larger number stands" in " ".join(told["rule"])
    assert told["record"] == [f"{shop}/.remit/evidence/conflicts.json"]
    risk = facts(remit("explain", "file.shop/cart.py#risk").out)
    assert risk["base"] == ["nothing"]
    assert {key for key in risk if key.endswith(" said")} == {"code said", "security said"}
    assert risk["result"] == [max(risk["code said"][0], risk["security said"][0], key=int)]
    assert risk["stands"] == ["the result"]


def test_a_value_that_nests_without_an_end_is_cut(remit: Remit, shop: Path) -> None:
    card = f'{{"key":"file.x","field":"risk","base":{"[" * 900}{"]" * 900},"sides":[],"rule":"max","rungs":[]'
    (shop / ".remit/evidence/conflicts.json").write_text(f'[{card},"result":1,"stands":1}}]')

    said = remit("explain", "file.x")

    assert (said.code, said.err) == (0, "")
    assert facts(said.out)["base"] == ["…"]


def test_a_conflict_over_a_finding_says_where_the_finding_is(remit: Remit, shop: Path) -> None:
    name = findings(shop)["shell-injection", "shop/cart.py", 6]

    said = remit("explain", f"finding.{name}#severity")

    assert facts(said.out)["about"] == ["shell-injection at shop/cart.py:6"]
    data = remit("explain", f"finding.{name}", "-o", "json").data
    assert isinstance(data, dict)
    assert [item["card"]["field"] for item in data["fields"]] == ["seen_by", "severity"]


def test_every_rule_of_a_published_conflict_has_its_sentence(remit: Remit, shop: Path) -> None:
    cards = json.loads((shop / ".remit" / "evidence" / "conflicts.json").read_text())

    for key in {card["key"] for card in cards}:
        assert "a rule of the team's own decided" not in remit("explain", key).out


def test_a_folder_elsewhere_is_named_by_path_and_out(
    remit: Remit, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (shop / ".remit").rename(tmp_path / "the report")

    said = remit("explain", "shop/cart.py:7", "shop", "--out", "the report")
    several = remit("explain", "shop/cart.py:12", "shop", "--out", "the report")

    assert said.code == 0
    assert "next: remit explain file.shop/cart.py shop --out 'the report'" in said.out.splitlines()
    assert several.code == 0
    assert f"next: remit explain {findings_at(tmp_path / 'the report', 12)} shop --out 'the report'" in several.out
    assert where(shop, None) == f" {shop}"


def findings_at(folder: Path, line: int) -> str:
    said = json.loads((folder / "findings.json").read_text())
    return str(next(item["finding"]["fingerprint"] for item in said if item["finding"]["line"] == line))


# --- what cannot be explained -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("shop/cart.py:8", "expected shop/cart.py:7, "),
        ("shop/crat.py:7", "expected shop/cart.py:7, "),
        ("file.shop/crat.py", "expected file.shop/cart.py, "),
        ("file.shop/cart.py#rsik", "expected file.shop/cart.py#risk, "),
        ("finding.0000000000000000", "RM-209 no finding or conflict of this audit is called so"),
        ("zzzz", "expected a fingerprint, a path, path:line, or a key of a conflict, got zzzz; next: less "),
        ("", "RM-211 this is too short for the beginning of a fingerprint"),
    ],
)
def test_a_name_that_there_is_not_is_said_with_those_that_are_near(
    remit: Remit, shop: Path, name: str, sentence: str
) -> None:
    said = remit("explain", name)

    assert (said.code, said.out) == (fault.USAGE, "")
    assert sentence in said.err
    assert said.err.count("\n") == 1


def test_a_mistyped_fingerprint_leads_to_the_one_that_is_near(remit: Remit, shop: Path) -> None:
    name = findings(shop)["swallowed-exception", "shop/cart.py", 7]

    said = remit("explain", name[:-1] + "x")

    assert said.err.endswith(f"next: remit explain {name}\n")


def test_a_prefix_or_a_place_of_several_findings_lists_them(remit: Remit, shop: Path) -> None:
    file = shop / ".remit" / "findings.json"
    said = json.loads(file.read_text())
    for number, item in enumerate(said[:2]):
        item["finding"]["fingerprint"] = f"abcd{number:012}"
    file.write_text(json.dumps(said))
    here = [name for (_rule, path, line), name in findings(shop).items() if (path, line) == ("shop/cart.py", 6)]

    prefix, place, short = remit("explain", "abcd"), remit("explain", "shop/cart.py:6"), remit("explain", "abc")

    assert prefix.code == short.code == fault.USAGE
    assert "expected one of abcd000000000000 (" in prefix.err
    assert "abcd000000000001 (" in prefix.err
    assert len(here) > 1
    assert place.code == 0
    assert place.out.startswith(f"shop/cart.py: {len(here)} findings\n")
    assert all(name in place.out for name in here)
    assert "expected at least 4 characters, got abc" in short.err


def test_a_file_lists_all_that_was_found_in_it_kept_ones_first(remit: Remit, shop: Path) -> None:
    here = {name for (_rule, path, _line), name in findings(shop).items() if path == "shop/cart.py"}

    told, whole = remit("explain", "./shop/cart.py"), remit("explain", "shop/cart.py", "-o", "json")

    listed = json.loads(whole.out)
    assert (told.code, whole.code) == (0, 0)
    assert {item["fingerprint"] for item in listed["findings"]} == here
    decisions = [item["decision"] == "keep" for item in listed["findings"]]
    assert decisions == sorted(decisions, reverse=True)
    assert told.out.endswith(f"next: remit explain {listed['findings'][0]['fingerprint']}\n")


def test_where_nothing_is_published_the_next_command_is_an_audit(remit: Remit, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()

    bare, absent = remit("explain", "abcd", "bare"), remit("explain", "abcd", "absent")

    assert (bare.code, absent.code) == (fault.USAGE, fault.USAGE)
    assert bare.err.startswith(f"RM-209 no audit is published here; at {tmp_path}/bare/.remit")
    assert bare.err.endswith("next: remit audit bare\n")
    assert absent.err.startswith("RM-211 there is no such folder; at absent")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(b"\xff"),
        lambda file: file.write_text('[{"finding": null}]'),
        lambda file: file.write_text("[" * 100_000),
        lambda file: (file.unlink(), file.symlink_to("/dev/zero")),
        lambda file: (file.unlink(), file.mkdir()),
        lambda file: (file.unlink(), subprocess.run(["mkfifo", file], check=True, timeout=20)),
    ],
)
@pytest.mark.parametrize("name", ["findings.json", "evidence/conflicts.json"])
def test_a_file_that_no_audit_wrote_is_said_in_one_line(
    remit: Remit, shop: Path, name: str, spoil: Callable[[Path], object]
) -> None:
    spoil(shop / ".remit" / name)

    said = remit("explain", "shop/cart.py:7")

    assert (said.code, said.out) == (fault.CONTRACT, "")
    assert said.err.startswith(f"RM-201 {name} is not what an audit writes; at {shop}/.remit/{name}")
    assert said.err.endswith(f"next: remit audit {shop}\n")
    assert said.err.count("\n") == 1


def test_what_is_told_draws_nothing_on_the_terminal_and_no_file_outside_is_read(remit: Remit, shop: Path) -> None:
    file = shop / ".remit" / "findings.json"
    said = json.loads(file.read_text())
    said[0]["finding"] |= {"path": "../../../etc/passwd", "snippet": "\x1b[2J\nroot", "message": "\x1b]0;x\x07"}
    file.write_text(json.dumps(said))

    told = remit("explain", said[0]["finding"]["fingerprint"])

    assert told.code == 0
    assert "\x1b" not in told.out
    assert facts(told.out)["now"] == ["gone: the path leaves the repository"]


def test_it_answers_within_half_a_second_of_work_and_loads_neither_ray_nor_nats(shop: Path) -> None:
    code = (
        "import sys, time; from remit.cli.main import main; code = main(['explain', 'shop/cart.py:7']);"
        "assert not {'ray', 'nats', 'rich', 'pydantic'} & set(sys.modules); sys.exit(code or time.process_time() > 0.5)"
    )
    started = time.perf_counter()

    said = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=30)

    assert (said.returncode, said.stderr) == (0, "")
    assert time.perf_counter() - started < 10
