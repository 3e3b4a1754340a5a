"""Continuous batching of conversations over a SlotCache, in one worker thread.

Rows join and leave between tokens. Every row draws with its own generator; since a batch's make-up
changes the last bits of the logits, equal seeds give equal text only where each prompt is run by
itself from its first token (``replay``). One model, one thread: nothing here is faster for being
asked from several.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

from holdtrue.engines.hf_forward import Forward
from holdtrue.engines.hf_requests import Batcher, Ending, Request
from holdtrue.engines.hf_sampling import choose
from holdtrue.engines.hf_slots import MIN_SHARED, SlotCache, best_source, choose_row, common_prefix
from holdtrue.errors import EngineError, GenerationError

PREFILL_TOKENS = 1_024


class SlotBatcher(Batcher):
    """Up to ``rows`` replies at once; more prompts wait their turn.

    ``replay`` evaluates every prompt from its beginning and alone.
    """

    name = "continuous, one cache row a conversation"

    def __init__(
        self, forward: Forward, ending: Ending, *, rows: int, replay: bool = False
    ) -> None:
        super().__init__(forward, ending)
        self.replay = replay
        self.cache = SlotCache(1 if replay else rows, ending.context)
        self._waiting: deque[Request] = deque()
        self._active: list[Request] = []
        self._clock = 0
        self._closed = False
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="hf-batching", daemon=True)
        self._thread.start()

    def _put(self, request: Request) -> None:
        with self._change:
            if self._closed:
                raise EngineError("the engine is not open")
            self._waiting.append(request)
            self._change.notify()

    def close(self) -> None:
        with self._change:
            self._closed = True
            self._change.notify()
        self._thread.join()
        for request in [*self._active, *self._waiting]:
            request.fail(GenerationError("the engine was closed"))
        self.cache.forget()

    def _run(self) -> None:
        while True:
            with self._change:
                while not (self._closed or self._waiting or self._active):
                    self._change.wait()
                if self._closed:
                    return
            try:
                with self._change:
                    self._admit()
                self._step()
            except Exception as error:
                self._fail_all(error)

    def _fail_all(self, error: Exception) -> None:
        """A failed pass leaves the cache in doubt: everything on its way fails, rows are empty."""
        fault = self.forward.explain(error)
        for request in self._active:
            self.cache.rows[request.row].busy = False
            request.fail(GenerationError(fault.message, remedy=fault.remedy))
        self._active = []
        self.cache.forget()

    def _admit(self) -> None:
        """Give rows to waiting prompts, except those that a prompt being read will help."""
        for request in list(self._waiting):
            if request.future.cancelled():
                self._waiting.remove(request)
                continue
            found = choose_row(self.cache.rows, request.tokens)
            if found is None:
                return
            row, held = found
            source, shared = best_source(self.cache.rows, request.tokens)
            if self.replay:
                held = shared = 0
            elif self._will_be_held(request.tokens) >= max(held, shared) + MIN_SHARED:
                continue
            self._waiting.remove(request)
            if shared >= held + MIN_SHARED:
                self.cache.copy_prefix(source, row, shared)
                held = shared
            self._start(request, row, min(held, len(request.tokens) - 1))

    def _will_be_held(self, tokens: Sequence[int]) -> int:
        """How much of a prompt will be in the cache once the prompts being read have been."""
        reading = [other for other in self._active if other.is_reading]
        return max((common_prefix(other.tokens, tokens) for other in reading), default=0)

    def _start(self, request: Request, row: int, held: int) -> None:
        self._clock += 1
        slot = self.cache.rows[row]
        slot.busy, slot.used = True, self._clock
        slot.tokens = slot.tokens[:held]
        request.row, request.done = row, held
        request.evaluated = len(request.tokens) - held
        self.evaluated_tokens += request.evaluated
        self._active.append(request)

    def _step(self) -> None:
        for request in [item for item in self._active if item.future.cancelled()]:
            self._leave(request)
        reading = [request for request in self._active if request.is_reading]
        if reading:
            self._read(reading)
        writing = [request for request in self._active if not request.is_reading]
        if writing:
            self._write(writing)

    def _read(self, reading: list[Request]) -> None:
        """Evaluate a piece of each prompt; those that end draw their first token."""
        width = max(MIN_SHARED, PREFILL_TOKENS // len(reading))
        pieces = [request.tokens[request.done : request.done + width] for request in reading]
        rows = [request.row for request in reading]
        logits = self.forward.run(self.cache, rows, pieces)
        ended = []
        for place, (request, piece) in enumerate(zip(reading, pieces, strict=True)):
            request.done += len(piece)
            self.cache.rows[request.row].tokens += piece
            if not request.is_reading:
                ended.append(place)
        if ended:
            self._draw([reading[place] for place in ended], logits[ended])

    def _write(self, writing: list[Request]) -> None:
        """Evaluate the last token of each reply and draw the next."""
        by_row = {request.row: request for request in writing}
        top = max(by_row) + 1
        # Rows from the first on are read in place; a few far-off ones are better copied out.
        rows = list(range(top)) if 2 * len(by_row) > top else sorted(by_row)
        pieces = [[by_row[row].said[-1]] if row in by_row else [] for row in rows]
        logits = self.forward.run(self.cache, rows, pieces)
        for request in writing:
            self.cache.rows[request.row].tokens.append(request.said[-1])
        places = [place for place, row in enumerate(rows) if row in by_row]
        self._draw([by_row[rows[place]] for place in places], logits[places])

    def _draw(self, requests: list[Request], logits: Any) -> None:
        tokens = choose(logits, [request.draw for request in requests])
        for request, token in zip(requests, tokens, strict=True):
            if request.take(token, self.ending):
                self._leave(request)

    def _leave(self, request: Request) -> None:
        self.cache.rows[request.row].busy = False
        self._active.remove(request)
