"""What a call calls: `sp.run` after `import subprocess as sp` is `subprocess.run`."""

import ast
from dataclasses import dataclass, field

from remit.teams.audit.source import Source


@dataclass
class Names:
    """Dotted names behind the names of one module."""

    known: dict[str, str] = field(default_factory=dict)

    def callee(self, call: ast.Call) -> str:
        """Give the dotted name that a call calls, or the bare attribute as `.name` if nobody knows on what."""
        parts: list[str] = []
        node: ast.expr = call.func
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return f".{parts[0]}" if parts else ""
        if node.id in self.known:
            return ".".join((self.known[node.id], *reversed(parts)))
        return f".{parts[0]}" if parts else node.id


def names_of(source: Source) -> Names:
    """Read every import of a module; what the module defines itself is no builtin and no import."""
    names = Names()
    for plain in source.nodes(ast.Import):
        for alias in plain.names:
            top = alias.name.split(".")[0]
            names.known[alias.asname or top] = alias.name if alias.asname else top
    for node in source.nodes(ast.ImportFrom):
        for alias in node.names:
            module = "." * node.level + (node.module or "")
            names.known[alias.asname or alias.name] = f"{module}.{alias.name}"
    own = [node.name for node in source.functions] + [node.name for node in source.nodes(ast.ClassDef)]
    for name in own:
        names.known.setdefault(name, f"self.{name}")
    return names


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """Give the value of a keyword argument."""
    return next((item.value for item in call.keywords if item.arg == name), None)


def is_constant(node: ast.expr | None, value: object = ...) -> bool:
    """Say whether a node is a literal; or exactly this one."""
    return isinstance(node, ast.Constant) and (value is ... or node.value is value)


def forwards(call: ast.Call) -> bool:
    """Say whether a call passes on arguments that are not written here: `*args`, `**kwargs`."""
    return any(item.arg is None for item in call.keywords) or any(isinstance(item, ast.Starred) for item in call.args)
