import ast
import re
from pathlib import Path

from exchange.api.errors import CATALOGUE
from exchange.model.reasons import Category, Code, Refusal
from exchange.wire.errors import STATUSES, http_status

REPOSITORY = Path(__file__).resolve().parents[3]
# A game opened twice by the command line, a socket logged in twice.
UNREACHABLE_OVER_HTTP = {("refusals.py", "INVALID_REQUEST"), ("session.py", "INVALID_REQUEST")}
ROW = re.compile(r"^\| `([A-Z_]+)` \| (\d+) \| (.+) \| (.+) \|$", re.MULTILINE)


def test_catalogue_has_every_code() -> None:
    """A code without a row, or a row without a code, is noticed here."""
    assert set(CATALOGUE) == set(Code)


def test_catalogue_has_the_statuses_http_asks_for() -> None:
    """Where HTTP has a status of its own the catalogue has the same."""
    assert {code: CATALOGUE[Code(code)].status for code in STATUSES} == dict(STATUSES)


def test_catalogue_has_the_status_each_refusal_is_made_with() -> None:
    """``Refusal(Category.X, Code.Y, ...)`` anywhere in the source answers with the status of row Y."""
    made = [
        (path.name, Category[category], Code[code])
        for path in (REPOSITORY / "exchange").rglob("*.py")
        for category, code in _refusals(ast.parse(path.read_text()))
        if (path.name, code) not in UNREACHABLE_OVER_HTTP
    ]
    wrong = [row for row in made if http_status(Refusal(row[1], row[2], "")) != CATALOGUE[row[2]].status]
    assert len(made) > 20
    assert wrong == []


def test_errors_page_is_the_catalogue() -> None:
    """docs/errors.md has the same rows, in the same order."""
    page = (REPOSITORY / "docs" / "errors.md").read_text()
    assert ROW.findall(page) == [
        (str(code), str(entry.status), entry.meaning, entry.advice) for code, entry in CATALOGUE.items()
    ]


def _refusals(tree: ast.Module) -> list[tuple[str, str]]:
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and len(node.args) >= 2]
    return [
        (category.attr, code.attr)
        for call in calls
        if isinstance(category := call.args[0], ast.Attribute)
        and isinstance(code := call.args[1], ast.Attribute)
        and isinstance(category.value, ast.Name)
        and isinstance(code.value, ast.Name)
        and (category.value.id, code.value.id) == ("Category", "Code")
    ]
