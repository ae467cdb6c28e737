/** Every type of the wire and of the options, as the package exports them. */
export type * from "./types/account.js";
export type * from "./types/catalog.js";
export type * from "./types/chat.js";
export type * from "./types/error.js";
export type * from "./types/images.js";
export type * from "./types/messages.js";
export type * from "./types/metadata.js";
export type * from "./types/model.js";
export type * from "./types/options.js";
export type * from "./types/orchestration.js";
export type * from "./types/responses.js";
export type * from "./types/tool.js";
