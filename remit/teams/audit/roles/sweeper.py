"""The sweeper: undoes what the fixer left in the scratch folder, when the run goes back to before it."""

from remit import Context, EffectDone, Role, Undo
from remit.teams.audit.mending import Swept
from remit.teams.audit.tools.scratch import fs_scratch_remove, fs_scratch_write


class Sweeper(Role[Undo, Swept]):
    """Takes out exactly the files that the undone step wrote."""

    pool = 1

    async def handle(self, work: Undo, ctx: Context) -> Swept:
        """Give what was taken out, and how many of the files are still there."""
        written = [_name(item) for item in work.effects if item.tool == fs_scratch_write.name]
        names = tuple(sorted({name for name in written if name}))
        left = await ctx.call(fs_scratch_remove, names=names) if names else 0
        return Swept(removed=names, left=left + written.count(""))


def _name(effect: EffectDone) -> str:
    """Give the file that a call wrote, by its result or by what it was asked; nothing if neither is known."""
    match effect:
        case EffectDone(value={"name": str(name)}) | EffectDone(arguments={"name": str(name)}):
            return name
    return ""
