"""The addresses that an administrator registers: each has one spelling, and leads to where a reader thinks.

Only registered addresses are ever sent credentials, so they are checked strictly.
"""

import ipaddress
import re
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from records.errors import Incorrect

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(?:\.(?!-)[a-z0-9-]{1,63})*", re.ASCII)
_QUERY = re.compile(r"[A-Za-z0-9._~=&%+:,/-]+", re.ASCII)
_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)*", re.ASCII)


def base_of(url: str) -> str:
    """The normal form of a base URL (no slash at the end), or `Incorrect` saying what is wrong with it."""
    parts = urlsplit(url.rstrip("/"))
    host = (parts.hostname or "").lower()
    try:
        port = parts.port
    except ValueError:
        port = 0
    wrong = (
        (parts.scheme not in {"http", "https"}, _("It must begin with http:// or https://.")),
        ("@" in parts.netloc, _("It must not contain credentials.")),
        ("?" in url or "#" in url, _("It must not contain a query or a fragment.")),
        # urlsplit drops tabs and line ends without a word
        (not url.isprintable(), _("It must not contain control characters.")),
        (port == 0, _("Its port is not a number from 1 to 65535.")),
        (not _is_plain_host(host), _("Its host must be a plain name or address.")),
        (not _PATH.fullmatch(parts.path) or ".." in parts.path, _("Its path has characters that don't belong there.")),
    )
    for is_wrong, why in wrong:
        if is_wrong:
            raise Incorrect(_("“%(url)s” can't be used. %(why)s") % {"url": _shown(url), "why": why})
    shown = f"[{host}]" if ":" in host else host
    is_default = port in {None, {"http": 80, "https": 443}[parts.scheme]}
    return f"{parts.scheme}://{shown}{'' if is_default else f':{port}'}{parts.path}"


def endpoint_of(url: str) -> str:
    """The normal form of a token endpoint's URL: as a base URL, over https, with the slash at its end and the query that
    it has (some name their version there).
    """
    address, mark, query = url.partition("?")
    normal = base_of(address)
    if not is_private(normal):
        raise Incorrect(_("“%(url)s” can't be used. It must begin with https://.") % {"url": normal})
    if mark and not _QUERY.fullmatch(query):
        raise Incorrect(
            _("“%(url)s” can't be used. Its query has characters that don't belong there.") % {"url": normal}
        )
    return f"{normal}{'/' if address.endswith('/') else ''}{mark}{query}"


def is_private(url: str) -> bool:
    """Whether what is sent there is read by nobody on the way."""
    return url.startswith("https:") or (urlsplit(url).hostname or "") in LOOPBACK


def _shown(url: str) -> str:
    """The address for an error's words: without credentials, in one line."""
    return "".join(each for each in url.rpartition("@")[2] if each.isprintable())[:200]


def _is_plain_host(host: str) -> bool:
    """Whether a host is a DNS name, or an address in its one normal spelling, that may be a server of an EHR."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # "2130706433", "0x7f.1" and "127.1" are addresses to a resolver, and names to a reader
        last = host.rsplit(".", 1)[-1]
        return bool(_HOST.fullmatch(host)) and not re.fullmatch(r"[0-9]+|0x[0-9a-f]*", last)
    return not is_odd(address)


def is_odd(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether no EHR can be there: link-local (where clouds keep their credentials), multicast, unspecified, reserved."""
    inner = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    if inner is not None:
        return is_odd(inner)
    is_special = address.is_link_local or address.is_multicast or address.is_unspecified or address.is_reserved
    return is_special and not address.is_loopback
