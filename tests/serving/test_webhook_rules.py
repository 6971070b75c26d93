"""To which addresses a webhook may lead at all, and how long is waited between two tries."""

import pytest

from features.errors import BadInput
from serving.webhooks.addresses import Rules, target_of
from serving.webhooks.delivering import wait_before


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://crm.example/hook", "not encrypted"),
        ("ftp://crm.example/hook", "no address of the web"),
        ("https:///hook", "no address of the web"),
        ("https://ada:secret@crm.example/", "no user"),
        ("https://crm.example/#x", "no user"),
        ("https://crm.example:99999/", "is no address"),
        ("https://crm.example/\r\nx: y", "visible ASCII"),
        ("https://" + "a" * 2_000, "visible ASCII"),
    ],
)
def test_addresses_to_which_no_webhook_may_lead_are_refused_at_once(url: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        target_of(url, Rules())


def test_waits_grow_fourfold_up_to_six_hours_and_are_spread() -> None:
    for attempt, most in ((1, 10.0), (2, 40.0), (4, 640.0), (9, 6 * 3600.0), (50, 6 * 3600.0)):
        waits = [wait_before(attempt) for _ in range(50)]
        assert 0.75 * most <= min(waits) < max(waits) <= 1.25 * most
