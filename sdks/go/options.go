package joytoken

import (
	"strings"
	"time"
)

// Option is a setting of NewClient.
type Option func(*Client)

// WithAPIKey sets the key; otherwise it is JOY_TOKEN_API_KEY.
func WithAPIKey(apiKey string) Option {
	return func(c *Client) { c.apiKey = newSecret(apiKey) }
}

// WithAPIBaseURL sets the gateway's address, and the OpenAI base to its /openai/v1; otherwise they are
// JOY_TOKEN_API_BASE_URL, then http://localhost:7410.
func WithAPIBaseURL(url string) Option {
	return func(c *Client) {
		c.apiBaseURL = trimmedURL(url)
		c.openAIBaseURL = c.apiBaseURL + "/openai/v1"
	}
}

// WithOpenAIBaseURL sets the address under which /chat/completions is, as it is given. Put it after WithAPIBaseURL.
func WithOpenAIBaseURL(url string) Option {
	return func(c *Client) { c.openAIBaseURL = trimmedURL(url) }
}

// WithAnthropicBaseURL does nothing: messages are sent as chats.
//
// Deprecated: leave it out.
func WithAnthropicBaseURL(string) Option { return func(*Client) {} }

// WithAnthropicVersion does nothing: messages are sent as chats.
//
// Deprecated: leave it out.
func WithAnthropicVersion(string) Option { return func(*Client) {} }

// WithHTTPClient sets what sends the requests; the default is &http.Client{}.
func WithHTTPClient(httpClient HTTPClient) Option {
	return func(c *Client) {
		if httpClient != nil {
			c.httpClient = httpClient
		}
	}
}

// WithTimeout bounds each attempt of a call, to the last byte of its body: a stream ends with it, too, however lively it
// is. The default is 60 seconds; 0 and less is no bound but the context's. CallOptions.Timeout sets it for one call.
func WithTimeout(timeout time.Duration) Option {
	return func(c *Client) { c.timeout = timeout }
}

// WithMaxRetries sets how many more attempts follow one that failed with 429, 5xx, 409 of the same Idempotency-Key under
// way, or no answer. Streams are attempted again only where nothing can have been paid: after such an answer or a refused
// connection. The default is 0.
func WithMaxRetries(retries int) Option {
	return func(c *Client) { c.maxRetries = max(retries, 0) }
}

// WithHeader adds a header to each request. It cannot replace the ones that the client sets itself: authentication,
// Accept, Content-Type and User-Agent.
func WithHeader(key, value string) Option {
	return func(c *Client) { setHeader(c.header, key, value) }
}

// WithIdempotency says whether paid calls carry an Idempotency-Key of their own. The default is true. A key that is given
// with CallOptions is sent in any case.
func WithIdempotency(on bool) Option {
	return func(c *Client) { c.idempotency = on }
}

// WithTools registers tools, which the Run methods declare and run. One with the name of another replaces it.
func WithTools(tools ...Tool) Option {
	return func(c *Client) {
		for _, tool := range tools {
			c.tools.register(tool)
		}
	}
}

// WithToolHandler registers one tool.
func WithToolHandler(name, description string, parameters map[string]any, execute ToolExecuteFunc) Option {
	return WithTools(Tool{Name: name, Description: description, Parameters: parameters, Execute: execute})
}

// WithDefaultLocalTools says whether the local tools are declared where neither request nor client has any. The default
// is true.
func WithDefaultLocalTools(on bool) Option {
	return func(c *Client) { c.tools.local = on }
}

// WithDefaultBuiltinTools says whether web_search_preview is declared beside them, in responses. The default is false.
func WithDefaultBuiltinTools(on bool) Option {
	return func(c *Client) { c.tools.builtin = on }
}

// WithoutDefaultTools leaves tools of these names out of the default ones; it can be given again.
func WithoutDefaultTools(names ...string) Option {
	return func(c *Client) { c.tools.excluded = append(c.tools.excluded, names...) }
}

// WithFileWorkspace sets the folder of the file tools; the default is the working directory.
func WithFileWorkspace(root string) Option {
	return func(c *Client) { c.tools.fileRoot = root }
}

// WithFilePermission asks this before file_write writes; without it file_write is declared and refuses.
func WithFilePermission(permission FilePermissionFunc) Option {
	return func(c *Client) { c.tools.filePermission = permission }
}

// WithShellWorkspace sets the folder in which shell runs commands; the default is the working directory.
func WithShellWorkspace(dir string) Option {
	return func(c *Client) { c.tools.shellDir = dir }
}

// WithShellPermission asks this before shell runs a command; without it shell is declared and refuses.
func WithShellPermission(permission ShellPermissionFunc) Option {
	return func(c *Client) { c.tools.shellPermission = permission }
}

func trimmedURL(url string) string { return strings.TrimRight(strings.TrimSpace(url), "/") }
