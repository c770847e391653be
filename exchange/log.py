"""Structured logs: one JSON object a line on standard error, or text for people, coloured on a terminal."""

from __future__ import annotations

import logging
import sys
from typing import TypeAlias

import structlog
from structlog.typing import FilteringBoundLogger, Processor

Logger: TypeAlias = FilteringBoundLogger


def configure_logging(level: str = "info", *, json: bool = True) -> None:
    """Set up structlog, and send uvicorn's and asyncio's loggers the same way. Called once per process."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: Processor
    if json:
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    # Two lines for every socket, and none of them says whose: worth reading only when hunting a fault.
    logging.getLogger("uvicorn").setLevel(number if number < logging.INFO else max(number, logging.WARNING))


def get_logger(name: str) -> Logger:
    """A logger bound to the part of the system that speaks."""
    logger: Logger = structlog.get_logger(part=name)
    return logger
