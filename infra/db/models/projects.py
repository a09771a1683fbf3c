"""Who uses the farm, with which keys, and what they brought."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.models.base import Base, Created, Id, Size, is_one_of


class Project(Base):
    """A tenant. ``weight`` is its share of the farm; without a limit it has the farm's."""

    __tablename__ = "projects"
    __table_args__ = (CheckConstraint("weight > 0", name="weight"),)

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(unique=True)
    weight: Mapped[int] = mapped_column(server_default=text("1"))
    requests_per_minute: Mapped[int | None]
    live_jobs: Mapped[int | None]
    created_at: Mapped[Created]


class ApiKey(Base):
    """A key of a project. The secret itself is nowhere; ``prefix`` tells keys apart on a page."""

    __tablename__ = "api_keys"

    id: Mapped[Id]
    project_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    name: Mapped[str]
    prefix: Mapped[str]
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)  # of 256 random bits
    scopes: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    created_at: Mapped[Created]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class Asset(Base):
    """An input. One given by URL has no object until prepare has fetched it."""

    __tablename__ = "assets"
    __table_args__ = (
        is_one_of("kind", ("video", "audio", "image")),
        CheckConstraint("object_key IS NOT NULL OR source_url IS NOT NULL", name="somewhere"),
        Index("ix_assets_page", "project_id", "created_at", "id"),
    )

    id: Mapped[Id]
    project_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    kind: Mapped[str]
    name: Mapped[str]
    object_key: Mapped[str | None] = mapped_column(unique=True)
    source_url: Mapped[str | None]
    size_bytes: Mapped[Size | None]
    sha256: Mapped[str | None]
    created_at: Mapped[Created]


class AssetUpload(Base):
    """An upload under way, straight into the bucket; its id becomes the asset's.

    Which parts have arrived is the bucket's to say. ``fingerprint`` is the client's own, by which
    it knows its file again. The row goes when the asset comes.
    """

    __tablename__ = "asset_uploads"
    __table_args__ = (is_one_of("kind", ("video", "audio", "image")),)

    id: Mapped[Id]
    project_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    kind: Mapped[str]
    name: Mapped[str]
    object_key: Mapped[str] = mapped_column(unique=True)
    upload_id: Mapped[str | None]  # of the bucket; none where one PUT does it
    size_bytes: Mapped[Size]
    part_bytes: Mapped[Size]
    fingerprint: Mapped[str | None]
    created_at: Mapped[Created]
