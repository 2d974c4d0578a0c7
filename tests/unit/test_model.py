"""Values that hold a secret."""

from __future__ import annotations

from itertools import count

from replica_access.model import Login, Secret, Token


def test_a_token_is_made_anew_whenever_it_is_needed() -> None:
    numbers = count(1)
    token = Token(lambda: f"token {next(numbers)}")
    login = Login("x", {}, password=token).as_user("bi", token)
    assert login.password is not None
    assert [login.password.reveal(), login.password.reveal()] == ["token 1", "token 2"]


def test_a_token_is_no_password_and_shows_as_little() -> None:
    token = Token(lambda: "s3cret")
    assert "s3cret" not in repr(token) + str(token) + repr(Login("x", {}, password=token))
    assert token == token  # noqa: PLR0124
    assert token not in {Token(lambda: "s3cret"), Secret("s3cret"), Secret("")}
    assert Secret("") != token
