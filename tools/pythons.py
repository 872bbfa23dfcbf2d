"""Run the tests in every supported Python: `python tools/pythons.py [--quick] [3.13 3.14 …]`.

A Python that is on PATH, or that pyenv keeps, is used as it is. The others come from Debian's testing tree, which
debootstrap puts into a folder ($SOFTXENT_PYTHONS, or ~/.cache/softxent-pythons) and chroot runs: that takes root, a
minute and 500 MB once. What cannot be had is named, and is an error only where it was asked for by name.

--quick: the tests of what differs between Pythons, in the newest two: memory of results, odd input, the command line.
"""

from __future__ import annotations

import argparse
import os
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

QUICK = ("results", "support", "odd_input", "imports", "data", "labels", "model_file")
# All but what needs PyTorch, a browser, or the tools that check the sources.
LEFT_OUT = ("torch", "explain_page", "docs", "peers", "cpus", "golden")
# The chroot sees these of the machine's: the sources, the packages' index and its certificates, the network's names.
SHARED = (
    "/proc", "/dev", "/sys", "/etc/ssl", "/etc/pip.conf", "/etc/resolv.conf", "/etc/hosts",
    "/usr/local/share/ca-certificates",
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


def debian(versions: list[str]) -> Path | None:
    """Return the folder with Debian's testing tree and these Pythons, made where it is not there; None without root."""
    if os.name != "posix" or os.geteuid() != 0 or shutil.which("chroot") is None:
        print(f"Python {', '.join(versions)}: not on this machine, and only root can make a Debian with them")
        return None
    if shutil.which("debootstrap") is None:
        subprocess.run(["apt-get", "install", "-y", "-qq", "debootstrap"], stdout=subprocess.DEVNULL, check=False)
    folder = CACHE / "debian"
    packages = [f"python{version}-venv" for version in versions]
    if all((folder / "usr/bin" / f"python{version}").exists() for version in versions):
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    include = ",".join(["ca-certificates", "libgomp1", *packages])
    command = ["debootstrap", "--variant=minbase", f"--include={include}", "testing", str(folder)]
    with (CACHE / "debootstrap.log").open("w") as log:
        if subprocess.run(command, stdout=log, stderr=log, check=False).returncode:
            print(f"Python {', '.join(versions)}: debootstrap failed, see {log.name}")
            shutil.rmtree(folder, ignore_errors=True)
            return None
    return folder


def inside(folder: Path | None, script: str) -> list[str]:
    """Return a command that runs a shell script: here, or in the chroot with the machine's folders in it."""
    if folder is None:
        return ["sh", "-c", script]
    shared = [*SHARED, str(ROOT), str(CACHE), *os.environ.get("PIP_FIND_LINKS", "").split()]
    if "PIP_CERT" in os.environ:
        shared.append(os.environ["PIP_CERT"])
    mounts = [
        f"mkdir -p {folder}{p if os.path.isdir(p) else os.path.dirname(p)}"
        + (f" && mount --rbind {p} {folder}{p}" if os.path.isdir(p) else f" && cp {p} {folder}{p}")
        for p in shared
        if os.path.exists(p)
    ]
    # A namespace of its own: the mounts go with it, whatever ends it.
    return ["unshare", "--mount", "sh", "-c", " && ".join([*mounts, f'exec chroot {folder} sh -c "$1"']), "sh", script]


def test(version: str, python: str, folder: Path | None, names: list[str], quick: bool) -> bool:
    """Make the environment where it is not there, run the tests in it, and return whether they pass."""
    environment = CACHE / f"venv-{version}"
    stamp = environment / ".stamp"
    begun = time.monotonic()
    run = {"env": {**os.environ, "SOFTXENT_CACHE_DIR": str(CACHE / f"kernels-{version}"), "TERM": "dumb"}, "cwd": ROOT}
    if not stamp.exists() or stamp.stat().st_mtime < (ROOT / "pyproject.toml").stat().st_mtime:
        shutil.rmtree(environment, ignore_errors=True)
        install = f"cd {ROOT} && {python} -m venv {environment} && {environment}/bin/pip install -q -e '.[test-core]'"
        if subprocess.run(inside(folder, f"{install} && touch {stamp}"), check=False, **run).returncode:
            print(f"Python {version}: what the tests need cannot be installed")
            return False
    arguments = " ".join(names) + (" -x" if quick else "")
    command = f"cd {ROOT} && {environment}/bin/python -m pytest -q -p no:cacheprovider {arguments}"
    code = subprocess.run(inside(folder, command), check=False, **run).returncode
    print(f"Python {version}: {'passed' if code == 0 else 'FAILED'}, {time.monotonic() - begun:.0f} s", flush=True)
    return code == 0


def main() -> int:
    """Run the tests in the Pythons that are asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("versions", nargs="*", metavar="VERSION", help=f"of {', '.join(PYTHONS)}; all if not given")
    parser.add_argument("--quick", action="store_true", help="the part that takes some minutes")
    given = parser.parse_args()
    unknown = [version for version in given.versions if version not in PYTHONS]
    if unknown:
        parser.error(f"{unknown[0]} is not supported; these are: {', '.join(PYTHONS)}")
    wanted = given.versions or (PYTHONS[-2:] if given.quick else PYTHONS)
    tests = sorted((ROOT / "tests").glob("test_*.py"))
    if given.quick:
        names = [f"tests/test_{name}.py" for name in QUICK]
    else:
        names = [f"tests/{t.name}" for t in tests if not t.stem.removeprefix("test_").startswith(LEFT_OUT)]
    found = {version: on_this_machine(version) for version in wanted}
    missing = [version for version in wanted if found[version] is None]
    folder = debian(missing) if missing else None
    failed = []
    for version in wanted:
        python = found[version]
        if python is None and folder is None:
            failed += [version] if version in given.versions else []
        elif not test(version, python or f"python{version}", None if python else folder, names, given.quick):
            failed.append(version)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
