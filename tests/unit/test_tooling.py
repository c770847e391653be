"""The project's own tools: locks, import rules, Makefile, container files and shared fixtures."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
LOCKS = sorted((REPOSITORY / "requirements").glob("*.txt"))
PIN = re.compile(r"^([a-z0-9][a-z0-9-]*)==(\S+)", re.MULTILINE)
LONGEST_FUNCTION_LINES = 70

# One file per import rule, each breaking that rule.
FORBIDDEN_IMPORTS = {
    "layers": ("wire/books.py", "import exchange.api.routes"),
    "services": ("services/news.py", "import exchange.services.prices"),
    "stages": ("pipeline/match.py", "import exchange.pipeline.settle"),
    "client": ("client/http.py", "import exchange.config"),
    "bots": ("bots/maker.py", "import exchange.engine.book"),
    "rules": ("model/order.py", "import time"),
}
IMPORTED = ("api/routes", "services/prices", "pipeline/settle", "config", "engine/book")


def _pins(lock: Path) -> dict[str, str]:
    return dict(PIN.findall(lock.read_text()))


def _names(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=;\[ ]", requirement)[0] for requirement in requirements}


def _contract(identifier: str) -> dict[str, Any]:
    contracts: list[dict[str, Any]] = PROJECT["tool"]["importlinter"]["contracts"]
    return next(contract for contract in contracts if contract["id"] == identifier)


def _layers() -> list[str]:
    return re.findall(r"\((\w+)\)", " ".join(_contract("layers")["layers"]))


def _write_module(package: Path, module: str, text: str) -> None:
    path = package / module
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")
    for folder in path.parents[: len(path.relative_to(package).parts)]:
        (folder / "__init__.py").touch()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_lock_pins_and_hashes_every_package(lock: Path) -> None:
    """Every requirement of a lock is one exact version with at least one SHA-256."""
    requirements = [
        line
        for line in lock.read_text().replace("\\\n", " ").splitlines()
        if not line.lstrip().startswith("#")
    ]
    assert requirements
    assert [
        line for line in requirements if not re.match(r"\S+==\S+ .*--hash=sha256:[0-9a-f]{64}", line)
    ] == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_lock_names_no_index(lock: Path) -> None:
    """Where packages come from is the machine's affair: a lock holds no address and no index option."""
    assert re.findall(r"://|--(?:extra-)?index-url|--find-links", lock.read_text()) == []


def test_locks_agree_on_every_version() -> None:
    """What runs and what builds in the container is what was tested."""
    tested = _pins(REPOSITORY / "requirements" / "dev.txt").items()
    assert [lock.name for lock in LOCKS if not _pins(lock).items() <= tested] == []


def test_locks_hold_every_declared_dependency() -> None:
    """A dependency added to pyproject.toml without `make lock` is noticed here."""
    groups = PROJECT["dependency-groups"]
    declared = _names(PROJECT["project"]["dependencies"])
    assert declared <= _pins(REPOSITORY / "requirements" / "runtime.txt").keys()
    assert _names(groups["build"]) <= _pins(REPOSITORY / "requirements" / "build.txt").keys()
    development = [entry for entry in groups["dev"] if isinstance(entry, str)]
    assert _names(development) <= _pins(REPOSITORY / "requirements" / "dev.txt").keys()


def test_client_rule_names_every_layer_below_it_but_three() -> None:
    """The SDK may import wire, model and base; a new layer is forbidden to it from the start."""
    layers = _layers()
    below = set(layers[layers.index("client") + 1 :])
    forbidden = {module.removeprefix("*.") for module in _contract("client")["forbidden_modules"]}
    assert below - forbidden == {"wire", "model", "base"}


def test_import_rules_are_each_able_to_break(tmp_path: Path) -> None:
    """A rule that names its modules wrongly would be kept by anything."""
    package = tmp_path / "exchange"
    for module in IMPORTED:
        _write_module(package, f"{module}.py", "")
    for module, text in FORBIDDEN_IMPORTS.values():
        _write_module(package, module, text)
    linted = subprocess.run(
        [
            Path(sys.executable).with_name("lint-imports"),
            "--no-cache",
            "--config",
            REPOSITORY / "pyproject.toml",
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    broken = set(re.findall(r"^(.*) BROKEN", linted.stdout, re.MULTILINE))
    assert broken == {_contract(identifier)["name"] for identifier in FORBIDDEN_IMPORTS}, linted.stdout


def test_makefile_helps_with_every_target() -> None:
    """Each public target has its line in `make help`."""
    makefile = (REPOSITORY / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony
    assert set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE)) == set(phony[1].split())


def test_dockerignore_lets_in_what_the_image_copies() -> None:
    """The build context is an allow-list, and it covers every COPY from it."""
    copied = re.findall(r"^COPY ([^-\s]\S*)", (REPOSITORY / "Dockerfile").read_text(), re.MULTILINE)
    allowed = re.findall(r"^!(\S+)", (REPOSITORY / ".dockerignore").read_text(), re.MULTILINE)
    assert {source.rstrip("/") for source in copied} == set(allowed)


def test_compose_checks_health_as_the_image_does() -> None:
    """The command of the image's health check stands word for word in compose.yaml."""
    check = re.search(r'CMD \["python", "-c", (".*")\]', (REPOSITORY / "Dockerfile").read_text())
    assert check
    assert f"- {check[1]}\n" in (REPOSITORY / "compose.yaml").read_text()


def test_functions_are_at_most_seventy_lines() -> None:
    """A function that no longer fits a screen is divided."""
    long = [
        f"{path.relative_to(REPOSITORY)}:{node.lineno} {node.name}"
        for path in sorted((REPOSITORY / "exchange").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno >= LONGEST_FUNCTION_LINES
    ]
    assert long == []


@pytest.mark.parametrize(
    ("folder", "required", "outcome"),
    [("here", "0", "1 passed"), ("nowhere", "0", "1 skipped"), ("nowhere", "1", "1 error")],
)
def test_shared_data_is_skipped_or_required(folder: str, required: str, outcome: str, tmp_path: Path) -> None:
    """Absent recordings skip a test on a developer's machine and fail it in CI."""
    (tmp_path / "here").mkdir()
    shutil.copy(REPOSITORY / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_it.py").write_text("def test_it(shared_data):\n    assert shared_data.is_dir()\n")
    variables = {"EXCHANGE_SHARED_DATA": str(tmp_path / folder), "EXCHANGE_REQUIRE_DATA": required}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path],
        cwd=tmp_path,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome in ran.stdout, ran.stdout
