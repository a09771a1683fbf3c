"""Inputs as a job that is prepared finds them: fetched once if by URL, hashed once in any case."""

from pathlib import Path

from infra.db.assets import set_digest, set_fetched
from infra.db.orders import AssetRef
from infra.errors import DialogueFetchError, FetchError, ServiceUnavailableError
from infra.storage.documents import WANTED
from infra.storage.fetching import fetch_url
from infra.storage.names import asset_key, safe_name
from infra.storage.s3_inputs import SCHEME
from pipeline.artifacts import sha256_of
from workers.step import StepAtWork

#: A URL's server that is away may come back; after so many attempts it counts as gone for good.
_MOST_ATTEMPTS = 8


def bring_input(step: StepAtWork, asset: AssetRef) -> AssetRef:
    """The input as it is in the bucket, with its digest.

    Raises:
        FetchError: it cannot or must not be fetched.
        InfraError: the bucket or the URL's server is away.
    """
    try:
        if asset.object_key is None and not (asset.source_url or "").startswith(SCHEME):
            return _fetch(step, asset)
        return asset if asset.sha256 is not None else _hash(step, asset)
    except FetchError as error:
        if asset.kind == "audio":
            raise DialogueFetchError(str(error)) from error
        raise


def _hash(step: StepAtWork, asset: AssetRef) -> AssetRef:
    """Look what the file is, once for all jobs that have it."""
    path = step.fetch_asset(asset)
    size, digest = path.stat().st_size, sha256_of(path)
    with step.farm.database.transaction() as session:
        known = set_digest(session, asset.id, size, digest)
    if known.sha256 != digest:
        path.unlink()  # somebody was faster, and read other bytes: theirs count
    return known


def _fetch(step: StepAtWork, asset: AssetRef) -> AssetRef:
    folder = step.pins.add(f"asset-{asset.id}")
    path = folder / safe_name(asset.name)
    with step.farm.workspace.fetching(folder):
        folder.mkdir(exist_ok=True)
        if not path.exists():
            _fetch_url(step, asset, path)
    stored = step.upload_file(path, asset_key(step.project_id, asset.id, asset.name))
    with step.farm.database.transaction() as session:
        fetched = set_fetched(session, asset.id, stored.key, stored.size, stored.sha256)
    if fetched.sha256 != stored.sha256:
        # Somebody was faster, and the URL gave them other bytes: theirs count.
        path.unlink()
    return fetched


def _fetch_url(step: StepAtWork, asset: AssetRef, path: Path) -> None:
    settings = step.farm.settings
    if asset.source_url is None:
        raise FetchError(f"{asset.name} was never uploaded")
    try:
        fetch_url(
            asset.source_url,
            path,
            max_bytes=settings.max_upload_bytes,
            wanted=WANTED[asset.kind],
            private_addresses=settings.fetch_private_addresses,
            should_stop=step.lease.is_interrupted,
        )
    except ServiceUnavailableError as error:
        if step.lease.claim.attempt < _MOST_ATTEMPTS:
            raise
        raise FetchError(f"{error}; tried {_MOST_ATTEMPTS} times") from error
