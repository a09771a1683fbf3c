"""Steps, their attempts and artifacts, and the fleet."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "artifacts",
        sa.Column("id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("files", postgresql.JSONB(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "last_used_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name="fk_artifacts_project_id_projects",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_artifacts"),
        sa.UniqueConstraint("prefix", name="uq_artifacts_prefix"),
        sa.UniqueConstraint("project_id", "key", name="uq_artifacts_project_id_key"),
        postgresql_with={"fillfactor": "80"},
    )
    op.create_index("ix_artifacts_last_used_at", "artifacts", ["last_used_at"], unique=False)
    op.create_table(
        "steps",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("job_id", sa.UUID(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("segment_index", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("rank", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'queued'"), nullable=False),
        sa.Column("ready", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("held", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("worker_id", sa.UUID(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("progress_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("frames", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("frames_done", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "params", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("artifact_key", sa.Text(), nullable=True),
        sa.Column("artifact_id", sa.UUID(), nullable=True),
        sa.Column("kept_original", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("reused", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("losses", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error_class", sa.Text(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "NOT ready OR state = 'queued' AND NOT held", name=op.f("ck_steps_ready")
        ),
        sa.CheckConstraint("NOT held OR state = 'queued'", name=op.f("ck_steps_held")),
        sa.CheckConstraint("queue IN ('cpu', 'gpu', 'stitch')", name=op.f("ck_steps_queue")),
        sa.CheckConstraint(
            "stage IN ('prepare', 'detect', 'track', 'render', 'stitch')",
            name=op.f("ck_steps_stage"),
        ),
        sa.CheckConstraint(
            "state <> 'running' OR (worker_id IS NOT NULL AND lease_until IS NOT NULL)",
            name=op.f("ck_steps_leased"),
        ),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'completed', 'failed', 'canceled')",
            name=op.f("ck_steps_state"),
        ),
        sa.ForeignKeyConstraint(
            ["artifact_id"],
            ["artifacts.id"],
            name="fk_steps_artifact_id_artifacts",
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name="fk_steps_job_id_jobs", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_steps"),
        sa.UniqueConstraint(
            "job_id", "stage", "segment_index", name="uq_steps_job_id_stage_segment_index"
        ),
        postgresql_with={
            "fillfactor": "70",
            "autovacuum_vacuum_scale_factor": "0.01",
            "autovacuum_analyze_scale_factor": "0.02",
        },
    )
    op.create_index(
        "ix_steps_artifact_id",
        "steps",
        ["artifact_id"],
        unique=False,
        postgresql_where=sa.text("artifact_id IS NOT NULL"),
    )
    op.create_index(
        "ix_steps_being_made",
        "steps",
        ["artifact_key"],
        unique=False,
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_index(
        "ix_steps_job_id_stage_state", "steps", ["job_id", "stage", "state"], unique=False
    )
    op.create_index(
        "ix_steps_ready",
        "steps",
        ["queue", "rank", "project_id", "id"],
        unique=False,
        postgresql_where=sa.text("ready"),
        postgresql_include=["stage", "frames"],
    )
    op.create_index(
        "ix_steps_running",
        "steps",
        ["queue", "project_id"],
        unique=False,
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_index(
        "ix_steps_waiting",
        "steps",
        ["not_before"],
        unique=False,
        postgresql_where=sa.text("state = 'queued' AND NOT ready"),
        postgresql_include=["queue"],
    )
    op.create_table(
        "attempts",
        sa.Column("step_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("worker_id", sa.UUID(), nullable=True),
        sa.Column(
            "started_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("error_class", sa.Text(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("log_tail", sa.Text(), nullable=True),
        sa.Column("frames_done", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint(
            "outcome IN ('completed', 'failed', 'lost', 'released', 'canceled')",
            name=op.f("ck_attempts_outcome"),
        ),
        sa.ForeignKeyConstraint(
            ["step_id"], ["steps.id"], name="fk_attempts_step_id_steps", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("step_id", "number", name="pk_attempts"),
    )
    op.create_index("ix_attempts_worker_id", "attempts", ["worker_id"], unique=False)
    op.create_table(
        "workers",
        sa.Column("id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hostname", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("queues", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'online'"), nullable=False),
        sa.Column(
            "started_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "heartbeat_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "failed_jobs",
            postgresql.ARRAY(sa.UUID()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("free_bytes", sa.BigInteger(), nullable=True),
        sa.Column(
            "facts", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.CheckConstraint(
            "state IN ('online', 'draining', 'offline', 'sick')", name=op.f("ck_workers_state")
        ),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index(
        "ix_workers_alive",
        "workers",
        ["state"],
        unique=False,
        postgresql_where=sa.text("state <> 'offline'"),
    )
    op.create_table(
        "benches",
        sa.Column("job_id", sa.UUID(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("worker_id", sa.UUID(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "stage IN ('prepare', 'detect', 'track', 'render', 'stitch')",
            name=op.f("ck_benches_stage"),
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name="fk_benches_job_id_jobs", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["worker_id"], ["workers.id"], name="fk_benches_worker_id_workers", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "stage", "worker_id", name="pk_benches"),
    )
    op.create_index("ix_benches_worker_id", "benches", ["worker_id"], unique=False)
    op.create_table(
        "turns",
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("served_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("queue IN ('cpu', 'gpu', 'stitch')", name=op.f("ck_turns_queue")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_turns_project_id_projects", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("queue", "project_id", name="pk_turns"),
        postgresql_with={"fillfactor": "50"},
    )


def downgrade() -> None:
    op.drop_table("turns")
    op.drop_table("benches")
    op.drop_table("workers")
    op.drop_table("attempts")
    op.drop_table("steps")
    op.drop_table("artifacts")
