"""What processes say: one event a line, as JSON for machines or coloured for a person.

``LIPFARM_LOG_FORMAT`` is ``json`` or ``console`` (default: console on a terminal, else JSON);
``LIPFARM_LOG_LEVEL`` is ``debug``, ``info`` (default), ``warning`` or ``error``. Everything goes to
stderr, whatever library says it. Passwords, keys and signatures are taken out on the way.
"""

import contextlib
import json
import logging
import os
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

from infra.errors import SettingsError

FORMAT_VARIABLE = "LIPFARM_LOG_FORMAT"
LEVEL_VARIABLE = "LIPFARM_LOG_LEVEL"
LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("json", "console")

HIDDEN = "***"

_SECRET_NAMES = re.compile(
    r"password|passwd|secret|token|api_?key|access_?key|authorization|credential|cookie", re.I
)
#: user:PASSWORD@ of a URL; a query's signature or token; one of our own API keys.
_SECRET_TEXTS = re.compile(
    r"(?<=://)(?P<user>[^\s:/@]*):[^\s/@]+(?=@)"
    r"|(?P<name>\b(?:X-Amz-(?:Signature|Credential|Security-Token)|signature|token|api_?key)=)[^\s&]+",
    re.I,
)

#: Chatty at info about what is none of our users' business.
_QUIET = ("botocore", "boto3", "urllib3", "s3transfer", "httpx", "httpcore", "kombu", "amqp")


def configure_logs(*, log_format: str | None = None, level: str | None = None) -> None:
    """Send what this process says to stderr in the format and from the level on that are set.

    Args:
        log_format: ``json`` or ``console``; None takes the environment's word.
        level: one of :data:`LEVELS`; None takes the environment's word.

    Raises:
        SettingsError: there is no such format or level.
    """
    log_format = log_format or os.environ.get(FORMAT_VARIABLE) or _default_format()
    level = (level or os.environ.get(LEVEL_VARIABLE) or "info").lower()
    _require(FORMAT_VARIABLE, log_format, FORMATS)
    _require(LEVEL_VARIABLE, level, LEVELS)
    structlog.configure(
        processors=[*_shared(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    _take_over_standard_logging(log_format, level)


def get_logger(name: str) -> FilteringBoundLogger:
    """A logger: ``get_logger(__name__).info("step.completed", frames=120)``."""
    logger: FilteringBoundLogger = structlog.get_logger(name)
    return logger


def bound(**context: object) -> contextlib.AbstractContextManager[None]:
    """Everything this thread says inside the block carries the context: job, step, attempt."""
    known = {name: value for name, value in context.items() if value is not None}
    return structlog.contextvars.bound_contextvars(**known)


def hide_secrets(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Take out values named like secrets, and secrets inside texts."""
    return {name: _hidden(name, value) for name, value in event.items()}


def without_secrets(text: str) -> str:
    """The text with passwords of URLs and signatures of queries taken out."""
    return _SECRET_TEXTS.sub(_replacement, text)


def as_event(line: str) -> dict[str, Any] | None:
    """What a process said as JSON, or None where the line is something else."""
    if not line.startswith("{"):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None


def describe_event(event: Mapping[str, Any]) -> str:
    """An event of :func:`as_event` for a person: ``step.completed frames=120``; then traceback."""
    passed = {"event", "level", "timestamp", "logger", "exception"}
    details = " ".join(f"{name}={value}" for name, value in event.items() if name not in passed)
    line = f"{event['event']} {details}".rstrip()
    return f"{line}\n{event['exception']}" if event.get("exception") else line


def _default_format() -> str:
    return "console" if sys.stderr.isatty() else "json"


def _require(variable: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise SettingsError(f"{variable}: it is one of {', '.join(known)}, not {value!r}")


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        hide_secrets,
    ]


def _take_over_standard_logging(log_format: str, level: str) -> None:
    renderer: Processor
    if log_format == "json":
        renderer = structlog.processors.JSONRenderer(default=str)
    else:
        renderer = structlog.dev.ConsoleRenderer(
            # The other formatters show local variables, where keys may be.
            colors=sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,
        )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_shared(),
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(capture=True)


def _hidden(name: str, value: object) -> object:
    if _SECRET_NAMES.search(name):
        return HIDDEN
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, MutableMapping):
        return {key: _hidden(str(key), inner) for key, inner in value.items()}
    return value


def _replacement(found: re.Match[str]) -> str:
    if found["name"]:
        return f"{found['name']}{HIDDEN}"
    return f"{found['user']}:{HIDDEN}"
