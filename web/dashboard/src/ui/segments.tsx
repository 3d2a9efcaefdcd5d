interface SegmentsProps<Value extends string> {
  label: string;
  /** Each option: its value, the text of the button, and its full name if that is longer. */
  options: (readonly [value: Value, text: string, name?: string])[];
  value: Value;
  onChange: (value: Value) => void;
}

/** A row of buttons, of which one is selected. */
export function Segments<Value extends string>({
  label,
  options,
  value,
  onChange,
}: SegmentsProps<Value>) {
  return (
    <div className="segments" role="group" aria-label={label}>
      {options.map(([key, text, name]) => (
        <button
          key={key}
          type="button"
          aria-label={name && `${text}, ${name}`}
          title={name}
          aria-pressed={key === value}
          onClick={() => onChange(key)}
        >
          {text}
        </button>
      ))}
    </div>
  );
}
