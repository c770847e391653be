"""The Dockerfile's build stage, carried out without a container engine.

Its COPY and RUN instructions are read from the file, so that the two can't drift apart. A fresh virtual
environment stands for the interpreter of the image, a temporary folder for its root.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import ZipFile

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
NOT_COPIED = shutil.ignore_patterns("__pycache__")

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Image:
    """The root of what was built, and the environment its commands ran in."""

    root: Path
    # Not printed by a failing test: it is the caller's own.
    environment: dict[str, str] = field(repr=False)

    def run(self, command: str, folder: Path) -> str:
        """Run a shell command of the Dockerfile, its absolute paths moved under the root."""
        moved = re.sub(r"(?<=\s)/(?=\w)", f"{self.root}/", f" {command}")
        done = subprocess.run(
            ["/bin/sh", "-ec", moved],
            cwd=folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        return done.stdout


def _build_stage() -> list[tuple[str, str]]:
    text = (REPOSITORY / "Dockerfile").read_text()
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    instructions = [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines) if word]
    stages = [index for index, (word, _) in enumerate(instructions) if word == "FROM"]
    return instructions[stages[0] + 1 : stages[1]]


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=NOT_COPIED, dirs_exist_ok=True)
    else:
        shutil.copy(source, target)


def _interpreter(folder: Path) -> dict[str, str]:
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return kept | {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The build stage, done instruction by instruction.

    ENV is left out: it holds pip's comforts only, and pip's cache saves the download.
    """
    folder = tmp_path_factory.mktemp("image")
    image = Image(folder / "root", _interpreter(folder / "python"))
    here = image.root
    for instruction, words in _build_stage():
        match instruction:
            case "WORKDIR":
                here = image.root / words.lstrip("/")
                here.mkdir(parents=True)
            case "COPY":
                source, target = words.split()
                _copy(REPOSITORY / source, here / target)
            case "RUN":
                image.run(words, here)
            case _:
                assert instruction == "ENV", instruction
    return image


def test_image_command_answers_help(image: Image, tmp_path: Path) -> None:
    """`exchange --help` runs from the installed wheel, with no source tree in sight."""
    assert "serve" in image.run("/opt/exchange/bin/exchange --help", tmp_path)


def test_image_holds_the_runtime_lock_and_the_exchange_alone(image: Image, tmp_path: Path) -> None:
    """No development tool and no unpinned package reaches the image."""
    frozen = image.run("/opt/exchange/bin/python -m pip list --format=freeze", tmp_path)
    installed = {line.replace("_", "-").lower() for line in frozen.splitlines() if "==" in line}
    lock = (REPOSITORY / "requirements" / "runtime.txt").read_text()
    locked = set(re.findall(r"^([a-z0-9-]+==\S+)(?! ; sys_platform == 'win32') ", lock, re.MULTILINE))
    seeds = {line for line in installed if line.startswith(("pip==", "setuptools=="))}
    assert installed - seeds == locked | {"intern-exchange==0.1.0"}


def test_wheel_holds_every_file_of_the_package(image: Image) -> None:
    """Pages and schemas are in the wheel beside the modules."""
    (wheel,) = (image.root / "dist").glob("*.whl")
    packed = {name for name in ZipFile(wheel).namelist() if name.startswith("exchange/")}
    files = (path for path in (REPOSITORY / "exchange").rglob("*") if path.is_file())
    assert packed == {
        path.relative_to(REPOSITORY).as_posix() for path in files if "__pycache__" not in path.parts
    }
