"""What the roles say to one another about patches: planned, made, verified, and what went wrong on the way."""

import msgspec

from remit import Message
from remit.teams.audit.finding import Finding
from remit.teams.audit.message import AuditRequest, Critique, Inventory
from remit.teams.audit.tools.scratch import Stored

CHECKPOINT = "cp3"
"""Everything is decided about the findings, and nothing is mended yet: a bad patch takes the run back to here."""


class Mending(Message, frozen=True, kw_only=True, tag="audit.mending.v1"):
    """What is to be mended in one file, by one patch: two patches of one file might meet in a line."""

    number: int
    """The same in every version of the plan, so that one patch has one name."""
    path: str
    blob: str
    """Digest of the file in which the findings were seen."""
    rules: tuple[str, ...]
    """Empty in a drill in a repository with nothing to mend."""
    findings: tuple[str, ...]
    """Fingerprints of what is mended."""
    left: int
    """Kept findings of the file that the patch does not mend, and that weigh something."""
    is_spoilt: bool = False
    """A drill: the patch is made wrong on purpose."""
    model: str = ""
    """The model that proposes the patch; empty if a tool makes it."""
    asked: tuple[Finding, ...] = ()
    """What the model is asked to mend."""


class Dropped(msgspec.Struct, frozen=True, kw_only=True):
    """A patch that there is not, and why."""

    name: str
    reason: str


class Lesson(msgspec.Struct, frozen=True, kw_only=True):
    """What the verifier writes down before the run goes back: it outlives the rollback."""

    failed: tuple[Dropped, ...]
    patches: tuple[str, ...]
    """Names of all patches that there were."""
    paths: tuple[str, ...]
    """Files about which the fixer said something in the shared state."""


class Setback(msgspec.Struct, frozen=True, kw_only=True):
    """A rollback, as the report tells it."""

    to: str
    failed: tuple[Dropped, ...]
    patches: tuple[str, ...]
    """Patches that were taken out of the scratch folder."""
    paths: tuple[str, ...]
    """Files of which the shared state says again what it said at the checkpoint."""


class Planning(Message, frozen=True, kw_only=True, tag="audit.planning.v1"):
    """What the planner plans from."""

    task: AuditRequest
    inventory: Inventory
    critique: Critique


class MendingPlan(Message, frozen=True, kw_only=True, tag="audit.mending_plan.v1"):
    """Which files are mended, one step each; after a rollback, what is left out because of it."""

    files: tuple[Mending, ...]
    left_out: tuple[Dropped, ...] = ()
    more: int = 0
    """Patches that could be made and are not, because there are too many."""
    setback: Setback | None = None


class Patch(msgspec.Struct, frozen=True, kw_only=True):
    """A patch in the scratch folder."""

    name: str
    rules: tuple[str, ...]
    path: str
    blob: str
    findings: tuple[str, ...]
    file: Stored


class Mended(Message, frozen=True, kw_only=True, tag="audit.mended.v1"):
    """The patch of one file, which nobody has verified yet; or why there is none."""

    patch: Patch | None = None
    dropped: Dropped | None = None


class Verifying(Message, frozen=True, kw_only=True, tag="audit.verifying.v1"):
    """What the verifier looks at."""

    plan: MendingPlan
    fix: tuple[Mended, ...]
    task: AuditRequest | None = None


class Verification(Message, frozen=True, kw_only=True, tag="audit.verification.v1"):
    """Patches that apply and compile, and those that are not there, with the reason."""

    patches: tuple[Patch, ...]
    dropped: tuple[Dropped, ...]
    failed: int
    """Patches that were made and do not hold; the plan goes back to the checkpoint once because of them."""
    more: int = 0
    setback: Setback | None = None
    tests: str = ""
    """What the repository's own tests say of the patches; empty if nobody wanted them run."""


class Swept(Message, frozen=True, kw_only=True, tag="audit.swept.v1"):
    """What became of the scratch files of a step that is undone."""

    removed: tuple[str, ...]
    left: int
    """Files that are still there; 0 if the step is undone."""


class Drafting(Message, frozen=True, kw_only=True, tag="audit.drafting.v1"):
    """What the editor writes from."""

    inventory: Inventory
    critique: Critique
    verify: Verification
