"""Inputs: what a project uploaded, or says where to fetch."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from infra.db.models import Asset
from infra.db.orders import AssetRef
from infra.errors import InfraError, NotFoundError


class InUseError(InfraError):
    """Some job has that asset as an input."""

    code: ClassVar[str] = "in_use"
    exit_status: ClassVar[int] = 2


AssetKind = Literal["video", "audio", "image"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of a list ends: the time and id of its last row.

    ``section`` says in which part, where a list has several.
    """

    created_at: datetime
    id: uuid.UUID
    section: str = ""


def create_asset(
    session: Session,
    project_id: uuid.UUID,
    kind: AssetKind,
    name: str,
    *,
    asset_id: uuid.UUID | None = None,
    object_key: str | None = None,
    source_url: str | None = None,
    size_bytes: int | None = None,
    sha256: str | None = None,
) -> AssetRef:
    """Enter an input: an object in the bucket, or a URL that prepare will fetch.

    ``asset_id`` is for callers whose object key holds the id; otherwise the database makes one.
    """
    asset = Asset(
        project_id=project_id,
        kind=kind,
        name=name,
        object_key=object_key,
        source_url=source_url,
        size_bytes=size_bytes,
        sha256=sha256,
    )
    if asset_id is not None:
        asset.id = asset_id
    session.add(asset)
    session.flush()
    return ref_of(asset)


def set_fetched(
    session: Session, asset_id: uuid.UUID, object_key: str, size_bytes: int, sha256: str
) -> AssetRef:
    """An input given by URL is in the bucket now; the first to say so counts.

    Returns:
        The asset as it is: with another object key, if somebody was faster.
    """
    session.execute(
        update(Asset)
        .where(Asset.id == asset_id, Asset.object_key.is_(None))
        .values(object_key=object_key, size_bytes=size_bytes, sha256=sha256)
    )
    asset = session.get(Asset, asset_id, populate_existing=True)
    if asset is None:
        raise NotFoundError(f"there is no asset {asset_id}")
    return ref_of(asset)


def set_digest(session: Session, asset_id: uuid.UUID, size_bytes: int, sha256: str) -> AssetRef:
    """Somebody read the whole input; the first to say what it is counts.

    Returns:
        The asset as it is: with another digest, if somebody was faster and read other bytes.

    Raises:
        NotFoundError: there is none.
    """
    session.execute(
        update(Asset)
        .where(Asset.id == asset_id, Asset.sha256.is_(None))
        .values(size_bytes=size_bytes, sha256=sha256)
    )
    asset = session.get(Asset, asset_id, populate_existing=True)
    if asset is None:
        raise NotFoundError(f"there is no asset {asset_id}")
    return ref_of(asset)


def get_asset(session: Session, project_id: uuid.UUID, asset_id: uuid.UUID) -> Asset:
    """One input.

    Raises:
        NotFoundError: there is none, or it is another project's.
    """
    asset = session.get(Asset, asset_id)
    if asset is None or asset.project_id != project_id:
        raise NotFoundError(f"there is no asset {asset_id}")
    return asset


def delete_asset(session: Session, project_id: uuid.UUID, asset_id: uuid.UUID) -> str | None:
    """Forget an input no job has; its object's key is returned, which is garbage from now on.

    Raises:
        NotFoundError: there is none, or it is another project's.
        InUseError: a job has it.
    """
    asset = get_asset(session, project_id, asset_id)
    try:
        with session.begin_nested():
            session.delete(asset)
    except IntegrityError:
        raise InUseError(f"asset {asset_id} is an input of some job") from None
    return asset.object_key


def ref_of(asset: Asset) -> AssetRef:
    """The asset as workers know it."""
    return AssetRef(
        id=asset.id,
        kind=asset.kind,
        name=asset.name,
        object_key=asset.object_key,
        source_url=asset.source_url,
        size_bytes=asset.size_bytes,
        sha256=asset.sha256,
    )
