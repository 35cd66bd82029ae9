"""`imgnom policy check|show|diff`: needs no site, only policy folders."""

import argparse
import json
import os
import sys
from pathlib import Path

from imgnom.policy.public import Policy, PolicyError, difference, load_policy, public_facts, render_articles

BUNDLED = Path(__file__).resolve().parents[3] / "policies"


def find_policy(name: str | None) -> Path:
    """A folder, or the name of a bundled policy; without one, IMGNOM_POLICY, then the bundled default."""
    name = name or os.environ.get("IMGNOM_POLICY") or "imgnom"
    folder = Path(name)
    return folder if folder.exists() or not (BUNDLED / name).exists() else BUNDLED / name


def _show(policy: Policy, *, lang: str, as_json: bool) -> None:
    if as_json:
        print(json.dumps(public_facts(policy), ensure_ascii=False, indent=1))
        return
    for article in render_articles(policy, lang):
        print(f"\n{article.number} {article.title}\n")
        for paragraph in article.paragraphs:
            print("".join(segment.text for segment in paragraph.segments))


def policy_command(args: argparse.Namespace) -> int:
    try:
        policies = [load_policy(find_policy(name)) for name in (args.folders or [None])]
    except PolicyError as error:
        if args.json:
            print(
                json.dumps(
                    {
                        "ok": False,
                        "file": str(error.file),
                        "key": error.key,
                        "allowed": error.allowed,
                        "problem": str(error),
                    },
                    ensure_ascii=False,
                )
            )
        else:
            print(f"imgnom: {error}", file=sys.stderr)
        return 1
    if args.act == "check":
        for policy in policies:
            facts = {
                "ok": True,
                "id": policy.id,
                "digest": policy.digest,
                "effective": str(policy.effective),
                "items": len(policy.items),
                "records": len(policy.records),
                "clauses": len(policy.clauses),
            }
            print(
                json.dumps(facts)
                if args.json
                else f"{policy.id}: holds together. {len(policy.items)} items, {len(policy.records)} records, {len(policy.clauses)} clauses, version {policy.digest[:12]}"
            )
        return 0
    if args.act == "show":
        for policy in policies:
            _show(policy, lang=args.lang, as_json=args.json)
        return 0
    if len(policies) == 1:
        policies.insert(0, load_policy(find_policy(None)))
    changes = difference(policies[0], policies[1])
    if args.json:
        print(
            json.dumps(
                [{"what": str(change)} | {k: str(v) for k, v in vars(change).items()} for change in changes]
                if changes and hasattr(changes[0], "__dict__")
                else [str(c) for c in changes],
                ensure_ascii=False,
                indent=1,
            )
        )
    else:
        print("\n".join(str(change) for change in changes) or "The two say the same.")
    return 0
