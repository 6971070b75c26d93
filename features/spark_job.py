"""One Spark job over buckets: a task a bucket, no shuffle, and errors that speak as they do without Spark."""

import json
import re
import traceback
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa

from features import errors
from features.errors import UserError
from features.spark_session import no_word_of_pandas

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession

Batches: TypeAlias = Iterator[pa.RecordBatch]
Task: TypeAlias = Callable[[int], Batches]  # a bucket's number -> what comes of it; found by its name where it is run
OnDone: TypeAlias = Callable[[], None]  # called several times a second while the job runs

_LOOK_AGAIN_SECONDS = 0.2
_SAYS = "holdfast-task-failed: "
_SAID = re.compile(re.escape(_SAYS) + r"(\{.*\})")
_RAISED = re.compile(r"^Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)+(\S.*)$", re.MULTILINE)


class _TaskFailed(Exception):
    """What went wrong in a task, in one line that survives being wrapped by Python, Java and Python again."""


def frame_of(session: "SparkSession", task: Task, *, buckets: int, columns: str) -> "DataFrame":
    """A frame with what the task yields for each bucket; `columns` are its names and types in Spark's words."""
    with no_word_of_pandas():
        numbers = session.range(0, buckets, 1, buckets)  # exactly one bucket a partition
        return numbers.mapInArrow(partial(_of_partition, task), columns)


def collect(session: "SparkSession", frame: "DataFrame", *, meanwhile: OnDone | None = None) -> "Sequence[Row]":
    """The rows of a small frame. Ctrl-C stops the job; an error of ours in a task is raised here as it was there."""
    tag = f"holdfast-{uuid.uuid4().hex}"
    with ThreadPoolExecutor(max_workers=1) as pool:  # this thread stays free to hear Ctrl-C
        future: Future[list[Row]] = pool.submit(_collect, session, frame, tag)
        try:
            while wait([future], timeout=_LOOK_AGAIN_SECONDS).not_done:
                if meanwhile is not None:
                    meanwhile()
        except BaseException:
            while wait([future], timeout=_LOOK_AGAIN_SECONDS).not_done:  # the job may not have begun yet
                session.sparkContext.cancelJobsWithTag(tag)
            raise
    try:
        return future.result()
    except Exception as error:  # noqa: BLE001 what a task raised, in several layers
        raise _ours(error) from None  # Java's two hundred lines say nothing that a user can act on


def _collect(session: "SparkSession", frame: "DataFrame", tag: str) -> "list[Row]":
    session.sparkContext.addJobTag(tag)
    return frame.collect()


def _of_partition(task: Task, batches: Iterable[pa.RecordBatch]) -> Batches:
    for batch in batches:
        for bucket in batch.column(0).to_pylist():
            try:
                yield from task(bucket)
            except Exception as error:  # noqa: BLE001 the driver tells ours from others
                raise _TaskFailed(_SAYS + json.dumps(_facts(error, bucket))) from None


def _facts(error: Exception, bucket: int) -> dict[str, Any]:  # Any: JSON
    return {
        "kind": type(error).__name__,
        "ours": isinstance(error, UserError),
        "says": str(error),
        "bucket": bucket,
        "traceback": "".join(traceback.format_exception(error)),
    }


def _ours(error: Exception) -> Exception:
    """What is to be raised instead of Spark's error."""
    said = _SAID.search(str(error))
    if said is None:
        return UserError(_spark_says(str(error)))
    facts = json.loads(said[1])
    if facts["ours"]:
        kind: type[UserError] = getattr(errors, facts["kind"], UserError)
        return kind(facts["says"])
    fault = RuntimeError(f"{facts['kind']} in the task of bucket {facts['bucket']}: {facts['says']}")
    fault.add_note(facts["traceback"])
    return fault


def _spark_says(text: str) -> str:
    """A sentence on what went wrong outside our own code: in starting a task, in losing one."""
    raised = _RAISED.search(text)
    found = raised[1] if raised else (text.strip().splitlines() or ["no reason given"])[0]
    if found.startswith("ModuleNotFoundError"):
        return (
            f"A task on Spark could not begin: {found}. Executors need the same Holdfast as the driver, installed in "
            "the Python that PYSPARK_PYTHON names; nothing was written."
        )
    return (
        f"Spark gave up: {found} If a task was killed for want of memory, give it more, or fewer cores at a time; "
        "nothing was written."
    )
