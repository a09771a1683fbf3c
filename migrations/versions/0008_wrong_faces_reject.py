"""A job whose order chooses a face where there is none is rejected, not failed."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_BEFORE = """
    ('queued', 'preparing'), ('preparing', 'detecting'), ('detecting', 'tracking'),
    ('tracking', 'rendering'), ('rendering', 'stitching'), ('stitching', 'completed'),
    ('queued', 'canceled'), ('preparing', 'canceled'), ('detecting', 'canceled'),
    ('tracking', 'canceled'), ('rendering', 'canceled'), ('stitching', 'canceled'),
    ('queued', 'failed'), ('preparing', 'failed'), ('detecting', 'failed'),
    ('tracking', 'failed'), ('rendering', 'failed'), ('stitching', 'failed'),
    ('preparing', 'rejected'),
    ('failed', 'preparing'), ('failed', 'tracking'), ('failed', 'stitching')
"""


def upgrade() -> None:
    _guard(f"{_BEFORE}, ('tracking', 'rejected')")


def downgrade() -> None:
    _guard(_BEFORE)


def _guard(moves: str) -> None:
    op.execute(
        "CREATE OR REPLACE TRIGGER refuse_move BEFORE UPDATE OF state ON jobs FOR EACH ROW "
        f"WHEN (OLD.state <> NEW.state AND (OLD.state, NEW.state) NOT IN ({moves})) "
        "EXECUTE FUNCTION refuse_move('job')"
    )
