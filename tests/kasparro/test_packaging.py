"""The files that a new machine starts from: the Makefile and the container files."""

import json
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from db.schema.logins import role_name

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("version", ["3.10.13", None])
def test_make_tells_an_old_or_missing_python_in_one_line(
    version: str | None, tmp_path: Path
) -> None:
    python = tmp_path / "python3"
    if version:
        python.write_text(
            f'#!/bin/sh\n[ "$1" = --version ] && echo "Python {version}" && exit\nexit 1\n',
            encoding="utf-8",
        )
        python.chmod(python.stat().st_mode | stat.S_IXUSR)
    done = subprocess.run(
        # Any make.
        ["make", "up", f"PYTHON={python}", f"VENV={tmp_path / 'venv'}"],  # noqa: S607
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    first, *others = done.stderr.splitlines()
    assert first.startswith("Kasparro needs Python 3.11 or newer")
    assert str(python) in first
    assert (version or "not found") in first
    assert all(line.startswith("make: ***") for line in others)
    assert not (tmp_path / "venv").exists()


def test_make_help_names_every_documented_target() -> None:
    # Any make.
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S607
    named = set(re.findall(r"^make (\w+)", done.stdout, re.MULTILINE))
    assert {"up", "demo", "test", "lint", "check", "schema", "lock", "web"} <= named


def test_the_hooks_call_the_same_commands_as_ci() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert [repo["repo"] for repo in hooks] == ["local"]
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for hook in hooks[0]["hooks"]:
        assert f"\n{hook['entry']}\n" in script
    assert script.endswith("\nmake test\n")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_the_container_file_copies_only_what_is_let_into_the_build() -> None:
    let_in = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    assert {
        "data",
        "db",
        "hatch_build.py",
        "ingestor",
        "kasparro",
        "server",
        "web",
        "requirements.lock",
        "LICENSE",
    } <= let_in
    assert not {".env", ".git", "tests"} & let_in
    stages = (ROOT / "Dockerfile").read_text(encoding="utf-8").split("\nFROM ")
    assert "\nUSER kasparro\n" in stages[-1]
    assert "--require-hashes" in stages[-2]


def test_compose_starts_database_then_schema_then_the_two_processes() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    services = compose["services"]
    assert services["db"]["image"] == "postgres:18"
    assert services["db"]["volumes"] == [
        "database:/var/lib/postgresql",
        "socket:/var/run/postgresql",
    ]
    assert services["migrate"]["depends_on"] == {"db": {"condition": "service_healthy"}}
    for name in ("ingestor", "server"):
        assert services[name]["depends_on"] == {
            "migrate": {"condition": "service_completed_successfully"}
        }
        user = role_name("server" if name == "server" else "ingestor", "kasparro")
        assert services[name]["environment"]["DATABASE_URL"] == (
            f"postgresql://{user}@db:5432/kasparro?passfile=/run/logins/{name}/pgpass"
        )
    assert {"db", "ingestor", "server"} == {
        name for name, service in services.items() if "healthcheck" in service
    }


def test_in_compose_each_part_can_read_its_own_password_alone_and_none_is_chosen() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    services = yaml.safe_load(text)["services"]
    mounts = {
        name: {mount.split(":")[0] for mount in service["volumes"]}
        for name, service in services.items()
    }
    assert {name for name, volumes in mounts.items() if "socket" in volumes} == {"db", "migrate"}
    for part in ("server", "ingestor"):
        assert {name for name, volumes in mounts.items() if f"{part}-login" in volumes} == {
            "migrate",
            part,
        }
    assert services["migrate"]["command"] == ["migrate", "--schema-only", "--logins", "/run/logins"]
    assert "POSTGRES_PASSWORD:" not in text
    assert services["db"]["environment"]["POSTGRES_PASSWORD_FILE"].endswith("/random/uuid")
    # A new volume has the owner of the folder below it.
    folders = (
        (ROOT / "Dockerfile")
        .read_text(encoding="utf-8")
        .split("install -d -o kasparro -g kasparro ")[1]
        .split()
    )
    assert {"/run/logins/server", "/run/logins/ingestor"} <= set(folders)


@pytest.mark.skipif(
    shutil.which("git") is None or not (ROOT / ".git").exists(), reason="not a git checkout"
)
def test_the_accepted_node_versions_are_those_of_the_locked_eslint() -> None:
    folder = ROOT / "web" / "dashboard"
    packages = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    stated = json.loads((folder / "package.json").read_text(encoding="utf-8"))["engines"]
    assert stated == packages[""]["engines"] == packages["node_modules/eslint"]["engines"]


def test_nothing_that_is_built_or_secret_is_committed() -> None:
    listed = subprocess.run(
        # Any git.
        ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert listed.stdout == ""
