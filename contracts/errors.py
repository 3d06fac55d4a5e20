"""The tree of errors: the class of an error is the decision what happens next."""

from __future__ import annotations

from typing import ClassVar

from remit.contracts.fault import Fault as Fault  # noqa: PLC0414  # a fault is imported with the errors
from remit.contracts.fault import sentence as sentence  # noqa: PLC0414  # as above


class RemitError(Exception):
    """Base of all errors of Remit; carries the fields of a `Fault`."""

    code: ClassVar[str] = "RM-000"

    def __init__(self, message: str, *, where: str = "", expected: str = "", got: str = "", fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where, self.expected, self.got, self.fix = where, expected, got, fix

    def fault(self) -> Fault:
        """Give this error as data."""
        return Fault(
            code=self.code, message=self.message, where=self.where, expected=self.expected, got=self.got, fix=self.fix
        )

    def __str__(self) -> str:
        return sentence(self.fault())

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.fault()))


def _rebuild(kind: type[RemitError], fault: Fault) -> RemitError:
    return kind(fault.message, where=fault.where, expected=fault.expected, got=fault.got, fix=fault.fix)


class RetryableError(RemitError):
    """The same attempt may succeed later; nothing is known to have changed."""

    code = "RM-100"


class BusUnavailableError(RetryableError):
    """No answer came from the bus; what was sent may or may not be stored."""

    code = "RM-101"


class ToolTimeoutError(RetryableError):
    """The tool did not answer before its deadline."""

    code = "RM-102"


class AnswerTimeoutError(RetryableError):
    """The plane that was asked did not answer in time; the question is repeated under the same id."""

    code = "RM-103"


class NoRespondersError(BusUnavailableError):
    """Nobody listens on the subject: the stream, the plane or its connection is missing; nothing was done."""

    code = "RM-104"


class BusRefusedError(RetryableError):
    """The server refused to store: disk or stream is full, or a limit is reached; nothing was stored."""

    code = "RM-105"


class UndeliverableError(RetryableError):
    """Nobody finished the hand-over of a step, however often the server delivered it; nothing is known to be done."""

    code = "RM-106"


class ContendedError(RetryableError):
    """Others changed a key again and again while it was being updated; nothing of the last try is stored."""

    code = "RM-107"


class QueueFullError(BusRefusedError):
    """The queue of tasks holds as much as it may; the task is not stored, and may be published again later."""

    code = "RM-108"


class RefusedError(RemitError):
    """What was asked is refused; nothing changed."""

    code = "RM-200"


class MalformedMessageError(RefusedError):
    """Bytes do not fit their contract."""

    code = "RM-201"


class UnknownWorkflowError(RefusedError):
    """A task names a workflow that this team does not have."""

    code = "RM-202"


class GrantDeniedError(RefusedError):
    """The lease's grant does not cover what was asked."""

    code = "RM-203"


class PlanInvalidError(RefusedError):
    """A plan or an edge of it does not hold together."""

    code = "RM-204"


class CharterInvalidError(RefusedError):
    """A charter has missing, unknown or contradictory keys."""

    code = "RM-205"


class TeamInvalidError(RefusedError):
    """A team file cannot be loaded or does not hold together."""

    code = "RM-206"


class ContractInvalidError(RefusedError):
    """A type cannot be a contract: no versioned tag, or a part that has no schema."""

    code = "RM-207"


class ReplayMismatchError(RefusedError):
    """A handler asked for something else than what was recorded at this position."""

    code = "RM-208"


class NotFoundError(RefusedError):
    """What was named does not exist."""

    code = "RM-209"


class ConflictError(RefusedError):
    """What was asked contradicts what is already decided."""

    code = "RM-210"


class UsageError(RefusedError):
    """A command was called with words that do not fit it."""

    code = "RM-211"


class TooLargeError(RefusedError):
    """A payload is above its limit."""

    code = "RM-212"


class StateInvalidError(RefusedError):
    """A proposal to the shared state breaks its contract."""

    code = "RM-213"


class ReviewRejectedError(RefusedError):
    """A person rejected what was asked."""

    code = "RM-214"


class OutdatedError(RefusedError):
    """State that a step read had changed before its result was accepted; the result does not count."""

    code = "RM-215"


class ModelRefusedError(RefusedError):
    """The server of a model refused the request; nothing was generated."""

    code = "RM-216"


class RequirementDriftError(RefusedError):
    """A draft was judged by another requirement than the one that the run was started with."""

    code = "RM-217"


class EvidenceBrokenError(RefusedError):
    """What was sealed does not hold together: it was changed, cut, or sealed by somebody else."""

    code = "RM-218"


class LostInRestoreError(RefusedError):
    """The deployment was put back from a backup that is older than this task."""

    code = "RM-219"


class SupersededError(RemitError):
    """A newer holder owns the work; touch nothing, not even the delivery."""

    code = "RM-300"


class LeaseLostError(SupersededError):
    """The step is no longer held by this agent."""

    code = "RM-301"


class FencedOutError(SupersededError):
    """The lane moved on; nothing was stored."""

    code = "RM-302"


class AlreadyStoredError(SupersededError):
    """An entry stands at this index already; nothing was stored."""

    code = "RM-303"


class StoppedError(RemitError):
    """The run ends with `stopped_by` and what it has."""

    code = "RM-400"


class DeadlineError(StoppedError):
    """The deadline passed."""

    code = "RM-401"


class StrandedRunError(StoppedError):
    """The team changed so that it cannot go on with a run that was open."""

    code = "RM-403"


class CancelledRunError(StoppedError):
    """A person or a client cancelled the run."""

    code = "RM-402"


class LimitReachedError(StoppedError):
    """A limit of the run or of the step is reached: operations, steps, depth, share, or time."""

    code = "RM-404"


class CallCutOffError(StoppedError):
    """A call was ended while it ran, because its step was taken from its holder; its tool may have done its part."""

    code = "RM-406"


class RolledBackError(StoppedError):
    """The run was rolled back, and does not go on."""

    code = "RM-407"


class PingPongError(StoppedError):
    """Roles hand the same work to and fro."""

    code = "RM-408"


class CompensationFailedError(StoppedError):
    """What undoes a step failed; what it did lasts, and the run does not go on."""

    code = "RM-409"


class BudgetSpentError(StoppedError):
    """A step has asked of models as much as its role may; the next answer would go above it. Nothing was asked."""

    code = "RM-410"


class RepetitionError(StoppedError):
    """A step asked for the same thing again and again."""

    code = "RM-405"


class ToolFailedError(RemitError):
    """A tool raised; the fields say what."""

    code = "RM-500"


class ToolNotDoneError(ToolFailedError):
    """Raised by a tool: it failed and certainly had no effect."""

    code = "RM-501"


class EffectInDoubtError(ToolFailedError):
    """Whether the effect happened is not known, and a person decided not to repeat it."""

    code = "RM-502"


class ModelOutputError(ToolFailedError):
    """A model's answer did not fit what was asked, however often it was told why; asked anew, the same is answered."""

    code = "RM-503"


class AskFailedError(RemitError):
    """The role that was asked failed; the fields say how."""

    code = "RM-510"


class RoleFailedError(RemitError):
    """A role's handler raised or replied with something else than its contract."""

    code = "RM-511"


class EnvironmentFaultError(RemitError):
    """The machine or the server does not give what is needed."""

    code = "RM-600"


class ServerStartError(EnvironmentFaultError):
    """The nats-server did not start."""

    code = "RM-601"


class DataDirectoryInUseError(EnvironmentFaultError):
    """Another live process owns the data directory."""

    code = "RM-602"


class ServerTooWeakError(EnvironmentFaultError):
    """The server does not give the asked durability or features."""

    code = "RM-603"


class ClusterLostError(EnvironmentFaultError):
    """Ray's head or the supervisor is gone."""

    code = "RM-604"


class StreamMismatchError(EnvironmentFaultError):
    """A stream or consumer exists with a setting that cannot be changed any more."""

    code = "RM-605"


class BuildRefusedError(EnvironmentFaultError):
    """The team's code cannot go on with runs that are open; nothing was started."""

    code = "RM-607"


class CredentialsRefusedError(EnvironmentFaultError):
    """The server does not know the credentials, or they are expired or revoked."""

    code = "RM-606"
