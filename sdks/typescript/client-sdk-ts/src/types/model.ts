/** `"auto"`, which lets the gateway choose by price and tier, or the name of a model. */
export type JoyTokenModel = "auto" | (string & {});

/** The shape in which a model is called. */
export type JoyTokenProtocol = "chat" | "responses" | "messages";
