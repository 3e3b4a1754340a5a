"""Where a transformers model comes from, and whether its files may be opened.

Looks at names, sizes and JSON only: no weights are read here. Pickles are refused (opening one
runs its author's code), and so is code that a repository brings along, unless it was asked for.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdtrue.engines.base import EngineOptions
from holdtrue.engines.checks import check_adapted_base
from holdtrue.engines.filehash import sha256_of
from holdtrue.engines.modelname import parse_model
from holdtrue.errors import ConfigError, EngineError

MAX_JSON = 20_000_000
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


@dataclass(frozen=True, slots=True)
class Source:
    """A model's place: a folder, a GGUF file, or a repository of the hub.

    ``name`` is what transformers is told, ``gguf`` the file's name in the folder ``name``;
    ``is_local`` means that no network is needed.
    """

    name: str
    gguf: str | None = None
    is_local: bool = True

    @property
    def path(self) -> Path | None:
        """The folder, or the GGUF file; None for a repository."""
        if not self.is_local:
            return None
        return Path(self.name) / self.gguf if self.gguf else Path(self.name)

    @property
    def where(self) -> str:
        """For error messages."""
        return str(self.path) if self.is_local else self.name


def find_source(model: str, options: EngineOptions) -> Source:
    """The place that a model name means.

    ``hf:FOLDER``, ``hf:FILE.gguf``, ``hf:OWNER/REPOSITORY``, ``gguf:FILE`` or a catalog name of a
    GGUF model (with an ablation, if any). Raises ConfigError or EngineError with the remedy.
    """
    name = parse_model(model)
    prefix, _, rest = name.base.partition(":")
    if prefix != "hf":
        return _gguf_source(_catalog_file(name.base, name.ablation, options))
    if name.ablation:
        raise ConfigError(
            f"{model}: layers and bits are taken away from GGUF models only",
            remedy="Use a GGUF file of the model, or load it in fewer bits with --bits 4 or 8.",
        )
    if not rest.strip():
        raise ConfigError("hf: names no model", remedy="Give a folder, or OWNER/NAME of a model.")
    path = Path(rest).expanduser()
    if path.suffix == ".gguf":
        return _gguf_source(path)
    if path.is_dir():
        _check_folder(path)
        return Source(str(path.resolve()))
    if rest.startswith((".", "/", "~")) or not REPOSITORY.fullmatch(rest):
        raise ConfigError(
            "no such folder", where=rest, remedy="Give a folder, or a repository as OWNER/NAME."
        )
    return Source(rest, is_local=False)


def _catalog_file(base: str, ablation: Any, options: EngineOptions) -> Path:
    from holdtrue.engines import catalog
    from holdtrue.engines.fetch import fetch

    if base.startswith("gguf:"):
        path = Path(base.removeprefix("gguf:")).expanduser()
    else:
        path = fetch(catalog.find(base).name, offline=options.offline)
    if not ablation:
        return path
    from holdtrue.engines.ablation import ablated_file

    return ablated_file(path, layers=ablation.get("layers"), bits=ablation.get("bits"))


def _gguf_source(path: Path) -> Source:
    if not path.is_file():
        raise EngineError("no such file", where=str(path))
    return Source(str(path.resolve().parent), path.resolve().name)


def _check_folder(path: Path) -> None:
    """Raises EngineError for a folder that cannot be loaded safely, saying what is missing."""
    config = path / "config.json"
    if not config.is_file():
        raise EngineError(
            "no config.json: this is not a model folder of transformers", where=str(path)
        )
    _check_detours(path, read_json(config))
    index = path / "model.safetensors.index.json"
    if index.is_file():
        _check_shards(path, index)
        return
    if (path / "model.safetensors").is_file():
        return
    pickles = [item.name for item in sorted(path.iterdir()) if item.suffix in PICKLES]
    if pickles:
        raise EngineError(
            f"its weights are pickles ({', '.join(pickles[:3])}), and opening a pickle runs "
            "whatever its author put in it",
            where=str(path),
            remedy="Get the model as safetensors, or convert it on a machine that you can spare.",
        )
    raise EngineError("no model.safetensors: the weights are missing", where=str(path))


def _check_detours(path: Path, config: dict[str, Any]) -> None:
    """Refuse what makes transformers load something else than this folder's safetensors."""
    if (path / "adapter_config.json").is_file():
        raise EngineError(
            "this folder holds an adapter beside a model, and would load the adapter's base",
            where=str(path),
            remedy="Name the base model, and give the folder with --adapter.",
        )
    weights = config.get("transformers_weights")
    if weights is not None and not (isinstance(weights, str) and _is_safe(weights)):
        raise EngineError("its config.json names weights that are no safetensors", where=str(path))
    if (path / ".metadata").exists():
        raise EngineError(
            "this is a distributed checkpoint, whose table of contents is a pickle",
            where=str(path),
            remedy="Save it as plain safetensors first.",
        )


def _check_shards(folder: Path, index: Path) -> None:
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise EngineError("it names no weights", where=str(index))
    names = {name for name in weight_map.values() if isinstance(name, str)}
    strange = [name for name in names if Path(name).name != name or not _is_safe(name)]
    if strange or len(names) < len(set(map(str, weight_map.values()))):
        raise EngineError(f"it names files elsewhere, or pickles: {strange[:3]}", where=str(index))
    missing = sorted(name for name in names if not (folder / name).is_file())
    if missing:
        shown = ", ".join(missing[:3]) + (" …" if len(missing) > 3 else "")
        raise EngineError(
            f"{len(missing)} of {len(names)} shards are missing: {shown}",
            where=str(folder),
            remedy="Download the model again, whole.",
        )


def _is_safe(name: str) -> bool:
    return name.endswith(".safetensors")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a model folder. Raises EngineError naming the file."""
    try:
        if path.stat().st_size > MAX_JSON:
            raise EngineError(f"larger than {MAX_JSON:,} bytes", where=str(path))
        body = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise EngineError(f"not valid JSON: {str(error)[:120]}", where=str(path)) from None
    except OSError as error:
        raise EngineError(f"cannot be read: {error.strerror}", where=str(path)) from None
    if not isinstance(body, dict):
        raise EngineError("not a JSON object", where=str(path))
    return body


def weight_files(source: Source) -> list[Path]:
    """The files with weights of a local model."""
    path = source.path
    if path is None:
        return []
    return [path] if source.gguf else sorted(path.glob("*.safetensors"))


def source_hash(source: Source, revision: str | None) -> str | None:
    """What identifies the weights: a sha256 (of the shards' hashes where there are several).

    A repository's ``revision`` where it came from the hub.
    """
    files = weight_files(source)
    if not files:
        return revision
    if len(files) == 1:
        return sha256_of(files[0])
    listed = "\n".join(sha256_of(file) for file in files)
    return hashlib.sha256(listed.encode()).hexdigest()


def hub_is_closed(source: Source, options: EngineOptions) -> bool:
    """Whether only local files may be used."""
    closed = os.environ.get("HF_HUB_OFFLINE", "").strip().upper() in ("1", "ON", "YES", "TRUE")
    return source.is_local or options.offline or closed


def check_adapter(folder: Path, base_hash: str | None) -> str:
    """The sha256 of a LoRA adapter's weights, once it is known to be safe and to fit.

    Adapters of a sleep cycle carry a manifest (``manifest.json``) with the base model's hash.
    Raises EngineError: no adapter, a pickle, or an adapter for another base.
    """
    if not folder.is_dir():
        raise EngineError(
            "no such adapter",
            where=str(folder),
            remedy="A relative folder is looked up from where you are: name it in full.",
        )
    if not (folder / "adapter_config.json").is_file():
        raise EngineError("no adapter_config.json: this is not a LoRA adapter", where=str(folder))
    read_json(folder / "adapter_config.json")
    weights = folder / "adapter_model.safetensors"
    if not weights.is_file():
        pickled = any((folder / f"adapter_model{suffix}").is_file() for suffix in PICKLES)
        raise EngineError(
            "its weights are a pickle, which is not opened"
            if pickled
            else "no adapter_model.safetensors: the weights are missing",
            where=str(folder),
        )
    digest = sha256_of(weights)
    manifest = folder / "manifest.json"
    if manifest.is_file():
        _check_manifest(folder, read_json(manifest), base_hash, digest)
    return digest


def _check_manifest(folder: Path, told: dict[str, Any], base_hash: str | None, digest: str) -> None:
    """Raises EngineError where a manifest is of another base, or of other weights."""
    base = told.get("base")
    wanted = base.get("source_hash") if isinstance(base, dict) else None
    check_adapted_base(wanted, base_hash, folder)
    if isinstance(own := told.get("adapter_hash"), str) and own and own != digest:
        raise EngineError(
            "the adapter's weights are not those of its manifest",
            where=str(folder),
            remedy="Train it again, or restore the file.",
        )
