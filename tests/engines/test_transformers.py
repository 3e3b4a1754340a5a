"""The transformers engine on tiny models with random weights and a real tokenizer."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import warnings
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
import tiny_models

from holdtrue.engines.base import EngineOptions, Reply, StopReason
from holdtrue.engines.registry import open_engine
from holdtrue.engines.transformers import TransformersEngine
from holdtrue.errors import ConfigError, EngineError, GenerationError
from holdtrue.messages import Message, Role
from holdtrue.protocol import Sampling

pytestmark = pytest.mark.extra
T = TypeVar("T")
GREEDY = Sampling(temperature=0, max_tokens=10)
FREE = Sampling(temperature=1.5, top_p=1, top_k=0, min_p=0, max_tokens=12)
SYSTEM = Message(Role.SYSTEM, "You are Juno, who looks after the lighthouse and its visitors.")


def asked(text: str, *before: Message) -> list[Message]:
    return [SYSTEM, *before, Message(Role.USER, text)]


def engine(folder: Path, **options: Any) -> TransformersEngine:
    return TransformersEngine(f"hf:{folder}", EngineOptions(threads=1, **options))


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


async def replies(
    engine: TransformersEngine, prompts: Sequence[Sequence[Message]], sampling: Sampling = FREE
) -> list[Reply]:
    """One reply a prompt, all asked at once; the seed is the prompt's place."""
    async with engine:
        return list(
            await asyncio.gather(
                *(
                    engine.generate(prompt, sampling, seed=seed)
                    for seed, prompt in enumerate(prompts)
                )
            )
        )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def llama(made: Path) -> Path:
    return tiny_models.llama(made / "llama")


@pytest.fixture
def copy(llama: Path, tmp_path: Path) -> Path:
    """A copy of the tiny Llama that a test may damage."""
    return Path(shutil.copytree(llama, tmp_path / "copy"))


def plain_greedy(folder: Path, messages: Sequence[Message], count: int, cls: Any = None) -> str:
    """What transformers' own generate says."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(folder)
    model = (cls or AutoModelForCausalLM).from_pretrained(folder, dtype=torch.float32)
    text = tokens.apply_chat_template(
        [message.as_dict() for message in messages], tokenize=False, add_generation_prompt=True
    )
    ids = tokens(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        said = model.generate(ids, max_new_tokens=count, do_sample=False)[0, ids.shape[1] :]
    return str(tokens.decode(said, skip_special_tokens=True)).strip()


# Speaking


def test_a_reply_has_its_counts_and_the_facts_say_what_spoke(llama: Path) -> None:
    tiny = engine(llama)
    [reply] = run(replies(tiny, [asked("Who is there?")], GREEDY))
    assert reply.text == plain_greedy(llama, asked("Who is there?"), 10)
    assert reply.stop_reason is StopReason.LENGTH
    expected = len(_prompt_ids(tiny_models.tokenizer(), asked("Who is there?")))
    assert (reply.completion_tokens, reply.prompt_tokens) == (10, expected)
    assert tiny.load is not None


def test_the_facts_are_counted_from_the_weights(llama: Path) -> None:
    async def look() -> Any:
        async with engine(llama) as tiny:
            return tiny.facts()

    facts = run(look())
    assert facts.architecture == "llama"
    assert facts.parameters_total == facts.parameters_active == 82_496
    assert (facts.bits, facts.context_length, facts.device) == (32.0, 512, "cpu")
    assert len(facts.source_hash or "") == 64
    assert facts.settings["batching"].startswith("continuous")
    assert str(llama.parent) not in json.dumps({**facts.as_dict(), "model": ""})


def test_many_conversations_at_once_say_what_each_says_alone(llama: Path) -> None:
    prompts = [asked(f"Question {n}" + " and more" * n) for n in range(7)]
    together = run(replies(engine(llama, concurrency=3), prompts, GREEDY))
    for prompt, reply in zip(prompts, together, strict=True):
        assert reply.text == plain_greedy(llama, prompt, 10)


@pytest.mark.parametrize("options", [{"concurrency": 1}, {"reproducible": True, "concurrency": 3}])
def test_equal_seeds_replay_whatever_the_order(llama: Path, options: dict[str, Any]) -> None:
    prompts = [asked(f"Question {n}") for n in range(4)]

    async def backwards() -> list[str]:
        async with engine(llama, **options) as tiny:
            said = [await tiny.generate(prompts[n], FREE, seed=n) for n in (3, 1, 2, 0)]
            assert tiny.facts().replayable
            return [said[3].text, said[1].text, said[2].text, said[0].text]

    forwards = [reply.text for reply in run(replies(engine(llama, **options), prompts))]
    assert forwards == run(backwards())
    assert len(set(forwards)) == 4


def test_the_seed_changes_what_is_said(llama: Path) -> None:
    said = run(replies(engine(llama), [asked("Who?")] * 5))
    assert len({reply.text for reply in said}) == 5


def test_only_what_is_new_is_evaluated(llama: Path) -> None:
    async def talk() -> list[int]:
        counts = []
        async with engine(llama) as tiny:
            first = await tiny.generate(asked("One?"), GREEDY, seed=1)
            counts.append(tiny.evaluated_tokens)
            again = asked("Two?", Message(Role.USER, "One?"), Message(Role.ASSISTANT, "Yes."))
            await tiny.generate(again, GREEDY, seed=1)
            counts.append(tiny.evaluated_tokens - sum(counts))
            await asyncio.gather(*(tiny.generate(asked(f"{n}?"), GREEDY, seed=n) for n in range(4)))
            counts.append(tiny.evaluated_tokens - sum(counts))
            assert first.prompt_tokens == counts[0]
        return counts

    first, second, four = run(talk())
    assert second <= 60
    assert four <= 4 * 20
    assert first > 90


def test_a_cancelled_reply_frees_its_place_for_others(llama: Path) -> None:
    async def talk() -> Reply:
        async with engine(llama, concurrency=1) as tiny:
            slow = asyncio.create_task(
                tiny.generate(asked("One?"), Sampling(max_tokens=300, temperature=2), seed=1)
            )
            await asyncio.sleep(0.05)
            slow.cancel()
            reply = await tiny.generate(asked("Two?"), GREEDY, seed=1)
            with pytest.raises(asyncio.CancelledError):
                await slow
            return reply

    assert run(talk()).completion_tokens == 10


def test_closing_fails_what_is_on_its_way(llama: Path) -> None:
    async def talk() -> None:
        tiny = engine(llama)
        async with tiny:
            tasks = [
                asyncio.create_task(tiny.generate(asked("?"), Sampling(max_tokens=380), seed=n))
                for n in range(12)
            ]
            await asyncio.sleep(0.05)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert any(isinstance(item, GenerationError) for item in results)
        with pytest.raises(EngineError, match="not open"):
            await tiny.generate(asked("?"), GREEDY, seed=1)

    run(talk())


def test_a_prompt_beyond_the_context_fails_and_a_full_context_ends_the_reply(llama: Path) -> None:
    with pytest.raises(GenerationError, match="the context holds 128"):
        run(replies(engine(llama, context_length=128), [asked("word " * 40)]))
    [reply] = run(replies(engine(llama, context_length=128), [asked("Who?")], GREEDY))
    assert reply.stop_reason is StopReason.LENGTH
    with pytest.raises(ConfigError, match="made for 512"):
        run(replies(engine(llama, context_length=9_999), [asked("Who?")]))


def test_a_model_that_ends_at_once_has_said_nothing(copy: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(copy)
    model.lm_head.weight.data.zero_()
    tiny_models.edit_json(copy / "generation_config.json", eos_token_id=[0, 1])
    model.save_pretrained(copy, max_shard_size="1GB")
    tiny_models.edit_json(copy / "generation_config.json", eos_token_id=[0, 1])
    with pytest.raises(GenerationError, match="empty reply"):
        run(replies(engine(copy), [asked("Who?")], GREEDY))


def test_weights_that_are_no_numbers_fail_the_reply(copy: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(copy)
    model.lm_head.weight.data.fill_(float("nan"))
    model.save_pretrained(copy)
    with pytest.raises(GenerationError, match="not a number"):
        run(replies(engine(copy), [asked("Who?")], GREEDY))


# Architectures


def test_a_sliding_window_is_kept_in_every_row(made: Path) -> None:
    from transformers import Gemma3TextConfig

    size = tiny_models.vocabulary_size(tiny_models.tokenizer())
    config = Gemma3TextConfig(
        **tiny_models.SMALL,
        **tiny_models.ends(),
        vocab_size=size,
        sliding_window=8,
        layer_types=["sliding_attention", "full_attention"],
        pad_token_id=0,
    )
    folder = tiny_models.save(made / "gemma", config)
    prompts = [asked("Who?"), asked("Who goes there, at this hour, in the rain?")]
    tiny = engine(folder)
    together = run(replies(tiny, prompts, GREEDY))
    for prompt, reply in zip(prompts, together, strict=True):
        assert reply.text == plain_greedy(folder, prompt, 10)


@pytest.mark.parametrize(("window", "batching"), [(64, "per turn"), (512, "continuous")])
def test_a_window_that_no_layer_names_is_left_to_the_library_if_it_may_be_reached(
    made: Path, window: int, batching: str
) -> None:
    from transformers import MistralConfig

    size = tiny_models.vocabulary_size(tiny_models.tokenizer())
    config = MistralConfig(
        **tiny_models.SMALL, **tiny_models.ends(), vocab_size=size, sliding_window=window
    )
    folder = tiny_models.save(made / f"mistral-{window}", config)
    tiny = engine(folder)
    [reply] = run(replies(tiny, [asked("Who goes there, at this hour?")], GREEDY))
    assert reply.text == plain_greedy(folder, asked("Who goes there, at this hour?"), 10)
    assert run(_facts(engine(folder))).settings["batching"].startswith(batching)


def test_a_mixture_of_experts_tells_its_active_weights(made: Path) -> None:
    from transformers import Qwen3MoeConfig

    size = tiny_models.vocabulary_size(tiny_models.tokenizer())
    config = Qwen3MoeConfig(
        **tiny_models.SMALL,
        **tiny_models.ends(),
        vocab_size=size,
        num_experts=4,
        num_experts_per_tok=2,
        moe_intermediate_size=16,
    )
    folder = tiny_models.save(made / "moe", config)

    async def look() -> tuple[Any, Reply]:
        async with engine(folder) as tiny:
            return tiny.facts(), await tiny.generate(asked("Who?"), GREEDY, seed=1)

    facts, reply = run(look())
    experts = 2 * 4 * 3 * 16 * 64  # layers, experts, matrices, sizes
    assert facts.parameters_total - facts.parameters_active == experts // 2
    assert reply.text == plain_greedy(folder, asked("Who?"), 10)


def test_a_model_with_recurrent_state_is_batched_per_turn(made: Path) -> None:
    from transformers import MambaConfig

    size = tiny_models.vocabulary_size(tiny_models.tokenizer())
    config = MambaConfig(
        vocab_size=size, hidden_size=16, state_size=4, num_hidden_layers=2, **tiny_models.ends()
    )
    folder = tiny_models.save(made / "mamba", config)
    tiny = engine(folder, context_length=512)

    async def talk() -> list[Reply]:
        async with tiny:
            assert tiny.facts().settings["batching"] == "per turn"
            assert any("batched per turn" in note for note in tiny.facts().notes)
            sampling = [Sampling(temperature=1.5, max_tokens=n) for n in (3, 9, 6)]
            asks = [tiny.generate(asked("Who?"), s, seed=n) for n, s in enumerate(sampling)]
            return list(await asyncio.gather(*asks))

    assert [reply.completion_tokens for reply in run(talk())] == [3, 9, 6]
    alone = engine(folder, context_length=512, concurrency=1)
    first = run(replies(alone, [asked("Who?"), asked("You?")]))
    assert [reply.text for reply in first] == [
        reply.text for reply in run(replies(alone, [asked("Who?"), asked("You?")]))
    ]


def test_a_vision_model_speaks_without_its_eyes(made: Path) -> None:
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    size = tiny_models.vocabulary_size(tiny_models.tokenizer())
    text = {
        **tiny_models.SMALL,
        "vocab_size": size,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "mrope_section": [2, 1, 1],
        },
    }
    vision = {
        "depth": 1,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_heads": 2,
        "out_hidden_size": 32,
        "deepstack_visual_indexes": [0],
        "num_position_embeddings": 16,
    }
    config = Qwen3VLConfig(text_config=text, vision_config=vision)
    folder = tiny_models.save(
        made / "vision", config, Qwen3VLForConditionalGeneration, tiny_models.PARTS
    )

    async def look() -> tuple[Any, Reply]:
        async with engine(folder) as tiny:
            assert tiny._open is not None
            assert tiny._open.prompter.in_parts
            assert not any("visual" in n for n, _ in tiny._open.loaded.model.named_parameters())
            return tiny.facts(), await tiny.generate(asked("Who?"), GREEDY, seed=1)

    facts, reply = run(look())
    assert "not loaded, since text does not need it: vision" in facts.notes
    assert reply.completion_tokens == 10


@pytest.fixture(scope="module")
def omni(made: Path) -> Path:
    return tiny_models.omni(made / "omni")


def test_of_an_omni_model_only_the_thinkers_text_part_is_loaded(omni: Path) -> None:
    import torch
    from transformers import Qwen3OmniMoeForConditionalGeneration

    whole = Qwen3OmniMoeForConditionalGeneration.from_pretrained(omni, dtype=torch.float32)

    async def look() -> tuple[Any, Reply, dict[str, Any]]:
        async with engine(omni) as tiny:
            assert tiny._open is not None
            model = tiny._open.loaded.model
            weights = {name: weight.clone() for name, weight in model.state_dict().items()}
            return tiny.facts(), await tiny.generate(asked("Who?"), GREEDY, seed=1), weights

    facts, reply, weights = run(look())
    thinker = whole.thinker.state_dict()
    assert set(weights) == {
        name for name in thinker if "visual" not in name and "audio_tower" not in name
    }
    assert all(torch.equal(weights[name], thinker[name]) for name in weights)
    assert facts.architecture == "qwen3_omni_moe_thinker"
    assert facts.parameters_total == sum(weight.numel() for weight in weights.values())
    assert facts.parameters_total < sum(p.numel() for p in whole.parameters()) / 2
    assert any("talker, code2wav, vision, audio" in note for note in facts.notes)
    assert facts.settings["batching"].startswith("continuous")
    tokens = tiny_models.tokenizer()
    ids = torch.tensor([_prompt_ids(tokens, asked("Who?"))])
    with torch.no_grad():
        said = whole.thinker.generate(ids, max_new_tokens=10, do_sample=False, pad_token_id=0)
    expected = tokens.decode(said[0, ids.shape[1] :], skip_special_tokens=True)
    assert reply.text == expected.strip()


def _prompt_ids(tokens: Any, messages: Sequence[Message]) -> list[int]:
    text = tokens.apply_chat_template(
        [message.as_dict() for message in messages], tokenize=False, add_generation_prompt=True
    )
    return list(tokens(text, add_special_tokens=False)["input_ids"])


# Fewer bits


def test_four_bits_reach_the_experts_of_an_omni_model(omni: Path) -> None:
    pytest.importorskip("bitsandbytes")

    async def look() -> tuple[Any, Reply]:
        async with engine(omni, bits=4) as tiny:
            return tiny.facts(), await tiny.generate(asked("Who?"), GREEDY, seed=1)

    facts, reply = run(look())
    full = run(_facts(engine(omni)))
    assert facts.parameters_total == full.parameters_total
    assert facts.parameters_active == full.parameters_active
    assert facts.bits < 10
    assert reply.completion_tokens == 10


async def _facts(tiny: TransformersEngine) -> Any:
    async with tiny:
        return tiny.facts()


@pytest.mark.parametrize(("bits", "most"), [(4, 20), (8, 24), (16, 16)])
def test_a_model_is_loaded_in_fewer_bits(llama: Path, bits: int, most: float) -> None:
    if bits < 16:
        pytest.importorskip("bitsandbytes")
    facts = run(_facts(engine(llama, bits=bits)))
    assert facts.parameters_total == 82_496
    assert facts.bits <= most
    assert len(run(replies(engine(llama, bits=bits), [asked("Who?")] * 3))) == 3


def test_without_bitsandbytes_the_extra_is_named(
    llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "bitsandbytes" else real(name)
    )
    with pytest.raises(EngineError, match=r"needs bitsandbytes\n.*holdtrue\[quant\]"):
        run(_facts(engine(llama, bits=4)))


def test_without_transformers_the_extra_is_named(
    llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r"need torch .*\n.*holdtrue\[hf\]"):
        run(_facts(engine(llama)))


def test_odd_bits_and_a_second_quantization_are_refused(copy: Path) -> None:
    with pytest.raises(EngineError, match="4, 8, 16 or 32 bits, not 5"):
        run(_facts(engine(copy, bits=5)))
    tiny_models.edit_json(
        copy / "config.json", quantization_config={"quant_method": "gptq", "bits": 4}
    )
    with pytest.raises(EngineError, match="quantized already"):
        run(_facts(engine(copy, bits=4)))
    with pytest.raises(EngineError, match=r"a library is missing|cannot be loaded"):
        run(_facts(engine(copy)))


# Adapters


@pytest.fixture(scope="module")
def adapter(llama: Path, made: Path) -> Path:
    peft = pytest.importorskip("peft")
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(3)
    base = AutoModelForCausalLM.from_pretrained(llama)
    config = peft.LoraConfig(
        r=4, target_modules=["q_proj", "v_proj", "o_proj"], init_lora_weights=False
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft asks transformers in a way that it deprecates
        peft.get_peft_model(base, config).save_pretrained(made / "adapter")
    return made / "adapter"


def test_an_adapter_changes_what_is_said(llama: Path, adapter: Path) -> None:
    tiny = engine(llama, adapter=adapter)
    [adapted] = run(replies(tiny, [asked("Who?")], GREEDY))
    [plain] = run(replies(engine(llama), [asked("Who?")], GREEDY))
    assert adapted.text != plain.text
    facts = run(_facts(engine(llama, adapter=adapter)))
    assert facts.adapter is not None
    assert facts.adapter.startswith("adapter ")
    assert facts.source_hash == run(_facts(engine(llama))).source_hash


def test_an_adapter_runs_beside_quantized_weights(llama: Path, adapter: Path) -> None:
    pytest.importorskip("bitsandbytes")
    facts = run(_facts(engine(llama, adapter=adapter, bits=4)))
    assert any("not merged" in note for note in facts.notes)
    [adapted] = run(replies(engine(llama, adapter=adapter, bits=4), [asked("Who?")], GREEDY))
    [plain] = run(replies(engine(llama, bits=4), [asked("Who?")], GREEDY))
    assert adapted.text != plain.text


def test_an_adapter_for_another_base_is_refused(llama: Path, adapter: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(adapter, tmp_path / "other"))
    (other / "manifest.json").write_text(json.dumps({"base": {"source_hash": "0" * 64}}))
    with pytest.raises(EngineError, match="trained for another base model"):
        run(_facts(engine(llama, adapter=other)))
    (other / "manifest.json").write_text(json.dumps({"adapter_hash": "0" * 64}))
    with pytest.raises(EngineError, match="not those of its manifest"):
        run(_facts(engine(llama, adapter=other)))


def test_an_adapter_as_a_pickle_is_refused(llama: Path, adapter: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(adapter, tmp_path / "other"))
    (other / "adapter_model.safetensors").rename(other / "adapter_model.bin")
    with pytest.raises(EngineError, match="a pickle"):
        run(_facts(engine(llama, adapter=other)))
    with pytest.raises(EngineError, match=r"no adapter_config\.json"):
        run(_facts(engine(llama, adapter=tmp_path)))


# Templates


def test_a_model_without_a_template_is_refused_unless_the_plain_one_is_asked_for(
    made: Path,
) -> None:
    folder = tiny_models.llama(made / "base", template=None)
    with pytest.raises(EngineError, match="no chat template"):
        run(_facts(engine(folder)))
    tiny = engine(folder, plain_template=True)

    async def look() -> str:
        async with tiny:
            assert tiny._open is not None
            prompter = tiny._open.prompter
            before = [Message(Role.USER, "Hi."), Message(Role.ASSISTANT, "Hello.")]
            ids = prompter.tokens(asked("Who?", *before))
            return str(prompter.tokenizer.decode(ids))

    assert run(look()) == (
        f"<|im_start|>{SYSTEM.content}\n\nUser: Hi.\nAssistant: Hello.\n\nUser: Who?\nAssistant:"
    )


def test_a_plain_reply_ends_where_the_next_speaker_begins() -> None:
    from holdtrue.engines.hf_prompt import PLAIN_STOPS
    from holdtrue.engines.hf_requests import Ending, Request
    from holdtrue.engines.hf_sampling import Draw

    text = " I am Juno.\nUser: And you?"
    ending = Ending(frozenset(), PLAIN_STOPS, 512, lambda tokens: "".join(map(chr, tokens)))
    request = Request([1, 2], Draw(Sampling(max_tokens=100), 1))
    over = [request.take(ord(char), ending) for char in text]
    assert over.index(True) == text.index("\nUser:") + len("\nUser:") - 1
    assert request.future.result().stop_reason is StopReason.STOP


def _with_template(folder: Path, template: str) -> Path:
    (folder / "chat_template.jinja").write_text(template)
    return folder


def test_a_template_cannot_reach_out_of_its_sandbox(copy: Path) -> None:
    hostile = "{{ ''.__class__.__mro__[1].__subclasses__() }}" + tiny_models.CHATML
    with pytest.raises(EngineError, match="shows nothing of what is said"):
        run(_facts(engine(_with_template(copy, hostile))))


def test_a_template_that_does_not_end_is_given_up(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from holdtrue.engines import hf_prompt

    monkeypatch.setattr(hf_prompt, "RENDER_SECONDS", 0.05)
    slow = "{% for i in range(3000) %}{% for j in range(1000) %}{% endfor %}{% endfor %}x"
    with pytest.raises(EngineError, match="shows nothing of what is said"):
        run(_facts(engine(_with_template(copy, slow))))


def test_reminders_go_into_the_users_message_where_the_template_would_drop_them(
    copy: Path,
) -> None:
    only_first = (
        "{% if messages[0].role == 'system' %}<|im_start|>system\n{{ messages[0].content }}"
        "<|im_end|>\n{% endif %}{% for m in messages %}{% if m.role != 'system' %}"
        "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )

    async def look() -> tuple[Any, str]:
        async with engine(_with_template(copy, only_first)) as tiny:
            assert tiny._open is not None
            prompter = tiny._open.prompter
            reminder = Message(Role.SYSTEM, "Stay brief.")
            ids = prompter.tokens([SYSTEM, reminder, Message(Role.USER, "Who?")])
            return tiny.facts(), str(prompter.tokenizer.decode(ids))

    facts, shown = run(look())
    assert "user\nStay brief.\n\nWho?" in shown
    assert any("reminders" in note for note in facts.notes)


# Bad input


def _refused(folder: Path, **options: Any) -> str:
    with pytest.raises(EngineError) as caught:
        run(_facts(engine(folder, **options)))
    return str(caught.value)


def test_a_folder_without_config_is_no_model(copy: Path) -> None:
    (copy / "config.json").unlink()
    assert "no config.json" in _refused(copy)


def test_a_config_that_is_no_json_or_of_unknown_type_says_so(copy: Path) -> None:
    tiny_models.edit_json(copy / "config.json", model_type="frobnicator")
    assert "frobnicator" in _refused(copy)
    (copy / "config.json").write_text("{")
    assert "not valid JSON" in _refused(copy)
    (copy / "config.json").write_text("[" * 100_000)
    assert "not valid JSON" in _refused(copy)


def test_an_encoder_decoder_holds_no_conversation(copy: Path) -> None:
    (copy / "config.json").write_text(json.dumps({"model_type": "t5", "d_model": 8}))
    assert "encoder-decoder" in _refused(copy)
    (copy / "config.json").write_text(json.dumps({"model_type": "vit"}))
    assert "no class that speaks" in _refused(copy)


def test_pickled_weights_are_refused_with_the_reason(copy: Path) -> None:
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    assert "opening a pickle runs" in _refused(copy)
    (copy / "pytorch_model.bin").unlink()
    assert "the weights are missing" in _refused(copy)


def test_a_missing_shard_is_named(llama: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(llama)
    model.save_pretrained(tmp_path, max_shard_size="40KB")
    tiny_models.tokenizer().save_pretrained(tmp_path)
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 2
    assert run(_facts(engine(tmp_path))).parameters_total == 82_496
    gone = sorted(tmp_path.glob("model-*.safetensors"))[-1]
    gone.unlink()
    assert "shards are missing: " in _refused(tmp_path)
    assert gone.name in _refused(tmp_path)


def test_an_index_that_points_elsewhere_is_refused(copy: Path) -> None:
    for name in ("../model.safetensors", "model.bin", "/elsewhere/model.safetensors"):
        body = {"weight_map": {"lm_head.weight": name}}
        (copy / "model.safetensors.index.json").write_text(json.dumps(body))
        assert "files elsewhere, or pickles" in _refused(copy)


def test_detours_to_other_weights_are_refused(copy: Path) -> None:
    tiny_models.edit_json(copy / "config.json", transformers_weights="adapter_model.bin")
    assert "no safetensors" in _refused(copy)
    tiny_models.edit_json(copy / "config.json", transformers_weights=None)
    (copy / ".metadata").write_bytes(b"x")
    assert "distributed checkpoint" in _refused(copy)
    (copy / ".metadata").unlink()
    (copy / "adapter_config.json").write_text('{"base_model_name_or_path": "other/model"}')
    assert "beside a model" in _refused(copy)


def test_damaged_weights_are_an_error(copy: Path) -> None:
    whole = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    assert "cannot be loaded" in _refused(copy)
    (copy / "model.safetensors").write_bytes(b"\xff" * 100)
    assert "cannot be loaded" in _refused(copy)


def test_missing_and_misshapen_weights_are_not_replaced_by_random_ones(copy: Path) -> None:
    tiny_models.edit_json(copy / "config.json", num_hidden_layers=3)
    assert "weights are missing from the checkpoint" in _refused(copy)
    tiny_models.edit_json(copy / "config.json", num_hidden_layers=2, intermediate_size=128)
    assert "cannot be loaded" in _refused(copy) or "another shape" in _refused(copy)


def test_code_of_a_model_does_not_run_unless_asked_for(copy: Path) -> None:
    tiny_models.edit_json(
        copy / "config.json",
        model_type="mine",
        auto_map={
            "AutoConfig": "code.MyConfig",
            "AutoModelForCausalLM": "code.MyModel",
        },
    )
    (copy / "code.py").write_text(f"open({str(copy / 'ran')!r}, 'w')\n")
    assert "--trust-remote-code" in _refused(copy)
    assert not (copy / "ran").exists()


def test_a_local_model_needs_no_network(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert run(_facts(engine(llama))).parameters_total == 82_496
    message = _refused(Path("nobody/no-such-model"), offline=True)
    assert "nobody/no-such-model" in message


def test_a_name_that_is_neither_folder_nor_repository_is_an_error() -> None:
    for name in ("hf:./nowhere", "hf:/nowhere/at/all", "hf:a/b/c", "hf:"):
        with pytest.raises(ConfigError):
            run(_facts(TransformersEngine(name, EngineOptions())))
    with pytest.raises(EngineError, match="no such file"):
        run(_facts(TransformersEngine("hf:nowhere.gguf", EngineOptions())))


def test_an_unknown_device_is_an_error(llama: Path) -> None:
    assert "no device is called" in _refused(llama, device="abacus")
    import torch

    if not torch.cuda.is_available():
        assert "no CUDA device" in _refused(llama, device="cuda")


def test_the_registry_opens_folders(llama: Path) -> None:
    assert isinstance(open_engine(f"hf:{llama}"), TransformersEngine)
    assert isinstance(open_engine(str(llama)), TransformersEngine)


# The embedded model


@pytest.mark.model
def test_the_embedded_model_speaks_through_transformers() -> None:
    from holdtrue.engines.fetch import fetch

    path = fetch("smollm2-135m")
    tiny = TransformersEngine(f"hf:{path}", EngineOptions(concurrency=1))

    async def talk() -> tuple[Any, Reply]:
        async with tiny:
            prompt = [Message(Role.USER, "What is the capital of France? One word.")]
            return tiny.facts(), await tiny.generate(prompt, GREEDY, seed=1)

    facts, reply = run(talk())
    assert "Paris" in reply.text
    assert facts.parameters_total == 134_515_008
    assert facts.source_hash == ("b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53")
    assert facts.template_system is not None
    assert "SmolLM" in facts.template_system
