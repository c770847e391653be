"""What a server loads."""

from __future__ import annotations

import subprocess
import sys


def test_server_starts_without_sqlalchemy() -> None:
    """The commands and the server know nothing of it until a table is read or written."""
    program = "import sys, exchange.cli, exchange.serve; print([n for n in sys.modules if n == 'sqlalchemy'])"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert loaded.stdout.strip() == "[]"
