"""A model of transformers so small that training it takes no time, with a chat template."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import pytest

from holdtrue.engines.hf_loading import import_torch

TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + "
    "message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def make_tiny(folder: Path, *, seed: int = 0, extra: str = "") -> str:
    """Save a random two-layer model with a byte tokenizer; its model name."""
    for library in ("torch", "transformers", "accelerate", "peft"):
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"needs {library}")
    torch = import_torch()  # before anybody else loads it, with its threads told to spin briefly
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import transformers
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers

        letters = sorted(pre_tokenizers.ByteLevel.alphabet())
        vocabulary = {letter: place for place, letter in enumerate(letters)}
        tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        fast = transformers.PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            eos_token="<|im_end|>",
            additional_special_tokens=["<|im_start|>", *([extra] if extra else [])],
        )
        fast.chat_template = TEMPLATE
        torch.manual_seed(seed)
        config = transformers.LlamaConfig(
            vocab_size=len(fast) + 2,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=8192,
            eos_token_id=fast.eos_token_id,
        )
        transformers.LlamaForCausalLM(config).save_pretrained(folder)
        fast.save_pretrained(folder)
    return f"hf:{folder}"
