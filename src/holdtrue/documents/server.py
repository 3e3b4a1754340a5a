"""A server for this machine only: the index of runs, a page a run, and any two compared.

It listens on 127.0.0.1, answers only requests that name that host (so that no web site can reach
it through a name of its own), serves no file, and knows a run only by a name from its own list.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from urllib.parse import parse_qs, unquote, urlsplit

from holdtrue.documents.index import list_runs, render_index
from holdtrue.errors import HoldtrueError, WorkspaceError
from holdtrue.runs import CONFIG, RUNS

HOST = "127.0.0.1"
TIMEOUT = 30
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": "frame-ancestors 'none'",
}


class Site:
    """The pages of an output folder, by path. ``page`` raises HoldtrueError for a bad run."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self._drawing = Lock()  # Matplotlib's settings are the process's

    def page(self, target: str) -> tuple[HTTPStatus, str]:
        """Status and HTML for the path and query of a request."""
        parts = urlsplit(target)
        if parts.path == "/":
            return HTTPStatus.OK, self.index()
        try:
            if parts.path.startswith("/run/"):
                return HTTPStatus.OK, self.run(unquote(parts.path.removeprefix("/run/")))
            if parts.path == "/compare":
                query = parse_qs(parts.query, max_num_fields=10)
                return HTTPStatus.OK, self.compare(*(query.get(k, [""])[0] for k in ("a", "b")))
        except LookupError:
            pass
        except (HoldtrueError, ValueError) as error:
            return HTTPStatus.UNPROCESSABLE_ENTITY, self.index(message=str(error))
        return HTTPStatus.NOT_FOUND, self.index(message="There is no such page or run.")

    def index(self, message: str = "") -> str:
        """The list of runs."""
        place = str(self.out)
        return render_index(list_runs(self.out), place=place, message=message)

    def run(self, name: str) -> str:
        """The page of a run. Raises LookupError for a name that is not in the list."""
        with self._drawing:
            return _run_page(self._folder(name), self._state(name))

    def compare(self, a: str, b: str) -> str:
        """Two runs compared, B against A."""
        folders, states = (self._folder(a), self._folder(b)), (self._state(a), self._state(b))
        if a == b:
            raise WorkspaceError("a run cannot be compared with itself", remedy="Choose two runs.")
        with self._drawing:
            return _comparison_page(*folders, *states)

    def _folder(self, name: str) -> Path:
        """The run's folder, looked up among those that are there: a path is never built."""
        for path in (self.out / RUNS).glob(f"*/{CONFIG}"):
            if path.parent.name == name:
                return path.parent
        raise LookupError(name)

    def _state(self, name: str) -> tuple[tuple[str, int, int], ...]:
        """What changes when the run does: its files with their times and sizes."""
        from holdtrue.runs import open_run

        run = open_run(self._folder(name))
        paths = [*sorted(run.transcripts_folder.glob("*.json")), *sorted(run.folder.glob("*.json"))]
        stats = [(path.name, path.stat()) for path in paths]
        return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats)


@lru_cache(maxsize=8)
def _run_page(folder: Path, state: object) -> str:
    from holdtrue.capacity import load_record
    from holdtrue.documents.capacity_report import capacity_document
    from holdtrue.documents.page import render_page
    from holdtrue.runs import open_run

    return render_page(capacity_document(load_record(open_run(folder))), home="/")


@lru_cache(maxsize=8)
def _comparison_page(a: Path, b: Path, state_a: object, state_b: object) -> str:
    from holdtrue.capacity import load_record
    from holdtrue.comparison import compare_arms
    from holdtrue.documents.comparison_report import comparison_document
    from holdtrue.documents.page import render_page
    from holdtrue.runs import open_run

    first, second = (load_record(open_run(folder)) for folder in (a, b))
    labels = (first.config.label, second.config.label)
    names = labels if labels[0] != labels[1] else (a.name, b.name)
    comparison = compare_arms(first.sessions, second.sessions, names=names)
    document = comparison_document(comparison, first.sessions, second.sessions)
    return render_page(document, home="/")


def make_server(site: Site, port: int) -> ThreadingHTTPServer:
    """A server on 127.0.0.1; ``port`` 0 takes one that is free.

    Raises WorkspaceError when the port cannot be used.
    """
    try:
        return _Server((HOST, port), _handler(site.page))
    except OSError as error:
        raise WorkspaceError(
            f"port {port} cannot be used: {error.strerror}",
            where=HOST,
            remedy="Name another with --port, or 0 for any that is free.",
        ) from None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 32

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that goes away in the middle is no news; anything else is a defect."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def _handler(page: Callable[[str], tuple[HTTPStatus, str]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        server_version = "holdtrue"
        sys_version = ""
        protocol_version = "HTTP/1.1"
        timeout = TIMEOUT

        def do_GET(self) -> None:
            self._answer()

        def do_HEAD(self) -> None:
            self._answer()

        def _answer(self) -> None:
            port = self.connection.getsockname()[1]
            if self.headers.get("Host", "") not in (f"{HOST}:{port}", f"localhost:{port}"):
                self._send(HTTPStatus.MISDIRECTED_REQUEST, "Ask for 127.0.0.1.")
                return
            try:
                status, body = page(self.path)
            except OSError as error:
                status, body = HTTPStatus.INTERNAL_SERVER_ERROR, escape(f"Cannot read: {error}")
            self._send(status, body)

        def _send(self, status: HTTPStatus, body: str) -> None:
            data = body.encode("utf-8", "replace")
            self.send_response(status)
            for name, value in HEADERS.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Requests are not written anywhere."""

    return Handler
