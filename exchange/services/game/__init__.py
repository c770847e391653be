"""The contest: teams, their roles and their keys."""
