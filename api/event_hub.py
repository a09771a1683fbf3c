"""One look a second at what happened, for all streams of an API process together.

A thread looks while anybody listens, and nobody looks otherwise. What it finds goes to each stream
that wants it as the same bytes. A stream joins at the hub's own place: what came before that is
complete and the stream reads it itself, what comes after is brought, so that nothing is missed or
told twice. Whoever reads too slowly is told so, and joins again from where it got to.
"""

import asyncio
import threading
import time
from typing import Final

from api.errors import RefusedError
from api.event_progress import ProgressWatch
from api.event_streams import Stream, Wants
from api.event_wire import Told, told
from infra.db.events import Place, events_after, horizon
from infra.db.session import Database
from infra.logs import get_logger
from infra.outages import Outages

#: How often the hub looks.
LOOK_SECONDS: Final = 1.0

#: Events of one look's query; with so many, the next look follows at once.
_AT_ONCE: Final = 500

#: Streams of one project that one process keeps open.
MOST_STREAMS: Final = 200

_log = get_logger(__name__)


class EventHub:
    """The hub of one process.

    Args:
        database: where to look.
        look_seconds: how often.
    """

    def __init__(self, database: Database, look_seconds: float = LOOK_SECONDS) -> None:
        self._database, self._look_seconds = database, look_seconds
        self._lock = threading.Lock()
        self._streams: list[Stream] = []
        self._thread: threading.Thread | None = None
        self._place = Place(0, 0)
        self._progress = ProgressWatch()
        self._is_stopping = False

    @property
    def is_looking(self) -> bool:
        """Whether anybody listens, or did a moment ago."""
        return self._thread is not None

    def admit(self, wants: Wants) -> None:
        """Nothing, if the project may have one more stream.

        Raises:
            RefusedError: the process stops, or the project has as many as it may.
        """
        if self._is_stopping:
            raise RefusedError("generation_infra_service_unavailable", "this process stops")
        open_now = [each for each in list(self._streams) if not each.is_left]
        if sum(each.wants.project_id == wants.project_id for each in open_now) >= MOST_STREAMS:
            raise RefusedError(
                "rate_limit_exceeded", f"the project has {MOST_STREAMS} streams open already"
            )

    def join(self, wants: Wants, loop: asyncio.AbstractEventLoop) -> Stream:
        """A stream of what comes after the place where it joined. Blocks: not for an event loop.

        Raises:
            RefusedError: as :meth:`admit`.
        """
        with self._lock:
            self.admit(wants)
            if self._thread is None:
                with self._database.transaction() as session:
                    self._place = horizon(session)
                self._thread = threading.Thread(target=self._run, name="events", daemon=True)
                self._thread.start()
            stream = Stream(wants, loop, self._place)
            self._streams.append(stream)
            return stream

    def stop(self) -> None:
        """End all streams within a look; may be called from a signal's handler."""
        self._is_stopping = True

    def _run(self) -> None:
        outages = Outages(_log, "events")
        while self._streams_left():
            is_full = False
            with outages.outlived():
                is_full = self._look()
            if not is_full:
                time.sleep(self._look_seconds)

    def _streams_left(self) -> bool:
        with self._lock:
            self._streams = [each for each in self._streams if not each.is_left]
            if self._is_stopping:
                for stream in self._streams:
                    stream.end()
                self._streams = []
            if not self._streams:
                self._thread = None
                self._progress.forget()
            return bool(self._streams)

    def _look(self) -> bool:
        """Find and bring what is new; whether there was more than one look takes."""
        with self._lock:
            wants = [each.wants for each in self._streams]
        with self._database.transaction() as session:
            seen = horizon(session)
            # A database restored from a dump may be behind what was told of the former one.
            after = min(self._place, seen)
            events = [told(event) for event in events_after(session, after, limit=_AT_ONCE)]
            news = events + self._progress.look(session, wants)
        with self._lock:
            self._place = events[-1].place or after if events else after
            self._bring(news)
        return len(events) == _AT_ONCE

    def _bring(self, news: list[Told]) -> None:
        for stream in self._streams:
            wanted = [each for each in news if stream.wants.has(each)]
            if wanted:
                stream.bring(wanted)
