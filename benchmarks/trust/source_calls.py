"""What in the source could run code that stands in a file: calls and imports that are not there."""

from __future__ import annotations

import ast
from collections.abc import Iterator

__all__ = ["dangers", "examined"]

_NAMES = {"eval", "exec", "compile", "__import__", "breakpoint"}
_MODULES = {
    "_pickle", "builtins", "cloudpickle", "code", "codeop", "dill", "ftplib", "http", "httpx", "joblib", "marshal",
    "multiprocessing", "pickle", "pty", "requests", "runpy", "shelve", "socket", "subprocess", "urllib", "xmlrpc",
}  # fmt: skip
_OF_OS = {"system", "popen", "startfile", "fork", "forkpty"}
_MUST_BE = {"weights_only": True, "allow_pickle": False, "trust_remote_code": False, "shell": False}
_BY_NAME = {
    "subbit/__init__.py": "of the table of public names",
    "subbit/kernels/__init__.py": "a module of kernels, by names in calls",
    "subbit/torch/__init__.py": "of the table of public names",
    "subbit/torch/pretrained.py": "a package, by names in calls",
    "subbit/analysis/pyplot.py": "matplotlib",
    "cli/subbit_cli/main.py": "of the table of commands",
}
"""Where modules are imported by a name that is computed, and from what; none of it stands in a file that is read."""

_MAY_IMPORT = {"subbit/model/workers/processes.py": "multiprocessing"}
"""Compressing starts processes of this program where it is asked for; reading a file does not."""


def examined(tree: ast.AST) -> int:
    """How many calls and imports there are to look at."""
    return sum(isinstance(node, ast.Call | ast.Import | ast.ImportFrom) for node in ast.walk(tree))


def dangers(tree: ast.AST, path: str) -> Iterator[str]:
    """What should not be there: "path:line: what"."""
    for node in ast.walk(tree):
        found = _import(node, path) or _call(node, path)
        if found:
            yield f"{path}:{getattr(node, 'lineno', 0)}: {found}"


def _import(node: ast.AST, path: str) -> str:
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    if isinstance(node, ast.ImportFrom) and not node.level:
        names = [node.module or ""]
    known = _MAY_IMPORT.get(path)
    bad = [name for name in names if name.split(".")[0] in _MODULES and name.split(".")[0] != known]
    return f"imports {bad[0]}" if bad else ""


def _call(node: ast.AST, path: str) -> str:
    if not isinstance(node, ast.Call):
        return ""
    name = ast.unparse(node.func)
    last = name.split(".")[-1]
    starts = name.startswith("os.") and (last in _OF_OS or last.startswith(("exec", "spawn", "posix_spawn")))
    if name in _NAMES or starts:
        return f"calls {name}"
    if name == "torch.load" and "weights_only" not in {word.arg for word in node.keywords}:
        return "torch.load without weights_only"
    for word in node.keywords:
        value = ast.unparse(word.value)
        if word.arg in _MUST_BE and value != str(_MUST_BE[word.arg]):
            return f"{name}({word.arg}={value})"
    if last == "import_module" and not isinstance(node.args[0], ast.Constant) and path not in _BY_NAME:
        return f"imports {ast.unparse(node.args[0])}"
    return ""
