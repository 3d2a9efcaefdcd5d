"""A provider: its address, how often it may be asked, and what a person can do where it refuses."""

from collections.abc import Mapping
from http import HTTPStatus

import msgspec

from common.display import displayed
from ingestor.http.error_body import ErrorAnswer


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asked, how often at most, and the names of the settings that a person would have to change.

    `advice` is, by the code inside an error's body, what to do about it.
    """

    name: str
    url: str
    url_variable: str
    key: str | None
    key_header: str
    key_variable: str
    calls: int
    per_seconds: float
    advice: Mapping[int, str] = {}

    def __repr__(self) -> str:
        return displayed(f"Provider(name={self.name!r}, url={self.url!r})")

    def shown(self, text: str) -> str:
        """Return text that may be shown: a provider can echo the key, and an error the URL."""
        return displayed(text.replace(self.key, "***") if self.key else text)

    def refusal(self, status: int, answer: ErrorAnswer) -> str:
        """Return the sentence about a request that was refused: what the provider says, and what to do."""
        message = self.shown(answer.message).rstrip(" .")
        said = f"({status}): {message}" if message else f"({status})"
        if answer.code is not None and answer.code in self.advice:
            return f"{self.name} refused the request {said}; {self.advice[answer.code]}"
        if status == HTTPStatus.PAYMENT_REQUIRED:
            return (
                f"{self.name} wants payment {said}; the plan does not cover this request or its calls of this "
                f"month are used up: wait, or set {self.key_variable} to the key of a larger plan"
            )
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) or (
            status == HTTPStatus.OK and answer.is_about_key
        ):
            if self.key:
                return f"{self.name} refused the key {said}; check {self.key_variable}"
            return f"{self.name} refused a request without a key {said}; set {self.key_variable}"
        return f"{self.name} refused the request {said}; check {self.url_variable}"
