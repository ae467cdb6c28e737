package agent

import (
	"context"
	"errors"

	joytoken "joytoken.example/sdk-go"
)

// ModelProvider answers an agent.
type ModelProvider interface {
	Complete(ctx context.Context, request ModelRequest) (ModelResponse, error)
}

// StreamingProvider is a ModelProvider that can tell the text of an answer as it comes. One that cannot has its text told
// whole.
type StreamingProvider interface {
	ModelProvider
	// Stream answers as Complete does, and calls onText before it returns.
	Stream(ctx context.Context, request ModelRequest, onText func(delta string)) (ModelResponse, error)
}

// ModelRequest is what a provider is asked.
type ModelRequest struct {
	Messages []joytoken.ChatMessage
	// Tools is never nil; it is empty where the agent has none.
	Tools       []joytoken.ChatTool
	Temperature *float64
	MaxTokens   *int
	Tier        string
	Metadata    map[string]any

	// ToolChoice is the agent's, for the first call of a run; nil leaves it to the model.
	ToolChoice any
	// ResponseFormat asks for a final answer of a JSON Schema; nil: any text.
	ResponseFormat map[string]any
	// Run names the run and the number of this call in it.
	Run *joytoken.Run
	// IdempotencyKey is the same whenever this call of this run is made again.
	IdempotencyKey string
	// Durable says that the run is saved, so that this call may be made again by another process.
	Durable bool
}

// ModelResponse is a provider's answer.
type ModelResponse struct {
	Message joytoken.ChatMessage
	Usage   *joytoken.Usage
	// Raw is the provider's own answer.
	Raw any
	// Metadata is what the gateway said of the call, request_id and billing among it.
	Metadata map[string]any
}

// Protocol is how a JoyTokenProvider speaks.
type Protocol string

const (
	// OpenAIProtocol asks by chat completions.
	OpenAIProtocol Protocol = "openai"
	// AnthropicProtocol asks by messages.
	AnthropicProtocol Protocol = "anthropic"
)

// JoyTokenProvider is a model behind a JoyToken gateway.
type JoyTokenProvider struct {
	Client *joytoken.Client
	// Protocol is OpenAIProtocol where it is empty.
	Protocol Protocol
	// Model is joytoken.ModelAuto where it is empty.
	Model string
}

// ProviderOption is an option of NewJoyTokenProvider.
type ProviderOption func(*JoyTokenProvider)

// WithProtocol sets how the provider speaks.
func WithProtocol(protocol Protocol) ProviderOption {
	return func(p *JoyTokenProvider) { p.Protocol = protocol }
}

// WithModel names a model of the gateway's catalog, instead of "auto".
func WithModel(model string) ProviderOption {
	return func(p *JoyTokenProvider) { p.Model = model }
}

// NewJoyTokenProvider is the model that a client's gateway chooses, or the one that WithModel names.
func NewJoyTokenProvider(client *joytoken.Client, opts ...ProviderOption) *JoyTokenProvider {
	provider := &JoyTokenProvider{Client: client, Protocol: OpenAIProtocol, Model: joytoken.ModelAuto}
	for _, opt := range opts {
		if opt != nil {
			opt(provider)
		}
	}
	return provider
}

var (
	errNoClient  = errors.New("joytoken provider client is required")
	errNoMessage = errors.New("joytoken did not return a chat completion message")
)

// Complete asks the gateway once.
func (p *JoyTokenProvider) Complete(ctx context.Context, request ModelRequest) (ModelResponse, error) {
	return p.ask(ctx, request, nil)
}

// Stream asks the gateway once, by a stream.
func (p *JoyTokenProvider) Stream(
	ctx context.Context, request ModelRequest, onText func(delta string),
) (ModelResponse, error) {
	if onText == nil {
		onText = func(string) {}
	}
	return p.ask(ctx, request, onText)
}

// ask makes a call, streamed where onText is given.
func (p *JoyTokenProvider) ask(
	ctx context.Context, request ModelRequest, onText func(string),
) (ModelResponse, error) {
	if p == nil || p.Client == nil {
		return ModelResponse{}, errNoClient
	}
	ctx = request.governed(ctx, p.Client)
	if p.Protocol == AnthropicProtocol {
		return p.askMessages(ctx, request, onText)
	}
	return p.askChat(ctx, request, onText)
}

func (p *JoyTokenProvider) model() string {
	if p.Model == "" {
		return joytoken.ModelAuto
	}
	return p.Model
}

// governed puts on the context the call's names, and what becomes of it when nobody waits for it any more. A durable call
// is finished by the gateway, so that whoever resumes the run gets the answer that was paid for. Any other ends with its
// caller, unless the client would make it again and then wants that answer.
func (r ModelRequest) governed(ctx context.Context, client *joytoken.Client) context.Context {
	options := joytoken.CallOptions{IdempotencyKey: r.IdempotencyKey, Run: r.Run}
	switch {
	case r.Durable:
		options.OnDisconnect = joytoken.OnDisconnectFinish
	case client.MaxRetries(ctx) <= 0:
		options.OnDisconnect = joytoken.OnDisconnectStop
	}
	return joytoken.WithCall(ctx, options)
}

func (p *JoyTokenProvider) askChat(
	ctx context.Context, request ModelRequest, onText func(string),
) (ModelResponse, error) {
	wire := joytoken.ChatCompletionRequest{
		Model: p.model(), Messages: request.Messages, Temperature: request.Temperature, MaxTokens: request.MaxTokens,
		Tools: request.Tools, ToolChoice: request.ToolChoice, Tier: request.Tier, Metadata: request.Metadata,
	}
	if wire.Tools == nil {
		wire.Tools = []joytoken.ChatTool{}
	}
	if request.ResponseFormat != nil {
		wire.Extra = map[string]any{"response_format": request.ResponseFormat}
	}
	answer, err := p.chat(ctx, wire, onText)
	if err != nil {
		return ModelResponse{}, err
	}
	if len(answer.Choices) == 0 {
		return ModelResponse{}, errNoMessage
	}
	message := answer.Choices[0].Message
	if message.Role == "" {
		message.Role = "assistant"
	}
	return ModelResponse{Message: message, Usage: answer.Usage, Raw: answer, Metadata: answer.Metadata}, nil
}

func (p *JoyTokenProvider) chat(
	ctx context.Context, wire joytoken.ChatCompletionRequest, onText func(string),
) (*joytoken.ChatCompletionResponse, error) {
	if onText == nil {
		return p.Client.CreateChatCompletion(ctx, wire)
	}
	stream, err := p.Client.StreamChatCompletion(ctx, wire)
	if err != nil {
		return nil, err
	}
	return stream.Collect(onText)
}
