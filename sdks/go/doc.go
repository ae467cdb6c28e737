// Package joytoken is the client for a JoyToken gateway: chats, responses, messages and images, whole or streamed, with
// tools, and what the gateway says of each call: model, tier, cost, receipt.
//
//	client := joytoken.NewClient() // JOY_TOKEN_API_KEY, JOY_TOKEN_API_BASE_URL
//	answer, err := client.CreateChatCompletion(ctx, joytoken.ChatCompletionRequest{
//		Model:    joytoken.ModelAuto,
//		Messages: []joytoken.ChatMessage{{Role: "user", Content: "Hello!"}},
//	})
//
// Every paid call carries an Idempotency-Key, made once and kept over its retries, so that a retry never pays twice. A
// stream that is closed, or whose context ends, ends the call at the provider at once.
//
// A Client is safe for concurrent use. Its key is in no error, and in no text or JSON of the client.
package joytoken
