"""What speaks against a finding in a document: what the writer meant, where the words around it say so."""

import re

from remit.teams.audit.code.excuse import Spot
from remit.teams.audit.docs.document import Snippet, is_document
from remit.teams.audit.docs.scan import document_of
from remit.teams.audit.docs.snippet import Snippets, parse
from remit.teams.audit.docs.snippet_reading import as_it_stands

BEFORE, AFTER = 6, 4
"""Lines around a snippet in which its writer says what it is."""
PAST_BEFORE, PAST_AFTER = 3, 4
"""The same of a name."""
_TEMPLATING = re.compile(
    r"\{%|\{\{|\{!|\{#|<%|<<<|\$\{|--8<--|\[\[\[|^\s*:::|@@\w|\{\w[\w.]*!\}|\[!code|\{~|\bcog\.out", re.MULTILINE
)
_PLACEHOLDER = re.compile(
    r"<[A-Za-z_/][^<>\n]{0,60}>|\[[A-Za-z][^\[\]\n]{0,60}\.{3}\]|\{[A-Za-z_]\w*\}|\$[A-Z_]+\b|\b[Yy]our [a-z]+"
)
_OUTPUT = re.compile(
    r"\s*(?:<|Traceback|Out\[|=>|->|→|⇒|\$ |File \"|[\w.]*(?:Error|Exception|Warning)\b|\+-|-{3}|={3}"
    r"|\[?(?:INFO|DEBUG|ERROR)\b)"
)
_PROSE = re.compile(r"\s*[A-Z][a-z']*(?: [a-z']+){4}")
_WORDS = re.compile(
    r"(?!(?:print|exec|async|await|def|class|import|from|for|if|elif|while|with|return|raise|del|global|lambda|not"
    r"|assert|yield|match|case|except|type|nonlocal|try|else|finally|pass|break|continue)\b)[A-Za-z_]\w*"
    r"(?: [A-Za-z_]\w*){1,9}$"
)
_HEAD = 15
"""Lines in which a document says what it is."""
_UNFINISHED = re.compile(
    r"\bwork[- ]in[- ]progress\b|\bWIP\b|\bdesign[- ](?:notes?|docs?|documents?|proposals?)\b"
    r"|\bnot (?:yet )?implemented\b|^\W*(?:status\W+)?(?:draft|proposal)\b",
    re.IGNORECASE | re.MULTILINE,
)
_SHELL = re.compile(
    r"\s*(?:\$ |(?:sudo |uv |poetry |pdm |hatch )?(?:pip3?|python3?|uv|poetry|pdm|conda|brew|apt(?:-get)?|npm|npx|yarn"
    r"|git|cd|curl|docker|export|make|hatch|tox|nox|pytest|source|mkdir|wget|pipx|celery|flask|django-admin)[ ][\w./-]"
    r"|[\w./-]+\.(?:py|sh)[ ]-)"
)
_WRONG = re.compile(
    r"syntax ?error|\binvalid\b|not (?:be )?valid|\billegal\b|incorrect|\bwrong\b|not (?:a )?parse|pseudo|schematic"
    r"|roughly|simplified|outline|hypothetical|proposed|not (?:real|actual|supported|allowed)|won.t work"
    r"|does(?:n.t| not) work|[✗❌✘]|# *(?:bad|error)\b|grammar",
    re.IGNORECASE,
)
_OLD_PYTHON = re.compile(r"python[ -]?2|\bpy2|\b2\.[67]\b|print statement", re.IGNORECASE)
_GONE = re.compile(
    r"\bremov(?:ed|al|ing)|\brenam|\bdeprecat|\bno longer|\bformer|\bprevious|\bused to\b|\bwas used\b|\buntil\b"
    r"|\breplaced|\bmoved\b|\bolder\b|\bold\b|\blegacy\b|\bobsolete|\bdropped|\bbackport|\bmigrat|\bimagin"
    r"|\bversion(?:changed|removed)|\bhypothetical|\bdo(?:es)?(?: not|n.t) exist|\bplanned|\bproposed|\bsuppose\b",
    re.IGNORECASE,
)
_UNBUILT = re.compile(r"generated|\bbuilt\b|created by|will be|placeholder|not yet|todo|coming soon", re.IGNORECASE)


def sketch(spot: Spot) -> str:
    """The snippet is not meant to be Python as it stands."""
    snippet = _snippet(spot)
    if snippet is None:
        return ""
    text = "\n".join(snippet.lines)
    around = _around(spot, snippet)
    if _TEMPLATING.search(text):
        return "templating syntax, which is filled in when the documentation is built"
    if _WRONG.search(around):
        return "the text around it says that it is no working code"
    if _OLD_PYTHON.search(around):
        return "the text around it speaks of Python 2"
    if any(map(_SHELL.match, snippet.lines)) and _parses(snippet, _SHELL):
        return "commands for a shell"
    if _PROSE.match(snippet.lines[0]):
        return "text, which is no code"
    if _WORDS.match(spot.source.line(spot.line)):
        return "words side by side, a notation and no code"
    if _reads(_PLACEHOLDER.sub("_", text)):
        return "a placeholder stands for what the reader fills in"
    return "what it prints stands beside it" if _parses(snippet, _OUTPUT) else ""


def wrong_on_purpose(spot: Spot) -> str:
    """The lines around an example say that it is no working code."""
    around = "\n".join(spot.around(BEFORE, AFTER))
    return "the text around it says that it is no working code" if _WRONG.search(around) else ""


def speaks_of_past(spot: Spot) -> str:
    """The words around a name say that it is not there, or not any more."""
    said = "\n".join(spot.around(PAST_BEFORE, PAST_AFTER))
    return "the text says that it is not there, or not any more" if _GONE.search(said) else ""


def unfinished(spot: Spot) -> str:
    """The document says of itself that it tells what may be, and not what is."""
    if is_document(spot.source.path) and _UNFINISHED.search("\n".join(spot.source.lines[:_HEAD])):
        return "the document calls itself unfinished or a design"
    return ""


def made_later(spot: Spot) -> str:
    """The line says that the target is made by something, or stands for one."""
    line = spot.source.lines[spot.line - 1]
    return "the text says that it is made later" if _UNBUILT.search(line) else ""


def _snippet(spot: Spot) -> Snippet | None:
    return document_of(spot.source).snippet_at(spot.line) if is_document(spot.source.path) else None


def _around(spot: Spot, snippet: Snippet) -> str:
    lines = spot.source.lines
    return "\n".join(lines[max(0, snippet.first - 1 - BEFORE) : snippet.last + AFTER])


def _reads(text: str) -> bool:
    return parse(text)[0] is not None or Snippets().is_understood(text)


def _parses(snippet: Snippet, left_out: re.Pattern[str]) -> bool:
    """Say whether a snippet parses without the lines that a pattern names."""
    kept = ["" if left_out.match(line) else line for line in snippet.lines]
    rest = Snippet(first=1, lines=tuple(kept), language=snippet.language)
    return all(_reads(part.text) for part in as_it_stands(rest))
