"""Objects in the order Stripe lists them: newest first, position decided by creation and arrival."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar


class Listed(Protocol):
    """What a list endpoint needs of an object."""

    id: str
    created: int


Item = TypeVar("Item", bound=Listed)


class Collection(Generic[Item]):
    """A sorted store of one kind of object.

    The key is (created, arrival), so many objects of one second keep a stable place; a cursor is a position
    in this order and not a time, which is why rows made between two page calls shift nothing.
    """

    def __init__(self) -> None:
        self._keys: list[tuple[int, int]] = []
        self._by_key: dict[tuple[int, int], Item] = {}
        self._key_of: dict[str, tuple[int, int]] = {}

    def add(self, item: Item) -> Item:
        """Put an object at its place; an older `created` goes in between."""
        key = (item.created, len(self._key_of))
        if not self._keys or key > self._keys[-1]:
            self._keys.append(key)
        else:
            insort(self._keys, key)
        self._by_key[key] = item
        self._key_of[item.id] = key
        return item

    def get(self, item_id: str) -> Item | None:
        """The object of this id, if it exists."""
        key = self._key_of.get(item_id)
        return None if key is None else self._by_key[key]

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._key_of

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Item]:
        """Oldest first."""
        return (self._by_key[key] for key in list(self._keys))

    def page(
        self,
        limit: int,
        *,
        starting_after: str | None = None,
        ending_before: str | None = None,
        earliest: int | None = None,
        latest: int | None = None,
        keep: Callable[[Item], bool] = lambda item: True,
    ) -> tuple[list[Item], bool]:
        """Up to `limit` objects, newest first, and whether there are more in the direction of travel.

        `earliest` and `latest` bound `created`, both included. Cursors must exist: the caller checks.
        """
        low = 0 if earliest is None else bisect_left(self._keys, (earliest, -1))
        high = len(self._keys) if latest is None else bisect_left(self._keys, (latest + 1, -1))
        if starting_after is not None:
            high = min(high, bisect_left(self._keys, self._key_of[starting_after]))
        if ending_before is not None:
            low = max(low, bisect_right(self._keys, self._key_of[ending_before]))
        backwards = ending_before is not None and starting_after is None
        positions = range(low, high) if backwards else range(high - 1, low - 1, -1)
        found: list[Item] = []
        more = False
        for position in positions:
            item = self._by_key[self._keys[position]]
            if keep(item):
                if len(found) == limit:
                    more = True
                    break
                found.append(item)
        return (found[::-1] if backwards else found), more
