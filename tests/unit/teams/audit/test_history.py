"""What the history analyst says of real repositories with known dates, and that none of them makes git run anything."""

import os
import re
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit import ToolScope
from remit.teams.audit.finding import Finding
from remit.teams.audit.history.commit_log import DAY_S, ENOUGH, WIDE, Log
from remit.teams.audit.history.people import People
from remit.teams.audit.history.rules import RULES
from remit.teams.audit.history.todo import todos
from remit.teams.audit.judge.judgement import action_of
from remit.teams.audit.judge.judging import judge, message, severity
from remit.teams.audit.message import Published
from remit.teams.audit.report.hotspot import hotspots
from remit.teams.audit.sighting import Doubt, Look, Scan, Sighting
from remit.teams.audit.source import Source
from remit.teams.audit.tools.git_blame import git_blame
from remit.teams.audit.tools.git_log import git_log
from remit.teams.audit.tools.head import Head, git_head
from remit.teams.audit.tools.request import Request
from remit.teams.audit.tools.scan import answer
from remit.teams.audit.tools.scratch import Stored, stored
from remit.testing import Bench

Audit = Callable[..., Awaitable[tuple[Bench, Published]]]
NOW = 1_750_000_000
YEAR = 365
BODY = "".join(f"value_{n} = {n}\n" for n in range(60))
"""Enough lines to be worth a word."""
CLEAN = {"PATH": os.defpath, "HOME": "/nonexistent", "GIT_CONFIG_GLOBAL": "/dev/null"}


def git(root: Path, *command: str, check: bool = True) -> bytes:
    done = subprocess.run(
        ["git", "-c", "protocol.ext.allow=always", *command],
        cwd=root,
        env=CLEAN,
        check=check,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=20,
    )
    return done.stdout


@dataclass
class Past:
    """A repository that is given its commits one by one, oldest first, and written at once."""

    root: Path
    parts: list[bytes] = field(default_factory=list)
    edits: int = 0

    def commit(self, days_ago: float, files: Mapping[str | bytes, str | None], who: str | bytes = "ann") -> None:
        """Add a commit; a file without a text is removed."""
        name = os.fsencode(who)
        at = b"%s <%s@home.example> %d +0000" % (name, name, NOW - days_ago * DAY_S)
        self.parts.append(b"commit refs/heads/main\nauthor %s\ncommitter %s\ndata 1\nx\n" % (at, at))
        for path, text in files.items():
            quoted = b'"%s"' % os.fsencode(path).replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b'"', b'\\"')
            if text is None:
                self.parts.append(b"D %s\n" % quoted)
            else:
                self.parts.append(b"M 644 inline %s\ndata %d\n%s\n" % (quoted, len(text.encode()), text.encode()))

    def edit(self, days_ago: float, *paths: str, who: str = "ann") -> None:
        """Add a commit that changes a line of some files."""
        self.edits += 1
        self.commit(days_ago, dict.fromkeys(paths, f"{BODY}edit = {self.edits}\n"), who)

    def written(self) -> Path:
        """The repository stands on the disk, and its newest commit is checked out."""
        self.root.mkdir(exist_ok=True)
        git(self.root, "init", "--quiet", "--initial-branch=main")
        stream = b"".join(self.parts)
        loose = ("git", "-c", "fastimport.unpackLimit=100000", "fast-import", "--quiet")
        subprocess.run(loose, cwd=self.root, env=CLEAN, input=stream, check=True, timeout=20)
        git(self.root, "symbolic-ref", "HEAD", "refs/heads/main")
        git(self.root, "reset", "--quiet", "--hard")
        return self.root


@pytest.fixture
def past(tmp_path: Path) -> Past:
    return Past(tmp_path / "repository")


def scan(root: Path, view: str = "history", files: Iterable[str] | None = None) -> Scan:
    listed = os.fsdecode(git(root, "ls-files", "-z")).split("\0") if files is None else files
    request = {"view": view, "root": str(root), "files": [path for path in listed if path.endswith(".py")]}
    found = answer(msgspec.convert(request, Request))
    assert isinstance(found, Scan)
    return found


def told(found: Scan) -> list[tuple[str, str, int, str]]:
    return [(item.rule, item.path, item.measure, item.detail) for item in found.sightings]


def counts(found: Scan) -> dict[str, int]:
    return {item.path: item.value for item in found.measures if item.name == "commits"}


def filled(past: Past, *, until: int = 0) -> Past:
    """Give a repository with enough commits to say something, and nothing to say."""
    for day in range(ENOUGH, 0, -1):
        past.edit(until + day, f"calm/m{day}.py", who="bea" if day % 2 else "cyd")
    return past


# --- how often files change ---


def test_the_commits_of_the_newest_year_are_counted_for_every_file_with_a_history(past: Past) -> None:
    past.edit(3 * YEAR, "old.py", "both.py")
    filled(past)
    past.edit(YEAR + 1, "both.py")
    for day in (100, 50, 0):
        past.edit(day, "both.py")

    found = scan(past.written())

    assert (counts(found)["old.py"], counts(found)["both.py"]) == (0, 3)


def test_a_renamed_file_keeps_its_commits_and_the_move_is_none(past: Past) -> None:
    filled(past)
    past.edit(9, "before.py")
    past.edit(8, "before.py")
    past.commit(7, {"before.py": None, "after.py": f"{BODY}edit = {past.edits}\n"})
    past.edit(6, "after.py")

    assert counts(scan(past.written()))["after.py"] == 3


def test_a_file_that_changes_far_more_often_than_the_others_is_named(past: Past) -> None:
    filled(past)
    for day in range(30, 0, -1):
        past.edit(day / 2, "shop/cart.py", "tests/test_cart.py")

    found = scan(past.written())

    assert told(found) == [("high-churn", "shop/cart.py", 30, "")]
    assert (found.sightings[0].tool, found.sightings[0].line, found.sightings[0].text) == ("git", 1, "value_0 = 0")


def test_files_that_change_all_alike_are_not_named(past: Past) -> None:
    for day in range(40, 0, -1):
        past.edit(day, *(f"shop/m{n}.py" for n in range(10)))

    assert told(scan(past.written())) == []


def test_a_file_that_holds_little_more_than_a_version_is_not_named(past: Past) -> None:
    filled(past)
    for day in range(30, 0, -1):
        past.commit(day / 2, {"shop/number.py": f"number = {day}\n"})

    assert told(scan(past.written())) == []


def test_a_program_that_commits_is_nobody(past: Past) -> None:
    filled(past)
    for day in range(30, 0, -1):
        past.edit(day / 2, "shop/cart.py", who="tidy[bot]")

    assert told(scan(past.written())) == []


# --- who knew a file ---


def team(past: Past, *, owner: str = "ann", last: int = 3 * YEAR) -> Past:
    """Give a repository in which one person wrote a file until some days ago, and two more go on elsewhere."""
    for day in range(12, 0, -1):
        past.edit(last + day, "shop/core.py", who=owner)
    return past


def test_a_file_that_only_somebody_knows_who_is_away_is_named_without_a_name(past: Past) -> None:
    filled(team(past))

    found = scan(past.written())

    assert told(found) == [("absent-owner", "shop/core.py", 12, "3 years")]
    assert b"ann" not in msgspec.json.encode(found)
    assert b"@" not in msgspec.json.encode(found)


def test_a_file_that_somebody_else_took_over_is_not_named(past: Past) -> None:
    team(past)
    past.edit(2 * YEAR, "shop/core.py", who="bea")
    past.edit(YEAR, "shop/core.py", who="cyd")
    filled(past)

    assert told(scan(past.written())) == []


def test_an_owner_who_commits_elsewhere_is_not_away(past: Past) -> None:
    filled(team(past))
    past.edit(0.5, "shop/other.py", who="ann")

    assert told(scan(past.written())) == []


@pytest.mark.parametrize("mailmap", ["", "Ann <ann@home.example> <new@home.example>\n"])
def test_a_person_with_a_new_address_is_the_same_person_where_the_mailmap_says_so(past: Past, mailmap: str) -> None:
    filled(team(past))
    past.edit(0.5, "shop/other.py", who="new")
    past.commit(0.4, {".mailmap": mailmap}, who="bea")

    assert bool(told(scan(past.written()))) is not bool(mailmap)


def test_in_a_project_of_two_it_is_said_once_that_nobody_can_tell(past: Past) -> None:
    team(past)
    for day in range(ENOUGH, 0, -1):
        past.edit(day, f"calm/m{day}.py", who="bea")

    found = scan(past.written())

    assert told(found) == []
    assert [item.what for item in found.skipped] == ["who knows which file"]


def test_in_a_project_at_rest_nobody_is_away(past: Past) -> None:
    filled(past, until=3 * YEAR)
    team(past, last=2 * YEAR)
    past.edit(0, "calm/m1.py", who="bea")

    assert told(scan(past.written())) == []


# --- what changes together ---


def together(past: Past, one: str, other: str) -> Past:
    filled(past)
    for day in range(9, 0, -1):
        past.edit(day / 2, one, other)
    return past


def test_files_of_two_packages_that_change_together_are_named_once(past: Past) -> None:
    root = together(past, "shop/price.py", "web/page.py").written()

    assert told(scan(root)) == [("hidden-coupling", "shop/price.py", 9, "`web/page.py`")]


@pytest.mark.parametrize(
    ("one", "other"), [("shop/a.py", "shop/b.py"), ("shop/a.py", "tests/test_a.py"), ("a/__init__.py", "b/__init__.py")]
)
def test_files_that_belong_together_anyway_are_not_named(past: Past, one: str, other: str) -> None:
    assert told(scan(together(past, one, other).written())) == []


@pytest.mark.parametrize(
    "line", ["from shop.price import x", "def f():\n    import shop.price", "from shop import x", "uses = 'shop.price'"]
)
def test_files_of_which_one_imports_or_names_the_other_are_not_named(past: Past, line: str) -> None:
    together(past, "shop/price.py", "web/page.py")
    past.commit(0, {"shop/__init__.py": "", "web/page.py": f"{BODY}{line}\n"})

    assert told(scan(past.written())) == []


def test_a_commit_of_very_many_files_joins_nothing_and_makes_nobody_an_owner(past: Past) -> None:
    crowd = [f"calm/n{n}.py" for n in range(WIDE)]
    filled(past)
    for day in range(12, 0, -1):
        past.edit(day / 2, "shop/price.py", "web/page.py", *crowd)

    found = scan(past.written())

    assert told(found) == []
    assert counts(found)["shop/price.py"] == 12


# --- what was put off ---


TODO = "def f():\n    return 1  # TODO: handle the rest\n"


def blamed(past: Past) -> list[tuple[str, str, int, str]]:
    return told(scan(past.written(), "blame"))


def test_a_comment_that_waits_for_years_is_named_with_its_line(past: Past) -> None:
    past.commit(4 * YEAR, {"a.py": TODO})
    past.commit(3 * YEAR, {"a.py": f"import os\n\n\n{TODO}\n\n# FIXME: {os.sep}\n"})
    past.commit(0, {"b.py": ""})

    found = scan(past.written(), "blame")

    assert told(found) == [("stale-todo", "a.py", 4, "TODO")]
    assert (found.sightings[0].line, found.sightings[0].symbol) == (5, "f")
    assert [item.path for item in found.blobs] == ["a.py"]


def test_a_comment_that_waits_for_a_year_is_left_alone(past: Past) -> None:
    past.commit(YEAR, {"a.py": TODO})
    past.commit(0, {"b.py": ""})

    assert blamed(past) == []


def test_of_a_line_that_is_older_than_git_looks_back_the_least_age_is_said(past: Past) -> None:
    past.commit(9 * YEAR, {"a.py": TODO})
    for year in range(8, -1, -1):
        past.commit((year + 0.5) * YEAR, {"a.py": f"{TODO}x = {year}\n"})
    past.commit(0, {"b.py": ""})

    assert blamed(past) == [("stale-todo", "a.py", 5, "TODO")]


def test_a_line_that_is_not_committed_as_it_stands_has_no_age(past: Past) -> None:
    past.commit(4 * YEAR, {"a.py": "def f():\n    return 1  # TODO: one thing\n", "c.py": TODO, "d.py": "x = 1\n"})
    past.commit(0, {"b.py": ""})
    root = past.written()
    (root / "a.py").write_text("def f():\n    return 1  # TODO: another thing\n")
    (root / "c.py").write_text("\n" * 9 + TODO)
    (root / "d.py").write_text(f"{TODO}\n")

    assert told(scan(root, "blame")) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# TODO: x", ["TODO"]),
        ("x = 1  # noqa: E1  # FIXME (ann): x", ["FIXME"]),
        ("#XXX(ann) x\n# HACK: x", ["XXX", "HACK"]),
        ("x = '# TODO: x'", []),
        ('"""\n# TODO: x\n"""', []),
        ("# XXX compat alias\n# HACK", []),
        ("# a TODO list\n# TODOS: x\n# todo: x\n# XXXX\n# XXX-1", []),
        ("x = (  # TODO: x", []),
    ],
)
def test_a_note_is_a_comment_that_begins_with_the_word(text: str, words: list[str]) -> None:
    assert [item.word for item in todos(Source("a.py", text, ""))] == words


# --- the second look ---


def looked(root: Path, found: Scan) -> Look:
    (item,) = judge(found, "history")
    doubt = msgspec.convert(msgspec.structs.asdict(item), Doubt)
    looks = answer(Request(view="again", root=str(root), files=(), doubts=(doubt,)))
    assert isinstance(looks, tuple)
    return looks[0]


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("# TODO: x in UTF-8\n\n# see #12", True),
        ("# TODO: x in 6.0", False),
        ("# TODO(#12): x", False),
        ("# TODO: x,\n# see https://x.example/1", False),
    ],
)
def test_a_comment_that_says_where_it_is_tracked_is_let_go(past: Past, text: str, *, holds: bool) -> None:
    past.commit(4 * YEAR, {"a.py": f"{text}\n"})
    past.commit(0, {"b.py": ""})
    root = past.written()

    assert looked(root, scan(root, "blame")).holds is holds


@pytest.mark.parametrize(
    ("one", "other", "holds"),
    [
        ("shop/_async/client.py", "shop/_sync/client.py", False),
        ("shop/aio/cart.py", "shop/blocking/cart.py", False),
        ("shop/price.py", "web/page.py", True),
    ],
)
def test_a_counterpart_for_other_callers_is_let_go(past: Past, one: str, other: str, *, holds: bool) -> None:
    root = together(past, one, other).written()

    assert looked(root, scan(root)).holds is holds


# --- odd repositories ---


def causes(root: Path, files: Iterable[str] = ("a.py",)) -> list[str]:
    (root / "a.py").write_text(TODO)
    found = (scan(root, "history", files), scan(root, "blame", files))
    assert [item.sightings for item in found] == [(), ()]
    return [item.cause for each in found for item in each.skipped]


def test_without_a_commit_there_is_nothing_to_say(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")

    assert causes(tmp_path) == ["there is no commit"] * 2


def test_one_commit_is_too_little(past: Past) -> None:
    past.edit(0, "a.py")

    assert causes(past.written()) == ["fewer than 20 commits say nothing about habits"]


@pytest.mark.parametrize("text", ["", "gitdir: /nowhere", "\xff\n", "gitdir: .git"])
def test_a_broken_git_is_no_history_even_inside_another_repository(past: Past, text: str) -> None:
    root = filled(past).written()
    inner = root / "inner"
    inner.mkdir()
    (inner / ".git").write_text(text)

    assert causes(inner) == ["its .git cannot be read"] * 2


def test_a_folder_that_is_called_git_and_empty_is_no_history(past: Past) -> None:
    inner = filled(past).written() / "inner"
    (inner / ".git").mkdir(parents=True)

    assert causes(inner) == ["its .git cannot be read"] * 2


def test_a_shallow_clone_supports_no_claim(past: Past, tmp_path: Path) -> None:
    root = filled(past).written()
    git(tmp_path, "clone", "--quiet", "--depth=5", f"file://{root}", "shallow")

    assert causes(tmp_path / "shallow") == ["this is a shallow clone, which holds only the newest end of it"] * 2


def test_a_damaged_history_is_no_history(past: Past) -> None:
    root = filled(past).written()
    shutil.rmtree(root / ".git" / "objects")
    (root / ".git" / "objects").mkdir()

    assert causes(root) == ["there is no commit"] * 2


def test_a_head_that_is_on_no_branch_and_a_linked_work_tree_say_the_same(past: Past, tmp_path: Path) -> None:
    root = filled(team(past)).written()
    plain = scan(root)
    git(root, "worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    git(root, "checkout", "--quiet", "--detach")

    assert scan(root) == scan(tmp_path / "linked") == plain
    assert plain.sightings


def test_names_that_are_no_text_and_a_submodule_are_nothing_special(past: Past) -> None:
    odd: dict[str | bytes, str | None] = {
        b"caf\xe9.py": BODY,
        b"\x1e1\x1fa\x1fb.py": BODY,
        b"M\n.py": BODY,
        "-x.py": f"{BODY}# TODO: x\n",
        ":(glob)*.py": f"{BODY}# TODO: x\n",
    }
    past.commit(4 * YEAR, odd, who=b"J\xf6rg \x1f\x1e")
    past.parts.append(b"M 160000 %s lib\n" % (b"1" * 40))
    root = filled(past).written()

    assert set(counts(scan(root))) >= {os.fsdecode(path) for path in odd}
    assert [path for _rule, path, *_rest in told(scan(root, "blame"))] == ["-x.py", ":(glob)*.py"]


def test_a_commit_of_another_age_changes_no_clock(past: Past) -> None:
    past.edit(-80 * YEAR, "a.py")
    past.edit(54 * YEAR, "a.py")
    filled(past)

    assert counts(scan(past.written()))["a.py"] == 1


# --- the same for everybody ---


@pytest.mark.parametrize("claimed", ["9" * 5000, "9" * 17, "-5"])
def test_a_commit_that_claims_a_time_of_no_calendar_ends_nothing(past: Past, tmp_path: Path, claimed: str) -> None:
    past.commit(4 * YEAR, {"a.py": TODO})
    root = filled(past).written()
    body = git(root, "cat-file", "commit", "HEAD").decode()
    told = re.sub(r"(?m)^(author|committer) (.*>) \d+", rf"\1 \2 {claimed}", body)
    (root / "commit").write_text(told)
    name = git(root, "hash-object", "-t", "commit", "-w", "--literally", "commit").decode().strip()
    git(root, "update-ref", "HEAD", name)
    scope = ToolScope(run_id="r", step="s", role="r", intent="i", scratch=tmp_path, data={"repository": str(root)})

    head = git_head(scope=scope)

    assert isinstance(head, Head)
    assert (head.commit, head.committed_at) == (name, "1970-01-01T00:00:00Z")
    assert isinstance(scan(root, "history", ["a.py"]), Scan)
    assert isinstance(scan(root, "blame", ["a.py"]), Scan)


def test_the_same_commit_gives_the_same_bytes_wherever_and_whenever(
    past: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    past.commit(4 * YEAR, {"a.py": f"{BODY}# TODO: x\n"})
    root = filled(team(together(past, "shop/price.py", "web/page.py"))).written()
    first = [msgspec.json.encode(scan(root, view)) for view in ("history", "blame")]
    git(tmp_path, "clone", "--quiet", str(root), "elsewhere")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("LANG", "de_DE.UTF-8")

    assert [msgspec.json.encode(scan(tmp_path / "elsewhere", view)) for view in ("history", "blame")] == first
    assert b"hidden-coupling" in first[0]
    assert b"stale-todo" in first[1]


def test_the_tools_say_in_a_process_of_their_own_what_they_say_in_ours(past: Past, tmp_path: Path) -> None:
    past.commit(4 * YEAR, {"a.py": f"{BODY}# TODO: x\n"})
    root = filled(team(past)).written()
    files = ("a.py", "shop/core.py")
    scope = ToolScope(run_id="r", step="s", role="r", intent="i", scratch=tmp_path, data={"repository": str(root)})

    assert git_log(listed(tmp_path, files), scope=scope) == scan(root, "history", files)
    assert git_blame(listed(tmp_path, files), scope=scope) == scan(root, "blame", files)
    assert told(scan(root, "history", files))
    assert told(scan(root, "blame", files))


def listed(scratch: Path, files: tuple[str, ...]) -> Stored:
    (scratch / "files.json").write_bytes(msgspec.json.encode(files))
    return stored(scratch, "files.json")


# --- a repository cannot make git run anything ---


@dataclass(frozen=True)
class Trap:
    """Settings of a repository that start a program, and a careless command that falls for them."""

    config: str
    command: str
    attributes: str = ""
    missing: str = ""
    """Of the oldest commit, an object that has to be fetched."""


PROMISE = """\
[core]
    repositoryFormatVersion = 1
[extensions]
    partialClone = origin
[protocol]
    allow = always
[remote "origin"]
    url = ext::{program}
    promisor = true
"""
"""What is missing may be had from a program."""
TRAPS = {
    "file monitor": Trap("[core]\n\tfsmonitor = {program}\n", "status"),
    "textconv": Trap('[diff "d"]\n\ttextconv = {program}\n', "blame HEAD -- a.py", "*.py diff=d\n"),
    "external diff": Trap("[diff]\n\texternal = {program}\n", "log -p --ext-diff"),
    "external diff of a driver": Trap('[diff "d"]\n\tcommand = {program}\n', "log -p --ext-diff", "*.py diff=d\n"),
    "filter": Trap('[filter "f"]\n\tclean = {program}\n\trequired\n', "blame a.py", "*.py filter=f\n"),
    "signature": Trap("[log]\n\tshowSignature = true\n[gpg]\n\tprogram = {program}\n", "log"),
    "alias": Trap("[alias]\n\tlog = !{program}\n\tblame = !{program}\n\tx = !{program}\n", "x"),
    "hook": Trap("[core]\n\thooksPath = {folder}\n", "checkout --quiet --detach"),
    "fetch of a text": Trap(PROMISE, "log -p", missing=":a.py"),
    "fetch of a folder": Trap(PROMISE, "log -p", missing="^{tree}"),
}


@pytest.mark.parametrize("name", TRAPS)
def test_no_setting_of_a_repository_starts_a_program(past: Past, tmp_path: Path, name: str) -> None:
    root, marker = trapped(past, TRAPS[name], tmp_path)

    scan(root, "history", ["a.py"])
    scan(root, "blame", ["a.py"])
    assert not marker.exists()

    git(root, *TRAPS[name].command.split(), check=False)
    assert marker.exists(), "the trap catches nobody"


def signed(root: Path) -> None:
    """The newest commit carries a signature, which somebody may want to check."""
    head = git(root, "cat-file", "commit", "HEAD")
    signature = b"gpgsig -----BEGIN PGP SIGNATURE-----\n x\n -----END PGP SIGNATURE-----\n\n"
    (root / "commit").write_bytes(head.replace(b"\n\n", b"\n" + signature, 1))
    name = git(root, "hash-object", "-t", "commit", "-w", "commit").decode().strip()
    git(root, "reset", "--quiet", "--hard", name)


def trapped(past: Past, trap: Trap, tmp_path: Path) -> tuple[Path, Path]:
    """Give a repository with a trap, and the file that is there when it has caught somebody."""
    past.commit(4 * YEAR, {"a.py": TODO})
    past.commit(3 * YEAR, {"a.py": f"{TODO}\n# TODO: x\n", "b.py": ""})
    root = filled(past).written()
    marker, program = tmp_path / "ran", tmp_path / "post-checkout"
    program.write_text(f"#!/bin/sh\ntouch {marker}\n")
    program.chmod(0o755)
    if "showSignature" in trap.config:
        signed(root)
    if trap.missing:
        name = git(root, "rev-parse", f"HEAD~{ENOUGH + 1}{trap.missing}").decode().strip()
        (root / ".git" / "objects" / name[:2] / name[2:]).unlink()
    (root / ".gitattributes").write_text(trap.attributes)
    (root / "a.py").write_text(f"{TODO}\n# TODO: y\n")
    with (root / ".git" / "config").open("a") as config:
        config.write(trap.config.format(program=program, folder=tmp_path))
    return root, marker


# --- what is made of it ---


def finding(rule: str, level: int, *, skill: str = "history", measure: int = 0, detail: str = "x") -> Finding:
    known = {rule.name: rule for rule in RULES}
    sighting = Sighting(rule=rule, path="a.py", line=12, measure=measure, detail=detail, tool="git")
    return msgspec.convert(
        {
            "fingerprint": f"{rule}{level}",
            "rule": rule,
            "severity": severity(known[rule], sighting) if rule in known else ["high", "medium", "low"][level],
            "path": "a.py",
            "line": 12,
            "symbol": "f",
            "snippet": "x",
            "message": message(known[rule], sighting) if rule in known else f"{rule} says so",
            "skill": skill,
            "tools": ("git",),
            "blob": "sha256:0",
            "measure": measure,
        },
        Finding,
    )


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("measure", [2, 10_000])
def test_what_history_says_never_asks_for_mending(rule: object, measure: int) -> None:
    (known,) = [item for item in RULES if item is rule]

    assert action_of([finding(known.name, 0, measure=measure)], sure=True) in {"test first", "watch"}


def test_history_stands_at_the_end_of_a_sentence_where_it_makes_the_rest_worse() -> None:
    kept = [
        finding("untested-module", 1, skill="structure"),
        finding("high-churn", 0, measure=83),
        finding("missing-timeout", 1, skill="security"),
        finding("complex-function", 0, skill="code"),
    ]

    (spot,) = hotspots(kept)

    assert spot.sentence() == (
        "a.py: missing-timeout says so, complex-function says so, "
        "83 commits changed it within a year, and untested-module says so"
    )
    assert spot.skills == ("code", "history", "security", "structure")


@pytest.mark.parametrize(
    ("rule", "measure", "detail", "sentence"),
    [
        (
            "absent-owner",
            12,
            "3 years",
            "one person, who last committed 3 years ago, made nearly all of its 12 commits",
        ),
        (
            "hidden-coupling",
            9,
            "`web/page.py`",
            "9 commits changed it together with `web/page.py`, though neither imports the other",
        ),
        ("stale-todo", 4, "TODO", "the TODO at line 12 has waited for more than 4 years"),
    ],
)
def test_every_rule_reads_as_part_of_a_sentence(rule: str, measure: int, detail: str, sentence: str) -> None:
    assert finding(rule, 0, measure=measure, detail=detail).message == sentence


def test_a_file_with_notes_alone_is_nothing_to_mend() -> None:
    assert hotspots([finding("high-churn", 0, measure=83), finding("stale-todo", 0, measure=4)]) == []


def test_a_forgotten_comment_makes_no_meeting_of_analysts() -> None:
    (spot,) = hotspots([finding("stale-todo", 0, measure=4), finding("complex-function", 0, skill="code")])

    assert (spot.skills, spot.is_joined) == (("code",), False)


async def test_an_audit_joins_history_with_what_others_found(past: Past, project: Path, audit: Audit) -> None:
    files = {str(path.relative_to(project)): path for path in project.rglob("*.py")}
    past.commit(4 * YEAR, {name: path.read_bytes().decode("latin-1") for name, path in files.items()})
    cart = (project / "shop/cart.py").read_text()
    for day in range(30, 0, -1):
        past.commit(day / 2, {"shop/cart.py": f"{cart}{BODY}# {day}\n"})
    root = past.written()

    await audit(root)

    opinions = msgspec.json.decode((root / ".remit/findings.json").read_bytes())
    kept = {(item["finding"]["rule"], item["finding"]["path"]) for item in opinions if item["decision"] == "keep"}
    assert ("high-churn", "shop/cart.py") in kept
    first = (root / ".remit/report.md").read_text().partition("## Conflicts")[0]
    assert "30 commits changed it within a year" in first
    assert "Seen by: code, history, security" in first
    measured = msgspec.json.decode((root / ".remit/evidence/measures.json").read_bytes())
    assert {"path": "shop/cart.py", "name": "commits", "value": 30} in measured


# --- properties ---


names = st.binary(min_size=1, max_size=12).filter(lambda name: b"\0" not in name)
texts = st.binary(max_size=12).filter(lambda text: b"\0" not in text and b"\x1f" not in text)
changes = st.tuples(st.sampled_from([b"M", b"A", b"D", b"T"]), names)


@given(st.lists(st.tuples(st.integers(0, 1 << 37), texts, texts, st.lists(changes, max_size=5)), max_size=6))
def test_the_answer_of_git_is_read_by_position_whatever_files_are_called(
    said: list[tuple[int, bytes, bytes, list[tuple[bytes, bytes]]]],
) -> None:
    words = [
        word
        for at, address, name, files in said
        for word in (b"\x1e%d\x1f%s\x1f%s" % (at, address, name), *(part for pair in files for part in pair))
    ]
    known = {os.fsdecode(name) for *_rest, files in said for _status, name in files}

    read = list(Log(known).commits(iter(words)))

    assert read == [
        (at, address, name, len(files), tuple(os.fsdecode(path) for _status, path in files))
        for at, address, name, files in said
    ]


@given(st.lists(st.binary(max_size=8), max_size=30))
def test_an_answer_that_git_never_gives_is_read_without_harm(words: list[bytes]) -> None:
    assert all(width >= len(paths) for *_rest, width, paths in Log(["a"]).commits(iter(words)))


@given(st.lists(st.tuples(st.sampled_from([b"", b"a", b"B", b"b"]), st.sampled_from([b"", b"1", b"2"])), max_size=8))
def test_whoever_shares_a_name_or_an_address_is_one_person_in_any_order(authors: list[tuple[bytes, bytes]]) -> None:
    def same(order: list[tuple[bytes, bytes]]) -> set[tuple[int, int]]:
        people = People()
        keys = {author: people.add(*author) for author in order}
        who = [people.who(keys[author]) for author in authors]
        return {(i, j) for i in range(len(who)) for j in range(i) if who[i] == who[j]}

    joined = same(authors)
    assert joined == same(authors[::-1])
    for i, (name, address) in enumerate(authors):
        for j in range(i):
            shares = name and name.lower() == authors[j][0].lower()
            if shares or (address and address == authors[j][1]):
                assert (i, j) in joined
