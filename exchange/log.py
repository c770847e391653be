"""Structured logs: one JSON object a line on standard error, or coloured text for people."""

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
    renderer: Processor = structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer()
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


def get_logger(name: str) -> Logger:
    """A logger bound to the part of the system that speaks."""
    logger: Logger = structlog.get_logger(part=name)
    return logger
