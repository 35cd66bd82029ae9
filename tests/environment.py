"""Set before Django reads its settings: a throw-away home in rehearsal mode. Loaded as a plugin (see pyproject.toml)."""

import atexit
import os
import shutil
import signal
import tempfile
import threading
from pathlib import Path

HOME = Path(tempfile.mkdtemp(prefix="imgnom-test-"))
_owner = os.getpid()


@atexit.register
def _remove_home() -> None:
    if os.getpid() == _owner:
        shutil.rmtree(HOME, ignore_errors=True)


for _name in [name for name in os.environ if name.startswith("IMGNOM_") and name != "IMGNOM_TEST_POSTGRES"]:
    del os.environ[_name]
# Where the stores of this run lie: `tools/check_all.py` hands in the URLs of a throw-away server, one per store.
POSTGRES = os.environ.get("IMGNOM_TEST_POSTGRES", "")
for _store in ("default", "logs", "vault", "archive", "keys", "ledger") if POSTGRES else ():
    _variable = "IMGNOM_DATABASE_URL" if _store == "default" else f"IMGNOM_{_store.upper()}_DATABASE_URL"
    os.environ[_variable] = POSTGRES.format(store=_store)
os.environ["IMGNOM_MODE"] = "rehearsal"
os.environ["IMGNOM_HOME"] = str(HOME)
os.environ["IMGNOM_CLOCK_FILE"] = str(HOME / "clock")
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # browser journeys drive an event loop in the test's own thread
# A run in the background of a script is born deaf to Ctrl-C, and so would be what its tests start and interrupt.
if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
