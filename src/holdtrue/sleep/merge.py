"""Merge: an adapter put into the weights of a copy of its base, as a model folder of transformers.

The base and the adapter on disk are only read. GGUF files are made by ``gguf_export.py``.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdtrue.engines.base import EngineOptions
from holdtrue.errors import EngineError
from holdtrue.files import write_atomic
from holdtrue.sleep.appearing import appearing, check_absent
from holdtrue.sleep.manifest import Manifest, check_base, read_manifest
from holdtrue.sleep.weights import check_libraries, explained, quietly, trainable

if TYPE_CHECKING:
    from holdtrue.engines.hf_source import Source

ORIGIN = "merged.json"
CONVERTERS = ("convert_hf_to_gguf.py", "convert-hf-to-gguf.py", "convert-hf-to-gguf")
TYPES = {8: "q8_0", 16: "f16", 32: "f32"}


def base_source(adapter: Path, base: str | None, options: EngineOptions) -> tuple[str, Source]:
    """The base of an adapter, by the name given or the manifest's, and the place of its weights.

    Raises ConfigError for no adapter, for one of another base, or a base that is not found.
    """
    from holdtrue.engines.hf_source import find_source, source_hash

    name = base or read_manifest(adapter).base.model
    source = find_source(trainable(name), options)
    if digest := source_hash(source, None):  # a repository's is known once it is loaded
        check_base(adapter, digest, name)
    return name, source


def merge_folder(
    adapter: Path, out: Path, *, base: str | None, bits: int, options: EngineOptions
) -> Manifest:
    """Write base and adapter as one model folder, in 16 (float16) or 32 bits a weight.

    The folder appears whole or not at all. Raises ConfigError when ``out`` is not empty or the
    adapter is not the base's, EngineError when a library is missing or the weights cannot be
    loaded, WorkspaceError when the folder cannot be written.
    """
    check_libraries()
    from holdtrue.engines.hf_loading import import_torch, load_model

    torch = import_torch()
    _check_free(out)
    manifest = read_manifest(adapter)
    name, source = base_source(adapter, base, options)
    chosen = replace(options, adapter=adapter, bits=32, device=options.device or "cpu")
    with explained(name), quietly():
        loaded = load_model(source, chosen)
        check_base(adapter, loaded.source_hash or "", name)
        model = loaded.model.to(torch.float16) if bits == 16 else loaded.model
        for value in (*model.parameters(), *model.buffers()):
            value.data = value.data.contiguous()
        _forget_gguf(model)
        _save(model, loaded.tokenizer, _origin(manifest, bits), out)
    return manifest


def convert_to_gguf(
    adapter: Path, out: Path, *, base: str | None, bits: int, options: EngineOptions
) -> Manifest:
    """Merge into a passing folder and let llama.cpp's converter make a GGUF file of it.

    For bases that are no GGUF files themselves. Raises EngineError naming what to install where
    there is no converter, and with its last line where it fails.
    """
    converter = find_converter()
    if converter is None:
        raise EngineError(
            "the base is no GGUF file, so a GGUF takes llama.cpp's converter, which is not on the "
            "PATH",
            remedy=f"Install llama.cpp with its Python scripts ({CONVERTERS[0]}), or merge into a "
            "folder: --out FOLDER.",
        )
    check_absent(out)
    with appearing(out) as made:
        folder = made.with_name("model")
        manifest = merge_folder(adapter, folder, base=base, bits=32, options=options)
        command = [converter, str(folder), "--outfile", str(made), "--outtype", TYPES[bits]]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not made.is_file():
            said = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
            raise EngineError(f"the converter failed: {said[-1][:300]}", where=converter)
    return manifest


def find_converter() -> str | None:
    """The path of llama.cpp's converter, None where it is not installed."""
    return next((found for name in CONVERTERS if (found := shutil.which(name))), None)


def _forget_gguf(model: Any) -> None:
    """Let a model that came from a GGUF file be what it is now, one of plain weights.

    transformers has dequantized them and still calls it quantized, which it does not save.
    """
    if getattr(model, "hf_quantizer", None) is None:
        return
    model.hf_quantizer = None
    model.is_quantized = False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config


def _save(model: Any, tokenizer: Any, origin: str, out: Path) -> None:
    try:
        with appearing(out) as part:
            model.save_pretrained(part, safe_serialization=True)
            tokenizer.save_pretrained(part)
            write_atomic(part / ORIGIN, origin)
    except ValueError as error:
        said = " ".join(str(error).split())[:200]
        raise EngineError(f"transformers does not save this model: {said}") from None


def _origin(manifest: Manifest, bits: int) -> str:
    """What a merged folder says of where it is from."""
    body = {
        "format": "holdtrue-merged",
        "version": 1,
        "base": manifest.base.model_dump(),
        "adapter_hash": manifest.adapter_hash,
        "dataset_hash": manifest.dataset_hash,
        "persona": manifest.persona,
        "bits": bits,
    }
    return json.dumps(body, ensure_ascii=False, indent=1) + "\n"


def _check_free(out: Path) -> None:
    if not out.is_dir() or any(out.iterdir()):
        check_absent(out)
