"""The tables refuse illegal moves, and write down the legal ones.

The conditions stand in ``WHEN``, so a heartbeat, which moves nothing, calls no function.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_STEP_MOVES = """
    ('queued', 'running'), ('running', 'completed'), ('running', 'queued'), ('running', 'failed'),
    ('queued', 'failed'), ('queued', 'canceled'), ('running', 'canceled'), ('failed', 'canceled'),
    ('failed', 'queued'), ('queued', 'completed'), ('failed', 'completed')
"""
_JOB_MOVES = """
    ('queued', 'preparing'), ('preparing', 'detecting'), ('detecting', 'tracking'),
    ('tracking', 'rendering'), ('rendering', 'stitching'), ('stitching', 'completed'),
    ('queued', 'canceled'), ('preparing', 'canceled'), ('detecting', 'canceled'),
    ('tracking', 'canceled'), ('rendering', 'canceled'), ('stitching', 'canceled'),
    ('queued', 'failed'), ('preparing', 'failed'), ('detecting', 'failed'),
    ('tracking', 'failed'), ('rendering', 'failed'), ('stitching', 'failed'),
    ('preparing', 'rejected'),
    ('failed', 'preparing'), ('failed', 'tracking'), ('failed', 'stitching')
"""

_REFUSE = """
CREATE FUNCTION refuse_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% %: % does not become %', TG_ARGV[0], OLD.id, OLD.state, NEW.state
        USING ERRCODE = 'LF001';
END $$
"""

_RECORD_STEP = """
CREATE FUNCTION record_step() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before text := CASE TG_OP WHEN 'UPDATE' THEN OLD.state END;
BEGIN
    INSERT INTO events (project_id, job_id, step_id, kind, data) VALUES (
        NEW.project_id, NEW.job_id, NEW.id,
        CASE
            WHEN NEW.state = 'running' THEN 'step.claimed'
            WHEN NEW.state = 'queued' AND before = 'failed' THEN 'step.retried'
            WHEN NEW.state = 'queued' THEN 'step.requeued'
            ELSE 'step.' || NEW.state
        END,
        jsonb_strip_nulls(jsonb_build_object(
            'from', before, 'stage', NEW.stage, 'segment_index', NEW.segment_index,
            'attempt', NEW.attempt, 'worker_id', NEW.worker_id,
            'reused', NULLIF(NEW.reused, false), 'kept_original', NULLIF(NEW.kept_original, false),
            'error_class', NEW.error_class, 'error_code', NEW.error_code)));
    RETURN NULL;
END $$
"""

_RECORD_JOB = """
CREATE FUNCTION record_job() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    event bigint;
    kinds text[] := '{}';
    one text;
BEGIN
    IF TG_OP = 'INSERT' THEN
        kinds := '{job.created}';
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
    END LOOP;
    IF NEW.webhook_url IS NOT NULL AND TG_OP = 'UPDATE' AND OLD.state <> NEW.state
        AND NEW.state IN ('completed', 'failed', 'rejected', 'canceled')
    THEN
        INSERT INTO webhook_deliveries (project_id, job_id, event_id, url)
        VALUES (NEW.project_id, NEW.id, event, NEW.webhook_url);
    END IF;
    RETURN NULL;
END $$
"""

_OPEN_TURNS = """
CREATE FUNCTION open_turns() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO turns (queue, project_id, served_at)
    SELECT queue, NEW.id, '-infinity' FROM unnest('{cpu, gpu, stitch}'::text[]) AS queue;
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    for function in (_REFUSE, _RECORD_STEP, _RECORD_JOB, _OPEN_TURNS):
        op.execute(function)
    for table, word, moves in (("steps", "step", _STEP_MOVES), ("jobs", "job", _JOB_MOVES)):
        op.execute(
            f"CREATE TRIGGER refuse_move BEFORE UPDATE OF state ON {table} FOR EACH ROW "
            f"WHEN (OLD.state <> NEW.state AND (OLD.state, NEW.state) NOT IN ({moves})) "
            f"EXECUTE FUNCTION refuse_move('{word}')"
        )
    op.execute(
        "CREATE TRIGGER record_move AFTER UPDATE OF state ON steps FOR EACH ROW "
        "WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION record_step()"
    )
    op.execute(
        "CREATE TRIGGER record_reuse AFTER INSERT ON steps FOR EACH ROW "
        "WHEN (NEW.state <> 'queued') EXECUTE FUNCTION record_step()"
    )
    op.execute(
        "CREATE TRIGGER record_move AFTER UPDATE OF state, desired, attention ON jobs FOR EACH ROW "
        "WHEN (OLD.state <> NEW.state OR OLD.desired <> NEW.desired"
        " OR OLD.attention <> NEW.attention) EXECUTE FUNCTION record_job()"
    )
    op.execute(
        "CREATE TRIGGER record_order AFTER INSERT ON jobs FOR EACH ROW "
        "EXECUTE FUNCTION record_job()"
    )
    op.execute(
        "CREATE TRIGGER open_turns AFTER INSERT ON projects FOR EACH ROW "
        "EXECUTE FUNCTION open_turns()"
    )


def downgrade() -> None:
    for table, trigger in (
        ("steps", "refuse_move"),
        ("steps", "record_move"),
        ("steps", "record_reuse"),
        ("jobs", "refuse_move"),
        ("jobs", "record_move"),
        ("jobs", "record_order"),
        ("projects", "open_turns"),
    ):
        op.execute(f"DROP TRIGGER {trigger} ON {table}")
    for function in ("refuse_move", "record_step", "record_job", "open_turns"):
        op.execute(f"DROP FUNCTION {function}()")
