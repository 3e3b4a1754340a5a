"""What is said to a model: frozen messages with a role."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat; ``content`` is plain text and never empty for user and assistant."""

    role: Role
    content: str

    def as_dict(self) -> dict[str, str]:
        """The form that chat templates and OpenAI-compatible servers take."""
        return {"role": self.role.value, "content": self.content}
