"""The board as a page and as JSON. Both need no account and no cookie, and both say the same."""

from typing import Any

from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from imgnom.policy.public import Text
from imgnom.procedures.proofs.board import Board, Row, read_board
from imgnom.web.requests import Request
from imgnom.web.words import current_language, say

MARKS = {"green": "holds", "red": "broken", "planned": "planned"}
# Where the quilt has a seam: clauses by the document's articles, then what stands beside them.
SEAMS = (
    ("A0", Text("머리말", "Preamble")),
    ("A1", Text("1조 수집", "1 Collected")),
    ("A2", Text("2조 목적", "2 Purposes")),
    ("A3", Text("3조 기간", "3 Periods")),
    ("A4", Text("4조 파기", "4 Destruction")),
    ("A5", Text("5조 제공", "5 Provision")),
    ("A6", Text("6조 위탁", "6 Entrustment")),
    ("A7", Text("7조 권리", "7 Rights")),
    ("A8", Text("8조 쿠키", "8 Cookies")),
    ("A9", Text("9조 책임자", "9 Officer")),
    ("S", Text("부칙", "Supplement")),
    ("B", Text("배너", "Banner")),
    ("I", Text("함께 하는 약속", "Beside it")),
    ("X", Text("법이 더 바라는 것", "The law's more")),
)


def _row(row: Row) -> dict[str, Any]:
    lang = current_language()
    return {
        "id": row.id,
        "state": row.state,
        "mark": MARKS[row.state],
        "promise": row.promise.get(lang),
        "evidence": [words.get(lang) for words in row.evidence],
        "checked_at": row.checked_at,
    }


def _quilt(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    lang = current_language()
    seams = [
        {
            "label": label.get(lang),
            "rows": [
                row for row in rows if row["id"].startswith(start) and (len(start) > 1 or row["id"][1:2].isdigit())
            ],
        }
        for start, label in SEAMS
    ]
    return [seam for seam in seams if seam["rows"]]


def _sentence(board: Board) -> str:
    _green, red, planned = (board.count(state) for state in ("green", "red", "planned"))
    broken_ko = f"어긋난 약속이 {red}개 있습니다." if red else "어긋난 약속은 없습니다."
    broken_en = ("1 is broken." if red == 1 else f"{red} are broken.") if red else "None is broken."
    return str(
        say(
            ko=f"{broken_ko} {planned}개는 아직 만들지 않았거나 증거를 기다립니다.",
            en=f"{broken_en} {planned} are not built yet or wait for evidence.",
        )
    )


@require_safe
def board(request: Request) -> HttpResponse:
    found = read_board(now=request.now)
    rows = [_row(row) for row in found.rows]
    shown = request.GET.get("show", "")
    listed = [row for row in rows if row["state"] == shown] if shown in MARKS else rows
    context = {
        "board": found,
        "rows": listed,
        "all": rows,
        "broken": [row for row in rows if row["state"] == "red"],
        "quilt": _quilt(rows),
        "shown": shown if shown in MARKS else "",
        "green": found.count("green"),
        "red": found.count("red"),
        "planned": found.count("planned"),
        "sentence": _sentence(found),
    }
    return render(request, "proofs/board.html", context)


@require_safe
def board_json(request: Request) -> HttpResponse:
    rows = [_row(row) for row in read_board(now=request.now).rows]
    for row in rows:
        del row["mark"]
        row["evidence"] = "; ".join(row["evidence"])
        row["checked_at"] = row["checked_at"].isoformat() if row["checked_at"] else None
    return JsonResponse({"clauses": rows}, json_dumps_params={"ensure_ascii": False})
