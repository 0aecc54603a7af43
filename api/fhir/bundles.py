"""What a search answers: a searchset Bundle around stored bodies (https://hl7.org/fhir/R4/bundle.html#searchset)."""

from urllib.parse import urlencode

import orjson
from django.utils.translation import gettext as _

from api.fhir import addresses, posted, subsets
from api.fhir.outcomes import outcome
from records.errors import Issue
from records.json import Resource
from records.search import Match, Page
from records.search.options import PAGE


def searchset(type_name: str, page: Page, form: posted.Pairs) -> Resource:
    """The Bundle of one page: links, total if counted, matches, and an outcome where there is something to tell.

    ``form`` are the parameters that were posted, whose values stand in no link.
    """
    bundle: Resource = {"resourceType": "Bundle", "type": "searchset"}
    if page.total is not None:
        bundle["total"] = orjson.Fragment(str(page.total))
    bundle["link"] = _links(type_name, page, form)
    entries = [_entry(match, page.elements) for match in page.matches]
    if told := _told(page):
        entries.append({"resource": outcome(told), "search": {"mode": "outcome"}})
    if entries:
        bundle["entry"] = entries
    return bundle


def _links(type_name: str, page: Page, form: posted.Pairs) -> list[Resource]:
    links = [{"relation": "self", "url": _url(type_name, posted.named(page.used, form))}]
    if page.next:
        links.append({"relation": "next", "url": _url(type_name, _next(page, form))})
    return links


def _next(page: Page, form: posted.Pairs) -> posted.Pairs:
    """What leads to the next page by GET: the parameters, those of a form inside its key."""
    if not form:
        return [*page.used, (PAGE, page.next)]
    return [*(given for given in page.used if given not in form), (PAGE, posted.seal(form, page.next))]


def _url(type_name: str, params: posted.Pairs) -> str:
    query = urlencode(params, safe="/:|,")
    return f"{addresses.base()}/{type_name}{'?' if query else ''}{query}"


def _entry(match: Match, elements: tuple[str, ...]) -> Resource:
    body = subsets.only(match.body, elements) if elements else match.body
    return {
        "fullUrl": addresses.of(match.type, match.id),
        "resource": orjson.Fragment(body),
        "search": {"mode": "match"},
    }


def _told(page: Page) -> list[Issue]:
    told = [
        Issue(
            _("The parameter %(name)s is unknown and was ignored.") % {"name": name[:64]},
            "",
            "not-supported",
            "warning",
        )
        for name in page.ignored
    ]
    if page.is_capped:
        told.append(Issue(_("There are more than the total says."), "", "incomplete", "information"))
    return told
