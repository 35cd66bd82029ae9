"""What the machine reads from a policy file by name: these must be there, and may say only what the machine carries out.

A file that says something else would be a promise that nobody keeps, so it is refused when it is read (A0.2, I1).
"""

from collections.abc import Mapping
from dataclasses import dataclass

# What code keeps: how it comes in, and where it lies. A file that leaves one out, or says something else of it, would be
# silent about what is done.
ITEMS: Mapping[str, tuple[str, str]] = {
    "username": ("registration", "vault"), "password": ("registration", "default"), "nickname": ("registration", "default"),
    "email": ("registration", "vault"), "email_index": ("system", "vault"), "freed_name_index": ("system", "vault"),
    "former_value": ("system", "vault"), "consent_record": ("system", "vault"), "one_way_entry": ("system", "vault"),
    "membership": ("system", "default"), "confirmation_code": ("system", "default"), "mail_queue": ("system", "default"),
    "receipt": ("system", "ledger"), "session": ("automatic", "default"), "handler_record": ("automatic", "default"),
    "right_grants": ("automatic", "default"), "use_record": ("automatic", "vault"), "access_log": ("automatic", "logs"),
    "ip_address": ("automatic", "logs"), "device_information": ("automatic", "logs"), "service_use_records": ("automatic", "logs"),
    "necessary_cookies": ("automatic", "browser"), "image_file": ("upload", "media"), "image_text": ("upload", "default"),
    "image_lookalike": ("upload", "default"), "comment_text": ("comment", "default"), "second_factor": ("staff", "vault"),
    "staff_account": ("staff", "default"),
}  # fmt: skip
# Registration is built on these four; more may be added beside them.
REGISTRATION_ITEMS = ("username", "password", "nickname", "email")
# What everybody sees who may see a page.
PUBLIC_ITEMS = ("nickname", "image_file", "image_text", "comment_text")
REQUIRED_CONSENTS = ("agree_terms", "agree_privacy")
COOKIES = ("imgnom_session", "imgnom_csrf", "imgnom_lang", "imgnom_cookies", "imgnom_device", "imgnom_age")
ROLES = ("visitor", "member", "moderator", "officer", "administrator", "auditor", "system")
PURPOSES = ("service", "identity", "registration", "notices", "rights", "retention", "investigation")
# What the system must be able to read in order to let people in, write to them, and let them go.
SYSTEM_USES = (
    ("username", "registration"), ("nickname", "registration"), ("email", "registration"), ("confirmation_code", "registration"),
    ("email", "notices"), ("username", "retention"), ("nickname", "retention"), ("email", "retention"),
)  # fmt: skip
# What a member sees of what they entered, as of right (A7.1).
OWN_USES = (("username", "rights"), ("nickname", "rights"), ("email", "rights"))
# How a purpose is met that may only be served by consent (A2.3): whoever lists one needs a consent of its own.
CONSENTED_CLAUSE = "A2.3"


@dataclass(frozen=True)
class Wheel:
    """One record as code carries it out: what starts it, where it lies, how it ends, whether it may be without end."""

    starts: tuple[str, ...]
    stores: tuple[str, ...]
    destroy: tuple[str, ...]
    period: str  # needed | none | permanent
    ends: tuple[str, ...] = ("day",)


RECORDS: Mapping[str, Wheel] = {
    "pending_registration": Wheel(("registration",), ("vault",), ("key",), "needed", ("instant", "day")),
    "confirmation_code": Wheel(("confirmation",), ("default",), ("row",), "needed", ("instant", "day")),
    "session": Wheel(("use",), ("default",), ("row",), "needed", ("instant", "day")),
    "account": Wheel(("registration",), ("vault",), ("key",), "none"),
    "identity_after_leaving": Wheel(("withdrawal",), ("archive",), ("key",), "needed", ("day", "instant")),
    "freed_names": Wheel(("withdrawal",), ("vault",), ("row",), "needed", ("day", "instant")),
    "posts": Wheel(("upload",), ("default",), ("file",), "permanent"),
    "private_pictures": Wheel(("upload",), ("media",), ("file",), "none"),
    "access_records_member": Wheel(("visit",), ("logs",), ("key",), "needed"),
    "access_records_visitor": Wheel(("visit",), ("logs",), ("key",), "needed"),
    "one_way_entry": Wheel(("final_sanction",), ("vault",), ("secret",), "permanent"),
    "consent_records": Wheel(("withdrawal",), ("vault",), ("row",), "needed", ("day", "instant")),
    "handler_records": Wheel(("look",), ("default",), ("row",), "needed", ("day", "instant")),
    "right_grants": Wheel(("appointment",), ("default",), ("row",), "needed", ("day", "instant")),
    "mail_queue": Wheel(("queue",), ("default",), ("row",), "needed", ("instant", "day")),
    "receipts": Wheel(("withdrawal",), ("ledger",), ("none",), "permanent"),
}
# For whom a record of leaving can be made at all; the others are made for whoever they happen to.
SCOPES: Mapping[str, tuple[str, ...]] = {
    "identity_after_leaving": ("everyone", "members", "open_case", "final_sanction", "nobody"),
    "access_records_member": ("members",),
    "access_records_visitor": ("visitors",),
    "one_way_entry": ("final_sanction",),
}
SCOPES_OTHERWISE = ("everyone", "members")

type Values = tuple[str | bool, ...] | range
# Each setting with the values that the machine honours: a range of whole numbers, or the words. The Q-rows are the
# ambiguities of the document that each of them decides.
SETTINGS: Mapping[str, Values] = {
    "legal_profile": ("pipa",),  # Q1
    "operator_profile": ("required",),  # Q2
    "collecting_points": ("registration", "registration_consultation_application"),  # Q3
    "marketing_basis": ("optional_consent",),  # Q4
    "demographics": ("off",),  # Q5
    "retention_up_to": ("exactly",),  # Q6
    "retention_conflict": ("better_for_the_person", "as_written"),  # Q7
    "fraud_retention_scope": ("final",),  # Q8
    "content_on_leave": ("ask",),  # Q9
    "content_without_choice": ("keep", "anonymise", "delete"),  # Q9
    "guard_secret": ("pepper_in_keyring",),  # Q10
    "fraud_log_clock": ("record", "sanction"),  # Q11
    "fraud_review_years": range(11),  # Q12
    "archive_items": ("only_what_a_record_keeps",),  # Q13
    "without_delay_days": range(1, 11),  # Q14
    "backup_days": range(36),  # Q15
    "agency_S_requests": ("refuse", "review"),  # Q16
    "agency_notice": ("never", "after_release"),  # Q17
    "processor_consent": ("each_member", "at_signup", "disclosure_only"),  # Q18
    "age_gate": ("two_way",),  # Q19
    "allow_children": (False,),  # Q19
    "identity_check": ("password_again",),  # Q20
    "officer_email": ("required",),  # Q21
    "freeze_items": ("shown_and_sent",),  # Q22
    "freeze_allow_security": (False, True),  # Q23
    "freeze_max_days": range(1, 11),  # Q24
    "cookie_switch": ("on_site_for_everyone",),  # Q25
    "cookie_refusal": ("costs_only_what_needs_a_cookie",),  # Q26
    "banner": ("ask", "literal"),  # Q27
    "policy_notice": ("both", "site"),  # Q28
    "policy_lead_days": range(7, 366),  # Q28
    "identity_adapter": ("email_control",),  # Q29
    "glossary": ("korean_first",),  # Q30
    "dual_control": ("two_people", "delay_24h"),  # Q31
    "inventory_beyond_document": ("listed",),  # Q32
    "people_in_pictures": ("takedown_and_ticket",),  # Q33
    "dup_signals": ("review_only",),  # Q34
    "reuse_wait": ("as_freed_names",),  # Q35
    "rejoin_wait_days": range(1),  # Q35
    "legal_hold": ("itemised_with_document",),  # Q36
    "policy_against_terms": ("better_for_the_person",),  # Q37
    "ad_night_applies_to_email": (False, True),
    "ad_no_answer": ("stop",),
}


def allowed_words(values: Values) -> str:
    if isinstance(values, range):
        if len(values) == 1:
            return str(values[0])
        return f"a whole number from {values[0]} to {values[-1]}"
    return ", ".join(str(value).lower() if isinstance(value, bool) else value for value in values)


def is_allowed(value: object, values: Values) -> bool:
    if isinstance(values, range):
        return isinstance(value, int) and not isinstance(value, bool) and value in values
    return any(type(value) is type(one) and value == one for one in values)
