// Numbers for people. Every digit stays at hand in `exact`; what is shown is rounded.

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
const LETTERLESS = 1e15;
const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const PERCENT = grouped(2, 2);
const SPREAD = new Intl.NumberFormat("en", {
  minimumFractionDigits: 2,
  maximumSignificantDigits: 3,
});

/** A price as it is shown: `lead`, then after the point `zeros` zeros that are shown as a small number, then `digits`. */
export interface ShownPrice {
  lead: string;
  zeros: number;
  digits: string;
}

// Enough to see a price move.
const SIGNIFICANT = 5;
// 0.00001234 can be read at a glance; with more zeros one begins to count.
const MOST_ZEROS = 4;

/** Break up a decimal such as "0.00000000000000000478002". Below one it has a digit less than `significant`, from one on two decimals at least. */
export function showPrice(decimal: string, significant = SIGNIFICANT): ShownPrice {
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
  if (zeros <= MOST_ZEROS) return plain(`${sign}0.${"0".repeat(zeros)}${digits}`);
  return { lead: `${sign}0.0`, zeros, digits: digits.replace(/0+$/, "") };
}

function plain(lead: string): ShownPrice {
  return { lead, zeros: 0, digits: "" };
}

const SUBSCRIPTS = "₀₁₂₃₄₅₆₇₈₉";

/** The same as one text, where no markup can stand: 0.0₁₇478. */
export function priceText(decimal: string, significant = SIGNIFICANT): string {
  const { lead, zeros, digits } = showPrice(decimal, significant);
  const count =
    zeros === 0 ? "" : String(zeros).replace(/\d/g, (digit) => SUBSCRIPTS.charAt(Number(digit)));
  return `${lead}${count}${digits}`;
}

/** "0.000120" and "12345.6" as "0.000120" and "12,345.6": no digit more or less. */
export function exact(decimal: string): string {
  const [whole = "", fraction] = decimal.split(".");
  const groups = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  return fraction === undefined ? groups : `${groups}.${fraction}`;
}

/** Whether `priceText` leaves digits out. */
export function isRounded(decimal: string): boolean {
  const { lead, zeros } = showPrice(decimal);
  return zeros > 0 || Number(lead.replaceAll(",", "")) !== Number(decimal);
}

/** "1.70T", "12.34M", "812.00", and beyond those letters "1.14E24". */
export function compact(decimal: string): string {
  const value = Number(decimal);
  return (value < LETTERLESS ? COMPACT : SCIENTIFIC).format(value);
}

export function whole(count: number): string {
  return WHOLE.format(count);
}

/** "+1.24%"; what rounds to nothing has no sign. */
export function percent(value: number, decimals = 2): string {
  const text =
    Math.abs(value) < 1_000 ? Math.abs(value).toFixed(decimals) : PERCENT.format(Math.abs(value));
  if (Number(text) === 0) return `${text}%`;
  return `${value < 0 ? "−" : "+"}${text}%`;
}

/** A spread has no direction; small ones keep their digits: "0.026%". */
export function spread(value: number): string {
  if (value !== 0 && value < 0.005) return "<0.01%";
  return `${value < 10 ? PERCENT.format(value) : SPREAD.format(value)}%`;
}

export function bytes(count: number): string {
  return count < 1_000 ? `${count} B` : `${(count / 1_000).toFixed(1)} kB`;
}
