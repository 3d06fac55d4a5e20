"""The files for clusters as tests read them, and what the shipped team asks of the nodes that they describe."""

from __future__ import annotations

import msgspec
import yaml

from remit.loader import load_spec
from remit.supervisor.births import TRUSTED_RESOURCE, role_resource
from tests.page import ROOT

SHIPPED_TEAM = "remit.teams.audit"
TRUSTED = TRUSTED_RESOURCE

Document = dict[str, object]


def documents(file: str) -> list[Document]:
    """Give the YAML documents of a file, which is named from the root of the repository."""
    return msgspec.convert(list(yaml.safe_load_all((ROOT / file).read_text(encoding="utf-8"))), list[Document])


def document(file: str) -> Document:
    """Give the only YAML document of a file."""
    (only,) = documents(file)
    return only


def role_resources() -> set[str]:
    """Give what the hosts of the shipped team ask Ray for."""
    return {role_resource(role) for role in load_spec(SHIPPED_TEAM).roles}
