"""Requests that archive a prearchive session"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.add_column("requests", sa.Column("prearchive_session_id", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Take this revision back."""
    op.drop_column("requests", "prearchive_session_id")
