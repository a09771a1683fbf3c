"""One attempt at a step, from the claim to what the database is told of it."""

import contextlib
import re
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from infra.crash_points import crash_point
from infra.db.figures import count_fenced_report
from infra.db.leases import complete_step, fail_step, release_step
from infra.db.orders import Failure, StepResult
from infra.db.session import after_commit
from infra.db.side_artifacts import add_artifact
from infra.errors import FencedError, InfraError, ServiceUnavailableError
from infra.logs import get_logger
from workers.failures import classify
from workers.lease import InterruptedStepError, Lease
from workers.runner import RunnerDiedError
from workers.stages import StageWork
from workers.step import Farm, StepAtWork, StepFailedError

_logger = get_logger(__name__)

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 3.0


def attempt_step(step: StepAtWork, work: StageWork) -> None:
    """Work on a step and report; whatever happens, nothing is raised but what ends the process.

    Args:
        step: claimed, its lease being renewed.
        work: of its stage.
    """
    lease, farm = step.lease, step.farm
    try:
        crash_point("claim.after_commit_before_work")
        result = work(step)
        lease.check()
        crash_point("step.after_upload_before_commit")
        _complete(step, result)
        _logger.info("step.completed", reused=result.reused)
    except FencedError:
        _drop_refused(farm, lease)
    except Exception as error:  # every other error is a failure of the step
        # Unless it was interrupted: then whatever broke, broke of that, and is of no matter.
        if lease.reason is None:
            _fail(farm, lease, _without_folders(_failure(error), farm.workspace.root))

        else:
            _logger.info("step.dropped", reason=lease.reason)
            if lease.reason == "drain":
                _give_back(farm, lease)


def _complete(step: StepAtWork, result: StepResult) -> None:
    claim = step.lease.claim

    def report() -> None:
        with step.farm.database.transaction() as session:
            complete_step(session, claim.step_id, claim.attempt, result)
            for artifact in step.side_artifacts:
                add_artifact(session, claim.project_id, artifact)
            after_commit(session, lambda: crash_point("step.after_commit_before_bell"))

    _persistently(step.lease, report)


def _fail(farm: Farm, lease: Lease, failure: Failure) -> None:
    claim = lease.claim
    _logger.warning(
        "step.failed",
        kind=failure.kind,
        code=failure.code,
        error=failure.message,
        log_tail=failure.log_tail,
    )

    def report() -> None:
        with farm.database.transaction() as session:
            fail_step(session, claim.step_id, claim.attempt, failure)

    try:
        _persistently(lease, report)
    except FencedError:
        _drop_refused(farm, lease)
    except InterruptedStepError:
        _logger.info("step.dropped", reason="fenced")


def _drop_refused(farm: Farm, lease: Lease) -> None:
    """A report came too late: all is as it should be, but somebody may want to know how often."""
    _logger.info("step.dropped", reason="fenced")
    with contextlib.suppress(InfraError), farm.database.transaction() as session:
        count_fenced_report(session, lease.claim.stage)


def _give_back(farm: Farm, lease: Lease) -> None:
    """At no charge; if it cannot be said, the lease runs out by itself."""
    claim = lease.claim
    try:
        with farm.database.transaction() as session:
            release_step(session, claim.step_id, claim.attempt)
    except (FencedError, ServiceUnavailableError) as error:
        _logger.info("step.not_given_back", error=str(error))


def _persistently(lease: Lease, report: Callable[[], None]) -> None:
    """Try until the database answers, or the step is not ours any more."""
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            report()
        except ServiceUnavailableError as error:
            _logger.warning("step.unreported", error=str(error))
        else:
            return
        lease.pause(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def _without_folders(failure: Failure, root: Path) -> Failure:
    """Clients brought a film by its name; where a worker laid it is no business of theirs."""
    below = re.compile(rf"{re.escape(str(root))}/(?:[^/\s]+/)*")
    return replace(failure, message=below.sub("", failure.message))


def _failure(error: Exception) -> Failure:
    if isinstance(error, StepFailedError):
        failed = error.failed
        return Failure(failed.kind, failed.code, failed.message, failed.traceback)
    failure = classify(error)
    tail = error.tail if isinstance(error, RunnerDiedError) else traceback.format_exc()
    return Failure(failure.kind, failure.code, failure.message, tail)
