"""Roles on PostgreSQL: for each store its owner, which the worker and commands use, and a lesser one for the web server.

Where IMGNOM_WEB_DATABASE_PASSWORD is set, the web server's processes reach each PostgreSQL store as `<owner>_web`. What
that role may do stands in RIGHTS: it cannot look into `archive`, cannot change the ledger or anything else that only
grows, and its password opens no owner's role. A superuser makes the roles once (`imgnom database roles` prints how);
the owners hand out the rights on their own tables at each start.
"""

import json
import os
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from django.conf import settings
from django.db import connections, transaction
from psycopg.pq import Escaping

from imgnom.site.environment import STORES, EnvironmentError_, read_value, variable_of_store

PASSWORD = "IMGNOM_WEB_DATABASE_PASSWORD"  # noqa: S105 - the name of a variable
SUFFIX = "_web"
_READ, _ADD, _CHANGE, _DELETE = "SELECT", "INSERT", "UPDATE", "DELETE"
READ, GROW = (_READ,), (_READ, _ADD)
ALL = (_READ, _ADD, _CHANGE, _DELETE)
# Table → what the web server does with it; a table that is not named gets what its store says under "".
RIGHTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "default": {
        "": ALL,
        "outbox_outbox": GROW, "django_migrations": (), "django_content_type": READ, "auth_permission": READ, "auth_group": READ,
        "auth_group_permissions": READ, "proofs_evidence": READ, "moderation_handlerrecord": GROW, "moderation_rightgrant": READ,
        "site_worklease": READ,
    },
    "logs": {"": (), "outbox_outbox": GROW, "visits_recordday": GROW, "visits_accessrecord": GROW},
    "vault": {
        "": (),
        "outbox_outbox": GROW, "vault_sealedvalue": ALL, "vault_blindindex": ALL, "vault_heldname": READ, "vault_restriction": ALL,
        "vault_lastuse": ALL, "vault_correction": (_READ, _ADD, _DELETE), "vault_fence": GROW, "consent_consent": (_READ, _ADD, _DELETE),
        "consent_policyversion": READ, "guard_guardentry": READ,
    },
    "archive": {"": ()},
    "keys": {
        "": (),
        "outbox_outbox": GROW, "keys_datakey": (_READ, _ADD, _DELETE), "keys_destroyedkey": GROW, "keys_epoch": READ, "keys_keyringmark": READ,
        "keys_keyscopy": READ,
    },
    "ledger": {
        "": (),
        "outbox_outbox": GROW, "ledger_leaf": READ, "ledger_node": READ, "ledger_checkpoint": READ, "ledger_certificate": READ,
        "ledger_intent": GROW, "ledger_receipt": (_READ, _ADD, _CHANGE),
        "ledger_tally": (_READ, _ADD, _CHANGE),
    },
}  # fmt: skip
# A server's log would otherwise hold the values of a statement that failed.
QUIET = {
    "log_min_error_statement": "panic", "log_error_verbosity": "terse", "log_statement": "none", "log_min_duration_statement": "-1",
    "log_parameter_max_length_on_error": "0",
}  # fmt: skip


class RolesMissing(Exception):
    """The web server's role cannot be used. The text says what to do."""


# ── which URL the web server gets ────────────────────────────────────────────────────────────────────────


def web_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of the web server's processes: its own roles, and no owner's password. Raises EnvironmentError_."""
    made = dict(environ)
    password = read_value(environ, PASSWORD)
    for name in (PASSWORD, f"{PASSWORD}_FILE"):
        made.pop(name, None)
    if not password:
        return made
    for store in STORES:
        variable = variable_of_store(store)
        url = read_value(environ, variable)
        if not url.startswith(("postgresql:", "postgres:")):
            continue
        made.pop(f"{variable}_FILE", None)
        made[variable] = _as_web(url, password, variable)
    return made


def _as_web(url: str, password: str, variable: str) -> str:
    parts = urlsplit(url)
    user, _, place = parts.netloc.rpartition("@")
    owner = user.partition(":")[0]
    if not owner:
        raise EnvironmentError_(f"{variable} must name the role of the owner, as postgresql://role:word@host/name.")
    return urlunsplit(parts._replace(netloc=f"{owner}{SUFFIX}:{quote(password, safe='')}@{place}"))


def web_password() -> str:
    return read_value(os.environ, PASSWORD)


# ── what a superuser runs once ───────────────────────────────────────────────────────────────────────────


def _name(connection: psycopg.Connection[Any], text: str) -> str:
    return Escaping(connection.pgconn).escape_identifier(text.encode()).decode()


def _text(connection: psycopg.Connection[Any], text: str) -> str:
    return Escaping(connection.pgconn).escape_literal(text.encode()).decode()


def _postgresql_stores() -> list[str]:
    return [alias for alias in connections if connections[alias].vendor == "postgresql"]


def sql_for(alias: str, password: str) -> str:
    """What a superuser runs in the store's database. The password itself is not in it."""
    facts = connections[alias].settings_dict
    with psycopg.connect(**connections[alias].get_connection_params()) as link:
        owner, database = str(facts["USER"]) or link.info.user, str(facts["NAME"])
        web = owner + SUFFIX
        proof = link.pgconn.encrypt_password(password.encode(), web.encode(), b"scram-sha-256").decode()
        o, w, d = (_name(link, text) for text in (owner, web, database))
        lines = [
            f"-- the store {alias}",
            f"DO $$ BEGIN CREATE ROLE {w} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;",
            f"ALTER ROLE {w} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD {_text(link, proof)};",
            f"REVOKE ALL ON DATABASE {d} FROM PUBLIC;",
            f"GRANT CONNECT ON DATABASE {d} TO {w};",
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC;",
            f"GRANT EXECUTE ON FUNCTION pg_switch_wal() TO {o};",
            f"GRANT pg_checkpoint TO {o};",
        ]
        lines += [
            f"ALTER ROLE {role} SET {name} = {_text(link, value)};" for role in (o, w) for name, value in QUIET.items()
        ]
    return "\n".join(lines)


def roles_command(args: Namespace) -> int:
    """`imgnom database roles`: SQL for a superuser, store by store."""
    stores = [alias for alias in _postgresql_stores() if args.store in (None, alias)]
    if not stores:
        raise RolesMissing("roles are PostgreSQL's, and no such store is there: a SQLite file has one owner.")
    password = web_password()
    if not password:
        raise RolesMissing(f"give the web server's roles a password first, in a file named by {PASSWORD}_FILE.")
    made = {alias: sql_for(alias, password) for alias in stores}
    if args.json:
        print(json.dumps({"sql": made}, indent=1))
        return 0
    for alias, sql in made.items():
        if args.store is None:
            name = str(connections[alias].settings_dict["NAME"]).replace("\\", "\\\\").replace('"', '""')
            print(f'\\connect "{name}"')
        print(sql)
    return 0


# ── what the owners hand out ─────────────────────────────────────────────────────────────────────────────


def web_role(alias: str) -> str:
    return f"{connections[alias].settings_dict['USER']}{SUFFIX}"


def _rights_now(alias: str) -> dict[str, set[str]]:
    """Table → what the web server's role may do with it or with any of its columns, by whatever way."""
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, p.name FROM pg_class c,"
            " unnest(ARRAY['SELECT','INSERT','UPDATE','DELETE','TRUNCATE','REFERENCES','TRIGGER']) AS p(name)"
            " WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace AND"
            " CASE WHEN p.name IN ('SELECT','INSERT','UPDATE','REFERENCES')"
            " THEN has_any_column_privilege(%s, c.oid, p.name) ELSE has_table_privilege(%s, c.oid, p.name) END",
            [web_role(alias), web_role(alias)],
        )
        found: dict[str, set[str]] = {}
        for table, right in cursor.fetchall():
            found.setdefault(table, set()).add(right)
    return found


def _wanted(alias: str) -> dict[str, set[str]]:
    rights = RIGHTS[alias]
    return {
        table: set(rights.get(table, rights[""]))
        for table in connections[alias].introspection.table_names()
        if rights.get(table, rights[""])
    }


def _role_exists(alias: str) -> bool:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [web_role(alias)])
        return cursor.fetchone() is not None


def grant_web_rights() -> None:
    """Exactly RIGHTS, neither more nor less, on the tables of this version. Raises RolesMissing."""
    if not web_password():
        return
    for alias in _postgresql_stores():
        if not _role_exists(alias):
            raise RolesMissing(
                f"{PASSWORD} is set, but the server knows no role {web_role(alias)}. `imgnom database roles` prints the SQL that makes it."
            )
        wanted = _wanted(alias)
        if wanted != _rights_now(alias):
            _grant(alias, wanted)


def _grant(alias: str, wanted: Mapping[str, set[str]]) -> None:
    quoted, role = connections[alias].ops.quote_name, connections[alias].ops.quote_name(web_role(alias))
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        schema = quoted(cursor.fetchone()[0])
        cursor.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role}, PUBLIC")
        cursor.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
        for table, rights in wanted.items():
            cursor.execute(f"GRANT {', '.join(sorted(rights))} ON {quoted(table)} TO {role}")


# ── what doctor says ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class RoleFault:
    store: str
    words: str


def role_faults() -> list[RoleFault]:
    """Where a role may do more than it must, or a server remembers more than it should."""
    return [RoleFault(alias, words) for alias in _postgresql_stores() for words in _faults_of(alias)]


def _faults_of(alias: str) -> Iterator[str]:
    databases = [str(connections[one].settings_dict["NAME"]) for one in _postgresql_stores() if one != alias]
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        if cursor.fetchone()[0]:
            yield "its role is a superuser and may do everything on the server"
            return
        cursor.execute(
            "SELECT datname FROM pg_database WHERE datname = ANY(%s) AND has_database_privilege(oid, 'CONNECT')",
            [databases],
        )
        if open_to := [name for (name,) in cursor.fetchall()]:
            yield f"its role may also connect to {', '.join(sorted(open_to))}"
        cursor.execute("SHOW log_min_error_statement")
        statements = cursor.fetchone()[0] not in ("fatal", "panic")
        cursor.execute("SHOW log_error_verbosity")
        if statements or cursor.fetchone()[0] != "terse":
            yield "the server's log may hold the values of statements that failed"
        cursor.execute("SHOW wal_recycle")
        if cursor.fetchone()[0] == "on":
            yield "wal_recycle is on: the server's log keeps old bytes until they are overwritten"
    if not web_password():
        yield f"the web server uses the owner's role; {PASSWORD} gives it lesser ones"
    elif not _role_exists(alias):
        yield f"the role {web_role(alias)} is missing"
    elif more := _too_wide(alias):
        yield f"the web server's role may do more than it must: {more}"


def _too_wide(alias: str) -> str:
    wanted = _wanted(alias)
    more = {table: rights - wanted.get(table, set()) for table, rights in _rights_now(alias).items()}
    return ", ".join(f"{'/'.join(sorted(rights))} on {table}" for table, rights in sorted(more.items()) if rights)


def database_command(args: Namespace) -> int:
    try:
        return roles_command(args)
    except RolesMissing as missing:
        print(f"imgnom: {missing}", file=sys.stderr)
        return 1


def roles_are_asked_for() -> bool:
    """A real site on PostgreSQL without lesser roles is told so as a fault; a toy only as a fact."""
    return not settings.IMGNOM.is_toy
