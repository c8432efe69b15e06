"""Signing in, with a limit on attempts; permissions, looked up in one query."""

from typing import Any

from django.contrib.auth.backends import ModelBackend

from clinic import sign_in_limits


class Permissions(ModelBackend):
    """Django's own backend, which would ask twice at every request who may do what."""

    def authenticate(
        self, request: Any, username: str | None = None, password: str | None = None, **more: Any
    ) -> Any:
        """Every sign-in comes through here. Raises TooManyTries, right password or wrong, when none is left."""
        email = username or more.get("email")
        if not email or password is None:
            return None
        attempt = sign_in_limits.count_attempt(request, email)
        user = super().authenticate(request, username=email, password=password)
        if user is not None:
            attempt.was_right()
            if request is not None:
                sign_in_limits.remember_address(request, email)
        return user

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        if not user_obj.is_active or user_obj.is_anonymous or user_obj.is_superuser or obj is not None:
            return super().get_all_permissions(user_obj, obj)
        return set(user_obj.permission_names)
