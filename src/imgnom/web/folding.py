"""Templates folded when they are read: what can never change is put together once and not again for every page.

A run of plain text, pairs of words, icons, addresses of static files and included pieces of these becomes one text for
each language. What depends on the reader, the page or the moment stays a node of its own and is drawn each time, so
nothing of a person is ever kept here. A template says and shows exactly what it did; a page of the frame has a fifth
of the nodes.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from django.template import Template
from django.template.base import FilterExpression, Node, NodeList, TextNode, VariableNode, render_value_in_context
from django.template.context import Context
from django.template.defaulttags import CsrfTokenNode, ForNode, IfNode, LoadNode
from django.template.library import InclusionNode, SimpleNode
from django.template.loader_tags import BLOCK_CONTEXT_KEY, BlockContext, BlockNode, ExtendsNode, IncludeNode
from django.template.loaders.base import Loader as BaseLoader
from django.template.loaders.cached import Loader as CachedLoader
from django.templatetags.static import StaticNode
from django.utils.html import escape
from django.utils.safestring import SafeString

from imgnom.web.words import current_language

type Pair = tuple[str, str]  # Korean, English


def language_of_page(context: Context) -> str:
    """The reader's language, asked once for all that is drawn in this context: a page has it in a hundred places."""
    kept: dict[str, Any] = vars(context)
    if "language_of_page" not in kept:
        kept["language_of_page"] = current_language()
    return str(kept["language_of_page"])


class SayNode(Node):
    """Words in both languages; the reader's are drawn."""

    child_nodelists = ("korean", "english")

    def __init__(self, korean: NodeList, english: NodeList) -> None:
        self.korean, self.english = korean, english

    def render(self, context: Context) -> SafeString:
        return (self.english if language_of_page(context) == "en" else self.korean).render(context)


class WordsNode(Node):
    """One run of a template that differs by nothing but the language."""

    child_nodelists = ()

    def __init__(self, korean: str, english: str) -> None:
        self.korean, self.english = SafeString(korean), SafeString(english)

    def render(self, context: Context) -> SafeString:
        return self.english if language_of_page(context) == "en" else self.korean


class ValueNode(VariableNode):
    """A variable; most are texts, and a text needs none of the ways that numbers and dates go."""

    def render(self, context: Context) -> SafeString:
        value = self.filter_expression.resolve(context)
        if type(value) is SafeString:
            return value
        if type(value) is str and context.autoescape:
            return SafeString(escape(value))
        return SafeString(render_value_in_context(value, context))


_unchanging: dict[Callable[..., Any], Callable[..., str]] = {}


def unchanging[**P](tag: Callable[P, SafeString]) -> Callable[P, SafeString]:
    """Marks the function of a simple tag that answers the same for the same words, whoever asks and whenever."""
    _unchanging[tag] = tag
    return tag


def _literal(expression: Any) -> str | None:
    """The text that a tag's argument is, when it is one and no variable."""
    if isinstance(expression, FilterExpression) and not expression.filters and isinstance(expression.var, str):
        return str(expression.var)
    return None


def _text_of_list(nodes: NodeList) -> Pair | None:
    pairs = [_text_of(node) for node in nodes]
    if any(pair is None for pair in pairs):
        return None
    return "".join(pair[0] for pair in pairs if pair), "".join(pair[1] for pair in pairs if pair)


def _text_of(node: Node) -> Pair | None:
    """What the node draws in each language, if it depends on nothing else."""
    match node:
        case TextNode():
            return node.s, node.s
        case WordsNode():
            return node.korean, node.english
        case LoadNode():
            return "", ""
        case SayNode():
            korean, english = _text_of_list(node.korean), _text_of_list(node.english)
            return (korean[0], english[1]) if korean and english else None
        case StaticNode() if node.varname is None and (path := _literal(node.path)) is not None:
            url = escape(StaticNode.handle_simple(path))
            return url, url
        case SimpleNode() if node.func in _unchanging and node.target_var is None and not node.kwargs:
            words = [_literal(argument) for argument in node.args]
            if any(word is None for word in words):
                return None
            drawn = _unchanging[node.func](*words)
            return drawn, drawn
    return None


def _lists_of(node: Node) -> Iterator[NodeList]:
    """The lists of nodes inside this one, each of which it draws from itself."""
    if isinstance(node, IfNode):
        for _, nodes in node.conditions_nodelists:
            yield nodes
        return
    for name in node.child_nodelists:
        inner = getattr(node, name, None)
        if isinstance(inner, NodeList):
            yield inner


def _leaves_no_name(nodes: NodeList) -> bool:
    """Nothing here sets a variable that what follows could see, or counts how often it was drawn.

    Tags of our own say so with `leaves_no_name`.
    """
    for node in nodes:
        if isinstance(node, SimpleNode | InclusionNode) and getattr(node, "target_var", None) is not None:
            return False
        if not getattr(node, "leaves_no_name", False) and not isinstance(
            node,
            TextNode | WordsNode | SayNode | VariableNode | IfNode | ForNode | SimpleNode | InclusionNode | CsrfTokenNode | IncludeNode,
        ):  # fmt: skip
            return False
        if not all(_leaves_no_name(inner) for inner in _lists_of(node)):
            return False
    return True


def _included(node: Node, template: Template, within: tuple[str, ...]) -> NodeList | None:
    """The nodes of an included template that may as well stand where it is included."""
    if not isinstance(node, IncludeNode) or node.extra_context or node.isolated_context:
        return None
    name = _literal(node.template)
    if name is None or name.startswith(".") or name in within:
        return None
    other = template.engine.get_template(name)
    nodes = NodeList(other.nodelist)
    return nodes if _leaves_no_name(nodes) else None


def _fold_list(nodes: NodeList, template: Template, within: tuple[str, ...]) -> None:
    spread: list[Node] = []
    for node in nodes:
        for inner in _lists_of(node):
            _fold_list(inner, template, within)
        found = _included(node, template, within)
        spread.extend([node] if found is None else found)
    folded: list[Node] = []
    run: list[Pair] = []

    def close() -> None:
        korean, english = "".join(pair[0] for pair in run), "".join(pair[1] for pair in run)
        if korean or english:
            folded.append(TextNode(korean) if korean == english else WordsNode(korean, english))
        run.clear()

    for node in spread:
        pair = None if isinstance(node, BlockNode) else _text_of(node)
        if pair is None:
            close()
            folded.append(ValueNode(node.filter_expression) if type(node) is VariableNode else node)
        else:
            run.append(pair)
    close()
    nodes[:] = folded


class KeptExtendsNode(ExtendsNode):
    """Django looks the blocks of the outermost template up in its whole tree for every page; they never change."""

    def render(self, context: Context) -> SafeString:
        parent: Any = self.get_parent(context)
        state: Any = context.render_context
        known = state.setdefault(BLOCK_CONTEXT_KEY, BlockContext())
        known.add_blocks(self.blocks)
        known.add_blocks(_blocks_of(parent))
        with state.push_state(parent, isolated_context=False):
            return SafeString(parent._render(context))


_blocks: WeakKeyDictionary[Template, Mapping[str, BlockNode]] = WeakKeyDictionary()


def _blocks_of(template: Template) -> Mapping[str, BlockNode]:
    """The blocks of the outermost template; one that extends another hands in its own when it is drawn."""
    if template not in _blocks:
        extends = bool(template.nodelist.get_nodes_by_type(ExtendsNode))
        found: Iterable[Any] = [] if extends else template.nodelist.get_nodes_by_type(BlockNode)
        _blocks[template] = {node.name: node for node in found}
    return _blocks[template]


_under_way = threading.local()


class _Folding(BaseLoader):
    """Between reading a template and keeping it: whoever finds it kept finds it folded."""

    def get_template(self, template_name: str, skip: list[Any] | None = None) -> Template:
        template = super().get_template(template_name, skip)
        within: tuple[str, ...] = getattr(_under_way, "names", ())
        _under_way.names = (*within, template_name)
        try:
            _fold_list(template.nodelist, template, (*within, template_name))
        finally:
            _under_way.names = within
        return template


class Loader(CachedLoader, _Folding):
    """Django's cached loader; what it keeps is folded."""
