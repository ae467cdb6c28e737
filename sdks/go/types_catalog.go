package joytoken

import (
	"bytes"
	"encoding/json"
)

// ModelLocale is a language of the catalog's descriptions.
type ModelLocale string

const (
	// ModelLocaleZH is Chinese.
	ModelLocaleZH ModelLocale = "zh"
	// ModelLocaleEN is English, the default.
	ModelLocaleEN ModelLocale = "en"
)

// ListModelsOptions chooses how the catalog is described.
type ListModelsOptions struct {
	// Locale is empty, zh or en.
	Locale ModelLocale
}

// ModelListResponse is the catalog.
type ModelListResponse struct {
	Code    int           `json:"code,omitempty"`
	Message string        `json:"message,omitempty"`
	Object  string        `json:"object,omitempty"`
	Data    ModelListData `json:"data"`
}

// ModelListData holds the catalog's models.
type ModelListData struct {
	Models []ModelInfo `json:"models"`
}

// UnmarshalJSON reads {"models": […]}, a plain list, or null.
func (d *ModelListData) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")) {
		return json.Unmarshal(data, &d.Models)
	}
	type plain ModelListData
	return json.Unmarshal(data, (*plain)(d))
}

// ModelInfo is a model of the catalog. Prices are credits for a million tokens; of images they are decimal texts.
type ModelInfo struct {
	ModelID                      string   `json:"modelId,omitempty"`
	ModelKey                     string   `json:"modelKey,omitempty"`
	DisplayName                  string   `json:"displayName,omitempty"`
	Alias                        string   `json:"alias,omitempty"`
	Tier                         string   `json:"tier,omitempty"`
	Tags                         []string `json:"tags,omitempty"`
	Description                  string   `json:"description,omitempty"`
	CustomerInputMtok            float64  `json:"customerInputMtok,omitempty"`
	CustomerOutputMtok           float64  `json:"customerOutputMtok,omitempty"`
	CustomerCachereadMtok        float64  `json:"customerCachereadMtok,omitempty"`
	CustomerCachewriteMtok       float64  `json:"customerCachewriteMtok,omitempty"`
	CustomerImageInputMtok       string   `json:"customerImageInputMtok,omitempty"`
	CustomerImageOutputMtok      string   `json:"customerImageOutputMtok,omitempty"`
	CustomerImageCachedInputMtok string   `json:"customerImageCachedInputMtok,omitempty"`
	Provider                     string   `json:"provider,omitempty"`
	FeatureTags                  []string `json:"featureTags,omitempty"`
	ScenarioTags                 []string `json:"scenarioTags,omitempty"`
	// MCIScore is on a scale of 100.
	MCIScore float64 `json:"mciScore,omitempty"`
}

// CatalogOption is a value that the catalog can be filtered by, and its label.
type CatalogOption struct {
	Value string `json:"value"`
	Label string `json:"label"`
}

// ModelMetadata is what the catalog can be filtered by.
type ModelMetadata struct {
	Tiers         []CatalogOption `json:"tiers"`
	SKUs          []CatalogOption `json:"skus"`
	FeatureTags   []CatalogOption `json:"featureTags"`
	IndustryPacks []CatalogOption `json:"industryPacks"`
	Providers     []CatalogOption `json:"providers"`
	UpdatedAt     string          `json:"updatedAt"`
}

// ModelMetadataResponse holds ModelMetadata.
type ModelMetadataResponse struct {
	Code    int           `json:"code"`
	Data    ModelMetadata `json:"data"`
	Message string        `json:"message"`
}

// PricingTier is what a credit of a tier is worth. Money is decimal texts.
type PricingTier struct {
	Code          string `json:"code"`
	Name          string `json:"name"`
	Description   string `json:"description"`
	USDPerCredit  string `json:"usdPerCredit"`
	CreditsPerUSD string `json:"creditsPerUsd"`
	Unit          string `json:"unit"`
	RateVersion   string `json:"rateVersion"`
	SortOrder     int    `json:"sortOrder"`
	UpdatedAt     string `json:"updatedAt"`
}

// PricingSKU is something that is sold.
type PricingSKU struct {
	Code        string `json:"code"`
	Name        string `json:"name"`
	Description string `json:"description"`
}

// Pricing is the price list.
type Pricing struct {
	Tiers          []PricingTier `json:"tiers"`
	SKUs           []PricingSKU  `json:"skus"`
	CurrentVersion string        `json:"currentVersion"`
	UpdatedAt      string        `json:"updatedAt"`
}

// PricingResponse holds Pricing.
type PricingResponse struct {
	Code    int     `json:"code"`
	Data    Pricing `json:"data"`
	Message string  `json:"message"`
}
