"""Django settings, made from the typed environment. Nothing here is read from a file of settings."""

import sys

from imgnom.site.databases import databases
from imgnom.site.environment import EnvironmentError_, read_environment
from imgnom.site.home import prepare_home
from imgnom.site.owner_only import keep_to_owner
from imgnom.site.secret import read_secret_key

keep_to_owner()
try:
    IMGNOM = read_environment()
    prepare_home(IMGNOM)
    SECRET_KEY = read_secret_key(IMGNOM)
    DATABASES = databases(IMGNOM)
except EnvironmentError_ as error:
    sys.exit(f"imgnom: {error}")

DEBUG = False

ALLOWED_HOSTS = (
    [IMGNOM.host] if IMGNOM.mode == "production" else [IMGNOM.host, "127.0.0.1", "localhost", "[::1]", "testserver"]
)
CSRF_TRUSTED_ORIGINS = [IMGNOM.base_url]
ROOT_URLCONF = "imgnom.site.urls"
WSGI_APPLICATION = "imgnom.site.wsgi.application"

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "imgnom.custody.outbox",
    "imgnom.custody.keys",
    "imgnom.custody.vault",
    "imgnom.custody.consent",
    "imgnom.custody.guard",
    "imgnom.custody.archive",
    "imgnom.custody.ledger",
    "imgnom.web",
    "imgnom.community.members",
    "imgnom.community.images",
    "imgnom.community.comments",
    "imgnom.community.visits",
    "imgnom.procedures.publication",
    "imgnom.procedures.retention",
    "imgnom.procedures.rights",
    "imgnom.procedures.moderation",
    "imgnom.procedures.proofs",
    "imgnom.site",
]

MIDDLEWARE = [
    "imgnom.web.middleware.ScrubbedErrors",
    "imgnom.web.middleware.SecurityHeaders",
    "imgnom.web.middleware.RequestLimits",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "imgnom.web.room.RoomForThoseWhoLeave",
    "imgnom.site.clock.StampNow",
    "imgnom.web.middleware.OnlyDeclaredCookies",
    "imgnom.site.sessions.SessionMiddleware",
    "imgnom.web.middleware.ChosenLanguage",
    "django.middleware.common.CommonMiddleware",
    "imgnom.web.uploads.UploadsInMemory",
    "imgnom.web.uploads.AdmitBodies",
    "django.middleware.csrf.CsrfViewMiddleware",
    "imgnom.web.middleware.NoNulCharacters",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "imgnom.community.members.middleware.LiveSession",
    "imgnom.community.visits.middleware.RecordVisit",
    "imgnom.procedures.moderation.middleware.RecordHandling",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "loaders": [("imgnom.web.folding.Loader", ["django.template.loaders.app_directories.Loader"])],
            "context_processors": [
                "django.template.context_processors.request",
                "imgnom.web.context.page",
            ],
            "builtins": ["imgnom.web.templatetags.web"],
        },
    }
]

DATABASE_ROUTERS = ["imgnom.site.router.StoreRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "members.Member"
AUTHENTICATION_BACKENDS = ["imgnom.community.members.backend.MemberBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
LOGIN_URL = "/login"

_PREFIX = "__Host-" if IMGNOM.is_https else ""
SESSION_ENGINE = "imgnom.site.sessions"
SESSION_COOKIE_NAME = f"{_PREFIX}imgnom_session"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = IMGNOM.is_https
CSRF_COOKIE_NAME = f"{_PREFIX}imgnom_csrf"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SECURE = IMGNOM.is_https
CSRF_FAILURE_VIEW = "imgnom.web.errors.csrf_failure"
LANGUAGE_COOKIE_NAME = f"{_PREFIX}imgnom_lang"

LANGUAGE_CODE = "ko"
LANGUAGES = [("ko", "한국어"), ("en", "English")]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "Asia/Seoul"

STATIC_URL = "/static/"
STATIC_ROOT = IMGNOM.home / "static"
STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(IMGNOM.home / "media")},
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

# Files are owner-only; Django would make what it stores readable to all, whatever the umask.
FILE_UPLOAD_PERMISSIONS = 0o600
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o700

# The limits of a request, before any view. Files have their own (web/uploads.py) and no handler that could write them.
FILE_UPLOAD_HANDLERS: list[str] = []
# The longest form of ours, every field full and each character escaped (12 bytes), is 100 KB.
DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 400
DATA_UPLOAD_MAX_NUMBER_FILES = 50

SECURE_CONTENT_TYPE_NOSNIFF = True
APPEND_SLASH = False

DEFAULT_EXCEPTION_REPORTER = "imgnom.web.errors.SilentReporter"
LOGGING_CONFIG = None
