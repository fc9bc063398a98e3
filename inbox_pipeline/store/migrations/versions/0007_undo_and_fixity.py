"""Sessions that an undo has withdrawn, and when each was last read again"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.add_column("requests", sa.Column("before_undo", sa.JSON(), nullable=True))
    op.add_column("sessions", sa.Column("withdrawn_at", sa.DateTime(), nullable=True))
    op.add_column("sessions", sa.Column("state_before", sa.String(32), nullable=True))
    op.add_column("sessions", sa.Column("read_at", sa.DateTime(), nullable=True))
    op.add_column("sessions", sa.Column("damage", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Take this revision back."""
    for name in ("damage", "read_at", "state_before", "withdrawn_at"):
        op.drop_column("sessions", name)
    op.drop_column("requests", "before_undo")
