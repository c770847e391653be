"""``python -m exchange`` is the command ``exchange``."""

from exchange.cli import main

if __name__ == "__main__":
    main()
