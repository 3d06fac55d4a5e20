"""Which distribution an imported name comes from, by a table of our own.

The interpreter knows this only of what is installed beside the auditor (`importlib.metadata`), so two machines would
give two reports on one commit, and neither would know the audited project's dependencies. `import_names.json` is data
instead: well-known import names with the distributions that provide them. It is joined by one rule, the normal form of
names (https://packaging.python.org/en/latest/specifications/name-normalization/): `google.cloud.storage` and
`google-cloud-storage` are one name, and any declared `google-…` may provide `google`. What neither the table nor the
rule knows is not reported: a name may come from anywhere, and a guess would be wrong more often than it is worth.
"""

import re
import sys
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

_SEPARATORS = re.compile(r"[-_.]+")
_AFFIXES = re.compile(r"^(?:python-?\d?-|py-?|lib)|(?:-python\d?|-py\d?|-sdk|-client|-api|-lib|-core|\d+)$")
_OTHER_VERSIONS = frozenset(
    {"asynchat", "asyncore", "distutils", "imp", "smtpd", "aifc", "audioop", "cgi", "cgitb", "chunk", "crypt", "imghdr"}
    | {"mailcap", "msilib", "nis", "nntplib", "ossaudiodev", "pipes", "sndhdr", "spwd", "sunau", "telnetlib", "uu"}
    | {"xdrlib", "lib2to3", "tomllib", "compression", "annotationlib", "concurrent", "binhex", "formatter", "parser"}
    | {"symbol", "macpath", "zoneinfo", "graphlib", "dummy_threading", "_dummy_thread", "__builtin__", "urllib2"}
    | {"urlparse", "ConfigParser", "Queue", "StringIO", "cStringIO", "cPickle", "httplib", "HTMLParser", "commands"}
)
"""Modules that the standard library had or will have: which Python runs the audit makes no difference."""
_PARTS = 8
"""Of a name; what has more is not looked at further."""
STANDARD = frozenset(sys.stdlib_module_names) | _OTHER_VERSIONS


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of names."""

    imports: dict[str, tuple[str, ...]]
    """Imported name -> distributions that provide it, the usual one first."""
    companions: dict[str, tuple[str, ...]]
    """Distribution -> others that its own interface is made of, so that both are used together."""
    by_presence: tuple[str, ...]
    """Distributions that work by being installed: servers, drivers, tools, optional speed-ups."""
    by_presence_like: tuple[str, ...]
    """Patterns of such names: plugins, stubs."""


_PLUGINS = frozenset({"*-plugin", "*-plugins"})
TABLE = msgspec.json.decode(Path(__file__).with_name("import_names.json").read_bytes(), type=Table)
_PROVIDED: dict[str, tuple[str, ...]] = {}
for _name, _distributions in TABLE.imports.items():
    for _distribution in _distributions:
        _PROVIDED[_distribution] = (*_PROVIDED.get(_distribution, ()), _name)


def normal(name: str) -> str:
    """Give the normal form of a name."""
    return _SEPARATORS.sub("-", name).strip("-").lower()


def known_as(name: str) -> str:
    """Give the part of an imported name that the table knows; empty if nobody can say where it comes from."""
    parts = name.split(".")
    known = (".".join(parts[:length]) for length in range(min(len(parts), _PARTS), 0, -1))
    return next((part for part in known if part in TABLE.imports), "")


def providers(name: str) -> tuple[str, ...]:
    """Give the distributions that are known to provide an imported name; none if nobody can say."""
    return TABLE.imports.get(known_as(name), ())


def spoken(declared: Iterable[str]) -> frozenset[str]:
    """Give the top-level names, in normal form, that some distributions may provide by what they are called.

    `azure-identity` may provide `azure`, and `django-redis` brings along `redis`: nobody else can tell.
    """
    found: set[str] = set()
    for distribution in declared:
        if distribution.startswith("types-") or distribution.endswith("-stubs"):
            continue
        parts = distribution.split("-")[:_PARTS]
        ends = [(first, last) for first in range(len(parts)) for last in range(first + 1, len(parts) + 1)]
        found.update("-".join(parts[first:last]) for first, last in ends)
        found.update({bare(distribution), distribution.replace("-", "")})
    return frozenset(found)


def is_provided(name: str, declared: frozenset[str], said: frozenset[str]) -> bool:
    """Say whether a declared distribution may provide an imported name: by the table, or by what it is called."""
    return not declared.isdisjoint(providers(name)) or normal(name.partition(".")[0]) in said


def bare(distribution: str) -> str:
    """Give a distribution's name without what only says that it is Python's."""
    before = ""
    while before != distribution:
        before, distribution = distribution, _AFFIXES.sub("", distribution) or distribution
    return distribution


def is_known(distribution: str) -> bool:
    """Say whether it is known which names a distribution provides."""
    return distribution in _PROVIDED


def beginnings(name: str) -> set[str]:
    """Give an imported name in normal form, with every name above it: `a-b` and `a` for `a.b`."""
    parts = normal(name).split("-")[:_PARTS]
    return {"-".join(parts[:length]) for length in range(1, len(parts) + 1)}


def is_imported(distribution: str, imported: frozenset[str]) -> bool:
    """Say whether one of the imported names, given with their beginnings, may come from a distribution."""
    own = {distribution, bare(distribution), bare(distribution).replace("-", "")}
    wanted = own | {normal(name) for name in _PROVIDED.get(distribution, ())}
    return not wanted.isdisjoint(imported)


def companion(distributions: tuple[str, ...], declared: frozenset[str]) -> str:
    """Name the declared distribution whose own interface is made of one of these; empty if there is none."""
    return next((name for name in sorted(declared) if set(TABLE.companions.get(name, ())) & {*distributions}), "")


def works_by_presence(distribution: str) -> bool:
    """Say whether a distribution does its work without being imported.

    What is called a plugin may be a library for plugins: if it is known what code imports, code has to import it.
    """
    if distribution in TABLE.by_presence:
        return True
    fits = (pattern for pattern in TABLE.by_presence_like if fnmatchcase(distribution, pattern))
    return any(not (pattern in _PLUGINS and is_known(distribution)) for pattern in fits)
