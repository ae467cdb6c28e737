"""JoyToken for Python: the `openai` package on a gateway, what the gateway adds to it, and agents.

Names are loaded when they are first used, so that importing this costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from joytoken_sdk.version import __version__

if TYPE_CHECKING:
    from joytoken_sdk.account import (
        KeyInfo,
        KeyLimit,
        KeyPolicy,
        KeyWallet,
        Receipt,
        ReceiptAttempt,
        ReceiptEnding,
        ReceiptMoney,
        ReceiptRequest,
        ReceiptRoute,
        RunNode,
        RunRequest,
        RunTree,
    )
    from joytoken_sdk.catalog import CatalogOption, ModelInfo, ModelMetadata, Pricing, PricingSku, PricingTier
    from joytoken_sdk.chat_assembly import ChatAssembly
    from joytoken_sdk.client import AsyncJoyToken, JoyToken
    from joytoken_sdk.environment import DEFAULT_API_BASE_URL, openai_base_url_of
    from joytoken_sdk.errors import (
        AuthenticationFailed,
        Conflict,
        ConnectionFailed,
        InsufficientQuota,
        InvalidCall,
        InvalidRequest,
        JoyTokenAPIError,
        JoyTokenError,
        NotFound,
        PermissionRefused,
        RateLimited,
        RequestTimedOut,
        ServerError,
        error_of,
    )
    from joytoken_sdk.finish_reason import FinishReasonKind, classify_finish_reason
    from joytoken_sdk.metadata import CallBilling, CallLatency, CallMetadata, call_metadata, usage_of
    from joytoken_sdk.openai_clients import async_openai_client, openai_client
    from joytoken_sdk.orchestration import (
        ORCHESTRATION_FINAL_TASK_ID,
        OrchestrationResult,
        OrchestrationStage,
        parse_orchestration_response,
    )
    from joytoken_sdk.run_naming import run_headers
    from joytoken_sdk.tool_calls import ToolCallAssembly, parse_tool_arguments, stringify_tool_result, to_chat_tool

_HOMES = {
    "account": (
        "KeyInfo KeyLimit KeyPolicy KeyWallet Receipt ReceiptAttempt ReceiptEnding ReceiptMoney "
        "ReceiptRequest ReceiptRoute RunNode RunRequest RunTree"
    ),
    "catalog": "CatalogOption ModelInfo ModelMetadata Pricing PricingSku PricingTier",
    "chat_assembly": "ChatAssembly",
    "client": "AsyncJoyToken JoyToken",
    "environment": "DEFAULT_API_BASE_URL openai_base_url_of",
    "errors": (
        "AuthenticationFailed Conflict ConnectionFailed InsufficientQuota InvalidCall InvalidRequest "
        "JoyTokenAPIError JoyTokenError NotFound PermissionRefused RateLimited RequestTimedOut ServerError "
        "error_of"
    ),
    "finish_reason": "FinishReasonKind classify_finish_reason",
    "metadata": "CallBilling CallLatency CallMetadata call_metadata usage_of",
    "openai_clients": "async_openai_client openai_client",
    "orchestration": "ORCHESTRATION_FINAL_TASK_ID OrchestrationResult OrchestrationStage parse_orchestration_response",
    "run_naming": "run_headers",
    "tool_calls": "ToolCallAssembly parse_tool_arguments stringify_tool_result to_chat_tool",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "DEFAULT_API_BASE_URL",
    "ORCHESTRATION_FINAL_TASK_ID",
    "AsyncJoyToken",
    "AuthenticationFailed",
    "CallBilling",
    "CallLatency",
    "CallMetadata",
    "CatalogOption",
    "ChatAssembly",
    "Conflict",
    "ConnectionFailed",
    "FinishReasonKind",
    "InsufficientQuota",
    "InvalidCall",
    "InvalidRequest",
    "JoyToken",
    "JoyTokenAPIError",
    "JoyTokenError",
    "KeyInfo",
    "KeyLimit",
    "KeyPolicy",
    "KeyWallet",
    "ModelInfo",
    "ModelMetadata",
    "NotFound",
    "OrchestrationResult",
    "OrchestrationStage",
    "PermissionRefused",
    "Pricing",
    "PricingSku",
    "PricingTier",
    "RateLimited",
    "Receipt",
    "ReceiptAttempt",
    "ReceiptEnding",
    "ReceiptMoney",
    "ReceiptRequest",
    "ReceiptRoute",
    "RequestTimedOut",
    "RunNode",
    "RunRequest",
    "RunTree",
    "ServerError",
    "ToolCallAssembly",
    "__version__",
    "async_openai_client",
    "call_metadata",
    "classify_finish_reason",
    "error_of",
    "openai_base_url_of",
    "openai_client",
    "parse_orchestration_response",
    "parse_tool_arguments",
    "run_headers",
    "stringify_tool_result",
    "to_chat_tool",
    "usage_of",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
