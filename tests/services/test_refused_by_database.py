"""A value that the database refuses ends its run after a few tries; a database that is away ends nothing."""

import pytest
from sqlalchemy.exc import DataError, OperationalError

from addon.sandbox.world import Business
from addon.services import runs
from tests.support.town import Town


def test_what_the_database_refuses_for_ever_is_not_tried_for_ever(
    kvitt: Town, shop: Business, monkeypatch: pytest.MonkeyPatch
) -> None:
    company_id = kvitt.install(shop)
    run_id = runs.want(kvitt.services, company_id, "click")

    def refuse(work: object) -> str:
        raise DataError("insert", None, ValueError("secret value"))

    monkeypatch.setattr(runs, "_books", refuse)
    for _ in range(8):
        assert runs.run_slice(kvitt.services, company_id).retry_in_s > 0
    assert not runs.run_slice(kvitt.services, company_id).more
    found = runs.view(kvitt.services, company_id, run_id)
    assert (found.state, found.message) == ("failed", "a fault of Kvitt's own: DataError")


def test_a_database_that_is_away_ends_no_run(kvitt: Town, shop: Business, monkeypatch: pytest.MonkeyPatch) -> None:
    company_id = kvitt.install(shop)
    run_id = runs.want(kvitt.services, company_id, "click")

    def away(work: object) -> str:
        raise OperationalError("select", None, OSError("gone"))

    monkeypatch.setattr(runs, "_books", away)
    for _ in range(10):
        with pytest.raises(OperationalError):
            runs.run_slice(kvitt.services, company_id)
    assert runs.view(kvitt.services, company_id, run_id).state == "running"
