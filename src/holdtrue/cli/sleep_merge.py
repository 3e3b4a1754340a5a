"""``holdtrue sleep merge``: an adapter and its base as one model, or an adapter for llama.cpp."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from holdtrue.cli.options import FOLDER


@click.command("merge")
@click.argument("adapter", type=FOLDER)
@click.option("--out", type=click.Path(path_type=Path), required=True,
              help="A new folder, or a new file that ends in .gguf.")  # fmt: skip
@click.option("--adapter-only", is_flag=True,
              help="Write the adapter alone, as a LoRA file of llama.cpp.")  # fmt: skip
@click.option("--base", metavar="MODEL", help="Where the base is now. [default: as it was trained]")
@click.option("--bits", type=click.Choice(["8", "16", "32"]), default="16", show_default=True,
              help="Bits of merged weights: 16 or 32 in a folder, 8 or 16 in a GGUF.")  # fmt: skip
@click.option("--offline", is_flag=True, help="Never use the network for a model.")
@click.option("--trust-remote-code", is_flag=True,
              help="Run code that a model repository brings. Off by default.")  # fmt: skip
def merge_command(
    adapter: Path, out: Path, adapter_only: bool, base: str | None, bits: str, **values: Any
) -> None:
    """Put ADAPTER into its base's weights, in a copy.

    A folder becomes a model of transformers (safetensors). A file that ends in .gguf becomes a
    model of llama.cpp: straight from a base that is a GGUF file, by way of llama.cpp's converter
    where it is installed otherwise.
    """
    from holdtrue.engines.base import EngineOptions
    from holdtrue.errors import ConfigError
    from holdtrue.sleep.gguf_export import write_gguf_adapter, write_merged_gguf
    from holdtrue.sleep.merge import base_source, convert_to_gguf, merge_folder

    options = EngineOptions(**values)
    width, as_gguf = int(bits), out.suffix == ".gguf"
    name, source = base_source(adapter, base, options)
    if adapter_only and not as_gguf:
        raise ConfigError(
            f"--adapter-only writes a GGUF file, and --out is {out}",
            remedy="Let --out end in .gguf. As a folder the adapter is there already.",
        )
    if width not in ((8, 16) if as_gguf else (16, 32)):
        raise ConfigError(f"--bits {bits} does not go with --out {out}", remedy="Give --bits 16.")
    if adapter_only and source.gguf is None:
        raise ConfigError(
            f"{name} is no GGUF file, so it takes no adapter of llama.cpp",
            remedy="Merge both into one GGUF file, without --adapter-only.",
        )
    if adapter_only and source.path:
        write_gguf_adapter(adapter, source.path, out, base_name=name)
        click.echo(f"wrote {out}")
        click.echo(f"Test it: holdtrue test {shlex.quote(f'{name}+{out.resolve()}')}")
        return
    if not as_gguf:
        merge_folder(adapter, out, base=base, bits=width, options=options)
    elif source.gguf and source.path:
        write_merged_gguf(adapter, source.path, out, bits=width, base_name=name)
    else:
        convert_to_gguf(adapter, out, base=base, bits=width, options=options)
    model = f"{'gguf' if as_gguf else 'hf'}:{out.resolve()}"
    click.echo(f"wrote {out}")
    click.echo(f"Test it: holdtrue test {shlex.quote(model)}")
