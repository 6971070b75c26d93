"""Where the rows of a training came from, as MLflow's own kind of data source; MLflow loads this file when it is asked.

`mlflow.data.get_source(run.inputs.dataset_inputs[0])` gives one back, and its `load` opens the event log at the version
that was read.
"""

from typing import Any, Self

from mlflow.data.dataset_source import DatasetSource


class EventLogSource(DatasetSource):
    """An event log at a version, the cutoffs at which users were looked at, and what churn meant."""

    def __init__(self, uri: str, *, version: int, cutoffs: list[str], definition: dict[str, Any]) -> None:  # Any: JSON
        self.uri = uri
        self.version = version
        self.cutoffs = cutoffs
        self.definition = definition

    @staticmethod
    def _get_source_type() -> str:
        return "holdfast_event_log"

    def load(self) -> Any:  # Any: as MLflow's
        """The event log at this version; raises `NotReady` where that one is no longer kept."""
        from pathlib import Path  # noqa: PLC0415 - MLflow loads this file whenever it is asked of any source

        from features.log import EventLog  # noqa: PLC0415 - as above

        return EventLog.open(Path(self.uri), version=self.version)

    @staticmethod
    def _can_resolve(raw_source: Any) -> bool:  # noqa: ARG004 - MLflow's signature
        return False  # only what was written as such is read as such

    @classmethod
    def _resolve(cls, raw_source: Any) -> Self:
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON that `from_dict` reads back."""
        return {"uri": self.uri, "version": self.version, "cutoffs": self.cutoffs, "definition": self.definition}

    @classmethod
    def from_dict(cls, source_dict: dict[Any, Any]) -> Self:
        """The source that `to_dict` wrote."""
        return cls(
            source_dict["uri"],
            version=source_dict["version"],
            cutoffs=source_dict["cutoffs"],
            definition=source_dict["definition"],
        )
