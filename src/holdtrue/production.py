"""Production sessions: a chain in which number, summary and exemplars carry over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from holdtrue.engines.base import Engine
from holdtrue.files import inside, write_atomic
from holdtrue.persona import Persona
from holdtrue.protocol import Protocol
from holdtrue.runs import Journal, read_journal
from holdtrue.session import SessionPlan, plan_session, run_session, session_seed, turn_seed
from holdtrue.transcript import Transcript, Turn, to_json
from holdtrue.workspace import Workspace, read_state, record_session, snapshot_of


@dataclass(frozen=True, slots=True)
class Production:
    """What a chain's sessions have in common.

    With ``dry_folder`` nothing under ``production/`` is written: transcripts go there, and every
    session starts from the present state.
    """

    workspace: Workspace
    persona: Persona
    protocol: Protocol
    model: str
    seed: int
    phase: str | None = None
    dry_folder: Path | None = None

    def plan(self, index: int) -> SessionPlan:
        """The plan of the ``index``-th session of this command (from 1), from the state as it is.

        A chain's session draws from its number, a dry one from its index.
        """
        sessions = self.protocol.anchoring.exemplars.sessions
        snapshot = snapshot_of(read_state(self.workspace), self.persona, sessions=sessions)
        dry = self.dry_folder is not None
        number = index if dry else snapshot.session
        return plan_session(
            self.persona,
            self.protocol,
            model=self.model,
            number=number,
            seed=session_seed(self.seed, number),
            snapshot=snapshot,
            phase=self.protocol.phase_named(self.phase) if self.phase else None,
            dry_run=dry,
            cluster=None if dry else f"{self.persona.name}/{self.model}",
            label="dry" if dry else "session",
        )

    async def hold(
        self, plan: SessionPlan, engine: Engine, show: Callable[[SessionPlan, Turn], None]
    ) -> tuple[Path, Transcript]:
        """Hold one session and store it; an interrupted one goes on from its journalled turns."""
        if self.dry_folder is not None:
            transcript = await run_session(plan, engine, on_turn=show)
            return write_atomic(
                self.dry_folder / f"{plan.id}.json", to_json(transcript)
            ), transcript
        root = self.workspace.root
        path = inside(root, root / "production" / "journal.jsonl")
        finished = _fitting(plan, read_journal(path).get(plan.number, ()))
        if not finished:
            path.unlink(missing_ok=True)
        with Journal(path) as journal:

            def on_turn(plan: SessionPlan, turn: Turn) -> None:
                journal.turn(plan, turn)
                show(plan, turn)

            transcript = await run_session(plan, engine, finished=finished, on_turn=on_turn)
        stored = record_session(self.workspace, transcript)
        path.unlink(missing_ok=True)
        return stored, transcript


def _fitting(plan: SessionPlan, turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """Journalled turns, if they are those that this plan would have asked."""
    fit = len(turns) <= len(plan.prompts) and all(
        turn.prompt == plan.prompts[turn.index - 1]
        and turn.seed == turn_seed(plan.seed, turn.index)
        for turn in turns
    )
    return turns if fit else ()
