"""Deleted projects and subjects, and deleted scans as parts of sessions"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.add_column("projects", sa.Column("deleted_at", sa.DateTime(), nullable=True))
    op.add_column("subjects", sa.Column("deleted_at", sa.DateTime(), nullable=True))
    op.add_column("sessions", sa.Column("part_of", sa.BigInteger(), nullable=True))
    op.add_column("sessions", sa.Column("part_scan", sa.String(64), nullable=True))
    op.create_index("ix_sessions_part_of", "sessions", ["part_of"])


def downgrade() -> None:
    """Take this revision back."""
    op.drop_index("ix_sessions_part_of", "sessions")
    for name in ("part_scan", "part_of"):
        op.drop_column("sessions", name)
    op.drop_column("subjects", "deleted_at")
    op.drop_column("projects", "deleted_at")
