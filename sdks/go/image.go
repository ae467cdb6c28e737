package joytoken

import (
	"context"
	"errors"
	"strings"
)

// GenerateImage asks for images.
func (c *Client) GenerateImage(
	ctx context.Context, request ImageGenerationRequest,
) (*ImageGenerationResponse, error) {
	if err := checkModel(request.Model); err != nil {
		return nil, err
	}
	if strings.TrimSpace(request.Prompt) == "" {
		return nil, errors.New("joytoken: Prompt is empty; say what the image shows")
	}
	call, err := c.modelCall(ctx, "/images/generations", request, false)
	if err != nil {
		return nil, err
	}
	answer := &ImageGenerationResponse{}
	header, err := c.doJSON(ctx, call, answer)
	if err != nil {
		return nil, err
	}
	answer.Metadata = withRequestID(answer.Metadata, header)
	return answer, nil
}
