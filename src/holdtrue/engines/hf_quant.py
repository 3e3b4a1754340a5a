"""Fewer bits a weight, as a transformers model is loaded: bitsandbytes, or the checkpoint's own.

bitsandbytes replaces linear layers only. The experts of a mixture are not linear layers in
transformers but one large tensor a layer, so at 4 bits they are quantized here with the same
library's parametrization: stored in 4 bits, unpacked a layer at a time when it is used. At 8 bits
there is no such way, and the engine's notes say so.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any

from holdtrue.errors import EngineError

EXPERT_DIMENSIONS = 3
LEAST_WEIGHTS = 4_096


@dataclass(frozen=True, slots=True)
class Plan:
    """How to load: transformers' arguments, and what is left to do (``finish``).

    ``device`` is where the model goes in the end, or "auto" where accelerate spreads it.
    """

    device: str
    device_map: str | dict[str, str]
    quantization: Any = None
    quantize_experts: bool = False
    notes: tuple[str, ...] = ()

    def finish(self, model: Any) -> Any:
        """The loaded model with its experts quantized, on its device."""
        if self.quantize_experts:
            spread = self.device == "auto"
            quantize_experts(model, None if spread else self.device)
            if not spread:
                model = model.to(self.device)
        return model


def plan(config: Any, bits: int | None, device: str, dtype: Any, *, where: str) -> Plan:
    """How to load a model in ``bits``. Raises EngineError: no bitsandbytes, or quantized twice."""
    own = getattr(config, "quantization_config", None)
    place: str | dict[str, str] = "auto" if device == "auto" else {"": device}
    if own is not None and bits in (4, 8):
        method = own.get("quant_method") if isinstance(own, dict) else own.quant_method
        raise EngineError(
            f"this checkpoint is quantized already ({str(method).split('.')[-1].lower()})",
            where=where,
            remedy="Leave out --bits, or use the checkpoint of full precision.",
        )
    if bits not in (4, 8):
        return Plan(device, place)
    if importlib.util.find_spec("bitsandbytes") is None:
        raise EngineError(
            f"loading in {bits} bits needs bitsandbytes",
            remedy="Install it: pip install 'holdtrue[quant]'",
        )
    from transformers import BitsAndBytesConfig

    experts = is_mixture(config)
    if bits == 8:
        notes = (
            ("8 bits: the experts stay in 16, bitsandbytes cannot take them",) if experts else ()
        )
        return Plan(device, place, BitsAndBytesConfig(load_in_8bit=True), notes=notes)
    quantization = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=dtype,
        bnb_4bit_use_double_quant=True,
    )
    if experts and device not in ("cpu", "auto"):
        # In 16 bits the experts may not fit where in 4 they do, so they are brought piece by piece.
        place = {"": "cpu"}
    return Plan(device, place, quantization, quantize_experts=experts)


def is_mixture(config: Any) -> bool:
    """Whether a configuration is a mixture of experts."""
    text = config.get_text_config()
    names = ("num_experts", "num_local_experts", "n_routed_experts")
    return any((getattr(text, name, 0) or 0) > 1 for name in names)


def quantize_experts(model: Any, device: str | None, *, recurse: bool = True) -> int:
    """Store every expert tensor (three dimensions) in NF4 on ``device``; returns how many.

    Where ``device`` is None, each stays where it is.
    Without ``recurse``, only those that ``model`` holds itself.
    """
    from bitsandbytes.nn.parametrize import replace_parameter_4bit

    done = 0
    for module in list(model.modules()) if recurse else [model]:
        for name, parameter in list(module.named_parameters(recurse=False)):
            if parameter.dim() != EXPERT_DIMENSIONS or parameter.numel() < LEAST_WEIGHTS:
                continue
            parameter.data = parameter.data.to(device or parameter.device)
            replace_parameter_4bit(module, name, compress_statistics=True, quant_type="nf4")
            done += 1
    return done


def is_quantized(model: Any) -> bool:
    """Whether a model's weights are stored in fewer bits than they compute in."""
    method = getattr(model, "quantization_method", None)
    return method is not None and "gguf" not in str(method).lower()


def weight_figures(model: Any) -> tuple[int, int]:
    """How many weights a model has, and the bytes that they take.

    Weights in 4 bits count as what they stand for; scales count as bytes only; weights that two
    layers share count once.
    """
    count = bytes_held = 0
    seen: set[int] = set()
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            if id(parameter) in seen:
                continue
            seen.add(id(parameter))
            size = parameter.numel() * parameter.element_size()
            count += stands_for(module, parameter)
            bytes_held += size + _scales(module, parameter)
    return count, bytes_held


def stands_for(module: Any, parameter: Any) -> int:
    """How many weights a parameter of a module stands for."""
    state = _quant_state(module, parameter)
    if state is None:
        return int(parameter.numel())
    total = 1
    for size in state.shape:
        total *= int(size)
    return total


def _scales(module: Any, parameter: Any) -> int:
    state = _quant_state(module, parameter)
    if state is None:
        return 0
    held = 0
    # a state made ready for a processor has no second one any more
    for part in (state, getattr(state, "state2", None)):
        if part is not None:
            held += part.absmax.numel() * part.absmax.element_size()
    return held


def _quant_state(module: Any, parameter: Any) -> Any:
    """bitsandbytes' record of a 4-bit weight: on the weight, or in its parametrization."""
    if (state := getattr(parameter, "quant_state", None)) is not None:
        return state
    if type(module).__name__ == "ParametrizationList":
        for child in module:
            if (state := getattr(child, "quant_state", None)) is not None:
                return state
    return None
