"""Persona: who the model is asked to be. A TOML file, identified by the hash of its content."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints

from holdtrue.tomlfile import StrictModel, find_data, load_toml

Name = Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=r"^[^\r\n\t]+$")]
Line = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]


class Relationship(StrictModel):
    """Whom the persona talks to."""

    partner: Name = "Teacher"
    description: Line | None = None


class Voice(StrictModel):
    """How the persona sounds: words of its own, and lines it might say."""

    vocabulary: Annotated[tuple[Name, ...], Field(max_length=200)] = ()
    examples: Annotated[tuple[Line, ...], Field(max_length=50)] = ()


class Persona(StrictModel):
    """An identity to hold.

    ``expansion`` is what an acronym stands for, ``aliases`` other names it goes by, ``nature``
    what it is in one sentence, ``memory`` what it knows of earlier sessions before any is stored.
    """

    schema_version: Annotated[int, Field(alias="schema", ge=1, le=1)] = 1
    name: Name
    expansion: Line | None = None
    aliases: Annotated[tuple[Name, ...], Field(max_length=50)] = ()
    nature: Line | None = None
    memory: Line | None = None
    relationship: Relationship = Relationship()
    voice: Voice = Voice()

    @property
    def names(self) -> tuple[str, ...]:
        """The name and its aliases, the name first."""
        return (self.name, *self.aliases)


def load_persona(reference: str, folders: tuple[Path, ...] = ()) -> Persona:
    """The persona at a path, or of a name in ``folders`` or among the built-in ones.

    Raises ConfigError: unknown name (nearest offered), or what is wrong in the file.
    """
    return load_toml(find_data(reference, "personas", folders), Persona)
