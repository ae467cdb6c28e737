"""An agent in the calling thread."""

import inspect
from collections.abc import Generator, Mapping
from typing import Any, Unpack

from joytoken_sdk.agent.core import AgentCore, AgentOptions, AgentRunOptions, ResumeOptions, child_parameters
from joytoken_sdk.agent.model import ModelProvider
from joytoken_sdk.agent.provider import JoyTokenProvider
from joytoken_sdk.agent.result import AgentEvent, AgentResult
from joytoken_sdk.agent.state import RunState
from joytoken_sdk.agent.sync_driver import SyncDriver
from joytoken_sdk.agent.tool import AgentTool, ToolExecutionContext


class Agent:
    """A model loop with tools. One agent can have many runs at once.

    `model` is the name of a model of the gateway that the environment names, or a provider.
    """

    def __init__(self, model: str | ModelProvider = "auto", **options: Unpack[AgentOptions]) -> None:
        self._model: ModelProvider = JoyTokenProvider(model) if isinstance(model, str) else model
        if inspect.iscoroutinefunction(self._model.complete):
            raise TypeError("the provider is asynchronous, and needs an AsyncAgent")
        self._core = AgentCore(options)

    def run(
        self,
        input: str | None = None,  # noqa: A002 - the word of all SDKs
        **options: Unpack[AgentRunOptions],
    ) -> AgentResult:
        """Run until the model answers without calling a tool.

        A condition may stop it before, the gateway may refuse it for money or policy (see `result.refusal`), or a tool
        may need an approval (see `result.pending`). Raises what the provider or the store raises, or AgentOutputError.
        """
        return SyncDriver(self._model, self._core.begin(input, options)).result()

    def stream(
        self,
        input: str | None = None,  # noqa: A002
        **options: Unpack[AgentRunOptions],
    ) -> Generator[AgentEvent, None, AgentResult]:
        """Run, and give what happens as it happens; the last event is a `DoneEvent`. Closing it ends the run."""
        return SyncDriver(self._model, self._core.begin(input, options), streamed=True).events()

    def resume(self, run: str | RunState | Mapping[str, Any], **options: Unpack[ResumeOptions]) -> AgentResult:
        """Go on with a run, by its id in the agent's store or by its state, exactly where it was.

        A model call whose answer was paid for and not saved is made again under the same key, and the gateway gives the
        answer again. Tools whose results were not saved are run again.
        """
        return SyncDriver(self._model, self._core.resume(run, options)).result()

    def resume_stream(
        self, run: str | RunState | Mapping[str, Any], **options: Unpack[ResumeOptions]
    ) -> Generator[AgentEvent, None, AgentResult]:
        """Like `resume`, for a run that was streamed: a call that is made again must be the same, so it is streamed."""
        return SyncDriver(self._model, self._core.resume(run, options), streamed=True).events()

    def as_tool(self, name: str, description: str | None = None) -> AgentTool:
        """Return a tool that hands a piece of work over to this agent, and gives its final text.

        Its run is a child of the calling run: it drains that one's budget, is kept in its store, and counts in its
        usage and credits. Where its tools need an approval the calling run waits, too: the id of such a call is the
        calling run's, a slash, and the call's own.
        """

        def execute(given: Any, context: ToolExecutionContext) -> str:
            return SyncDriver(self._model, self._core.as_child(name, given["input"], context)).result()

        return AgentTool(name, execute, description, child_parameters())
