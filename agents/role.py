"""The protocol every role implements: one `handle`, whose types are the role's contract."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar, get_args, get_origin

from remit.contracts.errors import ContractInvalidError
from remit.contracts.ids import is_role, role_name
from remit.contracts.message import Message, tag_of
from remit.contracts.pool import Pool
from remit.contracts.team import RoleSpec

if TYPE_CHECKING:
    from remit.agents.context import Context

Work = TypeVar("Work", bound=Message)
Reply = TypeVar("Reply", bound=Message)


class AnyRole(ABC):  # noqa: B024  # its one abstract method is the generic child's
    """A role whatever its contract: what a team and a plan need to know of it."""

    name: ClassVar[str] = ""
    """Defaults to the class's name: `AnalystCode` is `analyst-code`."""
    pool: ClassVar[int | Pool] = 2
    """Hosts, as many as an operator does not change; or a `Pool`, with bounds between which it is scaled."""
    pool_max: ClassVar[int] = 16
    """What an operator may wish for at most; a `Pool` says it itself."""
    isolated: ClassVar[bool] = False
    """Never share a host with other roles."""

    @classmethod
    def role_name(cls) -> str:
        """Give the name under which the team knows this role."""
        return cls.name or role_name(cls.__name__)

    @classmethod
    def spec(cls) -> RoleSpec:
        """Give this role as the other planes see it.

        Raises:
            ContractInvalidError: the class does not name its types, or one of them is no contract.
        """
        takes, gives = contract_of(cls)
        label = cls.role_name()
        if not is_role(label):
            raise ContractInvalidError(f"{label!r} is no role's name", where=cls.__qualname__)
        tag_of(takes)
        tag_of(gives)
        sizing = cls.sizing()
        return RoleSpec(
            name=label,
            takes=takes,
            gives=gives,
            pool=sizing.first,
            pool_max=sizing.max if isinstance(cls.pool, Pool) else cls.pool_max,
            isolated=cls.isolated or sizing.isolated,
            sizing=sizing,
        )

    @classmethod
    def sizing(cls) -> Pool:
        """Give how the pool is sized; one that is only a number is not scaled."""
        return cls.pool if isinstance(cls.pool, Pool) else Pool(min=cls.pool, max=cls.pool)


class Role(AnyRole, Generic[Work, Reply]):
    """A specialised agent. Subclasses name their input and reply: `class Clerk(Role[Ticket, Answer])`."""

    @abstractmethod
    async def handle(self, work: Work, ctx: Context) -> Reply:
        """Do one piece of work; everything outside goes through `ctx`."""


def contract_of(role: type[AnyRole]) -> tuple[type[Message], type[Message]]:
    """Give the input and reply type that a role's class names.

    Raises:
        ContractInvalidError: the class does not say `Role[Input, Reply]`.
    """
    for kind in role.__mro__:
        for base in getattr(kind, "__orig_bases__", ()):
            if get_origin(base) is Role:
                takes, gives = get_args(base)
                if isinstance(takes, type) and isinstance(gives, type):
                    return takes, gives
    raise ContractInvalidError(
        f"role {role.__qualname__} does not name its contract",
        where=role.__qualname__,
        expected=f"class {role.__qualname__}(Role[Input, Reply])",
    )
