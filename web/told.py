"""What the exchange has written down of its troubles, in the reader's language.

A worker has no reader, and keeps what went wrong in English; here is every such sentence, to be known again and said in the
language of the page. What a partner itself has said stays as it was.
"""

import re
from functools import cache

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

SENTENCES = (
    _("Both sides changed %(what)s."),
    _("Another reader has taken this type over."),
    _("Another resource of ours is linked to that one already."),
    _("Another worker has taken this over."),
    _("Another worker has taken this run over."),
    _("It asks us for something, and no request that is here says what."),
    _("It could not be understood."),
    _("It refers to %(what)s, whose sending was given up."),
    _("It waits for the request that it is about."),
    _("It waits until %(what)s exists at the partner."),
    _("It waits until others have written what it is about."),
    _("It waits until the partner's own change of it has been applied."),
    _("It waits until we know what came of our own sending of it."),
    _("It waits until what it refers to can be read."),
    _("It was deleted from the partner's directory."),
    _("It was lost at the partner, and is asked for again."),
    _("It was switched off at the partner, and is asked for again."),
    _("Its answer can't be dealt with (%(what)s)."),
    _("Its id is none that FHIR allows."),
    _("Patients of whom no %(type)s can be read: %(count)s. %(why)s"),
    _("The partner answered %(status)s."),
    _("The partner answered %(status)s: %(why)s."),
    _("The partner answered a Bundle with another number of entries."),
    _("The partner answered a creation with another resource."),
    _("The partner answered a read with another resource."),
    _("The partner answered a search without a Bundle."),
    _("The partner answered a write with another resource."),
    _("The partner answered success with an error in it."),
    _("The partner answered with a redirect; it was not followed."),
    _("The partner answered with something that is not FHIR JSON."),
    _("The partner can't be reached."),
    _("The partner has more than one resource with its identifiers."),
    _("The partner has more than one resource with this identifier."),
    _("The partner has no history of this type."),
    _("The partner has somebody with one of these identifiers who may be another person."),
    _("The partner has something that can't be read, and doesn't say what."),
    _("The partner keeps something else than was sent: %(what)s."),
    _("The partner's answer can't be read."),
    _("The partner's answer doesn't say what it created."),
    _("The partner's answer is too big."),
    _("The partner's answer to an entry says nothing."),
    _("The partner's answer took too long."),
    _("The partner's answer was lost."),
    _("The partner's configuration can't be read."),
    _("The partner's id of it is none that FHIR allows."),
    _("The partner's link leads to another server; it was not followed."),
    _("The partner's pages are never the same."),
    _("The partner's pages expire before they can be read."),
    _("The partner's pages have no end."),
    _("The authorisation server answered %(status)s."),
    _("The authorisation server answered without a token."),
    _("The authorisation server can't be reached."),
    _("The authorisation server gave a token of a kind that we can't use."),
    _("The authorisation server refused us (%(why)s)."),
    _("The authorisation server's answer is too big."),
    _("The authorisation server's answer took too long."),
    _("The authorisation server's answer was lost."),
    _("What names it is being read."),
    _("%(what)s of the patient denies it to %(who)s, who would get it there."),
    _("%(what)s of the patient denies it."),
)
_PLACE = re.compile(r"%\\\((\w+)\\\)s")


def in_words(text: str) -> str:
    """A sentence that was kept, in the language of the page; as it stands where it is none of these."""
    sentence, said = _known(text)
    told = {name: in_words(value) if name == "why" else value for name, value in said}
    return gettext(sentence) % told if sentence else text


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """The sentences with what stands in their places; those that leave least open first."""
    fixed_first = sorted(SENTENCES, key=lambda one: one.count("%("))
    # re.escape leaves "%" and escapes the brackets
    return tuple((one, re.compile(_PLACE.sub(r"(?P<\1>.+)", re.escape(one)))) for one in fixed_first)


def _known(text: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    for sentence, pattern in _patterns():
        if found := pattern.fullmatch(text):
            return sentence, tuple(found.groupdict().items())
    return "", ()
