"""Only the account that runs the site can read what it keeps (V6): umask of every entry point, correction, reports."""

import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.live import ROOT, environment, wide

from imgnom.site import cli, owner_only
from imgnom.site.environment import Environment, read_environment
from imgnom.site.owner_only import correct_modes, find_wide, secret_files_wide


@pytest.fixture
def place(tmp_path: Path) -> Environment:
    home, keyring = tmp_path / "home", tmp_path / "keys"
    for folder in (home / "media" / "ab", keyring):
        folder.mkdir(parents=True)
    (home / "media" / "ab" / "picture").touch()
    (keyring / "kek-1.key").touch()
    return read_environment(
        {"IMGNOM_HOME": str(home), "IMGNOM_KEYRING": str(keyring), "IMGNOM_BASE_URL": "https://gallery.kr"}
    )


def _open_up(place: Environment) -> None:
    for root in (place.home, place.keyring):
        for each in (root, *root.rglob("*")):
            if not each.is_symlink():
                each.chmod(0o777 if each.is_dir() else 0o666)


@pytest.mark.parametrize("verb", [*cli._parser()._subparsers._group_actions[0].choices])  # type: ignore[union-attr]
def test_every_command_takes_owner_only_umask(verb: str) -> None:
    before = os.umask(0)
    try:
        with pytest.raises(SystemExit):
            cli.main([verb, "--help"])
    finally:
        taken = os.umask(before)
    assert taken == 0o077


def test_wsgi_module_takes_owner_only_umask_under_any_server(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import os; os.umask(0); import imgnom.site.wsgi; print(oct(os.umask(0)))"],
        cwd=ROOT, env=environment(tmp_path / "home", IMGNOM_MODE="rehearsal"), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "0o77\n", done.stderr
    assert wide(tmp_path / "home") == []


def test_wide_home_and_keyring_are_narrowed_and_reported_before(place: Environment) -> None:
    assert list(find_wide(place)) == []
    _open_up(place)
    assert len(list(find_wide(place))) == 6
    assert correct_modes(place) == 6
    assert wide(place.home, place.keyring) == []
    assert (place.home / "media").stat().st_mode & 0o777 == 0o700
    assert (place.keyring / "kek-1.key").stat().st_mode & 0o777 == 0o600
    assert correct_modes(place) == 0
    assert list(find_wide(place)) == []


def test_correction_follows_no_link_and_touches_nothing_outside(place: Environment, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").touch()
    for each, mode in ((outside, 0o755), (outside / "file", 0o644)):
        each.chmod(mode)
    (place.home / "folder").symlink_to(outside)
    (place.home / "file").symlink_to(outside / "file")
    (place.home / "nowhere").symlink_to(tmp_path / "nowhere")
    (place.home / "inside").symlink_to(place.home / "media")
    os.mkfifo(place.home / "pipe")
    _open_up(place)
    correct_modes(place)
    assert (outside.stat().st_mode & 0o777, (outside / "file").stat().st_mode & 0o777) == (0o755, 0o644)
    assert wide(place.home) == []
    told = "\n".join(find_wide(place))
    assert told.count("is a link that leads out of") == 3
    assert str(place.home / "inside") not in told


def test_correction_opens_nothing_and_keeps_odd_modes(place: Environment) -> None:
    for name, mode in (("write-only", 0o222), ("others-only", 0o044), ("closed", 0o000)):
        (place.home / name).touch()
        (place.home / name).chmod(mode)
    correct_modes(place)
    modes = [stat.S_IMODE((place.home / name).stat().st_mode) for name in ("write-only", "others-only", "closed")]
    assert modes == [0o200, 0o000, 0o000]


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
def test_files_of_another_user_are_reported_and_left_alone(place: Environment) -> None:
    file = place.home / "media" / "foreign"
    file.touch()
    file.chmod(0o644)
    os.chown(file, 65534, 65534)
    correct_modes(place)
    assert file.stat().st_mode & 0o777 == 0o644
    assert any("belongs to another user" in line for line in find_wide(place))


def test_parent_that_everybody_can_write_is_reported(place: Environment, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    assert sum("can be written by everybody" in line for line in find_wide(place)) == 2
    tmp_path.chmod(0o1777)
    assert list(find_wide(place)) == []


def test_media_and_stores_elsewhere_are_reported_but_not_changed(place: Environment, tmp_path: Path) -> None:
    media, store = tmp_path / "media", tmp_path / "vault.sqlite3"
    media.mkdir()
    store.touch()
    media.chmod(0o755)
    store.chmod(0o644)
    urls = dict(place.database_urls) | {"vault": f"sqlite://{store}"}
    elsewhere = replace(place, media_url=media.as_uri(), database_urls=urls)
    assert correct_modes(elsewhere) == 0
    told = "\n".join(find_wide(elsewhere))
    assert f"{media} is open to others" in told
    assert f"{store} is open to others" in told


def test_correction_ends_when_its_time_is_over(place: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    _open_up(place)
    monkeypatch.setattr(owner_only, "CORRECT_SECONDS", -1.0)
    assert correct_modes(place) == 2, "one entry of each root"


def test_secret_files_that_others_can_read_are_told_without_content(tmp_path: Path) -> None:
    file = tmp_path / "mail"
    file.write_text("smtp://letters:geheim@mail.kr")
    file.chmod(0o640)
    (told,) = secret_files_wide({"IMGNOM_MAIL_URL_FILE": str(file), "IMGNOM_CLOCK_FILE": str(file)})
    assert "IMGNOM_MAIL_URL_FILE" in told
    assert "geheim" not in told
    file.chmod(0o600)
    assert secret_files_wide({"IMGNOM_MAIL_URL_FILE": str(file)}) == []
