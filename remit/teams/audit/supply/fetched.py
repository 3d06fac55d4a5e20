"""Dependencies that come from elsewhere than an index, and indexes that anybody on the way can change."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from remit.teams.audit.code.complexity import seen
from remit.teams.audit.sighting import Sighting
from remit.teams.audit.supply.need import Manifest, Need
from remit.teams.audit.supply.supply import Supply

PLAIN = 1
"""The measure of what is fetched without any protection."""
_VCS = re.compile(r"^(?P<kind>git|hg|svn|bzr)\+(?P<rest>.*)$", re.IGNORECASE | re.DOTALL)
_FIXED = re.compile(
    r"^(?:[0-9a-f]{7,64}|(?:refs/tags/|release[-_/])?[\w-]*?v?\d+(?:\.\d+)+[\w.+-]*|v\d+)$", re.IGNORECASE
)
_LOCAL = re.compile(
    r"^(?:localhost|127\.[\d.]+|\[?::1\]?|0\.0\.0\.0|host\.docker\.internal)$|\.(?:local|test|internal)$"
)
_LONGEST, _REF = 1000, 100
"""Characters of a URL, and of the version that it asks for."""
_SECRET = re.compile(r"//[^/@]*@")


def sightings(supply: Supply) -> Iterator[Sighting]:
    """Give what is fetched over plain HTTP, and what comes from a branch that moves."""
    locked = {str(PurePosixPath(lock.path).parent) for lock in supply.locks}
    for manifest in supply.manifests:
        is_locked = str(PurePosixPath(manifest.path).parent) in locked
        for need in manifest.needs:
            if said := _wrong(need, is_locked=is_locked):
                measure = PLAIN if "plain" in said else 0
                yield seen(manifest.source, "url-dependency", need.line, measure=measure, detail=said)
        yield from _indexes(manifest)


def _indexes(manifest: Manifest) -> Iterator[Sighting]:
    for index in (item for item in manifest.indexes if len(item.url) <= _LONGEST):
        if index.url.startswith("trusted:"):
            host = index.url.removeprefix("trusted:")
            if not _LOCAL.search(_host(host if "//" in host else f"//{host}")):
                detail = f"the certificate of {_shown(host)} is not checked"
                yield seen(manifest.source, "insecure-index", index.line, detail=detail)
        elif is_plain(index.url):
            detail = f"distributions come from {_shown(index.url)} over plain HTTP"
            yield seen(manifest.source, "insecure-index", index.line, detail=detail)


def _wrong(need: Need, *, is_locked: bool) -> str:
    """Say what is wrong with where a dependency comes from, or nothing."""
    if len(need.url) > _LONGEST:
        return ""
    name = need.name or _called(need.url)
    vcs = _VCS.match(need.url)
    if is_plain(vcs["rest"] if vcs else need.url):
        return f"{name} is fetched over plain, unchecked {'Git' if vcs else 'HTTP'}"
    if vcs and not is_locked and need.group != "dev":  # who develops follows a branch on purpose
        ref = _ref(vcs["rest"])
        if not ref:
            return f"{name} comes from whatever its repository holds that day"
        if len(ref) > _REF or not _FIXED.match(ref):
            return f"{name} comes from {ref[:_REF]}, which moves"
    return ""


def is_plain(url: str) -> bool:
    """Say whether a URL is fetched from another machine without protection."""
    return url.lower().startswith(("http://", "git://", "ftp://")) and not _LOCAL.search(_host(url))


def _called(url: str) -> str:
    """Give the last part of a URL's path, by which its repository or archive is called."""
    path = re.split(r"[#?]", url, maxsplit=1)[0].partition("://")[2].rstrip("/")
    return path.rpartition("/")[2].partition("@")[0].removesuffix(".git")[:60] or "an archive"


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _ref(url: str) -> str:
    path = url.partition("#")[0].partition("?")[0].partition("://")[2]
    return path.partition("/")[2].rpartition("@")[2] if "@" in path.partition("/")[2] else ""


def _shown(url: str) -> str:
    """Give a URL without the name and password in it."""
    return _SECRET.sub("//", url)[:100]
