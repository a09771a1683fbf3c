"""What a GPU's time costs, where the farm was told."""

from typing import Final

from api.farm import Farm

_SECONDS_AN_HOUR: Final = 3600


def gpu_cost(farm: Farm, seconds: float) -> float | None:
    """Of so much of a GPU's time, in the money of the farm's price; None without a price."""
    price = farm.settings.price_per_hour
    return round(seconds / _SECONDS_AN_HOUR * price, 6) if price else None
