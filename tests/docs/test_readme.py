"""README.md: short, true, and its bot trades."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
SNIPPET = ROOT / "docs" / "snippets" / "readme_bot.py"


def test_readme_is_at_most_150_lines() -> None:
    """Nobody reads more."""
    assert len(README.read_text().splitlines()) <= 150


def test_readme_links_lead_somewhere() -> None:
    """Every relative link is a file or folder of the repository, on every page."""
    pages = [README, *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_readme_bot_is_the_one_that_is_tested() -> None:
    """The bot is complete, fits on a screen, and is the file that test_sdk_tutorial.py lets trade."""
    bot = re.search(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert bot is not None
    assert len(bot[1].splitlines()) <= 25
    assert bot[1] == SNIPPET.read_text()
