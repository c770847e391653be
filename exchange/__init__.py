"""An asyncio-native exchange: one process, one event loop, one writer."""

__version__ = "0.1.0"
