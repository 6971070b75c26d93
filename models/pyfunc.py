"""The bundle as an MLflow model, from code instead of a pickle: MLflow runs this file when it loads the model.

`mlflow.pyfunc.load_model("models:/holdfast-churn@champion").predict(features)` gives one `churn_probability` a row.
"""

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from models.bundle import load


class ChurnProbability(PythonModel):
    """Feature columns in, calibrated churn probabilities out."""

    def load_context(self, context: PythonModelContext) -> None:
        """Loads the bundle with all its checks."""
        self.model = load(Path(context.artifacts["bundle"])).model

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002 - MLflow's signature
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,  # noqa: ARG002 - MLflow's signature; Any: theirs
    ) -> pd.DataFrame:
        """A frame with the column `churn_probability`, one row an input row."""
        probabilities = self.model.predict_proba(model_input)[:, 1]
        return pd.DataFrame({"churn_probability": probabilities}, index=model_input.index)


mlflow.models.set_model(ChurnProbability())
