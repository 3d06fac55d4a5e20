"""Files that somebody wrote to stop an audit: each is looked at, or named as left out, and in time."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import process_time

import msgspec
import pytest

from remit.teams.audit.finding import Skill
from remit.teams.audit.sighting import LONGEST, Doubt, Scan
from remit.teams.audit.source import Source
from remit.teams.audit.tools.request import Request
from remit.teams.audit.tools.scan import answer
from tests.unit.teams.audit.conftest import Audit, Write

SECONDS = 12
"""Far more than a linear pass over such a file takes, and far less than a square one."""
DEEP = "+".join(["a"] * 900)


@contextmanager
def in_time() -> Iterator[None]:
    start = process_time()
    yield
    assert process_time() - start < SECONDS


def scan(write: Write, view: Skill, files: dict[str, str | bytes]) -> Scan:
    root = write(files)
    found = answer(Request(view=view, root=str(root), files=tuple(files)))
    assert isinstance(found, Scan)
    msgspec.json.encode(found)  # as it is passed on
    return found


# --- nesting ---


@pytest.mark.parametrize(
    ("view", "text"),
    [
        ("structure", f"if {DEEP}:\n    import os\n"),
        ("security", f"import hashlib\nhashlib.md5({DEEP})\n"),
        ("security", f"import yaml\nyaml.load(x, {DEEP})\n"),
        ("security", f"def f(x):\n    assert {'not ' * 1500}x\n"),
    ],
)
def test_an_expression_that_nests_deeply_ends_no_scan(write: Write, view: Skill, text: str) -> None:
    found = scan(write, view, {"p/__init__.py": "", "p/m.py": text + "eval(y)\n"})

    assert found.files == 2
    assert ("dynamic-code" in {item.rule for item in found.sightings}) is (view == "security")


def test_a_deep_condition_of_a_block_hides_no_import_from_the_supply_view(write: Write) -> None:
    code = f"import requests\nwith {DEEP}:\n    pass\n"
    manifest = '[project]\nname = "p"\ndependencies = ["flask"]\n'

    found = scan(write, "supply", {"pyproject.toml": manifest, "p/__init__.py": "", "p/m.py": code})

    assert "undeclared-dependency" in {item.rule for item in found.sightings}


def test_a_second_look_at_a_deep_function_says_so(write: Write) -> None:
    root = write({"p/m.py": f"import requests\n\n\ndef f(a):\n    requests.get(a)\n    return {DEEP}\n"})
    doubt = Doubt(
        fingerprint="f" * 16,
        rule="missing-timeout",
        path="p/m.py",
        line=5,
        symbol="f",
        snippet="requests.get(a)",
        message="",
    )

    looks = answer(Request(view="again", root=str(root), files=("p/m.py",), doubts=(doubt,)))

    assert isinstance(looks, tuple)
    assert [look.holds for look in looks] == [True]


def test_a_comparison_of_a_parameter_is_found_in_any_depth(write: Write) -> None:
    found = scan(write, "security", {"m.py": "def f(x):\n    assert not (x and (x is None or not x > 1))\n"})

    assert [item.rule for item in found.sightings] == ["assert-validation"]


# --- size ---


@pytest.mark.parametrize(
    "text",
    ["e = 1\n" + "eval(e);" * 60_000 + "\n", "def f(e):\n" + " eval(e)\n" * 40_000],
    ids=["one line", "one function"],
)
def test_very_many_findings_in_one_file_take_no_longer_than_their_number(write: Write, text: str) -> None:
    with in_time():
        found = scan(write, "security", {"m.py": text})

    assert found.skipped


def test_very_many_second_looks_read_their_file_once(write: Write) -> None:
    root = write({"m.py": "eval(e)\n" * 50_000})
    doubts = tuple(
        Doubt(
            fingerprint=f"{n:016x}", rule="dynamic-code", path="m.py", line=n, symbol="", snippet="eval(e)", message=""
        )
        for n in range(1, 301)
    )

    with in_time():
        looks = answer(Request(view="again", root=str(root), files=("m.py",), doubts=doubts))

    assert isinstance(looks, tuple)
    assert [look.line for look in looks] == [*range(1, 301)]


def test_a_name_without_an_end_is_cut(write: Write) -> None:
    name = "n" * 100_000
    found = scan(write, "security", {"m.py": f"def {name}(x):\n    assert x > 1\n    eval(x)\n"})

    assert {item.rule for item in found.sightings} == {"assert-validation", "dynamic-code"}
    assert all(len(item.symbol) <= LONGEST and len(item.detail) <= LONGEST for item in found.sightings)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.md", "```pycon\n" + ">>> (\n1)\n" * 15_000 + "```\n"),
        ("m.rst", ">>> (\n1)\n" * 15_000),
        ("m.py", '"""\n' + ">>> (\n1)\n" * 15_000 + '"""\n'),
        ("m.md", f"```python title{'=' * 19_000}\nx\n```\n" * 10),
    ],
    ids=["console", "doctest", "docstring", "title"],
)
def test_a_document_takes_no_longer_than_its_length(write: Write, name: str, text: str) -> None:
    with in_time():
        scan(write, "docs", {"p.py": "", name: text})


def test_a_manifest_of_wide_keys_takes_no_longer_than_its_length(write: Write) -> None:
    with in_time():
        scan(write, "supply", {"m.py": "", "setup.cfg": "[options]\n" + f"a{' ' * 1990}\n" * 1000})


def test_names_behind_very_many_classes_or_imports_are_not_followed_for_ever(write: Write) -> None:
    pairs = "".join(f"class A{n}(A{n - 1}, B{n - 1}): ...\nclass B{n}(A{n - 1}, B{n - 1}): ...\n" for n in range(1, 40))
    chain = "".join(f"class C{n}(C{n - 1}): ...\n" for n in range(1, 400))
    stars = {
        f"pkg/{name}{n}.py": f"from pkg.s{n + 1} import *\nfrom pkg.t{n + 1} import *\n"
        for n in range(40)
        for name in "st"
    }
    line = {f"pkg/u{n}.py": f"from pkg.u{n + 1} import *\n" for n in range(400)}
    said = "`pkg.m.A39.no()`\n\n`pkg.m.C399.no()`\n\n`pkg.s0.no()`\n\n`pkg.u0.no()`\n\n`pkg.m.C3.no()`\n"
    code = f"class A0: ...\nclass B0: ...\nclass C0: ...\n{pairs}{chain}"

    with in_time():
        found = scan(write, "docs", {"m.md": said, "pkg/__init__.py": "", "pkg/m.py": code, **stars, **line})

    assert [item.detail for item in found.sightings] == ["pkg.m.C3.no"]


# --- encodings ---


@pytest.mark.parametrize(
    "data",
    [
        b"# coding: undefined\n",
        b"# coding: punycode\nx\n",
        b"# coding: utf-7\neval(x) # +2AA-\n",
        b"# coding: raw_unicode_escape\neval(x) # \\ud800\n",
    ],
)
@pytest.mark.parametrize("view", ["code", "security", "structure"])
def test_an_encoding_that_gives_no_text_is_a_finding_of_the_code_view(write: Write, view: Skill, data: bytes) -> None:
    found = scan(write, view, {"m.py": data})

    assert [item.rule for item in found.sightings] == (["undecodable-file"] if view == "code" else [])


def test_half_a_character_in_a_literal_is_passed_on_as_an_escape(write: Write) -> None:
    found = scan(write, "security", {"m.py": 'x = {"\\ud800token": "q8Zk3Lp0Xr7Wm2Vb"}\n'})

    assert [item.detail for item in found.sightings] == ["\\ud800token"]


# --- names by indentation ---


@pytest.mark.parametrize(
    ("text", "line", "symbol"),
    [
        ("class A:\n    def f(self):\n        x\n", 3, "A.f"),
        ("class A:\n    def f(self):\n        x\n    y\n", 4, "A"),
        ("def f():\n    x\n\n# c\n    y\n", 5, "f"),
        ("def f(\n    a,\n):\n    x\n", 4, "f"),
        ("def f():\n    x\ny\n    z\n", 4, ""),
        ("if a:\n    def f():\n        def g():\n            x\n", 4, "f.g"),
        ("def f():\n\tx\n", 2, "f"),
    ],
)
def test_a_line_is_named_after_what_stands_around_it(text: str, line: int, symbol: str) -> None:
    assert Source("m.py", text, "").symbol(line) == symbol


# --- the whole audit ---


async def test_an_audit_of_lines_that_do_not_fit_one_answer_is_complete(write: Write, audit: Audit) -> None:
    line = f"    eval(x)  # {chr(1) * 220}\n"
    root = write({f"p/m{n}.py": f"def f(x):\n{line * 20}" for n in range(20)})
    (root / "pyproject.toml").write_text("\n".join(["a ="] + ["[" * 200] * 390))

    _bench, reply = await audit(root)

    assert reply.kept


async def test_very_many_links_are_counted(write: Write, audit: Audit) -> None:
    root = write({"m.py": "eval(x)\n"})
    for number in range(3000):
        (root / f"{'n' * 150}{number}").symlink_to("m.py")

    await audit(root)

    skipped = (root / ".remit/evidence/not-checked.json").read_text()
    assert len(skipped) < 256 * 1024
    assert "there are too many to name" in skipped
