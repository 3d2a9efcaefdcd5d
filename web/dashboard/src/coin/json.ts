// JSON laid out for reading with every literal as it was sent: JSON.parse would turn 4.780002844000000000001e-18 and 1.0
// into other numbers.

const TOKENS = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;
const INDENT = "  ";

/** The text of one JSON value over several lines; the text must be JSON. */
export function layOut(text: string): string {
  const tokens = text.match(TOKENS) ?? [];
  let depth = 0;
  let out = "";
  const line = () => `\n${INDENT.repeat(depth)}`;
  tokens.forEach((token, index) => {
    const isEmpty = isOpening(tokens[index - 1]);
    if (isOpening(token)) {
      depth += 1;
      out += isClosing(tokens[index + 1]) ? token : token + line();
    } else if (isClosing(token)) {
      depth -= 1;
      out += isEmpty ? token : line() + token;
    } else if (token === ",") {
      out += token + line();
    } else {
      out += token === ":" ? ": " : token;
    }
  });
  return out;
}

function isOpening(token: string | undefined): boolean {
  return token === "{" || token === "[";
}

function isClosing(token: string | undefined): boolean {
  return token === "}" || token === "]";
}

/** The text of the value that stands under the last of `names`, each within the one before; undefined where there is none. */
export function valueAt(text: string, names: readonly string[]): string | undefined {
  const tokens = [...text.matchAll(TOKENS)];
  let depth = 0;
  let found = 0;
  for (const [index, match] of tokens.entries()) {
    const token = match[0];
    if (isOpening(token)) depth += 1;
    if (isClosing(token)) depth -= 1;
    if (
      depth !== found + 1 ||
      tokens[index + 1]?.[0] !== ":" ||
      token !== JSON.stringify(names[found])
    )
      continue;
    found += 1;
    if (found === names.length) return valueFrom(text, tokens, index + 2);
  }
  return undefined;
}

function valueFrom(
  text: string,
  tokens: readonly RegExpExecArray[],
  start: number,
): string | undefined {
  let depth = 0;
  for (const match of tokens.slice(start)) {
    const token = match[0];
    if (isOpening(token)) depth += 1;
    if (isClosing(token)) depth -= 1;
    if (depth === 0) return text.slice(tokens[start]?.index, match.index + token.length);
  }
  return undefined;
}
