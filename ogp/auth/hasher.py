"""Secrets at rest: bcrypt, and nothing else knows which hash it is."""

import re
from typing import Protocol

import bcrypt

_STORED_HASH = re.compile(r"\$2[aby]\$(0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}")


class SecretHasher(Protocol):
    """Turns a secret into what may be stored, and compares the two."""

    def digest(self, secret: str) -> str:
        """The hash to store; a new salt each time."""
        ...

    def matches(self, secret: str, stored: str) -> bool:
        """Whether `stored` was made from `secret`, in constant time.

        Raises:
            ValueError: `stored` is no hash of this kind; the message holds neither argument.
        """
        ...


class BcryptHasher:
    """bcrypt, which releases the interpreter lock while it works."""

    def __init__(self, cost: int) -> None:
        """Keep the work factor of new hashes.

        Args:
            cost: 6 takes about 3 ms. A secret carries 178 random bits, so a slow hash adds
                nothing against guessing and would only be a lever for floods.
        """
        self._cost = cost

    def digest(self, secret: str) -> str:
        """Hash 30 characters; bcrypt itself refuses more than 72 bytes."""
        return bcrypt.hashpw(secret.encode("ascii"), bcrypt.gensalt(self._cost)).decode("ascii")

    def matches(self, secret: str, stored: str) -> bool:
        """Compare, after a look at the form: a damaged cost field could ask for hours of work."""
        if _STORED_HASH.fullmatch(stored) is None:
            raise ValueError("the stored hash is not a bcrypt hash of cost 4 to 14")
        return bcrypt.checkpw(secret.encode("ascii"), stored.encode("ascii"))
