"""Decisions at looks."""

from __future__ import annotations

import numpy as np

from holdtrue.stats.evidence import Direction, Kind, Mode, threshold
from holdtrue.stats.sequential import (
    NEVER,
    Bound,
    Decided,
    decide_set,
    evidence_pair,
    first_look,
    look_points,
)

RATE = Bound(Kind.RATE, Direction.AT_MOST, 0.05)
OVER = threshold() + 0.1


def test_looks_are_after_every_batch_and_at_the_end():
    assert look_points(10, 4).tolist() == [4, 8, 10]
    assert look_points(8, 4).tolist() == [4, 8]


def test_there_is_no_look_before_the_first_batch_is_whole():
    assert look_points(3, 4).tolist() == []
    assert look_points(0, 4).tolist() == []


def test_a_path_is_decided_at_the_first_look_that_reaches_the_bar():
    paths = np.zeros((3, 12))
    paths[0, 7:] = OVER  # from session 8 on
    paths[1, 5] = OVER  # after session 6 only, between two looks
    assert first_look(paths, look_points(12)).tolist() == [8, NEVER, NEVER]


def test_without_a_look_nothing_is_decided():
    assert first_look(np.full((2, 3), OVER), look_points(3)).tolist() == [NEVER, NEVER]


def test_what_was_decided_stays_decided_when_the_evidence_falls_again():
    path = np.zeros(12)
    path[3] = OVER
    assert int(first_look(path, look_points(12))) == 4


def test_the_first_of_two_decisions_counts_and_a_tie_counts_against():
    decided = Decided(np.array([4, 8, 4, NEVER]), np.array([8, 4, 4, NEVER]))
    assert decided.met.tolist() == [True, False, False, False]
    assert decided.not_met.tolist() == [False, True, True, False]
    assert decided.at.tolist() == [4, 4, 4, NEVER]


def test_a_set_is_met_when_its_last_criterion_is():
    looks = look_points(12)
    early, late = np.zeros(12), np.zeros(12)
    early[3:], late[11:] = OVER, OVER
    low = np.full(12, -1.0)
    whole, singles = decide_set([(early, low), (late, low)], looks)
    assert int(whole.met_at) == 12
    assert [int(one.met_at) for one in singles] == [4, 12]


def test_a_set_is_not_met_by_the_average_and_not_by_one_criterion_alone():
    looks = look_points(8)
    quiet = np.zeros(8)  # W = 1
    loud = np.zeros(8)
    loud[3:] = np.log(30)  # past 20 alone; the average of 30 and four ones is 6.8
    loud[7:] = np.log(200)  # the average is 40.8
    pairs = [(np.full(8, -1.0), loud), *[(np.full(8, -1.0), quiet)] * 4]
    whole, singles = decide_set(pairs, looks)
    assert int(singles[0].not_met_at) == 4
    assert int(whole.not_met_at) == 8


def test_a_criterion_that_was_first_not_met_keeps_its_set_from_being_met():
    looks = look_points(8)
    met, against = np.zeros(8), np.zeros(8)
    against[3], met[7] = OVER, OVER
    whole, _ = decide_set([(met, against)] * 1 + [(np.full(8, OVER), np.full(8, -5.0))] * 20, looks)
    assert int(whole.met_at) == NEVER


def test_forty_clean_sessions_meet_five_percent_at_the_look_after_forty():
    met, _ = evidence_pair(RATE, np.zeros(60), 5, Mode.BOUNDED)
    assert int(first_look(met, look_points(60))) == 40
