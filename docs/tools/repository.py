"""A hook of mkdocs: links into the repository work on the site as they do in the repository.

Markdown files outside of docs/ that a page links to become pages under repository/, other files are copied there, and
links to folders become plain text, as a site has none. Only links to what is not there are left: mkdocs refuses them.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
_PREFIX = "repository/"
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Bring in what pages link to, and what that links to, from outside of docs/."""
    waiting = list(files.documentation_pages())
    waiting += [_bring(path.removeprefix(_PREFIX), files, config) for path in sorted(_named(config.nav))]
    while waiting:
        page = waiting.pop()
        for path in sorted(_outside(page)):
            if files.get_file_from_path(_PREFIX + path) is None and (ROOT / path).is_file():
                added = _bring(path, files, config)
                if added.is_documentation_page():
                    waiting.append(added)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links at where the site has what they name."""
    here = posixpath.dirname(page.file.src_uri)

    def moved(link: re.Match[str]) -> str:
        bang, text, target = link.groups()
        path, anchor = _target(page.file, target)
        if path is None:
            return link[0]
        if (ROOT / path).is_dir():
            return text
        name = path.removeprefix("docs/") if path.startswith("docs/") else _PREFIX + path
        return f"{bang}[{text}]({posixpath.relpath(name, here or '.')}{anchor})"

    return _outside_of_code(markdown, lambda text: _LINK.sub(moved, text))


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Docstrings name things as :class:`File`: the name alone is shown."""
    return re.sub(r":(?:class|func|meth):(?=<code>)", "", html)


def _outside_of_code(markdown: str, change: Callable[[str], str]) -> str:
    """Change everything but fenced blocks."""
    parts = re.split(r"(^```.*?^```$)", markdown, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else change(part) for part in parts)


def _bring(path: str, files: Files, config: MkDocsConfig) -> File:
    file = File.generated(config, _PREFIX + path, abs_src_path=str(ROOT / path))
    files.append(file)
    return file


def _named(nav: object) -> set[str]:
    """Pages under repository/ that the navigation names."""
    if isinstance(nav, str):
        return {nav} if nav.startswith(_PREFIX) else set()
    parts = nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else ()
    return {found for part in parts for found in _named(part)}


def _outside(page: File) -> set[str]:
    """Paths in the repository, outside of docs/, that a page links to."""
    found: set[str] = set()

    def look(text: str) -> str:
        targets = (_target(page, link[3])[0] for link in _LINK.finditer(text))
        found.update(path for path in targets if path is not None and not path.startswith("docs/"))
        return text

    _outside_of_code(page.content_string, look)
    return found


def _target(page: File, target: str) -> tuple[str | None, str]:
    """The path in the repository that a link names, and its anchor; none where it leads elsewhere."""
    if "://" in target or target.startswith(("#", "mailto:")):
        return None, ""
    path, mark, anchor = target.partition("#")
    own = page.src_uri.removeprefix(_PREFIX) if page.src_uri.startswith(_PREFIX) else f"docs/{page.src_uri}"
    return posixpath.normpath(posixpath.join(posixpath.dirname(own), path)), mark + anchor
