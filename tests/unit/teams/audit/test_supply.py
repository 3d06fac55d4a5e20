"""What the supply analyst sees in manifests, locks, licences and imports, and what it leaves alone."""

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import msgspec
import pytest

from remit.teams.audit.judge.judging import judge
from remit.teams.audit.judge.opinion import Opinion
from remit.teams.audit.message import Published
from remit.teams.audit.roles.cartographer import manifests
from remit.teams.audit.sighting import Doubt, Look, Scan
from remit.teams.audit.supply.import_names import STANDARD, TABLE, normal, works_by_presence
from remit.teams.audit.supply.scan import scan
from remit.teams.audit.supply.supply import Supply
from remit.teams.audit.tools import again
from remit.teams.audit.tools.files import Entry
from remit.testing import Bench

Files = Mapping[str, str | bytes]
Write = Callable[[Files], Path]
Audit = Callable[..., Awaitable[tuple[Bench, Published]]]
PROJECT = '[project]\nname = "shop"\nlicense = "MIT"\n'
CODE = {"shop/__init__.py": "from shop import cart\n", "shop/cart.py": "import yaml\n"}


def listed(root: Path) -> tuple[str, ...]:
    paths = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    entries = [Entry(path=path, size_bytes=0) for path in paths if ".git/" not in path]
    return (*manifests(entries), *(entry.path for entry in entries if entry.path.endswith(".py")))


def scanned(root: Path) -> Scan:
    return scan(root, listed(root))


def rules(root: Path) -> list[str]:
    return [item.rule for item in scanned(root).sightings]


def said(root: Path, rule: str) -> list[str]:
    return [f"{item.path}:{item.line}: {item.message}" for item in judge(scanned(root), "supply") if item.rule == rule]


def declared(root: Path, path: str = "shop/cart.py") -> set[str]:
    return set(Supply(root, listed(root)).scope(path).declared)


def looked(root: Path, rule: str) -> list[Look]:
    doubts = tuple(
        Doubt(
            fingerprint=item.fingerprint,
            rule=item.rule,
            path=item.path,
            line=item.line,
            symbol=item.symbol,
            snippet=item.snippet,
            message=item.message,
        )
        for item in judge(scanned(root), "supply")
        if item.rule == rule
    )
    return list(again.looks(root, listed(root), doubts))


# --- what manifests declare ---


@pytest.mark.parametrize(
    ("name", "text", "names"),
    [
        ("pyproject.toml", '[project]\ndependencies = ["PyYAML>=6 ; python_version > \'3\'"]', {"pyyaml"}),
        ("pyproject.toml", '[project.optional-dependencies]\nall = ["a.b[c]>1", "d @ https://e/f.whl"]', {"a-b", "d"}),
        ("pyproject.toml", '[dependency-groups]\ndev = ["a", {include-group = "b"}]\nb = ["c"]', {"a", "c"}),
        ("pyproject.toml", '[build-system]\nrequires = ["setuptools"]', {"setuptools"}),
        ("pyproject.toml", '[tool.poetry.dependencies]\npython = "^3"\na = "^1"\nb = {path = "c"}', {"a", "b"}),
        ("pyproject.toml", '[tool.poetry.group.test.dependencies]\na = [{version = "1", python = "<3"}]', {"a"}),
        ("pyproject.toml", '[tool.pdm.dev-dependencies]\ntest = ["a"]', {"a"}),
        ("pyproject.toml", '[tool.hatch.envs.x]\nextra-dependencies = ["a"]\ndependencies = ["b"]', {"a", "b"}),
        ("pyproject.toml", '[tool.uv]\ndev-dependencies = ["a"]', {"a"}),
        ("setup.cfg", "[options]\ninstall_requires =\n    a>=1\n    # b\n    c; python_version<'3'\n", {"a", "c"}),
        ("setup.cfg", "[options.extras_require]\nx = a;;b\ny =\n  c # d\n", {"a", "b", "c"}),
        ("setup.py", "from setuptools import setup\nN = ['a']\nsetup(install_requires=N + ['b>1'])", {"a", "b"}),
        ("setup.py", "import setuptools\nsetuptools.setup(install_requires='a\\nb>1\\n')", {"a", "b"}),
        ("setup.py", "from setuptools import setup\nsetup(extras_require={'x': ['a'], **more})", {"a"}),
        ("requirements.txt", "a==1 \\\n  --hash=sha256:0 \\\n  --hash=sha256:1\nb[c]>=2 ; x == '1'  # d\n", {"a", "b"}),
        ("requirements.txt", "-e git+https://e/f#egg=a-b\n-e .\n./c\nhttps://e/d_d-1.zip\n", {"a-b", "d-d"}),
        ("requirements.txt", "--pre\n-i https://e\n--no-binary :all:\na>=1.0.*\n{{ b }}\n", {"a"}),
        ("requirements/base.txt", "a\n", {"a"}),
        ("dev-requirements.in", "a\n", {"a"}),
        ("Pipfile", '[packages]\na = "*"\nb = {version = "==1"}\n[dev-packages]\nc = "*"\n', {"a", "b", "c"}),
        ("environment.yml", "dependencies:\n  - conda-forge::pytorch=2\n  - pip:\n    - a==1\n", {"torch", "pip", "a"}),
    ],
)  # fmt: skip
def test_every_form_of_manifest_is_read(write: Write, name: str, text: str, names: set[str]) -> None:
    root = write({name: text, "shop/cart.py": ""})

    assert declared(root) - {"shop"} == names


def test_included_lists_are_read_once_and_inside_the_root_only(write: Write, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("outside\n")
    root = write(
        {
            "requirements.txt": "-r more/one.lst\n-r ../../../etc/passwd\n-r ../secret.txt\n-r gone.lst\n",
            "more/one.lst": "-r ../requirements.txt\n-rtwo.lst\na\n",
            "more/two.lst": "-r one.lst\nb\n",
            "more/x.py": "",
        }
    )
    supply = Supply(root, listed(root))

    assert {need.name for item in supply.manifests for need in item.needs} == {"a", "b"}
    assert [(item.what, item.cause) for item in supply.skipped] == [
        ("../../../etc/passwd", "the path leaves the repository"),
        ("../secret.txt", "the path leaves the repository"),
        ("gone.lst", "it is not there, or its links lead nowhere"),
    ]


def test_what_a_manifest_leaves_to_be_computed_makes_its_imports_unknown(write: Write) -> None:
    root = write({**CODE, "setup.py": "from setuptools import setup\nsetup(license='MIT', install_requires=read())\n"})

    assert rules(root) == []
    assert ("imports that no manifest declares", "setup.py: it computes its dependencies") in [
        (item.what, item.cause) for item in scanned(root).skipped
    ]


@pytest.mark.parametrize(
    "files",
    [
        {"setup.py": "from setuptools import setup\nsetup(install_requires=open('requirements.txt').read())\n"},
        {"pyproject.toml": PROJECT + 'dynamic = ["dependencies"]\n[tool.setuptools.dynamic]\n'
         'dependencies = {file = ["requirements.txt"]}\n'},
        {"setup.cfg": "[metadata]\nname = shop\nlicense = MIT\n[options]\ninstall_requires = file: requirements.txt\n"},
    ],
)  # fmt: skip
def test_a_manifest_that_reads_a_list_declares_what_is_in_it(write: Write, files: Files) -> None:
    root = write({**CODE, **files, "LICENSE": "x", "requirements.txt": "pyyaml>=6\n"})

    assert rules(root) == []
    assert scanned(root).skipped[:-1] == ()


# --- declared against imported ---


@pytest.mark.parametrize(
    ("imported", "name"),
    [
        ("yaml", "PyYAML"),
        ("PIL.Image", "Pillow"),
        ("cv2", "opencv-python-headless"),
        ("sklearn.svm", "scikit_learn"),
        ("bs4", "beautifulsoup4"),
        ("dateutil", "python.dateutil"),
        ("attr", "attrs"),
        ("google.protobuf", "protobuf"),
        ("google.cloud.storage", "google-cloud-storage"),
        ("azure.core", "azure-identity"),
        ("azure.identity", "azure-identity"),
        ("opentelemetry.trace", "opentelemetry-sdk"),
        ("redis", "django-redis"),
        ("Crypto", "pycryptodome"),
        ("typing_extensions", "typing_extensions"),
        ("ruamel.yaml", "ruamel.yaml"),
        ("psycopg2", "psycopg2-binary"),
        ("jwt", "PyJWT[crypto]"),
        ("nobody_knows_this", "else"),
    ],
)
def test_an_import_is_declared_under_whatever_name_its_distribution_has(write: Write, imported: str, name: str) -> None:
    root = write(
        {**CODE, "shop/cart.py": f"import {imported}\n", "pyproject.toml": f"{PROJECT}dependencies = ['{name}']"}
    )

    assert "undeclared-dependency" not in rules(root)


@pytest.mark.parametrize(
    ("imported", "name"),
    [
        ("import yaml", "`yaml` (pyyaml)"),
        ("from google.cloud import storage", "`google.cloud.storage` (google-cloud-storage)"),
        ("import os, requests.adapters as r", "`requests` (requests)"),
        ("class A:\n    import requests", "`requests` (requests)"),
        ("import types_requests\nimport requests", "`requests` (requests)"),
    ],
)
def test_an_import_that_nothing_declares_is_seen_at_its_line(write: Write, imported: str, name: str) -> None:
    root = write(
        {**CODE, "shop/cart.py": f"\n{imported}\n", "pyproject.toml": PROJECT + 'dependencies = ["types-requests"]'}
    )
    line = 2 + imported.count("\n")

    assert said(root, "undeclared-dependency") == [
        f"shop/cart.py:{line}: {name} is imported at line {line}, and no manifest declares it"
    ]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("shop/cart.py", "try:\n    import yaml\nexcept ImportError:\n    yaml = None\n"),
        ("shop/cart.py", "try:\n    import json5\nexcept ImportError:\n    import yaml\n"),
        ("shop/cart.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import yaml\n"),
        ("shop/cart.py", "from contextlib import suppress\nwith suppress(ImportError):\n    import yaml\n"),
        ("shop/cart.py", "def late():\n    import yaml\n"),
        ("shop/cart.py", "import sys\nif sys.version_info < (3, 4):\n    import yaml\n"),
        ("shop/cart.py", "from . import yaml\nfrom .yaml import x\nimport shop.yaml\nimport tomllib, distutils\n"),
        ("shop/cart.py", '"""Say\n\n    import yaml\n"""\n'),
        ("tests/test_cart.py", "import yaml\n"),
        ("docs/conf.py", "import yaml\n"),
        ("release.py", "import yaml\n"),
        (".github/release.py", "import yaml\n"),
        ("shop/_vendor/cart.py", "import yaml\n"),
    ],
)
def test_an_import_that_may_fail_or_does_not_ship_is_left_alone(write: Write, path: str, text: str) -> None:
    root = write({"shop/__init__.py": "", path: text, "pyproject.toml": PROJECT})

    assert rules(root) == []


def test_the_repositorys_own_modules_need_no_declaration(write: Write) -> None:
    root = write(
        {
            "pyproject.toml": PROJECT,
            "src/shop/__init__.py": "import yaml\nimport redis\n",
            "src/yaml/__init__.py": "",
            "packages/redis/redis/__init__.py": "",
        }
    )

    assert rules(root) == []


def test_in_a_monorepo_a_module_belongs_to_the_manifests_above_it(write: Write) -> None:
    root = write(
        {
            "pyproject.toml": '[project]\nname = "all"\nlicense = "MIT"\ndependencies = ["requests"]\n',
            "one/pyproject.toml": '[project]\nname = "one"\ndependencies = ["pyyaml"]\n',
            "one/src/one/__init__.py": "import yaml\nimport requests\n",
            "two/pyproject.toml": '[project]\nname = "two"\ndependencies = ["one"]\n',
            "two/two/__init__.py": "import yaml\nimport one\nimport requests\n",
        }
    )

    assert [place.split(": ")[0] for place in said(root, "undeclared-dependency")] == ["two/two/__init__.py:1"]


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"shop/other.py": "try:\n    import yaml\nexcept ImportError:\n    pass\n"}, "tries the import first"),
        ({"shop/cart.py": "import yaml  # comes with the host\n"}, "a comment"),
        ({"shop/cart.py": "import yaml\nHELP = 'pip install yaml'\n"}, "what to install"),
        ({"shop/_vendor/__init__.py": "", "shop/_vendor/yaml.py": ""}, "a copy of it"),
        ({"Dockerfile": "RUN pip install PyYAML\n"}, "Dockerfile speaks of it"),
        ({"shop/__init__.py": ""}, "nothing imports the module"),
    ],
)
def test_an_undeclared_import_is_talked_out_by_what_the_rest_of_the_repository_says(
    write: Write, files: Files, reason: str
) -> None:
    root = write({**CODE, "pyproject.toml": PROJECT, **files})

    (look,) = looked(root, "undeclared-dependency")

    assert not look.holds
    assert reason in look.reason


def test_an_undeclared_import_that_nothing_speaks_against_holds(write: Write) -> None:
    root = write({**CODE, "pyproject.toml": PROJECT})

    assert [look.holds for look in looked(root, "undeclared-dependency")] == [True]


EXTRA = "[project.optional-dependencies]\nall = ['ansible']\n"


@pytest.mark.parametrize(
    ("files", "minor"),
    [
        ({"pyproject.toml": PROJECT + "dependencies = ['ansible']"}, True),
        ({"pyproject.toml": PROJECT + EXTRA}, False),
        ({"pyproject.toml": PROJECT + EXTRA, "shop/cart.py": "import ansible\nimport yaml\n"}, True),
        ({"pyproject.toml": PROJECT}, False),
    ],
)
def test_what_something_that_is_there_brings_along_is_undeclared_and_minor(
    write: Write, files: Files, *, minor: bool
) -> None:
    root = write({**CODE, **files})

    (look,) = looked(root, "undeclared-dependency")

    assert look.holds
    assert look.is_minor == minor
    assert ("ansible, which is declared" in look.reason) == minor


@pytest.mark.parametrize(
    ("name", "works"),
    [
        ("babel-plugin", True),
        ("click-plugins", False),
        ("mdit-py-plugins", False),
        ("gunicorn", True),
        ("attrs", False),
    ],
)
def test_a_plugin_works_by_being_installed_unless_it_is_known_how_code_imports_it(*, name: str, works: bool) -> None:
    assert works_by_presence(name) == works


def test_the_table_of_names_holds_normal_forms_and_nothing_of_the_standard_library() -> None:
    distributions = {name for names in TABLE.imports.values() for name in names} | TABLE.companions.keys()
    distributions.update(TABLE.by_presence, *TABLE.companions.values())

    assert {name for name in distributions if normal(name) != name} == set()
    assert {name for name in TABLE.imports if not all(map(str.isidentifier, name.split(".")))} == set()
    assert TABLE.imports.keys() & STANDARD == set()


def test_a_dependency_that_nothing_uses_is_seen(write: Write) -> None:
    root = write({**CODE, "pyproject.toml": PROJECT + 'dependencies = [\n    "pyyaml",\n    "boltons>=1",\n]\n'})

    assert said(root, "unused-dependency") == [
        "pyproject.toml:6: `boltons` is required at line 6, and nothing imports or names it"
    ]
    assert [look.holds for look in looked(root, "unused-dependency")] == [True]


@pytest.mark.parametrize(
    "files",
    [
        {"tests/test_cart.py": "from boltons.iterutils import chunked\n"},
        {"shop/late.py": "def late():\n    import boltons\n"},
        {"shop/late.py": "NAME = 'boltons.iterutils'\n"},
        {"Procfile": "web: python -m boltons\n"},
        {"tox.ini": "[testenv]\ncommands = boltons\n"},
        {"notes.ipynb": '{"source": ["from boltons import x\\n"]}'},
        {"pyproject.toml": PROJECT + "dependencies = [\"boltons; sys_platform == 'win32'\"]\n"},
        {"pyproject.toml": PROJECT + 'dependencies = ["boltons"]\n[project.entry-points.x]\ny = "boltons:z"\n'},
        {"pyproject.toml": PROJECT + '[project.optional-dependencies]\nx = ["boltons"]\n'},
        {"pyproject.toml": PROJECT, "requirements.txt": "boltons==1\npyyaml==6\n"},
        {"pyproject.toml": PROJECT, "requirements.txt": "# via pip-compile\nboltons>1\n"},
        {"pyproject.toml": PROJECT, "requirements-dev.txt": "boltons\n"},
        {"pyproject.toml": PROJECT + 'dependencies = ["not-in-any-table"]\n', "shop/x.py": "import a_riddle\n"},
    ],
)
def test_a_dependency_that_may_be_used_is_left_alone(write: Write, files: Files) -> None:
    root = write({"shop/__init__.py": "", "pyproject.toml": PROJECT + 'dependencies = ["boltons"]\n', **files})

    assert "unused-dependency" not in rules(root)


@pytest.mark.parametrize(
    ("line", "holds"),
    [
        ("import mcp\nfrom mcp.client.websocket import connect", False),
        ("import mcp\nfrom mcp.client import websocket", True),
        ("import mcp\nfrom shop.client.websocket import connect", True),
    ],
)
def test_a_dependency_is_used_where_a_part_of_another_one_is_called_after_it(
    write: Write, line: str, *, holds: bool
) -> None:
    declared = 'dependencies = ["pyyaml", "mcp", "websockets"]\n'
    own = {"shop/client/__init__.py": "", "shop/client/websocket.py": "connect = 1\n"}
    root = write({**CODE, **own, "shop/net.py": f"{line}\n", "pyproject.toml": PROJECT + declared})

    assert [look.holds for look in looked(root, "unused-dependency")] == [holds]


def test_what_no_table_knows_is_unused_only_where_every_import_is_explained(write: Write) -> None:
    root = write({**CODE, "pyproject.toml": PROJECT + 'dependencies = ["pyyaml", "not-in-any-table"]\n'})

    assert len(said(root, "unused-dependency")) == 1


@pytest.mark.parametrize("name", ["gunicorn", "pytest-cov", "types-requests", "psycopg2-binary"])
def test_what_works_by_being_installed_is_talked_out(write: Write, name: str) -> None:
    root = write({**CODE, "requirements.txt": f"{name}>=1\npyyaml>=1\n"})

    assert [look.holds for look in looked(root, "unused-dependency")] == [False]


# --- pins and locks ---


def test_a_program_whose_requirements_take_any_version_is_told_so_once(write: Write) -> None:
    root = write({"app.py": "import yaml\n", "requirements.txt": "a\nb>=1\nc\nd\ne  # x\n", "LICENSE": ""})

    assert said(root, "unpinned-dependency") == ["requirements.txt:1: 4 of 5 requirements take any version: a, c, d, e"]


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject.toml": PROJECT},
        {"setup.py": "from setuptools import setup\nsetup()\n"},
        {"poetry.lock": '[[package]]\nname = "a"\n'},
        {"constraints.txt": "a==1\n"},
        {"requirements.txt": "a<2\nb @ https://c/b-1.whl\n-e .\n"},
        {"requirements.txt": "", "requirements-dev.txt": "a\n", "tests/requirements.txt": "a\n"},
    ],
)
def test_a_library_and_what_is_pinned_elsewhere_may_take_any_version(write: Write, files: Files) -> None:
    root = write({"requirements.txt": "a\n", **files})

    assert "unpinned-dependency" not in rules(root)


LOCK = '[[package]]\nname = "PyYAML"\nversion = "5.4"\n\n[[package]]\nname = "shop"\n\n[metadata]\nname = "x"\n'


@pytest.mark.parametrize(
    ("manifest", "lock", "message"),
    [
        ('dependencies = [\n  "pyyaml>=5",\n  "requests",\n]', "uv.lock", "6: uv.lock lacks requests"),
        ('dependencies = ["pyyaml>=6"]', "pdm.lock", "4: pdm.lock pins pyyaml 5.4 against >=6"),
        ('[tool.poetry.dependencies]\nPyYAML = "^6"', "poetry.lock", "5: poetry.lock pins pyyaml 5.4 against >=6,<7"),
        ('[tool.poetry.dependencies]\npyyaml = "~5.3"', "uv.lock", "5: uv.lock pins pyyaml 5.4 against >=5.3,<5.4"),
    ],
)  # fmt: skip
def test_a_lock_that_lacks_or_contradicts_what_is_declared_is_seen_at_the_declaration(
    write: Write, manifest: str, lock: str, message: str
) -> None:
    root = write({"pyproject.toml": PROJECT + manifest, lock: LOCK})

    assert said(root, "lock-drift") == [f"pyproject.toml:{message}"]


@pytest.mark.parametrize(
    "manifest",
    [
        'dependencies = ["pyyaml~=5.4"]',
        'dependencies = ["pyyaml", "colorama; sys_platform == \'win32\'"]\n[project.optional-dependencies]\nx = ["y"]',
        'dependencies = ["pyyaml", "z"]\n[tool.uv.sources]\nz = {path = "../z"}',
        'dependencies = ["pyyaml>=6"]\n[tool.uv]\noverride-dependencies = ["pyyaml==5.4"]',
        '[tool.poetry.dependencies]\npython = "^3"\npyyaml = "^5 || ^6"\nz = {version = "1", optional = true}',
    ],
)
def test_a_lock_that_agrees_is_left_alone(write: Write, manifest: str) -> None:
    root = write({"pyproject.toml": PROJECT + manifest, "uv.lock": LOCK, "poetry.lock": LOCK})

    assert "lock-drift" not in rules(root)


def test_the_lock_of_pipenv_is_held_against_its_manifest(write: Write) -> None:
    lock = json.dumps({"default": {"a": {"version": "==2.0"}, "b": {"git": "x"}}, "develop": {}})
    root = write({"Pipfile": '[packages]\na = "<2"\nb = "*"\nc = "*"\n', "Pipfile.lock": lock, "LICENSE": ""})

    assert said(root, "lock-drift") == ["Pipfile:2: Pipfile.lock pins a 2.0 against <2, lacks c"]


# --- where things come from ---


@pytest.mark.parametrize(
    ("name", "text", "severity", "rule"),
    [
        ("requirements.txt", "http://e.org/a-1.0.tar.gz\n", "medium", "url-dependency"),
        ("requirements.txt", "a @ git+http://e.org/a@0123456789\n", "medium", "url-dependency"),
        ("requirements.txt", "git+https://e.org/a#egg=a\n", "low", "url-dependency"),
        ("requirements.txt", "-e git+ssh://git@e.org/a.git@main#egg=a\n", "low", "url-dependency"),
        ("pyproject.toml", '[project]\ndependencies = ["a @ git+https://e.org/a@dev"]', "low", "url-dependency"),
        ("pyproject.toml", '[tool.poetry.dependencies]\na = {git = "https://e", tag = "x"}', "low", "url-dependency"),
        ("pyproject.toml", '[tool.uv.sources]\na = {git = "https://e/a"}', "low", "url-dependency"),
        ("Pipfile", '[packages]\na = {git = "git://e.org/a", ref = "0123456"}', "medium", "url-dependency"),
        ("requirements.txt", "--extra-index-url http://u:p@e.org/simple\n", "medium", "insecure-index"),
        ("requirements.txt", "--index-url=http://e.org/simple\n", "medium", "insecure-index"),
        ("requirements.txt", "--trusted-host e.org\n", "medium", "insecure-index"),
        ("pyproject.toml", '[[tool.poetry.source]]\nname = "a"\nurl = "http://e.org"', "medium", "insecure-index"),
        ("pyproject.toml", '[[tool.uv.index]]\nurl = "http://e.org"', "medium", "insecure-index"),
        ("Pipfile", '[[source]]\nurl = "https://e.org"\nverify_ssl = false', "medium", "insecure-index"),
        ("setup.cfg", "[easy_install]\nindex_url = http://e.org\n", "medium", "insecure-index"),
        ("setup.py", "from setuptools import setup\nsetup(dependency_links=['http://e'])", "medium", "insecure-index"),
    ],
)  # fmt: skip
def test_what_anybody_on_the_way_or_tomorrow_can_change_is_seen(
    write: Write, name: str, text: str, severity: str, rule: str
) -> None:
    root = write({name: text, "LICENSE": ""})

    (found,) = [item for item in judge(scanned(root), "supply") if item.rule in {"url-dependency", "insecure-index"}]

    assert (found.rule, found.severity) == (rule, severity)
    assert "u:p" not in found.message


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("requirements.txt", "git+https://e.org/a@0123456789abcdef#egg=a\na @ https://e.org/a-1.whl\n"),
        ("requirements.txt", "git+https://e.org/a@v1.2.3#egg=a\n-i http://localhost:3141/simple\n"),
        ("requirements-dev.txt", "git+https://e.org/a\n"),
        ("pyproject.toml", '[tool.poetry.dependencies]\na = {git = "https://e/a", tag = "1.2.0"}\nb = {path = "b"}'),
    ],
)
def test_what_is_fixed_by_a_commit_or_a_version_is_left_alone(write: Write, name: str, text: str) -> None:
    root = write({name: text, "LICENSE": ""})

    assert rules(root) == []


def test_a_branch_that_a_lock_pins_is_left_alone(write: Write) -> None:
    text = '[project]\nname = "shop"\ndependencies = ["a @ git+https://e.org/a@dev"]'
    root = write({"pyproject.toml": text, "uv.lock": '[[package]]\nname = "a"\n', "LICENSE": ""})

    assert rules(root) == []


# --- licences ---


def test_a_repository_that_says_nothing_of_a_licence_is_told_so_once(write: Write) -> None:
    files = {"pyproject.toml": '[project]\nversion = "1"\nname = "shop"\n', "setup.cfg": "[metadata]\nname = shop\n"}
    root = write({**files, "requirements.txt": "a>1\n"})

    assert said(root, "no-licence") == ["pyproject.toml:3: nothing says under which licence it may be used"]


@pytest.mark.parametrize(
    "files",
    [
        {"LICENSE": ""},
        {"COPYING.txt": ""},
        {"LICENSES/MIT.txt": ""},
        {"pyproject.toml": '[project]\nname = "a"\nlicense = {file = "README"}\n'},
        {"pyproject.toml": '[project]\nname = "a"\nclassifiers = ["License :: OSI Approved :: MIT License"]\n'},
        {"pyproject.toml": '[project]\nname = "a"\nclassifiers = ["Private :: Do Not Upload"]\n'},
        {"setup.cfg": "[metadata]\nlicense = MIT\n"},
        {"setup.py": "from setuptools import setup\nsetup(license='BSD')\n"},
    ],
)
def test_a_licence_may_be_said_in_any_place(write: Write, files: Files) -> None:
    assert rules(write({"pyproject.toml": '[project]\nname = "a"\n', **files})) == []


MIT = "Permission is hereby granted, free of charge, to any person\nobtaining a copy of this software"
APACHE = "            Apache License\n      Version 2.0, January 2004\n"
GPL = "        GNU GENERAL PUBLIC LICENSE\n  Version 3\n use the GNU Lesser General Public License instead"
BSD = "Redistribution and use in source and binary forms, with or without"


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        ('license = "MIT"', APACHE, "it says MIT, and LICENSE is Apache"),
        ('license = {text = "Apache-2.0"}', GPL, "it says Apache, and LICENSE is GPL"),
        ('license = "GPL-3.0-only"', BSD, "it says GPL, and LICENSE is BSD"),
        ('license = "MIT"', MIT, ""),
        ('license = "MIT OR Apache-2.0"', APACHE, ""),
        ('license = "LGPL-3.0"', GPL.replace("GENERAL", "LESSER GENERAL"), ""),
        ('license = "GPLv3+"', GPL, ""),
        ('license = "BSD-3-Clause"', BSD + MIT, ""),
        ('license = "Proprietary"', MIT, ""),
        ('license = "MIT"', "See the file COPYING.", ""),
        ('classifiers = ["License :: OSI Approved :: MIT License"]', GPL, "it says MIT, and LICENSE is GPL"),
        ('license = "MIT"\nclassifiers = ["License :: OSI Approved :: Apache Software License"]', APACHE, ""),
    ],
)
def test_a_field_that_contradicts_the_text_beside_it_is_seen(write: Write, field: str, text: str, message: str) -> None:
    root = write({"pyproject.toml": f'[project]\nname = "shop"\n{field}\n', "LICENSE": text})

    assert said(root, "licence-mismatch") == ([f"pyproject.toml:3: {message}"] if message else [])


# --- what is odd ---


HOSTILE: Files = {
    "pyproject.toml": "[project]\n" + "a." * 300_000 + "b = 1\n",
    "deep/pyproject.toml": "x = " + "[" * 100_000,
    "keys/pyproject.toml": "\n".join(f"{'a.' * 900}b{n} = 1" for n in range(200)),
    "many/pyproject.toml": "[project]\ndependencies = [" + '"a",' * 100_000 + "]",
    "types/pyproject.toml": 'project = 1\ntool = ["x"]\ndependency-groups = {a = 1}\nbuild-system = "y"\n',
    "shapes/pyproject.toml": '[project]\nname = 1\ndependencies = {a = 1}\nlicense = 3\ndynamic = "dependencies"\n'
    "[tool.poetry]\ndependencies = [1]\ngroup = {a = 1}\nsource = [1]\n[tool.uv]\nsources = {a = [1]}\nindex = 1\n",
    "int/pyproject.toml": f"[tool.poetry.dependencies]\na = '^{'9' * 5000}'\nb = {'9' * 5000}\n",
    "poetry/pyproject.toml": f"[tool.poetry.dependencies]\na = '^{'9' * 150}'\nb = ',,,'\nc = ''\nd = 7\n",
    "latin/requirements.txt": b"caf\xe9\n",
    "wide/requirements.txt": "a\n".encode("utf-16"),
    "huge/requirements.txt": b"a\n" * 1_200_000,
    "long/requirements.txt": "a" * 400_000 + "\n" + "b \\\n" * 100_000 + "/x-" * 200_000 + "\n" * 200_000,
    "nested/requirements.txt": "a; " + "(" * 900 + "\n",
    "setup.cfg": "[options]\ninstall_requires = a\n" + "key" + " " * 1_000_000 + "\n[options]\n]broken[\n=\n",
    "setup.py": "from setuptools import setup\nopen('was-run', 'w')\nsetup(install_requires=[__import__('os')])\n",
    "old/setup.py": "print 'no'\n",
    "loop/setup.py": "A = B\nB = A\nfrom setuptools import setup\nsetup(install_requires=A, name=A, license=A)\n",
    "Pipfile": "[packages]\na = \n",
    "Pipfile.lock": "[" * 100_000,
    "other/Pipfile": "[packages]\na = '*'\n",
    "other/Pipfile.lock": '{"default": {"a": 1}, "develop": []}',
    "more/pyproject.toml": "[tool.poetry.dependencies]\n" + "\n".join(f"a{n} = '^{n}'" for n in range(20_000)),
    "LICENSE": "\n" * 1_000_000,
    "shop/plain.py": "import " * 250_000 + "\n" + "from x import (" * 100_000,
    "shop/named.py": "text = '" + "pip install import from " * 50_000 + "'\nimport requests\n",
    "poetry.lock": '[[package]]\nname = "a"\nversion = "not a version"\n' * 20_000,
    "shop/__init__.py": "import yaml\n",
    "shop/broken.py": "import yaml(\n",
}


def test_odd_and_hostile_manifests_are_skipped_with_their_cause_and_never_run(write: Write) -> None:
    root = write(HOSTILE)
    start = time.process_time()

    found = scanned(root)

    assert time.process_time() - start < 20
    assert not list(root.rglob("was-run"))
    assert not Path("was-run").exists()
    causes = {item.what: item.cause for item in found.skipped}
    assert causes["pyproject.toml"] == "it is too large to be a manifest that somebody wrote"
    assert "does not parse" in causes["deep/pyproject.toml"]
    assert "above the read limit" in causes["huge/requirements.txt"]
    assert "its bytes are not" in causes["latin/requirements.txt"]
    assert "does not parse" in causes["Pipfile"]
    assert {"old/setup.py", "wide/requirements.txt"} <= causes.keys()


def test_a_symlink_out_of_the_repository_is_not_read(write: Write, tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("secret-name\n")
    root = write({"shop/cart.py": ""})
    (root / "requirements.txt").symlink_to(tmp_path / "outside.txt")
    supply = Supply(root, ("requirements.txt", "shop/cart.py"))

    assert supply.manifests == ()
    assert [item.cause for item in supply.skipped] == ["a symlink leads out of the repository"]


def test_the_same_tree_gives_the_same_scan_in_whatever_order_files_are_named(write: Write) -> None:
    root = write(
        {
            **CODE,
            "pyproject.toml": PROJECT.replace('license = "MIT"\n', "") + 'dependencies = ["boltons", "trio"]\n',
            "one/requirements.txt": "a\nhttp://e.org/b-1.zip\n-r ../two.lst\n",
            "two.lst": "--trusted-host e.org\n",
            "uv.lock": LOCK,
        }
    )
    paths = list(listed(root))
    first = scan(root, tuple(paths))

    assert len(first.sightings) == 5
    assert msgspec.json.encode(scan(root, tuple(reversed(paths)))) == msgspec.json.encode(first)


# --- what the critic makes of it ---


async def opinions(root: Path, audit: Audit) -> dict[str, Opinion]:
    await audit(root)
    found = msgspec.json.decode((root / ".remit" / "findings.json").read_bytes(), type=tuple[Opinion, ...])
    return {item.finding.path: item for item in found if item.finding.skill == "supply"}


@pytest.mark.parametrize(
    ("path", "decision"),
    [
        ("requirements.txt", "keep"),
        ("services/web/requirements.txt", "keep"),
        ("setup.py", "keep"),
        ("services/web/setup.py", "keep"),
        ("examples/web/requirements.txt", "demote"),
        ("docs/requirements.txt", "demote"),
        ("tests/requirements.txt", "reject"),
        ("tests/fixtures/web/setup.py", "reject"),
        ("shop/_vendor/web/requirements.txt", "reject"),
    ],
)
async def test_a_manifest_counts_where_it_ships(write: Write, audit: Audit, path: str, decision: str) -> None:
    text = "http://e.org/a-1.0.tar.gz\n"
    if path.endswith("setup.py"):
        text = "from setuptools import setup\nsetup(name='a', dependency_links=['http://e.org'])\n"
    root = write({path: text, "LICENSE": "", "shop/__init__.py": ""})

    assert (await opinions(root, audit))[path].decision == decision


async def test_a_doubted_finding_is_looked_at_again_with_the_manifests(write: Write, audit: Audit) -> None:
    root = write(
        {
            "pyproject.toml": PROJECT + 'dependencies = ["flask", "trio"]\n',
            "shop/__init__.py": "from shop import cart, till\nimport flask\n",
            "shop/cart.py": "import yaml\n",
            "shop/till.py": "import werkzeug\n",
        }
    )

    found = await opinions(root, audit)

    assert {path: item.decision for path, item in found.items()} == {
        "shop/cart.py": "keep",
        "shop/till.py": "demote",
        "pyproject.toml": "keep",
    }
    assert found["shop/till.py"].reason.startswith("looked at again: flask, which is declared")
    assert found["pyproject.toml"].finding.rule == "unused-dependency"


async def test_without_a_manifest_the_report_says_that_dependencies_were_not_checked(
    write: Write, audit: Audit
) -> None:
    root = write({"shop/__init__.py": "import yaml\n", "LICENSE": ""})

    await audit(root)

    report = (root / ".remit" / "report.md").read_text()
    assert "no manifest was found" in report.partition("## What was not checked")[2]
