"""How a receiver can tell that a message is ours, in two forms that are both sent.

``Sync-Signature: t=SECONDS,v1=HEX``
    what lip-sync clients check: HMAC-SHA256 of ``SECONDS.BODY`` with the secret as it is written.
``webhook-id``, ``webhook-timestamp``, ``webhook-signature``
    the Standard Webhooks specification, for which libraries exist in every language.

While a former secret is still good there are two signatures, so that a receiver changes when it
likes.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from standardwebhooks.webhooks import Webhook

_MARK: Final = "whsec_"


def new_secret() -> str:
    """256 random bits, written as both forms expect."""
    return _MARK + base64.b64encode(secrets.token_bytes(32)).decode()


def signed_headers(
    message_id: str, body: str, at: datetime, signing_secrets: Sequence[str]
) -> dict[str, str]:
    """The headers that prove a message.

    Args:
        message_id: the same at every attempt.
        body: exactly as it is sent.
        at: when; receivers refuse what is older than some minutes.
        signing_secrets: those that are good now, the newest first.
    """
    seconds = int(at.timestamp())
    signed = f"{seconds}.{body}".encode()
    ours = [hmac.new(s.encode(), signed, hashlib.sha256).hexdigest() for s in signing_secrets]
    standard = [Webhook(secret).sign(message_id, at, body) for secret in signing_secrets]
    return {
        "sync-signature": ",".join([f"t={seconds}", *(f"v1={each}" for each in ours)]),
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(standard),
    }
