/** What the tests use of it. */
declare module "sql.js" {
  type Value = number | string | Uint8Array | null;
  interface Statement {
    bind(values: Value[]): boolean;
    step(): boolean;
    getAsObject(): Record<string, Value>;
    getColumnNames(): string[];
    free(): boolean;
  }
  interface Database {
    exec(sql: string): { columns: string[]; values: Value[][] }[];
    prepare(sql: string): Statement;
    getRowsModified(): number;
    close(): void;
  }
  export default function initSqlJs(): Promise<{ Database: new () => Database }>;
}
