// Asking for a run, and the token that it needs.
import { RefusedError, request } from "../api/request";
import { Store } from "../api/store";
import { TriggerEtl } from "./documents";

/** The scheduler token: in this page's memory and nowhere else, gone when the page is. */
export const token = new Store("");

/** The request that was made last, by its id. */
export const lastRequest = new Store<string | null>(null);

/** Ask for a run of some sources; all enabled ones for null. Throws what `request` throws; a refused token is forgotten. */
export async function trigger(sources: string[] | null, full: boolean): Promise<void> {
  try {
    const { triggerEtl } = await request(TriggerEtl, { sources, full }, { token: token.get() });
    lastRequest.set(triggerEtl.request.id);
  } catch (error) {
    if (error instanceof RefusedError && error.code === "UNAUTHENTICATED") token.set("");
    throw error;
  }
}
