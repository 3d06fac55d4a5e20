"""Where git keeps what belongs to a folder, and whether that is the folder's own: only there anything is written.

A folder from elsewhere may name any other repository as its own, by a file that is called `.git`, by a `commondir`, or
by links. A work tree or a submodule does so too; there what is named knows of the folder, which nobody can forge who
may not write in it.
"""

from pathlib import Path

from remit import RefusedError


def check_own(root: Path, home: Path, common: Path, *, work_tree: str, branch: str) -> None:
    """What git would write for a branch lies in the folder's own repository.

    `home` and `common` are what git reads for the folder, `work_tree` is the one that its settings name.

    Raises:
        RefusedError: it is another one's.
    """
    root, home, common = root.resolve(), home.resolve(), common.resolve()
    own = home == common and (home == root / ".git" or (bool(work_tree) and (home / work_tree).resolve() == root))
    linked = home.parent == common / "worktrees" and _leads_back(home / "gitdir", root)
    if not (own or linked) or any(path.resolve() != path for path in _written(common, branch)):
        raise RefusedError(
            "its .git leads to what belongs to another repository", where=".git", expected=str(root), got=str(common)
        )


def _leads_back(file: Path, root: Path) -> bool:
    try:
        return Path(file.read_text(encoding="utf-8").strip()).parent.resolve() == root
    except (OSError, ValueError):
        return False


def _written(common: Path, branch: str) -> list[Path]:
    """Give the folders in which something is made, and the files that are written."""
    objects = common / "objects"
    inside = [*objects.iterdir()] if objects.is_dir() else []
    names = ("refs/heads/" + branch, "logs/refs/heads/" + branch, "packed-refs", "reftable")
    return [objects, *inside, *(common / name for name in names)]
