"""The suite beside nbval: a plugin that makes it strict, the book's own rules, and their tests."""

# First of all: it keeps what nbval imports light.
from helpers import book  # noqa: F401
