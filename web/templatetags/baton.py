"""Small words and signs for templates."""

from django.template import Library
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

from web import words

register = Library()


@register.simple_tag
def icon(name: str) -> SafeString:
    """A sign beside words, never instead of them: hidden from screen readers."""
    return format_html(
        '<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>', static("web/icons.svg"), name
    )


@register.filter
def role_label(role: str) -> str:
    """What a person's role is called."""
    return str(words.ROLES.get(role, role))
