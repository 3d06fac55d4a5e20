"""Where a file stands: shipped code, a test, somebody else's, generated, a template, or an example."""

import re
from pathlib import PurePosixPath
from typing import Literal

Place = Literal["shipped", "test", "vendored", "generated", "template", "example"]

_TEST_FOLDER = re.compile(r"^(?:.*_)?tests?(?:_.*)?$|^t$|^testsuite$|^unittests$|^testdata$|^e2e$")
_TEST_DATA = frozenset({"data", "cases", "testdata", "test_data"})
"""Folders below those of tests."""
_VENDORED = frozenset(
    {"vendor", "_vendor", "vendored", "_vendored", "third_party", "thirdparty", "extern", "externals"}
)
_EXAMPLES = frozenset(
    {"doc", "docs", "docs_src", "example", "examples", "sample", "samples", "demo", "demos", "tutorial", "tutorials"}
    | {"quickstart", "quickstarts", "cookbook", "benchmark", "benchmarks", "scripts", "tools", "ci"}
)
_EXAMPLES_AT_TOP = frozenset({"gallery", "action", "actions", "profiling"})
"""Folders that hold no shipped code where they stand beside it; deeper ones may be packages."""
_TOOLING = frozenset({"setup.py", "noxfile.py", "tasks.py", "fabfile.py", "dodo.py", "versioneer.py"})
_TEST_NAME = re.compile(r"^(?:test_.*|.*_tests?|tests?|conftest)\.pyw?$")
_GENERATED_NAME = re.compile(r"(?:_pb2|_pb2_grpc|\.gen|_generated|_version|parsetab|lextab)\.py$")
_GENERATED_HEAD = re.compile(
    r"@generated|auto-?generated|generated (?:by|from|with) (?!this)|do not (?:edit|modify)\b", re.IGNORECASE
)
_TEMPLATE = re.compile(r"\{\{|\{%|\{#|\$\{\w+\}|<%|\{!>|@@\w+@@")
HEAD_LINES = 8
"""Where generated files say that they are."""


def place_of(path: str, head: str = "") -> Place:
    """Say where a file stands, by its path and its first lines."""
    pure = PurePosixPath(path)
    folders = {part.lower() for part in pure.parts[:-1]}
    if folders & _VENDORED:
        return "vendored"
    if _TEMPLATE.search(path):
        return "template"
    if any(map(_TEST_FOLDER.match, folders)) or _TEST_NAME.match(pure.name):
        return "test"
    if _GENERATED_NAME.search(pure.name) or is_migration(path) or _says_generated(head):
        return "generated"
    is_beside = len(pure.parts) > 1 and pure.parts[0].lower() in _EXAMPLES_AT_TOP
    if folders & _EXAMPLES or is_beside or pure.name in _TOOLING:
        return "example"
    return "shipped"


def place_of_manifest(path: str, head: str = "") -> Place:
    """Say where a file stands among manifests: there `setup.py` is what ships, and no tool."""
    pure = PurePosixPath(path)
    return place_of(str(pure.with_name("setup.cfg")) if pure.name == "setup.py" else path, head)


def is_migration(path: str) -> bool:
    """Say whether a file is a step from one state of a database to the next."""
    return "migrations" in {part.lower() for part in PurePosixPath(path).parts[:-1]}


def is_test_data(path: str) -> bool:
    """Say whether a file is what tests work on, and no test itself."""
    pure = PurePosixPath(path)
    folders = [part.lower() for part in pure.parts[:-1]]
    first = next((index for index, part in enumerate(folders) if _TEST_FOLDER.match(part)), len(folders))
    return bool(_TEST_DATA & {*folders[first:]}) and not _TEST_NAME.match(pure.name)


def is_templated(line: str) -> bool:
    """Say whether a line holds the marks of a templating language."""
    return bool(_TEMPLATE.search(line))


def _says_generated(head: str) -> bool:
    return any(line.lstrip().startswith("#") and _GENERATED_HEAD.search(line) for line in head.splitlines())
