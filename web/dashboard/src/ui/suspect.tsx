// The mark of a price that is in doubt.
import { AlertIcon } from "./icons";

/** What the mark means, as `Coin.isSuspect` defines it. */
export const SUSPECT =
  "A source's price was left out, and fewer than two sources confirm the price shown";

/** A small mark before a price; screen readers get the word. */
export function SuspectMark() {
  return (
    <span className="suspect-mark" title={`Suspect price. ${SUSPECT}.`}>
      <AlertIcon />
      <span className="visually-hidden">suspect price: </span>
    </span>
  );
}
