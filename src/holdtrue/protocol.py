"""Protocol: how a persona is anchored and what it is asked. A TOML file, hashed likewise.

A protocol only describes. What a session does with it stands in ``session.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, StringConstraints, model_validator

from holdtrue.errors import ConfigError
from holdtrue.persona import Name, Persona
from holdtrue.template import render
from holdtrue.tomlfile import StrictModel, find_data, load_toml

Text = Annotated[str, StringConstraints(min_length=1, max_length=20_000)]


class Sampling(StrictModel):
    """How the model draws its tokens. ``max_tokens`` bounds one reply."""

    temperature: Annotated[float, Field(ge=0, le=5)] = 0.7
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95
    top_k: Annotated[int, Field(ge=0)] = 40
    min_p: Annotated[float, Field(ge=0, lt=1)] = 0.05
    max_tokens: Annotated[int, Field(ge=1, le=32_768)] = 150


class Exemplars(StrictModel):
    """The model's own earlier self-identifications, shown to it again."""

    count: Annotated[int, Field(ge=0, le=10)] = 0
    sessions: Annotated[int, Field(ge=1, le=100)] = 5


class Anchoring(StrictModel):
    """What the model is told before the first turn.

    ``system`` is a Jinja2 template over persona, partner, phase, session, style, summary and
    exemplars. It is rendered in a sandbox.
    """

    system: str = ""
    style: Text | None = None
    continuity: bool = False
    exemplars: Exemplars = Exemplars()


class Reminder(StrictModel):
    """A system message put before a turn (turns count from 1)."""

    before_turn: Annotated[int, Field(ge=1, le=1_000)]
    text: Text


class Prompt(StrictModel):
    """One thing that is asked, in several phrasings; a session draws one."""

    intent: Name
    phrasings: Annotated[tuple[Text, ...], Field(min_length=1, max_length=100)]


class Phase(StrictModel):
    """A stretch of session numbers (``last`` left out: no end) with its conversation flow."""

    name: Name
    first: Annotated[int, Field(ge=1)]
    last: Annotated[int, Field(ge=1)] | None = None
    context: Text | None = None
    flow: Annotated[tuple[Prompt, ...], Field(min_length=1, max_length=100)]


class Protocol(StrictModel):
    """A way of anchoring. ``window`` is how many past messages stay in the history.

    ``phases_from`` in a file names another protocol whose phases are taken over, so that two ways
    of anchoring ask the same questions; a loaded protocol holds its phases itself.
    """

    schema_version: Annotated[int, Field(alias="schema", ge=1, le=1)] = 1
    name: Name
    description: Text
    anchoring: Anchoring = Anchoring()
    reminders: tuple[Reminder, ...] = ()
    window: Annotated[int, Field(ge=0, le=10_000)] = 6
    sampling: Sampling = Sampling()
    phases_from: Name | None = None
    phases: tuple[Phase, ...] = ()

    @model_validator(mode="after")
    def _phases_are_ordered(self) -> Protocol:
        if bool(self.phases) == bool(self.phases_from):
            raise ValueError("give either [[phases]] or phases_from")
        if self.phases_from:
            return self
        names = [phase.name for phase in self.phases]
        if len(set(names)) < len(names):
            raise ValueError("two phases have one name")
        for before, after in zip(self.phases, self.phases[1:], strict=False):
            if before.last is None or after.first != before.last + 1:
                raise ValueError(f"phase {after.name!r} does not begin where {before.name!r} ends")
        if self.phases[0].first != 1 or self.phases[-1].last is not None:
            raise ValueError("the phases must cover every session number from 1 on")
        return self

    def phase_of(self, session: int) -> Phase:
        """The phase of a session number (from 1)."""
        for phase in self.phases:
            if session >= phase.first and (phase.last is None or session <= phase.last):
                return phase
        raise ConfigError(f"session number {session} is below 1")

    def phase_named(self, name: str) -> Phase:
        """The phase of that name. Raises ConfigError naming those there are."""
        for phase in self.phases:
            if phase.name == name.lower():
                return phase
        known = ", ".join(phase.name for phase in self.phases)
        raise ConfigError(f"protocol {self.name} has no phase {name!r}", remedy=f"Known: {known}")


def load_protocol(reference: str, folders: tuple[Path, ...] = ()) -> Protocol:
    """The protocol at a path, or of a name in ``folders`` or among the built-in ones.

    The template is rendered once with a stand-in persona, so that a mistake shows at once.
    Raises ConfigError naming the file.
    """
    path = find_data(reference, "protocols", folders)
    protocol = load_toml(path, Protocol)
    if protocol.phases_from:
        other = load_toml(find_data(protocol.phases_from, "protocols", folders), Protocol)
        if other.phases_from:
            raise ConfigError(
                f"phases_from: {other.name} has no phases of its own",
                where=str(path),
                remedy=f"Name {other.phases_from!r} instead.",
            )
        protocol = protocol.model_copy(update={"phases": other.phases, "phases_from": None})
    try:
        _check_templates(protocol)
    except ConfigError as error:
        raise ConfigError(error.message, where=str(path), remedy=error.remedy) from None
    return protocol


def _check_templates(protocol: Protocol) -> None:
    """Render every template once. Raises ConfigError for the first that does not."""
    probe = Persona(name="Probe")
    render_system(protocol, probe, protocol.phases[0], session=1)
    prompts = [
        text for phase in protocol.phases for prompt in phase.flow for text in prompt.phrasings
    ]
    for text in [*prompts, *(reminder.text for reminder in protocol.reminders)]:
        render_text(text, probe)


def draw_phrasings(phase: Phase, rng: np.random.Generator) -> tuple[str, ...]:
    """One phrasing per prompt of the flow, drawn independently and uniformly."""
    return tuple(prompt.phrasings[rng.integers(len(prompt.phrasings))] for prompt in phase.flow)


def render_system(
    protocol: Protocol,
    persona: Persona,
    phase: Phase,
    *,
    session: int,
    summary: str | None = None,
    exemplars: tuple[str, ...] = (),
) -> str:
    """The system message of a session; empty when the protocol has no template.

    Raises ConfigError when the template is wrong, asks for what it may not have, or runs wild.
    """
    return render(
        protocol.anchoring.system,
        persona=persona.model_dump(exclude={"schema_version"}),
        partner=persona.relationship.partner,
        phase={"name": phase.name, "context": phase.context},
        session=session,
        style=protocol.anchoring.style,
        summary=summary if protocol.anchoring.continuity else None,
        exemplars=list(exemplars[: protocol.anchoring.exemplars.count]),
    )


def render_text(text: str, persona: Persona) -> str:
    """A reminder or prompt with the persona's name and partner filled in."""
    return render(text, persona={"name": persona.name}, partner=persona.relationship.partner)
