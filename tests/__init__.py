"""The suite beside nbval: a plugin that makes it strict, the book's own rules, and their tests."""
