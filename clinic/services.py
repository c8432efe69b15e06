"""Every write of the ground floor that staff make through an edge: signing in and out by token, accounts of staff."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import authenticate
from django.contrib.auth.models import Group, Permission
from django.contrib.sessions.models import Session
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest
from knox.models import AuthToken
from knox.settings import knox_settings

from clinic import audit
from clinic.models import SentRequest, Site, User
from clinic.permissions import grantable, outranks


@dataclass(frozen=True)
class SignedIn:
    """A member of staff with a new token, which is kept nowhere, and the instant at which it expires."""

    user: User
    token: str
    expires_at: datetime


def sign_in(email: str, password: str, *, request: HttpRequest | None, now: datetime) -> SignedIn | None:
    """Make a token for who knows the password of an active account; None for everybody else.

    Unknown address, wrong password and closed account are one answer and the same work (Django's backend hashes
    the password in each case); clinic.receivers writes the refusal down.
    """
    user = authenticate(request, username=email, password=password)
    if not isinstance(user, User):
        return None
    with transaction.atomic():
        make_room(user, now=now)
        row, token = AuthToken.objects.create(user=user)
        user.last_login = now
        user.save(update_fields=["last_login"])
        audit.record("signed_in", user, by=user, at=now)
    return SignedIn(user, token, row.expiry)


def make_room(user: User, *, now: datetime) -> None:
    """Drop the user's expired tokens, and the oldest of the others where one more would be too many."""
    User.objects.select_for_update(no_key=True).get(
        pk=user.pk
    )  # two sign-ins at once count one after the other
    tokens = AuthToken.objects.filter(user=user)
    tokens.filter(expiry__lte=now).delete()
    kept = tokens.order_by("-created").values("pk")[: knox_settings.TOKEN_LIMIT_PER_USER - 1]
    tokens.exclude(pk__in=kept).delete()


@transaction.atomic
def sign_out(token: AuthToken, *, by: User, now: datetime) -> None:
    """End one token; the user's others go on."""
    token.delete()
    audit.record("signed_out", by, by=by, at=now)


#: How long the answer to a request with an Idempotency-Key is kept, to be given again.
ANSWERS_KEPT = timedelta(days=3)
#: What an account may do at all; each change is audited with what it was and what it is.
FLAGS = ("is_active", "is_staff", "is_superuser")
NAMED = ("email", "first_name", "last_name")
#: Never written with the rest of an account: signing in and `set_password` write these alone.
APART = {"id", "password", "last_login", "date_joined"}


@transaction.atomic
def save_staff(
    user: User,
    *,
    groups: Iterable[Group] | None = None,
    sites: Iterable[Site] | None = None,
    permissions: Iterable[Permission] | None = None,
    by: User | None,
    now: datetime,
) -> User:
    """Save an account as it stands in `user`, a new one with its password, and what it may do and where.

    None leaves groups, sites or permissions as they are. Groups that `by` may not give and sites that `by` does not see
    are kept, whatever was chosen, and none of them is added. `by` None is the command line and may everything. Raises
    PermissionDenied for an account that `by` does not outrank, ValidationError for one that cannot be. Roles, sites,
    permissions and flags are audited with before and after, sites by their numbers.
    """
    adding = user.pk is None
    kept = User(is_active=False) if adding else lock_user(user, by)
    user.full_clean()
    if adding:
        user.save()
    else:
        user.save(update_fields=[field.name for field in user._meta.fields if field.name not in APART])
    audit.record(
        f"user.{'added' if adding else 'changed'}", user, by=by, at=now, reason=differences(kept, user)
    )
    if groups is not None:
        may = Group.objects.all() if by is None else grantable(by)
        replace_related(user, "groups", groups, may, "roles_changed", by=by, now=now)
    if sites is not None:
        seen = Site.objects.all() if by is None else Site.objects.visible_to(by)
        replace_related(user, "sites", sites, seen, "sites_changed", by=by, now=now)
    if permissions is not None and (by is None or by.is_superuser):
        every = Permission.objects.all()
        replace_related(user, "user_permissions", permissions, every, "permissions_changed", by=by, now=now)
    return user


def differences(before: User, after: User) -> str:
    """Flags with before and after; e-mail and names without: the trail holds no names, the account's history does."""
    pairs = [(name, getattr(before, name), getattr(after, name)) for name in (*FLAGS, *NAMED)]
    changed = [(name, old, new) for name, old, new in pairs if old != new]
    return ", ".join(f"{name} {old} → {new}" if name in FLAGS else name for name, old, new in changed)


def lock_user(user: User, by: User | None) -> User:
    """The account as the database has it, locked. Raises PermissionDenied where `by` does not outrank it."""
    kept = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    if by is not None and not outranks(by, kept):
        raise PermissionDenied
    return kept


def replace_related(
    user: User, relation: str, chosen: Iterable[Any], may: Any, action: str, *, by: User | None, now: datetime
) -> None:
    """Have the account hold what was chosen, of what may be given, and keep the rest; audit before and after."""
    rows = getattr(user, relation)
    before, given = set(rows.all()), set(may)
    after = (set(chosen) & given) | (before - given)
    if after != before:
        rows.set(after)
        reason = f"{named(before)} → {named(after)}"
        audit.record(f"user.{action}", user, by=by, at=now, reason=reason)


def named(rows: set[Any]) -> str:
    """Roles and permissions by their names, sites by their numbers; a dash for none."""
    return ", ".join(sorted(NAMES[type(row)](row) for row in rows)) or "–"


NAMES: dict[type, Any] = {
    Group: lambda group: group.name,
    Permission: lambda permission: permission.codename,
    Site: lambda site: str(site.pk),
}


@transaction.atomic
def save_group_permissions(
    group: Group, permissions: Iterable[Permission], *, by: User | None, now: datetime
) -> None:
    """Have the group hold these permissions and no others. Audited: what was added and what was taken away."""
    before, after = set(group.permissions.all()), set(permissions)
    if before != after:
        group.permissions.set(after)
        reason = f"added: {named(after - before)}; taken away: {named(before - after)}"
        audit.record("group.permissions_changed", group, by=by, at=now, reason=reason)


@transaction.atomic
def set_password(user: User, password: str | None, *, by: User | None, now: datetime) -> User:
    """Give the account a password; None: nobody signs in with one any more. Its sessions and API tokens end.

    Raises PermissionDenied for an account that `by` does not outrank; one's own is always one's own. The caller has had
    the password validated. Audited, without anything of the password itself.
    """
    kept = lock_user(user, by)
    before = usable(kept)
    user.set_password(password)
    user.save(update_fields=["password"])
    reason = f"{before} → {usable(user) if password is None else 'another password'}"
    audit.record("user.password_changed", user, by=by, at=now, reason=reason)
    return user


def usable(user: User) -> str:
    return "a password" if user.has_usable_password() else "no password"


def drop_expired_sessions(*, now: datetime) -> int:
    """Drop the sessions of browsers that have run out; how many. The tick runs it: each has its time in its row."""
    return Session.objects.filter(expire_date__lte=now).delete()[0]


def drop_old_answers(*, now: datetime) -> int:
    """Drop the answers to requests that are older than ANSWERS_KEPT; how many. That they were done stays known."""
    old = SentRequest.objects.filter(answer__isnull=False, at__lt=now - ANSWERS_KEPT)
    return old.update(answer=None)
