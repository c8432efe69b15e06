"""How often one address may try to sign in."""

from clinic.throttling import Throttle


class SignInThrottle(Throttle):
    """So many attempts to sign in by address, right or wrong; DEFAULT_THROTTLE_RATES["sign_in"] says how many."""

    scope = "sign_in"
