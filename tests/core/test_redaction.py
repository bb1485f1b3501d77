from __future__ import annotations

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from itertools import pairwise
from random import Random
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.redaction import LONGEST_SHAPE, Redactor

TOKEN = "s3cr3t-v4lue+of/mine"


def redacted(text: str, **environment: str) -> str:
    return Redactor(environment).text(text)


@pytest.mark.parametrize(
    "name",
    [
        *("DEPLOY_TOKEN", "GITHUBTOKEN", "API_KEY", "APIKEY2", "MY_SECRET", "SECRET_KEY_BASE", "DB_PASSWORD"),
        *("PGPASSWORD", "MYSQL_PWD", "SSH_PASSPHRASE", "AWS_CREDENTIALS", "REGISTRY_AUTH", "AUTHORIZATION"),
        *("SESSION_COOKIE", "API_KEYS", "npm_config__authToken", "VAULT_SECRET_ID", "HTTP_AUTH_HEADERS"),
    ],
)
def test_a_variable_with_the_name_of_a_secret_is_one(name: str) -> None:
    assert redacted(f"it is {TOKEN}!", **{name: TOKEN}) == f"it is [redacted {name}]!"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KEYBOARD", "pc105-nodeadkeys"),
        ("TOKENIZERS_PARALLELISM", "disabled-4-now"),
        ("GIT_AUTHOR_NAME", "Ada Lovelace 1st"),
        ("XAUTHORITY", "/run/user/1000/.mutter-Xwayland.4711"),
        ("SSH_AUTH_SOCK", "/tmp/ssh-XXXXXXabc123/agent.4711"),
        ("SSH_AUTH_SOCK", "/private/tmp/com.apple.launchd.A1b2C3d4E5/Listeners"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "~/keys/project-4711.json"),
        ("SSL_KEY", "C:\\certs\\server4711.pem"),
        ("PWD", "/srv/0123456789abcdef0123456789abcdef/project"),
        ("GPG_KEY", "A035C8C19219BA821ECEA86B64E628F8D684696D"),
        ("STRIPE_PUBLIC_KEY", "pk_live_0123456789abcdef"),
        ("AWS_ACCESS_KEY_ID", "key-of-mine-4711"),
        ("AUTH_TYPE", "oauth2-device"),
        ("AUTH_URL", "https://login.example.com/oauth2"),
        ("API_KEY_MODE", "strict-2-way"),
        ("AUTH", "required"),
        ("API_KEY", "placeholder"),
        ("HEADER_KEY", "x-api-key"),
        ("DB_PASSWORD", "postgres"),
        ("MAX_TOKENS", "64000"),
        ("PASSWORD", "hunter2"),
        ("PASSWORD", "********"),
        ("API_TOKEN", ""),
        ("HOME", "/home/ada-4711"),
        ("SOMETHING", TOKEN),
        ("DATABASE_URL", "postgres://ada@db.example.com/4711"),
        ("SENTRY_DSN", "https://0123456789abcdef@sentry.example.com/1"),
    ],
)
def test_paths_words_and_public_values_are_no_secrets(name: str, value: str) -> None:
    text = f"It has {name}={value} here."
    assert redacted(text, **{name: value}) == text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MY_SECRET", "supersecret"),
        ("MY_TOKEN", "correct horse battery staple"),
        ("AUTH", "correct horse battery staple"),
        ("DB_PASSWORD", "/Kx8!abc12"),
        ("AWS_SECRET_ACCESS_KEY", "/K7MDENGbPxRfiCYwJalrXUtnFEMIbPxRfiCYzEX"),
        ("WEBHOOK_SECRET", "https://example.com/hooks/T00/B00"),
        ("PIN_SECRET", "12345678"),
    ],
)
def test_what_only_looks_a_little_like_a_word_or_a_path_is_a_secret(name: str, value: str) -> None:
    assert redacted(f"({value})", **{name: value}) == f"([redacted {name}])"


@pytest.mark.parametrize(
    "url",
    [
        "postgres://ada:pass-w0rd@db.example.com:5432/app",
        "redis://:pass-w0rd@db.example.com",
        "Server=db.example.com;User=ada;Password=pass-w0rd;Encrypt=yes",
        "host=db user=ada password=pass-w0rd",
    ],
)
def test_of_a_database_url_only_the_password_is_a_secret(url: str) -> None:
    expected = url.replace("pass-w0rd", "[redacted STORAGE]")
    assert redacted(f"in {url} and ada and db.example.com", STORAGE=url).startswith(f"in {expected} and ada")


def test_an_escaped_password_in_a_url_is_found_as_it_is() -> None:
    found = redacted("p%40ss%2Fw0rd or p@ss/w0rd", HTTP_PROXY="http://ada:p%40ss%2Fw0rd@proxy")
    assert found == "[redacted HTTP_PROXY] or [redacted HTTP_PROXY]"


@pytest.mark.parametrize(
    "known",
    [
        "sk-ant-api03-abcdefGHIJKL0123456789_-xyzAA",
        "sk-proj-abcdefGHIJKL0123456789_-xyz",
        "ghp_0123456789abcdefghijABCDEFGHIJ012345",
        "github_pat_11ABCDEFG0abcdefghijkl_MNOPQRSTUVWXYZ0123456789",
        "glpat-abcdefghij0123456789",
        "AKIAIOSFODNN7EXAMPLE",
        "AIzaSyA0123456789abcdefghijklmnopqrstuv",
        "xoxb-123456789012-abcdefGHIJKL",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        f"eyJ{'x' * 200}.eyJ{'y' * 5000}.{'z' * 400}",
    ],
)
def test_a_secret_of_a_well_known_form_needs_no_variable(known: str) -> None:
    for around in ("{}", "key={}, so", '"{}"', "x{}]", "\n{}\n"):
        assert redacted(around.format(known)).endswith(around.format("[redacted]"))
        assert known not in redacted(around.format(known))


def test_of_a_signed_token_at_least_all_but_its_header_is_the_secret() -> None:
    header = "eyJ" + "x" * 2000
    assert redacted(f"{header}.eyJ{'y' * 5000}.{'z' * 400}") == f"{header}[redacted]"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_of_an_authorization_the_token_is_the_secret(scheme: str) -> None:
    text = f"Authorization: {scheme} abcDEF012345.678~90_-+/=="
    assert redacted(text) == f"Authorization: {scheme} [redacted]"
    assert redacted(f"{scheme} {TOKEN * 2}", AUTH=TOKEN * 2) == f"{scheme} [redacted AUTH]"


LINES = [f"MIIEowIBAAKCAQEA{n:04}Zm9vYmFyMDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1u" for n in range(50)]
PLAIN = ["-----BEGIN PRIVATE KEY-----", *LINES, "-----END PRIVATE KEY-----"]
ENCRYPTED = [
    "-----BEGIN RSA PRIVATE KEY-----",
    "Proc-Type: 4,ENCRYPTED",
    "DEK-Info: AES-128-CBC,0A",
    "",
    *LINES,
]
OF_PGP = ["-----BEGIN PGP PRIVATE KEY BLOCK-----", "", *LINES, "=abcd", "-----END PGP PRIVATE KEY BLOCK-----"]


@pytest.mark.parametrize("between", ["\n", "\r\n", "\n            ", "\\n", "\\\\n", "\\r\\n"])
@pytest.mark.parametrize(
    "key", [PLAIN, ENCRYPTED, OF_PGP, PLAIN[:20]], ids=["plain", "encrypted", "pgp", "begun"]
)
def test_a_private_key_is_a_secret_to_its_last_line(key: list[str], between: str) -> None:
    written = between.join(key)
    assert redacted(f"so:\n{written}") == "so:\n[redacted]"
    assert redacted(f'so: "{written}" and more') == 'so: "[redacted]" and more'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "An ordinary answer, with a task-list-of-many-words-that-is-long and a skeleton.",
        'if "-----BEGIN PRIVATE KEY-----" in text: raise ValueError("-----END PRIVATE KEY-----")',
        "-----BEGIN PRIVATE KEY----- is how the file of a private key begins and no more than that",
        "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA\n-----END PUBLIC KEY-----",
        "//# sourceMappingURL=data:application/json;base64,eyJ2ZXJzaW9uIjozLCJzb3VyY2VzIjpbImEuanMiXX0=",
        "Bearer authentication, the bearer of a-rather-long-hyphenated-word, Bearer YOUR_ACCESS_TOKEN_HERE",
        "ghp_short, AKIA, xoxo, sk-ant-..., eyJ.eyJ.x",
        "a1b2c3d4e5f60718293a4b5c6d7e8f9001122334 and 550e8400-e29b-41d4-a716-446655440000",
    ],
)
def test_a_text_without_secrets_is_the_same_object(text: str) -> None:
    assert redacted(text, MY_TOKEN=TOKEN) is text


def test_of_several_secrets_the_longer_one_is_found_first() -> None:
    environment = {"A_TOKEN": "abcd1234", "B_TOKEN": "abcd12345678", "C_TOKEN": "abcd12345678"}
    assert redacted("abcd12345678 abcd1234", **environment) == "[redacted B_TOKEN] [redacted A_TOKEN]"


def test_the_parts_of_a_value_are_secrets_too() -> None:
    keys = "first-key-0123456789, second-key-0123456789"
    assert redacted("second-key-0123456789", API_KEYS=keys) == "[redacted API_KEYS]"
    assert redacted(f"| {LINES[7]} |", SIGNING_KEY="\r\n".join(LINES)) == "| [redacted SIGNING_KEY] |"


def test_a_long_value_is_found_whole() -> None:
    value = "".join(f"{n:x}." for n in range(20_000))
    assert redacted(f"<{value}>", BIG_SECRET=value).strip("<>").replace("[redacted BIG_SECRET]", "") == ""


def test_a_name_that_is_no_name_is_not_shown() -> None:
    assert redacted(TOKEN, **{"A [evil] \x1b TOKEN": TOKEN}) == "[redacted]"


def test_a_value_that_a_label_holds_is_left_as_it_is() -> None:
    assert (
        redacted("redacted 1_TOKEN", A_TOKEN="redacted 1_TOKEN", **{"1_TOKEN": TOKEN}) == "redacted 1_TOKEN"
    )


def core(before: str, secret: str, coded: str) -> str:
    """The characters of `coded` that hold nothing but bits of the secret."""
    first = len(before.encode()) * 8
    last = first + len(secret.encode()) * 8
    return coded[-(-first // 6) : last // 6]


def small(text: str) -> str:
    return re.sub("%..", lambda match: match[0].lower(), text)


def of_go(text: str) -> str:
    found = json.dumps(text, ensure_ascii=False)[1:-1]
    return found.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


WRITERS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON of JavaScript": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "JSON of PHP": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "JSON of Go": of_go,
    "URL": lambda text: quote(text, safe=""),
    "URL in small letters": lambda text: small(quote(text, safe="")),
    "URL of JavaScript": lambda text: quote(text, safe="!'()*"),
    "path": quote,
    "form": quote_plus,
}
SECRETS = st.text(st.characters(codec="utf-8"), max_size=40).map(lambda text: f"x7Q#{text}#Q7x")
AROUND = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=9)


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
@given(SECRETS, AROUND, AROUND)
def test_no_planted_secret_survives_as_it_is_written_anywhere(
    writer: Callable[[str], str], secret: str, before: str, after: str
) -> None:
    found = Redactor({"PLANTED_SECRET": secret}).text(writer(before + secret + after))
    assert found == f"{writer(before)}[redacted PLANTED_SECRET]{writer(after)}"


@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
@given(SECRETS, AROUND, AROUND)
def test_no_planted_secret_survives_in_base64(
    encode: Callable[[bytes], bytes], secret: str, before: str, after: str
) -> None:
    coded = encode((before + secret + after).encode()).decode()
    expected = coded.replace(core(before, secret, coded), "[redacted PLANTED_SECRET]")
    assert Redactor({"PLANTED_SECRET": secret}).text(coded) == expected


KNOWN = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
BEGUN = st.sampled_from(
    ["sk-ant-", "Bearer ", "eyJ", ".eyJ", "-----BEGIN PRIVATE KEY-----", "AKIA", KNOWN[:8]]
)
PARTS = st.sampled_from(
    [TOKEN, TOKEN[:9], TOKEN[9:], KNOWN, LINES[0], "[redacted", "]", " ", "\n", "abcdefghi0123"]
)
TEXTS = st.lists(BEGUN | PARTS | st.text(max_size=3), max_size=12).map("".join)


@given(TEXTS)
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    redactor = Redactor({"A_TOKEN": TOKEN, "B_TOKEN": TOKEN[3:] + "]"})
    once = redactor.text(text)
    assert redactor.text(once) == once
    assert TOKEN not in once
    assert KNOWN not in once


@given(
    st.lists(TEXTS | st.sampled_from([3_000, 39_000, 121_000]).map(lambda n: "ab c" * (n // 4))), st.randoms()
)
def test_pieces_are_redacted_as_the_whole_of_them(parts: list[str], random: Random) -> None:
    text = "".join(parts)
    places = sorted([0, len(text), *(random.randint(0, len(text)) for _ in range(6))])
    pieces = [text[start:end] for start, end in pairwise(places)]
    redactor = Redactor({"A_TOKEN": TOKEN})
    assert "".join(redactor.pieces(pieces)) == redactor.text(text)


def test_a_secret_across_any_place_where_pieces_end_is_found() -> None:
    redactor = Redactor({"A_TOKEN": TOKEN})
    size = 4 * LONGEST_SHAPE + 1
    for secret in (TOKEN, KNOWN, "\n".join(["-----BEGIN PRIVATE KEY-----", *LINES])):
        for place in (size - LONGEST_SHAPE, size):
            for before in range(1, len(secret), 1 + len(secret) // 10):
                text = "." * (place - before) + secret + "." * (size + before)
                found = "".join(redactor.pieces([text[:size], text[size:]]))
                assert found.strip(".") in ("[redacted A_TOKEN]", "[redacted]")
                assert found.count(".") == len(text) - len(secret)


def test_pieces_of_a_few_letters_are_found_and_held_back_only_so_long() -> None:
    redactor = Redactor({"A_TOKEN": TOKEN})
    text = f"{TOKEN} is the word. " * 20_000
    taken = given_back = most = 0

    def letters() -> Iterator[str]:
        nonlocal taken
        for start in range(0, len(text), 7):
            taken += 7
            yield text[start : start + 7]

    found = []
    for piece in redactor.pieces(letters()):
        found.append(piece)
        given_back += len(piece.replace("[redacted A_TOKEN]", TOKEN))
        most = max(most, taken - given_back)
    assert "".join(found) == "[redacted A_TOKEN] is the word. " * 20_000
    assert most < 5 * LONGEST_SHAPE


@pytest.mark.parametrize(
    "text",
    [
        "eyJ",
        "eyJ.eyJ",
        ".eyJaaaaaaaaaa",
        "Bearer ",
        "Bearer aaaaaaaaaaaaaaaaaaaaa ",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\na: b\n",
        "-----BEGIN PRIVATE KEY-----" + " " * 500,
        "sk-ant-",
        "ghp_aaaaaaaaaa",
    ],
)
def test_begun_secrets_without_end_take_bounded_time(text: str) -> None:
    many = text * (1_000_000 // len(text))
    assert redacted(f".eyJ earer PRIVATE KEY {many}").startswith(".eyJ earer PRIVATE KEY ")
