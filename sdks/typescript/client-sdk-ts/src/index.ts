/** The client of a JoyToken gateway. */
export type * from "./types.js";
