"""Loading a transformers model for text: safely, in the right class, on the right device.

Safetensors or GGUF only; no code from a repository unless it was asked for; no network for local
paths. Every weight that the model needs must be in the checkpoint: one that is missing would be
random, and transformers only warns of it. Does not decide whether a model fits (``preflight.py``).
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdtrue.engines import hf_quant
from holdtrue.engines.base import EngineOptions
from holdtrue.engines.hf_classes import Choice, choose_class, senses_of, text_only
from holdtrue.engines.hf_log import quiet
from holdtrue.engines.hf_source import Source, check_adapter, hub_is_closed, source_hash
from holdtrue.errors import EngineError

NEEDED = ("torch", "transformers", "accelerate")


@dataclass(slots=True)
class LoadedModel:
    """A model ready to speak, with its tokenizer and what is known of both.

    ``left_out`` names the parts of the checkpoint that were not loaded, ``notes`` what could not
    be done as asked.
    """

    model: Any
    tokenizer: Any
    source: Source
    source_hash: str | None
    adapter_hash: str | None = None
    left_out: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)

    @property
    def text_config(self) -> Any:
        return self.model.config.get_text_config()


def import_torch() -> Any:
    """torch, with OpenMP told to spin briefly (see ``llamacpp_server.import_xllamacpp``).

    Raises EngineError naming the extra where a library is missing.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise EngineError(
            f"transformers models need {' and '.join(missing)}",
            remedy="Install them: pip install 'holdtrue[hf]'",
        )
    if "torch" not in sys.modules and not os.environ.get("OMP_WAIT_POLICY"):
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    import torch

    return torch


def load_model(source: Source, options: EngineOptions) -> LoadedModel:
    """Load a model, its tokenizer and its adapter. Raises EngineError with the remedy."""
    torch = import_torch()
    closed = hub_is_closed(source, options)
    with quiet(options.log_path), warnings.catch_warnings(), _explained(source):
        warnings.simplefilter("ignore")
        config = _config(source, options, closed)
        choice = choose_class(config, where=source.where, remote_code=options.trust_remote_code)
        tokenizer = _tokenizer(source, options, closed)
        device = pick_device(torch, options.device)
        loaded = _load(torch, source, choice, options, device=device, closed=closed)
        loaded.tokenizer = tokenizer
        _with_companion_template(loaded)
        revision = getattr(config, "_commit_hash", None)
        loaded.source_hash = source_hash(source, revision)
        if options.adapter is not None:
            _adapt(loaded, options.adapter)
    _prepare(torch, loaded.model, device)
    return loaded


def pick_device(torch: Any, asked: str | None) -> str:
    """ "cuda", "mps", "cpu" or as asked; "auto" spreads over several GPUs.

    Raises EngineError for a device that is not there.
    """
    if asked and asked != "auto":
        try:
            device = torch.device("cuda" if asked == "gpu" else asked)
        except RuntimeError:
            raise EngineError(f"no device is called {asked!r}", remedy="Try cpu or cuda.") from None
        if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
            raise EngineError(f"torch sees no CUDA device {asked!r}", remedy="Use --device cpu.")
        return str(device)
    if torch.cuda.device_count() > 1:
        return "auto"
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _config(source: Source, options: EngineOptions, closed: bool) -> Any:
    from transformers import AutoConfig

    more = {"gguf_file": source.gguf} if source.gguf else {}
    config = AutoConfig.from_pretrained(
        source.name,
        trust_remote_code=options.trust_remote_code,
        local_files_only=closed,
        **more,
    )
    for name in ("transformers_weights", "fusion_config"):
        if getattr(config, name, None) is not None:
            setattr(config, name, None)
    return config


def _tokenizer(source: Source, options: EngineOptions, closed: bool) -> Any:
    from transformers import AutoTokenizer

    more = {"gguf_file": source.gguf} if source.gguf else {}
    return AutoTokenizer.from_pretrained(
        source.name,
        trust_remote_code=options.trust_remote_code,
        local_files_only=closed,
        **more,
    )


def _load(
    torch: Any,
    source: Source,
    choice: Choice,
    options: EngineOptions,
    *,
    device: str,
    closed: bool,
) -> LoadedModel:
    config = choice.config
    dtype = _dtype(torch, config, options.bits, device)
    plan = hf_quant.plan(config, options.bits, device, dtype, where=source.where)
    arguments: dict[str, Any] = {
        "config": config,
        "dtype": dtype,
        "attn_implementation": "sdpa",
        "local_files_only": closed,
        "trust_remote_code": options.trust_remote_code,
        "use_safetensors": True,
        "output_loading_info": True,
        "device_map": plan.device_map,
        "quantization_config": plan.quantization,
    }
    if source.gguf:
        arguments |= {"gguf_file": source.gguf, "use_safetensors": None}
    cls, senses = choice.cls, senses_of(config)
    if senses and isinstance(cls, type) and hasattr(cls, "forward"):
        cls = text_only(cls)
    model, info = _from_pretrained(cls, source, arguments)
    left_out = (*choice.left_out, *(sense for sense in senses if cls is not choice.cls))
    _check_complete(info, source)
    model = plan.finish(model)
    return LoadedModel(model, None, source, None, left_out=left_out, notes=list(plan.notes))


def _from_pretrained(cls: Any, source: Source, arguments: dict[str, Any]) -> tuple[Any, Any]:
    """The model; with eager attention where it has no other."""
    try:
        return tuple(cls.from_pretrained(source.name, **arguments))
    except ValueError as error:
        if "scaled_dot_product_attention" not in str(error):
            raise
    eager = {**arguments, "attn_implementation": "eager"}
    return tuple(cls.from_pretrained(source.name, **eager))


def _dtype(torch: Any, config: Any, bits: int | None, device: str) -> Any:
    """float32 on a CPU (16-bit arithmetic is slow there), else the checkpoint's 16-bit type."""
    if bits not in (None, 4, 8, 16, 32):
        raise EngineError(
            f"transformers models are loaded in 4, 8, 16 or 32 bits, not {bits}",
            remedy="Give --bits 4, 8, 16 or 32, or leave it out.",
        )
    if bits == 32 or (device == "cpu" and bits is None):
        return torch.float32
    given = getattr(config, "dtype", None) or getattr(config.get_text_config(), "dtype", None)
    return torch.float16 if given == torch.float16 and device != "cpu" else torch.bfloat16


def _check_complete(info: dict[str, Any], source: Source) -> None:
    """Raises EngineError for weights that are missing or have another shape."""
    mismatched = [str(item[0]) for item in info.get("mismatched_keys", ())]
    missing = sorted(str(key) for key in info.get("missing_keys", ()))
    if mismatched or missing:
        names = (mismatched + missing)[:3]
        raise EngineError(
            f"{len(missing)} of the model's weights are missing from the checkpoint and "
            f"{len(mismatched)} have another shape: {', '.join(names)} …",
            where=source.where,
            remedy="The checkpoint is damaged or of another model; they would be random numbers.",
        )


def _with_companion_template(loaded: LoadedModel) -> None:
    """Take the chat template from the processor's file where the tokenizer has none."""
    folder = loaded.source.path
    if loaded.tokenizer.chat_template or folder is None or loaded.source.gguf:
        return
    from holdtrue.engines.hf_source import read_json

    if (folder / "chat_template.json").is_file():
        template = read_json(folder / "chat_template.json").get("chat_template")
        if isinstance(template, str):
            loaded.tokenizer.chat_template = template


def _adapt(loaded: LoadedModel, folder: Path) -> None:
    """Put a LoRA adapter onto the model; merged into its weights unless they are quantized."""
    if importlib.util.find_spec("peft") is None:
        raise EngineError("adapters need peft", remedy="Install it: pip install 'holdtrue[hf]'")
    from peft import PeftModel

    loaded.adapter_hash = check_adapter(folder, loaded.source_hash)
    was_quantized = hf_quant.is_quantized(loaded.model)
    adapted = PeftModel.from_pretrained(loaded.model, str(folder), is_trainable=False)
    if was_quantized:
        loaded.model = adapted.get_base_model()
        loaded.notes.append("the adapter runs beside quantized weights, not merged into them")
    else:
        loaded.model = adapted.merge_and_unload()


def _prepare(torch: Any, model: Any, device: str) -> None:
    """Ready to speak: no gradients, no sampling defaults of its own, fast layout on a CPU."""
    from transformers import GenerationConfig

    model.eval()
    model.requires_grad_(False)
    ends = model.generation_config.eos_token_id if model.generation_config else None
    model.generation_config = GenerationConfig(eos_token_id=ends)
    if device == "cpu" and model.dtype == torch.float32:
        # Small batches multiply about a third faster with the weights stored column by column.
        for module in model.modules():
            if type(module) is torch.nn.Linear:
                module.weight.data = module.weight.data.t().contiguous().t()


@contextlib.contextmanager
def _explained(source: Source) -> Iterator[None]:
    """Turn what the libraries raise into messages with a remedy."""
    try:
        yield
    except EngineError:
        raise
    except MemoryError:
        raise _no_memory(source) from None
    except ImportError as error:
        raise EngineError(
            f"a library is missing: {_first_line(error)}",
            where=source.where,
            remedy="Install it, or use another form of the model.",
        ) from None
    except Exception as error:
        said = _first_line(error)
        if "out of memory" in said.lower() or "can't allocate" in said.lower():
            raise _no_memory(source) from None
        raise EngineError(
            f"it cannot be loaded: {said}", where=source.where, remedy=_remedy(str(error), source)
        ) from None


def _no_memory(source: Source) -> EngineError:
    return EngineError(
        "the model does not fit into the memory",
        where=source.where,
        remedy="Use fewer bits (--bits 4), a smaller model, or another device.",
    )


def _first_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:299] + "…"


def _remedy(said: str, source: Source) -> str | None:
    if "trust_remote_code" in said:
        return (
            "The model brings its own code, which runs with your rights. Read it, and if you trust "
            "it, say so with --trust-remote-code."
        )
    if "model_type" in said or "does not recognize this architecture" in said:
        return "The config is of no type that transformers knows: update it, or use a GGUF."
    if ("safetensors" in said and ".bin" in said) or "no file named model.safetensors" in said:
        return "Only safetensors are opened: weights as pickles run their author's code."
    if not source.is_local:
        return (
            "Is the name right, and is there a network? Gated models need HF_TOKEN in the "
            "environment. A downloaded copy works offline."
        )
    return "The folder is damaged, or not a model of transformers. Download it again."
