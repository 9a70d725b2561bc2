"""Debian packages and sources fetched into a private directory: nothing is installed, and no root is needed.

The stand's binaries come from packages that a Debian machine can fetch already. The system's apt keeps its settings
(mirrors, proxies, keys); only its lists and its cache are replaced by private ones, so that source packages become
visible without a change to the system, and no daemon of a package is ever started.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

APT_DIRECTORY = Path("/etc/apt")


class DebianError(Exception):
    """The packages cannot be fetched here; the message says why and what to do."""


def source_entries(text: str, codename: str, deb822: bool) -> str:
    """The entries of one sources file that belong to this release, each for binary and for source packages.

    Entries of other archives (their suites are not ``codename`` or ``codename-...``) are dropped: they carry none of
    the packages, and one that cannot be reached would fail the whole update.
    """
    if not deb822:
        return "".join(_one_line_entry(line, codename) for line in text.splitlines())
    paragraphs = re.split(r"\n[ \t]*\n", "\n".join(line for line in text.splitlines() if not line.startswith("#")))
    return "\n".join(filter(None, (_deb822_entry(paragraph, codename) for paragraph in paragraphs)))


def _one_line_entry(line: str, codename: str) -> str:
    match = re.match(r"\s*deb(?:-src)?\s+((?:\[[^\]]*\]\s+)?\S+\s+(\S+)\s+.*)", line.split("#")[0].rstrip() + " ")
    if not match or not _same_release(match[2], codename):
        return ""
    return f"deb {match[1].rstrip()}\ndeb-src {match[1].rstrip()}\n"


def _deb822_entry(paragraph: str, codename: str) -> str:
    fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*(?:\n[ \t]+.*)*)", paragraph, flags=re.MULTILINE))
    by_name = {name.lower(): value for name, value in fields.items()}
    suites = [suite for suite in by_name.get("suites", "").split() if _same_release(suite, codename)]
    if not suites or by_name.get("enabled", "yes").strip().lower() in ("no", "false", "0"):
        return ""
    kept = {name: value for name, value in fields.items() if name.lower() not in ("types", "suites", "enabled")}
    lines = ["Types: deb deb-src", f"Suites: {' '.join(suites)}"]
    return "\n".join(lines + [f"{name}: {value}" for name, value in kept.items()]) + "\n"


def _same_release(suite: str, codename: str) -> bool:
    return suite == codename or suite.startswith(f"{codename}-")


def release() -> tuple[str, str]:
    """The distribution's ``ID`` and ``VERSION_CODENAME``: ``("debian", "bookworm")``."""
    path = Path("/etc/os-release")
    fields = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', path.read_text() if path.exists() else "", flags=re.MULTILINE))
    return fields.get("ID", ""), fields.get("VERSION_CODENAME", "")


class PrivateApt:
    """The machine's own apt with lists and a cache of its own under ``root``."""

    def __init__(self, root: Path, codename: str) -> None:
        self.root = root
        for name in ("parts", "lists/partial", "cache/archives/partial"):
            (root / name).mkdir(parents=True, exist_ok=True)
        self._write_sources(codename)
        self._options = [
            f"-oDir::Etc::sourcelist={os.devnull}",
            f"-oDir::Etc::sourceparts={root / 'parts'}",
            f"-oDir::State::Lists={root / 'lists'}",
            f"-oDir::Cache={root / 'cache'}",
            "-oDebug::NoLocking=1",
            "-oAPT::Sandbox::User=root",
        ]

    def _write_sources(self, codename: str) -> None:
        files = [APT_DIRECTORY / "sources.list", *sorted((APT_DIRECTORY / "sources.list.d").glob("*"))]
        written = 0
        for number, file in enumerate(f for f in files if f.is_file() and f.suffix in (".list", ".sources")):
            entries = source_entries(file.read_text(), codename, deb822=file.suffix == ".sources")
            if entries:
                (self.root / "parts" / f"{number}{file.suffix}").write_text(entries)
                written += 1
        if not written:
            raise DebianError(f"no package source for {codename} in {APT_DIRECTORY}/sources.list or sources.list.d")

    def update(self) -> None:
        self._run("update", "-qq")

    def download(self, packages: Iterable[str], target: Path) -> None:
        """Fetch binary packages (no dependencies) and unpack them under ``target``, as a file system root."""
        names = list(packages)
        into = self.root / "deb"
        into.mkdir(exist_ok=True)
        self._run("download", "-qq", *names, cwd=into)
        for file in sorted(into.glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", file, target], check=True)
            file.unlink()

    def missing(self, package: str) -> list[str]:
        """``package`` and those of its dependencies that this machine has not installed."""
        listed = self._run("install", "-qq", "--print-uris", "--no-install-recommends", package)
        return [line.split()[1].split("_")[0] for line in listed.splitlines() if line.startswith("'")]

    def download_source(self, package: str) -> Path:
        """Fetch a source package; returns the upstream archive (``*.orig.tar.*``)."""
        into = self.root / "source"
        into.mkdir(exist_ok=True)
        self._run("source", "-qq", "--download-only", package, cwd=into)
        archives = sorted(into.glob("*.orig.tar.*"))
        if not archives:
            raise DebianError(f"the source package {package} brought no upstream archive")
        return archives[-1]

    def _run(self, *arguments: str, cwd: Path | None = None) -> str:
        command = ["apt-get", *self._options, *arguments]
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DebianError(f"`{' '.join(command)}` ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
        return done.stdout
