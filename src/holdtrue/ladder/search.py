"""The search: which rung is tested next, and what its results allow to be said.

Pure: it knows rungs as places in an order of cost, and what came of each. Nothing is inferred from
one rung about another: a larger model may fail where a smaller one holds. What a single rung's
decision may be trusted for is stated in ``stats``; not met needs no correction over rungs, met
over M rungs asks for 1/M of the error rate where the whole ladder shall be wrong at most that often
(``strict_alpha``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isinf

from holdtrue.stats.evidence import ALPHA


class Standing(StrEnum):
    """What is known of a rung. FAILED: it could not be loaded or run, so nothing is known."""

    UNTESTED = "not tested"
    MET = "met"
    NOT_MET = "not met"
    UNDETERMINED = "undetermined"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Place:
    """A rung in the search: its ``cost`` (any unit, infinite if unknown) and its ``track``.

    Tracks are searched each for itself: rungs that differ in more than scale, such as two
    protocols, side by side.
    """

    cost: float
    track: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search of one track has found, as indices of places.

    ``smallest`` is the cheapest that is met. ``open`` are undetermined, ``lost`` failed and
    ``untested`` not yet tested rungs that are cheaper than it or of unknown cost (all of them
    where none is met): any of those may hold as well.
    """

    track: str
    smallest: int | None
    open: tuple[int, ...]
    lost: tuple[int, ...]
    untested: tuple[int, ...]

    @property
    def exact(self) -> bool:
        """Whether the smallest rung is known: one is met and every cheaper one is not."""
        return self.smallest is not None and not (self.open or self.lost or self.untested)


def order(places: Sequence[Place]) -> list[int]:
    """Indices by cost, ascending; equal costs in the order given."""
    return sorted(range(len(places)), key=lambda index: places[index].cost)


def waiting(
    places: Sequence[Place], standings: Sequence[Standing], *, exhaustive: bool = False
) -> list[int]:
    """The rungs still to be tested, cheapest first, if nothing new is found.

    A track that has a rung which is met is done, up to rungs cheaper than that one; with
    ``exhaustive`` every rung is tested.
    """
    limits = {
        place.track: place.cost
        for index in reversed(order(places))
        if standings[index] is Standing.MET
        for place in (places[index],)
    }

    def open_(place: Place) -> bool:
        return exhaustive or place.track not in limits or place.cost < limits[place.track]

    return [
        index
        for index in order(places)
        if standings[index] is Standing.UNTESTED and open_(places[index])
    ]


def find(places: Sequence[Place], standings: Sequence[Standing]) -> list[Found]:
    """What is known of each track, in the order in which tracks first occur."""
    found = []
    for track in dict.fromkeys(place.track for place in places):
        ranked = [index for index in order(places) if places[index].track == track]
        smallest = next((i for i in ranked if standings[i] is Standing.MET), None)
        below = ranked
        if smallest is not None:
            unknown = [i for i in ranked if isinf(places[i].cost) and i != smallest]
            below = list(dict.fromkeys([*ranked[: ranked.index(smallest)], *unknown]))
        open_, lost, untested = (
            tuple(i for i in below if standings[i] is kind)
            for kind in (Standing.UNDETERMINED, Standing.FAILED, Standing.UNTESTED)
        )
        found.append(Found(track, smallest, open_, lost, untested))
    return found


def cheapest(places: Sequence[Place], standings: Sequence[Standing]) -> int | None:
    """The cheapest rung of all tracks that is met, None where none is."""
    return next((i for i in order(places) if standings[i] is Standing.MET), None)


def reversals(places: Sequence[Place], standings: Sequence[Standing]) -> list[tuple[int, int]]:
    """Pairs of one track in which the cheaper rung is met and the costlier one is not."""
    ranked = order(places)
    return [
        (low, high)
        for position, low in enumerate(ranked)
        for high in ranked[position + 1 :]
        if places[low].track == places[high].track
        and places[low].cost < places[high].cost
        and (standings[low], standings[high]) == (Standing.MET, Standing.NOT_MET)
    ]


def strict_alpha(rungs: int) -> float:
    """The error rate to ask of *met* so that any false one of ``rungs`` has at most ALPHA."""
    if rungs < 1:
        raise ValueError("a ladder has at least one rung")
    return ALPHA / rungs


def reached(
    places: Sequence[Place], standings: Sequence[Standing], *, exhaustive: bool = False
) -> list[int]:
    """The rungs that a search of one rung at a time comes to, in its order.

    What several at once have tested beyond these is left out, so that the result is the same.
    Ends at a rung that is not tested yet.
    """
    seen = [Standing.UNTESTED] * len(places)
    found: list[int] = []
    while left := waiting(places, seen, exhaustive=exhaustive):
        if standings[left[0]] is Standing.UNTESTED:
            break
        seen[left[0]] = standings[left[0]]
        found.append(left[0])
    return found
