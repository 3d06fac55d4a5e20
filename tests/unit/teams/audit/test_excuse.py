"""What a second look finds in favour of code that a first pass suspected."""

import textwrap
from pathlib import Path

import pytest

from remit.teams.audit.code.own_limits import OwnLimits
from remit.teams.audit.sighting import Doubt, Look
from remit.teams.audit.tools import again


def look(root: Path, text: str, rule: str, *, message: str = "") -> Look:
    """Look again at the line that ends with `# here`."""
    body = textwrap.dedent(text)
    lines = body.split("\n")
    line = next((number for number, item in enumerate(lines, 1) if item.endswith("# here")), 1)
    body = body.replace("  # here", "")
    (root / "a.py").write_text(body)
    snippet = body.split("\n")[line - 1].strip()
    doubt = Doubt(fingerprint="f", rule=rule, path="a.py", line=line, symbol="", snippet=snippet, message=message)
    (found,) = again.looks(root, ["a.py", "tests/test_a.py"], [doubt])
    return found


@pytest.mark.parametrize(
    ("rule", "text", "reason"),
    [
        ("swallowed-exception", "try:\n    import numpy\nexcept Exception:  # here\n    pass", "optional import"),
        ("swallowed-exception", "try:\n    a.close()\nexcept Exception:  # here\n    pass", "clean up"),
        ("swallowed-exception", "try:\n    a()\nexcept Exception:  # here\n    # it may be gone\n    pass", "comment"),
        ("swallowed-exception", "def __del__():\n    try:\n        a()\n    except:  # here\n        pass", "last act"),
        ("missing-timeout", "async def f():\n    async with asyncio.timeout(3):\n        get()  # here", "around it"),
        ("unsafe-deserialisation", "pickle.loads(pickle.dumps(x))  # here", "wrote itself"),
        ("dynamic-code", "with open('v') as f:\n    exec(f.read(), version)  # here", "version file"),
        ("dynamic-code", "def f():\n    path = env['PYTHONSTARTUP']\n    exec(open(path).read())  # here", "as Python"),
        ("secret-in-source", "# a checksum\nkey = 'abc'  # here", "say that it is none"),
        ("F821", "from a import *\nb()  # here", "no linter sees"),
        ("F821", "try:\n    ipython()  # here\nexcept NameError:\n    pass", "tried first"),
        ("assert-validation", "def f(a):\n    'Pre-conditions: a is.'\n    assert a > 1  # here", "its callers"),
        ("B006", "def f(a={}):  # here\n    return a.get(1)", "only read"),
        ("B018", "try:\n    a.b  # here\nexcept AttributeError:\n    pass", "whether it is there"),
        ("B023", "for x in y:\n    z = sorted(w, key=lambda v: v[x])  # here", "before the loop goes on"),
        ("duplicate-code", "A = 1  # here\nB = 2\nC = 3\nD = 4\nE = 5", "not code that works"),
        ("untested-module", "class Cart:  # here\n    pass", "tests use names"),
        ("untested-module", "class Basket:  # here\n    pass\nCart = Basket()", "tests use names"),
        ("untested-module", "class Basket:  # here\n    pass\nCart: Basket = Basket()", "tests use names"),
    ],
)
def test_what_speaks_for_the_code_is_found(tmp_path: Path, rule: str, text: str, reason: str) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text("from p import Cart\n")

    found = look(tmp_path, text, rule)

    assert reason in found.reason
    assert not found.holds


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("swallowed-exception", "try:\n    a.save()\nexcept Exception:  # here\n    pass"),
        ("swallowed-exception", "try:\n    a.save()\nexcept Exception:  # here\n    pass\n# the next part"),
        ("missing-timeout", "def f():\n    get()  # here"),
        ("unsafe-deserialisation", "pickle.loads(x)  # here"),
        ("dynamic-code", "exec(x)  # here"),
        ("F821", "b()  # here"),
        ("B006", "def f(a=[]):  # here\n    a.append(1)"),
        ("B018", "a.b  # here"),
        ("untested-module", "class Basket:  # here\n    pass"),
        ("complex-function", "def f(a):  # here\n    for b in a:\n        if b:\n            return b"),
    ],
)
def test_where_nothing_speaks_for_the_code_the_finding_holds(tmp_path: Path, rule: str, text: str) -> None:
    assert look(tmp_path, text, rule).holds


def test_a_flat_dispatch_is_not_complex(tmp_path: Path) -> None:
    cases = "".join(f"    if kind == {n}:\n        return {n}\n" for n in range(10))

    assert not look(tmp_path, f"def f(kind):  # here\n{cases}", "complex-function").holds


FIRST = "".join(f"    b({n})\n" for n in range(5))
GUARDS = FIRST + "".join(f"    if a == {n}:\n        return {n}\n" for n in range(12))
CHAIN = "    if a:\n        b()\n" + "".join(
    f"    elif a == {n}:\n        b()\n        c()\n        d({n})\n" for n in range(12)
)
NESTED = "    for x in a:\n        if x:\n            for y in x:\n                if y:\n                    b()\n" * 4
MIXED = FIRST + "    if a:\n        a = b(a)\n" * 12


@pytest.mark.parametrize(
    ("body", "paths", "is_minor"),
    [
        (GUARDS, 13, True),
        (GUARDS, 25, False),
        (CHAIN, 14, True),
        (f"    for a in b:\n{textwrap.indent(CHAIN, '    ')}", 15, True),
        (f"    for a in b:\n        for c in a:\n{textwrap.indent(CHAIN, '        ')}", 16, False),
        (NESTED, 17, False),
        (MIXED, 13, False),
    ],
)
def test_paths_that_follow_one_another_are_a_small_matter_unless_they_are_very_many(
    tmp_path: Path, *, body: str, paths: int, is_minor: bool
) -> None:
    found = look(tmp_path, f"def f(a):  # here\n{body}", "complex-function", message=f"`f` has complexity {paths}")

    assert (found.holds, found.is_minor) == (True, is_minor)


SHAPES = ("complex-function", "long-function", "long-file", "duplicate-code", "untested-module")


@pytest.mark.parametrize(
    ("name", "text", "limit"),
    [
        (".flake8", "[flake8]\nmax-complexity = 17\n", 17),
        ("setup.cfg", "[flake8]\nmax_complexity = 17\n", 17),
        ("tox.ini", "[flake8]\nmax-complexity: 17\n", 17),
        ("ruff.toml", "[lint.mccabe]\nmax-complexity = 17\n", 17),
        ("pyproject.toml", "[tool.ruff.lint.mccabe]\nmax-complexity = 17\n", 17),
        ("pyproject.toml", "[tool.ruff.mccabe]\nmax-complexity = 17\n", 17),
        ("pyproject.toml", "[tool.ruff]\nmax-complexity = [", 0),
        (".flake8", "[flake8]\nmax-complexity = -1\n", 0),
        (".flake8", f"[flake8]\nmax-complexity = {'9' * 5000}\n", 0),
        (".flake8", "max-complexity = 17\n", 0),
    ],
)
def test_a_function_within_the_limit_of_its_project_is_not_complex(
    tmp_path: Path, *, name: str, text: str, limit: int
) -> None:
    (tmp_path / name).write_text(text)
    at, above = (
        look(tmp_path, f"def f(a):  # here\n{NESTED}", "complex-function", message=f"`f` has complexity {paths}")
        for paths in (17, 18)
    )

    assert at.holds == (not limit)
    assert above.holds
    assert not limit or at.reason == f"the project's own limit is 17, set in {name}"


@pytest.mark.parametrize(
    ("name", "text", "path", "is_out"),
    [
        (".flake8", "[flake8]\nexclude = .git,lib2to3  # vendored\n", "src/lib2to3/a.py", True),
        (".flake8", "[flake8]\nextend-exclude =\n    b,\n    src/lib\n", "src/lib/p/a.py", True),
        (".flake8", "[flake8]\nexclude = lib\n", "src/library/a.py", False),
        ("pyproject.toml", "[tool.ruff]\nextend-exclude = ['src/lib/**']\n", "src/lib/a.py", True),
        ("ruff.toml", "exclude = ['a_*.py']\n", "src/a_b.py", True),
        ("ruff.toml", "[lint]\nexclude = ['lib']\n", "lib/a.py", True),
        ("ruff.toml", "exclude = ['*']\n", "a.py", False),
        (".pre-commit-config.yaml", "exclude: ^(src/lib/|docs/)\n", "src/lib/a.py", True),
        (".pre-commit-config.yaml", "exclude: |\n  (?x)^(\n    docs/  # x\n    |.*/lib/\n  )\n", "src/lib/a.py", True),
        (".pre-commit-config.yaml", "repos: [{hooks: [{exclude: ^src/}]}]\n", "src/a.py", False),
        (".pre-commit-config.yaml", "exclude: (a+)+$\n", "a.py", False),
        (".pre-commit-config.yaml", "[not, a, table]\n", "a.py", False),
        (".pre-commit-config.yaml", "exclude: '('\n", "a.py", False),
    ],
)
def test_what_the_linters_of_a_project_leave_out_is_left_out(
    tmp_path: Path, *, name: str, text: str, path: str, is_out: bool
) -> None:
    (tmp_path / name).write_text(text)

    assert OwnLimits(tmp_path).left_out(path) == (name if is_out else "")


@pytest.mark.parametrize("rule", SHAPES)
def test_nobody_reshapes_what_the_linters_of_its_project_leave_out(tmp_path: Path, rule: str) -> None:
    (tmp_path / "ruff.toml").write_text("exclude = ['a.py']\n")

    found = look(tmp_path, WORK, rule)

    assert (found.holds, found.reason) == (False, "the project's own linters leave this file out, in ruff.toml")


@pytest.mark.parametrize(
    ("body", "holds"),
    [
        ("x: int\n    if a:\n        x = 1\n    return x  # here", False),
        ("x: int\n    return x  # here", True),
        ("x = 1\n    return x  # here", True),
        ("y: int\n    y = 1\n    return x  # here", True),
    ],
)
def test_a_name_that_is_declared_before_it_has_a_value_is_not_undefined(
    tmp_path: Path, *, body: str, holds: bool
) -> None:
    message = "line 4: Undefined name `x`"

    assert look(tmp_path, f"def f(a):\n    {body}\n", "F821", message=message).holds == holds


def test_a_file_that_does_not_parse_is_confirmed_by_a_second_look(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def f(:\n")
    doubt = Doubt(fingerprint="f", rule="syntax-error", path="a.py", line=1, symbol="", snippet="def f(:", message="")

    (found,) = again.looks(tmp_path, [], [doubt])

    assert found.holds


def test_a_line_that_moved_is_found_again(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("\n\n\nexec(x)\n")
    doubt = Doubt(fingerprint="f", rule="dynamic-code", path="a.py", line=1, symbol="", snippet="exec(x)", message="")

    (found,) = again.looks(tmp_path, [], [doubt])

    assert (found.holds, found.line) == (True, 4)


@pytest.mark.parametrize("path", ["a.py", "absent.py", "../outside.py"])
def test_what_is_not_there_does_not_hold(tmp_path: Path, path: str) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    doubt = Doubt(fingerprint="f", rule="dynamic-code", path=path, line=1, symbol="", snippet="exec(x)", message="")

    (found,) = again.looks(tmp_path, [], [doubt])

    assert not found.holds


def test_a_name_that_many_modules_have_does_not_tell_which_of_them_a_test_uses(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text("from p.b import logger\n")
    (tmp_path / "b.py").write_text("logger = 1\n")
    (tmp_path / "a.py").write_text("class Cart: ...\nlogger = 2\n")
    doubt = Doubt(
        fingerprint="f", rule="untested-module", path="a.py", line=1, symbol="", snippet="class Cart: ...", message=""
    )

    (shared,) = again.looks(tmp_path, ["a.py", "b.py", "tests/test_a.py"], [doubt])
    (own,) = again.looks(tmp_path, ["a.py", "tests/test_a.py"], [doubt])

    assert shared.holds
    assert not own.holds


WIRED = "class A:  # here\n    decorators = [\n        allows(\n            admin,\n        )\n    ]\n"
DATA = "class A:  # here\n    b = [\n        1,\n        2,\n    ]\n"
WORK = (
    "def f(self, a, b):  # here\n    self.a = a or 1\n    self.b = b\n    self.c = a.c\n    self.d = a\n"
    "    self.e = b + 1\n    return a(b)\n"
)
LITERALS = "def f(self):  # here\n    self.a = 1\n    self.b = []\n    self.c = 'x'\n    self.d = -1\n"


@pytest.mark.parametrize(
    ("text", "places", "holds"),
    [
        (WIRED, "; 4 places", True),
        (WIRED, "; 3 places", False),
        (WIRED, "", False),
        (DATA, "; 9 places", False),
        (WORK, "", True),
        (WORK.replace("    self.e = b + 1\n", "    self.e = [1]\n"), "", False),
        (LITERALS, "", False),
    ],
)
def test_a_copy_is_excused_if_it_only_declares_and_is_not_wired_at_many_places(
    tmp_path: Path, *, text: str, places: str, holds: bool
) -> None:
    message = f"7 lines from line 1 on are the same as at b.py:1{places}"

    assert look(tmp_path, text, "duplicate-code", message=message).holds == holds


def test_a_copy_for_callers_that_await_is_a_small_matter(tmp_path: Path) -> None:
    message = "7 lines from line 1 on are the same as at b.py:1, for callers that do not await"

    found = look(tmp_path, WORK, "duplicate-code", message=message)

    assert (found.holds, found.is_minor) == (True, True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('subprocess.check_output(["pandoc", "-v"])  # here', "its version"),
        ('subprocess.run(["git", "--version"], check=True)  # here', "its version"),
        ('subprocess.run("node -V")  # here', "its version"),
        ('cmd = [sys.executable, "-m", "pip", "install", "x"]\nsubprocess.run(cmd)  # here', "installs"),
        ('subprocess.run(["make", "-v", "all"])  # here', ""),
        ('subprocess.run(["install", "a", "b"])  # here', ""),
        ("subprocess.run(command)  # here", ""),
    ],
)
def test_a_program_that_tells_its_version_or_installs_needs_no_limit(tmp_path: Path, text: str, reason: str) -> None:
    found = look(tmp_path, text, "missing-timeout", message="`subprocess.run` at line 1 has no timeout")

    assert (reason in found.reason, found.holds) == (True, not reason)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('subprocess.run([sys.executable, "-m", "shop", *options])  # here', "Python"),
        ("cmd = [sys.executable, script]\nsubprocess.run(cmd)  # here", "Python"),
        ('subprocess.run("python3 -m shop")  # here', "Python"),
        ('subprocess.run(["python", "manage.py", "check"])  # here', "Python"),
        ('subprocess.run(["pybabel", "update"])  # here', "files"),
        ('subprocess.run(["flask", "migrate"])  # here', "files"),
        ('subprocess.run(["git", "commit", "-m", "a"])  # here', ""),
        ('subprocess.run(["ssh", host])  # here', ""),
    ],
)
def test_a_child_that_is_python_or_works_on_files_is_a_small_matter(tmp_path: Path, text: str, reason: str) -> None:
    found = look(tmp_path, text, "missing-timeout", message="`subprocess.run` at line 1 has no timeout")

    assert (reason in found.reason, found.holds, found.is_minor) == (True, True, bool(reason))


@pytest.mark.parametrize(
    ("body", "is_minor"),
    [
        ("m = re.match(r'(\\d+)=(\"(?:\\\\\\d)*\")', a)\n    eval(m.group(2))  # here", True),
        ("m = re.match(r'(\\d+)=(0|\"\\w+\")', a)\n    x, y = m.groups()\n    eval(y)  # here", True),
        ("m = re.match(r'(\\d+)=(0|\"\\w+\")', a)\n    y = m.group(2)\n    eval(y)  # here", True),
        ("m = re.match(r'(.+)=(\"\\w+\")', a)\n    x, y = m.groups()\n    eval(x)  # here", False),
        ("m = re.match(r'(\".*\")', a)\n    eval(m.group(1))  # here", False),
        ("m = re.match(r'(\"\\w+\"|\\w+)', a)\n    eval(m.group(1))  # here", False),
        ("m = re.match(r'(?P<z>.*)(\"\\w+\")', a)\n    eval(m.group(1))  # here", False),
        ("assert a[0] in '\"' and a[-1] == '\"'\n    eval(a)  # here", True),
        ("assert a[0] in '\"'\n    eval(a)  # here", True),
        ("assert a[0] in ('\"', \"'\"), a\n    eval(a)  # here", True),
        ("assert a.startswith(('\"', \"'\"))\n    eval(a)  # here", True),
        ("assert b and a.startswith('\"')\n    eval(a)  # here", True),
        ("assert b or a.startswith('\"')\n    eval(a)  # here", False),
        ("assert a.startswith(('\"', 'b'))\n    eval(a)  # here", False),
        ("assert b.startswith('\"')\n    eval(a)  # here", False),
        ("eval(a)  # here\n    assert a[0] in '\"'", False),
        ("assert b[0] in '\"' and b[-1] == '\"'\n    eval(a)  # here", False),
    ],
)
def test_reading_a_text_that_is_checked_to_be_a_literal_is_a_small_matter(
    tmp_path: Path, *, body: str, is_minor: bool
) -> None:
    found = look(tmp_path, f"def f(a, b):\n    {body}\n", "dynamic-code")

    assert (found.holds, found.is_minor) == (True, is_minor)


READS = "    def read(self, file):\n        with open(file, 'rb') as f:\n            return pickle.load(f)  # here\n"
WRITES = "    def write(self, file):\n        with open(file, 'wb') as f:\n            pickle.dump(self.a, f)\n"


@pytest.mark.parametrize(
    ("text", "is_minor"),
    [
        (f"import pickle\nclass A:\n{READS}{WRITES}", True),
        (f"import pickle\nclass A:\n{READS}class B:\n{WRITES}", False),
        (f"import pickle\nclass A:\n{READS}{WRITES.replace('file', 'other')}", False),
        (f"import pickle\nclass A:\n{READS}{WRITES.replace('pickle', 'json')}", False),
        (textwrap.dedent(f"    import pickle\n{READS}{WRITES}"), True),
    ],
)
def test_reading_back_what_the_same_class_wrote_is_a_small_matter(tmp_path: Path, *, text: str, is_minor: bool) -> None:
    found = look(tmp_path, text, "unsafe-deserialisation")

    assert (found.holds, found.is_minor) == (True, is_minor)


PAIR = (
    "import pickle\nclass A:\n    def dump(self, file):\n        pickle.dump(self.a, file)\n"
    "    def load(self, file):\n        self.a = pickle.load(file)\n"
    "    def loads(self, text):\n        self.a = pickle.loads(text)  # here\n"
)
PACKAGED = "import json, pkgutil\ndef f(a):\n    b = pkgutil.get_data('p', 'd')\n    json.loads(b)\n    a.loads(b)\n"


@pytest.mark.parametrize(
    ("text", "caller", "is_minor"),
    [
        (PAIR, PACKAGED, True),
        (PAIR, "from importlib import resources as r\na.loads(r.files('p').joinpath('d').read_bytes())\n", True),
        (PAIR, f"{PACKAGED}def g(a, b):\n    a.loads(b)\n", False),
        (PAIR, PACKAGED.replace("pkgutil.get_data", "fetch"), False),
        (PAIR, "", False),
        (PAIR.replace("pickle.dump", "json.dump"), PACKAGED, False),
    ],
)
def test_bytes_that_only_the_package_itself_passes_are_a_small_matter(
    tmp_path: Path, *, text: str, caller: str, is_minor: bool
) -> None:
    (tmp_path / "b.py").write_text(caller)
    line = text.split("\n").index("        self.a = pickle.loads(text)  # here") + 1
    (tmp_path / "a.py").write_text(text)
    doubt = Doubt(
        fingerprint="f",
        rule="unsafe-deserialisation",
        path="a.py",
        line=line,
        symbol="",
        snippet="self.a = pickle.loads(text)  # here",
        message="",
    )

    (found,) = again.looks(tmp_path, ["a.py", "b.py"], [doubt])

    assert (found.holds, found.is_minor) == (True, is_minor)
    assert ("its own data" in found.reason) == is_minor
