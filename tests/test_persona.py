from __future__ import annotations

from holdtrue.persona import Persona, Voice, load_persona


def test_equal_content_has_an_equal_digest_and_any_change_another() -> None:
    one = Persona(name="Pim", voice=Voice(vocabulary=("map",)))
    assert one.digest == Persona(name="Pim", voice=Voice(vocabulary=("map",))).digest
    assert one.digest != Persona(name="Pim", voice=Voice(vocabulary=("maps",))).digest


def test_the_built_in_persona_is_found_by_name_in_any_case() -> None:
    assert load_persona("SAGE") == load_persona("sage")
    assert load_persona("sage").names[0] == "SAGE"
