"""A program that a tool starts ends with its call, and whatever it started ends with it."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING

import pytest

from remit.contracts.errors import CallCutOffError, ToolFailedError, ToolNotDoneError, ToolTimeoutError, UsageError
from remit.tools.execute import Execution, Executor
from remit.tools.program import ProgramEnded, Programs, kill_every_program, run_program
from remit.tools.stops import Cut
from tests.alive import gone, lives

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

SOON_S = 10.0
WITHIN_S = 1.0
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
FAMILY = """
import os, pathlib, subprocess, sys, time
{deaf}
pathlib.Path(f"pid-{{os.getpid()}}").touch()
if len(sys.argv) > 1:
    subprocess.Popen([sys.executable, "-c", open("family.py").read(), *sys.argv[2:]])
    time.sleep(60)
else:
    pathlib.Path("complete").touch()
    time.sleep(60)
"""
"""A child, a grandchild and one more below it; each leaves a file with its number."""


def python(code: str, folder: Path, **more: object) -> ProgramEnded:
    return run_program([sys.executable, "-I", "-S", "-c", code], folder=folder, **more)  # type: ignore[arg-type]


def family(folder: Path, *, is_deaf: bool) -> Callable[[], str]:
    """Give a tool that runs a program with children, which may not heed SIGTERM."""
    script = folder / "family.py"
    script.write_text(FAMILY.format(deaf=DEAF if is_deaf else ""))

    def body() -> str:
        run_program([sys.executable, str(script), "child", "grandchild"], folder=folder)
        return "over"

    return body


async def complete(folder: Path) -> list[int]:
    """Give the numbers of the family's processes, once all of them run."""
    async with asyncio.timeout(SOON_S):
        while not (folder / "complete").exists():
            await asyncio.sleep(0.01)  # other processes write it
    return [int(path.name.removeprefix("pid-")) for path in folder.glob("pid-*")]


@pytest.fixture
async def executor() -> AsyncIterator[Executor]:
    executor = Executor()
    yield executor
    await executor.end()


def code_of(execution: Execution) -> str:
    assert execution.fault is not None
    return execution.fault.code


def test_a_program_hears_its_input_and_says_how_it_ended(tmp_path: Path) -> None:
    said = python(
        "import sys; print(sys.stdin.read()[::-1]); print('!', file=sys.stderr); sys.exit(3)", tmp_path, given=b"abc"
    )

    assert said == ProgramEnded(code=3, output=b"cba\n", errors=b"!\n")


def test_nothing_of_our_environment_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")

    said = python("import os; print(sorted(os.environ), os.getcwd())", tmp_path, environment={"NO_COLOR": "1"})

    assert b"SECRET" not in said.output
    assert b"NO_COLOR" in said.output
    assert str(tmp_path.resolve()).encode() in said.output


def test_much_input_and_output_do_not_block_each_other(tmp_path: Path) -> None:
    given = b"x" * 3_000_000

    said = python("import sys; sys.stdout.write(sys.stdin.read() * 2)", tmp_path, given=given)

    assert len(said.output) == 2 * len(given)


def test_a_program_that_does_not_hear_its_input_ends_all_the_same(tmp_path: Path) -> None:
    assert python("", tmp_path, given=b"x" * 3_000_000).code == 0


@pytest.mark.parametrize("command", [[], ["ls"], ["./ls"]])
def test_a_program_is_named_by_its_whole_path(tmp_path: Path, command: list[str]) -> None:
    with pytest.raises(UsageError):
        run_program(command, folder=tmp_path)


def test_a_program_that_is_not_there_certainly_did_nothing(tmp_path: Path) -> None:
    with pytest.raises(ToolNotDoneError):
        run_program([str(tmp_path / "none")], folder=tmp_path)


def test_a_program_that_says_too_much_is_ended(tmp_path: Path) -> None:
    with pytest.raises(ToolFailedError, match="too much"):
        python("while True: print('y' * 1000)", tmp_path, output_bytes=100_000)


def test_a_program_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(ToolTimeoutError):
        python("import time; time.sleep(60)", tmp_path, within_s=0.1)


async def test_what_a_program_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    """It would hold the output open, and a caller that waits for its end would wait for a minute."""
    left = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"
    child = f"import subprocess, sys; print({left}.pid)"

    began = time.monotonic()
    said = await asyncio.to_thread(python, child, tmp_path)

    assert said.code == 0
    assert time.monotonic() - began < SOON_S
    await gone([int(said.output)], WITHIN_S)


@pytest.mark.parametrize("is_deaf", [False, True])
async def test_a_call_that_is_cut_off_ends_the_whole_group(executor: Executor, tmp_path: Path, is_deaf: bool) -> None:  # noqa: FBT001
    cut = Cut()
    running = asyncio.create_task(
        executor.run(family(tmp_path, is_deaf=is_deaf), {}, returns=str, within_s=60, cut=cut)
    )
    pids = await complete(tmp_path)
    assert len(pids) == 3
    assert all(map(lives, pids))

    cut.off("cancelled")

    await gone(pids, WITHIN_S)
    ended = await running
    assert (ended.effected, code_of(ended)) == ("unknown", CallCutOffError.code)
    assert executor.hanging == 0


async def test_a_deadline_ends_the_whole_group(executor: Executor, tmp_path: Path) -> None:
    running = asyncio.create_task(executor.run(family(tmp_path, is_deaf=False), {}, returns=str, within_s=1.5))
    pids = await complete(tmp_path)

    ended = await running

    await gone(pids, WITHIN_S)
    assert (ended.effected, code_of(ended)) == ("unknown", ToolTimeoutError.code)


async def test_an_async_tool_s_program_is_ended_too(executor: Executor, tmp_path: Path) -> None:
    run, cut = family(tmp_path, is_deaf=False), Cut()

    async def body() -> str:
        return await asyncio.to_thread(run)

    running = asyncio.create_task(executor.run(body, {}, returns=str, within_s=60, cut=cut))
    pids = await complete(tmp_path)

    cut.off("cancelled")

    await gone(pids, WITHIN_S)
    assert code_of(await running) == CallCutOffError.code


async def test_an_executor_that_ends_leaves_no_program(tmp_path: Path) -> None:
    executor = Executor()
    running = asyncio.create_task(executor.run(family(tmp_path, is_deaf=True), {}, returns=str, within_s=60))
    pids = await complete(tmp_path)

    running.cancel()
    await asyncio.wait((running,))
    await executor.end()

    await gone(pids, WITHIN_S)


async def test_a_process_that_ends_at_once_kills_what_it_started(executor: Executor, tmp_path: Path) -> None:
    running = asyncio.create_task(executor.run(family(tmp_path, is_deaf=True), {}, returns=str, within_s=60))
    pids = await complete(tmp_path)

    kill_every_program()

    await gone(pids, WITHIN_S)
    await running


async def test_a_call_that_is_over_starts_no_program(tmp_path: Path) -> None:
    programs = Programs()
    programs.end()

    with programs.within(), pytest.raises(CallCutOffError):
        python("", tmp_path)


async def test_a_body_that_is_cut_off_while_it_awaits_is_cancelled(executor: Executor) -> None:
    cut, began, ended = Cut(), asyncio.Event(), asyncio.Event()

    async def body() -> str:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ""

    running = asyncio.create_task(executor.run(body, {}, returns=str, within_s=60, cut=cut))
    await began.wait()
    cut.off("cancelled")

    execution = await asyncio.wait_for(running, WITHIN_S)
    assert ended.is_set()
    assert (execution.effected, code_of(execution)) == ("unknown", CallCutOffError.code)
