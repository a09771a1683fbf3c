"""One reader of events: what it wants to hear, and its end of the hub."""

import asyncio
import contextlib
import uuid
from dataclasses import dataclass
from typing import Final

from api.event_wire import Told
from infra.db.events import Place

#: Events that wait for a slow reader; more, and it reads them from the table itself.
_MOST_WAITING: Final = 2000


@dataclass(frozen=True, slots=True)
class Wants:
    """What a stream is to hear.

    Attributes:
        job_id: None means all of the project's.
        kinds: as the wire has them, or the nouns alone; none means all.
    """

    project_id: uuid.UUID
    job_id: uuid.UUID | None = None
    kinds: frozenset[str] = frozenset()

    def has(self, each: Told) -> bool:
        """Whether it is to hear of that."""
        return (
            each.project_id == self.project_id
            and self.job_id in {None, each.job_id}
            and self.has_kind(each.kind)
        )

    def has_kind(self, kind: str) -> bool:
        """Whether it is to hear of that kind."""
        return not self.kinds or bool(self.kinds & {kind, kind.partition(".")[0]})


class Stream:
    """One reader's end. All but the hub's own calls belong to the reader's event loop."""

    def __init__(self, wants: Wants, loop: asyncio.AbstractEventLoop, joined_at: Place) -> None:
        """Made by :meth:`EventHub.join` alone."""
        self.wants, self.joined_at = wants, joined_at
        self.is_ended = False  # the process stops
        self.is_behind = False  # join again
        self.is_left = False
        self._loop, self._waiting = loop, list[Told]()
        self._news = asyncio.Event()

    async def take(self, seconds: float) -> list[Told]:
        """What came; nothing when nothing did in time, or when the stream ended or is behind."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), seconds)
        self._news.clear()
        taken, self._waiting = self._waiting, []
        return taken

    def leave(self) -> None:
        """Hear no more; the hub forgets it at its next look."""
        self.is_left = True

    def bring(self, news: list[Told]) -> None:
        """From the hub's thread: to the reader's loop."""
        with contextlib.suppress(RuntimeError):  # the loop is closed, and the reader gone
            self._loop.call_soon_threadsafe(self._receive, news)

    def end(self) -> None:
        """From the hub's thread: the reader is to go."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._end)

    def _receive(self, news: list[Told]) -> None:
        if len(self._waiting) + len(news) > _MOST_WAITING:
            self.is_behind = True
            self._waiting.clear()
        elif not self.is_behind:
            self._waiting += news
        self._news.set()

    def _end(self) -> None:
        self.is_ended = True
        self._news.set()
