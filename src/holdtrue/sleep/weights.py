"""Weights to be trained on: any local model of transformers, or a GGUF file dequantized by it.

The weights on disk are only read. Loading itself is the engine's (``engines/hf_loading.py``).
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from holdtrue.engines import catalog
from holdtrue.engines.base import EngineOptions
from holdtrue.engines.modelname import parse_model
from holdtrue.errors import ConfigError, EngineError, HoldtrueError
from holdtrue.sleep.masks import tokenizer_hash

NEEDED = ("torch", "transformers", "accelerate", "peft", "safetensors")
TRAINABLE = "Name a catalog model, gguf:FILE, hf:FOLDER or hf:OWNER/NAME."


@dataclass(frozen=True, slots=True)
class Base:
    """A loaded base model: what it is called, and the hashes that an adapter is bound to."""

    name: str
    model: Any
    tokenizer: Any
    source_hash: str
    tokenizer_hash: str
    device: str = "cpu"


def load_base(name: str, options: EngineOptions | None = None) -> Base:
    """The model ``name`` with its tokenizer, ready to be trained on.

    Raises ConfigError for a model that cannot be trained (remote, scripted, changed), EngineError
    where a library is missing or the weights cannot be loaded.
    """
    resolved = trainable(name)
    check_libraries()
    from holdtrue.engines.hf_loading import import_torch, load_model
    from holdtrue.engines.hf_source import find_source

    torch = import_torch()
    chosen = replace(options or EngineOptions(), adapter=None)
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    with quietly():
        loaded = load_model(find_source(resolved, chosen), chosen)
    loaded.model.config.use_cache = False
    if loaded.source_hash is None:
        raise EngineError("the weights have no hash to bind an adapter to", where=name)
    return Base(
        name,
        loaded.model,
        loaded.tokenizer,
        loaded.source_hash,
        tokenizer_hash(loaded.tokenizer),
        str(loaded.model.device),
    )


def trainable(name: str) -> str:
    """The model name that transformers opens. Raises ConfigError for one that is not trained."""
    parsed = parse_model(name)
    if parsed.ablation or parsed.adapter:
        raise ConfigError(
            f"{name!r} is a changed model; an adapter is trained on the model as it is",
            remedy=f"Name {parsed.base!r}.",
        )
    base = catalog.resolve(parsed).base
    entry = catalog.entries().get(base)
    if (entry is not None and entry.package) or base.startswith(("hf:", "gguf:")):
        return base
    path = Path(base).expanduser()
    if path.suffix == ".gguf" and path.is_file():
        return f"gguf:{path}"
    if (path / "config.json").is_file():
        return f"hf:{path}"
    raise ConfigError(
        f"{name!r} cannot be trained: it is no model whose weights can be opened here",
        remedy=TRAINABLE,
    )


def check_libraries() -> None:
    """Raises EngineError naming the libraries of training that are missing."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise EngineError(
            f"training needs {', '.join(missing)}",
            remedy="Install them: pip install 'holdtrue[sleep]'",
        )


@contextmanager
def quietly() -> Iterator[None]:
    """Without the bars and warnings that libraries print while they load."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Faults of torch in one sentence; a full memory with what helps against it."""
    try:
        yield
    except HoldtrueError:
        raise
    except (MemoryError, RuntimeError) as error:
        text = " ".join(str(error).split())[:200]
        signs = ("out of memory", "can't allocate memory", "bad_alloc")
        if isinstance(error, MemoryError) or any(sign in text.lower() for sign in signs):
            raise EngineError(
                "the memory is full",
                where=where,
                remedy="Use shorter examples (--max-tokens), a smaller model, or a GPU (--bits 4).",
            ) from None
        raise EngineError(f"training failed: {text}", where=where) from None
