// Shortens contract addresses.

// Enough to compare two addresses: "0x2260fa" and "c2c599".
const HEAD = 8;
const TAIL = 6;

/** The start, the middle that a short form leaves out, and the end; the parts join to the whole. */
export function addressParts(address: string): [head: string, middle: string, tail: string] {
  // The ellipsis has a width, too.
  if (address.length <= HEAD + TAIL + 1) return [address, "", ""];
  return [address.slice(0, HEAD), address.slice(HEAD, -TAIL), address.slice(-TAIL)];
}
