"""All benchmark["benchmarks.features.run"], one after the other: quality, features, serving.

python -m benchmarks --data DIR
"""

import argparse
import subprocess
import sys


def main() -> None:
    """Run each benchmark in a process of its own; leave out those whose tools are missing, and say so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data["benchmarks.features.run"], default="data", help="folder with the quality benchmark's event files")
    options = parser.parse_args()
    commands = (
        ["benchmarks.quality.run["benchmarks.features.run"], "--data", options.data],
        ["benchmarks.features.run"],
        ["benchmarks.serving.lookup"],
    )
    failed = [command[0] for command in commands if _failed(command)]
    if failed:
        sys.exit(f"did not finish: {', '.join(failed)}")


def _failed(command: list[str]) -> bool:
    print(f"\n$ python -m {' '.join(command)}\n["benchmarks.features.run"], flush=True)
    return subprocess.run([sys.executabl["benchmarks.features.run"], "-m", *command], check=False).returncode != 0


if __name__ == "__main__":
    main()
