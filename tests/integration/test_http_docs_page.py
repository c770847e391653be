"""The page at /docs in a browser."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from exchange.api.errors import CATALOGUE
from exchange.api.reference.socket_messages import CHANNELS, OWN_METHODS
from exchange.api.routes.table import OPERATIONS
from exchange.api.socket.methods import METHODS
from tests.support.server import running_server

BROWSER = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=10000",
    "--dump-dom",
)


def test_docs_page_shows_every_operation(program: Callable[[str], Path], tmp_path: Path) -> None:
    """What the script makes of the documents: a section for each operation, method and channel."""
    browser = program("chromium")
    with running_server(tmp_path / "data", "--preset", "small") as server:
        shown = subprocess.run(
            [browser, *BROWSER, f"--user-data-dir={tmp_path / 'browser'}", f"{server.url}/docs"],
            capture_output=True,
            text=True,
            timeout=50,
            check=True,
        ).stdout
    sections = re.findall(r'<section class="operation" id="(\w+)">', shown)
    assert sorted(sections) == sorted(operation.operation_id for operation in OPERATIONS)
    assert len(re.findall(r"<h4>Try</h4>", shown)) == len(OPERATIONS)
    assert all(f"<code>{code}</code>" in shown for code in CATALOGUE)
    methods = re.findall(r'<section class="operation socket" id="ws-(.*?)">', shown)
    known = [each.name for each in OWN_METHODS] + [*METHODS] + [each.address for each in CHANNELS]
    assert sorted(methods) == sorted(known)
    assert 'href="/asyncapi.json"' in shown
    assert "undefined" not in shown
    assert "did not load" not in shown
