"""How far watched jobs are, told when it changes. No table keeps this; the newest counts."""

import uuid
from collections.abc import Iterable
from typing import Final

from sqlalchemy.orm import Session

from api.event_streams import Wants
from api.event_wire import PROGRESS, Told, told_progress
from infra.db.progress import JobProgress, jobs_at_work, progress_of

#: Jobs one look counts; those beyond are counted when others are done.
_MOST_COUNTED: Final = 50


class ProgressWatch:
    """Remembers what was told, for one hub."""

    def __init__(self) -> None:
        self._told: dict[uuid.UUID, JobProgress] = {}

    def look(self, session: Session, wants: Iterable[Wants]) -> list[Told]:
        """What changed about jobs at work that somebody watches."""
        listening = [each for each in wants if each.has_kind(PROGRESS)]
        jobs = {each.job_id for each in listening if each.job_id is not None}
        projects = {each.project_id for each in listening if each.job_id is None}
        if not listening:
            self.forget()
            return []
        at_work = jobs_at_work(session, jobs, projects, _MOST_COUNTED)
        now = progress_of(session, at_work)
        changed = [
            told_progress(at_work[job], job, progress)
            for job, progress in now.items()
            if self._told.get(job) != progress
        ]
        self._told = now
        return changed

    def forget(self) -> None:
        """Nobody listens."""
        self._told = {}
