"""`python -m joytoken` is the `joytoken` command."""

if __name__ == "__main__":
    # Behind the guard, so that a walk over the package's modules does not load the command line.
    from joytoken.cli.main import main

    main()
