"""An agent in an event loop."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Unpack

from joytoken_sdk.agent.async_driver import AsyncDriver
from joytoken_sdk.agent.core import AgentCore, AgentOptions, AgentRunOptions, ResumeOptions, child_parameters
from joytoken_sdk.agent.model import AsyncModelProvider
from joytoken_sdk.agent.provider import AsyncJoyTokenProvider
from joytoken_sdk.agent.result import AgentEvent, AgentResult
from joytoken_sdk.agent.state import RunState
from joytoken_sdk.agent.tool import AgentTool, ToolExecutionContext


class AsyncAgent:
    """An `Agent` whose runs are awaited. Its tools may be coroutine functions; others are run in threads.

    Cancelling a run closes the model call that is under way.
    """

    def __init__(self, model: str | AsyncModelProvider = "auto", **options: Unpack[AgentOptions]) -> None:
        self._model: AsyncModelProvider = AsyncJoyTokenProvider(model) if isinstance(model, str) else model
        self._core = AgentCore(options)

    async def run(
        self,
        input: str | None = None,  # noqa: A002 - the word of all SDKs
        **options: Unpack[AgentRunOptions],
    ) -> AgentResult:
        """As `Agent.run`."""
        return await AsyncDriver(self._model, self._core.begin(input, options)).result()

    def stream(
        self,
        input: str | None = None,  # noqa: A002
        **options: Unpack[AgentRunOptions],
    ) -> AsyncGenerator[AgentEvent, None]:
        """As `Agent.stream`. Who leaves the loop early closes it: `contextlib.aclosing` does."""
        return AsyncDriver(self._model, self._core.begin(input, options), streamed=True).events()

    async def resume(self, run: str | RunState | Mapping[str, Any], **options: Unpack[ResumeOptions]) -> AgentResult:
        """As `Agent.resume`."""
        return await AsyncDriver(self._model, self._core.resume(run, options)).result()

    def resume_stream(
        self, run: str | RunState | Mapping[str, Any], **options: Unpack[ResumeOptions]
    ) -> AsyncGenerator[AgentEvent, None]:
        """As `Agent.resume_stream`."""
        return AsyncDriver(self._model, self._core.resume(run, options), streamed=True).events()

    def as_tool(self, name: str, description: str | None = None) -> AgentTool:
        """As `Agent.as_tool`."""

        async def execute(given: Any, context: ToolExecutionContext) -> str:
            return await AsyncDriver(self._model, self._core.as_child(name, given["input"], context)).result()

        return AgentTool(name, execute, description, child_parameters())
