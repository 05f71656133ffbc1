"""The HTML of a page: one style, one script, and a policy under which nothing else runs or is fetched."""

from base64 import b64encode
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import NamedTuple


class Markup(NamedTuple):
    """A page as HTML, and its content security policy.

    Attributes:
        text: the HTML.
        policy: the policy; without ``frame-ancestors``, which a page cannot say of itself.
    """

    text: str
    policy: str


def asset(name: str) -> str:
    """Read a file of this package."""
    return files("litevision.web").joinpath(name).read_text("utf-8")


def markup(
    script: str,
    *,
    title: str = "litevision",
    head: str = "",
    buttons: str = "",
    form: str = "",
    blocks: str = "",
    scripts_from: str = "",
    connect_to: str = "'self'",
    states_policy: bool = False,
) -> Markup:
    """Make a page of ``page.html``, ``page.css`` and ``page.js``.

    Args:
        script: the file whose script goes behind ``page.js`` and says where answers come from.
        title: of the window.
        head: HTML of the head, such as who made the page.
        buttons: HTML behind the buttons that are there.
        form: HTML behind the status line.
        blocks: HTML before the script, such as data.
        scripts_from: further sources of scripts that the policy allows.
        connect_to: what the policy lets the page fetch from.
        states_policy: whether the HTML itself states the policy, for a page that no server of ours sends.
    """
    style, code = asset("page.css"), asset("page.js") + asset(script)
    policy = (
        f"default-src 'none'; script-src {_digest(code)}{scripts_from}; style-src {_digest(style)}; "
        f"img-src blob: data:; connect-src {connect_to}; base-uri 'none'; form-action 'none'"
    )
    if states_policy:
        head += f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
    text = asset("page.html")
    for name, value in (
        ("head", head),
        ("title", escape(title)),
        ("style", style),
        ("buttons", buttons),
        ("form", form),
        ("scripts", f"{blocks}<script>{code}</script>"),
    ):
        before, mark, after = text.partition("{{" + name + "}}")
        assert mark, name
        text = before + value + after
    return Markup(text, policy)


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
