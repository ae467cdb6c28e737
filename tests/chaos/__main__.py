"""`python -m tests.chaos`, which is what `make chaos` runs."""

from tests.chaos.run import main

if __name__ == "__main__":
    raise SystemExit(main())
