// Says in a sentence why a value is left out, as `ExclusionReason` of the schema defines it.
import type { Excluded } from "./documents";

const LABELS: Record<string, string> = { priceUsd: "Price", marketCapUsd: "Market cap" };

/** The label of a field; a field that this version does not know has its own name. */
export function labelOf(field: string): string {
  return LABELS[field] ?? field;
}

export function reasonOf({ reason, field }: Pick<Excluded, "reason" | "field">): string {
  switch (reason) {
    case "JUMP":
      return (
        "It is far from the last values of the same listing, and is held until a second poll or " +
        "another source confirms it."
      );
    case "DISAGREES":
      return field === "marketCapUsd"
        ? "The other sources say otherwise: it is more than 10 times their median."
        : "The other fresh sources say otherwise: it differs from them by more than 1%.";
    case "IMPOSSIBLE":
      return "No asset is worth that much.";
  }
}
