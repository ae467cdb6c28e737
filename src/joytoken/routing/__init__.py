"""Routing: which deployments serve a request, in which order, and why. Decisions only; nothing is called from here."""

from joytoken.routing.candidates import AUTO, allowed_tiers, tiers_for
from joytoken.routing.health import Health, is_fault
from joytoken.routing.options import RoutingOptions, options_from
from joytoken.routing.plan import Router

__all__ = ["AUTO", "Health", "Router", "RoutingOptions", "allowed_tiers", "is_fault", "options_from", "tiers_for"]
