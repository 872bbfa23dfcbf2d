"""Run the tests in every supported Python: `python tools/pythons.py [--quick] [3.13 3.14 …]`.

A Python that is on PATH, or that pyenv keeps, is used as it is. The others come from Debian's testing tree, which
debootstrap puts into a folder ($SOFTXENT_PYTHONS, or ~/.cache/softxent-pythons) and chroot runs: that takes root, two
minutes and 500 MB once. A Python that cannot be had is named, and is an error only where it was asked for by name.

--quick: the newest one, with the tests of what differs between Pythons.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("SOFTXENT_PYTHONS") or Path.home() / ".cache" / "softxent-pythons")
PREFIX = "Programming Language :: Python :: "
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PYTHONS = [c.removeprefix(PREFIX) for c in PROJECT["classifiers"] if c.startswith(f"{PREFIX}3.")]

# What differs between Pythons: who holds a result, private parts of libraries, processes; and a fit from a file.
QUICK = (
    "kernels/test_support.py",
    "arrays/test_results.py",
    "cli/test_streams.py -k 'full_disk or closed'",
    "cli/test_cli.py -k 'fit or predict'",
    "numpy_calls/test_odd_input.py -k 'undefined_rows'",
)
# All but what needs PyTorch, a browser, the sources of the documentation, or the very CPU and libraries of a record.
LEFT_OUT = (
    "torch",
    "check.py",
    "check_defects",
    "check_narrow",
    "check_options",
    "explain_page",
    "docs",
    "peers",
    "team",
    "cpus",
    "golden",
)
# The chroot sees these of the machine's: its processes and devices, the names of the network, certificates, and where
# pip finds packages. pip's settings name further files, and an index in a folder names others beside it.
SHARED = (
    "/proc", "/dev", "/sys", "/opt", "/srv", "/etc/resolv.conf", "/etc/hosts", "/etc/ssl", "/etc/pip.conf",
    "/etc/xdg/pip",
)  # fmt: skip


def works(python: str | Path, version: str) -> bool:
    """Whether this is a Python of that version that can make environments."""
    code = f"import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != {tuple(map(int, version.split('.')))})"
    try:
        return subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def on_this_machine(version: str) -> str | None:
    """Return a Python of the machine's own."""
    kept = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python{version}"))
    candidates = [sys.executable, shutil.which(f"python{version}"), *map(str, reversed(kept))]
    return next((p for p in candidates if p is not None and works(p, version)), None)


def debian() -> Path | None:
    """Return the folder of Debian's testing tree, made where it is not there; None where it cannot be made."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        print("Pythons that this machine lacks are skipped: only root can make a Debian that has them")
        return None
    folder = CACHE / "debian"
    if (folder / "usr/bin/apt-get").exists():
        return folder
    log = CACHE / "debian.log"
    CACHE.mkdir(parents=True, exist_ok=True)
    if shutil.which("debootstrap") is None and shutil.which("apt-get") is not None:
        for command in ("apt-get update -qq", "apt-get install -y -qq debootstrap"):
            subprocess.run(command.split(), capture_output=True, check=False)
    if shutil.which("debootstrap") is None:
        print("Pythons that this machine lacks are skipped: debootstrap is not there and cannot be installed")
        return None
    unfinished = CACHE / "debian.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    command = ["debootstrap", "--variant=minbase", "--include=ca-certificates", "testing", str(unfinished)]
    with log.open("w") as output:
        if subprocess.run(command, stdout=output, stderr=output, check=False).returncode:
            print(f"Pythons that this machine lacks are skipped: debootstrap failed, see {log}")
            return None
    unfinished.rename(folder)
    return folder


def in_debian(folder: Path, version: str) -> str | None:
    """Return Debian's Python of that version, installed where it is not there."""
    python = f"/usr/bin/python{version}"
    if not (folder / python[1:]).exists():
        # A mirror may stand still for longer than its list of packages is valid.
        apt = "DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Check-Valid-Until=false"
        install = f"{apt} update && {apt} install -y --no-install-recommends python{version}-venv"
        done = subprocess.run(inside(folder, install), capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stdout + done.stderr).strip().splitlines()[-1:]
            print(f"Python {version} is skipped: neither on this machine nor in Debian's testing tree {last}")
            return None
    return python


def shared_with_debian() -> list[Path]:
    """Return the machine's files and folders that the chroot sees, the sources and pip's settings among them."""
    said = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    named = re.findall(r"(?:^|[\s'=]|file://)(/[^\s']+)", said.stdout)
    paths = map(Path, [*SHARED, Path.home() / ".config/pip", ROOT, CACHE, *named])
    return [path for path in dict.fromkeys(paths) if path.exists()]


def inside(folder: Path | None, script: str) -> list[str]:
    """Return a command that runs a shell script: here, or in the chroot with the machine's folders in it."""
    if folder is None:
        return ["sh", "-c", script]
    mounts = []
    for path in shared_with_debian():
        place = f"{folder}{path}"
        mounts.append(f"mkdir -p {place}" if path.is_dir() else f"mkdir -p {Path(place).parent} && touch {place}")
        mounts.append(f"mount --rbind {path} {place}")
    # A namespace of its own: the mounts go with it, whatever ends it.
    return ["unshare", "--mount", "sh", "-c", " && ".join([*mounts, f'exec chroot {folder} sh -c "$1"']), "sh", script]


def test(version: str, python: str, folder: Path | None, names: list[str], named: bool) -> bool:
    """Make the environment where it is not there, run the tests in it, say how that went, and return it.

    named: whether this Python was asked for by name.
    """
    environment = CACHE / f"venv-{version}{'-debian' if folder else ''}"
    stamp = environment / "requirements"
    asked = f"{ROOT} {PROJECT['dependencies']} {PROJECT['optional-dependencies']}"
    own = {"SOFTXENT_CACHE_DIR": str(CACHE / f"kernels-{version}"), "PYTHONDONTWRITEBYTECODE": "1"}
    begun = time.monotonic()

    def run(script: str) -> bool:
        command = inside(folder, f"cd {ROOT} && {script}")
        done = subprocess.run(
            command, env=os.environ | own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        output.append(done.stdout)
        return done.returncode == 0

    output: list[str] = []
    passed = stamp.exists() and stamp.read_text(encoding="utf-8") == asked
    if not passed:
        shutil.rmtree(environment, ignore_errors=True)
        pip = f"{environment}/bin/python -m pip install --quiet --only-binary :all: --editable '.[test-core]'"
        passed = run(f"{python} -m venv {environment} && {pip}")
        if not passed:
            print("\n".join(output))
            print(f"Python {version} is skipped: what softxent needs cannot be installed there", flush=True)
            return not named
        stamp.write_text(asked, encoding="utf-8")
    if passed:
        pytest = f"{environment}/bin/python -m pytest -q -p no:cacheprovider"
        for name in names:
            passed &= run(f"{pytest} {name}")
    print("\n".join(output))
    print(f"Python {version}: {'passed' if passed else 'FAILED'}, {time.monotonic() - begun:.0f} s", flush=True)
    return passed


def main() -> int:
    """Run the tests in the Pythons that are asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("versions", nargs="*", metavar="VERSION", help=f"of {', '.join(PYTHONS)}; all if not given")
    parser.add_argument("--quick", action="store_true", help="the newest one, and a part of the tests: some minutes")
    given = parser.parse_args()
    unknown = [version for version in given.versions if version not in PYTHONS]
    if unknown:
        parser.error(f"{unknown[0]} is not supported; these are: {', '.join(PYTHONS)}")
    wanted = given.versions or (PYTHONS[-1:] if given.quick else PYTHONS)
    if given.quick:
        names = [f"tests/{name}" for name in QUICK]
    else:
        tests = sorted((ROOT / "tests").rglob("test_*.py"))
        names = [
            " ".join(str(t.relative_to(ROOT)) for t in tests if not t.name.removeprefix("test_").startswith(LEFT_OUT))
        ]
    found = [(version, on_this_machine(version), None) for version in wanted]
    if any(python is None for _, python, _ in found):
        folder = debian()
        found = [
            (version, python or (folder and in_debian(folder, version)), None if python else folder)
            for version, python, _ in found
        ]
    there = [(version, python, folder) for version, python, folder in found if python is not None]
    lacking = [version for version, python, _ in found if python is None and version in given.versions]
    passed = [test(*one, names, named=bool(given.versions)) for one in there]
    return 0 if all(passed) and not lacking else 1


if __name__ == "__main__":
    sys.exit(main())
