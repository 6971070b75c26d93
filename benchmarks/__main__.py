"""All benchmarks, one after the other: quality, peers, truth, features, training, gate, serving, leakage, watch.

python -m benchmarks --data DIR
"""

import argparse
import subprocess
import sys


def main() -> None:
    """Run each benchmark in a process of its own; leave out those whose tools are missing, and say so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="data", help="folder with the quality benchmark's event files")
    options = parser.parse_args()
    commands = (
        ["benchmarks.quality.run", "--data", options.data],
        ["benchmarks.quality.peers", "--data", options.data],
        ["benchmarks.simulate"],
        ["benchmarks.features.run"],
        ["benchmarks.training"],
        ["benchmarks.gate"],
        ["benchmarks.serving.lookup"],
        ["benchmarks.serving.many"],
        ["benchmarks.serving.compute"],
        ["benchmarks.serving.reasons"],
        ["benchmarks.serving.batch"],
        ["benchmarks.serving.overload"],
        ["benchmarks.serving.soak"],
        ["benchmarks.leakage"],
        ["benchmarks.watch"],
    )
    failed = [command[0] for command in commands if _failed(command)]
    if failed:
        sys.exit(f"did not finish: {', '.join(failed)}")


def _failed(command: list[str]) -> bool:
    print(f"\n$ python -m {' '.join(command)}\n", flush=True)
    return subprocess.run([sys.executable, "-m", *command], check=False).returncode != 0


if __name__ == "__main__":
    main()
