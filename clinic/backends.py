"""Who somebody is, tried so often and no oftener; who may do what: Django's permissions, looked up at once."""

from typing import Any

from django.contrib.auth.backends import ModelBackend

from clinic import prepared, sign_in_limits

PERMISSIONS = """
    SELECT app_label || '.' || codename
      FROM auth_permission JOIN django_content_type AS kind ON kind.id = content_type_id
     WHERE auth_permission.id IN (
        SELECT permission_id FROM clinic_user_user_permissions WHERE user_id = %(user)s::bigint
         UNION
        SELECT permission_id FROM auth_group_permissions
          JOIN clinic_user_groups ON clinic_user_groups.group_id = auth_group_permissions.group_id
         WHERE user_id = %(user)s::bigint
     )
"""


class Permissions(ModelBackend):
    """Django's own backend, which asks twice at every request what one prepared statement says."""

    def authenticate(
        self, request: Any, username: str | None = None, password: str | None = None, **more: Any
    ) -> Any:
        """Every sign-in comes through here. Raises TooManyTries, right password or wrong, when none is left."""
        email = username or more.get("email")
        if not email or password is None:
            return None
        attempt = sign_in_limits.take(request, email)
        user = super().authenticate(request, username=email, password=password)
        if user is not None:
            attempt.was_right()
            if request is not None:
                sign_in_limits.remember_address(request, email)
        return user

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        if not user_obj.is_active or user_obj.is_anonymous or user_obj.is_superuser or obj is not None:
            return super().get_all_permissions(user_obj, obj)
        if not hasattr(user_obj, "_perm_cache"):
            found = prepared.rows(PERMISSIONS, {"user": user_obj.pk})
            user_obj._perm_cache = {name for (name,) in found}
        held: set[str] = user_obj._perm_cache
        return held
