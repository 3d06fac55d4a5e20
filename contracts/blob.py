"""A payload that is too large for a message, named by its hash."""

from __future__ import annotations

from remit.contracts.message import Message

INLINE_LIMIT_BYTES = 512 * 1024
"""Bodies above this travel by reference."""


class BlobRef(Message, frozen=True, kw_only=True, tag="blob.ref.v1"):
    """Names bytes in the object store; the receiver checks the digest after reading."""

    digest: str
    size_bytes: int
