package toolkit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"joytoken.example/sdk-go/agent"
)

const (
	// DefaultHTTPTimeout is how long a fetch may take, redirects and body included.
	DefaultHTTPTimeout = 15 * time.Second
	// DefaultHTTPMaxBytes is how much of a body is read.
	DefaultHTTPMaxBytes = 1 << 20

	redirectsMax    = 5
	urlBytesMax     = 8 << 10
	headerBytesMax  = 64 << 10
	fetchedUserName = "joytoken-agent-go"
)

// HTTPFetchConfig is what the tool http_fetch may reach.
type HTTPFetchConfig struct {
	// AllowedHosts are the only hosts, without regard to case; an entry with a port allows that port only. Empty: none.
	AllowedHosts []string
	// Timeout is DefaultHTTPTimeout where it is 0.
	Timeout time.Duration
	// MaxBytes is DefaultHTTPMaxBytes where it is 0.
	MaxBytes int64
	// Client sends the requests; nil: one of the tool's own. Of a client with an *http.Transport the transport is copied,
	// and it connects by the tool's rules and not by a proxy. Another RoundTripper connects as it likes.
	Client *http.Client
	// AllowedNetworks are addresses that may be reached although they are not public, such as 10.1.2.0/24. Without it a
	// host that leads to a private, local or otherwise special address is refused, whatever its name.
	AllowedNetworks []netip.Prefix
}

// HTTPFetch is a tool that gets a page from the allowed hosts, by http or https. Every redirect is held to the same rules,
// at most 5 are followed, and none from https to http. Addresses are checked when they are connected to, so that a name
// that changes its address leads nowhere else.
func HTTPFetch(config HTTPFetchConfig) agent.AgentTool {
	fetcher := newFetcher(config)
	return agent.AgentTool{
		Name:        "http_fetch",
		Description: "Get a page by http or https, from the hosts that are allowed.",
		Parameters: map[string]any{
			"type":       "object",
			"properties": map[string]any{"url": map[string]any{"type": "string", "description": "The address."}},
			"required":   []string{"url"},
		},
		Execute: func(ctx context.Context, input any, _ agent.ToolExecutionContext) (any, error) {
			address, err := textArgument(input, "url")
			if err == nil {
				var page map[string]any
				if page, err = fetcher.fetch(ctx, address); err == nil {
					return page, nil
				}
			}
			return nil, fmt.Errorf("http_fetch: %w", err)
		},
	}
}

// textArgument reads a text of a tool's input, which must be there.
func textArgument(input any, name string) (string, error) {
	fields, _ := input.(map[string]any)
	value, there := fields[name]
	if !there {
		return "", fmt.Errorf("missing required argument %q", name)
	}
	text, ok := value.(string)
	if !ok {
		return "", fmt.Errorf("argument %q must be a string", name)
	}
	return text, nil
}

type fetcher struct {
	config HTTPFetchConfig
	client *http.Client
}

func newFetcher(config HTTPFetchConfig) *fetcher {
	if config.Timeout <= 0 {
		config.Timeout = DefaultHTTPTimeout
	}
	if config.MaxBytes <= 0 {
		config.MaxBytes = DefaultHTTPMaxBytes
	}
	f := &fetcher{config: config}
	f.client = &http.Client{CheckRedirect: f.checkRedirect, Transport: f.transport()}
	return f
}

// transport connects to checked addresses alone.
func (f *fetcher) transport() http.RoundTripper {
	var transport *http.Transport
	switch given := f.given().(type) {
	case nil:
		transport = &http.Transport{ForceAttemptHTTP2: true}
	case *http.Transport:
		transport = given.Clone()
	default:
		return given
	}
	dialer := &net.Dialer{Timeout: f.config.Timeout, Control: f.checkConnection}
	transport.DialContext = dialer.DialContext
	transport.Dial, transport.DialTLS, transport.DialTLSContext, transport.Proxy = nil, nil, nil, nil
	transport.DisableKeepAlives = true // a page is got once, and nothing is left open
	transport.MaxResponseHeaderBytes = headerBytesMax
	return transport
}

func (f *fetcher) given() http.RoundTripper {
	if f.config.Client == nil {
		return nil
	}
	return f.config.Client.Transport
}

// checkConnection is asked with the address that is about to be connected to, after its name was looked up.
func (f *fetcher) checkConnection(_, address string, _ syscall.RawConn) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("the address %q cannot be checked", address)
	}
	return f.checkAddress(target.Addr())
}

func (f *fetcher) checkAddress(address netip.Addr) error {
	plain := address.Unmap().WithZone("")
	for _, network := range f.config.AllowedNetworks {
		if network.Contains(plain) {
			return nil
		}
	}
	if address.Zone() != "" || !isPublic(plain) {
		return fmt.Errorf("the address %s is not public", plain)
	}
	return nil
}

func (f *fetcher) checkRedirect(request *http.Request, via []*http.Request) error {
	if len(via) > redirectsMax {
		return fmt.Errorf("more than %d redirects", redirectsMax)
	}
	if via[len(via)-1].URL.Scheme == "https" && request.URL.Scheme != "https" {
		return errors.New("a redirect from https to http is not followed")
	}
	request.Header.Del("Referer")
	return f.checkURL(request.URL)
}

func (f *fetcher) checkURL(target *url.URL) error {
	switch {
	case target.Scheme != "http" && target.Scheme != "https":
		return fmt.Errorf("only http and https are fetched, not %q", target.Scheme)
	case target.User != nil:
		return errors.New("an address with a user name is not fetched")
	case !f.allowed(target):
		return fmt.Errorf("host %q is not on the list of allowed hosts", target.Host)
	}
	if literal, err := netip.ParseAddr(target.Hostname()); err == nil {
		return f.checkAddress(literal)
	}
	return nil
}

func (f *fetcher) allowed(target *url.URL) bool {
	name := strings.TrimSuffix(strings.ToLower(target.Hostname()), ".")
	port := target.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[target.Scheme]
	}
	for _, entry := range f.config.AllowedHosts {
		entry = strings.ToLower(strings.TrimSpace(entry))
		if entry != "" && name != "" && (entry == name || entry == net.JoinHostPort(name, port)) {
			return true
		}
	}
	return false
}

func (f *fetcher) fetch(ctx context.Context, address string) (map[string]any, error) {
	if len(address) > urlBytesMax {
		return nil, fmt.Errorf("the address has more than %d bytes", urlBytesMax)
	}
	target, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("the address cannot be read")
	}
	if err := f.checkURL(target); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, f.config.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, errors.New("the address cannot be read")
	}
	request.Header.Set("User-Agent", fetchedUserName)
	response, err := f.client.Do(request)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, f.config.MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("the body could not be read: %w", err)
	}
	truncated := int64(len(data)) > f.config.MaxBytes
	if truncated {
		data = data[:f.config.MaxBytes]
	}
	return map[string]any{
		"status": response.StatusCode, "content_type": response.Header.Get("Content-Type"),
		"body": strings.ToValidUTF8(string(data), "\ufffd"), "bytes": len(data), "truncated": truncated,
	}, nil
}
