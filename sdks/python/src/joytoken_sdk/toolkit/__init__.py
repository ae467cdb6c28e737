"""Tools that come with the package, and what holds them to their bounds."""

from joytoken_sdk.toolkit.expression import eval_expression
from joytoken_sdk.toolkit.file_tools import file_read, file_search, file_write, list_dir
from joytoken_sdk.toolkit.http_tool import (
    DEFAULT_HTTP_MAX_BYTES,
    DEFAULT_HTTP_TIMEOUT_S,
    HttpFetchConfig,
    http_fetch,
)
from joytoken_sdk.toolkit.kit import Toolkit, default_tools, workspace
from joytoken_sdk.toolkit.local_tools import calculator, date_time
from joytoken_sdk.toolkit.middleware import AuditLog, Middleware, ToolTimedOut, audit, timeout
from joytoken_sdk.toolkit.permission import (
    Permission,
    PermissionFunc,
    PermissionMode,
    PermissionRequest,
    ToolRefused,
)
from joytoken_sdk.toolkit.sandbox import DEFAULT_FILE_MAX_BYTES, DEFAULT_SEARCH_LIMIT, FileSandbox
from joytoken_sdk.toolkit.shell_tool import (
    DEFAULT_SHELL_OUTPUT_BYTES,
    DEFAULT_SHELL_TIMEOUT_S,
    ShellSandbox,
    shell,
)
from joytoken_sdk.toolkit.sql_statement import is_read_only_statement
from joytoken_sdk.toolkit.sql_tool import DEFAULT_SQL_MAX_ROWS, DEFAULT_SQL_TIMEOUT_S, SqlConfig, sql_query

__all__ = [
    "DEFAULT_FILE_MAX_BYTES",
    "DEFAULT_HTTP_MAX_BYTES",
    "DEFAULT_HTTP_TIMEOUT_S",
    "DEFAULT_SEARCH_LIMIT",
    "DEFAULT_SHELL_OUTPUT_BYTES",
    "DEFAULT_SHELL_TIMEOUT_S",
    "DEFAULT_SQL_MAX_ROWS",
    "DEFAULT_SQL_TIMEOUT_S",
    "AuditLog",
    "FileSandbox",
    "HttpFetchConfig",
    "Middleware",
    "Permission",
    "PermissionFunc",
    "PermissionMode",
    "PermissionRequest",
    "ShellSandbox",
    "SqlConfig",
    "ToolRefused",
    "ToolTimedOut",
    "Toolkit",
    "audit",
    "calculator",
    "date_time",
    "default_tools",
    "eval_expression",
    "file_read",
    "file_search",
    "file_write",
    "http_fetch",
    "is_read_only_statement",
    "list_dir",
    "shell",
    "sql_query",
    "timeout",
    "workspace",
]
