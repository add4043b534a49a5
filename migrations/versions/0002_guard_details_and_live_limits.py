"""What each scanner said, guard configurations, limits set at run time, classes of tokens."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0002", "0001"


def upgrade() -> None:
    op.add_column("request_logs", sa.Column("guard_input_details", sa.Text(), nullable=True))
    op.add_column("request_logs", sa.Column("guard_output_details", sa.Text(), nullable=True))
    op.add_column("tokens", sa.Column("priority", sa.String(16), nullable=True))
    op.create_table(
        "guard_configurations",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("created_at", sa.String(24), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_guard_configurations")),
    )
    op.create_table(
        "model_limits",
        sa.Column("model", sa.String(256), nullable=False),
        sa.Column("parallel", sa.Integer(), nullable=False),
        sa.Column("max_queue", sa.Integer(), nullable=False),
        sa.Column("set_at", sa.String(24), nullable=False),
        sa.Column("set_by", sa.String(128), nullable=False),
        sa.PrimaryKeyConstraint("model", name=op.f("pk_model_limits")),
    )


def downgrade() -> None:
    op.drop_table("model_limits")
    op.drop_table("guard_configurations")
    op.drop_column("tokens", "priority")
    op.drop_column("request_logs", "guard_output_details")
    op.drop_column("request_logs", "guard_input_details")
