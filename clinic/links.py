"""Secret addresses for people without an account: the token is in the address, its hash in the database."""

import hashlib
import secrets


def new_token() -> str:
    """256 random bits, URL-safe. Kept nowhere but in the address that is handed out."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    """What is stored of a token: its SHA-256 in hex. A token has 256 random bits, so it needs no salt."""
    return hashlib.sha256(token.encode()).hexdigest()
