"""Pages of the members: parse, call one use case, answer."""

from collections.abc import Mapping

import pyotp
import segno
from django.core.signing import BadSignature, TimestampSigner
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString
from django.views.decorators.http import require_http_methods, require_POST

from imgnom.community.members import enter, forms, join, passwords, second_factor, sessions
from imgnom.community.members.errors import (
    AlreadyConfirmed,
    CodeWrong,
    JoinRefused,
    LoginWrong,
    MailboxTaken,
    NicknameTaken,
    PasswordTooLike,
    RegistrationGone,
    SessionOver,
    UsernameTaken,
)
from imgnom.community.members.known_browsers import remember_browser
from imgnom.community.members.letters import mail_is_late
from imgnom.community.members.mail_limits import network_source
from imgnom.community.members.models import Member
from imgnom.custody.guard.public import canonical_email
from imgnom.web.address import client_address
from imgnom.web.cookies import cookie_seconds, read_cookie, write_cookie
from imgnom.web.error_words import words_for
from imgnom.web.guards import login_required_page, safe_next, step_up_required
from imgnom.web.language import language_of
from imgnom.web.requests import MemberRequest, Request, posted
from imgnom.web.responses import invalid, see_other, wants_json
from imgnom.web.room import takes_room
from imgnom.web.throttle import TooMany, hit_network
from imgnom.web.words import say

get_or_post = require_http_methods(["GET", "HEAD", "POST"])
# Set for an hour of real time when somebody says that they are under 14; signed, and nothing else is noted.
AGE_COOKIE = "imgnom_age"
# New codes for one network, over all its sign-ups.
RESENDS_AN_HOUR = 60

NICKNAME_TAKEN = say(
    ko="이미 있는 닉네임입니다. 다른 이름을 적어 주세요.", en="This nickname is taken. Choose another."
)
USERNAME_TAKEN = say(ko="이미 있는 아이디입니다. 다른 것을 적어 주세요.", en="This ID is taken. Choose another.")
CODE_WRONG = say(
    ko="번호가 맞지 않거나, 이미 썼거나, 시간이 지났습니다. 가장 나중에 온 번호를 적거나 다시 받아 주세요.",
    en="The number is wrong, used, or too old. Enter the latest one, or ask for another.",
)
WAY_BY_MAIL = say(
    ko="기다리지 않으려면 ‘비밀번호를 잊었습니다’에서 메일로 번호를 받아 주세요.",
    en="If you can't wait, use “I forgot the password” to get a code by e-mail.",
)
PASSWORD_WRONG = say(ko="비밀번호가 맞지 않습니다. 다시 적어 주세요.", en="The password is wrong. Enter it again.")
TOO_LIKE = say(
    ko="아이디, 닉네임, 이메일과 다른 비밀번호를 적어 주세요.",
    en="Choose a password unlike ID, nickname and e-mail.",
)


def _form_page(
    request: HttpRequest,
    form: Form,
    *,
    title: str,
    button: str,
    lead: str = "",
    extra: Mapping[str, object] | None = None,
    template: str = "members/form.html",
) -> HttpResponse:
    context = {"form": form, "title": title, "lead": lead, "button": button} | dict(extra or {})
    return invalid(request, template, context) if form.errors else render(request, template, context)


@get_or_post
@takes_room
def signup(request: Request) -> HttpResponse:
    if request.method != "POST":
        if _said_under_14(request):
            return render(request, "members/under_14.html")
        return render(request, "members/signup.html", {"form": forms.SignupForm()})
    # I3: who is under 14 leaves nothing of what was typed.
    if request.POST.get("age_group") == "under_14" or _said_under_14(request):
        return _under_14(request)
    here = client_address(request)
    hit_network("signup", here, limit=300, per_seconds=3600)
    form = forms.SignupForm(request.POST)
    if form.is_valid():
        data = form.cleaned_data
        hit_network("signup mailbox", here, about=canonical_email(data["email"]), limit=20, per_seconds=3600)
        try:
            token = join.register_member(
                username=data["username"],
                password=data["password1"],
                nickname=data["nickname"],
                email=data["email"],
                extras=form.extras(),
                consents=form.consents(),
                source=network_source(here),
                now=request.now,
            )
        except NicknameTaken:
            form.add_error("nickname", NICKNAME_TAKEN)
        else:
            join.abandon_registration(request.session.get("registration", ""), now=request.now)
            request.session["registration"] = token
            return see_other("/signup/confirm")
    return invalid(request, "members/signup.html", {"form": form})


def _said_under_14(request: Request) -> bool:
    try:
        TimestampSigner(salt=AGE_COOKIE).unsign(read_cookie(request, AGE_COOKIE), max_age=cookie_seconds(AGE_COOKIE))
    except BadSignature:
        return False
    return True


def _under_14(request: Request) -> HttpResponse:
    """Kept in the browser alone: a stranger who answers again and again leaves no row. An answer is not prolonged."""
    response = render(request, "members/under_14.html")
    if not _said_under_14(request):
        note = TimestampSigner(salt=AGE_COOKIE).sign("under_14")
        write_cookie(response, AGE_COOKIE, note, max_age=cookie_seconds(AGE_COOKIE))
    return response


@get_or_post
@takes_room
def signup_confirm(request: Request) -> HttpResponse:
    token = request.session.get("registration", "")
    if request.method != "POST":
        proven = join.registration_state(token, now=request.now) == "confirmed"
        return _confirm_page(request, forms.ConfirmForm(needs=("username",) if proven else ()), token)
    if "resend" in request.POST:
        return _resend(request, token)
    hit_network("confirm", client_address(request), limit=300, per_seconds=600)
    needs = tuple(name for name in ("username", "nickname") if request.POST.get(name))
    form = forms.ConfirmForm(request.POST, needs=needs)
    if form.is_valid():
        return _confirm(request, form, token)
    return _confirm_page(request, form, token)


def _confirm(request: Request, form: forms.ConfirmForm, token: str) -> HttpResponse:
    data = form.cleaned_data
    if "username" in data or "nickname" in data:
        hit_network("another name", client_address(request), about=token, limit=30, per_seconds=3600)
    try:
        member = join.confirm_registration(
            token=token,
            code=data.get("code", request.POST.get("code", "")),
            new_username=data.get("username"),
            new_nickname=data.get("nickname"),
            now=request.now,
        )
    except UsernameTaken:
        return _confirm_page(request, _asking_anew(request, "username", USERNAME_TAKEN), token)
    except NicknameTaken:
        return _confirm_page(request, _asking_anew(request, "nickname", NICKNAME_TAKEN), token)
    except (CodeWrong, RegistrationGone):
        form.add_error("code" if "code" in form.fields else None, CODE_WRONG)
        return _confirm_page(request, form, token)
    except (MailboxTaken, JoinRefused) as refusal:
        request.session.pop("registration", None)
        return invalid(request, "members/not_joined.html", {"refused": isinstance(refusal, JoinRefused)})
    except AlreadyConfirmed:
        return render(request, "members/already_confirmed.html", status=409)
    enter.sign_in(request, member)
    return see_other("/")


def _asking_anew(request: Request, name: str, why: str) -> forms.ConfirmForm:
    """A form for the one name that is taken, with what was written in it."""
    form = forms.ConfirmForm({name: request.POST.get(name, "")}, needs=(name,))
    form.errors.clear()
    form.add_error(name, why)
    return form


def _confirm_page(request: Request, form: forms.ConfirmForm, token: str) -> HttpResponse:
    state = join.registration_state(token, now=request.now)
    context = {"form": form, "waiting": state, "late": mail_is_late(), "names": "code" not in form.fields}
    template = "members/confirm.html"
    return invalid(request, template, context) if form.errors else render(request, template, context)


def _resend(request: Request, token: str) -> HttpResponse:
    here = client_address(request)
    hit_network("resend", here, limit=RESENDS_AN_HOUR, per_seconds=3600)
    hit_network("resend of one", here, about=token, limit=5, per_seconds=900)
    try:
        join.resend_code(token, source=network_source(here), now=request.now)
    except RegistrationGone:
        return see_other("/signup")
    return see_other("/signup/confirm")


@get_or_post
def login(request: Request) -> HttpResponse:
    form = forms.LoginForm(posted(request))
    target = safe_next(request.POST.get("next") or request.GET.get("next"))
    if request.method == "POST" and form.is_valid():
        try:
            member = enter.prove_login(
                request, login=form.cleaned_data["login"], password=form.cleaned_data["password"]
            )
        except LoginWrong as wrong:
            request.access_note = ("failed_login", str(wrong.args[0]))
            form.add_error(
                None,
                say(
                    ko="아이디나 비밀번호가 맞지 않습니다. 다시 적어 주세요.",
                    en="ID or password is wrong. Enter them again.",
                ),
            )
        except TooMany as delayed:
            return _login_delayed(request, form, target, delayed)
        else:
            if enter.has_second_factor(member):
                enter.begin_second_factor(request, member, target=target)
                request.half_subject = member.subject
                return see_other("/login/second-factor")
            enter.sign_in(request, member)
            return see_other(target)
    return _login_page(request, form, target)


def _login_page(request: Request, form: Form, target: str) -> HttpResponse:
    sign_in = say(ko="로그인", en="Sign in")
    return _form_page(request, form, title=sign_in, button=sign_in, extra={"next": target, "reset": True})


def _login_delayed(request: Request, form: Form, target: str, delayed: TooMany) -> HttpResponse:
    """The same for known and unknown names. An owner whom a stranger delays is told the way by mail."""
    if wants_json(request):
        raise delayed
    lead = words_for("429", language_of(request), retry_after=delayed.retry_after).lead
    form.add_error(None, f"{lead} {WAY_BY_MAIL}")
    response = _login_page(request, form, target)
    response.status_code = 429
    response["Retry-After"] = str(delayed.retry_after)
    return response


@get_or_post
def second_factor_page(request: Request) -> HttpResponse:
    half = enter.half_signed_in(request)
    if half is None:
        return second_factor_later(request)
    member, target = half
    request.half_subject = member.subject
    form = forms.CodeForm(posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            second_factor.prove_second_factor(request, member, code=form.cleaned_data["code"])
        except CodeWrong:
            request.access_note = ("failed_login", member.subject)
            form.add_error("code", say(ko="번호가 맞지 않습니다.", en="The number is wrong."))
        else:
            enter.sign_in(request, member)
            request.session["second_factor"] = True
            return see_other(safe_next(request.GET.get("next"), target))
    return _factor_page(request, form)


@login_required_page
def second_factor_later(request: MemberRequest) -> HttpResponse:
    """Who is signed in without one, and meant to open a page that asks for it."""
    form = forms.CodeForm(posted(request))
    if request.method == "POST":
        request.half_subject = request.member.subject
    if request.method == "POST" and form.is_valid():
        member = Member.objects.get(pk=request.member.pk)
        try:
            second_factor.prove_second_factor(request, member, code=form.cleaned_data["code"])
        except CodeWrong:
            form.add_error("code", say(ko="번호가 맞지 않습니다.", en="The number is wrong."))
        else:
            request.session["second_factor"] = True
            target = safe_next(request.GET.get("next"), "/desk")
            try:
                sessions.renew_session(request, now=request.now)
            except SessionOver:
                return _over(request, target)
            return see_other(target)
    return _factor_page(request, form)


def _factor_page(request: HttpRequest, form: Form) -> HttpResponse:
    return _form_page(
        request,
        form,
        title=say(ko="두 번째 확인", en="Second factor"),
        lead=say(
            ko="인증 앱에 보이는 여섯 자리 번호를 적어 주세요. 번호 하나는 한 번만 쓸 수 있습니다.",
            en="Enter the six digits of your authenticator. Each number works once.",
        ),
        button=say(ko="확인", en="Confirm"),
    )


@require_POST
def logout(request: Request) -> HttpResponse:
    if request.member is not None:
        request.access_note = ("logout", request.member.subject)
        sessions.end_session(request)
    else:
        request.session.flush()
    return see_other("/")


def _over(request: MemberRequest, target: str) -> HttpResponse:
    """The session ended or was renewed meanwhile: whatever cookie the browser has now decides at `target`."""
    sessions.forget_session(request)
    return see_other(target)


@get_or_post
@login_required_page
def step_up(request: MemberRequest) -> HttpResponse:
    form = forms.PasswordForm(posted(request))
    target = safe_next(request.POST.get("next") or request.GET.get("next"), "/me/privacy")
    if request.method == "POST" and form.is_valid():
        try:
            enter.step_up(request, password=form.cleaned_data["password"])
        except LoginWrong:
            form.add_error("password", PASSWORD_WRONG)
        except SessionOver:
            return _over(request, target)
        else:
            return see_other(target)
    lead = say(
        ko="본인인지 한 번 더 확인합니다. 10분 동안 이어집니다.",
        en="Confirm once more that it is you. It lasts ten minutes.",
    )
    return _form_page(
        request,
        form,
        title=say(ko="본인 확인", en="Identity check"),
        lead=lead,
        button=say(ko="확인", en="Confirm"),
        extra={"next": target},
    )


@get_or_post
@step_up_required
def password(request: MemberRequest) -> HttpResponse:
    form = forms.ChangePasswordForm(posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            passwords.change_password(
                request,
                current=form.cleaned_data["password"],
                password=form.cleaned_data["password1"],
                now=request.now,
            )
        except LoginWrong:
            form.add_error("password", PASSWORD_WRONG)
        except PasswordTooLike:
            form.add_error("password1", TOO_LIKE)
        except SessionOver:
            return _over(request, "/me/password")
        else:
            return see_other("/me/privacy")
    return _form_page(
        request,
        form,
        title=say(ko="비밀번호 바꾸기", en="Change the password"),
        lead=say(ko="다른 곳의 로그인은 모두 끝납니다.", en="All other sessions end."),
        button=say(ko="비밀번호 바꾸기", en="Change the password"),
    )


@get_or_post
def reset(request: Request) -> HttpResponse:
    form = forms.ResetForm(posted(request))
    if request.method == "POST" and form.is_valid():
        request.session["reset"] = passwords.request_reset(request, login=form.cleaned_data["login"], now=request.now)
        return see_other("/reset/confirm")
    return _form_page(
        request,
        form,
        title=say(ko="비밀번호를 잊었을 때", en="Forgotten password"),
        lead=say(
            ko="가입할 때 적은 아이디나 이메일을 적어 주세요. 계정이 있으면 그 메일로 번호를 보냅니다.",
            en="Enter the ID or e-mail you joined with. If there is an account, its mailbox gets a number.",
        ),
        button=say(ko="번호 받기", en="Send the number"),
    )


@get_or_post
def reset_confirm(request: Request) -> HttpResponse:
    if request.method == "POST":
        hit_network("reset confirm", client_address(request), limit=60, per_seconds=600)
    form = forms.ResetConfirmForm(posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            subject = passwords.reset_password(
                token=request.session.get("reset", ""),
                code=form.cleaned_data["code"],
                password=form.cleaned_data["password1"],
                now=request.now,
            )
        except CodeWrong:
            form.add_error("code", CODE_WRONG)
        except PasswordTooLike:
            form.add_error("password1", TOO_LIKE)
        else:
            request.session.pop("reset", None)
            remember_browser(request, subject)
            return see_other("/login")
    return _form_page(
        request,
        form,
        title=say(ko="새 비밀번호", en="New password"),
        lead=say(
            ko="계정이 있으면 여섯 자리 번호가 메일로 갔습니다. 스팸함도 확인해 주세요. 바꾸면 로그인한 곳이 모두 끝납니다.",
            en="If there is an account, six digits are on their way. Look into the spam folder too. All sessions end.",
        ),
        button=say(ko="비밀번호 바꾸기", en="Change the password"),
        extra={"late": mail_is_late(), "again": True},
    )


@get_or_post
@step_up_required
def sessions_page(request: MemberRequest) -> HttpResponse:
    here = request.session["sid"]
    if request.method == "POST":
        which = request.POST.get("which", "")
        if which == "others":
            sessions.end_all_sessions(request.member.pk, but=here)
        else:
            sessions.end_listed_session(request.member.pk, which)
        return see_other("/me/sessions")
    rows = sessions.sessions_of(request.member, here=here, now=request.now)
    return render(request, "members/sessions.html", {"rows": rows})


@get_or_post
def enrol(request: Request, token: str) -> HttpResponse:
    member = second_factor.find_enrolment(token, now=request.now)
    if member is None:
        raise Http404
    form = forms.ResetConfirmForm(posted(request))
    if request.method == "POST" and form.is_valid():
        hit_network("enrolment", client_address(request), about=token, limit=20, per_seconds=600)
        try:
            second_factor.enrol_staff(
                token, code=form.cleaned_data["code"], password=form.cleaned_data["password1"], now=request.now
            )
        except CodeWrong:
            form.add_error("code", say(ko="번호가 맞지 않습니다.", en="The number is wrong."))
        except PasswordTooLike:
            form.add_error("password1", TOO_LIKE)
        else:
            return see_other("/login")
    return _enrol_page(request, form, member, second_factor.secret_of_link(token))


def _enrol_page(request: Request, form: Form, member: Member, secret: str) -> HttpResponse:
    uri = pyotp.TOTP(secret).provisioning_uri(name=member.nickname, issuer_name="imgnom")
    picture = SafeString(segno.make(uri).svg_inline(scale=5, omitsize=False))
    return _form_page(
        request,
        form,
        title=say(ko="운영 계정 준비", en="Set up your staff account"),
        lead=say(
            ko="인증 앱으로 그림을 읽고, 앱에 나온 번호와 새 비밀번호를 적어 주세요.",
            en="Scan the picture with an authenticator, then enter its number and a new password.",
        ),
        button=say(ko="준비 마치기", en="Finish"),
        extra={"picture": picture, "secret": secret},
    )
