"""The addresses of the page: a form and its answer, a customer by id, what-if, a file of customers, signing in."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, current_app, g, redirect, render_template, request, send_from_directory, url_for
from werkzeug.exceptions import HTTPException, InternalServerError, RequestEntityTooLarge

from churn.columns import FEATURES, KEY
from churn.core.api_keys import ApiKey
from churn_api.auth import Refused, anyone
from churn_api.batch import MAXIMUM_BATCH_BYTES
from churn_api.batch_rows import MAXIMUM_ROWS
from churn_api.bodies import MAXIMUM_BODY_BYTES, BadRecord
from churn_api.customers import CustomerScores, published_inputs, published_scores
from churn_api.night import Night
from churn_api.page import session
from churn_api.page.answers import Answer, tell, tell_change, tell_published
from churn_api.page.form import BEFORE, FIELDS, groups, label_of, read_form, texts_of
from churn_api.page.picture import gauge, trend
from churn_api.page.scored_file import MOST_SHOWN, score_file
from churn_api.page.session import ForgedForm, NotSignedIn
from churn_api.problems import FieldProblem, Problem
from churn_api.production import FollowedModel

STATIC = Path(__file__).parents[1] / "static"
SECONDS_KEPT = 3600  # by the browser; the address of an asset changes with its content
ENVELOPE = 64 * 1024  # what a browser puts around a file
CONTENT_SECURITY_POLICY = "; ".join(
    (
        *("default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'"),
        *("form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"),
    )
)
FILE_NAME = "churn-scores.csv"
EMPTY_FORM = "No field of the customer is filled in."
EXPIRED = Problem(403, "expired-form", "The page was open for too long, or was sent from elsewhere: nothing was done.",
                  "Your entries are still here. Send them once more.")  # fmt: skip
_OPEN = frozenset({"page.sign_in", "page.begin_session"})
blueprint = Blueprint("page", __name__)


@dataclass(frozen=True)
class Shown:
    """One state of the page: the texts of the form, those of a what-if's beginning, what is said, what is wrong."""

    texts: Mapping[str, str] = field(default_factory=dict)
    before_texts: Mapping[str, str] = field(default_factory=dict)
    answer: Answer | None = None
    before: Answer | None = None
    customer: CustomerScores | None = None
    asked_id: str = ""
    summary: str = ""
    problems: tuple[FieldProblem, ...] = ()


@blueprint.get("/")
@anyone
def home() -> Response:
    """The form; with ?customer=ID what the nights have published of that customer."""
    customer_id = request.args.get("customer", "").strip()
    return _page(_customer(customer_id) if customer_id else Shown())


@blueprint.post("/")
@anyone
def answer() -> Response:
    """The form with its answer, and what a change does to it."""
    return _page(_answered())


@blueprint.post("/what-if")
@anyone
def what_if() -> Response:
    """The answer alone, for the script that keeps it in step with the form."""
    shown = _answered()
    return _html("page/answer.html", 422 if shown.problems else 200, **_pictures(shown))


@blueprint.post("/file")
@anyone
def score_a_file() -> Response:
    """A file of customers: a page about it with the scored file in it, or that file at once."""
    given = request.files.get("file")
    if given is None or not given.filename:
        return _page(_no_file("No file was chosen.", "Choose a CSV file."), 422)
    try:
        scored = score_file(given.stream.read())
    except Problem as problem:
        if problem.status >= 500:
            raise
        return _page(_no_file(problem.detail, problem.next_step, problem.errors), problem.status)
    if request.form.get("do") == "download":
        headers = {"Content-Disposition": f'attachment; filename="{FILE_NAME}"'}
        return Response(scored.written, content_type="text/csv; charset=utf-8", headers=headers)
    link = "data:text/csv;charset=utf-8;base64," + base64.b64encode(scored.written).decode()
    return _html("page/file.html", 200, scored=scored, link=link, file_name=FILE_NAME, most_shown=MOST_SHOWN)


@blueprint.get("/sign-in")
@anyone
def sign_in() -> Response:
    """The form that takes an API key."""
    return _html("page/sign_in.html", 200, customer=request.args.get("customer", ""), problem=None)


@blueprint.post("/sign-in")
@anyone
def begin_session() -> Response:
    """Begin a session of a key's owner and show the page."""
    customer = request.form.get("customer", "")
    try:
        session.sign_in(request.form.get("key", "").strip())
    except Refused as problem:
        return _html("page/sign_in.html", problem.status, customer=customer, problem=problem)
    return _see_other("page.home", **({"customer": customer} if customer else {}))


@blueprint.post("/sign-out")
@anyone
def end_session() -> Response:
    """End the session."""
    session.sign_out()
    return _see_other("page.sign_in")


@blueprint.get("/static/<path:name>")
@anyone
def asset(name: str) -> Response:
    """The style, the script and the icon."""
    return send_from_directory(STATIC, name, max_age=SECONDS_KEPT)


@blueprint.before_request
def _let_in() -> None:
    """Ask who it is and whether the form is theirs, before anything is read of it."""
    if request.endpoint == "page.asset":
        return
    g.let_in = False
    is_file = request.endpoint == "page.score_a_file"
    request.max_content_length = (MAXIMUM_BATCH_BYTES if is_file else MAXIMUM_BODY_BYTES) + ENVELOPE
    session.require_secret()
    if request.endpoint not in _OPEN:
        session.require_session()
    if request.method == "POST":
        session.require_token()
    g.let_in = request.endpoint not in _OPEN


@blueprint.after_request
def _secure(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    return response


@blueprint.errorhandler(NotSignedIn)
def _ask_to_sign_in(_error: NotSignedIn) -> Response:
    if request.endpoint == "page.what_if":
        problem = Problem(401, "signed-out", "Your session has ended.", "Load the page again and sign in.")
        return _html("page/problem_part.html", 401, problem=problem)
    customer = request.args.get("customer")
    return _see_other("page.sign_in", **({"customer": customer} if customer else {}))


@blueprint.errorhandler(ForgedForm)
def _refuse_forged(_error: ForgedForm) -> Response:
    if request.endpoint == "page.what_if":
        return _html("page/problem_part.html", 403, problem=EXPIRED)
    if request.endpoint in _OPEN:
        return _html("page/sign_in.html", 403, customer=request.form.get("customer", ""), problem=EXPIRED)
    kept = {name: request.form[name] for name in FIELDS if name in request.form}
    return _page(Shown(texts=kept, summary=EXPIRED.detail, problems=(_whole(EXPIRED),)), 403)


@blueprint.errorhandler(Problem)
@blueprint.errorhandler(Refused)
def _tell_problem(problem: Problem) -> Response:
    g.problem = problem.kind
    template = "page/problem_part.html" if request.endpoint == "page.what_if" else "page/problem.html"
    page = _html(template, problem.status, problem=problem)
    if problem.retry_after is not None:
        page.headers["Retry-After"] = str(problem.retry_after)
    return page


@blueprint.errorhandler(RequestEntityTooLarge)
def _tell_too_large(_error: RequestEntityTooLarge) -> Response:
    step = f"Send a file of up to {MAXIMUM_ROWS:,} customers and {MAXIMUM_BATCH_BYTES // 1024**2} MiB."
    return _tell_problem(Problem(413, "too-large", "What was sent is too large.", step))


@blueprint.errorhandler(HTTPException)
def _tell_http(error: HTTPException) -> Response | HTTPException:
    if error.code is None or error.code < 400:
        return error
    return _tell_problem(Problem(error.code, "refused", error.description or error.name, "Go back to the page."))


@blueprint.errorhandler(InternalServerError)
def _tell_defect(_error: InternalServerError) -> Response:
    """A defect of ours: the log has the trace, the page says nothing of it."""
    step = f"Try again; if it stays, give this number to the operators: {g.request_id}"
    return _tell_problem(Problem(500, "internal-error", "The page failed because of a defect.", step))


def _customer(customer_id: str) -> Shown:
    """One customer's published row, and the form with what the night knew of them."""
    if not session.may_look_up():
        raise Problem(403, "wrong-scope", "Your key does not open customers by their id.",
                      "Ask the operators for a key with the scope read, or describe the customer.")  # fmt: skip
    try:
        scores = published_scores(customer_id)
    except Problem as problem:
        if problem.status != 404:
            raise
        step = "Correct the id, or describe the customer in the form."
        wrong = FieldProblem("customer", f"No published night knows a customer with the id {customer_id[:100]}.", step)
        return Shown(asked_id=customer_id, summary=wrong.message, problems=(wrong,))
    inputs = published_inputs(customer_id) if scores.score else None
    row = scores.score or scores.history[0]
    texts = texts_of(inputs.record) | {KEY.name: customer_id} if inputs else {KEY.name: customer_id}
    said = tell_published(row, inputs, _production().served)
    return Shown(texts, texts if inputs else {}, said, customer=scores, asked_id=customer_id)


def _answered() -> Shown:
    """The form that was sent, with its answer or with what is wrong with it."""
    texts = {name: request.form.get(name, "") for name in FIELDS}
    before_texts = {name: request.form[BEFORE + name] for name in FIELDS if BEFORE + name in request.form}
    tried, _, value = request.form.get("try", "").partition("=")
    if tried in FIELDS:
        texts[tried] = value
    compares = bool(before_texts) and (bool(tried) or request.form.get("do") == "what-if")
    try:
        customer_id, record = read_form(texts)
        if not compares:
            return Shown(texts, texts, tell(customer_id, record))
        _, record_before = read_form(before_texts)
        before, after = tell_change(customer_id, record_before, record)
        return Shown(texts, before_texts, after, before)
    except BadRecord as bad:
        problems = tuple(_in_words(problem) for problem in bad.errors)
        return Shown(texts, before_texts, summary=_count(problems), problems=problems)


def _in_words(problem: FieldProblem) -> FieldProblem:
    """A problem of the API as one of the form."""
    if problem.field not in FIELDS:
        return FieldProblem(FEATURES[0].name, EMPTY_FORM, "Fill in at least one field.")
    label = label_of(problem.field)
    message = problem.message.replace(problem.field, label, 1)
    step = problem.next_step.replace("Send", "Enter", 1).replace(f"leave {problem.field} out", "leave it empty")
    return FieldProblem(problem.field, message, step)


def _count(problems: tuple[FieldProblem, ...]) -> str:
    return "1 entry needs a correction." if len(problems) == 1 else f"{len(problems)} entries need a correction."


def _no_file(detail: str, next_step: str, errors: tuple[FieldProblem, ...] = ()) -> Shown:
    found = [FieldProblem("file", f"{error.message}", error.next_step) for error in errors]
    return Shown(summary=detail, problems=tuple(found) or (FieldProblem("file", detail, next_step),))


def _whole(problem: Problem) -> FieldProblem:
    return FieldProblem(FEATURES[0].name, problem.detail, problem.next_step)


def _page(shown: Shown, status: int | None = None) -> Response:
    """The whole page in one state."""
    known = 422 if shown.problems and not shown.asked_id else 404 if shown.problems else 200
    night: Night = current_app.extensions["night"]
    served = _production().served
    return _html(
        "page/home.html",
        status or known,
        groups=groups(shown.texts, shown.problems),
        may_look_up=session.may_look_up(),
        night=night.run,
        served=served,
        maximum_rows=MAXIMUM_ROWS,
        **_pictures(shown),
    )


def _pictures(shown: Shown) -> dict[str, Any]:
    night: Night = current_app.extensions["night"]
    said, before = shown.answer, shown.before
    probability = said.churn_probability if said else None
    drawn = gauge(_policy(), night.percentile_cuts, probability, before.churn_probability if before else None)
    history = shown.customer.history if shown.customer else []
    line = trend([row.churn_probability for row in reversed(history)])
    return {"shown": shown, "gauge": drawn, "trend": line, "policy": _policy(), "prefix": BEFORE, "fields": FIELDS}


def _html(template: str, status: int, **values: Any) -> Response:
    caller: ApiKey | None = g.get("caller")
    token = session.token() if current_app.secret_key else ""
    return Response(
        render_template(template, csrf_token=token, caller=caller, asset=_asset_address, **values), status=status
    )


def _see_other(endpoint: str, **values: Any) -> Response:
    return current_app.make_response(redirect(url_for(endpoint, **values), 303))


@cache
def _asset_address(name: str) -> str:
    """The address of an asset, which changes with its content."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


def _production() -> FollowedModel:
    found: FollowedModel = current_app.extensions["production"]
    return found


def _policy() -> Any:
    return current_app.extensions["policy"]
