"""What stands above and below every e-mail of a site."""

from base64 import b64encode
from dataclasses import dataclass
from email.mime.image import MIMEImage

from clinic.models import Site, SiteLogo

#: Where a site's logo goes in an e-mail's HTML. It stays, unseen, where a site has none.
LOGO = "<!--logo-->"


@dataclass(frozen=True)
class Letterhead:
    """What an e-mail says of the site that writes. `reply_to`: "" when nobody reads answers."""

    name: str
    address: str
    phone: str
    emergency_phone: str
    reply_to: str

    @classmethod
    def of(cls, site: Site) -> "Letterhead":
        return cls(site.name, site.address, site.phone, site.emergency_phone, site.reply_to)


def logo_of(site: Site) -> SiteLogo | None:
    """The site's logo; None when it has none."""
    return getattr(site, "logo", None)


def with_logo(html: str, source: str) -> str:
    """The HTML with a picture for the logo. It has no words: the site's name stands beside it."""
    return html.replace(
        LOGO, f'<img src="{source}" alt="" height="48" style="display: block; max-width: 100%;">'
    )


def shown_with_logo(html: str, site: Site) -> str:
    """The HTML as a page can show it, with the logo in it."""
    logo = logo_of(site)
    if logo is None:
        return html
    return with_logo(html, f"data:image/{logo.kind};base64,{b64encode(bytes(logo.image)).decode()}")


def logo_part(logo: SiteLogo) -> MIMEImage:
    """The logo as a part of an e-mail, which its HTML shows as "cid:logo"."""
    part = MIMEImage(bytes(logo.image), _subtype=logo.kind)
    part.add_header("Content-ID", "<logo>")
    part.add_header("Content-Disposition", "inline", filename=f"logo.{logo.kind}")
    return part
