// The protocol by hand, in Go: what schemas/PROTOCOL.md says, and nothing else.
//
// It follows dispatch for one site, keeps the last cursor, comes back with it after a break, offers 2 MW on each request
// and accepts each order. Ids follow from what they answer, so that a restart repeats what was said.
// It keeps no outbox: a receipt that is lost with the connection leaves it in doubt until it says the same again.
//
//	GRIDSIGNAL_URL=ws://127.0.0.1:8081 GRIDSIGNAL_TOKEN=... go run .
package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

type object = map[string]any

const quiet = 16 * time.Second // a subscription is never silent for longer

var (
	url    = cmp.Or(os.Getenv("GRIDSIGNAL_URL"), "ws://127.0.0.1:8081") + "/v1/stream"
	site   = cmp.Or(os.Getenv("GRIDSIGNAL_SITE"), "fra-1")
	zone   = cmp.Or(os.Getenv("GRIDSIGNAL_ZONE"), "DE-LU")
	cursor any // of the last message that was taken
)

func idOf(parts ...any) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(fmt.Sprint(parts...))))[:32]
}

func offer(request object) object {
	option := object{
		"option": "o1", "power_w": 2_000_000, "starts_at": request["starts_at"], "ends_at": request["ends_at"],
		"price_per_mwh": "75.5", "notice_s": 0, "full_activation_s": request["full_activation_s"],
		"ramp_down_w_per_min": 2_000_000, "ramp_up_w_per_min": 2_000_000, "min_duration_s": 0,
		"max_duration_s": 86_400, "divisible": true, "min_power_w": 0,
	}
	return object{"t": "offer", "offer_id": idOf(request["request_id"], request["revision"]), "body": object{
		"revision": 1, "request_id": request["request_id"], "request_revision": request["revision"],
		"options": []object{option}, "flexibility": object{"kind": "SHED", "workload": "BATCH"},
		"expires_at": request["ends_at"], // standby until it is over
	}}
}

func acceptance(order object) object {
	return object{"t": "respond", "response_id": idOf(order["order_id"], order["revision"], "ACCEPTED"), "body": object{
		"request_id": order["request_id"], "order_id": order["order_id"], "revision": order["revision"],
		"response": "ACCEPTED", "actor": "by-hand", "reason_code": "", "reason": "", "at": time.Now().UTC(),
	}}
}

// answerTo says what came, and returns the frame that answers it, or nil.
func answerTo(frame object) object {
	body, _ := frame["body"].(object)
	switch {
	case frame["t"] == "subscribed":
		fmt.Println("recovery", frame["recovery"])
	case frame["t"] == "received" && frame["response_id"] != nil:
		fmt.Printf("the log has answer %v: the site may start\n", frame["response_id"])
	case frame["t"] == "received":
		fmt.Println("the log has offer", frame["offer_id"])
	case frame["t"] == "refused" || frame["t"] == "error":
		fmt.Println(frame["t"], frame["code"], frame["details"])
	case frame["type"] == "DispatchRequest":
		fmt.Printf("asked for %.0f W\n", body["power_w"])
		return offer(body)
	case frame["type"] == "DispatchOrder":
		fmt.Printf("order %v is %v, %.0f W until %v\n", body["order_id"], body["state"], body["power_w"], body["ends_at"])
		if slices.Contains([]any{"ISSUED", "RECEIVED"}, body["state"]) {
			return acceptance(body)
		}
	}
	return nil
}

// stay: a token follows no redirect.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// follow connects once, and returns why the connection has ended.
func follow(ctx context.Context) error {
	socket, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{
		Subprotocols: []string{"gridsignal.v1.json"},
		HTTPHeader:   http.Header{"Authorization": {"Bearer " + os.Getenv("GRIDSIGNAL_TOKEN")}},
		HTTPClient:   &http.Client{CheckRedirect: stay},
	})
	if err != nil {
		return err
	}
	defer socket.CloseNow()
	socket.SetReadLimit(4 << 20)
	id := 0
	send := func(frame object) {
		id++
		frame["id"] = id
		_ = wsjson.Write(ctx, socket, frame) // if it fails, so does the next read
	}
	send(object{"t": "hello", "client": "by-hand-go/1.0", "site": site})
	subscribe := object{"t": "subscribe", "stream": "dispatch", "filter": object{"zones": []string{zone}}, "snapshot": true}
	if cursor != nil {
		subscribe["cursor"] = cursor
	}
	send(subscribe)
	for {
		var frame object
		patient, done := context.WithTimeout(ctx, quiet)
		err := wsjson.Read(patient, socket, &frame) // answers pings, too
		done()
		if err != nil {
			return err
		}
		if frame["cursor"] != nil {
			cursor = frame["cursor"] // moved before the message is used
		}
		if answer := answerTo(frame); answer != nil {
			send(answer)
		}
	}
}

func main() {
	for {
		err := follow(context.Background())
		fmt.Println(err)
		if websocket.CloseStatus(err) >= 4500 {
			return // stay away
		}
		time.Sleep(time.Duration(rand.IntN(500)) * time.Millisecond)
	}
}
