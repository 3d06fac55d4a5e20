"""A Python file as text: read inside the root, decoded as Python would, with the symbol around any line."""

import ast
import hashlib
import io
import os
import re
import stat
import tokenize
import warnings
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

Node = TypeVar("Node", bound=ast.AST)

_LEAVES = frozenset({ast.Name, ast.Constant, ast.alias, ast.Pass})
_MARKS = frozenset({"ctx", "op", "ops", "type_comment", "kind", "level", "lineno"})
"""Fields of nodes that hold no node with a place of its own."""
_PARTS = {
    kind: () if kind in _LEAVES else tuple(name for name in kind._fields if name not in _MARKS)
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST)
}
Function = ast.FunctionDef | ast.AsyncFunctionDef
READ_LIMIT_BYTES = 2 * 1024 * 1024
TEXT_LIMIT = 160
_OPENS = re.compile(r"^[ \t]*(?:async[ \t]+)?(?:def|class)[ \t]+(?P<name>\w+)")


class UnreadableError(Exception):
    """A file that cannot be looked at; `rule` says which finding that is, or is empty if it is none."""

    def __init__(self, rule: str, cause: str, line: int = 1, *, digest: str = "", is_given_up: bool = False) -> None:
        super().__init__(cause)
        self.digest = digest
        self.is_given_up = is_given_up
        """The parser could not go on, whatever the file says."""
        self.rule = rule
        self.cause = cause
        self.line = line


@dataclass(frozen=True)
class Source:
    """One file that was read and decoded."""

    path: str
    text: str
    digest: str

    @cached_property
    def lines(self) -> list[str]:
        """Every line without its end, counted as Python counts them: a form feed ends none."""
        return self.text.replace("\r\n", "\n").replace("\r", "\n").split("\n")

    @property
    def length(self) -> int:
        """How many lines there are: what follows the last line's end is none."""
        return len(self.lines) - (self.lines[-1] == "")

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree.

        Raises:
            UnreadableError: the file does not parse.
        """
        return parsed(self.text)

    @cached_property
    def _by_kind(self) -> dict[type[ast.AST], list[ast.AST]]:
        found: dict[type[ast.AST], list[ast.AST]] = defaultdict(list)
        for node in self.walked[0]:
            found[node.__class__].append(node)
        return found

    @cached_property
    def walked(self) -> tuple[list[ast.AST], list[Function | None]]:
        """Every node of the tree, operators left out, and for each the innermost function around it."""
        nodes, owners = list[ast.AST]([self.tree]), list[Function | None]([None])
        for node, owner in zip(nodes, owners, strict=False):  # both grow while they are walked
            if below := children(node):
                around = node if isinstance(node, Function) else owner
                nodes += below
                owners += [around] * len(below)
        return nodes, owners

    def nodes(self, kind: type[Node]) -> list[Node]:
        """Give every node of a kind; the tree is walked once, whoever asks."""
        return [node for node in self._by_kind.get(kind, ()) if isinstance(node, kind)]

    @property
    def functions(self) -> list[Function]:
        """Every function, nested ones too."""
        return [*self.nodes(ast.FunctionDef), *self.nodes(ast.AsyncFunctionDef)]

    def line(self, number: int) -> str:
        """Give one line, stripped and cut; empty if there is none."""
        return self._cut[number - 1] if 0 < number <= len(self.lines) else ""

    @cached_property
    def _cut(self) -> list[str]:
        return [line.strip()[:TEXT_LIMIT] for line in self.lines]

    def symbol(self, number: int) -> str:
        """Name the function or class around a line, outermost first.

        By indentation, not by syntax tree, so that it also works where a file does not parse, and a linter's
        line gets the same name as our own.
        """
        names: list[str] = []
        at = self._openers[number - 1] if 0 < number <= len(self.lines) else -1
        while at >= 0:
            names.append(self._names[at][0])
            at = self._names[at][1]
        return ".".join(reversed(names))

    @property
    def _openers(self) -> list[int]:
        """For every line, the index in `_names` of the innermost function or class around it; -1 for none."""
        return self._outline[0]

    @property
    def _names(self) -> list[tuple[str, int]]:
        """Every function and class, with the index of the one around it."""
        return self._outline[1]

    @cached_property
    def _outline(self) -> tuple[list[int], list[tuple[str, int]]]:
        """Read the indentation of all lines once, so that a file with very many findings costs no more than its size.

        `columns` are those of the lines above that stand further left than all between them and here, each with the
        innermost function or class as seen from below it.
        """
        openers, names = list[int](), list[tuple[str, int]]()
        columns, inner = list[int](), list[int]()
        for line in self.lines:
            bare = line.lstrip()
            indent = len(line[: len(line) - len(bare)].expandtabs())
            left = bisect_left(columns, indent)
            around = inner[left - 1] if left else -1
            if opens := _OPENS.match(line):
                names.append((opens["name"][:TEXT_LIMIT], around))
                around = len(names) - 1
            openers.append(around)
            if bare and not bare.startswith(("#", ")")):
                columns[left:], inner[left:] = [indent], [around]
        return openers, names


def children(node: ast.AST) -> list[ast.AST]:
    """Give the nodes below a node, its operators left out; a third of the time of `ast.iter_child_nodes`."""
    found: list[ast.AST] = []
    for name in _PARTS[node.__class__]:
        if not (value := getattr(node, name, None)):
            continue
        if value.__class__ is not list:
            if isinstance(value, ast.AST):
                found.append(value)
        elif None not in value and isinstance(value[0], ast.AST):
            found += value
        else:  # names, or nodes of which some are left out, as in `{**more}`
            found += [item for item in value if isinstance(item, ast.AST)]
    return found


def statements(tree: ast.Module) -> list[ast.stmt]:
    """Give every statement of a module, those inside functions too, without the expressions."""
    found: list[ast.stmt] = list(tree.body)
    for node in found:
        for name in ("body", "orelse", "finalbody"):
            found.extend(getattr(node, name, ()))
        for block in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
            found.extend(block.body)
    return found


def unparsed(node: ast.AST) -> str:
    """Give a part of a tree as source; nothing of one that nests deeper than Python writes down again."""
    try:
        return ast.unparse(node)
    except RecursionError:
        return ""


def parsed(text: str) -> ast.Module:
    """Give the syntax tree of a text.

    Raises:
        UnreadableError: it does not parse.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except SyntaxError as error:
        raise UnreadableError("syntax-error", error.msg or "invalid syntax", error.lineno or 1) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise UnreadableError(
            "syntax-error", f"the parser gave up: {type(error).__name__}", is_given_up=True
        ) from error


def inside(root: Path, path: str) -> Path:
    """Give the file behind a relative path, which must lie in the root after every symlink is followed.

    Raises:
        UnreadableError: it is absolute, climbs out, is no regular file, or is not there.
    """
    if not path or Path(path).is_absolute() or ".." in Path(path).parts or "\0" in path:
        raise UnreadableError("", "the path leaves the repository")
    if is_plain(root, path):
        return root / path
    try:
        found = (root / path).resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise UnreadableError("", "it is not there, or its links lead nowhere") from error
    if not found.is_relative_to(root.resolve()):
        raise UnreadableError("", "a symlink leads out of the repository")
    if not found.is_file():
        raise UnreadableError("", "it is no regular file")
    return found


def is_plain(root: Path, path: str) -> bool:
    """Say whether a relative path leads through folders to a regular file, and through no symlink: it stays inside.

    Asked first because it looks at the names below the root only, and nearly every file is so.
    """
    *folders, name = path.split("/")
    at = str(root)
    try:
        for folder in folders:
            at = f"{at}/{folder}"
            if not stat.S_ISDIR(os.lstat(at).st_mode):
                return False
        return stat.S_ISREG(os.lstat(f"{at}/{name}").st_mode)
    except (OSError, ValueError):
        return False


def content(root: Path, path: str) -> bytes:
    """Give a file's bytes.

    Raises:
        UnreadableError: it lies outside, is not there, or is larger than the read limit.
    """
    file = inside(root, path)
    try:
        if (size := file.stat().st_size) > READ_LIMIT_BYTES:
            raise UnreadableError("huge-file", f"{size} bytes, above the read limit of {READ_LIMIT_BYTES}")
        return file.read_bytes()
    except OSError as error:
        raise UnreadableError("", f"it cannot be read: {error.strerror}") from error


def load(root: Path, path: str) -> Source:
    """Read and decode one Python file.

    Raises:
        UnreadableError: as for `content`, or its bytes do not fit its encoding.
    """
    data = content(root, path)
    try:
        encoding, _lines = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding)
        text.encode()  # some encodings give halves of characters, which are no text to anybody else
    except (SyntaxError, UnicodeError, LookupError) as error:
        line = data[: error.start].count(b"\n") + 1 if isinstance(error, UnicodeDecodeError) else 1
        raise UnreadableError(
            "undecodable-file", f"its bytes are not {_encoding(error)}", line, digest=blob_digest(data)
        ) from error
    return Source(path, text.removeprefix("\ufeff"), blob_digest(data))


def blob_digest(data: bytes) -> str:
    """Give the digest by which a file's content is named."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _encoding(error: Exception) -> str:
    return error.encoding if isinstance(error, UnicodeDecodeError) else "in the encoding that it declares"
