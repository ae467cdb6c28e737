module joytoken.example/sdk-go/agent/sqlitetest

go 1.23

require (
	github.com/mattn/go-sqlite3 v1.14.24
	joytoken.example/sdk-go v0.0.0
)

replace joytoken.example/sdk-go => ../..
