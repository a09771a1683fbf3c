"""Uploads under way, straight into the bucket; each becomes an asset of the same id."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from infra.db.assets import AssetKind, create_asset
from infra.db.models import Asset, AssetUpload
from infra.errors import NotFoundError


@dataclass(frozen=True, slots=True)
class NewUpload:
    """What a client is about to send.

    Attributes:
        upload_id: the bucket's; None where one PUT does it.
        part_bytes: size of all parts but the last.
        fingerprint: the client's own, by which it knows its file again.
    """

    id: uuid.UUID
    kind: AssetKind
    name: str
    object_key: str
    size_bytes: int
    upload_id: str | None
    part_bytes: int
    fingerprint: str | None = None


def create_upload(session: Session, project_id: uuid.UUID, upload: NewUpload) -> AssetUpload:
    """Note an upload that begins."""
    values = {name: getattr(upload, name) for name in upload.__slots__}
    row = AssetUpload(project_id=project_id, **values)
    session.add(row)
    session.flush()
    session.refresh(row)
    return row


def get_upload(session: Session, project_id: uuid.UUID, upload_id: uuid.UUID) -> AssetUpload:
    """One upload.

    Raises:
        NotFoundError: there is none under way, or it is another project's.
    """
    row = session.get(AssetUpload, upload_id)
    if row is None or row.project_id != project_id:
        raise NotFoundError(f"there is no upload {upload_id}")
    return row


def list_uploads(
    session: Session, project_id: uuid.UUID, *, fingerprint: str | None = None, limit: int = 100
) -> Sequence[AssetUpload]:
    """A project's uploads in parts, newest first; those of a file, if its fingerprint is given."""
    query = select(AssetUpload).where(
        AssetUpload.project_id == project_id, AssetUpload.upload_id.is_not(None)
    )
    if fingerprint is not None:
        query = query.where(AssetUpload.fingerprint == fingerprint)
    query = query.order_by(AssetUpload.created_at.desc(), AssetUpload.id.desc())
    return session.scalars(query.limit(limit)).all()


def become_asset(
    session: Session,
    project_id: uuid.UUID,
    upload_id: uuid.UUID,
    *,
    name: str | None = None,
    object_key: str | None = None,
) -> Asset:
    """The asset a whole upload is; asked for twice, it is the same one.

    Args:
        session: of the transaction.
        project_id: whose upload.
        upload_id: of the upload, and of the asset.
        name: instead of the upload's.
        object_key: where the file is now; unless it is where it was uploaded to.

    Raises:
        NotFoundError: there is neither such an upload nor such an asset in the project.
    """
    upload = session.get(AssetUpload, upload_id, with_for_update=True)
    if upload is not None and upload.project_id == project_id:
        create_asset(
            session,
            project_id,
            upload.kind,  # type: ignore[arg-type]  # the table's own check
            name or upload.name,
            asset_id=upload.id,
            object_key=object_key or upload.object_key,
            size_bytes=upload.size_bytes,
        )
        session.delete(upload)
        session.flush()
    asset = session.get(Asset, upload_id, populate_existing=True)
    if asset is None or asset.project_id != project_id:
        raise NotFoundError(f"there is no upload {upload_id}")
    return asset


def forget_upload(session: Session, project_id: uuid.UUID, upload_id: uuid.UUID) -> None:
    """Forget an upload; what arrived of it is garbage."""
    session.execute(
        delete(AssetUpload).where(AssetUpload.id == upload_id, AssetUpload.project_id == project_id)
    )
