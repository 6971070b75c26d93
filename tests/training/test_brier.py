import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.brier import PARTS, brier_parts
from training.metrics import CALIBRATION_BINS, evaluate


def _bins(probabilities: np.ndarray) -> list[np.ndarray]:
    return np.array_split(np.argsort(probabilities, kind="stable"), CALIBRATION_BINS)


def _users(count: int) -> np.ndarray:
    return np.array([f"user-{place}" for place in range(count)], dtype=object)


def _rows(seed: int, count: int, *, slope: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    margins = draws.normal(-1, 1.5, count)
    labels = (draws.uniform(size=count) < 1 / (1 + np.exp(-margins))).astype(float)
    labels[:2] = [0.0, 1.0]
    return labels, 1 / (1 + np.exp(-slope * margins))


@given(st.integers(0, 10_000), st.integers(30, 400), st.sampled_from([0.3, 1.0, 2.5]))
@settings(max_examples=30)
def test_the_parts_add_up_to_the_brier_score(seed: int, count: int, slope: float) -> None:
    labels, probabilities = _rows(seed, count, slope=slope)
    found = evaluate(labels, probabilities, users=_users(count), seed=1, replicates=5)
    reliability, resolution, uncertainty, within = (found[name].value for name in PARTS)
    assert reliability - resolution + uncertainty + within == pytest.approx(found["brier"].value, abs=1e-12)


@given(st.integers(0, 10_000))
@settings(max_examples=20)
def test_what_is_left_within_bins_is_the_variance_less_twice_the_covariance(seed: int) -> None:
    labels, probabilities = _rows(seed, 200)
    found = evaluate(labels, probabilities, users=_users(200), seed=1, replicates=5)
    variance = covariance = 0.0
    for part in _bins(probabilities):
        said, happened = probabilities[part], labels[part]
        variance += ((said - said.mean()) ** 2).sum() / 200
        covariance += ((happened - happened.mean()) * (said - said.mean())).sum() / 200
    assert found["brier_within_bins"].value == pytest.approx(variance - 2 * covariance, abs=1e-12)


def test_probabilities_that_come_true_are_reliable_and_blind_ones_do_not_resolve() -> None:
    labels, probabilities = _rows(1, 20_000)
    true = evaluate(labels, probabilities, users=_users(20_000), seed=1, replicates=50)
    blind = evaluate(labels, np.full(20_000, labels.mean()), users=_users(20_000), seed=1, replicates=50)
    assert abs(true["brier_reliability"].value) < 0.0005
    assert true["brier_resolution"].value > 0.03
    assert abs(blind["brier_resolution"].value) < 0.0005


def test_noise_is_taken_out_of_the_reliability_on_average() -> None:
    """With 20 rows a bin chance alone makes gaps: uncorrected the reliability of the truth is about .009."""
    corrected, plain = [], []
    for seed in range(200):
        labels, probabilities = _rows(seed, 200)
        bins = _bins(probabilities)
        plain.append(sum(len(b) * (probabilities[b].mean() - labels[b].mean()) ** 2 for b in bins) / 200)
        mass, said, churned = (
            np.array([[each[b].sum() for b in bins]]) for each in (np.ones(200), probabilities, labels)
        )
        parts = brier_parts(mass, said, churned, brier=np.zeros(1))
        corrected.append(float(parts["brier_reliability"][0]))
    assert np.mean(plain) > 0.006
    assert abs(np.mean(corrected)) < 0.001


def test_the_interval_of_a_part_holds_its_value() -> None:
    labels, probabilities = _rows(3, 1000, slope=2.5)
    found = evaluate(labels, probabilities, users=_users(1000), seed=1)
    for name in PARTS[:3]:
        assert found[name].low < found[name].value < found[name].high, name
