"""An audit beside the last one: what is new, what is mended, and what a baseline that somebody forged may do."""

import json
import os
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit import ToolScope
from remit.contracts.message import encode
from remit.teams.audit.message import Assignment, Inventory, Published
from remit.teams.audit.report import baseline
from remit.teams.audit.report.baseline import NONE, Baseline
from remit.teams.audit.report.since import looked
from remit.teams.audit.report.summary import summary
from remit.teams.audit.report.trend import POINTS, TrendPoint, extended
from remit.teams.audit.sighting import Skipped
from remit.teams.audit.tools.head import Head, git_head
from remit.teams.audit.tools.last_audit import LastAudit, fs_baseline
from remit.teams.audit.tools.scratch import Stored
from remit.testing import Bench
from tests.unit.teams.audit.conftest import TANGLE
from tests.unit.teams.audit.test_page import Parsed, links_of

Write = Callable[[Mapping[str, str | bytes]], Path]
Audit = Callable[..., Awaitable[tuple[Bench, Published]]]
SCHEMA = Path(__file__).parent / "sarif-2.1.0.json"
AUTHOR = {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
SHELL = "import subprocess\n\n\ndef pack(name):\n    subprocess.run('tar ' + name, shell=True, timeout=5)\n"
DIGEST = "import pickle\n\n\ndef read(data):\n    return pickle.loads(data)\n"
CALM = "def calm():\n    return 1\n"


def git(root: Path, *words: str, day: int = 1) -> str:
    date = f"2024-01-{day:02}T12:00:00+02:00"
    env = os.environ | AUTHOR | {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date, "GIT_CONFIG_GLOBAL": "/dev/null"}
    done = subprocess.run(["git", *words], cwd=root, env=env, check=True, capture_output=True, text=True, timeout=20)
    return done.stdout.strip()


def commit(root: Path, day: int) -> str:
    git(root, "add", "--all", "--", ":!.remit")
    git(root, "commit", "--quiet", "--allow-empty", "--message", f"day {day}", day=day)
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def shop(write: Write) -> Path:
    """A repository of one commit with two findings in files of their own."""
    root = write({"pack.py": SHELL, "read.py": DIGEST, "calm.py": CALM})
    git(root, "init", "--quiet")
    commit(root, 1)
    return root


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def section(root: Path) -> str:
    _before, _heading, rest = (root / ".remit" / "report.md").read_text().partition("## Since the last audit\n\n")
    return rest.partition("\n## ")[0]


def states(root: Path) -> dict[str, str]:
    log = json.loads((root / ".remit" / "findings.sarif").read_text())
    jsonschema.validate(log, json.loads(SCHEMA.read_text()))
    return {item["ruleId"]: item["baselineState"] for item in log["runs"][0]["results"] if "baselineState" in item}


async def test_an_audit_leaves_a_baseline_with_the_commit_its_date_the_score_and_what_was_kept(
    shop: Path, audit: Audit
) -> None:
    _bench, reply = await audit(shop)

    found = baseline.read((shop / ".remit" / "baseline.json").read_bytes())
    assert isinstance(found, Baseline)
    name = git(shop, "rev-parse", "HEAD")
    assert (found.last.commit, found.last.committed_at, found.last.is_dirty) == (name, "2024-01-01T10:00:00Z", False)
    assert {(item.rule, item.path, item.first) for item in found.last.kept} == {
        ("shell-injection", "pack.py", name),
        ("unsafe-deserialisation", "read.py", name),
    }
    assert found.points == (
        TrendPoint(commit=name, committed_at="2024-01-01T10:00:00Z", score=reply.score, kept=reply.kept),
    )
    assert found.before is None


async def test_the_report_says_what_is_new_what_is_mended_and_what_is_open_since_the_last_audit(
    shop: Path, audit: Audit
) -> None:
    _bench, before = await audit(shop)
    (shop / "read.py").write_text(CALM)
    (shop / "pack.py").write_text("# a line above\n\n" + SHELL)
    (shop / "late.py").write_text("def late(text):\n    return eval(text)\n")
    name = commit(shop, 2)

    _bench, reply = await audit(shop, since="last")

    said = section(shop)
    assert said.startswith(
        f"1 new, 1 mended, 1 still open; score {before.score} -> {reply.score}. The last audit was of"
    )
    assert "of 2024-01-01." in said
    assert "`late.py:2`" in said[said.index("New:") : said.index("Mended:")]
    assert "`read.py`" in said[said.index("Mended:") :]
    report = (shop / ".remit" / "report.md").read_text()
    first = report[report.index("## Fix these first") : report.index("## Since the last audit")]
    assert first.count("(new)") == 1
    page = Parsed((shop / ".remit/report.html").read_text())
    assert f"1 new, 1 mended, 1 still open; score {before.score} -> {reply.score}. The last audit was of" in page.said()
    assert [target for target, is_there in links_of(page) if not is_there] == []
    assert f"1 new, 1 mended, 1 still open; score {before.score} -> {reply.score}" in summary(encode(reply))[1]
    assert states(shop) == {
        "dynamic-code": "new",
        "shell-injection": "unchanged",
        "unsafe-deserialisation": "absent",
    }
    found = baseline.read((shop / ".remit" / "baseline.json").read_bytes())
    assert isinstance(found, Baseline)
    assert [point.score for point in found.points] == [before.score, reply.score]
    assert {item.path: item.first == name for item in found.last.kept} == {"late.py": True, "pack.py": False}


async def test_the_same_state_audited_twice_gives_the_same_bytes_though_the_first_left_a_baseline(
    shop: Path, audit: Audit
) -> None:
    await audit(shop)
    (shop / "late.py").write_text("def late(text):\n    return eval(text)\n")
    commit(shop, 2)
    await audit(shop, since="last")
    first = tree(shop / ".remit")

    await audit(shop, since="last")

    assert tree(shop / ".remit") == first
    assert section(shop).startswith("1 new, 0 mended, 2 still open")


async def test_changes_that_are_not_committed_are_compared_with_the_clean_commit(shop: Path, audit: Audit) -> None:
    await audit(shop)
    (shop / "read.py").write_text(CALM)
    await audit(shop, since="last")
    first = tree(shop / ".remit")

    await audit(shop, since="last")

    assert tree(shop / ".remit") == first
    assert section(shop).startswith("0 new, 1 mended, 1 still open")
    found = baseline.read((shop / ".remit" / "baseline.json").read_bytes())
    assert isinstance(found, Baseline)
    assert found.last.is_dirty
    assert len(found.points) == 1


async def test_a_function_whose_first_line_changed_is_still_open_and_known_since_the_same_commit(
    write: Write, audit: Audit
) -> None:
    root = write({"tangle.py": TANGLE, "calm.py": CALM})
    git(root, "init", "--quiet")
    name = commit(root, 1)
    await audit(root)
    write({"tangle.py": TANGLE.replace("(items, key)", "(items: list[int], key: str) -> int")})
    commit(root, 2)

    _bench, reply = await audit(root, since="last")

    assert section(root).startswith(f"0 new, 0 mended, {reply.kept} still open")
    assert states(root)["complex-function"] == "updated"
    found = baseline.read((root / ".remit" / "baseline.json").read_bytes())
    assert isinstance(found, Baseline)
    assert {item.first for item in found.last.kept} == {name}


async def test_what_nobody_looked_at_is_not_mended(shop: Path, audit: Audit) -> None:
    await audit(shop)
    (shop / "read.py").unlink()
    (shop / "pack.py").write_text("def pack(:\n")
    commit(shop, 2)

    await audit(shop, since="last")

    said = section(shop)
    assert said.startswith("1 new, 1 mended, 0 still open")
    assert "- 1 kept then were not looked for now" in said
    assert states(shop) == {"syntax-error": "new", "shell-injection": "absent"}


@pytest.mark.parametrize(
    ("what", "rule"),
    [
        ("imports that no manifest declares", "undeclared-dependency"),
        ("dependencies of a/pyproject.toml that nothing uses", "unused-dependency"),
        ("dependencies in requirements.txt", "lock-drift"),
        ("7 manifests", "no-licence"),
        ("4 documents", "broken-link"),
        ("12 snippets that do not parse", "broken-snippet"),
        ("links to files that are not there", "broken-link"),
    ],
)
def test_a_rule_that_was_not_applied_everywhere_mends_nothing(what: str, rule: str) -> None:
    work = Assignment(kind="tree", files=Stored(name="f", digest="d", size_bytes=1), count=1)
    inventory = Inventory(
        files=1,
        python_files=1,
        python_bytes=9,
        tests=1,
        packages=0,
        entry_points=(),
        is_git=True,
        shards=(),
        history=(work,),
        supply=(work,),
        docs=(work,),
    )

    assert looked(inventory, (), ()).unseen == frozenset()
    assert rule in looked(inventory, (), (Skipped(what=what, cause="too much"),)).unseen


async def test_what_is_found_again_and_thrown_out_now_is_not_mended(shop: Path, audit: Audit) -> None:
    tests = shop / "tests"
    tests.mkdir()
    (tests / "test_it.py").write_text("def test_it(text):\n    assert eval(text)\n")
    commit(shop, 2)
    await audit(shop)
    rejected = next(
        item["finding"]
        for item in json.loads((shop / ".remit" / "findings.json").read_text())
        if item["decision"] == "reject"
    )
    kept = [{key: rejected[key] for key in ("fingerprint", "rule", "path", "severity")}]
    (shop / ".remit" / "baseline.json").write_bytes(forged({"kept": kept}))

    await audit(shop, since="last")

    assert section(shop).startswith("2 new, 0 mended, 0 still open")
    assert "- 1 kept then are found again, and thrown out now." in section(shop)


async def test_without_an_earlier_audit_it_goes_on_and_says_so_in_one_line(shop: Path, audit: Audit) -> None:
    _bench, reply = await audit(shop, since="last")
    first = tree(shop / ".remit")
    await audit(shop, since="last")

    assert section(shop) == f"Nothing to compare with: {NONE}.\n"
    assert f"since the last audit: nothing to compare with: {NONE}" in summary(encode(reply))
    assert states(shop) == {}
    assert tree(shop / ".remit") == first


async def test_a_folder_without_git_is_compared_by_its_files(write: Write, audit: Audit) -> None:
    root = write({"pack.py": SHELL, "read.py": DIGEST})
    await audit(root)
    write({"read.py": CALM})

    await audit(root, since="last")

    assert section(root).startswith("0 new, 1 mended, 1 still open")
    assert "The last audit was of files without a commit." in section(root)


async def test_the_baseline_is_read_where_the_report_goes(shop: Path, tmp_path: Path, audit: Audit) -> None:
    out = tmp_path / "reports"
    await audit(shop, out=str(out))
    (shop / "read.py").write_text(CALM)

    _bench, reply = await audit(shop, out=str(out), since="last")

    assert reply.since.startswith("0 new, 1 mended, 1 still open")
    assert not (shop / ".remit").exists()


# --- what somebody else wrote there -------------------------------------------------------------

SCRIPT = "<script>alert(1)</script>"


KNOWN = {"fingerprint": "0" * 16, "rule": "dynamic-code", "path": "calm.py", "severity": "high", "first": ""}
LAST = {"commit": "", "committed_at": "", "tree": "", "is_dirty": False, "score": 50, "kept": [KNOWN]}
NO_BASELINE = "baseline.json is not what an audit writes"


def forged(last: Mapping[str, object] = LAST, **changes: object) -> bytes:
    return json.dumps({"format": 1, "last": LAST | dict(last)} | changes).encode()


def test_a_baseline_that_says_no_more_than_numbers_and_names_is_believed() -> None:
    assert isinstance(baseline.read(forged()), Baseline)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"format": 1}',
        b'{"format": 1, "last": null}',
        b'{"format": 1e999}',
        b'{"format": 1' + b"0" * 400 + b"}",
        b'{"format": -1' + b"0" * 400 + b"}",
        b'{"format": ' + b"9" * 5000 + b"}",
        forged({"score": 10**30}),
        forged({"score": 101}),
        forged({"commit": SCRIPT}),
        forged({"committed_at": SCRIPT}),
        forged({"committed_at": "2024-01-01T10:00:00Z\n"}),
        forged({"demoted": [SCRIPT]}),
        forged({"kept": [KNOWN | {"fingerprint": SCRIPT}]}),
        forged({"kept": [KNOWN | {"rule": SCRIPT}]}),
        forged({"kept": [KNOWN | {"first": SCRIPT}]}),
        forged({"kept": [KNOWN | {"severity": "worst"}]}),
        forged({"kept": [KNOWN | {"path": "x" * 5000}]}),
        forged({"kept": [KNOWN] * (baseline.KEPT + 1)}),
        forged(before={"commit": SCRIPT}),
        forged(points=[{"commit": "", "committed_at": "", "score": 1, "kept": 1}] * (POINTS + 1)),
        forged(points=[{"commit": "", "committed_at": "", "score": 1, "kept": -1}]),
    ],
)
def test_what_is_no_baseline_is_not_believed(data: bytes) -> None:
    assert baseline.read(data) == NO_BASELINE


async def test_an_audit_says_that_a_baseline_is_not_believed_and_leaves_one_that_is(shop: Path, audit: Audit) -> None:
    (shop / ".remit").mkdir()
    (shop / ".remit" / "baseline.json").write_bytes(forged({"commit": SCRIPT}))

    await audit(shop, since="last")

    assert section(shop) == f"Nothing to compare with: {NO_BASELINE}.\n"
    assert f"- the last audit: {NO_BASELINE}." in (shop / ".remit" / "report.md").read_text()
    assert isinstance(baseline.read((shop / ".remit" / "baseline.json").read_bytes()), Baseline)


async def test_a_baseline_of_another_format_is_named_as_one(shop: Path, audit: Audit) -> None:
    (shop / ".remit").mkdir()
    (shop / ".remit" / "baseline.json").write_text('{"format": 2, "anything": []}')

    await audit(shop, since="last")

    expected = "baseline.json has format 2, and this version of Remit reads format 1"
    assert section(shop) == f"Nothing to compare with: {expected}.\n"


async def test_a_path_that_a_baseline_names_is_told_only_if_the_repository_has_it(shop: Path, audit: Audit) -> None:
    paths = ["calm.py", SCRIPT, "../../etc/passwd", "`\n# Heading", "/etc/passwd"]
    kept = [KNOWN | {"path": path, "fingerprint": f"{n:016x}"} for n, path in enumerate(paths)]
    (shop / ".remit").mkdir()
    (shop / ".remit" / "baseline.json").write_bytes(forged({"kept": kept}))

    await audit(shop, since="last")

    said = section(shop)
    written = b"".join(tree(shop / ".remit").values())
    assert said.startswith("2 new, 1 mended, 0 still open")
    assert "- 4 kept then were not looked for now" in said
    report = (shop / ".remit" / "report.md").read_text()
    assert SCRIPT not in report
    assert "# Heading" not in report
    assert b"passwd" not in (shop / ".remit" / "findings.sarif").read_bytes()
    assert written.count(SCRIPT.encode()) == 1, "the baseline keeps what it was compared with, and nothing else does"
    assert states(shop) == {"shell-injection": "new", "unsafe-deserialisation": "new", "dynamic-code": "absent"}


@given(st.binary(max_size=300) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_whatever_a_file_holds_reading_it_gives_a_baseline_or_a_reason(data: bytes | str) -> None:
    found = baseline.read(data if isinstance(data, bytes) else data.encode(errors="surrogatepass"))

    assert isinstance(found, str)


def scope(root: Path, scratch: Path) -> ToolScope:
    return ToolScope(
        run_id="r1", step="report", role="editor", intent="i", scratch=scratch, data={"repository": str(root)}
    )


def last_audit(root: Path, scratch: Path, out: str = "") -> LastAudit:
    answer = fs_baseline.body(out=out, intent="i", scope=scope(root, scratch))
    assert isinstance(answer, LastAudit)
    return answer


@pytest.mark.parametrize(
    ("lay", "problem"),
    [
        (lambda file, outside: file.symlink_to(outside), "a symlink leads out of the repository"),
        (lambda file, _outside: file.symlink_to("/dev/zero"), "a symlink leads out of the repository"),
        (lambda file, _outside: os.mkfifo(file), "it is no regular file"),
        (lambda file, _outside: file.mkdir(), "it is no regular file"),
    ],
)
async def test_only_a_regular_file_of_the_repository_is_a_baseline(
    shop: Path, tmp_path: Path, audit: Audit, lay: Callable[[Path, Path], None], problem: str
) -> None:
    await audit(shop)
    outside = (shop / ".remit" / "baseline.json").rename(tmp_path / "outside.json")
    lay(shop / ".remit" / "baseline.json", outside)

    answer = last_audit(shop, tmp_path)

    assert answer == LastAudit(problem=f"baseline.json is not read: {problem}")


async def test_an_output_folder_that_leads_out_of_the_repository_holds_no_baseline(
    shop: Path, tmp_path: Path, audit: Audit
) -> None:
    await audit(shop)
    (shop / ".remit").rename(tmp_path / "outside")
    (shop / ".remit").symlink_to(tmp_path / "outside")

    assert "a symlink leads out" in last_audit(shop, tmp_path).problem
    assert last_audit(shop, tmp_path, out=str(tmp_path / "outside")).found is not None


def test_a_baseline_larger_than_its_limit_is_not_read(shop: Path, tmp_path: Path) -> None:
    (shop / ".remit").mkdir()
    with (shop / ".remit" / "baseline.json").open("wb") as file:
        file.truncate(baseline.LIMIT_BYTES + 1)

    assert last_audit(shop, tmp_path).problem == f"baseline.json is larger than {baseline.LIMIT_BYTES} bytes"


# --- which state it is ----------------------------------------------------------------------------


def head(root: Path) -> Head:
    found = git_head.body(scope=scope(root, root))
    assert isinstance(found, Head)
    return found


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "calm.py").write_text("x = 1\n"),
        lambda root: (root / "late.py").write_text(""),
        lambda root: (root / "calm.py").unlink(),
        lambda root: (root / "calm.py").rename(root / "moved.py"),
    ],
)
def test_a_change_that_is_not_committed_makes_another_state(shop: Path, change: Callable[[Path], object]) -> None:
    clean = head(shop)

    change(shop)

    dirty = head(shop)
    assert (clean.is_dirty, dirty.is_dirty) == (False, True)
    assert (clean.commit, clean.tree != dirty.tree) == (dirty.commit, True)


def test_what_audits_write_is_no_change(shop: Path) -> None:
    before = head(shop)
    (shop / ".remit").mkdir()
    (shop / ".remit" / "late.py").write_text("x = 1\n")
    git(shop, "add", "--all")

    assert head(shop) == before
    git(shop, "commit", "--quiet", "--message", "with the report")
    assert not head(shop).is_dirty


def test_ends_of_lines_that_git_turns_are_no_change(shop: Path) -> None:
    git(shop, "config", "core.autocrlf", "true")
    (shop / "calm.py").write_bytes(CALM.replace("\n", "\r\n").encode())

    assert not head(shop).is_dirty


def test_nothing_that_the_repository_configures_runs(shop: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    for name in ("core.fsmonitor", "gpg.program", "filter.f.clean", "filter.f.smudge", "core.pager", "core.sshCommand"):
        git(shop, "config", name, str(trap))
    git(shop, "config", "log.showSignature", "true")
    git(shop, "config", "filter.f.process", str(trap))
    (shop / ".git" / "info").mkdir(exist_ok=True)
    (shop / ".git" / "info" / "attributes").write_text("*.py filter=f\n")
    (shop / "calm.py").write_text("x = 1\n")

    assert head(shop).is_dirty
    assert not (tmp_path / "sprung").exists()

    subprocess.run(["git", "status"], cwd=shop, check=False, capture_output=True, timeout=20)
    assert (tmp_path / "sprung").exists(), "it is no trap"


@pytest.mark.parametrize("spoil", ["HEAD", "config", "index"])
def test_a_broken_git_folder_leaves_the_files(shop: Path, spoil: str) -> None:
    (shop / ".git" / spoil).write_bytes(b"\0broken")

    assert head(shop).tree.startswith("sha256:")


def test_a_commit_that_claims_no_time_that_there_is_has_one_all_the_same(shop: Path) -> None:
    raw = git(shop, "cat-file", "commit", "HEAD").replace("1704103200 +0200", "99999999999999999999 +0200")
    done = subprocess.run(
        ["git", "hash-object", "-t", "commit", "-w", "--literally", "--stdin"],
        cwd=shop,
        input=raw + "\n",
        check=True,
        capture_output=True,
        text=True,
        timeout=20,
    )
    git(shop, "update-ref", "HEAD", done.stdout.strip())

    assert head(shop).committed_at == "1970-01-01T00:00:00Z"


def point(number: int, score: int = 50) -> TrendPoint:
    return TrendPoint(commit=f"{number:040x}", committed_at="", score=score, kept=1)


def test_a_trend_holds_one_point_for_a_commit_and_the_newest_fifty() -> None:
    points: tuple[TrendPoint, ...] = ()
    for number in range(POINTS + 5):
        points = extended(points, point(number))

    again = extended(points, point(POINTS + 4, 60))

    assert (len(points), points[0], points[-1]) == (POINTS, point(5), point(POINTS + 4))
    assert again == (*points[:-1], point(POINTS + 4, 60))
    assert extended(points, point(7)) == (*points[:2], *points[3:], point(7))
