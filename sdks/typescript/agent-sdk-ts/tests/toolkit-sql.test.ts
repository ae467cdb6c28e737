import assert from "node:assert/strict";
import { test } from "node:test";
import { isReadOnlyStatement, sqlQuery, type SQLDatabase } from "@joytoken/agent-sdk-ts/toolkit";
import { context } from "./model.js";

const READING = [
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
  "select a$b, c$$ from v$session",
  "select '\u00a0' -- a comment\r\nfrom t /* ' */",
  "select x::numeric(10,2), @x, :name from t",
  "select e'a\\'b'\n'c\\'d'",
  "select 1 as `a\\`",
  "select e'it\\'s', E'\\\\'",
];
const OTHER = [
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
  "select '\\'; delete from t; --'",
  "select '\\' ' ; delete from t --'",
  "select 1 as [ ' ] ; delete from t where a = ' '",
  "select $$ ' $$ ; delete from t --'",
  "select $a$ ' $a$ ; delete from t --'",
  "select 1 # ' \n ; delete from t --'",
  "select 1--1 ; delete from t",
  "select ` ' ` ; delete from t where a = ' '",
  "select e'\\'' ; delete from t --'",
  // A name may end with dollars, which begin no string then, and E escapes only what is right behind it.
  "select 1 as a$$, $$ [ # $$ ; delete from t where x = $$ ] $$ -- $$",
  "select 1 as é$b$, $b$ [ # $b$ ; delete from t where x = $b$ ] $b$ -- $b$",
  "select e '\\', $$ [ # $$ ; delete from t where x = $$ ] $$ -- '",
  "select 1 --\r; delete from t",
  "select 1 /*! ' */ ; delete from t -- '",
  "select 1 as \u00a0$$, $$ [ # $$ ; delete from t where x = $$ ] $$ -- $$",
  "select 1\u00a0delete from t",
  "select 1\u0085delete from t",
  "with x as (select $a(')) delete from t -- '",
  "with x as (select :a::b(')) delete from t -- '",
  "select 1 as [a]] ' ] ; delete from t -- '",
  "select /* /* */ ' */ 1, E'a'\n'b\\' ' ; delete from t -- '",
  "select 1 --\x7f ' \n ; delete from t -- '",
  "select a$b(') , ' ; delete from t -- )')",
  "select 1 shutdown",
  "",
  "-- nothing",
  `select ${"1,".repeat(40_000)}1`,
];

for (const sql of READING) test(`it only reads: ${sql.slice(0, 60)}`, () => assert.equal(isReadOnlyStatement(sql), true));
for (const sql of OTHER) test(`it does not: ${sql.slice(0, 60)}`, () => assert.equal(isReadOnlyStatement(sql), false));

/** A database that keeps what it was asked, and how. */
function database(rows: unknown[][] = [[1, "a"]]): SQLDatabase & { asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    query: (sql) => (asked.push(`query ${sql}`), { columns: ["n", "t"], rows }),
    readOnly: (sql) => (asked.push(`read ${sql}`), { columns: ["n", "t"], rows }),
    exec: (sql) => (asked.push(`exec ${sql}`), { rowsAffected: 2, lastInsertId: 7n }),
  };
}

const run = async (config: Parameters<typeof sqlQuery>[0], sql: unknown): Promise<unknown> =>
  sqlQuery(config).execute!({ sql }, context("sql_query"));

test("a long statement of any signs is looked at in one go", () => {
  for (const piece of ["$", "$a", ":", "::", "$a(", "/*", "*/", "'", "\\'", "[", "]]", "--", "-", "#", "e'", "(", "é", "\r", "$$", "$a$b"]) {
    assert.equal(isReadOnlyStatement(`${piece.repeat(60_000 / piece.length)} delete`), false, piece);
  }
});

test("what reads is told with its columns, and read in a session that cannot write", async () => {
  const db = database([[1, "a"], [2n, new Date(0)], [3, new Uint8Array([104, 105])]]);
  const result = await run({ db, readOnly: true }, "select n, t from x");
  const rows = [[1, "a"], ["2", "1970-01-01T00:00:00.000Z"], [3, "hi"]];
  assert.deepEqual(result, { columns: ["n", "t"], rows, row_count: 3, truncated: false });
  await run({ db }, "select 1");
  assert.deepEqual(db.asked, ["read select n, t from x", "query select 1"]);
});

test("no more rows are told than were asked for", async () => {
  const many = Array.from({ length: 300 }, (_, n) => [n, ""]);
  const told = async (maxRows?: number): Promise<any> => run({ db: database(many), maxRows }, "select 1");
  assert.deepEqual([(await told()).row_count, (await told()).truncated], [200, true]);
  assert.deepEqual([(await told(300)).row_count, (await told(300)).truncated], [300, false]);
  const large: any = await run({ db: database([[1, "x".repeat(900_000)], [2, "x".repeat(900_000)]]) }, "select 1");
  assert.deepEqual([large.row_count, large.truncated], [1, true]);
});

test("what writes is refused where it must only read, else carried out", async () => {
  const db = database();
  assert.deepEqual(await run({ db }, "delete from x"), { rows_affected: 2, last_insert_id: "7", read_only: false });
  await assert.rejects(run({ db, readOnly: true }, "delete from x"), /sql_query: only read-only statements are allowed/);
  await assert.rejects(run({ db: { query: db.query } }, "delete from x"), /sql_query: writes are not supported \(no exec adapter configured\)/);
  await assert.rejects(run({ db }, " ; "), /sql_query: empty statement/);
  await assert.rejects(run({ db }, `select '${"x".repeat(70_000)}'`), /sql_query: the statement is too long/);
  await assert.rejects(run({ db }, 1), /sql_query: argument "sql" must be a string/);
  await assert.rejects(run({ db }, undefined), /sql_query: missing required argument "sql"/);
  assert.deepEqual(db.asked, ["exec delete from x"]);
});
