"""A provider: its URL, its rate limit, and the settings that its error messages name."""

from collections.abc import Mapping
from http import HTTPStatus

import msgspec

from common.display import sanitize
from ingestor.http.error_body import ErrorAnswer


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """One provider: at most `calls` requests go to `url` in `per_seconds`, each with `key`.

    `url_variable` and `key_variable` are the settings that error messages name. `advice` says what
    to do about an error, by the code inside its body.
    """

    name: str
    url: str
    url_variable: str
    calls: int
    per_seconds: float
    key: str | None = None
    key_header: str = "Authorization"
    key_variable: str | None = None
    advice: Mapping[int, str] = {}

    def __repr__(self) -> str:
        return sanitize(f"Provider(name={self.name!r}, url={self.url!r})")

    def without_key(self, text: str) -> str:
        """Return a provider's text without the API key and user info, which it may repeat."""
        return sanitize(text.replace(self.key, "***") if self.key else text)

    def refusal(self, status: int, answer: ErrorAnswer) -> str:
        """Return the message for a refused request: the provider's own text, and what to do."""
        message = self.without_key(answer.message).rstrip(" .")
        said = f"({status}): {message}" if message else f"({status})"
        if answer.code is not None and answer.code in self.advice:
            return f"{self.name} refused the request {said}; {self.advice[answer.code]}"
        if status == HTTPStatus.PAYMENT_REQUIRED:
            return (
                f"{self.name} wants payment {said}; the plan does not cover this request or its "
                f"calls of this month are used up: {self._remedy}"
            )
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) or (
            status == HTTPStatus.OK and answer.is_about_key
        ):
            if self.key:
                checked = self.key_variable or self.url_variable
                return f"{self.name} refused the key {said}; check {checked}"
            if self.key_variable:
                return (
                    f"{self.name} refused a request without a key {said}; set {self.key_variable}"
                )
        return f"{self.name} refused the request {said}; check {self.url_variable}"

    @property
    def _remedy(self) -> str:
        if self.key_variable is None:
            return "wait"
        return f"wait, or set {self.key_variable} to the key of a larger plan"
