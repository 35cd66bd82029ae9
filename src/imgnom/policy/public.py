"""The door of the policy floor."""

from imgnom.policy.decide import Allow, CannotTell, Decision, Deny, decide
from imgnom.policy.difference import Change, difference
from imgnom.policy.errors import PolicyError
from imgnom.policy.examples import example_contacts, is_example_host
from imgnom.policy.facts import public_facts
from imgnom.policy.load import earlier_policy, load_policy, policy_from_source
from imgnom.policy.notices import Notice, notices_of
from imgnom.policy.periods import (
    add_period,
    ends_at,
    last_day,
    parse_period,
    words_for_fate,
    words_for_period,
    words_for_start,
)
from imgnom.policy.retention import Held, RetentionPlan, plan_retention
from imgnom.policy.source import BUNDLED, policy_files
from imgnom.policy.types import (
    PERMANENT,
    SYSTEM,
    Actor,
    Clause,
    ConsentKind,
    Cookie,
    Item,
    Period,
    Policy,
    Purpose,
    Record,
    SubjectId,
    Text,
    Use,
)
from imgnom.policy.withdrawal import CHOICES, Choice, Fate, LeavingFacts, WithdrawalPlan, plan_withdrawal
from imgnom.policy.wording import RenderedArticle, RenderedParagraph, Segment, render_articles, render_terms

__all__ = [
    "BUNDLED", "CHOICES", "PERMANENT", "SYSTEM", "Actor", "Allow", "CannotTell", "Change", "Choice", "Clause", "ConsentKind", "Cookie", "Decision",
    "Deny", "Fate", "Held", "Item", "LeavingFacts", "Notice", "Period", "Policy", "PolicyError", "Purpose", "Record", "RenderedArticle",
    "RenderedParagraph", "RetentionPlan", "Segment", "SubjectId", "Text", "Use", "WithdrawalPlan", "add_period", "decide", "difference",
    "earlier_policy", "ends_at", "example_contacts", "is_example_host", "last_day", "load_policy", "notices_of", "parse_period", "plan_retention", "plan_withdrawal", "policy_files", "policy_from_source", "public_facts", "render_articles",
    "render_terms", "words_for_fate", "words_for_period", "words_for_start",
]  # fmt: skip
