"""The condition under which a step is still the attempt's that speaks."""

from infra.errors import FencedError

#: Whose step it is; a test takes the attempt away and sees a late worker do its damage.
HELD = "s.id = :step AND s.attempt = :attempt AND s.state = 'running'"


def refusal(step_id: int, attempt: int) -> FencedError:
    """What a late attempt is told."""
    return FencedError(f"step {step_id} is not attempt {attempt}'s any more")
