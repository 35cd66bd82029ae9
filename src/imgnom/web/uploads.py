"""Files that people send are held in memory and nowhere else: what came is never written as it came (A2.1).

Django would put a large request into temporary files. Here a file's bytes are held up to a limit for each and for all
of a request, and only where somebody signed in sends them to a page that takes files; what goes over is counted and let
go, so that the page can say which file was too large. A file's name is told back and used for nothing else.
"""

import re
from collections.abc import Callable
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any, Protocol

from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest, HttpResponse, multipartparser
from django.http.multipartparser import MultiPartParser
from django.utils.http import parse_header_parameters

from imgnom.web.errors import plain
from imgnom.web.guards import login_required_page
from imgnom.web.requests import Request

MAX_FILE_BYTES = 32 * 1024 * 1024
MAX_HELD_BYTES = 5 * MAX_FILE_BYTES
# One file more than is held, so that the page can say which one was too many.
MAX_REQUEST_BYTES = MAX_HELD_BYTES + MAX_FILE_BYTES + 1024 * 1024
TAKES_FILES = ("/upload",)
NAMELESS = "?"
BUSY_SECONDS = "10"


if TYPE_CHECKING:
    _UploadedFile = UploadedFile[bytes]
else:
    _UploadedFile = UploadedFile


class HeldFile(_UploadedFile):
    """`too_large`: this file alone was over the limit. `over_all`: with the others before it."""

    def __init__(self, content: bytes, *, name: str, size: int, too_large: bool, over_all: bool) -> None:
        super().__init__(BytesIO(content), name, None, size)
        self.too_large, self.over_all = too_large, over_all


class HoldInMemory(FileUploadHandler):
    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request)
        self.held = 0

    def handle_raw_input(
        self,
        input_data: IO[bytes],
        META: dict[str, str],  # noqa: N803 - Django's name
        content_length: int,
        boundary: str,
        encoding: str | None = None,
    ) -> None:
        if content_length > MAX_REQUEST_BYTES:
            raise RequestDataTooBig
        is_known = getattr(self.request, "member", None) is not None
        self.holds = is_known and self.request is not None and self.request.path in TAKES_FILES

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self.parts: list[bytes] = []
        self.size, self.over_all = 0, False

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self.size += len(raw_data)
        if self.size > MAX_FILE_BYTES or not self.holds:
            self._let_go()
        elif self.over_all or self.held + len(raw_data) > MAX_HELD_BYTES:
            self._let_go()
            self.over_all = True
        else:
            self.held += len(raw_data)
            self.parts.append(bytes(raw_data))

    def _let_go(self) -> None:
        self.held -= sum(map(len, self.parts))
        self.parts.clear()

    def file_complete(self, file_size: int) -> HeldFile:
        content = b"".join(self.parts)
        self.parts = []
        too_large = self.size > MAX_FILE_BYTES
        return HeldFile(
            content, name=self.file_name or NAMELESS, size=file_size, too_large=too_large, over_all=self.over_all and not too_large
        )  # fmt: skip


# An alphabet that a part's header names for one of its parameters (RFC 2231), as in filename*=utf-8''a.jpg.
_ALPHABET = re.compile(r"\*\s*=\s*\"?([^'\"]*)'")
_KNOWN_ALPHABETS = ("", "utf-8", "us-ascii", "iso-8859-1")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
MAX_PARAMETERS = 16
_STAND_IN = "\x1f"  # for a semicolon inside quotes


def _header_of_part(line: str) -> tuple[str, dict[str, str]]:
    """Django's, in linear time. Raises ValueError for a header that no browser sends.

    Python's parser counts the quotes anew at each semicolon, and looks up whatever alphabet is named; of names that it
    does not know it remembers each for ever.
    """
    plain = _QUOTED.sub(lambda found: found[0].replace(";", _STAND_IN), line)
    if plain.count(";") > MAX_PARAMETERS:
        raise ValueError("too many parameters")
    if any(name.strip().lower() not in _KNOWN_ALPHABETS for name in _ALPHABET.findall(plain)):
        raise ValueError("unknown alphabet")
    kind, parameters = parse_header_parameters(plain)
    return kind, {name: value.replace(_STAND_IN, ";") for name, value in parameters.items()}


# Django's parser has no hook for it; a header that raises ValueError is passed over.
multipartparser.parse_header_parameters = _header_of_part  # type: ignore[attr-defined]  # imported there


class AnyName(MultiPartParser):
    """A file is a file, whatever it is called: Django drops the ones named `..` without a word."""

    def sanitize_file_name(self, file_name: str) -> str | None:
        if not file_name:
            return None  # a form sent without a file chosen
        return super().sanitize_file_name(file_name) or NAMELESS

    IE_sanitize = sanitize_file_name


class Admission(Protocol):
    """What the server asks before it reads a large body or one with files: whose is it, and is there room for it."""

    length: int | None

    def has_room_for(self, key: str) -> bool: ...
    def accept(self, key: str) -> None: ...


class AdmitBodies:
    """Answers for the server whether a body is read at all: only files that a member sends to a page for files are.

    The request is asked about with its head alone. Whoever is refused gets the answer of this page, and the body is not
    held by anybody; whoever is admitted is asked again when the body is there, as if nothing had been.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: Request, view: object, args: object, kwargs: object) -> HttpResponse | None:
        admission: Admission | None = request.META.get("imgnom.admission")
        if admission is None:
            return None
        if request.path not in TAKES_FILES:
            return plain(request, 413)
        if request.member is None:
            return login_required_page(_nothing)(request)
        if (admission.length or 0) > MAX_REQUEST_BYTES:
            return plain(request, 413)
        if not admission.has_room_for(request.member.subject):
            busy = plain(request, 503)
            busy["Retry-After"] = BUSY_SECONDS
            return busy
        admission.accept(request.member.subject)
        request.is_asked_about = True
        return HttpResponse(status=204)


def _nothing(request: Request) -> HttpResponse:
    raise RuntimeError


class UploadsInMemory:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        request.upload_handlers = [HoldInMemory(request)]
        request.multipart_parser_class = AnyName  # type: ignore[assignment]  # a class, as Django wants it
        return self.get_response(request)
