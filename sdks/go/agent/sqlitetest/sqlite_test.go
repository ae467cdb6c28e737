// Package sqlitetest holds what is tested with a real SQLite, in a module of its own, so that the SDK needs no other.
package sqlitetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	_ "github.com/mattn/go-sqlite3"

	joytoken "joytoken.example/sdk-go"
	"joytoken.example/sdk-go/agent"
	"joytoken.example/sdk-go/agent/toolkit"
)

func open(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(t.TempDir(), "test.db")+"?_busy_timeout=5000")
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func query(tool agent.AgentTool, statement string) (map[string]any, error) {
	result, err := tool.Execute(context.Background(), map[string]any{"sql": statement}, agent.ToolExecutionContext{})
	fields, _ := result.(map[string]any)
	return fields, err
}

func TestAStatementThatReadsGivesColumnsAndRows(t *testing.T) {
	db := open(t)
	_, err := db.Exec("CREATE TABLE city (name TEXT, size INTEGER, data BLOB); INSERT INTO city VALUES ('Paris', 2, x'ff'), ('Rome', 3, NULL)")
	must(t, err)
	for _, readOnly := range []bool{true, false} {
		tool := toolkit.SQLQuery(toolkit.SQLConfig{DB: db, ReadOnly: readOnly, MaxRows: 2})
		result, err := query(tool, "SELECT name, size, data FROM city ORDER BY name")
		must(t, err)
		if fmt.Sprint(result) != "map[columns:[name size data] row_count:2 rows:[[Paris 2 /w==] [Rome 3 <nil>]] truncated:false]" {
			t.Fatal(result)
		}
		result, err = query(tool, "SELECT name FROM city UNION ALL SELECT name FROM city")
		must(t, err)
		if result["row_count"] != 2 || result["truncated"] != true {
			t.Fatal(result)
		}
	}
}

func TestAStatementThatWritesIsRefusedOrRun(t *testing.T) {
	db := open(t)
	_, err := db.Exec("CREATE TABLE city (name TEXT)")
	must(t, err)
	careful := toolkit.SQLQuery(toolkit.SQLConfig{DB: db, ReadOnly: true})
	for _, statement := range []string{
		"INSERT INTO city VALUES ('Oslo')", "SELECT 1; DELETE FROM city", "WITH a AS (SELECT 1) DELETE FROM city",
		"PRAGMA user_version = 7", "DROP TABLE city", "ATTACH ':memory:' AS other",
	} {
		if _, err := query(careful, statement); err == nil || err.Error() != "sql_query: only read-only statements are allowed" {
			t.Errorf("%s: %v", statement, err)
		}
	}
	if _, err := query(careful, " -- nothing"); err == nil || err.Error() != "sql_query: empty statement" {
		t.Error(err)
	}
	result, err := query(toolkit.SQLQuery(toolkit.SQLConfig{DB: db}), "INSERT INTO city VALUES ('Oslo'), ('Bern')")
	must(t, err)
	if fmt.Sprint(result) != "map[last_insert_id:2 read_only:false rows_affected:2]" {
		t.Fatal(result)
	}
}

// The session is a fence of its own: a function that writes passes for reading by its words.
func TestTheSessionCannotWriteWhateverTheStatementSays(t *testing.T) {
	db := open(t)
	db.SetMaxOpenConns(1)
	_, err := db.Exec("CREATE TABLE city (name TEXT)")
	must(t, err)
	tool := toolkit.SQLQuery(toolkit.SQLConfig{DB: db, ReadOnly: true})
	result, err := query(tool, "PRAGMA query_only")
	must(t, err)
	if fmt.Sprint(result["rows"]) != "[[1]]" {
		t.Fatal("the session can write:", result)
	}
	// The one session of the pool is as it was, also after a statement that failed.
	if _, err := query(tool, "SELECT * FROM nowhere"); err == nil {
		t.Fatal("no error")
	}
	_, err = db.Exec("INSERT INTO city VALUES ('Oslo')")
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := tool.Execute(ctx, map[string]any{"sql": "SELECT 1"}, agent.ToolExecutionContext{}); err == nil {
		t.Fatal("the end of the context was not heeded")
	}
	_, err = db.Exec("INSERT INTO city VALUES ('Bern')")
	must(t, err)
}

func TestRunsAreKeptInSQLite(t *testing.T) {
	db := open(t)
	store := agent.NewSQLiteStore(db)
	ctx := context.Background()
	if _, err := store.Load(ctx, "run-1"); !errors.Is(err, agent.ErrRunNotFound) {
		t.Fatal(err)
	}
	wipe := agent.RequireApproval(agent.AgentTool{
		Name: "wipe", Execute: func(context.Context, any, agent.ToolExecutionContext) (any, error) { return "wiped", nil },
	})
	options := agent.AgentOptions{Model: wiping{}, Tools: []agent.AgentTool{wipe}, Store: store}
	result, err := agent.New(options).RunWithOptions(ctx, agent.AgentRunOptions{
		Input: "Wipe it; it's fine <b>now</b>.", Run: &agent.RunOptions{ID: "run-1"},
	})
	must(t, err)
	if result.Status != agent.StatusPending {
		t.Fatalf("%+v", result)
	}
	options.Store = agent.NewSQLiteStore(db) // as another process would
	result, err = agent.New(options).Resume(ctx, "run-1", agent.ResumeOptions{
		Decisions: map[string]agent.Decision{"call_1": agent.Approve()},
	})
	must(t, err)
	if result.FinalText != "wiped" {
		t.Fatalf("%+v", result)
	}
	var rows int
	var state, updated string
	must(t, db.QueryRow("SELECT count(*), max(state), max(updated_at) FROM joytoken_run WHERE run_id = 'run-1'").
		Scan(&rows, &state, &updated))
	if rows != 1 || !strings.Contains(state, `"status":"done"`) || !strings.Contains(state, "<b>now</b>") ||
		!strings.HasSuffix(updated, "Z") {
		t.Fatal(rows, state, updated)
	}
	_, err = db.Exec("UPDATE joytoken_run SET state = '{}' WHERE run_id = 'run-1'")
	must(t, err)
	if _, err := store.Load(ctx, "run-1"); err == nil || !strings.Contains(err.Error(), "version") {
		t.Fatal(err)
	}
}

func TestManyRunsAreKeptAtOnce(t *testing.T) {
	store := agent.NewSQLiteStore(open(t))
	assistant := agent.New(agent.AgentOptions{Model: wiping{}, Store: store})
	var group sync.WaitGroup
	for range 8 {
		group.Add(1)
		go func() {
			defer group.Done()
			result, err := assistant.Run(context.Background(), "Go.")
			if err == nil {
				_, err = store.Load(context.Background(), result.RunID)
			}
			if err != nil {
				t.Error(err)
			}
		}()
	}
	group.Wait()
}

// wiping is a model that calls wipe, and then says what it returned.
type wiping struct{}

func (wiping) Complete(_ context.Context, request agent.ModelRequest) (agent.ModelResponse, error) {
	last := request.Messages[len(request.Messages)-1]
	message := joytoken.ChatMessage{Role: "assistant", Content: last.Content}
	if last.Role == "user" && len(request.Tools) > 0 {
		message = joytoken.ChatMessage{Role: "assistant", ToolCalls: []joytoken.ToolCall{{
			ID: "call_1", Type: "function", Function: joytoken.ToolFunction{Name: "wipe", Arguments: "{}"},
		}}}
	}
	return agent.ModelResponse{Message: message}, nil
}
