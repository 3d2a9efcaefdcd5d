"""The lock files contain all packages that the project needs, with hashes and without a host."""

import importlib.metadata
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
GROUPS = PROJECT["dependency-groups"]
# The requirements of each lock file.
LOCKED = {
    "requirements.lock": [*PROJECT["project"]["dependencies"], *GROUPS["build"]],
    "requirements-dev.lock": [
        *PROJECT["project"]["dependencies"],
        *GROUPS["build"],
        *(item for item in GROUPS["dev"] if isinstance(item, str)),
    ],
    "requirements-node.lock": GROUPS["node"],
    "bench/peers/dlt.lock": (ROOT / "bench/peers/dlt.in")
    .read_text(encoding="utf-8")
    .splitlines()[1:],
}
PIN = re.compile(
    r"^(?P<name>[a-z0-9.-]+)(?:\[(?P<extras>[a-z0-9,-]+)\])?"
    r"==(?P<version>\S+)(?: ; (?P<marker>[^\\]+))? \\\n"
    r"(?:    --hash=sha256:[0-9a-f]{64}.*\n)+",
    re.MULTILINE,
)


Environment = dict[str, str]
"""The values of markers, by name."""


class Pin(msgspec.Struct, frozen=True):
    """One package of a lock file."""

    name: str
    version: str
    extras: frozenset[str]
    marker: str | None

    def holds_in(self, environment: Environment) -> bool:
        return self.marker is None or Marker(self.marker).evaluate(environment)

    def meets(self, requirement: Requirement) -> bool:
        """Return whether this version meets the requirement, with its extras.

        Old versions of pip look for a package again if the lock lacks a required extra.
        """
        fits = requirement.specifier.contains(self.version, prereleases=True)
        return fits and {canonicalize_name(extra) for extra in requirement.extras} <= self.extras


def pins(lock: str) -> list[Pin]:
    text = (ROOT / lock).read_text(encoding="utf-8")
    return [
        Pin(
            match["name"],
            match["version"],
            frozenset((match["extras"] or "").split(",")) - {""},
            match["marker"],
        )
        for match in PIN.finditer(text)
    ]


def here() -> Environment:
    return {name: str(value) for name, value in default_environment().items()}


def environments() -> Iterator[Environment]:
    """Yield the first and a late version of each supported Python, on each platform."""
    classifiers = PROJECT["project"]["classifiers"]
    for python in re.findall(r"Python :: (3\.\d+)", " ".join(classifiers)):
        for patch in (0, 15):
            for platform, system in (("linux", "Linux"), ("darwin", "Darwin")):
                yield here() | {
                    "python_version": python,
                    "python_full_version": f"{python}.{patch}",
                    "implementation_version": f"{python}.{patch}",
                    "sys_platform": platform,
                    "platform_system": system,
                    "platform_machine": "arm64" if system == "Darwin" else "x86_64",
                }


def requirements_of(pin: Pin, environment: Environment) -> list[Requirement] | None:
    """Return the requirements of a package with its locked extras, None if it is not installed."""
    try:
        found = importlib.metadata.distribution(pin.name)
    except importlib.metadata.PackageNotFoundError:
        return None
    if found.version != pin.version:
        return None
    return [
        requirement
        for requirement in map(Requirement, found.requires or ())
        if requirement.marker is None
        or any(
            requirement.marker.evaluate({**environment, "extra": extra})
            for extra in ("", *pin.extras)
        )
    ]


@pytest.mark.parametrize("lock", LOCKED)
def test_a_lock_holds_what_the_project_asks_for(lock: str) -> None:
    for environment in environments():
        held = {pin.name: pin for pin in pins(lock) if pin.holds_in(environment)}
        for requirement in map(Requirement, LOCKED[lock]):
            if requirement.marker is None or requirement.marker.evaluate(environment):
                answer = held.get(canonicalize_name(requirement.name))
                assert answer is not None, f"{requirement} in {environment}"
                assert answer.meets(requirement), f"{requirement}, not {answer}"


@pytest.mark.parametrize("lock", LOCKED)
def test_a_lock_hashes_every_package_and_names_no_host(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert len(pins(lock)) == len(re.findall(r"^[a-z0-9]", text, re.MULTILINE))
    assert "://" not in text
    assert not re.search(r"^\s*--(?!hash=)", text, re.MULTILINE)


def test_the_dev_lock_installs_the_same_versions() -> None:
    dev = {pin.name: pin.version for pin in pins("requirements-dev.lock")}
    assert {pin.name: dev[pin.name] for pin in pins("requirements.lock")} == {
        pin.name: pin.version for pin in pins("requirements.lock")
    }


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_whatever_a_locked_package_needs_is_in_the_lock(lock: str) -> None:
    """With its extras, on each Python and platform; else pip takes the newest version, unhashed."""
    unmet = []
    checked = set()
    for environment in environments():
        held = {pin.name: pin for pin in pins(lock) if pin.holds_in(environment)}
        for pin in held.values():
            for requirement in requirements_of(pin, environment) or ():
                checked.add(pin.name)
                answer = held.get(canonicalize_name(requirement.name))
                if answer is None or not answer.meets(requirement):
                    unmet.append(
                        f"{pin.name} needs {requirement}, and the lock has {answer} in "
                        f"{environment}"
                    )
    assert not unmet, "\n".join(unmet)
    assert {"aiohttp", "strawberry-graphql"} <= checked


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_the_metadata_of_every_locked_package_is_here_to_be_looked_at(lock: str) -> None:
    missing = [
        pin.name
        for pin in pins(lock)
        if pin.holds_in(here()) and requirements_of(pin, here()) is None
    ]
    assert not missing
