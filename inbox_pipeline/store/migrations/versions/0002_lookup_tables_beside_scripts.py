"""Lookup tables beside scripts"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    with op.batch_alter_table("scripts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("lookup", sa.Text(), nullable=True))


def downgrade() -> None:
    """Take this revision back."""
    with op.batch_alter_table("scripts", schema=None) as batch_op:
        batch_op.drop_column("lookup")
