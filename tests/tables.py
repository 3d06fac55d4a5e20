"""The tables of docs/operations.md that say what is asked of NATS, as the code has them.

`python -m tests.tables` writes them into the page; a test compares.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from remit.bus import permission, topology
from tests.page import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from remit.bus.permission import Permissions
    from remit.bus.shape import ConsumerSpec, StreamSpec

PAGE: Final = ROOT / "docs/operations.md"
MEBIBYTE: Final = 1 << 20
SECOND: Final = 1_000_000_000

# Whoever stands for the others of its kind: a role, an agent of it, a gateway.
ROLE, AGENT, GATEWAY, OPERATOR, PUBLISHER = "clerk", "clerk-a1", "gw-1", "alice", "web"


def streams() -> str:
    """Give the streams with their settings."""
    rows = [(code(spec.name), codes(spec.subjects or _sources(spec)), _settings(spec)) for spec in topology.STREAMS]
    return table(("stream", "subjects", "settings"), rows)


def _sources(spec: StreamSpec) -> list[str]:
    return [
        f"{source.name}: {transform.src} -> {transform.dest}"
        for source in spec.sources
        for transform in source.subject_transforms
    ]


def _settings(spec: StreamSpec) -> str:
    said = [spec.storage, f"retention {spec.retention}"] + [f"discard {spec.discard}"] * bool(spec.discard)
    bounds = {
        "messages": spec.max_msgs,
        "a subject": spec.max_msgs_per_subject,
        "MiB": spec.max_bytes // MEBIBYTE,
        "bytes a message": spec.max_msg_size,
        "s of duplicates": spec.duplicate_window // SECOND,
    }
    said += [f"at most {bound:,} {name}" for name, bound in bounds.items() if bound > 0]
    flags = ("discard_new_per_subject", "deny_delete", "allow_direct", "allow_atomic", "allow_rollup_hdrs")
    said += [code(flag) for flag in flags if getattr(spec, flag)]
    if spec.republish is not None:
        said.append(f"republishes {code(spec.republish.src)} as {code(spec.republish.dest)}")
    return ", ".join(said)


def consumers() -> str:
    """Give the durable consumers, with one role for all."""
    found = topology.consumers([ROLE])
    rows = [(code(stream), code(spec.durable_name), codes(spec.filter_subjects), _pace(spec)) for stream, spec in found]
    return table(("stream", "consumer", "filters", "settings"), rows)


def _pace(spec: ConsumerSpec) -> str:
    deliveries = "again without end" if spec.max_deliver < 0 else f"at most {spec.max_deliver} times"
    wait_s = spec.ack_wait // SECOND
    return f"ack {spec.ack_policy} within {wait_s} s, {deliveries}, {spec.max_ack_pending:,} unacknowledged"


def identities() -> str:
    """Give what each identity may publish and hear."""
    rows = [
        (
            name,
            who.account.upper() if who.account != "system" else "SYS",
            codes(who.publish_allow),
            codes(who.publish_deny),
            codes(who.subscribe_allow),
            "yes" if who.allow_responses else "",
        )
        for name, who in _identities().items()
    ]
    return table(("identity", "account", "may publish", "but not", "may hear", "may answer what it was sent"), rows)


def _identities() -> dict[str, Permissions]:
    return {
        f"agent {code(AGENT)} of the role {code(ROLE)}, with the tool `mail.send` and the ask `critic`": (
            permission.agent_permissions(ROLE, AGENT, tools=["mail.send"], asks=["critic"])
        ),
        f"publisher {code(PUBLISHER)}": permission.publisher_permissions(PUBLISHER),
        "supervisor": permission.supervisor_permissions(),
        "supervisor, answering": permission.supervisor_answer_permissions(),
        f"gateway {code(GATEWAY)}": permission.gateway_permissions(GATEWAY),
        f"gateway {code(GATEWAY)}, answering": permission.gateway_answer_permissions(GATEWAY),
        f"operator {code(OPERATOR)}": permission.operator_permissions(OPERATOR),
        "archivist": permission.archivist_permissions(),
        "topology": permission.topology_permissions(),
        "monitor": permission.monitor_permissions("monitor"),
    }


def doors() -> str:
    """Give what crosses between the accounts."""
    services = [("EDGE", door) for door in permission.EDGE_DOORS]
    services += [("PUBLIC", door) for door in permission.PUBLIC_DOORS]
    rows = [
        (
            "service",
            account,
            code(door.subject),
            "many" if door.has_many_answers else "one",
            f"{door.answer_within_s:,} s",
        )
        for account, door in services
    ]
    rows += [("stream", "PUBLIC", code(feed), "", "") for feed in permission.PUBLIC_FEEDS]
    return table(("CORE exports a", "imported by", "subject", "answers", "within"), rows)


TABLES: Final[dict[str, Callable[[], str]]] = {
    "streams": streams,
    "consumers": consumers,
    "identities": identities,
    "doors": doors,
}


def code(text: str) -> str:
    """Give a text as code."""
    return f"`{text}`"


def codes(texts: Iterable[str]) -> str:
    """Give texts as code, one on a line of a cell."""
    return "<br>".join(map(code, texts))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Give a table of Markdown."""
    lines = ["| " + " | ".join(line) + " |" for line in rows]
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *lines, ""])


def written(page: str) -> str:
    """Give a page with every table as the code has it now."""
    for name, make in TABLES.items():
        mark = re.compile(rf"(<!-- table: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text = make()
        page, count = mark.subn(lambda found, text=text: f"{found[1]}\n{text}\n{found[2]}", page)  # type: ignore[misc]  # bound now
        if count != 1:
            message = f"the page has {count} places for the table {name}"
            raise ValueError(message)
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
