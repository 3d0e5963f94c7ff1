"""An HTML page taken apart with Python's own parser: elements with attributes, text, tables, and what it refers to."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "br", "hr", "img", "link", "input"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    parent: Element | None
    children: list[Element] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.texts).strip()

    def walk(self):  # type: ignore[no-untyped-def]
        yield self
        for child in self.children:
            yield from child.walk()

    def all(self, tag: str) -> list[Element]:
        return [one for one in self.walk() if one.tag == tag]


class Page(HTMLParser):
    """Fails where elements are not closed in the order in which they were opened."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = self.at = Element("", {}, None)
        self.feed(text)
        self.close()
        assert self.at is self.root, f"<{self.at.tag}> is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice"
        one = Element(tag, {name: value or "" for name, value in attrs}, self.at)
        self.at.children.append(one)
        if tag not in VOID:
            self.at = one

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.at.children.append(Element(tag, {name: value or "" for name, value in attrs}, self.at))

    def handle_endtag(self, tag: str) -> None:
        assert self.at.tag == tag, f"</{tag}> closes <{self.at.tag}>"
        assert self.at.parent is not None
        self.at = self.at.parent

    def handle_data(self, data: str) -> None:
        one: Element | None = self.at
        while one is not None:
            one.texts.append(data)
            one = one.parent

    @property
    def ids(self) -> list[str]:
        return [one.attributes["id"] for one in self.root.walk() if "id" in one.attributes]

    def by_id(self, name: str) -> Element:
        (found,) = [one for one in self.root.walk() if one.attributes.get("id") == name]
        return found

    def table(self, name: str) -> tuple[list[str], list[list[Element]]]:
        """Heads, and cells row by row."""
        table = self.by_id(f"table-{name}")
        (head,), (body,) = table.all("thead"), table.all("tbody")
        return [one.text for one in head.all("th")], [row.children for row in body.children if row.tag == "tr"]
