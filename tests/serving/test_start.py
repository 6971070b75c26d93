"""The start of a worker: it loads without searching for garbage, and then only in what came later."""

import gc

from serving.champions import Champions
from serving.store import ScoreStore


def test_what_is_loaded_at_the_start_is_not_searched_for_garbage(store: ScoreStore) -> None:
    champions = Champions(store, {})
    gc.disable()  # as `serving.run` begins
    try:
        champions.start()
        champions.stop()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
    finally:
        gc.enable()
        gc.unfreeze()
