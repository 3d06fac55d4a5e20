"""What makes little of a finding that text or bytes are read unsafely: they are the program's own, or checked."""

from remit.teams.audit.code.excuse import Spot
from remit.teams.audit.code.own_data import begins_quoted, is_packaged, is_quoted, is_written_here


def quoted(spot: Spot) -> str:
    """What is executed can be nothing but a literal, or is checked to begin as one."""
    if spot.function is None:
        return ""
    if is_quoted(spot.source, spot.function, spot.line):
        return "the text is checked to be a quoted literal before it is read"
    if begins_quoted(spot.source, spot.function, spot.line):
        return "the text is checked to begin with a quote, as a quoted literal does, before it is read"
    return ""


def written_here(spot: Spot) -> str:
    """What is read lies where the same class or module wrote it, or came with the package."""
    if spot.function is None:
        return ""
    if is_written_here(spot.source, spot.function, spot.line):
        return "it reads back what it wrote itself"
    if is_packaged(spot.source, spot.function, spot.line, callers=spot.callers(spot.function.name)):
        return "it reads back its own data: all that call it pass what came with the package or was dumped there"
    return ""
