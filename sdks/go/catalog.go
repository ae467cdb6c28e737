package joytoken

import (
	"context"
	"errors"
	"net/http"
	"net/url"
)

// ListModels is the catalog. It needs no key, and sends one that is there.
func (c *Client) ListModels(ctx context.Context) (*ModelListResponse, error) {
	return c.ListModelsWithOptions(ctx, ListModelsOptions{})
}

// ListModelsWithOptions is ListModels in a language.
func (c *Client) ListModelsWithOptions(ctx context.Context, options ListModelsOptions) (*ModelListResponse, error) {
	path := "/api/v1/models"
	switch options.Locale {
	case "":
	case ModelLocaleZH, ModelLocaleEN:
		path += "?locale=" + string(options.Locale)
	default:
		return nil, errors.New(`joytoken: model locale must be "zh" or "en"`)
	}
	return get[ModelListResponse](ctx, c, path, true)
}

// GetModelMeta is what the catalog can be filtered by.
func (c *Client) GetModelMeta(ctx context.Context) (*ModelMetadataResponse, error) {
	return get[ModelMetadataResponse](ctx, c, "/api/v1/models/meta", false)
}

// GetPricing is the price list.
func (c *Client) GetPricing(ctx context.Context) (*PricingResponse, error) {
	return get[PricingResponse](ctx, c, "/api/v1/pricing", false)
}

// GetReceipt is the receipt of a request that this key paid, by its CallMetadata().RequestID. It is there within a moment
// of the answer.
func (c *Client) GetReceipt(ctx context.Context, requestID string) (*Receipt, error) {
	if requestID == "" {
		return nil, errors.New("joytoken: requestID is empty; CallMetadata().RequestID has it")
	}
	return get[Receipt](ctx, c, "/api/v1/requests/"+url.PathEscape(requestID), false)
}

// GetKey is what the client's own key may do, has spent, and can spend.
func (c *Client) GetKey(ctx context.Context) (*KeyInfo, error) {
	return get[KeyInfo](ctx, c, "/api/v1/key", false)
}

// GetRun is a run of this key's owner, with the runs below it and their requests.
func (c *Client) GetRun(ctx context.Context, runID string) (*RunTree, error) {
	if runID == "" {
		return nil, errors.New("joytoken: runID is empty")
	}
	return get[RunTree](ctx, c, "/api/v1/runs/"+url.PathEscape(runID), false)
}

func get[T any](ctx context.Context, c *Client, path string, keyless bool) (*T, error) {
	answer := new(T)
	call := callSpec{
		method: http.MethodGet, url: c.apiBaseURL + path, keyless: keyless, options: callOptions(ctx),
	}
	_, err := c.doJSON(ctx, call, answer)
	if err != nil {
		return nil, err
	}
	return answer, nil
}
