package toolkit_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"joytoken.example/sdk-go/agent"
	"joytoken.example/sdk-go/agent/toolkit"
)

// loopback lets a test reach its own servers.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

func fetch(config toolkit.HTTPFetchConfig, address string) (map[string]any, error) {
	result, err := run(toolkit.HTTPFetch(config), map[string]any{"url": address})
	page, _ := result.(map[string]any)
	return page, err
}

func TestAPageIsFetchedFromAnAllowedHost(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprint(w, request.Method, " ", strings.Repeat("x", 100), "\xff")
	}))
	defer server.Close()
	config := toolkit.HTTPFetchConfig{AllowedHosts: []string{"127.0.0.1"}, AllowedNetworks: loopback}
	page, err := fetch(config, server.URL+"/a?b=c")
	must(t, err)
	if page["status"] != 418 || page["content_type"] != "text/plain" || page["bytes"] != 105 || page["truncated"] != false ||
		!strings.HasPrefix(page["body"].(string), "GET xxx") || !strings.HasSuffix(page["body"].(string), "\ufffd") {
		t.Fatal(page)
	}
	config.MaxBytes = 10
	page, err = fetch(config, server.URL)
	must(t, err)
	if page["bytes"] != 10 || page["truncated"] != true || page["body"] != "GET xxxxxx" {
		t.Fatal(page)
	}
}

func TestWhatIsNotFetched(t *testing.T) {
	var reached atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer server.Close()
	port := server.URL[strings.LastIndex(server.URL, ":"):]
	hosts := []string{"127.0.0.1", "localhost", "[::1]", "::1", "::ffff:127.0.0.1", "0.0.0.0", "10.0.0.1", "169.254.169.254",
		"fd00:ec2::254", "64:ff9b::7f00:1", "100.100.100.200", "example.com:443"}
	table := []struct{ name, address, want string }{
		{"another host", "http://other.example/", `host "other.example" is not on the list`},
		{"a host with another end", "http://localhost.example/", "is not on the list"},
		{"another port", "http://example.com/", "is not on the list"},
		{"loopback", "http://127.0.0.1" + port, "the address 127.0.0.1 is not public"},
		{"a name of loopback", "http://localhost" + port, "is not public"},
		{"loopback of IPv6", "http://[::1]" + port, "the address ::1 is not public"},
		{"loopback, mapped", "http://[::ffff:127.0.0.1]" + port, "the address 127.0.0.1 is not public"},
		{"loopback by NAT64", "http://[64:ff9b::7f00:1]" + port, "is not public"},
		{"every address", "http://0.0.0.0" + port, "is not public"},
		{"private", "http://10.0.0.1/", "is not public"},
		{"metadata of a cloud", "http://169.254.169.254/latest/meta-data/", "is not public"},
		{"metadata by IPv6", "http://[fd00:ec2::254]/", "is not public"},
		{"metadata of another cloud", "http://100.100.100.200/", "is not public"},
		{"a file", "file:///etc/passwd", "only http and https"},
		{"no scheme", "127.0.0.1/", "only http and https"},
		{"a user name", "http://a:b@127.0.0.1" + port, "user name"},
		{"no host", "http:///x", "is not on the list"},
		{"no address", "http://[", "cannot be read"},
		{"a line end", "http://localhost/\r\nX: y", "cannot be read"},
		{"a long address", "http://localhost/" + strings.Repeat("x", 9000), "more than"},
	}
	for _, row := range table {
		page, err := fetch(toolkit.HTTPFetchConfig{AllowedHosts: hosts}, row.address)
		if err == nil || !strings.Contains(err.Error(), row.want) || !strings.HasPrefix(err.Error(), "http_fetch: ") {
			t.Errorf("%s: %v %v", row.name, page, err)
		}
	}
	if _, err := fetch(toolkit.HTTPFetchConfig{AllowedNetworks: loopback}, server.URL); err == nil {
		t.Error("an empty list allows a host")
	}
	if _, err := run(toolkit.HTTPFetch(toolkit.HTTPFetchConfig{}), map[string]any{}); err == nil ||
		err.Error() != `http_fetch: missing required argument "url"` {
		t.Error(err)
	}
	if reached.Load() != 0 {
		t.Fatal("the server was reached")
	}
}

// A name is looked up when it is connected to: what it meant before does not matter.
func TestANameThatChangesItsAddressLeadsNowhere(t *testing.T) {
	var reached atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer server.Close()
	// The caller's own way to connect would lead to the server, whatever the name; it is not taken.
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", server.Listener.Addr().String())
	}
	client := &http.Client{Transport: &http.Transport{DialContext: dial}}
	_, err := fetch(toolkit.HTTPFetchConfig{AllowedHosts: []string{"localhost"}, Client: client}, "http://localhost/")
	if err == nil || !strings.Contains(err.Error(), "is not public") || reached.Load() != 0 {
		t.Fatal(err, reached.Load())
	}
}

type fixed struct{ asked []string }

func (f *fixed) RoundTrip(request *http.Request) (*http.Response, error) {
	f.asked = append(f.asked, request.URL.Host)
	header := http.Header{"Location": {"http://other.example/"}}
	return &http.Response{StatusCode: http.StatusFound, Header: header, Body: http.NoBody, Request: request}, nil
}

func TestAWayToConnectOfTheCallersOwnIsHeldToTheHosts(t *testing.T) {
	way := &fixed{}
	config := toolkit.HTTPFetchConfig{AllowedHosts: []string{"Example.com", "127.0.0.1"}, Client: &http.Client{Transport: way}}
	for address, want := range map[string]string{
		"http://EXAMPLE.com./": "other.example", "http://127.0.0.1/": "is not public",
	} {
		if _, err := fetch(config, address); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", address, err)
		}
	}
	if len(way.asked) != 1 {
		t.Fatal(way.asked)
	}
}

func TestNoProxyOfTheEnvironmentConnects(t *testing.T) {
	var reached atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer proxy.Close()
	through, err := url.Parse(proxy.URL)
	must(t, err)
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(through)}}
	_, err = fetch(toolkit.HTTPFetchConfig{AllowedHosts: []string{"10.0.0.1", "localhost"}, Client: client}, "http://localhost/")
	if err == nil || reached.Load() != 0 {
		t.Fatal(err, reached.Load())
	}
}

func TestRedirectsAreHeldToTheSameRules(t *testing.T) {
	var reached atomic.Int32
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer inner.Close()
	innerPort := inner.URL[strings.LastIndex(inner.URL, ":"):]
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		var left int
		switch {
		case request.URL.Path == "/away":
			http.Redirect(w, request, "http://localhost"+innerPort, http.StatusFound)
		case request.URL.Path == "/metadata":
			http.Redirect(w, request, "http://169.254.169.254/", http.StatusFound)
		case request.URL.Path == "/file":
			http.Redirect(w, request, "file:///etc/passwd", http.StatusFound)
		default:
			if _, err := fmt.Sscanf(request.URL.Path, "/%d", &left); err == nil && left > 0 {
				http.Redirect(w, request, fmt.Sprintf("/%d", left-1), http.StatusFound)
				return
			}
			fmt.Fprint(w, "here")
		}
	}))
	defer server.Close()
	config := toolkit.HTTPFetchConfig{AllowedHosts: []string{"127.0.0.1", "169.254.169.254"}, AllowedNetworks: loopback}
	for path, want := range map[string]string{
		"/away": "is not on the list", "/metadata": "is not public", "/file": "only http and https", "/6": "more than 5 redirects",
	} {
		if page, err := fetch(config, server.URL+path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v %v", path, page, err)
		}
	}
	page, err := fetch(config, server.URL+"/5")
	must(t, err)
	if page["body"] != "here" || reached.Load() != 0 {
		t.Fatal(page, reached.Load())
	}
}

func TestARedirectFromHTTPSToHTTPIsRefused(t *testing.T) {
	var reached atomic.Int32
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer plain.Close()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		http.Redirect(w, request, plain.URL, http.StatusFound)
	}))
	defer server.Close()
	config := toolkit.HTTPFetchConfig{
		AllowedHosts: []string{"127.0.0.1"}, AllowedNetworks: loopback, Client: server.Client(),
	}
	if _, err := fetch(config, server.URL); err == nil || !strings.Contains(err.Error(), "from https to http") {
		t.Fatal(err)
	}
	if reached.Load() != 0 {
		t.Fatal("the redirect was followed")
	}
}

func TestAFetchThatTakesTooLongEnds(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		_, _ = io.WriteString(w, "the beginning")
		w.(http.Flusher).Flush()
		<-request.Context().Done()
	}))
	defer server.Close()
	config := toolkit.HTTPFetchConfig{
		AllowedHosts: []string{"127.0.0.1"}, AllowedNetworks: loopback, Timeout: 50 * time.Millisecond,
	}
	if _, err := fetch(config, server.URL); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	config.Timeout = time.Minute
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	tool := toolkit.HTTPFetch(config)
	if _, err := tool.Execute(ctx, map[string]any{"url": server.URL}, agent.ToolExecutionContext{}); err == nil {
		t.Fatal("the end of the context was not heeded")
	}
}
