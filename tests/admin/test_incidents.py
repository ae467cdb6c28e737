import pytest

from joytoken.admin.doctor import examine
from joytoken.admin.incidents import IncidentQuery, IncidentRef, close_incident, list_incidents
from joytoken.domain.errors import InvalidRequest, NotFound
from joytoken.domain.ledger import Want, wallet_account
from joytoken.store.ledger import Batch
from tests.admin.worlds import NOW_US
from tests.escrow.making import a_record

WALLET = wallet_account("default", "standard")


@pytest.fixture
def lost(desk):
    """A node that was given up while it had leased two credits."""
    ledger = desk.store.ledger
    epoch = ledger.register("far:0", "far", NOW_US, lease_us=-1)
    ledger.grant("far:0", epoch, [(Want(WALLET), 2 * 10**9, 2 * 10**9)], NOW_US)
    assert names(desk) == {"worker far:0"}
    assert ledger.abandon("far:0", epoch, ledger.workers()[0].deadline_us) is not None
    return epoch


def names(desk):
    """What the doctor warns of, of workers and incidents."""
    findings = examine(desk.settings, {}, lambda *_: None).findings
    return {f.name for f in findings if f.state == "warning" and f.name.startswith(("worker", "incident"))}


def test_an_incident_is_shown_until_its_journal_came_back(desk, lost):
    (incident,) = list_incidents(desk, IncidentQuery(open=True)).incidents
    assert (incident.kind, incident.subject, incident.host) == ("abandoned", "far:0/1", "far")
    assert (incident.returned, incident.closed) == ({WALLET: "2.000000"}, None)
    assert names(desk) == {f"incident {incident.id}"}
    record = a_record(1, cost=10**9, charged=10**9)
    record.owner_id, record.ending = "default", "completed"
    desk.store.ledger.flush_late("far:0", lost, Batch(7, [(7, (WALLET,), 10**9, record)], {}, NOW_US))
    desk.store.ledger.finish("far:0", lost)
    (incident,) = list_incidents(desk, IncidentQuery()).incidents
    assert (incident.late_records, incident.late_charged, incident.late_shortfall) == (1, "1.000000", "0.000000")
    assert incident.closed is not None
    assert list_incidents(desk, IncidentQuery(open=True)).incidents == []
    assert names(desk) == set()


def test_an_incident_whose_disk_is_gone_is_closed_by_hand(desk, lost):
    (incident,) = list_incidents(desk, IncidentQuery()).incidents
    closed = close_incident(desk, IncidentRef(id=str(incident.id))).closed
    assert closed is not None
    assert close_incident(desk, IncidentRef(id=str(incident.id))).closed == closed
    assert desk.store.audit.list()[0].action == "incident.close"
    with pytest.raises(NotFound):
        close_incident(desk, IncidentRef(id="99"))


def test_incidents_come_in_pages(desk):
    ledger = desk.store.ledger
    for number in range(3):
        epoch = ledger.register(f"far:{number}", "far", NOW_US)
        assert ledger.abandon(f"far:{number}", epoch, ledger.workers()[0].deadline_us) is not None
    first = list_incidents(desk, IncidentQuery(limit=2))
    assert [i.subject for i in first.incidents] == ["far:2/1", "far:1/1"]
    assert [i.subject for i in list_incidents(desk, IncidentQuery(before=first.next)).incidents] == ["far:0/1"]
    with pytest.raises(InvalidRequest):
        list_incidents(desk, IncidentQuery(limit=0))
