"""Which class of transformers speaks for a configuration, and which of its parts text needs.

Multimodal models are used for text: towers that see and hear are left out where the model does
not touch them for text, and of omni models only the thinker is loaded. What was left out is told.
Encoder-decoder models are not chat models and are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from holdtrue.errors import EngineError

THINKERS = {
    "qwen3_omni_moe": "Qwen3OmniMoeThinkerForConditionalGeneration",
    "qwen2_5_omni": "Qwen2_5OmniThinkerForConditionalGeneration",
}
SENSES = (
    "visual",
    "vision_tower",
    "vision_model",
    "vision_embed_tokens",
    "audio_tower",
    "audio_model",
    "multi_modal_projector",
    "embed_vision",
    "embed_audio",
)
"""Attributes under which models keep what sees and hears."""


@dataclass(frozen=True, slots=True)
class Choice:
    """``cls`` loads with ``config``; ``left_out`` names parts of the checkpoint not loaded."""

    cls: Any
    config: Any
    left_out: tuple[str, ...] = ()


def choose_class(config: Any, *, where: str, remote_code: bool = False) -> Choice:
    """The class for ``config``. Raises EngineError for a model that does not chat."""
    import transformers
    from transformers.models.auto import modeling_auto as auto

    kind = config.model_type
    if thinker := THINKERS.get(kind):
        inner = config.thinker_config
        inner.dtype = inner.dtype or config.dtype
        if quantization := getattr(config, "quantization_config", None):
            inner.quantization_config = quantization
        left = tuple(name for name in ("talker", "code2wav", "token2wav") if _has(config, name))
        return Choice(getattr(transformers, thinker), inner, left)
    if getattr(config, "is_encoder_decoder", False):
        raise EngineError(
            f"{kind} is an encoder-decoder model, which holds no conversation", where=where
        )
    for names, loader in (
        (auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, transformers.AutoModelForCausalLM),
        (auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES, transformers.AutoModelForImageTextToText),
        (auto.MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES, transformers.AutoModelForMultimodalLM),
    ):
        if kind in names:
            return Choice(_class_of(transformers, names[kind], loader), config)
    if remote_code and "AutoModelForCausalLM" in (getattr(config, "auto_map", None) or {}):
        return Choice(transformers.AutoModelForCausalLM, config)
    raise EngineError(
        f"transformers has no class that speaks for models of type {kind!r}",
        where=where,
        remedy="Is it a language model? If it is new, update transformers, or use a GGUF of it.",
    )


def _class_of(transformers: Any, name: Any, loader: Any) -> Any:
    """The class itself, which can be stripped, or the loader that chooses it."""
    if isinstance(name, tuple | list):
        name = name[0]
    return getattr(transformers, name, loader)


def _has(config: Any, part: str) -> bool:
    return getattr(config, f"{part}_config", None) is not None


def text_only(cls: Any) -> Any:
    """``cls`` without what sees and hears: those parts are never built, so never loaded.

    The parts are known by the names in SENSES, on the model and on its inner model.
    """

    def build(self: Any, config: Any, *args: Any, **kwargs: Any) -> None:
        cls.__init__(self, config, *args, **kwargs)
        for owner in (self, getattr(self, "model", None)):
            for name in SENSES:
                if owner is not None and isinstance(getattr(owner, name, None), _module()):
                    delattr(owner, name)
                    setattr(owner, name, None)

    return type(cls.__name__, (cls,), {"__init__": build, "__module__": cls.__module__})


def senses_of(config: Any) -> tuple[str, ...]:
    """The senses of a multimodal configuration: "vision", "audio"."""
    return tuple(name for name in ("vision", "audio") if _has(config, name))


def _module() -> type:
    import torch

    module: type = torch.nn.Module
    return module
