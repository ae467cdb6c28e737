"""The program that a test kills in the middle of an agent's run, and resumes."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import httpx2

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from joytoken_sdk.agent import Agent, AgentResult, FileRunStore, JoyTokenProvider, RunOptions, tool

QUESTION = "What is the weather in Paris?"


class Line(httpx2.BaseTransport):
    """Sends requests. After the answer with a certain number it tells of it and gives it to nobody."""

    def __init__(self, hang_after: int) -> None:
        self._wire = httpx2.HTTPTransport()
        self._hang_after = hang_after
        self._answers = 0
        self.replayed = 0

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        response = self._wire.handle_request(request)
        response.read()
        self._answers += 1
        self.replayed += response.headers.get("Idempotent-Replayed") == "true"
        if self._answers == self._hang_after:
            print(f"answer {self._answers}", flush=True)
            while True:
                time.sleep(3600)
        return response

    def close(self) -> None:
        self._wire.close()


@tool
def get_weather(city: str) -> dict[str, str]:
    """The weather in a city.

    Args:
        city: The city
    """
    return {"city": city, "weather": "sunny, 21 degrees"}


def run(options: argparse.Namespace, line: Line) -> AgentResult:
    with httpx2.Client(transport=line) as http_client:
        agent = Agent(
            JoyTokenProvider(options.model, http_client=http_client, timeout=None),
            tools=[get_weather],
            tool_choice={"type": "function", "function": {"name": "get_weather"}},
            temperature=0,
            max_tokens=48,
            store=FileRunStore(options.state),
        )
        if options.resume:
            return agent.resume(options.run_id)
        return agent.run(QUESTION, run=RunOptions(id=options.run_id))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="echo")
    parser.add_argument("--run-id", required=True)
    parser.add_argument("--state", required=True)
    parser.add_argument("--hang-after-answer", type=int, default=0)
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    line = Line(options.hang_after_answer)
    result = run(options, line)
    report: dict[str, Any] = {
        "finalText": result.final_text,
        "stoppedBy": result.stopped_by,
        "steps": len(result.steps),
        "requestIds": result.request_ids,
        "creditsUsed": result.credits_used,
        "replayed": line.replayed,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
