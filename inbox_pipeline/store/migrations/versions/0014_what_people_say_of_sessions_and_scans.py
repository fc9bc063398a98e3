"""What people say of archived sessions and scans: quality and notes"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

COLUMNS = (("sessions", "note", sa.Text()), ("scans", "quality", sa.String(16)), ("scans", "note", sa.Text()))


def upgrade() -> None:
    """Apply this revision."""
    for table, name, kind in COLUMNS:
        op.add_column(table, sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    """Take this revision back."""
    for table, name, _ in reversed(COLUMNS):
        op.drop_column(table, name)
