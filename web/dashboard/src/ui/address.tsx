import { addressParts } from "../format/address";

/** A short form of a contract address. Hovering, copying and screen readers give the whole. */
export function Address({ address }: { address: string }) {
  const [head, middle, tail] = addressParts(address);
  return (
    <code className="address" title={address}>
      {head}
      {middle && <span className="middle">{middle}</span>}
      {tail}
    </code>
  );
}
