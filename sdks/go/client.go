package joytoken

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

const (
	defaultAPIBaseURL = "http://localhost:7410"
	defaultTimeout    = 60 * time.Second
	userAgent         = "joytoken-sdk-go/0.2.0"
)

// HTTPClient sends requests; *http.Client is one.
type HTTPClient interface {
	Do(*http.Request) (*http.Response, error)
}

// Client calls a gateway. Make one with NewClient; it is safe for concurrent use.
type Client struct {
	apiKey        secret
	apiBaseURL    string
	openAIBaseURL string
	httpClient    HTTPClient
	timeout       time.Duration
	maxRetries    int
	header        http.Header
	idempotency   bool
	tools         clientTools
	sleep         sleeper
}

// secret is a text that no verb of fmt and no encoder shows, wherever it is: what they meet is a pointer.
type secret struct{ value *string }

func newSecret(value string) secret {
	value = strings.TrimSpace(value)
	return secret{&value}
}

func (s secret) reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// NewClient makes a client from the environment (JOY_TOKEN_API_KEY, JOY_TOKEN_API_BASE_URL, JOY_TOKEN_OPENAI_BASE_URL) and
// options, applied in order. It never fails: what is missing or wrong is an error of the call that needs it.
func NewClient(opts ...Option) *Client {
	client := &Client{
		apiKey:      newSecret(os.Getenv("JOY_TOKEN_API_KEY")),
		httpClient:  &http.Client{},
		timeout:     defaultTimeout,
		header:      http.Header{},
		idempotency: true,
		tools:       clientTools{local: true},
		sleep:       sleepFor,
	}
	WithAPIBaseURL(firstText(strings.TrimSpace(os.Getenv("JOY_TOKEN_API_BASE_URL")), defaultAPIBaseURL))(client)
	if base := strings.TrimSpace(os.Getenv("JOY_TOKEN_OPENAI_BASE_URL")); base != "" {
		WithOpenAIBaseURL(base)(client)
	}
	for _, opt := range opts {
		if opt != nil {
			opt(client)
		}
	}
	return client
}

// String names the client by its address, without its key.
func (c Client) String() string { return fmt.Sprintf("joytoken.Client(%s)", c.openAIBaseURL) }

// Format writes String for every verb, so that no key or header shows.
func (c Client) Format(state fmt.State, _ rune) { fmt.Fprint(state, c.String()) }
