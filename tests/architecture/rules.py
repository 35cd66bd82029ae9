"""What the import linter cannot see: strings that point at rooms, and the manner of use cases.

Each rule takes a `House` and returns what is wrong, one line each; an empty list keeps it. What a rule lets pass
stands in pyproject.toml under `[tool.imgnom.house.<rule>]`, with its reason.
"""

import ast
import re
from collections.abc import Iterator

from tests.architecture.house import WITH_ROOMS, House, Module, Place, place_of, tags

PURE = {"__future__", "calendar", "collections", "contextlib", "dataclasses", "datetime", "difflib", "enum", "functools", "hashlib", "itertools", "json",
        "math", "operator", "pathlib", "re", "string", "tomllib", "types", "typing", "unicodedata", "zoneinfo",
        }  # fmt: skip
LOADERS = re.compile(
    r"(?:^|\.)(?:import_module|__import__|import_string|autodiscover_modules|get_model|get_models|get_app_config"
    r"|get_app_configs|model_class|get_object_for_this_type|run_module|run_path|spec_from_file_location|resolve_name)$"
)
SIGNALS = ("django.dispatch", "django.db.models.signals", "django.core.signals", "django.contrib.auth.signals",
           "django.db.backends.signals", "django.test.signals", "asgiref.signals")  # fmt: skip
CLAUSE = re.compile(r"\b(?:[ABISX]\d|[CNP]\d\b|design §|rule [A-Z]\d|Article \d)")
TIMELESS = {"by", "now", "purpose"}


def _at(module: Module, line: int, what: str) -> str:
    return f"{module.path}:{line} {what}"


# ── rooms ────────────────────────────────────────────────────────────────────────────────────────────────


def rooms_without_a_card(house: House) -> list[str]:
    """A room's `__init__.py` is its card: what it holds and which articles bind it, and nothing that runs."""
    wrong = []
    cards = {module.path: module for module in house.modules if module.path.endswith("/__init__.py")}
    for place in house.folders:
        card = cards.get(f"{place.floor}/{place.room}/__init__.py")
        words = ast.get_docstring(card.tree) if card else None
        if card is None or not words:
            wrong.append(f"{place.floor}/{place.room} has no card")
        elif not CLAUSE.search(words):
            wrong.append(f"{place.floor}/{place.room}: its card names no article")
        elif len(card.tree.body) > 1:
            wrong.append(f"{place.floor}/{place.room}: its card holds code")
    return wrong


def doors_passed_by(house: House) -> list[str]:
    """Rooms meet at `public`, and at the vault's `reveal`: a room's inside may change without asking anybody."""
    return [
        f"{module.path} imports {name}"
        for module in house.modules
        if module.path not in house.exceptions("behind-walls")
        for name in module.imports
        if _passes_the_door(house, module, name)
    ]


def _passes_the_door(house: House, module: Module, name: str) -> bool:
    parts = name.split(".")
    if len(parts) < 3 or parts[0] != "imgnom" or parts[1] not in WITH_ROOMS:
        return False
    room = Place(parts[1], parts[2])
    if module.place == room or room not in house.folders:
        return False
    doors = ("public", "reveal") if room == Place("custody", "vault") else ("public",)
    return len(parts) < 4 or parts[3] not in doors


def impure_policy(house: House) -> list[str]:
    """The policy's core can be read, tested and trusted alone: no Django, clock, randomness or network in it."""
    wrong = [
        f"{module.path} imports {name}"
        for module in house.modules
        if module.place.floor == "policy"
        for name in module.imports
        if name.split(".")[0] not in PURE and not name.startswith("imgnom.policy.")
    ]
    unclean = re.compile(r"\b(?:datetime|date|time)\.(?:now|today|utcnow)\b|\bos\.|\beval\(|\bexec\(")
    return wrong + [
        f"{module.path} says {match[0]}"
        for module in house.modules
        if module.place.floor == "policy"
        for match in [unclean.search(ast.unparse(module.tree))]
        if match
    ]


# ── strings that point at rooms ──────────────────────────────────────────────────────────────────────────


def loading_by_string(house: House) -> list[str]:
    """A name in a string is an import that no contract sees."""
    wrong = []
    for module in house.modules:
        if module.path in house.exceptions("loads-by-name"):
            continue
        wrong += [_at(module, call.lineno, f"calls {name}") for name, call in module.calls() if LOADERS.search(name)]
        wrong += [
            _at(module, node.lineno, f"reads {ast.unparse(node)}")
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "sys.modules"
        ]
        wrong += [
            _at(module, call.lineno, f"calls {name}") for name, call in module.calls() if name in ("eval", "exec")
        ]
    return wrong


def names_of_modules_in_strings(house: House) -> list[str]:
    """Only the site, which assembles, names modules of other places in strings (settings, routes)."""
    wrong = []
    for module in house.modules:
        for line, text in module.strings():
            if module.place.floor == "site" or not re.fullmatch(r"imgnom(?:[.:]\w+)+", text):
                continue
            parts = re.split(r"[.:]", text)[1:]
            target = place_of("/".join([*parts, "_"]))
            if target.floor in house.floors and target != module.place:
                wrong.append(_at(module, line, f"names {text}"))
    return wrong


RELATIONS = ("ForeignKey", "OneToOneField", "ManyToManyField")


def _relations(house: House) -> Iterator[tuple[Module, ast.Call, str, Place]]:
    for module in house.modules:
        for name, call in module.calls():
            if name.split(".")[-1] not in RELATIONS:
                continue
            arguments = [*call.args[:1], *[word.value for word in call.keywords if word.arg in ("to", "through")]]
            for argument in arguments:
                if isinstance(argument, ast.Constant) and "." in str(argument.value):
                    label = str(argument.value).split(".")[0]
                    yield module, call, str(argument.value), house.labels.get(label, Place("unknown"))
                elif "AUTH_USER_MODEL" in ast.unparse(argument):
                    yield module, call, "AUTH_USER_MODEL", Place("community", "members")


def foreign_keys_pointing_up(house: House) -> list[str]:
    """A table may know only tables of rooms that its code may import."""
    return [
        _at(module, call.lineno, f"points at {target}")
        for module, call, target, place in _relations(house)
        if place.floor not in house.floors or not house.may_use(module.place, place)
    ]


def cascades_across_rooms(house: House) -> list[str]:
    """Between rooms a deletion is refused (PROTECT): a forgotten table must fail loudly, not vanish or be emptied."""
    wrong = []
    for module, call, target, place in _relations(house):
        kept = [ast.unparse(word.value) for word in call.keywords if word.arg == "on_delete"] or [
            ast.unparse(argument) for argument in call.args[1:2]
        ]
        if place != module.place and not any(way.split(".")[-1] == "PROTECT" for way in kept):
            wrong.append(_at(module, call.lineno, f"does not protect {target}"))
    return wrong


def migrations_pointing_up(house: House) -> list[str]:
    """A room's tables can be made before every room that its code may not import."""
    wrong = []
    for module in house.migrations:
        for node in ast.walk(module.tree):
            if not (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "dependencies"):
                continue
            for label in _labels(node.value):
                place = house.labels.get(label)
                if place is not None and not house.may_use(module.place, place):
                    wrong.append(_at(module, node.lineno, f"waits for {label}"))
    return wrong


def _labels(node: ast.AST) -> list[str]:
    pairs = [one for one in ast.walk(node) if isinstance(one, ast.Tuple) and one.elts]
    found = [str(pair.elts[0].value) for pair in pairs if isinstance(pair.elts[0], ast.Constant)]
    return found + (["members"] if "AUTH_USER_MODEL" in ast.unparse(node) else [])


def templates_of_others(house: House) -> list[str]:
    """A template stands under its room's name, and extends or includes only its room's and the web's."""
    wrong = []
    for template in house.templates:
        own = template.place.room or template.place.floor
        label = template.path.partition("/templates/")[2].split("/")[0]
        if label != own:
            wrong.append(f"{template.path} stands under the name of {label}")
        for tag, rest in tags(template, "extends", "include"):
            name = re.match(r"""["'](\w+)/[\w/]+\.html["']""", rest)
            if name is None:
                if template.path not in house.exceptions("templates-by-variable"):
                    wrong.append(f"{template.path}: {tag} {rest} cannot be followed")
            elif name[1] not in (own, "web"):
                wrong.append(f"{template.path}: {tag} {rest}")
        for _tag, rest in tags(template, "load"):
            for library in rest.partition(" from ")[2].split() or rest.split():
                place = house.libraries.get(library)
                if place is not None and not house.may_use(template.place, place):
                    wrong.append(f"{template.path} loads {library}")
    for module in house.modules:
        own = module.place.room or module.place.floor
        for line, text in module.strings():
            name = re.fullmatch(r"(\w+)/[\w/]+\.html", text)
            if name and module.place.floor != "site" and name[1] not in (own, "web"):
                wrong.append(_at(module, line, f"renders {text}"))
    return wrong


REVERSERS = ("reverse", "reverse_lazy", "redirect", "resolve_url", "see_other")


def names_of_pages_pointing_up(house: House) -> list[str]:
    """`{% url %}` and `reverse` reach only pages of rooms that the code may import, and say whose page it is."""
    wrong = []
    for template in house.templates:
        for _tag, rest in tags(template, "url"):
            wrong += [
                f"{template.path}: url {rest}" for fault in [_wrong_page(house, template, rest.split()[0])] if fault
            ]
    for module in house.modules:
        for name, call in module.calls():
            if name.split(".")[-1] in REVERSERS[:-1] and call.args and module.place.floor != "site":
                first = ast.unparse(call.args[0])
                if not first.startswith(("'/", "f'/")) and _wrong_page(house, module, first):
                    wrong.append(_at(module, call.lineno, f"{name}({first})"))
    return wrong


def _wrong_page(house: House, module: Module, quoted: str) -> bool:
    name = re.fullmatch(r"""["'](\w+):[\w-]+["']""", quoted)
    place = house.labels.get(name[1]) if name else None
    return place is None or not house.may_use(module.place, place)


def signals(house: House) -> list[str]:
    """Calls go down by name: a receiver would be a call that nobody sees."""
    return [
        f"{module.path} imports {name}"
        for module in house.modules
        if module.path not in house.exceptions("signals")
        for name in module.imports
        if name.startswith(SIGNALS)
    ]


# ── use cases ────────────────────────────────────────────────────────────────────────────────────────────


def _functions(house: House, *floors: str) -> Iterator[tuple[Module, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for module in house.modules:
        if module.place.floor in floors:
            for node in ast.walk(module.tree):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield module, node


def switches(house: House) -> list[str]:
    """No argument makes a use case skip a check, force its way or keep silent in the ledger."""
    wrong = []
    for module, function in _functions(house, *WITH_ROOMS):
        arguments = function.args
        for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]:
            if re.match(
                r"skip(?:_|$)|force(?:_|d$|$)|log$|without_(?:check|log|ledger)|no_(?:check|log|ledger)", argument.arg
            ):
                wrong.append(_at(module, function.lineno, f"{function.name} has the switch {argument.arg}"))
    return wrong


def silent_defaults(house: House) -> list[str]:
    """Who, when and what for are said by the caller: no default, never by position in a door."""
    wrong = []
    for module, function in _functions(house, *WITH_ROOMS):
        arguments = function.args
        positional = [*arguments.posonlyargs, *arguments.args]
        with_default = {one.arg for one in positional[len(positional) - len(arguments.defaults) :]} | {
            one.arg for one, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if value is not None
        }
        if f"{module.path}:{function.name}" not in house.exceptions("silent-defaults"):
            wrong += [
                _at(module, function.lineno, f"{function.name} has a default for {name}")
                for name in sorted(with_default & TIMELESS)
            ]
    return wrong


def _opens_a_transaction(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(re.search(r"\batomic\(", ast.unparse(part)) for part in [*function.decorator_list, *function.body])


def use_cases_out_of_form(house: House) -> list[str]:
    """A use case is a keyword-only function after its subject, and is told the time: it can be replayed and tested."""
    wrong = []
    for module, function in _functions(house, "community", "procedures"):
        name = f"{module.path}:{function.name}"
        if function.name.startswith("_") or not _opens_a_transaction(function) or module.path.endswith("views.py"):
            continue
        positional = [*function.args.posonlyargs, *function.args.args]
        if len(positional) > 1:
            wrong.append(_at(module, function.lineno, f"{function.name} takes more than its subject by position"))
        if "now" not in {one.arg for one in function.args.kwonlyargs} and name not in house.exceptions("without-now"):
            wrong.append(_at(module, function.lineno, f"{function.name} is not told the time"))
    return wrong


# ── words ────────────────────────────────────────────────────────────────────────────────────────────────

DANGEROUS = re.compile(
    r"\bmark_safe\b|\|\s*safe\b|\bSafeString\((?!''\))|\.raw\(|\.extra\(|\bRawSQL\b|shell=True|\bpickle\.|\bmarshal\.|os\.system"
)


def dangerous_words(house: House) -> list[str]:
    """Marking text as safe, raw SQL, shells and pickles are where injections live; each owner gives its reason."""
    return [
        f"{module.path} says {match[0]}"
        for module in [*house.modules, *house.templates]
        if module.path not in house.exceptions("dangerous-words")
        for match in [DANGEROUS.search(ast.unparse(module.tree) if module.path.endswith(".py") else module.text)]
        if match
    ]


NORMALIZERS = {
    "normalize",
    "is_normalized",
    "ucd_3_2_0",
    "normalize_username",
    "UsernameField",
    "slugify",
    "unicode_ci_compare",
}
NAME_CODECS = {"idna", "punycode"}
DJANGO_TEXT_FIELDS = re.compile(
    r"(?:CharField|EmailField|RegexField|SlugField|URLField|GenericIPAddressField|JSONField)$"
)


def unbounded_text(house: House) -> list[str]:
    """Normalising takes quadratic time on runs of marks: one module checks first, and no other may normalise."""
    wrong = []
    for module in house.modules:
        if module.path == "policy/text.py":
            continue
        wrong += [f"{module.path} imports {name}" for name in module.imports if name.split(".")[-1] in NORMALIZERS]
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Attribute) and node.attr in NORMALIZERS:
                wrong.append(_at(module, node.lineno, f"uses {node.attr}"))
            if isinstance(node, ast.alias) and node.name.split(".")[0] == "unicodedata" and node.asname:
                wrong.append(f"{module.path} gives unicodedata another name")
        for line, text in module.strings():
            if text.lower() in NAME_CODECS or (text in NORMALIZERS and "unicodedata" in module.text):
                wrong.append(_at(module, line, f"names {text}"))
    return wrong


def unbounded_fields(house: House) -> list[str]:
    """A form's text fields are those of web/fields.py, which check length and marks before anything else."""
    return [
        _at(module, node.lineno, f"uses {ast.unparse(node)}")
        for module in house.modules
        if module.path != "web/fields.py"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute)
        and DJANGO_TEXT_FIELDS.match(node.attr)
        and ast.unparse(node.value) in ("forms", "django.forms", "fields", "forms.fields")
    ] + [
        f"{module.path} imports {name}"
        for module in house.modules
        if module.path != "web/fields.py"
        for name in module.imports
        if name.startswith("django.forms.") and DJANGO_TEXT_FIELDS.match(name.split(".")[-1])
    ]


EXCUSES = {
    "behind-walls": doors_passed_by,
    "loads-by-name": loading_by_string,
    "templates-by-variable": templates_of_others,
    "signals": signals,
    "silent-defaults": silent_defaults,
    "without-now": use_cases_out_of_form,
    "dangerous-words": dangerous_words,
}


def idle_exceptions(house: House) -> list[str]:
    """An exception has a reason, names its rule, and excuses something: it goes when what it excused goes."""
    wrong = [f"no rule is called {name}" for name in house.rules if name not in EXCUSES and name != "addresses"]
    bare = House(house.root)
    bare.rules = {}
    for name, rule in EXCUSES.items():
        found = rule(bare) if house.exceptions(name) else []
        for place, reason in house.exceptions(name).items():
            path, _, function = place.partition(":")
            if not any(line.startswith(path) and function in line for line in found):
                wrong.append(f"{name}: {place} excuses nothing")
            if not reason.strip():
                wrong.append(f"{name}: {place} gives no reason")
    return wrong


RULES = (
    rooms_without_a_card,
    doors_passed_by,
    impure_policy,
    loading_by_string,
    names_of_modules_in_strings,
    foreign_keys_pointing_up,
    cascades_across_rooms,
    migrations_pointing_up,
    templates_of_others,
    names_of_pages_pointing_up,
    signals,
    switches,
    silent_defaults,
    use_cases_out_of_form,
    dangerous_words,
    unbounded_text,
    unbounded_fields,
    idle_exceptions,
)
