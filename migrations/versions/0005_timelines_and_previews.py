"""Jobs with several dialogues or with boxes of whom to dub, and the preview beside an output."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    uuid = postgresql.UUID(as_uuid=True)
    op.create_table(
        "job_dialogues",
        sa.Column("job_id", uuid, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("asset_id", uuid, nullable=False),
        sa.CheckConstraint("position > 0", name=op.f("ck_job_dialogues_position")),
        sa.PrimaryKeyConstraint("job_id", "position", name=op.f("pk_job_dialogues")),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], ondelete="CASCADE", name=op.f("fk_job_dialogues_job_id_jobs")
        ),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["assets.id"], name=op.f("fk_job_dialogues_asset_id_assets")
        ),
    )
    op.create_index(op.f("ix_job_dialogues_asset_id"), "job_dialogues", ["asset_id"])
    op.create_table(
        "job_boxes",
        sa.Column("job_id", uuid, nullable=False),
        sa.Column("boxes", postgresql.JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_job_boxes")),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], ondelete="CASCADE", name=op.f("fk_job_boxes_job_id_jobs")
        ),
    )
    op.add_column("jobs", sa.Column("preview_key", sa.Text()))


def downgrade() -> None:
    op.drop_column("jobs", "preview_key")
    op.drop_table("job_boxes")
    op.drop_table("job_dialogues")
