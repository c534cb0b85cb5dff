"""The book's own machinery: set up, build, adopt, open, diagnose. No chapter imports it."""

import sys

# nbformat asks for jsonschema, and that for a grammar of international addresses, which takes
# longer to compile (1.2 s) than all else that reads a notebook. jsonschema does without, and no
# notebook's schema holds such an address.
sys.modules.setdefault("rfc3987_syntax", None)
