"""Which scope each address needs. On loopback everybody may do everything."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar

Scope = Literal["predict", "read", "explain", "metrics"]
View = TypeVar("View", bound=Callable[..., Any])


def needs(scope: Scope) -> Callable[[View], View]:
    """Record on a view the scope that a caller's key must have."""

    def declared(view: View) -> View:
        view.needed_scope = scope  # type: ignore[attr-defined]
        return view

    return declared
