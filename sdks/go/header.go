package joytoken

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
)

// setHeader keeps the name as it was given where that is no header's name, so that checkHeader can refuse it later.
func setHeader(header http.Header, name, value string) {
	if validHeaderName(name) {
		header.Set(name, value)
		return
	}
	header[name] = []string{value}
}

// requestHeader is what a request carries, in rising precedence: default headers, those of the call, the SDK's own, and
// last authentication.
func (c *Client) requestHeader(call callSpec) (http.Header, error) {
	if err := call.checkGoverned(); err != nil {
		return nil, err
	}
	header := c.header.Clone()
	for name, value := range call.options.Headers {
		setHeader(header, name, value)
	}
	accept := "application/json"
	if call.stream {
		accept = "text/event-stream"
	}
	header.Set("Accept", accept)
	header.Set("Content-Type", "application/json")
	header.Set("User-Agent", userAgent)
	if call.paid {
		c.setPaidHeader(header, call)
	}
	header.Del("X-Api-Key")
	header.Del("Authorization")
	if key := c.apiKey.reveal(); key != "" {
		header.Set("Authorization", "Bearer "+key)
	}
	for name, values := range header {
		for _, value := range values {
			if err := checkHeader(name, value); err != nil {
				return nil, err
			}
		}
	}
	return header, nil
}

// setPaidHeader adds what a model call carries.
func (c *Client) setPaidHeader(header http.Header, call callSpec) {
	switch {
	case call.options.IdempotencyKey != "":
		header.Set("Idempotency-Key", call.options.IdempotencyKey)
	case c.idempotency && header.Get("Idempotency-Key") == "":
		header.Set("Idempotency-Key", randomUUID())
	}
	onDisconnect := call.options.OnDisconnect
	if onDisconnect == "" && call.stream && header.Get("X-JoyToken-On-Disconnect") == "" {
		onDisconnect = OnDisconnectStop
	}
	if onDisconnect != "" {
		header.Set("X-JoyToken-On-Disconnect", string(onDisconnect))
	}
	for name, value := range call.options.Run.header() {
		header.Set(name, value)
	}
}

// header is the run's headers; those without a value are not sent.
func (r *Run) header() map[string]string {
	header := map[string]string{}
	if r == nil {
		return header
	}
	for name, value := range map[string]string{
		"X-JoyToken-Run-Id": r.ID, "X-JoyToken-Parent-Run-Id": r.ParentID, "X-JoyToken-Workflow": r.Workflow,
		"X-JoyToken-Step": r.Step, "X-JoyToken-Run-Budget": r.Budget,
	} {
		if value != "" {
			header[name] = value
		}
	}
	return header
}

// checkGoverned refuses names that the gateway would refuse.
func (call callSpec) checkGoverned() error {
	if key := call.options.IdempotencyKey; key != "" && !visibleASCII(key, 255) {
		return fmt.Errorf("joytoken: IdempotencyKey must be 1 to 255 visible ASCII characters without spaces")
	}
	header := call.options.Run.header()
	for name, value := range header {
		if !visibleASCII(value, 128) {
			return fmt.Errorf("joytoken: %s must be 1 to 128 visible ASCII characters without spaces", name)
		}
	}
	if len(header) > 0 && call.options.Run.ID == "" {
		return fmt.Errorf("joytoken: Run needs an ID")
	}
	switch call.options.OnDisconnect {
	case "", OnDisconnectStop, OnDisconnectFinish:
		return nil
	}
	return fmt.Errorf("joytoken: OnDisconnect must be %q or %q", OnDisconnectStop, OnDisconnectFinish)
}

// checkHeader refuses what could end a header early, naming the header and never its value.
func checkHeader(name, value string) error {
	if !validHeaderName(name) {
		return fmt.Errorf("joytoken: header name %q is not valid", name)
	}
	for i := range len(value) {
		if c := value[i]; (c < ' ' && c != '\t') || c == 0x7f {
			return fmt.Errorf("joytoken: header %s has a control character in its value", name)
		}
	}
	return nil
}

func validHeaderName(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return name != ""
}

func visibleASCII(value string, max int) bool {
	for i := range len(value) {
		if value[i] <= ' ' || value[i] > '~' {
			return false
		}
	}
	return value != "" && len(value) <= max
}

// randomUUID is a UUID of version 4.
func randomUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
