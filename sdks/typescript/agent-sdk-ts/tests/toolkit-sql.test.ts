import assert from "node:assert/strict";
import { test } from "node:test";
import { isReadOnlyStatement, sqlQuery, type SQLDatabase } from "@joytoken/agent-sdk-ts/toolkit";
import { context } from "./model.js";
import { eachVector, joined } from "./vectors.js";

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

type Kind = "reading" | "empty" | "long" | "other";
eachVector("sql-statements", async (parts, expect: Kind) => {
  const sql = joined(parts);
  assert.equal(isReadOnlyStatement(sql), expect === "reading");
  const refusal = { reading: undefined, empty: /empty statement/, long: /too long/, other: /only read-only/ }[expect];
  const answer = run({ db: database(), readOnly: true }, sql);
  await (refusal === undefined ? answer : assert.rejects(answer, refusal));
});

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
