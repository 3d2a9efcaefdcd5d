// A select of one value or any, stored in the address.
import { replaceSearch } from "../navigation/router";

interface ChoiceProps {
  label: string;
  /** The search parameter. */
  name: string;
  value: string | null;
  options: readonly (readonly [value: string, label: string])[];
  /** The label if none is selected. */
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
