"""Exposure (what could become position), ledger (what did), fees and P&L."""
