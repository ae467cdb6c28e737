"""The stub provider and the load generator: they compile without a warning, and they tell the truth."""

import http.client
import json
import os
import socket
import threading

import pytest

from bench import processes
from bench.processes import BenchError, Stub, run_load


@pytest.fixture
def stub(tmp_path):
    with Stub(processes.cores()[-1], tmp_path / "stub.log", chunks=5) as running:
        yield running


def ask(port: int, body: object, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    chunked = bool(headers)
    payload = json.dumps(body).encode()
    halves = iter([payload[:9], payload[9:]]) if chunked else payload
    connection.request("POST", "/v1/chat/completions", halves, headers, encode_chunked=chunked)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


@pytest.mark.parametrize("name", ["stub", "load"])
def test_it_compiles_with_warnings_as_errors(name, tmp_path):
    program = processes.compiled(name, tmp_path)
    assert os.access(program, os.X_OK)
    changed = program.stat().st_mtime_ns
    assert processes.compiled(name, tmp_path).stat().st_mtime_ns == changed


@pytest.mark.parametrize("headers", [{}, {"Transfer-Encoding": "chunked"}])
def test_a_plain_request_gets_a_completion_with_usage(stub, headers):
    status, text = ask(stub.port, {"model": "m", "messages": [{"content": '"stream":true'}]}, **headers)
    answer = json.loads(text)
    assert (status, answer["object"]) == (200, "chat.completion")
    usage = answer["usage"]
    assert usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"] > 0


@pytest.mark.parametrize("headers", [{}, {"Transfer-Encoding": "chunked"}])
def test_a_stream_has_its_chunks_then_usage_then_done(stub, headers):
    _, text = ask(stub.port, {"stream_options": {"include_usage": True}, "stream": True}, **headers)
    events = [event.removeprefix("data: ") for event in text.split("\n\n")[:-1]]
    assert events.pop() == "[DONE]"
    chunks = [json.loads(event) for event in events]
    assert chunks.pop()["usage"]["total_tokens"] > 0
    assert chunks.pop()["choices"][0]["finish_reason"] == "stop"
    assert len(chunks) == 5
    assert all(chunk["choices"][0]["delta"]["content"] for chunk in chunks)


def test_paced_chunks_keep_their_distance(tmp_path):
    with Stub(processes.cores()[-1], tmp_path / "stub.log", chunks=4, gap_ms=30) as paced:
        figures, complaint = run_load(
            processes.cores()[-1], paced.port, connections=2, stream=True, seconds=0.5, warm=0, needle="[DONE]"
        )
    assert (figures["errors"], complaint) == (0, "")
    assert figures["answers"] > 0
    assert figures["p50_ms"] >= 4 * 30 - 5  # three gaps between the chunks, one before the end
    assert figures["ttfb_p50_ms"] < figures["p50_ms"]


@pytest.mark.parametrize("stream", [False, True])
def test_the_load_counts_what_the_stub_served(stub, stream):
    figures, complaint = run_load(
        processes.cores()[-1],
        stub.port,
        connections=4,
        stream=stream,
        seconds=0.3,
        warm=0.1,
        needle='"usage"',
        measured=stub.pids,
    )
    assert (figures["errors"], figures["reconnects"], complaint) == (0, 0, "")
    assert figures["answers"] > 0
    assert figures["rps"] > 0
    assert 0 < figures["p50_ms"] <= figures["p90_ms"] <= figures["p99_ms"] <= figures["max_ms"]
    assert figures["cpu_us"] > 0
    assert figures["rss_mb"] > 0
    if stream:  # five chunks, the stop, the usage, [DONE]; the window cuts some streams at its edges
        assert 7 < figures["chunks"] / figures["answers"] < 9 or figures["answers"] < 50
        assert 0 < figures["cpu_us_chunk"] < figures["cpu_us"]
    stub.stop()
    served = stub.served()
    assert served["cut_short"] == 0  # what was under way at the end of the window was let finish
    assert served["streams" if stream else "plain"] == figures["completed"] >= figures["answers"]


def test_an_answer_without_the_needle_is_an_error(stub):
    figures, complaint = run_load(
        processes.cores()[-1], stub.port, connections=1, seconds=0.1, warm=0, needle="no such bytes"
    )
    assert figures["errors"] >= figures["answers"] > 0
    assert "200 OK" in complaint


REFUSAL = b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
BROKEN = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
CUT_SHORT = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"


@pytest.mark.parametrize("answer", [REFUSAL, BROKEN, CUT_SHORT])
def test_a_bad_answer_is_an_error(answer):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                with peer:
                    if peer.recv(65536):
                        peer.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            figures, complaint = run_load(
                processes.cores()[-1], server.getsockname()[1], connections=1, seconds=0.2, warm=0
            )
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
    assert figures["errors"] > 0
    assert figures["reconnects"] > 0
    assert complaint


def test_a_server_that_is_not_there_is_said_so():
    with pytest.raises(BenchError, match="connect"):
        run_load(processes.cores()[-1], processes.free_port(), connections=1, seconds=0.1, warm=0)


def test_the_whole_tree_is_measured(tmp_path):
    command = ["sh", "-c", "sleep 30 & sleep 30 & wait"]
    with processes.Process(processes.cores()[0], command, tmp_path / "log") as process:
        while len(process.pids) < 3:
            process.check_alive()
        assert process.pids[0] == process.child.pid
        assert processes.resident_mb(process.pids) > 0
    assert process.child.returncode is not None
