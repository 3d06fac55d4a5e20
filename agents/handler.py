"""A role ready to run: one step's body in, the bytes of a reply that fits the contract out."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, cast

import msgspec

from remit.agents.context import Context
from remit.agents.fault import WrongReplyError
from remit.agents.replay import scope
from remit.agents.role import Role, contract_of
from remit.contracts.blob import INLINE_LIMIT_BYTES
from remit.contracts.errors import MalformedMessageError, TooLargeError
from remit.contracts.message import Message, decode, encode, tag_of
from remit.contracts.upcast import NO_UPCASTS, decode_forward

if TYPE_CHECKING:
    from remit.agents.port import StepPort
    from remit.agents.role import AnyRole
    from remit.contracts.step import RunStep
    from remit.contracts.upcast import Upcasts


class Handler:
    """One instance of a role with its contract; it serves many steps at once."""

    def __init__(self, kind: type[AnyRole], upcasts: Upcasts = NO_UPCASTS) -> None:
        self._upcasts = upcasts
        self.role = kind.role_name()
        self._takes, self._gives = contract_of(kind)
        self.contract = tag_of(self._gives)
        """Tag of the replies."""
        self._instance = cast("Role[Message, Message]", kind())
        code = inspect.unwrap(self._instance.handle).__code__
        self.file, self._line = code.co_filename, code.co_firstlineno

    async def reply(self, work: RunStep, port: StepPort) -> bytes:
        """Give the encoded reply to a step.

        Raises:
            MalformedMessageError: the body does not fit the role's input, and cannot be brought forward to it.
            TooLargeError: the body or the reply is too large for a message.
            WrongReplyError: the handler replied with something else than its contract.
            BaseException: whatever the handler raised.
        """
        if work.body_ref is not None:
            raise TooLargeError("the body is too large for an agent", got=f"{work.body_ref.size_bytes} bytes")
        message = decode_forward(self._takes, work.body, contract_tag=work.contract, upcasts=self._upcasts)
        with scope(jumps=work.jumps):
            reply = await self._instance.handle(message, Context(work, port))
        return self._bounded(self._encoded(reply))

    def _encoded(self, reply: object) -> bytes:
        if not isinstance(reply, self._gives):
            raise self._wrong(expected=self._gives.__name__, got=type(reply).__name__)
        try:
            body = encode(reply)
            decode(self._gives, body)  # a struct is not checked when it is made; the next role would stumble
        except MalformedMessageError as error:
            raise self._wrong(expected=f"{error.expected or error.message} at {error.where}", got=error.got) from error
        except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
            raise self._wrong(expected=f"{self._gives.__name__} as JSON", got=str(error)) from error
        return body

    def _wrong(self, *, expected: str, got: str) -> WrongReplyError:
        return WrongReplyError(
            f"role {self.role} replied with something else than its contract",
            where=f"{self.file}:{self._line}",
            expected=expected,
            got=got,
        )

    def _bounded(self, body: bytes) -> bytes:
        if len(body) > INLINE_LIMIT_BYTES:
            raise TooLargeError(
                f"the reply of role {self.role} is too large for a message",
                where=f"{self.file}:{self._line}",
                expected=f"at most {INLINE_LIMIT_BYTES} bytes",
                got=str(len(body)),
                fix="keep it behind a tool and reply with its name and digest",
            )
        return body
