"""Where providers are not called: behind a name, an address, or one that stands for another."""

import ipaddress

import pytest

from joytoken.config.settings import Upstream
from joytoken.providers import transport
from joytoken.providers.addresses import inner, look_up, networks_of, within
from joytoken.providers.transport import Limits, Origin, Pool, UpstreamError
from tests.providers.asking import request, to
from tests.providers.fault_server import FaultServer, says

DENIED = networks_of(Upstream().networks_denied)
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


@pytest.mark.parametrize(
    ("address", "denied"),
    [
        ("169.254.169.254", True),
        ("::ffff:169.254.169.254", True),
        ("64:ff9b::a9fe:a9fe", True),
        ("2002:a9fe:a9fe::1", True),
        ("fe80::1", True),
        ("fd00:ec2::254", True),
        ("100.100.100.200", True),
        ("127.0.0.1", False),
        ("::1", False),
        ("10.1.2.3", False),
        ("192.168.1.5", False),
        ("fd12:3456::1", False),
        ("93.184.216.34", False),
    ],
)
async def test_local_and_private_servers_are_providers_and_metadata_services_are_not(address, denied):
    assert within(ipaddress.ip_address(address), DENIED) is denied
    pool = Pool(Limits(), DENIED)
    if denied:
        with pytest.raises(UpstreamError) as caught:
            await pool.send(Origin("http", address, 80), request(), whole=True)
        assert (caught.value.kind, caught.value.sent) == ("connect_failed", False)
        assert "networks_denied" in caught.value.message
    await pool.aclose()


async def test_a_name_is_judged_by_every_address_that_it_has(monkeypatch):
    """Also by one that would not be used; and it is connected to what was looked at."""
    answers = []

    async def looked_up(host, port):
        assert (host, port) == ("model.example", server.port)
        return [ipaddress.ip_address(text) for text in answers.pop(0)]

    monkeypatch.setattr(transport, "look_up", looked_up)
    async with FaultServer(says(OK)) as server:
        pool = Pool(Limits(), DENIED)
        answers.append(["127.0.0.1", "169.254.169.254"])
        with pytest.raises(UpstreamError, match="networks_denied"):
            await pool.send(to(server, "model.example"), request(), whole=True)
        answers.append(["127.0.0.2", "127.0.0.1"])  # nobody listens at the first one
        response = await pool.send(to(server, "model.example"), request(), whole=True)
        assert response.status == 200
        await pool.aclose()
    assert answers == []


async def test_looking_up():
    assert await look_up("::1", 80) == [ipaddress.ip_address("::1")]
    found = await look_up("localhost", 80)
    assert found
    assert len(set(found)) == len(found)
    assert all(address.is_loopback for address in found)


@pytest.mark.parametrize("text", ["::ffff:1.2.3.4", "64:ff9b::102:304", "2002:102:304::"])
def test_what_an_address_stands_for(text):
    assert str(inner(ipaddress.ip_address(text))) == "1.2.3.4"
