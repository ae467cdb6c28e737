import pytest

from joytoken.domain.errors import InvalidKey, MissingKey
from joytoken.gateway.authenticate import authenticate
from joytoken.gateway.call import Call
from joytoken.gateway.keyring import Keyring
from joytoken.gateway.windows import Windows
from tests.gateway.worlds import NOW_US, PEPPER, a_key

# X-API-Key · Authorization · who it is, or how it is refused
CASES = [
    (b"ann", None, "ann"),
    (b" ann ", None, "ann"),
    (None, b"Bearer ann", "ann"),
    (None, b"bearer   ann ", "ann"),
    (None, b"BEARER ann", "ann"),
    (b"ann", b"Bearer bob", "ann"),
    (b"wrong", b"Bearer bob", InvalidKey),  # the header that wins is not made good by the other
    (b"", b"Bearer bob", "bob"),
    (b" ", b"Bearer bob", "bob"),
    (None, None, MissingKey),
    (b"", None, MissingKey),
    (None, b"", MissingKey),
    (None, b"Bearer ", MissingKey),
    (None, b"Basic ann", MissingKey),
    (None, b"ann", MissingKey),
    (None, b"Bearer nobody", InvalidKey),
    (b"\xff\xfe", None, InvalidKey),
]


@pytest.mark.parametrize(("api_key", "authorization", "result"), CASES)
def test_who_calls(api_key, authorization, result):
    keyring = Keyring(PEPPER, Windows("UTC"))
    keyring.take_over(1, [a_key("ann"), a_key("bob")])
    call = Call(0.0, NOW_US, "127.0.0.1")
    call.api_key, call.authorization = api_key, authorization
    if isinstance(result, str):
        assert authenticate(call, keyring).key.name == result
        return
    with pytest.raises(result) as refusal:
        authenticate(call, keyring)
    assert "ann" not in str(refusal.value)
    assert refusal.value.http_status == (401 if result is MissingKey else 403)
