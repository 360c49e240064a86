"""A service that MLflow tells of a new champion by a webhook: is it MLflow's word, and is it news?

Needs the standard library. MLflow signs `<delivery id>.<timestamp>.<body>` with the webhook's
secret; a message may come twice, so the version that serves is asked for (see docs/serving.md) and
not taken from the message.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping

MOST_SECONDS = 300
"""Older messages are refused: somebody may have kept one."""


def is_signed(
    headers: Mapping[str, str], body: bytes, secret: str, now: float | None = None
) -> bool:
    """Whether MLflow, who knows `secret`, has sent `body` within the last minutes."""
    given = {name.lower(): value for name, value in headers.items()}
    when = given.get("x-mlflow-timestamp", "")
    version, _, signature = given.get("x-mlflow-signature", "").partition(",")
    if version != "v1" or not when.isdecimal():
        return False
    if abs((time.time() if now is None else now) - int(when)) > MOST_SECONDS:
        return False
    told = f"{given.get('x-mlflow-delivery-id', '')}.{when}.".encode() + body
    expected = base64.b64encode(hmac.new(secret.encode(), told, hashlib.sha256).digest())
    return hmac.compare_digest(expected, signature.encode())


def names_a_champion(body: bytes, model: str) -> bool:
    """Whether the message says that `champion` of `model` was set."""
    message = json.loads(body)
    data = message.get("data", {})
    created = message.get("entity") == "model_version_alias" and message.get("action") == "created"
    return bool(created and data.get("name") == model and data.get("alias") == "champion")
