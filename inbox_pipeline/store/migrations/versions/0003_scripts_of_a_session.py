"""The script versions of a session, requests without scripts, and frames of reference"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.add_column("request_sessions", sa.Column("scripts", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("requests", sa.Column("prevent_anon", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("ledger", sa.Column("frame_key", sa.String(length=64), nullable=True))


def downgrade() -> None:
    """Take this revision back."""
    op.drop_column("ledger", "frame_key")
    op.drop_column("requests", "prevent_anon")
    op.drop_column("request_sessions", "scripts")
