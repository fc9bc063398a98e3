"""Sessions that move to another project, and the labels that their files were written with"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.add_column("sessions", sa.Column("moving_to", sa.String(64), nullable=True))
    op.add_column("sessions", sa.Column("labelled_as", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Take this revision back."""
    op.drop_column("sessions", "labelled_as")
    op.drop_column("sessions", "moving_to")
