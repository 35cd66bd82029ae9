"""A personal value on its way: it shows itself only to who opens it on purpose."""

from typing import NoReturn

from imgnom.custody.vault.errors import PersonalNotOpened


class Personal:
    """Refuses str, format, pickle, JSON, copying, iteration and comparison; its repr says nothing."""

    __slots__ = ("_value",)
    do_not_call_in_templates = True

    def __init__(self, value: str) -> None:
        object.__setattr__(self, "_value", value)

    def open(self) -> str:
        """The plain value. Whoever calls this answers for where it goes."""
        return self._value  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return "<Personal>"

    def _refuse(self, *_args: object, **_kwargs: object) -> NoReturn:
        raise PersonalNotOpened("a personal value must be opened on purpose")

    __str__ = __format__ = __reduce__ = __reduce_ex__ = __getstate__ = __iter__ = __len__ = __bytes__ = _refuse  # type: ignore[assignment]
    __copy__ = __deepcopy__ = __eq__ = __hash__ = __lt__ = __add__ = __contains__ = __getitem__ = _refuse  # type: ignore[assignment]
