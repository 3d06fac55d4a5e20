"""A build that dropped something serves what another build began."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from remit.contracts.control import ControlDone, ForkRun
from remit.contracts.message import decode, raw
from remit.contracts.plan import Node, PlanSpec
from remit.contracts.proposal import StateCommitted, StateParked
from remit.contracts.task import RunBound
from remit.contracts.upcast import Upcast
from remit.supervisor.binding import Inheritance
from tests.integration.supervisor.test_dispute_rollback import disputed
from tests.integration.supervisor.world import crash, holder
from tests.teams import ROLES, WORKFLOWS, Note, Order, Sheet, shop, charter

if TYPE_CHECKING:
    from tests.integration.supervisor.world import World
