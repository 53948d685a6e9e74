module gridsignal/follow

go 1.23

require github.com/coder/websocket v1.8.15 // a WebSocket is not in Go's library; this one has no dependency of its own
