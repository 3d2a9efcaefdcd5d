import { Address } from "../ui/address";
import { Nothing } from "../ui/values";
import type { Listing } from "./documents";

// The card of the asset shows all of them.
const SHOWN = 2;

/** The first contract addresses of a listing, each with its chain. */
export function ListingAddresses({ addresses }: Pick<Listing, "addresses">) {
  if (addresses.length === 0) return <Nothing />;
  return (
    <ul className="listing-addresses">
      {addresses.slice(0, SHOWN).map(({ chain, address }) => (
        <li key={`${chain} ${address}`}>
          <span className="faint">{chain}</span> <Address address={address} />
        </li>
      ))}
      {addresses.length > SHOWN && <li className="faint">{addresses.length - SHOWN} more</li>}
    </ul>
  );
}
