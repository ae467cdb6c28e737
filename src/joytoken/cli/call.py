"""`joytoken call`: one chat call through the gateway, as any client makes it."""

import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec

from joytoken.cli.failure import CODES, FAILED, NEXT, UNREACHABLE, Failure
from joytoken.cli.init import url_of
from joytoken.cli.output import Output
from joytoken.cli.remote import connect
from joytoken.cli.session import URL_ENV, json_option, place_options, settings_for

API_KEY_ENV = "JOY_TOKEN_API_KEY"
PATH = "/openai/v1/chat/completions"
TIMEOUT_S = 600.0


@click.command()
@click.argument("text")
@click.option("--model", default="auto", show_default=True, help="A model's name, or auto.")
@click.option("--tier", metavar="T", help="economy, standard or premium.")
@click.option("--system", metavar="TEXT", help="A system message before it.")
@click.option("--max-tokens", type=int, metavar="N", help="Bound of the output.")
@click.option("--stream", is_flag=True, help="Show the answer as it comes.")
@click.option("--url", metavar="URL", help=f"The gateway. [env: {URL_ENV}; default: the configured one]")
@click.option("--api-key", metavar="KEY", help=f"The key that pays. [env: {API_KEY_ENV}]")
@place_options
@json_option
def call(
    *,
    text: str,
    stream: bool,
    url: str | None,
    api_key: str | None,
    data_dir: str | None,
    config: str | None,
    as_json: bool,
    **wanted: Any,
) -> None:
    """Ask TEXT of a model, through the gateway. A dash reads the text from standard input."""
    out = Output(as_json=as_json)
    key = api_key or os.environ.get(API_KEY_ENV)
    if not key:
        raise click.UsageError(
            f"a key is needed: --api-key, or the variable {API_KEY_ENV}; joytoken keys create NAME makes one"
        )
    address = url or os.environ.get(URL_ENV)
    if not address:
        server = settings_for(data_dir, config).settings.server
        address = url_of(server.host, server.port)
    said = sys.stdin.read() if text == "-" else text
    body = _body(said, stream=stream, **wanted)
    with _posted(address, key, msgspec.json.encode(body)) as response:
        if response.status != 200:
            raise _refusal(response)
        if stream:
            _show_stream(out, response)
        else:
            _show_answer(out, msgspec.json.decode(response.read()))


def _body(said: str, *, model: str, system: str | None, stream: bool, **fields: Any) -> dict[str, Any]:
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": said})
    given = {name: value for name, value in fields.items() if value is not None}
    return {"model": model, "messages": messages, "stream": stream, **given}


@contextmanager
def _posted(address: str, key: str, body: bytes) -> Iterator[HTTPResponse]:
    parts = urlsplit(address if "://" in address else f"http://{address}")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise click.UsageError(f"{address!r} is not the address of a gateway such as http://127.0.0.1:7410")
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    with closing(connect(parts.scheme, parts.hostname, parts.port, TIMEOUT_S)) as connection:
        try:
            connection.request("POST", parts.path.rstrip("/") + PATH, body, headers)
            response = connection.getresponse()
        except (OSError, HTTPException, UnicodeError) as error:
            said = f"no gateway answers at {parts.scheme}://{parts.netloc}: {error}"
            raise Failure(said, UNREACHABLE, "joytoken serve, or --url") from error
        with response:
            yield response


def _refusal(response: HTTPResponse) -> Failure:
    kind = code = own = ""
    try:
        error = msgspec.json.decode(response.read())["error"]
        kind, code, own = error["type"], error.get("code") or error["type"], error.get("request_id") or ""
        said = f"{error['message']} ({code})"
    except (msgspec.MsgspecError, KeyError, TypeError):
        said = f"the answer was HTTP {response.status}"
    default = UNREACHABLE if response.status >= 500 else FAILED
    # A request that reached a provider has a receipt; what was refused before has none to show.
    receipt = f"joytoken requests show {own}" if kind == "upstream_error" and own else ""
    return Failure(said, CODES.get(kind, default), receipt or NEXT.get(code, ""))


def _show_answer(out: Output, answer: dict[str, Any]) -> None:
    if out.as_json:
        out.document(answer)
        return
    for choice in answer.get("choices", []):
        message = choice.get("message") or {}
        out.text(message.get("content") or msgspec.json.encode(message.get("tool_calls")).decode())
    _tell(out, answer.get("metadata"))


def _show_stream(out: Output, response: HTTPResponse) -> None:
    metadata: dict[str, Any] | None = None
    for event in _events(response):
        if out.as_json:
            out.line(event)
            continue
        if "error" in event:
            raise Failure(event["error"].get("message", "the stream broke off"))
        metadata = event.get("metadata") or metadata
        for choice in event.get("choices", []):
            sys.stdout.write((choice.get("delta") or {}).get("content") or "")
            sys.stdout.flush()
    if not out.as_json:
        out.text("")
        _tell(out, metadata)


def _events(response: HTTPResponse) -> Iterator[dict[str, Any]]:
    """The events of the gateway's own stream, each of which has one `data:` line."""
    try:
        for line in response:
            data = line.strip().removeprefix(b"data:").strip() if line.startswith(b"data:") else b""
            if data and data != b"[DONE]":
                yield msgspec.json.decode(data)
    except (OSError, HTTPException) as error:
        raise Failure(f"the stream broke off: {error}", UNREACHABLE) from error


def _tell(out: Output, metadata: dict[str, Any] | None) -> None:
    if metadata:
        billing = metadata.get("billing") or {}
        out.say(
            f"{metadata.get('model')} at {metadata.get('provider')}, tier {metadata.get('tier')}: "
            f"{billing.get('credits_used')} credits for {billing.get('input_tokens')} + {billing.get('output_tokens')} "
            f"tokens. joytoken requests show {metadata.get('request_id')}"
        )
