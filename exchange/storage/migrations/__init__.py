"""Migrations of the projection's tables, run by Alembic from within the program."""
