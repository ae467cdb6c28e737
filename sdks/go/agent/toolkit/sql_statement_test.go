package toolkit

import (
	"errors"
	"strings"
	"testing"
)

func TestStatementsThatOnlyRead(t *testing.T) {
	for _, statement := range []string{
		"select 1",
		"  SELECT * FROM t ; ",
		"-- what is there\nselect 1",
		"/* what\nis there */ select 1 -- and that is all",
		"select 'a;b', \"c;d\" from t",
		"select 'it''s; drop table t'",
		"select replace(name, 'a', 'b'), updated_at, deleted from t",
		"with a as (select 1) select * from a",
		"explain select 1",
		"EXPLAIN QUERY PLAN SELECT 1",
		"explain (analyze, format json) select 1",
		"explain analyze verbose with a as (select 1) select * from a",
		"show tables",
		"pragma table_info(t)",
		"pragma main.table_info('t')",
		"pragma user_version",
		"select * from t where name like '%--%' and x > 1",
		"select a[1], '[' from t",
		"select 5 - -3",
		"select '\\'",
	} {
		if err := checkReadOnly(statement); err != nil {
			t.Errorf("%q: %v", statement, err)
		}
	}
}

func TestStatementsThatDoNot(t *testing.T) {
	for _, statement := range []string{
		"insert into t values (1)",
		"update t set a = 1",
		"DELETE FROM t",
		"replace into t values (1)",
		"with x as (select 1) delete from t",
		"with x as (delete from t returning *) select * from x",
		"with x as (select 1) replace into t select * from x",
		"with x as (select 1) insert into t select * from x",
		"select 1; delete from t",
		"select 1;;delete from t",
		"select 1; -- \ndelete from t",
		"select 1 /* ; */ ; delete from t",
		"-- select 1\ndelete from t",
		"/* select 1 */ delete from t",
		"/* /* */ delete from t; -- */ select 1",
		"/*! delete from t */",
		"select 1 /*! into outfile '/tmp/x' */",
		"select 1 /*M! ; delete from t */",
		"explain delete from t",
		"explain analyze delete from t",
		"explain (analyze) delete from t",
		"explain analyze execute prepared",
		"explain analyze call wipe()",
		"explain analyze with x as (delete from t returning *) select * from x",
		"explain analyze create table a as select 1",
		"explain",
		"select * into b from t",
		"select 1 into outfile '/tmp/x'",
		"select * from t for update",
		"pragma user_version = 7",
		"pragma user_version(7)",
		"pragma query_only(0)",
		"pragma query_only = off",
		"pragma journal_mode(delete)",
		"pragma journal_mode=wal",
		"pragma main.journal_mode=wal",
		"pragma wal_checkpoint",
		"pragma incremental_vacuum",
		"pragma writable_schema(1)",
		"pragma optimize",
		"pragma",
		"attach 'x.db' as x",
		"vacuum",
		"vacuum into 'x.db'",
		"create table a (b)",
		"drop table t",
		"begin",
		"commit",
		"set transaction read write",
		"call wipe()",
		"copy t to '/tmp/x'",
		"do $$ begin delete from t; end $$",
		// What one database takes for a string or a comment is a command for another.
		`select '\'; delete from t; --'`,
		`select '\' ' ; delete from t --'`,
		"select 1 as [ ' ] ; delete from t where a = ' '",
		"select $$ ' $$ ; delete from t --'",
		"select $a$ ' $a$ ; delete from t --'",
		"select 1 # ' \n ; delete from t --'",
		"select 1--1 ; delete from t",
		"select ` ' ` ; delete from t where a = ' '",
		"select e'\\'' ; delete from t --'",
	} {
		if err := checkReadOnly(statement); !errors.Is(err, errNotReadOnly) {
			t.Errorf("%q: %v", statement, err)
		}
	}
}

func TestStatementsThatAreNone(t *testing.T) {
	for _, statement := range []string{"", "  ", ";", "-- nothing", "/* nothing */", " ; "} {
		if err := checkReadOnly(statement); !errors.Is(err, errEmptyStatement) {
			t.Errorf("%q: %v", statement, err)
		}
	}
	if err := checkReadOnly("select '" + strings.Repeat("x", statementBytesMax)); err == nil {
		t.Error("a statement of any length is taken")
	}
}

// A statement is hostile input: whatever it is, the check ends.
func FuzzCheckReadOnly(f *testing.F) {
	for _, seed := range []string{"select 1", "/*", "'", "$", "$a", "[", "--", "e'", "/*!", "\\", "`", "explain (", "pragma a."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, statement string) {
		if checkReadOnly(statement) == nil && strings.TrimSpace(statement) == "" {
			t.Fatal("nothing was taken for a statement")
		}
	})
}
