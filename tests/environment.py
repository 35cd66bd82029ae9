"""Set before Django reads its settings: a throw-away home in rehearsal mode. Loaded as a plugin (see pyproject.toml)."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

HOME = Path(tempfile.mkdtemp(prefix="imgnom-test-"))
_owner = os.getpid()


@atexit.register
def _remove_home() -> None:
    if os.getpid() == _owner:
        shutil.rmtree(HOME, ignore_errors=True)


for _name in [name for name in os.environ if name.startswith("IMGNOM_") and name != "IMGNOM_TEST_POSTGRES"]:
    del os.environ[_name]
os.environ["IMGNOM_MODE"] = "rehearsal"
os.environ["IMGNOM_HOME"] = str(HOME)
os.environ["IMGNOM_CLOCK_FILE"] = str(HOME / "clock")
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # browser journeys drive an event loop in the test's own thread
