"""Changes are listed newest first, page by page."""

from joytoken.store.audit import Audit, AuditEntry


def test_entries_come_back(database):
    audit = Audit(database)
    made = audit.add("cli", "key.revoke", "key-1", '{"a":1}', "", 5)
    assert audit.list() == [AuditEntry(made, 5, "cli", "key.revoke", "key-1", '{"a":1}', "")]


def test_pages(database):
    audit = Audit(database)
    made = [audit.add("cli", "act", str(number), "", "", 5) for number in range(7)]
    seen, before = [], None
    while page := audit.list(limit=3, before=before):
        seen += [entry.id for entry in page]
        before = page[-1].id
    assert seen == made[::-1]
