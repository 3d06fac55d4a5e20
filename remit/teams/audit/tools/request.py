"""What a scan is asked: the view, and the files to look at."""

from typing import Literal

import msgspec

from remit.teams.audit.finding import Skill
from remit.teams.audit.sighting import Doubt


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What to look at, and how."""

    view: Skill | Literal["again", "blame"]
    root: str
    files: tuple[str, ...] = ()
    doubts: tuple[Doubt, ...] = ()
