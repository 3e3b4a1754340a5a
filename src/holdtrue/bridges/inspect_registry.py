"""What Inspect AI finds of holdtrue through its entry point: a task, a scorer and models.

``inspect eval holdtrue/capacity --model PROVIDER/MODEL`` runs our test with Inspect's providers;
``--model holdtrue/NAME`` runs any task of Inspect with our engines. Importing this module registers
them; it does nothing else.
"""

from __future__ import annotations

from inspect_ai.model import modelapi

from holdtrue.bridges.inspect_task import capacity, hold_session, session_scores

__all__ = ["capacity", "hold_session", "holdtrue_models", "session_scores"]


@modelapi(name="holdtrue")
def holdtrue_models() -> type:
    """Our engines as a provider: ``holdtrue/smollm2-135m``, ``holdtrue/hf:FOLDER`` …"""
    from holdtrue.bridges.inspect_models import HoldtrueModels

    return HoldtrueModels
