"""``python -m lipfarm`` is ``lipfarm``."""

from lipfarm.cli import main

if __name__ == "__main__":
    main()
