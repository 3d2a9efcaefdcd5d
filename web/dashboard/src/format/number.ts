// Formats numbers: rounded, or with all digits in `exact`.

const grouped = (minimum: number, maximum: number) =>
  new Intl.NumberFormat("en", { minimumFractionDigits: minimum, maximumFractionDigits: maximum });

const LARGE = grouped(2, 2);
const COMPACT = new Intl.NumberFormat("en", {
  notation: "compact",
  minimumFractionDigits: 2,
  maximumFractionDigits: 2,
});
const SCIENTIFIC = new Intl.NumberFormat("en", {
  notation: "scientific",
  minimumFractionDigits: 2,
  maximumFractionDigits: 2,
});
const MAX_COMPACT = 1e15;
const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const PERCENT = grouped(2, 2);
const SPREAD = new Intl.NumberFormat("en", {
  minimumFractionDigits: 2,
  maximumSignificantDigits: 3,
});

/** A price in parts: `lead`, the count of zeros after it as a subscript, then `digits`. */
export interface PriceParts {
  lead: string;
  zeros: number;
  digits: string;
}

// Enough digits to see a price change.
const SIGNIFICANT = 5;
// 0.00001234 is readable; more zeros are shown as a count.
const MAX_ZEROS = 4;

/**
 * Split a decimal such as "0.00000000000000000478002" into parts. Prices below one have one digit
 * less than `significant`, larger ones have at least two decimals.
 */
export function priceParts(decimal: string, significant = SIGNIFICANT): PriceParts {
  const value = Number(decimal);
  const size = Math.abs(value);
  if (size >= 1_000 || value === 0) return plain(LARGE.format(value));
  if (size >= 1)
    return plain(value.toFixed(Math.max(2, significant - Math.floor(size).toString().length)));
  const [mantissa = "", exponent = "0"] = value.toExponential(significant - 2).split("e");
  const zeros = -Number(exponent) - 1;
  // 0.99999 is rounded up to 1.
  if (zeros < 0) return plain(value.toFixed(significant - 1));
  const digits = mantissa.replace(/[-.]/g, "");
  const sign = value < 0 ? "-" : "";
  if (zeros <= MAX_ZEROS) return plain(`${sign}0.${"0".repeat(zeros)}${digits}`);
  return { lead: `${sign}0.0`, zeros, digits: digits.replace(/0+$/, "") };
}

function plain(lead: string): PriceParts {
  return { lead, zeros: 0, digits: "" };
}

const SUBSCRIPTS = "₀₁₂₃₄₅₆₇₈₉";

/** The same as plain text: 0.0₁₇478. */
export function priceText(decimal: string, significant = SIGNIFICANT): string {
  const { lead, zeros, digits } = priceParts(decimal, significant);
  const count =
    zeros === 0 ? "" : String(zeros).replace(/\d/g, (digit) => SUBSCRIPTS.charAt(Number(digit)));
  return `${lead}${count}${digits}`;
}

/** All digits: "0.000120" and "12345.6" become "0.000120" and "12,345.6". */
export function exact(decimal: string): string {
  const [whole = "", fraction] = decimal.split(".");
  const groups = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  return fraction === undefined ? groups : `${groups}.${fraction}`;
}

/** Whether `priceText` leaves digits out. */
export function isRounded(decimal: string): boolean {
  const { lead, zeros } = priceParts(decimal);
  return zeros > 0 || Number(lead.replaceAll(",", "")) !== Number(decimal);
}

/** "1.70T", "12.34M", "812.00", and "1.14E24" for larger numbers. */
export function compact(decimal: string): string {
  const value = Number(decimal);
  return (value < MAX_COMPACT ? COMPACT : SCIENTIFIC).format(value);
}

export function whole(count: number): string {
  return WHOLE.format(count);
}

/** "+1.24%"; a value that rounds to zero has no sign. */
export function percent(value: number, decimals = 2): string {
  const text =
    Math.abs(value) < 1_000 ? Math.abs(value).toFixed(decimals) : PERCENT.format(Math.abs(value));
  if (Number(text) === 0) return `${text}%`;
  return `${value < 0 ? "−" : "+"}${text}%`;
}

/** A spread without a sign; small ones have more digits: "0.026%". */
export function spread(value: number): string {
  if (value !== 0 && value < 0.005) return "<0.01%";
  return `${value < 10 ? PERCENT.format(value) : SPREAD.format(value)}%`;
}

export function bytes(count: number): string {
  return count < 1_000 ? `${count} B` : `${(count / 1_000).toFixed(1)} kB`;
}
