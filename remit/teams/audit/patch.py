"""A patch as text: which rules one may mend, the difference that `git apply` takes, and what it may change."""

import ast
import difflib
import re
from collections.abc import Sequence

from remit.teams.audit.mending import Mending
from remit.teams.audit.source import UnreadableError, parsed

MECHANICAL = ("F541", "F632", "W605")
"""Rules of ruff whose fix is safe, and of which the syntax tree shows that it changed nothing else: an f-string without
placeholders, `is` with a literal, and a backslash that escapes nothing."""
PROPOSED = frozenset({"missing-timeout", "swallowed-exception", "insecure-temp-file"})
"""Rules that a model may propose a patch for: the same detector tells whether the finding is gone with it."""
_BY_MODEL = "model-"
_UNFIT = re.compile(r'[\x00-\x1f"\\]')
_SLUG = re.compile(r"[^A-Za-z0-9._]+")
_NO_NEWLINE = "\\ No newline at end of file\n"


def patch_name(work: Mending) -> str:
    """Name the patch of a file: by its number, the rules, and the file."""
    slug = _SLUG.sub("-", work.path).strip("-.")[-60:]
    by = _BY_MODEL if work.model else ""
    return f"patches/{work.number:03}-{by}{'-'.join(work.rules) or 'drill'}-{slug}.patch"


def is_by_model(name: str) -> bool:
    """Say by the name of a patch whether a model wrote it: such a patch is not run, and not committed."""
    number, dash, rest = name.rpartition("/")[2].partition("-")
    return number.isdigit() and bool(dash) and rest.startswith(_BY_MODEL)


def difference(path: str, before: str, after: str) -> str:
    """Give a unified diff of one file that `git apply` takes at the root of the repository.

    Raises:
        ValueError: the path cannot stand in a patch.
    """
    if _UNFIT.search(path):
        raise ValueError(path)
    tab = "\t" if " " in path else ""  # a name with spaces ends at a tab
    old, new = (text.split("\n") for text in (before, after))
    lines = list(difflib.unified_diff(_ended(old), _ended(new), f"a/{path}{tab}", f"b/{path}{tab}", n=3))
    return "".join(line if line.endswith("\n") else f"{line}\n{_NO_NEWLINE}" for line in lines)


def _ended(lines: list[str]) -> list[str]:
    """Give lines with their ends, as git counts them: only a line feed ends one, and the last may have none."""
    *whole, last = lines
    return [*(f"{line}\n" for line in whole), *([last] if last else [])]


def spoilt(text: str) -> str:
    """Give a patch that fits nowhere any more: the first line that it would take out is another one."""
    head, mark, rest = text.partition("\n-")
    return f"{head}{mark}this line stands nowhere: {rest}"


def drill_patch(path: str) -> str:
    """Give a patch that fits nowhere, of a file with nothing to mend."""
    return spoilt(f"--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-\n+\n")


def is_only(rules: Sequence[str], before: str, after: str) -> bool:
    """Say whether a fix changed what its rules are about, and nothing else of what the file means."""
    try:
        return _meaning(rules, parsed(before)) == _meaning(rules, parsed(after))
    except (UnreadableError, RecursionError):
        return False


def _meaning(rules: Sequence[str], tree: ast.AST) -> str:
    if "F541" in rules:
        tree = _Joined().visit(tree)
    if "F632" in rules:
        tree = _Compared().visit(tree)
    return ast.dump(tree)


class _Joined(ast.NodeTransformer):
    """An f-string without placeholders is the text that it holds."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:  # ast calls it
        """Give the constant that it is."""
        texts = [item.value for item in node.values if isinstance(item, ast.Constant)]
        if len(texts) < len(node.values):
            return self.generic_visit(node)
        return ast.Constant("".join(str(text) for text in texts))


class _Compared(ast.NodeTransformer):
    """Of two things one of which is a literal, `is` asks what `==` asks."""

    def visit_Compare(self, node: ast.Compare) -> ast.AST:  # ast calls it
        """Give the comparison with `==` wherever a side is a literal."""
        sides = [node.left, *node.comparators]
        node.ops = [
            _equal(op) if _is_literal(one) or _is_literal(other) else op
            for op, one, other in zip(node.ops, sides, sides[1:], strict=False)
        ]
        return self.generic_visit(node)


def _equal(op: ast.cmpop) -> ast.cmpop:
    return {ast.Is: ast.Eq(), ast.IsNot: ast.NotEq()}.get(type(op), op)


def _is_literal(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp):
        return _is_literal(node.operand)
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str | bytes | int | float | complex) and not isinstance(node.value, bool)
    return isinstance(node, ast.JoinedStr | ast.Tuple | ast.List | ast.Dict | ast.Set)
