"""HTML as a strict reader has it, for tests of the page."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

ELEMENTS = {
    *(
        "a",
        "body",
        "br",
        "button",
        "caption",
        "dd",
        "details",
        "div",
        "dl",
        "dt",
        "footer",
        "form",
        "h1",
    ),
    *("h2", "head", "header", "html", "input", "label", "li", "line", "link", "main", "meta"),
    *("nav", "p", "rect", "section", "small", "span", "strong", "style", "summary", "svg", "table"),
    *("tbody", "td", "text", "th", "thead", "time", "title", "tr", "tspan", "ul"),
}
"""Elements that the page may have: none of them runs anything, or loads anything by itself."""

VOID = {"meta", "link", "input", "br"}


class Reader(HTMLParser):
    """Elements, attributes and text; an element that is not closed raises."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags = Counter[str]()
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def values(self, name: str) -> list[str]:
        return [value for _, found, value in self.attributes if found == name]
