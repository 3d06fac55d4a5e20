"""How a snippet may be read: as code behind prompts, as a part of a program, as a sketch with gaps.

Every reading keeps to what a line can show; none looks further than a few characters from where it stands, so the time
of all of them together grows with the text and no faster.
"""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from remit.teams.audit.docs.document import Snippet, indent_of

_PROMPT = re.compile(r"[ \t]*(?:>>>|In \[\d{0,5}\]:)(?: (?P<code>.*))?$")
_MORE = re.compile(r"[ \t]*(?:\.\.\.|\.{3,7}:)(?: (?P<code>.*))?$")
_COMMAND = re.compile(
    r"(?P<indent>[ \t]*)(?:%{1,2}[a-zA-Z]|![ ]?[\w./~-]|\?{1,2}[a-zA-Z]|[a-zA-Z_][\w.]{0,80}\?{1,2}$)"
)
_GENERIC = re.compile(
    r"^(?P<head>[ \t]*(?:async[ \t]+)?(?:def|class)[ \t]+\w+)\[[^\[\]\n]*+(?:\[[^\[\]\n]*+\][^\[\]\n]*+)*+\]"
)
_TYPE = re.compile(r"^(?P<indent>[ \t]*)type[ \t]+(?P<name>\w+)(?:\[[^\]\n]*+\])?[ \t]*=")
_TEMPLATE_STRING = re.compile(r"(?<![\w])(?:t|tr|rt)(?=[\"'])")
_GAP_BEFORE = re.compile(r",[ \t\n]{0,40}(?:\.{3}|…)(?=[ \t\n]{0,40}[,)}\]])")
_GAP_AFTER = re.compile(r"(?<=[({\[])[ \t]{0,40}(?:\.{3}|…)[ \t]{0,40},")
_GAP_AROUND = re.compile(r"^(?P<indent>[ \t]*)(?:\.{3}|…)[ \t]+(?P<code>\S.*)$")
_GAP_END = re.compile(r"(?<=[^\s.])[ \t]{1,40}(?:\.{3}|…)$")
_GAP_CALL = re.compile(r"(?<=[)\]])(?:\.{3}|…)|(?<=\w)(?:\.{3}|…)(?=[ \t]{0,60}(?:#|$))", re.MULTILINE)
_GAP_LINE = re.compile(r"^[ \t]*(?:#[ \t]*)?(?:\.{3,}|\(\.{3,}\)|\[\.{3,}\]|[.:]|…|\[…\])[ \t,]*(?:#.*)?$")
_OPENS = re.compile(r"[ \t]*(?:@|\)|(?:async|def|class|if|elif|else|for|while|with|try|except|finally|match|case)\b)")
_SIGNATURE = re.compile(r"^[ \t]*(?:async[ \t]+)?(?:def[ \t]+|class[ \t]+)?[A-Za-z_][\w.]*+[ \t]*\(")
_NUMBERED = re.compile(r"[ \t]*\d{1,4}[ \t]?[:|.]?(?:[ \t]|$)")
_HEADS = re.compile(r"[ \t]*(?:except|finally)\b|[ \t]*(?:elif|else)\b|[ \t]*case\b")


@dataclass(frozen=True, kw_only=True)
class Part:
    """Code that stands alone: a snippet, or what is behind one prompt of a console."""

    first: int
    text: str
    below: str = ""
    """The lines that stand under it without a prompt: what it prints, or its rest."""


def as_it_stands(snippet: Snippet) -> list[Part]:
    """Give the code of a snippet: one text, or one behind every prompt."""
    if is_console(snippet):
        return _behind_prompts(snippet)
    return [Part(first=snippet.first, text=aligned(snippet.lines))]


def is_console(snippet: Snippet) -> bool:
    """Say whether only what stands behind prompts is code."""
    return snippet.language == "console" or any(map(_PROMPT.match, snippet.lines))


def joined(snippet: Snippet) -> str:
    """Give the code of a console as one text."""
    prompts = (_PROMPT.match(line) or _MORE.match(line) for line in snippet.lines)
    return "\n".join(prompt["code"] or "" for prompt in prompts if prompt)


def _behind_prompts(snippet: Snippet) -> list[Part]:
    found: list[tuple[int, list[str], list[str]]] = []
    for number, line in enumerate(snippet.lines, snippet.first):
        if (prompt := _PROMPT.match(line)) is not None:
            found.append((number, [prompt["code"] or ""], []))
        elif not found:
            continue
        elif (more := _MORE.match(line)) is not None and not found[-1][2]:
            found[-1][1].append(more["code"] or "")
        elif "SyntaxError" in line:
            found.pop()
        else:
            found[-1][2].append(line)
    return [
        Part(first=number, text="\n".join(code), below="\n".join([*code, *rest]) if rest else "")
        for number, code, rest in found
    ]


def aligned(lines: tuple[str, ...] | list[str]) -> str:
    """Give lines as one text without the indentation that all code has; comments may stand anywhere."""
    code = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    indent = min(map(indent_of, code), default=0)
    return "\n".join(line[indent:] if indent_of(line) >= indent else line.lstrip() for line in lines)


def readings(text: str) -> Iterator[str]:
    """Give a snippet with what is not Python left out, step by step."""
    plain = lowered(text)
    yield plain
    gapless = without_gaps(plain)
    yield gapless
    yield filled(gapless)
    lines = text.split("\n")
    marks = [line[:1] for line in lines if line.strip()]
    if {"+", "-"} & {*marks} and {*marks} <= {"+", "-", " ", "@", "\\"}:
        yield lowered(aligned([line[1:] for line in lines if line[:1] not in {"-", "@", "\\"}]))
    if marks and all(_NUMBERED.match(line) for line in lines if line.strip()):
        yield lowered(aligned([_NUMBERED.sub("", line, count=1) for line in lines]))


def lowered(text: str) -> str:
    """Give a text without a notebook's commands, its newer syntax said in older words."""
    found: list[str] = []
    goes_on = False
    for line in text.split("\n"):
        found.append("" if goes_on else _lowered(line))
        goes_on = line.endswith("\\") and (goes_on or _COMMAND.match(line) is not None)
    return "\n".join(found)


def _lowered(line: str) -> str:
    if (command := _COMMAND.match(line)) is not None:
        return f"{command['indent']}pass"
    line = _GENERIC.sub(r"\g<head>", line)
    line = _TYPE.sub(r"\g<indent>\g<name> =", line)
    return _TEMPLATE_STRING.sub("f", line)


def without_gaps(text: str) -> str:
    """Give a text without the ellipses that stand for what is left out."""
    lines = ["" if _GAP_LINE.match(line) else _without_gap(line) for line in text.split("\n")]
    return _GAP_CALL.sub("", _GAP_BEFORE.sub("", _GAP_AFTER.sub("", "\n".join(lines))))


def _without_gap(line: str) -> str:
    if (around := _GAP_AROUND.match(line)) is None:
        return line
    return around["indent"] + _GAP_END.sub("", around["code"])


def filled(text: str) -> str:
    """Give a text in which every body that is left open, or holds nothing but a comment, has a statement."""
    lines = text.split("\n")
    below = len(lines)
    for at in range(len(lines) - 1, -1, -1):
        line = lines[at]
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        bare = line.rstrip()
        follows = indent_of(lines[below]) if below < len(lines) else -1
        if _OPENS.match(line) and follows <= indent_of(line):
            lines[at] = _with_body(bare)
        below = at
    return "\n".join(lines)


def _with_body(line: str) -> str:
    code, mark, _comment = line.partition(" #")
    code = code.rstrip() if mark else line
    return f"{code} pass" if code.endswith(":") else line


def frames(text: str) -> Iterator[str]:
    """Give a fragment in the frames in which it may have stood."""
    lines = [line for line in text.split("\n") if line.strip()]
    if not lines:
        return
    code = [line for line in lines if not line.lstrip().startswith("#")] or lines
    last = " " * indent_of(code[-1])
    body = textwrap.indent(text, "    ")
    if _HEADS.match(code[0]):
        yield f"try:\n    pass\n{text}"
        yield f"if _:\n    pass\n{text}"
        yield f"match _:\n{body}"
    if indent_of(code[0]):
        yield f"if _:\n{text}"
    yield f"{text}\n{last}def _(): pass"
    yield f"{text}\nexcept Exception: pass"
    yield f"_(\n{text}\n)"
    yield f"{{\n{text}\n}}"
    yield f"[\n{text}\n]"
    if _SIGNATURE.match(code[0]):
        signature = _SIGNATURE.sub("def _(", "\n".join(code), count=1).rstrip().removesuffix(":")
        yield f"{signature}: pass"
        yield "\n".join(_SIGNATURE.sub("def _(", line, count=1).rstrip().removesuffix(":") + ": pass" for line in code)


def pieces(text: str) -> list[str]:
    """Cut a text where lines are blank or stand for what is left out."""
    found: list[list[str]] = [[]]
    for line in text.split("\n"):
        if not line.strip() or _GAP_LINE.match(line):
            found.append([])
        else:
            found[-1].append(line)
    return [filled(without_gaps(aligned(lines))) for lines in found if lines]
