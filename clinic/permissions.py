"""Who stands above whom. Nobody gives away, or takes over, what they do not hold and reach themselves."""

from django.contrib.auth.models import Group, Permission
from django.db.models import Exists, OuterRef, Q, QuerySet

from clinic.models import Site, User


def not_held(user: User) -> QuerySet[Permission]:
    """The permissions that `user` does not hold; none for a superuser."""
    if user.is_superuser:
        return Permission.objects.none()
    return Permission.objects.exclude(Q(user=user) | Q(group__user=user))


def grantable(user: User) -> QuerySet[Group]:
    """The groups that `user` may put somebody into: those that hold nothing that `user` does not hold."""
    beyond = not_held(user).filter(group=OuterRef("pk"))
    return Group.objects.filter(~Exists(beyond)).order_by("name")


def out_of_sight(user: User, other: User) -> QuerySet[Site]:
    """The sites at which `other` works and that `user` does not see."""
    return other.sites.exclude(pk__in=Site.objects.visible_to(user).values("pk"))


def outranks(user: User, other: User) -> bool:
    """Whether `one` holds every permission that `other` holds and sees every site at which `other` works, so that
    taking over the account gains nothing."""
    if user.is_superuser or user.pk == other.pk:
        return True
    if other.is_superuser or out_of_sight(user, other).exists():
        return False
    return not not_held(user).filter(Q(user=other) | Q(group__user=other)).exists()
