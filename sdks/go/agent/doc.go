// Package agent is a model loop with tools: it asks a model, runs the tools that it calls, and asks again, until the model
// answers without calling any.
//
//	assistant := agent.New(agent.AgentOptions{
//		Model: agent.NewJoyTokenProvider(joytoken.NewClient()),
//		Tools: []agent.AgentTool{weather},
//	})
//	result, err := assistant.Run(ctx, "What is the weather in Paris?")
//
// Every model call carries the run's id and its own number in the run, so that the gateway holds the run to its budget
// and shows it as a whole. Where the gateway refuses for money or policy the run ends with StoppedBy and without an error.
// Tools that need an approval pause the run. With a RunStore a run is saved after each step, and another process goes on
// where it was; what was paid for before a crash is not paid again.
package agent
