"""Run a tool's body until its deadline: async on the loop, sync in a bounded pool of threads."""

from __future__ import annotations

import asyncio
import inspect
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal
from weakref import WeakSet

import msgspec

from remit.contracts.errors import (
    Fault,
    MalformedMessageError,
    RemitError,
    ToolFailedError,
    ToolNotDoneError,
    ToolTimeoutError,
)
from remit.contracts.message import decode_any, encode
from remit.tools.process_group import GRACE_S
from remit.tools.program import Programs
from remit.tools.stops import Cut

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

Effected = Literal["yes", "no", "unknown", "still_running"]
"""Whether the body had its effect: yes, it returned · no, it never began or says so itself · unknown, it broke off ·
still_running, it outlived its deadline and goes on."""

_THREADS: Final = 32
_GRACE_S: Final = 1.0
"""How long a cancelled body may take to clean up before it counts as still running."""
_TEXT_LIMIT: Final = 2000


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How a body ended: `value` holds its encoded result, unless `fault` says what went wrong."""

    effected: Effected
    value: bytes = b""
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class _Returned:
    value: object


@dataclass(frozen=True, slots=True)
class _Raised:
    error: BaseException


_Ended = _Returned | _Raised


@dataclass(frozen=True, slots=True)
class _Limit:
    """Until when a body may run, what cuts it off before, and the programs that end with it."""

    give_up_at: float
    cut: Cut
    programs: Programs

    def reached(self, effected: Effected) -> Execution:
        """Give what is known of a body that did not end by itself."""
        late = ToolTimeoutError("the tool did not end before its deadline")
        return Execution(effected=effected, fault=self.cut.fault or late.fault())


class Executor:
    """Runs bodies.

    A thread cannot be stopped: one that hangs past its deadline is missing from the pool until it ends, and a call
    that finds no free thread in its time is answered as not done.
    """

    def __init__(self, *, threads: int = _THREADS) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="tool")
        self._outlived: set[asyncio.Future[_Ended]] = set()
        self._calls: WeakSet[Programs] = WeakSet()

    @property
    def hanging(self) -> int:
        """How many bodies outlived their deadline and still run."""
        return len(self._outlived)

    async def run(
        self,
        body: Callable[..., object],
        arguments: Mapping[str, object],
        *,
        returns: object,
        within_s: float,
        cut: Cut | None = None,
    ) -> Execution:
        """The body ended, or its time did, or it was cut off; no program that it started runs any more."""
        limit = _Limit(asyncio.get_running_loop().time() + within_s, cut or Cut(), Programs())
        self._calls.add(limit.programs)
        ended: _Ended | Execution
        with limit.programs.within():
            try:
                if inspect.iscoroutinefunction(body):
                    ended = _called(body, arguments)
                else:
                    ended = await self._in_thread(body, arguments, limit)
                if isinstance(ended, _Returned) and inspect.isawaitable(ended.value):
                    ended = await self._on_loop(ended.value, limit)
            finally:
                limit.programs.end()
        if isinstance(ended, Execution):
            return ended
        return checked(ended.value, returns) if isinstance(ended, _Returned) else _broken(ended.error)

    async def end(self) -> None:
        """No body is begun any more, and no program of one runs; what hangs in a thread is left alone."""
        self.close()
        for programs in self._calls:
            programs.end()
        if any(programs.is_running for programs in self._calls):
            await asyncio.sleep(GRACE_S)
        for programs in self._calls:
            programs.kill()

    def close(self) -> None:
        """No body is begun any more; those that hang in a thread are left alone."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _on_loop(self, work: Awaitable[object], limit: _Limit) -> _Ended | Execution:
        task = asyncio.ensure_future(_guarded(work))
        if await self._wait(task, limit):
            return _of_task(task)
        task.cancel()
        limit.programs.end()
        return limit.reached("unknown" if await self._is_over(task) else "still_running")

    async def _in_thread(
        self, body: Callable[..., object], arguments: Mapping[str, object], limit: _Limit
    ) -> _Ended | Execution:
        running = self._pool.submit(copy_context().run, _called, body, arguments)
        task = asyncio.wrap_future(running)
        if await self._wait(task, limit):
            return task.result()
        if running.cancel():
            fault = ToolNotDoneError("every thread of the gateway is busy; the tool was not called").fault()
            return Execution(effected="no", fault=limit.cut.fault or fault)
        has_program = limit.programs.is_running
        limit.programs.end()
        # A thread cannot be stopped, but it goes on at once when the program is gone for which it waits.
        return limit.reached("unknown" if has_program and await self._is_over(task) else "still_running")

    async def _is_over(self, task: asyncio.Future[_Ended]) -> bool:
        return await self._wait(task, _Limit(asyncio.get_running_loop().time() + _GRACE_S, Cut(), Programs()))

    async def _wait(self, task: asyncio.Future[_Ended], limit: _Limit) -> bool:
        """Say whether the body is over when its time is, or when it is cut off; it is told to stop only if we are."""
        timeout_s = max(0.0, limit.give_up_at - asyncio.get_running_loop().time())
        either: set[asyncio.Future[_Ended] | asyncio.Future[Fault]] = {task, limit.cut.asked}
        try:
            await asyncio.wait(either, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            task.cancel()
            raise
        finally:
            if not task.done():
                self._outlived.add(task)
                task.add_done_callback(self._outlived.discard)
        return task.done()


async def _guarded(work: Awaitable[object]) -> _Ended:
    try:
        return _Returned(await work)
    except (asyncio.CancelledError, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001  # whatever a body raises, SystemExit too, is data about the tool
        return _Raised(error)


def _called(body: Callable[..., object], arguments: Mapping[str, object]) -> _Ended:
    try:
        return _Returned(body(**arguments))
    except BaseException as error:  # noqa: BLE001  # as above; StopIteration could not even leave a future
        return _Raised(error)


def _of_task(task: asyncio.Future[_Ended]) -> _Ended:
    # Nobody of ours cancelled it: the body did that to itself.
    return _Raised(asyncio.CancelledError("the tool cancelled itself")) if task.cancelled() else task.result()


def checked(value: object, returns: object) -> Execution:
    """Give the encoded result if it fits what the tool declares; the effect happened either way."""
    try:
        data = encode(value)
        decode_any(returns, data)
    except MalformedMessageError as error:
        fault = _misfit(error.message, where=f"result{error.where.removeprefix('$')}")
        return Execution(effected="yes", fault=msgspec.structs.replace(fault, expected=error.expected, got=error.got))
    except Exception as error:  # noqa: BLE001  # a user's type may raise anything while it is written or read
        return Execution(effected="yes", fault=_misfit(_said(error), where="result"))
    return Execution(effected="yes", value=data)


def _misfit(why: str, *, where: str) -> Fault:
    return ToolFailedError(f"the tool's result does not fit its declared type: {why}", where=where).fault()


def _broken(error: BaseException) -> Execution:
    effected: Effected = "no" if isinstance(error, ToolNotDoneError) else "unknown"
    if isinstance(error, RemitError):
        return Execution(effected=effected, fault=bounded(error.fault()))
    fault = ToolFailedError(f"{type(error).__name__}: {_said(error)}".rstrip(": "), where=_line_of(error)).fault()
    return Execution(effected=effected, fault=bounded(fault))


def bounded(fault: Fault) -> Fault:
    """Give a fault whose every text fits into an answer, however long the error's was."""
    cut = {name: getattr(fault, name)[:_TEXT_LIMIT] for name in ("message", "where", "expected", "got", "fix")}
    return msgspec.structs.replace(fault, **cut)


def _said(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001  # a user's __str__ may raise too; the failure must still be told
        return f"(its text raised {type(broken).__name__})"


def _line_of(error: BaseException) -> str:
    """Give file and line where a body raised, its folder left out."""
    frames = list(traceback.walk_tb(error.__traceback__))
    own = [(frame.f_code.co_filename, line) for frame, line in frames if frame.f_code.co_filename != __file__]
    return f"{Path(own[0][0]).name}:{own[0][1]}" if own else ""
