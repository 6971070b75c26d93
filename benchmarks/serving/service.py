"""The product's service as the benchmarks start it: over a store, and over a data folder where scores are computed.

python -m benchmarks.serving.service --port 8000 --store sqlite:///shop/store.db --folder shop --workers 2
"""

import argparse
from pathlib import Path

from serving.run import serve
from serving.settings import DataFolder, ServiceSettings


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--store", required=True, help="URL of the store")
    parser.add_argument("--folder", type=Path, help="data folder with a champion and events")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--in-flight", type=int, default=256, help="requests that a worker answers at a time")
    asked = parser.parse_args()
    folders = {"": DataFolder(asked.folder / "champion", asked.folder / "events")} if asked.folder else {}
    serve(
        ServiceSettings(
            asked.store, port=asked.port, workers=asked.workers, max_in_flight=asked.in_flight, folders=folders
        )
    )


if __name__ == "__main__":
    main()
