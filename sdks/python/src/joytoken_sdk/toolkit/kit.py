"""Tools with a permission and middleware around them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from joytoken_sdk.agent.tool import AgentTool
from joytoken_sdk.toolkit.file_tools import file_read, file_search, file_write, list_dir
from joytoken_sdk.toolkit.local_tools import calculator, date_time
from joytoken_sdk.toolkit.middleware import Middleware
from joytoken_sdk.toolkit.permission import Permission, PermissionFunc
from joytoken_sdk.toolkit.sandbox import FileSandbox


class Toolkit:
    """Tools, wrapped. The first middleware is outermost, and the permission is within all of them."""

    def __init__(
        self,
        tools: Iterable[AgentTool] = (),
        *,
        permission: Permission | None = None,
        middleware: Sequence[Middleware] = (),
    ) -> None:
        self._permission = permission or Permission()
        self._middleware = tuple(middleware)
        self._tools: dict[str, AgentTool] = {}
        self.register(*tools)

    def register(self, *tools: AgentTool) -> "Toolkit":
        """Add tools; one with the name of another takes its place."""
        self._tools.update({tool.name: tool for tool in tools})
        return self

    def tools(self) -> list[AgentTool]:
        """Return the tools, wrapped, in the order in which they were registered."""
        return [self._wrapped(tool) for tool in self._tools.values()]

    def _wrapped(self, tool: AgentTool) -> AgentTool:
        execute = self._permission.around(tool.name, tool.execute)
        for around in reversed(self._middleware):
            execute = around(tool.name, execute)
        return replace(tool, execute=execute)


def default_tools(*, permission: Permission | None = None, middleware: Sequence[Middleware] = ()) -> list[AgentTool]:
    """Return the tools that touch nothing: `calculator` and `datetime`."""
    return Toolkit([calculator(), date_time()], permission=permission, middleware=middleware).tools()


def workspace(root: str | Path, ask: PermissionFunc | None = None) -> list[AgentTool]:
    """Return the file tools of a folder.

    Searching, listing and reading are free; each write asks, and is refused where nobody can be asked.
    """
    sandbox = FileSandbox(root)
    free = (file_search(sandbox), list_dir(sandbox), file_read(sandbox))
    return [*free, file_write(sandbox, Permission("ask", ask))]
