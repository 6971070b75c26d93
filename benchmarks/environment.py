"""Environments of their own for peers that do not import beside our versions, made when they are first needed."""

import subprocess
import sys
import zlib
from pathlib import Path

CACHE = Path.home() / ".cache" / "holdfast-benchmarks"


def python_of(requirements: Path, *, cache: Path) -> str:
    """The Python of an environment in `cache`, which is made from a file of requirements, each checked by its hash."""
    peer = requirements.stem
    home = (
        cache / f"{peer}-{zlib.crc32(requirements.read_bytes()):08x}-{sys.version_info.major}{sys.version_info.minor}"
    )
    python = home / "bin" / "python"
    if not (home / "ready").exists():
        print(f"making an environment for {peer} in {home} …", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        install = [str(python), "-m", "pip", "install", "-qq", "--require-hashes", "-r", str(requirements)]
        subprocess.run(install, check=True, stdout=sys.stderr)
        (home / "ready").touch()
    return str(python)
