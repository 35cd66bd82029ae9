"""What a set holds of words and names: not in its stores, but sealed beside them, each under a key that dies with its owner."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from imgnom.community.comments.public import WITHHELD as OF_COMMENTS
from imgnom.community.images.public import WITHHELD as OF_IMAGES
from imgnom.community.members.public import EMPTIED
from imgnom.community.members.public import WITHHELD as OF_MEMBERS
from imgnom.custody.keys.public import KeysError
from imgnom.custody.store_copies import CopyBroken, Leaving, Withheld, copy_store, erase, sync_file
from imgnom.custody.vault.public import SomebodyLeaves, open_copied, seal_copied
from imgnom.site.backup.errors import RestoreRefused

STORE, FILE = "default", "words.sealed"
WITHHELD = (*OF_MEMBERS, *OF_IMAGES, *OF_COMMENTS)
# How often the copy is made anew because somebody left while their words were being sealed.
TRIES = 5


def copy_without_words(folder: Path, name: str, *, now: datetime) -> None:
    """The store stands in the folder without its words, and they stand beside it. Raises CopyBroken."""
    for _ in range(TRIES):
        for file in (folder / name, folder / FILE):
            erase(file)
        try:
            with (folder / FILE).open("x", encoding="ascii", newline="\n") as words:

                def take(one: Withheld, rows: Iterable[Sequence[Any]], words: Any = words) -> None:
                    words.writelines(line + "\n" for line in seal_copied(one, rows, now=now))

                copy_store(STORE, folder / name, leaving=Leaving(WITHHELD, EMPTIED, take))
        except SomebodyLeaves:
            continue
        (folder / FILE).chmod(0o600)
        sync_file(folder / FILE)
        return
    raise CopyBroken("members left faster than their words could be sealed; try again")


def bring_words_back(file: Path) -> dict[int, str]:
    """The words of everybody whose keys live stand in the store. Raises RestoreRefused.

    Returns member → digest of a nickname that nobody can read any more.
    """
    try:
        with file.open(encoding="ascii") as lines:
            held = open_copied(STORE, lines)
    except (OSError, ValueError, KeyError, KeysError) as error:
        raise RestoreRefused(f"the words of the set cannot be opened ({type(error).__name__}).") from None
    return {row: digest for (table, row), digest in held.items() if table == "members_member"}
