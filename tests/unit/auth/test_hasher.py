"""bcrypt behind a small promise."""

import bcrypt
import pytest

from ogp.auth.hasher import BcryptHasher

STORED = BcryptHasher(4).digest("secret")


def test_secret_matches_its_own_hash() -> None:
    assert BcryptHasher(4).matches("secret", STORED)


def test_other_secret_does_not_match() -> None:
    assert not BcryptHasher(4).matches("Secret", STORED)


def test_same_secret_gets_a_new_salt_each_time() -> None:
    assert BcryptHasher(4).digest("secret") != STORED


def test_cost_is_the_given_one() -> None:
    assert BcryptHasher(5).digest("secret").startswith("$2b$05$")


def test_hash_of_another_cost_still_matches() -> None:
    assert BcryptHasher(6).matches("secret", STORED)


def test_hash_of_another_bcrypt_program_still_matches() -> None:
    assert BcryptHasher(4).matches("secret", STORED.replace("$2b$", "$2y$"))


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "secret",
        STORED[:-1],
        STORED + "a",
        STORED + "\n",
        STORED.replace("$04$", "$31$"),
        STORED.replace("$04$", "$03$"),
        STORED.replace("$2b$", "$1$"),
        "é" * 60,
        "$2b$04$" + "." * 54,
    ],
)
def test_malformed_hash_is_an_error_without_the_hash_or_the_secret(stored: str) -> None:
    with pytest.raises(ValueError, match="not a bcrypt hash") as caught:
        BcryptHasher(4).matches("secret", stored)
    assert "secret" not in str(caught.value)


def test_well_formed_hash_with_an_impossible_salt_is_an_error_or_no_match() -> None:
    assert not BcryptHasher(4).matches("secret", "$2b$04$" + "." * 53)


def test_hash_is_what_bcrypt_itself_makes() -> None:
    assert bcrypt.checkpw(b"secret", STORED.encode())
