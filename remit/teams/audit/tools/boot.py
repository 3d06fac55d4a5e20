"""Starts a scan, and imports nothing that it does not use; `scanner` runs this file by its path.

`import remit` brings the whole public API and `import remit.teams.audit` the whole team. Detectors use none of it, and
an audit starts dozens of scans, so both names are given to empty packages first. Python is started without `site` for
the same reason: the folders of the two libraries that scans use are told as arguments.
"""

import gc
import sys
from pathlib import Path
from types import ModuleType

PACKAGES = ("remit.teams.audit", "remit.teams", "remit")
"""From the folder above this one upwards."""


def begin(libraries: list[str]) -> None:
    """Answer one request, in a process in which nothing was imported yet."""
    gc.disable()  # the process is short-lived, and a parser makes nothing but small objects that stay
    sys.path += [folder for folder in libraries if folder not in sys.path]
    for name, folder in zip(PACKAGES, Path(__file__).parents[1:], strict=False):
        package = ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    from remit.teams.audit.tools.scan import main

    main()


if __name__ == "__main__":
    begin(sys.argv[1:])
