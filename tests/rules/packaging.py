"""Whether the files that install the book agree with each other."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

_PIN = re.compile(r"^([A-Za-z0-9][\w.\-\[\]]*)==(\S+)", re.MULTILINE)


def pins(lock: str) -> dict[str, set[str]]:
    """The versions that a lock names for each package: several where platforms differ."""
    found: dict[str, set[str]] = {}
    for name, version in _PIN.findall(lock):
        found.setdefault(canonicalize_name(name.split("[")[0]), set()).add(version)
    return found


def required(pyproject: str) -> list[Requirement]:
    """Everything that pyproject.toml asks for, extras included."""
    project = tomllib.loads(pyproject)["project"]
    extras = project.get("optional-dependencies", {}).values()
    return [Requirement(line) for lines in (project["dependencies"], *extras) for line in lines]


def lock_is_whole(lock: str) -> list[str]:
    """Every pin has its SHA-256; no index, no address, nothing unpinned."""
    found = []
    entries = re.split(r"\n(?=\S)", re.sub(r"^\s*#.*\n?", "", lock, flags=re.MULTILINE))
    for entry in filter(str.strip, entries):
        first = entry.split()[0]
        if entry.startswith("-"):
            found.append(f"requirements.lock: the option {first} names where to look")
        elif not _PIN.match(entry):
            found.append(f"requirements.lock: {first} is not pinned with ==")
        elif not re.search(r"--hash=sha256:[0-9a-f]{64}", entry):
            found.append(f"requirements.lock: {first} has no SHA-256")
    if address := re.search(r"\b\w+://\S+", lock):
        found.append(f"requirements.lock: names an address: {address[0]}")
    return found


def lock_satisfies(pyproject: str, lock: str) -> list[str]:
    """Every package that pyproject.toml names is pinned to a version it allows."""
    there = pins(lock)
    found = []
    for wanted in required(pyproject):
        versions = there.get(canonicalize_name(wanted.name))
        if not versions:
            found.append(f"requirements.lock: {wanted.name} is missing")
        found += [
            f"requirements.lock: {wanted.name} {version} is not {wanted.specifier}"
            for version in sorted(versions or ())
            if Version(version) not in wanted.specifier
        ]
    return found


def environment_agrees(pyproject: str, environment: str) -> list[str]:
    """Conda brings Python and pip; pip installs this project with all its extras, no more."""
    project = tomllib.loads(pyproject)["project"]
    listed = yaml.safe_load(environment)["dependencies"]
    from_conda = [entry for entry in listed if isinstance(entry, str)]
    from_pip = [line for entry in listed if isinstance(entry, dict) for line in entry["pip"]]
    found = []
    wanted = [f"python{project['requires-python']}", "pip"]
    if sorted(from_conda) != sorted(wanted):
        found.append(
            f"environment.yml: conda brings {from_conda}, pyproject.toml asks for {wanted}"
        )
    extras = sorted(project["optional-dependencies"])
    match = re.fullmatch(r"-e \.\[([\w,]+)\]", from_pip[0]) if len(from_pip) == 1 else None
    if not match or sorted(match[1].split(",")) != extras:
        found.append(f"environment.yml: pip installs {from_pip}, not -e .[{','.join(extras)}]")
    return found


def ignored(root: Path) -> list[str]:
    """What readers and tools write is never tracked."""
    lines = (root / ".gitignore").read_text(encoding="utf-8").split()
    return [
        f".gitignore: {name} is missing"
        for name in ("workbook/", ".venv/", ".cache/", "__pycache__/", ".pytest_cache/")
        if name not in lines
    ]
