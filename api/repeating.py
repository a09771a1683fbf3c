"""Requests that are sent again: done once, and answered as before.

Orders have a mechanism of their own, for a job or a batch keeps its key as long as it lives. Every
other ``POST`` below ``/v2`` that carries an ``Idempotency-Key`` goes through here, whatever its
route does or forgets. Its key is taken in the first transaction of the request that changes
anything, as its last part: either both are there after a crash, or neither. The answer is kept for
a day when it goes out. What was refused is not kept; it is tried again.
"""

import asyncio
import hashlib
import json
import re
import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import RefusedError, answer
from api.requests import IDEMPOTENCY_KEY
from infra.db.kept_answers import claim_key, find_answer, keep_answer
from infra.db.models import KeptAnswer
from infra.db.session import Database, has_written
from infra.errors import ServiceUnavailableError

HEADER: Final = "idempotency-key"
#: Of an answer that was given before.
REPLAYED_HEADER: Final = "idempotent-replayed"

#: Addresses whose orders remember their keys themselves, for as long as they live.
ORDERS: Final = frozenset({"/v2/generate", "/v2/generate/languages", "/v2/batch"})
#: Addresses that change nothing.
LOOKS: Final = frozenset({"/v2/analyze/cost"})

#: Done in several transactions, and no harm in going on with them after a crash.
_GOES_ON: Final = re.compile(
    r"/v2/(generations/actions|batch/[^/]+/cancel|assets/uploads/[^/]+/complete)"
)

_MOST_BYTES: Final = 1 << 20
#: How long a second request waits for the answer of one that is under way.
_WAIT_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.05


@dataclass(slots=True)
class Repeatable:
    """A request that may be sent again.

    Attributes:
        digest: hex sha256 of all that makes two such requests the same; None until a form is read.
        project_id: whose; None until that is known.
        is_known: whether it was found to have been sent before.
        is_claimed: whether this is the request that took the key.
        is_done: whether all is done, and only the answer is left to keep.
        concealed: a field of the answer that is not kept.
    """

    database: Database
    path: str
    key: str
    digest: str | None = None
    project_id: UUID | None = None
    is_known: bool = False
    is_claimed: bool = False
    is_done: bool = False
    concealed: str | None = None

    def refuse_known(self) -> None:
        """Go no further; the answer is the earlier one."""
        self.is_known = True
        raise RefusedError("idempotency_key_conflict")

    def find(self) -> KeptAnswer | None:
        """What was kept under the key."""
        if self.project_id is None:
            return None
        with self.database.transaction() as session:
            return find_answer(session, self.project_id, self.key)

    def keep(self, status: int, body: bytes) -> bool:
        """Keep the answer; False if there was one already."""
        if self.project_id is None:
            return True
        shown = json.loads(body)
        if self.concealed is not None:
            shown.pop(self.concealed, None)
        with self.database.transaction() as session:
            return keep_answer(
                session, self.project_id, self.key, self.digest or "", status, json.dumps(shown)
            )


_here: Final[ContextVar[Repeatable | None]] = ContextVar("repeatable", default=None)


def enter_caller(project_id: UUID) -> None:
    """Whose request it is; one that was sent before goes no further.

    Raises:
        RefusedError: it was, which nobody sees.
    """
    request = _here.get()
    if request is not None:
        request.project_id = project_id
        if request.digest is not None and request.find() is not None:
            request.refuse_known()


def enter_form(*essence: object) -> None:
    """What a form says; its bytes differ each time it is sent."""
    if (request := _here.get()) is not None:
        request.digest = _digest(request.path, json.dumps(essence).encode())


def conceal(field: str) -> None:
    """Do not keep this field of the answer: whoever asks again does without it."""
    if (request := _here.get()) is not None:
        request.concealed = field


def claim_in(session: Session) -> None:
    """Take the key of the request whose transaction this is, if it changes anything.

    Raises:
        RefusedError: another request has it, which nobody sees.
    """
    request = _here.get()
    if request is None or request.is_done or request.is_claimed:
        return
    if request.digest is None or request.project_id is None or _GOES_ON.fullmatch(request.path):
        return
    if not has_written(session):
        return
    if not claim_key(session, request.project_id, request.key, request.digest):
        request.refuse_known()
    request.is_claimed = True


class Repeats:
    """ASGI middleware: answers what was answered before."""

    def __init__(self, app: ASGIApp, database: Database) -> None:
        """Wrap the application.

        Args:
            app: what is wrapped.
            database: where answers are kept.
        """
        self._app, self._database = app, database
        database.call_before_commit(claim_in)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        key = headers.get(HEADER)
        if key is None or not is_repeatable(scope["method"], scope["path"]):
            await self._app(scope, receive, send)
            return
        if not IDEMPOTENCY_KEY.fullmatch(key):
            message = "Idempotency-Key: it is 1 to 128 of the characters A-Za-z0-9._~-"
            await answer("request_invalid", message)(scope, receive, send)
            return
        request = Repeatable(self._database, scope["path"], key)
        if not headers.get("content-type", "").startswith("multipart/form-data"):
            body = await _read(receive)
            if body is None:
                await answer("request_too_large")(scope, receive, send)
                return
            request.digest = _digest(request.path, scope["query_string"], body)
            receive = _again(body, receive)
        _here.set(request)
        held = _Held()
        await self._app(scope, receive, held.take)
        request.is_done = True
        reply = await _reply(request, held)
        if reply is None:
            for message_out in held.messages:
                await send(message_out)
        else:
            await reply(scope, receive, send)


def is_repeatable(method: str, path: str) -> bool:
    """Whether requests of an address are kept here."""
    return method == "POST" and path.startswith("/v2/") and path not in ORDERS | LOOKS


class _Held:
    """An answer on its way out; answers to ``POST`` are small."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def take(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"]) if self.messages else 500

    @property
    def body(self) -> bytes:
        return b"".join(m.get("body", b"") for m in self.messages[1:])


async def _reply(request: Repeatable, held: _Held) -> Response | None:
    """The earlier answer; None if this one is the first, and is to be sent."""
    try:
        if not request.is_known and held.status < 300:
            if await run_in_threadpool(request.keep, held.status, held.body):
                return None
        elif not request.is_known and await run_in_threadpool(request.find) is None:
            return None
        return await _earlier(request)
    except ServiceUnavailableError as error:
        # It may have been done; whoever asks again learns it.
        return answer("generation_infra_service_unavailable", str(error))


async def _earlier(request: Repeatable) -> Response:
    give_up = time.monotonic() + _WAIT_SECONDS
    while True:
        kept = await run_in_threadpool(request.find)
        if kept is not None and kept.request_digest != request.digest:
            return answer(
                "idempotency_key_conflict",
                f"idempotency key {request.key!r} was used for another request",
            )
        if kept is not None and kept.status is not None:
            # As orders are answered: only the first one made anything.
            status = 200 if kept.status == 201 else kept.status
            return Response(
                kept.body, status, {REPLAYED_HEADER: "true"}, media_type="application/json"
            )
        if time.monotonic() > give_up:
            return answer(
                "idempotency_key_conflict", "the request is under way, or its answer was lost"
            )
        await asyncio.sleep(_LOOK_SECONDS)


async def _read(receive: Receive) -> bytes | None:
    """The body; None if it is too large to be one of these."""
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if len(body) > _MOST_BYTES:
            return None
        if not message.get("more_body"):
            return body


def _again(body: bytes, receive: Receive) -> Receive:
    """What gives the body out once more, and then what comes after it."""
    rest = [body]

    async def give() -> Message:
        if rest:
            return {"type": "http.request", "body": rest.pop(), "more_body": False}
        return await receive()

    return give


def _digest(path: str, *parts: bytes) -> str:
    return hashlib.sha256(b"\0".join([path.encode(), *parts])).hexdigest()
