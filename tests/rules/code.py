"""What a chapter's code may not do: reach the network, read the clock, import by the handful."""

from __future__ import annotations

import ast

from tests.rules.text import Text, tree
from tests.strict.cells import source_problems

_NETWORK = {
    "aiohttp",
    "ftplib",
    "http",
    "httpx",
    "huggingface_hub",
    "requests",
    "smtplib",
    "socket",
    "ssl",
    "telnetlib",
    "urllib",
    "urllib3",
    "wget",
    "xmlrpc",
}
_FETCHES = {"load_state_dict_from_url", "download_url_to_file", "download_url", "urlopen"}
_CLOCK = {
    ("time", "time"),
    ("time", "ctime"),
    ("time", "strftime"),
    ("time", "localtime"),
    ("datetime", "now"),
    ("datetime", "today"),
    ("datetime", "utcnow"),
    ("date", "today"),
}


def plain_cells(text: Text) -> list[str]:
    """No magics but one, no shell, no `;`, no bare seed, no comment that hides a cell."""
    return [
        text.problem(i, problem)
        for i, cell in text.code
        for problem in source_problems(cell.source)
    ]


def imports(text: Text) -> list[str]:
    """Names are imported one by one, and none of them reaches the network."""
    found = []
    for i, cell in text.code:
        for node in ast.walk(tree(cell)):
            modules: list[str] = []
            if isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
                if any(alias.name == "*" for alias in node.names):
                    found.append(text.problem(i, f"from {node.module} import *"))
            elif isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            for module in modules:
                if module.split(".")[0] in _NETWORK or module == "torch.hub":
                    found.append(text.problem(i, f"{module} reaches the network"))
                if module.startswith("helpers.book"):
                    found.append(text.problem(i, f"{module} is the machinery, not for chapters"))
    return found


def calls(text: Text) -> list[str]:
    """Nothing is downloaded, and nothing depends on the date or the time of day."""
    found = []
    for i, cell in text.code:
        for node in ast.walk(tree(cell)):
            if isinstance(node, ast.Attribute):
                owner = ast.unparse(node.value).split(".")[-1]
                if (owner, node.attr) in _CLOCK:
                    found.append(text.problem(i, f"{owner}.{node.attr} reads the clock"))
                if node.attr in _FETCHES or ast.unparse(node).startswith("torch.hub."):
                    found.append(text.problem(i, f"{node.attr} reaches the network"))
            if isinstance(node, ast.keyword) and _may_download(node):
                found.append(text.problem(i, f"{ast.unparse(node)} may download"))
    return found


def _may_download(keyword: ast.keyword) -> bool:
    if keyword.arg in ("download", "pretrained"):
        return not (isinstance(keyword.value, ast.Constant) and not keyword.value.value)
    # `weights` is also the word for numbers that weigh something, as in torch.bincount.
    is_name = isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, str)
    return keyword.arg == "weights" and (is_name or "Weights" in ast.unparse(keyword.value))
