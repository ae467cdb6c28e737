import type { PendingCall } from "./state.js";

/** A child run that waits for decisions: its parent waits, too. */
export class ChildWaits extends Error {
  readonly pending: PendingCall[];

  constructor(pending: PendingCall[]) {
    super("the sub-agent waits for an approval");
    this.pending = pending;
  }
}
