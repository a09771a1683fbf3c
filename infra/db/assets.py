"""Inputs: what a project uploaded, or says where to fetch."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import select, tuple_, update
from sqlalchemy.orm import Session

from infra.db.models import Asset
from infra.db.orders import AssetRef
from infra.errors import NotFoundError

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


def get_asset(session: Session, project_id: uuid.UUID, asset_id: uuid.UUID) -> Asset:
    """One input.

    Raises:
        NotFoundError: there is none, or it is another project's.
    """
    asset = session.get(Asset, asset_id)
    if asset is None or asset.project_id != project_id:
        raise NotFoundError(f"there is no asset {asset_id}")
    return asset


def list_assets(
    session: Session, project_id: uuid.UUID, *, after: Place | None = None, limit: int = 50
) -> list[Asset]:
    """A page of a project's inputs, newest first."""
    query = select(Asset).where(Asset.project_id == project_id)
    if after is not None:
        query = query.where(tuple_(Asset.created_at, Asset.id) < (after.created_at, after.id))
    query = query.order_by(Asset.created_at.desc(), Asset.id.desc())
    return list(session.scalars(query.limit(limit)))


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
