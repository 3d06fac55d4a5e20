"""Links and images that lead to nothing in the repository, and anchors that no heading has."""

import posixpath
import re
from collections.abc import Callable, Iterator
from urllib.parse import unquote

from remit.teams.audit.docs.anchor import Anchors, anchors
from remit.teams.audit.docs.document import Document
from remit.teams.audit.docs.document_place import era_of
from remit.teams.audit.docs.link_text import Link, links
from remit.teams.audit.docs.site import Site
from remit.teams.audit.sighting import Sighting

_ELSEWHERE = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*+:|//|[@~$%]|.*[{}<>$*|\\^]|.*\.\.\.|.*…")
_PLACEHOLDER = re.compile(
    r".*_$|(?:url|link|href|path|uri|todo|target|file|src|image|image-url|link-url|page|\w)$"
    r"|.*(?:NNN|XXX|xxx|YYYY|your[-_]|path/to)",
    re.IGNORECASE,
)
_SOURCE = (".md", ".rst", ".markdown", ".txt", ".ipynb", ".md.txt", ".mdx", ".inc")
_MARKDOWN = (".md", ".markdown")
_ASSET = (".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".ico", ".py", ".toml", ".cfg", ".ini", ".yml", ".yaml")
"""What a link of a site leads to as it stands; of other files a generator may make pages."""
_HOST = frozenset(
    {"blob", "tree", "raw", "edit", "issues", "issue", "pull", "pulls", "wiki", "releases", "actions", "commit"}
    | {"commits", "compare", "discussions", "security", "projects", "labels", "milestones", "stargazers", "graphs"}
    | {"tags", "branches"}
)
"""First folders of a code host's own pages."""
_MADE = frozenset({"_build", "_static", "_images", "generated", "_generated", "auto_examples", "_autosummary"})
"""Folders that a generator makes."""
_FRAGMENTS = frozenset(
    {"_includes", "includes", "include", "_include", "partials", "_partials", "snippets", "_snippets", "docs_src"}
)
"""Folders of pieces of documents, whose links count from where they are put in."""
_LONGEST = 400
"""Characters of a target that somebody wrote."""
_LINE = re.compile(r"L\d+(?:-L?\d+)?$|:~:|!|/|__")


class Links:
    """Looks at the links of documents; `opened` gives another document of the tree."""

    def __init__(self, site: Site, opened: Callable[[str], Document | None]) -> None:
        self._site = site
        self._opened = opened
        self._anchors: dict[str, Anchors | None] = {}

    def sightings(self, document: Document) -> Iterator[Sighting]:
        """Give every link that leads to nothing; none where something else may supply the target."""
        path = document.source.path
        publication = self._site.publication(path)
        if era_of(path) == "translated" or _FRAGMENTS & {*path.lower().split("/")[:-1]}:
            return
        for link in links(document):
            if _leads_elsewhere(link.target) or (publication != "read" and link.kind == "tag"):
                continue
            target, _mark, anchor = link.target.partition("#")
            target = unquote(target.partition("?")[0])
            if not target:
                yield from self._anchor(document, link, path, anchor=anchor)
                continue
            found = self._resolved(document, link, target)
            if found is None or (publication == "pages" and link.kind == "markdown"):
                continue
            if self._is_missing(found, link, publication):
                yield _seen(document, link, "broken-link", detail=target)
            elif found.lower().endswith(_MARKDOWN):
                yield from self._anchor(document, link, found, anchor=anchor)

    def _resolved(self, document: Document, link: Link, target: str) -> str | None:
        """Give the path in the repository that a target means; None if it is outside, or a generator knows."""
        folder = posixpath.dirname(document.source.path)
        if target.startswith("/") or link.kind in {"doc", "download"}:
            if document.is_markdown or (base := self._source_folder(folder)) is None:
                return None
            folder, target = (base, target.lstrip("/")) if target.startswith("/") else (folder, target)
        found = posixpath.normpath(posixpath.join(folder, target))
        return None if found.startswith("..") or found == "." else found

    def _source_folder(self, folder: str) -> str | None:
        """Give the folder of Sphinx's sources around a folder."""
        while "conf.py" not in (self._site.entries(folder) or {}):
            if not folder:
                return None
            folder = posixpath.dirname(folder)
        return folder

    def _is_missing(self, path: str, link: Link, publication: str) -> bool:
        name = posixpath.basename(path)
        parts = path.split("/")
        if link.kind == "doc":
            return self._no_source(path)
        if publication != "read" and link.kind in {"markdown", "text"} and not name.lower().endswith(_SOURCE + _ASSET):
            return False
        if parts[0] in _HOST or _MADE & {*parts} or self._site.has(path) is not False:
            return False
        if document_like(name) and publication == "sources" and self._site.has(posixpath.dirname(path)) is False:
            return False  # a whole folder that is not there is made by the build
        return not self._is_built(path)

    def _no_source(self, path: str) -> bool:
        """Say whether no source of a page is in its folder; silent about a folder that the build makes."""
        folder, name = posixpath.split(path)
        entries = self._site.entries(folder) if self._site.has(folder) else None
        if not entries or _MADE & {*path.split("/")} or self._is_built(path):
            return False
        return not any(f"{name}{suffix}" in entries for suffix in (*_SOURCE, "", ".py"))

    def _is_built(self, path: str) -> bool:
        parts = path.split("/")
        missing = next((index for index in range(1, len(parts)) if not self._site.has("/".join(parts[:index]))), 0)
        return self._site.is_built(parts[-1]) or (bool(missing) and self._site.is_built(parts[missing - 1]))

    def _anchor(self, document: Document, link: Link, path: str, *, anchor: str) -> Iterator[Sighting]:
        if not anchor or not path.lower().endswith(_MARKDOWN) or _LINE.match(anchor) or link.kind == "tag":
            return
        known = self._known(path, document)
        if known is None:
            return
        name = unquote(anchor).lower().removeprefix("user-content-")
        if not known.has(name, exactly=self._site.publication(path) == "read"):
            yield _seen(document, link, "broken-anchor", detail=f"#{anchor}")

    def _known(self, path: str, document: Document) -> Anchors | None:
        if path not in self._anchors:
            other = document if path == document.source.path else self._opened(path)
            self._anchors[path] = None if other is None else anchors(other)
        return self._anchors[path]


def _leads_elsewhere(target: str) -> bool:
    """Say whether a target is an address, is filled in later, or stands for one."""
    return len(target) > _LONGEST or bool(_ELSEWHERE.match(target) or _PLACEHOLDER.match(target))


def document_like(name: str) -> bool:
    """Say whether a name is that of a document's source."""
    return name.lower().endswith(_SOURCE)


def _seen(document: Document, link: Link, rule: str, *, detail: str) -> Sighting:
    return Sighting(
        rule=rule,
        path=document.source.path,
        line=link.line,
        text=document.source.line(link.line),
        detail=detail[:120],
        tool="links",
    )
