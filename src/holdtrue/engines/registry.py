"""From a model name to an engine that is ready to be entered.

Names: a catalog name (``smollm2-135m``), ``gguf:FILE``, ``hf:REPO_OR_FOLDER``,
``openai:MODEL@BASE_URL``, ``ollama:MODEL``, ``vllm:MODEL@BASE_URL``,
``inspect:PROVIDER/MODEL``, ``scripted:NAME``. A bare path is recognised by what it holds.
Engines are plug-ins of the entry point group ``holdtrue.engines``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import cast

from holdtrue.engines.base import Engine, EngineOptions
from holdtrue.engines.modelname import ModelName, parse_model
from holdtrue.errors import ConfigError, EngineError, nearest

GROUP = "holdtrue.engines"
PREFIXES = {
    "gguf": "llamacpp",
    "hf": "transformers",
    "openai": "remote",
    "ollama": "remote",
    "vllm": "remote",
    "inspect": "inspect",
    "scripted": "scripted",
}


def open_engine(model: str, options: EngineOptions | None = None) -> Engine:
    """The engine for a model name, not yet entered.

    ``@layers=N,bits=N`` (an ablation) and ``+PATH`` (an adapter, unless the options name one) may
    follow the name, see ``modelname.py``. Raises ConfigError for an unknown name (nearest
    offered), EngineError when the engine's library is missing (naming the extra to install).
    """
    from holdtrue.engines import catalog

    name = parse_model(model)
    opened = options or EngineOptions()
    if name.adapter:
        if opened.adapter is not None:
            raise ConfigError(
                f"an adapter is given twice: in {model!r} and as {opened.adapter}",
                remedy="Leave one of the two out.",
            )
        opened = replace(opened, adapter=Path(name.adapter).expanduser())
        name = ModelName(name.base, name.ablation)
    name = _named_path(catalog.resolve(name))
    engine = _engine_for(name, opened.adapter)
    if engine is None:
        known = [*catalog.names(), *(f"{prefix}:…" for prefix in PREFIXES)]
        raise ConfigError(f"unknown model {model!r}", remedy=nearest(name.base, known))
    return _load(engine)(str(name), opened)


def _engine_for(name: ModelName, adapter: Path | None) -> str | None:
    """The engine that opens ``name``; None for a name that means nothing.

    A GGUF model with an adapter of the transformers kind is opened by transformers, since
    llama.cpp applies adapters in its own format only.
    """
    from holdtrue.engines import catalog

    prefix, separator, _rest = name.base.partition(":")
    engine: str | None = None
    if separator:
        engine = PREFIXES.get(prefix) or (prefix if prefix in engines() else None)
    engine = engine or catalog.engine_of(name.base)
    if engine == "llamacpp" and adapter is not None and adapter.suffix != ".gguf":
        return "transformers"
    return engine


def engines(points: Iterable[EntryPoint] | None = None) -> dict[str, EntryPoint]:
    """The installed engines by name.

    Raises ConfigError when two packages register one name, naming both.
    """
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP) if points is None else points:
        other = found.get(point.name)
        if other is not None and other.value != point.value:
            raise ConfigError(
                f"two engines are called {point.name!r}: "
                f"one from {_package(other)}, one from {_package(point)}",
                remedy="Uninstall one of the two packages.",
            )
        found[point.name] = point
    return found


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value


def _load(name: str) -> type[Engine]:
    point = engines().get(name)
    if point is None:
        raise EngineError(f"the engine {name!r} is not installed", remedy=nearest(name, engines()))
    return cast("type[Engine]", point.load())


def _named_path(name: ModelName) -> ModelName:
    """A bare path with the prefix of what it holds; other names as they are.

    Raises EngineError for a folder that holds no model.
    """
    from holdtrue.engines import catalog

    prefix, separator, _rest = name.base.partition(":")
    if catalog.engine_of(name.base) or (separator and prefix in {*PREFIXES, *engines()}):
        return name
    path = Path(name.base).expanduser()
    if path.suffix == ".gguf":
        return ModelName(f"gguf:{name.base}", name.ablation, name.adapter)
    if not path.is_dir():
        return name
    if (path / "config.json").is_file():
        return ModelName(f"hf:{name.base}", name.ablation, name.adapter)
    raise EngineError(
        "this folder holds no config.json",
        where=str(path),
        remedy="Give a Hugging Face model folder, or the .gguf file itself.",
    )
