"""What a link may lead to: the files of the tree, and how the documents around them are published."""

import os
import posixpath
from functools import cached_property
from pathlib import Path
from typing import Literal

from remit.teams.audit.source import UnreadableError, content

Publication = Literal["read", "sources", "pages"]
"""read: as it stands, on a code host · sources: a generator resolves links between sources · pages: links lead
between the pages that a generator makes, which nobody sees before."""

_SOURCES = frozenset({"conf.py", "mkdocs.yml", "mkdocs.yaml", "book.toml", "zensical.toml", "properdocs.yml"})
_PAGES = frozenset(
    {"_config.yml", "_config.yaml", "hugo.toml", "hugo.yaml", "pelicanconf.py", "_quarto.yml", "antora.yml"}
    | {"docusaurus.config.js", "docusaurus.config.ts", "astro.config.mjs", "gatsby-config.js", "next.config.js"}
    | {".vitepress", "_sidebar.md", "mint.json", "docs.json", ".vuepress", ".eleventy.js", "sidebars.js", "sidebars.ts"}
)
_DOCS = frozenset({"doc", "docs", "documentation", "website", "site", "content"})
_BUILDERS = (".gitignore", ".gitmodules", "Makefile", "noxfile.py", "tox.ini", "mkdocs.yml", "conf.py", "hooks.py")
"""Files that say what the build of the documentation makes."""
SHORTEST = 4
"""Characters of a name that says something when it is mentioned."""
_FOLDERS = 20_000
"""Folders that one pass opens at most."""


class Site:
    """The files of a repository as links see them. Symlinks are not followed: what is behind one is unknown."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: dict[str, dict[str, bool] | None] = {}
        self._publications: dict[str, Publication] = {}

    def has(self, path: str) -> bool | None:
        """Say whether a normalised path inside the repository exists; None where that cannot be known."""
        folder = ""
        parts = [] if path in {"", "."} else path.split("/")
        for index, part in enumerate(parts):
            entries = self.entries(folder)
            if not entries:  # unread, a symlink, or a submodule that nobody fetched
                return None
            if part not in entries:
                return False
            folder = posixpath.join(folder, part)
            if index < len(parts) - 1 and not entries[part]:
                return None if self._is_link(folder) else False
        return True

    def entries(self, folder: str) -> dict[str, bool] | None:
        """Give the names in a folder, each with whether it is a folder itself; None if it cannot be read."""
        if folder not in self._folders:
            self._folders[folder] = self._read(folder) if len(self._folders) < _FOLDERS else None
        return self._folders[folder]

    @property
    def is_distribution(self) -> bool:
        """Whether the tree is what a build made for an index, and not the repository itself."""
        return "PKG-INFO" in (self.entries("") or {})

    def publication(self, document: str) -> Publication:
        """Say how a document is published, by what stands in the folders around it."""
        folder = posixpath.dirname(document)
        if folder not in self._publications:
            self._publications[folder] = self._published(folder)
        return self._publications[folder]

    def is_built(self, name: str) -> bool:
        """Say whether something that builds the documentation, or ignores what is built, mentions a name."""
        return len(name) >= SHORTEST and name in self._builders

    def _is_link(self, path: str) -> bool:
        return (self._root / path).is_symlink()

    def _read(self, folder: str) -> dict[str, bool] | None:
        try:
            with os.scandir(self._root / folder) as found:
                return {entry.name: entry.is_dir(follow_symlinks=False) for entry in found}
        except OSError:
            return None

    def _published(self, folder: str) -> Publication:
        here = folder
        while True:
            names = (self.entries(here) or {}).keys()
            if names & _PAGES and (here == folder or here or _DOCS & {*folder.lower().split("/")}):
                return "pages" if folder else "read"
            if names & _SOURCES and folder:
                return "sources"
            if not here:
                break
            here = posixpath.dirname(here)
        return "sources" if _DOCS & {*folder.lower().split("/")} else "read"

    @cached_property
    def _builders(self) -> str:
        folders = ["", *(name for name in sorted(self.entries("") or {}) if name.lower() in _DOCS)]
        paths = [
            posixpath.join(folder, name)
            for folder in folders
            for name in _BUILDERS
            if self.has(posixpath.join(folder, name))
        ]
        return "\n".join(self._text(path) for path in paths)

    def _text(self, path: str) -> str:
        try:
            return content(self._root, path).decode(errors="replace")
        except UnreadableError:
            return ""
