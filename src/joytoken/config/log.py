"""How a process that serves writes its log: to standard error, as the settings say."""

import logging

import msgspec

from joytoken.config.settings import Log


class _JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def log_to_stderr(log: Log) -> None:
    """Set this process's logging up."""
    handler = logging.StreamHandler()
    text = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(_JsonLines() if log.format == "json" else text)
    # What libraries tell of their ordinary doings is of no use to an operator; "debug" shows that too.
    others = log.level if log.level != "info" else "warning"
    logging.basicConfig(level=others.upper(), handlers=[handler], force=True)
    logging.getLogger("joytoken").setLevel(log.level.upper())
