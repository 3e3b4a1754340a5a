from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdtrue.errors import ConfigError
from holdtrue.persona import Persona, load_persona
from holdtrue.protocol import load_protocol
from holdtrue.tomlfile import load_toml


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "p.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_an_unknown_key_names_file_line_key_and_the_nearest_valid_one(tmp_path: Path) -> None:
    path = written(tmp_path, 'schema = 1\nname = "Pim"\nexpansoin = "x"\n')
    with pytest.raises(ConfigError) as caught:
        load_toml(path, Persona)
    assert caught.value.where == f"{path}, line 3"
    assert "'expansoin'" in caught.value.message
    assert "expansion" in (caught.value.remedy or "")


def test_an_unknown_key_in_a_table_is_found_in_that_table(tmp_path: Path) -> None:
    text = 'name = "Pim"\n\n[voice]\nvocabulary = []\n\n[relationship]\nvocabulary = []\n'
    with pytest.raises(ConfigError) as caught:
        load_toml(written(tmp_path, text), Persona)
    assert str(caught.value.where).endswith("line 7")
    assert "partner" in (caught.value.remedy or "")


def test_a_key_in_the_second_element_of_an_array_is_found_there(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        'name = "own"\ndescription = "d"\n'
        '[[phases]]\nname = "a"\nfirst = 1\n'
        '[[phases.flow]]\nintent = "x"\nphrasings = ["p"]\n'
        '[[phases.flow]]\nintent = "y"\nphrasing = ["p"]\n',
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as caught:
        load_protocol(str(path))
    assert "line 9" in str(caught.value.where) or "line 11" in str(caught.value.where)


def test_a_syntax_error_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="line 2"):
        load_toml(written(tmp_path, 'name = "Pim"\nnature = \n'), Persona)


def test_an_unknown_persona_offers_the_nearest_names() -> None:
    with pytest.raises(ConfigError) as caught:
        load_persona("sgae")
    assert "sage" in (caught.value.remedy or "")


def test_a_missing_file_and_a_binary_file_are_errors_with_their_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_persona(str(tmp_path / "none.toml"))
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_persona(str(tmp_path / "b.toml"))


@given(st.text(max_size=200))
def test_any_text_is_a_persona_or_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "p.toml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        persona = load_toml(path, Persona)
    except ConfigError as error:
        where = str(error.where)
    else:
        assert persona.name
        return
    assert where.startswith(str(path))
