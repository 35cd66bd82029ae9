"""`imgnom policy check|show|diff|approve`. All but the last work on policy folders alone and need no site."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from imgnom.policy.public import (
    BUNDLED,
    Change,
    Policy,
    PolicyError,
    difference,
    load_policy,
    notices_of,
    public_facts,
    render_articles,
)


def find_policy(name: str | None) -> Path:
    """A folder, its policy.toml, or the name of a bundled policy; without one, IMGNOM_POLICY, then the bundled default."""
    name = name or os.environ.get("IMGNOM_POLICY") or "imgnom"
    folder = Path(name)
    if folder.name == "policy.toml" and folder.is_file():
        return folder.parent
    # A folder of code may bear the same name as a bundled policy; what holds no policy is not meant.
    is_here = "\0" not in name and (folder / "policy.toml").is_file()
    return (
        folder
        if is_here or not (BUNDLED / folder.name / "policy.toml").is_file() or len(folder.parts) != 1
        else BUNDLED / name
    )


def _print(facts: Any) -> None:
    print(json.dumps(facts, ensure_ascii=False, indent=1))


def _refused(error: PolicyError, *, as_json: bool) -> int:
    if as_json:
        facts = {"ok": False, "file": error.file, "key": error.key, "allowed": error.allowed, "problem": str(error)}
        print(json.dumps(facts, ensure_ascii=False))
    else:
        print(f"imgnom: {error}", file=sys.stderr)
    return 1


def _summary(policy: Policy, folder: Path, lang: str) -> dict[str, Any]:
    collected = [item for item in policy.items.values() if item.collected not in ("planned", "never")]
    return {
        "ok": True, "id": policy.id, "version": policy.version, "digest": policy.digest, "effective": policy.effective.isoformat(),
        "folder": str(folder), "items": len(policy.items), "collected": len(collected), "purposes": len(policy.purposes),
        "records": len(policy.records), "clauses": len(policy.clauses),
        "warnings": [{"clause": notice.clause, "text": notice.text.get(lang)} for notice in notices_of(policy)],
    }  # fmt: skip


def _check(args: argparse.Namespace) -> int:
    status, all_facts = 0, []
    for name in args.folders or [None]:
        folder = find_policy(name)
        try:
            facts = _summary(load_policy(folder), folder, "en" if args.json else args.lang or "en")
        except PolicyError as error:
            status = _refused(error, as_json=args.json)
            continue
        all_facts.append(facts)
        if args.json:
            continue
        print(
            f"{facts['id']}: holds together. {facts['items']} items ({facts['collected']} collected), {facts['purposes']} purposes, "
            f"{facts['records']} records, {facts['clauses']} clauses, version {facts['digest'][:12]}, effective {facts['effective']}"
        )
        for warning in facts["warnings"]:
            print(f"  note on {warning['clause']}: {warning['text']}")
    for facts in all_facts if args.json else ():
        print(json.dumps(facts, ensure_ascii=False))
    return status


def _show(args: argparse.Namespace) -> int:
    for name in args.folders or [None]:
        policy = load_policy(find_policy(name))
        if args.json:
            _print(public_facts(policy))
            continue
        lang = args.lang or "ko"
        print(f"{policy.id} {policy.version} · {policy.effective.isoformat()} · {policy.digest[:12]}")
        for article in render_articles(policy, lang):
            print(f"\n{article.number}. {article.title}\n")
            for paragraph in article.paragraphs:
                point = "  - " if paragraph.is_point else ""
                print(f"{point}{paragraph.text} [{' '.join(paragraph.clauses)}]")
    return 0


def _tell(changes: tuple[Change, ...], *, as_json: bool) -> None:
    if as_json:
        _print([{"key": c.key, "before": c.before, "after": c.after, "what": str(c)} for c in changes])
    else:
        print("\n".join(map(str, changes)) or "The two say the same.")


def _diff(args: argparse.Namespace) -> int:
    if len(args.folders) > 2:
        raise PolicyError("policy diff", "folders", "compares two", "one or two policies")
    if not args.folders:
        from imgnom.custody.in_force import approved_policy
        from imgnom.site.policy_site import policy_on_disk

        before, after = approved_policy() or policy_on_disk(), policy_on_disk()
    elif len(args.folders) == 1:
        before, after = load_policy(find_policy(None)), load_policy(find_policy(args.folders[0]))
    else:
        before, after = (load_policy(find_policy(name)) for name in args.folders)
    _tell(difference(before, after), as_json=args.json)
    return 0


def _approve(args: argparse.Namespace) -> int:
    from imgnom.site.policy_site import approve_policy

    facts = approve_policy(args.folders)
    if args.json:
        _print(facts)
    else:
        print(facts["words"])
    return 0 if facts["ok"] else 1


ACTS: dict[str, Callable[[argparse.Namespace], int]] = {
    "check": _check,
    "show": _show,
    "diff": _diff,
    "approve": _approve,
}


def policy_command(args: argparse.Namespace) -> int:
    try:
        return ACTS[args.act](args)
    except PolicyError as error:
        return _refused(error, as_json=args.json)
