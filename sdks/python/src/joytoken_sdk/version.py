"""The version of this package, which also names it to the gateway."""

__version__ = "0.2.0"
USER_AGENT = f"joytoken-sdk-python/{__version__}"
