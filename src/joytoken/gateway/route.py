"""Route: which deployments could serve the request, in which order, and why.

The plan is made while the request is admitted, since the key's policy on models is part of it; that a model is not
known, or that none can serve, is told only after the key's rates and money were checked.
"""

from joytoken.domain.errors import NotFound, RoutingFailed
from joytoken.domain.route import Needs, Plan
from joytoken.gateway.keyring import Principal
from joytoken.gateway.trail import Trail
from joytoken.routing.plan import Router

_BYTES_PER_TOKEN = 4


def look(router: Router, principal: Principal, needs: Needs, trail: Trail) -> None:
    """Make the plan. Raises PolicyRejected; any other refusal waits on the trail for `route`."""
    try:
        trail.plan = router.plan(principal.policy, needs, input_tokens=len(trail.call.body) // _BYTES_PER_TOKEN)
    except (NotFound, RoutingFailed) as refusal:
        trail.unroutable = refusal


def route(trail: Trail) -> Plan:
    """The plan that was made. Raises NotFound (404) or RoutingFailed (502) where there is none."""
    if trail.plan is None:
        raise trail.unroutable or RoutingFailed("no plan was made")
    return trail.plan
