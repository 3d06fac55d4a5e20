"""What a call calls: `sp.run` after `import subprocess as sp` is `subprocess.run`."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field


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


def names_of(tree: ast.Module) -> Names:
    """Read every import of a module; a builtin that the module defines itself is known by the module's name for it."""
    names = Names()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names.known[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                module = "." * node.level + (node.module or "")
                names.known[alias.asname or alias.name] = f"{module}.{alias.name}"
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.known.setdefault(node.name, f"self.{node.name}")
    return names


def calls(tree: ast.Module) -> Iterator[ast.Call]:
    """Give every call of a module."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """Give the value of a keyword argument."""
    return next((item.value for item in call.keywords if item.arg == name), None)


def is_constant(node: ast.expr | None, value: object = ...) -> bool:
    """Say whether a node is a literal; or exactly this one."""
    return isinstance(node, ast.Constant) and (value is ... or node.value is value)


def forwards(call: ast.Call) -> bool:
    """Say whether a call passes on arguments that are not written here: `*args`, `**kwargs`."""
    return any(item.arg is None for item in call.keywords) or any(isinstance(item, ast.Starred) for item in call.args)
