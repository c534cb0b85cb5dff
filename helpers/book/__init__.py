"""The book's own machinery: set up, build, adopt, open, diagnose, measure. No chapter imports it."""
