package toolkit

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/base64"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"joytoken.example/sdk-go/agent"
)

const (
	// DefaultSQLMaxRows is how many rows of a result are told.
	DefaultSQLMaxRows = 200
	// sqlBytesMax bounds what is told of a result.
	sqlBytesMax = 1 << 20
	// sqlCleanTime bounds how long a session is put back in order after its statement.
	sqlCleanTime = 5 * time.Second
)

// SQLConfig is what the tool sql_query may do.
type SQLConfig struct {
	DB *sql.DB
	// ReadOnly refuses statements that write: by their words, and by a session that cannot write. It does not keep a
	// statement from calling functions of the database: give the tool a database user of few rights.
	ReadOnly bool
	// MaxRows is DefaultSQLMaxRows where it is 0.
	MaxRows int
}

// SQLQuery is a tool that runs one SQL statement. One that reads gives columns, rows (lists of values), row_count and
// truncated; one that writes gives rows_affected and last_insert_id.
func SQLQuery(config SQLConfig) agent.AgentTool {
	if config.MaxRows <= 0 {
		config.MaxRows = DefaultSQLMaxRows
	}
	description := "Run one SQL statement."
	if config.ReadOnly {
		description = "Run one SQL statement that only reads."
	}
	return agent.AgentTool{
		Name:        "sql_query",
		Description: description,
		Parameters: map[string]any{
			"type":       "object",
			"properties": map[string]any{"sql": map[string]any{"type": "string", "description": "The statement."}},
			"required":   []string{"sql"},
		},
		Execute: func(ctx context.Context, input any, _ agent.ToolExecutionContext) (any, error) {
			statement, err := textArgument(input, "sql")
			if err == nil {
				var result map[string]any
				if result, err = config.run(ctx, statement); err == nil {
					return result, nil
				}
			}
			return nil, fmt.Errorf("sql_query: %w", err)
		},
	}
}

func (c SQLConfig) run(ctx context.Context, statement string) (map[string]any, error) {
	if c.DB == nil {
		return nil, errors.New("no database configured")
	}
	refused := checkReadOnly(statement)
	switch {
	case refused == nil:
		return c.read(ctx, statement)
	case errors.Is(refused, errNotReadOnly) && !c.ReadOnly:
		return c.write(ctx, statement)
	}
	return nil, refused
}

func (c SQLConfig) write(ctx context.Context, statement string) (map[string]any, error) {
	done, err := c.DB.ExecContext(ctx, statement)
	if err != nil {
		return nil, err
	}
	result := map[string]any{"rows_affected": nil, "last_insert_id": nil, "read_only": false}
	if rows, err := done.RowsAffected(); err == nil {
		result["rows_affected"] = rows
	}
	if id, err := done.LastInsertId(); err == nil {
		result["last_insert_id"] = id
	}
	return result, nil
}

// read runs a statement in a session that cannot write, where that is asked for, and takes back whatever it did.
func (c SQLConfig) read(ctx context.Context, statement string) (result map[string]any, err error) {
	if !c.ReadOnly {
		rows, err := c.DB.QueryContext(ctx, statement)
		if err != nil {
			return nil, err
		}
		return c.collect(rows)
	}
	conn, err := c.DB.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	restore, isSQLite, err := holdSQLite(ctx, conn)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, restore()) }()
	tx, err := conn.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil && isSQLite && ctx.Err() == nil {
		tx, err = conn.BeginTx(ctx, nil) // the driver has no such option; the session is held by query_only
	}
	if err != nil {
		return nil, fmt.Errorf("the session cannot be made read-only: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	rows, err := tx.QueryContext(ctx, statement)
	if err != nil {
		return nil, err
	}
	return c.collect(rows)
}

// holdSQLite makes a session of SQLite read-only, and gives what puts it back. Other databases do not know the pragma;
// they have read-only transactions.
func holdSQLite(ctx context.Context, conn *sql.Conn) (restore func() error, isSQLite bool, err error) {
	nothing := func() error { return nil }
	var before, now int
	if err := conn.QueryRowContext(ctx, "PRAGMA query_only").Scan(&before); err != nil {
		return nothing, false, ctx.Err()
	}
	if _, err := conn.ExecContext(ctx, "PRAGMA query_only = ON"); err != nil {
		return nothing, true, fmt.Errorf("the session cannot be made read-only: %w", err)
	}
	restore = func() error {
		if before != 0 {
			return nil
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sqlCleanTime)
		defer cancel()
		if _, err := conn.ExecContext(ctx, "PRAGMA query_only = OFF"); err != nil {
			// Nobody else may get a session that cannot write.
			_ = conn.Raw(func(any) error { return driver.ErrBadConn })
		}
		return nil
	}
	err = conn.QueryRowContext(ctx, "PRAGMA query_only").Scan(&now)
	if err == nil && now != 1 {
		err = errors.New("the session cannot be made read-only")
	}
	if err != nil {
		return nothing, true, errors.Join(err, restore())
	}
	return restore, true, nil
}

// collect reads rows up to the bounds, and closes them.
func (c SQLConfig) collect(rows *sql.Rows) (map[string]any, error) {
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	list, size, truncated := [][]any{}, 0, false
	for rows.Next() {
		values := make([]any, len(columns))
		targets := make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			return nil, err
		}
		for i := range values {
			values[i] = plainValue(values[i])
			size += sizeOf(values[i])
		}
		if truncated = len(list) == c.MaxRows || size > sqlBytesMax; truncated {
			break
		}
		list = append(list, values)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return map[string]any{"columns": columns, "rows": list, "row_count": len(list), "truncated": truncated}, nil
}

// plainValue is a database's value as JSON has it.
func plainValue(value any) any {
	switch v := value.(type) {
	case []byte:
		if utf8.Valid(v) {
			return string(v)
		}
		return base64.StdEncoding.EncodeToString(v)
	case time.Time:
		return v.Format(time.RFC3339Nano)
	}
	return value
}

func sizeOf(value any) int {
	if text, ok := value.(string); ok {
		return len(text)
	}
	return 8
}
