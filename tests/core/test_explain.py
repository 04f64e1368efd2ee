"""What makes up a difference, and when nobody can say."""

import pytest

from addon.core.explain import MOST, making_up


@pytest.mark.parametrize(
    ("difference", "amounts", "found"),
    [
        (500, [500], (0,)),
        (500, [200, 300], (0, 1)),
        (300, [200, 300, 700], (1,)),
        (1000, [200, 300, 700], (1, 2)),
        (-200, [500, -200], (1,)),
        (0, [1, -1], None),
        (500, [], None),
        (500, [499], None),
        (500, [500, 500, 7], None),
        (1, [1] * (MOST + 1), None),
        (MOST + 1, [1] * (MOST + 1), tuple(range(MOST + 1))),
    ],
)
def test_only_what_is_certain_is_taken(difference: int, amounts: list[int], found: tuple[int, ...] | None) -> None:
    assert making_up(difference, amounts) == found
