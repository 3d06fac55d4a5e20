"""`remit backup` and `remit restore`: a deployment as a folder, and back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from remit.cli import option, say
from remit.contracts.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from remit.backup import Manifest, Restored
    from remit.cli.say import Output
    from remit.client import Client


@click.command("backup")
@click.argument("folder", type=click.Path(path_type=Path))
@option.common
def command(folder: Path, context: str, output: Output) -> None:
    """Copy the deployment into FOLDER, which is made; it may be up meanwhile. The copy holds its keys."""
    manifest = option.read(context, lambda client: _backup(client, folder.absolute()))
    said = say.data(manifest) | {"folder": str(folder)}
    size = sum(copied.size_bytes for copied in manifest.streams)
    text = (
        f"{folder}: {len(manifest.streams)} streams, {size / 1e6:.1f} MB, as of {manifest.at:%Y-%m-%d %H:%M:%S} UTC\n"
        f"it holds the keys of {manifest.deployment}: keep it as you keep them; next: remit restore {folder}"
    )
    say.one(said, output, text=text)


async def _backup(client: Client, folder: Path) -> Manifest:
    from remit import backup
    from remit.bus.identity import Authority

    keys = Path(client.place.data) / "keys"
    if not (keys / Authority.FILE).exists():
        raise NotFoundError(
            "the deployment's keys are not on this machine",
            where=str(keys),
            fix="run it where the deployment's data is",
        )
    bus = await backup.connect(client.place.url, Authority.create_or_load(keys), restores=False)
    try:
        return await backup.backup(client.place, bus, folder)
    finally:
        await bus.close()


@click.command("restore")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--name", default="", help="Of the deployment; else the one that was copied.")
@click.option("--until", default="", metavar="RUN", help="The newest run that anybody knows of, such as r5120.")
@option.output
def restore(folder: Path, *, name: str, until: str, output: Output) -> None:
    """Put a deployment back from FOLDER, where none is; what was accepted since the copy is listed as lost."""
    restored = _restore(folder, name, until)
    from remit import backup

    lost = backup.ranges(restored.lost)
    text = (
        f"{restored.deployment} is as it was at {restored.at:%Y-%m-%d %H:%M:%S} UTC: {restored.entries} entries, "
        f"{len(restored.open_runs)} open runs, {restored.waiting} tasks that wait; newest run {restored.newest}\n"
        f"lost: whatever was accepted since; of the names {lost} each has an outcome that says so\n"
        f"what open runs did to the world since is not known, and will be done again; "
        f"the next task is {restored.next}; next: remit up"
    )
    say.one(say.data(restored), output, text=text)


def _restore(folder: Path, name: str, until: str) -> Restored:
    from remit import backup, places
    from remit.bus.embedded import EmbeddedServer
    from remit.bus.identity import Authority

    if until and not (until.startswith("r") and until[1:].isdigit()):
        raise UsageError("this names no run", where="--until", expected="r and a number", got=until)
    option.quiet()
    manifest = backup.read(folder)
    data = places.data_directory(name or manifest.deployment)
    backup.restore_files(folder, data)

    async def work(url: str) -> Restored:
        bus = await backup.connect(url, Authority.create_or_load(data / "keys"), restores=True)
        try:
            return await backup.restore(folder, manifest, bus, until=int(until[1:] or 0) if until else 0)
        finally:
            await bus.close()

    with EmbeddedServer.start(data, max_payload_bytes=backup.MAX_PAYLOAD_BYTES) as server:
        found = asyncio.run(work(server.url))
    places.restored(data)
    return found
