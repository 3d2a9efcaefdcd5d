// One of some values, or any: kept in the address.
import { replaceSearch } from "../navigation/router";

interface ChoiceProps {
  label: string;
  /** The word of the address. */
  name: string;
  value: string | null;
  options: readonly (readonly [value: string, label: string])[];
  /** What it says where none is chosen. */
  any: string;
}

export function Choice({ label, name, value, options, any }: ChoiceProps) {
  return (
    <select
      aria-label={label}
      className={value ? "chosen" : ""}
      value={value ?? ""}
      onChange={(event) => replaceSearch({ [name]: event.target.value })}
    >
      <option value="">{any}</option>
      {options.map(([key, text]) => (
        <option key={key} value={key}>
          {text}
        </option>
      ))}
    </select>
  );
}
