/** The version of this package. */
export const VERSION = "0.2.0";

/** How this package names itself to the gateway. */
export const USER_AGENT = `joytoken-client-sdk-ts/${VERSION}`;
