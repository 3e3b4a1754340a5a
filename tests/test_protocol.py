from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from holdtrue.errors import ConfigError
from holdtrue.persona import Persona, Voice, load_persona
from holdtrue.protocol import (
    Anchoring,
    Exemplars,
    Phase,
    Prompt,
    Protocol,
    draw_phrasings,
    load_protocol,
    render_system,
)

SAGE = load_persona("sage")


def protocol(system: str, **kwargs: object) -> Protocol:
    flow = (Prompt(intent="hello", phrasings=("Hello.", "Hi.")),)
    return Protocol(
        name="t",
        description="d",
        anchoring=Anchoring(system=system, **kwargs),  # type: ignore[arg-type]
        phases=(Phase(name="only", first=1, flow=flow),),
    )


@pytest.mark.parametrize("name", ["none", "v1.0", "v2.0"])
def test_built_in_protocols_have_the_five_phases_and_their_numbers(name: str) -> None:
    loaded = load_protocol(name)
    spans = [(phase.name, phase.first, phase.last) for phase in loaded.phases]
    assert spans == [
        ("grounding", 1, 5),
        ("sensing", 6, 15),
        ("relating", 16, 25),
        ("questioning", 26, 40),
        ("creating", 41, None),
    ]
    assert len(loaded.phase_named("questioning").flow) == 5
    assert all(3 <= len(phase.flow) <= 5 for phase in loaded.phases)
    assert loaded.window == 6
    assert (loaded.sampling.temperature, loaded.sampling.max_tokens) == (0.7, 150)


def test_every_prompt_has_several_distinct_phrasings() -> None:
    for phase in load_protocol("none").phases:
        for prompt in phase.flow:
            assert len(set(prompt.phrasings)) >= 3


def test_the_three_protocols_differ_in_what_design_says_they_do() -> None:
    none, v1, v2 = (load_protocol(name) for name in ("none", "v1.0", "v2.0"))
    shown = [
        render_system(
            p, SAGE, p.phase_named("questioning"), session=35, summary="S!", exemplars=("E!",)
        )
        for p in (none, v1, v2)
    ]
    assert shown[0] == "SAGE"
    assert ["S!" in text for text in shown] == [False, True, True]
    assert ["E!" in text for text in shown] == [False, False, True]
    assert ["50 to 80 words" in text for text in shown] == [False, False, True]
    assert [[r.before_turn for r in p.reminders] for p in (none, v1, v2)] == [[], [], [3, 5]]


def test_at_most_count_exemplars_are_shown() -> None:
    made = protocol("{% for e in exemplars %}{{ e }}{% endfor %}", exemplars=Exemplars(count=2))
    shown = render_system(made, SAGE, made.phases[0], session=1, exemplars=("a", "b", "c"))
    assert shown == "ab"


def test_phrasings_follow_the_generator_and_cover_all() -> None:
    phase = load_protocol("v2.0").phase_named("questioning")
    first = draw_phrasings(phase, np.random.default_rng(1))
    assert first == draw_phrasings(phase, np.random.default_rng(1))
    rng = np.random.default_rng(2)
    seen = {draw_phrasings(phase, rng)[0] for _ in range(200)}
    assert seen == set(phase.flow[0].phrasings)


@pytest.mark.parametrize(
    "template",
    [
        "{{ persona.__class__.__mro__ }}",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{% include '/etc/passwd' %}",
        "{{ missing }}",
        "{% for %}",
        "{{ range(10**9) }}",
        "{{ 'a' * 10**9 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ '%999999999d' % 1 }}",
        "{% for a in 'x'*999 %}{% for b in 'x'*999 %}{% for c in 'x'*999 %}{% endfor %}{% endfor %}"
        "{% endfor %}",
        "{{ 1 // 0 }}",
        "{{ persona.memory | join(persona.memory) }}",
        "{% set a = 'x' %}{{ a }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ 'x' | center(999999999) }}",
        "{% for a in persona.nature %}{% for b in persona.nature %}{% endfor %}{% endfor %}",
        "{% for a in exemplars | listed %}{% endfor %}",
        "{% for a in exemplars %}{% endfor %}" * 21,
        "{{ persona.name.format(1) if 0 else '{0.__class__}'.format(persona) }}",
    ],
)
def test_a_template_that_reaches_out_or_runs_wild_is_refused(template: str) -> None:
    made = protocol(template)
    with pytest.raises(ConfigError, match="template"):
        render_system(made, SAGE, made.phases[0], session=1)


def test_a_template_is_rendered_no_further_than_its_limit() -> None:
    lines = tuple(f"word {number}" for number in range(50))
    wordy = Persona(name="P", voice=Voice(vocabulary=lines))
    loop = "{% for a in persona.voice.vocabulary %}"
    made = protocol(f"{loop}{loop}{'x' * 100_000}{{% endfor %}}{{% endfor %}}")
    tracemalloc.start()
    with pytest.raises(ConfigError, match="more than 40,000"):
        render_system(made, wordy, made.phases[0], session=1)
    assert tracemalloc.get_traced_memory()[1] < 20_000_000  # all of it would be 250 MB
    tracemalloc.stop()


def test_phases_must_cover_every_session_number() -> None:
    flow = (Prompt(intent="hello", phrasings=("Hello.",)),)
    gap = (Phase(name="a", first=1, last=3, flow=flow), Phase(name="b", first=5, flow=flow))
    with pytest.raises(ValueError, match="does not begin where"):
        Protocol(name="t", description="d", phases=gap)
    with pytest.raises(ValueError, match="every session number"):
        Protocol(name="t", description="d", phases=(gap[0],))


def test_a_users_own_protocol_may_take_over_phases(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text('name = "own"\ndescription = "d"\nphases_from = "none"\n', encoding="utf-8")
    assert load_protocol(str(path)).phases == load_protocol("none").phases
    path.write_text('name = "own"\ndescription = "d"\nphases_from = "v2.0"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="no phases of its own"):
        load_protocol(str(path))


def test_the_persona_is_shown_as_text_and_not_as_a_template() -> None:
    sly = Persona(name="{{ 7 * 7 }}")
    made = protocol("{{ persona.name }}")
    assert render_system(made, sly, made.phases[0], session=1) == "{{ 7 * 7 }}"
