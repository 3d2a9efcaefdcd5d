// Formats JSON and keeps the text of every literal. JSON.parse would change numbers such as
// 4.780002844000000000001e-18 and 1.0.

const TOKENS = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;
const INDENT = "  ";

/** Return valid JSON formatted on several lines. */
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

/** The text of the value at a path of names; undefined if there is none. */
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
