"""What every service stands on: the server as the current caller may use it."""

from __future__ import annotations

from tamis.rpc.principals import principal
from tamis.service import Tamis
from tamis.tenancy import View

__all__ = ["Viewing"]


class Viewing:
    """A service that does nothing but what its caller may: it holds no other way to the server."""

    def __init__(self, tamis: Tamis) -> None:
        self.__whole = tamis

    @property
    def _tamis(self) -> View:
        """For the caller of the call that the current task serves."""
        return View(self.__whole, principal.get())
