"""A real HTTP server on loopback that answers from a script, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Answer:
    """``body`` as JSON unless it is bytes; ``drop`` closes after half of it."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drop: bool = False


def completion(text: Any = "Good morning.", **changes: Any) -> dict[str, Any]:
    """A chat completion; ``changes`` replace parts: reason, model, usage …"""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": changes.get("model", "tiny"),
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": changes.get("reason", "stop"),
            }
        ],
        "usage": changes.get("usage", {"prompt_tokens": 21, "completion_tokens": 4}),
    }


Script = Callable[[Asked], Answer | None]


class FakeServer:
    """``chat`` are the answers to POST in turn, the last one repeated; ``gets`` those to GET."""

    def __init__(
        self, *chat: Any, gets: dict[str, Any] | None = None, posts: dict[str, Any] | None = None
    ) -> None:
        self.chat = [item if isinstance(item, Answer) else Answer(item) for item in chat]
        self.gets = gets or {}
        self.posts = posts or {}
        self.asked: list[Asked] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self._lock = threading.Lock()

    def __enter__(self) -> FakeServer:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer._serve(self)

            def do_POST(self) -> None:
                outer._serve(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def chats(self) -> list[Asked]:
        """The requests for a reply."""
        return [item for item in self.asked if item.path.endswith(("/completions", "/api/chat"))]

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        raw = handler.rfile.read(length)
        asked = Asked(
            handler.command,
            handler.path,
            {key.lower(): value for key, value in handler.headers.items()},
            json.loads(raw) if raw else None,
        )
        with self._lock:
            self.asked.append(asked)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            answer = self._answer(asked)
        time.sleep(answer.delay)
        try:
            self._send(handler, answer)
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            with self._lock:
                self.in_flight -= 1

    def _answer(self, asked: Asked) -> Answer:
        table = self.gets if asked.method == "GET" else self.posts
        if asked.path in table:
            found = table[asked.path]
            return found if isinstance(found, Answer) else Answer(found)
        if asked.method == "GET" or not self.chat:
            return Answer({"error": {"message": "not found"}}, 404)
        return self.chat.pop(0) if len(self.chat) > 1 else self.chat[0]

    @staticmethod
    def _send(handler: BaseHTTPRequestHandler, answer: Answer) -> None:
        body = answer.body
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(answer.status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(content)))
        for key, value in answer.headers.items():
            handler.send_header(key, value)
        handler.end_headers()
        if answer.drop:
            handler.wfile.write(content[: len(content) // 2])
            handler.wfile.flush()
            handler.close_connection = True
            handler.connection.close()
            return
        handler.wfile.write(content)
