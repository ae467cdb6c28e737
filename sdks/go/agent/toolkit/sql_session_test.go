package toolkit_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"joytoken.example/sdk-go/agent/toolkit"
)

// session is a database that knows no pragma, and tells what was asked of it.
type session struct{ said []string }

func (s *session) Connect(context.Context) (driver.Conn, error) { return &conn{s}, nil }
func (s *session) Driver() driver.Driver                        { return nil }

type conn struct{ *session }

func (c *conn) Prepare(string) (driver.Stmt, error) { return nil, errors.New("not prepared") }
func (c *conn) Close() error                        { return nil }
func (c *conn) Begin() (driver.Tx, error)           { return nil, errors.New("not this way") }

func (c *conn) BeginTx(_ context.Context, options driver.TxOptions) (driver.Tx, error) {
	if options.ReadOnly {
		c.said = append(c.said, "begin read only")
	} else {
		c.said = append(c.said, "begin")
	}
	return c, nil
}

func (c *conn) Commit() error   { c.said = append(c.said, "commit"); return nil }
func (c *conn) Rollback() error { c.said = append(c.said, "rollback"); return nil }

func (c *conn) QueryContext(_ context.Context, query string, _ []driver.NamedValue) (driver.Rows, error) {
	if strings.HasPrefix(query, "PRAGMA") {
		return nil, errors.New("syntax error")
	}
	c.said = append(c.said, query)
	return &one{}, nil
}

// one is a row.
type one struct{ given bool }

func (*one) Columns() []string { return []string{"n"} }
func (*one) Close() error      { return nil }
func (r *one) Next(row []driver.Value) error {
	if r.given {
		return io.EOF
	}
	r.given, row[0] = true, int64(1)
	return nil
}

func TestAReadingStatementIsRunInAReadOnlyTransactionThatIsTakenBack(t *testing.T) {
	database := &session{}
	db := sql.OpenDB(database)
	defer db.Close()
	tool := toolkit.SQLQuery(toolkit.SQLConfig{DB: db, ReadOnly: true})
	result, err := run(tool, map[string]any{"sql": "SELECT 1"})
	must(t, err)
	if result.(map[string]any)["row_count"] != 1 || !slices.Equal(database.said, []string{"begin read only", "SELECT 1", "rollback"}) {
		t.Fatal(result, database.said)
	}
}

func TestASecondStatementIsNotReadAsAString(t *testing.T) {
	database := &session{}
	db := sql.OpenDB(database)
	defer db.Close()
	tool := toolkit.SQLQuery(toolkit.SQLConfig{DB: db, ReadOnly: true})
	for _, statement := range []string{
		"select 1 --\r; delete from t",
		"select 1 /*! ' */ ; delete from t -- '",
		"select 1 as [a]] ' ] ; delete from t -- '",
		"select 1 as a$$, $$ [ # $$ ; commit; delete from t where x <> $$ ] $$ -- $$",
	} {
		if _, err := run(tool, map[string]any{"sql": statement}); err == nil || !strings.Contains(err.Error(), "read-only") {
			t.Errorf("%q: %v", statement, err)
		}
	}
	if len(database.said) != 0 {
		t.Fatal(database.said)
	}
}

// plain is a database whose driver has no read-only transactions.
type plain struct{ *session }

func (p plain) Connect(context.Context) (driver.Conn, error) { return simple{&conn{p.session}}, nil }

type simple struct{ conn *conn }

func (s simple) Prepare(query string) (driver.Stmt, error) { return s.conn.Prepare(query) }
func (s simple) Close() error                              { return nil }
func (s simple) Begin() (driver.Tx, error)                 { return s.conn, nil }

func TestADatabaseThatCannotBeHeldIsNotAsked(t *testing.T) {
	database := &session{}
	db := sql.OpenDB(plain{database})
	defer db.Close()
	_, err := run(toolkit.SQLQuery(toolkit.SQLConfig{DB: db, ReadOnly: true}), map[string]any{"sql": "SELECT 1"})
	if err == nil || !strings.Contains(err.Error(), "cannot be made read-only") || len(database.said) != 0 {
		t.Fatal(err, database.said)
	}
	if _, err := run(toolkit.SQLQuery(toolkit.SQLConfig{}), map[string]any{"sql": "SELECT 1"}); err == nil {
		t.Fatal("there is no database")
	}
}
