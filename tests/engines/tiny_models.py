"""Tiny models with random weights and a real tokenizer, made in a moment and saved as folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PARTS = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% for part in message.content %}{% if part.type == 'text' %}{{ part.text }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SMALL = {  # multiples of 64, which bitsandbytes asks for on a processor
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 512,
}


def tokenizer(template: str | None = CHATML) -> Any:
    """Bytes as tokens, ``<|im_start|>`` and ``<|im_end|>`` as special ones."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {char: number for number, char in enumerate(alphabet)}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        chat_template=template,
    )


def vocabulary_size(tokens: Any) -> int:
    return len(tokens)


def save(folder: Path, config: Any, cls: Any = None, template: str | None = CHATML) -> Path:
    """A model of ``config`` with random weights, and the tokenizer, in ``folder``."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(7)
    tokens = tokenizer(template)
    model = cls(config) if cls is not None else AutoModelForCausalLM.from_config(config)
    model.to(torch.float32).save_pretrained(folder)
    tokens.save_pretrained(folder)
    return folder


def llama(folder: Path, template: str | None = CHATML, **changes: Any) -> Path:
    from transformers import LlamaConfig

    size = vocabulary_size(tokenizer())
    config = LlamaConfig(**{**SMALL, "vocab_size": size, **ends(), **changes})
    return save(folder, config, template=template)


def ends() -> dict[str, int]:
    tokens = tokenizer()
    return {"eos_token_id": tokens.eos_token_id, "bos_token_id": tokens.bos_token_id}


def omni(folder: Path, template: str | None = CHATML) -> Path:
    """A whole Qwen3-Omni: thinker with ears and eyes, talker, code2wav; all tiny."""
    from transformers import Qwen3OmniMoeConfig, Qwen3OmniMoeForConditionalGeneration

    size = vocabulary_size(tokenizer())
    moe = {
        **SMALL,
        "vocab_size": size,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 64,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "mrope_section": [4, 2, 2],
            "interleaved": True,
        },
    }
    audio = {
        "d_model": 16,
        "encoder_layers": 1,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 16,
        "downsample_hidden_size": 8,
        "output_dim": 64,
        "num_mel_bins": 16,
    }
    vision = {
        "depth": 1,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_heads": 2,
        "out_hidden_size": 64,
        "deepstack_visual_indexes": [0],
        "num_position_embeddings": 16,
    }
    talker_text = {**moe, "vocab_size": 64, "shared_expert_intermediate_size": 16}
    config = Qwen3OmniMoeConfig(
        thinker_config={
            "text_config": moe,
            "audio_config": audio,
            "vision_config": vision,
            "audio_token_id": size - 3,
            "image_token_id": size - 4,
            "video_token_id": size - 5,
            "vision_start_token_id": size - 6,
            "audio_start_token_id": size - 7,
        },
        talker_config={
            "text_config": talker_text,
            "thinker_hidden_size": 64,
            "accept_hidden_layer": 1,
            "num_code_groups": 2,
            "code_predictor_config": {**SMALL, "vocab_size": 64, "num_code_groups": 2},
            "spatial_merge_size": 2,
        },
        code2wav_config={
            "codebook_size": 64,
            "num_quantizers": 2,
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "intermediate_size": 16,
            "decoder_dim": 16,
            "upsample_rates": [2],
            "upsampling_ratios": [2],
        },
        enable_audio_output=True,
    )
    return save(folder, config, Qwen3OmniMoeForConditionalGeneration, template)


def edit_json(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file; None takes a key out."""
    body = json.loads(path.read_text("utf-8"))
    for key, value in changes.items():
        body.pop(key, None)
        if value is not None:
            body[key] = value
    path.write_text(json.dumps(body), "utf-8")
