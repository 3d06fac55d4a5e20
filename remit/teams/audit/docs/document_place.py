"""Where a document stands: among what is shipped, which for documents is the documentation, or somewhere else."""

import re
from pathlib import PurePosixPath
from typing import Literal

from remit.teams.audit.place import Place, place_of

Era = Literal["current", "past", "translated"]
"""Whether a document speaks of the code as it is, as it was, or repeats another document in another language."""

_FOREIGN = frozenset({"node_modules", "site-packages", "licenses", "license"})
_TEMPLATES = frozenset(
    {"templates", "template", "_templates", "cookiecutter", "cookiecutters", "skeleton", "skeletons"}
)
_ISSUE_TEMPLATES = re.compile(r"^(?:issue|pull_request|discussion)_template", re.IGNORECASE)
_DOCS = frozenset({"doc", "docs", "documentation"})
_GENERATED = re.compile(r"@generated|auto-?generated|do not (?:edit|modify)\b", re.IGNORECASE)
_PAST_NAME = re.compile(
    r"^(?:releases?|(?:.*[-_.])?(?:change_?s?|change[-_]?logs?|history|news|release[-_]?(?:notes?|history)s?"
    r"|what_?s[-_]?new|upgrad(?:e|ing)|migrat(?:e|ing|ion)s?|deprecat(?:ed|ions?)|archived?|authors?|contributors|credits|thanks|acknowledge?ments?))(?:[-_.0-9].*)?$"
)
_PAST_FOLDER = re.compile(
    r"^(?:releases?|release[-_]notes|changes|changelogs?|newsfragments|news|history|what_?s[-_]?new|archived?|old|legacy"
    r"|versioned_docs|upgrad(?:e|ing)|migrations?|changelog\.d|peps?|adrs?|decisions|rfcs?|proposals?|blog|posts"
    r"|(?:version-|v)?\d+\.(?:\d+|x)(?:\.\w+)*)$"
)
_VERSION = re.compile(r"^v?\d+\.[\dx]+(?:\.[\dx]+)*(?:[-.]?\w+)?$")
_LANGUAGES = frozenset(
    {"ar", "az", "bg", "bn", "ca", "cs", "da", "de", "el", "es", "et", "fa", "fi", "fr", "he", "hi", "hr", "hu", "hy"}
    | {"id", "it", "ja", "ka", "ko", "lt", "lv", "ms", "nb", "nl", "no", "pl", "pt", "ro", "ru", "sk", "sl", "sq", "sr"}
    | {"sv", "ta", "te", "th", "tr", "uk", "ur", "uz", "vi", "yo", "zh", "em", "pt-br", "zh-cn", "zh-tw", "zh-hans"}
    | {"zh-hant", "zh-hk", "es-es", "fr-fr", "ja-jp", "ko-kr", "de-de", "ru-ru", "jp", "cn", "kr"}
)
_LANGUAGE_FOLDERS = frozenset({"i18n", "locale", "locales", "translations", "localized"})


def document_place(path: str, head: str = "") -> Place:
    """Say where a document stands; one that is written for the readers of this repository counts as shipped."""
    pure = PurePosixPath(path)
    folders = [part.lower() for part in pure.parts[:-1]]
    place = place_of(path)
    if place == "vendored" or _FOREIGN & {*folders}:
        return "vendored"
    is_template = bool(_TEMPLATES & {*folders}) and not _DOCS & {*folders}
    if place == "template" or is_template or _ISSUE_TEMPLATES.match(folders[-1] if folders else pure.name):
        return "template"
    if place == "test":
        return "test"
    if _ISSUE_TEMPLATES.match(pure.name):
        return "template"
    return "generated" if any(map(_says_generated, head.splitlines())) else "shipped"


def era_of(path: str) -> Era:
    """Say of which time a document speaks, by its path."""
    pure = PurePosixPath(path.lower())
    *folders, _name = pure.parts
    stem, _dot, suffix = pure.stem.rpartition(".")
    said = suffix if stem else pure.stem.replace("_", "-").partition("-")[2]
    if said.replace("_", "-") in _LANGUAGES or _is_translated(folders):
        return "translated"
    is_past = _PAST_NAME.match(pure.stem) or _VERSION.match(pure.stem) or any(map(_PAST_FOLDER.match, folders))
    return "past" if is_past else "current"


def _is_translated(folders: list[str]) -> bool:
    if _LANGUAGE_FOLDERS & {*folders}:
        return True
    below = next((index for index, name in enumerate(folders) if name in _DOCS), len(folders))
    return any(name.replace("_", "-") in _LANGUAGES for name in folders[below + 1 :])


def _says_generated(line: str) -> bool:
    return line.lstrip().startswith(("<!--", "..", "#", "%")) and bool(_GENERATED.search(line))
