"""Agents on a JoyToken gateway: a model loop with tools, in the calling thread or in an event loop."""

from joytoken_sdk.agent.agent import Agent
from joytoken_sdk.agent.async_agent import AsyncAgent
from joytoken_sdk.agent.conditions import (
    StopCondition,
    StopDecision,
    max_cost,
    max_credits,
    max_tool_calls,
    step_count_is,
)
from joytoken_sdk.agent.core import AgentOptions, AgentRunOptions, ResumeOptions
from joytoken_sdk.agent.function_tool import tool
from joytoken_sdk.agent.identity import RunIdentity, RunOptions
from joytoken_sdk.agent.model import (
    AsyncModelProvider,
    AsyncStreamingProvider,
    ModelProvider,
    ModelRequest,
    ModelResponse,
    RunCall,
    StreamingProvider,
    StreamPart,
)
from joytoken_sdk.agent.output import AgentOutputError, Output, OutputFormat
from joytoken_sdk.agent.provider import AsyncJoyTokenProvider, JoyTokenProvider
from joytoken_sdk.agent.provider_chat import JoyTokenProtocol
from joytoken_sdk.agent.result import (
    AgentEvent,
    AgentResult,
    AgentState,
    AgentStep,
    DoneEvent,
    PendingEvent,
    StepEvent,
    TextEvent,
    ToolCallEvent,
    ToolResult,
    ToolResultEvent,
    UsageSummary,
)
from joytoken_sdk.agent.state import (
    PendingCall,
    RunState,
    RunStatus,
    StateError,
    StepState,
    ToolResultState,
    UsageState,
    encode_run_state,
    parse_run_state,
)
from joytoken_sdk.agent.store import AsyncRunStore, FileRunStore, MemoryRunStore, RunStore
from joytoken_sdk.agent.store_sqlite import SqliteRunStore
from joytoken_sdk.agent.tool import (
    AgentTool,
    Decision,
    Rejection,
    ToolExecuteFunc,
    ToolExecutionContext,
    define_tool,
)

__all__ = [
    "Agent",
    "AgentEvent",
    "AgentOptions",
    "AgentOutputError",
    "AgentResult",
    "AgentRunOptions",
    "AgentState",
    "AgentStep",
    "AgentTool",
    "AsyncAgent",
    "AsyncJoyTokenProvider",
    "AsyncModelProvider",
    "AsyncRunStore",
    "AsyncStreamingProvider",
    "Decision",
    "DoneEvent",
    "FileRunStore",
    "JoyTokenProtocol",
    "JoyTokenProvider",
    "MemoryRunStore",
    "ModelProvider",
    "ModelRequest",
    "ModelResponse",
    "Output",
    "OutputFormat",
    "PendingCall",
    "PendingEvent",
    "Rejection",
    "ResumeOptions",
    "RunCall",
    "RunIdentity",
    "RunOptions",
    "RunState",
    "RunStatus",
    "RunStore",
    "SqliteRunStore",
    "StateError",
    "StepEvent",
    "StepState",
    "StopCondition",
    "StopDecision",
    "StreamPart",
    "StreamingProvider",
    "TextEvent",
    "ToolCallEvent",
    "ToolExecuteFunc",
    "ToolExecutionContext",
    "ToolResult",
    "ToolResultEvent",
    "ToolResultState",
    "UsageState",
    "UsageSummary",
    "define_tool",
    "encode_run_state",
    "max_cost",
    "max_credits",
    "max_tool_calls",
    "parse_run_state",
    "step_count_is",
    "tool",
]
