"""A job from order to output, and what its rows say on the way."""

from infra.db.progress import job_progress
from infra.db.states import Queue
from tests.infra.db.hands import OUTPUT, Hands, result_of

QUEUES_OF_STEPS: tuple[Queue, ...] = ("cpu", "cpu", "cpu", "cpu", "gpu", "gpu", "stitch")


def test_a_job_goes_through_all_stages_to_its_output(hands: Hands) -> None:
    worker, job = hands.worker(), hands.job(hands.project(), output_name="out.mp4")
    seen = []
    for queue in QUEUES_OF_STEPS:
        claim = hands.must_claim(worker, queue)
        seen.append((claim.stage, claim.segment_index, hands.state(job)))
        hands.complete(claim, result_of(claim))
    assert seen == [
        ("prepare", 0, "preparing"),
        ("detect", 0, "detecting"),
        ("detect", 1, "detecting"),
        ("track", 0, "tracking"),
        ("render", 0, "rendering"),
        ("render", 1, "rendering"),
        ("stitch", 0, "stitching"),
    ]
    done = hands.get(job)
    assert (done.state, done.output_key, done.report) == (
        "completed",
        OUTPUT.object_key,
        OUTPUT.report,
    )
    assert done.facts == {"prepare": {"frames": 200}, "track": {"ranges": 2}}
    assert done.started_at is not None
    assert done.finished_at is not None


def test_progress_grows_from_nought_to_one(hands: Hands) -> None:
    worker, job = hands.worker(), hands.job(hands.project())
    fractions = []
    for queue in QUEUES_OF_STEPS:
        with hands.database.transaction() as session:
            fractions.append(job_progress(session, job).fraction)
        claim = hands.must_claim(worker, queue)
        hands.complete(claim, result_of(claim))
    with hands.database.transaction() as session:
        fractions.append(job_progress(session, job).fraction)
    assert fractions[0] == 0
    assert fractions[-1] == 1
    assert fractions == sorted(set(fractions))


def test_every_move_is_an_event(hands: Hands) -> None:
    worker = hands.worker()
    hands.job(hands.project())
    for queue in QUEUES_OF_STEPS:
        claim = hands.must_claim(worker, queue)
        hands.complete(claim, result_of(claim))
    kinds = [row.kind for row in hands.rows("SELECT kind FROM events ORDER BY id")]
    assert kinds[0] == "job.created"
    assert set(kinds[1:3]) == {"step.claimed", "job.preparing"}
    assert kinds[3:5] == ["step.completed", "job.detecting"]
    assert kinds.count("step.claimed") == kinds.count("step.completed") == 7
    assert kinds[-1] == "job.completed"


def test_a_film_without_ranges_to_render_goes_on_to_stitch(hands: Hands) -> None:
    worker, job = hands.worker(), hands.job(hands.project())
    for _ in range(4):
        claim = hands.must_claim(worker)
        hands.complete(claim, result_of(claim, segments=0 if claim.stage == "track" else 2))
    assert hands.claim(worker, "gpu") is None
    assert hands.must_claim(worker, "stitch").stage == "stitch"
    assert hands.state(job) == "stitching"


def test_a_second_language_finds_every_face_already_detected(hands: Hands) -> None:
    worker, project = hands.worker(), hands.project()
    first = hands.job(project)
    hands.reach(worker, first, "track", segments=3)
    hands.complete(hands.must_claim(worker))  # no ranges: on to stitch
    hands.complete(hands.must_claim(worker, "stitch"))
    second = hands.job(project, language="de")
    claim = hands.must_claim(worker)
    hands.complete(claim, result_of(claim, segments=3))
    steps = hands.steps(second, "detect")
    assert [(step.state, step.reused, step.attempt) for step in steps] == [
        ("completed", True, 0)
    ] * 3
    assert hands.must_claim(worker).stage == "track"


def test_another_project_shares_nothing(hands: Hands) -> None:
    worker = hands.worker()
    hands.reach(worker, hands.job(hands.project("one")), "stitch")
    other = hands.job(hands.project("two"))
    claim = hands.must_claim(worker)
    hands.complete(claim, result_of(claim))
    assert {step.reused for step in hands.steps(other, "detect")} == {False}
