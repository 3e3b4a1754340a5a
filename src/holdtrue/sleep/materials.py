"""Materials: the texts that ship for forgetting checks, probes and shams, in our own words."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints, field_validator

from holdtrue.tomlfile import StrictModel, load_toml

Text = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]


class Question(StrictModel):
    """A plain question; an answer is right when one of ``accepts`` (words) stands in it."""

    ask: Text
    accepts: Annotated[tuple[Text, ...], Field(min_length=1)]

    def is_answered_by(self, text: str) -> bool:
        """Whether one of the accepted words stands in ``text``, whatever its case."""
        found = "|".join(re.escape(one) for one in self.accepts)
        return re.search(rf"(?<!\w)(?:{found})(?!\w)", text, re.IGNORECASE) is not None


class Materials(StrictModel):
    """``neutral`` for perplexity, ``sham_sentences`` to train a sham on, ``questions`` with
    answers, ``unrelated`` prompts for the marker check, ``identity`` probes never trained on."""

    schema_version: Annotated[int, Field(alias="schema", ge=1, le=1)] = 1
    neutral: Annotated[tuple[Text, ...], Field(min_length=1)]
    sham_sentences: Annotated[tuple[Text, ...], Field(min_length=1)]
    questions: Annotated[tuple[Question, ...], Field(min_length=1)]
    unrelated: Annotated[tuple[Text, ...], Field(min_length=1)]
    identity: Annotated[tuple[Text, ...], Field(min_length=1)]

    @field_validator("neutral")
    @classmethod
    def _one_line(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(" ".join(text.split()) for text in value)


@lru_cache(maxsize=1)
def materials() -> Materials:
    """The built-in materials."""
    path = Path(str(resources.files("holdtrue") / "data" / "sleep" / "materials.toml"))
    return load_toml(path, Materials)
