"""What an archive is browsed by: date and time of sessions, descriptions and frames of scans"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

COLUMNS = (
    ("ledger", "study_date", sa.Date()),
    ("ledger", "study_time", sa.Time()),
    ("ledger", "series_description", sa.String(255)),
    ("ledger", "frames", sa.Integer()),
    ("sessions", "date", sa.Date()),
    ("sessions", "time", sa.Time()),
    ("scans", "series_description", sa.String(255)),
    ("scans", "type", sa.String(255)),
    ("scans", "frames", sa.BigInteger()),
    ("instances", "frames", sa.Integer()),
)


def upgrade() -> None:
    """Apply this revision."""
    for table, name, kind in COLUMNS:
        op.add_column(table, sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    """Take this revision back."""
    for table, name, _ in reversed(COLUMNS):
        op.drop_column(table, name)
