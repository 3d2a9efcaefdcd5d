"""The wheel of a clone contains its pages and runs in an environment and folder of its own."""

import asyncio
import os
import shutil
import subprocess
import sys
import sysconfig
import urllib.request
import zipfile
from pathlib import Path

import pytest

from kasparro.supervise.ports import free_port
from tests.conftest import ROOT, StartProgram

TIMEOUT_SECONDS = 240
PAGES = (
    "server/static/dashboard/index.html",
    "server/static/explorer/graphiql.min.js",
    "server/static/swagger/swagger-ui-bundle.js",
)
PACKAGES = ("common", "db", "ingestor", "kasparro", "server")
TYPED = tuple(f"{package}/py.typed" for package in PACKAGES)
NOT_MINE = "raise SystemExit('this file of the working folder was imported')\n"

pytestmark = [
    pytest.mark.skipif(
        shutil.which("git") is None or not (ROOT / ".git").exists(), reason="not a git checkout"
    ),
    pytest.mark.timeout(3 * TIMEOUT_SECONDS),
]


def clone(folder: Path) -> Path:
    """Copy the files under version control, as they are here."""
    listed = subprocess.run(
        # Any git.
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def pip(
    *arguments: str, python: str = sys.executable, path: str = os.environ["PATH"]
) -> subprocess.CompletedProcess[str]:
    """Run pip without an index."""
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "--python",
            python,
            *arguments,
            "--no-index",
            "--no-deps",
            "--quiet",
        ],
        env={"PATH": path, "HOME": os.environ["HOME"], "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_SECONDS,
    )


def build(
    checkout: Path, into: Path, path: str = os.environ["PATH"]
) -> subprocess.CompletedProcess[str]:
    return pip("wheel", "--no-build-isolation", "--wheel-dir", str(into), str(checkout), path=path)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    missing = [page for page in PAGES if not (ROOT / page).is_file()]
    if missing and os.environ.get("CI"):
        pytest.fail(f"the web pages are not built: {missing}")
    elif missing:
        pytest.skip("the web pages are not built: `make web` does that")
    checkout = clone(tmp_path_factory.mktemp("checkout"))
    shutil.copytree(ROOT / "server" / "static", checkout / "server" / "static")
    folder = tmp_path_factory.mktemp("wheel")
    done = build(checkout, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("kasparro-*.whl")
    return path


def test_the_wheel_has_the_pages_and_the_data_and_no_names_but_its_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {
        *PAGES,
        *TYPED,
        "kasparro/data/chains.csv",
        "kasparro/data/sample.csv",
        "kasparro/data/identity.csv",
        "kasparro/simulator/__main__.py",
    } <= names
    tops = {name.partition("/")[0] for name in names}
    assert tops == {
        *PACKAGES,
        f"{wheel.name.partition('-py3')[0]}.dist-info",
    }


async def test_the_installed_wheel_runs_the_demo_from_any_folder(
    wheel: Path, start_program: StartProgram, state_folder: Path, tmp_path: Path
) -> None:
    """The folder has files with the names of our packages, which are common ones."""
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = str(environment / "bin" / "python")
    done = pip("install", str(wheel), python=python)
    assert done.returncode == 0, done.stderr
    (packages,) = environment.glob("lib/python*/site-packages")
    # The required packages, without this environment's own .pth files, which add the checkout.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in PACKAGES:
        (folder / f"{name}.py").write_text(NOT_MINE, encoding="utf-8")
    before = set(folder.rglob("*"))

    port = free_port()
    demo = start_program(
        str(environment / "bin" / "kasparro"), "up", "--demo", python=python, folder=folder,
        KASPARRO_HOME=str(state_folder), PORT=str(port), PYTHONDONTWRITEBYTECODE="1",
    )  # fmt: skip
    await demo.wait_for("Kasparro answers with made-up prices", TIMEOUT_SECONDS)
    for page, shows in (
        ("dashboard", '<div id="root">'),
        ("graphql", "GraphiQL"),
        ("docs", "swagger"),
    ):
        assert shows in await asyncio.to_thread(read, f"http://127.0.0.1:{port}/{page}")
    assert str(packages / "server") in await asyncio.to_thread(files_of, python, folder)
    assert await demo.stop(timeout_seconds=TIMEOUT_SECONDS) == 0, demo.text()
    assert set(folder.rglob("*")) == before


def read(url: str) -> str:
    # A server of the test.
    request = urllib.request.Request(url, headers={"Accept": "text/html"})  # noqa: S310
    # Likewise.
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310
        text: str = response.read().decode()
        return text


def files_of(python: str, folder: Path) -> str:
    code = f"import {', '.join(PACKAGES)}; print({', '.join(PACKAGES)})"
    return subprocess.run(
        [python, "-P", "-c", code], cwd=folder, capture_output=True, text=True, check=True
    ).stdout


def test_without_pages_and_without_node_there_is_no_wheel(tmp_path: Path) -> None:
    checkout = clone(tmp_path / "checkout")
    done = build(checkout, tmp_path / "wheel", path=str(tmp_path))
    output = done.stdout + done.stderr
    assert done.returncode == 1
    assert "The web pages are not built" in output
    assert "run `make web` first" in output
    assert "Traceback" not in output
    assert not (tmp_path / "wheel").exists() or not list((tmp_path / "wheel").iterdir())


def test_without_pages_npm_builds_them_before_the_wheel(tmp_path: Path) -> None:
    checkout = clone(tmp_path / "checkout")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, script in (
        ("node", "echo v22.13.0"),
        ("npm", f'echo "$@" >> {tmp_path}/calls; {FAKE_BUILD}'),
    ):
        (programs / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (programs / name).chmod(0o755)
    done = build(checkout, tmp_path / "wheel", path=f"{programs}:/usr/bin:/bin")
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = (tmp_path / "wheel").glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        assert {*PAGES, *TYPED} <= set(archive.namelist())
    calls = (tmp_path / "calls").read_text(encoding="utf-8").splitlines()
    assert [line.split()[0] for line in calls] == ["ci", "run", "ci", "run"]


FAKE_BUILD = """
page=$(basename "$PWD")
[ "$1" = ci ] && exit
static=../../server/static
mkdir -p $static/$page $static/swagger
touch $static/$page/index.html $static/$page/graphiql.min.js $static/swagger/swagger-ui-bundle.js"""
