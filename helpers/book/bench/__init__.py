"""``make bench``: what the book costs on this machine, as ratios of what one run measured.

Wall times on a busy machine say little, so each figure is a ratio whose two sides are measured in
turn in the same run. The measure of the suite is the code alone: all chapters as plain scripts,
one after the other in one process that has imported what they import.
"""

from helpers.book.bench.run import main
from helpers.book.bench.server import SERVE, Kernel, Server, serving

__all__ = ["SERVE", "Kernel", "Server", "main", "serving"]
