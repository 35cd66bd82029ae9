"""A personal value on its way: it shows itself only to who opens it on purpose."""

from typing import NoReturn, final

from imgnom.custody.vault.errors import PersonalNotOpened


def _refuse(_self: object, *_args: object, **_kwargs: object) -> NoReturn:
    raise PersonalNotOpened("a personal value must be opened on purpose")


@final
class Personal:
    """Refuses str, format, pickle, JSON, copying, iteration, comparison and change; its repr says nothing."""

    __slots__ = ("_value",)
    _value: str
    do_not_call_in_templates = True

    def __init__(self, value: str) -> None:
        object.__setattr__(self, "_value", value)

    def open(self) -> str:
        """The plain value. Whoever calls this answers for where it goes."""
        return self._value

    def __repr__(self) -> str:
        return "<Personal>"


# A template would call it unasked: with this mark `{{ value.open }}` stays empty.
vars(Personal)["open"].alters_data = True

for _name in (
    "str", "format", "bytes", "bool", "len", "iter", "reversed", "contains", "getitem", "hash", "eq", "ne", "lt", "le", "gt", "ge", "add",
    "radd", "mul", "rmul", "mod", "rmod", "int", "float", "index", "reduce", "reduce_ex", "getstate", "copy", "deepcopy", "setattr", "delattr",
):  # fmt: skip
    setattr(Personal, f"__{_name}__", _refuse)
