"""A farm that has done much: jobs, steps, attempts and events by the million, made in SQL.

The rows are as workers leave them, but no trigger wrote them down and no worker was there.
"""

from typing import Final

from sqlalchemy import text

from infra.db.session import Database

#: Segments of the one job that is a whole film; the others are episodes of eleven steps.
FILM_SEGMENTS: Final = 700

# Of a hundred jobs so many are in each state, live ones among them; projects get shares of them.
_STATES: Final = (
    ("completed", 85),
    ("failed", 3),
    ("rejected", 2),
    ("canceled", 2),
    ("queued", 2),
    ("detecting", 2),
    ("rendering", 4),
)
_PROJECTS: Final = """
INSERT INTO projects (name) SELECT 'studio ' || n FROM generate_series(1, :projects) n
"""
_INPUTS: Final = """
INSERT INTO assets (project_id, kind, name, object_key, size_bytes)
SELECT p.id, kind, kind || n, p.id || kind || n, 1000000
FROM projects p, generate_series(1, 500) n, unnest(ARRAY['video', 'audio']) kind
"""
_BATCHES: Final = """
INSERT INTO batches (project_id, kind, name, state, rows, read_at, finished_at)
SELECT p.id, 'catalogue', 'catalogue ' || n, 'completed', 500, now(), now()
FROM projects p, generate_series(1, 20) n
"""
# The first project has as many jobs as all the others together.
_JOBS: Final = """
INSERT INTO jobs (project_id, batch_id, source_id, dialogue_id, name, labels, language, state,
                  attention, params, request, report, created_at, started_at, finished_at,
                  output_key, output_name, output_seconds)
SELECT p.id, CASE WHEN n % 2 = 0 THEN b.ids[1 + n % 20] END,
       a.films[1 + n % 500], a.tracks[1 + n % 500],
       format('Title %s, episode %s', n / 12, n % 12),
       ARRAY['season ' || n % 20, CASE WHEN n % 3 = 0 THEN 'rush' ELSE 'catalogue' END],
       (ARRAY['fra', 'deu', 'spa', 'ita', 'por', 'jpn'])[1 + n % 6],
       s.state,
       s.state IN ('failed', 'rendering') AND n % 10 = 0,
       '{"network": "wav2lip", "options": {"sync_mode": "silence", "crf": 16}}',
       jsonb_build_object('model', 'auto', 'input', jsonb_build_array(
           jsonb_build_object('type', 'video', 'url', 'https://media.example/film-' || n),
           jsonb_build_object('type', 'audio', 'url', 'https://media.example/dub-' || n)),
           'options', jsonb_build_object('sync_mode', 'silence')),
       CASE WHEN s.state = 'completed' THEN jsonb_build_object('frames', 1000, 'network',
           'wav2lip', 'sync_mode', 'silence', 'shots', (
               SELECT jsonb_agg(jsonb_build_object('index', i, 'start', i * 50, 'end', i * 50 + 50,
                   'dubbed', 48, 'doubtful', 2)) FROM generate_series(0, 19) i)) END,
       now() - make_interval(secs => (:jobs - n) * 20.0),
       CASE WHEN s.state <> 'queued' THEN now() - make_interval(secs => (:jobs - n) * 20.0) END,
       CASE WHEN s.state IN ('completed', 'failed', 'rejected', 'canceled')
            THEN now() - make_interval(secs => (:jobs - n) * 19.9) END,
       CASE WHEN s.state = 'completed' THEN 'outputs/' || n END, 'film.mp4', 40.0
FROM generate_series(1, :jobs) n
JOIN LATERAL (SELECT CASE WHEN n % 2 = 0 THEN 1 ELSE 2 + n / 2 % (:projects - 1) END AS nth) w
    ON true
JOIN (SELECT id, row_number() OVER (ORDER BY name) AS nth FROM projects) p ON p.nth = w.nth
JOIN (SELECT project_id, array_agg(id) FILTER (WHERE kind = 'video') AS films,
             array_agg(id) FILTER (WHERE kind = 'audio') AS tracks
      FROM assets GROUP BY project_id) a ON a.project_id = p.id
JOIN (SELECT project_id, array_agg(id) AS ids FROM batches GROUP BY project_id) b
    ON b.project_id = p.id
JOIN LATERAL (
    SELECT state FROM unnest(CAST(:states AS text[]), CAST(:limits AS integer[]))
        AS shares (state, upto)
    WHERE n / 2 % 100 < upto ORDER BY upto LIMIT 1) s ON true
"""
# Of the film, and of every job: prepare, three detects, track, five renders, stitch.
_STEPS: Final = """
INSERT INTO steps (job_id, project_id, stage, segment_index, queue, state, ready, attempt,
                   worker_id, lease_until, progress_at, frames, frames_done, params, created_at,
                   started_at, finished_at)
SELECT j.id, j.project_id, k.stage, i,
       CASE k.stage WHEN 'render' THEN 'gpu' WHEN 'stitch' THEN 'stitch' ELSE 'cpu' END,
       o.state, o.state = 'queued', CASE WHEN o.state = 'queued' THEN 0 ELSE 1 END,
       CASE WHEN o.state <> 'queued' THEN w.ids[1 + i % cardinality(w.ids)] END,
       CASE WHEN o.state = 'running' THEN now() + interval '1 day' END, now(),
       CASE WHEN k.stage IN ('detect', 'render') THEN 250 ELSE 0 END,
       CASE o.state WHEN 'completed' THEN 250 WHEN 'running' THEN 100 ELSE 0 END,
       CASE WHEN k.stage = 'render'
            THEN jsonb_build_object('start', i * 250, 'end', i * 250 + 250) ELSE '{}' END,
       j.created_at, j.started_at, CASE WHEN o.state = 'completed' THEN j.created_at END
FROM jobs j
CROSS JOIN (VALUES ('prepare', 1, 1), ('detect', 3, 2), ('track', 1, 3), ('render', 5, 4),
                   ('stitch', 1, 5)) AS k (stage, steps, place)
CROSS JOIN LATERAL generate_series(
    0, CASE WHEN j.name = 'The film' AND k.steps > 1 THEN :segments ELSE k.steps END - 1) AS i
CROSS JOIN (SELECT array_agg(id ORDER BY name) AS ids FROM workers) w
CROSS JOIN LATERAL (SELECT CASE j.state WHEN 'queued' THEN 1 WHEN 'detecting' THEN 2
    WHEN 'rendering' THEN 4 WHEN 'failed' THEN 1 WHEN 'rejected' THEN 1 WHEN 'canceled' THEN 1
    ELSE 6 END AS place) at
CROSS JOIN LATERAL (SELECT CASE WHEN k.place < at.place THEN 'completed'
    WHEN j.state IN ('failed', 'rejected') THEN 'failed' WHEN j.state = 'canceled' THEN 'canceled'
    WHEN j.state <> 'queued' AND i = 0 AND j.id < '02000000-0000-4000-8000-000000000000'
        THEN 'running' ELSE 'queued' END AS state) o
WHERE k.place <= at.place
ORDER BY j.created_at, k.place, i
"""
_WORKERS: Final = """
INSERT INTO workers (name, hostname, pid, queues, device, slots)
SELECT 'worker-' || to_char(n, 'FM000'), 'host-' || n / 8, n,
       CASE WHEN n % 3 = 0 THEN ARRAY['gpu'] ELSE ARRAY['cpu', 'stitch'] END, 'cuda:0', 1
FROM generate_series(1, 60) n
"""
_ATTEMPTS: Final = """
INSERT INTO attempts (step_id, number, worker_id, started_at, ended_at, outcome, frames_done)
SELECT id, 1, worker_id, coalesce(started_at, created_at), finished_at,
       CASE state WHEN 'completed' THEN 'completed' WHEN 'failed' THEN 'failed' END, frames_done
FROM steps WHERE attempt = 1
"""
_EVENTS: Final = """
INSERT INTO events (project_id, job_id, step_id, kind, data, xact, at)
SELECT project_id, job_id, id, 'step.' || state,
       jsonb_build_object('from', 'running', 'stage', stage, 'attempt', 1,
                          'segment_index', segment_index), 1, created_at
FROM steps WHERE attempt = 1
UNION ALL
SELECT project_id, id, NULL, 'job.' || state, jsonb_build_object('state', state), 1, created_at
FROM jobs
"""
_SAMPLES: Final = """
INSERT INTO queue_samples (at, queue, ready, waiting, running, workers, queued_seconds, frames,
                           steps)
SELECT now() - make_interval(secs => n * 15.0), queue, n % 1000, 0, 30, 60, n % 1000 * 12.5, 3000,
       12
FROM generate_series(0, 7 * 24 * 240) n, unnest(ARRAY['cpu', 'gpu', 'stitch']) queue
"""

#: A job with a film's worth of segments, in the first project, at work.
FILM: Final = text("""
SELECT id FROM jobs WHERE name = 'The film'
""")
_MAKE_FILM: Final = """
UPDATE jobs SET name = 'The film' WHERE id = (
    SELECT j.id FROM jobs j JOIN projects p ON p.id = j.project_id
    WHERE p.name = 'studio 1' AND j.state = 'rendering' ORDER BY j.created_at DESC LIMIT 1)
"""


def fill(database: Database, jobs: int, projects: int) -> None:
    """Fill an empty, migrated database whose user may switch triggers off."""
    limits, so_far = [], 0
    for _, share in _STATES:
        so_far += share
        limits.append(so_far)
    values = {
        "jobs": jobs,
        "projects": projects,
        "states": [state for state, _ in _STATES],
        "limits": limits,
        "segments": FILM_SEGMENTS,
    }
    with database.transaction() as session:
        session.execute(text("SET LOCAL statement_timeout = 0"))
        session.execute(text(_PROJECTS), values)
        session.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in (_INPUTS, _BATCHES, _WORKERS, _JOBS, _MAKE_FILM, _STEPS):
            session.execute(text(statement), values)
        for statement in (_ATTEMPTS, _EVENTS, _SAMPLES):
            session.execute(text(statement))
    with database.transaction() as session:
        session.execute(text("SET LOCAL statement_timeout = 0"))
        session.execute(text("ANALYZE"))
