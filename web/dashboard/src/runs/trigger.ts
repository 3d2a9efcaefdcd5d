// Requests a run, with the scheduler token.
import { RefusedError, request } from "../api/request";
import { Store } from "../api/store";
import { TriggerEtl } from "./documents";

/** The scheduler token; it is only in the memory of this page. */
export const token = new Store("");

/** The id of the last request. */
export const lastRequest = new Store<string | null>(null);

/**
 * Request a run of some sources, or of all enabled ones for null. Throws the errors of `request`;
 * clears a token that was refused.
 */
export async function trigger(sources: string[] | null, full: boolean): Promise<void> {
  try {
    const { triggerEtl } = await request(TriggerEtl, { sources, full }, { token: token.get() });
    lastRequest.set(triggerEtl.request.id);
  } catch (error) {
    if (error instanceof RefusedError && error.code === "UNAUTHENTICATED") token.set("");
    throw error;
  }
}
