"""An index on the session in which a planned session of a request has ended, and on those that have not"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.create_index("ix_request_sessions_session_id", "request_sessions", ["session_id"])


def downgrade() -> None:
    """Take this revision back."""
    op.drop_index("ix_request_sessions_session_id", table_name="request_sessions")
