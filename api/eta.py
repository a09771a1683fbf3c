"""How long a job still takes: what it cost so far, for what is left, on the workers it has."""

from infra.db.progress import SHARES, JobProgress
from infra.db.speeds import StageSpeed
from infra.db.states import Stage

#: With less behind it than this share of a dub, a job's speed is a guess nobody should see.
_LEAST_SHARE = 0.02


def seconds_left(progress: JobProgress, speeds: dict[Stage, StageSpeed]) -> float | None:
    """Seconds until the job completes if it goes on as it does; None where nobody can say yet.

    Args:
        progress: frames done, by stage.
        speeds: workers' time, by stage.
    """
    worked = seconds = 0.0
    for stage, speed in speeds.items():
        frames = progress.stages[stage].frames if stage in progress.stages else 0
        if frames and speed.frames_worked:
            worked += SHARES[stage] * speed.frames_worked / frames
            seconds += speed.seconds
    if worked < _LEAST_SHARE:
        return None
    workers = max(1, sum(speed.running for speed in speeds.values()))
    return round((1 - progress.fraction) * seconds / worked / workers, 1)
