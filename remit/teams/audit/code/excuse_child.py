"""What makes little of a finding that a program is waited for without a limit."""

import ast

from remit.teams.audit.code.excuse import Spot
from remit.teams.audit.code.waiting import PROGRAM, own_program


def own_child(spot: Spot) -> str:
    """The program is Python, or a tool that works on the user's files on purpose."""
    calls = (node for node in spot.source.nodes(ast.Call) if node.lineno == spot.line)
    reasons = (own_program(spot.source, call) for call in calls if f"`{PROGRAM}" in spot.message)
    return next((reason for reason in reasons if reason), "")
