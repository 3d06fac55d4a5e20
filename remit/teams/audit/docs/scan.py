"""One pass over what is written about the code: its snippets, its links and the names in it."""

from pathlib import Path

from remit.teams.audit.docs import doctest_block, document_md, document_rst
from remit.teams.audit.docs.doc_names import DocNames
from remit.teams.audit.docs.document import Document, is_document
from remit.teams.audit.docs.document_place import document_place
from remit.teams.audit.docs.link import Links
from remit.teams.audit.docs.own_names import OwnNames
from remit.teams.audit.docs.site import Site
from remit.teams.audit.docs.snippet import Snippets
from remit.teams.audit.place import HEAD_LINES, place_of
from remit.teams.audit.sighting import Scan, Sighting, Skipped
from remit.teams.audit.source import Source, UnreadableError, content, load
from remit.teams.audit.tools.tally import summed

MORE = " documents"
"""How it is told that there are more than are read."""
MISSING = "links to files that are not there"
"""How it is told when this was not looked for."""
_PARTIAL = Skipped(
    what=MISSING, cause="PKG-INFO shows a source distribution, which leaves out some files of its repository"
)
DOCUMENTS = 3000
"""Documents of one pass at most."""
CHARACTERS = 16_000_000
"""Of all documents of one pass."""


class _Shelf:
    """The documents of a repository that are written for its readers, each opened once."""

    def __init__(self, root: Path, paths: list[str]) -> None:
        self.skipped: list[Skipped] = []
        self.documents: dict[str, Document] = {}
        left = CHARACTERS
        for index, path in enumerate(paths):
            if index == DOCUMENTS or left < 0:
                self.skipped.append(_left_out(len(paths) - index))
                break
            if (found := self._opened(root, path)) is not None:
                self.documents[path] = found
                left -= len(found.source.text)

    def _opened(self, root: Path, path: str) -> Document | None:
        if document_place(path) != "shipped":
            return None
        try:
            source = load(root, path)
        except UnreadableError as error:
            self.skipped.append(Skipped(what=path, cause=error.cause))
            return None
        head = "\n".join(source.lines[:HEAD_LINES])
        return document_of(source) if document_place(path, head) == "shipped" else None


def document_of(source: Source) -> Document:
    """Cut a document by the markup that its name says."""
    return document_rst.document(source) if source.path.lower().endswith(".rst") else document_md.document(source)


def _left_out(count: int) -> Skipped:
    cause = f"an audit reads {DOCUMENTS}, of {CHARACTERS} characters together"
    return Skipped(what=f"{count}{MORE}", cause=cause)


def scan(root: Path, files: tuple[str, ...]) -> Scan:
    """Look at all documents, and at the examples in the docstrings of shipped code."""
    shelf = _Shelf(root, [path for path in files if is_document(path)])
    site = Site(root)
    python = [path for path in files if not is_document(path)]
    links = Links(site, shelf.documents.get)
    snippets = Snippets()
    names = DocNames(OwnNames(root, python, site), [*shelf.documents.values()])
    found: list[Sighting] = []
    blobs: dict[str, str] = {}
    for path, document in shelf.documents.items():
        broken, code = snippets.look(document)
        found += broken
        found += _distinct([*links.sightings(document), *names.sightings(document, code)])
        blobs[path] = document.source.digest
    for path in python:
        if place_of(path) == "shipped" and (source := _example(root, path)) is not None:
            found += doctest_block.sightings(source)
            blobs[path] = source.digest
    skipped = [*shelf.skipped, *snippets.skipped()]
    if site.is_distribution:
        found = [item for item in found if item.rule != "broken-link"]
        skipped.append(_PARTIAL)
    lines = sum(len(document.source.lines) for document in shelf.documents.values())
    return summed(found, blobs, skipped, files=len(shelf.documents), lines=lines)


def _distinct(found: list[Sighting]) -> list[Sighting]:
    """Give one sighting for a line, and one for what is said again and again in a document."""
    lines: dict[tuple[str, int], Sighting] = {}
    for item in found:
        lines.setdefault((item.rule, item.line), item)
    return [*{(item.rule, item.detail): item for item in reversed(lines.values())}.values()][::-1]


def _example(root: Path, path: str) -> Source | None:
    """Give a Python file that shows what happens at a prompt."""
    try:
        return load(root, path) if b">>> " in content(root, path) else None
    except UnreadableError:  # the code view says so
        return None
