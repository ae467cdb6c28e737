import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { sqliteDatabase, sqlQuery, type SQLConfig } from "@joytoken/agent-sdk-ts/toolkit";
import { context } from "./model.js";
import { openSqlite, type Sqlite } from "./sqlite.js";

const ENDLESS = "with recursive n(i) as (select 1 union all select i + 1 from n) select i from n";

async function filled(t: TestContext): Promise<Sqlite> {
  const handle = await openSqlite(t);
  handle.exec("CREATE TABLE t (n INTEGER PRIMARY KEY, name TEXT); INSERT INTO t VALUES (1, 'one'), (2, NULL)");
  return handle;
}

const run = async (config: SQLConfig, sql: string): Promise<any> => sqlQuery(config).execute!({ sql }, context("sql_query"));

test("a real SQLite is read and written", async (t) => {
  const db = sqliteDatabase(await filled(t));
  const rows = { columns: ["n", "name"], rows: [[1, "one"], [2, null]], row_count: 2, truncated: false };
  assert.deepEqual(await run({ db }, "select * from t"), rows);
  assert.deepEqual(await run({ db, readOnly: true }, "select * from t"), rows);
  const none = await run({ db, readOnly: true }, "select n, name from t where n > 9");
  assert.deepEqual(none, { columns: ["n", "name"], rows: [], row_count: 0, truncated: false });
  const written = await run({ db }, "insert into t (name) values ('three'), ('four')");
  assert.deepEqual(written, { rows_affected: 2, last_insert_id: 4, read_only: false });
});

test("bytes are told as the text that they are, or in base64", async (t) => {
  const db = sqliteDatabase(await filled(t));
  assert.deepEqual((await run({ db }, "select x'c3a9' as a, x'ff00' as b")).rows, [["é", "/wA="]]);
});

test("a result without end is read no further than it is told", async (t) => {
  const db = sqliteDatabase(await filled(t));
  const told = await run({ db, readOnly: true, maxRows: 3 }, ENDLESS);
  assert.deepEqual(told, { columns: ["i"], rows: [[1], [2], [3]], row_count: 3, truncated: true });
  assert.equal((await run({ db, maxRows: 0 }, ENDLESS)).row_count, 200);
});

test("the session itself cannot write while it reads, whatever the words were taken for", async (t) => {
  const handle = await filled(t);
  const db = sqliteDatabase(handle);
  assert.throws(() => db.readOnly!("delete from t", 10), /attempt to write a readonly database/);
  assert.throws(() => db.readOnly!("insert into t values (9, 'x') returning n", 10), /attempt to write a readonly database/);
  assert.deepEqual(handle.prepare("select count(*) as n from t").get(), { n: 2 });
  assert.deepEqual(await run({ db }, "delete from t"), { rows_affected: 2, last_insert_id: 2, read_only: false });
});

test("a session that could not write before still cannot", async (t) => {
  const handle = await filled(t);
  const db = sqliteDatabase(handle);
  const held = () => handle.prepare("PRAGMA query_only").get();
  await run({ db, readOnly: true }, "select 1");
  await assert.rejects(run({ db, readOnly: true }, "select * from nowhere"), /sql_query: no such table: nowhere/);
  assert.deepEqual(held(), { query_only: 0 });
  handle.exec("PRAGMA query_only = ON");
  await run({ db, readOnly: true }, "select 1");
  assert.deepEqual(held(), { query_only: 1 });
});

test("a database that cannot be held is not asked", async (t) => {
  const handle = await filled(t);
  const deaf = { prepare: (sql: string) => handle.prepare(sql), exec: () => {} };
  const config = { db: sqliteDatabase(deaf), readOnly: true };
  await assert.rejects(run(config, "select 1"), /sql_query: the session cannot be made read-only/);
});

test("an older handle, without iterate and columns, is read too", async (t) => {
  const handle = await filled(t);
  const older = {
    exec: (sql: string) => handle.exec(sql),
    prepare: (sql: string) => ({ all: () => handle.prepare(sql).all(), run: () => handle.prepare(sql).run() }),
  };
  const told = await run({ db: sqliteDatabase(older), readOnly: true, maxRows: 1 }, "select name from t");
  assert.deepEqual(told, { columns: ["name"], rows: [["one"]], row_count: 1, truncated: true });
});

// Each of these is one statement to a real SQLite, or two, and empties the table; none passes for reading.
for (const sql of ["with x as (select $a(')) delete from t -- '", "select 1 /*! ' */ ; delete from t -- '"]) {
  test(`SQLite would write, and is not asked: ${sql}`, async (t) => {
    const handle = await filled(t);
    await assert.rejects(run({ db: sqliteDatabase(handle), readOnly: true }, sql), /sql_query: only read-only statements are allowed/);
    handle.exec(sql);
    assert.deepEqual(handle.prepare("select count(*) as n from t").get(), { n: 0 });
  });
}
