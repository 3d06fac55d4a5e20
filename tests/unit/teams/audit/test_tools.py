"""The tools themselves: inside the root only, bounded answers, nothing written but what was agreed."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remit import Context, Message, RefusedError, Role, ToolFailedError, ToolNotDoneError, ToolScope
from remit.teams.audit.sighting import HITS_PER_RULE, Doubt, Scan, Sighting, clipped
from remit.teams.audit.tools.files import PASSAGES, Excerpt, Listing, Passage, fs_list, fs_read
from remit.teams.audit.tools.parts import in_parts
from remit.teams.audit.tools.publication import OWN, Publication, fs_publish, tree_digest
from remit.teams.audit.tools.ruff import DEFECTS, SECOND_OPINIONS, binary, proc_ruff
from remit.teams.audit.tools.scanner import EARLY, STRUCTURE, py_ast, py_look_again
from remit.teams.audit.tools.scratch import (
    PIECE_BYTES,
    Stored,
    fs_scratch_read,
    fs_scratch_write,
    get,
    put,
    put_text,
    scratch_file,
    stored,
)
from remit.testing import Bench

MESSAGE_BYTES = 512 * 1024


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "repository" / "p").mkdir(parents=True)
    (tmp_path / "repository" / "p" / "a.py").write_text("one\ntwo\nthree\n")
    (tmp_path / "outside.py").write_text("secret\n")
    return tmp_path / "repository"


@pytest.fixture
def scope(root: Path, tmp_path: Path) -> ToolScope:
    (tmp_path / "scratch").mkdir()
    return ToolScope(
        run_id="r1", step="s", role="r", intent="i", scratch=tmp_path / "scratch", data={"repository": str(root)}
    )


def excerpts(scope: ToolScope, *passages: Passage) -> tuple[Excerpt, ...]:
    found = fs_read(passages, scope=scope)
    assert isinstance(found, tuple)
    return found


def listed(scope: ToolScope, **arguments: str) -> Listing:
    found = fs_list(**arguments, scope=scope)
    assert isinstance(found, Listing)
    return found


def scanned(found: object) -> Scan:
    assert isinstance(found, Scan)
    return found


def kept(scope: ToolScope, name: str, text: str) -> Stored:
    file = scratch_file(scope.scratch, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return stored(scope.scratch, name)


@pytest.mark.parametrize("path", ["../outside.py", "p/../../outside.py", "/etc/hosts", "link.py", "loop.py", "p", ""])
def test_nothing_outside_the_root_is_read(root: Path, scope: ToolScope, path: str) -> None:
    (root / "link.py").symlink_to(root.parent / "outside.py")
    (root / "loop.py").symlink_to(root / "loop.py")

    (excerpt,) = excerpts(scope, Passage(path=path))

    assert excerpt.problem
    assert excerpt.lines == ()


def test_a_passage_comes_with_the_digest_of_its_file(scope: ToolScope) -> None:
    two, none = excerpts(scope, Passage(path="p/a.py", first=2, count=2), Passage(path="p/a.py", first=9))

    assert (two.lines, none.lines) == (("two", "three"), ())
    assert two.digest == none.digest


def test_too_many_passages_are_refused(scope: ToolScope) -> None:
    with pytest.raises(RefusedError, match="too many passages"):
        fs_read((Passage(path="p/a.py"),) * (PASSAGES + 1), scope=scope)


def test_a_listing_leaves_out_what_git_ignores_and_what_an_audit_wrote(root: Path, scope: ToolScope) -> None:
    for name in (".remit/report.md", "out/report.md", "ignored.py"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("x")
    (root / ".gitignore").write_text("ignored.py\n")
    subprocess.run(["git", "init", "--quiet", str(root)], check=True, timeout=20)

    listing = listed(scope, ignore="out")

    assert [item.path for item in listing.files] == [".gitignore", "p/a.py"]


def test_a_repository_cannot_start_a_program_by_its_git_settings(root: Path, scope: ToolScope, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(root)], check=True, timeout=20)
    hook = tmp_path / "hook.sh"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    with (root / ".git" / "config").open("a") as config:
        config.write(f"[core]\n\tfsmonitor = {hook}\n")

    fs_list(scope=scope)

    assert not (tmp_path / "ran").exists()


def test_a_repository_cannot_have_a_missing_list_of_ignored_files_fetched(
    root: Path, scope: ToolScope, tmp_path: Path
) -> None:
    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(root), *words], check=True, timeout=20, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "--quiet")
    (root / ".gitignore").write_text("nothing\n")
    git("add", ".gitignore")
    name = git("rev-parse", ":.gitignore")
    git("update-index", "--skip-worktree", ".gitignore")
    (root / ".gitignore").unlink()
    (root / ".git" / "objects" / name[:2] / name[2:]).unlink()
    with (root / ".git" / "config").open("a") as config:
        config.write(
            "[core]\n\trepositoryFormatVersion = 1\n[extensions]\n\tpartialClone = origin\n"
            f'[remote "origin"]\n\tpromisor = true\n\turl = {root}\n\tuploadpack = touch {tmp_path}/ran; false\n'
        )

    assert [item.path for item in listed(scope).files] == ["p/a.py"]
    assert not (tmp_path / "ran").exists()

    careless = ["git", "-C", str(root), "ls-files", "--others", "--exclude-standard"]
    subprocess.run(careless, check=False, timeout=20, capture_output=True)
    assert (tmp_path / "ran").exists(), "the trap catches nobody"


def test_a_name_in_the_index_that_leads_out_is_none(root: Path, scope: ToolScope) -> None:
    (root / "xx").mkdir()
    (root / "xx" / "outside.py").write_text("")
    subprocess.run(["git", "init", "--quiet", str(root)], check=True, timeout=20)
    subprocess.run(["git", "-C", str(root), "add", "."], check=True, timeout=20)
    index = root / ".git" / "index"
    body = index.read_bytes()[:-20].replace(b"xx/outside.py", b"../outside.py")
    index.write_bytes(body + hashlib.sha1(body, usedforsecurity=False).digest())

    assert [item.path for item in listed(scope).files] == ["p/a.py", "xx/outside.py"]


def test_a_name_that_no_file_system_takes_is_left_out(root: Path, scope: ToolScope) -> None:
    (root / "p" / "a.py").rename(root / "a.py")
    for words in (["init", "--quiet"], ["add", "."]):
        subprocess.run(["git", "-C", str(root), *words], check=True, timeout=20)
    blob = subprocess.run(["git", "-C", str(root), "rev-parse", ":a.py"], check=True, timeout=20, capture_output=True)
    named = f"100644,{blob.stdout.decode().strip()},{'x' * 300}.py"
    subprocess.run(["git", "-C", str(root), "update-index", "--add", "--cacheinfo", named], check=True, timeout=20)

    listing = listed(scope)

    assert [item.path for item in listing.files] == ["a.py"]
    assert [item.cause for item in listing.skipped] == ["it cannot be looked at: File name too long"]


def test_a_page_of_long_names_fits_a_message_and_a_path_without_an_end_is_left_out(
    root: Path, scope: ToolScope
) -> None:
    for depth in (1, 3):
        folder = root / "/".join(["n" * 190] * depth)
        folder.mkdir(parents=True)
        for number in range(1500):
            (folder / f"{number:04}.py").write_text("")

    first = listed(scope)

    assert len(msgspec.json.encode(first)) < MESSAGE_BYTES
    assert first.more
    assert {item.path.count("/") for item in first.files} == {1}
    assert {item.cause for item in listed(scope, after=first.more).skipped} == {"its path is longer than 400 bytes"}


def test_lines_that_grow_when_they_are_quoted_come_in_several_answers(root: Path, scope: ToolScope) -> None:
    (root / "a.py").write_text(("\x01" * 240 + "\n") * 600)
    passages = tuple(Passage(path="a.py", first=number, count=8) for number in range(1, PASSAGES + 1))

    some, alone = excerpts(scope, *passages), excerpts(scope, Passage(path="a.py", count=600))

    assert 1 < len(some) < len(passages)
    assert len(msgspec.json.encode(some)) < MESSAGE_BYTES
    assert len(msgspec.json.encode(alone)) < MESSAGE_BYTES


def test_very_many_hits_of_very_many_rules_fit_a_message(root: Path, scope: ToolScope) -> None:
    kinds = ("x is 1", "assert (1, 2)", "open('a', 'zz')", 'print(f"x")', "y", "{1: 1, 1: 2}", "'%s' % (1, 2)")
    name = "n" * 190 + "/" + "m" * 190
    (root / name).parent.mkdir()
    (root / f"{name}.py").write_text("\n".join(f"{kind} or '{chr(1) * 100}'" for kind in kinds for _ in range(100)))

    found = scanned(proc_ruff(kept(scope, "files.json", json.dumps([f"{name}.py"])), scope=scope))

    assert len(msgspec.json.encode(found)) < MESSAGE_BYTES
    assert found.sightings
    assert all("more hits of" in item.what for item in found.skipped)


def test_a_file_whose_name_is_no_text_is_named_as_left_out(root: Path, scope: ToolScope) -> None:
    (root / os.fsdecode(b"caf\xe9.py")).write_text("")

    listing = listed(scope)

    assert [item.path for item in listing.files] == ["p/a.py"]
    assert [(item.what, item.cause) for item in listing.skipped] == [("caf\\udce9.py", "its name is not UTF-8")]


def test_a_long_listing_comes_in_pages(root: Path, scope: ToolScope, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remit.teams.audit.tools.files.PAGE", 2)
    for number in range(5):
        (root / f"f{number}.py").write_text("")
    paths: list[str] = []
    after = ""
    while True:
        page = listed(scope, after=after)
        paths += [item.path for item in page.files]
        after = page.more
        if not after:
            break

    assert paths == ["f0.py", "f1.py", "f2.py", "f3.py", "f4.py", "p/a.py"]


def test_a_scan_never_imports_a_file_of_the_repository(root: Path, scope: ToolScope, tmp_path: Path) -> None:
    for name in ("ast.py", "msgspec.py", "remit.py", "sitecustomize.py"):
        (root / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    files = kept(scope, "files.json", '["ast.py", "msgspec.py", "../outside.py"]')

    scan = scanned(py_ast("security", files, scope=scope))

    assert not (tmp_path / "ran").exists()
    assert [item.what for item in scan.skipped] == ["../outside.py"]


def test_what_a_scan_in_a_process_of_its_own_cannot_say_is_left_out(
    root: Path, scope: ToolScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("bad.py", "good.py"):
        (root / name).write_text("eval(x)\n")
    files = kept(scope, "files.json", json.dumps(["bad.py", "good.py"]))
    monkeypatch.setattr("remit.teams.audit.tools.scanner.COMMAND", (sys.executable, "-I", "-c", FRAGILE))

    one = scanned(py_ast("security", files, scope=scope))
    all_ = scanned(py_ast("structure", files, scope=scope))
    doubts = tuple(
        Doubt(fingerprint=path, rule="dynamic-code", path=path, line=1, symbol="", snippet="eval(x)", message="")
        for path in ("bad.py", "good.py")
    )

    assert (one.files, [item.path for item in one.sightings]) == (2, ["good.py"])
    assert [(item.what, item.cause) for item in one.skipped] == [("bad.py", EARLY)]
    assert [(item.what, item.cause) for item in all_.skipped] == [(STRUCTURE, EARLY)]
    looks = py_look_again(doubts, files, scope=scope)
    assert isinstance(looks, tuple)
    assert [item.fingerprint for item in looks] == ["good.py"]


FRAGILE = """
import sys, io
said = sys.stdin.buffer.read()
if b'"structure"' in said or b'"path":"bad.py"' in said or (b'"doubts":[]' in said and b'"bad.py"' in said):
    sys.exit(3)
sys.stdin = io.TextIOWrapper(io.BytesIO(said))
from remit.teams.audit.tools.scan import main; main()
"""
"""The scanner, but it crashes at one file."""


def test_every_rule_that_ruff_is_asked_for_is_one_that_it_knows() -> None:
    known = subprocess.run(
        [binary(), "rule", "--all", "--output-format", "json"], check=True, capture_output=True, timeout=30
    ).stdout.decode()

    assert [code for code in (*DEFECTS, *SECOND_OPINIONS) if f'"{code}' not in known] == []


def test_ruff_does_not_heed_the_repository_and_writes_nothing(root: Path, scope: ToolScope) -> None:
    (root / "ruff.toml").write_text("[lint]\nignore = ['ALL']\n")
    (root / "b.py").write_text("import pickle\n\ndef f(x):\n    return pickle.loads(x)  # noqa: S301\n")
    files = kept(scope, "files.json", '["b.py", "../outside.py"]')
    before = sorted(root.iterdir())

    scan = scanned(proc_ruff(files, scope=scope))

    assert [(item.rule, item.symbol) for item in scan.sightings] == [("unsafe-deserialisation", "f")]
    assert sorted(root.iterdir()) == before


def test_a_file_of_which_ruff_says_too_much_hides_no_other(root: Path, scope: ToolScope) -> None:
    (root / "bad.py").write_text("@a\n" * 180_000 + "def f(): ...\n")
    names = [f"p/m{number}.py" for number in range(30)]
    for name in names:
        (root / name).write_text('print(f"x")\n')

    found = scanned(proc_ruff(kept(scope, "files.json", json.dumps(["bad.py", *names])), scope=scope))

    assert found.files == 31
    assert sorted({item.path for item in found.sightings}) == sorted(names)
    assert [(item.what, item.cause) for item in found.skipped] == [("bad.py", "ruff gave up on it")]


def test_what_a_program_fails_over_is_named_and_the_rest_is_heard() -> None:
    def run(part: Sequence[int], _seconds: float) -> list[int]:
        if {7, 90} & {*part}:
            raise ToolFailedError("it crashed")
        return [*part]

    answers, left = in_parts(range(150), run)

    assert left == [7, 90]
    assert [item for part in answers for item in part] == [item for item in range(150) if item not in {7, 90}]


def test_a_refusal_of_a_program_is_no_failure() -> None:
    def run(_part: Sequence[int], _seconds: float) -> None:
        raise RefusedError("no")

    with pytest.raises(RefusedError):
        in_parts([1, 2], run)


def test_of_very_many_hits_of_one_rule_the_largest_are_kept_and_the_rest_counted() -> None:
    hits = [Sighting(rule="r", path="a.py", line=n, measure=n) for n in range(1, HITS_PER_RULE + 6)]

    found, more = clipped(hits)

    assert [item.line for item in found] == list(range(6, HITS_PER_RULE + 6))
    assert more[0].what == "5 more hits of r"


# --- the scratch folder ---


class Text(Message, tag="test.text.v1"):
    text: str


class Keeper(Role[Text, Text]):
    async def handle(self, work: Text, ctx: Context) -> Text:
        await put_text(ctx, "plain", work.text)
        return Text(text=await get(ctx, await put(ctx, "value", work.text), str))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(text=st.text(max_size=60), times=st.sampled_from([1, 7000]))
async def test_any_text_comes_back_as_it_was_stored(text: str, times: int) -> None:
    bench = Bench()
    bench.real(fs_scratch_read, fs_scratch_write)

    reply = await bench.run(Keeper, Text(text=text * times))

    assert reply.text == text * times
    assert (bench.scratch / "plain").read_bytes() == (text * times).encode()
    assert all(len(str(call.arguments.get("text", "")).encode()) <= PIECE_BYTES for call in bench.calls)


def test_the_same_piece_twice_leaves_the_same_file(scope: ToolScope) -> None:
    fs_scratch_write("a", "first", intent="1", scope=scope)
    once = fs_scratch_write("a", "second", 5, intent="2", scope=scope)
    twice = fs_scratch_write("a", "second", 5, intent="2", scope=scope)

    assert once == twice
    assert (scope.scratch / "a").read_text() == "firstsecond"


@pytest.mark.parametrize("name", ["../a", "/etc/a", "", "."])
def test_a_name_that_leaves_the_scratch_folder_is_refused(scope: ToolScope, name: str) -> None:
    with pytest.raises(RefusedError, match="leaves the scratch folder"):
        fs_scratch_write(name, "x", intent="1", scope=scope)


# --- publishing ---


def publish(scope: ToolScope, tree: tuple[Stored, ...], *, out: str = "", digest: str = "") -> Publication:
    done = fs_publish(out=out, base="report/", tree=tree, digest=digest or tree_digest(tree), intent="1", scope=scope)
    assert isinstance(done, Publication)
    return done


def test_a_copy_that_was_cut_short_is_completed(root: Path, scope: ToolScope) -> None:
    tree = (kept(scope, "report/a.md", "a"), kept(scope, "report/evidence/b.json", "b"))
    publish(scope, tree)
    (root / ".remit" / "evidence" / "b.json").unlink()
    (root / ".remit" / "a.md").touch()
    before = (root / ".remit" / "a.md").stat().st_ino

    done = publish(scope, tree)

    assert (done.written, done.already_there) == (1, 1)
    assert (root / ".remit" / "a.md").stat().st_ino == before
    assert (root / ".remit" / "evidence" / "b.json").read_text() == "b"


def test_another_text_than_the_approved_one_is_not_published(root: Path, scope: ToolScope) -> None:
    tree = (kept(scope, "report/a.md", "a"),)
    (scope.scratch / "report" / "a.md").write_text("changed")

    with pytest.raises(RefusedError, match="changed"):
        publish(scope, tree)
    with pytest.raises(RefusedError, match="digest was approved"):
        publish(scope, tree, digest="sha256:other")

    assert not (root / ".remit").exists()


def test_a_report_may_go_to_another_folder(root: Path, scope: ToolScope, tmp_path: Path) -> None:
    done = publish(scope, (kept(scope, "report/a.md", "a"),), out=str(tmp_path / "elsewhere"))

    assert done.folder == str(tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere" / "a.md").read_text() == "a"
    assert not (root / ".remit").exists()


def test_files_of_an_earlier_audit_are_gone_but_for_its_baseline_and_nothing_else_is(
    root: Path, scope: ToolScope
) -> None:
    old = ["patches/001-F541-a.py.patch", "findings.json", "evidence/conflicts.json", "baseline.json", "report.md"]
    publish(scope, tuple(kept(scope, f"report/{name}", "old") for name in old))
    (root / ".remit/patches/mine.patch").write_text("mine")
    (root / ".remit/evidence/mine.json").write_text("mine")

    new = ["patches/001-F541-b.py.patch", "report.md"]
    done = publish(scope, tuple(kept(scope, f"report/{name}", "new") for name in new))

    assert done.removed == 3
    files = {str(path.relative_to(root / ".remit")) for path in (root / ".remit").rglob("*") if path.is_file()}
    assert files == {*new, "patches/mine.patch", "evidence/mine.json", "baseline.json"}


async def test_every_file_of_a_report_is_known_as_one(project: Path, audit: Callable[..., Awaitable[object]]) -> None:
    await audit(project)

    files = {str(path.relative_to(project / ".remit")) for path in (project / ".remit").rglob("*") if path.is_file()}
    assert {name for name in files if not name.startswith("patches/")} == {*OWN, "report.md", "baseline.json"}


def test_an_output_folder_that_is_another_folder_of_the_repository_is_none(root: Path, scope: ToolScope) -> None:
    (root / ".remit").symlink_to(".")

    with pytest.raises(RefusedError, match="is a symlink"):
        publish(scope, (kept(scope, "report/a.md", "a"),))

    assert not (root / "a.md").exists()


@pytest.mark.parametrize(("there", "is_folder"), [("b.md", True), ("evidence", False)])
def test_where_one_file_cannot_be_written_none_is(root: Path, scope: ToolScope, there: str, *, is_folder: bool) -> None:
    (root / ".remit").mkdir()
    if is_folder:
        (root / ".remit" / there).mkdir()
    else:
        (root / ".remit" / there).touch()
    names = ("report/a.md", "report/b.md", "report/evidence/c.json")

    with pytest.raises(ToolNotDoneError, match="folder"):
        publish(scope, tuple(kept(scope, name, "x") for name in names))

    assert [path.name for path in (root / ".remit").iterdir()] == [there]


def test_a_file_of_another_size_is_replaced_unread(root: Path, scope: ToolScope) -> None:
    (root / ".remit").mkdir()
    with (root / ".remit" / "a.md").open("wb") as file:
        file.truncate(1 << 40)

    done = publish(scope, (kept(scope, "report/a.md", "a"),))

    assert done.written == 1
    assert (root / ".remit" / "a.md").read_text() == "a"


def test_a_link_in_the_repository_leads_no_file_out_of_it(root: Path, scope: ToolScope, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "patches").mkdir(parents=True)
    (outside / "patches/001-F541-a.py.patch").write_text("not ours")
    tree = (kept(scope, "report/b.md", "b"),)

    (root / ".remit").symlink_to(outside)
    with pytest.raises(RefusedError, match="leads out of the repository"):
        publish(scope, tree)
    (root / ".remit").unlink()
    (root / ".remit").mkdir()
    (root / ".remit/patches").symlink_to(outside / "patches")
    done = publish(scope, tree)

    assert (done.written, done.removed) == (1, 0)
    assert [path.name for path in outside.rglob("*") if path.is_file()] == ["001-F541-a.py.patch"]
