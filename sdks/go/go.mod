module joytoken.example/sdk-go

go 1.23
