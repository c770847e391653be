"""What Alembic runs: on the connection that the store hands over."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from exchange.storage.schema import VERSION_TABLE


def run() -> None:
    """Bring the tables of ``connection`` to the revision asked for."""
    connection: Connection = context.config.attributes["connection"]
    context.configure(connection=connection, version_table=VERSION_TABLE)
    with context.begin_transaction():
        context.run_migrations()


run()
