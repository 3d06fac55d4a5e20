"""Calls that hand control to whoever writes the bytes: shells, eval, unsafe readers, unchecked certificates."""

import ast
import re
from collections.abc import Iterator

from remit.teams.audit.code.callee import Names, is_constant, keyword, names_of
from remit.teams.audit.code.complexity import seen
from remit.teams.audit.sighting import Sighting
from remit.teams.audit.source import Source, unparsed

SHELLS = frozenset({"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"})
READERS = frozenset(
    {"pickle.load", "pickle.loads", "pickle.Unpickler", "_pickle.loads", "cPickle.loads", "dill.load", "dill.loads"}
    | {"cloudpickle.load", "cloudpickle.loads", "marshal.load", "marshal.loads", "shelve.open", "joblib.load"}
    | {"jsonpickle.decode", "pandas.read_pickle", "yaml.unsafe_load", "yaml.unsafe_load_all"}
)
TEMP_NAMES = frozenset({"tempfile.mktemp", "os.tempnam", "os.tmpnam"})
WEAK_HASHES = frozenset({"hashlib.md5", "hashlib.sha1"})
_HTTP = frozenset({"get", "post", "put", "patch", "delete", "head", "options", "request", "stream", "send"})
_CLIENTS = frozenset({"Client", "AsyncClient", "Session"})
_PASSWORD = re.compile(r"passw|passphrase|\bpwd\b", re.IGNORECASE)


def sightings(source: Source) -> Iterator[Sighting]:
    """Give every unsafe call of a file."""
    names = names_of(source)
    for call in source.nodes(ast.Call):
        callee = names.callee(call)
        for rule, detail in _judge(call, callee, names):
            yield seen(source, rule, call.lineno, detail=detail)


def _judge(call: ast.Call, callee: str, names: Names) -> Iterator[tuple[str, str]]:
    if _runs_shell(call, callee):
        yield "shell-injection", "constant command" if call.args and is_constant(call.args[0]) else callee
    if callee in {"eval", "exec"} and call.args and not _is_literal(call.args[0]):
        yield "dynamic-code", callee
    if callee in READERS or _is_unsafe_yaml(call, callee, names) or _is_unsafe_tensor(call, callee):
        yield "unsafe-deserialisation", callee
    if callee in TEMP_NAMES:
        yield "insecure-temp-file", callee
    if _skips_certificates(call, callee):
        yield "tls-check-off", callee
    if callee in WEAK_HASHES and not is_constant(keyword(call, "usedforsecurity"), value=False):
        subject = " ".join(unparsed(argument) for argument in call.args)
        if _PASSWORD.search(subject):
            yield "weak-password-hash", callee


def _runs_shell(call: ast.Call, callee: str) -> bool:
    return callee in SHELLS or (callee.startswith("subprocess.") and is_constant(keyword(call, "shell"), value=True))


def _is_literal(node: ast.expr) -> bool:
    inner = node.args[0] if isinstance(node, ast.Call) and node.args and _is_compile(node) else node
    return is_constant(inner)


def _is_compile(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Name) and node.func.id == "compile"


def _is_unsafe_yaml(call: ast.Call, callee: str, names: Names) -> bool:
    if callee not in {"yaml.load", "yaml.load_all"}:
        return False
    loader = keyword(call, "Loader") or (call.args[1] if len(call.args) > 1 else None)
    said = unparsed(loader) if loader is not None else ""
    known = names.known.get(said, said)
    return "Safe" not in known and "Base" not in known


def _is_unsafe_tensor(call: ast.Call, callee: str) -> bool:
    return callee == "torch.load" and is_constant(keyword(call, "weights_only"), value=False)


def _skips_certificates(call: ast.Call, callee: str) -> bool:
    if callee == "ssl._create_unverified_context":
        return True
    last = callee.rsplit(".", 1)[-1]
    return (last in _HTTP or last in _CLIENTS) and is_constant(keyword(call, "verify"), value=False)
