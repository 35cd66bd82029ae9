"""Addresses of a picture, and the lines that put it on another page.

What the author wrote stands in HTML and Markdown as the alternative text, escaped for each; BBCode has no way to
escape, so nothing that somebody wrote goes in.
"""

import re

from django.conf import settings
from django.utils.html import format_html

from imgnom.community.images.models import Image
from imgnom.community.images.text import one_line

_MARKDOWN_SIGNS = re.compile(r"([!-/:-@\[-`{-~])")


def page_url(image: Image) -> str:
    return f"{settings.IMGNOM.base_url}/i/{image.public_id}"


def file_urls(image: Image) -> dict[str, str]:
    base = f"{settings.IMGNOM.base_url}/media/{image.public_id}"
    return {size: f"{base}/{size}" for size in ("thumbnail", "preview", "original")}


def _in_markdown(text: str) -> str:
    """CommonMark takes a backslash before any sign of ASCII, so all of them get one."""
    return _MARKDOWN_SIGNS.sub(r"\\\1", text)


def embed_of(image: Image) -> dict[str, str]:
    page, source, alt = page_url(image), file_urls(image)["preview"], one_line(image.alt or image.title)
    html = '<a href="{}"><img src="{}" width="{}" height="{}" alt="{}"></a>'
    return {
        "html": str(format_html(html, page, source, image.preview_width, image.preview_height, alt)),
        "markdown": f"[![{_in_markdown(alt)}]({source})]({page})",
        "bbcode": f"[url={page}][img]{source}[/img][/url]",
    }
