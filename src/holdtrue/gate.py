"""Gates for continuous integration: an exit code and a JUnit XML file from a verdict."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from holdtrue.errors import ConfigError, nearest
from holdtrue.verdict import CriterionResult, Decision, SetResult, Verdict

EXIT_CODES = {Decision.MET: 0, Decision.NOT_MET: 1, Decision.UNDETERMINED: 3}
# What XML 1.0 cannot hold at all, escaped or not.
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def exit_code(verdict: Verdict, gate: str) -> int:
    """0 met, 1 not met, 3 undetermined, for the criteria set named ``gate``.

    Raises ConfigError when the verdict has no such set.
    """
    found = verdict.set_named(gate)
    if found is None:
        names = [one.name for one in verdict.sets]
        raise ConfigError(
            f"the verdict has no criteria set {gate!r} to gate on", remedy=nearest(gate, names)
        )
    return EXIT_CODES[found.decision]


def junit_xml(verdict: Verdict) -> str:
    """One test suite a criteria set, one case a criterion and one for the set itself.

    Not met is a failure, undetermined an error, since a build must not pass on either unseen.
    """
    root = ElementTree.Element("testsuites", name="holdtrue")
    for one in verdict.sets:
        cases = [
            _case(one.name, criterion.measure, criterion.decision, _line(criterion))
            for criterion in one.criteria
        ]
        cases.append(_case(one.name, "verdict", one.decision, _set_line(verdict, one)))
        decisions = [*(criterion.decision for criterion in one.criteria), one.decision]
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=_clean(f"holdtrue.{one.name}"),
            tests=str(len(cases)),
            failures=str(decisions.count(Decision.NOT_MET)),
            errors=str(decisions.count(Decision.UNDETERMINED)),
            skipped="0",
        )
        suite.extend(cases)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: str, name: str, decision: Decision, text: str) -> ElementTree.Element:
    case = ElementTree.Element("testcase", classname=_clean(f"holdtrue.{suite}"), name=_clean(name))
    kinds = {Decision.NOT_MET: "failure", Decision.UNDETERMINED: "error"}
    if decision in kinds:
        attributes = {"message": _clean(text), "type": decision.value}
        ElementTree.SubElement(case, kinds[decision], attributes)
    else:
        ElementTree.SubElement(case, "system-out").text = _clean(text)
    return case


def _line(one: CriterionResult) -> str:
    bound = f"{one.measure} {one.direction.value} {one.bound:g}: {one.decision.value}"
    if one.estimate is None:
        return f"{bound}; no value"
    interval = "" if one.low is None or one.high is None else f" [{one.low:.3f}, {one.high:.3f}]"
    note = f"; {one.note}" if one.note else ""
    return f"{bound}; {one.estimate:.3f}{interval} over {one.sessions} sessions{note}"


def _set_line(verdict: Verdict, one: SetResult) -> str:
    text = f"{one.name}: {one.decision.value} after {one.decided_at or verdict.sessions} sessions"
    if one.forecast and one.forecast.clean:
        text += f"; {one.forecast.clean} in all would do if all further ones are clean"
    return f"{text}; outcome {verdict.outcome.value}"


def _clean(text: str) -> str:
    return NOT_XML.sub("\ufffd", text)
