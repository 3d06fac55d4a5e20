"""Where a model is asked: a gateway with its tool, and a server of models that does as it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remit.bus.connection import Bus
from remit.contracts.charter import ToolCharter
from remit.contracts.ids import GatewayId
from remit.contracts.message import encode, raw
from remit.contracts.model import ModelMessage
from remit.contracts.team import TeamSpec
from remit.contracts.tool import CallTool
from remit.tools.gateway import Gateway
from remit.tools.model import Price, model_tool
from tests.integration.tools import workshop

if TYPE_CHECKING:
    from pathlib import Path

    from remit.contracts.model import Completion
    from remit.tools.tool import Tool
    from tests.integration.tools.conftest import Answer, Floor
    from tests.model_server import ModelServer

KEY = "sk-0123456789-secret"
HELLO = (ModelMessage(role="user", content="hello"),)


class ModelFloor:
    """A gateway with one model's tool, on the floor of the others."""

    def __init__(self, floor: Floor, server: ModelServer, key_file: Path) -> None:
        self.floor = floor
        self.server = server
        self.key_file = key_file

    def tool(self, **options: object) -> Tool[Completion]:
        told = {"models": {"small": Price(input=1.0, output=2.0), "large": Price(input=10.0, output=20.0)}} | options
        return model_tool(self.server.url, key_file=self.key_file, **told)  # type: ignore[arg-type]  # as the test says

    async def serve(
        self, tool: Tool[Completion] | None = None, *, timeout_s: float = 20.0, name: str = "gw-1"
    ) -> Gateway:
        """A gateway serves the tool, and the step may call it."""
        tool = tool or self.tool()
        rule = ToolCharter(risk="medium", review="none", timeout_s=timeout_s)
        charter = workshop.team(0).charter.model_copy(update={"tools": {tool.name: rule}})
        team = TeamSpec(name="w", roles={}, workflows={}, tools={tool.name: tool.spec()}, state=(), charter=charter)
        journal_bus, answer_bus = await self._connect(name), await self._connect(f"{name}-answer")
        gateway = await Gateway.start(
            journal_bus,
            answer_bus,
            team=team,
            tools={tool.name: tool},
            name=GatewayId(name),
            data_dir=self.floor.folder,
            on_bug=self.floor.bugs.append,
            clock=self.floor.clock,
        )
        await answer_bus.flush()
        self.floor.keep(gateway)
        return gateway

    async def ask(self, position: str = "0", /, **arguments: object) -> Answer:
        """Give the gateway's answer to one call of the model."""
        arguments = {"messages": HELLO} | arguments
        call = CallTool(
            run_id="r1", step="s", epoch=1, position=position, tool="model.complete", arguments=raw(arguments)
        )
        return await self.floor.call("model.complete", body=encode(call))

    async def journal(self) -> bytes:
        """Give everything that the journal holds of the run."""
        return b"\n".join([entry.data async for entry in self.floor.journal.read("remit.run.r1.>")])

    async def _connect(self, name: str) -> Bus:
        self.floor.buses.append(await Bus.connect(self.floor.url, name=name))
        return self.floor.buses[-1]
