package joytoken

import "encoding/json"

// ImageGenerationRequest asks for images.
type ImageGenerationRequest struct {
	Model   string `json:"model"`
	Prompt  string `json:"prompt"`
	N       *int   `json:"n,omitempty"`
	Quality string `json:"quality,omitempty"`
	// ResponseFormat is url or b64_json.
	ResponseFormat    string `json:"response_format,omitempty"`
	Size              string `json:"size,omitempty"`
	Style             string `json:"style,omitempty"`
	User              string `json:"user,omitempty"`
	Background        string `json:"background,omitempty"`
	Moderation        string `json:"moderation,omitempty"`
	OutputCompression *int   `json:"output_compression,omitempty"`
	OutputFormat      string `json:"output_format,omitempty"`
	// Extra has further fields of the request. A field that this struct has is refused.
	Extra map[string]any `json:"-"`
}

// MarshalJSON adds Extra.
func (r ImageGenerationRequest) MarshalJSON() ([]byte, error) {
	type plain ImageGenerationRequest
	return marshalWithExtra(plain(r), r.Extra)
}

// GeneratedImage is one image: an address, or its bytes in base64.
type GeneratedImage struct {
	URL           string `json:"url,omitempty"`
	B64JSON       string `json:"b64_json,omitempty"`
	RevisedPrompt string `json:"revised_prompt,omitempty"`
}

// ImageGenerationResponse is the answer to an ImageGenerationRequest.
type ImageGenerationResponse struct {
	Created  int64            `json:"created,omitempty"`
	Data     []GeneratedImage `json:"data"`
	Metadata map[string]any   `json:"metadata,omitempty"`
}

// UnmarshalJSON reads the answer; metadata may be an object or rows.
func (r *ImageGenerationResponse) UnmarshalJSON(data []byte) error {
	type plain ImageGenerationResponse
	wire := struct {
		*plain
		Metadata json.RawMessage `json:"metadata"`
	}{plain: (*plain)(r)}
	if err := json.Unmarshal(data, &wire); err != nil {
		return err
	}
	r.Metadata, _ = readMetadata(wire.Metadata)
	return nil
}
