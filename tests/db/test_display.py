"""What is shown holds nothing that a terminal obeys, and no password of a URL."""

import io
import json
import logging
import sys
import unicodedata

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from common.display import printable, printable_lines, sanitize, without_user_info
from common.logs import LogEvent, configure_logging
from common.settings import Settings, SettingsError, load_settings
from ingestor.sources import check_settings
from ingestor.sources.errors import SourceMalformedError, SourceUnavailableError

ESCAPE = "\x1b]0;owned\x07\x9b31m\u202egnp.exe\r\x7f\u2028"
OBEYED = [
    chr(code)
    for code in (*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
]
URL = "https://user:hunter2@proxy.example:8443/v1"


@given(st.text())
def test_a_shown_text_is_one_line_that_reads_the_same_as_json(text: str) -> None:
    shown = printable(text)
    assert not any(char in shown for char in OBEYED)
    assert json.loads(printable(json.dumps(text, ensure_ascii=False))) == text
    assert printable(shown) == shown


def test_letters_marks_and_emoji_stay() -> None:
    for text in ("Ether \u2764\ufe0f\u200d\U0001f525", "हिन्दी", "العربية", "naïve", " a\u00a0b"):
        assert printable(text) == text
    assert printable_lines("a\n\tb\x1b") == "a\n\tb\\u001b"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (URL, "https://***@proxy.example:8443/v1"),
        (
            f"GET {URL} and http://a@b: failed",
            "GET https://***@proxy.example:8443/v1 and http://***@b: failed",
        ),
        ("postgresql://u:p@ss@/db?host=/run", "postgresql://***@/db?host=/run"),
        (
            "mail me@example.com, see https://example.com/@me",
            "mail me@example.com, see https://example.com/@me",
        ),
    ],
)
def test_user_info_of_urls_is_masked(text: str, shown: str) -> None:
    assert without_user_info(text) == shown


def test_settings_and_their_errors_mask_user_info() -> None:
    settings = load_settings({"COINPAPRIKA_URL": URL, "COINGECKO_URL": URL})
    assert settings.variables["COINPAPRIKA_URL"] == URL
    assert "hunter2" not in repr(settings)
    for variable in ("COINPAPRIKA_URL", "COINGECKO_URL", "CORS_ORIGINS", "PORT", "HOST"):
        with pytest.raises(SettingsError) as caught:
            check_settings(load_settings({variable: f"{URL}?key=1"}))
        assert "hunter2" not in str(caught.value), variable


def test_a_sources_error_is_one_printable_line_without_user_info() -> None:
    for error in (
        SourceMalformedError(f"{URL} said {ESCAPE}"),
        SourceUnavailableError(f"{URL} said {ESCAPE}"),
    ):
        assert str(error) == sanitize(str(error))
        assert "hunter2" not in str(error)


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_no_log_line_holds_what_a_terminal_obeys_or_a_password(
    log_format: str, tmp_path: object
) -> None:
    root, before = logging.getLogger(), logging.getLogger().handlers[:]
    level, configuration = root.level, structlog.get_config()
    output = io.StringIO()
    try:
        configure_logging(Settings(home=tmp_path, log_format=log_format), output)  # type: ignore[arg-type]
        log = structlog.stdlib.get_logger("test")
        log.warning(
            "event %s %s",
            ESCAPE,
            URL,
            value=f"{ESCAPE}\nforged",
            names=[ESCAPE],
            url=URL,
            error=OSError(ESCAPE),
        )
        logging.getLogger("plain").error("plain %s %s", ESCAPE, URL)
        try:
            raise ValueError(f"{ESCAPE} {URL}")  # noqa: TRY301
        except ValueError as error:
            caught = error
            log.error("failed", exc_info=caught)  # noqa: TRY400
        log.error("failed before", exc_info=caught)
        root.handle(
            root.makeRecord(
                "q", logging.INFO, "", 0, LogEvent("request", {"path": ESCAPE}), (), sys.exc_info()
            )
        )
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        structlog.configure(**configuration)
    text = output.getvalue()
    assert "hunter2" not in text
    assert not any(unicodedata.category(char) == "Cc" and char != "\n" for char in text)
    assert "\u202e" not in text
    assert not any(line.startswith("forged") for line in text.splitlines())
    assert text.count("owned") >= 7
    assert text.count("Traceback (most recent call last)") == 2
