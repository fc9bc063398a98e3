"""Runs of failed log-ins, roles that hold in every project, and identities of a provider"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.create_table(
        "login_failures",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("began_at", sa.DateTime(), nullable=False),
        sa.Column("blocked_until", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_login_failures")),
    )
    op.add_column("users", sa.Column("data_role", sa.String(16), nullable=True))
    op.add_column("users", sa.Column("identity_key", sa.String(64), nullable=True))
    op.create_index("ix_users_identity_key", "users", ["identity_key"], unique=True)


def downgrade() -> None:
    """Take this revision back."""
    op.drop_index("ix_users_identity_key", table_name="users")
    op.drop_column("users", "identity_key")
    op.drop_column("users", "data_role")
    op.drop_table("login_failures")
