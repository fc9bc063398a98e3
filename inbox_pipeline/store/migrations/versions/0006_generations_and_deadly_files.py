"""The session that a commit gives a new generation, and the file at which an attempt's worker died"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.add_column("request_sessions", sa.Column("intent_into", sa.BigInteger(), nullable=True))
    op.add_column("attempts", sa.Column("died_at", sa.String(64), nullable=True))
    op.drop_column("requests", "fruitless")


def downgrade() -> None:
    """Take this revision back."""
    op.add_column("requests", sa.Column("fruitless", sa.Integer(), nullable=False, server_default="0"))
    op.drop_column("attempts", "died_at")
    op.drop_column("request_sessions", "intent_into")
