"""Pages of the members: parse, call one use case, answer."""

import pyotp
import segno
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString
from django.views.decorators.http import require_http_methods, require_POST

from imgnom.community.members import enter, forms, join
from imgnom.community.members.errors import CodeWrong, LoginWrong, NicknameTaken, RegistrationGone, UsernameTaken
from imgnom.community.members.models import Enrolment, MemberSession
from imgnom.custody.vault.public import note_use
from imgnom.policy.public import SYSTEM
from imgnom.web.address import client_address, limit_key
from imgnom.web.guards import login_required_page, mark_step_up, safe_next, step_up_required
from imgnom.web.requests import MemberRequest, Request, posted
from imgnom.web.responses import invalid, see_other
from imgnom.web.throttle import hit
from imgnom.web.words import say

get_or_post = require_http_methods(["GET", "HEAD", "POST"])


def _form_page(
    request: HttpRequest,
    form: Form,
    *,
    title: object,
    lead: object = "",
    button: object,
    extra: dict[str, object] | None = None,
) -> HttpResponse:
    context = {"form": form, "title": title, "lead": lead, "button": button} | (extra or {})
    return (
        invalid(request, "members/form.html", context) if form.errors else render(request, "members/form.html", context)
    )


@get_or_post
def signup(request: Request) -> HttpResponse:
    if request.method != "POST":
        form = forms.SignupForm(initial={"age_group": request.GET.get("age_group")})
        return render(request, "members/signup.html", {"form": form})
    # I3: who is under 14 leaves nothing of what was typed.
    if request.POST.get("age_group") == "under_14" or request.session.get("under_14"):
        request.session["under_14"] = True
        return render(request, "members/under_14.html")
    hit("signup", limit_key(client_address(request)), limit=60, per_seconds=3600)
    form = forms.SignupForm(request.POST)
    if form.is_valid():
        data = form.cleaned_data
        try:
            token = join.register_member(
                username=data["username"], password=data["password1"], nickname=data["nickname"], email=data["email"],
                extras={name: data[name] for name in form.extra_items}, consents=form.consents(), now=request.now,
            )  # fmt: skip
        except NicknameTaken:
            form.add_error(
                "nickname",
                say(
                    ko="이미 있는 닉네임입니다. 다른 이름을 적어 주세요.", en="This nickname is taken. Choose another."
                ),
            )
        else:
            request.session["registration"] = token
            return see_other("/signup/confirm")
    return invalid(request, "members/signup.html", {"form": form})


@get_or_post
def signup_confirm(request: Request) -> HttpResponse:
    token = request.session.get("registration", "")
    title, button = (
        say(ko="메일로 온 번호를 적어 주세요", en="Enter the number from the mail"),
        say(ko="확인하고 시작하기", en="Confirm and start"),
    )
    lead = say(
        ko="적은 주소로 여섯 자리 번호를 보냈습니다. 스팸함도 확인해 주세요.",
        en="A six-digit number is on its way to the address. Look into the spam folder too.",
    )
    extra = {"resend": bool(token)}
    if request.method != "POST":
        return _form_page(request, forms.ConfirmForm(), title=title, lead=lead, button=button, extra=extra)
    if "resend" in request.POST:
        hit("resend", token, limit=5, per_seconds=900)
        try:
            join.resend_code(token, now=request.now)
        except RegistrationGone:
            return see_other("/signup")
        return see_other("/signup/confirm")
    form = forms.ConfirmForm(request.POST)
    for name in ("username", "nickname"):
        if name in request.POST:
            form.fields[name] = forms.box(
                forms.forms.CharField,
                say(ko="다른 아이디", en="Another ID")
                if name == "username"
                else say(ko="다른 닉네임", en="Another nickname"),
            )
            form.fields["code"].required = False
    if form.is_valid():
        try:
            username, nickname = form.cleaned_data.get("username"), form.cleaned_data.get("nickname")
            member = join.confirm_registration(
                token=token, code=form.cleaned_data["code"], now=request.now,
                new_username=forms.rules.check_username(username) if username else None,
                new_nickname=forms.rules.check_nickname(nickname) if nickname else None,
            )  # fmt: skip
        except UsernameTaken:
            form.fields["username"] = forms.box(forms.forms.CharField, say(ko="다른 아이디", en="Another ID"))
            form.add_error(
                "username",
                say(
                    ko="쓸 수 없는 아이디입니다. 다른 것을 적어 주세요.", en="This ID is not available. Choose another."
                ),
            )
        except NicknameTaken:
            form.fields["nickname"] = forms.box(forms.forms.CharField, say(ko="다른 닉네임", en="Another nickname"))
            form.add_error(
                "nickname",
                say(
                    ko="그사이 누가 쓰기 시작했습니다. 다른 이름을 적어 주세요.",
                    en="Somebody took it meanwhile. Choose another.",
                ),
            )
        except forms.ValidationError as error:
            form.add_error("username" if username else "nickname", error)
        except (CodeWrong, RegistrationGone):
            form.add_error(
                "code", say(ko="번호가 맞지 않거나 시간이 지났습니다.", en="The number is wrong or too old.")
            )
        else:
            enter.start_session(request, member)
            return see_other("/")
    return _form_page(request, form, title=title, lead=lead, button=button, extra=extra)


@get_or_post
def login(request: Request) -> HttpResponse:
    form = forms.LoginForm(posted(request))
    target = safe_next(request.POST.get("next") or request.GET.get("next"))
    if request.method == "POST" and form.is_valid():
        try:
            member = enter.prove_login(
                login=form.cleaned_data["login"],
                password=form.cleaned_data["password"],
                address=client_address(request),
                now=request.now,
            )
        except LoginWrong as wrong:
            request.access_note = ("failed_login", str(wrong.args[0]))
            form.add_error(
                None,
                say(
                    ko="아이디나 비밀번호가 맞지 않아요. 다시 입력해 주세요.", en="ID or password is wrong. Try again."
                ),
            )
        else:
            enter.start_session(request, member)
            if enter.has_second_factor(member):
                request.session["after_factor"] = target
                return see_other("/login/second-factor")
            return see_other(target)
    title, button = say(ko="로그인", en="Sign in"), say(ko="로그인", en="Sign in")
    return _form_page(request, form, title=title, button=button, extra={"next": target, "reset": True})


@get_or_post
@login_required_page
def second_factor(request: MemberRequest) -> HttpResponse:
    form = forms.CodeForm(posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            enter.prove_second_factor(request.member, form.cleaned_data["code"], now=request.now)
        except CodeWrong:
            form.add_error("code", say(ko="번호가 맞지 않습니다.", en="The number is wrong."))
        else:
            request.session["second_factor"] = True
            return see_other(safe_next(request.session.pop("after_factor", None) or request.GET.get("next"), "/desk"))
    return _form_page(
        request,
        form,
        title=say(ko="두 번째 확인", en="Second factor"),
        lead=say(ko="인증 앱의 여섯 자리 번호입니다.", en="Six digits from your authenticator."),
        button=say(ko="확인", en="Confirm"),
    )


@require_POST
def logout(request: Request) -> HttpResponse:
    if request.member is not None:
        request.access_note = ("logout", request.member.subject)
        enter.end_session(request)
    return see_other("/")


@get_or_post
@login_required_page
def step_up(request: MemberRequest) -> HttpResponse:
    form = forms.PasswordForm(posted(request))
    target = safe_next(request.POST.get("next") or request.GET.get("next"), "/me/privacy")
    if request.method == "POST" and form.is_valid():
        hit("step-up", request.member.subject, limit=10, per_seconds=600)
        if request.member.check_password(form.cleaned_data["password"]):
            mark_step_up(request)
            note_use(request.member.subject, "password", purpose="identity", by=SYSTEM, now=request.now)
            return see_other(target)
        form.add_error(
            "password", say(ko="비밀번호가 맞지 않아요. 다시 입력해 주세요.", en="The password is wrong. Try again.")
        )
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
    form = forms.NewPasswordForm(posted(request))
    if request.method == "POST" and form.is_valid():
        enter.change_password(
            request.member,
            password=form.cleaned_data["password1"],
            keep_sid=request.session["sid"],
            now=request.now,
        )
        return see_other("/me/privacy")
    return _form_page(
        request,
        form,
        title=say(ko="비밀번호 바꾸기", en="Change the password"),
        lead=say(ko="다른 곳의 로그인은 모두 끝납니다.", en="All other sessions end."),
        button=say(ko="바꾸기", en="Change"),
    )


@get_or_post
def reset(request: Request) -> HttpResponse:
    form = forms.ResetForm(posted(request))
    if request.method == "POST" and form.is_valid():
        request.session["reset"] = enter.request_reset(
            login=form.cleaned_data["login"], address=client_address(request), now=request.now
        )
        return see_other("/reset/confirm")
    return _form_page(
        request,
        form,
        title=say(ko="비밀번호를 잊었을 때", en="Forgotten password"),
        lead=say(
            ko="계정이 있으면 그 메일로 번호를 보냅니다.", en="If there is an account, its mailbox gets a number."
        ),
        button=say(ko="번호 받기", en="Send the number"),
    )


@get_or_post
def reset_confirm(request: Request) -> HttpResponse:
    form = forms.ResetConfirmForm(posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            enter.reset_password(
                token=request.session.get("reset", ""),
                code=form.cleaned_data["code"],
                password=form.cleaned_data["password1"],
                now=request.now,
            )
        except CodeWrong:
            form.add_error(
                "code", say(ko="번호가 맞지 않거나 시간이 지났습니다.", en="The number is wrong or too old.")
            )
        else:
            return see_other("/login")
    return _form_page(
        request, form, title=say(ko="새 비밀번호", en="New password"), button=say(ko="바꾸기", en="Change")
    )


@get_or_post
@step_up_required
def sessions(request: MemberRequest) -> HttpResponse:
    if request.method == "POST":
        if request.POST.get("which") == "others":
            enter.end_all_sessions(request.member.pk, but=request.session["sid"])
        elif request.POST.get("which", "").isdigit():
            MemberSession.objects.filter(member=request.member, pk=request.POST["which"]).delete()
        return see_other("/me/sessions")
    rows = MemberSession.objects.filter(member=request.member, ends_at__gt=request.now).order_by("-last_seen")
    return render(request, "members/sessions.html", {"rows": rows, "here": request.session["sid"]})


@get_or_post
def enrol(request: Request, token: str) -> HttpResponse:
    row = (
        Enrolment.objects.select_related("member")
        .filter(token=enter.enrolment_digest(token), ends_at__gt=request.now)
        .first()
    )
    if row is None:
        raise Http404
    form = forms.ResetConfirmForm(posted(request))
    secret = request.session.setdefault("enrol_secret", pyotp.random_base32())
    if request.method == "POST" and form.is_valid():
        try:
            enter.enrol_staff(
                row, password=form.cleaned_data["password1"], secret=secret, code=form.cleaned_data["code"], now=request.now
            )  # fmt: skip
        except CodeWrong:
            form.add_error("code", say(ko="번호가 맞지 않습니다.", en="The number is wrong."))
        else:
            del request.session["enrol_secret"]
            return see_other("/login")
    uri = pyotp.TOTP(secret).provisioning_uri(name=row.member.nickname, issuer_name="imgnom")
    picture = SafeString(segno.make(uri).svg_inline(scale=5, omitsize=False))
    return _form_page(
        request,
        form,
        title=say(ko="운영 계정 준비", en="Set up your staff account"),
        lead=say(
            ko="인증 앱으로 그림을 읽고 나온 번호와 새 비밀번호를 적어 주세요.",
            en="Scan the picture with an authenticator, then enter its number and a new password.",
        ),
        button=say(ko="준비 마치기", en="Finish"),
        extra={"picture": picture, "secret": secret},
    )
