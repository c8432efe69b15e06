"""Telephone numbers in pages, for staff and patients alike."""

import re

from django import template

register = template.Library()


@register.filter
def tel(number: str) -> str:
    """The number as a link dials it, "tel:+12125550100;ext=12" (RFC 3966): the plus in front, the digits, and the
    extension behind the first letter or "#".

    Some telephones stop dialing at the first space, and none needs what stands between the digits.
    """
    plus = "+" if str(number).strip().startswith("+") else ""
    main, *extension = ("".join(re.findall(r"[0-9]", part)) for part in re.split(r"[a-zA-Z#]+", str(number)))
    return f"tel:{plus}{main}" + "".join(f";ext={digits}" for digits in extension[:1] if digits)
