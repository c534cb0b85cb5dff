"""The book's own machinery: set up, build, adopt, open, diagnose. No chapter imports it."""
