"""Training: exact masks, exact resume, and refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sleepkit import small_dataset
from tinymodel import make_tiny

from holdtrue.errors import ConfigError, EngineError
from holdtrue.sleep.dataset import Dataset, sealed
from holdtrue.sleep.manifest import check_base, read_manifest
from holdtrue.sleep.sham import sham_of
from holdtrue.sleep.train import TrainSettings, train
from holdtrue.sleep.weights import load_base

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
SETTINGS = TrainSettings(epochs=3, batch=2, checkpoint_every=2, learning_rate=5e-3, rank=4)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_tiny(tmp_path_factory.mktemp("tiny"))


class StoppedError(Exception):
    """Stands for a kill."""


def test_only_the_personas_own_tokens_and_the_end_of_its_turn_are_learnt(tiny: str) -> None:
    from holdtrue.sleep.masks import Encoder

    base = load_base(tiny)
    encoder = Encoder(base.tokenizer, where="tiny")
    example = small_dataset().train[1]
    encoded = encoder.encode(example.prompt, example.reply)
    chat = [m.model_dump() for m in (*example.prompt, *example.completion)]
    whole = base.tokenizer.apply_chat_template(chat, tokenize=False).rstrip("\n")
    assert base.tokenizer.decode(encoded.tokens) == whole
    # Token by token: the learnt ones spell the reply and its end, the others all that is before.
    pairs = list(zip(encoded.tokens, encoded.mask, strict=True))
    learnt = base.tokenizer.decode([token for token, mark in pairs if mark])
    before = base.tokenizer.decode([token for token, mark in pairs if not mark])
    assert learnt == example.reply + "<|im_end|>"
    assert before.endswith("<|im_start|>assistant\n")
    assert before == base.tokenizer.apply_chat_template(
        chat[:-1], tokenize=False, add_generation_prompt=True
    )


def test_the_loss_is_that_of_the_learnt_tokens_alone(tiny: str) -> None:
    import torch

    from holdtrue.sleep.masks import Encoder
    from holdtrue.sleep.train import log_probabilities

    base = load_base(tiny)
    example = small_dataset().train[0]
    encoded = Encoder(base.tokenizer, where="tiny").encode(example.prompt, example.reply)
    tokens = torch.tensor([encoded.tokens])
    labels = tokens.clone()
    labels[0, [place for place, mark in enumerate(encoded.mask) if not mark]] = -100
    with torch.no_grad():
        expected = float(base.model(input_ids=tokens, labels=labels).loss)
        ours = -float(log_probabilities(base.model, encoded).mean())
    assert ours == pytest.approx(expected, rel=1e-5)


def test_resumed_training_gives_the_losses_of_an_uninterrupted_one(
    tiny: str, tmp_path: Path
) -> None:
    settings = SETTINGS.model_copy(update={"dropout": 0.1})
    whole = train(small_dataset(), tiny, tmp_path / "whole", settings)

    def stop(step: int, steps: int, loss: float) -> None:
        if step == 5:
            raise StoppedError

    with pytest.raises(StoppedError):
        train(small_dataset(), tiny, tmp_path / "cut", settings, on_step=stop)
    steps: list[int] = []
    again = train(
        small_dataset(),
        tiny,
        tmp_path / "cut",
        settings,
        on_step=lambda step, total, loss: steps.append(step),
    )
    assert steps[0] == 5  # the checkpoint was that of step 4
    assert again.losses == whole.losses
    assert again.held_out == whole.held_out
    assert again.manifest.adapter_hash == whole.manifest.adapter_hash
    assert not (tmp_path / "cut" / "checkpoints").exists()


def test_held_out_loss_falls_and_a_neutral_shams_falls_less(tiny: str, tmp_path: Path) -> None:
    dataset = small_dataset()
    adapter = train(dataset, tiny, tmp_path / "adapter", SETTINGS)
    sham = train(sham_of(dataset, "neutral", 0), tiny, tmp_path / "sham", SETTINGS)
    first, last = adapter.held_out[0], adapter.held_out[max(adapter.held_out)]
    sham_last = sham.held_out[max(sham.held_out)]
    assert sham.held_out[0] == first
    assert last < first
    assert first - sham_last < first - last
    assert sham.manifest.dataset_kind == "sham (neutral)"


def test_an_adapter_names_its_base_and_no_other_takes_it(tiny: str, tmp_path: Path) -> None:
    trained = train(small_dataset(), tiny, tmp_path / "a", SETTINGS)
    base = load_base(tiny)
    assert check_base(tmp_path / "a", base.source_hash, tiny) == trained.manifest
    other = load_base(make_tiny(tmp_path / "other", seed=1))
    assert other.source_hash != base.source_hash
    with pytest.raises(ConfigError, match="was trained on"):
        check_base(tmp_path / "a", other.source_hash, "other")
    config = json.loads((tmp_path / "a" / "adapter_config.json").read_text())
    assert config["peft_type"] == "LORA"


def test_the_engine_opens_an_adapter_and_refuses_one_of_another_base(
    tiny: str, tmp_path: Path
) -> None:
    from holdtrue.engines.base import EngineOptions
    from holdtrue.engines.hf_loading import load_model
    from holdtrue.engines.hf_source import find_source

    train(small_dataset(), tiny, tmp_path / "a", SETTINGS)
    options = EngineOptions(adapter=tmp_path / "a")
    loaded = load_model(find_source(tiny, options), options)
    assert loaded.adapter_hash == read_manifest(tmp_path / "a").adapter_hash
    other = make_tiny(tmp_path / "other", seed=1)
    with pytest.raises(EngineError, match="another base"):
        load_model(find_source(other, options), options)


def test_the_base_on_disk_is_not_touched(tiny: str, tmp_path: Path) -> None:
    folder = Path(tiny.removeprefix("hf:"))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    train(small_dataset(), tiny, tmp_path / "a", SETTINGS)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_dataset_of_another_tokenizer_is_refused(tiny: str, tmp_path: Path) -> None:
    bound = small_dataset(tokenizer=load_base(tiny).tokenizer_hash)
    train(bound, tiny, tmp_path / "fits", SETTINGS)
    other = make_tiny(tmp_path / "other", extra="<|other|>")
    with pytest.raises(ConfigError, match="bound to tokenizer"):
        train(bound, other, tmp_path / "does-not", SETTINGS)


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_checkpoint(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from holdtrue.sleep import checkpoints
    from holdtrue.sleep.train import Trainer

    real = Trainer._backward

    def spoilt(self: Trainer, places: list[int]) -> float:
        loss = real(self, places)
        return float("nan") if self.state.step == 4 else loss

    monkeypatch.setattr(Trainer, "_backward", spoilt)
    with pytest.raises(EngineError, match="step 5 is not a number") as caught:
        train(small_dataset(), tiny, tmp_path / "a", SETTINGS)
    kept = checkpoints.latest(tmp_path / "a")
    assert kept is not None
    assert kept.name == "step-000004"
    assert "last good checkpoint is kept" in str(caught.value)
    assert not (tmp_path / "a" / "manifest.json").exists()


def test_weights_in_four_bits_are_trained_on_and_spoken_with(tiny: str, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    from bitsandbytes.nn import Linear4bit

    from holdtrue.engines.base import EngineOptions
    from holdtrue.engines.hf_loading import load_model
    from holdtrue.engines.hf_source import find_source

    options = EngineOptions(bits=4, threads=1)  # many tiny steps, which threads only hold up
    base = load_base(tiny, options)
    assert any(isinstance(module, Linear4bit) for module in base.model.modules())
    trained = train(small_dataset(), tiny, tmp_path / "a", SETTINGS, options=options)
    assert trained.held_out[max(trained.held_out)] < trained.held_out[0]
    with_adapter = EngineOptions(bits=4, threads=1, adapter=tmp_path / "a")
    loaded = load_model(find_source(tiny, with_adapter), with_adapter)
    assert loaded.adapter_hash == trained.manifest.adapter_hash


def test_a_long_example_is_computed_again_to_the_same_gradients(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from holdtrue.sleep import train as module

    kept = train(small_dataset(), tiny, tmp_path / "kept", SETTINGS)
    monkeypatch.setattr(module, "KEPT_WHOLE", 0)
    again = train(small_dataset(), tiny, tmp_path / "again", SETTINGS)
    assert again.losses == pytest.approx(kept.losses, rel=1e-5)


def test_a_model_of_which_layers_are_computed_again_has_such_layers(tiny: str) -> None:
    from holdtrue.sleep.train import recomputing_layers

    assert len(recomputing_layers(load_base(tiny).model)) == 3  # two layers and their stack


def test_a_checkpoint_of_other_settings_names_what_differs(tiny: str, tmp_path: Path) -> None:
    def stop(step: int, steps: int, loss: float) -> None:
        if step == 3:
            raise StoppedError

    with pytest.raises(StoppedError):
        train(small_dataset(), tiny, tmp_path / "a", SETTINGS, on_step=stop)
    changed = SETTINGS.model_copy(update={"learning_rate": 1e-3})
    with pytest.raises(ConfigError, match="differing: settings"):
        train(small_dataset(), tiny, tmp_path / "a", changed)


def test_preferences_are_learnt_from_pairs(tiny: str, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"objective": "dpo", "epochs": 4, "beta": 0.5})
    trained = train(small_dataset(), tiny, tmp_path / "a", settings)
    assert trained.losses[0] == pytest.approx(0.6931, abs=1e-3)  # log 2: no preference yet
    assert trained.losses[-1] < trained.losses[0]


def test_a_dataset_without_pairs_cannot_teach_preferences(tiny: str, tmp_path: Path) -> None:
    dataset = small_dataset()
    bare: Dataset = sealed(dataset.train, dataset.held_out, (), dataset.card)
    with pytest.raises(ConfigError, match="no preference pairs"):
        train(bare, tiny, tmp_path / "a", SETTINGS.model_copy(update={"objective": "dpo"}))


def test_a_full_memory_is_told_with_what_helps(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from holdtrue.sleep.train import Trainer

    def full(self: Trainer, places: list[int]) -> float:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 1 byte")

    monkeypatch.setattr(Trainer, "_backward", full)
    with pytest.raises(EngineError, match="memory is full") as caught:
        train(small_dataset(), tiny, tmp_path / "a", SETTINGS)
    assert "--max-tokens" in str(caught.value)


def test_a_missing_library_names_the_extra(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from holdtrue.sleep import weights

    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EngineError, match="holdtrue\\[sleep\\]"):
        load_base(tiny)


@pytest.mark.parametrize("name", ["scripted:mixed", "openai:x@http://localhost:1", "no-such"])
def test_a_model_without_weights_here_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be trained"):
        load_base(name)
