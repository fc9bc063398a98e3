"""What was proved of a request's files, and whether a project keeps a linking table"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.add_column("requests", sa.Column("checks", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("projects", sa.Column("linking_table", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Take this revision back."""
    op.drop_column("projects", "linking_table")
    op.drop_column("requests", "checks")
