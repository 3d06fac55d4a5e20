"""A body runs until its deadline, and whatever it does is data."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from remit.contracts.errors import GrantDeniedError, ToolNotDoneError
from remit.tools.execute import Execution, Executor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

SOON_S = 0.05


@pytest.fixture
def executor() -> Iterator[Executor]:
    executor = Executor(threads=1)
    yield executor
    executor.close()


def code(execution: Execution) -> str:
    assert execution.fault is not None
    return execution.fault.code


async def test_an_async_body_runs_on_the_loop(executor: Executor) -> None:
    async def body(n: int) -> tuple[int, bool]:
        return n + 1, threading.current_thread() is threading.main_thread()

    assert await executor.run(body, {"n": 1}, returns=tuple[int, bool], within_s=5) == Execution(
        effected="yes", value=b"[2,true]"
    )


async def test_a_sync_body_runs_in_a_thread(executor: Executor) -> None:
    def body(n: int) -> tuple[int, bool]:
        return n + 1, threading.current_thread() is threading.main_thread()

    assert await executor.run(body, {"n": 1}, returns=tuple[int, bool], within_s=5) == Execution(
        effected="yes", value=b"[2,false]"
    )


async def test_a_function_that_gives_a_coroutine_is_awaited(executor: Executor) -> None:
    async def later() -> int:
        return 7

    def body() -> Awaitable[int]:
        return later()

    assert (await executor.run(body, {}, returns=int, within_s=5)).value == b"7"


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad"),
        SystemExit(3),
        KeyboardInterrupt(),
        StopIteration("done"),
        StopAsyncIteration(),
        RecursionError("deep"),
        asyncio.CancelledError("mine"),
        ExceptionGroup("several", [ValueError("one")]),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("is_async", [True, False])
async def test_whatever_a_body_raises_is_an_error_with_its_class_and_line(
    executor: Executor,
    error: BaseException,
    is_async: bool,  # noqa: FBT001
) -> None:
    async def on_loop() -> int:
        raise error

    def in_thread() -> int:
        raise error

    execution = await executor.run(on_loop if is_async else in_thread, {}, returns=int, within_s=5)

    assert execution.effected == "unknown"
    assert execution.fault is not None
    assert execution.fault.code == "RM-500"
    wanted = "RuntimeError" if is_async and isinstance(error, StopIteration) else None
    assert execution.fault.message.startswith(wanted or type(error).__name__)


async def test_where_a_body_raised_is_said_without_its_folder(executor: Executor) -> None:
    def body() -> int:
        return 1 // 0

    execution = await executor.run(body, {}, returns=int, within_s=5)

    assert execution.fault is not None
    assert execution.fault.message == "ZeroDivisionError: integer division or modulo by zero"
    assert execution.fault.where == f"test_execute.py:{body.__code__.co_firstlineno + 1}"


async def test_an_error_of_ours_keeps_its_fields(executor: Executor) -> None:
    def body() -> int:
        raise GrantDeniedError("no", where="w", expected="e", got="g")

    execution = await executor.run(body, {}, returns=int, within_s=5)

    assert execution.fault == GrantDeniedError("no", where="w", expected="e", got="g").fault()
    assert execution.effected == "unknown"


async def test_a_body_may_say_that_nothing_happened(executor: Executor) -> None:
    def body() -> int:
        raise ToolNotDoneError("no line")

    assert (await executor.run(body, {}, returns=int, within_s=5)).effected == "no"


async def test_an_error_whose_text_raises_is_told_all_the_same(executor: Executor) -> None:
    class Rude(Exception):  # noqa: N818
        def __str__(self) -> str:
            raise ValueError

    def body() -> int:
        raise Rude

    execution = await executor.run(body, {}, returns=int, within_s=5)

    assert execution.fault is not None
    assert execution.fault.message == "Rude: (its text raised ValueError)"


async def test_an_endless_error_text_is_cut(executor: Executor) -> None:
    def body() -> int:
        raise ValueError("x" * 10_000_000)

    execution = await executor.run(body, {}, returns=int, within_s=5)

    assert execution.fault is not None
    assert len(execution.fault.message) == 2000


@pytest.mark.parametrize(
    ("value", "returns"),
    [("1", int), (True, int), (1.5, int), (None, str), (float("nan"), float), (object(), str), ({1, "a"}, list[int])],
)
async def test_a_result_that_does_not_fit_is_an_error_of_a_body_that_had_its_effect(
    executor: Executor, value: object, returns: object
) -> None:
    execution = await executor.run(lambda: value, {}, returns=returns, within_s=5)

    assert (execution.effected, code(execution)) == ("yes", "RM-500")


async def test_a_result_that_holds_itself_is_an_error(executor: Executor) -> None:
    endless: list[object] = []
    endless.append(endless)
    limit = sys.getrecursionlimit()

    assert code(await executor.run(lambda: endless, {}, returns=list[object], within_s=5)) == "RM-500"
    assert sys.getrecursionlimit() == limit


# --- time ----------------------------------------------------------------------------------------


async def test_an_async_body_is_cancelled_at_its_deadline(executor: Executor) -> None:
    ended = asyncio.Event()

    async def body() -> int:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return 1

    execution = await executor.run(body, {}, returns=int, within_s=SOON_S)

    assert (execution.effected, code(execution)) == ("unknown", "RM-102")
    assert ended.is_set()
    assert executor.hanging == 0


async def test_a_body_that_ignores_its_cancellation_does_not_hold_us(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remit.tools.execute._GRACE_S", SOON_S)
    release = asyncio.Event()

    async def body() -> int:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return 1

    execution = await executor.run(body, {}, returns=int, within_s=SOON_S)

    assert (execution.effected, code(execution)) == ("still_running", "RM-102")
    assert executor.hanging == 1
    release.set()
    await drained(executor)


async def test_a_thread_that_hangs_is_left_and_the_next_call_is_certainly_not_done(executor: Executor) -> None:
    release, began = threading.Event(), []

    def hang() -> int:
        began.append(1)
        release.wait()
        return 1

    first = await executor.run(hang, {}, returns=int, within_s=SOON_S)
    second = await executor.run(hang, {}, returns=int, within_s=SOON_S)
    release.set()
    await drained(executor)

    assert (first.effected, code(first)) == ("still_running", "RM-102")
    assert (second.effected, code(second)) == ("no", "RM-501")
    assert began == [1]


async def test_our_own_cancellation_cancels_the_body_and_is_passed_on(executor: Executor) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def body() -> int:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return 1

    running = asyncio.create_task(executor.run(body, {}, returns=int, within_s=60))
    await began.wait()
    running.cancel()
    await asyncio.wait({running})

    assert running.cancelled()
    await asyncio.wait_for(ended.wait(), 5)


async def test_a_lookup_with_another_signature_is_an_error_not_our_end(executor: Executor) -> None:
    async def body() -> int:
        return 1

    assert code(await executor.run(body, {"more": 1}, returns=int, within_s=5)) == "RM-500"


async def test_a_thread_sees_the_context_of_its_caller(executor: Executor) -> None:
    from contextvars import ContextVar

    name = ContextVar("name", default="nobody")
    name.set("caller")
    body: Callable[[], str] = name.get

    assert (await executor.run(body, {}, returns=str, within_s=5)).value == b'"caller"'


async def drained(executor: Executor) -> None:
    """What hung has ended."""
    async with asyncio.timeout(5):
        while executor.hanging:
            await asyncio.sleep(0)
