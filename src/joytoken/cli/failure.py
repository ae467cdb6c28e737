"""From an error to a sentence, a next step and an exit code.

0 done · 1 failed · 2 wrong usage or value · 3 not found · 4 refused (money, policy, conflict) · 5 not reachable
"""

import click

from joytoken.admin.vault import VaultError
from joytoken.config.load import ConfigError
from joytoken.domain.errors import GatewayError

FAILED, USAGE, NOT_FOUND, REFUSED, UNREACHABLE, INTERRUPTED = 1, 2, 3, 4, 5, 130

# The exit code of an error by its type.
CODES = {
    "invalid_request_error": USAGE,
    "not_found_error": NOT_FOUND,
    "method_not_allowed": FAILED,
    "missing_api_key": REFUSED,
    "invalid_api_key": REFUSED,
    "insufficient_quota": REFUSED,
    "policy_rejected": REFUSED,
    "conflict_error": REFUSED,
    "rate_limit_error": REFUSED,
    "routing_error": UNREACHABLE,
    "upstream_error": UNREACHABLE,
    "service_unavailable": UNREACHABLE,
}

# What to do next, by the finer code of an error.
NEXT = {
    "unknown_key": "joytoken keys list",
    "unknown_model": "joytoken models list",
    "unknown_provider": "joytoken providers list",
    "unknown_request": "joytoken requests list",
    "unknown_incident": "joytoken incidents list",
    "wallet_empty": "joytoken wallet top-up AMOUNT --tier TIER --idempotency-key KEY",
    "no_data_dir": "joytoken init, or joytoken serve; for a gateway elsewhere JOY_TOKEN_URL and JOY_TOKEN_ADMIN_KEY",
    "invalid_api_key": "check JOY_TOKEN_ADMIN_KEY or --admin-key (for calls: JOY_TOKEN_API_KEY or --api-key)",
    "unreachable": "check the address, and that the gateway runs: joytoken serve",
    "unknown_grant": "joytoken wallet grants --all",
    "unknown_webhook": "joytoken webhooks list",
    "unknown_admin_key": "joytoken admin-keys list",
    "last_admin_key": "joytoken admin-keys create NAME",
    "ambiguous_name": "joytoken keys list",
}


class Stop(Exception):
    """Ends a command with an exit code after it has said everything itself."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Failure(Exception):
    """A command's own error: a sentence, an exit code, and perhaps a next step."""

    def __init__(self, message: str, code: int = FAILED, next_step: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.next_step = next_step


def report(error: Exception) -> int:
    """Tell a person what went wrong, on standard error; returns the exit code."""
    if isinstance(error, Stop):
        return error.code
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if isinstance(error, ConfigError):
        for problem in error.problems:
            click.echo(f"error: {problem}", err=True)
        return USAGE
    if isinstance(error, GatewayError):
        where = f" ({error.param})" if error.param else ""
        _say(f"{error.message}{where}", NEXT.get(error.code, ""))
        return CODES.get(error.type, FAILED)
    if isinstance(error, Failure):
        _say(str(error), error.next_step)
        return error.code
    if isinstance(error, VaultError):
        _say(str(error), "joytoken doctor")
        return FAILED
    _say(f"{type(error).__name__}: {error}", "joytoken doctor")
    return FAILED


def _say(message: str, next_step: str) -> None:
    click.echo(f"error: {message}", err=True)
    if next_step:
        click.echo(f"next: {next_step}", err=True)
