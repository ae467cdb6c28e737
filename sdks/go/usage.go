package joytoken

// completeUsage is the protocol's usage, else what the metadata says; a total of 0 is filled.
func completeUsage(usage *Usage, metadata map[string]any, rows []OrchestrationTaskMeta) *Usage {
	if usage == nil {
		input, output, known := billedTokens(metadata, rows)
		if !known {
			return nil
		}
		usage = &Usage{PromptTokens: input, CompletionTokens: output}
	}
	if usage.TotalTokens == 0 {
		usage.TotalTokens = usage.PromptTokens + usage.CompletionTokens
	}
	return usage
}

func completeResponseUsage(usage *ResponseUsage, metadata map[string]any, rows []OrchestrationTaskMeta) *ResponseUsage {
	if usage == nil {
		input, output, known := billedTokens(metadata, rows)
		if !known {
			return nil
		}
		usage = &ResponseUsage{InputTokens: input, OutputTokens: output}
	}
	if usage.TotalTokens == 0 {
		usage.TotalTokens = usage.InputTokens + usage.OutputTokens
	}
	return usage
}

// billedTokens are the tokens that metadata.billing says, or the sum over an orchestrated answer's rows.
func billedTokens(metadata map[string]any, rows []OrchestrationTaskMeta) (input, output int, known bool) {
	if rows != nil {
		for _, row := range rows {
			if row.Billing != nil && row.Billing.known {
				input, output, known = input+row.Billing.InputTokens, output+row.Billing.OutputTokens, true
			}
		}
		return input, output, known
	}
	billing, _ := metadata["billing"].(map[string]any)
	in, out := tokenCount(billing["input_tokens"]), tokenCount(billing["output_tokens"])
	if in != nil {
		input = *in
	}
	if out != nil {
		output = *out
	}
	return input, output, in != nil || out != nil
}
