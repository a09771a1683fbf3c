"""What the API keeps: batches row by row, webhooks, uploads, the audit log, sign-ins, samples."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_RECORD = """
CREATE OR REPLACE FUNCTION record_job() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    event bigint;
    kinds text[] := '{{}}';
    one text;
BEGIN
    IF TG_OP = 'INSERT' THEN
        kinds := '{{job.created}}';
    ELSE
        IF OLD.desired <> NEW.desired AND NEW.desired <> 'cancel' THEN
            kinds := kinds
                || CASE NEW.desired WHEN 'pause' THEN 'job.paused' ELSE 'job.resumed' END;
        END IF;
        IF OLD.attention <> NEW.attention THEN
            kinds := kinds
                || CASE WHEN NEW.attention THEN 'job.attention' ELSE 'job.attended' END;
        END IF;
        IF OLD.state <> NEW.state THEN
            kinds := kinds || ('job.' || NEW.state);
        END IF;
    END IF;
    FOREACH one IN ARRAY kinds LOOP
        INSERT INTO events (project_id, job_id, kind, data) VALUES (
            NEW.project_id, NEW.id, one,
            jsonb_strip_nulls(jsonb_build_object(
                'from', CASE TG_OP WHEN 'UPDATE' THEN NULLIF(OLD.state, NEW.state) END,
                'state', NEW.state, 'error_code', NEW.error_code)))
        RETURNING id INTO event;
{tell}
    END LOOP;
{ends}
    RETURN NULL;
END $$
"""

# The address a job was ordered with hears of its end; a project's endpoints of what they chose, or
# of the ends.
_RECORD_JOB = _RECORD.format(
    tell="""
        INSERT INTO webhook_deliveries (project_id, job_id, event_id, kind, url, endpoint_id)
        SELECT NEW.project_id, NEW.id, event, 'generation' || substr(one, 4), told.url, told.id
        FROM (
            SELECT NEW.webhook_url AS url, NULL::uuid AS id WHERE NEW.webhook_url IS NOT NULL
              AND one IN ('job.completed', 'job.failed', 'job.rejected', 'job.canceled')
            UNION ALL
            SELECT e.url, e.id FROM webhook_endpoints e
            WHERE e.project_id = NEW.project_id AND e.disabled_at IS NULL AND (
                'generation' || substr(one, 4) = ANY (e.events)
                OR e.events = '{}'
                   AND one IN ('job.completed', 'job.failed', 'job.rejected', 'job.canceled'))
        ) AS told;""",
    ends="",
)

_RECORD_JOB_BEFORE = _RECORD.format(
    tell="",
    ends="""
    IF NEW.webhook_url IS NOT NULL AND TG_OP = 'UPDATE' AND OLD.state <> NEW.state
        AND NEW.state IN ('completed', 'failed', 'rejected', 'canceled')
    THEN
        INSERT INTO webhook_deliveries (project_id, job_id, event_id, url)
        VALUES (NEW.project_id, NEW.id, event, NEW.webhook_url);
    END IF;""",
)


def upgrade() -> None:
    _make_tables()
    _change_tables()


def downgrade() -> None:
    _undo_changes()
    _drop_tables()


def _make_tables() -> None:
    op.create_table(
        "audit_log",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("project_id", sa.UUID(), nullable=True),
        sa.Column("key_id", sa.UUID(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("object_kind", sa.Text(), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=True),
        sa.Column(
            "detail", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_audit_log"),
    )
    op.create_index("ix_audit_log_object", "audit_log", ["object_kind", "object_id"], unique=False)
    op.create_index("ix_audit_log_page", "audit_log", ["project_id", "id"], unique=False)
    op.create_table(
        "queue_samples",
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("ready", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("waiting", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("running", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("workers", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("queued_seconds", sa.Double(), nullable=False),
        sa.Column("frames", sa.BigInteger(), nullable=False),
        sa.Column("steps", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint(
            "queue IN ('cpu', 'gpu', 'stitch')", name=op.f("ck_queue_samples_queue")
        ),
        sa.PrimaryKeyConstraint("at", "queue", name="pk_queue_samples"),
    )
    op.create_table(
        "farm_figures",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", "label", name="pk_farm_figures"),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "asset_uploads",
        sa.Column("id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column("upload_id", sa.Text(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("part_bytes", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "kind IN ('video', 'audio', 'image')", name=op.f("ck_asset_uploads_kind")
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name="fk_asset_uploads_project_id_projects",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_asset_uploads"),
        sa.UniqueConstraint("object_key", name="uq_asset_uploads_object_key"),
    )
    op.create_index("ix_asset_uploads_project_id", "asset_uploads", ["project_id"], unique=False)
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column(
            "events", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name="fk_webhook_endpoints_project_id_projects",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_endpoints"),
    )
    op.create_index(
        "ix_webhook_endpoints_project_id", "webhook_endpoints", ["project_id"], unique=False
    )
    op.create_table(
        "webhook_secrets",
        sa.Column("id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name="fk_webhook_secrets_project_id_projects",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_secrets"),
    )
    op.create_index(
        "ix_webhook_secrets_project_id", "webhook_secrets", ["project_id"], unique=False
    )
    op.create_table(
        "sign_ins",
        sa.Column("id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.UUID(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["key_id"], ["api_keys.id"], name="fk_sign_ins_key_id_api_keys", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_sign_ins"),
        sa.UniqueConstraint("secret_hash", name="uq_sign_ins_secret_hash"),
    )
    op.create_index("ix_sign_ins_key_id", "sign_ins", ["key_id"], unique=False)
    op.create_table(
        "batch_rows",
        sa.Column("batch_id", sa.UUID(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("job_id", sa.UUID(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batches.id"], name="fk_batch_rows_batch_id_batches", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name="fk_batch_rows_job_id_jobs", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("batch_id", "number", name="pk_batch_rows"),
    )
    op.create_index(
        "ix_batch_rows_request_id",
        "batch_rows",
        ["batch_id", "request_id"],
        unique=True,
        postgresql_where=sa.text("error_code IS NULL"),
    )
    op.create_index(
        "ix_batch_rows_title", "batch_rows", ["batch_id", "title", "number"], unique=False
    )
    op.create_index("ix_batch_rows_job_id", "batch_rows", ["job_id"], unique=False)
    op.create_table(
        "webhook_attempts",
        sa.Column("delivery_id", sa.UUID(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("milliseconds", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["webhook_deliveries.id"],
            name="fk_webhook_attempts_delivery_id_webhook_deliveries",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("delivery_id", "number", name="pk_webhook_attempts"),
    )


def _change_tables() -> None:
    op.add_column(
        "batches",
        sa.Column("kind", sa.Text(), server_default=sa.text("'requests'"), nullable=False),
    )
    op.add_column("batches", sa.Column("idempotency_key", sa.Text(), nullable=True))
    op.add_column("batches", sa.Column("request_digest", sa.Text(), nullable=True))
    op.add_column(
        "batches", sa.Column("rows", sa.Integer(), server_default=sa.text("0"), nullable=False)
    )
    op.add_column(
        "batches",
        sa.Column("refused_rows", sa.Integer(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column("batches", sa.Column("error_code", sa.Text(), nullable=True))
    op.add_column("batches", sa.Column("error_message", sa.Text(), nullable=True))
    op.add_column("batches", sa.Column("result_key", sa.Text(), nullable=True))
    op.add_column("batches", sa.Column("read_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_batches_open",
        "batches",
        ["id"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_unique_constraint(
        "uq_batches_project_id_idempotency_key", "batches", ["project_id", "idempotency_key"]
    )
    op.create_unique_constraint("uq_batches_result_key", "batches", ["result_key"])
    op.add_column(
        "events",
        sa.Column(
            "xact",
            sa.BigInteger(),
            server_default=sa.text("((pg_current_xact_id())::text)::bigint"),
            nullable=False,
        ),
    )
    op.drop_index("ix_events_job_id_id", table_name="events")
    op.drop_index("ix_events_project_id_id", table_name="events")
    op.create_index("ix_events_job_id_xact_id", "events", ["job_id", "xact", "id"], unique=False)
    op.create_index(
        "ix_events_project_id_xact_id", "events", ["project_id", "xact", "id"], unique=False
    )
    op.create_index("ix_events_xact_id", "events", ["xact", "id"], unique=False)
    op.add_column(
        "jobs",
        sa.Column(
            "labels", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
    )
    op.drop_index("ix_jobs_batch_id", table_name="jobs")
    op.create_index(
        "ix_jobs_attention",
        "jobs",
        ["project_id", "created_at", "id"],
        unique=False,
        postgresql_where=sa.text("attention"),
    )
    op.create_index("ix_jobs_batch_id_state", "jobs", ["batch_id", "state"], unique=False)
    op.create_index("ix_jobs_labels", "jobs", ["labels"], unique=False, postgresql_using="gin")
    op.execute("UPDATE jobs SET labels = ARRAY[label] WHERE label IS NOT NULL")
    op.drop_column("jobs", "label")
    op.add_column("projects", sa.Column("requests_per_minute", sa.Integer(), nullable=True))
    op.add_column("projects", sa.Column("live_jobs", sa.Integer(), nullable=True))
    op.add_column("webhook_deliveries", sa.Column("batch_id", sa.UUID(), nullable=True))
    op.add_column("webhook_deliveries", sa.Column("endpoint_id", sa.UUID(), nullable=True))
    op.add_column("webhook_deliveries", sa.Column("kind", sa.Text(), nullable=True))
    op.execute(
        "UPDATE webhook_deliveries d SET kind = 'generation.' || j.state FROM jobs j "
        "WHERE j.id = d.job_id"
    )
    op.alter_column("webhook_deliveries", "kind", existing_type=sa.Text(), nullable=False)
    op.alter_column("webhook_deliveries", "job_id", existing_type=sa.UUID(), nullable=True)
    op.drop_index("ix_webhook_deliveries_project_id", table_name="webhook_deliveries")
    op.create_index(
        "ix_webhook_deliveries_batch_id", "webhook_deliveries", ["batch_id"], unique=False
    )
    op.create_index(
        "ix_webhook_deliveries_endpoint_id", "webhook_deliveries", ["endpoint_id"], unique=False
    )
    op.create_index(
        "ix_webhook_deliveries_order",
        "webhook_deliveries",
        ["job_id", "event_id"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "ix_webhook_deliveries_failed",
        "webhook_deliveries",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("state = 'failed'"),
    )
    op.create_index(
        "ix_webhook_deliveries_page",
        "webhook_deliveries",
        ["project_id", "created_at", "id"],
        unique=False,
    )
    op.create_foreign_key(
        "fk_webhook_deliveries_endpoint_id_webhook_endpoints",
        "webhook_deliveries",
        "webhook_endpoints",
        ["endpoint_id"],
        ["id"],
        ondelete="CASCADE",
    )
    op.create_foreign_key(
        "fk_webhook_deliveries_batch_id_batches",
        "webhook_deliveries",
        "batches",
        ["batch_id"],
        ["id"],
        ondelete="CASCADE",
    )
    op.create_check_constraint(
        op.f("ck_batches_kind"), "batches", "kind IN ('requests', 'catalogue', 'languages')"
    )
    op.create_check_constraint(
        op.f("ck_webhook_deliveries_subject"),
        "webhook_deliveries",
        "job_id IS NOT NULL OR batch_id IS NOT NULL OR kind = 'webhook.test'",
    )
    op.execute(_RECORD_JOB)


def _undo_changes() -> None:
    op.execute(_RECORD_JOB_BEFORE)
    op.execute("DELETE FROM webhook_deliveries WHERE job_id IS NULL")
    op.drop_constraint(op.f("ck_webhook_deliveries_subject"), "webhook_deliveries", type_="check")
    op.drop_constraint(op.f("ck_batches_kind"), "batches", type_="check")
    op.drop_constraint(
        "fk_webhook_deliveries_batch_id_batches", "webhook_deliveries", type_="foreignkey"
    )
    op.drop_constraint(
        "fk_webhook_deliveries_endpoint_id_webhook_endpoints",
        "webhook_deliveries",
        type_="foreignkey",
    )
    op.drop_index("ix_webhook_deliveries_page", table_name="webhook_deliveries")
    op.drop_index("ix_webhook_deliveries_failed", table_name="webhook_deliveries")
    op.drop_index(
        "ix_webhook_deliveries_order",
        table_name="webhook_deliveries",
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.drop_index("ix_webhook_deliveries_endpoint_id", table_name="webhook_deliveries")
    op.drop_index("ix_webhook_deliveries_batch_id", table_name="webhook_deliveries")
    op.create_index(
        "ix_webhook_deliveries_project_id", "webhook_deliveries", ["project_id"], unique=False
    )
    op.alter_column("webhook_deliveries", "job_id", existing_type=sa.UUID(), nullable=False)
    op.drop_column("webhook_deliveries", "kind")
    op.drop_column("webhook_deliveries", "endpoint_id")
    op.drop_column("webhook_deliveries", "batch_id")
    op.drop_column("projects", "live_jobs")
    op.drop_column("projects", "requests_per_minute")
    op.add_column("jobs", sa.Column("label", sa.TEXT(), autoincrement=False, nullable=True))
    op.drop_index("ix_jobs_labels", table_name="jobs", postgresql_using="gin")
    op.drop_index("ix_jobs_batch_id_state", table_name="jobs")
    op.drop_index("ix_jobs_attention", table_name="jobs", postgresql_where=sa.text("attention"))
    op.create_index("ix_jobs_batch_id", "jobs", ["batch_id"], unique=False)
    op.drop_column("jobs", "labels")
    op.drop_index("ix_events_xact_id", table_name="events")
    op.drop_index("ix_events_project_id_xact_id", table_name="events")
    op.drop_index("ix_events_job_id_xact_id", table_name="events")
    op.create_index("ix_events_project_id_id", "events", ["project_id", "id"], unique=False)
    op.create_index("ix_events_job_id_id", "events", ["job_id", "id"], unique=False)
    op.drop_column("events", "xact")
    op.drop_constraint("uq_batches_result_key", "batches", type_="unique")
    op.drop_constraint("uq_batches_project_id_idempotency_key", "batches", type_="unique")
    op.drop_index(
        "ix_batches_open", table_name="batches", postgresql_where=sa.text("finished_at IS NULL")
    )
    op.drop_column("batches", "read_at")
    op.drop_column("batches", "result_key")
    op.drop_column("batches", "error_message")
    op.drop_column("batches", "error_code")
    op.drop_column("batches", "refused_rows")
    op.drop_column("batches", "rows")
    op.drop_column("batches", "request_digest")
    op.drop_column("batches", "idempotency_key")
    op.drop_column("batches", "kind")


def _drop_tables() -> None:
    op.drop_table("webhook_attempts")
    op.drop_table("batch_rows")
    op.drop_table("sign_ins")
    op.drop_table("webhook_secrets")
    op.drop_table("webhook_endpoints")
    op.drop_table("asset_uploads")
    op.drop_table("farm_figures")
    op.drop_table("queue_samples")
    op.drop_table("audit_log")
