"""Gates: exit codes and JUnit files."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from holdtrue.baseline import load_baseline
from holdtrue.criteria import CriteriaSet, load_criteria
from holdtrue.errors import ConfigError
from holdtrue.gate import exit_code, junit_xml
from holdtrue.verdict import decide
from made_sessions import made_sessions

SETS = (load_criteria("minimum"), load_criteria("full"))


def verdict_of(sessions, sets=SETS):
    return decide(sessions, sets, load_baseline("s35"))


def test_met_not_met_and_undetermined_are_0_1_and_3():
    clean, bad = made_sessions(40), made_sessions(20, gaming=3, d9=0.5)
    assert exit_code(verdict_of(clean), "full") == 0
    assert exit_code(verdict_of(bad), "full") == 1
    assert exit_code(verdict_of(clean[:20]), "minimum") == 0
    assert exit_code(verdict_of(clean[:20]), "full") == 3
    assert exit_code(verdict_of([]), "minimum") == 3


def test_a_gate_on_a_set_that_was_not_decided_is_an_error():
    with pytest.raises(ConfigError, match="no criteria set 'ful'"):
        exit_code(verdict_of([]), "ful")


def test_junit_has_a_suite_a_set_and_counts_what_stops_a_build():
    root = ElementTree.fromstring(junit_xml(verdict_of(made_sessions(20))))
    suites = {suite.get("name"): suite for suite in root}
    minimum, full = suites["holdtrue.minimum"], suites["holdtrue.full"]
    assert (minimum.get("tests"), minimum.get("failures"), minimum.get("errors")) == ("5", "0", "0")
    # Undetermined on full after 20 clean sessions: both rates, and so the set.
    assert (full.get("tests"), full.get("failures"), full.get("errors")) == ("6", "0", "3")
    names = {case.get("name"): case for case in full}
    assert names["gaming_rate"].find("error").get("type") == "undetermined"
    assert "40 in all would do" in names["verdict"].find("error").get("message")
    assert names["d9"].find("error") is None


def test_junit_calls_what_is_not_met_a_failure():
    root = ElementTree.fromstring(junit_xml(verdict_of(made_sessions(20, gaming=3, d9=0.5))))
    full = root.find("testsuite[@name='holdtrue.full']")
    assert int(full.get("failures")) >= 3
    failure = full.find("testcase[@name='gaming_rate']/failure")
    assert "gaming_rate at most 0.05: not met; 0.600 [" in failure.get("message")


def test_junit_holds_hostile_names_as_text():
    hostile = '<b>"&\x00\x1b[31m\ud800</b>'
    criteria = CriteriaSet.model_construct(
        schema_version=1, name=hostile, description=None, criteria=SETS[0].criteria, watch=()
    )
    body = verdict_of(made_sessions(4), (SETS[1],)).model_copy()
    result = body.sets[0].model_copy(update={"name": criteria.name})
    text = junit_xml(body.model_copy(update={"sets": (result,)}))
    root = ElementTree.fromstring(text)
    name = root[0].get("name")
    assert name.startswith('holdtrue.<b>"&')
    assert "\x1b" not in text
