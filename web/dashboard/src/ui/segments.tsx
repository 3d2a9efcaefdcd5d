interface SegmentsProps<Value extends string> {
  label: string;
  /** A value, what the button says, and what it is called in full where that is more. */
  options: (readonly [value: Value, text: string, name?: string])[];
  value: Value;
  onChange: (value: Value) => void;
}

/** A choice of one among few, all of them in sight. */
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
