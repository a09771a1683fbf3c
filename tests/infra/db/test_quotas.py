"""How much a project has under way, counted by two at once."""

import threading
import uuid

from infra.db.assets import create_asset
from infra.db.jobs import NewJob, create_job
from infra.db.quotas import has_more_live_jobs
from tests.infra.db.hands import Hands
from tests.patience import LONG_SECONDS


def test_whoever_orders_second_sees_what_the_first_ordered(hands: Hands) -> None:
    project, counted, go_on = hands.project(), threading.Event(), threading.Event()
    answers: list[bool] = []

    def order(waits: bool) -> None:
        with hands.database.transaction() as session:
            film, dub = (
                create_asset(session, project, kind, "a", object_key=uuid.uuid4().hex)
                for kind in ("video", "audio")
            )
            create_job(session, project, NewJob(film.id, dub.id))
            answers.append(has_more_live_jobs(session, project, 1))
            counted.set()
            if waits:
                go_on.wait(LONG_SECONDS)

    first = threading.Thread(target=order, args=(True,))
    first.start()
    counted.wait(LONG_SECONDS)
    second = threading.Thread(target=order, args=(False,))
    second.start()
    second.join(0.5)
    assert second.is_alive()  # it waits for the first
    go_on.set()
    first.join()
    second.join()
    assert answers == [False, True]
