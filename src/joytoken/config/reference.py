"""The reference of all settings, as `docs/configuration.md` has it."""

from typing import Any

from joytoken.config.fields import SHORT_NAMES, Field, fields, model_fields, sections
from joytoken.config.settings import ModelOverride

_HEAD = """\
# Configuration

Nothing has to be configured: `joytoken serve` starts with the defaults below.

Settings come from four sources, each stronger than the one before:

1. the defaults;
2. `joytoken.toml`: the file named by `--config` or `JOY_TOKEN_CONFIG`, else the one in the working folder, else the one
   in the data folder;
3. environment variables: `JOY_TOKEN_`, the section and the name, such as `JOY_TOKEN_SERVER_PORT`; lists are separated
   by commas;
4. options of the command line, such as `joytoken serve --port 8000`.

`joytoken config check` names every mistake with its file, line and the nearest valid name; `joytoken config show` tells
each value and where it came from. A setting's unit is the end of its name. Amounts are decimal text, so that they are
exact.

```toml
[server]
port = 8000
trusted_proxies = ["10.0.0.0/8"]

[money]
zone = "Europe/Berlin"

[models."openai/gpt-4o-mini"]
tier = "economy"
```

This page is generated: `joytoken config reference`.
"""

_SHORT = """\
## Short names

These variables work without their section; where both spellings are set, the one with the section counts.

| variable | setting |
|---|---|
"""


def reference() -> str:
    """The whole page as Markdown."""
    parts = [_HEAD]
    by_section: dict[tuple[str, ...], list[Field]] = {}
    for field in fields().values():
        by_section.setdefault(field.path[:-1], []).append(field)
    for path, struct in sections():
        parts.append(f"## `[{'.'.join(path)}]`\n\n{struct.__doc__}\n")
        parts.append(_table(by_section.get(path, []), env=True))
    parts.append(f'## `[models."NAME"]`\n\n{ModelOverride.__doc__}\n')
    parts.append(_table(list(model_fields().values()), env=False))
    parts.append(_SHORT + "".join(f"| `{env}` | `{name}` |\n" for env, name in SHORT_NAMES.items()))
    return "\n".join(parts)


def _table(rows: list[Field], *, env: bool) -> str:
    lines = ["| name | default | unit | type | meaning |", "|---|---|---|---|---|"]
    lines += [
        f"| `{row.path[-1]}` | {_spell(row.default)} | {row.unit} | {row.kind} | {row.help}{_variable(row, env=env)} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def _variable(field: Field, *, env: bool) -> str:
    return f" `{field.env}`" if env else ""


def _spell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    if isinstance(value, str):
        return f'`"{value}"`'
    return "`[]`" if isinstance(value, tuple) else f"`{value}`"
