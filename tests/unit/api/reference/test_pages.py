from pathlib import Path

import pytest

from exchange.api.reference.pages import MARK, error_reference, http_reference, update
from exchange.api.routes.table import OPERATIONS

DOCS = Path(__file__).resolve().parents[4] / "docs"


@pytest.mark.parametrize(
    ("page", "generated"), [("http.md", http_reference(OPERATIONS)), ("errors.md", error_reference())]
)
def test_reference_page_is_up_to_date(page: str, generated: str) -> None:
    """The pages say what the server does; `python -m exchange.api.reference.pages docs` writes them anew."""
    _, mark, below = (DOCS / page).read_text().partition(MARK)
    assert mark
    assert below == f"\n\n{generated}"


def test_reference_has_every_operation() -> None:
    """Each operation has its heading, a command to try and its errors."""
    page = http_reference(OPERATIONS)
    for operation in OPERATIONS:
        assert f"### {operation.method} {operation.path}\n" in page
    assert page.count("\nErrors: ") == page.count("```sh") == len(OPERATIONS)


def test_update_keeps_what_was_written_by_hand(tmp_path: Path) -> None:
    """Only what stands below the mark is replaced; a page without mark is left alone."""
    page = tmp_path / "page.md"
    page.write_text(f"By hand\n\n{MARK}\n\nold")
    update(page, "new\n")
    assert page.read_text() == f"By hand\n\n{MARK}\n\nnew\n"
    page.write_text("By hand")
    with pytest.raises(ValueError, match="has no line"):
        update(page, "new\n")
    assert page.read_text() == "By hand"
