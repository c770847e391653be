"""Every table of the first version.

A later change is a module of its own, and this one stops following the schema then.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

from exchange.storage.names import CONTENT
from exchange.storage.schema import PARTITIONED, Schema

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create them."""
    connection = op.get_bind()
    schema = Schema(connection.dialect.name)
    # First: it marks the others as ours where a migration that was killed leaves some of them behind.
    schema.offset.create(connection)
    schema.metadata.create_all(connection, [schema.table(name) for name in CONTENT], checkfirst=False)
    if schema.dialect == "postgresql":
        for name in PARTITIONED:
            connection.execute(text(f"CREATE TABLE {name}_rest PARTITION OF {name} DEFAULT"))


def downgrade() -> None:
    """Drop them."""
    connection = op.get_bind()
    Schema(connection.dialect.name).metadata.drop_all(connection)
