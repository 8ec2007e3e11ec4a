"""Who may use the page, and that no other site can use it in their name."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import expect
from pydantic import SecretStr

from churn.errors import ConfigurationError
from churn.jobs.issue_api_key import revoke_api_key
from churn.settings import Settings
from churn_api.page.session import hand_secret_to_workers
from tests.api.callers import issue, logged, wait_until
from tests.api.conftest import running
from tests.conftest import TestMlflow
from tests.page.conftest import EVERYWHERE, Site, Visit, serve

FORM = {"tenure": "7", "Contract": "One year", "do": "score"}


def session_with_token(url: str) -> tuple[requests.Session, str]:
    session = requests.Session()
    session.headers["Connection"] = "close"  # a kept-alive connection may just be closed by the other side
    found = re.search(r'name="csrf_token" value="([^"]+)"', session.get(url, timeout=10).text)
    assert found
    return session, found[1]


def key_for(site: Site, name: str, *scopes: str, **more: Any) -> str:
    """A key that every worker knows."""
    key = issue(site.database.as_role("churn_pipeline"), name, *scopes, **more)
    headers = {"Authorization": f"Bearer {key}"}
    known = 0

    def is_known() -> bool:
        nonlocal known
        answer = requests.post(f"{site.url}/v1/predict", json={"tenure": 1}, headers=headers, timeout=10)
        known = known + 1 if answer.status_code in (200, 403) else 0
        return known >= 12  # in a row: both workers were asked

    wait_until(is_known)
    return key


@pytest.mark.parametrize("token", [None, "", "wrong", "of another session", "ümlaut"])
@pytest.mark.parametrize("path", ["/", "/what-if", "/file", "/sign-out"])
def test_a_form_without_the_token_of_its_session_does_nothing(site: Site, path: str, token: str | None) -> None:
    session, _ = session_with_token(site.url)
    _, other = session_with_token(site.url)
    before = len(logged(site.database))
    sent = FORM | {"tenure": "599"} | ({} if token is None else {"csrf_token": other if token[:2] == "of" else token})
    files = {"file": ("a.csv", "tenure\n599\n")} if path == "/file" else None
    answer = session.post(site.url + path, data=sent, files=files, timeout=10)
    assert answer.status_code == 403
    assert 'id="probability"' not in answer.text
    assert [row for row in logged(site.database)[before:] if (row["inputs"] or {}).get("tenure") == 599] == []


def test_the_same_form_with_its_token_is_answered(site: Site) -> None:
    session, token = session_with_token(site.url)
    answer = session.post(site.url, data=FORM | {"csrf_token": token}, timeout=10)
    assert answer.status_code == 200
    assert 'id="probability"' in answer.text
    assert requests.post(site.url, data=FORM | {"csrf_token": token}, timeout=10).status_code == 403  # without cookie


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(site: Site) -> None:
    cookie = requests.get(site.url, timeout=10).headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    over_tls = requests.get(site.url, headers={"X-Forwarded-Proto": "https"}, timeout=10).headers["Set-Cookie"]
    assert "Secure" in over_tls


def test_the_page_says_what_it_may_load_and_refuses_to_be_framed(site: Site) -> None:
    answer = requests.get(site.url, timeout=10)
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} <= set(policy.split("; "))
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Cache-Control"] == "no-store"
    assert not re.search(r"\sstyle=|\son\w+=|<script>|<style", answer.text)


def test_a_key_opens_the_page_until_it_is_revoked(guarded: Site, visit: Visit) -> None:
    key = key_for(guarded, "analyst", "predict", "read")
    page = visit(guarded.url)
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.locator("#field-key").fill(key[:-4] + "AAAA")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#problem")).to_contain_text("The API key is not valid")
    page.locator("#field-key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("Signed in as analyst")).to_be_visible()
    (cookie,) = page.context.cookies()
    secret = key.split("_", 2)[2]
    assert secret not in cookie["value"]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    page.locator("#field-tenure").fill("333")
    page.get_by_role("button", name="Show the risk").click()
    expect(page.locator("#probability")).to_be_visible()
    own = lambda: [row["key_id"] for row in logged(guarded.database) if (row["inputs"] or {}).get("tenure") == 333]  # noqa: E731
    wait_until(lambda: own() == [key.split("_")[1]])

    revoke_api_key(guarded.database.as_role("churn_pipeline"), "analyst")
    jar = {cookie["name"]: cookie["value"]}
    refused = 0

    def is_refused() -> bool:
        nonlocal refused
        answer = requests.get(guarded.url, cookies=jar, timeout=10, allow_redirects=False)
        refused = refused + 1 if answer.status_code == 303 else 0
        return refused >= 12

    wait_until(is_refused)
    page.locator("#field-tenure").fill("334")  # the script asks
    expect(page.locator("#problem")).to_contain_text("Your session has ended.")
    page.goto(guarded.url)
    page.locator("#field-key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#problem")).to_contain_text("The API key is not valid")
    assert [row for row in logged(guarded.database) if (row["inputs"] or {}).get("tenure") == 334] == []


def test_the_cookie_of_the_page_opens_no_address_of_the_api(guarded: Site) -> None:
    key = key_for(guarded, "cookie", "predict", "read")
    session, token = session_with_token(f"{guarded.url}/sign-in")
    signed_in = session.post(f"{guarded.url}/sign-in", data={"key": key, "csrf_token": token}, timeout=10)
    assert "Signed in as" in signed_in.text
    assert session.post(f"{guarded.url}/v1/predict", json={"tenure": 1}, timeout=10).status_code == 401
    found = re.search(r'name="csrf_token" value="([^"]+)"', signed_in.text)
    assert found
    assert found[1] != token  # a session begins with a token of its own
    assert "Sign in" in session.post(f"{guarded.url}/sign-out", data={"csrf_token": found[1]}, timeout=10).text
    assert session.get(guarded.url, timeout=10, allow_redirects=False).status_code == 303


def test_a_key_without_the_scope_does_not_open_what_it_does_not_name(guarded: Site) -> None:
    scraper = key_for(guarded, "scraper", "metrics")
    session, token = session_with_token(f"{guarded.url}/sign-in")
    refused = session.post(f"{guarded.url}/sign-in", data={"key": scraper, "csrf_token": token}, timeout=10)
    assert refused.status_code == 403
    assert "has not the scope predict" in refused.text
    caller = key_for(guarded, "caller", "predict")
    session, token = session_with_token(f"{guarded.url}/sign-in")
    assert "Look up" not in session.post(f"{guarded.url}/sign-in", data={"key": caller, "csrf_token": token}).text
    assert session.get(f"{guarded.url}/?customer=x", timeout=10).status_code == 403


def test_a_person_has_the_limit_of_the_key(guarded: Site) -> None:
    key = key_for(guarded, "slow", "predict", requests_per_minute=120)
    session, token = session_with_token(f"{guarded.url}/sign-in")
    session.post(f"{guarded.url}/sign-in", data={"key": key, "csrf_token": token}, timeout=10)
    answers = [session.get(guarded.url, timeout=10) for _ in range(80)]
    limited = [answer for answer in answers if answer.status_code == 429]
    assert limited
    assert "may ask 120 answers a minute" in limited[0].text
    assert int(limited[0].headers["Retry-After"]) >= 1


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}"])
def test_hostile_text_stays_text_wherever_it_is_put(site: Site, visit: Visit, hostile: str) -> None:
    session, token = session_with_token(site.url)
    names = re.findall(r'<(?:input|select)[^>]* name="([^"]+)"', session.get(site.url, timeout=10).text)
    everywhere = dict.fromkeys({*names, "try", "was:tenure"}, hostile) | {"csrf_token": token, "do": "score"}
    for path, files in (("/", None), ("/what-if", None), ("/file", {"file": (hostile, f"tenure\n{hostile}\n")})):
        answer = session.post(site.url + path, data=everywhere, files=files, timeout=10).text
        assert "<img src=x" not in answer
        assert "<script>" not in answer
        assert "49" not in re.sub(r"[0-9a-f]{12,}|base64,\S+", "", answer) or "{{ 7" not in hostile
    page = visit(site.url)
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    page.get_by_label("Customer id").fill(hostile)
    page.get_by_role("button", name="Look up").click()
    expect(page.locator("#problem")).to_contain_text(hostile)
    page.locator("#field-tenure").fill(hostile)
    page.get_by_role("button", name="Show the risk").click()
    expect(page.locator("#field-tenure")).to_have_value(hostile)


def test_beyond_loopback_without_a_secret_programs_are_answered_and_the_page_says_what_to_set(
    guarded: Site, mlflow_server: TestMlflow, tmp_path: Path
) -> None:
    headers = {"Authorization": f"Bearer {key_for(guarded, 'remote', 'predict')}"}
    for site in serve(guarded.database, mlflow_server, tmp_path, EVERYWHERE, CHURN_API_WORKERS="1"):
        for path in ("/", "/sign-in"):
            page = requests.get(site.url + path, timeout=10)
            assert page.status_code == 503
            assert "set CHURN_API_SESSION_SECRET" in page.text
        answer = requests.post(f"{site.url}/v1/predict", json={"tenure": 1}, headers=headers, timeout=10)
        assert answer.status_code == 200
        assert "CHURN_API_SESSION_SECRET is not set" in site.server.log.read_text("utf-8")
    assert requests.get(f"{guarded.url}/sign-in", timeout=10).status_code == 200


def test_a_secret_that_could_be_guessed_is_refused_at_the_start() -> None:
    with pytest.raises(ConfigurationError, match="32 are the fewest"):
        hand_secret_to_workers(Settings(api_session_secret=SecretStr("secret")), beyond_loopback=True)


def test_a_session_ends_after_its_hours(site: Site, mlflow_server: TestMlflow) -> None:
    for app in running(Settings(mlflow_tracking_uri=mlflow_server.server.url)):
        client = app.test_client()
        found = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/").text)
        assert found
        form = FORM | {"csrf_token": found[1]}
        assert client.post("/", data=form).status_code == 200
        app.permanent_session_lifetime = timedelta(seconds=-1)
        assert client.post("/", data=form).status_code == 403
