"""Grants are sealed, keys can be changed, and neither shows in a message."""

from datetime import UTC, datetime

import pytest
from cryptography.fernet import Fernet

from addon.core.grants import Grant
from addon.store.secrets import SealedBox, SecretUnreadable

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
GRANT = Grant("access-å", "refresh", datetime(2026, 3, 2, 1, 2, 3, 4, tzinfo=UTC), "bookkeeping", "123", live=True)


def test_a_grant_comes_back_and_is_not_readable_meanwhile() -> None:
    box = SealedBox([OLD])
    sealed = box.seal_grant(GRANT)
    assert box.open_grant(sealed) == GRANT
    assert b"access" not in sealed
    assert box.seal_grant(GRANT) != sealed


def test_a_text_comes_back() -> None:
    box = SealedBox([OLD])
    assert box.open(box.seal("shared secret")) == "shared secret"


def test_after_a_new_key_old_secrets_open_and_can_be_brought_over() -> None:
    sealed = SealedBox([OLD]).seal_grant(GRANT)
    both = SealedBox([NEW, OLD])
    assert both.open_grant(sealed) == GRANT
    rotated = both.rotate(sealed)
    assert SealedBox([NEW]).open_grant(rotated) == GRANT
    with pytest.raises(SecretUnreadable):
        SealedBox([OLD]).open_grant(rotated)


def test_another_key_opens_nothing() -> None:
    box, sealed = SealedBox([NEW]), SealedBox([OLD]).seal_grant(GRANT)
    for attempt in (box.open, box.open_grant, box.rotate):
        with pytest.raises(SecretUnreadable) as refused:
            attempt(sealed)
        assert refused.value.__cause__ is None


def test_what_was_tampered_with_or_is_no_grant_is_refused_without_quoting_it() -> None:
    box = SealedBox([OLD])
    sealed = box.seal_grant(GRANT)
    another = b"B" if sealed[20:21] == b"A" else b"A"
    for broken in (sealed[:-4], b"", b"\xff", sealed[:20] + another + sealed[21:]):
        with pytest.raises(SecretUnreadable):
            box.open_grant(broken)
    for content in ("hunter2", '"hunter2"', "[]", '{"access_token": 5, "x": "hunter2"}', "null"):
        with pytest.raises(SecretUnreadable) as refused:
            box.open_grant(box.seal(content))
        assert "hunter2" not in repr(refused.value)
        assert refused.value.__suppress_context__


def test_no_key_shows() -> None:
    box = SealedBox([NEW, OLD])
    assert repr(box) == "SealedBox(2 keys)"
    assert NEW not in str(box.__dict__)


@pytest.mark.parametrize("keys", [[], ["short"], [OLD, ""]])
def test_a_box_needs_whole_keys(keys: list[str]) -> None:
    with pytest.raises(ValueError):
        SealedBox(keys)
