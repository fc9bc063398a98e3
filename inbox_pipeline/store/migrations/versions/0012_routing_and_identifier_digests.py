"""Routing expressions, which rule named a session, and digests by which later labels are judged"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.create_table(
        "routing_rules",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("target", sa.String(16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("author", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_routing_rules")),
        sa.UniqueConstraint("target", "version", name=op.f("uq_routing_rules_target")),
    )
    op.create_table(
        "identifier_digests",
        sa.Column("request_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("study_key", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("key_id", sa.String(16), nullable=False),
        sa.ForeignKeyConstraint(
            ["request_id"], ["requests.id"], name=op.f("fk_identifier_digests_request_id_requests")
        ),
        sa.PrimaryKeyConstraint("request_id", "study_key", "digest", name=op.f("pk_identifier_digests")),
    )
    op.add_column("requests", sa.Column("routing", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("request_sessions", sa.Column("identified", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("ledger", sa.Column("digested", sa.Boolean(), nullable=True))


def downgrade() -> None:
    """Take this revision back."""
    op.drop_column("ledger", "digested")
    op.drop_column("request_sessions", "identified")
    op.drop_column("requests", "routing")
    op.drop_table("identifier_digests")
    op.drop_table("routing_rules")
