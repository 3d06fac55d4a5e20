"""What each detector sees in a few lines of code, and what it leaves alone."""

import textwrap
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.teams.audit.code import complexity, missing_f, secret, swallowed, unsafe_call, waiting
from remit.teams.audit.code.complexity import functions
from remit.teams.audit.code.duplication import sightings as duplicates
from remit.teams.audit.code.module_graph import ModuleGraph, components, unit
from remit.teams.audit.code.untested import UNUSED
from remit.teams.audit.code.untested import sightings as untested
from remit.teams.audit.sighting import Sighting
from remit.teams.audit.source import Source, UnreadableError

Detector = Callable[[Source], Iterator[Sighting]]


def source(text: str, path: str = "a.py") -> Source:
    return Source(path, textwrap.dedent(text), "sha256:0")


def rules(detector: Detector, text: str) -> list[str]:
    return [item.rule for item in detector(source(text))]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("import subprocess as sp\nsp.run(x, shell=True)", "shell-injection"),
        ("import os\nos.system(x)", "shell-injection"),
        ("eval(x)", "dynamic-code"),
        ("exec(compile(x, 'a', 'exec'))", "dynamic-code"),
        ("from pickle import loads as l\nl(x)", "unsafe-deserialisation"),
        ("import yaml\nyaml.load(x)", "unsafe-deserialisation"),
        ("import yaml\nyaml.load(x, Loader=yaml.FullLoader)", "unsafe-deserialisation"),
        ("import tempfile\ntempfile.mktemp()", "insecure-temp-file"),
        ("import requests\nrequests.get(u, verify=False)", "tls-check-off"),
        ("import ssl\nssl._create_unverified_context()", "tls-check-off"),
        ("import hashlib\nhashlib.md5(password.encode())", "weak-password-hash"),
    ],
)
def test_an_unsafe_call_is_seen(text: str, rule: str) -> None:
    assert rules(unsafe_call.sightings, text) == [rule]


@pytest.mark.parametrize(
    "text",
    [
        "import subprocess\nsubprocess.run(['ls'])",
        "eval('1 + 1')",
        "frame.eval(x)",
        "from .safe import eval\neval(x)",
        "def eval(x): ...\neval(x)",
        "import json\njson.loads(x)",
        "import yaml\nyaml.safe_load(x)",
        "import yaml\nyaml.load(x, yaml.SafeLoader)",
        "from yaml import CSafeLoader as L\nimport yaml\nyaml.load(x, Loader=L)",
        "import hashlib\nhashlib.md5(body)",
        "import hashlib\nhashlib.md5(password, usedforsecurity=False)",
        "check(verify=False)",
    ],
)
def test_a_harmless_call_is_left_alone(text: str) -> None:
    assert rules(unsafe_call.sightings, text) == []


@pytest.mark.parametrize(
    "text",
    [
        "import requests\nrequests.get(u)",
        "import requests\nrequests.get(u, timeout=None)",
        "import httpx\nhttpx.get(u, timeout=None)",
        "from urllib.request import urlopen\nurlopen(u)",
        "import socket\nsocket.create_connection(a)",
        "import subprocess\nsubprocess.run(['ls'])",
    ],
)
def test_a_call_that_waits_for_ever_is_seen(text: str) -> None:
    assert rules(waiting.sightings, text) == ["missing-timeout"]


@pytest.mark.parametrize(
    "text",
    [
        "import requests\nrequests.get(u, timeout=3)",
        "import requests\nrequests.get(u, **options)",
        "import httpx\nhttpx.get(u)",
        "from urllib.request import urlopen\nurlopen(u, None, 3)",
        "import socket\nsocket.create_connection(a, 3)",
        "import subprocess\nsubprocess.Popen(['ls'])",
        "requests = fake()\nrequests.get(u)",
    ],
)
def test_a_call_with_a_limit_is_left_alone(text: str) -> None:
    assert rules(waiting.sightings, text) == []


def test_the_first_call_that_waits_for_a_program_stands_for_all_of_the_file() -> None:
    text = """
        import subprocess as sp, requests
        def late():
            sp.run(["c"])
            requests.get(u)
        sp.check_call(["a"], timeout=1)
        sp.check_call(["b"])
        """

    found = sorted((item.line, item.detail) for item in waiting.sightings(source(text)))

    assert found == [(4, "`subprocess.run`, the first of 2 calls that run a program,"), (5, "`requests.get`")]


def test_a_call_that_ends_soon_does_not_stand_for_one_that_may_not() -> None:
    text = 'import subprocess\nsubprocess.run(["git", "--version"])\nsubprocess.run(["git", "fetch"])\n'

    assert [item.line for item in waiting.sightings(source(text))] == [3]


def test_a_child_that_works_on_files_does_not_stand_for_one_that_does_not() -> None:
    text = 'import subprocess\nsubprocess.run(["pybabel", "update"])\nsubprocess.run(["ssh", host])\n'

    assert [item.line for item in waiting.sightings(source(text))] == [3]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("try:\n    a()\nexcept Exception:\n    pass", 1),
        ("try:\n    a()\nexcept:\n    ...", 1),
        ("try:\n    a()\nexcept (ValueError, Exception):\n    pass", 1),
        ("from contextlib import suppress\nwith suppress(Exception):\n    a()", 1),
        ("try:\n    a()\nexcept ValueError:\n    pass", 0),
        ("try:\n    a()\nexcept Exception:\n    log(1)", 0),
        ("from contextlib import suppress\nwith suppress(KeyError):\n    a()", 0),
    ],
)
def test_a_swallowed_exception_is_one_that_catches_everything_and_says_nothing(text: str, seen: int) -> None:
    assert rules(swallowed.sightings, text) == ["swallowed-exception"] * seen


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        ("assert n > 0", 1),
        ("'''Doc.'''\n    assert key in self.known", 1),
        ("assert n is not None", 0),
        ("assert isinstance(n, int)", 0),
        ("x = n\n    assert n > 0", 0),
        ("assert x > 0", 0),
        ("assert n.children > 3", 0),
        ("assert n[key] == 3", 0),
        ("assert key not in self.known", 0),
        ("assert 0 < n < 3", 1),
    ],
)
def test_an_assert_validates_only_at_the_start_and_by_comparing_an_argument(body: str, seen: int) -> None:
    text = f"def f(self, n, key):\n    {body}\n"

    assert rules(swallowed.sightings, text) == ["assert-validation"] * seen


@pytest.mark.parametrize(
    ("text", "measure"),
    [
        ('key = "AKIA' + "Q3EGRJDKW7HLBN5P" + '"', 100),
        ('token = "ghp_' + "9fK2mQ7xLr4Tz8Vb1Nc6Ws3Yd5Gh0JkPeRuA" + '"', 100),
        ('API_TOKEN = "9fK2mQ7xLr4Tz8Vb1Nc6"', 43),
        ('API_TOKEN = "example-token-0123456"', 0),
        ('password = "correct horse battery"', 0),
        ('token_url = "9fK2mQ7xLr4Tz8Vb1Nc6"', 0),
        ('SECRET_NAME = "MY_APP_SECRET_KEY_1"', 0),
        ('checksum = "9fK2mQ7xLr4Tz8Vb1Nc6"', 0),
        ('token = "https://a.b/c1?d=2e3f4g5h"', 0),
    ],
)
def test_a_secret_is_known_by_its_shape_or_by_its_name_and_its_entropy(text: str, measure: int) -> None:
    assert [item.measure for item in secret.sightings(source(text))] == ([measure] if measure else [])


def test_a_report_does_not_repeat_the_secret() -> None:
    (found,) = secret.sightings(source('API_TOKEN = "9fK2mQ7xLr4Tz8Vb1Nc6"'))

    assert found.text == 'API_TOKEN = "9fK…"'


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ('raise ValueError("no {name} here")', 2),
        ('raise ValueError(\n        "no such"\n        " but {name.url!r}."\n    )', 4),
        ('other = name\n    logger.error("{other:>5} is lost")', 3),
        ('print("found {name[0]}")', 2),
        ('self.log.warning("{name}")', 2),
        ('raise ValueError(f"no {name} here")', 0),
        ('raise ValueError("no {0} here".format(name))', 0),
        ('raise ValueError("no {name} here".format(name=name))', 0),
        ('raise Templated("no {name} here", name=name)', 0),
        ('logger.info("{name}", name)', 0),
        ('raise ValueError("no {nobody} here")', 0),
        ('raise ValueError("{{name}}")', 0),
        ('raise ValueError("no { name } here")', 0),
        ('text = "no {name} here"', 0),
        ('if "{name}" not in name:\n        raise ValueError("it must hold {name}")', 0),
    ],
)
def test_a_message_with_a_name_of_its_function_in_braces_was_meant_to_be_filled_in(body: str, line: int) -> None:
    found = [item.line for item in missing_f.sightings(source(f"def f(self, name):\n    {body}\n"))]

    assert found == ([line] if line else [])


TWINS = """
class Sync:
    def send(self, url):
        raise ValueError(
            "it must be one"
            f" but got {url.scheme!r:>5}."
        )
class Async:
    async def asend(self, url):
        raise ValueError("it must be one but got {url.scheme!r:>5}.")
"""


@pytest.mark.parametrize(
    ("text", "twin"),
    [
        (TWINS, "; its twin at line 6 has it"),
        (TWINS.replace("asend", "send"), "; its twin at line 6 has it"),
        (TWINS.replace("asend", "fetch"), ""),
        (TWINS.replace('but got {url.scheme!r:>5}.")', 'and not {url.scheme!r:>5}.")'), ""),
    ],
)
def test_a_message_without_its_f_names_the_twin_that_has_it(text: str, twin: str) -> None:
    (found,) = missing_f.sightings(source(text))

    assert found.line == 10
    assert found.detail == f"`{{url.scheme!r:>5}}` is shown as it stands, because the text is no f-string{twin}"


def test_complexity_counts_as_linters_do_and_leaves_nested_functions_their_own() -> None:
    text = """
        def outer(a, b):
            for x in a:
                if x and b or a:
                    pass
            def inner():
                return [y for y in a if y] if a else b
            try:
                inner()
            except ValueError:
                pass
            match a:
                case 1: pass
                case _: pass
        """

    measured = {item.node.name: item.complexity for item in functions(source(text))}

    assert measured == {"outer": 5, "inner": 1}


def test_a_docstring_does_not_make_a_function_long() -> None:
    lines = "\n".join(f"    line {n}" for n in range(100))
    text = f'def f():\n    """Says.\n{lines}\n    """\n    return 1\n'

    assert rules(complexity.sightings, text) == []


def test_only_lines_of_code_make_a_function_long() -> None:
    signature = "".join(f"    a{n}: int,\n" for n in range(60))
    filler = "    # a comment\n\n" * 60
    code = "".join(f"    x{n} = f({n})\n" for n in range(80))
    long = f"def f(\n{signature}):\n{filler}{code}"

    assert [(item.rule, item.measure) for item in complexity.sightings(source(long))] == [("long-function", 80)]
    assert rules(complexity.sightings, long.replace("    x0 = f(0)\n", "    # x0\n")) == []


def test_the_symbol_of_a_line_is_the_function_around_it() -> None:
    text = "class A:\n    def b(self):\n        x = 1\n\n    y = 2\n\nz = 3\n"

    assert [source(text).symbol(line) for line in range(1, 8)] == ["A", "A.b", "A.b", "", "A", "", ""]


@given(st.text(max_size=200))
def test_any_text_either_parses_or_is_a_syntax_error(text: str) -> None:
    try:
        _tree = source(text).tree
    except UnreadableError as error:
        said = error.rule
    else:
        said = "syntax-error"

    assert said == "syntax-error"


BODY = "".join(f"    total += step_{n}(total)\n" for n in range(12))


def test_code_that_stands_twice_is_seen_at_the_second_place() -> None:
    one = unit(source(f"def one(total):\n{BODY}", "one.py"))
    two = unit(source(f"# another\n\ndef two(total):\n{BODY}", "two.py"))

    (found,) = duplicates([one, two])

    assert (found.path, found.line, found.measure, found.detail) == (
        "two.py",
        4,
        12,
        "the same as at one.py:2",
    )


def test_code_that_stands_at_many_places_says_at_how_many() -> None:
    copies = [unit(source(f"def f(total):\n{BODY}", f"{name}.py")) for name in "abcd"]

    (many,), (pair,) = duplicates(copies), duplicates(copies[:2])
    assert (many.path, many.detail) == ("b.py", "the same as at a.py:1, c.py:1, d.py:1; 4 places")
    assert pair.detail == "the same as at a.py:1"


def test_code_that_differs_in_its_comments_is_alike_and_not_the_same() -> None:
    middle = BODY.replace("    total += step_5", "    # another word\n\n    total += step_5")
    files = {"a.py": f"def f(total):\n{BODY}", "b.py": f"def g(total):\n{middle}"}

    (found,) = duplicates([unit(source(text, path)) for path, text in files.items()])

    assert (found.measure, found.detail) == (14, "much alike those at a.py:2")


@pytest.mark.parametrize(
    ("one", "two", "is_twin"),
    [
        ("class Client:\n    def f(self):", "class AsyncClient:\n    async def f(self):", True),
        ("class A:\n    def close(self):", "class AsyncA:\n    async def aclose(self):", True),
        ("class A:\n    def f(self):", "class A:\n    async def f(self):", True),
        ("class A:\n    def f(self):", "class A:\n    def f(self):", False),
        ("class A:\n    def f(self):", "class B:\n    async def f(self):", False),
    ],
)
def test_code_for_callers_that_wait_and_for_callers_that_await_is_one_pair(
    *, one: str, two: str, is_twin: bool
) -> None:
    plain = [f"{head}\n{textwrap.indent(BODY, '    ')}" for head in (one, two)]

    found = [*duplicates([unit(source(text, f"{name}.py")) for name, text in zip("ab", plain, strict=True)])]

    assert [item.detail.endswith(", for callers that do not await") for item in found] == [is_twin]


def test_all_that_two_classes_share_for_other_callers_is_one_sighting() -> None:
    more = BODY.replace("step", "other")
    text = "class {0}A:\n    {1}def f(self):\n{2}    {1}def g(self, {1}x):\n{3}"
    plain, awaited = (
        text.format(*words, textwrap.indent(BODY, "    "), textwrap.indent(more, "    "))
        for words in (("", ""), ("Async", "async "))
    )

    (found,) = duplicates([unit(source(plain, "a.py")), unit(source(awaited.replace("async x", "y"), "b.py"))])

    assert found.detail == "the same as at a.py:3, for callers that do not await; 2 runs of lines of the two are alike"


def test_documentation_and_imports_that_stand_twice_are_left_alone() -> None:
    text = "\n".join(["from os import path"] * 12) + '\n"""' + "\n".join(f"line {n}" for n in range(20)) + '\n"""\n'

    assert list(duplicates([unit(source(text, "one.py")), unit(source(text, "two.py"))])) == []


def graph(files: dict[str, str]) -> ModuleGraph:
    return ModuleGraph([unit(source(text, path)) for path, text in sorted(files.items())])


def test_modules_that_import_one_another_are_a_cycle() -> None:
    found = list(
        graph(
            {
                "src/p/__init__.py": "",
                "src/p/a.py": "from . import b",
                "src/p/b.py": "from p.c import x",
                "src/p/c.py": "import p.a",
            }
        ).cycles()
    )

    assert [(item.path, item.measure, item.detail) for item in found] == [("src/p/a.py", 3, "p.a -> p.b -> p.c -> p.a")]


@pytest.mark.parametrize(
    "late",
    [
        "def f():\n    from p import a",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p import a",
        "if __name__ == '__main__':\n    from p import a",
    ],
)
def test_an_import_that_does_not_run_at_import_time_makes_no_cycle(late: str) -> None:
    assert list(graph({"p/__init__.py": "", "p/a.py": "from p import b", "p/b.py": late}).cycles()) == []


@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), max_size=4)))
def test_a_component_holds_exactly_the_nodes_that_reach_one_another(edges: dict[str, list[str]]) -> None:
    def reach(start: str) -> set[str]:
        found: set[str] = set()
        front = set(edges.get(start, ()))
        while front - found:
            found |= front
            front = {target for node in front for target in edges.get(node, ())}
        return found

    expected = {
        frozenset({node, *(other for other in reach(node) if node in reach(other))})
        for node in edges
        if node in reach(node) and any(node in reach(other) for other in reach(node) - {node})
    }

    assert {frozenset(group) for group in components(edges)} == expected


def test_a_module_that_no_test_imports_or_names_is_untested() -> None:
    code = "\n".join(f"def f_{n}(): ..." for n in range(30))
    files = {
        "p/__init__.py": "",
        "p/seen.py": code,
        "p/named_one.py": code,
        "p/_called.py": code,
        "p/lost.py": code,
        "tests/test_called.py": "",
        "tests/test_p.py": "from p.seen import f_1\n# named_one is run by the command\n",
    }

    found = untested(graph(files), frozenset(files))

    assert [item.path for item in found] == ["p/lost.py"]


@pytest.mark.parametrize(
    ("files", "declared", "is_unused"),
    [
        ({}, "", True),
        ({"p/other.py": "def f():\n    from p import lost"}, "", False),
        ({"p/other.py": "load('p.lost:main')"}, "", False),
        ({}, "[project.scripts]\nlost = 'p.lost:main'", False),
        ({"p/lost.py": "if __name__ == '__main__':\n    run()"}, "", False),
        ({"p/__init__.py": ""}, "", False),
    ],
)
def test_a_module_that_nothing_imports_names_runs_or_loads_by_its_folder_is_unused(
    files: dict[str, str], declared: str, *, is_unused: bool
) -> None:
    tree = {
        "p/__init__.py": "from p import used",
        "p/used.py": "",
        "p/lost.py": "a = 1",
        "tests/test_a.py": "a",
    } | files

    (detail,) = [item.detail for item in untested(graph(tree), frozenset(tree), declared) if item.path == "p/lost.py"]

    assert (detail == UNUSED) == is_unused


@pytest.mark.parametrize(
    ("used", "said", "found"),
    [
        ("from p._inner import made as offered", "offered", []),
        ("from p._inner import made as offered", "unsaid", ["p/_inner.py"]),
        ("from p import _inner", "offered", ["p/_inner.py"]),
    ],
)
def test_a_package_that_a_test_imports_leads_on_to_what_the_test_takes_from_it(
    used: str, said: str, found: list[str]
) -> None:
    files = {"p/__init__.py": used, "p/_inner.py": "def made(): ...\n", "tests/test_a.py": f"import p\np.{said}()\n"}

    assert [item.path for item in untested(graph(files), frozenset(files))] == found


@pytest.mark.parametrize(
    ("used", "found"),
    [
        ("from p.base import Base\nclass Own(Base): ...", []),
        ("from .base import make\nown = make", []),
        ("from p.base import _make", ["p/base.py"]),
        ("from p import base", ["p/base.py"]),
        ("from p import base\nown = base.make", []),
        ("def late():\n    from p.base import Base", ["p/base.py"]),
    ],
)
def test_a_module_whose_names_a_tested_one_uses_is_tested_with_it(used: str, found: list[str]) -> None:
    files = {
        "p/__init__.py": "",
        "p/base.py": "class Base: ...\ndef make(): ...\n",
        "p/own.py": used,
        "tests/test_a.py": "from p.own import Own\n",
    }

    assert [item.path for item in untested(graph(files), frozenset(files))] == found


@pytest.mark.parametrize(
    ("test", "found"),
    [
        ("patch('p.lost.made')", []),
        ("patch('p.lost')", []),
        ("patch('p.found.made')", ["p/lost.py"]),
        ("patch('lost.made')", ["p/lost.py"]),
    ],
)
def test_a_module_whose_full_name_a_test_quotes_is_tested(test: str, found: list[str]) -> None:
    files = {"p/__init__.py": "", "p/lost.py": "def made(): ...\n", "tests/test_a.py": f"{test}\n"}

    assert [item.path for item in untested(graph(files), frozenset(files))] == found


def test_what_the_functions_of_a_package_use_is_tested_where_a_test_calls_them() -> None:
    files = {
        "p/__init__.py": "from p.inner import Made\ndef detect(): return Made()\n",
        "p/inner.py": "class Made: ...",
    }
    quiet = {**files, "tests/test_a.py": "import p\n"}

    assert [item.path for item in untested(graph(quiet), frozenset(files))] == ["p/inner.py"]
    assert [*untested(graph({**files, "tests/test_a.py": "import p\np.detect()\n"}), frozenset(files))] == []


def test_what_a_tested_module_uses_is_tested_however_far_away() -> None:
    files = {
        "p/__init__.py": "",
        "p/front.py": "from p.middle import middle\n\ndef front(): return middle()\n",
        "p/middle.py": "from p.back import back\n\ndef middle(): return back()\n",
        "p/back.py": "from p.front import front\n\ndef back(): return 1\n",
        "p/lost.py": "from p.back import back\n\ndef lost(): return back()\n",
        "tests/test_it.py": "from p.front import front\nfront()\n",
    }

    assert [item.path for item in untested(graph(files), frozenset(files))] == ["p/lost.py"]


def test_what_tests_work_on_tells_nothing_about_what_they_test() -> None:
    files = {"p/__init__.py": "", "p/lost.py": "x = 1\n", "tests/test_a.py": "import p\n"}
    files["tests/data/cases/a.py"] = "from p import lost\n"

    assert [item.path for item in untested(graph(files), frozenset(files))] == ["p/lost.py"]


def test_a_long_file_is_measured_by_its_code_and_without_its_tables() -> None:
    code = "".join(f"x{n} = f({n})\n" for n in range(1200))
    table = "TABLE = {\n" + "".join(f"    {n}: 1,\n" for n in range(1200)) + "}\n"

    assert [item.measure for item in complexity.sightings(source(code))] == [1200]
    assert [item.measure for item in complexity.sightings(source(code.rstrip("\n")))] == [1200]
    assert [item.measure for item in complexity.sightings(source('"""Says."""\n\n# why\n' + code))] == [1200]
    assert rules(complexity.sightings, table) == []
    assert [item.measure for item in complexity.sightings(source(code + table))] == [2402]


def test_a_test_may_be_called_after_a_module_and_its_package() -> None:
    files = {"p/upload/__init__.py": "", "p/upload/views.py": "x = 1\n", "p/__init__.py": "", "p/views.py": "x = 1\n"}
    files["tests/test_upload_views.py"] = "x = 1\n"

    assert [item.path for item in untested(graph(files), frozenset(files))] == ["p/views.py"]


def test_without_any_test_nothing_is_said_about_single_modules() -> None:
    files = {"p/__init__.py": "", "p/lost.py": "x = 1\n" * 30}

    assert list(untested(graph(files), frozenset(files))) == []
