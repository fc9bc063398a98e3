"""The de-identification policy that a request and a session were made under"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.add_column("requests", sa.Column("policy", sa.String(length=16), nullable=True))
    op.add_column("requests", sa.Column("options", sa.Text(), nullable=True))
    op.add_column("requests", sa.Column("strict_identifiers", sa.Boolean(), nullable=True))
    op.add_column("ledger", sa.Column("identifiers", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("ledger", sa.Column("face", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("sessions", sa.Column("options", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    """Take this revision back."""
    op.drop_column("sessions", "options")
    op.drop_column("ledger", "face")
    op.drop_column("ledger", "identifiers")
    op.drop_column("requests", "strict_identifiers")
    op.drop_column("requests", "options")
    op.drop_column("requests", "policy")
