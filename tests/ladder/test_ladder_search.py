"""The search on every pattern of standings, against a plain restatement of its rules."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdtrue.ladder.search import (
    Place,
    Standing,
    cheapest,
    find,
    order,
    reversals,
    strict_alpha,
    waiting,
)

MET, NOT, OPEN, LOST, NEW = (
    Standing.MET,
    Standing.NOT_MET,
    Standing.UNDETERMINED,
    Standing.FAILED,
    Standing.UNTESTED,
)


def climb(truth: list[Standing], places: list[Place], *, exhaustive: bool = False) -> list[int]:
    """The rungs in the order in which the search tests them, when each turns out as ``truth``."""
    seen, tested = [NEW] * len(places), []
    while left := waiting(places, seen, exhaustive=exhaustive):
        seen[left[0]] = truth[left[0]]
        tested.append(left[0])
    return tested


def test_the_search_stops_at_the_first_rung_that_is_met() -> None:
    places = [Place(cost) for cost in (1, 2, 3, 4)]
    assert climb([NOT, OPEN, MET, MET], places) == [0, 1, 2]


def test_rungs_are_tested_in_the_order_of_their_cost_not_of_their_listing() -> None:
    places = [Place(3), Place(1), Place(2)]
    assert climb([NOT, NOT, NOT], places) == [1, 2, 0]


def test_a_rung_of_unknown_cost_comes_last_and_is_tested() -> None:
    places = [Place(float("inf")), Place(1)]
    assert climb([MET, NOT], places) == [1, 0]
    assert climb([MET, MET], places) == [1]


def test_equal_costs_keep_the_order_given() -> None:
    assert order([Place(1), Place(0), Place(1), Place(0)]) == [1, 3, 0, 2]


def test_exhaustive_tests_every_rung() -> None:
    places = [Place(cost) for cost in (1, 2, 3)]
    assert climb([MET, NOT, MET], places, exhaustive=True) == [0, 1, 2]


def test_a_rung_that_fails_to_load_does_not_stop_the_search() -> None:
    places = [Place(cost) for cost in (1, 2, 3)]
    assert climb([LOST, NOT, MET], places) == [0, 1, 2]
    found = find(places, [LOST, NOT, MET])[0]
    assert (found.smallest, found.lost, found.exact) == (2, (0,), False)


def test_undetermined_rungs_below_the_smallest_are_carried_as_a_bracket() -> None:
    places = [Place(cost) for cost in (1, 2, 3, 4)]
    found = find(places, [NOT, OPEN, OPEN, MET])[0]
    assert (found.smallest, found.open, found.exact) == (3, (1, 2), False)


def test_the_smallest_is_exact_only_when_every_cheaper_rung_is_not_met() -> None:
    places = [Place(cost) for cost in (1, 2, 3)]
    assert find(places, [NOT, NOT, MET])[0].exact
    assert not find(places, [NOT, NEW, MET])[0].exact
    assert not find(places, [NOT, NOT, NOT])[0].exact


def test_tracks_are_searched_each_for_itself() -> None:
    places = [Place(1, "a"), Place(1, "b"), Place(2, "a"), Place(2, "b")]
    truth = [MET, NOT, MET, MET]
    assert climb(truth, places) == [0, 1, 3]
    found = find(places, [MET, NOT, NEW, MET])
    assert [(one.track, one.smallest) for one in found] == [("a", 0), ("b", 3)]
    assert cheapest(places, [MET, NOT, NEW, MET]) == 0


def test_every_reversal_is_shown_and_nothing_else() -> None:
    places = [Place(1), Place(2), Place(3), Place(2, "other")]
    standings = [MET, NOT, MET, NOT]
    assert reversals(places, standings) == [(0, 1)]
    assert reversals(places, [NOT, MET, OPEN, NOT]) == []


def test_rungs_of_equal_cost_are_no_reversal() -> None:
    assert reversals([Place(1), Place(1)], [MET, NOT]) == []


def test_strict_shares_the_error_rate_over_the_rungs() -> None:
    assert strict_alpha(10) == pytest.approx(0.005)
    with pytest.raises(ValueError, match="at least one"):
        strict_alpha(0)


@pytest.mark.parametrize("truth", list(itertools.product([MET, NOT, OPEN, LOST], repeat=4)))
def test_a_search_finds_what_testing_every_rung_would_call_the_smallest(
    truth: tuple[Standing, ...],
) -> None:
    places = [Place(cost) for cost in (1, 2, 3, 4)]
    tested = climb(list(truth), places)
    seen = [truth[i] if i in tested else NEW for i in range(4)]
    whole, partial = find(places, truth)[0], find(places, seen)[0]
    assert whole == partial
    assert tested == list(range(len(tested)))


@settings(deadline=None, derandomize=True, max_examples=200)
@given(
    st.lists(
        st.tuples(st.integers(1, 5), st.sampled_from("ab"), st.sampled_from([MET, NOT, OPEN])),
        min_size=1,
        max_size=8,
    )
)
def test_nothing_is_tested_above_a_rung_that_was_met(
    rungs: list[tuple[int, str, Standing]],
) -> None:
    places = [Place(cost, track) for cost, track, _ in rungs]
    truth = [standing for _, _, standing in rungs]
    tested = climb(truth, places)
    for track in {place.track for place in places}:
        met = [places[i].cost for i in tested if places[i].track == track and truth[i] is MET]
        assert len(met) <= 1
        if met:
            assert max(places[i].cost for i in tested if places[i].track == track) == met[0]
