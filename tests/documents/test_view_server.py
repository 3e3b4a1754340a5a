"""`holdtrue view`: this machine only, no files, no other names, two runs compared."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

import record_factory as make
from command_line import HOLDTRUE
from holdtrue.documents.server import Site, make_server
from holdtrue.errors import WorkspaceError
from holdtrue.runs import CONFIG


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out")
    make.store_run(folder, "20261123-090000-thor-30b-aaaa", "30B")
    make.store_run(folder, "20261123-100000-thor-4b-bbbb", "4B")
    broken = folder / "runs" / "20261123-110000-broken"
    broken.mkdir()
    (broken / CONFIG).write_text("{", encoding="utf-8")
    (folder / "secret.txt").write_text("secret", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def server(out: Path) -> Iterator[ThreadingHTTPServer]:
    with make_server(Site(out), 0) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def ask(
    server: ThreadingHTTPServer, path: str, host: str | None = None, method: str = "GET"
) -> tuple[int, str, dict[str, str]]:
    port = server.server_address[1]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    connection.putheader("Host", host or f"127.0.0.1:{port}")
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body, dict(answer.getheaders())


def test_it_listens_on_this_machine_only(server: ThreadingHTTPServer) -> None:
    assert server.server_address[0] == "127.0.0.1"


def test_the_index_lists_every_run_the_newest_first(server: ThreadingHTTPServer) -> None:
    status, body, _ = ask(server, "/")
    assert status == 200
    names = re.findall(r'href="/run/([^"]+)"', body)
    assert names == [
        "20261123-110000-broken",
        "20261123-100000-thor-4b-bbbb",
        "20261123-090000-thor-30b-aaaa",
    ]
    assert "cannot be read" in body


def test_a_run_has_its_page_with_a_way_back(server: ThreadingHTTPServer) -> None:
    status, body, headers = ask(server, "/run/20261123-090000-thor-30b-aaaa")
    assert status == 200
    assert "<h1" in body
    assert 'href="/"' in body
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_any_two_runs_are_compared(server: ThreadingHTTPServer) -> None:
    a, b = "20261123-090000-thor-30b-aaaa", "20261123-100000-thor-4b-bbbb"
    status, body, _ = ask(server, f"/compare?a={a}&b={b}")
    assert status == 200
    data = json.loads(re.search(r'id="data">(.*?)</script>', body, re.S)[1])  # type: ignore[index]
    assert data["arms"] == ["A: 30B", "B: 4B"]
    assert ask(server, f"/compare?a={a}&b={a}")[0] == 422
    assert ask(server, f"/compare?a={a}&b=nothing")[0] == 404
    assert ask(server, "/compare")[0] == 404


def test_a_broken_run_says_what_is_wrong(server: ThreadingHTTPServer) -> None:
    status, body, _ = ask(server, "/run/20261123-110000-broken")
    assert status == 422
    assert 'role="alert"' in body


@pytest.mark.parametrize(
    "path",
    [
        "/secret.txt",
        "/../secret.txt",
        "/run/../secret.txt",
        "/run/..",
        "/run/%2e%2e",
        "/run/..%2f..%2fsecret.txt",
        "/run//etc/passwd",
        "/run/",
        "//example.org/",
        "/run/*",
        "/<script>alert(1)</script>",
        "/run/" + "a" * 2000,
    ],
)
def test_no_path_leads_out_of_the_list(server: ThreadingHTTPServer, path: str) -> None:
    status, body, _ = ask(server, path)
    assert status in (200, 404)
    assert status == 404 or path == "//example.org/"
    assert "secret" not in body.replace("secret.txt", "")
    assert "<script>alert" not in body
    assert "root:" not in body


@pytest.mark.parametrize("host", ["example.org", "127.0.0.1", "127.0.0.1:1", "evil:80", ""])
def test_another_host_name_is_refused(server: ThreadingHTTPServer, host: str) -> None:
    status, body, _ = ask(server, "/", host=host or " ")
    assert status == 421
    assert "run/" not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_nothing_but_reading_is_offered(server: ThreadingHTTPServer, method: str) -> None:
    assert ask(server, "/", method=method)[0] == 501
    assert ask(server, "/", method="HEAD")[1] == ""


def test_a_taken_port_is_explained(server: ThreadingHTTPServer, out: Path) -> None:
    with pytest.raises(WorkspaceError, match="cannot be used"):
        make_server(Site(out), server.server_address[1])


def test_it_stops_with_ctrl_c_and_exit_code_0(out: Path) -> None:
    command = [*HOLDTRUE, "view", "--out", str(out), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert re.fullmatch(r"Serving http://127\.0\.0\.1:\d+/ \(Ctrl-C stops it\)\n", line)
            os.kill(process.pid, signal.SIGINT)
            rest, _ = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, rest.strip()) == (0, "Stopped.")


def test_report_writes_the_documents_again_and_announces_nothing(out: Path, tmp_path: Path) -> None:
    from holdtrue.cli.report import command

    run = out / "runs" / "20261123-090000-thor-30b-aaaa"
    result = CliRunner().invoke(
        command, [str(run), "--out", str(tmp_path), "--json"], standalone_mode=False
    )
    assert result.exception is None
    names = [Path(path).name for path in json.loads(result.output)["written"]]
    assert "THOR_30B_CAPACITY_TEST.md" in names
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    assert "LATEST_STATUS.md" not in names
