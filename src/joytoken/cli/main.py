"""The command `joytoken`. Each group is loaded when it is called, so that help and small commands are quick."""

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

import joytoken
from joytoken.cli.failure import INTERRUPTED, report

# Name → where its command is, and its line in the help.
COMMANDS = {
    "serve": ("joytoken.cli.serve:serve", "Run the gateway."),
    "init": ("joytoken.cli.init:init", "Set up a data folder and show its first credentials."),
    "keys": ("joytoken.cli.keys:keys", "Keys and their policies."),
    "budgets": ("joytoken.cli.budgets:budgets", "What projects, end users and runs may spend."),
    "admin-keys": ("joytoken.cli.admin_keys:admin_keys", "Credentials of the management API."),
    "wallet": ("joytoken.cli.wallet:wallet", "Wallets: balances, top-ups, grants, refunds, transfers, proof."),
    "webhooks": ("joytoken.cli.webhooks:webhooks", "Who is told of events, such as a low balance."),
    "prices": ("joytoken.cli.prices:prices", "What a credit is worth, and what models cost."),
    "models": ("joytoken.cli.models:models", "Models, deployments and prices."),
    "providers": ("joytoken.cli.providers:providers", "Providers: who answers."),
    "routes": ("joytoken.cli.routes:routes", "Why a request would go where."),
    "usage": ("joytoken.cli.usage:usage", "Where the money went."),
    "runs": ("joytoken.cli.runs:runs", "What an agent's run has cost."),
    "requests": ("joytoken.cli.requests:requests", "Requests and their receipts."),
    "incidents": ("joytoken.cli.incidents:incidents", "Nodes that were lost with money."),
    "call": ("joytoken.cli.call:call", "One chat call through the gateway."),
    "config": ("joytoken.cli.config:config", "Check and show the settings."),
    "doctor": ("joytoken.cli.doctor:doctor", "Look for what is wrong, with next steps."),
    "local": ("joytoken.cli.local:local", "A small real model on this machine."),
    "db": ("joytoken.cli.db:db", "The database: schema, copy, backup, restore."),
}


class Root(click.Group):
    """The commands by name, loaded late; every failure becomes a sentence and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # The reader has seen enough, as `head` does. What Python flushes at its end must go somewhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0

    def main(self, args: Sequence[str] | None = None, *_: Any, **extra: Any) -> Any:
        extra["standalone_mode"] = False
        try:
            code = super().main(args, **extra)
        except (KeyboardInterrupt, click.Abort):
            sys.exit(INTERRUPTED)
        except Exception as error:  # noqa: BLE001 - a person gets a sentence, never a traceback
            sys.exit(report(error))
        sys.exit(code if isinstance(code, int) else 0)


@click.command(cls=Root, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(joytoken.__version__, prog_name="joytoken")
def main() -> None:
    """JoyToken: one endpoint for all models, with keys, a router, wallets and receipts.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 refused, 5 not reachable.
    """
