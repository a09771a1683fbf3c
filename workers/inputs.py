"""Inputs given by URL are fetched into the bucket once, when their job is prepared."""

from infra.db.orders import AssetRef
from infra.errors import FetchError
from workers.step import StepAtWork


def bring_input(step: StepAtWork, asset: AssetRef) -> AssetRef:
    """The input as it is in the bucket.

    Raises:
        FetchError: it cannot or must not be fetched.
    """
    if asset.object_key is None:
        raise FetchError(f"{asset.name} was not fetched")
    return asset
