"""Kill anything, lose nothing.

`make test` runs a sample that is the same every time; `make chaos` runs every fault at every point,
with as many seeds as it is told, and prints the table.
"""

import math
import os
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.farm.conftest import HurtFarm
from tests.farm.faults import armed
from tests.farm.harness import Client
from tests.farm.scenarios import Scenario, every_scenario, sample
from tests.patience import LONG_SECONDS

#: Chosen once; every fault is in it, and seven points.
_SAMPLE_SEED, _SAMPLE_SIZE = 1, 7

#: Short segments, so that a short clip has several.
_OPTIONS = {"segment_seconds": 1}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "scenario" in metafunc.fixturenames:
        seeds = int(os.environ.get("CHAOS_SEEDS", "0"))
        chosen = every_scenario(seeds) if seeds else sample(_SAMPLE_SEED, _SAMPLE_SIZE)
        metafunc.parametrize("scenario", chosen, ids=str)


@pytest.fixture(scope="module")
def undisturbed(hurt_farm: HurtFarm, short_clip: Path, short_dialogue: Path) -> str:
    """The digest of the output when nothing happens."""
    client = hurt_farm.new_client()
    job = client.submit(short_clip, short_dialogue, options=_OPTIONS)
    done = client.wait(job)
    assert done["status"] == "COMPLETED", done
    return client.output_sha256(job)


@pytest.fixture(scope="module")
def times() -> Iterator[list[tuple[str, float]]]:
    """Seconds from each fault to the farm's next step forward."""
    taken: list[tuple[str, float]] = []
    yield taken
    seconds = [each for _, each in taken if not math.isnan(each)]
    if seconds:
        print(f"\nmedian time to resume: {statistics.median(seconds):.1f} s of {len(seconds)}")  # noqa: T201 -- what `make chaos` is for
        for name, each in taken:
            print(f"{each:6.1f} s  {name}")  # noqa: T201


def test_nothing_is_lost(
    scenario: Scenario,
    hurt_farm: HurtFarm,
    undisturbed: str,
    short_clip: Path,
    short_dialogue: Path,
    times: list[tuple[str, float]],
) -> None:
    if scenario.fault == "disk full" and hurt_farm.around.scratch is None:
        pytest.skip("no small disk can be mounted here")
    client = hurt_farm.new_client()
    with armed(hurt_farm.around, scenario.point, scenario.fault, scenario.turn) as strike:
        submission = _Submission(client, short_clip, short_dialogue)
        struck = strike(submission.is_over)
        job = submission.id()
        done = client.wait(job)
    assert not math.isnan(struck), "the job never came to the point: nothing was tried"
    times.append((str(scenario), _seconds_to_resume(hurt_farm, job, struck)))
    assert done["status"] == "COMPLETED", f"{done}\n{hurt_farm.farm.tail()}"
    assert client.output_sha256(job) == undisturbed
    assert hurt_farm.farm.audit() == []


class _Submission:
    """An order made in a thread, for the fault may strike while it is made."""

    def __init__(self, client: Client, video: Path, audio: Path) -> None:
        self._client, self._id = client, ""
        self._thread = threading.Thread(target=self._submit, args=(video, audio), daemon=True)
        self._thread.start()

    def _submit(self, video: Path, audio: Path) -> None:
        # One key for all tries: a try whose answer was lost counts.
        self._id = self._client.submit(
            video, audio, options=_OPTIONS, idempotency_key=f"chaos-{time.time_ns()}"
        )

    def id(self) -> str:
        self._thread.join(LONG_SECONDS)
        assert self._id, "the order was never taken"
        return self._id

    def is_over(self) -> bool:
        if not self._id:
            return False
        try:
            return bool(self._client.get(self._id)["status"] == "COMPLETED")
        except Exception:
            return False


def _seconds_to_resume(hurt_farm: HurtFarm, job: str, struck: float) -> float:
    """From the fault to the next step that was claimed or completed, by the database's clock."""
    if math.isnan(struck):
        return math.nan
    ago = time.monotonic() - struck
    query = """
        SELECT extract(epoch FROM min(at) - (clock_timestamp() - make_interval(secs => :ago)))
        FROM events WHERE job_id = CAST(:job AS uuid) AND kind IN ('step.claimed', 'step.completed')
          AND at > clock_timestamp() - make_interval(secs => :ago)
    """
    values: dict[str, Any] = {"ago": ago, "job": job}
    with hurt_farm.database.transaction() as session:
        seconds = session.scalar(text(query), values)
    return math.nan if seconds is None else float(seconds)
